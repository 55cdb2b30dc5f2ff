"""Machines as arrays that are hard to sample, and sums over all of their states in float64.

Nothing here uses the package, which is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp

from tools.brute_force import all_spins


def of_spins(field):
    """log Σ exp(x·field) over all spins x."""
    return np.logaddexp(field, -field).sum(axis=1)


def of_gaussians(field):
    """log of the integral of exp(x·field - x·x/2)."""
    return 0.5 * np.sum(field**2, axis=1) + 0.5 * field.shape[1] * np.log(2.0 * np.pi)


def of_categories(n_codes):
    """log Σ exp(x·field) over one-hot columns of `n_codes` codes each."""
    return lambda field: logsumexp(field.reshape(len(field), -1, n_codes), axis=2).sum(axis=1)


@dataclass(frozen=True)
class Weights:
    """A machine: E(v, h) = -vᵀWh - b·v - c·h, with v·v/2 or h·h/2 for real units.

    One layer is of spins: `visible` is "binary", "gaussian", or the number of codes that each
    column has, `hidden` is "binary" or "gaussian".
    """

    W: np.ndarray
    b: np.ndarray
    c: np.ndarray
    visible: object = "binary"
    hidden: str = "binary"

    @property
    def sums_visible(self):
        """Whether visible states are enumerated; else hidden ones are."""
        if self.visible == "binary" and self.hidden == "binary":
            return len(self.b) <= len(self.c)
        return self.visible == "binary"

    @property
    def n_enumerated(self):
        """Spins of the layer that is enumerated."""
        return len(self.b if self.sums_visible else self.c)

    def log_weights(self):
        """All states of that layer, and the log of what each has in Z."""
        if self.sums_visible:
            states, log_f = all_spins(len(self.b)), self.log_f
        else:
            states, log_f = all_spins(len(self.c)), self.log_f_of_hidden
        parts = np.array_split(states, max(1, len(states) // 4096))
        return states, np.concatenate([log_f(part) for part in parts])

    def log_z(self):
        """log of the sum, or integral, over all states of both layers."""
        return float(logsumexp(self.log_weights()[1]))

    def log_f(self, v):
        """log of the sum over hidden states, of rows of visible spins."""
        of_hidden = of_gaussians if self.hidden == "gaussian" else of_spins
        return v @ self.b + of_hidden(v @ self.W + self.c)

    def log_f_of_hidden(self, h):
        """log of the sum over visible states, of rows of hidden spins."""
        known = {"binary": of_spins, "gaussian": of_gaussians}
        of_visible = known.get(self.visible) or of_categories(self.visible)
        return h @ self.c + of_visible(h @ self.W.T + self.b)

    def p(self, v):
        """The probability of one state of visible spins."""
        return float(np.exp(self.log_f(v[None, :])[0] - self.log_z()))

    def p_of_states(self, chosen):
        """The probability of those states of the enumerated layer that a function chooses."""
        states, log_w = self.log_weights()
        return float(np.exp(logsumexp(log_w[chosen(states)]) - logsumexp(log_w)))

    def draws(self, n, rng):
        """Independent draws of visible states: spins, real numbers or codes."""
        states, log_w = self.log_weights()
        p = np.exp(log_w - logsumexp(log_w))
        drawn = states[rng.choice(len(states), size=n, p=p / p.sum())]
        if self.sums_visible:
            return drawn
        field = drawn @ self.W.T + self.b
        if self.visible == "binary":
            return np.where(rng.random(field.shape) < expit(2.0 * field), 1.0, -1.0)
        if self.visible == "gaussian":
            return field + rng.normal(size=field.shape)
        by_column = (field + rng.gumbel(size=field.shape)).reshape(n, -1, self.visible)
        return by_column.argmax(axis=2)


# --- machines ---------------------------------------------------------------------------------


def signs(rng, *shape):
    """Fair coins of -1 and +1."""
    return rng.choice([-1.0, 1.0], size=shape)


def tuned(make, quantity, target, low, high):
    """The machine make(x) where a quantity rises through the target for the last time."""
    grid = np.linspace(low, high, 41)
    is_below = [quantity(make(x)) < target for x in grid]
    last = max(np.flatnonzero(is_below), default=len(grid) - 1)
    if last == len(grid) - 1:
        raise ValueError(f"no such machine between {low} and {high}")
    low, high = grid[last], grid[last + 1]
    for _ in range(25):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if quantity(make(middle)) > target else (middle, high)
    return make(high)


def random_machine(shape, scale, *, bias=0.3, seed=0, **units):
    """Independent normal couplings; `scale` is their size in the square root of the layers'."""
    rng = np.random.default_rng([seed, *shape])
    W = rng.normal(scale=scale / np.sqrt(sum(shape) / 2), size=shape)
    b, c = (rng.normal(scale=bias, size=n) for n in shape)
    return Weights(W, b, c, **units)


