"""Write dtypes of pandas as text, and read them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from sklearn_rapid.tables.frames.arrow_frames import type_from_text

STRINGS = re.compile(r"(str|string)\[storage=(\w+)\]")
SPARSE = re.compile(r"Sparse\[(.+), (.+)\]")


def dtype_as_text(dtype: Any) -> str:
    """Write a dtype as pandas does, with the storage of strings where it is not the default.

    Examples
    --------
    >>> dtype_as_text(np.dtype("int64"))
    'int64'
    """
    import pandas as pd

    text = str(dtype)
    if isinstance(dtype, pd.StringDtype) and pd.api.types.pandas_dtype(text) != dtype:
        return f"{text}[storage={dtype.storage}]"
    return text


def dtype_from_text(text: str) -> Any:
    """Find a dtype by its text; that of other versions of pandas too.

    Examples
    --------
    >>> dtype_from_text("Int8"), dtype_from_text("Sparse[float32, 0.0]")
    (Int8Dtype(), Sparse[float32, 0.0])
    """
    import pandas as pd

    if text.endswith("[pyarrow]"):
        return pd.ArrowDtype(type_from_text(text.removesuffix("[pyarrow]")))
    if found := STRINGS.fullmatch(text):
        kind, storage = found.groups()
        return pd.StringDtype(storage, **({"na_value": np.nan} if kind == "str" else {}))
    if found := SPARSE.fullmatch(text):
        subtype = dtype_from_text(found[1])
        fill = found[2] == "True" if subtype.kind == "b" else float(found[2])
        return pd.SparseDtype(subtype, int(fill) if subtype.kind in "iu" else fill)
    dtype = pd.api.types.pandas_dtype(text)
    # Before pandas 3, "str" is an array of characters.
    return np.dtype(object) if dtype.kind == "U" else dtype
