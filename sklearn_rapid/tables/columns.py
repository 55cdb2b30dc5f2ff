"""Read the first rows of a table: what kinds its columns are of, and what values they have.

Arrays are read as they are. Columns of a frame become numbers: text and categories the positions of
their values, two values that are not zero and one the ends of the range of spins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning

from sklearn_rapid.backends import to_host
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.frames import (
    FrameColumn,
    FrameSchema,
    array_of_objects,
    distinct_values,
    read_codes,
    read_column,
)
from sklearn_rapid.tables.kinds import (
    REALS,
    are_mixed,
    by_kind,
    choose_kind,
    choose_real,
    columns_by_kind,
    wanted_kinds,
)
from sklearn_rapid.tables.settings import ColumnSettings

# More values than these, and more than half as many as rows, identify rows rather than describe
# them.
MOST_VALUES_OF_FEW_ROWS = 20


@dataclass(frozen=True)
class Columns:
    """What the first rows of a table say of its columns.

    Parameters
    ----------
    kinds : list of (str, array of int)
        The columns of each kind, by number.
    is_mixed : bool
        Whether units of several kinds stand side by side.
    names : array of str or None
    values : list of (array or None)
        The values that the numbers 0, 1, ... of a column stand for; None where numbers stand for
        themselves.
    categories : list of (array or None)
        Declared codes of each column, as numbers.
    schema : FrameSchema or None
        Of a frame.
    weights : array of shape (n_samples, n_columns), optional
        The number of rows that each entry stands for, one by default.
    """

    kinds: list[tuple[str, np.ndarray]]
    is_mixed: bool
    names: Any
    values: list[np.ndarray | None]
    categories: list[np.ndarray | None]
    schema: FrameSchema | None = None
    weights: np.ndarray | None = None

    @classmethod
    def of_array(
        cls, X: Any, visible: Any, names: Any, settings: ColumnSettings, weights: Any = None
    ) -> Columns:
        """Find the columns of an array, whose numbers stand for themselves.

        Columns whose kind is left open are binary.
        """
        n = X.shape[1]
        wanted = wanted_kinds(visible, n, names)
        columns = list(range(n)) if names is None else list(names)
        categories = settings.categories_of(columns)
        if "real" not in wanted and not isinstance(visible, dict):
            visible = "binary" if visible == "auto" else visible
            kinds = columns_by_kind(visible, n, names)
            of_frame = [None] * n, categories, None
            return cls(kinds, are_mixed(visible), names, *of_frame, weights)
        found = ["binary" if kind == "auto" else kind for kind in wanted]
        for j, kind in enumerate(found):
            if kind == "real":
                found[j] = choose_real(to_host(X[:, j]), _of_column(weights, j))
        kinds = by_kind(found)
        return cls(kinds, len(kinds) > 1, names, [None] * n, categories, None, weights)

    @property
    def are_plain(self) -> bool:
        """Whether all columns are binary, and their numbers stand for themselves."""
        return [kind for kind, _ in self.kinds] == ["binary"] and not any(
            values is not None for values in self.values
        )


def learn_frame(
    X: Any,
    visible: Any,
    names: Any,
    settings: ColumnSettings,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, Columns]:
    """Read the first rows of a frame: its numbers, and its columns.

    Parameters
    ----------
    X : frame
    visible : str, list of (str, columns) or dict of columns
    names : array of str or None
    settings : ColumnSettings
    weights : array of shape (n_samples, n_columns), optional
        The number of rows that each entry stands for, where these rows are some of many; one by
        default.

    Returns
    -------
    array of shape (n_samples, n_columns)
        Float64.
    Columns

    Raises
    ------
    ValueError
        For a column that its kind cannot hold; with its name.
    """
    schema = FrameSchema.read(X)
    n, labels = len(schema.columns), [column.name for column in schema.columns]
    wanted, declared = wanted_kinds(visible, n, labels), settings.categories_of(labels)

    def read_columns(wanted: list[str]) -> list[_Column]:
        how = [(wanted[j], declared[j], settings, _of_column(weights, j)) for j in range(n)]
        return [_Column(X, j, schema, *how[j]) for j in range(n)]

    first = read_columns(wanted)
    if all(kind == "auto" for kind in wanted) and _may_be_means(schema, first, settings):
        first = read_columns(["binary"] * n)
    kinds = by_kind([column.kind for column in first])
    if are_mixed(visible) and "real" not in wanted:
        kinds = columns_by_kind(visible, n, labels)
    is_mixed = are_mixed(visible) or len(kinds) > 1
    values, categories = [c.values for c in first], [c.categories for c in first]
    numbers = np.column_stack([column.numbers for column in first])
    return numbers, Columns(kinds, is_mixed, names, values, categories, schema, weights)


def read_frame(
    X: Any,
    schema: FrameSchema,
    kinds: list[tuple[str, np.ndarray]],
    values: Sequence[np.ndarray | None],
    units: str,
    are_open: np.ndarray,
    allow_fewer: bool,
    unread: int | None = None,
) -> np.ndarray:
    """Read later rows of a frame: numbers, float64 of shape (n_samples, n_columns).

    Values not seen in fit are -1 in columns that are open to them, and raise ValueError in others.
    Columns that the frame lacks are missing with `allow_fewer`, and so is the column `unread`.
    """
    places = find_places(X, schema) if allow_fewer else list(range(len(values)))
    binary = {int(j) for kind, columns in kinds if kind == "binary" for j in columns}
    found = []
    for j, (place, known) in enumerate(zip(places, values, strict=True)):
        if place is None or j == unread:
            found.append(np.full(len(X), np.nan))
            continue
        if known is None:
            found.append(read_column(X, place, schema.columns[j]))
            continue
        codes, unknown = _codes(X, place, schema.columns[j], known)
        if len(unknown) and not are_open[j]:
            raise ValueError(
                f"X has the value {describe(unknown[0])} in column {schema.columns[j].name!r}, "
                f"where the fit has seen {', '.join(describe(v) for v in known[:10])}"
                f"{', ...' if len(known) > 10 else ''} only. Leave such rows out, or fit again "
                "with all values, or with handle_unknown='infrequent'."
            )
        found.append(_ends(codes, units) if j in binary else codes)
    return np.column_stack(found)


class _Column:
    """The first rows of a column: its kind, its numbers, and the values that they stand for."""

    def __init__(
        self, X: Any, j: int, schema: FrameSchema, wanted: str, declared: Any,
        settings: ColumnSettings, weights: np.ndarray | None,
    ) -> None:  # fmt: skip
        self.column, self.settings, self.weights = schema.columns[j], settings, weights
        self.values = self.categories = None
        if self.column.holds == "values":
            self._read_values(X, j, schema, wanted, declared)
        else:
            self.numbers = read_column(X, j, self.column)
            self._read_numbers(wanted, declared)

    def _read_values(self, X: Any, j: int, schema: FrameSchema, wanted: str, declared: Any) -> None:
        if wanted in REALS:
            raise ValueError(
                f"column {self.column.name!r} holds values such as {self._example(X, j)}, which "
                f"are no numbers: {wanted!r} does not fit. Leave it to visible='auto', or convert "
                "the column."
            )
        found, counts = distinct_values(X, j, self.column)
        if len(found) == 0:
            raise ValueError(f"column {self.column.name!r} has no known values: leave it out")
        values = found if declared is None else array_of_objects(declared)
        if wanted == "auto":
            is_pair = len(values) == 2 and declared is None
            is_binary = is_pair and not self.settings.takes_unknown
            wanted = "binary" if is_binary else "categorical"
        if wanted == "binary" and len(values) == 1:
            raise ValueError(
                f"column {self.column.name!r} has the value {describe(values[0])} alone: a binary "
                "column has two. Leave it out, or leave its kind to visible='auto'"
            )
        if wanted == "binary" and len(values) > 2:
            raise ValueError(
                f"column {self.column.name!r} has {len(values)} values, "
                f"{', '.join(describe(v) for v in values[:3])}, ...: a binary column has two"
            )
        n_rows = counts.sum() if self.weights is None else int(self.weights.sum())
        is_name = len(values) > max(MOST_VALUES_OF_FEW_ROWS, 0.5 * n_rows)
        if is_name and declared is None and self.settings.min_frequency is None:
            raise ValueError(
                f"column {self.column.name!r} has {len(values)} different values in "
                f"{n_rows} rows, such as {describe(values[0])}: it names rows. Leave it out; "
                "or set min_frequency, for which rare values are one; or convert it, if it holds "
                "numbers as text"
            )
        codes, unknown = _codes(X, j, self.column, values)
        if len(unknown) and not self.settings.takes_unknown:
            raise ValueError(
                f"X has the value {describe(unknown[0])} in column {self.column.name!r}, which "
                "categories does not list: add it, or set handle_unknown='infrequent'"
            )
        self.kind, self.values = wanted, values
        if wanted == "binary":
            self.numbers = _ends(codes, self.settings.units)
        else:
            self.numbers, self.categories = codes, np.arange(len(values), dtype=np.float64)

    def _read_numbers(self, wanted: str, declared: Any) -> None:
        x, name = self.numbers, self.column.name
        known = np.unique(x[x == x])
        if len(known) == 0:
            raise ValueError(f"column {name!r} has no known values: leave it out")
        is_open = wanted == "auto"
        if declared is not None:
            self.categories = self._declared_numbers(declared)
            wanted = "categorical" if is_open else wanted
        if is_open and not (self.settings.takes_numbers and self.settings.binarize == "auto"):
            # A threshold says what numbers of binary columns mean.
            wanted = "binary"
        elif wanted == "auto":
            wanted = choose_kind(x, self.weights)
        elif wanted == "real":
            wanted = choose_real(x, self.weights)
        if wanted in REALS and len(known) < 2:
            raise ValueError(
                f"column {name!r} has the value {known[0]:g} alone: a constant has no density. "
                "Leave it out, or leave its kind to visible='auto'"
            )
        self.kind = wanted
        ends = np.array(UNIT_RANGES[self.settings.units])
        if wanted == "binary" and self.settings.binarize == "auto" and len(known) == 2:
            if not np.isin(known, (0.0, 1.0)).all() and not np.array_equal(known, ends):
                self.values = known
        if wanted == "binary" and self.settings.units == "spin" and self.values is None:
            is_bits = self.column.holds == "booleans" or (
                self.settings.binarize == "auto" and bool(np.isin(known, (0.0, 1.0)).all())
            )
            self.values = np.array([0.0, 1.0]) if is_bits else None
        if self.kind == "categorical" and self.categories is None:
            self.categories = known
            if len(known) > max(MOST_VALUES_OF_FEW_ROWS, 0.5 * np.count_nonzero(x == x)):
                raise ValueError(
                    f"column {name!r} has {len(known)} different numbers in "
                    f"{np.count_nonzero(x == x)} rows, too many for categories: leave its kind to "
                    "visible='auto', or cut it into bins"
                )
        if self.values is not None:
            self.numbers = _ends(
                np.where(x == x, np.searchsorted(self.values, x), x), self.settings.units
            )

    def _declared_numbers(self, declared: list) -> np.ndarray:
        try:
            return np.array(declared, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"column {self.column.name!r} holds numbers, got categories={describe(declared)} "
                "for it"
            ) from None

    def _example(self, X: Any, j: int) -> str:
        values, _ = distinct_values(X, j, self.column)
        return describe(values[0]) if len(values) else "None"


def names_of(schema: FrameSchema | None, columns: Iterable[int]) -> tuple | None:
    """Get the names of columns of a frame by their numbers; None without a frame."""
    return None if schema is None else tuple(schema.columns[j].name for j in columns)


def _of_column(weights: np.ndarray | None, j: int) -> np.ndarray | None:
    return None if weights is None else weights[:, j]


def codes_of_numbers(x: np.ndarray, values: np.ndarray, units: str, j: int) -> np.ndarray:
    """Map the two numbers of a binary column to the ends of the range of spins."""
    codes = _places(x, values)
    if (codes == -1.0).any():
        raise ValueError(
            f"X has the value {x[codes == -1.0][0]:g} in column {j}, where the fit has seen "
            f"{', '.join(f'{value:g}' for value in values)} only"
        )
    return _ends(codes, units)


def _places(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Find the places of numbers among values, as floats: NaN stays so, others are -1."""
    order = np.argsort(values)
    place = np.clip(np.searchsorted(values[order], x), 0, len(values) - 1)
    return np.where(values[order][place] == x, order[place], np.where(x == x, -1.0, x))


