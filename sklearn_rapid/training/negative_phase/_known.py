"""Heavy rows of the data beside tempered chains that never find them.

A row that recurs may become a mode that no chain finds (`sklearn_rapid.machine.known_states`).
Nothing then says that the model gives it too much, and it is given ever more. So its probability is
computed: from its free energy, and from log Z, which a few sweeps of the ladder tell at the
beginning of each window. In between, log Z of the rest is its entropy less the mean free energy of
its chains, and the entropy hardly changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.known_states import log_weights_of, searched, weighed
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import (
    base_log_partition,
    cold_states,
    lags,
    log_partition_gain,
    sweep,
)
from sklearn_rapid.training.chains import TemperedChains
from sklearn_rapid.training.negative_phase._base import NegativeStates

# Sweeps that tell whether known states may matter, to some nats, and those that tell how much. They
# have random numbers of their own: training goes on as if there were none.
SWEEPS_TO_SCREEN, SWEEPS_TO_WEIGH = 2, 16
FIRST_DRAW, DRAWS_OF_A_WINDOW = 1 << 60, 1 << 12
# States of a smaller share of Z, in nats and by the first of these, are not weighed.
LOG_SHARE_TO_WEIGH = -12.0
# So many rows, and as many neighbours of theirs, are weighed.
MOST_ROWS = 128
# They join the chains where these lack so much of the probability; they never have more weight than
# the chains, or an error of log Z would leave the rest of the model to itself.
LARGEST_LACK, LARGEST_SHARE = 0.01, 0.5
# A state that is expected so many times in looks at the chains, and never seen, is none of theirs.
EXPECTED_COUNT = 6.0
# Where bounds of log Z are crossed by more, in nats, chains lag behind, and do not tell it.
LARGEST_LAG = 1.0


def acquainted(
    chains: TemperedChains, machine: Machine, data: Any, stream: RandomStream
) -> TemperedChains:
    """The chains with the rows of a batch, or of those known before, whose weight they lack."""
    backend, first = machine.backend, FIRST_DRAW + DRAWS_OF_A_WINDOW * stream.position
    own, nobody = RandomStream(stream.seed, first), replace(chains, known=None)
    rows = backend.to_numpy(data)
    if not machine.visible_units.are_states(rows):
        return nobody
    if chains.known is not None:
        rows = np.concatenate([rows, backend.to_numpy(chains.known)])
    known = weighed(machine, rows)
    swept, log_z, _ = _swept(chains, machine, SWEEPS_TO_SCREEN, own)
    if not known.log_weights.max() >= log_z + LOG_SHARE_TO_WEIGH:
        return nobody
    known = weighed(machine, known.heaviest(MOST_ROWS))
    known = searched(machine, known, n_states=MOST_ROWS + 1).heaviest(2 * MOST_ROWS)
    _, log_z, looks = _swept(swept, machine, SWEEPS_TO_WEIGH, own)
    unseen = weighed(machine, known[~weighed(machine, looks).contain(known)])
    if np.isnan(log_z) or not len(unseen.states):
        return nobody
    # One state that had to be seen, or all may have been missed by chance.
    had_to = unseen.log_weights.max() >= log_z + np.log(EXPECTED_COUNT / len(looks))
    if not had_to or unseen.log_total < log_z + np.log(LARGEST_LACK):
        return nobody
    entropy = log_z - log_weights_of(machine, looks).mean()
    states = backend.xp.astype(backend.asarray(unseen.states), machine.visible_bias.dtype)
    return replace(chains, known=states, entropy=float(entropy))


def with_known(
    negative: NegativeStates, states: Any, entropy: float, machine: Machine
) -> NegativeStates:
    """The chains and known states, which are none of theirs, by their probabilities."""
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


def _swept(
    chains: TemperedChains, machine: Machine, n_sweeps: int, stream: RandomStream
) -> tuple[TemperedChains, float, np.ndarray]:
    """Chains after some sweeps, log Z if they tell it, and the states at β = 1 in between."""
    backend, ladder = machine.backend, chains.ladder
    seen, looks, parity = [], [], ladder.n_sweeps % 2
    for _ in range(n_sweeps // 2):
        ladder, log_ratios = sweep(ladder, machine, 2, stream)
        seen.append(log_ratios)
        looks.append(backend.to_numpy(cold_states(ladder, backend)))
    log_ratios = backend.xp.concat(seen, axis=0)
    lag = 2.0 * float(backend.to_numpy(lags(ladder, log_ratios, parity, backend)).mean())
    log_z = np.nan
    if lag < LARGEST_LAG:
        gain = log_partition_gain(ladder, log_ratios, parity, backend)
        log_z = base_log_partition(ladder.base, machine) + gain
    return replace(chains, ladder=ladder), log_z, np.concatenate(looks)
