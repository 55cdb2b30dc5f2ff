"""Convert numbers of rows to the values of the frame that was fitted."""

from __future__ import annotations

import numpy as np

from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.frames import FrameColumn, find_limits


def values_of_numbers(
    x: np.ndarray, known: np.ndarray | None, column: FrameColumn, kind: str, units: str
) -> np.ndarray:
    """Convert the numbers of a column to values.

    Means of binary columns become the more likely value, except for those of floats that were
    zeros and ones. Numbers that the column's dtype does not hold become the nearest that it does.

    Parameters
    ----------
    x : array of shape (n,)
    known : array or None
        The values that the numbers 0, 1, ... stand for; None where numbers stand for themselves.
    column : FrameColumn
    kind : str
    units : {"binary", "spin"}

    Examples
    --------
    >>> column = FrameColumn("age", "uint8", "integers")
    >>> values_of_numbers(np.array([-3.2, 40.7]), None, column, "gaussian", "binary")
    array([ 0., 41.])
    """
    low, high = UNIT_RANGES[units]
    is_on = x > 0.5 * (low + high)
    if known is not None:
        # Codes not seen in fit are below zero, and are replaced later.
        place = is_on if kind == "binary" else np.maximum(x, 0.0)
        return known[place.astype(np.int64)]
    if kind == "binary" and column.holds != "numbers":
        x = np.where(is_on, high, low)
    x = x if column.holds == "numbers" else np.round(x)
    return np.clip(x, *find_limits(column))


def restore_unseen(
    values: np.ndarray, is_unseen: np.ndarray, given: np.ndarray, column: FrameColumn
) -> tuple[np.ndarray, FrameColumn]:
    """Put values not seen in fit back into a column; they join its declared categories.

    Parameters
    ----------
    values : array of shape (n,)
    is_unseen : array of bool, shape (n,)
    given : array of shape (n,)
        Read from the frame that has them.
    column : FrameColumn
        The column as it was in fit.
    """
    values = np.where(is_unseen, given, values)
    if column.categories is None:
        return values, column
    known = set(column.categories.tolist())
    more = [v for v in dict.fromkeys(given[is_unseen].tolist()) if v not in known]
    return values, column.with_categories(more)
