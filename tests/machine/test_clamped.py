"""Machines given some visible units, against sums over all states of the others."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from tools.brute_force import p_value
from tools.layers import LAYERS, make_machine_of_units, rows_of
from tools.summed import nodes, reals_of

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine import completions
from sklearn_rapid.machine.clamped import (
    clamp,
    fill_missing,
    free_energy_bound,
    log_sums_over_missing,
    lower_bound,
    mean_field,
    missing_columns,
    zero_missing,
)
from sklearn_rapid.machine.completions import count_completions, fill_with_exact_means
from sklearn_rapid.machine.tempering import cold_states, ladder_of_states, sweep_ladder

# Units that some row lacks, whole groups of categories and columns with spikes.
MISSING = {
    "spins, spins": [1, 3],
    "gaussians, spins": [1],
    "spins, gaussians": [0, 2],
    "categories, spins": [2, 3, 4],
    "spins, categories": [0, 1, 2],
    "spikes, spins": [0, 1, 2, 5],
    "spins, spikes": [0, 1],
    "mixed, spins": [0, 1, 2, 5, 6, 7],
}
SMALLEST_P = 1e-4


@pytest.fixture(params=MISSING)
def layers(request):
    return request.param


def with_gaps(layers, exact, n_rows=6):
    """Rows, of which all but the first lack something."""
    v = rows_of(exact, n_rows)
    v[1:, MISSING[layers]] = np.nan
    if "spins" == LAYERS[layers][0]:
        v[2, MISSING[layers][0]] = 1.0
    return v


def are_real(exact):
    """Which visible units are real."""
    return np.isin(np.arange(len(exact.b)), reals_of(exact.visible, len(exact.b)))


def completions_of(exact, row):
    """Rows with all states of the units that are NaN, and log weights for a sum over these."""
    known, real = ~np.isnan(row), are_real(exact)
    # They stand beside any state of the known units: the first one, all columns at a spike.
    is_like = np.all(exact.v[:, known] == exact.v[0, known], axis=1)
    n_nodes = np.sum(exact.v[0, known & real] != 0.0)
    states = np.where(known, row, exact.v[is_like])
    # The weights of nodes have the base measure in them, and so has f.
    base = -0.5 * np.sum(states[:, real & ~known] ** 2, axis=1)
    return states, exact.log_v[is_like] - n_nodes * nodes()[1][0] - base


def summed(exact, v):
    """log Σ_u exp(-F(v, u)) of each row, over the units that are NaN."""
    pairs = [completions_of(exact, row) for row in v]
    return np.array([logsumexp(exact.log_f(states) + log_w) for states, log_w in pairs])


def test_a_clamped_machine_has_the_energies_of_the_whole(backend, layers):
    """In several blocks of rows, each row with a bias and a mask of its own."""
    machine, exact = make_machine_of_units(layers, backend, scale=1.0)
    v = backend.asarray(with_gaps(layers, exact, n_rows=600))
    columns = missing_columns(v, backend)
    part = clamp(machine, v, columns)
    found = backend.to_numpy(part.gibbs(mean_field(part, 1)[0], 2, RandomStream(0)))
    assert np.all(found[~backend.to_numpy(part.visible_units.mask)] == 0.0)
    u = backend.asarray(found)
    whole = fill_missing(v, columns, u, backend)
    energies = part.free_energy(u) - machine.log_weights(zero_missing(v, backend.xp))
    energies, expected = map(backend.to_numpy, (energies, machine.free_energy(whole)))
    np.testing.assert_allclose(energies, expected, rtol=1e-12)
    for got, wanted in (
        (part.hidden_mean(u), machine.hidden_mean(whole)),
        (part.sample_hidden(u, RandomStream(1)), machine.sample_hidden(whole, RandomStream(1))),
    ):
        np.testing.assert_allclose(*map(backend.to_numpy, (got, wanted)), rtol=1e-12)


def test_the_bound_is_below_and_close(backend, layers):
    """What it lacks is of second order, ½ΣW² of the free units to begin with."""
    machine, exact = make_machine_of_units(layers, backend, scale=0.1)
    v = with_gaps(layers, exact)
    expected = summed(exact, v)
    bound = -backend.to_numpy(free_energy_bound(machine, backend.asarray(v)))
    assert np.all(bound <= expected + 1e-9)
    assert np.all(expected - bound <= np.sum(exact.W[MISSING[layers]] ** 2))
    np.testing.assert_allclose(bound[0], expected[0], rtol=1e-12)
    machine, exact = make_machine_of_units(layers, backend, scale=0.0)
    bound = -backend.to_numpy(free_energy_bound(machine, backend.asarray(v)))
    np.testing.assert_allclose(bound, summed(exact, v), rtol=1e-9)


def means_of_completions(exact, v):
    """The rows with means over all states that they may be, and how many these are."""
    means, n_ways = [], []
    for row in v:
        known = ~np.isnan(row)
        alike = exact.v[np.all(exact.v[:, known] == row[known], axis=1)]
        log_f = exact.log_f(alike)
        means.append(np.exp(log_f - logsumexp(log_f)) @ alike)
        n_ways.append(len(alike))
    return np.array(means), n_ways


@pytest.mark.parametrize("at_once", [1, 2**22])
def test_means_of_all_completions(backend, layers, at_once, monkeypatch):
    """Rows that lack one thing, several, all or none."""
    monkeypatch.setattr(completions, "NUMBERS_AT_ONCE", at_once)
    machine, exact = make_machine_of_units(layers, backend, scale=1.0)
    v = with_gaps(layers, exact)
    if are_real(exact)[MISSING[layers]].any():
        np.testing.assert_array_equal(count_completions(machine, backend.asarray(v))[1:], np.inf)
        return
    v[3], v[4, MISSING[layers]] = np.nan, rows_of(exact, 6)[4, MISSING[layers]]
    expected, n_ways = means_of_completions(exact, v)
    assert n_ways[0] == n_ways[4] == 1 and n_ways[3] == len(exact.v) >= n_ways[1] > 1
    np.testing.assert_array_equal(count_completions(machine, backend.asarray(v)), n_ways)
    means = backend.to_numpy(fill_with_exact_means(machine, backend.asarray(v)))
    np.testing.assert_allclose(means, expected, atol=1e-12)


def test_means_of_completions_beside_columns_with_spikes(backend):
    """A row that lacks such a column cannot be enumerated; others can."""
    machine, exact = make_machine_of_units("mixed, spins", backend, scale=1.0)
    v = rows_of(exact, 4)
    for row, units in enumerate([[], [3, 4], [5, 6, 7, 8], [0, 1, 2, 8]]):
        v[row, units] = np.nan
    n_ways = count_completions(machine, backend.asarray(v))
    np.testing.assert_array_equal(n_ways, [1.0, 2.0, 6.0, np.inf])
    means = backend.to_numpy(fill_with_exact_means(machine, backend.asarray(v[:3])))
    for row, found in zip(v, means, strict=False):
        states, log_w = completions_of(exact, row)
        log_p = exact.log_f(states) + log_w
        np.testing.assert_allclose(found, np.exp(log_p - logsumexp(log_p)) @ states, atol=1e-12)


def test_steps_of_mean_field_raise_the_bound(backend, layers):
    machine, exact = make_machine_of_units(layers, backend, scale=1.0)
    v = backend.asarray(with_gaps(layers, exact))
    part = clamp(machine, v, missing_columns(v, backend))
    bounds = [backend.to_numpy(lower_bound(part, n)) for n in range(1, 8)]
    assert np.all(np.diff(bounds, axis=0) >= -1e-9)


@pytest.mark.slow
def test_annealing(layers):
    """Estimates are within five of their errors, but for a nat's thousandth: one in a million."""
    backend = get_backend("numba")
    machine, exact = make_machine_of_units(layers, backend, scale=0.8)
    v = with_gaps(layers, exact)
    rows = backend.asarray(v)
    value, error = log_sums_over_missing(machine, rows, RandomStream(3), 2000, 30)
    assert np.all(error < 0.05)
    assert np.all(np.abs(value - summed(exact, v)) < 5.0 * error + 1e-3)


