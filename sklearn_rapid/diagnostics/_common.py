"""What the diagnostics share: the machine of a fitted estimator, its rows as spins, a seed."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.arguments import new_seed
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.model import Model, fitted_model, validated
from sklearn_rapid.machine.machine import Machine


def model_of(estimator: Any, *, of_spins: bool = True) -> Model:
    """The model of a fitted estimator; TypeError or NotFittedError otherwise.

    ValueError for other units than spins, unless the diagnostic is of these too.
    """
    if not isinstance(estimator, BaseRBM):
        raise TypeError(
            f"estimator must be a fitted RBM, RARBM, DBM, RADBM or RABM, got {estimator!r}"
        )
    check_is_fitted(estimator)
    model = fitted_model(estimator)
    if of_spins and not model.machine.has_spins_only:
        hidden = getattr(estimator, "hidden", "gaussian")
        raise ValueError(
            f"this diagnostic is about spins, got {type(estimator).__name__} with "
            f"visible={estimator.visible!r} and {hidden} hidden units"
        )
    return model


def machine_of_patterns(estimator: Any) -> Machine:
    """The machine of a fitted estimator that has patterns; ValueError otherwise."""
    machine = model_of(estimator).machine
    if not machine.couplings.uses_patterns:
        raise ValueError(
            f"this diagnostic is about the patterns of a model, and {type(estimator).__name__} "
            "has none: use RARBM or RADBM."
        )
    return machine


def spin_rows(estimator: Any, model: Model, X: ArrayLike) -> Any:
    """Rows of X as spins, shape (n, V); a mean counts as the likelier spin."""
    X = validated(estimator, X)
    return model.backend.sign(model.encoder(X).states(X))


def stream_of(random_state: Any) -> RandomStream:
    """A stream of random numbers seeded as scikit-learn seeds."""
    return RandomStream(new_seed(check_random_state(random_state)))
