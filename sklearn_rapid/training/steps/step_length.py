"""Measure the length of a step by what it does to the model.

To first order a step changes the energy of a state, and the Kullback-Leibler divergence from the
old model to the new one is half the variance of that change. So the learning rate sets the
change's standard deviation over the batch and the model's states: `rate` nats per square root of a
visible unit. There are three corrections. Units that hardly vary have little to be learned: where
all vary by less than a quarter of what they can, steps are shorter by the root of the ratio. A
batch without rare states does not show what a step does to them: the energies of the most unusual
rows seen so far limit it too. The gain from few rows goes with their number: steps from fewer than
a hundred are shorter by the square root. One rate then serves every number of units, patterns and
rows, rare events or not (docs/design_notes/learning_rate.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.backends.fused import NO_CURVATURE
from sklearn_rapid.machine.couplings import Arrays
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.centering import visible_offset
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.statistics import Probe, Sums

# The number of rows from which noise no longer limits the length of a step.
ROWS_FOR_FULL_STEP = 100
# Units with this share of their largest variance count as whole ones.
FULL_VARIANCE = 0.25
# The number of unusual rows kept where units vary less, and the largest change of their energies,
# in standard deviations wanted over all states.
UNUSUAL_ROWS, LARGEST_CHANGE = 32, 4.0
# Where the gradient vanishes, up to rounding, a step of a given effect has no bound. So it is at
# most this many times the step at which the likelihood's quadratic model gains most, with a
# curvature of at least the smallest one.
LARGEST_OVERSHOOT = 10.0
SMALLEST_CURVATURE = 1e-3


def scale_step(
    state: TrainingState,
    sums: Sums,
    rate: float,
    gradient: Arrays,
    direction: Arrays,
    is_centered: bool,
) -> Any:
    """Find the factor of the direction that makes a step of the length that the rate asks for.

    The state's unusual rows, if it keeps some, are brought up to date.
    """
    machine, backend = state.machine, state.machine.backend
    probe = join_probes(sums.probes, state, is_centered)
    changes = energy_changes(machine, probe.visible, probe.hidden, direction)
    mean, variance = _mean_and_variance(changes, probe.weights, backend.xp)
    length = rate * state.chains.step_share
    of_units = variances(machine.visible_units, state.visible_offset, state.n_rows, backend)
    squared_length = length * length * n_varied_units(of_units, backend)
    squared_length = squared_length * _share_of_full_step(sums, backend)
    scale = _bounded_scale(squared_length, variance, gradient, direction, backend)
    if state.unusual_rows is None:
        return scale
    rows = _joined([state.unusual_rows, *(probe.visible for probe in sums.probes)], backend.xp)
    state.unusual_rows = most_unusual_rows(rows, state.visible_offset, of_units, backend)
    unusual = join_probes([Probe(state.unusual_rows, None)], state, is_centered)
    changes = energy_changes(machine, unusual.visible, unusual.hidden, direction) - mean
    return limit_scale(scale, squared_length, changes, backend)


def join_probes(probes: Sequence[Probe], state: TrainingState, is_centered: bool) -> Probe:
    """Join probed states and their hidden means; if centred, less the offsets."""
    machine, xp = state.machine, state.machine.backend.xp
    hidden = [machine.hidden_mean(p.visible) if p.hidden is None else p.hidden for p in probes]
    v, t = _joined([p.visible for p in probes], xp), _joined(hidden, xp)
    if is_centered:
        v, t = v - visible_offset(state), t - state.hidden_offset
    return Probe(v, _joined([p.weights for p in probes], xp), t)


def energy_changes(machine: Machine, v: Any, t: Any, direction: Arrays) -> Any:
    """Compute the changes of states' energies by a unit step along the direction, in nats, signed.

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


