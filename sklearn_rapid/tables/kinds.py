"""List the kinds of columns, and find which columns of X are of which kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.categories import CategoryEncoder
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.reals.gaussian import RealEncoder
from sklearn_rapid.tables.reals.mapped import MappedEncoder, QuantileEncoder
from sklearn_rapid.tables.reals.spiked import SpikedEncoder, find_spikes
from sklearn_rapid.tables.settings import find_column
from sklearn_rapid.tables.spins import SpinEncoder

# Encoders by the names that `visible` has for kinds of columns. A new kind is an entry here.
KINDS: dict[str, type[Encoder]] = {
    "binary": SpinEncoder,
    "gaussian": RealEncoder,
    "categorical": CategoryEncoder,
    "real": MappedEncoder,
    "quantile": QuantileEncoder,
    "spiked": SpikedEncoder,
}
# The kinds of numbers, and what a column may be where "real" is asked for.
REALS, CHOICES_OF_REAL = ("gaussian", "real", "quantile", "spiked"), ("real", "spiked")
# Numbers of k values are codes if k is at most the first, in at least k² times the second
# rows: pairs of codes are then in some rows.
MOST_CODES, ROWS_OF_A_PAIR = 20, 2


def are_mixed(visible: Any) -> bool:
    """Whether `visible` is a list of kinds and their columns."""
    return isinstance(visible, list | tuple)


def leaves_open(visible: Any) -> bool:
    """Whether `visible` leaves the kinds of some columns of an array to be chosen.

    Examples
    --------
    >>> leaves_open("real"), leaves_open({0: "gaussian"}), leaves_open([("binary", [0])])
    (True, True, False)
    """
    if not are_mixed(visible):
        return visible == "real" or isinstance(visible, Mapping)
    return any(kind == "real" for kind, _ in visible)


def wanted_kinds(visible: Any, n_columns: int, names: Any = None) -> list[str]:
    """Find the kind that `visible` asks for of each column; "auto" where it leaves that open.

    Parameters
    ----------
    visible : str, list of (str, columns) or dict of columns
    n_columns : int
    names : array of str, optional
        Names of the columns.

    Raises
    ------
    ValueError
        For kinds or columns that there are none of, or named twice.

    Examples
    --------
    >>> wanted_kinds({"age": "real"}, 2, ["age", "sex"]), wanted_kinds("binary", 2)
    (['real', 'auto'], ['binary', 'binary'])
    """
    if isinstance(visible, str):
        return [visible] * n_columns
    wanted = ["auto"] * n_columns
    if isinstance(visible, Mapping):
        for key, kind in visible.items():
            if not (isinstance(kind, str) and kind in {*KINDS, "auto"}):
                raise ValueError(
                    f"visible must give one of {', '.join(map(repr, KINDS))} for a column, got "
                    f"{describe(kind)} for {describe(key)}"
                )
            wanted[find_column(key, n_columns, names, "visible")] = kind
        return wanted
    for kind, columns in columns_by_kind(visible, n_columns, names):
        for j in columns:
            wanted[j] = kind
    return wanted


def choose_kind(
    x: np.ndarray, weights: np.ndarray | None = None, takes_unknown: bool = False
) -> str:
    """Choose the kind of a column of numbers.

    Two values are binary, and so is a column of one if that is zero or one. Few values are
    categories, and so is another constant. The rest is real (`choose_real`).

    Parameters
    ----------
    x : array of shape (n,)
        NaN is ignored.
    weights : array of shape (n,), optional
        The number of rows that each entry stands for, one by default.
    takes_unknown : bool, default=False
        Whether later rows may have other values. Then two that are not zero and one are categories:
        a spin has no third value.

    Examples
    --------
    >>> choose_kind(np.array([1.0, 2.0])), choose_kind(np.tile(np.arange(3.0), 6))
    ('binary', 'categorical')
    >>> choose_kind(np.linspace(0.0, 1.0, 7))
    'real'
    """
    known = x == x
    values = np.unique(x[known])
    are_bits = bool(np.isin(values, (0.0, 1.0)).all())
    if len(values) < 2:
        return "binary" if are_bits else "categorical"
    if len(values) == 2:
        return "binary" if are_bits or not takes_unknown else "categorical"
    n_rows = np.count_nonzero(known) if weights is None else weights[known].sum()
    if len(values) <= MOST_CODES and n_rows >= ROWS_OF_A_PAIR * len(values) ** 2:
        return "categorical"
    return choose_real(x, weights)


def choose_real(x: np.ndarray, weights: np.ndarray | None = None) -> str:
    """Choose the kind of a column of real numbers: "spiked" if some values are spikes, or "real".

    Examples
    --------
    >>> choose_real(np.linspace(0.0, 1.0, 7))
    'real'
    """
    known = x == x
    weights = None if weights is None else weights[known]
    return "spiked" if find_spikes(x[known], weights).size else "real"


def by_kind(kinds: list[str]) -> list[tuple[str, np.ndarray]]:
    """Gather the columns of each kind, kinds in the order of `KINDS`.

    Examples
    --------
    >>> by_kind(["real", "binary", "real"])
    [('binary', array([1])), ('real', array([0, 2]))]
    """
    found = np.array(kinds, dtype=object)
    pairs = ((kind, np.flatnonzero(found == kind)) for kind in KINDS)
    return [(kind, columns) for kind, columns in pairs if columns.size]


def attributes_of_columns(kinds: Iterable[str] = KINDS) -> frozenset[str]:
    """Names of fitted attributes that have a value for each column or unit of these kinds."""
    return _attributes_of(tuple(KINDS[kind] for kind in kinds))


@cache
def _attributes_of(encoders: tuple[type[Encoder], ...]) -> frozenset[str]:
    names = (name for encoder in encoders for name in (*encoder.per_unit, *encoder.per_column))
    return frozenset(f"{name}_" for name in names)


def columns_by_kind(
    visible: Any, n_columns: int, names: Any = None
) -> list[tuple[str, np.ndarray]]:
    """Find the kinds and the numbers of their columns.

    Parameters
    ----------
    visible : str or list of (str, columns)
    n_columns : int
    names : array of str, optional
        Names of the columns.

    Raises
    ------
    ValueError
        Unless each column is of one kind.

    Examples
    --------
    >>> columns_by_kind([("gaussian", slice(2)), ("binary", "sex")], 3, ["age", "pay", "sex"])
    [('gaussian', array([0, 1])), ('binary', array([2]))]
    """
    if isinstance(visible, str):
        return [(visible, np.arange(n_columns))]
    parts = []
    for entry in visible:
        if not (isinstance(entry, tuple | list) and len(entry) == 2 and entry[0] in KINDS):
            raise ValueError(
                f"visible must be one of {', '.join(map(repr, KINDS))}, or a list of pairs (one of "
                f"these, columns); got {describe(entry)} in the list"
            )
        if entry[0] in [kind for kind, _ in parts]:
            raise ValueError(f"visible must name each kind once, got {entry[0]!r} twice")
        parts.append((entry[0], _column_numbers(entry[1], n_columns, names)))
    parts = [(kind, columns) for kind, columns in parts if columns.size]
    times = np.bincount(np.concatenate([np.zeros(0, int), *(c for _, c in parts)]), None, n_columns)
    if not (times == 1).all():
        j = int(np.flatnonzero(times != 1)[0])
        column = j if names is None else names[j]
        raise ValueError(
            f"visible must name each of the {n_columns} columns of X once, got column {column!r} "
            f"{times[j]} times"
        )
    return parts


def _column_numbers(columns: Any, n_columns: int, names: Any) -> np.ndarray:
    """Find the numbers of columns, given as to scikit-learn's ColumnTransformer."""
    if isinstance(columns, slice) and not isinstance(columns.start or columns.stop, str):
        return np.arange(n_columns)[columns]
    wanted = np.asarray([columns] if isinstance(columns, str | int | np.integer) else columns)
    if wanted.ndim == 1 and wanted.size == 0:
        return np.zeros(0, dtype=np.int64)
    if wanted.ndim == 1 and wanted.dtype.kind in "OUT":
        if names is None:
            raise ValueError(
                f"visible names columns, {describe(str(wanted[0]))} for one, and those of X have "
                "none"
            )
        unknown = [str(name) for name in wanted if name not in names]
        if unknown:
            raise ValueError(
                f"visible names a column {describe(unknown[0])}, which X does not have"
            )
        return np.array([list(names).index(name) for name in wanted])
    is_mask = wanted.dtype == bool and wanted.shape == (n_columns,)
    is_numbers = wanted.ndim == 1 and wanted.dtype.kind in "iu"
    if not is_mask and not (is_numbers and np.all((wanted >= -n_columns) & (wanted < n_columns))):
        raise ValueError(
            "columns in visible must be numbers, names, a slice of numbers or a mask, of "
            f"{n_columns} columns; got {describe(columns)}"
        )
    return np.arange(n_columns)[wanted]


def with_column_numbers(visible: Any, n_columns: int, names: Any = None) -> Any:
    """Replace slices, masks and names in a list of kinds by plain numbers of columns."""
    if not are_mixed(visible):
        return visible
    return [(kind, c.tolist()) for kind, c in columns_by_kind(visible, n_columns, names)]
