"""Ladders for parallel tempering: chains at many inverse temperatures that exchange their states.

    log f_β(v) = (1-β) a·v + β b·v + log base(v) + Γ(β θ),    0 = β_0 < β_1 < ... < β_R = 1

with Γ(β θ) = Σ_α log 2cosh(β θ_α) and no base measure where units are spins. Each column of a
ladder has one chain, its replica, on every rung β. At β = 0 units are independent and each sweep
draws a new state (in no field, a = 0: fields of the data's means make short ladders blind to rare
modes, docs/design_notes/tempering.md). A state that climbs from there to β = 1 is an independent
sample. Even and odd pairs of neighbours exchange states in turn, so that states travel and do not
diffuse (Okabe et al. 2001; Syed, Bouchard-Côté, Deligiannidis, Doucet 2022, "Non-reversible
parallel tempering", JRSS B 84).

The shares r of rejected exchanges between neighbours add up to the barrier Λ = Σ r, a measure of
how hard the machine is to sample that hardly depends on the number of rungs. The β are placed so
that all pairs reject the same share. A ladder is immutable: `sweep_ladder` returns the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import DRAWS_PER_SWEEP, RandomStream, Tempered
from sklearn_rapid.machine.machine import Machine

# Pairs of rungs count with this rejection at least, which keeps β apart. Rungs per unit of the
# barrier: by Syed et al., two give most round trips per sweep and row.
SMALLEST_REJECTION, RUNGS_PER_BARRIER = 0.01, 2.0


@dataclass(frozen=True)
class Ladder:
    """Independent columns of chains at the same inverse temperatures, one chain a rung.

    Attributes
    ----------
    betas : tuple of n_rungs floats
        In rising order, from 0 to 1. Several rungs may be at β = 1: they exchange states too.
    base : array of shape (V,)
        a, the fields at β = 0.
    states : array of shape (n_columns * n_rungs, V)
        Row c * n_rungs + r is column c at rung r.
    origin, arrivals : arrays of shape (n_columns * n_rungs,) and (n_columns,)
        See `sklearn_rapid.backends.Tempered`.
    accepted : array of shape (n_rungs - 1,)
        Sums of the acceptance probabilities of exchanges between neighbours.
    n_sweeps : int
        Since the ladder was built or its β last changed.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import RandomStream, get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.eye(3)), np.zeros(3), np.zeros(3),
    ...                   get_backend("numpy"))
    >>> ladder = build_ladder(machine, np.array([0.0, 0.5, 1.0]), 10, RandomStream(0))
    >>> ladder, log_ratios = sweep_ladder(ladder, machine, 20, RandomStream(1))
    >>> cold_states(ladder, machine.backend).shape, log_ratios.shape
    ((10, 3), (20, 30))
    >>> count_travels(ladder, machine.backend).n_round_trips > 10
    True
    """

    betas: tuple[float, ...]
    base: Any
    states: Any
    origin: Any
    arrivals: Any
    accepted: Any
    n_sweeps: int = 0

    @property
    def n_rungs(self) -> int:
        """The number of rungs of a column."""
        return len(self.betas)

    @property
    def n_columns(self) -> int:
        """The number of columns."""
        return self.arrivals.shape[0]

    @property
    def top(self) -> int:
        """The first rung at β = 1."""
        return int(np.searchsorted(self.betas, 1.0))


@dataclass(frozen=True)
class Travels:
    """How states have travelled along a ladder since its β last changed.

    Attributes
    ----------
    betas : array of shape (n_rungs,)
        With one rung at β = 1.
    rejections : array of shape (n_rungs - 1,)
        The share of rejected exchanges of each pair of neighbours, in [0, 1].
    n_round_trips : int
        States drawn at β = 0 that have arrived at β = 1, in all columns.
    n_columns, n_sweeps : int

    Examples
    --------
    >>> travels = Travels(np.array([0.0, 0.4, 1.0]), np.array([0.25, 0.5]), 3, 2, 10)
    >>> travels.barrier
    0.75
    """

    betas: np.ndarray
    rejections: np.ndarray
    n_round_trips: int
    n_columns: int
    n_sweeps: int

    @property
    def barrier(self) -> float:
        """Λ, the sum of all rejections."""
        return float(np.sum(self.rejections))

    @property
    def local_barrier(self) -> np.ndarray:
        """The density of the barrier, λ(β), between each pair of rungs: shape (n_rungs - 1,)."""
        return self.rejections / np.diff(self.betas)


def count_travels(ladder: Ladder, backend: Any) -> Travels:
    """Read the counters of a ladder."""
    pairs = np.arange(ladder.top)
    n_tried = ladder.n_columns * ((ladder.n_sweeps + 1 - pairs % 2) // 2)
    accepted = np.nan_to_num(backend.to_numpy(ladder.accepted))[: ladder.top]
    return Travels(
        betas=np.array(ladder.betas[: ladder.top + 1]),
        rejections=np.clip(1.0 - accepted / np.maximum(n_tried, 1), 0.0, 1.0),
        n_round_trips=int(backend.to_numpy(ladder.arrivals).sum()),
        n_columns=ladder.n_columns,
        n_sweeps=ladder.n_sweeps,
    )


def cold_states(ladder: Ladder, backend: Any) -> Any:
    """Take the states at β = 1, column by column: shape (n_columns * n_rungs at β = 1, V)."""
    by_rung = backend.xp.reshape(ladder.states, (ladder.n_columns, ladder.n_rungs, -1))
    return backend.xp.reshape(by_rung[:, ladder.top :, :], (-1, ladder.states.shape[1]))


def build_ladder(
    machine: Machine,
    betas: np.ndarray,
    n_columns: int,
    stream: RandomStream,
    start: Any = None,
    base: Any = None,
) -> Ladder:
    """Build a ladder whose states are drawn from the base.

    Parameters
    ----------
    machine : Machine
    betas : array of shape (n_rungs,)
        From 0 to 1, in rising order.
    n_columns : int
    stream : RandomStream
    start : array of shape (n_started, V), optional
        States that the first columns start from, on all rungs. The others start from the base.
    base : array of shape (V,), optional
        a; None is zero.
    """
    backend, xp, dtype = machine.backend, machine.backend.xp, machine.visible_bias.dtype
    base = xp.astype(xp.zeros(machine.n_visible) if base is None else backend.asarray(base), dtype)
    states = machine.sample_independent(n_columns * len(betas), base, stream)
    if start is not None:
        n_started = min(n_columns, start.shape[0]) * len(betas)
        rows = backend.asarray(np.arange(n_started) // len(betas), "int64")
        states[:n_started, :] = xp.take(start, rows, axis=0)
    return ladder_of_states(backend, round_betas(betas), base, states)


def ladder_of_states(backend: Any, betas: Any, base: Any, states: Any) -> Ladder:
    """Build a ladder of these states, column by column, with its counters at zero."""
    xp, n_rows = backend.xp, states.shape[0]
    return Ladder(
        betas=tuple(map(float, betas)),
        base=base,
        states=states,
        origin=xp.zeros(n_rows, dtype=xp.int8),
        arrivals=xp.zeros(n_rows // len(betas), dtype=xp.int64),
        accepted=xp.zeros(len(betas) - 1, dtype=xp.float64),
    )


def reset_counters(ladder: Ladder, backend: Any) -> Ladder:
    """Set the counters of a ladder to zero."""
    return ladder_of_states(backend, ladder.betas, ladder.base, ladder.states)


def sweep_ladder(
    ladder: Ladder, machine: Machine, n_sweeps: int, stream: RandomStream, free: Any = None
) -> tuple[Ladder, Any]:
    """Sweep a ladder, and record what log f would have gained at neighbouring rungs.

    Parameters
    ----------
    ladder : Ladder
    machine : Machine
    n_sweeps : int
    stream : RandomStream
    free : boolean array of shape (n_columns * n_rungs, V), optional
        False where a unit is clamped; the same for all rungs of a column.

    Returns
    -------
    Ladder
    log_ratios : array of shape (n_sweeps, n_columns * n_rungs)
        See `sklearn_rapid.backends.Tempered`.
    """
    backend = machine.backend
    first_draw = stream.reserve(DRAWS_PER_SWEEP * n_sweeps)
    swept = backend.temper(
        ladder.states, machine.up, machine.down, ladder.base, np.array(ladder.betas), n_sweeps,
        stream, first_draw, parity=ladder.n_sweeps % 2, origin=ladder.origin,
        arrivals=ladder.arrivals, free=free,
    )  # fmt: skip
    return ladder_after_sweeps(ladder, swept, backend), swept.log_ratios


def ladder_after_sweeps(ladder: Ladder, swept: Tempered, backend: Any) -> Ladder:
    """Update a ladder's states and counters by the results of sweeps."""
    xp, accepted = backend.xp, backend.xp.asarray(ladder.accepted, copy=True)
    for first, gains, losses in _pairs(ladder.n_rungs, swept.log_ratios, ladder.n_sweeps % 2, xp):
        p = xp.exp(xp.minimum(gains + losses, xp.zeros_like(gains)))
        # Sweep by sweep: the sum is the same however sweeps are grouped in calls.
        of_sweeps = xp.sum(p, axis=1)
        for k in range(of_sweeps.shape[0]):
            accepted[first::2] += of_sweeps[k, :]
    return replace(
        ladder,
        states=swept.states,
        origin=swept.origin,
        arrivals=swept.arrivals,
        accepted=accepted,
        n_sweeps=ladder.n_sweeps + swept.log_ratios.shape[0],
    )


