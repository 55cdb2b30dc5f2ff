"""
Completing corrupted images (appendix C)
========================================

The paper judges its machines by images of bars of which the first row is left: all other pixels
are set to 0, neither on nor off, Gibbs steps follow, and the distance is the number of wrong
pixels over that of all pixels. It says that coins have the distance 0.5.

With the first row kept through the steps, as its text has it, coins are wrong on half of the 12
other pixels only: 0.375. Where all pixels move, as in the one step of the published script, they
do have 0.5. So which of the two is meant decides what a distance is to be compared with.

Measured here, on the 4 test images of 4x4 bars: coins both ways, and machines both ways, trained
on the other 10 images as the published script does (K = 8, H = 1000, batches of 3, rate 0.02
times 0.96 an epoch, patterns rounded every epoch, 300 epochs). The paper's split is fixed (test
images 1010, 1001 and their negatives); random splits, which also keep an image and its negative
together, are run beside it. The figure shows the paper's test images as the first and the worst
machine complete them with the first row kept.

Full: 20 machines for each kind of split, a minute on one core. Quick: 2 of 100 epochs, seconds.

    python examples/paper/appendix_c.py [--quick] [--seeds N] [--save FIGURE.png]
"""

import matplotlib.pyplot as plt
import numpy as np
import paper

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import make_bars, train_test_split_by_negation
from sklearn_rapid.diagnostics import reconstruction_distance
from sklearn_rapid.diagnostics.displays import ReconstructionDisplay
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay

SIDE = 4
FIRST_ROW = np.arange(SIDE**2) < SIDE
WAYS = {
    "known row kept, 10 steps (text)": {"n_gibbs_steps": 10, "clamp": True},
    "all pixels move, 1 step (script)": {"n_gibbs_steps": 1, "clamp": False},
}
# Distances are means over so many completions of each image.
N_COMPLETIONS = 100


def paper_split():
    """The train and test images of the published script."""
    X = make_bars(SIDE, units="spin")
    lines = X[:, :SIDE]
    in_test = (lines.sum(axis=1) == 0) & (lines[:, 0] != lines[:, 1])
    return X[~in_test], X[in_test]


def random_split(seed):
    """Ten train and four test images."""
    X = make_bars(SIDE, units="spin")
    return train_test_split_by_negation(X, test_size=4, random_state=seed)


def rapid(seed, quick):
    """The paper's machine."""
    return RARBM(
        n_components=1000,
        n_patterns=8,
        units="spin",
        binarize=None,
        negative_phase=PatternInducedCorrelations(n_gibbs_steps=0, persistent=False),
        optimizer=SGD(scaled=False),
        learning_rate=ExponentialDecay(0.02, 0.96, floor=1e-5),
        batch_size=3,
        max_iter=100 if quick else 300,
        projection="sign",
        projection_period="epoch",
        init_scale=1.0,
        fit_intercept=False,
        n_threads=1,
        random_state=seed,
    )


def coins(test, seed):
    """Distances of fair coins with the first row kept, and without."""
    truth = np.tile(test, (N_COMPLETIONS, 1))
    tosses = np.random.default_rng(seed).choice([-1, 1], truth.shape)
    kept = np.where(FIRST_ROW, truth, tosses)
    return np.mean(kept != truth), np.mean(tosses != truth)


def distance(model, X, way, seed):
    """Mean distance over many completions of each image."""
    X = np.tile(X, (N_COMPLETIONS, 1))
    return np.mean(reconstruction_distance(model, X, FIRST_ROW, **way, random_state=seed))


def measure(split, chosen):
    """Print the distances of one kind of split; return machines and their test distances."""
    rows, models = [], []
    for seed in chosen.seeds:
        train, test = split(seed)
        models.append(rapid(seed, chosen.quick).fit(train))
        rows.append(
            [distance(models[-1], X, way, seed) for way in WAYS.values() for X in (train, test)]
            + list(coins(test, seed))
        )
    *machine, kept, free = np.array(rows).T
    for i, way in enumerate(WAYS):
        print(f"  {way}:")
        paper.report("    train", machine[2 * i])
        paper.report("    test", machine[2 * i + 1])
        paper.report("    coins", (kept, free)[i])
        paper.report("    machines without an error on test images", machine[2 * i + 1] == 0)
    return models, machine[1]


def draw(models, distances, test):
    """Corrupted, completed and true images by the first machine and by the worst one."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    chosen = {"first machine": 0, f"worst of {len(models)} machines": np.argmax(distances)}
    for ax, (name, i) in zip(axes, chosen.items(), strict=True):
        ReconstructionDisplay.from_estimator(
            models[i], test, FIRST_ROW, n_gibbs_steps=10, random_state=0, ax=ax
        )
        ax.set_title(f"{name}, distance {distances[i]:.2g}", fontsize=10)
    return figure


def main():
    """Train, print and draw."""
    chosen = paper.options(__doc__, seeds=20, quick_seeds=2)
    print("the paper's split:")
    models, distances = measure(lambda seed: paper_split(), chosen)
    print("random splits:")
    measure(random_split, chosen)
    paper.finish(draw(models, distances, paper_split()[1]), chosen)


if __name__ == "__main__":
    main()
