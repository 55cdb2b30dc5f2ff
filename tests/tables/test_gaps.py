"""Rows of X that are not known as a whole: what a fit learns of them, and what a model says.

Statistical tests have fixed seeds; each says how often it would refuse what is right.
"""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import DataConversionWarning
from tools.brute_force import Enumerated, central_difference
from tools.callbacks import Silent
from tools.summed import Summed

from sklearn_rapid import RARBM, RBM, load, save
from sklearn_rapid.backends import Gaussians, RandomStream, get_backend
from sklearn_rapid.callbacks import resume
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.estimators.methods import completion
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.reals.gaussian import RealEncoder
from sklearn_rapid.tables.reals.moments import compute_moments
from sklearn_rapid.tables.spins import SpinEncoder
from sklearn_rapid.training.positive_phase import ClampedChains

HOW = {"n_components": 6, "max_iter": 5, "batch_size": 50, "random_state": 0}
BOTH = [RBM(**HOW), RARBM(**HOW, n_patterns=6)]
NAN = float("nan")


def with_gaps(X, share=0.3, seed=0):
    """X as floats, with entries left out at random."""
    is_missing = np.random.default_rng(seed).random(X.shape) < share
    return np.where(is_missing, np.nan, X)


BARS = np.random.default_rng(5).permutation(np.repeat(make_bars(3), 30, axis=0))
GAPS = with_gaps(BARS)
IRIS = np.random.default_rng(0).permutation(load_iris().data)


@pytest.fixture
def annealed(monkeypatch):
    """Sums over missing entries are estimated, however few completions there are."""
    monkeypatch.setattr("sklearn_rapid.machine.completions.MOST_COMPLETIONS", 1)


@pytest.fixture(params=BOTH, ids=["RBM", "RARBM"])
def model(request):
    return clone(request.param)


@pytest.fixture(params=["binary", "gaussian"])
def columns(request, model):
    """A model and rows with gaps, of spins and of real columns."""
    is_real = request.param == "gaussian"
    return model.set_params(visible=request.param), with_gaps(IRIS) if is_real else GAPS


def parameters(model):
    names = ("components_", "intercept_visible_", "intercept_hidden_", "mean_", "scale_")
    return [vars(model)[name] for name in names if name in vars(model)] + [model.components_]


def assert_same_model(a, b):
    for x, y in zip(parameters(a), parameters(b), strict=True):
        np.testing.assert_array_equal(x, y)


def enumerated(model):
    b, c = (a.astype(float) for a in (model.intercept_visible_, model.intercept_hidden_))
    return Enumerated(model.components_.T.astype(float), b, c)


def alike(exact, row):
    """Numbers of the visible states that a row of spins with gaps may be."""
    known = ~np.isnan(row)
    return np.flatnonzero(np.all(exact.visible[:, known] == row[known], axis=1))


def log_likelihood_of_known(exact, spins):
    p = exact.visible_probabilities()
    return np.array([np.log(p[alike(exact, row)].sum()) for row in spins])


# --- rows to states -------------------------------------------------------------------------


@pytest.mark.parametrize("units", ["binary", "spin"])
@pytest.mark.parametrize("binarize", [0.25, "sample", None])
def test_what_is_not_known_stays_so(backend, units, binarize):
    X = np.array([[0.0, NAN, 1.0], [NAN, NAN, NAN], [1.0, 0.0, 0.0]], dtype=np.float32)
    encoder = SpinEncoder(units, binarize, backend=backend, missing=True)
    whole = SpinEncoder(units, binarize, backend=backend)
    filled = np.where(np.isnan(X), 1.0, X)
    for read in (
        lambda encoder, X: encoder.states(X),
        lambda encoder, X: encoder.states(X, RandomStream(0), 0, n_rows=5),
        lambda encoder, X: encoder.states_of_rows(X, np.array([2, 0, 1])),
        lambda encoder, X: encoder.states_of_rows(X, slice(0, 2)),
    ):
        found, expected = (backend.to_numpy(a) for a in (read(encoder, X), read(whole, filled)))
        of_gaps = backend.to_numpy(read(SpinEncoder(units, None, backend=backend), X))
        np.testing.assert_array_equal(found, np.where(np.isnan(of_gaps), NAN, expected))
        assert np.isnan(found).sum() == 4


