"""Make the updates of several batches in one call of the backend, where it can.

Fused are steps of gradient ascent, with momentum or not, from spins in float32, by any of the
negative phases here but the exact one. Everything else (other units, optimizers and phases, user
classes, weighted rows, batches larger than a part) goes update by update through `Trainer.update`,
which defines the result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends import DRAWS_PER_SWEEP
from sklearn_rapid.backends.fused import (
    CLIP,
    FROM_CHAINS,
    FROM_DATA,
    FROM_PATTERNS,
    NO_PROJECTION,
    SIGN,
    Averages,
    Draws,
    FusedUpdates,
    Parameters,
    Settings,
    Source,
)
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.training.centering import HIDDEN_OFFSET_RATE
from sklearn_rapid.training.chains import NO_CHAINS, Chains
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.statistics import PART_BYTES, PROBED_STATES
from sklearn_rapid.training.steps.penalties import RAMP_UPDATES, Penalty
from sklearn_rapid.training.steps.step_length import (
    FULL_VARIANCE,
    LARGEST_OVERSHOOT,
    ROWS_FOR_FULL_STEP,
    SMALLEST_CURVATURE,
)

# The most multiply-adds in a call of fused updates: interrupts wait for its end.
LARGEST_CALL = 2e9

NO_MATRIX, NO_VECTOR = np.empty((0, 0), dtype=np.float32), np.empty(0, dtype=np.float32)
NO_PARAMETERS = Parameters(NO_MATRIX, NO_MATRIX, NO_MATRIX, NO_VECTOR, NO_VECTOR)
PROJECTIONS = {None: NO_PROJECTION, "sign": SIGN, "clip": CLIP}


def count_fused_updates(trainer: Any, state: Any) -> int:
    """Return how many updates the backend can make in one call; 0 if it cannot fuse them."""
    machine, phase = state.machine, trainer.negative_phase
    steps = _steps_of(phase)
    if steps is None or state.unusual_rows is not None or not _are_fusable(trainer, machine):
        return 0
    batch_size, chains = trainer.batch_size, state.chains
    n_model = _n_states(steps, machine.couplings, batch_size, chains)
    largest_part = PART_BYTES // (4 * (machine.n_visible + machine.n_hidden))
    products = _n_products(machine.couplings, steps.n, batch_size, n_model)
    if batch_size + n_model > largest_part or products > LARGEST_CALL:
        return 0
    n = int(LARGEST_CALL / products)
    return min(max(1, n), phase.n_updates_before_look(chains))


def count_draws(phase: Any) -> int | None:
    """Return the draws of random numbers in an update, its data's left out; None if not known."""
    steps = _steps_of(phase)
    return None if steps is None else steps.n * steps.n_draws


