"""A stretch of updates in one compiled call a party, and the backend's method that makes it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends import _threads
from sklearn_rapid.backends._arguments import ALL_FREE, NO_MATRIX
from sklearn_rapid.backends._compile import compiler, inlined
from sklearn_rapid.backends._kernels import f32
from sklearn_rapid.backends._parties import give_up, new_gate, wait
from sklearn_rapid.backends._pipelines import LONG_ROW, ROWS_BEAT_BLAS
from sklearn_rapid.backends._stretch_rows import (
    Maps,
    Offsets,
    Rows,
    averages_of_rows,
    form_weights,
    n_blocks,
    n_model_rows,
    rows_of_both_phases,
)
from sklearn_rapid.backends._stretch_steps import (
    Measures,
    changes_by_biases,
    changes_by_patterns,
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
    turn,
)
from sklearn_rapid.backends._threads import row_blocks
from sklearn_rapid.backends.stretch import FROM_DATA, Parameters, Stretch

compiled = compiler(no_cfunc_wrapper=True)
internal = compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True)

# Parties that share less work than this, in multiply-adds an update, wait longer than they work.
SMALLEST_SHARED_UPDATE = 3e5
# Parts of a matrix that parties share have so many rows.
SMALLEST_PART, LARGEST_PART = 8, 128


class Sides(NamedTuple):
    """Rows, offsets and measures as what works on W takes them (`_stretch_steps`)."""

    rows: Rows
    offsets: Offsets
    measures: Measures


@inlined
def _directions_in_weights(
    party, n_parties, n_data, n_model, velocity, settings, rows, offsets, step, measures
):  # fmt: skip
    """Parts of the direction in W, with their norms and what they do to energies."""
    size, n_visible = measures.visible_part, offsets.mu.size
    scale = settings.scale if settings.gradient_by_weights else f32(1.0)
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    gradient_in_weights(
        party, n_parties, n_data, n_model, scale, size, rows, offsets, step.weights
    )  # fmt: skip
    if settings.gradient_by_weights:
        return
    for part in range(party, n_blocks(n_visible, size), n_parties):
        start, stop = part * size, min((part + 1) * size, n_visible)
        g, norms = step.weights[start:stop], measures.norms[part]
        norms[0] = norms[1] = 0.0
        follow(g, velocity.weights[start:stop], settings.momentum, norms)
        if settings.is_scaled:
            changes_by_weights(
                start, stop, first, last, g, rows, offsets, measures.changes[part]
            )  # fmt: skip


@inlined
def _directions_in_patterns(
    party, n_parties, n_data, n_model, patterns, velocity, settings, rows, offsets, step, measures
):  # fmt: skip
    """Parts of the direction in the patterns, with their norms and what they do to energies."""
    size, n_patterns = measures.pattern_part, patterns.visible_patterns.shape[0]
    first, last = probed_rows(n_data, n_model, settings.n_probed)
    for part in range(party, n_blocks(n_patterns, size), n_parties):
        start, stop = part * size, min((part + 1) * size, n_patterns)
        of_visible, of_hidden = step.visible_patterns[start:stop], step.hidden_patterns[start:stop]
        if settings.gradient_by_weights:
            np.dot(patterns.hidden_patterns[start:stop], step.weights.T, of_visible)
            np.dot(patterns.visible_patterns[start:stop], step.weights, of_hidden)
        else:
            gradient_in_patterns(
                start, stop, n_data, n_model, patterns, settings.scale, rows, offsets,
                of_visible, of_hidden,
            )  # fmt: skip
        norms = measures.norms[part]
        norms[0] = norms[1] = 0.0
        follow(of_visible, velocity.visible_patterns[start:stop], settings.momentum, norms)
        follow(of_hidden, velocity.hidden_patterns[start:stop], settings.momentum, norms)
        if settings.is_scaled:
            changes_by_patterns(
                start, stop, first, last, patterns, settings.scale, rows, offsets,
                of_visible, of_hidden, measures.changes[part],
            )  # fmt: skip


@compiled
def run(
    party, n_parties, gate, data, parameters, velocity, source, averages, draws, settings, maps,
    formed, turned, rows, offsets, step, measures, sides, no_clamps,
):  # fmt: skip
    """The updates, as one of the parties; whether all were made.

    Every party sees the same stages, between which all wait for one another.
    """
    has_patterns, size = parameters.visible_patterns.size > 0, settings.batch_size
    n_updates = n_blocks(data.shape[0], size)
    weights = parameters.weights
    if turned.size > 0:
        turn(party, n_parties, weights, turned, measures.visible_part)
        weights = turned
        if not wait(gate, n_parties):
            return False
    for update in range(n_updates):
        batch = data[update * size : (update + 1) * size]
        n_data, n_model = batch.shape[0], n_model_rows(batch.shape[0], source)
        if formed.size > 0:
            form_weights(
                party, n_parties, measures.visible_part, parameters.visible_patterns,
                parameters.hidden_patterns, settings.scale, formed,
            )  # fmt: skip
            if not wait(gate, n_parties):
                return False
        rows_of_both_phases(
            party, n_parties, update, batch, parameters, maps, source, draws, rows, no_clamps
        )  # fmt: skip
        if not wait(gate, n_parties):
            return False
        if party == 0:
            n_states = 0 if source.kind == FROM_DATA else source.states.shape[0]
            averages_of_rows(n_data, n_model, n_states, averages, settings, rows, offsets)
            of_biases = measures.norms[-1]
            of_biases[0] = of_biases[1] = 0.0
            for i in range(offsets.gap.size):
                step.visible_bias[i] = offsets.gap[i]
            for j in range(offsets.hidden_gap.size):
                step.hidden_bias[j] = offsets.hidden_gap[j]
            if settings.has_biases:
                follow_vector(
                    step.visible_bias, velocity.visible_bias, settings.momentum, of_biases
                )  # fmt: skip
                follow_vector(step.hidden_bias, velocity.hidden_bias, settings.momentum, of_biases)
        if not wait(gate, n_parties):
            return False
        if step.weights.size > 0:
            _directions_in_weights(
                party, n_parties, n_data, n_model, velocity, settings, sides.rows, sides.offsets,
                step, sides.measures,
            )  # fmt: skip
        if settings.gradient_by_weights and not wait(gate, n_parties):
            return False
        if has_patterns:
            _directions_in_patterns(
                party, n_parties, n_data, n_model, parameters, velocity, settings, rows, offsets,
                step, measures,
            )  # fmt: skip
        if settings.is_scaled:
            first, last = probed_rows(n_data, n_model, settings.n_probed)
            changes_by_biases(
                party, n_parties, first, last, rows, offsets, step, measures.changes[-1]
            )  # fmt: skip
        if not wait(gate, n_parties):
            return False
        if party == 0:
            measures.length[0] = length_of_step(
                n_data, n_model, offsets.mu.size, settings, measures.norms, measures.changes
            )  # fmt: skip
            averages.counts[1] += 1
        if not wait(gate, n_parties):
            return False
        length = f32(measures.length[0])
        threshold, divisor = penalty_of(measures.length[0], averages.counts, settings)
        if has_patterns:
            projection = projection_at(averages.counts[1], update == n_updates - 1, settings)
            step_in_patterns(
                party, n_parties, parameters, step, length, threshold, divisor, projection,
                settings, offsets, measures,
            )  # fmt: skip
        else:
            step_in_weights(
                party, n_parties, weights, step.weights, length, threshold, divisor,
                sides.offsets, sides.measures,
            )  # fmt: skip
        if not wait(gate, n_parties):
            return False
        if party == 0 and settings.has_biases:
            step_in_bias(
                parameters.visible_bias, step.visible_bias, length, measures.visible_moves
            )  # fmt: skip
            step_in_bias(parameters.hidden_bias, step.hidden_bias, length, measures.hidden_moves)
        if not wait(gate, n_parties):
            return False
    if turned.size > 0:
        turn(party, n_parties, turned, parameters.weights, sides.measures.visible_part)
    return True


class Stretches:
    """A backend that makes stretches of updates in one call a thread.

    It is one with `_threads.SharedRows`.
    """

    def makes_stretches(self, dtype: Any) -> bool:
        """Whether `run_stretch` takes machines of this dtype."""
        return dtype == f32

    def run_stretch(self, stretch: Stretch) -> None:
        """Make the updates, in place of all that they change."""
        gate = new_gate()
        buffers = self._buffers(stretch)
        rows, measures = buffers[3], buffers[6]

        def take_part(party: int, n_parties: int) -> None:
            run(
                party, n_parties, gate, stretch.data, stretch.parameters, stretch.velocity,
                stretch.source, stretch.averages, stretch.draws, stretch.settings, *buffers,
                ALL_FREE,
            )  # fmt: skip

        self.in_parties(take_part, self._n_parties(stretch, rows, measures), lambda: give_up(gate))

    def _n_parties(self, stretch: Stretch, rows: Rows, measures: Measures) -> int:
        """How many threads are worth waking, and worth waiting for."""
        n_updates = -(-stretch.data.shape[0] // stretch.settings.batch_size)
        is_small = (
            stretch.n_products < SMALLEST_SHARED_UPDATE
            or stretch.n_products * n_updates < _threads.SMALLEST_SHARED_WORK
        )
        if is_small:
            return 1
        return max(len(rows.visible_sums), len(measures.visible_moves))

    def _buffers(self, stretch: Stretch) -> tuple[Any, ...]:
        """What parties share, in the memory of the last stretch."""
        settings, source, parameters = stretch.settings, stretch.source, stretch.parameters
        n_visible, n_hidden = parameters.visible_bias.size, parameters.hidden_bias.size
        n_patterns = parameters.visible_patterns.shape[0]
        by_overlaps = n_patterns > 0 and not settings.gradient_by_weights

        def space(name: str, n_rows: int, width: int, dtype: Any = f32) -> np.ndarray:
            return self.scratch(f"stretch {name}", (n_rows, width), dtype)

        def vector(name: str, width: int, dtype: Any = f32) -> np.ndarray:
            return space(name, 1, width, dtype)[0]

        n_data = min(settings.batch_size, stretch.data.shape[0])
        n = n_data + int(n_model_rows(n_data, source))
        data_block = chain_block = row_blocks(n_data)[0].stop
        n_sums = -(-n_data // data_block)
        if source.kind == FROM_DATA:
            n_sums *= 2
        else:
            n_states = len(source.states)
            chain_block = row_blocks(n_states, max(source.betas.size, 1))[0].stop
            n_sums += -(-n_states // chain_block)
        rows = Rows(
            space("visible", n, n_visible),
            space("hidden", n, n_hidden),
            space("overlaps", n, n_patterns),
            space("hidden overlaps", n, n_patterns if by_overlaps else 0),
            space("visible sums", n_sums, n_visible, np.float64),
            space("hidden sums", n_sums, n_hidden, np.float64),
            data_block,
            chain_block,
        )
        offsets = Offsets(
            vector("mu", n_visible),
            vector("lam", n_hidden),
            vector("gap", n_visible),
            vector("hidden gap", n_hidden),
        )
        # Maps to the hidden layer are in the majority: they go by long rows of Wᵀ where that pays.
        is_turned = ROWS_BEAT_BLAS and n_patterns == 0 and n_visible >= LONG_ROW
        is_turned = is_turned and settings.momentum == 0.0
        turned = space("turned weights", n_hidden, n_visible) if is_turned else NO_MATRIX
        shape = (n_hidden, n_visible) if is_turned else (n_visible, n_hidden)
        step = Parameters(
            NO_MATRIX if by_overlaps else space("step", *shape),
            space("visible step", n_patterns, n_visible),
            space("hidden step", n_patterns, n_hidden),
            vector("visible bias step", n_visible),
            vector("hidden bias step", n_hidden),
        )
        part, pattern_part = _part_size(shape[0]), _part_size(n_patterns)
        n_parts = -(-n_patterns // pattern_part) if n_patterns else -(-shape[0] // part)
        measures = Measures(
            space("norms", n_parts + 1, 2, np.float64),
            space("changes", n_parts + 1, 2 * settings.n_probed, np.float64),
            space("visible moves", n_parts, n_visible, np.float64),
            space("hidden moves", n_parts, n_hidden, np.float64),
            vector("length", 1, np.float64),
            part,
            pattern_part,
        )
        sides = Sides(rows, offsets, measures)
        if is_turned:
            sides = _exchanged(sides)
        is_formed = n_patterns > 0 and settings.maps_by_weights
        formed = space("weights", n_visible, n_hidden) if is_formed else NO_MATRIX
        maps = _maps(parameters, settings, formed, turned)
        return maps, formed, turned, rows, offsets, step, measures, sides


def _exchanged(sides: Sides) -> Sides:
    """The same with the layers in exchanged places, for what works on Wᵀ."""
    rows, offsets, measures = sides
    return Sides(
        rows._replace(visible=rows.hidden, hidden=rows.visible),
        Offsets(offsets.lam, offsets.mu, offsets.hidden_gap, offsets.gap),
        measures._replace(visible_moves=measures.hidden_moves, hidden_moves=measures.visible_moves),
    )


def _maps(parameters: Parameters, settings: Any, formed: np.ndarray, turned: np.ndarray) -> Maps:
    """The maps by W, by what is formed of the patterns, or by the patterns themselves."""
    if settings.maps_by_weights:
        weights = formed if formed.size else parameters.weights
        up, down = (weights, False), (weights, True)
        if turned.size:
            up, down = (turned, True), (turned, False)
        return Maps(*up, NO_MATRIX, False, *down, NO_MATRIX, False, f32(1.0))
    visible, hidden = parameters.visible_patterns, parameters.hidden_patterns
    return Maps(visible, True, hidden, False, hidden, True, visible, False, settings.scale)


def _part_size(n: int) -> int:
    """Rows of a part: as many for each of two threads as can be, but for a few."""
    n_parts = max(1, -(-n // LARGEST_PART))
    if n >= 2 * SMALLEST_PART:
        n_parts += n_parts % 2
    return max(1, -(-n // n_parts))
