"""Check the cluster, wait for its results, and notice lost workers."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from distributed import CancelledError, Client, Future, get_client, wait

from sklearn_rapid.checks.version import __version__
from sklearn_rapid.training.fit.progress import CutShort

# All in seconds. How often to check that workers which have not answered are still there.
SECONDS_BETWEEN_CHECKS = 1.0
# How long the scheduler may take to notice a worker that does not answer any more.
SECONDS_TO_NOTICE = 30.0
# How long a fit without workers waits for one to come back: a nanny restarts its own, within
# seconds, or many where processors are busy.
SECONDS_TO_RETURN = 60.0


class LostWorkers(CutShort):
    """A worker in use is gone."""


def check_client(client: Client | None) -> Client:
    """Return the client, or that of the context; ValueError if there is none with workers."""
    if client is None:
        try:
            client = get_client()
        except ValueError:
            raise ValueError(
                "there is no Dask client: create one before, "
                "`client = distributed.Client(...)`, or hand it over as client=client"
            ) from None
    if not isinstance(client, Client):
        raise TypeError(f"client must be a distributed.Client, got {type(client).__name__}")
    if client.status != "running":
        raise ValueError(f"client must be connected to its scheduler, but it is {client.status}")
    if not list_workers(client):
        raise ValueError("the cluster has no workers: start some before, or wait for them")
    _check_versions(client)
    return client


def list_workers(client: Client) -> list[str]:
    """List the addresses of the workers that the scheduler knows."""
    return sorted(client.nthreads())


def wait_for_workers(client: Client) -> list[str]:
    """List the workers; if there are none, wait until one comes back, or raise CutShort."""
    stop = time.monotonic() + SECONDS_TO_RETURN
    while not (workers := list_workers(client)):
        if time.monotonic() > stop:
            raise CutShort("no workers are left")
        time.sleep(0.1)
    return workers


def call_actor(client: Client, actor: Any, method: str, workers: Sequence[str], *args: Any) -> Any:
    """Call an actor's method and return its future; LostWorkers if one is known to be gone."""
    try:
        return getattr(actor, method)(*args)
    except RuntimeError:
        _wait_for_notice(client, workers)
        raise


def wait_for_actor(client: Client, future: Any, workers: Sequence[str]) -> Any:
    """Return the result of `call_actor`; LostWorkers if a worker is lost meanwhile."""
    while True:
        try:
            return future.result(timeout=SECONDS_BETWEEN_CHECKS)
        except TimeoutError:
            _check_workers(client, workers)
        except (OSError, RuntimeError):
            _wait_for_notice(client, workers)
            raise


def wait_for_futures(
    client: Client,
    futures: list[Future],
    workers: Sequence[str] = (),
    lost: str = "rows of X are lost, and cannot be read again",
) -> list[Future]:
    """Return the futures once they are done; LostWorkers if a worker is lost meanwhile.

    CutShort says `lost` if inputs of the futures have gone with their workers.
    """
    while True:
        try:
            wait(futures, timeout=SECONDS_BETWEEN_CHECKS)
            break
        except TimeoutError:
            _check_workers(client, workers)
        except CancelledError as error:
            raise CutShort(f"{lost}: {error}") from None
    for future in futures:
        if future.status == "error":
            future.result()
    return futures


def _check_workers(client: Client, workers: Sequence[str]) -> None:
    gone = set(workers) - set(wait_for_workers(client))
    if gone:
        raise LostWorkers(f"{len(gone)} of {len(set(workers))} workers are gone: {sorted(gone)}")


def _wait_for_notice(client: Client, workers: Sequence[str]) -> None:
    """Raise LostWorkers once the scheduler misses a worker; return if it misses none for long."""
    stop = time.monotonic() + SECONDS_TO_NOTICE
    while time.monotonic() < stop:
        _check_workers(client, workers)
        time.sleep(0.1)


def _check_versions(client: Client) -> None:
    """Raise ValueError unless all workers have the client's versions."""
    own = _versions()
    found = client.run(_versions, on_error="return")
    for address, versions in found.items():
        if isinstance(versions, OSError):
            continue  # that worker is about to leave
        if isinstance(versions, Exception):
            raise ValueError(f"{address} cannot import what a fit needs: {versions}") from versions
        for name, got in versions.items():
            if got != own[name]:
                raise ValueError(
                    f"workers must have the client's versions: {name} is {own[name]} here and "
                    f"{got} on {address}"
                )


def _versions() -> dict[str, str]:
    """Collect the versions that results may depend on."""
    return {
        "sklearn_rapid": __version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }
