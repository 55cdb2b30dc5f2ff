"""Bad input: one table of calls, each with its error, and none leaves a trace on the estimator."""

from __future__ import annotations

import copy
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import NotFittedError
from tools.equality import assert_ends, assert_same

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import fetch_mnist
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay, LinearDecay

N_FEATURES, N_COMPONENTS, N_PATTERNS = 6, 4, 3
X = np.random.default_rng(0).integers(2, size=(30, N_FEATURES)).astype(np.uint8)
H = np.full((2, N_COMPONENTS), 0.5)

# Rows that are not about one kind of estimator are tried on both.
BOTH = (RBM, RARBM)


def make(cls, **params):
    sizes = {"n_components": N_COMPONENTS, "max_iter": 1, "random_state": 0}
    sizes |= {"n_patterns": N_PATTERNS} if cls is RARBM else {}
    return cls(**{**sizes, **params})


@pytest.fixture(scope="module")
def fitted_models():
    return {cls: make(cls).fit(X) for cls in BOTH}


def assert_refuses(model, action, error, message):
    """The action raises that error, and the estimator is as it was."""
    before = copy.deepcopy(vars(model))
    with pytest.raises(error, match=message) as caught:
        action(model)
    # A subclass of the error may be wanted, but NotFittedError would be the wrong ValueError.
    assert isinstance(caught.value, NotFittedError) == (error is NotFittedError)
    assert_ends(caught.value)
    assert_same(vars(model), before)


# --- parameters -------------------------------------------------------------------------


def wrong(name, value, wanted, classes=BOTH, owner=None, id=None):
    """A row: a parameter's value, and what the message must say is wanted instead."""
    return pytest.param(name, value, wanted, classes, owner, id=id or f"{name}={value!r}")


COUNT = r"an int in the range \[1, 2147483647\]"
POSITIVE = r"a float in the range \(0.0, inf\)"
NON_NEGATIVE = r"a float in the range \[0.0, inf\)"
BOOLEAN = "an instance of 'bool'"

