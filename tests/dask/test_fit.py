"""Fits over many workers: they end as the local ones."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("distributed")
import dask
import dask.array as da
import dask.dataframe as dd
import pandas as pd
from distributed import wait
from sklearn.base import clone
from tools.callbacks import Silent

from sklearn_rapid import RARBM, RBM, callbacks, load, save
from sklearn_rapid.dask import DaskRARBM, DaskRBM
from sklearn_rapid.dask._run import DaskRun
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    NegativePhase,
    ParallelTempering,
    PatternInducedCorrelations,
)
from sklearn_rapid.training.optimizers import SGD

RNG = np.random.default_rng(0)
N, V = 1010, 20
CENTRES = RNG.integers(2, size=(4, V))
X = (CENTRES[RNG.integers(4, size=N)] ^ (RNG.random((N, V)) < 0.1)).astype(np.uint8)
# Probabilities, of which fresh samples are drawn in each update.
P = 0.1 + 0.8 * X
PHASES = {
    "pt": "auto",
    "columns": ParallelTempering(n_chains=30, n_columns=7, n_sweeps=2),
    "pcd": "pcd",
    "cd": ContrastiveDivergence(n_gibbs_steps=3),
    "pid": "pid",
    "restarted": PatternInducedCorrelations(n_gibbs_steps=2, persistent=False),
    "pure": PatternInducedCorrelations(n_gibbs_steps=0, persistent=False),
    "pure-pattern": PatternInducedCorrelations(0, persistent=False, hidden="pattern"),
}
# Sums that are added in another order differ in their last digits. Sooner or later a random number
# falls between two probabilities that differ by that, and the models part: in float32 after some
# hundred updates of models like these, in float64 after some 10^9.
HOW = {"max_iter": 2, "random_state": 0, "dtype": "float64"}
ROUNDING = {"rtol": 0.0, "atol": 1e-11}


@pytest.fixture(scope="module", params=[1, 2, 4])
def n_workers(request, tmp_path_factory):
    from conftest import workers

    with workers(request.param, tmp_path_factory.mktemp("workers")):
        yield request.param


def chunked(values, sizes=(130, 400, 170, 310)):
    return da.from_array(values, chunks=(sizes, -1))


def assert_same_model(a, b, **rounding):
    for name in a._fitted_shapes:
        np.testing.assert_allclose(
            getattr(b, name), getattr(a, name), **(rounding or ROUNDING), err_msg=name
        )


def both(cls, sizes, **how):
    """The local class with these settings, and the one on Dask."""
    on_dask = {RBM: DaskRBM, RARBM: DaskRARBM}[cls]
    return cls(*sizes, **HOW, **how), on_dask(*sizes, **HOW, **how)


# --- the model of one machine -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("values", [X, P], ids=["spins", "means"])
def test_any_number_of_workers_ends_as_one_machine(n_workers, phase, values):
    """RBM and RARBM, every negative phase: 22 updates, ladders that change meanwhile."""
    projection = {"projection": "sign"} if phase.startswith("pure") else {}
    models = [(RARBM, (12, 6), projection)]
    if not PHASES[phase] == "pid" and not isinstance(PHASES[phase], PatternInducedCorrelations):
        models.append((RBM, (12,), {}))
    for cls, sizes, how in models:
        local, remote = both(cls, sizes, negative_phase=PHASES[phase], **how)
        local.fit(values)
        remote.fit(chunked(values))
        assert_same_model(local, remote)
        for name, value in local.history_.items():
            if name != "seconds":
                np.testing.assert_allclose(remote.history_[name], value, atol=1e-9, err_msg=name)


SETTINGS = {
    "plain": {"optimizer": SGD(scaled=False), "learning_rate": 0.01},
    "momentum": {"optimizer": SGD(momentum=0.5)},
    "adam": {"optimizer": "adam", "learning_rate": 1e-3},
    "penalties": {"l1_penalty": 2.0, "l2_penalty": 1.0},
    "not centred": {"center": False},
    "no intercepts": {"fit_intercept": False},
    "in order": {"shuffle": False},
    "means": {"binarize": None},
    "whole ladder": {"max_iter": 12, "batch_size": 60},
    "stopped early": {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 4},
    "one batch": {"batch_size": N, "negative_phase": "pcd"},
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_settings(client, cls, setting, monkeypatch):
    # Heavy rows join the chains of one machine only.
    phase = ParallelTempering
    monkeypatch.setattr(phase, "with_known_states", NegativePhase.with_known_states)
    how = SETTINGS[setting]
    sizes = (8,) if cls is RBM else (8, 5)
    local, remote = both(cls, sizes)
    local.set_params(**how).fit(X)
    remote.set_params(**how).fit(chunked(X))
    assert_same_model(local, remote, rtol=0.0, atol=1e-9)
    assert local.n_iter_ == remote.n_iter_
    if "log_likelihood" in local.history_:
        np.testing.assert_allclose(
            remote.history_["log_likelihood"], local.history_["log_likelihood"], atol=1e-6
        )


def test_spins(client):
    local, remote = both(RBM, (8,), units="spin")
    assert_same_model(local.fit(2.0 * X - 1.0), remote.fit(chunked(2.0 * X - 1.0)))


def test_weights(client):
    weights = np.random.default_rng(1).integers(3, size=N).astype(float)
    local, remote = both(RBM, (8,))
    local.fit(X, sample_weight=weights)
    remote.fit(chunked(X), sample_weight=da.from_array(weights, chunks=100))
    assert_same_model(local, remote, rtol=0.0, atol=1e-9)


def test_single_precision(client):
    """Two updates: about one draw in 10^7 would show that sums were rounded otherwise."""
    how = {"dtype": "float32", "max_iter": 1}
    local, remote = (model.set_params(**how) for model in both(RARBM, (12, 6)))
    local.fit(X[:200])
    remote.fit(da.from_array(X[:200], chunks=(70, -1)))
    assert_same_model(local, remote, rtol=0.0, atol=1e-5)


@pytest.mark.slow
def test_a_second_fit_goes_on_from_the_first(client):
    local, remote = both(RBM, (8,), warm_start=True)
    for _ in range(2):
        local.fit(X)
        remote.fit(chunked(X))
    assert_same_model(local, remote)
    assert len(remote.history_["epoch"]) == 4


def test_rows_that_are_held_already_stay_where_they_are(client):
    rows = chunked(X).persist()
    wait(rows)
    where = {str(key): value for key, value in client.who_has(rows).items()}
    local, remote = both(RBM, (8,))
    assert_same_model(local.fit(X), remote.fit(rows))
    assert {str(key): value for key, value in client.who_has(rows).items()} == where


@pytest.mark.slow
def test_a_fit_that_was_cut_short_goes_on(client):
    class Stop(Silent):
        """Ends the fit after its first epoch."""

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch"

    local, remote = both(RBM, (8,))
    remote.set_callbacks(Stop()).fit(chunked(X))
    assert remote.n_iter_ == 1
    remote.set_callbacks()
    with pytest.raises(ValueError, match="digest"):
        callbacks.resume(remote, chunked(1 - X))
    callbacks.resume(remote, chunked(X))
    assert_same_model(local.fit(X), remote)


# --- streams ----------------------------------------------------------------------------------


def test_few_blocks_at_a_time(client):
    """An epoch over blocks in random order is that of a fit on rows in that order."""
    local, remote = both(RBM, (8,))
    settings = {"max_iter": 1, "batch_size": 50, "negative_phase": "pcd"}
    rows = da.from_array(X[:800], chunks=(100, -1))
    remote.set_params(**settings, blocks_at_once=2).fit(rows)
    order = np.concatenate([rows for _, rows in windows_of(remote, rows, client)])
    assert sorted(order) == list(range(800))
    assert not np.array_equal(order // 200, np.arange(800) // 200)
    assert all(len(set(group // 100)) == 2 for group in order.reshape(4, 200))
    local.set_params(**settings, shuffle=False).fit(X[order])
    assert_same_model(local, remote)


def windows_of(model, rows, client):
    from sklearn_rapid.dask._rows import as_remote_rows

    run = DaskRun.__new__(DaskRun)
    run.plan = type("Plan", (), {"estimator": model})
    run.X = as_remote_rows(client, rows)
    run.seed, run.state, run.shuffle = model._training_state["stream"].seed, None, True
    run.weights = None
    run.split = type("Split", (), {"train": None})
    run.trainer = type("Trainer", (), {"batch_size": model.batch_size})
    return list(run._windows())


@pytest.mark.slow
def test_streams_do_not_depend_on_the_number_of_workers(fresh_workers):
    models = []
    for n in (1, 3):
        with fresh_workers(n):
            model = DaskRARBM(12, 6, blocks_at_once=3, early_stopping=True, **HOW)
            models.append(model.fit(da.from_array(X, chunks=(101, -1))))
    assert_same_model(*models)


@pytest.mark.slow
def test_no_more_blocks_are_held_than_were_asked_for(client):
    seen = []

    class Watched(DaskRBM):
        def _run_class(self, rows):
            run_of = super()._run_class(rows)
            if run_of is not DaskRun:
                return run_of
            hold = rows.hold

            def watched(blocks, workers):
                hold(blocks, workers)
                seen.append(len(rows._held))

            rows.hold = watched
            return run_of

    Watched(8, blocks_at_once=2, **HOW).fit(da.from_array(X, chunks=(101, -1)))
    # Two in use, two that are read meanwhile.
    assert max(seen) == 4


# --- a fitted model ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(client):
    local, remote = both(RBM, (8,))
    return local.fit(X), remote.fit(chunked(X))


def test_a_local_model_comes_of_it(fitted):
    local, remote = fitted
    plain = remote.to_local()
    assert type(plain) is RBM
    assert_same_model(local, plain)
    np.testing.assert_allclose(plain.transform(X), local.transform(X), atol=1e-10)
    assert plain.get_params() == local.get_params()
    again = pickle.loads(pickle.dumps(plain)).partial_fit(X[:100])
    assert again.history_["epoch"] == [0, 1, 2]  # a call of partial_fit counts


def test_rows_are_transformed_and_scored_when_they_are_asked_for(fitted):
    local, remote = fitted
    for method in ("transform", "score_samples", "free_energy"):
        wanted = getattr(local, method)(X)
        lazy = getattr(remote, method)(chunked(X))
        assert isinstance(lazy, da.Array)
        assert lazy.shape == wanted.shape and lazy.dtype == wanted.dtype
        assert lazy.chunks[0] == (130, 400, 170, 310)
        np.testing.assert_allclose(lazy.compute(), wanted, atol=1e-9)
        assert isinstance(getattr(remote, method)(X), np.ndarray)
    assert remote.score(chunked(X)) == pytest.approx(local.score(X), abs=1e-9)


def test_rows_with_gaps_are_refused(fitted):
    """They would want bounds and estimates, which a lazy result does not tell of."""
    _, remote = fitted
    gaps = X.astype(float)
    gaps[500, 3] = np.nan
    with pytest.raises(ValueError, match="partition 1 of X holds NaN or infinity in column 3"):
        clone(remote).fit(chunked(gaps))
    for method in ("transform", "score_samples"):
        with pytest.raises(ValueError, match="X contains NaN"):
            getattr(remote, method)(chunked(gaps)).compute()
    assert not remote.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.slow
def test_samples_come_in_blocks(fitted):
    _, remote = fitted
    lazy = remote.sample(250, chunk=100, random_state=0)
    assert lazy.chunks == ((100, 100, 50), (V,))
    first, again = lazy.compute(), remote.sample(250, chunk=100, random_state=0).compute()
    np.testing.assert_array_equal(first, again)
    assert set(np.unique(first)) == {0.0, 1.0}
    assert not np.array_equal(first[:100], first[100:200])
    assert remote.sample(3, random_state=0).shape == (3, V)


@pytest.mark.slow
def test_log_z_of_many_workers(fitted):
    """Against enumeration: four errors, which chance exceeds once in 16,000."""
    _, remote = fitted
    exact = remote.log_partition("exact").value
    for method in ("tempering", "ais"):
        estimate = remote.log_partition(method, tol=0.05)
        assert estimate.is_trusted
        assert estimate.error <= 0.2
        assert abs(estimate.value - exact) < 4 * estimate.error
        assert estimate.n_chains == {"tempering": 48, "ais": 400}[method]
        assert estimate.value == remote.log_partition(method, tol=0.05).value


@pytest.mark.slow
def test_estimates_do_not_share_what_workers_forget(fitted, client, monkeypatch):
    """Workers told to forget one's model would forget that of the next one, had they one key."""
    _, remote = fitted
    keys, scatter = [], client.scatter

    def watched(*args, **how):
        kept = scatter(*args, **how)
        keys.append(kept.key)
        return kept

    monkeypatch.setattr(client, "scatter", watched)
    for _ in range(2):
        remote.log_partition("ais", tol=0.5)
    assert len(set(keys)) == 2


