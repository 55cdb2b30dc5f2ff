"""Workers that die in mid-fit, and clusters and data that cannot be used."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from tools.equality import assert_ends

pytest.importorskip("distributed")
import dask
import dask.array as da
import dask.dataframe as dd
from scipy import sparse
from tools.callbacks import Silent

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.dask import DaskRARBM, DaskRBM, _cluster, _log_partition
from sklearn_rapid.training.fit.progress import CutShort
from sklearn_rapid.training.negative_phase import Exact

X = (np.random.default_rng(0).random((1200, 30)) < 0.3).astype(np.uint8)
HOW = {"max_iter": 4, "random_state": 0, "dtype": "float64"}


def rows(values=X):
    return da.from_array(values, chunks=(100, -1))


class After(Silent):
    """A callback that does something once, after so many epochs."""

    def __init__(self, action, n_epochs=1):
        self.action, self.n_epochs = action, n_epochs

    def on_fit_task_end(self, estimator, context):
        self.n_epochs -= context.task_name == "epoch"
        if self.n_epochs == 0 and self.action is not None:
            action, self.action = self.action, None
            action()
        return False


def kill(pid, seconds=0.0):
    threading.Timer(seconds, os.kill, (pid, signal.SIGKILL)).start()


# --- lost workers -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "rank"), [(RBM, 0), (RARBM, 1), (RBM, 2)])
def test_a_fit_that_loses_a_worker_ends_as_if_it_had_not(fresh_workers, cls, rank):
    """Whichever of the tree it is, between updates or in one of them."""
    local = cls(8, **HOW).fit(X)
    with fresh_workers(3, silence_logs=50) as client:
        pids = client.run(os.getpid)
        victim = pids[sorted(pids)[rank]]
        remote = {RBM: DaskRBM, RARBM: DaskRARBM}[cls](8, **HOW)
        remote.set_callbacks(After(lambda: kill(victim, 0.01 * rank)))
        with pytest.warns(RuntimeWarning, match="1 of 3 workers are gone.*goes on from update"):
            remote.fit(rows())
    for name in local._fitted_shapes:
        np.testing.assert_allclose(getattr(remote, name), getattr(local, name), atol=1e-10)
    assert remote.n_iter_ == 4


@pytest.mark.slow
def test_rows_that_cannot_be_read_again(fresh_workers):
    """They were sent to the workers, and nobody else has them."""
    with fresh_workers(2, silence_logs=50) as client:
        blocks = client.scatter([X[i : i + 100] for i in range(0, 1200, 100)])
        parts = [da.from_delayed(dask.delayed(b), (100, 30), X.dtype) for b in blocks]
        pids = client.run(os.getpid)
        remote = DaskRBM(8, **HOW).set_callbacks(After(lambda: kill(min(pids.values()))))
        with (
            pytest.warns(RuntimeWarning, match="1 of 2 workers are gone"),
            pytest.raises(CutShort, match="ended after 1 epochs, which are kept: rows of X are"),
        ):
            remote.fit(da.concatenate(parts))
    assert remote.n_iter_ == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_a_random_moment(fresh_workers, seed):
    local = RBM(8, **{**HOW, "max_iter": 20}).fit(X)
    rng = np.random.default_rng(seed)
    with fresh_workers(3, silence_logs=50) as client:
        victim = list(client.run(os.getpid).values())[rng.integers(3)]
        remote = DaskRBM(8, **{**HOW, "max_iter": 20})
        n_epochs, seconds = int(rng.integers(1, 9)), 0.05 * rng.random()
        remote.set_callbacks(After(lambda: kill(victim, seconds), n_epochs))
        with pytest.warns(RuntimeWarning, match="1 of 3 workers are gone"):
            remote.fit(rows())
    for name in local._fitted_shapes:
        np.testing.assert_allclose(getattr(remote, name), getattr(local, name), atol=1e-10)


@pytest.mark.slow
def test_a_worker_that_is_lost_while_rows_are_looked_at(fresh_workers):
    local = RBM(8, **HOW).fit(X)
    with fresh_workers(2, silence_logs=50) as client:
        kill(min(client.run(os.getpid).values()), 2.0)
        remote = DaskRBM(8, **HOW).fit(rows().map_blocks(slowly, dtype=X.dtype, meta=X[:0]))
    np.testing.assert_allclose(remote.components_, local.components_, atol=1e-10)


def slowly(block):
    time.sleep(0.6)
    return block


@pytest.mark.slow
def test_workers_that_were_killed_take_part_again(fresh_workers):
    """In the fit that has lost its only one, and in the next fit, which loses that again."""
    local = RBM(8, **HOW).fit(X)
    with fresh_workers(1, silence_logs=50) as client:
        for _ in range(2):
            victim = min(client.run(os.getpid).values())
            remote = DaskRBM(8, **HOW).set_callbacks(After(lambda pid=victim: kill(pid)))
            with pytest.warns(RuntimeWarning, match="1 of 1 workers are gone.*with 1 worker."):
                remote.fit(rows())
            np.testing.assert_allclose(remote.components_, local.components_, atol=1e-10)


@pytest.mark.slow
def test_clusters_are_whole_again_after_a_kill_in_mid_fit(fresh_workers):
    """Given the time that busy processors take: `LocalCluster` gives up what comes back later."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        fresh_workers(2, silence_logs=50) as client,
    ):
        for rank in range(2):
            pids = client.run(os.getpid)
            victim = pids[sorted(pids)[rank]]
            remote = DaskRBM(8, **HOW).set_callbacks(After(lambda pid=victim: kill(pid)))
            with pytest.warns(RuntimeWarning, match="1 of 2 workers are gone"):
                remote.fit(rows())
            client.wait_for_workers(2, timeout=300)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:1 of 2 workers are gone:RuntimeWarning")
