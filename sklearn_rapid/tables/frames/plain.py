"""Encode columns as values of JSON's types, and decode them."""

from __future__ import annotations

import math
import re
from typing import Any

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.frames.column import (
    HOLDS,
    FrameColumn,
    array_of_categories,
    as_plain,
    find_content,
)


def column_to_plain(column: FrameColumn) -> dict:
    """Encode a column; ValueError if its name or categories are not of JSON's types.

    Examples
    --------
    >>> column_to_plain(FrameColumn(("a", 1), "int64", "integers"))["name"]
    {'tuple': ['a', 1]}
    """
    categories = column.categories
    if categories is not None:
        categories = [as_plain(value) for value in categories.tolist()]
        wrong = [value for value in categories if value is None or not _is_plain(value)]
        if wrong:
            raise ValueError(
                f"{column.label} has the category {describe(wrong[0])} of type "
                f"{type(wrong[0]).__name__}, which files do not hold: make categories strings or "
                "numbers"
            )
    return {
        "name": name_to_plain(column.name),
        "dtype": column.dtype,
        "holds": column.holds,
        "categories": categories,
        "ordered": column.ordered,
        "categories_dtype": column.categories_dtype,
    }


def column_from_plain(plain: Any) -> FrameColumn:
    """Decode a column; ValueError for what `column_to_plain` never makes."""
    match plain:
        case {
            "name": name,
            "dtype": str(dtype),
            "holds": str(holds),
            "categories": None | list() as categories,
            "ordered": bool(ordered),
            "categories_dtype": None | str() as categories_dtype,
            **rest,
        } if (
            _is_content(dtype, holds)
            and (categories is not None) == bool(re.match("category|Enum|dictionary<", dtype))
            and _are_different(categories or [])
            and not rest
        ):
            known = None if categories is None else array_of_categories(categories)
            return FrameColumn(
                name_from_plain(name), dtype, holds, known, ordered, categories_dtype
            )
    raise ValueError(f"this describes no column of a data frame: {describe(plain)}")


def name_to_plain(name: Any) -> Any:
    """Encode a name; ValueError if it is not of JSON's types, nor a tuple of them."""
    name = as_plain(name)
    if isinstance(name, tuple):
        return {"tuple": [name_to_plain(part) for part in name]}
    if name is None or _is_plain(name):
        return name
    raise ValueError(
        f"column {describe(name)} has a name of type {type(name).__name__}, which files do not "
        "hold: make it a string"
    )


def name_from_plain(plain: Any) -> Any:
    """Decode a name; ValueError for what `name_to_plain` never makes."""
    match plain:
        case {"tuple": list(parts), **rest} if not rest:
            return tuple(name_from_plain(part) for part in parts)
    if plain is None or _is_plain(plain):
        return plain
    raise ValueError(f"this is no name of a column: {describe(plain)}")


def _is_content(dtype: str, holds: str) -> bool:
    """Whether a dtype holds that; of objects, the column knows."""
    text = re.sub(r"^Sparse\[(.+), .+\]$", r"\1", dtype)
    try:
        return holds in HOLDS if text == "object" else find_content(text, None) == holds
    except ValueError:
        return False


def _are_different(values: list) -> bool:
    return all(map(_is_plain, values)) and len(set(values)) == len(values)


def _is_plain(value: Any) -> bool:
    """Whether a value is a string, or a finite number, which JSON gives back as it was."""
    is_finite = type(value) is not float or math.isfinite(value)
    return type(value) in (str, bool, int, float) and is_finite
