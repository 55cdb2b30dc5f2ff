"""The estimators as scikit-learn, its frames, its searches and its callbacks see them."""

from __future__ import annotations

import inspect
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_rapid import (
    DBM,
    RABM,
    RADBM,
    RARBM,
    RBM,
    BoltzmannClassifier,
    BoltzmannDensity,
    BoltzmannImputer,
    BoltzmannOutlierDetector,
)
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD

TINY = {"n_components": 3, "max_iter": 2, "random_state": 0, "n_threads": 1}
TINY_PATTERNS = {**TINY, "n_patterns": 2}
TINY_FULL = {"n_patterns": 2, "max_iter": 2, "random_state": 0, "n_threads": 1}
TINY_DEEP = {"hidden_layer_sizes": (8, 4), "max_iter": 2, "random_state": 0, "n_threads": 1}
FITTED_ATTRIBUTES = ("components_", "intercept_visible_", "intercept_hidden_")

RBM_PHASES = ("auto", "pcd", "cd", "exact")
RARBM_PHASES = (
    "pid",
    PatternInducedCorrelations(n_gibbs_steps=0),
    PatternInducedCorrelations(n_gibbs_steps=0, hidden="pattern"),
    PatternInducedCorrelations(persistent=False),
    *RBM_PHASES,
)

# With warm_start or hidden_features="sample" some of these checks cannot hold: a second fit goes
# on from the first, and a sample of a row depends on the row's number.
CHECKED = [
    *(
        RBM(**TINY, negative_phase=phase, backend=backend)
        for backend in ("numpy", "numba")
        for phase in RBM_PHASES
    ),
    *(
        RARBM(**TINY_PATTERNS, negative_phase=phase, backend=backend)
        for backend in ("numpy", "numba")
        for phase in RARBM_PHASES
    ),
    RBM(**TINY, units="spin", dtype="float64", optimizer="adam"),
    RBM(**TINY, visible="gaussian"),
    RARBM(**TINY_PATTERNS, visible="gaussian", units="spin", negative_phase="cd"),
    RBM(**TINY, visible=[("gaussian", slice(None))]),
    RBM(**TINY, hidden="gaussian"),
    RARBM(**TINY_PATTERNS, hidden="gaussian", units="spin"),
    RARBM(**TINY_PATTERNS, projection="sign", projection_period="epoch", fit_intercept=False),
    RARBM(**TINY_PATTERNS, units="spin", projection="gibbs", center=False),
    *(RABM(**TINY_FULL, negative_phase=phase) for phase in ("auto", "pcd", "cd", "exact", "pid")),
    RABM(**TINY_FULL, n_hidden=2, backend="numpy"),
    RABM(**TINY_FULL, n_hidden=2, positive_phase="mean_field", negative_phase="pid"),
    RABM(**TINY_FULL, units="spin", dtype="float64", optimizer="adam", fit_intercept=False),
    DBM(**TINY_DEEP),
    DBM(**TINY_DEEP, positive_phase="clamped", negative_phase="exact", output_layers="all"),
    RADBM(**TINY_DEEP, n_patterns=2),
    RADBM(**{**TINY_DEEP, "hidden_layer_sizes": (3, 2, 2)}, n_patterns=2, negative_phase="pid"),
]
# In the quick suite: defaults, the other backend, spins, real columns, signs, and other machines.
QUICK = [CHECKED[i] for i in (4, 8, 20, 24, 27, 30, 36, 42)]

INDEPENDENT = BoltzmannDensity(candidates=[], random_state=0, n_threads=1)
# Machines of normal numbers that are accurate enough for the check of classifiers.
CLOUDS = {**TINY, "n_components": 8, "max_iter": 30, "visible": "gaussian"}
TASKS = [
    INDEPENDENT,
    BoltzmannImputer(INDEPENDENT, keep_empty_features=True),
    BoltzmannClassifier(RBM(**CLOUDS)),
]
# The same of machines, which take longer.
TASKS_OF_MACHINES = [
    BoltzmannImputer(RBM(**TINY)),
    BoltzmannImputer(RBM(**TINY, visible="gaussian"), add_indicator=True),
]


