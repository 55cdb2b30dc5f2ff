"""Estimate log Z by parallel tempering, and by summing over known states.

A ladder runs in rounds of doubling length, and places its β again after each. Only the last round
counts: the decision to stop does not depend on it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.basins import LOG_SHARE_THAT_COUNTS, Basin, add_basin, find_basin
from sklearn_rapid.machine.bridges import SMALLEST_DIFFERENCE, LadderSum, ladder_sum
from sklearn_rapid.machine.known_states import has_discrete_states, weigh_states
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import (
    ROUNDED_STATES,
    LogPartition,
    dtype_name,
    has_rows,
    rounding_error,
)
from sklearn_rapid.machine.tempering import (
    Ladder,
    Travels,
    adapt_ladder,
    base_log_partition,
    build_ladder,
    cold_states,
    count_travels,
    sweep_ladder,
)

# The first round: rungs at equal distances in β, and sweeps. Rounds double.
FIRST_RUNGS, FIRST_SWEEPS = 8, 16
# Each sweep has every other pair of neighbours.
SWEEPS_OF_ALL_PAIRS = 2
# The last round has as many sweeps as the one that called for no more, but at least the first of
# these, or the second where that is little work in multiply-adds.
FEWEST_MEASURED, FEWEST_MEASURED_SOON, LITTLE_WORK = 128, 512, 1e10
# Limits of one call in sweeps and in multiply-adds, since calls cannot be interrupted; fewer sweeps
# where a basin needs the states in between.
SWEEPS_AT_ONCE, PRODUCTS_AT_ONCE, SWEEPS_TO_LOOK = 64, 4e9, 8
# Columns that start where chains from known states have gone. What n looks have not seen has a
# probability of at most 2 / n, but for one case in e² = 7.
N_STARTED_FROM_BASIN, UNSEEN_LOOKS = 4, 2.0
# In training log Z is estimated each epoch, and quickly.
FIRST_FOLLOWED_ROUND, LONGEST_FOLLOWED_ROUND, FOLLOWED_TOL = 32, 128, 0.15
# Differences of more errors are significant. Bounds further apart, in nats, rest on so few states
# that their errors say little.
LARGEST_DEVIATION, LARGEST_GAP = 4.0, 1.0


@dataclass(frozen=True)
class Budget:
    """Limits of a run.

    Attributes
    ----------
    max_sweeps : int
    max_rows : float
        Of all sweeps: a row is mapped by the couplings both ways.
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
        """The number of sweeps left after `n_sweeps` of `n_rows` rows in all."""
        by_rows = (self.max_rows - n_rows) / rows_of_a_sweep
        return int(max(0, min(self.max_sweeps - n_sweeps, by_rows)))

    @property
    def is_late(self) -> bool:
        """Whether the deadline is over."""
        return time.perf_counter() > self.deadline


@dataclass(frozen=True)
class Round:
    """The results of one round of sweeps.

    Attributes
    ----------
    total : LadderSum
        log Z, with the basin of known states.
    travelled : Travels
    n_sweeps : int
    share : float
        The share of the states at β = 1 that are in the basin.
    unfound : float
        An estimate of the share of Z that lies around known states, beyond their basin, and that
        the ladder has not found.
    """

    total: LadderSum
    travelled: Travels
    n_sweeps: int
    share: float = 0.0
    unfound: float = 0.0


