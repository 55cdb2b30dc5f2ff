"""Create the actors of a fit and drive them from the client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from distributed import Client

from sklearn_rapid.dask._actor import ActorSettings, Batch, FitActor
from sklearn_rapid.dask._cluster import call_actor, wait_for_actor, wait_for_workers
from sklearn_rapid.dask._rows import RemoteRows
from sklearn_rapid.training.state import TrainingState, map_arrays

# How often to ask for blocks that Dask moves before actors take them.
ATTEMPTS = 5


class ActorGroup:
    """One `FitActor` on each worker, with its share of the rows and chains.

    Parameters
    ----------
    client : Client
    rows : RemoteRows
    settings : ActorSettings
    state : TrainingState
        The state before the updates. It is copied.
    """

    def __init__(
        self, client: Client, rows: RemoteRows, settings: ActorSettings, state: TrainingState
    ) -> None:
        self.client, self.rows = client, rows
        self.workers = wait_for_workers(client)
        self._machine = state.machine
        self._blocks: tuple[int, ...] = ()
        n = len(self.workers)
        futures = [
            client.submit(
                FitActor, settings, rank, n,
                actor=True, pure=False, workers=[address], allow_other_workers=False,
            )
            for rank, address in enumerate(self.workers)
        ]  # fmt: skip
        self.actors = [self._wait(future) for future in futures]
        for rank, actor in enumerate(self.actors):
            children = [self.actors[r] for r in (2 * rank + 1, 2 * rank + 2) if r < n]
            self._wait(self._call(actor, "link", children))
        self._begin(state)

    def hold(self, blocks: Sequence[int], next_blocks: Sequence[int] = ()) -> None:
        """Load blocks into the workers' memory; start to load the next ones."""
        if self._blocks == tuple(blocks):
            return
        for _ in range(ATTEMPTS):
            self.rows.hold([*blocks, *next_blocks], self.workers)
            held = self.rows.wait_for_blocks(blocks)
            futures = [
                self._call(actor, "hold", held.get(address, []))
                for address, actor in zip(self.workers, self.actors, strict=True)
            ]
            missing = [key for future in futures for key in self._wait(future)]
            if not missing:
                self._blocks = tuple(blocks)
                return
            self.rows.forget(missing)
        raise RuntimeError(f"{len(missing)} blocks of X do not stay where they are put")

    def advance(self, batch: Batch) -> None:
        """Make one update."""
        self._wait(self._call(self.actors[0], "advance", batch))

    def fetch_state(self) -> TrainingState:
        """Fetch the current state, with all chains, in arrays of the client's backend."""
        parameters, rest = self._wait(self._call(self.actors[0], "whole_state"))
        asarray = self._machine.backend.asarray
        parameters = map_arrays(parameters, lambda p: asarray(np.array(p)))
        return TrainingState.from_host(rest, self._machine.with_parameters(parameters))

    def _begin(self, state: TrainingState) -> None:
        machine, rest = state.machine, state.to_host()
        parameters = map_arrays(machine.parameters, machine.backend.to_numpy)
        machine = replace(machine.with_parameters(parameters), backend=None)
        chains = rest["chains"]
        futures, first_row = [], 0
        for rank, actor in enumerate(self.actors):
            share = chains.share(rank, len(self.actors))
            stream = replace(rest["stream"], first_row=first_row)
            own = {**rest, "chains": share, "stream": stream}
            futures.append(self._call(actor, "begin", machine, own, chains.n_model_states))
            first_row += share.n_rows
        for future in futures:
            self._wait(future)

    def _call(self, actor: Any, method: str, *args: Any) -> Any:
        return call_actor(self.client, actor, method, self.workers, *args)

    def _wait(self, future: Any) -> Any:
        return wait_for_actor(self.client, future, self.workers)
