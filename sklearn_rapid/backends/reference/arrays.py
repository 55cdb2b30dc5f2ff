"""The reference backend: plain array-API code that defines what each method computes.

It runs on any array-API namespace: the tests run it with `array_api_strict` too. Methods on rows
cut them into independent blocks (`for_row_blocks`); methods that end in `_block` do the work on a
block, and faster backends replace them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.blas import single_threaded_blas
from sklearn_rapid.backends.fused import FusedUpdates
from sklearn_rapid.backends.random import (
    COLUMNS_PER_GROUP,
    LANES,
    WORD,
    RandomStream,
    check_rows,
    philox,
)
from sklearn_rapid.backends.reference.chains import Chains
from sklearn_rapid.backends.reference.other_units import OtherUnits
from sklearn_rapid.backends.threads import Work, finish, row_blocks

_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has few bits, so that n * LN2_HIGH is exact in float32.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_SMALLEST_EXPONENT = -80.0
_EXP_COEFFICIENTS = tuple(1.0 / d for d in (5040, 720, 120, 24, 6, 2, 1, 1))


class NumpyBackend(Chains, OtherUnits):
    """Arrays and kernels on one thread, by array-API functions only.

    Parameters
    ----------
    n_threads : int, default=1
        Accepted and ignored: the reference is single-threaded.
    xp : module, default=numpy
        An array-API namespace.
    """

    name = "numpy"
    # The rounding of a row may depend on the number of rows in a product. Where results of a row
    # must not depend on the other rows, rows are padded to a multiple of this.
    row_multiple = 128

    def __init__(self, n_threads: int = 1, xp: Any = np) -> None:
        super().__init__()
        self.n_threads = 1
        self.xp = xp
        self._equal_weights: dict[Any, Any] = {}

    # --- arrays -------------------------------------------------------------------------

    def running(self) -> AbstractContextManager[None]:
        """Return the context in which the backend's arithmetic runs: BLAS keeps to one thread."""
        return single_threaded_blas()

    def asarray(self, values: Any, dtype: str | None = None) -> Any:
        """Move host values to the backend."""
        return self.xp.asarray(values, dtype=None if dtype is None else getattr(self.xp, dtype))

    def to_numpy(self, values: Any) -> np.ndarray:
        """Move the backend's values to the host."""
        return np.asarray(values)

    def scratch(self, name: str, shape: tuple[int, int], dtype: Any) -> Any:
        """Return an array to write to; it may reuse the memory of the last one of this name."""
        return self.xp.empty(shape, dtype=dtype)

    def equal_weights(self, n: int, dtype: Any) -> Any:
        """Return 1 / n for each of n rows; the array is kept, and not to be written to."""
        if (n, dtype) not in self._equal_weights:
            self._equal_weights[n, dtype] = self.xp.full(n, 1.0 / n, dtype=dtype)
        return self._equal_weights[n, dtype]

    def for_row_blocks(
        self, work: Work, n_rows: int, products_per_row: float, group: int = 1
    ) -> None:
        """Do ``work(rows)`` for independent blocks of rows, of whole groups of `group` rows.

        Long work may be a generator: it can be interrupted where it yields. `products_per_row` is
        about the number of multiply-adds of a row: a backend may choose threads by it, but not how
        rows are cut.
        """
        for rows in row_blocks(n_rows, group):
            finish(work(rows))

    # --- products and sums of a whole phase ---------------------------------------------

    def matmul(self, a: Any, b: Any, add_to: Any = None) -> Any:
        """Return the matrix product a b, added in place to `add_to` if given."""
        if add_to is None:
            return a @ b
        add_to += a @ b
        return add_to

    def dot(self, a: Any, b: Any) -> Any:
        """Return Σ a_ij b_ij, accumulated in float64: a number or 0-d array."""
        return self.xp.sum(a * b, dtype=self.xp.float64)

    def row_dots(self, a: Any, b: Any) -> Any:
        """Return Σ_j a_ij b_ij, one float64 for each row; b may have a single row."""
        return self.xp.sum(a * b, axis=1, dtype=self.xp.float64)

    def column_sums(self, x: Any, weights: Any = None) -> Any:
        """Return Σ_i weights_i x_ij, one float64 for each column; without weights, the sum."""
        x = x if weights is None else weights[:, None] * x
        return self.xp.sum(x, axis=0, dtype=self.xp.float64)

    def weighted_rows(self, x: Any, offset: Any, weights: Any, out: Any) -> None:
        """Write weights_i * (x_ij - offset_j) to `out`."""
        out[...] = (x - offset) * weights[:, None]

    # --- updates, in place --------------------------------------------------------------

    def add_scaled(self, p: Any, step: Any, scale: Any) -> None:
        """Add scale * step to p, in place; `scale` is a number or a 0-d array."""
        p += self._factor(scale, p) * step

    def shrink(self, p: Any, scale: Any, l1: float, l2: float) -> None:
        """Move p to zero by scale * l1, no further, then divide by 1 + scale * l2, in place."""
        xp, scale = self.xp, self._factor(scale, p)
        size = xp.abs(p) - scale * l1
        p[...] = xp.sign(p) * xp.maximum(size, xp.zeros_like(size)) / (1.0 + scale * l2)

    def _factor(self, scale: Any, p: Any) -> Any:
        """Return a number, or a 0-d array of p's dtype, so that products with p keep the dtype."""
        return float(scale) if isinstance(scale, float) else self.xp.astype(scale, p.dtype)

    def clip(self, p: Any, bound: float) -> None:
        """Clip p to [-bound, bound], in place."""
        p[...] = self.xp.clip(p, -bound, bound)

    def spins_of(self, is_on: Any, dtype: str) -> Any:
        """Return +1 where `is_on`, -1 elsewhere."""
        return 2.0 * self.xp.astype(is_on, getattr(self.xp, dtype)) - 1.0

    def spins_of_rows(self, X: np.ndarray, rows: Any, threshold: float, dtype: str) -> Any:
        """Return rows of a host array, by number or slice, as spins: +1 above the threshold."""
        return self.spins_of(self.asarray(X[rows] > threshold), dtype)

    def spins_of_means(self, means: Any, stream: RandomStream, draw: int) -> Any:
        """Draw independent spins of these means. The memory of the means may be reused."""
        u = self.random_uniform(tuple(means.shape), stream, draw, stream.first_row)
        ones = self.xp.ones_like(means)
        return self.xp.where(2.0 * u - 1.0 < means, ones, -ones)

    def spins_of_numbers(self, start: int, stop: int, n_spins: int, dtype: str) -> Any:
        """Return numbers from `start` to `stop` as rows of spins: spin j is +1 if bit j is set."""
        xp = self.xp
        numbers = xp.arange(start, stop, dtype=xp.int64)[:, None]
        bits = (numbers >> xp.arange(n_spins, dtype=xp.int64)[None, :]) & 1
        return self.spins_of(bits == 1, dtype)

    def sign(self, x: Any) -> Any:
        """Return the sign of each element, +1 for zero."""
        return self.xp.where(x >= 0, self.xp.ones_like(x), -self.xp.ones_like(x))

    # --- fused updates ------------------------------------------------------------------

    def fuses_updates(self, dtype: Any) -> bool:
        """Whether `run_fused_updates` takes machines of this dtype."""
        return False

    def run_fused_updates(self, updates: FusedUpdates) -> None:
        """Make the updates, in place of the arrays that they change."""
        raise NotImplementedError

    # --- maps of rows -------------------------------------------------------------------

    def field(self, x: Any, affine: Affine) -> Any:
        """Return the field scale * x F + bias of each row."""
        product = x @ affine.first
        if affine.second is not None:
            product = product @ affine.second
        return product * affine.scale + affine.bias

    def means(
        self, x: Any, affine: Affine, out: Any = None, overlaps: Any = None, to_unit: bool = False
    ) -> Any:
        """Return means of units in the field of each row: of spins tanh(field), or P(s = +1).

        Parameters
        ----------
        x : array of shape (n, n_in)
        affine : Affine
        out : array of shape (n, n_out), optional
            Where to write.
        overlaps : array of shape (n, m), optional
            Where to write ``x @ affine.first``, if `affine` has two matrices.
        to_unit : bool, default=False
            Of spins: return means of (1 + s) / 2, accurate to all digits near zero.

        Returns
        -------
        array of shape (n, n_out)
        """
        out = self._empty(x, affine) if out is None else out

        def work(rows: slice) -> None:
            middle = None if overlaps is None else overlaps[rows, :]
            self._means_block(x[rows, :], affine.of_rows(rows), out[rows, :], middle, to_unit)

        self.for_row_blocks(work, x.shape[0], affine.n_products)
        return out

    def sample(self, x: Any, affine: Affine, stream: RandomStream, draw: int) -> Any:
        """Draw units in the field of each row: spins with P(s = +1) = σ(2 field)."""
        check_rows(stream.first_row + x.shape[0])
        out = self._empty(x, affine)

        def work(rows: slice) -> None:
            first_row = stream.first_row + rows.start
            part = affine.of_rows(rows)
            self._sample_block(x[rows, :], part, stream, draw, first_row, out[rows, :])

        self.for_row_blocks(work, x.shape[0], affine.n_products)
        return out

    def log_partition_of(self, x: Any, affine: Affine) -> Any:
        """Return Γ in the field of each row, for spins Σ_j log 2cosh(field_j): float64."""
        out = self.xp.empty(x.shape[0], dtype=self.xp.float64)

        def work(rows: slice) -> None:
            out[rows] = self._log_partition_block(x[rows, :], affine.of_rows(rows))

        self.for_row_blocks(work, x.shape[0], affine.n_products)
        return out

    def means_and_sums(self, x: Any, affine: Affine) -> tuple[Any, Any]:
        """Return `means` and `log_partition_of`, computing the fields once."""
        means = self._empty(x, affine)
        sums = self.xp.empty(x.shape[0], dtype=self.xp.float64)

        def work(rows: slice) -> None:
            part = affine.of_rows(rows)
            sums[rows] = self._means_and_sums_block(x[rows, :], part, means[rows, :])

        self.for_row_blocks(work, x.shape[0], affine.n_products)
        return means, sums

    def flipped_log_2cosh(self, v: Any, up: Affine) -> Any:
        """Return Σ_j log 2cosh of the field at v with spin i flipped, float64 of shape (n, V).

        Both layers are spins, and `up` has one matrix. Flipping spin i changes the field by
        -2 v_i F_i, so that a site costs one pass over the field.
        """
        out = self.xp.empty(v.shape, dtype=self.xp.float64)

        def work(rows: slice) -> None:
            self._flipped_block(v[rows, :], up, out[rows, :])

        self.for_row_blocks(work, v.shape[0], up.n_products)
        return out

    def sum_log_2cosh_of_sums(self, rows: Any, columns: Any, dtype: str = "float64") -> Any:
        """Return Σ_j log 2cosh(rows_aj + columns_bj), float64 of shape (A, B).

        Fields θ are in float64, so that large ones lose nothing. log(1 + exp(-2|θ|)) may be
        computed in `dtype`: in float32 its error is at most 2^-22.
        """
        out = self.xp.empty((rows.shape[0], columns.shape[0]), dtype=self.xp.float64)
        for b in range(columns.shape[0]):
            out[:, b] = self.sum_log_2cosh(rows + columns[b : b + 1, :])
        return out

    # --- on one block -------------------------------------------------------------------

    def _empty(self, x: Any, affine: Affine) -> Any:
        return self.xp.empty((x.shape[0], affine.bias.shape[-1]), dtype=x.dtype)

    def _means_block(self, x: Any, affine: Affine, out: Any, overlaps: Any, to_unit: bool) -> None:
        if overlaps is not None:
            overlaps[...] = x @ affine.first
        field = self.field(x, affine)
        out[...] = self.probabilities(field) if to_unit else affine.units.mean(field, self)

    def _sample_block(
        self, x: Any, affine: Affine, stream: RandomStream, draw: int, first_row: int, out: Any
    ) -> None:
        drawn = affine.units.sample(self.field(x, affine), self, stream, draw, first_row)
        out[...] = self.xp.astype(drawn, x.dtype)

    def _log_partition_block(self, x: Any, affine: Affine) -> Any:
        return affine.units.log_partition(self.field(x, affine), self)

    def _means_and_sums_block(self, x: Any, affine: Affine, out: Any) -> Any:
        field = self.field(x, affine)
        sums = affine.units.log_partition(field, self)
        out[...] = affine.units.mean(field, self)
        return sums

    def _flipped_block(self, v: Any, up: Affine, out: Any) -> None:
        field = self.field(v, up)
        for i in range(v.shape[1]):
            change = -2.0 * v[:, i : i + 1] * (up.scale * up.first[i : i + 1, :])
            out[:, i] = self.sum_log_2cosh(field + change)

    # --- elementwise --------------------------------------------------------------------

    def sample_spins(self, field: Any, stream: RandomStream, draw: int, first_row: int = 0) -> Any:
        """Draw spins with P(s = +1) = σ(2 field). The memory of the field may be reused.

        A spin opposes its field with probability σ(-2|field|) = e / (1 + e), e = exp(-2|field|).
        """
        xp = self.xp
        field = xp.astype(field, xp.float32, copy=False)
        e = self._exp_minus_2(xp.abs(field))
        u = self.random_uniform(tuple(field.shape), stream, draw, first_row)
        along = xp.where(field >= 0, xp.ones_like(field), -xp.ones_like(field))
        return xp.where(u * (1.0 + e) < e, -along, along)

    def tanh(self, field: Any) -> Any:
        """Return E[s | field]. The memory of the field may be reused."""
        return self.xp.tanh(field)

    def probabilities(self, field: Any) -> Any:
        """Return P(s = +1 | field) = σ(2 field), accurate to all digits near zero."""
        xp = self.xp
        e = xp.exp(-2.0 * xp.abs(field))
        return xp.where(field >= 0, xp.ones_like(e), e) / (1.0 + e)

    def sum_log_2cosh(self, field: Any) -> Any:
        """Return Σ_j log 2cosh(field_ij), one float64 for each row."""
        return self.xp.sum(self._log_2cosh(field), axis=1, dtype=self.xp.float64)

    def sum_log_cosh_ratio(self, field: Any, beta_to: Any, beta_from: Any) -> Any:
        """Return Σ_j log [cosh(beta_to_i field_ij) / cosh(beta_from_i field_ij)]: float64."""
        to, start = (self.xp.astype(b, field.dtype)[:, None] for b in (beta_to, beta_from))
        ratio = self._log_2cosh(to * field) - self._log_2cosh(start * field)
        return self.xp.sum(ratio, axis=1, dtype=self.xp.float64)

    def random_uniform(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw uniform float32 numbers in (0, 1]: (word + 1/2) / 2^32, fine-grained near zero."""
        xp = self.xp
        words = self.random_words(shape, stream, draw, first_row)
        half, step = (xp.asarray(c, dtype=xp.float32) for c in (0.5, 2.0**-32))
        return (xp.astype(words, xp.float32) + half) * step

    def random_words(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw uniform 32-bit words: element (i, j) has the name (seed, draw, first_row + i, j)."""
        check_rows(first_row + shape[0])
        xp = self.xp
        n_rows, width = shape
        n_groups = -(-width // COLUMNS_PER_GROUP)
        call = xp.reshape(xp.arange(n_groups * LANES, dtype=xp.uint64), (1, -1))
        row = xp.reshape(xp.arange(first_row, first_row + n_rows, dtype=xp.uint64), (-1, 1))
        zero = xp.zeros((n_rows, n_groups * LANES), dtype=xp.uint64)
        counter = (call + zero, row + zero, zero + (draw & WORD), zero + (draw >> 32))
        words = [
            xp.reshape(w, (n_rows, n_groups, 1, LANES)) for w in philox(counter, stream.key, xp)
        ]
        words = xp.reshape(xp.concat(words, axis=2), (n_rows, n_groups * COLUMNS_PER_GROUP))
        return xp.astype(words[:, :width], xp.uint32)

    def _exp_minus_2(self, a: Any) -> Any:
        """Return exp(-2a) of a >= 0 in float32, by operations that every backend rounds alike."""
        xp = self.xp
        # NumPy 2.0 has no clip with one bound by name.
        t = xp.maximum(-2.0 * a, xp.full_like(a, _SMALLEST_EXPONENT))
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
