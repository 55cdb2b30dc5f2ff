"""Fitted estimators against enumeration of their own parameters, and how they are trained."""

from __future__ import annotations

import itertools
import pickle
import tracemalloc
import warnings
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from tools.brute_force import Enumerated, p_value, p_value_of_states, state_numbers
from tools.callbacks import Silent

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import get_backend, threads
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.training import fused, trainer
from sklearn_rapid.training.fit import run
from sklearn_rapid.training.negative_phase import (
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.trainer import Trainer

# How often a right program fails each test of a distribution; seeds are fixed.
FALSE_ALARM_RATE = 1e-4

ESTIMATORS = {
    "RBM": RBM(n_components=6, max_iter=10, batch_size=20, random_state=0),
    "RARBM": RARBM(n_components=6, n_patterns=4, max_iter=10, batch_size=20, random_state=0),
}


# --- helpers ----------------------------------------------------------------------------


def parameters(model):
    names = ["components_", "intercept_visible_", "intercept_hidden_"]
    if isinstance(model, RARBM):
        names += ["visible_patterns_", "hidden_patterns_"]
    return {name: getattr(model, name) for name in names}


def assert_same_model(a, b):
    for name, value in parameters(a).items():
        np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def assert_finite(model):
    for name, value in parameters(model).items():
        assert np.isfinite(value).all(), name


def enumerated(model):
    """The published parameters in float64, to be summed over by brute force."""
    return Enumerated(
        model.components_.T.astype(float),
        model.intercept_visible_.astype(float),
        model.intercept_hidden_.astype(float),
    )


def in_units(spins, units):
    return spins if units == "spin" else (spins + 1.0) / 2.0


def spins_of(X, units):
    return np.asarray(X, dtype=float) if units == "spin" else 2.0 * np.asarray(X, float) - 1.0


def noisy(X, share, seed):
    """X, a share of its values flipped."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(X.shape) < share, 1 - X, X).astype(np.uint8)


@pytest.fixture(scope="module")
def bars():
    """300 noisy images of 3x3 bars."""
    X = make_bars(3)
    return noisy(X[np.random.default_rng(1).integers(len(X), size=300)], 0.1, seed=2)


@pytest.fixture(scope="module")
def wide():
    """1000 rows of 70 correlated values: several blocks of rows, and no round numbers."""
    rng = np.random.default_rng(3)
    return noisy(rng.integers(2, size=(8, 70))[rng.integers(8, size=1000)], 0.2, seed=4)


@pytest.fixture(
    scope="module",
    params=[
        (name, units, with_biases)
        for name in ESTIMATORS
        for units in ("binary", "spin")
        for with_biases in (True, False)
    ],
    ids=lambda p: f"{p[0]}-{p[1]}-{'biases' if p[2] else 'no biases'}",
)
def trained(request, bars):
    """A trained model of 9 visible and 6 hidden units."""
    name, units, with_biases = request.param
    model = clone(ESTIMATORS[name]).set_params(units=units, fit_intercept=with_biases)
    return model.fit(in_units(2.0 * bars - 1.0, units))


@pytest.fixture(params=list(ESTIMATORS))
def estimator(request):
    return clone(ESTIMATORS[request.param])


# --- features and likelihoods by brute force --------------------------------------------


def test_likelihoods_by_enumeration(trained):
    exact = enumerated(trained)
    states = in_units(exact.visible, trained.units)
    log_p = trained.score_samples(states)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-5)
    # Fields are float32 sums of 15 terms of order one.
    np.testing.assert_allclose(log_p, np.log(exact.visible_probabilities()), atol=2e-5)
    np.testing.assert_allclose(
        trained.free_energy(states), exact.free_energy(exact.visible), atol=2e-5
    )
    np.testing.assert_allclose(
        trained.pseudo_likelihood(states), exact.log_pseudo_likelihood(), atol=5e-5
    )
    assert trained.score(states) == pytest.approx(np.mean(log_p), abs=1e-12)
    assert trained.log_partition_ == pytest.approx(exact.log_z(), abs=2e-5)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_float64_likelihoods_are_exact_to_rounding(estimator, bars, backend):
    model = estimator.set_params(dtype="float64", backend=backend).fit(bars)
    exact = enumerated(model)
    log_p = model.score_samples(in_units(exact.visible, "binary"))
    np.testing.assert_allclose(log_p, np.log(exact.visible_probabilities()), atol=1e-10)


def test_transform_is_the_conditional_mean(trained):
    exact = enumerated(trained)
    features = trained.transform(in_units(exact.visible, trained.units))
    mean = exact.hidden_given_visible() @ exact.hidden
    np.testing.assert_allclose(features, in_units(mean, trained.units), atol=2e-6)


def test_inverse_transform_is_the_conditional_mean(trained):
    exact = enumerated(trained)
    visible = trained.inverse_transform(in_units(exact.hidden, trained.units))
    mean = exact.visible_given_hidden() @ exact.visible
    np.testing.assert_allclose(visible, in_units(mean, trained.units), atol=2e-6)


def test_inverse_transform_takes_means(trained):
    exact = enumerated(trained)
    means = np.random.default_rng(0).uniform(-1.0, 1.0, (5, 6))
    visible = trained.inverse_transform(in_units(means, trained.units))
    expected = np.tanh(means @ exact.W.T + exact.b)
    np.testing.assert_allclose(visible, in_units(expected, trained.units), atol=2e-6)


def test_sampled_features_follow_the_conditional(trained):
    exact = enumerated(trained)
    number = 77
    X = np.repeat(in_units(exact.visible[number : number + 1], trained.units), 5000, axis=0)
    sampler = pickle.loads(pickle.dumps(trained)).set_params(hidden_features="sample")
    features = sampler.transform(X)
    spins = spins_of(features, trained.units)
    assert set(np.unique(spins)) <= {-1.0, 1.0}
    p = p_value_of_states(spins, exact.hidden_given_visible()[number])
    assert p > FALSE_ALARM_RATE
    np.testing.assert_array_equal(features, sampler.transform(X))


def test_without_intercepts_biases_stay_zero(estimator, bars):
    model = estimator.set_params(fit_intercept=False).fit(bars)
    assert not model.intercept_visible_.any()
    assert not model.intercept_hidden_.any()
    assert model.components_.any()


# --- log Z of a larger model ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [RBM(n_components=20, random_state=0), RARBM(n_components=20, n_patterns=16, random_state=0)],
    ids=["RBM", "RARBM"],
)
def test_estimates_agree_with_enumeration_on_digits(estimator):
    """Trained on digits, 64 pixels and 20 hidden units; five standard errors: 6e-7."""
    X = load_digits().data
    model = clone(estimator).set_params(binarize=8.0, max_iter=15).fit(X)
    exact = model.log_partition("exact")
    estimate = model.log_partition("ais", n_chains=200, n_temperatures=1000, random_state=0)
    assert exact.method == "exact" and exact.error < 1e-4
    assert estimate.method == "ais"
    assert 0.0 < estimate.error < 0.5
    assert abs(estimate.value - exact.value) < 5.0 * estimate.error
    estimate = model.log_partition("tempering", tol=0.05, max_sweeps=2000, random_state=0)
    assert (estimate.method, estimate.is_trusted, estimate.stopped_by) == ("tempering", True, "tol")
    assert abs(estimate.value - exact.value) < 5.0 * estimate.error <= 0.25
    # "auto" enumerates up to 20 units.
    assert model.log_partition_ == exact.value
    # The model has learned: it beats independent pixels.
    p = np.clip((X > 8.0).mean(axis=0), 1e-3, 1.0 - 1e-3)
    independent = np.mean(((X > 8.0) * np.log(p) + (X <= 8.0) * np.log1p(-p)).sum(axis=1))
    assert model.score(X) > independent


# --- samples ----------------------------------------------------------------------------


def test_samples_of_a_ladder_follow_the_model(trained):
    """Samples of a column follow from one another: every tenth of each of 24 columns is taken."""
    X = trained.sample(24 * 2000, random_state=0).reshape(2000, 24, 9)[::10].reshape(-1, 9)
    p = p_value_of_states(spins_of(X, trained.units), enumerated(trained).visible_probabilities())
    assert p > FALSE_ALARM_RATE


def test_samples_of_a_ladder(estimator, bars):
    model = estimator.fit(bars)
    first, again, other = (model.sample(50, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # What was asked before makes no difference.
    fresh = pickle.loads(pickle.dumps(model))
    fresh.score(bars)
    np.testing.assert_array_equal(fresh.sample(50, random_state=0), first)
    samples, travelled = model.sample(50, return_travels=True, random_state=0)
    np.testing.assert_array_equal(samples, first)
    assert travelled.n_round_trips > 0 and travelled.n_columns == 24


@pytest.mark.slow
def test_samples_that_depend_on_each_other_are_told_of():
    """Two hidden patterns that no state gets away from: none arrives from β = 0."""
    X = np.tile(np.eye(2, 100, dtype=int).repeat(50, axis=1)[:, :100], (50, 1))
    model = RBM(20, max_iter=1, random_state=0).fit(X)
    model.components_ = 300.0 * np.sign(np.random.default_rng(0).normal(size=(20, 100)))
    with pytest.warns(RuntimeWarning, match="of 500 samples about [0-9]{1,2} are independent"):
        model.sample(500, random_state=0)


@pytest.mark.slow
def test_samples_follow_the_model(trained):
    X = trained.sample(20_000, n_gibbs_steps=300, init="random", random_state=0)
    p = p_value_of_states(spins_of(X, trained.units), enumerated(trained).visible_probabilities())
    assert p > FALSE_ALARM_RATE


def test_gibbs_steps_leave_the_model_distribution_as_it_is(trained):
    exact = enumerated(trained)
    start = exact.sample_visible(20_000, np.random.default_rng(0))
    X = trained.gibbs(in_units(start, trained.units), n_steps=1, random_state=0)
    p = p_value_of_states(spins_of(X, trained.units), exact.visible_probabilities())
    assert p > FALSE_ALARM_RATE


@pytest.mark.parametrize("n_steps", [1, 2])
def test_gibbs_steps_from_one_state(trained, n_steps):
    exact = enumerated(trained)
    number = 300
    X = np.repeat(in_units(exact.visible[number : number + 1], trained.units), 20_000, axis=0)
    after = trained.gibbs(X, n_steps=n_steps, random_state=0)
    expected = np.linalg.matrix_power(exact.gibbs_kernel(), n_steps)[number]
    assert p_value_of_states(spins_of(after, trained.units), expected) > FALSE_ALARM_RATE


def test_no_gibbs_step_returns_the_rows(estimator, bars):
    np.testing.assert_array_equal(estimator.fit(bars).gibbs(bars, n_steps=0), bars)


def test_random_state_of_samples(estimator, bars):
    model = estimator.fit(bars)
    draws = [model.sample(50, n_gibbs_steps=5, random_state=seed) for seed in (0, 0, 1, None, None)]
    np.testing.assert_array_equal(draws[0], draws[1])
    for a, b in [(0, 2), (3, 4)]:
        assert (draws[a] != draws[b]).any()
    first, second = (model.gibbs(bars, random_state=seed) for seed in (0, 1))
    assert (first != second).any()


def test_sample_starts_at_given_states(estimator, bars):
    model = estimator.fit(bars)
    X = model.sample(7, n_gibbs_steps=0, init=bars[:3])
    np.testing.assert_array_equal(X, bars[[0, 1, 2, 0, 1, 2, 0]])


def test_sample_starts_at_the_patterns(bars):
    model = clone(ESTIMATORS["RARBM"]).fit(bars)
    X = model.sample(6, n_gibbs_steps=0, init="patterns")
    on = model.visible_patterns_ >= 0
    np.testing.assert_array_equal(X, on[[0, 1, 2, 3, 0, 1]])


def test_sample_starts_at_fair_coins(estimator, bars):
    X = estimator.fit(bars).sample(4000, n_gibbs_steps=0, init="random", random_state=0)
    assert p_value_of_states(2 * X - 1, np.full(512, 1 / 512)) > FALSE_ALARM_RATE


def test_sample_starts_at_the_chains_of_training(bars):
    phase = PersistentContrastiveDivergence(n_chains=5)
    model = clone(ESTIMATORS["RBM"]).set_params(negative_phase=phase).fit(bars)
    X = model.sample(10, n_gibbs_steps=0, random_state=0)
    np.testing.assert_array_equal(X[:5], X[5:])
    assert (X != model.sample(10, n_gibbs_steps=0, init="random", random_state=0)).any()


def test_sample_is_random_where_training_kept_no_chains(bars):
    model = clone(ESTIMATORS["RBM"]).set_params(negative_phase="cd").fit(bars)
    np.testing.assert_array_equal(
        model.sample(10, n_gibbs_steps=0, random_state=0),
        model.sample(10, n_gibbs_steps=0, init="random", random_state=0),
    )


# --- reconstruction ---------------------------------------------------------------------

MISSING = np.array([0, 4, 5])


def test_missing_entries_follow_their_conditional(trained):
    exact = enumerated(trained)
    row = spins_of(make_bars(3)[4:5], "binary")
    X = np.repeat(in_units(row, trained.units), 5000, axis=0)
    X[:, MISSING] = np.nan
    out = trained.reconstruct(X, n_gibbs_steps=50, random_state=0)
    known = np.setdiff1d(np.arange(9), MISSING)
    np.testing.assert_array_equal(out[:, known], X[:, known])
    states = exact.visible
    agree = (states[:, known] == row[:, known]).all(axis=1)
    conditional = np.zeros(8)
    p = exact.visible_probabilities()[agree]
    np.add.at(conditional, state_numbers(states[agree][:, MISSING]), p / p.sum())
    counts = np.bincount(state_numbers(spins_of(out[:, MISSING], trained.units)), minlength=8)
    assert p_value(counts, conditional) > FALSE_ALARM_RATE


@pytest.mark.parametrize("tempered", [False, True])
def test_means_of_missing_entries(trained, tempered):
    """Against the exact conditional means; 2000 rows of 25 draws each: five errors are .02."""
    exact = enumerated(trained)
    row = spins_of(make_bars(3)[4:5], "binary")
    X = np.repeat(in_units(row, trained.units), 2000, axis=0)
    X[:, MISSING] = np.nan
    out = trained.reconstruct(
        X, n_gibbs_steps=100, tempered=tempered, output="mean", random_state=0
    )
    known = np.setdiff1d(np.arange(9), MISSING)
    np.testing.assert_array_equal(out[:, known], X[:, known])
    agree = (exact.visible[:, known] == row[:, known]).all(axis=1)
    p = exact.visible_probabilities()[agree]
    mean = (p / p.sum()) @ exact.visible[agree][:, MISSING]
    got = out[:, MISSING].mean(axis=0)
    np.testing.assert_allclose(got, in_units(mean, trained.units), atol=0.04)
    assert out[:, MISSING].std(axis=0).max() < 0.35  # means, not draws


def test_tempered_completions_follow_their_conditional(trained):
    exact = enumerated(trained)
    row = spins_of(make_bars(3)[4:5], "binary")
    X = np.repeat(in_units(row, trained.units), 5000, axis=0)
    X[:, MISSING] = np.nan
    out = trained.reconstruct(X, n_gibbs_steps=50, tempered=True, random_state=0)
    known = np.setdiff1d(np.arange(9), MISSING)
    np.testing.assert_array_equal(out[:, known], X[:, known])
    agree = (exact.visible[:, known] == row[:, known]).all(axis=1)
    conditional = np.zeros(8)
    p = exact.visible_probabilities()[agree]
    np.add.at(conditional, state_numbers(exact.visible[agree][:, MISSING]), p / p.sum())
    counts = np.bincount(state_numbers(spins_of(out[:, MISSING], trained.units)), minlength=8)
    assert p_value(counts, conditional) > FALSE_ALARM_RATE


def test_rows_that_are_too_likely_are_told_of(estimator, bars):
    """A log Z that is too low by two nats: different rows then have more than all there is."""
    model = estimator.set_params(max_iter=200).fit(bars)
    rows = enumerated(model).visible
    X = in_units(rows, model.units)
    log_z = model.log_partition_
    assert np.isfinite(model.score_samples(np.tile(X, (2, 1)))).all()  # doubles do not count
    with mock.patch.object(type(model), "log_partition_", log_z - 2.0):
        with pytest.warns(RuntimeWarning, match=r"512 different rows of X add up to exp\(2.00\)"):
            model.score_samples(X)


def test_nan_and_mask_mean_the_same(estimator, bars):
    model = estimator.fit(bars)
    X = bars[:50].astype(float)
    X[:, MISSING] = np.nan
    known = np.ones(9, dtype=bool)
    known[MISSING] = False
    out = model.reconstruct(X, random_state=0)
    for mask in (known, np.tile(known, (50, 1))):
        np.testing.assert_array_equal(model.reconstruct(bars[:50], mask, random_state=0), out)
    # Either says that an entry is missing.
    half = X.copy()
    half[:, 0] = bars[:50, 0]
    known[MISSING[1:]] = True
    np.testing.assert_array_equal(model.reconstruct(half, known, random_state=0), out)


def test_nothing_missing_changes_nothing(estimator, bars):
    model = estimator.fit(bars)
    np.testing.assert_array_equal(model.reconstruct(bars, random_state=0), bars)


@pytest.mark.slow
@pytest.mark.parametrize("binarize", [0.5, None, "sample"])
def test_rows_with_everything_missing(estimator, bars, binarize):
    model = estimator.set_params(binarize=binarize).fit(bars)
    X = np.full((20_000, 9), np.nan)
    out = model.reconstruct(X, n_gibbs_steps=300, random_state=0)
    probabilities = enumerated(model).visible_probabilities()
    assert p_value_of_states(2 * out - 1, probabilities) > FALSE_ALARM_RATE


# --- one seed, one model; one row, one result -------------------------------------------

WIDE = {
    "RBM": RBM(n_components=50, batch_size=400, max_iter=2, random_state=0),
    "RARBM few patterns": RARBM(
        n_components=50, n_patterns=3, batch_size=400, max_iter=2, random_state=0
    ),
    "RARBM many patterns": RARBM(
        n_components=50, n_patterns=90, batch_size=400, max_iter=2, random_state=0
    ),
}


@pytest.fixture(params=list(WIDE))
def wide_estimator(request):
    return clone(WIDE[request.param])


@pytest.mark.slow
@pytest.mark.parametrize("negative_phase", ["auto", "pcd", "cd"])
def test_threads_do_not_change_the_model(wide_estimator, wide, negative_phase):
    wide_estimator.set_params(negative_phase=negative_phase)
    one, two = (clone(wide_estimator).set_params(n_threads=n).fit(wide) for n in (1, 2))
    assert_same_model(one, two)
    np.testing.assert_array_equal(one.score_samples(wide), two.score_samples(wide))
    np.testing.assert_array_equal(
        one.sample(300, n_gibbs_steps=3, random_state=0),
        two.sample(300, n_gibbs_steps=3, random_state=0),
    )
    np.testing.assert_array_equal(one.sample(30, random_state=0), two.sample(30, random_state=0))


@pytest.mark.parametrize("form", ["few", "many"])
@pytest.mark.parametrize(
    "negative_phase",
    [
        PatternInducedCorrelations(),
        PatternInducedCorrelations(persistent=False),
        PatternInducedCorrelations(n_gibbs_steps=0),
        PatternInducedCorrelations(n_gibbs_steps=0, hidden="pattern"),
    ],
    ids=["persistent", "restarted", "pure", "pure, hidden patterns"],
)
def test_threads_do_not_change_a_model_trained_by_patterns(wide, form, negative_phase):
    estimator = clone(WIDE[f"RARBM {form} patterns"]).set_params(negative_phase=negative_phase)
    one, two = (clone(estimator).set_params(n_threads=n).fit(wide) for n in (1, 2))
    assert_same_model(one, two)


def test_random_state(estimator, bars):
    same = [clone(estimator).set_params(random_state=7).fit(bars) for _ in range(2)]
    assert_same_model(*same)
    free = [clone(estimator).set_params(random_state=None).fit(bars) for _ in range(2)]
    assert (free[0].components_ != free[1].components_).any()
    assert (
        same[0].components_ != clone(estimator).set_params(random_state=8).fit(bars).components_
    ).any()


def blas_rounds_rows_alike():
    """Whether equal rows of a matrix product are equal: not by OpenBLAS's kernels for AVX2."""
    rng = np.random.default_rng(0)
    rows = np.tile(rng.normal(size=300).astype(np.float32), (128, 1))
    product = rows @ rng.normal(size=(300, 90)).astype(np.float32)
    return bool((product == product[0]).all())


def assert_same_result(got, expected):
    """To the bit, or to the rounding of two products of a few hundred terms in float32."""
    if blas_rounds_rows_alike():
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=300 * 2.0**-24, atol=300 * 2.0**-24)


