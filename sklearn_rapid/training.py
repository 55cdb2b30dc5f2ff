"""Training: two sets of states, the difference of their statistics, one step.

How long a step is follows from what it does to the model. To first order a step changes the
energy of a state, and the Kullback-Leibler divergence from the old model to the new one is
half the variance of that change. So the learning rate sets the change's standard deviation
over the states at hand: `rate` nats per square root of a visible unit. Few rows tell little,
and what they make a step gain goes with their number: steps from fewer than a hundred are
shorter by the square root. One rate then serves every number of units, patterns and rows
(docs/design_notes/learning_rate.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.couplings import Couplings
from sklearn_rapid.machine import Machine
from sklearn_rapid.negative_phase import NegativePhase, NegativeStates
from sklearn_rapid.projections import Projection

# Melchior, Fischer, Wiskott (2016) move the hidden offset by a hundredth a batch.
HIDDEN_OFFSET_RATE = 0.01
# From so many rows on, noise no longer limits how long a step may be.
ROWS_FOR_FULL_STEP = 100
# The spread of the energy changes needs no more states of each kind than this.
PROBED_STATES = 64
# Where the gradient vanishes (up to rounding, say), a step of a given effect has no bound. It is
# also kept to so many times the step at which the likelihood's quadratic model, with a curvature
# of at least the smallest one, gains most.
LARGEST_OVERSHOOT = 10.0
SMALLEST_CURVATURE = 1e-3
# No spin model of data has a parameter of this size; one on its way to infinity does.
LARGEST_PARAMETER = 1e4

NO_PROJECTION = Projection()


class Diverged(ArithmeticError):
    """A parameter became infinite, NaN or larger than `LARGEST_PARAMETER`."""


@dataclass
class TrainingState:
    """All that changes in training; with the trainer's settings it determines what follows.

    Attributes
    ----------
    machine : Machine
    stream : RandomStream
    optimizer_state : object
    chains : array of shape (n_chains, V) or None
    visible_offset : array of shape (V,)
        The mean spin of all rows seen (float64).
    hidden_offset : array of shape (H,)
        A moving average of E[h] over the data.
    n_rows : int
        How many rows have been seen.
    n_updates : int
    """

    machine: Machine
    stream: RandomStream
    optimizer_state: Any = None
    chains: Any = None
    visible_offset: Any = None
    hidden_offset: Any = None
    n_rows: int = 0
    n_updates: int = 0

    def copy(self) -> TrainingState:
        """The state as it is now; arrays are never changed in place, so they are shared."""
        return replace(self, stream=replace(self.stream))

    def to_host(self) -> dict[str, Any]:
        """All but the machine as plain Python and NumPy, fit to be pickled anywhere."""
        to_numpy = self.machine.backend.to_numpy
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "machine"}
        rest["stream"] = replace(self.stream)
        return _map_arrays(rest, to_numpy)

    @classmethod
    def from_host(cls, rest: dict[str, Any], machine: Machine) -> TrainingState:
        """The state of a machine from what `to_host` returned."""
        rest = _map_arrays(rest, machine.backend.asarray)
        return cls(machine, **{**rest, "stream": replace(rest["stream"])})


@dataclass(frozen=True)
class Trainer:
    """The settings of training.

    Parameters
    ----------
    negative_phase : NegativePhase
    optimizer : SGD or Adam
    batch_size : int
    projection : Projection
    fit_intercept, center : bool
        Without intercepts there is no centering: it moves part of W into the biases.
    weight_decay : float
        Strength of an L2 penalty on the couplings' parameters.
    """

    negative_phase: NegativePhase
    optimizer: Any
    batch_size: int = 100
    projection: Projection = NO_PROJECTION
    fit_intercept: bool = True
    center: bool = True
    weight_decay: float = 0.0

    def start(self, couplings: Couplings, data: Any, stream: RandomStream, backend: Any) -> Any:
        """The state before the first update, given the first batch.

        Biases start where units without couplings would fit the data: b = artanh of the mean
        spin (with one row of zero mean added), and c = -Wᵀμ, so that hidden units are balanced.
        """
        xp = backend.xp
        n_visible, n_hidden = couplings.shape
        self.negative_phase.check(couplings)
        visible_bias = xp.zeros(n_visible, dtype=data.dtype)
        hidden_bias = xp.zeros(n_hidden, dtype=data.dtype)
        if self.fit_intercept:
            mean = xp.sum(data, axis=0) / (data.shape[0] + 1)
            visible_bias = xp.atanh(mean)
            if self.center:
                hidden_bias = -couplings.hidden_field(mean[None, :])[0, :]
        machine = Machine(couplings, visible_bias, hidden_bias, backend)
        return TrainingState(
            machine,
            stream,
            optimizer_state=self.optimizer.init(self._trained(machine), xp),
            chains=self.negative_phase.start(machine, self.batch_size, stream),
            visible_offset=xp.zeros(n_visible, dtype=xp.float64),
            hidden_offset=None,
        )

    def resume(self, state: TrainingState) -> TrainingState:
        """The state, with what this trainer needs and another one did not leave."""
        machine = state.machine
        self.negative_phase.check(machine.couplings)
        if state.chains is None:
            state.chains = self.negative_phase.start(machine, self.batch_size, state.stream)
        parameters = self._trained(machine)
        fresh = self.optimizer.init(parameters, machine.backend.xp)
        if (fresh or {}).keys() != (state.optimizer_state or {}).keys():
            state.optimizer_state = fresh
        return state

    def _trained(self, machine: Machine) -> dict[str, Any]:
        return _all_parameters(machine) if self.fit_intercept else machine.couplings.parameters

    def update(
        self, state: TrainingState, data: Any, rate: float, end_of_epoch: bool = False
    ) -> None:
        """One update of `state` from a batch of spins or mean spins, shape (n, V).

        Raises
        ------
        Diverged
            If the parameters are no longer finite; the state then keeps its last good ones,
            but draws and offsets have moved on: go back to a copy.
        """
        machine, backend = state.machine, state.machine.backend
        n_rows = self.negative_phase.n_rows(machine.couplings, self.batch_size)
        sampler = machine.for_rows(n_rows)
        negative, chains = self.negative_phase.states(sampler, data, state.chains, state.stream)
        v, t, weights = _both_phases(sampler, data, negative)
        self._observe(state, data, t[: data.shape[0], :])
        if self.center and self.fit_intercept:
            v = v - backend.xp.astype(state.visible_offset, v.dtype)
            t = t - state.hidden_offset
        gradient = self._gradient(machine, v, t, weights)
        direction, optimizer_state = self.optimizer.direction(
            gradient, state.optimizer_state, backend.xp
        )
        scale = rate
        if self.optimizer.scaled:
            probed = _probed_rows(data.shape[0], negative)
            states = (x[probed, ...] for x in (v, t, weights))
            variance = _energy_variance(machine, *states, direction)
            length = rate * math.sqrt(machine.n_visible * _share_of_full_step(weights))
            scale = _step_scale(length, variance, gradient, direction)
        steps = {name: scale * d for name, d in direction.items()}
        state.n_updates += 1
        project = self.projection.is_due(state.n_updates, end_of_epoch)
        updated = self._apply(state, steps, project)
        _check_finite(updated)
        state.machine, state.chains, state.optimizer_state = updated, chains, optimizer_state

    def _observe(self, state: TrainingState, data: Any, data_t: Any) -> None:
        """Move the offsets towards the means of the batch."""
        xp = state.machine.backend.xp
        state.n_rows += data.shape[0]
        batch_sum = xp.sum(data, axis=0, dtype=xp.float64)
        share = data.shape[0] / state.n_rows
        state.visible_offset = (1.0 - share) * state.visible_offset + batch_sum / state.n_rows
        mean = xp.mean(data_t, axis=0)
        if state.hidden_offset is None:
            state.hidden_offset = mean
        r = max(HIDDEN_OFFSET_RATE, 1.0 / (state.n_updates + 1))
        state.hidden_offset = (1.0 - r) * state.hidden_offset + r * mean

    def _gradient(self, machine: Machine, v: Any, t: Any, weights: Any) -> dict[str, Any]:
        """The gradient of the mean log-likelihood in the centred parametrisation."""
        gradient = machine.couplings.gradient(v, t * weights[:, None], machine.backend)
        if self.weight_decay:
            for name, p in machine.couplings.parameters.items():
                gradient[name] = gradient[name] - self.weight_decay * p
        if self.fit_intercept:
            gradient["visible_bias"] = weights @ v
            gradient["hidden_bias"] = weights @ t
        return gradient

    def _apply(self, state: TrainingState, steps: dict[str, Any], project: bool) -> Machine:
        """The machine after the steps.

        In the centred parametrisation the biases are b' = b + Wλ and c' = c + Wᵀμ. It is they
        that the steps belong to; b and c also follow what happens to W.
        """
        machine = state.machine
        parameters = machine.couplings.parameters
        couplings = machine.couplings.with_parameters(
            {name: p + steps[name] for name, p in parameters.items()}
        )
        b, c = machine.visible_bias, machine.hidden_bias
        if self.fit_intercept:
            b, c = b + steps["visible_bias"], c + steps["hidden_bias"]
        if project:
            couplings = self.projection(Machine(couplings, b, c, machine.backend), state.stream)
        if self.center and self.fit_intercept:
            mean_v = machine.backend.xp.astype(state.visible_offset, b.dtype)[None, :]
            mean_h = state.hidden_offset[None, :]
            old, new = machine.couplings, couplings
            b = b + (old.visible_field(mean_h) - new.visible_field(mean_h))[0, :]
            c = c + (old.hidden_field(mean_v) - new.hidden_field(mean_v))[0, :]
        return Machine(couplings, b, c, machine.backend)


def _both_phases(machine: Machine, data: Any, negative: Any) -> tuple[Any, Any, Any]:
    """Visible states, hidden means and signed weights of data and model in one set of rows."""
    xp = machine.backend.xp
    n_data, n_model = data.shape[0], negative.visible.shape[0]
    v = xp.concat([data, negative.visible], axis=0)
    if negative.hidden is None:
        t = machine.hidden_mean(v)
    else:
        t = xp.concat([machine.hidden_mean(data), negative.hidden], axis=0)
    model_weights = negative.weights
    if model_weights is None:
        model_weights = xp.full(n_model, 1.0 / n_model, dtype=data.dtype)
    data_weights = xp.full(n_data, 1.0 / n_data, dtype=data.dtype)
    return v, t, xp.concat([data_weights, -model_weights])


def _step_scale(length: float, variance: float, gradient: dict, direction: dict) -> float:
    """How far to go along the direction so that energies change by `length`, within bounds."""
    pairs = [(gradient[name], direction[name]) for name in gradient]
    gain = abs(sum(_dot(g, d) for g, d in pairs))
    curvature = variance + SMALLEST_CURVATURE * sum(_dot(d, d) for _, d in pairs)
    if not math.isfinite(curvature + gain):
        raise Diverged("the energies of the model's states are not finite")
    if curvature == 0.0:
        return 0.0
    return min(length / math.sqrt(curvature), LARGEST_OVERSHOOT * gain / curvature)


def _share_of_full_step(weights: Any) -> float:
    """Mean number of data and model rows (the harmonic one) over that for a full step."""
    n_rows = 2.0 / _dot(weights, weights)
    return min(1.0, n_rows / ROWS_FOR_FULL_STEP)


def _dot(a: Any, b: Any) -> float:
    xp = a.__array_namespace__()
    return float(xp.sum(a * b, dtype=xp.float64))


def _probed_rows(n_data: int, negative: NegativeStates) -> slice:
    """Some data states and as many model states, neighbours in the set of both phases' rows.

    Weighted states count as a whole, or their weights would not.
    """
    n_model = negative.visible.shape[0]
    if negative.weights is None:
        n_model = min(n_model, PROBED_STATES)
    return slice(n_data - min(n_data, PROBED_STATES), n_data + n_model)


def _energy_variance(
    machine: Machine, v: Any, t: Any, weights: Any, direction: dict[str, Any]
) -> float:
    """Variance of the energy changes that a unit step along the direction makes, in nats².

    Taken over data and model states alike, so that it is defined for a single chain too.
    """
    backend, xp = machine.backend, machine.backend.xp
    change = machine.couplings.change(v, t, direction, backend)
    if "visible_bias" in direction:
        change = change + xp.astype(v @ direction["visible_bias"], xp.float64)
        change = change + xp.astype(t @ direction["hidden_bias"], xp.float64)
    p = xp.astype(xp.abs(weights), xp.float64)
    p = p / xp.sum(p)
    centred = change - xp.sum(p * change)
    return float(xp.sum(p * centred * centred))


def _map_arrays(tree: Any, function: Callable) -> Any:
    """Apply a function to the arrays in nested dicts and tuples."""
    if isinstance(tree, dict):
        return {name: _map_arrays(value, function) for name, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_map_arrays(value, function) for value in tree)
    return function(tree) if hasattr(tree, "shape") else tree


def _all_parameters(machine: Machine) -> dict[str, Any]:
    biases = {"visible_bias": machine.visible_bias, "hidden_bias": machine.hidden_bias}
    return {**machine.couplings.parameters, **biases}


def _check_finite(machine: Machine) -> None:
    xp = machine.backend.xp
    for name, p in _all_parameters(machine).items():
        largest = float(xp.max(xp.abs(p)))
        if not largest <= LARGEST_PARAMETER:
            raise Diverged(f"the largest element of {name} has grown to {largest:g}")


def batches(
    n_rows: int, batch_size: int, shuffle_seed: tuple[int, ...] | None = None
) -> Iterator[Any]:
    """Row indices of each batch of an epoch: shuffled, or slices in order.

    Examples
    --------
    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    order = None
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(n_rows)
    for start in range(0, n_rows, batch_size):
        rows = slice(start, min(start + batch_size, n_rows))
        yield rows if order is None else order[rows]
