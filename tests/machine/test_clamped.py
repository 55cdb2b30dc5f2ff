"""Machines given some visible units, against sums over all states of the others."""

import numpy as np
import pytest
from scipy.special import logsumexp
from tools.brute_force import p_value
from tools.layers import LAYERS, make_machine_of_units, rows_of

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

# Columns that some row lacks, whole groups of categories.
MISSING = {
    "spins, spins": [1, 3],
    "gaussians, spins": [1],
    "spins, gaussians": [0, 2],
    "categories, spins": [2, 3, 4],
    "spins, categories": [0, 1, 2],
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


def summed(exact, v):
    """log Σ_u exp(-F(v, u)) of each row, over the units that are NaN."""
    known = ~np.isnan(v)
    out = []
    for row, of_row in zip(v, known, strict=True):
        if of_row.all():
            out.append(exact.log_f(row[None])[0])
            continue
        states, log_weights = exact.v.copy(), exact.log_v
        is_first = np.ones(len(states), dtype=bool)
        if exact.visible == "gaussians":
            # One node stands for the known units: those of the free ones are the rest.
            fixed = states[0, of_row]
            is_first = np.all(states[:, of_row] == fixed, axis=1)
            single = exact.log_v[is_first] - logsumexp(exact.log_v[is_first])
            log_weights = np.full(len(states), -np.inf)
            log_weights[is_first] = single + 0.5 * np.log(2 * np.pi) * np.sum(~of_row)
            states[:, of_row] = row[of_row]
            log_f = exact.log_f(states) + 0.5 * np.sum(states[:, ~of_row] ** 2, axis=1)
            out.append(logsumexp(log_f[is_first] + log_weights[is_first]))
            continue
        is_like = np.all(states[:, of_row] == row[of_row], axis=1)
        out.append(logsumexp(exact.log_f(states[is_like])))
    return np.array(out)


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
    if LAYERS[layers][0] == "gaussians":
        np.testing.assert_array_equal(count_completions(machine, backend.asarray(v))[1:], np.inf)
        return
    v[3], v[4, MISSING[layers]] = np.nan, rows_of(exact, 6)[4, MISSING[layers]]
    expected, n_ways = means_of_completions(exact, v)
    assert n_ways[0] == n_ways[4] == 1 and n_ways[3] == len(exact.v) >= n_ways[1] > 1
    np.testing.assert_array_equal(count_completions(machine, backend.asarray(v)), n_ways)
    means = backend.to_numpy(fill_with_exact_means(machine, backend.asarray(v)))
    np.testing.assert_allclose(means, expected, atol=1e-12)


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


@pytest.mark.slow
def test_chains_are_stationary(layers):
    """Free units after Gibbs steps from the mean field have their conditional distribution."""
    backend = get_backend("numba")
    machine, exact = make_machine_of_units(layers, backend)
    row = with_gaps(layers, exact)[1]
    rows = backend.asarray(np.tile(row, (4000, 1)))
    columns = missing_columns(rows, backend)
    part = clamp(machine, rows, columns)
    u = part.gibbs(mean_field(part)[0], 200, RandomStream(4))
    states = backend.to_numpy(fill_missing(rows, columns, u, backend))
    known = ~np.isnan(row)
    np.testing.assert_array_equal(states[:, known], rows[:, known])
    if exact.visible == "gaussians":
        # Its mean and second moment by the sum over hidden states.
        log_p = [log_of(exact, row, x) for x in GRID]
        p = np.exp(np.array(log_p) - logsumexp(log_p))
        mean, square = p @ GRID, p @ GRID**2
        spread = np.sqrt(square - mean**2)
        assert abs(states[:, ~known].mean() - mean) < 4.0 * spread / np.sqrt(4000)
        return
    is_like = np.all(exact.v[:, known] == row[known], axis=1)
    log_p = exact.log_f(exact.v[is_like])
    p = np.exp(log_p - logsumexp(log_p))
    counts = [np.sum(np.all(states == s, axis=1)) for s in exact.v[is_like]]
    assert p_value(np.array(counts), p) > SMALLEST_P


GRID = np.linspace(-8.0, 8.0, 2001)


def log_of(exact, row, x):
    return exact.log_f(np.where(np.isnan(row), x, row)[None])[0]
