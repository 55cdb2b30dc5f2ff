"""Streams of rows that say how many updates there will be: `partial_fit` with `n_updates`."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid import RARBM, RBM, load, save
from sklearn_rapid.training.fit import fit
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay, LinearDecay, Schedule

BATCH_SIZE, MAX_ITER, N_BATCHES = 20, 3, 9
N_UPDATES = MAX_ITER * N_BATCHES
X = (np.random.default_rng(0).random((BATCH_SIZE * N_BATCHES, 12)) < 0.3).astype(np.uint8)

CASES = {
    "tempered": RBM(),
    "patterns adam": RARBM(optimizer="adam", learning_rate=ExponentialDecay(0.5, 0.5)),
    "pcd momentum": RBM(negative_phase="pcd", optimizer=SGD(momentum=0.7)),
    "sampled rows": RBM(negative_phase="cd", binarize="sample"),
    "exact": RBM(negative_phase="exact", learning_rate=LinearDecay(0.5)),
    "clipped at the end of epochs": RARBM(projection_period="epoch", pattern_bound=0.2),
    "drawn at the end of epochs": RARBM(projection="gibbs", projection_period="epoch"),
    "pid": RARBM(negative_phase=PatternInducedCorrelations(persistent=False)),
    "constant": RBM(learning_rate=0.2, fit_intercept=False),
}


@pytest.fixture(params=CASES)
def estimator(request):
    made = clone(CASES[request.param]).set_params(
        n_components=6,
        batch_size=BATCH_SIZE,
        max_iter=MAX_ITER,
        n_updates=N_UPDATES,
        shuffle=False,
        random_state=0,
    )
    return made.set_params(n_patterns=4) if isinstance(made, RARBM) else made


def arrays_of(model):
    return {name: getattr(model, name) for name in model._fitted_shapes}


def assert_same_model(a, b):
    for name, value in arrays_of(a).items():
        np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def streamed(estimator, rows, sizes, weights=None):
    """The model after calls of so many batches each, the sizes in turn."""
    model, start, n_calls = clone(estimator), 0, 0
    while start < rows.shape[0]:
        stop = start + BATCH_SIZE * sizes[n_calls % len(sizes)]
        chunk = None if weights is None else weights[start:stop]
        model.partial_fit(rows[start:stop], sample_weight=chunk)
        start, n_calls = stop, n_calls + 1
    return model


# Calls that end with an epoch, within one, and beyond one or two.
@pytest.mark.parametrize("sizes", [[N_BATCHES], [1], [4], [2, 5, 11], [N_UPDATES]], ids=str)
def test_a_stream_ends_where_a_fit_ends(estimator, sizes):
    rows = np.tile(X, (MAX_ITER, 1))
    assert_same_model(streamed(estimator, rows, sizes), clone(estimator).fit(X))


def test_sparse_rows_are_streamed_too(estimator):
    rows = sparse.csr_array(np.tile(X, (MAX_ITER, 1)))
    assert_same_model(streamed(estimator, rows, [7]), clone(estimator).fit(X))


def test_calls_of_weighted_rows_are_cut_too(estimator):
    """Each call has one batch, or several of equal weights in all."""
    rows = np.tile(X, (MAX_ITER, 1))
    weights = np.tile(np.arange(BATCH_SIZE) % 3 + 1.0, N_UPDATES)
    one, several = (streamed(estimator, rows, [n], weights) for n in (1, 11))
    assert_same_model(one, several)


def test_updates_are_shared_out_among_epochs():
    """Seven updates in three epochs: rates set by hand, one call an update."""
    how = {"n_components": 5, "batch_size": 20, "random_state": 0}
    stream = RBM(**how, max_iter=3, n_updates=7, learning_rate=LinearDecay(0.3))
    by_hand = RBM(**how)
    for i, epoch in enumerate([0, 0, 0, 1, 1, 2, 2]):
        rows = X[20 * i : 20 * (i + 1)]
        by_hand.set_params(learning_rate=0.3 * (1.0 - epoch / 3))
        assert_same_model(stream.partial_fit(rows), by_hand.partial_fit(rows))


class Recorded(Schedule):
    """Keeps the epochs that it is asked for."""

    asked: list = []  # noqa: RUF012 (clones share it)

    def at(self, epoch, max_iter):
        self.asked.append((epoch, max_iter))
        return 0.1


@pytest.mark.parametrize(
    ("n_updates", "max_iter", "epochs"),
    [
        (6, 3, [0, 0, 1, 1, 2, 2, 2, 2]),
        (3, 6, [0, 2, 4, 5, 5, 5, 5, 5]),  # fewer updates than epochs
        (1, 1, [0, 0, 0, 0, 0, 0, 0, 0]),
        (np.uint8(200), np.uint8(100), [0, 0, 1, 1, 2, 2, 3, 3]),  # products beyond a byte
    ],
)
def test_epochs_of_updates(n_updates, max_iter, epochs, monkeypatch):
    """A schedule is asked for the epoch of each update, and for the last one beyond the end."""
    monkeypatch.setattr(Recorded, "asked", [])
    how = {"batch_size": 20, "max_iter": max_iter, "learning_rate": Recorded(), "random_state": 0}
    model = RBM(4, **how, n_updates=n_updates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the end
        for i in range(8):
            model.partial_fit(X[20 * i : 20 * (i + 1)])
            assert Recorded.asked[-1] == (epochs[i], max_iter)


def test_the_end_of_the_stream_is_told_once():
    model = RBM(4, batch_size=20, max_iter=2, n_updates=6, random_state=0).partial_fit(X[:120])
    plain = clone(model).set_params(n_updates=None, learning_rate=0.125)
    plain.__dict__.update({k: v for k, v in vars(model).items() if k.endswith("_") or k[0] == "_"})
    message = r"n_updates=6 updates of the stream are over: .* the last learning rate, 0.125\."
    with pytest.warns(UserWarning, match=message):
        model.partial_fit(X[:20])
    model.partial_fit(X[20:60])
    assert_same_model(model, plain.partial_fit(X[:60]))


def test_patterns_go_on_to_be_projected_beyond_the_end():
    how = {"n_components": 5, "n_patterns": 3, "batch_size": 20, "random_state": 0}
    model = RARBM(**how, max_iter=2, n_updates=4, projection="sign", projection_period="epoch")
    model.partial_fit(X[:80])
    for n_batches in (1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model.partial_fit(X[:20])
        has_signs = bool((np.abs(model.visible_patterns_) == 1.0).all())
        assert has_signs == (n_batches == 2)


def test_without_a_number_of_updates_the_rate_stands():
    """It is the first epoch's, whatever `max_iter` is, and no epoch ends."""
    how = {"n_components": 5, "batch_size": 20, "random_state": 0}
    auto, constant = RBM(**how), RBM(**how, learning_rate=0.25)
    for _ in range(3):
        assert_same_model(auto.partial_fit(X), constant.partial_fit(X))
    model = RARBM(5, 3, batch_size=20, projection="sign", projection_period="epoch")
    assert not (np.abs(model.partial_fit(X).visible_patterns_) == 1.0).any()


