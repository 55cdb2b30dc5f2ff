"""What RBM and RARBM share: the scikit-learn surface around a machine and its training.

No arithmetic here: methods validate, convert units at the border and delegate.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_rapid import _fit, _likelihood
from sklearn_rapid._compat import validates_parameters
from sklearn_rapid._data import SpinEncoder
from sklearn_rapid._parameters import check_count, check_option, new_seed
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.couplings import Couplings
from sklearn_rapid.machine import Machine
from sklearn_rapid.negative_phase import sign
from sklearn_rapid.partition import LogPartition
from sklearn_rapid.training import TrainingState

# Rows converted at a time, a multiple of a block. Rows are padded to whole blocks, because
# products of other shapes round differently: a row's result never depends on its company.
CHUNK, BLOCK = 1024, 128


class BaseRBM(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of the estimators; a subclass says what its couplings are."""

    # --- what a subclass says -----------------------------------------------------------

    @abstractmethod
    def _initial_couplings(self, n_visible: int, seed: int, backend: Any) -> Couplings:
        """Couplings before training."""

    @abstractmethod
    def _fitted_couplings(self, backend: Any) -> Couplings:
        """Couplings from the fitted attributes."""

    @abstractmethod
    def _coupling_attributes(self, couplings: Couplings, to_numpy: Callable) -> dict[str, Any]:
        """Fitted attributes from couplings."""

    # --- training -----------------------------------------------------------------------

    @with_callbacks
    @validates_parameters
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X for `max_iter` epochs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Binary data; see `units` and `binarize` for what its values mean.
        y : ignored
            Handed to callbacks only.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters or data that cannot be used. What was fitted before stays.

        Warns
        -----
        ConvergenceWarning
            If training diverged. The parameters are then those of the last good epoch.
        """
        with self._unchanged_on_error():
            resumed = self.warm_start and hasattr(self, "_training_state")
            X = self._validate(X, reset=not resumed)
            _fit.fit(self, X, y, resumed=resumed)
        return self

    @validates_parameters
    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on the rows of X once, in order, in batches of `batch_size`.

        Chunks that are the batches of a `fit` without shuffling lead to the same model. The
        learning rate is that of a first epoch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self
        """
        with self._unchanged_on_error():
            resumed = hasattr(self, "_training_state")
            X = self._validate(X, reset=not resumed)
            _fit.partial_fit(self, X, resumed=resumed)
        return self

    # --- features -----------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Hidden features of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            E[h | v], or a sample of h with ``hidden_features="sample"`` (the same one at
            every call), in the range of `units`.
        """
        check_is_fitted(self)
        machine, encoder = self._ready()
        stream = self._own_stream()

        def features(v: Any) -> Any:
            if self.hidden_features == "sample":
                return encoder.decode(machine.sample_hidden(v, stream))
            return encoder.decode(machine.hidden_mean(v))

        return self._by_chunks(X, features, encoder, (self._n_features_out,), self._dtype)

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Visible means given hidden features.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_components)
            Hidden features in the range of `units`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            E[v | h], the hidden features being taken for the spins' means.
        """
        check_is_fitted(self)
        machine, encoder = self._ready()
        H = _host_array(H, "H", (None, self._n_features_out))
        SpinEncoder(self.units, None, encoder.backend, encoder.dtype).check(H, name="H")
        with machine.backend.running():
            return encoder.decode(machine.visible_mean(encoder.means(H)))

    # --- likelihood ---------------------------------------------------------------------

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
        return float(np.mean(self.score_samples(X)))

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
        machine, encoder = self._ready()
        return self._by_chunks(
            X, lambda v: machine.backend.to_numpy(machine.free_energy(v)), encoder, (), "float64"
        )

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Log pseudo-likelihood Σ_i log P(v_i | v_{-i}) of each row, in nats.

        Exact over all sites and deterministic, unlike the one-site estimate that
        `BernoulliRBM.score_samples` draws. Costs n_features passes over the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        machine, encoder = self._ready()
        dense = Machine(
            machine.couplings.to_dense(),
            machine.visible_bias,
            machine.hidden_bias,
            machine.backend,
        )

        def values(v: Any) -> np.ndarray:
            return machine.backend.to_numpy(_likelihood.log_pseudo_likelihood(dense, v))

        return self._by_chunks(X, values, encoder, (), "float64")

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
        machine = self._machine()
        stream = self._own_stream()
        if random_state is not None:
            stream = RandomStream(new_seed(check_random_state(random_state)))
        with machine.backend.running():
            return _likelihood.log_partition(
                machine, method, stream, self._visible_mean, n_chains, n_temperatures
            )

    @property
    def log_partition_(self) -> float:
        """log Z in nats by `log_partition`, estimated once a model state."""
        check_is_fitted(self)
        digest = self._parameter_digest()
        kept = getattr(self, "_kept_log_partition", None)
        if kept is None or kept[0] != digest:
            kept = (digest, self.log_partition().value)
            self._kept_log_partition = kept
        return kept[1]

    # --- sampling -----------------------------------------------------------------------

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_gibbs_steps: int = 1000,
        init: Any = None,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw visible states from the model by Gibbs sampling.

        Parameters
        ----------
        n_samples : int, default=1
        n_gibbs_steps : int, default=1000
            Steps of each chain: the more, the closer to the model's distribution.
        init : array-like, "random", "patterns" or None, default=None
            Where chains start: at visible states (repeated in turn if there are fewer than
            `n_samples`), at fair coins, or at the signs of the patterns (RARBM). None is the
            chains of training where it kept some, else "random".
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples, 1)
        check_count("n_gibbs_steps", n_gibbs_steps, 0)
        machine = self._machine()
        encoder = self._encoder(machine.backend)
        stream = RandomStream(new_seed(check_random_state(random_state)))
        with machine.backend.running():
            start = self._starting_states(init, n_samples, machine, encoder, stream)
            states = machine.for_rows(2 * n_gibbs_steps * n_samples).gibbs(
                start, n_gibbs_steps, stream
            )
            return encoder.decode(states)

    def gibbs(self, X: ArrayLike, n_steps: int = 1, random_state: Any = None) -> np.ndarray:
        """Visible states after Gibbs steps from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_steps : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        check_count("n_steps", n_steps, 0)
        machine, encoder = self._ready()
        stream = RandomStream(new_seed(check_random_state(random_state)))
        return self._by_chunks(
            X,
            lambda v: encoder.decode(machine.gibbs(v, n_steps, stream)),
            encoder,
            (self.n_features_in_,),
            self._dtype,
        )

    def reconstruct(
        self,
        X: ArrayLike,
        mask: ArrayLike | None = None,
        *,
        n_gibbs_steps: int = 100,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw the missing entries of each row given the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where an entry is missing.
        mask : array-like of bool, shape (n_samples, n_features) or (n_features,), optional
            True where an entry is known. Entries that are NaN are missing in any case.
        n_gibbs_steps : int, default=100
            Steps with the known entries clamped; missing ones start undecided (mean spin 0).
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The known entries as spins in `units`, the missing ones drawn.
        """
        check_is_fitted(self)
        check_count("n_gibbs_steps", n_gibbs_steps, 1)
        X = self._validate(X, reset=False, missing=True)
        missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(X.shape, dtype=bool)
        if mask is not None:
            missing = missing | ~_known(mask, X.shape)
        machine, encoder = self._ready()
        stream = RandomStream(new_seed(check_random_state(random_state)))
        out = np.empty(X.shape, dtype=self._dtype)
        with machine.backend.running():
            for rows in _chunks(X.shape[0]):
                free = missing[rows]
                v = encoder.spins(np.where(free, 0, X[rows]))
                free = machine.backend.asarray(free)
                v = machine.backend.xp.where(free, machine.backend.xp.zeros_like(v), v)
                out[rows] = encoder.decode(machine.gibbs(v, n_gibbs_steps, stream, free=free))
        return out

    # --- scikit-learn -------------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.units == "binary"
        # Features have the model's `dtype`, whatever that of X.
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.intercept_hidden_.shape[0]

    # --- inside -------------------------------------------------------------------------

    @property
    def _dtype(self) -> str:
        return np.dtype(self.dtype).name

    @property
    def _visible_mean(self) -> np.ndarray | None:
        return self._training_state["visible_offset"]

    def _backend(self) -> Any:
        return get_backend(self.backend, self.n_threads)

    def _encoder(self, backend: Any) -> SpinEncoder:
        return SpinEncoder(self.units, self.binarize, backend, self._dtype)

    def _machine(self) -> Machine:
        """The fitted machine."""
        backend = self._backend()
        biases = (self.intercept_visible_, self.intercept_hidden_)
        b, c = (backend.asarray(bias, self._dtype) for bias in biases)
        return Machine(self._fitted_couplings(backend), b, c, backend)

    def _ready(self) -> tuple[Machine, SpinEncoder]:
        """The fitted machine in the form for chunks of rows, and what reads them."""
        machine = self._machine()
        with machine.backend.running():
            return machine.for_rows(CHUNK), self._encoder(machine.backend)

    def _own_stream(self) -> RandomStream:
        return RandomStream(self._training_state["stream"].seed, _likelihood.FIRST_DRAW)

    def _parameter_digest(self) -> bytes:
        digest = blake2b(digest_size=16)
        machine = self._machine()
        parameters = [*machine.couplings.parameters.values()]
        for p in [*parameters, machine.visible_bias, machine.hidden_bias]:
            digest.update(np.ascontiguousarray(machine.backend.to_numpy(p)))
        return digest.digest()

    def _validate(self, X: Any, *, reset: bool, missing: bool = False) -> Any:
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=False if missing else ("csr", "csc"),
            ensure_all_finite="allow-nan" if missing else True,
        )
        X = X.tocsr() if getattr(X, "format", None) == "csc" else X
        self._encoder(None).check(X)
        return X

    def _by_chunks(
        self, X: Any, function: Callable, encoder: SpinEncoder, width: tuple, dtype: str
    ) -> np.ndarray:
        """Apply a function of spins to the rows of X, a chunk at a time."""
        X = self._validate(X, reset=False)
        out = np.empty((X.shape[0], *width), dtype=dtype)
        xp = encoder.backend.xp
        with encoder.backend.running():
            for rows in _chunks(X.shape[0]):
                v = encoder.spins(X[rows])
                padding = -v.shape[0] % BLOCK
                v = xp.concat([v, xp.ones((padding, v.shape[1]), dtype=v.dtype)], axis=0)
                out[rows] = function(v)[: v.shape[0] - padding]
        return out

    def _starting_states(
        self, init: Any, n: int, machine: Machine, encoder: SpinEncoder, stream: RandomStream
    ) -> Any:
        backend, xp = machine.backend, machine.backend.xp
        if init is None:
            chains = self._training_state["chains"]
            init = "random" if chains is None else encoder.decode(backend.asarray(chains))
        if isinstance(init, str):
            check_option("init", init, ("random", "patterns"))
        if isinstance(init, str) and init == "random":
            fields = xp.zeros((n, machine.n_visible), dtype=machine.visible_bias.dtype)
            return backend.sample_spins(fields, stream, stream.reserve())
        if isinstance(init, str):
            if not machine.couplings.uses_patterns:
                raise ValueError(
                    f"init='patterns' needs a model made of patterns (RARBM), got "
                    f"{type(self).__name__}: use init='random' or visible states."
                )
            states = sign(machine.couplings.visible_patterns, xp)
        else:
            init = _host_array(init, "init", (None, machine.n_visible))
            encoder.check(init, name="init")
            states = encoder.spins(init)
        return xp.take(states, xp.arange(n) % states.shape[0], axis=0)

    def _publish(self, state: TrainingState) -> dict[str, Any]:
        """Fitted attributes from a training state."""
        machine = state.machine
        to_numpy = machine.backend.to_numpy
        return {
            **self._coupling_attributes(machine.couplings, to_numpy),
            "intercept_visible_": to_numpy(machine.visible_bias),
            "intercept_hidden_": to_numpy(machine.hidden_bias),
            "_training_state": state.to_host(),
        }

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Leave the estimator as it was if the body raises."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            # Callback bookkeeping belongs to scikit-learn, which ends it after us.
            kept = {k: v for k, v in self.__dict__.items() if "callback" in k}
            self.__dict__.clear()
            self.__dict__.update({**before, **kept})
            raise


def _chunks(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, CHUNK):
        yield slice(start, min(start + CHUNK, n_rows))


def _host_array(values: Any, name: str, shape: tuple) -> np.ndarray:
    values = np.asarray(values)
    expected = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if values.ndim != 2 or values.shape[1] != shape[1] or values.shape[0] == 0:
        raise ValueError(f"{name} must have shape {expected}, got {values.shape}")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, got dtype {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return values


def _known(mask: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise ValueError(f"mask must hold booleans, True where X is known; got {mask.dtype}")
    if mask.shape not in (shape, shape[1:]):
        raise ValueError(f"mask must have shape {shape} or {shape[1:]}, got {mask.shape}")
    return np.broadcast_to(mask, shape)
