"""A mixture of members: likelihoods, samples, completions and conditionals of rows of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax

from sklearn_rapid.tasks.mixture.members import CAREFUL, QUICK, Member


@dataclass(frozen=True)
class Mixture:
    """Members and their weights.

    Parameters
    ----------
    members : list of Member
        The first one takes all rows, and sees each column by itself.
    weights : array of shape (n_members,)
        Above zero; they add up to one.
    """

    members: list[Member]
    weights: np.ndarray

    def log_joint(self, X: Any, how: Mapping[str, int] = QUICK) -> np.ndarray:
        """Compute log (weight · P(row)) of each member, shape (n_members, n)."""
        log_p = np.array([member.log_likelihoods(X, how) for member in self.members])
        return log_p + np.log(self.weights)[:, None]

    def log_likelihoods(self, X: Any) -> np.ndarray:
        """Compute the log-likelihood of each row, over its known entries."""
        return logsumexp(self.log_joint(X, CAREFUL), axis=0)

    def sample(self, n_samples: int, n_columns: int, seed: int) -> np.ndarray:
        """Draw rows, each from a member that is drawn by its weight."""
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(self.members), size=n_samples, p=self.weights)
        out = np.empty((n_samples, n_columns))
        for k, member in enumerate(self.members):
            own = np.flatnonzero(chosen == k)
            if own.size:
                out[own] = member.sample(own.size, seed + k)
        return out

    def draw_given(self, X: np.ndarray, seed: int) -> np.ndarray:
        """Draw the missing entries of each row given its known ones.

        Each row is completed by a member that is drawn with its probability given the known
        entries.
        """
        p, out = softmax(self.log_joint(X), axis=0), X.copy()
        u = np.random.default_rng(seed).random(len(X))
        chosen = np.minimum((np.cumsum(p, axis=0) < u).sum(axis=0), len(p) - 1)
        for k, member in enumerate(self.members):
            own = np.flatnonzero((chosen == k) & np.isnan(X).any(axis=1))
            if own.size:
                out[own] = member.draw_given(X[own], seed + k)
        return out

    def fill_with_means(self, X: np.ndarray, n_steps: int, seed: int) -> np.ndarray:
        """Fill in means of missing entries; of categories the most likely code."""
        rows = np.flatnonzero(np.isnan(X).any(axis=1))
        if rows.size == 0:
            return X
        plain = self.members[0].view.table

        def state_means(k: int, member: Member, rows: np.ndarray) -> np.ndarray:
            return member.state_means(rows, n_steps, seed + k, plain)

        means, backend = self._average(X[rows], state_means), self.members[0].model._backend()
        decoded = plain.encoder(backend).decode(backend.asarray(means))
        out = X.copy()
        out[rows] = np.where(np.isnan(X[rows]), backend.to_numpy(decoded), X[rows])
        return out

    def conditional(self, X: np.ndarray, column: int) -> np.ndarray:
        """Compute the distribution of a column given the others, whose own entries are NaN."""
        is_real = self.members[0].view.table.part_of(column)[0].encoder.has_density

        def distribution(k: int, member: Member, rows: np.ndarray) -> np.ndarray:
            return member.conditional(rows, column)

        found = self._average(X, distribution)
        if not is_real:
            return found
        mean, square = found.T
        return np.column_stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))])

    def sides(self, X: np.ndarray, column: int) -> np.ndarray:
        """Compute the probabilities that a real column is below and above its values in X.

        They are given the other columns; each has half the probability of the value itself.
        """

        def sides(k: int, member: Member, rows: np.ndarray) -> np.ndarray:
            return member.sides(rows, column)

        return self._average(X, sides, unread=column)

    def _average(self, X: np.ndarray, function: Callable, unread: int | None = None) -> np.ndarray:
        """Average a function of members and rows by probabilities of members given the rows.

        These do not depend on the column `unread`.
        """
        given = X if unread is None else X.copy()
        if unread is not None:
            given[:, unread] = np.nan
        p, total = softmax(self.log_joint(given), axis=0), None
        for k, member in enumerate(self.members):
            takes = np.flatnonzero(p[k] > 0.0)
            if takes.size:
                own = p[k, takes, None] * function(k, member, X[takes])
                total = np.zeros((len(X), own.shape[1])) if total is None else total
                total[takes] += own
        return total
