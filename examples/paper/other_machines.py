"""
Other machines: low energies of deep and full ones
==================================================

The paper's argument for regularized axons is that sampling reaches low energies where couplings are
made of patterns, and its outlook is that deep and fully connected machines would gain most, in
which there is more to be frustrated. So: how much of the ground state's energy do ten steps
from random states reach, in machines of as many spins of each kind?

Untrained machines have couplings of a standard deviation of one, random or of K patterns: a
restricted one of V + V spins, a deep one of four layers of V/2 spins each, and a full one of V
spins; and wide ones, in which every other layer has 25 times as many. In a full machine a step is
a sweep, spin by spin; with patterns, spins can also be drawn all at once, by way of K real units.
Trained machines have learned the 4 x 4 bars by the package's defaults. Ground states are found by
enumeration. Of 100 chains, the best of each ten and the mean.

Full setting: V = 20, K = 5, ten machines of each kind. Quick: V = 12, two machines.

    python examples/paper/other_machines.py [--quick] [--seeds N] [--save FILE]
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from paper import finish, options, report
from scipy.special import expit

from sklearn_rapid import DBM, RABM, RADBM, RARBM, RBM
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.diagnostics import gibbs_accessibility

N_STEPS, N_CHAINS = 10, 100
N_PATTERNS = 5
MEASURES = ("best of ten", "mean")


def patterns(n_units, rng):
    """Random patterns, shape (K, n_units)."""
    return rng.choice([-1.0, 1.0], size=(N_PATTERNS, n_units))


def two_measures(reached):
    """The best of ten chains (on average), and the mean."""
    return reached.reshape(10, -1).max(axis=1).mean(), reached.mean()


# --- layers -----------------------------------------------------------------------------


def untrained_layers(sizes, of_patterns, seed):
    """Accessibility of an untrained machine of layers."""
    rng = np.random.default_rng(seed)
    how = {"units": "spin", "fit_intercept": False, "max_iter": 1, "n_threads": 1}
    model = DBM(sizes[1:], **how).fit(np.ones((1, sizes[0])))
    n_odd, n_even = model.components_.shape
    xi = patterns(n_even + n_odd, rng)
    W = xi[:, n_even:].T @ xi[:, :n_even] / N_PATTERNS**0.5
    if not of_patterns:
        W = rng.normal(size=(n_odd, n_even))
    model.components_ = np.where(are_neighbours(sizes), W, 0.0).astype(np.float32)
    return two_measures(gibbs_accessibility(model, N_STEPS, n_chains=N_CHAINS, random_state=seed))


def are_neighbours(sizes):
    """Which units of odd layers and of even ones are of neighbouring layers."""
    layer = np.repeat(np.arange(len(sizes)), sizes)
    odd, even = layer[layer % 2 == 1], layer[layer % 2 == 0]
    return np.abs(odd[:, None] - even[None, :]) == 1


# --- all pairs ----------------------------------------------------------------------------


def untrained_full(n_spins, kind, seed):
    """Accessibility of an untrained machine of all pairs."""
    rng = np.random.default_rng(seed)
    xi = patterns(n_spins, rng)
    J = xi.T @ xi / N_PATTERNS**0.5
    if kind == "random":
        J = np.triu(rng.normal(size=J.shape), 1)
        J = J + J.T
    np.fill_diagonal(J, 0.0)
    if kind == "patterns, at once":
        W = xi.T / N_PATTERNS**0.25
        return two_measures(full_accessibility(J, np.zeros(n_spins), rng, W))
    return two_measures(full_accessibility(J, np.zeros(n_spins), rng))


def full_accessibility(J, b, rng, W=None):
    """Energies after steps from random states, over that of the ground state.

    Sweeps go spin by spin; with W of (n, K), J being WWᵀ off its diagonal, by way of real units.
    """
    s = rng.choice([-1.0, 1.0], size=(N_CHAINS, len(b)))
    for _ in range(N_STEPS):
        if W is not None:
            z = s @ W + rng.normal(size=(N_CHAINS, W.shape[1]))
            s = 2.0 * (rng.random(s.shape) < expit(2.0 * (z @ W.T + b))) - 1.0
            continue
        for i in range(len(b)):
            s[:, i] = 2.0 * (rng.random(N_CHAINS) < expit(2.0 * (s @ J[i] + b[i]))) - 1.0
    return energies(J, b, s) / lowest_energy(J, b)


def energies(J, b, s):
    """E = -½ sᵀJs - b·s of each row."""
    return -0.5 * np.sum((s @ J) * s, axis=1) - s @ b


def lowest_energy(J, b):
    """By enumeration, some thousand states at a time."""
    n, lowest = len(b), np.inf
    for start in range(0, 2**n, 1 << 14):
        number = np.arange(start, min(start + (1 << 14), 2**n))
        lowest = min(
            lowest, energies(J, b, 2.0 * (number[:, None] >> np.arange(n) & 1) - 1.0).min()
        )
    return lowest


# --- trained machines ---------------------------------------------------------------------


def trained(model, X, seed):
    """Accessibility of a machine that has learned the bars."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few rows, small batches
        model.set_params(units="spin", random_state=seed, n_threads=1).fit(X)
    if not isinstance(model, RABM):
        reached = gibbs_accessibility(model, N_STEPS, n_chains=N_CHAINS, random_state=seed)
        return two_measures(reached)
    rng, J, b = np.random.default_rng(seed), model.couplings_, model.intercept_
    return two_measures(full_accessibility(J.astype(float), b.astype(float), rng))


