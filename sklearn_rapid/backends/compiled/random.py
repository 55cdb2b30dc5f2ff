"""Compiled uniform random numbers by Philox, the same as the reference's."""

from __future__ import annotations

import numpy as np

from sklearn_rapid.backends.compiled.compiler import compiled, f32, inlined, u32, u64
from sklearn_rapid.backends.random import (
    COLUMNS_PER_GROUP,
    LANES,
    PHILOX_MULTIPLIERS,
    PHILOX_ROUNDS,
    PHILOX_WEYL,
    WORD,
)

_M0, _M1 = (u64(m) for m in PHILOX_MULTIPLIERS)
_W0, _W1 = (u64(w) for w in PHILOX_WEYL)
_WORD, _HALF = u64(WORD), u64(32)
_STEP = f32(2.0**-32)


@inlined
def _fill_group(u, group, row, d0, d1, key0, key1):
    """Compute the 64 uniform numbers of one group of columns.

    Words are kept in 64 bits with the upper half ignored, so that no round converts numbers.
    """
    for lane in range(LANES):
        c0, c1 = u64(group) * u64(LANES) + u64(lane), u64(row)
        c2, c3 = u64(d0), u64(d1)
        k0, k1 = u64(key0), u64(key1)
        for _ in range(PHILOX_ROUNDS):
            p0 = _M0 * (c0 & _WORD)
            p1 = _M1 * (c2 & _WORD)
            c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1, (p0 >> _HALF) ^ c3 ^ k1, p0
            k0 = (k0 + _W0) & _WORD
            k1 = (k1 + _W1) & _WORD
        u[lane] = _unit(c0)
        u[LANES + lane] = _unit(c1)
        u[2 * LANES + lane] = _unit(c2)
        u[3 * LANES + lane] = _unit(c3)


@inlined
def _unit(word):
    """Return a number in (0, 1] from the lower 32 bits."""
    return (f32(u32(word & _WORD)) + f32(0.5)) * _STEP


@inlined
def fill_uniform(u, row, d0, d1, key0, key1):
    """Compute the uniform numbers of one row; u consists of whole groups."""
    for group in range(u.size // COLUMNS_PER_GROUP):
        start = group * COLUMNS_PER_GROUP
        columns = u[start : start + COLUMNS_PER_GROUP]
        _fill_group(columns, u32(group), row, d0, d1, key0, key1)


@inlined
def whole_groups(width):
    """Return a width rounded up to whole groups of columns."""
    return -(-width // COLUMNS_PER_GROUP) * COLUMNS_PER_GROUP


@compiled
def random_uniform(out, key0, key1, d0, d1, first_row):
    """Compute `random_uniform` into `out`."""
    n_rows, width = out.shape
    u = np.empty(whole_groups(width), dtype=f32)
    for i in range(n_rows):
        fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        for j in range(width):
            out[i, j] = u[j]


@compiled
def first_uniform(row, key0, key1, d0, d1):
    """Return the uniform number of a row's first column."""
    u = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    _fill_group(u, u32(0), row, d0, d1, key0, key1)
    return u[0]
