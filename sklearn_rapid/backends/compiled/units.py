"""Compiled kernels on the fields of real units and groups of categories.

A docstring that names a method of the reference means: the same result, of fields in float32
(categories are drawn in fields of any type). Groups of columns are short, so most work is done on
whole rows, as vector code.
"""

from __future__ import annotations

import math

import numpy as np

from sklearn_rapid.backends.compiled.compiler import compiled, f32, f64, inlined
from sklearn_rapid.backends.compiled.elementary import exp_minus_2, vector_log
from sklearn_rapid.backends.compiled.random import fill_uniform, whole_groups

_HALF, _ZERO, _ONE = f32(0.5), f32(0.0), f32(1.0)


@inlined
def _cos_and_sin(turns):
    """Return cosine and sine of 2π turns to 1e-11, for turns from 0 to 1: part of vector code."""
    quarter = np.int64(4.0 * turns + 0.5)
    # The rest is an angle between -π/4 and π/4.
    x = 2.0 * math.pi * (turns - 0.25 * f64(quarter))
    q = x * x
    s = -1.0 / 39916800.0
    s = s * q + 1.0 / 362880.0
    s = s * q - 1.0 / 5040.0
    s = s * q + 1.0 / 120.0
    s = s * q - 1.0 / 6.0
    s = (s * q + 1.0) * x
    c = 1.0 / 479001600.0
    c = c * q - 1.0 / 3628800.0
    c = c * q + 1.0 / 40320.0
    c = c * q - 1.0 / 720.0
    c = c * q + 1.0 / 24.0
    c = c * q - 0.5
    c = c * q + 1.0
    is_odd = (quarter & 1) == 1
    cos, sin = (s, c) if is_odd else (c, s)
    cos = -cos if ((quarter + 1) & 2) == 2 else cos
    sin = -sin if (quarter & 2) == 2 else sin
    return cos, sin


@compiled
def sample_gaussians(field, key0, key1, d0, d1, first_row):
    """Compute `sample_gaussians`, in place of the field."""
    n_rows, width = field.shape
    u = np.empty(whole_groups(width), dtype=f32)
    noise = np.empty(u.size, dtype=f32)
    for i in range(n_rows):
        fill_uniform(u, np.uint32(first_row + np.uint32(i)), d0, d1, key0, key1)
        for k in range((width + 1) // 2):
            radius = math.sqrt(-2.0 * vector_log(u[2 * k]))
            cos, sin = _cos_and_sin(f64(u[2 * k + 1]))
            noise[2 * k] = radius * cos
            noise[2 * k + 1] = radius * sin
        row = field[i]
        for j in range(width):
            row[j] += noise[j]


@inlined
def _weights(row, starts, largest, w):
    """Compute the largest field of each group, and exp(field - largest) of the columns."""
    for g in range(largest.size):
        m = row[starts[g]]
        for j in range(starts[g], starts[g + 1]):
            m = max(m, row[j])
        largest[g] = m
        for j in range(starts[g], starts[g + 1]):
            w[j] = m - row[j]
    for j in range(w.size):
        w[j] = exp_minus_2(_HALF * w[j])


@inlined
def _total(w, start, stop):
    total = 0.0
    for j in range(start, stop):
        total += f64(w[j])
    return total


@compiled
def softmax(field, starts):
    """Compute `softmax` of the groups that start in these columns, in place of the field."""
    n_rows, width = field.shape
    w, largest = np.empty(width, dtype=f32), np.empty(starts.size - 1, dtype=f32)
    for i in range(n_rows):
        row = field[i]
        _weights(row, starts, largest, w)
        for g in range(largest.size):
            total = f32(_total(w, starts[g], starts[g + 1]))
            for j in range(starts[g], starts[g + 1]):
                row[j] = w[j] / total


@compiled
def sum_log_sum_exp(field, starts, out):
    """Compute `sum_log_sum_exp` of the groups that start in these columns."""
    n_rows, width = field.shape
    w, largest = np.empty(width, dtype=f32), np.empty(starts.size - 1, dtype=f32)
    totals = np.empty(largest.size, dtype=f64)
    for i in range(n_rows):
        _weights(field[i], starts, largest, w)
        for g in range(largest.size):
            totals[g] = _total(w, starts[g], starts[g + 1])
        for g in range(largest.size):
            totals[g] = f64(largest[g]) + vector_log(totals[g])
        out[i] = totals.sum()


@compiled
def sample_categories(field, starts, key0, key1, d0, d1, first_row):
    """Compute `sample_categories` of the groups that start in these columns, in place."""
    n_rows, width = field.shape
    w, largest = np.empty(width, dtype=f32), np.empty(starts.size - 1, dtype=f32)
    u = np.empty(whole_groups(largest.size), dtype=f32)
    for i in range(n_rows):
        row = field[i]
        _weights(row, starts, largest, w)
        fill_uniform(u, np.uint32(first_row + np.uint32(i)), d0, d1, key0, key1)
        for g in range(largest.size):
            threshold = f64(u[g]) * _total(w, starts[g], starts[g + 1])
            passed = 0.0
            for j in range(starts[g], starts[g + 1]):
                # The chosen column is where the sum first reaches the threshold.
                summed = passed + f64(w[j])
                row[j] = _ONE if passed < threshold <= summed else _ZERO
                passed = summed
