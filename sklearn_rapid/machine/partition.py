"""The partition function: its estimate as a result, and exact sums over the smaller layer of spins.

Likelihoods are in nats. Sums run in float64, and in exact sums the fields too; fields of chains
keep the machine's precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.machine.known_states import log_weights_of
from sklearn_rapid.machine.machine import Machine

# Units of a layer that can be enumerated, in minutes at most.
LARGEST_EXACT = 25
# States enumerated at a time, for a few megabytes of log-probabilities.
STATES_PER_CHUNK = 1 << 19
# States whose free energies measure the rounding of fields.
ROUNDED_STATES = 64


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z, with its error and reasons to distrust it.

    Attributes
    ----------
    value : float
        log Z in nats.
    error : float
        Standard error of `value` in nats, infinite if unknown. It does not cover modes that neither
        the chains nor rows of the fit have shown. For "exact": a bound of the rounding error.
    method : {"exact", "tempering", "ais"}
    doubts : tuple of str
        Reasons to distrust the estimate; empty if there are none.
    lower, upper : float
        For "tempering": one-sided estimates, from the states of each pair's lower rung and from
        those of its upper rung, each a standard error further out. Without that, bounds of log Z
        in expectation, if chains are at equilibrium; NaN for other methods. (An annealed `value` is
        itself a lower bound in expectation.)
    barrier : float
        For "tempering": Λ, the sum of rejections of exchanges along the ladder. NaN otherwise.
    n_round_trips : int
        For "tempering": states that came from β = 0 to β = 1 while `value` was measured.
    effective_sample_size : float
        For "ais": (Σw)² / Σw² of the importance weights, between 1 and the number of chains; NaN
        otherwise.
    n_chains : int
        Columns of the ladder, or annealed chains; zero if exact.
    n_temperatures : int
        Rungs of the ladder, or annealing's temperatures; zero if exact.
    n_sweeps : int
        For "tempering": sweeps of all rounds; `value` comes from the last one.
    stopped_by : {"tol", "max_sweeps", "max_seconds", ""}
        For "tempering": the limit that ended it.

    Examples
    --------
    >>> LogPartition(12.5).method
    'exact'
    """

    value: float
    error: float = 0.0
    method: str = "exact"
    doubts: tuple[str, ...] = ()
    lower: float = float("nan")
    upper: float = float("nan")
    barrier: float = float("nan")
    n_round_trips: int = 0
    effective_sample_size: float = float("nan")
    n_chains: int = 0
    n_temperatures: int = 0
    n_sweeps: int = 0
    stopped_by: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether there are no doubts."""
        return not self.doubts


def enumerate_spins(n_spins: int, start: int, stop: int, backend: Any, dtype: str) -> Any:
    """List states number `start` to `stop` of all 2^n, bit j of the number being spin j.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> enumerate_spins(2, 0, 4, get_backend("numpy"), "float32")
    array([[-1., -1.],
           [ 1., -1.],
           [-1.,  1.],
           [ 1.,  1.]], dtype=float32)
    """
    return backend.spins_of_numbers(start, stop, n_spins, dtype)


def smaller_layer_first(machine: Machine) -> Machine:
    """Transpose the machine if need be, so that its smaller layer of spins is the visible one.

    Raises ValueError if no layer is made of spins.
    """
    swapped = machine.transposed()
    found = [m for m in (machine, swapped) if m.visible_units.are_spins]
    if not found:
        raise ValueError("a sum over all states needs a layer that is made of spins")
    return min(found, key=lambda m: m.n_visible)


def n_enumerated(machine: Machine) -> float:
    """Count the spins whose states an exact sum enumerates: infinity if no layer is of spins."""
    if machine.visible_units.are_spins or machine.hidden_units.are_spins:
        return smaller_layer_first(machine).n_visible
    return np.inf


def exact_log_partition(machine: Machine, states: np.ndarray | None = None) -> LogPartition:
    """Sum exp(-F) over all states of the smaller layer of spins, with fields in float64.

    The layer is cut in two: the field of a state is the sum of those of its halves, so that 2^(n/2)
    fields of each half replace 2^n products. Without biases a state and its negative have the same
    weight, and half of the states are enough. Raises ValueError if no layer is made of spins.

    Parameters
    ----------
    machine : Machine
    states : array of shape (n, V), optional
        Visible states on the host. The rounding error of their free energies in the machine's own
        precision, which enters their likelihoods, is then added to the error.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.zeros((3, 2))), np.zeros(3), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> print(f"{exact_log_partition(machine).value / np.log(2):.3f}")
    5.000
    """
    dtype = dtype_name(machine)
    of_rows = rounding_error(machine, states[:ROUNDED_STATES]) if has_rows(states) else 0.0
    machine = smaller_layer_first(machine).in_float64()
    backend, n_low = machine.backend, machine.n_visible // 2
    low, low_energy = _fields_of_spins(machine, slice(0, n_low))
    high, high_energy = _fields_of_spins(machine, slice(n_low, machine.n_visible))
    high = high + machine.hidden_bias
    n_high = high.shape[0]
    # The first half of these states has the last spin at -1.
    halved = machine.n_visible > 0 and machine.is_symmetric
    n_high = n_high // 2 if halved else n_high
    rows_per_chunk = max(1, STATES_PER_CHUNK // low.shape[0])
    sums = []
    for start in range(0, n_high, rows_per_chunk):
        rows = slice(start, min(start + rows_per_chunk, n_high))
        log_p = machine.hidden_units.log_partition_of_sums(high[rows, :], low, backend, dtype)
        log_p = backend.to_numpy(log_p + high_energy[rows, None] + low_energy[None, :])
        sums.append(logsumexp(log_p))
    value = float(logsumexp(sums) + (np.log(2.0) if halved else 0.0))
    # A few roundings of each term, of which only log(1 + exp(-2|θ|)) is in the machine's type.
    of_logs = 2.0 * machine.n_hidden * float(np.finfo(dtype).eps)
    largest_term = abs(value) + float(backend.xp.sum(backend.xp.abs(machine.visible_bias)))
    of_sums = 4.0 * float(np.finfo(np.float64).eps) * largest_term
    return LogPartition(value, of_rows + of_logs + of_sums)


def has_rows(states: np.ndarray | None) -> bool:
    """Whether there are any states."""
    return states is not None and len(states) > 0


def _fields_of_spins(machine: Machine, spins: slice) -> tuple[Any, Any]:
    """Sum what each state of some visible spins adds to the hidden field, and to b·v."""
    backend, xp = machine.backend, machine.backend.xp
    n_spins = spins.stop - spins.start
    bias = machine.visible_bias[spins]
    states = enumerate_spins(n_spins, 0, 2**n_spins, backend, dtype_name(machine))
    fields = states @ machine.couplings.to_dense().weights[spins, :]
    return fields, xp.sum(states * bias, axis=1, dtype=xp.float64)


def dtype_name(machine: Machine) -> str:
    """The name of the dtype of the machine's fields."""
    return str(machine.visible_bias.dtype).rpartition(".")[2]


def rounding_error(machine: Machine, states: np.ndarray) -> float:
    """Measure the largest rounding error of the free energies of some states, in nats."""
    exact = log_weights_of(machine.in_float64(), states)
    off = np.abs(log_weights_of(machine, states) - exact)
    return float(off.max() + np.finfo(np.float64).eps * np.abs(exact).max())
