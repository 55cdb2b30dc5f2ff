"""Compiled kernels on the elements of a block: spins, means, sums of log 2cosh, updates.

Each one computes what the method of `_numpy.py` computes that its docstring names. The loops
run over short runs of columns with simple bodies because the compiler turns just those into
vector code: no division that is checked for zero, no index that may wrap around.
"""

from __future__ import annotations

import math

import numpy as np

from sklearn_rapid.backends._compile import compiler, inlined
from sklearn_rapid.backends._numpy import (
    _EXP_COEFFICIENTS,
    _LN2_HIGH,
    _LN2_LOW,
    _LOG2_E,
    _SMALLEST_EXPONENT,
)
from sklearn_rapid.backends._random import (
    COLUMNS_PER_GROUP,
    LANES,
    PHILOX_MULTIPLIERS,
    PHILOX_ROUNDS,
    PHILOX_WEYL,
)

f32 = np.float32
f64 = np.float64
u32 = np.uint32
u64 = np.uint64

# Adding and taking away 1.5 * 2^23 rounds a float32 to the nearest integer.
_ROUND = f32(12582912.0)
_E7, _E6, _E5, _E4, _E3, _E2, _E1, _E0 = (f32(c) for c in _EXP_COEFFICIENTS)
_LOG2E, _LN2H, _LN2L = f32(_LOG2_E), f32(_LN2_HIGH), f32(_LN2_LOW)
_FLOOR = f32(_SMALLEST_EXPONENT)
_M0, _M1 = (u64(m) for m in PHILOX_MULTIPLIERS)
_W0, _W1 = (u32(w) for w in PHILOX_WEYL)
_STEP = f32(2.0**-32)
_ZERO, _ONE = f32(0.0), f32(1.0)

# One logarithm for the product of so many numbers between 1/2 and 2: 2^960 is a finite float64,
# and 2^15, what one of 64 lanes of it can reach, a finite float32.
COLUMNS_PER_LOG = 15 * COLUMNS_PER_GROUP

compiled = compiler()
# Products and sums may be fused where backends need to agree to rounding only; never where spins
# are drawn, which are the same on all of them.
contracted = compiler(fastmath={"contract"})


@inlined
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


@inlined
def _fill_group(u, group, row, d0, d1, key0, key1):
    """The 64 uniform numbers of one group of columns."""
    for lane in range(LANES):
        c0, c1, c2, c3 = u32(group * u32(LANES) + u32(lane)), row, d0, d1
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


