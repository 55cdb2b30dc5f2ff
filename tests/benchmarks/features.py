"""Features for a logistic regression: whose are worth it?

    python tests/benchmarks/features.py digits nltcs plants jester mushrooms mnist
    python tests/benchmarks/features.py probe --methods RARBM "raw columns"

For digits and MNIST the label is the digit. The sets of the density benchmark have none: their most
balanced column is held out as one. Every method's settings are chosen by three-fold
cross-validation inside the training rows, its accuracy is that on test rows (the error is that of a
share of so many). Features are fitted without labels.

An update of BernoulliRBM takes ten rows and one of ours a hundred, so that ours get five times as
many epochs; seconds of the searches are printed.

"probe" is all of MNIST: the last 10,000 of the training rows choose, then all 60,000 are fitted,
and the test rows looked at once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import fetch_density_benchmark, fetch_mnist

N_FEATURES, MOST_ROWS, N_TEST = 256, 2000, 5000
C = [0.003, 0.03, 0.3, 3.0]
N_TRAIN, N_HELD_OUT, PROBE_C = 60_000, 10_000, [0.01, 0.1, 0.3, 1.0]


def data(name, data_home):
    """Rows in [0, 1] and labels to train on and to test on."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return train_test_split(X / 16, y, random_state=0, stratify=y)
    if name == "mnist":
        X, y = fetch_mnist(data_home, return_X_y=True)
        X = X / np.float32(255)
        return X[:MOST_ROWS], X[60_000 : 60_000 + N_TEST], y[:MOST_ROWS], y[60_000:][:N_TEST]
    benchmark = fetch_density_benchmark(name, data_home)
    parts = benchmark.train[:MOST_ROWS], benchmark.test[:N_TEST]
    label = int(np.argmin(np.abs(parts[0].mean(axis=0) - 0.5)))
    rows = (np.delete(part, label, axis=1) for part in parts)
    return *rows, *(part[:, label] for part in parts)


def methods(n_columns):
    """Steps before the regression, and what is chosen of each."""
    width = min(N_FEATURES, n_columns)
    return {
        "raw columns": ("passthrough", {}),
        "RBM": (
            RBM(N_FEATURES, random_state=0),
            {"l1_penalty": [0.0, 10.0], "max_iter": [100, 500]},
        ),
        "RARBM": (
            RARBM(N_FEATURES, random_state=0),
            {"init_scale": ["auto", 0.35], "max_iter": [100, 500]},
        ),
        "BernoulliRBM": (
            BernoulliRBM(N_FEATURES, random_state=0),
            {"learning_rate": [0.01, 0.1], "n_iter": [20, 100]},
        ),
        "PCA": (PCA(width, random_state=0), {}),
        "Nystroem": (
            Nystroem(n_components=N_FEATURES, random_state=0),
            {"gamma": [0.1 / n_columns, 1.0 / n_columns, 5.0 / n_columns]},
        ),
    }


def probe_methods(sizes, epochs):
    """The same for all of MNIST: defaults but for numbers of units and epochs."""
    return {
        "raw columns": ("passthrough", {}),
        "RBM": (RBM(random_state=0), {"n_components": sizes, "max_iter": epochs}),
        "RARBM": (RARBM(random_state=0), {"n_components": sizes, "max_iter": epochs}),
        "BernoulliRBM": (BernoulliRBM(random_state=0), {"n_components": sizes, "n_iter": epochs}),
    }


def probe(args):
    """A line for each setting of each method on all of MNIST, and the test rows by the best."""
    X, y = fetch_mnist(args.data_home, return_X_y=True)
    X = X / np.float32(255)
    held_out = PredefinedSplit(np.repeat([-1, 0], [N_TRAIN - N_HELD_OUT, N_HELD_OUT]))
    # In float64, as scikit-learn's solver converts all rows at each step otherwise.
    regression = LogisticRegression(max_iter=200)
    classifier = make_pipeline(FunctionTransformer(np.float64), StandardScaler(), regression)
    of_probe = probe_methods(args.components, args.epochs)
    for method, (features, grid) in chosen(of_probe, args.methods):
        grid = {
            "classifier__logisticregression__C": PROBE_C,
            **{f"features__{k}": v for k, v in grid.items()},
        }
        with tempfile.TemporaryDirectory() as folder:  # features are fitted once for all C
            steps = [("features", features), ("classifier", classifier)]
            pipeline = Pipeline(steps, memory=folder)
            search = GridSearchCV(pipeline, grid, cv=held_out, verbose=3)
            search.fit(X[:N_TRAIN], y[:N_TRAIN])
        report(method, search, X[N_TRAIN:], y[N_TRAIN:], search.refit_time_)


def chosen(of_set, names):
    """Those methods that were asked for by name; all, if none was."""
    return [(name, of_set[name]) for name in names or of_set]


def report(method, search, X_test, y_test, seconds):
    """Accuracy on test rows, with the error of a share of so many, and what was chosen."""
    accuracy = search.score(X_test, y_test)
    error = np.sqrt(accuracy * (1 - accuracy) / len(y_test))
    print(
        f"  {method:15s} {accuracy:.4f} ± {error:.4f}, {seconds:.0f} s, {search.best_params_}",
        flush=True,
    )


def main():
    """A line for each method on each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["digits"])
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="a few of them")
    parser.add_argument("--data-home", default="../shared/data")
    parser.add_argument("--components", type=int, nargs="+", default=[1000], help="of the probe")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 40], help="of the probe")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if "probe" in args.names:
        if len(args.names) > 1:
            parser.error(f"probe stands alone, got {args.names}; methods go behind --methods")
        probe(args)
        return
    for name in args.names:
        X, X_test, y, y_test = data(name, args.data_home)
        print(f"{name}: {len(X)} rows of {X.shape[1]} columns, {len(X_test)} test rows", flush=True)
        for method, (features, grid) in chosen(methods(X.shape[1]), args.methods):
            with tempfile.TemporaryDirectory() as folder:  # features are fitted once for all C
                regression = LogisticRegression(max_iter=300)
                steps = [("features", features), ("scale", StandardScaler()), ("lr", regression)]
                grid = {"lr__C": C, **{f"features__{k}": v for k, v in grid.items()}}
                start = time.perf_counter()
                search = GridSearchCV(Pipeline(steps, memory=folder), grid, cv=3).fit(X, y)
                seconds = time.perf_counter() - start
            report(method, search, X_test, y_test, seconds)


if __name__ == "__main__":
    main()