RESULTS = ("transform", "score_samples", "free_energy", "pseudo_likelihood")


@pytest.mark.parametrize(
    ("backend", "method"),
    [
        *(("numba", method) for method in RESULTS),
        ("numpy", "transform"),
        *(pytest.param("numpy", method, marks=pytest.mark.slow) for method in RESULTS[1:]),
    ],
)
def test_a_row_has_one_result_in_any_company(wide_estimator, wide, backend, method):
    model = wide_estimator.set_params(backend=backend, max_iter=1).fit(wide)
    # The exact value of log Z is of no interest here.
    with mock.patch.object(type(model), "log_partition_", 1000.0):
        function = getattr(model, method)
        everything = function(wide)
        for row in (0, 1, 63, 127, 128, 500, 999):
            assert_same_result(function(wide[row : row + 1])[0], everything[row])
        for n in (2, 50, 100, 129, 300):
            assert_same_result(function(wide[:n]), everything[:n])
        order = np.random.default_rng(0).permutation(len(wide))
        assert_same_result(function(wide[order]), everything[order])


@pytest.mark.parametrize("binarize", [0.5, "sample"])
def test_backends_train_the_same_model(wide_estimator, wide, binarize):
    wide_estimator.set_params(batch_size=300, max_iter=1, binarize=binarize)
    reference, compiled = (
        clone(wide_estimator).set_params(backend=backend).fit(wide)
        for backend in ("numpy", "numba")
    )
    for name, value in parameters(reference).items():
        np.testing.assert_allclose(getattr(compiled, name), value, atol=1e-4, err_msg=name)


