"""
Bars and stripes of 12x12 pixels (figure 5)
===========================================

The paper trains a machine with regularized axons and PID on 8188 images of bars or stripes,
80 % of them for training, with K = 40 patterns that are rounded to spins after every epoch. It
reports that the Hamming distance of completed images falls on the test set as it does on the
train set, and that chains from random states end in images of the test set.

Measured here, for three ways to train:

- the distance on 1638 train and all 1638 test images, in three ways. Known is a line of pixels
  *across* the bars or stripes (appendix C: "perpendicular to the direction of the bars"), which
  says all about an image: coins 0.458, an ideal model 0. Or known is the first *row* of every
  image, which says nothing about stripes: coins 0.458, an ideal model 0.229. Both with 10 Gibbs
  steps in which known pixels stay. Or, as the published script for 4x4 bars does, *one step*
  in which all pixels move: coins 0.5.
- of 1000 chains of 500 Gibbs steps from fair coins, how many end in a bars or stripes image, and
  how many of those are train and test images. A model that treats both alike generates one test
  image in five. Uniform images (all on or all off), which are not among the 8188, count apart.

The paper gives neither H nor rates, batch or epochs, and no script for this figure is published.
"RAPID" takes those of the published 4x4 script (H = 1000, rate 0.02, times 0.96 an epoch) but for
batches of 100 rows: best in the train distance of 24 pairs of rate and batch that were tried on
another split. There the hidden part of a pattern is E[h | v]; "RAPID, eq. 6" takes the pattern's
own. "package" is `RARBM` as it is by default, with the same H and K.

Each run has its own split and start. Full: 10 runs of 100 epochs, 10 minutes on one core.
Quick: one run of 20 epochs, under a minute.

    python examples/paper/figure_5.py [--quick] [--seeds N] [--save FIGURE.png]
"""

import matplotlib.pyplot as plt
import numpy as np
import paper
from matplotlib.patches import Rectangle

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import make_bars_and_stripes, train_test_split_by_negation
from sklearn_rapid.diagnostics import reconstruction_distance
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay

SIDE = 12
MEASURED_EPOCHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 65, 100)
WAYS = {
    "across": {"n_gibbs_steps": 10},
    "row": {"n_gibbs_steps": 10},
    "one step": {"n_gibbs_steps": 1, "clamp": False},
}
KINDS = ("train", "test", "uniform", "other")
COLORS = {"train": "tab:blue", "test": "tab:red", "uniform": "tab:gray", "other": "gold"}


def models(quick):
    """Estimators by name."""
    size = {"n_components": 1000, "n_patterns": 40, "max_iter": 20 if quick else 100}
    common = {**size, "units": "spin", "binarize": 0.0, "n_threads": 1}
    rapid = {
        **common,
        "optimizer": SGD(scaled=False),
        "learning_rate": ExponentialDecay(0.02, 0.96, floor=1e-5),
        "projection": "sign",
        "projection_period": "epoch",
        "init_scale": 1.0,
        "fit_intercept": False,
    }
    marginal, pattern = (
        PatternInducedCorrelations(n_gibbs_steps=0, persistent=False, hidden=hidden)
        for hidden in ("marginal", "pattern")
    )
    return {
        "RAPID": RARBM(**rapid, negative_phase=marginal),
        "RAPID, eq. 6": RARBM(**rapid, negative_phase=pattern),
        "package": RARBM(**common),
    }


class Distances:
    """A callback that measures the distances on two sets of images after some epochs."""

    def __init__(self, train, test):
        self.sets = {"train": train[: len(test)], "test": test}
        self.epoch = 0
        self.curves = {(way, name): [] for way in WAYS for name in self.sets}

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def teardown(self, estimator, context):
        """Nothing to clean up."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do before an epoch."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Measure, if it is time to."""
        if context.task_name != "epoch":
            return
        self.epoch += 1
        if self.epoch not in (*MEASURED_EPOCHS, estimator.max_iter):
            return
        for (way, name), curve in self.curves.items():
            X = self.sets[name]
            known = across(X) if way == "across" else np.arange(SIDE**2) < SIDE
            distances = reconstruction_distance(
                fitted_estimator, X, known, **WAYS[way], random_state=self.epoch
            )
            curve.append(distances.mean())


def across(X):
    """Mask of the first row of bars and of the first column of stripes."""
    images = X.reshape(-1, SIDE, SIDE)
    is_bars = np.all(images == images[:, :1, :], axis=(1, 2))
    pixels = np.arange(SIDE**2)
    return np.where(is_bars[:, None], pixels < SIDE, pixels % SIDE == 0)


def kinds_of(samples, train, test):
    """What each sample is, one of `KINDS`."""
    known = {"train": codes(train), "test": codes(test)}
    known["uniform"] = {code for value in (-1, 1) for code in codes(np.full((1, SIDE**2), value))}
    return np.array(
        [
            next((kind for kind, members in known.items() if code in members), "other")
            for code in (row.tobytes() for row in samples.astype(np.int8))
        ]
    )


