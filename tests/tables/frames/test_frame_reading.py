"""Columns read by what they were in fit, their codes and their values, against plain loops."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_rapid.tables.frames import (
    FrameSchema,
    distinct_values,
    is_frame,
    read_codes,
    read_column,
)

NAN = float("nan")
# A table of each content, as lists.
TABLE = {
    "boolean": [True, None, False, True],
    "integer": [3, None, -5, 3],
    "number": [0.5, None, 2.0, -1.5],
    "string": ["b", None, "a", "b"],
}


def to_pandas(table):
    dtypes = {"boolean": "boolean", "integer": "Int64", "number": "float64", "string": "string"}
    return pd.DataFrame({k: pd.Series(v, dtype=dtypes[k]) for k, v in table.items()})


def to_objects(table):
    return pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in table.items()})


def to_categories(table):
    return to_objects(table).astype("category")


def to_arrow(table):
    return pytest.importorskip("pyarrow").table(table)


def to_pandas_arrow(table):
    pytest.importorskip("pyarrow")
    return to_pandas(table).convert_dtypes(dtype_backend="pyarrow")


FRAMES = [to_pandas, to_objects, to_categories, to_arrow, to_pandas_arrow, pl.DataFrame]


@pytest.mark.parametrize("make_seen", FRAMES)
@pytest.mark.parametrize("make_fitted", [f for f in FRAMES if f is not to_categories])
def test_other_libraries_and_dtypes(make_fitted, make_seen):
    """A frame at predict, of another library or dtype than in fit, is read as the lists are."""
    columns = FrameSchema.read(make_fitted(TABLE)).columns
    assert [c.holds for c in columns] == ["booleans", "integers", "numbers", "values"]
    X = make_seen(TABLE)
    for j, (column, values) in enumerate(zip(columns, TABLE.values(), strict=True)):
        entries = read_column(X, j, column)
        if column.holds == "values":
            assert entries.dtype == object and entries.tolist() == values
        else:
            assert entries.dtype == np.float64
            np.testing.assert_array_equal(entries, [NAN if v is None else v for v in values])


@pytest.mark.parametrize("make_seen", FRAMES)
def test_numbers_for_categories_that_are_numbers(make_seen):
    """Fitted as categories, seen as plain columns: entries are the categories."""
    columns = FrameSchema.read(to_categories(TABLE)).columns
    assert {c.holds for c in columns} == {"values"}
    X = make_seen(TABLE)
    for j, (column, values) in enumerate(zip(columns, TABLE.values(), strict=True)):
        entries = read_column(X, j, column).tolist()
        assert entries == values and list(map(type, entries)) == list(map(type, values))
        known = column.categories.astype(object)
        codes, unknown = read_codes(X, j, column, known[1:])
        position_of = {value: i - 1 for i, value in enumerate(known)} | {None: NAN}
        np.testing.assert_array_equal(codes, [position_of[v] for v in values])
        assert unknown.tolist() == [known[0]]


def test_numbers_that_are_the_same():
    """Integers that a gap has made floats, and booleans that are 0 and 1."""
    fitted = FrameSchema.read(pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]}))
    X = pd.DataFrame({"a": [3.0, NAN], "b": [1, 0], "c": [True, False]})
    entries = [read_column(X, j, column) for j, column in enumerate(fitted.columns)]
    np.testing.assert_array_equal(entries, [[3, NAN], [1, 0], [1, 0]])
    for missing in ([None, None], pd.Series([None, None], dtype="string"), [NAN, NAN]):
        X = pd.DataFrame({name: missing for name in "abc"})
        entries = [read_column(X, j, column) for j, column in enumerate(fitted.columns)]
        np.testing.assert_array_equal(entries, np.full((3, 2), NAN))


@pytest.mark.parametrize("missing", [None, NAN, pd.NA, pd.NaT])
def test_every_kind_of_missing_entry(missing):
    columns = [[True, missing], [1, missing], [1.5, missing], ["a", missing]]
    X = pd.DataFrame({j: pd.Series(c, dtype=object) for j, c in enumerate(columns)})
    entries = [read_column(X, j, c) for j, c in enumerate(FrameSchema.read(X).columns)]
    np.testing.assert_array_equal(entries[:3], [[1, NAN], [1, NAN], [1.5, NAN]])
    assert entries[3].tolist() == ["a", None]


# --- codes and distinct values ------------------------------------------------------------------


def values_and_frames(rng):
    """Random strings with gaps, as a column of each library and dtype."""
    known = np.array(["d", "b", "", "a", "ü", "c"], dtype=object)[: rng.integers(1, 7)]
    values = [*known, None]
    values = [values[i] for i in rng.integers(0, len(values), 40)]
    declared = [*known, "unused"]
    yield values, None, pd.DataFrame({"x": pd.Series(values, dtype=object)})
    yield values, None, pd.DataFrame({"x": pd.Series(values, dtype="string")})
    yield values, None, pl.DataFrame({"x": values}, schema={"x": pl.String})
    yield values, None, pl.DataFrame({"x": values}, schema={"x": pl.Categorical})
    yield values, declared, pl.DataFrame({"x": values}, schema={"x": pl.Enum(declared)})
    dtype = pd.CategoricalDtype(declared, ordered=bool(rng.integers(2)))
    yield values, declared, pd.DataFrame({"x": pd.Series(values, dtype=dtype)})


@pytest.mark.parametrize("seed", range(20))
def test_codes_and_distinct_values(seed):
    rng = np.random.default_rng(seed)
    for values, declared, X in values_and_frames(rng):
        (column,) = FrameSchema.read(X).columns
        assert read_column(X, 0, column).tolist() == values

        expected = Counter(v for v in values if v is not None)
        order = declared or sorted(expected)
        found, counts = distinct_values(X, 0, column)
        assert found.tolist() == [v for v in order if v in expected]
        assert dict(zip(found, counts, strict=True)) == expected

        known = np.array([*found[::2], "other"], dtype=object)
        codes, unknown = read_codes(X, 0, column, known)
        position_of = {v: i for i, v in enumerate(known)} | {None: NAN}
        np.testing.assert_array_equal(codes, [position_of.get(v, -1) for v in values])
        assert codes.dtype == np.float64
        assert sorted(unknown) == sorted(set(expected) - set(known))


def test_few_unknown_values_are_returned():
    X = pl.DataFrame({"x": [f"{i}" for i in range(50)]})
    (column,) = FrameSchema.read(X).columns
    codes, unknown = read_codes(X, 0, column, np.array(["7"], dtype=object))
    assert codes.tolist() == [0.0 if i == 7 else -1.0 for i in range(50)]
    assert len(unknown) == len(set(unknown) - {"7"}) == 10


def test_distinct_values_that_cannot_be_compared():
    """In the order in which they occur."""
    values = [1j + 1, frozenset("a"), None, frozenset("a")]
    X = pd.DataFrame({"x": pd.Series(values[1:], dtype=object)})
    (column,) = FrameSchema.read(X).columns
    found, counts = distinct_values(X, 0, column)
    assert found.tolist() == [frozenset("a")] and counts.tolist() == [2]


def test_dictionaries_of_several_chunks():
    """Their positions differ from chunk to chunk."""
    pa = pytest.importorskip("pyarrow")
    chunks = [pa.array(c).dictionary_encode() for c in (["b", None, "a"], ["a", "c"], ["c", "b"])]
    X = pa.table({"x": pa.chunked_array(chunks)})
    (column,) = FrameSchema.read(X).columns
    assert column.categories.tolist() == ["b", "a", "c"]
    assert read_column(X, 0, column).tolist() == ["b", None, "a", "a", "c", "c", "b"]
    assert distinct_values(X, 0, column)[1].tolist() == [2, 2, 2]


# --- frames and others --------------------------------------------------------------------------


def test_frames():
    pa = pytest.importorskip("pyarrow")
    table = {"a": [1, 2]}
    assert all(map(is_frame, (pd.DataFrame(table), pl.DataFrame(table), pa.table(table))))
    others = [
        np.zeros((2, 2)), [[1, 2]], table, None, "a", pd.Series([1]), pl.Series([1]),
        pl.LazyFrame(table), pa.array([1]), pd.Index([1]), pd.DataFrame, np.float64(1.0),
    ]  # fmt: skip
    assert not any(map(is_frame, others))


def test_frames_of_dask_are_none():
    dataframe = pytest.importorskip("dask.dataframe")
    assert not is_frame(dataframe.from_pandas(pd.DataFrame({"a": [1, 2]}), npartitions=1))


def test_no_library_is_needed():
    program = (
        "import sys; sys.modules |= dict.fromkeys(['pandas', 'polars', 'pyarrow'])\n"
        "import numpy as np; from sklearn_rapid.tables.frames import is_frame\n"
        "assert not is_frame(np.zeros((2, 2))) and not is_frame([[1]])"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
