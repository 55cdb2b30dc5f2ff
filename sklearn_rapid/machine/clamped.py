"""Clamp the units that rows have: the machine of their missing units, its means and its log Z.

Missing entries are NaN. Given the clamped units of a row, its missing units u and the hidden units
are a restricted machine of their own, with the fields of the clamped units in its hidden bias.
`clamp` makes it: a `Machine` with a hidden bias a row, and with the methods of any. Then

    Σ_u exp(-F(v, u)) = exp(b·v + log base(v)) Z

with v the clamped units and Z that of the row's machine. Mean field bounds Z from below,

    log Z >= -F(m) + S(m),    m = Γ'(φ),

S being the entropy of independent units with the means m (Salakhutdinov and Hinton 2009), and
annealing from independent units to the machine estimates it (Neal 2001). Where u has few states,
`completions` enumerates them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream, Units
from sklearn_rapid.machine.annealing import AnnealingPath
from sklearn_rapid.machine.machine import Machine

# Mean fields of trained machines converge in this many steps, to a hundredth of a nat.
MEAN_FIELD_STEPS = 30
# Rows that are annealed at a time.
ROWS_ANNEALED = 128


@dataclass(frozen=True)
class MaskedUnits(Units):
    """A layer of which each row has only some units; the others are zero and count for nothing.

    Parameters
    ----------
    units : Units
    mask : boolean array of shape (n, n_units)
        True where a row has a unit.

    Examples
    --------
    >>> from sklearn_rapid.backends import SPINS, get_backend
    >>> units = MaskedUnits(SPINS, np.array([[True, False]]))
    >>> print(units.mean(np.array([[100.0, 100.0]]), get_backend("numpy")))
    [[1. 0.]]
    """

    units: Units
    mask: Any
    # Γ(0) of the units that each row has not: annealing asks for it at every temperature.
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def of_rows(self, rows: slice) -> MaskedUnits:
        """The layer in a block of the rows."""
        return MaskedUnits(self.units, self.mask[rows, :])

    def log_partition(self, field: Any, backend: Any) -> Any:
        """Γ of a row's own units."""
        if "others" not in self.kept:
            # In no field, entropy and log-partition are the same.
            no_field = backend.xp.zeros_like(field)
            self.kept["others"] = self.units.entropy(no_field, ~self.mask, backend)
        of_all = self.units.log_partition(self._masked(field, backend), backend)
        return of_all - self.kept["others"]

    def mean(self, field: Any, backend: Any) -> Any:
        """Means of a row's own units."""
        return self._masked(self.units.mean(field, backend), backend)

    def sample(
        self, field: Any, backend: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """A sample of a row's own units, by the random numbers that all of them would take."""
        drawn = self.units.sample(field, backend, stream, draw, first_row)
        return self._masked(drawn, backend)

    def log_weights(self, v: Any, field: Any, backend: Any) -> Any:
        """θ·v + log base(v), to which zeros add nothing."""
        return self.units.log_weights(v, field, backend)

    def entropy(self, field: Any, counted: Any, backend: Any) -> Any:
        """The entropy of those of a row's own units that are counted."""
        return self.units.entropy(field, self.mask & counted, backend)

    def presence(self, v: Any, backend: Any) -> Any:
        """The presence of a row's own units; of others there is nothing."""
        return self._masked(self.units.presence(v, backend), backend)

    def variances(self, mean: Any, backend: Any) -> Any:
        """Variances of a row's own units."""
        return self._masked(self.units.variances(mean, backend), backend)

    def real(self, n_units: int) -> np.ndarray:
        """Which units are real numbers, in the rows that have them."""
        return self.units.real(n_units)

    def largest_means(self, n_units: int) -> np.ndarray:
        """Bounds of the means of units, in the rows that have them."""
        return self.units.largest_means(n_units)

    def _masked(self, x: Any, backend: Any) -> Any:
        return backend.xp.where(self.mask, x, backend.xp.zeros_like(x))


def missing_columns(v: Any, backend: Any) -> np.ndarray:
    """Number the columns that are NaN in some row."""
    return np.flatnonzero(backend.to_numpy(backend.xp.any(v != v, axis=0)))


def clamp(machine: Machine, v: Any, columns: np.ndarray) -> Machine:
    """Clamp the units that rows have: returns the machine of their missing units.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n, V)
        NaN where a unit is missing.
    columns : array of int of shape (F,)
        Of all missing entries; whole groups of categories.

    Returns
    -------
    Machine
        Of F visible units, each row having those that it lacks in v, with a hidden bias a row.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.array([[1.0], [1.0]])), np.zeros(2), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> rows = np.array([[1.0, np.nan], [-1.0, np.nan]])
    >>> means, _ = mean_field(clamp(machine, rows, np.array([1])), 100)
    >>> print(means.round(2))
    [[ 0.74]
     [-0.74]]
    """
    xp, at = machine.backend.xp, machine.backend.asarray(columns, "int64")
    mask = xp.take(v != v, at, axis=1)
    return replace(
        machine,
        couplings=machine.couplings.select_visible(at, xp),
        visible_bias=xp.take(machine.visible_bias, at, axis=0),
        hidden_bias=machine.hidden_field(zero_missing(v, xp)),
        visible_units=MaskedUnits(machine.visible_units.of(columns), mask),
    ).for_rows(v.shape[0] * MEAN_FIELD_STEPS)


def mean_field(machine: Machine, n_steps: int = MEAN_FIELD_STEPS) -> tuple[Any, Any]:
    """Compute mean-field means of the visible units of a clamped machine, and their fields φ.

    Each step computes hidden means given visible ones, and visible means given these; no step
    lowers the bound of `lower_bound`. Where real units couple spins, a spin's coupling to itself is
    left out, and steps go half of the way, or they could oscillate.
    """
    units, backend, own = machine.visible_units, machine.backend, _self_couplings(machine)
    phi = backend.xp.zeros_like(units.mask, dtype=machine.visible_bias.dtype)
    phi = phi + machine.visible_bias
    means = units.mean(1.0 * phi, backend)
    for _ in range(n_steps):
        following = machine.visible_field(machine.hidden_mean(means))
        phi = following if own is None else 0.5 * (phi + following - own * means)
        means = units.mean(1.0 * phi, backend)
    return means, phi


def lower_bound(machine: Machine, n_steps: int = MEAN_FIELD_STEPS) -> Any:
    """Bound log Z of each row of a clamped machine from below by mean field: float64."""
    backend, units = machine.backend, machine.visible_units
    means, phi = mean_field(machine, n_steps)
    bound = backend.log_partition_of(means, machine.up) + units.entropy(phi, units.mask, backend)
    bound = bound + backend.row_dots(means, machine.visible_bias[None, :])
    own = _self_couplings(machine)
    if own is not None:
        # The mean of |Wᵀu|²/2 is known: Jensen's inequality is not needed.
        bound = bound + 0.5 * backend.row_dots(units.variances(means, backend), own)
    return bound


def annealed_log_partition(
    machine: Machine, stream: RandomStream, n_chains: int, n_temperatures: int
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate log Z of each row of a clamped machine by annealing, with standard errors.

    Chains of one layer are annealed from independent units to the machine, the other layer being
    summed over: chains of the smaller one, but of hidden spins where visible units are real
    (docs/design_notes/gaps.md). The logarithm of the mean of their weights is low by about half
    its squared error.

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    n_chains, n_temperatures : int
        Of each row; the temperatures are equally spaced in β.
    """
    log_w = _path_of_smaller_layer(machine, n_chains).log_weights(stream, n_temperatures)
    log_w = machine.backend.to_numpy(log_w).reshape(-1, n_chains)
    largest = log_w.max(axis=1)
    relative = np.exp(log_w - largest[:, None])
    mean = relative.mean(axis=1)
    error = relative.std(axis=1, ddof=1) / mean / np.sqrt(n_chains)
    return largest + np.log(mean), error


def _path_of_smaller_layer(machine: Machine, n_chains: int) -> AnnealingPath:
    """Make the path of chains of one layer of a clamped machine, `n_chains` of each row.

    Missing units start in half their mean field φ, from which modes other than its own can be
    reached. Hidden spins start in a quarter of the fields that they have if missing units are at
    their means without couplings: none of them is then certain.
    """
    backend, xp, units = machine.backend, machine.backend.xp, machine.visible_units
    rows = backend.asarray(np.repeat(np.arange(units.mask.shape[0]), n_chains), "int64")
    up = replace(machine.up, bias=xp.take(machine.hidden_bias, rows, axis=0), kept={})
    masked = MaskedUnits(units.units, xp.take(units.mask, rows, axis=0))
    down = replace(machine.down, units=masked, kept={})
    has_real = units.real(machine.n_visible).any()
    if machine.hidden_units.are_spins and (has_real or machine.n_hidden < machine.n_visible):
        base = 0.25 * machine.hidden_field(mean_field(machine, 0)[0])
        up, down = down, up
    else:
        base = 0.5 * mean_field(machine)[1]
    # The bias of the layer that is summed over, with the clamped units in it, is not annealed.
    return AnnealingPath(up, down, xp.take(base, rows, axis=0), up.bias, backend)


def fill_missing(v: Any, columns: np.ndarray, states: Any, backend: Any) -> Any:
    """Fill the missing entries of rows with states of these columns, shape (n, F)."""
    xp = backend.xp
    place = np.zeros(v.shape[1], dtype=np.int64)
    place[columns] = np.arange(len(columns))
    return xp.where(v != v, xp.take(states, backend.asarray(place), axis=1), v)


def fill_with_mean_field(machine: Machine, v: Any, n_steps: int = MEAN_FIELD_STEPS) -> Any:
    """Fill the missing entries of rows with mean-field means."""
    columns = missing_columns(v, machine.backend)
    if columns.size == 0:
        return v
    means, _ = mean_field(clamp(machine, v, columns), n_steps)
    return fill_missing(v, columns, means, machine.backend)


def free_energy_bound(machine: Machine, v: Any) -> Any:
    """Bound -log Σ_u exp(-F(v, u)) of each row from above; F(v) itself where none is missing."""
    xp, columns = machine.backend.xp, missing_columns(v, machine.backend)
    if columns.size == 0:
        return machine.free_energy(v)
    clamped = zero_missing(v, xp)
    bound = -lower_bound(clamp(machine, v, columns)) - machine.log_weights(clamped)
    # Whole rows get the same digits in any company.
    return xp.where(xp.any(v != v, axis=1), bound, machine.free_energy(clamped))


def log_sums_over_missing(
    machine: Machine, v: Any, stream: RandomStream, n_chains: int, n_temperatures: int
) -> tuple[Any, Any]:
    """Estimate log Σ_u exp(-F(v, u)) of each row by annealing, with its error.

    It is -F(v), without error, where no unit is missing. Rows take turns, to save memory.
    """
    backend, xp = machine.backend, machine.backend.xp
    clamped, columns = zero_missing(v, xp), missing_columns(v, backend)
    log_f = backend.to_numpy(-machine.free_energy(clamped)).copy()
    of_clamped = backend.to_numpy(machine.log_weights(clamped))
    errors = np.zeros_like(log_f)
    incomplete = np.flatnonzero(backend.to_numpy(xp.any(v != v, axis=1)))
    for start in range(0, incomplete.size, ROWS_ANNEALED):
        rows = incomplete[start : start + ROWS_ANNEALED]
        part = clamp(machine, xp.take(v, backend.asarray(rows), axis=0), columns)
        log_z, errors[rows] = annealed_log_partition(part, stream, n_chains, n_temperatures)
        log_f[rows] = of_clamped[rows] + log_z
    return backend.asarray(log_f), backend.asarray(errors)


def zero_missing(v: Any, xp: Any) -> Any:
    """Set missing entries to zero, where they add nothing to fields and log weights."""
    return xp.where(v != v, xp.zeros_like(v), v)


def _self_couplings(machine: Machine) -> Any:
    """|w_i|², by which real units couple a spin to itself, shape (1, F); None if none do."""
    if not replace(machine, visible_units=machine.visible_units.units).couples_spins:
        return None
    W, xp = machine.couplings.to_dense().weights, machine.backend.xp
    return xp.sum(W * W, axis=1)[None, :]
