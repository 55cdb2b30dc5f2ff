"""Compiled pipelines on a block of rows: products and kernels in turn, without the interpreter.

Fields and spins of a block are in buffers of one call, and stay in the processor's cache through
all steps of a chain. Maps are `CompiledMap`. An empty array `free` clamps nothing; otherwise it is
True where a spin is drawn, False where it is clamped.
"""

from __future__ import annotations

import math

import numpy as np

from sklearn_rapid.backends.blas import blas_has_small_products
from sklearn_rapid.backends.compiled.compiler import compiled, f32, reordered, u32, u64
from sklearn_rapid.backends.compiled.random import first_uniform
from sklearn_rapid.backends.compiled.spins import (
    sample_spins,
    sum_log_2cosh,
    sum_log_cosh_ratio,
    tempered_spins,
)

# OpenBLAS packs operands into panels. If it has kernels for small products, it does so only for
# products of more than LARGEST_UNPACKED multiply-adds, and with a matrix that fits into the
# second-level cache it is faster without: rows are multiplied in groups. With few rows and a
# transposed matrix, packing costs more than the product; the limit depends on the rows' length.
LARGEST_UNPACKED = 1_000_000 if blas_has_small_products() else 0
FEW_ROWS = 32
LONG_ROW, FEW_LONG_ROWS = 256, 64
TILE = 4


@compiled
def product(x, affine, middle, out):
    """Compute X F of a map, by way of `middle` if F is a product of two matrices."""
    if affine.second.size == 0:
        matrix_product(x, affine.first, affine.is_first_transposed, out)
    else:
        matrix_product(x, affine.first, affine.is_first_transposed, middle)
        matrix_product(middle, affine.second, affine.is_second_transposed, out)


@compiled
def matrix_product(x, matrix, is_transposed, out):
    """Compute X M or X Mᵀ, in the fastest way for the number of rows."""
    if is_transposed:
        few = FEW_ROWS if x.shape[1] < LONG_ROW else FEW_LONG_ROWS
        if TILE <= x.shape[0] <= few and matrix.shape[0] >= TILE:
            _row_products(x, matrix, out)
        elif x.shape[0] < TILE:
            _dot_products(x, matrix, out)
        else:
            np.dot(x, matrix.T, out)
        return
    rows = LARGEST_UNPACKED // max(matrix.size, 1) // TILE * TILE
    if rows == 0:
        np.dot(x, matrix, out)
        return
    for start in range(0, x.shape[0], rows):
        np.dot(x[start : start + rows], matrix, out[start : start + rows])


@reordered
def _dot_products(x, y, out):
    """Compute X Yᵀ for fewer rows of x than a tile has."""
    for j in range(y.shape[0]):
        for i in range(x.shape[0]):
            total = f32(0.0)
            for k in range(x.shape[1]):
                total += x[i, k] * y[j, k]
            out[i, j] = total


@reordered
def _row_products(x, y, out):
    """Compute X Yᵀ for few rows of x by tiles of 4 × 4: each element loaded serves four products.

    The last tile of each side overlaps with the one before it.
    """
    for i0 in range(0, x.shape[0], TILE):
        i = min(i0, x.shape[0] - TILE)
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j0 in range(0, y.shape[0], TILE):
            j = min(j0, y.shape[0] - TILE)
            p, q, r, s = y[j], y[j + 1], y[j + 2], y[j + 3]
            ap = aq = ar = as_ = bp = bq = br = bs = f32(0.0)
            cp = cq = cr = cs = dp = dq = dr = ds = f32(0.0)
            for k in range(x.shape[1]):
                ap += a[k] * p[k]
                aq += a[k] * q[k]
                ar += a[k] * r[k]
                as_ += a[k] * s[k]
                bp += b[k] * p[k]
                bq += b[k] * q[k]
                br += b[k] * r[k]
                bs += b[k] * s[k]
                cp += c[k] * p[k]
                cq += c[k] * q[k]
                cr += c[k] * r[k]
                cs += c[k] * s[k]
                dp += d[k] * p[k]
                dq += d[k] * q[k]
                dr += d[k] * r[k]
                ds += d[k] * s[k]
            out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = ap, aq, ar, as_
            out[i + 1, j], out[i + 1, j + 1], out[i + 1, j + 2], out[i + 1, j + 3] = bp, bq, br, bs
            out[i + 2, j], out[i + 2, j + 1], out[i + 2, j + 2], out[i + 2, j + 3] = cp, cq, cr, cs
            out[i + 3, j], out[i + 3, j + 1], out[i + 3, j + 2], out[i + 3, j + 3] = dp, dq, dr, ds


@compiled
def _middle(n_rows, affine):
    """Allocate x times the first of two matrices."""
    width = affine.first.shape[0] if affine.is_first_transposed else affine.first.shape[1]
    return np.empty((n_rows, width if affine.second.size > 0 else 0), dtype=f32)


