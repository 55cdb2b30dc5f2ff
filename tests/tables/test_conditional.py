"""The distribution of a column given the others, against ratios of probabilities of whole rows.

Where other entries are missing, sums are estimated by annealing: probabilities are within 0.02,
where the errors of estimates are a few thousandths.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from tools.brute_force import Enumerated, all_spins
from tools.customers import NAMES, fitted_customers
from tools.fitted import Fitted, strengthen

from sklearn_rapid import DBM, RABM, RADBM, RARBM, RBM
from sklearn_rapid.datasets import make_bars

BOTH = ["RBM", pytest.param("RARBM", marks=pytest.mark.slow)]


def expected_distribution(exact, j, row, missing=(), **how):
    """Probabilities of the values of a column, or mean and standard deviation, by sums."""
    X, weights = exact.grid([j, *missing], given=list(row), rounded=True, **how)
    log_p = exact.model.score_samples(X)
    p = weights * np.exp(log_p - log_p.max())
    p = (p / p.sum()).reshape(len(exact.rule(j, rounded=True, **how)[0]), -1).sum(axis=1)
    if exact.kind_of[j] in ("binary", "categorical"):
        return p
    values, spikes = np.array(exact.rule(j, rounded=True, **how)[0]), exact.attribute("spikes_", j)
    n = 0 if spikes is None else len(spikes)
    values[n:] = exact.as_drawn(j, values[n:])
    mean = p @ values
    return np.array([mean, np.sqrt(p @ (values - mean) ** 2)])


# --- exact ----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", NAMES)
@pytest.mark.parametrize("cls", BOTH)
def test_conditionals_are_ratios_of_probabilities(cls, column):
    """Truth values, text and codes with others, and moments of spiked and rounded columns."""
    model, exact = fitted_customers(cls)
    j, X = NAMES.index(column), exact.some_rows(4)
    got = model.conditional(X, column)
    expected = [expected_distribution(exact, j, row) for row in X.to_numpy(object)]
    np.testing.assert_allclose(got, expected, rtol=1e-8)
    if exact.kind_of[j] in ("binary", "categorical"):
        np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-12)
    by_number = model.conditional(X, j)
    np.testing.assert_array_equal(by_number, got)
    np.testing.assert_array_equal(model.conditional(X, j - len(NAMES)), got)


@pytest.mark.parametrize("column", NAMES)
def test_the_column_itself_is_not_read(column):
    model, exact = fitted_customers()
    X = exact.some_rows(4, seed=1)
    expected = model.conditional(X, column)
    np.testing.assert_array_equal(model.conditional(X.drop(columns=column), column), expected)
    wrong = X.assign(**{column: "no such value" if column == "town" else 1e300})
    np.testing.assert_array_equal(model.conditional(wrong, column), expected)
    np.testing.assert_array_equal(model.conditional(X.iloc[:, ::-1].drop(columns=column), column),
                                  expected)  # fmt: skip


@pytest.mark.parametrize("cls", BOTH)
def test_real_hidden_units(cls):
    model, exact = fitted_customers(cls, hidden="gaussian", scale=0.3)
    X = exact.some_rows(4)
    for j, column in enumerate(NAMES[:3]):
        expected = [expected_distribution(exact, j, row) for row in X.to_numpy(object)]
        np.testing.assert_allclose(model.conditional(X, column), expected, rtol=1e-8)


@pytest.mark.parametrize("units", ["binary", "spin"])
def test_two_values_come_in_the_order_of_categories(units):
    """Of text, numbers and truth values; `units` are those of hidden features alone."""
    rng = np.random.default_rng(1)
    bits = rng.random((80, 3)) < 0.3 + 0.4 * (rng.random((80, 1)) < 0.5)
    values = [("yes", "no"), (7, 9), (False, True)]
    frame = pd.DataFrame({name: np.where(x, b, a) for name, x, (a, b) in zip(
        ["paid", "size", "new"], bits.T, values, strict=True)})  # fmt: skip
    how = {"max_iter": 1, "random_state": 0, "dtype": "float64", "units": units}
    for model in (strengthen(RBM(3, **how).fit(frame)), RABM(0, n_patterns=2, **how).fit(frame)):
        if isinstance(model, RABM):
            model.components_ = 0.6 * rng.normal(size=model.components_.shape)
        for name, wanted in zip(frame, [("no", "yes"), (7, 9), (False, True)], strict=True):
            both = [model.score_samples(frame.head(9).assign(**{name: x})) for x in wanted]
            p = np.exp(both - logsumexp(both, axis=0)).T
            np.testing.assert_allclose(model.conditional(frame.head(9), name), p, rtol=1e-8)
            assert np.ptp(p[:, 0]) > 0.01


def test_a_model_of_float32():
    """Sums of conditional distributions are in float64."""
    model, exact = fitted_customers(dtype="float32")
    X = exact.some_rows(3)
    for j, name in enumerate(NAMES):
        expected = [expected_distribution(exact, j, row) for row in X.to_numpy(object)]
        np.testing.assert_allclose(model.conditional(X, name), expected, rtol=2e-5)


def array_of_every_sort(n=400):
    rng = np.random.default_rng(2)
    z = rng.normal(size=n)
    return np.column_stack([
        z > 0.3 * rng.normal(size=n),
        z + rng.normal(size=n),
        np.exp(3.0 * z),
        np.where(rng.random(n) < 0.3, -1.0, np.where(rng.random(n) < 0.3, 99.0, np.exp(z))),
        np.round(50.0 * z + 30.0 * rng.normal(size=n)),
        np.round(z + 0.3 * rng.normal(size=n)),
    ])  # fmt: skip


KINDS = ["binary", "gaussian", "quantile", "spiked", "real", "quantile"]


def model_of(columns, cls=RBM, n=400):
    """A model of some of these columns."""
    X = array_of_every_sort(n)[:, columns]
    how = {"n_components": 3, "max_iter": 1, "random_state": 0, "dtype": "float64"}
    visible = {i: KINDS[j] for i, j in enumerate(columns)}
    return strengthen(cls(**how, visible=visible).fit(X)), X


@pytest.mark.parametrize("columns", [(0, 1, 2), (0, 3, 5), (0, 4, 1)])
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_real_columns_of_arrays(cls, columns):
    """Standardised, of all sizes, with two spikes, of narrow and of wide steps."""
    model, X = model_of(columns, cls)
    exact = Fitted(model)
    for i, j in enumerate(columns):
        got = model.conditional(X[:5], i)
        expected = [expected_distribution(exact, i, row) for row in X[:5]]
        # Steps of less than a fiftieth of a scale count as if there were none.
        np.testing.assert_allclose(got, expected, rtol=2e-5 if j == 4 else 1e-8)
        wrong = X[:5].copy()
        wrong[:, i] = 1e250
        np.testing.assert_array_equal(model.conditional(wrong, i), got)
    if columns == (0, 3, 5):
        assert len(model.spikes_[1]) == 2 and model.decimals_[2] == 0


def test_of_a_line_it_is_a_mixture_of_normal_distributions():
    """One real column, and a bit: means and variances of the states of the hidden units."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    X = np.column_stack([x, x + rng.normal(size=300) > 0.0]).astype(float)
    visible = [("gaussian", [0]), ("binary", [1])]
    model = strengthen(RBM(3, max_iter=1, random_state=0, dtype="float64", visible=visible).fit(X))
    h, s = all_spins(3), np.array([-1.0, 1.0])
    field = h @ model.components_ + model.intercept_visible_
    log_p = h @ model.intercept_hidden_ + 0.5 * field[:, 0] ** 2 + s[:, None] * field[:, 1]
    p = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    mean = p @ field[:, 0]
    spread = np.sqrt(p @ (1.0 + field[:, 0] ** 2) - mean**2)
    expected = np.column_stack([mean * model.scale_[0] + model.mean_[0], spread * model.scale_[0]])
    got = model.conditional(np.array([[0.0, 0.0], [0.0, 1.0]]), 0)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert abs(expected[1, 0] - expected[0, 0]) > 0.05


