"""Encode real columns with spikes: values that many rows share, beside a continuous rest.

A column has a code for each spike and one for the rest, and a real unit that counts with the rest
alone (`sklearn_rapid.backends.Spiked`). The probability of a spike is a mass, that of other values
a density; where values are rounded, a mass counts as a density over the numbers that round to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Self

import numpy as np

from sklearn_rapid.backends import RandomStream, Spiked, to_host
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.reals.mapped import MappedEncoder
from sklearn_rapid.tables.reals.quadrature import Rule
from sklearn_rapid.tables.settings import ColumnSettings

# A spike is a value of at least this share of the rows, and of this many; and this many times as
# frequent as the mean of its neighbours, two values on either side that are no spikes themselves.
SMALLEST_SHARE, FEWEST_ROWS, LEAST_EXCESS, N_NEIGHBOURS = 0.05, 10, 3.0, 2


@dataclass(frozen=True)
class SpikedEncoder(MappedEncoder):
    """Encode real columns by codes of their spikes, and a map of other values to normal scores.

    Parameters
    ----------
    spikes : list of array
        The spikes of each column, sorted; one at least.
    **others
        See `MappedEncoder`. Moments are of units: zero and one for codes.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> encoder = SpikedEncoder(
    ...     spikes=[np.array([0.0])], maps=[np.array([[0.0, 10.0], [-1.0, 1.0]])], decimals=[None],
    ...     mean=np.zeros(3), scale=np.ones(3), backend=get_backend("numpy"))
    >>> encoder.states(np.array([[0.0], [10.0]]))
    array([[1., 0., 0.],
           [0., 1., 1.]], dtype=float32)
    """

    spikes: list[np.ndarray] | None = None

    per_column: ClassVar[tuple[str, ...]] = (*MappedEncoder.per_column, "spikes")

    @classmethod
    def learn(cls, X: Any, settings: ColumnSettings, weights: np.ndarray | None = None) -> Self:
        """Make the encoder of columns from their first rows: the spikes of each."""
        spikes = []
        for j, column in enumerate(to_host(X).T):
            is_known = column == column
            known = column[is_known].astype(np.float64)
            if known.size == 0:
                raise ValueError(f"column {j} has no known values: leave it out")
            own = None if weights is None else weights[is_known, j]
            found = find_spikes(known, own)
            if not found.size:
                values, counts = _count_values(known, own)
                found = values[counts == counts.max()][:1]
            if len(np.setdiff1d(known, found)) < 2:
                raise ValueError(
                    f"{settings.label(j)} has fewer than two values besides spikes: code them as "
                    "categories"
                )
            spikes.append(found)
        return cls(spikes=spikes, dtype=settings.dtype, names=settings.names)

    @classmethod
    def restore(cls, attributes: Mapping, settings: ColumnSettings) -> Self:
        """Make the encoder of fitted columns."""
        encoder = super().restore(attributes, settings)
        spikes = attributes.get("spikes_")
        for values in [None] if spikes is None else spikes:
            is_row = isinstance(values, np.ndarray) and values.dtype.kind in "fi"
            if not (is_row and values.ndim == 1 and values.size and np.isfinite(values).all()):
                raise ValueError("spikes_ must hold numbers of each column with spikes. Fit again.")
        return replace(encoder, spikes=spikes)

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> Self:
        """Learn the maps of values other than spikes, and set the moments to those of scores."""
        rest = super().measure(self._without_spikes(X), weights, backend)
        n_codes = sum(self._n_codes)
        return replace(
            rest,
            mean=np.concatenate([np.zeros(n_codes), rest.mean]),
            scale=np.concatenate([np.ones(n_codes), rest.scale]),
        )

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> np.ndarray:
        """Find the smallest scale that each unit may reach in training; one for codes."""
        found = self._rest.smallest_scales(self._without_spikes(X), weights, backend)
        return np.concatenate([np.ones(sum(self._n_codes)), found])

    @property
    def visible_units(self) -> Spiked:
        """Groups of codes, then real units."""
        return Spiked(self._n_codes)

    def count_units(self, n_columns: int) -> np.ndarray:
        """Count the codes and the real unit of each column."""
        return np.array(self._n_codes, dtype=np.int64) + 1

    def column_of_unit(self, n_columns: int) -> np.ndarray:
        """Find the column that each unit encodes."""
        columns = np.arange(n_columns)
        return np.concatenate([np.repeat(columns, self._n_codes), columns])

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for values too far from those of fit."""
        if self.mean is None:
            super().check(X, name)
        else:
            self._rest.check(self._without_spikes(X), name)

    def states(
        self, X: Any, stream: RandomStream | None = None, draw: int = 0, n_rows: int = 0
    ) -> Any:
        """Encode rows as a backend array of states: codes, then standardised scores."""
        where = self._where(X)
        codes, is_rest = [], []
        for j in range(len(self.spikes)):
            x = X[:, j]
            spikes = self._spikes_like(x, j)
            codes += [where.where(x == x, where.astype(x == s, self.dtype), x) for s in spikes]
            on = where.astype(~where.any(where.stack([x == s for s in spikes]), axis=0), self.dtype)
            on = where.where(x == x, on, x)
            codes.append(on)
            is_rest.append(on)
        n, n_codes = X.shape[0], len(codes)
        shape = (max(n_rows, n), n_codes + len(is_rest))
        states = where.zeros(shape, dtype=self.dtype)
        states[:n, :n_codes] = where.stack(codes, axis=1)
        scores = self._rest.states(self._without_spikes(X), stream, draw)
        scores = scores if where is self.backend.xp else self.backend.to_numpy(scores)
        on = where.stack(is_rest, axis=1)
        states[:n, n_codes:] = where.where(on == 0.0, where.zeros_like(scores), scores)
        return self.backend.asarray(states)

    def decode(self, v: Any, stream: Any = None) -> Any:
        """Convert states to numbers; means to the mean over codes, the rest at its mean score."""
        xp, n_codes = self.backend.xp, sum(self._n_codes)
        v = xp.astype(v, xp.float64)
        ends = accumulate(self._n_codes, initial=0)
        groups = [v[:, start:stop] for start, stop in pairwise(ends)]
        on = xp.stack([group[:, -1] for group in groups], axis=1)
        tiny = xp.full_like(on, np.finfo(np.float32).tiny)
        rest = self._rest.decode(v[:, n_codes:] / xp.maximum(on, tiny))
        columns = []
        for j, (group, spikes) in enumerate(zip(groups, self.spikes, strict=True)):
            masses = group[:, :-1] @ self.backend.asarray(spikes, "float64")
            value = xp.where(on[:, j] > 0.0, on[:, j] * rest[:, j], xp.zeros_like(masses))
            columns.append(masses + value)
        return xp.stack(columns, axis=1)

    def rule(self, column: int, low: float, high: float) -> Rule:
        """Make states of a column: its spikes, and others for an integral from one to another."""
        spikes, rest = self.spikes[column], self._rest.rule(column, low, high)
        states = np.zeros((len(spikes) + len(rest.states), len(spikes) + 2))
        states[: len(spikes), : len(spikes)] = np.eye(len(spikes))
        states[len(spikes) :, -2] = 1.0
        states[len(spikes) :, -1:] = rest.states
        weights = np.concatenate([np.ones(len(spikes)), rest.weights])
        return Rule(states, weights, np.concatenate([spikes, rest.values]))

    def log_volumes(self, X: Any) -> Any:
        """Compute log volumes of the columns of each row, of spikes and of others.

        That of a spike is log step, with the distance of the column's rounded values: its mass is
        shared by all numbers that round to it. It is zero where values are not rounded.
        """
        where, rest = self._where(X), self._without_spikes(X)
        log_steps = [np.log(m.step) if m.decimals is not None else 0.0 for m in self._maps]
        is_spike = where.astype((X == X) & (rest != rest), where.float64)
        of_spikes = is_spike @ where.asarray(np.array(log_steps))
        return replace(self._rest, missing=True).log_volumes(rest) + of_spikes

    def remark(self, column: int) -> str:
        """Say in brackets where the spikes of a column are."""
        return f" (at {', '.join(f'{spike:g}' for spike in self.spikes[column])})"

    @property
    def unscaled(self) -> Self:
        """The encoder for training, in which scales are part of the state."""
        return replace(self, scale=np.ones_like(self.scale))

    @property
    def _n_codes(self) -> tuple[int, ...]:
        """Number of codes of each column: its spikes and the rest."""
        return tuple(len(spikes) + 1 for spikes in self.spikes)

    @cached_property
    def _rest(self) -> MappedEncoder:
        """The encoder of values that are no spikes."""
        n_codes = sum(self._n_codes)
        moments = {"mean": self.mean[n_codes:], "scale": self.scale[n_codes:]}
        how = {"backend": self.backend, "dtype": self.dtype, "missing": self.missing}
        how["names"] = self.names
        return _RestEncoder(maps=self.maps, decimals=self.decimals, **moments, **how)

    def _spikes_like(self, x: Any, j: int) -> np.ndarray:
        """Get the spikes of a column in the type of rows: float32 rounds decimals."""
        return self.spikes[j].astype(x.dtype) if x.dtype.kind == "f" else self.spikes[j]

    def _without_spikes(self, X: Any) -> Any:
        """Copy X with NaN in place of spikes."""
        where = self._where(X)
        columns = []
        for j in range(len(self.spikes)):
            x = X[:, j]
            is_spike = where.any(where.stack([x == s for s in self._spikes_like(x, j)]), axis=0)
            x = where.astype(x, where.float64)
            columns.append(where.where(is_spike, where.full_like(x, float("nan")), x))
        return where.stack(columns, axis=1)


