"""How machines see the columns of a table: each by itself, or exclusive ones as codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_rapid.tables.columns import Columns
from sklearn_rapid.tables.kinds import by_kind
from sklearn_rapid.tables.settings import ColumnSettings
from sklearn_rapid.tables.table import Table

# Rows of a view that a row of the table with partly missing groups may be, at most.
MOST_EXPANDED = 256
# The code of rows in which several columns of a group are on.
SEVERAL = -1.0


class Expanded(NamedTuple):
    """Rows of a view that rows of a table may be.

    Attributes
    ----------
    rows : array of shape (m, n_columns)
    owner : int array of shape (m,)
        The row of the table that each belongs to, rising.
    log_volumes : number or array of shape (m,)
        To add to log P(row of the view).
    """

    rows: Any
    owner: np.ndarray
    log_volumes: Any


@dataclass(frozen=True)
class View:
    """The columns of a table, each by itself.

    Parameters
    ----------
    table : Table
        Of the columns, whose numbers stand for themselves.
    """

    table: Table

    @classmethod
    def of_table(cls, table: Table) -> View:
        """Make the view of a table, perhaps of a frame, whose numbers have been read."""
        return cls(replace(table, schema=None, values=None, names=None))

    def encode(self, X: Any) -> Any:
        """Convert rows of the table to rows of the view."""
        return X

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Convert rows of the view to rows of the table."""
        return rows

    def takes(self, X: Any) -> np.ndarray:
        """Mark rows that the view can hold."""
        return np.ones(X.shape[0], dtype=bool)

    def expand(self, X: Any, but: int | None = None) -> Expanded:
        """Make rows of the view whose probabilities add up to those of rows of the table.

        Parameters
        ----------
        X : array of shape (n, n_columns)
        but : int, optional
            A column of the view that is missing in the result.
        """
        return Expanded(self.encode(X), np.arange(X.shape[0]), 0.0)

    def means_of_states(self, means: np.ndarray, plain: Table) -> np.ndarray:
        """Convert means of the view's units to those of the units of a table without groups."""
        return means

    def place(self, column: int) -> int:
        """Find the column of the view that holds a column of the table."""
        return column

    def distribution(self, found: np.ndarray, column: int, X: np.ndarray) -> np.ndarray:
        """Convert a distribution of a column of the view to that of a column of the table."""
        return found


