"""Frames through scikit-learn's pipelines, searches and validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from sklearn_rapid import RBM

N = 120
HOW = {"n_components": 4, "max_iter": 3, "random_state": 0}


def mixed(seed=0):
    """Rows of two classes that columns of every kind tell apart."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=N)
    X = pd.DataFrame(
        {
            "age": rng.integers(20, 60, N) + 10 * y,
            "pay": np.exp(rng.normal(size=N) + y).round(2),
            "word": np.array(["a", "b", "c", "d"])[rng.integers(0, 3, N) + y],
            "sex": rng.choice(["f", "m"], N),
            "flag": rng.random(N) < 0.2 + 0.6 * y,
        },
        index=[f"row {i}" for i in range(N)],
    )
    X.loc[X.index[::9], "pay"] = np.nan
    return X, y


X, y = mixed()


@pytest.mark.parametrize("library", [pd, pl])
def test_a_pipeline_of_a_frame(library):
    rows = X if library is pd else pl.DataFrame(X.to_dict("list"), strict=False)
    pipeline = make_pipeline(RBM(**HOW), LogisticRegression()).fit(rows, y)
    assert pipeline.score(rows, y) > 0.6
    assert list(pipeline.feature_names_in_) == list(X.columns)
    names = list(pipeline[:-1].get_feature_names_out())
    assert names == ["rbm0", "rbm1", "rbm2", "rbm3"]
    # A frame of the other library gives the same.
    other = pl.DataFrame(X.to_dict("list"), strict=False) if library is pd else X
    np.testing.assert_array_equal(pipeline.predict_proba(other), pipeline.predict_proba(rows))
    pipeline.set_output(transform="pandas").fit(rows, y)
    features = pipeline[:-1].transform(rows)
    assert list(features.columns) == names
    if library is pd:
        assert list(features.index) == list(X.index)


def test_frames_that_transformers_make():
    """Output of others, as frames, is a frame as others are."""
    prepared = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "pay"]),
            ("codes", OrdinalEncoder(dtype=np.int64), ["word", "sex"]),
            ("hot", OneHotEncoder(sparse_output=False, dtype=np.int8), ["word"]),
        ],
        remainder="passthrough",
    ).set_output(transform="pandas")
    pipeline = make_pipeline(prepared, RBM(**HOW), LogisticRegression()).fit(X, y)
    model = pipeline.named_steps["rbm"]
    table = prepared.transform(X)
    assert isinstance(table, pd.DataFrame)
    assert list(model.feature_names_in_) == list(table.columns)
    kinds = {
        name: kind for kind, columns in model.visible_ for name in table.columns[columns]
    }  # fmt: skip
    assert kinds == {
        "numbers__age": "real",
        "numbers__pay": kinds["numbers__pay"],  # its gaps are a spike, or not
        "codes__word": "categorical",
        "codes__sex": "binary",
        **{f"hot__word_{word}": "binary" for word in "abcd"},
        "remainder__flag": "binary",
    }
    np.testing.assert_array_equal(model.sample(5).dtypes, table.dtypes)
    back = model.inverse_transform(model.transform(table))
    assert list(back.columns) == list(table.columns)


def test_steps_before_and_beside():
    """A model may fill in what others need whole, and features may stand beside others."""
    fill = FunctionTransformer(lambda X: RBM(**HOW).fit(X).reconstruct(X, random_state=0))
    filled = fill.fit_transform(X)
    assert not filled.isna().any().any()
    known = X.notna()
    pd.testing.assert_frame_equal(filled.where(known), X, check_exact=True)
    beside = FeatureUnion([("few", RBM(**{**HOW, "n_components": 2})), ("more", RBM(**HOW))])
    features = beside.set_output(transform="pandas").fit_transform(X)
    assert features.shape == (N, 6) and list(features.index) == list(X.index)
    apart = ColumnTransformer([("own", RBM(**HOW), ["age", "word"])], remainder="drop")
    assert apart.fit_transform(X).shape == (N, 4)
    np.testing.assert_array_equal(
        apart.transform(X), RBM(**HOW).fit(X[["age", "word"]]).transform(X[["age", "word"]])
    )


def test_searches_over_parameters_of_columns():
    pipeline = make_pipeline(RBM(**HOW), LogisticRegression())
    grid = {
        "rbm__n_components": [2, 3],
        "rbm__visible": ["auto", {"age": "gaussian"}, {"flag": "categorical", "pay": "quantile"}],
        "rbm__min_frequency": [None, 0.1],
    }
    pipeline.set_params(rbm__handle_unknown="infrequent")
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_.named_steps["rbm"]
    assert best.get_params()["visible"] == search.best_params_["rbm__visible"]
    assert search.predict(X).shape == (N,)


def test_likelihoods_in_cross_validation():
    """Without a target: `score` is the mean log-likelihood of each fold."""
    model = RBM(**HOW, handle_unknown="infrequent")
    scores = cross_val_score(model, X, cv=3)
    folds = np.array_split(np.arange(N), 3)
    for score, held_out in zip(scores, folds, strict=True):
        train = np.setdiff1d(np.arange(N), held_out)
        wanted = clone(model).fit(X.iloc[train]).score(X.iloc[held_out])
        assert score == pytest.approx(wanted, rel=1e-12)
    search = GridSearchCV(model, {"n_components": [1, 4]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # Each fold has words that others lack.
    rare = X.assign(word=[f"w{i // 4}" for i in range(N)])
    assert np.isfinite(cross_val_score(model.set_params(min_frequency=5), rare, cv=3)).all()
    pipeline = make_pipeline(model, LogisticRegression())
    assert cross_val_predict(pipeline, X, y, cv=3).shape == (N,)


def test_the_html_of_a_model_shows_what_columns_were_taken_for():
    html = RBM(**HOW).fit(X)._repr_html_()
    for name in ("visible_", "categories_", "frame_", "feature_names_in_"):
        assert f">{name}<" in html
    assert "(&#x27;binary&#x27;, array([3, 4]))" in html
