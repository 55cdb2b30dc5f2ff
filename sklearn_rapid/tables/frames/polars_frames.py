"""Read columns of polars, and build its frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.frames.column import FrameColumn, array_of_categories, find_content
from sklearn_rapid.tables.frames.entries import as_numbers, as_objects, as_positions
from sklearn_rapid.tables.frames.narwhals_column import NarwhalsColumn


def open_polars(series: Any, name: str) -> NarwhalsColumn:
    """Open a series of polars; ValueError if it cannot be read."""
    # Brackets hold the categories, or the name of their pool.
    dtype = re.sub(r"^(Enum|Categorical)\b.*", r"\1", str(series.dtype), flags=re.DOTALL)
    holds, categories = find_content(dtype, name), None
    if dtype == "Enum":
        categories = array_of_categories(series.dtype.categories)
    series = nw.from_native(series, series_only=True)
    if dtype in ("Enum", "Categorical"):
        series = series.cast(nw.String)
    column = FrameColumn(name, dtype, holds, categories, ordered=dtype == "Enum")
    return NarwhalsColumn(series, column)


def build_polars(columns: Sequence[FrameColumn], arrays: Sequence[np.ndarray]) -> Any:
    """Build a frame of polars."""
    import polars as pl

    return pl.DataFrame(list(map(_build_series, columns, arrays)))


def _build_series(column: FrameColumn, values: np.ndarray) -> Any:
    import polars as pl

    if column.dtype == "Enum":
        as_positions(column, values)  # refuses other entries
        dtype = pl.Enum(column.categories.tolist())
    else:
        dtype = _dtype_from_text(column.dtype)
    if column.holds == "values":
        return pl.Series(column.name, as_objects(values).tolist(), dtype=dtype)
    numbers = pl.Series(column.name, as_numbers(column, values), nan_to_null=True)
    try:
        return numbers.cast(dtype)
    except pl.exceptions.PolarsError as error:  # of decimals with few digits
        raise ValueError(f"{column.label} has dtype {column.dtype}: {error}") from None


def _dtype_from_text(text: str) -> Any:
    """Find a dtype by its text, such as Int64 or Decimal(precision=9, scale=2)."""
    import polars as pl

    dtype = getattr(pl, text.partition("(")[0], None)
    if not (isinstance(dtype, type) and issubclass(dtype, pl.DataType)):
        raise ValueError(f"polars has no dtype {describe(text)}")
    return dtype(*map(int, re.findall(r"=(\d+)", text)))