def test_real_entries_that_are_not_known_stay_so(backend):
    how = {"backend": backend, "dtype": "float64"}
    encoder = RealEncoder(np.array([1.0, 2.0]), np.array([2.0, 4.0]), **how)
    found = backend.to_numpy(encoder.states(np.array([[3.0, NAN], [NAN, 6.0]]), n_rows=3))
    np.testing.assert_array_equal(found, [[1.0, NAN], [NAN, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_what_is_known(weighted):
    X = with_gaps(IRIS)
    weights = np.random.default_rng(1).random(150) if weighted else None
    mean, scale = compute_moments(X, weights, None)
    w = np.ones(150) if weights is None else weights
    for j in range(4):
        known = ~np.isnan(X[:, j])
        center = np.average(X[known, j], weights=w[known])
        spread = np.sqrt(np.average((X[known, j] - center) ** 2, weights=w[known]))
        assert mean[j] == pytest.approx(center, rel=1e-12)
        assert scale[j] == pytest.approx(spread, rel=1e-12)


def test_values_beside_gaps_are_explained_as_ever():
    rows = np.array([[NAN, 3.0], [0.0, NAN], [8.0, 1.0]])
    with pytest.warns(DataConversionWarning, match="values from 0 to 8"):
        RBM(2, max_iter=1, random_state=0).fit(rows)
    with pytest.warns(DataConversionWarning, match="from 0 to 8, .* all of them are off"):
        RBM(2, max_iter=1, random_state=0, binarize=9.0).fit(rows)


# --- training -------------------------------------------------------------------------------

ROW = {"spins": [1.0, NAN, -1.0, NAN, NAN], "gaussians": [0.3, NAN]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROW)
def test_completed_rows_have_the_gradient_of_what_is_known(kind):
    """Five standard errors of 20 000 chains for each parameter: refused once in ten thousand."""
    row, backend, n = np.array(ROW[kind]), get_backend("numba"), 20_000
    rng = np.random.default_rng(2)
    n_visible, n_hidden = len(row), 3
    W = rng.normal(scale=0.5, size=(n_visible, n_hidden))
    b, c = rng.normal(scale=0.4, size=n_visible), rng.normal(scale=0.4, size=n_hidden)
    free = np.isnan(row)

    def log_sum(flat):
        """Log Σ_u exp(-F(v, u)), by sums over hidden states."""
        W, b, c = np.split(flat, np.cumsum([n_visible * n_hidden, n_visible]))
        W = W.reshape(n_visible, n_hidden)
        h = Summed(W, b, c).h
        field = h @ W.T + b
        known = h @ c + field[:, ~free] @ row[~free]
        if kind == "spins":
            return logsumexp(known + np.sum(np.logaddexp(field, -field)[:, free], axis=1))
        return logsumexp(known + 0.5 * np.sum(field[:, free] ** 2, axis=1))

    expected = central_difference(log_sum, np.concatenate([W.ravel(), b, c]))
    how = {"visible_units": Gaussians()} if kind == "gaussians" else {}
    machine = Machine(DenseCouplings(W), b, c, backend, **how)
    rows = np.tile(row, (n, 1))
    v = ClampedChains(200).states(machine, rows, RandomStream(1))
    h = np.tanh(v @ W + c)
    each = np.hstack([(v[:, :, None] * h[:, None, :]).reshape(n, -1), v, h])
    error = each.std(axis=0) / np.sqrt(n) + 1e-6
    assert np.all(np.abs(each.mean(axis=0) - expected) < 5.0 * error)


@pytest.mark.slow
def test_gaps_cost_little_likelihood():
    """Rows of a known machine, a third of their entries missing at random.

    A fit on them comes closer to one of whole rows than to one of rows that column means fill.
    Over ten seeds of machine, rows and gaps it lost at most 0.02 nats, that of means 0.1 to 0.5.
    """
    rng = np.random.default_rng(0)
    teacher = Enumerated(rng.normal(size=(8, 3)), 0.3 * rng.normal(size=8), np.zeros(3))
    rows = 0.5 * (teacher.sample_visible(3000, rng) + 1.0)
    gaps = with_gaps(rows, 1 / 3)
    means = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), gaps)
    p = teacher.visible_probabilities()
    lost = []
    for X in (rows, gaps, means):
        fitted = RBM(6, max_iter=60, negative_phase="exact", random_state=0).fit(X)
        lost.append(float(p @ (np.log(p) - np.log(enumerated(fitted).visible_probabilities()))))
    full, known, filled = lost
    assert known - full < 0.05
    assert filled - full > 0.1


@pytest.mark.slow
def test_gaps_in_real_columns_cost_little_likelihood(model):
    """A fifth of iris missing: less than half of what filling it with means costs."""
    model.set_params(visible="gaussian", max_iter=300)
    gaps = with_gaps(IRIS, 0.2)
    means = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), gaps)
    full, known, filled = (clone(model).fit(X).score(IRIS) for X in (IRIS, gaps, means))
    assert full - known < 0.5 * (full - filled)


