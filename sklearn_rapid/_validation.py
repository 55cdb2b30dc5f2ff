"""What a fit says of itself: likelihoods of rows set aside, and an alarm when it went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid._warnings import warn
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.clamped import columns_unknown, free_energy_bound
from sklearn_rapid.couplings import DenseCouplings
from sklearn_rapid.machine import Machine
from sklearn_rapid.negative_phase import TemperedChains
from sklearn_rapid.partition import (
    exact_log_partition,
    followed_log_partition,
    n_enumerated,
    tempered_log_partition,
)
from sklearn_rapid.tempering import base_log_partition
from sklearn_rapid.training_state import TrainingState

# Rows that free energies and pseudo-likelihoods are taken of: their spread is a few nats, so that
# the mean of so many is known to about a tenth.
VALIDATED_ROWS = 500
# Draws for validation lie far from those of training, which goes on as if there were none.
FIRST_DRAW, DRAWS_OF_AN_UPDATE = 1 << 61, 1 << 20
# Layers up to here are enumerated in less time than a ladder takes.
LARGEST_QUICK_EXACT = 12
ALARM_COLUMNS, ALARM_SWEEPS, ALARM_TOL = 8, 112, 0.2
# A model that has seen fewer updates, or is worse than independent units by a smaller share of
# what they have, may just not have been trained enough.
FEWEST_UPDATES, SMALLEST_ALARM = 1000, 0.25
# Real columns of fewer rows than all may be constant.
SMALLEST_SQUARE = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What rows set aside say of a model.

    Attributes
    ----------
    score : float
        What is to rise, in nats: the log-likelihood, its lower bound where rows are not known as a
        whole, or the pseudo-likelihood of spins where no ladder knows log Z.
    error : float
        Of the score, for what is not known of log Z.
    figures : dict of str to float
        For the history.
    """

    score: float
    error: float
    figures: dict[str, float]


def validate(state: TrainingState, rows: Sequence, weights: Sequence) -> Verdict:
    """The verdict of rows set aside on a model in training.

    Parameters
    ----------
    state : TrainingState
    rows : two arrays of shape (n, V)
        Rows set aside, and as many of those trained on.
    weights : two arrays of shape (n,), or None twice
    """
    machine, to_numpy = state.machine, state.machine.backend.to_numpy
    energies = [
        float(np.average(to_numpy(free_energy_bound(machine, v)), weights=_weights_of(w)))
        for v, w in zip(rows, weights, strict=True)
    ]
    gap = energies[0] - energies[1]
    has_ladder = isinstance(state.chains, TemperedChains)
    is_whole = all(columns_unknown(v, machine.backend).size == 0 for v in rows)
    if has_ladder or not (machine.has_pseudo_likelihood and is_whole):
        of_state = _log_partition_of_ladder if has_ladder else _quick_log_partition
        log_z, error = of_state(state, rows)
        # Densities are per unit of X.
        score = -energies[0] - log_z - _log_volume_of_known(state, rows[0], _weights_of(weights[0]))
        name = "log_likelihood" if is_whole else "lower_bound"
        figures = {name: score, f"{name}_error": error, "free_energy_gap": gap}
        return Verdict(score, error, figures)
    log_p = to_numpy(machine.log_pseudo_likelihood(rows[0]))
    score = float(np.average(log_p, weights=_weights_of(weights[0])))
    return Verdict(score, 0.0, {"pseudo_likelihood": score, "free_energy_gap": gap})


def _log_volume_of_known(state: TrainingState, v: Any, weights: Any) -> float:
    """Mean over rows of the log of the volume of what is known of them, in the units of X."""
    backend = state.machine.backend
    if state.visible_scale is None or columns_unknown(v, backend).size == 0:
        return state.log_volume
    unknown = backend.to_numpy(v != v)
    log_scale = np.log(backend.to_numpy(state.visible_scale))
    return state.log_volume - float(np.average(unknown @ log_scale, weights=weights))


def _weights_of(weights: Any) -> Any:
    """Weights, or none where they are all zero: of rows that happened to be set aside."""
    return weights if weights is not None and weights.any() else None


def figures_of_chains(chains: Any) -> dict[str, float]:
    """How tempered chains fare, for the history; nothing for others."""
    if not isinstance(chains, TemperedChains):
        return {}
    return {
        "barrier": chains.barrier,
        "lag": chains.mean_lag,
        "n_rungs": float(chains.ladder.top + 1),
        "n_columns": float(chains.ladder.n_columns),
        "step_share": chains.step_share,
    }


