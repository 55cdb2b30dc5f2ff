"""BoltzmannClassifier: sums over all states, tables with one possible answer, labels, frames."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from tools.fitted import Fitted, strengthen

from sklearn_rapid import RARBM, RBM, BoltzmannClassifier, BoltzmannDensity

NAN = np.nan
TINY = {"n_components": 3, "max_iter": 2, "random_state": 0, "n_threads": 1}
COPIES = RBM(n_components=4, max_iter=40, random_state=0, n_threads=1)
INDEPENDENT = BoltzmannDensity(candidates=[], random_state=0, n_threads=1)


def strong_classifier(X, y, cls=RBM, **params):
    """A classifier by a machine with strong couplings, and the sums over its states."""
    how = {**TINY, "dtype": "float64"} | ({"n_patterns": 2} if cls is RARBM else {})
    classifier = BoltzmannClassifier(cls(**how, **params)).fit(X, y)
    return classifier, Fitted(strengthen(classifier.estimator_))


def expected_probabilities(exact, rows, n_classes):
    """P(label | known entries) by densities of whole rows, over all values of missing ones."""
    found = []
    for row in rows:
        missing = [j for j, x in enumerate(row) if x != x]
        log_p = []
        for code in range(n_classes):
            filled, _ = exact.grid(missing, given=[*row, float(code)])
            filled = np.asarray(filled, dtype=object).tolist()
            log_p.append(np.logaddexp.reduce(exact.log_density(filled)))
        found.append(softmax(log_p))
    return np.array(found)


# --- probabilities ----------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"handle_unknown": "infrequent"}, {"min_frequency": 12}])
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_probabilities_are_sums_over_states(cls, params):
    """Of bits of which some are missing; three classes, of which one is rare."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(2, size=(40, 5)).astype(float), np.repeat([3, 7, 5], [20, 15, 5])
    classifier, exact = strong_classifier(X, y, cls, **params)
    rows = rng.integers(2, size=(12, 5)).astype(float)
    rows[4:][rng.random((8, 5)) < 0.4] = NAN
    assert classifier.classes_.tolist() == [3, 5, 7]
    got, expected = classifier.predict_proba(rows), expected_probabilities(exact, rows, 3)
    assert expected.std(axis=0).max() > 0.05
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, rtol=1e-12)
    best = np.array([3, 5, 7])[expected.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(rows), best)


def test_independent_columns_say_how_frequent_classes_are():
    """By counts and one row more, a third of each; labels not seen are left out."""
    X, y = np.arange(40.0)[:, None] % 2, np.repeat(["a", "b", "c"], [20, 12, 8])
    p = BoltzmannClassifier(INDEPENDENT).fit(X, y).predict_proba([[0.0], [NAN]])
    np.testing.assert_allclose(p, [np.array([61.0, 37.0, 25.0]) / 123.0] * 2, rtol=1e-6)


def test_weights_are_those_of_rows():
    X, y = np.arange(40.0)[:, None] % 2, np.repeat(["a", "b", "c"], [20, 12, 8])
    weights = np.repeat([1.0, 0.0, 5.0], [20, 12, 8])
    p = BoltzmannClassifier(INDEPENDENT).fit(X, y, weights).predict_proba([[0.0]])
    assert p[0, 1] < 0.02
    np.testing.assert_allclose(p[0, 2] / p[0, 0], 2.0, rtol=0.05)


# --- labels -----------------------------------------------------------------------------------


def copies_of(y, n_columns=4, share=0.2, seed=0):
    """Columns that are the label's number, with gaps, where labels are two."""
    rng = np.random.default_rng(seed)
    codes = np.unique(np.asarray(y).astype(str), return_inverse=True)[1]
    X = np.repeat(codes[:, None], n_columns, axis=1).astype(float)
    X[rng.random(X.shape) < share] = NAN
    X[:, 0] = codes
    return X


