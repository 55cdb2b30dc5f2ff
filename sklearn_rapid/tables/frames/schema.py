"""Remember the columns of a data frame, and build frames of the same library and dtypes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.frames.arrow_frames import build_arrow
from sklearn_rapid.tables.frames.column import FrameColumn, as_plain
from sklearn_rapid.tables.frames.library import (
    IS_OF_LIBRARY,
    find_library,
    list_names,
    open_column,
)
from sklearn_rapid.tables.frames.pandas_frames import build_pandas
from sklearn_rapid.tables.frames.plain import (
    column_from_plain,
    column_to_plain,
    name_from_plain,
    name_to_plain,
)
from sklearn_rapid.tables.frames.polars_frames import build_polars

# Dtypes of columns that frames get, by their content and their library.
DTYPES = {"booleans": "bool", "integers": "int64", "numbers": "float64"}
DTYPES_OF = {
    "polars": {"booleans": "Boolean", "integers": "Int64", "numbers": "Float64"},
    "pyarrow": {**DTYPES, "numbers": "double"},
}


@dataclass(frozen=True)
class FrameSchema:
    """The library and the columns of a data frame.

    Parameters
    ----------
    library : {"pandas", "polars", "pyarrow", "modin"}
    columns : tuple of FrameColumn
    level_names : tuple, default=(None,)
        Names of the levels of the column names in pandas.

    Examples
    --------
    >>> column = FrameColumn("age", "int64", "integers")
    >>> schema = FrameSchema("pandas", (column,))
    >>> FrameSchema.from_plain(schema.to_plain()) == schema
    True
    """

    library: str
    columns: tuple[FrameColumn, ...]
    level_names: tuple = (None,)

    @classmethod
    def read(cls, X: Any) -> FrameSchema:
        """Read the schema of a frame; ValueError, with the column's name, if it cannot be read."""
        X = nw.to_native(X, pass_through=True)
        library = find_library(X)
        if library is None:
            raise ValueError(f"X must be a data frame, got {describe(X)}")
        names = [as_plain(name) for name in list_names(X)]
        if not names:
            raise ValueError("X must have columns, got a table with none")
        if X.shape[0] == 0:
            raise ValueError("X must have rows, got a table with none")
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise ValueError(f"X has {count} columns of the name {describe(name)}: rename them")
        columns = tuple(open_column(X, j, name).column for j, name in enumerate(names))
        level_names = tuple(X.columns.names) if library in ("pandas", "modin") else (None,)
        return cls(library, columns, level_names)

    def with_columns(self, names: Sequence, holds: str) -> FrameSchema:
        """Add columns of booleans or integers; names get the levels that others have."""
        dtype = DTYPES_OF.get(self.library, DTYPES)[holds]
        others = ("",) * (len(self.level_names) - 1)
        names = [(name, *others) if others else name for name in names]
        added = (FrameColumn(name, dtype, holds) for name in names)
        return replace(self, columns=(*self.columns, *added))

    def with_floats(self) -> FrameSchema:
        """Describe columns of the same names that hold floats.

        Examples
        --------
        >>> schema = FrameSchema("polars", (FrameColumn("age", "Int8", "integers"),))
        >>> schema.with_floats().columns[0].dtype
        'Float64'
        """
        dtype = DTYPES_OF.get(self.library, DTYPES)["numbers"]
        columns = tuple(FrameColumn(column.name, dtype, "numbers") for column in self.columns)
        return replace(self, columns=columns)

    def build(self, columns: Sequence[np.ndarray], index_of: Any = None) -> Any:
        """Build a frame of this schema.

        Parameters
        ----------
        columns : sequence of array of shape (n,)
            Numbers as float64 or bool, values as objects, for each column; None or NaN where an
            entry is missing.
        index_of : data frame or None, default=None
            A frame of n rows, whose index is taken if both are of pandas or modin.

        Returns
        -------
        frame : data frame
            A missing entry is the dtype's own: null in polars and PyArrow, NaN among objects.
            Decimals among objects become floats.

        Raises
        ------
        ValueError
            With the column's name, if its dtype does not hold an entry.
        """
        arrays = [np.asarray(values) for values in columns]
        if len(arrays) != len(self.columns):
            raise ValueError(f"{len(self.columns)} columns are wanted, got {len(arrays)}")
        if self.library == "polars":
            return build_polars(self.columns, arrays)
        if self.library == "pyarrow":
            return build_arrow(self.columns, arrays)
        index_of = nw.to_native(index_of, pass_through=True)
        index = index_of.index if find_library(index_of) in ("pandas", "modin") else None
        frame = build_pandas(self.columns, arrays, self.level_names, index)
        if self.library == "modin":
            import modin.pandas

            return modin.pandas.DataFrame(frame)
        return frame

    def to_plain(self) -> dict:
        """Encode as a dict of JSON's types; ValueError for names and categories that it lacks."""
        return {
            "library": self.library,
            "columns": [column_to_plain(column) for column in self.columns],
            "level_names": [name_to_plain(name) for name in self.level_names],
        }

    @classmethod
    def from_plain(cls, plain: Any) -> FrameSchema:
        """Decode what `to_plain` has made; ValueError for anything else."""
        match plain:
            case {"library": str(library), "columns": list(columns), "level_names": list(names)}:
                found = tuple(map(column_from_plain, columns))
                are_different = len({column.name for column in found}) == len(found) > 0
                if library in IS_OF_LIBRARY and names and are_different:
                    return cls(library, found, tuple(map(name_from_plain, names)))
        raise ValueError(f"this is no schema of a data frame: {describe(plain)}")
