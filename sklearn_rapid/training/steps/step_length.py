"""How long a step is: what it does to the model.

To first order a step changes the energy of a state, and the Kullback-Leibler divergence from the
old model to the new one is half the variance of that change. So the learning rate sets the
change's standard deviation over the states at hand: `rate` nats per square root of a visible unit.
Units that hardly vary have little to be learned: where all vary by less than a quarter of what they
can, steps are shorter by the root of what is left of it. What such a step does to rare states, a
batch without them does not show: the energies of the most unusual rows seen so far limit it too.
Few rows tell little, and what they make a step gain goes with their number: steps from fewer than
a hundred are shorter by the square root. One rate then serves every number of units, patterns and
rows, rare events or not (docs/design_notes/learning_rate.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.backends.fused import NO_CURVATURE
from sklearn_rapid.machine.couplings import Arrays
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.statistics import Sums

# From so many rows on, noise no longer limits how long a step may be.
ROWS_FOR_FULL_STEP = 100
# Units that have this share of the variance that they can have count as whole ones.
FULL_VARIANCE = 0.25
# Where they have less, so many unusual rows are remembered. Their energies may change by so many
# times the standard deviation that is wanted of all.
UNUSUAL_ROWS, LARGEST_CHANGE = 32, 4.0
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


def variances(units: Units, mean: Any, n_rows: int, backend: Any) -> Any:
    """Variances of units by their means over rows, each a share of its variance in no field.

    One row is added that is the mean in no field: what has not been seen yet may still come.

    Parameters
    ----------
    units : Units
    mean : array of shape (V,)
        Of all rows seen, float64.
    n_rows : int
        How many these are.
    backend : backend
    """
    no_field = backend.xp.zeros((1, mean.shape[0]), dtype=backend.xp.float64)
    mean = (n_rows * mean + units.mean(no_field, backend)[0, :]) / (n_rows + 1)
    return units.variances(mean, backend)


def n_varied_units(of_units: Any, backend: Any) -> Any:
    """How many units vary, given their variances: their number, or less where these are small.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import SPINS, get_backend
    >>> backend = get_backend("numpy")
    >>> for mean in (0.0, 0.9, 0.999):
    ...     of_units = variances(SPINS, np.full(100, mean), 10_000, backend)
    ...     print(f"{n_varied_units(of_units, backend):.1f}")
    100.0
    76.1
    0.9
    """
    xp = backend.xp
    whole = xp.sum(of_units) / FULL_VARIANCE
    return xp.minimum(whole, xp.full_like(whole, float(of_units.shape[0])))


def most_unusual(rows: Any, mean: Any, of_units: Any, backend: Any) -> Any:
    """The different rows that are furthest from the mean, in units of the variances.

    Parameters
    ----------
    rows : array of shape (n, V)
    mean, of_units : array of shape (V,)
    backend : backend
    """
    to_numpy = backend.to_numpy
    on_host = np.unique(to_numpy(rows), axis=0)
    distance = (on_host - to_numpy(mean)) ** 2 @ (1.0 / to_numpy(of_units))
    return backend.asarray(on_host[np.argsort(-distance, kind="stable")[:UNUSUAL_ROWS]])


def shortened(scale: Any, squared_length: Any, changes: Any, backend: Any) -> Any:
    """A step at which no energy of unusual rows changes by much more than energies are meant to.

    Parameters
    ----------
    scale, squared_length : number
        Of the step, and the variance of energy changes that is wanted.
    changes : array of shape (n,)
        Of the energies of the rows, by a unit step, less that of a typical state.
    backend : backend
    """
    xp = backend.xp
    largest = xp.max(xp.abs(changes)) + NO_CURVATURE
    return xp.minimum(scale, LARGEST_CHANGE * xp.sqrt(squared_length) / largest)


def energy_changes(machine: Machine, v: Any, t: Any, direction: Arrays) -> Any:
    """Energy changes of states that a unit step along the direction makes, in nats, with a sign.

    Parameters
    ----------
    machine : Machine
    v, t : array of shape (n, V), (n, H)
        States and their hidden means, less the offsets.
    direction : dict of arrays
    """
    xp = machine.backend.xp
    change = machine.couplings.change(v, t, direction, machine.backend)
    if "visible_bias" in direction:
        change = change + xp.astype(v @ direction["visible_bias"], xp.float64)
        change = change + xp.astype(t @ direction["hidden_bias"], xp.float64)
    return change


def mean_and_variance(changes: Any, weights: Any, xp: Any) -> tuple[Any, Any]:
    """Of energy changes at the states of a probe, data and model ones alike.

    Taken over both, it is defined for a single chain too.
    """
    p = xp.astype(weights, xp.float64)
    p = p / xp.sum(p)
    mean = xp.sum(p * changes)
    centred = changes - mean
    return mean, xp.sum(p * centred * centred)
