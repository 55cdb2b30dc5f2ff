"""The restricted Boltzmann machine: couplings, biases and a backend to compute with.

Spins are -1 and +1, energies and logarithms natural (nats):

    E(v, h) = -vᵀWh - b·v - c·h,    P(v, h) = exp(-E(v, h)) / Z

(Pozas-Kerstjens et al. 2021, eqs. 1-2). Nothing here trains, and nothing knows scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sklearn_rapid.backends._random import RandomStream
from sklearn_rapid.couplings import Couplings


@dataclass(frozen=True)
class Machine:
    """A restricted Boltzmann machine.

    Parameters
    ----------
    couplings : DenseCouplings or PatternCouplings
    visible_bias : array of shape (V,)
        b.
    hidden_bias : array of shape (H,)
        c.
    backend : backend
        What computes. Methods are called inside of ``backend.running()``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.eye(2)), np.zeros(2), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> machine.energy(np.ones((1, 2)), np.ones((1, 2)))
    array([-2.])
    """

    couplings: Couplings
    visible_bias: Any
    hidden_bias: Any
    backend: Any

    @property
    def n_visible(self) -> int:
        """V."""
        return self.couplings.shape[0]

    @property
    def n_hidden(self) -> int:
        """H."""
        return self.couplings.shape[1]

    @property
    def has_biases(self) -> bool:
        """Whether any bias differs from zero; if none does, v and -v are equally likely."""
        xp = self.backend.xp
        return bool(xp.any(self.visible_bias != 0)) or bool(xp.any(self.hidden_bias != 0))

    def for_rows(self, n_rows: int) -> Machine:
        """The same machine, its couplings in the form cheapest for mapping `n_rows` rows."""
        couplings = self.couplings.for_rows(n_rows)
        return self if couplings is self.couplings else replace(self, couplings=couplings)

    def transposed(self) -> Machine:
        """The same machine with the layers' roles exchanged."""
        return Machine(
            self.couplings.transposed(), self.hidden_bias, self.visible_bias, self.backend
        )

    # --- on a block of rows -------------------------------------------------------------

    def hidden_field(self, v: Any) -> Any:
        """θ = Wᵀv + c, shape (n, H)."""
        field = self.couplings.hidden_field(v)
        field += self.hidden_bias
        return field

    def visible_field(self, h: Any) -> Any:
        """φ = Wh + b, shape (n, V)."""
        field = self.couplings.visible_field(h)
        field += self.visible_bias
        return field

    # --- on all rows, block by block ----------------------------------------------------

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h) in nats, float64 of shape (n,) (eq. 1)."""
        xp = self.backend.xp
        out = xp.empty(v.shape[0], dtype=xp.float64)

        def work(rows: slice) -> None:
            from_hidden = self.backend.row_dots(self.hidden_field(v[rows, :]), h[rows, :])
            from_visible = xp.sum(v[rows, :] * self.visible_bias, axis=1, dtype=xp.float64)
            out[rows] = -from_hidden - from_visible

        self.backend.for_row_blocks(work, v.shape[0], self.couplings.products_per_row)
        return out

    def free_energy(self, v: Any) -> Any:
        """F(v) = -b·v - Σ_α log 2cosh θ_α in nats, float64 of shape (n,) (eq. A2)."""
        xp = self.backend.xp
        out = xp.empty(v.shape[0], dtype=xp.float64)

        def work(rows: slice) -> None:
            from_visible = xp.sum(v[rows, :] * self.visible_bias, axis=1, dtype=xp.float64)
            out[rows] = -from_visible - self.backend.sum_log_2cosh(self.hidden_field(v[rows, :]))

        self.backend.for_row_blocks(work, v.shape[0], self.couplings.products_per_row)
        return out

    def hidden_mean(self, v: Any) -> Any:
        """E[h | v] = tanh θ, shape (n, H)."""
        xp = self.backend.xp
        out = xp.empty((v.shape[0], self.n_hidden), dtype=v.dtype)

        def work(rows: slice) -> None:
            out[rows, :] = self.backend.tanh(self.hidden_field(v[rows, :]))

        self.backend.for_row_blocks(work, v.shape[0], self.couplings.products_per_row)
        return out

    def sample_hidden(self, v: Any, stream: RandomStream) -> Any:
        """h ~ P(h | v), shape (n, H)."""
        xp = self.backend.xp
        out = xp.empty((v.shape[0], self.n_hidden), dtype=v.dtype)
        draw = stream.reserve()

        def work(rows: slice) -> None:
            field = self.hidden_field(v[rows, :])
            out[rows, :] = self.backend.sample_spins(field, stream, draw, rows.start)

        self.backend.for_row_blocks(work, v.shape[0], self.couplings.products_per_row)
        return out

    def visible_mean(self, h: Any) -> Any:
        """E[v | h] = tanh φ, shape (n, V)."""
        return self.transposed().hidden_mean(h)

    def gibbs(
        self,
        v: Any,
        n_steps: int,
        stream: RandomStream,
        free: Any | None = None,
    ) -> Any:
        """Visible states after `n_steps` of h ~ P(h | v), v ~ P(v | h).

        Parameters
        ----------
        v : array of shape (n, V)
            Where the chains start; left as it is.
        n_steps : int
        stream : RandomStream
        free : boolean array of shape (n, V), optional
            True where a spin is drawn; the others stay clamped.

        Returns
        -------
        array of shape (n, V)
        """
        xp = self.backend.xp
        out = xp.empty_like(v)
        first_draw = stream.reserve(2 * n_steps)

        def work(rows: slice) -> None:
            sample = self.backend.sample_spins
            state = v[rows, :]
            for draw in range(first_draw, first_draw + 2 * n_steps, 2):
                h = sample(self.hidden_field(state), stream, draw, rows.start)
                drawn = sample(self.visible_field(h), stream, draw + 1, rows.start)
                state = drawn if free is None else xp.where(free[rows, :], drawn, state)
            out[rows, :] = state

        self.backend.for_row_blocks(work, v.shape[0], 2 * n_steps * self.couplings.products_per_row)
        return out

    def log_pseudo_likelihood(self, v: Any) -> Any:
        """Σ_i log P(v_i | v_{-i}) in nats, exactly, over all sites; float64 of shape (n,).

        Flipping spin i changes the hidden field by -2 v_i W_i, so that every site costs one
        pass over the hidden layer.
        """
        backend, xp = self.backend, self.backend.xp
        machine = replace(self, couplings=self.couplings.to_dense())
        weights = machine.couplings.weights
        out = xp.empty(v.shape[0], dtype=xp.float64)

        def work(rows: slice) -> None:
            block = v[rows, :]
            field = machine.hidden_field(block)
            log_f = backend.sum_log_2cosh(field)
            total = xp.zeros(block.shape[0], dtype=xp.float64)
            for i in range(self.n_visible):
                flipped = field - 2.0 * block[:, i : i + 1] * weights[i : i + 1, :]
                bias_change = xp.astype(-2.0 * block[:, i] * self.visible_bias[i], xp.float64)
                gain = backend.sum_log_2cosh(flipped) - log_f + bias_change
                # log(1 + exp(gain)), stable on both sides.
                total -= xp.maximum(gain, xp.zeros_like(gain)) + xp.log1p(xp.exp(-xp.abs(gain)))
            out[rows] = total

        backend.for_row_blocks(work, v.shape[0], self.n_visible * self.n_hidden)
        return out
