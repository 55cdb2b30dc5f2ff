"""What products of rounded factors cost in likelihood: float32, tf32 and bfloat16, same seeds.

python tests/benchmarks/reduced_precision.py [--seeds N]

On a machine with a GPU, by its tensor cores; elsewhere by the tests' stand-in for CuPy, which
rounds the factors to the same formats. All models are scored in float32 on the CPU: exactly
where a layer has twenty units, else by annealed importance sampling.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM, RBM

BACKENDS = ["cupy", "cupy-tf32", "cupy-bf16"]
MODELS = {
    "RBM, H=20": RBM(20, max_iter=50),
    "RARBM, H=20 K=16": RARBM(20, 16, max_iter=50),
    "RBM, H=256": RBM(256, max_iter=50),
    "RARBM, H=256 K=64": RARBM(256, 64, max_iter=50),
}


def use_stand_in_without_gpu():
    """Which of the two it is."""
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() > 0:
            return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except (ImportError, RuntimeError):
        pass
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tools.cupy_stand_in import make_cupy

    sys.modules["cupy"] = make_cupy()
    return "stand-in for CuPy"


def fitted_score(model, backend, seed, train, test):
    """Mean test log-likelihood in nats; log Z exactly or by many temperatures."""
    model = clone(model).set_params(backend=backend, random_state=seed).fit(train)
    model.set_params(backend="numba")
    estimate = model.log_partition(n_chains=500, n_temperatures=10_000)
    return float(np.mean(-model.free_energy(test))) - estimate.value


def main():
    """Print a table of test log-likelihoods, mean and standard deviation over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    n_seeds = parser.parse_args().seeds
    print(f"{use_stand_in_without_gpu()}; digits, {n_seeds} seeds, test nats")
    print(f"| model | {' | '.join(BACKENDS)} | tf32 - float32 | bf16 - float32 |")
    print("|" + "---|" * (len(BACKENDS) + 3))
    train, test = train_test_split(load_digits().data > 7, test_size=300, random_state=0)
    for name, model in MODELS.items():
        scores = np.array(
            [
                [fitted_score(model, b, seed, train, test) for b in BACKENDS]
                for seed in range(n_seeds)
            ]
        )
        columns = [*scores.T, scores[:, 1] - scores[:, 0], scores[:, 2] - scores[:, 0]]
        cells = [f"{np.mean(c):.2f} ± {np.std(c, ddof=1):.2f}" for c in columns]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