@pytest.mark.parametrize("binarize", ["sample", None])
def test_grey_values_beside_gaps(binarize):
    grey = np.clip(BARS * 0.8 + 0.1, 0, 1)
    fitted = RBM(**{**HOW, "max_iter": 60}, binarize=binarize).fit(with_gaps(grey))
    plain = RBM(**{**HOW, "max_iter": 60}, binarize=binarize).fit(grey)
    alone = RBM(**{**HOW, "max_iter": 60}, binarize=binarize, l1_penalty=30.0).fit(grey)
    assert plain.score(BARS) - fitted.score(BARS) < 0.5 * (plain.score(BARS) - alone.score(BARS))


def test_rows_that_know_nothing_say_nothing(columns):
    model, X = columns
    weights = np.random.default_rng(3).random(len(X)) + 0.1
    empty = np.insert(X, [0, 40, 40, len(X)], np.nan, axis=0)
    with_empty = np.insert(weights, [0, 40, 40, len(X)], 1.0)
    one = clone(model).fit(X, sample_weight=weights)
    two = clone(model).fit(empty, sample_weight=with_empty)
    assert_same_model(one, two)
    # Without weights too, but for rounding in the first sums.
    one, two = clone(model).set_params(max_iter=1), clone(model).set_params(max_iter=1)
    for x, y in zip(parameters(one.fit(X)), parameters(two.fit(empty)), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-3)


def test_rows_of_weight_zero_need_not_be_known(model):
    weights = np.ones(len(GAPS))
    weights[:7] = 0.0
    changed = GAPS.copy()
    changed[:7] = np.nan
    one = clone(model).fit(GAPS, sample_weight=weights)
    assert_same_model(one, clone(model).fit(changed, sample_weight=weights))


@pytest.mark.slow
def test_a_repeated_row_counts_as_a_weight(model):
    """In whole batches a weight of two is a row twice, up to the draws: within their noise."""
    model.set_params(max_iter=40)
    weights = 1.0 + (np.arange(len(GAPS)) % 2)
    weighted = clone(model).fit(GAPS, sample_weight=weights)
    repeated = clone(model).fit(np.repeat(GAPS, weights.astype(int), axis=0))
    assert abs(weighted.score(BARS) - repeated.score(BARS)) < 0.5


def test_ways_to_say_that_an_entry_is_missing(model):
    one = clone(model).fit(GAPS)
    masked = np.ma.masked_array(BARS, np.isnan(GAPS))
    frame = pd.DataFrame(np.where(np.isnan(GAPS), 0, BARS).astype(int)).astype("Int64")
    frame = frame.mask(np.isnan(GAPS))
    for X in (GAPS.tolist(), GAPS.astype(np.float32), masked):
        assert_same_model(one, clone(model).fit(X))
    of_frame = clone(model).fit(frame)
    np.testing.assert_array_equal(one.components_, of_frame.components_)


