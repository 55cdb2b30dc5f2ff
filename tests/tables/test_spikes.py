"""Columns with spikes: which values are spikes, and what models make of them."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_rapid import RBM
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.tables.kinds import choose_real
from sklearn_rapid.tables.reals.spiked import find_spikes

HOW = {"n_components": 3, "max_iter": 2, "random_state": 0}


# --- which values are spikes ----------------------------------------------------------------


def column(counts, n_others=0):
    """So many rows of each value, and others that are apart, above them."""
    rows = np.repeat(list(counts), list(counts.values()))
    return np.concatenate([rows, 1e6 + np.arange(n_others)]).astype(float)


@pytest.mark.parametrize(
    ("counts", "n_others", "spikes"),
    [
        # A twentieth of the rows, and at least ten of them.
        ({0: 10}, 190, [0]),
        ({0: 10}, 191, []),
        ({0: 9}, 100, []),
        ({0: 10}, 100, [0]),
        ({0: 100}, 1900, [0]),
        ({0: 99}, 1901, []),
        # Three times the mean of two neighbours on either side: 30 · 4 = 3 (10 + 10 + 10 + 10).
        ({0: 10, 1: 10, 2: 30, 3: 10, 4: 10}, 0, [2]),
        ({0: 10, 1: 10, 2: 29, 3: 10, 4: 10}, 0, []),
        ({0: 10, 1: 10, 2: 30, 3: 10, 4: 11}, 0, []),
        ({0: 10, 1: 10, 2: 30, 3: 10, 4: 10, 5: 99, 6: 99}, 0, [2]),
        # An end has neighbours on one side: 30 · 2 = 3 (10 + 10).
        ({0: 30, 1: 10, 2: 10, 3: 10}, 0, [0]),
        ({0: 29, 1: 10, 2: 10, 3: 10}, 0, []),
        ({0: 10, 1: 10, 2: 10, 3: 30}, 0, [3]),
        # The next value has one on that side: 24 · 3 = 3 (14 + 5 + 5). Then the end has neighbours
        # without it: 15 · 2 = 3 (5 + 5).
        ({0: 14, 1: 24, 2: 5, 3: 5, 4: 5}, 0, [1]),
        ({0: 14, 1: 23, 2: 5, 3: 5, 4: 5}, 0, []),
        ({0: 15, 1: 25, 2: 5, 3: 5, 4: 5}, 0, [0, 1]),
        # Counts that halve are no spikes: 400 · 2 < 3 (200 + 100).
        ({0: 400, 1: 200, 2: 100, 3: 50, 4: 25, 5: 12}, 0, []),
        # Two next to each other are a narrow bump.
        ({0: 10, 1: 10, 2: 30, 3: 35, 4: 10, 5: 10}, 0, []),
        ({0: 30, 1: 35, 2: 10, 3: 10}, 0, []),
        ({0: 20, 1: 35, 2: 30, 3: 20}, 0, []),
        # Several spikes, and negative ones.
        ({-999: 40, 0: 50}, 200, [-999, 0]),
        ({-999: 40, 5: 3, 6: 3, 7: 40, 8: 3, 9: 3}, 0, [-999, 7]),
        # Two values at least are left, the least frequent ones.
        ({0: 40, 1: 1}, 0, []),
        ({0: 40, 1: 1, 2: 1}, 0, [0]),
        ({0: 40, 1: 2, 2: 50}, 0, []),
        ({0: 400, 1: 100, 2: 30}, 0, [0]),
        ({0: 40, 1: 1, 2: 1, 3: 40, 4: 1, 5: 1, 6: 40}, 0, [0, 3, 6]),
    ],
)
def test_spikes_are_far_more_frequent_than_their_neighbours(counts, n_others, spikes):
    x = column(counts, n_others)
    shuffled = np.random.default_rng(0).permutation(x)
    for rows in (x, shuffled):
        np.testing.assert_array_equal(find_spikes(rows), spikes)
    np.testing.assert_array_equal(find_spikes(-x), -np.array(spikes)[::-1])
    assert choose_real(np.append(x, np.nan)) == ("spiked" if spikes else "real")


@pytest.mark.parametrize(
    "x",
    [
        np.zeros(0),
        np.ones(50),
        np.repeat([0.0, 1.0], [90, 10]),
        np.arange(500.0),
        np.random.default_rng(0).poisson(5.0, 2000),
        np.random.default_rng(0).geometric(0.4, 2000),
        np.random.default_rng(0).integers(0, 30, 3000),
        np.round(np.random.default_rng(0).normal(size=2000), 1),
    ],
)
def test_most_columns_have_no_spikes(x):
    assert find_spikes(x).size == 0


# --- models of columns with spikes ----------------------------------------------------------


def test_results_of_float32_keep_their_spikes():
    """A tenth is another number in float32, and the same spike; so is 1e25, far from all others."""
    rng = np.random.default_rng(1)
    X = np.where(rng.random((300, 2)) < 0.3, [1e25, 0.1], rng.normal(size=(300, 2)))
    model = RBM(**HOW, visible="spiked").fit(X)
    drawn = model.sample(200, random_state=0)
    assert drawn.dtype == np.float32
    share = np.mean(drawn == np.float32([1e25, 0.1]), axis=0)
    assert np.all((share > 0.1) & (share < 0.5))
    states = get_fitted_model(model).encoder(drawn).states(drawn)
    np.testing.assert_allclose(states[:, [0, 2]].mean(axis=0), share, rtol=1e-6)
    np.testing.assert_allclose(model.gibbs(drawn, 0), drawn, rtol=1e-6)
    for name in ("transform", "score_samples"):
        got, expected = (getattr(model, name)(rows) for rows in (X.astype(np.float32), X))
        np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("decimals", [pytest.param(None, marks=pytest.mark.slow), 0])
def test_spikes_have_the_shares_of_their_rows(decimals):
    """After some training, within five standard errors of 1000 rows."""
    rng = np.random.default_rng(2)
    x = 30.0 * np.exp(0.5 * rng.normal(size=1000))
    x = x if decimals is None else np.round(x, decimals)
    x[:350], x[350:450] = 0.0, 500.0
    rows = rng.permutation(x)[:, None]
    how = {**HOW, "max_iter": 60, "negative_phase": "exact", "visible": "spiked"}
    model = RBM(**how, dtype="float64").fit(rows)
    np.testing.assert_array_equal(model.spikes_[0], [0.0, 500.0])
    assert model.decimals_[0] == decimals
    # A spike of whole numbers counts as a density over an interval of length one.
    shares = np.exp(model.score_samples([[0.0], [500.0]]))
    error = np.sqrt(0.35 * 0.65 / 1000)
    assert np.all(np.abs(shares - [0.35, 0.1]) < 5.0 * error)
