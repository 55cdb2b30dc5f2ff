"""Add heavy rows of the data that tempered chains never find to the model's states.

A row that recurs may become a mode that no chain finds (`sklearn_rapid.machine.known_states`). Then
nothing shows that the model gives it too much probability, and training gives it ever more. So its
probability is computed from its free energy and log Z, which a few sweeps of the ladder estimate
at the beginning of each window. In between, log Z of the rest is its entropy less the mean free
energy of its chains, and the entropy hardly changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.known_states import log_weights_of, search_neighbours, weigh_states
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import (
    base_log_partition,
    cold_states,
    measure_lags,
    short_ladder_sum,
    sweep_ladder,
)
from sklearn_rapid.training.chains import TemperedChains
from sklearn_rapid.training.negative_phase._base import NegativeStates

# Sweeps to find out whether known states may matter, to some nats, and how much. Their random
# numbers are apart from those of training, which they do not change.
SWEEPS_TO_SCREEN, SWEEPS_TO_WEIGH = 2, 16
FIRST_DRAW, DRAWS_OF_A_WINDOW = 1 << 60, 1 << 12
# States of a smaller share of Z, in nats by the first sweeps, are not weighed.
LOG_SHARE_TO_WEIGH = -12.0
# The most rows weighed, and neighbours of theirs.
MOST_ROWS = 128
# The least probability for which they join the chains, and their largest share: with more, an error
# of log Z would leave the rest of the model without weight.
LARGEST_LACK, LARGEST_SHARE = 0.01, 0.5
# A state expected this many times among the looks at the chains, and never seen, is not visited.
EXPECTED_COUNT = 6.0
# Where bounds of log Z are crossed by more, in nats, chains lag behind, and log Z is not known.
LARGEST_LAG = 1.0


def find_unvisited_states(
    chains: TemperedChains, machine: Machine, data: Any, stream: RandomStream
) -> TemperedChains:
    """Give chains the heavy rows of a batch, or known before, that they do not visit."""
    backend, first = machine.backend, FIRST_DRAW + DRAWS_OF_A_WINDOW * stream.position
    own, none_known = RandomStream(stream.seed, first), replace(chains, known=None)
    rows = backend.to_numpy(data)
    if not machine.visible_units.are_states(rows):
        return none_known
    if chains.known is not None:
        rows = np.concatenate([rows, backend.to_numpy(chains.known)])
    known = weigh_states(machine, rows)
    swept, log_z, _ = _sweep(chains, machine, SWEEPS_TO_SCREEN, own)
    if not known.log_weights.max() >= log_z + LOG_SHARE_TO_WEIGH:
        return none_known
    known = weigh_states(machine, known.heaviest(MOST_ROWS))
    known = search_neighbours(machine, known, n_states=MOST_ROWS + 1).heaviest(2 * MOST_ROWS)
    _, log_z, looks = _sweep(swept, machine, SWEEPS_TO_WEIGH, own)
    unseen = weigh_states(machine, known[~weigh_states(machine, looks).contain(known)])
    if np.isnan(log_z) or not len(unseen.states):
        return none_known
    # Unless one of them was to be expected, all may have been missed by chance.
    is_expected = unseen.log_weights.max() >= log_z + np.log(EXPECTED_COUNT / len(looks))
    if not is_expected or unseen.log_total < log_z + np.log(LARGEST_LACK):
        return none_known
    entropy = log_z - log_weights_of(machine, looks).mean()
    states = backend.xp.astype(backend.asarray(unseen.states), machine.visible_bias.dtype)
    return replace(chains, known=states, entropy=float(entropy))


def add_known_states(
    negative: NegativeStates, states: Any, entropy: float, machine: Machine
) -> NegativeStates:
    """Add known states, which the chains do not visit, by their probabilities."""
    backend, xp = machine.backend, machine.backend.xp
    n_chains, n_known = negative.visible.shape[0], states.shape[0]
    visible = xp.concat([negative.visible, states], axis=0)
    log_weights = backend.to_numpy(-machine.free_energy(visible))
    log_rest = entropy + log_weights[:n_chains].mean()
    log_known = logsumexp(log_weights[n_chains:])
    share = min(LARGEST_SHARE, float(np.exp(log_known - np.logaddexp(log_known, log_rest))))
    weights = np.full(n_chains + n_known, (1.0 - share) / n_chains)
    weights[n_chains:] = share * np.exp(log_weights[n_chains:] - log_known)
    weights = xp.astype(backend.asarray(weights), states.dtype)
    return replace(negative, visible=visible, weights=weights, n_known=n_known)


def _sweep(
    chains: TemperedChains, machine: Machine, n_sweeps: int, stream: RandomStream
) -> tuple[TemperedChains, float, np.ndarray]:
    """Sweep the chains; return them, log Z or NaN, and the states at β = 1 in between."""
    backend, ladder = machine.backend, chains.ladder
    seen, looks, parity = [], [], ladder.n_sweeps % 2
    for _ in range(n_sweeps // 2):
        ladder, log_ratios = sweep_ladder(ladder, machine, 2, stream)
        seen.append(log_ratios)
        looks.append(backend.to_numpy(cold_states(ladder, backend)))
    log_ratios = backend.xp.concat(seen, axis=0)
    lag = 2.0 * float(backend.to_numpy(measure_lags(ladder, log_ratios, parity, backend)).mean())
    log_z = np.nan
    if lag < LARGEST_LAG:
        gain = short_ladder_sum(ladder, log_ratios, parity, backend)
        log_z = base_log_partition(ladder.base, machine) + gain
    return replace(chains, ladder=ladder), log_z, np.concatenate(looks)