@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, {"dtype": "float64"}, {"early_stopping": True}])
def test_one_seed_one_model_for_any_number_of_threads(columns, params):
    model, X = columns
    X = np.tile(X, (3, 1))
    one, two = (clone(model).set_params(n_threads=n, **params).fit(X) for n in (1, 2))
    assert_same_model(one, two)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_array_equal(one.score_samples(X[:99]), two.score_samples(X[:99]))
    if "early_stopping" in params:
        assert np.isfinite(one.history_["lower_bound"]).all()


def test_early_stopping_goes_by_what_is_known(model):
    """The figure is a bound, and called one; it rises."""
    model.set_params(early_stopping=True, max_iter=30, n_iter_no_change=30, negative_phase="cd")
    model.fit(GAPS)
    assert len(model.history_["lower_bound"]) == model.n_iter_ == 30
    assert model.history_["lower_bound"][-1] > model.history_["lower_bound"][0]


def test_validation_of_real_columns_is_per_unit_of_what_is_known(model):
    """Other units of X move the figure by the logs of the factors of what is known."""
    factors, X = np.array([1.0, 100.0, 1.0, 0.01]), with_gaps(IRIS)
    X[:, 1] = np.where(np.arange(150) % 2, IRIS[:, 1], np.nan)
    X[:, 3] = IRIS[:, 3]
    model.set_params(visible="gaussian", early_stopping=True, max_iter=3, dtype="float64")
    one, two = clone(model).fit(X), clone(model).fit(X * factors)
    order = np.random.default_rng(one._training_state["stream"].seed).permutation(150)
    known = ~np.isnan(X[np.sort(order[:15])])
    expected = float(np.mean(known @ np.log(factors)))
    gap = np.subtract(one.history_["lower_bound"], two.history_["lower_bound"])
    np.testing.assert_allclose(gap, expected, atol=1e-6)


