"""Known states: modes that rows show and no chain finds.

A row that recurs can become a mode with much of the model's probability at β = 1 and none at any
lower β (a first-order transition): no ladder of temperatures finds it. With known states S,

    Z = Σ_{v in S} exp(-F(v)) + Z(not S),    Z(not S) = Z_ladder (1 - s),

s being the share of the ladder's states at β = 1 that are in S, whether chains visit S or not. The
search for modes starts at rows of the data and at the signs of patterns and couplings, and goes on
to neighbours of the heaviest states.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.machine.machine import Machine

# The number of states kept of a fit, and of those searched in all.
KEPT_STATES, SEARCHED_STATES = 256, 4096
# The search ends at states whose weight is below that of all known ones by more nats.
NEGLIGIBLE = 12.0
# Steps of a quench, from a state towards a minimum of the energy.
QUENCH_STEPS = 10
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class KnownStates:
    """Distinct states of the visible units, and their weights.

    Attributes
    ----------
    states : array of shape (n, V)
        int8, on the host.
    log_weights : array of shape (n,)
        -F(v) in nats, float64.
    numbers : dict of bytes to int
        The row of each state, by its bytes.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.eye(2)), np.zeros(2), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> known = weigh_states(machine, np.array([[1, 1], [1, 1], [-1, 1]]))
    >>> len(known.states), known.contain(np.array([[1, 1], [-1, -1]]))
    (2, array([ True, False]))
    """

    states: np.ndarray
    log_weights: np.ndarray
    numbers: dict[bytes, int]

    @property
    def log_total(self) -> float:
        """log Σ exp(-F(v)) over the states."""
        return float(logsumexp(self.log_weights)) if self.log_weights.size else -np.inf

    def contain(self, states: Any) -> np.ndarray:
        """Look up which of some states, on the host, are known."""
        rows = np.ascontiguousarray(states, dtype=np.int8)
        return np.array([row.tobytes() in self.numbers for row in rows], dtype=bool)

    def mean(self) -> np.ndarray:
        """Average the states by their weights, shape (V,)."""
        return np.exp(self.log_weights - self.log_total) @ self.states

    def heaviest(self, n: int) -> np.ndarray:
        """Take the n states of greatest weight, or all if there are fewer."""
        return self.states[np.argsort(-self.log_weights, kind="stable")[:n]]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n states by their weights, shape (n, V)."""
        p = np.exp(self.log_weights - self.log_total)
        return self.states[rng.choice(p.size, size=n, p=p / p.sum())]


def has_discrete_states(machine: Machine) -> bool:
    """Whether single visible states have probabilities: none of the units is real."""
    return not machine.visible_units.real(machine.n_visible).any()


def log_weights_of(machine: Machine, states: np.ndarray) -> np.ndarray:
    """Compute -F(v) of states on the host: float64, on the host."""
    parts = [states[i : i + ROWS_AT_ONCE] for i in range(0, len(states), ROWS_AT_ONCE)]
    to_numpy = machine.backend.to_numpy
    found = [to_numpy(-machine.free_energy(machine.cast(part))) for part in parts]
    return np.concatenate([np.zeros(0), *found])


def weigh_states(machine: Machine, states: np.ndarray) -> KnownStates:
    """Find the distinct states among some, and their weights."""
    numbers: dict[bytes, int] = {}
    states = np.ascontiguousarray(states, dtype=np.int8)
    first = [i for i, row in enumerate(states) if _is_new(row, numbers)]
    return KnownStates(states[first], log_weights_of(machine, states[first]), numbers)


def find_likely_states(machine: Machine, states: np.ndarray) -> KnownStates:
    """Find the heaviest of some states, such as rows of a fit, and of others that may be modes.

    Where units are spins, these are the signs of patterns and couplings, the negatives of all, and
    the ends of quenches from the heaviest.
    """
    seeds = weigh_states(machine, states)
    if machine.visible_units.are_spins:
        to_numpy = machine.backend.to_numpy
        signs = [to_numpy(machine.couplings.to_dense().weights).T]
        if machine.patterns is not None:
            signs.append(to_numpy(machine.patterns))
        rows = np.concatenate([states, *(np.where(sign >= 0.0, 1, -1) for sign in signs)])
        heavy = weigh_states(machine, np.concatenate([rows, -rows])).heaviest(KEPT_STATES)
        seeds = weigh_states(machine, np.concatenate([heavy, _quenched(machine, heavy)]))
    return weigh_states(machine, seeds.heaviest(KEPT_STATES))


def search_neighbours(
    machine: Machine, known: KnownStates, n_states: int = SEARCHED_STATES
) -> KnownStates:
    """Add neighbours to known states, the heaviest state's first.

    Then come those of the heaviest state that is left, neighbours included, until there are
    `n_states`, or what is left is negligible.
    """
    numbers, states, log_weights = dict(known.numbers), [known.states], [known.log_weights]
    heap = [(-w, i, known.states[i]) for i, w in enumerate(known.log_weights)]
    heapq.heapify(heap)
    total = known.log_total
    while heap and len(numbers) < n_states and -heap[0][0] > total - NEGLIGIBLE:
        found = machine.visible_units.neighbours(heapq.heappop(heap)[2])
        first = len(numbers)
        found = found[[i for i, row in enumerate(found) if _is_new(row, numbers)]]
        of_found = log_weights_of(machine, found)
        for i, w in enumerate(of_found):
            heapq.heappush(heap, (-w, first + i, found[i]))
        states.append(found)
        log_weights.append(of_found)
        total = float(logsumexp([total, *of_found]))
    return KnownStates(np.concatenate(states), np.concatenate(log_weights), numbers)


def _quenched(machine: Machine, states: np.ndarray) -> np.ndarray:
    """Move states to the signs of their own mean fields, step by step: their energy falls."""
    backend, v = machine.backend, machine.cast(states)
    for _ in range(QUENCH_STEPS):
        v = backend.sign(machine.visible_field(machine.hidden_mean(v)))
    return backend.to_numpy(v)


def _is_new(row: np.ndarray, numbers: dict[bytes, int]) -> bool:
    """Number a state unless it has a number; return whether it was new."""
    n_before = len(numbers)
    numbers.setdefault(row.tobytes(), n_before)
    return len(numbers) > n_before
