"""Draw samples from a ladder of temperatures, and from a basin of known states if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.basins import Basin
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import (
    Ladder,
    Travels,
    cold_states,
    count_travels,
    sweep_ladder,
)

# Sweeps that samples may take: this many, or two for each of them if that is more.
SWEEPS_FOR_SAMPLES = 500
# The largest factor of the number of sweeps, where most states are in the basin.
MOST_VISITS = 20


@dataclass(frozen=True)
class SampleSource:
    """A ladder, and perhaps a basin, to draw samples from.

    Attributes
    ----------
    ladder : Ladder
        After its first rounds, with counters at zero.
    travelled : Travels
        Its counters after these rounds.
    basin : Basin or None
        Of known states, if their share of Z is large enough to count.
    share : float
        The probability of the basin.
    is_trusted : bool
        Whether the estimate of log Z behind that probability is trusted.
    """

    ladder: Ladder
    travelled: Travels
    basin: Basin | None
    share: float
    is_trusted: bool

    def draw(
        self, machine: Machine, n_samples: int, stream: RandomStream
    ) -> tuple[Any, Travels, int]:
        """Draw states at β = 1, as far apart as the number of sweeps allows.

        Returned with the ladder's travels, and with how many states have come from β = 0.
        """
        backend, xp = machine.backend, machine.backend.xp
        rng = np.random.default_rng((stream.seed, stream.position))
        of_basin = rng.random(n_samples) < self.share
        n_of_basin = int(of_basin.sum())
        n_fresh = min(self.ladder.n_columns, self.travelled.n_round_trips)
        n_fresh += n_of_basin if self.is_trusted else 0
        visited, ladder = self._visit(machine, n_samples - n_of_basin, n_samples, stream)
        travelled = self.travelled
        if ladder.n_sweeps > 0:
            travelled = count_travels(ladder, backend)
            n_fresh += travelled.n_round_trips
        if self.basin is None:
            return visited[:n_samples, :], travelled, n_fresh
        # Where nearly all states of the ladder are in the basin, the basin gives the rest.
        of_basin |= np.cumsum(~of_basin) > visited.shape[0]
        drawn = machine.cast(self.basin.draw(machine, int(of_basin.sum()), rng, stream))
        order = np.where(of_basin, np.cumsum(of_basin), drawn.shape[0] + np.cumsum(~of_basin)) - 1
        states = xp.concat([drawn, visited], axis=0)
        return xp.take(states, backend.asarray(order, "int64"), axis=0), travelled, n_fresh

    def _visit(
        self, machine: Machine, n_wanted: int, n_samples: int, stream: RandomStream
    ) -> tuple[Any, Ladder]:
        """Draw up to `n_wanted` states at β = 1 outside of the basin; return the swept ladder too.

        All sweeps together are limited by `n_samples`.
        """
        ladder, backend, xp = self.ladder, machine.backend, machine.backend.xp
        machine = machine.for_rows(2 * SWEEPS_FOR_SAMPLES * ladder.states.shape[0])
        n_visits = -(-n_wanted // ladder.n_columns)
        # Sweeps until a column has a new state at β = 1.
        travelled = self.travelled
        n_sweeps = travelled.n_sweeps * ladder.n_columns / max(travelled.n_round_trips, 1)
        most = max(SWEEPS_FOR_SAMPLES, 2 * n_samples) // max(n_visits, 1)
        n_sweeps = int(np.clip(np.ceil(n_sweeps), 1, max(most, 1)))
        found, n_found, n_left = [ladder.states[:0, :]], 0, MOST_VISITS * n_visits
        while n_found < n_wanted and n_left > 0:
            ladder, _ = sweep_ladder(ladder, machine, n_sweeps, stream)
            states = cold_states(ladder, backend)
            if self.basin is not None:
                is_inside = self.basin.contain(machine, backend.to_numpy(states), stream)
                outside = backend.asarray(np.flatnonzero(~is_inside), "int64")
                states = xp.take(states, outside, axis=0)
            found.append(states)
            n_found, n_left = n_found + states.shape[0], n_left - 1
        return xp.concat(found, axis=0), ladder
