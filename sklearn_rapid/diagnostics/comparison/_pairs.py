"""Compare the dependences of pairs of columns in two tables."""

from __future__ import annotations

import numpy as np
from scipy import sparse

N_BINS = 10
# Variances of standardized columns below this are rounding errors.
LEAST_VARIANCE = 1e-12


def compare_pairs(
    a: np.ndarray, b: np.ndarray, n_values: np.ndarray, real: np.ndarray
) -> np.ndarray:
    """Compute the similarity of each pair of columns in two tables, between 0 and 1.

    Parameters
    ----------
    a, b : array of shape (n_rows, n_columns)
        Codes and numbers, NaN where missing.
    n_values : array of int, shape (n_columns,)
        The number of categories; 0 for numbers.
    real : array of shape (n_rows, n_columns)
        The rows whose range bins divide.

    Returns
    -------
    array of shape (n_columns, n_columns)
        Symmetric; the diagonal is NaN.
    """
    are_numbers = n_values == 0
    similarity = 1.0 - _compare_contingencies(a, b, n_values, real)
    correlations = (correlate(X[:, are_numbers]) for X in (a, b))
    of_numbers = 1.0 - 0.5 * np.abs(next(correlations) - next(correlations))
    similarity[np.ix_(are_numbers, are_numbers)] = of_numbers
    np.fill_diagonal(similarity, np.nan)
    return similarity


def correlate(X: np.ndarray) -> np.ndarray:
    """Compute Pearson's correlations over the rows in which both columns are known.

    Those with a column that is constant there are 0.

    Examples
    --------
    >>> correlate(np.array([[1.0, 2.0, 7.0], [2.0, np.nan, 7.0], [3.0, 1.0, 7.0]])).tolist()
    [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    known = ~np.isnan(X)
    counts = known.sum(axis=0)
    X = np.where(known, X, 0.0)
    # Moments of standardized numbers lose few digits.
    X = np.where(known, X - X.sum(axis=0) / np.maximum(counts, 1), 0.0)
    scale = np.abs(X).max(axis=0, initial=0.0)
    X = X / np.where(scale > 0.0, scale, 1.0)
    deviations = np.sqrt((X**2).sum(axis=0) / np.maximum(counts, 1))
    X = X / np.where(deviations > 0.0, deviations, 1.0)
    mask = known.astype(np.float64)
    n = np.maximum(mask.T @ mask, 1.0)
    # Entry (i, j): of column i, where column j is known.
    means, squares = X.T @ mask / n, (X**2).T @ mask / n
    variances = squares - means**2
    varies = np.minimum(variances, variances.T) > LEAST_VARIANCE
    product = np.where(varies, variances * variances.T, 1.0)
    covariances = X.T @ X / n - means * means.T
    return np.where(varies, np.clip(covariances / np.sqrt(product), -1.0, 1.0), 0.0)


def _compare_contingencies(
    a: np.ndarray, b: np.ndarray, n_values: np.ndarray, real: np.ndarray
) -> np.ndarray:
    """Compute the total variation distance of the contingency tables of each pair.

    Numbers are cut into bins. Missing entries are a value of their own.
    """
    sizes = np.where(n_values > 0, n_values, N_BINS) + 1
    ends = np.cumsum(sizes)
    edges = [None if n else _find_edges(x) for x, n in zip(real.T, n_values, strict=True)]
    shares = []
    for X in (a, b):
        codes = [
            _code_with_missing(x, size, edge)
            for x, size, edge in zip(X.T, sizes, edges, strict=True)
        ]
        units = (np.stack(codes, axis=1) + (ends - sizes)).ravel()
        starts = np.arange(len(X) + 1) * len(sizes)
        one_hot = sparse.csr_array(
            (np.ones(len(units)), units, starts), shape=(len(X), int(ends[-1]))
        )
        shares.append(one_hot.T @ one_hot / len(X))
    owners = sparse.csr_array(
        (np.ones(ends[-1]), np.repeat(np.arange(len(sizes)), sizes), np.arange(ends[-1] + 1))
    )
    return 0.5 * (owners.T @ abs(shares[0] - shares[1]) @ owners).toarray()


def _find_edges(x: np.ndarray) -> np.ndarray:
    """Find the inner edges of bins of equal width; the outer ones have no end."""
    return np.histogram_bin_edges(x[~np.isnan(x)], bins=N_BINS)[1:-1]


def _code_with_missing(x: np.ndarray, size: int, edges: np.ndarray | None) -> np.ndarray:
    codes = x if edges is None else np.searchsorted(edges, x, side="right")
    return np.where(np.isnan(x), size - 1, codes).astype(np.int64)
