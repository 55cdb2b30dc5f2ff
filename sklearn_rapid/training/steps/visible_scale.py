"""Learn the scales of real columns: their spread around their means given the hidden units.

A real column x is σ times a unit v of unit variance. The log-likelihood of rows, that of v less
log σ for each unit that a row has, has the derivative in log σ_i

    Σ_n w_n [v_ni (v_ni - φ_ni) - presence_ni],    φ_i = b_i + Σ_α W_iα E[h_α | v],

which needs no states of the model: log Z does not depend on σ. The presence is one, but zero in
rows of a column with spikes that are at a spike, where v is zero too (`Spiked`). At the maximum σ²
is the column's remaining variance given the hidden units, Σ_n w_n σ² v_ni (v_ni - φ_ni), over the
share of rows that have the unit. So σ² moves towards the estimate of a batch, and averages over
batches: neither a rare value nor its absence drags it away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sklearn_rapid.backends import Gaussians
from sklearn_rapid.machine.machine import Machine

# Steps are as if so many rows of a batch had each unit, where fewer are to be expected: what a few
# rows say of a variance is mostly noise.
FEWEST_PRESENT = 10


@dataclass(frozen=True)
class ScaleSums:
    """Sums over rows of a batch, which may be some of them: what the next scales depend on.

    Attributes
    ----------
    n_rows : int
    left : array of shape (V,)
        Σ_n w_n v_ni (v_ni - φ_ni), float64.
    present, absent : array of shape (V,)
        Weights of the rows that have a unit, and of those that do not, float64.
    """

    n_rows: int
    left: Any
    present: Any
    absent: Any

    def plus(self, other: ScaleSums) -> ScaleSums:
        """Add the sums over other rows."""
        return ScaleSums(
            self.n_rows + other.n_rows,
            self.left + other.left,
            self.present + other.present,
            self.absent + other.absent,
        )


def scale_sums(machine: Machine, v: Any, weights: Any = None) -> ScaleSums:
    """Sum over rows what the next scales depend on.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n, V)
        Rows at the present scales.
    weights : array of shape (n,), optional
        With a sum of one over the whole batch; None are equal ones.
    """
    backend = machine.backend
    weights = backend.equal_weights(v.shape[0], v.dtype) if weights is None else weights
    # Means of real units are their fields.
    to_fields = replace(machine.down, units=Gaussians(), kept={})
    left = backend.column_sums(v * (v - backend.means(machine.hidden_mean(v), to_fields)), weights)
    presence = machine.visible_units.presence(v, backend)
    present, absent = (backend.column_sums(x, weights) for x in (presence, 1.0 - presence))
    return ScaleSums(v.shape[0], left, present, absent)


def next_scale(
    scale: Any,
    spread: Any,
    smallest: Any,
    machine: Machine,
    sums: ScaleSums,
    rate: float,
    mean: Any,
) -> Any:
    """Move the scales by a Newton step times the rate, in log σ and to first order.

    Parameters
    ----------
    scale : array of shape (V,)
        σ, float64; unchanged where units are not real.
    spread : array of shape (V,)
        Standard deviations of the columns in the rows that have the units. The curvature in log σ
        is 1 + (spread / σ)² for each of these rows.
    smallest : array of shape (V,)
        Lower bounds of σ.
    machine : Machine
    sums : ScaleSums
        Over the rows of a batch.
    rate : float
        Values above one count as one.
    mean : array of shape (V,)
        Of all rows, float64: it says how many rows of a batch have a unit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import Gaussians, get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((1, 1))), np.zeros(1), np.zeros(1),
    ...                   get_backend("numpy"), visible_units=Gaussians())
    >>> rows, sigma, spread = np.array([[-3.0], [3.0]]), np.ones(1), np.full(1, 3.0)
    >>> for _ in range(60):
    ...     sums = scale_sums(machine, rows / sigma)
    ...     sigma = next_scale(sigma, spread, 0.1 * spread, machine, sums, 1.0, np.zeros(1))
    >>> print(sigma)
    [3.]
    """
    backend, xp, units = machine.backend, machine.backend.xp, machine.visible_units
    # Weights add up to one but for rounding, of which nothing is left in all rows, or none.
    present = sums.present / (sums.present + sums.absent)
    expected = units.presence(mean, backend)
    fewest = min(1.0, FEWEST_PRESENT / sums.n_rows)
    expected = xp.maximum(expected, xp.full_like(expected, fewest))
    ratio = spread / scale
    share = 2.0 * min(rate, 1.0) / (1.0 + ratio * ratio)
    share = xp.minimum(share, xp.ones_like(share))
    # No batch counts by more than all that is known.
    share = share / xp.maximum(expected, share * present)
    square = scale * scale * (1.0 - share * present + share * sums.left)
    moved = xp.sqrt(xp.maximum(square, smallest * smallest))
    real = units.real(machine.n_visible)
    return moved if real.all() else xp.where(backend.constant(real), moved, scale)
