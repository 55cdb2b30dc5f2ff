"""Rows of which some visible units are not known: what a machine says of these, given the others.

In such rows, what is not known is NaN. Given the known units v, those that are free, u, and the
hidden ones make a restricted machine of their own, whose hidden fields begin with what v adds to
them. It is drawn from by Gibbs steps; it has means by mean field, which make

    log Σ_u exp(-F(v, u)) >= -F(v, m) + S(m),    m = Γ'(φ),

S being the entropy of independent units with the means m (Salakhutdinov and Hinton 2009); and
annealing from those units to the machine estimates that sum (Neal 2001). Where u can be completed
in few ways, these are enumerated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine

# Steps after which mean fields of trained machines have come to rest, to a hundredth of a nat.
MEAN_FIELD_STEPS = 30
# Rows that are annealed at a time.
ROWS_ANNEALED = 128


@dataclass(frozen=True)
class Clamped:
    """A machine given what is known of each row.

    Parameters
    ----------
    machine : Machine
        Of the F visible units that some row does not know, and without hidden biases.
    known_field : array of shape (n, H)
        What the other visible units and the hidden biases add to the hidden fields.
    v : array of shape (n, F)
        Zero where a unit is free.
    free : boolean array of shape (n, F)
    known_log_weights : array of shape (n,)
        b·v + log base(v) over all known units (float64).
    """

    machine: Machine
    known_field: Any
    v: Any
    free: Any
    known_log_weights: Any

    def hidden_field(self, v: Any) -> Any:
        """The field of the hidden units, shape (n, H), given the F visible ones of each row."""
        return self.known_field + self.machine.hidden_field(v)

    def mean_field(self, n_steps: int = MEAN_FIELD_STEPS) -> tuple[Any, Any]:
        """Means of the free units beside the known ones, and the fields that they are means in.

        Each step makes hidden means of visible ones, and visible means of these; none lowers the
        bound of `lower_bound`. Where real units couple spins, what they add to a spin's field that
        comes from itself is left out, and steps go half of the way, or they could swing.
        """
        own = self._self_couplings
        field = self.machine.backend.xp.zeros_like(self.v) + self.machine.visible_bias
        means = self._means_in(field)
        for _ in range(n_steps):
            h = self.machine.hidden_units.mean(self.hidden_field(means), self.machine.backend)
            following = self.machine.visible_field(h)
            field = following if own is None else 0.5 * (field + following - own * means)
            means = self._means_in(field)
        return means, field

    def gibbs(self, n_steps: int, stream: RandomStream) -> Any:
        """Visible states, shape (n, F), after so many steps from as many of mean field."""
        v, _ = self.mean_field(n_steps)
        no_bias = self.machine.visible_bias
        for _ in range(n_steps):
            v = self._step(self.hidden_field(v), 1.0, no_bias, stream)
        return v

    def lower_bound(self, n_steps: int = MEAN_FIELD_STEPS) -> Any:
        """A lower bound of log Σ_u exp(-F(v, u)) of each row by mean field, float64."""
        machine, backend = self.machine, self.machine.backend
        means, field = self.mean_field(n_steps)
        of_hidden = machine.hidden_units.log_partition(self.hidden_field(means), backend)
        bias = machine.visible_bias[None, :]
        of_bias = backend.row_dots(self._where_free(means), bias)
        entropy = machine.visible_units.entropy(field, self.free, backend)
        bound = self.known_log_weights + of_hidden + of_bias + entropy
        own = self._self_couplings
        if own is not None:
            # Of |Wᵀu|²/2 the mean is known: Jensen's inequality is not needed.
            ones = machine.backend.xp.ones_like(means)
            bound = bound + 0.5 * backend.row_dots(self._where_free(ones - means * means), own)
        return bound

    def annealed(
        self, stream: RandomStream, n_chains: int, n_temperatures: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Estimates of log Σ_u exp(-F(v, u)) of each row, and their standard errors.

        Chains of one side are annealed from independent units to the machine, the other side being
        summed over: chains of the smaller one, but of spins where the other side has real units
        (docs/design_notes/gaps.md). The logarithm of the mean of their weights is low by about half
        its squared error.

        Parameters
        ----------
        stream : RandomStream
        n_chains, n_temperatures : int
            Of each row; the temperatures are equally spaced in β.
        """
        path = (_HiddenPath if self._anneals_hidden else _FreePath)(self._repeated(n_chains))
        state, log_w = path.start(stream)
        for beta, after in pairwise(map(float, np.linspace(0.0, 1.0, n_temperatures))):
            field = path.field(state)
            log_w = log_w + path.log_f(state, field, after) - path.log_f(state, field, beta)
            state = path.step(field, after, stream)
        log_w = self.machine.backend.to_numpy(log_w).reshape(self.v.shape[0], n_chains)
        largest = log_w.max(axis=1)
        relative = np.exp(log_w - largest[:, None])
        mean = relative.mean(axis=1)
        error = relative.std(axis=1, ddof=1) / mean / np.sqrt(n_chains)
        return largest + np.log(mean), error

    @property
    def _anneals_hidden(self) -> bool:
        machine = self.machine
        has_real = machine.visible_units.real(machine.n_visible).any()
        return machine.hidden_units.are_spins and (has_real or machine.n_hidden < machine.n_visible)

    @property
    def _self_couplings(self) -> Any:
        """|w_i|², by which real units couple a spin to itself, shape (1, F); None if none do."""
        if not self.machine.couples_spins:
            return None
        W, xp = self.machine.couplings.to_dense().weights, self.machine.backend.xp
        return xp.sum(W * W, axis=1)[None, :]

    def _repeated(self, times: int) -> Clamped:
        """Each row so many times, one after the other."""
        backend, xp = self.machine.backend, self.machine.backend.xp
        rows = backend.asarray(np.repeat(np.arange(self.v.shape[0]), times), "int64")
        names = ("known_field", "v", "free", "known_log_weights")
        return replace(self, **{name: xp.take(getattr(self, name), rows, axis=0) for name in names})

    def _step(self, hidden_field: Any, beta: float, bias: Any, stream: RandomStream) -> Any:
        """One Gibbs step at β, in which free units have these biases."""
        machine, backend = self.machine, self.machine.backend
        h = machine.hidden_units.sample(hidden_field, backend, stream, stream.reserve())
        field = beta * (machine.visible_field(h) - machine.visible_bias) + bias
        drawn = machine.visible_units.sample(field, backend, stream, stream.reserve())
        return self._with_known(drawn)

    def _means_in(self, field: Any) -> Any:
        """Means in the field, which is left as it is, beside the known units."""
        return self._with_known(self.machine.visible_units.mean(1.0 * field, self.machine.backend))

    def _with_known(self, v: Any) -> Any:
        xp = self.machine.backend.xp
        return xp.where(self.free, xp.astype(v, self.v.dtype), self.v)

    def _where_free(self, v: Any) -> Any:
        xp = self.machine.backend.xp
        return xp.where(self.free, v, xp.zeros_like(v))


