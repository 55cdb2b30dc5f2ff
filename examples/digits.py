"""Features of handwritten digits
==============================

Hidden features for a classifier.

Five-fold accuracy of a logistic regression on RARBM features, on raw pixels, and on features
of scikit-learn's BernoulliRBM with the same number of hidden units and at least the same time
to fit (at the better of two learning rates). The RARBM's setting was picked after comparing
many on these digits; ``tests/benchmarks/digits_nested.py`` lets every method choose fairly. Then
patterns and samples of an RARBM as images.

    python examples/digits.py [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/digits.png"
import argparse
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline

from sklearn_rapid import RARBM

N_COMPONENTS = 256
BERNOULLI_LEARNING_RATES = (0.03, 0.1)


def rarbm():
    """An RARBM for grey images: a pixel's value is the probability that it is on.

    Initial patterns somewhat larger than the default make features less linear.
    """
    return RARBM(N_COMPONENTS, init_scale=0.35, max_iter=150, random_state=0)


def classifier():
    """The same for all features."""
    return LogisticRegression(C=10.0, max_iter=300)


def seconds_to_fit(model, X):
    """Wall time of one fit."""
    start = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - start


def bernoulli_iterations(X):
    """Iterations that BernoulliRBM makes in the time that the RARBM takes, rounded up."""
    rarbm().set_params(max_iter=1).fit(X)  # compiles the kernels, once after installation
    ours = seconds_to_fit(rarbm(), X)
    theirs = seconds_to_fit(BernoulliRBM(N_COMPONENTS, n_iter=5, random_state=0), X) / 5
    n_iter = int(np.ceil(ours / theirs))
    print(f"RARBM takes {ours:.1f} s; so does BernoulliRBM with n_iter={n_iter}")
    return n_iter


def accuracies(name, model, X, y, cv):
    """Accuracy in each fold, printed."""
    scores = cross_val_score(model, X, y, cv=cv)
    print(f"{name:42s} {scores.mean():.4f} ± {scores.std():.4f} over {scores.size} folds")
    return scores


def compare(X, y):
    """Print the accuracies, and what the RARBM gains fold by fold."""
    cv = StratifiedKFold(5, shuffle=True, random_state=1)
    n_iter = bernoulli_iterations(X)
    ours = accuracies("RARBM features", make_pipeline(rarbm(), classifier()), X, y, cv)
    others = {"raw pixels": accuracies("raw pixels", classifier(), X, y, cv)}
    runs = []
    for rate in BERNOULLI_LEARNING_RATES:
        theirs = BernoulliRBM(N_COMPONENTS, learning_rate=rate, n_iter=n_iter, random_state=0)
        name = f"BernoulliRBM features, learning_rate={rate}"
        runs.append(accuracies(name, make_pipeline(theirs, classifier()), X, y, cv))
    others["BernoulliRBM features"] = max(runs, key=np.mean)
    for name, scores in others.items():
        gain = ours - scores
        print(f"RARBM beats {name} by {gain.mean():+.4f} ± {gain.std():.4f} a fold")


def draw(X, file):
    """Data, patterns, hidden units and samples as images."""
    model = rarbm().fit(X)
    print(f"mean log-likelihood of the binarized digits: {model.score(X > 0.5):.2f} nats")
    samples = model.sample(32, random_state=0)
    rows = {
        "digits (binarized)": (X > 0.5)[:32],
        "samples": samples,
        "visible patterns": model.visible_patterns_[:32],
        "hidden units": model.components_[:32],
    }
    figure, axes = plt.subplots(4, 1, figsize=(10, 4), layout="constrained")
    for ax, (title, images) in zip(axes, rows.items(), strict=True):
        strips = images.reshape(2, 16, 8, 8).astype(float)
        strips = np.pad(strips, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
        ax.imshow(strips.transpose(0, 2, 1, 3).reshape(20, 160), cmap="gray")
        ax.set_title(title, loc="left", fontsize=9)
        ax.axis("off")
    if file:
        figure.savefig(file, dpi=120)
        print(f"wrote {file}")
    else:
        plt.show()


def main():
    """Compare, then draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", metavar="FIGURE.png", help="write the figure to a file")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    compare(X, y)
    draw(X, args.save)


if __name__ == "__main__":
    main()
