"""Read columns of a data frame as numbers, values or codes, by the columns they were in fit."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from sklearn_rapid.tables.frames.column import (
    LARGEST_WHOLE,
    FrameColumn,
    array_of_objects,
    refuse_large,
)
from sklearn_rapid.tables.frames.library import open_column
from sklearn_rapid.tables.frames.schema import FrameSchema

# Unknown values that are returned.
MOST_UNKNOWN = 10


def read_all_columns(X: Any) -> tuple[FrameSchema, list[np.ndarray]]:
    """Read all columns of a frame as they are.

    `FrameSchema.build` makes the same frame of what is returned.

    Parameters
    ----------
    X : data frame

    Returns
    -------
    schema : FrameSchema
    columns : list of array
        As of `read_column`.
    """
    schema = FrameSchema.read(X)
    return schema, [read_column(X, j, column) for j, column in enumerate(schema.columns)]


def read_column(X: Any, j: int, column: FrameColumn) -> np.ndarray:
    """Read column j of a frame, of any dtype that converts to the content of `column` unchanged.

    Parameters
    ----------
    X : data frame
    j : int
    column : FrameColumn
        The column as it was in fit; that of another library too.

    Returns
    -------
    entries : array of shape (n,)
        Where `column` holds values, an array of objects, None where they are missing; float64
        otherwise, NaN where they are missing. It may be read-only.

    Raises
    ------
    ValueError
        If the column cannot be read, or has other content than `column`; for infinity, and for
        whole numbers of 2**53 and more.
    """
    if column.holds == "values":
        codes, values = _read_values(X, j, column)
        return array_of_objects([*values, None])[codes]
    return _read_numbers(X, j, column)


def read_codes(
    X: Any, j: int, column: FrameColumn, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read column j of a frame as positions in `values`.

    Parameters
    ----------
    X : data frame
    j : int
    column : FrameColumn
        The column as it was in fit, where it held values.
    values : array of shape (n_values,)
        Values seen in fit.

    Returns
    -------
    codes : array of shape (n,)
        float64: NaN where an entry is missing, -1 where it is not among `values`.
    unknown : array of objects
        Values that are not among `values`, at most ten.
    """
    codes, found = _read_values(X, j, column)
    position_of = {value: i for i, value in enumerate(values.tolist())}
    positions = np.array([*(position_of.get(value, -1) for value in found), np.nan])
    return positions[codes], found[positions[:-1] == -1][:MOST_UNKNOWN]


def distinct_values(X: Any, j: int, column: FrameColumn) -> tuple[np.ndarray, np.ndarray]:
    """Find the values that occur in column j of a frame, and count them.

    Parameters
    ----------
    X : data frame
    j : int
    column : FrameColumn
        The column, which holds values.

    Returns
    -------
    values : array of objects
        In the order of declared categories; sorted if there are none and they can be compared.
    counts : array of int64
    """
    codes, values = _read_values(X, j, column)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    if column.categories is not None:
        position_of = {value: i for i, value in enumerate(column.categories.tolist())}
        order = np.argsort([position_of.get(v, len(position_of)) for v in values], kind="stable")
    else:
        order = _sort(values)
    return values[order], counts[order]


def _sort(values: np.ndarray) -> np.ndarray:
    try:
        return np.argsort(values, kind="stable")
    except TypeError:  # in the order in which they occur
        return np.arange(len(values))


def _read_values(X: Any, j: int, column: FrameColumn) -> tuple[np.ndarray, np.ndarray]:
    """Return a position for each row, -1 where it is missing, in the values that occur."""
    opened = open_column(X, j, column.name)
    if opened.column.holds == "values":
        codes, values = opened.factorize()
    else:
        codes, values = _factorize(_read_own_numbers(opened), opened.column.holds)
    got, wanted = _find_families(values), _find_wanted_families(column)
    wrong = got - wanted if wanted else got & {"numbers"}
    if wrong:
        raise _refuse(opened.column, wrong, column, wanted or {"strings or other objects"})
    if "numbers" in got and column.categories is not None:
        # 1, 1.0 and True are equal: return the one that is a category.
        category_of = {value: value for value in column.categories.tolist()}
        values = array_of_objects([category_of.get(value, value) for value in values])
    return codes, values


def _factorize(numbers: np.ndarray, holds: str) -> tuple[np.ndarray, np.ndarray]:
    known = numbers == numbers
    codes = np.full(len(numbers), -1)
    values, codes[known] = np.unique(numbers[known], return_inverse=True)
    dtype = {"booleans": np.bool_, "integers": np.int64, "numbers": np.float64}[holds]
    return codes, values.astype(dtype).astype(object)


def _read_numbers(X: Any, j: int, column: FrameColumn) -> np.ndarray:
    opened = open_column(X, j, column.name)
    if opened.column.holds == "values":
        codes, values = opened.factorize()
        wrong = _find_families(values) - {"numbers"}
        if wrong:
            raise _refuse(opened.column, wrong, column, {column.holds})
        numbers = np.array([*map(float, values), np.nan])[codes]
    else:
        numbers = _read_own_numbers(opened)
    if np.isinf(numbers).any():
        raise ValueError(f"{column.label} of X must be finite, got infinity")
    if column.holds == "booleans":
        _check_known(numbers, (numbers == 0.0) | (numbers == 1.0), "0 and 1", column)
    elif column.holds == "integers":
        _check_known(numbers, numbers == np.floor(numbers), "whole numbers", column)
        _check_small(numbers, column.name)
    return numbers


def _read_own_numbers(opened: Any) -> np.ndarray:
    numbers = opened.numbers()
    if opened.column.holds == "integers":
        _check_small(numbers, opened.column.name)
    return numbers


def _check_small(numbers: np.ndarray, name: Any) -> None:
    if (np.abs(numbers) >= LARGEST_WHOLE).any():
        raise refuse_large(name)


def _check_known(
    numbers: np.ndarray, is_good: np.ndarray, wanted: str, column: FrameColumn
) -> None:
    wrong = numbers[~is_good & (numbers == numbers)]
    if wrong.size:
        raise ValueError(
            f"{column.label} of X must hold {wanted} as in fit (dtype {column.dtype}), got "
            f"{wrong[0]:g}"
        )


def _find_families(values: Iterable) -> set[str]:
    """Find numbers (booleans too), strings, and other types by their names."""
    types = {type(value) for value in values}
    return {_name_family(t) for t in types}


def _name_family(kind: type) -> str:
    if issubclass(kind, Real | Decimal | np.bool_):
        return "numbers"
    return "strings" if issubclass(kind, str) else f"objects of type {kind.__name__}"


def _find_wanted_families(column: FrameColumn) -> set[str]:
    """Find the families of values in fit; an empty set if only their dtype object is known."""
    if column.categories is not None:
        return _find_families(column.categories.tolist())
    return set() if "object" in column.dtype else {"strings"}


def _refuse(
    opened: FrameColumn, got: set[str], column: FrameColumn, wanted: set[str]
) -> ValueError:
    return ValueError(
        f"{column.label} of X holds {' and '.join(sorted(got))} (dtype {opened.dtype}), where fit "
        f"has seen {' and '.join(sorted(wanted))} (dtype {column.dtype})"
    )
