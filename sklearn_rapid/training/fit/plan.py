"""The plan of a fit: the model to train, and functions between its parts and attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn_rapid.backends import Units
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.table import Table
from sklearn_rapid.training.positive_phase import PositivePhase
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.steps.projections import Projection


@dataclass(frozen=True)
class Plan:
    """The plan of a fit, made by an estimator.

    Attributes
    ----------
    estimator : estimator
        Gives parameters and callbacks, and takes the results.
    table : Table
    backend : backend
    dtype : {"float32", "float64"}
    hidden_units : Units
    positive_phase : PositivePhase
    projection : Projection
    first_rate : float
        The first learning rate of "auto".
    first_rows : callable
        Returns the rows that columns of X are learned from, which show all kinds of values, and
        their weights, given the weights of all rows.
    run_class : type
        `Run`, or a subclass.
    unfinished : dict or None
        How to resume a fit that was cut short (`sklearn_rapid.training.fit.progress`).
    initial_couplings : callable
        Makes couplings from the number of visible units, a seed and the backend.
    published : callable
        Makes fitted attributes from a `TrainingState`, which may go on changing in place.
    state_of : callable
        Makes a `TrainingState` in its own arrays from fitted attributes, by default those of the
        estimator, and the backend.
    sizes_of : callable
        Returns the estimator's parameters for the sizes of a `Machine`.
    """

    estimator: Any
    table: Table
    backend: Any
    dtype: str
    hidden_units: Units
    positive_phase: PositivePhase
    projection: Projection
    first_rate: float
    first_rows: Callable[[Any], tuple[Any, Any]]
    run_class: Any
    unfinished: dict[str, Any] | None
    initial_couplings: Callable[[int, int, Any], Couplings]
    published: Callable[[TrainingState], dict[str, Any]]
    state_of: Callable[[dict[str, Any], Any], TrainingState]
    sizes_of: Callable[[Machine], dict[str, int]]
