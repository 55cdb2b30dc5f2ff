"""Ordinary tables of every sort, and what independent columns make of them.

Each function takes a random generator and returns rows; `TABLES` says which kind of columns they
have. None is a set that any setting of the package was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn import datasets


class Table(NamedTuple):
    """Rows of a sort.

    Attributes
    ----------
    rows : function of a random generator
    visible : {"binary", "gaussian", "categorical"}
    """

    rows: Callable
    visible: str = "binary"


def coins(rng, n, p):
    """Independent columns of given means."""
    return (rng.random((n, len(p))) < p).astype(np.float64)


def log_likelihood_of_columns(X, visible):
    """Mean log-likelihood of the rows under independent columns fitted to them, in nats.

    Of real columns: normal ones, of a spread of no less than what the numbers can tell apart.
    """
    if visible == "gaussian":
        return float(np.sum([normal_log_likelihood(x) for x in X.T]))
    counts = [np.unique(x, return_counts=True)[1] for x in X.T]
    return -float(np.sum([stats.entropy(count) for count in counts]))


def normal_log_likelihood(x):
    """Mean log density of the numbers under a normal distribution with their moments."""
    if x.std() == 0.0:
        return 0.0
    return float(stats.norm(x.mean(), x.std()).logpdf(x).mean())


def recurring(rng, n=2000, n_columns=50, share=0.1):
    """Fair coins, and one row that comes again and again."""
    X = coins(rng, n, np.full(n_columns, 0.5))
    X[rng.random(n) < share] = 0.0
    return X


def one_hot(rng, n=1000, groups=(3, 5, 12)):
    """Groups of columns of which one is set."""
    parts = [np.eye(k)[rng.choice(k, n, p=rng.dirichlet(np.full(k, 0.5)))] for k in groups]
    return np.hstack(parts)


def classes(rng, n=1500, n_columns=30, n_classes=4):
    """A mixture of classes of independent columns."""
    p = rng.beta(0.5, 0.5, (n_classes, n_columns))
    return (rng.random((n, n_columns)) < p[rng.integers(n_classes, size=n)]).astype(np.float64)


def equal_columns(rng, n=2000, n_columns=6, p=0.01):
    """The same rare column several times."""
    return np.repeat(coins(rng, n, [p]), n_columns, axis=1)


def digit_pixels(first, last, threshold=None):
    X = datasets.load_digits().data[:, first:last]
    return X if threshold is None else (X > threshold).astype(np.float64)


def with_columns(X, *columns):
    return np.column_stack([X, *columns])


def spiked(rng, n=1000):
    """Mostly zeros, else amounts."""
    return np.where(rng.random((n, 4)) < [0.5, 0.9, 0.98, 0.998], 0.0, rng.gamma(2.0, 50.0, (n, 4)))


TABLES = {
    "rare": Table(lambda rng: coins(rng, 2000, np.full(20, 0.001))),
    "rarer and rarer": Table(lambda rng: coins(rng, 2000, 10.0 ** -np.linspace(0.3, 4, 24))),
    "very rare": Table(lambda rng: coins(rng, 5000, np.full(12, 0.0002))),
    "sparse": Table(lambda rng: coins(rng, 2000, np.full(80, 0.02))),
    "frequent": Table(lambda rng: coins(rng, 2000, np.full(20, 0.999))),
    "coins": Table(lambda rng: coins(rng, 1000, np.full(20, 0.5))),
    "skewed": Table(lambda rng: coins(rng, 1500, rng.beta(0.2, 0.8, 30))),
    "constant column": Table(
        lambda rng: with_columns(coins(rng, 800, np.full(10, 0.4)), np.zeros(800), np.ones(800))
    ),
    "all constant": Table(lambda rng: np.tile(coins(rng, 1, np.full(15, 0.5)), (300, 1))),
    "constant but for one": Table(
        lambda rng: np.vstack([np.zeros((500, 10)), coins(rng, 1, np.full(10, 0.7))])
    ),
    "equal columns": Table(equal_columns),
    "many equal columns": Table(lambda rng: equal_columns(rng, 1000, 60, 0.005)),
    "equal and opposite": Table(
        lambda rng: (lambda c: np.hstack([c, 1 - c, c]))(coins(rng, 1000, np.full(5, 0.3)))
    ),
    "recurring row": Table(recurring),
    "recurring row, few": Table(lambda rng: recurring(rng, 400, 16, 0.3)),
    "one hot": Table(one_hot),
    "classes": Table(classes),
    "one row": Table(lambda rng: coins(rng, 1, np.full(12, 0.5))),
    "two rows": Table(lambda rng: coins(rng, 2, np.full(12, 0.5))),
    "tiny": Table(lambda rng: coins(rng, 7, np.full(9, 0.3))),
    "one column": Table(lambda rng: coins(rng, 500, [0.1])),
    "one rare column": Table(lambda rng: coins(rng, 3000, [0.002])),
    "two columns": Table(lambda rng: coins(rng, 500, [0.3, 0.01])),
    "wide": Table(lambda rng: coins(rng, 40, rng.beta(0.3, 0.7, 400))),
    "wide and rare": Table(lambda rng: coins(rng, 60, np.full(500, 0.01))),
    "pixels": Table(lambda rng: digit_pixels(0, 64, 8)),
    "rim of pixels": Table(lambda rng: digit_pixels(0, 12, 8)),
    "purchases": Table(
        lambda rng: np.hstack([classes(rng, 2000, 12), coins(rng, 2000, np.full(30, 0.004))])
    ),
    "normal": Table(lambda rng: rng.normal(size=(800, 5)), "gaussian"),
    "scales": Table(
        lambda rng: rng.normal(size=(600, 6)) * 10.0 ** np.array([-8, -3, 0, 2, 5, 9]) + 3.0,
        "gaussian",
    ),
    "far from zero": Table(
        lambda rng: 2e7 + rng.integers(0, 100, (500, 3)).astype(float), "gaussian"
    ),
    "heavy tails": Table(lambda rng: rng.standard_cauchy((1000, 4)), "gaussian"),
    "log-normal": Table(lambda rng: np.exp(2.5 * rng.normal(size=(1000, 4))), "gaussian"),
    "spiked": Table(spiked, "gaussian"),
    "counts": Table(
        lambda rng: rng.poisson([0.05, 0.5, 3.0, 40.0], (1000, 4)).astype(float), "gaussian"
    ),
    "near-constant": Table(
        lambda rng: with_columns(
            1.0 + 1e-7 * rng.normal(size=(500, 2)),
            np.eye(500)[:, 0] * 1000.0,
            rng.normal(size=500),
        ),
        "gaussian",
    ),
    "rounded": Table(lambda rng: np.round(rng.normal(size=(700, 5)), 1), "gaussian"),
    "bits as numbers": Table(
        lambda rng: coins(rng, 600, np.array([0.5, 0.1, 0.01, 0.9])), "gaussian"
    ),
    "pixels as numbers": Table(lambda rng: digit_pixels(10, 20), "gaussian"),
    "rim as numbers": Table(lambda rng: digit_pixels(1, 8), "gaussian"),
    "clusters": Table(
        lambda rng: rng.normal(0, 0.05, (600, 3)) + rng.integers(0, 2, (600, 1)) * 4, "gaussian"
    ),
    "collinear": Table(
        lambda rng: (lambda z: np.hstack([z, z + 1e-3 * rng.normal(size=z.shape)]))(
            rng.normal(size=(500, 3))
        ),
        "gaussian",
    ),
    "iris": Table(lambda rng: datasets.load_iris().data, "gaussian"),
    "wine": Table(lambda rng: datasets.load_wine().data, "gaussian"),
    "breast cancer": Table(lambda rng: datasets.load_breast_cancer().data, "gaussian"),
    "diabetes": Table(lambda rng: datasets.load_diabetes().data, "gaussian"),
    "one real column": Table(lambda rng: rng.exponential(size=(400, 1)), "gaussian"),
    "three real rows": Table(lambda rng: rng.normal(size=(3, 4)), "gaussian"),
    "codes": Table(
        lambda rng: np.column_stack(
            [rng.choice(k, 1000, p=rng.dirichlet(np.full(k, 0.4))) for k in (2, 4, 9, 20)]
        ).astype(float),
        "categorical",
    ),
    "rare codes": Table(
        lambda rng: np.column_stack(
            [rng.choice(4, 2000, p=[0.997, 0.001, 0.001, 0.001]) for _ in range(8)]
        ).astype(float),
        "categorical",
    ),
}
