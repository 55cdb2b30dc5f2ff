"""Which rows a fit trains on, in which order, how many at a time, and which are set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_rapid.backends import is_cupy_array
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.training.statistics import PROBED_STATES
from sklearn_rapid.training.steps.step_length import ROWS_FOR_FULL_STEP

# There are as many chains as a batch has rows. Where the rows are fewer than a batch, so many
# chains are still of use; and so many there may be at most for rows that are yet to come.
FEWEST_CHAINS, CHAINS_FOR_UNKNOWN_ROWS = ROWS_FOR_FULL_STEP, 10_000


@dataclass
class Split:
    """Row numbers to train on and to validate with; None is all rows and none."""

    train: Any = None
    validation: Any = None


def split_of(estimator: Any, X: Any, seed: int) -> Split:
    """The rows to train on and those that early stopping sets aside."""
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


def epoch_order(
    X: Any,
    split: Split,
    weights: np.ndarray | None,
    shuffle: bool,
    batch_size: int,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """The rows of an epoch in their order, but for those of no weight; None is all as they are."""
    if split.train is None and weights is None and not shuffle:
        return None
    rows = np.arange(X.shape[0]) if split.train is None else split.train
    if weights is not None:
        rows = rows[weights[rows] > 0.0]
    return shuffled(rows, batch_size, rng) if shuffle else rows


def shuffled(rows: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Rows in batches at random, each batch in the order of the rows.

    So rows that are stored together are read together, wherever that is. The last rows of a batch
    are those that a step is measured at: they are kept a random choice.
    """
    rows = rows[rng.permutation(rows.size)]
    n_in_whole = rows.size - rows.size % batch_size
    for of_batches in (rows[:n_in_whole].reshape(-1, batch_size), rows[None, n_in_whole:]):
        n_before = max(0, of_batches.shape[1] - PROBED_STATES)
        of_batches[:, :n_before].sort(axis=1)
        of_batches[:, n_before:].sort(axis=1)
    return rows


def row_numbers(rows: np.ndarray, X: Any, backend: Any) -> Any:
    """Row numbers on the side of X: on a GPU, so that none are sent there batch by batch."""
    return backend.asarray(rows) if is_cupy_array(X) else rows


def rows_of_a_batch(batch_size: int, n_rows: int, fewest: int) -> int:
    """The batch size, or what is left of it where rows are too few to call for more than a few."""
    largest = max(n_rows, fewest)
    if batch_size > largest:
        warn(
            f"batch_size={batch_size} is larger than the {n_rows} rows to train on: {largest} is "
            "taken for it, in the number of chains too.",
            UserWarning,
        )
    return min(batch_size, largest)
