"""Estimate the partition function by annealed importance sampling (AIS)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import LogPartition
from sklearn_rapid.machine.tempering import base_log_partition

# A trusted estimate has at least this many effective chains, and this share of all.
SMALLEST_TRUSTED_SIZE, SMALLEST_TRUSTED_SHARE = 10.0, 0.05


def ais_log_partition(
    machine: Machine,
    stream: RandomStream,
    *,
    base_mean: np.ndarray | None = None,
    n_chains: int = 200,
    n_temperatures: int = 2000,
) -> LogPartition:
    """Estimate log Z by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008).

    Chains start from independent units and are annealed to the machine along

        log f_β(v) = (1-β) a·v + β b·v + log base(v) + Γ(β θ)

    with one Gibbs sweep at each β. The logarithm of the mean of their weights is a stochastic
    lower bound of log Z.

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    base_mean : array of shape (V,), optional
        Means of the visible units in the base distribution, whose fields are a: artanh(mean) of
        spins. It is ignored for machines without biases, which are symmetric under v -> -v: chains
        from an asymmetric base would not reach the mirror images of modes (log 2 would be missing).
    n_chains, n_temperatures : int
        The temperatures are equally spaced in β.

    Returns
    -------
    LogPartition
    """
    backend = machine.backend
    base = backend.xp.zeros(machine.n_visible, dtype=backend.xp.float64)
    if base_mean is not None and not machine.is_symmetric:
        base = _base_of_mean(machine, base_mean)
    log_base = base_log_partition(base, machine)
    base_bias = backend.xp.astype(base, machine.visible_bias.dtype)
    betas = np.linspace(0.0, 1.0, n_temperatures)
    n_sweeps = n_temperatures - 1
    machine = machine.for_rows(2 * n_chains * n_sweeps)
    first_draw = stream.reserve(1 + 2 * n_sweeps)
    log_weights = backend.anneal(
        n_chains, machine.up, machine.down, base_bias, betas, stream, first_draw
    )
    return _from_weights(backend.to_numpy(log_weights), log_base, n_temperatures)


def _base_of_mean(machine: Machine, mean: np.ndarray) -> Any:
    """Return fields in which independent units have this mean, or nearly."""
    mean = machine.visible_units.inner_mean(np.asarray(mean, dtype=np.float64))
    mean = machine.backend.asarray(mean)
    return machine.visible_units.field_of_mean(mean, machine.backend)


def _from_weights(log_weights: np.ndarray, log_base: float, n_temperatures: int) -> LogPartition:
    n_chains = log_weights.size
    log_mean = float(logsumexp(log_weights) - np.log(n_chains))
    relative = np.exp(log_weights - log_mean)
    size = float(relative.sum() ** 2 / (relative**2).sum())
    doubts = ()
    if not size >= max(SMALLEST_TRUSTED_SIZE, SMALLEST_TRUSTED_SHARE * n_chains):
        doubts = (
            f"it rests on {size:.1f} effective chains of {n_chains}, and is likely to be too low",
        )
    return LogPartition(
        value=log_base + log_mean,
        error=float(np.std(relative, ddof=1) / np.sqrt(n_chains)) if n_chains > 1 else np.inf,
        method="ais",
        doubts=doubts,
        effective_sample_size=size,
        n_chains=n_chains,
        n_temperatures=n_temperatures,
    )
