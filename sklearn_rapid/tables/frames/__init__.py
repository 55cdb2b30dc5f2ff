"""Read data frames column by column, and build frames of the same schema from arrays.

Start with `schema`: a `FrameSchema` remembers the columns of a frame, and builds frames. `reading`
reads a column as numbers, values or codes, opened by `library`. The libraries have modules of
their own: `pandas_frames` (also modin) with `pandas_dtypes`, `polars_frames`, `arrow_frames`, and
`narwhals_column` for what the latter two share. `column` describes a column, `entries` checks
entries before they are written, `conversion` describes columns as another library has them,
`plain` encodes columns for files.
"""

from __future__ import annotations

from sklearn_rapid.tables.frames.column import FrameColumn, array_of_objects
from sklearn_rapid.tables.frames.conversion import convert_schema
from sklearn_rapid.tables.frames.entries import find_limits
from sklearn_rapid.tables.frames.library import is_frame, unwrap_frame
from sklearn_rapid.tables.frames.reading import (
    distinct_values,
    read_all_columns,
    read_codes,
    read_column,
)
from sklearn_rapid.tables.frames.schema import FrameSchema

__all__ = [
    "FrameColumn",
    "FrameSchema",
    "array_of_objects",
    "convert_schema",
    "distinct_values",
    "find_limits",
    "is_frame",
    "read_all_columns",
    "read_codes",
    "read_column",
    "unwrap_frame",
]
