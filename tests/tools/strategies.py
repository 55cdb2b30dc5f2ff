"""Random estimators, tables and calls, good and bad, for Hypothesis."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
from scipy import sparse

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    Exact,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay, LinearDecay

# --- parameters -------------------------------------------------------------------------


def one_of(*values):
    return st.sampled_from(values)


small = one_of(1, 2, 3, np.uint8(4), np.int64(2))
rates = one_of("auto", 0.1, 0.5, np.float32(0.25), 1, 1e-300, 1e300)
phases = st.one_of(
    one_of("auto", "exact", "cd", "pcd", "pt"),
    st.builds(ContrastiveDivergence, small),
    st.builds(PersistentContrastiveDivergence, small, one_of(None, 1, 7, np.uint8(200))),
    st.builds(
        ParallelTempering,
        one_of(None, 1, 5),
        small,
        one_of("auto", 1, 3),
        one_of("auto", 2, np.uint8(5)),
    ),
    st.builds(Exact),
)
phases_of_patterns = st.one_of(
    phases,
    one_of("pid", PatternInducedCorrelations(0, hidden="pattern")),
    st.builds(PatternInducedCorrelations, small, st.booleans()),
)
optimizers = st.one_of(
    one_of("sgd", "adam"),
    st.builds(SGD, one_of(0.0, 0.5), st.booleans()),
    st.builds(Adam, one_of(0.0, 0.9), scaled=st.booleans()),
)
schedules = st.one_of(
    rates,
    st.builds(LinearDecay, one_of(0.25, np.float32(1))),
    st.builds(ExponentialDecay, one_of(0.5, 2), one_of(0.5, 1), one_of(0, 0.1), one_of(0, 1)),
)
GOOD = {
    "n_components": small,
    "negative_phase": phases,
    "optimizer": optimizers,
    "learning_rate": schedules,
    "batch_size": one_of(1, 3, np.uint8(200), 100, 10**6),
    "max_iter": small,
    "n_updates": one_of(None, 1, 100, np.uint8(200)),
    "shuffle": st.booleans(),
    "units": one_of("binary", "spin"),
    "binarize": one_of("auto", "sample", None, 0.5, 0, -1, np.float32(0.25), np.uint8(1)),
    "fit_intercept": st.booleans(),
    "center": st.booleans(),
    "l1_penalty": one_of(0.0, 1, np.float32(10), 1e300),
    "l2_penalty": one_of(0, 1.0, 1e300),
    "init_scale": one_of(0, 0.01, 1.0, np.float16(0.5), 1e30),
    "early_stopping": st.booleans(),
    "validation_fraction": one_of(0.1, 0.5, np.float32(0.9)),
    "n_iter_no_change": small,
    "tol": one_of(0, 1e-3, 1e300),
    "hidden_features": one_of("mean", "sample"),
    "warm_start": st.booleans(),
    "dtype": one_of("float32", "float64", np.float32, np.float64),
    "backend": one_of("auto", "numpy", "numba"),
    "n_threads": one_of(None, 1, 2, np.uint8(2)),
    "random_state": one_of(None, 0, 7, np.uint8(200)),
}
GOOD_OF_PATTERNS = {
    **GOOD,
    "n_patterns": small,
    "negative_phase": phases_of_patterns,
    "init_scale": one_of("auto", 0.01, 1.0, np.float16(0.5), 1e30),
    "projection": one_of("clip", "sign", "gibbs", None),
    "projection_period": st.one_of(one_of("update", "epoch"), small),
    "pattern_bound": one_of(1.0, 2, 1e-300, 1e300),
}
# Of a wrong type or out of range for most parameters; right for a few.
ODD = one_of(
    *(None, "x", "", True, -1, 0, 2.5, np.nan, np.inf, -np.inf, 2**63, 10**400, 1j, b"auto"),
    *([1], {}, object(), np.nan * np.ones(2), np.array(1.0), np.uint8(3), np.bool_(True), int),
    *(Fraction(1, 3), SGD, Adam(beta1=2), ContrastiveDivergence(True), ExponentialDecay(0.1, "x")),
)


@st.composite
def estimators(draw, n_odd=0, **fixed):
    """An estimator with a few parameters other than the defaults, and `n_odd` odd ones."""
    cls = draw(one_of(RBM, RARBM))
    known = GOOD if cls is RBM else GOOD_OF_PATTERNS
    sizes = ["n_components", "max_iter"] + ["n_patterns"] * (cls is RARBM)
    chosen = {*sizes, *draw(st.lists(one_of(*known), max_size=6))}
    params = {"random_state": 0, **{name: draw(known[name]) for name in known if name in chosen}}
    for name in draw(st.lists(one_of(*known, "verbose"), min_size=n_odd, max_size=n_odd)):
        params[name] = draw(ODD)
    return cls(**{**params, **fixed})


HIDDEN = ("binary", "binary", "gaussian")
# The kinds of two columns and more.
kinds = one_of(
    *("gaussian", "categorical", "categorical"),
    [("gaussian", [0]), ("categorical", slice(1, None))],
    [("categorical", slice(0, 2)), ("binary", slice(2, None))],
    [("binary", 0), ("categorical", [1]), ("gaussian", slice(2, None))],
    (("binary", slice(1, None)), ("gaussian", np.array([0]))),
)


# --- tables -----------------------------------------------------------------------------

DTYPES = [bool, "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8", object]
ODD_VALUES = [np.nan, np.inf, -np.inf, -1, 2, 255, 1e300, -0.0, "a", "1", None, 1j, b"1"]


def on_disk(X):
    """X as a read-only memory map, if it has anything to map."""
    if X.size == 0 or X.dtype == object:
        return X
    with tempfile.TemporaryFile() as file:
        np.memmap(file, dtype=X.dtype, shape=X.shape, mode="w+")[...] = X
        return np.memmap(file, dtype=X.dtype, shape=X.shape, mode="r")


def strided(X):
    """X as every other row and column of something larger, from the end."""
    large = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)
    return large[::-1][::2][::-1, ::2]


def read_only(X):
    X.setflags(write=False)
    return X


def as_sparse(make):
    def container(X):
        return make(X if X.dtype.kind in "biu" or X.dtype.itemsize in (4, 8) else X.astype(float))

    return container


CONTAINERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": strided,
    "read-only": read_only,
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
    "masked": lambda X: np.ma.masked_array(X, np.zeros(X.shape, bool)),
    "memmap": on_disk,
}
SPARSE = {
    "csr": as_sparse(sparse.csr_array),
    "csc": as_sparse(sparse.csc_matrix),
    "coo": as_sparse(sparse.coo_array),
}


@dataclass(frozen=True)
class Table:
    """A container of rows, and its shape."""

    values: Any
    shape: tuple[int, int]
    how: str

    def __repr__(self):
        return f"Table({self.how}, {self.shape}, {self.values!r})"


@st.composite
def tables(draw, n_columns=None, good=False, units="binary", min_rows=0):
    """Rows of bits, means, spins or other numbers in a container."""
    n_rows = draw(st.integers(max(min_rows, int(good)), 12))
    if n_columns is None:
        n_columns = draw(st.integers(int(good), 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = (n_rows, n_columns)
    low = 0 if units == "binary" else -1
    kinds = {
        "bits": lambda: rng.choice([low, 1], shape),
        "means": lambda: rng.uniform(low, 1, shape).round(2),
        "others": lambda: rng.integers(-3, 9, shape),
    }
    kind = draw(one_of("bits", "bits", "means") if good else one_of(*kinds))
    X, dtype = kinds[kind](), draw(one_of(*DTYPES))
    if kind == "means" and dtype not in ("f4", "f8", object):
        dtype = "f8"
    if units == "spin" and dtype in (bool, "u1"):
        dtype = "i1"
    containers = {**CONTAINERS, **({} if units == "spin" and good else SPARSE)}
    how = draw(one_of(*containers))
    if not good and X.size and draw(st.integers(0, 3)) == 0:
        value = draw(one_of(*ODD_VALUES))
        dtype = object if not isinstance(value, float | int) else "f8"
        X = X.astype(dtype)
        X[draw(st.integers(0, n_rows - 1)), draw(st.integers(0, n_columns - 1))] = value
    with np.errstate(over="ignore"):
        X = X.astype(dtype)
    if dtype is object and how in SPARSE:
        how = "C"
    name = np.dtype(dtype).name
    return Table(containers[how](X), shape, f"{kind}, {name}, {how}")


# --- calls ------------------------------------------------------------------------------

FEW = one_of(1, 2, np.uint8(3), np.int64(5), np.uint8(200))
ODD_COUNTS = one_of(-1, 0, True, None, 2.5, "3", 2**31, 2**63, 10**400, np.nan, [2])
SEEDS, ODD_SEEDS = one_of(None, 0, np.uint8(7), 2**31), one_of(-1, "x", 2**40, 1.5, [1.5])
NUMBERS = one_of(0.5, 1, np.float32(2), np.inf)
ODD_NUMBERS = one_of(0, -1, np.nan, None, True, "x", 10**400, 1j)


@st.composite
def masks(draw, shape):
    """Masks of known entries."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return draw(one_of(None, rng.random(shape) < 0.5, rng.random(shape[1:]) < 0.5))


