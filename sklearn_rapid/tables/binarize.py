"""Infer what values of binary columns mean: two values, probabilities, or neither."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from sklearn_rapid.backends import is_cupy_array, to_host
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.encoder import chunks
from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.missing import has_missing

# With binarize="auto", values above this are on if they are neither two values nor means.
FALLBACK_THRESHOLD = 0.5


def infer_binarize(X: Any, units: str) -> Any:
    """Infer `binarize`: a threshold for two values, "sample" for means, None for others.

    NaN is ignored.

    Examples
    --------
    >>> infer_binarize(np.array([0.0, 1.0]), "binary")
    0.5
    >>> infer_binarize(np.array([0.0, 0.3]), "binary")
    'sample'
    >>> infer_binarize(np.array([0.0, 0.3, 2.0]), "binary") is None
    True
    """
    low, high = UNIT_RANGES[units]
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind == "b" or values.size == 0:
        return 0.5
    # No integers lie between 0 and 1.
    is_two, has_no_means = True, values.dtype.kind in "iu" and low == 0.0
    # A few rows at a time, so that no temporary array is as large as X.
    for rows in chunks(values.shape[0]):
        part = values[rows]
        if not has_no_means:
            is_two = is_two and bool(((part == low) | (part == high) | (part != part)).all())
        if (has_no_means or not is_two) and bool(((part < low) | (part > high)).any()):
            return None
    return 0.5 * (low + high) if is_two else "sample"


def warn_ambiguous(X: Any) -> None:
    """Warn (DataConversionWarning) that a fallback threshold is used on ambiguous values."""
    least, largest = _known_range(X.data if sparse.issparse(X) else to_host(X))
    warn(
        f"X holds values from {float(least):g} to {float(largest):g}, which are "
        f"neither two values nor probabilities. With binarize='auto' those above "
        f"{FALLBACK_THRESHOLD:g} are taken as on. Say what they mean: set binarize to the "
        "threshold above which a value is on; or scale X to [0, 1], where a value is the "
        "probability of being on (sklearn.preprocessing.MinMaxScaler); or set visible to "
        "'categorical' for codes (OrdinalEncoder, KBinsDiscretizer), to 'gaussian' for numbers.",
        DataConversionWarning,
    )


def warn_if_constant(X: Any, threshold: float, backend: Any) -> None:
    """Warn (DataConversionWarning) if different values are all on one side of a threshold."""
    least, largest = np.inf, -np.inf
    where = backend.xp if is_cupy_array(X) else np
    # The first chunk of most data suffices.
    for part in [X] if sparse.issparse(X) else (X[rows] for rows in chunks(X.shape[0])):
        ends = _known_range(part, where)
        least, largest = min(least, to_host(ends[0])), max(largest, to_host(ends[1]))
        if (least > threshold) != (largest > threshold):
            return
    if least < largest:
        warn(
            f"X holds values from {float(least):g} to {float(largest):g}, and with a threshold of "
            f"{threshold:g} all of them are {'on' if least > threshold else 'off'}: there is "
            "nothing to learn. Set binarize to a threshold between them.",
            DataConversionWarning,
        )


def _known_range(values: Any, where: Any = np) -> tuple[Any, Any]:
    """Find the least and the largest value, ignoring NaN."""
    if has_missing(values):
        values = values[values == values]
    return (where.min(values), where.max(values)) if values.shape[0] else (np.inf, -np.inf)
