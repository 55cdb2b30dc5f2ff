"""Check the fitted attributes and the training state of a model that is saved or loaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import get_backend
from sklearn_rapid.checks.arguments import is_number
from sklearn_rapid.checks.requirements import (
    ANY_COUNT,
    FLOATS,
    LARGEST_NUMBER,
    LARGEST_SCALE,
    Requirement,
    check_requirements,
    is_count,
    is_finite,
    is_float_array,
    is_scale_array,
)
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.fitted import check_training_state
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.persistence.columns import COLUMN_ATTRIBUTES
from sklearn_rapid.training.chains import Chains, PlainChains, TemperedChains, as_chains
from sklearn_rapid.training.optimizers import is_optimizer_state


def check_model(model: BaseRBM) -> None:
    """Raise ValueError unless all attributes of a fitted model are valid and fit together."""
    check_requirements(vars(model), ATTRIBUTES, model)
    fitted = get_fitted_model(model, backend=get_backend("numpy"))
    for name in model._fitted_shapes:
        largest = np.abs(getattr(model, name)).max()
        if largest > LARGEST_NUMBER:
            raise ValueError(f"{name} must be within ±{LARGEST_NUMBER:g}, got {largest:g}")
    check_requirements(fitted.host_state, OWN_STATE, model)
    check_training_state(fitted.host_state, fitted.machine)


def _is_history(value: Any, model: BaseRBM) -> bool:
    if not isinstance(value, dict) or not all(isinstance(c, list) for c in value.values()):
        return False
    n_rows = len(value.get("epoch", []))
    columns = value.values()
    return all(len(column) == n_rows and all(map(is_number, column)) for column in columns)


def _is_kept_log_partition(value: Any, model: BaseRBM) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and isinstance(value[0], bytes) and is_finite(value[1])


def _are_layer_sizes(value: Any, model: BaseRBM) -> bool:
    is_tuple = isinstance(value, tuple) and len(value) > 1
    return is_tuple and all(is_count(size, 1) for size in value)


# The attributes that a fit sets, other than the arrays of `_fitted_shapes`; the owner is the model.
# `get_fitted_model` compares them with one another, `check_training_state` looks into the state.
ATTRIBUTES = {
    "n_features_in_": Requirement("a whole number above zero", lambda value, _: is_count(value, 1)),
    "_training_state": Requirement("a dict", lambda value, _: isinstance(value, dict)),
    "_kept_log_partition": Requirement("a digest and a number", _is_kept_log_partition),
    "binarize_": Requirement(
        "a finite number, 'sample' or None",
        lambda value, _: value is None or is_finite(value) or value == "sample",
    ),
    "hidden_": Requirement("a kind of units", lambda value, _: isinstance(value, str)),
    "history_": Requirement("columns of numbers, all as long as 'epoch'", _is_history),
    "layer_sizes_": Requirement("a tuple of whole numbers above zero", _are_layer_sizes),
    "mean_": Requirement(
        "numbers within ±1e36",
        lambda value, _: is_float_array(value, np.shape(value), LARGEST_SCALE),
    ),
    "n_iter_": ANY_COUNT,
    "scale_": Requirement(
        "numbers from 1e-36 to 1e36",
        lambda value, _: is_scale_array(value, np.shape(value), FLOATS),
    ),
    **COLUMN_ATTRIBUTES,
}
# Stricter than `check_training_state`: a file holds no optimizer or phase of a user's own.
OWN_STATE = {
    "optimizer_state": Requirement(
        "what an optimizer of this package leaves", lambda value, _: is_optimizer_state(value)
    ),
    "chains": Requirement(
        "chains of this package",
        lambda value, _: type(as_chains(value)) in (Chains, PlainChains, TemperedChains),
    ),
}
