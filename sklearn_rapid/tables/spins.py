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
from sklearn.exceptions import DataConversionWarning

from sklearn_rapid.backends import RandomStream, is_cupy_array, to_host
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.gaps import lacks_entries

# Rows converted at a time, a multiple of every backend's `row_multiple`.
CHUNK = 1024
# On equal threads a sparse product costs about six times as much for each element not zero.
LARGEST_SPARSE_SHARE = 0.1

UNIT_RANGES = {"binary": (0.0, 1.0), "spin": (-1.0, 1.0)}
# What is on where nobody has said what values mean.
FALLBACK_THRESHOLD = 0.5


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
    gaps : bool, default=False
        Whether rows may hold NaN, for what is not known. It stays NaN.

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
    gaps: bool = False

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for data that these units cannot mean, naming the first one."""
        if sparse.issparse(X) and self.units == "spin":
            raise ValueError(
                "sparse X leaves out zeros, which are no spins: units='spin' needs dense X. "
                "Use units='binary' with sparse data in {0, 1}."
            )
        if self.has_threshold:
            return
        low, high = UNIT_RANGES[self.units]
        if is_cupy_array(X):
            self._check_on_device(X, name)
            return
        values = X.data if sparse.issparse(X) else X
        if values.size == 0:
            return
        # fmin and fmax pass over NaN, and copy nothing.
        if not (np.fmin.reduce(values, None) < low or np.fmax.reduce(values, None) > high):
            return
        bad = np.flatnonzero((values < low) | (values > high))[0]
        column = X.tocoo().col[bad] if sparse.issparse(X) else bad % X.shape[1]
        raise self._out_of_range(name, values.ravel()[bad], column)

    def _check_on_device(self, X: Any, name: str) -> None:
        low, high = UNIT_RANGES[self.units]
        is_bad = ((X < low) | (X > high)).ravel()
        if bool(is_bad.any()):
            first = int(is_bad.argmax())
            raise self._out_of_range(name, float(X.ravel()[first]), first % X.shape[1])

    def _out_of_range(self, name: str, value: float, column: int) -> ValueError:
        low, high = UNIT_RANGES[self.units]
        return ValueError(
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
        where = self.backend.xp if is_cupy_array(X) else np
        n, shape = X.shape[0], (max(n_rows, X.shape[0]), X.shape[1])
        if self.has_threshold:
            if where is not np and X.dtype.kind != "f":
                X = where.astype(X, where.float64)  # CuPy may compare integers in half precision
            is_on = where.zeros(shape, dtype=bool)
            where.greater(X, self.binarize, out=is_on[:n])
            spins = self.backend.spins_of(self.backend.asarray(is_on), self.dtype)
            return self._with_gaps(spins, X, where) if self.gaps else spins
        means = where.full(shape, -1.0, dtype=self.dtype)
        means[:n] = X
        if self.units == "binary":
            means[:n] *= 2.0
            means[:n] -= 1.0
        means = self.backend.asarray(means)
        if self.binarize is None or stream is None:
            return means
        spins = self.backend.spins_of_means(means, stream, draw)
        return self._with_gaps(spins, X, where) if self.gaps else spins

    def _with_gaps(self, spins: Any, X: Any, where: Any) -> Any:
        xp = self.backend.xp
        unknown = where.zeros(tuple(spins.shape), dtype=bool)
        unknown[: X.shape[0]] = X != X
        return xp.where(self.backend.asarray(unknown), xp.full_like(spins, float("nan")), spins)

    def spins_of_rows(self, X: Any, rows: Any) -> Any:
        """Some rows, by number or slice, as a backend array of spins or mean spins."""
        if not self.has_threshold or self.gaps or sparse.issparse(X) or is_cupy_array(X):
            return self.spins(X[rows])
        return self.backend.spins_of_rows(X, rows, self.binarize, self.dtype)

    def keeps_sparse(self, X: Any) -> bool:
        """Whether rows of X are worth multiplying as the sparse matrix of what is on.

        Zeros are off, and a product with few enough others is cheaper than a dense one
        (docs/design_notes/sparse.md).
        """
        if not (sparse.issparse(X) and self.has_threshold and self.binarize >= 0):
            return False
        return self.backend.xp is np and X.nnz < LARGEST_SPARSE_SHARE * X.shape[0] * X.shape[1]

    def bits(self, X: Any, n_rows: int) -> Any:
        """Sparse rows as a sparse matrix of ones where spins are +1, with empty rows added."""
        is_on = (X > self.binarize).astype(self.dtype)
        is_on.resize((max(n_rows, X.shape[0]), X.shape[1]))
        return is_on

    @property
    def of_hidden(self) -> SpinEncoder:
        """What reads and writes hidden features: this encoder, both layers being spins."""
        return self

    @property
    def unscaled(self) -> SpinEncoder:
        """The same: spins have no scale that changes in training."""
        return self

    @property
    def log_volume(self) -> float:
        """States are counted, and have no volume."""
        return 0.0

    def log_volume_of(self, v: Any) -> float:
        """The same for what is known of some rows."""
        return 0.0

    def unit_means(self, machine: Any, h: Any) -> Any:
        """E[v | h], in the user's units: small ones are to keep their digits."""
        return machine.visible_mean(h, to_unit=self.to_unit)

    def decode_means(self, means: Any) -> Any:
        """Means of `unit_means` in the user's units."""
        return means

    @property
    def has_threshold(self) -> bool:
        """Whether values are on or off, and never means."""
        return self.binarize is not None and self.binarize != "sample"

    @property
    def to_unit(self) -> bool:
        """Whether means are handed out in [0, 1]: small ones are to keep their digits."""
        return self.units == "binary"

    def means(self, values: Any) -> Any:
        """Mean spins from values in the user's units (hidden features, say)."""
        values = values * 2.0 - 1.0 if self.units == "binary" else values
        return self.backend.asarray(values, self.dtype)

    def decode(self, spins: Any) -> Any:
        """Spins or their means in the user's units."""
        return 0.5 * (spins + 1.0) if self.units == "binary" else spins


