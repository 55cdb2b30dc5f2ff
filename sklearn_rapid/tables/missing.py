"""What rows do not know: NaN in a user's X, and what is left to say something."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import is_cupy_array, to_host


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


def weights_of_known(
    X: Any, weights: np.ndarray | None, *, every_column: bool = False
) -> np.ndarray | None:
    """Weights of rows, zero for rows that know nothing: they say nothing.

    Parameters
    ----------
    X : array of shape (n, V)
    weights : array of shape (n,) or None
        None are equal ones, and stay so where each row knows something.
    every_column : bool, default=False
        Whether something has to be known of each column: ValueError if not.

    Examples
    --------
    >>> weights_of_known(np.array([[0.0, np.nan], [np.nan, np.nan]]), None)
    array([1., 0.])
    """
    if not has_missing(X):
        return weights
    known = to_host(X == X)  # NaN differs from itself
    which = "" if weights is None else " in a row with a sample_weight above 0"
    says_something = known.any(axis=1)
    if not says_something.all():
        weights = says_something * (1.0 if weights is None else weights)
    if weights is not None:
        known = known[weights > 0.0]
    if known.shape[0] == 0:
        raise ValueError(f"X must have an entry that is known{which}, got only NaN")
    if every_column:
        refuse_unknown(known.any(axis=0))
    return weights


def refuse_unknown(is_known: np.ndarray) -> None:
    """Raise ValueError, with their numbers, if there are columns of which nothing is known."""
    unknown = np.flatnonzero(~is_known)
    if unknown.size:
        raise ValueError(
            f"X must have an entry that is known in each column, got only NaN in column"
            f"{'s' if unknown.size > 1 else ''} {', '.join(map(str, unknown[:10]))}"
            f"{', ...' if unknown.size > 10 else ''}: leave such columns out"
        )
