"""Small machines in float64, straight from E(v, h), by summing over every state.

Nothing here uses the package, which is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import logsumexp


def all_spins(n_spins):
    """Every state of `n_spins` spins, one a row; column j is bit j of the row's number."""
    numbers = np.arange(2**n_spins)
    return np.stack([2.0 * (numbers // 2**j % 2) - 1.0 for j in range(n_spins)], axis=1)


def state_numbers(spins):
    """The row of `all_spins` that each row of `spins` is."""
    return ((np.asarray(spins) > 0) @ 2 ** np.arange(np.shape(spins)[1])).astype(int)


@dataclass
class Enumerated:
    """A machine whose every state has been visited.

    Parameters
    ----------
    W : array of shape (V, H)
    b : array of shape (V,)
    c : array of shape (H,)
    """

    W: np.ndarray
    b: np.ndarray
    c: np.ndarray

    @property
    def visible(self):
        """All visible states."""
        return all_spins(len(self.b))

    @property
    def hidden(self):
        """All hidden states."""
        return all_spins(len(self.c))

    def energies(self, v, h):
        """E(v, h) = -vᵀWh - b·v - c·h of each v with each h, shape (len(v), len(h))."""
        coupled = np.einsum("ni,ij,mj->nm", v, self.W, h)
        return -coupled - np.sum(v * self.b, axis=1)[:, None] - np.sum(h * self.c, axis=1)

    def free_energy(self, v):
        """-log Σ_h exp(-E(v, h)); v need not be spins."""
        return -logsumexp(-self.energies(v, self.hidden), axis=1)

    def log_z(self):
        """Log of the sum over all states of both layers."""
        return float(logsumexp(-self.energies(self.visible, self.hidden)))

    def joint(self):
        """P(v, h), shape (2^V, 2^H)."""
        return np.exp(-self.energies(self.visible, self.hidden) - self.log_z())

    def visible_probabilities(self):
        """P(v) of each visible state."""
        return self.joint().sum(axis=1)

    def hidden_given_visible(self):
        """P(h | v), rows v."""
        joint = self.joint()
        return joint / joint.sum(axis=1, keepdims=True)

    def visible_given_hidden(self):
        """P(v | h), rows h."""
        joint = self.joint().T
        return joint / joint.sum(axis=1, keepdims=True)

    def gibbs_kernel(self):
        """P(v' | v) of one step h ~ P(h | v), v' ~ P(v' | h)."""
        return self.hidden_given_visible() @ self.visible_given_hidden()

    def log_likelihood(self, v):
        """Mean over rows of -F(v) - log Z."""
        return float(np.mean(-self.free_energy(v)) - self.log_z())

    def log_pseudo_likelihood(self):
        """Σ_i log P(v_i | the other spins) of each visible state."""
        p = self.visible_probabilities()
        numbers = np.arange(len(p))
        both = np.stack([p + p[numbers ^ (1 << i)] for i in range(len(self.b))], axis=1)
        return np.sum(np.log(p[:, None] / both), axis=1)

    def sample_visible(self, n_rows, rng):
        """Independent draws from P(v) itself."""
        p = self.visible_probabilities()
        return self.visible[rng.choice(len(p), size=n_rows, p=p / p.sum())]


def weights_of_patterns(visible_patterns, hidden_patterns):
    """W_iα = K^-½ Σ_k ξ_i^(k) ξ_α^(k), written out."""
    return np.einsum("ki,kj->ij", visible_patterns, hidden_patterns) / np.sqrt(len(hidden_patterns))


def p_value(counts, probabilities):
    """Pearson's chi-square of counts; states expected fewer than five times make one bin."""
    expected = probabilities * counts.sum()
    # The rare ones join the least likely of the others, so that no bin is too small.
    order = np.argsort(expected)
    n_joined = 1 + int(np.sum(expected < 5.0))
    first_bins = [np.sum(x[order][:n_joined]) for x in (counts, expected)]
    observed, expected = (
        np.append(first, x[order][n_joined:])
        for first, x in zip(first_bins, (counts, expected), strict=True)
    )
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


def p_value_of_states(spins, probabilities):
    """`p_value` of a sample of spin rows, whose states have the given probabilities."""
    counts = np.bincount(state_numbers(spins), minlength=len(probabilities))
    return p_value(counts, probabilities)


def central_difference(function, x, step=1e-5):
    """Derivative of a scalar function in each element of `x`."""
    slope = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        slope[index] = (function(x + shift) - function(x - shift)) / (2.0 * step)
    return slope
