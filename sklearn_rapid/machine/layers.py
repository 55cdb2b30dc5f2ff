"""Arrange the layers of a deep machine as the two sides of a restricted one.

Only neighbouring layers are coupled. So the even layers (the visible one is number 0) are
independent given the odd ones, and the other way round: side by side, they are the two layers of a
restricted machine, with zeros in some blocks of its couplings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from numbers import Integral
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layers:
    """The sizes of the layers.

    Parameters
    ----------
    sizes : tuple of int
        From the visible layer up.

    Examples
    --------
    >>> layers = Layers((4, 3, 2))
    >>> layers.n_even, layers.n_odd
    (6, 3)
    >>> [block.shape for block in layers.blocks(np.zeros((6, 3)))]
    [(4, 3), (3, 2)]
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        are_counts = all(isinstance(n, Integral) and n > 0 for n in self.sizes)
        if not are_counts or len(self.sizes) < 2:
            raise ValueError(f"layers have sizes above zero, two at least; got {self.sizes!r}")

    @property
    def n_even(self) -> int:
        """Units of the even layers: the visible side of the restricted machine."""
        return sum(self.sizes[0::2])

    @property
    def n_odd(self) -> int:
        """Units of the odd layers: the hidden side."""
        return sum(self.sizes[1::2])

    @property
    def are_masked(self) -> bool:
        """Whether some layers on opposite sides are not neighbours."""
        return len(self.sizes) > 3

    def mask(self) -> np.ndarray:
        """Mark coupled units: 1 where an even and an odd unit are in neighbouring layers."""
        mask = np.zeros((self.n_even, self.n_odd))
        for even, odd in map(self._sides, range(len(self.sizes) - 1)):
            mask[even, odd] = 1.0
        return mask

    def blocks(self, weights: np.ndarray) -> list[np.ndarray]:
        """Cut W, shape (n_even, n_odd), into the couplings of neighbouring layers, from below."""
        blocks = [weights[self._sides(lower)] for lower in range(len(self.sizes) - 1)]
        return [block.T if lower % 2 else block for lower, block in enumerate(blocks)]

    def by_layer(self, even: Any, odd: Any) -> list[Any]:
        """Cut the last axes of two arrays, the units of either side, into layers from below."""
        return [(odd if n % 2 else even)[..., self._part(n)] for n in range(len(self.sizes))]

    def _sides(self, lower: int) -> tuple[slice, slice]:
        """The slices of a layer and the one above it, that on the even side first."""
        pair = self._part(lower), self._part(lower + 1)
        return pair[::-1] if lower % 2 else pair

    def _part(self, layer: int) -> slice:
        """The slice of a layer on its side."""
        ends = list(accumulate(self.sizes[layer % 2 :: 2], initial=0))
        return slice(ends[layer // 2], ends[layer // 2 + 1])
