"""Frames read column by column and built again, against the frames that they were."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal as assert_polars_equal

from sklearn_rapid.tables.frames import FrameSchema, is_frame, read_column

NAN = float("nan")
STRINGS = ["b", "", "aé"]
HAS_STR = pd.Series(["a"]).dtype != object  # pandas 3


def objects(values):
    return pd.Series(values, dtype=object)


def categories(values, known, ordered=False):
    return pd.Series(pd.Categorical(values, categories=known, ordered=ordered))


INTERVALS = pd.cut(pd.Series([0.0, 5.0, 9.0, 5.0]), [0, 1, 6, 7, 10], include_lowest=True)
INTEGERS = [f"{sign}{size}" for size in (8, 16, 32, 64) for sign in ("int", "uint")]
NULLABLE = [f"{sign}{size}" for size in (8, 16, 32, 64) for sign in ("Int", "UInt")]

# Columns of pandas, and what they hold.
PANDAS = {
    **{d: (pd.Series([0, 100, 7], dtype=d), "integers") for d in INTEGERS},
    **{d: (pd.Series([0, None, 7], dtype=d), "integers") for d in NULLABLE},
    **{f"whole {d}": (pd.Series([0, 5, 7], dtype=d), "integers") for d in NULLABLE},
    **{d: (pd.Series([0.5, NAN, -3.0], dtype=d), "numbers") for d in ("float32", "float64")},
    "float16": (pd.Series([0.5, NAN, -3.0], dtype="float16"), "numbers"),
    "Float32": (pd.Series([0.5, None, 3.0], dtype="Float32"), "numbers"),
    "Float64": (pd.Series([0.5, None, 3.0], dtype="Float64"), "numbers"),
    "bool": (pd.Series([True, False, True]), "booleans"),
    "boolean": (pd.Series([True, False, None], dtype="boolean"), "booleans"),
    "whole boolean": (pd.Series([True, False], dtype="boolean"), "booleans"),
    "objects bool": (objects([True, False, NAN]), "booleans"),
    "objects int": (objects([3, -1, NAN]), "integers"),
    "objects float": (objects([3.5, -1.0, NAN]), "numbers"),
    "objects str": (objects([*STRINGS, NAN]), "values"),
    "objects tuple": (objects([(1, 2), (3, 4), NAN]), "values"),
    "objects bytes": (objects([b"a", b"b", b"a"]), "values"),
    "objects missing": (objects([NAN, NAN]), "numbers"),
    "str": (pd.Series([*STRINGS, None], dtype="str" if HAS_STR else object), "values"),
    "string": (pd.Series([*STRINGS, None], dtype="string"), "values"),
    "strings in Python": (pd.Series(["a", None], dtype=pd.StringDtype("python")), "values"),
    "category": (categories(["b", "a", None], ["c", "b", "a"]), "values"),
    "ordered": (categories(["b", "a", None], ["c", "b", "a"], True), "values"),
    "category of objects": (categories(["b", None], pd.Index(["b", "a"], dtype=object)), "values"),
    "category of string": (categories(["b", None], pd.Index(["b"], dtype="string")), "values"),
    "category of ints": (categories([3, 5, None], [5, 4, 3]), "values"),
    "category of int8": (categories([3, 5], pd.Index([5, 4, 3], dtype="int8")), "values"),
    "category of Int64": (categories([3, 5], pd.Index([5, 4, 3], dtype="Int64")), "values"),
    "category of floats": (categories([0.1, None], [0.2, 0.1]), "values"),
    "category of bools": (categories([True, None], [True, False]), "values"),
    "category of both": (categories([1, "a", None], ["a", 1, 2.5]), "values"),
    "category of intervals": (INTERVALS, "values"),
    "category of dates": (categories(pd.to_datetime(["2020-01-01", None]), None), "values"),
    "category of none": (categories([None, None], pd.Index([], dtype="int64")), "values"),
    "sparse int64": (pd.Series([0, 5, 0], dtype="Sparse[int64]"), "integers"),
    "sparse uint8": (pd.Series([3, 5], dtype=pd.SparseDtype("uint8", 3)), "integers"),
    "sparse bool": (pd.Series([True, False], dtype="Sparse[bool]"), "booleans"),
    "sparse float64": (pd.Series([1.5, NAN], dtype="Sparse[float64]"), "numbers"),
    "sparse float32": (pd.Series([1.5, NAN], dtype=pd.SparseDtype("float32", 0.0)), "numbers"),
    "sparse str": (pd.Series(["a", NAN], dtype=pd.SparseDtype(object)), "values"),
}
# Types of PyArrow: of a table, and of pandas' columns.
ARROW = {
    **{d: ([0, 100, None], "integers") for d in INTEGERS},
    "float": ([0.5, None], "numbers"),
    "double": ([0.5, None], "numbers"),
    "halffloat": ([0.5, None], "numbers"),
    "bool": ([True, None, False], "booleans"),
    "string": ([*STRINGS, None], "values"),
    "large_string": ([*STRINGS, None], "values"),
    "null": ([None, None], "numbers"),
    "decimal128(10, 2)": ([Decimal("1.25"), None], "numbers"),
    "dictionary<values=string, indices=int32, ordered=0>": (["a", None, "b"], "values"),
    "dictionary<values=int64, indices=int8, ordered=1>": ([7, None, 5], "values"),
}
POLARS = {
    **{d: ([0, 100, None], d, "integers") for d in ("Int8", "Int16", "Int32", "Int64", "Int128")},
    **{d: ([0, 100, None], d, "integers") for d in ("UInt8", "UInt16", "UInt32", "UInt64")},
    "Float32": ([0.5, None], "Float32", "numbers"),
    "Float64": ([0.5, None], "Float64", "numbers"),
    "Boolean": ([True, None, False], "Boolean", "booleans"),
    "String": ([*STRINGS, None], "String", "values"),
    "Categorical": ([*STRINGS, None], "Categorical", "values"),
    "Enum": (["b", None, "a"], pl.Enum(["c", "b", "a"]), "values"),
    "Decimal": ([Decimal("1.25"), None], pl.Decimal(10, 2), "numbers"),
    "Null": ([None, None], "Null", "numbers"),
}


def polars_series(values, dtype):
    return pl.Series(values, dtype=getattr(pl, dtype) if isinstance(dtype, str) else dtype)


def from_json(schema):
    return FrameSchema.from_plain(json.loads(json.dumps(schema.to_plain(), allow_nan=False)))


def read_all(X, schema=None):
    schema = schema or FrameSchema.read(X)
    return [read_column(X, j, column) for j, column in enumerate(schema.columns)]


def rebuilt(X, through_json=True):
    schema = FrameSchema.read(X)
    if through_json:
        assert from_json(schema) == schema
    return schema.build(read_all(X), index_of=X)


@pytest.mark.parametrize("name", PANDAS)
def test_columns_of_pandas(name):
    series, holds = PANDAS[name]
    X = series.to_frame("x")
    column = FrameSchema.read(X).columns[0]
    assert (column.name, column.holds) == ("x", holds)
    through_json = name not in ("category of intervals", "category of dates")
    pd.testing.assert_frame_equal(rebuilt(X, through_json), X, check_exact=True)


@pytest.mark.parametrize("name", ARROW)
@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_columns_of_pyarrow(name, library):
    pa = pytest.importorskip("pyarrow")
    from sklearn_rapid.tables.frames.arrow_frames import type_from_text

    values, holds = ARROW[name]
    kind = type_from_text(name)
    assert str(kind) == name
    if isinstance(kind, pa.DictionaryType):
        known = pa.array([9, 7, 5]) if kind.ordered else pa.array(["z", "b", "a"])
        codes = [None if v is None else known.to_pylist().index(v) for v in values]
        indices = pa.array(codes, type=kind.index_type)
        array = pa.DictionaryArray.from_arrays(indices, known, ordered=kind.ordered)
    elif name == "halffloat":
        array = pa.array(np.array([0.5, 2.0], dtype=np.float16))
    else:
        array = pa.array(values, type=kind)
    if library == "pyarrow":
        X = pa.table({"x": array})
        assert rebuilt(X).equals(X)
    else:
        X = pd.DataFrame({"x": pd.arrays.ArrowExtensionArray(array)})
        pd.testing.assert_frame_equal(rebuilt(X), X, check_exact=True)
    assert FrameSchema.read(X).columns[0].holds == holds


@pytest.mark.parametrize("name", POLARS)
def test_columns_of_polars(name):
    values, dtype, holds = POLARS[name]
    X = pl.DataFrame({"x": polars_series(values, dtype)})
    column = FrameSchema.read(X).columns[0]
    assert (column.name, column.dtype.partition("(")[0], column.holds) == ("x", name, holds)
    assert_polars_equal(rebuilt(X), X, check_exact=True)


def test_what_is_read():
    """Values and missing entries, one by one."""
    X = pd.DataFrame(
        {
            "bool": pd.Series([True, None, False], dtype="boolean"),
            "int": pd.Series([3, None, 5], dtype="Int8"),
            "float": [0.5, NAN, 2.0],
            "str": ["a", None, "b"],
            "category": categories([7, None, 5], [9, 7, 5], True),
        }
    )
    schema = FrameSchema.read(X)
    assert [c.name for c in schema.columns] == list(X.columns)
    assert [c.holds for c in schema.columns] == [
        "booleans",
        "integers",
        "numbers",
        "values",
        "values",
    ]
    assert schema.columns[4].categories.tolist() == [9, 7, 5] and schema.columns[4].ordered
    entries = read_all(X)
    np.testing.assert_array_equal(entries[:3], [[1, NAN, 0], [3, NAN, 5], [0.5, NAN, 2]])
    assert all(e.dtype == np.float64 for e in entries[:3])
    assert [e.tolist() for e in entries[3:]] == [["a", None, "b"], [7, None, 5]]


INDICES = {
    "strings": ["x", "y", "z"],
    "duplicates": [1, 1, 1],
    "mixed": ["x", 1, None],
    "dates": pd.date_range("2020", periods=3),
    "named": pd.Index([3, 2, 1], name="id"),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", "l"]),
}


@pytest.mark.parametrize("name", INDICES)
def test_index(name):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", NAN]})
    X.index = INDICES[name]
    pd.testing.assert_frame_equal(rebuilt(X), X)
    built = FrameSchema.read(X).build(read_all(X))
    pd.testing.assert_frame_equal(built, X.reset_index(drop=True))
    others = FrameSchema.read(X).build(read_all(X), index_of=pl.DataFrame({"a": [1, 2, 3]}))
    pd.testing.assert_frame_equal(others, built)


@pytest.mark.parametrize(
    "names",
    [
        [0, 1, 2],
        [2, 0, 7],
        ["", " ", "ä"],
        ["a", 1, None],
        [0.5, 1.5, 2.5],
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None]),
        pd.Index([("a", 1), ("a", 2), ("b", 1)], tupleize_cols=False),
        pd.Index(["a", "b", "c"], name="letters"),
    ],
)
def test_names(names):
    X = pd.DataFrame([[1, 2, 3]])
    X.columns = names
    pd.testing.assert_frame_equal(rebuilt(X), X)


def test_missing_entries_are_the_own_of_each_dtype():
    gap = np.array([NAN])
    for dtype, own in (("Int64", pd.NA), ("boolean", pd.NA), ("Float64", pd.NA)):
        X = pd.DataFrame({"x": pd.Series([1], dtype=dtype)})
        assert FrameSchema.read(X).build([gap])["x"][0] is own
    for series in (objects([True]), objects([1]), objects(["a"]), pd.Series([1.5])):
        built = FrameSchema.read(series.to_frame()).build([gap])
        assert np.isnan(built.iloc[0, 0]) and built.dtypes.iloc[0] == series.dtype
    for values in ([1], [1.5], [True], ["a"]):
        X = pl.DataFrame({"x": values})
        assert FrameSchema.read(X).build([gap]).to_dict(as_series=False) == {"x": [None]}
    string = pd.DataFrame({"x": pd.Series(["a"], dtype="string")})
    assert FrameSchema.read(string).build([np.array([None])])["x"][0] is pd.NA


def test_bools_make_booleans():
    for X in (pd.DataFrame({"x": [True]}), pl.DataFrame({"x": [True]})):
        built = FrameSchema.read(X).build([np.array([True, False])])
        assert list(built["x"]) == [True, False] and str(built["x"].dtype) == str(X["x"].dtype)


def test_frames_that_narwhals_wraps():
    nw = pytest.importorskip("narwhals")
    X = pd.DataFrame({"a": [1, 2], "b": ["x", NAN]}, index=["r", "s"])
    wrapped = nw.from_native(X)
    assert is_frame(wrapped)
    built = FrameSchema.read(wrapped).build(read_all(wrapped), index_of=wrapped)
    pd.testing.assert_frame_equal(built, X)


# --- random frames ------------------------------------------------------------------------------


def random_frame(rng, library):
    """A frame of random columns, each of the columns above with its entries drawn again."""
    n = int(rng.integers(1, 30))
    columns = {}
    for j in range(int(rng.integers(1, 8))):
        if library == "pandas":
            series, _ = PANDAS[rng.choice(list(PANDAS))]
            drawn = series.iloc[rng.integers(0, len(series), n)].reset_index(drop=True)
        else:
            values, dtype, _ = POLARS[rng.choice(list(POLARS))]
            drawn = polars_series(values, dtype).gather(rng.integers(0, len(values), n))
        columns[f"{j}"] = drawn
    return (pd if library == "pandas" else pl).DataFrame(columns)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("seed", range(60))
def test_random_frames(seed, library):
    rng = np.random.default_rng(seed)
    X = random_frame(rng, library)
    built = rebuilt(X, through_json=False)
    if library == "polars":
        assert_polars_equal(built, X, check_exact=True)
        return
    # What objects hold is known by content: where all entries are missing, numbers.
    pd.testing.assert_frame_equal(built, X, check_exact=True)
    columns = FrameSchema.read(X).columns
    for name, column in zip(X.columns, columns, strict=True):
        missing = read_column(X, int(name), column)
        is_missing = [v is None or v != v for v in missing.tolist()]
        assert is_missing == X[name].isna().tolist()
