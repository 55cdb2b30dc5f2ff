"""log Z of small machines against the sum over all states."""

import numpy as np
import pytest
from machines import KINDS, make_machine

from sklearn_rapid import partition
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.couplings import DenseCouplings
from sklearn_rapid.machine import Machine
from sklearn_rapid.partition import LogPartition, ais_log_partition, exact_log_partition

SHAPES = [(3, 6), (6, 3), (4, 4), (1, 1)]


def anneal(machine, seed, **how):
    with machine.backend.running():
        return ais_log_partition(machine, RandomStream(seed), **how)


def numba_machine(kind="dense", shape=(6, 5), n_threads=2, **how):
    return make_machine(kind, shape, get_backend("numba", n_threads=n_threads), **how)


# --- exact ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("biases", ["both", "visible", "hidden", ""])
@pytest.mark.parametrize("states_per_chunk", [3, 4096])
def test_exact(backend, monkeypatch, shape, kind, biases, states_per_chunk):
    monkeypatch.setattr(partition, "STATES_PER_CHUNK", states_per_chunk)
    machine, exact = make_machine(kind, shape, backend, biases=biases, scale=1.0)
    result = exact_log_partition(machine)
    assert result.value == pytest.approx(exact.log_z(), rel=1e-13)
    assert (result.method, result.error, result.is_trusted) == ("exact", 0.0, True)
    assert np.isnan(result.effective_sample_size)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_in_float32(backend, kind):
    machine, exact = make_machine(kind, (6, 4), backend, dtype="float32")
    # Free energies of a few nats with a dozen roundings each, added in float64.
    assert exact_log_partition(machine).value == pytest.approx(exact.log_z(), abs=12 * 4 * 2.0**-24)


def test_exact_of_strong_couplings_does_not_overflow(backend):
    machine, exact = make_machine("dense", (4, 5), backend, scale=300.0)
    assert exact.log_z() > 1000.0
    assert exact_log_partition(machine).value == pytest.approx(exact.log_z(), rel=1e-13)


# --- annealed -------------------------------------------------------------------------------
# An estimate is off by five of its errors in one of a million runs (its weights spread so
# little that its logarithm is nearly normal); the seeds are fixed.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("biases", ["both", "visible", "hidden", ""])
@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
def test_annealed(backend, kind, biases, shape):
    machine, exact = make_machine(kind, shape, backend, biases=biases, dtype="float32", scale=0.8)
    result = ais_log_partition(machine, RandomStream(0), n_chains=60, n_temperatures=30)
    assert abs(result.value - exact.log_z()) < 5 * result.error
    assert 0.0 < result.error < 0.2
    assert (result.method, result.n_chains, result.n_temperatures) == ("ais", 60, 30)


@pytest.mark.parametrize("biases", ["both", ""])
@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_annealed_at_strong_couplings(biases, scale):
    machine, exact = numba_machine(biases=biases, scale=scale)
    result = anneal(machine, 1, n_chains=500, n_temperatures=1000)
    assert result.is_trusted
    assert abs(result.value - exact.log_z()) < 5 * result.error < 0.5


@pytest.mark.parametrize("base_mean", [None, [0.8, -0.5, 0.0, 0.3, -1.0, 1.0]])
def test_annealed_from_any_base(backend, base_mean):
    machine, exact = make_machine("dense", (6, 3), backend, dtype="float32")
    base_mean = None if base_mean is None else np.array(base_mean)
    result = ais_log_partition(
        machine, RandomStream(2), base_mean=base_mean, n_chains=100, n_temperatures=50
    )
    assert abs(result.value - exact.log_z()) < 5 * result.error < 0.5


@pytest.mark.parametrize("base_mean", [None, np.linspace(-0.5, 0.5, 6)])
def test_annealed_error_is_calibrated_and_z_unbiased(base_mean):
    machine, exact = numba_machine(scale=0.7)
    how = {"n_chains": 100, "n_temperatures": 20, "base_mean": base_mean}
    results = [anneal(machine, seed, **how) for seed in range(100)]
    deviations = np.array([r.value - exact.log_z() for r in results])
    normalised = deviations / [r.error for r in results]
    # The standard deviation of 100 normal numbers is 1 ± 0.07; five times that.
    assert 0.65 < normalised.std(ddof=1) < 1.35
    z_ratio = np.exp(deviations)
    assert abs(z_ratio.mean() - 1.0) < 5 * z_ratio.std(ddof=1) / np.sqrt(100)


