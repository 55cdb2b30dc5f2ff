"""Who has which chains: shares of those that there are, and all of them from their shares.

Chains are arrays of rows, or columns of a ladder, that do not depend on one another. The rows of a
share keep the names that they have among all of them, so that they draw what they would draw there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_rapid.training.negative_phase import TemperedChains


def even_slice(n: int, rank: int, n_shares: int) -> slice:
    """The rows of one of so many nearly equal shares of n.

    Examples
    --------
    >>> [even_slice(5, rank, 2) for rank in range(2)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(rank * n // n_shares, (rank + 1) * n // n_shares)


def share_of(chains: Any, rank: int, n_shares: int) -> tuple[Any, int]:
    """The chains of a share, and the name of its first row; all in NumPy.

    What is counted over all columns of a ladder stays with the first share.
    """
    if chains is None:
        return None, 0
    if not isinstance(chains, TemperedChains):
        rows = even_slice(chains.shape[0], rank, n_shares)
        return chains[rows], rows.start
    ladder = chains.ladder
    columns = even_slice(ladder.n_columns, rank, n_shares)
    rows = slice(columns.start * ladder.n_rungs, columns.stop * ladder.n_rungs)
    own = replace(
        ladder,
        states=ladder.states[rows],
        origin=ladder.origin[rows],
        arrivals=ladder.arrivals[columns],
        accepted=ladder.accepted if rank == 0 else np.zeros_like(ladder.accepted),
    )
    return replace(chains, ladder=own), rows.start


def joined(shares: Sequence[Any]) -> Any:
    """All chains, from the shares in their order; all in NumPy."""
    first = shares[0]
    if first is None:
        return None
    if not isinstance(first, TemperedChains):
        return np.concatenate(shares)
    ladders = [chains.ladder for chains in shares]
    whole = replace(
        first.ladder,
        accepted=sum(ladder.accepted for ladder in ladders),
        **{
            name: np.concatenate([getattr(ladder, name) for ladder in ladders])
            for name in ("states", "origin", "arrivals")
        },
    )
    return replace(first, ladder=whole)


def n_states(chains: Any) -> int:
    """How many states at the model's own temperature chains have."""
    if isinstance(chains, TemperedChains):
        ladder = chains.ladder
        return ladder.n_columns * (ladder.n_rungs - ladder.top)
    return chains.shape[0]
