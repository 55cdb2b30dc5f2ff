"""The base class of negative phases, and the states that they yield."""

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
    """States of the model.

    Attributes
    ----------
    visible : array of shape (n, V)
        Spins, or their means.
    weights : array of shape (n,) or None
        Probabilities that sum to one; None where all states count the same.
    hidden : array of shape (n, H) or None
        The hidden part of each state; None for E[h | v].
    stand_for_two : bool
        Whether each state counts for its negative too, which adds the same to the gradient of the
        couplings. That of the biases would be wrong.
    log_ratios : array of shape (n_sweeps, n_columns * n_rungs) or None
        Log ratios of neighbouring rungs in the exchanges of tempered chains.
    n_known : int
        The number of states, the last ones, with computed weights: they are not drawn.
    """

    visible: Any
    weights: Any | None = None
    hidden: Any | None = None
    stand_for_two: bool = False
    log_ratios: Any = None
    n_known: int = 0


class NegativePhase(_ValidatedParameters):
    """The interface of negative phases to the training loop; subclass it to add one."""

    needs_patterns: ClassVar[bool] = False
    # Whether its chains follow the model from update to update; a property may say so too.
    is_persistent = False

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
        """Count the rows mapped through the couplings in an update, to choose their form."""
        raise NotImplementedError

    def start(self, machine: Machine, batch_size: int, stream: RandomStream) -> Chains:
        """Make the chains before the first update."""
        return NO_CHAINS

    def resume(
        self, chains: Chains, machine: Machine, batch_size: int, stream: RandomStream
    ) -> Chains:
        """Continue the chains of this phase or another one."""
        states = chains.model_states(machine.backend) if self.is_persistent else None
        if states is None:
            return self.start(machine, batch_size, stream)
        return PlainChains(states)

    def states(
        self, machine: Machine, data: Any, chains: Chains, stream: RandomStream
    ) -> tuple[NegativeStates, Chains]:
        """Draw states for one update, given a batch of data; return the next chains too.

        They may be a share of all chains: `before_update` and `after_update` see all of them.
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
        """Add states that rows show to be modes where no chain finds them."""
        return negative, chains

    def is_due(self, chains: Chains) -> bool:
        """Whether `before_update` changes the chains before the next update."""
        return False

    def n_updates_before_look(self, chains: Chains) -> float:
        """Count updates until `before_update` or `with_known_states` changes the chains."""
        return np.inf

    def before_update(self, chains: Chains, backend: Any) -> Chains:
        """Change all chains before an update, at the end of a window of them."""
        return chains

    def after_update(self, chains: Chains, log_ratios: Any, backend: Any) -> Chains:
        """Measure all chains by their exchanges in an update."""
        return chains


def repeat_chains(chains: PlainChains, n_chains: int, machine: Machine) -> PlainChains:
    """Repeat chains in turn until there are `n_chains`, in the machine's dtype."""
    states, backend = chains.states, machine.backend
    if states.shape[0] != n_chains:
        rows = backend.asarray(np.arange(n_chains) % states.shape[0], "int64")
        states = backend.xp.take(states, rows, axis=0)
    return PlainChains(machine.cast(states))
