"""The distribution of a column given the other columns of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.estimators.methods.likelihood import N_ANNEALED, N_TEMPERATURES
from sklearn_rapid.estimators.model import Model
from sklearn_rapid.machine.completions import log_weights_of_states
from sklearn_rapid.tables.encoder import chunks

# Densities of states are sums of normal ones of unit variance: sums over nodes at these distances
# are integrals, to rounding, of the density; and of values to some digits.
COARSE_STEP, FINE_STEP = 0.5, 0.05
# Nodes reach this far beyond the outermost normal density, or to where densities are less than the
# exponential of this number below their largest value.
REACH, SMALLEST_LOG_P = 8.0, -40.0


class ConditionalMixin:
    """Distributions of one column given the others."""

    def conditional(
        self,
        X: ArrayLike,
        column: Any,
        *,
        n_chains: int = N_ANNEALED,
        n_temperatures: int = N_TEMPERATURES,
    ) -> np.ndarray:
        """Compute the distribution of a column given the other columns of each row.

        It is exact for rows whose other columns are known, up to rounding. Other missing entries
        are summed over by annealing, as in `score_samples`.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Entries of the column itself are not read. A frame may leave it out, and others that
            are missing, of a model that was fitted to one.
        column : int or str
            Number or name of a column.
        n_chains : int, default=16
        n_temperatures : int, default=100
            Of annealing, for rows with other missing entries.

        Returns
        -------
        ndarray of shape (n_samples, n_values) or (n_samples, 2)
            Of a binary column, the probabilities of its lower and its higher value. Of a
            categorical one, those of ``categories_[column]``, and last those of codes not seen in
            fit, with ``handle_unknown="infrequent"``. Of a real column, its mean and its standard
            deviation, in the units of X.

        Raises
        ------
        ValueError
            For a column that X does not have.
        """
        check_is_fitted(self)
        X, model = self._validate_conditions(X), self._model()
        column = find_column(column, model.table)
        part, place = model.table.part_of(column)
        stream, how = model.stream(), (n_chains, n_temperatures)
        with model.backend.running():
            encoder = model.encoder(X)
            encoder.check(X)
            found = [
                _distribution_of_states(model, encoder.states(X[rows]), column, stream, how)
                for rows in chunks(X.shape[0])
            ]
            if part.encoder.has_density:
                return np.concatenate([_moments(*pair, model, column) for pair in found])
        p = np.concatenate([np.exp(log_p) for log_p, _ in found])
        return part.encoder.probabilities(place, p)


def find_column(column: Any, table: Any) -> int:
    """Find the number of a column given by number or name; ValueError if there is none."""
    names = table.names if table.schema is None else [c.name for c in table.schema.columns]
    if names is not None and column in list(names):
        return list(names).index(column)
    is_number = isinstance(column, int | np.integer) and not isinstance(column, bool)
    if is_number and -table.n_columns <= column < table.n_columns:
        return int(column) % table.n_columns
    raise ValueError(f"X has no column {column!r}")


def _distribution_of_states(
    model: Model, v: Any, column: int, stream: Any, how: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute log probabilities of states of a column's units given the rest of each row.

    Returns
    -------
    array of shape (n, B)
        Of spikes and codes; and of nodes of a grid, whose sum is an integral.
    array of shape (B, n_units)
        The states.
    """
    units = np.flatnonzero(model.table.column_of_unit == column)
    part, place = model.table.part_of(column)
    choices = part.encoder.choices_of(place)
    if not part.encoder.has_density:
        log_f = _log_weights(model, v, units, choices, stream, how)
        return log_f - logsumexp(log_f, axis=1, keepdims=True), choices
    grid = _Grid(model, units)
    coarse = _log_weights(model, v, units, grid.states(COARSE_STEP), stream, how)
    grid = grid.narrowed(coarse)
    states = np.concatenate([choices, grid.states(FINE_STEP)])
    log_f = _log_weights(model, v, units, states, stream, how)
    log_f[:, len(choices) :] += np.log(FINE_STEP)
    return log_f - logsumexp(log_f, axis=1, keepdims=True), states


def _log_weights(
    model: Model, v: Any, units: np.ndarray, states: np.ndarray, stream: Any, how: tuple
) -> np.ndarray:
    found = log_weights_of_states(model.machine, v, units, states, stream, *how)
    return model.backend.to_numpy(found)


class _Grid:
    """Nodes of a real unit, the last of a column's, with the code before it on, if there is one."""

    def __init__(self, model: Model, units: np.ndarray) -> None:
        machine, to_numpy = model.machine, model.backend.to_numpy
        self.n_units = len(units)
        weights = to_numpy(machine.couplings.to_dense().weights)[units[-1]]
        centre = float(to_numpy(machine.visible_bias)[units[-1]])
        reach = float(np.abs(weights).sum()) + REACH
        self.ends = centre - reach, centre + reach

    def states(self, step: float) -> np.ndarray:
        nodes = np.arange(self.ends[0], self.ends[1] + step, step)
        states = np.zeros((len(nodes), self.n_units))
        states[:, -1] = nodes
        states[:, -2:-1] = 1.0
        return states

    def narrowed(self, log_p: np.ndarray) -> _Grid:
        """Keep the part of the grid in which a row has a density, by that at coarse nodes."""
        is_some = log_p > log_p.max(axis=1, keepdims=True) + SMALLEST_LOG_P
        some = np.flatnonzero(is_some.any(axis=0))
        low = self.ends[0] + (some[0] - 1) * COARSE_STEP
        self.ends = low, self.ends[0] + (some[-1] + 1) * COARSE_STEP
        return self


def _moments(log_p: np.ndarray, states: np.ndarray, model: Model, column: int) -> np.ndarray:
    """Compute mean and standard deviation of a column from probabilities of its units' states."""
    units = np.flatnonzero(model.table.column_of_unit == column)
    rows = np.zeros((len(states), model.machine.n_visible))
    rows[:, units] = states
    decoded = model.encoder().decode(model.machine.cast(rows))
    values, p = model.backend.to_numpy(decoded)[:, column], np.exp(log_p)
    mean = p @ values
    deviations = values[None, :] - mean[:, None]
    return np.column_stack([mean, np.sqrt(np.sum(p * deviations * deviations, axis=1))])
