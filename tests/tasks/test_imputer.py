"""BoltzmannImputer: enumerated marginals, tables with one possible answer, frames, scikit-learn.

Statistical tests have fixed seeds and a false-alarm rate of 1e-4.
"""

from __future__ import annotations

import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tools.brute_force import Enumerated, all_spins, p_value
from tools.fitted import strengthen
from tools.frames import LIBRARIES, random_frame

from sklearn_rapid import RARBM, RBM, BoltzmannDensity, BoltzmannImputer
from sklearn_rapid.tasks.mixture import fitting

NAN, RARELY = np.nan, 1e-4
TINY = {"n_components": 3, "max_iter": 2, "random_state": 0, "n_threads": 1}
COPIES = RBM(n_components=4, max_iter=60, random_state=0, n_threads=1)
DENSITY = BoltzmannDensity(candidates=[RBM(4)], random_state=0, n_threads=1)
INDEPENDENT = BoltzmannDensity(candidates=[], random_state=0, n_threads=1)


def strong_imputer(cls=RBM, n_visible=5, **params):
    """An imputer of a machine with strong couplings, and its states with their probabilities."""
    X = np.random.default_rng(0).integers(2, size=(30, n_visible)).astype(float)
    how = {**TINY, "dtype": "float64"} | ({"n_patterns": 2} if cls is RARBM else {})
    imputer = BoltzmannImputer(cls(**how), **params).fit(X)
    model = strengthen(imputer.estimator_)
    arrays = (model.components_.T, model.intercept_visible_, model.intercept_hidden_)
    exact = Enumerated(*(a.astype(float) for a in arrays))
    return imputer, (all_spins(n_visible) + 1.0) / 2.0, exact.visible_probabilities()


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_bits_are_the_more_likely_ones_by_enumeration(cls):
    imputer, states, p = strong_imputer(cls)
    rng = np.random.default_rng(1)
    X = rng.integers(2, size=(60, 5)).astype(float)
    X[rng.random(X.shape) < 0.4] = NAN
    expected = X.copy()
    for row in expected:
        known = row == row
        own = p * (states[:, known] == row[known]).all(axis=1)
        on = own @ states / own.sum()
        row[~known] = np.round(on[~known])
    assert 0.2 < expected[X != X].mean() < 0.8
    np.testing.assert_array_equal(imputer.transform(X), expected)


@pytest.mark.parametrize("units", ["binary", "spin"])
def test_draws_have_the_conditional_distribution(units):
    """Three missing bits of a row together, against the enumerated distribution."""
    imputer, states, p = strong_imputer(sample_posterior=True, random_state=0)
    imputer.estimator_.set_params(units=units)
    low = 0.0 if units == "binary" else -1.0
    row = np.array([NAN, 1.0, NAN, low, NAN])
    drawn = imputer.transform(np.tile(row, (2000, 1)))
    np.testing.assert_array_equal(drawn[:, [1, 3]], np.tile([1.0, low], (2000, 1)))
    expected = p * (states[:, 1] == 1.0) * (states[:, 3] == 0.0)
    expected = np.bincount((states[:, [0, 2, 4]] @ [1, 2, 4]).astype(int), expected)
    counts = np.bincount(((drawn[:, [0, 2, 4]] > 0.0) @ [1, 2, 4]).astype(int), minlength=8)
    assert p_value(counts, expected / expected.sum()) > RARELY


def test_spins_are_filled_in_with_spins():
    X = np.tile([[1.0], [-1.0]], (30, 4))
    imputer = BoltzmannImputer(clone(COPIES).set_params(units="spin")).fit(X)
    rows = [[1.0, NAN, 1.0, NAN], [NAN, -1.0, NAN, -1.0]]
    np.testing.assert_array_equal(imputer.transform(rows), [[1.0] * 4, [-1.0] * 4])


