"""Backends: arrays, random numbers and fused kernels, behind one contract.

A backend has the public methods of `NumpyBackend`, which is their definition. Nothing here
knows what a Boltzmann machine is. A backend's module is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sklearn_rapid.backends._affine import Affine
from sklearn_rapid.backends._random import RandomStream
from sklearn_rapid.backends._threads import available_threads

__all__ = ["Affine", "RandomStream", "available_threads", "get_backend"]

BACKENDS = {
    "numpy": ("sklearn_rapid.backends._numpy", "NumpyBackend"),
    "numba": ("sklearn_rapid.backends._numba", "NumbaBackend"),
}


def get_backend(name: str = "auto", n_threads: int | None = None) -> Any:
    """The backend of that name.

    Parameters
    ----------
    name : {"auto", "numpy", "numba"}, default="auto"
        "auto" is "numba".
    n_threads : int, default=None
        None is as many as the process may use.

    Returns
    -------
    backend

    Raises
    ------
    ValueError
        If there is no backend of that name.

    Examples
    --------
    >>> get_backend("numpy").name
    'numpy'
    """
    name = "numba" if name == "auto" else name
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {['auto', *sorted(BACKENDS)]}, got {name!r}")
    module, cls = BACKENDS[name]
    n_threads = available_threads() if n_threads is None else n_threads
    return getattr(import_module(module), cls)(n_threads)
