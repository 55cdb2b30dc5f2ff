"""What compiled functions are handed: arrays in one layout and type, maps, names of draws.

A compiled function is compiled once for each type of its arguments, and read-only arrays are of
another type. So arrays are copied that cannot be written to (memory-mapped ones, say); what is
computed must not depend on it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.random import WORD, RandomStream

f32, u32 = np.float32, np.uint32

NO_MATRIX = np.empty((0, 0), dtype=f32)
ALL_FREE = np.empty((0, 0), dtype=bool)


@lru_cache(maxsize=64)
def ones(n: int) -> np.ndarray:
    """A vector of ones, not to be written to."""
    return np.ones(n, dtype=f32)


def is_plain(a: np.ndarray) -> bool:
    """Whether the compiled kernels know the array's type and layout: float32, in row-major order.

    They take the array itself, or if need be a copy of it (`writeable`).
    """
    return a.dtype == f32 and a.flags.c_contiguous


def writeable(a: np.ndarray) -> np.ndarray:
    """The array itself in row-major order, or a copy if it is not, or cannot be written to."""
    return a if a.flags.carray else a.copy()


def is_compiled(x: np.ndarray, *maps: Affine) -> bool:
    """Whether the pipelines take rows and maps: all in float32, to spins, with one bias."""
    are_plain = all(a.bias.dtype == f32 and a.units.are_spins and not a.is_by_row for a in maps)
    return x.dtype == f32 and are_plain


def clamps(free: Any) -> np.ndarray:
    """Which spins are drawn, as the pipelines take it: empty if all are."""
    return ALL_FREE if free is None else writeable(free)


def name_of(stream: RandomStream, draw: int, first_row: int) -> tuple:
    """Of a draw and the first of its rows, as kernels take it."""
    k0, k1 = stream.key
    return u32(k0), u32(k1), u32(draw & WORD), u32(draw >> 32), u32(first_row)


def compilable(affine: Affine) -> tuple:
    """A map as the pipelines take it: matrices in row-major order, whether to transpose them."""
    made = affine.kept.get("numba")
    if made is None:
        second = (NO_MATRIX, False) if affine.second is None else _row_major(affine.second)
        made = *_row_major(affine.first), *second, f32(affine.scale), writeable(affine.bias)
        affine.kept["numba"] = made
    return made


def _row_major(matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    if not matrix.flags.c_contiguous and matrix.flags.f_contiguous:
        return writeable(matrix.T), True
    return writeable(matrix), False