def warn_if_worse_than_independent(state: TrainingState, rows: Any, weights: Any) -> None:
    """Warn with ConvergenceWarning if units without couplings would fit these rows better.

    Chains that have not followed a model leave it with modes that no data are in, and nothing
    in training itself shows that.
    """
    if state.n_updates < FEWEST_UPDATES:
        return
    machine = state.machine
    log_z, error = _quick_log_partition(state, [rows])
    to_numpy = machine.backend.to_numpy
    weights = _weights_of(weights)
    energies = to_numpy(free_energy_bound(machine, rows))
    score = -float(np.average(energies, weights=weights)) - log_z
    independent = _log_likelihood_of_independent_units(state, rows, weights)
    if score < (1.0 + SMALLEST_ALARM) * independent - 4.0 * error:
        log_volume = _log_volume_of_known(state, rows, weights)
        score, independent = score - log_volume, independent - log_volume
        warn(
            f"the model has a log-likelihood of {score:.1f} ± {error:.1f} nats on rows that it was "
            f"trained on, where independent units have {independent:.1f}: its chains have lost "
            "it. Train with negative_phase='auto', more chains, or a lower learning_rate.",
            ConvergenceWarning,
        )


def _log_likelihood_of_independent_units(state: TrainingState, rows: Any, weights: Any) -> float:
    """Mean over rows of log P(v) of units without couplings, at the rows' mean and spread."""
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
        square = np.sum(shares * np.where(known, v - mean, 0.0) ** 2, axis=0)
        spread = np.sqrt(np.maximum(square, SMALLEST_SQUARE))
        spread = np.where(units.real(len(mean)), spread, 1.0)
        v, mean = v / spread, mean / spread
        log_volume = float(np.average(known @ np.log(spread), weights=weights))
    # One row in no field is added, as to the biases that training starts from.
    no_field = xp.zeros((1, machine.n_visible), dtype=xp.float64)
    added = backend.to_numpy(units.mean(no_field, backend))[0, :]
    mean = (mean * len(v) + added) / (len(v) + 1)
    field = units.field_of_mean(backend.asarray(mean), backend)
    # No couplings, to one hidden unit.
    no_couplings = DenseCouplings(xp.zeros((machine.n_visible, 1), dtype=xp.float64))
    alone = Machine(
        no_couplings, field, xp.zeros(1, dtype=xp.float64), backend, visible_units=units
    )
    energies = backend.to_numpy(free_energy_bound(alone, backend.asarray(v)))
    log_z = base_log_partition(field, alone)
    return -float(np.average(energies, weights=weights)) - log_z - log_volume


def _log_partition_of_ladder(state: TrainingState, rows: Sequence) -> tuple[float, float]:
    """log Z and its error by the ladder of training, which stays as it is, and by some rows."""
    first = FIRST_DRAW + DRAWS_OF_AN_UPDATE * state.n_updates
    stream = RandomStream(state.stream.seed, first)
    states = _states_among(state, rows)
    return followed_log_partition(state.chains.ladder, state.machine, stream, states)


def _states_among(state: TrainingState, rows: Sequence) -> np.ndarray:
    """Rows that are states of the visible units, and those that are kept, on the host."""
    units, to_numpy = state.machine.visible_units, state.machine.backend.to_numpy
    kept = [] if state.known_states is None else [to_numpy(state.known_states)]
    found = [to_numpy(v) for v in rows]
    found = [v for v in found if np.isfinite(v).all() and units.are_states(v)]
    none = np.empty((0, state.machine.n_visible), dtype=np.int8)
    return np.concatenate([none, *(v.astype(np.int8) for v in (*kept, *found))])


def _quick_log_partition(state: TrainingState, rows: Sequence) -> tuple[float, float]:
    machine = state.machine
    if n_enumerated(machine) <= LARGEST_QUICK_EXACT:
        exact = exact_log_partition(machine)
        return exact.value, exact.error
    if isinstance(state.chains, TemperedChains):
        return _log_partition_of_ladder(state, rows)
    stream = RandomStream(state.stream.seed, FIRST_DRAW + DRAWS_OF_AN_UPDATE * state.n_updates)
    estimate, *_ = tempered_log_partition(
        machine,
        stream,
        start=state.chains,
        n_columns=ALARM_COLUMNS,
        tol=ALARM_TOL,
        max_sweeps=ALARM_SWEEPS,
        states=_states_among(state, rows),
    )
    return estimate.value, estimate.error
