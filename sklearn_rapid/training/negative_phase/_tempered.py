"""Tempered chains that live through training, and notice when they fall behind the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.compat import Count, StrOptions
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.known_states import can_be_known
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import (
    adapted,
    build,
    cold_states,
    lags,
    regrouped,
    sweep,
    travels,
)
from sklearn_rapid.training.chains import NO_CHAINS, Chains, TemperedChains
from sklearn_rapid.training.negative_phase._base import NegativePhase, NegativeStates, as_dtype_of
from sklearn_rapid.training.negative_phase._known import acquainted, with_known

# Sweeps between two looks at how the ladder does.
WINDOW = 50
FIRST_RUNGS = 3
# Errors are taken over columns: there are a few in any case. They are doubled while they are fewer
# than the barrier is high (states arrive that much more rarely), and as chains lag behind, until
# the chains at β = 1 are so few in each of them.
FIRST_COLUMNS, FEWEST_COLD_RUNGS = 6, 4
# So many times the chains there are at β = 1, once columns are added.
CHAINS_IN_TROUBLE = 2
# Chains that lag behind the model by more get more columns, or else shorter steps: in nats per
# square root of a visible unit, as the learning rate is.
LARGEST_LAG = 0.15
STEP_FACTOR = 0.9


class ParallelTempering(NegativePhase):
    """Tempered chains that live on through training, and adapt as the model does.

    Chains at inverse temperatures from 0 to 1 exchange their states (`sklearn_rapid.tempering`),
    so that those at 1, which the model is compared with, reach all of its modes. What that takes
    is found along the way. Rungs are as many as the barrier calls for: hardly any at first.
    Several chains at β = 1 share the rungs of one column. Columns are added where they are fewer
    than the barrier is high, and where states do not keep up with the model; then steps are
    shortened.

    Parameters
    ----------
    n_chains : int, default=None
        Chains at β = 1, at least. None is the batch size, or the number of patterns if that is
        larger.
    n_sweeps : int, default=1
        Sweeps an update: a Gibbs step for each chain and an exchange for each pair of rungs.
    n_columns : "auto" or int, default="auto"
        Columns of rungs.
    n_rungs : "auto" or int, default="auto"
        Rungs of a column, from β = 0 to the first at β = 1.

    Notes
    -----
    How far chains lag behind is seen by the exchanges. States of the lower rung of a pair give
    a lower bound of its difference in log Z, those of the upper rung an upper bound, if they are
    from equilibrium. Where the lower bound is above the upper one, they are not. How far, summed
    along the ladder, is the lag; one of more than 0.15 nats per square root of a visible unit calls
    for columns or shorter steps (docs/design_notes/tempering.md).

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

    @property
    def is_persistent(self) -> bool:
        """True: chains live on."""
        return True

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """One row each way, each sweep, for each chain at any β."""
        return 2 * self.n_sweeps * (chains.n_rows or self._n_cold(couplings, batch_size))

    def start(self, machine: Machine, batch_size: int, stream: RandomStream) -> TemperedChains:
        """A short ladder of fair coins."""
        return self._started(None, machine, batch_size, stream)

    def resume(
        self, chains: Chains, machine: Machine, batch_size: int, stream: RandomStream
    ) -> TemperedChains:
        """The ladder that was left, or one that starts from the chains of another phase.

        Where other numbers of chains or columns are wanted than there are, its states go on in
        turn. Another number of rungs comes with the end of a window, as any does.
        """
        if not chains.is_tempered:
            states = chains.model_states(machine.backend)
            states = None if states is None else as_dtype_of(machine, states)
            return self._started(states, machine, batch_size, stream)
        ladder = chains.ladder
        if ladder.states.dtype != machine.visible_bias.dtype:
            base, states = (as_dtype_of(machine, a) for a in (ladder.base, ladder.states))
            chains = replace(chains, ladder=replace(ladder, base=base, states=states))
        n_cold = self._n_cold(machine.couplings, batch_size)
        n_columns = self.n_columns
        if n_columns == "auto":
            n_columns = max(ladder.n_columns, FIRST_COLUMNS)
        if (CHAINS_IN_TROUBLE * n_cold, n_columns) == (chains.n_wanted, ladder.n_columns):
            return chains
        backend, n_cold_rungs = machine.backend, -(-n_cold // n_columns)
        ladder = regrouped(chains.ladder, backend, n_columns, n_cold_rungs)
        n_wanted = CHAINS_IN_TROUBLE * n_cold
        return replace(chains, ladder=ladder, lag=_zero(backend), n_wanted=n_wanted)

    def states(
        self, machine: Machine, data: Any, chains: TemperedChains, stream: RandomStream
    ) -> tuple[NegativeStates, TemperedChains]:
        """The states at β = 1 after the sweeps."""
        ladder, log_ratios = sweep(chains.ladder, machine, self.n_sweeps, stream)
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
        """The chains and, where they lack them, heavy rows of the data, by their probabilities.

        Which ones is found at the first update of each window.
        """
        if chains.ladder.n_sweeps == self.n_sweeps and can_be_known(machine):
            chains = acquainted(chains, machine, data, stream)
        if chains.known is None:
            return negative, chains
        return with_known(negative, chains.known, chains.entropy, machine), chains

    def is_due(self, chains: TemperedChains) -> bool:
        """Whether the ladder is looked at before the next sweep."""
        return chains.ladder.n_sweeps >= WINDOW

    def n_updates_before_look(self, chains: TemperedChains) -> int:
        """Number of updates before the ladder or known states are looked at."""
        n_sweeps = chains.ladder.n_sweeps
        if self.is_due(chains) or n_sweeps == 0 or chains.known is not None:
            return 0
        return -(-(WINDOW - n_sweeps) // self.n_sweeps)

    def before_update(self, chains: TemperedChains, backend: Any) -> TemperedChains:
        """Look at the ladder after a window of sweeps."""
        return self._reconsidered(chains, backend) if self.is_due(chains) else chains

    def after_update(self, chains: TemperedChains, log_ratios: Any, backend: Any) -> TemperedChains:
        """How far the states lag behind the model is kept."""
        n_sweeps, total = log_ratios.shape[0], chains.lag
        of_sweeps = lags(
            chains.ladder, log_ratios, (chains.ladder.n_sweeps - n_sweeps) % 2, backend
        )
        for k in range(n_sweeps):
            total = total + of_sweeps[k]
        return replace(chains, lag=total)

    def _started(
        self, states: Any, machine: Machine, batch_size: int, stream: RandomStream
    ) -> TemperedChains:
        n_cold = self._n_cold(machine.couplings, batch_size)
        n_columns = self.n_columns
        if n_columns == "auto":
            n_columns = FIRST_COLUMNS
        n_rungs = FIRST_RUNGS if self.n_rungs == "auto" else self.n_rungs
        ones = np.ones(-(-n_cold // n_columns) - 1)
        betas = np.concatenate([np.linspace(0.0, 1.0, n_rungs), ones])
        ladder = build(machine, betas, n_columns, stream, start=states)
        return TemperedChains(ladder, _zero(machine.backend), CHAINS_IN_TROUBLE * n_cold)

    def _n_cold(self, couplings: Couplings, batch_size: int) -> int:
        if self.n_chains is not None:
            return self.n_chains
        return max(batch_size, couplings.n_patterns if couplings.uses_patterns else 0)

    def _reconsidered(self, chains: TemperedChains, backend: Any) -> TemperedChains:
        """The chains with the columns, rungs and steps that the last window calls for."""
        ladder, share = chains.ladder, chains.step_share
        travelled = travels(ladder, backend)
        # Each sweep has seen every other pair.
        mean_lag = 2.0 * float(backend.to_numpy(chains.lag)) / ladder.n_sweeps
        ladder = adapted(ladder, backend, None if self.n_rungs == "auto" else self.n_rungs)
        n_cold_rungs = ladder.n_rungs - ladder.top
        can_grow = self.n_columns == "auto" and n_cold_rungs > FEWEST_COLD_RUNGS
        lags_behind = mean_lag > LARGEST_LAG * ladder.states.shape[1] ** 0.5
        if can_grow and travelled.barrier > ladder.n_columns:
            ladder = regrouped(ladder, backend, 2 * ladder.n_columns, -(-n_cold_rungs // 2))
        elif lags_behind and can_grow and travelled.n_round_trips > 0:
            # For once also twice the chains at β = 1. Where no state gets through, more columns
            # would be of no help.
            n_columns = 2 * ladder.n_columns
            ladder = regrouped(ladder, backend, n_columns, -(-chains.n_wanted // n_columns))
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
