"""Training: two sets of states, the difference of their statistics, one step.

`Trainer.update` says what an update is, by the methods of a backend. What it takes in between is
the interpreter: for small models, most of the time. So `Trainer.updates` hands the updates of
several batches to a backend that makes them in one call, where settings and strategies are such
that it can be told so (`sklearn_rapid.stretches`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sklearn_rapid import stretches
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.couplings import Arrays, Couplings
from sklearn_rapid.machine import Machine
from sklearn_rapid.negative_phase import NegativePhase, NegativeStates
from sklearn_rapid.penalties import Penalty
from sklearn_rapid.projections import Projection
from sklearn_rapid.statistics import HIDDEN_OFFSET_RATE, phase_statistics
from sklearn_rapid.step_length import energy_variance, share_of_full_step, step_scale

# No spin model of data has a parameter of this size; one on its way to infinity does.
LARGEST_PARAMETER = 1e4

NO_PROJECTION, NO_PENALTY = Projection(), Penalty()


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
    chains : array of shape (n_chains, V), TemperedChains or None
    visible_offset : array of shape (V,)
        The mean spin of all rows seen (float64).
    hidden_offset : array of shape (H,)
        A moving average of E[h] over the data.
    n_rows : int
        How many rows have been seen.
    n_updates : int
    is_whole : bool
        False in the middle of a step, when parameters have moved and others have yet to follow.
    """

    machine: Machine
    stream: RandomStream
    optimizer_state: Any = None
    chains: Any = None
    visible_offset: Any = None
    hidden_offset: Any = None
    n_rows: int = 0
    n_updates: int = 0
    is_whole: bool = True

    def copy(self) -> TrainingState:
        """The state as it is now. Only the machine's arrays ever change in place."""
        return replace(self, machine=self.machine.copy(), stream=replace(self.stream))

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
    penalty : Penalty
        On the couplings' parameters.
    """

    negative_phase: NegativePhase
    optimizer: Any
    batch_size: int = 100
    projection: Projection = NO_PROJECTION
    fit_intercept: bool = True
    center: bool = True
    penalty: Penalty = NO_PENALTY

    def start(
        self,
        couplings: Couplings,
        data: Any,
        stream: RandomStream,
        backend: Any,
        weights: np.ndarray | None = None,
    ) -> TrainingState:
        """The state before the first update, given the first batch and its weights.

        Biases start where units without couplings would fit the data: b = artanh of the mean
        spin (with one row of zero mean added), and c = -Wᵀμ, so that hidden units are balanced.
        """
        xp = backend.xp
        n_visible, n_hidden = couplings.shape
        self.negative_phase.check(couplings)
        visible_bias = xp.zeros(n_visible, dtype=data.dtype)
        hidden_bias = xp.zeros(n_hidden, dtype=data.dtype)
        if self.fit_intercept:
            n = data.shape[0]
            if weights is None:
                total = xp.sum(data, axis=0)
            else:
                total = backend.column_sums(data, _like(n * weights, data, backend))
            mean = xp.astype(total / (n + 1), data.dtype)
            visible_bias = xp.atanh(mean)
            if self.center:
                up = couplings.to_hidden(hidden_bias)
                hidden_bias = -backend.field(mean[None, :], up)[0, :]
        is_even = not self.fit_intercept
        machine = Machine(couplings, visible_bias, hidden_bias, backend, is_even)
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
        is_even = not self.fit_intercept and not state.machine.has_biases
        machine = state.machine = replace(state.machine, is_even=is_even)
        self.negative_phase.check(machine.couplings)
        state.chains = self.negative_phase.resume(
            state.chains, machine, self.batch_size, state.stream
        )
        fresh = self.optimizer.init(self._trained(machine), machine.backend.xp)
        # Other parameters are trained than before, or in another dtype, or by another optimizer.
        if _outline(fresh) != _outline(state.optimizer_state):
            state.optimizer_state = fresh
        if state.hidden_offset is not None:
            dtype = machine.hidden_bias.dtype
            state.hidden_offset = machine.backend.xp.astype(state.hidden_offset, dtype)
        return state

    def _trained(self, machine: Machine) -> dict[str, Any]:
        return machine.parameters if self.fit_intercept else machine.couplings.parameters

    @property
    def n_draws(self) -> int | None:
        """Draws of random numbers that each update takes; None if only the phase knows."""
        return stretches.n_draws(self.negative_phase)

    def updates(
        self,
        state: TrainingState,
        data: Any,
        rate: float,
        end_of_epoch: bool = False,
        weights: np.ndarray | None = None,
        n_data_draws: int = 0,
    ) -> None:
        """Updates of `state`, in place, from one batch after the other.

        Parameters
        ----------
        state : TrainingState
        data : array of shape (n, V)
            Spins or mean spins.
        rate : float
        end_of_epoch : bool, default=False
            Whether the last of the batches ends an epoch.
        weights : array of shape (n,), optional
            Of a single batch: see `update`.
        n_data_draws : int, default=0
            Draws that each batch has taken, whose names stand before those of its update.
        """
        n_rows, start = data.shape[0], 0
        while start < n_rows:
            n_whole = 0 if weights is not None else stretches.n_at_once(self, state)
            stop = min(start + max(1, n_whole) * self.batch_size, n_rows)
            part, is_last = data[start:stop, :], end_of_epoch and stop == n_rows
            if n_whole > 0:
                stretches.make(self, state, part, rate, is_last, n_data_draws)
            else:
                state.stream.reserve(n_data_draws)
                self.update(state, part, rate, is_last, weights)
            start = stop

    def update(
        self,
        state: TrainingState,
        data: Any,
        rate: float,
        end_of_epoch: bool = False,
        weights: np.ndarray | None = None,
    ) -> None:
        """One update of `state`, in place, from a batch of spins or mean spins, shape (n, V).

        Weights of the rows are on the host, with a sum of one; None are equal ones.
        Nothing here waits for the backend: whether training has diverged, `check` finds out.
        """
        machine = state.machine
        n_rows = self.negative_phase.n_rows(machine.couplings, self.batch_size, state.chains)
        sampler = machine.for_rows(n_rows)
        negative, chains = self.negative_phase.states(sampler, data, state.chains, state.stream)
        data_weights, n_data = None, data.shape[0]
        if weights is not None:
            data_weights = _like(weights, data, machine.backend)
            n_data = 1.0 / float(np.sum(weights**2))  # as many equal ones tell as much
        # Moves the offset that comes next.
        gap = self._visible_gap(state, data, data_weights, negative)
        offset, observe = self._visible_offset(state), partial(self._observe_hidden, state)
        statistics = phase_statistics(
            machine,
            sampler,
            data,
            negative,
            gap,
            offset,
            observe,
            probe=self.optimizer.scaled,
            data_weights=data_weights,
        )
        gradient = {name: statistics.gradient[name] for name in self._trained(machine)}
        direction, state.optimizer_state = self.optimizer.direction(
            gradient, state.optimizer_state, machine.backend.xp
        )
        scale = rate
        if self.optimizer.scaled:
            variance = energy_variance(machine, statistics, direction)
            share = share_of_full_step(n_data, negative, machine.backend)
            length = rate * negative.step_share
            squared_length = length * length * machine.n_visible * share
            scale = step_scale(squared_length, variance, gradient, direction, machine.backend)
        state.n_updates += 1
        state.chains = chains
        project = self.projection.is_due(state.n_updates, end_of_epoch)
        self._step(state, direction, scale, project)

    @property
    def _is_centered(self) -> bool:
        return self.center and self.fit_intercept

    def _visible_offset(self, state: TrainingState) -> Any:
        if not self._is_centered:
            return None
        machine = state.machine
        return machine.backend.xp.astype(state.visible_offset, machine.visible_bias.dtype)

    def _visible_gap(
        self, state: TrainingState, data: Any, weights: Any, negative: NegativeStates
    ) -> Any:
        """Visible means of the data less the model's; the offset moves towards the former.

        Plain sums over counts: where all states of both agree, the gap is zero, not rounding.
        """
        backend, n_data = state.machine.backend, data.shape[0]
        data_mean = backend.column_sums(data, weights)
        if weights is None:
            data_mean = data_mean / n_data
        state.n_rows += n_data
        share = n_data / state.n_rows
        state.visible_offset = (1.0 - share) * state.visible_offset + share * data_mean
        if not self.fit_intercept:
            return None
        model_mean = backend.column_sums(negative.visible, negative.weights)
        if negative.weights is None:
            model_mean = model_mean / negative.visible.shape[0]
        return data_mean - model_mean

    def _observe_hidden(self, state: TrainingState, mean: Any) -> Any:
        """Move the hidden offset towards the hidden means of the batch."""
        if state.hidden_offset is None:
            state.hidden_offset = mean
        r = max(HIDDEN_OFFSET_RATE, 1.0 / (state.n_updates + 1))
        state.hidden_offset = (1.0 - r) * state.hidden_offset + r * mean
        return state.hidden_offset

    def check(self, state: TrainingState) -> None:
        """Raise Diverged if a parameter is no longer finite, or too large.

        The state is then spoiled: go back to a copy.
        """
        xp, to_numpy = state.machine.backend.xp, state.machine.backend.to_numpy
        for name, p in state.machine.parameters.items():
            if not bool(xp.all(xp.abs(p) <= LARGEST_PARAMETER)):
                largest = float(np.max(np.abs(to_numpy(p))))
                raise Diverged(f"the largest element of {name} has grown to {largest:g}")

    def _step(self, state: TrainingState, direction: Arrays, scale: Any, project: bool) -> None:
        """Move the parameters along the direction, in place.

        In the centred parametrisation the biases are b' = b + Wλ and c' = c + Wᵀμ. It is they
        that the steps belong to; b and c also follow what happens to W.
        """
        machine = state.machine
        before = self._mean_fields(state)
        state.is_whole = False
        for name, p in self._trained(machine).items():
            machine.backend.add_scaled(p, direction[name], scale)
        couplings = machine.couplings.parameters.values()
        self.penalty.shrink(couplings, scale, state.n_rows, state.n_updates, machine.backend)
        if project:
            self.projection(machine, state.stream)
        if before is not None:
            after = self._mean_fields(state)
            machine.backend.add_scaled(machine.visible_bias, before[0] - after[0], 1.0)
            machine.backend.add_scaled(machine.hidden_bias, before[1] - after[1], 1.0)
        state.is_whole = True

    def _mean_fields(self, state: TrainingState) -> tuple[Any, Any] | None:
        """Wλ and Wᵀμ, if the parametrisation is centred."""
        if not self._is_centered:
            return None
        machine, backend = state.machine, state.machine.backend
        no_b, no_c = map(backend.xp.zeros_like, (machine.visible_bias, machine.hidden_bias))
        mean_v, mean_h = self._visible_offset(state), state.hidden_offset
        of_hidden = backend.field(mean_h[None, :], machine.couplings.to_visible(no_b))
        of_visible = backend.field(mean_v[None, :], machine.couplings.to_hidden(no_c))
        return of_hidden[0, :], of_visible[0, :]


def _like(weights: np.ndarray, data: Any, backend: Any) -> Any:
    """Weights on the host as an array where the data are, of their dtype."""
    return backend.xp.astype(backend.asarray(weights), data.dtype)


def _map_arrays(tree: Any, function: Callable) -> Any:
    """Apply a function to the arrays in nested dicts, tuples and dataclasses."""
    if isinstance(tree, dict):
        return {name: _map_arrays(value, function) for name, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_map_arrays(value, function) for value in tree)
    if is_dataclass(tree):
        own = {f.name: getattr(tree, f.name) for f in fields(tree)}
        return replace(tree, **_map_arrays(own, function))
    return function(tree) if hasattr(tree, "shape") else tree


def _outline(tree: Any) -> Any:
    """Names, shapes and dtypes of the arrays in nested dicts and tuples, without their values."""
    if isinstance(tree, dict):
        return {name: _outline(value) for name, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map(_outline, tree))
    return (tuple(tree.shape), str(tree.dtype)) if hasattr(tree, "shape") else None


def batches(n_rows: int, batch_size: int) -> Iterator[slice]:
    """The rows of each batch of an epoch.

    Examples
    --------
    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for start in range(0, n_rows, batch_size):
        yield slice(start, min(start + batch_size, n_rows))
