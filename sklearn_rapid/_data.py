"""From a user's rows to spins, a batch at a time, and back to the user's units.

The data keep their own type (bool, uint8, sparse, ...) as a whole; only the rows in use are
converted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import RandomStream

# Rows converted at a time, a multiple of a block. Rows are padded to whole blocks, because
# products of other shapes round differently: a row's result never depends on its company.
CHUNK, BLOCK = 1024, 128
# On equal threads a sparse product costs about six times as much for each element not zero.
LARGEST_SPARSE_SHARE = 0.1

UNIT_RANGES = {"binary": (0.0, 1.0), "spin": (-1.0, 1.0)}


@dataclass(frozen=True)
class SpinEncoder:
    """Reads rows as spins or mean spins.

    Parameters
    ----------
    units : {"binary", "spin"}
        What the data, and everything returned to the user, are measured in.
    binarize : float, "sample" or None
        A threshold above which a value is on; "sample" to draw each spin from the mean that
        its value stands for; None to take values as means.
    backend : backend
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> encoder = SpinEncoder("binary", 0.5, get_backend("numpy"), "float32")
    >>> encoder.spins(np.array([[0, 1]], dtype=np.uint8))
    array([[-1.,  1.]], dtype=float32)
    """

    units: str
    binarize: Any
    backend: Any
    dtype: str

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for data that these units cannot mean, naming the first one."""
        if sparse.issparse(X) and self.units == "spin":
            raise ValueError(
                "sparse X leaves out zeros, which are no spins: units='spin' needs dense X. "
                "Use units='binary' with sparse data in {0, 1}."
            )
        if self._has_threshold:
            return
        low, high = UNIT_RANGES[self.units]
        values = X.data if sparse.issparse(X) else X
        if values.size == 0:
            return
        # fmin and fmax pass over NaN (which `reconstruct` allows), and copy nothing.
        if not (np.fmin.reduce(values, None) < low or np.fmax.reduce(values, None) > high):
            return
        bad = np.flatnonzero((values < low) | (values > high))[0]
        column = X.tocoo().col[bad] if sparse.issparse(X) else bad % X.shape[1]
        value = values.ravel()[bad]
        raise ValueError(
            f"with binarize={self.binarize!r} and units={self.units!r}, {name} holds means in "
            f"[{low:g}, {high:g}]; got {value:g} in column {column}. "
            f"Scale {name}, or set a threshold."
        )

    def spins(
        self, X: Any, stream: RandomStream | None = None, draw: int = 0, n_rows: int = 0
    ) -> Any:
        """Rows as a backend array of spins or mean spins, shape (n, V).

        With a stream, binarize="sample" draws spins; without one their means are taken. What X
        lacks of `n_rows` is filled up with rows of -1.
        """
        X = X.toarray() if sparse.issparse(X) else X
        n, shape = X.shape[0], (max(n_rows, X.shape[0]), X.shape[1])
        if self._has_threshold:
            is_on = np.zeros(shape, dtype=bool)
            np.greater(X, self.binarize, out=is_on[:n])
            return self.backend.spins_of(self.backend.asarray(is_on), self.dtype)
        means = np.full(shape, -1.0, dtype=self.dtype)
        means[:n] = X
        if self.units == "binary":
            means[:n] *= 2.0
            means[:n] -= 1.0
        means = self.backend.asarray(means)
        if self.binarize is None or stream is None:
            return means
        xp = self.backend.xp
        u = self.backend.random_uniform(tuple(means.shape), stream, draw)
        return xp.where(2.0 * u - 1.0 < means, xp.ones_like(means), -xp.ones_like(means))

    def keeps_sparse(self, X: Any) -> bool:
        """Whether rows of X are worth multiplying as the sparse matrix of what is on.

        Zeros are off, and a product with few enough others is cheaper than a dense one
        (docs/design_notes/sparse.md).
        """
        if not (sparse.issparse(X) and self._has_threshold and self.binarize >= 0):
            return False
        return self.backend.xp is np and X.nnz < LARGEST_SPARSE_SHARE * X.shape[0] * X.shape[1]

    def bits(self, X: Any, n_rows: int) -> Any:
        """Sparse rows as a sparse matrix of ones where spins are +1, with empty rows added."""
        is_on = (X > self.binarize).astype(self.dtype)
        is_on.resize((max(n_rows, X.shape[0]), X.shape[1]))
        return is_on

    @property
    def _has_threshold(self) -> bool:
        return self.binarize is not None and self.binarize != "sample"

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean spins from values in the user's units (hidden features, say)."""
        values = values * 2.0 - 1.0 if self.units == "binary" else values
        return self.backend.asarray(values, self.dtype)

    def decode(self, spins: Any) -> np.ndarray:
        """Spins or their means as host values in the user's units."""
        values = self.backend.to_numpy(spins)
        if self.units == "binary":
            values = 0.5 * (values + 1.0)
        return np.ascontiguousarray(values, dtype=self.dtype)


def chunks(n_rows: int) -> Iterator[slice]:
    """Rows in chunks of `CHUNK`."""
    for start in range(0, n_rows, CHUNK):
        yield slice(start, min(start + CHUNK, n_rows))


def host_array(values: Any, name: str, shape: tuple) -> np.ndarray:
    """A finite 2-D array of numbers of that shape; ValueError with the name otherwise."""
    values = np.asarray(values)
    expected = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if values.ndim != 2 or values.shape[1] != shape[1] or values.shape[0] == 0:
        raise ValueError(f"{name} must have shape {expected}, got {values.shape}")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, got dtype {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return values
