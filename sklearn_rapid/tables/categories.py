"""Encode columns of categories as groups of one-hot units, and decode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import Categories, is_cupy_array, to_host
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.settings import MOST_LISTED, ColumnSettings

# Whole numbers up to these are exact in results, which have the type of the model.
LARGEST_CODE = {"float32": 2**24, "float64": 2**53}


@dataclass(frozen=True)
class CategoryEncoder(Encoder):
    """Encode each column of codes as a group of one-hot units, one for each code.

    Infrequent codes of a column share its last unit, the remainder.

    Parameters
    ----------
    categories : list of array
        The codes of each column, in the order of its units.
    infrequent_categories : list of (array or None), optional
        Those of them that share a unit; None for a column without a remainder.
    infrequent_shares : list of (array or None), optional
        The probability of each infrequent code given the remainder.
    unseen_shares : list of float, optional
        The probability that fit leaves to codes not seen: given the remainder of a column, or, of
        a column without one, in all. Where it is zero such codes are refused. None for zeros.
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
    infrequent_categories: list[np.ndarray | None] | None = None
    infrequent_shares: list[np.ndarray | None] | None = None
    unseen_shares: list[float] | None = None

    per_column: ClassVar[tuple[str, ...]] = (
        "categories",
        "infrequent_categories",
        "infrequent_shares",
        "unseen_shares",
    )

    @classmethod
    def learn(
        cls, X: Any, settings: ColumnSettings, weights: np.ndarray | None = None
    ) -> CategoryEncoder:
        """Make the encoder of columns from the codes in their first rows."""
        if sparse.issparse(X):
            raise ValueError("codes of categories need a dense X, got a sparse one")
        declared = settings.categories
        found = [None] * X.shape[1] if isinstance(declared, str) else list(declared)
        for j, codes in enumerate(found):
            x = to_host(X[:, j : j + 1])
            if codes is None:
                found[j] = _find_codes(x[:, 0], settings, j)
            else:
                found[j] = _declared_codes(codes, settings, j)
        encoder = cls(found, dtype=settings.dtype, names=settings.names)
        encoder = encoder._with_remainders(X, settings, weights)
        encoder.check(X)
        return encoder

    def _with_remainders(
        self, X: Any, settings: ColumnSettings, weights: np.ndarray | None
    ) -> CategoryEncoder:
        """Put infrequent codes into the remainder, and leave a share to codes not seen.

        Of n rows with m different codes that one row each has, codes not seen get (m + 1) / (n + 2)
        (Good 1953: their probability is about that of codes seen once), where the rows are those of
        the remainder, or all in columns without one.
        """
        if settings.min_frequency is None and not settings.takes_unknown:
            return self
        remainders, shares, unseen = [], [], []
        for j, known in enumerate(self.categories):
            places = _places(to_host(X[:, j]), known)
            own = None if weights is None else weights[places < len(known), j]
            counts = np.bincount(places[places < len(known)], own, minlength=len(known))
            is_rare = np.asarray(settings.is_infrequent(counts, int(counts.sum())))
            rare = counts[is_rare] if is_rare.any() else counts
            left = (np.sum(rare == 1) + 1) / (rare.sum() + 2) if settings.takes_unknown else 0.0
            unseen.append(float(left))
            remainders.append(known[is_rare] if is_rare.any() else None)
            # A declared code that no row has counts as half a row.
            parts = np.maximum(rare, 0.5)
            shares.append((1.0 - left) * parts / parts.sum() if is_rare.any() else None)
        if all(codes is None for codes in remainders):
            remainders, shares = None, None
        return replace(
            self,
            infrequent_categories=remainders,
            infrequent_shares=shares,
            unseen_shares=unseen if settings.takes_unknown else None,
        )

    @classmethod
    def restore(cls, attributes: Mapping, settings: ColumnSettings) -> CategoryEncoder:
        """Make the encoder of fitted columns, which must have different codes."""
        found = {name: attributes.get(f"{name}_") for name in cls.per_column}
        for codes in found["categories"] or [None]:
            is_row = isinstance(codes, np.ndarray) and codes.dtype.kind in "fi" and codes.ndim == 1
            if not (is_row and codes.size > 0 and len(np.unique(codes)) == codes.size):
                raise ValueError("categories_ must hold the codes of each column. Fit again.")
        encoder = cls(**found, dtype=settings.dtype, names=settings.names)
        encoder._check_remainders()
        return encoder

    def _check_remainders(self) -> None:
        columns = zip(self.categories, self._infrequent, self._shares, self._unseen, strict=True)
        for known, infrequent, shares, unseen in columns:
            are_known = infrequent is None or bool(np.isin(infrequent, known).all())
            is_sum = infrequent is None or (
                np.shape(shares) == infrequent.shape and abs(shares.sum() + unseen - 1.0) < 1e-6
            )
            if not (are_known and is_sum and 0.0 <= unseen < 1.0):
                raise ValueError(
                    "infrequent_categories_, infrequent_shares_ and unseen_shares_ do not belong "
                    "together. Fit again."
                )

    @property
    def visible_units(self) -> Categories:
        """A group of units for each column."""
        return Categories(tuple(map(len, self._codes_of_units)))

    def count_units(self, n_columns: int) -> np.ndarray:
        """Count the units of each column."""
        return np.array(list(map(len, self._codes_of_units)), dtype=np.int64)

    def takes_unknown(self, n_columns: int) -> np.ndarray:
        """Mark columns that leave a probability to codes not seen in fit."""
        return np.array(self._unseen) > 0.0

    def for_rows(self, X: Any, backend: Any) -> CategoryEncoder:
        """Adapt the encoder to these rows; codes not seen in fit may be missing states."""
        encoder = super().for_rows(X, backend)
        if encoder.missing or backend is None or X is None or self.unseen_shares is None:
            return encoder
        return replace(encoder, missing=bool(to_host(self._are_unseen(X)).any()))

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for codes not seen in fit where they are refused."""
        if sparse.issparse(X):
            raise ValueError(f"codes of categories need a dense {name}, got a sparse one")
        for j, (known, unseen) in enumerate(zip(self.categories, self._unseen, strict=True)):
            if unseen > 0.0:
                continue
            codes = np.unique(to_host(X[:, j]))
            unknown = codes[~np.isin(codes, known) & (codes == codes)]
            if unknown.size:
                raise ValueError(
                    f"{name} has the code {unknown[0]:g} in {self.label(j)}, where the fit has "
                    f"seen {_list_codes(known)} only. Leave such rows out, or fit again with all "
                    "codes (in the first rows of partial_fit, or by the parameter categories), or "
                    "with handle_unknown='infrequent'."
                )

    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Encode rows as a backend array of states, with rows of zeros appended up to `n_rows`.

        Where a code is NaN, its units are NaN; so are those of codes not seen in fit, in columns
        without a remainder.
        """
        where = self.backend.xp if is_cupy_array(X) else np
        columns, code = (where.asarray(a) for a in (self._column_of_unit, self._code_of_unit))
        states = where.zeros((max(n_rows, X.shape[0]), len(code)), dtype=self.dtype)
        codes = where.take(X, columns, axis=1)
        states[: X.shape[0]] = codes == code
        if X.dtype.kind == "f":
            states[: X.shape[0]] += where.where(codes == codes, 0.0, codes)
        if self.infrequent_categories is not None or self.unseen_shares is not None:
            self._set_remainders(states, X, where)
        return self.backend.asarray(states)

    def _set_remainders(self, states: Any, X: Any, where: Any) -> None:
        """Turn on the remainder in rows with none of the other codes."""
        n = X.shape[0]
        pairs = zip(self._groups, self._infrequent, self._unseen, strict=True)
        for group, infrequent, unseen in pairs:
            if infrequent is None and unseen == 0.0:
                continue
            is_other = where.sum(states[:n, group], axis=1) == 0.0
            if infrequent is not None:
                states[:n, group.stop - 1] += is_other
            else:
                states[:n, group] += where.where(is_other, float("nan"), 0.0)[:, None]

    def decode(self, v: Any, stream: Any = None) -> Any:
        """Find the code of the unit that is on in each group, or is most likely to be; float64.

        Of a remainder, a code is drawn by its share with a stream; it is the most frequent one
        without.
        """
        xp = self.backend.xp
        columns, u = [], None
        if stream is not None and self.infrequent_categories is not None:
            shape = (v.shape[0], len(self.categories))
            u = self.backend.random_uniform(shape, stream, stream.reserve())
        for j, (codes, group) in enumerate(zip(self._codes_of_units, self._groups, strict=True)):
            chosen = xp.argmax(v[:, group], axis=1)
            infrequent, shares = self._infrequent[j], self._shares[j]
            if infrequent is None:
                columns.append(xp.take(self.backend.asarray(codes), chosen, axis=0))
                continue
            known = self.backend.asarray(np.concatenate([codes[:-1], infrequent]))
            if u is None:
                rank = xp.full(v.shape[0], int(np.argmax(shares)))
            else:
                ends = self.backend.asarray(np.cumsum(shares)[:-1] / shares.sum())
                rank = xp.searchsorted(ends, xp.astype(u[:, j], xp.float64))
            is_rest = chosen == len(codes) - 1
            columns.append(xp.take(known, xp.where(is_rest, chosen + rank, chosen), axis=0))
        return xp.stack(columns, axis=1)

    def remark(self, column: int) -> str:
        """Say in brackets how many codes a column has."""
        return f" ({len(self.categories[column])})"

    def choices_of(self, column: int) -> np.ndarray:
        """List the states of a group: each of its units alone is on."""
        return np.eye(len(self._codes_of_units[column]))

    def probabilities(self, column: int, p: np.ndarray) -> np.ndarray:
        """Convert probabilities of a group's units to those of codes, and last of others."""
        known, infrequent = self.categories[column], self._infrequent[column]
        unit_of_code = np.arange(len(known))
        if infrequent is not None:
            is_frequent = ~np.isin(known, infrequent)
            unit_of_code = np.where(is_frequent, np.cumsum(is_frequent) - 1, p.shape[1] - 1)
        shares = np.exp(self._log_shares(column))
        of_codes = p[:, unit_of_code] * shares[:-1]
        if not self._unseen[column]:
            return of_codes
        left = p[:, -1:] if infrequent is not None else np.ones((len(p), 1))
        return np.concatenate([of_codes, left * shares[-1]], axis=1)

    def log_volumes(self, X: Any) -> Any:
        """Compute -Σ log P(code | state) of each row, over its known columns.

        A code of its own has what codes not seen in fit leave to it; infrequent ones have their
        shares of the remainder.
        """
        if self.infrequent_categories is None and self.unseen_shares is None:
            return 0.0
        where = self.backend.xp if is_cupy_array(X) else np
        total = where.zeros(X.shape[0], dtype=where.float64)
        for j, known in enumerate(self.categories):
            place = _places(X[:, j], known, where)
            log_p = where.take(where.asarray(self._log_shares(j)), place)
            total = total - where.where(X[:, j] == X[:, j], log_p, where.zeros_like(log_p))
        return total

    def _log_shares(self, j: int) -> np.ndarray:
        """Compute log P(code | state) of the codes of a column, and last of others."""
        known, infrequent, unseen = self.categories[j], self._infrequent[j], self._unseen[j]
        if infrequent is None:
            shares = np.full(len(known), 1.0 - unseen)
        else:
            shares = np.ones(len(known))
            shares[_places(infrequent, known)] = self._shares[j]
        with np.errstate(divide="ignore"):
            return np.log(np.append(shares, unseen))

    @property
    def _infrequent(self) -> list:
        return self.infrequent_categories or [None] * len(self.categories)

    @property
    def _shares(self) -> list:
        return self.infrequent_shares or [None] * len(self.categories)

    @property
    def _unseen(self) -> list[float]:
        return self.unseen_shares or [0.0] * len(self.categories)

    def _are_unseen(self, X: Any) -> Any:
        """Mark entries with codes not seen in fit, in columns without a remainder."""
        where = self.backend.xp if is_cupy_array(X) else np
        columns = []
        for j, known in enumerate(self.categories):
            x = X[:, j]
            is_unseen = (_places(x, known, where) == len(known)) & (x == x)
            has_remainder = self._infrequent[j] is not None
            columns.append(where.zeros_like(is_unseen) if has_remainder else is_unseen)
        return where.stack(columns, axis=1)

    @cached_property
    def _codes_of_units(self) -> list[np.ndarray]:
        """The code of each unit of each column; NaN of a remainder."""
        found = []
        for codes, infrequent in zip(self.categories, self._infrequent, strict=True):
            if infrequent is not None:
                codes = np.append(codes[~np.isin(codes, infrequent)].astype(np.float64), np.nan)
            found.append(codes)
        return found

    @cached_property
    def _column_of_unit(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.categories)), list(map(len, self._codes_of_units)))

    @cached_property
    def _code_of_unit(self) -> np.ndarray:
        return np.concatenate(self._codes_of_units)

    @property
    def _groups(self) -> list[slice]:
        ends = accumulate(map(len, self._codes_of_units), initial=0)
        return [slice(start, stop) for start, stop in pairwise(ends)]


