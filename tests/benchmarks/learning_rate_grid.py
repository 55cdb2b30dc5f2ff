"""Does one learning rate train stably over a grid of K, H and batch sizes?

    python tests/benchmarks/learning_rate_grid.py digits
    python tests/benchmarks/learning_rate_grid.py mnist --data-home PATH

Prints, for each model with default parameters otherwise, the test log-likelihood (AIS, nats)
after each quarter of training, and the largest loss from any quarter to a later one.
"""

from __future__ import annotations

import argparse
import itertools
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import fetch_mnist

QUARTERS = 4


class QuarterlyScores:
    """A callback that scores the model four times in a fit."""

    def __init__(self, X_test, max_iter):
        self.X_test, self.max_iter = X_test, max_iter
        self.scores = []

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def teardown(self, estimator, context):
        """Nothing to clean up."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do before an epoch."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Score after every quarter of the epochs."""
        if fitted_estimator is None or (context.task_id + 1) * QUARTERS % self.max_iter:
            return
        log_z = fitted_estimator.log_partition("ais", n_chains=100, n_temperatures=1000)
        free_energy = fitted_estimator.free_energy(self.X_test).mean()
        self.scores.append(float(-free_energy - log_z.value))


def digits():
    """Binarized 8x8 digits."""
    X = (load_digits().data > 8).astype(np.uint8)
    return train_test_split(X, test_size=0.2, random_state=0)


def mnist(data_home):
    """A sixth of MNIST to train on, a tenth of its test set."""
    X = fetch_mnist(data_home=data_home, download_if_missing=False).data > 127
    return X[:10_000], X[60_000:61_000]


def main():
    """Print one line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=["digits", "mnist"])
    parser.add_argument("--data-home")
    parser.add_argument("--learning-rate", type=float, help="constant; default is 'auto'")
    parser.add_argument("--max-iter", type=int)
    parser.add_argument("--patterns", type=int, nargs="+", default=[8, 64, 190, 300])
    parser.add_argument("--components", type=int, nargs="+", default=[64, 500, 1000, 3000])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[10, 100, 1000])
    args = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    X, X_test = digits() if args.data == "digits" else mnist(args.data_home)
    max_iter = args.max_iter or (20 if args.data == "digits" else 12)
    print(f"{'K':>4} {'H':>5} {'batch':>5}  test nats after each quarter      largest loss")
    for k, h, b in itertools.product(args.patterns, args.components, args.batch_sizes):
        scores = QuarterlyScores(X_test, max_iter)
        model = RARBM(
            h, k, batch_size=b, max_iter=max_iter, random_state=0,
            learning_rate=args.learning_rate or "auto",
        )  # fmt: skip
        model.set_callbacks(scores).fit(X)
        losses = [max(a - b for b in scores.scores[i:]) for i, a in enumerate(scores.scores)]
        figures = " ".join(f"{s:8.2f}" for s in scores.scores)
        print(f"{k:4d} {h:5d} {b:5d}  {figures}  {max(losses):8.2f}", flush=True)


if __name__ == "__main__":
    main()
