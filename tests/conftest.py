"""Order of the suite, and backends for tests that take one."""

from __future__ import annotations

import array_api_strict
import pytest

from sklearn_rapid.backends import _threads, get_backend
from sklearn_rapid.backends._numpy import NumpyBackend


def pytest_collection_modifyitems(items):
    """Slow tests run last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(autouse=True)
def small_work_is_shared_too(monkeypatch):
    """The models of the tests are small; their rows shall go through the threads all the same."""
    monkeypatch.setattr(_threads, "SMALLEST_SHARED_WORK", 0.0)


@pytest.fixture(params=["numpy", "array_api_strict", "numba"])
def backend(request):
    """Each backend, and the reference on strict array-API arrays; running."""
    if request.param == "array_api_strict":
        made = NumpyBackend(xp=array_api_strict)
    else:
        made = get_backend(request.param, n_threads=2)
    with made.running():
        yield made
