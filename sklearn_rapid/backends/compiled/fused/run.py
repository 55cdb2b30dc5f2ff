"""Run fused updates: the compiled function that every worker calls, and the backend's method."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import threads
from sklearn_rapid.backends.compiled.arguments import writeable
from sklearn_rapid.backends.compiled.compiler import IS_COMPILED, compiled, f32, inlined
from sklearn_rapid.backends.compiled.fused.barrier import abort, new_barrier, wait
from sklearn_rapid.backends.compiled.fused.buffers import (
    Buffers,
    Layout,
    layout_of,
    maps_of,
    new_buffers,
)
from sklearn_rapid.backends.compiled.fused.rows import (
    draw_and_map_rows,
    form_weights,
    n_blocks,
    n_model_rows,
    update_averages,
)
from sklearn_rapid.backends.compiled.fused.steps import (
    apply_momentum,
    apply_momentum_to_vector,
    centre_rows,
    changes_by_biases,
    changes_by_patterns,
    changes_by_rows,
    changes_by_weights,
    gradient_in_patterns,
    gradient_in_weights,
    penalty_of,
    probed_rows,
    projection_at,
    step_in_bias,
    step_in_patterns,
    step_in_weights,
    step_length,
)
from sklearn_rapid.backends.fused import FROM_DATA, FusedUpdates

# Workers that share less work than this, in multiply-adds an update, wait longer than they work.
SMALLEST_SHARED_UPDATE = 3e5


@inlined
def _direction_in_weights(
    part, start, stop, n_data, n_model, velocity, settings, rows, measures, step
):  # fmt: skip
    """Compute a part of the direction in W, its norm and its changes of energies."""
    scale = settings.scale if settings.gradient_by_weights else f32(1.0)
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    g, norms = step.weights[start:stop], measures.norms[part]
    gradient_in_weights(start, stop, n_data, n_model, scale, rows, g)
    if settings.gradient_by_weights:
        return
    norms[0] = norms[1] = 0.0
    if settings.is_scaled or settings.momentum != 0.0:
        apply_momentum(g, velocity.weights[start:stop], settings.momentum, norms)
    if settings.is_scaled:
        changes_by_weights(start, stop, first, last, g, rows, measures.changes[part])


@inlined
def _direction_in_patterns(
    part, start, stop, n_data, n_model, patterns, velocity, settings, rows, offsets, measures,
    step,
):  # fmt: skip
    """Compute a part of the direction in the patterns, its norm and its changes of energies."""
    norms = measures.norms[part]
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    of_visible, of_hidden = step.visible_patterns[start:stop], step.hidden_patterns[start:stop]
    if settings.gradient_by_weights:
        np.dot(patterns.hidden_patterns[start:stop], step.weights.T, of_visible)
        np.dot(patterns.visible_patterns[start:stop], step.weights, of_hidden)
    else:
        gradient_in_patterns(
            start, stop, n_data, n_model, patterns, settings.scale, rows, offsets,
            of_visible, of_hidden,
        )  # fmt: skip
    norms[0] = norms[1] = 0.0
    if settings.is_scaled or settings.momentum != 0.0:
        apply_momentum(of_visible, velocity.visible_patterns[start:stop], settings.momentum, norms)
        apply_momentum(of_hidden, velocity.hidden_patterns[start:stop], settings.momentum, norms)
    if settings.is_scaled:
        changes_by_patterns(
            start, stop, first, last, patterns, settings.scale, rows, offsets,
            of_visible, of_hidden, measures.changes[part],
        )  # fmt: skip


@inlined
def _direction_in_biases(velocity, settings, step, norms):
    """Turn the biases' gradient into their direction, and compute its norm."""
    norms[0] = norms[1] = 0.0
    if settings.has_biases:
        apply_momentum_to_vector(step.visible_bias, velocity.visible_bias, settings.momentum, norms)
        apply_momentum_to_vector(step.hidden_bias, velocity.hidden_bias, settings.momentum, norms)


