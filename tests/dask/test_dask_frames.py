"""Data frames of Dask, and arrays of codes and numbers: the tables and models of the same rows."""

from __future__ import annotations

import os
import signal
import threading
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from tools.callbacks import Silent
from tools.equality import assert_same

pytest.importorskip("distributed")
import dask.array as da
import dask.dataframe as dd
from distributed import wait

from sklearn_rapid import RARBM, RBM, callbacks
from sklearn_rapid.dask import DaskRARBM, DaskRBM, _first_rows, _summaries
from sklearn_rapid.tables.reals.maps import count_decimals
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.negative_phase import ContrastiveDivergence

N = 1010
HOW = {"max_iter": 2, "random_state": 0, "dtype": "float64", "negative_phase": "pcd"}
ROUNDING = {"rtol": 0.0, "atol": 1e-11}
CODES = ["text", "bool", "two", "codes", "category", "numbers"]
LEARNED = ["visible_", "categories_", "frame_", "infrequent_categories_", "infrequent_shares_"]
LEARNED += ["unseen_shares_", "spikes_", "decimals_", "feature_names_in_", "n_features_in_"]


def make_frame(n=N):
    """Rows sorted by a hidden class, so that partitions lack some categories."""
    rng = np.random.default_rng(0)
    k = np.sort(rng.integers(3, size=n))
    frame = pd.DataFrame(
        {
            "text": np.array(["red", "green", "blue"])[k],
            "bool": rng.random(n) < 0.3 + 0.2 * k,
            "two": np.where(rng.random(n) < 0.4, 3, 7),
            "codes": rng.binomial(6, 0.2 + 0.2 * k),
            "category": pd.Categorical(np.array(list("pqr"))[rng.integers(3, size=n)]),
            "numbers": pd.Categorical(1 + k),
            "real": rng.normal(size=n) + k,
            "rounded": rng.poisson(30, size=n),
            "spiked": np.where(rng.random(n) < 0.3, 0.0, rng.exponential(size=n)),
        }
    )
    return frame


def lazy(frame, n=4):
    return dd.from_pandas(frame, npartitions=n, sort=False)


@pytest.fixture(scope="module")
def frames():
    """Rows in partitions, and in memory, of the dtypes that Dask gives them."""
    rows = lazy(make_frame())
    return rows, rows.compute(scheduler="synchronous")


def assert_same_model(local, remote, **rounding):
    names = [*local._fitted_shapes, "scale_", "mean_"]
    for name in [name for name in names if hasattr(local, name)]:
        np.testing.assert_allclose(
            getattr(remote, name), getattr(local, name), **(rounding or ROUNDING), err_msg=name
        )


def assert_same_columns(local, remote):
    for name in LEARNED:
        assert_same(vars(local).get(name), vars(remote).get(name), name)


def fit_both(rows, remote_rows, sizes=(6,), sample_weight=None, **how):
    cls, on_dask = {1: (RBM, DaskRBM), 2: (RARBM, DaskRARBM)}[len(sizes)]
    local = cls(*sizes, **{**HOW, **how}).fit(rows, sample_weight=sample_weight)
    remote = on_dask(*sizes, **{**HOW, **how}).fit(remote_rows, sample_weight=sample_weight)
    return local, remote


@pytest.fixture(scope="module")
def fitted(client, frames):
    """Local and remote models of all columns."""
    rows, in_memory = frames
    return fit_both(in_memory, rows)


# --- the model of one machine -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(6,), (6, 4)], ids=["matrix", "patterns"])
def test_codes_end_as_on_one_machine(client, frames, sizes):
    rows, in_memory = (frame[CODES] for frame in frames)
    local, remote = fit_both(in_memory, rows, sizes, negative_phase="auto")
    assert [kind for kind, _ in remote.visible_] == ["binary", "categorical"]
    assert_same_columns(local, remote)
    assert_same_model(local, remote)


@pytest.mark.slow
def test_real_columns_end_as_on_one_machine(fitted):
    """Their scales move with sums over the rows of all workers."""
    local, remote = fitted
    kinds = {kind: columns.tolist() for kind, columns in remote.visible_}
    assert (kinds["real"], kinds["spiked"]) == ([6, 7], [8])
    assert_same_columns(local, remote)
    assert_same_model(local, remote)
    before = RBM(6, **{**HOW, "learning_rate": 1e-12}).fit(make_frame())
    assert not np.allclose(remote.scale_, before.scale_, rtol=1e-3)