PARAMETERS = [
    wrong("n_components", 0, COUNT),
    wrong("n_components", "8", COUNT),
    wrong("n_components", 2.5, COUNT),
    wrong("n_components", None, COUNT),
    wrong("n_components", True, COUNT),
    wrong("n_components", 2**31, COUNT),
    wrong("n_patterns", -1, COUNT, [RARBM]),
    wrong("n_patterns", True, COUNT, [RARBM]),
    wrong("n_patterns", 2.0, COUNT, [RARBM]),
    wrong("learning_rate", 0, POSITIVE),
    wrong("learning_rate", -0.1, POSITIVE),
    wrong("learning_rate", "fast", "a str among {'auto'}"),
    wrong("learning_rate", np.nan, POSITIVE),
    wrong("learning_rate", np.inf, POSITIVE),
    wrong("learning_rate", None, POSITIVE),
    wrong("learning_rate", ExponentialDecay, POSITIVE, id="learning_rate=class"),
    wrong("learning_rate", True, POSITIVE),
    wrong("learning_rate", 10**400, POSITIVE),
    wrong("batch_size", 0, COUNT),
    wrong("batch_size", True, COUNT),
    wrong("batch_size", 2**63, COUNT),
    wrong("batch_size", "all", COUNT),
    wrong("max_iter", 0, COUNT),
    wrong("max_iter", 10.0, COUNT),
    wrong("n_updates", 0, COUNT),
    wrong("n_updates", 2.0, COUNT),
    wrong("shuffle", "yes", BOOLEAN),
    wrong("units", "bits", "a str among {'(binary|spin)', '(binary|spin)'}"),
    wrong("units", None, "a str among"),
    wrong("binarize", "mean", r"a str among \{'(auto|sample)', '(auto|sample)'\}"),
    wrong("binarize", np.nan, r"a float in the range \(-inf, inf\)"),
    wrong("binarize", True, r"a float in the range \(-inf, inf\)"),
    wrong("binarize", [0.5], r"a float in the range"),
    wrong("fit_intercept", "no", BOOLEAN),
    wrong("center", 0.5, BOOLEAN),
    wrong("l1_penalty", -1.0, NON_NEGATIVE),
    wrong("l1_penalty", True, NON_NEGATIVE),
    wrong("l1_penalty", Fraction(1, 3), NON_NEGATIVE),
    wrong("l2_penalty", np.inf, NON_NEGATIVE),
    wrong("init_scale", -0.1, NON_NEGATIVE, [RBM]),
    wrong("init_scale", "auto", NON_NEGATIVE, [RBM]),
    wrong("init_scale", 0.0, POSITIVE, [RARBM]),
    wrong("init_scale", "small", "a str among {'auto'}", [RARBM]),
    wrong("early_stopping", "maybe", BOOLEAN),
    wrong("validation_fraction", 1.5, r"a float in the range \(0.0, 1.0\)"),
    wrong("validation_fraction", 0.0, r"a float in the range \(0.0, 1.0\)"),
    wrong("n_iter_no_change", 0, COUNT),
    wrong("tol", -1e-3, NON_NEGATIVE),
    wrong("hidden_features", "mode", "a str among"),
    wrong("warm_start", "yes", BOOLEAN),
    wrong("dtype", "float16", "a str among {'float(32|64)', 'float(32|64)'}"),
    wrong("dtype", int, "among"),
    wrong("backend", "torch", "a str among .*'numpy'"),
    wrong("n_threads", 0, COUNT),
    wrong("n_threads", 1.5, COUNT),
    wrong("random_state", "x", "an instance of 'numpy.random.mtrand.RandomState'"),
    wrong("random_state", -1, r"an int in the range \[0, 4294967295\]"),
    wrong("verbose", "loud", "an int in the range"),
    wrong("optimizer", "lbfgs", "a str among {'(sgd|adam)', '(sgd|adam)'}"),
    wrong(
        "optimizer",
        object(),
        "an instance of 'sklearn_rapid.training.optimizers.Optimizer'",
        id="optimizer",
    ),
    wrong("optimizer", SGD, "a str among", id="optimizer=class"),
    wrong("optimizer", SGD(momentum=1.5), r"'momentum'.*\[0.0, 1.0\).*Got 1.5", owner="SGD"),
    wrong("optimizer", SGD(momentum="a"), r"'momentum'.*\[0.0, 1.0\).*Got 'a'", owner="SGD"),
    wrong("optimizer", Adam(beta1=1.0), r"'beta1'.*\[0.0, 1.0\).*Got 1.0", owner="Adam"),
    wrong("optimizer", Adam(eps=0), r"'eps'.*\(0.0, inf\).*Got 0", owner="Adam"),
    wrong(
        "learning_rate",
        ExponentialDecay(initial=0.1, factor=1.5),
        r"'factor'.*\(0.0, 1.0\].*Got 1.5",
        owner="ExponentialDecay",
    ),
    wrong(
        "learning_rate", LinearDecay(-1), r"'initial'.*\(0.0, inf\).*Got -1", owner="LinearDecay"
    ),
    wrong("negative_phase", "foo", "a str among .*'pcd'"),
    wrong("negative_phase", object(), "NegativePhase", id="negative_phase=object"),
    wrong("negative_phase", ContrastiveDivergence, "NegativePhase", id="negative_phase=class"),
    wrong(
        "negative_phase",
        PersistentContrastiveDivergence(n_chains=0),
        r"'n_chains'.*\[1, 2147483647\] or None.*Got 0",
        owner="PersistentContrastiveDivergence",
    ),
    wrong(
        "negative_phase",
        ContrastiveDivergence(n_gibbs_steps=0),
        r"'n_gibbs_steps'.*\[1, 2147483647\].*Got 0",
        owner="ContrastiveDivergence",
    ),
    wrong(
        "negative_phase",
        PatternInducedCorrelations(n_gibbs_steps=-1),
        r"'n_gibbs_steps'.*\[0, 2147483647\].*Got -1",
        [RARBM],
        owner="PatternInducedCorrelations",
    ),
    wrong(
        "negative_phase",
        PatternInducedCorrelations(hidden="mean"),
        "'hidden'.*among.*'marginal'.*Got 'mean'",
        [RARBM],
        owner="PatternInducedCorrelations",
    ),
    wrong(
        "negative_phase",
        ContrastiveDivergence(n_gibbs_steps=2**63),
        r"'n_gibbs_steps'.*\[1, 2147483647\].*Got 9223372036854775808",
        owner="ContrastiveDivergence",
    ),
    wrong("projection", "round", "a str among .*'clip'", [RARBM]),
    wrong("projection_period", 0, COUNT, [RARBM]),
    wrong("projection_period", "batch", "a str among .*'epoch'", [RARBM]),
    wrong("pattern_bound", -1, POSITIVE, [RARBM]),
    wrong("pattern_bound", 0, POSITIVE, [RARBM]),
]