class _FreePath:
    """From independent free units to the machine, hidden units being summed over.

    The first ones are in half the mean field φ, in which other modes than its own can be reached:

        log f_β(u) = ((1-β) φ/2 + β b)·u + log base(u) + Γ(θ(0) + β (θ(u) - θ(0))).

    Parameters
    ----------
    chains : Clamped
        Each row as often as it has chains.
    """

    def __init__(self, chains: Clamped) -> None:
        self.chains = chains
        self.base = 0.5 * chains.mean_field()[1]
        self.without_free = chains.hidden_field(chains.v)

    def start(self, stream: RandomStream) -> tuple[Any, Any]:
        """States at β = 0, and the logarithm of the sum over them."""
        chains, machine = self.chains, self.chains.machine
        backend, units = machine.backend, machine.visible_units
        drawn = units.sample(1.0 * self.base, backend, stream, stream.reserve())
        log_z = chains.known_log_weights + units.entropy(self.base, chains.free, backend)
        means = chains._where_free(chains._means_in(self.base))
        log_z = log_z + backend.row_dots(means, self.base)
        of_hidden = machine.hidden_units.log_partition(1.0 * self.without_free, backend)
        return chains._with_known(drawn), log_z + of_hidden

    def field(self, u: Any) -> Any:
        """What the free units add to the hidden fields."""
        return self.chains.hidden_field(u) - self.without_free

    def log_f(self, u: Any, field: Any, beta: float) -> Any:
        """Log f_β but for log base(u)."""
        backend = self.chains.machine.backend
        theta = self.without_free + beta * field
        of_hidden = self.chains.machine.hidden_units.log_partition(theta, backend)
        return of_hidden + backend.row_dots(self.chains._where_free(u), self._bias(beta))

    def step(self, field: Any, beta: float, stream: RandomStream) -> Any:
        """One Gibbs step at β."""
        theta = self.without_free + beta * field
        return self.chains._step(theta, beta, self._bias(beta), stream)

    def _bias(self, beta: float) -> Any:
        return (1.0 - beta) * self.base + beta * self.chains.machine.visible_bias[None, :]


