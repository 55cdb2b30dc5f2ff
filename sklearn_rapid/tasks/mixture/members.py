"""A fitted machine in a mixture: likelihoods, samples and completions of rows of a table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
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
from sklearn_rapid.tasks.mixture.candidates import Candidate
from sklearn_rapid.tasks.mixture.views import Expanded, View

# The error of log Z that is asked for, in nats.
TOL = 0.05
# Annealing of rows with many missing entries: for likelihoods that are results, and for those that
# only weigh members or rows, with an error of some tenths of a nat in a table of 15 columns.
CAREFUL = {"n_chains": 16, "n_temperatures": 100}
QUICK = {"n_chains": 4, "n_temperatures": 20}


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
            log_z = model.log_partition(tol=TOL)
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
        model.set_params(visible=view.table.visible, random_state=None, n_threads=None)
        keep_log_partition(model, log_z)
        model._keeps_digits = True  # of rows that it draws
        return cls(model, view, log_z)

    def log_likelihoods(self, X: Any, how: Mapping[str, int] = CAREFUL) -> np.ndarray:
        """Compute the log-likelihoods of rows, float64; minus infinity of rows it cannot take.

        Parameters
        ----------
        X : array of shape (n, n_columns)
        how : mapping
            Annealing of rows with many missing entries (see `RBM.score_samples`).
        """
        takes, found = self.view.takes(X), np.full(X.shape[0], -np.inf)
        if takes.any():
            expanded = self.view.expand(X if takes.all() else X[takes])
            log_p = self._log_joint(expanded, how)
            np.logaddexp.at(found, np.flatnonzero(takes)[expanded.owner], log_p)
        return found

    def sample(self, n_samples: int, seed: int) -> np.ndarray:
        """Draw rows of the table."""
        return self.view.decode(self.model.sample(n_samples, random_state=seed))

    def draw_given(self, X: np.ndarray, seed: int) -> np.ndarray:
        """Draw the missing entries of each row."""
        expanded = self.view.expand(X)
        # The largest of them with Gumbel noise is one drawn by its probability.
        noise = np.random.default_rng(seed).gumbel(size=len(expanded.owner))
        order = np.lexsort([-(self._log_joint(expanded) + noise), expanded.owner])
        _, first = np.unique(expanded.owner[order], return_index=True)
        rows = expanded.rows[order[first]]
        drawn = self.view.decode(self.model.sample(conditions=rows, random_state=seed))
        return np.where(np.isnan(X), drawn, X)

    def state_means(self, X: np.ndarray, n_steps: int, seed: int, plain: Table) -> np.ndarray:
        """Compute means of the states of all units of a table given the known entries of rows."""
        expanded = self.view.expand(X)
        means = compute_state_means(self.model, expanded.rows, n_steps, seed_stream(seed))
        return self._average(expanded, self.view.means_of_states(means, plain))

    def conditional(self, X: np.ndarray, column: int) -> np.ndarray:
        """Compute the distribution of a column given the others (see `RBM.conditional`).

        Of a real column it is the mean and the mean square.
        """
        place = self.view.place(column)
        expanded = self.view.expand(X, but=place)
        found = self.model.conditional(expanded.rows, place)
        if self.view.table.part_of(place)[0].encoder.has_density:
            mean, deviation = found.T
            found = np.column_stack([mean, deviation**2 + mean**2])
        return self.view.distribution(self._average(expanded, found), column, X)

    def sides(self, X: np.ndarray, column: int) -> np.ndarray:
        """Compute the probabilities that a real column is below and above its values in X."""
        place, expanded = self.view.place(column), self.view.expand(X)
        found = self.model._distributions(expanded.rows, place, are_sides=True)
        rest = expanded.rows.copy()
        rest[:, place] = np.nan
        return self._average(expanded._replace(rows=rest), found)

    def _log_joint(self, expanded: Expanded, how: Mapping[str, int] = QUICK) -> np.ndarray:
        """Compute the log-likelihood of each row of the view, with its volume in the table."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return self.model.score_samples(expanded.rows, **how) + expanded.log_volumes

    def _average(self, expanded: Expanded, values: np.ndarray) -> np.ndarray:
        """Average values of rows of the view over those that belong to a row of the table."""
        n = expanded.owner[-1] + 1
        if len(expanded.owner) == n:
            return values
        log_p, total = self._log_joint(expanded), np.full(n, -np.inf)
        np.logaddexp.at(total, expanded.owner, log_p)
        out = np.zeros((n, values.shape[1]))
        np.add.at(out, expanded.owner, np.exp(log_p - total[expanded.owner])[:, None] * values)
        return out