# --- partial_fit, pickles and warm starts -----------------------------------------------


def chunks_of(X, size=20):
    return [X[start : start + size] for start in range(0, len(X), size)]


CONFIGURATIONS = {
    "tempered": RBM(),
    "tempered patterns adam": RARBM(optimizer="adam"),
    "pcd momentum": RBM(negative_phase="pcd", optimizer=SGD(momentum=0.7)),
    "pcd adam": RBM(negative_phase="pcd", optimizer="adam"),
    "cd sampled rows": RBM(negative_phase="cd", binarize="sample"),
    "exact": RBM(negative_phase="exact"),
    "pid adam": RARBM(negative_phase="pid", optimizer="adam"),
    "pid restarted": RARBM(negative_phase=PatternInducedCorrelations(persistent=False)),
    "pid pure": RARBM(negative_phase=PatternInducedCorrelations(n_gibbs_steps=0)),
    "pid drawn patterns": RARBM(projection="gibbs", projection_period=2, binarize="sample"),
    "no biases": RARBM(fit_intercept=False, optimizer=SGD(momentum=0.5)),
}


@pytest.fixture(params=list(CONFIGURATIONS))
def configured(request):
    estimator = clone(CONFIGURATIONS[request.param])
    estimator.set_params(
        n_components=6, batch_size=20, max_iter=1, shuffle=False, learning_rate=0.1, random_state=0
    )
    return estimator.set_params(n_patterns=4) if isinstance(estimator, RARBM) else estimator