def message_about(cls, name, value, wanted, owner):
    """The message names whose parameter it is, what is wanted and what was got."""
    if owner is not None:
        return f"(?=.*of {owner} must be).*{wanted}"
    got = re.escape(repr(value))
    return f"'{name}' parameter of {cls.__name__} must be .*{wanted}.* Got {got} instead"


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("name", "value", "wanted", "classes", "owner"), PARAMETERS)
def test_parameter_is_refused(method, name, value, wanted, classes, owner):
    for cls in classes:
        message = message_about(cls, name, value, wanted, owner)
        model = make(cls, **{name: value})
        assert_refuses(model, lambda model: getattr(model, method)(X), ValueError, message)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("name", "value", "wanted", "classes", "owner"), PARAMETERS)
def test_parameter_set_after_a_fit_is_refused(
    fitted_models, method, name, value, wanted, classes, owner
):
    for cls in classes:
        message = message_about(cls, name, value, wanted, owner)
        model = copy.deepcopy(fitted_models[cls]).set_params(**{name: value})
        assert_refuses(model, lambda model: getattr(model, method)(X), ValueError, message)


@pytest.mark.parametrize(
    ("cls", "params", "data", "message"),
    [
        pytest.param(
            RBM,
            {"negative_phase": "pid"},
            X,
            "PatternInducedCorrelations.*RBM.*RARBM.*'pcd'",
            id="pid, named",
        ),
        pytest.param(
            RBM,
            {"negative_phase": PatternInducedCorrelations(n_gibbs_steps=0)},
            X,
            "PatternInducedCorrelations .*RBM has dense couplings",
            id="pid, object",
        ),
        *(
            pytest.param(
                cls,
                {"negative_phase": "exact", "n_components": 21},
                np.tile(X, 4)[:, :21],
                "exact .*at most 20 units; got 21 visible and 21 hidden",
                id=f"exact, large {cls.__name__}",
            )
            for cls in BOTH
        ),
        pytest.param(
            RARBM,
            {"negative_phase": PatternInducedCorrelations(n_gibbs_steps=2, hidden="pattern")},
            X,
            "hidden='pattern' .*n_gibbs_steps=0, got n_gibbs_steps=2",
            id="hidden patterns with Gibbs steps",
        ),
        *(
            pytest.param(
                RBM,
                {"early_stopping": True, "validation_fraction": fraction},
                X[:n],
                f"early_stopping=True .*validation_fraction={fraction}.* of {n} that leaves "
                f"{left} to validate with and {n - left} to train on; both need at least one",
                id=f"early stopping, {n} rows",
            )
            for n, fraction, left in [(1, 0.1, 0), (3, 0.1, 0), (3, 0.9, 3)]
        ),
    ],
)
def test_combination_is_refused(cls, params, data, message):
    assert_refuses(make(cls, **params), lambda model: model.fit(data), ValueError, message)
    fitted = make(cls).fit(data).set_params(**params)
    assert_refuses(fitted, lambda model: model.fit(data), ValueError, message)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("init_scale", "dtype", "largest"),
    [(1e39, "float32", "inf in float32"), (1e38, "float32", "e\\+38"), (1e5, "float64", "")],
)
def test_start_that_is_no_model_is_refused(cls, method, init_scale, dtype, largest):
    message = f"cannot start with init_scale={re.escape(repr(init_scale))}: .*{largest}"
    model = make(cls, init_scale=init_scale, dtype=dtype)
    assert_refuses(model, lambda model: getattr(model, method)(X), ValueError, message)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (RBM, "components_"),
        (RBM, "intercept_hidden_"),
        (RARBM, "visible_patterns_"),
        (RARBM, "hidden_patterns_"),
        (RARBM, "intercept_visible_"),
    ],
)
def test_model_that_is_not_finite_is_not_used(cls, name, value):
    model = make(cls).fit(X)
    getattr(model, name)[..., 0] = value
    calls = {
        "transform": [X],
        "inverse_transform": [H],
        "score_samples": [X],
        "free_energy": [X],
        "pseudo_likelihood": [X],
        "log_partition": [],
        "sample": [],
        "gibbs": [X],
        "reconstruct": [X],
        "partial_fit": [X],
    }
    for method, args in calls.items():
        with pytest.raises(ValueError, match=f"{name} holds NaN or infinity: .*{cls.__name__}"):
            getattr(model, method)(*args)
    with pytest.raises(ValueError, match=f"{name} holds NaN or infinity"):
        model.sample(n_gibbs_steps=3)


