"""What a fitted estimator says of likelihoods, in nats."""

from __future__ import annotations

import warnings
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid._parameters import check_count, check_option, new_seed
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine import Machine
from sklearn_rapid.partition import LogPartition, ais_log_partition, exact_log_partition

# "auto" enumerates the smaller layer up to here; asked for, enumeration goes a little further.
LARGEST_AUTO_EXACT = 20
LARGEST_EXACT = 25


class LikelihoodMixin:
    """Free energies, log Z, likelihoods and pseudo-likelihoods of a fitted estimator."""

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-likelihood of each row, log P(v) = -F(v) - log Z, in nats.

        log Z is estimated at the first call (see `log_partition`) and kept, so that a row has
        one log-likelihood whatever else is in X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return -self.free_energy(X) - self.log_partition_

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean log-likelihood of the rows of X, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        float
        """
        return float(self.score_samples(X).mean())

    def free_energy(self, X: ArrayLike) -> np.ndarray:
        """F(v) = -b·v - Σ_α log 2cosh θ_α of each row, in nats (eq. A2).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._by_chunks(
            X, lambda machine, _, v, out: machine.free_energy(v), (), "float64", bits_will_do=True
        )

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Log pseudo-likelihood Σ_i log P(v_i | v_{-i}) of each row, in nats.

        Exact over all sites and deterministic, unlike the one-site estimate that
        ``BernoulliRBM.score_samples`` draws. Costs n_features passes over the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._by_chunks(
            X, lambda machine, _, v, out: machine.log_pseudo_likelihood(v), (), "float64"
        )

    def log_partition(
        self,
        method: str = "auto",
        *,
        n_chains: int = 200,
        n_temperatures: int = 2000,
        random_state: Any = None,
    ) -> LogPartition:
        """The logarithm of the partition function, with its error.

        Parameters
        ----------
        method : {"auto", "exact", "ais"}, default="auto"
            "exact" sums over the smaller layer (at most 25 units); "ais" is annealed
            importance sampling; "auto" is exact up to 20 units and AIS beyond.
        n_chains, n_temperatures : int, default=200 and 2000
            For AIS.
        random_state : int, RandomState instance or None, default=None
            None draws from the model's own seed: the same estimate at every call.

        Returns
        -------
        LogPartition
            `value` and `error` in nats, `method`, `effective_sample_size`, ...

        Warns
        -----
        RuntimeWarning
            If fewer than a twentieth of the chains carry the AIS estimate.
        """
        check_is_fitted(self)
        check_option("method", method, ("auto", "exact", "ais"))
        check_count("n_chains", n_chains, 1)
        check_count("n_temperatures", n_temperatures, 2)
        machine = self._machine(self._backend_at_hand())
        stream = self._own_stream()
        if random_state is not None:
            stream = RandomStream(new_seed(check_random_state(random_state)))
        with machine.backend.running():
            return _log_partition(
                machine, method, stream, self._visible_mean, n_chains, n_temperatures
            )

    @property
    def log_partition_(self) -> float:
        """Log Z in nats by `log_partition`, estimated once a model state."""
        check_is_fitted(self)
        digest = self._parameter_digest()
        kept = getattr(self, "_kept_log_partition", None)
        if kept is None or kept[0] != digest:
            kept = (digest, self.log_partition().value)
            self._kept_log_partition = kept
        return kept[1]

    def _parameter_digest(self) -> bytes:
        digest = blake2b(digest_size=16)
        for p in self._fitted_parameters():
            digest.update(np.ascontiguousarray(p))
        return digest.digest()

    @property
    def _visible_mean(self) -> np.ndarray | None:
        return self._training_state["visible_offset"]


def _log_partition(
    machine: Machine,
    method: str,
    stream: RandomStream,
    base_mean: np.ndarray | None,
    n_chains: int,
    n_temperatures: int,
) -> LogPartition:
    """log Z by the method asked for; warns if the estimate is not to be trusted."""
    smaller = min(machine.n_visible, machine.n_hidden)
    if method == "auto":
        method = "exact" if smaller <= LARGEST_AUTO_EXACT else "ais"
    if method == "exact":
        if smaller > LARGEST_EXACT:
            raise ValueError(
                f"method='exact' enumerates the smaller layer, which may have at most "
                f"{LARGEST_EXACT} units; got {machine.n_visible} visible and "
                f"{machine.n_hidden} hidden ones. Use method='ais'."
            )
        return exact_log_partition(machine)
    estimate = ais_log_partition(
        machine, stream, base_mean=base_mean, n_chains=n_chains, n_temperatures=n_temperatures
    )
    if not estimate.is_trusted:
        warnings.warn(
            f"the AIS estimate of log Z rests on {estimate.effective_sample_size:.1f} effective "
            f"chains of {n_chains}: log Z may be too low, and log-likelihoods too high. Raise "
            f"n_temperatures (now {n_temperatures}) or n_chains.",
            RuntimeWarning,
            stacklevel=4,
        )
    return estimate
