"""Likelihoods, free energies and log Z of a fitted estimator, in nats."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import get_backend, to_host
from sklearn_rapid.checks.arguments import (
    check_count,
    check_option,
    check_positive,
    check_weights,
    seed_stream,
)
from sklearn_rapid.checks.arrays import compute_if_dask
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.machine.annealing import ais_log_partition
from sklearn_rapid.machine.clamped import free_energy_bound
from sklearn_rapid.machine.completions import log_sums_of_rows
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import (
    LARGEST_EXACT,
    LogPartition,
    exact_log_partition,
    n_enumerated,
    smaller_layer_first,
)
from sklearn_rapid.machine.tempered_partition import SWEEPS_OF_ALL_PAIRS
from sklearn_rapid.tables.encoder import Encoder

# Units of the smaller layer that "auto" enumerates at most.
LARGEST_AUTO_EXACT = 20

# Columns of a ladder; half of them start from training, and a third of these from rows.
N_COLUMNS = 24
# A sweep of such a ladder maps some 250 rows. By default tempering maps about as many rows as fit
# did; at least a second's worth of multiply-adds (or 1000 sweeps of a small machine), to place the
# β and to measure; at most 4000 sweeps, a few minutes' worth.
ROWS_OF_A_SWEEP, FEWEST_SWEEPS, MOST_SWEEPS = 250, 64, 4000
ROWS_OF_AN_UPDATE, FEWEST_PRODUCTS, FEWEST_ROWS = 4, 1e11, 250_000
# Chains and temperatures for a row with missing entries.
N_ANNEALED, N_TEMPERATURES = 16, 100
# Tolerance for rounding of float32 fields and for small errors of log Z.
LARGEST_LOG_TOTAL = 0.05


class LikelihoodMixin:
    """Free energies, log Z, likelihoods and pseudo-likelihoods of a fitted estimator."""

    def score_samples(
        self,
        X: ArrayLike,
        *,
        n_chains: int = N_ANNEALED,
        n_temperatures: int = N_TEMPERATURES,
        return_error: bool = False,
    ) -> Any:
        """Compute the log-likelihood of each row, log P(v) = -F(v) - log Z, in nats.

        With real columns it is the logarithm of a density per unit of X, whatever the kind of the
        column; a spike has a mass. Values not seen in fit have the probability that
        `handle_unknown` leaves to them.

        log Z is estimated at the first call (see `log_partition`) and kept, so that the
        log-likelihood of a row does not depend on other rows of X.

        Rows with NaN have the log-likelihood of their known entries. The sum over missing entries,
        and over units of upper hidden layers, is exact for rows with at most 1024 completions; of
        others it is estimated by annealing with the row clamped (Neal 2001), with the model's own
        random numbers. The error grows with the number of missing entries, and is smaller in the
        mean over rows. The estimate is no bound, and low by about half its squared error.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_chains : int, default=16
            Annealed chains for each row whose sum has to be estimated; at least two.
        n_temperatures : int, default=100
            Temperatures of annealing.
        return_error : bool, default=False
            Whether to return the standard error of each row's sum, too: zero for an exact sum.
            The error of log Z, the same for all rows, is not included (`log_partition`).

        Returns
        -------
        ndarray of shape (n_samples,)
        ndarray of shape (n_samples,)
            With `return_error`.

        Warns
        -----
        RuntimeWarning
            If the estimate of log Z is not to be trusted; or if it is proved wrong, because the
            probabilities of different rows of X add up to more than one.
        """
        check_is_fitted(self)
        n_chains = check_count("n_chains", n_chains, 2)
        n_temperatures = check_count("n_temperatures", n_temperatures, 2)
        X, stream = compute_if_dask(X, "X"), self._own_stream()  # rows may be read twice

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            xp = machine.backend.xp
            if encoder.missing:
                log_f, error = log_sums_of_rows(machine, v, stream, n_chains, n_temperatures)
            else:
                log_f = -machine.free_energy(v)
                error = xp.zeros_like(log_f)
            log_volume = xp.zeros_like(log_f)
            log_volume[: x.shape[0]] += machine.backend.asarray(encoder.log_volumes(x))
            return xp.stack([log_f, log_volume, error], axis=1)

        found = self._map_rows(X, compute, (3,), "float64", takes_sparse=True)
        log_p = found[:, 0] - self.log_partition_ - found[:, 1]
        error = found[:, 2].copy() if return_error else None
        del found  # memory that the check takes
        self._check_total_probability(X, log_p)
        return (log_p, error) if return_error else log_p

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute the mean log-likelihood of the rows of X, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean.

        Returns
        -------
        float
        """
        log_p = np.asarray(to_host(self.score_samples(X)))
        return float(np.average(log_p, weights=check_weights(sample_weight, len(log_p))))

    def free_energy(self, X: ArrayLike) -> np.ndarray:
        """Compute F(v) = -b·v - Σ_α log 2cosh θ_α of each row, in nats (eq. A2).

        Real columns are standardised in v, and add v·v/2. Real hidden units have θ·θ/2 plus a
        constant in place of log 2cosh θ. Rows with NaN, and all rows of models with several hidden
        layers, have the variational free energy of mean field: an upper bound of -log Σ exp(-F)
        over the states of missing units.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            return free_energy_bound(machine, v) if encoder.missing else machine.free_energy(v)

        return self._map_rows(X, compute, (), "float64", takes_sparse=True)

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Compute the log pseudo-likelihood Σ_i log P(v_i | v_{-i}) of each row, in nats.

        It is exact over all sites and deterministic, unlike the one-site estimate that
        ``BernoulliRBM.score_samples`` draws. It costs n_features passes over the hidden layer.
        ValueError unless `visible` and `hidden` are "binary", and for rows with NaN.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            return machine.log_pseudo_likelihood(v)

        return self._map_rows(X, compute, (), "float64", missing=False)

    def log_partition(
        self,
        method: str = "auto",
        *,
        tol: float = 0.1,
        max_sweeps: int | None = None,
        max_seconds: float | None = None,
        n_chains: int | None = None,
        n_temperatures: int = 2000,
        random_state: Any = None,
    ) -> LogPartition:
        """Compute or estimate the logarithm of the partition function, with its error.

        Parameters
        ----------
        method : {"auto", "exact", "tempering", "ais"}, default="auto"
            "exact" sums over the smaller layer of spins (at most 25 units; the hidden one if
            columns are not all binary); "tempering" is parallel tempering with bridges between
            neighbouring temperatures; "ais" is annealed importance sampling; "auto" is exact up
            to 20 units and tempering beyond.
        tol : float > 0, default=0.1
            The error in nats at which tempering may stop.
        max_sweeps : int, default=None
            Sweeps after which tempering stops, at least two: each swaps every other pair. None
            means about as many as the fit cost; at least a thousand (of some 250 rows, for models
            of moderate size) and at most 4000.
        max_seconds : float > 0, default=None
            Seconds after which tempering stops. Such an estimate cannot be repeated exactly.
        n_chains : int, default=None
            Columns of the ladder (None means 24), or chains of AIS (None means 200).
        n_temperatures : int, default=2000
            Temperatures of AIS; tempering places its own.
        random_state : int, RandomState instance or None, default=None
            None means the model's own seed: the same estimate at every call.

        Returns
        -------
        LogPartition
            `value` and `error` in nats, `method`, `is_trusted` and `doubts`, bounds from both
            sides, ...

        Warns
        -----
        RuntimeWarning
            If the estimate is not to be trusted, with the reasons and a remedy.
        """
        check_is_fitted(self)
        check_option("method", method, ("auto", "exact", "tempering", "ais"))
        tol = check_positive("tol", tol)
        limits = {"max_rows": self._default_max_rows(), "max_sweeps": MOST_SWEEPS}
        if max_sweeps is not None:
            limits = {"max_sweeps": check_count("max_sweeps", max_sweeps, SWEEPS_OF_ALL_PAIRS)}
        if max_seconds is not None:
            max_seconds = check_positive("max_seconds", max_seconds)
        if n_chains is not None:
            n_chains = check_count("n_chains", n_chains, 1)
        n_temperatures = check_count("n_temperatures", n_temperatures, 2)
        model = self._model()
        machine, stream = model.machine, model.stream()
        if random_state is not None:
            stream = seed_stream(random_state)
        method = resolve_method(method, machine)
        with machine.backend.running():
            if method == "exact":
                return exact_log_partition(machine, model.known_states)
            if method == "tempering":
                estimate, *_ = model.temper(
                    stream,
                    tol=tol,
                    **limits,
                    max_seconds=max_seconds or np.inf,
                    n_columns=n_chains or N_COLUMNS,
                )
            else:
                estimate = ais_log_partition(
                    machine,
                    stream,
                    base_mean=model.host_state["visible_offset"],
                    n_chains=n_chains or 200,
                    n_temperatures=n_temperatures,
                )
        if not estimate.is_trusted:
            warn_distrusted(estimate)
        return estimate

    @property
    def log_partition_(self) -> float:
        """Log Z in nats by `log_partition`, estimated once for the parameters of a model."""
        check_is_fitted(self)
        digest = self._parameter_digest()
        kept = getattr(self, "_kept_log_partition", None)
        if kept is None or kept[0] != digest:
            kept = (digest, self.log_partition().value)
            self._kept_log_partition = kept
        return kept[1]

    def _default_max_rows(self) -> float:
        """Count rows of a ladder that cost about as much as the updates of fit, within bounds."""
        rows_of_fit = ROWS_OF_AN_UPDATE * self._training_state["n_updates"] * int(self.batch_size)
        n_products = len(self.intercept_visible_) * len(self.intercept_hidden_)
        fewest = np.clip(FEWEST_PRODUCTS / n_products, FEWEST_SWEEPS * ROWS_OF_A_SWEEP, FEWEST_ROWS)
        return float(np.clip(rows_of_fit, fewest, MOST_SWEEPS * ROWS_OF_A_SWEEP))

    def _check_total_probability(self, X: Any, log_p: np.ndarray) -> None:
        """Warn if the probabilities of different rows add up to more than one.

        Rows with missing entries do not count: the event of one may contain that of another.
        """
        if logsumexp(to_host(log_p)) <= LARGEST_LOG_TOTAL or self._table.has_densities:
            return
        multipliers = np.random.default_rng(0).integers(
            2**64, size=-(-self._table.n_units // 8), dtype=np.uint64
        )

        def hash_states(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            v = machine.backend.to_numpy(v)
            number = np.packbits(v > 0, axis=1).astype(np.uint64) @ multipliers
            is_whole = np.all(v == v, axis=1).astype(np.uint64)
            return machine.backend.asarray(np.column_stack([number, is_whole]))

        # Different rows have the same hash with negligible probability.
        number, is_whole = to_host(self._map_rows(X, hash_states, (2,), "uint64")).T
        whole = np.flatnonzero(is_whole)
        if whole.size == 0:
            return
        _, first = np.unique(number[whole], return_index=True)
        log_total = float(logsumexp(to_host(log_p)[whole[first]]))
        if log_total > LARGEST_LOG_TOTAL:
            warn(
                f"the probabilities of the {len(first)} different rows of X add up to "
                f"exp({log_total:.2f}) > 1: the estimate of log Z is too low by at least "
                f"{log_total:.2f} nats, and these log-likelihoods are too high. Call "
                "log_partition with a larger max_sweeps.",
                RuntimeWarning,
            )

    def _parameter_digest(self) -> bytes:
        """Hash all parameters of the fitted machine."""
        digest = blake2b(digest_size=16)
        couplings = self._fitted_couplings(get_backend("numpy")).parameters.values()
        for p in (*couplings, self.intercept_visible_, self.intercept_hidden_):
            digest.update(np.ascontiguousarray(p))
        return digest.digest()


def keep_log_partition(estimator: LikelihoodMixin, log_z: LogPartition) -> None:
    """Let likelihoods of an estimator use this log Z, until its parameters change."""
    estimator._kept_log_partition = (estimator._parameter_digest(), log_z.value)


class LowerBoundMixin:
    """Likelihoods of a machine with latent units on its visible side; goes before `BaseRBM`."""

    def lower_bound(self, X: ArrayLike) -> np.ndarray:
        """Compute a lower bound of the log-likelihood of each row, by mean field, in nats.

        It bounds the sum over hidden states (Salakhutdinov and Hinton 2009); log Z is that of
        `log_partition`, with its error.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return -self.free_energy(X) - self.log_partition_