def change_betas(ladder: Ladder, betas: np.ndarray, backend: Any) -> Ladder:
    """Give a ladder other rungs, each with the state of the old rung that is nearest in β."""
    betas = round_betas(betas)
    top, n_cold = ladder.top, len(betas) - int(np.searchsorted(betas, 1.0))
    distance = np.abs(betas[:-n_cold, None] - np.array(ladder.betas[: top + 1]))
    cold = top + np.arange(n_cold) % (ladder.n_rungs - top)
    rungs = np.concatenate([distance.argmin(axis=1), cold])
    rows = np.arange(ladder.n_columns)[:, None] * ladder.n_rungs + rungs
    return _rebuild(ladder, betas, rows, backend)


def regroup_ladder(ladder: Ladder, backend: Any, n_columns: int, n_cold_rungs: int) -> Ladder:
    """Give a ladder other numbers of columns, and of rungs at β = 1 in each column.

    Old states fill the new places in turn, those at β = 1 among themselves. Copies become
    independent in the sweeps that follow.
    """
    top, n_old, n_cold = ladder.top, ladder.n_columns, ladder.n_rungs - ladder.top
    column, rung = np.divmod(np.arange(n_columns * n_cold_rungs) % (n_old * n_cold), n_cold)
    cold = (column * ladder.n_rungs + top + rung).reshape(n_columns, n_cold_rungs)
    warm = np.arange(n_columns)[:, None] % n_old * ladder.n_rungs + np.arange(top)
    betas = np.array((*ladder.betas[:top], *np.ones(n_cold_rungs)))
    return _rebuild(ladder, betas, np.concatenate([warm, cold], axis=1), backend)


