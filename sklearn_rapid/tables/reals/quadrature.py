"""Integrate over a real unit: nodes between the points where a column's values bend or jump."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

# Densities of units are sums of normal ones of unit variance. Gauss and Legendre's rule integrates
# them to ten digits with so many nodes on pieces up to these lengths.
NODES_OF_LENGTHS = ((2, 0.05), (3, 0.2), (6, 0.5))


class Rule(NamedTuple):
    """States of a column's units for a sum over all of them.

    Attributes
    ----------
    states : array of shape (B, n_units)
    weights : array of shape (B,)
    values : array of shape (B,)
        What the column has at the states.
    """

    states: np.ndarray
    weights: np.ndarray
    values: np.ndarray


def integrate_between(bends: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Make nodes and weights of an integral of a density times a function that bends at points.

    Examples
    --------
    >>> nodes, weights = integrate_between(np.array([1.0]), -9.0, 9.0)
    >>> p = np.exp(-0.5 * nodes**2) / np.sqrt(2.0 * np.pi)
    >>> print((weights @ (p * (nodes < 1.0))).round(9))  # of a normal variable below one
    0.841344746
    """
    longest = NODES_OF_LENGTHS[-1][1]
    edges = np.linspace(low, high, 1 + int(np.ceil((high - low) / longest)))
    edges = np.unique(np.concatenate([edges, bends[(bends > low) & (bends < high)]]))
    lengths, nodes, weights = np.diff(edges), [], []
    for (_, short), (n, long) in pairwise(((0, 0.0), *NODES_OF_LENGTHS)):
        x, w = np.polynomial.legendre.leggauss(n)
        is_last = long == longest
        these = np.flatnonzero((lengths > short) & ((lengths <= long) | is_last))
        half = 0.5 * lengths[these, None]
        nodes.append(edges[these, None] + half + half * x)
        weights.append(half * w)
    return tuple(np.concatenate([a.ravel() for a in parts]) for parts in (nodes, weights))
