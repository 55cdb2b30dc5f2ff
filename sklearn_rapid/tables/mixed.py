"""Tables with columns of several kinds, each read and written by the encoder of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import Mixed, is_cupy_array
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.encoder import Encoder


class Part(NamedTuple):
    """The columns of one kind: its name, their numbers in X, and their encoder."""

    kind: str
    columns: np.ndarray
    encoder: Encoder


@dataclass(frozen=True)
class MixedEncoder(Encoder):
    """Columns of several kinds; units stand in the order of the kinds.

    Parameters
    ----------
    parts : tuple of Part
    **others
        See `Encoder`.

    Examples
    --------
    >>> from sklearn_rapid.tables.categories import CategoryEncoder
    >>> from sklearn_rapid.tables.spins import SpinEncoder
    >>> from sklearn_rapid.backends import get_backend
    >>> numpy = get_backend("numpy")
    >>> spins = SpinEncoder("binary", 0.5, backend=numpy)
    >>> codes = CategoryEncoder([np.arange(2.0)], backend=numpy)
    >>> parts = (Part("binary", np.array([1]), spins), Part("categorical", np.array([0]), codes))
    >>> encoder = MixedEncoder(parts, backend=numpy)
    >>> encoder.states(np.array([[1, 0]]))
    array([[-1.,  0.,  1.]], dtype=float32)
    >>> encoder.decode(np.array([[-1.0, 0.0, 1.0]]))
    array([[1., 0.]])
    """

    parts: tuple[Part, ...]

    @property
    def visible_units(self) -> Mixed:
        """The units of all kinds."""
        return Mixed(tuple(part.encoder.visible_units for part in self.parts), self._widths)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for values that a column's kind cannot hold."""
        if sparse.issparse(X):
            raise ValueError(f"columns of several kinds need a dense {name}, got a sparse one")
        for part in self.parts:
            with errors_among(part.kind, part.columns):
                part.encoder.check(self._some(X, part), name)

    def are_thresholded(self, n_columns: int) -> np.ndarray:
        """Which columns are read by a threshold: a boolean for each."""
        found = np.zeros(n_columns, dtype=bool)
        for part in self.parts:
            found[part.columns] = part.encoder.has_threshold
        return found

    def measured(self, X: Any, weights: np.ndarray | None, backend: Any) -> MixedEncoder:
        """The encoder with what weighted rows say of the columns of each kind."""
        parts = []
        for part in self.parts:
            with errors_among(part.kind, part.columns):
                some = columns_of(X, part.columns, backend)
                parts.append(part._replace(encoder=part.encoder.measured(some, weights, backend)))
        return replace(self, parts=tuple(parts))

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """The smallest scale of each real unit, one for the others; None without real ones."""
        if not self.has_density:
            return None
        found = [
            part.encoder.smallest_scales(columns_of(X, part.columns, backend), weights, backend)
            for part in self.parts
        ]
        widths = zip(found, self._widths, strict=True)
        return np.concatenate([np.ones(n) if scales is None else scales for scales, n in widths])

    def reading(self, X: Any, backend: Any) -> MixedEncoder:
        """The encoder for these rows."""
        encoder = super().reading(X, backend)
        parts = [
            part._replace(
                encoder=part.encoder.reading(None if X is None else self._some(X, part), backend)
            )
            for part in self.parts
        ]
        return replace(encoder, parts=tuple(parts))

    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Rows as a backend array of the states of all kinds, side by side."""
        states = [
            part.encoder.states(self._some(X, part), stream, draw, n_rows) for part in self.parts
        ]
        return self.backend.xp.concat(states, axis=1)

    def decode(self, v: Any) -> Any:
        """States, or their means, in the units of the columns and in their order, float64."""
        xp = self.backend.xp
        pairs = zip(self.parts, self._slices, strict=True)
        decoded = [part.encoder.decode(v[:, where]) for part, where in pairs]
        wide = xp.concat([xp.astype(columns, xp.float64) for columns in decoded], axis=1)
        place = np.argsort(np.concatenate([part.columns for part in self.parts]))
        return xp.take(wide, self.backend.asarray(place, "int64"), axis=1)

    @property
    def is_drawn(self) -> bool:
        """Whether spins of some columns are drawn."""
        return any(part.encoder.is_drawn for part in self.parts)

    @property
    def has_density(self) -> bool:
        """Whether any column has one."""
        return any(part.encoder.has_density for part in self.parts)

    @property
    def unscaled(self) -> MixedEncoder:
        """The encoder with real columns at a scale of one."""
        parts = (part._replace(encoder=part.encoder.unscaled) for part in self.parts)
        return replace(self, parts=tuple(parts))

    @property
    def log_volume(self) -> float:
        """That of all columns."""
        return sum(part.encoder.log_volume for part in self.parts)

    def log_volume_of(self, v: Any) -> Any:
        """`log_volume` of the known columns of each row of states."""
        pairs = zip(self.parts, self._slices, strict=True)
        return sum(part.encoder.log_volume_of(v[:, where]) for part, where in pairs)

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        return tuple(
            int(part.encoder.units_of_columns(len(part.columns)).sum()) for part in self.parts
        )

    @property
    def _slices(self) -> list[slice]:
        return [slice(*ends) for ends in pairwise(accumulate(self._widths, initial=0))]

    def _some(self, X: Any, part: Part) -> Any:
        return columns_of(X, part.columns, self.backend)


def columns_of(X: Any, columns: np.ndarray, backend: Any) -> Any:
    """Some columns of rows, where these are."""
    if is_cupy_array(X):
        return backend.xp.take(X, backend.asarray(columns), axis=1)
    return X[:, columns]


@contextmanager
def errors_among(kind: str, columns: np.ndarray) -> Iterator[None]:
    """Name the columns of a kind in errors that count them from zero."""
    try:
        yield
    except ValueError as error:
        listed = ", ".join(map(str, columns[:10])) + (", ..." if len(columns) > 10 else "")
        raise ValueError(f"among the {kind} columns {listed}, counted from 0: {error}") from error