SETTINGS = {
    "weights": {"sample_weight": np.random.default_rng(1).integers(3, size=N).astype(float)},
    "spins": {"units": "spin"},
    "rare": {"min_frequency": 50, "handle_unknown": "infrequent"},
    "declared": {"categories": {"text": ["blue", "red", "green", "white"], "codes": range(9)}},
    "gaussian": {"visible": {"real": "gaussian", "rounded": "quantile"}},
    "stopped early": {"early_stopping": True, "negative_phase": "auto"},
    "patterns": {"sizes": (6, 4)},
    "tempered": {"negative_phase": "auto"},
    "cd": {"negative_phase": ContrastiveDivergence(n_gibbs_steps=2)},
    "few rows": {"batch_size": 3, "max_iter": 1},
    "averaged": {"max_iter": 10},
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(client, frames, setting):
    rows, in_memory = frames
    local, remote = fit_both(in_memory, rows, **SETTINGS[setting])
    assert_same_columns(local, remote)
    assert_same_model(local, remote, rtol=0.0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 3])
def test_numbers_of_workers(fresh_workers, frames, n_workers):
    rows, in_memory = frames
    with fresh_workers(n_workers):
        assert_same_model(*fit_both(in_memory, rows, negative_phase="auto"))


def test_frames_of_numbers_alone_stay_small(client):
    """Zeros and ones are held as they are, not as eight times as many bytes."""
    frame = (make_frame()[["bool", "two"]] == [True, 3]).astype(np.uint8)
    seen = []

    class Watched(DaskRBM):
        def _run_class(self, rows):
            seen.append(rows.dtype)
            return super()._run_class(rows)

    remote = Watched(4, **HOW).fit(lazy(frame))
    assert_same_model(RBM(4, **HOW).fit(frame), remote)
    assert seen == [np.uint8]


ARRAYS = {
    "codes": (["codes", "two"], "categorical"),
    "list": (["codes", "real", "spiked"], [("categorical", [0]), ("real", [1, 2])]),
    "dict": (["codes", "real", "bool"], {0: "categorical", 1: "gaussian"}),
    "real": (["real", "rounded", "spiked"], "real"),
}


@pytest.mark.parametrize(
    "which", ["dict", *(pytest.param(k, marks=pytest.mark.slow) for k in ARRAYS)]
)
def test_arrays(client, which):
    columns, visible = ARRAYS[which]
    X = make_frame()[columns].to_numpy(dtype=float)
    remote_rows = da.from_array(X, chunks=((130, 400, 480), -1))
    local, remote = fit_both(X, remote_rows, visible=visible)
    assert_same_columns(local, remote)
    assert_same_model(local, remote)
    scores = remote.score_samples(remote_rows)
    np.testing.assert_allclose(scores.compute(), local.score_samples(X), atol=1e-9)


@pytest.mark.slow
def test_gaussian_hidden_units(client, frames):
    rows, in_memory = (frame[CODES] for frame in frames)
    assert_same_model(*fit_both(in_memory, rows, hidden="gaussian"))


def test_a_fit_that_is_repeated_starts_anew(client, monkeypatch):
    """With shorter steps, because it has ended below independent columns: here, it is told so."""
    X = np.random.default_rng(0).random((200, 4)) < 0.3
    compare, seen = Run.compare_with_independent, []

    def told(run):
        found = compare(run)
        seen.append(found)
        # By far at first, and not at all then.
        score = found.independent + (10.0 if len(seen) % 2 == 0 else -10.0)
        return type(found)(score, 0.0, found.independent, found.log_z)

    monkeypatch.setattr(Run, "compare_with_independent", told)
    how = {"random_state": 0, "dtype": "float64", "max_iter": 10}
    with pytest.warns(match="It was repeated with steps 0.1 as long"):
        local = RBM(3, **how).fit(X)
    with pytest.warns(match="It was repeated with steps 0.1 as long"):
        remote = DaskRBM(3, **how).fit(da.from_array(X, chunks=(60, -1)))
    assert_same_model(local, remote, rtol=0.0, atol=1e-9)