def test_partial_fit_on_batches_is_a_fit(configured, bars):
    fitted = clone(configured).fit(bars)
    for chunk in chunks_of(bars):
        configured.partial_fit(chunk)
    assert_same_model(configured, fitted)


def test_partial_fit_on_all_rows_is_a_fit(configured, bars):
    assert_same_model(clone(configured).partial_fit(bars), clone(configured).fit(bars))


def test_passes_of_partial_fit_are_epochs(configured, bars):
    fitted = clone(configured).set_params(max_iter=3).fit(bars)
    for _ in range(3):
        for chunk in chunks_of(bars):
            configured.partial_fit(chunk)
    assert_same_model(configured, fitted)


def test_partial_fit_starts_at_the_rate_of_a_first_epoch(estimator, bars):
    estimator.set_params(max_iter=1, shuffle=False)
    assert_same_model(clone(estimator).partial_fit(bars), clone(estimator).fit(bars))


def test_pickle_in_the_middle_resumes(configured, bars):
    resumed = clone(configured)
    chunks = chunks_of(bars)
    for chunk in chunks:
        configured.partial_fit(chunk)
    for chunk in chunks[:7]:
        resumed.partial_fit(chunk)
    resumed = pickle.loads(pickle.dumps(resumed))
    for chunk in chunks[7:]:
        resumed.partial_fit(chunk)
    assert_same_model(configured, resumed)
    np.testing.assert_array_equal(
        configured.sample(20, n_gibbs_steps=0, random_state=0),
        resumed.sample(20, n_gibbs_steps=0, random_state=0),
    )


