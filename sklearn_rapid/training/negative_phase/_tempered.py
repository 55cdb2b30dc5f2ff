"""Persistent tempered chains that adapt, and notice when they fall behind the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.compat import Count, StrOptions
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.known_states import has_discrete_states
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import (
    adapt_ladder,
    build_ladder,
    cold_states,
    count_travels,
    measure_lags,
    regroup_ladder,
    sweep_ladder,
)
from sklearn_rapid.training.chains import NO_CHAINS, Chains, TemperedChains
from sklearn_rapid.training.negative_phase._base import NegativePhase, NegativeStates
from sklearn_rapid.training.negative_phase._known import add_known_states, find_unvisited_states

# Sweeps between two adaptations of the ladder.
WINDOW = 50
FIRST_RUNGS = 3
# Errors are measured over columns: there are a few in any case. Their number is doubled where it is
# below the barrier (states arrive that much more rarely), and where chains lag behind, until there
# are this few rungs at β = 1 in each column.
FIRST_COLUMNS, FEWEST_COLD_RUNGS = 6, 4
# The factor of the number of chains at β = 1 where chains lag behind and columns are added.
MORE_CHAINS = 2
# Chains that lag behind by more get more columns, or else shorter steps: in nats per square root of
# a visible unit, as the learning rate is.
LARGEST_LAG = 0.15
STEP_FACTOR = 0.9


class ParallelTempering(NegativePhase):
    """Persistent tempered chains, on a ladder that adapts to the model.

    Chains at inverse temperatures from 0 to 1 exchange their states (`sklearn_rapid.tempering`),
    so that those at β = 1, the model's states in the gradient, reach all of its modes. The number
    of rungs follows the barrier: there are hardly any at first. Several chains at β = 1 share the
    rungs of one column. Columns are added where their number is below the barrier, and where
    states do not keep up with the model; if that does not help, steps are shortened.

    Parameters
    ----------
    n_chains : int, default=None
        Chains at β = 1, at least. None is the batch size, or the number of patterns if that is
        larger.
    n_sweeps : int, default=1
        Sweeps per update: a Gibbs step of each chain and an exchange between each pair of rungs.
    n_columns : "auto" or int, default="auto"
        Columns of rungs.
    n_rungs : "auto" or int, default="auto"
        Rungs of a column, from β = 0 to the first at β = 1.

    Notes
    -----
    The exchanges show how far chains lag behind the model. In equilibrium, states of the lower rung
    of a pair give a lower bound of its difference in log Z, and those of the upper rung an upper
    bound. Where the lower bound is above the upper one, chains are not in equilibrium. The sum of
    these excesses along the ladder is the lag. One of more than 0.15 nats per square root of a
    visible unit calls for columns or shorter steps (docs/design_notes/tempering.md).

    References
    ----------
    Desjardins, Courville, Bengio, Vincent, Delalleau (2010), "Parallel tempering for training of
    restricted Boltzmann machines".

    Syed, Bouchard-Côté, Deligiannidis, Doucet (2022), "Non-reversible parallel tempering: a
    scalable highly parallel MCMC scheme", JRSS B 84.

    Examples
    --------
    >>> ParallelTempering(n_chains=200)
    ParallelTempering(n_chains=200)
    """

    is_persistent = True
    _parameter_constraints: ClassVar[dict] = {
        "n_chains": [Count(), None],
        "n_sweeps": [Count()],
        "n_columns": [Count(), StrOptions({"auto"})],
        "n_rungs": [Count(2), StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_chains: int | None = None,
        n_sweeps: int = 1,
        n_columns: Any = "auto",
        n_rungs: Any = "auto",
    ) -> None:
        self.n_chains = n_chains
        self.n_sweeps = n_sweeps
        self.n_columns = n_columns
        self.n_rungs = n_rungs

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """Count one row each way, each sweep, for each chain at any β."""
        return 2 * self.n_sweeps * (chains.n_rows or self._n_cold(couplings, batch_size))

    def start(
        self, machine: Machine, batch_size: int, stream: RandomStream, states: Any = None
    ) -> TemperedChains:
        """Build a short ladder, of fair coins or of given states."""
        n_cold = self._n_cold(machine.couplings, batch_size)
        n_columns = FIRST_COLUMNS if self.n_columns == "auto" else self.n_columns
        n_rungs = FIRST_RUNGS if self.n_rungs == "auto" else self.n_rungs
        ones = np.ones(-(-n_cold // n_columns) - 1)
        betas = np.concatenate([np.linspace(0.0, 1.0, n_rungs), ones])
        ladder = build_ladder(machine, betas, n_columns, stream, start=states)
        return TemperedChains(ladder, _zero(machine.backend), MORE_CHAINS * n_cold)

    def resume(
        self, chains: Chains, machine: Machine, batch_size: int, stream: RandomStream
    ) -> TemperedChains:
        """Continue the ladder, or start one from the chains of another phase.

        For other numbers of chains or columns, its states are repeated in turn. The number of rungs
        changes at the end of a window only.
        """
        if not chains.is_tempered:
            states = chains.model_states(machine.backend)
            states = None if states is None else machine.cast(states)
            return self.start(machine, batch_size, stream, states)
        ladder = chains.ladder
        if ladder.states.dtype != machine.visible_bias.dtype:
            base, states = (machine.cast(a) for a in (ladder.base, ladder.states))
            ladder = replace(ladder, base=base, states=states)
            chains = replace(chains, ladder=ladder)
        n_cold, n_columns = self._n_cold(machine.couplings, batch_size), self.n_columns
        if n_columns == "auto":
            n_columns = max(ladder.n_columns, FIRST_COLUMNS)
        n_wanted = MORE_CHAINS * n_cold
        if (n_wanted, n_columns) == (chains.n_wanted, ladder.n_columns):
            return chains
        ladder = regroup_ladder(ladder, machine.backend, n_columns, -(-n_cold // n_columns))
        return replace(chains, ladder=ladder, lag=_zero(machine.backend), n_wanted=n_wanted)

    def states(
        self, machine: Machine, data: Any, chains: TemperedChains, stream: RandomStream
    ) -> tuple[NegativeStates, TemperedChains]:
        """Sweep the ladder; return the states at β = 1."""
        ladder, log_ratios = sweep_ladder(chains.ladder, machine, self.n_sweeps, stream)
        cold = cold_states(ladder, machine.backend)
        negative = NegativeStates(cold, log_ratios=log_ratios)
        return negative, replace(chains, ladder=ladder)

    def with_known_states(
        self,
        negative: NegativeStates,
        machine: Machine,
        data: Any,
        chains: TemperedChains,
        stream: RandomStream,
    ) -> tuple[NegativeStates, TemperedChains]:
        """Add heavy rows of the data that the chains do not visit, by their probabilities.

        They are looked for at the first update of each window.
        """
        if chains.ladder.n_sweeps == self.n_sweeps and has_discrete_states(machine):
            chains = find_unvisited_states(chains, machine, data, stream)
        if chains.known is None:
            return negative, chains
        negative = add_known_states(negative, chains.known, chains.entropy, machine)
        return negative, chains

    def is_due(self, chains: TemperedChains) -> bool:
        """Whether the ladder adapts before the next sweep."""
        return chains.ladder.n_sweeps >= WINDOW

    def n_updates_before_look(self, chains: TemperedChains) -> int:
        """Count updates until the ladder adapts or known states are looked for."""
        n_sweeps = chains.ladder.n_sweeps
        if self.is_due(chains) or n_sweeps == 0 or chains.known is not None:
            return 0
        return -(-(WINDOW - n_sweeps) // self.n_sweeps)

    def before_update(self, chains: TemperedChains, backend: Any) -> TemperedChains:
        """Adapt the ladder after a window of sweeps."""
        return self._adapt(chains, backend) if self.is_due(chains) else chains

    def after_update(self, chains: TemperedChains, log_ratios: Any, backend: Any) -> TemperedChains:
        """Add the lags of an update's sweeps to the lag of the window."""
        n_sweeps, total = log_ratios.shape[0], chains.lag
        of_sweeps = measure_lags(
            chains.ladder, log_ratios, (chains.ladder.n_sweeps - n_sweeps) % 2, backend
        )
        for k in range(n_sweeps):
            total = total + of_sweeps[k]
        return replace(chains, lag=total)

    def _n_cold(self, couplings: Couplings, batch_size: int) -> int:
        if self.n_chains is not None:
            return self.n_chains
        return max(batch_size, couplings.n_patterns if couplings.uses_patterns else 0)

    def _adapt(self, chains: TemperedChains, backend: Any) -> TemperedChains:
        """Adapt columns, rungs and the length of steps to the last window."""
        ladder, share = chains.ladder, chains.step_share
        travelled = count_travels(ladder, backend)
        # Each sweep has seen every other pair.
        mean_lag = 2.0 * float(backend.to_numpy(chains.lag)) / ladder.n_sweeps
        ladder = adapt_ladder(ladder, backend, None if self.n_rungs == "auto" else self.n_rungs)
        n_cold_rungs = ladder.n_rungs - ladder.top
        can_grow = self.n_columns == "auto" and n_cold_rungs > FEWEST_COLD_RUNGS
        lags_behind = mean_lag > LARGEST_LAG * ladder.states.shape[1] ** 0.5
        if can_grow and travelled.barrier > ladder.n_columns:
            ladder = regroup_ladder(ladder, backend, 2 * ladder.n_columns, -(-n_cold_rungs // 2))
        elif lags_behind and can_grow and travelled.n_round_trips > 0:
            # This also doubles the chains at β = 1, once. Where no state makes a round trip, more
            # columns would not help.
            n_columns = 2 * ladder.n_columns
            ladder = regroup_ladder(ladder, backend, n_columns, -(-chains.n_wanted // n_columns))
        elif lags_behind:
            share *= STEP_FACTOR
        else:
            share = min(1.0, share / STEP_FACTOR)
        return replace(
            chains,
            ladder=ladder,
            lag=_zero(backend),
            step_share=share,
            barrier=travelled.barrier,
            mean_lag=mean_lag,
        )


def _zero(backend: Any) -> Any:
    return backend.xp.zeros((), dtype=backend.xp.float64)