# --- rows from which a table is learned -------------------------------------------------------


@pytest.fixture
def few_first_rows(monkeypatch):
    monkeypatch.setattr(_first_rows, "MOST_ROWS", 400)


def test_tables_of_more_rows_than_are_looked_at(client, few_first_rows):
    """Categories, shares, ends and decimals are those of all rows, however rare; real columns are
    measured from some.

    The mean of these is further off than five standard errors once in two million times.
    """
    frame = make_frame()
    rounded = frame["rounded"].astype(float)
    rounded[700] += 0.125
    real = frame["real"]
    real[[333, 777]] = -9.0, 9.0
    frame = frame.assign(
        rounded=rounded, real=real, text=frame["text"].where(frame.index != 5, "x")
    )
    rows = lazy(frame)
    settings = {"min_frequency": 0.02, "handle_unknown": "infrequent", "max_iter": 1}
    local, remote = fit_both(rows.compute(scheduler="synchronous"), rows, **settings)
    assert_same_columns(local, remote)
    assert remote.unseen_shares_[0] > 0.0 and "x" in remote.infrequent_categories_[0]
    for j in (6, 7, 8):
        np.testing.assert_array_equal(remote.maps_[j][0][[0, -1]], local.maps_[j][0][[0, -1]])
    # Units in the order of the kinds: two real columns, then those of the spiked one.
    n_codes = sum(len(local.categories_[j]) for j in (0, 3, 4, 5))
    x = frame["real"].to_numpy()
    to_value = np.interp(remote.mean_[-5], *remote.maps_[6][::-1])
    assert n_codes > 0 and abs(to_value - x.mean()) < 5.0 * x.std() / np.sqrt(400)


@pytest.mark.slow
def test_codes_of_more_rows_than_are_looked_at(client, few_first_rows, frames):
    rows, in_memory = (frame[CODES] for frame in frames)
    local, remote = fit_both(in_memory, rows)
    assert_same_columns(local, remote)
    assert_same_model(local, remote)


@pytest.mark.slow
def test_real_columns_of_more_rows_than_are_looked_at(client, few_first_rows, frames):
    """They start at other moments, and end at the same likelihood.

    Seven of eight local fits of other seeds have it to 0.06 nats a row.
    """
    rows, in_memory = frames
    local, remote = fit_both(in_memory, rows, max_iter=10)
    assert abs(remote.score(rows) - local.score(in_memory)) < 0.15


def test_weights_of_first_rows(client, few_first_rows):
    """They add up to the number of rows, and rows of weight zero are not drawn."""
    frame, weights = make_frame(), np.zeros(N)
    weights[200:260] = 2.0
    from sklearn_rapid.dask._rows import as_remote_rows

    rows = as_remote_rows(client, lazy(frame[["real", "two"]]))
    first = _first_rows.find_first_rows(rows, ["real", "two"], [20, 20], None)
    assert np.all(np.diff(first.numbers) > 0) and len(first.numbers) < 440
    pd.testing.assert_frame_equal(first.rows, frame.iloc[first.numbers][["real", "two"]])
    assert first.weights.sum() == pytest.approx(N)
    for value, count in frame["two"].value_counts().items():
        assert first.counts[first.rows["two"] == value, 1].sum() == count
    drawn = _first_rows.find_first_rows(rows, ["real", "two"], [20, 20], weights)
    assert np.count_nonzero(weights[drawn.numbers]) == 60
    assert drawn.weights_given(weights).sum() == pytest.approx(120.0)


