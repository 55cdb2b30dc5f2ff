"""Infrequent codes, and codes that fit has not seen: their shares, worked out by hand.

Of n rows, in which m codes occur once, codes not seen have the probability (m + 1) / (n + 2).
Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import logsumexp
from tools.brute_force import p_value
from tools.fitted import Fitted, strengthen

from sklearn_rapid import RARBM, RBM

SMALLEST_P = 1e-4
HOW = {"n_components": 3, "max_iter": 1, "random_state": 0, "dtype": "float64"}
OPEN = {"handle_unknown": "infrequent"}
# 90 rows: of the infrequent codes 3 to 7, ten rows; three of them occur once.
COUNTS = {1: 50, 2: 30, 3: 5, 4: 2, 5: 1, 6: 1, 7: 1}


def rows_of(counts):
    """A column with so many rows of each value, in no order."""
    values = list(counts)
    places = np.repeat(np.arange(len(values)), list(counts.values()))
    return np.array(values)[np.random.default_rng(0).permutation(places)]


def model_of(counts, cls=RBM, **params):
    """A model of that column and of another one."""
    x = rows_of(counts).astype(float)
    other = (x + np.arange(len(x))) % 2
    visible = [("categorical", [0]), ("binary", [1])]
    return cls(**HOW, visible=visible, **params).fit(np.column_stack([x, other]))


# --- shares ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "params", "infrequent", "shares", "unseen"),
    [
        # Of ten rows in the remainder three codes occur once: 4 / 12 for others.
        (COUNTS, {"min_frequency": 6, **OPEN}, [3, 4, 5, 6, 7], [1/3, 2/15, 1/15, 1/15, 1/15], 1/3),
        (COUNTS, {"min_frequency": 6}, [3, 4, 5, 6, 7], [0.5, 0.2, 0.1, 0.1, 0.1], None),
        # Five rows are enough for five, and for 0.05 of 90 rows, which is 4.5; not for 0.06.
        (COUNTS, {"min_frequency": 5}, [4, 5, 6, 7], [0.4, 0.2, 0.2, 0.2], None),
        (COUNTS, {"min_frequency": 0.05}, [4, 5, 6, 7], [0.4, 0.2, 0.2, 0.2], None),
        (COUNTS, {"min_frequency": 0.06}, [3, 4, 5, 6, 7], [0.5, 0.2, 0.1, 0.1, 0.1], None),
        (COUNTS, {"min_frequency": 2, **OPEN}, [5, 6, 7], [1/15, 1/15, 1/15], 4/5),
        # Without infrequent codes, of all rows: 4 / 92, and 1 / 92.
        (COUNTS, {**OPEN}, None, None, 4/92),
        (COUNTS, {"min_frequency": 1, **OPEN}, None, None, 4/92),
        ({1: 50, 2: 40}, {"min_frequency": 9, **OPEN}, None, None, 1/92),
        (COUNTS, {"min_frequency": 1}, None, None, None),
        # One infrequent code; and all of them.
        ({1: 50, 2: 40, 3: 4}, {"min_frequency": 9, **OPEN}, [3], [5/6], 1/6),
        ({1: 3, 2: 5}, {"min_frequency": 9, **OPEN}, [1, 2], [0.9 * 3/8, 0.9 * 5/8], 0.1),
        # Of codes that are declared, those without rows have half a row.
        ({1: 50, 2: 3, 3: 1}, {"min_frequency": 5, "categories": [[1, 2, 3, 9], None], **OPEN},
         [2, 3, 9], [2/3 * 3/4.5, 2/3 * 1/4.5, 2/3 * 0.5/4.5], 1/3),
        ({1: 50, 2: 3, 3: 1}, {"min_frequency": 5, "categories": [[9, 3, 2, 1], None]},
         [9, 3, 2], [0.5/4.5, 1/4.5, 3/4.5], None),
        ({1: 50, 2: 40}, {"categories": [[1, 2, 3], None], **OPEN}, None, None, 1/92),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_shares(counts, params, infrequent, shares, unseen, cls):
    model = model_of(counts, cls, **params)
    assert hasattr(model, "unseen_shares_") == (unseen is not None)
    if unseen is not None:
        assert model.unseen_shares_[0] == pytest.approx(unseen, rel=1e-12)
    assert hasattr(model, "infrequent_categories_") == (infrequent is not None)
    if infrequent is not None:
        np.testing.assert_array_equal(model.infrequent_categories_[0], infrequent)
        np.testing.assert_allclose(model.infrequent_shares_[0], shares, rtol=1e-12)
    n_units = len(model.categories_[0])
    n_units -= 0 if infrequent is None else len(infrequent) - 1
    assert model.components_.shape == (3, n_units + 1)


def test_missing_entries_do_not_count():
    """Shares of rows are those of known entries."""
    x = rows_of(COUNTS).astype(float)
    with_gaps = np.concatenate([x, np.full(200, np.nan)])
    X = np.column_stack([with_gaps, np.arange(290) % 2])
    model = RBM(**HOW, visible={0: "categorical"}, min_frequency=0.06, **OPEN).fit(X)
    np.testing.assert_array_equal(model.infrequent_categories_[0], [3, 4, 5, 6, 7])
    assert model.unseen_shares_[0] == pytest.approx(1 / 3, rel=1e-12)


def test_text_has_the_shares_of_codes():
    words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
    text = [words[code] for code in rows_of(COUNTS)]
    for library in (pd, pl):
        frame = library.DataFrame({"word": text, "bit": np.arange(90) % 2 == 0})
        model = RBM(**HOW, min_frequency=6, **OPEN).fit(frame)
        found = dict(zip(model.infrequent_categories_[0], model.infrequent_shares_[0], strict=True))
        expected = {"three": 5, "four": 2, "five": 1, "six": 1, "seven": 1}
        assert found == pytest.approx({word: n / 15 for word, n in expected.items()}, rel=1e-12)
        assert model.unseen_shares_[0] == pytest.approx(1 / 3, rel=1e-12)


def test_declared_text_without_rows():
    frame = pd.DataFrame({"word": ["a"] * 50 + ["b"] * 3 + ["c"], "bit": np.arange(54) % 2 == 0})
    categories = {"word": ["d", "a", "b", "c"]}
    model = RBM(**HOW, min_frequency=5, categories=categories, **OPEN).fit(frame)
    np.testing.assert_array_equal(model.categories_[0], ["d", "a", "b", "c"])
    found = dict(zip(model.infrequent_categories_[0], model.infrequent_shares_[0], strict=True))
    expected = {"d": 1 / 13.5, "b": 6 / 13.5, "c": 2 / 13.5}
    assert found == pytest.approx(expected, rel=1e-12)
    # Without a remainder, "d" has a unit of its own, which no row has turned on.
    model = RBM(**HOW, categories=categories).fit(frame)
    p = np.exp(model.score_samples(frame.head(2).assign(word="d")))
    assert np.all((p > 0.0) & (p < 0.2))


# --- probabilities --------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_the_remainder_divides_its_probability(cls):
    """By the shares, whatever else is in the row."""
    model = strengthen(model_of(COUNTS, cls, min_frequency=6, **OPEN))
    codes = np.array([1, 2, 3, 4, 5, 6, 7, 99])
    for bit in (0.0, 1.0):
        rows = np.column_stack([codes, np.full(8, bit)])
        p = np.exp(model.score_samples(rows))
        of_rest = p[2:] / p[2:].sum()
        np.testing.assert_allclose(of_rest, np.array([5, 2, 1, 1, 1, 5]) / 15, rtol=1e-12)
    # Another code that is not seen has what all of these have together.
    both = model.score_samples([[99, 0], [-3, 0]])
    assert both[0] == both[1]
    p = model.conditional(rows, 0)
    np.testing.assert_allclose(p[0, 2:] / p[0, 2:].sum(), of_rest, rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_without_a_remainder_codes_not_seen_are_missing(cls):
    """Others share what is left; the rest of such a row has its marginal probability."""
    model = strengthen(model_of(COUNTS, cls, **OPEN))
    exact = Fitted(model)
    X = np.array([[code, bit] for bit in (0, 1) for code in COUNTS], dtype=float)
    log_p = model.score_samples(X)
    assert np.exp(log_p).sum() == pytest.approx(88 / 92, abs=1e-9)
    np.testing.assert_allclose(log_p, exact.log_density(X), atol=1e-9)
    marginal = logsumexp(log_p.reshape(2, -1), axis=1) - np.log(88 / 92)
    for code in (99.0, np.nan):
        rows = [[code, 0.0], [code, 1.0]]
        got, error = model.score_samples(rows, return_error=True)
        share = np.log(4 / 92) if code == 99.0 else 0.0
        np.testing.assert_allclose(got, marginal + share, rtol=1e-12)
        assert not error.any()
    p = model.conditional(X, 0)
    np.testing.assert_allclose(p[:, -1], 4 / 92, rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    expected = np.exp(log_p[:7] - marginal[0])
    np.testing.assert_allclose(p[0, :7], expected, rtol=1e-9)


def test_rows_with_codes_not_seen_are_of_use():
    """Methods that need states take them as missing; what is known stays as it is."""
    model = strengthen(model_of(COUNTS, **OPEN))
    rows = np.array([[99.0, 0.0], [1.0, 1.0], [-4.0, 1.0]])
    features = model.transform(rows)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[[0, 2]], model.transform([[np.nan, 0.0], [np.nan, 1.0]]))
    filled = model.reconstruct(rows, random_state=0)
    np.testing.assert_array_equal(filled, rows)
    drawn = model.gibbs(rows, 1, random_state=0)
    assert set(drawn[:, 0]) <= set(COUNTS)
    assert np.isfinite(model.free_energy(rows)).all()
    assert np.isfinite(model.partial_fit(rows).components_).all()


# --- draws ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sample", "gibbs", "conditions", "reconstruct"])
def test_draws_from_the_remainder_have_its_shares(method):
    """Codes not seen cannot be drawn: seen ones have their shares among themselves."""
    model = strengthen(model_of(COUNTS, min_frequency=6, **OPEN))
    start = np.tile([1.0, 0.0], (4000, 1))
    gaps = np.tile([np.nan, 0.0], (4000, 1))
    drawn = {
        "sample": lambda: model.sample(4000, random_state=0),
        "gibbs": lambda: model.gibbs(start, 3, random_state=0),
        "conditions": lambda: model.sample(conditions=gaps, random_state=0),
        "reconstruct": lambda: model.reconstruct(gaps, n_gibbs_steps=3, random_state=0),
    }[method]()
    rare = drawn[drawn[:, 0] > 2, 0]
    assert len(rare) > 300
    counts = np.array([np.sum(rare == code) for code in (3, 4, 5, 6, 7)])
    assert counts.sum() == len(rare)
    assert p_value(counts, np.array([5, 2, 1, 1, 1]) / 10) > SMALLEST_P


def test_without_a_draw_the_remainder_is_its_most_frequent_code():
    model = strengthen(model_of(COUNTS, min_frequency=6, **OPEN))
    likely = model.reconstruct(np.array([[np.nan, 0.0], [np.nan, 1.0]]), output="mean")
    assert set(likely[:, 0]) <= {1.0, 2.0, 3.0}
    model.intercept_visible_[2] = 9.0
    likely = model.reconstruct(np.array([[np.nan, 0.0], [np.nan, 1.0]]), output="mean")
    np.testing.assert_array_equal(likely[:, 0], 3.0)


# --- what is refused ------------------------------------------------------------------------


def frame_of_words():
    squares = np.linspace(0.0, 1.0, 60) ** 2
    return pd.DataFrame({"word": ["a", "b", "c"] * 20, "code": np.arange(60) % 4, "x": squares})


def test_errors_name_the_column_and_the_value():
    frame = frame_of_words()
    model = RBM(**HOW).fit(frame)
    assert [kind for kind, _ in model.visible_] == ["categorical", "real"]
    for column, value, shown in (("word", "zebra", "'zebra'"), ("code", 17, "17")):
        wrong = frame.head(3).assign(**{column: value})
        message = rf"X has the (value|code) {shown} in column '{column}', where the fit has seen"
        for method in ("score_samples", "transform", "reconstruct", "gibbs", "partial_fit"):
            with pytest.raises(ValueError, match=message):
                getattr(model, method)(wrong)
        with pytest.raises(ValueError, match=message):
            model.sample(conditions=wrong)
    with pytest.raises(ValueError, match=r"X has the code 8 in column 0, where the fit has seen 1"):
        model_of(COUNTS).score_samples([[8, 0]])
    with pytest.raises(ValueError, match=r"X has the code 8 in column 0, where the fit has seen 1"):
        model_of(COUNTS, min_frequency=6).score_samples([[8, 0]])


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ({"word": ["a", "b"]}, "value 'c' in column 'word', which categories does not list"),
        ({"code": [0, 1, 2]}, "code 3 in column 'code', where the fit has seen 0, 1, 2 only"),
        ({"wrod": ["a"]}, "categories names a column 'wrod', which X does not have"),
        ({"word": ["a", "b", "c", "b"]}, r"different values of column 'word', got \['a'"),
        ({"word": []}, r"different values of column 'word', got \[\]"),
        ({"word": "abc"}, "different values of column 'word', got 'abc'"),
        ({"code": ["a", "b"]}, r"codes of column 'code' must be numbers, got \['a', 'b'\]"),
        ({"x": [0.5, 1.5]}, "code 0 in column 'x'"),
        ([["a", "b", "c"]], "an entry for each of the 3 columns"),
    ],
)
def test_bad_categories_are_named(categories, message):
    frame = frame_of_words()
    with pytest.raises(ValueError, match=message):
        RBM(**HOW, categories=categories).fit(frame)


def test_codes_are_for_categories():
    X = np.column_stack([rows_of(COUNTS), np.arange(90) % 2]).astype(float)
    frame = pd.DataFrame(X, columns=["code", "bit"])
    for rows in (X, frame):
        model = RBM(**HOW, categories={0: [*COUNTS, 20]}).fit(rows)
        assert [kind for kind, _ in model.visible_] == ["binary", "categorical"]
        np.testing.assert_array_equal(model.categories_[0], [*COUNTS, 20])
    for rows, label in ((X, "0"), (frame, "'code'")):
        for kind in ("gaussian", "binary"):
            model = RBM(**HOW, categories={0: [1, 2]}, visible={0: kind})
            with pytest.raises(ValueError, match=f"codes for column {label}, which is {kind}"):
                model.fit(rows)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fits_complete_codes_that_are_not_declared(early_stopping):
    """As missing entries, which have the same model."""
    X = np.column_stack([rows_of(COUNTS), np.arange(90) % 2]).astype(float)
    gaps = X.copy()
    gaps[X[:, 0] > 2, 0] = np.nan
    how = {**HOW, "max_iter": 3, "early_stopping": early_stopping, "visible": {0: "categorical"}}
    how |= {"categories": {0: [1, 2]}, **OPEN}
    one, two = RBM(**how).fit(X), RBM(**how).fit(gaps)
    np.testing.assert_array_equal(one.components_, two.components_)
    assert np.isfinite(one.components_).all() and one.unseen_shares_[0] == 1 / 82
    np.testing.assert_array_equal(one.partial_fit(X).components_, two.partial_fit(gaps).components_)
