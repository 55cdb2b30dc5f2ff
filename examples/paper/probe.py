"""Section 5.2: what a classifier makes of the hidden layer
=========================================================

The paper draws one sample of the hidden layer for every image of MNIST and fits a logistic
regression to those samples. It reports accuracies of 95.47 ± 0.19 % on the training set and
93.84 ± 0.19 % on the test set with RARBMs of 3000 hidden units, and 93.01 ± 0.10 % and
92.04 ± 0.19 % with standard RBMs of 300, and takes them to show that the hidden layer has
learnt what matters in the images.

Measured: the same two accuracies, for the models of figure 6(a, b) by each reading of the recipe
(`mnist_runs.py`), for an RBM of 300 hidden units, and for an RARBM of 3000, both trained by this
package's defaults. Two controls say what of it is due to training: the pixels themselves, and
the hidden layer of the first model before training, which is a layer of random features.

The classifier is scikit-learn's logistic regression, of which the paper says no more; for each
row, C is picked among four on training images only.
Full settings: 60,000 and 10,000 images; the recipe's model as for figure 6(a, b), the RBM 30
epochs, the RARBM by defaults 5. ``--quick``: 1000 hidden units (60 for the RBM, 200 by defaults),
2000 images.

    python examples/paper/probe.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from mnist_runs import available, data_options, load_images, untrained
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

STRENGTHS = (3, 30, 300, 3000)
PAPER = {"RARBM, H = 3000": (95.47, 93.84), "RBM, H = 300": (93.01, 92.04)}


def classifier(strength, n_rows):
    """A logistic regression whose penalty on the weights goes down with its strength."""
    return LogisticRegression(C=strength / n_rows, max_iter=100)


def accuracies(digits, features):
    """Accuracies on training and test images in per cent, at the strength picked before."""
    X, y = features(digits.X), digits.y
    n_fit = min(10_000, len(X) // 2)
    held_out = slice(n_fit, n_fit + 5_000)
    scores = {
        strength: classifier(strength, n_fit)
        .fit(X[:n_fit], y[:n_fit])
        .score(X[held_out], y[held_out])
        for strength in STRENGTHS
    }
    fitted = classifier(max(scores, key=scores.get), len(X)).fit(X, y)
    of_test = fitted.score(features(digits.X_test), digits.y_test)
    return 100 * fitted.score(X, y), 100 * of_test


def of_hidden_sample(make_model, digits):
    """The accuracies with one sample of a model's hidden layer for each row."""
    model = make_model().set_params(hidden_features="sample")
    return accuracies(digits, model.transform)


def probe_of_recipe(run, last):
    """The accuracies of a model by the paper's recipe, made once and kept with the run."""
    epoch, model = run.trained(last)
    make = partial(of_hidden_sample, lambda: model, run.digits)
    return epoch, run.kept(f"{epoch:05d}_probe.pickle", make)


def controls(run):
    """The accuracies of the other rows, likewise."""
    makers = {
        "before training": ("probe_0", lambda: untrained(run.settings, run.digits.X, run.seed)),
        "RARBM by defaults": ("probe_rarbm", run.defaults_model),
        "RBM by defaults": ("probe_rbm", run.standard_model),
    }
    rows = {
        name: run.kept(f"{file}.pickle", partial(of_hidden_sample, make, run.digits))
        for name, (file, make) in makers.items()
    }
    pixels = partial(accuracies, run.digits, np.float32)
    return {"pixels": run.kept("probe_pixels.pickle", pixels), **rows}


def draw(rows):
    """Train and test accuracy of each row, and the paper's."""
    figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    rows = rows | {f"paper: {name}": np.array([pair]) for name, pair in PAPER.items()}
    names = list(rows)[::-1]
    for column, split in enumerate(("train", "test")):
        means = [rows[name][:, column].mean() for name in names]
        spreads = [rows[name][:, column].std() for name in names]
        ax.errorbar(means, names, xerr=spreads, fmt="o", label=split)
    ax.set_xlabel("accuracy (%)")
    ax.grid(axis="y", alpha=0.3)
    ax.legend()
    return figure


def main():
    """Train or load, classify, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_images(chosen.data_home, chosen.quick)
    rows = {}
    all_runs = available(chosen, digits)
    for found in all_runs:
        reading = found[0].settings.reading
        for run in found:
            epoch, row = probe_of_recipe(run, chosen.epochs)
            print(f"{reading}, seed {run.seed}, epoch {epoch}: {row[0]:.2f} %, {row[1]:.2f} %")
            rows.setdefault(f"recipe, {reading}", []).append(row)
    for run in all_runs[0]:
        for name, row in controls(run).items():
            rows.setdefault(name, []).append(row)
    rows = {name: np.array(values) for name, values in rows.items()}
    for name, values in rows.items():
        report(f"{name}, train %", values[:, 0], 4)
        report(f"{name}, test %", values[:, 1], 4)
    finish(draw(rows), chosen)


if __name__ == "__main__":
    main()
