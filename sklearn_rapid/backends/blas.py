"""BLAS: its kernels, and a guard that keeps it to one thread while ours are at work.

Blocks of rows are chains of single-threaded BLAS calls: BLAS threads would compete with ours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakSet

import scipy.linalg  # noqa: F401 (loads its BLAS, to be controlled too)
from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _blas_kernels() -> set[str]:
    """Return the processors for which SciPy's BLAS, which compiled code calls, has its kernels."""
    pools = _controller().select(user_api="blas").info()
    return {str(pool.get("architecture")) for pool in pools if "scipy" in pool["filepath"]}


def blas_has_small_products() -> bool:
    """Return whether SciPy's BLAS, which compiled code calls, multiplies small matrices unpacked.

    OpenBLAS does so on processors with AVX-512 alone, which have these names.
    """
    kernels = _blas_kernels()
    return bool(kernels) and kernels <= {"SkylakeX", "Cooperlake", "SapphireRapids"}


def _let_other_threads_set_limits() -> None:
    """Let other threads set the number of OpenBLAS's threads, after this one has.

    threadpoolctl (3.8) ignores other threads until the one that set a limit leaves a `with`.
    """
    with _controller().limit():
        pass


class _User:
    """A user that needs BLAS on one thread, until it leaves or its frame ends."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()


class _BlasGuard:
    """The users of single-threaded BLAS: the first sets one thread, the last restores the number.

    The setting belongs to the process. If each user saved and restored it, two fits in two threads
    could leave it at one for good.

    An interrupt (Ctrl-C) may come between any two instructions. So the old number is noted before
    the change, and forgotten only after it is restored; the next user that enters, leaves or asks
    completes what an interrupt left undone. A user that could not leave ends with its frame.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: WeakSet[_User] = WeakSet()
        self._before: list[tuple[Any, int]] | None = None
        self._is_set = False

    def is_idle(self) -> bool:
        """Return whether BLAS has the number of threads that other code has set."""
        with self._lock:
            self._restore_if_unused()
            return self._before is None

    def enter(self, user: _User) -> None:
        """Set BLAS to one thread, if it is not."""
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
        """Restore the threads of BLAS, if no other user is left."""
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

    # A child process made by a fork has the forking thread alone. No other thread may hold the lock
    # meanwhile: the child would never release it.

    def before_fork(self) -> None:
        """Wait for other threads to release the lock."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget users in threads that do not exist in the child."""
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
    """Return the threads of each BLAS as other code has set them; [] while the guard holds them."""
    if not _blas.is_idle():
        return []
    return [pool["num_threads"] for pool in _controller().select(user_api="blas").info()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_blas.before_fork,
        after_in_parent=_blas.after_fork_in_parent,
        after_in_child=_blas.after_fork_in_child,
    )
