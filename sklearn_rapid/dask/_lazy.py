"""Apply a fitted model to a Dask collection, block by block, when the result is computed."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np

from sklearn_rapid.estimators.model import validate_rows


def is_collection(X: Any) -> bool:
    """Whether X is a Dask array or data frame."""
    return dask.is_dask_collection(X)


def map_blocks(model: Any, method: str, X: Any, width: tuple[int, ...], dtype: Any) -> da.Array:
    """Call a method of a fitted model on each block of rows of X, lazily.

    The model is a task of its own: each worker receives it once.

    Parameters
    ----------
    model : estimator
    method : str
    X : Dask array or data frame
    width : tuple of int
        The shape of the result for one row.
    dtype : numpy.dtype
    """
    if X.ndim != 2:
        raise ValueError(f"X must have shape (any, any), got {X.shape}")
    if hasattr(X, "to_dask_array"):
        blocks = X.to_delayed()
        n_rows = [np.nan] * len(blocks)
    else:
        X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
        blocks, n_rows = X.to_delayed().ravel(), X.chunks[0]
    model, empty = dask.delayed(model), np.empty((0, *width), dtype)
    call = dask.delayed(_call_method)
    parts = [
        da.from_delayed(call(model, method, block, empty), (n, *width), dtype, meta=empty)
        for block, n in zip(blocks, n_rows, strict=True)
    ]
    return da.concatenate(parts, axis=0, allow_unknown_chunksizes=True)


def sample_blocks(
    model: Any, n_samples: int, chunk: int, settings: dict[str, Any], seed: int, like: Any
) -> Any:
    """Draw samples in blocks of `chunk` rows, lazily, each from a ladder or chains of its own.

    They are a Dask data frame if they are `like` one of pandas, and a Dask array otherwise.
    """
    sizes = [min(chunk, n_samples - start) for start in range(0, n_samples, chunk)]
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes))
    model, draw = dask.delayed(model), dask.delayed(_draw_samples)
    blocks = [draw(model, n, int(s), settings) for n, s in zip(sizes, seeds, strict=True)]
    if hasattr(like, "iloc"):
        import dask.dataframe as dd

        return dd.from_delayed(blocks, meta=like.iloc[:0], verify_meta=False)
    n_columns, dtype = np.shape(like)[1], np.asarray(like).dtype
    how = {"dtype": dtype, "meta": np.empty((0, 0), dtype)}
    parts = [
        da.from_delayed(block, (n, n_columns), **how)
        for block, n in zip(blocks, sizes, strict=True)
    ]
    return da.concatenate(parts, axis=0)


def _call_method(model: Any, method: str, block: Any, empty: np.ndarray) -> np.ndarray:
    if len(block) == 0:
        return empty
    validate_rows(model, block)  # refuses missing entries, as `fit` does
    return np.asarray(getattr(model, method)(block))


def _draw_samples(model: Any, n: int, seed: int, settings: dict[str, Any]) -> Any:
    drawn = model.sample(n, random_state=seed, **settings)
    return drawn if hasattr(drawn, "iloc") else np.asarray(drawn)