@compiled
def run_updates(
    worker, n_workers, barrier, data, parameters, patterns, velocity, source, averages, draws,
    settings, maps, formed, step, rows, offsets, measures,
):  # fmt: skip
    """Make the updates as one of the workers; return False if the barrier was aborted.

    Every worker goes through the same stages, with a barrier between them. `patterns` is None or
    the parameters again: the function is compiled separately for both kinds of couplings.
    """
    batch_size, size, pattern_size = settings.batch_size, measures.part, measures.pattern_part
    n_visible, n_patterns = offsets.mu.size, parameters.visible_patterns.shape[0]
    n_parts, n_pattern_parts = n_blocks(n_visible, size), n_blocks(n_patterns, pattern_size)
    n_updates, all_here = n_blocks(data.shape[0], batch_size), True
    for update in range(n_updates):
        # Checked here alone: each exit of a function with many arrays is long code.
        if not all_here:
            break
        batch = data[update * batch_size : (update + 1) * batch_size]
        n_data, n_model = batch.shape[0], n_model_rows(batch.shape[0], source)
        n, is_last = n_data + n_model, update == n_updates - 1
        first, last = probed_rows(n_data, n_model, settings.n_probed)

        if formed.size > 0:
            form_weights(
                worker, n_workers, size, parameters.visible_patterns, parameters.hidden_patterns,
                settings.scale, formed,
            )  # fmt: skip
            all_here &= wait(barrier, n_workers)
        draw_and_map_rows(
            worker, n_workers, update, batch, settings.has_biases, parameters, maps, source, draws,
            rows,
        )  # fmt: skip
        all_here &= wait(barrier, n_workers)

        if worker == 0:
            n_states = 0 if source.kind == FROM_DATA else source.states.shape[0]
            update_averages(n_data, n_model, n_states, averages, settings, rows, offsets, step)
            _direction_in_biases(velocity, settings, step, measures.norms[-1])
        all_here &= wait(barrier, n_workers)
        if settings.is_centered:
            centre_rows(worker, n_workers, n, rows.visible, offsets.mu)
            centre_rows(worker, n_workers, n, rows.hidden, offsets.lam)
            all_here &= wait(barrier, n_workers)

        if settings.changes_by_rows:
            changes_by_rows(worker, n_workers, n_data, n_model, rows, measures.changes[0])
        elif step.weights.size > 0:
            for part in range(worker, n_parts, n_workers):
                start, stop = part * size, min((part + 1) * size, n_visible)
                _direction_in_weights(
                    part, start, stop, n_data, n_model, velocity, settings, rows, measures, step
                )  # fmt: skip
        if patterns is not None:
            if settings.gradient_by_weights:
                all_here &= wait(barrier, n_workers)
            for part in range(worker, n_pattern_parts, n_workers):
                start, stop = part * pattern_size, min((part + 1) * pattern_size, n_patterns)
                _direction_in_patterns(
                    part, start, stop, n_data, n_model, patterns, velocity, settings, rows, offsets,
                    measures, step,
                )  # fmt: skip
        if settings.is_scaled:
            changes_by_biases(worker, n_workers, first, last, rows, step, measures.changes[-1])
        all_here &= wait(barrier, n_workers)

        if worker == 0:
            measures.length[0] = step_length(
                n_data, n_model, averages, settings, measures.norms, measures.changes
            )  # fmt: skip
            averages.counts[1] += 1
        all_here &= wait(barrier, n_workers)

        length = f32(measures.length[0])
        threshold, divisor = penalty_of(measures.length[0], averages.counts, settings)
        if patterns is not None:
            projection = projection_at(averages.counts[1], is_last, settings)
            step_in_patterns(
                worker, n_workers, patterns, step, length, threshold, divisor, projection,
                settings, offsets, measures,
            )  # fmt: skip
        if patterns is None:
            for part in range(worker, n_parts, n_workers):
                start, stop = part * size, min((part + 1) * size, n_visible)
                if settings.changes_by_rows:
                    g = step.weights[start:stop]
                    gradient_in_weights(start, stop, n_data, n_model, f32(1.0), rows, g)
                step_in_weights(
                    part, start, stop, parameters.weights, step.weights, length, threshold, divisor,
                    offsets, measures,
                )  # fmt: skip
        all_here &= wait(barrier, n_workers)
        if worker == 0 and settings.has_biases:
            step_in_bias(
                parameters.visible_bias, step.visible_bias, length, measures.visible_moves
            )  # fmt: skip
            step_in_bias(parameters.hidden_bias, step.hidden_bias, length, measures.hidden_moves)
        all_here &= wait(barrier, n_workers)
    return all_here


class FusedUpdatesMixin:
    """Fused updates for a backend that is a `threads.SharedRows`."""

    def fuses_updates(self, dtype: Any) -> bool:
        """Whether `run_fused_updates` takes machines of this dtype."""
        return IS_COMPILED and dtype == f32

    def run_fused_updates(self, updates: FusedUpdates) -> None:
        """Make the updates, in place of the arrays that they change."""
        barrier, buffers = new_barrier(), self._buffers(layout_of(updates))
        maps, parameters = maps_of(updates, buffers), updates.parameters
        data = writeable(updates.data)
        patterns = parameters if parameters.visible_patterns.size else None

        def take_part(worker: int, n_workers: int) -> None:
            run_updates(
                worker, n_workers, barrier, data, parameters, patterns, updates.velocity,
                updates.source, updates.averages, updates.draws, updates.settings, maps,
                *buffers,
            )  # fmt: skip

        self.run_together(take_part, _n_workers(updates, buffers), lambda: abort(barrier))

    def _buffers(self, layout: Layout) -> Buffers:
        """Return the buffers of the last call if they fit, else new ones."""
        kept = self._scratch.__dict__.get("fused updates")
        if kept is None or kept[0] != layout:
            kept = layout, new_buffers(layout)
            self._scratch.__dict__["fused updates"] = kept
        return kept[1]


def _n_workers(updates: FusedUpdates, buffers: Buffers) -> int:
    """Return how many threads are worth waking and waiting for."""
    n_updates = -(-updates.data.shape[0] // updates.settings.batch_size)
    is_small = (
        updates.n_products < SMALLEST_SHARED_UPDATE
        or updates.n_products * n_updates < threads.SMALLEST_SHARED_WORK
    )
    if is_small:
        return 1
    return max(len(buffers.rows.visible_sums), len(buffers.measures.visible_moves))
