"""Read columns of pandas, and build its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.frames.arrow_frames import build_array
from sklearn_rapid.tables.frames.column import (
    FrameColumn,
    array_of_categories,
    array_of_objects,
    find_content,
    refuse_dates,
    refuse_large,
)
from sklearn_rapid.tables.frames.entries import (
    as_numbers,
    as_objects,
    as_plain_numbers,
    as_positions,
)
from sklearn_rapid.tables.frames.pandas_dtypes import dtype_as_text, dtype_from_text

# Content of a column of objects by the name that pandas gives it. For other names, types decide.
HOLDS_OF_OBJECTS = {
    "boolean": "booleans",
    "integer": "integers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "decimal": "numbers",
    "string": "values",
    "date": "dates",
    "datetime": "dates",
    "datetime64": "dates",
    "timedelta": "dates",
    "timedelta64": "dates",
    "time": "dates",
    "period": "dates",
}


@dataclass(frozen=True)
class PandasColumn:
    """A column of pandas, opened for reading.

    Parameters
    ----------
    series : pandas.Series
        Dense.
    column : FrameColumn
        Its description, from its own dtype.
    """

    series: Any
    column: FrameColumn

    @classmethod
    def open(cls, series: Any, name: Any) -> PandasColumn:
        """Open a series; ValueError if it cannot be read."""
        import pandas as pd

        text = dtype_as_text(series.dtype)
        if isinstance(series.dtype, pd.SparseDtype):
            series = series.sparse.to_dense()
        if series.dtype == object:
            return cls(series, FrameColumn(name, text, _find_content_of_objects(series, name)))
        holds = find_content(str(series.dtype), name)
        if not isinstance(series.dtype, pd.CategoricalDtype):
            return cls(series, FrameColumn(name, text, holds))
        known, ordered = series.dtype.categories, bool(series.dtype.ordered)
        categories = array_of_categories(known.astype(object))
        column = FrameColumn(name, text, holds, categories, ordered, dtype_as_text(known.dtype))
        return cls(series, column)

    def numbers(self) -> np.ndarray:
        """Read booleans, integers or numbers as float64, NaN where they are missing."""
        try:
            return self.series.to_numpy(dtype=np.float64, na_value=np.nan)
        except OverflowError:
            raise refuse_large(self.column.name) from None

    def factorize(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a position for each row, -1 where it is missing, in the values that occur."""
        import pandas as pd

        codes, values = pd.factorize(self.series)
        return codes, array_of_objects(values.astype(object))


def _find_content_of_objects(series: Any, name: Any) -> str:
    import pandas as pd

    known = series[series.notna()]
    if known.empty:
        return "numbers"
    found = pd.api.types.infer_dtype(known)
    holds = HOLDS_OF_OBJECTS.get(found, "")
    if holds == "dates":
        raise refuse_dates(f"objects of type {found}", name)
    if holds:
        return holds
    types = {type(value) for value in known}
    if all(issubclass(t, Real | Decimal) and not issubclass(t, bool) for t in types):
        return "numbers"
    if all(issubclass(t, str) for t in types):
        return "values"
    names = ", ".join(sorted(t.__name__ for t in types))
    if len(types) > 1:
        raise ValueError(
            f"column {describe(name)} of X mixes objects of types {names}: make them of one type, "
            "such as strings, or leave it out"
        )
    if issubclass(types.pop(), complex | np.complexfloating) or not _are_hashable(known):
        raise ValueError(
            f"column {describe(name)} of X holds objects of type {names}, which cannot be read: "
            "make them numbers or strings, or leave it out"
        )
    return "values"


def _are_hashable(values: Any) -> bool:
    try:
        set(values)
    except TypeError:
        return False
    return True


def build_pandas(
    columns: Sequence[FrameColumn],
    arrays: Sequence[np.ndarray],
    level_names: Sequence,
    index: Any = None,
) -> Any:
    """Build a frame of pandas.

    Parameters
    ----------
    columns : sequence of FrameColumn
    arrays : sequence of array of shape (n,)
    level_names : sequence
        Names of the levels of the column names.
    index : pandas.Index or None, default=None
        None stands for the numbers of rows.
    """
    import pandas as pd

    built = map(_build_array, columns, arrays)
    # A series keeps its dtype where an array of objects would get another.
    frame = pd.DataFrame({j: pd.Series(array, dtype=array.dtype) for j, array in enumerate(built)})
    names = [column.name for column in columns]
    if len(level_names) > 1:
        frame.columns = pd.MultiIndex.from_tuples(names, names=level_names)
    else:
        frame.columns = pd.Index(names, name=level_names[0], tupleize_cols=False)
    if index is not None:
        frame.index = index
    return frame


def _build_array(column: FrameColumn, values: np.ndarray) -> Any:
    import pandas as pd

    if column.dtype.endswith("[pyarrow]"):
        return pd.arrays.ArrowExtensionArray(build_array(column, values))
    if column.categories is not None:
        dtype = dtype_from_text(column.categories_dtype or "object")
        categories = pd.Index(column.categories, dtype=dtype, tupleize_cols=False)
        dtype = pd.CategoricalDtype(categories, column.ordered)
        return pd.Categorical.from_codes(as_positions(column, values), dtype=dtype)
    dtype = dtype_from_text(column.dtype)
    if isinstance(dtype, pd.SparseDtype):
        return pd.arrays.SparseArray(_build_dense(column, values, dtype.subtype), dtype=dtype)
    return _build_dense(column, values, dtype)


def _build_dense(column: FrameColumn, values: np.ndarray, dtype: Any) -> Any:
    import pandas as pd

    if dtype == np.dtype(object):
        return _build_objects(column, values)
    if column.holds == "values":
        return pd.array(as_objects(values), dtype=dtype)
    if isinstance(dtype, np.dtype):
        return as_plain_numbers(column, values).astype(dtype)
    return pd.array(as_numbers(column, values), dtype=dtype)


def _build_objects(column: FrameColumn, values: np.ndarray) -> np.ndarray:
    if column.holds == "values":
        return as_objects(values, missing=np.nan)
    numbers = as_numbers(column, values)
    missing = numbers != numbers
    objects = as_plain_numbers(column, np.where(missing, 0.0, numbers)).astype(object)
    objects[missing] = np.nan
    return objects
