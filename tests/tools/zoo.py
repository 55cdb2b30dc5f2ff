"""Ordinary tables of every sort, and their log-likelihood by independent columns.

`TABLES` has functions of a random generator that return rows, and says of which kind their columns
are. None is a set that any setting of the package was chosen on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer

# Shortfalls to ignore: in nats a row, or as a share of the score of independent columns.
SLACK, RELATIVE_SLACK = 0.05, 0.02
# Warnings that are allowed: that a fit was repeated or replaced, and that log Z is not known.
MAY_SAY = [(ConvergenceWarning, "the fit has ended at"), (RuntimeWarning, "log Z = .* not to be")]


class Table(NamedTuple):
    """Rows of a sort.

    Attributes
    ----------
    rows : function of a random generator
    visible : {"binary", "gaussian", "categorical"} or list of (kind, columns)
    weights : function of a random generator and a number of rows, optional
    """

    rows: Callable
    visible: Any = "binary"
    weights: Callable | None = None

    def drawn(self, seed):
        """Rows and their weights, which may be none."""
        rng = np.random.default_rng(seed)
        X = self.rows(rng)
        return X, self.weights and self.weights(rng, len(X))


class Outcome(NamedTuple):
    """Scores of a fit and of independent columns, in nats a row of the training data.

    Attributes
    ----------
    score, independent : float
    error : float
        Stated errors of the score.
    said : list of str
        Warnings.
    """

    score: float
    independent: float
    error: float
    said: list

    @property
    def shortfall(self):
        """How far the score is below independent columns, less the slack and the error."""
        slack = max(SLACK, RELATIVE_SLACK * abs(self.independent))
        return self.independent - self.score - slack - self.error


def outcome(model, table, seed, n_errors=1.0, n_scored=None):
    """Fit a model with this seed to a table; the error is `n_errors` standard errors.

    All rows are scored, or `n_scored` of them, which adds to the error if more of them differ. A
    warning that is not in `MAY_SAY` is an error.
    """
    X, weights = table.drawn(seed)
    model = clone(model).set_params(random_state=seed)
    if table.visible != "binary":
        model.set_params(visible=table.visible)
    shares = np.ones(len(X)) if weights is None else weights
    some, shares = (np.arange(len(X)), shares) if n_scored is None else chosen(X, shares, n_scored)
    shares = shares / shares.sum()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        for category, message in MAY_SAY:
            warnings.filterwarnings("always", message, category)
        model.fit(X, sample_weight=weights)
        log_z = model.log_partition(tol=0.02)
        model.log_partition = lambda: log_z  # not twice
        log_p, errors = model.score_samples(X[some], return_error=True)
    independent = log_likelihood_of_columns(X, table.visible, weights)[some]
    bias = 0.5 * shares @ errors**2  # that of annealing
    if len(some) == n_scored:
        errors = np.hypot(errors, np.std(log_p - independent))
    of_rows = n_errors * np.sqrt(np.sum((shares * errors) ** 2)) + bias
    return Outcome(
        float(shares @ log_p),
        float(shares @ independent),
        float(of_rows) + n_errors * log_z.error + doubt(log_z),
        [str(warning.message) for warning in caught],
    )


def chosen(X, weights, n):
    """Numbers of the different rows and their weights; of `n` rows if there are more."""
    _, first, number = np.unique(X, axis=0, return_index=True, return_inverse=True)
    if len(first) < n:
        return first, np.bincount(number.ravel(), weights=weights)
    some = np.linspace(0, len(X) - 1, n).astype(int)
    return some, weights[some]


def doubt(log_z):
    """The error of an estimate that is not trusted: the distance of its bounds, or a nat."""
    return 0.0 if log_z.is_trusted else max(1.0, abs(log_z.upper - log_z.lower))


def log_likelihood_of_columns(X, visible, weights=None):
    """Log-likelihood of each row by independent columns with the moments of all, in nats.

    Real columns are normal ones. Entries that are NaN are left out.
    """
    kinds = [visible] * X.shape[1]
    if not isinstance(visible, str):
        kinds = {j: kind for kind, columns in visible for j in columns}
    weights = np.ones(len(X)) if weights is None else weights
    total = np.zeros(len(X))
    for j, x in enumerate(X.T):
        known = x == x
        total[known] += log_p_of(x[known], weights[known], kinds[j] == "gaussian")
    return total


def log_p_of(x, weights, is_real):
    """Log-likelihood of each number under a normal distribution with their moments; by counts."""
    if is_real:
        mean = np.average(x, weights=weights)
        return stats.norm(mean, np.sqrt(np.average((x - mean) ** 2, weights=weights))).logpdf(x)
    _, number = np.unique(x, return_inverse=True)
    shares = np.bincount(number, weights=weights) / weights.sum()
    # Codes of rows without weight have none: nobody asks for these rows.
    return np.log(np.maximum(shares, np.finfo(float).tiny))[number]


# --- rows ---------------------------------------------------------------------------------------


def coins(rng, n, p):
    """Independent columns of given means."""
    return (rng.random((n, len(p))) < p).astype(np.float64)


def with_columns(X, *columns):
    """Append columns to rows."""
    return np.column_stack([X, *columns])


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


def equal_and_opposite(rng):
    """Columns, their negations and themselves again."""
    X = coins(rng, 1000, np.full(5, 0.3))
    return with_columns(X, 1.0 - X, X)


def digit_pixels(first, last, threshold=None):
    """Some pixels of digits, grey or black and white."""
    X = datasets.load_digits().data[:, first:last]
    return X if threshold is None else (X > threshold).astype(np.float64)


def spiked(rng, n=1000):
    """Mostly zeros, else amounts."""
    return np.where(rng.random((n, 4)) < [0.5, 0.9, 0.98, 0.998], 0.0, rng.gamma(2.0, 50.0, (n, 4)))


def collinear(rng, n=500):
    """Columns that are there twice, but for a thousandth."""
    z = rng.normal(size=(n, 3))
    return with_columns(z, z + 1e-3 * rng.normal(size=z.shape))


def codes(rng, n=1000, sizes=(2, 4, 9, 20)):
    """Columns of codes, some of them rare."""
    found = [rng.choice(k, n, p=rng.dirichlet(np.full(k, 0.4))) for k in sizes]
    return np.column_stack(found).astype(float)


def likert(rng, n=800, n_items=8):
    """Answers from 1 to 5 that hang together."""
    opinion = rng.normal(size=(n, 1)) + rng.normal(size=(n, n_items))
    return np.clip(np.round(3.0 + 1.2 * opinion), 1.0, 5.0)


def at_least(rng, n=1000, n_items=4):
    """Ordinal codes as bits: 3 is 1, 1, 1, 0."""
    x = likert(rng, n, n_items)
    return np.hstack([x >= level for level in (2, 3, 4, 5)]).astype(float)


def one_hot_with_totals(rng):
    """Whether any of some columns is set, and whether several are."""
    X = coins(rng, 1200, np.repeat([0.02, 0.3, 0.6], 5))
    totals = X.reshape(-1, 3, 5).sum(axis=2)
    return with_columns(one_hot(rng, 1200), X, totals > 0, totals > 1).astype(float)


def with_a_total(rng, n=900):
    """Amounts, their sum, and shares of it."""
    x = rng.gamma(1.5, 20.0, (n, 3))
    total = x.sum(axis=1)
    return with_columns(x, total, 100.0 * x[:, 0] / total)


def in_order(X):
    """The rows, sorted."""
    return X[np.lexsort(X.T)]


def blocks_of_rows(rng, n_blocks=8, n=100, width=6):
    """Each block of rows has columns of its own, which are zero elsewhere."""
    X = np.zeros((n_blocks * n, n_blocks * width))
    for k in range(n_blocks):
        part = coins(rng, n, np.full(width, 0.5))
        X[k * n : (k + 1) * n, k * width : (k + 1) * width] = part
    return X


def a_single_one(rng, n=600):
    """Columns that are set, or not set, in one row alone."""
    X = np.zeros((n, 12))
    X[rng.integers(n, size=12), np.arange(12)] = 1.0
    X[:, 6:] = 1.0 - X[:, 6:]
    return with_columns(X, coins(rng, n, np.full(4, 0.5)))


def words(rng, n=700, n_words=60, length=25):
    """Counts of words, by Zipf's law, in texts of two sorts."""
    p = 1.0 / np.arange(1, n_words + 1)
    of_sorts = [p / p.sum(), rng.permutation(p) / p.sum()]
    return np.array([rng.multinomial(length, of_sorts[i]) for i in rng.integers(2, size=n)])


