"""Parameters of an estimator that say what values of X mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnSettings:
    """Parameters of an estimator that say what values of its columns mean.

    Parameters
    ----------
    units : {"binary", "spin"}, default="binary"
    binarize : "auto", float, "sample" or None, default="auto"
    dtype : {"float32", "float64"}, default="float32"
        Of states and results.
    categories : "auto", list of (array or None), or dict, default="auto"
        Codes of categorical columns, by the number or name of a column; None for those of the
        first rows.
    min_frequency : int, float or None, default=None
        Codes of fewer rows share a unit: a number of rows, or their share of all.
    handle_unknown : {"error", "infrequent"}, default="error"
        Whether codes not seen in fit are refused, or belong to the infrequent ones.

    Examples
    --------
    >>> ColumnSettings(categories={"size": ["S", "M"]}).categories_of(["size", "price"])
    [['S', 'M'], None]
    """

    units: str = "binary"
    binarize: Any = "auto"
    dtype: str = "float32"
    categories: Any = "auto"
    min_frequency: Any = None
    handle_unknown: str = "error"

    @property
    def takes_unknown(self) -> bool:
        """Whether codes not seen in fit are taken."""
        return self.handle_unknown == "infrequent"

    def categories_of(self, names: list) -> list:
        """Get the declared codes of each column, None if there are none.

        Parameters
        ----------
        names : list
            Names of the columns, or their numbers.

        Raises
        ------
        ValueError
            For columns that X does not have, or a list of another length.
        """
        if isinstance(self.categories, str):
            return [None] * len(names)
        if isinstance(self.categories, Mapping):
            unknown = [key for key in self.categories if key not in names]
            if unknown:
                raise ValueError(f"categories has a column {unknown[0]!r}, which X does not have")
            return [self.categories.get(name) for name in names]
        if len(self.categories) != len(names):
            raise ValueError(
                f"categories must have an entry for each of the {len(names)} columns of X, or be "
                f"a dict of columns; got a list of {len(self.categories)}"
            )
        return list(self.categories)

    def is_infrequent(self, count: Any, n_rows: int) -> Any:
        """Whether codes of so many rows, of all, are infrequent."""
        if self.min_frequency is None:
            return count < 0
        is_share = isinstance(self.min_frequency, float)
        return count < (self.min_frequency * n_rows if is_share else self.min_frequency)
