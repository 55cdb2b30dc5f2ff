"""Learn the scales of real columns: their spread around their means given the hidden units.

A real column x is σ times a unit v of unit variance. The log-likelihood of rows, that of v less
Σ log σ, has the derivative in log σ_i

    Σ_n w_n v_ni (v_ni - E[v_i | h]) - 1,    E[v_i | h] = b_i + Σ_α W_iα tanh θ_α,

which needs no states of the model: log Z does not depend on σ. At the maximum σ² is the column's
remaining variance given the hidden units, Σ_n w_n σ² v_ni (v_ni - E[v_i | h]). So σ² moves towards
the estimate of a batch, and averages over batches: neither a rare value nor its absence drags it
away.
"""

from __future__ import annotations

from typing import Any

from sklearn_rapid.machine.machine import Machine


def next_scale(
    scale: Any, spread: Any, smallest: Any, machine: Machine, v: Any, weights: Any, rate: float
) -> Any:
    """Move the scales by a Newton step times the rate, in log σ and to first order.

    Parameters
    ----------
    scale : array of shape (V,)
        σ, float64; unchanged where units are not real.
    spread : array of shape (V,)
        Standard deviations of the columns. The curvature in log σ is 1 + (spread / σ)².
    smallest : array of shape (V,)
        Lower bounds of σ.
    machine : Machine
    v : array of shape (n, V)
        Rows at these scales.
    weights : array of shape (n,) or None
        With a sum of one; None are equal ones.
    rate : float
        Values above one count as one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import Gaussians, get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((1, 1))), np.zeros(1), np.zeros(1),
    ...                   get_backend("numpy"), visible_units=Gaussians())
    >>> rows, sigma, spread = np.array([[-3.0], [3.0]]), np.ones(1), np.full(1, 3.0)
    >>> for _ in range(60):
    ...     sigma = next_scale(sigma, spread, 0.1 * spread, machine, rows / sigma, None, 1.0)
    >>> print(sigma)
    [3.]
    """
    backend, xp = machine.backend, machine.backend.xp
    weights = backend.equal_weights(v.shape[0], v.dtype) if weights is None else weights
    expected = machine.visible_mean(machine.hidden_mean(v))
    left = backend.column_sums(v * (v - expected), weights)
    ratio = spread / scale
    share = 2.0 * min(rate, 1.0) / (1.0 + ratio * ratio)
    share = xp.minimum(share, xp.ones_like(share))
    square = scale * scale * (1.0 - share + share * left)
    moved = xp.sqrt(xp.maximum(square, smallest * smallest))
    real = machine.visible_units.real(machine.n_visible)
    return moved if real.all() else xp.where(backend.constant(real), moved, scale)
