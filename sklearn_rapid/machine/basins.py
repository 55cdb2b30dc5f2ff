"""Basins: known states and what lies around them, summed over without a ladder.

A mode is more than its heaviest states. A state v counts as part of the basin of known states S by
the probability q(v) that one of T Gibbs steps from it ends in S (q = 1 in S itself). Gibbs steps
are reversible, so the weight of the basin is exactly

    Σ_v q(v) exp(-F(v)) = Z(S) (1 + Σ_{k=1..T} P(the first k steps from S end outside of S)),

which chains that start in S tell, and

    Z = Z(basin) + Z_ladder (1 - s),

s being the mean of q over the ladder's states at β = 1: right whether these visit the basin or not,
and hardly dependent on how often those do that stay in it for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.bridges import LadderSum, standard_error
from sklearn_rapid.machine.known_states import KnownStates, can_be_known, likely, searched
from sklearn_rapid.machine.machine import Machine

# Known states of a smaller share of Z, in nats, are left alone; those of less than that of a ladder
# that has not been told of them are not even searched for.
LOG_SHARE_THAT_COUNTS, LOG_SHARE_TO_SEARCH = -9.0, -20.0
# Of the tolerance of log Z a basin's weight has one part in so many, and of the rows that tempering
# may take through the couplings.
PARTS_OF_TOL, PARTS_OF_ROWS = 8.0, 4.0
# Chains that start in known states, and the most steps that they take.
N_CHAINS, MOST_STEPS = 4000, 32
STATES_AT_ONCE = 4096
# For states that hardly any chain comes to, chains start so often.
MOST_WALKS = 100
# Chains that have not come back are still near by if their mean is, by so many standard errors.
SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Basin:
    """Known states, and the states that lead to them within a number of Gibbs steps.

    Attributes
    ----------
    known : KnownStates
    n_left : array of shape (n_steps,)
        Of `N_CHAINS` chains from known states: how many have not come back, step by step. Without
        any step the basin is the known states themselves.
    left : array of shape (n_left[-1], V)
        Where those are that have not come back at all. int8, on the host.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> from sklearn_rapid.machine.known_states import weighed
    >>> machine = Machine(DenseCouplings(np.zeros((2, 1))), np.zeros(2), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> basin = Basin(weighed(machine, np.array([[1, 1], [-1, 1]])))
    >>> basin.contain(machine, np.array([[1, 1], [-1, -1]]), RandomStream(0))
    array([ True, False])
    """

    known: KnownStates
    n_left: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    left: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int8))

    @property
    def n_steps(self) -> int:
        """T."""
        return len(self.n_left)

    @property
    def odds(self) -> float:
        """The weight of the other states over that of the known ones."""
        return float(np.sum(self.n_left)) / N_CHAINS

    @property
    def error(self) -> float:
        """The standard error of `odds`: of the mean number of steps outside."""
        square = float(np.sum((2.0 * np.arange(self.n_steps) + 1.0) * self.n_left)) / N_CHAINS
        # That none was seen outside does not mean that there is nothing.
        variance = max(square - self.odds**2, 1.0 / N_CHAINS) if self.n_steps else 0.0
        return float(np.sqrt(variance / N_CHAINS))

    @property
    def log_total(self) -> float:
        """The logarithm of its weight."""
        return self.known.log_total + float(np.log1p(self.odds))

    @property
    def relative_error(self) -> float:
        """The standard error of `log_total`."""
        return self.error / (1.0 + self.odds)

    def contain(self, machine: Machine, states: np.ndarray, stream: RandomStream) -> np.ndarray:
        """Which of some states, on the host, are known or lead to known ones: true with q(v)."""
        found = self.known.contain(states)
        if self.n_steps == 0:
            return found
        unknown = np.flatnonzero(~found)
        for first in range(0, len(unknown), STATES_AT_ONCE):
            part = unknown[first : first + STATES_AT_ONCE]
            walk = Walk(machine, self.known, states[part], stream)
            for _ in range(self.n_steps):
                walk.step()
            found[part] = True
            found[part[walk.outside]] = False
        return found

    def drawn(
        self, machine: Machine, n: int, rng: np.random.Generator, stream: RandomStream
    ) -> np.ndarray:
        """So many states of the basin by their weights, shape (n, V).

        Chains from known states that have not come back after k steps are such draws, if k is drawn
        in proportion to how many these are.
        """
        shares = np.array([N_CHAINS, *self.n_left]) / (N_CHAINS * (1.0 + self.odds))
        wanted = rng.multinomial(n, shares / shares.sum())
        found = [np.empty((0, machine.n_visible), dtype=np.int8)]
        for _ in range(MOST_WALKS):
            if not wanted.any():
                break
            walk = Walk(machine, self.known, self.known.drawn(n, rng), stream)
            for step in range(int(np.flatnonzero(wanted).max()) + 1):
                if step > 0:
                    walk.step()
                found.append(walk.states()[: wanted[step]])
                wanted[step] -= len(found[-1])
        found.append(self.known.drawn(int(wanted.sum()), rng))
        return rng.permutation(np.concatenate(found))

    def beyond(self, mean_elsewhere: np.ndarray) -> float:
        """What its odds lack by chains that stay near by for longer than `n_steps`: an estimate.

        Chains that have not come back have either left for good, and then their mean is that of
        states elsewhere, or they will come back at the rate of the last ones.
        """
        if self.n_steps == 0 or not len(self.left):
            return 0.0
        here = self.known.mean() - mean_elsewhere
        length = max(float(here @ here), 1e-12)
        overlaps = (self.left - mean_elsewhere) @ here / length
        error = overlaps.std() / np.sqrt(len(overlaps))
        n_near = len(overlaps) * float(np.clip(overlaps.mean() - SIGNIFICANT * error, 0.0, 1.0))
        late = np.array([N_CHAINS, *self.n_left])[self.n_steps // 2 :]
        n_back = late[0] - late[-1] + 0.5
        return n_near**2 * (len(late) - 1) / (n_back * N_CHAINS)


class Walk:
    """Chains that end where they first come to a known state."""

    def __init__(
        self, machine: Machine, known: KnownStates, states: np.ndarray, stream: RandomStream
    ) -> None:
        self.machine, self.known, self.stream = machine, known, stream
        backend, dtype = machine.backend, machine.visible_bias.dtype
        self.v = backend.xp.astype(backend.asarray(states), dtype)
        # Of the chains that go on.
        self.outside = np.arange(len(states))

    def step(self) -> None:
        """A Gibbs step of all that go on."""
        if not len(self.outside):
            return
        backend = self.machine.backend
        v = self.machine.gibbs(self.v, 1, self.stream)
        goes_on = np.flatnonzero(~self.known.contain(backend.to_numpy(v)))
        self.outside = self.outside[goes_on]
        self.v = backend.xp.take(v, backend.asarray(goes_on, "int64"), axis=0)

    def states(self) -> np.ndarray:
        """Where the chains are that go on, on the host."""
        return self.machine.backend.to_numpy(self.v).astype(np.int8)


def basin_of(
    known: KnownStates,
    machine: Machine,
    log_z: float,
    stream: RandomStream,
    *,
    tol: float = 0.025,
    max_rows: float = np.inf,
) -> Basin:
    """The basin of known states, by chains that start from them.

    Parameters
    ----------
    known : KnownStates
    machine : Machine
    log_z : float
        About log Z, in nats.
    stream : RandomStream
    tol : float
        The chains take as many steps, up to `MOST_STEPS`, as leave an error of log Z of no more
        than that, in nats.
    max_rows : float
        Steps of single chains, in all.
    """
    share = float(np.exp(min(0.0, known.log_total - log_z)))
    rng = np.random.default_rng((stream.seed, stream.position))
    walk = Walk(machine, known, known.drawn(N_CHAINS, rng), stream)
    basin, n_rows = Basin(known, left=known.states[:0]), 0
    while basin.n_steps < MOST_STEPS and len(walk.outside):
        n_rows += len(walk.outside)
        if n_rows > max_rows:
            break
        walk.step()
        longer = Basin(known, np.append(basin.n_left, len(walk.outside)), walk.states())
        if longer.n_steps > 1 and share * longer.error > tol:
            break
        basin = longer
    return basin


def basin_around(
    machine: Machine,
    states: np.ndarray | None,
    log_z: float,
    stream: RandomStream,
    tol: float,
    max_rows: float,
) -> Basin | None:
    """The basin of known states around some, if these have a share of Z that counts.

    Parameters
    ----------
    machine : Machine
    states : array of shape (n, V), optional
        Visible states on the host.
    log_z : float
        About log Z of the machine, in nats, but for what has not been found.
    stream : RandomStream
    tol, max_rows : float
        Of the estimate of log Z that it is for; the basin takes a part of both.
    """
    if states is None or not can_be_known(machine):
        return None
    known = likely(machine, states)
    if known.log_total < log_z + LOG_SHARE_TO_SEARCH:
        return None
    known = searched(machine, known)
    if known.log_total < log_z + LOG_SHARE_THAT_COUNTS:
        return None
    how = {"tol": tol / PARTS_OF_TOL, "max_rows": max_rows / PARTS_OF_ROWS}
    return basin_of(known, machine, log_z, stream, **how)


def with_basin(total: LadderSum, basin: Basin, of_columns: np.ndarray, least: float) -> LadderSum:
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
