"""Arrays of the fast backend: products and sums of whole phases, updates in place, spins.

Row-major arrays in float32 go to compiled functions, blocks of rows to several threads; other
arrays go through the reference's code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_rapid.backends import threads
from sklearn_rapid.backends.compiled import linear, pipelines, spins
from sklearn_rapid.backends.compiled.arguments import is_plain, ones, writeable
from sklearn_rapid.backends.random import RandomStream, check_rows, name_of
from sklearn_rapid.backends.reference.arrays import NumpyBackend
from sklearn_rapid.backends.threads import SharedRows, row_blocks

f32 = np.float32

# A small product of a transposed matrix is faster on a copy in row-major order, up to here.
LARGEST_COPIED = 64
# Costs of a pass over an element outside of near caches, and of drawing a spin, in multiply-adds of
# a product.
PRODUCTS_PER_ELEMENT, PRODUCTS_PER_SPIN = 30, 100
# Types of data that compiled code compares: a function for each.
COMPARED = (np.dtype(bool), np.dtype("uint8"), np.dtype("float32"), np.dtype("float64"))


class CompiledArrays(SharedRows, NumpyBackend):
    """Operations of the fast backend on whole arrays."""

    # --- products and sums of a whole phase ---------------------------------------------

    def matmul(self, a: np.ndarray, b: np.ndarray, add_to: Any = None) -> np.ndarray:
        """Return the matrix product, with rows or columns of it shared out among threads."""
        (n_rows, n_inner), n_columns = a.shape, b.shape[1]
        is_small = n_rows * n_inner * n_columns < threads.SMALLEST_SHARED_WORK
        out = np.empty((n_rows, n_columns), dtype=a.dtype) if add_to is None else add_to
        is_cheap_to_copy = a.flags.c_contiguous or n_inner <= LARGEST_COPIED
        if is_small and add_to is None and is_cheap_to_copy and a.dtype == f32 and is_plain(b):
            pipelines.matrix_product(writeable(a), writeable(b), False, out)
            return out
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
        """Return Σ a_ij b_ij, accumulated in float64: a number or 0-d array."""
        if is_plain(a) and is_plain(b):
            return linear.dot(writeable(a).reshape(-1), writeable(b).reshape(-1))
        return super().dot(a, b)

    def row_dots(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return Σ_j a_ij b_ij, one float64 for each row; b may have a single row."""
        if not (is_plain(a) and is_plain(b)):
            return super().row_dots(a, b)
        out = np.empty(a.shape[0])
        linear.row_dots(writeable(a), writeable(b), out)
        return out

    def column_sums(self, x: np.ndarray, weights: Any = None) -> np.ndarray:
        """Return Σ_i weights_i x_ij, one float64 for each column; without weights, the sum."""
        if not is_plain(x):
            return super().column_sums(x, weights)
        n_rows, width = x.shape
        x = writeable(x)
        weights = ones(n_rows) if weights is None else writeable(weights)
        blocks = row_blocks(n_rows)
        sums = np.zeros((max(len(blocks), 1), width))
        if len(blocks) == 1:
            linear.column_sums(x, weights, sums[0])
            return sums[0]

        def work(rows: slice) -> None:
            linear.column_sums(x[rows], weights[rows], sums[rows.start // blocks[0].stop])

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
            linear.weighted_rows(x[rows], offset, weights[rows], out[rows])

        self.for_row_blocks(work, x.shape[0], PRODUCTS_PER_ELEMENT * x.shape[1])

    # --- updates, in place --------------------------------------------------------------

    def add_scaled(self, p: np.ndarray, step: np.ndarray, scale: Any) -> None:
        """Add scale * step to p, in place; `scale` is a number or a 0-d array."""
        if not (is_plain(p) and is_plain(step)):
            super().add_scaled(p, step, scale)
            return
        step = writeable(step)

        def work(rows: slice) -> None:
            linear.add_scaled(p[rows].reshape(-1), step[rows].reshape(-1), f32(scale))

        self._for_elements(work, p)

    def shrink(self, p: np.ndarray, scale: Any, l1: float, l2: float) -> None:
        """Move p to zero by scale * l1, no further, then divide by 1 + scale * l2, in place."""
        if not is_plain(p):
            super().shrink(p, scale, l1, l2)
            return
        threshold, divisor = f32(scale * l1), f32(1.0 + scale * l2)

        def work(rows: slice) -> None:
            linear.shrink(p[rows].reshape(-1), threshold, divisor)

        self._for_elements(work, p)

    def _for_elements(self, work: Callable[[slice], None], p: np.ndarray) -> None:
        """Apply `work`, cheap for an element, to rows of p."""
        if p.size * PRODUCTS_PER_ELEMENT < threads.SMALLEST_SHARED_WORK:
            work(slice(0, p.shape[0]))
        else:
            width = p.size // p.shape[0]
            self.for_row_blocks(work, p.shape[0], PRODUCTS_PER_ELEMENT * width)

    def spins_of(self, is_on: np.ndarray, dtype: str) -> np.ndarray:
        """Return +1 where `is_on`, -1 elsewhere."""
        if dtype != "float32":
            return super().spins_of(is_on, dtype)
        out = np.empty(is_on.shape, dtype=f32)
        linear.spins_of(writeable(is_on).reshape(-1), out.reshape(-1))
        return out

    def spins_of_rows(self, X: np.ndarray, rows: Any, threshold: float, dtype: str) -> np.ndarray:
        """Return rows of a host array, by number or slice, as spins: +1 above the threshold."""
        X = np.asarray(X)
        is_taken = dtype == "float32" and X.flags.carray and X.dtype in COMPARED
        if isinstance(rows, slice) or not is_taken:
            return super().spins_of_rows(X, rows, threshold, dtype)
        # As NumPy compares: in the array's own precision if it is one of floating point.
        threshold = X.dtype.type(threshold) if X.dtype.kind == "f" else float(threshold)
        out = np.empty((rows.size, X.shape[1]), dtype=f32)

        def work(block: slice) -> None:
            linear.spins_of_rows(X, rows[block], threshold, out[block])

        self.for_row_blocks(work, rows.size, PRODUCTS_PER_ELEMENT * X.shape[1])
        return out

    def spins_of_means(self, means: np.ndarray, stream: RandomStream, draw: int) -> np.ndarray:
        """Draw independent spins of these means, in place of the means."""
        if not is_plain(means):
            return super().spins_of_means(means, stream, draw)
        check_rows(stream.first_row + means.shape[0])

        def work(rows: slice) -> None:
            first_row = stream.first_row + rows.start
            spins.spins_of_means(means[rows], *name_of(stream, draw, first_row))

        self.for_row_blocks(work, means.shape[0], PRODUCTS_PER_SPIN * means.shape[1])
        return means

    def spins_of_numbers(self, start: int, stop: int, n_spins: int, dtype: str) -> np.ndarray:
        """Return numbers from `start` to `stop` as rows of spins: spin j is +1 if bit j is set."""
        return linear.spins_of_numbers(start, np.empty((stop - start, n_spins), dtype=dtype))

    def sign(self, x: np.ndarray) -> np.ndarray:
        """Return the sign of each element, +1 for zero."""
        if not is_plain(x):
            return super().sign(x)
        out = np.empty_like(x)
        linear.sign(writeable(x).reshape(-1), out.reshape(-1))
        return out
