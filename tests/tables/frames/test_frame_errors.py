"""Frames that cannot be read or built: the error names the column and the reason."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_rapid.tables.frames import FrameColumn, FrameSchema, read_codes, read_column

NAN = float("nan")


def objects(*values):
    return pd.DataFrame({"a": [1] * len(values), "x": pd.Series(values, dtype=object)})


def of_pandas(values, dtype=None):
    return pd.DataFrame({"a": [1] * len(values), "x": pd.Series(values, dtype=dtype)})


def of_polars(values, dtype=None):
    return pl.DataFrame({"a": [1] * len(values), "x": pl.Series(values, dtype=dtype)})


DAY, TIME = dt.date(2020, 1, 31), dt.time(12)
DATES = {
    "datetime": of_pandas([DAY], "datetime64[ns]"),
    "zone": of_pandas(pd.to_datetime([DAY]).tz_localize("UTC")),
    "timedelta": of_pandas([dt.timedelta(1)]),
    "period": of_pandas(pd.period_range("2020", periods=2, freq="D")),
    "objects date": objects(DAY, None),
    "objects datetime": objects(dt.datetime(2020, 1, 31)),
    "objects time": objects(TIME),
    "objects timedelta": objects(dt.timedelta(1)),
    "objects Timestamp": objects(pd.Timestamp("2020-01-31"), pd.NaT),
    "objects Period": objects(pd.Period("2020")),
    "objects datetime64": objects(np.datetime64("2020-01-31")),
    "polars Date": of_polars([DAY]),
    "polars Datetime": of_polars([dt.datetime(2020, 1, 31)]),
    "polars Time": of_polars([TIME]),
    "polars Duration": of_polars([dt.timedelta(1)]),
}


@pytest.mark.parametrize("name", DATES)
def test_dates(name):
    what = "column 'x' of X holds dates or times .*, which cannot be read: make it a number, such"
    with pytest.raises(ValueError, match=what):
        FrameSchema.read(DATES[name])


@pytest.mark.parametrize("kind", ["date32[day]", "timestamp[us]", "time64[us]", "duration[us]"])
def test_dates_of_pyarrow(kind):
    pa = pytest.importorskip("pyarrow")
    array = pa.nulls(2, type=pa.type_for_alias(kind))
    for X in (pa.table({"x": array}), pd.DataFrame({"x": pd.arrays.ArrowExtensionArray(array)})):
        with pytest.raises(ValueError, match=r"column 'x' of X holds dates or times \(dtype"):
            FrameSchema.read(X)
    encoded = pa.table({"x": pa.array([DAY]).dictionary_encode()})
    with pytest.raises(ValueError, match="column 'x' of X holds dates or times"):
        FrameSchema.read(encoded)


REFUSED = {
    "complex": (of_pandas([1j]), "has dtype complex128, which cannot be read"),
    "interval": (of_pandas(pd.interval_range(0, 2)), "has dtype interval"),
    "list": (of_polars([[1], [2]]), r"has dtype List\(Int64\), which cannot be read"),
    "struct": (of_polars([{"a": 1}]), "has dtype Struct"),
    "binary": (of_polars([b"a"]), "has dtype Binary"),
    "object": (of_polars([object()], pl.Object), "has dtype Object"),
    "array": (of_polars(np.zeros((2, 3))), "has dtype Array"),
    "objects str and int": (objects("a", 1, None), "mixes objects of types int, str"),
    "objects bool and int": (objects(True, 2), "mixes objects of types bool, int"),
    "objects str and date": (objects("a", DAY), "mixes objects of types date, str"),
    "objects str and bytes": (objects("a", b"a"), "mixes objects of types bytes, str"),
    "objects list": (objects([1], [2]), "holds objects of type list, which cannot be read"),
    "objects dict": (objects({}, None), "holds objects of type dict"),
    "objects array": (objects(np.zeros(2), np.ones(2)), "holds objects of type ndarray"),
    "objects list in tuple": (objects(([],), ([],)), "holds objects of type tuple"),
    "objects complex": (objects(1j, 2j), "holds objects of type complex"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_columns_that_cannot_be_read(name):
    X, reason = REFUSED[name]
    with pytest.raises(ValueError, match=f"column 'x' of X {reason}"):
        FrameSchema.read(X)
    # At predict as well.
    with pytest.raises(ValueError, match=f"column 'x' of X {reason}"):
        read_column(X, 1, FrameColumn("x", "int64", "integers"))


def test_frames_that_cannot_be_read():
    for X in (np.zeros((2, 2)), pd.Series([1]), pl.LazyFrame({"a": [1]}), None):
        with pytest.raises(ValueError, match="X must be a data frame, got"):
            FrameSchema.read(X)
    for X in (pd.DataFrame(index=[0, 1]), pl.DataFrame()):
        with pytest.raises(ValueError, match="X must have columns, got a table with none"):
            FrameSchema.read(X)
    for X in (pd.DataFrame({"a": []}), pl.DataFrame({"a": []})):
        with pytest.raises(ValueError, match="X must have rows, got a table with none"):
            FrameSchema.read(X)


def test_names_that_occur_twice():
    X = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "b"])
    with pytest.raises(ValueError, match="X has 2 columns of the name 'b'"):
        FrameSchema.read(X)
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_arrays([pa.array([1])] * 3, names=["", "a", ""])
    with pytest.raises(ValueError, match="X has 2 columns of the name ''"):
        FrameSchema.read(table)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("make", [of_pandas, of_polars, "arrow", "sparse", "objects", "Int64"])
def test_large_integers(make, sign):
    """The largest one that float64 tells from its neighbours is read, and the next is not."""

    def frame(value):
        if make == "arrow":
            return pytest.importorskip("pyarrow").table({"a": [1, 2], "x": [0, value]})
        if make in ("sparse", "Int64"):
            return of_pandas([0, value], "Int64" if make == "Int64" else "Sparse[int64]")
        return objects(0, value) if make == "objects" else make([0, value])

    column = FrameSchema.read(frame(0)).columns[1]
    assert read_column(frame(sign * (2**53 - 1)), 1, column)[1] == sign * (2**53 - 1)
    for value in (2**53, 2**53 + 1, 2**60):
        with pytest.raises(ValueError, match=r"column 'x' of X holds whole numbers of 2\*\*53"):
            read_column(frame(sign * value), 1, column)


def test_integers_that_are_no_floats():
    with pytest.raises(ValueError, match=r"column 'x' of X holds whole numbers of 2\*\*53"):
        read_column(objects(1, 10**400), 1, FrameColumn("x", "object", "integers"))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity(value):
    for X in (of_pandas([1.0, value]), of_polars([1.0, value]), objects(1.0, value)):
        for column in (
            FrameSchema.read(X).columns[1],
            FrameColumn("x", "int64", "integers"),
            FrameColumn("x", "bool", "booleans"),
        ):
            with pytest.raises(ValueError, match="column 'x' of X must be finite, got infinity"):
                read_column(X, 1, column)


SIZES = pd.CategoricalDtype(["S", "M"])
OTHERS = {
    "strings for integers": ([1, 2], ["a", "b"], "holds strings .*, where fit has seen integers"),
    "strings for booleans": ([True], ["yes"], "holds strings .*, where fit has seen booleans"),
    "strings of digits": ([1.5], ["1.5"], "holds strings .*, where fit has seen numbers"),
    "halves": ([1, 2], [1.5, NAN], r"must hold whole numbers as in fit \(dtype int64\), got 1.5"),
    "two": ([True, False], [0, 2], r"must hold 0 and 1 as in fit \(dtype bool\), got 2"),
    "large floats": ([1, 2], [1e300], r"holds whole numbers of 2\*\*53"),
    "integers": (["a", "b"], [1, 2], r"holds numbers \(dtype \wnt64\), where fit has seen strings"),
    "floats": (["a", "b"], [1.5, NAN], "holds numbers .*, where fit has seen strings"),
    "booleans": (["a", "b"], [True], r"holds numbers \(dtype \w+\), where fit has seen strings"),
    "numbers for categories": (
        pd.Series(["S"], dtype=SIZES), [1], "holds numbers .*, where fit has seen strings .*categ",
    ),
    "categories that are numbers": (
        pd.Series(["S"], dtype=SIZES), pd.Series([1], dtype="category"), "holds numbers",
    ),
    "strings for categories": (
        pd.Series([1], dtype="category"), ["a"], "holds strings .*, where fit has seen numbers",
    ),
    "integers for tuples": (pd.Series([(1, 2)]), [1], "holds numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_content_than_in_fit(name):
    fitted, seen, reason = OTHERS[name]
    (column,) = FrameSchema.read(pd.DataFrame({"x": fitted})).columns
    frames = [pd.DataFrame({"x": seen})]
    if isinstance(seen, list):
        frames.append(pl.DataFrame({"x": seen}))
    for X in frames:
        with pytest.raises(ValueError, match=f"column 'x' of X {reason}"):
            read_column(X, 0, column)
        if column.holds == "values":
            with pytest.raises(ValueError, match="column 'x' of X holds"):
                read_codes(X, 0, column, np.array(["a"], dtype=object))


# --- building -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "entry", "reason"),
    [
        (pd.Series([1]), NAN, "has dtype int64, which has no missing entries"),
        (pd.Series([True]), NAN, "has dtype bool, which has no missing entries"),
        (pd.Series([1], dtype="Sparse[int64]"), NAN, ".* has no missing entries"),
        (pd.Series([1], dtype="int8"), 128.0, "has dtype int8, which does not hold 128"),
        (pd.Series([1], dtype="uint8"), -1.0, "has dtype uint8, which does not hold -1"),
        (pd.Series([1], dtype="UInt16"), 65536.0, ".* does not hold 65536"),
        (pd.Series([1]), 2.0**63, "has dtype int64, which does not hold 9.22"),
        (pd.Series([1]), 0.5, ".* does not hold 0.5"),
        (pd.Series([True]), 2.0, "has dtype bool, which does not hold 2"),
        (pd.Series(["a"], dtype="category"), "b", "does not have 'b' among its categories"),
        (pl.Series([1], dtype=pl.Int8), -129.0, "has dtype Int8, which does not hold -129"),
        (pl.Series(["a"], dtype=pl.Enum(["a"])), "b", "does not have 'b' among its categories"),
        (pl.Series(["1.5"]).cast(pl.Decimal(3, 2)), 10.0, r"has dtype Decimal\(precision=3"),
    ],
)
def test_entries_that_a_dtype_does_not_hold(series, entry, reason):
    frame = (pl if isinstance(series, pl.Series) else pd).DataFrame({"x": series})
    values = np.array([entry], dtype=object if isinstance(entry, str) else float)
    with pytest.raises(ValueError, match=f"column 'x' {reason}"):
        FrameSchema.read(frame).build([values])


def test_decimals_of_few_digits():
    pa = pytest.importorskip("pyarrow")
    schema = FrameSchema.read(pa.table({"x": pa.array([1]).cast(pa.decimal128(19, 0))}))
    with pytest.raises(ValueError, match=r"column 'x' has dtype decimal128\(19, 0\)"):
        schema.build([np.array([1e30])])


def test_number_of_columns_and_rows():
    X = pd.DataFrame({"a": [1.0], "b": [2.0]})
    with pytest.raises(ValueError, match="2 columns are wanted, got 1"):
        FrameSchema.read(X).build([np.zeros(3)])
    with pytest.raises(ValueError, match="Length mismatch"):
        FrameSchema.read(X).build([np.zeros(3)] * 2, index_of=X)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pd.cut(pd.Series([0.0, 5.0]), 2),
        pd.Series(pd.Categorical([pd.Timestamp("2020")])),
        pd.Series(pd.Categorical([1.0], categories=[1.0, np.inf])),
        pd.Series(pd.Categorical([None], categories=[(1, 2)])),
    ],
)
def test_categories_that_files_do_not_hold(values):
    schema = FrameSchema.read(pd.DataFrame({"x": values}))
    with pytest.raises(ValueError, match=r"column 'x' has the category .* which files do not hold"):
        schema.to_plain()


@pytest.mark.parametrize("name", [pd.Timestamp("2020"), ("a", pd.Timestamp("2020")), np.inf])
def test_names_that_files_do_not_hold(name):
    X = pd.DataFrame({"x": [1]})
    X.columns = pd.Index([name], tupleize_cols=False)
    with pytest.raises(
        ValueError, match=r"column .* has a name of type .* which files do not hold"
    ):
        FrameSchema.read(X).to_plain()


def plain():
    X = pd.DataFrame({"x": pd.Series(["a"], dtype="category")})
    return json.loads(json.dumps(FrameSchema.read(X).to_plain()))


@pytest.mark.parametrize(
    "change",
    [
        {"library": "os"},
        {"columns": None},
        {"level_names": []},
        {"columns": [{}]},
        {"columns": [plain()["columns"][0] | {"holds": "other"}]},
        {"columns": [plain()["columns"][0] | {"dtype": 1}]},
        {"columns": [plain()["columns"][0] | {"name": ["a"]}]},
        {"columns": [plain()["columns"][0] | {"name": {"tuple": "a"}}]},
        {"columns": [plain()["columns"][0] | {"categories": [[]]}]},
        {"columns": [plain()["columns"][0] | {"more": 1}]},
    ],
)
def test_damaged_files(change):
    assert FrameSchema.from_plain(plain()).columns[0].name == "x"
    with pytest.raises(ValueError, match="this"):
        FrameSchema.from_plain(plain() | change)
    for other in (None, [], "a", {}):
        with pytest.raises(ValueError, match="this is no schema"):
            FrameSchema.from_plain(other)


@pytest.mark.parametrize("dtype", ["read_csv", "no_dtype", "Config(a=1)", "__doc__"])
def test_names_of_dtypes_from_files(dtype):
    """Only dtypes are looked up."""
    schema = FrameSchema("polars", (FrameColumn("x", dtype, "numbers"),))
    with pytest.raises(ValueError, match="polars has no dtype"):
        schema.build([np.zeros(1)])
