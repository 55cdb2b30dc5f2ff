"""Train epoch by epoch, or on a stream: history, early stopping, callbacks, early ends."""

from __future__ import annotations

import time
from inspect import signature
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.checks.arguments import draw_seed
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.training.fit.batches import (
    CHAINS_FOR_UNKNOWN_ROWS,
    FEWEST_CHAINS,
    Split,
    limit_batch_size,
    split_rows,
)
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import CutShort
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.settings import schedule_of, trainer_of
from sklearn_rapid.training.fit.starts import FromScratch
from sklearn_rapid.training.fit.stream import divide_stream
from sklearn_rapid.training.trainer import Diverged

# The longest history of a stream of calls, which may have no end: then the oldest row goes.
MOST_ROWS_OF_CALLS = 1000
# A fit that ends below independent columns is repeated with this share of the learning rate.
SHORTER_STEPS = 0.1
# With fewer updates, and chosen settings or fewer epochs, a model may just need more training.
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
        run = _new_run(plan, X, weights, start)
        try:
            is_cut_short, error = _run_epochs(run, y, context), None
        except CutShort as lost:
            if run.progress.n_epochs == 0:
                raise RuntimeError(f"the fit ended in its first epoch: {lost}") from lost
            run.roll_back()
            # Without a digest of the rows, which may be gone, the fit cannot be resumed.
            is_cut_short, error = "data" in vars(run), lost
        run.take_best_state()
        if error is None:
            run.keep_known_states()
            run.warn_if_no_couplings()
        if error is None and not is_cut_short:
            run = _ensure_no_worse_than_independent(run)
        # At once: another thread may be using the estimator.
        vars(estimator).update(run.attributes(is_cut_short=is_cut_short))
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    if error is not None:
        n_epochs = run.progress.n_epochs
        raise CutShort(f"the fit ended after {n_epochs} epochs, which are kept: {error}") from error


def train_independent_columns(
    plan: Plan, X: Any, weights: np.ndarray | None, n_added: float
) -> None:
    """Set the biases of independent columns on the estimator, with its first couplings or less.

    Parameters
    ----------
    plan : Plan
    X : array of shape (n, n_columns)
    weights : array of shape (n,) or None
    n_added : float
        Number of rows in no field that are added to the rows.
    """
    with plan.backend.running():
        run = _new_run(plan, X, weights, FromScratch())
        run.state.n_rows = X.shape[0]
        run.replace_by_independent_columns(n_added)
        run.set_rollback_point()
        vars(plan.estimator).update(run.attributes())


