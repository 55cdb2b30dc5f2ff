"""The memory of fused updates: arrays that workers share, and their sizes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends.compiled.arguments import NO_MATRIX, CompiledMap
from sklearn_rapid.backends.compiled.compiler import f32, f64
from sklearn_rapid.backends.compiled.fused.rows import Maps, Offsets, Rows, n_model_rows
from sklearn_rapid.backends.compiled.fused.steps import Measures
from sklearn_rapid.backends.compiled.pipelines import TILE
from sklearn_rapid.backends.fused import FROM_DATA, FusedUpdates, Parameters
from sklearn_rapid.backends.threads import row_blocks

# Rows in a part of a matrix whose parts are shared out among workers.
SMALLEST_PART, LARGEST_PART = 8, 128


class Layout(NamedTuple):
    """The numbers that determine the sizes of the buffers.

    Attributes
    ----------
    n_visible, n_hidden, n_patterns : int
    n_data, n_model : int
        Rows of the data and states of the model in an update.
    n_states, n_rungs : int
        Rows of the chains, none if they start from the data, and rows in a ladder.
    n_probed : int
    is_formed : bool
        Whether W is formed from the patterns.
    has_matrix_step : bool
        Whether there is a gradient in W.
    has_hidden_overlaps : bool
        Whether the gradient is computed from overlaps.
    """

    n_visible: int
    n_hidden: int
    n_patterns: int
    n_data: int
    n_model: int
    n_states: int
    n_rungs: int
    n_probed: int
    is_formed: bool
    has_matrix_step: bool
    has_hidden_overlaps: bool


class Buffers(NamedTuple):
    """Arrays that workers share.

    Attributes
    ----------
    formed : array of shape (V, H) or empty
        W, where it is formed from the patterns.
    step : Parameters
        The gradient, then the direction of the step.
    rows : Rows
    offsets : Offsets
    measures : Measures
    """

    formed: Any
    step: Parameters
    rows: Rows
    offsets: Offsets
    measures: Measures


def layout_of(updates: FusedUpdates) -> Layout:
    """Return the layout that these updates need."""
    settings, source, parameters = updates.settings, updates.source, updates.parameters
    n_patterns, n_data = len(parameters.visible_patterns), settings.batch_size
    is_from_data = source.kind == FROM_DATA
    return Layout(
        n_visible=parameters.visible_bias.size,
        n_hidden=parameters.hidden_bias.size,
        n_patterns=n_patterns,
        n_data=n_data,
        n_model=int(n_model_rows(n_data, source)),
        n_states=0 if is_from_data else len(source.states),
        n_rungs=max(source.betas.size, 1),
        n_probed=settings.n_probed,
        is_formed=n_patterns > 0 and settings.maps_by_weights,
        has_matrix_step=n_patterns == 0 or settings.gradient_by_weights,
        has_hidden_overlaps=n_patterns > 0 and not settings.gradient_by_weights,
    )


def new_buffers(layout: Layout) -> Buffers:
    """Allocate buffers, without values."""
    n_visible, n_hidden, n_patterns = layout[:3]
    shape = (n_visible, n_hidden)
    step = Parameters(
        np.empty(shape, f32) if layout.has_matrix_step else NO_MATRIX,
        np.empty((n_patterns, n_visible), f32),
        np.empty((n_patterns, n_hidden), f32),
        np.empty(n_visible, f32),
        np.empty(n_hidden, f32),
    )
    offsets = Offsets(np.empty(n_visible, f32), np.empty(n_hidden, f32))
    formed = np.empty(shape, f32) if layout.is_formed else NO_MATRIX
    return Buffers(formed, step, _rows(layout), offsets, _measures(layout))


def _rows(layout: Layout) -> Rows:
    n_visible, n_hidden, n_patterns = layout[:3]
    n = layout.n_data + layout.n_model
    data_block = chain_block = _block_size(layout.n_data)
    n_data_blocks = n_chain_blocks = -(-layout.n_data // data_block)
    if layout.n_states:
        chain_block = _block_size(layout.n_states, layout.n_rungs)
        n_chain_blocks = -(-layout.n_states // chain_block)
    n_sums = n_data_blocks + n_chain_blocks
    return Rows(
        np.empty((n, n_visible), f32),
        np.empty((n, n_hidden), f32),
        np.empty((n, n_patterns), f32),
        np.empty((n, n_patterns if layout.has_hidden_overlaps else 0), f32),
        np.empty((n_sums, n_visible), f64),
        np.empty((n_sums, n_hidden), f64),
        data_block,
        chain_block,
    )


def _block_size(n_rows: int, group: int = 1) -> int:
    """Return the rows in a block: few rows are shared too, since no thread has to be woken."""
    size = row_blocks(n_rows, group)[0].stop
    half = -(-n_rows // (2 * TILE)) * TILE  # products of few rows go by whole tiles
    half = -(-half // group) * group
    return half if size == n_rows >= half + TILE else size


def _measures(layout: Layout) -> Measures:
    part, pattern_part = _part_size(layout.n_visible), _part_size(layout.n_patterns)
    n_parts = -(-layout.n_visible // part)
    if layout.n_patterns:
        n_parts = -(-layout.n_patterns // pattern_part)
    return Measures(
        np.empty((n_parts + 1, 2), f64),
        np.empty((n_parts + 1, 2 * layout.n_probed), f64),
        np.empty((n_parts, layout.n_visible), f64),
        np.empty((n_parts, layout.n_hidden), f64),
        np.empty(1, f64),
        part,
        pattern_part,
    )


def _part_size(n: int) -> int:
    """Return the rows in a part, such that two threads have nearly equal work."""
    n_parts = max(1, -(-n // LARGEST_PART))
    if n >= 2 * SMALLEST_PART:
        n_parts += n_parts % 2
    return max(1, -(-n // n_parts))


def maps_of(updates: FusedUpdates, buffers: Buffers) -> Maps:
    """Return maps by W, given or formed from the patterns, or by the patterns themselves."""
    parameters = updates.parameters
    if updates.settings.maps_by_weights:
        weights = buffers.formed if buffers.formed.size else parameters.weights
        one = f32(1.0)
        up = CompiledMap(weights, False, NO_MATRIX, False, one, parameters.hidden_bias)
        down = CompiledMap(weights, True, NO_MATRIX, False, one, parameters.visible_bias)
        return Maps(up, down)
    visible, hidden = parameters.visible_patterns, parameters.hidden_patterns
    scale = updates.settings.scale
    up = CompiledMap(visible, True, hidden, False, scale, parameters.hidden_bias)
    down = CompiledMap(hidden, True, visible, False, scale, parameters.visible_bias)
    return Maps(up, down)