# --- data -------------------------------------------------------------------------------


def changed(value, row=2, column=3, dtype=float):
    """X with one other value."""
    data = X.astype(dtype)
    data[row, column] = value
    return data


def damaged(container, index):
    """X with an index beyond its shape, as no constructor would let pass."""
    data = container(X)
    indices = data.coords[1] if data.format == "coo" else data.indices
    indices.setflags(write=True)
    indices[3] = index
    return data


def with_row_ends(ends):
    """Three rows of four ones, whose indptr is changed by hand."""
    data = sparse.csr_array((np.ones(4), [0, 1, 2, 3], [0, 1, 2, 4]), shape=(3, N_FEATURES))
    data.indptr = np.array(ends, dtype=np.int32)
    return data


NO_THRESHOLD = {"binarize": None}
SPIN_MEANS = {"binarize": None, "units": "spin"}

DATA = [
    pytest.param({}, X[0], ValueError, "Expected 2D array, got 1D array", id="1d"),
    pytest.param({}, X[None], ValueError, "dim 3.*dim <= 2 is required", id="3d"),
    pytest.param({}, 1.0, ValueError, "Expected 2D array, got scalar", id="scalar"),
    pytest.param({}, None, ValueError, "Expected 2D array", id="None"),
    pytest.param({}, X[:0], ValueError, r"0 sample\(s\) .*minimum of 1", id="no rows"),
    pytest.param({}, pd.DataFrame(), ValueError, "X must have columns, got a table", id="no frame"),
    pytest.param(
        {},
        changed(1j, dtype=object),
        TypeError,
        "X must hold numbers, got an object",
        id="object 1j",
    ),
    pytest.param({}, X[:, :0], ValueError, r"0 feature\(s\) .*minimum of 1", id="no columns"),
    pytest.param({}, X.astype(str), ValueError, "numeric.*strings|string", id="strings"),
    pytest.param(
        {},
        changed("a", dtype=object),
        ValueError,
        r"X must hold numbers, got 'a' in column .*OrdinalEncoder",
        id="object dtype",
    ),
    *(
        pytest.param({}, data, ValueError, message, id=f"ragged, {data}")
        for data, message in [
            ([[0, 1], [1]], "rows of X have different lengths: row 1 has 1 entry where"),
            (((0, 1), (1, 0), (0, 1, 1)), "row 2 has 3 entries where row 0 has 2"),
            ([np.array([0, 1]), np.array([1])], "row 1 has 1 entry where row 0 has 2"),
            (np.array([[0, 1], [1]], dtype=object), "row 1 has 1 entry where row 0 has 2"),
            ([[0, 1], []], "row 1 has 0 entries where row 0 has 2"),
            ([[0, 1], 1], "X must be rows of numbers, got int as row 1"),
            ([None, [0, 1]], "X must be rows of numbers, got NoneType as row 0"),
            ([[0, 1], [0, [1]]], "X must be rows of numbers, got list in row 1, column 1"),
        ]
    ),
    pytest.param({}, X * 1j, ValueError, "Complex data not supported", id="complex"),
    pytest.param({}, changed(np.inf), ValueError, "contains infinity", id="inf"),
    pytest.param({}, changed(-np.inf), ValueError, "contains infinity", id="-inf"),
    pytest.param({}, sparse.csr_array(changed(np.nan)), ValueError, "contains NaN", id="NaN, csr"),
    pytest.param(
        {}, sparse.csc_array(changed(np.inf)), ValueError, "contains infinity", id="inf, csc"
    ),
    *(
        pytest.param(
            {},
            damaged(how, index),
            ValueError,
            f"X is a damaged sparse matrix: {message}",
            id=f"damaged, {how.__name__}, {message}",
        )
        for how in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array)
        for index, message in [(50_000_000, "got index 50000000, wanted 0 to"), (-1, "got index -")]
    ),
    *(
        pytest.param(
            {},
            with_row_ends(ends),
            ValueError,
            "X is a damaged sparse matrix: indptr must rise from 0 to at most 4 in 3 steps",
            id=f"damaged, indptr={ends}",
        )
        for ends in ([0, 2, 1, 4], [1, 2, 3, 4], [0, 1, 2, 50_000_000], [0, 1, 4])
    ),
    pytest.param(
        NO_THRESHOLD,
        sparse.csr_array(([0.9, 0.9], [3, 3], [0, 0, 2]), shape=(2, 6)),
        ValueError,
        r"\[0, 1\]; got 1.8 in column 3",
        id="stored twice",
    ),
    pytest.param(
        {"units": "spin"},
        sparse.csr_array(X),
        ValueError,
        "sparse.*units='spin' needs dense",
        id="spins, sparse",
    ),
    *(
        pytest.param(params, data, ValueError, message, id=id)
        for id, params, data, message in [
            ("7 > 1", NO_THRESHOLD, changed(7), r"\[0, 1\]; got 7 in column 3"),
            ("7 > 1, uint8", NO_THRESHOLD, changed(7, dtype=np.uint8), "got 7 in column 3"),
            ("-0.5 < 0", NO_THRESHOLD, changed(-0.5, 0, 5), r"\[0, 1\]; got -0.5 in column 5"),
            ("csr", NO_THRESHOLD, sparse.csr_array(changed(7)), "got 7 in column 3"),
            ("csc", NO_THRESHOLD, sparse.csc_array(changed(-2, 9, 1)), "got -2 in column 1"),
            ("fortran", NO_THRESHOLD, np.asfortranarray(changed(7)), "got 7 in column 3"),
            ("pandas", NO_THRESHOLD, pd.DataFrame(changed(7)), "got 7 in column 3"),
            ("-2 < -1", SPIN_MEANS, changed(-2), r"\[-1, 1\]; got -2 in column 3"),
            ("1.5 > 1", SPIN_MEANS, changed(1.5, 4, 0), r"\[-1, 1\]; got 1.5 in column 0"),
            ("sample", {"binarize": "sample"}, changed(3), r"'sample'.*\[0, 1\]; got 3"),
        ]
    ),
]


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(("params", "data", "error", "message"), DATA)
def test_data_are_refused(cls, params, data, error, message):
    methods = ["fit", "partial_fit", "transform", "score_samples", "score", "free_energy", "gibbs"]
    methods += ["pseudo_likelihood"]
    for method in ("fit", "partial_fit", "fit_transform"):
        assert_refuses(
            make(cls, **params), lambda m, name=method: getattr(m, name)(data), error, message
        )
    good = 2.0 * X - 1.0 if params.get("units") == "spin" else X
    fitted = make(cls, **params).fit(good)
    for method in methods:
        assert_refuses(fitted, lambda m, name=method: getattr(m, name)(data), error, message)


