"""The layers of a deep machine, as the two sides of a restricted one.

Only neighbours are coupled. So the even layers (the visible one is number 0) are independent of
each other given the odd ones, and the other way round: side by side, they are the layers of a
restricted machine, of whose couplings some blocks are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from numbers import Integral
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layers:
    """How many units there are in each layer.

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
        """Whether there are layers on both sides that are no neighbours."""
        return len(self.sizes) > 3

    def mask(self) -> np.ndarray:
        """One where an even unit and an odd one are in neighbouring layers, zero elsewhere."""
        mask = np.zeros((self.n_even, self.n_odd))
        for even, odd in map(self._sides, range(len(self.sizes) - 1)):
            mask[even, odd] = 1.0
        return mask

    def blocks(self, weights: np.ndarray) -> list[np.ndarray]:
        """Couplings of neighbouring layers, from below, of W of shape (n_even, n_odd)."""
        blocks = [weights[self._sides(lower)] for lower in range(len(self.sizes) - 1)]
        return [block.T if lower % 2 else block for lower, block in enumerate(blocks)]

    def by_layer(self, even: Any, odd: Any) -> list[Any]:
        """Arrays whose last axes are the units of either side, layer by layer."""
        return [(odd if n % 2 else even)[..., self._part(n)] for n in range(len(self.sizes))]

    def _sides(self, lower: int) -> tuple[slice, slice]:
        """Where a layer and the one above it are, on the even side and on the odd one."""
        pair = self._part(lower), self._part(lower + 1)
        return pair[::-1] if lower % 2 else pair

    def _part(self, layer: int) -> slice:
        """Where a layer is on its side."""
        ends = list(accumulate(self.sizes[layer % 2 :: 2], initial=0))
        return slice(ends[layer // 2], ends[layer // 2 + 1])
