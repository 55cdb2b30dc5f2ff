"""Warnings point at the user's line; what went wrong leaves nothing half done behind."""

from __future__ import annotations

import inspect
import threading
import warnings

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_rapid import RBM
from sklearn_rapid.diagnostics.displays import TrainingHistoryDisplay
from sklearn_rapid.training.optimizers import SGD

X = np.random.default_rng(0).integers(2, size=(30, 6)).astype(np.uint8)
DIVERGES = {"optimizer": SGD(scaled=False), "learning_rate": 1e30, "max_iter": 2}
HOW = {"n_components": 4, "max_iter": 1, "random_state": 0}


def line_of(action):
    """The lines that a function is made of, as (file, first, last)."""
    lines, first = inspect.getsourcelines(action)
    return inspect.getsourcefile(action), first, first + len(lines) - 1


def fit_that_diverges():
    return RBM(**{**HOW, **DIVERGES}).fit(X)


def partial_fit_that_diverges():
    return RBM(**{**HOW, **DIVERGES}).partial_fit(X)


def partial_fit_beyond_the_end():
    return RBM(**HOW, n_updates=1).partial_fit(X).partial_fit(X)


def fit_in_a_pipeline():
    return make_pipeline(FunctionTransformer(), RBM(**{**HOW, **DIVERGES})).fit(X)


def fit_of_odd_values():
    return RBM(**HOW).fit(5 * X)


def fit_transform_of_odd_values():
    return RBM(**HOW).fit_transform(5 * X)


def fit_of_too_large_batches():
    return RBM(**HOW, batch_size=1000).fit(X)


def log_partition_not_to_be_trusted():
    model = RBM(**{**HOW, "max_iter": 20}, init_scale=3.0).fit(X)
    return model.log_partition("ais", n_chains=2, n_temperatures=2)


@pytest.mark.parametrize(
    ("action", "category"),
    [
        (fit_that_diverges, ConvergenceWarning),
        (partial_fit_that_diverges, ConvergenceWarning),
        (partial_fit_beyond_the_end, UserWarning),
        (fit_in_a_pipeline, ConvergenceWarning),
        (fit_of_odd_values, DataConversionWarning),
        (fit_transform_of_odd_values, DataConversionWarning),
        (fit_of_too_large_batches, UserWarning),
        (log_partition_not_to_be_trusted, RuntimeWarning),
    ],
)
def test_warning_points_at_the_line_that_called(action, category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    file, first, last = line_of(action)
    assert [w.category for w in caught] == [category]
    assert caught[0].filename == file
    assert first <= caught[0].lineno <= last


def test_history_of_a_fit_that_diverged_at_once():
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model = fit_that_diverges()
    assert model.history_ == {}
    with pytest.raises(ValueError, match="no epochs to draw: training diverged"):
        TrainingHistoryDisplay.from_estimator(model)


def test_progress_bar_ends_with_an_error():
    """The error comes after the bar has begun."""
    model = RBM(**HOW, negative_phase="pid").set_callbacks(ProgressBar())
    with pytest.raises(ValueError, match="RBM has dense couplings"):
        model.fit(X)
    names = {type(thread).__name__ for thread in threading.enumerate()}
    assert "RichProgressMonitor" not in names
