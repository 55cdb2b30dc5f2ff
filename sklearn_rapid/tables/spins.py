"""Encode binary columns as spins or mean spins, and decode them to the user's units.

X keeps its own type (bool, uint8, sparse, ...); only the rows in use are converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import SPINS, RandomStream, Units, is_cupy_array
from sklearn_rapid.tables.binarize import (
    FALLBACK_THRESHOLD,
    infer_binarize,
    warn_ambiguous,
    warn_if_constant,
)
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.settings import ColumnSettings

# On as many threads a sparse product costs about six times as much for each nonzero element.
LARGEST_SPARSE_SHARE = 0.1


@dataclass(frozen=True)
class SpinEncoder(Encoder):
    """Encode binary columns as spins.

    Parameters
    ----------
    units : {"binary", "spin"}
        Whether values of X and of results are in {0, 1} or in {-1, +1}.
    binarize : float, "sample" or None
        A threshold above which a value is on; "sample" if values are means, from which spins are
        drawn; None if values are means, and used as such.
    is_auto : bool, default=False
        Whether rows with two values are thresholded although `binarize` is "sample".
    **others
        See `Encoder`.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> encoder = SpinEncoder("binary", 0.5, backend=get_backend("numpy"))
    >>> encoder.states(np.array([[0, 1]], dtype=np.uint8))
    array([[-1.,  1.]], dtype=float32)
    """

    units: str
    binarize: Any
    is_auto: bool = False

    per_table: ClassVar[tuple[str, ...]] = ("binarize",)
    visible_units: ClassVar[Units] = SPINS

    @classmethod
    def learn(
        cls, X: Any, settings: ColumnSettings, weights: np.ndarray | None = None
    ) -> SpinEncoder:
        """Make the encoder of columns; `binarize` is inferred from their first rows if "auto"."""
        binarize, units = settings.binarize, settings.units
        is_auto = binarize == "auto"
        if is_auto:
            binarize = "sample"
            if infer_binarize(X, units) is None:
                binarize = FALLBACK_THRESHOLD
                warn_ambiguous(X)
        return cls(units, binarize, is_auto, dtype=settings.dtype, names=settings.names)

    @classmethod
    def restore(cls, attributes: Mapping, settings: ColumnSettings) -> SpinEncoder:
        """Make the encoder of fitted columns; `binarize` is that of fit if "auto"."""
        is_auto = settings.binarize == "auto"
        binarize = attributes.get("binarize_", "sample") if is_auto else settings.binarize
        how = {"dtype": settings.dtype, "names": settings.names}
        return cls(settings.units, binarize, is_auto, **how)

    def for_rows(self, X: Any, backend: Any) -> SpinEncoder:
        """Adapt the encoder to these rows, which may have two values only."""
        encoder = super().for_rows(X, backend)
        if not (self.is_auto and self.is_drawn) or X is None:
            return encoder
        inferred = infer_binarize(X, self.units)
        return encoder if inferred is None else replace(encoder, binarize=inferred)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError, with the first one, for values that are no means in these units."""
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
        # fmin and fmax ignore NaN, and copy nothing.
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
            f"[{low:g}, {high:g}]; got {value:g} in {self.label(column)}. "
            f"Scale {name}, or set a threshold."
        )

    def warn_if_constant(self, X: Any) -> None:
        """Warn if different values are all on one side of the threshold."""
        if self.has_threshold:
            warn_if_constant(X, self.binarize, self.backend)

    def states(
        self, X: Any, stream: RandomStream | None = None, draw: int = 0, n_rows: int = 0
    ) -> Any:
        """Encode rows as a backend array of spins or mean spins, shape (n, V).

        With a stream, binarize="sample" draws spins; without one it gives their means. Rows of -1
        are appended up to `n_rows`.
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
            return self._mark_missing(spins, X, where) if self.missing else spins
        means = where.full(shape, -1.0, dtype=self.dtype)
        means[:n] = X
        if self.units == "binary":
            means[:n] *= 2.0
            means[:n] -= 1.0
        means = self.backend.asarray(means)
        if self.binarize is None or stream is None:
            return means
        spins = self.backend.spins_of_means(means, stream, draw)
        return self._mark_missing(spins, X, where) if self.missing else spins

    def _mark_missing(self, spins: Any, X: Any, where: Any) -> Any:
        xp = self.backend.xp
        is_missing = where.zeros(tuple(spins.shape), dtype=bool)
        is_missing[: X.shape[0]] = X != X
        return xp.where(self.backend.asarray(is_missing), xp.full_like(spins, float("nan")), spins)

    def states_of_rows(self, X: Any, rows: Any) -> Any:
        """Encode some rows, given by number or slice."""
        if not self.has_threshold or self.missing or sparse.issparse(X) or is_cupy_array(X):
            return self.states(X[rows])
        return self.backend.spins_of_rows(X, rows, self.binarize, self.dtype)

    def keeps_sparse(self, X: Any) -> bool:
        """Whether rows of X are better multiplied as the sparse matrix of values that are on.

        Zeros are off, and with few enough other values the product is cheaper than a dense one
        (docs/design_notes/sparse.md).
        """
        if not (sparse.issparse(X) and self.has_threshold and self.binarize >= 0):
            return False
        return self.backend.xp is np and X.nnz < LARGEST_SPARSE_SHARE * X.shape[0] * X.shape[1]

    def bits(self, X: Any, n_rows: int) -> Any:
        """Encode sparse rows as a sparse matrix of ones where spins are +1, with rows appended."""
        is_on = (X > self.binarize).astype(self.dtype)
        is_on.resize((max(n_rows, X.shape[0]), X.shape[1]))
        return is_on

    def choices_of(self, column: int) -> np.ndarray:
        """List the two states of a spin."""
        return np.array([[-1.0], [1.0]])

    def unit_means(self, machine: Any, h: Any) -> Any:
        """Compute E[v | h] in the user's units, in which small means keep their digits."""
        return machine.visible_mean(h, to_unit=self.units == "binary")

    def decode_means(self, means: Any) -> Any:
        """Return means of `unit_means`, which are in the user's units already."""
        return means

    def decode(self, v: Any, stream: RandomStream | None = None) -> Any:
        """Convert spins, or their means, to the user's units."""
        return 0.5 * (v + 1.0) if self.units == "binary" else v

    @property
    def is_drawn(self) -> bool:
        """Whether values are means that spins are drawn from."""
        return self.binarize == "sample"

    @property
    def has_threshold(self) -> bool:
        """Whether a threshold turns values on or off."""
        return self.binarize is not None and not self.is_drawn
