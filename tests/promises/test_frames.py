"""Data frames in, data frames out: random frames through every method of an estimator.

Dtypes of columns are drawn from all that can be read (`tests/tools/frames.py`). What results have
to be is known from the frames alone: schemas as their library says, and values that are among those
seen.
"""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from tools.equality import assert_same
from tools.frames import BAD, COLUMNS, LIBRARIES, make_frame, random_frame

from sklearn_rapid import RARBM, RBM

HOW = {"max_iter": 1, "random_state": 0}
MODELS = [RBM(2, **HOW), RARBM(2, 2, **HOW)]
# What the package may say of small and odd frames.
MAY_SAY = "the fit has ended|X is a frame of nothing but floats|of .* samples about|log Z = "


@pytest.fixture(autouse=True)
def other_warnings_are_errors():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MAY_SAY)
        yield


# --- frames as lists ------------------------------------------------------------------------------


def lists_of(X):
    """The columns of a frame as lists, None where an entry is missing."""
    if isinstance(X, pd.DataFrame):
        columns = [X.iloc[:, j] for j in range(X.shape[1])]
        return [[None if pd.isna(v) else v for v in column] for column in columns]
    columns = X.to_dict(as_series=False) if isinstance(X, pl.DataFrame) else X.to_pydict()
    return list(columns.values())


def names_of(X):
    return list(X.columns if isinstance(X, pd.DataFrame | pl.DataFrame) else X.column_names)


def assert_like(result, X):
    """The same library, names and dtypes, categories with their order among them."""
    assert type(result) is type(X)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_series_equal(result.dtypes, X.dtypes)
        pd.testing.assert_index_equal(result.columns, X.columns, exact=True)
    else:
        assert result.schema == X.schema


def are_probabilities(X):
    """Whether a frame is read as an array of probabilities is: nothing but floats in [0, 1]."""
    entries = [value for column in lists_of(X) for value in column if value is not None]
    are_floats = all(isinstance(value, float | np.floating) for value in entries)
    return are_floats and all(0.0 <= value <= 1.0 for value in entries)


def assert_possible(result, X):
    """No entry is missing, and each is among the values of X, or numbers between them."""
    for values, seen in zip(lists_of(result), lists_of(X), strict=True):
        known = [value for value in seen if value is not None]
        assert not any(value is None for value in values)
        if isinstance(known[0], bool | np.bool_):
            assert set(values) <= {False, True}
        elif isinstance(known[0], str | bytes):
            assert set(values) <= set(known)
        else:
            low, high = min(map(float, known)), max(map(float, known))
            # A column of nothing but zeros is a binary one in which no bit was set.
            if {low, high} <= {0.0, 1.0} or are_probabilities(X):
                low, high = 0.0, 1.0
            assert all(low <= float(value) <= high for value in values), (low, high, values)
            are_means = isinstance(known[0], float | np.floating) and {low, high} == {0.0, 1.0}
            if all(float(value).is_integer() for value in known) and not are_means:
                assert all(float(value).is_integer() for value in values)


def assert_completed(result, X):
    """Entries of X are there as they were, its index too, and none is missing."""
    assert_like(result, X)
    assert_possible(result, X)
    for values, given in zip(lists_of(result), lists_of(X), strict=True):
        pairs = [(a, b) for a, b in zip(values, given, strict=True) if b is not None]
        # Decimals among objects of pandas become floats.
        assert all(a == b or a == float(b) for a, b in pairs)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_index_equal(result.index, X.index, exact=True)


def is_number(value):
    return isinstance(value, int | float | np.number | Decimal) and not isinstance(value, bool)


def assert_near(values, wanted):
    """Equal lists, but for digits that a dtype of floats or decimals does not hold."""
    is_float = isinstance(wanted[0], float | np.floating | Decimal)
    assert values == (pytest.approx([*map(float, wanted)], rel=1e-3) if is_float else wanted)


def assert_equal_frames(a, b):
    assert type(a) is type(b)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    else:
        assert a.equals(b)


def state_of(model):
    return {name: vars(model)[name] for name in sorted(vars(model)) if name[:5] != "_kept"}


# --- random frames --------------------------------------------------------------------------------