def _rebuild(ladder: Ladder, betas: np.ndarray, rows: np.ndarray, backend: Any) -> Ladder:
    """Build a ladder at other β from rows of the states of this one, by number."""
    states = backend.xp.take(ladder.states, backend.asarray(rows.ravel(), "int64"), axis=0)
    return ladder_of_states(backend, betas, ladder.base, states)


def measure_lags(ladder: Ladder, log_ratios: Any, parity: int, backend: Any) -> Any:
    """Measure how far states are from equilibrium by their exchanges: nats, one number a sweep.

    The states of the lower rung of a pair bound its difference in log Z from below, those of the
    upper rung from above, in expectation and at equilibrium (`sklearn_rapid.machine.bridges`). The
    lag is how far the bounds of one sweep are crossed: zero on average at equilibrium, but negative
    with few columns. A sweep has every other pair: a ladder's lag is twice the mean over sweeps.

    Parameters
    ----------
    ladder : Ladder
    log_ratios : array of shape (n_sweeps, n_columns * n_rungs)
        Of all columns, as `sweep_ladder` returns them.
    parity : {0, 1}
        That of the first sweep.
    """
    xp = backend.xp
    out = xp.zeros(log_ratios.shape[0], dtype=xp.float64)
    for first, gains, losses in _pairs(ladder.n_rungs, log_ratios, parity, xp):
        crossed = xp.sum(_log_mean_exp(gains, xp) + _log_mean_exp(losses, xp), axis=1)
        out[(first - parity) % 2 :: 2] = crossed
    return out


