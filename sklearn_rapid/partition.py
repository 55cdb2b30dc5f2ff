"""The partition function: exact over the smaller layer, or estimated by annealing.

Likelihoods are in nats. Sums run in float64 while fields keep the machine's precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine import Machine

# States enumerated at a time: a few megabytes of log-probabilities.
STATES_PER_CHUNK = 1 << 19
# Below this share of the chains, the estimate rests on too few of them to be trusted.
SMALLEST_TRUSTED_SHARE = 0.05


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z, with what is needed to judge it.

    Attributes
    ----------
    value : float
        log Z in nats.
    error : float
        Standard error of `value` in nats: zero if exact. For "ais" it is the delta-method
        error of a logarithm of a mean of importance weights; it speaks for the chains that were
        run, and cannot know of modes that none of them found.
    method : {"exact", "ais"}
    effective_sample_size : float
        (Σw)² / Σw² of the importance weights, between 1 and the number of chains; NaN if exact.
    n_chains : int
        Zero if exact.
    n_temperatures : int
        Zero if exact.

    Examples
    --------
    >>> LogPartition(12.5).method
    'exact'
    """

    value: float
    error: float = 0.0
    method: str = "exact"
    effective_sample_size: float = float("nan")
    n_chains: int = 0
    n_temperatures: int = 0

    @property
    def is_trusted(self) -> bool:
        """Whether enough chains carry the estimate."""
        return (
            self.method == "exact"
            or self.effective_sample_size >= SMALLEST_TRUSTED_SHARE * self.n_chains
        )


def enumerate_spins(n_spins: int, start: int, stop: int, backend: Any, dtype: str) -> Any:
    """States number `start` to `stop` of all 2^n, bit j of the number being spin j.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> enumerate_spins(2, 0, 4, get_backend("numpy"), "float32")
    array([[-1., -1.],
           [ 1., -1.],
           [-1.,  1.],
           [ 1.,  1.]], dtype=float32)
    """
    xp = backend.xp
    numbers = xp.arange(start, stop, dtype=xp.int64)[:, None]
    bits = (numbers >> xp.arange(n_spins, dtype=xp.int64)[None, :]) & 1
    return xp.astype(2 * bits - 1, getattr(xp, dtype))


def smaller_layer_first(machine: Machine) -> Machine:
    """The machine or its transpose, whichever has the smaller visible layer."""
    return machine if machine.n_visible <= machine.n_hidden else machine.transposed()


def exact_log_partition(machine: Machine) -> LogPartition:
    """log Z by summing exp(-F) over all states of the smaller layer.

    The layer is cut in two: the field of a state is the sum of what its halves add to it, so that
    2^(n/2) fields of each half take the place of 2^n products. Without biases a state and its
    negative weigh the same, and half of the states are enough.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((3, 2))), np.zeros(3), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> print(f"{exact_log_partition(machine).value / np.log(2):.3f}")
    5.000
    """
    machine = smaller_layer_first(machine)
    backend, n_low = machine.backend, machine.n_visible // 2
    low, low_energy = _fields_of_spins(machine, slice(0, n_low))
    high, high_energy = _fields_of_spins(machine, slice(n_low, machine.n_visible))
    high = high + machine.hidden_bias
    n_high = high.shape[0]
    # The first half of these states has the last spin at -1.
    halved = machine.n_visible > 0 and not machine.has_biases
    n_high = n_high // 2 if halved else n_high
    rows_per_chunk = max(1, STATES_PER_CHUNK // low.shape[0])
    sums = []
    for start in range(0, n_high, rows_per_chunk):
        rows = slice(start, min(start + rows_per_chunk, n_high))
        log_p = backend.sum_log_2cosh_of_sums(high[rows, :], low)
        log_p = backend.to_numpy(log_p + high_energy[rows, None] + low_energy[None, :])
        sums.append(logsumexp(log_p))
    return LogPartition(float(logsumexp(sums)) + (np.log(2.0) if halved else 0.0))


def _fields_of_spins(machine: Machine, spins: slice) -> tuple[Any, Any]:
    """What all states of some visible spins add to the hidden field and to b·v."""
    backend, xp = machine.backend, machine.backend.xp
    n_spins = spins.stop - spins.start
    bias = machine.visible_bias[spins]
    states = enumerate_spins(n_spins, 0, 2**n_spins, backend, dtype_name(machine))
    fields = states @ machine.couplings.to_dense().weights[spins, :]
    return fields, xp.sum(states * bias, axis=1, dtype=xp.float64)


def dtype_name(machine: Machine) -> str:
    """The name of the type that the machine's fields have."""
    return str(machine.visible_bias.dtype).rpartition(".")[2]


def ais_log_partition(
    machine: Machine,
    stream: RandomStream,
    *,
    base_mean: np.ndarray | None = None,
    n_chains: int = 200,
    n_temperatures: int = 2000,
) -> LogPartition:
    """log Z by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008).

    Chains start from independent units and are annealed to the machine along

        log f_β(v) = (1-β) a·v + β b·v + Σ_α log 2cosh(β θ_α)

    with one Gibbs sweep at each β. The logarithm of the mean of their weights is a stochastic
    lower bound of log Z.

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    base_mean : array of shape (V,), optional
        Means of the visible units in the base distribution, whose fields are a = artanh(mean).
        It has no effect on a machine without biases: that one is symmetric under v -> -v, and a
        base that is not could not reach the mirror image of its modes (log 2 would be missing).
    n_chains, n_temperatures : int
        The temperatures are equally spaced in β.

    Returns
    -------
    LogPartition
    """
    backend = machine.backend
    base = np.zeros(machine.n_visible)
    if base_mean is not None and machine.has_biases:
        base = np.arctanh(np.clip(base_mean, -0.98, 0.98))
    log_base = float(np.sum(np.logaddexp(base, -base)) + machine.n_hidden * np.log(2.0))
    base_bias = backend.xp.astype(backend.asarray(base), machine.visible_bias.dtype)
    betas = np.linspace(0.0, 1.0, n_temperatures)
    n_sweeps = n_temperatures - 1
    machine = machine.for_rows(2 * n_chains * n_sweeps)
    first_draw = stream.reserve(1 + 2 * n_sweeps)
    log_weights = backend.anneal(
        n_chains, machine.up, machine.down, base_bias, betas, stream, first_draw
    )
    return _from_weights(backend.to_numpy(log_weights), log_base, n_temperatures)


def _from_weights(log_weights: np.ndarray, log_base: float, n_temperatures: int) -> LogPartition:
    n_chains = log_weights.size
    log_mean = float(logsumexp(log_weights) - np.log(n_chains))
    relative = np.exp(log_weights - log_mean)
    return LogPartition(
        value=log_base + log_mean,
        error=float(np.std(relative, ddof=1) / np.sqrt(n_chains)) if n_chains > 1 else np.inf,
        method="ais",
        effective_sample_size=float(relative.sum() ** 2 / (relative**2).sum()),
        n_chains=n_chains,
        n_temperatures=n_temperatures,
    )