class _HiddenPath:
    """From independent hidden spins to the machine, free units being summed over.

    They begin in a quarter of the fields θ' that they have where free units are at their means
    without couplings, in which none of them is certain and all modes can be reached:

        log f_β(h) = ((1-β) θ'/4 + β θ(0))·h + Γ_free(b + β W h).

    Parameters
    ----------
    chains : Clamped
        Each row as often as it has chains; its hidden units are spins.
    """

    def __init__(self, chains: Clamped) -> None:
        machine, backend = chains.machine, chains.machine.backend
        self.chains = chains
        self.without_free = chains.hidden_field(chains.v)
        no_field = backend.xp.zeros_like(chains.v)
        means = chains._means_in(no_field + machine.visible_bias)
        self.base = 0.25 * chains.hidden_field(means)
        of_all = machine.visible_units.log_partition(1.0 * no_field, backend)
        # In no field, entropy and log-partition are one.
        self.of_known = of_all - machine.visible_units.entropy(no_field, chains.free, backend)

    def start(self, stream: RandomStream) -> tuple[Any, Any]:
        """States at β = 0, and the logarithm of the sum over them."""
        machine, backend = self.chains.machine, self.chains.machine.backend
        log_z = machine.hidden_units.log_partition(1.0 * self.base, backend)
        log_z = log_z + self._of_free(backend.xp.zeros_like(self.chains.v), 0.0)
        h = machine.hidden_units.sample(1.0 * self.base, backend, stream, stream.reserve())
        return h, self.chains.known_log_weights + log_z

    def field(self, h: Any) -> Any:
        """What the hidden units add to the fields of the free ones."""
        machine = self.chains.machine
        return machine.visible_field(h) - machine.visible_bias

    def log_f(self, h: Any, field: Any, beta: float) -> Any:
        """Log f_β."""
        of_known = self.chains.machine.backend.row_dots(h, self._bias(beta))
        return of_known + self._of_free(field, beta)

    def step(self, field: Any, beta: float, stream: RandomStream) -> Any:
        """One Gibbs step at β."""
        chains, machine, backend = self.chains, self.chains.machine, self.chains.machine.backend
        phi = beta * field + machine.visible_bias
        u = machine.visible_units.sample(phi, backend, stream, stream.reserve())
        of_free = chains.hidden_field(chains._with_known(u)) - self.without_free
        theta = beta * of_free + self._bias(beta)
        return machine.hidden_units.sample(theta, backend, stream, stream.reserve())

    def _bias(self, beta: float) -> Any:
        return (1.0 - beta) * self.base + beta * self.without_free

    def _of_free(self, field: Any, beta: float) -> Any:
        """Γ of the free units."""
        machine = self.chains.machine
        phi = self.chains._where_free(beta * field + machine.visible_bias)
        return machine.visible_units.log_partition(phi, machine.backend) - self.of_known


def columns_unknown(v: Any, backend: Any) -> np.ndarray:
    """Numbers of the columns that are NaN in some row."""
    return np.flatnonzero(backend.to_numpy(backend.xp.any(v != v, axis=0)))