class InterruptedAfter(Silent):
    """Ends a fit after so many epochs, as a user does."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def on_fit_task_begin(self, estimator, context):
        self.n_left -= context.task_name == "epoch"
        if self.n_left < 0:
            raise KeyboardInterrupt


def test_a_fit_in_parts(columns):
    """Partial fits of batches, a warm start, and a fit that goes on after an interrupt."""
    model, X = columns
    parts = clone(model)
    for start in range(0, len(X), 50):
        parts.partial_fit(X[start : start + 50])
    again = pickle.loads(pickle.dumps(clone(model).partial_fit(X[:50])))
    for start in range(50, len(X), 50):
        again.partial_fit(X[start : start + 50])
    assert_same_model(parts, again)
    warm = clone(model).set_params(warm_start=True).fit(X)
    before = warm.score(X)
    assert warm.fit(X).score(X) > before - 0.3
    whole = clone(model).fit(X)
    cut = clone(model).set_callbacks(InterruptedAfter(2))
    with pytest.warns(UserWarning, match="interrupted"):
        cut.fit(X)
    assert cut.n_iter_ == 2
    assert_same_model(whole, resume(cut.set_callbacks(), X))


def test_whole_and_incomplete_calls_follow_one_another(model):
    """The positive phase of a call is that of its rows; the state serves any."""
    model.partial_fit(BARS[:100]).partial_fit(GAPS[100:]).partial_fit(BARS)
    assert np.isfinite(model.components_).all()
    assert model.score(BARS) > 9 * np.log(0.5)


def test_columns_missing_in_a_call_wait_for_others(model):
    X = GAPS.copy()
    X[:, 2] = np.nan
    model.partial_fit(X).partial_fit(GAPS)
    assert np.isfinite(model.components_).all()


def test_models_are_kept(columns, tmp_path):
    model, X = columns
    model.fit(X)
    save(model, tmp_path / "model.safetensors")
    for other in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(other.transform(X), model.transform(X))
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
        assert_same_model(other.partial_fit(X[:50]), clone(model).fit(X).partial_fit(X[:50]))


# --- what a model says of rows with gaps ----------------------------------------------------


@pytest.fixture
def trained(model):
    return model.set_params(max_iter=40, dtype="float64").fit(BARS)


def test_likelihoods_of_what_is_known(trained):
    """Against enumeration: the mean of 300 rows within five of its errors, each row within 1."""
    exact = enumerated(trained)
    expected = log_likelihood_of_known(exact, 2 * GAPS - 1)
    found = trained.score_samples(GAPS)
    assert np.abs(found - expected).max() < 1.0
    assert np.abs(found - expected).mean() < 0.1
    assert trained.score(GAPS) == pytest.approx(expected.mean(), abs=0.02)
    np.testing.assert_array_equal(found, trained.score_samples(GAPS))  # the same at every call


def log_density_of_known(model, X):
    """Of rows of real columns: a mixture of normals, one for each hidden state."""
    b, c = (a.astype(float) for a in (model.intercept_visible_, model.intercept_hidden_))
    W = model.components_.T.astype(float)
    h = 2.0 * (np.arange(2 ** len(c))[:, None] >> np.arange(len(c)) & 1) - 1.0
    centres = h @ W.T + b
    log_weights = h @ c + 0.5 * np.sum(centres**2, axis=1)
    log_weights -= logsumexp(log_weights)
    centres = model.mean_ + model.scale_ * centres
    log_p = stats.norm.logpdf(X[:, None, :], centres, model.scale_)
    return logsumexp(np.nansum(log_p, axis=2) + log_weights, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_errors_of_estimates_are_honest(kind, share, annealed):
    """Against sums over all states, each row twenty times, with random numbers of their own.

    Errors are those of sixteen weights: of normal ones, deviations would have the spread 1.07, and
    one in a hundred would be beyond three. Five seeds of models and gaps had spreads of 1.04 to
    1.16 (of one kind, ± 0.02) and at most 0.017 beyond three: refused less than once in 10⁴.
    """
    if kind == "binary":
        whole = BARS[:100]
        model = RBM(6, max_iter=300, dtype="float64", random_state=0).fit(BARS)
    else:
        whole = IRIS
        model = RBM(8, visible="gaussian", max_iter=300, random_state=0).fit(IRIS)
    X = np.tile(with_gaps(whole, share), (20, 1))
    if kind == "binary":
        expected = log_likelihood_of_known(enumerated(model), 2 * X - 1)
    else:
        expected = log_density_of_known(model, X)
    log_p, error = model.score_samples(X, return_error=True)
    np.testing.assert_array_equal(log_p, model.score_samples(X))
    is_whole = ~np.isnan(X).any(axis=1)
    np.testing.assert_array_equal(error == 0.0, is_whole)
    np.testing.assert_allclose(log_p[is_whole], expected[is_whole], atol=1e-4)
    deviations = (log_p - expected)[~is_whole] / error[~is_whole]
    assert 0.9 < deviations.std() < 1.25
    assert np.mean(np.abs(deviations) > 3.0) < 0.03
    assert np.sqrt(np.mean(error**2)) < 0.3


@pytest.mark.slow
def test_more_chains_make_errors_smaller(trained, annealed):
    _, few = trained.score_samples(GAPS, return_error=True)
    _, many = trained.score_samples(GAPS, n_chains=256, return_error=True)
    ratio = np.sqrt(np.mean(few**2) / np.mean(many**2))
    assert 3.0 < ratio < 5.0  # the root of sixteen
    for how in ({"n_chains": 1}, {"n_temperatures": 1}):
        with pytest.raises(ValueError, match="at least 2, got 1"):
            trained.score_samples(GAPS, **how)


def test_the_free_energy_is_a_bound(trained):
    exact = enumerated(trained)
    bound = -trained.free_energy(GAPS) - exact.log_z()
    expected = log_likelihood_of_known(exact, 2 * GAPS - 1)
    assert np.all(bound <= expected + 1e-9)
    assert np.mean(expected - bound) < 1.0


def test_whole_rows_are_told_the_same_beside_others(columns):
    model, X = columns
    model.fit(X)
    mixed = X.copy()
    whole = np.isnan(mixed).sum(axis=1) <= 1
    mixed[whole] = np.where(np.isnan(mixed[whole]), 0.0, mixed[whole])
    for method in ("score_samples", "free_energy", "transform"):
        alone = getattr(model, method)(mixed[whole])
        np.testing.assert_array_equal(getattr(model, method)(mixed)[whole], alone)


def test_features_given_what_is_known(trained):
    """Mean fields, against exact conditional means."""
    exact = enumerated(trained)
    joint = exact.joint()
    expected = []
    for row in 2 * GAPS - 1:
        p = joint[alike(exact, row)].sum(axis=0)
        expected.append(p @ exact.hidden / p.sum())
    expected = 0.5 * (np.array(expected) + 1.0)
    error = np.abs(trained.transform(GAPS) - expected).mean()
    filled = np.where(np.isnan(GAPS), BARS.mean(axis=0), GAPS)
    assert (
        error < 0.5 * np.abs(trained.set_params(binarize=None).transform(filled) - expected).mean()
    )


def test_sampled_features_given_what_is_known(trained):
    """The mean of 4000 draws is the conditional one, to five errors and the chains' start."""
    exact = enumerated(trained)
    row = GAPS[np.isnan(GAPS).sum(axis=1) == 2][0]
    p = exact.joint()[alike(exact, 2 * row - 1)].sum(axis=0)
    expected = 0.5 * (p @ exact.hidden / p.sum() + 1.0)
    drawn = trained.set_params(hidden_features="sample").transform(np.tile(row, (4000, 1)))
    assert np.isin(drawn, [0.0, 1.0]).all()
    assert np.abs(drawn.mean(axis=0) - expected).max() < 0.1


