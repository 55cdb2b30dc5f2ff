"""Encode real columns as standardised states of real units, and decode them.

The state of a column x is v = (x - mean) / scale. The mean is that of the rows; the scale starts at
their standard deviation, and is trained (`sklearn_rapid.training.steps.visible_scale`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import Gaussians, Units, is_cupy_array, to_host
from sklearn_rapid.tables.encoder import Encoder, chunks
from sklearn_rapid.tables.reals.moments import compute_moments, find_smallest_scales
from sklearn_rapid.tables.reals.quadrature import Rule, integrate_between

# The squares of states up to this fit into float32.
LARGEST_STATE = 1e15


@dataclass(frozen=True)
class RealEncoder(Encoder):
    """Encode real columns as real units.

    Parameters
    ----------
    mean, scale : array of shape (V,) or None
        Moments of each column, float64 on the host; None before they are measured.
    **others
        See `Encoder`.

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> encoder = RealEncoder(np.array([5.0]), np.array([2.0]), backend=get_backend("numpy"))
    >>> encoder.states(np.array([[9.0]]))
    array([[2.]], dtype=float32)
    """

    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    per_unit: ClassVar[dict[str, float]] = {"mean": 0.0, "scale": 1.0}
    has_density: ClassVar[bool] = True
    visible_units: ClassVar[Units] = Gaussians()

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> RealEncoder:
        """Set the moments of the columns to those of weighted rows."""
        mean, scale = compute_moments(X, weights, backend, self.names)
        return replace(self, mean=mean, scale=scale)

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> np.ndarray:
        """Find the smallest scale that each column may reach in training on these rows."""
        return find_smallest_scales(X, weights, self.mean, self.scale, backend)

    def check(self, X: Any, name: str = "X") -> None:
        """Raise ValueError for a sparse X, and for values too far from the mean."""
        if sparse.issparse(X):
            raise ValueError(f"real columns need a dense {name}, got a sparse one")
        if self.mean is None:
            return
        where = self.backend.xp if is_cupy_array(X) else np
        mean, largest = (where.asarray(a) for a in (self.mean, LARGEST_STATE * self.scale))
        for rows in chunks(X.shape[0]):
            with np.errstate(over="ignore"):
                is_far = to_host(where.abs(X[rows] - mean) > largest)
            if is_far.any():
                raise ValueError(
                    f"{name} must be within {LARGEST_STATE:g} standard deviations of the mean of "
                    f"each column, got a value that is not in {self.label(is_far.any(0).argmax())}"
                )

    def states(self, X: Any, stream: Any = None, draw: int = 0, n_rows: int = 0) -> Any:
        """Encode rows as a backend array of states, with rows of zeros appended up to `n_rows`."""
        where = self.backend.xp if is_cupy_array(X) else np
        mean, scale = (where.asarray(a) for a in (self.mean, self.scale))
        states = where.zeros((max(n_rows, X.shape[0]), X.shape[1]), dtype=self.dtype)
        states[: X.shape[0]] = (X - mean) / scale
        return self.backend.asarray(states)

    def decode(self, v: Any, stream: Any = None) -> Any:
        """Convert states, or their means, to the user's units; float64."""
        xp = self.backend.xp
        mean, scale = (self.backend.asarray(a) for a in (self.mean, self.scale))
        return xp.astype(v, xp.float64) * scale + mean

    def rule(self, column: int, low: float, high: float) -> Rule:
        """Make states of a column for an integral from one to another, and its values there."""
        nodes, weights = integrate_between(np.zeros(0), low, high)
        values = nodes * self.scale[column] + self.mean[column]
        return Rule(nodes[:, None], weights, values)

    @property
    def unscaled(self) -> RealEncoder:
        """The encoder for training, in which scales are part of the state."""
        return replace(self, scale=np.ones_like(self.scale))

    def log_volumes(self, X: Any) -> Any:
        """Compute Σ log scale over the known columns of each row."""
        where = self.backend.xp if is_cupy_array(X) else np
        log_scale = np.log(self.scale)
        if not self.missing:
            return where.full(X.shape[0], float(np.sum(log_scale)))
        is_missing = where.astype(X != X, where.float64)
        return float(np.sum(log_scale)) - is_missing @ where.asarray(log_scale)
