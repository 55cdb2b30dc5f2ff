"""The second half of an update: gradient, step length, step.

Parameters come in parts: rows of W, or patterns. One worker computes a part of the gradient,
measures it and makes the step, so that the part stays in its cache.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends.compiled.compiler import f32, f64, inlined, internal, internal_compiler
from sklearn_rapid.backends.compiled.fused.rows import n_blocks
from sklearn_rapid.backends.compiled.linear import dot, shrink
from sklearn_rapid.backends.compiled.pipelines import matrix_product
from sklearn_rapid.backends.fused import CLIP, NO_CURVATURE, NO_PROJECTION, SIGN

# Sums in any order, which become vector code.
summed = internal_compiler(fastmath={"contract", "reassoc"})


class Measures(NamedTuple):
    """Measures of a step, part by part (float64).

    Attributes
    ----------
    norms : array of shape (n_parts + 1, 2)
        The square of the direction, and its product with the gradient; those of the biases last.
    changes : array of shape (n_parts + 1, 2 * n_probed)
        Energy changes of probed rows by a step along it; those by the biases last.
    visible_moves, hidden_moves : array of shape (n_parts, V), (n_parts, H)
        Decrease of the mean fields Wλ and Wᵀμ by the step.
    length : array of shape (1,)
        The step length.
    part, pattern_part : int
        Rows of W in a part, and patterns.
    """

    norms: Any
    changes: Any
    visible_moves: Any
    hidden_moves: Any
    length: Any
    part: int
    pattern_part: int


@internal
def probed_rows(n_data, n_model, n_probed):
    """Return the range of probed rows: the last of the data and the first of the model."""
    return n_data - min(n_data, n_probed), n_data + min(n_model, n_probed)


@summed
def _dot_centred(a, a0, b):
    """Return Σ_i (a - a0)_i b_i."""
    total = 0.0
    for i in range(a.size):
        total += f64((a[i] - a0[i]) * b[i])
    return total


@internal
def _add_times(total, x, factor):
    for j in range(total.size):
        total[j] += factor * f64(x[j])


@internal
def centre_rows(worker, n_workers, n, x, offset):
    """Subtract an offset from rows, in place."""
    for i in range(worker * n // n_workers, (worker + 1) * n // n_workers):
        for j in range(offset.size):
            x[i, j] -= offset[j]


@internal
def weighted_columns(x, start, stop, n_data, n_model, scale, means):
    """Return columns of both phases, centred and times the weights of the rows."""
    out = np.empty((n_data + n_model, stop - start), dtype=f32)
    w_data, w_model = scale * f32(1.0 / n_data), scale * f32(-1.0 / n_model)
    for r in range(out.shape[0]):
        w = w_data if r < n_data else w_model
        for i in range(start, stop):
            out[r, i - start] = w * (x[r, i] - means[i - start])
    return out


@inlined
def gradient_in_weights(start, stop, n_data, n_model, scale, rows, out):
    """Compute the gradient Σ_n w_n (v_n - μ)(t_n - λ)ᵀ times the scale, in some rows of W."""
    no_means = np.zeros(stop - start, dtype=f32)
    columns = weighted_columns(rows.visible, start, stop, n_data, n_model, scale, no_means)
    np.dot(columns.T, rows.hidden[: n_data + n_model], out)


@inlined
def gradient_in_patterns(
    start, stop, n_data, n_model, patterns, scale, rows, offsets, of_visible, of_hidden
):  # fmt: skip
    """Compute the gradient in some patterns (eqs. A7a, A7b) from overlaps of rows with them."""
    n = n_data + n_model
    of_mu, of_lam = mean_overlaps(start, stop, patterns, offsets)
    factors = weighted_columns(rows.hidden_overlaps, start, stop, n_data, n_model, scale, of_lam)
    np.dot(factors.T, rows.visible[:n], of_visible)
    factors = weighted_columns(rows.overlaps, start, stop, n_data, n_model, scale, of_mu)
    np.dot(factors.T, rows.hidden[:n], of_hidden)


@internal
def mean_overlaps(start, stop, patterns, offsets):
    """Return the overlaps of the offsets with some patterns, ξ_v μ and ξ_h λ."""
    of_mu = np.empty(stop - start, dtype=f32)
    of_lam = np.empty(stop - start, dtype=f32)
    for k in range(start, stop):
        of_mu[k - start] = dot(patterns.visible_patterns[k], offsets.mu)
        of_lam[k - start] = dot(patterns.hidden_patterns[k], offsets.lam)
    return of_mu, of_lam


@internal
def apply_momentum(g, velocity, momentum, norms):
    """Turn a gradient into the direction, in place; add |direction|² and their product to norms."""
    for i in range(g.shape[0]):
        if momentum == 0.0:
            square = dot(g[i], g[i])
            norms[0] += square
            norms[1] += square
            continue
        for j in range(g.shape[1]):
            direction = momentum * velocity[i, j] + g[i, j]
            norms[0] += f64(direction) * f64(direction)
            norms[1] += f64(direction) * f64(g[i, j])
            g[i, j] = velocity[i, j] = direction


@internal
def apply_momentum_to_vector(g, velocity, momentum, norms):
    """Apply momentum to a gradient in one dimension; see `apply_momentum`."""
    for j in range(g.size):
        direction = g[j]
        if momentum != 0.0:
            direction += momentum * velocity[j]
            velocity[j] = direction
        norms[0] += f64(direction) * f64(direction)
        norms[1] += f64(direction) * f64(g[j])
        g[j] = direction


@inlined
def changes_by_weights(start, stop, first, last, g, rows, out):
    """Compute the energy changes of probed rows by a part of the step in W."""
    products = np.empty((last - first, stop - start), dtype=f32)
    matrix_product(rows.hidden[first:last], g, True, products)
    for n in range(last - first):
        out[n] = dot(rows.visible[first + n, start:stop], products[n])


@inlined
def changes_by_rows(worker, n_workers, n_data, n_model, rows, out):
    """Compute the energy changes by the whole step in W without the gradient, all rows probed.

    With G = Σ_m w_m v_m t_mᵀ of centred rows, v_nᵀ G t_n = Σ_m w_m (v_n·v_m)(t_n·t_m).
    """
    n = n_data + n_model
    start, stop = worker * n // n_workers, (worker + 1) * n // n_workers
    visible = np.empty((stop - start, n), dtype=f32)
    hidden = np.empty((stop - start, n), dtype=f32)
    matrix_product(rows.visible[start:stop], rows.visible[:n], True, visible)
    matrix_product(rows.hidden[start:stop], rows.hidden[:n], True, hidden)
    for r in range(stop - start):
        of_data = dot(visible[r, :n_data], hidden[r, :n_data])
        of_model = dot(visible[r, n_data:], hidden[r, n_data:])
        out[start + r] = of_data / n_data - of_model / n_model


@inlined
def changes_by_patterns(
    start, stop, first, last, patterns, scale, rows, offsets, of_visible, of_hidden, out
):  # fmt: skip
    """Compute (v·δξ_v)(t·ξ_h) + (v·ξ_v)(t·δξ_h) times 1/√K, the energy changes by some patterns."""
    v, t = rows.visible[first:last], rows.hidden[first:last]
    shape = (last - first, stop - start)
    v_step, t_step = np.empty(shape, dtype=f32), np.empty(shape, dtype=f32)
    v_own, t_own = np.empty(shape, dtype=f32), np.empty(shape, dtype=f32)
    matrix_product(v, of_visible, True, v_step)
    matrix_product(t, of_hidden, True, t_step)
    # Known overlaps are those of rows before centring.
    of_mu, of_lam = mean_overlaps(start, stop, patterns, offsets)
    if rows.hidden_overlaps.size == 0:
        matrix_product(v, patterns.visible_patterns[start:stop], True, v_own)
        matrix_product(t, patterns.hidden_patterns[start:stop], True, t_own)
        for k in range(stop - start):
            of_mu[k] = of_lam[k] = f32(0.0)
    else:
        for n in range(last - first):
            for k in range(stop - start):
                v_own[n, k] = rows.overlaps[first + n, start + k]
                t_own[n, k] = rows.hidden_overlaps[first + n, start + k]
    for n in range(last - first):
        change = _dot_centred(t_own[n], of_lam, v_step[n]) + _dot_centred(
            v_own[n], of_mu, t_step[n]
        )
        out[n] = f64(scale) * change


@inlined
def changes_by_biases(worker, n_workers, first, last, rows, step, out):
    """Compute the energy changes of probed rows by the step in the biases."""
    for n in range(worker, last - first, n_workers):
        of_visible = dot(rows.visible[first + n], step.visible_bias)
        out[n] = of_visible + dot(rows.hidden[first + n], step.hidden_bias)


@internal
def _n_varied_units(averages, full_variance):
    """Return the effective number of varying visible units, less where variances are small."""
    n_units, n_rows = averages.visible_offset.size, averages.counts[0]
    total = 0.0
    for i in range(n_units):
        mean = averages.visible_offset[i] * n_rows / (n_rows + 1.0)
        total += 1.0 - mean * mean
    return min(total / full_variance, f64(n_units))


@inlined
def step_length(n_data, n_model, averages, settings, norms, changes):
    """Return the step length that changes energies by the wanted amount, within bounds."""
    if not settings.is_scaled:
        return settings.rate
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    of_data, of_model = 1.0 / n_data, 1.0 / n_model
    total, mean, variance, square, gain = 0.0, 0.0, 0.0, norms[-1, 0], norms[-1, 1]
    n_parts = 1 if settings.changes_by_rows else norms.shape[0] - 1
    if settings.changes_by_rows:
        of_weights = 0.0  # |G|² is Σ_n w_n v_nᵀ G t_n, which rounding may take below zero
        for n in range(last - first):
            of_weights += changes[0, n] * (of_data if n < n_data else -of_model)
        square += max(of_weights, 0.0)
        gain += max(of_weights, 0.0)
    else:
        for part in range(n_parts):
            square += norms[part, 0]
            gain += norms[part, 1]
    all_changes = changes[-1]
    for n in range(last - first):
        for part in range(n_parts):
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
    squared_length = length * length * _n_varied_units(averages, settings.full_variance) * share
    curvature = variance + (settings.smallest_curvature * square + NO_CURVATURE)
    longest = settings.largest_overshoot * abs(gain) / curvature
    return min(math.sqrt(squared_length / curvature), longest)


@inlined
def penalty_of(length, counts, settings):
    """Return the threshold (L1) and divisor (L2) by which penalties shrink the parameters."""
    n_rows = settings.penalized_rows if settings.penalized_rows > 0 else counts[0]
    share = min(1.0, counts[1] / settings.ramp_updates) / n_rows
    return f32(length * settings.l1 * share), f32(1.0 + length * settings.l2 * share)


@inlined
def projection_at(n_updates, is_last, settings):
    """Return the projection of the patterns that is due after this update."""
    is_due = settings.period > 0 and n_updates % settings.period == 0
    return settings.projection if is_due or (settings.projects_last and is_last) else NO_PROJECTION


@inlined
def step_in_weights(
    part, start, stop, weights, step, length, threshold, divisor, offsets, measures
):  # fmt: skip
    """Move some rows of W, and note by how much Wλ and Wᵀμ decrease."""
    moved = np.empty_like(offsets.lam)
    of_visible, of_hidden = measures.visible_moves[part], measures.hidden_moves[part]
    _clear(of_visible, of_hidden)
    for i in range(start, stop):
        row = weights[i]
        for j in range(moved.size):
            moved[j] = row[j]
        _move(row, step[i], length, threshold, divisor)
        for j in range(moved.size):
            moved[j] -= row[j]
        of_visible[i] = dot(moved, offsets.lam)
        _add_times(of_hidden, moved, f64(offsets.mu[i]))


@inlined
def step_in_patterns(
    worker, n_workers, patterns, step, length, threshold, divisor, projection, settings, offsets,
    measures,
):  # fmt: skip
    """Move the patterns, and note by how much Wλ and Wᵀμ decrease."""
    size, n_patterns = measures.pattern_part, patterns.visible_patterns.shape[0]
    scale, bound = f64(settings.scale), settings.bound
    for part in range(worker, n_blocks(n_patterns, size), n_workers):
        of_visible, of_hidden = measures.visible_moves[part], measures.hidden_moves[part]
        _clear(of_visible, of_hidden)
        for k in range(part * size, min((part + 1) * size, n_patterns)):
            visible, hidden = patterns.visible_patterns[k], patterns.hidden_patterns[k]
            if settings.is_centered:
                _add_times(of_visible, visible, scale * dot(hidden, offsets.lam))
                _add_times(of_hidden, hidden, scale * dot(visible, offsets.mu))
            _move(visible, step.visible_patterns[k], length, threshold, divisor)
            _move(hidden, step.hidden_patterns[k], length, threshold, divisor)
            _project(visible, projection, bound)
            _project(hidden, projection, bound)
            if settings.is_centered:
                _add_times(of_visible, visible, -scale * dot(hidden, offsets.lam))
                _add_times(of_hidden, hidden, -scale * dot(visible, offsets.mu))


@internal
def _clear(a, b):
    for i in range(a.size):
        a[i] = 0.0
    for j in range(b.size):
        b[j] = 0.0


@internal
def _move(p, direction, length, threshold, divisor):
    """Move parameters along the direction, then shrink them towards zero."""
    for j in range(p.size):
        p[j] += length * direction[j]
    if threshold > 0.0 or divisor != 1.0:
        shrink(p, threshold, divisor)


@internal
def _project(p, projection, bound):
    """Project to signs, +1 for zero, or into an interval; NaN stays NaN in the interval."""
    if projection == SIGN:
        for j in range(p.size):
            p[j] = f32(1.0 if p[j] >= 0.0 else -1.0)
    elif projection == CLIP:
        for j in range(p.size):
            p[j] = bound if p[j] > bound else (-bound if p[j] < -bound else p[j])


@internal
def step_in_bias(bias, step, length, moves):
    """Move a bias, corrected so that moves of W leave the bias of centred layers as it is."""
    for i in range(bias.size):
        moved = 0.0
        for part in range(moves.shape[0]):
            moved += moves[part, i]
        bias[i] = (bias[i] + length * step[i]) + f32(moved)
