"""The fast backend on CPU: Numba kernels, single-threaded BLAS, a pool of threads over rows.

Each kernel computes what its namesake in `_numpy.py` computes. The loops run over short runs
of columns with simple bodies because the compiler turns just those into vector code.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

import numpy as np
from numba import njit

from sklearn_rapid.backends._numpy import (
    _EXP_COEFFICIENTS,
    _LN2_HIGH,
    _LN2_LOW,
    _LOG2_E,
    _SMALLEST_EXPONENT,
    NumpyBackend,
)
from sklearn_rapid.backends._random import (
    COLUMNS_PER_GROUP,
    LANES,
    PHILOX_MULTIPLIERS,
    PHILOX_ROUNDS,
    PHILOX_WEYL,
    RandomStream,
)
from sklearn_rapid.backends._threads import row_blocks, single_threaded_blas

f32 = np.float32
u32 = np.uint32
u64 = np.uint64

# Handing work to a thread costs about as much as so many multiply-adds.
SMALLEST_SHARED_WORK = 5e6

# Adding and taking away 1.5 * 2^23 rounds a float32 to the nearest integer.
_ROUND = f32(12582912.0)
_E7, _E6, _E5, _E4, _E3, _E2, _E1, _E0 = (f32(c) for c in _EXP_COEFFICIENTS)
_LOG2E, _LN2H, _LN2L = f32(_LOG2_E), f32(_LN2_HIGH), f32(_LN2_LOW)
_FLOOR = f32(_SMALLEST_EXPONENT)
_L1, _L3, _L5, _L7, _L9, _L11, _L13, _L15 = (f32(2.0 / k) for k in range(1, 16, 2))
_M0, _M1 = (u64(m) for m in PHILOX_MULTIPLIERS)
_W0, _W1 = (u32(w) for w in PHILOX_WEYL)
_STEP = f32(2.0**-32)


class NumbaBackend(NumpyBackend):
    """Kernels compiled at first use (and kept on disk), rows shared out among threads.

    Parameters
    ----------
    n_threads : int, default=1
        Results do not depend on it.
    """

    name = "numba"

    def __init__(self, n_threads: int = 1) -> None:
        super().__init__()
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Context in which the backend's arithmetic runs: BLAS on one thread, a pool of ours."""
        if self.n_threads == 1 or self._pool is not None:
            with single_threaded_blas():
                yield
            return
        # The calling thread takes blocks too.
        with single_threaded_blas(), ThreadPoolExecutor(self.n_threads - 1) as pool:
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def for_row_blocks(
        self, work: Callable[[slice], None], n_rows: int, products_per_row: float = math.inf
    ) -> None:
        """Call ``work(rows)`` for blocks of rows, each on some thread."""
        blocks = row_blocks(n_rows)
        is_small = n_rows * products_per_row < SMALLEST_SHARED_WORK
        if self._pool is None or len(blocks) == 1 or is_small:
            for rows in blocks:
                work(rows)
            return
        queue = iter(blocks)
        lock = threading.Lock()

        def take_blocks() -> None:
            while True:
                with lock:
                    rows = next(queue, None)
                if rows is None:
                    return
                work(rows)

        n_helpers = min(self.n_threads, len(blocks)) - 1
        # The context carries NumPy's error state.
        helpers = [self._pool.submit(copy_context().run, take_blocks) for _ in range(n_helpers)]
        try:
            take_blocks()
        finally:
            for helper in helpers:
                helper.result()

    def matmul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The matrix product of a whole phase, rows of the result shared out among threads."""
        out = np.empty((a.shape[0], b.shape[1]), dtype=a.dtype)

        def work(rows: slice) -> None:
            np.matmul(a[rows], b, out=out[rows])

        self.for_row_blocks(work, a.shape[0], b.size)
        return out

    def sample_spins(
        self, field: np.ndarray, stream: RandomStream, draw: int, first_row: int = 0
    ) -> np.ndarray:
        """Spins with P(s = +1) = σ(2 field), in place of the field."""
        _sample_spins(field, *_name(stream, draw, first_row))
        return field

    def tanh(self, field: np.ndarray) -> np.ndarray:
        """E[s | field], in place of the field."""
        if field.dtype == np.float64:
            return np.tanh(field, out=field)
        _tanh(field)
        return field

    def sum_log_2cosh(self, field: np.ndarray) -> np.ndarray:
        """Σ_j log 2cosh(field_ij), one float64 a row."""
        out = np.empty(field.shape[0])
        kernel = _sum_log_2cosh_float64 if field.dtype == np.float64 else _sum_log_2cosh
        kernel(field, out)
        return out

    def sum_log_cosh_ratio(self, field: np.ndarray, beta_to: float, beta_from: float) -> np.ndarray:
        """Σ_j log [cosh(beta_to field_ij) / cosh(beta_from field_ij)], one float64 a row."""
        if field.dtype == np.float64:
            return super().sum_log_cosh_ratio(field, beta_to, beta_from)
        out = np.empty(field.shape[0])
        _sum_log_cosh_ratio(field, f32(beta_to), f32(beta_from), out)
        return out

    def random_uniform(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> np.ndarray:
        """Uniform float32 numbers in (0, 1]."""
        out = np.empty(shape, dtype=f32)
        _random_uniform(out, *_name(stream, draw, first_row))
        return out


def _name(stream: RandomStream, draw: int, first_row: int) -> tuple:
    k0, k1 = stream.key
    return u32(k0), u32(k1), u32(draw & 0xFFFFFFFF), u32(draw >> 32), u32(first_row)


@njit(inline="always", error_model="numpy")
def _exp_minus_2(a):
    t = max(f32(-2.0) * a, _FLOOR)
    n = (t * _LOG2E + _ROUND) - _ROUND
    r = (t - n * _LN2H) - n * _LN2L
    p = _E7
    p = p * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + _E1
    p = p * r + _E0
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return p * power.view(np.float32)


@njit(inline="always", error_model="numpy")
def _log_2cosh(x):
    a = abs(x)
    e = _exp_minus_2(a)
    # log1p(e) = 2 artanh(z), z <= 1/3: the first term left out is below 1e-9.
    z = e / (f32(2.0) + e)
    q = z * z
    s = _L15
    s = s * q + _L13
    s = s * q + _L11
    s = s * q + _L9
    s = s * q + _L7
    s = s * q + _L5
    s = s * q + _L3
    s = s * q + _L1
    return a + s * z


@njit(inline="always", error_model="numpy")
def _fill_uniform(u, group, row, d0, d1, key0, key1):
    """The 64 uniform numbers of one group of columns."""
    for lane in range(LANES):
        c0, c1, c2, c3 = u32(group * LANES + lane), row, d0, d1
        k0, k1 = key0, key1
        for _ in range(PHILOX_ROUNDS):
            p0 = _M0 * u64(c0)
            p1 = _M1 * u64(c2)
            c0, c1, c2, c3 = (
                u32(p1 >> u64(32)) ^ c1 ^ k0,
                u32(p1),
                u32(p0 >> u64(32)) ^ c3 ^ k1,
                u32(p0),
            )
            k0 = u32(k0 + _W0)
            k1 = u32(k1 + _W1)
        u[lane] = (f32(c0) + f32(0.5)) * _STEP
        u[LANES + lane] = (f32(c1) + f32(0.5)) * _STEP
        u[2 * LANES + lane] = (f32(c2) + f32(0.5)) * _STEP
        u[3 * LANES + lane] = (f32(c3) + f32(0.5)) * _STEP


@njit(cache=True, nogil=True, error_model="numpy")
def _sample_spins(field, key0, key1, d0, d1, first_row):
    u = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    n_rows, width = field.shape
    for i in range(n_rows):
        for start in range(0, width, COLUMNS_PER_GROUP):
            row = u32(first_row + u32(i))
            _fill_uniform(u, start // COLUMNS_PER_GROUP, row, d0, d1, key0, key1)
            spins = field[i, start : start + COLUMNS_PER_GROUP]
            for j in range(spins.size):
                x = f32(spins[j])
                e = _exp_minus_2(abs(x))
                along = f32(1.0) if x >= f32(0.0) else f32(-1.0)
                spins[j] = -along if u[j] * (f32(1.0) + e) < e else along


@njit(cache=True, nogil=True, error_model="numpy")
def _random_uniform(out, key0, key1, d0, d1, first_row):
    u = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    n_rows, width = out.shape
    for i in range(n_rows):
        for start in range(0, width, COLUMNS_PER_GROUP):
            row = u32(first_row + u32(i))
            _fill_uniform(u, start // COLUMNS_PER_GROUP, row, d0, d1, key0, key1)
            group = out[i, start : start + COLUMNS_PER_GROUP]
            group[:] = u[: group.size]


@njit(cache=True, nogil=True, error_model="numpy")
def _tanh(field):
    flat = field.reshape(-1)
    for i in range(flat.size):
        x = flat[i]
        e = _exp_minus_2(abs(x))
        t = (f32(1.0) - e) / (f32(1.0) + e)
        flat[i] = t if x >= f32(0.0) else -t


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_log_2cosh(field, out):
    # One float64 accumulator a column of the group: the additions stay vector code.
    sums = np.empty(COLUMNS_PER_GROUP, dtype=np.float64)
    for i in range(field.shape[0]):
        sums[:] = 0.0
        for start in range(0, field.shape[1], COLUMNS_PER_GROUP):
            group = field[i, start : start + COLUMNS_PER_GROUP]
            for j in range(group.size):
                sums[j] += _log_2cosh(group[j])
        out[i] = sums.sum()


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_log_2cosh_float64(field, out):
    for i in range(field.shape[0]):
        total = 0.0
        for j in range(field.shape[1]):
            a = abs(field[i, j])
            total += a + math.log1p(math.exp(-2.0 * a))
        out[i] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_log_cosh_ratio(field, beta_to, beta_from, out):
    sums = np.empty(COLUMNS_PER_GROUP, dtype=np.float64)
    for i in range(field.shape[0]):
        sums[:] = 0.0
        for start in range(0, field.shape[1], COLUMNS_PER_GROUP):
            group = field[i, start : start + COLUMNS_PER_GROUP]
            for j in range(group.size):
                x = group[j]
                sums[j] += _log_2cosh(beta_to * x) - _log_2cosh(beta_from * x)
        out[i] = sums.sum()
