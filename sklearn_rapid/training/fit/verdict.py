"""What rows set aside say of a model in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.clamped import columns_unknown, free_energy_bound
from sklearn_rapid.machine.partition import exact_log_partition, n_enumerated
from sklearn_rapid.machine.tempered_partition import followed_log_partition, tempered_log_partition
from sklearn_rapid.training.state import TrainingState

# Rows that free energies and pseudo-likelihoods are taken of: their spread is a few nats, so that
# the mean of so many is known to about a tenth.
VALIDATED_ROWS = 500
# Draws for validation lie far from those of training, which goes on as if there were none.
FIRST_DRAW, DRAWS_OF_AN_UPDATE = 1 << 61, 1 << 20
# Layers up to here are enumerated in less time than a ladder takes.
LARGEST_QUICK_EXACT = 12
QUICK_COLUMNS, QUICK_TOL, QUICK_ROWS = 12, 0.2, 30_000.0


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
        float(np.average(to_numpy(free_energy_bound(machine, v)), weights=weights_or_none(w)))
        for v, w in zip(rows, weights, strict=True)
    ]
    gap = energies[0] - energies[1]
    has_ladder = state.chains.is_tempered
    is_whole = all(columns_unknown(v, machine.backend).size == 0 for v in rows)
    if has_ladder or not (machine.has_pseudo_likelihood and is_whole):
        of_state = _log_partition_of_ladder if has_ladder else quick_log_partition
        log_z, error = of_state(state, rows)
        # Densities are per unit of X.
        score = (
            -energies[0] - log_z - log_volume_of_known(state, rows[0], weights_or_none(weights[0]))
        )
        name = "log_likelihood" if is_whole else "lower_bound"
        figures = {name: score, f"{name}_error": error, "free_energy_gap": gap}
        return Verdict(score, error, figures)
    log_p = to_numpy(machine.log_pseudo_likelihood(rows[0]))
    score = float(np.average(log_p, weights=weights_or_none(weights[0])))
    return Verdict(score, 0.0, {"pseudo_likelihood": score, "free_energy_gap": gap})


def log_volume_of_known(state: TrainingState, v: Any, weights: Any) -> float:
    """Mean over rows of the log of the volume of what is known of them, in the units of X."""
    backend = state.machine.backend
    if state.visible_scale is None or columns_unknown(v, backend).size == 0:
        return state.log_volume
    unknown = backend.to_numpy(v != v)
    log_scale = np.log(backend.to_numpy(state.visible_scale))
    return state.log_volume - float(np.average(unknown @ log_scale, weights=weights))


def weights_or_none(weights: Any) -> Any:
    """Weights, or none where they are all zero: of rows that happened to be set aside."""
    return weights if weights is not None and weights.any() else None


def _log_partition_of_ladder(state: TrainingState, rows: Sequence) -> tuple[float, float]:
    """log Z and its error by the ladder of training, which stays as it is, and by some rows."""
    first = FIRST_DRAW + DRAWS_OF_AN_UPDATE * state.n_updates
    stream = RandomStream(state.stream.seed, first)
    states = states_among(state, rows)
    return followed_log_partition(state.chains.ladder, state.machine, stream, states)


def states_among(state: TrainingState, rows: Sequence) -> np.ndarray:
    """Rows that are states of the visible units, and those that are kept, on the host."""
    units, to_numpy = state.machine.visible_units, state.machine.backend.to_numpy
    kept = [] if state.known_states is None else [to_numpy(state.known_states)]
    found = [to_numpy(v) for v in rows]
    found = [v for v in found if np.isfinite(v).all() and units.are_states(v)]
    none = np.empty((0, state.machine.n_visible), dtype=np.int8)
    return np.concatenate([none, *(v.astype(np.int8) for v in (*kept, *found))])


def quick_log_partition(
    state: TrainingState,
    rows: Sequence,
    tol: float = QUICK_TOL,
    max_rows: float = QUICK_ROWS,
) -> tuple[float, float]:
    """log Z and its error: exact for small layers, else by a ladder and by known states among rows.

    Parameters
    ----------
    state : TrainingState
    rows : list of arrays of shape (n, V)
    tol, max_rows : float
        See `tempered_log_partition`.
    """
    machine, chains = state.machine, state.chains
    if n_enumerated(machine) <= LARGEST_QUICK_EXACT:
        exact = exact_log_partition(machine)
        return exact.value, exact.error
    estimate, *_ = tempered_log_partition(
        machine,
        RandomStream(state.stream.seed, FIRST_DRAW + DRAWS_OF_AN_UPDATE * state.n_updates),
        start=chains.model_states(machine.backend),
        betas=chains.betas,
        n_columns=QUICK_COLUMNS,
        tol=tol,
        max_rows=max_rows,
        states=states_among(state, rows),
    )
    return estimate.value, estimate.error
