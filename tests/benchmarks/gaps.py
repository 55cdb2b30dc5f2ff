"""Rows with gaps: how well hidden entries are filled in by models of nothing but such rows.

    python tests/benchmarks/gaps.py digits mushrooms iris wine breast_cancer

Entries are left out at random. Each method has seen no others: it is fitted to the rows with gaps,
and fills in their gaps. Of binary sets the share of hidden entries that are right is printed, of
real ones the root mean squared error in units of each column's standard deviation; means over
draws of the gaps, and seconds.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import fetch_density_benchmark

SHARES = [0.1, 0.3, 0.5]
REAL = ["iris", "wine", "breast_cancer"]


class ByMachine:
    """Fits a machine to rows with gaps, and fills them with its means."""

    def __init__(self, model):
        self.model = model

    def fit_transform(self, X):
        """The rows with means where something was missing."""
        return self.model.fit(X).reconstruct(X, output="mean", random_state=0)


def rows_of(name, n_rows, data_home):
    """Whole rows, standardised if they are real."""
    if name in REAL:
        X = getattr(datasets, f"load_{name}")().data
        return (X - X.mean(axis=0)) / X.std(axis=0)
    if name == "digits":
        return (datasets.load_digits().data > 8).astype(float)
    X = fetch_density_benchmark(name, data_home=data_home).train
    return X[np.random.default_rng(0).permutation(len(X))[:n_rows]].astype(float)


def methods(is_real, n_columns):
    """What fills gaps, made anew for each draw."""
    how = {"random_state": 0, **({"visible": "gaussian"} if is_real else {})}
    size = {"n_components": 10 if is_real else 64}
    epochs = {"max_iter": 500 if is_real else 60}
    n_patterns = min(n_columns, 32)
    return {
        "column means": lambda: SimpleImputer(keep_empty_features=True),
        "KNNImputer": KNNImputer,
        "RBM": lambda: ByMachine(RBM(**size, **epochs, **how)),
        "RARBM": lambda: ByMachine(RARBM(**size, **epochs, **how, n_patterns=n_patterns)),
        "IterativeImputer": lambda: IterativeImputer(n_nearest_features=10, random_state=0),
    }


def quality(found, X, missing, is_real):
    """The share that is right, or the root mean squared error."""
    found, true = found[missing], X[missing]
    if is_real:
        return np.sqrt(np.mean((found - true) ** 2))
    return np.mean((found > 0.5) == (true > 0.5))


def main():
    """A table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["digits"])
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1000, help="at most, of the density sets")
    parser.add_argument("--data-home", default=None)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in args.names:
        X, is_real = rows_of(name, args.rows, args.data_home), name in REAL
        print(f"{name}: {X.shape[0]} rows of {X.shape[1]} columns", flush=True)
        for method, make in methods(is_real, X.shape[1]).items():
            cells, start = [], time.perf_counter()
            for share in SHARES:
                scores = []
                for draw in range(args.draws):
                    missing = np.random.default_rng(draw).random(X.shape) < share
                    filled = make().fit_transform(np.where(missing, np.nan, X))
                    scores.append(quality(filled, X, missing, is_real))
                cells.append(f"{np.mean(scores):.3f}")
            seconds = (time.perf_counter() - start) / (len(SHARES) * args.draws)
            print(f"| {method} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
