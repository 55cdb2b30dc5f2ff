"""Whatever is called with whatever: a right result, or an error that says why, and no trace.

A short and repeatable selection of cases runs with the suite. For ten thousand others:

    python -m pytest tests/promises/test_fuzz.py --hypothesis-profile=long
"""

from __future__ import annotations

import copy
import itertools
import pickle
import re
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, target
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import clone
from tools.equality import assert_same
from tools.strategies import HIDDEN, Table, calls, estimators, kinds, one_of, tables

RANGES = {"binary": (0.0, 1.0), "spin": (-1.0, 1.0)}
# Words of Python's and NumPy's own that say nothing of what was wrong with the call.
INSIDES = re.compile(
    "unsupported operand|not supported between|has no attribute|not subscriptable|not iterable|"
    "not callable|ufunc|positional argument|'NoneType' object|truth value|broadcast|"
    r"cannot be interpreted|^float\(\) argument|at least one array or dtype"
)


@contextmanager
def only_own_warnings():
    """Ignore what the package warns of; NumPy's warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*encountered in", category=RuntimeWarning)
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        warnings.simplefilter("error", DeprecationWarning)
        yield


def plain(value):
    """What a table holds, or the value itself."""
    return value.values if isinstance(value, Table) else value


def state_of(model):
    """All that a model is, but for what it keeps to be faster, and the order that it came in."""
    return {name: vars(model)[name] for name in sorted(vars(model)) if name[:5] != "_kept"}


def contents(value):
    """A value's numbers in a form that can be compared."""
    value = plain(value)
    if sparse.issparse(value):
        parts = value.coords if value.format == "coo" else (value.indices, value.indptr)
        return [np.array(part) for part in (value.data, *parts)]
    if isinstance(value, np.ma.MaskedArray):
        return [np.array(value.data), np.ma.getmaskarray(value).copy()]
    if isinstance(value, pd.DataFrame):
        return [np.array(value[column]) for column in value.columns]
    return np.array(value) if isinstance(value, np.ndarray) else copy.deepcopy(value)


def call(model, method, args, given):
    with only_own_warnings():
        return getattr(model, method)(
            *map(plain, args), **{name: plain(value) for name, value in given.items()}
        )


def check_result(model, method, args, given, result):
    """The result is finite, and of the documented shape and range."""
    if method in ("fit", "partial_fit"):
        assert result is model
        for name in ("components_", "intercept_visible_", "intercept_hidden_"):
            assert np.isfinite(getattr(model, name)).all(), name
        assert model.components_.shape == (model.n_components, len(model.column_of_unit_))
        assert set(model.column_of_unit_) == set(range(args[0].shape[1]))
        return
    if method == "score":
        assert isinstance(result, float)
        assert np.isfinite(result)
        return
    if method == "log_partition":
        assert np.isfinite(result.value)
        assert result.error >= 0.0
        return
    n_visible, n_hidden = model.n_features_in_, model.intercept_hidden_.size
    n_rows = args[0].shape[0] if args else given.get("n_samples", 1)
    shapes = {
        "transform": (n_rows, n_hidden),
        "fit_transform": (n_rows, n_hidden),
        "inverse_transform": (n_rows, n_visible),
        "sample": (n_rows, n_visible),
        "gibbs": (n_rows, n_visible),
        "reconstruct": (n_rows, n_visible),
        "get_feature_names_out": (n_hidden,),
    }
    assert result.shape == shapes.get(method, (n_rows,))
    if method == "get_feature_names_out":
        return
    if isinstance(result, pd.DataFrame):  # rows come back as those of fit came
        assert method not in ("transform", "fit_transform", "score_samples")
        result = result.to_numpy(dtype=model.dtype)
    assert np.isfinite(result).all()
    if method not in ("score_samples", "free_energy", "pseudo_likelihood"):
        # Known entries are returned as they are, in a type that holds them.
        is_wide = method == "reconstruct" and result.dtype == np.float64
        assert is_wide or result.dtype == model.dtype
        is_hidden = method in ("transform", "fit_transform")
        if (model.hidden if is_hidden else model.visible) != "binary":
            return
        low, high = RANGES[model.units]
        assert result.min() >= low
        assert result.max() <= high


def check_error(error):
    """The error is one of those that are documented, and says more than a word."""
    assert isinstance(error, ValueError | TypeError), repr(error)
    assert len(str(error).split()) >= 4, repr(error)
    assert not INSIDES.search(str(error)), repr(error)


def check_call(model, method, args, given):
    """One call: it ends well, leaves its arguments alone, and the model too if it fails."""
    before, given_before = copy.deepcopy(state_of(model)), contents_of(args, given)
    try:
        result = call(model, method, args, given)
    except Exception as error:
        check_error(error)
        assert_same(state_of(model), before)
    else:
        check_result(model, method, args, given, result)
        assert_same(
            model.get_params(deep=False), {n: before[n] for n in model.get_params(deep=False)}
        )
    assert_same(contents_of(args, given), given_before)


