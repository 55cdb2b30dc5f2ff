"""What a fitted model is made of, looked at before anything is computed with it.

Compiled code trusts shapes. Attributes may come from a damaged file, from a user's hand, or from
another thread in the middle of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np

from sklearn_rapid._kinds import MOMENTS, check_kinds
from sklearn_rapid._version import __version__
from sklearn_rapid._warnings import warn
from sklearn_rapid.backends import Gaussians, Spins, Units
from sklearn_rapid.machine import Machine
from sklearn_rapid.negative_phase import TemperedChains
from sklearn_rapid.tempering import Ladder

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
    check_kinds(model)
    is_real = all(name in vars(model) for name in MOMENTS)
    shapes = {**model._fitted_shapes, **(dict.fromkeys(MOMENTS, ("V",)) if is_real else {})}
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
    if is_real and not model.scale_.min() > 0.0:
        raise ValueError(f"scale_ must be above zero, got {model.scale_.min():g}. Fit again.")


def check_training_state(rest: Mapping[str, Any], machine: Machine) -> None:
    """Raise ValueError if what training has left (`TrainingState.to_host`) is of another model."""
    n_visible, n_hidden, units = machine.n_visible, machine.n_hidden, machine.visible_units
    scale = rest.get("visible_scale")
    if units.real(n_visible).any():
        has_scale = scale is not None and scale.shape == (n_visible,)
        _check(has_scale and bool((scale > 0.0).all()), "each column has a scale above zero")
        for name in ("visible_spread", "smallest_scale"):
            limit = rest.get(name)
            is_limit = limit is not None and limit.shape == (n_visible,)
            _check(is_limit and bool((limit > 0.0).all()), f"{name} is above zero")
    for name, size in (("visible_offset", n_visible), ("hidden_offset", n_hidden)):
        offset = rest[name]
        if offset is not None:
            _check(offset.shape == (size,), f"{name} has {size} elements")
            _check(bool(np.isfinite(offset).all()), f"{name} is finite")
    chains = rest["chains"]
    if isinstance(chains, TemperedChains):
        _check(np.shape(chains.lag) == (), "a lag is one number")
        _check_ladder(chains.ladder, n_visible, units)
    elif hasattr(chains, "shape"):
        _check(len(chains.shape) == 2 and chains.shape[0] > 0, "chains are rows of states")
        _check(chains.shape[1] == n_visible, f"chains have {n_visible} columns")
        _check_states(chains, units)


def _check_ladder(ladder: Ladder, n_visible: int, units: Units) -> None:
    betas, states = np.asarray(ladder.betas, dtype=np.float64), ladder.states
    is_placed = len(betas) > 1 and betas[0] == 0.0 and betas[-1] == 1.0
    _check(is_placed and bool(np.all(np.diff(betas) >= 0.0)), "β rises from 0 to 1")
    _check(len(ladder.arrivals.shape) == 1, "there is a number of arrivals for each column")
    n_states = ladder.n_columns * ladder.n_rungs
    _check(tuple(states.shape) == (n_states, n_visible), "a ladder has a state for each rung")
    _check(tuple(ladder.origin.shape) == (n_states,), "each state has an origin")
    _check(tuple(ladder.accepted.shape) == (ladder.n_rungs - 1,), "each pair has acceptances")
    _check(tuple(ladder.base.shape) == (n_visible,), "the base has a field for each column")
    _check_states(states, units)


def _check_states(states: Any, units: Units) -> None:
    what = {Spins: "states are -1 or +1", Gaussians: "states are finite"}
    _check(units.are_states(states), what.get(type(units), "states are those of its units"))


def _check(is_so: bool, what: str) -> None:
    if not is_so:
        raise ValueError(f"the state of training does not belong to this model: {what}. Fit again.")
