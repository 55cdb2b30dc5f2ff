"""Odd rows, and what is odd about them, against sums over all values of an entry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.stats import norm
from tools.brute_force import Enumerated, all_spins
from tools.customers import NAMES, fitted_customers
from tools.fitted import strengthen

from sklearn_rapid import RBM, BoltzmannDensity, BoltzmannOutlierDetector
from sklearn_rapid.tasks.mixture.candidates import Candidate
from sklearn_rapid.tasks.mixture.fitting import make_views
from sklearn_rapid.tasks.mixture.members import Member
from sklearn_rapid.tasks.mixture.mixture import Mixture

INDEPENDENT = BoltzmannDensity(candidates=[], random_state=0)


def detector_of(model):
    """A detector whose density is a fitted model."""
    detector = BoltzmannOutlierDetector(model)
    detector.estimator_, detector.offset_ = model, -10.0
    return detector


def surprisal_by_scores(model, row, alternatives):
    """-log P(row) + log Σ P(alternative), with likelihoods of whole rows."""
    log_p = model.score_samples(np.array([row, *alternatives], dtype=float))
    return np.logaddexp.reduce(log_p[1:]) - log_p[0]


# --- which rows are odd ---------------------------------------------------------------------


@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_contamination_is_the_share_of_odd_rows_of_fit(contamination):
    X = np.random.default_rng(0).normal(size=(200, 3))
    detector = BoltzmannOutlierDetector(INDEPENDENT, contamination=contamination)
    found = detector.fit_predict(X)
    scores = detector.estimator_.score_samples(X)
    n_odd = round(contamination * len(X))
    np.testing.assert_array_equal(np.flatnonzero(found == -1), np.sort(np.argsort(scores)[:n_odd]))
    np.testing.assert_array_equal(detector.decision_function(X), scores - detector.offset_)
    assert set(found) == {-1, 1}


def clean_tables():
    rng = np.random.default_rng(0)
    n = 600
    yield "normal", rng.normal(size=(n, 1))
    yield "normals", rng.normal(size=(n, 10))
    yield "heavy", rng.standard_t(4, size=(n, 4))
    yield "skewed", rng.exponential(size=(n, 3))
    yield "bits", rng.integers(2, size=(n, 8))
    yield "rare", (rng.random((n, 30)) < 0.01) * 1
    yield "codes", rng.choice(8, size=(n, 3), p=np.arange(1, 9) / 36)
    yield "constant", np.tile([0, 1, 0], (n, 1))


@pytest.mark.parametrize(("name", "X"), list(clean_tables()), ids=lambda value: str(value)[:8])
def test_few_rows_of_clean_tables_are_odd(name, X):
    """1 % at most; the true densities call up to 0.4 % odd, of heavy tails and rare bits."""
    kind = {"bits": "binary", "rare": "binary", "constant": "binary", "codes": "categorical"}
    density = BoltzmannDensity(candidates=[], visible=kind.get(name, "real"), random_state=0)
    found = BoltzmannOutlierDetector(density).fit_predict(X)
    assert np.mean(found == -1) <= 0.01


def test_odd_rows_hardly_move_the_offset():
    """Without refits, 10 % odd rows: all are found, and no others."""
    X = np.random.default_rng(0).normal(size=(400, 4))
    X[:40] += 12.0 * np.sign(np.random.default_rng(1).normal(size=(40, 4)))
    density = RBM(1, visible="gaussian", init_scale=0.0, max_iter=1, random_state=0)
    found = BoltzmannOutlierDetector(density).fit_predict(X)
    np.testing.assert_array_equal(np.flatnonzero(found == -1), np.arange(40))


def test_refits_leave_odd_rows_out():
    """The density is that of the other rows alone."""
    rng = np.random.default_rng(0)
    X = np.where(rng.random((200, 6)) < 0.2, 1, 0)
    X[:20] = 1
    how = {"visible": "binary", "candidates": [], "random_state": 0}
    detector = BoltzmannOutlierDetector(BoltzmannDensity(**how), contamination=0.1, n_refits=1)
    detector.fit(X)
    clean = BoltzmannDensity(**how).fit(X[20:])
    np.testing.assert_allclose(detector.score_samples(X), clean.score_samples(X), rtol=1e-5)
    once = detector.set_params(n_refits=0).fit(X)
    assert once.score_samples(X[:1]) > clean.score_samples(X[:1]) + 1.0


def test_a_density_is_wanted():
    with pytest.raises(ValueError, match="estimator"):
        BoltzmannOutlierDetector(object()).fit([[0], [1]])


# --- why they are odd -----------------------------------------------------------------------


def test_bits_have_the_surprisals_of_enumerated_states():
    model = RBM(3, max_iter=1, dtype="float64", random_state=0).fit(np.eye(5, dtype=int))
    strengthen(model, scale=1.0)
    exact = Enumerated(model.components_.T, model.intercept_visible_, model.intercept_hidden_)
    p, numbers = exact.visible_probabilities(), np.arange(32)
    both = np.stack([p + p[numbers ^ (1 << j)] for j in range(5)], axis=1)
    rows = (all_spins(5) > 0).astype(int)
    expected = -np.log(p[:, None] / both)
    np.testing.assert_allclose(detector_of(model).explain(rows), expected, rtol=1e-8)
    # A mean of a bit stands for the mean of probabilities.
    means = rows.astype(float)
    means[:, 2] = 0.25
    off, on = (np.exp(-expected[numbers & ~4, 2]), np.exp(-expected[numbers | 4, 2]))
    got = detector_of(model).explain(means)[:, 2]
    np.testing.assert_allclose(got, -np.log(0.75 * off + 0.25 * on), rtol=1e-8)


def test_real_columns_have_the_tails_of_mixtures_of_normals():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2)) * [3.0, 0.1] + [5.0, -2.0]
    model = RBM(2, visible="gaussian", max_iter=1, dtype="float64", random_state=0).fit(X)
    strengthen(model, scale=1.5)
    v, h = (X - model.mean_) / model.scale_, all_spins(2)
    W = model.components_
    means = model.intercept_visible_[0] + h @ W[:, 0]
    log_w = h @ model.intercept_hidden_ + v[:, 1:] * (h @ W[:, 1]) + 0.5 * means**2
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    below = np.sum(w * norm.cdf(v[:, :1], means), axis=1)
    above = np.sum(w * norm.sf(v[:, :1], means), axis=1)
    expected = -np.log(2.0 * np.minimum(below, above))
    got = detector_of(model).explain(X)[:, 0]
    np.testing.assert_allclose(got, expected, atol=0.01)
    assert np.ptp(expected) > 3.0


def test_spikes_have_half_their_mass_on_both_sides():
    """Zero is the least amount: twice half the mass of the spike is its mass."""
    model, exact = fitted_customers()
    j, X = NAMES.index("spent"), exact.some_rows(4).assign(spent=0.0)
    got = detector_of(model).explain(X)["spent"]
    for row, found in zip(X.to_numpy(object), got, strict=True):
        others, weights = exact.grid([j], given=list(row), rounded=True)
        log_p = np.log(weights) + model.score_samples(others)
        is_zero = np.array([values[j] == 0.0 for values in others.to_numpy(object)])
        p_zero = np.exp(np.logaddexp.reduce(log_p[is_zero]) - np.logaddexp.reduce(log_p))
        np.testing.assert_allclose(found, -np.log(p_zero), rtol=1e-6)


def test_tails_far_out_are_bounded_and_do_not_depend_on_other_rows():
    X = np.random.default_rng(0).normal(size=(200, 2))
    detector = BoltzmannOutlierDetector(INDEPENDENT).fit(X)
    far = np.array([[0.0, 50.0], [1.0, 0.0], [-60.0, 0.1]])
    found = detector.explain(far)
    np.testing.assert_array_equal(found[[0, 2], [1, 0]], 35.0)
    each = [detector.explain(row[None])[0] for row in far]
    np.testing.assert_allclose(found, each, atol=0.01)


def test_surprisals_of_independent_columns_add_up_to_the_score():
    """Also of codes not seen in fit, and of numbers that a binary column cannot hold."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(2, size=100), rng.integers(4, size=100)])
    density = BoltzmannDensity(visible=[("binary", [0]), ("categorical", [1])], candidates=[],
                               random_state=0)  # fmt: skip
    detector = BoltzmannOutlierDetector(density).fit(X)
    rows = np.array([[0, 0], [1, 3], [1, 9], [0.3, 1], [7, 9]])
    found = detector.explain(rows)
    np.testing.assert_allclose(found.sum(axis=1), -detector.score_samples(rows), rtol=1e-6)
    gaps = detector.explain(np.array([[np.nan, 3.0]]))
    np.testing.assert_allclose(gaps, [[np.nan, found[1, 1]]], rtol=1e-6)


