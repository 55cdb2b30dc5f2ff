"""Log Z once a model state, log P(v), and the pseudo-likelihood, for a machine.

Likelihoods are in nats.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine import Machine
from sklearn_rapid.partition import LogPartition, ais_log_partition, exact_log_partition

# "auto" enumerates the smaller layer up to here; asked for, enumeration goes a little further.
LARGEST_AUTO_EXACT = 20
LARGEST_EXACT = 25
# Draws of the estimates lie far from those of training and of sampling.
FIRST_DRAW = 1 << 62


def log_partition(
    machine: Machine,
    method: str,
    stream: RandomStream,
    base_mean: np.ndarray | None,
    n_chains: int,
    n_temperatures: int,
) -> LogPartition:
    """log Z by the method asked for; warns if the estimate is not to be trusted."""
    smaller = min(machine.n_visible, machine.n_hidden)
    if method == "auto":
        method = "exact" if smaller <= LARGEST_AUTO_EXACT else "ais"
    if method == "exact":
        if smaller > LARGEST_EXACT:
            raise ValueError(
                f"method='exact' enumerates the smaller layer, which may have at most "
                f"{LARGEST_EXACT} units; got {machine.n_visible} visible and "
                f"{machine.n_hidden} hidden ones. Use method='ais'."
            )
        return exact_log_partition(machine)
    estimate = ais_log_partition(
        machine, stream, base_mean=base_mean, n_chains=n_chains, n_temperatures=n_temperatures
    )
    if not estimate.is_trusted:
        warnings.warn(
            f"the AIS estimate of log Z rests on {estimate.effective_sample_size:.1f} effective "
            f"chains of {n_chains}: log Z may be too low, and log-likelihoods too high. Raise "
            f"n_temperatures (now {n_temperatures}) or n_chains.",
            RuntimeWarning,
            stacklevel=4,
        )
    return estimate


def log_pseudo_likelihood(machine: Machine, v: Any) -> Any:
    """Σ_i log P(v_i | v_{-i}), exactly, over all sites; float64 of shape (n,).

    Flipping spin i changes the hidden field by -2 v_i W_i, so that every site costs one pass
    over the hidden layer.
    """
    backend, xp = machine.backend, machine.backend.xp
    machine = Machine(
        machine.couplings.to_dense(), machine.visible_bias, machine.hidden_bias, backend
    )
    weights = machine.couplings.weights
    out = xp.empty(v.shape[0], dtype=xp.float64)

    def work(rows: slice) -> None:
        block = v[rows, :]
        field = machine.hidden_field(block)
        log_f = backend.sum_log_2cosh(field)
        total = xp.zeros(block.shape[0], dtype=xp.float64)
        for i in range(machine.n_visible):
            flipped = field - 2.0 * block[:, i : i + 1] * weights[i : i + 1, :]
            bias_change = -2.0 * block[:, i] * machine.visible_bias[i]
            gain = backend.sum_log_2cosh(flipped) - log_f + xp.astype(bias_change, xp.float64)
            # -log(1 + exp(gain)), stable on both sides.
            total -= xp.maximum(gain, xp.zeros_like(gain)) + xp.log1p(xp.exp(-xp.abs(gain)))
        out[rows] = total

    backend.for_row_blocks(work, v.shape[0])
    return out