def test_densities_are_of_the_columns_that_are_known():
    """Without couplings, a normal distribution of each."""
    model = RBM(n_components=2, visible="gaussian", max_iter=1, random_state=0).fit(IRIS)
    model.components_ = np.zeros_like(model.components_)
    model.intercept_visible_ = np.array([0.3, -0.2, 0.0, 0.1], dtype=np.float32)
    X = with_gaps(IRIS, 0.4)
    center = model.mean_ + model.scale_ * model.intercept_visible_
    expected = np.nansum(stats.norm.logpdf(X, center, model.scale_), axis=1)
    found = model.score_samples(X)
    np.testing.assert_allclose(found, expected, atol=0.05)  # annealed
    whole = ~np.isnan(X).any(axis=1)
    np.testing.assert_allclose(found[whole], expected[whole], atol=1e-4)


def test_one_row_may_be_a_case_of_another(trained):
    """Their probabilities add up to more than one, and that is no sign of anything."""
    X = np.full((40, 9), np.nan)
    X[20:, 0] = 1.0
    log_p = trained.score_samples(X)  # no warning
    assert logsumexp(log_p) > 1.0
    assert np.median(np.abs(log_p[:20])) < 1.0


def test_samples_start_at_completed_rows(columns):
    model, X = columns
    model.fit(X)
    start = model.sample(len(X), init=X, n_gibbs_steps=0, random_state=0)
    known = ~np.isnan(X)
    np.testing.assert_allclose(start[known], X[known], rtol=1e-5)
    assert np.isfinite(start).all()
    assert np.isfinite(model.gibbs(X, 2, random_state=0)).all()


