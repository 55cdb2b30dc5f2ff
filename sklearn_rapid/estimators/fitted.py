"""What a fitted model is made of, looked at before anything is computed with it.

Compiled code trusts shapes. Attributes may come from a damaged file, from a user's hand, or from
another thread in the middle of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream, Units
from sklearn_rapid.checks.arguments import is_number
from sklearn_rapid.checks.requirements import (
    ANY_COUNT,
    ANY_NUMBER,
    DOUBLE,
    FLOATS,
    LARGEST_NUMBER,
    Requirement,
    check_requirements,
    is_count,
    is_float_array,
    is_scale_array,
)
from sklearn_rapid.checks.version import __version__
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import Ladder
from sklearn_rapid.training.chains import Chains, PlainChains, TemperedChains, as_chains

Shapes = Mapping[str, tuple[str, ...]]


class VersionedPickle:
    """Pickles that say which version of the package has written them."""

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, and the version."""
        return {**super().__getstate__(), "_sklearn_rapid_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take attributes over, with a warning if another version has left them.

        Parameters that it did not have yet get their defaults.
        """
        parameters = signature(type(self)).parameters
        defaults = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
        state = {**defaults, **state}
        version = state.pop("_sklearn_rapid_version", "unknown")
        if version != __version__:
            warn(
                f"{type(self).__name__} was pickled by sklearn_rapid {version}, and this is "
                f"{__version__}: results may differ, or the model may not work. Files of "
                "sklearn_rapid.save are kept readable.",
                UserWarning,
            )
        super().__setstate__(state)


def checked_sizes(shapes: Shapes, found: Mapping[str, tuple], sizes: Mapping[str, int]) -> dict:
    """The length of each axis by its letter; ValueError if arrays do not belong together.

    Parameters
    ----------
    shapes : dict
        Letters of each array's axes by the array's name.
    found : dict
        The shape of each array by its name.
    sizes : dict
        Lengths that are known already.

    Examples
    --------
    >>> shapes = {"components_": ("H", "V"), "intercept_hidden_": ("H",)}
    >>> checked_sizes(shapes, {"components_": (2, 3), "intercept_hidden_": (2,)}, {"V": 3})
    {'V': 3, 'H': 2}
    """
    sizes = dict(sizes)
    for name, letters in shapes.items():
        shape = tuple(found[name])
        fits = len(shape) == len(letters) and min(shape) > 0
        if not fits or any(
            sizes.setdefault(a, n) != n for a, n in zip(letters, shape, strict=True)
        ):
            known = ", ".join(f"{letter} = {n}" for letter, n in sizes.items())
            raise ValueError(
                f"the fitted attributes do not belong together: {name} has shape {shape} where "
                f"({', '.join(letters)}) is wanted, and {known}. Fit again, or set them all."
            )
    return sizes


def check_fitted(model: Any) -> None:
    """Raise ValueError unless a model's arrays are of shapes that fit, real and finite."""
    table = model._table
    per_unit = {f"{name}_" for part in table.parts for name in part.encoder.per_unit}
    shapes = {**model._fitted_shapes, **dict.fromkeys(sorted(per_unit), ("V",))}
    lacking = [name for name in shapes if name not in vars(model) and name in per_unit]
    if lacking:
        raise ValueError(f"{lacking[0]} is missing: it belongs to these columns. Fit again.")
    arrays = {name: getattr(model, name) for name in shapes}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            what = getattr(array, "dtype", type(array).__name__)
            raise ValueError(f"{name} must be a NumPy array of real numbers, got {what}")
    found = {name: array.shape for name, array in arrays.items()}
    checked_sizes(shapes, found, model._known_sizes)
    for name, array in arrays.items():
        # The least and the largest are NaN where any is, and take no memory.
        if not (np.isfinite(array.min()) and np.isfinite(array.max())):
            raise ValueError(
                f"{name} holds NaN or infinity: this {type(model).__name__} is no model. Fit anew."
            )
    if table.has_densities and not model.scale_.min() > 0.0:
        raise ValueError(f"scale_ must be above zero, got {model.scale_.min():g}. Fit again.")


def _are_means(value: Any, units: Units, n_units: int, dtypes: Any) -> bool:
    # But for rounding.
    largest = np.minimum(LARGEST_NUMBER, (1.0 + 1e-3) * units.largest_means(n_units))
    return is_float_array(value, (n_units,), largest, dtypes)


def _are_states(value: Any, machine: Machine) -> bool:
    """Whether it is an array of rows of states, one at least."""
    is_array = isinstance(value, np.ndarray) and value.dtype in FLOATS and value.ndim == 2
    is_of_units = is_array and value.shape[0] > 0 and value.shape[1] == machine.n_visible
    is_small = is_of_units and bool((np.abs(value) <= LARGEST_NUMBER).all())
    return is_small and machine.visible_units.are_states(value)


def _are_rows(value: Any, machine: Machine) -> bool:
    """Whether it is None or rows of finite numbers, if any."""
    return value is None or (
        np.ndim(value) == 2 and is_float_array(value, (len(value), machine.n_visible))
    )


def _are_known(value: Any, machine: Machine) -> bool:
    """Whether it is None or rows of states in few bits, if any."""
    if value is None:
        return True
    is_array = isinstance(value, np.ndarray) and value.dtype == np.int8 and value.ndim == 2
    is_of_units = is_array and value.shape[1] == machine.n_visible
    return is_of_units and machine.visible_units.are_states(value)


def _are_scales_of(value: Any, machine: Machine) -> bool:
    if not machine.visible_units.real(machine.n_visible).any():
        return value is None
    return is_scale_array(value, (machine.n_visible,), DOUBLE)


def _is_stream(value: Any, machine: Machine) -> bool:
    # A model's own draws begin at 2**62 (see `BaseRBM._own_stream`).
    return (
        isinstance(value, RandomStream)
        and all(isinstance(n, Integral) for n in (value.seed, value.position))
        and value.seed >> 64 == value.position >> 62 == value.first_row == 0
    )


def _is_chains(value: Any, machine: Machine) -> bool:
    chains = as_chains(value)
    # Phases that are not this package's may have chains of their own.
    if type(chains) in CHAINS:
        check_requirements(vars(chains), CHAINS[type(chains)], machine, "chains.")
    return True


def _is_ladder(value: Any, machine: Machine) -> bool:
    if not isinstance(value, Ladder):
        return False
    check_requirements(vars(value), LADDER, (value, machine), "chains.ladder.")
    return True


def _are_betas(value: Any, owner: Any) -> bool:
    is_tuple = isinstance(value, tuple) and all(map(is_number, value))
    return (
        is_tuple
        and len(value) > 1
        and (value[0], value[-1]) == (0.0, 1.0)
        and all(lower <= upper for lower, upper in pairwise(value))
    )


def _of_rungs(value: Any, owner: tuple[Ladder, Machine], dtype: str, fewer: int = 0) -> bool:
    """Whether it is an array of that type with a number for each state, or for each pair."""
    ladder, _ = owner
    n = ladder.n_rungs - fewer if fewer else ladder.n_rungs * ladder.n_columns
    return isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == (n,)


# What training leaves (`TrainingState.to_host`), by the names of its fields; of a machine.
STATE = {
    "stream": Requirement("random numbers: a seed of 64 bits, a position of 62", _is_stream),
    "chains": Requirement("chains", _is_chains),
    "visible_offset": Requirement(
        "means of the visible units, float64",
        lambda value, m: _are_means(value, m.visible_units, m.n_visible, DOUBLE),
    ),
    "hidden_offset": Requirement(
        "means of the hidden units, or None",
        lambda value, m: value is None or _are_means(value, m.hidden_units, m.n_hidden, FLOATS),
    ),
    "n_rows": ANY_COUNT,
    "n_updates": ANY_COUNT,
    "is_whole": Requirement("True or False", lambda value, _: isinstance(value, bool)),
    "visible_scale": Requirement(
        "a scale above zero of each visible unit, float64, or None if no columns are real",
        _are_scales_of,
    ),
    "visible_spread": Requirement("as visible_scale", _are_scales_of),
    "smallest_scale": Requirement("as visible_scale", _are_scales_of),
    "unusual_rows": Requirement("rows of the visible units or None", _are_rows),
    "known_states": Requirement("int8 rows of states or None", _are_known),
    # Optimizers that are not this package's may leave anything.
    "optimizer_state": Requirement("anything", lambda value, _: True),
}
# By their type; of a machine.
CHAINS = {
    Chains: {},
    PlainChains: {"states": Requirement("rows of states of the visible units", _are_states)},
    TemperedChains: {
        "ladder": Requirement("a ladder of states", _is_ladder),
        "lag": Requirement(
            "one float64", lambda value, _: is_float_array(value, (), dtypes=DOUBLE)
        ),
        "n_wanted": Requirement("a whole number above zero", lambda value, _: is_count(value, 1)),
        "step_share": Requirement(
            "a number above 0, 1 at most", lambda value, _: is_number(value) and 0.0 < value <= 1.0
        ),
        "barrier": ANY_NUMBER,
        "mean_lag": ANY_NUMBER,
        "known": Requirement(
            "rows of states or None", lambda value, m: value is None or _are_states(value, m)
        ),
        "entropy": ANY_NUMBER,
    },
}
# Of a ladder and a machine, each after what it rests on.
LADDER = {
    "betas": Requirement("numbers that rise from 0 to 1", _are_betas),
    "arrivals": Requirement(
        "an int64 for each column",
        lambda value, _: (
            isinstance(value, np.ndarray)
            and value.dtype == np.int64
            and value.ndim == 1
            and bool((value >= 0).all())
        ),
    ),
    "states": Requirement(
        "a state of the visible units for each rung of each column",
        lambda value, owner: (
            _are_states(value, owner[1]) and value.shape[0] == owner[0].n_columns * owner[0].n_rungs
        ),
    ),
    "base": Requirement(
        "a field for each visible unit, of the states' type",
        lambda value, owner: is_float_array(
            value, (owner[1].n_visible,), dtypes=(owner[0].states.dtype,)
        ),
    ),
    "origin": Requirement(
        "an int8 for each state", lambda value, owner: _of_rungs(value, owner, "int8")
    ),
    "accepted": Requirement(
        "a float64 for each pair of rungs",
        lambda value, owner: _of_rungs(value, owner, "float64", fewer=1),
    ),
    "n_sweeps": ANY_COUNT,
}


def check_training_state(rest: Mapping[str, Any], machine: Machine) -> None:
    """Raise ValueError if what training has left (`TrainingState.to_host`) is of another model."""
    try:
        check_requirements(rest, STATE, machine)
    except ValueError as error:
        raise ValueError(
            f"the state of training does not belong to this model: {error}. Fit again."
        ) from None
