"""Choose the rows to train on: their order, the batch size, and the rows set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import is_cupy_array
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.training.statistics import PROBED_STATES
from sklearn_rapid.training.steps.step_length import ROWS_FOR_FULL_STEP

# There are as many chains as a batch has rows. The fewest where all rows are fewer than a batch,
# and the most where the number of rows to come is not known.
FEWEST_CHAINS, CHAINS_FOR_UNKNOWN_ROWS = ROWS_FOR_FULL_STEP, 10_000


@dataclass
class Split:
    """Row numbers to train on, None for all, and to validate with, None for none."""

    train: Any = None
    validation: Any = None


def split_rows(estimator: Any, X: Any, seed: int) -> Split:
    """Split rows into those to train on and those that early stopping sets aside."""
    if not estimator.early_stopping:
        return Split()
    n_rows = X.shape[0]
    n_validation = round(n_rows * estimator.validation_fraction)
    if not 0 < n_validation < n_rows:
        raise ValueError(
            f"early_stopping=True sets aside validation_fraction={estimator.validation_fraction} "
            f"of the rows of X: of {n_rows} that leaves {n_validation} to validate with and "
            f"{n_rows - n_validation} to train on; both need at least one."
        )
    order = np.random.default_rng(seed).permutation(n_rows)
    return Split(np.sort(order[n_validation:]), np.sort(order[:n_validation]))


def order_epoch(
    X: Any,
    split: Split,
    weights: np.ndarray | None,
    shuffle: bool,
    batch_size: int,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Order the row numbers of an epoch, without rows of zero weight; None is all as they are."""
    if split.train is None and weights is None and not shuffle:
        return None
    rows = np.arange(X.shape[0]) if split.train is None else split.train
    if weights is not None:
        rows = rows[weights[rows] > 0.0]
    return shuffle_in_batches(rows, batch_size, rng) if shuffle else rows


def shuffle_in_batches(rows: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Put rows into batches at random, each batch in the order of the rows.

    So rows that are stored together are read together. The last rows of a batch, where the length
    of a step is measured, stay a random choice.
    """
    rows = rows[rng.permutation(rows.size)]
    n_in_whole = rows.size - rows.size % batch_size
    for of_batches in (rows[:n_in_whole].reshape(-1, batch_size), rows[None, n_in_whole:]):
        n_before = max(0, of_batches.shape[1] - PROBED_STATES)
        of_batches[:, :n_before].sort(axis=1)
        of_batches[:, n_before:].sort(axis=1)
    return rows


def cut_batches(n_rows: int, batch_size: int) -> Iterator[slice]:
    """Cut the rows of an epoch into batches.

    Examples
    --------
    >>> list(cut_batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for start in range(0, n_rows, batch_size):
        yield slice(start, min(start + batch_size, n_rows))


def index_on_side_of(X: Any, rows: np.ndarray, backend: Any) -> Any:
    """Move row numbers to the GPU if X is there, so that none are sent batch by batch."""
    return backend.asarray(rows) if is_cupy_array(X) else rows


def limit_batch_size(batch_size: int, n_rows: int, fewest_chains: int) -> int:
    """Limit the batch size to the number of rows, or `fewest_chains` if that is larger."""
    largest = max(n_rows, fewest_chains)
    if batch_size > largest:
        warn(
            f"batch_size={batch_size} is larger than the {n_rows} rows to train on: it becomes "
            f"{largest}, and so does the number of chains.",
            UserWarning,
        )
    return min(batch_size, largest)
