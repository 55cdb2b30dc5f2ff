"""The epochs of a fit: history, early stopping, callbacks, and what ends training early."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_rapid._data import SpinEncoder
from sklearn_rapid._parameters import (
    negative_phase_from,
    new_seed,
    optimizer_from,
    schedule_from,
)
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.training import Diverged, Trainer, TrainingState, batches

# Rows on which the pseudo-likelihood is taken each epoch: its spread over rows is a few nats,
# so that the mean of so many is known to about a tenth.
VALIDATED_ROWS = 500


@dataclass
class Split:
    """Row numbers to train on and to validate with; None is all rows and none."""

    train: np.ndarray | None = None
    validation: np.ndarray | None = None


@dataclass
class Progress:
    """What the epochs leave behind, the best state among it."""

    history: dict[str, list] = field(default_factory=dict)
    best_state: TrainingState | None = None
    best_score: float = -np.inf
    n_epochs_without_gain: int = 0
    n_epochs: int = 0

    def record(self, **values: float) -> None:
        """Append one epoch to the history; lists stay equally long."""
        n_before = len(self.history.get("epoch", []))
        for name in [*self.history, *values]:
            column = self.history.setdefault(name, [np.nan] * n_before)
            if len(column) == n_before:
                column.append(values.get(name, np.nan))


def fit(estimator: Any, X: Any, y: Any, *, resumed: bool) -> None:
    """Train for `max_iter` epochs and publish the result on the estimator."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        _fit(estimator, X, y, resumed)


def partial_fit(estimator: Any, X: Any, *, resumed: bool) -> None:
    """Train on the rows once, in order, and publish the result on the estimator."""
    schedule = schedule_from(estimator.learning_rate)
    trainer = trainer_of(estimator)
    backend = estimator._backend()
    encoder = estimator._encoder(backend)
    with backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        state = _first_state(estimator, trainer, encoder, X, Split(), resumed, shuffle=False)
        good = replace(state)
        try:
            for rows in batches(X.shape[0], trainer.batch_size):
                _update(trainer, state, encoder, X[rows], schedule.at(0, 1))
        except Diverged as error:
            state = good
            _warn_diverged(error, "before this call")
        _set(estimator, estimator._publish(state))


def _fit(estimator: Any, X: Any, y: Any, resumed: bool) -> None:
    schedule = schedule_from(estimator.learning_rate)
    trainer = trainer_of(estimator)
    backend = estimator._backend()
    encoder = estimator._encoder(backend)
    max_iter = estimator.max_iter
    context = estimator._init_callback_context(max_subtasks=max_iter)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    with backend.running():
        seed = _seed(estimator, resumed)
        split = _split(estimator, X.shape[0], seed)
        state = _first_state(estimator, trainer, encoder, X, split, resumed, seed=seed)
        progress = Progress(_history(estimator) if resumed else {})
        start = time.perf_counter()
        for epoch in range(max_iter):
            good = replace(state)
            task = context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
            rate = schedule.at(epoch, max_iter)
            try:
                _run_epoch(estimator, trainer, state, encoder, X, split, rate)
            except Diverged as error:
                state = good
                _warn_diverged(error, f"of epoch {epoch}")
                break
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=6)
                break
            progress.n_epochs += 1
            seconds = time.perf_counter() - start
            _record(estimator, progress, state, encoder, X, split, rate, seconds)
            stop = task.call_on_fit_task_end(
                estimator=estimator,
                X=X,
                # Monitors score only where there is a y; the data are their own target here.
                y=X if y is None else y,
                reconstruction_attributes=partial(_attributes, estimator, state, progress),
            )
            if stop or _no_gain(estimator, progress):
                break
        if estimator.early_stopping and progress.best_state is not None:
            state = progress.best_state
        _set(estimator, _attributes(estimator, state, progress))
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)


def trainer_of(estimator: Any) -> Trainer:
    """The trainer with the estimator's settings."""
    return Trainer(
        negative_phase=negative_phase_from(estimator.negative_phase),
        optimizer=optimizer_from(estimator.optimizer),
        batch_size=estimator.batch_size,
        projection=estimator._projection(),
        fit_intercept=estimator.fit_intercept,
        center=estimator.center,
        weight_decay=estimator.weight_decay,
    )


def _seed(estimator: Any, resumed: bool) -> int:
    if resumed:
        return estimator._training_state["stream"].seed
    return new_seed(check_random_state(estimator.random_state))


