"""A column of polars or PyArrow, opened for reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from sklearn_rapid.tables.frames.column import FrameColumn, array_of_objects, refuse_large


@dataclass(frozen=True)
class NarwhalsColumn:
    """A column of polars or PyArrow, opened for reading.

    Parameters
    ----------
    series : narwhals.Series
        Categories stand as their values in it.
    column : FrameColumn
        Its description, from its own dtype.
    """

    series: Any
    column: FrameColumn

    def numbers(self) -> np.ndarray:
        """Read booleans, integers or numbers as float64, NaN where they are missing."""
        # Casts of decimals to floats do not give the nearest float; those of strings do.
        is_decimal = self.column.dtype.lower().startswith("decimal")
        series = self.series.cast(nw.String) if is_decimal else self.series
        try:
            return series.cast(nw.Float64).to_numpy()
        except ValueError:  # PyArrow refuses integers that float64 does not hold
            raise refuse_large(self.column.name) from None

    def factorize(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a position for each row, -1 where it is missing, in the values that occur."""
        values = self.series.drop_nulls().unique(maintain_order=True).to_list()
        if not values:
            return np.full(len(self.series), -1), array_of_objects([])
        codes = self.series.replace_strict(values, list(range(len(values))), return_dtype=nw.Int64)
        codes = codes.to_numpy()
        return np.where(codes == codes, codes, -1).astype(np.int64), array_of_objects(values)
