"""What an estimator asks of a fit: the model to train, and how its parts become attributes."""

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
    """What an estimator asks of a fit.

    Attributes
    ----------
    estimator : estimator
        Whose parameters are read, whose callbacks are called, and which the results are set on.
    table : Table
    backend : backend
    dtype : {"float32", "float64"}
    hidden_units : Units
    positive_phase : PositivePhase
    projection : Projection
    first_rate : float
        The learning rate that "auto" starts at.
    shown_values : array of shape (n, n_columns)
        Rows that show all there is to see of the values of X.
    run_class : type
        `Run`, or a subclass.
    unfinished : dict or None
        What a fit that was cut short has left.
    initial_couplings : callable
        Couplings before training, from the number of visible units, a seed and the backend.
    published : callable
        Fitted attributes from a `TrainingState`, which may go on changing in place.
    state_of : callable
        A `TrainingState` in arrays of its own from fitted attributes, by default those of the
        estimator, and the backend.
    sizes_of : callable
        The estimator's parameters that say how large a machine is, from a `Machine`.
    """

    estimator: Any
    table: Table
    backend: Any
    dtype: str
    hidden_units: Units
    positive_phase: PositivePhase
    projection: Projection
    first_rate: float
    shown_values: Any
    run_class: Any
    unfinished: dict[str, Any] | None
    initial_couplings: Callable[[int, int, Any], Couplings]
    published: Callable[[TrainingState], dict[str, Any]]
    state_of: Callable[[dict[str, Any], Any], TrainingState]
    sizes_of: Callable[[Machine], dict[str, int]]