def by_clamped_machines(machine, rows):
    columns = missing_columns(rows, machine.backend)
    part = clamp(machine, rows, columns)
    u = part.gibbs(mean_field(part)[0], 200, RandomStream(4))
    return fill_missing(rows, columns, u, machine.backend)


def by_chains_of_free_units(machine, rows):
    start = zero_missing(rows, machine.backend.xp)
    return machine.gibbs(start, 200, RandomStream(5), free=np.isnan(rows))


def by_ladders_of_free_units(machine, rows):
    betas = (0.0, 0.5, 1.0)
    start, free = (np.repeat(a, 3, axis=0) for a in (np.nan_to_num(rows), np.isnan(rows)))
    base = np.zeros(machine.n_visible)
    ladder = ladder_of_states(machine.backend, betas, base, start)
    ladder, _ = sweep_ladder(ladder, machine, 100, RandomStream(6), free=free)
    return cold_states(ladder, machine.backend)


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw", [by_clamped_machines, by_chains_of_free_units, by_ladders_of_free_units]
)
def test_chains_are_stationary(layers, draw):
    """Free units have their conditional distribution after many steps."""
    machine, exact = make_machine_of_units(layers, get_backend("numba"))
    row = with_gaps(layers, exact)[1]
    rows = np.tile(row, (4000, 1))
    states = draw(machine, rows)
    known, real = ~np.isnan(row), are_real(exact)
    np.testing.assert_array_equal(states[:, known], rows[:, known])
    assert machine.visible_units.are_states(states)
    alike, log_w = completions_of(exact, row)
    log_p = exact.log_f(alike) + log_w
    p = np.exp(log_p - logsumexp(log_p))
    found = []
    # Means of real units and of their squares are normal to a good approximation, of so many rows.
    for j in np.flatnonzero(~known & real):
        for x, of_all in ((states[:, j], alike[:, j]), (states[:, j] ** 2, alike[:, j] ** 2)):
            spread = np.sqrt(p @ of_all**2 - (p @ of_all) ** 2)
            score = (x.mean() - p @ of_all) / spread * np.sqrt(len(x))
            found.append(2.0 * stats.norm.sf(abs(score)))
    if not real[~known].all():
        distinct, numbers = np.unique(alike[:, ~real], axis=0, return_inverse=True)
        counts = [np.sum(np.all(states[:, ~real] == s, axis=1)) for s in distinct]
        found.append(p_value(np.array(counts), np.bincount(numbers.ravel(), p)))
    assert min(found) * len(found) > SMALLEST_P
