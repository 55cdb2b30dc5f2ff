"""Files of models in which one field after the other is something else, with a digest of their own.

Whatever it is, a file is refused with a clear error, or it holds a model that works.
"""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
from test_persistence import forge
from tools.callbacks import Silent

from sklearn_rapid import DBM, RABM, RADBM, RARBM, RBM, load, save
from sklearn_rapid.callbacks import resume
from sklearn_rapid.estimators import fitted
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.state import TrainingState

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
rng = np.random.default_rng(0)
BITS = rng.integers(2, size=(30, 4))
REALS = rng.normal(size=(30, 3))
CODES = rng.integers(3, size=(30, 3))
TABLE = pd.DataFrame({"real": REALS[:, 0], "code": CODES[:, 0], "bit": BITS[:, 0]})
# Columns of every kind that is chosen for a frame.
FRAME = pd.DataFrame(
    {
        "flag": BITS[:, 0] > 0,
        "word": pd.Categorical(np.array(["b", "a", "c"])[CODES[:, 0]], ["c", "b", "a", "d"]),
        "sex": np.array(["f", "m"])[BITS[:, 1]],
        "size": np.array([2, 7])[BITS[:, 2]],
        "real": REALS[:, 0].round(2),
        "gain": np.where(BITS[:, 3] > 0, 0.0, np.exp(REALS[:, 1])),
    }
)
POLARS = pl.DataFrame(FRAME.to_dict("list")).with_columns(pl.col("size").cast(pl.Int8))
HOW = {"max_iter": 2, "batch_size": 10, "random_state": 0}


class Interrupt(Silent):
    """A callback that interrupts the second epoch, as Ctrl-C does."""

    def on_fit_task_begin(self, estimator, context):
        if getattr(context, "task_name", "") == "epoch" and context.task_id == 1:
            raise KeyboardInterrupt


MODELS = {
    "RBM": (RBM(2, **HOW), BITS),
    "RARBM": (RARBM(2, 2, **HOW, optimizer="adam", learning_rate=0.1), BITS),
    "DBM": (DBM((2, 2), **HOW), BITS),
    "RADBM": (RADBM((2, 2), n_patterns=2, **HOW), BITS),
    "RABM": (RABM(2, **HOW), BITS),
    "RABM, hidden": (RABM(2, 2, **HOW), BITS),
    "real": (RBM(2, **HOW, visible="gaussian", optimizer=SGD(0.5), negative_phase="pcd"), REALS),
    "codes": (RARBM(2, 2, **HOW, visible="categorical", hidden="gaussian"), CODES),
    "table": (
        RBM(2, **HOW, visible=[("categorical", [1]), ("gaussian", [0]), ("binary", [2])]),
        TABLE,
    ),
    "frame": (
        RBM(2, **HOW, visible={"gain": "spiked"}, min_frequency=9, handle_unknown="infrequent"),
        FRAME,
    ),
    "frame of polars": (RARBM(2, 2, **HOW, categories={"word": ["a", "b", "c", "e"]}), POLARS),
    "validated": (RBM(2, **HOW, early_stopping=True, units="spin"), 2.0 * BITS - 1.0),
}
QUICK = {"RBM", "RARBM", "real", "frame", "validated"}
# A model's name, a share of its forgeries, and whether its fit was cut short. What is drawn for a
# share is drawn for a larger one, too.
SHARES = dict.fromkeys(MODELS, 0.25) | dict.fromkeys(("DBM", "RADBM", "RABM"), 0.1)
CASES = [
    *((name, 0.01, False) for name in MODELS if name in QUICK),
    *(
        pytest.param(name, share, is_cut_short, marks=pytest.mark.slow)
        for name, share in SHARES.items()
        for is_cut_short in (False, True)
    ),
]
# What JSON can stand for, but arrays.
VALUES = [
    "text " * 400,
    "",
    None,
    True,
    0,
    -1,
    7,
    2**70,
    1.5,
    -1e300,
    {"number": "nan"},
    {"number": "-inf"},
    [],
    [1, "a"],
    {"tuple": []},
    {"tuple": [1, None]},
    {"dict": {}},
    {"dict": {"a" * 1000: {"dict": {"b": {"tuple": [[[]]]}}}}},
    {"bytes": "00"},
    {"dtype": "float32"},
    {"strings": ["a", "b"]},
    {"class": "SGD", "values": {}},
    {"class": "Ladder", "values": {}},
    {"class": "RandomStream", "values": {"seed": 1}},
    {"class": "RandomStream", "values": {"seed": 1, "first_row": 2**40}},
    {"eval": "x" * 1000},
]
ARRAYS = [np.zeros(0), np.full(3, np.nan, dtype=np.float32), np.array(1), np.zeros((2, 2), bool)]


# No message has more than 80 characters of these.
LONG = ["text " * 17, "a" * 81, "x" * 81]


