"""A fitted machine in a mixture: likelihoods, samples and completions of rows of a table."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

from sklearn_rapid.checks.arguments import seed_stream
from sklearn_rapid.estimators import RBM
from sklearn_rapid.estimators.base import fit_independent_columns
from sklearn_rapid.estimators.methods.completion import compute_state_means
from sklearn_rapid.estimators.methods.likelihood import keep_log_partition
from sklearn_rapid.machine.partition import LogPartition
from sklearn_rapid.tables.table import Table
from sklearn_rapid.tasks.candidates import Candidate
from sklearn_rapid.tasks.views import View

# The error of log Z that is asked for, in nats, and sweeps of tempering per update of the fit.
TOL, FEWEST_SWEEPS, SWEEPS_OF_UPDATE = 0.05, 1000, 0.5


@dataclass(frozen=True)
class Member:
    """A fitted machine and its log Z.

    Parameters
    ----------
    model : RBM or RARBM
        Fitted to rows of the view.
    view : View
    log_z : LogPartition
    """

    model: Any
    view: View
    log_z: LogPartition = field(repr=False)

    @classmethod
    def fit(
        cls,
        candidate: Candidate,
        view: View,
        X: Any,
        sample_weight: np.ndarray | None,
        n_updates: int,
        seed: int,
        n_threads: int | None,
    ) -> Member:
        """Fit a candidate to rows of the table for about this many updates."""
        n_batches = -(-X.shape[0] // candidate.model.batch_size)
        model = clone(candidate.model).set_params(
            visible=view.table,
            max_iter=-(-n_updates // n_batches),
            n_threads=n_threads,
            random_state=seed,
        )
        with warnings.catch_warnings():
            # What they say is in the likelihood of rows set aside.
            warnings.simplefilter("ignore")
            model.fit(view.encode(X), sample_weight=sample_weight)
            max_sweeps = max(FEWEST_SWEEPS, int(SWEEPS_OF_UPDATE * n_updates))
            log_z = model.log_partition(tol=TOL, max_sweeps=max_sweeps)
        return cls._of_fitted(model, view, log_z)

    @classmethod
    def fit_independent(
        cls, view: View, X: Any, sample_weight: np.ndarray | None, seed: int
    ) -> Member:
        """Fit independent columns."""
        model = RBM(1, init_scale=0.0, visible=view.table, max_iter=1, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_independent_columns(model, view.encode(X), sample_weight)
        return cls._of_fitted(model, view, model.log_partition("exact"))

    @classmethod
    def _of_fitted(cls, model: Any, view: View, log_z: LogPartition) -> Member:
        model.set_params(visible=view.table.kinds, random_state=None, n_threads=None)
        keep_log_partition(model, log_z)
        return cls(model, view, log_z)

    def log_likelihoods(self, X: Any) -> np.ndarray:
        """Compute the log-likelihoods of rows, float64; minus infinity of rows it cannot take."""
        takes = self.view.takes(X)
        found = np.full(X.shape[0], -np.inf)
        if takes.any():
            rows = X if takes.all() else X[takes]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                log_p = self.model.score_samples(self.view.encode(rows))
            found[takes] = log_p - self.view.log_volumes(rows)
        return found

    def sample(self, n_samples: int, seed: int) -> np.ndarray:
        """Draw rows of the table."""
        return self.view.decode(self.model.sample(n_samples, random_state=seed))

    def draw_given(self, X: np.ndarray, seed: int) -> np.ndarray:
        """Draw the missing entries of each row."""
        rows = self.model.sample(conditions=self.view.encode(X), random_state=seed)
        drawn = self.view.decode(rows)
        return np.where(np.isnan(X), drawn, X)

    def state_means(self, X: np.ndarray, n_steps: int, seed: int, plain: Table) -> np.ndarray:
        """Compute means of the states of all units of a table given the known entries of rows."""
        rows, stream = self.view.encode(X), seed_stream(seed)
        means = compute_state_means(self.model, rows, n_steps, stream)
        return self.view.means_of_states(means, plain)

    def conditional(self, X: np.ndarray, column: int) -> np.ndarray:
        """Compute the distribution of a column given the others (see `RBM.conditional`)."""
        found = self.model.conditional(self.view.encode(X), self.view.place(column))
        return self.view.distribution(found, column, X)
