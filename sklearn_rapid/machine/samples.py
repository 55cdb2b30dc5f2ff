"""What samples are drawn from: a ladder of temperatures, and a basin of known states beside it."""

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
    sweep,
    travels,
)

# Samples are worth so many sweeps of it, or two for each of them.
SWEEPS_FOR_SAMPLES = 500
# Visits of a ladder most of whose states are of the basin, for each that would be enough else.
MOST_VISITS = 20


@dataclass(frozen=True)
class Source:
    """What samples are drawn from.

    Attributes
    ----------
    ladder : Ladder
        After its first rounds, with counters at zero.
    travelled : Travels
        What it had counted.
    basin : Basin or None
        Of known states, if they have a share of Z that counts.
    share : float
        The probability of the basin.
    is_trusted : bool
        Whether log Z is, which that probability is made of.
    """

    ladder: Ladder
    travelled: Travels
    basin: Basin | None
    share: float
    is_trusted: bool

    def drawn(
        self, machine: Machine, n_samples: int, stream: RandomStream
    ) -> tuple[Any, Travels, int]:
        """States at β = 1, as far apart as the sweeps that they are worth allow.

        With them, how they travelled, and how many have come from β = 0, before or meanwhile.
        """
        backend, xp = machine.backend, machine.backend.xp
        rng = np.random.default_rng((stream.seed, stream.position))
        of_basin = rng.random(n_samples) < self.share
        n_of_basin = int(of_basin.sum())
        n_fresh = min(self.ladder.n_columns, self.travelled.n_round_trips)
        n_fresh += n_of_basin if self.is_trusted else 0
        visited, ladder = self.visited(machine, n_samples - n_of_basin, n_samples, stream)
        travelled = self.travelled
        if ladder.n_sweeps > 0:
            travelled = travels(ladder, backend)
            n_fresh += travelled.n_round_trips
        if self.basin is None:
            return visited[:n_samples, :], travelled, n_fresh
        # Where the ladder has hardly anything but the basin, this is all there is.
        of_basin |= np.cumsum(~of_basin) > visited.shape[0]
        drawn = self.basin.drawn(machine, int(of_basin.sum()), rng, stream)
        drawn = xp.astype(backend.asarray(drawn), machine.visible_bias.dtype)
        order = np.where(of_basin, np.cumsum(of_basin), len(drawn) + np.cumsum(~of_basin)) - 1
        states = xp.concat([drawn, visited], axis=0)
        return xp.take(states, backend.asarray(order, "int64"), axis=0), travelled, n_fresh

    def visited(
        self, machine: Machine, n_wanted: int, n_samples: int, stream: RandomStream
    ) -> tuple[Any, Ladder]:
        """States at β = 1 outside of the basin, so many if there are, and the ladder after them.

        All sweeps together are what so many samples are worth.
        """
        ladder, backend, xp = self.ladder, machine.backend, machine.backend.xp
        machine = machine.for_rows(2 * SWEEPS_FOR_SAMPLES * ladder.states.shape[0])
        n_visits = -(-n_wanted // ladder.n_columns)
        # Sweeps until a column's state at β = 1 is a new one.
        travelled = self.travelled
        n_sweeps = travelled.n_sweeps * ladder.n_columns / max(travelled.n_round_trips, 1)
        most = max(SWEEPS_FOR_SAMPLES, 2 * n_samples) // max(n_visits, 1)
        n_sweeps = int(np.clip(np.ceil(n_sweeps), 1, max(most, 1)))
        found, n_found, n_left = [ladder.states[:0, :]], 0, MOST_VISITS * n_visits
        while n_found < n_wanted and n_left > 0:
            ladder, _ = sweep(ladder, machine, n_sweeps, stream)
            states = cold_states(ladder, backend)
            if self.basin is not None:
                is_inside = self.basin.contain(machine, backend.to_numpy(states), stream)
                outside = backend.asarray(np.flatnonzero(~is_inside), "int64")
                states = xp.take(states, outside, axis=0)
            found.append(states)
            n_found, n_left = n_found + states.shape[0], n_left - 1
        return xp.concat(found, axis=0), ladder