def seeds(n_quick, n):
    """Numbers of frames of each library, of which a few run in the quick suite."""
    slow = (pytest.param(seed, marks=pytest.mark.slow) for seed in range(n_quick, n))
    return [*range(n_quick), *slow]


def drawn(seed, library):
    """A random frame and an estimator."""
    X = random_frame(np.random.default_rng(seed), library)
    return clone(MODELS[seed % 2]), X


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", seeds(3, 40))
def test_results_are_frames(seed, library):
    model, X = drawn(seed, library)
    model.fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.frame_.library == library
    assert list(model.feature_names_in_) == names_of(X)
    features = model.transform(X)
    assert isinstance(features, np.ndarray) and np.isfinite(features).all()
    for result in (
        model.sample(5, random_state=0),
        model.sample(5, n_gibbs_steps=2, random_state=0),
        model.gibbs(X, random_state=0),
        model.inverse_transform(features),
    ):
        assert_like(result, X)
        assert_possible(result, X)
    for output in ("sample", "mean"):
        assert_completed(model.reconstruct(X, output=output, n_gibbs_steps=3, random_state=0), X)
    nothing = np.zeros((len(X), X.shape[1]), dtype=bool)
    redrawn = model.reconstruct(X, nothing, n_gibbs_steps=3, random_state=0)
    assert_like(redrawn, X)
    assert_possible(redrawn, X)
    assert_completed(model.sample(1, conditions=X, random_state=0), X)
    assert len(model.sample(2, conditions=X, random_state=0)) == 2 * len(X)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", seeds(1, 6))
def test_copies_are_the_same(seed, library):
    model, X = drawn(seed, library)
    model.fit(X)
    copies = [
        clone(model).fit(X),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        clone(model).set_params(max_iter=2).fit(X).set_params(max_iter=1).fit(X),
    ]
    for other in copies:
        assert other.frame_ == model.frame_
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
        np.testing.assert_array_equal(other.transform(X), model.transform(X))
        how = {"n_gibbs_steps": 2, "random_state": 1}
        assert_equal_frames(*(m.sample(3, **how) for m in (other, model)))
    trained = [m.partial_fit(X).components_ for m in (*copies, model)]
    for components in trained:
        np.testing.assert_array_equal(components, trained[0])
    # One pass in order is a first call of `partial_fit`.
    whole = clone(model).set_params(shuffle=False).fit(X)
    streamed = clone(model).partial_fit(X)
    assert_like(streamed.sample(3, n_gibbs_steps=1), X)
    if len(X) > 20:
        np.testing.assert_array_equal(streamed.components_, whole.components_)


# --- parameters of columns ------------------------------------------------------------------------

KINDS = ["binary", "categorical", "gaussian", "real", "quantile", "spiked"]
PARAMETERS = {
    "hidden": ["binary", "binary", "binary", "gaussian"],
    "units": ["binary", "spin"],
    "dtype": ["float32", "float64"],
    "handle_unknown": ["error", "infrequent"],
    "min_frequency": [None, 1, 2, 50, 0.2],
    "binarize": [*["auto"] * 5, 0.5, None, "sample"],
    "early_stopping": [False, False, False, True],
}
# An error that names no column names a parameter.
NAMED = "early_stopping|hidden=|^binarize says|sample_weight"


def random_parameters(rng, X):
    """Parameters, some of which the columns cannot be fitted with, and weights."""
    names, values = names_of(X), lists_of(X)
    params = {name: known[rng.integers(len(known))] for name, known in PARAMETERS.items()}
    kinds = rng.choice(KINDS, len(names)).tolist()
    visible = [
        "auto",
        kinds[0],
        {name: kind for name, kind in zip(names, kinds, strict=True) if rng.random() < 0.5},
        [
            (kind, [name for name, k in zip(names, kinds, strict=True) if k == kind])
            for kind in rng.permutation(KINDS).tolist()
        ],
    ][rng.integers(4)]
    if rng.random() < 0.3:
        j = rng.integers(len(names))
        known = [*dict.fromkeys(value for value in values[j] if value is not None)]
        odd = [[], ["zz"], [3], [None]][rng.integers(4)]
        params["categories"] = {names[j]: known[: rng.integers(len(known) + 1)] + odd}
    weights = None
    if rng.random() < 0.3:
        weights = rng.random(len(X)) * (rng.random(len(X)) < 0.7)
        weights[rng.integers(len(X))] = 1.0
    return {**params, "visible": visible}, weights