@dataclass
class TemperingRun:
    """Rounds of sweeps of a ladder, with a basin of known states if there is one.

    Attributes
    ----------
    machine, stream, ladder, budget, basin : see their types
    n_started : int
        How many of the first columns have not started from the base.
    n_sweeps, n_rows : int and float
        What has been used of the budget.
    """

    machine: Machine
    stream: RandomStream
    ladder: Ladder
    budget: Budget
    basin: Basin | None = None
    n_started: int = 0
    n_sweeps: int = 0
    n_rows: float = 0.0

    @property
    def sweeps_left(self) -> int:
        """The number of sweeps that the budget has left."""
        return self.budget.sweeps_left(self.n_sweeps, self.n_rows, self.ladder.states.shape[0])

    @property
    def products_of_a_sweep(self) -> float:
        """The approximate number of multiply-adds of a sweep."""
        n_visible, n_hidden = self.machine.couplings.shape
        return 2.0 * self.ladder.states.shape[0] * n_visible * n_hidden

    def measure(self, n_sweeps: int) -> Round:
        """Run `n_sweeps` sweeps, fewer if time is over, and estimate log Z by them."""
        backend, parity, log_ratios, looks = self.machine.backend, self.ladder.n_sweeps % 2, [], []
        at_once = int(np.clip(PRODUCTS_AT_ONCE / self.products_of_a_sweep, 1, SWEEPS_AT_ONCE))
        if self.basin is not None:
            at_once = min(at_once, SWEEPS_TO_LOOK)
        n_left = n_sweeps
        while n_left > 0 and (n_sweeps - n_left < SWEEPS_OF_ALL_PAIRS or not self.budget.is_late):
            n = min(n_left, at_once)
            self.ladder, ratios = sweep_ladder(self.ladder, self.machine, n, self.stream)
            log_ratios.append(backend.to_numpy(ratios).reshape(n, self.ladder.n_columns, -1))
            n_left -= n
            if self.basin is not None:
                cold = cold_states(self.ladder, backend)
                looks.append(backend.to_numpy(cold).astype(np.int8))
        n_sweeps -= n_left
        self.n_sweeps += n_sweeps
        self.n_rows += float(n_sweeps) * self.ladder.states.shape[0]
        total = ladder_sum(np.concatenate(log_ratios), parity)
        base = base_log_partition(self.ladder.base, self.machine)
        sums = {name: getattr(total, name) + base for name in ("value", "lower", "upper")}
        travelled = count_travels(self.ladder, backend)
        found = Round(replace(total, **sums), travelled, n_sweeps)
        return found if self.basin is None else self._add_basin(found, np.array(looks), self.basin)

    def adapt(self) -> None:
        """Place the β by the counters of the ladder."""
        self.ladder = adapt_ladder(self.ladder, self.machine.backend)

    def take_basin(self, basin: Basin, start: Any) -> None:
        """Go on with a basin, and with new states, half of them from outside of it.

        Half of the columns start from states of `start`, or where chains have left the basin to,
        but in no known state: these are summed over exactly, and would trap the columns.
        """
        self.basin = basin
        states = basin.outside[:N_STARTED_FROM_BASIN]
        if start is not None:
            start = self.machine.backend.to_numpy(start)
            states = np.concatenate([states, start[~basin.known.contain(start)]])
        states = states[: self.ladder.n_columns // 2]
        self.n_started = len(states)
        start = self.machine.cast(states) if len(states) else None
        betas = np.array(self.ladder.betas)
        self.ladder = build_ladder(self.machine, betas, self.ladder.n_columns, self.stream, start)

    def _add_basin(self, found: Round, looks: np.ndarray, basin: Basin) -> Round:
        """Add the basin to a round, given looks at the states at β = 1: (n_looks, n_cold, V)."""
        states = looks.reshape(-1, self.machine.n_visible)
        in_basin = basin.contain(self.machine, states, self.stream)
        self.n_rows += float(basin.n_steps) * len(states)
        of_columns = in_basin.reshape(len(looks), self.ladder.n_columns, -1).mean(axis=(0, 2))
        total = add_basin(found.total, basin, of_columns, UNSEEN_LOOKS / in_basin.size)
        found = replace(found, total=total, share=float(of_columns.mean()))
        # Columns that started in the basin have not found it.
        others = of_columns[self.n_started :]
        others = others if others.size else np.zeros(1)
        # What the others may have missed by chance is not unfound.
        most = others.mean() + LARGEST_DEVIATION * others.std() / np.sqrt(others.size)
        unfound = float(np.exp(basin.log_total - total.value) - most)
        if in_basin.all() or unfound <= 0.0:
            return found
        beyond = basin.odds_beyond(states[~in_basin].mean(axis=0)) / (1.0 + basin.odds)
        return replace(found, unfound=unfound * beyond)


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
    """Estimate log Z by parallel tempering and bridges between neighbouring temperatures.

    Rounds of sweeps double in length, and between them the β are placed again, as many as the
    barrier needs. Only the last round counts (`sklearn_rapid.machine.bridges`).

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    start : array of shape (n, V), optional
        Where half of the columns start; the others start from the base. A mode that only one half
        has found shows as a difference between them.
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
        A limit in time: results are then not repeatable.
    states : array of shape (n, V), optional
        Visible states on the host that may be modes, such as rows of the data: likely states around
        them are summed over exactly (`sklearn_rapid.machine.known_states`, `.basins`).

    Returns
    -------
    LogPartition
    Ladder
        After the last sweep.
    Basin or None
        Of known states, if their share of Z is large enough to count.
    """
    budget = Budget(max_sweeps, max_rows, time.perf_counter() + max_seconds)
    betas = np.linspace(0.0, 1.0, FIRST_RUNGS) if betas is None else betas
    start = None if start is None else start[: n_columns // 2, :]
    n_started = 0 if start is None else start.shape[0]
    ladder = build_ladder(machine, betas, n_columns, stream, start)
    machine = machine.for_rows(2 * max_sweeps * n_columns * len(betas))
    run = TemperingRun(machine, stream, ladder, budget, n_started=n_started)
    before, is_last, n_sweeps = None, False, min(FIRST_SWEEPS, max_sweeps)
    for n_rounds in count(1):
        found = run.measure(n_sweeps)
        doubts = _doubts(found, before, run.n_started)
        stopped_by = _stopped_by(run, is_last and not doubts)
        if stopped_by:
            break
        is_last = n_rounds > 1 and found.total.error <= tol and not doubts
        before = found.total
        run.adapt()
        if n_rounds == 1:
            basin = find_basin(machine, states, found.total.value, stream, tol, max_rows)
            if basin is not None:
                # log Z without the basin may have been a different one.
                before = None
                run.take_basin(basin, start)
        n_sweeps = _next_sweeps(n_sweeps, run, is_last)
    return _estimate(run, found, doubts, stopped_by, tol), run.ladder, run.basin


def followed_log_partition(
    ladder: Ladder, machine: Machine, stream: RandomStream, states: np.ndarray | None = None
) -> tuple[float, float]:
    """Estimate log Z and its error by the ladder of a model in training.

    Rounds of sweeps start from where the ladder is and double until the states have caught up with
    the model. If they do not, the error says by how much. `states` as in `tempered_log_partition`,
    but without a search around them.
    """
    machine = machine.for_rows(2 * LONGEST_FOLLOWED_ROUND * ladder.states.shape[0])
    run = TemperingRun(machine, stream, ladder, Budget(LONGEST_FOLLOWED_ROUND))
    if has_rows(states) and has_discrete_states(machine):
        run.basin = Basin(weigh_states(machine, states))
    n_sweeps = FIRST_FOLLOWED_ROUND
    while True:
        total = run.measure(n_sweeps).total
        is_done = total.error <= FOLLOWED_TOL and total.is_consistent
        if is_done or 2 * n_sweeps > LONGEST_FOLLOWED_ROUND:
            return total.value, float(np.hypot(total.error, max(0.0, -total.gap)))
        if run.basin is not None and run.basin.log_total < total.value + LOG_SHARE_THAT_COUNTS:
            run.basin = None
        n_sweeps *= 2


def _stopped_by(run: TemperingRun, is_done: bool) -> str:
    """The reason to stop now, or an empty string."""
    if run.budget.is_late:
        return "max_seconds"
    if is_done:
        return "tol"
    return "max_sweeps" if run.sweeps_left < SWEEPS_OF_ALL_PAIRS else ""


def _next_sweeps(n_sweeps: int, run: TemperingRun, is_last: bool) -> int:
    """The number of sweeps of the round after one of `n_sweeps`."""
    n_left = run.sweeps_left
    if not is_last:
        # A remainder too short for one more round is added to the next one.
        wanted = n_left if n_left < 4 * n_sweeps else 2 * n_sweeps
    else:
        fewest = LITTLE_WORK / run.products_of_a_sweep
        fewest = int(np.clip(fewest, FEWEST_MEASURED, FEWEST_MEASURED_SOON))
        wanted = min(max(n_sweeps, fewest), n_left)
    return max(SWEEPS_OF_ALL_PAIRS, wanted)


def _estimate(
    run: TemperingRun, found: Round, doubts: tuple[str, ...], stopped_by: str, tol: float
) -> LogPartition:
    """The estimate of the last round."""
    total, travelled = found.total, found.travelled
    if found.unfound > tol:
        doubts = (*doubts, "it lacks much of a mode that rows of the fit show, and chains do not")
    rounding = _rounding(run) + float(np.finfo(dtype_name(run.machine)).eps) * abs(total.value)
    error = float(np.hypot(total.error, found.unfound))
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


def _rounding(run: TemperingRun) -> float:
    """Measure the rounding of free energies, of states at β = 1 and of known ones."""
    backend = run.machine.backend
    states = backend.to_numpy(cold_states(run.ladder, backend))[:ROUNDED_STATES]
    if run.basin is not None:
        states = np.concatenate([states, run.basin.known.heaviest(ROUNDED_STATES)])
    return rounding_error(run.machine, states)


def _doubts(found: Round, before: LadderSum | None, n_started: int) -> tuple[str, ...]:
    """Reasons to distrust a round's sum."""
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
    # The ladder need not find states of the basin.
    if travelled.n_round_trips < travelled.n_columns * (1.0 - found.share):
        doubts.append(
            f"only {travelled.n_round_trips} states came from β = 0 to β = 1 in "
            f"{travelled.n_columns} columns"
        )
    parts = total.shares[:n_started], total.shares[n_started:]
    if min(part.size for part in parts) > 1:
        means = [part.mean() * total.shares.size for part in parts]
        errors = [part.std(ddof=1) * total.shares.size / np.sqrt(part.size) for part in parts]
        if abs(means[0] - means[1]) > LARGEST_DEVIATION * np.hypot(*errors) + SMALLEST_DIFFERENCE:
            doubts.append(
                f"columns that started from rows or chains of training and from independent units "
                f"differ by {means[0] - means[1]:+.2f} nats"
            )
    return tuple(doubts)
