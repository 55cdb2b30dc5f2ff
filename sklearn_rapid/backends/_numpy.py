"""The reference backend: plain array-API code that shows what each kernel computes.

It holds for any array-API namespace: the tests run it with `array_api_strict` too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from sklearn_rapid.backends._random import (
    COLUMNS_PER_GROUP,
    LANES,
    PHILOX_MULTIPLIERS,
    PHILOX_ROUNDS,
    PHILOX_WEYL,
    RandomStream,
)
from sklearn_rapid.backends._threads import row_blocks, single_threaded_blas

_WORD = 0xFFFFFFFF
_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has few bits, so that n * LN2_HIGH is exact in float32.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_SMALLEST_EXPONENT = -80.0
_EXP_COEFFICIENTS = tuple(1.0 / d for d in (5040, 720, 120, 24, 6, 2, 1, 1))


class NumpyBackend:
    """Arrays and kernels on one thread, by array-API functions only.

    Parameters
    ----------
    n_threads : int, default=1
        Accepted and ignored: the reference is single-threaded.
    xp : module, default=numpy
        An array-API namespace.
    """

    name = "numpy"

    def __init__(self, n_threads: int = 1, xp: Any = np) -> None:
        self.n_threads = 1
        self.xp = xp

    def running(self) -> AbstractContextManager[None]:
        """Context in which the backend's arithmetic runs: BLAS keeps to one thread."""
        return single_threaded_blas()

    def asarray(self, values: Any, dtype: str | None = None) -> Any:
        """Move host values to the backend."""
        return self.xp.asarray(values, dtype=None if dtype is None else getattr(self.xp, dtype))

    def to_numpy(self, values: Any) -> np.ndarray:
        """Move the backend's values to the host."""
        return np.asarray(values)

    def for_row_blocks(
        self, work: Callable[[slice], None], n_rows: int, products_per_row: float = math.inf
    ) -> None:
        """Call ``work(rows)`` for blocks of rows that do not depend on one another.

        `products_per_row` is about how many multiply-adds a row takes: a backend may choose
        by it who does the work, but not how the rows are cut.
        """
        for rows in row_blocks(n_rows):
            work(rows)

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product of a whole phase (outside of `for_row_blocks`)."""
        return a @ b

    def row_dots(self, a: Any, b: Any) -> Any:
        """Σ_j a_ij b_ij, one float64 a row."""
        return self.xp.sum(a * b, axis=1, dtype=self.xp.float64)

    def sample_spins(self, field: Any, stream: RandomStream, draw: int, first_row: int = 0) -> Any:
        """Spins with P(s = +1) = σ(2 field). The field's memory may be reused for them.

        A spin opposes its field with probability σ(-2|field|) = e / (1 + e), e = exp(-2|field|).
        """
        xp = self.xp
        field = xp.astype(field, xp.float32, copy=False)
        e = self._exp_minus_2(xp.abs(field))
        u = self.random_uniform(tuple(field.shape), stream, draw, first_row)
        along = xp.where(field >= 0, xp.ones_like(field), -xp.ones_like(field))
        return xp.where(u * (1.0 + e) < e, -along, along)

    def tanh(self, field: Any) -> Any:
        """E[s | field]. The field's memory may be reused for it."""
        return self.xp.tanh(field)

    def sum_log_2cosh(self, field: Any) -> Any:
        """Σ_j log 2cosh(field_ij), one float64 a row."""
        return self.xp.sum(self._log_2cosh(field), axis=1, dtype=self.xp.float64)

    def sum_log_cosh_ratio(self, field: Any, beta_to: float, beta_from: float) -> Any:
        """Σ_j log [cosh(beta_to field_ij) / cosh(beta_from field_ij)], one float64 a row."""
        ratio = self._log_2cosh(beta_to * field) - self._log_2cosh(beta_from * field)
        return self.xp.sum(ratio, axis=1, dtype=self.xp.float64)

    def random_uniform(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Uniform float32 numbers in (0, 1]: (word + 1/2) / 2^32, fine-grained near zero."""
        xp = self.xp
        words = self.random_words(shape, stream, draw, first_row)
        half, step = (xp.asarray(c, dtype=xp.float32) for c in (0.5, 2.0**-32))
        return (xp.astype(words, xp.float32) + half) * step

    def random_words(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Uniform 32-bit words: element (i, j) has the name (seed, draw, first_row + i, j)."""
        xp = self.xp
        n_rows, width = shape
        n_groups = -(-width // COLUMNS_PER_GROUP)
        call = xp.reshape(xp.arange(n_groups * LANES, dtype=xp.uint64), (1, -1))
        row = xp.reshape(xp.arange(first_row, first_row + n_rows, dtype=xp.uint64), (-1, 1))
        zero = xp.zeros((n_rows, n_groups * LANES), dtype=xp.uint64)
        counter = (call + zero, row + zero, zero + (draw & _WORD), zero + (draw >> 32))
        words = [
            xp.reshape(w, (n_rows, n_groups, 1, LANES)) for w in philox(counter, stream.key, xp)
        ]
        words = xp.reshape(xp.concat(words, axis=2), (n_rows, n_groups * COLUMNS_PER_GROUP))
        return xp.astype(words[:, :width], xp.uint32)

    def _exp_minus_2(self, a: Any) -> Any:
        """exp(-2a) of a >= 0 in float32, by operations that every backend rounds alike."""
        xp = self.xp
        t = xp.clip(-2.0 * a, min=_SMALLEST_EXPONENT)
        n = xp.round(t * _LOG2_E)
        r = (t - n * _LN2_HIGH) - n * _LN2_LOW
        p = xp.full_like(r, _EXP_COEFFICIENTS[0])
        for coefficient in _EXP_COEFFICIENTS[1:]:
            p = p * r + coefficient
        halvings = xp.asarray([2.0**-k for k in range(128)], dtype=xp.float32)
        n = xp.where(xp.isnan(n), xp.zeros_like(n), n)  # p stays NaN, but NaN is no index
        flat = xp.reshape(xp.astype(-n, xp.int64), (-1,))
        return p * xp.reshape(xp.take(halvings, flat, axis=0), p.shape)

    def _log_2cosh(self, x: Any) -> Any:
        a = self.xp.abs(x)
        return a + self.xp.log1p(self.xp.exp(-2.0 * a))


def philox(counter: tuple, key: tuple[int, int], xp: Any) -> tuple:
    """Philox4x32-10 on four uint64 arrays that hold 32-bit words (Salmon et al. 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(PHILOX_ROUNDS):
        p0, p1 = c0 * PHILOX_MULTIPLIERS[0], c2 * PHILOX_MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + PHILOX_WEYL[0]) & _WORD, (k1 + PHILOX_WEYL[1]) & _WORD
    return c0, c1, c2, c3
