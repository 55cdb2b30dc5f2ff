"""Find missing entries of X, and rows and columns in which no entry is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import is_cupy_array, to_host
from sklearn_rapid.tables.settings import label_columns


def has_missing(X: Any) -> bool:
    """Whether an array has NaN. Other containers have none: they are refused before.

    Examples
    --------
    >>> has_missing(np.array([[0.0, np.nan]])), has_missing(np.array([[0, 1]]))
    (True, False)
    """
    if not (isinstance(X, np.ndarray) or is_cupy_array(X)):
        return False
    if X.dtype.kind != "f" or 0 in X.shape:
        return False
    largest = X.max()  # NaN if there is one
    return bool(largest != largest)


def exclude_empty_rows(
    X: Any,
    weights: np.ndarray | None,
    *,
    every_column: bool = False,
    names: tuple | None = None,
) -> np.ndarray | None:
    """Give rows in which no entry is known a weight of zero.

    Parameters
    ----------
    X : array of shape (n, V)
    weights : array of shape (n,) or None
        None stands for equal weights, and is returned if there are no empty rows.
    every_column : bool, default=False
        Whether to raise ValueError for columns in which no entry is known.
    names : tuple, optional
        Names of the columns, for messages.

    Examples
    --------
    >>> exclude_empty_rows(np.array([[0.0, np.nan], [np.nan, np.nan]]), None)
    array([1., 0.])
    """
    if not has_missing(X):
        return weights
    known = to_host(X == X)  # NaN differs from itself
    which = "" if weights is None else " in a row with a sample_weight above 0"
    has_known = known.any(axis=1)
    if not has_known.all():
        weights = has_known * (1.0 if weights is None else weights)
    if weights is not None:
        known = known[weights > 0.0]
    if known.shape[0] == 0:
        raise ValueError(f"X must have an entry that is known{which}, got only NaN")
    if every_column:
        check_no_empty_columns(known.any(axis=0), names)
    return weights


def check_no_empty_columns(has_known: np.ndarray, names: tuple | None = None) -> None:
    """Raise ValueError, with names or numbers, for columns in which no entry is known."""
    empty = np.flatnonzero(~has_known)
    if empty.size:
        raise ValueError(
            "X must have an entry that is known in each column, got only NaN in "
            f"{label_columns(empty, names)}: leave such columns out"
        )
