"""Enumerate the completions of rows with few missing entries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_rapid.machine.clamped import zero_missing
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
    backend, xp = machine.backend, machine.backend.xp
    n_ways, missing = count_completions(machine, v), backend.to_numpy(v != v)
    clamped = zero_missing(v, xp)
    means = backend.to_numpy(clamped).astype(np.float64)
    field = machine.hidden_field(clamped)
    machine = replace(machine, couplings=machine.couplings.to_dense())
    magnitude = np.ceil(np.log2(n_ways))
    for power in np.unique(magnitude[n_ways > 1.0]):
        alike = np.flatnonzero(magnitude == power)
        n_units = max(machine.n_hidden, int(missing[alike].sum(axis=1).max()))
        n_at_once = max(1, NUMBERS_AT_ONCE // (int(n_ways[alike].max()) * n_units))
        for start in range(0, alike.size, n_at_once):
            rows = alike[start : start + n_at_once]
            of_rows = xp.take(field, backend.asarray(rows, "int64"), axis=0)
            columns, of_missing = _means_of_missing(machine, missing[rows], n_ways[rows], of_rows)
            means[rows[:, None], columns] = np.where(
                np.take_along_axis(missing[rows], columns, axis=1),
                of_missing,
                np.take_along_axis(means[rows], columns, axis=1),
            )
    return backend.asarray(means)


def _means_of_missing(
    machine: Machine, missing: np.ndarray, n_ways: np.ndarray, clamped_field: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Find columns of each row, the missing ones first, and the means there; of others zero.

    Parameters
    ----------
    machine : Machine
        With dense couplings.
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
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return columns, np.matmul(p[:, None, :], states)[:, 0, :]
