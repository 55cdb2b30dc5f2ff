"""Describe columns as another library has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sklearn_rapid.tables.frames.column import FrameColumn
from sklearn_rapid.tables.frames.schema import FrameSchema

# Dtypes of floats by their names in lower case; "float" is PyArrow's.
SMALL_FLOATS = ("float16", "float32", "halffloat", "float")


# Dtypes of categories that are no strings, by the kind of NumPy's dtype.
OF_CATEGORIES = {
    "pandas": {"b": "bool", "i": "int64", "f": "float64", "O": "object"},
    "polars": {"b": "Boolean", "i": "Int64", "f": "Float64", "O": "Object"},
}
HOLDS_OF_KIND = {"b": "booleans", "i": "integers", "f": "numbers", "O": "values"}


def convert_schema(schema: FrameSchema, library: str, columns: Sequence[np.ndarray]) -> FrameSchema:
    """Describe the same columns in another library, "pandas" or "polars".

    Numbers keep their widths, strings their categories. Polars has no categories of other values,
    and names are strings there.

    Parameters
    ----------
    schema : FrameSchema
    library : {"pandas", "polars"}
    columns : sequence of array
        Values of each column.

    Examples
    --------
    >>> schema = FrameSchema("pandas", (FrameColumn("a", "int8", "integers"),))
    >>> convert_schema(schema, "polars", [np.zeros(2)]).columns[0].dtype
    'Int8'
    """
    if library == schema.library:
        return schema
    convert = _to_pandas if library == "pandas" else _to_polars
    return FrameSchema(library, tuple(map(convert, schema.columns, columns)))


def _to_pandas(column: FrameColumn, values: np.ndarray) -> FrameColumn:
    if column.holds != "values":
        return replace(column, dtype=_dtype_of_numbers(column, "bool", "int", "float"))
    if column.categories is None:
        return replace(column, dtype="category" if column.dtype == "Categorical" else "str")
    dtype = OF_CATEGORIES["pandas"][column.categories.dtype.kind]
    dtype = "str" if _are_of(str, column.categories) else dtype
    return replace(column, dtype="category", categories_dtype=dtype)


def _to_polars(column: FrameColumn, values: np.ndarray) -> FrameColumn:
    name, known = str(column.name), column.categories
    if column.holds != "values":
        dtype = _dtype_of_numbers(column, "Boolean", "Int", "Float")
        return FrameColumn(name, dtype.replace("uI", "UI"), column.holds)
    if known is None:
        dtype = "String" if _are_of(str, values) else "Object"
        return FrameColumn(name, "Binary" if _are_of(bytes, values) else dtype, "values")
    if not _are_of(str, known):
        kind = known.dtype.kind
        return FrameColumn(name, OF_CATEGORIES["polars"][kind], HOLDS_OF_KIND[kind])
    if column.ordered:
        return FrameColumn(name, "Enum", "values", known, ordered=True)
    return FrameColumn(name, "Categorical", "values")


def _are_of(kind: type, values: np.ndarray) -> bool:
    return all(isinstance(value, kind) for value in values)


def _dtype_of_numbers(column: FrameColumn, booleans: str, integers: str, floats: str) -> str:
    """Name the dtype of numbers of the same width."""
    text = column.dtype.lower()
    if column.holds == "booleans":
        return booleans
    if column.holds == "integers":
        unsigned, bits = re.search(r"(u?)int(\d+)", f"{text} int64").groups()
        return f"{unsigned}{integers}{min(int(bits), 64)}"
    name = re.match(r"(sparse\[)?([a-z0-9]+)", text)[2]
    return f"{floats}{32 if name in SMALL_FLOATS else 64}"
