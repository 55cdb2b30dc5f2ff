"""Penalties that keep couplings small: the logarithm of a prior."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Updates until the penalty has its full strength. The first couplings are small, and so is their
# gradient: the full penalty would set all of them to zero.
RAMP_UPDATES = 30


@dataclass(frozen=True)
class Penalty:
    """L1 and L2 penalties on the couplings' parameters p, in nats for all rows together.

    The objective is the log-likelihood of n rows less l1 Σ|p| + l2 Σp²/2, the negative logarithms
    of a Laplace prior of scale 1 / l1 and of a Gaussian one of variance 1 / l2. A row's share is
    the n-th part: the more rows, the less the prior counts. Each step along the gradient of the
    likelihood is followed by the proximal step of the penalties (Parikh, Boyd 2014, "Proximal
    algorithms"), which sets parameters to zero that the likelihood does not support.

    Parameters
    ----------
    l1, l2 : float
    n_rows : int or None
        n; None is the number of rows seen so far.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.backends import get_backend
    >>> weights = np.array([-2.0, 0.01, 1.0])
    >>> Penalty(l1=10.0, n_rows=100).shrink([weights], 0.5, 0, 1000, get_backend("numpy"))
    >>> print(weights)
    [-1.95  0.    0.95]
    """

    l1: float = 0.0
    l2: float = 0.0
    n_rows: int | None = None

    def shrink(
        self, parameters: Iterable[Any], scale: Any, n_seen: int, n_updates: int, backend: Any
    ) -> None:
        """Make the proximal step of a row's share of the penalties, in place.

        Parameters
        ----------
        parameters : iterable of arrays
        scale : float or 0-d array
            Of the step along the gradient of the mean log-likelihood.
        n_seen, n_updates : int
            Rows and updates so far.
        backend : backend
        """
        if self.l1 == 0.0 and self.l2 == 0.0:
            return
        share = min(1.0, n_updates / RAMP_UPDATES) / (self.n_rows or n_seen)
        for p in parameters:
            backend.shrink(p, scale, self.l1 * share, self.l2 * share)
