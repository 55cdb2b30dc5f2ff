"""Check arguments: counts, positive numbers, options, weights of rows, random states."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sklearn_rapid.backends import RandomStream, to_host
from sklearn_rapid.checks.arrays import as_array, as_numbers, resolve_container
from sklearn_rapid.checks.compat import LARGEST_COUNT


def check_count(name: str, value: Any, smallest: int) -> int:
    """Return a Python int; TypeError or ValueError unless it is at least `smallest`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r} of type {type(value).__name__}")
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")
    if value > LARGEST_COUNT:
        raise ValueError(f"{name} must be at most {LARGEST_COUNT}, got {value}")
    return int(value)


def is_number(value: Any) -> bool:
    """Whether a value is a real number, NaN and infinity included."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_positive(name: str, value: Any) -> float:
    """Return a Python float; TypeError or ValueError unless it is above zero."""
    if not is_number(value):
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


def check_weights(weights: Any, n_rows: int) -> np.ndarray | None:
    """Return a weight for each row, float64; ValueError unless finite with a positive sum."""
    if weights is None:
        return None
    weights = as_numbers(
        as_array(resolve_container(to_host(weights), "sample_weight"), "sample_weight")
    )
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


def draw_seed(random_state: Any) -> int:
    """Draw a 64-bit seed from a `random_state` of scikit-learn's kinds."""
    low, high = check_random_state(random_state).randint(0, 2**32, size=2, dtype=np.uint64)
    return int(low) | int(high) << 32


def seed_stream(random_state: Any) -> RandomStream:
    """Start a stream of random numbers at a seed of `draw_seed`."""
    return RandomStream(draw_seed(random_state))