LABELS = {
    "text": np.array(["no", "yes"] * 30),
    "list": ["no", "yes"] * 30,
    "objects": np.array(["no", "yes"] * 30, dtype=object),
    "truth values": np.array([False, True] * 30),
    "whole numbers": np.array([-3, 8] * 30),
    "floats": np.array([1.0, 2.0] * 30),
    "string": pd.Series(["no", "yes"] * 30, dtype="string"),
    "category": pd.Series(["no", "yes"] * 30, dtype="category"),
    "boolean": pd.Series([False, True] * 30, dtype="boolean"),
    "Int64": pd.Series([-3, 8] * 30, dtype="Int64", index=np.arange(60)[::-1]),
    "polars": pl.Series(["no", "yes"] * 30),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_predicted_as_they_are(kind):
    y = LABELS[kind]
    X = copies_of(y)
    classifier = BoltzmannClassifier(COPIES).fit(X, y)
    plain = np.asarray(list(y))
    np.testing.assert_array_equal(classifier.classes_, np.unique(plain))
    np.testing.assert_array_equal(classifier.predict(X), plain)
    assert classifier.score(X, y) == 1.0


@pytest.mark.parametrize("missing", [NAN, None])
@pytest.mark.parametrize("kind", ["floats", "objects"])
def test_labels_must_be_known(kind, missing):
    y = np.asarray(LABELS[kind], dtype=object)
    y[3] = missing
    y = y.astype(float) if kind == "floats" else y
    with pytest.raises(ValueError, match=r"NaN|missing"):
        BoltzmannClassifier(RBM(**TINY)).fit(copies_of(LABELS[kind]), y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 6, "2 classes at least, got 1 class: 'a'"),
        (np.linspace(0.1, 0.7, 6), "continuous"),
        (["a", "b"], "inconsistent numbers of samples"),
        (np.eye(6), "y should be a 1d array"),
        (None, "y"),
    ],
)
@pytest.mark.parametrize("of", [np.asarray, pd.DataFrame])
def test_bad_labels(y, message, of):
    with pytest.raises(ValueError, match=message):
        BoltzmannClassifier(RBM(**TINY)).fit(of(np.eye(6)), y)


# --- frames -----------------------------------------------------------------------------------


def make_frame(library=pd.DataFrame, n=90):
    """Text, whole numbers with gaps and truth values that say which of three labels a row has."""
    code = np.random.default_rng(0).permutation(np.arange(n) % 3)
    y = np.array(["x", "y", "z"])[code]
    columns = {
        "label": [None if i % 4 == 0 else "abc"[k] for i, k in enumerate(code)],
        "label_": [None if i % 4 == 1 else 10 * int(k) for i, k in enumerate(code)],
        "is_first": [bool(k == 0) for k in code],
    }
    return library(columns), y


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_frames(library):
    X, y = make_frame(library)
    classifier = BoltzmannClassifier(COPIES).fit(X, y)
    assert classifier.label_ == "label__"
    assert classifier.n_features_in_ == 3
    assert classifier.feature_names_in_.tolist() == ["label", "label_", "is_first"]
    assert classifier.estimator_.feature_names_in_.tolist()[-1] == "label__"
    assert classifier.score(X, y) == 1.0
    other = pl.from_pandas(X) if library is pd.DataFrame else X.to_pandas()
    np.testing.assert_array_equal(classifier.predict_proba(other), classifier.predict_proba(X))
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(X[["label_", "label", "is_first"]])


@pytest.mark.parametrize(
    "names",
    [[0, 1, 2], [3, 0, 1], [5, 7, -1], [("a", 0), ("a", 1), ("b", 0)]],
    ids=["numbers", "mixed up", "others", "levels"],
)
def test_names_that_are_no_strings(names):
    X, y = make_frame()
    are_levels = isinstance(names[0], tuple)
    X.columns = pd.MultiIndex.from_tuples(names) if are_levels else names
    classifier = BoltzmannClassifier(COPIES).fit(X, y)
    assert classifier.label_ not in names
    assert classifier.score(X, y) == 1.0


def test_index_does_not_matter():
    X, y = make_frame()
    expected = BoltzmannClassifier(COPIES).fit(X, y).predict_proba(X)
    X.index = np.zeros(len(X))
    series = pd.Series(y, index=np.arange(len(y))[::-1])
    got = BoltzmannClassifier(COPIES).fit(X, series).predict_proba(X)
    np.testing.assert_array_equal(got, expected)