def clamp(machine: Machine, v: Any, columns: np.ndarray) -> Clamped:
    """The machine given the rows, whose unknown entries are in these columns.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n, V)
        NaN where a unit is not known.
    columns : array of int of shape (F,)

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.array([[1.0], [1.0]])), np.zeros(2), np.zeros(1),
    ...                   get_backend("numpy"))
    >>> rows = np.array([[1.0, np.nan], [-1.0, np.nan]])
    >>> means, _ = clamp(machine, rows, np.array([1])).mean_field(100)
    >>> print(means.round(2))
    [[ 0.74]
     [-0.74]]
    """
    backend, xp = machine.backend, machine.backend.xp
    at = backend.asarray(columns, "int64")
    known = xp.where(v != v, xp.zeros_like(v), v)
    is_fixed = np.ones(machine.n_visible, dtype=bool)
    is_fixed[columns] = False
    fixed = xp.where(backend.asarray(is_fixed)[None, :], known, xp.zeros_like(known))
    part = replace(
        machine,
        couplings=machine.couplings.of_visible(at, xp),
        visible_bias=xp.take(machine.visible_bias, at, axis=0),
        hidden_bias=xp.zeros_like(machine.hidden_bias),
        visible_units=machine.visible_units.of(columns),
    ).for_rows(v.shape[0] * MEAN_FIELD_STEPS)
    bias = machine.visible_bias[None, :]
    return Clamped(
        part,
        known_field=machine.hidden_field(fixed),
        v=xp.take(known, at, axis=1),
        free=xp.take(v != v, at, axis=1),
        known_log_weights=machine.visible_units.log_weights(known, bias, backend),
    )


def filled(v: Any, columns: np.ndarray, states: Any, backend: Any) -> Any:
    """The rows v with what they do not know taken from states of these columns, shape (n, F)."""
    xp = backend.xp
    place = np.zeros(v.shape[1], dtype=np.int64)
    place[columns] = np.arange(len(columns))
    return xp.where(v != v, xp.take(states, backend.asarray(place), axis=1), v)


def filled_with_means(machine: Machine, v: Any, n_steps: int = MEAN_FIELD_STEPS) -> Any:
    """The rows v with mean fields where units are not known."""
    columns = columns_unknown(v, machine.backend)
    if columns.size == 0:
        return v
    means, _ = clamp(machine, v, columns).mean_field(n_steps)
    return filled(v, columns, means, machine.backend)


def free_energy_bound(machine: Machine, v: Any) -> Any:
    """An upper bound of -log Σ_u exp(-F(v, u)) of each row: F(v) itself where all is known."""
    columns = columns_unknown(v, machine.backend)
    if columns.size == 0:
        return machine.free_energy(v)
    bound = -clamp(machine, v, columns).lower_bound()
    # To the last digit what it is beside rows that are known as a whole.
    xp = machine.backend.xp
    whole = machine.free_energy(xp.where(v != v, xp.zeros_like(v), v))
    return xp.where(xp.any(v != v, axis=1), bound, whole)


def log_sums(
    machine: Machine, v: Any, stream: RandomStream, n_chains: int, n_temperatures: int
) -> tuple[Any, Any]:
    """Log Σ_u exp(-F(v, u)) of each row, with its error: annealed; -F(v) itself where all is known.

    Some rows at a time: so many chains, of all hidden units, are in memory at once.
    """
    backend, xp = machine.backend, machine.backend.xp
    unknown = v != v
    log_f = backend.to_numpy(-machine.free_energy(xp.where(unknown, xp.zeros_like(v), v))).copy()
    errors, columns = np.zeros_like(log_f), columns_unknown(v, backend)
    lacking = np.flatnonzero(backend.to_numpy(xp.any(unknown, axis=1)))
    for start in range(0, lacking.size, ROWS_ANNEALED):
        rows = lacking[start : start + ROWS_ANNEALED]
        part = clamp(machine, xp.take(v, backend.asarray(rows), axis=0), columns)
        log_f[rows], errors[rows] = part.annealed(stream, n_chains, n_temperatures)
    return backend.asarray(log_f), backend.asarray(errors)
