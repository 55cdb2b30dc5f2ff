"""Encode columns of categories as groups of one-hot units, and decode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import Categories, is_cupy_array, to_host
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.encoder import Encoder

# Whole numbers up to these are exact in results, which have the type of the model.
LARGEST_CODE = {"float32": 2**24, "float64": 2**53}
# How many codes an error lists.
MOST_LISTED = 10


@dataclass(frozen=True)
class CategoryEncoder(Encoder):
    """Encode each column of codes as a group of one-hot units, one for each code.

    Parameters
    ----------
    categories : list of array
        The codes of each column, sorted.
    **others
        See `Encoder`.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> codes = [np.array([2.0, 5.0]), np.array([0.0, 1.0, 2.0])]
    >>> encoder = CategoryEncoder(codes, backend=get_backend("numpy"))
    >>> encoder.states(np.array([[5, 0]]))
    array([[0., 1., 1., 0., 0.]], dtype=float32)
    >>> encoder.decode(np.array([[0.0, 1.0, 1.0, 0.0, 0.0]]))
    array([[5., 0.]])
    """

    categories: list[np.ndarray]

    per_column: ClassVar[tuple[str, ...]] = ("categories",)

    @classmethod
    def learn(cls, X: Any, *, units: str, binarize: Any, dtype: str) -> CategoryEncoder:
        """Make the encoder of columns from the codes in their first rows."""
        return cls(find_categories(X, dtype), dtype=dtype)

    @classmethod
    def restore(
        cls, attributes: Mapping, *, units: str, binarize: Any, dtype: str
    ) -> CategoryEncoder:
        """Make the encoder of fitted columns, which must have codes in rising order."""
        categories = attributes.get("categories_")
        for codes in categories or [None]:
            is_row = isinstance(codes, np.ndarray) and codes.dtype.kind in "fi" and codes.ndim == 1
            if not (is_row and codes.size > 0 and bool((np.diff(codes) > 0).all())):
                raise ValueError("categories_ must hold rising codes of each column. Fit again.")
        return cls(categories, dtype=dtype)

    @property
    def visible_units(self) -> Categories:
        """A group of units for each column."""
        return Categories(tuple(map(len, self.categories)))

    def count_units(self, n_columns: int) -> np.ndarray:
        """Count the codes of each column."""
        return np.array(list(map(len, self.categories)), dtype=np.int64)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for codes not seen in fit."""
        if sparse.issparse(X):
            raise ValueError(f"codes of categories need a dense {name}, got a sparse one")
        for j, known in enumerate(self.categories):
            codes = np.unique(to_host(X[:, j]))
            unknown = codes[~np.isin(codes, known) & (codes == codes)]
            if unknown.size:
                raise ValueError(
                    f"{name} has the code {unknown[0]:g} in column {j}, where the fit has seen "
                    f"{_list_codes(known)} only. Leave such rows out, or fit again with all "
                    "codes (in the first rows of partial_fit)."
                )

    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Encode rows as a backend array of states, with rows of zeros appended up to `n_rows`.

        Where a code is NaN, its units are NaN.
        """
        where = self.backend.xp if is_cupy_array(X) else np
        columns, code = (where.asarray(a) for a in (self._column_of_unit, self._code_of_unit))
        states = where.zeros((max(n_rows, X.shape[0]), len(code)), dtype=self.dtype)
        codes = where.take(X, columns, axis=1)
        states[: X.shape[0]] = codes == code
        if X.dtype.kind == "f":
            states[: X.shape[0]] += where.where(codes == codes, 0.0, codes)
        return self.backend.asarray(states)

    def decode(self, v: Any) -> Any:
        """Find the code of the unit that is on in each group, or is most likely to be; float64."""
        xp = self.backend.xp
        columns = []
        for known, group in zip(self.categories, self._groups, strict=True):
            chosen = xp.argmax(v[:, group], axis=1)
            columns.append(xp.take(self.backend.asarray(known), chosen, axis=0))
        return xp.stack(columns, axis=1)

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


def find_categories(X: Any, dtype: str) -> list[np.ndarray]:
    """Find the codes of each column, sorted, as float64.

    Parameters
    ----------
    X : array of shape (n, n_columns)
        NaN is ignored.
    dtype : {"float32", "float64"}
        The type of a model's results, which must hold the codes.

    Raises
    ------
    ValueError
        For codes that are no whole numbers, or too large for `dtype`.
    """
    if sparse.issparse(X):
        raise ValueError("codes of categories need a dense X, got a sparse one")
    return [_find_codes(to_host(X[:, j]), j, dtype) for j in range(X.shape[1])]


def _find_codes(values: np.ndarray, j: int, dtype: str) -> np.ndarray:
    codes = np.unique(values).astype(np.float64)
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
            f"{codes[np.abs(codes).argmax()]:g} in column {j}: use smaller ones "
            "(sklearn.preprocessing.OrdinalEncoder)"
        )
    return codes


def _list_codes(codes: np.ndarray) -> str:
    more = ", ..." if len(codes) > MOST_LISTED else ""
    return ", ".join(f"{code:g}" for code in codes[:MOST_LISTED]) + more