@pytest.mark.filterwarnings("ignore:X holds values from", "ignore:no couplings are left")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", seeds(4, 100))
def test_parameters_fit_or_say_why(seed, library):
    model, X = drawn(seed, library)
    rng = np.random.default_rng((1, seed))
    params, weights = random_parameters(rng, X)
    model.set_params(**params)
    try:
        model.fit(X, sample_weight=weights)
    except ValueError as error:
        columns = [f"column {name!r}" for name in names_of(X)]
        assert re.search(NAMED, str(error)) or any(c in str(error) for c in columns), error
        return
    assert np.isfinite(model.score_samples(X)).all()
    for result in (
        model.sample(3, n_gibbs_steps=1, random_state=0),
        model.gibbs(X, random_state=0),
        model.inverse_transform(model.transform(X)),
    ):
        assert_like(result, X)
        assert not any(value is None for values in lists_of(result) for value in values)
    assert_like(model.reconstruct(X, n_gibbs_steps=1, random_state=0), X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.partial_fit(X).transform(X), model.partial_fit(X).transform(X)
    )


# --- other libraries ------------------------------------------------------------------------------


def converted(X, library):
    """The same values in another library, by lists."""
    columns = dict(zip(names_of(X), lists_of(X), strict=True))
    if library == "pandas":
        return pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})
    if library == "polars":
        return pl.DataFrame(columns, strict=False)
    return pytest.importorskip("pyarrow").table(columns)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", seeds(2, 10))
def test_frames_of_other_libraries(seed, library):
    model, X = drawn(seed, library)
    kept = [name for name in names_of(X) if name != "objects bytes"]
    X = X[kept] if library == "pandas" else X.select(kept)
    if not kept:
        return
    model.fit(X)
    for other in [other for other in LIBRARIES if other != library]:
        Y = converted(X, other)
        np.testing.assert_array_equal(model.transform(Y), model.transform(X))
        np.testing.assert_array_equal(model.score_samples(Y), model.score_samples(X))
        results = [model.reconstruct(Z, n_gibbs_steps=3, random_state=0) for Z in (X, Y)]
        assert lists_of(results[0]) == lists_of(results[1])
        assert_like(results[1], X)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", seeds(2, 10))
def test_set_output_decides(seed, library):
    model, X = drawn(seed, library)
    expected = model.fit(X).sample(4, random_state=0)
    for kind, wanted in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        model.set_output(transform=kind)
        result = model.sample(4, random_state=0)
        assert isinstance(result, wanted) and names_of(result) == names_of(X)
        for values, known in zip(lists_of(result), lists_of(expected), strict=True):
            assert_near([*map(float, values)] if is_number(known[0]) else values, known)
        features = model.transform(X)
        assert isinstance(features, wanted)
        assert names_of(features) == list(model.get_feature_names_out())
        back = model.inverse_transform(features)
        assert isinstance(back, wanted) and back.shape == X.shape
        if library == kind:
            assert_completed(model.reconstruct(X, n_gibbs_steps=2), X)
    model.set_output(transform="default")
    result = model.sample(4, random_state=0)
    assert isinstance(result, np.ndarray)
    for values, known in zip(result.T.tolist(), lists_of(expected), strict=True):
        assert_near(values, known)
    assert isinstance(model.transform(X), np.ndarray)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_wrong_columns(library):
    rng = np.random.default_rng(0)
    kinds = {"pandas": ("int8", "str"), "polars": ("Int8", "String"), "pyarrow": ("int8", "string")}
    X = make_frame(library, {name: COLUMNS[library][name](rng, 30) for name in kinds[library]})
    model = RBM(2, **HOW).fit(X)
    first, second = names_of(X)
    columns = lists_of(X)
    for names, values in (
        ((second, first), columns[::-1]),
        ((first, "other"), columns),
        ((first,), columns[:1]),
        ((first, second, "more"), [*columns, columns[0]]),
    ):
        Y = converted_from(dict(zip(names, values, strict=True)), library)
        for method in ("transform", "score_samples", "reconstruct", "gibbs", "partial_fit"):
            with pytest.raises(ValueError, match="The feature names should match those that"):
                getattr(model, method)(Y)
    with (
        pytest.raises(ValueError, match="X is an array, and column 1 held values such as"),
        pytest.warns(UserWarning, match="X does not have valid feature names"),
    ):
        model.transform(np.zeros((2, 2)))