def find_places(X: Any, schema: FrameSchema) -> list[int | None]:
    """Find the columns of fit in another frame; None for those that it lacks."""
    names = [column.name for column in FrameSchema.read(X).columns]
    known = [column.name for column in schema.columns]
    others = [name for name in names if name not in known]
    if others:
        raise ValueError(f"X has a column {others[0]!r}, which it had not in fit")
    return [names.index(name) if name in names else None for name in known]


def _codes(X: Any, j: int, column: FrameColumn, values: np.ndarray) -> tuple:
    """Find the positions of a column's values; of numbers, too."""
    if column.holds == "values":
        return read_codes(X, j, column, values)
    x = read_column(X, j, column)
    codes = _places(x, values)
    return codes, np.unique(x[codes == -1.0])


def _ends(codes: np.ndarray, units: str) -> np.ndarray:
    """Map 0 and 1 to the ends of the range of spins in the user's units."""
    low, high = UNIT_RANGES[units]
    return low + (high - low) * codes


def _may_be_means(schema: FrameSchema, first: list[_Column], settings: ColumnSettings) -> bool:
    """Whether a frame holds nothing but floats in [0, 1], as scaled pixels do; with a warning."""
    if any(column.holds != "numbers" for column in schema.columns):
        return False
    if all(column.kind == "binary" for column in first):
        return False
    ends = [(np.nanmin(column.numbers), np.nanmax(column.numbers)) for column in first]
    if not all(0.0 <= low and high <= 1.0 for low, high in ends) or settings.binarize != "auto":
        return False
    warn(
        "X is a frame of nothing but floats in [0, 1], which are read as the probabilities of "
        "binary columns, like those of an array. Set visible='binary' if that is what they are, "
        "or visible='real' for numbers.",
        DataConversionWarning,
    )
    return True
