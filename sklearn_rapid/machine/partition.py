"""The partition function: exact over the smaller layer of spins, or by tempering.

Likelihoods are in nats. Sums run in float64, and in exact sums the fields too; fields of chains
keep the machine's precision.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.basins import Basin, basin_of
from sklearn_rapid.machine.bridges import SMALLEST_DIFFERENCE, LadderSum, ladder_sum, standard_error
from sklearn_rapid.machine.known_states import (
    can_be_known,
    likely,
    log_weights_of,
    searched,
    weighed,
)
from sklearn_rapid.machine.machine import Machine
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

# States enumerated at a time: a few megabytes of log-probabilities.
STATES_PER_CHUNK = 1 << 19

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
# Known states of a smaller share of Z, in nats, are left alone; those of less than that of a ladder
# that has not been told of them are not even searched for.
LOG_SHARE_THAT_COUNTS, LOG_SHARE_TO_SEARCH = -9.0, -20.0
# The errors of a basin's weight and of log Z: one part of `tol` in so many. Its chains take no more
# than a part of all rows.
BASIN_TOL, BASIN_ROWS = 8.0, 4.0
# Columns that start from where chains from known states have gone.
N_STARTED_FROM_BASIN = 4
# What no look has seen is as likely as so many looks in all, or less: but once in e² times.
UNSEEN_LOOKS = 2.0
# States that tell what the rounding of fields comes to.
ROUNDED_STATES = 64
# In training, log Z is taken anew each epoch, in little time.
FIRST_FOLLOWED_ROUND, LONGEST_FOLLOWED_ROUND, FOLLOWED_TOL = 32, 128, 0.15
# Differences of more than so many errors are no accident.
LARGEST_DEVIATION = 4.0
# Bounds that are further apart, in nats, are carried by so few states that their errors say little.
LARGEST_GAP = 1.0


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z, with what is needed to judge it.

    Attributes
    ----------
    value : float
        log Z in nats.
    error : float
        Standard error of `value` in nats, infinite if unknown. It speaks for the chains that were
        run, and cannot know of modes that neither they nor rows of the fit have shown. For "exact":
        what rounding may add up to.
    method : {"exact", "tempering", "ais"}
    doubts : tuple of str
        What speaks against the estimate; empty if nothing does.
    lower, upper : float
        For "tempering": one-sided estimates, from the states of each pair's lower rung and from
        those of its upper rung, each a standard error further out. Without that, bounds of log Z
        in expectation, if chains are at equilibrium; NaN for other methods. (An annealed `value` is
        itself a lower bound in expectation.)
    barrier : float
        For "tempering": Λ, the rejections of exchanges along the ladder added up. NaN otherwise.
    n_round_trips : int
        For "tempering": states that came from β = 0 to β = 1 while `value` was measured.
    effective_sample_size : float
        For "ais": (Σw)² / Σw² of the importance weights, between 1 and the number of chains; NaN
        otherwise.
    n_chains : int
        Columns of the ladder, or annealed chains; zero if exact.
    n_temperatures : int
        Rungs of the ladder, or annealing's temperatures; zero if exact.
    n_sweeps : int
        For "tempering": sweeps of all rounds; `value` is of the last one.
    stopped_by : {"tol", "max_sweeps", "max_seconds", ""}
        For "tempering": what ended it.

    Examples
    --------
    >>> LogPartition(12.5).method
    'exact'
    """

    value: float
    error: float = 0.0
    method: str = "exact"
    doubts: tuple[str, ...] = ()
    lower: float = float("nan")
    upper: float = float("nan")
    barrier: float = float("nan")
    n_round_trips: int = 0
    effective_sample_size: float = float("nan")
    n_chains: int = 0
    n_temperatures: int = 0
    n_sweeps: int = 0
    stopped_by: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether nothing speaks against the estimate."""
        return not self.doubts


def enumerate_spins(n_spins: int, start: int, stop: int, backend: Any, dtype: str) -> Any:
    """States number `start` to `stop` of all 2^n, bit j of the number being spin j.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> enumerate_spins(2, 0, 4, get_backend("numpy"), "float32")
    array([[-1., -1.],
           [ 1., -1.],
           [-1.,  1.],
           [ 1.,  1.]], dtype=float32)
    """
    return backend.spins_of_numbers(start, stop, n_spins, dtype)


def smaller_layer_first(machine: Machine) -> Machine:
    """The machine or its transpose: the smaller layer that is made of spins is the visible one.

    Raises ValueError if there is none.
    """
    swapped = machine.transposed()
    found = [m for m in (machine, swapped) if m.visible_units.are_spins]
    if not found:
        raise ValueError("a sum over all states needs a layer that is made of spins")
    return min(found, key=lambda m: m.n_visible)


def n_enumerated(machine: Machine) -> float:
    """Spins whose states an exact sum would enumerate: infinity if no layer is made of spins."""
    if machine.visible_units.are_spins or machine.hidden_units.are_spins:
        return smaller_layer_first(machine).n_visible
    return np.inf


def exact_log_partition(machine: Machine, states: np.ndarray | None = None) -> LogPartition:
    """log Z by summing exp(-F) over all states of the smaller layer of spins, fields in float64.

    The layer is cut in two: the field of a state is the sum of what its halves add to it, so that
    2^(n/2) fields of each half take the place of 2^n products. Without biases a state and its
    negative weigh the same, and half of the states are enough. Raises ValueError if no layer is
    made of spins.

    Parameters
    ----------
    machine : Machine
    states : array of shape (n, V), optional
        Visible states on the host. How far rounding takes their free energies in the machine's own
        precision, which their likelihoods are made of, belongs to the error then.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((3, 2))), np.zeros(3), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> print(f"{exact_log_partition(machine).value / np.log(2):.3f}")
    5.000
    """
    dtype = dtype_name(machine)
    of_rows = rounding_of(machine, states[:ROUNDED_STATES]) if _has_rows(states) else 0.0
    machine = smaller_layer_first(machine).in_float64()
    backend, n_low = machine.backend, machine.n_visible // 2
    low, low_energy = _fields_of_spins(machine, slice(0, n_low))
    high, high_energy = _fields_of_spins(machine, slice(n_low, machine.n_visible))
    high = high + machine.hidden_bias
    n_high = high.shape[0]
    # The first half of these states has the last spin at -1.
    halved = machine.n_visible > 0 and machine.is_symmetric
    n_high = n_high // 2 if halved else n_high
    rows_per_chunk = max(1, STATES_PER_CHUNK // low.shape[0])
    sums = []
    for start in range(0, n_high, rows_per_chunk):
        rows = slice(start, min(start + rows_per_chunk, n_high))
        log_p = machine.hidden_units.log_partition_of_sums(high[rows, :], low, backend, dtype)
        log_p = backend.to_numpy(log_p + high_energy[rows, None] + low_energy[None, :])
        sums.append(logsumexp(log_p))
    value = float(logsumexp(sums) + (np.log(2.0) if halved else 0.0))
    # A few roundings of each term, of which only log(1 + exp(-2|θ|)) is in the machine's type.
    of_logs = 2.0 * machine.n_hidden * float(np.finfo(dtype).eps)
    largest_term = abs(value) + float(backend.xp.sum(backend.xp.abs(machine.visible_bias)))
    of_sums = 4.0 * float(np.finfo(np.float64).eps) * largest_term
    return LogPartition(value, of_rows + of_logs + of_sums)


def _has_rows(states: np.ndarray | None) -> bool:
    return states is not None and len(states) > 0


def _fields_of_spins(machine: Machine, spins: slice) -> tuple[Any, Any]:
    """What all states of some visible spins add to the hidden field and to b·v."""
    backend, xp = machine.backend, machine.backend.xp
    n_spins = spins.stop - spins.start
    bias = machine.visible_bias[spins]
    states = enumerate_spins(n_spins, 0, 2**n_spins, backend, dtype_name(machine))
    fields = states @ machine.couplings.to_dense().weights[spins, :]
    return fields, xp.sum(states * bias, axis=1, dtype=xp.float64)


def dtype_name(machine: Machine) -> str:
    """The name of the type that the machine's fields have."""
    return str(machine.visible_bias.dtype).rpartition(".")[2]


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
        total = _with_basin(found.total, basin, of_columns, UNSEEN_LOOKS / in_basin.size)
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
    as many as the barrier calls for. Only the last round counts (see `sklearn_rapid.bridges`).

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
        looked for around them, and summed over exactly (see `sklearn_rapid.known_states` and
        `sklearn_rapid.basins`).

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
            basin = _basin(machine, states, found.total.value, tol, stream, budget)
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
    if _has_rows(states) and can_be_known(machine):
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


