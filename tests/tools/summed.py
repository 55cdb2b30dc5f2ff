"""Small machines of units of any kind, straight from E(v, h), by sums over the states of layers.

Real units are integrated by Gauss and Hermite's rule, whose nodes are states with weights. Nothing
here uses the package, which is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product

import numpy as np
from scipy.special import logsumexp

# Nodes of a real unit: exact to rounding for integrals of exp(θv - v²/2) where |θ| < 3.
N_NODES = 40


@dataclass(frozen=True)
class Spikes:
    """Columns with so many codes each, and a real unit each that is zero unless the last is on."""

    sizes: tuple


def nodes():
    """Values of a real unit, and the logarithms of their weights: base measure and rule."""
    values, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    return values, np.log(weights)


def states_of(kind, n_units, reals=None):
    """States of a layer, and the logarithms of their weights in a sum over all of them.

    A kind is "spins", "gaussians", a tuple with the sizes of groups of categories, `Spikes`, or a
    list of pairs (kind, number of units). Real units have other values and weights with `reals`.
    """
    reals = nodes() if reals is None else reals
    if isinstance(kind, list):
        return side_by_side([states_of(*part, reals) for part in kind])
    if isinstance(kind, Spikes):
        each = [states_of_column(size, *reals) for size in kind.sizes]
        states, log_weights = side_by_side(each)
        ends = np.cumsum([size + 1 for size in kind.sizes]) - 1
        return np.hstack([np.delete(states, ends, axis=1), states[:, ends]]), log_weights
    if kind == "spins":
        values, log_weights = np.array([-1.0, 1.0]), np.zeros(2)
    elif kind == "gaussians":
        values, log_weights = reals
    else:
        one_hot = [
            np.concatenate([np.eye(size)[i] for i, size in zip(choice, kind, strict=True)])
            for choice in product(*map(range, kind))
        ]
        return np.array(one_hot), np.zeros(len(one_hot))
    states = np.array(list(product(values, repeat=n_units)))
    return states, np.array([sum(w) for w in product(log_weights, repeat=n_units)])


def side_by_side(layers):
    """States of several layers, each with all of the others, and the sums of log weights."""
    states, log_weights = np.zeros((1, 0)), np.zeros(1)
    for others, log_of_others in layers:
        i, j = (k.ravel() for k in np.indices((len(states), len(others))))
        states = np.hstack([states[i], others[j]])
        log_weights = log_weights[i] + log_of_others[j]
    return states, log_weights


def states_of_column(size, values, log_weights):
    """States of a column of `Spikes`, its codes and then its real unit, and their log weights."""
    spikes, rest = np.eye(size)[:-1], np.tile(np.eye(size)[-1], (len(values), 1))
    states = np.vstack(
        [np.column_stack([spikes, np.zeros(size - 1)]), np.column_stack([rest, values])]
    )
    return states, np.concatenate([np.zeros(size - 1), log_weights])


def log_base(kind, v):
    """The logarithm of the base measure at each row, of real units."""
    if isinstance(kind, list):
        return sum(log_base(part, v[:, where]) for part, where in parts_of(kind))
    if isinstance(kind, Spikes):
        v = v[:, sum(kind.sizes) :]
    elif kind != "gaussians":
        return np.zeros(len(v))
    return -0.5 * np.sum(v * v, axis=1)


def reals_of(kind, n_units):
    """The columns of real units."""
    if isinstance(kind, list):
        return [
            j + where.start
            for part, where in parts_of(kind)
            for j in reals_of(part, where.stop - where.start)
        ]
    if isinstance(kind, Spikes):
        return list(range(sum(kind.sizes), n_units))
    return list(range(n_units)) if kind == "gaussians" else []


def groups_of(kind):
    """The columns of each group of categories."""
    return [slice(*ends) for ends in pairwise(accumulate(kind, initial=0))]


def parts_of(kind):
    """Each kind of a list, and its columns."""
    ends = pairwise(accumulate((n for _, n in kind), initial=0))
    return [(part, slice(*where)) for (part, _), where in zip(kind, ends, strict=True)]


@dataclass
class Summed:
    """A machine whose every state has been visited.

    Parameters
    ----------
    W : array of shape (V, H)
    b : array of shape (V,)
    c : array of shape (H,)
    visible, hidden : "spins", "gaussians", tuple of int, Spikes or list of pairs
    """

    W: np.ndarray
    b: np.ndarray
    c: np.ndarray
    visible: object = "spins"
    hidden: object = "spins"

    def __post_init__(self):
        self.v, self.log_v = states_of(self.visible, len(self.b))
        self.h, self.log_h = states_of(self.hidden, len(self.c))

    def log_f(self, v):
        """log Σ_h exp(-E(v, h)) of any rows."""
        theta = v @ self.W + self.c
        of_hidden = logsumexp(theta @ self.h.T + self.log_h, axis=1)
        return v @ self.b + log_base(self.visible, v) + of_hidden

    def log_joint(self):
        """Log of the weight of each pair of states in Z."""
        fields = self.v @ self.W @ self.h.T + (self.v @ self.b)[:, None] + self.h @ self.c
        return fields + self.log_v[:, None] + self.log_h

    def log_z(self):
        """Log of the sum, or integral, over all states of both layers."""
        return float(logsumexp(self.log_joint()))

    def log_likelihood(self, v):
        """Mean over rows of log P(v)."""
        return float(np.mean(self.log_f(v)) - self.log_z())

    def hidden_mean(self, v):
        """E[h | v] of each row."""
        log_p = (v @ self.W + self.c) @ self.h.T + self.log_h
        return np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True)) @ self.h

    def transposed(self):
        """The same machine with the layers' roles exchanged."""
        return Summed(self.W.T, self.c, self.b, self.hidden, self.visible)

    def at(self, beta, base):
        """The machine of a rung of a ladder, at inverse temperature β."""
        return replace(self, W=beta * self.W, b=(1 - beta) * base + beta * self.b, c=beta * self.c)

    def probabilities(self):
        """P(v) of each visible state; with the weights of nodes, where units are real."""
        log_p = logsumexp(self.log_joint(), axis=1)
        return np.exp(log_p - logsumexp(log_p))

    def hidden_probabilities(self):
        """P(h) of each hidden state."""
        return self.transposed().probabilities()

    def sample_visible(self, n_rows, rng):
        """Independent draws from P(v); real units by way of the hidden states."""
        is_list = isinstance(self.visible, list)
        if not is_list and not reals_of(self.visible, len(self.b)):
            return self.v[rng.choice(len(self.v), size=n_rows, p=self.probabilities())]
        h = self.h[rng.choice(len(self.h), size=n_rows, p=self.hidden_probabilities())]
        kind = self.visible if is_list else [(self.visible, len(self.b))]
        return np.hstack([
            drawn(part, h @ self.W[where].T + self.b[where], rng) for part, where in parts_of(kind)
        ])  # fmt: skip


def drawn(kind, field, rng):
    """Units drawn in the field of each row."""
    if kind == "gaussians":
        return field + rng.normal(size=field.shape)
    if isinstance(kind, Spikes):
        return drawn_spikes(kind.sizes, field, rng)
    states, _ = states_of(kind, field.shape[1])
    # The largest of log-probabilities with Gumbel noise is at a state with its probability.
    return states[np.argmax(field @ states.T + rng.gumbel(size=(len(field), len(states))), axis=1)]


def drawn_spikes(sizes, field, rng):
    """Columns of `Spikes` drawn in the field of each row: codes, then numbers where they exist."""
    n_codes, ends = sum(sizes), np.cumsum(sizes) - 1
    values, log_weights = nodes()
    log_p, phi = field[:, :n_codes].copy(), field[:, n_codes:]
    log_p[:, ends] += logsumexp(phi[:, :, None] * values + log_weights, axis=2)
    codes = drawn(tuple(sizes), log_p, rng)
    return np.hstack([codes, codes[:, ends] * (phi + rng.normal(size=phi.shape))])
