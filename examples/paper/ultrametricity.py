"""
Section 4.2: how ultrametric samples are
========================================

The paper's claim, argued and not measured: a Boltzmann machine in the spin-glass phase produces
strongly ultrametric samples, much more so than usual training data are; a properly trained one
does not; so training must lead it out of that phase.

Measured here: in triangles of random samples, the difference of the two long sides over the
spread of all sides (v and -v taken as one state), which is zero where samples are ultrametric.
Models are small enough for independent samples from P(v) itself: no stuck chain can pass for a
glass. Their couplings are random or made of patterns, with one standard deviation, which sets
the temperature: T_c, where it is (V H)^(-1/4), is that of a large model with random couplings.
Random ones at 0.4 T_c then learn 4 x 4 bars.

Printed beside it: the share of triangles with three different corners. Where it is small, samples
are ultrametric for want of states: the two sides that leave a pair of equal corners are equal.

Full setting: V = 16, H = 32, 1000 samples, 10 models of each kind, 200 updates by the exact
gradient (a minute or two). Quick: a model of each kind, fewer temperatures, 50 updates.

    python examples/paper/ultrametricity.py [--quick] [--seeds N] [--save FILE]
"""

import matplotlib.pyplot as plt
import numpy as np
from figure_1 import untrained
from paper import finish, options, report

from sklearn_rapid import RBM
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.diagnostics import ultrametricity

N_VISIBLE, N_HIDDEN, N_SAMPLES = 16, 32, 1000
TEMPERATURES = (0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)  # over T_c
GLASS = 0.4
KINDS = {"random W": None, "W of 8 patterns": 8, "W of 2 patterns": 2}
STATES = 2.0 * (np.arange(2**N_VISIBLE)[:, None] >> np.arange(N_VISIBLE) & 1) - 1.0


def standard_deviation(temperature):
    """That of W at a temperature over T_c."""
    return 1.0 / (temperature * (N_VISIBLE * N_HIDDEN) ** 0.25)


def model_of(n_patterns, temperature, seed):
    """A model that never saw data."""
    rng = np.random.default_rng((seed, n_patterns or 0))
    if n_patterns is None:
        W = rng.normal(size=(N_VISIBLE, N_HIDDEN))
    else:
        visible, hidden = (rng.choice([-1, 1], (n_patterns, n)) for n in (N_VISIBLE, N_HIDDEN))
        W = visible.T @ hidden / np.sqrt(n_patterns)
    return untrained(standard_deviation(temperature) * W)


def trained(X, seed, n_updates):
    """A model with random couplings in the glass phase that then learns X."""
    model = RBM(N_HIDDEN, negative_phase="exact", fit_intercept=False, units="spin", n_threads=1)
    model.set_params(init_scale=standard_deviation(GLASS), batch_size=len(X))
    return model.set_params(max_iter=n_updates, random_state=seed).fit(X)


def gap(what, models, probabilities=None):
    """Print and return the gap of samples of each model, or of states with given probabilities."""
    gaps, shares = [], []
    for seed, model in enumerate(models):
        p = np.exp(model.score_samples(STATES)) if probabilities is None else probabilities
        rows = np.random.default_rng((seed, 1)).choice(len(STATES), N_SAMPLES, p=p / p.sum())
        found = ultrametricity(model, STATES[rows], up_to_sign=True, random_state=seed)
        gaps.append(found.scaled_gap)
        shares.append(np.mean(found.sides[:, 0] > 0.0))
    # Samples that are all the same state have a gap of zero and no spread to divide it by.
    report(f"{what}, gap", np.nan_to_num(gaps))
    report(f"{what}, share of triangles with three different corners", shares)
    return np.nan_to_num(gaps)


def main():
    """Print and draw the gap against the temperature; print what training makes of it."""
    chosen = options(__doc__, seeds=10)
    temperatures = TEMPERATURES[::2] if chosen.quick else TEMPERATURES
    X = make_bars(4, units="spin")
    is_bar = (STATES[:, None, :] == X).all(axis=2).any(axis=1)
    figure, ax = plt.subplots(figsize=(6.5, 4.6), layout="constrained")
    for name, n_patterns in KINDS.items():
        curve = []
        for t in temperatures:
            models = [model_of(n_patterns, t, seed) for seed in chosen.seeds]
            curve.append(gap(f"T = {t:g} T_c, {name}", models))
        ax.errorbar(temperatures, np.mean(curve, axis=1), np.std(curve, axis=1), label=name)
    learned = gap("trained", [trained(X, s, 50 if chosen.quick else 200) for s in chosen.seeds])
    ax.errorbar(GLASS, learned.mean(), learned.std(), fmt="k*", label="random W, trained")
    any_models = [model_of(None, 1.0, seed) for seed in chosen.seeds]
    for name, p, style in (("bars", is_bar, "-"), ("fair coins", np.ones(len(STATES)), ":")):
        level = gap(name, any_models, p.astype(float)).mean()
        ax.axhline(level, color="grey", linestyle=style, label=name)
    ax.set(xlabel="temperature / $T_c$ of random W", ylabel="gap (0: ultrametric)", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=3)
    finish(figure, chosen)


if __name__ == "__main__":
    main()
