"""Parameters of an estimator to the objects that train: phases, optimizers, schedules."""

from __future__ import annotations

from typing import Any

from sklearn_rapid.training import negative_phase, optimizers, positive_phase
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.optimizers import Constant, LinearDecay, Schedule
from sklearn_rapid.training.positive_phase import PositivePhase
from sklearn_rapid.training.steps.penalties import Penalty
from sklearn_rapid.training.trainer import Trainer


def negative_phase_from(value: Any) -> Any:
    """The negative phase that a string is shorthand for, or the object itself, validated."""
    return _validated(value, negative_phase.BY_NAME)


def positive_phase_from(value: Any) -> PositivePhase:
    """The positive phase that a string is shorthand for, or the object itself, validated."""
    return _validated(value, positive_phase.BY_NAME)


def optimizer_from(value: Any) -> Any:
    """The optimizer that a string is shorthand for, or the object itself, validated."""
    return _validated(value, optimizers.BY_NAME)


def schedule_from(value: Any, first_rate: float) -> Any:
    """The schedule that "auto" or a number stands for, or the object itself, validated."""
    if isinstance(value, str):
        return LinearDecay(first_rate)
    return _validated(value if isinstance(value, Schedule) else Constant(value), {})


def _validated(value: Any, by_name: dict[str, type]) -> Any:
    value = by_name[value]() if isinstance(value, str) else value
    value.validate()
    return value.with_plain_numbers()


def schedule_of(plan: Plan) -> Schedule:
    """The schedule of learning rates."""
    return schedule_from(plan.estimator.learning_rate, plan.first_rate)


def trainer_of(plan: Plan, n_rows: int | None, batch_size: int) -> Trainer:
    """The trainer for a number of rows; None if it is not known."""
    estimator = plan.estimator
    return Trainer(
        negative_phase=negative_phase_from(estimator.negative_phase),
        optimizer=optimizer_from(estimator.optimizer),
        batch_size=batch_size,
        projection=plan.projection,
        fit_intercept=estimator.fit_intercept,
        center=estimator.center,
        penalty=Penalty(estimator.l1_penalty, estimator.l2_penalty, n_rows),
        positive_phase=plan.positive_phase,
        n_latent=plan.table.n_latent,
    )
