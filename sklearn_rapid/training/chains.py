"""Persistent Markov chains: none, chains at β = 1, or a ladder of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.backends import Tempered
from sklearn_rapid.backends.fused import Source
from sklearn_rapid.machine.tempering import Ladder, cold_states, ladder_after_sweeps


@dataclass(frozen=True)
class Chains:
    """No chains, and the base class of those that a negative phase keeps between updates.

    A phase with other chains needs a subclass: a frozen dataclass whose fields are arrays, plain
    values and dataclasses of both, so that models can be copied to the host and pickled. Only fits
    over a cluster need `share` and `joined`.

    Attributes
    ----------
    is_tempered : bool
        Whether there is a `ladder`.
    step_share : float in (0, 1]
        The share of a full step to take, so that the chains keep up with the model.
    n_rows, n_model_states : int
        The number of states at any temperature, and at β = 1.
    betas : array of shape (n_rungs,) or None
        Inverse temperatures adapted to the model, from 0 to 1.

    Examples
    --------
    >>> Chains().n_rows
    0
    """

    is_tempered: ClassVar[bool] = False
    # Without annotations: fields of the same names keep their places in a subclass.
    step_share = 1.0
    n_rows = n_model_states = 0
    betas = None

    def model_states(self, backend: Any) -> Any:
        """Return the states at β = 1, of shape (n_model_states, V), or None."""
        return None

    def figures(self) -> dict[str, float]:
        """Return figures for the history."""
        return {}

    def share(self, rank: int, n_shares: int) -> Chains:
        """Take one of nearly equal shares of the chains, in NumPy."""
        return self

    def joined(self, others: Sequence[Any]) -> Chains:
        """Join this share of the chains and those that follow it, in NumPy."""
        return self

    def source_fields(self, n_sweeps: int) -> dict[str, Any]:
        """Return fields of a `Source` for that many sweeps; their arrays may change in place."""
        return {}

    def from_source(self, source: Source, backend: Any) -> Chains:
        """Read the chains from the `Source` of fused updates."""
        return self


@dataclass(frozen=True)
class PlainChains(Chains):
    """Chains at β = 1.

    Attributes
    ----------
    states : array of shape (n, V)

    Examples
    --------
    >>> PlainChains(np.ones((3, 2))).n_model_states
    3
    """

    states: Any

    @property
    def n_rows(self) -> int:
        """Number of chains."""
        return self.states.shape[0]

    n_model_states = n_rows

    def model_states(self, backend: Any) -> Any:
        """Return all states."""
        return self.states

    def share(self, rank: int, n_shares: int) -> PlainChains:
        """Take consecutive chains."""
        return PlainChains(self.states[_even_slice(self.n_rows, rank, n_shares)])

    def joined(self, others: Sequence[PlainChains]) -> PlainChains:
        """Join the chains of all shares, in their order."""
        return PlainChains(np.concatenate([c.states for c in (self, *others)]))

    def source_fields(self, n_sweeps: int) -> dict[str, Any]:
        """Copy the states."""
        return {"states": self.states.copy()}

    def from_source(self, source: Source, backend: Any) -> PlainChains:
        """Read the states after the updates."""
        return PlainChains(source.states)


@dataclass(frozen=True)
class TemperedChains(Chains):
    """A ladder of replicas that follows a model in training.

    Attributes
    ----------
    ladder : Ladder
    lag : array without axes
        The sum over the ladder's sweeps of how far its states lag behind the model, in nats.
    n_wanted : int
        Number of states at β = 1 once columns are added.
    step_share : float
        See `Chains`.
    barrier, mean_lag : float
        Of the last window of sweeps; NaN in the first.
    known : array of shape (n, V) or None
        States more probable than the chains show (`sklearn_rapid.machine.known_states`).
    entropy : float
        Of the model without these states, in nats, when they were found.
    """

    is_tempered: ClassVar[bool] = True
    ladder: Ladder
    lag: Any
    n_wanted: int
    step_share: float = 1.0
    barrier: float = float("nan")
    mean_lag: float = float("nan")
    known: Any = None
    entropy: float = float("nan")

    @property
    def n_rows(self) -> int:
        """Number of replicas of all columns."""
        return self.ladder.n_columns * self.ladder.n_rungs

    @property
    def n_model_states(self) -> int:
        """Number of replicas at β = 1."""
        return self.ladder.n_columns * (self.ladder.n_rungs - self.ladder.top)

    @property
    def betas(self) -> np.ndarray:
        """The rungs up to the first at β = 1."""
        return np.array(self.ladder.betas[: self.ladder.top + 1])

    def model_states(self, backend: Any) -> Any:
        """Return the states of the replicas at β = 1."""
        return cold_states(self.ladder, backend)

    def figures(self) -> dict[str, float]:
        """Return the barrier, the lag, the size of the ladder and the share of a full step."""
        return {
            "barrier": self.barrier,
            "lag": self.mean_lag,
            "n_rungs": float(self.ladder.top + 1),
            "n_columns": float(self.ladder.n_columns),
            "step_share": self.step_share,
        }

    def share(self, rank: int, n_shares: int) -> TemperedChains:
        """Take consecutive columns; counts over all columns stay with the first share."""
        ladder = self.ladder
        columns = _even_slice(ladder.n_columns, rank, n_shares)
        rows = slice(columns.start * ladder.n_rungs, columns.stop * ladder.n_rungs)
        own = replace(
            ladder,
            states=ladder.states[rows],
            origin=ladder.origin[rows],
            arrivals=ladder.arrivals[columns],
            accepted=ladder.accepted if rank == 0 else np.zeros_like(ladder.accepted),
        )
        return replace(self, ladder=own)

    def joined(self, others: Sequence[TemperedChains]) -> TemperedChains:
        """Join the columns of all shares, in their order."""
        ladders = [chains.ladder for chains in (self, *others)]
        whole = replace(
            self.ladder,
            accepted=sum(ladder.accepted for ladder in ladders),
            **{
                name: np.concatenate([getattr(ladder, name) for ladder in ladders])
                for name in ("states", "origin", "arrivals")
            },
        )
        return replace(self, ladder=whole)

    def source_fields(self, n_sweeps: int) -> dict[str, Any]:
        """Copy the ladder's arrays, and allocate one for the exchanges."""
        ladder = self.ladder
        return {
            "states": ladder.states.copy(),
            "betas": np.array(ladder.betas, dtype=np.float32),
            "n_cold": ladder.n_rungs - ladder.top,
            "base": ladder.base.copy(),
            "parity": ladder.n_sweeps % 2,
            "origin": ladder.origin.copy(),
            "arrivals": ladder.arrivals.copy(),
            "log_ratios": np.empty((n_sweeps, self.n_rows)),
        }

    def from_source(self, source: Source, backend: Any) -> TemperedChains:
        """Read the ladder after the updates, and count its exchanges."""
        swept = Tempered(source.states, source.log_ratios, source.origin, source.arrivals)
        return replace(self, ladder=ladder_after_sweeps(self.ladder, swept, backend))


NO_CHAINS = Chains()


def as_chains(value: Any) -> Any:
    """Convert what models of earlier versions hold, an array of states or None, to chains."""
    if value is None:
        return NO_CHAINS
    return PlainChains(value) if hasattr(value, "shape") else value


def _even_slice(n: int, rank: int, n_shares: int) -> slice:
    """Return the rows of one of nearly equal shares of n.

    Examples
    --------
    >>> [_even_slice(5, rank, 2) for rank in range(2)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(rank * n // n_shares, (rank + 1) * n // n_shares)