def converted_from(columns, library):
    if library == "pandas":
        return pd.DataFrame(columns)
    return pl.DataFrame(columns) if library == "polars" else __import__("pyarrow").table(columns)


NAMES = {
    "integers": [3, 1, 2],
    "floats": [0.5, 1.5, 2.5],
    "tuples": pd.Index([("a", 1), ("a", 2), ("b", 1)], tupleize_cols=False),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None]),
    "letters": pd.Index(["x", "y", "z"], name="letters"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_columns(name):
    rng = np.random.default_rng(0)
    X = random_frame(rng, "pandas", 30).iloc[:, :1].assign(
        y=rng.choice(["a", "b", "c"], 30), z=rng.normal(size=30)
    )  # fmt: skip
    X.columns = NAMES[name]
    model = RBM(2, **HOW).fit(X)
    assert hasattr(model, "feature_names_in_") == (name == "letters")
    assert_completed(model.reconstruct(X), X)
    assert_like(model.sample(3), X)
    found = model.conditional(X, X.columns[1])
    assert found.shape == (30, 3)
    by_name = RBM(2, **HOW, visible={X.columns[2]: "gaussian"}).fit(X)
    assert dict(by_name.visible_)["gaussian"].tolist() == [2]
    assert_same(state_of(pickle.loads(pickle.dumps(by_name))), state_of(by_name))
    for kind in ("polars", "pandas"):
        result = model.set_output(transform=kind).sample(3)
        assert [str(n) for n in result.columns] == [str(n) for n in X.columns]


def test_names_that_are_refused():
    X = pd.DataFrame([[0, 1]] * 9 + [[1, 0]])
    for names, error in ((["a", 1], TypeError), (["a", "a"], ValueError), ([1, 1], ValueError)):
        X.columns = names
        with pytest.raises(
            error, match=r"[Ff]eature names|2 columns of the name|unique column names"
        ):
            RBM(2, **HOW).fit(X)


# --- what cannot be fitted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "bad"), [(library, bad) for library in BAD for bad in BAD[library]]
)
def test_bad_columns_are_named(library, bad):
    """And the fit before is kept."""
    rng = np.random.default_rng(7)
    good = random_frame(rng, library, 30)
    model = RBM(2, **HOW).fit(good)
    before = copy.deepcopy(state_of(model))
    column = BAD[library][bad](30)
    if library == "pandas":
        X = good.reset_index(drop=True).assign(**{"the bad one": column})
    else:
        X = good.with_columns(column.alias("the bad one"))
    for method in ("fit", "partial_fit"):
        with pytest.raises((TypeError, ValueError), match="column 'the bad one'"):
            getattr(clone(model), method)(X)
    with pytest.raises((TypeError, ValueError), match="column 'the bad one'"):
        model.fit(X)
    assert_same(state_of(model), before)
    assert_completed(model.reconstruct(good, n_gibbs_steps=2), good)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_fit_on_an_array_forgets_the_frame(library):
    model, X = drawn(2, library)
    bits = np.random.default_rng(0).integers(2, size=(20, 3))
    expected = clone(model).fit(bits)
    again = model.fit(X).fit(bits)
    del expected.history_["seconds"], again.history_["seconds"]
    assert_same(state_of(again), state_of(expected))
    assert isinstance(again.sample(2), np.ndarray)
    assert_like(again.fit(X).sample(2), X)


def test_sparse_columns():
    """All of a frame, which are trained on as a sparse matrix, and beside others."""
    bits = np.random.default_rng(0).integers(2, size=(40, 3))
    X = pd.DataFrame({f"c{j}": pd.arrays.SparseArray(x) for j, x in enumerate(bits.T)})
    model = RBM(2, **HOW).fit(X)
    dense = clone(model).fit(pd.DataFrame(bits, columns=X.columns))
    np.testing.assert_array_equal(model.components_, dense.components_)
    for Y in (X, X.assign(dense=bits[:, 0])):
        model.fit(Y)
        assert_completed(model.reconstruct(Y), Y)
        assert_like(model.gibbs(Y), Y)
        assert_like(model.sample(3), Y)


