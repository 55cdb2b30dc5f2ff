"""Columns are learned alike from all rows, and from each value once with its number of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tools.equality import assert_same

from sklearn_rapid.tables.columns import Columns, learn_frame
from sklearn_rapid.tables.settings import ColumnSettings
from sklearn_rapid.tables.table import Table

N = 3000
SETTINGS = {
    "by default": ColumnSettings(),
    "rare ones": ColumnSettings(min_frequency=40),
    "a share": ColumnSettings(min_frequency=0.02, handle_unknown="infrequent"),
    "unknown ones": ColumnSettings(handle_unknown="infrequent"),
}


def make_frame():
    rng = np.random.default_rng(0)
    tail = np.minimum(rng.geometric(0.2, N), 15)
    return pd.DataFrame(
        {
            "two": np.where(rng.random(N) < 0.3, 3, 7),
            "bool": rng.random(N) < 0.1,
            "text": np.array(list("abcdefghijklmnop"))[tail],
            # 15 values in 3000 rows are codes; in their 15 rows alone they would be numbers.
            "codes": tail,
            # One value is a spike by the number of its rows alone.
            "spiked": np.where(rng.random(N) < 0.4, 50, rng.integers(0, 100, N)),
            "real": rng.integers(0, 100, N),
        }
    )


def count_entries(frame):
    """Rows in which each column has its own values, in any order, with their numbers of rows."""
    n = max(frame[name].nunique() for name in frame)
    rows, weights = {}, np.zeros((n, frame.shape[1]))
    for j, name in enumerate(frame):
        values, counts = np.unique(frame[name].to_numpy(), return_counts=True)
        order = np.random.default_rng(j).permutation(len(values))
        repeated = np.resize(values[order], n)
        rows[name], weights[: len(values), j] = repeated, counts[order]
    return pd.DataFrame(rows).astype(frame.dtypes), weights


@pytest.mark.parametrize("how", SETTINGS)
def test_frames(how):
    settings, frame = SETTINGS[how], make_frame()
    tables = []
    for rows, weights in ((frame, None), count_entries(frame)):
        numbers, columns = learn_frame(rows, "auto", np.array(frame.columns), settings, weights)
        tables.append(Table.learn(numbers, columns, settings))
    kinds = {kind: columns.tolist() for kind, columns in tables[0].attributes()["visible_"]}
    # Two numbers are categories where later rows may have others; booleans have no others.
    pair = [0] if settings.takes_unknown else []
    binary = [j for j in (0, 1) if j not in pair]
    assert kinds == {"binary": binary, "categorical": [*pair, 2, 3], "real": [5], "spiked": [4]}
    assert_same(*(table.attributes() for table in tables))


@pytest.mark.parametrize("how", SETTINGS)
def test_arrays(how):
    settings, frame = SETTINGS[how], make_frame()
    frame = frame[["codes", "spiked", "real"]].astype(float)
    visible = {0: "categorical", 1: "spiked", 2: "real"}
    tables = []
    for rows, weights in ((frame, None), count_entries(frame)):
        X = rows.to_numpy()
        columns = Columns.of_array(X, visible, None, settings, weights)
        tables.append(Table.learn(X, columns, settings))
    assert_same(*(table.attributes() for table in tables))


def test_names_of_rows():
    """The numbers of rows say whether values describe rows or name them."""
    rows = pd.DataFrame({"x": [f"id{i}" for i in range(30)]})
    names = np.array(["x"])
    with pytest.raises(ValueError, match="column 'x' has 30 different values in 30 rows"):
        learn_frame(rows, "auto", names, ColumnSettings(), np.ones((30, 1)))
    _, columns = learn_frame(rows, "auto", names, ColumnSettings(), np.full((30, 1), 2.0))
    assert columns.kinds[0][0] == "categorical"
