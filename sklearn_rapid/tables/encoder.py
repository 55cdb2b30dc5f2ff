"""Rows of X to states of visible units and back: what the encoders of all kinds have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.tables.missing import has_missing

# Rows converted at a time, a multiple of every backend's `row_multiple`.
CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """Encodes columns of one kind as states of visible units, and decodes states.

    Subclasses are what a kind of columns is (`sklearn_rapid.tables.kinds`): their fields are what
    has been learned of the columns.

    Parameters
    ----------
    backend : backend, optional
        None, for what only checks rows.
    dtype : {"float32", "float64"}
    missing : bool, default=False
        Whether rows may have NaN where an entry is missing. Their units are NaN, too.
    """

    backend: Any = None
    dtype: str = "float32"
    missing: bool = False

    # Fields with one number a unit, and the number of units of other kinds; fields with one value
    # a column. They are attributes of a fitted estimator, with an underscore at the end.
    per_unit: ClassVar[dict[str, float]] = {}
    per_column: ClassVar[tuple[str, ...]] = ()
    # Whether values are on or off by a threshold, and never means.
    has_threshold: ClassVar[bool] = False
    # Whether spins are drawn from the means that values stand for.
    is_drawn: ClassVar[bool] = False
    # Whether the likelihood of a column is a density.
    has_density: ClassVar[bool] = False

    # --- what a kind says ---------------------------------------------------------------

    @property
    @abstractmethod
    def visible_units(self) -> Units:
        """The units of all columns, side by side."""

    @abstractmethod
    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for values that columns of this kind cannot hold."""

    @abstractmethod
    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Rows as a backend array of states, or of means of states, of shape (n, n_units).

        Parameters
        ----------
        X : array of shape (n_samples, n_columns)
        stream : RandomStream, optional
        draw : int
            The draw of random numbers that spins are drawn with, if they are.
        n_rows : int
            Rows of zeros, or of -1, are added up to this number.
        """

    @abstractmethod
    def decode(self, v: Any) -> Any:
        """States, or their means, in the units of the columns."""

    # --- what most kinds have in common -------------------------------------------------

    @classmethod
    def learned(cls, X: Any, *, units: str, binarize: Any, dtype: str) -> Self:
        """The encoder for columns whose first rows these are.

        Parameters
        ----------
        X : array of shape (n_samples, n_columns)
        units, binarize, dtype
            As of an estimator.

        Raises
        ------
        ValueError
            For values that columns of this kind cannot hold.
        """
        return cls(dtype=dtype)

    @classmethod
    def fields_of(cls, attributes: Mapping, *, units: str, binarize: Any) -> dict[str, Any]:
        """Fields of the encoder that are neither `per_unit` nor `per_column`."""
        return {}

    def check_learned(self) -> None:
        """Raise ValueError if fitted attributes, which may be damaged, make no encoder."""
        return

    def warn_if_constant(self, X: Any) -> None:
        """Warn if all values, which differ, are read as one."""
        return

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes of the fields of `fields_of`."""
        return {}

    def units_of_columns(self, n_columns: int) -> np.ndarray:
        """Number of units of each column."""
        return np.ones(n_columns, dtype=np.int64)

    def are_thresholded(self, n_columns: int) -> np.ndarray:
        """Which columns are read by a threshold: a boolean for each."""
        return np.full(n_columns, self.has_threshold)

    def measured(self, X: Any, weights: np.ndarray | None, backend: Any) -> Self:
        """The encoder with what weighted rows say of the columns."""
        return self

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """The smallest scale that each real unit may reach in training on these rows."""
        return None

    def reading(self, X: Any, backend: Any) -> Self:
        """The encoder for these rows; for a backend of None, it only checks them."""
        return replace(self, backend=backend, missing=backend is not None and has_missing(X))

    def states_of_rows(self, X: Any, rows: Any) -> Any:
        """Some rows, by number or slice, as a backend array of states."""
        return self.states(X[rows])

    def keeps_sparse(self, X: Any) -> bool:
        """Whether rows of X are to be multiplied as a sparse matrix (see `bits`)."""
        return False

    def unit_means(self, machine: Any, h: Any) -> Any:
        """E[v | h] of the units, in the form that `decode_means` takes."""
        return machine.visible_mean(h)

    def decode_means(self, means: Any) -> Any:
        """Means of `unit_means` in the units of the columns."""
        return self.decode(means)

    @property
    def unscaled(self) -> Self:
        """The encoder for training, in which scales are part of the state."""
        return self

    @property
    def log_volume(self) -> float:
        """Log of the volume in the units of X of a unit of volume of the states."""
        return 0.0

    def log_volume_of(self, v: Any) -> Any:
        """`log_volume` of the known columns of each row of states."""
        return 0.0


def chunks(n_rows: int) -> Iterator[slice]:
    """Rows in chunks of `CHUNK`."""
    for start in range(0, n_rows, CHUNK):
        yield slice(start, min(start + CHUNK, n_rows))
