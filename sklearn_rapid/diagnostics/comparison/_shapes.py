"""Compare the distributions of single columns in two tables."""

from __future__ import annotations

import numpy as np
from scipy.stats import ks_2samp


def compare_shapes(a: np.ndarray, b: np.ndarray, n_values: np.ndarray) -> np.ndarray:
    """Compute the similarity of each column's distribution in two tables, between 0 and 1.

    Parameters
    ----------
    a, b : array of shape (n_rows, n_columns)
        Codes and numbers, NaN where missing.
    n_values : array of int, shape (n_columns,)
        The number of categories; 0 for numbers.
    """
    columns = zip(a.T, b.T, n_values, strict=True)
    return 1.0 - np.array([_distance(x, y, n) for x, y, n in columns])


def count_codes(codes: np.ndarray, n_values: int) -> np.ndarray:
    """Count each code, and last the missing entries.

    Examples
    --------
    >>> count_codes(np.array([0.0, 2.0, np.nan, 2.0]), 3)
    array([1, 0, 2, 1])
    """
    codes = np.where(np.isnan(codes), n_values, codes).astype(np.int64)
    return np.bincount(codes, minlength=n_values + 1)


def _distance(x: np.ndarray, y: np.ndarray, n_values: int) -> float:
    if n_values:
        p, q = (count_codes(codes, n_values) / len(codes) for codes in (x, y))
        return 0.5 * float(np.abs(p - q).sum())
    is_missing = np.isnan(x), np.isnan(y)
    gap = abs(is_missing[0].mean() - is_missing[1].mean())
    return float(max(gap, ks_statistic(x[~is_missing[0]], y[~is_missing[1]])))


def ks_statistic(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the largest difference of two empirical distribution functions.

    It is 0 if one of them has no entries.

    Examples
    --------
    >>> ks_statistic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.5, 3.5]))
    0.5
    """
    if len(x) == 0 or len(y) == 0:
        return 0.0
    return float(ks_2samp(x, y, method="asymp").statistic)
