"""log Z by parallel tempering, and by known states beside it.

A ladder runs in rounds, each twice as long as the one before, and places its β anew after each. The
last round counts; whether to stop has not been decided by looking at it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.basins import LOG_SHARE_THAT_COUNTS, Basin, basin_around, with_basin
from sklearn_rapid.machine.bridges import SMALLEST_DIFFERENCE, LadderSum, ladder_sum
from sklearn_rapid.machine.known_states import (
    can_be_known,
    weighed,
)
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import (
    ROUNDED_STATES,
    LogPartition,
    dtype_name,
    has_rows,
    rounding_of,
)
from sklearn_rapid.machine.tempering import (
    Ladder,
    Travels,
    adapted,
    base_log_partition,
    build,
    cold_states,
    sweep,
    travels,
)

# A ladder's first round: rungs at equal distances in β, and a few sweeps. Rounds double.
FIRST_RUNGS, FIRST_SWEEPS = 8, 16
# Each sweep has every other pair of neighbours.
SWEEPS_OF_ALL_PAIRS = 2
# Rounds go on until one of them calls for no more; the next one, of as many sweeps but no fewer
# than the first of these, or the second where that is little work in multiply-adds, is what counts:
# whether to stop has not been decided by looking at it.
FEWEST_MEASURED, FEWEST_MEASURED_SOON, LITTLE_WORK = 128, 512, 1e10
# Sweeps in one call: no more than so many, or so much work in multiply-adds, since calls hear no
# interrupts; and few where states are looked at in between.
SWEEPS_AT_ONCE, PRODUCTS_AT_ONCE, SWEEPS_TO_LOOK = 64, 4e9, 8
# Columns that start from where chains from known states have gone.
N_STARTED_FROM_BASIN = 4
# What no look has seen is as likely as so many looks in all, or less: but once in e² times.
UNSEEN_LOOKS = 2.0
# In training, log Z is taken anew each epoch, in little time.
FIRST_FOLLOWED_ROUND, LONGEST_FOLLOWED_ROUND, FOLLOWED_TOL = 32, 128, 0.15
# Differences of more than so many errors are no accident.
LARGEST_DEVIATION = 4.0
# Bounds that are further apart, in nats, are carried by so few states that their errors say little.
LARGEST_GAP = 1.0


@dataclass(frozen=True)
class Budget:
    """What tempering may take.

    Attributes
    ----------
    max_sweeps : int
    max_rows : float
        Rows that sweeps may take through the couplings, there and back, in all.
    deadline : float
        In seconds of `time.perf_counter`.

    Examples
    --------
    >>> Budget(max_sweeps=100, max_rows=1000.0).sweeps_left(40, 100.0, 10)
    60
    """

    max_sweeps: int
    max_rows: float = np.inf
    deadline: float = np.inf

    def sweeps_left(self, n_sweeps: int, n_rows: float, rows_of_a_sweep: int) -> int:
        """How many sweeps are left after so many, which have taken so many rows."""
        by_rows = (self.max_rows - n_rows) / rows_of_a_sweep
        return int(max(0, min(self.max_sweeps - n_sweeps, by_rows)))

    @property
    def is_late(self) -> bool:
        """Whether time is over."""
        return time.perf_counter() > self.deadline


@dataclass(frozen=True)
class Round:
    """What sweeps of one ladder say.

    Attributes
    ----------
    total : LadderSum
        log Z, that of the basin of known states included.
    travelled : Travels
    n_sweeps : int
    share : float
        The share of the states at β = 1 that are of the basin.
    lacking : float
        Of Z: what may lie around known states beyond their basin, and the ladder has not found.
    """

    total: LadderSum
    travelled: Travels
    n_sweeps: int
    share: float = 0.0
    lacking: float = 0.0


class Tempering:
    """A ladder, round after round of sweeps, and a basin of known states beside it.

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    ladder : Ladder
    budget : Budget
    basin : Basin, optional
    n_started : int, default=0
        The first columns, so many, have started elsewhere than at the base.
    """

    def __init__(
        self,
        machine: Machine,
        stream: RandomStream,
        ladder: Ladder,
        budget: Budget,
        basin: Basin | None = None,
        n_started: int = 0,
    ) -> None:
        self.machine, self.stream, self.ladder, self.budget = machine, stream, ladder, budget
        self.basin, self.n_started = basin, n_started
        self.n_sweeps, self.n_rows = 0, 0.0

    @property
    def sweeps_left(self) -> int:
        """How many sweeps the budget has left."""
        return self.budget.sweeps_left(self.n_sweeps, self.n_rows, self.ladder.states.shape[0])

    @property
    def products_of_a_sweep(self) -> float:
        """Multiply-adds of a sweep, about."""
        machine = self.machine
        return 2.0 * self.ladder.states.shape[0] * machine.n_visible * machine.n_hidden

    def measured(self, n_sweeps: int) -> Round:
        """So many sweeps, fewer if time is over, and what they say."""
        log_ratios, looks, parity = [], [], self.ladder.n_sweeps % 2
        at_once = int(np.clip(PRODUCTS_AT_ONCE / self.products_of_a_sweep, 1, SWEEPS_AT_ONCE))
        if self.basin is not None:
            at_once = min(at_once, SWEEPS_TO_LOOK)
        n_left = n_sweeps
        while n_left > 0 and (n_sweeps - n_left < SWEEPS_OF_ALL_PAIRS or not self.budget.is_late):
            n = min(n_left, at_once)
            log_ratios.append(self._swept(n))
            n_left -= n
            if self.basin is not None:
                cold = cold_states(self.ladder, self.machine.backend)
                looks.append(self.machine.backend.to_numpy(cold).astype(np.int8))
        n_sweeps -= n_left
        self.n_sweeps += n_sweeps
        self.n_rows += float(n_sweeps) * self.ladder.states.shape[0]
        total = ladder_sum(np.concatenate(log_ratios), parity)
        log_base = base_log_partition(self.ladder.base, self.machine)
        total = replace(
            total,
            value=total.value + log_base,
            lower=total.lower + log_base,
            upper=total.upper + log_base,
        )
        travelled = travels(self.ladder, self.machine.backend)
        if self.basin is None:
            return Round(total, travelled, n_sweeps)
        return self._with_basin(Round(total, travelled, n_sweeps), np.array(looks), self.basin)

    def adapt(self) -> None:
        """Place the β anew, by what the ladder has counted."""
        self.ladder = adapted(self.ladder, self.machine.backend)

    def meet(self, basin: Basin, start: Any) -> None:
        """Go on with a basin, and with new states, half of them from outside of it.

        Those are of `start`, and of where chains have gone that have left the basin. What is summed
        over exactly need not be started from, and would hold columns fast.
        """
        self.basin, backend, dtype = basin, self.machine.backend, self.machine.visible_bias.dtype
        starts = [basin.left[:N_STARTED_FROM_BASIN]]
        if start is not None:
            states = backend.to_numpy(start)
            starts.append(states[~basin.known.contain(states)])
        states = np.concatenate(starts)[: self.ladder.n_columns // 2]
        self.n_started = len(states)
        start = backend.xp.astype(backend.asarray(states), dtype) if len(states) else None
        betas = np.array(self.ladder.betas)
        self.ladder = build(self.machine, betas, self.ladder.n_columns, self.stream, start)

    def _swept(self, n: int) -> np.ndarray:
        """The log ratios of so many sweeps, shape (n, n_columns, n_rungs)."""
        self.ladder, log_ratios = sweep(self.ladder, self.machine, n, self.stream)
        log_ratios = self.machine.backend.to_numpy(log_ratios)
        return log_ratios.reshape(n, self.ladder.n_columns, -1)

    def _with_basin(self, found: Round, looks: np.ndarray, basin: Basin) -> Round:
        """A round with the basin, given looks at the states at β = 1: (n_looks, n_cold, V)."""
        states = looks.reshape(-1, self.machine.n_visible)
        in_basin = basin.contain(self.machine, states, self.stream)
        self.n_rows += float(basin.n_steps) * len(states)
        of_columns = in_basin.reshape(len(looks), self.ladder.n_columns, -1).mean(axis=(0, 2))
        total = with_basin(found.total, basin, of_columns, UNSEEN_LOOKS / in_basin.size)
        # What columns have started in, they need not have found.
        others = of_columns[self.n_started :]
        others = others if others.size else np.zeros(1)
        # Nor is it lacking what they may have missed by chance.
        most = others.mean() + LARGEST_DEVIATION * others.std() / np.sqrt(others.size)
        unfound = float(np.exp(basin.log_total - total.value) - most)
        if in_basin.all() or unfound <= 0.0:
            return replace(found, total=total, share=float(of_columns.mean()))
        beyond = basin.beyond(states[~in_basin].mean(axis=0)) / (1.0 + basin.odds)
        return replace(found, total=total, share=float(of_columns.mean()), lacking=unfound * beyond)


def tempered_log_partition(
    machine: Machine,
    stream: RandomStream,
    *,
    start: Any = None,
    betas: np.ndarray | None = None,
    n_columns: int = 24,
    tol: float = 0.1,
    max_sweeps: int = 2000,
    max_rows: float = np.inf,
    max_seconds: float = np.inf,
    states: np.ndarray | None = None,
) -> tuple[LogPartition, Ladder, Basin | None]:
    """log Z by parallel tempering and bridges between neighbouring temperatures.

    Rounds of sweeps, each twice as long as the one before; between rounds the β are placed anew,
    as many as the barrier calls for. Only the last round counts (`sklearn_rapid.machine.bridges`).

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    start : array of shape (n, V), optional
        Where half of the columns start; the others start from the base, so that a mode that only
        one kind knows of shows.
    betas : array, optional
        Of the first round.
    n_columns : int
    tol : float
        The error at which to stop, in nats.
    max_sweeps : int
        At least two.
    max_rows : float
        See `Budget`.
    max_seconds : float
        A limit that depends on the machine's mood: with it results are not repeatable.
    states : array of shape (n, V), optional
        Visible states on the host that may be modes, such as rows of the data. Known states are
        looked for around them, and summed over exactly (`sklearn_rapid.machine.known_states`,
        `sklearn_rapid.machine.basins`).

    Returns
    -------
    LogPartition
    Ladder
        After the last sweep.
    Basin or None
        Of known states, if they have a share of Z that counts.
    """
    budget = Budget(max_sweeps, max_rows, time.perf_counter() + max_seconds)
    betas = np.linspace(0.0, 1.0, FIRST_RUNGS) if betas is None else betas
    start = None if start is None else start[: n_columns // 2, :]
    ladder = build(machine, betas, n_columns, stream, start)
    machine = machine.for_rows(2 * max_sweeps * n_columns * len(betas))
    n_started = 0 if start is None else start.shape[0]
    run = Tempering(machine, stream, ladder, budget, n_started=n_started)
    before, is_last, n_sweeps = None, False, min(FIRST_SWEEPS, max_sweeps)
    for n_rounds in count(1):
        found = run.measured(n_sweeps)
        doubts = _doubts(found, before, run.n_started)
        stopped_by = _stopped_by(run, is_last and not doubts)
        if stopped_by:
            break
        is_last = n_rounds > 1 and found.total.error <= tol and not doubts
        before = found.total
        run.adapt()
        if n_rounds == 1:
            basin = basin_around(machine, states, found.total.value, stream, tol, max_rows)
            if basin is not None:
                # Without it log Z may have been another one.
                before = None
                run.meet(basin, start)
        n_sweeps = _next_sweeps(n_sweeps, run, is_last)
    return _estimate(run, found, doubts, stopped_by, tol), run.ladder, run.basin


def followed_log_partition(
    ladder: Ladder, machine: Machine, stream: RandomStream, states: np.ndarray | None = None
) -> tuple[float, float]:
    """log Z by the ladder of a model in training, and its error.

    Rounds of sweeps from where the ladder is, each twice as long, until the states have caught up
    with the model. Where they do not, the error says by how much. `states` as in
    `tempered_log_partition`, but looked at as they are.
    """
    machine = machine.for_rows(2 * LONGEST_FOLLOWED_ROUND * ladder.states.shape[0])
    run = Tempering(machine, stream, ladder, Budget(LONGEST_FOLLOWED_ROUND))
    if has_rows(states) and can_be_known(machine):
        run.basin = Basin(weighed(machine, states))
    n_sweeps = FIRST_FOLLOWED_ROUND
    while True:
        total = run.measured(n_sweeps).total
        is_done = total.error <= FOLLOWED_TOL and total.is_consistent
        if is_done or 2 * n_sweeps > LONGEST_FOLLOWED_ROUND:
            return total.value, float(np.hypot(total.error, max(0.0, -total.gap)))
        if run.basin is not None and run.basin.log_total < total.value + LOG_SHARE_THAT_COUNTS:
            run.basin = None
        n_sweeps *= 2


def _stopped_by(run: Tempering, is_done: bool) -> str:
    """What ends it now, if anything does."""
    if run.budget.is_late:
        return "max_seconds"
    if is_done:
        return "tol"
    return "max_sweeps" if run.sweeps_left < SWEEPS_OF_ALL_PAIRS else ""


def _next_sweeps(n_sweeps: int, run: Tempering, is_last: bool) -> int:
    """Sweeps of the round after one of so many: no fewer than it takes, if it is to be the last."""
    n_left = run.sweeps_left
    if is_last:
        fewest = LITTLE_WORK / run.products_of_a_sweep
        wanted = max(n_sweeps, int(np.clip(fewest, FEWEST_MEASURED, FEWEST_MEASURED_SOON)))
        wanted = min(wanted, n_left)
    else:
        # What would be too little for one more round after the next one belongs to that.
        wanted = n_left if n_left < 4 * n_sweeps else 2 * n_sweeps
    return max(SWEEPS_OF_ALL_PAIRS, wanted)


def _estimate(
    run: Tempering, found: Round, doubts: tuple[str, ...], stopped_by: str, tol: float
) -> LogPartition:
    """What the last round comes to."""
    total, travelled = found.total, found.travelled
    if found.lacking > tol:
        doubts = (*doubts, "it lacks much of a mode that rows of the fit show, and chains do not")
    rounding = _rounding(run.machine, run.ladder, run.basin)
    rounding += float(np.finfo(dtype_name(run.machine)).eps) * abs(total.value)
    error = float(np.hypot(total.error, found.lacking))
    lower = min(total.lower - total.lower_error, total.value - error) - rounding
    upper = max(total.upper + total.upper_error, total.value + error) + rounding
    return LogPartition(
        value=float(total.value),
        error=float(np.hypot(error, rounding)),
        method="tempering",
        doubts=doubts,
        lower=float(lower),
        upper=float(upper),
        barrier=travelled.barrier,
        n_round_trips=travelled.n_round_trips,
        n_chains=travelled.n_columns,
        n_temperatures=len(travelled.betas),
        n_sweeps=run.n_sweeps,
        stopped_by=stopped_by,
    )


def _rounding(machine: Machine, ladder: Ladder, basin: Basin | None) -> float:
    """How far rounding takes free energies at most, over states at β = 1 and known ones."""
    states = machine.backend.to_numpy(cold_states(ladder, machine.backend))[:ROUNDED_STATES]
    if basin is not None:
        states = np.concatenate([states, basin.known.heaviest(ROUNDED_STATES)])
    return rounding_of(machine, states)


def _doubts(found: Round, before: LadderSum | None, n_started: int) -> tuple[str, ...]:
    """What speaks against a round's sum, if anything does."""
    doubts, total, travelled = [], found.total, found.travelled
    if not (total.is_consistent and abs(total.gap) <= LARGEST_GAP):
        doubts.append(
            f"the bounds from both sides, {total.lower - total.value:+.2f} and "
            f"{total.upper - total.value:+.2f} nats from it, do not agree with it"
        )
    if before is not None:
        drift = total.value - before.value
        error = np.hypot(total.error, before.error)
        if abs(drift) > LARGEST_DEVIATION * error + SMALLEST_DIFFERENCE:
            doubts.append(f"it has moved by {drift:+.2f} nats in the last round")
    # States of the basin need not be found.
    if travelled.n_round_trips < travelled.n_columns * (1.0 - found.share):
        doubts.append(
            f"only {travelled.n_round_trips} states came from β = 0 to β = 1 in "
            f"{travelled.n_columns} columns"
        )
    if n_started > 1 and total.shares.size - n_started > 1:
        parts = total.shares[:n_started], total.shares[n_started:]
        means = [part.mean() * total.shares.size for part in parts]
        errors = [part.std(ddof=1) * total.shares.size / np.sqrt(part.size) for part in parts]
        error = np.hypot(*errors)
        if abs(means[0] - means[1]) > LARGEST_DEVIATION * error + SMALLEST_DIFFERENCE:
            doubts.append(
                f"columns that started from rows or chains of training and from independent units "
                f"differ by {means[0] - means[1]:+.2f} nats"
            )
    return tuple(doubts)
