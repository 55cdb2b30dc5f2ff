"""Basins: sums over modes by known states and chains from them, without a ladder.

A mode is more than its heaviest states. A state v belongs to the basin of known states S with the
probability q(v) that one of T Gibbs steps from it ends in S (q = 1 in S itself). Gibbs steps are
reversible, so the weight of the basin is exactly

    Σ_v q(v) exp(-F(v)) = Z(S) (1 + Σ_{k=1..T} P(the first k steps from S end outside of S)),

which chains from S estimate, and

    Z = Z(basin) + Z_ladder (1 - s),

s being the mean of q over the ladder's states at β = 1. That is right whether these visit the basin
or not, and columns that stay in it for good hardly matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.bridges import LadderSum, standard_error
from sklearn_rapid.machine.known_states import (
    KnownStates,
    find_likely_states,
    has_discrete_states,
    search_neighbours,
)
from sklearn_rapid.machine.machine import Machine

# Log shares of Z: known states below the first are ignored; where the likely ones are below the
# second, by the ladder's log Z without them, their neighbours are not searched.
LOG_SHARE_THAT_COUNTS, LOG_SHARE_TO_SEARCH = -9.0, -20.0
# A basin takes 1/8 of the tolerance of log Z, and 1/4 of the rows of the budget.
PARTS_OF_TOL, PARTS_OF_ROWS = 8.0, 4.0
# Chains from known states, and their largest number of steps.
N_CHAINS, MOST_STEPS = 4000, 32
STATES_AT_ONCE = 4096
# Most repetitions of walks, for states that few chains come to.
MOST_WALKS = 100
# In standard errors: chains that have not come back are near by if their mean is, significantly.
SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Basin:
    """Known states, and the states from which Gibbs steps soon lead to them.

    Attributes
    ----------
    known : KnownStates
    n_outside : array of shape (n_steps,)
        How many of `N_CHAINS` chains from known states have not come back after each step. Without
        any step the basin is the known states themselves.
    outside : array of shape (n_outside[-1], V)
        The last states of the chains that have not come back. int8, on the host.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> from sklearn_rapid.machine.known_states import weigh_states
    >>> machine = Machine(DenseCouplings(np.zeros((2, 1))), np.zeros(2), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> basin = Basin(weigh_states(machine, np.array([[1, 1], [-1, 1]])))
    >>> basin.contain(machine, np.array([[1, 1], [-1, -1]]), RandomStream(0))
    array([ True, False])
    """

    known: KnownStates
    n_outside: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    outside: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int8))

    @property
    def n_steps(self) -> int:
        """T."""
        return len(self.n_outside)

    @property
    def odds(self) -> float:
        """The weight of the other states of the basin over that of the known ones."""
        return float(np.sum(self.n_outside)) / N_CHAINS

    @property
    def error(self) -> float:
        """The standard error of `odds`: of the mean number of steps outside."""
        square = float(np.sum((2.0 * np.arange(self.n_steps) + 1.0) * self.n_outside)) / N_CHAINS
        # None seen outside does not mean that there is nothing.
        variance = max(square - self.odds**2, 1.0 / N_CHAINS) if self.n_steps else 0.0
        return float(np.sqrt(variance / N_CHAINS))

    @property
    def log_total(self) -> float:
        """The logarithm of the basin's weight."""
        return self.known.log_total + float(np.log1p(self.odds))

    @property
    def relative_error(self) -> float:
        """The standard error of `log_total`."""
        return self.error / (1.0 + self.odds)

    def contain(self, machine: Machine, states: np.ndarray, stream: RandomStream) -> np.ndarray:
        """Decide which states, on the host, belong to the basin: each with probability q(v)."""
        found = self.known.contain(states)
        if self.n_steps == 0:
            return found
        others = np.flatnonzero(~found)
        for first in range(0, len(others), STATES_AT_ONCE):
            part = others[first : first + STATES_AT_ONCE]
            walk = Walk(machine, self.known, states[part], stream)
            for _ in range(self.n_steps):
                walk.step()
            found[part] = True
            found[part[walk.running]] = False
        return found

    def draw(
        self, machine: Machine, n: int, rng: np.random.Generator, stream: RandomStream
    ) -> np.ndarray:
        """Draw n states of the basin by their weights, shape (n, V).

        They are states of chains from known states that have not come back after k steps, with k
        drawn in proportion to the number of these chains.
        """
        shares = np.array([N_CHAINS, *self.n_outside]) / (N_CHAINS * (1.0 + self.odds))
        wanted = rng.multinomial(n, shares / shares.sum())
        found = [np.empty((0, machine.n_visible), dtype=np.int8)]
        for _ in range(MOST_WALKS):
            if not wanted.any():
                break
            walk = Walk(machine, self.known, self.known.draw(n, rng), stream)
            for step in range(int(np.flatnonzero(wanted).max()) + 1):
                if step > 0:
                    walk.step()
                found.append(walk.states()[: wanted[step]])
                wanted[step] -= len(found[-1])
        found.append(self.known.draw(int(wanted.sum()), rng))
        return rng.permutation(np.concatenate(found))

    def odds_beyond(self, mean_elsewhere: np.ndarray) -> float:
        """Estimate what chains that stay near by for longer than `n_steps` would add to the odds.

        Chains that have not come back have either left for good, and then their mean is that of
        states elsewhere, or they will come back at the rate of the last steps.
        """
        if self.n_steps == 0 or not len(self.outside):
            return 0.0
        here = self.known.mean() - mean_elsewhere
        length = max(float(here @ here), 1e-12)
        overlaps = (self.outside - mean_elsewhere) @ here / length
        error = overlaps.std() / np.sqrt(len(overlaps))
        n_near = len(overlaps) * float(np.clip(overlaps.mean() - SIGNIFICANT * error, 0.0, 1.0))
        late = np.array([N_CHAINS, *self.n_outside])[self.n_steps // 2 :]
        n_back = late[0] - late[-1] + 0.5
        return n_near**2 * (len(late) - 1) / (n_back * N_CHAINS)


class Walk:
    """Chains that stop at the first known state that they come to.

    Attributes
    ----------
    running : array of int
        The numbers of the chains that have not stopped.
    """

    def __init__(
        self, machine: Machine, known: KnownStates, states: np.ndarray, stream: RandomStream
    ) -> None:
        self.machine, self.known, self.stream = machine, known, stream
        self.v = machine.cast(states)
        self.running = np.arange(len(states))

    def step(self) -> None:
        """Make a Gibbs step of all running chains."""
        if not len(self.running):
            return
        backend = self.machine.backend
        v = self.machine.gibbs(self.v, 1, self.stream)
        still = np.flatnonzero(~self.known.contain(backend.to_numpy(v)))
        self.running = self.running[still]
        self.v = backend.xp.take(v, backend.asarray(still, "int64"), axis=0)

    def states(self) -> np.ndarray:
        """Copy the states of the running chains to the host."""
        return self.machine.backend.to_numpy(self.v).astype(np.int8)


def measure_basin(
    known: KnownStates,
    machine: Machine,
    log_z: float,
    stream: RandomStream,
    *,
    tol: float = 0.025,
    max_rows: float = np.inf,
) -> Basin:
    """Measure the basin of known states by chains from them.

    Parameters
    ----------
    known : KnownStates
    machine : Machine
    log_z : float
        An approximate log Z, in nats.
    stream : RandomStream
    tol : float
        The largest error of log Z in nats: it limits the number of steps, as `MOST_STEPS` does.
    max_rows : float
        The largest number of steps of single chains, in all.
    """
    share = float(np.exp(min(0.0, known.log_total - log_z)))
    rng = np.random.default_rng((stream.seed, stream.position))
    walk = Walk(machine, known, known.draw(N_CHAINS, rng), stream)
    basin, n_rows = Basin(known, outside=known.states[:0]), 0
    while basin.n_steps < MOST_STEPS and len(walk.running):
        n_rows += len(walk.running)
        if n_rows > max_rows:
            break
        walk.step()
        longer = Basin(known, np.append(basin.n_outside, len(walk.running)), walk.states())
        if longer.n_steps > 1 and share * longer.error > tol:
            break
        basin = longer
    return basin


def find_basin(
    machine: Machine,
    states: np.ndarray | None,
    log_z: float,
    stream: RandomStream,
    tol: float,
    max_rows: float,
) -> Basin | None:
    """Find the likely states around some and measure their basin; None if their share is small.

    Parameters
    ----------
    machine : Machine
    states : array of shape (n, V), optional
        Visible states on the host.
    log_z : float
        An approximate log Z in nats, without modes that have not been found.
    stream : RandomStream
    tol, max_rows : float
        Of the estimate of log Z; the basin takes a part of both.
    """
    if states is None or not has_discrete_states(machine):
        return None
    known = find_likely_states(machine, states)
    if known.log_total < log_z + LOG_SHARE_TO_SEARCH:
        return None
    known = search_neighbours(machine, known)
    if known.log_total < log_z + LOG_SHARE_THAT_COUNTS:
        return None
    how = {"tol": tol / PARTS_OF_TOL, "max_rows": max_rows / PARTS_OF_ROWS}
    return measure_basin(known, machine, log_z, stream, **how)


def add_basin(total: LadderSum, basin: Basin, of_columns: np.ndarray, least: float) -> LadderSum:
    """Add log Z of a basin to that of the rest, given the basin's share of each column's states.

    A ladder with too many or too few states of the basin has a wrong log Z, but that of the rest,
    log Z_ladder + log(1 - share), is right. Where all states are in the basin, the rest is rarer
    than the least share that could be seen, which is then the error.
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