def train_on_stream(plan: Plan, X: Any, weights: np.ndarray | None, start: FromScratch) -> None:
    """Train on the rows once, in order, and set the results on the estimator.

    A call is a row of the history.
    """
    began, estimator = time.perf_counter(), plan.estimator
    with plan.backend.running(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        run = _new_run(plan, X, weights, start, is_stream=True)
        epochs, good = divide_stream(plan, run.trainer.batch_size), run.state.copy()
        try:
            for rows, weights_of_rows, _ in run.batches():
                for part, rate, ends_epoch in epochs.parts(rows, run.state.n_updates):
                    run.update(part, weights_of_rows, rate, ends_epoch)
            run.trainer.check(run.state)
            run.keep_known_states()
            epochs.warn_if_passed(good.n_updates, run.state.n_updates)
            run.record(rate, time.perf_counter() - began)
        except Diverged as error:
            run.state = good
            _warn_diverged(error, "this call")
        n_rows = max(MOST_ROWS_OF_CALLS, run.progress.n_former)
        attributes = {
            **plan.published(run.state),
            "history_": {name: c[-n_rows:] for name, c in run.progress.history.items()},
            "n_iter_": getattr(estimator, "n_iter_", 0) + run.progress.n_epochs,
            "_unfinished": None,
        }
        vars(estimator).update(attributes)


def _run_epochs(run: Run, y: Any, context: Any) -> bool:
    """Train until the fit ends; return whether the user or a callback has cut it short."""
    estimator, X, max_iter = run.plan.estimator, run.X, run.plan.estimator.max_iter
    schedule = schedule_of(run.plan)
    start = time.perf_counter() - run.progress.seconds
    run.set_rollback_point()
    while not run.has_ended:
        epoch = run.progress.n_epochs
        rate = schedule.at(epoch, max_iter)
        task = context.subcontext(task_name="epoch")
        try:
            task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
            run.run_epoch(rate)
            run.record(rate, time.perf_counter() - start)
            run.set_rollback_point()
            stop = task.call_on_fit_task_end(
                estimator=estimator,
                X=X,
                # Monitors score only where there is a y: the data are their own target.
                y=X if y is None else y,
                reconstruction_attributes=run.snapshot,
            )
        except Diverged as error:
            run.roll_back()
            _warn_diverged(error, f"epoch {epoch}")
            return False
        except KeyboardInterrupt:
            # The model stays as it is, as in scikit-learn's MLPClassifier.
            run.roll_back(keep_usable=True)
            warn(
                "Training interrupted by user. sklearn_rapid.callbacks.resume goes on with it.",
                UserWarning,
            )
            return True
        if stop:
            return not run.has_ended
    return False


def _ensure_no_worse_than_independent(run: Run) -> Run:
    """Return the run, or one of shorter steps or independent columns if it has ended below these.

    With chosen settings there is only a warning, if training was long and the model is far below.
    """
    is_chosen, is_long = not _is_by_default(run), run.state.n_updates >= FEWEST_UPDATES
    if not is_long and (is_chosen or run.progress.n_epochs < FEWEST_EPOCHS):
        return run
    before = run.compare_with_independent()
    if not (before.is_far_worse if is_chosen else before.is_worse):
        return run
    what = (
        f"the fit has ended at {before.score:.4g} ± {before.error:.2g} nats a row on rows that it "
        f"was trained on, where independent columns have {before.independent:.4g}."
        f"{run.describe_culprit(before)}"
    )
    if is_chosen or run.first_state is None:
        advice = "Train with negative_phase='auto' or a lower learning_rate."
        warn(f"{what} {advice}", ConvergenceWarning)
        return run
    shorter = run.copy_from_start()
    try:
        _train_with_shorter_steps(shorter)
        after = shorter.compare_with_independent()
    except KeyboardInterrupt:
        # The model stays as it is, as where the fit itself is interrupted.
        warn(f"{what} Its repetition was interrupted by the user.", ConvergenceWarning)
        return run
    except (CutShort, Diverged):
        after = before
    if not after.is_worse:
        then = f"It was repeated with steps {SHORTER_STEPS:g} as long, and has {after.score:.4g}."
        warn(f"{what} {then}", ConvergenceWarning)
        return shorter
    run.replace_by_independent_columns()
    run.keep_known_states()
    warn(
        f"{what} Shorter steps did not help: the model is one of independent columns. Check what "
        "the columns of X are, or train longer with a lower learning_rate.",
        ConvergenceWarning,
    )
    return run


def _is_by_default(run: Run) -> bool:
    """Whether all parameters that decide if training goes well have their defaults."""
    chosen = run.plan.estimator.get_params(deep=False)
    defaults = signature(type(run.plan.estimator)).parameters
    names = DECISIVE & defaults.keys()
    return all(
        isinstance(chosen[name], type(defaults[name].default))
        and chosen[name] == defaults[name].default
        for name in names
    )


def _train_with_shorter_steps(run: Run) -> None:
    """Train until the fit ends, without callbacks."""
    max_iter, start = run.plan.estimator.max_iter, time.perf_counter()
    schedule = schedule_of(run.plan)
    while not run.has_ended:
        rate = SHORTER_STEPS * schedule.at(run.progress.n_epochs, max_iter)
        run.run_epoch(rate)
        run.record(rate, time.perf_counter() - start)
    run.take_best_state()
    run.set_rollback_point()
    run.keep_known_states()


def _new_run(
    plan: Plan, X: Any, weights: np.ndarray | None, start: FromScratch, *, is_stream: bool = False
) -> Run:
    """Set up epochs of the rows that early stopping leaves, or one pass of a stream in its order.

    How many rows a stream will have in all is not known.
    """
    estimator = plan.estimator
    first_rows, _ = plan.first_rows(weights)
    encoder = plan.table.encoder(plan.backend, first_rows).unscaled
    encoder.warn_if_constant(first_rows)
    state = start.state(plan)
    seed = draw_seed(estimator.random_state) if state is None else state.stream.seed
    split = Split() if is_stream else split_rows(estimator, X, seed)
    counts = np.ones(X.shape[0]) if weights is None else weights
    n_rows = int(np.count_nonzero(counts if split.train is None else counts[split.train]))
    if n_rows == 0:
        raise ValueError("early_stopping=True has set aside all rows with a sample_weight above 0")
    fewest_chains = CHAINS_FOR_UNKNOWN_ROWS if is_stream else FEWEST_CHAINS
    batch_size = limit_batch_size(int(estimator.batch_size), n_rows, fewest_chains)
    trainer = trainer_of(plan, None if is_stream else n_rows, batch_size)
    shuffle = estimator.shuffle and not is_stream
    run = plan.run_class(plan, X, trainer, encoder, split, weights, shuffle, seed)
    start.begin(run, state)
    return run


def _warn_diverged(error: Diverged, when: str) -> None:
    warn(
        f"Training diverged: {error}. The parameters are those from before {when}; lower "
        "the learning_rate, or shrink init_scale or pattern_bound.",
        ConvergenceWarning,
    )
