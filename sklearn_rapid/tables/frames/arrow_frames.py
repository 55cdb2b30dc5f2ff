"""Read columns of PyArrow, and build its arrays and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from sklearn_rapid.tables.frames.column import FrameColumn, array_of_categories, find_content
from sklearn_rapid.tables.frames.entries import as_numbers, as_objects, as_positions
from sklearn_rapid.tables.frames.narwhals_column import NarwhalsColumn

DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>")
DECIMAL = re.compile(r"(decimal\d+)\((\d+), (-?\d+)\)")


def open_arrow(array: Any, name: Any, suffix: str = "") -> NarwhalsColumn:
    """Open an array of PyArrow; ValueError if it cannot be read.

    Parameters
    ----------
    array : pyarrow.Array or pyarrow.ChunkedArray
    name : hashable
    suffix : str, default=""
        Appended to the dtype, for arrays in a frame of pandas.
    """
    import pyarrow as pa

    array = pa.chunked_array(array if isinstance(array, pa.ChunkedArray) else [array])
    text, categories, ordered = str(array.type), None, False
    holds = find_content(text, name)
    if isinstance(array.type, pa.DictionaryType):
        find_content(str(array.type.value_type), name)
        array, ordered = array.unify_dictionaries(), array.type.ordered
        known = array.chunk(0).dictionary.drop_null().to_pylist() if array.num_chunks else []
        categories = array_of_categories(known)
        array = array.cast(array.type.value_type)
    column = FrameColumn(name, text + suffix, holds, categories, ordered)
    return NarwhalsColumn(nw.from_native(array, series_only=True), column)


def build_arrow(columns: Sequence[FrameColumn], arrays: Sequence[np.ndarray]) -> Any:
    """Build a table of PyArrow."""
    import pyarrow as pa

    built = list(map(build_array, columns, arrays))
    return pa.Table.from_arrays(built, names=[column.name for column in columns])


def build_array(column: FrameColumn, values: np.ndarray) -> Any:
    """Build an array of PyArrow."""
    import pyarrow as pa

    dtype = type_from_text(column.dtype.removesuffix("[pyarrow]"))
    if isinstance(dtype, pa.DictionaryType):
        positions = as_positions(column, values)
        indices = pa.array(positions, type=dtype.index_type, mask=positions < 0)
        categories = pa.array(column.categories.tolist(), type=dtype.value_type)
        return pa.DictionaryArray.from_arrays(indices, categories, ordered=dtype.ordered)
    if column.holds == "values":
        return pa.array(as_objects(values), type=dtype, from_pandas=True)
    numbers = as_numbers(column, values)
    missing = numbers != numbers
    if column.holds != "numbers":
        numbers = np.where(missing, 0.0, numbers)
        numbers = numbers.astype(np.bool_ if column.holds == "booleans" else np.int64)
    if missing.all():  # PyArrow casts nothing to its type of nulls
        return pa.nulls(len(numbers), type=dtype)
    try:
        return pa.array(numbers, mask=missing).cast(dtype)
    except pa.ArrowInvalid as error:  # of decimals with few digits
        raise ValueError(f"{column.label} has dtype {column.dtype}: {error}") from None


def type_from_text(text: str) -> Any:
    """Find a type of PyArrow by its text."""
    import pyarrow as pa

    if found := DICTIONARY.fullmatch(text):
        values, indices, ordered = found.groups()
        return pa.dictionary(type_from_text(indices), type_from_text(values), ordered == "1")
    if found := DECIMAL.fullmatch(text):
        name, precision, scale = found.groups()
        return getattr(pa, name)(int(precision), int(scale))
    return pa.type_for_alias(text)