# What takes rows of binary columns, and neither random numbers nor labels.
OF_ROWS = ("transform", "score_samples", "free_energy", "pseudo_likelihood", "score")


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_after_a_frame(container):
    """Those of zeros and ones have the results of a frame; others need a dense X."""
    bits = np.random.default_rng(0).integers(2, size=(40, 3))
    model = RBM(2, **HOW).fit(pd.DataFrame(bits > 0))
    for method in OF_ROWS:
        expected = getattr(model, method)(pd.DataFrame(bits > 0))
        for dtype in (bool, np.int64, np.float32):
            found = getattr(model, method)(container(bits.astype(dtype)))
            np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=method)
    model.fit(pd.DataFrame([0, 2, 0] + [1, 5, 1] * bits))
    for method in (*OF_ROWS, "gibbs", "partial_fit"):
        with pytest.raises(ValueError, match=r"column 1 held 2 and 7 .* need a dense X, got a sp"):
            getattr(model, method)(container(bits))


@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_that_narwhals_wraps(library):
    nw = pytest.importorskip("narwhals")
    model, X = drawn(3, library)
    wrapped = nw.from_native(X)
    expected = clone(model).fit(X)
    assert list(model.fit(wrapped).feature_names_in_) == names_of(X)
    np.testing.assert_array_equal(model.transform(wrapped), expected.transform(X))
    assert_completed(model.reconstruct(wrapped), X)
    assert_like(model.sample(2, conditions=wrapped, n_gibbs_steps=1), X)


def test_frames_without_rows():
    bits = pd.DataFrame({"a": [0, 1] * 5})
    for X in (bits, bits.assign(word=["x", "y", "z", "x", "y"] * 2)):
        model = RBM(2, **HOW).fit(X)
        for method in ("fit", "transform", "score_samples", "reconstruct", "gibbs", "partial_fit"):
            with pytest.raises(ValueError, match=r"X must have rows|0 sample"):
                getattr(model, method)(X.iloc[:0])
            with pytest.raises(TypeError, match=r"lazy frame of polars, .*: pass X.collect\(\)"):
                getattr(model, method)(pl.LazyFrame(X.to_dict("list")))


def test_two_values_are_no_probabilities():
    """Codes of two other values than zero and one lie between these, too."""
    X = pd.DataFrame({"size": [2.5, 7.5] * 9, "share": np.linspace(0.1, 0.9, 18)})
    model = RBM(2, **HOW).fit(X)
    assert [(kind, columns.tolist()) for kind, columns in model.visible_] == [
        ("binary", [0]),
        ("real", [1]),
    ]


# --- values not seen ------------------------------------------------------------------------------


def with_words(words, dtype, library="pandas"):
    numbers = np.arange(len(words)) % 7 + 0.5
    if library == "polars":
        return pl.DataFrame({"x": numbers, "word": pl.Series(words, dtype=dtype)})
    return pd.DataFrame({"x": numbers, "word": pd.Series(words, dtype=dtype)})


WORDS = ["a", "b", "c"] * 12
UNSEEN = {
    "str": ("pandas", "string", "string"),
    "object": ("pandas", object, object),
    "category": ("pandas", "category", "category"),
    "ordered": (
        "pandas",
        pd.CategoricalDtype(["c", "b", "a", "new"], ordered=True),
        pd.CategoricalDtype(["c", "b", "a", "new"], ordered=True),
    ),
    "String": ("polars", pl.String, pl.String),
    "Categorical": ("polars", pl.Categorical, pl.Categorical),
    "Enum": ("polars", pl.Enum(["c", "b", "a"]), pl.Enum(["newer", "new", "a", "c", "b"])),
}


