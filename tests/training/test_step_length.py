"""How far a step goes where units hardly vary: their variances, and rows that are unusual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tools.brute_force import all_spins
from tools.machines import make_machine
from tools.summed import Spikes, states_of

from sklearn_rapid.backends import SPINS, Categories, Gaussians, Mixed, Spiked
from sklearn_rapid.training.steps.step_length import (
    LARGEST_CHANGE,
    UNUSUAL_ROWS,
    energy_changes,
    limit_scale,
    most_unusual_rows,
    n_varied_units,
    variances,
)

LAYERS = {
    "spins": (SPINS, "spins", 4),
    "gaussians": (Gaussians(), "gaussians", 2),
    "categories": (Categories((3, 1, 4)), (3, 1, 4), 8),
    "spikes": (Spiked((3, 2)), Spikes((3, 2)), 7),
    "mixed": (
        Mixed((Gaussians(), Categories((3, 2)), SPINS), (1, 5, 1)),
        [("gaussians", 1), ((3, 2), 5), ("spins", 1)],
        7,
    ),
}


@pytest.fixture(params=LAYERS.values(), ids=LAYERS)
def layer(request):
    return request.param


def moments(kind, n, field):
    """Means and variances of a layer's units in a field, by a sum over its states."""
    states, log_weights = states_of(kind, n)
    p = np.exp(log_weights + states @ field)
    p /= p.sum()
    mean = p @ states
    return mean, p @ (states - mean) ** 2


# --- variances ------------------------------------------------------------------------------


def test_variances_by_means_are_those_of_the_states(backend, layer):
    """As shares of those in no field; a group of one unit has none."""
    units, kind, n = layer
    _, in_no_field = moments(kind, n, np.zeros(n))
    for seed in range(5):
        field = 1.5 * np.random.default_rng(seed).uniform(-1.0, 1.0, n)
        mean, expected = moments(kind, n, field)
        got = backend.to_numpy(units.variances(backend.asarray(mean), backend))
        share = expected / np.where(in_no_field > 1e-12, in_no_field, 1.0)
        np.testing.assert_allclose(got, share, atol=1e-10)


def test_variances_have_one_row_more_in_no_field(backend, layer):
    """So that what has not been seen varies all the same."""
    units, kind, n = layer
    added, in_no_field = moments(kind, n, np.zeros(n))
    states, _ = states_of(kind, n)
    for n_rows in (0, 1, 99):
        got = backend.to_numpy(variances(units, backend.asarray(states[0]), n_rows, backend))
        mean = backend.asarray((n_rows * states[0] + added) / (n_rows + 1))
        expected = backend.to_numpy(units.variances(mean, backend))
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
        assert np.all((got > 0.5 / (n_rows + 1)) | (in_no_field < 1e-12))


def test_units_that_vary_by_a_quarter_count_as_whole_ones(backend):
    for of_units, expected in (
        ([1.0, 1.0, 1.0], 3.0),
        ([0.25, 0.25, 0.25], 3.0),
        ([0.1, 0.1, 0.05], 1.0),
        ([1e-3, 0.0, 0.0], 4e-3),
    ):
        got = n_varied_units(backend.asarray(np.array(of_units)), backend)
        assert float(backend.to_numpy(got)) == pytest.approx(expected)


# --- unusual rows ---------------------------------------------------------------------------


def test_the_most_unusual_rows_are_the_furthest_different_ones(backend):
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((300, 12)) < 0.1, 1.0, -1.0)
    mean = rng.uniform(-0.9, -0.7, 12)
    of_units = 1.0 - mean**2
    arrays = (backend.asarray(a, "float64") for a in (rows, mean, of_units))
    got = backend.to_numpy(most_unusual_rows(*arrays, backend))
    different = {tuple(row) for row in rows}
    assert len(different) > UNUSUAL_ROWS == len(got)
    assert len({tuple(row) for row in got}) == UNUSUAL_ROWS

    def distance(row):
        return sum((x - m) ** 2 / v for x, m, v in zip(row, mean, of_units, strict=True))

    by_hand = sorted(map(distance, different), reverse=True)[:UNUSUAL_ROWS]
    np.testing.assert_allclose([distance(row) for row in got], by_hand, rtol=1e-12)


def test_a_few_rows_are_all_unusual(backend):
    rows = np.array([[1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
    arrays = (backend.asarray(a) for a in (rows, np.zeros(2), np.ones(2)))
    got = backend.to_numpy(most_unusual_rows(*arrays, backend))
    assert {tuple(row) for row in got} == {(1.0, -1.0), (1.0, 1.0)} and len(got) == 2


def test_steps_are_shortened_to_what_unusual_rows_bear(backend):
    changes = backend.asarray(np.array([0.5, -20.0, 3.0]))
    squared_length = backend.asarray(np.array(0.09))[()]
    for scale in (0.01, 0.06, 5.0):
        step = backend.asarray(np.array(scale))[()]
        got = float(backend.to_numpy(limit_scale(step, squared_length, changes, backend)))
        assert got == pytest.approx(min(scale, LARGEST_CHANGE * 0.3 / 20.0))
        assert got * 20.0 <= LARGEST_CHANGE * 0.3 * (1.0 + 1e-12) or got == scale


@pytest.mark.parametrize("kind", ["dense", "patterns"])
def test_energy_changes_are_slopes_of_energies(backend, kind):
    """Of free energies, by finite differences: hidden means stay to first order."""
    machine, _ = make_machine(kind, (5, 3), backend)
    rng, v = np.random.default_rng(1), backend.asarray(all_spins(5))
    direction = {
        name: backend.asarray(rng.normal(size=p.shape)) for name, p in machine.parameters.items()
    }

    def energies(step):
        names = machine.couplings.parameters
        moved = {name: p + step * direction[name] for name, p in machine.parameters.items()}
        other = replace(
            machine,
            couplings=machine.couplings.with_parameters({name: moved[name] for name in names}),
            visible_bias=moved["visible_bias"],
            hidden_bias=moved["hidden_bias"],
        )
        return backend.to_numpy(other.free_energy(v))

    slope = (energies(1e-5) - energies(-1e-5)) / 2e-5
    got = backend.to_numpy(energy_changes(machine, v, machine.hidden_mean(v), direction))
    np.testing.assert_allclose(got, -slope, atol=1e-8)