def test_a_group_has_the_surprisal_of_its_code():
    rng = np.random.default_rng(0)
    first = rng.integers(3, size=200)
    second = np.where(rng.random(200) < 0.8, first, rng.integers(3, size=200))
    X = np.concatenate([np.eye(3)[first], np.eye(3)[second]], axis=1)
    detector = BoltzmannOutlierDetector(INDEPENDENT).fit(X)
    density = detector.estimator_
    assert [group.tolist() for group in density.groups_] == [[0, 1, 2], [3, 4, 5]]
    how = (density._column_settings, density._backend(X))
    views, _ = make_views(density._table, X, None, *how, with_groups=True)
    rbm = RBM(3, learning_rate=0.1)
    members = [
        Member.fit(Candidate(rbm, is_grouped), views[is_grouped], X, None, 100, 0, 1)
        for is_grouped in (True, False)
    ]
    density._mixture = Mixture([*density._mixture.members, *members], np.array([0.1, 0.5, 0.4]))
    bits = (all_spins(3) > 0).astype(float)
    for own, shares in (
        ([0, 1, 0], [0, 1, 0]),
        ([0, 0, 0], [1 / 3] * 3),
        ([1, 0, 1], [0.5, 0, 0.5]),
    ):
        row = [1, 0, 0, *own]
        expected = surprisal_by_scores(density, row, [[1, 0, 0, *b] for b in bits])
        found = detector.explain([row])[0, 3:]
        np.testing.assert_allclose(found, expected * np.array(shares), rtol=1e-4)
    log_p = density.score_samples([[1, 0, 0, *b] for b in bits])
    expected = np.logaddexp.reduce(log_p) - np.logaddexp.reduce(
        log_p[(bits[:, 1:] == [0, 1]).all(1)]
    )
    partly = detector.explain([[1, 0, 0, np.nan, 0, 1]])[0, 3:]
    np.testing.assert_allclose(partly, [np.nan, 0.0, expected], rtol=1e-4)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_come_back_as_frames(library):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": rng.choice(list("SML"), 80), "price": rng.normal(size=80)},
        index=[f"row {i}" for i in range(80)],
    )
    frame.iloc[3, 1] = np.nan
    given = frame if library == "pandas" else pl.from_pandas(frame)
    found = BoltzmannOutlierDetector(INDEPENDENT).fit(given).explain(given)
    assert type(found) is type(given)
    assert list(found.columns) == ["size", "price"]
    values = found.to_numpy().astype(float)
    assert np.isnan(values[3, 1]) and np.isfinite(np.delete(values, 3, axis=0)).all()
    p = frame["size"].value_counts(normalize=True)[frame["size"]].to_numpy()
    np.testing.assert_allclose(values[:, 0], -np.log(p), atol=0.02)  # 1/82 is left to other sizes
    if library == "pandas":
        assert found.index.equals(frame.index)


def test_sparse_rows_are_as_dense_ones():
    X = (np.random.default_rng(0).random((60, 4)) < 0.3).astype(float)
    detector = BoltzmannOutlierDetector(RBM(2, max_iter=2, random_state=0)).fit(sparse.csr_array(X))
    np.testing.assert_allclose(detector.explain(sparse.csr_array(X)), detector.explain(X))
