"""The fast backend on CPU: compiled pipelines, single-threaded BLAS, a pool of threads over rows.

Blocks in float32 go to the compiled functions of `_pipelines.py`, `_kernels.py` and `_linear.py`;
what they compute is said by the methods of the reference that they replace. Fields in float64
take the reference's own path with the compiled kernels where there are some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import _kernels, _linear, _pipelines, _threads
from sklearn_rapid.backends._affine import Affine
from sklearn_rapid.backends._arguments import (
    are_single,
    clamps,
    compilable,
    is_plain,
    name_of,
    ones,
    writeable,
)
from sklearn_rapid.backends._chains import Tempered, top_of
from sklearn_rapid.backends._numpy import NumpyBackend
from sklearn_rapid.backends._random import RandomStream, check_rows
from sklearn_rapid.backends._threads import SharedRows, row_blocks

f32 = np.float32
u32 = np.uint32
u64 = np.uint64
ONE = f32(1.0)

# A small product of a transposed matrix is faster on a copy in row-major order, up to here.
LARGEST_COPIED = 64
# The work in a stretch of steps, in multiply-adds, and what drawing a spin adds to it.
LARGEST_STRETCH, PRODUCTS_PER_SPIN = 2e9, 100
# What a pass over an element that is not in a near cache costs, in multiply-adds of a product.
PRODUCTS_PER_ELEMENT = 30


class NumbaBackend(SharedRows, NumpyBackend):
    """Kernels compiled at first use (and kept on disk), rows shared out among threads.

    Parameters
    ----------
    n_threads : int, default=1
        Results do not depend on it.
    """

    name = "numba"

    # --- products and sums of a whole phase ---------------------------------------------

    def matmul(self, a: np.ndarray, b: np.ndarray, add_to: Any = None) -> np.ndarray:
        """The matrix product, rows or columns of the result shared out among threads."""
        (n_rows, n_inner), n_columns = a.shape, b.shape[1]
        is_small = n_rows * n_inner * n_columns < _threads.SMALLEST_SHARED_WORK
        out = np.empty((n_rows, n_columns), dtype=a.dtype) if add_to is None else add_to
        is_cheap_to_copy = a.flags.c_contiguous or n_inner <= LARGEST_COPIED
        if is_small and add_to is None and is_cheap_to_copy and a.dtype == f32 and is_plain(b):
            return _pipelines.multiply(writeable(a), writeable(b), out)
        if is_small:
            return super().matmul(a, b, add_to)

        def multiply(left: np.ndarray, right: np.ndarray, target: np.ndarray) -> None:
            if add_to is None:
                np.matmul(left, right, out=target)
            else:
                target += np.matmul(left, right, out=self.scratch("sum", target.shape, a.dtype))

        if n_rows >= n_columns:
            work = lambda rows: multiply(a[rows], b, out[rows])  # noqa: E731
            self.for_row_blocks(work, n_rows, n_inner * n_columns)
        else:
            work = lambda columns: multiply(a, b[:, columns], out[:, columns])  # noqa: E731
            self.for_row_blocks(work, n_columns, n_inner * n_rows)
        return out

    def dot(self, a: np.ndarray, b: np.ndarray) -> Any:
        """The sum of all products of elements, accumulated in float64: a number or 0-d array."""
        if is_plain(a) and is_plain(b):
            return _linear.dot(writeable(a).reshape(-1), writeable(b).reshape(-1))
        return super().dot(a, b)

    def row_dots(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Σ_j a_ij b_ij, one float64 a row; b may have one row that serves all."""
        if not (is_plain(a) and is_plain(b)):
            return super().row_dots(a, b)
        out = np.empty(a.shape[0])
        _linear.row_dots(writeable(a), writeable(b), out)
        return out

    def column_sums(self, x: np.ndarray, weights: Any = None) -> np.ndarray:
        """Σ_i weights_i x_ij, one float64 a column; without weights, the plain sum."""
        if not is_plain(x):
            return super().column_sums(x, weights)
        n_rows, width = x.shape
        x = writeable(x)
        weights = ones(n_rows) if weights is None else writeable(weights)
        blocks = row_blocks(n_rows)
        sums = np.zeros((max(len(blocks), 1), width))
        if len(blocks) == 1:
            _linear.column_sums(x, weights, sums[0])
            return sums[0]

        def work(rows: slice) -> None:
            _linear.column_sums(x[rows], weights[rows], sums[rows.start // blocks[0].stop])

        self.for_row_blocks(work, n_rows, PRODUCTS_PER_ELEMENT * width)
        return sums.sum(axis=0)

    def weighted_rows(
        self, x: np.ndarray, offset: np.ndarray, weights: np.ndarray, out: np.ndarray
    ) -> None:
        """Write weights_i * (x_ij - offset_j) to `out`."""
        if not (is_plain(x) and is_plain(out)):
            super().weighted_rows(x, offset, weights, out)
            return
        x, offset, weights = (writeable(a) for a in (x, offset, weights))

        def work(rows: slice) -> None:
            _linear.weighted_rows(x[rows], offset, weights[rows], out[rows])

        self.for_row_blocks(work, x.shape[0], PRODUCTS_PER_ELEMENT * x.shape[1])

    # --- updates, in place --------------------------------------------------------------

    def add_scaled(self, p: np.ndarray, step: np.ndarray, scale: Any) -> None:
        """Add scale * step to p, in place; `scale` is a number or a 0-d array."""
        if not (is_plain(p) and is_plain(step)):
            super().add_scaled(p, step, scale)
            return
        step = writeable(step)

        def work(rows: slice) -> None:
            _linear.add_scaled(p[rows].reshape(-1), step[rows].reshape(-1), f32(scale))

        self._for_elements(work, p)

    def shrink(self, p: np.ndarray, scale: Any, l1: float, l2: float) -> None:
        """Move p to zero by scale * l1, no further, then divide by 1 + scale * l2, in place."""
        if not is_plain(p):
            super().shrink(p, scale, l1, l2)
            return
        threshold, divisor = f32(scale * l1), f32(1.0 + scale * l2)

        def work(rows: slice) -> None:
            _linear.shrink(p[rows].reshape(-1), threshold, divisor)

        self._for_elements(work, p)

    def _for_elements(self, work: Callable[[slice], None], p: np.ndarray) -> None:
        """Apply `work`, which takes little time an element, to rows of p."""
        if p.size * PRODUCTS_PER_ELEMENT < _threads.SMALLEST_SHARED_WORK:
            work(slice(0, p.shape[0]))
        else:
            width = p.size // p.shape[0]
            self.for_row_blocks(work, p.shape[0], PRODUCTS_PER_ELEMENT * width)

    def clip(self, p: np.ndarray, bound: float) -> None:
        """Clip p to [-bound, bound], in place."""
        np.clip(p, -bound, bound, out=p)

    def spins_of(self, is_on: np.ndarray, dtype: str) -> np.ndarray:
        """+1 where `is_on`, -1 elsewhere."""
        if dtype != "float32":
            return super().spins_of(is_on, dtype)
        out = np.empty(is_on.shape, dtype=f32)
        _linear.spins_of(writeable(is_on).reshape(-1), out.reshape(-1))
        return out

    def spins_of_numbers(self, start: int, stop: int, n_spins: int, dtype: str) -> np.ndarray:
        """Numbers from `start` to `stop` as rows of spins: spin j is +1 where bit j is set."""
        return _linear.spins_of_numbers(start, np.empty((stop - start, n_spins), dtype=dtype))

    def sign(self, x: np.ndarray) -> np.ndarray:
        """The sign of each element, that of zero being +1."""
        if not is_plain(x):
            return super().sign(x)
        out = np.empty_like(x)
        _linear.sign(writeable(x).reshape(-1), out.reshape(-1))
        return out

    # --- on one block -------------------------------------------------------------------

    def _means_block(
        self, x: np.ndarray, affine: Affine, out: np.ndarray, overlaps: Any, to_unit: bool
    ) -> None:
        if not are_single(x, affine):
            super()._means_block(x, affine, out, overlaps, to_unit)
            return
        self._multiply(x, affine, overlaps, out)
        *_, scale, bias = compilable(affine)
        _kernels.means(out, scale, bias, to_unit)

    def _sample_block(
        self,
        x: np.ndarray,
        affine: Affine,
        stream: RandomStream,
        draw: int,
        first_row: int,
        out: np.ndarray,
    ) -> None:
        if not are_single(x, affine):
            super()._sample_block(x, affine, stream, draw, first_row, out)
            return
        self._multiply(x, affine, None, out)
        *_, scale, bias = compilable(affine)
        _kernels.sample_spins(out, scale, bias, *name_of(stream, draw, first_row))

    def _sum_log_2cosh_block(self, x: np.ndarray, affine: Affine) -> np.ndarray:
        if not are_single(x, affine):
            return super()._sum_log_2cosh_block(x, affine)
        *_, scale, bias = compilable(affine)
        product = np.empty((x.shape[0], bias.size), dtype=f32)
        self._multiply(x, affine, None, product)
        out = np.empty(x.shape[0])
        _kernels.sum_log_2cosh(product, scale, bias, out)
        return out

    def _means_and_sums_block(self, x: np.ndarray, affine: Affine, out: np.ndarray) -> np.ndarray:
        if not are_single(x, affine):
            return super()._means_and_sums_block(x, affine, out)
        self._multiply(x, affine, None, out)
        *_, scale, bias = compilable(affine)
        sums = np.empty(x.shape[0])
        _kernels.sum_log_2cosh(out, scale, bias, sums)
        _kernels.means(out, scale, bias, False)
        return sums

    def stretches(self, n_steps: int, rows: slice, up: Affine, down: Affine) -> tuple[slice, ...]:
        """Steps of a block's chains in stretches of a fraction of a second.

        Compiled code hears no interrupts. Stretches of few steps would cost their buffers.
        """
        n_spins = up.bias.size + down.bias.size
        products = up.n_products + down.n_products + PRODUCTS_PER_SPIN * n_spins
        n = max(1, int(LARGEST_STRETCH / (products * (rows.stop - rows.start))))
        return tuple(slice(k, min(k + n, n_steps)) for k in range(0, n_steps, n))

    def _gibbs_block(
        self,
        v: np.ndarray,
        up: Affine,
        down: Affine,
        n_steps: int,
        stream: RandomStream,
        first_draw: int,
        first_row: int,
        free: Any,
    ) -> None:
        if not are_single(v, up):
            super()._gibbs_block(v, up, down, n_steps, stream, first_draw, first_row, free)
            return
        k0, k1 = stream.key
        _pipelines.gibbs(
            v, clamps(free), n_steps,
            u32(k0), u32(k1), u64(first_draw), u32(first_row),
            *compilable(up), *compilable(down),
        )  # fmt: skip

    def _anneal_block(
        self,
        v: np.ndarray,
        up: Affine,
        down: Affine,
        base_bias: np.ndarray,
        betas: np.ndarray,
        stream: RandomStream,
        first_draw: int,
        first_row: int,
        log_weights: np.ndarray,
    ) -> None:
        if not are_single(v, up):
            super()._anneal_block(
                v, up, down, base_bias, betas, stream, first_draw, first_row, log_weights
            )
            return
        k0, k1 = stream.key
        _pipelines.anneal(
            v, writeable(base_bias), betas.astype(f32),
            u32(k0), u32(k1), u64(first_draw), u32(first_row), log_weights,
            *compilable(up), *compilable(down),
        )  # fmt: skip

    def _temper_block(
        self,
        block: Tempered,
        up: Affine,
        down: Affine,
        base_bias: np.ndarray,
        betas: np.ndarray,
        parity: int,
        stream: RandomStream,
        first_draw: int,
        first_row: int,
        free: Any,
    ) -> None:
        if not are_single(block.states, up):
            super()._temper_block(
                block, up, down, base_bias, betas, parity, stream, first_draw, first_row, free
            )
            return
        k0, k1 = stream.key
        ratios = np.empty(block.log_ratios.shape)
        _pipelines.temper(
            block.states, clamps(free),
            writeable(base_bias), betas.astype(f32), top_of(betas), parity,
            u32(k0), u32(k1), u64(first_draw), u32(first_row),
            ratios, block.origin, block.arrivals, *compilable(up), *compilable(down),
        )  # fmt: skip
        block.log_ratios[...] = ratios

    def _flipped_block(self, v: np.ndarray, up: Affine, out: np.ndarray) -> None:
        if not are_single(v, up):
            super()._flipped_block(v, up, out)
            return
        v, weights = writeable(v), writeable(up.first)
        _pipelines.flipped_log_2cosh(self.field(v, up), v, weights, f32(up.scale), out)

    def sum_log_2cosh_of_sums(
        self, rows: np.ndarray, columns: np.ndarray, dtype: str = "float64"
    ) -> np.ndarray:
        """Σ_j log 2cosh(rows_aj + columns_bj), float64 of shape (A, B)."""
        if dtype != "float32":
            return super().sum_log_2cosh_of_sums(rows, columns, dtype)
        out = np.empty((rows.shape[0], columns.shape[0]))
        transposed = np.ascontiguousarray(columns.T)

        def work(block: slice) -> None:
            _kernels.sum_log_2cosh_of_sums(rows[block], transposed, out[block])

        self.for_row_blocks(work, rows.shape[0], columns.size)
        return out

    def _multiply(self, x: Any, affine: Affine, middle: Any, out: np.ndarray) -> None:
        """X F, by way of `middle` where F is a product of two matrices."""
        first, second = affine.first, affine.second
        if sparse.issparse(x):
            product = x @ first
        elif x.shape[0] <= _pipelines.FEW_ROWS or _is_small(first, second):
            *matrices, _, _ = compilable(affine)
            if middle is None:
                width = 0 if second is None else first.shape[1]
                middle = np.empty((x.shape[0], width), dtype=f32)
            _pipelines.product(writeable(x), *matrices, middle, out)
            return
        else:
            product = np.matmul(x, first, out=out if second is None else middle)
        if second is not None:
            np.matmul(product, second, out=out)
        elif product is not out:
            out[...] = product

    # --- elementwise --------------------------------------------------------------------

    def sample_spins(
        self, field: np.ndarray, stream: RandomStream, draw: int, first_row: int = 0
    ) -> np.ndarray:
        """Spins with P(s = +1) = σ(2 field), in place of the field."""
        check_rows(first_row + field.shape[0])
        field = np.ascontiguousarray(field, dtype=f32)
        bias = np.zeros(field.shape[1], dtype=f32)
        _kernels.sample_spins(field, ONE, bias, *name_of(stream, draw, first_row))
        return field

    def tanh(self, field: np.ndarray) -> np.ndarray:
        """E[s | field], in place of the field."""
        if field.dtype != f32:
            return np.tanh(field, out=field)
        _kernels.means(field, ONE, np.zeros(field.shape[1], dtype=f32), False)
        return field

    def sum_log_2cosh(self, field: np.ndarray) -> np.ndarray:
        """Σ_j log 2cosh(field_ij), one float64 a row."""
        out = np.empty(field.shape[0])
        is_double = field.dtype != f32
        kernel = _kernels.sum_log_2cosh_float64 if is_double else _kernels.sum_log_2cosh
        kernel(field, field.dtype.type(1.0), np.zeros(field.shape[1], dtype=field.dtype), out)
        return out

    def random_uniform(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> np.ndarray:
        """Uniform float32 numbers in (0, 1]."""
        check_rows(first_row + shape[0])
        out = np.empty(shape, dtype=f32)
        _kernels.random_uniform(out, *name_of(stream, draw, first_row))
        return out


def _is_small(first: np.ndarray, second: Any) -> bool:
    """Whether rows can pass the matrices in groups without packing."""
    largest = first.size if second is None else max(first.size, second.size)
    return _pipelines.TILE * largest <= _pipelines.LARGEST_UNPACKED
