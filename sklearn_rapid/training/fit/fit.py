"""The epochs of a fit: history, early stopping, callbacks, and what ends training early."""

from __future__ import annotations

import time
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.arguments import new_seed
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.spins import warn_if_constant
from sklearn_rapid.training.fit.batches import Split, rows_of_a_batch, split_of
from sklearn_rapid.training.fit.progress import (
    CutShort,
    Progress,
    check_can_go_on,
    history_of,
    progress_of,
    state_of,
)
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.settings import schedule_from, trainer_of
from sklearn_rapid.training.fit.stream import stream_of
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.trainer import Diverged

# A stream of calls may have no end, and is not to cost the more the longer it has been: where there
# are so many rows of a history, a call's row takes the place of the oldest one.
MOST_ROWS_OF_CALLS = 1000


# What a fit is repeated with that ends below independent columns: this share of the learning rate.
SHORTER_STEPS = 0.1
# A model of fewer updates, if its settings were chosen, or of fewer epochs in any case, may just
# not have been trained enough.
FEWEST_UPDATES, FEWEST_EPOCHS = 1000, 10
# Parameters that decide whether training goes well.
DECISIVE = {"init_scale", "learning_rate", "negative_phase", "optimizer", "pattern_bound"}
DECISIVE |= {"positive_phase", "projection", "projection_period"}


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
            run.keep_known_states()
            run.check_outcome()
        if error is None and not is_cut_short:
            run = _no_worse_than_independent(run)
        _set(estimator, run.attributes(is_cut_short=is_cut_short))
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    if error is not None:
        n_epochs = run.progress.n_epochs
        raise CutShort(f"the fit ended after {n_epochs} epochs, which are kept: {error}") from error


def partial_fit(estimator: Any, X: Any, weights: np.ndarray | None, *, resumed: bool) -> None:
    """Train on the rows once, in order, and publish the result on the estimator.

    A call is a row of the history.
    """
    start, backend = time.perf_counter(), estimator._backend(X)
    with backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        run = _start(estimator, X, weights, backend, resumed=resumed, whole_fit=False)
        stream, good = stream_of(estimator, run.trainer.batch_size), run.state.copy()
        try:
            for rows, weights_of_rows, _ in run.batches():
                for part, rate, ends_epoch in stream.parts(rows, run.state.n_updates):
                    run.update(part, weights_of_rows, rate, ends_epoch)
            run.trainer.check(run.state)
            run.keep_known_states()
            stream.warn_if_passed(good.n_updates, run.state.n_updates)
            run.record(rate, time.perf_counter() - start)
        except Diverged as error:
            run.state = good
            _warn_diverged(error, "this call")
        of_calls = {
            "history_": run.progress.newest(max(MOST_ROWS_OF_CALLS, run.progress.n_former)),
            "n_iter_": getattr(estimator, "n_iter_", 0) + run.progress.n_epochs,
            "_unfinished": None,
        }
        _set(estimator, {**estimator._publish(run.state), **of_calls})


def _run_epochs(run: Run, y: Any, context: Any) -> bool:
    """Train until the fit ends; whether it was cut short, by the user or by a callback."""
    estimator, X, max_iter = run.estimator, run.X, run.estimator.max_iter
    schedule = schedule_from(estimator.learning_rate, estimator._first_rate)
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


def _no_worse_than_independent(run: Run) -> Run:
    """The run, or one of shorter steps or independent columns where it has ended below these.

    Who has chosen what decides of it is told only, and if training was long enough and the model is
    far below.
    """
    is_chosen, is_long = not _is_by_default(run), run.state.n_updates >= FEWEST_UPDATES
    if not is_long and (is_chosen or run.progress.n_epochs < FEWEST_EPOCHS):
        return run
    before = run.compared()
    if not (before.is_far_worse if is_chosen else before.is_worse):
        return run
    what = (
        f"the fit has ended at {before.score:.4g} ± {before.error:.2g} nats a row on rows that it "
        f"was trained on, where independent columns have {before.independent:.4g}."
        f"{run.culprit(before)}"
    )
    if is_chosen or run.first is None:
        advice = "Train with negative_phase='auto' or a lower learning_rate."
        warn(f"{what} {advice}", ConvergenceWarning)
        return run
    shorter = run.again()
    try:
        _run_shorter(shorter)
        after = shorter.compared()
    except KeyboardInterrupt:
        # What has been learned is kept, as it is where the fit itself is interrupted.
        warn(f"{what} Its repetition was interrupted by the user.", ConvergenceWarning)
        return run
    except (CutShort, Diverged):
        after = before
    if not after.is_worse:
        then = f"It was repeated with steps {SHORTER_STEPS:g} as long, and has {after.score:.4g}."
        warn(f"{what} {then}", ConvergenceWarning)
        return shorter
    run.end_in_independent_columns()
    run.keep_known_states()
    warn(
        f"{what} Shorter steps did not help: the model is one of independent columns. Check what "
        "the columns of X are, or train longer with a lower learning_rate.",
        ConvergenceWarning,
    )
    return run


def _is_by_default(run: Run) -> bool:
    """Whether all that decides if a fit goes well is as it is by default."""
    chosen = run.estimator.get_params(deep=False)
    defaults = signature(type(run.estimator)).parameters
    names = DECISIVE & defaults.keys()
    return all(
        isinstance(chosen[name], type(defaults[name].default))
        and chosen[name] == defaults[name].default
        for name in names
    )


def _run_shorter(run: Run) -> None:
    """Train anew with shorter steps, without callbacks."""
    estimator, start = run.estimator, time.perf_counter()
    schedule = schedule_from(estimator.learning_rate, estimator._first_rate)
    while not _has_ended(run):
        rate = SHORTER_STEPS * schedule.at(run.progress.n_epochs, estimator.max_iter)
        run.run_epoch(rate)
        run.record(rate, time.perf_counter() - start)
    if run.progress.best_state is not None:
        run.state = run.progress.best_state
    run.mark()
    run.keep_known_states()


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
    # Of real columns, the scales that training began with are no longer at hand.
    if goes_on and run.progress.n_former == 0 and not estimator._has_densities:
        run.first = _first_state(run, backend)
    if resumed or goes_on:
        run.state = trainer.resume(state)
        return run
    run.state = _first_state(run, backend)
    if whole_fit:
        run.first = run.state.copy()
    return run


def _first_state(run: Run, backend: Any) -> TrainingState:
    """The state before the first update."""
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


def _set(estimator: Any, attributes: dict[str, Any]) -> None:
    # In one step: another thread may be using the estimator.
    estimator.__dict__.update(attributes)


def _warn_diverged(error: Diverged, when: str) -> None:
    warn(
        f"Training diverged: {error}. The parameters are those from before {when}; lower "
        "the learning_rate, or shrink init_scale or pattern_bound.",
        ConvergenceWarning,
    )