@pytest.mark.parametrize("min_frequency", [None, pytest.param(13, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", UNSEEN)
def test_values_not_seen_come_back(name, min_frequency):
    """As they were; and where the dtype of fit lacks them, among its categories."""
    library, dtype, other = UNSEEN[name]
    model = RBM(2, **HOW, handle_unknown="infrequent", min_frequency=min_frequency)
    model.fit(with_words(WORDS, dtype, library))
    X = with_words(["new", "a", None, "newer" if name != "ordered" else "new"], other, library)
    result = model.reconstruct(X, random_state=0)
    word = lists_of(result)[1]
    assert word[:2] + word[3:] == [v for v in lists_of(X)[1] if v is not None]
    assert word[2] in ("a", "b", "c")
    assert lists_of(result)[0] == lists_of(X)[0]
    if name == "category":
        assert list(result["word"].cat.categories) == ["a", "b", "c", "new", "newer"]
    elif name == "Enum":
        assert result["word"].dtype == pl.Enum(["c", "b", "a", "new", "newer"])
    else:
        assert_like(result, with_words(WORDS, dtype, library))
    assert set(lists_of(model.gibbs(X, random_state=0))[1]) <= {"a", "b", "c"}
    # A result is a frame like others.
    np.testing.assert_array_equal(model.transform(result)[:2], model.transform(X)[:2])
    rows = model.sample(3, conditions=X[["word"]], random_state=0)
    assert len(rows) == 12
    drawn = lists_of(rows)[1]
    assert drawn[:6] == ["new"] * 3 + ["a"] * 3 and set(drawn[6:9]) <= {"a", "b", "c"}
    # Entries that a mask calls missing are drawn from what was seen.
    masked = lists_of(model.reconstruct(X, np.array([True, False]), random_state=0))[1]
    assert set(masked) <= {"a", "b", "c"}


def test_a_third_value_is_taken_or_refused_with_advice():
    X = pd.DataFrame({"size": [2.5, 7.0] * 10})
    model = RBM(2, **HOW, handle_unknown="infrequent").fit(X)
    assert model.reconstruct(X + 0.5)["size"].tolist() == [3.0, 7.5] * 10
    model.set_params(visible={"size": "binary"}).fit(X)
    message = r"the value 3.0 in column 'size', .* seen 2.5, 7.0 only.*'categorical' in visible"
    with pytest.raises(ValueError, match=message):
        model.transform(X + 0.5)


def test_numbers_not_seen_come_back():
    codes = np.repeat([0.0, 2.5, 7.0], 20)
    X = pd.DataFrame({"code": codes, "bit": np.arange(60) % 2})
    model = RBM(2, **HOW, handle_unknown="infrequent").fit(X)
    assert model.visible_[1][0] == "categorical"
    Y = pd.DataFrame({"code": [-4.0, 2.5, 99.0], "bit": [1.0, np.nan, 0.0]})
    result = model.reconstruct(Y, random_state=0)
    assert result["code"].tolist() == [-4.0, 2.5, 99.0]
    assert np.isfinite(model.score_samples(Y)).all()


# --- verbose --------------------------------------------------------------------------------------


def test_verbose_says_what_columns_were_taken_for(capsys):
    rng = np.random.default_rng(0)
    n = 60
    X = pd.DataFrame(
        {
            "flag": rng.random(n) < 0.5,
            "word": rng.choice(["a", "b", "c"], n),
            "gain": np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
            "x": rng.normal(size=n),
        }
    )
    wanted = [
        "[RBM] binary: flag",
        "[RBM] categorical: word (3)",
        "[RBM] real: x",
        "[RBM] spiked: gain (at 0)",
    ]
    model = RBM(2, max_iter=2, random_state=0, verbose=1, warm_start=True)

    def printed():
        return capsys.readouterr().out.splitlines()

    model.fit(X)
    lines = printed()
    assert lines[:4] == wanted and len(lines) == 6
    model.fit(X)
    assert len(printed()) == 2  # the model is the same
    clone(model).partial_fit(X)
    assert printed()[:4] == wanted
    array = X[["gain", "x"]].to_numpy()
    clone(model).set_params(visible="real").fit(array)
    assert printed()[:2] == ["[RBM] real: 1", "[RBM] spiked: 0 (at 0)"]
    for visible, rows in (("gaussian", array), ("auto", array > 0.0)):
        clone(model).set_params(visible=visible).fit(rows)
        assert len(printed()) == 2  # there was nothing to choose
    wide = pd.DataFrame(rng.integers(2, size=(20, 60)), columns=[f"c{j}" for j in range(60)])
    clone(model).fit(wide)
    assert printed()[0].endswith("c48, c49, ... (60 columns)")
