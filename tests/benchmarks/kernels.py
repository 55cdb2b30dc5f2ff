"""What the kernels cost an element, and what blocks of rows cost a Gibbs step.

python tests/benchmarks/kernels.py
"""

from __future__ import annotations

import time

import numpy as np

from sklearn_rapid.backends import RandomStream, _threads, get_backend
from sklearn_rapid.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine import Machine

REPEATS = 7


def median_seconds(function):
    """Median time of a call, after one to warm up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def report_kernels():
    """Nanoseconds an element, one thread, fields that stay in the second-level cache."""
    numba, numpy = (get_backend(name, 1) for name in ("numba", "numpy"))
    stream = RandomStream(1)
    field = np.random.default_rng(0).normal(0.0, 2.0, (128, 512)).astype(np.float32)
    kernels = {
        "sample_spins": lambda b: b.sample_spins(field.copy(), stream, 1),
        "random_uniform": lambda b: b.random_uniform(field.shape, stream, 1),
        "tanh": lambda b: b.tanh(field.copy()),
        "sum_log_2cosh": lambda b: b.sum_log_2cosh(field),
        "sum_log_cosh_ratio": lambda b: b.sum_log_cosh_ratio(field, 0.5, 0.4),
    }
    print(f"{'ns an element':20s} {'numba':>7s} {'numpy':>7s}")
    for name, kernel in kernels.items():
        costs = (median_seconds(lambda b=b, k=kernel: k(b)) / field.size for b in (numba, numpy))
        print(f"{name:20s}" + "".join(f" {1e9 * cost:7.2f}" for cost in costs))


def sgemm_rate(n_threads):
    """The machine's sgemm rate in FLOP/s: a large product, BLAS threaded."""
    a = np.random.default_rng(0).normal(size=(4096, 2048)).astype(np.float32)
    b = np.ascontiguousarray(a[:2048].T)
    with _threads._controller().limit(limits=n_threads, user_api="blas"):
        return 2.0 * a.shape[0] * b.size / median_seconds(lambda: a @ b)


def machines(backend):
    """A dense and a factored machine, V=784 and H=500."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return (0.1 * rng.normal(size=shape)).astype(np.float32)

    biases = normal(784), normal(500)
    yield "dense", 784 * 500, Machine(DenseCouplings(normal(784, 500)), *biases, backend)
    patterns = PatternCouplings(normal(190, 784), normal(190, 500))
    yield "patterns, K=190", 190 * 1284, Machine(patterns, *biases, backend)


def report_row_blocks():
    """A Gibbs step of all chains, as a share of the sgemm rate, for several block sizes."""
    n_threads = _threads.available_threads()
    peak = sgemm_rate(n_threads)
    print(f"\nsgemm: {peak / 1e9:.0f} GFLOP/s on {n_threads} threads; a Gibbs step's share of it")
    sizes = [16, 32, 64, 128, 256, 512]
    print(f"{'couplings':18s} {'chains':>6s}" + "".join(f"{f'{s} rows':>10s}" for s in sizes))
    chosen = _threads.ROWS_PER_BLOCK, _threads.SMALLEST_BLOCK
    backend = get_backend("numba", n_threads)
    for name, products, machine in machines(backend):
        for n_chains in (100, 1000, 4000):
            v = np.ones((n_chains, 784), dtype=np.float32)
            shares = []
            for size in sizes:
                _threads.ROWS_PER_BLOCK, _threads.SMALLEST_BLOCK = size, min(size, 50)
                with backend.running():
                    stream = RandomStream(1)
                    seconds = median_seconds(lambda: machine.gibbs(v, 4, stream)) / 4  # noqa: B023
                shares.append(4.0 * n_chains * products / seconds / peak)
            print(f"{name:18s} {n_chains:6d}" + "".join(f"{100 * s:9.0f}%" for s in shares))
    _threads.ROWS_PER_BLOCK, _threads.SMALLEST_BLOCK = chosen


if __name__ == "__main__":
    report_kernels()
    report_row_blocks()
