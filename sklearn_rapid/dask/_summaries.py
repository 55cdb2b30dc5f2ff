"""Summarise the columns of blocks: their values, and rows that show them.

A column of few values is known by these and their numbers of rows. Of other columns of numbers some
values are listed, the least, the largest and one with the most decimals among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.tables.frames import FrameSchema, distinct_values, is_frame, read_codes
from sklearn_rapid.tables.frames import read_column as read_numbers
from sklearn_rapid.tables.kinds import MOST_CODES
from sklearn_rapid.tables.reals.maps import find_most_decimals

# The most values of a column of text or categories.
MOST_VALUES = 20_000
# So many rows of a block often show that a column has many values.
ROWS_LOOKED_AT = 1000


@dataclass(frozen=True)
class ColumnSummary:
    """Values of a column.

    Attributes
    ----------
    values : array
        Objects, or float64; different ones where they are all.
    rows : array of int
        The number of a row that shows each, the first one where they are all.
    counts : array of int
        The number of rows of each.
    are_all : bool
        Whether the column has no others.
    """

    values: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    are_all: bool


@dataclass(frozen=True)
class BlockSummary:
    """A block's columns, and some of its rows.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype or None
        That of an array.
    rows : array or data frame
    bad_column : int or None
        A column with missing entries or infinity.
    columns : list of ColumnSummary
        Rows are counted within the block.
    """

    shape: tuple[int, ...]
    dtype: np.dtype | None
    rows: Any
    bad_column: int | None
    columns: list[ColumnSummary]


def summarize_block(block: Any, rows: np.ndarray, limits: Sequence[int]) -> BlockSummary:
    """Summarise a block.

    Parameters
    ----------
    block : array or data frame
    rows : array of int
        The numbers of rows that are asked for.
    limits : sequence of int
        How many values of each column may be listed, if it holds numbers.
    """
    if not is_frame(block):
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != len(limits):
            return BlockSummary(block.shape, block.dtype, None, None, [])
        columns = [_summarize_numbers(x, limit) for x, limit in zip(block.T, limits, strict=True)]
        return BlockSummary(block.shape, block.dtype, block[rows], _first_bad(columns), columns)
    if block.shape[1] != len(limits):
        return BlockSummary(block.shape, None, None, None, [])
    schema, columns = FrameSchema.read(block), []
    for j, column in enumerate(schema.columns):
        if column.holds == "values":
            columns.append(_summarize_values(block, j, column))
        else:
            columns.append(_summarize_numbers(read_numbers(block, j, column), limits[j]))
    return BlockSummary(block.shape, None, block.iloc[rows], _first_bad(columns), columns)


def merge_summaries(columns: Sequence[ColumnSummary], limit: int) -> ColumnSummary:
    """Merge the summaries of a column in all blocks, rows counted over all of them.

    Of a column with more values than the limit, some are listed: those that show that it has more,
    and the ends and the most decimals of numbers.
    """
    values = np.concatenate([column.values for column in columns])
    rows = np.concatenate([column.rows for column in columns])
    counts = np.concatenate([column.counts for column in columns])
    first, place = _find_distinct(values)
    are_all = all(column.are_all for column in columns) and len(first) <= limit
    if are_all:
        return ColumnSummary(values[first], rows[first], np.bincount(place, counts), True)
    kept = first[: limit + 1]
    if values.dtype != object:
        kept = np.append(kept, _find_marks(values))
    return ColumnSummary(values[kept], rows[kept], counts[kept], False)


def _first_bad(columns: list[ColumnSummary | None]) -> int | None:
    return columns.index(None) if None in columns else None


def _summarize_values(block: Any, j: int, column: Any) -> ColumnSummary | None:
    """Summarise a column of text or categories; None if entries are missing."""
    values, counts = distinct_values(block, j, column)
    codes, _ = read_codes(block, j, column, values)
    if np.isnan(codes).any():
        return None
    _, rows = np.unique(codes, return_index=True)
    kept = slice(MOST_VALUES + 1)
    return ColumnSummary(values[kept], rows[kept], counts[kept], len(values) <= MOST_VALUES)


def _summarize_numbers(x: np.ndarray, limit: int) -> ColumnSummary | None:
    """Summarise a column of numbers; None for missing entries or infinity."""
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        return None
    values, rows, counts = np.unique(x[:ROWS_LOOKED_AT], return_index=True, return_counts=True)
    if len(values) <= limit:
        values, rows, counts = _list_values(x, limit)
    if len(values) <= limit:
        return ColumnSummary(values, rows, counts, True)
    rows = np.append(rows[: limit + 1], _find_marks(x))
    return ColumnSummary(x[rows], rows, np.ones(len(rows), dtype=np.int64), False)


def _list_values(x: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List values in the order of their first rows, these rows, and their numbers of rows."""
    values, rows, counts = [], [], []
    place = np.arange(len(x))
    # Where values are few, that is faster than to sort.
    while len(x) and len(values) <= MOST_CODES:
        is_same = x == x[0]
        values.append(x[0])
        rows.append(place[0])
        counts.append(np.count_nonzero(is_same))
        x, place = x[~is_same], place[~is_same]
    if len(x) and limit > MOST_CODES:
        others, first, n = np.unique(x, return_index=True, return_counts=True)
        values, rows, counts = [*values, *others], [*rows, *place[first]], [*counts, *n]
    return np.array(values), np.array(rows), np.array(counts)


def _find_marks(x: np.ndarray) -> list[int]:
    """Find the ends, the numbers next to them, and one with the most decimals.

    The ends may be spikes, beside which the others have ends of their own.
    """
    ends = [int(x.argmin()), int(x.argmax())]
    inner = np.flatnonzero((x > x[ends[0]]) & (x < x[ends[1]]))
    inner_ends = [int(inner[x[inner].argmin()]), int(inner[x[inner].argmax()])]
    return [*ends, *inner_ends, find_most_decimals(x)]


def _find_distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first place of each value, in this order, and the number of each entry's value."""
    if values.dtype != object:
        _, first, place = np.unique(values, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return first[order], np.argsort(order)[place]
    known: dict[Any, int] = {}
    place = np.array([known.setdefault(value, len(known)) for value in values.tolist()])
    _, first = np.unique(place, return_index=True)
    return first, place
