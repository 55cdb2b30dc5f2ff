"""Units of real columns with spikes: values that many rows share, beside a continuous rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import log, pi, sqrt
from typing import Any, ClassVar, NamedTuple

import numpy as np

from sklearn_rapid.backends.random import RandomStream
from sklearn_rapid.backends.units import (
    LARGEST_MEAN,
    Categories,
    Choices,
    Units,
    sum_of_counted,
)

# Real units draw with the seed XOR this number: apart from the codes, and from what the parts of
# `Mixed` draw.
KEY_OF_REALS = 0x9E6C63D0876A9A47
# Γ of a real unit in no field.
LOG_SQRT_2_PI = 0.5 * log(2.0 * pi)


@dataclass(frozen=True)
class Spiked(Units):
    """A code for each column, a spike or the rest, and a real number z that is 0 at spikes.

    Units are the groups of codes side by side, the rest being the last code of its group, and then
    one real unit for each group: base(v) = exp(-z²/2) at the rest, 1 at spikes. With the fields θ
    of its codes and φ of its real unit, a column has

        Γ = logsumexp(θ'),    θ' = θ,  but  θ'_rest = θ_rest + φ²/2 + ½ log 2π.

    So codes are `Categories` in the fields θ', with means p = softmax(θ'), and z given the rest is
    normal around φ with unit variance: its mean is p_rest φ.

    Parameters
    ----------
    sizes : tuple of int
        Number of codes of each column, two or more.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> units = Spiked((2,))
    >>> fields = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    >>> print(units.mean(fields, get_backend("numpy")).round(3))
    [[0.285 0.715 0.   ]
     [0.004 0.996 2.987]]
    """

    sizes: tuple[int, ...]
    are_even: ClassVar[bool] = False

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Return the sum of the columns' logsumexp(θ')."""
        theta, _ = self._reduced(field, backend)
        return backend.sum_log_sum_exp(theta, self.sizes)

    def log_partition_gain(self, field: Any, to: Any, start: Any, backend: Any) -> Any:
        """Return Γ of the fields times one β less that times the other."""
        to, start = (backend.xp.astype(beta, field.dtype)[:, None] for beta in (to, start))
        return self.log_partition(to * field, backend) - self.log_partition(start * field, backend)

    def mean(self, field: Any, backend: Any) -> Any:
        """Return the softmax of each group of θ', and p_rest φ."""
        theta, phi = self._reduced(field, backend)
        p = backend.softmax(theta, self.sizes)
        return backend.xp.concat([p, self._of_rest(p, backend) * phi], axis=1)

    def field_of_mean(self, mean: Any, backend: Any) -> Any:
        """Return log p of spikes, log p - φ²/2 - ½ log 2π of the rest, and φ = E[z] / p_rest."""
        xp = backend.xp
        p, of_reals = self._split(mean)
        phi = of_reals / self._of_rest(p, backend)
        return xp.concat([xp.log(p) - self._gain_of_rest(phi, backend), phi], axis=-1)

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw codes in the fields θ', and φ + N(0, 1) where they are the rest."""
        xp = backend.xp
        theta, phi = self._reduced(field, backend)
        codes = backend.sample_categories(theta, self.sizes, stream, draw, first_row)
        own = replace(stream, seed=stream.seed ^ KEY_OF_REALS)
        z = backend.sample_gaussians(phi, own, draw, first_row)
        z = xp.where(self._of_rest(codes, backend) == 1, z, xp.zeros_like(z))
        return xp.concat([codes, z], axis=1)

    def log_weights(self, v: Any, field: Any, backend: Any) -> Any:
        """Return θ·v - z²/2, summed over columns."""
        _, z = self._split(v)
        return backend.row_dots(v, field) - 0.5 * backend.row_dots(z, z)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """Return -Σ p log p + p_rest (½ log 2π - φ²/2); units of a column are all counted or none.

        The first terms are those of the codes, the last one is that of the real unit.
        """
        xp = backend.xp
        theta, phi = self._reduced(xp.astype(field, xp.float64), backend)
        p = backend.softmax(theta, self.sizes)
        some = xp.where(p > 0.0, p, xp.ones_like(p))
        of_reals = self._of_rest(p, backend) * (LOG_SQRT_2_PI - 0.5 * phi * phi)
        return sum_of_counted(xp.concat([-some * xp.log(some), of_reals], axis=1), counted, xp)

    def presence(self, v: Any, backend: Any) -> Any:
        """Return 1 for codes, and for real units the states, or means, of the codes of the rest."""
        codes, _ = self._split(v)
        ones = super().presence(codes, backend)
        return backend.xp.concat([ones, self._of_rest(codes, backend)], axis=-1)

    def of(self, columns: np.ndarray) -> Units:
        """Return the units of some columns; raise ValueError if these units are not whole ones."""
        is_in = np.zeros(places_of(self.sizes).mean.size, dtype=bool)
        is_in[columns] = True
        codes, reals = self._split(is_in)
        kept = [size for size, is_kept in zip(self.sizes, reals, strict=True) if is_kept]
        if not np.array_equal(codes, np.repeat(reals, self.sizes)):
            raise ValueError(f"units must make whole columns of {self.sizes} codes, got {columns}")
        return Spiked(tuple(kept))

    def inner_mean(self, mean: np.ndarray) -> np.ndarray:
        """Return means mixed with a small share of those in no field."""
        return LARGEST_MEAN * mean + (1.0 - LARGEST_MEAN) * places_of(self.sizes).mean

    def variances(self, mean: Any, backend: Any) -> Any:
        """Return p (1 - p) of codes and p_rest (1 + φ²) - E[z]², over those in no field."""
        p, of_reals = self._split(mean)
        of_rest = self._of_rest(p, backend)
        # The square of E[z] = p_rest φ.
        square = of_reals * of_reals
        found = [p * (1.0 - p), of_rest + square / of_rest - square]
        return backend.xp.concat(found, axis=-1) / backend.constant(places_of(self.sizes).variance)

    def real(self, n_units: int) -> np.ndarray:
        """Return True for the real units, the last ones."""
        return np.arange(n_units) >= sum(self.sizes)

    def largest_means(self, n_units: int) -> np.ndarray:
        """Return 1 for codes, infinity for real units."""
        return np.where(self.real(n_units), np.inf, 1.0)

    def are_states(self, v: np.ndarray) -> bool:
        """Return whether each column has one code, and a finite number at the rest, 0 at spikes."""
        codes, z = self._split(v)
        is_rest = codes[:, places_of(self.sizes).rest] == 1
        are_numbers = np.isfinite(z).all() and (is_rest | (z == 0)).all()
        return bool(are_numbers and Categories(self.sizes).are_states(codes))

    def neighbours(self, v: np.ndarray) -> np.ndarray:
        """Return no states: those at the rest cannot be listed."""
        return np.empty((0, v.size), dtype=v.dtype)

    def choices(self, n_units: int) -> Choices:
        """Return infinitely many states for each column, whose real unit ends its group."""
        of_codes = Categories(self.sizes).choices(sum(self.sizes)).rank
        rank = np.concatenate([of_codes, np.full(len(self.sizes), -1)])
        return Choices(np.full(n_units, np.inf), rank, self.real(n_units))

    def _split(self, x: Any) -> tuple[Any, Any]:
        """Cut the last axis into codes and real units."""
        n_codes = sum(self.sizes)
        return x[..., :n_codes], x[..., n_codes:]

    def _reduced(self, field: Any, backend: Any) -> tuple[Any, Any]:
        """Return θ' and φ, both of them new arrays in row-major order."""
        theta, phi = self._split(field)
        phi = backend.xp.asarray(phi, copy=True)
        return theta + self._gain_of_rest(phi, backend), phi

    def _gain_of_rest(self, phi: Any, backend: Any) -> Any:
        """Return θ' - θ: φ²/2 + ½ log 2π at the rest, zero at spikes."""
        xp = backend.xp
        gain = 0.5 * phi * phi + LOG_SQRT_2_PI
        padded = xp.concat([gain, xp.zeros_like(gain[..., :1])], axis=-1)
        return xp.take(padded, backend.constant(places_of(self.sizes).real_of_code), axis=-1)

    def _of_rest(self, codes: Any, backend: Any) -> Any:
        """Return the values of the codes of the rest, one for each column."""
        return backend.xp.take(codes, backend.constant(places_of(self.sizes).rest), axis=-1)


