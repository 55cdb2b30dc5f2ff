"""Turn parameters of an estimator into the objects that train it."""

from __future__ import annotations

from typing import Any

from sklearn_rapid.training import negative_phase, optimizers, positive_phase
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.optimizers import Constant, LinearDecay, Schedule
from sklearn_rapid.training.positive_phase import PositivePhase
from sklearn_rapid.training.steps.penalties import Penalty
from sklearn_rapid.training.trainer import Trainer


def negative_phase_from(value: Any) -> Any:
    """Return the negative phase that a string is shorthand for, or the object, validated."""
    return _validated(value, negative_phase.BY_NAME)


def positive_phase_from(value: Any) -> PositivePhase:
    """Return the positive phase that a string is shorthand for, or the object, validated."""
    return _validated(value, positive_phase.BY_NAME)


def schedule_of(plan: Plan) -> Schedule:
    """Return the schedule that "auto" or a number is shorthand for, or the object, validated."""
    rate = plan.estimator.learning_rate
    if isinstance(rate, str):
        return LinearDecay(plan.first_rate)
    return _validated(rate if isinstance(rate, Schedule) else Constant(rate), {})


def trainer_of(plan: Plan, n_rows: int | None, batch_size: int) -> Trainer:
    """Make the trainer for a number of rows, None if it is not known."""
    estimator = plan.estimator
    return Trainer(
        negative_phase=negative_phase_from(estimator.negative_phase),
        optimizer=_validated(estimator.optimizer, optimizers.BY_NAME),
        batch_size=batch_size,
        projection=plan.projection,
        fit_intercept=estimator.fit_intercept,
        center=estimator.center,
        penalty=Penalty(estimator.l1_penalty, estimator.l2_penalty, n_rows),
        positive_phase=plan.positive_phase,
        n_latent=plan.table.n_latent,
    )


def _validated(value: Any, by_name: dict[str, type]) -> Any:
    value = by_name[value]() if isinstance(value, str) else value
    value.validate()
    return value.with_plain_numbers()
