"""Fits that are cut short, by exceptions and by kill -9, against fits that are not."""

from __future__ import annotations

import errno
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tools.callbacks import Silent

import sklearn_rapid
from sklearn_rapid import RARBM, RBM
from sklearn_rapid.callbacks import Checkpoint, resume
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.persistence import files
from sklearn_rapid.training.fit import run
from sklearn_rapid.training.negative_phase import (
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay
from sklearn_rapid.training.trainer import Trainer

N_EPOCHS = 4
SCHEDULES = {"constant": 0.1, "linear": "auto", "exponential": ExponentialDecay(0.3, 0.8, start=1)}
OPTIMIZERS = {"sgd": "sgd", "momentum": SGD(momentum=0.5), "adam": "adam"}
PHASES = {
    "tempered": "auto",
    "few columns": ParallelTempering(n_chains=8, n_columns=2, n_rungs=4),
    "pcd": PersistentContrastiveDivergence(n_chains=7),
    "cd": "cd",
    "exact": "exact",
}
PATTERN_PHASES = {
    "pid": "pid",
    "pid restarted": PatternInducedCorrelations(persistent=False),
    "pid pure": PatternInducedCorrelations(n_gibbs_steps=0),
}
# What else may differ from fit to fit; each combination of the others takes one of them in turn.
OTHERS = [
    {},
    {"shuffle": False, "l1_penalty": 0.1},
    {"binarize": "sample"},
    {"fit_intercept": False},
    {"center": False, "l2_penalty": 0.1},
    {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 2},
    {"dtype": "float64", "batch_size": 11},
]
CASES = [
    (cls, *case)
    for cls, phases in [(RBM, PHASES), (RARBM, {**PHASES, **PATTERN_PHASES})]
    for case in itertools.product(SCHEDULES, OPTIMIZERS, phases)
]


def is_quick(number):
    """Whether a case is in the quick suite: a third of all, in which any two parts meet."""
    parts = SCHEDULES, OPTIMIZERS, {**PHASES, **PATTERN_PHASES}
    names = CASES[number][1:]
    i, j, k = (list(part).index(name) for part, name in zip(parts, names, strict=True))
    return (i + j - k) % 3 == 0


SOME_QUICK = [
    number if is_quick(number) else pytest.param(number, marks=pytest.mark.slow)
    for number in range(len(CASES))
]


@pytest.fixture(autouse=True)
def small_work_is_shared_too():
    """Not here: other processes share work without a patch, and BLAS rounds accordingly."""


def make_case(number, max_iter=N_EPOCHS):
    """The estimator of a case."""
    cls, schedule, optimizer, phase = CASES[number]
    how = {"n_patterns": 3, "projection": "gibbs"} if cls is RARBM else {}
    model = cls(
        n_components=4,
        batch_size=20,
        max_iter=max_iter,
        learning_rate=SCHEDULES[schedule],
        optimizer=OPTIMIZERS[optimizer],
        negative_phase={**PHASES, **PATTERN_PHASES}[phase],
        random_state=number,
    )
    return clone(model).set_params(**how, **OTHERS[number % len(OTHERS)])


def rows():
    """60 noisy images of 3x3 bars."""
    rng, X = np.random.default_rng(0), make_bars(3)
    return (X[rng.integers(len(X), size=60)] ^ (rng.random((60, 9)) < 0.1)).astype(np.uint8)


X = rows()


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """These tests end processes, but no machines."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class CutShort(Exception):
    """What ends a fit in these tests."""


class After(Silent):
    """A callback that raises an error after some epoch, counted from one; or stops the fit."""

    def __init__(self, n_epochs, error=CutShort):
        self.n_epochs = n_epochs
        self.error = error

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator is not None and fitted_estimator.n_iter_ == self.n_epochs:
            if self.error is None:
                return True
            raise self.error
        return False


class Snapshots(Silent):
    """A callback that pickles the model of every epoch."""

    def __init__(self):
        self.pickles = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator is not None:
            fitted_estimator.set_callbacks()
            self.pickles.append(pickle.dumps(fitted_estimator))


def assert_same(a, b, name=""):
    """Equality of all that nested dicts, lists, tuples, dataclasses and arrays hold."""
    assert type(a) is type(b), name
    if isinstance(a, dict):
        assert a.keys() == b.keys(), name
        for key in a.keys() - {"seconds"}:
            assert_same(a[key], b[key], f"{name}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), name
        for i, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{name}[{i}]")
    elif is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{name}.{field.name}")
    elif isinstance(a, np.ndarray | float | np.generic):
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert np.asarray(a).dtype == np.asarray(b).dtype, name
    elif not hasattr(a, "get_params"):
        assert a == b, name


def assert_same_fit(a, b):
    """Two estimators do not differ in anything but how long they took and what watched them."""
    of_a, of_b = ({k: v for k, v in vars(e).items() if "callback" not in k} for e in (a, b))
    assert_same(of_a, of_b, type(a).__name__)


def cut_short(estimator, folder, n_epochs, X=X, sample_weight=None, error=CutShort):
    """Let the fit of a clone end by an error after some epochs; there are checkpoints of it."""
    estimator = clone(estimator).set_callbacks(Checkpoint(folder), After(n_epochs, error))
    with pytest.raises(error):
        estimator.fit(X, sample_weight=sample_weight)


def files_of(folder):
    return sorted(path.name for path in Path(folder).iterdir())


# --- the whole fit, bit for bit ---------------------------------------------------------


@pytest.mark.parametrize("number", SOME_QUICK, ids=lambda i: "-".join(CASES[i][1:]))
def test_every_epoch_leads_to_the_whole_fit(number, tmp_path):
    estimator = make_case(number)
    weights = np.random.default_rng(1).random(len(X)) if number % 4 == 1 else None
    snapshots = Snapshots()
    whole = clone(estimator).set_callbacks(snapshots).fit(X, sample_weight=weights)
    for n_epochs in range(1, whole.n_iter_ + 1):
        folder = tmp_path / str(n_epochs)
        cut_short(estimator, folder, n_epochs, sample_weight=weights)
        assert Checkpoint.load(folder).n_iter_ == n_epochs
        assert_same_fit(resume(folder, X, sample_weight=weights), whole)
        # A callback's fitted_estimator goes on as well.
        snapshot = pickle.loads(snapshots.pickles[n_epochs - 1])
        assert_same_fit(resume(snapshot, X, sample_weight=weights), whole)


def test_early_stopping_knows_its_best_epoch_and_its_patience(tmp_path):
    """Cut before the best epoch, between it and the end, and at the end."""
    estimator = RBM(6, negative_phase="pcd", learning_rate=1.0, max_iter=60, batch_size=20)
    estimator.set_params(early_stopping=True, n_iter_no_change=4, tol=0.0, random_state=0)
    whole = clone(estimator).fit(X)
    best = int(np.argmax(whole.history_["pseudo_likelihood"])) + 1
    assert 1 < best < whole.n_iter_ < 60
    for n_epochs in (best - 1, best, best + 1, whole.n_iter_):
        cut_short(estimator, tmp_path / str(n_epochs), n_epochs)
        assert_same_fit(resume(tmp_path / str(n_epochs), X), whole)


def test_a_fit_may_be_cut_again_and_again(tmp_path):
    estimator = make_case(0, max_iter=6)
    whole = clone(estimator).fit(X)
    cut_short(estimator, tmp_path, 2)
    for n_epochs in (3, 5):
        model = Checkpoint.load(tmp_path)
        model.set_callbacks(*model._skl_callbacks, After(n_epochs))
        with pytest.raises(CutShort):
            resume(model, X)
        assert Checkpoint.load(tmp_path).n_iter_ == n_epochs
    assert_same_fit(resume(tmp_path, X), whole)
    # After the end there is nothing left to do; the model is the same once more.
    assert_same_fit(resume(tmp_path, X), whole)


def test_a_warm_started_fit_is_resumed_as_one(tmp_path):
    estimator = make_case(4).fit(X).set_params(warm_start=True, optimizer="adam")
    again = pickle.loads(pickle.dumps(estimator))
    estimator.fit(X)
    assert estimator.history_["epoch"] == list(range(2 * N_EPOCHS))
    with pytest.raises(CutShort):
        again.set_callbacks(Checkpoint(tmp_path), After(2)).fit(X)
    resumed = resume(tmp_path, X)
    assert_same_fit(resumed, estimator)
    assert np.all(np.diff(resumed.history_["seconds"][N_EPOCHS:]) > 0)


def test_seconds_go_on(tmp_path):
    cut_short(make_case(0), tmp_path, 2)
    before = Checkpoint.load(tmp_path).history_["seconds"]
    after = resume(tmp_path, X).history_["seconds"]
    assert after[:2] == before
    assert np.all(np.diff(after) > 0)


# --- without a file ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 20, 60, 100])
@pytest.mark.parametrize("n_updates", [1, 2, 4, 5, 7])
def test_interrupted_estimator_goes_on(number, n_updates, monkeypatch):
    """Ctrl-C in the middle of an epoch: what it has learned is kept, and the epoch repeated."""
    estimator = make_case(number)
    whole, updates = clone(estimator).fit(X), Trainer.updates
    n_left = itertools.count(n_updates, -1)

    def interrupted(*args, **kwargs):
        if next(n_left) == 0:
            raise KeyboardInterrupt
        return updates(*args, **kwargs)

    monkeypatch.setattr(Trainer, "updates", interrupted)
    monkeypatch.setattr(run, "BYTES_AT_ONCE", 0)
    with pytest.warns(UserWarning, match=r"interrupted by user.*callbacks\.resume"):
        estimator.fit(X)
    n_epochs = estimator.n_iter_
    assert len(estimator.history_.get("epoch", [])) == n_epochs < N_EPOCHS
    assert resume(pickle.loads(pickle.dumps(estimator)), X).n_iter_ == whole.n_iter_
    assert resume(estimator, X) is estimator
    assert_same_fit(estimator, whole)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_estimator_that_a_callback_stopped_goes_on(error):
    estimator = make_case(0)
    whole = clone(estimator).fit(X)
    estimator.set_callbacks(After(2, error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        estimator.fit(X)
    assert estimator.n_iter_ == 2
    assert_same_fit(resume(estimator, X), whole)


def test_more_epochs_than_were_wanted():
    """A constant rate does not know how many epochs there will be."""
    estimator = make_case(0).set_params(learning_rate=0.1)
    longer = clone(estimator).set_params(max_iter=7).fit(X)
    estimator.set_callbacks(After(2, None)).fit(X)
    assert_same(vars(resume(estimator.set_params(max_iter=7), X))["history_"], longer.history_)
    np.testing.assert_array_equal(estimator.components_, longer.components_)


def test_warm_start_is_a_fit_of_its_own():
    """It trains for max_iter epochs on a whole schedule, also after a fit that was cut short."""
    estimator = make_case(9).set_params(warm_start=True, learning_rate="auto", max_iter=3)
    estimator.set_callbacks(After(2, None)).fit(X).set_callbacks().fit(X)
    rates = estimator.history_["learning_rate"]
    np.testing.assert_allclose(rates, np.array([3, 2, 3, 2, 1]) / 12)
    with pytest.raises(ValueError, match="was not cut short"):
        resume(estimator, X)


def test_partial_fit_ends_what_was_cut_short():
    estimator = make_case(0).set_callbacks(After(2, None)).fit(X).partial_fit(X)
    with pytest.raises(ValueError, match="was not cut short"):
        resume(estimator, X)


def test_progress_bar_shows_the_epochs_that_are_left(tmp_path, monkeypatch):
    seen = []

    class Watch(Silent):
        def on_fit_task_begin(self, estimator, context):
            seen.append((context.task_name, context.max_subtasks))

    cut_short(make_case(0), tmp_path, 3)
    model = Checkpoint.load(tmp_path).set_callbacks(Watch(), ProgressBar())
    resume(model, X)
    assert seen == [("fit", 1), ("epoch", 0)]


def test_ctrl_c_leaves_the_last_checkpoint(tmp_path):
    estimator = make_case(0)
    whole = clone(estimator).fit(X)
    with pytest.warns(UserWarning, match="interrupted"):
        estimator.set_callbacks(Checkpoint(tmp_path), After(3, KeyboardInterrupt)).fit(X)
    assert Checkpoint.load(tmp_path).n_iter_ == 3
    assert_same_fit(resume(tmp_path, X), whole)


@pytest.mark.parametrize("number", [0, 24, 60, 63])
def test_fits_on_a_gpu_go_on(number, tmp_path, cupy_stand_in):
    """Rows and training on the device; files are read where there is none, too."""
    estimator = make_case(number).set_params(backend="cupy")
    on_device = cupy_stand_in.asarray(X)
    whole = clone(estimator).fit(on_device)
    cut_short(estimator, tmp_path, 2, on_device)
    assert_same_fit(resume(tmp_path, on_device), whole)
    cut_short(estimator, tmp_path / "host", 2, on_device)
    assert_same_fit(resume(tmp_path / "host", X), whole)


# --- other data, other parameters -------------------------------------------------------


def unfinished_model(tmp_path, X=X, **how):
    cut_short(make_case(0), tmp_path, 2, X, **how)
    return Checkpoint.load(tmp_path)


def changed_in(X, row, column):
    X = X.copy()
    X[row, column] ^= 1
    return X


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (X[:-1], r"begun with an X of shape \(60, 9\), got one of shape \(59, 9\)"),
        (X[::-1], "other values or another order of rows"),
        (changed_in(X, 59, 8), "other values or another order of rows"),
        (X.astype(float), "an X of dtype uint8, got one of dtype float64"),
        (X[:, :8], "X has 8 features"),
    ],
    ids=["fewer", "order", "one value", "dtype", "width"],
)
def test_other_rows_are_refused(other, message, tmp_path):
    model = unfinished_model(tmp_path)
    before = pickle.dumps(model.set_callbacks())
    with pytest.raises(ValueError, match=message):
        resume(model, other)
    assert_same_fit(model, pickle.loads(before))


@pytest.mark.parametrize(
    ("wanted", "got", "message"),
    [
        (None, np.ones(60), "no sample_weight, got one"),
        (np.ones(60), None, "one, got no sample_weight"),
        (np.ones(60), np.arange(60.0), "another one"),
    ],
)
def test_other_weights_are_refused(wanted, got, message, tmp_path):
    model = unfinished_model(tmp_path, sample_weight=wanted)
    with pytest.raises(ValueError, match=f"different sample_weight: {message}"):
        resume(model, X, sample_weight=got)


def test_equal_rows_in_another_form_are_taken(tmp_path):
    whole = make_case(0).fit(X)
    for form in (sparse.csr_array(X), sparse.csc_matrix(X), np.asfortranarray(X), X.tolist()):
        cut_short(make_case(0), folder := tmp_path / str(len(files_of(tmp_path))), 2, X)
        form = form if hasattr(form, "dtype") else np.array(form, dtype=np.uint8)
        np.testing.assert_array_equal(resume(folder, form).components_, whole.components_)


def test_frames_are_resumed_with_their_names(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcdefghi"))
    model = unfinished_model(tmp_path, frame)
    with pytest.raises(ValueError, match="feature names should match"):
        resume(model, frame.rename(columns={"a": "z"}))
    assert_same_fit(resume(model, frame), make_case(0).fit(frame))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_iter": 1}, "2 epochs of this fit are done, got max_iter=1"),
        ({"n_components": 5}, "n_components=5: the fitted model has n_components=4"),
        ({"negative_phase": "pid"}, "RBM has dense couplings"),
        ({"max_iter": 0}, "The 'max_iter' parameter of RBM must be"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(change, message, tmp_path):
    model = unfinished_model(tmp_path).set_params(**change)
    before = pickle.dumps(model.set_callbacks())
    with pytest.raises(ValueError, match=message):
        resume(model, X)
    assert_same_fit(model, pickle.loads(before))


def test_only_what_was_cut_short_is_resumed():
    with pytest.raises(NotFittedError):
        resume(RBM(4), X)
    with pytest.raises(ValueError, match=r"was not cut short.*warm_start=True"):
        resume(RBM(4, max_iter=1).fit(X), X)


# --- files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "n_kept", "kept"),
    [(1, 1, [7]), (1, 2, [6, 7]), (3, 2, [6, 7]), (3, 9, [3, 6, 7]), (20, 2, [7])],
)
def test_which_epochs_are_kept(every, n_kept, kept, tmp_path):
    make_case(0, max_iter=7).set_callbacks(Checkpoint(tmp_path, every, n_kept)).fit(X)
    names = files_of(tmp_path)
    assert [int(name.rpartition("-")[2].removesuffix(".checkpoint")) for name in names] == kept
    assert all(name.startswith("RBM-") for name in names)


def test_settings_outlive_the_process(tmp_path):
    estimator = make_case(0, max_iter=8)
    checkpoint = Checkpoint(tmp_path / "old", every=2, n_kept=3)
    with pytest.raises(CutShort):
        estimator.set_callbacks(checkpoint, After(3)).fit(X)
    (tmp_path / "old").rename(tmp_path / "new")
    resume(tmp_path / "new", X)
    names = files_of(tmp_path / "new")
    assert [int(name[-13:-11]) for name in names] == [4, 6, 8]
    assert files_of(tmp_path) == ["new"]


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_write_that_is_cut_short_destroys_nothing(where, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    target = tmp_path / "file"
    files.write_whole(target, [b"before"])

    def killed(*args):
        raise Killed

    parts = (part if i < 2 else killed() for i, part in enumerate([b"some", b"thing", b"else"]))
    if where != "write":
        monkeypatch.setattr(os, where, killed)
        parts = [b"after"]
    with pytest.raises(Killed):
        files.write_whole(target, parts)
    assert target.read_bytes() == b"before"
    assert files_of(tmp_path) == ["file"]


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=real: (calls.append(n), f(*a))[1])
    files.write_whole(tmp_path / "file", [b"content"])
    assert calls == ["fsync", "replace", "fsync"]


def damaged(content, how):
    if how == "empty":
        return b""
    if how == "truncated":
        return content[:-100]
    if how == "cut in its head":
        return content[:40]
    if how == "longer":
        return content + b"\0"
    content = bytearray(content)
    content[{"flipped in its head": 2, "in its version": 25, "in its digest": 40}.get(how, -9)] ^= 1
    return bytes(content)


DAMAGES = [
    "empty",
    "truncated",
    "cut in its head",
    "longer",
    "flipped in its head",
    "in its version",
    "in its digest",
    "flipped in its content",
]


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_files_are_recognised(how, tmp_path, monkeypatch):
    cut_short(make_case(0), tmp_path, 3)
    older, newest = sorted(tmp_path.iterdir())
    newest.write_bytes(damaged(newest.read_bytes(), how))
    with pytest.raises(ValueError, match=f"{newest}.*The next older one of its fit is {older}"):
        resume(newest, X)
    with pytest.warns(RuntimeWarning, match=f"{newest}.* {older} is taken instead"):
        model = resume(tmp_path, X)
    assert_same_fit(model, make_case(0).fit(X))
    for file in tmp_path.iterdir():
        file.write_bytes(damaged(file.read_bytes(), how))
    monkeypatch.setattr(pickle, "loads", None)
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read"):
        resume(tmp_path, X)


def test_every_flipped_byte_is_recognised(tmp_path, monkeypatch):
    """Whichever byte it is, nothing is unpickled."""
    cut_short(make_case(0), tmp_path, 1)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    monkeypatch.setattr(pickle, "loads", None)
    positions = [*range(100), *range(100, len(content), 997), len(content) - 1]
    for position in positions:
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        file.write_bytes(flipped)
        with pytest.raises(ValueError, match=str(file)):
            Checkpoint.load(file)


def test_there_is_no_checkpoint(tmp_path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "none.checkpoint"):
        with pytest.raises(FileNotFoundError, match=str(path)):
            resume(path, X)


def test_foreign_files_are_left_alone(tmp_path):
    for name in ("notes.txt", "a.checkpoint", "RBM-zz-000001.checkpoint", ".RBM-1-2.tmp"):
        (tmp_path / name).write_text("mine")
    before = files_of(tmp_path)
    make_case(0).set_callbacks(Checkpoint(tmp_path, n_kept=1)).fit(X)
    assert [name for name in files_of(tmp_path) if name in before] == before
    assert len(files_of(tmp_path)) == len(before) + 1
    assert Checkpoint.load(tmp_path).n_iter_ == N_EPOCHS


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    cut_short(make_case(0), tmp_path, 2)
    (*_, newest) = sorted(tmp_path.iterdir())
    (tmp_path / f".{newest.name}.0123.tmp").write_bytes(newest.read_bytes()[:99])
    resume(tmp_path, X)
    assert all(name.endswith(".checkpoint") for name in files_of(tmp_path))


def test_a_file_may_be_moved_and_renamed(tmp_path):
    cut_short(make_case(0), tmp_path / "here", 2)
    (*_, newest) = sorted((tmp_path / "here").iterdir())
    newest.rename(tmp_path / "my model.pkl")
    assert_same_fit(resume(tmp_path / "my model.pkl", X), make_case(0).fit(X))


# --- several fits -----------------------------------------------------------------------


def test_several_fits_do_not_overwrite_one_another(tmp_path):
    """A fit that is begun anew leaves what the old one has got to, and neither is guessed."""
    cut_short(make_case(0), tmp_path, 3)
    old = files_of(tmp_path)
    cut_short(make_case(0), tmp_path, 1)
    assert set(old) < set(files_of(tmp_path))
    with pytest.raises(ValueError, match=f"checkpoints of 2 fits.*{old[-1]}"):
        resume(tmp_path, X)
    assert_same_fit(resume(tmp_path / old[-1], X), make_case(0).fit(X))


def test_going_back_to_an_older_file_begins_another_row_of_files(tmp_path):
    estimator = make_case(0, max_iter=6)
    with pytest.raises(CutShort):
        estimator.set_callbacks(Checkpoint(tmp_path, n_kept=9), After(5)).fit(X)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    resume(tmp_path / sorted(before)[1], X)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert len(files_of(tmp_path)) == len(before) + 4


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_fits_of_a_grid_search_have_files_of_their_own(n_jobs, tmp_path):
    estimator = make_case(0).set_callbacks(Checkpoint(tmp_path, n_kept=1))
    folds = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    grid = {"n_components": [2, 3]}
    search = GridSearchCV(estimator, grid, cv=folds, refit=False, n_jobs=n_jobs).fit(X)
    assert search.cv_results_["mean_test_score"].shape == (2,)
    models = [Checkpoint.load(path) for path in sorted(tmp_path.iterdir())]
    assert len(models) == 4
    for model in models:
        (data,) = (
            X[train]
            for train, _ in folds
            if np.array_equal(model.transform(X[train]), model.transform(X[train]))
            and _trained_on(model, X[train])
        )
        plain = clone(model.set_callbacks()).fit(data)
        np.testing.assert_array_equal(resume(model, data).components_, plain.components_)


def _trained_on(model, data):
    """Whether these are the rows that a model was trained on: it goes on with no others."""
    try:
        resume(pickle.loads(pickle.dumps(model.set_callbacks())), data)
    except ValueError:
        return False
    return True


def test_within_a_pipeline(tmp_path):
    rbm = make_case(0).set_callbacks(Checkpoint(tmp_path))
    pipeline = make_pipeline(rbm, LogisticRegression()).fit(X, X[:, 0])
    assert_same_fit(resume(tmp_path, X), pipeline[0])


# --- disks that do not do as they should ------------------------------------------------


def test_unwritable_folder_is_found_at_the_start(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("a file")
    estimator = make_case(0).set_callbacks(Checkpoint(file))
    with pytest.raises(OSError, match=f"no checkpoints can be written to the folder {file}"):
        estimator.fit(X)
    assert not hasattr(estimator, "components_")


def full_disk(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_found_at_the_start(tmp_path, monkeypatch):
    estimator = make_case(0).set_callbacks(Checkpoint(tmp_path))
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left on device") as info:
        estimator.fit(X)
    assert info.value.errno == errno.ENOSPC
    assert files_of(tmp_path) == []


def test_a_disk_that_gets_full_loses_no_fit(tmp_path, monkeypatch):
    class FullAfter(Silent):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if fitted_estimator is not None and fitted_estimator.n_iter_ == 2:
                monkeypatch.setattr(os, "fsync", full_disk)

    estimator = make_case(0, max_iter=3).set_callbacks(Checkpoint(tmp_path), FullAfter())
    with pytest.warns(RuntimeWarning, match=r"after 3 epochs: .*No space left.*The fit goes on"):
        estimator.fit(X)
    assert_same_fit(estimator, make_case(0, max_iter=3).fit(X))
    assert Checkpoint.load(tmp_path).n_iter_ == 2
    monkeypatch.undo()
    assert_same_fit(resume(tmp_path, X), estimator)


def test_parameters_that_cannot_be_pickled_are_found_at_the_start(tmp_path):
    class Local(ExponentialDecay):
        pass

    estimator = make_case(0).set_params(learning_rate=Local(0.1))
    with pytest.raises(TypeError, match=r"(?s)a pickle, which RBM.*Local.* does not fit into"):
        estimator.set_callbacks(Checkpoint(tmp_path)).fit(X)


def test_other_estimators_are_refused(tmp_path):
    estimator = LogisticRegression().set_callbacks(Checkpoint(tmp_path))
    with pytest.raises(TypeError, match=r"RBM, RARBM.*got LogisticRegression"):
        estimator.fit(X, X[:, 0])


@pytest.mark.parametrize("how", [{"every": 0}, {"n_kept": 0}, {"every": 1.5}, {"n_kept": True}])
def test_bad_settings_are_refused(how, tmp_path):
    with pytest.raises((TypeError, ValueError), match=next(iter(how))):
        Checkpoint(tmp_path, **how)


# --- models pickled by hand -------------------------------------------------------------


class PicklesTheWrongOne(Silent):
    """A callback that pickles `estimator`, which is not fitted yet, for `fitted_estimator`."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator is not None:
            self.pickled = pickle.dumps(estimator)


def test_an_estimator_in_its_first_fit_is_not_fitted():
    callback = PicklesTheWrongOne()
    make_case(0).set_callbacks(callback).fit(X)
    model = pickle.loads(callback.pickled)
    for use in (model.transform, model.score, model.gibbs, lambda X: resume(model, X)):
        with pytest.raises(NotFittedError, match="This RBM instance is not fitted yet"):
            use(X)


# --- threads ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [CutShort, KeyboardInterrupt])
def test_no_progress_bar_outlives_a_fit_that_ends_by_an_error(error):
    estimator = make_case(0).set_callbacks(ProgressBar(), After(2, error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            estimator.fit(X)
        except CutShort:
            pass
    names = {type(thread).__name__ for thread in threading.enumerate()}
    assert "RichProgressMonitor" not in names


# --- kill -9 ----------------------------------------------------------------------------

N_KILLED_EPOCHS = 60


def make_long_case(number):
    """A case with enough epochs to be killed in, even if it stops early."""
    return make_case(number, N_KILLED_EPOCHS).set_params(n_iter_no_change=45)


def train(number, folder, *callbacks):
    """What a script would do that is started again each time it has been killed."""
    try:
        model = Checkpoint.load(folder)
    except FileNotFoundError:
        model = make_long_case(number).set_callbacks(Checkpoint(folder))
        return model.set_callbacks(*model._skl_callbacks, *callbacks).fit(X)
    return resume(model.set_callbacks(*model._skl_callbacks, *callbacks), X)


class SaysWhereItIs(Silent):
    """A callback that prints a line for each epoch begun, with its number."""

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            print(context.task_id, flush=True)


def kill_during(number, folder, n_begun, delay):
    """Run `train` in a process of its own, and kill it so long after so many epochs have begun."""
    command = [sys.executable, __file__, str(number), str(folder)]
    path = [str(Path(sklearn_rapid.__file__).parents[1]), str(Path(__file__).parents[1])]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=where) as process:
        for _ in range(n_begun):
            process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def check_kills(seed, n_kills, tmp_path):
    """Kill fits at random moments, some once and some twice."""
    rng, moments = np.random.default_rng(seed), []
    while n_kills > 0:
        number, n_times = int(rng.integers(len(CASES))), min(int(rng.integers(1, 3)), n_kills)
        n_begun, delays = rng.integers(1, N_KILLED_EPOCHS // 3, n_times), rng.random(n_times)
        moments.append((number, tmp_path / str(len(moments)), n_begun, 0.005 * delays))
        n_kills -= n_times

    def kill(number, folder, n_begun, delays):
        return [
            kill_during(number, folder, *moment) for moment in zip(n_begun, delays, strict=True)
        ]

    with ThreadPoolExecutor(2) as pool:
        was_killed = np.concatenate(list(pool.map(kill, *zip(*moments, strict=True))))
    # On a busy machine some may have come to their end before.
    assert was_killed.mean() > 0.5
    for number, folder, n_begun, _ in moments:
        # The last epoch begun may be done or not; all before it are there, however it ended.
        n_epochs = Checkpoint.load(folder).n_iter_ if any(folder.glob("*.checkpoint")) else 0
        assert n_epochs >= min(sum(n_begun) - len(n_begun), N_KILLED_EPOCHS)
        assert_same_fit(train(number, folder), make_long_case(number).fit(X))
        assert all(name.endswith(".checkpoint") for name in files_of(folder))


@pytest.mark.slow
def test_killed_fits_are_resumed(tmp_path):
    check_kills(0, 3, tmp_path)


@pytest.mark.slow
def test_killed_fits_are_resumed_at_fifty_moments(tmp_path):
    check_kills(1, 50, tmp_path)


if __name__ == "__main__":
    train(int(sys.argv[1]), sys.argv[2], SaysWhereItIs())
