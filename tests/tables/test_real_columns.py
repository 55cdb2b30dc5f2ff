"""Models of real columns: densities, units of X, scales, and what is refused.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from tools.brute_force import central_difference
from tools.callbacks import Silent
from tools.summed import Summed

from sklearn_rapid import RARBM, RBM, diagnostics, load, save
from sklearn_rapid.backends import Gaussians, get_backend
from sklearn_rapid.callbacks import resume
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.reals.moments import find_smallest_scales
from sklearn_rapid.training.fit.independent import compare_with_independent
from sklearn_rapid.training.steps.visible_scale import next_scale, scale_sums

X = np.random.default_rng(0).permutation(load_iris().data)
HOW = {"n_components": 5, "max_iter": 30, "batch_size": 50, "random_state": 0}
HOW = {**HOW, "visible": "gaussian"}


@pytest.fixture(params=[RBM(**HOW), RARBM(**HOW, n_patterns=4)], ids=["RBM", "RARBM"])
def model(request):
    return clone(request.param)


def as_mixture(model):
    """Weights, centres and the standard deviations of the normals that a model is made of."""
    b, c = (a.astype(float) for a in (model.intercept_visible_, model.intercept_hidden_))
    exact = Summed(model.components_.T.astype(float), b, c, "gaussians" if len(b) < 3 else "spins")
    centres = exact.h @ exact.W.T + b
    log_weights = exact.h @ c + 0.5 * np.sum(centres**2, axis=1)
    centres = model.mean_ + model.scale_ * centres
    return log_weights - logsumexp(log_weights), centres, model.scale_


def log_density(model, x):
    """Of rows, from the normal distributions alone."""
    log_weights, centres, scale = as_mixture(model)
    log_p = stats.norm.logpdf(x[:, None, :], centres, scale).sum(axis=2)
    return logsumexp(log_p + log_weights, axis=1)


# --- densities ------------------------------------------------------------------------------


def test_density_is_that_of_a_mixture_in_the_units_of_X(model):
    model.fit(X)
    np.testing.assert_allclose(model.score_samples(X), log_density(model, X), atol=1e-4)
    assert model.score(X) > GaussianMixture(1, covariance_type="diag").fit(X).score(X) + 1.0


@pytest.mark.parametrize("method", ["tempering", "ais"])
def test_estimates_of_log_z_agree(model, method):
    model.fit(X)
    estimate = model.log_partition(method)
    assert abs(estimate.value - model.log_partition("exact").value) < 5 * estimate.error < 1.0


@pytest.mark.slow
def test_without_couplings_a_model_is_one_normal_distribution():
    """Penalties have set all couplings to zero: what is left are means and scales."""
    model = RBM(**{**HOW, "max_iter": 400}, l1_penalty=1e5)
    with pytest.warns(ConvergenceWarning, match="no couplings are left"):
        model.fit(X)
    expected = GaussianMixture(1, covariance_type="diag").fit(X)
    np.testing.assert_allclose(model.scale_, np.sqrt(expected.covariances_[0]), rtol=0.02)
    # To second order in what is left of the noise of updates.
    assert model.score(X) == pytest.approx(expected.score(X), abs=0.01)
    # Exactly so, once what is left of it is taken away.
    model.intercept_visible_ = np.zeros(4, dtype=np.float32)
    model.mean_, model.scale_ = X.mean(axis=0), X.std(axis=0)
    np.testing.assert_allclose(model.score_samples(X), expected.score_samples(X), atol=1e-4)


@pytest.mark.slow
def test_two_clusters_are_two_normals():
    """One hidden unit, two clusters: centres, widths and shares are found."""
    rng = np.random.default_rng(1)
    which = rng.random(2000) < 0.3
    centres = np.array([[20.0, 5.0], [26.0, 4.4]])
    rows = centres[which.astype(int)] + rng.normal(size=(2000, 2)) * [2.0, 0.3]
    how = {"visible": "gaussian", "negative_phase": "exact", "dtype": "float64"}
    model = RBM(1, max_iter=300, random_state=0, **how).fit(rows)
    log_weights, found, scale = as_mixture(model)
    order = np.argsort(found[:, 0])
    # Several times what 600 and 1400 rows tell.
    assert np.all(np.abs(found[order] - centres) < [0.5, 0.08])
    np.testing.assert_allclose(scale, [2.0, 0.3], rtol=0.08)
    np.testing.assert_allclose(np.exp(log_weights[order]), [0.7, 0.3], atol=0.05)
    truth = GaussianMixture(2, covariance_type="tied", random_state=0).fit(rows)
    assert model.score(rows) > truth.score(rows) - 0.02


def test_units_of_X_do_not_matter(model):
    """Columns moved and stretched: the same model, densities less by the logs of the factors."""
    factors, shifts = np.array([1e-3, 1.0, 64.0, 1e6]), np.array([5.0, -3.0, 0.0, 1e7])
    moved = X * factors + shifts
    one, two = clone(model).fit(X), clone(model).fit(moved)
    expected = one.score_samples(X) - np.sum(np.log(factors))
    # Rounding to float32 in an update grows in those that follow.
    np.testing.assert_allclose(two.score_samples(moved), expected, atol=0.02)
    for of_one, of_two in (
        (one.scale_ * factors, two.scale_),
        (one.mean_ * factors, two.mean_ - shifts),
    ):
        np.testing.assert_allclose(of_one, of_two, rtol=2e-3)


# --- scales ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [True, False])
def test_scales_follow_the_likelihood(backend, weighted):
    """A step in log σ is the slope, by finite differences, over the curvature at the spread."""
    rng = np.random.default_rng(2)
    W, b, c = rng.normal(size=(2, 3)) * 0.6, rng.normal(size=2) * 0.3, rng.normal(size=3)
    exact = Summed(W, b, c, "gaussians", "spins")
    rows, weights = rng.normal(size=(8, 2)) * [1.0, 3.0], None
    if weighted:
        weights = np.arange(8.0) / 28.0
    sigma, spread = np.array([0.8, 1.5]), np.array([1.1, 2.9])

    def log_likelihood(log_sigma):
        log_p = exact.log_f(rows / np.exp(log_sigma))
        return float(np.average(log_p, weights=weights) - np.sum(log_sigma))

    slope = central_difference(log_likelihood, np.log(sigma))
    machine = Machine(
        DenseCouplings(backend.asarray(W)),
        backend.asarray(b),
        backend.asarray(c),
        backend,
        visible_units=Gaussians(),
    )
    weights = None if weights is None else backend.asarray(weights)
    got = next_scale(
        *map(backend.asarray, (sigma, spread, 0.01 * spread)),
        machine,
        scale_sums(machine, backend.asarray(rows / sigma), weights),
        0.5,
        backend.asarray(np.zeros(2)),
    )
    # To first order in the step, of σ².
    expected = 1.0 + 2.0 * 0.5 * slope / (1.0 + (spread / sigma) ** 2)
    np.testing.assert_allclose((backend.to_numpy(got) / sigma) ** 2, expected, atol=1e-8)


def test_scales_do_not_vanish():
    """Columns of two values could be met exactly."""
    backend = get_backend("numpy")
    couplings = DenseCouplings(np.diag([20.0, 20.0]))
    machine = Machine(couplings, np.zeros(2), np.zeros(2), backend, visible_units=Gaussians())
    rows, sigma, spread = 20.0 * np.array([[1.0, -1.0], [-1.0, 1.0]]), np.ones(2), np.full(2, 20.0)
    # All is explained, and no more is left of the scales than what they may become.
    for smallest in (1.0, 0.5, 0.999):
        for _ in range(2000):
            how = {"sums": scale_sums(machine, rows), "rate": 1.0, "mean": np.zeros(2)}
            got = next_scale(sigma, spread, np.full(2, smallest), machine, **how)
            if smallest == 1.0:
                np.testing.assert_array_equal(got, sigma)
        assert np.all((got < 1.0) | (smallest == 1.0)) and np.all(got >= smallest)


@pytest.mark.slow
def test_a_scale_is_a_mean_over_batches():
    """A column that is zero in most batches keeps the standard deviation of its rows.

    Nothing is explained: σ² wanders about the mean square of all batches. Its mean is within five
    standard errors of that of so many independent batches.
    """
    rng, backend = np.random.default_rng(0), get_backend("numpy")
    no_couplings = DenseCouplings(np.zeros((1, 1)))
    machine = Machine(no_couplings, np.zeros(1), np.zeros(1), backend, visible_units=Gaussians())
    batches = np.where(rng.random((40_000, 10)) < 0.005, 30.0, 0.0)
    assert np.mean((batches == 0.0).all(axis=1)) > 0.95
    variance = 0.005 * 30.0**2
    sigma = spread = np.sqrt([variance])
    squares = np.empty(len(batches))
    for i, x in enumerate(batches):
        sums = scale_sums(machine, x[:, None] / sigma)
        sigma = next_scale(sigma, spread, 1e-3 * spread, machine, sums, 0.02, np.zeros(1))
        squares[i] = sigma[0] ** 2
    error = np.mean(batches**2, axis=1).std() / np.sqrt(len(batches))
    assert abs(squares.mean() - variance) < 5.0 * error
    assert squares.min() > 0.1 * variance


def test_digits_train():
    """Columns of few values."""
    rows = np.random.default_rng(3).integers(3, size=(200, 6)).astype(float)
    model = RBM(**HOW).fit(rows)
    assert np.all(model.scale_ > 0.009 * rows.std(axis=0))


def test_smallest_scales_go_by_the_spread():
    """A twentieth of it, where numbers are as good as continuous."""
    rows = np.random.default_rng(4).normal(size=(1000, 3)) * [1e-6, 1.0, 1e9]
    got = find_smallest_scales(rows, None, rows.mean(axis=0), rows.std(axis=0), None)
    np.testing.assert_allclose(got, 0.05 * rows.std(axis=0), rtol=1e-12)


def test_smallest_scales_go_by_the_resolution():
    """The standard deviation of equal probabilities over what the numbers are apart."""
    rows = np.round(np.random.default_rng(5).normal(size=(5000, 4)) / [0.5, 2.0, 0.1, 1e-6])
    rows[:, 3] = rows[:, 0] > 0  # two numbers: no less than their own spread
    got = find_smallest_scales(rows, None, rows.mean(axis=0), rows.std(axis=0), None)
    step = stats.uniform(0.0, 1.0).std()
    expected = np.maximum(step, 0.05 * rows.std(axis=0))
    expected[3] = min(step, rows[:, 3].std())
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("n_spikes", [1, 3, 40])
def test_smallest_scales_go_by_the_kurtosis(n_spikes):
    """A variance that few rows make is not to be taken away from the other ones."""
    rows = np.random.default_rng(6).normal(size=(2000, 1))
    rows[:n_spikes] = 1e4
    got = find_smallest_scales(rows, None, rows.mean(axis=0), rows.std(axis=0), None)
    share = np.clip(stats.kurtosis(rows, fisher=False) / 100.0, 0.05, 1.0)
    np.testing.assert_allclose(got, share * rows.std(axis=0), rtol=1e-9)


def test_smallest_scales_know_weights_and_gaps():
    """Weights are rows repeated, and gaps are no numbers."""
    rng = np.random.default_rng(7)
    rows = np.column_stack([rng.standard_t(3, size=300), np.round(rng.normal(size=300), 1)])
    weights = rng.integers(4, size=300)
    repeated = np.repeat(rows, weights, axis=0)
    moments = repeated.mean(axis=0), repeated.std(axis=0)
    got = find_smallest_scales(rows, weights, *moments, None)
    np.testing.assert_allclose(got, find_smallest_scales(repeated, None, *moments, None), rtol=1e-9)
    gaps = np.where(rng.random(rows.shape) < 0.3, np.nan, rows)
    moments = np.nanmean(gaps, axis=0), np.nanstd(gaps, axis=0)
    got = find_smallest_scales(gaps, None, *moments, None)
    for j, x in enumerate(gaps.T):
        x = x[np.isfinite(x), None]
        of_one = find_smallest_scales(x, None, x.mean(axis=0), x.std(axis=0), None)
        np.testing.assert_allclose(got[j], of_one[0], rtol=1e-9)


# --- what is returned is in the units of X --------------------------------------------------


def test_samples_are_from_the_model(model):
    model.fit(X)
    drawn = model.sample(2000, random_state=1)
    assert drawn.dtype == np.float32
    log_weights, centres, scale = as_mixture(model)
    for j in range(4):

        def cdf(x, j=j):
            return stats.norm.cdf(x[:, None], centres[:, j], scale[j]) @ np.exp(log_weights)

        # A ladder's samples are not quite independent: as few as are counted for sure.
        assert stats.kstest(drawn[::4, j], cdf).pvalue > 1e-4


def test_gibbs_and_plain_chains(model):
    """Means are those of the mixture, within what chains of 50 steps leave of their start."""
    model.fit(X)
    log_weights, centres, _ = as_mixture(model)
    mean = np.exp(log_weights) @ centres
    for drawn in (
        model.gibbs(X, 50, random_state=0),
        model.sample(150, n_gibbs_steps=50, random_state=0),
        model.sample(150, init=X, n_gibbs_steps=50, random_state=0),
        model.sample(150, init="random", n_gibbs_steps=50, random_state=0),
    ):
        assert drawn.shape == X.shape
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < 0.4 * X.std(axis=0))
    np.testing.assert_allclose(model.gibbs(X, 0), X, rtol=1e-5)


def test_reconstruct(model):
    """Means of missing entries are those of the mixture, given the others."""
    model.set_params(dtype="float64").fit(X)
    gaps = X[:20].copy()
    gaps[:, 2:] = np.nan
    how = {"output": "mean", "tempered": True, "random_state": 0}
    filled = model.reconstruct(gaps, n_gibbs_steps=300, **how)
    np.testing.assert_allclose(filled[:, :2], X[:20, :2], rtol=1e-12)
    log_weights, centres, scale = as_mixture(model)
    log_p = stats.norm.logpdf(X[:20, None, :2], centres[:, :2], scale[:2]).sum(axis=2) + log_weights
    p = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    expected = p @ centres[:, 2:]
    # Means over 25 draws: five standard errors of independent ones, twice as much for others.
    spread = np.sqrt(p @ centres[:, 2:] ** 2 - expected**2)
    assert np.all(np.abs(filled[:, 2:] - expected) < 10 * spread / 5 + 0.05 * scale[2:])
    sample = model.reconstruct(gaps, random_state=0)
    assert np.all(np.isfinite(sample))
    np.testing.assert_allclose(sample[:, :2], X[:20, :2], rtol=1e-12)


@pytest.mark.parametrize("units", ["binary", "spin"])
def test_features(model, units):
    model.set_params(units=units, dtype="float64").fit(X)
    v = (X - model.mean_) / model.scale_
    means = np.tanh(v @ model.components_.T + model.intercept_hidden_)
    expected = means if units == "spin" else 0.5 * (1.0 + means)
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-12)
    back = model.mean_ + model.scale_ * (means @ model.components_ + model.intercept_visible_)
    np.testing.assert_allclose(model.inverse_transform(expected), back, rtol=1e-12)
    drawn = model.set_params(hidden_features="sample").transform(X)
    assert set(np.unique(drawn)) == {-1.0 if units == "spin" else 0.0, 1.0}


# --- training -------------------------------------------------------------------------------


def assert_same(one, two):
    for name in ("mean_", "scale_", "components_", "intercept_visible_", "intercept_hidden_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.score_samples(X), two.score_samples(X))


def test_threads_do_not_matter(model):
    one, two = (clone(model).set_params(n_threads=n).fit(X) for n in (1, 2))
    assert_same(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("early_stopping", [True, False])
def test_on_a_gpu(cupy_stand_in, model, early_stopping):
    """The same but for rounding, from NumPy's rows and from CuPy's; results are where rows are."""
    model.set_params(early_stopping=early_stopping, max_iter=15)
    here, there = clone(model).fit(X), clone(model).set_params(backend="cupy")
    on_device = clone(there).fit(cupy_stand_in.asarray(X))
    there.fit(X)
    assert_same(there, on_device)
    # Rounding to float32 in an update grows in those that follow.
    assert there.score(X) == pytest.approx(here.score(X), abs=0.01)
    features = on_device.transform(cupy_stand_in.asarray(X))
    np.testing.assert_allclose(features.get(), there.transform(X), atol=1e-5)
    gaps = X.copy()
    gaps[:, 1] = np.nan
    filled = on_device.reconstruct(cupy_stand_in.asarray(gaps), random_state=0)
    np.testing.assert_allclose(filled.get(), there.reconstruct(gaps, random_state=0), rtol=1e-5)


def test_one_epoch_is_one_partial_fit(model):
    model.set_params(shuffle=False, max_iter=1)
    one, two = clone(model).fit(X), clone(model).partial_fit(X)
    assert_same(one, two)


def test_mean_and_scale_are_of_the_first_rows(model):
    model.set_params(learning_rate=1e-15)
    model.partial_fit(X[:50])
    model.partial_fit(100.0 * X[50:100])
    np.testing.assert_allclose(model.mean_, X[:50].mean(axis=0))
    np.testing.assert_allclose(model.scale_, X[:50].std(axis=0), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["auto", "pcd", "cd", "exact"])
def test_negative_phases(model, phase):
    model.set_params(negative_phase=phase, early_stopping=True, max_iter=60).fit(X)
    assert model.score(X) > GaussianMixture(1, covariance_type="diag").fit(X).score(X) + 0.2
    assert np.all(np.isfinite(model.history_["log_likelihood"]))


def test_a_fit_is_compared_with_one_diagonal_normal(model):
    """What it has, and what independent units would have, on these rows, in the units of X."""
    model.fit(X)
    state = get_fitted_model(model, backend=get_backend("numpy")).state
    rows = (X - model.mean_) / model.scale_
    found = compare_with_independent(state, rows, None)
    expected = GaussianMixture(1, covariance_type="diag").fit(X).score(X)
    assert found.independent == pytest.approx(expected, abs=1e-4)
    assert found.score == pytest.approx(model.score(X), abs=1e-4)
    assert not found.is_worse
    far = replace(
        state, machine=replace(state.machine, visible_bias=state.machine.visible_bias + 9)
    )
    found = compare_with_independent(far, rows, None)
    assert found.is_worse and found.independent == pytest.approx(expected, abs=1e-4)


def test_validation_is_in_the_units_of_X():
    """The best epoch's figure, and the score of the rows set aside, which shuffling names."""
    model = RBM(**HOW, early_stopping=True, negative_phase="exact", n_iter_no_change=30).fit(X)
    best = max(model.history_["log_likelihood"])
    assert model.score(X) == pytest.approx(best, abs=1.0)


