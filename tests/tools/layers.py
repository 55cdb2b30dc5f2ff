"""Small machines with layers of every kind, and exact sums over their states."""

from __future__ import annotations

import numpy as np

from sklearn_rapid.backends import SPINS, Categories, Gaussians, Mixed, Spiked
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from tools.brute_force import weights_of_patterns
from tools.summed import Spikes, Summed

GROUPS, SPIKES = (2, 3), Spikes((3, 2))
MIXED = [(Spikes((2,)), 3), ((2, 3), 5), ("spins", 1)]
# Visible and hidden units, how many of each.
LAYERS = {
    "spins, spins": ("spins", 4, "spins", 3),
    "gaussians, spins": ("gaussians", 2, "spins", 3),
    "spins, gaussians": ("spins", 4, "gaussians", 2),
    "categories, spins": (GROUPS, 5, "spins", 3),
    "spins, categories": ("spins", 3, GROUPS, 5),
    "gaussians, categories": ("gaussians", 2, GROUPS, 5),
    "gaussians, gaussians": ("gaussians", 1, "gaussians", 2),
    "spikes, spins": (SPIKES, 7, "spins", 3),
    "spins, spikes": ("spins", 3, SPIKES, 7),
    "mixed, spins": (MIXED, 9, "spins", 3),
}


def units_of(kind):
    if isinstance(kind, list):
        parts, sizes = zip(*kind, strict=True)
        return Mixed(tuple(map(units_of, parts)), sizes)
    if isinstance(kind, Spikes):
        return Spiked(kind.sizes)
    if isinstance(kind, tuple):
        return Categories(kind)
    return {"spins": SPINS, "gaussians": Gaussians()}[kind]


def make_machine_of_units(
    name, backend, *, couplings="dense", biases=True, scale=0.5, dtype="float64"
):
    """A random machine, and its exact sums."""
    visible, n_visible, hidden, n_hidden = LAYERS[name]
    rng = np.random.default_rng(n_visible * 10 + n_hidden)
    if name == "gaussians, gaussians":
        scale *= 0.5  # no distribution where |W|₂ is one
    if couplings == "dense":
        arrays = {"weights": rng.normal(scale=scale, size=(n_visible, n_hidden))}
    else:
        patterns = [rng.normal(scale=scale**0.5, size=(3, n)) for n in (n_visible, n_hidden)]
        arrays = dict(zip(("visible_patterns", "hidden_patterns"), patterns, strict=True))
    b, c = (biases * rng.normal(scale=0.4, size=n) for n in (n_visible, n_hidden))
    arrays = {key: a.astype(dtype) for key, a in arrays.items()}
    b, c = b.astype(dtype), c.astype(dtype)
    W = weights_from(arrays)
    on_backend = {key: backend.asarray(a) for key, a in arrays.items()}
    kind = DenseCouplings if couplings == "dense" else PatternCouplings
    machine = Machine(
        kind(**on_backend),
        backend.asarray(b),
        backend.asarray(c),
        backend,
        visible_units=units_of(visible),
        hidden_units=units_of(hidden),
    )
    return machine, Summed(W, b.astype(float), c.astype(float), visible, hidden)


def weights_from(arrays):
    if "weights" in arrays:
        return arrays["weights"].astype(float)
    return weights_of_patterns(*(a.astype(float) for a in arrays.values()))


def rows_of(exact, n_rows=9, seed=0):
    """Some visible states."""
    return exact.sample_visible(n_rows, np.random.default_rng(seed))
