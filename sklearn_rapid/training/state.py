"""The state of training, and copies of it on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.chains import NO_CHAINS, Chains, as_chains


@dataclass
class TrainingState:
    """All that changes in training; with the trainer's settings it determines the rest.

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
        The number of rows seen.
    n_updates : int
    is_whole : bool
        False in the middle of a step, when some parameters have moved and others have not.
    visible_scale : array of shape (V,) or None
        The factors of real units in the units of the data (float64).
    visible_spread, smallest_scale : array of shape (V,) or None
        The standard deviations of real columns, and lower bounds of their scales (float64).
    unusual_rows : array of shape (n, V) or None
        Rows and states of the model furthest from the mean, where units hardly vary.
    known_states : array of shape (n, V) or None
        Distinct rows of great weight (int8), which may be modes that no chain finds.
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
        """Scale rows of data to states of the visible units."""
        if self.visible_scale is None:
            return data
        return data / self.machine.backend.xp.astype(self.visible_scale, data.dtype)

    def copy(self) -> TrainingState:
        """Copy the state. Only the machine's arrays ever change in place."""
        return replace(self, machine=self.machine.copy(), stream=replace(self.stream))

    def to_host(self) -> dict[str, Any]:
        """Return all but the machine as plain Python and NumPy, to be pickled."""
        to_numpy = self.machine.backend.to_numpy
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "machine"}
        rest["stream"] = replace(self.stream)
        return map_arrays(rest, to_numpy)

    @classmethod
    def from_host(cls, rest: dict[str, Any], machine: Machine) -> TrainingState:
        """Make the state of a machine from the result of `to_host`."""
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
