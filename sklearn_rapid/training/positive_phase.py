"""The data's side of the gradient: rows whose every visible unit has a state.

Rows may leave out entries, and machines may have visible units that no row ever shows (the upper
layers of a deep one). Both are NaN in the rows that training is given, and here they get their
states, or means, given what is known.
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
)
from sklearn_rapid.machine.machine import Machine


class PositivePhase(_ValidatedParameters):
    """Rows that are known as a whole."""

    _parameter_constraints: ClassVar[dict] = {}
    # Whether rows may lack entries.
    completes: ClassVar[bool] = False

    def states(self, machine: Machine, v: Any, stream: RandomStream) -> Any:
        """The rows, with states or means where something is not known.

        Parameters
        ----------
        machine : Machine
        v : array of shape (n, V)
            NaN where a unit is not known.
        stream : RandomStream
        """
        return v


class MeanField(PositivePhase):
    """Means of what is not known, by mean field (Salakhutdinov and Hinton 2009).

    Parameters
    ----------
    n_steps : int, default=10
        Of hidden means given visible ones, and visible ones given these.

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
        """The rows with means."""
        return fill_with_mean_field(machine, v, self.n_steps)


class ClampedChains(PositivePhase):
    """States of what is not known, by Gibbs steps from the mean field with the rest held fast.

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
        """The rows with states."""
        columns = missing_columns(v, machine.backend)
        if columns.size == 0:
            return v
        clamped = clamp(machine, v, columns)
        means, _ = mean_field(clamped, self.n_gibbs_steps)
        states = clamped.gibbs(means, self.n_gibbs_steps, stream)
        return fill_missing(v, columns, states, machine.backend)


def filled_with_column_means(v: Any, backend: Any) -> Any:
    """The rows with each column's mean where something is not known; zero if nothing is."""
    xp = backend.xp
    unknown = v != v
    known = xp.where(unknown, xp.zeros_like(v), v)
    n_known = xp.sum(xp.astype(~unknown, xp.float64), axis=0)
    total = xp.sum(known, axis=0, dtype=xp.float64)
    means = xp.astype(total / xp.maximum(n_known, xp.ones_like(n_known)), v.dtype)
    return xp.where(unknown, means[None, :], v)


AS_THEY_ARE = PositivePhase()
BY_NAME = {"mean_field": MeanField, "clamped": ClampedChains}