def make_fused_updates(
    trainer: Any, state: Any, data: Any, rate: float, end_of_epoch: bool, n_data_draws: int
) -> None:
    """Update the state, in place, from all batches in `data`.

    Parameters
    ----------
    trainer : Trainer
    state : TrainingState
    data : array of shape (n, V)
        At most `count_fused_updates` batches.
    rate : float
    end_of_epoch : bool
        Whether the last of them ends an epoch.
    n_data_draws : int
        Draws for an update's data, before its own.
    """
    machine, phase = state.machine, trainer.negative_phase
    stream, steps = state.stream, _steps_of(phase)
    chains = phase.before_update(state.chains, machine.backend)
    n_updates = -(-data.shape[0] // trainer.batch_size)
    velocity = {}
    if state.optimizer_state is not None:
        velocity = {name: p.copy() for name, p in state.optimizer_state["velocity"].items()}
    n_model = _n_states(steps, machine.couplings, trainer.batch_size, chains)
    spacing = n_data_draws + count_draws(phase)
    key0, key1 = stream.key
    updates = FusedUpdates(
        data=data,
        parameters=NO_PARAMETERS._replace(**machine.parameters),
        velocity=NO_PARAMETERS._replace(**velocity),
        source=_source(steps, machine.couplings, chains, n_updates),
        averages=_averages(state),
        draws=Draws(
            np.uint32(key0),
            np.uint32(key1),
            np.uint64(stream.position + n_data_draws),
            np.uint64(spacing),
        ),
        settings=_settings(trainer, machine, chains, n_model, rate, end_of_epoch),
        n_products=_n_products(machine.couplings, steps.n, trainer.batch_size, n_model),
    )
    state.is_whole = False
    machine.backend.run_fused_updates(updates)
    stream.reserve(spacing * n_updates)
    _store_results(state, phase, chains, updates, velocity)
    state.is_whole = True


def _are_fusable(trainer: Any, machine: Any) -> bool:
    """Whether all settings but the negative phase allow it; subclasses may do anything."""
    return (
        type(trainer.optimizer) is SGD
        and not trainer.positive_phase.completes
        and type(trainer.penalty) is Penalty
        and trainer.projection.kind in PROJECTIONS
        and trainer.projection.unit == 1.0
        and type(machine.couplings) in (DenseCouplings, PatternCouplings)
        and machine.has_spins_only
        and machine.backend.fuses_updates(machine.visible_bias.dtype)
        and all(p.dtype == np.float32 and p.flags.carray for p in machine.parameters.values())
    )


class _Steps(NamedTuple):
    """Start of a negative phase, number of its steps, and draws of random numbers in each."""

    start: int
    n: int
    n_draws: int = 2


def _steps_of(phase: Any) -> _Steps | None:
    """Describe the steps of a negative phase; None if they are not fused."""
    kind = type(phase)
    if kind is ParallelTempering:
        return _Steps(FROM_CHAINS, phase.n_sweeps, DRAWS_PER_SWEEP)
    if kind is PersistentContrastiveDivergence:
        return _Steps(FROM_CHAINS, phase.n_gibbs_steps)
    if kind is ContrastiveDivergence:
        return _Steps(FROM_DATA, phase.n_gibbs_steps)
    if kind is PatternInducedCorrelations and phase.hidden == "marginal":
        return _Steps(FROM_CHAINS if phase.is_persistent else FROM_PATTERNS, phase.n_gibbs_steps)
    return None


def _n_states(steps: _Steps, couplings: Any, batch_size: int, chains: Chains) -> int:
    """Count the model's states in an update."""
    if steps.start == FROM_DATA:
        return batch_size
    return couplings.n_patterns if steps.start == FROM_PATTERNS else chains.n_rows


def _n_products(couplings: Any, n_steps: int, n_data: int, n_model: int) -> float:
    """Count the multiply-adds of an update: rows through the couplings, and the gradient."""
    n_visible, n_hidden = couplings.shape
    a_row = n_visible * n_hidden
    if couplings.uses_patterns:
        a_row = couplings.n_patterns * (n_visible + n_hidden)
    return a_row * (2.0 * n_steps * n_model + 2.0 * (n_data + n_model))


def _source(steps: _Steps, couplings: Any, chains: Chains, n_updates: int) -> Source:
    """Copy the chains into arrays that may change in place."""
    arrays = {}
    if steps.start == FROM_CHAINS:
        arrays = chains.source_fields(n_updates * steps.n)
    elif steps.start == FROM_PATTERNS:
        arrays = {"states": np.empty_like(couplings.visible_patterns)}
    return Source(steps.start, steps.n, **arrays)


def _averages(state: Any) -> Averages:
    hidden, has_hidden = state.hidden_offset, state.hidden_offset is not None
    return Averages(
        state.visible_offset.copy(),
        hidden.copy() if has_hidden else np.zeros_like(state.machine.hidden_bias),
        np.array([state.n_rows, state.n_updates, has_hidden], dtype=np.int64),
    )


def _settings(
    trainer: Any, machine: Any, chains: Any, n_model: int, rate: float, end_of_epoch: bool
) -> Settings:
    phase, projection, penalty = trainer.negative_phase, trainer.projection, trainer.penalty
    couplings, batch_size = machine.couplings, trainer.batch_size
    maps_by_weights, gradient_by_weights, scale = True, False, 1.0
    if couplings.uses_patterns:
        n_mapped = phase.n_rows(couplings, batch_size, chains)
        maps_by_weights = couplings.maps_by_weights(n_mapped)
        gradient_by_weights = _is_gradient_cheaper_by_weights(
            couplings, batch_size + n_model, maps_by_weights
        )
        scale = couplings.n_patterns**-0.5
    is_each = {"update": 1, "epoch": 0}
    return Settings(
        batch_size=batch_size,
        scale=np.float32(scale),
        maps_by_weights=maps_by_weights,
        gradient_by_weights=gradient_by_weights,
        changes_by_rows=_are_changes_cheaper_by_rows(trainer, couplings, batch_size, n_model),
        has_biases=bool(trainer.fit_intercept),
        is_centered=bool(trainer.fit_intercept and trainer.center),
        is_scaled=bool(trainer.optimizer.scaled),
        rate=float(rate),
        step_share=float(chains.step_share),
        momentum=np.float32(trainer.optimizer.momentum),
        hidden_offset_rate=HIDDEN_OFFSET_RATE,
        full_variance=FULL_VARIANCE,
        full_step_rows=float(ROWS_FOR_FULL_STEP),
        largest_overshoot=LARGEST_OVERSHOOT,
        smallest_curvature=SMALLEST_CURVATURE,
        n_probed=PROBED_STATES,
        l1=float(penalty.l1),
        l2=float(penalty.l2),
        penalized_rows=int(penalty.n_rows or 0),
        ramp_updates=RAMP_UPDATES,
        projection=PROJECTIONS[projection.kind],
        period=int(is_each.get(projection.period, projection.period)),
        projects_last=bool(end_of_epoch and projection.period == "epoch"),
        bound=np.float32(projection.bound),
    )


def _is_gradient_cheaper_by_weights(couplings: Any, n_rows: int, maps_by_weights: bool) -> bool:
    """Compare multiply-adds of both ways; overlaps are at hand unless W has mapped the rows."""
    (n_visible, n_hidden), n_patterns = couplings.shape, couplings.n_patterns
    n_saved = 0 if maps_by_weights else n_visible
    by_overlaps = n_rows * n_patterns * (2 * (n_visible + n_hidden) - n_saved)
    probed = 2 * PROBED_STATES * n_patterns * (n_visible + n_hidden)
    return n_visible * n_hidden * (n_rows + 2 * n_patterns) + probed < by_overlaps


def _are_changes_cheaper_by_rows(trainer: Any, couplings: Any, n_data: int, n_model: int) -> bool:
    """Compare products of all pairs of rows with one of each probed row with a matrix."""
    n_visible, n_hidden = couplings.shape
    are_rows_enough = (
        not couplings.uses_patterns
        and trainer.optimizer.scaled
        and trainer.optimizer.momentum == 0.0
        and max(n_data, n_model) <= PROBED_STATES
    )
    return are_rows_enough and (n_data + n_model) * (n_visible + n_hidden) < n_visible * n_hidden


def _store_results(
    state: Any, phase: Any, chains: Any, updates: FusedUpdates, velocity: dict[str, Any]
) -> None:
    """Put the results into the state; parameters have changed in place."""
    source, averages = updates.source, updates.averages
    state.visible_offset = averages.visible_offset
    state.n_rows, state.n_updates = (int(n) for n in averages.counts[:2])
    if averages.counts[2]:
        state.hidden_offset = averages.hidden_offset
    if velocity:
        state.optimizer_state = {"velocity": velocity}
    backend = state.machine.backend
    chains = chains.from_source(source, backend) if source.kind == FROM_CHAINS else NO_CHAINS
    state.chains = phase.after_update(chains, source.log_ratios, backend)
