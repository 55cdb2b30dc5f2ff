"""Couplings W between the layers: a linear map each way, and the pull-back of its gradient.

`DenseCouplings` hold W itself. `PatternCouplings` hold K patterns whose products are W; they
map through the patterns and form W only where the shapes make that the cheaper order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

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
    >>> couplings = DenseCouplings(np.array([[1.0, -1.0]]))
    >>> couplings.hidden_field(np.array([[2.0]]))
    array([[ 2., -2.]])
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

    @property
    def products_per_row(self) -> int:
        """Multiply-adds that map one row."""
        n_visible, n_hidden = self.shape
        return n_visible * n_hidden

    def with_parameters(self, parameters: Arrays) -> DenseCouplings:
        """Couplings of the same kind with other parameters."""
        return DenseCouplings(parameters["weights"])

    def hidden_field(self, v: Any) -> Any:
        """v W, shape (n, H)."""
        return v @ self.weights

    def visible_field(self, h: Any) -> Any:
        """h Wᵀ, shape (n, V)."""
        return h @ self.weights.T

    def gradient(self, v: Any, t: Any, backend: Any) -> Arrays:
        """Gradient of Σ_n v_nᵀ W t_n (eq. A6 with its sign)."""
        return {"weights": backend.matmul(v.T, t)}

    def change(self, v: Any, t: Any, steps: Arrays, backend: Any) -> Any:
        """First-order change of each v_nᵀ W t_n that the steps make, shape (n,)."""
        return backend.row_dots(backend.matmul(v, steps["weights"]), t)

    def to_dense(self) -> DenseCouplings:
        """These couplings."""
        return self

    def for_rows(self, n_rows: int) -> DenseCouplings:
        """The form in which mapping `n_rows` rows is cheapest."""
        return self

    def transposed(self) -> DenseCouplings:
        """The couplings with the layers' roles exchanged."""
        return DenseCouplings(self.weights.T)


@dataclass(frozen=True)
class PatternCouplings:
    """Regularized axons: W = ξ_vᵀ ξ_h / √K (Pozas-Kerstjens et al. 2021, eq. 5).

    Parameters
    ----------
    visible_patterns : array of shape (K, V)
    hidden_patterns : array of shape (K, H)
    weights : array of shape (V, H), optional
        W, where `for_rows` found that forming it makes mapping cheaper.

    Examples
    --------
    >>> import numpy as np
    >>> couplings = PatternCouplings(np.array([[1.0, -1.0]]), np.array([[1.0, 1.0, 1.0]]))
    >>> couplings.hidden_field(np.array([[1.0, -1.0]]))
    array([[2., 2., 2.]])
    """

    visible_patterns: Any
    hidden_patterns: Any
    weights: Any = None
    uses_patterns: ClassVar[bool] = True

    @property
    def parameters(self) -> Arrays:
        """The trainable arrays by name."""
        return {
            "visible_patterns": self.visible_patterns,
            "hidden_patterns": self.hidden_patterns,
        }

    @property
    def shape(self) -> tuple[int, int]:
        """(V, H)."""
        return self.visible_patterns.shape[1], self.hidden_patterns.shape[1]

    @property
    def n_patterns(self) -> int:
        """K."""
        return self.visible_patterns.shape[0]

    @property
    def products_per_row(self) -> int:
        """Multiply-adds that map one row."""
        n_visible, n_hidden = self.shape
        through_patterns = self.n_patterns * (n_visible + n_hidden)
        return through_patterns if self.weights is None else n_visible * n_hidden

    @property
    def _scale(self) -> float:
        return self.n_patterns**-0.5

    def with_parameters(self, parameters: Arrays) -> PatternCouplings:
        """Couplings of the same kind with other parameters."""
        return PatternCouplings(parameters["visible_patterns"], parameters["hidden_patterns"])

    def hidden_field(self, v: Any) -> Any:
        """v W, shape (n, H), through the K overlaps v ξ_vᵀ unless W is formed."""
        if self.weights is not None:
            return v @ self.weights
        return ((v @ self.visible_patterns.T) * self._scale) @ self.hidden_patterns

    def visible_field(self, h: Any) -> Any:
        """h Wᵀ, shape (n, V), through the K overlaps h ξ_hᵀ unless W is formed."""
        if self.weights is not None:
            return h @ self.weights.T
        return ((h @ self.hidden_patterns.T) * self._scale) @ self.visible_patterns

    def gradient(self, v: Any, t: Any, backend: Any) -> Arrays:
        """Gradient of Σ_n v_nᵀ W t_n in the patterns (eqs. A7a, A7b with their sign)."""
        n_rows, (n_visible, n_hidden) = v.shape[0], self.shape
        through_patterns = 2 * n_rows * self.n_patterns * (n_visible + n_hidden)
        through_weights = n_visible * n_hidden * (n_rows + 2 * self.n_patterns)
        if through_weights < through_patterns:
            g = backend.matmul(v.T, t) * self._scale
            return {
                "visible_patterns": backend.matmul(self.hidden_patterns, g.T),
                "hidden_patterns": backend.matmul(self.visible_patterns, g),
            }
        hidden_overlaps = backend.matmul(t, self.hidden_patterns.T) * self._scale
        visible_overlaps = backend.matmul(v, self.visible_patterns.T) * self._scale
        return {
            "visible_patterns": backend.matmul(hidden_overlaps.T, v),
            "hidden_patterns": backend.matmul(visible_overlaps.T, t),
        }

    def change(self, v: Any, t: Any, steps: Arrays, backend: Any) -> Any:
        """First-order change of each v_nᵀ W t_n that the steps make, shape (n,)."""
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
        return DenseCouplings((self.visible_patterns.T @ self.hidden_patterns) * self._scale)

    def for_rows(self, n_rows: int) -> PatternCouplings:
        """The couplings, with W formed if that makes mapping `n_rows` rows cheaper."""
        n_visible, n_hidden = self.shape
        through_patterns = n_rows * self.n_patterns * (n_visible + n_hidden)
        through_weights = n_visible * n_hidden * (n_rows + self.n_patterns)
        if self.weights is not None or through_patterns <= through_weights:
            return self
        return replace(self, weights=self.to_dense().weights)

    def transposed(self) -> PatternCouplings:
        """The couplings with the layers' roles exchanged."""
        weights = None if self.weights is None else self.weights.T
        return PatternCouplings(self.hidden_patterns, self.visible_patterns, weights)


Couplings = DenseCouplings | PatternCouplings
