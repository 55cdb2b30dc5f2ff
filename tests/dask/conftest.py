"""Clusters of processes on this machine: one for all tests, and fresh ones."""

from __future__ import annotations

import os
from contextlib import contextmanager
from unittest import mock

import pytest


def start_cluster(n, folder, **how):
    """So many workers of one thread each."""
    distributed = pytest.importorskip("distributed")
    how = {"dashboard_address": ":0", "local_directory": str(folder), **how}
    # Workers' variables, such as OMP_NUM_THREADS, are set in this process to be handed down.
    with mock.patch.dict(os.environ):
        return distributed.LocalCluster(n_workers=n, threads_per_worker=1, **how)


@contextmanager
def workers(n, folder, **how):
    """A client of so many workers of one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        mock.patch.dict(os.environ),
        start_cluster(n, folder, **how) as cluster,
        distributed.Client(cluster) as made,
    ):
        yield made


@pytest.fixture(scope="package")
def two_workers(tmp_path_factory):
    """Two workers for the tests of this folder: it takes them seconds to import everything."""
    with start_cluster(2, tmp_path_factory.mktemp("workers")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(two_workers):
    """A client of two workers of one thread each, for the tests of a module."""
    from distributed import Client

    with Client(two_workers) as made:
        yield made


@pytest.fixture
def fresh_workers(tmp_path):
    """Makes a client of so many workers for a test that does not leave them as they were."""
    return lambda n, **how: workers(n, tmp_path, **how)
