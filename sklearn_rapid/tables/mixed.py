"""Encode columns of several kinds side by side, each by the encoder of its kind."""

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

    @property
    def n_units(self) -> int:
        """Number of units of the columns."""
        return int(self.encoder.count_units(len(self.columns)).sum())


@dataclass(frozen=True)
class MixedEncoder(Encoder):
    """Encode columns of several kinds; units stand in the order of the kinds.

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
            with errors_name_columns(part.kind, part.columns, part.encoder.names):
                part.encoder.check(self._select(X, part), name)

    def are_thresholded(self, n_columns: int) -> np.ndarray:
        """Mark columns that are read by a threshold, one boolean each."""
        found = np.zeros(n_columns, dtype=bool)
        for part in self.parts:
            found[part.columns] = part.encoder.has_threshold
        return found

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> MixedEncoder:
        """Set the moments of the columns to those of weighted rows."""
        parts = []
        for part in self.parts:
            with errors_name_columns(part.kind, part.columns, part.encoder.names):
                own = select_columns(X, part.columns, backend)
                parts.append(part._replace(encoder=part.encoder.measure(own, weights, backend)))
        return replace(self, parts=tuple(parts))

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """Find the smallest scale of each unit, one if it is not real; None without real units."""
        if not self.has_density:
            return None
        found = [
            part.encoder.smallest_scales(select_columns(X, part.columns, backend), weights, backend)
            for part in self.parts
        ]
        widths = zip(found, self._widths, strict=True)
        return np.concatenate([np.ones(n) if scales is None else scales for scales, n in widths])

    def for_rows(self, X: Any, backend: Any) -> MixedEncoder:
        """Adapt the encoder of each kind to these rows."""
        encoder = super().for_rows(X, backend)
        parts = [
            part._replace(
                encoder=part.encoder.for_rows(None if X is None else self._select(X, part), backend)
            )
            for part in self.parts
        ]
        missing = encoder.missing or any(part.encoder.missing for part in parts)
        return replace(encoder, parts=tuple(parts), missing=missing)

    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Encode rows as the states of all kinds, side by side."""
        states = [
            part.encoder.states(self._select(X, part), stream, draw, n_rows) for part in self.parts
        ]
        return self.backend.xp.concat(states, axis=1)

    def decode(self, v: Any, stream: Any = None) -> Any:
        """Convert states, or their means, to the units of the columns, in their order; float64."""
        xp = self.backend.xp
        pairs = zip(self.parts, self._slices, strict=True)
        decoded = [part.encoder.decode(v[:, where], stream) for part, where in pairs]
        wide = xp.concat([xp.astype(columns, xp.float64) for columns in decoded], axis=1)
        place = np.argsort(np.concatenate([part.columns for part in self.parts]))
        return xp.take(wide, self.backend.asarray(place, "int64"), axis=1)

    @property
    def is_drawn(self) -> bool:
        """Whether spins of some columns are drawn."""
        return any(part.encoder.is_drawn for part in self.parts)

    @property
    def has_density(self) -> bool:
        """Whether the likelihood of any column is a density."""
        return any(part.encoder.has_density for part in self.parts)

    @property
    def unscaled(self) -> MixedEncoder:
        """The encoder with real columns at a scale of one."""
        parts = (part._replace(encoder=part.encoder.unscaled) for part in self.parts)
        return replace(self, parts=tuple(parts))

    def log_volumes(self, X: Any) -> Any:
        """Compute log P(state) - log P(row) of each row, of its known columns."""
        return sum(part.encoder.log_volumes(self._select(X, part)) for part in self.parts)

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        return tuple(part.n_units for part in self.parts)

    @property
    def _slices(self) -> list[slice]:
        return [slice(*ends) for ends in pairwise(accumulate(self._widths, initial=0))]

    def _select(self, X: Any, part: Part) -> Any:
        return select_columns(X, part.columns, self.backend)


def select_columns(X: Any, columns: np.ndarray, backend: Any) -> Any:
    """Select columns of rows, which stay on the host or the device."""
    if is_cupy_array(X):
        return backend.xp.take(X, backend.asarray(columns), axis=1)
    return X[:, columns]


@contextmanager
def errors_name_columns(kind: str, columns: np.ndarray, names: tuple | None) -> Iterator[None]:
    """List the columns of the kind in errors that count columns within it, without names."""
    try:
        yield
    except ValueError as error:
        if names is not None:
            raise
        listed = ", ".join(map(str, columns[:10])) + (", ..." if len(columns) > 10 else "")
        raise ValueError(f"among the {kind} columns {listed}, counted from 0: {error}") from error