@pytest.mark.slow
def test_gaps_are_filled_by_a_model_of_incomplete_rows():
    """Closer than column means are."""
    fitted = RBM(16, max_iter=300, batch_size=50, random_state=0).fit(GAPS)
    missing = np.isnan(GAPS)
    found = fitted.reconstruct(GAPS, output="mean", random_state=0) > 0.5
    means = np.broadcast_to(np.nanmean(GAPS, axis=0) > 0.5, GAPS.shape)
    wrong, of_means = (np.mean(x[missing] != BARS[missing]) for x in (found, means))
    assert wrong < 0.7 * of_means


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gaps_on_the_device(model, cupy_stand_in, dtype):
    """What the host's arrays give, to rounding, in the first updates; and for a fitted model."""
    X = GAPS.astype(dtype)
    on_device = cupy_stand_in.asarray(X)
    model.set_params(max_iter=1)
    host = clone(model).fit(X)
    device = clone(model).set_params(backend="cupy").fit(on_device)
    np.testing.assert_allclose(device.components_, host.components_, atol=1e-3)
    host.set_params(backend="cupy")
    for method in ("transform", "free_energy", "score_samples"):
        of_host, of_device = (getattr(host, method)(rows) for rows in (X, on_device))
        np.testing.assert_allclose(of_device.get(), of_host, rtol=1e-5, atol=1e-5)
    of_host, of_device = (host.reconstruct(rows, random_state=0) for rows in (X, on_device))
    np.testing.assert_array_equal(of_device.get(), of_host)


# --- what is refused ------------------------------------------------------------------------


def without(columns):
    X = GAPS.copy()
    X[:, columns] = np.nan
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (without([4]), "in each column, got only NaN in column 4: leave"),
        (without([1, 4]), "in each column, got only NaN in columns 1, 4: leave"),
        (without(slice(None)), "got only NaN"),
        (sparse.csr_array(GAPS), "X contains NaN"),
        (np.where(np.isnan(GAPS), np.inf, GAPS), "infinity"),
        (np.where(GAPS == GAPS[0, 0], -np.inf, GAPS), "infinity"),
    ],
)
def test_a_fit_is_refused(columns, X, message):
    model, _ = columns
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not hasattr(model, "components_")


def test_a_column_known_in_rows_of_no_weight_only_is_refused(columns):
    model, X = columns
    X = X.copy()
    X[5:, 1] = np.nan
    weights = np.where(np.arange(len(X)) < 5, 0.0, 1.0)
    with pytest.raises(ValueError, match="got only NaN in column 1"):
        model.fit(X, sample_weight=weights)


def test_other_refusals(model):
    with pytest.raises(ValueError, match="got only NaN"):
        clone(model).partial_fit(GAPS * np.nan)
    model.fit(GAPS)
    with pytest.raises(ValueError, match=r"X contains NaN.*wanted whole"):
        model.pseudo_likelihood(GAPS)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        model.reconstruct(sparse.csr_array(BARS))
    real = RBM(2, visible="gaussian")
    with pytest.raises(ValueError, match=r"must vary in each column.*column 1"):
        real.fit(np.array([[1.0, 2.0], [2.0, NAN], [NAN, 2.0]]))


def test_tags(model):
    assert model.__sklearn_tags__().input_tags.allow_nan


# --- filling in ------------------------------------------------------------------------------

LARGE = np.array([[20000001.0, 0.1, 3.3], [20000003.0, -0.7, 4.1], [20000007.0, 0.3, 1e-9]] * 10)
SHARES = np.random.default_rng(3).random((20, 4))
KNOWN = {
    "real": (RBM(2, max_iter=1, visible="gaussian"), LARGE),
    "real, patterns": (RARBM(2, 2, max_iter=1, visible="gaussian"), LARGE),
    "real, float64": (RBM(2, max_iter=1, visible="gaussian", dtype="float64"), LARGE),
    "real, whole numbers": (
        RBM(2, max_iter=1, visible="gaussian"),
        np.round(10.0 * LARGE).astype(np.int64),
    ),
    "real, float32": (RBM(2, max_iter=1, visible="gaussian"), IRIS.astype(np.float32)),
    "shares": (RBM(2, max_iter=1, binarize=None), SHARES),
    "shares, sampled": (RBM(2, max_iter=1, binarize="sample"), SHARES),
    "shares of spins": (RBM(2, max_iter=1, binarize=None, units="spin"), 2.0 * SHARES - 1.0),
    "spins": (RBM(2, max_iter=1, units="spin"), np.where(SHARES > 0.5, 1.0, -1.0)),
    "bits": (RBM(2, max_iter=1), (SHARES > 0.5).astype(np.uint8)),
    "codes": (RBM(2, max_iter=1, visible="categorical"), np.floor(3.0 * SHARES) * 5000001.0),
    "mixed": (
        RBM(2, max_iter=1, visible=[("gaussian", [2, 0]), ("binary", [1])]),
        np.where([False, True, False], np.arange(30)[:, None] % 2, LARGE),
    ),
}


