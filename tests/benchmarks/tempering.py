"""Tempered chains measured: training, log Z, and the sweep's speed.

    python tests/benchmarks/tempering.py training mushrooms plants --max-iter 20 100 --seeds 3
    python tests/benchmarks/tempering.py log-partition
    python tests/benchmarks/tempering.py speed

Data are read from `--data-home`: sets of the density benchmark as density/NAME/NAME.PART.data.gz
(comma-separated rows of 0 and 1), and MNIST. All figures are in nats; log Z is by tempering, with
its error, unless said otherwise.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.datasets import fetch_density_benchmark, fetch_mnist
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import build_ladder, sweep_ladder

MODELS = {"RBM": RBM, "RARBM": RARBM}


def rows_of(name, data_home):
    """Training and test rows."""
    if name == "digits":
        X = load_digits().data > 8
        X = X[np.random.default_rng(0).permutation(len(X))]
        return X[:1400], X[1400:]
    if name.startswith("mnist"):
        X = fetch_mnist(data_home=data_home).data > 127.5
        return X[: 10_000 if name == "mnist10k" else 60_000], X[60_000:]
    benchmark = fetch_density_benchmark(name, data_home)
    return benchmark.train, benchmark.test


def training(args):
    """Likelihoods after fits of several lengths, one line a fit."""
    for name in args.names:
        train, test = rows_of(name, args.data_home)
        for kind in args.models:
            for phase in args.phases:
                for max_iter in args.max_iter:
                    for seed in range(args.seeds):
                        report(name, kind, phase, max_iter, seed, train, test)


def report(name, kind, phase, max_iter, seed, train, test):
    model = MODELS[kind](max_iter=max_iter, negative_phase=phase, random_state=seed)
    if name.startswith("mnist") and kind == "RARBM":
        model.set_params(n_components=500, n_patterns=190)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(train)
        seconds = time.perf_counter() - start
        z = model.log_partition("tempering", tol=0.08, max_sweeps=3000, random_state=1)
    nats = [-model.free_energy(rows).mean() - z.value for rows in (train, test)]
    history = model.history_
    ladder = f"{history['n_columns'][-1]:.0f} ladders" if "n_columns" in history else "-"
    print(
        f"{name} {kind} {phase} {max_iter} epochs, seed {seed}: train {nats[0]:.2f}, "
        f"test {nats[1]:.2f} ± {z.error:.2f}, {seconds:.1f} s, Λ = {z.barrier:.1f}, {ladder}"
        f"{'' if z.is_trusted else ', not trusted'}{', warned' if caught else ''}",
        flush=True,
    )


def log_partition(args):
    """Annealing and tempering on two models of MNIST."""
    train, test = rows_of("mnist", args.data_home)
    for max_iter in args.max_iter:
        model = RARBM(500, 190, max_iter=max_iter, negative_phase="pid", random_state=0).fit(train)
        energy = model.free_energy(test).mean()
        runs = [
            *(("ais", {"n_temperatures": n}, s) for n in (2000, 10_000) for s in (0, 1)),
            *(("tempering", {"tol": args.tol, "max_sweeps": 4000}, s) for s in range(args.seeds)),
        ]
        for method, how, seed in runs:
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                z = model.log_partition(method, random_state=seed, **how)
            print(
                f"{max_iter} epochs, {method} {how}, seed {seed}: {-energy - z.value:.2f} ± "
                f"{z.error:.2f}, bounds {z.lower - z.value:+.2f} {z.upper - z.value:+.2f}, "
                f"Λ = {z.barrier:.1f}, {z.n_round_trips} round trips, trusted: {z.is_trusted}, "
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )


def speed(args):
    """A tempered sweep as a fraction of the machine's own rate of products in float32."""
    rng = np.random.default_rng(0)
    n_visible, n_hidden, n_rungs, n_columns, n_sweeps = 784, 500, 24, 48, 20
    weights = rng.normal(0.0, 0.05, (n_visible, n_hidden)).astype(np.float32)
    for n_threads in (1, 2):
        a = rng.normal(size=(2000, 2000)).astype(np.float32)
        with threadpool_limits(n_threads):
            peak = 2 * 2000**3 / min(seconds(np.matmul, a, a) for _ in range(5))
        backend = get_backend("numba", n_threads)
        biases = (np.zeros(n, dtype=np.float32) for n in (n_visible, n_hidden))
        machine = Machine(DenseCouplings(weights), *biases, backend)
        with backend.running():
            ladder = build_ladder(machine, np.linspace(0, 1, n_rungs), n_columns, RandomStream(0))
            stream = RandomStream(1)
            took = min(seconds(sweep_ladder, ladder, machine, n_sweeps, stream) for _ in range(5))
        rate = 4 * n_visible * n_hidden * n_rungs * n_columns * n_sweeps / took
        print(
            f"{n_threads} threads: {took / n_sweeps * 1e3:.1f} ms a sweep, {rate / 1e9:.0f} of "
            f"{peak / 1e9:.0f} GFLOP/s, {rate / peak:.0%}"
        )


def seconds(work, *args):
    start = time.perf_counter()
    work(*args)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["training", "log-partition", "speed"])
    parser.add_argument("names", nargs="*", default=["digits"])
    parser.add_argument("--data-home", default="../shared/data")
    parser.add_argument("--max-iter", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["RBM"])
    parser.add_argument("--phases", nargs="+", default=["auto", "pcd"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tol", type=float, default=0.2)
    args = parser.parse_args()
    {"training": training, "log-partition": log_partition, "speed": speed}[args.what](args)


if __name__ == "__main__":
    main()