def short_ladder_sum(ladder: Ladder, log_ratios: Any, parity: int, backend: Any) -> float:
    """Estimate log Z at β = 1 less that at β = 0 by the middle of the bounds of `measure_lags`.

    For few sweeps, two at least: bridges would take too long. Parameters as there.
    """
    xp, total = backend.xp, 0.0
    for _, gains, losses in _pairs(ladder.n_rungs, log_ratios, parity, xp):
        middle = 0.5 * (_log_mean_exp(gains, xp) - _log_mean_exp(losses, xp))
        total += float(xp.sum(middle)) / middle.shape[0]
    return total


def place_betas(travelled: Travels, n_rungs: int) -> np.ndarray:
    """Place `n_rungs` β from 0 to 1 so that all pairs would reject equal shares of exchanges.

    The cumulative rejection is interpolated linearly between the old rungs.

    Examples
    --------
    >>> travelled = Travels(np.array([0.0, 0.4, 1.0]), np.array([0.25, 0.5]), 3, 2, 10)
    >>> place_betas(travelled, 4)
    array([0. , 0.4, 0.7, 1. ])
    """
    rejections = np.maximum(travelled.rejections, SMALLEST_REJECTION)
    total = np.concatenate([[0.0], np.cumsum(rejections)])
    return np.interp(np.linspace(0.0, total[-1], n_rungs), total, travelled.betas)


def n_rungs_for(barrier: float) -> int:
    """The number of rungs for a barrier, both ends included.

    Too few rungs make a barrier look lower than it is, but more than half as high as they can show
    (no pair can reject more than all): repeated adaptation finds it.

    Examples
    --------
    >>> n_rungs_for(0.1), n_rungs_for(10.0)
    (3, 22)
    """
    return int(np.ceil(RUNGS_PER_BARRIER * barrier)) + 2


def adapt_ladder(ladder: Ladder, backend: Any, n_rungs: int | None = None) -> Ladder:
    """Move the rungs of a ladder to equal rejections: `n_rungs`, or as many as its barrier needs.

    Extra rungs at β = 1 stay.
    """
    travelled = count_travels(ladder, backend)
    betas = place_betas(travelled, n_rungs or n_rungs_for(travelled.barrier))
    copies = np.ones(ladder.n_rungs - ladder.top - 1)
    return change_betas(ladder, np.concatenate([betas, copies]), backend)


def base_log_partition(base: Any, machine: Machine) -> float:
    """log Z at β = 0, Γ(a) + Γ(0) of the two layers in nats: of spins, Σ_i log 2cosh a_i + H log 2.

    Parameters
    ----------
    base : array of shape (V,)
        a, on the backend.
    machine : Machine
    """
    backend, xp = machine.backend, machine.backend.xp
    of_visible = machine.visible_units.log_partition(xp.astype(base, xp.float64)[None, :], backend)
    no_field = xp.zeros((1, machine.n_hidden), dtype=xp.float64)
    of_hidden = machine.hidden_units.log_partition(no_field, backend)
    return float(of_visible[0]) + float(of_hidden[0])


def round_betas(betas: np.ndarray) -> np.ndarray:
    """Round inverse temperatures to float32, so that all backends use the same; returns float64."""
    return np.asarray(betas, dtype=np.float32).astype(np.float64)


def _pairs(n_rungs: int, log_ratios: Any, parity: int, xp: Any) -> Any:
    """Yield the first rung and the gains of lower and upper states, of even and of odd pairs.

    Gains have shape (n_sweeps of that kind, n_columns, n_pairs).
    """
    by_rung = xp.reshape(log_ratios, (log_ratios.shape[0], -1, n_rungs))
    for turn in range(min(2, log_ratios.shape[0])):
        first = (parity + turn) % 2
        if n_rungs > first + 1:
            of_turn = by_rung[turn::2, :, first : first + (n_rungs - first) // 2 * 2]
            yield first, of_turn[:, :, ::2], of_turn[:, :, 1::2]


def _log_mean_exp(x: Any, xp: Any) -> Any:
    """log of the mean over columns of exp(x), corrected to first order: few columns are too low."""
    largest = xp.max(x, axis=1, keepdims=True)
    weights = xp.exp(x - largest)
    mean = xp.mean(weights, axis=1)
    spread = xp.mean(weights * weights, axis=1) / (mean * mean) - 1.0
    bias = spread / (2.0 * max(x.shape[1] - 1, 1))
    return xp.log(mean) + largest[:, 0, :] + bias
