"""A fitted model: its machine, the table that it was fitted to, and what training has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.checks.arguments import check_option
from sklearn_rapid.checks.arrays import check_array
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.estimators.fitted import check_fitted, check_training_state
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.samples import Source
from sklearn_rapid.machine.tempered_partition import tempered_log_partition
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.table import Table
from sklearn_rapid.training.positive_phase import ClampedChains
from sklearn_rapid.training.state import TrainingState

# Draws of a fitted model's own (estimates, sampled features) lie far from those of training.
FIRST_DRAW = 1 << 62
# Columns of a ladder that start from rows of the data.
N_STARTED_FROM_ROWS = 4


@dataclass(frozen=True)
class Model:
    """A fitted model, which does not change while its estimator is fitted again.

    Attributes
    ----------
    machine : Machine
    table : Table
    left : dict
        What training has left (`TrainingState.to_host`).
    name : str
        Of the estimator's class.
    """

    machine: Machine
    table: Table
    left: dict[str, Any]
    name: str

    @property
    def backend(self) -> Any:
        """That of the machine."""
        return self.machine.backend

    def encoder(self, X: Any = None) -> Encoder:
        """What encodes X; without an X, what encodes and decodes such rows as were fitted."""
        return self.table.encoder(self.backend, X)

    @cached_property
    def state(self) -> TrainingState:
        """What training has left, as the state of the machine; ValueError if it is of another."""
        check_training_state(self.left, self.machine)
        return TrainingState.from_host(self.left, self.machine)

    def stream(self) -> RandomStream:
        """The model's own random numbers, the same ones at every call."""
        return RandomStream(self.left["stream"].seed, FIRST_DRAW)

    @property
    def known_states(self) -> np.ndarray:
        """Rows of great weight that the fit has kept, int8 on the host; there may be none."""
        kept = self.left.get("known_states")
        return np.empty((0, self.machine.n_visible), dtype=np.int8) if kept is None else kept

    def tempered(self, stream: RandomStream, **how: Any) -> tuple:
        """log Z by tempering, half of it from rows and chains of training; see there."""
        machine, xp = self.machine, self.backend.xp
        chains, dtype = self.state.chains, machine.visible_bias.dtype
        start = chains.model_states(self.backend)
        starts = [] if start is None else [xp.astype(start, dtype)]
        rows = self.known_states[:N_STARTED_FROM_ROWS]
        if len(rows):
            # Where chains of training never were, rows may be.
            starts.insert(0, xp.astype(self.backend.asarray(rows), dtype))
        start = xp.concat(starts, axis=0) if starts else None
        how |= {"start": start, "betas": chains.betas, "states": self.known_states}
        return tempered_log_partition(machine, stream, **how)

    def starting_states(self, init: Any, n: int, stream: RandomStream) -> Any:
        """States that n plain chains start at, of shape (n, V).

        Parameters
        ----------
        init : {"random", "patterns"}, array of shape (n_rows, n_columns) or None
            None is where chains of training are, or random states.
        n : int
        stream : RandomStream
        """
        machine, xp = self.machine, self.backend.xp
        chains, dtype = self.state.chains.model_states(self.backend), machine.visible_bias.dtype
        if init is None and chains is not None:
            states = xp.astype(chains, dtype)
        elif init is None or isinstance(init, str):
            init = "random" if init is None else init
            check_option("init", init, ("random", "patterns"))
            if init == "random":
                fields = xp.zeros((n, machine.n_visible), dtype=dtype)
                draw = stream.reserve()
                drawn = machine.visible_units.sample(fields, self.backend, stream, draw)
                return xp.astype(drawn, dtype)
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
    """How an estimator becomes a model."""

    def _model(self, X: Any = None, backend: Any = None) -> Model:
        """The fitted model, on the backend that serves X if no other one is given."""
        fitted = self._snapshot()
        machine = fitted._machine(self._backend_at_hand(X) if backend is None else backend)
        return Model(machine, fitted._table, fitted._training_state, type(self).__name__)

    def _snapshot(self, attributes: Mapping[str, Any] | None = None) -> Self:
        """The estimator with its attributes as they are now, or with others."""
        # All of them at once: another thread may be fitting this estimator.
        fitted = object.__new__(type(self))
        vars(fitted).update({**vars(self), **(attributes or {})})
        return fitted

    def _machine(self, backend: Any) -> Machine:
        """The fitted machine; ValueError for attributes that do not belong together."""
        check_fitted(self)
        b, c = (
            backend.asarray(bias, self._dtype)
            for bias in (self.intercept_visible_, self.intercept_hidden_)
        )
        return Machine(
            self._fitted_couplings(backend),
            b,
            c,
            backend,
            visible_units=self._table.visible_units,
            hidden_units=self._hidden_units,
        )

    def _state_of(self, attributes: dict[str, Any], backend: Any) -> TrainingState:
        """The training state of the estimator with these attributes, in arrays of its own."""
        fitted = self._snapshot(attributes)
        # Training changes arrays in place: the estimator keeps its own until it is done.
        machine = fitted._machine(backend).copy()
        check_training_state(fitted._training_state, machine)
        return TrainingState.from_host(fitted._training_state, machine)

    def _own_stream(self) -> RandomStream:
        return RandomStream(self._training_state["stream"].seed, FIRST_DRAW)

    def _fitted_parameters(self) -> list[np.ndarray]:
        """All parameters of the fitted machine, as they are kept."""
        couplings = self._fitted_couplings(get_backend("numpy"))
        return [*couplings.parameters.values(), self.intercept_visible_, self.intercept_hidden_]


def fitted_model(estimator: Any, X: Any = None, backend: Any = None) -> Model:
    """The model of a fitted estimator, on the backend that serves X if no other one is given."""
    return estimator._model(X, backend)


def source_of(estimator: Any, model: Model) -> Source:
    """What `sample` draws from."""
    return estimator._source(model)


def validated(estimator: Any, X: Any) -> Any:
    """Rows of X as an array, if the fitted estimator can read them."""
    return estimator._validate(X, reset=False)
