"""Weights of a mixture that make rows set aside most likely."""

from __future__ import annotations

import numpy as np

# Steps of EM, and the gain in nats a row below which it stops.
MOST_STEPS, SMALLEST_GAIN = 1000, 1e-7


def find_weights(log_p: np.ndarray, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """Find the weights of a mixture that make rows most likely, by EM from equal weights.

    The likelihood has no other maximum, as it is concave in the weights. Smyth and Wolpert (1999),
    "Linearly combining density estimators via stacking".

    Parameters
    ----------
    log_p : array of shape (n_members, n_rows)
        Log-likelihoods of the rows, which no member has been trained on.
    sample_weight : array of shape (n_rows,), optional

    Returns
    -------
    array of shape (n_members,)

    Examples
    --------
    >>> p = np.array([[0.9, 0.9, 0.1], [0.1, 0.1, 0.9]])
    >>> find_weights(np.log(p)).round(2)
    array([0.71, 0.29])
    """
    p = np.exp(log_p - log_p.max(axis=0))
    weights, before = np.full(len(p), 1.0 / len(p)), -np.inf
    for _ in range(MOST_STEPS):
        total = weights @ p
        after = float(np.average(np.log(total), weights=sample_weight))
        if after - before < SMALLEST_GAIN:
            break
        before = after
        weights = weights * np.average(p / total, axis=1, weights=sample_weight)
    return weights / weights.sum()


def keep_largest(
    weights: np.ndarray, smallest: float, n_most: int, always: int, share: float
) -> np.ndarray:
    """Set small weights to zero, and that of one member to a share at least.

    Parameters
    ----------
    weights : array of shape (n_members,)
    smallest : float
        Weights below it become zero.
    n_most : int
        The number of weights that are kept, the largest, besides that member's.
    always : int
        The member that has at least its share.
    share : float

    Examples
    --------
    >>> keep_largest(np.array([0.0, 0.005, 0.595, 0.4]), 0.01, 1, always=0, share=0.1)
    array([0.1, 0. , 0.9, 0. ])
    """
    rank = np.argsort(np.argsort(-weights, kind="stable"), kind="stable")
    kept = np.where((weights >= smallest) & (rank < n_most), weights, 0.0)
    kept[always] = max(kept[always], weights[always])
    kept = kept / kept.sum()
    if kept[always] < share:
        others = kept.sum() - kept[always]
        kept *= (1.0 - share) / others if others > 0.0 else 0.0
        kept[always] = share
    return kept / kept.sum()
