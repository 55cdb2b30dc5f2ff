"""Read the first rows of a table: what kinds its columns are of, and what values they have.

Arrays are read as they are. Columns of a frame become numbers: text and categories the positions of
their values, two values that are not zero and one the ends of the range of spins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from sklearn_rapid.backends import to_host
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.first_columns import ColumnRequest, FirstColumn, ends_of_codes
from sklearn_rapid.tables.frames import (
    FrameColumn,
    FrameSchema,
    read_codes,
    read_column,
)
from sklearn_rapid.tables.kinds import (
    are_mixed,
    by_kind,
    choose_kind,
    choose_real,
    columns_by_kind,
    wanted_kinds,
)
from sklearn_rapid.tables.settings import ColumnSettings


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

        Columns whose kind is left open are binary; or categorical, if their codes are declared.
        With `reads_values` they are what their values say.
        """
        n = X.shape[1]
        wanted = wanted_kinds(visible, n, names)
        columns = list(range(n)) if names is None else list(names)
        categories = settings.categories_of(columns)
        if settings.reads_values and not sparse.issparse(X):
            return _of_values(X, wanted, columns, categories, names, settings, weights)
        for j, codes in enumerate(categories):
            if codes is not None and wanted[j] == "auto":
                wanted[j] = "categorical"
            _check_takes_codes(codes, wanted[j], columns[j])
        is_plain = visible != "auto" or "categorical" not in wanted
        if "real" not in wanted and not isinstance(visible, dict) and is_plain:
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
        """Whether all columns are binary, and their numbers, as NumPy has them, themselves."""
        are_binary = [kind for kind, _ in self.kinds] == ["binary"]
        are_coded = any(values is not None for values in self.values)
        return are_binary and not are_coded and converts_as_a_whole(self.schema)


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

    def read_columns(wanted: list[str]) -> list[FirstColumn]:
        triples = enumerate(zip(schema.columns, wanted, declared, strict=True))
        requests = [ColumnRequest(*t, settings, _of_column(weights, j)) for j, t in triples]
        return [FirstColumn.read(X, j, request) for j, request in enumerate(requests)]

    first = read_columns(wanted)
    for column, codes, label in zip(first, declared, labels, strict=True):
        if column.values is None:
            _check_takes_codes(codes, column.kind, label)
    if all(kind == "auto" for kind in wanted) and _may_be_means(schema, first, settings):
        first = read_columns(["binary"] * n)
    kinds = by_kind([column.kind for column in first])
    if are_mixed(visible) and "real" not in wanted:
        kinds = columns_by_kind(visible, n, labels)
    is_mixed = are_mixed(visible) or len(kinds) > 1
    values, categories = [c.values for c in first], [c.categories for c in first]
    numbers = np.column_stack([column.numbers for column in first])
    return numbers, Columns(kinds, is_mixed, names, values, categories, schema, weights)


def _of_values(
    X: np.ndarray,
    wanted: list[str],
    labels: list,
    declared: list,
    names: Any,
    settings: ColumnSettings,
    weights: np.ndarray | None,
) -> Columns:
    """Find the columns of an array as if it were a frame."""
    kinds, categories = [], list(declared)
    for j, (kind, codes, label) in enumerate(zip(wanted, declared, labels, strict=True)):
        x, own = np.asarray(X[:, j], dtype=np.float64), _of_column(weights, j)
        if not (x == x).any():
            raise ValueError(f"column {label!r} has no known values: leave it out")
        if kind == "auto":
            # Two numbers of an array are codes, unless they are zero and one.
            kind = "categorical" if codes is not None else choose_kind(x, own, True)
        elif kind == "real":
            kind = choose_real(x, own)
        _check_takes_codes(codes, kind, label)
        if kind == "categorical" and codes is None:
            categories[j] = np.unique(x[x == x])
        kinds.append(kind)
    kinds = by_kind(kinds)
    return Columns(kinds, len(kinds) > 1, names, [None] * len(labels), categories, None, weights)


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
    if len(X) == 0:
        raise ValueError("X must have rows, got a table with none")
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
            kind = " and 'categorical' in visible" if j in binary else ""
            raise ValueError(
                f"X has the value {describe(unknown[0])} in column {schema.columns[j].name!r}, "
                f"where the fit has seen {', '.join(describe(v) for v in known[:10])}"
                f"{', ...' if len(known) > 10 else ''} only. Leave such rows out, or fit again "
                f"with all values, or with handle_unknown='infrequent'{kind}."
            )
        found.append(ends_of_codes(codes, units) if j in binary else codes)
    return np.column_stack(found)


def converts_as_a_whole(schema: FrameSchema | None) -> bool:
    """Whether scikit-learn makes an array of a frame of numbers.

    It warns of dense columns beside sparse ones, and NumPy has no integers of 128 bits.
    """
    dtypes = [] if schema is None else [column.dtype for column in schema.columns]
    are_sparse = {dtype.startswith("Sparse") for dtype in dtypes}
    return len(are_sparse) < 2 and not any(dtype.endswith("nt128") for dtype in dtypes)


def names_of(schema: FrameSchema | None, columns: Iterable[int]) -> tuple | None:
    """Get the names of columns of a frame by their numbers; None without a frame."""
    return None if schema is None else tuple(schema.columns[j].name for j in columns)


def _check_takes_codes(codes: list | None, kind: str, label: Any) -> None:
    if codes is not None and kind != "categorical":
        raise ValueError(
            f"categories has codes for column {label!r}, which is {kind}: leave it out there, or "
            "make the column 'categorical' in visible"
        )


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
    return ends_of_codes(codes, units)


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


def _may_be_means(schema: FrameSchema, first: list[FirstColumn], settings: ColumnSettings) -> bool:
    """Whether a frame holds nothing but floats in [0, 1], as scaled pixels do; with a warning."""
    if settings.reads_values or any(column.holds != "numbers" for column in schema.columns):
        return False
    are_coded = any(column.values is not None for column in first)
    if are_coded or all(column.kind == "binary" for column in first):
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
