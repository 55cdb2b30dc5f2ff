"""Gibbs chains at β = 1: from the data, from the last update, from patterns."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.compat import Count, StrOptions
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.chains import NO_CHAINS, Chains, PlainChains
from sklearn_rapid.training.negative_phase._base import NegativePhase, NegativeStates, repeat_chains


class ContrastiveDivergence(NegativePhase):
    """CD-k: k Gibbs steps from the data batch itself (Hinton 2002).

    Parameters
    ----------
    n_gibbs_steps : int, default=1

    Examples
    --------
    >>> ContrastiveDivergence(n_gibbs_steps=10)
    ContrastiveDivergence(n_gibbs_steps=10)
    """

    _parameter_constraints: ClassVar[dict] = {"n_gibbs_steps": [Count()]}

    def __init__(self, n_gibbs_steps: int = 1) -> None:
        self.n_gibbs_steps = n_gibbs_steps

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """Count one row each way, each step, for each row of the batch."""
        return 2 * self.n_gibbs_steps * batch_size

    def states(
        self, machine: Machine, data: Any, chains: Chains, stream: RandomStream
    ) -> tuple[NegativeStates, Chains]:
        """Take k steps from the data."""
        return NegativeStates(machine.gibbs(data, self.n_gibbs_steps, stream)), NO_CHAINS


class PersistentContrastiveDivergence(NegativePhase):
    """PCD-k: k Gibbs steps an update from persistent chains (Tieleman 2008).

    Parameters
    ----------
    n_gibbs_steps : int, default=1
    n_chains : int, default=None
        None is the batch size.

    Examples
    --------
    >>> PersistentContrastiveDivergence(n_gibbs_steps=5)
    PersistentContrastiveDivergence(n_gibbs_steps=5)
    """

    is_persistent = True
    _parameter_constraints: ClassVar[dict] = {
        "n_gibbs_steps": [Count()],
        "n_chains": [Count(), None],
    }

    def __init__(self, n_gibbs_steps: int = 1, n_chains: int | None = None) -> None:
        self.n_gibbs_steps = n_gibbs_steps
        self.n_chains = n_chains

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """Count one row each way, each step, for each chain."""
        return 2 * self.n_gibbs_steps * (chains.n_rows or self.n_chains or batch_size)

    def start(self, machine: Machine, batch_size: int, stream: RandomStream) -> Chains:
        """Draw independent units in the visible biases."""
        n_chains = self.n_chains or batch_size
        return PlainChains(machine.sample_independent(n_chains, machine.visible_bias, stream))

    def resume(
        self, chains: Chains, machine: Machine, batch_size: int, stream: RandomStream
    ) -> Chains:
        """Continue the chains, repeated in turn where more are wanted, or the first of them."""
        chains = super().resume(chains, machine, batch_size, stream)
        return repeat_chains(chains, self.n_chains or batch_size, machine)

    def states(
        self, machine: Machine, data: Any, chains: Chains, stream: RandomStream
    ) -> tuple[NegativeStates, Chains]:
        """Take k steps of the chains."""
        states = machine.gibbs(chains.states, self.n_gibbs_steps, stream)
        return NegativeStates(states), PlainChains(states)


class PatternInducedCorrelations(NegativePhase):
    """PID: states from the model's own patterns (Pozas-Kerstjens et al. 2021, eq. 6).

    Parameters
    ----------
    n_gibbs_steps : int, default=1
        Gibbs steps from sign(ξ_v). 0 is pure PID: the patterns alone, no Monte Carlo. It needs
        ``projection="sign"``: with "clip", patterns can shrink until the model is one of coins.
    persistent : bool, default=True
        Whether chains start from the patterns once and then persist, as in PCD (at least as many
        as a batch has rows: patterns are repeated in turn), or start again from the K patterns at
        every update.
    hidden : {"marginal", "pattern"}, default="marginal"
        The hidden part of pure PID: E[h | sign(ξ_v)], as in the authors' code, or sign(ξ_h),
        equation 6 to the letter. With Gibbs steps, "pattern" is not defined.

    Examples
    --------
    >>> PatternInducedCorrelations(n_gibbs_steps=0, persistent=False)
    PatternInducedCorrelations(n_gibbs_steps=0, persistent=False)
    """

    needs_patterns: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {
        "n_gibbs_steps": [Count(0)],
        "persistent": ["boolean"],
        "hidden": [StrOptions({"marginal", "pattern"})],
    }

    def __init__(
        self, n_gibbs_steps: int = 1, persistent: bool = True, hidden: str = "marginal"
    ) -> None:
        self.n_gibbs_steps = n_gibbs_steps
        self.persistent = persistent
        self.hidden = hidden

    @property
    def is_persistent(self) -> bool:
        """Whether there are persistent chains."""
        return self.persistent and self.n_gibbs_steps > 0

    def check(self, machine: Machine) -> None:
        """Raise ValueError without patterns of spins, or if the hidden part is not defined."""
        super().check(machine)
        if self.hidden == "pattern" and not machine.hidden_units.are_spins:
            raise ValueError(
                "hidden='pattern' takes the hidden part from the signs of the patterns, and these "
                "are states of spins only. Use hidden='marginal'."
            )
        if self.hidden == "pattern" and self.n_gibbs_steps > 0:
            raise ValueError(
                "hidden='pattern' takes the hidden part from the patterns, which belongs to "
                "their visible part only before any Gibbs step: it needs n_gibbs_steps=0, got "
                f"n_gibbs_steps={self.n_gibbs_steps}."
            )

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """Count one row each way, each step, for each chain."""
        return 2 * self.n_gibbs_steps * self._n_chains(couplings, batch_size)

    def start(self, machine: Machine, batch_size: int, stream: RandomStream) -> Chains:
        """Repeat the patterns' signs in turn."""
        if not self.is_persistent:
            return NO_CHAINS
        n_chains = self._n_chains(machine.couplings, batch_size)
        return repeat_chains(PlainChains(self._seeds(machine)), n_chains, machine)

    def resume(
        self, chains: Chains, machine: Machine, batch_size: int, stream: RandomStream
    ) -> Chains:
        """Continue the chains, repeated in turn where more are wanted, or the first of them."""
        chains = super().resume(chains, machine, batch_size, stream)
        if not self.is_persistent:
            return chains
        return repeat_chains(chains, self._n_chains(machine.couplings, batch_size), machine)

    def states(
        self, machine: Machine, data: Any, chains: Chains, stream: RandomStream
    ) -> tuple[NegativeStates, Chains]:
        """Return the patterns themselves, or take k steps from them or from the chains."""
        if self.n_gibbs_steps == 0:
            hidden = None
            if self.hidden == "pattern":
                hidden = machine.backend.sign(machine.couplings.hidden_patterns)
            return NegativeStates(self._seeds(machine), hidden=hidden), NO_CHAINS
        start = chains.states if self.persistent else self._seeds(machine)
        states = machine.gibbs(start, self.n_gibbs_steps, stream)
        return NegativeStates(states), PlainChains(states) if self.persistent else NO_CHAINS

    def _n_chains(self, couplings: Couplings, batch_size: int) -> int:
        n_patterns = couplings.n_patterns if couplings.uses_patterns else couplings.shape[1]
        return max(n_patterns, batch_size if self.persistent else 1)

    def _seeds(self, machine: Machine) -> Any:
        return machine.backend.sign(machine.patterns)
