"""A Dask collection as rows: what is in it, where they are held, and some of them at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed
from distributed import Client, Future, futures_of

from sklearn_rapid.dask._cluster import LostWorkers, watched, workers_left
from sklearn_rapid.dask._shard import HeldRows


@dataclass(frozen=True)
class Unread:
    """A block that is read, or computed, in the task that wants it, and nowhere else.

    Were it a task of its own, it would be shared, and tied to the worker that has had it first.
    """

    block: Delayed


@dataclass
class RemoteRows:
    """Rows in blocks that workers hold, or read when they are wanted.

    It has what a fit asks of an array: a shape, a dtype, and some rows by number.

    Attributes
    ----------
    client : Client
    blocks : list of Unread or Future
        Each an array of some rows.
    n_rows : array of shape (n_blocks,)
        Rows of each.
    n_columns : int
    dtype : numpy.dtype
    few : array of shape (n, n_columns)
        Rows in which is all that there is to see of the values.
    """

    client: Client
    blocks: list[Unread | Future]
    n_rows: np.ndarray
    n_columns: int
    dtype: np.dtype
    few: Any = None
    _found_at: dict[int, str] = field(default_factory=dict)
    _held: dict[int, tuple[str, Future]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stops = np.cumsum(self.n_rows)
        self.starts = self.stops - self.n_rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.stops[-1]), self.n_columns

    def blocks_of(self, rows: np.ndarray) -> np.ndarray:
        """The numbers of the blocks that rows are in."""
        return np.searchsorted(self.stops, rows, side="right")

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Some rows, by number or slice, fetched from where they are."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        out = np.empty((len(rows), self.n_columns), dtype=self.dtype)
        block = self.blocks_of(rows)
        wanted = np.unique(block)
        parts = {int(b): np.flatnonzero(block == b) for b in wanted}

        found = self._answers(
            lambda: [
                self._ask(_rows_of, b, rows[places] - self.starts[b]) for b, places in parts.items()
            ]
        )
        for places, values in zip(parts.values(), found, strict=True):
            out[places] = values
        return out

    def each(self, function: Callable[[Any], Any]) -> list[Any]:
        """What a function of a block says of each of them."""
        blocks = range(len(self.blocks))
        return self._answers(lambda: [self._ask(function, b) for b in blocks])

    def _answers(self, ask: Callable[[], list[Future]]) -> list[Any]:
        """What is asked for; again, if a worker that holds blocks is lost meanwhile."""
        while True:
            holders = [address for address, _ in self._held.values()]
            try:
                return self.client.gather(watched(self.client, ask(), holders))
            except LostWorkers:
                self.hold(list(self._held), workers_left(self.client))

    def _ask(self, function: Callable, block: int, *arguments: Any, **how: Any) -> Future:
        """What a function says of a block, wherever that is held, or read for it."""
        source = self.blocks[block]
        if self._is_held(block):
            # There, or the block would be copied.
            address, source = self._held[block]
            how = {"workers": [address], "allow_other_workers": True, **how}
        if isinstance(source, Unread):
            return self.client.submit(_of_unread, function, source, *arguments, pure=False, **how)
        return self.client.submit(function, source, *arguments, pure=False, **how)

    def digest(self) -> str:
        """A digest of all rows, block by block."""
        parts = self.each(_digest_of)
        return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()

    # --- who holds what -----------------------------------------------------------------

    def hold(self, blocks: Sequence[int], workers: Sequence[str]) -> None:
        """Let workers get blocks into their memory, and forget all others. Does not wait.

        Blocks stay where they are. Others go to the worker that has had its turn: the first
        blocks to the first worker, so that all have about as many rows.
        """
        wanted = {int(b) for b in blocks}
        for b in [b for b in self._held if b not in wanted or not self._is_held(b, workers)]:
            del self._held[b]
        missing = sorted(wanted - self._held.keys())
        for address, mine in self._shared_out(missing, workers).items():
            how = {"workers": [address], "allow_other_workers": False}
            self._held.update({b: (address, self._ask(_as_rows, b, **how)) for b in mine})

    def forget(self, keys: Sequence[str]) -> None:
        """Forget blocks that were not found where they should be."""
        for b in [b for b, (_, future) in self._held.items() if future.key in keys]:
            del self._held[b]

    def held_by(self, blocks: Sequence[int]) -> dict[str, list[HeldRows]]:
        """Which worker holds which of these rows, once they are there."""
        futures = [self._held[int(b)][1] for b in blocks]
        watched(self.client, futures, [self._held[int(b)][0] for b in blocks])
        held: dict[str, list[HeldRows]] = {}
        for b in map(int, blocks):
            address, future = self._held[b]
            rows = HeldRows(int(self.starts[b]), int(self.stops[b]), future.key)
            held.setdefault(address, []).append(rows)
        return held

    def _is_held(self, block: int, workers: Sequence[str] | None = None) -> bool:
        if block not in self._held:
            return False
        address, future = self._held[block]
        is_there = workers is None or address in workers
        return is_there and future.status in ("pending", "finished")

    def _shared_out(self, blocks: list[int], workers: Sequence[str]) -> dict[str, list[int]]:
        """Blocks by worker: where they have been found, else evenly by rows."""
        out: dict[str, list[int]] = {}
        for b in [b for b in blocks if self._found_at.get(b) in workers]:
            out.setdefault(self._found_at[b], []).append(b)
        rest = [b for b in blocks if self._found_at.get(b) not in workers]
        middle = np.cumsum(self.n_rows[rest]) - self.n_rows[rest] / 2
        for b, m in zip(rest, middle, strict=True):
            turn = int(m * len(workers) / self.n_rows[rest].sum())
            out.setdefault(workers[turn], []).append(b)
        return out


def rows_of_collection(client: Client, X: Any) -> RemoteRows:
    """A Dask array or data frame as rows; ValueError or TypeError for what cannot be one."""
    if hasattr(X, "to_dask_array"):
        _check_columns(X)
        X = X.to_dask_array(lengths=True)
    if not isinstance(X, da.Array):
        raise TypeError(
            f"X must be a Dask array or data frame here, got {type(X).__name__}: make it one "
            "(dask.array.from_array), or use the class of the same name without Dask"
        )
    if X.ndim == 2 and np.isnan(X.shape[0]):
        X = X.compute_chunk_sizes()
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must have shape (any, any) with rows and columns, got {X.shape}")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X must hold numbers, got dtype {X.dtype}")
    if not isinstance(X._meta, np.ndarray):
        kind = f"{type(X._meta).__module__}.{type(X._meta).__name__}"
        raise TypeError(f"the blocks of X must be NumPy arrays, got {kind}: see map_blocks")
    if X.numblocks[1] > 1:
        raise ValueError(
            f"X has {X.numblocks[1]} chunks along its columns, {X.chunks[1]}: a worker needs whole "
            "rows. Call X.rechunk({1: -1}) before."
        )
    empty = [i for i, n in enumerate(X.chunks[0]) if n == 0]
    if empty:
        raise ValueError(
            f"partition {empty[0]} of X is empty ({len(empty)} of {len(X.chunks[0])} are): "
            "repartition it, or leave empty ones out"
        )
    blocks, found_at = _blocks_of(client, X)
    n_rows = np.array(X.chunks[0], dtype=np.int64)
    return RemoteRows(client, blocks, n_rows, int(X.shape[1]), X.dtype, _found_at=found_at)


def _check_columns(frame: Any) -> None:
    """ValueError if the columns of a data frame are no numbers together, naming one that is why."""
    if frame.ndim != 2 or frame.to_dask_array().dtype.kind in "biuf":
        return
    # Bools are numbers among themselves; beside others Pandas makes objects of them all.
    for kinds in ("biuf", "iuf"):
        for name, dtype in frame.dtypes.items():
            if not (isinstance(dtype, np.dtype) and dtype.kind in kinds):
                raise ValueError(
                    f"X must hold numbers, got dtype {dtype} in column {name!r}: make it numbers "
                    "of NumPy (X.astype), or columns of zeros and ones "
                    "(dask.dataframe.get_dummies), or leave it out"
                )


def _blocks_of(client: Client, X: da.Array) -> tuple[list[Unread | Future], dict[int, str]]:
    """The blocks, and the workers of those that are in memory already."""
    if not futures_of(X):
        delayed = X.to_delayed().ravel()
        # Each with what it takes alone.
        return [Unread(dask.optimize(block)[0]) for block in delayed], {}
    X = client.persist(X)
    by_key = {future.key: future for future in futures_of(X)}
    futures = [by_key[key] for (key,) in X.__dask_keys__()]
    watched(client, futures)
    who = client.who_has(futures)
    return futures, {i: min(who[f.key]) for i, f in enumerate(futures) if who.get(f.key)}


def _of_unread(function: Callable, source: Unread, *arguments: Any) -> Any:
    return function(source.block.compute(scheduler="synchronous"), *arguments)


def _as_rows(block: Any) -> np.ndarray:
    return np.ascontiguousarray(block)


def _rows_of(block: Any, numbers: np.ndarray) -> np.ndarray:
    return np.asarray(block)[numbers]


def _digest_of(block: Any) -> str:
    values = np.ascontiguousarray(block)
    return hashlib.blake2b(values.view(np.uint8).data, digest_size=16).hexdigest()
