"""Compiled kernels on the fields of a block: spins, means, sums of log 2cosh.

A docstring that names a method of the reference means: the same result. Loops run over short runs
of columns and have simple bodies, which the compiler turns into vector code: no division that is
checked for zero, no index that may wrap around.
"""

from __future__ import annotations

import math

import numpy as np

from sklearn_rapid.backends.compiled.compiler import compiled, contracted, f32, f64, inlined, u32
from sklearn_rapid.backends.compiled.elementary import exp_minus_2, vector_log
from sklearn_rapid.backends.compiled.random import fill_uniform, whole_groups
from sklearn_rapid.backends.random import COLUMNS_PER_GROUP

_ZERO, _ONE = f32(0.0), f32(1.0)

# Numbers between 1/2 and 2 whose product has one logarithm: 2^960 is a finite float64, and 2^15,
# the largest product in one of its 64 lanes, a finite float32.
COLUMNS_PER_LOG = 15 * COLUMNS_PER_GROUP
# Sums of few terms are computed side by side, a row in each lane, so that logarithms too are vector
# code. LARGEST_NARROW terms at most, since 2^120 is a finite float32, and ROWS_SIDE_BY_SIDE rows,
# since their fields stay in the first-level cache.
LARGEST_NARROW = 120
ROWS_SIDE_BY_SIDE = 64
SUMS_SIDE_BY_SIDE = 256


@compiled
def spins_of_means(means, key0, key1, d0, d1, first_row):
    """Compute `spins_of_means`, in place of the means."""
    n_rows, width = means.shape
    u = np.empty(whole_groups(width), dtype=f32)
    for i in range(n_rows):
        fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        row = means[i]
        for j in range(width):
            row[j] = _ONE if f32(2.0) * u[j] - _ONE < row[j] else -_ONE


@compiled
def sample_spins(product, scale, bias, key0, key1, d0, d1, first_row):
    """Compute `sample_spins` of the field scale * product + bias, in place of the product."""
    n_rows, width = product.shape
    u = np.empty(whole_groups(width), dtype=f32)
    for i in range(n_rows):
        fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        row = product[i]
        for j in range(width):
            x = scale * row[j] + bias[j]
            e = exp_minus_2(abs(x))
            along = _ONE if x >= f32(0.0) else -_ONE
            row[j] = -along if u[j] * (_ONE + e) < e else along


@contracted
def means(product, scale, bias, to_unit):
    """Compute `tanh` of the field scale * product + bias, or `probabilities`, in place."""
    for i in range(product.shape[0]):
        row = product[i]
        if to_unit:
            for j in range(row.size):
                x = scale * row[j] + bias[j]
                e = exp_minus_2(abs(x))
                row[j] = (_ONE if x >= _ZERO else e) / (_ONE + e)
        else:
            for j in range(row.size):
                x = scale * row[j] + bias[j]
                e = exp_minus_2(abs(x))
                t = (_ONE - e) / (_ONE + e)
                row[j] = t if x >= _ZERO else _ZERO - t


@inlined
def _transpose(rows, columns):
    """Write rows as columns, so that a loop over rows runs over neighbours in memory."""
    for j in range(rows.shape[1]):
        column = columns[j]
        for i in range(rows.shape[0]):
            column[i] = rows[i, j]


@inlined
def _sum_and_log_product(terms, factors, sums, products):
    """Return Σ terms + log Π factors, in float64, of rows padded to whole groups with 0 and 1.

    The factors lie between 1/2 and 2: one logarithm serves a thousand of them. `sums` (float64) and
    `products` (float32) are scratch space for one group.
    """
    sums[:] = 0.0
    total = 0.0
    for first in range(0, terms.size, COLUMNS_PER_LOG):
        products[:] = _ONE
        for start in range(first, min(first + COLUMNS_PER_LOG, terms.size), COLUMNS_PER_GROUP):
            t = terms[start : start + COLUMNS_PER_GROUP]
            f = factors[start : start + COLUMNS_PER_GROUP]
            for j in range(COLUMNS_PER_GROUP):
                sums[j] += t[j]
            for j in range(COLUMNS_PER_GROUP):
                products[j] *= f[j]
        # Four products at a time: in a single one, each factor would wait for the one before.
        p, q, r, s = 1.0, 1.0, 1.0, 1.0
        for j in range(0, COLUMNS_PER_GROUP, 4):
            p *= f64(products[j])
            q *= f64(products[j + 1])
            r *= f64(products[j + 2])
            s *= f64(products[j + 3])
        total += vector_log((p * q) * (r * s))
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    for j in range(0, COLUMNS_PER_GROUP, 4):
        p += sums[j]
        q += sums[j + 1]
        r += sums[j + 2]
        s += sums[j + 3]
    return total + ((p + q) + (r + s))


@contracted
def sum_log_2cosh(product, scale, bias, out):
    """Compute Σ_j log 2cosh(scale * product_ij + bias_j), one float64 for each row."""
    n_rows, width = product.shape
    if width <= LARGEST_NARROW:
        _narrow_sum_log_2cosh(product, scale, bias, out)
        return
    size = np.zeros(whole_groups(width), dtype=f32)
    factor = np.ones(whole_groups(width), dtype=f32)
    sums = np.empty(COLUMNS_PER_GROUP, dtype=f64)
    products = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    for i in range(n_rows):
        row = product[i]
        for j in range(width):
            a = abs(scale * row[j] + bias[j])
            size[j] = a
            factor[j] = _ONE + exp_minus_2(a)
        out[i] = _sum_and_log_product(size, factor, sums, products)


