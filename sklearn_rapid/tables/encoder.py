"""Encode rows of X as states of visible units, and decode states: the base class of all kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.tables.missing import has_missing
from sklearn_rapid.tables.settings import ColumnSettings, label_columns

# Rows converted at a time, a multiple of every backend's `row_multiple`.
CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """Encode columns of one kind as states of visible units, and decode states.

    A subclass defines a kind of columns (`sklearn_rapid.tables.kinds`); its fields are what has
    been learned of the columns.

    Parameters
    ----------
    backend : backend, optional
        None suffices to check rows.
    dtype : {"float32", "float64"}
    missing : bool, default=False
        Whether rows may have missing entries, which are NaN. Their units are NaN, too.
    names : tuple or None, default=None
        Names of the columns, for messages.
    """

    backend: Any = None
    dtype: str = "float32"
    missing: bool = False
    names: tuple | None = None

    # Fields that are attributes of a fitted estimator, with an underscore at the end: one value for
    # the table, one a column, or one a unit (with the value that units of other kinds have).
    per_table: ClassVar[tuple[str, ...]] = ()
    per_column: ClassVar[tuple[str, ...]] = ()
    per_unit: ClassVar[dict[str, float]] = {}
    # Whether a threshold turns values on or off.
    has_threshold: ClassVar[bool] = False
    # Whether values are means that spins are drawn from.
    is_drawn: ClassVar[bool] = False
    # Whether the likelihood of a column is a density.
    has_density: ClassVar[bool] = False

    # --- what a kind defines ------------------------------------------------------------

    @property
    @abstractmethod
    def visible_units(self) -> Units:
        """The units of all columns, side by side."""

    @abstractmethod
    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for values that columns of this kind cannot hold."""

    @abstractmethod
    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Encode rows as a backend array of states, or of means of states, shape (n, n_units).

        Parameters
        ----------
        X : array of shape (n_samples, n_columns)
        stream : RandomStream, optional
        draw : int
            The draw of random numbers for spins that are drawn.
        n_rows : int
            Rows of zeros, or of -1, are appended up to this number.
        """

    @abstractmethod
    def decode(self, v: Any, stream: Any = None) -> Any:
        """Convert states, or their means, to the units of the columns.

        Where a state stands for several values, one is drawn with a stream, and the most likely one
        taken without.
        """

    # --- defaults -----------------------------------------------------------------------

    @classmethod
    def learn(cls, X: Any, settings: ColumnSettings, weights: np.ndarray | None = None) -> Self:
        """Make the encoder of columns from their first rows.

        Parameters
        ----------
        X : array of shape (n_samples, n_columns)
        settings : ColumnSettings
            With `categories` of these columns alone.
        weights : array of shape (n_samples, n_columns), optional
            The number of rows that each entry stands for, one by default.

        Raises
        ------
        ValueError
            For values that columns of this kind cannot hold.
        """
        return cls(dtype=settings.dtype, names=settings.names)

    @classmethod
    def restore(cls, attributes: Mapping, settings: ColumnSettings) -> Self:
        """Make the encoder of fitted columns, without its fields `per_unit`.

        Parameters
        ----------
        attributes : mapping
            Fitted attributes `per_table` and `per_column`, the latter of these columns alone.
        settings : ColumnSettings

        Raises
        ------
        ValueError
            For attributes that are damaged.
        """
        return cls(dtype=settings.dtype, names=settings.names)

    def label(self, j: int) -> str:
        """Name a column in a message."""
        return label_columns([j], self.names)

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> Self:
        """Set the moments of the columns to those of weighted rows."""
        return self

    def for_rows(self, X: Any, backend: Any) -> Self:
        """Adapt the encoder to these rows; without a backend it only checks them."""
        return replace(self, backend=backend, missing=backend is not None and has_missing(X))

    def warn_if_constant(self, X: Any) -> None:
        """Warn if different values are all encoded as the same state."""
        return

    def count_units(self, n_columns: int) -> np.ndarray:
        """Count the units of each column."""
        return np.ones(n_columns, dtype=np.int64)

    def takes_unknown(self, n_columns: int) -> np.ndarray:
        """Mark columns that take values not seen in fit as such, one boolean each."""
        return np.zeros(n_columns, dtype=bool)

    def column_of_unit(self, n_columns: int) -> np.ndarray:
        """Find the column that each unit encodes."""
        return np.repeat(np.arange(n_columns), self.count_units(n_columns))

    def remark(self, column: int) -> str:
        """Say in brackets what was learned of a column; empty if there is nothing to say."""
        return ""

    def choices_of(self, column: int) -> np.ndarray:
        """List the states of the units of a column, one a row; none if they are continuous."""
        return np.zeros((0, int(self.count_units(column + 1)[column])))

    def probabilities(self, column: int, p: np.ndarray) -> np.ndarray:
        """Convert probabilities of `choices_of` a column, shape (n, n_choices), to those of values.

        Values not seen in fit come last, if they have a probability.
        """
        return p

    def are_thresholded(self, n_columns: int) -> np.ndarray:
        """Mark columns that are read by a threshold, one boolean each."""
        return np.full(n_columns, self.has_threshold)

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """Find the smallest scale that each real unit may reach in training on these rows."""
        return None

    def states_of_rows(self, X: Any, rows: Any) -> Any:
        """Encode some rows, given by number or slice."""
        return self.states(X[rows])

    def keeps_sparse(self, X: Any) -> bool:
        """Whether rows of X are better multiplied as a sparse matrix (see `SpinEncoder.bits`)."""
        return False

    def unit_means(self, machine: Any, h: Any) -> Any:
        """Compute E[v | h] of the units, in the form that `decode_means` takes."""
        return machine.visible_mean(h)

    def decode_means(self, means: Any) -> Any:
        """Convert means of `unit_means` to the units of the columns."""
        return self.decode(means)

    @property
    def unscaled(self) -> Self:
        """The encoder for training, in which scales are part of the state."""
        return self

    def log_volumes(self, X: Any) -> Any:
        """Compute log P(state) - log P(row) of each row, of its known columns.

        With real columns it is the logarithm of the volume, in the units of X, of a unit of volume
        of the states; with categories, what they leave to codes not seen in fit.
        """
        return 0.0


def chunks(n_rows: int) -> Iterator[slice]:
    """Yield slices of `CHUNK` rows."""
    for start in range(0, n_rows, CHUNK):
        yield slice(start, min(start + CHUNK, n_rows))