def variances(units: Units, mean: Any, n_rows: int, backend: Any) -> Any:
    """Compute variances of units from their means over rows, as shares of those in no field.

    One row is added that is the mean in no field, for values that are still to come.

    Parameters
    ----------
    units : Units
    mean : array of shape (V,)
        Of all rows seen, float64.
    n_rows : int
        The number of rows seen.
    backend : backend
    """
    return units.variances(add_row_in_no_field(mean, n_rows, units, backend), backend)


def add_row_in_no_field(
    mean: Any, n_rows: int, units: Units, backend: Any, weight: float = 1.0
) -> Any:
    """Add the mean of units in no field to a mean over rows, as one row of this weight."""
    no_field = backend.xp.zeros((1, mean.shape[0]), dtype=backend.xp.float64)
    added = units.mean(no_field, backend)[0, :]
    return (n_rows * mean + weight * added) / (n_rows + weight)


def n_varied_units(of_units: Any, backend: Any) -> Any:
    """Count units by their variances: their number, or less where variances are small.

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


def most_unusual_rows(rows: Any, mean: Any, of_units: Any, backend: Any) -> Any:
    """Find the distinct rows furthest from the mean, in units of the variances.

    Parameters
    ----------
    rows : array of shape (n, V)
    mean, of_units : array of shape (V,)
    backend : backend
    """
    to_numpy = backend.to_numpy
    on_host = to_numpy(rows)
    distance = (on_host - to_numpy(mean)) ** 2 @ (1.0 / to_numpy(of_units))
    # All rows would take long to sort where they are wide.
    found: dict[bytes, int] = {}
    for i in np.argsort(-distance, kind="stable"):
        found.setdefault(on_host[i].tobytes(), int(i))
        if len(found) == UNUSUAL_ROWS:
            break
    return backend.asarray(on_host[list(found.values())])


def limit_scale(scale: Any, squared_length: Any, changes: Any, backend: Any) -> Any:
    """Shorten a step at which energies of unusual rows change by much more than is wanted of all.

    Parameters
    ----------
    scale, squared_length : number
        Of the step, and the wanted variance of energy changes.
    changes : array of shape (n,)
        Energy changes of the rows by a unit step, less that of a typical state.
    backend : backend
    """
    xp = backend.xp
    largest = xp.max(xp.abs(changes)) + NO_CURVATURE
    return xp.minimum(scale, LARGEST_CHANGE * xp.sqrt(squared_length) / largest)


def _bounded_scale(
    squared_length: Any, variance: Any, gradient: Arrays, direction: Arrays, backend: Any
) -> Any:
    """Scale the direction so that energies change by the length, within bounds."""
    xp = backend.xp
    squared = sum(backend.dot(d, d) for d in direction.values())
    gain = squared
    if direction is not gradient:
        gain = xp.abs(sum(backend.dot(gradient[name], d) for name, d in direction.items()))
    curvature = variance + (SMALLEST_CURVATURE * squared + NO_CURVATURE)
    return xp.minimum(xp.sqrt(squared_length / curvature), LARGEST_OVERSHOOT * gain / curvature)


def _share_of_full_step(sums: Sums, backend: Any) -> Any:
    """Divide the mean number of data and model rows (the harmonic one) by that of a full step."""
    share = 2.0 / (sums.data_square + sums.model_square) / ROWS_FOR_FULL_STEP
    if isinstance(share, float):
        return min(1.0, share)
    return backend.xp.minimum(share, backend.xp.ones_like(share))


def _mean_and_variance(changes: Any, weights: Any, xp: Any) -> tuple[Any, Any]:
    """Return moments of energy changes over data and model states together: one chain will do."""
    p = xp.astype(weights, xp.float64)
    p = p / xp.sum(p)
    mean = xp.sum(p * changes)
    centred = changes - mean
    return mean, xp.sum(p * centred * centred)


def _joined(arrays: list, xp: Any) -> Any:
    return arrays[0] if len(arrays) == 1 else xp.concat(arrays, axis=0)
