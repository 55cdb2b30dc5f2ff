"""What a fitted model says of a Dask collection, block by block and when it is asked for."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np

from sklearn_rapid.estimators.model import validate_rows


def is_collection(X: Any) -> bool:
    """Whether X is a Dask array or data frame."""
    return dask.is_dask_collection(X)


def by_blocks(model: Any, method: str, X: Any, width: tuple[int, ...], dtype: Any) -> da.Array:
    """A method of a fitted model on each block of rows of X.

    The model is one task's result: it is sent to a worker once.
    """
    if X.ndim != 2:
        raise ValueError(f"X must have shape (any, any), got {X.shape}")
    if hasattr(X, "to_dask_array"):
        blocks = X.to_delayed()
        n_rows = [np.nan] * len(blocks)
    else:
        X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
        blocks, n_rows = X.to_delayed().ravel(), X.chunks[0]
    kept, empty = dask.delayed(model), np.empty((0, *width), dtype)
    parts = [
        da.from_delayed(
            dask.delayed(_called)(kept, method, block, empty), (n, *width), dtype, meta=empty
        )
        for block, n in zip(blocks, n_rows, strict=True)
    ]
    return da.concatenate(parts, axis=0, allow_unknown_chunksizes=True)


def samples(model: Any, n_samples: int, chunk: int, how: dict[str, Any], seed: Any) -> da.Array:
    """Samples in blocks of so many rows, each of a ladder or of chains of its own."""
    n_columns = model.n_features_in_
    sizes = [min(chunk, n_samples - start) for start in range(0, n_samples, chunk)]
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes))
    kept = dask.delayed(model)
    dtype = np.dtype(model.dtype)
    parts = [
        da.from_delayed(
            dask.delayed(_sampled)(kept, n, int(s), how), (n, n_columns), dtype,
            meta=np.empty((0, 0), dtype),
        )
        for n, s in zip(sizes, seeds, strict=True)
    ]  # fmt: skip
    return da.concatenate(parts, axis=0)


def _called(model: Any, method: str, block: Any, empty: np.ndarray) -> np.ndarray:
    if len(block) == 0:
        return empty
    validate_rows(model, block)  # rows that are known as a whole
    return getattr(model, method)(block)


def _sampled(model: Any, n: int, seed: int, how: dict[str, Any]) -> np.ndarray:
    return np.asarray(model.sample(n, random_state=seed, **how))
