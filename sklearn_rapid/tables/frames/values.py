"""Convert the numbers of a table to the values of a frame that they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.frames import FrameColumn, FrameSchema, find_limits


def values_of_numbers(
    x: np.ndarray, known: np.ndarray | None, column: FrameColumn, kind: str, units: str
) -> np.ndarray:
    """Convert the numbers of a column to values.

    Means of binary columns become the more likely value, except for those of floats that were
    zeros and ones. Numbers that the column's dtype does not hold become the nearest that it does.

    Parameters
    ----------
    x : array of shape (n,)
    known : array or None
        The values that the numbers 0, 1, ... stand for; None where numbers stand for themselves.
    column : FrameColumn
    kind : str
    units : {"binary", "spin"}

    Examples
    --------
    >>> column = FrameColumn("age", "uint8", "integers")
    >>> values_of_numbers(np.array([-3.2, 40.7]), None, column, "gaussian", "binary")
    array([ 0., 41.])
    """
    low, high = UNIT_RANGES[units]
    is_on = x > 0.5 * (low + high)
    if known is not None:
        # Codes not seen in fit are below zero, and are replaced later.
        place = is_on if kind == "binary" else np.maximum(x, 0.0)
        return known[place.astype(np.int64)]
    if kind == "binary" and column.holds != "numbers":
        x = np.where(is_on, high, low)
    x = x if column.holds == "numbers" else np.round(x)
    return np.clip(x, *find_limits(column))


def restore_unseen(
    values: np.ndarray, is_unseen: np.ndarray, given: np.ndarray, column: FrameColumn
) -> tuple[np.ndarray, FrameColumn]:
    """Put values not seen in fit back into a column; they join its declared categories.

    Parameters
    ----------
    values : array of shape (n,)
    is_unseen : array of bool, shape (n,)
    given : array of shape (n,)
        Read from the frame that has them.
    column : FrameColumn
        The column as it was in fit.
    """
    values = np.where(is_unseen, given, values)
    if column.categories is None:
        return values, column
    known = set(column.categories.tolist())
    more = [v for v in dict.fromkeys(given[is_unseen].tolist()) if v not in known]
    return values, column.with_categories(more)


def values_in_attributes(
    attributes: Mapping[str, Any], values: Sequence[np.ndarray | None]
) -> dict[str, Any]:
    """Make fitted attributes with values in place of the numbers that stand for them.

    Parameters
    ----------
    attributes : mapping
    values : sequence of (array or None)
        The values that the numbers 0, 1, ... of each column stand for.
    """
    coded = {j: known for j, known in enumerate(values) if known is not None}
    if not coded:
        return {}
    changed = {"categories_": list(attributes.get("categories_", [None] * len(values)))}
    if "infrequent_categories_" in attributes:
        changed["infrequent_categories_"] = list(attributes["infrequent_categories_"])
    for j, known in coded.items():
        changed["categories_"][j] = known
        infrequent = changed.get("infrequent_categories_", {j: None})[j]
        if infrequent is not None:
            changed["infrequent_categories_"][j] = known[infrequent.astype(np.int64)]
    return changed


def numbers_in_attributes(
    attributes: Mapping[str, Any], kinds: list, schema: FrameSchema | None
) -> tuple[Mapping[str, Any], tuple | None]:
    """Invert `values_in_attributes`: return attributes with numbers, and the values.

    Raises
    ------
    ValueError
        For values that do not belong to the columns.
    """
    kind_of = {int(j): kind for kind, columns in kinds for j in columns}
    categories = attributes.get("categories_")
    if not (isinstance(categories, list) and len(categories) == len(kind_of)):
        if schema is None:
            return attributes, None
        categories = [None] * len(kind_of)
    values: list[np.ndarray | None] = [None] * len(kind_of)
    categories, infrequent = list(categories), attributes.get("infrequent_categories_")
    infrequent = list(infrequent) if isinstance(infrequent, list) else None
    for j, known in enumerate(categories):
        kind = kind_of[j]
        is_coded = isinstance(known, np.ndarray) and (kind == "binary" or known.dtype == object)
        wants_values = schema is not None and schema.columns[j].holds == "values"
        fits = kind == "categorical" or (kind == "binary" and is_coded and len(known) == 2)
        if (is_coded and not fits) or (wants_values and not is_coded):
            raise ValueError(
                f"categories_ must hold the values of column {j}, which is {kind}. Fit again."
            )
        if not is_coded:
            continue
        values[j] = known
        categories[j] = None if kind == "binary" else np.arange(len(known), dtype=np.float64)
        if infrequent is not None and infrequent[j] is not None:
            of_value = {value: float(i) for i, value in enumerate(known)}
            infrequent[j] = np.array([of_value.get(value, np.nan) for value in infrequent[j]])
    changed: dict[str, Any] = {"categories_": categories}
    if infrequent is not None:
        changed["infrequent_categories_"] = infrequent
    return {**attributes, **changed}, tuple(values)
