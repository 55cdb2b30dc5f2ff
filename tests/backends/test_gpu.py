"""On a real GPU, beside the tests that take a backend: memory, moves, many rows, speed.

python -m pytest -m gpu
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.backends.gpu.backend import CupyBackend
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.training.negative_phase import PersistentContrastiveDivergence
from sklearn_rapid.training.optimizers import Adam
from sklearn_rapid.training.trainer import Trainer

pytestmark = pytest.mark.gpu

ESTIMATORS = [RBM(64, max_iter=3, random_state=0), RARBM(64, 16, max_iter=3, random_state=0)]


def rows(n_rows, n_visible=100):
    return np.random.default_rng(0).random((n_rows, n_visible)) < 0.3


def test_memory_does_not_grow():
    import cupy

    backend = get_backend("cupy")
    rng = np.random.default_rng(1)
    weights = rng.normal(scale=0.01, size=(100, 64)).astype(np.float32)
    data = backend.asarray((2.0 * rows(50) - 1.0).astype(np.float32))
    trainer = Trainer(PersistentContrastiveDivergence(2), Adam(), batch_size=50)
    state = trainer.start(DenseCouplings(backend.asarray(weights)), data, RandomStream(0), backend)
    used = []
    for n_updates in (20, 1000):
        for _ in range(n_updates):
            trainer.update(state, data, 0.1)
        cupy.cuda.Device().synchronize()
        used.append(cupy.get_default_memory_pool().used_bytes())
    trainer.check(state)
    assert used[1] == used[0]


@pytest.mark.parametrize("on_device", [False, True])
def test_moves_are_one_a_batch_or_none(monkeypatch, on_device):
    """Counted at the backend's two doors."""
    import cupy

    moves = {"asarray": 0, "to_numpy": 0}

    def count(name):
        method = getattr(CupyBackend, name)

        def counted(self, values, *args):
            moves[name] += not isinstance(values, cupy.ndarray) or name == "to_numpy"
            return method(self, values, *args)

        monkeypatch.setattr(CupyBackend, name, counted)

    count("asarray")
    count("to_numpy")
    totals = []
    for batch_size in (20, 10):
        X = cupy.asarray(rows(200)) if on_device else rows(200)
        moves.update(asarray=0, to_numpy=0)
        RBM(8, batch_size=batch_size, max_iter=2, backend="cupy", random_state=0).fit(X)
        totals.append(dict(moves))
    assert totals[1]["to_numpy"] == totals[0]["to_numpy"]
    assert totals[1]["asarray"] - totals[0]["asarray"] == (0 if on_device else 20)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_results_are_those_of_the_cpu(estimator):
    import cupy

    X = rows(3000)
    model = estimator.set_params(backend="numba").fit(X)
    expected = [getattr(model, name)(X) for name in ("transform", "free_energy")]
    log_z = model.log_partition(n_chains=100, n_temperatures=500)
    model.set_params(backend="cupy")
    on_device = cupy.asarray(X)
    results = (model.transform(on_device), model.free_energy(on_device))
    for got, wanted in zip(results, expected, strict=True):
        assert isinstance(got, cupy.ndarray)
        np.testing.assert_allclose(got.get(), wanted, rtol=1e-5, atol=1e-5)
    again = model.log_partition(n_chains=100, n_temperatures=500)
    assert abs(again.value - log_z.value) < 5 * np.hypot(again.error, log_z.error) + 1e-3


def test_the_same_seed_gives_the_same_model_twice():
    models = [RBM(64, max_iter=3, backend="cupy", random_state=0).fit(rows(3000)) for _ in "ab"]
    np.testing.assert_array_equal(models[0].components_, models[1].components_)


@pytest.mark.parametrize("backend", ["cupy-tf32", "cupy-bf16"])
def test_rounded_products_are_near(backend):
    import cupy

    if int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip("no tensor cores for float32")
    rng = np.random.default_rng(2)
    a, b = (rng.normal(size=(300, 300)).astype(np.float32) for _ in range(2))
    made = get_backend(backend)
    got = made.to_numpy(made.matmul(made.asarray(a), made.asarray(b)))
    # 300 products of order one, their factors off by 2^-8 (bf16) at most.
    error = np.abs(got - a.astype(float) @ b.astype(float)).max()
    assert 1e-6 < error < 300**0.5 * 5 * 2.0**-7


def test_speed(capsys):
    """Printed, not judged: the table of tests/benchmarks/gpu.py, in short."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    gpu = pytest.importorskip("gpu")
    try:
        import torch

        device = "cuda" if torch.cuda.is_available() else None
    except ImportError:
        device = None
    with capsys.disabled():
        print()
        for line in gpu.table(["numba", "cupy"], device, quick=True):
            print(line, flush=True)
