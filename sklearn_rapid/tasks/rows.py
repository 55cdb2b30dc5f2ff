"""Rows that estimators hand on to a density: validated, but left as users have them."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import validate_data

from sklearn_rapid.checks.arrays import compute_if_dask, resolve_container
from sklearn_rapid.checks.compat import Interval
from sklearn_rapid.tables.frames import is_frame, unwrap_frame
from sklearn_rapid.tasks.density import BoltzmannDensity

# Constraints of the parameters of `make_density`.
DENSITY_CONSTRAINTS: dict[str, list] = {
    "estimator": [BaseEstimator, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    "n_jobs": [int, None],
}


def validate_rows(estimator: Any, X: Any, *, reset: bool, **with_y: Any) -> Any:
    """Validate rows with gaps: frames by their columns' names, anything else as an array.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set with `reset`, and compared otherwise.
        Its `estimator_` has seen a frame in fit, or an array.
    X : {array-like, frame} of shape (n_samples, n_features)
    reset : bool
    **with_y
        The argument `y` of `fit`, if that needs one.

    Returns
    -------
    frame, or float64 array
        A frame is an array after a fit to one.
    """
    X = unwrap_frame(compute_if_dask(X, "X"))
    if is_frame(X) and (reset or hasattr(estimator.estimator_, "frame_")):
        validate_data(estimator, X, reset=reset, skip_check_array=True, **with_y)
        return X
    if with_y:  # which is checked by itself, in the same way for frames
        validate_data(estimator, X, reset=reset, skip_check_array=True, **with_y)
        with_y = {"y": "no_validation"}
    X, how = resolve_container(X, "X", missing=True), {"ensure_all_finite": "allow-nan"}
    return validate_data(estimator, X, reset=reset, dtype=np.float64, **how, **with_y)


def make_density(task: Any, random_state: Any) -> Any:
    """Clone the parameter `estimator`, or make a `BoltzmannDensity` by other parameters."""
    if task.estimator is not None:
        return clone(task.estimator)
    return BoltzmannDensity(
        time_limit=task.time_limit,
        n_jobs=task.n_jobs,
        random_state=random_state,
        verbose=task.verbose,
    )
