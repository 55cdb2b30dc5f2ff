"""Measure real columns: their moments, and the smallest scales that training may find."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import is_cupy_array, to_host
from sklearn_rapid.tables.encoder import chunks
from sklearn_rapid.tables.missing import check_no_empty_columns, has_missing
from sklearn_rapid.tables.settings import label_columns

# A column is constant if its spread is less than this many roundings of its largest value.
ROUNDINGS = 10.0
# Beyond these float32 would overflow or lose digits.
SMALLEST_SCALE, LARGEST_SCALE = 1e-30, 1e30
# A scale may shrink to this share of its column's standard deviation: chains do not get from one
# centre to another that is many scales away.
SMALLEST_SHARE = 0.05
# Nor below this share of the least difference of the column's numbers: the standard deviation of
# the uniform distribution of that width.
SHARE_OF_RESOLUTION = 12**-0.5
# Nor where the variance comes from a few rows, which most batches lack: above this kurtosis.
LARGEST_KURTOSIS = 100.0
# Rows in which the least difference of a column's numbers is found.
ROWS_FOR_RESOLUTION = 2000


def compute_moments(
    X: Any, weights: np.ndarray | None, backend: Any, names: tuple | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and standard deviation of each column's known entries, float64.

    Parameters
    ----------
    X : array of shape (n, V)
        NumPy's, or CuPy's.
    weights : array of shape (n,), optional
    backend : backend
    names : tuple, optional
        Names of the columns, for messages.

    Raises
    ------
    ValueError
        For a constant column, and for standard deviations that float32 cannot hold.

    Examples
    --------
    >>> compute_moments(np.array([[1.0, 0.0], [3.0, 4.0]]), None, None)
    (array([2., 2.]), array([1., 2.]))
    """
    on_device = is_cupy_array(X)
    if not (on_device or isinstance(X, np.ndarray)):
        raise ValueError(f"visible='gaussian' needs all rows at hand, got {type(X).__name__}")
    if X.shape[0] == 1:
        raise ValueError("visible='gaussian' takes scales from how rows differ, got 1 sample")
    where = backend.xp if on_device else np
    any_missing, known = has_missing(X), 1.0
    if any_missing:
        known = _weighted_mean(X, weights, lambda x: where.astype(x == x, x.dtype), where)
        check_no_empty_columns(known > 0.0, names)

    def zero_missing(values: Any) -> Any:
        if not any_missing:
            return values
        return where.where(values == values, values, where.zeros_like(values))

    with np.errstate(over="ignore", invalid="ignore"):
        mean = _weighted_mean(X, weights, zero_missing, where) / known
        at = where.asarray(mean)
        squares = _weighted_mean(X, weights, lambda x: zero_missing((x - at) * (x - at)), where)
        scale = np.sqrt(squares / known)
    parts = (where.abs(zero_missing(X[rows])) for rows in chunks(X.shape[0]))
    largest = np.max([to_host(where.max(part, axis=0)) for part in parts], axis=0)
    constant = np.flatnonzero(scale <= ROUNDINGS * np.finfo(np.float64).eps * largest)
    if constant.size:
        raise ValueError(
            f"X must vary in each column with visible='gaussian': a constant has no density. Leave "
            f"out {label_columns(constant, names)}."
        )
    outside = np.flatnonzero(~((scale >= SMALLEST_SCALE) & (scale <= LARGEST_SCALE)))
    if outside.size:
        column = outside[0]
        raise ValueError(
            f"X must have standard deviations between {SMALLEST_SCALE:g} and {LARGEST_SCALE:g}, "
            f"got {scale[column]:g} in {label_columns([column], names)}: take another unit."
        )
    return mean, scale


def check_extent(x: np.ndarray, label: str) -> None:
    """Raise ValueError unless the known numbers of a column differ, by what float32 can hold.

    Examples
    --------
    >>> check_extent(np.array([3.0, 3.0]), "column 7")
    Traceback (most recent call last):
    ValueError: column 7 has the value 3 alone: a constant has no density. Leave it out.
    """
    if x.size == 0:
        raise ValueError(f"{label} has no known values: leave it out")
    low, high = float(x.min()), float(x.max())
    largest, extent = max(-low, high), high - low
    if extent <= ROUNDINGS * np.finfo(np.float64).eps * largest:
        raise ValueError(
            f"{label} has the value {low:g} alone: a constant has no density. Leave it out."
        )
    if extent < SMALLEST_SCALE or largest > LARGEST_SCALE:
        raise ValueError(
            f"{label} has values from {low:g} to {high:g}: real columns may have values up "
            f"to {LARGEST_SCALE:g}, which differ by at least {SMALLEST_SCALE:g}. Take another unit."
        )


def find_smallest_scales(
    X: Any, weights: np.ndarray | None, mean: np.ndarray, scale: np.ndarray, backend: Any
) -> np.ndarray:
    """Find how small the scale of each column may become in training, float64 of shape (V,).

    Parameters
    ----------
    X : array of shape (n, V)
        NumPy's, or CuPy's; NaN where an entry is missing.
    weights : array of shape (n,), optional
    mean, scale : array of shape (V,)
        Moments of the columns (`compute_moments`).
    backend : backend

    Examples
    --------
    >>> X = np.array([[0.0, -1.0], [0.0, -0.999], [0.0, 1.0], [3.0, 0.999]])
    >>> find_smallest_scales(X, None, X.mean(axis=0), X.std(axis=0), None).round(3)
    array([0.866, 0.05 ])
    """
    where = backend.xp if is_cupy_array(X) else np
    at, unit = where.asarray(mean), where.asarray(scale)
    known = _weighted_mean(X, weights, lambda x: where.astype(x == x, x.dtype), where)
    fourth = _weighted_mean(X, weights, lambda x: where.nan_to_num((x - at) / unit) ** 4, where)
    share = np.clip(fourth / known / LARGEST_KURTOSIS, SMALLEST_SHARE, 1.0)
    some = to_host(X[:: max(1, X.shape[0] // ROWS_FOR_RESOLUTION)])
    steps = np.array([_least_difference(column) for column in some.T])
    return np.maximum(share * scale, np.minimum(SHARE_OF_RESOLUTION * steps, scale))


def _least_difference(column: np.ndarray) -> float:
    """Find the least difference of two numbers; zero if there is one alone."""
    numbers = np.unique(column[column == column])
    return float(np.diff(numbers).min()) if numbers.size > 1 else 0.0


def _weighted_mean(X: Any, weights: np.ndarray | None, function: Any, where: Any) -> np.ndarray:
    """Average f(x_n) over rows in float64, a chunk at a time."""
    shares = np.full(X.shape[0], 1.0 / X.shape[0]) if weights is None else weights / weights.sum()
    total = np.zeros(X.shape[1])
    for rows in chunks(X.shape[0]):
        x = function(where.astype(X[rows], where.float64))
        total += to_host(where.sum(where.asarray(shares[rows])[:, None] * x, axis=0))
    return total