def _basin(
    machine: Machine,
    states: np.ndarray | None,
    log_z: float,
    tol: float,
    stream: RandomStream,
    budget: Budget,
) -> Basin | None:
    """The basin of known states around some, if these have a share of Z that counts."""
    if states is None or not can_be_known(machine):
        return None
    known = likely(machine, states)
    if known.log_total < log_z + LOG_SHARE_TO_SEARCH:
        return None
    known = searched(machine, known)
    if known.log_total < log_z + LOG_SHARE_THAT_COUNTS:
        return None
    how = {"tol": tol / BASIN_TOL, "max_rows": budget.max_rows / BASIN_ROWS}
    return basin_of(known, machine, log_z, stream, **how)


def _with_basin(total: LadderSum, basin: Basin, of_columns: np.ndarray, least: float) -> LadderSum:
    """log Z of a basin and of the rest, given the basin's share of each column's states.

    Where the ladder has more or fewer of the basin than it should, its log Z is off by just what
    they are: that of the rest, log Z_ladder + log(1 - share), is not. Where all states are of the
    basin, the rest is rarer than the least share that could be seen, which is the error then.
    """
    share, log_basin = float(of_columns.mean()), basin.log_total
    if share == 1.0:
        error = float(np.hypot(least, basin.relative_error))
        none = np.zeros_like(of_columns)
        return LadderSum(log_basin, error, log_basin, error, log_basin, error, none)
    value, lower, upper = (
        float(np.logaddexp(log_basin, bound + np.log1p(-share)))
        for bound in (total.value, total.lower, total.upper)
    )
    of_rest = float(np.exp(total.value + np.log1p(-share) - value))
    of_share = (of_columns - of_columns.mean()) / (of_columns.size * (1.0 - share))
    shares = of_rest * (total.shares - of_share)
    of_basin = (1.0 - of_rest) * basin.relative_error
    return LadderSum(
        value,
        float(np.hypot(standard_error(shares), of_basin)),
        lower,
        float(np.hypot(of_rest * total.lower_error, of_basin)),
        upper,
        float(np.hypot(of_rest * total.upper_error, of_basin)),
        shares,
    )


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
        value=total.value,
        error=float(np.hypot(error, rounding)),
        method="tempering",
        doubts=doubts,
        lower=lower,
        upper=upper,
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


def rounding_of(machine: Machine, states: np.ndarray) -> float:
    """How far rounding takes the free energies of some states from exact ones, at most, in nats."""
    exact = log_weights_of(machine.in_float64(), states)
    off = np.abs(log_weights_of(machine, states) - exact)
    return float(off.max() + np.finfo(np.float64).eps * np.abs(exact).max())


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
