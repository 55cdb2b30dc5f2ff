"""Find groups of binary columns of which at most one is on in each row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

# A group is credible if columns that are independent, with the same means, would have been on
# together in this many rows at least: none of these would then be rare by chance.
FEWEST_EXPECTED_PAIRS = 20.0


def find_exclusive_groups(X: Any, columns: np.ndarray) -> list[np.ndarray]:
    """Find groups of neighbouring binary columns of which at most one is on in each row.

    One-hot columns of a category are such a group. Groups with exactly one column on in every row
    are found first, then others between them, from left to right. A group has at least three
    columns, or two that are not constant.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_columns)
        Zeros and ones in the columns.
    columns : int array
        Numbers of the binary columns, rising.

    Returns
    -------
    list of int array

    Examples
    --------
    >>> codes = np.random.default_rng(0).integers(3, size=(2, 200))
    >>> X = np.concatenate([np.eye(3)[code] for code in codes], axis=1)
    >>> find_exclusive_groups(X, np.arange(6))
    [array([0, 1, 2]), array([3, 4, 5])]
    """
    if len(columns) < 2:
        return []
    own = X[:, columns]
    own = sparse.csc_array(own, dtype=np.float64)
    gram = (own.T @ own).tocoo()
    (i, j), is_pair = gram.coords, gram.data > 0.0
    # The last column before each that is on together with it in some row.
    last = np.full(len(columns), -1, dtype=np.int64)
    np.maximum.at(last, j[is_pair & (i < j)], i[is_pair & (i < j)])
    # The first column of the longest run that ends with each.
    first = np.maximum.accumulate(last + 1)
    counts, n_rows = np.asarray(own.sum(axis=0)).ravel(), own.shape[0]
    runs = _complete_runs(counts, first, n_rows)
    borders = [0, *(border for run in runs for border in run), len(columns)]
    for low, high in list(pairwise(borders))[::2]:
        runs += _longest_runs(first, low, high)
    runs = [run for run in sorted(runs) if _is_credible(counts[slice(*run)], n_rows)]
    return [columns[start:stop] for start, stop in runs]


def _complete_runs(counts: np.ndarray, first: np.ndarray, n_rows: int) -> list[tuple[int, int]]:
    """Find runs of columns of which exactly one is on in each row, the shortest."""
    totals = np.concatenate([[0.0], np.cumsum(counts)])
    runs: list[tuple[int, int]] = []
    for stop in range(2, len(counts) + 1):
        start = int(np.searchsorted(totals, totals[stop] - n_rows, side="right")) - 1
        is_free = start >= (runs[-1][1] if runs else 0)
        if (
            is_free
            and totals[stop] - totals[start] == n_rows
            and start >= first[stop - 1]
            and counts[stop - 1] > 0
            and stop - start > 1
        ):
            runs.append((start, stop))
    return runs


def _longest_runs(first: np.ndarray, low: int, high: int) -> list[tuple[int, int]]:
    """Divide columns from `low` to `high` into runs of which at most one is on, from the left."""
    runs, start = [], low
    for j in range(low, high):
        if first[j] > start:
            runs.append((start, j))
            start = j
    runs.append((start, high))
    return [run for run in runs if run[1] - run[0] > 1]


def _is_credible(counts: np.ndarray, n_rows: int) -> bool:
    """Whether so few rows in which two of the columns are on would be a wonder otherwise."""
    pairs = 0.5 * (counts.sum() ** 2 - (counts**2).sum()) / n_rows
    return np.count_nonzero(counts) > 1 and pairs >= FEWEST_EXPECTED_PAIRS
