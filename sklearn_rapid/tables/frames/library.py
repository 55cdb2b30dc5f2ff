"""Tell the libraries of data frames apart, and open a column with the one that reads it."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2 import dependencies

from sklearn_rapid.tables.frames.arrow_frames import open_arrow
from sklearn_rapid.tables.frames.narwhals_column import NarwhalsColumn
from sklearn_rapid.tables.frames.pandas_frames import PandasColumn
from sklearn_rapid.tables.frames.polars_frames import open_polars

# These compare with classes of modules that are imported already, and import none.
IS_OF_LIBRARY = {
    "pandas": dependencies.is_pandas_dataframe,
    "polars": dependencies.is_polars_dataframe,
    "pyarrow": dependencies.is_pyarrow_table,
    "modin": dependencies.is_modin_dataframe,
}


def is_frame(X: Any) -> bool:
    """Whether X is a data frame in memory: of pandas, polars or modin, or a table of PyArrow.

    Series, lazy frames, Dask's collections and arrays are none. Imports none of these libraries.

    Examples
    --------
    >>> is_frame(np.zeros((2, 2))), is_frame([[1, 2]])
    (False, False)
    """
    return not isinstance(X, np.ndarray) and find_library(X) is not None


def find_library(X: Any) -> str | None:
    """Find the library of a data frame, also of one that narwhals wraps; None for anything else."""
    X = nw.to_native(X, pass_through=True)
    return next((name for name, is_of in IS_OF_LIBRARY.items() if is_of(X)), None)


def unwrap_frame(X: Any) -> Any:
    """Return the frame that narwhals wraps, or anything else unchanged.

    Raises
    ------
    TypeError
        For lazy frames of polars.
    """
    X = nw.to_native(X, pass_through=True)
    if dependencies.is_polars_lazyframe(X):
        raise TypeError("X is a lazy frame of polars, which has no rows yet: pass X.collect()")
    return X


def list_names(X: Any) -> list:
    """List the names of a frame's columns."""
    return X.column_names if find_library(X) == "pyarrow" else list(X.columns)


def open_column(X: Any, j: int, name: Any) -> PandasColumn | NarwhalsColumn:
    """Open column j of a frame, called `name` in messages; ValueError if it cannot be read."""
    X, library = nw.to_native(X, pass_through=True), find_library(X)
    if library == "polars":
        return open_polars(X.to_series(j), name)
    if library == "pyarrow":
        return open_arrow(X.column(j), name)
    series = X.iloc[:, j]
    if library == "modin":
        series = nw.from_native(series, series_only=True).to_pandas()
    if str(series.dtype).endswith("[pyarrow]"):
        arrow = nw.from_native(series, series_only=True).to_arrow()
        return open_arrow(arrow, name, suffix="[pyarrow]")
    return PandasColumn.open(series, name)
