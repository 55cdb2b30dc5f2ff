"""Arguments of compiled functions: arrays in one layout and type, and maps.

A function is compiled for each type of its arguments, and read-only arrays have another type. So
read-only arrays (memory-mapped ones, say) are copied; results must not depend on it.
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
    """Return a vector of ones, not to be written to."""
    return np.ones(n, dtype=f32)


def is_plain(a: np.ndarray) -> bool:
    """Return whether kernels take the array (or a copy, see `writeable`): row-major float32."""
    return a.dtype == f32 and a.flags.c_contiguous


def writeable(a: np.ndarray) -> np.ndarray:
    """Return the array if it is row-major and writeable, else a copy that is."""
    return a if a.flags.carray else a.copy()


def is_compiled(x: np.ndarray, *maps: Affine) -> bool:
    """Return whether pipelines take rows and maps: float32, to spins, with one bias."""
    are_plain = all(a.bias.dtype == f32 and a.units.are_spins and not a.is_by_row for a in maps)
    return x.dtype == f32 and are_plain


def free_or_all(free: Any) -> np.ndarray:
    """Return the array of spins to draw, True where not clamped; empty if none is clamped."""
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
