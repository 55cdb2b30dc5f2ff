"""The epochs of a fit: history, early stopping, callbacks, and what ends training early."""

from __future__ import annotations

import time
from inspect import signature
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.training.fit.batches import (
    CHAINS_FOR_UNKNOWN_ROWS,
    FEWEST_CHAINS,
    Split,
    rows_of_a_batch,
    split_of,
)
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import CutShort
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.settings import schedule_of, trainer_of
from sklearn_rapid.training.fit.starts import FromScratch
from sklearn_rapid.training.fit.stream import stream_of
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


def train(
    plan: Plan, X: Any, y: Any, weights: np.ndarray | None, start: FromScratch, context: Any
) -> None:
    """Train for `max_iter` epochs and set the results on the estimator.

    Parameters
    ----------
    plan : Plan
    X : array of shape (n, n_columns)
    y : ignored
    weights : array of shape (n,) or None
    start : FromScratch
        Or another of `sklearn_rapid.training.fit.starts`.
    context : CallbackContext
    """
    estimator = plan.estimator
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    with plan.backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        run = _run_of_epochs(plan, X, weights, start)
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


def train_on_stream(plan: Plan, X: Any, weights: np.ndarray | None, start: FromScratch) -> None:
    """Train on the rows once, in order, and set the results on the estimator.

    A call is a row of the history.
    """
    began, estimator = time.perf_counter(), plan.estimator
    with plan.backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        run = _run_of_stream(plan, X, weights, start)
        stream, good = stream_of(plan, run.trainer.batch_size), run.state.copy()
        try:
            for rows, weights_of_rows, _ in run.batches():
                for part, rate, ends_epoch in stream.parts(rows, run.state.n_updates):
                    run.update(part, weights_of_rows, rate, ends_epoch)
            run.trainer.check(run.state)
            run.keep_known_states()
            stream.warn_if_passed(good.n_updates, run.state.n_updates)
            run.record(rate, time.perf_counter() - began)
        except Diverged as error:
            run.state = good
            _warn_diverged(error, "this call")
        of_calls = {
            "history_": run.progress.newest(max(MOST_ROWS_OF_CALLS, run.progress.n_former)),
            "n_iter_": getattr(estimator, "n_iter_", 0) + run.progress.n_epochs,
            "_unfinished": None,
        }
        _set(estimator, {**plan.published(run.state), **of_calls})


def _run_epochs(run: Run, y: Any, context: Any) -> bool:
    """Train until the fit ends; whether it was cut short, by the user or by a callback."""
    estimator, X, max_iter = run.plan.estimator, run.X, run.plan.estimator.max_iter
    schedule = schedule_of(run.plan)
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
    chosen = run.plan.estimator.get_params(deep=False)
    defaults = signature(type(run.plan.estimator)).parameters
    names = DECISIVE & defaults.keys()
    return all(
        isinstance(chosen[name], type(defaults[name].default))
        and chosen[name] == defaults[name].default
        for name in names
    )


def _run_shorter(run: Run) -> None:
    """Train anew with shorter steps, without callbacks."""
    max_iter, start = run.plan.estimator.max_iter, time.perf_counter()
    schedule = schedule_of(run.plan)
    while not _has_ended(run):
        rate = SHORTER_STEPS * schedule.at(run.progress.n_epochs, max_iter)
        run.run_epoch(rate)
        run.record(rate, time.perf_counter() - start)
    if run.progress.best_state is not None:
        run.state = run.progress.best_state
    run.mark()
    run.keep_known_states()


def _has_ended(run: Run) -> bool:
    progress, estimator = run.progress, run.plan.estimator
    is_done = progress.n_epochs >= estimator.max_iter
    return is_done or progress.has_stalled(estimator.n_iter_no_change)


def _run_of_epochs(plan: Plan, X: Any, weights: np.ndarray | None, start: FromScratch) -> Run:
    """A run through the rows that early stopping does not set aside, epoch after epoch."""
    encoder, state = _encoder(plan), start.state(plan)
    seed = start.seed(plan, state)
    split = split_of(plan.estimator, X, seed)
    train = slice(None) if split.train is None else split.train
    n_rows = _n_rows(X, weights, train)
    if n_rows == 0:
        raise ValueError("early_stopping=True has set aside all rows with a sample_weight above 0")
    batch_size = rows_of_a_batch(int(plan.estimator.batch_size), n_rows, FEWEST_CHAINS)
    trainer = trainer_of(plan, n_rows, batch_size)
    shuffle = plan.estimator.shuffle
    run = plan.run_class(plan, X, trainer, encoder, split, weights, shuffle, seed)
    start.begin(run, state)
    return run


def _run_of_stream(plan: Plan, X: Any, weights: np.ndarray | None, start: FromScratch) -> Run:
    """A run through the rows once, in their order; how many there will be in all is not known."""
    encoder, state = _encoder(plan), start.state(plan)
    seed = start.seed(plan, state)
    n_rows = _n_rows(X, weights, slice(None))
    batch_size = rows_of_a_batch(int(plan.estimator.batch_size), n_rows, CHAINS_FOR_UNKNOWN_ROWS)
    trainer = trainer_of(plan, None, batch_size)
    run = plan.run_class(plan, X, trainer, encoder, Split(), weights, False, seed)
    start.begin(run, state)
    # Not to be repeated.
    run.first = None
    return run


def _encoder(plan: Plan) -> Encoder:
    """What encodes the rows of X for training."""
    encoder = plan.table.encoder(plan.backend, plan.shown_values).unscaled
    encoder.warn_if_constant(plan.shown_values)
    return encoder


def _n_rows(X: Any, weights: np.ndarray | None, rows: Any) -> int:
    """How many of some rows count."""
    return int(np.count_nonzero(np.ones(X.shape[0])[rows] if weights is None else weights[rows]))


def _set(estimator: Any, attributes: dict[str, Any]) -> None:
    # In one step: another thread may be using the estimator.
    estimator.__dict__.update(attributes)


def _warn_diverged(error: Diverged, when: str) -> None:
    warn(
        f"Training diverged: {error}. The parameters are those from before {when}; lower "
        "the learning_rate, or shrink init_scale or pattern_bound.",
        ConvergenceWarning,
    )
