"""Accuracy on digits when each method chooses its own settings inside the training folds.

    python tests/benchmarks/digits_nested.py

Outer: five folds that only score. Inner: three folds of the outer training rows choose among
the candidates. Each kind of features has three candidates, times three strengths of the
classifier's penalty; raw pixels have the strengths only.
"""

from __future__ import annotations

import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import FunctionTransformer

from sklearn_rapid import RARBM

STRENGTHS = (1.0, 3.0, 10.0)


def candidates():
    """What each method may choose from; the RBMs take about as long to fit."""
    ours = {"max_iter": 150, "random_state": 0, "n_threads": 1}
    theirs = {"n_components": 256, "n_iter": 76, "random_state": 0}
    return {
        "RARBM": [RARBM(256, init_scale=s, **ours) for s in ("auto", 0.35, 0.6)],
        "BernoulliRBM": [BernoulliRBM(learning_rate=r, **theirs) for r in (0.01, 0.03, 0.1)],
        "raw pixels": [FunctionTransformer()],
    }


def accuracies(features, X, y, train, test):
    """Accuracy for each strength, features and classifier fitted to the training rows."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    H, H_test = features.fit(X[train]).transform(X[train]), features.transform(X[test])
    classifiers = (LogisticRegression(C=c, max_iter=300) for c in STRENGTHS)
    return [c.fit(H, y[train]).score(H_test, y[test]) for c in classifiers]


def outer_score(models, X, y, train, test, seed):
    """Accuracy on the outer test rows of what the inner folds chose."""
    inner = StratifiedKFold(3, shuffle=True, random_state=seed)
    means = [
        np.mean(
            [accuracies(m, X, y, train[a], train[b]) for a, b in inner.split(X[train], y[train])],
            axis=0,
        )
        for m in models
    ]
    best_model, best_strength = np.unravel_index(np.argmax(means), np.shape(means))
    return accuracies(models[best_model], X, y, train, test)[best_strength]


def main():
    """Print one line a method, and the gains fold by fold."""
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    outer = list(StratifiedKFold(5, shuffle=True, random_state=2).split(X, y))
    scores = {}
    for name, models in candidates().items():
        jobs = (delayed(outer_score)(models, X, y, *fold, 0) for fold in outer)
        scores[name] = np.array(Parallel(n_jobs=2)(jobs))
        print(f"{name:13s} {scores[name].mean():.4f} ± {scores[name].std():.4f}", flush=True)
    for name in ("raw pixels", "BernoulliRBM"):
        gain = scores["RARBM"] - scores[name]
        folds = " ".join(f"{g:+.4f}" for g in gain)
        print(f"RARBM over {name}: {gain.mean():+.4f} ± {gain.std():.4f} a fold ({folds})")


if __name__ == "__main__":
    main()
