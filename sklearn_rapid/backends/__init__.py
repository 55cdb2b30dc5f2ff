"""Backends: arrays, random numbers and compiled kernels behind one contract.

A backend has the public methods of `NumpyBackend`, which defines them. No code here knows what a
Boltzmann machine is. A backend's module is imported at its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.mixed import Mixed
from sklearn_rapid.backends.random import RandomStream
from sklearn_rapid.backends.reference.chains import DRAWS_PER_SWEEP, Tempered
from sklearn_rapid.backends.spiked import Spiked
from sklearn_rapid.backends.threads import available_threads
from sklearn_rapid.backends.units import SPINS, Categories, Gaussians, Spins, Units

__all__ = [
    "DRAWS_PER_SWEEP",
    "SPINS",
    "Affine",
    "Categories",
    "Gaussians",
    "Mixed",
    "RandomStream",
    "Spiked",
    "Spins",
    "Tempered",
    "Units",
    "available_threads",
    "get_backend",
    "is_cupy_array",
    "to_host",
]

# The module, class and arguments of each backend.
BACKENDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "numpy": ("reference.arrays", "NumpyBackend", {}),
    "numba": ("compiled.backend", "NumbaBackend", {}),
    "cupy": ("gpu.backend", "CupyBackend", {}),
    "cupy-tf32": ("gpu.backend", "CupyBackend", {"products": "tf32"}),
    "cupy-bf16": ("gpu.backend", "CupyBackend", {"products": "bf16"}),
}


def get_backend(name: str = "auto", n_threads: int | None = None) -> Any:
    """Return the backend of this name.

    Parameters
    ----------
    name : {"auto", "numpy", "numba", "cupy", "cupy-tf32", "cupy-bf16"}, default="auto"
        "auto" is "numba": a GPU is used only on request.
    n_threads : int, default=None
        None is the number that the process may use.

    Returns
    -------
    backend

    Raises
    ------
    ValueError
        If there is no backend of this name.
    RuntimeError
        If a GPU's backend is named, and CuPy or a GPU is missing.

    Examples
    --------
    >>> get_backend("numpy").name
    'numpy'
    """
    name = "numba" if name == "auto" else name
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {['auto', *sorted(BACKENDS)]}, got {name!r}")
    module, cls, arguments = BACKENDS[name]
    n_threads = available_threads() if n_threads is None else n_threads
    return getattr(import_module(f"{__name__}.{module}"), cls)(n_threads, **arguments)


def is_cupy_array(values: Any) -> bool:
    """Return whether the values are a CuPy array, on a GPU, without importing CuPy.

    Examples
    --------
    >>> is_cupy_array([[0, 1]])
    False
    """
    kind = type(values)
    return kind.__module__.partition(".")[0] == "cupy" and kind.__name__ == "ndarray"


def to_host(values: Any) -> Any:
    """Return CuPy arrays as NumPy arrays, and other values unchanged."""
    return values.get() if is_cupy_array(values) else values
