"""Encode real columns as standardised normal scores (`maps`), and decode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from sklearn_rapid.backends import RandomStream, is_cupy_array, to_host
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.reals.gaussian import RealEncoder
from sklearn_rapid.tables.reals.maps import RealMap, learn_map
from sklearn_rapid.tables.reals.moments import check_extent
from sklearn_rapid.tables.reals.quadrature import Rule, integrate_between
from sklearn_rapid.tables.settings import ColumnSettings

# Integrals go as if values were not rounded where they are nearer to one another than this, in
# scales: means are those of rounded values, standard deviations to five digits.
NARROW = 0.02


@dataclass(frozen=True)
class MappedEncoder(RealEncoder):
    """Encode real columns by a map to normal scores each.

    Parameters
    ----------
    maps : list of array of shape (2, n_knots), or None
        Values and scores of the knots of each column; None before they are measured.
    decimals : list of int or None, or None
        Decimals of values that are rounded.
    **others
        See `RealEncoder`; moments are those of scores.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> knots = [np.array([[0.0, 10.0], [-1.0, 1.0]])]
    >>> how = {"mean": np.zeros(1), "scale": np.ones(1), "backend": get_backend("numpy")}
    >>> encoder = MappedEncoder(maps=knots, decimals=[0], **how)
    >>> encoder.states(np.array([[5.0]])), encoder.decode(np.array([[0.13]]))
    (array([[0.]], dtype=float32), array([[6.]]))
    """

    maps: list[np.ndarray] | None = None
    decimals: list[int | None] | None = None

    per_column: ClassVar[tuple[str, ...]] = ("maps", "decimals")
    # Whether all maps are straight lines; None if that is chosen a column at a time.
    are_lines: ClassVar[bool | None] = None
    # Draws of a kind have the seed XOR its key: kinds share the number of a draw, and no random
    # words.
    key_of_rounded: ClassVar[int] = 0xC2B2AE3D27D4EB4F

    @classmethod
    def restore(cls, attributes: Mapping, settings: ColumnSettings) -> Self:
        """Make the encoder of fitted columns, whose maps must rise."""
        maps, decimals = attributes.get("maps_"), attributes.get("decimals_")
        # In the middle of a first fit there are no moments, and no maps.
        for knots in ([None] if "mean_" in attributes else []) if maps is None else maps:
            is_pair = isinstance(knots, np.ndarray) and knots.ndim == 2 and knots.shape[0] == 2
            rises = is_pair and knots.shape[1] > 1 and bool((np.diff(knots) > 0.0).all())
            if not (rises and np.isfinite(knots).all()):
                raise ValueError("maps_ must hold rising knots of each real column. Fit again.")
        are_counts = all(d is None or (isinstance(d, int) and d >= 0) for d in decimals or ())
        if not (are_counts and (maps is None or isinstance(decimals, list))):
            raise ValueError("decimals_ must hold a number of each real column. Fit again.")
        how = {"dtype": settings.dtype, "names": settings.names}
        return cls(maps=maps, decimals=decimals, **how)

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> Self:
        """Learn the maps, and set the moments to those of weighted rows' scores."""
        columns = enumerate(to_host(X).T)
        maps = [learn_map_of(x, weights, self.are_lines, self.label(j)) for j, x in columns]
        knots = [np.stack([m.values, m.scores]) for m in maps]
        learned = replace(self, maps=knots, decimals=[m.decimals for m in maps], backend=backend)
        return super(MappedEncoder, learned).measure(learned._scores(X), weights, backend)

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> np.ndarray:
        """Find the smallest scale that each column may reach in training on these rows."""
        return super().smallest_scales(self._scores(X), weights, backend)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for values too far from those of fit."""
        if self.mean is not None and isinstance(X, np.ndarray):
            with np.errstate(over="ignore"):
                X = self._scores(X)
        super().check(X, name)

    def states(
        self, X: Any, stream: RandomStream | None = None, draw: int = 0, n_rows: int = 0
    ) -> Any:
        """Encode rows as a backend array of states.

        With a stream, a rounded value is one of the numbers that round to it, drawn anew; without
        one it is the middle of them.
        """
        if stream is not None and self.is_drawn:
            X = X + self._offsets(X, stream, draw)
        return super().states(self._scores(X), n_rows=n_rows)

    def decode(self, v: Any, stream: Any = None) -> Any:
        """Convert states, or the values at their means, to the user's units; float64."""
        return self._values(super().decode(v))

    def log_volumes(self, X: Any) -> Any:
        """Compute Σ log scale - log z'(x) over the known columns of each row."""
        where = self._where(X)
        slopes = where.stack([m.log_slope(X[:, j], where) for j, m in enumerate(self._maps)], 1)
        known = where.where(X == X, slopes, where.zeros_like(slopes))
        return super().log_volumes(X) - where.sum(known, axis=1)

    def rule(self, column: int, low: float, high: float) -> Rule:
        """Make states of a column for an integral from one to another, and its values there."""
        m, mean, scale = self._maps[column], self.mean[column], self.scale[column]
        narrow = NARROW * scale
        nodes, weights = integrate_between((m.bends(narrow) - mean) / scale, low, high)
        return Rule(nodes[:, None], weights, m.to_values(nodes * scale + mean, narrow=narrow))

    @property
    def is_drawn(self) -> bool:
        """Whether numbers are drawn that round to the values of some column."""
        return self.decimals is not None and any(d is not None for d in self.decimals)

    @cached_property
    def _maps(self) -> list[RealMap]:
        pairs = zip(self.maps, self.decimals, strict=True)
        return [RealMap(*knots, decimals) for knots, decimals in pairs]

    def _scores(self, X: Any) -> Any:
        where = self._where(X)
        return where.stack([m.to_scores(X[:, j], where) for j, m in enumerate(self._maps)], axis=1)

    def _values(self, scores: Any) -> Any:
        xp = self.backend.xp
        return xp.stack([m.to_values(scores[:, j], xp) for j, m in enumerate(self._maps)], axis=1)

    def _offsets(self, X: Any, stream: RandomStream, draw: int) -> Any:
        """Draw uniform offsets within the numbers that round to values, zero for other columns."""
        own, where = replace(stream, seed=stream.seed ^ self.key_of_rounded), self._where(X)
        u = self.backend.random_uniform(X.shape, own, draw, stream.first_row)
        u = u if where is self.backend.xp else self.backend.to_numpy(u)
        return (u - 0.5) * where.asarray([m.step for m in self._maps])

    def _where(self, X: Any) -> Any:
        return self.backend.xp if is_cupy_array(X) else np


@dataclass(frozen=True)
class QuantileEncoder(MappedEncoder):
    """Encode real columns by quantiles, never by straight lines.

    Examples
    --------
    >>> QuantileEncoder.are_lines
    False
    """

    are_lines: ClassVar[bool | None] = False
    key_of_rounded: ClassVar[int] = 0xE7037ED1A0B428DB


def learn_map_of(
    x: np.ndarray, weights: np.ndarray | None, is_line: bool | None, label: str
) -> RealMap:
    """Make the map of a column with missing entries, of the rows that have weight.

    Raises
    ------
    ValueError
        For a constant, and for values too large or too near to one another; with the column's
        label.
    """
    known = x == x
    if weights is not None:
        known &= weights > 0.0
        weights = weights[known]
    check_extent(x[known], label)
    return learn_map(x[known], weights, is_line=is_line)