@pytest.fixture(scope="module")
def X():
    """Rows of 8 binary values, copies of four prototypes with a tenth of the values flipped."""
    rng = np.random.default_rng(0)
    prototypes = rng.integers(2, size=(4, 8))
    X = prototypes[rng.integers(4, size=60)]
    return np.where(rng.random(X.shape) < 0.1, 1 - X, X).astype(np.uint8)


@pytest.fixture(scope="module")
def y(X):
    return X[:, 0] ^ X[:, 1]


@pytest.fixture(params=[RBM(**TINY), RARBM(**TINY_PATTERNS)], ids=["RBM", "RARBM"])
def estimator(request):
    return clone(request.param)


def assert_same_model(a, b):
    for name in FITTED_ATTRIBUTES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def unequal(estimator):
    """Rows are shuffled into batches: weights equal repeated rows in the mean, not to rounding.

    And likelihoods of deep machines are estimated.
    """
    if getattr(estimator, "projection", None) == "sign":
        return {}  # whatever the batches, the patterns end as the same signs
    checks = ("dense", "sparse") if estimator.units == "binary" else ("dense",)
    reason = "batches are drawn by chance; test_gradients.py has the equality in one batch"
    failing = {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in checks}
    n_latent = sum(getattr(estimator, "hidden_layer_sizes", ())[1::2])
    if n_latent > 10 or getattr(estimator, "n_hidden", 0) > 10:  # more than are enumerated
        reason = "score_samples estimates, by random numbers that go with a row's place"
        kinds = ("sample_order", "subset")
        failing |= {f"check_methods_{kind}_invariance": reason for kind in kinds}
    if takes_spins_alone(estimator) and getattr(estimator, "visible", "auto") == "auto":
        reason = "the check's frame has columns of numbers, which are real columns by default"
        failing["check_sample_weights_pandas_series"] = reason
    return failing


def unequal_of_tasks(estimator):
    """Of a machine's batches, as above. Means and independent columns are the same."""
    if not isinstance(estimator, BoltzmannClassifier):
        return {}
    reason = "batches are drawn by chance; test_classifier.py has rows with weights"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(TASKS, expected_failed_checks=unequal_of_tasks)
def test_scikit_learn_checks_of_tasks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(TASKS_OF_MACHINES, expected_failed_checks=unequal_of_tasks)
def test_scikit_learn_checks_of_tasks_by_machines(estimator, check):
    check(estimator)


def takes_spins_alone(estimator):
    """Whether what an estimator of any columns was told to do needs binary ones."""
    if isinstance(estimator, DBM | RADBM | RABM):
        return False
    phase = estimator.negative_phase
    is_by_patterns = phase == "pid" or isinstance(phase, PatternInducedCorrelations)
    is_drawn = getattr(estimator, "projection", None) == "gibbs"
    return is_by_patterns or is_drawn or estimator.hidden == "gaussian"


# Checks fit normal numbers, which "auto" thresholds with a warning.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(QUICK, expected_failed_checks=unequal)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(
    [model for model in CHECKED if model not in QUICK], expected_failed_checks=unequal
)
def test_scikit_learn_checks_of_others(estimator, check):
    check(estimator)


DETECTORS = [
    BoltzmannOutlierDetector(RBM(**TINY, visible="gaussian"), contamination=0.1),
    BoltzmannOutlierDetector(
        BoltzmannDensity(candidates=[], random_state=0), contamination=0.1, n_refits=1
    ),
]


@parametrize_with_checks(DETECTORS)
def test_scikit_learn_checks_of_outlier_detectors(estimator, check):
    check(estimator)


# --- frames and names -------------------------------------------------------------------


def test_output_names_number_the_hidden_units(estimator, X):
    names = estimator.fit(X).get_feature_names_out()
    prefix = type(estimator).__name__.lower()
    assert list(names) == [f"{prefix}{i}" for i in range(3)]


