"""Densities of real columns: RBM and RARBM beside mixtures of normal distributions.

    python tests/benchmarks/real_columns.py iris wine breast_cancer digits

Each method's settings are chosen by the log-likelihood of a fifth of the rows; another fifth is
tested. Means over splits, in nats per row. Digits are whole numbers: noise in [0, 1) is added, as
densities of whole numbers have no bound.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import ParameterGrid

from sklearn_rapid import RARBM, RBM

MIXTURE = {
    "n_components": [1, 2, 3, 4, 6, 8, 12],
    "reg_covar": [1e-6, 1e-3, 1e-2],
    "covariance_type": ["full", "tied", "diag"],
}
MACHINE = {"n_components": [3, 10, 30], "l1_penalty": [0.0, 3.0], "max_iter": [300, 1500]}
HOW = {"visible": "gaussian", "random_state": 0}


def parts(name, seed):
    """Rows to train on, to choose by and to test on, in units of their standard deviations."""
    X = getattr(datasets, f"load_{name}")().data
    rng = np.random.default_rng(seed)
    X = rng.permutation(X)
    if name == "digits":
        X = X + rng.random(X.shape)
    first, second = int(0.6 * len(X)), int(0.8 * len(X))
    return np.split(X / X.std(axis=0), [first, second])


def methods(n_columns):
    """Estimators and what is chosen of each."""
    diagonal = {"n_components": [1], "covariance_type": ["diag"]}
    return {
        "one diagonal normal": (GaussianMixture(), diagonal),
        "one normal": (GaussianMixture(), {**MIXTURE, "n_components": [1]}),
        "mixture": (GaussianMixture(random_state=0, n_init=3), MIXTURE),
        "RBM": (RBM(**HOW), MACHINE),
        "RARBM": (RARBM(**HOW, n_patterns=n_columns), MACHINE),
    }


def main():
    """A line for each method on each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["iris"])
    parser.add_argument("--splits", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", RuntimeWarning)
    for name in args.names:
        splits = [parts(name, seed) for seed in range(args.splits)]
        print(f"{name}: {len(splits[0][0])} rows of {splits[0][0].shape[1]} columns", flush=True)
        for method, (estimator, grid) in methods(splits[0][0].shape[1]).items():
            start, scores, chosen = time.perf_counter(), [], []
            for train, validation, test in splits:
                fitted = [clone(estimator).set_params(**p).fit(train) for p in ParameterGrid(grid)]
                best = max(fitted, key=lambda model: model.score(validation))
                scores.append(best.score(test))
                chosen.append({key: best.get_params()[key] for key in grid})
            seconds = time.perf_counter() - start
            print(
                f"  {method:20s} {np.mean(scores):8.3f} ± {np.std(scores):.3f} nats, "
                f"{seconds:.0f} s for all; {chosen[0]}",
                flush=True,
            )


if __name__ == "__main__":
    main()