def resolve_method(method: str, machine: Machine) -> str:
    """Choose the method for "auto"; ValueError if the machine is too large for "exact"."""
    if method == "auto":
        return "exact" if n_enumerated(machine) <= LARGEST_AUTO_EXACT else "tempering"
    if method == "exact" and smaller_layer_first(machine).n_visible > LARGEST_EXACT:
        raise ValueError(
            f"method='exact' enumerates the smaller layer, which may have at most "
            f"{LARGEST_EXACT} units; got {machine.n_visible} visible and "
            f"{machine.n_hidden} hidden ones. Use method='tempering'."
        )
    return method


def warn_distrusted(estimate: LogPartition) -> None:
    """Warn that an estimate of log Z is not to be trusted, with the reasons and a remedy."""
    advice = "raise max_sweeps"
    if estimate.method == "ais":
        advice = "use method='tempering', or raise n_temperatures or n_chains"
    warn(
        f"log Z = {estimate.value:.2f} ± {estimate.error:.2f} by {estimate.method} is not to be "
        f"trusted, nor are log-likelihoods with it: {'; '.join(estimate.doubts)}. To improve it, "
        f"{advice}. If that does not help, chains do not find their way through this model: "
        "train with negative_phase='auto', or with a lower learning_rate.",
        RuntimeWarning,
    )
