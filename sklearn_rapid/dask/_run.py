"""A fit over the workers of a cluster: batches as they are cut, and what a lost worker costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.dask._cluster import LostWorkers, workers_left
from sklearn_rapid.dask._crew import Crew
from sklearn_rapid.dask._shard import Batch, Settings, can_be_shared
from sklearn_rapid.training.fit.batches import cut_batches, order_epoch, shuffle_in_batches
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.state import TrainingState

# So long after the state has been fetched it is fetched again, in seconds; and it is not fetched
# for more than this share of the time.
SECONDS_BETWEEN_MARKS, SHARE_OF_MARKS = 20.0, 0.05

Window = tuple[tuple[int, ...], np.ndarray]


@dataclass(frozen=True)
class Mark:
    """A state that the client has, and how many batches of the epoch have led to it."""

    state: TrainingState
    n_batches: int


@dataclass
class DaskRun(Run):
    """One fit under way, whose rows and chains are with the workers.

    What a state is depends on nothing but the one before it and the batches. So a fit that has
    lost a worker goes back to the last state that the client has, and makes the updates since
    then anew with the workers that are left.
    """

    # The client fetches these rows.
    n_rows_searched: ClassVar[int] = 2000
    crew: Crew | None = None

    def run_epoch(self, rate: float) -> None:
        """Update once for every batch, whatever happens to workers meanwhile."""
        windows = list(self._windows())
        n_batches = sum(-(-rows.size // self.trainer.batch_size) for _, rows in windows)
        mark = Mark(self.state, 0)
        while mark.n_batches < n_batches:
            try:
                if self.crew is None:
                    self.crew = Crew(self.X.client, self.X, self._settings, mark.state)
                for reached in self._updated(windows, mark.n_batches, rate):
                    mark = reached
            except LostWorkers as error:
                self.crew = None
                n_left = len(workers_left(self.X.client))
                warn(
                    f"{error}. The fit goes on from update {mark.state.n_updates} with {n_left} "
                    f"worker{'s' if n_left > 1 else ''}.",
                    RuntimeWarning,
                )
        self.state = mark.state
        self.trainer.check(self.state)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray | None, bool]]:
        """Row numbers of the next epoch's batches, weights, and whether they are the last."""
        for _, window in self._windows():
            for rows in cut_batches(window.size, self.trainer.batch_size):
                yield window[rows], self._weights_of(window[rows]), False

    def _updated(self, windows: list[Window], n_done: int, rate: float) -> Iterator[Mark]:
        """Marks on the way through the batches that are to come, the last one at their end."""
        number, batch_size = 0, self.trainer.batch_size
        last, cost = time.perf_counter(), 0.0
        for (blocks, window), following in zip(windows, [*windows[1:], None], strict=True):
            for rows in cut_batches(window.size, batch_size):
                number += 1
                if number <= n_done:
                    continue
                self.crew.hold(blocks, following[0] if following else ())
                is_last = following is None and rows.stop == window.size
                rows = window[rows]
                self.crew.advance(Batch(rows, self._weights_of(rows), rate, is_last))
                wait = max(SECONDS_BETWEEN_MARKS, cost / SHARE_OF_MARKS)
                if is_last or time.perf_counter() - last > wait:
                    start = time.perf_counter()
                    mark = Mark(self.crew.state(), number)
                    last = time.perf_counter()
                    cost = last - start
                    yield mark

    def _windows(self) -> Iterator[Window]:
        """Blocks that are held together, and the rows of them in the next epoch's order."""
        n_updates = 0 if self.state is None else self.state.n_updates
        rng = np.random.default_rng((self.seed, n_updates))
        n_at_once = self.plan.estimator.blocks_at_once
        if n_at_once is None:
            batch_size = self.trainer.batch_size
            order = order_epoch(self.X, self.split, self.weights, self.shuffle, batch_size, rng)
            order = np.arange(self.X.shape[0]) if order is None else order
            yield tuple(range(len(self.X.blocks))), order
            return
        order = np.arange(len(self.X.blocks))
        order = rng.permutation(order) if self.shuffle else order
        for i in range(0, order.size, n_at_once):
            blocks = tuple(sorted(map(int, order[i : i + n_at_once])))
            rows = self._rows_in(blocks)
            if rows.size:
                if self.shuffle:
                    rows = shuffle_in_batches(rows, self.trainer.batch_size, rng)
                yield blocks, rows

    def _rows_in(self, blocks: tuple[int, ...]) -> np.ndarray:
        """The rows of some blocks that are trained on."""
        ends = [(self.X.starts[b], self.X.stops[b]) for b in blocks]
        rows = np.concatenate([np.arange(start, stop) for start, stop in ends])
        if self.split.train is not None:
            rows = rows[np.isin(rows, self.split.train, assume_unique=True)]
        return rows if self.weights is None else rows[self.weights[rows] > 0.0]

    def _weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        if self.weights is None:
            return None
        weights = self.weights[rows]
        return weights / weights.sum()

    @cached_property
    def _settings(self) -> Settings:
        estimator = self.plan.estimator
        encoder = replace(self.encoder, backend=None)
        return Settings(self.trainer, encoder, estimator.backend, estimator.n_threads)


def check_phase(phase: Any) -> None:
    """Raise ValueError if the states of a negative phase cannot be drawn in several places."""
    if not can_be_shared(phase):
        raise ValueError(
            f"the states of {type(phase).__name__} cannot be drawn by several workers. Use another "
            "negative phase, or the class of the same name without Dask."
        )