def _first_state(
    estimator: Any,
    trainer: Trainer,
    encoder: SpinEncoder,
    X: Any,
    split: Split,
    resumed: bool,
    *,
    seed: int | None = None,
    shuffle: bool | None = None,
) -> TrainingState:
    """The state to go on from: the fitted one, or a new one made for the first batch."""
    if resumed:
        machine = estimator._machine()
        trainer.negative_phase.check(machine.couplings)
        return TrainingState.from_host(estimator._training_state, machine)
    seed = _seed(estimator, False) if seed is None else seed
    stream = RandomStream(seed)
    couplings = estimator._initial_couplings(X.shape[1], seed, encoder.backend)
    shuffle = estimator.shuffle if shuffle is None else shuffle
    rows = next(_epoch_batches(X.shape[0], trainer.batch_size, split, seed, 0, shuffle))
    return trainer.start(couplings, encoder.spins(X[rows]), stream, encoder.backend)


def _epoch_batches(
    n_rows: int, batch_size: int, split: Split, seed: int, n_updates: int, shuffle: bool
) -> Any:
    """Rows of each batch of an epoch that begins after `n_updates` updates."""
    shuffle_seed = (seed, n_updates) if shuffle else None
    n_rows = n_rows if split.train is None else split.train.size
    for rows in batches(n_rows, batch_size, shuffle_seed):
        yield rows if split.train is None else split.train[rows]


def _run_epoch(
    estimator: Any,
    trainer: Trainer,
    state: TrainingState,
    encoder: SpinEncoder,
    X: Any,
    split: Split,
    rate: float,
) -> None:
    n_rows = X.shape[0] if split.train is None else split.train.size
    n_batches = -(-n_rows // trainer.batch_size)
    all_rows = _epoch_batches(
        X.shape[0], trainer.batch_size, split, state.stream.seed, state.n_updates, estimator.shuffle
    )
    for number, rows in enumerate(all_rows, start=1):
        _update(trainer, state, encoder, X[rows], rate, end_of_epoch=number == n_batches)


def _update(
    trainer: Trainer,
    state: TrainingState,
    encoder: SpinEncoder,
    rows: Any,
    rate: float,
    end_of_epoch: bool = False,
) -> None:
    draw = state.stream.reserve() if encoder.binarize == "sample" else 0
    trainer.update(state, encoder.spins(rows, state.stream, draw), rate, end_of_epoch)


def _split(estimator: Any, n_rows: int, seed: int) -> Split:
    if not estimator.early_stopping:
        return Split()
    n_validation = round(n_rows * estimator.validation_fraction)
    if not 0 < n_validation < n_rows:
        raise ValueError(
            f"early_stopping=True sets aside validation_fraction={estimator.validation_fraction} "
            f"of the rows of X: of {n_rows} that leaves {n_validation} to validate with and "
            f"{n_rows - n_validation} to train on; both need at least one."
        )
    order = np.random.default_rng(seed).permutation(n_rows)
    return Split(np.sort(order[n_validation:]), np.sort(order[:n_validation]))


def _record(
    estimator: Any,
    progress: Progress,
    state: TrainingState,
    encoder: SpinEncoder,
    X: Any,
    split: Split,
    rate: float,
    seconds: float,
) -> None:
    """Append the epoch to the history, and remember the best state of a validated fit."""
    values = {
        "epoch": len(progress.history.get("epoch", [])),
        "seconds": seconds,
        "learning_rate": rate,
        "n_updates": state.n_updates,
    }
    if split.validation is not None:
        held_out = encoder.spins(X[split.validation[:VALIDATED_ROWS]])
        trained = encoder.spins(X[split.train[:VALIDATED_ROWS]])
        to_numpy = encoder.backend.to_numpy
        score = float(to_numpy(state.machine.log_pseudo_likelihood(held_out)).mean())
        free_energies = (state.machine.free_energy(v) for v in (held_out, trained))
        held_out_energy, trained_energy = (float(to_numpy(f).mean()) for f in free_energies)
        values["pseudo_likelihood"] = score
        values["free_energy_gap"] = held_out_energy - trained_energy
        progress.n_epochs_without_gain += 1
        if score > progress.best_score + estimator.tol:
            progress.n_epochs_without_gain = 0
        if score > progress.best_score:
            progress.best_score, progress.best_state = score, replace(state)
    progress.record(**values)
    if estimator.verbose:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        print(f"[{type(estimator).__name__}] {figures}")


def _no_gain(estimator: Any, progress: Progress) -> bool:
    return progress.n_epochs_without_gain >= estimator.n_iter_no_change


def _history(estimator: Any) -> dict[str, list]:
    return {name: list(column) for name, column in estimator.history_.items()}


def _attributes(estimator: Any, state: TrainingState, progress: Progress) -> dict[str, Any]:
    return {
        **estimator._publish(state),
        "history_": {name: list(column) for name, column in progress.history.items()},
        "n_iter_": progress.n_epochs,
    }


def _set(estimator: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        setattr(estimator, name, value)


def _warn_diverged(error: Diverged, when: str) -> None:
    warnings.warn(
        f"Training diverged: {error}. The parameters are those from the start {when}; lower "
        "the learning_rate, or shrink init_scale or pattern_bound.",
        ConvergenceWarning,
        stacklevel=8,
    )