def copies(n=60):
    """A frame of pandas whose columns all say the same of a row, without gaps."""
    on = np.random.default_rng(0).permutation(np.arange(n) % 2 == 0)
    frame = pd.DataFrame({
        "text": np.where(on, "yes", "no"),
        "kind": pd.Categorical(np.where(on, "b", "a"), categories=["b", "a", "never"]),
        "whole": pd.array(np.where(on, 7, 3), dtype="Int64"),
        "truth": pd.array(on, dtype="boolean"),
        "float": on.astype(float),
        "two": np.where(on, 2.5, 0.25),
        "object": pd.Series(np.where(on, "p", "q"), dtype=object),
    })  # fmt: skip
    return frame.set_index(pd.Index([f"row {i}" for i in range(n)], name="id"))


def with_gaps(frame, seed=1):
    """The same frame of pandas with two entries of each row missing."""
    rng, frame = np.random.default_rng(seed), frame.copy()
    for i in range(len(frame)):
        for j in rng.choice(frame.shape[1], 2, replace=False):
            frame.iloc[i, j] = pd.NA if frame.columns[j] in ("whole", "truth") else None
    return frame


@pytest.mark.parametrize("estimator", [COPIES, DENSITY], ids=["RBM", "BoltzmannDensity"])
@pytest.mark.parametrize("sample_posterior", [False, True])
def test_frames_of_copies_are_restored(estimator, sample_posterior, monkeypatch):
    for name in ("BUDGET", "BUDGET_OF_FEW"):
        monkeypatch.setattr(fitting, name, 4.0)
    whole = copies()
    gaps = with_gaps(whole)
    how = {"sample_posterior": sample_posterior, "random_state": 0}
    filled = BoltzmannImputer(estimator, **how).fit_transform(gaps)
    pd.testing.assert_index_equal(filled.index, whole.index)
    assert filled.dtypes.to_dict() == whole.dtypes.to_dict()
    assert not filled.isna().any(axis=None)
    is_same = (filled.astype(object) == whole.astype(object)).to_numpy()
    assert is_same[gaps.notna().to_numpy()].all()
    # A draw is another value with a small probability.
    assert is_same.mean() > 0.95 if sample_posterior else is_same.all()


def test_frames_of_polars_are_restored():
    whole = pl.from_pandas(copies().drop(columns="kind").assign(object=lambda f: f["text"]))
    whole = whole.with_columns(pl.col("object").cast(pl.Enum(["no", "never", "yes"])))
    known = np.random.default_rng(0).random((60, whole.width)) > 0.2
    known[:, 0] = True
    gaps = whole.select(
        pl.when(pl.Series(known[:, j])).then(pl.col(name)).alias(name)
        for j, name in enumerate(whole.columns)
    )
    assert sum(gaps.null_count().row(0)) > 20
    filled = BoltzmannImputer(COPIES).fit(gaps).transform(gaps)
    assert filled.equals(whole)
    assert filled.schema == whole.schema


def test_real_columns_have_conditional_means_rounded_as_in_fit():
    """Two columns that are one with noise: the mean given the other is near that one."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(10.0, 2.0, size=(300, 1)), 1)
    X = pd.DataFrame(
        np.hstack([x, np.round(x + 0.1 * rng.normal(size=x.shape), 1)]), columns=[*"ab"]
    )
    rbm = RBM(8, visible="real", max_iter=100, random_state=0, n_threads=1)
    gaps = X.copy()
    gaps.loc[::3, "b"] = NAN
    filled = BoltzmannImputer(rbm).fit_transform(gaps)["b"]
    error = (filled - X["b"])[::3]
    np.testing.assert_array_equal(filled, filled.round(1))
    assert error.std() < 0.5 * X["b"].std()
    np.testing.assert_array_equal(filled[gaps["b"].notna()], X["b"][gaps["b"].notna()])


# --- frames of all sorts ----------------------------------------------------------------------


def entries(frame):
    """Columns as lists of Python's values, None where one is missing; decimals as floats."""
    if isinstance(frame, pd.DataFrame):
        columns = [[None if pd.isna(v) else v for v in s.tolist()] for _, s in frame.items()]
    else:
        columns = [list(frame[name].to_pylist() if hasattr(frame[name], "to_pylist")
                        else frame[name].to_list()) for name in names(frame)]  # fmt: skip
    return [[float(v) if isinstance(v, Decimal) else v for v in column] for column in columns]


