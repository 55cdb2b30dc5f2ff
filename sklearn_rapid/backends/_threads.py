"""Threads: how many there may be, who uses them, and blocks of rows for each.

Parallel work is cut into blocks of rows whose sizes depend on the shapes alone, and every
block is a chain of single-threaded BLAS calls and kernels without the interpreter's lock.
So BLAS threads never compete with ours, and results do not depend on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import joblib
from threadpoolctl import ThreadpoolController

# Large enough for the matrix product to run near its peak, small enough that the fields of a
# block stay in the second-level cache (measured: docs/design_notes/row_blocks.md).
ROWS_PER_BLOCK = 128
SMALLEST_BLOCK = 50


def row_blocks(n_rows: int) -> list[slice]:
    """Cut rows into blocks of nearly equal size; the cut depends on `n_rows` alone.

    Examples
    --------
    >>> row_blocks(100)
    [slice(0, 50, None), slice(50, 100, None)]
    """
    n_blocks = -(-n_rows // ROWS_PER_BLOCK)
    if n_blocks == 1:
        n_blocks = max(1, min(2, n_rows // SMALLEST_BLOCK))
    size = -(-n_rows // max(n_blocks, 1))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, max(size, 1))]


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


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
