"""Append latent units, which no column shows, to the units of the columns of X."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.tables.encoder import Encoder


@dataclass(frozen=True)
class LatentEncoder(Encoder):
    """Encode columns by another encoder, and append units whose states are always missing.

    Parameters
    ----------
    columns : Encoder
    n_latent : int
        Above zero.
    **others
        See `Encoder`.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.tables.spins import SpinEncoder
    >>> spins = SpinEncoder("binary", 0.5, backend=get_backend("numpy"))
    >>> encoder = LatentEncoder(spins, 2, backend=get_backend("numpy"), missing=True)
    >>> encoder.states(np.array([[0, 1]]))
    array([[-1.,  1., nan, nan]], dtype=float32)
    """

    columns: Encoder
    n_latent: int

    @property
    def visible_units(self) -> Units:
        """The units of the columns; latent units are of the same kind."""
        return self.columns.visible_units

    @property
    def is_drawn(self) -> bool:
        """Whether spins of the columns are drawn."""
        return self.columns.is_drawn

    def are_thresholded(self, n_columns: int) -> np.ndarray:
        """Mark columns that are read by a threshold, one boolean each."""
        return self.columns.are_thresholded(n_columns)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for values that the columns cannot hold."""
        self.columns.check(X, name)

    def warn_if_constant(self, X: Any) -> None:
        """Warn if different values are all encoded as the same state."""
        self.columns.warn_if_constant(X)

    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Encode rows, with NaN for latent units."""
        return self._with_latent(self.columns.states(X, stream, draw, n_rows))

    def states_of_rows(self, X: Any, rows: Any) -> Any:
        """Encode some rows, given by number or slice, with NaN for latent units."""
        return self._with_latent(self.columns.states_of_rows(X, rows))

    def unit_means(self, machine: Any, h: Any) -> Any:
        """Compute E[v | h] of all visible units."""
        return self.columns.unit_means(machine, h)

    def decode(self, v: Any, stream: Any = None) -> Any:
        """Convert states of the columns, or their means, to the units of the columns."""
        return self.columns.decode(v[:, : v.shape[1] - self.n_latent], stream)

    def log_volumes(self, X: Any) -> Any:
        """Compute log P(state) - log P(row) of each row, of its known columns."""
        return self.columns.log_volumes(X)

    def decode_means(self, means: Any) -> Any:
        """Convert means of `unit_means` to the units of the columns."""
        return self.columns.decode_means(means[:, : means.shape[1] - self.n_latent])

    def _with_latent(self, v: Any) -> Any:
        xp = self.backend.xp
        latent = xp.full((v.shape[0], self.n_latent), float("nan"), dtype=v.dtype)
        return xp.concat([v, latent], axis=1)
