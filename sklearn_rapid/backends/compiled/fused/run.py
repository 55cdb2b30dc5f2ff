"""A stretch of updates in one compiled call a party, and the backend's method that makes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import threads
from sklearn_rapid.backends.compiled.arguments import writeable
from sklearn_rapid.backends.compiled.compiler import IS_COMPILED, compiled, f32, inlined
from sklearn_rapid.backends.compiled.fused.buffers import (
    Buffers,
    Layout,
    layout_of,
    maps_of,
    new_buffers,
)
from sklearn_rapid.backends.compiled.fused.parties import give_up, new_gate, wait
from sklearn_rapid.backends.compiled.fused.rows import (
    averages_of_rows,
    form_weights,
    n_blocks,
    n_model_rows,
    rows_of_both_phases,
)
from sklearn_rapid.backends.compiled.fused.steps import (
    centre_rows,
    changes_by_biases,
    changes_by_patterns,
    changes_by_rows,
    changes_by_weights,
    follow,
    follow_vector,
    gradient_in_patterns,
    gradient_in_weights,
    length_of_step,
    penalty_of,
    probed_rows,
    projection_at,
    step_in_bias,
    step_in_patterns,
    step_in_weights,
)
from sklearn_rapid.backends.fused import FROM_DATA, Stretch

# Parties that share less work than this, in multiply-adds an update, wait longer than they work.
SMALLEST_SHARED_UPDATE = 3e5


@inlined
def _direction_in_weights(
    part, start, stop, n_data, n_model, velocity, settings, rows, measures, step
):  # fmt: skip
    """A part of the direction in W, with its norm and what it does to energies."""
    scale = settings.scale if settings.gradient_by_weights else f32(1.0)
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    g, norms = step.weights[start:stop], measures.norms[part]
    gradient_in_weights(start, stop, n_data, n_model, scale, rows, g)
    if settings.gradient_by_weights:
        return
    norms[0] = norms[1] = 0.0
    if settings.is_scaled or settings.momentum != 0.0:
        follow(g, velocity.weights[start:stop], settings.momentum, norms)
    if settings.is_scaled:
        changes_by_weights(start, stop, first, last, g, rows, measures.changes[part])


@inlined
def _direction_in_patterns(
    part, start, stop, n_data, n_model, patterns, velocity, settings, rows, offsets, measures,
    step,
):  # fmt: skip
    """A part of the direction in the patterns, with its norm and what it does to energies."""
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
        follow(of_visible, velocity.visible_patterns[start:stop], settings.momentum, norms)
        follow(of_hidden, velocity.hidden_patterns[start:stop], settings.momentum, norms)
    if settings.is_scaled:
        changes_by_patterns(
            start, stop, first, last, patterns, settings.scale, rows, offsets,
            of_visible, of_hidden, measures.changes[part],
        )  # fmt: skip


@inlined
def _direction_in_biases(velocity, settings, step, norms):
    """From the biases' gradient to their direction, with its norm."""
    norms[0] = norms[1] = 0.0
    if settings.has_biases:
        follow_vector(step.visible_bias, velocity.visible_bias, settings.momentum, norms)
        follow_vector(step.hidden_bias, velocity.hidden_bias, settings.momentum, norms)


