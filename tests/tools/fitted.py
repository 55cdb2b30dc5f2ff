"""Fitted models of tables, in float64 from their attributes alone: densities of rows, and sums.

Nothing here uses the package, which is compared with it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from tools.summed import Spikes, Summed, log_base, states_of

# What a column may hold that fit has not seen.
OTHER = {"text": "nothing like it", "number": 7777.0}
# Nodes of a piece of a real column's range, and how many scales a piece is long at most, and the
# range beyond the outermost normal distribution.
N_NODES, LONGEST, REACH = 6, 1.0, 9.0


def strengthen(model, seed=0, scale=0.6):
    """Set the parameters of a fitted model to larger random ones, which couple its columns."""
    rng = np.random.default_rng(seed)
    n_visible, n_hidden = len(model.intercept_visible_), len(model.intercept_hidden_)
    if hasattr(model, "visible_patterns_"):
        n = len(model.visible_patterns_)
        for name, size in (("visible_patterns_", n_visible), ("hidden_patterns_", n_hidden)):
            xi = scale**0.5 * rng.normal(size=(n, size))
            setattr(model, name, xi.astype(model.dtype))
    else:
        W = scale * rng.normal(size=(n_hidden, n_visible))
        model.components_ = W.astype(model.dtype)
    for name, size in (("intercept_visible_", n_visible), ("intercept_hidden_", n_hidden)):
        setattr(model, name, (0.4 * rng.normal(size=size)).astype(model.dtype))
    if hasattr(model, "mean_"):
        is_real = model.scale_ != 1.0
        model.mean_ = model.mean_ + 0.2 * is_real * rng.normal(size=n_visible)
        model.scale_ = np.where(is_real, model.scale_ * rng.uniform(0.6, 0.9, n_visible), 1.0)
    return model


class Fitted:
    """A fitted model of few units, and the sums over all its states.

    Parameters
    ----------
    model : RBM or RARBM
    """

    def __init__(self, model):
        self.model, self.n_columns = model, model.n_features_in_
        self.kind_of = {int(j): kind for kind, columns in model.visible_ for j in columns}
        layers, self.units, start = [], {}, 0
        for kind, columns in model.visible_:
            layer, widths = self._layer(kind, columns)
            layers.append((layer, sum(widths)))
            self._place(kind, columns, widths, start)
            start += sum(widths)
        b, c = (a.astype(float) for a in (model.intercept_visible_, model.intercept_hidden_))
        hidden = "gaussians" if model.hidden == "gaussian" else "spins"
        self.exact = Summed(model.components_.T.astype(float), b, c, layers, hidden)
        self.log_z = self.exact.log_z()

    def _layer(self, kind, columns):
        if kind == "categorical":
            sizes = tuple(len(self.codes_of_units(j)) for j in columns)
            return sizes, sizes
        if kind == "spiked":
            sizes = tuple(len(self.model.spikes_[j]) + 1 for j in columns)
            return Spikes(sizes), tuple(size + 1 for size in sizes)
        return {"binary": "spins"}.get(kind, "gaussians"), (1,) * len(columns)

    def _place(self, kind, columns, widths, start):
        """The numbers of each column's units; the real ones of columns with spikes come last."""
        n_codes = sum(widths) - len(columns)
        for i, j in enumerate(columns):
            if kind == "spiked":
                first = start + sum(w - 1 for w in widths[:i])
                self.units[j] = [*range(first, first + widths[i] - 1), start + n_codes + i]
            else:
                first = start + sum(widths[:i])
                self.units[j] = list(range(first, first + widths[i]))

    def attribute(self, name, j):
        """What a fitted attribute has for a column; None if there is nothing."""
        found = getattr(self.model, name, None)
        return None if found is None else found[j]

    def codes_of_units(self, j):
        """The codes that have a unit of their own, and None for the remainder."""
        rare = self.attribute("infrequent_categories_", j)
        codes = list(self.model.categories_[j])
        return codes if rare is None else [code for code in codes if code not in rare] + [None]

    # --- columns ----------------------------------------------------------------------------

    def state(self, j, x):
        """The states of a column's units; NaN of values that the model does not know."""
        kind, n = self.kind_of[j], len(self.units[j])
        if kind == "binary":
            values = self.attribute("categories_", j)
            on = x == (1.0 if values is None else values[1])
            return np.array([1.0 if on else -1.0])
        if kind == "categorical":
            codes = self.codes_of_units(j)
            if x in codes:
                return np.eye(n)[codes.index(x)]
            return np.eye(n)[-1] if codes[-1] is None else np.full(n, np.nan)
        unit = self.units[j][-1]
        v = (self.score(j, x)[0] - self.model.mean_[unit]) / self.model.scale_[unit]
        if kind != "spiked":
            return np.array([v])
        spikes = self.model.spikes_[j]
        if x in spikes:
            return np.append(np.eye(n - 1)[list(spikes).index(x)], 0.0)
        return np.append(np.eye(n - 1)[-1], v)

    def log_share(self, j, x):
        """log P(value | state), or the logarithm of a density."""
        kind = self.kind_of[j]
        if kind == "binary":
            return 0.0
        if kind == "spiked" and x in self.model.spikes_[j]:
            return -np.log(self.width_of_spikes(j))
        if kind != "categorical":
            return np.log(self.score(j, x)[1] / self.model.scale_[self.units[j][-1]])
        unseen, rare = (
            self.attribute(name, j) for name in ("unseen_shares_", "infrequent_categories_")
        )
        unseen = 0.0 if unseen is None else unseen
        if rare is not None and x in rare:
            return np.log(self.model.infrequent_shares_[j][list(rare).index(x)])
        if x not in self.model.categories_[j]:
            return np.log(unseen)
        return 0.0 if rare is not None else np.log(1.0 - unseen)

    def score(self, j, x):
        """The score of a number, and its slope."""
        if self.attribute("maps_", j) is None:
            return x, 1.0
        values, scores = self.model.maps_[j]
        piece = int(np.clip(np.sum(values <= x) - 1, 0, len(values) - 2))
        slope = (scores[piece + 1] - scores[piece]) / (values[piece + 1] - values[piece])
        return scores[piece] + slope * (x - values[piece]), slope

    def value(self, j, v):
        """The number at a state of the real unit of a column, neither rounded nor bounded."""
        unit = self.units[j][-1]
        z = self.model.mean_[unit] + self.model.scale_[unit] * np.asarray(v)
        if self.attribute("maps_", j) is None:
            return z
        values, scores = self.model.maps_[j]
        slopes = np.diff(values) / np.diff(scores)
        piece = np.clip(np.searchsorted(scores, z, side="right") - 1, 0, len(slopes) - 1)
        return values[piece] + (z - scores[piece]) * slopes[piece]

    def as_drawn(self, j, x):
        """The numbers that draws in place of these have: rounded, and within the range of fit."""
        if self.attribute("maps_", j) is None:
            return x
        half, (low, high) = 0.0, self.model.maps_[j][0][[0, -1]]
        decimals = self.attribute("decimals_", j)
        if decimals is not None:
            x, half = np.round(x, decimals), 0.5 * 10.0**-decimals
        return np.clip(x, low + half, high - half)

    def width_of_spikes(self, j):
        """The length of the numbers that round to a spike; one where its probability is a mass."""
        decimals = self.model.decimals_[j]
        return 1.0 if decimals is None else 10.0**-decimals

    def rule(self, j, longest=LONGEST, rounded=False):
        """Values of a column, and weights for a sum, or an integral, over all that it may hold.

        Real columns have Gauss and Legendre's nodes between the knots of the map, and between the
        edges of rounded values if asked for.
        """
        kind = self.kind_of[j]
        if kind == "binary":
            values = self.attribute("categories_", j)
            return [0.0, 1.0] if values is None else list(values), np.ones(2)
        if kind == "categorical":
            values, unseen = list(self.model.categories_[j]), self.attribute("unseen_shares_", j)
            if unseen:
                values.append(OTHER["text" if isinstance(values[0], str) else "number"])
            return values, np.ones(len(values))
        nodes, weights = self._rule_of_numbers(j, longest, rounded)
        spikes = self.attribute("spikes_", j)
        if spikes is None:
            return list(nodes), weights
        of_spikes = np.full(len(spikes), self.width_of_spikes(j))
        return [*spikes, *nodes], np.concatenate([of_spikes, weights])

    def _rule_of_numbers(self, j, longest, rounded):
        edges = self.edges(j, longest, rounded)
        x, w = np.polynomial.legendre.leggauss(N_NODES)
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
        return (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()

    def edges(self, j, longest=LONGEST, rounded=False):
        """The ends of the pieces of a real column's range that nodes of `rule` are in."""
        unit = self.units[j][-1]
        reach = REACH + np.abs(self.exact.W[unit]).sum()
        ends = self.exact.b[unit] - reach, self.exact.b[unit] + reach
        n_pieces = int(np.ceil((ends[1] - ends[0]) / longest))
        edges = self.value(j, np.linspace(*ends, n_pieces + 1))
        if self.attribute("maps_", j) is not None:
            knots = self.model.maps_[j][0]
            edges = np.concatenate([edges, knots])
            if rounded and self.attribute("decimals_", j) is not None:
                edges = np.concatenate([edges, self.edges_of_rounded(j)])
        # Sums of steps are off by rounding.
        edges = np.sort(edges)
        return edges[np.append(True, np.diff(edges) > 1e-12 * (edges[-1] - edges[0]))]

    def edges_of_rounded(self, j):
        """Where values of fit's range are rounded up and down."""
        step, knots = 10.0 ** -self.model.decimals_[j], self.model.maps_[j][0]
        return np.arange(knots[0], knots[-1] + 0.5 * step, step)

    def log_p_given_hidden(self, j, values):
        """log P of values of a column given each state of the hidden units, without shares."""
        layer, _ = self._layer(self.kind_of[j], [j])
        units, states = self.units[j], np.array([self.state(j, x) for x in values])
        field = self.exact.h @ self.exact.W[units].T + self.exact.b[units]
        v, log_v = states_of(layer, len(units))
        log_z = logsumexp(field @ v.T + log_v, axis=1, keepdims=True)
        return field @ states.T + log_base(layer, states) - log_z

    def log_marginal(self, j, values):
        """log P of values of a column alone, or log densities."""
        log_p = self.log_p_given_hidden(j, values)
        log_p = log_p + np.log(self.exact.hidden_probabilities())[:, None]
        return logsumexp(log_p, axis=0) + [self.log_share(j, x) for x in values]

    def draws_given_hidden(self, j):
        """Values that may be drawn of a discrete column, and their probabilities given h.

        Codes not seen are not drawn: infrequent ones have their share.
        """
        if self.kind_of[j] == "binary":
            values = self.rule(j)[0]
            return values, np.exp(self.log_p_given_hidden(j, values))
        values, shares = list(self.model.categories_[j]), np.ones(len(self.model.categories_[j]))
        rare = self.attribute("infrequent_categories_", j)
        for code in [] if rare is None else rare:
            of_rare = self.model.infrequent_shares_[j]
            shares[values.index(code)] = of_rare[list(rare).index(code)] / of_rare.sum()
        return values, np.exp(self.log_p_given_hidden(j, values)) * shares

    # --- rows -------------------------------------------------------------------------------

    def log_density(self, rows):
        """log P of rows, lists of values; all of them known to the model."""
        v, shares = np.zeros((len(rows), len(self.exact.b))), np.zeros(len(rows))
        for i, row in enumerate(rows):
            for j, x in enumerate(row):
                v[i, self.units[j]] = self.state(j, x)
                shares[i] += self.log_share(j, x)
        return self.exact.log_f(v) - self.log_z + shares

    def grid(self, columns=None, given=None, **how):
        """Rows with all values of some columns, and their weights; others are as given.

        Parameters
        ----------
        columns : list of int
            All by default.
        given : list, optional
            Values of the other columns.
        **how
            See `rule`.
        """
        columns = list(range(self.n_columns)) if columns is None else columns
        rules = [self.rule(j, **how) for j in columns]
        n = int(np.prod([len(values) for values, _ in rules]))
        weights = np.ones(1)
        for _, of_column in rules:
            weights = np.multiply.outer(weights, of_column).ravel()
        rows = [[None if given is None else given[j]] * n for j in range(self.n_columns)]
        combined = zip(*product(*(values for values, _ in rules)), strict=True)
        for j, values in zip(columns, combined, strict=True):
            rows[j] = list(values)
        return self.as_table(rows), weights

    def some_rows(self, n, seed=0):
        """Rows of values that their columns may hold, drawn at random; spikes half of the time."""
        rng, columns = np.random.default_rng(seed), []
        for j in range(self.n_columns):
            values, _ = self.rule(j)
            spikes, p = self.attribute("spikes_", j), np.ones(len(values))
            if spikes is not None:
                p[: len(spikes)] = len(values) / len(spikes)
            columns.append([values[i] for i in rng.choice(len(values), n, p=p / p.sum())])
        return self.as_table(columns)

    def as_table(self, columns):
        """Columns as a frame like that of fit, or as an array."""
        schema = getattr(self.model, "frame_", None)
        if schema is None:
            return np.column_stack([np.asarray(x, dtype=float) for x in columns])
        names = [column.name for column in schema.columns]
        return pd.DataFrame(dict(zip(names, columns, strict=True)))