def test_updates_of_a_fit_count():
    """A fit of one epoch, and a stream of the other two."""
    model = RBM(5, batch_size=20, max_iter=1, shuffle=False, learning_rate=0.25, random_state=0)
    model.fit(X).set_params(max_iter=3, n_updates=N_UPDATES, learning_rate="auto")
    whole = clone(model).fit(X)
    assert_same_model(model.partial_fit(X).partial_fit(X), whole)


def test_a_fit_knows_nothing_of_it(estimator):
    assert_same_model(clone(estimator).fit(X), clone(estimator).set_params(n_updates=None).fit(X))


@pytest.mark.parametrize("how", ["pickle", "file"])
def test_a_stream_goes_on_from_a_file(estimator, how, tmp_path):
    rows = np.tile(X, (MAX_ITER, 1))
    whole, half = streamed(estimator, rows, [4]), clone(estimator).partial_fit(rows[:240])
    if how == "pickle":
        again = pickle.loads(pickle.dumps(half))
    else:
        save(half, tmp_path / "model")
        again = load(tmp_path / "model")
    assert again.n_updates == N_UPDATES
    assert_same_model(again.partial_fit(rows[240:]), whole)


def test_a_pickle_without_the_parameter_has_its_default():
    """As those that were written before there was one."""
    model = RBM(4, max_iter=1, random_state=0).fit(X)
    again = clone(model).fit(X)
    del again.n_updates
    again = pickle.loads(pickle.dumps(again))
    assert again.n_updates is None
    assert_same_model(again.partial_fit(X), model.partial_fit(X))