@compiled
def gibbs(v, free, n_steps, k0, k1, draw, first_row, up, down):
    """Compute `gibbs`, in place of `v`."""
    n_rows = v.shape[0]
    h = np.empty((n_rows, up.bias.size), dtype=f32)
    drawn = np.empty_like(v) if free.size > 0 else v
    up_middle = _middle(n_rows, up)
    down_middle = _middle(n_rows, down)
    for step in range(n_steps):
        d = u64(draw) + u64(2 * step)
        product(v, up, up_middle, h)
        sample_spins(h, up.scale, up.bias, k0, k1, u32(d), u32(d >> u64(32)), first_row)
        d += u64(1)
        product(h, down, down_middle, drawn)
        sample_spins(
            drawn, down.scale, down.bias, k0, k1, u32(d), u32(d >> u64(32)), first_row
        )  # fmt: skip
        if free.size > 0:
            for i in range(n_rows):
                for j in range(v.shape[1]):
                    v[i, j] = drawn[i, j] if free[i, j] else v[i, j]


@compiled
def log_ratios(v, product, scale, bias, step_bias, start, to, out):
    """Compute `_log_ratios`, the gains of log f of each row from one β to the other."""
    sum_log_cosh_ratio(product, scale, bias, to, start, out)
    for i in range(v.shape[0]):
        if to[i] != start[i]:
            total = 0.0
            for j in range(v.shape[1]):
                total += v[i, j] * step_bias[j]
            out[i] += (np.float64(to[i]) - np.float64(start[i])) * total


@compiled
def temper(
    v, free, base_bias, betas, top, parity, k0, k1, draw, first_row, ratios, origin, arrivals,
    up, down,
):  # fmt: skip
    """Compute `temper`, in place of `v`: rows exchange fields, from which states are drawn."""
    n_rows, n_rungs = v.shape[0], betas.size
    h = np.empty((n_rows, up.bias.size), dtype=f32)
    drawn = np.empty_like(v) if free.size > 0 else v
    up_middle = _middle(n_rows, up)
    down_middle = _middle(n_rows, down)
    no_base = np.zeros(up.bias.size, dtype=f32)
    own, to = np.empty(n_rows, dtype=f32), np.empty(n_rows, dtype=f32)
    for i in range(n_rows):
        own[i] = betas[i % n_rungs]
    for sweep in range(ratios.shape[0]):
        pairs = (parity + sweep) % 2
        for i in range(n_rows):
            to[i] = betas[_partner(i % n_rungs, n_rungs, pairs)]
        d = u64(draw) + u64(3 * sweep)
        product(v, up, up_middle, h)
        log_ratios(v, h, up.scale, up.bias, down.bias, own, to, ratios[sweep])
        for first in range(0, n_rows, n_rungs):
            _exchange(h, ratios[sweep], origin, first, n_rungs, pairs, k0, k1, d, first_row)
            if betas[0] == f32(0.0):
                origin[first] = 1
                arrivals[first // n_rungs] += origin[first + top] == 1
                origin[first + top] = -1
        d += u64(1)
        tempered_spins(
            h, up.scale, up.bias, no_base, own, k0, k1, u32(d), u32(d >> u64(32)), first_row
        )  # fmt: skip
        d += u64(1)
        product(h, down, down_middle, drawn)
        tempered_spins(
            drawn, down.scale, down.bias, base_bias, own,
            k0, k1, u32(d), u32(d >> u64(32)), first_row,
        )  # fmt: skip
        if free.size > 0:
            for i in range(n_rows):
                for j in range(v.shape[1]):
                    v[i, j] = drawn[i, j] if free[i, j] else v[i, j]


@compiled
def _partner(rung, n_rungs, parity):
    """Return the exchange partner of one rung, as `partners`."""
    other = rung + 1 if (rung - parity) % 2 == 0 else rung - 1
    return other if 0 <= other < n_rungs else rung


@compiled
def _exchange(field, gains, origin, first, n_rungs, parity, k0, k1, draw, first_row):
    """Exchange fields and origins of neighbours in a column of the ladder, by Metropolis."""
    for i in range(first + parity, first + n_rungs - 1, 2):
        u = first_uniform(u32(first_row + u32(i)), k0, k1, u32(draw), u32(draw >> u64(32)))
        if math.log(np.float64(u)) <= gains[i] + gains[i + 1]:
            for j in range(field.shape[1]):
                field[i, j], field[i + 1, j] = field[i + 1, j], field[i, j]
            origin[i], origin[i + 1] = origin[i + 1], origin[i]


@compiled
def flipped_log_2cosh(field, v, weights, scale, out):
    """Compute `flipped_log_2cosh`: out_ni = Σ_j log 2cosh(field_nj - 2 v_ni scale W_ij)."""
    flipped = np.empty(field.shape, dtype=f32)
    sums = np.empty(field.shape[0])
    no_bias = np.zeros(field.shape[1], dtype=f32)
    for i in range(v.shape[1]):
        row = weights[i]
        for n in range(field.shape[0]):
            x = f32(-2.0) * scale * v[n, i]
            source, target = field[n], flipped[n]
            for j in range(row.size):
                target[j] = source[j] + x * row[j]
        sum_log_2cosh(flipped, f32(1.0), no_bias, sums)
        out[:, i] = sums
