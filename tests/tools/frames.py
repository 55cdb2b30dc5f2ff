"""Random frames of pandas, polars and PyArrow: columns of every dtype that can be read, and others.

A good column can be fitted whatever its rows are. A bad one is refused, with its name.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl

NAN = float("nan")
NUMBERS_OF_ROWS = (1, 2, 3, 8, 30, 60)
WORDS = np.array(["b", "", "aé", "long text", "X"], dtype=object)
SIGNED = ("int8", "int16", "int32", "int64")
HAS_STR = pd.Series(["a"]).dtype != object  # pandas 3
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


def with_gaps(rng, values, share=0.2):
    """A list of Python's values, None where one is missing; one at least is not."""
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    gaps = rng.random(len(values)) < share
    gaps[rng.integers(len(values))] = False
    return [None if gap else value for gap, value in zip(gaps, values, strict=True)]


# --- contents: functions of a generator and a number of rows ------------------------------------


def counts(rng, n):
    return rng.integers(0, rng.choice([1, 2, 3, 100]), n) + rng.choice([0, 1, 20])


def signed(rng, n):
    return rng.integers(-100, rng.choice([-98, -90, 100]), n)


def reals(rng, n):
    scale, decimals = rng.choice([1e-3, 1.0, 1e3]), int(rng.choice([1, 3, 16]))
    return np.round(scale * rng.normal(size=n), decimals)


def shares(rng, n):
    return rng.random(n).round(3)


def amounts(rng, n):
    return np.where(rng.random(n) < 0.5, 0.0, rng.gamma(2.0, 50.0, n).round(2))


def constants(rng, n):
    return np.full(n, rng.choice([0.0, 1.0, -2.5]))


def bits(rng, n):
    return rng.random(n) < rng.choice([0.1, 0.5, 1.0])


def words(rng, n):
    return rng.choice(WORDS[: rng.integers(1, 6)], n)


def decimals(rng, n):
    return [Decimal(int(v)) / 100 for v in rng.integers(-500, rng.choice([-498, 500]), n)]


REALS = (reals, shares, amounts, constants)


# --- good columns ---------------------------------------------------------------------------------


def of_pandas(rng, n, content, dtype, has_gaps):
    values = content(rng, n)
    values = with_gaps(rng, values) if has_gaps else list(values)
    if dtype is object:
        gap = (NAN, None, pd.NA)[rng.integers(3)]
        values = [gap if value is None else value for value in values]
    return pd.Series(values, dtype=dtype)


def categories_of_pandas(rng, n, known, dtype=None):
    """Some categories are not used."""
    used = known[: rng.integers(1, len(known) + 1)]
    drawn = with_gaps(rng, [used[i] for i in rng.integers(len(used), size=n)])
    known = pd.Index([known[i] for i in rng.permutation(len(known))], dtype=dtype)
    return pd.Series(pd.Categorical(drawn, categories=known, ordered=bool(rng.integers(2))))


def _pandas(content, dtype, has_gaps):
    return lambda rng, n: of_pandas(rng, n, content, dtype, has_gaps)


PANDAS = {
    **{d: _pandas(counts, d, False) for d in (*SIGNED, *UNSIGNED)},
    **{f"negative {d}": _pandas(signed, d, False) for d in SIGNED},
    **{d: _pandas(counts, d, True) for d in ("Int8", "Int16", "Int64", "UInt8", "UInt32")},
    **{f"{f.__name__} {d}": _pandas(f, d, True) for f in REALS for d in ("float32", "float64")},
    "float16": _pandas(shares, "float16", True),
    "Float32": _pandas(reals, "Float32", True),
    "Float64": _pandas(amounts, "Float64", True),
    "bool": _pandas(bits, bool, False),
    "boolean": _pandas(bits, "boolean", True),
    "objects bool": _pandas(bits, object, True),
    "objects int": _pandas(counts, object, True),
    "objects float": _pandas(reals, object, True),
    "objects decimal": _pandas(decimals, object, True),
    "objects str": _pandas(words, object, True),
    "objects bytes": _pandas(lambda rng, n: rng.choice([b"a", b"b", b"c"], n), object, True),
    "str": _pandas(words, "str" if HAS_STR else object, True),
    "string": _pandas(words, "string", True),
    "category": lambda rng, n: categories_of_pandas(rng, n, ["c", "b", "a", "never"]),
    "category of ints": lambda rng, n: categories_of_pandas(rng, n, [3, 1, 2, 7]),
    "category of int8": lambda rng, n: categories_of_pandas(rng, n, [3, 1, 2, 7], "int8"),
    "category of bools": lambda rng, n: categories_of_pandas(rng, n, [True, False]),
    "category of floats": lambda rng, n: categories_of_pandas(rng, n, [0.5, -1.0, 0.25]),
    "sparse": lambda rng, n: pd.Series(counts(rng, n), dtype="Sparse[int64]"),
}


def of_polars(rng, n, content, dtype):
    return pl.Series(with_gaps(rng, content(rng, n)), dtype=dtype)


def _polars(content, dtype):
    return lambda rng, n: of_polars(rng, n, content, dtype)


POLARS = {
    **{d: _polars(counts, getattr(pl, d)) for d in ("Int8", "Int16", "Int32", "Int64", "Int128")},
    **{d: _polars(counts, getattr(pl, d)) for d in ("UInt8", "UInt16", "UInt32", "UInt64")},
    **{f"{f.__name__} {d}": _polars(f, d) for f in REALS for d in (pl.Float32, pl.Float64)},
    "Boolean": _polars(bits, pl.Boolean),
    "String": _polars(words, pl.String),
    "Categorical": _polars(words, pl.Categorical),
    "Enum": _polars(words, pl.Enum([*WORDS[::-1], "never"])),
    "Decimal": _polars(decimals, pl.Decimal(10, 2)),
}


