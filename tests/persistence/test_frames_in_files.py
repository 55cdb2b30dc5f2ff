"""Models of frames in files: equal to the bit, whatever their columns and parameters."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tools.callbacks import Silent
from tools.equality import assert_same
from tools.frames import COLUMNS, LIBRARIES, make_frame

from sklearn_rapid import DBM, RABM, RARBM, RBM, load, save
from sklearn_rapid.callbacks import Checkpoint, resume

pytest.importorskip("safetensors")

HOW = {"n_components": 3, "max_iter": 3, "random_state": 0}
N = 40


def all_columns(library):
    """A frame with a column of each dtype that files hold."""
    rng = np.random.default_rng(0)
    return make_frame(library, {name: make(rng, N) for name, make in COLUMNS[library].items()})


rng = np.random.default_rng(0)
MIXED = pd.DataFrame(
    {
        "flag": rng.random(N) < 0.3,
        "word": pd.Categorical(
            rng.choice(["a", "b", "c"], N), ["c", "never", "b", "a"], ordered=True
        ),
        "sex": rng.choice(["f", "m"], N),
        "size": rng.choice([2, 7], N),
        "grade": rng.choice([0.5, 1.0, 1.5], N),
        "age": rng.integers(18, 90, N),
        "gain": np.where(rng.random(N) < 0.5, 0.0, np.exp(rng.normal(size=N))),
    },
    index=[f"row {i}" for i in range(N)],
)
# Names of other types.
NUMBERED = MIXED.set_axis(range(7), axis=1)
NESTED = MIXED.set_axis(pd.MultiIndex.from_tuples([("k", j) for j in range(7)]), axis=1)
MODELS = {
    "auto": (RBM(**HOW), MIXED),
    "patterns": (RARBM(**HOW, n_patterns=2, units="spin", dtype="float64"), MIXED),
    "dict": (RBM(**HOW, visible={"age": "quantile", 6: "spiked", "size": "categorical"}), MIXED),
    "numbers": (RBM(**HOW, visible={np.int64(5): "gaussian", 0: "auto"}), NUMBERED),
    "tuples": (RBM(**HOW, visible={("k", 5): "real"}), NESTED),
    "list": (
        RBM(**HOW, visible=[("categorical", slice(5)), ("real", np.array([5, 6]))]),
        MIXED,
    ),
    "remainders": (RBM(**HOW, min_frequency=0.4, handle_unknown="infrequent"), MIXED),
    "categories": (
        RBM(**HOW, categories={"word": np.array(["a", "b", "c"]), "grade": [0.5, 1.0, 1.5, 2.0]}),
        MIXED,
    ),
    "categories, list": (
        RBM(**HOW, categories=[*[None] * 3, np.array([7, 2, 1]), *[None] * 3]),
        MIXED,
    ),
    "probabilities": (RBM(**HOW, visible="binary"), pl.DataFrame(rng.random((N, 3)).round(2))),
    "deep": (DBM((3, 2), max_iter=3, random_state=0), MIXED[["flag", "sex", "size"]]),
    "full": (RABM(2, max_iter=3, random_state=0), MIXED[["flag", "sex", "size"]]),
    **{f"all of {library}": (RBM(**HOW), all_columns(library)) for library in LIBRARIES},
}


def quick(names, *quick_ones):
    """Mark all names but these as slow."""
    return [n if n in quick_ones else pytest.param(n, marks=pytest.mark.slow) for n in names]


ARRAYS = {
    "spiked": MIXED[["gain", "age"]].to_numpy(),
    "quantile": MIXED[["gain", "age"]].to_numpy(),
    "real": MIXED[["gain", "age"]].to_numpy(),
    "categorical": rng.integers(4, size=(N, 2)),
}


def assert_same_frame(a, b):
    assert type(a) is type(b)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    else:
        np.testing.assert_equal(a, b) if isinstance(a, np.ndarray) else None
        assert isinstance(a, np.ndarray) or a.equals(b)


def assert_same_model(a, b, X):
    """All that a model is, and what it returns."""
    assert_same(
        *({k: v for k, v in sorted(vars(m).items()) if k[0] != "_" and k != "categories"
           and k not in ("visible", "history_")} for m in (a, b))
    )  # fmt: skip
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
    np.testing.assert_array_equal(a.score_samples(X), b.score_samples(X))
    for method, args in (
        ("sample", (20,)),
        ("gibbs", (X, 2)),
        ("reconstruct", (X,)),
        ("inverse_transform", (a.transform(X),)),
    ):
        how = {} if method == "inverse_transform" else {"random_state": 1}
        assert_same_frame(*(getattr(m, method)(*args, **how) for m in (a, b)))
    a, b = (deepcopy(m).partial_fit(X) for m in (a, b))
    np.testing.assert_array_equal(a.components_, b.components_)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.mark.filterwarnings("ignore:the fit has ended")
@pytest.mark.parametrize("name", quick(MODELS, "dict", "remainders", "deep", "all of polars"))
def test_files(name, path):
    model, X = deepcopy(MODELS[name])
    model.fit(X)
    save(model, path)
    again = load(path)
    assert_same_model(model, again, X)
    save(again, path)
    assert_same(again.get_params(), load(path).get_params())
    assert again.frame_ == model.frame_


@pytest.mark.parametrize("visible", quick(ARRAYS, "spiked"))
def test_arrays_with_such_columns(visible, path):
    model = RBM(**HOW, visible=visible, handle_unknown="infrequent", min_frequency=3)
    model.fit(ARRAYS[visible])
    save(model, path)
    assert_same_model(model, load(path), ARRAYS[visible])


def test_parameters_of_columns(path):
    """They ask for the same columns as before, in plain values."""
    save(MODELS["dict"][0].fit(MIXED), path)
    assert load(path).visible == {"age": "quantile", 6: "spiked", "size": "categorical"}
    save(MODELS["numbers"][0].fit(NUMBERED), path)
    assert load(path).visible == {5: "gaussian", 0: "auto"}
    save(MODELS["list"][0].fit(MIXED), path)
    assert load(path).visible == [("categorical", [0, 1, 2, 3, 4]), ("real", [5, 6])]
    save(MODELS["categories"][0].fit(MIXED), path)
    assert load(path).categories == {"word": ["a", "b", "c"], "grade": [0.5, 1.0, 1.5, 2.0]}
    # A further fit chooses kinds again.
    again = load(path).fit(MIXED)
    assert_same_model(again, MODELS["categories"][0].fit(MIXED), MIXED)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.cut(pd.Series([0.0, 5.0] * 10), 2), "column 'x' has the category Interval"),
        (pd.Series([pd.Timestamp("2020")] * 20, dtype="category"), "column 'x' has the category"),
        (pd.Series([frozenset("a"), frozenset("b")] * 10), "column 'x' has the value frozenset"),
    ],
)
def test_values_that_files_do_not_hold(values, message, path):
    model = RBM(**HOW).fit(pd.DataFrame({"a": [0, 1] * 10, "x": values}))
    with pytest.raises(ValueError, match=f"{message}.* which files do not hold"):
        save(model, path)
    assert not os.listdir(path.parent)
    pickle.loads(pickle.dumps(model)).sample(3)


@pytest.mark.parametrize(
    "name", quick(["auto", "remainders", "all of polars", "numbers"], "remainders")
)
def test_skops_files(name, path):
    """The types that are to be trusted are those that the guide names."""
    io = pytest.importorskip("skops.io")
    model, X = deepcopy(MODELS[name])
    io.dump(model.fit(X), path)
    types = io.get_untrusted_types(file=path)
    assert {name.split(".")[0] for name in types} == {"sklearn_rapid"}
    assert {"FrameSchema", "FrameColumn"} <= {name.split(".")[-1] for name in types}
    again = io.load(path, trusted=types)
    assert again.frame_ == model.frame_
    assert_same_model(model, again, X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_files_where_the_library_is_not_there(library, path, monkeypatch):
    """What needs it says so, and the rest works."""
    model, X = deepcopy(MODELS["all of polars" if library == "polars" else "auto"])
    save(model.fit(X), path)
    if library == "polars":
        other = pd.DataFrame(X.to_dict(as_series=False)).convert_dtypes()
    else:
        other = pl.DataFrame(X.to_dict("list"), strict=False)
    expected = model.transform(other)
    monkeypatch.setitem(sys.modules, library, None)
    again = load(path)
    np.testing.assert_array_equal(again.transform(other), expected)
    with pytest.raises(ImportError, match=library):
        again.sample(3)


class Stop(Silent):
    """A callback that ends a fit after its second epoch."""

    def on_fit_task_end(self, estimator, context):
        return getattr(context, "task_name", "") == "epoch" and context.task_id == 1


@pytest.mark.parametrize(
    "name", quick(["auto", "remainders", "probabilities", "all of polars"], "auto")
)
def test_fits_that_were_cut_short_go_on(name, path):
    """From the model, from a checkpoint, and with a frame of another library."""
    model, X = deepcopy(MODELS[name])
    whole = deepcopy(model).fit(X)
    stopped = deepcopy(model).set_callbacks(Stop(), Checkpoint(path, n_kept=9)).fit(X)
    assert stopped.n_iter_ == 2
    first = next(file for file in path.iterdir() if "000001" in file.name)
    other = X.drop(X.columns[0]) if isinstance(X, pl.DataFrame) else X.iloc[::-1]
    with pytest.raises(ValueError):
        resume(deepcopy(stopped).set_callbacks(), other)
    for again in (
        resume(first, X),
        resume(pickle.loads(pickle.dumps(stopped.set_callbacks())), X),
    ):
        assert_same_model(again.set_callbacks(), whole, X)
    if name == "probabilities":
        again = resume(stopped, X.to_pandas())
        np.testing.assert_array_equal(again.components_, whole.components_)


class Kill(Silent):
    """A callback that ends its own process after the second epoch, as kill -9 does."""

    def on_fit_task_end(self, estimator, context):
        if getattr(context, "task_name", "") == "epoch" and context.task_id == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def train(name, folder, *callbacks):
    """What a script does that is started again after it has been killed."""
    model, X = deepcopy(MODELS[name])
    try:
        return resume(folder, X)
    except FileNotFoundError:
        return model.set_callbacks(Checkpoint(folder), *callbacks).fit(X)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are others elsewhere")
@pytest.mark.parametrize("name", ["auto", "remainders", "dict", "all of polars"])
def test_fits_that_were_killed_go_on(name, path):
    path.mkdir()
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, __file__, name, str(path)], env=where, check=False)
    assert done.returncode == -signal.SIGKILL and len(os.listdir(path)) > 0
    X = MODELS[name][1]
    assert_same_model(train(name, path).set_callbacks(), deepcopy(MODELS[name][0]).fit(X), X)


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2], Kill())