@pytest.mark.parametrize("output", ["sample", "mean"])
@pytest.mark.parametrize("case", KNOWN)
def test_what_is_known_is_returned_as_it_is(case, output):
    """To the last digit, in an array, a frame and a masked array."""
    model, X = KNOWN[case]
    model = clone(model).set_params(random_state=0)
    model.fit(X)
    is_known = np.random.default_rng(0).random(X.shape) < 0.7
    gaps = X.astype(X.dtype if X.dtype.kind == "f" else float)
    gaps[~is_known] = np.nan
    how = {"n_gibbs_steps": 3, "output": output, "random_state": 0}
    for filled in (
        model.reconstruct(X, is_known, **how),
        model.reconstruct(np.ma.masked_array(X, ~is_known), **how),
        model.reconstruct(gaps, **how),
    ):
        np.testing.assert_array_equal(filled[is_known], X[is_known])
        assert np.isfinite(filled).all()
        is_narrow = gaps.dtype == np.float32 and model.dtype == "float32"
        assert filled.dtype == (np.float32 if is_narrow else np.float64)
    frame = pd.DataFrame(gaps, columns=[f"c{i}" for i in range(X.shape[1])])
    of_frames = clone(model).fit(pd.DataFrame(X, columns=frame.columns))
    table = of_frames.set_output(transform="pandas").reconstruct(frame, **how)
    np.testing.assert_array_equal(table.to_numpy()[is_known], X[is_known])


def test_what_a_threshold_reads_is_returned_as_it_is_read():
    grey = np.random.default_rng(0).integers(256, size=(20, 4)).astype(float)
    model = RBM(2, max_iter=1, binarize=127.5, random_state=0).fit(grey)
    gaps = with_gaps(grey)
    for output in ("sample", "mean"):
        filled = model.reconstruct(gaps, output=output, random_state=0)
        is_known = ~np.isnan(gaps)
        np.testing.assert_array_equal(filled[is_known], grey[is_known] > 127.5)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_means_of_few_missing_entries_are_exact(model, share):
    """Those of all states that a row may be: nine bits have 512 at most."""
    model.set_params(max_iter=30).fit(BARS)
    gaps, exact = with_gaps(BARS, share), enumerated(model)
    p, spins = exact.visible_probabilities(), 2.0 * gaps - 1.0
    expected = []
    for row in spins:
        of_row = alike(exact, row)
        expected.append(p[of_row] @ exact.visible[of_row] / p[of_row].sum())
    for tempered in (False, True):
        found = model.reconstruct(gaps, output="mean", tempered=tempered, random_state=0)
        np.testing.assert_allclose(2.0 * found - 1.0, expected, atol=2e-5)


def test_rows_with_many_missing_entries_beside_few(monkeypatch):
    """Each row has the means of its own, in its place."""
    model = RBM(**HOW).fit(BARS)
    gaps, how = with_gaps(BARS, 0.5), {"output": "mean", "random_state": 0, "n_gibbs_steps": 2000}
    exact = model.reconstruct(gaps, **how)
    n_missing = np.isnan(gaps).sum(axis=1)
    monkeypatch.setattr(completion, "MOST_COMPLETIONS", 16)
    some = model.reconstruct(gaps, **how)
    are_few = n_missing <= 4
    assert 0.3 < are_few.mean() < 0.7
    np.testing.assert_array_equal(some[are_few], exact[are_few])
    # Of 25 draws, half of them alike: an error of 0.14 at most, and of far less in the mean.
    assert np.sqrt(np.mean((some - exact)[~are_few] ** 2)) < 0.1
    assert np.any(some[~are_few] != exact[~are_few])
