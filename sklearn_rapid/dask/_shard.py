"""What a worker does in a fit: its share of the rows and chains, and its place in the tree.

Workers form a binary tree. In an update, parameters go down the tree and sums over rows go up: a
message of the parameters' size each way between neighbours, and nothing of that size through the
scheduler or the client. The worker at the root makes the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from distributed import get_worker

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine.couplings import Arrays, Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.training.chains import Chains
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    NegativeStates,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.state import TrainingState, map_arrays
from sklearn_rapid.training.statistics import PROBED_STATES, Probe, RowCounts, Sums
from sklearn_rapid.training.trainer import Trainer


@dataclass(frozen=True)
class Settings:
    """What is the same for all updates of a fit.

    Attributes
    ----------
    trainer : Trainer
    encoder : Encoder
    backend : str
    n_threads : int or None
        None is as many as the worker has.
    """

    trainer: Trainer
    encoder: Encoder
    backend: str
    n_threads: int | None


@dataclass(frozen=True)
class Batch:
    """The rows of an update.

    Attributes
    ----------
    rows : array of shape (n,)
        Their numbers among all rows.
    weights : array of shape (n,) or None
        With a sum of one.
    rate : float
    end_of_epoch : bool
    """

    rows: np.ndarray
    weights: np.ndarray | None
    rate: float
    end_of_epoch: bool


@dataclass(frozen=True)
class Message:
    """What goes down the tree before an update.

    Attributes
    ----------
    parameters : dict of arrays
    visible_offset : array of shape (V,)
    chains : Chains or None
        All chains, where they are to be divided among the workers again.
    """

    parameters: Arrays
    visible_offset: np.ndarray
    chains: Chains | None = None


@dataclass(frozen=True)
class HeldRows:
    """Rows from `start` to `stop` that are in the memory of a worker, under a key."""

    start: int
    stop: int
    key: str


class Shard:
    """A worker's share of a fit; the one of rank 0 is the root of the tree.

    Parameters
    ----------
    settings : Settings
    rank, n_shards : int
    """

    def __init__(self, settings: Settings, rank: int, n_shards: int) -> None:
        self.worker = get_worker()
        self.trainer, self.rank, self.n_shards = settings.trainer, rank, n_shards
        n_threads = settings.n_threads or self.worker.state.nthreads
        self.backend = get_backend(settings.backend, n_threads)
        self.encoder = replace(settings.encoder, backend=self.backend)
        # Not the worker's event loop, which has messages to pass on meanwhile.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sklearn_rapid")
        self.children: list[Any] = []
        self.held: list[tuple[HeldRows, np.ndarray]] = []
        self.state: TrainingState | None = None
        self._last: tuple[Sums, Batch] | None = None

    # --- before the updates -------------------------------------------------------------

    def link(self, children: list[Any]) -> None:
        """Take the shards below this one in the tree."""
        self.children = children

    def hold(self, held: list[HeldRows]) -> list[str]:
        """Take the rows that are in this worker's memory, and no others; keys that are not there.

        They are referred to from here too: Dask may move what has been copied to other workers.
        """
        self.held, missing = [], []
        for rows in sorted(held, key=lambda rows: rows.start):
            try:
                self.held.append((rows, self.worker.data[rows.key]))
            except KeyError:
                missing.append(rows.key)
        return missing

    def begin(
        self, couplings: Couplings, biases: tuple, is_even: bool, rest: dict[str, Any], n_model: int
    ) -> None:
        """Take a state of training, with this shard's chains; all in NumPy."""
        couplings = couplings.with_parameters(map_arrays(couplings.parameters, self._own))
        biases = map_arrays(biases, self._own)
        machine = Machine(couplings, *biases, self.backend, is_even)
        self.state = TrainingState.from_host(rest, machine)
        self.n_model, self._last = n_model, None

    def _own(self, values: np.ndarray) -> Any:
        return self.backend.asarray(np.array(values))

    # --- the tree -----------------------------------------------------------------------

    async def advance(self, batch: Batch) -> None:
        """The next update, at the root: the last one's step, and the sums for its own."""
        await self.finish()
        chains = self.state.chains
        if self.trainer.negative_phase.is_due(chains):
            chains = await self._in_thread(self._look, await self.all_chains())
            self._take(message := self._message(chains))
        else:
            message = self._message()
        self._last = await self.sums(batch, message), batch

    async def finish(self) -> None:
        """The step of the last update, if it is still to be made."""
        if self._last is not None:
            (sums, batch), self._last = self._last, None
            await self._in_thread(self._step, sums, batch)

    async def sums(self, batch: Batch, message: Message) -> Sums:
        """The sums of this shard and of all below it."""
        below = [child.sums(batch, message) for child in self.children]
        if self.rank > 0:
            self._take(message)
        total = await self._in_thread(self._sums, batch)
        for sums in below:
            total = await self._in_thread(total.plus, await sums, np)
        return total

    async def all_chains(self) -> list[tuple[int, Any]]:
        """Ranks and chains of this shard and of all below it."""
        below = [child.all_chains() for child in self.children]
        found = [(self.rank, map_arrays(self.state.chains, self.backend.to_numpy))]
        for chains in below:
            found += await chains
        return found

    async def whole_state(self) -> tuple[Arrays, dict[str, Any]]:
        """At the root: parameters and the rest of the state, with all chains."""
        await self.finish()
        rest = self.state.to_host()
        rest["stream"] = replace(rest["stream"], first_row=0)
        rest["chains"] = _in_order(await self.all_chains())
        # Within one process what is returned is not copied on its way.
        return map_arrays(self._message().parameters, np.array), rest

    async def _in_thread(self, function: Callable, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    # --- one shard's work ---------------------------------------------------------------

    def _message(self, chains: Any = None) -> Message:
        to_numpy = self.backend.to_numpy
        parameters = map_arrays(self.state.machine.parameters, to_numpy)
        return Message(parameters, to_numpy(self.state.visible_offset), chains)

    def _take(self, message: Message) -> None:
        """Go on from the parameters of the root, and from other chains where there are some."""
        state, own = self.state, self._own
        if self.rank > 0:
            for name, p in state.machine.parameters.items():
                p[...] = own(message.parameters[name])
            state.visible_offset = own(message.visible_offset)
        if message.chains is not None:
            chains = message.chains
            before = [chains.share(rank, self.n_shards).n_rows for rank in range(self.rank)]
            self.n_model, state.stream.first_row = chains.n_model_states, sum(before)
            state.chains = map_arrays(chains.share(self.rank, self.n_shards), own)

    def _look(self, found: list[tuple[int, Any]]) -> Any:
        """All chains after they have been looked at as a whole."""
        chains = map_arrays(_in_order(found), self._own)
        with self.backend.running():
            chains = self.trainer.negative_phase.before_update(chains, self.backend)
        return map_arrays(chains, self.backend.to_numpy)

    def _step(self, sums: Sums, batch: Batch) -> None:
        sums = map_arrays(sums, self.backend.asarray)
        with self.backend.running(), _quiet():
            self.trainer.step(self.state, sums, batch.rate, batch.end_of_epoch)

    def _sums(self, batch: Batch) -> Sums:
        with self.backend.running(), _quiet():
            return map_arrays(self._sums_of_own(batch), self.backend.to_numpy)

    def _sums_of_own(self, batch: Batch) -> Sums:
        state, trainer = self.state, self.trainer
        places, X = self._rows_of(batch.rows)
        runs = _runs(places)
        data = self._spins(X, places, runs)
        sampler = trainer.sampler(state)
        negative, n_model, n_probed_states = self._negative(sampler, data, places, runs, batch)
        n_probed = int(np.count_nonzero(places >= batch.rows.size - PROBED_STATES))
        whole = RowCounts(batch.rows.size, n_model, n_probed, n_probed_states)
        weights = None
        if batch.weights is not None:
            weights = self.backend.asarray(batch.weights[places], self.encoder.dtype)
        sums = trainer.sums_of(state, sampler, data, negative, whole, weights)
        if negative.hidden is not None:
            return replace(sums, probes=map_arrays(sums.probes, lambda p: 1.0 * p))
        # The root finds E[h | v] itself: that is less than a message.
        return replace(sums, probes=tuple(Probe(p.visible, p.weights) for p in sums.probes))

    def _rows_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of a batch's rows are held here, by their places in it, and they themselves."""
        starts = np.array([held.start for held, _ in self.held], dtype=np.int64)
        stops = np.array([held.stop for held, _ in self.held], dtype=np.int64)
        at = np.searchsorted(starts, rows, side="right") - 1
        is_here = (at >= 0) & (rows < np.append(stops, 0)[at])
        places = np.flatnonzero(is_here)
        X = np.zeros((0, self.state.machine.n_visible), dtype=np.float32)
        for n, (held, block) in enumerate(self.held):
            of_block = np.flatnonzero(at[places] == n)
            if of_block.size:
                values = block[rows[places[of_block]] - held.start]
                if X.shape[0] == 0:
                    X = np.empty((places.size, values.shape[1]), dtype=values.dtype)
                X[of_block] = values
        return places, X

    def _spins(self, X: np.ndarray, places: np.ndarray, runs: list[slice]) -> Any:
        """Rows as spins; what is drawn is named by the places that they have in the batch."""
        encoder, stream = self.encoder, self.state.stream
        if not encoder.is_drawn:
            return encoder.states(X)
        draw = stream.reserve()
        drawn = [encoder.states(X[run], _at(stream, places[run]), draw) for run in runs]
        return self._stacked(drawn)

    def _negative(
        self, sampler: Machine, data: Any, places: np.ndarray, runs: list[slice], batch: Batch
    ) -> tuple[NegativeStates, int, int]:
        """States of this shard, how many there are in all, and how many of these are probed."""
        state, phase = self.state, self.trainer.negative_phase
        if self.n_model > 0:
            negative, state.chains = phase.states(sampler, data, state.chains, state.stream)
            # A column has the same number of states at β = 1 in every share.
            n_own, n_rows = state.chains.n_model_states, max(1, state.chains.n_rows)
            before = state.stream.first_row * n_own // n_rows
            return negative, self.n_model, max(0, PROBED_STATES - before)
        if isinstance(phase, ContrastiveDivergence):
            drawn = []
            for run in runs:
                stream = _at(state.stream, places[run])
                drawn.append(phase.states(sampler, data[run, :], state.chains, stream)[0].visible)
            state.stream.reserve(2 * phase.n_gibbs_steps)
            n_probed = int(np.count_nonzero(places < PROBED_STATES))
            return NegativeStates(self._stacked(drawn)), batch.rows.size, n_probed
        # From the patterns: so few that the root has all of them.
        n_patterns = sampler.couplings.n_patterns
        if self.rank == 0:
            negative, _ = phase.states(sampler, data, state.chains, state.stream)
            return negative, n_patterns, PROBED_STATES
        state.stream.reserve(2 * phase.n_gibbs_steps)
        return NegativeStates(data[:0, :]), n_patterns, 0

    def _stacked(self, arrays: list[Any]) -> Any:
        if not arrays:
            empty = np.zeros((0, self.state.machine.n_visible), dtype=self.encoder.dtype)
            return self.backend.asarray(empty)
        return arrays[0] if len(arrays) == 1 else self.backend.xp.concat(arrays, axis=0)


def can_be_shared(phase: Any) -> bool:
    """Whether the states of a negative phase can be drawn in several places."""
    return isinstance(
        phase,
        ContrastiveDivergence
        | PersistentContrastiveDivergence
        | PatternInducedCorrelations
        | ParallelTempering,
    )


def _in_order(found: list[tuple[int, Any]]) -> Any:
    """All chains from those of each rank."""
    first, *others = (chains for _, chains in sorted(found, key=lambda pair: pair[0]))
    return first.joined(others)


def _runs(places: np.ndarray) -> list[slice]:
    """Slices in which places follow one another without a gap."""
    if places.size == 0:
        return []
    ends = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), places.size]
    return [slice(a, b) for a, b in pairwise(ends)]


def _at(stream: RandomStream, places: np.ndarray) -> RandomStream:
    """The stream for rows that are at these places, one after the other."""
    return replace(stream, first_row=int(places[0]))


def _quiet() -> Any:
    """What overflows shows when the fit is checked."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")
