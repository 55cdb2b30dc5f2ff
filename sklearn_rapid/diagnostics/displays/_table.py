"""Read rows of data frames that displays draw, and draw them as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.diagnostics.displays._axes import get_figure_and_axes
from sklearn_rapid.tables.frames import FrameSchema, distinct_values, is_frame, read_column


def as_pixels(rows: Any) -> np.ndarray:
    """Convert rows to an array of numbers; ValueError, with the column, for others in a frame."""
    if not is_frame(rows):
        return np.asarray(rows)
    columns = FrameSchema.read(rows).columns
    for j, column in enumerate(columns):
        if column.holds == "values":
            value = describe(distinct_values(rows, j, column)[0][0])
            raise ValueError(
                f"images are of numbers, and {column.label} holds values such as {value}; "
                "SamplesDisplay without an image_shape shows rows of a frame as a table"
            )
    return np.column_stack([read_column(rows, j, column) for j, column in enumerate(columns)])


def draw_table(frame: Any, ax: Any, params: dict[str, Any]) -> Any:
    """Draw the rows of a frame as a table; numbers have four digits."""
    columns = FrameSchema.read(frame).columns
    texts = []
    for j, column in enumerate(columns):
        entries = read_column(frame, j, column).tolist()
        if column.holds == "booleans":
            texts.append([str(bool(entry)) for entry in entries])
        else:
            texts.append([f"{e:.4g}" if column.holds == "numbers" else _name(e) for e in entries])
    _, ax = get_figure_and_axes(ax)
    ax.set_axis_off()
    names = [str(column.name) for column in columns]
    how = {"loc": "center", **params}
    table = ax.table(cellText=list(zip(*texts, strict=True)), colLabels=names, **how)
    table.auto_set_column_width(list(range(len(names))))
    return table


def _name(entry: Any) -> str:
    return f"{entry:.0f}" if isinstance(entry, float) else str(entry)
