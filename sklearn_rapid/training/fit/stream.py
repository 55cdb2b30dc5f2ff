"""Divide a stream of rows, as `partial_fit` takes it, into epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.settings import schedule_of
from sklearn_rapid.training.optimizers import Schedule


@dataclass(frozen=True)
class StreamEpochs:
    """The updates of a stream as `max_iter` epochs of equal length, to an update.

    Later updates make further epochs of that length, at the last epoch's rate.

    Parameters
    ----------
    schedule : Schedule
    max_iter : int
    n_updates : int or None
        None is not known: then all updates are in a first epoch that does not end.
    batch_size : int

    Examples
    --------
    >>> from sklearn_rapid.optimizers import LinearDecay
    >>> epochs = StreamEpochs(LinearDecay(0.5), max_iter=2, n_updates=5, batch_size=10)
    >>> [epochs.rate(n_done) for n_done in range(7)]
    [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    >>> list(epochs.parts(slice(0, 38), n_done=1))
    [(slice(0, 20, None), 0.5, True), (slice(20, 38, None), 0.25, True)]
    """

    schedule: Schedule
    max_iter: int
    n_updates: int | None
    batch_size: int

    def rate(self, n_done: int) -> float:
        """Return the learning rate after `n_done` updates."""
        if self.n_updates is None:
            return self.schedule.at(0, 1)
        epoch = min(self._epoch(n_done), self.max_iter - 1)
        return self.schedule.at(epoch, self.max_iter)

    def parts(self, rows: Any, n_done: int) -> Iterator[tuple[Any, float, bool]]:
        """Cut the rows of batches where an epoch ends: rows, their rate, whether they end it.

        Parameters
        ----------
        rows : slice or array of row numbers
        n_done : int
            Updates before the first of these batches.
        """
        if self.n_updates is None:
            yield rows, self.rate(n_done), False
            return
        n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        start = 0
        while start < n_rows:
            n_left = self._n_left(n_done)
            stop = min(start + n_left * self.batch_size, n_rows)
            n_batches = -(-(stop - start) // self.batch_size)
            yield _cut(rows, start, stop), self.rate(n_done), n_batches == n_left
            start, n_done = stop, n_done + n_batches

    def warn_if_passed(self, n_before: int, n_after: int) -> None:
        """Warn if the updates in between were the first beyond the end of the stream."""
        if self.n_updates is not None and n_before <= self.n_updates < n_after:
            warn(
                f"the n_updates={self.n_updates} updates of the stream are over: those that follow "
                f"stay at the last learning rate, {self.rate(self.n_updates):.4g}. Set n_updates "
                "to as many as there will be, from the model's first one on.",
                UserWarning,
            )

    def _epoch(self, n_done: int) -> int:
        return n_done * self.max_iter // self.n_updates

    def _n_left(self, n_done: int) -> int:
        """Count the updates until the end of the epoch of the next one."""
        end = -(-(self._epoch(n_done) + 1) * self.n_updates // self.max_iter)
        return end - n_done


def divide_stream(plan: Plan, batch_size: int) -> StreamEpochs:
    """Divide the stream into epochs by the estimator's parameters."""
    estimator = plan.estimator
    n_updates = None if estimator.n_updates is None else int(estimator.n_updates)
    return StreamEpochs(schedule_of(plan), int(estimator.max_iter), n_updates, batch_size)


def _cut(rows: Any, start: int, stop: int) -> Any:
    if isinstance(rows, slice):
        return slice(rows.start + start, rows.start + stop)
    return rows[start:stop]