def _places(x: Any, known: np.ndarray, where: Any = np) -> Any:
    """Find the place of each number among known codes; their number for other numbers."""
    order = np.argsort(known)
    rising = where.asarray(known[order].astype(np.float64))
    found = where.clip(where.searchsorted(rising, x), 0, len(known) - 1)
    places = where.take(where.asarray(order), found)
    is_known = where.take(rising, found) == x
    return where.where(is_known, places, where.full_like(places, len(known)))


def _find_codes(values: np.ndarray, settings: ColumnSettings, j: int) -> np.ndarray:
    """Find the codes of a column, sorted, as float64; ValueError for numbers that are no codes."""
    codes = np.unique(values).astype(np.float64)
    codes = codes[codes == codes]
    wrong = codes[codes != np.floor(codes)]
    if wrong.size:
        raise ValueError(
            f"categories are coded by whole numbers, got {wrong[0]:g} in {settings.label(j)}: code "
            "them with sklearn.preprocessing.OrdinalEncoder, or cut a real column into bins "
            "(KBinsDiscretizer(encode='ordinal'))."
        )
    if codes.size == 0:
        raise ValueError(f"{settings.label(j)} has no codes, only NaN: leave it out")
    if np.abs(codes).max() > LARGEST_CODE[settings.dtype]:
        raise ValueError(
            f"codes go up to {LARGEST_CODE[settings.dtype]} with dtype={settings.dtype!r}, got "
            f"{codes[np.abs(codes).argmax()]:g} in {settings.label(j)}: use smaller ones "
            "(sklearn.preprocessing.OrdinalEncoder)"
        )
    return codes


def _declared_codes(codes: Any, settings: ColumnSettings, j: int) -> np.ndarray:
    try:
        return np.asarray(codes, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"the codes of {settings.label(j)} must be numbers, got {describe(codes)} in categories"
        ) from None


def _list_codes(codes: np.ndarray) -> str:
    more = ", ..." if len(codes) > MOST_LISTED else ""
    return ", ".join(f"{code:g}" for code in codes[:MOST_LISTED]) + more