@pytest.mark.parametrize(("kind", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(estimator, X, kind, frame):
    expected = estimator.fit(X).transform(X)
    out = estimator.set_output(transform=kind).transform(X)
    assert isinstance(out, frame)
    assert list(out.columns) == list(estimator.get_feature_names_out())
    np.testing.assert_array_equal(out.to_numpy(), expected)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names_in(estimator, X, frame):
    names = [f"pixel{i}" for i in range(X.shape[1])]
    framed = pd.DataFrame(X, columns=names) if frame is pd.DataFrame else pl.DataFrame(X, names)
    assert list(estimator.fit(framed).feature_names_in_) == names
    assert not hasattr(clone(estimator).fit(X), "feature_names_in_")


# --- clone, pickle, printing ------------------------------------------------------------


def test_clone_keeps_parameters_of_strategies_and_nothing_fitted(X):
    phase = PersistentContrastiveDivergence(n_gibbs_steps=3)
    original = RBM(**TINY, negative_phase=phase, optimizer=SGD(momentum=0.5)).fit(X)
    copy = clone(original)
    assert copy.negative_phase.n_gibbs_steps == 3
    assert copy.negative_phase is not phase
    assert copy.optimizer.momentum == 0.5
    with pytest.raises(NotFittedError):
        copy.transform(X)
    assert_same_model(copy.fit(X), original)


def test_fit_leaves_strategies_as_they_were(X):
    phase = PatternInducedCorrelations(n_gibbs_steps=2)
    before = dict(vars(phase))
    RARBM(**TINY_PATTERNS, negative_phase=phase).fit(X)
    assert vars(phase) == before


def test_pickle(estimator, X):
    loaded = pickle.loads(pickle.dumps(estimator.fit(X)))
    np.testing.assert_array_equal(loaded.score_samples(X), estimator.score_samples(X))
    np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
    np.testing.assert_array_equal(
        loaded.sample(5, n_gibbs_steps=3, random_state=1),
        estimator.sample(5, n_gibbs_steps=3, random_state=1),
    )


def test_repr_shows_what_differs_from_the_defaults():
    rbm = RBM(n_components=7, negative_phase=ContrastiveDivergence(n_gibbs_steps=2))
    shown = "RBM(n_components=7, negative_phase=ContrastiveDivergence(n_gibbs_steps=2))"
    assert "".join(repr(rbm).split()) == "".join(shown.split())


def test_html_repr(estimator, X):
    name = type(estimator).__name__
    assert "Not fitted" in estimator_html_repr(estimator)
    html = estimator.fit(X)._repr_html_()
    assert name in html
    assert "n_components" in html
    assert "Not fitted" not in html


# --- pipelines and searches -------------------------------------------------------------


def test_pipeline_in_a_grid_search(estimator, X, y):
    pipeline = Pipeline([("features", estimator), ("classify", LogisticRegression())])
    search = GridSearchCV(pipeline, {"features__n_components": [2, 5]}, cv=2).fit(X, y)
    best = search.best_estimator_.named_steps["features"]
    assert best.n_components == search.best_params_["features__n_components"]
    assert search.best_estimator_.named_steps["classify"].n_features_in_ == best.n_components
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_grid_search_without_scorer_maximises_the_likelihood(X):
    half = len(X) // 2
    folds = [(np.arange(half), np.arange(half, len(X)))]
    grid = {"n_patterns": [1, 4], "n_components": [2, 6]}
    search = GridSearchCV(RARBM(**TINY_PATTERNS), grid, cv=folds, refit=False).fit(X)
    by_hand = [
        RARBM(**{**TINY_PATTERNS, **params}).fit(X[:half]).score(X[half:])
        for params in search.cv_results_["params"]
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], by_hand, rtol=1e-12)
    assert len(set(by_hand)) == 4
    assert search.best_index_ == np.argmax(by_hand)


@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (
            RBM(**TINY, negative_phase=PersistentContrastiveDivergence()),
            {"negative_phase__n_gibbs_steps": [1, 4]},
        ),
        (
            RARBM(**TINY_PATTERNS, negative_phase=PatternInducedCorrelations()),
            {"negative_phase__n_gibbs_steps": [0, 4]},
        ),
        (RBM(**TINY, optimizer=SGD()), {"optimizer__momentum": [0.0, 0.9]}),
    ],
    ids=["PCD", "PID", "SGD"],
)
def test_grid_search_over_parameters_of_strategies(estimator, grid, X):
    search = GridSearchCV(estimator, grid, cv=2).fit(X)
    first, second = search.cv_results_["mean_test_score"]
    assert np.isfinite([first, second]).all()
    # The value reaches the strategy: other values train other models.
    assert first != second
    name, value = next(iter(search.best_params_.items()))
    assert search.best_estimator_.get_params()[name] == value


