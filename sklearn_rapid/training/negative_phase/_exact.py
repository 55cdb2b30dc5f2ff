"""Enumerate all states of the smaller layer, with their probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import dtype_name, enumerate_spins, smaller_layer_first
from sklearn_rapid.training.chains import NO_CHAINS, Chains
from sklearn_rapid.training.negative_phase._base import NegativePhase, NegativeStates

LARGEST_EXACT_LAYER = 20


class Exact(NegativePhase):
    """All states of the smaller layer, each with its probability: no sampling at all.

    For models whose smaller layer has at most 20 units. Without biases (``fit_intercept=False``)
    half of the states are enough, and training takes half as long.

    Examples
    --------
    >>> Exact()
    Exact()
    """

    _parameter_constraints: ClassVar[dict] = {}

    def check(self, machine: Machine) -> None:
        """Raise ValueError if no layer of spins is small enough to be enumerated."""
        super().check(machine)
        if smaller_layer_first(machine).n_visible > LARGEST_EXACT_LAYER:
            of_spins = "" if machine.has_spins_only else " of spins"
            raise ValueError(
                f"the exact negative phase enumerates the smaller layer{of_spins}, which may have "
                f"at most {LARGEST_EXACT_LAYER} units; got {machine.n_visible} visible and "
                f"{machine.n_hidden} hidden ones. Use 'pcd' for larger models."
            )

    def n_rows(self, couplings: Couplings, batch_size: int, chains: Chains = NO_CHAINS) -> int:
        """Count all states of the smaller layer."""
        return 2 ** min(couplings.shape)

    def states(
        self, machine: Machine, data: Any, chains: Chains, stream: RandomStream
    ) -> tuple[NegativeStates, Chains]:
        """Enumerate the smaller layer, with means of the other one where that is visible.

        Where a state and its negative weigh the same, only those whose last spin is -1.
        """
        backend, xp = machine.backend, machine.backend.xp
        small = smaller_layer_first(machine)
        n_states = 2 ** (small.n_visible - machine.is_even)
        states = enumerate_spins(small.n_visible, 0, n_states, backend, dtype_name(machine))
        if small is machine:
            # Hidden means are computed later, in parts that fit the cache: from here they would
            # take as long, and memory.
            energies, hidden, visible = machine.free_energy(states), None, states
        else:
            energies, visible = small.free_energy_and_hidden_mean(states)
            hidden = states
        p = xp.exp(xp.min(energies) - energies)
        p = xp.astype(p / xp.sum(p), machine.visible_bias.dtype)
        return NegativeStates(visible, p, hidden, stand_for_two=machine.is_even), NO_CHAINS
