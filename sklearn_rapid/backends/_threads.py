"""Threads: how many there may be, who uses them, and blocks of rows for each.

Parallel work is cut into blocks of rows whose sizes depend on the shapes alone, and every
block is a chain of single-threaded BLAS calls and kernels without the interpreter's lock.
So BLAS threads never compete with ours, and results do not depend on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache, lru_cache
from typing import Any

import joblib
import numpy as np
import scipy.linalg  # noqa: F401 (its BLAS is to be among those that are controlled)
from threadpoolctl import ThreadpoolController

# Large enough for the matrix product to run near its peak, small enough that the fields of a
# block stay in the processor's cache and that many threads have work
# (measured: docs/design_notes/row_blocks.md).
SMALLEST_BLOCK, ROWS_PER_BLOCK, LARGEST_BLOCK = 50, 128, 512
BLOCKS_FOR_ALL = 8
# Waking a thread costs about as much as so many multiply-adds.
SMALLEST_SHARED_WORK = 1e7


@lru_cache(maxsize=256)
def row_blocks(n_rows: int, group: int = 1) -> tuple[slice, ...]:
    """Cut rows into blocks of nearly equal size, of whole groups; it depends on nothing else.

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


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_has_small_products() -> bool:
    """Whether products of compiled code (by SciPy's BLAS) are fast without packing if small.

    OpenBLAS has such kernels for processors with AVX-512 alone, and names these so.
    """
    pools = _controller().select(user_api="blas").info()
    kinds = {pool.get("architecture") for pool in pools if "scipy" in pool["filepath"]}
    return bool(kinds) and kinds <= {"SkylakeX", "Cooperlake", "SapphireRapids"}


def available_threads() -> int:
    """As many threads as this process may use.

    The least of what affinity and container allow, of joblib's limit for its workers and of
    a surrounding ``threadpool_limits``.
    """
    limits = [joblib.cpu_count()]
    if _blas.users == 0:
        pools = _controller().select(user_api="blas").info()
        limits += [pool["num_threads"] for pool in pools]
    return max(1, min(limits))


def _let_other_threads_set_limits() -> None:
    """Give up the sole right to set OpenBLAS's threads that setting them has brought.

    threadpoolctl (3.8) ignores other threads until the one that set a limit leaves a `with`.
    """
    with _controller().limit():
        pass


class _BlasGuard:
    """Counts who needs BLAS on one thread: the first sets it, the last puts it back.

    The setting belongs to the process. Were each user to save and restore it for itself, two
    fits in two threads could leave it at one for good.
    """

    def __init__(self) -> None:
        self.users = 0
        self._lock = threading.Lock()
        self._limit = None

    def __enter__(self) -> None:
        with self._lock:
            if self.users == 0:
                self._limit = _controller().limit(limits=1, user_api="blas")
                _let_other_threads_set_limits()
            self.users += 1

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self.users -= 1
            if self.users == 0:
                self._limit.restore_original_limits()
                _let_other_threads_set_limits()


_blas = _BlasGuard()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread while any thread of the process is inside."""
    with _blas:
        yield


class SharedRows:
    """A backend whose rows are shared out among a pool of threads, each with scratch space.

    Parameters
    ----------
    n_threads : int, default=1
        The calling thread among them.
    """

    def __init__(self, n_threads: int = 1) -> None:
        super().__init__()
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None
        self._scratch = threading.local()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Context in which the backend's arithmetic runs: BLAS on one thread, a pool of ours."""
        if self._pool is not None:
            yield
            return
        # The calling thread takes blocks too. Scratch space lasts as long as the pool.
        with single_threaded_blas(), ThreadPoolExecutor(max(1, self.n_threads - 1)) as pool:
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None
                self._scratch = threading.local()

    def scratch(self, name: str, shape: tuple[int, int], dtype: Any) -> np.ndarray:
        """An array to write to, whose memory is that of this thread's last one of this name.

        Memory that is new each time has to be mapped anew, page by page: a tenth of the time of
        an update.
        """
        size = shape[0] * shape[1]
        kept = self._scratch.__dict__.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = np.empty(size, dtype=dtype)
            self._scratch.__dict__[name] = kept
        return kept[:size].reshape(shape)

    def for_row_blocks(
        self, work: Callable[[slice], None], n_rows: int, products_per_row: float, group: int = 1
    ) -> None:
        """Call ``work(rows)`` for blocks of whole groups of rows, each on some thread."""
        blocks = row_blocks(n_rows, group)
        is_small = n_rows * products_per_row < SMALLEST_SHARED_WORK
        if self._pool is None or self.n_threads == 1 or len(blocks) == 1 or is_small:
            for rows in blocks:
                work(rows)
            return
        queue = iter(blocks)
        lock = threading.Lock()

        def take_blocks() -> None:
            while True:
                with lock:
                    rows = next(queue, None)
                if rows is None:
                    return
                work(rows)

        n_helpers = min(self.n_threads, len(blocks)) - 1
        # The context carries NumPy's error state.
        helpers = [self._pool.submit(copy_context().run, take_blocks) for _ in range(n_helpers)]
        try:
            take_blocks()
        finally:
            for helper in helpers:
                helper.result()
