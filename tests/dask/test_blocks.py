"""Rows on disk, streamed a block at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sklearn_rapid import RARBM

da = pytest.importorskip("dask.array")

X = (np.random.default_rng(0).random((360, 12)) < 0.3).astype(np.uint8)
HOW = {"n_components": 6, "n_patterns": 4, "batch_size": 20, "max_iter": 3, "random_state": 0}


def from_zarr(folder):
    da.from_array(X, chunks=(100, 12)).to_zarr(str(folder / "rows.zarr"))
    return da.from_zarr(str(folder / "rows.zarr"))


def from_parquet(folder):
    dataframe = pytest.importorskip("dask.dataframe")
    for i in range(3):
        table = pd.DataFrame(X[120 * i : 120 * (i + 1)], columns=[f"c{j}" for j in range(12)])
        table.to_parquet(folder / f"rows{i}.parquet")
    return dataframe.read_parquet(str(folder / "*.parquet")).to_dask_array(lengths=True)


@pytest.mark.slow
@pytest.mark.parametrize("stored", [from_zarr, from_parquet])
def test_blocks_end_where_a_fit_of_all_rows_ends(stored, tmp_path):
    rows = stored(tmp_path)
    model = RARBM(**HOW, n_updates=3 * 18)
    for _ in range(3):
        for block in rows.blocks.ravel():
            model.partial_fit(block.compute())
    fitted = RARBM(**HOW, shuffle=False).fit(X)
    for name in model._fitted_shapes:
        np.testing.assert_array_equal(getattr(model, name), getattr(fitted, name), err_msg=name)
