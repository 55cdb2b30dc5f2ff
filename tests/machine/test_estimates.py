"""What an estimate of log Z says of itself: errors that hold rounding, bounds, limits of work."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp
from tools.brute_force import Enumerated, all_spins
from tools.machines import make_machine

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine import tempered_partition
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.known_states import weigh_states
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import exact_log_partition, rounding_error
from sklearn_rapid.machine.tempered_partition import tempered_log_partition


def temper(machine, seed, **how):
    with machine.backend.running():
        return tempered_log_partition(machine, RandomStream(seed), **how)[0]


# --- rounding -------------------------------------------------------------------------------

# Fields of some thousands, whose rounding to float32 is a ten-thousandth.
LARGE = {"scale": 800.0, "dtype": "float32"}


@pytest.mark.parametrize("kind", ["dense", "patterns"])
@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_how_far_free_energies_are_from_exact_ones(backend, kind, seed):
    machine, exact = make_machine(kind, (8, 4), backend, seed=seed, **LARGE)
    states = all_spins(8)
    v = backend.asarray(states, "float32")
    off = np.abs(-backend.to_numpy(machine.free_energy(v)) + exact.free_energy(states))
    found = rounding_error(machine, states.astype(np.int8))
    # float64 has its own, and so does the enumeration here.
    assert found == pytest.approx(off.max(), abs=1e-10)
    assert rounding_error(machine.in_float64(), states.astype(np.int8)) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 300.0, 3000.0])
@pytest.mark.parametrize("seed", range(5))
def test_probabilities_add_up_to_one_within_the_error(scale, seed):
    """Likelihoods are made of free energies in float32 and of log Z in float64."""
    backend = get_backend("numba")
    machine, _ = make_machine("dense", (10, 4), backend, scale=scale, seed=seed, dtype="float32")
    states = all_spins(10)
    heaviest = weigh_states(machine, states.astype(np.int8)).heaviest(64)
    log_z = exact_log_partition(machine, heaviest)
    energies = machine.free_energy(backend.asarray(states, "float32"))
    assert abs(logsumexp(-energies) - log_z.value) <= log_z.error


@pytest.mark.slow
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_probabilities_of_a_model_add_up_to_one_within_its_error(cls):
    """Of one that has learned a few rows by heart, and whose fields are large."""
    rng = np.random.default_rng(0)
    X = (rng.random((5, 10)) < 0.5)[rng.integers(5, size=300)]
    model = cls(6, max_iter=1000, random_state=0).fit(X)
    log_p = model.score_samples((all_spins(10) + 1.0) / 2.0)
    assert abs(logsumexp(log_p)) <= model.log_partition("exact").error < 1e-3


# --- bounds ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_bounds_hold_value_and_error(scale, with_states):
    """Whatever the seed, if few sweeps or many."""
    backend = get_backend("numba")
    how = {"scale": scale, "dtype": "float32"}
    machine, exact = make_machine("dense", (12, 5), backend, biases="visible", **how)
    states = exact.visible[:200].astype(np.int8) if with_states else None
    for seed in range(12 if with_states else 30):
        for max_sweeps in (2, 20, 200):
            found = temper(machine, seed, states=states, max_sweeps=max_sweeps, tol=0.3)
            assert found.lower <= found.value - found.error
            assert found.value + found.error <= found.upper


# --- limits ---------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """Of each call of `sweep_ladder`: how many sweeps, of how many rows; a call takes a second."""
    calls = []

    def sweep(ladder, machine, n_sweeps, stream, _sweep=tempered_partition.sweep_ladder):
        calls.append((n_sweeps, ladder.states.shape[0]))
        return _sweep(ladder, machine, n_sweeps, stream)

    monkeypatch.setattr(tempered_partition, "sweep_ladder", sweep)
    monkeypatch.setattr(tempered_partition.time, "perf_counter", lambda: float(len(calls)))
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("products", [1.0, 1e6, 4e9])
def test_time_is_looked_at_between_short_calls(counted, monkeypatch, products, with_states):
    """So many calls take as many seconds, and none is of much work."""
    monkeypatch.setattr(tempered_partition, "PRODUCTS_AT_ONCE", products)
    machine, exact = make_machine("dense", (14, 6), get_backend("numba"), dtype="float32")
    states = exact.visible[:50].astype(np.int8) if with_states else None
    for max_seconds in (0.5, 5.0, 40.0):
        counted.clear()
        found = temper(
            machine, 0, max_seconds=max_seconds, max_sweeps=10**6, tol=1e-9, states=states
        )
        assert found.stopped_by == "max_seconds"
        # Two sweeps at least: each has every other pair.
        assert max_seconds < len(counted) <= max(2.0, max_seconds + 1.0)
        assert sum(n for n, _ in counted) == found.n_sweeps
        for n, n_rows in counted:
            assert n == 1 or n * 2.0 * n_rows * 14 * 6 <= products
        assert np.isfinite(found.value) and found.error >= 0.0


def test_no_more_rows_than_are_given(counted):
    machine, _ = make_machine("dense", (14, 6), get_backend("numba"), dtype="float32")
    for max_rows in (5_000.0, 50_000.0):
        counted.clear()
        found = temper(machine, 0, max_rows=max_rows, max_sweeps=10**6, tol=1e-9)
        assert found.stopped_by == "max_sweeps"
        assert 0.5 * max_rows < sum(n * rows for n, rows in counted) <= max_rows


@pytest.mark.slow
def test_log_z_of_wide_sparse_rows_takes_no_more_than_it_is_worth(counted):
    """1000 rows of 10,000 columns: limited work, and no numbers that overflow."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((1000, 10_000), density=0.003, rng=rng, format="csr")
    X.data[:] = 1.0
    model = RBM(50, max_iter=2, random_state=0).fit(X)
    counted.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "log Z = .* not to be trusted", RuntimeWarning)
        found = model.log_partition("tempering")
    assert np.isfinite([found.value, found.lower, found.upper]).all()
    assert 0 < sum(n * rows for n, rows in counted) <= model._default_max_rows()


def test_rounding_of_a_machine_with_known_states_is_in_the_error():
    """One row has everything, at fields where float32 rounds by more than tempering's error."""
    row = np.where(np.arange(12) % 2, 1.0, -1.0)
    exact = Enumerated(np.outer(row, [300.3, 100.7]), 700.1 * row, np.zeros(2))
    backend = get_backend("numba")
    arrays = (backend.asarray(a, "float32") for a in (exact.W, exact.b, exact.c))
    weights, *biases = arrays
    machine = Machine(DenseCouplings(weights), *biases, backend)
    rounded = Enumerated(*(a.astype(float) for a in (weights, *biases)))
    found = temper(machine, 0, states=row[None].astype(np.int8))
    assert abs(found.value - rounded.log_z()) <= 5.0 * found.error < 0.1
