"""What values of X are taken for, and what is said where that is not clear."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

from sklearn_rapid import RARBM, RBM

ESTIMATORS = {
    "RBM": RBM(n_components=4, max_iter=2, random_state=0),
    "RARBM": RARBM(n_components=4, n_patterns=3, max_iter=2, random_state=0),
}
BITS = np.random.default_rng(0).integers(2, size=(30, 5))
GREY = np.random.default_rng(1).random((30, 5))


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def assert_same_model(a, b):
    for name in ("components_", "intercept_visible_", "intercept_hidden_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def fits_as(estimator, X, binarize):
    """Whether "auto" trains, reads and scores as a setting does."""
    auto = clone(estimator).fit(X)
    explicit = clone(estimator).set_params(binarize=binarize).fit(X)
    assert_same_model(auto, explicit)
    np.testing.assert_array_equal(auto.transform(X), explicit.transform(X))
    np.testing.assert_array_equal(auto.score_samples(X), explicit.score_samples(X))
    return auto


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda X: X,
        lambda X: X.astype(bool),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(np.float32),
        sparse.csr_array,
        sparse.csc_matrix,
        lambda X: pd.DataFrame(X, columns=list("abcde")),
        lambda X: pl.DataFrame(X, schema=list("abcde")),
        lambda X: X.tolist(),
    ],
)
def test_zeros_and_ones_are_what_they_are(estimator, make):
    assert fits_as(estimator, make(BITS), 0.5).binarize_ == "sample"


def test_minus_and_plus_one_are_what_they_are(estimator):
    fits_as(estimator.set_params(units="spin"), 2 * BITS - 1, 0.0)
    fits_as(estimator.set_params(units="spin"), 2 * GREY - 1, "sample")


@pytest.mark.parametrize("make", [lambda X: X, sparse.csr_array])
def test_values_in_between_are_probabilities(estimator, make):
    """Sampled anew at each use: the mean row is learned, not the thresholded one."""
    fits_as(estimator, make(GREY), "sample")
    X = np.full((400, 3), 0.2)
    model = clone(estimator).set_params(max_iter=60).fit(X)
    p = np.exp(model.score_samples(np.eye(3)))
    np.testing.assert_allclose(p, 0.2 * 0.8**2, atol=0.04)


def test_a_frame_of_probabilities_is_read_as_such_with_a_warning(estimator):
    with pytest.warns(DataConversionWarning, match=r"nothing but floats in \[0, 1\]"):
        model = clone(estimator).fit(pd.DataFrame(GREY))
    assert model.binarize_ == "sample"
    fits_as(estimator.set_params(visible="binary"), pd.DataFrame(GREY), "sample")


def test_grey_rows_after_whole_ones(estimator):
    """A model of zeros and ones reads probabilities as such."""
    model = estimator.fit(BITS)
    explicit = clone(model).set_params(binarize=None).fit(BITS)
    np.testing.assert_allclose(model.transform(GREY), explicit.transform(GREY), atol=1e-6)


OTHERS = {
    "normal": np.random.default_rng(2).normal(size=(30, 5)),
    "counts": np.random.default_rng(2).poisson(2.0, size=(30, 5)),
    "bytes": np.array([[0, 255, 0], [255, 0, 0]], dtype=np.uint8),
    "sparse counts": sparse.csr_array(np.array([[0, 3, 0], [1, 0, 0]])),
}


@pytest.mark.parametrize("X", OTHERS.values(), ids=OTHERS)
def test_other_values_are_told_of(estimator, X):
    """They are thresholded as ever, with a warning that names three ways out."""
    message = (
        r"values from .* to .*, which are neither two values nor probabilities.*set binarize.*"
        r"scale X to \[0, 1\].*OrdinalEncoder"
    )
    with pytest.warns(DataConversionWarning, match=message):
        model = clone(estimator).fit(X)
    assert model.binarize_ == 0.5
    assert_same_model(model, clone(estimator).set_params(binarize=0.5).fit(X))
    model.transform(X)  # said once, in fit
    model.score_samples(X)
    with pytest.warns(DataConversionWarning):
        clone(estimator).partial_fit(X)


def test_later_rows_must_mean_the_same(estimator):
    model = estimator.fit(BITS)
    before = model.components_.copy()
    for method in (model.transform, model.score_samples, model.partial_fit):
        with pytest.raises(ValueError, match=r"in \[0, 1\]; got 2 in column 4"):
            method(np.array([[0, 0, 1, 0, 2]]))
    np.testing.assert_array_equal(model.components_, before)
    assert model.binarize_ == "sample"


def test_a_failed_fit_keeps_what_was(estimator):
    model = estimator.fit(BITS)
    with pytest.raises(ValueError, match="got only NaN"):
        model.fit(np.full((3, 5), np.nan))
    assert model.binarize_ == "sample"


TEXT = {
    "array of objects": np.array([[1, "red"], [0, "blue"]], dtype=object),
    "array of strings": np.array([["1", "red"], ["0", "blue"]]),
    "list": [[1, "red"], [0, "blue"]],
}


@pytest.mark.parametrize("X", TEXT.values(), ids=TEXT)
def test_text_is_named(estimator, X):
    with pytest.raises(ValueError, match=r"got '.*' in column .*OrdinalEncoder"):
        estimator.fit(X)
    assert not hasattr(estimator, "components_")


@pytest.mark.parametrize("X", [BITS * np.nan, pd.DataFrame(BITS).replace(0, None)])
def test_gaps_are_named(estimator, X):
    estimator.fit(BITS)
    with pytest.raises(ValueError, match=r"contains NaN.*sklearn.impute.*reconstruct"):
        estimator.pseudo_likelihood(X)


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sparse.csr_array, pd.DataFrame])
@pytest.mark.parametrize(
    ("X", "binarize", "message"),
    [
        (BITS, 1, "values from 0 to 1, and with a threshold of 1 all of them are off"),
        (BITS, -0.5, "threshold of -0.5 all of them are on"),
        (GREY.round(3), 1.5, "threshold of 1.5 all of them are off"),
    ],
)
def test_threshold_that_leaves_no_difference(estimator, X, binarize, message, make):
    with pytest.warns(DataConversionWarning, match=message):
        estimator.set_params(binarize=binarize).fit(make(X))


def test_data_without_a_difference_are_no_matter_of_the_threshold(estimator):
    estimator.set_params(binarize=0.5).fit(np.zeros_like(BITS))
    estimator.set_params(binarize=0.5).fit(sparse.csr_array(np.ones_like(BITS)))


def test_one_row_that_differs_is_enough(estimator):
    """However late it comes."""
    X = np.full((3000, 5), 0.25)
    X[0, 0], X[-1] = 0.0, 1.0
    estimator.set_params(binarize=0.5, max_iter=1).fit(X)
