"""Check attributes of unknown origin against a table of requirements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.checks.arguments import is_number
from sklearn_rapid.checks.arrays import describe

DOUBLE = (np.dtype("float64"),)
FLOATS = (np.dtype("float32"), *DOUBLE)
# float32 holds the squares of numbers, and both scales and their inverses; float64 whole numbers.
LARGEST_NUMBER, LARGEST_SCALE, LARGEST_WHOLE = 1e15, 1e36, 2**53


class Requirement(NamedTuple):
    """A requirement on a value, in words and as a test of the value and its owner."""

    description: str
    is_met: Callable[[Any, Any], bool]


def check_requirements(
    values: Mapping[str, Any], requirements: Mapping[str, Requirement], owner: Any, prefix: str = ""
) -> None:
    """Raise ValueError for the first value that does not meet its requirement.

    Examples
    --------
    >>> check_requirements({"n_rows": -1}, {"n_rows": ANY_COUNT}, None)
    Traceback (most recent call last):
    ...
    ValueError: n_rows must be a whole number, zero at least, got -1
    """
    for name, required in requirements.items():
        if name in values and not required.is_met(values[name], owner):
            got = describe(values[name])
            raise ValueError(f"{prefix}{name} must be {required.description}, got {got}")


def is_count(value: Any, smallest: int = 0) -> bool:
    """Whether a value is a whole number, at least `smallest`, that floats hold exactly."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    return is_whole and smallest <= value < LARGEST_WHOLE


def is_finite(value: Any) -> bool:
    """Whether a value is a real number, small enough to compute with."""
    return is_number(value) and abs(value) <= LARGEST_NUMBER


def is_float_array(
    value: Any, shape: tuple, largest: Any = LARGEST_NUMBER, dtypes: Any = FLOATS
) -> bool:
    """Whether a value is an array of that shape and one of these types, with small numbers."""
    is_array = isinstance(value, np.ndarray) and value.dtype in dtypes and value.shape == shape
    return is_array and bool((np.abs(value) <= largest).all())


def is_scale_array(value: Any, shape: tuple, dtypes: Any) -> bool:
    """Whether a value is an array of that shape and one of these types, with possible scales."""
    is_small = is_float_array(value, shape, LARGEST_SCALE, dtypes)
    return is_small and bool((value >= 1.0 / LARGEST_SCALE).all())


ANY_COUNT = Requirement("a whole number, zero at least", lambda value, _: is_count(value))
ANY_NUMBER = Requirement("a number", lambda value, _: is_number(value))
