"""
Figure 1: low energies of untrained models
==========================================

The paper's claim: when W is made of patterns, Gibbs sampling reaches energies near that of the
ground state at every scale of W but the smallest, however large the visible layer; when W is
random it does not, the less so the more visible units there are, and whether it is Gaussian or
uniform makes no difference. At the scale of Glorot's initialization no energy is below a third
of that of the ground state.

Measured here, on models with H = 1000 that never saw data: the energy of the states that ten
Gibbs steps reach from random visible ones, over that of the ground state (found by enumeration).
The text does not say which of many chains counts; the published function takes the best of ten.
Both that and the mean of 100 chains are shown. Scaling W scales all its energies, so that one
enumeration serves all scales of a random matrix. The inset varies V at a standard deviation of
10.

Full setting: V = 20, K = 10, 100 models of each kind, V = 4 to 20 in the inset (20 minutes or so
on one core, nearly all for ground states). Quick: V = 14, two models, V = 4 to 14.

    python examples/paper/figure_1.py [--quick] [--seeds N] [--save FILE]
"""

import matplotlib.pyplot as plt
import numpy as np
from bars import memory
from paper import finish, options, report

from sklearn_rapid import RBM
from sklearn_rapid.diagnostics import gibbs_accessibility, ground_state_energy
from sklearn_rapid.diagnostics.displays import AccessibilityDisplay

N_MODELS = 100
N_HIDDEN, N_PATTERNS = 1000, 10
MEASURES = ("best of ten chains", "mean of chains")
SCALES = np.geomspace(1e-3, 1e2, 16)
SCALE_OF_INSET = 10.0
KINDS = {
    "patterns": "RA-RBM, W of 10 patterns",
    "gaussian": "RBM, Gaussian W",
    "uniform": "RBM, uniform W",
}


def couplings(kind, n_visible, seed):
    """A random W of shape (V, H) with a standard deviation of one."""
    rng = np.random.default_rng((seed, n_visible))
    if kind == "patterns":
        patterns = rng.choice([-1.0, 1.0], size=(N_PATTERNS, n_visible + N_HIDDEN))
        return patterns[:, :n_visible].T @ patterns[:, n_visible:] / np.sqrt(N_PATTERNS)
    if kind == "gaussian":
        return rng.normal(size=(n_visible, N_HIDDEN))
    return rng.uniform(-np.sqrt(3), np.sqrt(3), size=(n_visible, N_HIDDEN))


def untrained(W):
    """An estimator with these couplings: one fitted to anything, its couplings exchanged."""
    model = RBM(W.shape[1], units="spin", fit_intercept=False, max_iter=1, n_threads=1)
    model.fit(np.ones((1, W.shape[0])))
    model.components_ = W.T.astype(np.float32)
    return model


@memory.cache
def accessibilities(kind, n_visible, seed, scales):
    """Gibbs accessibility at each scale: the best of ten chains (on average), and the mean."""
    W = couplings(kind, n_visible, seed)
    ground = ground_state_energy(untrained(W))
    means, bests = [], []
    for scale in scales:
        reached = gibbs_accessibility(
            untrained(scale * W), 10, n_chains=100, random_state=seed, ground_energy=scale * ground
        )
        means.append(reached.mean())
        bests.append(reached.reshape(10, 10).max(axis=1).mean())
    return bests, means


def all_models(kind, n_visible, seeds, scales):
    """Both measures for many models, shape (2, n_scales, n_models)."""
    runs = [accessibilities(kind, n_visible, seed, tuple(scales)) for seed in seeds]
    return np.array(runs).transpose(1, 2, 0)


def report_scales(scales, glorot, results):
    """Print what the large plots show."""
    for label, scale in {"0.01": 0.01, "Glorot's": glorot, "1": 1.0, "10": 10.0}.items():
        row = nearest(scales, scale)
        for kind, name in KINDS.items():
            for measure, values in zip(MEASURES, results[kind], strict=True):
                report(f"std {label}, {name}, {measure}", values[row])


def nearest(scales, scale):
    """The position of the scale nearest to a given one."""
    return int(np.argmin(np.abs(np.log(scales / scale))))


def inset(sizes, seeds, scales, results):
    """Accessibilities of each kind at one scale: shape (2, n_sizes, n_models), printed."""
    curves = {}
    for kind, name in KINDS.items():
        others = [all_models(kind, int(v), seeds, [SCALE_OF_INSET]) for v in sizes[:-1]]
        last = results[kind][:, [nearest(scales, SCALE_OF_INSET)]]
        curves[kind] = np.concatenate([*others, last], axis=1)
        for measure, values in zip(MEASURES, curves[kind], strict=True):
            for v, row in zip(sizes, values, strict=True):
                report(f"V = {v}, std {SCALE_OF_INSET:g}, {name}, {measure}", row)
    return curves


def draw(scales, glorot, results, sizes, curves):
    """Accessibility against the scale of W, and against V in the inset, by both measures."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for i, (ax, measure) in enumerate(zip(axes, MEASURES, strict=True)):
        small = ax.inset_axes([0.67, 0.14, 0.3, 0.4])
        for kind, name in KINDS.items():
            style = {"linestyle": "--" if kind == "uniform" else "-"}
            AccessibilityDisplay(
                scales, results[kind][i], "standard deviation of W", f"{name} (V = {sizes[-1]})"
            ).plot(ax, **style)
            AccessibilityDisplay(sizes, curves[kind][i], "V").plot(small, **style)
        star = results["gaussian"][i][nearest(scales, glorot)].mean()
        ax.plot(glorot, star, "k*", markersize=12, label="Glorot's scale", zorder=3)
        ax.set(xlim=(scales[0], scales[-1]), ylim=(0, 1.02), title=f"10 Gibbs steps, {measure}")
        small.set(xscale="linear", ylabel="", xticks=sizes[::4])
        small.set_title(f"standard deviation {SCALE_OF_INSET:g}", fontsize=8)
        small.tick_params(labelsize=8)
        ax.get_legend().remove()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    axes[1].set_ylabel("")
    return figure


def main():
    """Sweep the scale at the largest V, and V at one scale."""
    chosen = options(__doc__, seeds=N_MODELS, quick_seeds=2)
    sizes = np.arange(4, 15 if chosen.quick else 21, 2)
    largest = int(sizes[-1])
    glorot = np.sqrt(2 / (largest + N_HIDDEN))
    scales = np.sort([*SCALES, glorot])
    results = {kind: all_models(kind, largest, chosen.seeds, scales) for kind in KINDS}
    report_scales(scales, glorot, results)
    curves = inset(sizes, chosen.seeds, scales, results)
    finish(draw(scales, glorot, results, sizes, curves), chosen)


if __name__ == "__main__":
    main()