@pytest.mark.slow
def test_grid_search_in_two_processes_gives_the_same_results(X):
    grid = {"n_components": [2, 4]}
    one, two = (GridSearchCV(RARBM(**TINY_PATTERNS), grid, cv=2, n_jobs=n).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert_same_model(one.best_estimator_, two.best_estimator_)


# --- callbacks --------------------------------------------------------------------------


class Recorder:
    """A callback that keeps the fitted estimator of each epoch, and may stop after one."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.snapshots = []
        self.n_begun = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.n_begun += context.task_name == "epoch"

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch":
            return False
        self.snapshots.append((fitted_estimator, fitted_estimator.components_.copy()))
        return len(self.snapshots) == self.stop_after


def log_likelihood(estimator, X, y=None):
    """A scorer; ScoringMonitor(scoring=None) wants a dict of scores from `score` (sklearn 1.9)."""
    return estimator.score(X)


SCORING = {"score": log_likelihood}


def scores_after_each_epoch(estimator, X, scored, n_epochs):
    """What models score that were trained for 1, 2, ... epochs at a constant rate."""
    models = (clone(estimator).set_params(max_iter=n) for n in range(1, n_epochs + 1))
    return [model.fit(X).score(scored) for model in models]


@pytest.mark.parametrize("with_y", [False, True])
def test_scoring_monitor_logs_each_epoch(estimator, X, y, with_y):
    estimator.set_params(learning_rate=0.1, max_iter=3)
    monitor = ScoringMonitor(scoring=SCORING)
    estimator.set_callbacks(monitor)
    estimator.fit(X, y) if with_y else estimator.fit(X)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = scores_after_each_epoch(estimator.set_callbacks(), X, X, 3)
    np.testing.assert_allclose([row["score"] for row in rows], expected, rtol=1e-12)


def test_scoring_monitor_and_progress_bar_do_not_change_the_model(estimator, X, capsys):
    plain = clone(estimator).fit(X)
    monitored = estimator.set_callbacks(ProgressBar(), ScoringMonitor(scoring=SCORING)).fit(X)
    assert_same_model(plain, monitored)
    assert type(estimator).__name__ in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_grid_search(estimator, X, n_jobs):
    estimator.set_params(learning_rate=0.1)
    monitor = ScoringMonitor(scoring=SCORING)
    half = len(X) // 2
    folds = [(np.arange(half), np.arange(half, len(X)))]
    grid = {"n_components": [2, 4]}
    search = GridSearchCV(
        clone(estimator).set_callbacks(monitor), grid, cv=folds, refit=False, n_jobs=n_jobs
    )
    search.fit(X)
    logs = monitor.get_logs(select="all")
    rows = [row for log in logs for row in log.data if row["task_name"] == "epoch"]
    expected = [
        scores_after_each_epoch(
            clone(estimator).set_params(n_components=n), X[:half], X[:half], estimator.max_iter
        )
        for n in grid["n_components"]
    ]
    # Processes may report in any order.
    np.testing.assert_allclose(
        np.sort([row["score"] for row in rows]), np.sort(np.ravel(expected)), rtol=1e-12
    )


def test_callback_can_stop_training(estimator, X):
    estimator.set_params(learning_rate=0.1, max_iter=6)
    recorder = Recorder(stop_after=2)
    estimator.set_callbacks(recorder).fit(X)
    assert estimator.n_iter_ == 2
    assert recorder.n_begun == 2
    assert estimator.history_["epoch"] == [0, 1]
    assert_same_model(estimator, clone(estimator.set_callbacks()).set_params(max_iter=2).fit(X))


def test_fitted_estimator_in_a_callback_is_a_snapshot(estimator, X):
    estimator.set_params(learning_rate=0.1, max_iter=3)
    recorder = Recorder()
    estimator.set_callbacks(recorder).fit(X)
    assert len(recorder.snapshots) == 3
    for n_epochs, (snapshot, components) in enumerate(recorder.snapshots, start=1):
        np.testing.assert_array_equal(snapshot.components_, components)
        short = clone(estimator).set_callbacks().set_params(max_iter=n_epochs).fit(X)
        assert_same_model(snapshot, short)
        np.testing.assert_array_equal(snapshot.transform(X), short.transform(X))
        assert snapshot.score(X) == short.score(X)
        assert snapshot.n_iter_ == n_epochs
        assert len(snapshot.history_["epoch"]) == n_epochs


# --- log Z is kept ----------------------------------------------------------------------


@pytest.fixture
def n_estimates(monkeypatch):
    """A list that grows by one at each call of `log_partition`."""
    calls = []
    for cls in (RBM, RARBM):
        original = cls.log_partition

        def counted(self, *args, original=original, **kwargs):
            calls.append(self)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(cls, "log_partition", counted)
    return calls


def brute_force_log_partition(model):
    """log Z by summing over all visible states, from the published parameters."""
    n_visible = model.n_features_in_
    v = 2.0 * ((np.arange(2**n_visible)[:, None] >> np.arange(n_visible)) & 1) - 1.0
    fields = v @ model.components_.T.astype(float) + model.intercept_hidden_
    log_f = v @ model.intercept_visible_.astype(float) + np.logaddexp(fields, -fields).sum(axis=1)
    return np.logaddexp.reduce(log_f)


def test_log_partition_is_estimated_once_a_model_state(estimator, X, n_estimates):
    estimator.fit(X)
    assert len(n_estimates) == 0
    estimator.score(X)
    estimator.score_samples(X[:3])
    assert len(n_estimates) == 1
    np.testing.assert_allclose(
        estimator.log_partition_, brute_force_log_partition(estimator), rtol=1e-6
    )
    assert len(n_estimates) == 1


def test_log_partition_is_estimated_anew_after_partial_fit(estimator, X, n_estimates):
    before = estimator.fit(X).log_partition_
    after = estimator.partial_fit(X).log_partition_
    assert len(n_estimates) == 2
    assert after != before
    np.testing.assert_allclose(after, brute_force_log_partition(estimator), rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (RBM(**TINY), "components_"),
        (RARBM(**TINY_PATTERNS), "hidden_patterns_"),
        (RBM(**TINY), "intercept_visible_"),
        (RARBM(**TINY_PATTERNS), "intercept_hidden_"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_log_partition_is_estimated_anew_after_a_change_by_hand(estimator, name, X, n_estimates):
    estimator = clone(estimator).fit(X)
    before = estimator.log_partition_
    changed = getattr(estimator, name)
    changed.flat[0] += 0.5
    after = estimator.log_partition_
    assert len(n_estimates) == 2
    assert after != before
    np.testing.assert_allclose(after, brute_force_log_partition(estimator), rtol=1e-6)


def test_components_of_patterns_are_read_only(X):
    estimator = RARBM(**TINY_PATTERNS).fit(X)
    with pytest.raises(AttributeError):
        estimator.components_ = np.zeros((3, 8))


@pytest.mark.parametrize(
    "cls", [RBM, RARBM, DBM, RADBM, RABM, *map(type, TASKS), BoltzmannOutlierDetector]
)
def test_every_parameter_is_documented(cls):
    """In full, whatever place its words are from: nothing is left to be filled in."""
    parameters = inspect.cleandoc(cls.__doc__).split("Parameters\n")[1].split("\nAttributes\n")[0]
    named = re.findall(r"^(\w+(?:, \w+)*) : ", parameters, flags=re.MULTILINE)
    assert sorted(", ".join(named).split(", ")) == sorted(cls().get_params())
    assert not re.search(r"^\{", parameters, flags=re.MULTILINE)
