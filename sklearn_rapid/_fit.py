"""The epochs of a fit: history, early stopping, callbacks, and what ends training early."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_rapid._data import SpinEncoder, warn_if_constant
from sklearn_rapid._parameters import new_seed, schedule_from, trainer_of
from sklearn_rapid._progress import (
    CutShort,
    Progress,
    check_can_go_on,
    digest_of,
    history_of,
    new_fit_id,
    progress_of,
    state_of,
    unfinished,
)
from sklearn_rapid._rows import (
    Split,
    epoch_order,
    row_numbers,
    rows_of_a_batch,
    split_of,
)
from sklearn_rapid._stream import stream_of
from sklearn_rapid._validation import (
    VALIDATED_ROWS,
    Verdict,
    figures_of_chains,
    validate,
    warn_if_worse_than_independent,
)
from sklearn_rapid._warnings import warn
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine import Machine
from sklearn_rapid.training import Diverged, Trainer, batches
from sklearn_rapid.training_state import TrainingState

# Spins of several batches, in bytes of float32, stay in the processor's cache until they are used.
BYTES_AT_ONCE = 4_000_000


@dataclass
class Run:
    """One fit under way."""

    estimator: Any
    X: Any
    trainer: Trainer
    encoder: SpinEncoder
    split: Split
    weights: np.ndarray | None
    shuffle: bool
    seed: int
    state: TrainingState | None = None
    progress: Progress = field(default_factory=Progress)
    fit_id: str = field(default_factory=new_fit_id)
    last_whole: tuple[TrainingState, Progress] | None = None

    @cached_property
    def data(self) -> dict[str, Any]:
        """What is kept of the rows, to know them again."""
        return digest_of(self.X, self.weights)

    def mark(self) -> None:
        """Keep what the fit can go back to: an epoch is whole, or it has not been."""
        self.last_whole = self.state.copy(), replace(self.progress)

    def go_back(self, *, wholly: bool) -> None:
        """Go back to the last whole epoch; if not wholly, a state that can be kept stays."""
        state, self.progress = self.last_whole
        if wholly or not self.is_usable:
            self.state = state

    def batches(self) -> Iterator[tuple[Any, np.ndarray | None, bool]]:
        """Row numbers of the next epoch's batches, weights, and whether they are the last.

        Several batches at a time: the trainer makes their updates at once if it can.
        """
        n_updates = 0 if self.state is None else self.state.n_updates
        rng = np.random.default_rng((self.seed, n_updates))
        batch_size = self.trainer.batch_size
        order = epoch_order(self.X, self.split, self.weights, self.shuffle, batch_size, rng)
        n_rows = self.X.shape[0] if order is None else order.size
        on_device = order if order is None else row_numbers(order, self.X, self.encoder.backend)
        for rows in batches(n_rows, self.n_rows_at_once):
            weights = None
            if self.weights is not None:
                weights = self.weights[order[rows]]
                weights = weights / weights.sum()
            yield rows if order is None else on_device[rows], weights, rows.stop == n_rows

    @property
    def n_rows_at_once(self) -> int:
        """Rows of the batches that are encoded together."""
        batch_size = self.trainer.batch_size
        # Draws of batches and of their updates take turns: of one, names are known.
        is_drawn = self.encoder.binarize == "sample" and self.trainer.n_draws is None
        if self.weights is not None or self.state is None or is_drawn:
            return batch_size
        return batch_size * max(1, BYTES_AT_ONCE // (4 * batch_size * self.estimator._n_visible))

    def run_epoch(self, rate: float) -> None:
        """Update once for every batch; the last update is told that the epoch ends."""
        for rows, weights, is_last in self.batches():
            self.update(rows, weights, rate, is_last)
        self.trainer.check(self.state)

    def update(
        self, rows: Any, weights: np.ndarray | None, rate: float, end_of_epoch: bool = False
    ) -> None:
        """Update the state from some rows, a batch or several of them."""
        trainer, stream = self.trainer, self.state.stream
        if self.encoder.binarize != "sample":
            data = self.encoder.spins_of_rows(self.X, rows)
            trainer.updates(self.state, data, rate, end_of_epoch, weights)
            return
        X = self.X[rows]
        # Each batch's draw stands before those of its update.
        draws = itertools.count(stream.position, 1 + (trainer.n_draws or 0))
        data = [
            self.encoder.spins(X[batch], stream, draw)
            for batch, draw in zip(batches(X.shape[0], trainer.batch_size), draws, strict=False)
        ]
        data = data[0] if len(data) == 1 else self.encoder.backend.xp.concat(data)
        trainer.updates(self.state, data, rate, end_of_epoch, weights, n_data_draws=1)

    def record(self, rate: float, seconds: float) -> None:
        """Append the epoch to the history, and remember the best state of a validated fit."""
        progress = self.progress
        values = {
            "epoch": len(progress.history.get("epoch", [])),
            "seconds": seconds,
            "learning_rate": rate,
            "n_updates": self.state.n_updates,
        }
        values.update(figures_of_chains(self.state.chains))
        if self.split.validation is not None:
            verdict = self.validate()
            values.update(verdict.figures)
            progress.n_epochs_without_gain += 1
            # What may be a gain within its error is no reason to stop, nor one to be kept.
            if verdict.score + verdict.error > progress.best_score + self.estimator.tol:
                progress.n_epochs_without_gain = 0
            if verdict.score - verdict.error > progress.best_score:
                progress.best_score = verdict.score - verdict.error
                progress.best_state = self.state.copy()
        progress.record(**values)
        if self.estimator.verbose:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            print(f"[{type(self.estimator).__name__}] {figures}")

    @property
    def is_usable(self) -> bool:
        """Whether the state is one to keep: not in the middle of a step, nor diverged."""
        try:
            self.trainer.check(self.state)
        except Diverged:
            return False
        return self.state.is_whole

    def validate(self) -> Verdict:
        """What rows set aside say of the model as it is."""
        parts = (self.split.validation, self.split.train)
        rows, weights = zip(*map(self._first_of, parts), strict=True)
        return validate(self.state, rows, weights)

    def _first_of(self, rows: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """The first of some rows as states, as many as tell enough, and their weights."""
        rows = rows[:VALIDATED_ROWS]
        weights = None if self.weights is None else self.weights[rows]
        v = self.encoder.spins(self.X[row_numbers(rows, self.X, self.encoder.backend)])
        return self.state.states_of(v), weights

    def check_outcome(self) -> None:
        """Warn if the chains of training have lost the model, or penalties all its couplings."""
        parameters, xp = self.state.machine.couplings.parameters, self.encoder.backend.xp
        is_left = any(bool(xp.any(p != 0.0)) for p in parameters.values())
        if self.estimator.l1_penalty and not is_left:
            warn(
                f"no couplings are left: l1_penalty={self.estimator.l1_penalty} on "
                f"{self.trainer.penalty.n_rows} rows has set all of them to zero. Lower it.",
                ConvergenceWarning,
            )
        if self.trainer.negative_phase.is_persistent:
            train = self.split.train
            train = np.arange(self.X.shape[0]) if train is None else train
            warn_if_worse_than_independent(self.state, *self._first_of(train))

    def attributes(self, *, is_cut_short: bool = False) -> dict[str, Any]:
        """Fitted attributes as they are now, and what a fit that is cut short leaves."""
        return {
            **self.estimator._publish(self.state),
            "history_": self.progress.columns(),
            "n_iter_": self.progress.n_epochs,
            "_unfinished": self._unfinished() if is_cut_short else None,
        }

    def snapshot(self) -> dict[str, Any]:
        """Fitted attributes after the last whole epoch, with all it takes to go on from there."""
        left = self._unfinished()
        history, n_epochs = self.progress.columns(), self.progress.n_epochs
        return {**left["state"], "history_": history, "n_iter_": n_epochs, "_unfinished": left}

    def _unfinished(self) -> dict[str, Any]:
        state, progress = self.last_whole
        published = self.estimator._publish(state)
        return unfinished(self.estimator, progress, published, self.fit_id, self.data)


def fit(
    estimator: Any,
    X: Any,
    y: Any,
    weights: np.ndarray | None,
    *,
    resumed: bool,
    goes_on: bool = False,
) -> None:
    """Train for `max_iter` epochs and publish the result on the estimator.

    Parameters
    ----------
    estimator : estimator
    X : array of shape (n, V)
    y : ignored
    weights : array of shape (n,) or None
    resumed : bool
        Whether to start from the model that is there.
    goes_on : bool
        Whether to go on with the fit that was cut short and left the model.
    """
    n_left = estimator.max_iter
    if goes_on:
        n_left = check_can_go_on(estimator, X, weights)
    context = estimator._init_callback_context(max_subtasks=n_left)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    backend = estimator._backend(X)
    with backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        run = _start(estimator, X, weights, backend, resumed=resumed, goes_on=goes_on)
        try:
            is_cut_short, error = _run_epochs(run, y, context), None
        except CutShort as lost:
            if run.progress.n_epochs == 0:
                raise RuntimeError(f"the fit ended in its first epoch: {lost}") from lost
            run.go_back(wholly=True)
            # Without a digest of the rows, which may be gone, there is no going on with them.
            is_cut_short, error = "data" in vars(run), lost
        if run.progress.best_state is not None:
            run.state = run.progress.best_state
        if error is None:
            run.check_outcome()
        _set(estimator, run.attributes(is_cut_short=is_cut_short))
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    if error is not None:
        n_epochs = run.progress.n_epochs
        raise CutShort(f"the fit ended after {n_epochs} epochs, which are kept: {error}") from error


def partial_fit(estimator: Any, X: Any, weights: np.ndarray | None, *, resumed: bool) -> None:
    """Train on the rows once, in order, and publish the result on the estimator."""
    backend = estimator._backend(X)
    with backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        run = _start(estimator, X, weights, backend, resumed=resumed, whole_fit=False)
        stream, good = stream_of(estimator, run.trainer.batch_size), run.state.copy()
        try:
            for rows, weights_of_rows, _ in run.batches():
                for part, rate, ends_epoch in stream.parts(rows, run.state.n_updates):
                    run.update(part, weights_of_rows, rate, ends_epoch)
            run.trainer.check(run.state)
            stream.warn_if_passed(good.n_updates, run.state.n_updates)
        except Diverged as error:
            run.state = good
            _warn_diverged(error, "this call")
        _set(estimator, {**estimator._publish(run.state), "_unfinished": None})


def _run_epochs(run: Run, y: Any, context: Any) -> bool:
    """Train until the fit ends; whether it was cut short, by the user or by a callback."""
    estimator, X, max_iter = run.estimator, run.X, run.estimator.max_iter
    schedule = schedule_from(estimator.learning_rate)
    start = time.perf_counter() - run.progress.seconds
    run.mark()
    while not _has_ended(run):
        epoch = run.progress.n_epochs
        rate = schedule.at(epoch, max_iter)
        task = context.subcontext(task_name="epoch")
        try:
            task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
            run.run_epoch(rate)
            run.record(rate, time.perf_counter() - start)
            run.mark()
            stop = task.call_on_fit_task_end(
                estimator=estimator,
                X=X,
                # Monitors score only where there is a y; the data are their own target here.
                y=X if y is None else y,
                reconstruction_attributes=run.snapshot,
            )
        except Diverged as error:
            run.go_back(wholly=True)
            _warn_diverged(error, f"epoch {epoch}")
            return False
        except KeyboardInterrupt:
            # As in scikit-learn's MLPClassifier: what has been learned is kept.
            run.go_back(wholly=False)
            warn(
                "Training interrupted by user. sklearn_rapid.callbacks.resume goes on with it.",
                UserWarning,
            )
            return True
        if stop:
            return not _has_ended(run)
    return False


def _has_ended(run: Run) -> bool:
    progress, estimator = run.progress, run.estimator
    is_done = progress.n_epochs >= estimator.max_iter
    return is_done or progress.has_stalled(estimator.n_iter_no_change)


def _start(
    estimator: Any,
    X: Any,
    weights: np.ndarray | None,
    backend: Any,
    *,
    resumed: bool,
    goes_on: bool = False,
    whole_fit: bool = True,
) -> Run:
    """A run at its first update, or where it was: from a state that is there or from a new one."""
    encoder = estimator._encoder(backend, X).unscaled
    if whole_fit:
        warn_if_constant(estimator._that_stand_for(X), encoder)
    if resumed or goes_on:
        state = state_of(estimator, estimator._unfinished["state"] if goes_on else {}, backend)
        _check_resumable(estimator, state.machine)
        stream = state.stream
    else:
        stream = RandomStream(new_seed(check_random_state(estimator.random_state)))
    split = split_of(estimator, X, stream.seed) if whole_fit else Split()
    train = slice(None) if split.train is None else split.train
    n_rows = np.count_nonzero(np.ones(X.shape[0]) if weights is None else weights[train])
    if n_rows == 0:
        raise ValueError("early_stopping=True has set aside all rows with a sample_weight above 0")
    positive_phase = estimator._positive_phase(X)
    trainer = trainer_of(estimator, n_rows if whole_fit else None, positive_phase)
    batch_size = rows_of_a_batch(trainer.batch_size, n_rows, whole_fit)
    trainer = replace(trainer, batch_size=batch_size)
    shuffle = whole_fit and estimator.shuffle
    make_run = estimator._run_of(X)
    run = make_run(estimator, X, trainer, encoder, split, weights, shuffle, stream.seed)
    if goes_on:
        run.fit_id, run.data = (estimator._unfinished[name] for name in ("fit_id", "data"))
        run.progress = progress_of(estimator, backend)
    elif resumed:
        history = history_of(estimator)
        run.progress = Progress(history, n_former=len(history.get("epoch", [])))
    if resumed or goes_on:
        run.state = trainer.resume(state)
        return run
    couplings = estimator._initial_couplings(estimator._n_visible, stream.seed, backend)
    rows, weights, _ = next(run.batches())
    run.state = trainer.start(
        couplings,
        encoder.spins(X[rows]),
        stream,
        backend,
        weights,
        visible_units=estimator._visible_units,
        visible_scale=estimator._visible_scale(backend),
    )
    try:
        trainer.check(run.state)
    except Diverged as error:
        raise ValueError(
            f"training cannot start with init_scale={estimator.init_scale!r}: {error} in "
            f"{estimator._dtype}, before the first update. Lower init_scale."
        ) from None
    return run


def _check_resumable(estimator: Any, machine: Machine) -> None:
    """Raise ValueError if the parameters no longer describe the fitted model."""
    fitted = estimator._settled_parameters(machine)
    if not estimator.fit_intercept and machine.has_biases:
        fitted["fit_intercept"] = True
    for name, value in fitted.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"training cannot go on with {name}={getattr(estimator, name)}: the fitted model "
                f"has {name}={value}. Set it back, or fit anew with warm_start=False."
            )


def _set(estimator: Any, attributes: dict[str, Any]) -> None:
    # In one step: another thread may be using the estimator.
    estimator.__dict__.update(attributes)


def _warn_diverged(error: Diverged, when: str) -> None:
    warn(
        f"Training diverged: {error}. The parameters are those from before {when}; lower "
        "the learning_rate, or shrink init_scale or pattern_bound.",
        ConvergenceWarning,
    )