def test_when_no_workers_are_left_the_last_epoch_is_kept(fresh_workers, monkeypatch):
    """The two end within moments of each other, and the first may be missed before the second."""
    monkeypatch.setattr(_cluster, "SECONDS_TO_RETURN", 1.0)
    with fresh_workers(2, silence_logs=50, processes=True) as client:
        pids = client.run(os.getpid).values()

        def end():
            client.cluster.scale(0)
            for pid in pids:
                kill(pid)

        remote = DaskRBM(8, **HOW).set_callbacks(After(end))
        with pytest.raises(
            CutShort, match="ended after 1 epochs, which are kept: no workers are left"
        ):
            remote.fit(rows())
    local = RBM(8, **HOW)
    local.fit(X)
    assert remote.n_iter_ == 1
    assert len(remote.history_["epoch"]) == 1
    assert remote._training_state["n_updates"] == 12
    np.testing.assert_allclose(
        remote.history_["barrier"][0], local.history_["barrier"][0], equal_nan=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2])
def test_an_estimate_that_loses_a_worker(fresh_workers, monkeypatch, n):
    """Another takes its part; with the only one, the model is gone, and that is what is said."""
    remote = DaskRBM(8, **HOW).partial_fit(X)
    how = {"n_temperatures": 20_000, "random_state": 0}
    with fresh_workers(n, silence_logs=50) as client:
        undisturbed = remote.log_partition("ais", **how)
        victim = min(client.run(os.getpid).values())

        def watched(*args, **more):
            kill(victim, 0.3)
            return _cluster.wait_for_futures(*args, **more)

        monkeypatch.setattr(_log_partition, "wait_for_futures", watched)
        if n == 2:
            assert remote.log_partition("ais", **how).value == undisturbed.value
        else:
            with pytest.raises(CutShort, match="the workers have lost the model"):
                remote.log_partition("ais", **how)


# --- what cannot be used ----------------------------------------------------------------------


@pytest.fixture
def model(client):
    return DaskRBM(3, max_iter=1, random_state=0)


def test_no_client():
    with pytest.raises(ValueError, match="there is no Dask client: create one"):
        DaskRBM(3).fit(rows())


def test_a_client_that_is_closed(fresh_workers):
    with fresh_workers(1) as client:
        pass
    with pytest.raises(ValueError, match=r"client must be connected .* it is closed"):
        DaskRBM(3, client=client).fit(rows())
    with pytest.raises(TypeError, match=r"client must be a distributed.Client, got str"):
        DaskRBM(3, client="tcp://somewhere:8786").fit(rows())


def with_nan():
    values = X.astype(float)
    values[250, 7] = np.nan
    return rows(values)


