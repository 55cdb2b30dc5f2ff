"""Training: two sets of states, the difference of their statistics, one step.

`Trainer.update` makes an update by the methods of a backend. For small models, most of its time is
the interpreter's. So `Trainer.updates` makes the updates of several batches in one call of the
backend where settings and strategies allow it (`sklearn_rapid.training.fused`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import SPINS, RandomStream, Units
from sklearn_rapid.machine.couplings import Arrays, Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training import fused
from sklearn_rapid.training.centering import (
    center_gradient,
    mean_fields,
    move_hidden_offset,
    move_visible_offset,
    visible_offset,
)
from sklearn_rapid.training.latent_means import allows_latent_means, use_latent_means
from sklearn_rapid.training.negative_phase import NegativePhase, NegativeStates
from sklearn_rapid.training.positive_phase import (
    NONE_MISSING,
    PositivePhase,
    fill_with_column_means,
)
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.statistics import RowCounts, Sums, row_sums, weights_or_equal
from sklearn_rapid.training.steps.penalties import Penalty
from sklearn_rapid.training.steps.projections import Projection
from sklearn_rapid.training.steps.step_length import n_varied_units, scale_step, variances
from sklearn_rapid.training.steps.visible_scale import next_scale, scale_sums

# No model of data has a parameter of this size; one on its way to infinity does.
LARGEST_PARAMETER = 1e4


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
        Completes rows with missing entries.
    n_latent : int
        Number of visible units, the last ones, that are missing in every row.
    """

    negative_phase: NegativePhase
    optimizer: Any
    batch_size: int = 100
    projection: Projection = field(default_factory=Projection)
    fit_intercept: bool = True
    center: bool = True
    penalty: Penalty = field(default_factory=Penalty)
    positive_phase: PositivePhase = NONE_MISSING
    n_latent: int = 0

    # --- before the first update --------------------------------------------------------

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
        """Make the state before the first update, given the first batch and its weights.

        Real units need the scales of their columns, and the smallest scales allowed.

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
            data = fill_with_column_means(data, backend)
        weights = _on_backend(weights, data, backend)
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
        varied = n_varied_units(variances(visible_units, total / n, n, backend), backend)
        return TrainingState(
            machine,
            stream,
            optimizer_state=self.optimizer.init(self._trained(machine), xp),
            chains=self.negative_phase.start(machine, self.batch_size, stream),
            # An estimate from the first batch: no rows have been seen.
            visible_offset=total / n,
            hidden_offset=None,
            visible_scale=visible_scale,
            visible_spread=visible_scale,
            smallest_scale=smallest_scale,
            unusual_rows=None if bool(varied == n_visible) else data[:0, :],
        )

    def resume(self, state: TrainingState) -> TrainingState:
        """Add to a state, in place, what this trainer needs and another one did not leave."""
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

    # --- updates ------------------------------------------------------------------------

    def updates(
        self,
        state: TrainingState,
        data: Any,
        rate: float,
        end_of_epoch: bool = False,
        weights: np.ndarray | None = None,
        n_data_draws: int = 0,
    ) -> None:
        """Update `state`, in place, from one batch after the other.

        Parameters
        ----------
        state : TrainingState
        data : array of shape (n, V)
            States of the visible units, or their means; real ones at a scale of one. Missing
            entries are NaN, if the positive phase completes rows.
        rate : float
        end_of_epoch : bool, default=False
            Whether the last of the batches ends an epoch.
        weights : array of shape (n,), optional
            Of a single batch: see `update`.
        n_data_draws : int, default=0
            Draws that each batch has taken, numbered before those of its update.
        """
        n_rows, start = data.shape[0], 0
        while start < n_rows:
            n_fused = 0 if weights is not None else fused.count_fused_updates(self, state)
            stop = min(start + max(1, n_fused) * self.batch_size, n_rows)
            part, is_last = data[start:stop, :], end_of_epoch and stop == n_rows
            if n_fused > 0:
                fused.make_fused_updates(self, state, part, rate, is_last, n_data_draws)
            else:
                state.stream.reserve(n_data_draws)
                self.update(state, part, rate, is_last, weights)
            start = stop

    @property
    def n_draws(self) -> int | None:
        """Draws of random numbers in each update; None if only the negative phase knows."""
        return None if self.positive_phase.completes else fused.count_draws(self.negative_phase)

    def update(
        self,
        state: TrainingState,
        data: Any,
        rate: float,
        end_of_epoch: bool = False,
        weights: np.ndarray | None = None,
    ) -> None:
        """Update `state`, in place, from one batch of rows as `updates` takes them.

        Weights of the rows are on the host, with a sum of one; None are equal ones.
        Nothing here waits for the backend: `check` finds out whether training has diverged.
        """
        data = self.positive_phase.states(state.machine, state.states_of(data), state.stream)
        data_weights = _on_backend(weights, data, state.machine.backend)
        state.chains = self.negative_phase.before_update(state.chains, state.machine.backend)
        sums = self.sums(state, data, data_weights)
        self.step(state, sums, rate, end_of_epoch)

    def sums(self, state: TrainingState, data: Any, weights: Any = None) -> Sums:
        """Draw the model's states, moving the chains on, and sum over these and a batch.

        Parameters
        ----------
        state : TrainingState
        data : array of shape (n, V)
        weights : array of shape (n,), optional
            On the backend, with a sum of one.
        """
        sampler, phase, stream = self.sampler(state), self.negative_phase, state.stream
        negative, state.chains = phase.states(sampler, data, state.chains, stream)
        if self.n_latent == 0:
            negative, state.chains = phase.with_known_states(
                negative, sampler, data, state.chains, stream
            )
        counts = RowCounts(data.shape[0], negative.visible.shape[0])
        sums = self.sums_of(state, sampler, data, negative, counts, weights)
        if self.n_latent > 0 and allows_latent_means(sampler, negative):
            offset = self._visible_offset(state)
            sums = use_latent_means(sums, sampler, negative, self.n_latent, offset, stream)
        return sums

    def sampler(self, state: TrainingState) -> Machine:
        """Return the machine in the form that maps the rows of an update most cheaply."""
        machine = state.machine
        n_rows = self.negative_phase.n_rows(machine.couplings, self.batch_size, state.chains)
        return machine.for_rows(n_rows)

    def sums_of(
        self,
        state: TrainingState,
        sampler: Machine,
        data: Any,
        negative: NegativeStates,
        counts: RowCounts,
        weights: Any = None,
    ) -> Sums:
        """Sum over rows and states of the model, which may be some of all that are counted."""
        machine, of_scales = state.machine, None
        if state.visible_scale is not None:
            own = weights_or_equal(weights, data, counts.n_data, machine.backend)
            of_scales = scale_sums(machine, data, own)
        offset, probe = self._visible_offset(state), self.optimizer.scaled
        sums = row_sums(machine, sampler, data, negative, offset, counts, weights, probe)
        return replace(sums, of_scales=of_scales)

    def step(
        self, state: TrainingState, sums: Sums, rate: float, end_of_epoch: bool = False
    ) -> None:
        """Change the state, in place, by the sums over a whole batch and all chains."""
        backend, visible_scale = state.machine.backend, self._next_scale(state, sums, rate)
        state.chains = self.negative_phase.after_update(state.chains, sums.log_ratios, backend)
        gradient = self._gradient(state, sums)
        direction, state.optimizer_state = self.optimizer.direction(
            gradient, state.optimizer_state, backend.xp
        )
        scale = rate
        if self.optimizer.scaled:
            scale = scale_step(state, sums, rate, gradient, direction, self._is_centered)
        state.n_updates += 1
        project = self.projection.is_due(state.n_updates, end_of_epoch)
        self._move(state, direction, scale, project)
        state.visible_scale = visible_scale

    def check(self, state: TrainingState) -> None:
        """Raise Diverged if a parameter is no longer finite, or too large.

        The state is then spoiled: go back to a copy.
        """
        xp, to_numpy = state.machine.backend.xp, state.machine.backend.to_numpy
        for name, p in state.machine.parameters.items():
            if not bool(xp.all(xp.abs(p) <= LARGEST_PARAMETER)):
                largest = float(np.max(np.abs(to_numpy(p))))
                raise Diverged(f"the largest element of {name} has grown to {largest:g}")

    # --- inside -------------------------------------------------------------------------

    @property
    def _is_centered(self) -> bool:
        return self.center and self.fit_intercept

    def _visible_offset(self, state: TrainingState) -> Any:
        return visible_offset(state) if self._is_centered else None

    def _trained(self, machine: Machine) -> dict[str, Any]:
        return machine.parameters if self.fit_intercept else machine.couplings.parameters

    def _next_scale(self, state: TrainingState, sums: Sums, rate: float) -> Any:
        """Compute the scales of real units after an update; None if there are none."""
        if state.visible_scale is None:
            return None
        limits, mean = (state.visible_spread, state.smallest_scale), state.visible_offset
        return next_scale(state.visible_scale, *limits, state.machine, sums.of_scales, rate, mean)

    def _gradient(self, state: TrainingState, sums: Sums) -> Arrays:
        """Compute the gradient in all trained parameters, and move the offsets μ and λ."""
        xp, dtype = state.machine.backend.xp, state.machine.visible_bias.dtype
        before, data_mean = visible_offset(state), sums.data_visible / sums.data_weight
        move_visible_offset(state, data_mean, sums.n_rows)
        if not self.fit_intercept:
            return sums.gradient
        gap = xp.astype(data_mean - sums.model_visible / sums.model_weight, dtype)
        hidden_gap = xp.astype(sums.data_hidden + sums.model_hidden, dtype)
        move_hidden_offset(state, xp.astype(sums.data_hidden, dtype))
        gradient = sums.gradient
        if self.center:
            gradient = center_gradient(state, gradient, before, gap, hidden_gap)
        return {**gradient, "visible_bias": gap, "hidden_bias": hidden_gap}

    def _move(self, state: TrainingState, direction: Arrays, scale: Any, project: bool) -> None:
        """Move the parameters along the direction, in place; biases also follow the couplings."""
        machine, backend = state.machine, state.machine.backend
        before = mean_fields(state) if self._is_centered else None
        state.is_whole = False
        for name, p in self._trained(machine).items():
            backend.add_scaled(p, direction[name], scale)
        couplings = machine.couplings.parameters.values()
        self.penalty.shrink(couplings, scale, state.n_rows, state.n_updates, backend)
        if project:
            # Without maps cached from the parameters before the step.
            self.projection(replace(machine), state.stream)
        if before is not None:
            after = mean_fields(state)
            backend.add_scaled(machine.visible_bias, before[0] - after[0], 1.0)
            backend.add_scaled(machine.hidden_bias, before[1] - after[1], 1.0)
        state.machine = replace(machine)
        state.is_whole = True


def _on_backend(weights: np.ndarray | None, data: Any, backend: Any) -> Any:
    """Move weights of rows from the host to where the data are, in their dtype."""
    return None if weights is None else backend.xp.astype(backend.asarray(weights), data.dtype)


def _outline(tree: Any) -> Any:
    """List names, shapes and dtypes of the arrays in nested dicts and tuples."""
    if isinstance(tree, dict):
        return {name: _outline(value) for name, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map(_outline, tree))
    return (tuple(tree.shape), str(tree.dtype)) if hasattr(tree, "shape") else None
