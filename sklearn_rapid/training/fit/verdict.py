"""Estimate the likelihood of rows set aside under a model in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.clamped import free_energy_bound, missing_columns
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import exact_log_partition, n_enumerated
from sklearn_rapid.machine.tempered_partition import followed_log_partition, tempered_log_partition
from sklearn_rapid.training.state import TrainingState

# Rows for free energies and pseudo-likelihoods: these spread by a few nats, so that their mean is
# known to about a tenth.
VALIDATED_ROWS = 500
# Draws for validation are apart from those of training, which it does not change.
FIRST_DRAW, DRAWS_OF_AN_UPDATE = 1 << 61, 1 << 20
# Layers up to this size are enumerated in less time than a ladder takes.
LARGEST_QUICK_EXACT = 12
QUICK_COLUMNS, QUICK_TOL, QUICK_ROWS = 12, 0.2, 30_000.0


@dataclass(frozen=True)
class Verdict:
    """Scores of a model on rows set aside.

    Attributes
    ----------
    score : float
        In nats, higher is better: the log-likelihood, its lower bound where rows have missing
        entries, or the pseudo-likelihood of spins where there is no ladder for log Z.
    error : float
        The error of the score from that of log Z.
    figures : dict of str to float
        For the history.
    """

    score: float
    error: float
    figures: dict[str, float]


def validate(state: TrainingState, rows: Sequence, weights: Sequence) -> Verdict:
    """Score a model in training on rows set aside.

    Parameters
    ----------
    state : TrainingState
    rows : two arrays of shape (n, V)
        Rows set aside, and rows trained on.
    weights : two arrays of shape (n,), or None twice
    """
    machine, to_numpy = state.machine, state.machine.backend.to_numpy
    # Those of the first rows may all be zero.
    weights = [w if w is not None and w.any() else None for w in weights]
    energies = [
        float(np.average(to_numpy(free_energy_bound(machine, v)), weights=w))
        for v, w in zip(rows, weights, strict=True)
    ]
    gap = energies[0] - energies[1]
    is_whole = all(missing_columns(v, machine.backend).size == 0 for v in rows)
    if is_whole and machine.has_pseudo_likelihood and not state.chains.is_tempered:
        log_p = to_numpy(machine.log_pseudo_likelihood(rows[0]))
        score = float(np.average(log_p, weights=weights[0]))
        return Verdict(score, 0.0, {"pseudo_likelihood": score, "free_energy_gap": gap})
    if state.chains.is_tempered:
        # The ladder of training is not changed.
        ladder, states = state.chains.ladder, _gather_states(state, rows)
        log_z, error = followed_log_partition(ladder, machine, _stream_apart(state), states)
    else:
        log_z, error = quick_log_partition(state, rows)
    # Densities are per unit of X.
    score = -energies[0] - log_z - mean_log_volume(state, rows[0], weights[0])
    name = "log_likelihood" if is_whole else "lower_bound"
    figures = {name: score, f"{name}_error": error, "free_energy_gap": gap}
    return Verdict(score, error, figures)


def mean_log_volume(state: TrainingState, v: Any, weights: Any) -> float:
    """Average over rows the log volume, in the units of X, of a unit of volume of their states.

    Missing entries have none, nor have real units that a row does not have.
    """
    if state.visible_scale is None:
        return 0.0
    log_scale = np.log(state.machine.backend.to_numpy(state.visible_scale))
    absent = 1.0 - known_presence(state.machine, v)
    return float(np.sum(log_scale)) - float(np.average(absent @ log_scale, weights=weights))


def known_presence(machine: Machine, v: Any) -> np.ndarray:
    """Return how much of each unit there is in rows, on the host; zero where it is missing."""
    presence = machine.backend.to_numpy(machine.visible_units.presence(v, machine.backend))
    return np.where(presence == presence, presence, 0.0)


def quick_log_partition(
    state: TrainingState,
    rows: Sequence,
    tol: float = QUICK_TOL,
    max_rows: float = QUICK_ROWS,
) -> tuple[float, float]:
    """Estimate log Z and its error: exactly for small layers, else by a ladder and known states.

    Parameters
    ----------
    state : TrainingState
    rows : list of arrays of shape (n, V)
        Those that are states of the visible units may be modes.
    tol, max_rows : float
        See `tempered_log_partition`.
    """
    machine, chains = state.machine, state.chains
    if n_enumerated(machine) <= LARGEST_QUICK_EXACT:
        exact = exact_log_partition(machine)
        return exact.value, exact.error
    estimate, *_ = tempered_log_partition(
        machine,
        _stream_apart(state),
        start=chains.model_states(machine.backend),
        betas=chains.betas,
        n_columns=QUICK_COLUMNS,
        tol=tol,
        max_rows=max_rows,
        states=_gather_states(state, rows),
    )
    return estimate.value, estimate.error


def _stream_apart(state: TrainingState) -> RandomStream:
    return RandomStream(state.stream.seed, FIRST_DRAW + DRAWS_OF_AN_UPDATE * state.n_updates)


def _gather_states(state: TrainingState, rows: Sequence) -> np.ndarray:
    """Gather the known states and the rows that are states of the visible units, on the host."""
    units, to_numpy = state.machine.visible_units, state.machine.backend.to_numpy
    kept = [] if state.known_states is None else [to_numpy(state.known_states)]
    found = [to_numpy(v) for v in rows]
    found = [v for v in found if np.isfinite(v).all() and units.are_states(v)]
    none = np.empty((0, state.machine.n_visible), dtype=np.int8)
    return np.concatenate([none, *(v.astype(np.int8) for v in (*kept, *found))])
