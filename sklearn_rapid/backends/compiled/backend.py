"""The fast backend on CPUs: compiled pipelines, single-threaded BLAS, a pool of threads over rows.

Blocks in float32, of maps to spins, go to the compiled functions of `pipelines.py`, `spins.py` and
`linear.py`; the methods of the reference that they replace define them. Fields in float64, or of
other units, go through the reference's code, with compiled kernels where they exist (`units.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.compiled import pipelines, random, spins, units
from sklearn_rapid.backends.compiled.arguments import (
    compiled_map,
    free_or_all,
    is_compiled,
    writeable,
)
from sklearn_rapid.backends.compiled.arrays import PRODUCTS_PER_SPIN, CompiledArrays
from sklearn_rapid.backends.compiled.fused.run import FusedUpdatesMixin
from sklearn_rapid.backends.random import RandomStream, check_rows, name_of
from sklearn_rapid.backends.reference.chains import Tempered, top_of
from sklearn_rapid.backends.reference.other_units import starts_of

f32 = np.float32
u32 = np.uint32
u64 = np.uint64
ONE = f32(1.0)

# Multiply-adds in a compiled call of several steps: a hundredth of a second, or a tenth where other
# programs use the processors too.
LARGEST_CALL = 2.5e8


class NumbaBackend(FusedUpdatesMixin, CompiledArrays):
    """Kernels compiled at first use and kept on disk, with rows shared out among threads.

    Parameters
    ----------
    n_threads : int, default=1
        Results do not depend on it.
    """

    name = "numba"

    # --- on one block -------------------------------------------------------------------

    def _means_block(
        self, x: np.ndarray, affine: Affine, out: np.ndarray, overlaps: Any, to_unit: bool
    ) -> None:
        if not is_compiled(x, affine):
            super()._means_block(x, affine, out, overlaps, to_unit)
            return
        self._multiply(x, affine, overlaps, out)
        *_, scale, bias = compiled_map(affine)
        spins.means(out, scale, bias, to_unit)

    def _sample_block(
        self,
        x: np.ndarray,
        affine: Affine,
        stream: RandomStream,
        draw: int,
        first_row: int,
        out: np.ndarray,
    ) -> None:
        if not is_compiled(x, affine):
            super()._sample_block(x, affine, stream, draw, first_row, out)
            return
        self._multiply(x, affine, None, out)
        *_, scale, bias = compiled_map(affine)
        spins.sample_spins(out, scale, bias, *name_of(stream, draw, first_row))

    def _log_partition_block(self, x: np.ndarray, affine: Affine) -> np.ndarray:
        if not is_compiled(x, affine):
            return super()._log_partition_block(x, affine)
        *_, scale, bias = compiled_map(affine)
        product = np.empty((x.shape[0], bias.size), dtype=f32)
        self._multiply(x, affine, None, product)
        out = np.empty(x.shape[0])
        spins.sum_log_2cosh(product, scale, bias, out)
        return out

    def _means_and_sums_block(self, x: np.ndarray, affine: Affine, out: np.ndarray) -> np.ndarray:
        if not is_compiled(x, affine):
            return super()._means_and_sums_block(x, affine, out)
        self._multiply(x, affine, None, out)
        *_, scale, bias = compiled_map(affine)
        sums = np.empty(x.shape[0])
        spins.sum_log_2cosh(out, scale, bias, sums)
        spins.means(out, scale, bias, False)
        return sums

    def split_steps(self, n_steps: int, rows: slice, up: Affine, down: Affine) -> tuple[slice, ...]:
        """Split the steps of a block's chains into calls of some hundredths of a second.

        Compiled code hears no interrupts. Each call allocates its buffers.
        """
        n_spins = up.bias.shape[-1] + down.bias.shape[-1]
        products = up.n_products + down.n_products + PRODUCTS_PER_SPIN * n_spins
        n = max(1, int(LARGEST_CALL / (products * (rows.stop - rows.start))))
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
        if not is_compiled(v, up, down):
            super()._gibbs_block(v, up, down, n_steps, stream, first_draw, first_row, free)
            return
        k0, k1 = stream.key
        pipelines.gibbs(
            v, free_or_all(free), n_steps,
            u32(k0), u32(k1), u64(first_draw), u32(first_row),
            compiled_map(up), compiled_map(down),
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
        if not is_compiled(block.states, up, down):
            super()._temper_block(
                block, up, down, base_bias, betas, parity, stream, first_draw, first_row, free
            )
            return
        k0, k1 = stream.key
        ratios = np.empty(block.log_ratios.shape)
        pipelines.temper(
            block.states, free_or_all(free),
            writeable(base_bias), betas.astype(f32), top_of(betas), parity,
            u32(k0), u32(k1), u64(first_draw), u32(first_row),
            ratios, block.origin, block.arrivals, compiled_map(up), compiled_map(down),
        )  # fmt: skip
        block.log_ratios[...] = ratios

    def _flipped_block(self, v: np.ndarray, up: Affine, out: np.ndarray) -> None:
        if not is_compiled(v, up):
            super()._flipped_block(v, up, out)
            return
        v, weights = writeable(v), writeable(up.first)
        pipelines.flipped_log_2cosh(self.field(v, up), v, weights, f32(up.scale), out)

    def sum_log_2cosh_of_sums(
        self, rows: np.ndarray, columns: np.ndarray, dtype: str = "float64"
    ) -> np.ndarray:
        """Return Σ_j log 2cosh(rows_aj + columns_bj), float64 of shape (A, B)."""
        if dtype != "float32":
            return super().sum_log_2cosh_of_sums(rows, columns, dtype)
        out = np.empty((rows.shape[0], columns.shape[0]))
        transposed = np.ascontiguousarray(columns.T)

        def work(block: slice) -> None:
            spins.sum_log_2cosh_of_sums(rows[block], transposed, out[block])

        self.for_row_blocks(work, rows.shape[0], columns.size)
        return out

    def _multiply(self, x: Any, affine: Affine, middle: Any, out: np.ndarray) -> None:
        """Compute X F, by way of `middle` if F is a product of two matrices."""
        first, second = affine.first, affine.second
        if sparse.issparse(x):
            product = x @ first
        elif x.shape[0] <= pipelines.FEW_ROWS or _is_small(first, second):
            if middle is None:
                width = 0 if second is None else first.shape[1]
                middle = np.empty((x.shape[0], width), dtype=f32)
            pipelines.product(writeable(x), compiled_map(affine), middle, out)
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
        """Draw spins with P(s = +1) = σ(2 field), in place of the field."""
        check_rows(first_row + field.shape[0])
        field = np.ascontiguousarray(field, dtype=f32)
        bias = np.zeros(field.shape[1], dtype=f32)
        spins.sample_spins(field, ONE, bias, *name_of(stream, draw, first_row))
        return field

    def tanh(self, field: np.ndarray) -> np.ndarray:
        """Return E[s | field], in place of the field."""
        if field.dtype != f32:
            return np.tanh(field, out=field)
        spins.means(field, ONE, np.zeros(field.shape[1], dtype=f32), False)
        return field

    def sum_log_2cosh(self, field: np.ndarray) -> np.ndarray:
        """Return Σ_j log 2cosh(field_ij), one float64 for each row."""
        out = np.empty(field.shape[0])
        is_double = field.dtype != f32
        kernel = spins.sum_log_2cosh_float64 if is_double else spins.sum_log_2cosh
        kernel(field, field.dtype.type(1.0), np.zeros(field.shape[1], dtype=field.dtype), out)
        return out

    def sample_gaussians(
        self, field: np.ndarray, stream: RandomStream, draw: int, first_row: int = 0
    ) -> np.ndarray:
        """Draw field + N(0, 1), in place of the field."""
        if field.dtype != f32:
            return super().sample_gaussians(field, stream, draw, first_row)
        check_rows(first_row + field.shape[0])
        field = writeable(field)
        units.sample_gaussians(field, *name_of(stream, draw, first_row))
        return field

    def softmax(self, field: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
        """Return the softmax of each group, in place of the field."""
        if field.dtype != f32:
            return super().softmax(field, sizes)
        field = writeable(field)
        units.softmax(field, starts_of(sizes))
        return field

    def sum_log_sum_exp(self, field: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
        """Return the sum of the groups' logsumexp, one float64 for each row."""
        if field.dtype != f32:
            return super().sum_log_sum_exp(field, sizes)
        out = np.empty(field.shape[0])
        units.sum_log_sum_exp(writeable(field), starts_of(sizes), out)
        return out

    def sample_categories(
        self,
        field: np.ndarray,
        sizes: tuple[int, ...],
        stream: RandomStream,
        draw: int,
        first_row: int = 0,
    ) -> np.ndarray:
        """Draw 1 in one column of each group, 0 elsewhere, in place of the field."""
        check_rows(first_row + field.shape[0])
        field, starts = writeable(field), starts_of(sizes)
        units.sample_categories(field, starts, *name_of(stream, draw, first_row))
        return field

    def random_uniform(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> np.ndarray:
        """Draw uniform float32 numbers in (0, 1]."""
        check_rows(first_row + shape[0])
        out = np.empty(shape, dtype=f32)
        random.random_uniform(out, *name_of(stream, draw, first_row))
        return out


def _is_small(first: np.ndarray, second: Any) -> bool:
    """Return whether groups of rows are multiplied without packing the matrices."""
    largest = first.size if second is None else max(first.size, second.size)
    return pipelines.TILE * largest <= pipelines.LARGEST_UNPACKED