# --- calls of a fitted estimator --------------------------------------------------------


def call(method, *args, error=ValueError, message, classes=BOTH, id=None, **kwargs):
    """A row: a call on a fitted estimator."""
    if id is None:
        id = f"{method}({', '.join([*map(str, args), *(f'{k}={v}' for k, v in kwargs.items())])})"
    action = lambda model: getattr(model, method)(*args, **kwargs)  # noqa: E731
    return pytest.param(action, error, message, classes, id=id)


WIDTH = "X has 5 features, but RA?R?BM is expecting 6 features"

CALLS = [
    *(
        call(method, X[:, :5], message=WIDTH, id=f"{method}, 5 features")
        for method in (
            "partial_fit",
            "transform",
            "score_samples",
            "score",
            "free_energy",
            "pseudo_likelihood",
            "gibbs",
            "reconstruct",
        )
    ),
    call(
        "inverse_transform",
        np.ones((1, 5)),
        message=r"H must have shape \(any, 4\), got \(1, 5\)",
        id="H, 5 units",
    ),
    call("inverse_transform", H[0], message=r"H must have shape .*got \(4,\)", id="H, 1d"),
    call("inverse_transform", H[:0], message=r"H must have shape .*got \(0, 4\)", id="H, no rows"),
    call("inverse_transform", H * 4, message=r"H .*\[0, 1\]; got 2 in column 0", id="H, range"),
    call("inverse_transform", H * np.nan, message="H must be finite, got NaN", id="H, NaN"),
    call("inverse_transform", H * 1j, message="H must hold numbers, got .*complex", id="H, 1j"),
    call("inverse_transform", H.astype(str), message="H must hold numbers, got", id="H, strings"),
    call("sample", 0, message="n_samples must be at least 1, got 0"),
    call("sample", "3", error=TypeError, message="n_samples must be an int, got '3' of type str"),
    call("sample", 2.5, error=TypeError, message="n_samples must be an int, got 2.5"),
    call("sample", True, error=TypeError, message="n_samples must be an int, got True"),
    call("sample", n_gibbs_steps=-1, message="n_gibbs_steps must be at least 0, got -1"),
    call("sample", n_gibbs_steps=2**63, message="n_gibbs_steps must be at most 2147483647, got 9"),
    call("sample", 2**63, message="n_samples must be at most 2147483647, got 9223372036854775808"),
    call("gibbs", X, 2**63, message="n_steps must be at most 2147483647", id="gibbs, 2**63 steps"),
    call("log_partition", max_sweeps=2**63, message="max_sweeps must be at most 2147483647, got"),
    call("log_partition", tol=10**400, message="tol must be a number that a float can hold"),
    call("sample", random_state="x", message="'x' cannot be used to seed"),
    call(
        "sample",
        init=X[:, :5],
        message=r"init must have shape \(any, 6\), got \(30, 5\)",
        id="init, 5 features",
    ),
    call("sample", init=X[0], message=r"init must have shape .*got \(6,\)", id="init, 1d"),
    call("sample", init=X[:0], message=r"init must have shape .*got \(0, 6\)", id="init, no rows"),
    call("sample", init=changed(np.inf), message="init must be finite, got inf", id="init, inf"),
    call(
        "pseudo_likelihood",
        np.ma.masked_array(X, X > 0),
        message="X is a masked array with .* masked entries",
        id="pseudo_likelihood, masked",
    ),
    call("sample", init=X.astype(str), message="init must hold numbers, got", id="init, strings"),
    call(
        "sample",
        init=damaged(sparse.csr_array, 50_000_000),
        message="init is a damaged sparse matrix: got index 50000000, wanted 0 to 5",
        id="init, damaged",
    ),
    *(
        call("fit", X, sample_weight=np.full(30, value), message=message, id=f"weights, {value}")
        for value, message in [
            (1e308, "sample_weight must have a finite sum"),
            (1j, "sample_weight must hold numbers, got dtype complex128"),
            ("a", "sample_weight must hold numbers, got dtype <U1"),
        ]
    ),
    call(
        "fit",
        X,
        sample_weight=np.ma.masked_array(np.ones(30), X[:, 0] > 0),
        message="sample_weight is a masked array",
        id="weights, masked",
    ),
    call("sample", init=5, message=r"init must have shape .*got \(\)"),
    call("sample", init="data", message="init must be one of 'random', 'patterns', got 'data'"),
    call(
        "sample",
        init="patterns",
        message=r"init='patterns' needs .*RARBM.*, got RBM: use init='random'",
        classes=[RBM],
    ),
    call("gibbs", X, -1, message="n_steps must be at least 0, got -1", id="gibbs, -1 steps"),
    call("gibbs", X, 1.0, error=TypeError, message="n_steps must be an int", id="gibbs, 1.0 steps"),
    call(
        "reconstruct",
        X,
        np.ones((30, 5), bool),
        message=r"mask must have shape \(30, 6\) or \(6,\), got \(30, 5\)",
        id="mask, shape",
    ),
    call(
        "reconstruct",
        X,
        np.ones(5, bool),
        message=r"mask must have shape .*got \(5,\)",
        id="mask, 1d shape",
    ),
    call("reconstruct", X, X, message="mask must hold booleans.*got uint8", id="mask, dtype"),
    call("reconstruct", X, "all", message="mask must hold booleans.*got <U3", id="mask, string"),
    call("reconstruct", changed(np.inf), message="contains infinity", id="reconstruct, inf"),
    call(
        "reconstruct",
        sparse.csr_array(X),
        error=TypeError,
        message="[Ss]parse data was passed.*dense",
        id="reconstruct, sparse",
    ),
    call(
        "reconstruct",
        X,
        n_gibbs_steps=0,
        message="n_gibbs_steps must be at least 1, got 0",
        id="reconstruct, no steps",
    ),
    call(
        "log_partition",
        "foo",
        message="method must be one of 'auto', 'exact', 'tempering', 'ais', got 'foo'",
    ),
    call("log_partition", tol=0.0, message="tol must be above 0, got 0.0"),
    call("log_partition", tol="x", error=TypeError, message="tol must be a number, got 'x'"),
    call("log_partition", max_seconds=-1, message="max_seconds must be above 0, got -1"),
    call("log_partition", max_sweeps=1, message="max_sweeps must be at least 2, got 1"),
    call("sample", return_travels=True, init="random", message="leave n_gibbs_steps and init out"),
    call("reconstruct", X, output="median", message="output must be one of 'sample', 'mean'"),
    call("log_partition", None, message="method must be one of .*got None"),
    call("log_partition", n_chains=0, message="n_chains must be at least 1, got 0"),
    call("log_partition", n_chains=2.5, error=TypeError, message="n_chains must be an int, got 2"),
    call("log_partition", n_temperatures=1, message="n_temperatures must be at least 2, got 1"),
    call("log_partition", "ais", random_state="x", message="'x' cannot be used to seed"),
]


