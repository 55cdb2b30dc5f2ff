"""Couplings W between the layers: a linear map each way, and the pull-back of its gradient.

`DenseCouplings` hold W itself. `PatternCouplings` hold K patterns whose products are W; they
map through the patterns and form W only where the shapes make that cheaper. `MaskedCouplings` are
either of these, with zeros in some blocks of W.

Couplings give a backend the maps (`to_hidden`, `to_visible`) and turn two sets of rows into a
gradient (`gradient`). Their arrays change in place as a model trains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sklearn_rapid.backends import Affine

Arrays = dict[str, Any]


@dataclass(frozen=True)
class DenseCouplings:
    """The couplings W as one matrix.

    Parameters
    ----------
    weights : array of shape (V, H)
        W of the energy E(v, h) = -vᵀWh - b·v - c·h (Pozas-Kerstjens et al. 2021, eq. 1).

    Examples
    --------
    >>> import numpy as np
    >>> DenseCouplings(np.array([[1.0, -1.0]])).shape
    (1, 2)
    """

    weights: Any
    uses_patterns: ClassVar[bool] = False

    @property
    def parameters(self) -> Arrays:
        """The trainable arrays by name."""
        return {"weights": self.weights}

    @property
    def shape(self) -> tuple[int, int]:
        """(V, H)."""
        return tuple(self.weights.shape)

    def with_parameters(self, parameters: Arrays) -> DenseCouplings:
        """Make couplings of the same kind with other parameters."""
        return DenseCouplings(parameters["weights"])

    def to_hidden(self, bias: Any) -> Affine:
        """The map v -> v W + bias."""
        return Affine(self.weights, None, bias)

    def to_visible(self, bias: Any) -> Affine:
        """The map h -> h Wᵀ + bias."""
        return Affine(self.weights.T, None, bias)

    def gradient(
        self, v: Any, t: Any, backend: Any, overlaps: Any = None, add_to: Arrays | None = None
    ) -> Arrays:
        """Gradient of Σ_n v_nᵀ W t_n (eq. A6 with its sign), added to `add_to` if given."""
        total = None if add_to is None else add_to["weights"]
        return {"weights": backend.matmul(v.T, t, total)}

    def pulled_back(self, g: Any, backend: Any, add_to: Arrays | None) -> Arrays:
        """Convert a gradient g in W to one in the parameters, added to `add_to` if given."""
        return {"weights": g if add_to is None else add_to["weights"] + g}

    def change_of_weights(self, steps: Arrays, backend: Any) -> Any:
        """First-order change of W by the steps."""
        return steps["weights"]

    def n_shared_overlaps(self, n_rows: int) -> int:
        """Zero: no overlaps are computed on the way to a hidden field."""
        return 0

    def change(self, v: Any, t: Any, steps: Arrays, backend: Any) -> Any:
        """First-order change of each v_nᵀ W t_n by the steps, shape (n,)."""
        return backend.row_dots(backend.matmul(v, steps["weights"]), t)

    def to_dense(self) -> DenseCouplings:
        """These couplings."""
        return self

    def for_rows(self, n_rows: int, backend: Any) -> DenseCouplings:
        """Return these couplings, the only form."""
        return self

    def select_visible(self, columns: Any, xp: Any) -> DenseCouplings:
        """Select the couplings of some visible units, by their numbers."""
        return DenseCouplings(xp.take(self.weights, columns, axis=0))

    def transposed(self) -> DenseCouplings:
        """Exchange the roles of the layers."""
        return DenseCouplings(self.weights.T)


@dataclass(frozen=True)
class PatternCouplings:
    """Regularized axons: W = ξ_vᵀ ξ_h / √K (Pozas-Kerstjens et al. 2021, eq. 5).

    Parameters
    ----------
    visible_patterns : array of shape (K, V)
    hidden_patterns : array of shape (K, H)
    weights : array of shape (V, H), optional
        W, if `for_rows` has formed it.

    Examples
    --------
    >>> import numpy as np
    >>> couplings = PatternCouplings(np.array([[1.0, -1.0]]), np.array([[1.0, 1.0, 1.0]]))
    >>> couplings.to_dense().weights
    array([[ 1.,  1.,  1.],
           [-1., -1., -1.]])
    """

    visible_patterns: Any
    hidden_patterns: Any
    weights: Any = None
    uses_patterns: ClassVar[bool] = True

    @property
    def parameters(self) -> Arrays:
        """The trainable arrays by name."""
        return {"visible_patterns": self.visible_patterns, "hidden_patterns": self.hidden_patterns}

    @property
    def shape(self) -> tuple[int, int]:
        """(V, H)."""
        return self.visible_patterns.shape[1], self.hidden_patterns.shape[1]

    @property
    def n_patterns(self) -> int:
        """K."""
        return self.visible_patterns.shape[0]

    @property
    def _scale(self) -> float:
        return self.n_patterns**-0.5

    def with_parameters(self, parameters: Arrays) -> PatternCouplings:
        """Make couplings of the same kind with other parameters."""
        return PatternCouplings(parameters["visible_patterns"], parameters["hidden_patterns"])

    def to_hidden(self, bias: Any) -> Affine:
        """The map v -> v W + bias, through the K overlaps v ξ_vᵀ unless W is formed."""
        if self.weights is not None:
            return Affine(self.weights, None, bias)
        return Affine(self.visible_patterns.T, self.hidden_patterns, bias, self._scale)

    def to_visible(self, bias: Any) -> Affine:
        """The map h -> h Wᵀ + bias, through the K overlaps h ξ_hᵀ unless W is formed."""
        if self.weights is not None:
            return Affine(self.weights.T, None, bias)
        return Affine(self.hidden_patterns.T, self.visible_patterns, bias, self._scale)

    def gradient(
        self, v: Any, t: Any, backend: Any, overlaps: Any = None, add_to: Arrays | None = None
    ) -> Arrays:
        """Gradient of Σ_n v_nᵀ W t_n in the patterns (eqs. A7a, A7b with their sign).

        Parameters
        ----------
        v : array of shape (n, V)
        t : array of shape (n, H)
        backend : backend
        overlaps : array of shape (n, K), optional
            v ξ_vᵀ, if already computed.
        add_to : dict, optional
            A gradient to add to, in place.
        """
        if self._forms_gradient_in_weights(v.shape[0]):
            return self.pulled_back(backend.matmul(v.T, t), backend, add_to)
        total = add_to or {"visible_patterns": None, "hidden_patterns": None}
        if overlaps is None:
            overlaps = backend.matmul(v, self.visible_patterns.T)
        hidden_overlaps = backend.matmul(t, self.hidden_patterns.T)
        hidden_overlaps *= self._scale
        left, right = (hidden_overlaps.T, v), ((overlaps * self._scale).T, t)
        return {
            "visible_patterns": backend.matmul(*left, total["visible_patterns"]),
            "hidden_patterns": backend.matmul(*right, total["hidden_patterns"]),
        }

    def pulled_back(self, g: Any, backend: Any, add_to: Arrays | None) -> Arrays:
        """Convert a gradient g in W, which is scaled in place, to one in the patterns."""
        total = add_to or {"visible_patterns": None, "hidden_patterns": None}
        g *= self._scale
        return {
            "visible_patterns": backend.matmul(
                self.hidden_patterns, g.T, total["visible_patterns"]
            ),
            "hidden_patterns": backend.matmul(self.visible_patterns, g, total["hidden_patterns"]),
        }

    def change_of_weights(self, steps: Arrays, backend: Any) -> Any:
        """First-order change of W by the steps."""
        change = backend.matmul(steps["visible_patterns"].T, self.hidden_patterns)
        change = backend.matmul(self.visible_patterns.T, steps["hidden_patterns"], change)
        return change * self._scale

    def n_shared_overlaps(self, n_rows: int) -> int:
        """K if mapping `n_rows` rows computes the overlaps v ξ_vᵀ of their gradient, else zero."""
        is_shared = self.weights is None and not self._forms_gradient_in_weights(n_rows)
        return self.n_patterns if is_shared else 0

    def _forms_gradient_in_weights(self, n_rows: int) -> bool:
        """Whether the gradient is cheaper by way of that in W than by way of the overlaps."""
        n_visible, n_hidden = self.shape
        through_patterns = 2 * n_rows * self.n_patterns * (n_visible + n_hidden)
        return n_visible * n_hidden * (n_rows + 2 * self.n_patterns) < through_patterns

    def change(self, v: Any, t: Any, steps: Arrays, backend: Any) -> Any:
        """First-order change of each v_nᵀ W t_n by the steps, shape (n,)."""
        changes = [
            backend.row_dots(backend.matmul(v, a.T), backend.matmul(t, b.T))
            for a, b in (
                (steps["visible_patterns"], self.hidden_patterns),
                (self.visible_patterns, steps["hidden_patterns"]),
            )
        ]
        return (changes[0] + changes[1]) * self._scale

    def to_dense(self) -> DenseCouplings:
        """W alone."""
        if self.weights is not None:
            return DenseCouplings(self.weights)
        return DenseCouplings((self.visible_patterns.T * self._scale) @ self.hidden_patterns)

    def for_rows(self, n_rows: int, backend: Any) -> PatternCouplings:
        """Form W if that makes mapping `n_rows` rows cheaper."""
        if self.weights is not None or not self.maps_by_weights(n_rows):
            return self
        scaled = self.visible_patterns.T * self._scale
        return replace(self, weights=backend.matmul(scaled, self.hidden_patterns))

    def maps_by_weights(self, n_rows: int) -> bool:
        """Whether forming W makes mapping `n_rows` rows cheaper."""
        n_visible, n_hidden = self.shape
        through_patterns = n_rows * self.n_patterns * (n_visible + n_hidden)
        return n_visible * n_hidden * (n_rows + self.n_patterns) < through_patterns

    def select_visible(self, columns: Any, xp: Any) -> PatternCouplings:
        """Select the couplings of some visible units, by their numbers."""
        patterns = xp.take(self.visible_patterns, columns, axis=1)
        return PatternCouplings(patterns, self.hidden_patterns)

    def transposed(self) -> PatternCouplings:
        """Exchange the roles of the layers."""
        weights = None if self.weights is None else self.weights.T
        return PatternCouplings(self.hidden_patterns, self.visible_patterns, weights)


@dataclass(frozen=True)
class MaskedCouplings:
    """Couplings with zeros in some blocks of W: of a deep machine, all but neighbouring layers.

    The mask is applied whenever rows are mapped: the parameters of the other blocks are ignored.

    Parameters
    ----------
    couplings : DenseCouplings or PatternCouplings
    mask : array of shape (V, H)
        One where units are coupled, zero elsewhere.
    weights : array of shape (V, H), optional
        W, if `for_rows` has formed it.

    Examples
    --------
    >>> import numpy as np
    >>> couplings = PatternCouplings(np.ones((1, 2)), np.ones((1, 2)))
    >>> MaskedCouplings(couplings, np.eye(2)).to_dense().weights
    array([[1., 0.],
           [0., 1.]])
    """

    couplings: DenseCouplings | PatternCouplings
    mask: Any
    weights: Any = None

    @property
    def uses_patterns(self) -> bool:
        """Whether W is a product of patterns."""
        return self.couplings.uses_patterns

    @property
    def parameters(self) -> Arrays:
        """The trainable arrays by name."""
        return self.couplings.parameters

    @property
    def shape(self) -> tuple[int, int]:
        """(V, H)."""
        return self.couplings.shape

    @property
    def n_patterns(self) -> int:
        """K."""
        return self.couplings.n_patterns

    @property
    def visible_patterns(self) -> Any:
        """ξ_v."""
        return self.couplings.visible_patterns

    @property
    def hidden_patterns(self) -> Any:
        """ξ_h."""
        return self.couplings.hidden_patterns

    def with_parameters(self, parameters: Arrays) -> MaskedCouplings:
        """Make couplings of the same kind with other parameters."""
        return MaskedCouplings(self.couplings.with_parameters(parameters), self.mask)

    def to_hidden(self, bias: Any) -> Affine:
        """The map v -> v W + bias."""
        return Affine(self.to_dense().weights, None, bias)

    def to_visible(self, bias: Any) -> Affine:
        """The map h -> h Wᵀ + bias."""
        return Affine(self.to_dense().weights.T, None, bias)

    def gradient(
        self, v: Any, t: Any, backend: Any, overlaps: Any = None, add_to: Arrays | None = None
    ) -> Arrays:
        """Gradient of Σ_n v_nᵀ W t_n, by way of that in W."""
        return self.couplings.pulled_back(backend.matmul(v.T, t) * self.mask, backend, add_to)

    def n_shared_overlaps(self, n_rows: int) -> int:
        """Zero: no overlaps are computed on the way to a hidden field."""
        return 0

    def change(self, v: Any, t: Any, steps: Arrays, backend: Any) -> Any:
        """First-order change of each v_nᵀ W t_n by the steps, shape (n,)."""
        change = self.couplings.change_of_weights(steps, backend) * self.mask
        return backend.row_dots(backend.matmul(v, change), t)

    def to_dense(self) -> DenseCouplings:
        """W alone: that of `for_rows`, or formed of the present parameters."""
        if self.weights is not None:
            return DenseCouplings(self.weights)
        return DenseCouplings(self.couplings.to_dense().weights * self.mask)

    def for_rows(self, n_rows: int, backend: Any) -> MaskedCouplings:
        """Form W, for any number of rows."""
        if self.weights is not None:
            return self
        return replace(self, weights=self.to_dense().weights)

    def select_visible(self, columns: Any, xp: Any) -> MaskedCouplings:
        """Select the couplings of some visible units, by their numbers."""
        couplings = self.couplings.select_visible(columns, xp)
        return MaskedCouplings(couplings, xp.take(self.mask, columns, axis=0))

    def transposed(self) -> MaskedCouplings:
        """Exchange the roles of the layers."""
        weights = None if self.weights is None else self.weights.T
        return MaskedCouplings(self.couplings.transposed(), self.mask.T, weights)


Couplings = DenseCouplings | PatternCouplings | MaskedCouplings