def all_machines(n_visible, epochs):
    """What to call each machine, and what measures it, given a seed."""
    half = n_visible // 2
    wide = 25 * half
    layers = {
        "restricted": (n_visible, n_visible),
        "deep": (half, half, half, half),
        "restricted, wide": (2 * wide, n_visible),
        "deep, wide": (wide, half, wide, half),
    }
    X, how = make_bars(4, units="spin"), {"max_iter": epochs}
    full = ("random", "patterns", "patterns, at once")
    return {
        "untrained": {
            **{
                f"{name}, {kind}": lambda seed, sizes=sizes, kind=kind: untrained_layers(
                    sizes, kind == "patterns", seed
                )
                for name, sizes in layers.items()
                for kind in ("random", "patterns")
            },
            **{f"full, {k}": lambda seed, k=k: untrained_full(n_visible, k, seed) for k in full},
        },
        "trained on bars": {
            "RBM": lambda seed: trained(RBM(24, **how), X, seed),
            "RARBM": lambda seed: trained(RARBM(24, N_PATTERNS, **how), X, seed),
            "DBM": lambda seed: trained(DBM((12, 8, 4), **how), X, seed),
            "RADBM": lambda seed: trained(RADBM((12, 8, 4), N_PATTERNS, **how), X, seed),
            "RABM": lambda seed: trained(RABM(0, 16, **how), X, seed),
            f"RABM, K={N_PATTERNS}": lambda seed: trained(RABM(0, N_PATTERNS, **how), X, seed),
        },
    }


def draw(results):
    """Both measures of each machine, before and after training."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), sharex=True, layout="constrained")
    for ax, (title, machines) in zip(axes, results.items(), strict=True):
        names = list(machines)[::-1]
        for i, (measure, marker) in enumerate(zip(MEASURES, "o|", strict=True)):
            values = np.array([machines[name][:, i] for name in names])
            ax.errorbar(
                values.mean(axis=1), names, xerr=values.std(axis=1), fmt=marker, label=measure
            )
        ax.set(title=title, xlabel="share of the ground state's energy", xlim=(0, 1.02))
    axes[0].legend(loc="lower left")
    return figure


def main():
    """Measure all machines, print and draw them."""
    chosen = options(__doc__, seeds=10, quick_seeds=2)
    n_visible, epochs = (12, 100) if chosen.quick else (20, 1000)
    results = {}
    for title, machines in all_machines(n_visible, epochs).items():
        results[title] = {}
        for name, measure in machines.items():
            values = np.array([measure(seed) for seed in chosen.seeds])
            results[title][name] = values
            for what, column in zip(MEASURES, values.T, strict=True):
                report(f"{title}, {name}, {what}", column)
    finish(draw(results), chosen)


if __name__ == "__main__":
    main()
