"""Diagnostics against enumeration, linear algebra, and chains and triangles that are known.

The statistical tests refuse a correct program with probability 1e-4 each, were the seeds not
fixed, unless they say otherwise.
"""

from __future__ import annotations

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.exceptions import NotFittedError
from tools.brute_force import Enumerated, all_spins, p_value, weights_of_patterns
from tools.ladders import exact_rejections

from sklearn_rapid import RARBM, RBM, diagnostics
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.diagnostics import (
    autocorrelation_time,
    gibbs_accessibility,
    ground_state_energy,
    integrated_autocorrelation_time,
    ladder_travels,
    mattis_magnetization,
    method_accessibility,
    overlap_distribution,
    pattern_load,
    pattern_overlaps,
    pattern_retrieval,
    reconstruction_distance,
    singular_values,
    ultrametricity,
)
from sklearn_rapid.diagnostics._autocorrelation import _autocorrelations
from sklearn_rapid.diagnostics._samples import _choose_triples
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)

SMALLEST_P = 1e-4
# Standard errors that a right program stays within but for that probability.
LARGEST_Z = norm.isf(SMALLEST_P / 2)


def dense_model(W, b=None, c=None, **parameters):
    """An RBM with these parameters."""
    n_visible, n_hidden = W.shape
    model = RBM(n_hidden, max_iter=1, random_state=0, **{"dtype": "float64", **parameters})
    model.fit(np.eye(2, n_visible))
    model.components_ = W.T.astype(model.dtype)
    return with_biases(model, b, c)


def pattern_model(visible, hidden, b=None, c=None, **parameters):
    """An RARBM with these patterns."""
    model = RARBM(
        hidden.shape[1],
        len(hidden),
        max_iter=1,
        random_state=0,
        **{"dtype": "float64", **parameters},
    )
    model.fit(np.eye(2, visible.shape[1]))
    model.visible_patterns_ = visible.astype(model.dtype)
    model.hidden_patterns_ = hidden.astype(model.dtype)
    return with_biases(model, b, c)


def with_biases(model, b, c):
    shapes = {"intercept_visible_": b, "intercept_hidden_": c}
    for name, bias in shapes.items():
        zero = np.zeros_like(getattr(model, name))
        setattr(model, name, zero if bias is None else bias.astype(model.dtype))
    return model


def random_model(kind, shape, *, biases=True, scale=0.5, seed=0, **parameters):
    """A random model of either kind, and the same for enumeration."""
    rng = np.random.default_rng([seed, *shape])
    b, c = (rng.normal(scale=0.4 * biases, size=n) for n in shape)
    if kind == "dense":
        model = dense_model(rng.normal(scale=scale, size=shape), b, c, **parameters)
        W = model.components_.T.astype(float)
    else:
        patterns = (rng.normal(scale=scale**0.5, size=(3, n)) for n in shape)
        model = pattern_model(*patterns, b, c, **parameters)
        W = weights_of_patterns(
            model.visible_patterns_.astype(float), model.hidden_patterns_.astype(float)
        )
    b, c = (x.astype(float) for x in (model.intercept_visible_, model.intercept_hidden_))
    return model, Enumerated(W, b, c)


def mattis_model(n_visible, n_hidden, strength=1.0, **parameters):
    """One pattern: no frustration, two ground states of energy -strength V H."""
    rng = np.random.default_rng(0)
    visible, hidden = (rng.choice([-1.0, 1.0], size=(1, n)) for n in (n_visible, n_hidden))
    return pattern_model(strength * visible, hidden, **parameters)


def two_valleys(**parameters):
    """A frozen model with a deep valley and a shallower one; their bottoms are fixed points."""
    deep = np.array([1.0, 1.0, 1.0, 1.0])
    shallow = np.array([1.0, -1.0, 1.0, -1.0])
    W = 50.0 * (np.outer(deep, deep) + 0.6 * np.outer(shallow, shallow))
    model = dense_model(W, units="spin", binarize=0.0, **parameters)
    depth = (
        0.6
        * 50.0
        * 16
        / -Enumerated(W, np.zeros(4), np.zeros(4)).energies(all_spins(4), all_spins(4)).min()
    )
    assert 0.1 < depth < 0.9
    return model, deep, shallow, depth