class Places(NamedTuple):
    """What is known of a layer by the sizes of its groups.

    Attributes
    ----------
    rest : int array of shape (n_columns,)
        The code of the rest of each column.
    real_of_code : int array of shape (n_codes,)
        The real unit of each code of the rest, counted from the first one; of others n_columns.
    mean, variance : array of shape (n_units,)
        Of the units in no field.
    """

    rest: np.ndarray
    real_of_code: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@lru_cache(maxsize=64)
def places_of(sizes: tuple[int, ...]) -> Places:
    """Return the places of the units of columns with so many codes.

    Examples
    --------
    >>> places = places_of((2, 3))
    >>> print(places.rest, places.real_of_code)
    [1 4] [2 0 2 2 1]
    """
    n_columns, rest = len(sizes), np.cumsum(sizes) - 1
    real_of_code = np.full(sum(sizes), n_columns)
    real_of_code[rest] = np.arange(n_columns)
    weights = np.where(real_of_code < n_columns, sqrt(2.0 * pi), 1.0)
    p = weights / np.repeat(np.add.reduceat(weights, rest + 1 - sizes), sizes)
    mean = np.concatenate([p, np.zeros(n_columns)])
    return Places(rest, real_of_code, mean, np.concatenate([p * (1.0 - p), p[rest]]))