@pytest.mark.parametrize(("action", "error", "message", "classes"), CALLS)
def test_call_is_refused(fitted_models, action, error, message, classes):
    for cls in classes:
        assert_refuses(copy.deepcopy(fitted_models[cls]), action, error, message)


@pytest.mark.parametrize("cls", BOTH)
def test_missing_entries_do_not_hide_a_value_out_of_range(cls):
    model = make(cls, binarize=None).fit(X)
    data = changed(np.nan, 0, 0)
    data[2, 3] = 7
    message = r"\[0, 1\]; got 7 in column 3"
    assert_refuses(model, lambda model: model.reconstruct(data), ValueError, message)


@pytest.mark.parametrize("cls", BOTH)
def test_initial_states_out_of_range_are_refused(cls):
    model = make(cls, binarize=None).fit(X)
    message = r"init .*\[0, 1\]; got 7 in column 3"
    assert_refuses(model, lambda model: model.sample(init=changed(7)), ValueError, message)


@pytest.mark.parametrize("cls", BOTH)
def test_enumeration_of_a_large_model_is_refused(cls):
    model = make(cls, n_components=26).fit(np.tile(X, 5))
    message = "at most 25 units; got 30 visible and 26 hidden ones. Use method='tempering'"
    assert_refuses(model, lambda model: model.log_partition("exact"), ValueError, message)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("method", ["transform", "score", "gibbs", "partial_fit", "reconstruct"])
