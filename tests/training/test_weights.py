"""What rows and couplings weigh in training: sample weights, penalties."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import make_bars

ESTIMATORS = {
    "RBM": RBM(n_components=6, max_iter=10, batch_size=20, random_state=0),
    "RARBM": RARBM(n_components=6, n_patterns=6, max_iter=10, batch_size=20, random_state=0),
}


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


@pytest.fixture
def bars():
    """The 14 images of 4x4 bars."""
    return make_bars(4)


def assert_same_model(a, b):
    for name in ("components_", "intercept_visible_", "intercept_hidden_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize(("penalty", "order"), [("l1_penalty", 1), ("l2_penalty", 2)])
def test_penalties_make_couplings_smaller(estimator, bars, penalty, order):
    norms = []
    for value in (0.0, 0.5, 5.0):
        model = clone(estimator).set_params(**{penalty: value}).fit(bars)
        norms.append(np.linalg.norm(model.components_.ravel(), order))
    assert norms[0] > norms[1] > norms[2]


def assert_nearly_same_model(a, b):
    for name in ("components_", "intercept_visible_", "intercept_hidden_"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-5, err_msg=name)


def test_penalties_are_shared_by_all_rows(estimator, bars):
    """Ten times the rows and the penalty are the same to each row."""
    estimator.set_params(shuffle=False, batch_size=len(bars), learning_rate=0.1)
    few, many = clone(estimator), clone(estimator)
    few.set_params(l1_penalty=0.3, l2_penalty=0.2, max_iter=10).fit(bars)
    many.set_params(l1_penalty=3.0, l2_penalty=2.0, max_iter=1).fit(np.tile(bars, (10, 1)))
    assert_same_model(few, many)


@pytest.mark.slow
def test_partial_fit_shares_penalties_by_the_rows_seen(estimator, bars):
    """The first call is a fit of these rows; further on the penalty has all but gone."""
    estimator.set_params(shuffle=False, batch_size=7, learning_rate=0.2, max_iter=1)
    estimator.set_params(l1_penalty=4.0)
    assert_same_model(clone(estimator).partial_fit(bars[:7]), clone(estimator).fit(bars[:7]))
    streamed = clone(estimator)
    for _ in range(300):
        streamed.partial_fit(bars)
    fitted = clone(estimator).set_params(max_iter=300).fit(bars)
    assert np.abs(fitted.components_).sum() < 0.5 * np.abs(streamed.components_).sum()


def test_a_penalty_that_leaves_no_couplings_is_told_of(estimator, bars):
    estimator.set_params(l1_penalty=100.0, max_iter=100)
    with pytest.warns(ConvergenceWarning, match=r"l1_penalty=100.0 on 14 rows has set all of"):
        estimator.fit(bars)
    assert not estimator.components_.any()


def test_rows_of_no_weight_are_not_there(estimator, bars):
    weights = np.arange(len(bars)) % 3
    kept = weights > 0
    estimator.set_params(batch_size=5, shuffle=False, l1_penalty=0.1, max_iter=8)
    assert_same_model(
        clone(estimator).fit(bars, sample_weight=7.0 * weights),
        clone(estimator).fit(bars[kept], sample_weight=weights[kept]),
    )


@pytest.mark.slow
@pytest.mark.parametrize("negative_phase", ["exact", "auto"])
def test_weights_are_learned(estimator, negative_phase):
    """Rows of weights 3 to 1 end with such probabilities; those of weight 0 with next to none."""
    bars = make_bars(3)
    weights = np.array([3.0, 1.0, 0.0] * 2)
    estimator.set_params(n_components=16, negative_phase=negative_phase, max_iter=3000)
    if isinstance(estimator, RARBM):
        estimator.set_params(n_patterns=16)

    def probabilities_of(model, seed):
        model.set_params(random_state=seed).fit(bars, sample_weight=weights)
        return np.exp(model.score_samples(bars))

    # Six rows have six chains by default, which tell probabilities badly: more than one seed.
    p = np.mean([probabilities_of(clone(estimator), seed) for seed in range(4)], axis=0)
    expected = weights / weights.sum()
    assert p[weights == 0].max() < 0.25 * p[weights == 1].min()
    np.testing.assert_allclose(p[weights == 3].mean() / p[weights == 1].mean(), 3.0, rtol=0.25)
    estimator.fit(bars, sample_weight=weights)
    mean = estimator.score(bars, sample_weight=weights)
    np.testing.assert_allclose(mean, np.sum(expected * estimator.score_samples(bars)))


def test_equal_weights_are_none(estimator, bars):
    """To rounding, as long as that has not flipped a spin."""
    for how in ({}, {"early_stopping": True}, {"l2_penalty": 3.0}):
        estimator.set_params(**how)
        weighted = clone(estimator).fit(bars, sample_weight=np.full(len(bars), 0.3))
        assert_nearly_same_model(clone(estimator).fit(bars), weighted)
    chunk = clone(estimator).partial_fit(bars, sample_weight=np.ones(len(bars)))
    assert_nearly_same_model(clone(estimator).partial_fit(bars), chunk)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"shape \(14,\), got \(3,\)"),
        (np.ones((14, 1)), r"shape \(14,\), got \(14, 1\)"),
        (np.r_[-1.0, np.ones(13)], r"not negative, got -1.0 in row 0"),
        (np.r_[1.0, np.nan, np.ones(12)], r"finite .* got nan in row 1"),
        (np.zeros(14), "only zeros"),
    ],
)
def test_bad_weights(estimator, bars, weights, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(bars, sample_weight=weights)
    assert not hasattr(estimator, "components_")
    estimator.fit(bars)
    before = estimator.components_.copy()
    for method in (estimator.fit, estimator.partial_fit, estimator.score):
        with pytest.raises(ValueError, match=message):
            method(bars, sample_weight=weights)
    np.testing.assert_array_equal(estimator.components_, before)


def test_validation_rows_may_not_take_all_that_weigh(estimator, bars):
    """One row of weight; it is set aside for some seed, and for some not."""
    weights = np.eye(len(bars))[3]
    estimator.set_params(early_stopping=True, validation_fraction=0.5, max_iter=8)
    outcomes = set()
    for seed in range(12):
        try:
            clone(estimator).set_params(random_state=seed).fit(bars, sample_weight=weights)
            outcomes.add("fitted")
        except ValueError as error:
            assert "set aside all rows with a sample_weight above 0" in str(error)
            outcomes.add("refused")
    assert outcomes == {"fitted", "refused"}
