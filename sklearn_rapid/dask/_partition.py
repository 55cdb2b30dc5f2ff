"""log Z by chains that are spread over workers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from distributed import Client

from sklearn_rapid.dask._cluster import alive, watched
from sklearn_rapid.machine.partition import LogPartition

# Estimates that differ by more of their errors are not of one number.
LARGEST_DEVIATION = 4.0


def estimates_of_workers(
    client: Client, model: Any, method: str, tol: float, seed: int, how: dict[str, Any]
) -> list[LogPartition]:
    """An estimate by each worker, from random numbers of its own.

    Each may be as much less precise as their mean is more so.
    """
    workers = alive(client)
    seeds = np.random.SeedSequence(seed).generate_state(len(workers))
    tol = tol * np.sqrt(len(workers))
    # Under a key of its own: with one made of the model, which the estimate before had too, the
    # workers may be told to forget that one's copy after this one's has come.
    kept = client.scatter(model, broadcast=True, hash=False)
    futures = [
        client.submit(
            _estimate, kept, method, tol, int(own), how,
            pure=False, workers=[address], allow_other_workers=True,
        )
        for address, own in zip(workers, seeds, strict=True)
    ]  # fmt: skip
    return client.gather(watched(client, futures, lost="the workers have lost the model"))


def mean_of(estimates: Sequence[LogPartition]) -> LogPartition:
    """One estimate from several that do not depend on one another.

    Examples
    --------
    >>> both = mean_of([LogPartition(1.0, 0.3, "ais"), LogPartition(2.0, 0.4, "ais")])
    >>> both.value, both.error
    (1.5, 0.25)
    """
    values = np.array([e.value for e in estimates])
    errors = np.array([e.error for e in estimates])
    value, error = float(values.mean()), float(np.hypot.reduce(errors) / len(errors))
    doubts = dict.fromkeys(doubt for e in estimates for doubt in e.doubts)
    spread = np.abs(values - value)
    if np.any(spread > LARGEST_DEVIATION * np.hypot(errors, error)):
        doubts[f"estimates of {len(values)} workers differ by {np.ptp(values):.2f} nats"] = None
    first = estimates[0]
    reasons = {e.stopped_by for e in estimates}
    return LogPartition(
        value,
        error,
        first.method,
        tuple(doubts),
        lower=float(np.mean([e.lower for e in estimates])),
        upper=float(np.mean([e.upper for e in estimates])),
        barrier=float(np.mean([e.barrier for e in estimates])),
        n_round_trips=sum(e.n_round_trips for e in estimates),
        effective_sample_size=float(np.sum([e.effective_sample_size for e in estimates])),
        n_chains=sum(e.n_chains for e in estimates),
        n_temperatures=max(e.n_temperatures for e in estimates),
        n_sweeps=max(e.n_sweeps for e in estimates),
        stopped_by=next(iter(reasons - {"tol"}), "tol") if reasons != {""} else "",
    )


def _estimate(model: Any, method: str, tol: float, seed: int, how: dict[str, Any]) -> LogPartition:
    with warnings.catch_warnings():
        # Doubts are told once, of all estimates together.
        warnings.simplefilter("ignore", RuntimeWarning)
        return model.log_partition(method, tol=tol, random_state=seed, **how)
