"""Enumerate the completions of rows with few missing entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.clamped import log_sums_over_missing, zero_missing
from sklearn_rapid.machine.machine import Machine

# Rows with more completions are not enumerated; the largest number of elements in memory at once.
MOST_COMPLETIONS, NUMBERS_AT_ONCE = 1024, 2**22


def count_completions(machine: Machine, v: Any) -> np.ndarray:
    """Count the completions of each row, shape (n,); infinite if real units are missing."""
    of_units = machine.visible_units.choices(machine.n_visible)
    missing = machine.backend.to_numpy(v != v)
    return np.prod(np.where(missing & of_units.ends, of_units.n_states, 1.0), axis=1)


def fill_with_exact_means(machine: Machine, v: Any) -> Any:
    """Fill in the means of missing units given the clamped ones, exactly: float64.

    All completions of a row are enumerated, so that a row should have few (`count_completions`).

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.array([[1.0], [1.0]])), np.zeros(2), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> print(fill_with_exact_means(machine, np.array([[1.0, np.nan], [np.nan, np.nan]])).round(3))
    [[1.   0.58]
     [0.   0.  ]]
    """
    means = machine.backend.to_numpy(zero_missing(v, machine.backend.xp)).astype(np.float64)
    for found in _enumerate_completions(machine, v):
        found.fill(means, np.matmul(found.p[:, None, :], found.states)[:, 0, :])
    return machine.backend.asarray(means)


def fill_with_exact_draws(machine: Machine, v: Any, stream: RandomStream) -> Any:
    """Draw the missing units given the clamped ones, exactly, from all completions of each row.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((2, 1))), np.array([0.0, 50.0]), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> fill_with_exact_draws(machine, np.array([[-1.0, np.nan]]), RandomStream(0))
    array([[-1.,  1.]])
    """
    backend = machine.backend
    filled = backend.to_numpy(zero_missing(v, backend.xp)).copy()
    u = backend.to_numpy(backend.random_uniform((v.shape[0], 1), stream, stream.reserve()))
    for found in _enumerate_completions(machine, v):
        is_passed = np.cumsum(found.p, axis=1)[:, :-1] < u[found.rows]
        chosen = is_passed.sum(axis=1)
        found.fill(filled, found.states[np.arange(len(chosen)), chosen])
    return machine.cast(filled)


def log_sums_of_rows(
    machine: Machine, v: Any, stream: RandomStream, n_chains: int, n_temperatures: int
) -> tuple[Any, Any]:
    """Compute log Σ_u exp(-F(v, u)) over the missing units of each row, with its error.

    It is exact, up to rounding, for rows with few completions, and estimated by annealing for
    others.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((2, 1))), np.zeros(2), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> log_sums_of_rows(machine, np.full((1, 2), np.nan), RandomStream(0), 2, 2)
    (array([2.07944154]), array([0.]))
    """
    backend, xp = machine.backend, machine.backend.xp
    clamped = zero_missing(v, xp)
    log_f = backend.to_numpy(-machine.free_energy(clamped)).astype(np.float64)
    errors = np.zeros_like(log_f)
    n_ways = count_completions(machine, v)
    few = np.flatnonzero((n_ways > 1.0) & (n_ways <= MOST_COMPLETIONS))
    many = np.flatnonzero(n_ways > MOST_COMPLETIONS)
    if few.size:
        rows = xp.take(v, backend.asarray(few, "int64"), axis=0)
        sums = backend.to_numpy(machine.log_weights(zero_missing(rows, xp))).astype(np.float64)
        for found in _enumerate_completions(machine, rows):
            sums[found.rows] += found.log_total
        log_f[few] = sums
    if many.size:
        rows = xp.take(v, backend.asarray(many, "int64"), axis=0)
        sums, of_rows = log_sums_over_missing(machine, rows, stream, n_chains, n_temperatures)
        log_f[many], errors[many] = backend.to_numpy(sums), backend.to_numpy(of_rows)
    return backend.asarray(log_f), backend.asarray(errors)


class _Completions(NamedTuple):
    """All completions of some rows.

    Attributes
    ----------
    rows : int array of shape (n,)
    columns : int array of shape (n, F)
        Of each row's missing units, and maybe of others.
    missing : boolean array of shape (n, F)
        Whether the unit there is missing.
    states : array of shape (n, n_completions, F)
        Zero where a unit is not missing.
    p : array of shape (n, n_completions)
    log_total : array of shape (n,)
        Logarithm of the sum of their weights, less that of the clamped units.
    """

    rows: np.ndarray
    columns: np.ndarray
    missing: np.ndarray
    states: np.ndarray
    p: np.ndarray
    log_total: np.ndarray

    def fill(self, out: np.ndarray, values: np.ndarray) -> None:
        """Write values, of shape (n, F), where units of the rows are missing."""
        at = self.rows[:, None], self.columns
        out[at] = np.where(self.missing, values, out[at])


def _enumerate_completions(machine: Machine, v: Any) -> Iterator[_Completions]:
    """Enumerate the completions of rows with missing units, rows with similarly many together."""
    backend, xp = machine.backend, machine.backend.xp
    n_ways, missing = count_completions(machine, v), backend.to_numpy(v != v)
    field = machine.hidden_field(zero_missing(v, xp))
    machine = replace(machine, couplings=machine.couplings.to_dense())
    magnitude = np.ceil(np.log2(n_ways))
    for power in np.unique(magnitude[n_ways > 1.0]):
        alike = np.flatnonzero(magnitude == power)
        n_units = max(machine.n_hidden, int(missing[alike].sum(axis=1).max()))
        n_at_once = max(1, NUMBERS_AT_ONCE // (int(n_ways[alike].max()) * n_units))
        for start in range(0, alike.size, n_at_once):
            rows = alike[start : start + n_at_once]
            of_rows = xp.take(field, backend.asarray(rows, "int64"), axis=0)
            yield _completions_of(machine, rows, missing[rows], n_ways[rows], of_rows)


def _completions_of(
    machine: Machine,
    rows: np.ndarray,
    missing: np.ndarray,
    n_ways: np.ndarray,
    clamped_field: Any,
) -> _Completions:
    """Enumerate the completions of these rows.

    Parameters
    ----------
    machine : Machine
        With dense couplings.
    rows : int array of shape (n,)
        The numbers of the rows.
    missing : boolean array of shape (n, V)
    n_ways : array of shape (n,)
    clamped_field : array of shape (n, H)
        Hidden fields given the clamped units.
    """
    backend, xp = machine.backend, machine.backend.xp
    n_missing = int(missing.sum(axis=1).max())
    columns = np.argsort(~missing, axis=1, kind="stable")[:, :n_missing]
    is_missing = np.take_along_axis(missing, columns, axis=1)
    n_states, rank, ends = (a[columns] for a in machine.visible_units.choices(missing.shape[1]))
    n_states = np.where(is_missing, n_states, 1.0).astype(np.int64)
    strides = np.cumprod(np.where(ends, n_states, 1), axis=1) // np.where(ends, n_states, 1)
    numbers = np.arange(int(n_ways.max()))
    # Completions are numbered; a digit of the number is the state of a group of units.
    digits = numbers[:, None] // strides[:, None, :] % n_states[:, None, :]
    rank = rank[:, None, :]
    states = np.where(rank < 0, 2 * digits - 1, digits == rank) * is_missing[:, None, :]
    u, at = machine.cast(states), backend.asarray(columns.ravel(), "int64")
    weights = xp.reshape(xp.take(machine.couplings.weights, at, axis=0), (*columns.shape, -1))
    bias = xp.reshape(xp.take(machine.visible_bias, at, axis=0), (*columns.shape, 1))
    theta = xp.reshape(clamped_field[:, None, :] + xp.matmul(u, weights), (-1, machine.n_hidden))
    log_p = xp.reshape(machine.hidden_units.log_partition(theta, backend), u.shape[:2])
    log_p = backend.to_numpy(log_p + xp.astype(xp.matmul(u, bias)[:, :, 0], xp.float64))
    log_p = np.where(numbers < n_ways[:, None], log_p, -np.inf)
    largest = log_p.max(axis=1, keepdims=True)
    p = np.exp(log_p - largest)
    total = p.sum(axis=1, keepdims=True)
    log_total = (largest + np.log(total))[:, 0]
    return _Completions(rows, columns, is_missing, states, p / total, log_total)


def log_weights_of_states(
    machine: Machine,
    v: Any,
    units: np.ndarray,
    states: np.ndarray,
    stream: RandomStream,
    n_chains: int,
    n_temperatures: int,
) -> Any:
    """Compute log Σ exp(-F(v)) of each row with some units set to each of some states, float64.

    The sum is over other missing units of the row. It is exact if they have few states, and
    otherwise estimated by annealing, with the same random numbers for all states.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n, V)
        NaN where a unit is missing; the states of `units` are not read.
    units : int array of shape (n_units,)
        A column's.
    states : array of shape (B, n_units)
    stream : RandomStream
    n_chains, n_temperatures : int
        Of annealing.

    Returns
    -------
    array of shape (n, B)
    """
    backend, xp = machine.backend, machine.backend.xp
    is_set = np.zeros(v.shape[1], dtype=bool)
    is_set[units] = True
    rest = xp.where(backend.asarray(is_set), xp.zeros_like(v), v)
    candidates = np.zeros((len(states), v.shape[1]))
    candidates[:, units] = states
    if not bool(xp.any(rest != rest)):
        machine = machine.in_float64()
        rest, candidates = machine.cast(rest), machine.cast(candidates)
        no_bias = replace(machine, hidden_bias=xp.zeros_like(machine.hidden_bias))
        fields = machine.hidden_field(rest), no_bias.hidden_field(candidates)
        log_f = machine.hidden_units.log_partition_of_sums(*fields, backend, "float64")
        return log_f + machine.log_weights(rest)[:, None] + machine.log_weights(candidates)[None, :]
    columns, candidates = [], machine.cast(candidates)
    for b in range(len(states)):
        same = replace(stream)
        found, _ = log_sums_of_rows(
            machine, rest + candidates[b : b + 1, :], same, n_chains, n_temperatures
        )
        columns.append(found)
    stream.position = max(stream.position, same.position)
    return xp.stack(columns, axis=1)