def two_modes(share, *, strength, n_visible=30, n_hidden=10, field=0.0, seed=0):
    """A direction, and its opposite with this share, made equal by the hidden biases.

    A visible field for the direction fights with them.
    """
    rng = np.random.default_rng(seed)
    direction, hidden = signs(rng, n_visible), signs(rng, n_hidden)
    W = strength * np.outer(direction, hidden)
    return tuned(
        lambda x: Weights(W, field * direction, -x * hidden),
        lambda weights: weights.p_of_states(lambda h: h @ hidden < 0),
        share, -20.0, 20.0,
    )  # fmt: skip


def clusters(n, *, strength=0.35, n_visible=40, spread=0.7, seed=3, **units):
    """Random directions, which n hidden units choose with unequal biases."""
    rng = np.random.default_rng(seed)
    W = strength * signs(rng, n_visible, n)
    return Weights(W, 0.1 * rng.normal(size=n_visible), rng.normal(scale=spread, size=n), **units)


def hole(rows, share, *, n_units=1, radius=1, n_other=4, other=0.1, bias=0.0, seed=0):
    """A weakly coupled machine with holes at these rows, the first of which has this share.

    For each row `n_units` hidden units turn on where fewer than `radius` spins differ from it. A
    visible field cancels their effect elsewhere.
    """
    rng, rows = np.random.default_rng(seed), np.atleast_2d(rows)
    n_visible = rows.shape[1]
    W = other * rng.normal(size=(n_visible, n_other))
    b, c = 0.2 * rng.normal(size=n_visible) + bias, 0.2 * rng.normal(size=n_other)
    columns = np.repeat(rows.T, n_units, axis=1)

    def make(depth):
        thresholds = np.full(columns.shape[1], -depth * (n_visible - 2 * radius))
        return Weights(
            np.hstack([W, depth * columns]), b + depth * columns.sum(axis=1),
            np.concatenate([c, thresholds]),
        )  # fmt: skip

    return tuned(make, lambda weights: weights.p(rows[0]), share, 0.0, 40.0)


def ordered(share, *, n_visible=30, n_free=0, n_units=2, onset=0.5, seed=0):
    """A phase of order around a row, with this share: a transition of first order in β.

    Units turn on together where the overlap with the row is above its onset; below it they do
    nothing, and there is no way to see that there is order beyond. The last `n_free` columns have
    nothing to do with it: at an onset near one it is a hole as large as all of their states.
    """
    row = signs(np.random.default_rng(seed), n_visible - n_free)
    columns = np.repeat(np.concatenate([row, np.zeros(n_free)])[:, None], n_units, axis=1)

    def make(x):
        c = np.full(n_units, -x * len(row) * onset)
        return Weights(x * columns, x * columns.sum(axis=1), c)

    def p_of_order(weights):
        return weights.p_of_states(lambda h: np.all(h > 0, axis=1))

    return tuned(make, p_of_order, share, 0.05, 8.0)


def blocks(one, n_blocks):
    """Independent machines side by side: 2^n phases, if each has two."""
    zero = np.zeros_like(one.W)
    W = np.block([[one.W if i == j else zero for i in range(n_blocks)] for j in range(n_blocks)])
    return Weights(W, np.tile(one.b, n_blocks), np.tile(one.c, n_blocks))


def potts(share, *, n_columns=24, n_codes=5, onset=0.7):
    """Columns of codes, most of which have one code in a phase with this share.

    Two units for each code are on if a larger share of columns than `onset` has that code.
    """
    columns = np.repeat(np.tile(np.eye(n_codes), (n_columns, 1)), 2, axis=1)

    def make(x):
        c = np.full(2 * n_codes, -x * n_columns * onset)
        return Weights(x * columns, x * columns.sum(axis=1), c, visible=n_codes)

    def p_of_order(weights):
        return weights.p_of_states(lambda h: np.any((h[:, ::2] > 0) & (h[:, 1::2] > 0), axis=1))

    return tuned(make, p_of_order, share, 0.1, 6.0)


def of_patterns(n_patterns, strength, *, shape=(30, 12), bias=0.2, seed=0):
    """W = ξ_vᵀ ξ_h / √K of patterns of signs."""
    rng = np.random.default_rng([seed, n_patterns])
    visible, hidden = (signs(rng, n_patterns, n) for n in shape)
    W = strength * visible.T @ hidden / np.sqrt(n_patterns)
    return Weights(W, *(rng.normal(scale=bias, size=n) for n in shape))


def deep(lower, n_above, strength, *, seed=0):
    """A machine with more units above its hidden ones; they follow the columns in W."""
    rng, n_hidden = np.random.default_rng(seed), len(lower.c)
    W = np.vstack([lower.W, strength * rng.normal(size=(n_above, n_hidden))])
    return Weights(W, np.concatenate([lower.b, 0.2 * rng.normal(size=n_above)]), lower.c)
