"""Wrap the private names of scikit-learn that the package uses; no other module touches them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import _param_validation
from sklearn.utils._param_validation import Options, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config

__all__ = [
    "LARGEST_COUNT",
    "Count",
    "Counts",
    "Interval",
    "Options",
    "StrOptions",
    "ValidatedParameters",
    "callback_context",
    "restored_on_error",
    "validate_parameters",
    "wanted_output",
    "with_validated_parameters",
    "wrap_output",
]

# No count of units, rows, steps or epochs is larger; products of two still fit in 64 bits.
LARGEST_COUNT = 2**31 - 1


class Interval(_param_validation.Interval):
    """Scikit-learn's interval, for Python's and NumPy's numbers only.

    Bools do not count, nor do ints that are too large for a float.
    """

    def is_satisfied_by(self, value: Any) -> bool:
        """Whether a value satisfies it."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            return False
        if isinstance(value, Integral) and self.type is not Integral:
            try:
                float(value)
            except OverflowError:
                return False
        return super().is_satisfied_by(value)


class Count(Interval):
    """An int from `smallest` to `LARGEST_COUNT`."""

    def __init__(self, smallest: int = 1) -> None:
        super().__init__(Integral, smallest, LARGEST_COUNT, closed="both")


class Counts(Count):
    """A non-empty tuple or list of ints from one to `LARGEST_COUNT`."""

    def is_satisfied_by(self, value: Any) -> bool:
        """Whether a value satisfies it."""
        is_some = isinstance(value, tuple | list) and len(value) > 0
        return is_some and all(map(super().is_satisfied_by, value))

    def __str__(self) -> str:
        return "a tuple of ints above 0, one at least"


# Decorates a `fit` to check parameters against `_parameter_constraints` before it runs.
with_validated_parameters = _fit_context(prefer_skip_nested_validation=True)


def validate_parameters(estimator: BaseEstimator) -> None:
    """Check parameters as the decorator does; it skips `partial_fit` of fitted models."""
    estimator._validate_params()


def callback_context(estimator: BaseEstimator, n_epochs: int) -> Any:
    """The context that a fit calls callbacks in."""
    return estimator._init_callback_context(max_subtasks=n_epochs)


@contextmanager
def restored_on_error(estimator: BaseEstimator, unless: type[BaseException]) -> Iterator[None]:
    """Give an estimator its attributes back if the body raises, but for one kind of error."""
    before = dict(vars(estimator))
    try:
        yield
    except unless:
        raise
    except BaseException:
        # Callback bookkeeping belongs to scikit-learn, which ends it after us.
        ours = {name for name in {**vars(estimator), **before} if "callback" not in name}
        for name in ours - before.keys():
            del vars(estimator)[name]
        vars(estimator).update({name: before[name] for name in ours & before.keys()})
        raise


def wanted_output(estimator: BaseEstimator) -> str | None:
    """The container that `set_output` asks for; None if it has not been called."""
    kind = _get_output_config("transform", estimator)["dense"]
    is_set = "transform" in getattr(estimator, "_sklearn_output_config", {})
    return kind if is_set or kind != "default" else None


def wrap_output(estimator: BaseEstimator, values: Any, names: Any, like: Any) -> Any:
    """Put values into the container that `set_output` asks for, with these names of columns.

    Parameters
    ----------
    estimator : estimator
    values : ndarray of shape (n, n_columns)
    names : array of str
    like : array-like or None
        A frame: the result gets its index.
    """
    kind = _get_output_config("transform", estimator)["dense"]
    if kind == "default":
        return values
    return ADAPTERS_MANAGER.adapters[kind].create_container(values, like, columns=names)


class ValidatedParameters(BaseEstimator):
    """A strategy object: prints, clones and grid-searches as estimators do."""

    _parameter_constraints: ClassVar[dict] = {}

    def validate(self) -> None:
        """Raise ValueError or TypeError for a parameter of a wrong type or value."""
        validate_parameters(self)

    def with_plain_numbers(self) -> ValidatedParameters:
        """Return a copy with Python's numbers for NumPy's, whose products may overflow."""
        numbers = {k: v for k, v in self.get_params(deep=False).items() if isinstance(v, np.number)}
        plain = copy.copy(self) if numbers else self
        return plain.set_params(**{name: value.item() for name, value in numbers.items()})
