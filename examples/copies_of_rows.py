"""Rows that recur, as a density: copies of training rows with a few entries flipped."""

import numpy as np
from scipy.special import logsumexp, xlog1py, xlogy

from sklearn_rapid.machine.partition import LogPartition

AT_ONCE = 4_000_000  # pairs of a row and a training row that are compared


class Copies:
    """Copies of the training rows, in which each entry is flipped with one probability.

    P(x) = 1/N Σₙ f^d(1 - f)^(V - d), with d the number of entries in which x and row n differ: the
    kernel method of Aitchison and Aitken (1976, Biometrika 63, 413-420). A Boltzmann machine holds
    a single row with a hidden unit for it alone, whose couplings are large (Le Roux and Bengio
    2008, Neural Computation 20, 1631-1649); training does not find thousands of those.
    """

    log_z = LogPartition(0.0, 0.0, "exact")  # these probabilities add up to one

    def __init__(self, flipped, train, valid):
        self.flipped = flipped
        self.rows, self.n_times = np.unique(train, axis=0, return_counts=True)
        self.valid = self.log_likelihoods(valid)

    def log_likelihoods(self, X):
        """Nats of each row."""
        n_columns = X.shape[1]
        d = np.arange(n_columns + 1)
        log_p = xlogy(d, self.flipped) + xlog1py(n_columns - d, -self.flipped)
        parts = np.array_split(X, len(X) * len(self.rows) // AT_ONCE + 1)
        n_rows = np.concatenate([self._n_rows_by_distance(part) for part in parts])
        return logsumexp(log_p, b=n_rows, axis=1) - np.log(self.n_times.sum())

    def _n_rows_by_distance(self, X):
        """How many training rows differ from each of these in no entry, in one, in two ..."""
        X, rows = X.astype(np.float32), self.rows.astype(np.float32)
        d = (X.sum(axis=1)[:, None] + rows.sum(axis=1) - 2 * X @ rows.T).astype(int)
        shape = len(X), X.shape[1] + 1
        cells = np.arange(len(X))[:, None] * shape[1] + d
        n_times = np.broadcast_to(self.n_times, d.shape)
        return np.bincount(cells.ravel(), n_times.ravel(), np.prod(shape)).reshape(shape)

    def __str__(self):
        return f"valid {self.valid.mean():8.2f}         copies, {self.flipped:.1%} flipped"
