"""A spin barrier for worker threads inside compiled code.

Waking a thread of a pool costs about 50 microseconds, a tenth of a small update. Workers of one
compiled call wait in it instead: a look at a counter is a few nanoseconds.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sklearn_rapid.backends.compiled.compiler import compiled

# Cells of a barrier, each on its own cache line (as large as any processor's).
LINE = 16
ARRIVED, OPENED, BROKEN = 0, LINE, 2 * LINE
# These looks take some microseconds; a worker that waits longer lets others have the processor.
LOOKS = 2000

_yield_processor = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def new_barrier() -> np.ndarray:
    """Return a barrier at which no worker has arrived."""
    return np.zeros(3 * LINE, dtype=np.int64)


def _pointer(context, builder, array_type, array, index):
    made = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, made, [index])


@intrinsic
def _add(typing_context, cells, index, value):
    """Add to a cell atomically, for all threads to see; return its value of before."""

    def generate(context, builder, signature, arguments):
        array, i, x = arguments
        pointer = _pointer(context, builder, signature.args[0], array, i)
        return builder.atomic_rmw("add", pointer, x, "seq_cst")

    return types.int64(cells, types.intp, types.int64), generate


@intrinsic
def _load(typing_context, cells, index):
    """Return the value of a cell in memory, whatever was read before."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(cells, types.intp), generate


@intrinsic
def _store(typing_context, cells, index, value):
    """Write a value to a cell, after everything that was written before."""

    def generate(context, builder, signature, arguments):
        array, i, x = arguments
        pointer = _pointer(context, builder, signature.args[0], array, i)
        builder.store_atomic(x, pointer, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(cells, types.intp, types.int64), generate


@compiled
def wait(barrier, n_workers):
    """Wait until all workers are here; return False if the barrier was aborted."""
    if n_workers == 1:
        return True
    opened = _load(barrier, OPENED)
    if _add(barrier, ARRIVED, 1) == n_workers - 1:
        _store(barrier, ARRIVED, 0)
        _store(barrier, OPENED, opened + 1)
        return _load(barrier, BROKEN) == 0
    looks = 0
    while _load(barrier, OPENED) == opened:
        if _load(barrier, BROKEN) != 0:
            return False
        looks += 1
        if looks > LOOKS:
            _yield_processor()
    return True


@compiled
def abort(barrier):
    """End all waiting at the barrier, now and later."""
    _store(barrier, BROKEN, 1)
