"""What compiled functions are handed: arrays in one layout and type, maps, names of draws.

A compiled function is compiled once for each type of its arguments, and read-only arrays are of
another type. So arrays are copied that cannot be written to (memory-mapped ones, say); what is
computed must not depend on it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends.affine import Affine

f32 = np.float32

NO_MATRIX = np.empty((0, 0), dtype=f32)
ALL_FREE = np.empty((0, 0), dtype=bool)


class CompiledMap(NamedTuple):
    """An `Affine` map for compiled code: matrices in row-major order, maybe to be transposed.

    An empty second matrix stands for None.
    """

    first: Any
    is_first_transposed: bool
    second: Any
    is_second_transposed: bool
    scale: Any
    bias: Any


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
    """Whether the pipelines take rows and maps: all in float32, the maps to spins."""
    return x.dtype == f32 and all(a.bias.dtype == f32 and a.units.are_spins for a in maps)


def free_or_all(free: Any) -> np.ndarray:
    """Return which spins are drawn, not clamped; an empty array if all are."""
    return ALL_FREE if free is None else writeable(free)


def compiled_map(affine: Affine) -> CompiledMap:
    """Return the map as compiled functions take it, kept with the map."""
    made = affine.kept.get("numba")
    if made is None:
        second = (NO_MATRIX, False) if affine.second is None else _row_major(affine.second)
        scale, bias = f32(affine.scale), writeable(affine.bias)
        made = CompiledMap(*_row_major(affine.first), *second, scale, bias)
        affine.kept["numba"] = made
    return made


def _row_major(matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    if not matrix.flags.c_contiguous and matrix.flags.f_contiguous:
        return writeable(matrix.T), True
    return writeable(matrix), False
