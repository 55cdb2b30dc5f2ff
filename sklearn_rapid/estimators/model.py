"""A fitted model: its machine, its table and its training state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.arguments import check_option
from sklearn_rapid.checks.arrays import check_array
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.estimators.fitted import check_fitted, check_training_state
from sklearn_rapid.machine.couplings import Couplings, MaskedCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.samples import SampleSource
from sklearn_rapid.machine.tempered_partition import tempered_log_partition
from sklearn_rapid.tables.encoder import CHUNK, Encoder
from sklearn_rapid.tables.table import Table
from sklearn_rapid.training.positive_phase import ClampedChains
from sklearn_rapid.training.state import TrainingState

# Draws of a fitted model's estimates and sampled features are far from those of training.
FIRST_DRAW = 1 << 62
# How many columns of a ladder start from rows of the data.
N_STARTED_FROM_ROWS = 4


@dataclass(frozen=True)
class Model:
    """A fitted model, which does not change while its estimator is fitted again.

    Attributes
    ----------
    machine : Machine
    table : Table
    host_state : dict
        The training state as `TrainingState.to_host` returns it.
    name : str
        Name of the estimator's class.
    """

    machine: Machine
    table: Table
    host_state: dict[str, Any]
    name: str

    @property
    def backend(self) -> Any:
        """The backend of the machine."""
        return self.machine.backend

    def encoder(self, X: Any = None) -> Encoder:
        """Make the encoder of X, or by default of rows like those of fit."""
        return self.table.encoder(self.backend, X)

    def for_chunks(self, X: Any) -> tuple[Machine, Encoder]:
        """Make the machine for chunks of rows of X and their encoder; ValueError for wrong values.

        To be called while the backend is running.
        """
        encoder = self.encoder(X)
        encoder.check(X)
        return self.machine.for_rows(CHUNK), encoder

    @cached_property
    def state(self) -> TrainingState:
        """The training state of the machine; ValueError if it belongs to another machine."""
        check_training_state(self.host_state, self.machine)
        return TrainingState.from_host(self.host_state, self.machine)

    def stream(self) -> RandomStream:
        """Make the model's own stream of random numbers, the same at every call."""
        return RandomStream(self.host_state["stream"].seed, FIRST_DRAW)

    @property
    def known_states(self) -> np.ndarray:
        """Rows of large weight that fit has kept, int8 on the host; there may be none."""
        kept = self.host_state.get("known_states")
        return np.empty((0, self.machine.n_visible), dtype=np.int8) if kept is None else kept

    def temper(self, stream: RandomStream, **how: Any) -> tuple:
        """Estimate log Z by `tempered_log_partition`, started at rows and chains of training."""
        machine, chains = self.machine, self.state.chains
        # Rows may be where chains of training never were.
        rows = self.known_states[:N_STARTED_FROM_ROWS]
        starts = (rows if len(rows) else None, chains.model_states(self.backend))
        starts = [machine.cast(states) for states in starts if states is not None]
        start = self.backend.xp.concat(starts, axis=0) if starts else None
        how |= {"start": start, "betas": chains.betas, "states": self.known_states}
        return tempered_log_partition(machine, stream, **how)

    def starting_states(self, init: Any, n: int, stream: RandomStream) -> Any:
        """Make the states that n plain chains start at, of shape (n, V).

        Parameters
        ----------
        init : {"random", "patterns"}, array of shape (n_rows, n_columns) or None
            None means the chains of training, or random states if there are none.
        n : int
        stream : RandomStream
        """
        machine, xp = self.machine, self.backend.xp
        chains = self.state.chains.model_states(self.backend)
        if init is None and chains is not None:
            states = machine.cast(chains)
        elif init is None or isinstance(init, str):
            init = "random" if init is None else init
            check_option("init", init, ("random", "patterns"))
            if init == "random":
                return machine.sample_independent(n, xp.zeros_like(machine.visible_bias), stream)
            states = self._signs_of_patterns()
        else:
            init = check_array(init, "init", (None, self.table.n_columns), missing=True)
            encoder = self.encoder(init)
            encoder.check(init, name="init")
            states = ClampedChains().states(machine, encoder.states(init), stream)
        return xp.take(states, xp.arange(n) % states.shape[0], axis=0)

    def _signs_of_patterns(self) -> Any:
        if not self.machine.visible_units.are_spins:
            raise ValueError(
                "init='patterns' starts at their signs, which are no states of real columns "
                "or categories"
            )
        if self.machine.patterns is None:
            raise ValueError(
                f"init='patterns' needs a model made of patterns (RARBM, RABM), got "
                f"{self.name}: use init='random' or visible states."
            )
        return self.backend.sign(self.machine.patterns)


