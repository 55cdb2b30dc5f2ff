"""The work that is timed: ours, what it takes in multiply-adds, and the rivals' equivalent.

Counts are those of the cheapest order of products: with factored couplings, K(V+H) a row each
way, and K(V+2H) a row for the gradient, which has the overlaps v ξ_vᵀ from the hidden fields.
Exponentials, random numbers, sums and updates count as nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import rivals

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.machine.annealing import ais_log_partition
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import exact_log_partition
from sklearn_rapid.training.fit.run import BYTES_AT_ONCE
from sklearn_rapid.training.negative_phase import (
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay
from sklearn_rapid.training.steps.projections import Projection
from sklearn_rapid.training.trainer import Trainer

PLAIN = SGD(scaled=False)


@dataclass
class Workload:
    """Some work to time.

    Attributes
    ----------
    name : str
    make : callable
        Returns a function that does it once.
    products : float
        Multiply-adds; zero where that is not what counts.
    rivals : dict of callables
        The same for others.
    repeats : int
        How often our function does the work in one call: training sets up threads and memory
        once a fit, not once an update.
    """

    name: str
    make: Callable
    products: float = 0.0
    rivals: dict[str, Callable] = field(default_factory=dict)
    repeats: int = 1


def bits(n_rows, n_visible=784):
    """Random images with as many pixels on as MNIST has at a threshold of a half."""
    return (np.random.default_rng(0).random((n_rows, n_visible)) < 0.13).astype(np.float32)


def spins(n_rows, n_visible=784):
    """The same as spins."""
    return 2.0 * bits(n_rows, n_visible) - 1.0


def couplings(n_visible, n_hidden, n_patterns=None, scale=0.1):
    """Dense or factored couplings of some size."""
    rng = np.random.default_rng(1)

    def normal(*shape):
        return (scale * rng.normal(size=shape)).astype(np.float32)

    if n_patterns is None:
        return DenseCouplings(normal(n_visible, n_hidden))
    return PatternCouplings(normal(n_patterns, n_visible), normal(n_patterns, n_hidden))


def on(backend, made):
    """The couplings with their parameters where the backend has its arrays."""
    parameters = {name: backend.asarray(p) for name, p in made.parameters.items()}
    return made.with_parameters(parameters)


def update(
    made, phase, batch_size, optimizer=PLAIN, repeats=1, n_threads=None, name="numba", **how
):
    """Updates by the training loop, from spins; the time of `repeats` of them.

    Batches come as in a fit: several together, if they are small.
    """

    def make():
        backend = get_backend(name, n_threads)
        trainer = Trainer(phase, optimizer, batch_size=batch_size, **how)
        batch = spins(batch_size, made.shape[0])
        n_together = min(repeats, max(1, BYTES_AT_ONCE // batch.nbytes))
        data = backend.asarray(np.tile(batch, (n_together, 1)))
        with backend.running():
            state = trainer.start(on(backend, made), data[:batch_size], RandomStream(0), backend)

        def run():
            with backend.running():
                for first in range(0, repeats, n_together):
                    n_rows = min(n_together, repeats - first) * batch_size
                    trainer.updates(state, data[:n_rows], 1e-4)
                backend.to_numpy(state.machine.visible_bias)  # waits for a GPU

        return run

    return make


def machine(made, bias=0.0, name="numba"):
    """A machine with these couplings and one visible bias for all."""
    backend, (n_visible, n_hidden) = get_backend(name), made.shape
    b, c = np.full(n_visible, bias, dtype=np.float32), np.zeros(n_hidden, dtype=np.float32)
    return Machine(on(backend, made), backend.asarray(b), backend.asarray(c), backend)


def log_z(estimate, made, bias=0.0, name="numba"):
    """The partition function by one of our functions."""

    def make():
        ours = machine(made, bias, name)

        def run():
            with ours.backend.running():
                estimate(ours)

        return run

    return make


def fit(estimator, make_rows):
    """A fit from scratch, by the public surface."""

    def make():
        X = make_rows()
        return lambda: estimator.fit(X)

    return make


def transform(estimator, n_rows):
    """Hidden features of many rows."""

    def make():
        X = bits(n_rows).astype(np.uint8)
        fitted = estimator.fit(X[:200])
        return lambda: fitted.transform(X)

    return make


def pattern_update(batch_size, n_gibbs_steps, repeats, v=784, h=3000, k=190):
    """The paper's MNIST recipe: no biases, patterns clipped, states from the patterns."""
    chains = 2 * n_gibbs_steps * k * k * (v + h)
    statistics = (batch_size + k) * k * (2 * v + 3 * h)
    return Workload(
        f"RARBM update, H={h} K={k}, batch {batch_size}, {n_gibbs_steps} steps from patterns",
        update(
            couplings(v, h, k), PatternInducedCorrelations(n_gibbs_steps, persistent=False),
            batch_size, repeats=repeats, fit_intercept=False, projection=Projection("clip"),
        ),
        chains + statistics,
        {
            f"PyTorch, {name}": lambda as_printed=as_printed: rivals.torch_update(
                spins(batch_size), h, k, n_gibbs_steps, as_printed
            )
            for name, as_printed in (("as printed", True), ("tuned", False))
        },
        repeats,
    )  # fmt: skip


