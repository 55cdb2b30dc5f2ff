"""
Regularized axons and Hopfield models (appendix E)
==================================================

Sum out Gaussian hidden units and what is left for the spins v is a Hopfield model, a pairwise one
with J = W Wᵀ (E1). For regularized axons J = (1/K) Σ_kk' ξ^(k) ξ^(k')ᵀ M_kk' with
M_kk' = ξ_h^(k)·ξ_h^(k') (E2), not the sum of ξ^(k) ξ^(k)ᵀ that Hebb's rule makes. Sum out binary
hidden units, and interactions of every order remain: that model is no Hopfield model at all.

Measured here, with all states of the visible layer enumerated:

- the largest difference of log P(v) between Gaussian hidden units, integrated by Gauss-Hermite
  quadrature, and the pairwise model with J of (E1); and between the J of (E1) and of (E2);
- how far J is from Hebb's rule: the share of ``|M|²`` off its diagonal. For random patterns that is
  (K - 1) / (K - 1 + H), so J of wide machines (H >> K) *is* Hebb's, to that extent;
- for binary hidden units, the share of the variance of log P(v) over all v in terms of four and
  more spins, found by a Walsh-Hadamard transform. For small patterns of amplitude s it is
  proportional to s⁸, as log cosh θ = θ²/2 - θ⁴/12 and θ is of order s²;
- the Kullback-Leibler divergence in nats from P(v) to the *best* pairwise model (the one with the
  same pair correlations; an upper bound where the fit ends early), and to independent spins.

The last two also for `RARBM` trained on two sets of images: 4x4 bars, and the 8 states of four
spins whose product is +1. All pairs of those are uncorrelated, so that the best pairwise model of
them is coins, log 2 = 0.69 nats away. There are no biases, so that odd orders vanish.

Full: 20 machines of each kind (5 for bars), three minutes on one core. Quick: 2 of each and 3x3
bars, seconds.

    python examples/paper/appendix_e.py [--quick] [--seeds N] [--save FIGURE.png]
"""

import matplotlib.pyplot as plt
import numpy as np
import paper
from scipy.optimize import minimize
from scipy.special import logsumexp

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import make_bars

N_VISIBLE, N_HIDDEN, N_PATTERNS = 10, 30, 5
AMPLITUDES = (0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8, 1.0)
# Coins are a saddle of the likelihood of parity, which training from few sampled states does not
# leave.
EXACT = {"negative_phase": "exact"}
# At this amplitude |θ| stays below 9, which 200 nodes integrate to rounding.
GAUSSIAN_AMPLITUDE = 0.4


def spins(n):
    """All states of n spins; row number r has the spin i up where bit i of r is zero."""
    return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)


def random_patterns(amplitude, seed):
    """Visible and hidden parts of random patterns."""
    rng = np.random.default_rng(seed)
    parts = (rng.choice([-1.0, 1.0], (N_PATTERNS, n)) for n in (N_VISIBLE, N_HIDDEN))
    return [amplitude * part for part in parts]


def weights(visible, hidden):
    """W of eq. 5."""
    return visible.T @ hidden / np.sqrt(len(visible))


def normalized(log_p):
    """Logarithms of probabilities that sum to one."""
    return log_p - logsumexp(log_p)


def log_p_gaussian(w, v):
    """log P(v) where P(v, h) is proportional to exp(vᵀWh - |h|²/2), h integrated numerically."""
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(200)
    theta = (v @ w)[:, :, None]
    return normalized(logsumexp(theta * nodes, b=node_weights, axis=2).sum(axis=1))


def log_p_binary(w, v):
    """log P(v) of a machine with binary hidden units and no biases (A2)."""
    return normalized(np.logaddexp(v @ w, -(v @ w)).sum(axis=1))


def log_p_pairwise(j, v):
    """log P(v) of the model exp(vᵀ J v / 2)."""
    return normalized(0.5 * np.einsum("ni,ij,nj->n", v, j, v))