@pytest.mark.parametrize("n_values", [1, 2, 20, 21, 300])
@pytest.mark.parametrize("limit", [20, 1000])
@pytest.mark.parametrize("holds", ["numbers", "text"])
def test_summaries_of_blocks_say_what_all_rows_say(n_values, limit, holds, monkeypatch):
    rng = np.random.default_rng(n_values)
    values = np.round(rng.normal(size=n_values), 3)
    values[:1] = 0.0625
    x = values[np.minimum(rng.geometric(0.05, size=3000) - 1, n_values - 1)]
    column = x if holds == "numbers" else np.char.add("v", x.astype(str)).astype(object)
    monkeypatch.setattr(_summaries, "MOST_VALUES", limit)
    cuts = [0, 700, 1500, 3000]
    parts = []
    for start, stop in pairwise(cuts):
        block = pd.DataFrame({"x": column[start:stop]})
        own = _summaries.summarize_block(block, np.array([0]), [limit]).columns[0]
        parts.append(
            _summaries.ColumnSummary(own.values, own.rows + start, own.counts, own.are_all)
        )
    got = _summaries.merge_summaries(parts, limit)
    wanted, first, counts = np.unique(column, return_index=True, return_counts=True)
    assert got.are_all == (len(wanted) <= limit)
    np.testing.assert_array_equal(column[got.rows], got.values)
    if got.are_all:
        order = np.argsort(got.values)
        np.testing.assert_array_equal(got.values[order], wanted)
        np.testing.assert_array_equal(got.rows[order], first)
        np.testing.assert_array_equal(got.counts[order], counts)
    else:
        assert len(set(got.values)) > limit
    if holds == "numbers":
        assert {x.min(), x.max()} <= set(got.values)
        assert count_decimals(got.values) == count_decimals(x)


def test_categories_of_partitions_differ(client):
    """Dask leaves them so where it reads files: they are joined, as where it computes all rows."""
    parts = [pd.DataFrame({"c": pd.Categorical(list(v) * 30)}) for v in ("ab", "bc", "da")]
    rows = dd.from_map(lambda i: parts[i], range(3), meta=parts[0].iloc[:0])
    in_memory = rows.compute(scheduler="synchronous")
    local, remote = fit_both(in_memory, rows)
    assert_same_columns(local, remote)
    assert_same_model(local, remote)


# --- later rows -------------------------------------------------------------------------------


def test_later_frames(fitted, frames):
    local, remote = fitted
    rows, in_memory = frames
    for method in ("transform", "score_samples", "free_energy"):
        found = getattr(remote, method)(rows)
        assert isinstance(found, da.Array)
        np.testing.assert_allclose(found.compute(), getattr(local, method)(in_memory), atol=1e-9)
    assert remote.score(rows) == pytest.approx(local.score(in_memory), abs=1e-9)
    with pytest.warns(UserWarning, match="pulled into memory whole"):
        completed = remote.reconstruct(rows, random_state=0)
    assert completed.dtypes.to_dict() == in_memory.dtypes.to_dict()


def test_values_not_seen_in_fit(client, fitted, frames):
    rows, in_memory = frames
    other = in_memory.assign(text=in_memory["text"].where(in_memory.index != 900, "white"))
    _, remote = fitted
    with pytest.raises(ValueError, match="X has the value 'white' in column 'text'"):
        remote.transform(lazy(other)).compute()
    local, remote = fit_both(in_memory[CODES], rows[CODES], handle_unknown="infrequent", max_iter=1)
    found = remote.score_samples(lazy(other[CODES])).compute()
    np.testing.assert_allclose(found, local.score_samples(other[CODES]), atol=1e-9)
    assert np.isfinite(found).all()


@pytest.mark.slow
def test_samples_are_frames_in_blocks(fitted, frames):
    (_, remote), (_, in_memory) = fitted, frames
    drawn = remote.sample(25, chunk=10, random_state=0)
    assert isinstance(drawn, dd.DataFrame) and drawn.npartitions == 3
    assert drawn.dtypes.to_dict() == in_memory.dtypes.to_dict()
    first, again = drawn.compute(), remote.sample(25, chunk=10, random_state=0).compute()
    pd.testing.assert_frame_equal(first, again)
    assert first.shape == (25, 9)
    for name in CODES:
        assert set(first[name]) <= set(in_memory[name])
    assert not first.iloc[:10].equals(first.iloc[10:20])
    for name, value in {"conditions": in_memory[:2], "return_travels": True}.items():
        with pytest.raises(ValueError, match=f"with chunk, leave {name} out"):
            remote.sample(25, chunk=10, **{name: value})
    arrays = remote.to_local().set_output(transform="default")
    assert isinstance(arrays.sample(3, random_state=0), np.ndarray)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["text", "category", "real", "codes"])
