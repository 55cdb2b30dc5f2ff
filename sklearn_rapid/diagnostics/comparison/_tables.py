"""Read three tables of the same columns as codes of categories and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import to_host
from sklearn_rapid.checks.arrays import check_array, compute_if_dask, describe
from sklearn_rapid.tables.frames import (
    FrameColumn,
    FrameSchema,
    array_of_objects,
    distinct_values,
    is_frame,
    read_codes,
    read_column,
    unwrap_frame,
)
from sklearn_rapid.tables.kinds import choose_kind

TABLES = "train", "synthetic", "held_out"


@dataclass(frozen=True)
class ComparedTables:
    """Three tables as matrices: codes 0, 1, ... of categories, numbers, NaN where missing.

    Parameters
    ----------
    names : tuple
        Names of the columns; their numbers for arrays.
    n_values : array of int, shape (n_columns,)
        How many categories a column has in the three tables together; 0 for numbers.
    train, synthetic, held_out : array of float64, shape (n_rows, n_columns)
    """

    names: tuple
    n_values: np.ndarray
    train: np.ndarray
    synthetic: np.ndarray
    held_out: np.ndarray

    @property
    def is_category(self) -> np.ndarray:
        """Which columns are categories."""
        return self.n_values > 0


def read_tables(train: Any, synthetic: Any, held_out: Any) -> ComparedTables:
    """Read three frames or arrays; ValueError, with table and column, unless they match."""
    tables = {}
    for name, X in zip(TABLES, (train, synthetic, held_out), strict=True):
        with _errors_name(name):
            tables[name] = unwrap_frame(compute_if_dask(X, name))
        if is_frame(tables[name]) != is_frame(tables["train"]):
            kind = "a data frame" if is_frame(tables["train"]) else "an array"
            raise ValueError(f"{name} must be {kind} as train is, got {type(X).__name__}")
    read = _read_frames if is_frame(tables["train"]) else _read_arrays
    names, columns = read(tables)
    coded = [_code_numbers(parts) if n is None else (parts, n) for parts, n in columns]
    n_values = np.array([n for _, n in coded])
    matrices = (np.column_stack([parts[i] for parts, _ in coded]) for i in range(len(TABLES)))
    return ComparedTables(tuple(names), n_values, *matrices)


def _read_frames(tables: dict[str, Any]) -> tuple[list, list]:
    """Read the columns of frames: three arrays and the number of categories, None of numbers."""
    schemas = {}
    for name, X in tables.items():
        with _errors_name(name):
            schemas[name] = FrameSchema.read(X)
    columns = schemas["train"].columns
    places = {name: _find_places(name, schema, columns) for name, schema in schemas.items()}
    return [column.name for column in columns], [
        _read_frame_column(tables, {name: places[name][j] for name in tables}, column)
        for j, column in enumerate(columns)
    ]


def _find_places(
    name: str, schema: FrameSchema, columns: tuple[FrameColumn, ...]
) -> dict[int, int]:
    """Find the columns of train in another table."""
    wanted, found = ([column.name for column in c] for c in (columns, schema.columns))
    for column in wanted:
        if column not in found:
            raise ValueError(f"{name} lacks column {describe(column)}, which train has")
    for column in found:
        if column not in wanted:
            raise ValueError(f"{name} has column {describe(column)}, which train lacks")
    return {j: found.index(column) for j, column in enumerate(wanted)}


def _read_frame_column(
    tables: dict[str, Any], places: dict[str, int], column: FrameColumn
) -> tuple[list[np.ndarray], int | None]:
    if column.holds != "values":
        # A fraction among whole numbers is compared, not refused.
        column = replace(column, holds="numbers")
        numbers = []
        for name, X in tables.items():
            with _errors_name(name):
                numbers.append(read_column(X, places[name], column))
        return numbers, None
    values: dict[Any, None] = {}
    for name, X in tables.items():
        with _errors_name(name):
            values.update(dict.fromkeys(distinct_values(X, places[name], column)[0]))
    known = array_of_objects([*values])
    # A column that is missing throughout has one category that never occurs.
    codes = [read_codes(X, places[name], column, known)[0] for name, X in tables.items()]
    return codes, max(len(known), 1)


def _read_arrays(tables: dict[str, Any]) -> tuple[range, list]:
    """Read the columns of arrays; all in single precision if one of them is."""
    arrays: list[np.ndarray] = []
    for name, X in tables.items():
        X = X.toarray() if sparse.issparse(X) else to_host(X)
        n_columns = arrays[0].shape[1] if arrays else _count_columns(X)
        arrays.append(check_array(X, name, (None, n_columns), missing=True))
    if any(X.dtype.kind == "f" and X.dtype.itemsize < 8 for X in arrays):
        arrays = [X.astype(np.float32) for X in arrays]
    arrays = [X.astype(np.float64) for X in arrays]
    n_columns = arrays[0].shape[1]
    return range(n_columns), [([X[:, j] for X in arrays], None) for j in range(n_columns)]


def _count_columns(X: Any) -> int | None:
    shape = np.shape(X) if hasattr(X, "shape") or isinstance(X, list | tuple) else ()
    if len(shape) == 2 and shape[1] == 0:
        raise ValueError("train must have columns, got a table with none")
    return shape[1] if len(shape) == 2 else None


def _code_numbers(parts: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Code numbers of few values in train as categories; leave others as they are."""
    if choose_kind(parts[0]) not in ("binary", "categorical"):
        return parts, 0
    values = np.unique(np.concatenate(parts))
    values = values[values == values]
    codes = [np.searchsorted(values, x).astype(np.float64) for x in parts]
    codes = [np.where(np.isnan(x), np.nan, c) for x, c in zip(parts, codes, strict=True)]
    return codes, max(len(values), 1)


@contextmanager
def _errors_name(name: str) -> Iterator[None]:
    """Say in errors about "X" and "fit" which tables these are."""
    try:
        yield
    except (TypeError, ValueError) as error:
        where = f"X is {name} here" if name == "train" else f"X is {name} here, and fit is train"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error} ({where})") from None
