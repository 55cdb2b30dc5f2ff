"""Affine maps between layers, by which backends multiply rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sklearn_rapid.backends.units import SPINS, Units


@dataclass(frozen=True)
class Affine:
    """The map x -> scale * x F + bias of rows, where F is a matrix or a product of two.

    Parameters
    ----------
    first : array of shape (n_in, m)
    second : array of shape (m, n_out) or None
        F is ``first @ second``, which is never formed; or `first` alone, with m = n_out.
    bias : array of shape (n_out,) or (n, n_out)
        One for all rows, or one a row of the n rows that are mapped.
    scale : float, default=1.0
    units : Units, default=SPINS
        Units of the layer whose fields the map gives.

    Examples
    --------
    >>> import numpy as np
    >>> Affine(np.eye(2), None, np.ones(2)).n_products
    4
    """

    first: Any
    second: Any
    bias: Any
    scale: float = 1.0
    units: Units = SPINS
    # A backend's own form of the map, such as its matrices in another layout.
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_products(self) -> int:
        """Number of multiply-adds that map one row."""
        (n_in, m), n_out = self.first.shape, self.bias.shape[-1]
        return n_in * m if self.second is None else m * (n_in + n_out)

    @property
    def is_by_row(self) -> bool:
        """Whether each row has its own bias: the compiled functions map all rows alike."""
        return self.bias.ndim > 1

    def of_rows(self, rows: slice) -> Affine:
        """The map of a block of the rows."""
        bias = self.bias[rows, :] if self.is_by_row else self.bias
        units = self.units.of_rows(rows)
        is_same = bias is self.bias and units is self.units
        return self if is_same else replace(self, bias=bias, units=units, kept={})