class ModelMixin:
    """Conversion of fitted attributes to a machine or a `Model`, and back."""

    def _model(self, X: Any = None, backend: Any = None) -> Model:
        """Make the fitted model, by default on the backend that serves X."""
        snapshot = self._snapshot()
        return snapshot._model_on(self._available_backend(X) if backend is None else backend)

    def _snapshot(self, attributes: Mapping[str, Any] | None = None) -> Self:
        """Copy the estimator, with other attributes if given."""
        # All of them at once: another thread may be fitting this estimator.
        snapshot = object.__new__(type(self))
        vars(snapshot).update({**vars(self), **(attributes or {})})
        return snapshot

    def _model_on(self, backend: Any) -> Model:
        """Make the fitted model; ValueError for attributes that do not belong together."""
        table = self._table
        check_fitted(self, table)
        biases = (self.intercept_visible_, self.intercept_hidden_)
        machine = Machine(
            self._fitted_couplings(backend),
            *(backend.asarray(bias, self._dtype) for bias in biases),
            backend,
            visible_units=table.visible_units,
            hidden_units=self._hidden_units,
        )
        return Model(machine, table, self._training_state, type(self).__name__)

    def _state_of(self, attributes: dict[str, Any], backend: Any) -> TrainingState:
        """Make the training state of the estimator with these attributes, in arrays of its own."""
        model = self._snapshot(attributes)._model_on(backend)
        # Training changes arrays in place: the estimator keeps its own until it is done.
        return replace(model, machine=model.machine.copy()).state

    def _initial_couplings(self, n_visible: int, seed: int, backend: Any) -> Couplings:
        return self._make_couplings(self._initial_parameters(n_visible, seed), backend)

    def _fitted_couplings(self, backend: Any) -> Couplings:
        return self._make_couplings(self._fitted_parameters, backend)

    def _make_couplings(self, parameters: tuple[np.ndarray, ...], backend: Any) -> Couplings:
        couplings = self._couplings_class(*(backend.asarray(p, self._dtype) for p in parameters))
        mask = self._mask
        if mask is None:
            return couplings
        return MaskedCouplings(couplings, backend.asarray(mask, self._dtype))

    def _published(self, state: TrainingState) -> dict[str, Any]:
        """Copy a training state, which may go on changing in place, to fitted attributes."""
        machine = state.machine.copy()
        to_numpy = machine.backend.to_numpy
        scale = state.visible_scale
        return {
            **self._coupling_attributes(machine.couplings, to_numpy),
            "intercept_visible_": to_numpy(machine.visible_bias),
            "intercept_hidden_": to_numpy(machine.hidden_bias),
            "_training_state": state.to_host(),
            **({} if scale is None else {"scale_": to_numpy(scale)}),
        }

    def _own_stream(self) -> RandomStream:
        """Make the model's own stream of random numbers (`Model.stream`)."""
        return RandomStream(self._training_state["stream"].seed, FIRST_DRAW)


def get_fitted_model(estimator: Any, X: Any = None, backend: Any = None) -> Model:
    """Get the model of a fitted estimator, by default on the backend that serves X."""
    return estimator._model(X, backend)


def get_sample_source(estimator: Any, model: Model) -> SampleSource:
    """Get the source that `sample` draws from."""
    return estimator._sample_source(model)


def validate_rows(estimator: Any, X: Any) -> Any:
    """Validate rows of X for a fitted estimator."""
    return estimator._validate(X, reset=False)