@inlined
def _fill_uniform(u, row, d0, d1, key0, key1):
    """The uniform numbers of one row; the length of u is a multiple of a group's."""
    for group in range(u.size // COLUMNS_PER_GROUP):
        start = group * COLUMNS_PER_GROUP
        columns = u[start : start + COLUMNS_PER_GROUP]
        _fill_group(columns, u32(group), row, d0, d1, key0, key1)


@inlined
def _whole_groups(width):
    return -(-width // COLUMNS_PER_GROUP) * COLUMNS_PER_GROUP


@compiled
def random_uniform(out, key0, key1, d0, d1, first_row):
    """`random_uniform`, into `out`."""
    n_rows, width = out.shape
    u = np.empty(_whole_groups(width), dtype=f32)
    for i in range(n_rows):
        _fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        out[i] = u[:width]


@compiled
def spins_of_means(means, key0, key1, d0, d1, first_row):
    """`spins_of_means`, in place of the means."""
    n_rows, width = means.shape
    u = np.empty(_whole_groups(width), dtype=f32)
    for i in range(n_rows):
        _fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        row = means[i]
        for j in range(width):
            row[j] = _ONE if f32(2.0) * u[j] - _ONE < row[j] else -_ONE


@compiled
def sample_spins(product, scale, bias, key0, key1, d0, d1, first_row):
    """`sample_spins` of the field scale * product + bias, in place of the product."""
    n_rows, width = product.shape
    u = np.empty(_whole_groups(width), dtype=f32)
    for i in range(n_rows):
        _fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        row = product[i]
        for j in range(width):
            x = scale * row[j] + bias[j]
            e = _exp_minus_2(abs(x))
            along = _ONE if x >= f32(0.0) else -_ONE
            row[j] = -along if u[j] * (_ONE + e) < e else along


@contracted
def means(product, scale, bias, to_unit):
    """`tanh` of the field scale * product + bias, or `probabilities`, in place of the product."""
    for i in range(product.shape[0]):
        row = product[i]
        if to_unit:
            for j in range(row.size):
                x = scale * row[j] + bias[j]
                e = _exp_minus_2(abs(x))
                row[j] = (_ONE if x >= _ZERO else e) / (_ONE + e)
        else:
            for j in range(row.size):
                x = scale * row[j] + bias[j]
                e = _exp_minus_2(abs(x))
                t = (_ONE - e) / (_ONE + e)
                row[j] = t if x >= _ZERO else _ZERO - t


@inlined
def _sum_and_log_product(terms, factors, sums, products):
    """Σ terms + log Π factors, in float64, of rows padded to whole groups with 0 and 1.

    The factors lie between 1/2 and 2, so that one logarithm serves a thousand of them. `sums`
    (float64) and `products` (float32) are scratch space for one group.
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
        product = 1.0
        for j in range(COLUMNS_PER_GROUP):
            product *= f64(products[j])
        total += math.log(product)
    for j in range(COLUMNS_PER_GROUP):
        total += sums[j]
    return total


@contracted
def sum_log_2cosh(product, scale, bias, out):
    """Σ_j log 2cosh(scale * product_ij + bias_j), one float64 a row."""
    n_rows, width = product.shape
    size = np.zeros(_whole_groups(width), dtype=f32)
    factor = np.ones(_whole_groups(width), dtype=f32)
    sums = np.empty(COLUMNS_PER_GROUP, dtype=f64)
    products = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    for i in range(n_rows):
        row = product[i]
        for j in range(width):
            a = abs(scale * row[j] + bias[j])
            size[j] = a
            factor[j] = _ONE + _exp_minus_2(a)
        out[i] = _sum_and_log_product(size, factor, sums, products)


@contracted
def sum_log_2cosh_of_sums(rows, columns, out):
    """`sum_log_2cosh_of_sums`, fields in float64; they are never written."""
    width = rows.shape[1]
    size = np.zeros(_whole_groups(width), dtype=f64)
    factor = np.ones(_whole_groups(width), dtype=f32)
    sums = np.empty(COLUMNS_PER_GROUP, dtype=f64)
    products = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    for a in range(rows.shape[0]):
        for b in range(columns.shape[0]):
            x, y = rows[a], columns[b]
            for j in range(width):
                size[j] = abs(x[j] + y[j])
                factor[j] = f32(size[j])
            # A loop of its own: with wide numbers in it, it would take half as many at a time.
            for j in range(width):
                factor[j] = _ONE + _exp_minus_2(factor[j])
            out[a, b] = _sum_and_log_product(size, factor, sums, products)


@compiled
def tempered_spins(product, scale, bias, base, betas, key0, key1, d0, d1, first_row):
    """Spins in the field base_j + betas_i (scale * product_ij + bias_j), in place of it."""
    n_rows, width = product.shape
    u = np.empty(_whole_groups(width), dtype=f32)
    for i in range(n_rows):
        _fill_uniform(u, u32(first_row + u32(i)), d0, d1, key0, key1)
        row, beta = product[i], betas[i]
        for j in range(width):
            x = base[j] + beta * (scale * row[j] + bias[j])
            e = _exp_minus_2(abs(x))
            along = _ONE if x >= f32(0.0) else -_ONE
            row[j] = -along if u[j] * (_ONE + e) < e else along


@contracted
def sum_log_cosh_ratio(product, scale, bias, betas_to, betas_from, out):
    """Σ_j log [cosh(betas_to_i θ_ij) / cosh(betas_from_i θ_ij)] of θ = scale * product + bias."""
    n_rows, width = product.shape
    size = np.zeros(_whole_groups(width), dtype=f32)
    factor = np.ones(_whole_groups(width), dtype=f32)
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
            factor[j] = (_ONE + _exp_minus_2(to * a)) / (_ONE + _exp_minus_2(start * a))
        out[i] = _sum_and_log_product(size, factor, sums, products)


@compiled
def first_uniform(row, key0, key1, d0, d1):
    """The uniform number of a row's first column."""
    u = np.empty(COLUMNS_PER_GROUP, dtype=f32)
    _fill_group(u, u32(0), row, d0, d1, key0, key1)
    return u[0]


@compiled
def sum_log_2cosh_float64(product, scale, bias, out):
    """`sum_log_2cosh` for fields in float64."""
    for i in range(product.shape[0]):
        total = 0.0
        for j in range(product.shape[1]):
            a = abs(scale * product[i, j] + bias[j])
            total += a + math.log1p(math.exp(-2.0 * a))
        out[i] = total


@compiled
def column_sums(x, weights, out):
    """Add Σ_i weights_i x_ij, accumulated in float64, to `out`."""
    for i in range(x.shape[0]):
        row, w = x[i], f64(weights[i])
        for j in range(row.size):
            out[j] += w * f64(row[j])


@compiled
def weighted_rows(x, offset, weights, out):
    """out_ij = weights_i * (x_ij - offset_j)."""
    for i in range(x.shape[0]):
        row, target, w = x[i], out[i], weights[i]
        for j in range(row.size):
            target[j] = w * (row[j] - offset[j])


@compiled
def add_scaled(p, step, scale):
    """p += scale * step for arrays in one dimension."""
    for i in range(p.size):
        p[i] += scale * step[i]


@compiled
def shrink(p, threshold, divisor):
    """p to sign(p) max(|p| - threshold, 0) / divisor, for arrays in one dimension."""
    zero = f32(0.0)
    for i in range(p.size):
        size = max(abs(p[i]) - threshold, zero) / divisor
        p[i] = size if p[i] > zero else zero - size


@compiled
def dot(a, b):
    """Σ_i a_i b_i of arrays in one dimension, in float64: many accumulators, added up in order."""
    lanes = np.zeros(COLUMNS_PER_GROUP, dtype=f64)
    whole = a.size // COLUMNS_PER_GROUP * COLUMNS_PER_GROUP
    for start in range(0, whole, COLUMNS_PER_GROUP):
        x = a[start : start + COLUMNS_PER_GROUP]
        y = b[start : start + COLUMNS_PER_GROUP]
        for j in range(COLUMNS_PER_GROUP):
            lanes[j] += f64(x[j]) * f64(y[j])
    total = 0.0
    for j in range(COLUMNS_PER_GROUP):
        total += lanes[j]
    for i in range(whole, a.size):
        total += f64(a[i]) * f64(b[i])
    return total


@compiled
def row_dots(a, b, out):
    """Σ_j a_ij b_ij, one float64 a row; b may have one row that serves all."""
    for i in range(a.shape[0]):
        out[i] = dot(a[i], b[i if b.shape[0] > 1 else 0])


@compiled
def sign(x, out):
    """The sign of each element, that of zero being +1, for arrays in one dimension."""
    for i in range(x.size):
        out[i] = _ONE if x[i] >= f32(0.0) else -_ONE


@compiled
def spins_of(is_on, out):
    """+1 where `is_on`, -1 elsewhere, for arrays in one dimension."""
    for i in range(is_on.size):
        out[i] = _ONE if is_on[i] else -_ONE
