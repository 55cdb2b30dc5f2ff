"""Annealing: chains from independent units to a machine, whose weights estimate log Z (Neal 2001).

Chains of one layer, v, go along

    log f_β(v) = ((1-β) a + β b)·v + log base(v) + Γ((1-β) c₀ + β θ),    0 <= β <= 1,

with one Gibbs step at each β. a and c₀ are the fields of the two layers at β = 0, where all units
are independent; θ = Wᵀv + c is the hidden field of the machine. The products of the ratios of f at
neighbouring β are the chains' weights: their mean is Z over that of the independent units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.backends import Affine, RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import LogPartition

# A trusted estimate rests on this many effective chains, and on this share of all chains.
SMALLEST_TRUSTED_SIZE, SMALLEST_TRUSTED_SHARE = 10.0, 0.05


@dataclass(frozen=True)
class AnnealingPath:
    """The distributions f_β that chains are annealed along.

    Parameters
    ----------
    up, down : Affine
        The maps from the annealed layer to the other one, and back.
    base : array of shape (n, V)
        a, for each of n chains.
    hidden_base : array of shape (H,) or (n, H)
        c₀.
    backend : backend
    """

    up: Affine
    down: Affine
    base: Any
    hidden_base: Any
    backend: Any

    def log_weights(self, stream: RandomStream, n_temperatures: int) -> Any:
        """Anneal the chains; returns the logarithms of their weights times Z at β = 0, float64.

        Parameters
        ----------
        stream : RandomStream
        n_temperatures : int
            Equally spaced in β, both ends included.
        """
        n_chains, backend, products = self.base.shape[0], self.backend, self.up.n_products
        log_weights = backend.xp.zeros(n_chains, dtype=backend.xp.float64)
        betas = list(pairwise(map(float, np.linspace(0.0, 1.0, n_temperatures))))
        first_draw = stream.reserve(1 + 2 * len(betas))

        def work(rows: slice) -> Iterator[None]:
            path, draw = self._of_rows(rows), first_draw + 1
            v, log_z = path._start(stream, first_draw, rows.start)
            log_weights[rows] = log_z
            # The visible part of log f grows with β by this times v.
            slope = path.down.bias - path.base
            for beta, following in betas:
                field = backend.field(v, path.up)
                gain = path._log_partition(field, following) - path._log_partition(field, beta)
                log_weights[rows] += gain + (following - beta) * backend.row_dots(v, slope)
                v = path._step(field, following, stream, draw, rows.start)
                draw += 2
                yield

        backend.for_row_blocks(work, n_chains, len(betas) * (products + self.down.n_products))
        return log_weights

    def _of_rows(self, rows: slice) -> AnnealingPath:
        hidden_base = self.hidden_base if self.hidden_base.ndim == 1 else self.hidden_base[rows, :]
        up, down = self.up.of_rows(rows), self.down.of_rows(rows)
        return replace(self, up=up, down=down, base=self.base[rows, :], hidden_base=hidden_base)

    def _start(self, stream: RandomStream, draw: int, first_row: int) -> tuple[Any, Any]:
        """Draw states at β = 0, and sum over all: states and log Z."""
        units, backend = self.down.units, self.backend
        v = units.sample(1.0 * self.base, backend, stream, draw, first_row)
        v = backend.xp.astype(v, self.base.dtype)
        theta = self._theta(backend.field(v, self.up), 0.0)
        log_z = units.log_partition(self.base, backend)
        return v, log_z + self.up.units.log_partition(theta, backend)

    def _log_partition(self, field: Any, beta: float) -> Any:
        """Sum over hidden states at β, given the hidden field at β = 1."""
        return self.up.units.log_partition(self._theta(field, beta), self.backend)

    def _step(
        self, field: Any, beta: float, stream: RandomStream, draw: int, first_row: int
    ) -> Any:
        """Make one Gibbs step at β, from the hidden field at β = 1."""
        backend, xp, dtype = self.backend, self.backend.xp, self.base.dtype
        h = self.up.units.sample(self._theta(field, beta), backend, stream, draw, first_row)
        phi = backend.field(xp.astype(h, dtype), self.down) - self.down.bias
        phi = beta * phi + self._bias(beta)
        return xp.astype(self.down.units.sample(phi, backend, stream, draw + 1, first_row), dtype)

    def _theta(self, field: Any, beta: float) -> Any:
        return beta * field + (1.0 - beta) * self.hidden_base

    def _bias(self, beta: float) -> Any:
        return beta * self.down.bias + (1.0 - beta) * self.base


def ais_log_partition(
    machine: Machine,
    stream: RandomStream,
    *,
    base_mean: np.ndarray | None = None,
    n_chains: int = 200,
    n_temperatures: int = 2000,
) -> LogPartition:
    """Estimate log Z by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008).

    Hidden units start in no field, c₀ = 0. The logarithm of the mean of the chains' weights is a
    stochastic lower bound of log Z.

    Parameters
    ----------
    machine : Machine
    stream : RandomStream
    base_mean : array of shape (V,), optional
        Means of the visible units at β = 0, whose fields are a: artanh(mean) of spins. It has no
        effect on a machine without biases, which is symmetric under v -> -v: chains from a base
        that is not symmetric would not reach the mirror images of their modes (log 2 would be
        missing).
    n_chains, n_temperatures : int
        The temperatures are equally spaced in β.

    Returns
    -------
    LogPartition
    """
    backend, xp, dtype = machine.backend, machine.backend.xp, machine.visible_bias.dtype
    base = xp.zeros((n_chains, machine.n_visible), dtype=dtype)
    if base_mean is not None and not machine.is_symmetric:
        base = base + xp.astype(_base_of_mean(machine, base_mean), dtype)
    machine = machine.for_rows(2 * n_chains * n_temperatures)
    no_field = xp.zeros(machine.n_hidden, dtype=dtype)
    path = AnnealingPath(machine.up, machine.down, base, no_field, backend)
    log_weights = path.log_weights(stream, n_temperatures)
    return _from_weights(backend.to_numpy(log_weights), n_temperatures)


def _base_of_mean(machine: Machine, mean: np.ndarray) -> Any:
    """Find fields in which independent units have this mean, or nearly."""
    mean = machine.visible_units.inner_mean(np.asarray(mean, dtype=np.float64))
    mean = machine.backend.asarray(mean)
    return machine.visible_units.field_of_mean(mean, machine.backend)


def _from_weights(log_weights: np.ndarray, n_temperatures: int) -> LogPartition:
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
        value=log_mean,
        error=float(np.std(relative, ddof=1) / np.sqrt(n_chains)) if n_chains > 1 else np.inf,
        method="ais",
        doubts=doubts,
        effective_sample_size=size,
        n_chains=n_chains,
        n_temperatures=n_temperatures,
    )
