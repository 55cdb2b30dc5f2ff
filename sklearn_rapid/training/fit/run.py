"""One fit in progress: batches, history, rollback point, results."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.machine.known_states import KEPT_STATES, has_discrete_states, weigh_states
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.kinds import leaves_open
from sklearn_rapid.training.fit.batches import Split, cut_batches, index_on_side_of, order_epoch
from sklearn_rapid.training.fit.independent import (
    ROWS_COMPARED,
    Comparison,
    compare_with_independent,
    describe_culprit,
    independent_columns,
)
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import Progress, describe_unfinished, digest, new_fit_id
from sklearn_rapid.training.fit.verdict import VALIDATED_ROWS, Verdict, validate
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.trainer import Diverged, Trainer

# Rows that are read together, after training.
ROWS_AT_ONCE = 256
# The model is the mean of those after one in so many epochs, the last ones.
EPOCHS_OF_AN_AVERAGED = 5
# Spins of several batches, in bytes of float32, stay in the processor's cache until they are used.
BYTES_AT_ONCE = 4_000_000


@dataclass
class Run:
    """One fit in progress.

    Attributes
    ----------
    rollback_point : tuple of TrainingState and Progress, or None
        Copies from the end of the last whole epoch.
    first_state : TrainingState or None
        A copy from before the first update of the model, if it is known.
    """

    # The most rows that are searched for states of great weight.
    n_rows_searched: ClassVar[int] = 100_000

    plan: Plan
    X: Any
    trainer: Trainer
    encoder: Encoder
    split: Split
    weights: np.ndarray | None
    shuffle: bool
    seed: int
    state: TrainingState | None = None
    progress: Progress = field(default_factory=Progress)
    fit_id: str = field(default_factory=new_fit_id)
    rollback_point: tuple[TrainingState, Progress] | None = None
    first_state: TrainingState | None = None

    @cached_property
    def data(self) -> dict[str, Any]:
        """A digest of the rows, to check that a resumed fit has the same ones."""
        return digest(self.X, self.weights)

    @property
    def has_ended(self) -> bool:
        """Whether all epochs are done, or early stopping ends the fit."""
        progress, estimator = self.progress, self.plan.estimator
        is_stalled = progress.n_epochs_without_gain >= estimator.n_iter_no_change
        return is_stalled or progress.n_epochs >= estimator.max_iter

    def print_kinds(self) -> None:
        """Print what the columns of a frame were taken for, or those that `visible` leaves open."""
        estimator, table = self.plan.estimator, self.plan.table
        if estimator.verbose and (table.schema is not None or leaves_open(estimator.visible)):
            for line in table.describe():
                print(f"[{type(estimator).__name__}] {line}")

    def set_rollback_point(self) -> None:
        """Copy state and progress at the end of an epoch."""
        self.rollback_point = self.state.copy(), replace(self.progress)

    def roll_back(self, *, keep_usable: bool = False) -> None:
        """Go back to the end of the last whole epoch, perhaps with the state as it is if usable."""
        state, self.progress = self.rollback_point
        if not (keep_usable and self._is_usable):
            self.state = state

    @property
    def is_averaged(self) -> bool:
        """Whether the model is the mean of those after the last epochs.

        Modes of columns that are codes swing while chains follow the model: their shares in a mean
        are nearer to those of the data (docs/design_notes/averages.md). Elements that are signs or
        draws have no mean.
        """
        units, projection = self.state.machine.visible_units, self.plan.projection
        return not units.are_spins and projection.kind in (None, "clip")

    def _average(self, epoch: int) -> TrainingState | None:
        """Average the model after this epoch with those after earlier ones of the last fifth."""
        first = self.plan.estimator.max_iter - self.plan.estimator.max_iter // EPOCHS_OF_AN_AVERAGED
        if epoch < first:
            return None
        state, before = self.state.copy(), self.progress.best_state
        if before is None:
            return state
        share = 1.0 / (epoch - first + 1)
        old, new = before.machine.parameters, state.machine.parameters
        mean = {name: old[name] + share * (new[name] - old[name]) for name in new}
        state = replace(state, machine=state.machine.with_parameters(mean))
        if state.visible_scale is not None:
            state.visible_scale = before.visible_scale + share * (
                state.visible_scale - before.visible_scale
            )
        return state

    def take_best_state(self) -> None:
        """Go back to the best state of a validated fit, or to the mean of the last ones."""
        if self.progress.best_state is not None:
            self.state = self.progress.best_state

    def copy_from_start(self) -> Run:
        """Return the same fit before its first update."""
        return replace(
            self,
            state=self.first_state.copy(),
            progress=Progress(),
            rollback_point=None,
            fit_id=new_fit_id(),
        )

    # --- updates ------------------------------------------------------------------------

    def batches(self) -> Iterator[tuple[Any, np.ndarray | None, bool]]:
        """Yield row numbers of the next epoch's batches, weights, and whether they are the last.

        There are several batches at a time: the trainer makes their updates at once if it can.
        """
        n_updates = 0 if self.state is None else self.state.n_updates
        rng = np.random.default_rng((self.seed, n_updates))
        batch_size = self.trainer.batch_size
        order = order_epoch(self.X, self.split, self.weights, self.shuffle, batch_size, rng)
        n_rows = self.X.shape[0] if order is None else order.size
        index = None if order is None else index_on_side_of(self.X, order, self.encoder.backend)
        for rows in cut_batches(n_rows, self._n_rows_at_once):
            weights = None if self.weights is None else self._normalized_weights(order[rows])
            yield rows if index is None else index[rows], weights, rows.stop == n_rows

    def _normalized_weights(self, rows: np.ndarray) -> np.ndarray:
        """Scale the weights of the rows of a batch to a sum of one."""
        weights = self.weights[rows]
        return weights / weights.sum()

    @property
    def _n_rows_at_once(self) -> int:
        """The number of rows in the batches that are encoded together."""
        batch_size = self.trainer.batch_size
        # Draws of a batch and of its update take turns: their numbers have to be known in advance.
        is_drawn = self.encoder.is_drawn and self.trainer.n_draws is None
        if self.weights is not None or self.state is None or is_drawn:
            return batch_size
        return batch_size * max(1, BYTES_AT_ONCE // (4 * batch_size * self.plan.table.n_units))

    def run_epoch(self, rate: float) -> None:
        """Make an update from every batch of an epoch."""
        for rows, weights, is_last in self.batches():
            self.update(rows, weights, rate, is_last)
        self.trainer.check(self.state)

    def update(
        self, rows: Any, weights: np.ndarray | None, rate: float, end_of_epoch: bool = False
    ) -> None:
        """Update the state from some rows, a batch or several of them."""
        trainer, stream = self.trainer, self.state.stream
        if not self.encoder.is_drawn:
            data = self.encoder.states_of_rows(self.X, rows)
            trainer.updates(self.state, data, rate, end_of_epoch, weights)
            return
        X = self.X[rows]
        # A batch's draw is numbered before those of its update.
        draws = itertools.count(stream.position, 1 + (trainer.n_draws or 0))
        data = [
            self.encoder.states(X[batch], stream, draw)
            for batch, draw in zip(cut_batches(X.shape[0], trainer.batch_size), draws, strict=False)
        ]
        data = data[0] if len(data) == 1 else self.encoder.backend.xp.concat(data)
        trainer.updates(self.state, data, rate, end_of_epoch, weights, n_data_draws=1)

    def record(self, rate: float, seconds: float) -> None:
        """Append the epoch to the history, and keep the best state of a validated fit."""
        progress = self.progress
        values = {
            "epoch": progress.n_recorded,
            "seconds": seconds,
            "learning_rate": rate,
            "n_updates": self.state.n_updates,
        }
        values.update(self.state.chains.figures())
        if self.split.validation is not None:
            verdict = self.validate()
            values.update(verdict.figures)
            progress.n_epochs_without_gain += 1
            # A gain within its error neither stops the fit nor makes the state the best one.
            if verdict.score + verdict.error > progress.best_score + self.plan.estimator.tol:
                progress.n_epochs_without_gain = 0
            if verdict.score - verdict.error > progress.best_score:
                progress.best_score = verdict.score - verdict.error
                progress.best_state = self.state.copy()
        elif self.is_averaged:
            progress.best_state = self._average(progress.n_epochs)
        progress.record(**values)
        if self.plan.estimator.verbose:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            print(f"[{type(self.plan.estimator).__name__}] {figures}")

    # --- after the updates --------------------------------------------------------------

    def validate(self) -> Verdict:
        """Estimate the likelihood of rows set aside under the model as it is."""
        parts = (self.split.validation, self.split.train)
        found = [self._states_of(rows[:VALIDATED_ROWS]) for rows in parts]
        return validate(self.state, *zip(*found, strict=True))

    def keep_known_states(self) -> None:
        """Keep the rows of greatest weight, those kept before among them."""
        state, machine, backend = self.state, self.state.machine, self.encoder.backend
        if not has_discrete_states(machine):
            return
        kept = np.empty((0, machine.n_visible), dtype=np.int8)
        if state.known_states is not None:
            kept = backend.to_numpy(state.known_states)
        for v, _ in self._searched_rows():
            kept = weigh_states(machine, np.concatenate([kept, self._complete_states(v)]))
            kept = kept.heaviest(KEPT_STATES)
        state.known_states = backend.asarray(kept)

    def compare_with_independent(self) -> Comparison:
        """Compare the model with independent columns, on rows that it was trained on."""
        return compare_with_independent(self.state, *self._compared_rows())

    def describe_culprit(self, found: Comparison) -> str:
        """Name the row or column that the model has most wrong."""
        rows, _ = self._compared_rows()
        return describe_culprit(self.state, rows, found, self.plan.table.name_of_unit)

    def replace_by_independent_columns(self, n_added: float | None = None) -> None:
        """Replace the model by one of independent columns (see `independent_columns`)."""
        first = self.first_state.machine.couplings
        mean = self._mean_of_rows(is_trained=n_added is None)
        state = self.state = independent_columns(self.state, mean, first, n_added)
        phase, batch_size = self.trainer.negative_phase, self.trainer.batch_size
        state.chains = phase.start(state.machine, batch_size, state.stream)

    def warn_if_no_couplings(self) -> None:
        """Warn if penalties have left no couplings."""
        parameters, xp = self.state.machine.couplings.parameters, self.encoder.backend.xp
        is_left = any(bool(xp.any(p != 0.0)) for p in parameters.values())
        if self.plan.estimator.l1_penalty and not is_left:
            warn(
                f"no couplings are left: l1_penalty={self.plan.estimator.l1_penalty} on "
                f"{self.trainer.penalty.n_rows} rows has set all of them to zero. Lower it.",
                ConvergenceWarning,
            )

    def attributes(self, *, is_cut_short: bool = False) -> dict[str, Any]:
        """Return fitted attributes as they are now, and how to resume a fit that is cut short."""
        return {
            **self.plan.published(self.state),
            "history_": self.progress.columns(),
            "n_iter_": self.progress.n_epochs,
            "_unfinished": self._unfinished() if is_cut_short else None,
        }

    def snapshot(self) -> dict[str, Any]:
        """Return fitted attributes after the last whole epoch, and how to resume from there."""
        left = self._unfinished()
        history, n_epochs = self.progress.columns(), self.progress.n_epochs
        return {**left["state"], "history_": history, "n_iter_": n_epochs, "_unfinished": left}

    # --- inside -------------------------------------------------------------------------

    def _unfinished(self) -> dict[str, Any]:
        return describe_unfinished(self.plan, *self.rollback_point, self.fit_id, self.data)

    @property
    def _is_usable(self) -> bool:
        """Whether the state is neither in the middle of a step nor diverged."""
        try:
            self.trainer.check(self.state)
        except Diverged:
            return False
        return self.state.is_whole

    def _states_of(self, rows: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """Read rows as states, and their weights."""
        weights = None if self.weights is None else self.weights[rows]
        v = self.encoder.states(self.X[index_on_side_of(self.X, rows, self.encoder.backend)])
        return self.state.states_of(v), weights

    def _spaced_rows(self, n: int) -> np.ndarray:
        """Return the numbers of at most n rows that are trained on, evenly spaced."""
        rows = np.arange(self.X.shape[0]) if self.split.train is None else self.split.train
        rows = rows if self.weights is None else rows[self.weights[rows] > 0.0]
        return rows[:: -(-rows.size // n)]

    def _compared_rows(self) -> tuple[Any, np.ndarray | None]:
        return self._states_of(self._spaced_rows(ROWS_COMPARED))

    def _searched_rows(self) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Read up to `n_rows_searched` rows, a few at a time: states and weights."""
        rows = self._spaced_rows(self.n_rows_searched)
        for part in cut_batches(rows.size, ROWS_AT_ONCE):
            yield self._states_of(rows[part])

    def _complete_states(self, v: Any) -> np.ndarray:
        """Select rows that are states of the visible units, int8; take signs of spins' means."""
        units, v = self.state.machine.visible_units, self.encoder.backend.to_numpy(v)
        v = v[np.all(v == v, axis=1)]
        if units.are_spins:
            return np.where(v >= 0.0, 1, -1).astype(np.int8)
        is_state = [units.are_states(row[None, :]) for row in v]
        return v[np.array(is_state, dtype=bool)].astype(np.int8)

    def _mean_of_rows(self, *, is_trained: bool = True) -> Any:
        """Average each unit over the rows that are trained on, by their weights.

        The visible offset is another mean before training; where rows have weights, which count
        within batches; and where they have missing entries, which the model itself has filled in.
        """
        mean = self.state.visible_offset
        if is_trained and self.weights is None and not self.trainer.positive_phase.completes:
            return mean
        backend = self.encoder.backend
        total, known = (np.zeros(mean.shape[0]) for _ in range(2))
        for v, weights in self._searched_rows():
            v = backend.to_numpy(v)
            weights = np.ones(len(v)) if weights is None else weights
            total += weights @ np.where(v == v, v, 0.0)
            known += weights @ (v == v)
        shown = known > 0.0
        found = np.where(shown, total / np.where(shown, known, 1.0), backend.to_numpy(mean))
        return backend.asarray(found)
