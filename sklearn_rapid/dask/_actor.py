"""Train on one worker's share of the rows and chains, as an actor in a tree of workers.

Actors form a binary tree. In an update, parameters go down the tree and sums over rows go up: one
message of the parameters' size each way between neighbours, and nothing of that size through the
scheduler or the client. The actor at the root makes the step.
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
from sklearn_rapid.machine.couplings import Arrays
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
class Batch:
    """The rows of one update.

    Attributes
    ----------
    rows : array of shape (n,)
        Row numbers.
    weights : array of shape (n,) or None
        With a sum of one.
    rate : float
        Learning rate.
    end_of_epoch : bool
    """

    rows: np.ndarray
    weights: np.ndarray | None
    rate: float
    end_of_epoch: bool


@dataclass(frozen=True)
class Message:
    """Parameters, sent down the tree before an update.

    Attributes
    ----------
    parameters : dict of arrays
    visible_offset : array of shape (V,)
    visible_scale : array of shape (V,) or None
    chains : Chains or None
        All chains, if they are to be shared out again.
    """

    parameters: Arrays
    visible_offset: np.ndarray
    visible_scale: np.ndarray | None
    chains: Chains | None = None


@dataclass(frozen=True)
class HeldBlock:
    """Rows from `start` to `stop` in the memory of a worker, under a key of Dask's."""

    start: int
    stop: int
    key: str


