"""Run a fit on the workers of a cluster, and recover from lost ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.dask._actor import Batch
from sklearn_rapid.dask._actor_group import ActorGroup
from sklearn_rapid.dask._cluster import LostWorkers, wait_for_workers
from sklearn_rapid.training.fit.batches import cut_batches, order_epoch, shuffle_in_batches
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.state import TrainingState

# The state is fetched this often, in seconds, but for no more than this share of the time.
SECONDS_BETWEEN_FETCHES, SHARE_OF_FETCHES = 20.0, 0.05


# Numbers of the blocks in memory together, and of their rows in the order of training.
Window = tuple[tuple[int, ...], np.ndarray]


@dataclass(frozen=True)
class RollbackPoint:
    """A state held by the client, and the number of the epoch's batches that led to it."""

    state: TrainingState
    n_batches: int


@dataclass
class DaskRun(Run):
    """A fit whose rows and chains are on the workers.

    A state depends only on the one before it and on the batches. After the loss of a worker, the
    fit goes back to the last rollback point and repeats the updates since then on the others.
    """

    # The client fetches these rows.
    n_rows_searched: ClassVar[int] = 2000
    actors: ActorGroup | None = None

    def copy_from_start(self) -> DaskRun:
        """Return the same fit before its first update, with actors of its own."""
        return replace(super().copy_from_start(), actors=None)

    def run_epoch(self, rate: float) -> None:
        """Update once for every batch, and recover from lost workers."""
        windows = list(self._windows())
        n_batches = sum(-(-rows.size // self.trainer.batch_size) for _, rows in windows)
        point = RollbackPoint(self.state, 0)
        while point.n_batches < n_batches:
            try:
                if self.actors is None:
                    self.actors = self._start_actors(point.state)
                for reached in self._update_batches(windows, point.n_batches, rate):
                    point = reached
            except LostWorkers as error:
                self.actors = None
                n_left = len(wait_for_workers(self.X.client))
                warn(
                    f"{error}. The fit goes on from update {point.state.n_updates} with {n_left} "
                    f"worker{'s' if n_left > 1 else ''}.",
                    RuntimeWarning,
                )
        self.state = point.state
        self.trainer.check(self.state)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray | None, bool]]:
        """Row numbers of the next epoch's batches, weights, and whether they are the last."""
        for _, window in self._windows():
            for rows in cut_batches(window.size, self.trainer.batch_size):
                yield window[rows], self._weights_of(window[rows]), False

    def _update_batches(
        self, windows: list[Window], n_done: int, rate: float
    ) -> Iterator[RollbackPoint]:
        """Update for the batches after the first `n_done`; yield rollback points, one at the end.

        The last fetch of a state sets how long the next one waits.
        """
        number, batch_size = 0, self.trainer.batch_size
        last, cost = time.perf_counter(), 0.0
        for (blocks, window), following in zip(windows, [*windows[1:], None], strict=True):
            for rows in cut_batches(window.size, batch_size):
                number += 1
                if number <= n_done:
                    continue
                self.actors.hold(blocks, following[0] if following else ())
                is_last = following is None and rows.stop == window.size
                rows = window[rows]
                self.actors.advance(Batch(rows, self._weights_of(rows), rate, is_last))
                wait = max(SECONDS_BETWEEN_FETCHES, cost / SHARE_OF_FETCHES)
                if is_last or time.perf_counter() - last > wait:
                    start = time.perf_counter()
                    point = RollbackPoint(self.actors.fetch_state(), number)
                    last = time.perf_counter()
                    cost = last - start
                    yield point

    def _windows(self) -> Iterator[Window]:
        """Split the next epoch into windows of blocks, with their rows in the order of training."""
        n_updates = 0 if self.state is None else self.state.n_updates
        rng = np.random.default_rng((self.seed, n_updates))
        n_at_once, batch_size = self.plan.estimator.blocks_at_once, self.trainer.batch_size
        if n_at_once is None:
            order = order_epoch(self.X, self.split, self.weights, self.shuffle, batch_size, rng)
            order = np.arange(self.X.shape[0]) if order is None else order
            yield tuple(range(len(self.X.blocks))), order
            return
        order = np.arange(len(self.X.blocks))
        order = rng.permutation(order) if self.shuffle else order
        for i in range(0, order.size, n_at_once):
            blocks = tuple(sorted(map(int, order[i : i + n_at_once])))
            rows = self._training_rows(blocks)
            if rows.size:
                yield blocks, shuffle_in_batches(rows, batch_size, rng) if self.shuffle else rows

    def _training_rows(self, blocks: tuple[int, ...]) -> np.ndarray:
        """Return the numbers of the blocks' rows, without validation rows and zero weights."""
        ranges = [np.arange(self.X.starts[b], self.X.stops[b]) for b in blocks]
        rows = np.concatenate(ranges)
        if self.split.train is not None:
            rows = rows[np.isin(rows, self.split.train, assume_unique=True)]
        return rows if self.weights is None else rows[self.weights[rows] > 0.0]

    def _weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self._normalized_weights(rows)

    def _start_actors(self, state: TrainingState) -> ActorGroup:
        encoder = self.encoder.for_rows(None, None)
        return ActorGroup(self.X, self.trainer, encoder, self.plan.estimator, state)
