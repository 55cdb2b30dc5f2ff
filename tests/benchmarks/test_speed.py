"""The same workloads for pytest-benchmark, which can keep and compare runs.

python -m pytest tests/benchmarks/test_speed.py --benchmark-autosave
"""

from __future__ import annotations

import measure
import pytest
from workloads import all_workloads


@pytest.fixture(autouse=True)
def small_work_is_shared_too():
    """Not here: the tests' fixture of this name would slow small work down."""


@pytest.fixture(scope="session")
def sgemm_rate():
    """The machine's own, once."""
    return measure.sgemm_rate(measure.available_threads())


@pytest.mark.parametrize("work", list(all_workloads()), ids=lambda work: work.name)
def test_speed(benchmark, sgemm_rate, work):
    """Time our side of a workload, and note its share of the sgemm rate."""
    benchmark.pedantic(work.make(), rounds=3, warmup_rounds=1)
    if work.products:
        operations = 2.0 * work.products * work.repeats
        benchmark.extra_info["share"] = operations / benchmark.stats["median"] / sgemm_rate