@compiled
def run(
    party, n_parties, gate, data, parameters, patterns, velocity, source, averages, draws,
    settings, maps, formed, step, rows, offsets, measures,
):  # fmt: skip
    """The updates, as one of the parties; whether all were made.

    Every party sees the same stages, between which all wait for one another. `patterns` are None
    or the parameters once more: the function is compiled for either kind of couplings by itself.
    """
    batch_size, size, pattern_size = settings.batch_size, measures.part, measures.pattern_part
    n_visible, n_patterns = offsets.mu.size, parameters.visible_patterns.shape[0]
    n_parts, n_pattern_parts = n_blocks(n_visible, size), n_blocks(n_patterns, pattern_size)
    n_updates, all_here = n_blocks(data.shape[0], batch_size), True
    for update in range(n_updates):
        # Looked at here alone: each way out of a function that has so many arrays is long.
        if not all_here:
            break
        batch = data[update * batch_size : (update + 1) * batch_size]
        n_data, n_model = batch.shape[0], n_model_rows(batch.shape[0], source)
        n, is_last = n_data + n_model, update == n_updates - 1
        first, last = probed_rows(n_data, n_model, settings.n_probed)

        if formed.size > 0:
            form_weights(
                party, n_parties, size, parameters.visible_patterns, parameters.hidden_patterns,
                settings.scale, formed,
            )  # fmt: skip
            all_here &= wait(gate, n_parties)
        rows_of_both_phases(
            party, n_parties, update, batch, settings.has_biases, parameters, maps, source, draws,
            rows,
        )  # fmt: skip
        all_here &= wait(gate, n_parties)

        if party == 0:
            n_states = 0 if source.kind == FROM_DATA else source.states.shape[0]
            averages_of_rows(n_data, n_model, n_states, averages, settings, rows, offsets, step)
            _direction_in_biases(velocity, settings, step, measures.norms[-1])
        all_here &= wait(gate, n_parties)
        if settings.is_centered:
            centre_rows(party, n_parties, n, rows.visible, offsets.mu)
            centre_rows(party, n_parties, n, rows.hidden, offsets.lam)
            all_here &= wait(gate, n_parties)

        if settings.changes_by_rows:
            changes_by_rows(party, n_parties, n_data, n_model, rows, measures.changes[0])
        elif step.weights.size > 0:
            for part in range(party, n_parts, n_parties):
                start, stop = part * size, min((part + 1) * size, n_visible)
                _direction_in_weights(
                    part, start, stop, n_data, n_model, velocity, settings, rows, measures, step
                )  # fmt: skip
        if patterns is not None:
            if settings.gradient_by_weights:
                all_here &= wait(gate, n_parties)
            for part in range(party, n_pattern_parts, n_parties):
                start, stop = part * pattern_size, min((part + 1) * pattern_size, n_patterns)
                _direction_in_patterns(
                    part, start, stop, n_data, n_model, patterns, velocity, settings, rows, offsets,
                    measures, step,
                )  # fmt: skip
        if settings.is_scaled:
            changes_by_biases(party, n_parties, first, last, rows, step, measures.changes[-1])
        all_here &= wait(gate, n_parties)

        if party == 0:
            measures.length[0] = length_of_step(
                n_data, n_model, averages, settings, measures.norms, measures.changes
            )  # fmt: skip
            averages.counts[1] += 1
        all_here &= wait(gate, n_parties)

        length = f32(measures.length[0])
        threshold, divisor = penalty_of(measures.length[0], averages.counts, settings)
        if patterns is not None:
            projection = projection_at(averages.counts[1], is_last, settings)
            step_in_patterns(
                party, n_parties, patterns, step, length, threshold, divisor, projection,
                settings, offsets, measures,
            )  # fmt: skip
        if patterns is None:
            for part in range(party, n_parts, n_parties):
                start, stop = part * size, min((part + 1) * size, n_visible)
                if settings.changes_by_rows:
                    g = step.weights[start:stop]
                    gradient_in_weights(start, stop, n_data, n_model, f32(1.0), rows, g)
                step_in_weights(
                    part, start, stop, parameters.weights, step.weights, length, threshold, divisor,
                    offsets, measures,
                )  # fmt: skip
        all_here &= wait(gate, n_parties)
        if party == 0 and settings.has_biases:
            step_in_bias(
                parameters.visible_bias, step.visible_bias, length, measures.visible_moves
            )  # fmt: skip
            step_in_bias(parameters.hidden_bias, step.hidden_bias, length, measures.hidden_moves)
        all_here &= wait(gate, n_parties)
    return all_here


class Stretches:
    """A backend that makes stretches of updates in one call a thread.

    It is one with `threads.SharedRows`.
    """

    def makes_stretches(self, dtype: Any) -> bool:
        """Whether `run_stretch` takes machines of this dtype."""
        return IS_COMPILED and dtype == f32

    def run_stretch(self, stretch: Stretch) -> None:
        """Make the updates, in place of all that they change."""
        gate, buffers = new_gate(), self._buffers(layout_of(stretch))
        maps, parameters = maps_of(stretch, buffers), stretch.parameters
        data = writeable(stretch.data)
        patterns = parameters if parameters.visible_patterns.size else None

        def take_part(party: int, n_parties: int) -> None:
            run(
                party, n_parties, gate, data, parameters, patterns, stretch.velocity,
                stretch.source, stretch.averages, stretch.draws, stretch.settings, maps,
                *buffers,
            )  # fmt: skip

        self.in_parties(take_part, _n_parties(stretch, buffers), lambda: give_up(gate))

    def _buffers(self, layout: Layout) -> Buffers:
        """Those of the last stretch, if they do."""
        kept = self._scratch.__dict__.get("stretch")
        if kept is None or kept[0] != layout:
            kept = layout, new_buffers(layout)
            self._scratch.__dict__["stretch"] = kept
        return kept[1]


def _n_parties(stretch: Stretch, buffers: Buffers) -> int:
    """How many threads are worth waking, and worth waiting for."""
    n_updates = -(-stretch.data.shape[0] // stretch.settings.batch_size)
    is_small = (
        stretch.n_products < SMALLEST_SHARED_UPDATE
        or stretch.n_products * n_updates < threads.SMALLEST_SHARED_WORK
    )
    if is_small:
        return 1
    return max(len(buffers.rows.visible_sums), len(buffers.measures.visible_moves))
