"""BLAS: which kernels it has, and one thread for it while others are at work.

Blocks of rows are chains of single-threaded BLAS calls: its own threads would compete with ours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakSet

import scipy.linalg  # noqa: F401 (its BLAS is to be among those that are controlled)
from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _blas_kernels() -> set[str]:
    """What SciPy's BLAS, which compiled code calls, says of the processor."""
    pools = _controller().select(user_api="blas").info()
    return {str(pool.get("architecture")) for pool in pools if "scipy" in pool["filepath"]}


def blas_has_small_products() -> bool:
    """Whether products of compiled code (by SciPy's BLAS) are fast without packing if small.

    OpenBLAS has such kernels for processors with AVX-512 alone, and names these so.
    """
    kernels = _blas_kernels()
    return bool(kernels) and kernels <= {"SkylakeX", "Cooperlake", "SapphireRapids"}


def _let_other_threads_set_limits() -> None:
    """Give up the sole right to set OpenBLAS's threads that setting them has brought.

    threadpoolctl (3.8) ignores other threads until the one that set a limit leaves a `with`.
    """
    with _controller().limit():
        pass


class _User:
    """One who needs BLAS on one thread, for as long as it stays and is alive."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()


class _BlasGuard:
    """Knows who needs BLAS on one thread: the first sets it, the last puts it back.

    The setting belongs to the process. Were each user to save and restore it for itself, two
    fits in two threads could leave it at one for good.

    An interrupt (Ctrl-C) may come between any two instructions. So what BLAS had before is noted
    before it is changed and forgotten only when it is back; whatever was left undone is done by
    the next one who comes, goes or asks. A user whose leave was lost goes with its frame.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: WeakSet[_User] = WeakSet()
        self._before: list[tuple[Any, int]] | None = None
        self._is_set = False

    def is_idle(self) -> bool:
        """Whether BLAS has the number of threads that others have given it."""
        with self._lock:
            self._restore_if_unused()
            return self._before is None

    def enter(self, user: _User) -> None:
        """Set BLAS to one thread, unless it is."""
        with self._lock:
            self._users.add(user)
            if self._before is None:
                pools = _controller().select(user_api="blas").lib_controllers
                self._before = [(pool, pool.num_threads) for pool in pools]
            if not self._is_set:
                for pool, _ in self._before:
                    pool.set_num_threads(1)
                _let_other_threads_set_limits()
                self._is_set = True

    def leave(self, user: _User) -> None:
        """Give BLAS its threads back, if no other user is left."""
        with self._lock:
            self._users.discard(user)
            self._restore_if_unused()

    def _restore_if_unused(self) -> None:
        if self._before is None or self._users:
            return
        self._is_set = False
        for pool, n_threads in self._before:
            pool.set_num_threads(n_threads)
        _let_other_threads_set_limits()
        self._before = None

    # A child process made by a fork has the forking thread alone. No other one may be at work
    # here meanwhile: its lock would never be released in the child.

    def before_fork(self) -> None:
        """Wait for other threads to be out of here."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Let other threads in."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the users in threads that are no more."""
        self._lock = threading.RLock()
        here = threading.get_ident()
        self._users = WeakSet(user for user in self._users if user.thread == here)
        self._restore_if_unused()


_blas = _BlasGuard()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread while any thread of the process is inside."""
    user = _User()
    try:
        _blas.enter(user)
        yield
    finally:
        try:
            _blas.leave(user)
        except BaseException:  # an interrupt on the way out
            _blas.leave(user)
            raise


def threads_of_blas() -> list[int]:
    """Threads of each BLAS as others have set them; none while it is kept to one from here."""
    if not _blas.is_idle():
        return []
    return [pool["num_threads"] for pool in _controller().select(user_api="blas").info()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_blas.before_fork,
        after_in_parent=_blas.after_fork_in_parent,
        after_in_child=_blas.after_fork_in_child,
    )
