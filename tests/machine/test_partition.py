"""log Z of small machines against the sum over all states."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from tools.brute_force import Enumerated, all_spins
from tools.machines import KINDS, make_machine

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.machine import partition
from sklearn_rapid.machine.annealing import ais_log_partition
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import exact_log_partition
from sklearn_rapid.machine.tempered_partition import tempered_log_partition

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
    assert (result.method, result.is_trusted) == ("exact", True)
    assert result.error < 1e-12
    assert np.isnan(result.effective_sample_size)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_in_float32(backend, kind):
    machine, exact = make_machine(kind, (6, 4), backend, dtype="float32")
    result = exact_log_partition(machine)
    assert abs(result.value - exact.log_z()) <= result.error < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(6, 40), (40, 6)])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_error_of_exact_sums_holds_what_rounding_does(backend, kind, shape, scale):
    """Large fields are the ones that float32 would round by more than a thousandth."""
    machine, exact = make_machine(kind, shape, backend, dtype="float32", scale=scale)
    small, large = (exact.b, exact.c) if shape[0] == 6 else (exact.c, exact.b)
    W = exact.W if shape[0] == 6 else exact.W.T
    states = all_spins(6)
    field = states @ W + large
    log_z = logsumexp(states @ small + np.logaddexp(field, -field).sum(axis=1))
    result = exact_log_partition(machine)
    assert abs(result.value - log_z) <= result.error < 2e-5


def test_exact_of_strong_couplings_does_not_overflow(backend):
    machine, exact = make_machine("dense", (4, 5), backend, scale=300.0)
    assert exact.log_z() > 1000.0
    assert exact_log_partition(machine).value == pytest.approx(exact.log_z(), rel=1e-13)


# --- annealed -------------------------------------------------------------------------------
# An estimate is off by five of its errors in one of a million runs (its weights spread so
# little that its logarithm is nearly normal); the seeds are fixed.


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_annealing_of_a_few_chains_is_not_trusted():
    """At three temperatures all that counts is one or two chains; and one has no error at all."""
    machine, _exact = numba_machine(shape=(30, 12), scale=1.0)
    few = anneal(machine, 9, n_chains=20, n_temperatures=3)
    assert few.effective_sample_size < 10.0 and not few.is_trusted
    assert "effective chains of 20" in few.doubts[0]
    one = anneal(machine, 9, n_chains=1, n_temperatures=100)
    assert one.error == np.inf and not one.is_trusted


# --- by tempering ---------------------------------------------------------------------------


def temper(machine, seed, **how):
    with machine.backend.running():
        return tempered_log_partition(machine, RandomStream(seed), **how)[:2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("biases", ["both", "visible", "hidden", ""])
@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
def test_tempered(backend, kind, biases, shape):
    machine, exact = make_machine(kind, shape, backend, biases=biases, dtype="float32", scale=0.8)
    result, ladder = temper(machine, 0, tol=0.05, max_sweeps=200)
    assert abs(result.value - exact.log_z()) < 5 * result.error < 0.5
    assert (result.method, result.n_chains) == ("tempering", 24)
    assert result.n_temperatures == ladder.top + 1 == ladder.n_rungs
    assert result.n_sweeps <= 200


@pytest.mark.parametrize("biases", ["both", ""])
@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_tempered_at_strong_couplings(biases, scale):
    machine, exact = numba_machine(biases=biases, scale=scale)
    result, _ = temper(machine, 1, tol=0.05)
    assert result.is_trusted and result.stopped_by == "tol" and result.error <= 0.05
    assert abs(result.value - exact.log_z()) < 5 * result.error
    assert result.n_round_trips >= 24 and result.barrier > 0.5


def test_tempered_in_float64():
    machine, exact = numba_machine(dtype="float64")
    result, _ = temper(machine, 2, tol=0.05)
    assert abs(result.value - exact.log_z()) < 5 * result.error <= 0.25


@pytest.mark.slow
def test_what_ends_tempering():
    machine, _ = numba_machine(shape=(30, 30))
    assert temper(machine, 4, tol=10.0)[0].stopped_by == "tol"
    out_of_sweeps, _ = temper(machine, 4, tol=1e-9, max_sweeps=100)
    assert (out_of_sweeps.stopped_by, out_of_sweeps.n_sweeps) == ("max_sweeps", 100)
    # One sweep more has only every other pair: it is of no use.
    for max_sweeps, n_sweeps in ((2, 2), (17, 16), (18, 18)):
        least, _ = temper(machine, 4, tol=1e-9, max_sweeps=max_sweeps)
        assert least.n_sweeps == n_sweeps and np.isfinite(least.value)
    out_of_time, _ = temper(machine, 4, tol=1e-9, max_seconds=1e-9)
    assert (out_of_time.stopped_by, out_of_time.n_sweeps) == ("max_seconds", 16)
    assert np.isfinite(out_of_time.value)


def test_tempering_repeats_itself_on_any_number_of_threads():
    results = []
    for n_threads in (1, 2, 3):
        machine, _ = numba_machine(shape=(40, 30), n_threads=n_threads)
        results.append(temper(machine, 5, max_sweeps=100)[0])
    assert results[0] == results[1] == results[2]


def unequal_modes(share):
    """Twelve spins, nearly all up or nearly all down; the second mode has this share of P."""
    weights = np.full((12, 6), 0.9, dtype=np.float32)
    backend = get_backend("numba", n_threads=2)
    # A field on all hidden units tips the balance: by how much, enumeration says.
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        bias = np.full(6, middle, dtype=np.float32)
        exact = Enumerated(weights.astype(float), np.zeros(12), bias.astype(float))
        p = exact.visible_probabilities()
        is_down = exact.visible.sum(axis=1) < 0
        low, high = (middle, high) if p[is_down].sum() > share else (low, middle)
    machine = Machine(DenseCouplings(weights), np.zeros(12, dtype=np.float32), bias, backend)
    return machine, exact


@pytest.mark.slow
def test_a_mode_of_five_per_cent_is_not_missed():
    """Started from the other one, with half of the columns; a miss is off by log .95 = -.051."""
    machine, exact = unequal_modes(0.05)
    start = np.ones((12, 12), dtype=np.float32)
    result, _ = temper(machine, 6, start=start, tol=0.006, max_sweeps=20_000)
    assert result.is_trusted and result.error <= 0.006
    assert abs(result.value - exact.log_z()) < 5 * result.error
    # Annealing from the means of the data is sure of what is wrong.
    annealed = anneal(machine, 6, base_mean=np.full(12, 0.9), n_chains=200, n_temperatures=2000)
    assert annealed.is_trusted and annealed.error < 0.005
    assert annealed.value - exact.log_z() < -8 * annealed.error


def test_a_ladder_that_does_not_get_through_is_not_trusted():
    """Hundreds of nats between the rungs that a few sweeps can place."""
    machine, _ = numba_machine(shape=(100, 100), scale=30.0)
    with_doubts, _ = temper(machine, 7, max_sweeps=48)
    assert not with_doubts.is_trusted
    assert any("came from β = 0" in doubt for doubt in with_doubts.doubts)


def test_starts_that_disagree_are_not_trusted():
    """A mode that only the columns from training know, and that none of them leaves."""
    rng = np.random.default_rng(0)
    pattern = rng.choice([-1.0, 1.0], size=(200, 1)).astype(np.float32)
    weights = np.concatenate([pattern * 1.0] * 40, axis=1)
    machine = Machine(
        DenseCouplings(weights),
        np.zeros(200, dtype=np.float32),
        np.full(40, -150.0, dtype=np.float32),
        get_backend("numba", n_threads=2),
    )
    start = np.repeat(pattern.T, 12, axis=0)
    result, _ = temper(machine, 8, start=start, max_sweeps=200)
    assert not result.is_trusted


@pytest.fixture(scope="module", params=[RBM(18), RARBM(18, 16)], ids=["RBM", "RARBM"])
def digits_model(request):
    """A model of digits that is small enough to be enumerated, and its log Z."""
    X = load_digits().data > 8
    model = request.param.set_params(max_iter=30, random_state=0).fit(X)
    return model, model.log_partition("exact").value


@pytest.mark.slow
def test_stated_errors_cover_as_often_as_they_say(digits_model):
    """200 seeds: one error covers 68 %, two cover 95 %, within what a binomial allows.

    P(false alarm) 1e-4 each: limits of the binomial. Errors of 24 columns are themselves
    uncertain by a seventh, so that deviations follow Student's t of about 23 degrees.
    """
    model, exact = digits_model
    machine = get_fitted_model(model, backend=get_backend("numba", n_threads=2)).machine
    deviations = []
    for seed in range(200):
        result, _ = temper(machine, seed, tol=0.1)
        assert result.stopped_by == "tol"
        deviations.append((result.value - exact) / result.error)
    deviations = np.abs(deviations)
    for width in (1.0, 2.0):
        p = 1.0 - 2.0 * stats.t.sf(width, 23)
        low, high = stats.binom.ppf([0.5e-4, 1 - 0.5e-4], 200, p)
        assert low <= np.sum(deviations < width) <= high
