"""Estimate log Z by chains spread over workers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from distributed import Client

from sklearn_rapid.dask._cluster import list_workers, wait_for_futures
from sklearn_rapid.machine.partition import LogPartition

# Estimates further apart than this many of their errors are not of one number.
LARGEST_DEVIATION = 4.0


def estimate_on_workers(
    client: Client, model: Any, method: str, tol: float, seed: int, settings: dict[str, Any]
) -> list[LogPartition]:
    """Estimate log Z once on each of n workers, with random numbers of its own.

    The error of each may be sqrt(n) times `tol`, as that of their mean is `tol` then.
    """
    workers = list_workers(client)
    seeds = np.random.SeedSequence(seed).generate_state(len(workers))
    tol = tol * np.sqrt(len(workers))
    # hash=False: with a key made of the model, as the last estimate had too, workers may be told to
    # forget that estimate's copy after this one's has arrived.
    model = client.scatter(model, broadcast=True, hash=False)
    futures = [
        client.submit(
            _estimate, model, method, tol, int(own), settings,
            pure=False, workers=[address], allow_other_workers=True,
        )
        for address, own in zip(workers, seeds, strict=True)
    ]  # fmt: skip
    futures = wait_for_futures(client, futures, lost="the workers have lost the model")
    return client.gather(futures)


def combine_estimates(estimates: Sequence[LogPartition]) -> LogPartition:
    """Average independent estimates, with the doubts of all.

    Examples
    --------
    >>> mean = combine_estimates([LogPartition(1.0, 0.3, "ais"), LogPartition(2.0, 0.4, "ais")])
    >>> mean.value, mean.error
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


def _estimate(
    model: Any, method: str, tol: float, seed: int, settings: dict[str, Any]
) -> LogPartition:
    with warnings.catch_warnings():
        # The client warns once, of all estimates together.
        warnings.simplefilter("ignore", RuntimeWarning)
        return model.log_partition(method, tol=tol, random_state=seed, **settings)
