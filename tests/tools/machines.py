"""Small machines of spins for tests, as the package's objects and as arrays."""

from __future__ import annotations

import numpy as np

from sklearn_rapid.backends import get_backend
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from tools.brute_force import Enumerated, weights_of_patterns

KINDS = ["dense", "patterns"]


def make_couplings(kind, shape, backend, *, n_patterns=3, scale=0.5, seed=0, dtype="float64"):
    """Random couplings, and W in float64."""
    rng = np.random.default_rng([seed, *shape])
    if kind == "dense":
        weights = rng.normal(scale=scale, size=shape).astype(dtype)
        return DenseCouplings(backend.asarray(weights)), weights.astype(float)
    # Products of two patterns' elements have the same standard deviation as W above.
    visible, hidden = (
        rng.normal(scale=scale**0.5, size=(n_patterns, n)).astype(dtype) for n in shape
    )
    couplings = PatternCouplings(backend.asarray(visible), backend.asarray(hidden))
    return couplings, weights_of_patterns(visible.astype(float), hidden.astype(float))


def make_machine(kind, shape, backend, *, biases="both", dtype="float64", **how):
    """A random machine, and its arrays to enumerate; biases: "both", "visible", "hidden", ""."""
    couplings, W = make_couplings(kind, shape, backend, dtype=dtype, **how)
    rng = np.random.default_rng([1, *shape])
    b, c = (rng.normal(scale=0.4, size=n).astype(dtype) for n in shape)
    b *= biases in ("both", "visible")
    c *= biases in ("both", "hidden")
    machine = Machine(couplings, backend.asarray(b), backend.asarray(c), backend)
    return machine, Enumerated(W, b.astype(float), c.astype(float))


def machine_of(weights, dtype="float32", backend="numba"):
    """The package's machine with these W, b and c."""
    backend = get_backend(backend, n_threads=2) if backend == "numba" else get_backend(backend)
    W, b, c = (backend.asarray(a, dtype) for a in (weights.W, weights.b, weights.c))
    return Machine(DenseCouplings(W), b, c, backend)
