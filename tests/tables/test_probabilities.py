"""Probabilities of tables of all kinds of columns, against sums over everything a row may be.

Estimates by annealing may be off by five of their errors, which happens less than once in a
million.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from tools.customers import fitted_customers, make_customers
from tools.fitted import Fitted, strengthen

from sklearn_rapid import RARBM, RBM

BOTH = ["RBM", pytest.param("RARBM", marks=pytest.mark.slow)]
# Quadrature with fewer nodes, where several columns are real.
FEW = {"longest": 3.0}


# --- sums over all rows ---------------------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
def test_a_table_has_a_total_probability_of_one(cls):
    """Truth values, text and codes with remainders and others, spikes, and a rounded column."""
    model, exact = fitted_customers(cls)
    kinds = {kind: list(columns) for kind, columns in model.visible_}
    assert kinds == {"binary": [0], "categorical": [1, 2], "quantile": [4], "spiked": [3]}
    assert len(model.intercept_visible_) <= 12
    assert list(model.infrequent_categories_[1]) == ["Dax", "Enna"]
    assert list(model.infrequent_categories_[2]) == [4, 6]
    X, weights = exact.grid(**FEW)
    log_p = model.score_samples(X)
    assert weights @ np.exp(log_p) == pytest.approx(1.0, abs=1e-6)
    some = np.random.default_rng(0).integers(len(X), size=300)
    expected = exact.log_density(X.iloc[some].to_numpy(object))
    np.testing.assert_allclose(log_p[some], expected, atol=1e-9)


def test_two_values_of_text_are_spins():
    """And remainders of codes that are all known have no share for others."""
    frame = make_customers()
    frame["member"] = np.where(frame["member"], "yes", "no")
    how = {"max_iter": 1, "random_state": 0, "dtype": "float64", "min_frequency": 25}
    model = strengthen(RBM(3, **how).fit(frame[["member", "plan", "town", "spent"]]))
    exact = Fitted(model)
    assert not hasattr(model, "unseen_shares_") and exact.kind_of[0] == "binary"
    X, weights = exact.grid(**FEW)
    assert set(X["member"]) == {"no", "yes"} and set(X["plan"]) == {1, 2, 4, 6}
    log_p = model.score_samples(X)
    assert weights @ np.exp(log_p) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(log_p, exact.log_density(X.to_numpy(object)), atol=1e-9)
    for share in model.infrequent_shares_[1:3]:
        assert share.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("cls", BOTH)
def test_hidden_units_may_be_real(cls):
    """With truth values, text and codes: as large a field as the rule of the sums is exact for."""
    model, exact = fitted_customers(cls, hidden="gaussian", scale=0.3)
    X, weights = exact.grid()
    assert len(X) == 2 * 6 * 5
    log_p = model.score_samples(X)
    assert weights @ np.exp(log_p) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(log_p, exact.log_density(X.to_numpy(object)), atol=1e-9)


@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_arrays_of_codes(cls):
    """The same numbers as an array have the same probabilities as in a frame."""
    frame = make_customers()[["plan", "spent"]]
    frame["bit"] = (frame["spent"] > 1.0) ^ (np.arange(len(frame)) % 4 == 0)
    how = {"n_components": 3, "max_iter": 1, "random_state": 0, "dtype": "float64"}
    how |= {"min_frequency": 0.05, "handle_unknown": "infrequent"}
    visible = [("categorical", [0]), ("spiked", [1]), ("binary", [2])]
    of_array = strengthen(cls(**how, visible=visible).fit(frame.to_numpy(float)))
    of_frame = strengthen(cls(**how, visible=visible).fit(frame))
    exact = Fitted(of_array)
    X, weights = exact.grid()
    log_p = of_array.score_samples(X)
    assert weights @ np.exp(log_p) == pytest.approx(1.0, abs=1e-8)
    np.testing.assert_allclose(log_p, exact.log_density(X), atol=1e-9)
    as_frame = pd.DataFrame(X, columns=frame.columns).astype({"plan": int, "bit": bool})
    np.testing.assert_allclose(of_frame.score_samples(as_frame), log_p, atol=1e-9)


def test_a_model_of_float32_is_as_exact_as_float32():
    model, exact = fitted_customers(dtype="float32")
    some = exact.some_rows(500)
    expected = exact.log_density(some.to_numpy(object))
    assert model.intercept_visible_.dtype == np.float32
    np.testing.assert_allclose(model.score_samples(some), expected, atol=2e-5)


# --- missing entries ------------------------------------------------------------------------


def log_sums_over(exact, row, columns):
    """log P of what is left of a row, by a sum over everything in some columns."""
    X, weights = exact.grid(columns, given=list(row), **FEW)
    return logsumexp(exact.model.score_samples(X), b=weights)


def without(row, columns):
    """The row without the entries of some columns."""
    return [None if j in columns else x for j, x in enumerate(row)]


@pytest.mark.parametrize(
    "missing",
    [
        [1], [3], [4], [0, 2],
        *(pytest.param(m, marks=pytest.mark.slow) for m in ([3, 4], [0, 1, 4], [0, 1, 2, 3])),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cls", BOTH)
def test_rows_with_missing_entries_have_marginal_probabilities(cls, missing):
    model, exact = fitted_customers(cls)
    some = exact.some_rows(4, seed=len(missing)).to_numpy(object)
    expected = [log_sums_over(exact, row, missing) for row in some]
    gaps = exact.as_table(list(zip(*(without(row, missing) for row in some), strict=True)))
    gaps = gaps.astype({"spent": float, "age": float, "plan": float})
    got, error = model.score_samples(gaps, n_chains=200, return_error=True)
    are_codes = max(missing) < 3  # whose completions are enumerated
    assert np.all((error == 0.0) == are_codes) and error.max() < 0.1
    # Of a logarithm of a mean, which is low by half its squared error.
    assert np.all(np.abs(got - expected) < 5.0 * error + error**2 + 1e-9)


def test_real_hidden_units_have_marginal_probabilities():
    model, exact = fitted_customers(hidden="gaussian", scale=0.3)
    X, _ = exact.grid()
    log_p = model.score_samples(X)
    for column in X:
        others = [name for name in X if name != column]
        gaps = X.drop_duplicates(others).assign(**{column: None}).astype({"plan": float})
        expected = [
            logsumexp(log_p[(X[others] == row).all(axis=1)]) for _, row in gaps[others].iterrows()
        ]
        got, error = model.score_samples(gaps, return_error=True)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert not error.any()