def test_weights_are_repeated_rows(model):
    """In means, scales and all updates: rows of weight zero have no say at all."""
    # Couplings that do not matter: a fit so short would be replaced by independent columns.
    model.set_params(batch_size=100, shuffle=False, max_iter=1, learning_rate=1e-9, init_scale=0.01)
    weights = np.arange(150) % 3
    one = clone(model).fit(X, sample_weight=weights)
    rows = np.repeat(X, weights, axis=0)
    np.testing.assert_allclose(one.mean_, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(one.scale_, rows.std(axis=0), rtol=1e-6)
    wild = X.copy()
    wild[weights == 0] = 1e3
    assert_same(one, clone(model).fit(wild, sample_weight=weights))


def test_warm_start_goes_on(model):
    model.set_params(warm_start=True).fit(X)
    mean, scale = model.mean_, model.scale_
    model.set_params(learning_rate=1e-9).fit(X)
    np.testing.assert_array_equal(model.mean_, mean)
    np.testing.assert_allclose(model.scale_, scale, rtol=1e-6)


def test_pickles_and_files(model, tmp_path):
    pytest.importorskip("safetensors")
    model.fit(X)
    again = pickle.loads(pickle.dumps(model))
    save(model, tmp_path / "model.safetensors")
    read = load(tmp_path / "model.safetensors")
    for other in (again, read):
        assert_same(model, other)
    assert_same(clone(model).fit(X).partial_fit(X), read.partial_fit(X))


class InterruptedAfter(Silent):
    """Stands for a user who stops a fit after so many epochs."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def on_fit_task_end(self, estimator, context):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_fit_that_was_cut_short_goes_on(model):
    """Best epoch and scales included: as if it had not been."""
    model.set_params(early_stopping=True, n_iter_no_change=30)
    whole = clone(model).fit(X)
    stopped = clone(model).set_callbacks(InterruptedAfter(10))
    with pytest.warns(UserWarning, match="interrupted"):
        stopped.fit(X)
    assert stopped.n_iter_ == 10 < whole.n_iter_
    assert_same(whole, resume(stopped.set_callbacks(), X))


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: np.column_stack([x, np.full(len(x), 7.3)]), "vary in each column.*column 4"),
        (lambda x: x * [1, 0, 1, 0], "columns 1, 3"),
        (lambda x: np.where(x == x[3, 2], np.inf, x), "infinity"),
        (lambda x: x * [1, 1e200, 1, 1], "standard deviations between .* column 1"),
        (lambda x: x[:1], "got 1 sample"),
    ],
)
def test_bad_columns_are_named(model, change, message):
    with pytest.raises(ValueError, match=message):
        model.fit(change(X))
    assert not hasattr(model, "mean_")


def test_rows_far_away_are_refused(model):
    """In float32 their squares would overflow."""
    model.fit(X)
    far = X.copy()
    far[7, 2] = 1e300
    for method in ("transform", "score_samples", "partial_fit"):
        with pytest.raises(ValueError, match=r"1e\+15 standard deviations .* in column 2"):
            getattr(model, method)(far)


def test_a_constant_with_rounding_is_a_constant(model):
    with pytest.raises(ValueError, match="column 1"):
        model.fit(np.column_stack([X[:, 0], np.full(150, 0.1)]))


def test_sparse_rows_are_refused(model):
    from scipy import sparse

    with pytest.raises((TypeError, ValueError), match="dense"):
        model.fit(sparse.csr_matrix(X))


@pytest.mark.parametrize("binarize", [0.5, "sample", None])
def test_binarize_means_nothing(model, binarize):
    with pytest.raises(ValueError, match=r"leave it at 'auto', got"):
        model.set_params(binarize=binarize).fit(X)


def test_patterns_are_no_states():
    model = RARBM(**HOW, n_patterns=4, negative_phase="pid")
    with pytest.raises(ValueError, match="signs of the patterns"):
        model.fit(X)
    model.set_params(negative_phase="auto").fit(X)
    with pytest.raises(ValueError, match="real columns"):
        model.sample(3, init="patterns")


def test_what_is_of_spins_says_so(model):
    model.fit(X)
    with pytest.raises(ValueError, match="flipping spins"):
        model.pseudo_likelihood(X)
    with pytest.raises(ValueError, match="about spins"):
        diagnostics.ground_state_energy(model)
    assert diagnostics.singular_values(model).shape == (4,)
    assert diagnostics.ladder_travels(model).n_round_trips > 0


def test_visible_belongs_to_the_fit(model):
    model.fit(X)
    with pytest.raises(ValueError, match=r"visible='binary' is set, and visible='gaussian' was"):
        model.set_params(visible="binary").transform(X > 2.0)
    model.fit(X > 2.0)
    assert not hasattr(model, "mean_") and not hasattr(model, "scale_")
    with pytest.raises(ValueError, match=r"visible='gaussian' is set, and visible='binary' was"):
        model.set_params(visible="gaussian").transform(X)


def test_parameters():
    assert RBM().visible == "auto"
    with pytest.raises(ValueError, match="visible"):
        RBM(visible="reals").fit(X)
