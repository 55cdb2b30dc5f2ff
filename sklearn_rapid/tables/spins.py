"""Binary columns: values to spins or mean spins, and back to the user's units.

The data keep their own type (bool, uint8, sparse, ...) as a whole; only the rows in use are
converted.
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
    meaning_of,
    warn_if_constant,
    warn_of_values,
)
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.features import UNIT_RANGES

# On equal threads a sparse product costs about six times as much for each element not zero.
LARGEST_SPARSE_SHARE = 0.1


@dataclass(frozen=True)
class SpinEncoder(Encoder):
    """Binary columns, a spin each.

    Parameters
    ----------
    units : {"binary", "spin"}
        What X, and everything returned to the user, is measured in.
    binarize : float, "sample" or None
        A threshold above which a value is on; "sample" to draw each spin from the mean that
        its value stands for; None to take values as means.
    is_auto : bool, default=False
        Whether rows of two values are taken for these where "sample" stands.
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

    visible_units: ClassVar[Units] = SPINS

    @classmethod
    def learned(cls, X: Any, *, units: str, binarize: Any, dtype: str) -> SpinEncoder:
        """The encoder for columns whose first rows these are."""
        is_auto = binarize == "auto"
        if is_auto:
            binarize = "sample"
            if meaning_of(X, units) is None:
                binarize = FALLBACK_THRESHOLD
                warn_of_values(X)
        return cls(units, binarize, is_auto, dtype=dtype)

    @classmethod
    def fields_of(cls, attributes: Mapping, *, units: str, binarize: Any) -> dict[str, Any]:
        """What values mean: as they are read now, or as they were in fit."""
        is_auto = binarize == "auto"
        binarize = attributes.get("binarize_", "sample") if is_auto else binarize
        return {"units": units, "binarize": binarize, "is_auto": is_auto}

    def attributes(self) -> dict[str, Any]:
        """What values mean."""
        return {"binarize_": self.binarize}

    def reading(self, X: Any, backend: Any) -> SpinEncoder:
        """The encoder for these rows, whose values may be two."""
        encoder = super().reading(X, backend)
        if not (self.is_auto and self.is_drawn) or X is None:
            return encoder
        meaning = meaning_of(X, self.units)
        return encoder if meaning is None else replace(encoder, binarize=meaning)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for values that are no means in these units, naming the first one."""
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

    def warn_if_constant(self, X: Any) -> None:
        """Warn if a threshold puts all values, which differ, on one side."""
        if self.has_threshold:
            warn_if_constant(X, self.binarize, self.backend)

    def states(
        self, X: Any, stream: RandomStream | None = None, draw: int = 0, n_rows: int = 0
    ) -> Any:
        """Rows as a backend array of spins or mean spins, shape (n, V).

        With a stream, binarize="sample" draws spins; without one their means are taken. Rows of -1
        are added up to `n_rows`.
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
            return self._with_missing(spins, X, where) if self.missing else spins
        means = where.full(shape, -1.0, dtype=self.dtype)
        means[:n] = X
        if self.units == "binary":
            means[:n] *= 2.0
            means[:n] -= 1.0
        means = self.backend.asarray(means)
        if self.binarize is None or stream is None:
            return means
        spins = self.backend.spins_of_means(means, stream, draw)
        return self._with_missing(spins, X, where) if self.missing else spins

    def _with_missing(self, spins: Any, X: Any, where: Any) -> Any:
        xp = self.backend.xp
        is_missing = where.zeros(tuple(spins.shape), dtype=bool)
        is_missing[: X.shape[0]] = X != X
        return xp.where(self.backend.asarray(is_missing), xp.full_like(spins, float("nan")), spins)

    def states_of_rows(self, X: Any, rows: Any) -> Any:
        """Some rows, by number or slice, as a backend array of spins or mean spins."""
        if not self.has_threshold or self.missing or sparse.issparse(X) or is_cupy_array(X):
            return self.states(X[rows])
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

    def unit_means(self, machine: Any, h: Any) -> Any:
        """E[v | h] in the user's units, in which small ones keep their digits."""
        return machine.visible_mean(h, to_unit=self.units == "binary")

    def decode_means(self, means: Any) -> Any:
        """The means themselves."""
        return means

    def decode(self, v: Any) -> Any:
        """Spins, or their means, in the user's units."""
        return 0.5 * (v + 1.0) if self.units == "binary" else v

    @property
    def is_drawn(self) -> bool:
        """Whether spins are drawn from the means that values stand for."""
        return self.binarize == "sample"

    @property
    def has_threshold(self) -> bool:
        """Whether values are on or off, and never means."""
        return self.binarize is not None and not self.is_drawn
