"""Clusters of processes on this machine, for the tests of a module."""

from __future__ import annotations

import os
from contextlib import contextmanager
from unittest import mock

import pytest


@contextmanager
def workers(n, folder, **how):
    """A client of so many workers of one thread each."""
    distributed = pytest.importorskip("distributed")
    how = {"dashboard_address": ":0", "local_directory": str(folder), **how}
    # Workers' variables, such as OMP_NUM_THREADS, are set in this process to be handed down.
    with (
        mock.patch.dict(os.environ),
        distributed.LocalCluster(n_workers=n, threads_per_worker=1, **how) as cluster,
        distributed.Client(cluster) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of two workers of one thread each."""
    with workers(2, tmp_path_factory.mktemp("workers")) as made:
        yield made


@pytest.fixture
def fresh_workers(tmp_path):
    """Makes a client of so many workers for a test that does not leave them as they were."""
    return lambda n, **how: workers(n, tmp_path, **how)