def names(frame):
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("library", LIBRARIES)
def test_random_frames_are_filled_in(library, seed):
    X = random_frame(np.random.default_rng(seed), library, 30)
    filled = BoltzmannImputer(INDEPENDENT).fit_transform(X)
    assert isinstance(filled, type(X))
    assert names(filled) == names(X)
    if library == "pandas":
        pd.testing.assert_index_equal(filled.index, X.index)
        are_decimals = [any(isinstance(v, Decimal) for v in s) for _, s in X.items()]
        same = (filled.dtypes == X.dtypes).to_numpy()
        assert np.all(same | are_decimals)
    else:
        assert filled.schema == X.schema
    for before, after in zip(entries(X), entries(filled), strict=True):
        assert None not in after
        assert all(a is None or a == b for a, b in zip(before, after, strict=True))


def test_whole_numbers_with_gaps_in_later_rows_stay_whole():
    X = pd.DataFrame({"a": np.arange(40) % 2, "b": np.arange(40) % 2 * 5})
    imputer = BoltzmannImputer(COPIES).fit(X)
    later = pd.DataFrame({"a": [1.0, NAN], "b": [None, 0]}, index=[5, 9])
    expected = pd.DataFrame({"a": [1, 0], "b": [5, 0]}, index=[5, 9])
    pd.testing.assert_frame_equal(imputer.transform(later), expected)


# --- columns without known values -------------------------------------------------------------


def with_empty_columns():
    bits = (np.arange(40) % 2).astype(float)
    return np.column_stack([np.full(40, NAN), bits, np.full(40, NAN), bits])


def test_columns_without_values_are_left_out():
    X = with_empty_columns()
    with pytest.warns(UserWarning, match="no value is known in columns 0, 2 of X"):
        imputer = BoltzmannImputer(COPIES).fit(X)
    out = imputer.transform([[5.0, 1.0, NAN, NAN]])
    np.testing.assert_array_equal(out, [[1.0, 1.0]])
    assert imputer.get_feature_names_out().tolist() == ["x1", "x3"]


def test_columns_without_values_are_kept_with_zeros():
    imputer = BoltzmannImputer(COPIES, keep_empty_features=True).fit(with_empty_columns())
    out = imputer.transform([[5.0, 1.0, NAN, NAN], [NAN, NAN, NAN, 0.0]])
    np.testing.assert_array_equal(out, [[5.0, 1.0, 0.0, 1.0], [0.0] * 4])
    assert imputer.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]


def test_kept_columns_of_frames():
    """Numbers and truth values get zeros; text has none, and stays missing."""
    bits = np.arange(40) % 2
    X = pd.DataFrame({
        "text": pd.array([None] * 40, dtype="string"),
        "bit": bits,
        "whole": pd.array([None] * 40, dtype="Int64"),
        "copy": pd.Series(bits).where(np.arange(40) > 3),
        "truth": pd.array([None] * 40, dtype="boolean"),
        "float": np.full(40, NAN),
    })  # fmt: skip
    filled = BoltzmannImputer(COPIES, keep_empty_features=True).fit_transform(X)
    expected = X.assign(copy=bits.astype(float), whole=0, truth=False, float=0.0).astype(X.dtypes)
    pd.testing.assert_frame_equal(filled, expected)
    with pytest.warns(UserWarning, match="columns 'text', 'whole', 'truth', 'float'"):
        dropped = BoltzmannImputer(COPIES).fit_transform(X)
    pd.testing.assert_frame_equal(dropped, expected[["bit", "copy"]])


def test_no_known_value_at_all():
    with pytest.raises(ValueError, match="only missing"):
        BoltzmannImputer(COPIES).fit(np.full((4, 2), NAN))