def test_partial_fit_goes_on_from_a_fit(configured, bars):
    twice = clone(configured).set_params(max_iter=2).fit(bars)
    assert_same_model(configured.fit(bars).partial_fit(bars), twice)


@pytest.mark.parametrize("shuffle", [False, True])
def test_warm_start_goes_on(configured, bars, shuffle):
    configured.set_params(shuffle=shuffle)
    long = clone(configured).set_params(max_iter=6).fit(bars)
    warm = clone(configured).set_params(max_iter=3, warm_start=True).fit(bars).fit(bars)
    assert_same_model(warm, long)
    assert warm.history_["epoch"] == long.history_["epoch"] == list(range(6))
    assert warm.history_["n_updates"] == long.history_["n_updates"]


def test_without_warm_start_a_second_fit_starts_anew(estimator, bars):
    once = clone(estimator).fit(bars)
    assert_same_model(estimator.fit(bars).fit(bars), once)
    assert estimator.history_["epoch"] == list(range(10))


def test_warm_start_after_partial_fit(estimator, bars):
    estimator.set_params(warm_start=True, max_iter=2, learning_rate=0.1, shuffle=False)
    fitted = clone(estimator).set_params(max_iter=3).fit(bars)
    assert_same_model(estimator.partial_fit(bars).fit(bars), fitted)
    assert estimator.n_iter_ == 2


