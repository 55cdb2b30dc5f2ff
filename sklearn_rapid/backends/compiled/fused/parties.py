"""Parties: threads in one compiled call each, that wait for one another at a gate.

Waking a thread of a pool costs about 50 microseconds, a tenth of a small update. Parties that are
at work already wait in compiled code instead: a look at a counter is a few nanoseconds.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sklearn_rapid.backends.compiled.compiler import compiled

# Cells of a gate, each on a cache line of its own (as large as any processor's).
LINE = 16
ARRIVED, OPENED, GIVEN_UP = 0, LINE, 2 * LINE
# So many looks take some microseconds; a party that waits longer lets others have the processor.
LOOKS = 2000

_yield_processor = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def new_gate() -> np.ndarray:
    """A gate for parties that are yet to come."""
    return np.zeros(3 * LINE, dtype=np.int64)


def _pointer(context, builder, array_type, array, index):
    made = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, made, [index])


@intrinsic
def _add(typing_context, cells, index, value):
    """Add to a cell as one step, for all threads to see; return what it was."""

    def generate(context, builder, signature, arguments):
        array, i, x = arguments
        pointer = _pointer(context, builder, signature.args[0], array, i)
        return builder.atomic_rmw("add", pointer, x, "seq_cst")

    return types.int64(cells, types.intp, types.int64), generate


@intrinsic
def _load(typing_context, cells, index):
    """What is in a cell now: not what was there at the last look."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(cells, types.intp), generate


@intrinsic
def _store(typing_context, cells, index, value):
    """Put a value into a cell, after all that was written before."""

    def generate(context, builder, signature, arguments):
        array, i, x = arguments
        pointer = _pointer(context, builder, signature.args[0], array, i)
        builder.store_atomic(x, pointer, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(cells, types.intp, types.int64), generate


@compiled
def wait(gate, n_parties):
    """Wait until all parties are here; whether they are: False if one has given up."""
    if n_parties == 1:
        return True
    opened = _load(gate, OPENED)
    if _add(gate, ARRIVED, 1) == n_parties - 1:
        _store(gate, ARRIVED, 0)
        _store(gate, OPENED, opened + 1)
        return _load(gate, GIVEN_UP) == 0
    looks = 0
    while _load(gate, OPENED) == opened:
        if _load(gate, GIVEN_UP) != 0:
            return False
        looks += 1
        if looks > LOOKS:
            _yield_processor()
    return True


@compiled
def give_up(gate):
    """Send away all who wait at the gate, now or later."""
    _store(gate, GIVEN_UP, 1)
