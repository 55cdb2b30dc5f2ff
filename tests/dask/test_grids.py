"""Grids of models whose fits are tasks of Dask: the same results, and whose threads a fit takes."""

from __future__ import annotations

import time

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from tools.callbacks import Silent

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import available_threads
from sklearn_rapid.callbacks import Checkpoint
from sklearn_rapid.training.negative_phase import ParallelTempering, PersistentContrastiveDivergence
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay

X = (np.random.default_rng(0).random((120, 10)) < 0.3).astype(np.uint8)
HOW = {"n_components": 5, "batch_size": 20, "max_iter": 3, "random_state": 0}
ESTIMATORS = {
    "RBM": RBM(**HOW),
    "pcd": RBM(
        **HOW, negative_phase=PersistentContrastiveDivergence(2), optimizer=SGD(0.5), binarize=None
    ),
    "RARBM": RARBM(
        **HOW,
        n_patterns=3,
        negative_phase=ParallelTempering(n_sweeps=2),
        optimizer=Adam(beta1=0.8),
        learning_rate=ExponentialDecay(0.3, 0.5),
    ),
}


@pytest.fixture(autouse=True)
def small_work_is_shared_too():
    """Not here: workers are processes of their own, and share work as it is without a patch."""


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def assert_same_model(a, b):
    for name in a._fitted_shapes:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def here_and_there(search):
    """A search made in this process, and by the workers."""
    here = clone(search).fit(X)
    with joblib.parallel_config(backend="dask"):
        there = clone(search).fit(X)
    return here, there


def assert_same_search(here, there):
    assert there.best_index_ == here.best_index_
    assert str(there.best_params_) == str(here.best_params_)  # strategies may be among them
    for name, values in here.cv_results_.items():
        if name.startswith(("split", "mean_test", "std_test", "rank")):
            np.testing.assert_array_equal(there.cv_results_[name], values, err_msg=name)
    assert_same_model(there.best_estimator_, here.best_estimator_)


@pytest.mark.slow
def test_a_grid(client, estimator):
    grid = {"n_components": [2, 6], "batch_size": [10, 30]}
    assert_same_search(*here_and_there(GridSearchCV(estimator, grid, cv=2)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("pcd", {"negative_phase__n_gibbs_steps": [1, 3], "optimizer__momentum": [0.0, 0.9]}),
        ("RARBM", {"negative_phase": ["pid", ParallelTempering(n_columns=4)]}),
    ],
)
def test_a_grid_of_strategies(client, name, grid):
    assert_same_search(*here_and_there(GridSearchCV(ESTIMATORS[name], grid, cv=2)))


@pytest.mark.slow
def test_a_halving_grid(client, estimator):
    grid = {"n_components": [2, 3, 4, 6]}
    how = {"resource": "max_iter", "max_resources": 4, "min_resources": 1, "cv": 2}
    search = HalvingGridSearchCV(estimator, grid, factor=2, random_state=0, **how)
    here, there = here_and_there(search)
    assert there.n_iterations_ == here.n_iterations_ > 1
    assert_same_search(here, there)


def test_cross_validation(client, estimator):
    here = cross_val_score(estimator, X, cv=3)
    with joblib.parallel_config(backend="dask"):
        there = cross_val_score(estimator, X, cv=3)
    np.testing.assert_array_equal(there, here)


def test_callbacks_go_to_the_workers(client, estimator, tmp_path):
    """One that does nothing, and one that writes files."""
    estimator.set_callbacks(Silent(), Checkpoint(tmp_path, n_kept=1))
    search = GridSearchCV(estimator, {"n_components": [2, 4]}, cv=2, refit=False)
    with joblib.parallel_config(backend="dask"):
        search.fit(X)
    models = [Checkpoint.load(path) for path in sorted(tmp_path.iterdir())]
    assert sorted(len(model.components_) for model in models) == [2, 2, 4, 4]
    assert {model.n_iter_ for model in models} == {HOW["max_iter"]}


# --- threads ----------------------------------------------------------------------------


def threads_of_a_fit():
    """Of the backend that a fit of this moment has."""
    return RBM(**HOW)._backend().n_threads


def test_a_fit_takes_the_thread_of_its_task(client):
    assert client.submit(threads_of_a_fit, pure=False).result() == 1
    with joblib.parallel_config(backend="dask"):
        got = joblib.Parallel()(joblib.delayed(threads_of_a_fit)() for _ in range(4))
    assert got == [1] * 4


def see_four_processors():
    joblib.cpu_count = lambda: 4


def threads_when_all_have_come(n_tasks):
    """What a task may use while so many run at once."""
    from distributed import get_worker

    state, give_up = get_worker().state, time.monotonic() + 30.0
    while len(state.executing) < n_tasks and time.monotonic() < give_up:
        time.sleep(0.001)
    n_threads = available_threads()
    time.sleep(0.2)  # until the others have looked
    return n_threads


@pytest.mark.slow
@pytest.mark.parametrize("processes", [True, False])
def test_tasks_of_a_worker_share_its_threads(client, processes, monkeypatch, tmp_path):
    """BLAS has one thread in workers that are processes; ours are as many as the worker's."""
    from distributed import Client, LocalCluster

    how = {"dashboard_address": ":0", "local_directory": str(tmp_path)}
    monkeypatch.setattr(joblib, "cpu_count", joblib.cpu_count)  # put back what a thread changes
    with (
        LocalCluster(n_workers=1, threads_per_worker=4, processes=processes, **how) as cluster,
        Client(cluster, set_as_default=False) as made,
    ):
        made.run(see_four_processors)
        for n_tasks, share in [(1, 4), (2, 2), (3, 1), (4, 1)]:
            numbers = [n_tasks] * n_tasks
            futures = made.map(threads_when_all_have_come, numbers, pure=False)
            assert made.gather(futures) == [share] * n_tasks
