"""Columns of codes: which there are, and rows of codes to groups of one-hot units and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import is_cupy_array, to_host
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.spins import SpinEncoder

# Whole numbers that each type holds exactly: results have the type of the model.
LARGEST_CODE = {"float32": 2**24, "float64": 2**53}
# Codes that an error lists.
FEW = 10


@dataclass(frozen=True)
class CategoryEncoder:
    """Reads rows of codes as one-hot units, one for each code of a column, and writes them.

    Parameters
    ----------
    categories : list of array
        The codes of each column, sorted.
    units : {"binary", "spin"}
        What hidden features are measured in.
    backend : backend
    dtype : {"float32", "float64"}
    gaps : bool, default=False
        Whether rows may hold NaN, for what is not known. Its units are NaN, too.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> codes = [np.array([2.0, 5.0]), np.array([0.0, 1.0, 2.0])]
    >>> encoder = CategoryEncoder(codes, "binary", get_backend("numpy"), "float32")
    >>> encoder.spins(np.array([[5, 0]]))
    array([[0., 1., 1., 0., 0.]], dtype=float32)
    >>> encoder.decode(np.array([[0.0, 1.0, 1.0, 0.0, 0.0]]))
    array([[5., 0.]])
    """

    categories: list[np.ndarray]
    units: str
    backend: Any
    dtype: str
    gaps: bool = False

    binarize = None
    has_threshold = False
    # States are counted, and have no volume.
    log_volume = 0.0

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for codes that there were none of at the fit."""
        if sparse.issparse(X):
            raise ValueError(f"codes of categories need a dense {name}, got a sparse one")
        for j, known in enumerate(self.categories):
            codes = np.unique(to_host(X[:, j]))
            unknown = codes[~np.isin(codes, known) & (codes == codes)]
            if unknown.size:
                raise ValueError(
                    f"{name} has the code {unknown[0]:g} in column {j}, where the fit has seen "
                    f"{_listed(known)} only. Leave such rows out, or fit again with all codes (in "
                    "the first rows of partial_fit)."
                )

    def spins(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Rows as a backend array of states, with rows of zeros added up to `n_rows`.

        Where a code is NaN, its units are.
        """
        where = self.backend.xp if is_cupy_array(X) else np
        columns, code = (where.asarray(a) for a in (self._column_of_unit, self._code_of_unit))
        states = where.zeros((max(n_rows, X.shape[0]), len(code)), dtype=self.dtype)
        codes = where.take(X, columns, axis=1)
        states[: X.shape[0]] = codes == code
        if X.dtype.kind == "f":
            states[: X.shape[0]] += where.where(codes == codes, 0.0, codes)
        return self.backend.asarray(states)

    def log_volume_of(self, v: Any) -> float:
        """The same for what is known of some rows."""
        return 0.0

    def spins_of_rows(self, X: Any, rows: Any) -> Any:
        """Some rows, by number or slice, as a backend array of states."""
        return self.spins(X[rows])

    def keeps_sparse(self, X: Any) -> bool:
        """Never: rows are dense."""
        return False

    def decode(self, v: Any) -> Any:
        """The code of each group's unit that is on; of means, the most likely code. float64."""
        xp = self.backend.xp
        columns = []
        for known, group in zip(self.categories, self._groups, strict=True):
            chosen = xp.argmax(v[:, group], axis=1)
            columns.append(xp.take(self.backend.asarray(known), chosen, axis=0))
        return xp.stack(columns, axis=1)

    def unit_means(self, machine: Any, h: Any) -> Any:
        """The probability of each code."""
        return machine.visible_mean(h)

    def decode_means(self, means: Any) -> Any:
        """The most likely code of each column."""
        return self.decode(means)

    @property
    def of_hidden(self) -> SpinEncoder:
        """What reads and writes hidden features."""
        return SpinEncoder(self.units, None, self.backend, self.dtype)

    @property
    def unscaled(self) -> CategoryEncoder:
        """The same: units have no scale."""
        return self

    @cached_property
    def _column_of_unit(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.categories)), list(map(len, self.categories)))

    @cached_property
    def _code_of_unit(self) -> np.ndarray:
        return np.concatenate(self.categories)

    @property
    def _groups(self) -> list[slice]:
        ends = accumulate(map(len, self.categories), initial=0)
        return [slice(start, stop) for start, stop in pairwise(ends)]


def categories_of(X: Any, columns: np.ndarray, dtype: str) -> list[np.ndarray]:
    """The codes of each of these columns, sorted, as float64; ValueError for what is no code.

    Parameters
    ----------
    X : array of shape (n, n_columns)
        NaN is passed over.
    columns : array of int
    dtype : {"float32", "float64"}
        The type of what a model returns, which must hold the codes.
    """
    if sparse.issparse(X):
        raise ValueError("codes of categories need a dense X, got a sparse one")
    found = []
    for j in columns:
        codes = np.unique(to_host(X[:, int(j)])).astype(np.float64)
        codes = codes[codes == codes]
        wrong = codes[codes != np.floor(codes)]
        if wrong.size:
            raise ValueError(
                f"categories are coded by whole numbers, got {wrong[0]:g} in column {j}: code them "
                "with sklearn.preprocessing.OrdinalEncoder, or cut a real column into bins "
                "(KBinsDiscretizer(encode='ordinal'))."
            )
        if codes.size == 0:
            raise ValueError(f"column {j} has no codes, only NaN: leave it out")
        if np.abs(codes).max() > LARGEST_CODE[dtype]:
            raise ValueError(
                f"codes go up to {LARGEST_CODE[dtype]} with dtype={dtype!r}, got "
                f"{codes[np.abs(codes).argmax()]:g} in column {j}: code it anew "
                "(sklearn.preprocessing.OrdinalEncoder)"
            )
        found.append(codes)
    return found


def _listed(codes: np.ndarray) -> str:
    more = ", ..." if len(codes) > FEW else ""
    return ", ".join(f"{code:g}" for code in codes[:FEW]) + more