def epochs(batch_size, n_rows=60_000, v=784, h=256):
    """An epoch: our defaults, the same with plain chains, and BernoulliRBM's plain steps."""
    how = {"batch_size": batch_size, "max_iter": 1, "random_state": 0}
    theirs = {"BernoulliRBM": lambda: rivals.bernoulli_epoch(bits(n_rows), h, batch_size)}
    name = f"RBM H={h}, an epoch of {n_rows}, batch {batch_size}"
    in_products = 6.0 * n_rows * v * h
    untempered = RBM(h, **how, negative_phase="pcd")
    plain = RBM(h, **how, negative_phase="pcd", optimizer=PLAIN, learning_rate=0.01, center=False)
    for which, estimator, products in (
        ("defaults", RBM(h, **how), 0.0),
        ("defaults but PCD-1", untempered, in_products),
        ("PCD-1, plain steps", plain, in_products),
    ):
        work = fit(estimator, lambda: bits(n_rows))
        yield Workload(f"{name}, {which}", work, products, theirs)


def tables(v=100, h=256, k=64, n=100):
    """Updates of the sizes that tables have."""
    pcd = PersistentContrastiveDivergence()
    ladder = ParallelTempering(n_chains=n, n_columns=n, n_rungs=6)
    for name, made, row in (
        (f"RBM H={h}", couplings(v, h), v * h),
        (f"RARBM H={h} K={k}", couplings(v, h, k), k * (v + h)),
    ):
        for which, phase in (
            ("defaults", ParallelTempering()),
            ("defaults but PCD-1", pcd),
            (f"defaults but {n} ladders of 6 rungs", ladder),
        ):
            yield Workload(
                f"{name}, {v} columns, batch {n}, an update, {which}",
                update(made, phase, n, SGD(), repeats=100),
                6.0 * n * row if phase is pcd else 0.0,
                repeats=100,
            )


def training():
    """Updates and epochs."""
    yield pattern_update(8000, 1, repeats=8)
    yield pattern_update(1000, 10, repeats=20)
    yield from tables()
    v, h, k, n = 784, 1000, 300, 100
    for which, optimizer in (("defaults but PCD-5", SGD()), ("PCD-5, plain steps", PLAIN)):
        yield Workload(
            f"RARBM H={h} K={k}, batch = chains = {n}, {which}",
            update(
                couplings(v, h, k), PersistentContrastiveDivergence(5), n, optimizer, repeats=100,
                projection=Projection("clip"),
            ),
            10 * n * k * (v + h) + 2 * n * k * (2 * v + 3 * h),
            repeats=100,
        )  # fmt: skip
    n = 2000
    yield Workload(
        f"RBM PCD-10, H={h}, batch = chains = {n}",
        update(couplings(v, h), PersistentContrastiveDivergence(10), n, repeats=4),
        (20 + 4) * n * v * h,
        {"rbms": lambda: rivals.rbms_update(bits(n), h, 10)},
        repeats=4,
    )
    yield from epochs(100)
    yield from epochs(10)
    X = make_bars(4, units="spin")[:10].astype(np.float32)
    bars = RARBM(
        1000, 8, negative_phase=PatternInducedCorrelations(0, persistent=False), optimizer=PLAIN,
        learning_rate=ExponentialDecay(0.02, 0.96, floor=1e-5), batch_size=3, max_iter=300,
        projection="sign", projection_period="epoch", fit_intercept=False, init_scale=1.0,
        units="spin", random_state=0,
    )  # fmt: skip
    yield Workload(
        "4x4 bars, H=1000 K=8, batch 3, pure PID, 300 epochs",
        fit(bars, lambda: X),
        rivals={
            f"PyTorch, {name}": lambda as_printed=as_printed: rivals.torch_bars(X, 300, as_printed)
            for name, as_printed in (("as printed", True), ("tuned", False))
        },
    )


def likelihood():
    """Features and partition functions."""
    n, v, h, k = 10_000, 784, 3000, 190
    how = {"batch_size": 100, "max_iter": 1, "random_state": 0}
    yield Workload(f"transform, {n} x {v}, H={h}", transform(RBM(h, **how), n), n * v * h)
    yield Workload(
        f"transform, {n} x {v}, H={h} K={k}", transform(RARBM(h, k, **how), n), n * k * (v + h)
    )
    h, k, chains, temperatures = 1000, 300, 200, 2000

    def annealed(ours):
        how = {"n_chains": chains, "n_temperatures": temperatures}
        ais_log_partition(ours, RandomStream(0), **how)

    rows = 2 * chains * (temperatures - 1)
    name = f"AIS, {chains} chains, {temperatures} temperatures, H={h}"
    dense, factored = couplings(v, h, scale=0.01), couplings(v, h, k)
    yield Workload(f"{name} K={k}", log_z(annealed, factored), rows * k * (v + h))
    rival = {"rbms": lambda: rivals.rbms_ais(v, h, chains, temperatures)}
    yield Workload(name, log_z(annealed, dense), rows * v * h, rival)
    small = couplings(20, h)
    for bias, which in ((0.0, "no biases"), (0.1, "biases")):
        b = np.full(20, bias, dtype=np.float32)
        yield Workload(
            f"exact log Z, V=20, H={h}, {which}",
            log_z(exact_log_partition, small, bias),
            rivals={"NumPy, all states": lambda b=b: rivals.numpy_log_z(small.weights, b)},
        )


def all_workloads():
    """Every row of the table."""
    yield from training()
    yield from likelihood()