def test_missing_entries_are_refused(client, frames, column):
    _, in_memory = frames
    gaps = in_memory.astype({"codes": "Int64"})
    gaps.loc[300, column] = pd.NA if column == "codes" else np.nan
    with pytest.raises(ValueError, match=f"partition 1 of X has missing entries .* '{column}'"):
        DaskRBM(3, **HOW).fit(lazy(gaps))


def test_columns_that_name_rows_are_refused(client, frames, few_first_rows, monkeypatch):
    _, in_memory = frames
    named = lazy(in_memory[["bool"]].assign(name=[f"n{i}" for i in range(N)]))
    with pytest.raises(ValueError, match="'name' has 1010 different values in 1010 rows"):
        DaskRBM(3, **HOW).fit(named)
    monkeypatch.setattr(_first_rows, "MOST_VALUES", 500)
    with pytest.raises(ValueError, match="'name' has more than 500 different values"):
        DaskRBM(3, **HOW).fit(named)


def test_what_was_fitted_before_stays(fitted):
    _, remote = fitted
    before = dict(vars(remote))
    other = lazy(make_frame().assign(t=pd.Timestamp("2020-01-01")))
    with pytest.raises(ValueError, match="column 't' of X holds dates"):
        remote.fit(other)
    assert vars(remote) == before


# --- where rows come from ---------------------------------------------------------------------


@pytest.mark.slow
def test_frames_that_are_held_already_stay_where_they_are(client, frames):
    rows, in_memory = frames
    persisted = rows.persist()
    wait(persisted)
    where = client.who_has(persisted)
    local, remote = fit_both(in_memory, persisted)
    assert_same_model(local, remote)
    assert client.who_has(persisted) == where and len(where) == 4


@pytest.mark.slow
def test_few_blocks_of_files_at_a_time(client, frames, tmp_path):
    _, in_memory = frames
    for i in range(5):
        in_memory[202 * i : 202 * (i + 1)].to_parquet(tmp_path / f"rows.{i}.parquet")
    how = {**HOW, "blocks_at_once": 2}
    wanted = DaskRBM(6, **how).fit(lazy(in_memory, 5))
    found = DaskRBM(6, **how).fit(dd.read_parquet(str(tmp_path)))
    assert_same_model(wanted, found, rtol=0.0, atol=0.0)
    one_block = {"shuffle": False, "max_iter": 1}
    local = RBM(6, **{**HOW, **one_block}).fit(in_memory)
    remote = DaskRBM(6, **{**HOW, **one_block, "blocks_at_once": 5}).fit(lazy(in_memory, 5))
    assert_same_model(local, remote)


@pytest.mark.slow
def test_fits_that_go_on(client, frames):
    """After an earlier fit, and after one that was cut short; and the table stays as it was."""

    class Stop(Silent):
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch"

    rows, in_memory = frames
    local, remote = (cls(6, **HOW, warm_start=True) for cls in (RBM, DaskRBM))
    for _ in range(2):
        local.fit(in_memory)
        remote.fit(rows)
    assert_same_model(local, remote)
    with pytest.raises(ValueError, match="X has the value 'white' in column 'text'"):
        remote.fit(lazy(in_memory.assign(text="white")))
    with pytest.raises(ValueError, match="feature names should match"):
        remote.fit(rows[CODES])
    short = DaskRBM(6, **HOW).set_callbacks(Stop()).fit(rows)
    assert short.n_iter_ == 1
    callbacks.resume(short.set_callbacks(), rows)
    assert_same_model(RBM(6, **HOW).fit(in_memory), short)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_lost_workers(fresh_workers, frames, rank):
    """Of real columns the root keeps scales, and all workers follow."""

    class Kill(Silent):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch" and pids:
                threading.Timer(0.02, os.kill, (pids.pop(), signal.SIGKILL)).start()

    rows, in_memory = frames
    how = {**HOW, "max_iter": 6}
    local = RBM(6, **how).fit(in_memory)
    with fresh_workers(2, silence_logs=50) as client:
        of_workers = client.run(os.getpid)
        pids = [of_workers[sorted(of_workers)[rank]]]
        with pytest.warns(RuntimeWarning, match="1 of 2 workers are gone"):
            remote = DaskRBM(6, **how).set_callbacks(Kill()).fit(rows)
    assert_same_model(local, remote)
