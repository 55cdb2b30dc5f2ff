"""Checks of arguments: counts, positive numbers, options, weights of rows, seeds."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_rapid.backends import to_host
from sklearn_rapid.checks.arrays import as_array, as_numbers, readable
from sklearn_rapid.checks.compat import LARGEST_COUNT


def check_count(name: str, value: Any, smallest: int) -> int:
    """`value` as Python's int; TypeError or ValueError unless it is one from `smallest` on."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r} of type {type(value).__name__}")
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")
    if value > LARGEST_COUNT:
        raise ValueError(f"{name} must be at most {LARGEST_COUNT}, got {value}")
    return int(value)


def check_positive(name: str, value: Any) -> float:
    """`value` as Python's float; TypeError or ValueError unless it is a number above zero."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold, got {value}") from None


def check_option(name: str, value: Any, options: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is among the options."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")


def checked_weights(weights: Any, n_rows: int) -> np.ndarray | None:
    """Weights of rows as float64; ValueError if they are not one a row, finite and of some sum."""
    if weights is None:
        return None
    weights = as_numbers(as_array(readable(to_host(weights), "sample_weight"), "sample_weight"))
    if weights.dtype.kind not in "biuf":
        raise ValueError(f"sample_weight must hold numbers, got dtype {weights.dtype}")
    weights = weights.astype(np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight must have shape ({n_rows},), got {weights.shape}")
    bad = np.flatnonzero(~((weights >= 0.0) & np.isfinite(weights)))
    if bad.size:
        raise ValueError(
            f"sample_weight must be finite and not negative, got {weights[bad[0]]} in row {bad[0]}"
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total == 0.0:
        raise ValueError("sample_weight must be above zero for one row at least, got only zeros")
    if total == np.inf:
        raise ValueError(
            "sample_weight must have a finite sum, got infinity: divide by the largest"
        )
    return weights


def new_seed(random_state: np.random.RandomState) -> int:
    """A 64-bit seed."""
    low, high = random_state.randint(0, 2**32, size=2, dtype=np.uint64)
    return int(low) | int(high) << 32