def two_modes(visible_bias):
    """All units alike or all opposed, with nothing in between at low temperature."""
    backend = get_backend("numba", n_threads=1)
    weights = np.full((6, 6), 2.0)
    bias = np.full(6, visible_bias)
    return Machine(DenseCouplings(weights), bias, np.zeros(6), backend)


def test_base_mean_does_not_hide_the_mirror_mode():
    # Both modes have energy -72 and Z is theirs, but for terms below e^-40.
    exact = 72.0 + np.log(2.0)
    how = {"n_chains": 500, "n_temperatures": 300, "base_mean": np.full(6, 0.9)}
    symmetric = anneal(two_modes(0.0), 3, **how)
    assert abs(symmetric.value - exact) < 5 * symmetric.error < 0.5
    without = anneal(two_modes(0.0), 3, **{**how, "base_mean": None})
    assert symmetric == without
    # With any bias at all the base holds, and so few chains find the mirror that the error
    # speaks of one mode: the rule above is what keeps log 2.
    fooled = anneal(two_modes(1e-12), 3, **how)
    assert exact - fooled.value > 0.4


@pytest.mark.parametrize("n_temperatures", [2, 10, 200])
def test_effective_sample_size_is_a_number_of_chains(n_temperatures):
    machine, _ = numba_machine(scale=3.0)
    result = anneal(machine, 4, n_chains=50, n_temperatures=n_temperatures)
    assert 1.0 <= result.effective_sample_size <= 50.0


def test_effective_sample_size_of_equal_weights():
    """Without couplings and biases every chain weighs the same."""
    backend = get_backend("numba", n_threads=1)
    machine = Machine(DenseCouplings(np.zeros((4, 3))), np.zeros(4), np.zeros(3), backend)
    result = anneal(machine, 5, n_chains=30, n_temperatures=10)
    assert result.effective_sample_size == pytest.approx(30.0)
    assert result.value == pytest.approx(7 * np.log(2.0), rel=1e-14)


def test_one_chain_has_no_error_to_tell():
    machine, _ = numba_machine()
    assert anneal(machine, 6, n_chains=1, n_temperatures=10).error == np.inf


@pytest.mark.parametrize("kind", KINDS)
def test_annealed_alike_on_any_number_of_threads(kind):
    results = [
        anneal(numba_machine(kind, n_threads=n)[0], 7, n_chains=300, n_temperatures=20)
        for n in (1, 2, 3)
    ]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("kind", KINDS)
def test_annealed_alike_on_every_backend(kind, backend):
    how = {"n_chains": 120, "n_temperatures": 20}
    machine, _ = make_machine(kind, (6, 5), get_backend("numba", n_threads=1))
    expected = anneal(machine, 8, **how)
    machine, _ = make_machine(kind, (6, 5), backend)
    result = ais_log_partition(machine, RandomStream(8), **how)
    # The same spins, and float64 sums in another order.
    assert result.value == pytest.approx(expected.value, abs=1e-12)
    assert result.error == pytest.approx(expected.error, rel=1e-9)


def test_hopeless_annealing_is_not_trusted():
    """Nineteen steps from nothing to fields of a hundred: one chain carries all the weight."""
    machine, _ = numba_machine(shape=(30, 30), scale=20.0)
    hopeless = anneal(machine, 9, n_chains=100, n_temperatures=20)
    assert hopeless.effective_sample_size < 5.0
    assert not hopeless.is_trusted
    weak, _ = numba_machine(shape=(30, 30), scale=0.05)
    assert anneal(weak, 9, n_chains=100, n_temperatures=20).is_trusted


def test_trust_takes_one_chain_in_twenty():
    def result(size):
        return LogPartition(0.0, 0.1, "ais", size, n_chains=100, n_temperatures=10)

    assert result(5.0).is_trusted
    assert not result(4.99).is_trusted
