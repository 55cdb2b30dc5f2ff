"""One fit under way: its batches, its history, what it can go back to and what it leaves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.machine.known_states import KEPT_STATES, can_be_known, weighed
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.training.fit.batches import Split, epoch_order, row_numbers
from sklearn_rapid.training.fit.independent import (
    ROWS_COMPARED,
    Comparison,
    compared,
    culprit,
    independent_columns,
)
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import Progress, digest_of, new_fit_id, unfinished
from sklearn_rapid.training.fit.verdict import VALIDATED_ROWS, Verdict, validate
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.trainer import Diverged, Trainer, batches

# Rows that are looked at for states of great weight.
ROWS_LOOKED_AT, ROWS_LOOKED_AT_ONCE = 100_000, 256
# Spins of several batches, in bytes of float32, stay in the processor's cache until they are used.
BYTES_AT_ONCE = 4_000_000


@dataclass
class Run:
    """One fit under way."""

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
    last_whole: tuple[TrainingState, Progress] | None = None
    first: TrainingState | None = None

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
        is_drawn = self.encoder.is_drawn and self.trainer.n_draws is None
        if self.weights is not None or self.state is None or is_drawn:
            return batch_size
        return batch_size * max(1, BYTES_AT_ONCE // (4 * batch_size * self.plan.table.n_units))

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
        if not self.encoder.is_drawn:
            data = self.encoder.states_of_rows(self.X, rows)
            trainer.updates(self.state, data, rate, end_of_epoch, weights)
            return
        X = self.X[rows]
        # Each batch's draw stands before those of its update.
        draws = itertools.count(stream.position, 1 + (trainer.n_draws or 0))
        data = [
            self.encoder.states(X[batch], stream, draw)
            for batch, draw in zip(batches(X.shape[0], trainer.batch_size), draws, strict=False)
        ]
        data = data[0] if len(data) == 1 else self.encoder.backend.xp.concat(data)
        trainer.updates(self.state, data, rate, end_of_epoch, weights, n_data_draws=1)

    def record(self, rate: float, seconds: float) -> None:
        """Append the epoch to the history, and remember the best state of a validated fit."""
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
            # What may be a gain within its error is no reason to stop, nor one to be kept.
            if verdict.score + verdict.error > progress.best_score + self.plan.estimator.tol:
                progress.n_epochs_without_gain = 0
            if verdict.score - verdict.error > progress.best_score:
                progress.best_score = verdict.score - verdict.error
                progress.best_state = self.state.copy()
        progress.record(**values)
        if self.plan.estimator.verbose:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            print(f"[{type(self.plan.estimator).__name__}] {figures}")

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
        return self._states_of(rows[:VALIDATED_ROWS])

    def _states_of(self, rows: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """Rows as states, and their weights."""
        weights = None if self.weights is None else self.weights[rows]
        v = self.encoder.states(self.X[row_numbers(rows, self.X, self.encoder.backend)])
        return self.state.states_of(v), weights

    def keep_known_states(self) -> None:
        """Keep the rows of greatest weight, and such as were kept before."""
        state, machine, backend = self.state, self.state.machine, self.encoder.backend
        if not can_be_known(machine):
            return
        kept = np.empty((0, machine.n_visible), dtype=np.int8)
        if state.known_states is not None:
            kept = backend.to_numpy(state.known_states)
        rows = self._some_rows(self.n_looked_at)
        for part in batches(rows.size, ROWS_LOOKED_AT_ONCE):
            v = self.encoder.states(self.X[row_numbers(rows[part], self.X, backend)])
            kept = weighed(machine, np.concatenate([kept, self._whole_states(v)]))
            kept = kept.heaviest(KEPT_STATES)
        state.known_states = backend.asarray(kept)

    def _some_rows(self, n: int) -> np.ndarray:
        """About so many of the rows that are trained on, by their numbers."""
        rows = np.arange(self.X.shape[0]) if self.split.train is None else self.split.train
        rows = rows if self.weights is None else rows[self.weights[rows] > 0.0]
        return rows[:: -(-rows.size // n)]

    @property
    def n_looked_at(self) -> int:
        """Of how many rows states of great weight are kept."""
        return ROWS_LOOKED_AT

    def _whole_states(self, v: Any) -> np.ndarray:
        """The rows that are states of the visible units, int8; means of spins are their signs."""
        units, v = self.state.machine.visible_units, self.encoder.backend.to_numpy(v)
        v = v[np.all(v == v, axis=1)]
        if units.are_spins:
            return np.where(v >= 0.0, 1, -1).astype(np.int8)
        is_state = [units.are_states(row[None, :]) for row in v]
        return v[np.array(is_state, dtype=bool)].astype(np.int8)

    def compared(self) -> Comparison:
        """The model beside independent columns, on rows that it was trained on."""
        return compared(self.state, *self._states_of(self._some_rows(ROWS_COMPARED)))

    def culprit(self, found: Comparison) -> str:
        """Which row or column the model has wrong, in words."""
        rows, _ = self._states_of(self._some_rows(ROWS_COMPARED))
        return culprit(self.state, rows, found, self.plan.table.name_of_unit)

    def again(self) -> Run:
        """The same fit before its first update."""
        return replace(
            self, state=self.first.copy(), progress=Progress(), last_whole=None, fit_id=new_fit_id()
        )

    def end_in_independent_columns(self) -> None:
        """Take independent columns for the model."""
        trainer, stream = self.trainer, self.state.stream
        self.state = independent_columns(
            self.state,
            self._mean_of_rows(),
            self.first.machine.couplings,
            lambda machine: trainer.negative_phase.start(machine, trainer.batch_size, stream),
        )

    def _mean_of_rows(self) -> Any:
        """The mean of each unit over the rows that are trained on, by their weights.

        The mean of all rows seen in training is another one where rows have weights, which count
        within batches, or missing entries, which the model itself has filled in.
        """
        mean = self.state.visible_offset
        if self.weights is None and not self.trainer.positive_phase.completes:
            return mean
        backend = self.encoder.backend
        total, known = (np.zeros(mean.shape[0]) for _ in range(2))
        rows = self._some_rows(self.n_looked_at)
        for part in batches(rows.size, ROWS_LOOKED_AT_ONCE):
            v, weights = self._states_of(rows[part])
            v = backend.to_numpy(v)
            weights = np.ones(len(v)) if weights is None else weights
            total += weights @ np.where(v == v, v, 0.0)
            known += weights @ (v == v)
        shown = known > 0.0
        found = np.where(shown, total / np.where(shown, known, 1.0), backend.to_numpy(mean))
        return backend.asarray(found)

    def check_outcome(self) -> None:
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
        """Fitted attributes as they are now, and what a fit that is cut short leaves."""
        return {
            **self.plan.published(self.state),
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
        return unfinished(self.plan, state, progress, self.fit_id, self.data)
