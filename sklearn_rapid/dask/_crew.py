"""The workers of a fit, from the client's side: set up, driven, asked for the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from distributed import Client

from sklearn_rapid.dask._cluster import answer, asked, workers_left
from sklearn_rapid.dask._rows import RemoteRows
from sklearn_rapid.dask._shard import Batch, Settings, Shard
from sklearn_rapid.training.state import TrainingState, map_arrays

# Times that a block is asked for which Dask has moved before it was taken.
ATTEMPTS = 5


class Crew:
    """All workers of a cluster, each with a share of the rows and chains.

    Parameters
    ----------
    client : Client
    rows : RemoteRows
    settings : Settings
    state : TrainingState
        What the updates begin with; left as it is.
    """

    def __init__(
        self, client: Client, rows: RemoteRows, settings: Settings, state: TrainingState
    ) -> None:
        self.client, self.rows = client, rows
        self.workers = workers_left(client)
        self._like = state.machine
        self._blocks: tuple[int, ...] = ()
        n = len(self.workers)
        futures = [
            client.submit(
                Shard, settings, rank, n,
                actor=True, pure=False, workers=[address], allow_other_workers=False,
            )
            for rank, address in enumerate(self.workers)
        ]  # fmt: skip
        self.shards = [self._answer(future) for future in futures]
        for rank, shard in enumerate(self.shards):
            below = [r for r in (2 * rank + 1, 2 * rank + 2) if r < n]
            self._answer(self._asked(shard, "link", [self.shards[r] for r in below]))
        self._begin(state)

    def hold(self, blocks: Sequence[int], next_blocks: Sequence[int] = ()) -> None:
        """Have these blocks in the workers' memory, and others on their way there."""
        if self._blocks == tuple(blocks):
            return
        for _ in range(ATTEMPTS):
            self.rows.hold([*blocks, *next_blocks], self.workers)
            held = self.rows.held_by(blocks)
            asked = [
                self._asked(shard, "hold", held.get(address, []))
                for address, shard in zip(self.workers, self.shards, strict=True)
            ]
            missing = [key for future in asked for key in self._answer(future)]
            if not missing:
                self._blocks = tuple(blocks)
                return
            self.rows.forget(missing)
        raise RuntimeError(f"{len(missing)} blocks of X do not stay where they are put")

    def advance(self, batch: Batch) -> None:
        """An update."""
        self._answer(self._asked(self.shards[0], "advance", batch))

    def state(self) -> TrainingState:
        """The state as it is now, with all chains, in arrays of the client's backend."""
        parameters, rest = self._answer(self._asked(self.shards[0], "whole_state"))
        machine = self._like
        asarray = machine.backend.asarray
        parameters = map_arrays(parameters, lambda p: asarray(np.array(p)))
        machine = replace(
            machine,
            couplings=machine.couplings.with_parameters(parameters),
            visible_bias=parameters["visible_bias"],
            hidden_bias=parameters["hidden_bias"],
        )
        return TrainingState.from_host(rest, machine)

    def _begin(self, state: TrainingState) -> None:
        machine, rest = state.machine, state.to_host()
        to_numpy, chains = machine.backend.to_numpy, rest["chains"]
        parameters = map_arrays(machine.couplings.parameters, to_numpy)
        couplings = machine.couplings.with_parameters(parameters)
        biases = to_numpy(machine.visible_bias), to_numpy(machine.hidden_bias)
        shares = [chains.share(rank, len(self.shards)) for rank in range(len(self.shards))]
        of_all = couplings, biases, machine.is_even
        begun, first_row = [], 0
        for shard, share in zip(self.shards, shares, strict=True):
            own = {**rest, "chains": share, "stream": replace(rest["stream"], first_row=first_row)}
            begun.append(self._asked(shard, "begin", *of_all, own, chains.n_model_states))
            first_row += share.n_rows
        for future in begun:
            self._answer(future)

    def _asked(self, shard: Any, method: str, *args: Any) -> Any:
        return asked(self.client, shard, method, self.workers, *args)

    def _answer(self, future: Any) -> Any:
        return answer(self.client, future, self.workers)