@dataclass(frozen=True)
class GroupedView(View):
    """Groups of binary columns of which at most one is on, as columns of codes.

    Code k > 0 means that the k-th column of the group is on, and 0 that none is. Codes that fit has
    not seen, and rows in which several are on, have the probability of codes not seen, divided
    equally among all such rows of the group. The columns of codes stand after the others.

    Parameters
    ----------
    table : Table
    groups : tuple of int array
        Columns of the table without groups.
    others : int array
        Columns that are in no group.
    """

    groups: tuple[np.ndarray, ...] = ()
    others: np.ndarray | None = None

    @classmethod
    def learn(
        cls,
        X: Any,
        sample_weight: np.ndarray | None,
        view: View,
        groups: list[np.ndarray],
        settings: ColumnSettings,
        backend: Any,
    ) -> GroupedView:
        """Make the view from the first rows of a table and its view without groups."""
        n_columns = view.table.n_columns
        others = np.setdiff1d(np.arange(n_columns), np.concatenate(groups))
        kind_of = {int(j): kind for kind, columns in view.table.kinds for j in columns}
        known_of = {
            int(j): codes
            for part in view.table.parts
            if part.kind == "categorical"
            for j, codes in zip(part.columns, part.encoder.categories, strict=True)
        }
        kinds = by_kind([kind_of[int(j)] for j in others] + ["categorical"] * len(groups))
        unlearned = cls(view.table, tuple(groups), others)
        numbers = unlearned.encode(X)
        known = [known_of.get(int(j)) for j in others]
        for codes in numbers[:, len(others) :].T:
            known.append(np.unique(codes[codes >= 0.0]))
        n = len(known)
        columns = Columns(kinds, len(kinds) > 1, None, [None] * n, known)
        settings = replace(settings, handle_unknown="infrequent", names=None)
        table = Table.learn(numbers, columns, settings)
        return replace(unlearned, table=table.measure(numbers, sample_weight, backend))

    def encode(self, X: Any) -> np.ndarray:
        """Convert rows of the table to rows of the view; a group is known as a whole or missing."""
        X = X.toarray() if sparse.issparse(X) else X
        columns = [X[:, self.others].astype(np.float64)]
        for group in self.groups:
            bits = X[:, group]
            n_on = np.sum(bits, axis=1)
            code = np.select(
                [n_on == 0, n_on == 1, n_on > 1],
                [0.0, np.argmax(bits, axis=1) + 1.0, SEVERAL],
                default=np.nan,
            )
            columns.append(code[:, None])
        return np.concatenate(columns, axis=1)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Convert rows of the view to rows of the table."""
        out = np.empty((len(rows), self.n_columns))
        out[:, self.others] = rows[:, : len(self.others)]
        for code, group in zip(rows[:, len(self.others) :].T, self.groups, strict=True):
            out[:, group] = code[:, None] == np.arange(1, len(group) + 1)
        return out

    def _log_volumes(self, rows: np.ndarray) -> np.ndarray:
        """Compute log P(row of the table) - log P(row) of rows of the view.

        Rows of a group that fit has not seen have the same code.
        """
        total, codes = np.zeros(len(rows)), rows[:, len(self.others) :]
        for code, group, known in zip(codes.T, self.groups, self._known, strict=True):
            n_unseen = 2.0 ** len(group) - len(known)
            total -= np.where(~np.isin(code, known) & (code == code), np.log(n_unseen), 0.0)
        return total

    def takes(self, X: Any) -> np.ndarray:
        """Mark rows without too many groups of which a part is missing."""
        n_ways = np.ones(X.shape[0])
        for group in self.groups:
            n_missing = self._n_missing(X, group)
            n_ways *= np.where(n_missing < len(group), n_missing + 1.0 + (n_missing > 0), 1.0)
        return n_ways <= MOST_EXPANDED

    def expand(self, X: Any, but: int | None = None) -> Expanded:
        """Make rows of the view whose probabilities add up to those of rows of the table.

        A group of which a part is missing has any code that the known part allows.
        """
        rows, owner = self.encode(X), np.arange(X.shape[0])
        log_volumes = self._log_volumes(rows)
        for k, group in enumerate(self.groups):
            place, n_missing = len(self.others) + k, self._n_missing(X, group)
            if place == but:
                rows[:, place] = np.nan
                continue
            is_part = (n_missing > 0) & (n_missing < len(group))
            if not is_part.any():
                continue
            codes, log_n = self._codes_allowed(X, k)
            repeats = np.where(is_part, len(codes), 1)[owner]
            source = np.repeat(np.arange(len(rows)), repeats)
            owner, rows, log_volumes = owner[source], rows[source], log_volumes[source]
            own = is_part[owner]
            nth = np.arange(len(source)) - np.concatenate([[0], np.cumsum(repeats)])[source]
            rows[own, place] = codes[nth[own]]
            log_volumes[own] += log_n[owner[own], nth[own]]
            kept = log_volumes > -np.inf
            rows, owner, log_volumes = rows[kept], owner[kept], log_volumes[kept]
        return Expanded(rows, owner, log_volumes)

    def _codes_allowed(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """List codes of a group, and log of how much of each known bits allow: shape (n, n_codes).

        The last code stands for all rows of the group that fit has not seen.
        """
        group, known = self.groups[k], self._known[k]
        allowed = _find_allowed(X[:, group], np.isin(np.arange(len(group) + 1), known))
        codes = np.append(known, SEVERAL)
        n_ways = np.column_stack([allowed.of_codes[:, known.astype(int)], allowed.n_unseen])
        n_ways[:, -1] /= 2.0 ** len(group) - len(known)
        with np.errstate(divide="ignore"):
            return codes, np.log(n_ways)

    def _n_missing(self, X: Any, group: np.ndarray) -> np.ndarray:
        if sparse.issparse(X):
            return np.zeros(X.shape[0])
        return np.isnan(X[:, group]).sum(axis=1)

    def means_of_states(self, means: np.ndarray, plain: Table) -> np.ndarray:
        """Convert means of the view's units to those of the units of a table without groups."""
        out = np.empty((len(means), len(plain.column_of_unit)))
        own, theirs = self.table.column_of_unit, plain.column_of_unit
        for place, column in enumerate(self.others):
            out[:, theirs == column] = means[:, own == place]
        for k, (group, known) in enumerate(zip(self.groups, self._known, strict=True)):
            p = means[:, own == len(self.others) + k]
            for bit, column in enumerate(group, start=1):
                is_on = p[:, known == bit].sum(axis=1)
                out[:, theirs == column] = (2.0 * is_on - 1.0)[:, None]
        return out

    def place(self, column: int) -> int:
        """Find the column of the view that holds a column of the table."""
        for k, group in enumerate(self.groups):
            if column in group:
                return len(self.others) + k
        return int(np.flatnonzero(self.others == column)[0])

    def distribution(self, found: np.ndarray, column: int, X: np.ndarray) -> np.ndarray:
        """Convert a distribution of a column of the view to that of a column of the table.

        Of a column in a group, its probabilities to be off and on are those given the group's other
        columns in these rows.
        """
        k = self.place(column) - len(self.others)
        if k < 0:
            return found
        group, known = self.groups[k], self._known[k].astype(int)
        unseen = found[:, -1] / (2.0 ** len(group) - len(known))
        columns = []
        for bit in (0.0, 1.0):
            rows = np.where(group == column, bit, X[:, group])
            allowed = _find_allowed(rows, np.isin(np.arange(len(group) + 1), known))
            p = np.sum(allowed.of_codes[:, known] * found[:, : len(known)], axis=1)
            columns.append(p + allowed.n_unseen * unseen)
        p = np.column_stack(columns)
        return p / p.sum(axis=1, keepdims=True)

    @property
    def n_columns(self) -> int:
        """Number of columns of the table without groups."""
        return len(self.others) + sum(map(len, self.groups))

    @property
    def _known(self) -> list[np.ndarray]:
        """The codes of each group that fit has seen."""
        part = next(part for part in self.table.parts if part.kind == "categorical")
        of_column = dict(zip(part.columns.tolist(), part.encoder.categories, strict=True))
        return [of_column[len(self.others) + k] for k in range(len(self.groups))]


