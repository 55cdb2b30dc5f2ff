"""How the benchmarks measure: medians of calls made in turn, and the machine's own sgemm rate."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from sklearn_rapid.backends import available_threads

ROUNDS = 5
# A row stops making rounds once it has taken so long.
SECONDS_PER_ROW = 40.0


# Thread pools go on spinning for a while after their work is done.
PAUSE = 0.3
# After the pause a processor has to wake up: short calls are repeated, and the first not counted.
CALLS, SECONDS_PER_TURN = 4, 1.0


def seconds(function: Callable) -> float:
    """The time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def turn(function: Callable) -> float:
    """The time of a call once the machine is at it."""
    time.sleep(PAUSE)
    times = []
    while len(times) < CALLS and sum(times) < SECONDS_PER_TURN:
        times.append(seconds(function))
    return float(np.median(times[1:] or times))


def median_seconds(function: Callable, repeats: int = 7) -> float:
    """Median time of a call, after one to warm up."""
    function()
    return float(np.median([seconds(function) for _ in range(repeats)]))


def in_turn(functions: dict[str, Callable]) -> dict[str, float]:
    """Median time of each function, in turns so that all see the same machine.

    A first round warms up; it counts only if there is no time for another.
    """
    start = time.perf_counter()
    times = {name: [turn(function)] for name, function in functions.items()}
    for _ in range(ROUNDS):
        if time.perf_counter() - start > SECONDS_PER_ROW:
            break
        for name, function in functions.items():
            times[name].append(turn(function))
    return {name: float(np.median(t[1:] or t)) for name, t in times.items()}


def multiply_large() -> Callable:
    """A product of large float32 matrices, and how many operations it takes."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(2048, 2048)).astype(np.float32) for _ in range(2))
    out = np.empty_like(a)

    def multiply() -> None:
        with threadpool_limits(available_threads(), user_api="blas"):
            for _ in range(4):
                np.matmul(a, b, out=out)

    multiply.operations = 4 * 2.0 * a.shape[0] ** 3
    return multiply


def sgemm_rate(n_threads: int) -> float:
    """The machine's sgemm rate in operations a second: a large product, BLAS threaded."""
    multiply = multiply_large()
    with threadpool_limits(n_threads, user_api="blas"):
        return multiply.operations / median_seconds(multiply)


def machine_name() -> str:
    """The processor, its cores and the versions that decide about speed."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    return f"{model}, {available_threads()} threads, Python {platform.python_version()}"
