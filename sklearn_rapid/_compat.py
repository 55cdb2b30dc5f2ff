"""The only place that touches private names of scikit-learn."""

from __future__ import annotations

from typing import ClassVar

from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions

__all__ = [
    "Interval",
    "Options",
    "StrOptions",
    "ValidatedParameters",
    "validate_parameters",
    "validates_parameters",
]

# Decorates a `fit`: parameters are checked against `_parameter_constraints` before it runs.
validates_parameters = _fit_context(prefer_skip_nested_validation=True)


def validate_parameters(estimator: BaseEstimator) -> None:
    """Check parameters as the decorator does, which leaves out `partial_fit` on fitted models."""
    estimator._validate_params()


class ValidatedParameters(BaseEstimator):
    """A strategy object: prints, clones and grid-searches as estimators do."""

    _parameter_constraints: ClassVar[dict] = {}

    def validate(self) -> None:
        """Raise ValueError or TypeError for a parameter of a wrong type or value."""
        validate_parameters(self)
