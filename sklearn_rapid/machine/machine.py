"""The restricted Boltzmann machine: couplings, biases and a backend to compute with.

Spins are -1 and +1, energies and logarithms natural (nats):

    E(v, h) = -vᵀWh - b·v - c·h,    P(v, h) = exp(-E(v, h)) / Z

(Pozas-Kerstjens et al. 2021, eqs. 1-2). Units of other kinds have a base measure: P is then a
density, with -log base(v) - log base(h) in E (`sklearn_rapid.backends.Units`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sklearn_rapid.backends import SPINS, Affine, RandomStream, Units
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.machine.couplings import Couplings


@dataclass(frozen=True)
class Machine:
    """A restricted Boltzmann machine.

    Parameters
    ----------
    couplings : DenseCouplings or PatternCouplings
    visible_bias : array of shape (V,)
        b.
    hidden_bias : array of shape (H,) or (n, H)
        c; or a bias a row, of the n rows that methods take: see `sklearn_rapid.machine.clamped`.
    backend : backend
        Methods are called inside of ``backend.running()``.
    is_even : bool, default=False
        A promise that the biases are and stay zero, so that a state and its negative are equally
        likely; it spares a look at the arrays, which would wait for a GPU. False promises nothing.
    visible_units, hidden_units : Units, default=SPINS
        The kinds of units of the layers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> from sklearn_rapid.machine.couplings import DenseCouplings
    >>> machine = Machine(DenseCouplings(np.eye(2)), np.zeros(2), np.zeros(2),
    ...                   get_backend("numpy"))
    >>> machine.energy(np.ones((1, 2)), np.ones((1, 2)))
    array([-2.])
    """

    couplings: Couplings
    visible_bias: Any
    hidden_bias: Any
    backend: Any
    is_even: bool = False
    visible_units: Units = SPINS
    hidden_units: Units = SPINS

    @property
    def n_visible(self) -> int:
        """V."""
        return self.couplings.shape[0]

    @property
    def n_hidden(self) -> int:
        """H."""
        return self.couplings.shape[1]

    @property
    def parameters(self) -> dict[str, Any]:
        """The couplings' arrays and the biases, by name."""
        biases = {"visible_bias": self.visible_bias, "hidden_bias": self.hidden_bias}
        return {**self.couplings.parameters, **biases}

    @property
    def has_biases(self) -> bool:
        """Whether any bias differs from zero."""
        xp = self.backend.xp
        return bool(xp.any(self.visible_bias != 0)) or bool(xp.any(self.hidden_bias != 0))

    @property
    def has_spins_only(self) -> bool:
        """Whether both layers are made of spins."""
        return self.visible_units.are_spins and self.hidden_units.are_spins

    @property
    def couples_spins(self) -> bool:
        """Whether hidden real units couple visible spins: P(v) ∝ exp(½ |Wᵀv + c|² + b·v)."""
        return self.visible_units.are_spins and self.hidden_units.couple_pairs

    @property
    def has_pseudo_likelihood(self) -> bool:
        """Whether the pseudo-likelihood is cheap: visible spins, and hidden spins or real units."""
        return self.has_spins_only or self.couples_spins

    @property
    def patterns(self) -> Any:
        """Rows whose signs are states of low energy, shape (K, V), or None if there are none.

        These are the visible patterns; or W's columns where real units couple spins, since the
        couplings between spins are their products.
        """
        if not self.visible_units.are_spins:
            return None
        if self.couplings.uses_patterns:
            return self.couplings.visible_patterns
        return self.couplings.weights.T if self.couples_spins else None

    @property
    def is_symmetric(self) -> bool:
        """Whether a state and its negative are equally likely, at any couplings."""
        return not self.has_biases and self.visible_units.are_even and self.hidden_units.are_even

    @cached_property
    def up(self) -> Affine:
        """The map from visible states to hidden fields, θ = Wᵀv + c."""
        return replace(self.couplings.to_hidden(self.hidden_bias), units=self.hidden_units)

    @cached_property
    def down(self) -> Affine:
        """The map from hidden states to visible fields, φ = Wh + b."""
        return replace(self.couplings.to_visible(self.visible_bias), units=self.visible_units)

    def for_rows(self, n_rows: int) -> Machine:
        """Put the couplings in the form that is cheapest for mapping `n_rows` rows."""
        couplings = self.couplings.for_rows(n_rows, self.backend)
        return self if couplings is self.couplings else replace(self, couplings=couplings)

    def transposed(self) -> Machine:
        """Exchange the roles of the layers."""
        return replace(
            self,
            couplings=self.couplings.transposed(),
            visible_bias=self.hidden_bias,
            hidden_bias=self.visible_bias,
            visible_units=self.hidden_units,
            hidden_units=self.visible_units,
        )

    def with_parameters(self, parameters: dict[str, Any]) -> Machine:
        """Make a machine of the same kind with other `parameters`, of couplings and biases."""
        return replace(
            self,
            couplings=self.couplings.with_parameters(parameters),
            visible_bias=parameters["visible_bias"],
            hidden_bias=parameters["hidden_bias"],
        )

    def copy(self) -> Machine:
        """Copy the machine and its arrays, which training changes in place."""
        xp, parameters = self.backend.xp, self.parameters
        return self.with_parameters({k: xp.asarray(p, copy=True) for k, p in parameters.items()})

    def in_float64(self) -> Machine:
        """Convert the machine to double precision."""
        xp, parameters = self.backend.xp, self.parameters
        return self.with_parameters({k: xp.astype(p, xp.float64) for k, p in parameters.items()})

    def cast(self, states: Any) -> Any:
        """Copy states to the backend, in the dtype of the machine."""
        backend = self.backend
        return backend.xp.astype(backend.asarray(states), self.visible_bias.dtype)

    def sample_independent(self, n: int, field: Any, stream: RandomStream) -> Any:
        """Draw `n` states of visible units in this field, shape (V,), without couplings."""
        xp, dtype = self.backend.xp, self.visible_bias.dtype
        fields = xp.zeros((n, self.n_visible), dtype=dtype) + field
        drawn = self.visible_units.sample(fields, self.backend, stream, stream.reserve())
        return xp.astype(drawn, dtype)

    def hidden_field(self, v: Any) -> Any:
        """θ = Wᵀv + c, shape (n, H)."""
        return self.backend.field(v, self.up)

    def visible_field(self, h: Any) -> Any:
        """φ = Wh + b, shape (n, V)."""
        return self.backend.field(h, self.down)

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h) in nats, float64 of shape (n,) (eq. 1)."""
        of_hidden = self.hidden_units.log_weights(h, self.hidden_field(v), self.backend)
        return -of_hidden - self.log_weights(v)

    def free_energy(self, v: Any) -> Any:
        """F(v) = -b·v - log base(v) - Γ(θ) in nats, float64 of shape (n,).

        Of spins: -b·v - Σ_α log 2cosh θ_α (eq. A2).
        """
        return -self.backend.log_partition_of(v, self.up) - self.log_weights(v)

    def free_energy_and_hidden_mean(self, v: Any) -> tuple[Any, Any]:
        """F(v) and E[h | v], from the same fields."""
        means, sums = self.backend.means_and_sums(v, self.up)
        return -sums - self.log_weights(v), means

    def log_weights(self, v: Any) -> Any:
        """b·v + log base(v), float64 of shape (n,)."""
        return self.visible_units.log_weights(v, self.visible_bias[None, :], self.backend)

    def hidden_mean(self, v: Any, **how: Any) -> Any:
        """E[h | v], tanh θ of spins, shape (n, H); `how` is handed to the backend's `means`."""
        return self.backend.means(v, self.up, **how)

    def visible_mean(self, h: Any, **how: Any) -> Any:
        """E[v | h], tanh φ of spins, shape (n, V); `how` is handed to the backend's `means`."""
        return self.backend.means(h, self.down, **how)

    def sample_hidden(self, v: Any, stream: RandomStream) -> Any:
        """h ~ P(h | v), shape (n, H)."""
        return self.backend.sample(v, self.up, stream, stream.reserve())

    def gibbs(self, v: Any, n_steps: int, stream: RandomStream, free: Any | None = None) -> Any:
        """Visible states after `n_steps` of h ~ P(h | v), v ~ P(v | h).

        Parameters
        ----------
        v : array of shape (n, V)
            Where the chains start; not changed.
        n_steps : int
        stream : RandomStream
        free : boolean array of shape (n, V), optional
            False where a unit is clamped.

        Returns
        -------
        array of shape (n, V)
        """
        first_draw = stream.reserve(2 * n_steps)
        return self.backend.gibbs(v, self.up, self.down, n_steps, stream, first_draw, free)

    def log_pseudo_likelihood(self, v: Any) -> Any:
        """Σ_i log P(v_i | v_{-i}) in nats, exactly, over all sites; float64 of shape (n,).

        log P(v_i | v_{-i}) = -log(1 + exp(g_i)), F falling by g_i if spin i is flipped.
        Raises ValueError unless visible units are spins, and hidden ones spins or real.
        """
        if not self.has_pseudo_likelihood:
            raise ValueError(
                "the pseudo-likelihood is taken by flipping spins: visible units have to be spins, "
                "and hidden ones spins or real"
            )
        xp = self.backend.xp
        dense = replace(self, couplings=self.couplings.to_dense())
        gain = dense._gains_of_pairs(v) if self.couples_spins else dense._gains_of_flips(v)
        gain = gain - xp.astype(2.0 * v * self.visible_bias, xp.float64)
        # log(1 + exp(gain)), stable on both sides.
        costs = xp.maximum(gain, xp.zeros_like(gain)) + xp.log1p(xp.exp(-xp.abs(gain)))
        return -xp.sum(costs, axis=1)

    def _gains_of_flips(self, v: Any) -> Any:
        """The gain of Σ_α log 2cosh θ_α if a spin is flipped, float64 of shape (n, V)."""
        backend = self.backend
        return backend.flipped_log_2cosh(v, self.up) - backend.log_partition_of(v, self.up)[:, None]

    def _gains_of_pairs(self, v: Any) -> Any:
        """The gain of |θ|²/2 if a spin is flipped: 2 |w_i|² - 2 v_i θ·w_i with θ = Wᵀv + c."""
        xp = self.backend.xp
        W, c = (xp.astype(a, xp.float64) for a in (self.couplings.weights, self.hidden_bias))
        v = xp.astype(v, xp.float64)
        return 2.0 * xp.sum(W * W, axis=1)[None, :] - 2.0 * v * ((v @ W + c) @ W.T)

    def on_bits(self) -> MachineOnBits:
        """Convert the machine to rows x in {0, 1}, which may be those of a sparse matrix."""
        backend, xp, up = self.backend, self.backend.xp, self.up
        ones = xp.ones((1, self.n_visible), dtype=self.visible_bias.dtype)
        bias = 2.0 * up.bias - backend.field(ones, up)[0, :]
        on_bits = replace(up, bias=bias, scale=2.0 * up.scale, kept={})
        return MachineOnBits(on_bits, self.visible_bias, backend)


@dataclass(frozen=True)
class MachineOnBits:
    """A machine for rows x in {0, 1} that encode spins v = 2x - 1.

    v W + c = 2 x W + (c - 1W): only the map differs, and zeros of a sparse matrix cost nothing.

    Parameters
    ----------
    up : Affine
        From bits to hidden fields.
    visible_bias : array of shape (V,)
        The bias of the spins.
    backend : backend
    """

    up: Affine
    visible_bias: Any
    backend: Any

    def hidden_mean(self, x: Any, **how: Any) -> Any:
        """E[h | x], shape (n, H)."""
        return self.backend.means(x, self.up, **how)

    def sample_hidden(self, x: Any, stream: RandomStream) -> Any:
        """h ~ P(h | x), shape (n, H)."""
        return self.backend.sample(x, self.up, stream, stream.reserve())

    def free_energy(self, x: Any) -> Any:
        """F(2x - 1) in nats, float64 of shape (n,)."""
        xp = self.backend.xp
        bias = xp.astype(self.visible_bias, xp.float64)
        from_visible = 2.0 * (x @ bias) - xp.sum(bias)
        return -from_visible - self.backend.log_partition_of(x, self.up)
