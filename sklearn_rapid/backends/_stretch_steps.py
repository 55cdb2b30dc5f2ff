"""The second half of an update: the gradient, how far to go along it, and the step itself.

Parameters come in parts: rows of W, or patterns. A part of the gradient is computed, measured and
gone along by one party, so that it stays in its cache. Where W is worked on transposed, functions
of W are handed all that belongs to the layers in exchanged places.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends._compile import compiler, inlined
from sklearn_rapid.backends._kernels import f32, f64
from sklearn_rapid.backends._linear import shrink
from sklearn_rapid.backends._pipelines import matrix_product
from sklearn_rapid.backends._stretch_rows import n_blocks
from sklearn_rapid.backends.stretch import CLIP, NO_PROJECTION, SIGN

compiled = compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True)
# Sums in any order: they are turned into vector code.
summed = compiler(fastmath={"contract", "reassoc"}, no_cpython_wrapper=True, no_cfunc_wrapper=True)

# Numbers on a cache line.
LINE = 16
# Where no energy changes at all, this keeps 0 / 0 out.
NO_CURVATURE = 1e-300


class Measures(NamedTuple):
    """What is known of a step, part by part (float64).

    Attributes
    ----------
    norms : array of shape (n_parts + 1, 2)
        The square of the direction, and its product with the gradient; the biases' at last.
    changes : array of shape (n_parts + 1, 2 * n_probed)
        Energy changes of probed rows by a step along it; those by the biases at last.
    visible_moves, hidden_moves : array of shape (n_parts, V), (n_parts, H)
        What the step takes from the mean fields Wλ and Wᵀμ.
    length : array of shape (1,)
        How far to go.
    visible_part, pattern_part : int
        Rows of W in a part, and patterns.
    """

    norms: Any
    changes: Any
    visible_moves: Any
    hidden_moves: Any
    length: Any
    visible_part: int
    pattern_part: int


@compiled
def probed_rows(n_data, n_model, n_probed):
    """The last rows of the data and the first of the model."""
    return n_data - min(n_data, n_probed), n_data + min(n_model, n_probed)


@summed
def _dot(a, b):
    """Σ_i a_i b_i."""
    total = 0.0
    for i in range(a.size):
        total += f64(a[i]) * f64(b[i])
    return total


@summed
def _dot_of_differences(a, a0, b, b0):
    """Σ_i (a - a0)_i (b - b0)_i."""
    total = 0.0
    for i in range(a.size):
        total += f64((a[i] - a0[i]) * (b[i] - b0[i]))
    return total


@compiled
def _add_times(total, x, factor):
    for j in range(total.size):
        total[j] += factor * f64(x[j])


@inlined
def gradient_in_weights(party, n_parties, n_data, n_model, scale, size, rows, offsets, out):
    """Σ_n w_n (v_n - μ)(t_n - λ)ᵀ times the scale, a part of V at a time.

    The part in λ is that of one more row: the sum of w_n (v_n - μ) is the gap.
    """
    n, n_visible = n_data + n_model, offsets.mu.size
    w_data, w_model = scale * f32(1.0 / n_data), scale * f32(-1.0 / n_model)
    for part in range(party, n_blocks(n_visible, size), n_parties):
        start, stop = part * size, min((part + 1) * size, n_visible)
        columns, g = np.empty((n, stop - start), dtype=f32), out[start:stop]
        for r in range(n):
            w = w_data if r < n_data else w_model
            for i in range(start, stop):
                columns[r, i - start] = w * (rows.visible[r, i] - offsets.mu[i])
        np.dot(columns.T, rows.hidden[:n], g)
        for i in range(g.shape[0]):
            gap = scale * offsets.gap[start + i]
            for j in range(g.shape[1]):
                g[i, j] -= gap * offsets.lam[j]


@inlined
def gradient_in_patterns(
    start, stop, n_data, n_model, patterns, scale, rows, offsets, of_visible, of_hidden
):  # fmt: skip
    """The same in some patterns (eqs. A7a, A7b), by overlaps; offsets come in as outer products."""
    n, n_patterns = n_data + n_model, stop - start
    w_data, w_model = scale * f32(1.0 / n_data), scale * f32(-1.0 / n_model)
    visible, hidden = patterns.visible_patterns[start:stop], patterns.hidden_patterns[start:stop]
    of_mu = np.empty(n_patterns, dtype=f32)
    for k in range(n_patterns):
        of_mu[k] = _dot(visible[k], offsets.mu)
    factors, totals = np.empty((n, n_patterns), dtype=f32), np.zeros(n_patterns)
    for r in range(n):
        w = w_data if r < n_data else w_model
        for k in range(n_patterns):
            factors[r, k] = w * rows.hidden_overlaps[r, start + k]
            totals[k] += f64(factors[r, k])
    np.dot(factors.T, rows.visible[:n], of_visible)
    for r in range(n):
        w = w_data if r < n_data else w_model
        for k in range(n_patterns):
            factors[r, k] = w * (rows.overlaps[r, start + k] - of_mu[k])
    np.dot(factors.T, rows.hidden[:n], of_hidden)
    for k in range(n_patterns):
        total, of_lam = f32(totals[k]), scale * f32(_dot(hidden[k], offsets.lam))
        for i in range(of_visible.shape[1]):
            of_visible[k, i] -= total * offsets.mu[i] + of_lam * offsets.gap[i]
        of_gap = scale * f32(_dot(visible[k], offsets.gap))
        for j in range(of_hidden.shape[1]):
            of_hidden[k, j] -= of_gap * offsets.lam[j]


@compiled
def follow(g, velocity, momentum, norms):
    """From a gradient to the direction, in place; add its square and its product with the first."""
    for i in range(g.shape[0]):
        if momentum == 0.0:
            square = _dot(g[i], g[i])
            norms[0] += square
            norms[1] += square
            continue
        for j in range(g.shape[1]):
            direction = momentum * velocity[i, j] + g[i, j]
            norms[0] += f64(direction) * f64(direction)
            norms[1] += f64(direction) * f64(g[i, j])
            g[i, j] = velocity[i, j] = direction


@compiled
def follow_vector(g, velocity, momentum, norms):
    """The same for an array in one dimension."""
    for j in range(g.size):
        direction = g[j]
        if momentum != 0.0:
            direction += momentum * velocity[j]
            velocity[j] = direction
        norms[0] += f64(direction) * f64(direction)
        norms[1] += f64(direction) * f64(g[j])
        g[j] = direction


@inlined
def changes_by_weights(start, stop, first, last, g, rows, offsets, out):
    """What a part of the step in W does to the energies of probed rows."""
    products, of_lam = np.empty((last - first, stop - start), dtype=f32), np.empty_like(g[:, 0])
    matrix_product(rows.hidden[first:last], g, True, products)
    for i in range(of_lam.size):
        of_lam[i] = _dot(g[i], offsets.lam)
    mu = offsets.mu[start:stop]
    for n in range(last - first):
        v = rows.visible[first + n, start:stop]
        out[n] = _dot_of_differences(v, mu, products[n], of_lam)


@inlined
def changes_by_patterns(
    start, stop, first, last, patterns, scale, rows, offsets, of_visible, of_hidden, out
):  # fmt: skip
    """The same for a part of the patterns: (v·δξ_v)(t·ξ_h) + (v·ξ_v)(t·δξ_h), times 1/√K."""
    visible, hidden = patterns.visible_patterns[start:stop], patterns.hidden_patterns[start:stop]
    v, t = rows.visible[first:last], rows.hidden[first:last]
    overlaps = np.empty((4, last - first, stop - start), dtype=f32)
    matrix_product(v, of_visible, True, overlaps[0])
    matrix_product(t, of_hidden, True, overlaps[3])
    if rows.hidden_overlaps.size == 0:
        matrix_product(t, hidden, True, overlaps[1])
        matrix_product(v, visible, True, overlaps[2])
    else:
        for n in range(last - first):
            for k in range(stop - start):
                overlaps[1, n, k] = rows.hidden_overlaps[first + n, start + k]
                overlaps[2, n, k] = rows.overlaps[first + n, start + k]
    means = np.empty((4, stop - start), dtype=f32)
    for k in range(stop - start):
        means[0, k] = _dot(of_visible[k], offsets.mu)
        means[1, k] = _dot(hidden[k], offsets.lam)
        means[2, k] = _dot(visible[k], offsets.mu)
        means[3, k] = _dot(of_hidden[k], offsets.lam)
    for n in range(last - first):
        change = _dot_of_differences(overlaps[0, n], means[0], overlaps[1, n], means[1])
        change += _dot_of_differences(overlaps[2, n], means[2], overlaps[3, n], means[3])
        out[n] = f64(scale) * change


@inlined
def changes_by_biases(party, n_parties, first, last, rows, offsets, step, out):
    """What the step in the biases does to the energies of probed rows."""
    no_v, no_t = np.zeros_like(offsets.mu), np.zeros_like(offsets.lam)
    for n in range(party, last - first, n_parties):
        v, t = rows.visible[first + n], rows.hidden[first + n]
        change = _dot_of_differences(v, offsets.mu, step.visible_bias, no_v)
        out[n] = change + _dot_of_differences(t, offsets.lam, step.hidden_bias, no_t)


@inlined
def length_of_step(n_data, n_model, n_visible, settings, norms, changes):
    """How far to go so that energies change by the length wanted, within bounds."""
    if not settings.is_scaled:
        return settings.rate
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    of_data, of_model = 1.0 / n_data, 1.0 / n_model
    total, mean, variance, square, gain = 0.0, 0.0, 0.0, 0.0, 0.0
    for part in range(norms.shape[0]):
        square += norms[part, 0]
        gain += norms[part, 1]
    all_changes = changes[-1]
    for n in range(last - first):
        for part in range(changes.shape[0] - 1):
            all_changes[n] += changes[part, n]
        weight = of_data if first + n < n_data else of_model
        total += weight
        mean += weight * all_changes[n]
    mean /= total
    for n in range(last - first):
        weight = of_data if first + n < n_data else of_model
        variance += weight / total * (all_changes[n] - mean) ** 2
    share = min(1.0, 2.0 / (of_data + of_model) / settings.full_step_rows)
    length = settings.rate * settings.step_share
    squared_length = length * length * n_visible * share
    curvature = variance + (settings.smallest_curvature * square + NO_CURVATURE)
    longest = settings.largest_overshoot * abs(gain) / curvature
    return min(math.sqrt(squared_length / curvature), longest)


@inlined
def penalty_of(length, counts, settings):
    """What the penalties take off in a step: a threshold and a divisor."""
    n_rows = settings.penalized_rows if settings.penalized_rows > 0 else counts[0]
    share = min(1.0, counts[1] / settings.ramp_updates) / n_rows
    return f32(length * settings.l1 * share), f32(1.0 + length * settings.l2 * share)


@inlined
def projection_at(n_updates, is_last, settings):
    """What is done to the patterns after this update."""
    is_due = settings.period > 0 and n_updates % settings.period == 0
    return settings.projection if is_due or (settings.projects_last and is_last) else NO_PROJECTION


@inlined
def step_in_weights(party, n_parties, weights, step, length, threshold, divisor, offsets, measures):
    """Move W, a part of V at a time, and note what that takes from Wλ and Wᵀμ."""
    moved, size = np.empty_like(offsets.lam), measures.visible_part
    for part in range(party, n_blocks(weights.shape[0], size), n_parties):
        of_visible, of_hidden = measures.visible_moves[part], measures.hidden_moves[part]
        _clear(of_visible, of_hidden)
        for i in range(part * size, min((part + 1) * size, weights.shape[0])):
            row = weights[i]
            for j in range(moved.size):
                moved[j] = row[j]
            _move(row, step[i], length, threshold, divisor)
            for j in range(moved.size):
                moved[j] -= row[j]
            of_visible[i] = _dot(moved, offsets.lam)
            _add_times(of_hidden, moved, f64(offsets.mu[i]))


@compiled
def turn(party, n_parties, matrix, turned, size):
    """A matrix to its transpose, a part at a time; both are read and written line by line."""
    for part in range(party, n_blocks(matrix.shape[0], size), n_parties):
        stop = min((part + 1) * size, matrix.shape[0])
        for j0 in range(0, matrix.shape[1], LINE):
            for i in range(part * size, stop):
                for j in range(j0, min(j0 + LINE, matrix.shape[1])):
                    turned[j, i] = matrix[i, j]


@inlined
def step_in_patterns(
    party, n_parties, patterns, step, length, threshold, divisor, projection, settings, offsets,
    measures,
):  # fmt: skip
    """Move the patterns, and note what that takes from Wλ and Wᵀμ."""
    size, n_patterns = measures.pattern_part, patterns.visible_patterns.shape[0]
    scale, bound = f64(settings.scale), settings.bound
    for part in range(party, n_blocks(n_patterns, size), n_parties):
        of_visible, of_hidden = measures.visible_moves[part], measures.hidden_moves[part]
        _clear(of_visible, of_hidden)
        for k in range(part * size, min((part + 1) * size, n_patterns)):
            visible, hidden = patterns.visible_patterns[k], patterns.hidden_patterns[k]
            if settings.is_centered:
                _add_times(of_visible, visible, scale * _dot(hidden, offsets.lam))
                _add_times(of_hidden, hidden, scale * _dot(visible, offsets.mu))
            _move(visible, step.visible_patterns[k], length, threshold, divisor)
            _move(hidden, step.hidden_patterns[k], length, threshold, divisor)
            _project(visible, projection, bound)
            _project(hidden, projection, bound)
            if settings.is_centered:
                _add_times(of_visible, visible, -scale * _dot(hidden, offsets.lam))
                _add_times(of_hidden, hidden, -scale * _dot(visible, offsets.mu))


@compiled
def _clear(a, b):
    for i in range(a.size):
        a[i] = 0.0
    for j in range(b.size):
        b[j] = 0.0


@compiled
def _move(p, direction, length, threshold, divisor):
    """Along the direction, then towards zero."""
    for j in range(p.size):
        p[j] += length * direction[j]
    if threshold > 0.0 or divisor != 1.0:
        shrink(p, threshold, divisor)


@compiled
def _project(p, projection, bound):
    """To signs, that of zero being +1, or into an interval; NaN is no less than any bound."""
    if projection == SIGN:
        for j in range(p.size):
            p[j] = f32(1.0 if p[j] >= 0.0 else -1.0)
    elif projection == CLIP:
        for j in range(p.size):
            p[j] = bound if p[j] > bound else (-bound if p[j] < -bound else p[j])


@compiled
def step_in_bias(bias, step, length, moves):
    """Move a bias; those of the centred parametrisation stay where W moves."""
    for i in range(bias.size):
        moved = 0.0
        for part in range(moves.shape[0]):
            moved += moves[part, i]
        bias[i] = (bias[i] + length * step[i]) + f32(moved)
