"""Estimators without Dask, on Dask collections: these are pulled into memory, and that is said."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sklearn_rapid import DBM, RABM, RARBM, RBM

da = pytest.importorskip("dask.array")

X = np.random.default_rng(0).integers(2, size=(40, 6)).astype(np.uint8)
NAMES = list("abcdef")
HOW = {"max_iter": 1, "random_state": 0}
PULLED = "is a Dask collection, and is pulled into memory whole.*DaskRBM and DaskRARBM"


READ = []


def read(block):
    READ.append(len(block))
    return block


@pytest.fixture(params=["array", "frame"])
def blocks(request):
    """A Dask collection of X whose blocks are counted when they are computed."""
    rows = da.from_array(X, chunks=(10, -1)).map_blocks(read, dtype=X.dtype, meta=X[:0])
    if request.param == "array":
        return rows
    pytest.importorskip("dask.dataframe")
    return rows.to_dask_dataframe(columns=NAMES)


METHODS = [
    "fit",
    "partial_fit",
    "transform",
    "score_samples",
    "score",
    "free_energy",
    "pseudo_likelihood",
    "reconstruct",
    "gibbs",
]


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_read_once_with_a_warning(blocks, method):
    """With results as for rows in memory."""
    how = {"random_state": 0} if method in ("reconstruct", "gibbs") else {}
    in_memory = blocks.compute()
    model, other = (RBM(3, **HOW).fit(in_memory) for _ in range(2))
    READ.clear()
    with pytest.warns(UserWarning, match=f"X {PULLED}") as caught:
        got = getattr(model, method)(blocks, **how)
    assert [w.filename for w in caught] == [__file__]
    assert READ == [10] * 4
    expected = getattr(other, method)(in_memory, **how)
    if method in ("fit", "partial_fit"):
        assert hasattr(got, "feature_names_in_") == isinstance(in_memory, pd.DataFrame)
        got, expected = got.components_, expected.components_
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("cls", [RARBM, DBM, RABM])
def test_every_estimator_says_so(cls):
    with pytest.warns(UserWarning, match=f"X {PULLED}"):
        model = cls(**HOW).fit(da.from_array(X, chunks=(10, -1)))
    np.testing.assert_array_equal(model.intercept_visible_, cls(**HOW).fit(X).intercept_visible_)


def test_other_arguments_of_the_size_of_rows():
    model = RBM(3, **HOW).fit(X)
    H = model.transform(X)
    known = X > 0
    for name, call in {
        "H": lambda of: model.inverse_transform(of(H)),
        "init": lambda of: model.sample(5, init=of(X), random_state=0),
        "mask": lambda of: model.reconstruct(X, of(known), random_state=0),
    }.items():
        with pytest.warns(UserWarning, match=f"{name} {PULLED}"):
            got = call(lambda a: da.from_array(a, chunks=(10, -1)))
        np.testing.assert_array_equal(got, call(np.asarray))


@pytest.mark.slow
def test_rows_in_memory_do_not_import_dask():
    code = """
import sys
import numpy as np
from sklearn_rapid import RBM
RBM(2, max_iter=1, random_state=0).fit(np.eye(4)).transform(np.eye(4))
print("dask" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_frames_of_text():
    """They are read as those in memory, by every method."""
    dataframe = pytest.importorskip("dask.dataframe")
    text = np.where(X[:, :1] > 0, "yes", np.where(X[:, 1:2] > 0, "no", "so"))
    rows = dataframe.from_pandas(pd.DataFrame(text, columns=["a"]).assign(b=X[:, 2]), 3)
    in_memory = rows.compute()
    with pytest.warns(UserWarning, match=f"X {PULLED}"):
        model = RBM(3, **HOW).fit(rows)
    other = RBM(3, **HOW).fit(in_memory)
    np.testing.assert_array_equal(model.components_, other.components_)
    np.testing.assert_array_equal(model.categories_[0], ["no", "so", "yes"])
    for method in ("transform", "score_samples", "free_energy"):
        with pytest.warns(UserWarning, match=f"X {PULLED}"):
            got = getattr(model, method)(rows)
        np.testing.assert_array_equal(got, getattr(other, method)(in_memory))
    for method in ("reconstruct", "gibbs"):
        with pytest.warns(UserWarning, match=f"X {PULLED}"):
            got = getattr(model, method)(rows, random_state=0)
        pd.testing.assert_frame_equal(got, getattr(other, method)(in_memory, random_state=0))


def test_frames_of_categories_that_are_numbers():
    """All columns of them are read as some of them are."""
    frame = pd.DataFrame(X, columns=NAMES)
    expected = RBM(3, **HOW).fit(frame).components_
    for columns in (["b"], NAMES):
        coded = frame.astype(dict.fromkeys(columns, "category"))
        np.testing.assert_array_equal(RBM(3, **HOW).fit(coded).components_, expected)
