"""The distribution of a column given the other columns of a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.estimators.methods.likelihood import N_ANNEALED, N_TEMPERATURES
from sklearn_rapid.estimators.model import Model
from sklearn_rapid.machine.completions import log_weights_of_states
from sklearn_rapid.tables.columns import names_of
from sklearn_rapid.tables.encoder import chunks
from sklearn_rapid.tables.reals.quadrature import Rule
from sklearn_rapid.tables.settings import find_column

# Distance of the nodes that show where a real unit has a density.
COARSE_STEP = 0.5
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

        It is exact, up to rounding, for rows whose other columns are known, or have at most 1024
        completions. Other missing entries, and units of upper hidden layers, are summed over by
        annealing, as in `score_samples`.

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
        model = self._model()
        table = model.table
        names = names_of(table.schema, range(table.n_columns)) or table.names
        column = find_column(column, table.n_columns, names, "column")
        X = self._validate_conditions(X, unread=column)
        return self._distributions(X, column, how=(n_chains, n_temperatures))

    def _distributions(
        self,
        X: Any,
        column: int,
        *,
        are_sides: bool = False,
        how: tuple[int, int] = (N_ANNEALED, N_TEMPERATURES),
    ) -> np.ndarray:
        """Compute distributions as `conditional` does, of rows of numbers.

        With `are_sides`, of a real column whose entries are known: the probabilities of values
        below and above these, each with half the probability of the entries themselves.
        """
        model = self._model()
        part, place = model.table.part_of(column)
        stream, found = model.stream(), []
        with model.backend.running():
            encoder = model.encoder(X)
            for rows in chunks(X.shape[0]):
                sums, v = _Sums(model, column, stream, how), encoder.states(X[rows])
                found.append(sums.sides(v) if are_sides else sums.distributions(v))
        found = np.concatenate(found)
        return found if part.encoder.has_density else part.encoder.probabilities(place, found)


class _Sums:
    """Sums over the states of a column's units given the other units of rows.

    Parameters
    ----------
    model : Model
    column : int
    stream : RandomStream
        All sums take the same random numbers, from here on.
    how : tuple of int
        Chains and temperatures of annealing.
    """

    def __init__(
        self, model: Model, column: int, stream: RandomStream, how: tuple[int, int]
    ) -> None:
        self.model, self.stream, self.start, self.how = model, stream, stream.position, how
        self.units = np.flatnonzero(model.table.column_of_unit == column)
        part, self.place = model.table.part_of(column)
        self.encoder = part.encoder

    def distributions(self, v: Any) -> np.ndarray:
        """Compute probabilities of states in each row, or mean and standard deviation."""
        if self.encoder.has_density:
            return self._moments(v)
        return softmax(self._log_weights(v, self.encoder.choices_of(self.place)), axis=1)

    def sides(self, v: Any) -> np.ndarray:
        """Compute the probabilities that a real column is below and above its own state in v.

        Each has half the probability of the state itself. States are in the order of the real unit,
        between whose nodes logarithms are interpolated; a spike stands where its value would.
        """
        p, (states, _, values) = self._probabilities_of_nodes(v)
        own = self.model.backend.to_numpy(v[:, self.units]).astype(np.float64)
        nodes, x, n_spikes = states[:, -1].copy(), own[:, -1], states.shape[1] - 2
        if n_spikes > 0:
            rest = n_spikes + np.argsort(nodes[n_spikes:])
            nodes[:n_spikes] = np.interp(values[:n_spikes], values[rest], nodes[rest])
            code = np.argmax(own[:, :-1], axis=1)
            x = np.where(code < n_spikes, nodes[np.minimum(code, n_spikes - 1)], x)
        nodes, place = np.unique(nodes, return_inverse=True)
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(nodes)))
        p = np.add.reduceat(p[:, order], starts, axis=1)
        below = np.cumsum(p, axis=1) - 0.5 * p
        above = np.cumsum(p[:, ::-1], axis=1)[:, ::-1] - 0.5 * p
        i, rows = np.clip(np.searchsorted(nodes, x), 1, len(nodes) - 1), np.arange(len(p))
        share = np.clip((x - nodes[i - 1]) / (nodes[i] - nodes[i - 1]), 0.0, 1.0)
        logs = [np.log(np.maximum(side, np.finfo(float).tiny)) for side in (below, above)]
        found = [(1 - share) * side[rows, i - 1] + share * side[rows, i] for side in logs]
        return np.exp(np.column_stack(found))

    def _moments(self, v: Any) -> np.ndarray:
        """Compute mean and standard deviation of a real column in each row."""
        p, (_, _, values) = self._probabilities_of_nodes(v)
        mean = p @ values
        deviations = values[None, :] - mean[:, None]
        return np.column_stack([mean, np.sqrt(np.sum(p * deviations * deviations, axis=1))])

    def _probabilities_of_nodes(self, v: Any) -> tuple[np.ndarray, Rule]:
        """Compute the probabilities of a real column's nodes in each row, and the nodes."""
        coarse = self._coarse_nodes()
        log_p = self._log_weights(v, self._states_of_rest(coarse))
        is_some = log_p > log_p.max(axis=1, keepdims=True) + SMALLEST_LOG_P
        some = np.flatnonzero(is_some.any(axis=0))
        ends = coarse[some[0]] - COARSE_STEP, coarse[some[-1]] + COARSE_STEP
        rule = self.encoder.rule(self.place, *ends)
        states, weights = rule.states, rule.weights
        if self._is_estimated(v):
            # Annealing takes its time: densities are those at coarse nodes, and between them.
            is_spike = (states[:, -2:-1] == 0.0).any(axis=1)
            log_f = CubicSpline(coarse, log_p, axis=1)(states[:, -1])
            if is_spike.any():
                log_f[:, is_spike] = self._log_weights(v, states[is_spike])
        else:
            log_f = self._log_weights(v, states)
        return softmax(log_f + np.log(weights), axis=1), rule

    def _log_weights(self, v: Any, states: np.ndarray) -> np.ndarray:
        machine, same = self.model.machine, replace(self.stream, position=self.start)
        found = log_weights_of_states(machine, v, self.units, states, same, *self.how)
        self.stream.position = max(self.stream.position, same.position)
        return self.model.backend.to_numpy(found)

    def _coarse_nodes(self) -> np.ndarray:
        """Make nodes that reach to where the real unit has no density, whatever the row."""
        machine, to_numpy = self.model.machine, self.model.backend.to_numpy
        weights = to_numpy(machine.couplings.to_dense().weights)[self.units[-1]]
        centre = float(to_numpy(machine.visible_bias)[self.units[-1]])
        reach = float(np.abs(weights).sum()) + REACH
        return np.arange(centre - reach, centre + reach + COARSE_STEP, COARSE_STEP)

    def _states_of_rest(self, nodes: np.ndarray) -> np.ndarray:
        """Make states of the real unit, the last of a column's, with the code before it on."""
        states = np.zeros((len(nodes), len(self.units)))
        states[:, -1] = nodes
        states[:, -2:-1] = 1.0
        return states

    def _is_estimated(self, v: Any) -> bool:
        """Whether units other than those of the column are missing."""
        xp, others = self.model.backend.xp, np.ones(v.shape[1], dtype=bool)
        others[self.units] = False
        return bool(xp.any((v != v) & self.model.backend.asarray(others)))
