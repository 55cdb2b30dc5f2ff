"""Settings of the suite, and backends for tests that take one."""

from __future__ import annotations

import shutil
import sys

import array_api_strict
import pytest
from hypothesis import HealthCheck, settings
from tools.cupy_stand_in import compiler, make_cupy

from sklearn_rapid.backends import get_backend, threads
from sklearn_rapid.backends.reference.arrays import NumpyBackend

# Cases are tiny, but what is compiled takes its time. Those of the suite are always the same.
HOW = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("ci", derandomize=True, max_examples=150, **HOW)
settings.register_profile("long", max_examples=1400, print_blob=True, **HOW)
settings.load_profile("ci")


def why_no_gpu():
    """Why tests on a GPU cannot run here; None if they can."""
    try:
        import cupy

        n_devices = cupy.cuda.runtime.getDeviceCount()
    except (ImportError, RuntimeError) as error:
        return f"no GPU: {type(error).__name__}: {error}"
    return None if n_devices > 0 else "no GPU: CuPy finds no device"


def pytest_collection_modifyitems(items):
    """Tests that need a GPU are skipped where there is none."""
    reason = why_no_gpu()
    for item in items:
        if reason is not None and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter, config):
    """What the tests on a GPU ran on, or why they did not."""
    if "gpu" not in (config.getoption("-m") or ""):
        return
    reason = why_no_gpu()
    if reason is None:
        import cupy

        name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())["name"]
        cuda = cupy.cuda.runtime.runtimeGetVersion()
        reason = f"GPU: {name.decode()}, CuPy {cupy.__version__}, CUDA runtime {cuda}"
    terminalreporter.write_line(reason)


@pytest.fixture(autouse=True)
def small_work_is_shared_too(monkeypatch):
    """The models of the tests are small; their rows shall go through the threads all the same."""
    monkeypatch.setattr(threads, "SMALLEST_SHARED_WORK", 0.0)


@pytest.fixture(scope="session")
def stand_in_module():
    """The stand-in for CuPy; one, so that its kernels are compiled once."""
    if shutil.which(compiler.COMPILER) is None:
        pytest.fail(f"tests of the CUDA kernels need a C++ compiler; found no {compiler.COMPILER}")
    return make_cupy()


@pytest.fixture
def cupy_stand_in(monkeypatch, stand_in_module):
    """A machine on which CuPy is installed and finds a GPU."""
    monkeypatch.setitem(sys.modules, "cupy", stand_in_module)
    stand_in_module.transfers.clear()
    return stand_in_module


BACKENDS = [
    "numpy",
    pytest.param("array_api_strict", marks=pytest.mark.slow),
    "numba",
    "cupy_stand_in",
    pytest.param("cupy", marks=pytest.mark.gpu),
]


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend, the reference on strict array-API arrays, CuPy's on a stand-in; running."""
    if request.param == "array_api_strict":
        made = NumpyBackend(xp=array_api_strict)
    elif request.param == "cupy_stand_in":
        request.getfixturevalue("cupy_stand_in")
        made = get_backend("cupy")
    else:
        made = get_backend(request.param, n_threads=2)
    with made.running():
        yield made