@pytest.mark.parametrize(
    "change",
    [
        {"negative_phase": "pcd"},
        {"optimizer": "adam"},
        {"optimizer": SGD(momentum=0.5)},
        {"dtype": "float64"},
        {"batch_size": 7},
        {"backend": "numpy"},
        {"n_components": 3},
        {"fit_intercept": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_warm_start_with_other_parameters_goes_on_or_refuses(estimator, bars, change):
    estimator.set_params(warm_start=True, max_iter=2, negative_phase="cd").fit(bars)
    estimator.set_params(**change)
    try:
        estimator.fit(bars)
    except ValueError as error:
        assert next(iter(change)) in str(error)
    else:
        assert_finite(estimator)
        assert estimator.components_.dtype == np.dtype(estimator.dtype)
        assert len(estimator.components_) == estimator.n_components
        if not estimator.fit_intercept:
            assert not estimator.intercept_visible_.any()


# --- what training does -----------------------------------------------------------------


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(
    "estimator",
    [RBM(n_components=8), RARBM(n_components=8, n_patterns=8)],
    ids=["RBM", "RARBM"],
)
def test_exact_training_reaches_the_maximum_likelihood(estimator, center):
    """Eight hidden units can represent any distribution of three bits; none beats the entropy."""
    counts = np.array([8, 1, 2, 5, 1, 6, 4, 3])
    X = np.repeat((np.arange(8)[:, None] >> np.arange(3)) & 1, counts, axis=0)
    p = counts / counts.sum()
    best = float(np.sum(p * np.log(p)))
    model = clone(estimator).set_params(
        negative_phase="exact", center=center, max_iter=400, dtype="float64", random_state=0
    )
    score = model.fit(X).score(X)
    assert score <= best + 1e-9
    assert score > best - 0.01


def test_centering_does_nothing_without_biases(estimator, bars):
    with_centering, without = (
        clone(estimator).set_params(fit_intercept=False, center=center).fit(bars)
        for center in (True, False)
    )
    assert_same_model(with_centering, without)


@pytest.mark.parametrize("negative_phase", ["pcd", "auto"])
def test_early_stopping_keeps_the_best_epoch(estimator, bars, negative_phase):
    """By pseudo-likelihood, or by likelihood less its error, which then counts as no loss."""
    patience = 4
    estimator.set_params(negative_phase=negative_phase, learning_rate=1.0, max_iter=60)
    estimator.set_params(early_stopping=True, n_iter_no_change=patience, tol=0.0)
    model = clone(estimator).fit(bars)
    if negative_phase == "pcd":
        cautious = bold = np.array(model.history_["pseudo_likelihood"])
    else:
        scores, errors = (
            np.array(model.history_[n]) for n in ("log_likelihood", "log_likelihood_error")
        )
        cautious, bold = scores - errors, scores + errors
    best = int(np.argmax(cautious))
    # It stopped for want of a gain, so that the best epoch is not the last.
    assert best < len(cautious) - 1 < 59
    gains = bold[1:] > np.maximum.accumulate(cautious)[:-1]
    assert not gains[-patience:].any()
    assert len(gains) == patience or gains[-patience - 1]
    assert model.n_iter_ == len(cautious)
    until_best = clone(estimator).set_params(max_iter=best + 1).fit(bars)
    assert_same_model(model, until_best)
    later = clone(estimator).set_params(max_iter=best + 2, early_stopping=False).fit(bars)
    assert (later.components_ != model.components_).any()


def test_early_stopping_waits_for_gains_of_tol(estimator, bars):
    estimator.set_params(early_stopping=True, n_iter_no_change=3, tol=1e6, max_iter=20)
    assert estimator.fit(bars).n_iter_ == 4


def test_early_stopping_sets_rows_aside(estimator, bars, monkeypatch):
    n_seen = []
    updates = Trainer.updates

    def counted(self, state, data, *args, **kwargs):
        n_seen.append(data.shape[0])
        return updates(self, state, data, *args, **kwargs)

    monkeypatch.setattr(Trainer, "updates", counted)
    estimator.set_params(early_stopping=True, validation_fraction=0.25, max_iter=1).fit(bars)
    assert sum(n_seen) == 225


def test_history(estimator, bars):
    history = estimator.set_params(max_iter=3, batch_size=100, learning_rate=0.2).fit(bars).history_
    of_chains = {"barrier", "lag", "n_rungs", "n_columns", "step_share"}
    assert set(history) == {"epoch", "seconds", "learning_rate", "n_updates"} | of_chains
    assert {len(column) for column in history.values()} == {3}
    assert history["epoch"] == [0, 1, 2]
    assert history["n_updates"] == [3, 6, 9]
    assert history["learning_rate"] == [0.2, 0.2, 0.2]
    assert np.all(np.diff(history["seconds"]) > 0)
    assert estimator.n_iter_ == 3


@pytest.mark.parametrize(
    ("negative_phase", "scores"),
    [("pcd", {"pseudo_likelihood"}), ("auto", {"log_likelihood", "log_likelihood_error"})],
)
def test_history_of_early_stopping(estimator, bars, negative_phase, scores):
    estimator.set_params(max_iter=3, early_stopping=True, negative_phase=negative_phase)
    history = estimator.fit(bars).history_
    figures = {"free_energy_gap", *scores}
    assert figures <= set(history)
    all_scores = {"pseudo_likelihood", "log_likelihood", "log_likelihood_error"}
    assert all_scores & set(history) == scores
    assert {len(column) for column in history.values()} == {3}
    assert all(np.isfinite(history[name]).all() for name in figures)


def test_validated_likelihood_is_that_of_the_rows_set_aside(estimator, bars):
    """Five of its errors: 6e-7, were they those of a normal distribution."""
    estimator.set_params(max_iter=20, learning_rate=0.1, early_stopping=True, n_iter_no_change=20)
    model = estimator.fit(bars)
    seed = model._training_state["stream"].seed
    held_out = np.sort(np.random.default_rng(seed).permutation(len(bars))[:30])
    scores = np.array(model.history_["log_likelihood"])
    errors = np.array(model.history_["log_likelihood_error"])
    kept = int(np.argmax(scores - errors))
    exact = -model.free_energy(bars[held_out]).mean() - model.log_partition("exact").value
    assert 0.0 < errors[kept] < 0.2
    assert abs(scores[kept] - exact) < 5.0 * errors[kept]


def test_validation_does_not_change_training(estimator, bars):
    """The ladder is measured on draws of its own: rows set aside alone make a difference."""
    estimator.set_params(max_iter=5, learning_rate=0.1)
    validated = clone(estimator).set_params(early_stopping=True, validation_fraction=0.5).fit(bars)
    order = np.random.default_rng(validated._training_state["stream"].seed).permutation(len(bars))
    scores = np.array(validated.history_["log_likelihood"])
    kept = int(np.argmax(scores - np.array(validated.history_["log_likelihood_error"])))
    alone = clone(estimator).set_params(max_iter=kept + 1).fit(bars[np.sort(order[150:])])
    assert_same_model(alone, validated)


def test_history_stays_rectangular_when_a_warm_start_adds_figures(estimator, bars):
    estimator.set_params(max_iter=2, warm_start=True).fit(bars)
    history = estimator.set_params(early_stopping=True).fit(bars).history_
    assert {len(column) for column in history.values()} == {4}
    np.testing.assert_array_equal(np.isnan(history["log_likelihood"]), [True, True, False, False])


def test_verbose(estimator, bars, capsys):
    estimator.set_params(max_iter=3).fit(bars)
    assert capsys.readouterr().out == ""
    estimator.set_params(verbose=1).fit(bars)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(
        line.startswith(f"[{type(estimator).__name__}] epoch {i},") for i, line in enumerate(lines)
    )


# --- what ends training early -----------------------------------------------------------


def at_update(monkeypatch, number, action):
    """Let `action` deal with the data of one update; each is made by a call of its own."""
    updates = Trainer.updates
    n_updates = 0

    def changed(self, state, data, *args, **kwargs):
        nonlocal n_updates
        n_updates += 1
        if n_updates == number:
            data = action(data)
        return updates(self, state, data, *args, **kwargs)

    monkeypatch.setattr(Trainer, "updates", changed)
    monkeypatch.setattr(run, "BYTES_AT_ONCE", 0)


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def fit_without_ending_the_tests(estimator, X):
    """pytest takes a KeyboardInterrupt that comes through for one of its own."""
    try:
        estimator.fit(X)
    except KeyboardInterrupt:
        raise AssertionError("fit did not catch the KeyboardInterrupt") from None


def make_nan(data):
    return data * np.nan


def test_interrupted_fit_is_usable(estimator, bars, monkeypatch):
    estimator.set_params(batch_size=100)
    at_update(monkeypatch, 8, interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        fit_without_ending_the_tests(estimator, bars)
    assert estimator.n_iter_ == 2
    assert estimator.history_["epoch"] == [0, 1]
    assert_finite(estimator)
    assert np.isfinite(estimator.score(bars))
    assert estimator.sample(3, n_gibbs_steps=2).shape == (3, 9)
    assert_finite(estimator.partial_fit(bars))


def test_fit_interrupted_in_a_step_is_that_of_the_last_epoch(estimator, bars, monkeypatch):
    """Halfway through, couplings have moved and biases have not followed."""
    monkeypatch.setattr(fused, "count_fused_updates", lambda *_: 0)
    estimator.set_params(batch_size=100, learning_rate=0.1)
    good = clone(estimator).set_params(max_iter=2).fit(bars)
    # Each update takes mean fields before and after it: those after the third epoch's first.
    mean_fields = trainer.mean_fields
    n_left = itertools.count(2 * good.history_["n_updates"][-1] + 1, -1)

    def interrupted(*args):
        if next(n_left) == 0:
            raise KeyboardInterrupt
        return mean_fields(*args)

    monkeypatch.setattr(trainer, "mean_fields", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        fit_without_ending_the_tests(estimator, bars)
    assert_same_model(estimator, good)


class InterruptAfterEpoch(Silent):
    """A callback during which the user presses Ctrl-C."""

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 2:
            raise KeyboardInterrupt


def test_fit_interrupted_in_a_callback_is_usable(estimator, bars):
    estimator.set_callbacks(InterruptAfterEpoch())
    with pytest.warns(UserWarning, match="interrupted"):
        fit_without_ending_the_tests(estimator, bars)
    assert estimator.n_iter_ == 3
    assert np.isfinite(estimator.score(bars))


def test_divergence_keeps_the_last_good_epoch(estimator, bars, monkeypatch):
    estimator.set_params(batch_size=100, learning_rate=0.1)
    good = clone(estimator).set_params(max_iter=2).fit(bars)
    at_update(monkeypatch, 8, make_nan)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        estimator.fit(bars)
    assert estimator.n_iter_ == 2
    assert_same_model(estimator, good)
    assert np.isfinite(estimator.score(bars))
    assert_finite(estimator.partial_fit(bars))


def test_divergence_is_noticed_by_an_interrupted_fit_too(estimator, bars, monkeypatch):
    """It is looked for at the end of an epoch, which this one does not reach."""
    estimator.set_params(batch_size=100, learning_rate=0.1)
    good = clone(estimator).set_params(max_iter=2).fit(bars)
    at_update(monkeypatch, 8, make_nan)
    at_update(monkeypatch, 9, interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        fit_without_ending_the_tests(estimator, bars)
    assert_same_model(estimator, good)


def test_divergence_in_the_first_epoch_leaves_the_start(estimator, bars, monkeypatch):
    at_update(monkeypatch, 1, make_nan)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        estimator.fit(bars)
    assert_finite(estimator)
    assert np.isfinite(estimator.score(bars))


def test_divergence_in_partial_fit_keeps_what_was(estimator, bars, monkeypatch):
    estimator.fit(bars)
    before = pickle.loads(pickle.dumps(estimator))
    at_update(monkeypatch, 2, make_nan)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        estimator.partial_fit(bars)
    assert_same_model(estimator, before)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_absurd_learning_rate_leaves_finite_parameters(estimator, bars, optimizer):
    estimator.set_params(learning_rate=1e6, optimizer=optimizer, max_iter=30)
    with warnings.catch_warnings():
        # Bounds on a step may or may not hold it back.
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(bars)
    assert_finite(estimator)
    assert np.isfinite(estimator.score(bars))


# --- initial patterns and projections ---------------------------------------------------


def test_initial_weights_have_the_standard_deviation(wide):
    """The sum of 3500 squares; a right program fails once in ten thousand."""
    rbm = RBM(n_components=50, init_scale=0.05, learning_rate=1e-12, max_iter=1, random_state=0)
    squares = np.sum(rbm.fit(wide).components_ ** 2) / 0.05**2
    low, high = chi2.ppf([FALSE_ALARM_RATE / 2, 1 - FALSE_ALARM_RATE / 2], 3500)
    assert low < squares < high


def test_initial_patterns_are_signs_times_the_scale(wide):
    model = RARBM(
        n_components=50,
        n_patterns=9,
        init_scale=0.3,
        learning_rate=1e-12,
        max_iter=1,
        random_state=0,
    ).fit(wide)
    for patterns in (model.visible_patterns_, model.hidden_patterns_):
        np.testing.assert_allclose(np.abs(patterns), 0.3, rtol=1e-6)
        # Fair signs: at least 450 of them, five standard deviations.
        assert abs(np.sign(patterns).mean()) < 5.0 / np.sqrt(patterns.size)


@pytest.mark.parametrize("n_patterns", [4, 32, 200])
def test_initial_couplings_are_neither_frozen_nor_lost(wide, n_patterns):
    """ "auto" bounds the largest singular value by two: loosely, where K exceeds V and H."""
    model = RARBM(n_components=50, n_patterns=n_patterns, random_state=0)
    model.set_params(learning_rate=1e-12, max_iter=1).fit(wide)
    assert 2.0 / 3.0 < np.linalg.norm(model.components_, 2) < 2.0


@pytest.mark.filterwarnings("ignore:the model has a log-likelihood of")  # as is to be expected
def test_sign_projection(bars):
    model = clone(ESTIMATORS["RARBM"]).set_params(projection="sign", projection_period="epoch")
    model.fit(bars)
    for patterns in (model.visible_patterns_, model.hidden_patterns_):
        assert set(np.unique(patterns)) <= {-1.0, 1.0}


@pytest.mark.filterwarnings("ignore:the model has a log-likelihood of")
def test_gibbs_projection(bars):
    model = clone(ESTIMATORS["RARBM"]).set_params(projection="gibbs").fit(bars)
    for patterns in (model.visible_patterns_, model.hidden_patterns_):
        assert set(np.unique(patterns)) == {-1.0, 1.0}


def test_clip_projection(bars):
    model = clone(ESTIMATORS["RARBM"]).set_params(pattern_bound=0.5, learning_rate=1.0).fit(bars)
    for patterns in (model.visible_patterns_, model.hidden_patterns_):
        assert np.abs(patterns).max() == 0.5
    unbounded = model.set_params(projection=None).fit(bars)
    assert np.abs(unbounded.visible_patterns_).max() > 0.5


def test_projection_period_counts_updates(bars):
    """Batches of 20 from 300 rows: 15 updates an epoch, a projection after every second."""
    model = clone(ESTIMATORS["RARBM"]).set_params(projection="sign", projection_period=2)
    odd = clone(model).set_params(max_iter=1).fit(bars)
    assert not np.isin(odd.visible_patterns_, [-1.0, 1.0]).all()
    even = clone(model).set_params(max_iter=2).fit(bars)
    assert np.isin(even.visible_patterns_, [-1.0, 1.0]).all()


# --- data -------------------------------------------------------------------------------

INPUT_KINDS = {
    "bool": lambda X: X.astype(bool),
    "int64": lambda X: X.astype(np.int64),
    "float32": lambda X: X.astype(np.float32),
    "float64": lambda X: X.astype(np.float64),
    "object": lambda X: X.astype(object),
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "list": lambda X: X.tolist(),
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "coo_matrix": sparse.coo_matrix,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "csr bool": lambda X: sparse.csr_array(X.astype(bool)),
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
}


@pytest.mark.parametrize("binarize", [0.5, None, "sample"])
@pytest.mark.parametrize("kind", list(INPUT_KINDS))
def test_input_kinds_train_the_same_model(bars, kind, binarize):
    estimator = RBM(n_components=5, max_iter=2, binarize=binarize, random_state=0)
    reference = clone(estimator).fit(bars)
    X = INPUT_KINDS[kind](bars)
    model = estimator.fit(X)
    assert_same_model(model, reference)
    np.testing.assert_array_equal(model.transform(X), reference.transform(bars))
    np.testing.assert_array_equal(model.score_samples(X), reference.score_samples(bars))


def test_read_only_memory_map(estimator, bars, tmp_path):
    path = tmp_path / "X.bin"
    bars.tofile(path)
    X = np.memmap(path, dtype=np.uint8, mode="r", shape=bars.shape)
    assert_same_model(clone(estimator).fit(X), estimator.fit(bars))
    np.testing.assert_array_equal(estimator.transform(X), estimator.transform(bars))


def test_spin_units_train_the_same_model(estimator, bars):
    binary = clone(estimator).fit(bars)
    spin = clone(estimator).set_params(units="spin").fit(2.0 * bars - 1.0)
    assert_same_model(binary, spin)
    np.testing.assert_allclose(
        spin.transform(2.0 * bars - 1.0), 2.0 * binary.transform(bars) - 1.0, atol=1e-6
    )


def test_fit_leaves_the_data_as_they_are(estimator, bars):
    for X in (bars.copy(), bars.astype(np.float32), bars.astype(np.float64)):
        before = X.copy()
        estimator.fit(X).transform(X)
        estimator.gibbs(X)
        np.testing.assert_array_equal(X, before)


def test_threshold(estimator):
    grey = np.random.default_rng(0).integers(256, size=(200, 9)).astype(np.uint8)
    by_hand = clone(estimator).fit(grey > 100)
    model = clone(estimator).set_params(binarize=100).fit(grey)
    assert_same_model(model, by_hand)
    np.testing.assert_array_equal(model.transform(grey), by_hand.transform(grey > 100))


def test_means_are_used_as_they_are(estimator):
    """A row of means is a state of mean spins: its features are those of the mean field."""
    means = np.random.default_rng(0).random((200, 9))
    model = estimator.set_params(binarize=None).fit(means)
    theta = (2.0 * means - 1.0) @ model.components_.T.astype(float) + model.intercept_hidden_
    np.testing.assert_allclose(model.transform(means), (np.tanh(theta) + 1) / 2, atol=2e-6)


def test_sampled_rows_are_drawn_anew_from_their_means(estimator, monkeypatch):
    """4000 draws of each of nine values, all within five standard deviations: 5e-6."""
    seen = []
    updates = Trainer.updates

    def watched(self, state, data, *args, **kwargs):
        seen.extend(np.array(data).reshape(-1, 500, 9))
        return updates(self, state, data, *args, **kwargs)

    monkeypatch.setattr(Trainer, "updates", watched)
    means = np.linspace(0.1, 0.9, 9)
    estimator.set_params(binarize="sample", batch_size=500, max_iter=4, random_state=0)
    estimator.fit(np.tile(means, (1000, 1)))
    draws = np.concatenate(seen)
    assert set(np.unique(draws)) == {-1.0, 1.0}
    share = (draws > 0).mean(axis=0)
    assert np.all(np.abs(share - means) < 5.0 * np.sqrt(means * (1 - means) / 4000))
    assert (seen[0] != seen[2]).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "binarize"), [("dense", 0.5), ("dense", None), ("dense", "sample"), ("csr", 0.5)]
)
def test_no_copy_of_the_data(kind, binarize):
    """40 MB of bytes, 160 MB as float32: a fit allocates less than 20."""
    rng = np.random.default_rng(0)
    if kind == "dense":
        X = rng.integers(2, size=(200_000, 200), dtype=np.uint8)
    else:
        X = sparse.random_array((200_000, 200), density=0.01, format="csr", rng=rng)
        X.data[:] = 1.0
    estimator = RBM(n_components=4, batch_size=500, max_iter=1, binarize=binarize, random_state=0)
    # Compiling is not what is measured.
    clone(estimator).fit(X[:4000]).score_samples(X[:10])
    tracemalloc.start()
    try:
        estimator.fit(X).score_samples(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize(
    ("n_rows", "batch_size"),
    [(1, 100), (1, 1), (7, 100), (7, 1), (7, 3), (101, 100)],
    ids=lambda n: str(n),
)
def test_batches_of_any_size(estimator, bars, n_rows, batch_size):
    model = estimator.set_params(batch_size=batch_size, max_iter=3).fit(bars[:n_rows])
    assert_finite(model)
    assert model.history_["n_updates"][-1] == 3 * -(-n_rows // batch_size)
    assert np.isfinite(model.score(bars))


def test_chains_are_not_read_as_data():
    """A threshold for data in 0..16 says nothing of chains, which are spins already."""
    X = 16 * np.eye(4)
    model = RARBM(n_components=3, n_patterns=2, binarize=8, batch_size=4, random_state=0).fit(X)
    machine = get_fitted_model(model, backend=get_backend("numpy")).machine
    chains = model._training_state["chains"].model_states(machine.backend)
    drawn = model.sample(chains.shape[0], n_gibbs_steps=0)
    np.testing.assert_array_equal(drawn, 0.5 * (chains + 1.0))
    assert 0.0 < drawn.mean() < 1.0


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_small_probabilities_keep_their_digits(backend):
    """Below a field of -8.7, 1 + tanh is zero in float32."""
    X = np.zeros((3, 4))
    fields = np.array([-20.0, -9.0, -3.0, 0.5])
    model = RBM(4, max_iter=1, random_state=0, backend=backend).fit(X)
    model.components_ = np.zeros((4, 4), dtype=np.float32)
    model.intercept_hidden_ = model.intercept_visible_ = fields.astype(np.float32)
    expected = np.tile(1.0 / (1.0 + np.exp(-2.0 * fields)), (3, 1))
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-6)
    np.testing.assert_allclose(model.inverse_transform(X), expected, rtol=1e-6)
    # Sums of weights of all completions, in float64: what is less than its rounding is zero.
    means = model.reconstruct(np.full_like(X, np.nan), output="mean")
    np.testing.assert_allclose(means, expected, rtol=1e-6, atol=np.finfo(np.float64).eps)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RBM", "RARBM"])
@pytest.mark.parametrize("shape", [(4, 3), (8, 12), (30, 40)])
def test_memory_mapped_models_have_the_same_results(tmp_path, monkeypatch, kind, shape):
    """To the last bit: `joblib.load(mmap_mode="r")` makes parameters read-only."""
    monkeypatch.setattr(threads, "SMALLEST_SHARED_WORK", 1e7)
    n_features, n_components = shape
    rng = np.random.default_rng(0)
    X = (rng.random((70, n_features)) > 0.5).astype(np.float32)
    for seed in range(5):
        how = {"n_components": n_components, "random_state": seed, "max_iter": 2}
        model = clone(ESTIMATORS[kind]).set_params(**how).fit(X)
        joblib.dump(model, tmp_path / "model")
        mapped = joblib.load(tmp_path / "model", mmap_mode="r")
        assert not mapped.intercept_hidden_.flags.writeable
        for method in ("transform", "score_samples", "pseudo_likelihood", "inverse_transform"):
            argument = X if method != "inverse_transform" else model.transform(X)
            expected = getattr(model, method)(argument)
            np.testing.assert_array_equal(getattr(mapped, method)(argument), expected)
        for method in ("sample", "gibbs", "reconstruct"):
            argument = 30 if method == "sample" else np.where(rng.random(X.shape) > 0.5, 1.0, X)
            expected = getattr(model, method)(argument, random_state=1)
            np.testing.assert_array_equal(
                getattr(mapped, method)(argument, random_state=1), expected
            )
        X_read_only = X.copy()
        X_read_only.setflags(write=False)
        again = clone(model).fit(X_read_only)
        assert_same_model(again, model)