@contracted
def _narrow_sum_log_2cosh(product, scale, bias, out):
    columns = np.empty((product.shape[1], ROWS_SIDE_BY_SIDE), dtype=f32)
    sums = np.empty(ROWS_SIDE_BY_SIDE, dtype=f64)
    products = np.empty(ROWS_SIDE_BY_SIDE, dtype=f32)
    for first in range(0, product.shape[0], ROWS_SIDE_BY_SIDE):
        target = out[first : first + ROWS_SIDE_BY_SIDE]
        _transpose(product[first : first + ROWS_SIDE_BY_SIDE], columns)
        sums[:] = 0.0
        products[:] = _ONE
        for j in range(bias.size):
            column = columns[j]
            for i in range(target.size):
                a = abs(scale * column[i] + bias[j])
                column[i] = a
                products[i] *= _ONE + exp_minus_2(a)
            for i in range(target.size):
                sums[i] += column[i]
        for i in range(target.size):
            target[i] = sums[i] + vector_log(products[i])


@contracted
def sum_log_2cosh_of_sums(rows, columns, out):
    """Compute `sum_log_2cosh_of_sums` without storing the fields, which are in float64.

    `columns` is transposed, of shape (H, B).
    """
    sums = np.empty(SUMS_SIDE_BY_SIDE, dtype=f64)
    size = np.empty(SUMS_SIDE_BY_SIDE, dtype=f32)
    products = np.empty(SUMS_SIDE_BY_SIDE, dtype=f32)
    for first in range(0, columns.shape[1], SUMS_SIDE_BY_SIDE):
        for a in range(rows.shape[0]):
            target = out[a, first : first + SUMS_SIDE_BY_SIDE]
            sums[:] = 0.0
            target[:] = 0.0
            for start in range(0, columns.shape[0], LARGEST_NARROW):
                products[:] = _ONE
                for j in range(start, min(start + LARGEST_NARROW, columns.shape[0])):
                    x, y = rows[a, j], columns[j, first : first + SUMS_SIDE_BY_SIDE]
                    for b in range(target.size):
                        wide = abs(x + y[b])
                        sums[b] += wide
                        size[b] = wide
                    # A separate loop: float64 numbers in it would halve the lanes.
                    for b in range(target.size):
                        products[b] *= _ONE + exp_minus_2(size[b])
                for b in range(target.size):
                    target[b] += vector_log(products[b])
            for b in range(target.size):
                target[b] += sums[b]


@compiled
def tempered_spins(product, scale, bias, base, betas, key0, key1, d0, d1, first_row):
    """Draw spins in the field base_j + betas_i (scale * product_ij + bias_j), in place."""
    n_rows, width = product.shape
    u = np.empty(whole_groups(width), dtype=f32)
    for i in range(n_rows):
        fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        row, beta = product[i], betas[i]
        for j in range(width):
            x = base[j] + beta * (scale * row[j] + bias[j])
            e = exp_minus_2(abs(x))
            along = _ONE if x >= f32(0.0) else -_ONE
            row[j] = -along if u[j] * (_ONE + e) < e else along


@contracted
def sum_log_cosh_ratio(product, scale, bias, betas_to, betas_from, out):
    """Compute Σ_j log [cosh(betas_to_i θ_ij) / cosh(betas_from_i θ_ij)] for each row i.

    θ = scale * product + bias.
    """
    n_rows, width = product.shape
    if width <= LARGEST_NARROW:
        _narrow_sum_log_cosh_ratio(product, scale, bias, betas_to, betas_from, out)
        return
    size = np.zeros(whole_groups(width), dtype=f32)
    factor = np.ones(whole_groups(width), dtype=f32)
    sums = np.empty(COLUMNS_PER_GROUP, dtype=f64)
    products = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    for i in range(n_rows):
        row, to, start = product[i], betas_to[i], betas_from[i]
        if to == start:
            out[i] = 0.0
            continue
        gap = to - start
        for j in range(width):
            a = abs(scale * row[j] + bias[j])
            size[j] = gap * a
            factor[j] = (_ONE + exp_minus_2(to * a)) / (_ONE + exp_minus_2(start * a))
        out[i] = _sum_and_log_product(size, factor, sums, products)


@contracted
def _narrow_sum_log_cosh_ratio(product, scale, bias, betas_to, betas_from, out):
    columns = np.empty((product.shape[1], ROWS_SIDE_BY_SIDE), dtype=f32)
    sums = np.empty(ROWS_SIDE_BY_SIDE, dtype=f64)
    products = np.empty(ROWS_SIDE_BY_SIDE, dtype=f32)
    for first in range(0, product.shape[0], ROWS_SIDE_BY_SIDE):
        target = out[first : first + ROWS_SIDE_BY_SIDE]
        to = betas_to[first : first + ROWS_SIDE_BY_SIDE]
        start = betas_from[first : first + ROWS_SIDE_BY_SIDE]
        _transpose(product[first : first + ROWS_SIDE_BY_SIDE], columns)
        sums[:] = 0.0
        products[:] = _ONE
        for j in range(bias.size):
            column = columns[j]
            for i in range(target.size):
                a = abs(scale * column[i] + bias[j])
                ratio = (_ONE + exp_minus_2(to[i] * a)) / (_ONE + exp_minus_2(start[i] * a))
                products[i] *= ratio
                column[i] = (to[i] - start[i]) * a
            for i in range(target.size):
                sums[i] += column[i]
        for i in range(target.size):
            target[i] = sums[i] + vector_log(products[i])


@compiled
def sum_log_2cosh_float64(product, scale, bias, out):
    """Compute `sum_log_2cosh` of fields in float64."""
    for i in range(product.shape[0]):
        total = 0.0
        for j in range(product.shape[1]):
            a = abs(scale * product[i, j] + bias[j])
            total += a + math.log1p(math.exp(-2.0 * a))
        out[i] = total