def walsh(f):
    """Coefficients of the products of spins in f: number r has the spins in the bits of r."""
    f = f.copy()
    half = 1
    while half < f.size:
        pairs = f.reshape(-1, 2, half)
        pairs[...] = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1)
        half *= 2
    return f / f.size


def variance_by_order(log_p):
    """Share of each number of spins in the variance of log P over all states."""
    power = walsh(log_p) ** 2
    orders = np.bitwise_count(np.arange(log_p.size))
    power[0] = 0.0
    return np.bincount(orders, weights=power) / power.sum()


def divergence_from_pairwise(log_p, v):
    """Kullback-Leibler divergence from P to the pairwise model nearest to it, in nats."""
    # v and -v are equally likely in both: half of the states will do.
    v = v[: len(v) // 2]
    log_p, n = normalized(log_p[: len(v)]), v.shape[1]
    p = np.exp(log_p)
    upper = np.triu_indices(n, 1)
    wanted = (v.T * p) @ v

    def divergence(couplings):
        j = np.zeros((n, n))
        j[upper] = couplings
        log_q = normalized(np.sum((v @ j) * v, axis=1))
        gap = (v.T * np.exp(log_q)) @ v - wanted
        return p @ (log_p - log_q), gap[upper]

    options = {"maxiter": 300, "ftol": 1e-14, "gtol": 1e-8}
    found = minimize(
        divergence, np.zeros(len(upper[0])), jac=True, method="L-BFGS-B", options=options
    )
    return found.fun


def gaussian(chosen):
    """Print how well E1 and E2 hold, and how far J is from Hebb's rule."""
    v = spins(N_VISIBLE)
    errors, differences, off_diagonal = [], [], []
    for seed in chosen.seeds:
        visible, hidden = random_patterns(GAUSSIAN_AMPLITUDE, seed)
        w = weights(visible, hidden)
        j, m = w @ w.T, hidden @ hidden.T
        errors.append(np.max(np.abs(log_p_gaussian(w, v) - log_p_pairwise(j, v))))
        differences.append(np.max(np.abs(visible.T @ m @ visible / N_PATTERNS - j)))
        off_diagonal.append(off_diagonal_share(hidden))
    print("Gaussian hidden units, random patterns:")
    paper.report("  largest error of log P(v) by E1, nats", errors)
    paper.report("  largest difference of J by E1 and by E2", differences)
    expected = (N_PATTERNS - 1) / (N_PATTERNS - 1 + N_HIDDEN)
    paper.report(f"  share of ``|M|²`` off its diagonal (expected {expected:.3f})", off_diagonal)


def off_diagonal_share(hidden_patterns):
    """How much of M is not Hebb's rule."""
    m = hidden_patterns @ hidden_patterns.T
    return 1.0 - np.sum(np.diag(m) ** 2) / np.sum(m**2)


def binary(chosen):
    """Shares of orders above two and divergences at each amplitude: dict of (amplitude, run)."""
    v = spins(N_VISIBLE)
    found = {"share": [], "pairwise": [], "independent": []}
    for amplitude in AMPLITUDES:
        rows = []
        for seed in chosen.seeds:
            log_p = log_p_binary(weights(*random_patterns(amplitude, seed)), v)
            rows.append(beyond_pairs(log_p, v))
        for name, values in zip(found, np.transpose(rows), strict=True):
            found[name].append(values)
    return {name: np.array(values) for name, values in found.items()}


def beyond_pairs(log_p, v):
    """Share of orders above two, divergence to the best pairwise model and to coins."""
    # Without biases each spin is as often up as down: the best independent spins are coins.
    to_coins = np.exp(log_p) @ log_p + v.shape[1] * np.log(2)
    return variance_by_order(log_p)[3:].sum(), divergence_from_pairwise(log_p, v), to_coins


def report_binary(found):
    """Print what pairs cannot express."""
    print("binary hidden units, random patterns:")
    for i in (AMPLITUDES.index(0.2), AMPLITUDES.index(0.4), AMPLITUDES.index(1.0)):
        print(f"  amplitude {AMPLITUDES[i]}:")
        report_one(*(found[name][i] for name in ("share", "pairwise", "independent")))
    small = slice(0, 3)
    slopes = np.polyfit(np.log(AMPLITUDES[small]), np.log(found["share"][small]), 1)[0]
    paper.report("  exponent of the share at amplitudes to 0.2 (8 expected)", slopes)


def report_one(share, pairwise, independent):
    """Print the figures of one kind of machine."""
    paper.report("    variance of log P in orders above two", share)
    paper.report("    divergence to the best pairwise model, nats", pairwise)
    paper.report("    divergence to independent spins, nats", independent)


def trained(name, X, seeds, **how):
    """Print the same for trained machines; return their variances by order."""
    v = spins(X.shape[1])
    rows, by_order, off_diagonal = [], [], []
    for seed in seeds:
        model = RARBM(32, 8, units="spin", binarize=0.0, fit_intercept=False, n_threads=1)
        model.set_params(max_iter=1000, random_state=seed, **how).fit(X)
        log_p = log_p_binary(model.components_.T.astype(float), v)
        rows.append(beyond_pairs(log_p, v))
        by_order.append(variance_by_order(log_p))
        off_diagonal.append(off_diagonal_share(model.hidden_patterns_.astype(float)))
    print(f"binary hidden units, trained on {name} (H = 32, K = 8):")
    report_one(*np.transpose(rows))
    paper.report(
        "    share of ``|M|²`` off its diagonal (7/39 = 0.18 for random ones)", off_diagonal
    )
    return np.array(by_order)


def draw(found, by_order):
    """Shares, divergences, and the orders of trained machines."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
    share = found["share"].mean(axis=1)
    axes[0].loglog(AMPLITUDES, share, "o-", label="orders above two")
    guide = share[0] * (np.array(AMPLITUDES) / AMPLITUDES[0]) ** 8
    axes[0].loglog(AMPLITUDES[:5], guide[:5], "k:", label="s⁸")
    axes[0].set(xlabel="amplitude s of random patterns", ylabel="share of the variance of log P(v)")
    for name, label in (("independent", "independent spins"), ("pairwise", "best pairwise model")):
        axes[1].loglog(AMPLITUDES, found[name].mean(axis=1), "o-", label=f"to {label}")
    axes[1].set(xlabel="amplitude s of random patterns", ylabel="divergence from P(v), nats")
    for shift, (name, shares) in zip((-0.4, 0.4), by_order.items(), strict=True):
        mean = shares.mean(axis=0)[2::2]
        axes[2].bar(2 * np.arange(1, len(mean) + 1) + shift, mean, label=f"trained on {name}")
    axes[2].set(xlabel="spins in a term", ylabel="share of the variance of log P(v)")
    axes[2].set(yscale="log", ylim=(1e-6, 20), xticks=range(2, 17, 2))
    for ax in axes[:2]:
        ax.set_title(f"V = {N_VISIBLE}, H = {N_HIDDEN}, K = {N_PATTERNS}")
    for ax in axes:
        ax.legend(fontsize=8)
    return figure


def main():
    """Compute, print and draw."""
    chosen = paper.options(__doc__, seeds=20, quick_seeds=2)
    gaussian(chosen)
    found = binary(chosen)
    report_binary(found)
    four = spins(4)
    by_order = {
        "bars": trained(
            "bars", make_bars(3 if chosen.quick else 4, units="spin"), chosen.seeds[:5]
        ),
        "parity": trained("parity", four[four.prod(axis=1) > 0], chosen.seeds, **EXACT),
    }
    paper.finish(draw(found, by_order), chosen)


if __name__ == "__main__":
    main()
