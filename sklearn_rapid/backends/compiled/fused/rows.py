"""The first half of an update: model states, hidden means of all rows, averages.

One worker computes a block of rows, from its first Gibbs step to its sums. In the buffers of `Rows`
data rows come before model rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends.compiled.arguments import CompiledMap
from sklearn_rapid.backends.compiled.compiler import compiled, f32, f64, inlined, internal, u32, u64
from sklearn_rapid.backends.compiled.pipelines import gibbs, matrix_product, product, temper
from sklearn_rapid.backends.compiled.spins import means, sample_spins
from sklearn_rapid.backends.fused import FROM_DATA, FROM_PATTERNS


class Maps(NamedTuple):
    """The maps between the layers, with the biases that are trained."""

    up: CompiledMap
    down: CompiledMap


class Rows(NamedTuple):
    """Buffers for rows of both phases, and their sums block by block (float64).

    Attributes
    ----------
    visible, hidden : array of shape (n, V), (n, H)
        Rows and their hidden means.
    overlaps, hidden_overlaps : array of shape (n, K) or empty
        Overlaps of both with the patterns; the second only if the gradient needs it.
    visible_sums, hidden_sums : array of shape (n_blocks, V), (n_blocks, H)
        Sums of the blocks, those of the data first.
    data_block, chain_block : int
        Rows in a block of data, and of chains.
    """

    visible: Any
    hidden: Any
    overlaps: Any
    hidden_overlaps: Any
    visible_sums: Any
    hidden_sums: Any
    data_block: int
    chain_block: int


class Offsets(NamedTuple):
    """Offsets of both layers, μ and λ of shape (V,) and (H,): zero if layers are not centred."""

    mu: Any
    lam: Any


@internal
def n_blocks(n, size):
    """Return the number of blocks of this size in n."""
    return -(-n // size)


@compiled
def n_model_rows(n_data, source):
    """Return the number of model states in an update."""
    if source.kind == FROM_DATA:
        return n_data
    if source.n_cold > 0:
        return source.arrivals.size * source.n_cold
    return source.states.shape[0]


@internal
def _all_free():
    """No spin is clamped."""
    return np.empty((0, 0), dtype=np.bool_)


@internal
def copy_rows(source, target):
    """Copy the rows of one array to another."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@internal
def form_weights(worker, n_workers, size, visible_patterns, hidden_patterns, scale, weights):
    """Compute W = ξ_vᵀ ξ_h / √K, by parts of V."""
    for part in range(worker, n_blocks(weights.shape[0], size), n_workers):
        start, stop = part * size, min((part + 1) * size, weights.shape[0])
        columns = np.empty((visible_patterns.shape[0], stop - start), dtype=f32)
        for k in range(columns.shape[0]):
            for i in range(start, stop):
                columns[k, i - start] = scale * visible_patterns[k, i]
        np.dot(columns.T, hidden_patterns, weights[start:stop])


@inlined
def draw_and_map_rows(
    worker, n_workers, update, batch, has_biases, parameters, maps, source, draws, rows
):  # fmt: skip
    """Draw model states, then compute hidden means and sums of all rows, block by block."""
    n_data, first_draw = batch.shape[0], draws.first + u64(update) * draws.spacing
    n_data_blocks = n_blocks(n_data, rows.data_block)
    n_states = 0 if source.kind == FROM_DATA else source.states.shape[0]
    n_chain_blocks = n_blocks(n_states, rows.chain_block)
    # Chains first: their blocks take longest.
    for block in range(worker, n_chain_blocks + n_data_blocks, n_workers):
        if block < n_chain_blocks:
            start = block * rows.chain_block
            stop = min(start + rows.chain_block, n_states)
            first, last = _move_chains(
                start, stop, n_data, update, first_draw, parameters, maps, source, draws,
                rows.visible,
            )  # fmt: skip
            _fields(first, last, parameters, maps, rows)
            _means(first, last, n_data_blocks + block, has_biases, parameters, maps, rows)
            continue
        block -= n_chain_blocks
        start = block * rows.data_block
        stop = min(start + rows.data_block, n_data)
        copy_rows(batch[start:stop], rows.visible[start:stop])
        _fields(start, stop, parameters, maps, rows)
        if source.kind == FROM_DATA:
            first, last = n_data + start, n_data + stop
            _contrastive_divergence(
                rows.hidden[start:stop], rows.visible[first:last], source.n_steps, start,
                first_draw, maps, draws,
            )  # fmt: skip
            _fields(first, last, parameters, maps, rows)
            _means(first, last, n_data_blocks + block, has_biases, parameters, maps, rows)
        _means(start, stop, block, has_biases, parameters, maps, rows)


