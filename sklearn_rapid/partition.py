"""The partition function: exact over the smaller layer of spins, or by tempering.

Likelihoods are in nats. Sums run in float64, and in exact sums the fields too; fields of chains
keep the machine's precision.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.bridges import LadderSum, ladder_sum
from sklearn_rapid.machine import Machine
from sklearn_rapid.tempering import (
    Ladder,
    Travels,
    adapted,
    base_log_partition,
    build,
    sweep,
    travels,
)

# States enumerated at a time: a few megabytes of log-probabilities.
STATES_PER_CHUNK = 1 << 19

# A ladder's first round: rungs at equal distances in β, and a few sweeps. Rounds double.
FIRST_RUNGS, FIRST_SWEEPS = 8, 16
# Each sweep has every other pair of neighbours.
SWEEPS_OF_ALL_PAIRS = 2
SWEEPS_AT_ONCE = 64
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
        run, and cannot know of modes that none of them found. For "exact": what rounding may add
        up to.
    method : {"exact", "tempering", "ais"}
    doubts : tuple of str
        What speaks against the estimate; empty if nothing does.
    lower, upper : float
        For "tempering": one-sided estimates, from the states of each pair's lower rung and from
        those of its upper rung. Bounds of log Z in expectation, if chains are at equilibrium; NaN
        for other methods. (An annealed `value` is itself a lower bound in expectation.)
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
        For "tempering": sweeps in all, about half of them in the last round, which `value` is of.
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


def exact_log_partition(machine: Machine) -> LogPartition:
    """log Z by summing exp(-F) over all states of the smaller layer of spins, fields in float64.

    The layer is cut in two: the field of a state is the sum of what its halves add to it, so that
    2^(n/2) fields of each half take the place of 2^n products. Without biases a state and its
    negative weigh the same, and half of the states are enough. Raises ValueError if no layer is
    made of spins.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((3, 2))), np.zeros(3), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> print(f"{exact_log_partition(machine).value / np.log(2):.3f}")
    5.000
    """
    dtype = dtype_name(machine)
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
    return LogPartition(value, of_logs + 4.0 * float(np.finfo(np.float64).eps) * largest_term)


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


def tempered_log_partition(
    machine: Machine,
    stream: RandomStream,
    *,
    start: Any = None,
    betas: np.ndarray | None = None,
    n_columns: int = 24,
    tol: float = 0.1,
    max_sweeps: int = 2000,
    max_seconds: float = np.inf,
) -> tuple[LogPartition, Ladder]:
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
    max_seconds : float
        A limit that depends on the machine's mood: with it results are not repeatable.

    Returns
    -------
    LogPartition
    Ladder
        After the last sweep.
    """
    deadline = time.perf_counter() + max_seconds
    betas = np.linspace(0.0, 1.0, FIRST_RUNGS) if betas is None else betas
    start = None if start is None else start[: n_columns // 2, :]
    n_started = 0 if start is None else start.shape[0]
    ladder = build(machine, betas, n_columns, stream, start)
    machine = machine.for_rows(2 * max_sweeps * n_columns * len(betas))
    n_spent, n_sweeps, before, stopped_by = 0, min(FIRST_SWEEPS, max_sweeps), None, ""
    while True:
        ladder, total = _measured_round(ladder, machine, n_sweeps, stream, deadline)
        n_spent += ladder.n_sweeps
        travelled = travels(ladder, machine.backend)
        doubts = _doubts(total, before, travelled, n_started)
        if time.perf_counter() > deadline:
            stopped_by = "max_seconds"
        elif total.error <= tol and before is not None and not doubts:
            stopped_by = "tol"
        elif max_sweeps - n_spent < SWEEPS_OF_ALL_PAIRS:
            stopped_by = "max_sweeps"
        if stopped_by:
            break
        ladder, before = adapted(ladder, machine.backend), total
        left = max_sweeps - n_spent
        n_sweeps = left if left < 4 * n_sweeps else 2 * n_sweeps
    log_base = base_log_partition(ladder.base, machine)
    return LogPartition(
        value=log_base + total.value,
        error=total.error,
        method="tempering",
        doubts=doubts,
        lower=log_base + total.lower,
        upper=log_base + total.upper,
        barrier=travelled.barrier,
        n_round_trips=travelled.n_round_trips,
        n_chains=n_columns,
        n_temperatures=len(travelled.betas),
        n_sweeps=n_spent,
        stopped_by=stopped_by,
    ), ladder


def followed_log_partition(
    ladder: Ladder, machine: Machine, stream: RandomStream
) -> tuple[float, float]:
    """log Z by the ladder of a model in training, and its error.

    Rounds of sweeps from where the ladder is, each twice as long, until the states have caught up
    with the model. Where they do not, the error says by how much.
    """
    machine = machine.for_rows(2 * LONGEST_FOLLOWED_ROUND * ladder.states.shape[0])
    n_sweeps = FIRST_FOLLOWED_ROUND
    while True:
        ladder, total = _measured_round(ladder, machine, n_sweeps, stream, np.inf)
        is_done = total.error <= FOLLOWED_TOL and total.is_consistent
        if is_done or 2 * n_sweeps > LONGEST_FOLLOWED_ROUND:
            value = base_log_partition(ladder.base, machine) + total.value
            return value, float(np.hypot(total.error, max(0.0, -total.gap)))
        n_sweeps *= 2


def _measured_round(
    ladder: Ladder, machine: Machine, n_sweeps: int, stream: RandomStream, deadline: float
) -> tuple[Ladder, LadderSum]:
    """The ladder after so many sweeps, fewer if time is over, and what they say of log Z."""
    seen, parity = [], ladder.n_sweeps % 2
    while n_sweeps > 0 and (not seen or time.perf_counter() < deadline):
        n = min(n_sweeps, SWEEPS_AT_ONCE)
        ladder, log_ratios = sweep(ladder, machine, n, stream)
        seen.append(machine.backend.to_numpy(log_ratios).reshape(n, ladder.n_columns, -1))
        n_sweeps -= n
    return ladder, ladder_sum(np.concatenate(seen), parity)


def _doubts(
    total: LadderSum, before: LadderSum | None, travelled: Travels, n_started: int
) -> tuple[str, ...]:
    """What speaks against a ladder's sum, if anything does."""
    doubts = []
    if not (total.is_consistent and abs(total.gap) <= LARGEST_GAP):
        doubts.append(
            f"the bounds from both sides, {total.lower - total.value:+.2f} and "
            f"{total.upper - total.value:+.2f} nats from it, do not agree with it"
        )
    if before is not None:
        drift = total.value - before.value
        if abs(drift) > LARGEST_DEVIATION * np.hypot(total.error, before.error):
            doubts.append(f"it has moved by {drift:+.2f} nats in the last round")
    if travelled.n_round_trips < travelled.n_columns:
        doubts.append(
            f"only {travelled.n_round_trips} states came from β = 0 to β = 1 in "
            f"{travelled.n_columns} columns"
        )
    if n_started > 1 and total.shares.size - n_started > 1:
        parts = total.shares[:n_started], total.shares[n_started:]
        means = [part.mean() * total.shares.size for part in parts]
        errors = [part.std(ddof=1) * total.shares.size / np.sqrt(part.size) for part in parts]
        if abs(means[0] - means[1]) > LARGEST_DEVIATION * np.hypot(*errors):
            doubts.append(
                f"columns that started from chains of training and from independent units "
                f"differ by {means[0] - means[1]:+.2f} nats"
            )
    return tuple(doubts)