def places(node, way=()):
    """The way to every node of a tree."""
    if way:
        yield way
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list) and node:
        items = [(i, node[i]) for i in sorted({0, len(node) - 1})]  # they are alike
    else:
        items = []
    for key, value in items:
        yield from places(value, (*way, key))


def at(node, way):
    for key in way:
        node = node[key]
    return node


def altered(array):
    """An array with other values, of other types and shapes."""
    is_float = array.dtype.kind == "f"
    yield from (array.astype(t) for t in ("float32", "float64", "int8", "int64", "bool"))
    yield from (array[..., None], array[None], array.ravel()[:-1], array.ravel().repeat(2))
    yield from (array * 0, -np.abs(array) - 1, array * 0 + (3e38 if is_float else 127))
    if is_float:
        yield from (array * np.nan, array * 0 + np.inf)
    if array.ndim:
        yield from (array[:0], np.concatenate([array, array]))


def forgeries(header, arrays):
    """A field's name, and a function that changes it in a header and its arrays."""
    of_all = [
        (section, *way)
        for section in ("parameters", "attributes")
        for way in places(header[section])
    ]
    for way in of_all:
        name = ".".join(map(str, way))

        def put(header, arrays, way=way, value=None, new=None):
            at(header, way[:-1])[way[-1]] = value
            if new is not None:
                arrays["forged"] = np.asarray(new, order="C")

        def drop(header, arrays, way=way):
            del at(header, way[:-1])[way[-1]]

        def change(header, arrays, way=way, new=None):
            arrays[at(header, way)] = np.asarray(new, order="C")

        yield f"{name} dropped", drop
        for value in VALUES:
            yield f"{name} = {str(value)[:40]}", partial(put, value=value)
        for new in ARRAYS:
            yield f"{name} = {new!r}", partial(put, value={"array": "forged"}, new=new)
        if way[-1] in ("array", "transposed"):
            for new in altered(arrays[at(header, way)]):
                text = f"{name}: {new.dtype} {new.shape} {new.ravel()[:1]}"
                yield text, partial(change, new=new)


def assert_works(model, X):
    if hasattr(X, "columns") and not hasattr(model, "frame_"):
        names = vars(model).get("feature_names_in_")
        X = X.to_numpy() if names is None else pd.DataFrame(X.to_numpy(), columns=names)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.score_samples(X)).all()
    assert np.asarray(model.sample(5, random_state=0)).shape == (5, X.shape[1])
    again = pickle.loads(pickle.dumps(model))
    assert repr(again) == repr(model)
    with pytest.raises(ValueError, match="was not cut short"):
        resume(again, X)
    again.partial_fit(X)
    again.set_params(warm_start=True).fit(X)
    assert np.isfinite(again.score_samples(X)).all()


# Other parameters, or another log Z, make another model, of which this is true.
@pytest.mark.filterwarnings(
    "ignore:X holds values from",
    "ignore:the probabilities of the",
    "ignore:no couplings are left",
    "ignore:the n_updates=. updates of the stream",
    "ignore:the fitted .* computes with",
)
@pytest.mark.parametrize(("name", "share", "is_cut_short"), CASES)
def test_no_forgery_fails_late(name, share, is_cut_short, tmp_path):
    """A random choice of all forgeries."""
    model, X = deepcopy(MODELS[name])
    if is_cut_short:
        with pytest.warns(UserWarning, match="interrupted"):
            model.set_callbacks(Interrupt()).fit(X)
    else:
        model.fit(X)
    model.score_samples(X)
    path, forged = tmp_path / "model", tmp_path / "forged"
    save(model, path)
    assert_works(load(path), X)
    failures, n_refused = [], 0
    found = {}
    forge(path, lambda header, arrays: found.update(header=deepcopy(header), arrays=dict(arrays)))
    content = path.read_bytes()
    chosen = np.random.default_rng(len(name))
    for what, change in forgeries(**found):
        if chosen.random() > share:
            continue
        forged.write_bytes(content)
        forge(forged, change)
        try:
            again = load(forged)
        except ValueError as error:
            n_refused += 1
            if len(str(error)) > 700 or any(text in str(error) for text in LONG):
                failures.append(f"{what}: {error}")
            continue
        except Exception as error:
            failures.append(f"{what}: load: {error!r}")
            continue
        try:
            assert_works(again, X)
        except Exception as error:
            # What is set after a fit is told where training goes on, as ever. And a model of other
            # values works, but not with these rows.
            is_fine = "training cannot go on with", "where the fit has seen"
            if not any(text in str(error) for text in is_fine):
                failures.append(f"{what}: {error!r}")
    assert failures == []
    assert n_refused > 1000 * share


def test_each_field_of_the_state_is_looked_at():
    assert fitted.STATE.keys() == {f.name for f in fields(TrainingState)} - {"machine"}