@pytest.mark.slow
def test_frames(client):
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(V)])
    local, remote = both(RBM, (8,))
    local.fit(frame)
    remote.fit(dd.from_pandas(frame, npartitions=3))
    assert_same_model(local, remote)
    assert list(remote.feature_names_in_) == list(frame.columns)
    lazy = remote.transform(dd.from_pandas(frame, npartitions=3))
    np.testing.assert_allclose(lazy.compute(), local.transform(frame), atol=1e-10)


def test_clones_and_pickles(client):
    model = DaskRBM(8, client=client, blocks_at_once=2, **HOW)
    copy = clone(model)
    assert copy.client is client and copy.get_params() == model.get_params()
    assert model.client is client
    back = pickle.loads(pickle.dumps(model))
    assert back.client is None and back.blocks_at_once == 2
    assert model.set_params(n_components=3).n_components == 3
    assert "DaskRBM(" in repr(model)
    with pytest.raises(TypeError, match="n_units"):
        DaskRBM(n_units=3)


# --- where rows come from, and where models go ------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zarr", "parquet", "memory map"])
def test_rows_on_disk(client, tmp_path, kind):
    """They are read as they are needed, and the model is that of the same rows in memory."""
    if kind == "zarr":
        pytest.importorskip("zarr")
        da.from_array(X[:1000], chunks=(100, -1)).to_zarr(str(tmp_path / "rows.zarr"))
        rows = da.from_zarr(str(tmp_path / "rows.zarr"))
    elif kind == "parquet":
        frame = pd.DataFrame(X[:1000], columns=[f"x{i}" for i in range(V)])
        for i in range(10):
            frame[100 * i : 100 * (i + 1)].to_parquet(tmp_path / f"rows.{i}.parquet")
        rows = dd.read_parquet(str(tmp_path))
    else:
        stored = np.memmap(tmp_path / "rows", dtype=np.uint8, mode="w+", shape=(1000, V))
        stored[:] = X[:1000]
        stored.flush()
        blocks = [
            da.from_delayed(dask.delayed(part_of)(str(tmp_path / "rows"), i), (100, V), np.uint8)
            for i in range(10)
        ]
        rows = da.concatenate(blocks)
    settings = {"blocks_at_once": 3, **HOW}
    wanted = DaskRBM(8, **settings).fit(da.from_array(X[:1000], chunks=(100, -1)))
    assert_same_model(wanted, DaskRBM(8, **settings).fit(rows), rtol=0.0, atol=0.0)


def part_of(path, i):
    return np.memmap(path, dtype=np.uint8, mode="r", shape=(1000, V))[100 * i : 100 * (i + 1)]


@pytest.mark.slow
def test_checkpoints(client, tmp_path):
    """A fit goes on from a file of its second epoch as if it had not been interrupted."""
    model = DaskRBM(8, **{**HOW, "max_iter": 4})
    model.set_callbacks(callbacks.Checkpoint(tmp_path, n_kept=4)).fit(chunked(X))
    second = sorted(tmp_path.glob("*"))[1]
    again = callbacks.resume(str(second), chunked(X))
    assert type(again) is DaskRBM and again.n_iter_ == 4
    assert_same_model(model, again)


@pytest.mark.slow
def test_files(fitted, tmp_path):
    """What is written is the local model."""
    local, remote = fitted
    save(remote.to_local(), tmp_path / "model.safetensors")
    assert_same_model(local, load(tmp_path / "model.safetensors"))
