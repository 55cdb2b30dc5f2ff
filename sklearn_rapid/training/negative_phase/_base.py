"""What a negative phase yields, and what it offers to the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.compat import ValidatedParameters as _ValidatedParameters
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import Ladder, cold_states


@dataclass(frozen=True)
class NegativeStates:
    """States that stand for the model's distribution.

    Attributes
    ----------
    visible : array of shape (n, V)
        Spins, or their means.
    weights : array of shape (n,) or None
        Probabilities that sum to one; None where all states count the same.
    hidden : array of shape (n, H) or None
        The hidden part that belongs to each visible one; None for E[h | v].
    stand_for_two : bool
        Whether each state stands for its negative too, in the gradient of the couplings: both
        add the same to it. The biases' gradient would be wrong.
    step_share : float in (0, 1]
        The share of a full step that the states can follow.
    log_ratios : array of shape (n_sweeps, n_columns * n_rungs) or None
        What the exchanges of tempered chains have seen.
    n_known : int
        The last of the states, whose weights have been computed, and not drawn.
    """

    visible: Any
    weights: Any | None = None
    hidden: Any | None = None
    stand_for_two: bool = False
    step_share: float = 1.0
    log_ratios: Any = None
    n_known: int = 0


class NegativePhase(_ValidatedParameters):
    """What a negative phase offers to the training loop; subclass it to add one."""

    needs_patterns: ClassVar[bool] = False

    @property
    def is_persistent(self) -> bool:
        """Whether its states are meant to follow the model from update to update."""
        return False

    def check(self, machine: Machine) -> None:
        """Raise ValueError if the phase cannot serve such a model."""
        if self.needs_patterns and machine.patterns is None:
            if machine.couplings.uses_patterns:
                raise ValueError(
                    f"{type(self).__name__} takes its states from the signs of the patterns, and "
                    "these are states of spins only. Use 'auto', 'cd' or 'pcd'."
                )
            raise ValueError(
                f"{type(self).__name__} takes its states from the model's patterns, but this "
                "model has none: RBM has dense couplings. Use RARBM, or one of the negative "
                "phases 'exact', 'cd', 'pcd'."
            )

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Any = None) -> int:
        """How many rows pass through the couplings in one update, to choose their form."""
        raise NotImplementedError

    def start(self, machine: Machine, batch_size: int, stream: RandomStream) -> Any:
        """The chains before the first update, or None.

        Parameters
        ----------
        machine : Machine
        batch_size : int
        stream : RandomStream

        Returns
        -------
        array of shape (n, V), object of the phase's own, or None
        """
        return None

    def resume(self, chains: Any, machine: Machine, batch_size: int, stream: RandomStream) -> Any:
        """The chains to go on with, from those that this phase or another one has left."""
        if chains is None:
            return self.start(machine, batch_size, stream)
        return states_of(chains, machine.backend)

    def states(
        self, machine: Machine, data: Any, chains: Any, stream: RandomStream
    ) -> tuple[NegativeStates, Any]:
        """States for one update, given a batch of data, and the next state of the chains.

        The chains may be some of those that there are: what takes all of them is done before
        and after.
        """
        raise NotImplementedError

    def with_known_states(
        self,
        negative: NegativeStates,
        machine: Machine,
        data: Any,
        chains: Any,
        stream: RandomStream,
    ) -> tuple[NegativeStates, Any]:
        """The states, and those that rows show to be modes where no chain finds them."""
        return negative, chains

    def before_update(self, chains: Any, backend: Any) -> Any:
        """All chains as they go into an update."""
        return chains

    def after_update(self, chains: Any, log_ratios: Any, backend: Any) -> Any:
        """The chains after an update, given what the exchanges of all of them have seen."""
        return chains


@dataclass(frozen=True)
class TemperedChains:
    """A ladder that follows a model in training.

    Attributes
    ----------
    ladder : Ladder
    lag : array without axes
        The sum over the ladder's sweeps of how far its states lag behind the model, in nats.
    n_wanted : int
        How many states at β = 1 there shall be if columns are added.
    step_share : float
        See `NegativeStates`.
    barrier, mean_lag : float
        Of the last window of sweeps that was looked at; NaN before the first.
    known : array of shape (n, V) or None
        States more probable than the chains show (`sklearn_rapid.machine.known_states`).
    entropy : float
        Of the rest of the model, in nats, when that was found.
    """

    ladder: Ladder
    lag: Any
    n_wanted: int
    step_share: float = 1.0
    barrier: float = float("nan")
    mean_lag: float = float("nan")
    known: Any = None
    entropy: float = float("nan")


def states_of(chains: Any, backend: Any) -> Any:
    """The states at the model's own temperature that chains of any phase hold: (n, V) or None."""
    return cold_states(chains.ladder, backend) if isinstance(chains, TemperedChains) else chains


def in_turn(states: Any, n_chains: int, machine: Machine) -> Any:
    """So many chains that go on from these states, each taken in turn, in the machine's dtype."""
    backend, xp = machine.backend, machine.backend.xp
    if states.shape[0] != n_chains:
        rows = backend.asarray(np.arange(n_chains) % states.shape[0], "int64")
        states = xp.take(states, rows, axis=0)
    return as_dtype_of(machine, states)


def as_dtype_of(machine: Machine, states: Any) -> Any:
    """The states in the machine's dtype, which a model that was left may not have had."""
    dtype = machine.visible_bias.dtype
    return states if states.dtype == dtype else machine.backend.xp.astype(states, dtype)