# --- indicators -------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("of", [np.asarray, lambda X: pd.DataFrame(X, columns=[*"abcd"])])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_indicators_are_those_of_scikit_learn(keep, of):
    X = with_empty_columns()
    X[:5, 3] = NAN
    how = {"add_indicator": True, "keep_empty_features": keep}
    ours = BoltzmannImputer(COPIES, **how).fit(of(X))
    theirs = SimpleImputer(**how).fit(of(X))
    later = X[:20].copy()
    later[7, 1] = NAN  # a column without an indicator
    got, expected = ours.transform(of(later)), theirs.transform(of(later))
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    assert got.shape == expected.shape
    np.testing.assert_array_equal(np.asarray(got)[:, -3:], expected[:, -3:])
    if isinstance(got, pd.DataFrame):
        assert list(got.columns) == list(theirs.get_feature_names_out())
        assert [str(dtype) for dtype in got.dtypes.iloc[-3:]] == ["bool"] * 3


def test_indicators_beside_text_in_polars():
    frame = pl.DataFrame({"a": ["x", "y"] * 20, "b": [None, 0, 1, 0] * 10})
    got = BoltzmannImputer(INDEPENDENT, add_indicator=True).fit_transform(frame)
    assert got.columns == ["a", "b", "missingindicator_b"]
    assert got["missingindicator_b"].to_list() == [True, False, False, False] * 10
    assert got.schema["missingindicator_b"] == pl.Boolean


def test_columns_that_have_no_names_get_some_beside_indicators():
    frame = pd.DataFrame(np.tile([[0.0, 0.0], [1.0, NAN], [1.0, 1.0]], (20, 1)))
    assert list(BoltzmannImputer(COPIES).fit_transform(frame).columns) == [0, 1]
    got = BoltzmannImputer(COPIES, add_indicator=True).fit_transform(frame)
    assert list(got.columns) == ["x0", "x1", "missingindicator_x1"]


# --- random numbers ---------------------------------------------------------------------------


def test_each_transform_draws_anew_and_the_same_after_the_same_seed():
    gaps = np.full((50, 5), NAN)
    gaps[:, 0] = 1.0
    imputer, _, _ = strong_imputer(sample_posterior=True, random_state=3)
    again, _, _ = strong_imputer(sample_posterior=True, random_state=3)
    first, second = imputer.transform(gaps), imputer.transform(gaps)
    assert (first != second).any()
    np.testing.assert_array_equal(again.transform(gaps), first)
    np.testing.assert_array_equal(again.transform(gaps), second)


def test_a_generator_moves_on():
    state = np.random.RandomState(0)
    before = state.get_state()[2]
    imputer, _, _ = strong_imputer(sample_posterior=True, random_state=state)
    assert imputer.random_state_ is state
    assert state.get_state()[2] != before


def test_most_likely_values_do_not_depend_on_the_call():
    """By chains, as each row has 2**14 completions."""
    imputer, _, _ = strong_imputer(n_visible=14)
    gaps = np.full((30, 14), NAN)
    np.testing.assert_array_equal(imputer.transform(gaps), imputer.transform(gaps))


# --- the estimator ----------------------------------------------------------------------------


def test_parameters_of_the_default_density():
    found = []

    def fit(self, X):
        found.append(self.get_params())
        return self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoltzmannDensity, "fit", fit)
        for seed in (0, 0, 1):
            how = {"time_limit": 7, "n_jobs": 2, "verbose": 1, "random_state": seed}
            BoltzmannImputer(**how).fit(np.eye(3))
    first, same, other = found
    assert {k: first[k] for k in ("time_limit", "n_jobs", "verbose")} == {
        "time_limit": 7, "n_jobs": 2, "verbose": 1}  # fmt: skip
    assert first["random_state"] == same["random_state"] != other["random_state"]


def test_the_estimator_given_is_cloned():
    rbm = RBM(**TINY)
    imputer = BoltzmannImputer(rbm).fit(with_empty_columns()[:, [1, 3]])
    assert not hasattr(rbm, "components_")
    assert imputer.estimator_.get_params() == rbm.get_params()


