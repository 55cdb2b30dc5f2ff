"""All that changes in training, and how it goes to another place and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.chains import NO_CHAINS, Chains, as_chains


@dataclass
class TrainingState:
    """All that changes in training; with the trainer's settings it determines what follows.

    Attributes
    ----------
    machine : Machine
    stream : RandomStream
    optimizer_state : object
    chains : Chains
    visible_offset : array of shape (V,)
        The mean of all rows seen (float64).
    hidden_offset : array of shape (H,)
        A moving average of E[h] over the data.
    n_rows : int
        How many rows have been seen.
    n_updates : int
    is_whole : bool
        False in the middle of a step, when parameters have moved and others have yet to follow.
    visible_scale : array of shape (V,) or None
        Of real units: what each is to be multiplied by to be in the units of the data (float64).
    visible_spread, smallest_scale : array of shape (V,) or None
        Of real units: the standard deviation of their columns, and the least that a scale may
        become (float64).
    unusual_rows : array of shape (n, V) or None
        Of units that hardly vary: rows and states of the model that are furthest from the mean.
    known_states : array of shape (n, V) or None
        Different rows of great weight (int8): modes, it may be, that no chain finds.
    """

    machine: Machine
    stream: RandomStream
    optimizer_state: Any = None
    chains: Chains = NO_CHAINS
    visible_offset: Any = None
    hidden_offset: Any = None
    n_rows: int = 0
    n_updates: int = 0
    is_whole: bool = True
    visible_scale: Any = None
    visible_spread: Any = None
    smallest_scale: Any = None
    unusual_rows: Any = None
    known_states: Any = None

    def states_of(self, data: Any) -> Any:
        """Rows of data as states of the visible units."""
        if self.visible_scale is None:
            return data
        return data / self.machine.backend.xp.astype(self.visible_scale, data.dtype)

    @property
    def log_volume(self) -> float:
        """Log of the volume, in the units of the data, of a unit of volume of the states."""
        if self.visible_scale is None:
            return 0.0
        return float(np.sum(np.log(self.machine.backend.to_numpy(self.visible_scale))))

    def copy(self) -> TrainingState:
        """The state as it is now. Only the machine's arrays ever change in place."""
        return replace(self, machine=self.machine.copy(), stream=replace(self.stream))

    def to_host(self) -> dict[str, Any]:
        """All but the machine as plain Python and NumPy, fit to be pickled anywhere."""
        to_numpy = self.machine.backend.to_numpy
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "machine"}
        rest["stream"] = replace(self.stream)
        return map_arrays(rest, to_numpy)

    @classmethod
    def from_host(cls, rest: dict[str, Any], machine: Machine) -> TrainingState:
        """The state of a machine from what `to_host` returned."""
        rest = map_arrays(rest, machine.backend.asarray)
        own = {"stream": replace(rest["stream"]), "chains": as_chains(rest.get("chains"))}
        return cls(machine, **{**rest, **own})


def map_arrays(tree: Any, function: Callable) -> Any:
    """Apply a function to the arrays in nested dicts, tuples and dataclasses."""
    if isinstance(tree, dict):
        return {name: map_arrays(value, function) for name, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map_arrays(value, function) for value in tree)
    if is_dataclass(tree):
        own = {f.name: getattr(tree, f.name) for f in fields(tree)}
        return replace(tree, **map_arrays(own, function))
    return function(tree) if hasattr(tree, "shape") else tree
