"""Where a fit starts: from new parameters, from a fitted model, or where a fit was cut short.

A start says from which state training goes on, and sets up a run by it.
"""

from __future__ import annotations

from typing import Any

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.arguments import draw_seed
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.fit.progress import (
    Progress,
    check_can_go_on,
    history_of,
    progress_of,
    state_of,
)
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.trainer import Diverged


class FromScratch:
    """From new parameters."""

    is_fresh = True

    def epochs_left(self, estimator: Any, X: Any, weights: Any) -> int:
        """How many epochs there are to train; ValueError if training cannot start like this."""
        return estimator.max_iter

    def state(self, estimator: Any, backend: Any) -> TrainingState | None:
        """The state to go on from; None where there is none yet."""
        return None

    def seed(self, estimator: Any, state: TrainingState | None) -> int:
        """Of the random numbers of training."""
        return draw_seed(estimator.random_state)

    def begin(self, run: Run, state: TrainingState | None, backend: Any) -> None:
        """Put a run at its first update."""
        run.state = first_state(run, backend)
        run.first = run.state.copy()


class FromModel(FromScratch):
    """From a fitted model, whose history goes on."""

    is_fresh = False

    def state(self, estimator: Any, backend: Any) -> TrainingState:
        """The state that training of the model has left."""
        state = state_of(estimator, self._left_by(estimator), backend)
        _check_resumable(estimator, state.machine)
        return state

    def seed(self, estimator: Any, state: TrainingState) -> int:
        """That of the model."""
        return state.stream.seed

    def begin(self, run: Run, state: TrainingState, backend: Any) -> None:
        """Put a run at its first update, which is not the first of the model."""
        history = history_of(run.estimator)
        run.progress = Progress(history, n_former=len(history.get("epoch", [])))
        run.state = run.trainer.resume(state)

    def _left_by(self, estimator: Any) -> dict[str, Any]:
        return {}


class FromUnfinished(FromModel):
    """Where a fit was cut short, to end as if it had not been."""

    def epochs_left(self, estimator: Any, X: Any, weights: Any) -> int:
        """Those that the fit has not had; ValueError for other rows than its own."""
        return check_can_go_on(estimator, X, weights)

    def begin(self, run: Run, state: TrainingState, backend: Any) -> None:
        """Put a run where the fit was."""
        estimator = run.estimator
        run.fit_id, run.data = (estimator._unfinished[name] for name in ("fit_id", "data"))
        run.progress = progress_of(estimator, backend)
        # Of real columns, the scales that training began with are no longer at hand.
        if run.progress.n_former == 0 and not estimator._has_densities:
            run.first = first_state(run, backend)
        run.state = run.trainer.resume(state)

    def _left_by(self, estimator: Any) -> dict[str, Any]:
        return estimator._unfinished["state"]


def first_state(run: Run, backend: Any) -> TrainingState:
    """The state before the first update; ValueError if training cannot start from it."""
    estimator, trainer, X = run.estimator, run.trainer, run.X
    stream = RandomStream(run.seed)
    couplings = estimator._initial_couplings(estimator._n_visible, stream.seed, backend)
    rows, weights, _ = next(run.batches())
    state = trainer.start(
        couplings,
        run.encoder.spins(X[rows]),
        stream,
        backend,
        weights,
        visible_units=estimator._visible_units,
        hidden_units=estimator._hidden_units,
        visible_scale=estimator._visible_scale(backend),
        smallest_scale=estimator._smallest_scale(X, run.weights, backend),
    )
    try:
        trainer.check(state)
    except Diverged as error:
        raise ValueError(
            f"training cannot start with init_scale={estimator.init_scale!r}: {error} in "
            f"{estimator._dtype}, before the first update. Lower init_scale."
        ) from None
    return state


def _check_resumable(estimator: Any, machine: Machine) -> None:
    """Raise ValueError if the parameters no longer describe the fitted model."""
    fitted: dict[str, Any] = estimator._sizes_of(machine)
    if not estimator.fit_intercept and machine.has_biases:
        fitted["fit_intercept"] = True
    for name, value in fitted.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"training cannot go on with {name}={getattr(estimator, name)}: the fitted model "
                f"has {name}={value}. Set it back, or fit anew with warm_start=False."
            )
