"""Parameters of an estimator that say what values of X mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe

# How many columns or codes an error lists.
MOST_LISTED = 10


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
    names : tuple or None, default=None
        Names of the columns, for messages.
    takes_numbers : bool, default=True
        Whether numbers of a frame may be real or categories; otherwise they are binary, as those of
        an array.
    reads_values : bool, default=False
        Whether numbers in [0, 1] are never probabilities, and columns of an array are of the kinds
        that those of a frame would be.

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
    names: tuple | None = None
    takes_numbers: bool = True
    reads_values: bool = False

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
            found: list[Any] = [None] * len(names)
            for key, codes in self.categories.items():
                found[find_column(key, len(names), names, "categories")] = codes
            return [_list_codes(codes, name) for codes, name in zip(found, names, strict=True)]
        if len(self.categories) != len(names):
            raise ValueError(
                f"categories must have an entry for each of the {len(names)} columns of X, or be "
                f"a dict of columns; got a list of {len(self.categories)}"
            )
        return [_list_codes(*pair) for pair in zip(self.categories, names, strict=True)]

    def is_infrequent(self, count: Any, n_rows: int) -> Any:
        """Whether codes of so many rows, of all, are infrequent."""
        if self.min_frequency is None:
            return count < 0
        is_share = isinstance(self.min_frequency, float)
        return count < (self.min_frequency * n_rows if is_share else self.min_frequency)

    def label(self, j: int) -> str:
        """Name column j in a message."""
        return label_columns([j], self.names)


def find_column(key: Any, n_columns: int, names: Sequence | None, parameter: str) -> int:
    """Find the number of a column given by its name or number; ValueError if there is none.

    Parameters
    ----------
    key : hashable
        A name if there is one like it, else a number.
    n_columns : int
    names : sequence or None
        Names of the columns.
    parameter : str
        What gives the column, for the error.

    Examples
    --------
    >>> find_column("b", 2, ["a", "b"], "visible"), find_column(-1, 2, None, "visible")
    (1, 1)
    """
    if names is not None and key in list(names):
        return list(names).index(key)
    is_number = isinstance(key, int | np.integer) and not isinstance(key, bool)
    if is_number and -n_columns <= key < n_columns:
        return int(key) % n_columns
    raise ValueError(f"{parameter} names a column {describe(key)}, which X does not have")


def with_lists(categories: Any) -> Any:
    """Replace arrays in the parameter `categories` by lists.

    Examples
    --------
    >>> with_lists({"age": np.array([1, 2])}), with_lists("auto")
    ({'age': [1, 2]}, 'auto')
    """
    if isinstance(categories, str):
        return categories
    if isinstance(categories, Mapping):
        return {key: None if v is None else _plain_list(v) for key, v in categories.items()}
    return [None if codes is None else _plain_list(codes) for codes in categories]


def _plain_list(codes: Any) -> list:
    return [code.item() if isinstance(code, np.generic) else code for code in codes]


def _list_codes(codes: Any, name: Any) -> list | None:
    """List the declared codes of a column; ValueError unless they are known and different."""
    if codes is None:
        return None
    try:
        known = [] if isinstance(codes, str | bytes | Mapping) else _plain_list(codes)
        is_good = 0 < len(known) == len(set(known))
    except TypeError:  # of what cannot be iterated over, or has no hash
        is_good = False
    if not is_good or any(code is None or code != code for code in known):
        raise ValueError(
            f"categories must list the different values of column {name!r}, got {describe(codes)}"
        )
    return known


def label_columns(columns: Sequence[int], names: tuple | None) -> str:
    """Name columns in a message, by their numbers if there are no names.

    Examples
    --------
    >>> label_columns([0, 1], None), label_columns([1], ("age", "sex"))
    ('columns 0, 1', "column 'sex'")
    """
    labels = [str(j) if names is None else describe(names[j]) for j in columns[:MOST_LISTED]]
    more = ["..."] if len(columns) > MOST_LISTED else []
    return f"column{'s' if len(columns) > 1 else ''} {', '.join([*labels, *more])}"