def test_a_stream_shares_penalties_by_the_rows_seen():
    """Rows that come again count again: in the second of two passes a penalty is half of it."""
    how = {"n_components": 5, "batch_size": 180, "shuffle": False, "random_state": 0}
    streamed = RBM(**how, l1_penalty=0.5, max_iter=2, n_updates=2).partial_fit(X)
    fitted = RBM(**how, l1_penalty=0.5, max_iter=1, warm_start=True).fit(X)
    assert_same_model(streamed, fitted)
    fitted.set_params(l1_penalty=0.25, learning_rate=0.125)
    assert_same_model(streamed.partial_fit(X), fitted.fit(X))


# --- what a call leaves of itself ------------------------------------------------------------


def test_a_call_is_a_row_of_the_history(estimator, capsys):
    """With the figures of a fit without shuffling whose epochs are the calls."""
    model = clone(estimator).set_params(verbose=1)
    fitted = clone(estimator).fit(X)
    assert capsys.readouterr().out == ""
    for n_calls in range(1, MAX_ITER + 1):
        model.partial_fit(X)
        assert (model.n_iter_, len(model.history_["epoch"])) == (n_calls, n_calls)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"[{type(model).__name__}] epoch {n_calls - 1}, seconds ")
        assert f"n_updates {n_calls * N_BATCHES}" in line
    assert model.history_.keys() == fitted.history_.keys()
    for name in fitted.history_.keys() - {"seconds"}:
        np.testing.assert_array_equal(model.history_[name], fitted.history_[name], err_msg=name)
    assert all(seconds > 0.0 for seconds in model.history_["seconds"])


def test_calls_count_on_after_a_fit_and_a_fit_after_calls(tmp_path):
    how = {"batch_size": 20, "max_iter": 2, "random_state": 0, "warm_start": True}
    model = RBM(4, **how).partial_fit(X).partial_fit(X).fit(X)
    assert (model.n_iter_, model.history_["epoch"]) == (2, [0, 1, 2, 3])
    kept = model.history_
    again = pickle.loads(pickle.dumps(model)).partial_fit(X)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model").partial_fit(X)
    for twin in (again, loaded):
        assert (twin.n_iter_, twin.history_["epoch"]) == (3, [0, 1, 2, 3, 4])
        assert twin.history_["n_updates"] == [9, 18, 27, 36, 45]
    twin = copy.copy(model).partial_fit(X)
    assert model.history_ is kept and len(kept["epoch"]) == 4 < len(twin.history_["epoch"])


def test_a_call_that_fails_or_diverges_is_no_row():
    model = RBM(4, batch_size=20, random_state=0).partial_fit(X)
    before = model.history_
    with pytest.raises(ValueError, match="X has 3 features"):
        model.partial_fit(X[:, :3])
    assert model.history_ is before
    with pytest.warns(ConvergenceWarning, match="from before this call"):
        model.set_params(optimizer=SGD(scaled=False), learning_rate=1e9).partial_fit(X)
    assert (model.n_iter_, model.history_) == (1, before)


def test_of_a_long_stream_the_newest_rows_are_kept(monkeypatch):
    monkeypatch.setattr(fit, "MOST_ROWS_OF_CALLS", 5)
    model = RBM(4, batch_size=20, max_iter=4, random_state=0, warm_start=True)
    for _ in range(8):
        model.partial_fit(X[:20])
    assert model.history_["epoch"] == [3, 4, 5, 6, 7]
    assert model.history_["n_updates"] == [4, 5, 6, 7, 8]
    assert {len(column) for column in model.history_.values()} == {5}
    assert model.n_iter_ == 8
    # A fit keeps all that it finds, and its own.
    assert model.fit(X).history_["epoch"] == list(range(3, 12))
    assert model.partial_fit(X).history_["epoch"] == list(range(4, 13))