class FitActor:
    """A worker's share of a fit; the actor of rank 0 is the root of the tree.

    Parameters
    ----------
    trainer : Trainer
    encoder : Encoder
    n_columns : int
        Of the rows.
    backend : str
    n_threads : int or None
        None is as many as the worker has.
    rank, n_actors : int
    """

    def __init__(
        self,
        trainer: Trainer,
        encoder: Encoder,
        n_columns: int,
        backend: str,
        n_threads: int | None,
        rank: int,
        n_actors: int,
    ) -> None:
        self.worker = get_worker()
        self.trainer, self.n_columns = trainer, n_columns
        self.rank, self.n_actors = rank, n_actors
        self.backend = get_backend(backend, n_threads or self.worker.state.nthreads)
        self.encoder = encoder.for_rows(None, self.backend)
        # Computing in the worker's event loop would keep it from passing on messages.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sklearn_rapid")
        self.children: list[Any] = []
        self.blocks: list[tuple[HeldBlock, np.ndarray]] = []
        self.state: TrainingState | None = None
        self._pending: tuple[Sums, Batch] | None = None

    # --- before the updates -------------------------------------------------------------

    def hold(self, blocks: list[HeldBlock]) -> list[str]:
        """Take blocks from this worker's memory, in place of earlier ones; return missing keys.

        The actor refers to their arrays itself, as Dask may move blocks that it has copied.
        """
        self.blocks, missing = [], []
        for block in sorted(blocks, key=lambda block: block.start):
            try:
                self.blocks.append((block, self.worker.data[block.key]))
            except KeyError:
                missing.append(block.key)
        return missing

    def begin(
        self, children: list[Any], machine: Machine, rest: dict[str, Any], n_model: int
    ) -> None:
        """Set the actors below this one, and the state, in NumPy, with its share of the chains."""
        self.children = children
        machine = machine.with_parameters(map_arrays(machine.parameters, self._copied))
        self.state = TrainingState.from_host(rest, replace(machine, backend=self.backend))
        self.n_model, self._pending = n_model, None

    def _copied(self, values: np.ndarray) -> Any:
        """Copy an array to the backend; messages within one process share memory."""
        return self.backend.asarray(np.array(values))

    # --- the tree -----------------------------------------------------------------------

    async def advance(self, batch: Batch) -> None:
        """At the root, finish the last update, and collect the sums of the next one."""
        await self.finish()
        chains = self.state.chains
        if self.trainer.negative_phase.is_due(chains):
            chains = await self._in_thread(self._refresh_chains, await self.all_chains())
            self._receive(message := self._message(chains))
        else:
            message = self._message()
        self._pending = await self.sums(batch, message), batch

    async def finish(self) -> None:
        """Make the step of the last update, if it is still to be made."""
        if self._pending is not None:
            (sums, batch), self._pending = self._pending, None
            await self._in_thread(self._step, sums, batch)

    async def sums(self, batch: Batch, message: Message) -> Sums:
        """Add up the sums of this actor and of all below it."""
        below = [child.sums(batch, message) for child in self.children]
        if self.rank > 0:
            self._receive(message)
        total = await self._in_thread(self._sums, batch)
        for sums in below:
            total = await self._in_thread(total.plus, await sums, np)
        return total

    async def all_chains(self) -> list[tuple[int, Any]]:
        """Collect the chains of this actor and of all below it, with their ranks."""
        below = [child.all_chains() for child in self.children]
        found = [(self.rank, map_arrays(self.state.chains, self.backend.to_numpy))]
        for chains in below:
            found += await chains
        return found

    async def whole_state(self) -> tuple[Arrays, dict[str, Any]]:
        """At the root, return parameters and the rest of the state, with all chains."""
        await self.finish()
        rest = self.state.to_host()
        rest["stream"] = replace(rest["stream"], first_row=0)
        rest["chains"] = _join_chains(await self.all_chains())
        # Copies, as results within one process share memory.
        return map_arrays(self._message().parameters, np.array), rest

    async def _in_thread(self, function: Callable, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    # --- this actor's share of an update ------------------------------------------------

    def _message(self, chains: Any = None) -> Message:
        to_numpy = self.backend.to_numpy
        parameters = map_arrays(self.state.machine.parameters, to_numpy)
        moments = (self.state.visible_offset, self.state.visible_scale)
        return Message(parameters, *map_arrays(moments, to_numpy), chains)

    def _receive(self, message: Message) -> None:
        """Set parameters to those of the root, and chains to this actor's share if some came."""
        state, copied = self.state, self._copied
        if self.rank > 0:
            for name, p in state.machine.parameters.items():
                p[...] = copied(message.parameters[name])
            moments = (message.visible_offset, message.visible_scale)
            state.visible_offset, state.visible_scale = map_arrays(moments, copied)
        if message.chains is not None:
            chains = message.chains
            before = [chains.share(rank, self.n_actors).n_rows for rank in range(self.rank)]
            self.n_model, state.stream.first_row = chains.n_model_states, sum(before)
            state.chains = map_arrays(chains.share(self.rank, self.n_actors), copied)

    def _refresh_chains(self, found: list[tuple[int, Any]]) -> Any:
        """Let the negative phase see all chains at once, and return them in NumPy."""
        chains = map_arrays(_join_chains(found), self._copied)
        with self.backend.running():
            chains = self.trainer.negative_phase.before_update(chains, self.backend)
        return map_arrays(chains, self.backend.to_numpy)

    def _step(self, sums: Sums, batch: Batch) -> None:
        sums = map_arrays(sums, self.backend.asarray)
        with self.backend.running(), _ignored_overflow():
            self.trainer.step(self.state, sums, batch.rate, batch.end_of_epoch)

    def _sums(self, batch: Batch) -> Sums:
        with self.backend.running(), _ignored_overflow():
            return map_arrays(self._backend_sums(batch), self.backend.to_numpy)

    def _backend_sums(self, batch: Batch) -> Sums:
        """Sum over this actor's rows of a batch and its chains, in arrays of the backend."""
        state, trainer = self.state, self.trainer
        places, X = self._own_rows(batch.rows)
        runs = _consecutive_runs(places)
        data = state.states_of(self._encode(X, places, runs))
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
        # The root computes E[h | v] itself: that costs less than sending it.
        return replace(sums, probes=tuple(Probe(p.visible, p.weights) for p in sums.probes))

    def _own_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find which of a batch's rows are held here; return their places in it, and the rows."""
        starts = np.array([block.start for block, _ in self.blocks], dtype=np.int64)
        stops = np.array([block.stop for block, _ in self.blocks], dtype=np.int64)
        at = np.searchsorted(starts, rows, side="right") - 1
        is_here = (at >= 0) & (rows < np.append(stops, 0)[at])
        places = np.flatnonzero(is_here)
        X = np.zeros((0, self.n_columns), dtype=np.float32)
        for n, (block, values) in enumerate(self.blocks):
            in_block = np.flatnonzero(at[places] == n)
            if in_block.size:
                values = values[rows[places[in_block]] - block.start]
                if X.shape[0] == 0:
                    X = np.empty((places.size, values.shape[1]), dtype=values.dtype)
                X[in_block] = values
        return places, X

    def _encode(self, X: np.ndarray, places: np.ndarray, runs: list[slice]) -> Any:
        """Encode rows as states; random numbers go by the rows' places in the batch."""
        encoder, stream = self.encoder, self.state.stream
        if not encoder.is_drawn:
            return encoder.states(X)
        draw = stream.reserve()
        drawn = [encoder.states(X[run], _at_place(stream, places[run]), draw) for run in runs]
        return self._concatenated(drawn)

    def _negative(
        self, sampler: Machine, data: Any, places: np.ndarray, runs: list[slice], batch: Batch
    ) -> tuple[NegativeStates, int, int]:
        """Draw this actor's negative states; count those of all actors, and its probed ones."""
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
                stream = _at_place(state.stream, places[run])
                drawn.append(phase.states(sampler, data[run, :], state.chains, stream)[0].visible)
            state.stream.reserve(2 * phase.n_gibbs_steps)
            n_probed = int(np.count_nonzero(places < PROBED_STATES))
            return NegativeStates(self._concatenated(drawn)), batch.rows.size, n_probed
        # States that start at the patterns are few: the root draws all of them.
        n_patterns = sampler.couplings.n_patterns
        if self.rank == 0:
            negative, _ = phase.states(sampler, data, state.chains, state.stream)
            return negative, n_patterns, PROBED_STATES
        state.stream.reserve(2 * phase.n_gibbs_steps)
        return NegativeStates(data[:0, :]), n_patterns, 0

    def _concatenated(self, arrays: list[Any]) -> Any:
        if not arrays:
            empty = np.zeros((0, self.state.machine.n_visible), dtype=self.encoder.dtype)
            return self.backend.asarray(empty)
        return arrays[0] if len(arrays) == 1 else self.backend.xp.concat(arrays, axis=0)


def check_negative_phase(phase: Any) -> None:
    """Raise ValueError if several workers cannot draw the states of a negative phase."""
    shared = (
        ContrastiveDivergence,
        PersistentContrastiveDivergence,
        PatternInducedCorrelations,
        ParallelTempering,
    )
    if not isinstance(phase, shared):
        raise ValueError(
            f"the states of {type(phase).__name__} cannot be drawn by several workers. Use another "
            "negative phase, or the class of the same name without Dask."
        )


def _join_chains(found: list[tuple[int, Any]]) -> Any:
    """Join the chains of all actors, in the order of their ranks."""
    first, *others = (chains for _, chains in sorted(found, key=lambda pair: pair[0]))
    return first.joined(others)


def _consecutive_runs(places: np.ndarray) -> list[slice]:
    """Split places into slices of consecutive ones."""
    if places.size == 0:
        return []
    ends = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), places.size]
    return [slice(a, b) for a, b in pairwise(ends)]


def _at_place(stream: RandomStream, places: np.ndarray) -> RandomStream:
    """Return the stream for rows at consecutive places of a batch."""
    return replace(stream, first_row=int(places[0]))


def _ignored_overflow() -> Any:
    """Ignore overflow: the check of the fit's state finds it."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")
