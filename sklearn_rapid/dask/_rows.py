"""Fetch and hold the rows of a Dask collection, block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed
from distributed import Client, Future, futures_of

from sklearn_rapid.dask._actor import HeldBlock
from sklearn_rapid.dask._cluster import LostWorkers, wait_for_futures, wait_for_workers
from sklearn_rapid.tables.frames import FrameSchema, is_frame


@dataclass(frozen=True)
class LazyBlock:
    """A block that each task which needs it reads or computes for itself.

    As a task of its own it would be shared, and tied to the worker that ran it first.
    """

    block: Delayed


@dataclass
class RemoteRows:
    """Rows in blocks, which workers hold in memory or read when needed.

    Like an array, it has a shape and a dtype, and rows can be fetched by number.

    Attributes
    ----------
    client : Client
    blocks : list of LazyBlock or Future
        Each an array or a data frame of some rows.
    n_rows : array of shape (n_blocks,)
        The number of rows of each block.
    n_columns : int
    dtype : numpy.dtype or None
        None for data frames that are not read yet.
    reader : callable or None
        Makes an array of a block; None if blocks stay as they are.
    first : FirstRows or None
        Rows from which a table is learned.
    """

    client: Client
    blocks: list[LazyBlock | Future]
    n_rows: np.ndarray
    n_columns: int
    dtype: np.dtype | None
    reader: Callable[[Any], np.ndarray] | None = None
    first: Any = None
    # The worker that a block of a persisted collection is on; and all blocks held for this fit,
    # with the worker and the future of each.
    _found_on: dict[int, str] = field(default_factory=dict)
    _held: dict[int, tuple[str, Future]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stops = np.cumsum(self.n_rows)
        self.starts = self.stops - self.n_rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.stops[-1]), self.n_columns

    @property
    def are_frames(self) -> bool:
        """Whether blocks are data frames, which are not read yet."""
        return self.dtype is None

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Fetch rows, by number or slice."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        out = np.empty((len(rows), self.n_columns), dtype=self.dtype)
        for places, values in self.take(rows):
            out[places] = values
        return out

    def take(self, rows: np.ndarray) -> list[tuple[np.ndarray, Any]]:
        """Fetch rows by number, those of each block: their places, and an array or data frame."""
        block = np.searchsorted(self.stops, rows, side="right")
        places = {int(b): np.flatnonzero(block == b) for b in np.unique(block)}
        parts = self._gather(
            lambda: [
                self._submit(_take_rows, b, rows[p] - self.starts[b]) for b, p in places.items()
            ]
        )
        return list(zip(places.values(), parts, strict=True))

    def map_blocks(
        self, function: Callable[..., Any], arguments: Sequence[tuple] | None = None
    ) -> list[Any]:
        """Call a function on each block, perhaps with arguments of its own; fetch the results."""
        arguments = [()] * len(self.blocks) if arguments is None else arguments
        return self._gather(
            lambda: [self._submit(function, b, *a) for b, a in enumerate(arguments)]
        )

    def read_by(self, reader: Callable[[Any], np.ndarray], dtype: np.dtype) -> RemoteRows:
        """Make the rows of arrays that a reader makes of these blocks, where they are held."""
        rows = replace(self, reader=reader, dtype=dtype, _held={})
        for b, (address, future) in self._held.items():
            if self._is_held(b):
                where = {"workers": [address], "allow_other_workers": False}
                own = self.client.submit(_read_block, future, reader, pure=False, **where)
                rows._held[b] = address, own
        return rows

    def _gather(self, submit: Callable[[], list[Future]]) -> list[Any]:
        """Submit tasks and fetch their results; again if a worker that holds blocks is lost."""
        while True:
            workers = [address for address, _ in self._held.values()]
            try:
                return self.client.gather(wait_for_futures(self.client, submit(), workers))
            except LostWorkers:
                self.hold(list(self._held), wait_for_workers(self.client))

    def _submit(self, function: Callable, block: int, *args: Any, **options: Any) -> Future:
        """Call a function on a block, where it is held or, else, wherever it is read."""
        source, reader = self.blocks[block], self.reader
        if self._is_held(block):
            # On that worker, or the block would be copied.
            (address, source), reader = self._held[block], None
            options = {"workers": [address], "allow_other_workers": True, **options}
        if isinstance(source, LazyBlock) or reader is not None:
            function, source, args = _read_and_call, function, (source, reader, *args)
        return self.client.submit(function, source, *args, pure=False, **options)

    def digest(self) -> str:
        """Compute a digest of all rows, block by block."""
        parts = self.map_blocks(_digest)
        return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()

    # --- blocks in the workers' memory -----------------------------------------------------

    def hold(self, blocks: Sequence[int], workers: Sequence[str]) -> None:
        """Start to load blocks into the workers' memory, and release all others.

        Blocks that are held stay where they are. The others are spread evenly by rows, the first
        blocks on the first worker.
        """
        wanted = {int(b) for b in blocks}
        for b in [b for b in self._held if b not in wanted or not self._is_held(b, workers)]:
            del self._held[b]
        missing = sorted(wanted - self._held.keys())
        keep = _itself if self.are_frames else np.ascontiguousarray
        for address, assigned in self._assign(missing, workers).items():
            where = {"workers": [address], "allow_other_workers": False}
            for b in assigned:
                self._held[b] = address, self._submit(keep, b, **where)

    def forget(self, keys: Sequence[str]) -> None:
        """Release blocks that were not found on their workers."""
        for b in [b for b, (_, future) in self._held.items() if future.key in keys]:
            del self._held[b]

    def wait_for_blocks(self, blocks: Sequence[int]) -> dict[str, list[HeldBlock]]:
        """Wait until blocks are in memory; return them by the address of their worker."""
        found = {int(b): self._held[int(b)] for b in blocks}
        futures = [future for _, future in found.values()]
        wait_for_futures(self.client, futures, [address for address, _ in found.values()])
        held: dict[str, list[HeldBlock]] = {}
        for b, (address, future) in found.items():
            block = HeldBlock(int(self.starts[b]), int(self.stops[b]), future.key)
            held.setdefault(address, []).append(block)
        return held

    def _is_held(self, block: int, workers: Sequence[str] | None = None) -> bool:
        if block not in self._held:
            return False
        address, future = self._held[block]
        is_there = workers is None or address in workers
        return is_there and future.status in ("pending", "finished")

    def _assign(self, blocks: list[int], workers: Sequence[str]) -> dict[str, list[int]]:
        """Assign blocks to workers: where they were found, else evenly by rows."""
        assigned: dict[str, list[int]] = {}
        for b in [b for b in blocks if self._found_on.get(b) in workers]:
            assigned.setdefault(self._found_on[b], []).append(b)
        rest = [b for b in blocks if self._found_on.get(b) not in workers]
        middle = np.cumsum(self.n_rows[rest]) - self.n_rows[rest] / 2
        for b, m in zip(rest, middle, strict=True):
            worker = workers[int(m * len(workers) / self.n_rows[rest].sum())]
            assigned.setdefault(worker, []).append(b)
        return assigned


def as_remote_rows(client: Client, X: Any) -> RemoteRows:
    """Split a Dask array or data frame; ValueError or TypeError if it cannot be trained on."""
    if hasattr(X, "to_dask_array") and X.ndim == 2:
        return _split_frame(client, X)
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
    n_rows = np.array(X.chunks[0], dtype=np.int64)
    _check_none_empty(n_rows)
    blocks, found_on = _split(client, X)
    return RemoteRows(client, blocks, n_rows, int(X.shape[1]), X.dtype, _found_on=found_on)


def concat_blocks(blocks: list[Any]) -> Any:
    """Concatenate rows of blocks, as Dask does where it computes a collection."""
    if isinstance(blocks[0], np.ndarray):
        return np.concatenate(blocks)
    from dask.dataframe.dispatch import concat

    return concat(blocks)


def _split_frame(client: Client, X: Any) -> RemoteRows:
    """Split a Dask data frame; ValueError, with the name, for columns that cannot be read."""
    FrameSchema.read(X._meta_nonempty)
    blocks, found_on = _split(client, X)
    rows = RemoteRows(client, blocks, np.ones(len(blocks), dtype=np.int64), len(X.columns), None)
    n_rows = np.array(rows.map_blocks(len), dtype=np.int64)
    _check_none_empty(n_rows)
    return replace(rows, n_rows=n_rows, _found_on=found_on)


def _check_none_empty(n_rows: np.ndarray) -> None:
    empty = np.flatnonzero(n_rows == 0)
    if empty.size:
        raise ValueError(
            f"partition {empty[0]} of X is empty ({empty.size} of {n_rows.size} are): repartition "
            "it, or leave empty ones out"
        )


def _split(client: Client, X: Any) -> tuple[list[LazyBlock | Future], dict[int, str]]:
    """Split X into blocks, and find the workers of those that are in memory already."""
    delayed = np.asarray(X.to_delayed(), dtype=object).ravel()
    if not futures_of(X):
        # Each with the part of the graph that it needs.
        return [LazyBlock(dask.optimize(block)[0]) for block in delayed], {}
    futures = client.compute(list(delayed))
    wait_for_futures(client, futures)
    workers = client.who_has(futures)
    return futures, {i: min(workers[f.key]) for i, f in enumerate(futures) if workers.get(f.key)}


def _read_and_call(function: Callable, source: Any, reader: Callable | None, *args: Any) -> Any:
    if isinstance(source, LazyBlock):
        source = source.block.compute(scheduler="synchronous")
    return function(source if reader is None else reader(source), *args)


def _read_block(block: Any, reader: Callable) -> np.ndarray:
    return reader(block)


def _take_rows(block: Any, numbers: np.ndarray) -> Any:
    return block.iloc[numbers] if is_frame(block) else np.asarray(block)[numbers]


def _itself(block: Any) -> Any:
    return block


def _digest(block: Any) -> str:
    values = np.ascontiguousarray(block)
    return hashlib.blake2b(values.view(np.uint8).data, digest_size=16).hexdigest()
