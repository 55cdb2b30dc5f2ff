"""Compare a fit with independent columns, the least that it should reach.

The likelihoods compared are of rows that it was trained on, whatever its negative phase. A fit that
ends below independent columns is repeated with shorter steps, and replaced by them if that does not
help (`sklearn_rapid.training.fit.fit`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.clamped import free_energy_bound, log_sums_over_missing, missing_columns
from sklearn_rapid.machine.couplings import Couplings, DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import base_log_partition
from sklearn_rapid.training.chains import NO_CHAINS
from sklearn_rapid.training.fit.verdict import (
    known_presence,
    mean_log_volume,
    quick_log_partition,
)
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.steps.step_length import add_row_in_no_field

# The most rows compared.
ROWS_COMPARED = 2000
# A model is worse than independent columns below this slack, in nats or as a share of theirs, and
# far worse below that share of theirs.
SLACK, RELATIVE_SLACK = 0.05, 0.02
FAR_WORSE = 0.25
# The tolerance of log Z is this part of the slack, up to a largest one. The limit of its rows is
# half of those of the fit, but not below this many rows, or this many multiply-adds.
SHARE_OF_SLACK, LARGEST_TOL, FEWEST_ROWS, FEWEST_PRODUCTS = 0.25, 0.5, 2e5, 2e10
# The cost in nats, over all columns, of a row added in no field: in a model of independent columns,
# and in their likelihood for a comparison.
COST_OF_ADDED_ROW, COST_IN_COMPARISON = 0.02, 0.002
# Rows whose missing units are summed over by annealing where a model is worse by its bound alone.
ROWS_ANNEALED, N_CHAINS, N_TEMPERATURES = 100, 16, 100
# Couplings of independent columns are the first ones times this: later fits can start from them.
SHARE_OF_COUPLINGS = 1e-3
# A row is a culprit if its probability is above its share of the rows by more than the first, and a
# column if its mean is off by more standard deviations than the second.
LARGEST_EXCESS, LARGEST_SHIFT = 0.05, 0.25
FIRST_DRAW = 1 << 60


@dataclass(frozen=True)
class Comparison:
    """Likelihoods of a model and of independent columns, in nats a row trained on.

    Attributes
    ----------
    score, error : float
        Of the model, and the error of its log Z.
    independent : float
    log_z : float
    log_volume : float
        Of real columns: log densities of states less those in the units of X.
    """

    score: float
    error: float
    independent: float
    log_z: float
    log_volume: float = 0.0

    @property
    def is_worse(self) -> bool:
        """Whether the model is below independent columns by more than slack and error."""
        slack = _slack(self.independent)
        return not self.score >= self.independent - slack - self.error

    @property
    def is_far_worse(self) -> bool:
        """Whether the model is below by a quarter of their likelihood, and four errors."""
        score, independent = (x + self.log_volume for x in (self.score, self.independent))
        return not score >= (1.0 + FAR_WORSE) * independent - 4.0 * self.error


def compare_with_independent(state: TrainingState, rows: Any, weights: Any) -> Comparison:
    """Compare the likelihood of a model in training with that of independent columns.

    Parameters
    ----------
    state : TrainingState
    rows : array of shape (n, V)
        Of the data, as states of the machine.
    weights : array of shape (n,) or None
    """
    machine = state.machine
    log_volume = mean_log_volume(state, rows, weights)
    independent = _log_likelihood_of_independent_units(state, rows, weights)
    tol = min(LARGEST_TOL, SHARE_OF_SLACK * _slack(independent))
    fewest_rows = min(FEWEST_ROWS, FEWEST_PRODUCTS / (machine.n_visible * machine.n_hidden))
    max_rows = max(fewest_rows, 0.5 * state.n_rows)
    log_z, error = quick_log_partition(state, [rows], tol, max_rows)
    bound = -machine.backend.to_numpy(free_energy_bound(machine, rows))
    score = float(np.average(bound, weights=weights)) - log_z
    found = Comparison(score - log_volume, error, independent - log_volume, log_z, log_volume)
    if found.is_worse and missing_columns(rows, machine.backend).size:
        some = rows[:: -(-rows.shape[0] // ROWS_ANNEALED), :]
        stream = RandomStream(state.stream.seed, FIRST_DRAW)
        sums, _ = log_sums_over_missing(machine, some, stream, N_CHAINS, N_TEMPERATURES)
        gain = machine.backend.to_numpy(sums + free_energy_bound(machine, some)).mean()
        found = replace(found, score=found.score + float(gain))
    return found


def independent_columns(
    state: TrainingState, mean: Any, couplings: Couplings, n_added: float | None = None
) -> TrainingState:
    """Make the state of training of independent columns, without chains.

    Parameters
    ----------
    state : TrainingState
    mean : array of shape (V,)
        Of the rows, float64.
    couplings : Couplings
        Those before training. A little of them is kept: the gradient at zero may vanish.
    n_added : float, optional
        Number of rows in no field that are added to the mean. By default a part of one, so that it
        costs little in likelihood.
    """
    machine, backend = state.machine, state.machine.backend
    if n_added is None:
        mean = _inner_mean(mean, machine, state.n_rows, COST_OF_ADDED_ROW)
    else:
        units = machine.visible_units
        mean = add_row_in_no_field(mean, state.n_rows, units, backend, n_added)
    if state.visible_scale is not None:
        # Real columns have a mean of zero, those with spikes in the rows that are at none.
        real = machine.visible_units.real(machine.n_visible)
        mean = backend.xp.where(backend.constant(real), backend.xp.zeros_like(mean), mean)
    if not machine.has_biases:
        mean = _inner_mean(mean, machine, 0, COST_OF_ADDED_ROW)
    field = machine.visible_units.field_of_mean(mean, backend)
    factor = SHARE_OF_COUPLINGS ** (0.5 if couplings.uses_patterns else 1.0)
    parameters = {name: factor * p for name, p in couplings.parameters.items()}
    couplings = couplings.with_parameters(parameters)
    dtype, xp = machine.visible_bias.dtype, backend.xp
    machine = replace(
        machine,
        couplings=couplings,
        visible_bias=xp.astype(field, dtype),
        hidden_bias=xp.zeros_like(machine.hidden_bias),
    )
    if machine.has_biases:
        up = couplings.to_hidden(machine.hidden_bias)
        hidden = -backend.field(xp.astype(mean, dtype)[None, :], up)[0, :]
        machine = replace(machine, hidden_bias=hidden)
    return replace(
        state,
        machine=machine,
        chains=NO_CHAINS,
        visible_scale=state.visible_spread,
        optimizer_state=None,
    )


def describe_culprit(state: TrainingState, rows: Any, found: Comparison, name_of_unit: Any) -> str:
    """Name the row or column that the model has most wrong; empty if none stands out."""
    machine, to_numpy = state.machine, state.machine.backend.to_numpy
    v = to_numpy(rows)
    if machine.visible_units.are_states(v) and not machine.visible_units.real(v.shape[1]).any():
        log_p = to_numpy(-machine.free_energy(rows)) - found.log_z
        i = int(np.argmax(log_p))
        p, share = np.exp(min(log_p[i], 0.0)), float(np.all(v == v[i], axis=1).mean())
        if p - share > LARGEST_EXCESS:
            return (
                f" Row {i} of those looked at has {p:.2f} of its probability, and {share:.2g} of "
                "the rows are like it."
            )
    states = state.chains.model_states(machine.backend)
    if states is None:
        return ""
    shown = np.flatnonzero((v == v).any(axis=0))
    mean, spread = np.nanmean(v[:, shown], axis=0), np.nanstd(v[:, shown], axis=0)
    # Columns that hardly vary count with a tenth of the usual spread.
    spread = np.maximum(spread, 0.1 * np.sqrt(np.mean(spread**2)) + 1e-9)
    shift = np.abs(to_numpy(states)[:, shown].mean(axis=0) - mean) / spread
    j = int(np.argmax(shift))
    if not shift[j] > LARGEST_SHIFT:
        return ""
    return (
        f" Its mean is off by most in {name_of_unit(shown[j])}: {shift[j]:.2g} standard deviations "
        "of the rows."
    )


def _slack(independent: float) -> float:
    return max(SLACK, RELATIVE_SLACK * abs(independent))


def _inner_mean(mean: Any, machine: Machine, n_rows: int, cost: float) -> Any:
    """Add a row in no field to a mean over rows, with a small weight where rows are few."""
    weight = min(1.0, 2.0 * cost * n_rows / machine.n_visible) if n_rows else 1.0
    return add_row_in_no_field(mean, n_rows, machine.visible_units, machine.backend, weight)


def _log_likelihood_of_independent_units(state: TrainingState, rows: Any, weights: Any) -> float:
    """Average over rows log P(v) of units without couplings, at the rows' mean."""
    machine, units = state.machine, state.machine.visible_units
    backend, xp = machine.backend, machine.backend.xp
    v, log_volume = backend.to_numpy(rows).astype(np.float64), 0.0
    known = v == v
    shares = known * (np.ones(len(v)) if weights is None else weights)[:, None]
    shares /= np.maximum(shares.sum(axis=0), np.finfo(float).tiny)
    mean = np.zeros(v.shape[1])
    if machine.has_biases:
        mean = np.sum(shares * np.where(known, v, 0.0), axis=0)
    if state.visible_scale is not None:
        spread = backend.to_numpy(state.visible_spread / state.visible_scale)
        v, mean = v / spread, mean / spread
        present = known_presence(machine, rows)
        log_volume = float(np.average(present @ np.log(spread), weights=weights))
    n_rows = len(v) if machine.has_biases else 0
    mean = _inner_mean(backend.asarray(mean), machine, n_rows, COST_IN_COMPARISON)
    field = units.field_of_mean(mean, backend)
    # No couplings, to one hidden unit.
    no_couplings = DenseCouplings(xp.zeros((machine.n_visible, 1), dtype=xp.float64))
    alone = Machine(
        no_couplings, field, xp.zeros(1, dtype=xp.float64), backend, visible_units=units
    )
    energies = backend.to_numpy(free_energy_bound(alone, backend.asarray(v)))
    log_z = base_log_partition(field, alone)
    return -float(np.average(energies, weights=weights)) - log_z - log_volume