def codes(X):
    """The rows of X as bytes, to be looked up."""
    return {row.tobytes() for row in X.astype(np.int8)}


def run(name, model, seed):
    """Train once: curves of distances, samples, and what they are."""
    X = make_bars_and_stripes(SIDE, units="spin")
    train, test = train_test_split_by_negation(X, test_size=0.2, random_state=seed)
    distances = Distances(train, test)
    model = model.set_params(random_state=seed).set_callbacks(distances).fit(train)
    samples = model.sample(1000, n_gibbs_steps=500, init="random", random_state=seed)
    kinds = kinds_of(samples, train, test)
    ends = {f"{way} {part}": curve[-1] for (way, part), curve in distances.curves.items()}
    shares = {kind: np.mean(kinds == kind) for kind in KINDS}
    n_test = len(codes(samples[kinds == "test"]))
    figures = {**ends, **shares, "different test images": n_test}
    print(f"  {name}, {seed}: " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()), flush=True)
    return {"curves": distances.curves, "samples": samples, "kinds": kinds, "figures": figures}


def report(name, runs):
    """Print the figures at the end of training."""
    print(f"{name}:")
    for figure in runs[0]["figures"]:
        values = [r["figures"][figure] for r in runs]
        kind = "share of samples that are " if figure in KINDS else ""
        is_distance = figure.endswith(("train", "test")) and not kind
        paper.report(f"  {kind}{figure}{' distance' if is_distance else ''}", values)
    gaps = [r["figures"]["across test"] - r["figures"]["across train"] for r in runs]
    paper.report("  across, test less train distance", gaps)
    valid = [r["figures"]["train"] + r["figures"]["test"] for r in runs]
    paper.report("  share of samples that are bars or stripes, not uniform", valid)
    shares = [r["figures"]["test"] / v for r, v in zip(runs, valid, strict=True) if v > 0]
    if shares:
        paper.report("  share of test images among those (0.2: as the data)", shares)


def draw_curves(ax, runs, max_iter):
    """Train and test distances of one way to train against epochs."""
    epochs = [e for e in MEASURED_EPOCHS if e <= max_iter]
    epochs += [max_iter] if epochs[-1] != max_iter else []
    for way, color in (("across", "tab:blue"), ("row", "tab:orange")):
        for part, style in (("train", "-"), ("test", "--")):
            curves = np.array([r["curves"][way, part] for r in runs])
            mean, spread = curves.mean(axis=0), curves.std(axis=0)
            ax.plot(epochs, mean, style, color=color, label=f"{way}, {part}")
            if part == "test":
                ax.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.2)
    ax.axhline(0.5 * (1 - 1 / SIDE), color="tab:gray", linestyle=":", label="coins")
    ax.set(xscale="log", xlabel="epoch", ylim=(0, 0.5))


def draw_samples(ax, run, n=18, n_columns=6):
    """The first samples of a run, framed by what they are."""
    ax.set(xlim=(-1, 14 * n_columns - 1), ylim=(14 * (n // n_columns) - 1, -1), aspect="equal")
    ax.axis("off")
    for i in range(n):
        row, column = 14 * (i // n_columns), 14 * (i % n_columns)
        extent = (column, column + SIDE, row + SIDE, row)
        image = run["samples"][i].reshape(SIDE, SIDE)
        ax.imshow(image, cmap="gray", vmin=-1, vmax=1, extent=extent)
        frame = {"fill": False, "color": COLORS[run["kinds"][i]], "linewidth": 2.5}
        ax.add_patch(Rectangle((column, row), SIDE, SIDE, **frame))


def draw(results, max_iter):
    """Distances above, samples below."""
    shape = {"figsize": (10, 4.9), "height_ratios": (3, 2), "layout": "constrained"}
    figure, axes = plt.subplots(2, len(results), **shape)
    for (name, runs), (above, below) in zip(results.items(), axes.T, strict=True):
        draw_curves(above, runs, max_iter)
        above.set_title(name)
        draw_samples(below, runs[0])
    axes[0, 0].set_ylabel("Hamming distance")
    axes[0, 0].legend(fontsize=8)
    frames = [Rectangle((0, 0), 1, 1, fill=False, color=COLORS[kind]) for kind in KINDS]
    labels = ("train image", "test image", "uniform", "neither bars nor stripes")
    figure.legend(frames, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def main():
    """Train, print and draw."""
    chosen = paper.options(__doc__, seeds=10)
    results = {
        name: [run(name, model, seed + 1) for seed in chosen.seeds]
        for name, model in models(chosen.quick).items()
    }
    for name, runs in results.items():
        report(name, runs)
    max_iter = models(chosen.quick)["RAPID"].max_iter
    paper.finish(draw(results, max_iter), chosen)


if __name__ == "__main__":
    main()