def test_many_rows():
    """More than are computed at a time."""
    model, X = model_of((0, 1, 2, 3), n=2500)
    some = [0, 1023, 1024, 2499]
    for j in (0, 2):
        few = model.conditional(X[some], j)
        np.testing.assert_allclose(model.conditional(X, j)[some], few, rtol=1e-9)


# --- estimated ------------------------------------------------------------------------------


ROWS_OF_SPINS = 0.5 * (all_spins(4) + 1.0)


def compare_spins(model, p, atol, **how):
    """Conditional distributions of four binary columns, of whose rows the probabilities are p."""
    for j in range(4):
        pairs = np.arange(16)[:, None] & ~(1 << j) | np.array([0, 1 << j])
        expected = p[pairs] / p[pairs].sum(axis=1, keepdims=True)
        got = model.conditional(ROWS_OF_SPINS, j, **how)
        np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(got, expected, atol=atol)
        assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("n_hidden", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_spins_of_a_fully_connected_machine(n_hidden):
    """Exact without hidden spins."""
    how = {"n_patterns": 3, "max_iter": 1, "random_state": 0, "dtype": "float64"}
    model = RABM(n_hidden, **how).fit(make_bars(2))
    rng = np.random.default_rng(4)
    model.components_ = 0.6 * rng.normal(size=model.components_.shape)
    model.intercept_visible_ = 0.3 * rng.normal(size=4 + n_hidden)
    states = all_spins(4 + n_hidden)
    theta = states @ model.components_.T + model.intercept_hidden_
    p = np.exp(0.5 * np.sum(theta**2, axis=1) + states @ model.intercept_visible_)
    p = p.reshape(-1, 16).sum(axis=0) / p.sum()
    compare_spins(model, p, 0.02 if n_hidden else 1e-9, n_chains=200)
    if n_hidden == 0:
        np.testing.assert_allclose(np.exp(model.score_samples(ROWS_OF_SPINS)), p, rtol=1e-9)


@pytest.mark.parametrize("cls", [DBM, pytest.param(RADBM, marks=pytest.mark.slow)])
def test_spins_of_a_deep_machine(cls):
    """Sums over upper layers are estimated."""
    how = {"max_iter": 1, "random_state": 0, "dtype": "float64"}
    model = cls((3, 2), **how).fit(make_bars(2))
    rng = np.random.default_rng(5)
    if cls is RADBM:
        for name in ("visible_patterns_", "hidden_patterns_"):
            setattr(model, name, 0.9 * rng.normal(size=getattr(model, name).shape))
    else:
        are_coupled = model.components_ != 0.0
        model.components_ = 0.7 * are_coupled * rng.normal(size=are_coupled.shape)
    exact = Enumerated(model.components_.T, model.intercept_visible_, model.intercept_hidden_)
    # The second hidden layer is on the side of the columns.
    p = exact.visible_probabilities().reshape(4, 16).sum(axis=0)
    compare_spins(model, p, 0.02, n_chains=200)


@pytest.mark.parametrize(
    ("column", "missing"),
    [
        ("member", ["age"]),
        pytest.param("town", ["member", "plan"], marks=pytest.mark.slow),
        pytest.param("plan", ["town", "spent"], marks=pytest.mark.slow),
        pytest.param("spent", ["town"], marks=pytest.mark.slow),
        pytest.param("age", ["spent", "member"], marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("cls", BOTH)
def test_other_entries_may_be_missing(cls, column, missing):
    """Probabilities within 0.02; moments, with fewer chains, within 0.08 standard deviations."""
    model, exact = fitted_customers(cls)
    n_chains = 100 if column in ("spent", "age") else 400
    j, others = NAMES.index(column), [NAMES.index(name) for name in missing]
    X = exact.some_rows(2, seed=j)
    got = model.conditional(X.drop(columns=missing), column, n_chains=n_chains)
    expected = np.array(
        [expected_distribution(exact, j, row, others, longest=3.0) for row in X.to_numpy(object)]
    )
    if exact.kind_of[j] in ("binary", "categorical"):
        np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(got, expected, atol=0.02)
    else:
        assert np.all(np.abs(got - expected) < 0.08 * expected[:, 1:])