def test_other_feature_names_are_refused(cls, method):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = make(cls).fit(frame)
    other = frame.rename(columns={"c": "z"})
    message = "(?s)feature names should match.*z.*c"
    assert_refuses(model, lambda model: getattr(model, method)(other), ValueError, message)


@pytest.mark.parametrize("cls", BOTH)
def test_warm_start_with_other_features_is_refused(cls):
    model = make(cls, warm_start=True).fit(X)
    assert_refuses(model, lambda model: model.fit(X[:, :5]), ValueError, WIDTH)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("transform", [X]),
        ("inverse_transform", [H]),
        ("score_samples", [X]),
        ("score", [X]),
        ("free_energy", [X]),
        ("pseudo_likelihood", [X]),
        ("log_partition", []),
        ("sample", []),
        ("gibbs", [X]),
        ("reconstruct", [X]),
        ("get_feature_names_out", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unfitted_use_is_refused(cls, method, args):
    message = f"This {cls.__name__} instance is not fitted yet"
    assert_refuses(make(cls), lambda model: getattr(model, method)(*args), NotFittedError, message)


def test_unfitted_attributes_are_refused():
    for cls, name in [(RBM, "log_partition_"), (RARBM, "log_partition_"), (RARBM, "components_")]:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(make(cls), name)


@pytest.mark.parametrize("cls", BOTH)
def test_failed_fit_with_callbacks_leaves_no_trace(cls):
    model = make(cls).fit(X).set_callbacks(ProgressBar())
    callbacks = vars(model).pop("_skl_callbacks")
    before = copy.deepcopy(vars(model))
    model.set_callbacks(*callbacks)
    with pytest.raises(ValueError, match="contains infinity"):
        model.fit(changed(np.inf))
    assert vars(model).pop("_skl_callbacks") == callbacks
    assert_same(vars(model), before)


def test_failed_fit_changes_no_result():
    """A refused fit comes between two steps of training, and the model is the same without it."""
    disturbed, plain = (make(RARBM).partial_fit(X) for _ in range(2))
    with pytest.raises(ValueError, match="contains infinity"):
        disturbed.partial_fit(changed(np.inf))
    disturbed.partial_fit(X)
    plain.partial_fit(X)
    for model in (disturbed, plain):
        assert len(model.history_.pop("seconds")) == 2  # of a clock
    assert_same(vars(disturbed), vars(plain))


# --- damaged files ----------------------------------------------------------------------


def test_corrupt_mnist_file_is_refused(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(b"\x00\x00\x08\x07nothing")
    with pytest.raises(ValueError, match=r"idx.-ubyte: got .*'00 00 08 07', wanted '00 00 08 0"):
        fetch_mnist(tmp_path)


# --- what looks odd but is good ---------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(X[:1], id="one row"),
        pytest.param(X[:, :1], id="one feature"),
        pytest.param(np.zeros_like(X), id="constant"),
        pytest.param(changed("1", dtype=object), id="numbers as objects"),
        pytest.param(sparse.csr_array(np.zeros((5, 6))), id="sparse, nothing stored"),
    ],
)
def test_good_data_are_taken(cls, data):
    model = make(cls).fit(data)
    assert model.transform(data).shape == (data.shape[0], N_COMPONENTS)
    assert np.isfinite(model.score(data))
    assert model.partial_fit(data[:1]) is model


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_read_only_array_is_taken(cls, dtype):
    data = X.astype(dtype)
    data.setflags(write=False)
    model = make(cls).fit(data)
    np.testing.assert_array_equal(model.components_, make(cls).fit(X).components_)
    model.partial_fit(data[:1])
    known = np.arange(N_FEATURES) > 1
    assert model.reconstruct(data, known, n_gibbs_steps=2).shape == X.shape