@inlined
def _move_chains(
    start, stop, n_data, update, first_draw, parameters, maps, source, draws, visible
):  # fmt: skip
    """Move some chains, copy those at β = 1 to the model rows; return the range of these rows."""
    v = source.states[start:stop]
    if source.kind == FROM_PATTERNS:
        for i in range(v.shape[0]):
            for j in range(v.shape[1]):
                v[i, j] = f32(1.0 if parameters.visible_patterns[start + i, j] >= 0.0 else -1.0)
    if source.n_cold == 0:
        gibbs(
            v, _all_free(), source.n_steps, draws.key0, draws.key1, first_draw, u32(start),
            maps.up, maps.down,
        )  # fmt: skip
        copy_rows(v, visible[n_data + start : n_data + stop])
        return n_data + start, n_data + stop
    n_rungs, n_cold, down = source.betas.size, source.n_cold, maps.down
    ratios = np.empty((source.n_steps, stop - start))
    from_base = np.empty_like(source.base)
    for i in range(from_base.size):
        from_base[i] = down.bias[i] - source.base[i]
    down_from_base = CompiledMap(
        down.first, down.is_first_transposed, down.second, down.is_second_transposed, down.scale,
        from_base,
    )  # fmt: skip
    temper(
        v, _all_free(), source.base, source.betas, n_rungs - n_cold,
        (source.parity + update * source.n_steps) % 2,
        draws.key0, draws.key1, first_draw, u32(start), ratios, source.origin[start:stop],
        source.arrivals[start // n_rungs : stop // n_rungs],
        maps.up, down_from_base,
    )  # fmt: skip
    for k in range(source.n_steps):
        for i in range(start, stop):
            source.log_ratios[update * source.n_steps + k, i] = ratios[k, i - start]
    first = row = n_data + start // n_rungs * n_cold
    for i in range(v.shape[0]):
        if i % n_rungs >= n_rungs - n_cold:
            for j in range(v.shape[1]):
                visible[row, j] = v[i, j]
            row += 1
    return first, row


@inlined
def _contrastive_divergence(field, v, n_steps, start, first_draw, maps, draws):
    """Draw states by contrastive divergence; the first step uses the fields of the data's means."""
    k0, k1, row, up, down = draws.key0, draws.key1, u32(start), maps.up, maps.down
    h = np.empty_like(field)
    copy_rows(field, h)
    draw = first_draw
    sample_spins(h, up.scale, up.bias, k0, k1, u32(draw), u32(draw >> u64(32)), row)
    draw += u64(1)
    middle = np.empty((field.shape[0], down.first.shape[0]), dtype=f32)
    product(h, down, middle, v)
    sample_spins(v, down.scale, down.bias, k0, k1, u32(draw), u32(draw >> u64(32)), row)
    gibbs(v, _all_free(), n_steps - 1, k0, k1, draw + u64(1), row, up, down)


@internal
def _fields(start, stop, parameters, maps, rows):
    """Compute v W of some rows, without scale and bias, and the overlaps v ξ_vᵀ."""
    v, overlaps = rows.visible[start:stop], rows.overlaps[start:stop]
    product(v, maps.up, overlaps, rows.hidden[start:stop])
    if maps.up.second.size == 0 and rows.hidden_overlaps.size > 0:
        matrix_product(v, parameters.visible_patterns, True, overlaps)


@internal
def _means(start, stop, block, has_biases, parameters, maps, rows):
    """Turn fields into hidden means; compute their overlaps with patterns and the block's sums."""
    t = rows.hidden[start:stop]
    means(t, maps.up.scale, maps.up.bias, False)
    if rows.hidden_overlaps.size > 0:
        matrix_product(t, parameters.hidden_patterns, True, rows.hidden_overlaps[start:stop])
    _sum_rows(rows.visible[start:stop], rows.visible_sums[block])
    if has_biases:
        _sum_rows(t, rows.hidden_sums[block])


@internal
def _sum_rows(x, out):
    for j in range(out.size):
        out[j] = 0.0
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(row.size):
            out[j] += f64(row[j])


@internal
def _means_of_phases(sums, j, n_data_blocks, n_all, n_data, n_model):
    """Return the means of one unit over the data and over the model states."""
    of_data, of_model = 0.0, 0.0
    for block in range(n_data_blocks):
        of_data += sums[block, j]
    for block in range(n_data_blocks, n_all):
        of_model += sums[block, j]
    return of_data / n_data, of_model / n_model


@inlined
def update_averages(n_data, n_model, n_states, averages, settings, rows, offsets, step):
    """Compute the gradient of the biases, and update the offsets, averages of the data's means.

    One worker does it: there are few sums.
    """
    n_data_blocks = n_blocks(n_data, rows.data_block)
    n_all = 2 * n_data_blocks
    if n_states > 0:
        n_all = n_data_blocks + n_blocks(n_states, rows.chain_block)
    averages.counts[0] += n_data
    share = n_data / averages.counts[0]
    for i in range(offsets.mu.size):
        of_data, of_model = _means_of_phases(
            rows.visible_sums, i, n_data_blocks, n_all, n_data, n_model
        )  # fmt: skip
        offset = (1.0 - share) * averages.visible_offset[i] + share * of_data
        averages.visible_offset[i] = offset
        step.visible_bias[i] = f32(of_data - of_model) if settings.has_biases else f32(0.0)
        offsets.mu[i] = f32(offset) if settings.is_centered else f32(0.0)
    rate = max(settings.hidden_offset_rate, 1.0 / (averages.counts[1] + 1.0))
    if not settings.has_biases:
        offsets.lam[:] = step.hidden_bias[:] = f32(0.0)
        return
    for j in range(offsets.lam.size):
        of_data, of_model = _means_of_phases(
            rows.hidden_sums, j, n_data_blocks, n_all, n_data, n_model
        )  # fmt: skip
        mean = f32(of_data)
        old = averages.hidden_offset[j] if averages.counts[2] == 1 else mean
        offset = f32(1.0 - rate) * old + f32(rate) * mean
        averages.hidden_offset[j] = offset
        step.hidden_bias[j] = f32(of_data - of_model)
        offsets.lam[j] = offset if settings.is_centered else f32(0.0)
    averages.counts[2] = 1
