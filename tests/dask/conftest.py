"""A cluster of two processes on this machine, for the tests of a module."""

from __future__ import annotations

import os
from unittest import mock

import pytest


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of two workers of one thread each."""
    distributed = pytest.importorskip("distributed")
    folder = str(tmp_path_factory.mktemp("workers"))
    how = {"dashboard_address": ":0", "local_directory": folder}
    # Workers' variables, such as OMP_NUM_THREADS, are set in this process to be handed down.
    with (
        mock.patch.dict(os.environ),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **how) as cluster,
        distributed.Client(cluster) as made,
    ):
        yield made
