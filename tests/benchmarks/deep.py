"""Deep machines beside restricted ones: nats per row that none of them has seen.

    python tests/benchmarks/deep.py digits
    python tests/benchmarks/deep.py mnist --data-home ../shared/data --rows 20000
    python tests/benchmarks/deep.py features --seeds 0 1 2   # of layers, for a classifier

Each fit runs in one thread, and its time is that of the processor. Of deep machines the mean
lower bound is printed, and an estimate by annealing with its error in a row; of all, log Z and
whether it is to be trusted.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sklearn_rapid import DBM, RADBM, RARBM, RBM
from sklearn_rapid.datasets import fetch_mnist

HOW = {"n_threads": 1}
N_VALIDATION = {"digits": 200, "mnist": 500}


def rows_of(name, data_home, n_rows, seed):
    """Binary rows to train on, to choose by and to test on."""
    if name == "digits":
        X = load_digits().data > 7.5
    else:
        X = np.asarray(fetch_mnist(data_home, return_X_y=True)[0]) > 127
    X = np.random.default_rng(seed).permutation(X.astype(np.uint8))
    n = N_VALIDATION[name]
    return X[2 * n :][:n_rows], X[:n], X[n : 2 * n]


def models(name, epochs):
    """Estimators by what they are called in the table; restricted ones may take more epochs."""
    sizes, n_patterns = ((100, 50), 40) if name == "digits" else ((500, 500), 190)
    deep = {**HOW, "hidden_layer_sizes": sizes, "max_iter": epochs}
    flat = {**HOW, "n_components": sizes[0]}
    return {
        "RBM": RBM(**flat, max_iter=epochs),
        "RBM, 3 times as long": RBM(**flat, max_iter=3 * epochs),
        "DBM, mean field": DBM(**deep),
        "DBM, clamped": DBM(**deep, positive_phase="clamped"),
        "DBM, not centred": DBM(**deep, center=False),
        "RARBM": RARBM(**flat, n_patterns=n_patterns, max_iter=epochs),
        "RARBM, 3 times as long": RARBM(**flat, n_patterns=n_patterns, max_iter=3 * epochs),
        "RADBM, mean field": RADBM(**deep, n_patterns=n_patterns),
        "RADBM, clamped": RADBM(**deep, n_patterns=n_patterns, positive_phase="clamped"),
    }


def main():
    """A line for each model and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["digits", "mnist", "features"])
    parser.add_argument("--data-home")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.name == "features":
        for seed in args.seeds:
            compare_features(seed, args.epochs or 20)
        return
    epochs = args.epochs or {"digits": 100, "mnist": 20}[args.name]
    for seed in args.seeds:
        train, validation, test = rows_of(args.name, args.data_home, args.rows, 0)
        for called, model in models(args.name, epochs).items():
            if args.only and called not in args.only:
                continue
            start = time.process_time()
            model.set_params(random_state=seed).fit(train)
            seconds = time.process_time() - start
            log_z = model.log_partition(max_sweeps=args.sweeps)
            # Kept, as `log_partition_` keeps its own.
            model._kept_log_partition = model._parameter_digest(), log_z.value
            trust = "" if log_z.is_trusted else ", not trusted"
            print(f"{called}, seed {seed}: {seconds:.0f} s, log Z ± {log_z.error:.2f}{trust}")
            for of, rows in (("validation", validation), ("test", test)):
                print(f"    {of:10s} {scores(model, rows)}", flush=True)


def compare_features(seed, epochs):
    """Of all defaults: the accuracy of a regression on each layer of features, and nats."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.data))
    X, y = (digits.data > 8)[order], digits.target[order]
    how = {**HOW, "max_iter": epochs, "random_state": seed}
    for model in (RBM(**how), RARBM(**how), DBM(**how), RADBM(**how)):
        model.fit(X[:1300])
        layers = ("first", "last", "all") if hasattr(model, "output_layers") else ("",)
        found = []
        for shown in layers:
            if shown:
                model.set_params(output_layers=shown)
            features = model.transform(X)
            classifier = LogisticRegression(max_iter=500).fit(features[:1300], y[:1300])
            accuracy = classifier.score(features[1300:], y[1300:])
            spread = features.std(axis=0).mean()
            found.append(f"{shown} {accuracy:.3f} (features vary by {spread:.3f})")
        print(f"{type(model).__name__}, seed {seed}: {', '.join(found)}")
        print(f"    {scores(model, X[1300:])}", flush=True)


def scores(model, rows):
    """What a model says of rows: a bound and an estimate, or the log-likelihood itself."""
    if not hasattr(model, "lower_bound"):
        return f"log-likelihood {model.score(rows):8.2f}"
    log_p, error = model.score_samples(rows, n_chains=8, return_error=True)
    of_bound = f"bound {np.mean(model.lower_bound(rows)):8.2f}"
    return f"{of_bound}, estimate {np.mean(log_p):8.2f} ({np.mean(error):.2f} a row)"


if __name__ == "__main__":
    main()