@dataclass(frozen=True)
class _RestEncoder(MappedEncoder):
    """Encode values that are no spikes."""

    key_of_rounded: ClassVar[int] = 0xA0761D6478BD642F


def find_spikes(x: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Find the values of a column that far more rows have than neighbouring values.

    Parameters
    ----------
    x : array of shape (n,)
        Without NaN.
    weights : array of shape (n,), optional
        The number of rows that each entry stands for, one by default.

    Returns
    -------
    array
        Sorted; there may be none. At least two values are none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> find_spikes(np.concatenate([np.zeros(50), rng.normal(size=50)]))
    array([0.])
    >>> find_spikes(rng.poisson(4.0, size=1000)).size
    0
    """
    values, counts = _count_values(x, weights)
    if len(values) < 3:
        return values[:0]
    n, are_many = len(values), counts >= max(SMALLEST_SHARE * counts.sum(), FEWEST_ROWS)
    is_spike = np.zeros(n, dtype=bool)
    while len(others := np.flatnonzero(~is_spike)) > 2:
        is_new = are_many[others] & _stand_out(counts[others])
        if not is_new.any():
            break
        is_spike[others[is_new]] = True
    found = np.flatnonzero(is_spike)
    # Two values at least are left for the rest: the least frequent ones.
    found = found[np.argsort(-counts[found], kind="stable")][: n - 2]
    return values[np.sort(found)]


def _stand_out(counts: np.ndarray) -> np.ndarray:
    """Mark counts that are far above the mean of their neighbours."""
    n, padding = len(counts), np.zeros(N_NEIGHBOURS)
    padded = np.concatenate([padding, counts, padding])
    around = np.convolve(padded, np.ones(2 * N_NEIGHBOURS + 1), mode="valid") - counts
    places = np.arange(n)
    n_around = np.minimum(places, N_NEIGHBOURS) + np.minimum(places[::-1], N_NEIGHBOURS)
    return counts * n_around >= LEAST_EXCESS * around


def _count_values(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Find the values of a column, sorted, and the number of rows of each."""
    if weights is None:
        return np.unique(x, return_counts=True)
    values, place = np.unique(x, return_inverse=True)
    return values, np.bincount(place, weights)
