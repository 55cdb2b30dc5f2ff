"""What a negative phase yields, and what it offers to the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.compat import ValidatedParameters as _ValidatedParameters
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.chains import NO_CHAINS, Chains, PlainChains


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
    log_ratios : array of shape (n_sweeps, n_columns * n_rungs) or None
        What the exchanges of tempered chains have seen.
    n_known : int
        The last of the states, whose weights have been computed, and not drawn.
    """

    visible: Any
    weights: Any | None = None
    hidden: Any | None = None
    stand_for_two: bool = False
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

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """Number of rows mapped through the couplings in an update, to choose their form."""
        raise NotImplementedError

    def start(self, machine: Machine, batch_size: int, stream: RandomStream) -> Chains:
        """The chains before the first update."""
        return NO_CHAINS

    def resume(
        self, chains: Chains, machine: Machine, batch_size: int, stream: RandomStream
    ) -> Chains:
        """The chains to go on with, from those that this phase or another one has left."""
        states = chains.model_states(machine.backend) if self.is_persistent else None
        if states is None:
            return self.start(machine, batch_size, stream)
        return PlainChains(states)

    def states(
        self, machine: Machine, data: Any, chains: Chains, stream: RandomStream
    ) -> tuple[NegativeStates, Chains]:
        """States for one update, given a batch of data, and the next state of the chains.

        The chains may be a share of all: what takes all of them is done before and after.
        """
        raise NotImplementedError

    def with_known_states(
        self,
        negative: NegativeStates,
        machine: Machine,
        data: Any,
        chains: Chains,
        stream: RandomStream,
    ) -> tuple[NegativeStates, Chains]:
        """The states, and those that rows show to be modes where no chain finds them."""
        return negative, chains

    def is_due(self, chains: Chains) -> bool:
        """Whether `before_update` changes the chains before the next update."""
        return False

    def n_updates_before_look(self, chains: Chains) -> float:
        """Number of updates before `before_update` or `with_known_states` changes the chains."""
        return np.inf

    def before_update(self, chains: Chains, backend: Any) -> Chains:
        """Change all chains before an update, at the end of a window of them."""
        return chains

    def after_update(self, chains: Chains, log_ratios: Any, backend: Any) -> Chains:
        """Keep what the exchanges of all chains have shown in an update."""
        return chains


def in_turn(states: Any, n_chains: int, machine: Machine) -> PlainChains:
    """Chains that go on from these states, each taken in turn, in the machine's dtype."""
    backend, xp = machine.backend, machine.backend.xp
    if states.shape[0] != n_chains:
        rows = backend.asarray(np.arange(n_chains) % states.shape[0], "int64")
        states = xp.take(states, rows, axis=0)
    return PlainChains(as_dtype_of(machine, states))


def as_dtype_of(machine: Machine, states: Any) -> Any:
    """The states in the machine's dtype, which a model that was left may not have had."""
    dtype = machine.visible_bias.dtype
    return states if states.dtype == dtype else machine.backend.xp.astype(states, dtype)
