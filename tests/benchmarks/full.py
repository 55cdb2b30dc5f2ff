"""Pair models of binary rows: RABM beside RBM, pseudo-likelihood and BernoulliRBM.

    python tests/benchmarks/full.py nltcs plants jester mushrooms

What is to be chosen of a method is chosen by the validation rows; test nats per row are with log Z
by the package for all of them (a question mark: not trusted). The machines are trained for as many
updates as each other. Seconds are those of processors, all that is tried included.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM

from sklearn_rapid import RABM, RBM
from sklearn_rapid.datasets import fetch_density_benchmark
from sklearn_rapid.training.optimizers import LinearDecay

EXAMPLES = Path(__file__).parents[2] / "examples"
UPDATES, BATCH = 4000, 100
# Numbers of patterns and first rates: those that `RABM` and `RBM` have by default.
CHOICES = (16, 0.1), (64, 0.1), (64, 0.25)
STRENGTHS = (0.01, 0.1)


def by_pseudo_likelihood(X, strength):
    """The pair model whose couplings are the mean of both columns' logistic regressions."""
    n = X.shape[1]
    spins, J, b = 2.0 * X - 1.0, np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        if len(np.unique(X[:, i])) == 1:
            b[i] = np.log(len(X) + 1.0) / 2 * spins[0, i]  # as if one more row were half on
            continue
        fitted = LogisticRegression(C=strength, max_iter=300).fit(spins[:, rest], X[:, i])
        # The log-odds of a spin are twice its field.
        J[i, rest], b[i] = fitted.coef_[0] / 2, fitted.intercept_[0] / 2
    return of_couplings(0.5 * (J + J.T), b, X)


def of_couplings(J, b, X):
    """An RABM with these couplings: their diagonal is raised until no eigenvalue is negative."""
    values, vectors = np.linalg.eigh(J)
    values = values - values[0]
    model = RABM(n_patterns=len(J), max_iter=1, random_state=0).fit(X)
    model.components_ = np.float32((vectors * np.sqrt(values)).T)
    # The fields of spins in the mean of the rows, as training leaves them: annealing likes it.
    model.intercept_hidden_ = np.float32(-model.components_ @ (2.0 * X.mean(axis=0) - 1.0))
    model.intercept_visible_ = np.float32(b - model.components_.T @ model.intercept_hidden_)
    return model


def bernoulli(X, n_components):
    """BernoulliRBM as a machine of this package."""
    sys.path.insert(0, str(EXAMPLES))
    from density_estimation import as_rbm

    model = BernoulliRBM(n_components, n_iter=20, learning_rate=0.05, random_state=0)
    return as_rbm(model.fit(X), X)


def fitted(kind, X, settings):
    """Machines with these settings, for as many updates."""
    epochs = max(1, UPDATES * BATCH // len(X))
    return [kind(**how, max_iter=epochs, random_state=0).fit(X) for how in settings]


def report(name, make, sets, what):
    """A line of the table: what is best by the validation rows of all that is made."""
    start = time.process_time()
    models = make()
    seconds = time.process_time() - start
    model = max(models, key=lambda model: model.score(sets.valid))
    estimate = model.log_partition()
    doubt = "" if estimate.is_trusted else "?"
    print(
        f"  {name:18s} {model.score(sets.test):9.3f}{doubt} ± {estimate.error:.3f} test, "
        f"{model.score(sets.train):9.3f} training; {seconds:6.1f} s; {what(model)}",
        flush=True,
    )
    return model


def compare(sets):
    """The lines of a set."""
    X = sets.train
    settings = [{"n_patterns": k, "learning_rate": LinearDecay(r)} for k, r in CHOICES]
    chosen = report("RABM", lambda: fitted(RABM, X, settings), sets, size)
    k, rate = chosen.n_patterns, chosen.learning_rate
    pid = {"n_patterns": k, "learning_rate": rate, "negative_phase": "pid"}
    report("RABM, PID", lambda: fitted(RABM, X, [pid]), sets, size)
    rbms = [{"n_components": k, "learning_rate": LinearDecay(r)} for r in (0.1, 0.25)]
    report("RBM", lambda: fitted(RBM, X, rbms), sets, size)
    by_rows = [lambda c=c: by_pseudo_likelihood(X, c) for c in STRENGTHS]
    report("pseudo-likelihood", lambda: [make() for make in by_rows], sets, size)
    report("BernoulliRBM", lambda: [bernoulli(X, k)], sets, size)


def size(model):
    """What has been chosen."""
    k = getattr(model, "n_patterns", None) or model.n_components
    rate = getattr(model.learning_rate, "initial", "-")
    return f"K={k}, rate {rate}"


def main():
    """A table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["nltcs"])
    parser.add_argument("--data-home", default=None)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in args.names:
        sets = fetch_density_benchmark(name, args.data_home)
        print(f"{name}: {len(sets.train)} rows of {sets.train.shape[1]} columns", flush=True)
        compare(sets)


if __name__ == "__main__":
    main()
