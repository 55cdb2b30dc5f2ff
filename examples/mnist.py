"""MNIST at full size
==================

Test log-likelihood, hidden features for a classifier, samples.

    python examples/mnist.py --minutes 10 [--data-home PATH] [--save FIGURE.png]

Defaults but for H, K and the number of epochs, which is what fits into three fifths of
the minutes. The images are in PATH/mnist as the four published IDX files, or are downloaded.
"""

# sphinx_gallery_thumbnail_path = "images/paper/figure_6c.png"
import argparse
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import fetch_mnist

N_TRAIN = 60_000
TIMED_ROWS = 5_000
TRAINING_SHARE = 0.6


def epochs_for(minutes, model, X):
    """How many epochs of training fit into a share of the minutes."""
    model.partial_fit(X[:200])  # compiles the kernels, once after installation
    start = time.perf_counter()
    model.partial_fit(X[:TIMED_ROWS])
    seconds = (time.perf_counter() - start) * X.shape[0] / TIMED_ROWS
    return max(1, int(TRAINING_SHARE * 60 * minutes / seconds))


def train(X, args):
    """A model trained for as long as there is time."""
    settings = dict(n_components=args.components, n_patterns=args.patterns, random_state=0)
    max_iter = args.epochs or epochs_for(args.minutes, RARBM(**settings), X)
    start = time.perf_counter()
    model = RARBM(**settings, max_iter=max_iter, verbose=1).fit(X)
    print(f"trained {max_iter} epochs in {time.perf_counter() - start:.0f} s")
    return model


def report_likelihood(model, X, X_test):
    """Mean log-likelihoods, with the error of log Z."""
    start = time.perf_counter()
    log_z = model.log_partition(max_sweeps=4000)
    for name, rows in (("test", X_test), ("train", X[:10_000])):
        mean = -model.free_energy(rows).mean() - log_z.value
        print(f"{name} log-likelihood {mean:.2f} ± {log_z.error:.2f} nats, {log_z.method}")
    print(
        f"{log_z.n_round_trips} round trips in {log_z.n_chains} ladders, "
        f"{time.perf_counter() - start:.0f} s"
    )


def report_probe(model, X, y, X_test, y_test):
    """Accuracy of a logistic regression on the hidden features."""
    start = time.perf_counter()
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
    probe.fit(model.transform(X), y)
    accuracy = probe.score(model.transform(X_test), y_test)
    print(f"probe: test accuracy {accuracy:.4f}, {time.perf_counter() - start:.0f} s")


def draw(model, X_test, file):
    """Test images, samples and patterns."""
    rows = {
        "test images": X_test[:20],
        "samples": model.sample(20, n_gibbs_steps=2000, random_state=0),
        "visible patterns": model.visible_patterns_[:20],
    }
    figure, axes = plt.subplots(3, 1, figsize=(10, 4.2), layout="constrained")
    for ax, (title, images) in zip(axes, rows.items(), strict=True):
        strip = images.reshape(2, 10, 28, 28).transpose(0, 2, 1, 3).reshape(56, 280)
        ax.imshow(strip, cmap="gray")
        ax.set_title(title, loc="left", fontsize=9)
        ax.axis("off")
    if file:
        figure.savefig(file, dpi=120)
        print(f"wrote {file}")
    else:
        plt.show()


def main():
    """Train, report, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--epochs", type=int, help="instead of what fits into the minutes")
    parser.add_argument("--components", type=int, default=500)
    parser.add_argument("--patterns", type=int, default=190)
    parser.add_argument("--data-home", help="folder that holds mnist/")
    parser.add_argument("--save", metavar="FIGURE.png", help="write the figure to a file")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = fetch_mnist(args.data_home, return_X_y=True)
    X = (X > 127).astype(np.uint8)
    X, X_test, y, y_test = X[:N_TRAIN], X[N_TRAIN:], y[:N_TRAIN], y[N_TRAIN:]
    model = train(X, args)
    report_likelihood(model, X, X_test)
    report_probe(model, X, y, X_test, y_test)
    draw(model, X_test, args.save)


if __name__ == "__main__":
    main()