def test_sample_weight_reaches_the_density():
    X = np.array([[1.0, 1.0]] * 20 + [[1.0, 0.0]] * 20)
    weights = np.repeat([1.0, 0.0], 20)
    for own, expected in ((weights, 1.0), (1.0 - weights, 0.0)):
        imputer = BoltzmannImputer(INDEPENDENT).fit(X, sample_weight=own)
        assert imputer.transform([[1.0, NAN]])[0, 1] == expected


# --- scikit-learn -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("given", ["pandas", "polars"])
def test_set_output(kind, given):
    whole = copies()[["text", "whole", "float"]]
    gaps = whole.copy()
    gaps.iloc[:3, 0] = None
    gaps = gaps if given == "pandas" else pl.from_pandas(gaps)
    imputer = BoltzmannImputer(COPIES).set_output(transform=kind).fit(gaps)
    out = imputer.transform(gaps)
    assert isinstance(out, {"pandas": pd.DataFrame, "polars": pl.DataFrame}[kind])
    with config_context(transform_output=kind):
        assert out.equals(BoltzmannImputer(COPIES).fit_transform(gaps))
    assert entries(out) == entries(whole)
    if kind == given == "pandas":
        pd.testing.assert_index_equal(out.index, whole.index)


def test_set_output_default_is_an_array():
    whole = copies()[["text", "float"]]
    imputer = BoltzmannImputer(COPIES).set_output(transform="default").fit(whole)
    out = imputer.transform(whole)
    assert out.dtype == object
    np.testing.assert_array_equal(out, whole.to_numpy(object))


def test_arrays_are_named_by_set_output():
    X = with_empty_columns()[:, [1, 3]]
    imputer = BoltzmannImputer(COPIES).set_output(transform="pandas").fit(X)
    pd.testing.assert_frame_equal(imputer.transform(X), pd.DataFrame(X, columns=["x0", "x1"]))


def test_pipeline():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    X = np.where(rng.random((200, 6)) < 0.1, 1 - y[:, None], y[:, None]).astype(float)
    X[rng.random(X.shape) < 0.3] = NAN
    pipeline = make_pipeline(BoltzmannImputer(COPIES, add_indicator=True), LogisticRegression())
    pipeline.fit(X[:100], y[:100])
    assert pipeline.score(X[100:], y[100:]) > 0.9
    assert len(pipeline[:-1].get_feature_names_out()) == 12


def test_pickle_and_clone():
    gaps = with_gaps(copies())
    imputer = BoltzmannImputer(COPIES, sample_posterior=True, random_state=0).fit(gaps)
    loaded = pickle.loads(pickle.dumps(imputer))
    pd.testing.assert_frame_equal(loaded.transform(gaps), imputer.transform(gaps))
    with pytest.raises(NotFittedError):
        clone(imputer).transform(gaps)
    with pytest.raises(NotFittedError):
        clone(imputer).get_feature_names_out()


def test_columns_are_checked():
    gaps = with_gaps(copies())
    imputer = BoltzmannImputer(RBM(**TINY)).fit(gaps)
    assert list(imputer.feature_names_in_) == list(gaps.columns)
    assert imputer.n_features_in_ == gaps.shape[1]
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(gaps.iloc[:, ::-1])
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(gaps.iloc[:, 1:])
    with pytest.raises(ValueError, match="3 features"):
        BoltzmannImputer(RBM(**TINY)).fit(np.eye(4)).transform(np.eye(3))


def test_a_failed_fit_leaves_a_fitted_imputer_as_it_was():
    X = with_empty_columns()[:, [1, 3]]
    imputer = BoltzmannImputer(COPIES).fit(X)
    with pytest.raises(ValueError):
        imputer.fit(np.array([[np.inf, 0.0, 1.0]]))
    np.testing.assert_array_equal(imputer.transform([[1.0, NAN]]), [[1.0, 1.0]])
