"""The reference's samples, means and normalizations of real units and groups of categories.

Groups of columns have different sizes, and array code wants one size: smaller groups are padded in
front with columns of no weight, so that one operation computes all groups.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import pi
from typing import Any

import numpy as np

from sklearn_rapid.backends.random import RandomStream


class OtherUnits:
    """Samples, means and normalizations of real units and categories, for backends to inherit."""

    # --- real units ---------------------------------------------------------------------

    def sample_gaussians(
        self, field: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw field + N(0, 1). The memory of the field may be reused."""
        noise = self.random_normal(tuple(field.shape), stream, draw, first_row)
        return field + self.xp.astype(noise, field.dtype)

    def random_normal(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw normal float64 numbers, two from two uniform ones (Box and Muller 1958).

        Columns 2k and 2k + 1 are computed from the uniform numbers of the same columns.
        """
        xp, (n_rows, width) = self.xp, shape
        u = self.random_uniform((n_rows, width + width % 2), stream, draw, first_row)
        u = xp.astype(u, xp.float64)
        radius, angle = xp.sqrt(-2.0 * xp.log(u[:, ::2])), 2.0 * pi * u[:, 1::2]
        pairs = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=2)
        return xp.reshape(pairs, (n_rows, width + width % 2))[:, :width]

    # --- groups of columns --------------------------------------------------------------

    def softmax(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """Return the softmax of each group. The memory of the field may be reused."""
        xp = self.xp
        x = self._in_groups(field, sizes)
        e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
        return self._in_columns(e / xp.sum(e, axis=1, keepdims=True), sizes)

    def sum_log_sum_exp(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """Return the sum of the groups' logsumexp, one float64 for each row."""
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
        """Draw 1 in one column of each group, 0 elsewhere. The memory of the field may be reused.

        With weights w = exp(field - largest field of the group) and the group's uniform number u,
        the column is the first k for which u Σ_j w_j <= Σ_{j<=k} w_j. Every backend rounds the
        weights alike, as those of spins.
        """
        xp = self.xp
        x = self._in_groups(field, sizes)
        gap = xp.astype(xp.max(x, axis=1, keepdims=True) - x, xp.float32)
        w = xp.astype(self._exp_minus_2(0.5 * gap), xp.float64)
        number = xp.arange(w.shape[1], dtype=xp.int64)[:, None]
        summed = xp.astype(number[:, 0] <= number, xp.float64) @ w
        u = self.random_uniform((field.shape[0], len(sizes)), stream, draw, first_row)
        # Padding has weights of 1e-35: less than any u.
        is_passed = summed[:, :-1, :] < xp.astype(u, xp.float64)[:, None, :] * summed[:, -1:, :]
        chosen = xp.sum(xp.astype(is_passed, xp.int64), axis=1, keepdims=True)
        return self._in_columns(xp.astype(chosen == number, field.dtype), sizes)

    def _in_groups(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """Return columns as an array of shape (n, largest size, groups), padded with -inf."""
        xp = self.xp
        nothing = xp.full((field.shape[0], 1), -float("inf"), dtype=field.dtype)
        columns = self.constant(padded_places(sizes)[0])
        x = xp.take(xp.concat([field, nothing], axis=1), columns, axis=1)
        return xp.reshape(x, (x.shape[0], max(sizes), len(sizes)))

    def _in_columns(self, x: Any, sizes: tuple[int, ...]) -> Any:
        """Return columns in their order, from an array as `_in_groups` makes it."""
        xp = self.xp
        x = xp.reshape(x, (x.shape[0], max(sizes) * len(sizes)))
        return xp.take(x, self.constant(padded_places(sizes)[1]), axis=1)


@lru_cache(maxsize=64)
def padded_places(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the column at each place of the padded groups, and the place of each column.

    The first members of all groups come first, then the second ones, ...: sums over members are
    sums of neighbours in memory. The number after the last column stands for padding.

    Examples
    --------
    >>> columns, places = padded_places((2, 3))
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
    """Return the first column of each group, and the end of the last one.

    Examples
    --------
    >>> print(starts_of((2, 3)))
    [0 2 5]
    """
    return np.array(list(accumulate(sizes, initial=0)), dtype=np.uint64)
