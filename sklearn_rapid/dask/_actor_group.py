"""Create the actors of a fit and drive them from the client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_rapid.dask._actor import Batch, FitActor
from sklearn_rapid.dask._cluster import call_actor, wait_for_actor, wait_for_workers
from sklearn_rapid.dask._rows import RemoteRows
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.training.state import TrainingState, map_arrays
from sklearn_rapid.training.trainer import Trainer

# How often to ask for blocks that Dask moves before actors take them.
ATTEMPTS = 5


class ActorGroup:
    """One `FitActor` on each worker, with its share of the rows and chains.

    Parameters
    ----------
    rows : RemoteRows
    trainer, encoder : Trainer and Encoder
        Without a backend: each actor has its own.
    estimator : DaskRBM or DaskRARBM
    state : TrainingState
        The state before the updates. It is copied.
    """

    def __init__(
        self, rows: RemoteRows, trainer: Trainer, encoder: Encoder, estimator: Any, state: Any
    ) -> None:
        self.client, self.rows = rows.client, rows
        self.workers = wait_for_workers(self.client)
        self._machine = state.machine
        self._blocks: tuple[int, ...] = ()
        arguments = trainer, encoder, rows.n_columns, estimator.backend, estimator.n_threads
        n = len(self.workers)
        futures = [
            self.client.submit(
                FitActor, *arguments, rank, n,
                actor=True, pure=False, workers=[address], allow_other_workers=False,
            )
            for rank, address in enumerate(self.workers)
        ]  # fmt: skip
        self.actors = [wait_for_actor(self.client, future, self.workers) for future in futures]
        self._begin(state)

    def hold(self, blocks: Sequence[int], next_blocks: Sequence[int] = ()) -> None:
        """Load blocks into the workers' memory; start to load the next ones."""
        if self._blocks == tuple(blocks):
            return
        for _ in range(ATTEMPTS):
            self.rows.hold([*blocks, *next_blocks], self.workers)
            held = self.rows.wait_for_blocks(blocks)
            found = self._call("hold", [(held.get(address, []),) for address in self.workers])
            missing = [key for keys in found for key in keys]
            if not missing:
                self._blocks = tuple(blocks)
                return
            self.rows.forget(missing)
        raise RuntimeError(f"{len(missing)} blocks of X do not stay where they are put")

    def advance(self, batch: Batch) -> None:
        """Make one update."""
        self._call("advance", [(batch,)])

    def fetch_state(self) -> TrainingState:
        """Fetch the current state, with all chains, in arrays of the client's backend."""
        ((parameters, rest),) = self._call("whole_state", [()])
        asarray = self._machine.backend.asarray
        parameters = map_arrays(parameters, lambda p: asarray(np.array(p)))
        return TrainingState.from_host(rest, self._machine.with_parameters(parameters))

    def _begin(self, state: TrainingState) -> None:
        machine, rest, n = state.machine, state.to_host(), len(self.actors)
        parameters = map_arrays(machine.parameters, machine.backend.to_numpy)
        machine = replace(machine.with_parameters(parameters), backend=None)
        chains = rest["chains"]
        arguments, first_row = [], 0
        for rank in range(n):
            children = [self.actors[r] for r in (2 * rank + 1, 2 * rank + 2) if r < n]
            share = chains.share(rank, n)
            stream = replace(rest["stream"], first_row=first_row)
            own = {**rest, "chains": share, "stream": stream}
            arguments.append((children, machine, own, chains.n_model_states))
            first_row += share.n_rows
        self._call("begin", arguments)

    def _call(self, method: str, arguments: Iterable[tuple]) -> list[Any]:
        """Call a method of the first actors, with these arguments of each; return the results."""
        futures = [
            call_actor(self.client, actor, method, self.workers, *args)
            for actor, args in zip(self.actors, arguments, strict=False)
        ]
        return [wait_for_actor(self.client, future, self.workers) for future in futures]
