"""Models of codes and real columns are means of the models after the last epochs."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from tools.callbacks import Silent

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.callbacks import resume

NAMES = ["components_", "visible_patterns_", "hidden_patterns_", "scale_"]
NAMES += ["intercept_visible_", "intercept_hidden_"]
HOW = {"n_components": 3, "batch_size": 30, "random_state": 0, "dtype": "float64"}


def rows(n=120):
    """A bit, codes, a normal column, and one with spikes."""
    rng = np.random.default_rng(0)
    code = rng.integers(3, size=n)
    real = rng.normal(size=n) + code
    spiked = np.where(rng.random(n) < 0.3, 0.0, np.exp(real))
    return np.column_stack([rng.random(n) < 0.2 + 0.3 * code, code, real, spiked]).astype(float)


X = rows()
VISIBLE = {1: "categorical", 2: "gaussian", 3: "spiked"}
# Models that are averaged, by their columns and parameters.
AVERAGED = {
    "all kinds": RBM(**HOW, visible=VISIBLE),
    "patterns": RARBM(**HOW, n_patterns=4, visible=VISIBLE),
    "patterns without bounds": RARBM(**HOW, n_patterns=4, visible=VISIBLE, projection=None),
    "real columns": RBM(**HOW, visible="gaussian"),
    "codes": RBM(**HOW, visible={0: "categorical", 1: "categorical"}),
    "real hidden units": RBM(**HOW, visible={1: "categorical"}, hidden="gaussian"),
}
# Models that are not, since a mean of signs or of draws is none of these.
AS_THEY_ARE = {
    "spins": RBM(**HOW),
    "spins of patterns": RARBM(**HOW, n_patterns=4),
    "signs": RARBM(**HOW, n_patterns=4, visible=VISIBLE, projection="sign"),
    "draws": RARBM(**HOW, n_patterns=4, projection="gibbs"),
}


def rows_of(model):
    """As many columns as the model has kinds for; bits alone for spins."""
    if isinstance(model.visible, dict):
        return X[:, : max(model.visible) + 1]
    return X[:, 2:] if model.visible == "gaussian" else X[:, :1] != X[:, 1:2]


class Recorded(Silent):
    """Keeps the model after each epoch; ends the fit after so many, as a user does."""

    def __init__(self, n_epochs=None):
        self.models, self.n_epochs = [], n_epochs

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch" and len(self.models) == self.n_epochs:
            raise KeyboardInterrupt

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.models.append(parameters(fitted_estimator))


def parameters(model):
    """Copies of fitted parameters; couplings made of patterns are no parameters."""
    return {name: np.copy(vars(model)[name]) for name in NAMES if name in vars(model)}


def assert_mean(model, models):
    """Means of all parameters, of patterns and not of their products."""
    found = parameters(model)
    assert found.keys() == models[0].keys()
    for name, value in found.items():
        expected = np.mean([one[name] for one in models], axis=0)
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-15, err_msg=name)


def assert_same(model, expected):
    for name, value in parameters(model).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("name", "max_iter", "n_averaged"),
    [
        *((name, 15, 3) for name in AVERAGED),
        ("all kinds", 14, 2),
        *(("codes", *pair) for pair in ((14, 2), (5, 1), (4, 1), (1, 1))),
    ],
)
def test_a_model_is_the_mean_of_the_last_ones(name, max_iter, n_averaged):
    """Of a fifth of the epochs, rounded down; where there are fewer than five, of the last one."""
    recorded = Recorded()
    model = clone(AVERAGED[name]).set_params(max_iter=max_iter).set_callbacks(recorded)
    model.fit(rows_of(model))
    assert len(recorded.models) == max_iter
    assert_mean(model, recorded.models[-n_averaged:])
    if n_averaged > 1:
        first = next(iter(recorded.models[0]))
        assert np.any(vars(model)[first] != recorded.models[-1][first])


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_signs_and_draws_are_as_they_are(name):
    recorded = Recorded()
    model = clone(AS_THEY_ARE[name]).set_params(max_iter=15).set_callbacks(recorded)
    assert_same(model.fit(rows_of(model)), recorded.models[-1])
    if name == "signs":
        assert set(np.unique(np.abs(model.visible_patterns_))) == {model.visible_patterns_.max()}


@pytest.mark.parametrize("name", ["all kinds", "codes"])
def test_early_stopping_takes_one_model(name):
    recorded = Recorded()
    model = clone(AVERAGED[name]).set_params(max_iter=15, early_stopping=True, n_iter_no_change=15)
    model.set_callbacks(recorded).fit(rows_of(model))
    same = [
        all(np.array_equal(vars(model)[key], value) for key, value in one.items())
        for one in recorded.models
    ]
    assert sum(same) == 1


@pytest.mark.parametrize("n_epochs", [3, 12, 13, 14])
@pytest.mark.parametrize("name", ["all kinds", "patterns"])
def test_a_fit_that_is_cut_short_goes_on_to_the_same_model(name, n_epochs):
    """Until then its model is the mean of the last epochs that it has come to."""
    whole, cut = Recorded(), Recorded(n_epochs)
    expected = clone(AVERAGED[name]).set_params(max_iter=15).set_callbacks(whole)
    expected.fit(X)
    model = clone(AVERAGED[name]).set_params(max_iter=15).set_callbacks(cut)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X)
    assert model.n_iter_ == n_epochs
    assert_mean(model, whole.models[12:n_epochs] or [whole.models[n_epochs - 1]])
    model = pickle.loads(pickle.dumps(model.set_callbacks()))
    assert_same(resume(model, X), parameters(expected))
    assert expected.score(X) == model.score(X)


def test_what_follows_a_mean_starts_from_it():
    """A fit with a warm start, and calls of partial_fit, which are not averaged."""
    model = clone(AVERAGED["all kinds"]).set_params(max_iter=15, warm_start=True).fit(X)
    before = parameters(model)
    recorded = Recorded()
    model.set_params(learning_rate=1e-9).set_callbacks(recorded).fit(X)
    for name, value in before.items():
        np.testing.assert_allclose(recorded.models[0][name], value, atol=1e-6)
    assert_mean(model, recorded.models[-3:])
    states = []
    for _ in range(20):
        states.append(parameters(model.set_params(learning_rate=0.1).partial_fit(X)))
    assert len({state["components_"].tobytes() for state in states}) == 20


def test_a_mean_is_nearer_to_the_data():
    """At a constant rate the last model alone has a lower likelihood, in all of four fits."""
    codes = X[:, :2]
    for seed in range(4):
        recorded = Recorded()
        how = {"max_iter": 30, "random_state": seed, "learning_rate": 0.25}
        model = clone(AVERAGED["codes"]).set_params(**how).set_callbacks(recorded).fit(codes)
        averaged = model.score(codes)
        for name, value in recorded.models[-1].items():
            setattr(model, name, value)
        assert averaged > model.score(codes)
