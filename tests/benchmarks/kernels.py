"""What the kernels cost an element, what products reach alone, and what blocks cost a Gibbs step.

python tests/benchmarks/kernels.py
"""

from __future__ import annotations

import numpy as np
from measure import median_seconds, sgemm_rate
from workloads import couplings, machine

from sklearn_rapid.backends import RandomStream, blas, get_backend, threads
from sklearn_rapid.backends.compiled import pipelines


def report_kernels():
    """Nanoseconds an element, one thread, fields that stay in the second-level cache."""
    numba, numpy = (get_backend(name, 1) for name in ("numba", "numpy"))
    stream = RandomStream(1)
    field = np.random.default_rng(0).normal(0.0, 2.0, (128, 512)).astype(np.float32)
    wide = field.astype(np.float64)
    kernels = {
        "sample_spins": lambda b: b.sample_spins(field.copy(), stream, 1),
        "random_uniform": lambda b: b.random_uniform(field.shape, stream, 1),
        "tanh": lambda b: b.tanh(field.copy()),
        "sum_log_2cosh": lambda b: b.sum_log_2cosh(field),
        "sum_log_2cosh_of_sums": lambda b: b.sum_log_2cosh_of_sums(wide[:2], wide[:64], "float32"),
    }
    print(f"{'ns an element':20s} {'numba':>7s} {'numpy':>7s}")
    for name, kernel in kernels.items():
        costs = (median_seconds(lambda b=b, k=kernel: k(b)) / field.size for b in (numba, numpy))
        print(f"{name:20s}" + "".join(f" {1e9 * cost:7.2f}" for cost in costs))


def report_products(n=1000):
    """NumPy's products of the shapes of an update with patterns, one thread, nothing else."""
    peak = sgemm_rate(1)
    rng = np.random.default_rng(0)
    print(f"\nproducts of an update's shapes alone, V=784, {n} rows, one thread: share of sgemm")
    with blas.single_threaded_blas():
        for k, h in ((190, 3000), (190, 500), (300, 1000)):
            made = couplings(784, h, k)
            xi_v, xi_h = made.visible_patterns, made.hidden_patterns
            v, t, m = (rng.normal(size=(n, w)).astype(np.float32) for w in (784, h, k))
            pairs = {"v ξ_vᵀ": (v, xi_v.T), "m ξ_h": (m, xi_h), "t ξ_hᵀ": (t, xi_h.T)}
            pairs |= {"mᵀ v": (m.T, v), "mᵀ t": (m.T, t)}
            shares, total = [], 0.0
            for name, (a, b) in pairs.items():
                out = np.empty((a.shape[0], b.shape[1]), dtype=np.float32)
                seconds = median_seconds(lambda a=a, b=b, out=out: np.matmul(a, b, out=out))
                total += seconds
                shares.append(f"{name} {200.0 * a.size * b.shape[1] / seconds / peak:.0f} %")
            whole = 200.0 * n * k * (2 * 784 + 3 * h) / total / peak
            print(f"K={k} H={h}: {', '.join(shares)}; together {whole:.0f} %")


def report_small_products():
    """Products with a matrix that fits into the second-level cache, one thread."""
    print("\nGFLOP/s of X W and H Wᵀ, W 784 x 256, one thread: ours, NumPy's")
    weights = couplings(784, 256).weights
    with blas.single_threaded_blas():
        for n in (10, 20, 50, 100):
            figures = []
            for width, is_transposed in ((784, False), (256, True)):
                x = np.ones((n, width), dtype=np.float32)
                matrix = weights.T if is_transposed else weights
                out = np.empty((n, matrix.shape[1]), dtype=np.float32)
                for multiply in (
                    lambda x=x, t=is_transposed, out=out: pipelines.matrix_product(
                        x, weights, t, out
                    ),
                    lambda x=x, matrix=matrix, out=out: np.matmul(x, matrix, out=out),
                ):
                    repeated = lambda f=multiply: [f() for _ in range(50)]  # noqa: E731
                    figures.append(50 * 2e-9 * n * weights.size / median_seconds(repeated))
            print(f"{n:4d} rows: X W {figures[0]:.0f}, {figures[1]:.0f};", end=" ")
            print(f"H Wᵀ {figures[2]:.0f}, {figures[3]:.0f}")


def report_row_blocks():
    """A Gibbs step of all chains, as a share of the sgemm rate, for several block sizes."""
    n_threads = threads.available_threads()
    peak = sgemm_rate(n_threads)
    print(f"\nsgemm: {peak / 1e9:.0f} GFLOP/s on {n_threads} threads; a Gibbs step's share of it")
    sizes = [32, 64, 128, 256, 512, 0]
    titles = [f"{s} rows" if s else "chosen" for s in sizes]
    print(f"{'couplings':18s} {'chains':>6s}" + "".join(f"{t:>10s}" for t in titles))
    names = ("SMALLEST_BLOCK", "ROWS_PER_BLOCK", "LARGEST_BLOCK")
    chosen = [getattr(threads, name) for name in names]
    for name, products, made in (
        ("dense", 784 * 500, couplings(784, 500)),
        ("patterns, K=190", 190 * 1284, couplings(784, 500, 190)),
    ):
        ours = machine(made)
        for n_chains in (100, 1000, 2000, 8000):
            v = np.ones((n_chains, 784), dtype=np.float32)
            shares = []
            for size in sizes:
                for constant, value in zip(names, chosen, strict=True):
                    setattr(threads, constant, min(size, value) if size else value)
                if size:
                    threads.ROWS_PER_BLOCK = threads.LARGEST_BLOCK = size
                threads.row_blocks.cache_clear()
                with ours.backend.running():
                    stream = RandomStream(1)
                    seconds = median_seconds(lambda: ours.gibbs(v, 4, stream)) / 4  # noqa: B023
                shares.append(4.0 * n_chains * products / seconds / peak)
            print(f"{name:18s} {n_chains:6d}" + "".join(f"{100 * s:9.0f}%" for s in shares))


if __name__ == "__main__":
    report_kernels()
    report_products()
    report_small_products()
    report_row_blocks()
