"""Read the first rows of a frame's column: its kind, its numbers, and what these stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.frames import (
    FrameColumn,
    array_of_objects,
    distinct_values,
    read_codes,
    read_column,
)
from sklearn_rapid.tables.kinds import REALS, choose_kind, choose_real
from sklearn_rapid.tables.settings import ColumnSettings

# More values than these, and more than half as many as rows, identify rows rather than describe
# them.
MOST_VALUES_OF_FEW_ROWS = 20
# What to do about a column that cannot be of the kind asked for.
ADVICE = "Leave it out, or leave its kind to visible='auto'"


@dataclass(frozen=True)
class ColumnRequest:
    """What is known of a column of a frame before it is read, and asked for.

    Parameters
    ----------
    column : FrameColumn
    wanted : str
        The kind that is asked for; "auto" leaves it open.
    declared : list or None
        Declared categories.
    settings : ColumnSettings
    weights : array of shape (n,), optional
        The number of rows that each entry stands for, one by default.
    """

    column: FrameColumn
    wanted: str
    declared: list | None
    settings: ColumnSettings
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class FirstColumn:
    """A column in the first rows of a frame.

    Parameters
    ----------
    kind : str
    numbers : array of shape (n,)
        Float64, NaN where an entry is missing.
    values : array or None
        What the numbers 0, 1, ... stand for, or the ends of the range of spins; None if numbers
        stand for themselves.
    categories : array, list or None
        The codes of a column of categories, if they are known.
    """

    kind: str
    numbers: np.ndarray
    values: np.ndarray | None = None
    categories: Any = None

    @classmethod
    def read(cls, X: Any, j: int, request: ColumnRequest) -> FirstColumn:
        """Read column j of a frame; ValueError, with its name, for what its kind cannot hold."""
        read = _read_values if request.column.holds == "values" else _read_numbers
        return read(X, j, request)


def ends_of_codes(codes: np.ndarray, units: str) -> np.ndarray:
    """Map 0 and 1 to the ends of the range of spins in the user's units.

    Examples
    --------
    >>> ends_of_codes(np.array([0.0, 1.0]), "spin")
    array([-1.,  1.])
    """
    low, high = UNIT_RANGES[units]
    return low + (high - low) * codes


# --- text and categories --------------------------------------------------------------------------


def _read_values(X: Any, j: int, request: ColumnRequest) -> FirstColumn:
    column, wanted, declared = request.column, request.wanted, request.declared
    settings, weights = request.settings, request.weights
    found, counts = distinct_values(X, j, column)
    if len(found) == 0:
        raise _no_known_values(column)
    if wanted in REALS:
        raise ValueError(
            f"column {column.name!r} holds values such as {describe(found[0])}, which are no "
            f"numbers: {wanted!r} does not fit. {ADVICE}, or convert the column."
        )
    if declared is None and settings.min_frequency is None:
        n_rows = counts.sum() if weights is None else int(weights.sum())
        _check_identifies_no_rows(found, n_rows, column)
    values = found if declared is None else _declared_values(declared, column)
    if wanted == "auto":
        # A spin has no third value for those not seen.
        is_pair = len(values) == 2 and declared is None and not settings.takes_unknown
        wanted = "binary" if is_pair else "categorical"
    codes, unknown = read_codes(X, j, column, values)
    if len(unknown) and not settings.takes_unknown:
        raise ValueError(
            f"X has the value {describe(unknown[0])} in column {column.name!r}, which categories "
            "does not list: add it, or set handle_unknown='infrequent'"
        )
    if wanted != "binary":
        return FirstColumn(wanted, codes, values, np.arange(len(values), dtype=np.float64))
    if len(values) != 2:
        listed = ", ".join(describe(value) for value in values[:3])
        more = ", ..." if len(values) > 3 else ""
        raise ValueError(
            f"column {column.name!r} has {len(values)} value{'s' if len(values) > 1 else ''}, "
            f"{listed}{more}: a binary column has two. {ADVICE}."
        )
    return FirstColumn("binary", ends_of_codes(codes, settings.units), values)


def _declared_values(declared: list, column: FrameColumn) -> np.ndarray:
    """Put declared categories into an array; ValueError for those that a dtype does not hold."""
    if column.categories is not None:
        known = set(column.categories.tolist())
        wrong = [value for value in declared if value not in known]
    else:
        are_text = "object" not in column.dtype
        wrong = [value for value in declared if are_text and not isinstance(value, str)]
    if wrong:
        raise ValueError(
            f"categories lists {describe(wrong[0])} for column {column.name!r}, whose dtype "
            f"{column.dtype} does not have it: leave it out, or convert the column"
        )
    return array_of_objects(declared)


def _check_identifies_no_rows(found: np.ndarray, n_rows: int, column: FrameColumn) -> None:
    if len(found) > max(MOST_VALUES_OF_FEW_ROWS, 0.5 * n_rows):
        raise ValueError(
            f"column {column.name!r} has {len(found)} different values in {n_rows} rows, such as "
            f"{describe(found[0])}: it names rows. Leave it out; or set min_frequency, for which "
            "rare values are one; or convert it, if it holds numbers as text"
        )


# --- numbers --------------------------------------------------------------------------------------


def _read_numbers(X: Any, j: int, request: ColumnRequest) -> FirstColumn:
    column, declared, settings = request.column, request.declared, request.settings
    x = read_column(X, j, column)
    known, n_known = np.unique(x[x == x]), np.count_nonzero(x == x)
    if n_known == 0:
        raise _no_known_values(column)
    kind = _kind_of_numbers(x, request)
    if kind in REALS and len(known) < 2:
        raise ValueError(
            f"column {column.name!r} has the value {known[0]:g} alone: a constant has no density. "
            f"{ADVICE}."
        )
    if kind == "categorical":
        categories = known if declared is None else declared
        if declared is None and len(known) > max(MOST_VALUES_OF_FEW_ROWS, 0.5 * n_known):
            raise ValueError(
                f"column {column.name!r} has {len(known)} different numbers in {n_known} rows, too "
                "many for categories: leave its kind to visible='auto', or cut it into bins"
            )
        return FirstColumn(kind, x, None, categories)
    values = _pair_of_numbers(known, column, settings) if kind == "binary" else None
    if values is not None:
        x = ends_of_codes(np.where(x == x, np.searchsorted(values, x), x), settings.units)
    return FirstColumn(kind, x, values)


def _kind_of_numbers(x: np.ndarray, request: ColumnRequest) -> str:
    settings = request.settings
    if request.wanted == "real":
        return choose_real(x, request.weights)
    if request.wanted != "auto":
        return request.wanted
    if request.declared is not None:
        return "categorical"
    # A threshold says what numbers of binary columns mean.
    is_open = settings.takes_numbers and settings.binarize == "auto"
    takes_unknown = settings.takes_unknown and settings.units == "binary"
    return choose_kind(x, request.weights, takes_unknown) if is_open else "binary"


def _pair_of_numbers(
    known: np.ndarray, column: FrameColumn, settings: ColumnSettings
) -> np.ndarray | None:
    """Find the two values that a binary column's numbers are; None if they stand for themselves."""
    are_read_as_pair = settings.binarize == "auto"
    are_bits = bool(np.isin(known, (0.0, 1.0)).all())
    if settings.units == "spin" and (column.holds == "booleans" or (are_read_as_pair and are_bits)):
        return np.array([0.0, 1.0])
    are_ends = np.array_equal(known, np.array(UNIT_RANGES[settings.units]))
    is_other_pair = len(known) == 2 and not (are_bits or are_ends)
    return known if are_read_as_pair and is_other_pair else None


def _no_known_values(column: FrameColumn) -> ValueError:
    return ValueError(f"column {column.name!r} has no known values: leave it out")
