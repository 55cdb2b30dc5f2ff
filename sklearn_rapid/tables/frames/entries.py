"""Check the entries of a column to build, and find those that are missing."""

from __future__ import annotations

import re

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.tables.frames.column import FrameColumn

# By the dtype's name in lower case; "float" is PyArrow's.
LARGEST_FLOATS = {"float16": 65504.0, "halffloat": 65504.0}
LARGEST_FLOATS |= dict.fromkeys(("float32", "float"), float(np.finfo(np.float32).max))


def find_missing(values: np.ndarray) -> np.ndarray:
    """Find None and NaN.

    Examples
    --------
    >>> find_missing(np.array(["a", None, float("nan")], dtype=object))
    array([False,  True,  True])
    """
    is_nan = values != values
    return is_nan | np.equal(values, None) if values.dtype == object else is_nan


def as_objects(values: np.ndarray, missing: object = None) -> np.ndarray:
    """Convert entries to objects, with one and the same object where they are missing."""
    objects = values.astype(object)
    objects[find_missing(objects)] = missing
    return objects


def as_numbers(column: FrameColumn, values: np.ndarray) -> np.ndarray:
    """Convert entries to float64, NaN where they are missing; ValueError if dtype lacks them.

    Examples
    --------
    >>> as_numbers(FrameColumn("a", "Int8", "integers"), np.array([200.0]))
    Traceback (most recent call last):
    ...
    ValueError: column 'a' has dtype Int8, which does not hold 200
    """
    numbers = values.astype(np.float64)
    if column.holds == "booleans":
        is_good = (numbers == 0.0) | (numbers == 1.0)
    elif column.holds == "integers":
        least, bound = _find_bounds(column.dtype)
        is_good = (numbers == np.floor(numbers)) & (least <= numbers) & (numbers < bound)
    else:
        return numbers
    wrong = numbers[~is_good & (numbers == numbers)]
    if wrong.size:
        raise ValueError(
            f"{column.label} has dtype {column.dtype}, which does not hold {wrong[0]:.17g}"
        )
    return numbers


def as_plain_numbers(column: FrameColumn, values: np.ndarray) -> np.ndarray:
    """Convert entries to bool, int64 or float64; ValueError for missing booleans and integers."""
    numbers = as_numbers(column, values)
    if column.holds == "numbers":
        return numbers
    if (numbers != numbers).any():
        raise ValueError(
            f"{column.label} has dtype {column.dtype}, which has no missing entries, got NaN: fit "
            "with a dtype that has them, such as Int64 or boolean"
        )
    return numbers.astype(np.bool_ if column.holds == "booleans" else np.int64)


def as_positions(column: FrameColumn, values: np.ndarray) -> np.ndarray:
    """Find entries among the column's categories, -1 where missing; ValueError for others."""
    position_of = {value: i for i, value in enumerate(column.categories.tolist())}
    missing = find_missing(values)
    positions = np.full(len(values), -1)
    found = [position_of.get(value, -1) for value in values[~missing].tolist()]
    positions[~missing] = found
    if -1 in found:
        wrong = values[~missing][found.index(-1)]
        raise ValueError(f"{column.label} does not have {describe(wrong)} among its categories")
    return positions


def find_limits(column: FrameColumn) -> tuple[float, float]:
    """Find the least and the largest number that a column of booleans or numbers can hold.

    Examples
    --------
    >>> find_limits(FrameColumn("a", "UInt8", "integers"))
    (0.0, 255.0)
    >>> find_limits(FrameColumn("a", "Decimal(precision=3, scale=2)", "numbers"))
    (-9.99, 9.99)
    """
    if column.holds == "booleans":
        return 0.0, 1.0
    if column.holds == "integers":
        least, bound = _find_bounds(column.dtype)
        return least, float(min(bound - 1.0, np.nextafter(bound, 0.0)))
    name = re.match(r"(sparse\[)?([a-z0-9]+)", column.dtype.lower())[2]
    largest = LARGEST_FLOATS.get(name, np.inf)
    if name.startswith("decimal"):
        precision, scale = map(int, re.findall(r"-?\d+", column.dtype)[-2:])
        bound = 10.0 ** (precision - scale)
        largest = float(min(bound - 10.0**-scale, np.nextafter(bound, 0.0)))
    return -largest, largest


def _find_bounds(dtype: str) -> tuple[float, float]:
    """Find the least integer of a dtype, and the first above its largest."""
    found = re.search(r"(u?)int(\d+)", dtype.lower())
    unsigned, bits = found.groups() if found else ("", "64")
    bits = min(int(bits), 64)  # integers pass through int64
    if unsigned:
        return 0.0, 2.0 ** min(bits, 63)
    return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1)
