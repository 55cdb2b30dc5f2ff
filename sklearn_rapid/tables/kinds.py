"""Tables with columns of several kinds: which are of which, and each kind read by an encoder.

Units stand in the order of the kinds, as a user has named them, and not in that of the columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import is_cupy_array
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.spins import SpinEncoder

KINDS = ("binary", "gaussian", "categorical")
# What a model of real columns has of each unit beside its parameters.
MOMENTS = ("mean_", "scale_")
Part = tuple[str, np.ndarray]


@dataclass(frozen=True)
class MixedEncoder:
    """Reads rows of a table, each kind of columns by an encoder of its own, and writes them.

    Parameters
    ----------
    parts : list of (str, array of int)
        Kinds, and the numbers of their columns.
    encoders : tuple
        Of the columns of each kind.
    widths : tuple of int
        How many units each kind has.

    Examples
    --------
    >>> from sklearn_rapid.tables.categories import CategoryEncoder
    >>> from sklearn_rapid.backends import get_backend
    >>> how = ("binary", get_backend("numpy"), "float32")
    >>> encoders = (SpinEncoder("binary", 0.5, *how[1:]), CategoryEncoder([np.arange(2.0)], *how))
    >>> parts = [("binary", np.array([1])), ("categorical", np.array([0]))]
    >>> encoder = MixedEncoder(parts, encoders, (1, 2))
    >>> encoder.spins(np.array([[1, 0]]))
    array([[-1.,  0.,  1.]], dtype=float32)
    >>> encoder.decode(np.array([[-1.0, 0.0, 1.0]]))
    array([[1., 0.]])
    """

    parts: list[Part]
    encoders: tuple[Any, ...]
    widths: tuple[int, ...]

    has_threshold = False

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for what the kinds cannot mean."""
        if sparse.issparse(X):
            raise ValueError(f"columns of several kinds need a dense {name}, got a sparse one")
        for (kind, columns), encoder in zip(self.parts, self.encoders, strict=True):
            with among(kind, columns):
                encoder.check(columns_of(X, columns, self.backend), name)

    def spins(self, X: Any, *args: Any, **how: Any) -> Any:
        """Rows as a backend array of states."""
        pairs = zip(self.parts, self.encoders, strict=True)
        states = [
            encoder.spins(columns_of(X, columns, self.backend), *args, **how)
            for (_, columns), encoder in pairs
        ]
        return self.backend.xp.concat(states, axis=1)

    def spins_of_rows(self, X: Any, rows: Any) -> Any:
        """Some rows, by number or slice, as a backend array of states."""
        return self.spins(X[rows])

    def keeps_sparse(self, X: Any) -> bool:
        """Never: rows are dense."""
        return False

    def decode(self, v: Any) -> Any:
        """States in the units of the columns."""
        pairs = zip(self.encoders, self._slices, strict=True)
        return self._joined([encoder.decode(v[:, where]) for encoder, where in pairs])

    def unit_means(self, machine: Any, h: Any) -> Any:
        """E[v | h] of the units, which `decode_means` puts into the units of the columns."""
        return machine.visible_mean(h)

    def decode_means(self, means: Any) -> Any:
        """Means of real and binary columns; the most likely codes."""
        return self.decode(means)

    @property
    def backend(self) -> Any:
        """That of the encoders."""
        return self.encoders[0].backend

    @property
    def binarize(self) -> Any:
        """What values of the binary columns mean; None if there are none."""
        return next((e.binarize for e in self.encoders if isinstance(e, SpinEncoder)), None)

    @property
    def of_hidden(self) -> SpinEncoder:
        """What reads and writes hidden features."""
        first = self.encoders[0]
        return SpinEncoder(first.units, None, first.backend, first.dtype)

    @property
    def unscaled(self) -> MixedEncoder:
        """The same with real columns at a scale of one."""
        return replace(self, encoders=tuple(encoder.unscaled for encoder in self.encoders))

    @property
    def log_volume(self) -> float:
        """That of the real columns."""
        return sum(encoder.log_volume for encoder in self.encoders)

    def log_volume_of(self, v: Any) -> Any:
        """The same for the columns that are known of each row of states."""
        pairs = zip(self.encoders, self._slices, strict=True)
        return sum(encoder.log_volume_of(v[:, where]) for encoder, where in pairs)

    @property
    def gaps(self) -> bool:
        """Whether rows may hold NaN."""
        return any(encoder.gaps for encoder in self.encoders)

    @property
    def _slices(self) -> list[slice]:
        return [slice(*ends) for ends in pairwise(accumulate(self.widths, initial=0))]

    @cached_property
    def _place(self) -> np.ndarray:
        """Where each column of X is among those of all kinds."""
        return np.argsort(np.concatenate([columns for _, columns in self.parts]))

    def _joined(self, of_parts: list) -> Any:
        """Columns in the order of X."""
        backend, xp = self.backend, self.backend.xp
        wide = [xp.astype(part, xp.float64) for part in of_parts]
        return xp.take(xp.concat(wide, axis=1), backend.asarray(self._place, "int64"), axis=1)


