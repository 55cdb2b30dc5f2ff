"""Kinds of units: normalization, mean and sample of independent units in given fields.

A layer of units v in the fields θ has the weights f(v) = base(v) exp(θ·v). A kind defines what
follows from them: Γ(θ) = log Σ_v f(v), an integral for real units; the mean Γ'(θ); a sample. Maps
and chains use units by these methods alone.

Methods take the backend that computes, and its arrays with the state or the fields of a layer in
each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log, pi
from typing import Any, ClassVar, NamedTuple

import numpy as np

from sklearn_rapid.backends.random import RandomStream

# Units with means nearer to the ends would hardly ever change in a chain.
LARGEST_MEAN = 0.98


class Choices(NamedTuple):
    """States that the units of a layer choose from, alone or in groups of which one is on.

    Attributes
    ----------
    n_states : float array of shape (n_units,)
        Number of states of a unit, or of its group; infinity for real units.
    rank : int array of shape (n_units,)
        The state of its group in which a unit is on; -1 for units without a group.
    ends : boolean array of shape (n_units,)
        Whether a unit is the last of its group.
    """

    n_states: np.ndarray
    rank: np.ndarray
    ends: np.ndarray


def _chosen_alone(n_units: int, n_states: float) -> Choices:
    each = np.ones(n_units)
    return Choices(n_states * each, -each.astype(np.int64), each.astype(bool))


@dataclass(frozen=True)
class Units:
    """A kind of units; subclass it to add a kind."""

    # Compiled functions know spins only.
    are_spins: ClassVar[bool] = False
    # Whether Γ(-θ) = Γ(θ).
    are_even: ClassVar[bool] = True
    # Whether Γ is quadratic: summed over, the units couple pairs of the other layer.
    couple_pairs: ClassVar[bool] = False

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Return Γ(θ), summed over units, one float64 for each row."""
        raise NotImplementedError

    def log_partition_gain(self, field: Any, to: Any, start: Any, backend: Any) -> Any:
        """Return Γ(to_i θ_i) - Γ(start_i θ_i) of each row i, summed over units: float64."""
        raise NotImplementedError

    def log_partition_of_sums(self, rows: Any, columns: Any, backend: Any, dtype: str) -> Any:
        """Return Γ(rows_a + columns_b), float64 of shape (A, B); see `sum_log_2cosh_of_sums`."""
        xp = backend.xp
        out = xp.empty((rows.shape[0], columns.shape[0]), dtype=xp.float64)
        for b in range(columns.shape[0]):
            out[:, b] = self.log_partition(rows + columns[b : b + 1, :], backend)
        return out

    def mean(self, field: Any, backend: Any) -> Any:
        """Return E[v | θ] of each row. The memory of the field may be reused."""
        raise NotImplementedError

    def field_of_mean(self, mean: Any, backend: Any) -> Any:
        """Return the fields in which units have this mean, of shape (V,) or (1, V)."""
        raise NotImplementedError

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw v ~ P(v | θ) for each row. The memory of the field may be reused."""
        raise NotImplementedError

    def log_weights(self, v: Any, field: Any, backend: Any) -> Any:
        """Return θ·v + log base(v), one float64 for each row; the field may have a single row."""
        return backend.row_dots(v, field)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """Return Γ(θ) - θ·Γ'(θ), summed over the counted units of each row, one float64 a row.

        It is the entropy of independent units in these fields, relative to the base measure.
        """
        raise NotImplementedError

    def presence(self, v: Any, backend: Any) -> Any:
        """Return how much of each unit there is in states, or their means; NaN where v is NaN.

        It is 1 but for real units that some states do not have.
        """
        return backend.xp.where(v == v, backend.xp.ones_like(v), v)

    def of(self, columns: np.ndarray) -> Units:
        """Return the kind of the layer that consists of these columns."""
        return self

    def of_rows(self, rows: slice) -> Units:
        """The kind of a block of the rows, where rows differ in what units they have."""
        return self

    def inner_mean(self, mean: np.ndarray) -> np.ndarray:
        """Return means, moved from the ends of their range so that units in their fields change."""
        return mean

    def variances(self, mean: Any, backend: Any) -> Any:
        """Return variances of units of these means, relative to their variances in no field."""
        raise NotImplementedError

    def real(self, n_units: int) -> np.ndarray:
        """Return which of `n_units` units are real numbers, whose scale can be chosen."""
        return np.zeros(n_units, dtype=bool)

    def largest_means(self, n_units: int) -> np.ndarray:
        """Return bounds of the means of `n_units` units, in absolute value."""
        return np.ones(n_units)

    def are_states(self, v: np.ndarray) -> bool:
        """Return whether rows are states of these units."""
        raise NotImplementedError

    def neighbours(self, v: np.ndarray) -> np.ndarray:
        """Return all states that differ from a state, of shape (V,), in a single unit or group."""
        raise NotImplementedError

    def choices(self, n_units: int) -> Choices:
        """Return the states that `n_units` units choose from."""
        raise NotImplementedError


@dataclass(frozen=True)
class Spins(Units):
    """Units v = ±1: Γ(θ) = log 2cosh θ, means tanh θ.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> print(Spins().mean(np.array([[0.0, 100.0]]), get_backend("numpy")))
    [[0. 1.]]
    """

    are_spins: ClassVar[bool] = True

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Return Σ_j log 2cosh θ_j."""
        return backend.sum_log_2cosh(field)

    def log_partition_gain(self, field: Any, to: Any, start: Any, backend: Any) -> Any:
        """Return Σ_j log [cosh(to θ_j) / cosh(start θ_j)]."""
        return backend.sum_log_cosh_ratio(field, to, start)

    def log_partition_of_sums(self, rows: Any, columns: Any, backend: Any, dtype: str) -> Any:
        """Return Σ_j log 2cosh(rows_aj + columns_bj)."""
        return backend.sum_log_2cosh_of_sums(rows, columns, dtype)

    def mean(self, field: Any, backend: Any) -> Any:
        """Return tanh θ."""
        return backend.tanh(field)

    def field_of_mean(self, mean: Any, backend: Any) -> Any:
        """Return the artanh of the mean."""
        return backend.xp.atanh(mean)

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw +1 with probability σ(2θ), else -1."""
        return backend.sample_spins(field, stream, draw, first_row)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """Return Σ_j log 2cosh θ_j - θ_j tanh θ_j."""
        xp = backend.xp
        a = xp.abs(xp.astype(field, xp.float64))
        e = xp.exp(-2.0 * a)
        return sum_of_counted(xp.log1p(e) + 2.0 * a * e / (1.0 + e), counted, xp)

    def variances(self, mean: Any, backend: Any) -> Any:
        """Return 1 - m²."""
        return 1.0 - mean * mean

    def inner_mean(self, mean: np.ndarray) -> np.ndarray:
        """Return means clipped to ±`LARGEST_MEAN`."""
        return np.clip(mean, -LARGEST_MEAN, LARGEST_MEAN)

    def are_states(self, v: np.ndarray) -> bool:
        """Return whether all are -1 or +1."""
        return bool(((v == 1) | (v == -1)).all())

    def neighbours(self, v: np.ndarray) -> np.ndarray:
        """Return one state for each spin, which is flipped."""
        return v * (1 - 2 * np.eye(v.size, dtype=v.dtype))

    def choices(self, n_units: int) -> Choices:
        """Return two states for each unit."""
        return _chosen_alone(n_units, 2.0)


@dataclass(frozen=True)
class Gaussians(Units):
    """Real units of unit variance, base(v) = exp(-v²/2): Γ(θ) = θ²/2 + ½ log 2π, means θ.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> print(Gaussians().log_partition(np.array([[0.0, 2.0]]), get_backend("numpy")).round(3))
    [3.838]
    """

    couple_pairs: ClassVar[bool] = True

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Return Σ_j θ_j²/2 + ½ log 2π."""
        return 0.5 * backend.row_dots(field, field) + 0.5 * log(2.0 * pi) * field.shape[1]

    def log_partition_gain(self, field: Any, to: Any, start: Any, backend: Any) -> Any:
        """Return Σ_j (to² - start²) θ_j²/2."""
        return 0.5 * (to - start) * (to + start) * backend.row_dots(field, field)

    def mean(self, field: Any, backend: Any) -> Any:
        """Return the field."""
        return field

    def field_of_mean(self, mean: Any, backend: Any) -> Any:
        """Return the mean."""
        return mean

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw θ + N(0, 1)."""
        return backend.sample_gaussians(field, stream, draw, first_row)

    def log_weights(self, v: Any, field: Any, backend: Any) -> Any:
        """Return Σ_j θ_j v_j - v_j²/2."""
        return backend.row_dots(v, field) - 0.5 * backend.row_dots(v, v)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """Return Σ_j ½ log 2π - θ_j²/2."""
        xp = backend.xp
        theta = xp.astype(field, xp.float64)
        return sum_of_counted(0.5 * log(2.0 * pi) - 0.5 * theta * theta, counted, xp)

    def variances(self, mean: Any, backend: Any) -> Any:
        """Return ones, for any mean."""
        return backend.xp.ones_like(mean)

    def real(self, n_units: int) -> np.ndarray:
        """Return True for each unit."""
        return np.ones(n_units, dtype=bool)

    def largest_means(self, n_units: int) -> np.ndarray:
        """Return infinity for each unit."""
        return np.full(n_units, np.inf)

    def are_states(self, v: np.ndarray) -> bool:
        """Return whether all are finite."""
        return bool(np.isfinite(v).all())

    def neighbours(self, v: np.ndarray) -> np.ndarray:
        """Return no states: a real number has no neighbours."""
        return np.empty((0, v.size), dtype=v.dtype)

    def choices(self, n_units: int) -> Choices:
        """Return infinitely many states for each unit."""
        return _chosen_alone(n_units, np.inf)


@dataclass(frozen=True)
class Categories(Units):
    """Groups of units of which one is 1 and the others 0: Γ = logsumexp, means softmax, a group.

    Parameters
    ----------
    sizes : tuple of int
        Number of units in each group, in the order of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> print(Categories((2, 3)).mean(np.zeros((1, 5)), get_backend("numpy")).round(2))
    [[0.5  0.5  0.33 0.33 0.33]]
    """

    sizes: tuple[int, ...]
    are_even: ClassVar[bool] = False

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Return the sum of the groups' logsumexp."""
        return backend.sum_log_sum_exp(field, self.sizes)

    def log_partition_gain(self, field: Any, to: Any, start: Any, backend: Any) -> Any:
        """Return the sum of the groups' logsumexp at one β less that at the other."""
        to, start = (backend.xp.astype(beta, field.dtype)[:, None] for beta in (to, start))
        at_end = backend.sum_log_sum_exp(to * field, self.sizes)
        return at_end - backend.sum_log_sum_exp(start * field, self.sizes)

    def mean(self, field: Any, backend: Any) -> Any:
        """Return the softmax of each group."""
        return backend.softmax(field, self.sizes)

    def field_of_mean(self, mean: Any, backend: Any) -> Any:
        """Return the logarithm of the mean."""
        return backend.xp.log(mean)

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw one unit of each group, with the means as probabilities."""
        return backend.sample_categories(field, self.sizes, stream, draw, first_row)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """Return -Σ p log p; units of a group are all counted or none."""
        xp = backend.xp
        p = self.mean(xp.astype(field, xp.float64), backend)
        some = xp.where(p > 0.0, p, xp.ones_like(p))
        return sum_of_counted(-some * xp.log(some), counted, xp)

    def of(self, columns: np.ndarray) -> Units:
        """Return the groups of the columns; raise ValueError if groups are not whole."""
        is_in = np.zeros(sum(self.sizes), dtype=bool)
        is_in[columns] = True
        shares = [is_in[group].mean() for group in slices_of(self.sizes)]
        if any(0.0 < share < 1.0 for share in shares):
            raise ValueError(f"columns must make whole groups of {self.sizes}, got {columns}")
        pairs = zip(self.sizes, shares, strict=True)
        return Categories(tuple(size for size, share in pairs if share))

    def variances(self, mean: Any, backend: Any) -> Any:
        """Return m (1 - m) / [(1/k) (1 - 1/k)], in groups of k units."""
        sizes = np.repeat(self.sizes, self.sizes).astype(np.float64)
        in_no_field = np.maximum(sizes - 1.0, 1.0) / (sizes * sizes)
        return mean * (1.0 - mean) / backend.constant(in_no_field)

    def inner_mean(self, mean: np.ndarray) -> np.ndarray:
        """Return means mixed with a small share of equal means in each group."""
        equal = np.concatenate([np.full(size, 1.0 / size) for size in self.sizes])
        return LARGEST_MEAN * mean + (1.0 - LARGEST_MEAN) * equal

    def are_states(self, v: np.ndarray) -> bool:
        """Return whether all are 0 or 1, and one of each group is 1."""
        is_on = v == 1
        groups = slices_of(self.sizes)
        one_each = all((is_on[:, group].sum(axis=1) == 1).all() for group in groups)
        return bool(one_each and (is_on | (v == 0)).all())

    def neighbours(self, v: np.ndarray) -> np.ndarray:
        """Return one state for each unit that is off, which becomes the one of its group."""
        off = np.flatnonzero(v == 0)
        group = np.repeat(np.arange(len(self.sizes)), self.sizes)
        changed = np.where(group[None, :] == group[off, None], 0, v[None, :]).astype(v.dtype)
        changed[np.arange(off.size), off] = 1
        return changed

    def choices(self, n_units: int) -> Choices:
        """Return as many states for each group as it has units."""
        n_states = np.repeat(np.array(self.sizes, dtype=np.float64), self.sizes)
        rank = np.concatenate([np.arange(size) for size in self.sizes])
        return Choices(n_states, rank, rank == n_states - 1)


SPINS = Spins()


def slices_of(sizes: Iterable[int]) -> list[slice]:
    """Return the columns of neighbouring groups of these sizes.

    Examples
    --------
    >>> slices_of((2, 3))
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]


def sum_of_counted(terms: Any, counted: Any, xp: Any) -> Any:
    """Return the sum of the counted terms of each row."""
    return xp.sum(xp.where(counted, terms, xp.zeros_like(terms)), axis=1)
