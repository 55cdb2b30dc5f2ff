"""Find the least and largest values of each block, and refuse NaN and infinity."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.dask._rows import RemoteRows
from sklearn_rapid.tables.encoder import Encoder

# Rows compared at a time.
CHUNK = 4096


def find_extreme_rows(rows: RemoteRows, encoder: Encoder | None = None) -> np.ndarray:
    """Return three rows of each block: of each column, the ends and a value in between, if any.

    They show any value of binary columns that a check could refuse.

    Parameters
    ----------
    rows : RemoteRows
    encoder : Encoder, optional
        Checks all rows.

    Raises
    ------
    ValueError
        If a partition holds NaN or infinity, or has another shape or dtype than was declared; or
        from the encoder's check.
    """
    found = rows.map_blocks(_extremes, [(encoder,)] * len(rows.blocks))
    for i, (shape, dtype, values) in enumerate(found):
        expected = int(rows.n_rows[i]), rows.n_columns
        if shape != expected:
            raise ValueError(f"partition {i} of X has shape {shape}, {expected} was declared")
        if dtype != rows.dtype:
            raise ValueError(f"partition {i} of X has dtype {dtype}, {rows.dtype} was declared")
        bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
        if bad.size:
            raise ValueError(f"partition {i} of X holds NaN or infinity in column {bad[0]}")
    return np.concatenate([values for *_, values in found])


def _extremes(block: Any, encoder: Encoder | None) -> tuple[tuple[int, ...], np.dtype, np.ndarray]:
    """Return shape and dtype of a block, and its three rows."""
    values = np.asarray(block)
    if values.ndim != 2 or 0 in values.shape:
        return values.shape, values.dtype, np.zeros((0, 0))
    if encoder is not None:
        encoder.check(values)
    low, high = values.min(axis=0), values.max(axis=0)
    between = low.copy()
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK]
        is_between = (part > low) & (part < high)
        column = np.flatnonzero(is_between.any(axis=0) & (between == low))
        between[column] = part[is_between.argmax(axis=0)[column], column]
    return values.shape, values.dtype, np.stack([low, high, between])