@dataclass(frozen=True)
class RealFeatures:
    """Reads and writes features of real hidden units, which are what they are.

    Parameters
    ----------
    backend : backend
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> RealFeatures(get_backend("numpy"), "float32").means(np.array([[2.5]]))
    array([[2.5]], dtype=float32)
    """

    backend: Any
    dtype: str

    to_unit = False

    def check(self, H: Any, name: str) -> None:
        """Any finite numbers will do."""

    def means(self, values: Any) -> Any:
        """Hidden means from a user's values."""
        return self.backend.asarray(values, self.dtype)

    def decode(self, h: Any) -> Any:
        """The states themselves."""
        return h


def parts_of(visible: Any, n_columns: int, names: Any = None) -> list[Part]:
    """Kinds, and the numbers of the columns that are of them; ValueError unless each is of one.

    Parameters
    ----------
    visible : str or list of (str, columns)
    n_columns : int
    names : array of str, optional
        Of the columns.

    Examples
    --------
    >>> parts_of([("gaussian", slice(2)), ("binary", "sex")], 3, ["age", "pay", "sex"])
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
            got = describe(unknown[0])
            raise ValueError(f"visible names a column {got}, which X does not have")
        return np.array([list(names).index(name) for name in wanted])
    is_mask = wanted.dtype == bool and wanted.shape == (n_columns,)
    is_numbers = wanted.ndim == 1 and wanted.dtype.kind in "iu"
    if not is_mask and not (is_numbers and np.all((wanted >= -n_columns) & (wanted < n_columns))):
        raise ValueError(
            "columns in visible must be numbers, names, a slice of numbers or a mask, of "
            f"{n_columns} columns; got {describe(columns)}"
        )
    return np.arange(n_columns)[wanted]


def columns_of(X: Any, columns: np.ndarray, backend: Any) -> Any:
    """Some columns of rows, where these are."""
    return (
        backend.xp.take(X, backend.asarray(columns), axis=1) if is_cupy_array(X) else X[:, columns]
    )


@contextmanager
def among(kind: str, columns: np.ndarray) -> Iterator[None]:
    """Errors that number columns say of which columns that is."""
    try:
        yield
    except ValueError as error:
        listed = ", ".join(map(str, columns[:10])) + (", ..." if len(columns) > 10 else "")
        raise ValueError(f"among the {kind} columns {listed}, counted from 0: {error}") from error


def check_kinds(model: Any) -> None:
    """Raise ValueError unless a model's units are of the kinds that were fitted.

    What a fit leaves of kinds: `mean_` and `scale_` if any columns are real, `categories_` if any
    are categories, `visible_` if they are of several kinds, `hidden_` if hidden units are no spins.
    """
    known = vars(model)
    one_kind = "gaussian" if MOMENTS[0] in known else "binary"
    one_kind = "categorical" if "categories_" in known else one_kind
    fitted = {"visible": known.get("visible_", one_kind), "hidden": known.get("hidden_", "binary")}
    for name, kind in fitted.items():
        given = getattr(model, name)
        if isinstance(given, list | tuple):
            given = parts_of(given, model.n_features_in_, known.get("feature_names_in_"))
        if _plain(given) != _plain(kind):
            raise ValueError(
                f"{name}={describe(getattr(model, name))} is set, and "
                f"{name}={describe(_plain(kind))} was fitted: set it back, or fit again."
            )
    columns = dict(parts_of(fitted["visible"], model.n_features_in_))
    if any((name in known) != ("gaussian" in columns) for name in MOMENTS):
        raise ValueError("mean_ and scale_ belong to models of real columns. Fit again.")
    if "categorical" in columns:
        _check_categories(known.get("categories_"), model.n_features_in_, columns["categorical"])


def _check_categories(categories: Any, n_columns: int, columns: np.ndarray) -> None:
    """Raise ValueError unless each of these columns has codes in rising order."""
    is_list = isinstance(categories, list) and len(categories) == n_columns
    for j in columns if is_list else ():
        codes = categories[j]
        is_row = isinstance(codes, np.ndarray) and codes.dtype.kind in "fi" and codes.ndim == 1
        is_list = is_list and is_row and codes.size > 0 and bool((np.diff(codes) > 0).all())
    if not is_list:
        raise ValueError("categories_ must hold rising codes of each column. Fit again.")


def _plain(visible: Any) -> Any:
    """A kind, or kinds with the numbers of their columns as plain ints."""
    if isinstance(visible, str):
        return visible
    return [(kind, list(map(int, columns))) for kind, columns in visible]
