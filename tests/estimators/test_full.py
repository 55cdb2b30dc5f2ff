"""Fully connected machines, against the energies of pairs of spins summed over all states.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import clone
from tools.brute_force import all_spins, central_difference, p_value_of_states
from tools.callbacks import Silent
from tools.equality import assert_same

from sklearn_rapid import RABM
from sklearn_rapid.callbacks import resume
from sklearn_rapid.estimators.rabm import initial_singular_value
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD, LinearDecay

SMALLEST_P = 1e-4
N, K, N_HIDDEN = 6, 4, 3
SMALL = {"n_patterns": K, "max_iter": 2, "units": "spin", "random_state": 0}
rng = np.random.default_rng(0)
X = np.where(rng.random((60, N)) < 0.5, -1, 1)
X[:, 1] = np.where(rng.random(60) < 0.8, X[:, 0], -X[:, 0])


class Pairs:
    """P(σ) ∝ exp(Σ_{i<j} J_ij σ_i σ_j + b·σ), the first spins being seen and the last ones not."""

    def __init__(self, J, b, n_visible):
        self.states, self.n_visible = all_spins(len(b)), n_visible
        couplings = np.triu(J, 1)
        self.minus_energy = (
            np.einsum("ni,ij,nj->n", self.states, couplings, self.states) + self.states @ b
        )
        self.log_z = logsumexp(self.minus_energy)
        # The last spins are the high bits: a visible state comes again in every block.
        by_hidden = self.minus_energy.reshape(-1, 2**n_visible)
        self.log_p = logsumexp(by_hidden, axis=0) - self.log_z
        self.visible = self.states[: 2**n_visible, :n_visible]
        self.p = np.exp(self.log_p)


def model_of(n_hidden=0, scale=0.4, seed=0, **how):
    """A fitted model with random parameters, and the same as energies of pairs."""
    model = RABM(n_hidden, **{**SMALL, "dtype": "float64", **how}).fit(X)
    rng = np.random.default_rng(seed)
    n = N + n_hidden
    patterns = rng.normal(scale=scale, size=(K, n)) * K**0.25
    model.components_ = patterns / K**0.25
    model.intercept_visible_, model.intercept_hidden_ = (
        rng.normal(scale=0.3, size=size) for size in (n, K)
    )
    # Equation 5, and the gauge: |Wᵀσ + c|²/2 has the field Wc.
    J = np.einsum("ki,kj->ij", patterns, patterns) / np.sqrt(K)
    b = model.intercept_visible_ + patterns.T @ model.intercept_hidden_ / K**0.25
    return model, Pairs(J, b, N), J, b


@pytest.fixture(params=[0, N_HIDDEN], ids=["no hidden spins", "hidden spins"])
def n_hidden(request):
    return request.param


# --- energies and likelihoods ---------------------------------------------------------------


def test_attributes_are_those_of_the_energy(n_hidden):
    model, _, J, b = model_of(n_hidden)
    off_diagonal = J - np.diag(np.diag(J))
    np.testing.assert_allclose(model.couplings_, off_diagonal, atol=1e-14)
    np.testing.assert_allclose(model.intercept_, b, atol=1e-14)
    again = np.einsum("ki,kj->ij", model.patterns_, model.patterns_) / np.sqrt(K)
    np.testing.assert_allclose(again, J, atol=1e-14)


def test_likelihoods_are_those_of_pairs():
    model, pairs, J, _ = model_of()
    np.testing.assert_allclose(model.score_samples(pairs.visible), pairs.log_p, rtol=1e-12)
    # What the machine's log Z has that of E has not.
    c = model.intercept_hidden_
    constant = 0.5 * np.trace(J) + 0.5 * c @ c + 0.5 * K * np.log(2.0 * np.pi)
    np.testing.assert_allclose(model.log_partition_ - constant, pairs.log_z, rtol=1e-12)
    log_f = -model.free_energy(pairs.visible) - constant
    np.testing.assert_allclose(log_f, pairs.minus_energy, atol=1e-12)
    log_p, error = model.score_samples(pairs.visible, return_error=True)
    np.testing.assert_array_equal(error, 0.0)
    np.testing.assert_array_equal(log_p, model.score_samples(pairs.visible))


@pytest.mark.slow
def test_log_partition_by_tempering_and_annealing():
    """Couplings strong enough for several modes: within five errors, one in a million each."""
    model, _, _, _ = model_of(scale=0.8)
    exact = model.log_partition("exact").value
    for method in ("tempering", "ais"):
        estimate = model.log_partition(method, random_state=1)
        assert estimate.is_trusted
        assert abs(estimate.value - exact) < 5.0 * estimate.error
        assert estimate.error < 0.2


@pytest.mark.slow
def test_hidden_spins_are_summed_over():
    model, pairs, _, _ = model_of(N_HIDDEN)
    log_p, error = model.score_samples(pairs.visible, n_chains=200, return_error=True)
    assert np.all(error < 0.05)
    assert np.all(np.abs(log_p - pairs.log_p) < 5.0 * error + 1e-3)
    assert np.all(model.lower_bound(pairs.visible) < pairs.log_p + 1e-9)
    # The mean field of three spins that a dozen weak couplings hold is not far away.
    assert np.all(model.lower_bound(pairs.visible) > pairs.log_p - 0.5)


def test_pseudo_likelihood():
    model, pairs, _, _ = model_of()
    numbers = np.arange(len(pairs.p))
    both = np.stack([pairs.p + pairs.p[numbers ^ (1 << i)] for i in range(N)], axis=1)
    expected = np.sum(np.log(pairs.p[:, None] / both), axis=1)
    np.testing.assert_allclose(model.pseudo_likelihood(pairs.visible), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="3 are hidden"):
        model_of(N_HIDDEN)[0].pseudo_likelihood(X)


# --- training -------------------------------------------------------------------------------


def test_gradient():
    """A plain step of a thousandth goes along the gradient of the mean log-likelihood."""
    model, _, _, _ = model_of(
        negative_phase="exact", optimizer=SGD(scaled=False), center=False, projection=None,
        learning_rate=1e-3, batch_size=60, binarize=0.0,
    )  # fmt: skip
    names = ("components_", "intercept_visible_", "intercept_hidden_")
    before = {name: getattr(model, name).copy() for name in names}

    def log_likelihood(name, value):
        w, b, c = ({**before, name: value}[key] for key in names)
        pairs = Pairs(w.T @ w, b + w.T @ c, N)
        return np.mean(pairs.log_p[(X > 0) @ 2 ** np.arange(N)])

    model.partial_fit(X)
    for name in names:
        step = (getattr(model, name) - before[name]) / 1e-3
        slope = central_difference(lambda x, n=name: log_likelihood(n, x), before[name])
        np.testing.assert_allclose(step, slope, atol=1e-8)


@pytest.mark.slow
def test_couplings_are_found():
    """Those that 20,000 rows were drawn with, by steps whose noise is small.

    The most likely couplings have an error of (1/√20,000)/(1 - m²) in each, some 0.01; naive mean
    field, -C⁻¹, is wrong by more.
    """
    rng = np.random.default_rng(1)
    J = np.triu(rng.normal(scale=0.3, size=(8, 8)), 1)
    J, b = J + J.T, rng.normal(scale=0.3, size=8)
    pairs = Pairs(J, b, 8)
    rows = pairs.visible[rng.choice(256, size=20_000, p=pairs.p)]
    model = RABM(n_patterns=8, units="spin", max_iter=60, learning_rate=LinearDecay(0.05),
                 random_state=0).fit(rows)  # fmt: skip
    upper = np.triu_indices(8, 1)
    mean_field = -np.linalg.inv(np.cov(rows.T))

    def error(found):
        return np.sqrt(np.mean((found[upper] - J[upper]) ** 2))

    assert error(model.couplings_) < 0.02
    assert error(mean_field) > 2.0 * error(model.couplings_)
    np.testing.assert_allclose(model.intercept_, b, atol=0.06)
    assert model.score(rows) > np.mean(pairs.p @ pairs.log_p) - 0.02


@pytest.mark.slow
def test_attraction_is_no_restriction():
    """Spins that all shun each other: J has no negative eigenvalue, but for its diagonal."""
    pairs = Pairs(np.full((5, 5), -0.4), np.zeros(5), 5)
    rng = np.random.default_rng(2)
    rows = pairs.visible[rng.choice(32, size=5000, p=pairs.p)]
    model = RABM(n_patterns=5, units="spin", negative_phase="exact", max_iter=60,
                 learning_rate=LinearDecay(0.05), random_state=0).fit(rows)  # fmt: skip
    upper = np.triu_indices(5, 1)
    np.testing.assert_allclose(model.couplings_[upper], -0.4, atol=0.08)


@pytest.mark.slow
def test_hidden_spins_learn_what_pairs_cannot():
    """Parity of three bits: every pair is independent, and the best model of pairs is of coins."""
    bits = all_spins(3)
    rows = np.repeat(bits[bits.prod(axis=1) > 0], 50, axis=0)
    how = {"units": "spin", "n_patterns": 6, "max_iter": 400, "negative_phase": "exact"}
    pairs = RABM(0, **how, random_state=0).fit(rows)
    hidden = RABM(3, **how, random_state=0).fit(rows)
    parity = [of_visible_rows(model, bits)[bits.prod(axis=1) > 0] for model in (pairs, hidden)]
    assert np.mean(parity[0]) < np.log(1 / 8) + 0.05
    assert np.all(parity[1] > np.log(1 / 4) - 0.3)
    scores = hidden.score_samples(bits)
    np.testing.assert_allclose(np.exp(scores), np.exp(of_visible_rows(hidden, bits)), atol=0.03)


def of_visible_rows(model, rows):
    """log P of rows of a model, by its couplings alone."""
    pairs = Pairs(model.couplings_, model.intercept_, rows.shape[1])
    return pairs.log_p[(rows > 0) @ 2 ** np.arange(rows.shape[1])]


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["auto", "pcd", "cd", "exact", "pid", "pt"])
@pytest.mark.parametrize("positive", ["clamped", "mean_field"])
def test_phases(phase, positive, n_hidden):
    """Couplings of all kinds are found in the rows: the one there is stands out."""
    if n_hidden == 0 and positive == "mean_field":
        return
    rng = np.random.default_rng(3)
    rows = np.where(rng.random((2000, N)) < 0.5, -1, 1)
    rows[:, 1] = np.where(rng.random(2000) < 0.9, rows[:, 0], -rows[:, 0])
    model = RABM(n_hidden, **{**SMALL, "max_iter": 15}, negative_phase=phase)
    model.set_params(positive_phase=positive).fit(rows)
    pairs = Pairs(model.couplings_, model.intercept_, N)
    found = np.einsum("n,ni,nj->ij", pairs.p, pairs.visible, pairs.visible)
    wanted = rows.T @ rows / len(rows)
    np.testing.assert_allclose(found, wanted, atol=0.25)


def test_pid_starts_from_the_signs_of_the_patterns():
    model = RABM(**SMALL, negative_phase=PatternInducedCorrelations(n_gibbs_steps=0)).fit(X)
    seeds = model.sample(K, n_gibbs_steps=0, init="patterns")
    np.testing.assert_array_equal(seeds, np.where(model.patterns_ < 0, -1, 1)[:, :N])
    phase = PatternInducedCorrelations(n_gibbs_steps=0, hidden="pattern")
    with pytest.raises(ValueError, match="hidden='marginal'"):
        RABM(**SMALL, negative_phase=phase).fit(X)


@pytest.mark.parametrize("kind", ["clip", "sign", None])
def test_projection_is_one_of_patterns(kind):
    model = RABM(**SMALL, projection=kind, pattern_bound=0.2, init_scale=1.5).fit(X)
    largest = np.abs(model.patterns_).max()
    if kind == "sign":
        np.testing.assert_allclose(np.abs(model.patterns_), 1.0, rtol=1e-6)
    else:
        assert (largest < 0.2 * (1 + 1e-6)) == (kind == "clip")


@pytest.mark.parametrize(("n", "k"), [(40, 1), (40, 10), (40, 40), (40, 70)])
def test_spins_are_coupled_weakly_at_first(n, k):
    """No eigenvalue of J without its mean diagonal is above a quarter, and none is one."""
    model = RABM(n_patterns=k, random_state=0, max_iter=1, learning_rate=1e-12)
    model.fit(np.random.default_rng(0).integers(2, size=(100, n)))
    s = initial_singular_value(n, k)
    np.testing.assert_allclose(np.linalg.svd(model.components_)[1], s, rtol=1e-5)
    J = model.components_.T @ model.components_
    assert s <= 1.0
    assert np.linalg.eigvalsh(J - np.trace(J) / n * np.eye(n)).max() < 0.25 + 1e-5
    if k >= n:
        np.testing.assert_allclose(model.couplings_, 0.0, atol=1e-6)


# --- samples and features -------------------------------------------------------------------


def test_chains_are_stationary(n_hidden):
    """Rows of the distribution itself after some steps, and the samples of a ladder."""
    model, pairs, _, _ = model_of(n_hidden)
    rng = np.random.default_rng(4)
    rows = pairs.visible[rng.choice(2**N, size=4000, p=pairs.p)]
    walked = model.gibbs(rows, 30, random_state=0)
    assert p_value_of_states(walked, pairs.p) > SMALLEST_P
    # What the first states are does not matter after so many steps.
    started = model.sample(4000, init=rows[:10], n_gibbs_steps=100, random_state=1)
    assert p_value_of_states(started, pairs.p) > SMALLEST_P


@pytest.mark.slow
def test_samples_of_a_ladder(n_hidden):
    """Means, of as many independent states as have come down the ladder at least."""
    model, pairs, _, _ = model_of(n_hidden)
    samples, travels = model.sample(4000, return_travels=True, random_state=0)
    assert samples.shape == (4000, N)
    error = 1.0 / np.sqrt(travels.n_round_trips)
    np.testing.assert_allclose(samples.mean(axis=0), pairs.p @ pairs.visible, atol=4.5 * error)


@pytest.mark.slow
def test_missing_entries(n_hidden):
    """Means of some columns given the others, and draws of them."""
    model, pairs, _, _ = model_of(n_hidden)
    row = np.array([1.0, -1.0, np.nan, 1.0, np.nan, -1.0])
    is_like = np.all((pairs.visible == row)[:, ~np.isnan(row)], axis=1)
    p = pairs.p * is_like
    expected = p @ pairs.visible / p.sum()
    rows = np.tile(row, (3000, 1))
    draws = model.reconstruct(rows, random_state=0)
    np.testing.assert_array_equal(draws[:, ~np.isnan(row)], rows[:, ~np.isnan(row)])
    # 4.4 errors of a mean of independent draws.
    np.testing.assert_allclose(draws.mean(axis=0), expected, atol=4.4 / np.sqrt(3000))
    means = model.reconstruct(rows[:500], output="mean", random_state=0)
    np.testing.assert_allclose(means.mean(axis=0), expected, atol=4.4 / np.sqrt(500))
    tempered = model.reconstruct(rows[:300], tempered=True, random_state=0)
    np.testing.assert_allclose(tempered.mean(axis=0), expected, atol=4.4 / np.sqrt(300))


@pytest.mark.slow
def test_rows_with_gaps(n_hidden, monkeypatch):
    """What is known of a row has a likelihood of its own; 5 errors, one in a million."""
    model, pairs, _, _ = model_of(n_hidden)
    rows = pairs.visible.copy()
    rows[:, 2:4] = np.nan
    same = np.all((rows[:, None] == pairs.visible[None])[:, :, [0, 1, 4, 5]], axis=2)
    expected = np.log(same @ pairs.p)
    log_p, error = model.score_samples(rows, return_error=True)
    np.testing.assert_allclose(log_p, expected, atol=1e-5)
    assert not error.any()
    monkeypatch.setattr("sklearn_rapid.machine.completions.MOST_COMPLETIONS", 1)
    log_p, error = model.score_samples(rows, n_chains=100, return_error=True)
    assert np.all(np.abs(log_p - expected) < 5.0 * error + 1e-3)
    assert 0.0 < error.max() < 0.1
    assert np.all(model.lower_bound(rows) < expected)
    np.testing.assert_allclose(model.score_samples(rows), expected, atol=0.3)
    assert np.isfinite(model.transform(rows)).all()
    rows[::2] = pairs.visible[::2]
    assert np.isfinite(model.fit(rows).couplings_).all()


def test_features_without_hidden_spins():
    model, pairs, _, _ = model_of()
    z = model.transform(pairs.visible)
    overlaps = pairs.visible @ model.patterns_.T / K**0.25 + model.intercept_hidden_
    np.testing.assert_allclose(z, overlaps, atol=1e-12)
    fields = z @ model.patterns_ / K**0.25 + model.intercept_visible_
    np.testing.assert_allclose(model.inverse_transform(z), np.tanh(fields), atol=1e-12)
    assert list(model.get_feature_names_out()) == [f"rabm{i}" for i in range(K)]


def test_features_are_means_of_hidden_spins():
    """By mean field, which weak couplings make nearly exact."""
    model, pairs, _, _ = model_of(N_HIDDEN, scale=0.2)
    p = np.exp(pairs.minus_energy.reshape(-1, 2**N))
    hidden = all_spins(N_HIDDEN)
    expected = (p / p.sum(axis=0)).T @ hidden
    means = model.transform(pairs.visible)
    np.testing.assert_allclose(means, expected, atol=0.02)
    assert model.inverse_transform(means).shape == (2**N, N)
    # Given hidden spins for certain, columns have the distribution of a row of that table.
    p = p / p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.inverse_transform(hidden), p @ pairs.visible, atol=0.05)
    assert list(model.get_feature_names_out()) == [f"rabm{i}" for i in range(N_HIDDEN)]


def test_binary_units_are_the_same_model(n_hidden):
    spins = RABM(n_hidden, **SMALL).fit(X)
    bits = clone(spins).set_params(units="binary").fit((X + 1) // 2)
    np.testing.assert_array_equal(spins.components_, bits.components_)
    drawn = [model.sample(5, random_state=0) for model in (spins, bits)]
    np.testing.assert_array_equal(drawn[0], 2 * drawn[1] - 1)
    if n_hidden:
        latent = 2 * bits.transform((X + 1) // 2) - 1
        np.testing.assert_allclose(spins.transform(X), latent, atol=1e-6)


# --- fits that go on ------------------------------------------------------------------------


class Stop(Silent):
    """A callback that interrupts the fit after some epochs."""

    def __init__(self, after):
        self.after, self.n_epochs = after, 0

    def on_fit_task_end(self, estimator, context):
        is_epoch = context.task_name == "epoch"
        self.n_epochs += is_epoch
        if is_epoch and self.n_epochs == self.after:
            raise KeyboardInterrupt


def parameters(model):
    names = ("components_", "intercept_visible_", "intercept_hidden_", "history_")
    kept = {name: getattr(model, name) for name in names}
    kept["history_"] = {k: v for k, v in kept["history_"].items() if k != "seconds"}
    return {**kept, "state": model._training_state}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_that_was_cut_short_goes_on(n_hidden, early_stopping):
    model = RABM(n_hidden, **{**SMALL, "max_iter": 6, "early_stopping": early_stopping})
    whole = clone(model).fit(X)
    cut = clone(model).set_callbacks(Stop(3))
    with pytest.warns(UserWarning, match="interrupted"):
        cut.fit(X)
    resumed = resume(pickle.loads(pickle.dumps(cut.set_callbacks())), X)
    assert_same(parameters(resumed), parameters(whole))


def test_warm_start(n_hidden):
    """Epochs at a constant rate: two fits are one. The attributes are all that is kept."""
    how = {**SMALL, "learning_rate": 0.1, "shuffle": False, "batch_size": 20}
    model = RABM(n_hidden, **how, warm_start=True).fit(X)
    model = pickle.loads(pickle.dumps(model)).fit(X)
    long = RABM(n_hidden, **{**how, "max_iter": 4}).fit(X)
    for name in ("components_", "intercept_visible_", "intercept_hidden_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(long, name))
    with pytest.raises(ValueError, match="n_patterns=5"):
        model.set_params(n_patterns=5).fit(X)
    with pytest.raises(ValueError, match="do not belong together"):
        model.set_params(n_patterns=K, n_hidden=n_hidden + 1).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["auto", "pcd"])
def test_early_stopping_keeps_the_best_epoch(n_hidden, phase):
    model = RABM(n_hidden, **{**SMALL, "max_iter": 30}, early_stopping=True, negative_phase=phase)
    model.fit(X)
    name = "pseudo_likelihood" if phase == "pcd" else "log_likelihood"
    assert ("lower_bound" if n_hidden else name) in model.history_
    assert model.n_iter_ <= 30


def test_threads_make_no_difference(n_hidden):
    models = [RABM(n_hidden, **SMALL, n_threads=n).fit(X) for n in (1, 2)]
    assert_same(*map(parameters, models))


def test_rows_as_means(n_hidden):
    """Values between are taken for means, or drawn."""
    values = np.random.default_rng(5).random((40, N))
    for binarize in ("sample", None):
        model = RABM(n_hidden, n_patterns=K, max_iter=2, binarize=binarize, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(values)
        assert model.score_samples(values).shape == (40,)


@pytest.mark.parametrize("n_hidden", [0, N_HIDDEN])
def test_features_go_back_to_frames(n_hidden):
    """As of the other machines: frames where `set_output` asks for them, and sparse features."""
    frame = pd.DataFrame(X, columns=[f"spin {i}" for i in range(N)])
    model = RABM(n_hidden, **SMALL).fit(frame)
    H = model.transform(frame)
    expected = model.inverse_transform(H)
    table = model.set_output(transform="pandas").inverse_transform(H)
    assert list(table.columns) == list(frame.columns)
    np.testing.assert_array_equal(table.to_numpy(), expected)
    of_sparse = model.inverse_transform(sparse.csr_array(H)).to_numpy()
    np.testing.assert_array_equal(of_sparse, expected)
