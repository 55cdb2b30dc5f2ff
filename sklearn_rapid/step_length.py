"""How long a step is: what it does to the model.

To first order a step changes the energy of a state, and the Kullback-Leibler divergence from the
old model to the new one is half the variance of that change. So the learning rate sets the
change's standard deviation over the states at hand: `rate` nats per square root of a visible unit.
Units that hardly vary have little to be learned: where all vary by less than a quarter of what they
can, steps are shorter by the root of what is left of it. Few rows tell little, and what they make a step gain goes with their number: steps from fewer than
a hundred are shorter by the square root. One rate then serves every number of units, patterns and
rows, rare events or not (docs/design_notes/learning_rate.md).
"""

from __future__ import annotations

from typing import Any

from sklearn_rapid.backends import Units
from sklearn_rapid.backends.stretch import NO_CURVATURE
from sklearn_rapid.couplings import Arrays
from sklearn_rapid.machine import Machine
from sklearn_rapid.statistics import Probe, Sums

# From so many rows on, noise no longer limits how long a step may be.
ROWS_FOR_FULL_STEP = 100
# Units that have this share of the variance that they can have count as whole ones.
FULL_VARIANCE = 0.25
# Where the gradient vanishes (up to rounding, say), a step of a given effect has no bound. It is
# also kept to so many times the step at which the likelihood's quadratic model, with a curvature
# of at least the smallest one, gains most.
LARGEST_OVERSHOOT = 10.0
SMALLEST_CURVATURE = 1e-3


def step_scale(
    squared_length: Any, variance: Any, gradient: Arrays, direction: Arrays, backend: Any
) -> Any:
    """How far to go along the direction so that energies change by the length, within bounds."""
    xp = backend.xp
    squared = sum(backend.dot(d, d) for d in direction.values())
    gain = squared
    if direction is not gradient:
        gain = xp.abs(sum(backend.dot(gradient[name], d) for name, d in direction.items()))
    curvature = variance + (SMALLEST_CURVATURE * squared + NO_CURVATURE)
    return xp.minimum(xp.sqrt(squared_length / curvature), LARGEST_OVERSHOOT * gain / curvature)


def share_of_full_step(sums: Sums, backend: Any) -> Any:
    """Mean number of data and model rows (the harmonic one) over that for a full step."""
    share = 2.0 / (sums.data_square + sums.model_square) / ROWS_FOR_FULL_STEP
    if isinstance(share, float):
        return min(1.0, share)
    return backend.xp.minimum(share, backend.xp.ones_like(share))


def n_varied_units(units: Units, mean: Any, n_rows: int, backend: Any) -> Any:
    """How many units vary: their number, or less where their variance is small.

    One row is added that is the mean in no field: what has not been seen yet may still come.

    Parameters
    ----------
    units : Units
    mean : array of shape (V,)
        Of all rows seen, float64.
    n_rows : int
        How many these are.
    backend : backend

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import SPINS, get_backend
    >>> for mean in (0.0, 0.9, 0.999):
    ...     n = n_varied_units(SPINS, np.full(100, mean), 10_000, get_backend("numpy"))
    ...     print(f"{n:.1f}")
    100.0
    76.1
    0.9
    """
    xp, n_units = backend.xp, mean.shape[0]
    no_field = xp.zeros((1, n_units), dtype=xp.float64)
    mean = (n_rows * mean + units.mean(no_field, backend)[0, :]) / (n_rows + 1)
    whole = units.total_variance(mean, backend) / FULL_VARIANCE
    if isinstance(whole, float):
        return min(whole, float(n_units))
    return xp.minimum(whole, xp.full_like(whole, float(n_units)))


def energy_variance(machine: Machine, probe: Probe, direction: Arrays) -> Any:
    """Variance of the energy changes that a unit step along the direction makes, in nats².

    Taken over data and model states alike, so that it is defined for a single chain too.
    """
    backend, xp = machine.backend, machine.backend.xp
    v, t = probe.visible, probe.hidden
    change = machine.couplings.change(v, t, direction, backend)
    if "visible_bias" in direction:
        change = change + xp.astype(v @ direction["visible_bias"], xp.float64)
        change = change + xp.astype(t @ direction["hidden_bias"], xp.float64)
    p = xp.astype(probe.weights, xp.float64)
    p = p / xp.sum(p)
    centred = change - xp.sum(p * change)
    return xp.sum(p * centred * centred)
