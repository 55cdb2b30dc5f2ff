"""Threads: their number, the pool, and blocks of rows for each.

Parallel work is cut into blocks of rows whose sizes depend on the shapes alone. A block is a chain
of single-threaded BLAS calls and of kernels without the interpreter's lock. So BLAS threads never
compete with ours, and results do not depend on the number of threads.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache
from typing import Any
from weakref import WeakSet

import joblib
import numpy as np

from sklearn_rapid.backends.blas import single_threaded_blas, threads_of_blas

# Large enough for the matrix product to run near its peak, small enough that the fields of a
# block stay in the processor's cache and that many threads have work
# (measured: docs/design_notes/row_blocks.md).
SMALLEST_BLOCK, ROWS_PER_BLOCK, LARGEST_BLOCK = 50, 128, 512
BLOCKS_FOR_ALL = 8
# Multiply-adds that cost about as much as waking a thread.
SMALLEST_SHARED_WORK = 1e7
# Workers that wait for one another lose more than they gain where other programs use the
# processors too. If one of them ran for less than this share of the time, one thread makes the next
# call alone, then two calls, four, ... up to the most.
SMALLEST_SHARE_OF_TIME, MOST_CALLS_ALONE = 0.7, 32


# Work on a block of rows: a function, or a generator that may be stopped where it yields.
Work = Callable[[slice], Iterable[None] | None]


def finish(work: Iterable[None] | None) -> None:
    """Do the rest of a block's work."""
    for _ in work or ():
        pass


@lru_cache(maxsize=256)
def row_blocks(n_rows: int, group: int = 1) -> tuple[slice, ...]:
    """Cut rows into blocks of whole groups and nearly equal size, whatever the machine.

    Examples
    --------
    >>> row_blocks(100)
    (slice(0, 50, None), slice(50, 100, None))
    >>> row_blocks(100, group=20)
    (slice(0, 60, None), slice(60, 100, None))
    """
    if n_rows == 0:
        return ()
    rows_wanted = min(max(n_rows // BLOCKS_FOR_ALL, ROWS_PER_BLOCK), LARGEST_BLOCK)
    n_blocks = -(-n_rows // rows_wanted)
    if n_blocks > 1 or n_rows >= 2 * SMALLEST_BLOCK:
        n_blocks += n_blocks % 2  # two threads shall both be busy to the end
    size = -(-n_rows // (n_blocks * group)) * group
    return tuple(slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size))


def available_threads() -> int:
    """Return the number of threads that this process may use.

    The least of the limits by affinity and container, by joblib for its workers and by a
    surrounding ``threadpool_limits``; in a Dask task, its share of the worker's threads.
    """
    limits = [joblib.cpu_count()]
    share = _share_of_dask_worker()
    if share is not None:
        # Dask sets BLAS to one thread in each of its threads: that is no limit for ours.
        limits.append(share)
    else:
        limits += threads_of_blas()
    return max(1, min(limits))


def _share_of_dask_worker() -> int | None:
    """Return a task's share of its Dask worker's threads; None outside of a task.

    A worker runs at most as many tasks as it has threads; fewer tasks have larger shares.
    """
    if "distributed" not in sys.modules:
        return None
    try:
        state = sys.modules["distributed"].get_worker().state
    except (AttributeError, ValueError):  # another thread is importing it; this is no task
        return None
    return state.nthreads // max(1, len(state.executing))


class SharedRows:
    """A backend that shares rows out among a pool of threads, each with scratch space.

    Parameters
    ----------
    n_threads : int, default=1
        Including the calling thread.
    """

    def __init__(self, n_threads: int = 1) -> None:
        super().__init__()
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None
        self._scratch = threading.local()
        self._n_calls_alone, self._next_calls_alone = 0, 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Return the context in which the backend's arithmetic runs: a pool, BLAS on one thread."""
        if self._pool is not None:
            yield
            return
        # The calling thread works on blocks too. Scratch space lasts as long as the pool.
        with single_threaded_blas(), ThreadPoolExecutor(max(1, self.n_threads - 1)) as pool:
            self._pool = pool
            _with_pool.add(self)
            try:
                yield
            finally:
                _with_pool.discard(self)
                self._pool = None
                self._scratch = threading.local()

    def scratch(self, name: str, shape: tuple[int, int], dtype: Any) -> np.ndarray:
        """Return an array to write to, in the memory of this thread's last one of this name.

        New memory has to be mapped page by page: a tenth of the time of an update.
        """
        size = shape[0] * shape[1]
        kept = self._scratch.__dict__.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = np.empty(size, dtype=dtype)
            self._scratch.__dict__[name] = kept
        return kept[:size].reshape(shape)

    def for_row_blocks(
        self, work: Work, n_rows: int, products_per_row: float, group: int = 1
    ) -> None:
        """Do ``work(rows)`` for blocks of whole groups of rows, each on one of the threads.

        If the work fails or is interrupted on one thread, the others stop where it yields.
        """
        blocks = row_blocks(n_rows, group)
        is_small = n_rows * products_per_row < SMALLEST_SHARED_WORK
        if self._pool is None or self.n_threads == 1 or len(blocks) == 1 or is_small:
            for rows in blocks:
                finish(work(rows))
            return
        queue = iter(blocks)
        lock = threading.Lock()
        is_over = False

        def take_blocks() -> None:
            nonlocal is_over
            try:
                while True:
                    with lock:
                        rows = None if is_over else next(queue, None)
                    if rows is None:
                        return
                    for _ in work(rows) or ():
                        if is_over:
                            return
            except BaseException:
                is_over = True
                raise

        n_helpers = min(self.n_threads, len(blocks)) - 1
        helpers = []
        try:
            for _ in range(n_helpers):
                # The context carries NumPy's error state.
                helpers.append(self._pool.submit(copy_context().run, take_blocks))
            take_blocks()
            for helper in helpers:
                helper.result()
        except BaseException:
            is_over = True
            wait(helpers)
            raise

    def run_together(
        self, work: Callable[[int, int], None], n_workers: int, abort: Callable[[], None]
    ) -> None:
        """Do ``work(worker, n_workers)`` for all workers at once, each on its own thread.

        Workers may wait for one another: there are no more than threads, maybe fewer than asked
        for. ``abort()`` has to end all waiting, after a worker has failed or was interrupted.
        """
        n_workers = min(n_workers, self.n_threads) if self._pool is not None else 1
        if self._n_calls_alone > 0:
            self._n_calls_alone -= 1
            n_workers = 1
        seconds = [0.0] * n_workers

        def take_part(worker: int) -> None:
            before = time.thread_time()
            try:
                work(worker, n_workers)
                seconds[worker] = time.thread_time() - before
            except BaseException:
                abort()
                raise

        helpers, start = [], time.perf_counter()
        try:
            for worker in range(1, n_workers):
                helpers.append(self._pool.submit(copy_context().run, take_part, worker))
            take_part(0)
            for helper in helpers:
                helper.result()
        except BaseException:
            abort()
            wait(helpers)
            raise
        if n_workers == 1:
            return
        if min(seconds) < SMALLEST_SHARE_OF_TIME * (time.perf_counter() - start):
            self._n_calls_alone = self._next_calls_alone
            self._next_calls_alone = min(2 * self._next_calls_alone, MOST_CALLS_ALONE)
        else:
            self._next_calls_alone = 1


# Backends that have a pool at present.
_with_pool: WeakSet[SharedRows] = WeakSet()


def _after_fork_in_child() -> None:
    """Forget all pools: a child process has no threads but the one that forked."""
    for backend in list(_with_pool):
        backend._pool = None
    _with_pool.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