def meaning_of(X: Any, units: str) -> Any:
    """What values can mean as they are: a threshold between two values, "sample", or None.

    NaN is passed over.

    Examples
    --------
    >>> meaning_of(np.array([0.0, 1.0]), "binary"), meaning_of(np.array([0.0, 0.3]), "binary")
    (0.5, 'sample')
    >>> meaning_of(np.array([0.0, 0.3, 2.0]), "binary") is None
    True
    """
    low, high = UNIT_RANGES[units]
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind == "b" or values.size == 0:
        return 0.5
    # Between 0 and 1 lie no integers.
    is_two, has_no_means = True, values.dtype.kind in "iu" and low == 0.0
    # A few rows at a time: nothing as large as X is made.
    for rows in chunks(values.shape[0]):
        part = values[rows]
        if not has_no_means:
            is_two = is_two and bool(((part == low) | (part == high) | (part != part)).all())
        if (has_no_means or not is_two) and bool(((part < low) | (part > high)).any()):
            return None
    return 0.5 * (low + high) if is_two else "sample"


def warn_of_values(X: Any) -> None:
    """Warn with DataConversionWarning that values were thresholded which nobody has explained."""
    least, largest = _ends_of_known(X.data if sparse.issparse(X) else to_host(X))
    warn(
        f"X holds values from {float(least):g} to {float(largest):g}, which are "
        f"neither two values nor probabilities. With binarize='auto' those above "
        f"{FALLBACK_THRESHOLD:g} are taken as on. Say what they mean: set binarize to the "
        "threshold above which a value is on; or scale X to [0, 1], where a value is the "
        "probability of being on (sklearn.preprocessing.MinMaxScaler); or set visible to "
        "'categorical' for codes (OrdinalEncoder, KBinsDiscretizer), to 'gaussian' for numbers.",
        DataConversionWarning,
    )


def warn_if_constant(X: Any, encoder: SpinEncoder) -> None:
    """Warn with DataConversionWarning if a threshold puts all values, which differ, on one side."""
    if not encoder.has_threshold:
        return
    threshold, least, largest = encoder.binarize, np.inf, -np.inf
    where = encoder.backend.xp if is_cupy_array(X) else np
    # Of most data the first chunk is enough.
    for part in [X] if sparse.issparse(X) else (X[rows] for rows in chunks(X.shape[0])):
        ends = _ends_of_known(part, where)
        least, largest = min(least, to_host(ends[0])), max(largest, to_host(ends[1]))
        if (least > threshold) != (largest > threshold):
            return
    if least < largest:
        warn(
            f"X holds values from {float(least):g} to {float(largest):g}, and with a threshold of "
            f"{threshold:g} all of them are {'on' if least > threshold else 'off'}: there is "
            "nothing to learn. Set binarize to a threshold between them.",
            DataConversionWarning,
        )


def _ends_of_known(values: Any, where: Any = np) -> tuple[Any, Any]:
    """The least and the largest value, passing over NaN."""
    if lacks_entries(values):
        values = values[values == values]
    return (where.min(values), where.max(values)) if values.shape[0] else (np.inf, -np.inf)


def chunks(n_rows: int) -> Iterator[slice]:
    """Rows in chunks of `CHUNK`."""
    for start in range(0, n_rows, CHUNK):
        yield slice(start, min(start + CHUNK, n_rows))
