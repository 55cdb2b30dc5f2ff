"""The kinds of columns, and which columns of X are of which kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.categories import CategoryEncoder
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.reals import RealEncoder
from sklearn_rapid.tables.spins import SpinEncoder

# What `visible` names, and the encoders of such columns. A new kind is an entry here.
KINDS: dict[str, type[Encoder]] = {
    "binary": SpinEncoder,
    "gaussian": RealEncoder,
    "categorical": CategoryEncoder,
}
# Attributes with one number a unit, by the names of the encoders' fields.
PER_UNIT = {name: fill for kind in KINDS.values() for name, fill in kind.per_unit.items()}
PER_COLUMN = tuple(name for kind in KINDS.values() for name in kind.per_column)


def columns_by_kind(
    visible: Any, n_columns: int, names: Any = None
) -> list[tuple[str, np.ndarray]]:
    """Kinds with the numbers of their columns; ValueError unless each column is of one kind.

    Parameters
    ----------
    visible : str or list of (str, columns)
    n_columns : int
    names : array of str, optional
        Of the columns.

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
        parts.append((entry[0], _numbers(entry[1], n_columns, names)))
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


def _numbers(columns: Any, n_columns: int, names: Any) -> np.ndarray:
    """Numbers of columns that are named as scikit-learn's ColumnTransformer names them."""
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


def plain_kinds(visible: Any, fitted: list) -> Any:
    """The parameter `visible` with the columns that were fitted, by plain numbers."""
    if isinstance(visible, str):
        return visible
    return [(kind, columns.tolist()) for kind, columns in fitted]
