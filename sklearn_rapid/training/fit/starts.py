"""Start a fit: from new parameters, from a fitted model, or where a fit was cut short."""

from __future__ import annotations

from typing import Any

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import (
    Progress,
    check_same_data,
    copy_history,
    restore_progress,
)
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.trainer import Diverged


class FromScratch:
    """A start from new parameters."""

    is_fresh = True

    def epochs_left(self, plan: Plan, X: Any, weights: Any) -> int:
        """Return the number of epochs to train; ValueError if training cannot start like this."""
        return plan.estimator.max_iter

    def state(self, plan: Plan) -> TrainingState | None:
        """Return the state to continue from; None where there is none yet."""
        return None

    def begin(self, run: Run, state: TrainingState | None) -> None:
        """Put a run before its first update."""
        run.print_kinds()
        run.state = _first_state(run)
        run.first_state = run.state.copy()


class FromModel(FromScratch):
    """A start from a fitted model, whose history is continued."""

    is_fresh = False

    def state(self, plan: Plan) -> TrainingState:
        """Return the state at the end of the model's training."""
        state = plan.state_of(self._attributes(plan), plan.backend)
        _check_resumable(plan, state.machine)
        return state

    def begin(self, run: Run, state: TrainingState) -> None:
        """Put a run before its first update, which is not the first of the model."""
        history = copy_history(run.plan.estimator)
        run.progress = Progress(history, n_former=len(history.get("epoch", [])))
        run.state = run.trainer.resume(state)

    def _attributes(self, plan: Plan) -> dict[str, Any]:
        return {}


class FromUnfinished(FromModel):
    """A start where a fit was cut short; it will end as if it had not been."""

    def epochs_left(self, plan: Plan, X: Any, weights: Any) -> int:
        """Return the number of epochs left; ValueError for other rows than those of the fit."""
        n_done, max_iter = plan.unfinished["n_epochs"], plan.estimator.max_iter
        if max_iter < n_done:
            raise ValueError(f"{n_done} epochs of this fit are done, got max_iter={max_iter}")
        check_same_data(plan.unfinished["data"], X, weights)
        return max_iter - n_done

    def begin(self, run: Run, state: TrainingState) -> None:
        """Put a run where the fit was."""
        plan = run.plan
        run.fit_id, run.data = (plan.unfinished[name] for name in ("fit_id", "data"))
        run.progress = restore_progress(plan)
        # The first scales of real columns are not kept.
        if run.progress.n_former == 0 and not plan.table.has_densities:
            run.first_state = _first_state(run)
        run.state = run.trainer.resume(state)

    def _attributes(self, plan: Plan) -> dict[str, Any]:
        return plan.unfinished["state"]


def _first_state(run: Run) -> TrainingState:
    """Make the state before the first update; ValueError if training cannot start from it."""
    plan, trainer, X = run.plan, run.trainer, run.X
    stream, table, backend = RandomStream(run.seed), run.plan.table, run.plan.backend
    couplings = plan.initial_couplings(table.n_units, stream.seed, backend)
    rows, weights, _ = next(run.batches())
    state = trainer.start(
        couplings,
        run.encoder.states(X[rows]),
        stream,
        backend,
        weights,
        visible_units=table.visible_units,
        hidden_units=plan.hidden_units,
        visible_scale=table.scales(backend),
        smallest_scale=table.smallest_scales(*plan.first_rows(run.weights), backend),
    )
    try:
        trainer.check(state)
    except Diverged as error:
        raise ValueError(
            f"training cannot start with init_scale={plan.estimator.init_scale!r}: {error} in "
            f"{plan.dtype}, before the first update. Lower init_scale."
        ) from None
    return state


def _check_resumable(plan: Plan, machine: Machine) -> None:
    """Raise ValueError if the parameters no longer describe the fitted model."""
    estimator = plan.estimator
    fitted: dict[str, Any] = plan.sizes_of(machine)
    if not estimator.fit_intercept and machine.has_biases:
        fitted["fit_intercept"] = True
    for name, value in fitted.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"training cannot go on with {name}={getattr(estimator, name)}: the fitted model "
                f"has {name}={value}. Set it back, or fit anew with warm_start=False."
            )
