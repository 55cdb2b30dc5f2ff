"""Rows that recur, as a density: copies of training rows with a few entries flipped."""

import numpy as np
from scipy.special import logsumexp, xlog1py, xlogy

from sklearn_rapid.partition import LogPartition

AT_ONCE = 500  # rows, each of which is compared with all training rows


class Copies:
    """Copies of the training rows, in which each entry is flipped with one probability.

    P(x) = 1/N Σₙ f^d(1 - f)^(V - d), with d the number of entries in which x and row n differ: the
    kernel method of Aitchison and Aitken (1976, Biometrika 63, 413-420). A Boltzmann machine holds
    a single row with a hidden unit for it alone, whose couplings are large (Le Roux and Bengio
    2008, Neural Computation 20, 1631-1649); training does not find thousands of those.
    """

    log_z = LogPartition(0.0, 0.0, "exact")  # these probabilities add up to one

    def __init__(self, flipped, train, valid):
        self.flipped, self.train = flipped, train.astype(np.float32)
        self.valid = self.log_likelihoods(valid)

    def log_likelihoods(self, X):
        """Nats of each row."""
        parts = [X[i : i + AT_ONCE].astype(np.float32) for i in range(0, len(X), AT_ONCE)]
        return np.concatenate([self._log_likelihoods(part) for part in parts])

    def _log_likelihoods(self, X):
        n_rows, n_columns = self.train.shape
        n_other = X @ (1 - self.train).T + (1 - X) @ self.train.T
        log_p = xlogy(n_other, self.flipped) + xlog1py(n_columns - n_other, -self.flipped)
        return logsumexp(log_p, axis=1) - np.log(n_rows)

    def __str__(self):
        return f"valid {self.valid.mean():8.2f}         copies, {self.flipped:.1%} flipped"
