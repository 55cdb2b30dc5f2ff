"""Measure how near synthetic rows are to training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from sklearn_rapid.diagnostics.comparison._tables import ComparedTables

# Rows of each table among which nearest ones are sought, and rows at once.
MOST_ROWS, ROWS_OF_BLOCK = 5000, 500


@dataclass(frozen=True)
class NearestRows:
    """Distances to the nearest training row, and exact copies of training rows.

    Distances are Gower's (1971): the mean over columns of 0 or 1 for equal or other categories,
    and of the difference over the range of real rows for numbers. A missing entry is at distance 0
    from another missing one and 1 from the rest.

    Attributes
    ----------
    synthetic : ndarray of shape (n_synthetic,)
        Distance from each of some synthetic rows to the nearest of `n_rows` training rows.
    held_out : ndarray of shape (n_rows,)
        The same of held-out rows.
    nearer_share : float
        The share of synthetic rows that are nearer to one of `n_rows` training rows than to one of
        `n_rows` held-out rows; ties count a half. About 1/2 if nothing was learned by heart.
    synthetic_copies : float
        The share of all synthetic rows that equal a training row.
    held_out_copies : float
        The same of held-out rows.
    n_rows : int

    Examples
    --------
    >>> distances = np.array([0.1, 0.3]), np.array([0.2, 0.3])
    >>> NearestRows(*distances, 0.5, 0.0, 0.0, 2).synthetic_median
    0.2
    """

    synthetic: np.ndarray
    held_out: np.ndarray
    nearer_share: float
    synthetic_copies: float
    held_out_copies: float
    n_rows: int

    @property
    def synthetic_median(self) -> float:
        """The median distance of synthetic rows."""
        return float(np.median(self.synthetic))

    @property
    def held_out_median(self) -> float:
        """The median distance of held-out rows."""
        return float(np.median(self.held_out))


def measure_nearest(tables: ComparedTables, random_state: np.random.RandomState) -> NearestRows:
    """Measure distances of rows chosen at random, and count copies among all rows."""
    n_rows = min(len(tables.train), len(tables.held_out), MOST_ROWS)
    n_synthetic = min(len(tables.synthetic), MOST_ROWS)
    scale = _find_ranges(tables)
    train, held_out, synthetic = (
        _embed(_choose_rows(X, n, random_state), tables.is_category, scale)
        for X, n in (
            (tables.train, n_rows),
            (tables.held_out, n_rows),
            (tables.synthetic, n_synthetic),
        )
    )
    to_train, to_held_out = (find_distances(synthetic, rows) for rows in (train, held_out))
    nearer = (to_train < to_held_out) + 0.5 * (to_train == to_held_out)
    return NearestRows(
        synthetic=to_train,
        held_out=find_distances(held_out, train),
        nearer_share=float(nearer.mean()),
        synthetic_copies=find_copies(tables.synthetic, tables.train),
        held_out_copies=find_copies(tables.held_out, tables.train),
        n_rows=n_rows,
    )


def find_copies(rows: np.ndarray, others: np.ndarray) -> float:
    """Compute the share of rows that equal one of others; NaN equals NaN.

    Examples
    --------
    >>> find_copies(np.array([[0.0, np.nan], [1.0, 2.0]]), np.array([[0.0, np.nan]]))
    0.5
    """
    both = np.concatenate([others, rows])
    # One code for each value and NaN, so that equal rows have equal bytes: -0.0 and 0.0 have not.
    codes = np.stack([np.unique(x, return_inverse=True)[1] for x in both.T], axis=1)
    known = {row.tobytes() for row in codes[: len(others)]}
    return float(np.mean([row.tobytes() in known for row in codes[len(others) :]]))


def find_distances(rows: tuple, others: tuple) -> np.ndarray:
    """Find Gower's distance from each embedded row to the nearest of others."""
    codes, numbers, n_columns = rows
    nearest = []
    for start in range(0, len(codes), ROWS_OF_BLOCK):
        block = slice(start, start + ROWS_OF_BLOCK)
        total = np.zeros((len(codes[block]), len(others[0])))
        if codes.shape[1]:
            total += codes.shape[1] * cdist(codes[block], others[0], "hamming")
        if numbers.shape[1]:
            total += cdist(numbers[block], others[1], "cityblock")
        nearest.append(total.min(axis=1) / n_columns)
    return np.concatenate(nearest)


def _find_ranges(tables: ComparedTables) -> tuple[np.ndarray, np.ndarray]:
    """Find the least value and the range of numbers in the real rows."""
    real = np.concatenate([tables.train, tables.held_out])[:, ~tables.is_category]
    low, high = np.nanmin(real, axis=0), np.nanmax(real, axis=0)
    return low, np.where(high > low, high - low, 1.0)


def _embed(
    X: np.ndarray, is_category: np.ndarray, scale: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Embed rows as codes, with -1 for missing ones, and points of the city-block metric.

    A number x in [0, 1] becomes (x/2, (1 - x)/2), which leaves differences as they are; a missing
    one (-1/4, -1/4), which is at distance 1 from each of these.
    """
    codes, x = X[:, is_category], (X[:, ~is_category] - scale[0]) / scale[1]
    points = np.stack([x / 2.0, (1.0 - x) / 2.0], axis=2)
    points[np.isnan(points)] = -0.25
    return np.where(np.isnan(codes), -1.0, codes), points.reshape(len(X), -1), X.shape[1]


def _choose_rows(X: np.ndarray, n: int, random_state: np.random.RandomState) -> np.ndarray:
    return X if n == len(X) else X[random_state.permutation(len(X))[:n]]
