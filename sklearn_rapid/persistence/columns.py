"""Check the attributes of the columns of a model that is saved or loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.requirements import Requirement
from sklearn_rapid.tables.frames import FrameSchema
from sklearn_rapid.tables.kinds import KINDS
from sklearn_rapid.tables.reals.maps import MOST_DECIMALS

# Types of values that files hold, and tuples of these.
PLAIN = (str, bool, int, float, bytes)


def plain_frame(model: Any) -> dict:
    """Encode the schema of a model's frame; ValueError, with the column, for values of odd types.

    Parameters
    ----------
    model : estimator
        Fitted to a frame.
    """
    plain = model.frame_.to_plain()
    for column, known in zip(
        model.frame_.columns, vars(model).get("categories_", ()), strict=False
    ):
        wrong = [] if known is None else [v for v in known.tolist() if not _is_plain(v)]
        if wrong:
            raise ValueError(
                f"{column.label} has the value {describe(wrong[0])} of type "
                f"{type(wrong[0]).__name__}, which files do not hold: make values strings or "
                "numbers"
            )
    return plain


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return type(value) in PLAIN and value == value


def _are_numbers(value: Any, model: Any) -> bool:
    """Whether a value is an array of finite numbers, one at least."""
    is_array = isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim == 1
    return is_array and value.size > 0 and bool(np.isfinite(value).all())


def _are_different(value: Any, model: Any) -> bool:
    """Whether a value is an array of different numbers; in models of frames also other values."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        is_good = "frame_" in vars(model) and value.size > 0 and all(map(_is_plain, value))
        return is_good and len(set(value.tolist())) == value.size
    return _are_numbers(value, model) and len(np.unique(value)) == value.size


def _are_shares(value: Any, model: Any) -> bool:
    return _are_numbers(value, model) and bool((value > 0.0).all())


def _are_spikes(value: Any, model: Any) -> bool:
    return _are_numbers(value, model) and bool((np.diff(value) > 0.0).all())


def _are_knots(value: Any, model: Any) -> bool:
    is_pair = isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim == 2
    if not (is_pair and value.shape[0] == 2 and value.shape[1] > 1 and np.isfinite(value).all()):
        return False
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        steps = np.diff(value)
        slopes = steps[1] / steps[0]
    return bool((steps > 0.0).all() and (slopes > 0.0).all() and np.isfinite(slopes).all())


def _each(is_met: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Make a test for lists with None, or a value that meets another test, for each column."""

    def are_met(value: Any, model: Any) -> bool:
        is_list = isinstance(value, list) and len(value) == model.n_features_in_
        return is_list and all(entry is None or is_met(entry, model) for entry in value)

    return are_met


def _are_kinds(value: Any, model: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, tuple)
        and len(part) == 2
        and part[0] in KINDS
        and isinstance(part[1], np.ndarray)
        and part[1].dtype == np.int64
        and part[1].ndim == 1
        for part in value
    )


def _are_feature_names(value: Any, model: Any) -> bool:
    is_array = isinstance(value, np.ndarray) and value.dtype == object
    is_full = is_array and value.shape == (model.n_features_in_,)
    return is_full and all(isinstance(name, str) for name in value)


def _is_frame(value: Any, model: Any) -> bool:
    """Whether a value is the schema of a frame that the model's values can be put into."""
    if not (isinstance(value, FrameSchema) and len(value.columns) == model.n_features_in_):
        return False
    names = [column.name for column in value.columns]
    named = vars(model).get("feature_names_in_")
    are_text = all(isinstance(name, str) for name in names)
    if are_text != (named is not None) or (are_text and names != list(named)):
        return False
    known = vars(model).get("categories_", [None] * len(names))
    pairs = list(zip(value.columns, known, strict=True))
    have_values = all(codes is not None for column, codes in pairs if column.holds == "values")
    are_of_type = all(
        codes is None or (codes.dtype == object) == (column.holds == "values")
        for column, codes in pairs
    )
    return have_values and are_of_type and _can_be_built(value, known)


def _can_be_built(schema: FrameSchema, known: list) -> bool:
    """Whether dtypes are those of the library, if that is there, and hold the known values."""
    try:
        schema.build([np.zeros(0)] * len(schema.columns))
        for column, values in zip(schema.columns, known, strict=True):
            if values is not None and column.holds == "values":
                FrameSchema(schema.library, (column,)).build([values])
    except ImportError:
        return True
    except Exception:  # of three libraries
        return False
    return True


# The owner is the model.
COLUMN_ATTRIBUTES = {
    "feature_names_in_": Requirement("a name for each column", _are_feature_names),
    "visible_": Requirement("pairs of a kind and int64 columns", _are_kinds),
    "categories_": Requirement(
        "a list with the different values of each column, or None", _each(_are_different)
    ),
    "infrequent_categories_": Requirement(
        "a list with different values of each column, or None", _each(_are_different)
    ),
    "infrequent_shares_": Requirement(
        "a list with shares above zero of each column, float64, or None", _each(_are_shares)
    ),
    "unseen_shares_": Requirement(
        "a list with a number from 0 to 1 for each column, or None",
        _each(lambda value, _: type(value) is float and 0.0 <= value < 1.0),
    ),
    "maps_": Requirement(
        "a list with rising knots of each column, float64, or None", _each(_are_knots)
    ),
    "decimals_": Requirement(
        f"a list with a whole number up to {MOST_DECIMALS} for each column, or None",
        _each(lambda value, _: type(value) is int and 0 <= value <= MOST_DECIMALS),
    ),
    "spikes_": Requirement(
        "a list with rising numbers of each column, float64, or None", _each(_are_spikes)
    ),
    "frame_": Requirement("the columns of a data frame, as in other attributes", _is_frame),
}
