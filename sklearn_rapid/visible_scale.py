"""Scales of real columns: how far they are from what the hidden units say.

A real column x is σ times a unit v of unit variance. The log-likelihood of rows, that of v less
Σ log σ, rises with log σ_i by

    Σ_n w_n v_ni (v_ni - E[v_i | h]) - 1,    E[v_i | h] = b_i + Σ_α W_iα tanh θ_α,

which the rows alone say: log Z knows no σ. At its maximum v scatters around b + Wh with variance
one.
"""

from __future__ import annotations

from typing import Any

from sklearn_rapid.machine import Machine

# Hidden units could meet columns of few values ever more closely. A scale may shrink until rows
# have this mean square: a ten-thousandth of a column's variance is left.
LARGEST_SQUARE = 1e4


def next_scale(scale: Any, machine: Machine, v: Any, weights: Any, rate: float) -> Any:
    """The scales after a Newton step times the rate, in log σ and with a bound of the curvature.

    Parameters
    ----------
    scale : array of shape (V,)
        σ, float64; it stays as it is where units are not real.
    machine : Machine
    v : array of shape (n, V)
        Rows at these scales.
    weights : array of shape (n,) or None
        With a sum of one; None are equal ones.
    rate : float
        No more than one counts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import Gaussians, get_backend
    >>> from sklearn_rapid.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((1, 1))), np.zeros(1), np.zeros(1),
    ...                   get_backend("numpy"), visible_units=Gaussians())
    >>> rows, sigma = np.array([[-3.0], [3.0]]), np.ones(1)
    >>> for _ in range(30):
    ...     sigma = next_scale(sigma, machine, rows / sigma, None, 1.0)
    >>> print(sigma)
    [3.]
    """
    backend, xp = machine.backend, machine.backend.xp
    weights = backend.equal_weights(v.shape[0], v.dtype) if weights is None else weights
    expected = machine.visible_mean(machine.hidden_mean(v))
    square = backend.column_sums(v * v, weights)
    left = backend.column_sums(v * (v - expected), weights)
    step = (left - 1.0) / (square + xp.abs(left))
    step = xp.where(square > LARGEST_SQUARE, xp.maximum(step, xp.zeros_like(step)), step)
    real = machine.visible_units.real(machine.n_visible)
    if not real.all():
        step = xp.where(backend.constant(real), step, xp.zeros_like(step))
    return scale * xp.exp(min(rate, 1.0) * step)