@st.composite
def odd_masks(draw, shape):
    return draw(one_of("all", np.ones(shape), np.ones((shape[0] + 1, shape[1]), bool), [True], 1))


@st.composite
def weights(draw, n_rows):
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    w = 1 + rng.integers(0, 3, n_rows).astype(draw(one_of("f8", "f4", "i8", "u1")))
    return draw(one_of(None, w, w.tolist(), np.ones(n_rows, bool), np.full(n_rows, 1e-308)))


@st.composite
def odd_weights(draw, n_rows):
    values = one_of(0.0, 1e308, np.nan, -1.0, np.inf, 1j, "a", None)
    n = draw(one_of(n_rows, n_rows, n_rows + 1))
    return draw(st.one_of(values.map(lambda value: np.full(n, value)), one_of(np.ones((n, 2)), 1)))


def arguments(method, shape):
    """Strategies of good and of odd values for a method's arguments other than its rows."""
    seeds = {"random_state": (SEEDS, ODD_SEEDS)}
    if method in ("fit", "partial_fit", "score"):
        return {"sample_weight": (weights(shape[0]), odd_weights(shape[0]))}
    if method == "gibbs":
        return {"n_steps": (FEW, ODD_COUNTS), **seeds}
    if method == "reconstruct":
        return {
            "mask": (masks(shape), odd_masks(shape)),
            "n_gibbs_steps": (FEW, ODD_COUNTS),
            "output": (one_of("sample", "mean"), one_of(None, "x")),
            "tempered": (one_of(False, False, False, True), st.just(False)),
            **seeds,
        }
    if method == "sample":
        init = tables(shape[1], good=True)
        return {
            "n_samples": (FEW, ODD_COUNTS),
            "n_gibbs_steps": (st.one_of(FEW, FEW, FEW, st.none()), ODD_COUNTS),
            "init": (st.one_of(one_of(None, "random"), init), one_of("patterns", "x", 1)),
            **seeds,
        }
    if method == "log_partition":
        methods = one_of("auto", "exact", "ais", "tempering")
        return {
            "method": (methods, one_of("x", None, 1)),
            "tol": (NUMBERS, ODD_NUMBERS),
            "max_sweeps": (FEW, ODD_COUNTS),
            "n_chains": (FEW, ODD_COUNTS),
            "n_temperatures": (one_of(2, np.uint8(200)), ODD_COUNTS),
            **seeds,
        }
    return {}


WITH_ROWS = ["fit", "partial_fit", "transform", "score_samples", "score", "free_energy"]
WITH_ROWS += ["pseudo_likelihood", "gibbs", "reconstruct", "fit_transform"]
OTHERS = ["inverse_transform", "sample", "log_partition", "get_feature_names_out"]


@st.composite
def calls(draw, n_columns, n_hidden, units):
    """A method's name, its rows if it takes any, and its other arguments by name.

    At most one of them is odd, so that it is what the error is about.
    """
    method = draw(one_of(*WITH_ROWS, *OTHERS))
    args, shape = (), (3, n_columns)
    odd = draw(st.integers(0, 5))
    if method in WITH_ROWS or method == "inverse_transform":
        width = n_hidden if method == "inverse_transform" else n_columns
        if odd == 1:
            width = draw(st.one_of(st.just(width), st.integers(0, 8)))
        args = (draw(tables(width, good=odd != 1, units=units)),)
        shape = args[0].shape
    known = arguments(method, shape)
    names = draw(st.lists(one_of(*known), unique=True)) if known else []
    given = {name: draw(known[name][0]) for name in names}
    if odd == 2 and known:
        name = draw(one_of(*known))
        given[name] = draw(known[name][1])
    return method, args, given
