"""Figure 7(a): the patterns after training on MNIST
==================================================

The paper shows eight visible patterns of a trained model, drawn at random, and says that they
look like no image of the data but like features of many.

Drawn: eight random patterns of a model of figure 6(a, b), trained as by the authors' code; signs
in colours. Measured, for each reading of the recipe (`mnist_runs.py`): the
largest overlap (cosine) of each pattern, as it is and negated, with any training image in
spins, against that of test images with training images; the share of patterns' elements that sit
at the bound of 1; and the share of hidden units whose mean is the same for all test images.

Full settings: as figure 6(a, b). ``--quick``: 1000 hidden units, 100 patterns, 2000 images, 64
epochs.

    python examples/paper/figure_7a.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import numpy as np
from mnist_measures import stuck_share
from mnist_runs import available, data_options, last_models, load_images
from paper import finish, options, report

from sklearn_rapid.diagnostics.displays import PatternsDisplay

N_PATTERNS = 8
N_TEST = 500


def largest_overlap(rows, X):
    """Largest absolute cosine of each row with any image in spins."""
    spins = 2.0 * X.astype(np.float32) - 1.0
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.abs(rows @ spins.T).max(axis=1) / np.sqrt(X.shape[1])


def measure(name, models, digits):
    """Report overlaps and saturation, a mean for each model."""
    patterns = [model.visible_patterns_ for model in models]
    overlaps = [largest_overlap(p, digits.X).mean() for p in patterns]
    report(f"{name}, largest overlap of a pattern with a training image", overlaps)
    report(f"{name}, share of elements at the bound", [np.mean(np.abs(p) >= 1) for p in patterns])
    report(f"{name}, their root mean square", [np.sqrt(np.mean(p**2)) for p in patterns])
    stuck = [stuck_share(model, digits.X_test) for model in models]
    report(f"{name}, share of hidden units with the same mean for all images", stuck)


def draw(model):
    """Eight patterns at random."""
    rows = np.random.default_rng(0).choice(model.n_patterns, N_PATTERNS, replace=False)
    return PatternsDisplay(model.visible_patterns_[rows]).plot(n_columns=4).figure_


def main():
    """Train or load, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    digits = load_images(chosen.data_home, chosen.quick)
    test = 2.0 * digits.X_test[:N_TEST].astype(np.float32) - 1.0
    overlap = largest_overlap(test, digits.X).mean()
    print(f"largest overlap of a test image with a training image: {overlap:.3f}")
    drawn = None
    for found in available(chosen, digits):
        epoch, models = last_models(found, chosen)
        measure(f"{found[0].settings.reading}, epoch {epoch}", models, digits)
        drawn = drawn or models[0]
    finish(draw(drawn), chosen)


if __name__ == "__main__":
    main()
