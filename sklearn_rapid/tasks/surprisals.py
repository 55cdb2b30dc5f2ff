"""How surprising each entry of a row is given the others, in nats."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.tasks.density import BoltzmannDensity

# Tails of real columns are computed down to the exponential of minus this, whatever the row.
LARGEST_OF_REALS = 35.0


def compute_surprisals(density: Any, X: Any) -> np.ndarray:
    """Compute -log P of each entry of X given the others of its row, in nats.

    Parameters
    ----------
    density : BoltzmannDensity or estimator of this package
        Fitted.
    X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        NaN where an entry is missing. Of real columns, P is the two-sided probability of the tail.
        The surprisal of an exclusive group given the other columns is that of its columns that are
        on, in equal parts; if none is, of all that are known.
    """
    numbers = density._validate_array(X, missing=True)
    numbers = numbers.toarray() if sparse.issparse(numbers) else numbers
    numbers = np.asarray(numbers, dtype=np.float64)
    given, groups = numbers, []
    if isinstance(density, BoltzmannDensity):
        given, groups = density._without_unseen(numbers)[0], density.groups_
    out = np.full(numbers.shape, np.nan)
    for j in np.setdiff1d(np.arange(numbers.shape[1]), [j for group in groups for j in group]):
        rows = np.flatnonzero(~np.isnan(numbers[:, j]))
        if rows.size:
            out[rows, j] = _surprisals_of_column(density, given[rows], numbers[rows], int(j))
    for group in groups:
        rows = np.flatnonzero(~np.isnan(given[:, group]).all(axis=1))
        if rows.size:
            out[np.ix_(rows, group)] = _surprisals_of_group(density, given[rows], group)
    # What a binary column cannot hold has this probability, whatever else is in the row.
    is_unseen = np.isnan(given) & ~np.isnan(numbers)
    if is_unseen.any():
        out[is_unseen] = np.log(density._n_rows + 2.0)
    return out


def _surprisals_of_column(
    density: Any, given: np.ndarray, numbers: np.ndarray, column: int
) -> np.ndarray:
    """Compute surprisals of the entries of a column, which are known, given those of others."""
    table, is_mixture = density._table, isinstance(density, BoltzmannDensity)
    part, place = table.part_of(column)
    if part.encoder.has_density:
        if is_mixture:
            sides = density._mixture.sides(given, column)
        else:
            sides = density._distributions(given, column, are_sides=True)
        tail = np.minimum(2.0 * sides.min(axis=1), 1.0)
        return -np.log(np.maximum(tail, np.exp(-LARGEST_OF_REALS)))
    rest, own = given.copy(), numbers[:, column]
    rest[:, column] = np.nan
    p = (density._mixture.conditional if is_mixture else density._distributions)(rest, column)
    if part.kind == "categorical":
        is_code = own[:, None] == part.encoder.categories[place]
        code = np.where(is_code.any(axis=1), np.argmax(is_code, axis=1), p.shape[1] - 1)
        p = p[np.arange(len(p)), code]
    else:
        backend = density._backend(numbers)
        states = backend.to_numpy(table.encoder(backend, numbers).states(numbers))
        is_on = 0.5 * (1.0 + states[:, table.column_of_unit == column][:, 0])
        p = (1.0 - is_on) * p[:, 0] + is_on * p[:, 1]
    return -np.log(np.maximum(p, np.finfo(float).tiny))


def _surprisals_of_group(
    density: BoltzmannDensity, given: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """Compute the surprisal of what is known of a group, divided among its columns."""
    rest = given.copy()
    rest[:, group] = np.nan
    log_likelihoods = density._mixture.log_likelihoods
    found = log_likelihoods(rest) - log_likelihoods(given)
    own = given[:, group]
    takes = own == 1.0
    takes |= ~takes.any(axis=1, keepdims=True) & (own == own)
    found = found[:, None] * takes / takes.sum(axis=1, keepdims=True)
    return np.where(own == own, found, np.nan)
