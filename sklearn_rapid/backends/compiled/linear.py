"""Compiled kernels of whole arrays: weighted sums, dot products, updates in place, signs.

A docstring that names a method of `reference/arrays.py` means: the same result.
"""

from __future__ import annotations

from sklearn_rapid.backends.compiled.compiler import compiled, f32, f64, reordered

ONE = f32(1.0)


@compiled
def column_sums(x, weights, out):
    """Add Σ_i weights_i x_ij, accumulated in float64, to `out`."""
    for i in range(x.shape[0]):
        row, w = x[i], f64(weights[i])
        for j in range(row.size):
            out[j] += w * f64(row[j])


@compiled
def weighted_rows(x, offset, weights, out):
    """Compute out_ij = weights_i * (x_ij - offset_j)."""
    for i in range(x.shape[0]):
        row, target, w = x[i], out[i], weights[i]
        for j in range(row.size):
            target[j] = w * (row[j] - offset[j])


@compiled
def add_scaled(p, step, scale):
    """Add scale * step to p, for arrays in one dimension."""
    for i in range(p.size):
        p[i] += scale * step[i]


@compiled
def shrink(p, threshold, divisor):
    """Replace p by sign(p) max(|p| - threshold, 0) / divisor, for arrays in one dimension."""
    zero = f32(0.0)
    for i in range(p.size):
        size = max(abs(p[i]) - threshold, zero) / divisor
        p[i] = size if p[i] > zero else zero - size


@reordered
def dot(a, b):
    """Return Σ_i a_i b_i of arrays in one dimension, in float64."""
    total = 0.0
    for i in range(a.size):
        total += f64(a[i]) * f64(b[i])
    return total


@reordered
def row_dots(a, b, out):
    """Compute Σ_j a_ij b_ij, one float64 for each row; b may have a single row."""
    for i in range(a.shape[0]):
        out[i] = dot(a[i], b[i if b.shape[0] > 1 else 0])


@compiled
def sign(x, out):
    """Compute the sign of each element, +1 for zero, for arrays in one dimension."""
    for i in range(x.size):
        out[i] = ONE if x[i] >= f32(0.0) else -ONE


@compiled
def spins_of(is_on, out):
    """Write +1 where `is_on`, -1 elsewhere, for arrays in one dimension."""
    for i in range(is_on.size):
        out[i] = ONE if is_on[i] else -ONE


@compiled
def spins_of_numbers(start, out):
    """Compute `spins_of_numbers`; return `out`."""
    for i in range(out.shape[0]):
        row, number = out[i], start + i
        for j in range(row.size):
            row[j] = 1.0 if (number >> j) & 1 else -1.0
    return out


@compiled
def spins_of_rows(x, rows, threshold, out):
    """Compute `spins_of_rows` of rows by number."""
    for i in range(rows.size):
        row, target = x[rows[i]], out[i]
        for j in range(row.size):
            target[j] = ONE if row[j] > threshold else -ONE
