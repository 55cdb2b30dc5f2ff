"""Counter-based random numbers (Philox): the names of draws, and the stream that counts them.

A random word depends on its name alone: the seed, the number of the draw and the position of the
element in the drawn array. It does not depend on thread, order or block size, so one seed gives one
model on every backend and any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
PHILOX_WEYL = (0x9E3779B9, 0xBB67AE85)
PHILOX_ROUNDS = 10
WORD = 0xFFFFFFFF
# Most rows of a draw: a row is one word of a name.
LARGEST_DRAW = 2**32

# One Philox call gives four words. Words of sixteen neighbouring calls are laid out in four
# runs of sixteen columns, so that a vector unit writes each run with one store.
LANES = 16
COLUMNS_PER_GROUP = 4 * LANES


@dataclass
class RandomStream:
    """A seed and the number of the next draw: the whole random state of a model.

    Parameters
    ----------
    seed : int
        64 bits, the Philox key.
    position : int, default=0
        The number of the next draw (64 bits of the Philox counter).
    first_row : int, default=0
        Number of the first row in a draw: not zero if other processes draw the rows before it.

    Examples
    --------
    >>> stream = RandomStream(seed=7)
    >>> stream.reserve(3), stream.position
    (0, 3)
    """

    seed: int
    position: int = 0
    first_row: int = 0

    def reserve(self, n_draws: int = 1) -> int:
        """Take the next `n_draws` draws, and return the number of the first."""
        first = self.position
        self.position += n_draws
        return first

    @property
    def key(self) -> tuple[int, int]:
        """Two 32-bit words of the Philox key."""
        return self.seed & WORD, (self.seed >> 32) & WORD


def name_of(stream: RandomStream, draw: int, first_row: int) -> tuple[np.uint32, ...]:
    """Return the words that name a draw and its first row: two of the key, two of the draw, one."""
    return tuple(map(np.uint32, (*stream.key, draw & WORD, draw >> 32, first_row & WORD)))


def check_rows(n_rows: int) -> None:
    """Raise ValueError for more rows than a draw has names for, where words would repeat."""
    if n_rows > LARGEST_DRAW:
        raise ValueError(
            f"one draw has random numbers for at most 2**32 rows, got {n_rows:,}: draw in parts, "
            "each with a seed of its own"
        )


def philox(counter: tuple, key: tuple[int, int], xp: Any) -> tuple:
    """Compute Philox4x32-10 of four uint64 arrays that hold 32-bit words (Salmon et al. 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(PHILOX_ROUNDS):
        p0, p1 = c0 * PHILOX_MULTIPLIERS[0], c2 * PHILOX_MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & WORD, (p0 >> 32) ^ c3 ^ k1, p0 & WORD
        k0, k1 = (k0 + PHILOX_WEYL[0]) & WORD, (k1 + PHILOX_WEYL[1]) & WORD
    return c0, c1, c2, c3
