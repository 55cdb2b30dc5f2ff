"""Sum log Z along a ladder of temperatures by bridges between neighbours, with an error of the sum.

States of rung r have gains of log f at rung r + 1, and those of rung r + 1 at rung r. Bennett
(1976) combines both to the best estimate of g = log Z_{r+1} - log Z_r; either alone gives a bound
in expectation. The sum along the ladder is log Z of the machine less that of the base.

The error is taken over columns of the ladder, which are independent, by the share of each column in
the sum along all rungs and through all sweeps (infinitesimal jackknife). That accounts for the
correlation of neighbours that share a rung and of successive states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logsumexp

# Where neighbours hardly overlap: the error is then huge, but can still be squared.
SMALLEST_SLOPE = 1e-100
# In nats: smaller differences may be rounding.
SMALLEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class LadderSum:
    """log Z of the top of a ladder less that of its base, in nats.

    Attributes
    ----------
    value, error : float
        By bridges, and its standard error.
    lower, lower_error, upper, upper_error : float
        From the states of each pair's lower rung alone, and from those of its upper rung alone:
        if the states are from equilibrium, bounds in expectation.
    shares : array of shape (n_columns,)
        The share of each column in the deviation of `value` from the truth, to first order.

    Examples
    --------
    >>> LadderSum(1.0, 0.1, 0.9, 0.2, 1.1, 0.2, np.array([0.1, -0.1])).value
    1.0
    """

    value: float
    error: float
    lower: float
    lower_error: float
    upper: float
    upper_error: float
    shares: np.ndarray

    @property
    def gap(self) -> float:
        """The distance between the bounds."""
        return self.upper - self.lower

    @property
    def is_consistent(self) -> bool:
        """Whether both bounds agree with the value within four of their errors."""
        below = 4.0 * np.hypot(self.error, self.lower_error) + SMALLEST_DIFFERENCE
        above = 4.0 * np.hypot(self.error, self.upper_error) + SMALLEST_DIFFERENCE
        return self.value - self.lower <= below and self.upper - self.value <= above


def ladder_sum(log_ratios: np.ndarray, first_parity: int = 0) -> LadderSum:
    """Sum the bridges between all neighbours.

    Parameters
    ----------
    log_ratios : array of shape (n_sweeps, n_columns, n_rungs)
        The gain of log f of each state at the partner of its rung: pairs (0, 1), (2, 3), ... in
        sweeps of parity 0, and (1, 2), (3, 4), ... in the others.
    first_parity : {0, 1}
        Of the first sweep.

    Returns
    -------
    LadderSum
    """
    n_columns, n_rungs = log_ratios.shape[1:]
    value = lower = upper = 0.0
    shares, lower_shares, upper_shares = np.zeros((3, n_columns))
    for rung in range(n_rungs - 1):
        of_pair = log_ratios[(rung + first_parity) % 2 :: 2]
        gains, losses = of_pair[:, :, rung].T, of_pair[:, :, rung + 1].T
        g, share = bridge(gains, losses)
        value, shares = value + g, shares + share
        mean, share = log_mean_exp(gains)
        lower, lower_shares = lower + mean, lower_shares + share
        mean, share = log_mean_exp(losses)
        upper, upper_shares = upper - mean, upper_shares - share
    errors = [standard_error(s) for s in (shares, lower_shares, upper_shares)]
    return LadderSum(value, errors[0], lower, errors[1], upper, errors[2], shares)


def bridge(gains: np.ndarray, losses: np.ndarray) -> tuple[float, np.ndarray]:
    """Estimate g = log Z' - log Z of f' and f by Bennett's acceptance ratio (1976).

    Parameters
    ----------
    gains : array of shape (n_columns, n)
        log f' - log f on states of the first.
    losses : array of shape (n_columns, m)
        log f - log f' on states of the second.

    Returns
    -------
    g : float
        The root of Σ σ(gains - g - M) = Σ σ(losses + g + M), M = log(n / m).
    shares : array of shape (n_columns,)
        The share of each column in the deviation of g, to first order.

    Examples
    --------
    >>> g, _ = bridge(np.array([[1.0, 2.0]]), np.array([[-1.0, -2.0]]))
    >>> print(f"{g:.3f}")
    1.500
    """
    m = np.log(gains.size / losses.size)

    def imbalance(x: float) -> float:
        return float(np.sum(expit(gains - x)) - np.sum(expit(losses + x)))

    # Bounds at which the imbalance is positive and negative, for any numbers of states.
    slack = 1.0 + abs(m) + np.log(max(gains.size, losses.size))
    low = min(gains.min(), -losses.max()) - slack
    high = max(gains.max(), -losses.min()) + slack
    x = float(brentq(imbalance, low, high, xtol=1e-9))
    up, down = expit(gains - x), expit(losses + x)
    slope = np.sum(up * (1.0 - up)) + np.sum(down * (1.0 - down))
    shares = (up.sum(axis=1) - down.sum(axis=1)) / max(slope, SMALLEST_SLOPE)
    return x - m, shares


def log_mean_exp(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Compute log of the mean of exp(x), and each row's share in its deviation, to first order."""
    mean = float(logsumexp(x) - np.log(x.size))
    n_columns = x.shape[0]
    return mean, (np.exp(x - mean).mean(axis=1) - 1.0) / n_columns


def standard_error(shares: np.ndarray) -> float:
    """Compute the standard error of a sum of independent shares; infinite for a single one.

    The spread of few shares is itself uncertain: it is widened to that of Student's distribution.
    """
    n = shares.size
    if n < 2:
        return float("inf")
    of_student = (n - 1) / (n - 3) if n > 3 else float(n)
    return float(np.sqrt(np.sum(shares**2) * n / (n - 1) * of_student))
