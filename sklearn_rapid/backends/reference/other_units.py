"""What the reference computes for units that are not spins: real ones, groups of categories.

Columns come in groups of given sizes, one beside the other. Array code wants groups of one size:
smaller ones are filled up in front with columns that have no weight, so that all groups are
computed with at once.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import pi
from typing import Any

import numpy as np

from sklearn_rapid.backends.random import RandomStream


class OtherUnits:
    """Samples, means and normalizations of real units and categories.

    Arrays, uniform numbers and exponentials are those of the backend that inherits it.
    """

    # --- real units ---------------------------------------------------------------------

    def sample_gaussians(
        self, field: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Field + N(0, 1). The field's memory may be reused for it."""
        noise = self.random_normal(tuple(field.shape), stream, draw, first_row)
        return field + self.xp.astype(noise, field.dtype)

    def random_normal(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Normal float64 numbers, two of two uniform ones (Box and Muller 1958).

        Columns 2k and 2k + 1 are made of the uniform numbers that have their names.
        """
        xp, (n_rows, width) = self.xp, shape
        u = self.random_uniform((n_rows, width + width % 2), stream, draw, first_row)
        u = xp.astype(u, xp.float64)
        radius, angle = xp.sqrt(-2.0 * xp.log(u[:, ::2])), 2.0 * pi * u[:, 1::2]
        pairs = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=2)
        return xp.reshape(pairs, (n_rows, width + width % 2))[:, :width]

    # --- groups of columns --------------------------------------------------------------

    def softmax(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """The softmax of each group. The field's memory may be reused for it."""
        xp = self.xp
        x = self._in_groups(field, sizes)
        e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
        return self._in_columns(e / xp.sum(e, axis=1, keepdims=True), sizes)

    def sum_log_sum_exp(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """The logsumexp of each group, summed: one float64 a row."""
        xp = self.xp
        x = self._in_groups(field, sizes)
        largest = xp.max(x, axis=1)
        logs = xp.log(xp.sum(xp.exp(x - largest[:, None, :]), axis=1))
        return xp.sum(largest + logs, axis=1, dtype=xp.float64)

    def sample_categories(
        self,
        field: Any,
        sizes: tuple[int, ...],
        stream: RandomStream,
        draw: int,
        first_row: int = 0,
    ) -> Any:
        """1 in one column of each group, 0 elsewhere. The field's memory may be reused for it.

        With weights w = exp(field - largest field of the group) and the group's uniform number u,
        it is the first column k for which u Σ_j w_j <= Σ_{j<=k} w_j. Weights are rounded alike by
        every backend, as those of spins are.
        """
        xp = self.xp
        x = self._in_groups(field, sizes)
        gap = xp.astype(xp.max(x, axis=1, keepdims=True) - x, xp.float32)
        w = xp.astype(self._exp_minus_2(0.5 * gap), xp.float64)
        number = xp.arange(w.shape[1], dtype=xp.int64)[:, None]
        summed = xp.astype(number[:, 0] <= number, xp.float64) @ w
        u = self.random_uniform((field.shape[0], len(sizes)), stream, draw, first_row)
        # What fills up a group has weights of 1e-35: less than any u.
        is_passed = summed[:, :-1, :] < xp.astype(u, xp.float64)[:, None, :] * summed[:, -1:, :]
        chosen = xp.sum(xp.astype(is_passed, xp.int64), axis=1, keepdims=True)
        return self._in_columns(xp.astype(chosen == number, field.dtype), sizes)

    def _in_groups(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """Columns as an array of shape (n, largest size, groups), filled up with -inf."""
        xp = self.xp
        nothing = xp.full((field.shape[0], 1), -float("inf"), dtype=field.dtype)
        columns = self.constant(filled_up(sizes)[0])
        x = xp.take(xp.concat([field, nothing], axis=1), columns, axis=1)
        return xp.reshape(x, (x.shape[0], max(sizes), len(sizes)))

    def _in_columns(self, x: Any, sizes: tuple[int, ...]) -> Any:
        """The columns of what `_in_groups` has made, each in its place."""
        xp = self.xp
        x = xp.reshape(x, (x.shape[0], max(sizes) * len(sizes)))
        return xp.take(x, self.constant(filled_up(sizes)[1]), axis=1)


@lru_cache(maxsize=64)
def filled_up(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Groups side by side, filled up in front: which column is where, and where each is.

    The first members of all groups come first, then the second ones, ...: sums over members are
    sums of neighbours in memory. The column after the last one stands for what fills up.

    Examples
    --------
    >>> columns, places = filled_up((2, 3))
    >>> print(columns, places)
    [5 2 0 3 1 4] [2 4 1 3 5]
    """
    width = sum(sizes)
    columns = np.full((max(sizes), len(sizes)), width)
    for g, (start, size) in enumerate(zip(starts_of(sizes), sizes, strict=False)):
        columns[max(sizes) - size :, g] = np.arange(start, start + size)
    columns = columns.reshape(-1)
    return columns, np.argsort(columns, kind="stable")[:width]


@lru_cache(maxsize=64)
def starts_of(sizes: tuple[int, ...]) -> np.ndarray:
    """The first column of each group, and the end of the last one.

    Examples
    --------
    >>> print(starts_of((2, 3)))
    [0 2 5]
    """
    return np.array(list(accumulate(sizes, initial=0)), dtype=np.uint64)
