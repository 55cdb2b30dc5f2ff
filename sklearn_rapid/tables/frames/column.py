"""Describe a column of a data frame: its dtype, the content that follows from it, categories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe

HOLDS = "booleans", "integers", "numbers", "values"
# Content of a column by the start of its dtype in lower case; of pandas, polars and PyArrow.
HOLDS_OF_DTYPE = {
    r"bool(ean)?\b": "booleans",
    r"u?int\d+\b": "integers",
    r"(float\d*|double|halffloat|null)\b|decimal": "numbers",
    r"(str|string|large_string|string_view|category|categorical|enum|dictionary)\b": "values",
    r"date|time|duration|period|month_day_nano": "dates",
}
# float64 holds each whole number below this one.
LARGEST_WHOLE = 2.0**53


@dataclass(frozen=True, eq=False)
class FrameColumn:
    """A column of a data frame.

    Parameters
    ----------
    name : hashable
    dtype : str
        The library's own dtype as text, such as "int64", "category", "String".
    holds : {"booleans", "integers", "numbers", "values"}
        Values are strings, categories and other objects.
    categories : array or None, default=None
        Declared categories in their order, of dtype bool, int64, float64 or object.
    ordered : bool, default=False
        Whether an order of the categories is declared. An Enum of polars always has one.
    categories_dtype : str or None, default=None
        The dtype of the categories in pandas.

    Examples
    --------
    >>> sizes = np.array(["S", "M", "L"], dtype=object)
    >>> column = FrameColumn("size", "Enum", "values", sizes, ordered=True)
    >>> column.label, column == FrameColumn("size", "String", "values")
    ("column 'size'", False)
    """

    name: Any
    dtype: str
    holds: str
    categories: np.ndarray | None = None
    ordered: bool = False
    categories_dtype: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameColumn):
            return NotImplemented
        return self._as_tuple() == other._as_tuple()

    @property
    def label(self) -> str:
        """The column's name in messages."""
        return f"column {describe(self.name)}"

    def with_categories(self, more: Sequence) -> FrameColumn:
        """Copy the column with further declared categories, after the others."""
        if not more:
            return self
        categories = array_of_categories([*self.categories.tolist(), *more])
        dtypes = {"b": "bool", "i": "int64", "f": "float64"}
        of_objects = "object" if self.categories.dtype != object else self.categories_dtype
        dtype = dtypes.get(categories.dtype.kind, of_objects)
        return replace(self, categories=categories, categories_dtype=dtype)

    def _as_tuple(self) -> tuple:
        categories = self.categories
        if categories is not None:
            categories = str(categories.dtype), categories.tolist()
        return self.name, self.dtype, self.holds, categories, self.ordered, self.categories_dtype


def find_content(dtype: str, name: Any) -> str:
    """Find the content of a column by its dtype; ValueError if it cannot be read.

    Examples
    --------
    >>> find_content("UInt8", "a"), find_content("large_string", "b")
    ('integers', 'values')
    >>> find_content("List(Int64)", "c")
    Traceback (most recent call last):
    ...
    ValueError: column 'c' of X has dtype List(Int64), which cannot be read: make it numbers, \
strings or categories, or leave it out
    """
    text = dtype.lower()
    holds = next((held for pattern, held in HOLDS_OF_DTYPE.items() if re.match(pattern, text)), "")
    if holds == "dates":
        raise refuse_dates(f"dtype {dtype}", name)
    if not holds:
        raise ValueError(
            f"column {describe(name)} of X has dtype {dtype}, which cannot be read: make it "
            "numbers, strings or categories, or leave it out"
        )
    return holds


def refuse_dates(got: str, name: Any) -> ValueError:
    """Make the error for a column of dates, times or durations."""
    return ValueError(
        f"column {describe(name)} of X holds dates or times ({got}), which cannot be read: make it "
        "a number, such as days since a date, or leave it out"
    )


def refuse_large(name: Any) -> ValueError:
    """Make the error for whole numbers that float64 would round."""
    return ValueError(
        f"column {describe(name)} of X holds whole numbers of 2**53 and more, which would lose "
        "digits: make them smaller, or strings if they are identifiers"
    )


def array_of_objects(values: Sequence) -> np.ndarray:
    """Put values into a 1-D array of objects, tuples too.

    Examples
    --------
    >>> array_of_objects([(1, 2), (3, 4)]).shape
    (2,)
    """
    return np.fromiter(values, dtype=object, count=len(values))


def array_of_categories(values: Iterable) -> np.ndarray:
    """Put categories into an array of bool, int64 or float64 if all are of that type.

    Examples
    --------
    >>> array_of_categories([2, 1]).dtype, array_of_categories(["b", 1]).dtype
    (dtype('int64'), dtype('O'))
    """
    values = [as_plain(value) for value in values]
    types = {type(value) for value in values}
    is_small = types != {int} or max(map(abs, values)) < 2**63
    if len(types) == 1 and types < {bool, int, float} and is_small:
        return np.array(values)
    return array_of_objects(values)


def as_plain(value: Any) -> Any:
    """Convert a number or string of NumPy's to Python's; return anything else unchanged."""
    if isinstance(value, np.bool_ | np.integer | np.floating | np.str_):
        return value.item()
    return value
