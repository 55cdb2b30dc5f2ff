"""Containers that hide something, and what all methods read alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sklearn_rapid import RARBM, RBM

X = np.random.default_rng(0).integers(2, size=(30, 6)).astype(np.uint8)
HOW = {"n_components": 4, "max_iter": 2, "random_state": 0}


@pytest.fixture(scope="module", params=[RBM, RARBM])
def model(request):
    return request.param(**HOW).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32, object])
@pytest.mark.parametrize("output", ["sample", "mean"])
def test_masked_entries_are_missing(model, dtype, output):
    """Whatever lies under the mask."""
    is_masked = np.random.default_rng(1).random(X.shape) < 0.3
    how = {"n_gibbs_steps": 5, "output": output, "random_state": 0}
    expected = model.reconstruct(X.astype(dtype), ~is_masked, **how)
    under = np.where(is_masked, 1 - X, X).astype(dtype)
    masked = np.ma.masked_array(under, is_masked)
    np.testing.assert_array_equal(model.reconstruct(masked, **how), expected)
    np.testing.assert_array_equal(under, np.where(is_masked, 1 - X, X))
    # What a mask says and what an argument says are both missing.
    known = np.arange(6) > 1
    both = model.reconstruct(X.astype(dtype), known & ~is_masked, **how)
    np.testing.assert_array_equal(model.reconstruct(masked, known, **how), both)


def test_masked_arrays_without_a_masked_entry_are_plain_ones(model):
    whole = np.ma.masked_array(X, np.zeros_like(X))
    np.testing.assert_array_equal(model.transform(whole), model.transform(X))
    np.testing.assert_array_equal(
        type(model)(**HOW).fit(whole).components_, type(model)(**HOW).fit(X).components_
    )


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.bsr_array])
@pytest.mark.parametrize("binarize", [None, 0.5])
def test_entries_stored_twice_are_added_up(container, binarize):
    """Above the threshold together, not each by itself; the matrix stays as it was."""
    n = 20
    halves = sparse.csr_array((np.full(2 * n, 0.4), np.full(2 * n, 3), np.arange(0, 2 * n + 1, 2)))
    halves.resize((n, 5))
    halves = halves if container is sparse.csr_array else container(halves)
    if container is sparse.csr_array:
        assert halves.nnz == 2 * n
    how = {**HOW, "binarize": binarize}
    model, expected = RBM(**how).fit(halves), RBM(**how).fit(halves.toarray())
    np.testing.assert_array_equal(model.components_, expected.components_)
    got = model.transform(halves)
    np.testing.assert_allclose(got, expected.transform(halves.toarray()), atol=1e-6)
    if container is sparse.csr_array:
        np.testing.assert_array_equal(halves.data, 0.4)
        assert halves.nnz == 2 * n


def test_indices_changed_after_a_look_at_them():
    """SciPy remembers what it has found, though the arrays have been changed since."""
    data = sparse.csr_array(np.eye(6) * 0.9)
    assert data.has_canonical_format
    data.indptr = np.array([0, 2, 2, 3, 4, 5, 6], dtype=np.int32)
    data.indices[1] = 0
    with pytest.raises(ValueError, match=r"\[0, 1\]; got 1.8 in column 0"):
        RBM(**HOW, binarize=None).fit(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: pd.DataFrame(X),
        lambda X: np.ma.masked_array(X, np.zeros_like(X)),
        sparse.csr_array,
        sparse.coo_matrix,
    ],
    ids=["list", "objects", "pandas", "masked", "csr", "coo"],
)
def test_initial_states_are_read_as_rows_are(model, make):
    model.transform(make(X))
    how = {"n_gibbs_steps": 2, "random_state": 0}
    expected = model.sample(30, init=X, **how)
    np.testing.assert_array_equal(model.sample(30, init=make(X), **how), expected)
    np.testing.assert_array_equal(expected, model.gibbs(X, 2, random_state=0))


@pytest.mark.parametrize("make", [lambda H: H.astype(object), sparse.csr_array])
def test_hidden_features_are_read_as_rows_are(model, make):
    H = np.random.default_rng(2).random((3, 4))
    np.testing.assert_array_equal(model.inverse_transform(make(H)), model.inverse_transform(H))


def test_rows_of_different_lengths_are_told_by_all_methods(model):
    rows = [[0, 1, 0, 1], [1, 0, 1, 0], [1]]
    message = r"rows of {} have different lengths: row 2 has 1 entry where row 0 has 4"
    with pytest.raises(ValueError, match=message.format("init")):
        model.sample(3, init=rows)
    with pytest.raises(ValueError, match=message.format("H")):
        model.inverse_transform(rows)
    with pytest.raises(ValueError, match=message.format("mask")):
        model.reconstruct(X, mask=rows)
    with pytest.raises(ValueError, match=message.format("sample_weight")):
        model.partial_fit(X, sample_weight=rows)
