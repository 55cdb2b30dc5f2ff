"""Training on rare columns and on a row that recurs: the same bits, however it is done.

Unusual rows limit its steps, and known states stand beside its chains: both belong to its state.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from tools.callbacks import Silent
from tools.equality import assert_same
from tools.zoo import coins, recurring, with_columns

from sklearn_rapid import RARBM, RBM, load, save
from sklearn_rapid.callbacks import Checkpoint, resume
from sklearn_rapid.training.negative_phase import _tempered
from sklearn_rapid.training.steps import step_length

RARE = coins(np.random.default_rng(0), 600, np.full(12, 0.01))
# Not so rare that nothing would happen: a column that is often set, but with others only.
RARE = with_columns(RARE, RARE[:, :4].max(axis=1))
RECURRING = recurring(np.random.default_rng(0), 500, 30, 0.2)
HOW = {"n_components": 16, "max_iter": 45, "random_state": 0}
MODELS = {"RBM": RBM(**HOW), "RARBM": RARBM(**HOW, n_patterns=8)}
TABLES = {"rare": RARE, "recurring": RECURRING}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return clone(request.param)


@pytest.fixture(params=TABLES)
def table(request):
    return request.param


def left_by(model):
    """List all that a fit leaves, but its duration and the digest of its rows."""
    left = vars(model).items()
    left = {k: v for k, v in sorted(left) if k.endswith("_") or k == "_training_state"}
    left["history_"] = {k: v for k, v in left["history_"].items() if k != "seconds"}
    return left


def check_used(model, table):
    """Check that the feature under test has an effect on the table."""
    state = model._training_state
    if table == "rare":
        assert len(state["unusual_rows"]) > 10
    else:
        assert len(state["known_states"]) > 10


def without(name, monkeypatch):
    """Train without unusual rows, or without known states."""
    if name == "rare":
        monkeypatch.setattr(step_length, "limit_scale", lambda scale, *_: scale)
    else:
        monkeypatch.setattr(_tempered, "find_unvisited_states", lambda chains, *_: chains)


@pytest.mark.slow
def test_unusual_rows_and_known_states_matter(model, table, monkeypatch):
    """Without them another model comes out: the tests below are of something."""
    X = TABLES[table]
    if table == "recurring":
        # Where chains find the row by themselves, known states change nothing.
        model, X = (
            RBM(16, max_iter=60, random_state=0),
            recurring(np.random.default_rng(0), 500, 40, 0.2),
        )
    whole = clone(model).fit(X)
    check_used(whole, table)
    without(table, monkeypatch)
    other = clone(model).fit(X)
    assert np.any(other.components_ != whole.components_)


@pytest.mark.slow
def test_threads_do_not_matter(model, table):
    one, two = (clone(model).set_params(n_threads=n).fit(TABLES[table]) for n in (1, 2))
    check_used(one, table)
    assert_same(left_by(one), left_by(two))


def test_chunks_are_one_call(model, table):
    """Rows of great weight are looked for when a call ends, and are none of what trains."""
    X = np.tile(TABLES[table], (6, 1))
    one, many = clone(model).partial_fit(X), clone(model)
    for start in range(0, len(X), 300):
        many.partial_fit(X[start : start + 300])
    if table == "rare":
        check_used(one, table)
    left = [left_by(m)["_training_state"] for m in (one, many)]
    for rest in left:
        rest.pop("known_states")
    assert_same(*left)
    np.testing.assert_array_equal(one.components_, many.components_)


class After(Silent):
    """A callback that ends a fit by an error after some epoch."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator is not None and fitted_estimator.n_iter_ == self.n_epochs:
            raise InterruptedError


@pytest.mark.slow
@pytest.mark.parametrize("n_epochs", [1, 24, 37])
def test_checkpoints_lead_to_the_whole_fit(model, table, n_epochs, tmp_path):
    X = TABLES[table]
    whole = clone(model).fit(X)
    cut = clone(model).set_callbacks(Checkpoint(tmp_path), After(n_epochs))
    with pytest.raises(InterruptedError):
        cut.fit(X)
    again = resume(tmp_path, X)
    assert again.n_iter_ == whole.n_iter_
    assert_same(left_by(whole), left_by(again))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pickle", "file"])
def test_models_are_kept_with_all_that_training_has_left(model, table, how, tmp_path):
    X = TABLES[table]
    model.fit(X)
    check_used(model, table)
    if how == "pickle":
        again = pickle.loads(pickle.dumps(model))
    else:
        pytest.importorskip("safetensors")
        save(model, tmp_path / "model.safetensors")
        again = load(tmp_path / "model.safetensors")
    assert_same(left_by(model), left_by(again))
    assert model.score(X) == again.score(X)
    for one in (model, again):
        one.set_params(warm_start=True, max_iter=6).fit(X)
    assert_same(left_by(model), left_by(again))
