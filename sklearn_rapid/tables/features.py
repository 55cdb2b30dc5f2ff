"""Convert between hidden features in a user's units and states of hidden units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import to_host

UNIT_RANGES = {"binary": (0.0, 1.0), "spin": (-1.0, 1.0)}
# How far features may be out of range, after other steps of a pipeline and back.
ROUNDING = 1e-3


@dataclass(frozen=True)
class SpinFeatures:
    """Convert features of hidden spins, in [0, 1] or [-1, 1].

    Parameters
    ----------
    units : {"binary", "spin"}
    backend : backend
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> features = SpinFeatures("binary", get_backend("numpy"), "float32")
    >>> features.means(np.array([[0.25, 1.0]]))
    array([[-0.5,  1. ]], dtype=float32)
    """

    units: str
    backend: Any
    dtype: str

    @property
    def to_unit(self) -> bool:
        """Whether a machine computes means in [0, 1], where small ones keep their digits."""
        return self.units == "binary"

    def check(self, H: Any, name: str = "H") -> None:
        """Raise ValueError, with the first one, for features that are no means of spins."""
        low, high = UNIT_RANGES[self.units]
        is_bad = to_host((H < low - ROUNDING) | (H > high + ROUNDING))
        if is_bad.any():
            row, column = np.argwhere(is_bad)[0]
            raise ValueError(
                f"with units={self.units!r}, {name} holds means in [{low:g}, {high:g}]; got "
                f"{float(H[row, column]):g} in column {column}"
            )

    def means(self, H: Any) -> Any:
        """Convert features to means of the hidden spins."""
        H = H * 2.0 - 1.0 if self.to_unit else H
        return self.backend.asarray(H, self.dtype)

    def decode(self, h: Any) -> Any:
        """Convert spins, or their means, to features."""
        return 0.5 * (h + 1.0) if self.to_unit else h


@dataclass(frozen=True)
class RealFeatures:
    """Convert features of real hidden units, which are their means.

    Parameters
    ----------
    backend : backend
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> RealFeatures(get_backend("numpy"), "float32").means(np.array([[2.5]]))
    array([[2.5]], dtype=float32)
    """

    backend: Any
    dtype: str

    to_unit = False

    def check(self, H: Any, name: str = "H") -> None:
        """Accept any features: all finite numbers are means of real units."""

    def means(self, H: Any) -> Any:
        """Convert features to means of the hidden units."""
        return self.backend.asarray(H, self.dtype)

    def decode(self, h: Any) -> Any:
        """Return states, or their means, which are features already."""
        return h
