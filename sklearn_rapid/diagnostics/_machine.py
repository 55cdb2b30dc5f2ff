"""Get the machine of a fitted estimator, and read rows of X as its spins."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.model import Model, get_fitted_model, validate_rows
from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.frames import is_frame


def get_model(estimator: Any, *, of_spins: bool = True, with_patterns: bool = False) -> Model:
    """Get the model of a fitted estimator; TypeError or NotFittedError otherwise.

    ValueError if spins or patterns are required and the model has none.
    """
    if not isinstance(estimator, BaseRBM):
        raise TypeError(
            f"estimator must be a fitted RBM, RARBM, DBM, RADBM or RABM, got {estimator!r}"
        )
    check_is_fitted(estimator)
    model = get_fitted_model(estimator)
    if of_spins and not model.machine.has_spins_only:
        hidden = "binary" if model.machine.hidden_units.are_spins else "gaussian"
        kinds = " and ".join(part.kind for part in model.table.parts)
        raise ValueError(
            f"this diagnostic is about spins, got {type(estimator).__name__} with {kinds} columns "
            f"and {hidden} hidden units"
        )
    if with_patterns and not model.machine.couplings.uses_patterns:
        raise ValueError(
            f"this diagnostic is about the patterns of a model, and {type(estimator).__name__} "
            "has none: use RARBM or RADBM."
        )
    return model


def read_spins(estimator: Any, model: Model, X: ArrayLike) -> Any:
    """Read rows of X as spins, shape (n, V); a mean counts as the likelier spin."""
    X = validate_rows(estimator, X)
    return model.backend.sign(model.encoder(X).states(X))


def read_samples(estimator: Any, n_samples: int, how: dict[str, Any]) -> np.ndarray:
    """Draw samples as an array in the units of the estimator, also if they are rows of a frame."""
    plain = copy.copy(estimator)
    vars(plain).pop("_sklearn_output_config", None)
    samples = plain.sample(n_samples, **how)
    if not is_frame(samples):
        return np.asarray(samples)
    low, high = UNIT_RANGES[estimator.units]
    numbers = validate_rows(plain, samples)
    numbers = numbers.toarray() if sparse.issparse(numbers) else numbers
    return np.where(numbers > 0.5 * (low + high), high, low)
