"""Training: two sets of states, the difference of their statistics, one step.

`Trainer.update` says what an update is, by the methods of a backend. What it takes in between is
the interpreter: for small models, most of the time. So `Trainer.updates` hands the updates of
several batches to a backend that makes them in one call, where settings and strategies are such
that it can be told so (`sklearn_rapid.training.fused`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import SPINS, RandomStream, Units
from sklearn_rapid.machine.couplings import Arrays, Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training import fused
from sklearn_rapid.training.latent_means import can_be_means, with_latent_means
from sklearn_rapid.training.negative_phase import NegativePhase, NegativeStates
from sklearn_rapid.training.positive_phase import (
    AS_THEY_ARE,
    PositivePhase,
    filled_with_column_means,
)
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.statistics import HIDDEN_OFFSET_RATE, Probe, Sums, Whole, row_sums
from sklearn_rapid.training.steps.penalties import Penalty
from sklearn_rapid.training.steps.projections import Projection
from sklearn_rapid.training.steps.step_length import (
    energy_changes,
    mean_and_variance,
    most_unusual,
    n_varied_units,
    share_of_full_step,
    shortened,
    step_scale,
    variances,
)
from sklearn_rapid.training.steps.visible_scale import next_scale

# No model of data has a parameter of this size; one on its way to infinity does.
LARGEST_PARAMETER = 1e4

NO_PROJECTION, NO_PENALTY = Projection(), Penalty()


class Diverged(ArithmeticError):
    """A parameter became infinite, NaN or larger than `LARGEST_PARAMETER`."""


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
    positive_phase : PositivePhase
        What completes rows that are not known as a whole.
    n_latent : int
        How many of the visible units, the last ones, no row shows.
    """

    negative_phase: NegativePhase
    optimizer: Any
    batch_size: int = 100
    projection: Projection = NO_PROJECTION
    fit_intercept: bool = True
    center: bool = True
    penalty: Penalty = NO_PENALTY
    positive_phase: PositivePhase = AS_THEY_ARE
    n_latent: int = 0

    def start(
        self,
        couplings: Couplings,
        data: Any,
        stream: RandomStream,
        backend: Any,
        weights: np.ndarray | None = None,
        visible_units: Units = SPINS,
        hidden_units: Units = SPINS,
        visible_scale: Any = None,
        smallest_scale: Any = None,
    ) -> TrainingState:
        """The state before the first update, given the first batch and its weights.

        Of real units, scales are given too: those of the columns, and the smallest ones to come.

        Biases start where units without couplings would fit the data: b is the field of the mean,
        its artanh for spins (with one row added that is the mean in no field), and c = -Wᵀμ, so
        that hidden units are balanced.
        """
        xp = backend.xp
        n_visible, n_hidden = couplings.shape
        visible_bias = xp.zeros(n_visible, dtype=data.dtype)
        hidden_bias = xp.zeros(n_hidden, dtype=data.dtype)
        n = data.shape[0]
        if visible_scale is not None:
            data = data / xp.astype(visible_scale, data.dtype)
        if self.positive_phase.completes:
            data = filled_with_column_means(data, backend)
        weights = None if weights is None else _like(weights, data, backend)
        total = backend.column_sums(data, weights) * (1.0 if weights is None else n)
        if self.fit_intercept:
            added = visible_units.mean(xp.zeros((1, n_visible), dtype=xp.float64), backend)
            mean = xp.astype((total + added[0, :]) / (n + 1), data.dtype)
            visible_bias = visible_units.field_of_mean(mean, backend)
            if self.center:
                up = couplings.to_hidden(hidden_bias)
                hidden_bias = -backend.field(mean[None, :], up)[0, :]
        machine = Machine(
            couplings,
            visible_bias,
            hidden_bias,
            backend,
            is_even=not self.fit_intercept and visible_units.are_even and hidden_units.are_even,
            visible_units=visible_units,
            hidden_units=hidden_units,
        )
        self.negative_phase.check(machine)
        self.projection.check(machine)
        of_units = variances(visible_units, total / n, n, backend)
        varies = bool(n_varied_units(of_units, backend) == n_visible)
        return TrainingState(
            machine,
            stream,
            optimizer_state=self.optimizer.init(self._trained(machine), xp),
            chains=self.negative_phase.start(machine, self.batch_size, stream),
            # No rows have been seen: only where the first ones lie.
            visible_offset=total / n,
            hidden_offset=None,
            visible_scale=visible_scale,
            visible_spread=visible_scale,
            smallest_scale=smallest_scale,
            unusual_rows=None if varies else data[:0, :],
        )

    def resume(self, state: TrainingState) -> TrainingState:
        """The state, with what this trainer needs and another one did not leave."""
        is_even = not self.fit_intercept and state.machine.is_symmetric
        machine = state.machine = replace(state.machine, is_even=is_even)
        self.negative_phase.check(machine)
        self.projection.check(machine)
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
        return None if self.positive_phase.completes else fused.n_draws(self.negative_phase)

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
            States of the visible units, or means of such; real ones at a scale of one. NaN where
            they are not known, if the positive phase completes rows.
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
            n_whole = 0 if weights is not None else fused.n_at_once(self, state)
            stop = min(start + max(1, n_whole) * self.batch_size, n_rows)
            part, is_last = data[start:stop, :], end_of_epoch and stop == n_rows
            if n_whole > 0:
                fused.make(self, state, part, rate, is_last, n_data_draws)
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
        """One update of `state`, in place, from a batch of rows as `updates` takes them.

        Weights of the rows are on the host, with a sum of one; None are equal ones.
        Nothing here waits for the backend: whether training has diverged, `check` finds out.
        """
        data = self.positive_phase.states(state.machine, state.states_of(data), state.stream)
        data_weights = None if weights is None else _like(weights, data, state.machine.backend)
        state.chains = self.negative_phase.before_update(state.chains, state.machine.backend)
        scale = state.visible_scale
        if scale is not None:
            limits = state.visible_spread, state.smallest_scale
            scale = next_scale(scale, *limits, state.machine, data, data_weights, rate)
        sums = self.sums(state, data, data_weights)
        self.step(state, sums, rate, end_of_epoch)
        state.visible_scale = scale

    def sums(self, state: TrainingState, data: Any, weights: Any = None) -> Sums:
        """What a batch says of the model; the chains move on.

        Parameters
        ----------
        state : TrainingState
        data : array of shape (n, V)
        weights : array of shape (n,), optional
            On the backend, with a sum of one.
        """
        sampler = self.sampler(state)
        negative, state.chains = self.negative_phase.states(
            sampler, data, state.chains, state.stream
        )
        if self.n_latent == 0:
            negative, state.chains = self.negative_phase.with_known_states(
                negative, sampler, data, state.chains, state.stream
            )
        whole = Whole(data.shape[0], negative.visible.shape[0])
        sums = self.sums_of(state, sampler, data, negative, whole, weights)
        if self.n_latent > 0 and can_be_means(sampler, negative):
            how = (self.n_latent, self._visible_offset(state), state.stream)
            sums = with_latent_means(sums, sampler, negative, *how)
        return sums

    def sampler(self, state: TrainingState) -> Machine:
        """The machine in the form in which the rows of an update are mapped most cheaply."""
        machine = state.machine
        n_rows = self.negative_phase.n_rows(machine.couplings, self.batch_size, state.chains)
        return machine.for_rows(n_rows)

    def sums_of(
        self,
        state: TrainingState,
        sampler: Machine,
        data: Any,
        negative: NegativeStates,
        whole: Whole,
        weights: Any = None,
    ) -> Sums:
        """What some rows and states of the model say, of so many in all."""
        offset, probe = self._visible_offset(state), self.optimizer.scaled
        return row_sums(state.machine, sampler, data, negative, offset, whole, weights, probe)

    def step(
        self, state: TrainingState, sums: Sums, rate: float, end_of_epoch: bool = False
    ) -> None:
        """Change the state, in place, by what all rows of a batch and all chains have said."""
        machine = state.machine
        backend = machine.backend
        state.chains = self.negative_phase.after_update(state.chains, sums.log_ratios, backend)
        gradient = self._gradient(state, sums)
        direction, state.optimizer_state = self.optimizer.direction(
            gradient, state.optimizer_state, backend.xp
        )
        scale = rate
        if self.optimizer.scaled:
            scale = self._scale(state, sums, rate, gradient, direction)
        state.n_updates += 1
        project = self.projection.is_due(state.n_updates, end_of_epoch)
        self._step(state, direction, scale, project)

    def _scale(
        self, state: TrainingState, sums: Sums, rate: float, gradient: Arrays, direction: Arrays
    ) -> Any:
        """How far to go along the direction."""
        machine, backend = state.machine, state.machine.backend
        probe = self._probe(sums.probes, state)
        changes = energy_changes(machine, probe.visible, probe.hidden, direction)
        mean, variance = mean_and_variance(changes, probe.weights, backend.xp)
        length = rate * state.chains.step_share
        of_units = variances(machine.visible_units, state.visible_offset, state.n_rows, backend)
        squared_length = length * length * n_varied_units(of_units, backend)
        squared_length = squared_length * share_of_full_step(sums, backend)
        scale = step_scale(squared_length, variance, gradient, direction, backend)
        if state.unusual_rows is None:
            return scale
        rows = _joined([state.unusual_rows, *(probe.visible for probe in sums.probes)], backend.xp)
        state.unusual_rows = most_unusual(rows, state.visible_offset, of_units, backend)
        unusual = self._probe([Probe(state.unusual_rows, None)], state)
        changes = energy_changes(machine, unusual.visible, unusual.hidden, direction) - mean
        return shortened(scale, squared_length, changes, backend)

    @property
    def _is_centered(self) -> bool:
        return self.center and self.fit_intercept

    def _visible_offset(self, state: TrainingState) -> Any:
        if not self._is_centered:
            return None
        machine = state.machine
        return machine.backend.xp.astype(state.visible_offset, machine.visible_bias.dtype)

    def _gradient(self, state: TrainingState, sums: Sums) -> Arrays:
        """The gradient in all that is trained; the offsets μ and λ move with the data.

        Sums are centred at μ from before. With the moved offsets, Σ_n w_n (v_n - μ)ᵀ W (t_n - λ)
        has two rows more: the gaps between data and model are those of the sums.
        """
        machine, xp = state.machine, state.machine.backend.xp
        before, dtype = self._visible_offset(state), machine.visible_bias.dtype
        data_mean = sums.data_visible / sums.data_weight
        self._observe_visible(state, data_mean, sums.n_rows)
        if not self.fit_intercept:
            return sums.gradient
        gap = xp.astype(data_mean - sums.model_visible / sums.model_weight, dtype)
        hidden_gap = xp.astype(sums.data_hidden + sums.model_hidden, dtype)
        self._observe_hidden(state, xp.astype(sums.data_hidden, dtype))
        gradient = sums.gradient
        if self.center:
            moved = before - self._visible_offset(state)
            v = xp.concat([-gap[None, :], moved[None, :]])
            t = xp.concat([state.hidden_offset[None, :], hidden_gap[None, :]])
            gradient = machine.couplings.gradient(v, t, machine.backend, add_to=gradient)
        return {**gradient, "visible_bias": gap, "hidden_bias": hidden_gap}

    def _observe_visible(self, state: TrainingState, mean: Any, n_rows: int) -> None:
        """Move the visible offset towards the mean of all rows seen."""
        state.n_rows += n_rows
        share = n_rows / state.n_rows
        state.visible_offset = (1.0 - share) * state.visible_offset + share * mean

    def _observe_hidden(self, state: TrainingState, mean: Any) -> None:
        """Move the hidden offset towards the hidden means of the batch."""
        if state.hidden_offset is None:
            state.hidden_offset = mean
        r = max(HIDDEN_OFFSET_RATE, 1.0 / (state.n_updates + 1))
        state.hidden_offset = (1.0 - r) * state.hidden_offset + r * mean

    def _probe(self, probes: Sequence[Probe], state: TrainingState) -> Probe:
        """All probed states, less the offsets."""
        machine, xp = state.machine, state.machine.backend.xp
        visible, hidden = [], []
        for probe in probes:
            visible.append(probe.visible)
            is_known = probe.hidden is not None
            hidden.append(probe.hidden if is_known else machine.hidden_mean(probe.visible))
        v, t = _joined(visible, xp), _joined(hidden, xp)
        if self._is_centered:
            v, t = v - self._visible_offset(state), t - state.hidden_offset
        return Probe(v, _joined([probe.weights for probe in probes], xp), t)

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
            # Without maps that were made of the parameters as they had been.
            self.projection(replace(machine), state.stream)
        if before is not None:
            after = self._mean_fields(state)
            machine.backend.add_scaled(machine.visible_bias, before[0] - after[0], 1.0)
            machine.backend.add_scaled(machine.hidden_bias, before[1] - after[1], 1.0)
        state.machine = replace(machine)
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


def _joined(arrays: list, xp: Any) -> Any:
    return arrays[0] if len(arrays) == 1 else xp.concat(arrays, axis=0)


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