def of_arrow(rng, n, content, dtype):
    import pyarrow as pa

    return pa.array(with_gaps(rng, content(rng, n)), type=pa.type_for_alias(dtype))


def encoded_words(rng, n):
    return of_arrow(rng, n, words, "string").dictionary_encode()


def _arrow(content, dtype):
    return lambda rng, n: of_arrow(rng, n, content, dtype)


ARROW = {
    **{d: _arrow(counts, d) for d in (*SIGNED, *UNSIGNED)},
    **{f"{f.__name__} {d}": _arrow(f, d) for f in REALS for d in ("float", "double")},
    "bool": _arrow(bits, "bool"),
    "string": _arrow(words, "string"),
    "large_string": _arrow(words, "large_string"),
    "dictionary": encoded_words,
}


def pandas_of_arrow(kind):
    def make(rng, n):
        return pd.Series(pd.arrays.ArrowExtensionArray(ARROW[kind](rng, n)))

    return make


try:
    import pyarrow  # noqa: F401
except ImportError:
    LIBRARIES = ("pandas", "polars")
else:
    LIBRARIES = ("pandas", "polars", "pyarrow")
    PANDAS |= {f"{kind}[pyarrow]": pandas_of_arrow(kind) for kind in ARROW}
COLUMNS = {"pandas": PANDAS, "polars": POLARS, "pyarrow": ARROW}


# --- frames ---------------------------------------------------------------------------------------


def make_frame(library, columns):
    """A frame of columns by their names, of any type in pandas."""
    if library == "polars":
        return pl.DataFrame([series.alias(name) for name, series in columns.items()])
    if library == "pyarrow":
        import pyarrow as pa

        return pa.table(columns)
    frame = pd.DataFrame({j: series for j, series in enumerate(columns.values())})
    frame.columns = pd.Index(list(columns), tupleize_cols=False)
    return frame


def random_frame(rng, library, n=None):
    """Good columns of random dtypes, named for them; and an index in pandas."""
    n = int(rng.choice(NUMBERS_OF_ROWS)) if n is None else n
    kinds = rng.choice(list(COLUMNS[library]), size=rng.integers(1, 7), replace=False)
    frame = make_frame(library, {str(k): COLUMNS[library][k](rng, n) for k in kinds})
    if library == "pandas":
        frame.index = random_index(rng, n)
    return frame


def random_index(rng, n):
    levels = [rng.choice(["x", "y"], n), rng.integers(5, size=n)]
    return [
        pd.RangeIndex(n),
        pd.Index([f"row {i}" for i in range(n)], name="id"),
        pd.Index(["mixed" if i % 2 else i for i in range(n)], dtype=object),
        pd.Index(np.zeros(n)),
        pd.date_range("2020", periods=n),
        pd.MultiIndex.from_arrays(levels, names=["k", None]),
    ][rng.integers(6)]


# --- bad columns: functions of a number of rows -------------------------------------------------


def _identifiers(n):
    return [f"id {i}" for i in range(n)]


BAD_PANDAS = {
    "missing": lambda n: pd.Series([NAN] * n),
    "missing objects": lambda n: pd.Series([None] * n, dtype=object),
    "missing Int64": lambda n: pd.Series([None] * n, dtype="Int64"),
    "missing boolean": lambda n: pd.Series([None] * n, dtype="boolean"),
    "missing string": lambda n: pd.Series([None] * n, dtype="string"),
    "missing category": lambda n: pd.Series([None] * n, dtype=pd.CategoricalDtype(["a"])),
    "no category": lambda n: pd.Series([None] * n, dtype=pd.CategoricalDtype([])),
    "identifiers": lambda n: pd.Series(_identifiers(n)),
    "category of identifiers": lambda n: pd.Series(_identifiers(n), dtype="category"),
    "dates": lambda n: pd.Series(pd.date_range("2020", periods=n)),
    "objects dates": lambda n: pd.Series([dt.date(2020, 1, 1)] * n, dtype=object),
    "periods": lambda n: pd.Series(pd.period_range("2020", periods=n, freq="D")),
    "huge": lambda n: pd.Series([2**60 + i for i in range(n)]),
    "huge objects": lambda n: pd.Series([10**30 + i for i in range(n)], dtype=object),
    "infinite": lambda n: pd.Series([*range(n - 1), np.inf]),
    "infinite float32": lambda n: pd.Series([*range(n - 1), -np.inf], dtype="float32"),
    "complex": lambda n: pd.Series([1j] * n),
    "lists": lambda n: pd.Series([[1]] * n),
    "mixed": lambda n: pd.Series(["a", 1] * (n // 2)),
}
BAD_POLARS = {
    "missing": lambda n: pl.Series([None] * n, dtype=pl.Float64),
    "missing Null": lambda n: pl.Series([None] * n),
    "missing String": lambda n: pl.Series([None] * n, dtype=pl.String),
    "missing Enum": lambda n: pl.Series([None] * n, dtype=pl.Enum(["a"])),
    "missing Boolean": lambda n: pl.Series([None] * n, dtype=pl.Boolean),
    "identifiers": lambda n: pl.Series(_identifiers(n)),
    "dates": lambda n: pl.Series([dt.date(2020, 1, 1)] * n),
    "durations": lambda n: pl.Series([dt.timedelta(1)] * n),
    "huge": lambda n: pl.Series([2**60 + i for i in range(n)]),
    "infinite": lambda n: pl.Series([*map(float, range(n - 1)), float("inf")]),
    "lists": lambda n: pl.Series([[1]] * n),
}
BAD = {"pandas": BAD_PANDAS, "polars": BAD_POLARS}