BAD_ROWS = {
    "an array": (lambda: X, TypeError, "X must be a Dask array or data frame here, got ndarray"),
    "columns in chunks": (
        lambda: da.from_array(X, chunks=(100, 10)),
        ValueError,
        "3 chunks along its columns",
    ),
    "an empty partition": (
        lambda: rows()[da.from_array(np.arange(1200) // 100 != 2, chunks=100)],
        ValueError,
        r"partition 2 of X is empty \(1 of 12 are\)",
    ),
    "NaN": (with_nan, ValueError, "partition 2 of X holds NaN or infinity in column 7"),
    "text": (
        lambda: da.from_array(X.astype(str), chunks=(100, -1)),
        ValueError,
        "X must hold numbers, got dtype <U",
    ),
    "sparse blocks": (
        lambda: rows().map_blocks(sparse.csr_matrix, meta=sparse.csr_matrix((0, 0))),
        TypeError,
        "the blocks of X must be NumPy arrays",
    ),
    "one axis": (lambda: da.from_array(X[0]), ValueError, r"must have shape \(any, any\)"),
    "false promises": (
        lambda: da.map_blocks(lambda b: b[:-1], rows(), dtype=X.dtype, chunks=rows().chunks),
        ValueError,
        r"partition 0 of X has shape \(99, 30\), \(100, 30\) was declared",
    ),
    "no means": (lambda: rows(X + 0.5), ValueError, "X holds means in"),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", BAD_ROWS)
def test_bad_rows(model, which):
    """At once, and what was fitted before is still there."""
    make, error, message = BAD_ROWS[which]
    model.fit(rows())
    before = model.components_
    if which == "no means":
        model.set_params(binarize=None)
    with pytest.raises(error, match=message):
        model.fit(make())
    assert model.components_ is before and model.n_features_in_ == 30


FRAME = pd.DataFrame(X[:, :4], columns=["a", "b", "c", "d"])
BAD_COLUMNS = {
    "datetime64": FRAME.assign(b=pd.to_datetime(X[:, 1])),
    "timedelta64": FRAME.assign(b=pd.to_timedelta(X[:, 1])),
    "complex": FRAME.assign(b=1j * X[:, 1]),
}


@pytest.mark.parametrize("which", BAD_COLUMNS)
def test_bad_columns_are_named(model, which):
    with pytest.raises(ValueError, match=rf"column 'b' of X h.* dtype {which}|\(dtype {which}"):
        model.fit(dd.from_pandas(BAD_COLUMNS[which], npartitions=2))


def in_frames(values, names):
    return dd.from_pandas(pd.DataFrame(values, columns=list(names)), npartitions=2)


def changed(value, dtype):
    values = X[:, :4].astype(dtype)
    values[700, 2] = value
    return rows(values)


BAD_BLOCKS = {
    "too wide": (lambda: rows(X), "X has 30 features, but DaskRBM|RBM is expecting 4"),
    "too narrow": (lambda: rows(X[:, :3]), "X has 3 features"),
    "NaN": (lambda: changed(np.nan, float), "X contains NaN"),
    "infinity": (lambda: changed(np.inf, float), "infinity"),
    "text": (lambda: rows(X[:, :4].astype(str)), "strings|string|hold numbers"),
    "objects": (lambda: changed("a", object), "got 'a' in column 2"),
    "complex": (lambda: rows(1j * X[:, :4]), "Complex data not supported"),
    "dates": (lambda: rows(X[:, :4].astype("M8[s]")), "X must hold numbers"),
    "other names": (lambda: in_frames(X[:, :4], "abce"), "feature names should match"),
    "other columns": (lambda: in_frames(X[:, :5], "abcde"), "feature names should match"),
    "categories": (
        lambda: dd.from_pandas(FRAME.assign(b=np.where(X[:, 1], "yes", "no")), 2),
        "'(yes|no)' in column 'b'",
    ),
    "an error of their own": (
        lambda: rows(X[:, :4]).map_blocks(lambda block: 1 // 0, dtype=X.dtype, meta=X[:0]),
        "division",
    ),
    "an array that is none": (
        lambda: rows(X[:, :4]).map_blocks(lambda block: None, dtype=X.dtype, meta=X[:0]),
        "NoneType",
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("method", ["transform", "score_samples", "free_energy"])
@pytest.mark.parametrize("which", BAD_BLOCKS)
def test_errors_of_lazy_results_arrive(client, fitted_to_four, which, method):
    """Dask follows an error's causes to their end, which they must have."""
    make, message = BAD_BLOCKS[which]
    error = client.compute(getattr(fitted_to_four, method)(make())).exception(timeout=60)
    with pytest.raises(type(error), match=message):
        raise error
    assert_ends(error)


@pytest.fixture(scope="module")
def fitted_to_four(client):
    return DaskRBM(3, max_iter=1, random_state=0).fit(dd.from_pandas(FRAME, npartitions=2))


def test_other_versions(model, monkeypatch):
    monkeypatch.setattr(_cluster, "__version__", "0.0")
    with pytest.raises(ValueError, match=r"sklearn_rapid is 0.0 here and .* on tcp://"):
        model.fit(rows())


def test_phases_that_cannot_be_shared(model):
    with pytest.raises(ValueError, match="states of Exact cannot be drawn by several workers"):
        model.set_params(negative_phase=Exact()).fit(rows())


def test_parameters(model):
    with pytest.raises(ValueError, match="'blocks_at_once' parameter of DaskRBM"):
        model.set_params(blocks_at_once=0).fit(rows())
    with pytest.raises(TypeError, match="partial_fit takes the rows of an array"):
        model.set_params(blocks_at_once=None).partial_fit(rows())
    assert model.partial_fit(X[:100]).components_.shape == (3, 30)


@pytest.mark.slow
def test_an_error_on_a_worker_is_told(model, monkeypatch):
    """Not taken for a lost worker: all of them are there."""
    monkeypatch.setattr(_cluster, "SECONDS_TO_NOTICE", 0.2)
    broken = rows().map_blocks(lambda block: 1 // 0, dtype=X.dtype, meta=X[:0])
    with pytest.raises(ZeroDivisionError):
        model.fit(broken)
