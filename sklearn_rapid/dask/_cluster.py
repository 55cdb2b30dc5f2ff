"""The cluster as a fit sees it: which workers there are, and whether they still are."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from distributed import CancelledError, Client, Future, get_client, wait

from sklearn_rapid.checks.version import __version__
from sklearn_rapid.training.fit.progress import CutShort

# Between two looks at whether workers that have not answered are still there, in seconds.
PATIENCE = 1.0
# How long the scheduler may take to notice a worker that does not answer any more.
NOTICE = 30.0
# How long a fit without workers waits for one to come back: a nanny starts its own anew, which
# takes seconds, or many where processors are busy.
RETURN = 60.0


class LostWorkers(CutShort):
    """A worker has gone that a fit had counted on."""


def working_client(client: Client | None) -> Client:
    """The client, or that of the context; ValueError if there is none that works."""
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
    if not alive(client):
        raise ValueError("the cluster has no workers: start some before, or wait for them")
    _check_versions(client)
    return client


def alive(client: Client) -> list[str]:
    """Addresses of the workers that the scheduler knows."""
    return sorted(client.nthreads())


def workers_left(client: Client) -> list[str]:
    """Addresses of the workers, of the first to come back if there is none; or CutShort."""
    stop = time.monotonic() + RETURN
    while not (there := alive(client)):
        if time.monotonic() > stop:
            raise CutShort("no workers are left")
        time.sleep(0.1)
    return there


def asked(client: Client, actor: Any, method: str, workers: Sequence[str], *args: Any) -> Any:
    """The future of an actor's answer; LostWorkers if one of the workers is known to be gone."""
    try:
        return getattr(actor, method)(*args)
    except RuntimeError:
        _wait_for_notice(client, workers)
        raise


def answer(client: Client, future: Any, workers: Sequence[str]) -> Any:
    """What an actor's method returns; LostWorkers if one of the workers is gone meanwhile."""
    while True:
        try:
            return future.result(timeout=PATIENCE)
        except TimeoutError:
            _check_alive(client, workers)
        except (OSError, RuntimeError):
            _wait_for_notice(client, workers)
            raise


def watched(
    client: Client,
    futures: list[Future],
    workers: Sequence[str] = (),
    lost: str = "rows of X are lost, and cannot be read again",
) -> list[Future]:
    """The futures when they are done; LostWorkers if one of the workers is gone meanwhile.

    `lost` is what CutShort says if what they are computed from has gone with its workers.
    """
    while True:
        try:
            wait(futures, timeout=PATIENCE)
            break
        except TimeoutError:
            _check_alive(client, workers)
        except CancelledError as error:
            raise CutShort(f"{lost}: {error}") from None
    for future in futures:
        if future.status == "error":
            future.result()
    return futures


def _check_alive(client: Client, workers: Sequence[str]) -> None:
    gone = set(workers) - set(workers_left(client))
    if gone:
        raise LostWorkers(f"{len(gone)} of {len(set(workers))} workers are gone: {sorted(gone)}")


def _wait_for_notice(client: Client, workers: Sequence[str]) -> None:
    """LostWorkers as soon as the scheduler misses one; nothing if it goes on missing none."""
    stop = time.monotonic() + NOTICE
    while time.monotonic() < stop:
        _check_alive(client, workers)
        time.sleep(0.1)


def _check_versions(client: Client) -> None:
    """ValueError unless all workers run what the client runs."""
    own = _versions()
    found = client.run(_versions, on_error="return")
    for address, versions in found.items():
        if isinstance(versions, OSError):
            continue  # that worker is on its way out
        if isinstance(versions, Exception):
            raise ValueError(f"{address} cannot import what a fit needs: {versions}") from versions
        for name, got in versions.items():
            if got != own[name]:
                raise ValueError(
                    f"workers must have the client's versions: {name} is {own[name]} here and "
                    f"{got} on {address}"
                )


def _versions() -> dict[str, str]:
    """What numbers may depend on."""
    return {
        "sklearn_rapid": __version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }
