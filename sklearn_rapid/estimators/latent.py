"""Estimators whose machines have visible units that no row shows: deep and full ones.

On the visible side of such a machine stand first the columns of X, then latent units. In rows, the
latter are NaN, as all is that is not known (`sklearn_rapid.machine.clamped`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.machine.clamped import free_energy_bound
from sklearn_rapid.tables.spins import SpinEncoder
from sklearn_rapid.training.fit.settings import positive_phase_from
from sklearn_rapid.training.positive_phase import PositivePhase


@dataclass(frozen=True)
class LatentEncoder:
    """Reads rows as states of which the last units are not known, and writes the others.

    Parameters
    ----------
    encoder : SpinEncoder
        Of the columns of X.
    n_latent : int

    Examples
    --------
    >>> from sklearn_rapid.backends import get_backend
    >>> encoder = SpinEncoder("binary", 0.5, get_backend("numpy"), "float32")
    >>> LatentEncoder(encoder, 2).spins(np.array([[0, 1]]))
    array([[-1.,  1., nan, nan]], dtype=float32)
    """

    encoder: SpinEncoder
    n_latent: int

    def __getattr__(self, name: str) -> Any:
        """All else is as the encoder of the columns has it."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.encoder, name)

    @property
    def gaps(self) -> bool:
        """Whether something is not known: latent units never are."""
        return self.n_latent > 0 or self.encoder.gaps

    @property
    def unscaled(self) -> LatentEncoder:
        """The same: spins have no scale."""
        return self

    def spins(self, X: Any, *args: Any, **how: Any) -> Any:
        """Rows as a backend array of states, with NaN for latent units."""
        return self._with_latent(self.encoder.spins(X, *args, **how))

    def spins_of_rows(self, X: Any, rows: Any) -> Any:
        """Some rows, by number or slice."""
        return self._with_latent(self.encoder.spins_of_rows(X, rows))

    def keeps_sparse(self, X: Any) -> bool:
        """Not with latent units, which are not zero."""
        return self.n_latent == 0 and self.encoder.keeps_sparse(X)

    def decode(self, v: Any) -> Any:
        """The columns of X, in the user's units."""
        return self.encoder.decode(v[:, : v.shape[1] - self.n_latent])

    def decode_means(self, means: Any) -> Any:
        """Means of `unit_means` of the columns of X, in the user's units."""
        return self.encoder.decode_means(means[:, : means.shape[1] - self.n_latent])

    def _with_latent(self, v: Any) -> Any:
        if self.n_latent == 0:
            return v
        xp = self.encoder.backend.xp
        unknown = xp.full((v.shape[0], self.n_latent), float("nan"), dtype=v.dtype)
        return xp.concat([v, unknown], axis=1)


class LatentMixin:
    """Likelihoods and training of a machine with latent units on its visible side.

    To stand before `BaseRBM`; a subclass says how many latent units there are (`_n_latent`), and
    has a parameter `positive_phase` for how they are completed in training.
    """

    _n_latent: int

    def _positive_phase(self, X: Any) -> PositivePhase:
        if self._n_latent == 0:
            return super()._positive_phase(X)
        return positive_phase_from(self.positive_phase)

    @property
    def _n_visible(self) -> int:
        return super()._n_visible + self._n_latent

    def _encoder(self, backend: Any, X: Any = None) -> LatentEncoder:
        encoder = super()._encoder(backend, X)
        return LatentEncoder(encoder, self._n_latent) if self._n_latent else encoder

    def free_energy(self, X: ArrayLike) -> np.ndarray:
        """The variational free energy of each row by mean field, in nats.

        An upper bound of -log Σ exp(-E(x, ·)) over the states of all units that X does not show.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._by_chunks(
            X, lambda machine, _, v, out: free_energy_bound(machine, v), (), "float64"
        )

    def lower_bound(self, X: ArrayLike) -> np.ndarray:
        """A lower bound of the log-likelihood of each row, by mean field, in nats.

        The bound is one of the sum over hidden states (Salakhutdinov and Hinton 2009); log Z is
        that of `log_partition`, with its error.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return -self.free_energy(X) - self.log_partition_
