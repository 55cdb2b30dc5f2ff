"""Complete rows of the data with a state or mean for every visible unit.

Rows may have missing entries, and all rows lack the latent visible units of a machine (the upper
layers of a deep one). Both are NaN in the rows of a batch. A positive phase replaces them by states
or means given the other units, which are clamped.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.compat import Count
from sklearn_rapid.checks.compat import ValidatedParameters as _ValidatedParameters
from sklearn_rapid.machine.clamped import (
    clamp,
    fill_missing,
    fill_with_mean_field,
    mean_field,
    missing_columns,
    zero_missing,
)
from sklearn_rapid.machine.machine import Machine


class PositivePhase(_ValidatedParameters):
    """Rows without missing entries, and the base class of the others."""

    _parameter_constraints: ClassVar[dict] = {}
    # Whether rows may have missing entries.
    completes: ClassVar[bool] = False

    def states(self, machine: Machine, v: Any, stream: RandomStream) -> Any:
        """Complete the rows with states or means of the missing units.

        Parameters
        ----------
        machine : Machine
        v : array of shape (n, V)
            NaN where a unit is missing.
        stream : RandomStream
        """
        return v


class MeanField(PositivePhase):
    """Means of missing units by mean field (Salakhutdinov and Hinton 2009).

    Parameters
    ----------
    n_steps : int, default=10
        Each computes hidden means given visible ones, and visible means given these.

    Examples
    --------
    >>> MeanField(n_steps=5)
    MeanField(n_steps=5)
    """

    completes: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {"n_steps": [Count()]}

    def __init__(self, n_steps: int = 10) -> None:
        self.n_steps = n_steps

    def states(self, machine: Machine, v: Any, stream: RandomStream) -> Any:
        """Complete the rows with means."""
        return fill_with_mean_field(machine, v, self.n_steps)


class ClampedChains(PositivePhase):
    """States of missing units by Gibbs steps from the mean field, with the other units clamped.

    Parameters
    ----------
    n_gibbs_steps : int, default=10

    Examples
    --------
    >>> ClampedChains(n_gibbs_steps=20)
    ClampedChains(n_gibbs_steps=20)
    """

    completes: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {"n_gibbs_steps": [Count()]}

    def __init__(self, n_gibbs_steps: int = 10) -> None:
        self.n_gibbs_steps = n_gibbs_steps

    def states(self, machine: Machine, v: Any, stream: RandomStream) -> Any:
        """Complete the rows with states."""
        columns = missing_columns(v, machine.backend)
        if columns.size == 0:
            return v
        clamped = clamp(machine, v, columns)
        means, _ = mean_field(clamped, self.n_gibbs_steps)
        states = clamped.gibbs(means, self.n_gibbs_steps, stream)
        return fill_missing(v, columns, states, machine.backend)


def fill_with_column_means(v: Any, backend: Any) -> Any:
    """Fill missing entries with the means of their columns; with zero where a column has none."""
    xp = backend.xp
    is_missing = v != v
    known = zero_missing(v, xp)
    n_known = xp.sum(xp.astype(~is_missing, xp.float64), axis=0)
    total = xp.sum(known, axis=0, dtype=xp.float64)
    means = xp.astype(total / xp.maximum(n_known, xp.ones_like(n_known)), v.dtype)
    return xp.where(is_missing, means[None, :], v)


NONE_MISSING = PositivePhase()
BY_NAME = {"mean_field": MeanField, "clamped": ClampedChains}
