"""What estimators take and leave alone: memory, sparse rows, arrays handed out before."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from tools.callbacks import Silent

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import get_backend
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.tables.spins import LARGEST_SPARSE_SHARE, SpinEncoder

ESTIMATORS = [RBM(8, max_iter=1, random_state=0), RARBM(8, 4, max_iter=1, random_state=0)]


def by_name(estimator):
    return type(estimator).__name__


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=by_name)
@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_no_copy_of_the_data(estimator, dtype):
    """Of 32 MB: a copy would be as many, one in float32 four times that."""
    X = np.random.default_rng(0).random((40_000, 784), dtype=np.float32) > 0.9
    X = X.astype(dtype)
    estimator.fit(X[:200])  # what is compiled and imported counts for nothing
    for use in (estimator.fit, estimator.score_samples, estimator.transform):
        tracemalloc.start()
        use(X)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 2


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=by_name)
def test_training_on_leaves_arrays_handed_out_before_alone(estimator):
    X = np.random.default_rng(1).random((50, 12)) > 0.5
    model = estimator.fit(X)
    names = [name for name in vars(model) if name.endswith("_")]
    arrays = {name: getattr(model, name) for name in names}
    kept = {name: np.copy(a) for name, a in arrays.items() if isinstance(a, np.ndarray)}
    assert len(kept) >= 3
    model.partial_fit(X)
    for name, a in kept.items():
        np.testing.assert_array_equal(arrays[name], a)
        assert not np.array_equal(getattr(model, name), a)


def peak_of(action):
    """Bytes that an action takes at most."""
    tracemalloc.start()
    action()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("negative_phase", ["auto", "pcd"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_batches_larger_than_the_data_take_no_memory(method, negative_phase):
    """Of 100 rows and 60 columns, where as many chains as a batch has rows would be 2.4 GB."""
    X = np.random.default_rng(0).random((100, 60)) > 0.5
    model = RBM(8, batch_size=10**7, negative_phase=negative_phase, max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="batch_size=10000000 is larger than the 100 rows"):
        assert peak_of(lambda: getattr(model, method)(X)) < 50e6


@pytest.mark.parametrize("negative_phase", ["auto", "pcd"])
def test_batches_larger_than_the_data_are_all_of_them(negative_phase):
    """The model is that of a batch of all rows; fewer than a hundred still have as many chains."""
    X = np.random.default_rng(0).random((130, 12)) > 0.5
    how = {"n_components": 5, "negative_phase": negative_phase, "max_iter": 3, "random_state": 0}
    for rows, size in [(X, 130), (X[:30], 100)]:
        expected = RBM(**how, batch_size=size).fit(rows)
        with pytest.warns(UserWarning, match=f"{len(rows)} rows to train on: it becomes {size},"):
            got = RBM(**how, batch_size=1000).fit(rows)
        np.testing.assert_array_equal(got.components_, expected.components_)


def test_chains_of_partial_fit_do_not_depend_on_its_first_rows():
    """As many as a batch has rows, without a warning, however few come first."""
    X = np.random.default_rng(0).random((50, 12)) > 0.5
    for n in (1, 50):
        model = RBM(5, batch_size=3000, negative_phase="pcd", random_state=0).partial_fit(X[:n])
        assert model._training_state["chains"].states.shape == (3000, 12)


class Keeping(Silent):
    """A callback that keeps each epoch's model."""

    def __init__(self):
        self.models = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Keep the model as it is."""
        if fitted_estimator is not None:
            self.models.append(fitted_estimator)


def test_a_callback_keeps_the_model_of_its_epoch():
    X = np.random.default_rng(1).random((50, 12)) > 0.5
    keeping = Keeping()
    how = {"n_components": 5, "learning_rate": 0.25, "random_state": 0}
    RBM(**how, max_iter=3).set_callbacks(keeping).fit(X)
    for n, model in enumerate(keeping.models[:3], start=1):
        expected = RBM(**how, max_iter=n).fit(X)
        np.testing.assert_array_equal(model.components_, expected.components_)


LEAK_TEST = """
import gc, os, threading
import numpy as np
from sklearn_rapid import RARBM, RBM

X = np.random.default_rng(0).integers(2, size=(40, 12)).astype(np.uint8)

def use(n):
    for i in range(n):
        model = RBM(4, max_iter=1) if i % 2 else RARBM(4, n_patterns=2, max_iter=1, n_threads=2)
        model.fit(X).score(X)
        model.transform(X)
        model.sample(2, n_gibbs_steps=2)

def held():
    gc.collect()
    memory = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return memory, threading.active_count(), len(os.listdir("/proc/self/fd"))

use(200)
before = held()
use(2000)
print(*before, *held())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
def test_two_thousand_fits_leave_nothing_behind():
    """A page of memory (4 kB) for each would be 8 MB."""
    command = [sys.executable, "-W", "ignore", "-c", LEAK_TEST]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    memory, threads, files, memory_after, threads_after, files_after = map(int, output.split())
    assert (threads_after, files_after) == (threads, files)
    assert memory_after - memory < 4e6


def sparse_rows(density=0.05):
    return sparse.random_array((1500, 300), density=density, format="csr", rng=2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["transform", "free_energy", "score_samples"])
@pytest.mark.parametrize("binarize", [0.0, 0.5])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=by_name)
def test_sparse_rows_mean_the_same(estimator, container, binarize, method):
    X = sparse_rows()
    model = estimator.set_params(binarize=binarize).fit(X)
    assert get_fitted_model(model).encoder().keeps_sparse(X)
    got = getattr(model, method)(container(X))
    # Fields are sums of 300 terms, free energies of hundreds.
    expected = getattr(model, method)(X.toarray())
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_sparse_row_has_one_result_whatever_its_company():
    X = sparse_rows()
    for estimator in ESTIMATORS:
        model = estimator.set_params(binarize=0.5).fit(X)
        np.testing.assert_array_equal(model.score_samples(X[7:8]), model.score_samples(X)[7:8])
        np.testing.assert_array_equal(model.transform(X[1490:]), model.transform(X)[1490:])


@pytest.mark.parametrize(
    ("X", "binarize", "expected"),
    [
        (sparse_rows(), 0.5, True),
        (sparse_rows(), 0.0, True),
        (sparse_rows(), -0.5, False),  # zeros are on
        (sparse_rows(), "sample", False),
        (sparse_rows(), None, False),
        (sparse_rows(1.1 * LARGEST_SPARSE_SHARE), 0.5, False),
        (sparse_rows().toarray(), 0.5, False),
    ],
)
def test_which_rows_stay_sparse(X, binarize, expected):
    encoder = SpinEncoder("binary", binarize, backend=get_backend("numba"))
    assert encoder.keeps_sparse(X) == expected


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=by_name)
def test_sparse_rows_are_never_made_dense_as_a_whole(estimator):
    """Of 100,000 rows and 2000 columns: 800 MB in float32."""
    rng = np.random.default_rng(3)
    X = sparse.random_array((100_000, 2000), density=0.002, format="csr", rng=rng)
    model = estimator.set_params(binarize=0.5).fit(X[:200])
    tracemalloc.start()
    model.free_energy(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6
