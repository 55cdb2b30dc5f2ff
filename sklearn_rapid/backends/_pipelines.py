"""Compiled pipelines on a block of rows: products and kernels in turn, without the interpreter.

A block's fields and spins live in buffers of the block's own, made once a call, so that they
stay in the processor's cache through all steps of a chain. A map is given as its matrices in
row-major order, each with whether it is to be transposed, its scale and its bias (see
`Affine`); one whose second matrix is empty is the first alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sklearn_rapid.backends._kernels import (
    anneal_spins,
    compiled,
    f32,
    sample_spins,
    sum_log_2cosh,
    u32,
    u64,
)

# OpenBLAS packs the operands of a product into panels of its own unless it takes at most so many
# multiply-adds. With a matrix that fits into the second-level cache it is faster not to: rows
# go through in groups. With few rows and a transposed matrix, packing costs more than the product;
# how few depends on how long the rows are.
LARGEST_UNPACKED = 1_000_000
FEW_ROWS = 32
LONG_ROW, FEW_LONG_ROWS = 256, 64
TILE = 4


@compiled
def product(x, first, is_first_transposed, second, is_second_transposed, middle, out):
    """X F, by way of `middle` where F is a product of two matrices."""
    if second.size == 0:
        _dot(x, first, is_first_transposed, out)
    else:
        _dot(x, first, is_first_transposed, middle)
        _dot(middle, second, is_second_transposed, out)


@compiled
def multiply(x, matrix, out):
    """X M, returned in `out`."""
    _dot(x, matrix, False, out)
    return out


@compiled
def _dot(x, matrix, is_transposed, out):
    if is_transposed:
        few = FEW_ROWS if x.shape[1] < LONG_ROW else FEW_LONG_ROWS
        if TILE <= x.shape[0] <= few and matrix.shape[0] >= TILE:
            _row_products(x, matrix, out)
        else:
            np.dot(x, matrix.T, out)
        return
    rows = LARGEST_UNPACKED // max(matrix.size, 1) // TILE * TILE
    if rows == 0:
        np.dot(x, matrix, out)
        return
    for start in range(0, x.shape[0], rows):
        np.dot(x[start : start + rows], matrix, out[start : start + rows])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _row_products(x, y, out):
    """X Yᵀ for few rows of x, four by four: each element loaded serves four products.

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
def _middle(n_rows, first, is_first_transposed, second):
    """Space for x times the first of two matrices."""
    width = first.shape[0] if is_first_transposed else first.shape[1]
    return np.empty((n_rows, width if second.size > 0 else 0), dtype=f32)


@compiled
def gibbs(
    v, free, n_steps, k0, k1, draw, first_row,
    up1, up1_t, up2, up2_t, up_scale, up_bias,
    down1, down1_t, down2, down2_t, down_scale, down_bias,
):  # fmt: skip
    """`gibbs` in place of `v`; an empty `free` clamps nothing."""
    n_rows = v.shape[0]
    h = np.empty((n_rows, up_bias.size), dtype=f32)
    drawn = np.empty_like(v) if free.size > 0 else v
    up_middle = _middle(n_rows, up1, up1_t, up2)
    down_middle = _middle(n_rows, down1, down1_t, down2)
    for step in range(n_steps):
        d = u64(draw) + u64(2 * step)
        product(v, up1, up1_t, up2, up2_t, up_middle, h)
        sample_spins(h, up_scale, up_bias, k0, k1, u32(d), u32(d >> u64(32)), first_row)
        d += u64(1)
        product(h, down1, down1_t, down2, down2_t, down_middle, drawn)
        sample_spins(
            drawn, down_scale, down_bias, k0, k1, u32(d), u32(d >> u64(32)), first_row
        )  # fmt: skip
        if free.size > 0:
            for i in range(n_rows):
                for j in range(v.shape[1]):
                    v[i, j] = drawn[i, j] if free[i, j] else v[i, j]


@compiled
def anneal(
    v, base_bias, betas, k0, k1, draw, first_row, log_weights,
    up1, up1_t, up2, up2_t, up_scale, up_bias,
    down1, down1_t, down2, down2_t, down_scale, down_bias,
):  # fmt: skip
    """`anneal`: the chains `v` walk through the temperatures, adding to their log weights."""
    n_rows = v.shape[0]
    h = np.empty((n_rows, up_bias.size), dtype=f32)
    up_middle = _middle(n_rows, up1, up1_t, up2)
    down_middle = _middle(n_rows, down1, down1_t, down2)
    step_bias = down_bias - base_bias
    for k in range(betas.size - 1):
        beta, previous = f32(betas[k + 1]), f32(betas[k])
        for i in range(n_rows):
            total = 0.0
            for j in range(v.shape[1]):
                total += v[i, j] * step_bias[j]
            log_weights[i] += (betas[k + 1] - betas[k]) * total
        d = u64(draw) + u64(2 * k)
        product(v, up1, up1_t, up2, up2_t, up_middle, h)
        anneal_spins(
            h, up_scale, up_bias, beta, previous,
            k0, k1, u32(d), u32(d >> u64(32)), first_row, log_weights,
        )  # fmt: skip
        d += u64(1)
        product(h, down1, down1_t, down2, down2_t, down_middle, v)
        bias = base_bias + beta * step_bias
        sample_spins(
            v, beta * down_scale, bias, k0, k1, u32(d), u32(d >> u64(32)), first_row
        )  # fmt: skip


@compiled
def flipped_log_2cosh(field, v, weights, scale, out):
    """`flipped_log_2cosh`: out_ni = Σ_j log 2cosh(field_nj - 2 v_ni scale W_ij)."""
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
