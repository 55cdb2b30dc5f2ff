"""What a fitted estimator says of likelihoods, in nats."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import to_host
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
from sklearn_rapid.machine.clamped import free_energy_bound, log_sums
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import (
    LogPartition,
    exact_log_partition,
    n_enumerated,
    smaller_layer_first,
)
from sklearn_rapid.machine.tempered_partition import SWEEPS_OF_ALL_PAIRS

# "auto" enumerates the smaller layer up to here; asked for, enumeration goes a little further.
LARGEST_AUTO_EXACT = 20
LARGEST_EXACT = 25

# Columns of a ladder; half of them start from training, and a third of these from rows of the data.
N_COLUMNS = 24
# Such a ladder has some 250 rows. By default log Z takes no more of them than an update's worth for
# each of the fit, but enough to place the β and to measure (a second's worth of multiply-adds, or a
# thousand sweeps of a small machine), and no more than a few minutes' worth.
ROWS_OF_A_SWEEP, FEWEST_SWEEPS, MOST_SWEEPS = 250, 64, 4000
ROWS_OF_AN_UPDATE, FEWEST_PRODUCTS, FEWEST_ROWS = 4, 1e11, 250_000
# Chains and temperatures for a row with gaps.
N_ANNEALED, N_TEMPERATURES = 16, 100
# Rounding of float32 fields, and errors of log Z that are none to speak of.
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
        """Log-likelihood of each row, log P(v) = -F(v) - log Z, in nats.

        With real columns it is the logarithm of a density per unit of X: less Σ log `scale_`.

        log Z is estimated at the first call (see `log_partition`) and kept, so that a row has
        one log-likelihood whatever else is in X.

        Rows with NaN have the log-likelihood of what is known of them. The sum over the rest, and
        in machines with several layers of hidden units that over the units of upper ones, is
        estimated by annealing with the row held fast (Neal 2001), with the model's own random
        numbers: the less is known of a row the larger its error, which is smaller in the mean over
        rows. It is no bound, and low by about half its squared error.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_chains : int, default=16
            Annealed for each row whose sum has to be estimated; two at least.
        n_temperatures : int, default=100
            Through which they are annealed.
        return_error : bool, default=False
            Whether to return the standard error of each row's sum, too: zero where nothing is
            estimated. That of log Z comes on top, the same for all rows (`log_partition`).

        Returns
        -------
        ndarray of shape (n_samples,)
        ndarray of shape (n_samples,)
            If asked for.

        Warns
        -----
        RuntimeWarning
            If the estimate of log Z is not to be trusted; or if it is proved wrong, the
            probabilities of different rows of X adding up to more than one.
        """
        check_is_fitted(self)
        n_chains = check_count("n_chains", n_chains, 2)
        n_temperatures = check_count("n_temperatures", n_temperatures, 2)
        X, stream = compute_if_dask(X, "X"), self._own_stream()  # rows may be looked at twice

        def of_known(machine: Any, encoder: Any, v: Any, out: Any) -> Any:
            xp = machine.backend.xp
            if encoder.missing:
                log_f, error = log_sums(machine, v, stream, n_chains, n_temperatures)
            else:
                log_f = -machine.free_energy(v)
                error = xp.zeros_like(log_f)
            log_volume = xp.zeros_like(log_f) + encoder.log_volume_of(v)
            return xp.stack([log_f, log_volume, error], axis=1)

        found = self._by_chunks(X, of_known, (3,), "float64", bits_will_do=True)
        log_p = found[:, 0] - self.log_partition_ - found[:, 1]
        self._check_total_probability(X, log_p)
        return (log_p, found[:, 2]) if return_error else log_p

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-likelihood of the rows of X, in nats.

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
        """F(v) = -b·v - Σ_α log 2cosh θ_α of each row, in nats (eq. A2).

        Of real columns, v is standardised, and v·v/2 is added. Of real hidden units, θ·θ/2 takes
        the place of log 2cosh θ, with a constant. Rows with NaN, and all rows of models with
        several hidden layers, have the variational free energy of mean field: an upper bound of
        -log Σ exp(-F) over the states of what is missing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._by_chunks(
            X,
            lambda machine, encoder, v, out: (
                free_energy_bound(machine, v) if encoder.missing else machine.free_energy(v)
            ),
            (),
            "float64",
            bits_will_do=True,
        )

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Log pseudo-likelihood Σ_i log P(v_i | v_{-i}) of each row, in nats.

        Exact over all sites and deterministic, unlike the one-site estimate that
        ``BernoulliRBM.score_samples`` draws. Costs n_features passes over the hidden layer. Units
        other than spins have none: a ValueError unless `visible` and `hidden` are "binary". Nor
        have rows with NaN.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._by_chunks(
            X,
            lambda machine, _, v, out: machine.log_pseudo_likelihood(v),
            (),
            "float64",
            missing=False,
        )

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
        """The logarithm of the partition function, with its error.

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
            Sweeps after which tempering stops. None is as many as cost about what the fit has cost,
            but at least a thousand (of some 250 rows, and of models of moderate size), and at most
            4000. Two are needed: each has every other pair.
        max_seconds : float > 0, default=None
            Seconds after which tempering stops. With a limit in seconds an estimate cannot be
            repeated exactly.
        n_chains : int, default=None
            Columns of the ladder (None is 24), or chains of AIS (None is 200).
        n_temperatures : int, default=2000
            For AIS; tempering finds its own.
        random_state : int, RandomState instance or None, default=None
            None draws from the model's own seed: the same estimate at every call.

        Returns
        -------
        LogPartition
            `value` and `error` in nats, `method`, `is_trusted` and `doubts`, bounds from both
            sides, ...

        Warns
        -----
        RuntimeWarning
            If the estimate is not to be trusted; it says why, and what to do.
        """
        check_is_fitted(self)
        check_option("method", method, ("auto", "exact", "tempering", "ais"))
        tol = check_positive("tol", tol)
        limits = {"max_rows": self._rows_worth_a_fit(), "max_sweeps": MOST_SWEEPS}
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
        method = resolved_method(method, machine)
        with machine.backend.running():
            if method == "exact":
                return exact_log_partition(machine, model.known_states)
            if method == "tempering":
                estimate, *_ = model.tempered(
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
                    base_mean=model.left["visible_offset"],
                    n_chains=n_chains or 200,
                    n_temperatures=n_temperatures,
                )
        if not estimate.is_trusted:
            warn_distrusted(estimate)
        return estimate

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

    def _rows_worth_a_fit(self) -> float:
        """Rows of a ladder that cost about as much as the updates of the fit, within bounds."""
        rows_of_fit = ROWS_OF_AN_UPDATE * self._training_state["n_updates"] * int(self.batch_size)
        a_row = len(self.intercept_visible_) * len(self.intercept_hidden_)
        fewest = np.clip(FEWEST_PRODUCTS / a_row, FEWEST_SWEEPS * ROWS_OF_A_SWEEP, FEWEST_ROWS)
        return float(np.clip(rows_of_fit, fewest, MOST_SWEEPS * ROWS_OF_A_SWEEP))

    def _check_total_probability(self, X: Any, log_p: np.ndarray) -> None:
        """Warn if the probabilities of the different rows add up to more than one.

        Of rows with gaps one may be a case of another: they do not count.
        """
        if self._table.has_densities or logsumexp(to_host(log_p)) <= LARGEST_LOG_TOTAL:
            return
        multipliers = np.random.default_rng(0).integers(
            2**64, size=-(-self._table.n_units // 8), dtype=np.uint64
        )

        def numbers(machine: Any, encoder: Any, v: Any, out: Any) -> Any:
            v = machine.backend.to_numpy(v)
            number = np.packbits(v > 0, axis=1).astype(np.uint64) @ multipliers
            is_whole = np.all(v == v, axis=1).astype(np.uint64)
            return machine.backend.asarray(np.column_stack([number, is_whole]))

        # A number for each row: different rows share one with a probability of next to nothing.
        number, is_whole = to_host(self._by_chunks(X, numbers, (2,), "uint64")).T
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
        digest = blake2b(digest_size=16)
        for p in self._fitted_parameters():
            digest.update(np.ascontiguousarray(p))
        return digest.digest()


class LowerBoundMixin:
    """Likelihoods of a machine with latent units on its visible side; to stand before `BaseRBM`."""

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


def resolved_method(method: str, machine: Machine) -> str:
    """The method that "auto" stands for; ValueError if the machine is too large for it."""
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
    """Warn that an estimate of log Z is not to be trusted: why, and what to do."""
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