@pytest.fixture(params=["dense", "patterns"])
def kind(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["biases", "no biases"])
def biases(request):
    return request.param


# --- ground state and accessibility ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(5, 4), (2, 7), (7, 3), (1, 1)])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ground_state_energy_by_enumeration(kind, biases, shape, backend, dtype):
    model, exact = random_model(kind, shape, biases=biases, backend=backend, dtype=dtype)
    lowest = exact.energies(exact.visible, exact.hidden).min()
    # Double precision whatever the model's: the parameters are the same numbers.
    assert ground_state_energy(model) == pytest.approx(lowest, rel=1e-13)


def test_ground_state_energy_in_several_chunks(kind):
    model, exact = random_model(kind, (16, 17))
    v = all_spins(16)
    lowest = np.min(-v @ exact.b - np.abs(v @ exact.W + exact.c).sum(axis=1))
    assert ground_state_energy(model) == pytest.approx(lowest, rel=1e-13)


def test_ground_state_energy_holds_no_fields_of_all_states():
    model, _ = random_model("dense", (16, 300))
    ground_state_energy(model)
    tracemalloc.start()
    ground_state_energy(model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**16 * 300 * 8 / 5


def test_ground_state_energy_of_one_pattern():
    assert ground_state_energy(mattis_model(12, 30)) == -360.0


def test_ground_state_of_too_large_a_model():
    with pytest.raises(ValueError, match="at most 25 units; got 30 visible and 26 hidden"):
        ground_state_energy(dense_model(np.ones((30, 26))))
    assert ground_state_energy(mattis_model(30, 3)) == -90.0


@pytest.mark.parametrize("n_steps", [1, 3])
def test_gibbs_accessibility_has_the_exact_distribution(kind, n_steps):
    """Energies tell the 32 states apart, and so which of them the chains end in."""
    model, exact = random_model(kind, (3, 2), scale=1.0)
    v = np.full(8, 1 / 8) @ np.linalg.matrix_power(exact.gibbs_kernel(), n_steps - 1)
    joint = (v @ exact.hidden_given_visible())[:, None] * exact.visible_given_hidden()
    energies = exact.energies(exact.visible, exact.hidden).T.ravel()
    reached = gibbs_accessibility(model, n_steps, n_chains=20_000, random_state=0)
    assert reached.shape == (20_000,) and reached.max() <= 1.0 + 1e-12
    differences = np.abs(reached[:, None] * energies.min() - energies)
    assert differences.min(axis=1).max() < 1e-12
    counts = np.bincount(differences.argmin(axis=1), minlength=32)
    assert p_value(counts, joint.ravel()) > SMALLEST_P


def test_gibbs_sampling_finds_the_ground_state_of_one_pattern():
    reached = gibbs_accessibility(mattis_model(13, 30, strength=10.0), 1, random_state=0)
    # A chain could only miss it if it started without any field: 13 is odd.
    np.testing.assert_array_equal(reached, np.ones(100))


def test_gibbs_accessibility_repeats_itself_and_takes_a_known_ground_state():
    model, exact = random_model("patterns", (6, 5))
    reached = gibbs_accessibility(model, random_state=3)
    np.testing.assert_array_equal(reached, gibbs_accessibility(model, random_state=3))
    assert np.any(reached != gibbs_accessibility(model, random_state=4))
    ground = exact.energies(exact.visible, exact.hidden).min()
    halved = gibbs_accessibility(model, random_state=3, ground_energy=2 * ground)
    np.testing.assert_allclose(halved, reached / 2, rtol=1e-12)


def test_accessibility_of_nothing():
    model = dense_model(np.zeros((3, 2)))
    assert ground_state_energy(model) == 0.0
    with pytest.raises(ValueError, match="all parameters of the model are zero"):
        gibbs_accessibility(model)
    for value in (0.0, 1.0, -np.inf, np.nan, "low", True):
        with pytest.raises(ValueError, match="ground_energy must be a negative, finite number"):
            gibbs_accessibility(model, ground_energy=value)
    with pytest.raises(ValueError, match="n_gibbs_steps must be at least 1, got 0"):
        gibbs_accessibility(model, 0)
    with pytest.raises(TypeError, match="n_chains must be an int"):
        gibbs_accessibility(model, n_chains=2.5)


def test_method_accessibility_of_patterns_themselves():
    """Equation 6 to the letter: both layers from a pattern, nothing drawn."""
    phase = PatternInducedCorrelations(0, persistent=False, hidden="pattern")
    model, exact = random_model("patterns", (6, 5), negative_phase=phase)
    v, h = np.sign(model.visible_patterns_), np.sign(model.hidden_patterns_)
    ground = exact.energies(exact.visible, exact.hidden).min()
    expected = np.diag(exact.energies(v, h)).min() / ground
    assert method_accessibility(model, np.eye(6)) == pytest.approx(expected, rel=1e-12)


def test_method_accessibility_of_patterns_with_a_frozen_hidden_layer():
    phase = PatternInducedCorrelations(0, persistent=False)
    rng = np.random.default_rng(0)
    patterns = (rng.normal(scale=30.0, size=(3, n)) for n in (6, 5))
    model = pattern_model(*patterns, negative_phase=phase)
    W = model.components_.T
    v = np.sign(model.visible_patterns_)
    # No field is so weak that a spin would ever oppose it.
    assert np.abs(v @ W).min() > 20.0
    ground = -np.abs(all_spins(6) @ W).sum(axis=1).max()
    expected = -np.abs(v @ W).sum(axis=1).max() / ground
    assert method_accessibility(model, np.eye(6)) == pytest.approx(expected, rel=1e-12)


def test_method_accessibility_of_contrastive_divergence_is_that_of_the_data():
    model, deep, shallow, depth = two_valleys(negative_phase=ContrastiveDivergence(3))
    assert method_accessibility(model, shallow[None, :]) == pytest.approx(depth, rel=1e-12)
    both = np.stack([deep, shallow])
    assert method_accessibility(model, both) == pytest.approx(1.0, rel=1e-12)


def test_method_accessibility_of_persistent_chains_is_theirs():
    phase = PersistentContrastiveDivergence(3, n_chains=2)
    model, deep, shallow, depth = two_valleys(negative_phase=phase)
    model._training_state["chains"] = np.stack([shallow, -shallow])
    assert method_accessibility(model, deep[None, :]) == pytest.approx(depth, rel=1e-12)


def test_method_accessibility_of_the_exact_phase_is_not_defined():
    model = dense_model(np.ones((3, 2)), negative_phase="exact")
    with pytest.raises(ValueError, match=r"sampled states, but Exact\(\) weighs all"):
        method_accessibility(model, np.eye(3))


# --- couplings and patterns -----------------------------------------------------------------


@pytest.mark.parametrize(("shape", "n_patterns"), [((6, 9), 3), ((9, 6), 7), ((4, 5), 20)])
def test_singular_values(shape, n_patterns):
    rng = np.random.default_rng(0)
    patterns = (rng.normal(size=(n_patterns, n)) for n in shape)
    of_patterns = pattern_model(*patterns)
    W = of_patterns.components_.T
    expected = np.linalg.svd(W, compute_uv=False)
    for model in (of_patterns, dense_model(W)):
        values = singular_values(model)
        assert values.shape == (min(shape),)
        np.testing.assert_allclose(values, expected, atol=1e-14 * expected[0])
    assert np.all(singular_values(of_patterns)[n_patterns:] == 0.0)


def test_small_singular_values_of_patterns_are_accurate():
    """Of Gram matrices, whose eigenvalues are the squares, nothing of the second were left."""
    visible, hidden = np.zeros((2, 5)), np.zeros((2, 4))
    visible[0, 0], visible[1, 1] = 1.0, 1e-10
    hidden[0, 2], hidden[1, 3] = 3.0, 1.0
    values = singular_values(pattern_model(visible, hidden))
    np.testing.assert_allclose(values[:2], np.array([3.0, 1e-10]) / np.sqrt(2), rtol=1e-12)


def test_singular_values_of_patterns_never_form_the_couplings():
    rng = np.random.default_rng(0)
    model = pattern_model(*(rng.normal(size=(2, 2000)) for _ in range(2)), dtype="float32")
    tracemalloc.start()
    singular_values(model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 2000 * 4 / 10


def test_pattern_overlaps():
    visible = np.array([[1.0, 0.0, 0.3, -2.0], [-1.0, 1.0, 1.0, -1.0]])
    hidden = np.array([[0.1, -0.2], [0.1, -0.2]])
    overlaps = pattern_overlaps(pattern_model(visible, hidden))
    # The sign of zero is +1: the visible signs differ in the first place only.
    np.testing.assert_array_equal(overlaps.visible, [[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_array_equal(overlaps.hidden, np.ones((2, 2)))


@pytest.mark.parametrize("units", ["binary", "spin"])
def test_mattis_magnetization(units):
    visible = np.array([[0.5, -0.5, 0.5, 0.5], [-1.0, -1.0, -1.0, 1.0]])
    binarize = 0.5 if units == "binary" else 0.0
    model = pattern_model(visible, np.ones((2, 3)), units=units, binarize=binarize)
    spins = np.array([[1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]])
    X = spins if units == "spin" else (spins + 1) / 2
    expected = [[1.0, 0.0], [-1.0, 0.0], [0.5, -0.5]]
    np.testing.assert_array_equal(mattis_magnetization(model, X), expected)


def test_pattern_load():
    load = pattern_load(pattern_model(np.ones((6, 4)), np.ones((6, 8))))
    assert (load.total, load.visible, load.hidden) == (0.5, 1.5, 0.75)


def test_one_pattern_is_retrieved():
    found = pattern_retrieval(mattis_model(7, 9))
    assert found.is_fixed_point.tolist() == [True] and found.n_steps.tolist() == [0]
    assert found.visible_overlap.tolist() == [1.0] and found.hidden_overlap.tolist() == [1.0]


def test_spins_without_a_field_stay():
    """The two patterns' couplings cancel: W = 0, and nothing moves."""
    visible, hidden = np.ones((2, 3)), np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert pattern_retrieval(pattern_model(visible, hidden)).is_fixed_point.all()


@pytest.mark.parametrize("with_biases", [True, False])
def test_retrieval_follows_the_zero_temperature_dynamics(with_biases):
    rng = np.random.default_rng(1)
    visible, hidden = (rng.choice([-1.0, 1.0], size=(10, n)) for n in (11, 13))
    biases = [rng.normal(size=n) if with_biases else np.zeros(n) for n in (11, 13)]
    model = pattern_model(visible, hidden, *biases)
    found = pattern_retrieval(model)
    W = weights_of_patterns(visible, hidden)
    for k in range(10):
        v, h, n_steps = visible[k], hidden[k], 0
        while True:
            new_h = np.array([align(h[j], W[:, j] @ v + biases[1][j]) for j in range(13)])
            new_v = np.array([align(v[i], W[i] @ new_h + biases[0][i]) for i in range(11)])
            if np.array_equal(new_v, v) and np.array_equal(new_h, h):
                break
            v, h, n_steps = new_v, new_h, n_steps + 1
        assert found.n_steps[k] == n_steps
        assert found.is_fixed_point[k] == (n_steps == 0)
        assert found.visible_overlap[k] == pytest.approx(v @ visible[k] / 11)
        assert found.hidden_overlap[k] == pytest.approx(h @ hidden[k] / 13)
    # So many patterns on so few units move: the test is not one of standing still.
    assert found.n_steps.max() >= 2
    assert pattern_retrieval(model, max_steps=1).n_steps.max() == 1


def align(spin, field):
    return spin if abs(field) < 1e-12 else np.sign(field)


@pytest.mark.parametrize("name", ["overlaps", "load", "retrieval"])
def test_patterns_of_a_model_without_any(name):
    with pytest.raises(ValueError, match="RBM has none: use RARBM"):
        getattr(diagnostics, f"pattern_{name}")(dense_model(np.ones((3, 2))))


# --- autocorrelation ------------------------------------------------------------------------


def autoregressive(phi, n_chains, n_steps, seed):
    """Stationary AR(1) chains x' = φ x + noise, with ρ(t) = φ^t and τ = (1 + φ) / (1 - φ)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_steps, n_chains))
    x = np.empty((n_steps, n_chains))
    x[0] = noise[0] / np.sqrt(1 - phi**2)
    for t in range(1, n_steps):
        x[t] = phi * x[t - 1] + noise[t]
    return x.T


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.9])
def test_autocorrelation_time_of_autoregressive_chains(phi):
    tau = integrated_autocorrelation_time(autoregressive(phi, 50, 4000, seed=1))
    assert tau.is_reliable
    # What lies beyond the window is less than the error by two orders of magnitude.
    exact = (1 + phi) / (1 - phi)
    assert abs(tau.value - exact) < LARGEST_Z * tau.error
    assert tau.error < 0.06 * exact
    assert (tau.n_chains, tau.n_steps) == (50, 4000)


@pytest.mark.slow
def test_error_of_the_autocorrelation_time():
    """Over 400 repetitions their scatter is known to 3.5 %, and the formula holds to a tenth."""
    taus = [
        integrated_autocorrelation_time(autoregressive(0.8, 5, 2000, seed=s)) for s in range(400)
    ]
    scatter = np.std([tau.value for tau in taus])
    assert np.mean([tau.error for tau in taus]) == pytest.approx(scatter, rel=0.1 + 4 * 0.035)


def test_autocorrelations_of_short_chains():
    """Mean products of steps t apart: chains do not run in circles, and few pairs are few."""
    x = np.random.default_rng(0).normal(size=(3, 7))
    x = x - x.mean()
    products = np.array([np.mean(x[:, : 7 - t] * x[:, t:]) for t in range(7)])
    np.testing.assert_allclose(_autocorrelations(x + 5.0), products / products[0], atol=1e-12)


def test_one_chain_may_be_one_dimensional():
    series = autoregressive(0.5, 1, 5000, seed=0)
    assert integrated_autocorrelation_time(series[0]) == integrated_autocorrelation_time(series)


def test_chains_too_short_or_stuck_are_not_reliable():
    short = integrated_autocorrelation_time(autoregressive(0.98, 20, 200, seed=0))
    assert not short.is_reliable
    # Each chain mixes well about a value of its own.
    stuck = autoregressive(0.0, 20, 1000, seed=0) + 5.0 * np.arange(20)[:, None]
    assert not integrated_autocorrelation_time(stuck).is_reliable
    constant = integrated_autocorrelation_time(np.ones((3, 100)))
    assert np.isnan(constant.value) and not constant.is_reliable


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.ones((2, 3, 4)), r"series must have shape .* got \(2, 3, 4\)"),
        (np.ones(1), r"at least two steps, got \(1,\)"),
        (np.array([0.0, np.nan, 1.0]), "series must be finite"),
    ],
)
def test_bad_series(series, message):
    with pytest.raises(ValueError, match=message):
        integrated_autocorrelation_time(series)


def test_bad_window():
    with pytest.raises(ValueError, match="window_factor must be a number of at least 1"):
        integrated_autocorrelation_time(np.arange(9.0), window_factor=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("observable", ["free_energy", "magnetization"])
def test_autocorrelation_time_of_a_small_model(kind, observable):
    """ρ(t) = <f, T^t f> / <f, f> from powers of the exact kernel, and their sums."""
    model, exact = random_model(kind, (4, 3), scale=1.0)
    p, kernel = exact.visible_probabilities(), exact.gibbs_kernel()
    is_energy = observable == "free_energy"
    f = exact.free_energy(exact.visible) if is_energy else exact.visible.mean(axis=1)
    f = f - p @ f
    powers = [f]
    for _ in range(2000):
        powers.append(kernel @ powers[-1])
    rho = np.array([(p * f) @ g for g in powers]) / ((p * f) @ f)
    assert np.all(rho > -1e-15) and rho[-1] < 1e-10
    how = {"n_chains": 50, "observable": observable, "n_burn_in": 200, "random_state": 0}
    tau = autocorrelation_time(model, 4000, **how)
    assert tau.is_reliable
    assert abs(tau.value - (1 + 2 * rho[1 : tau.window + 1].sum())) < LARGEST_Z * tau.error
    # States that know nothing of each other would have been told apart.
    assert tau.value - 1.0 > 2 * LARGEST_Z * tau.error
    # A window many times as long holds what a slow mode that is hardly felt adds.
    tau = autocorrelation_time(model, 4000, window_factor=40.0, **how)
    assert rho[tau.window + 1 :].sum() < 1e-2 * tau.error
    assert abs(tau.value - (1 + 2 * rho[1:].sum())) < LARGEST_Z * tau.error


def test_autocorrelation_time_that_is_not_known():
    model, *_ = two_valleys()
    with pytest.warns(RuntimeWarning, match="chains of 100 steps are too short"):
        tau = autocorrelation_time(
            model, 100, n_chains=20, observable="free_energy", n_burn_in=10, random_state=0
        )
    assert not tau.is_reliable
    with pytest.raises(ValueError, match="observable must be one of 'free_energy'"):
        autocorrelation_time(model, observable="energy")


# --- reconstructions ------------------------------------------------------------------------


def expected_distance(exact, true, known, clamp):
    """Of one Gibbs step from the known spins, the others at 0, by summing over h."""
    start = np.where(known, true, 0.0)[None, :]
    log_p = -exact.energies(start, exact.hidden)[0]
    p_hidden = np.exp(log_p - log_p.max())
    p_hidden /= p_hidden.sum()
    p_true = 1 / (1 + np.exp(-2 * true * (exact.hidden @ exact.W.T + exact.b)))
    wrong = p_hidden @ (1 - p_true)
    return np.mean(np.where(known & clamp, 0.0, wrong))


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("units", ["binary", "spin"])
def test_mean_reconstruction_distance(kind, clamp, units):
    binarize = 0.5 if units == "binary" else 0.0
    model, exact = random_model(kind, (5, 4), scale=0.8, units=units, binarize=binarize)
    true = np.array([1.0, -1.0, -1.0, 1.0, 1.0])
    known = np.array([True, True, False, False, True])
    X = np.tile(true if units == "spin" else (true + 1) / 2, (5000, 1))
    distances = reconstruction_distance(
        model, X, known, n_gibbs_steps=1, clamp=clamp, random_state=0
    )
    expected = expected_distance(exact, true, known, clamp)
    error = distances.std() / np.sqrt(5000)
    assert abs(distances.mean() - expected) < LARGEST_Z * error
    # Clamped and free are told apart, and so is a division by the free pixels alone.
    other = expected_distance(exact, true, known, not clamp)
    assert min(abs(other - expected), abs(expected * 5 / 2 - expected)) > 2 * LARGEST_Z * error


def test_a_memory_completes_its_pattern():
    model = mattis_model(9, 40, strength=10.0)
    pattern = (model.visible_patterns_ > 0).astype(float)
    X = np.concatenate([pattern, 1 - pattern])
    mask = np.zeros((2, 9), dtype=bool)
    mask[0, 3] = mask[1, 7] = True
    np.testing.assert_array_equal(reconstruction_distance(model, X, mask, random_state=0), 0.0)
    # What is known is wrong: the model completes the negative of the rest.
    X[0, 3] = 1 - X[0, 3]
    distances = reconstruction_distance(model, X, mask, random_state=0)
    np.testing.assert_allclose(distances, [8 / 9, 0.0])


def test_reconstruction_of_what_cannot_be():
    model = dense_model(np.ones((3, 2)))
    mask = np.array([True, False, False])
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3\) or \(3,\), got \(2,\)"):
        reconstruction_distance(model, np.ones((2, 3)), mask[:2])
    with pytest.raises(ValueError, match="mask must hold booleans"):
        reconstruction_distance(model, np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match="NaN"):
        reconstruction_distance(model, np.full((2, 3), np.nan), mask)
    with pytest.raises(TypeError, match="clamp must be a bool, got 'yes'"):
        reconstruction_distance(model, np.ones((2, 3)), mask, clamp="yes")


# --- overlaps of states ---------------------------------------------------------------------


@pytest.mark.slow
def test_overlap_distribution_of_given_states():
    rng = np.random.default_rng(0)
    v = rng.choice([-1.0, 1.0], size=(1500, 3))  # more rows than are taken at a time
    distribution = overlap_distribution(dense_model(np.ones((3, 2))), (v + 1) / 2)
    overlaps = [v[i] @ v[j] / 3 for i in range(1500) for j in range(i)]
    counts = [np.sum(np.isclose(overlaps, q)) for q in (-1, -1 / 3, 1 / 3, 1)]
    np.testing.assert_allclose(distribution.overlaps, [-1, -1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(distribution.probabilities, np.array(counts) / len(overlaps))
    assert distribution.mean == pytest.approx(np.mean(overlaps))
    assert distribution.n_samples == 1500


@pytest.mark.parametrize("binarize", [0.5, 8.0])
def test_overlap_distribution_of_samples(binarize):
    """A frozen pattern and its negative: q is +1 or -1. Samples ignore the data's threshold."""
    model = mattis_model(9, 40, strength=10.0)
    model.set_params(binarize=binarize)
    distribution = overlap_distribution(model, n_samples=200, random_state=0)
    assert np.all(distribution.probabilities[1:-1] == 0.0)
    # n(n-1)/2 pairs of n fair coins: their mean has the standard deviation √(2/(n(n-1))).
    assert abs(distribution.mean) < LARGEST_Z * np.sqrt(2 / (200 * 199))


@pytest.mark.slow
def test_ladder_travels():
    """Against rejections by enumeration; 24 columns of 400 sweeps: five errors are below .1."""
    model = dense_model(np.random.default_rng(0).normal(0.0, 0.6, (5, 4)))
    travelled = ladder_travels(model, n_sweeps=400, random_state=0)
    exact = Enumerated(
        model.components_.T.astype(float),
        model.intercept_visible_.astype(float),
        model.intercept_hidden_.astype(float),
    )
    expected = exact_rejections(exact, travelled.betas, np.zeros(5))
    np.testing.assert_allclose(travelled.rejections, expected, atol=0.1)
    np.testing.assert_allclose(
        np.sum(travelled.local_barrier * np.diff(travelled.betas)), travelled.barrier
    )
    assert (travelled.n_sweeps, travelled.n_columns) == (400, 24)
    assert travelled.n_round_trips > 24
    again = ladder_travels(model, n_sweeps=400, random_state=0)
    assert again.n_round_trips == travelled.n_round_trips


def tree(n_leaves=3):
    """Leaves on two branches: those of one differ in 2 spins, others in 10."""
    leaves = []
    for branch in range(2):
        for leaf in range(n_leaves):
            v = np.zeros(8 + 2 * n_leaves)
            v[4 * branch : 4 * branch + 4] = 1
            v[8 + branch * n_leaves + leaf] = 1
            leaves.append(v)
    return np.array(leaves)


def test_a_tree_is_ultrametric():
    X = tree()
    measured = ultrametricity(dense_model(np.ones((X.shape[1], 2))), X)
    assert measured.sides.shape == (20, 3)  # all triples of six
    assert measured.scaled_gap == 0.0 and measured.relative_gap == 0.0
    assert set(np.unique(measured.sides * X.shape[1]).round(12)) == {2.0, 10.0}


def test_a_line_is_not_ultrametric():
    X = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]])
    measured = ultrametricity(dense_model(np.ones((4, 2))), X)
    np.testing.assert_allclose(measured.sides, [[0.25, 0.5, 0.75]])
    assert measured.relative_gap == pytest.approx(1.0)
    assert measured.scaled_gap == pytest.approx(0.25 / np.std([0.25, 0.5, 0.75]))


def test_mirror_images_can_count_as_one():
    X = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    model = dense_model(np.ones((4, 2)))
    np.testing.assert_allclose(ultrametricity(model, X).sides, [[0.25, 0.75, 1.0]])
    np.testing.assert_allclose(ultrametricity(model, X, up_to_sign=True).sides, [[0, 0.25, 0.25]])


def test_equal_states_have_no_triangles():
    measured = ultrametricity(dense_model(np.ones((4, 2))), np.ones((5, 4)))
    assert np.isnan(measured.scaled_gap) and np.isnan(measured.relative_gap)


def test_ultrametricity_of_fair_coins():
    """Sides are uncorrelated normal numbers: the mean gap of three is 3 / (2 √π) deviations.

    The gap of three has a standard deviation of 0.61 of that of a side. Triples share rows, but
    their sides are uncorrelated; 10,000 of them give 0.006, and five of these are allowed.
    """
    model = dense_model(np.zeros((2000, 2)), dtype="float32")
    measured = ultrametricity(model, n_samples=300, n_gibbs_steps=1, random_state=0)
    assert measured.sides.shape == (10_000, 3)
    assert measured.scaled_gap == pytest.approx(3 / (2 * np.sqrt(np.pi)), abs=0.031)


def test_triples_are_of_different_rows_and_equally_likely():
    triples = _choose_triples(6, 19, np.random.RandomState(0))
    assert triples.shape == (19, 3)
    triples = np.concatenate([_choose_triples(6, 19, np.random.RandomState(s)) for s in range(500)])
    assert all(len(set(triple)) == 3 for triple in triples)
    _, counts = np.unique(np.sort(triples, axis=1), axis=0, return_counts=True)
    assert len(counts) == 20
    assert p_value(counts, np.full(20, 1 / 20)) > SMALLEST_P


def test_too_few_states():
    model = dense_model(np.ones((3, 2)))
    with pytest.raises(ValueError, match="at least 3 states are needed, got 2"):
        ultrametricity(model, np.eye(3)[:2])
    with pytest.raises(ValueError, match="at least 2 states are needed, got 1"):
        overlap_distribution(model, np.eye(3)[:1])


# --- all of them ----------------------------------------------------------------------------

X = make_bars(3)
CALLS = {
    ladder_travels: (),
    autocorrelation_time: (),
    gibbs_accessibility: (),
    ground_state_energy: (),
    mattis_magnetization: (X,),
    method_accessibility: (X,),
    overlap_distribution: (),
    pattern_load: (),
    pattern_overlaps: (),
    pattern_retrieval: (),
    reconstruction_distance: (X, np.arange(9) < 3),
    singular_values: (),
    ultrametricity: (),
}


def test_every_function_is_called_below():
    public = {name for name in diagnostics.__all__ if name.islower()}
    of_no_model = {"integrated_autocorrelation_time", "compare_tables"}
    assert public - {function.__name__ for function in CALLS} == of_no_model


@pytest.mark.parametrize("function", CALLS, ids=lambda f: f.__name__)
def test_needs_a_fitted_estimator(function):
    with pytest.raises(NotFittedError):
        function(RARBM(), *CALLS[function])
    with pytest.raises(TypeError, match=r"estimator must be a fitted RBM, .* or RABM, got 'rbm'"):
        function("rbm", *CALLS[function])


@pytest.mark.slow
@pytest.mark.parametrize("function", CALLS, ids=lambda f: f.__name__)
def test_leaves_the_estimator_as_it_was(function):
    model = RARBM(6, 4, max_iter=3, random_state=0).fit(X)
    before = {k: pickle.dumps(v) for k, v in vars(model).items() if k.endswith("_")}
    position = model._training_state["stream"].position
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        function(model, *CALLS[function])
    assert {name for name in vars(model) if name.endswith("_")} == set(before)
    for name, value in before.items():
        assert pickle.dumps(getattr(model, name)) == value, name
    assert model._training_state["stream"].position == position