@pytest.mark.parametrize("cls", BOTH)
def test_numpy_scalars_are_taken(cls):
    model = make(cls, n_components=np.int64(3), learning_rate=np.float32(0.125))
    model.set_params(binarize=np.float64(0.5), batch_size=np.int32(7))
    plain = clone(model).set_params(n_components=3, learning_rate=0.125, batch_size=7)
    np.testing.assert_array_equal(model.fit(X).components_, plain.fit(X).components_)
    assert model.sample(np.int64(2), n_gibbs_steps=np.int64(3)).shape == (2, N_FEATURES)


@pytest.mark.parametrize(
    ("cls", "small", "plain"),
    [
        # Sums and products of such numbers as they are would not fit in 8 bits.
        (RBM, {"batch_size": np.uint8(10)}, {"batch_size": 10}),
        (RBM, {"n_components": np.int8(100)}, {"n_components": 100}),
        (
            RARBM,
            {"n_components": np.uint8(200), "n_patterns": np.uint8(200)},
            {"n_components": 200, "n_patterns": 200},
        ),
        (
            RARBM,
            {"projection_period": np.uint8(2), "batch_size": np.uint8(1), "max_iter": np.uint8(10)},
            {"projection_period": 2, "batch_size": 1, "max_iter": 10},
        ),
        (
            RBM,
            {"negative_phase": ContrastiveDivergence(np.uint8(200))},
            {"negative_phase": ContrastiveDivergence(200)},
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_small_integer_types_are_taken(cls, small, plain):
    """They train the same model, and stay as they were given."""
    model, expected = make(cls, **small).fit(X), make(cls, **plain).fit(X)
    np.testing.assert_array_equal(model.components_, expected.components_)
    for name, value in small.items():
        assert getattr(model, name) is value
    known = np.arange(N_FEATURES) > 1
    got = model.reconstruct(X, known, n_gibbs_steps=np.uint8(100), output="mean", random_state=0)
    wanted = expected.reconstruct(X, known, n_gibbs_steps=100, output="mean", random_state=0)
    np.testing.assert_array_equal(got, wanted)
    n = 200
    got = model.sample(np.uint8(n), n_gibbs_steps=np.uint8(100), random_state=0)
    np.testing.assert_array_equal(got, expected.sample(n, n_gibbs_steps=100, random_state=0))
    assert model.log_partition("ais", n_chains=np.uint8(200), n_temperatures=np.uint8(200)) == (
        expected.log_partition("ais", n_chains=200, n_temperatures=200)
    )