def remove_unseen_bits(X: Any, columns: np.ndarray, *, are_refused: bool) -> tuple[Any, np.ndarray]:
    """Make entries missing that are neither zero nor one in columns of these.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, n_columns)
    columns : int array
        Numbers of the binary columns.
    are_refused : bool
        Whether to raise ValueError instead.

    Returns
    -------
    X : array or sparse matrix
        The same one if there are no such entries.
    n_unseen : int array of shape (n,)
        How many there are in each row.

    Examples
    --------
    >>> remove_unseen_bits(np.array([[0, 1], [2, 0]]), np.array([0]), are_refused=False)
    (array([[ 0.,  1.],
           [nan,  0.]]), array([0, 1]))
    """
    if sparse.issparse(X):
        return X, np.zeros(X.shape[0], dtype=np.int64)
    own = X[:, columns]
    is_unseen = (own != 0) & (own != 1) & (own == own)
    if is_unseen.any():
        if are_refused:
            i, j = np.argwhere(is_unseen)[0]
            raise ValueError(
                f"X has the value {own[i, j]:g} in column {columns[j]}, where the fit has seen 0 "
                "and 1 only. Leave such rows out, or fit again with handle_unknown='infrequent'."
            )
        X = X.astype(np.float64)
        X[:, columns] = np.where(is_unseen, np.nan, own)
    return X, is_unseen.sum(axis=1)


class _Allowed(NamedTuple):
    """What known bits of a group allow: codes, 0 or 1 of each, and the number of other rows."""

    of_codes: np.ndarray
    n_unseen: np.ndarray


def _find_allowed(bits: np.ndarray, is_seen: np.ndarray) -> _Allowed:
    """Find what known bits of a group, shape (n, k), allow; `is_seen` marks codes 0 to k."""
    is_on, is_missing = bits == 1.0, np.isnan(bits)
    n_on, n_missing = is_on.sum(axis=1), is_missing.sum(axis=1)
    of_codes = np.zeros((len(bits), bits.shape[1] + 1))
    of_codes[:, 0] = n_on == 0
    of_codes[:, 1:] = np.where(n_on[:, None] == 0, is_missing, is_on & (n_on[:, None] == 1))
    of_codes *= is_seen
    return _Allowed(of_codes, 2.0**n_missing - of_codes.sum(axis=1))
