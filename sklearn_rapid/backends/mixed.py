"""Layers of several kinds of units, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends.random import RandomStream
from sklearn_rapid.backends.units import Choices, Units, slices_of

# Kind number k draws with the seed XOR k times this number: kinds share the number of a draw, and
# no random words.
KEY_OF_PART = 0xD1342543DE82EF95


@dataclass(frozen=True)
class Mixed(Units):
    """Units of several kinds: Γ is the sum over kinds, means and samples are those of each.

    Parameters
    ----------
    parts : tuple of Units
        One kind each, in the order of their columns.
    sizes : tuple of int
        Number of units in each part.

    Examples
    --------
    >>> from sklearn_rapid.backends import Categories, Gaussians, get_backend
    >>> units = Mixed((Gaussians(), Categories((2,))), (1, 2))
    >>> print(units.mean(np.array([[3.0, 0.0, 0.0]]), get_backend("numpy")))
    [[3.  0.5 0.5]]
    """

    parts: tuple[Units, ...]
    sizes: tuple[int, ...]

    @property
    def are_even(self) -> bool:
        """Whether Γ(-θ) = Γ(θ) in each part."""
        return all(part.are_even for part in self.parts)

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Return the sum of Γ over the parts."""
        return sum(part.log_partition(f, backend) for part, f in self._split(backend, field))

    def log_partition_gain(self, field: Any, to: Any, start: Any, backend: Any) -> Any:
        """Return the sum of the gains of Γ over the parts."""
        pairs = self._split(backend, field)
        return sum(part.log_partition_gain(f, to, start, backend) for part, f in pairs)

    def mean(self, field: Any, backend: Any) -> Any:
        """Return the means of the parts, side by side."""
        means = [part.mean(f, backend) for part, f in self._split(backend, field)]
        return backend.xp.concat(means, axis=-1)

    def field_of_mean(self, mean: Any, backend: Any) -> Any:
        """Return the fields of the parts, side by side."""
        fields = [part.field_of_mean(m, backend) for part, m in self._split(backend, mean)]
        return backend.xp.concat(fields, axis=-1)

    def inner_mean(self, mean: np.ndarray) -> np.ndarray:
        """Return the inner means of the parts, side by side."""
        pairs = zip(self.parts, slices_of(self.sizes), strict=True)
        return np.concatenate([part.inner_mean(mean[where]) for part, where in pairs])

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw each part, with its own random numbers."""
        drawn = []
        for k, (part, f) in enumerate(self._split(backend, field)):
            own = replace(stream, seed=stream.seed ^ (k * KEY_OF_PART) % 2**64)
            sample = part.sample(f, backend, own, draw, first_row)
            drawn.append(backend.xp.astype(sample, field.dtype))
        return backend.xp.concat(drawn, axis=1)

    def log_weights(self, v: Any, field: Any, backend: Any) -> Any:
        """Return the sum of the parts' log weights."""
        of_parts = self._split(backend, v, field)
        return sum(part.log_weights(states, f, backend) for part, states, f in of_parts)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """Return the sum of the parts' entropies."""
        of_parts = self._split(backend, field, counted)
        return sum(part.entropy(f, some, backend) for part, f, some in of_parts)

    def presence(self, v: Any, backend: Any) -> Any:
        """Return the presence of the units of the parts, side by side."""
        found = [part.presence(states, backend) for part, states in self._split(backend, v)]
        return backend.xp.concat(found, axis=-1)

    def variances(self, mean: Any, backend: Any) -> Any:
        """Return the relative variances of the parts, side by side."""
        found = [part.variances(m, backend) for part, m in self._split(backend, mean)]
        return backend.xp.concat(found, axis=-1)

    def of(self, columns: np.ndarray) -> Units:
        """Return the parts of the columns, each with its own columns."""
        parts, sizes = [], []
        for part, where in zip(self.parts, slices_of(self.sizes), strict=True):
            own = columns[(columns >= where.start) & (columns < where.stop)] - where.start
            if own.size:
                parts.append(part.of(own))
                sizes.append(int(own.size))
        return Mixed(tuple(parts), tuple(sizes))

    def real(self, n_units: int) -> np.ndarray:
        """Return which units are real, in each part."""
        pairs = zip(self.parts, self.sizes, strict=True)
        return np.concatenate([part.real(size) for part, size in pairs])

    def largest_means(self, n_units: int) -> np.ndarray:
        """Return those of all parts."""
        pairs = zip(self.parts, self.sizes, strict=True)
        return np.concatenate([part.largest_means(size) for part, size in pairs])

    def are_states(self, v: np.ndarray) -> bool:
        """Return whether each part's columns are states of it."""
        pairs = zip(self.parts, slices_of(self.sizes), strict=True)
        return all(part.are_states(v[:, where]) for part, where in pairs)

    def neighbours(self, v: np.ndarray) -> np.ndarray:
        """Return the neighbours in each part, with the other parts unchanged."""
        found = []
        for part, where in zip(self.parts, slices_of(self.sizes), strict=True):
            own = part.neighbours(v[where])
            changed = np.tile(v, (own.shape[0], 1))
            changed[:, where] = own
            found.append(changed)
        return np.concatenate(found)

    def choices(self, n_units: int) -> Choices:
        """Return the choices of the parts, side by side."""
        pairs = zip(self.parts, self.sizes, strict=True)
        return Choices(*map(np.concatenate, zip(*(p.choices(n) for p, n in pairs), strict=True)))

    def _split(self, backend: Any, *arrays: Any) -> Iterator[tuple]:
        """Yield each part with its columns of the arrays, copied for compiled code."""
        for part, where in zip(self.parts, slices_of(self.sizes), strict=True):
            yield part, *(backend.xp.asarray(a[..., where], copy=True) for a in arrays)