# --- the estimator ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("auto", {"binary": [0, 1], "categorical": [2]}),
        ("gaussian", {"gaussian": [0, 1], "categorical": [2]}),
        ("categorical", {"categorical": [0, 1, 2]}),
        ({1: "gaussian"}, {"binary": [0], "categorical": [2], "gaussian": [1]}),
        ([("categorical", slice(1)), ("binary", [-1])], {"binary": [1], "categorical": [0, 2]}),
    ],
)
@pytest.mark.parametrize("with_names", [False, True])
def test_kinds_of_columns_are_those_of_the_estimator(visible, expected, with_names):
    X = np.random.default_rng(0).integers(2, size=(40, 2)).astype(float)
    y = np.arange(40) % 2
    if with_names:
        X = pd.DataFrame(X, columns=["a", "b"])
        visible = {"b": "gaussian"} if isinstance(visible, dict) else visible
    classifier = BoltzmannClassifier(RBM(**TINY, visible=visible)).fit(X, y)
    found = {kind: columns.tolist() for kind, columns in classifier.estimator_.visible_}
    assert found == expected


def test_declared_codes_are_those_of_the_columns_of_x():
    X, y = np.arange(40.0)[:, None] % 3, np.arange(40) % 2
    for codes in ([[0, 1, 2, 9]], {0: [0, 1, 2, 9]}):
        rbm = RBM(**TINY, visible="categorical", categories=codes)
        classifier = BoltzmannClassifier(rbm).fit(X, y)
        assert list(classifier.estimator_.categories_[0]) == [0, 1, 2, 9]
        assert np.isfinite(classifier.predict_proba([[9.0]])).all()


def test_parameters_of_the_default_density(monkeypatch):
    monkeypatch.setattr(BoltzmannDensity, "fit", lambda self, X: self)
    how = {"time_limit": 7, "n_jobs": 2, "verbose": 1, "random_state": 3}
    classifier = BoltzmannClassifier(**how).fit(np.eye(4), [0, 1, 0, 1])
    found = classifier.estimator_.get_params()
    assert type(classifier.estimator_) is BoltzmannDensity
    assert {name: found[name] for name in how} == how


def test_a_mixture_of_real_columns(monkeypatch):
    """Two normal clouds: the accuracy of the best line is 0.98."""
    for name in ("BUDGET", "BUDGET_OF_FEW"):
        monkeypatch.setattr(f"sklearn_rapid.tasks.mixture.fitting.{name}", 8.0)
    rng = np.random.default_rng(0)
    y = rng.choice(["left", "right"], size=300)
    X = rng.normal(size=(300, 2)) + np.where(y == "left", -1.5, 1.5)[:, None]
    density = BoltzmannDensity(candidates=[RBM(4)], random_state=0, n_threads=1)
    classifier = BoltzmannClassifier(density).fit(X[:200], y[:200])
    assert classifier.score(X[200:], y[200:]) > 0.93
    X[200:, 0] = NAN  # 0.93 by one of the two
    assert classifier.score(X[200:], y[200:]) > 0.85


# --- scikit-learn -----------------------------------------------------------------------------


def test_grid_search():
    y = np.array(["no", "yes"] * 30)
    X = copies_of(y)
    search = GridSearchCV(
        BoltzmannClassifier(COPIES), {"estimator__n_components": [1, 3]}, cv=2
    ).fit(X, y)
    assert search.best_score_ == 1.0
    scores = cross_val_score(BoltzmannClassifier(COPIES), X, y, cv=2, scoring="neg_log_loss")
    assert scores.min() > -0.3


def test_pickle_and_clone():
    X, y = make_frame()
    classifier = BoltzmannClassifier(COPIES).fit(X, y)
    loaded = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    with pytest.raises(NotFittedError):
        clone(classifier).predict(X)


def test_a_failed_fit_leaves_a_fitted_classifier_as_it_was():
    X, y = make_frame()
    classifier = BoltzmannClassifier(COPIES).fit(X, y)
    with pytest.raises(ValueError):
        classifier.fit(np.eye(3), [0, 1, 1], sample_weight=[0.0, 0.0, 0.0])
    assert classifier.score(X, y) == 1.0