def tf_idf(rng):
    """Words, weighted: real numbers of which most are zero."""
    return TfidfTransformer().fit_transform(words(rng, 500, 30)).toarray()


def even_parity(rng, n=1000, n_columns=10):
    """Fair coins, and a column that makes the number of ones even."""
    X = coins(rng, n, np.full(n_columns, 0.5))
    return with_columns(X, X.sum(axis=1) % 2)


def dates(rng, n=700):
    """Days since the year one, seconds since 1970, months, days of the week."""
    day = 738_000 + rng.integers(0, 1500, n)
    seconds = (day - 719_163) * 86_400.0 + rng.integers(0, 86_400, n)
    return with_columns(day, seconds, (day // 30) % 12 + 1, day % 7).astype(float)


def ids(rng, n=800):
    """Numbers that name rows, in order and not, and a few that name groups."""
    return with_columns(
        np.arange(n), 10**9 + rng.permutation(n) * 7, rng.integers(1000, 1012, n)
    ).astype(float)


def percentages(rng, n=900):
    """Many are 0 or 100."""
    x = 100.0 * rng.beta(0.6, 0.6, (n, 4))
    x[rng.random((n, 4)) < [0.1, 0.4, 0.7, 0.02]] = 0.0
    x[rng.random((n, 4)) < [0.1, 0.3, 0.1, 0.9]] = 100.0
    return np.round(x, 1)


def places(rng, n=900):
    """Latitudes and longitudes of towns, near and far."""
    towns = np.array([[52.5, 13.4], [48.1, 11.6], [48.2, 16.4], [40.7, -74.0], [-33.9, 151.2]])
    which = rng.choice(5, n, p=[0.5, 0.3, 0.15, 0.04, 0.01])
    return towns[which] + 0.05 * rng.normal(size=(n, 2))


def prices(rng, n=900):
    """Log-normal prices that end in .99, a second list with rebates, and pieces sold."""
    price = np.floor(np.exp(2.5 + rng.normal(size=n))) + 0.99
    other = np.where(rng.random(n) < 0.8, price, np.floor(0.8 * price) + 0.99)
    return with_columns(price, other, rng.geometric(0.6, n))


def many_zeros(rng, n=1200):
    """Negative binomial counts, most of which are zero."""
    counts = rng.negative_binomial(0.7, 0.05, (n, 4))
    return np.where(rng.random((n, 4)) < [0.3, 0.7, 0.95, 0.995], 0, counts).astype(float)


def two_humps(rng, n=800):
    """Columns of two humps, alike or not, a few widths or many apart."""
    side = coins(rng, n, np.array([0.5, 0.2, 0.03, 0.5]))
    side[:, 3] = side[:, 0]
    return side * [4.0, 100.0, 30.0, 1e4] + rng.normal(size=(n, 4))


def with_sentinels(rng, n=800):
    """Numbers of which some are -999, for what was not measured."""
    x = rng.normal([20.0, 1013.0, 50.0], [5.0, 8.0, 15.0], (n, 3))
    return np.where(rng.random((n, 3)) < [0.02, 0.1, 0.3], -999.0, x)


def clipped(rng, n=800):
    """Measurements that end at a floor and at a ceiling."""
    return np.clip(rng.normal(size=(n, 1)) + rng.normal(size=(n, 5)), [-9, -2, -1, 0, 0.5], 1.0)


def walks(rng, n=1000):
    """Random walks in the order of time, the hour of the day, and its angle."""
    hour = np.arange(n) % 24
    angle = 2.0 * np.pi * hour / 24.0
    return with_columns(
        np.cumsum(rng.normal(size=(n, 2)), axis=0), hour, np.sin(angle), np.cos(angle)
    )


def customers(rng, n=1000):
    """Bits, amounts and codes that hang together; see `CUSTOMERS`."""
    sort = rng.integers(3, size=n)
    bits = coins(rng, n, np.array([0.5, 0.01])) + (sort == 2)[:, None] * [0.0, 0.9]
    amounts = np.exp(rng.normal(size=n) + 2.0 * sort)
    age = np.round(rng.normal(40.0 + 10.0 * sort, 8.0))
    region = np.where(rng.random(n) < 0.8, sort, rng.integers(6, size=n))
    return with_columns(np.minimum(bits, 1.0), amounts, region, age, codes(rng, n, (4,)))


CUSTOMERS = [("binary", [0, 1]), ("gaussian", [2, 4]), ("categorical", [3, 5])]


def rare_of_all_kinds(rng, n=1500):
    """The same columns where next to nothing happens."""
    x = np.where(rng.random(n) < 0.99, 0.0, rng.gamma(2.0, 30.0, n))
    code = rng.choice(3, n, p=[0.996, 0.002, 0.002])
    return with_columns(coins(rng, n, np.array([0.002, 0.998])), x, code, x > 60.0, code == 1)


RARE_KINDS = [("binary", [0, 1, 4, 5]), ("gaussian", [2]), ("categorical", [3])]


def with_gaps(X, rng, share=1 / 3):
    """Rows of which a third is not known."""
    return np.where(rng.random(X.shape) < share, np.nan, X)


def many_codes(rng, n=400):
    """A code for nearly every row, and one of a few."""
    return with_columns(rng.integers(0, 300, n), rng.integers(0, 4, n)).astype(float)


def unequal(rng, n):
    """Weights of which few count, and some not at all."""
    return np.where(rng.random(n) < 0.2, 0.0, rng.pareto(1.2, n))


# --- tables -------------------------------------------------------------------------------------

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
    "equal and opposite": Table(equal_and_opposite),
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
            1.0 + 1e-7 * rng.normal(size=(500, 2)), np.eye(500)[:, 0] * 1000.0, rng.normal(size=500)
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
    "collinear": Table(collinear, "gaussian"),
    "iris": Table(lambda rng: datasets.load_iris().data, "gaussian"),
    "wine": Table(lambda rng: datasets.load_wine().data, "gaussian"),
    "breast cancer": Table(lambda rng: datasets.load_breast_cancer().data, "gaussian"),
    "diabetes": Table(lambda rng: datasets.load_diabetes().data, "gaussian"),
    "one real column": Table(lambda rng: rng.exponential(size=(400, 1)), "gaussian"),
    "three real rows": Table(lambda rng: rng.normal(size=(3, 4)), "gaussian"),
    "codes": Table(codes, "categorical"),
    "rare codes": Table(
        lambda rng: np.column_stack(
            [rng.choice(4, 2000, p=[0.997, 0.001, 0.001, 0.001]) for _ in range(8)]
        ).astype(float),
        "categorical",
    ),
    "one hot with totals": Table(one_hot_with_totals),
    "at least": Table(at_least),
    "duplicated rows": Table(lambda rng: np.repeat(coins(rng, 30, np.full(20, 0.4)), 40, axis=0)),
    "sorted": Table(lambda rng: in_order(classes(rng))),
    "blocks of rows": Table(blocks_of_rows),
    "a single one": Table(a_single_one),
    "words": Table(lambda rng: (words(rng) > 0).astype(float)),
    "parity": Table(even_parity),
    "gaps": Table(lambda rng: with_gaps(classes(rng, 800, 16), rng)),
    "gaps in rare": Table(lambda rng: with_gaps(coins(rng, 1500, np.full(12, 0.01)), rng)),
    "weighted": Table(classes, weights=unequal),
    "weighted and rare": Table(lambda rng: coins(rng, 2000, np.full(15, 0.01)), weights=unequal),
    "dates": Table(dates, "gaussian"),
    "ids": Table(ids, "gaussian"),
    "percentages": Table(percentages, "gaussian"),
    "Likert as numbers": Table(likert, "gaussian"),
    "with a total": Table(with_a_total, "gaussian"),
    "tf-idf": Table(tf_idf, "gaussian"),
    "places": Table(places, "gaussian"),
    "prices": Table(prices, "gaussian"),
    "many zeros": Table(many_zeros, "gaussian"),
    "two humps": Table(two_humps, "gaussian"),
    "sentinels": Table(with_sentinels, "gaussian"),
    "clipped": Table(clipped, "gaussian"),
    "walks": Table(walks, "gaussian"),
    "sorted numbers": Table(lambda rng: np.sort(rng.gamma(1.0, 1.0, (900, 3)), axis=0), "gaussian"),
    "gaps in numbers": Table(
        lambda rng: with_gaps(datasets.load_wine().data[:, :6], rng), "gaussian"
    ),
    "weighted numbers": Table(lambda rng: datasets.load_iris().data, "gaussian", unequal),
    "Likert": Table(likert, "categorical"),
    "gaps in codes": Table(lambda rng: with_gaps(likert(rng, 600, 6), rng), "categorical"),
    "a code a row": Table(many_codes, "categorical"),
    "customers": Table(customers, CUSTOMERS),
    "gaps in customers": Table(lambda rng: with_gaps(customers(rng, 700), rng, 0.2), CUSTOMERS),
    "rare of all kinds": Table(rare_of_all_kinds, RARE_KINDS),
    "weighted customers": Table(customers, CUSTOMERS, unequal),
}