def contents_of(args, given):
    return [contents(value) for value in (*args, *given.values())]


def calls_of(model, n_columns):
    """Calls that suit a model, as far as it is fitted."""
    n_hidden = getattr(model, "intercept_hidden_", np.zeros(3)).size
    is_odd = not isinstance(model.units, str) or model.units not in ("binary", "spin")
    units = "binary" if is_odd else model.units
    return calls(n_columns, n_hidden, units)


@pytest.mark.slow
@given(st.data())
def test_calls_of_a_fitted_model_end_well(data):
    n_columns = data.draw(st.integers(1, 8))
    model = data.draw(estimators())
    fitted_to = data.draw(tables(n_columns, good=True, units=model.units))
    check_call(model, "fit", (fitted_to,), {})
    for _ in range(data.draw(st.integers(1, 4))):
        check_call(model, *data.draw(calls_of(model, n_columns)))


@pytest.mark.slow
@given(st.data())
def test_columns_and_units_of_other_kinds_end_well(data):
    n_columns = data.draw(st.integers(2, 8))
    model = data.draw(estimators(visible=data.draw(kinds), hidden=data.draw(one_of(*HIDDEN))))
    fitted_to = data.draw(tables(n_columns, good=True, units=model.units))
    check_call(model, "fit", (fitted_to,), {})
    for _ in range(data.draw(st.integers(1, 4))):
        check_call(model, *data.draw(calls_of(model, n_columns)))


# Most of them end before anything is computed.
@pytest.mark.slow
@settings(max_examples=4 * settings.default.max_examples)
@given(st.data())
def test_odd_parameters_end_well(data):
    n_columns = data.draw(st.integers(1, 8))
    model = data.draw(estimators(n_odd=1))
    assume(not str(getattr(model, "backend", "")).startswith("cupy"))
    fitted_to = data.draw(tables(n_columns, good=True))
    check_call(model, "fit", (fitted_to,), {})
    for _ in range(data.draw(st.integers(0, 2))):
        check_call(model, *data.draw(calls_of(model, n_columns)))


def fitted(model, table):
    with only_own_warnings():
        return model.fit(table.values)


@pytest.mark.slow
@given(st.data())
def test_probabilities_of_all_rows_sum_to_one(data):
    n_columns = data.draw(st.integers(1, 8))
    # By default a frame of numbers has real columns, too.
    model = data.draw(estimators(hidden_features="mean", visible="binary"))
    table = data.draw(tables(n_columns, good=True, units=model.units))
    try:
        fitted(model, table)
    except ValueError as error:  # no two of all parameters have been tried together
        check_error(error)
        assume(False)
    # Two values of a column of a frame need not be zero and one.
    of_columns = getattr(model, "categories_", [None] * n_columns)
    values = [RANGES[model.units] if known is None else known for known in of_columns]
    rows = np.array(list(itertools.product(*values)), dtype=float)
    model.set_params(binarize=None)
    with only_own_warnings():
        log_p = model.score_samples(rows)
        log_z = model.log_partition("exact").value
    # Fields are rounded to seven digits in float32.
    tolerance = 1e-5 * (1.0 + np.abs(log_p + log_z).max() + abs(log_z)) + 1e-6
    target(float(abs(logsumexp(log_p))), label="error of the total probability")
    assert abs(logsumexp(log_p)) <= tolerance


@pytest.mark.slow
@given(st.data())
def test_bits_do_not_depend_on_threads_pickles_or_clones(data):
    n_columns = data.draw(st.integers(1, 8))
    model = data.draw(estimators(random_state=3, n_threads=1))
    table = data.draw(tables(n_columns, good=True, units=model.units))
    try:
        fitted(model, table)
    except ValueError as error:
        check_error(error)
        assume(False)
    other = fitted(clone(model).set_params(n_threads=2), table)
    pickled = pickle.loads(pickle.dumps(model))
    for method, given_ in [
        ("transform", {}),
        ("score_samples", {}),
        ("gibbs", {"n_steps": 2, "random_state": 0}),
    ]:
        expected = call(model, method, (table,), given_)
        for same in (other, pickled):
            np.testing.assert_array_equal(call(same, method, (table,), given_), expected)
    with only_own_warnings():
        expected = model.partial_fit(table.values).components_
        for same in (other, pickled):
            np.testing.assert_array_equal(same.partial_fit(table.values).components_, expected)


def test_what_is_checked_is_seen():
    """The checks themselves: an error without words, a result out of range."""
    for error in (KeyError("x"), ValueError("no"), TypeError("'<' not supported between a and b")):
        with pytest.raises(AssertionError):
            check_error(error)
    check_error(ValueError("n must be at least 1, got 0"))
