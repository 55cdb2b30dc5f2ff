"""What all estimators share: the scikit-learn surface around a machine and its training.

No arithmetic here: methods validate, convert units at the border and delegate.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import RandomStream, get_backend, is_cupy_array
from sklearn_rapid.checks.arguments import checked_weights
from sklearn_rapid.checks.arrays import checked_array
from sklearn_rapid.checks.compat import validate_parameters, validates_parameters
from sklearn_rapid.estimators.fitted import VersionedPickle, check_fitted, check_training_state
from sklearn_rapid.estimators.input import InputMixin
from sklearn_rapid.estimators.likelihood import LikelihoodMixin
from sklearn_rapid.estimators.sampling import SamplingMixin
from sklearn_rapid.machine.clamped import fill_with_mean_field
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.gaps import lacks_entries, weights_of_known
from sklearn_rapid.tables.spins import CHUNK, SpinEncoder, chunks
from sklearn_rapid.training.fit import fit as _fit
from sklearn_rapid.training.fit.progress import CutShort
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.starts import FromModel, FromScratch
from sklearn_rapid.training.positive_phase import NONE_MISSING, ClampedChains, PositivePhase
from sklearn_rapid.training.state import TrainingState

# Draws of a fitted model's own (estimates, sampled features) lie far from those of training.
FIRST_DRAW = 1 << 62


class BaseRBM(
    VersionedPickle,
    InputMixin,
    LikelihoodMixin,
    SamplingMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of the estimators; a subclass says what its couplings are."""

    # --- what a subclass says -----------------------------------------------------------

    # Letters of the axes of the fitted arrays: visible and hidden units, patterns.
    _fitted_shapes: ClassVar[dict[str, tuple[str, ...]]] = {
        "intercept_visible_": ("V",),
        "intercept_hidden_": ("H",),
    }

    # Units on the visible side beside those of the columns of X.
    _n_latent = 0
    # Where the learning rate that is "auto" begins.
    _first_rate: ClassVar[float] = 0.25

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
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on X for `max_iter` epochs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Binary data, see `units` and `binarize` for what its values mean; or real columns or
            categories, see `visible`. NaN, in dense X, for entries that are not known: the model is
            fitted to what is known of each row.
        y : ignored
            Handed to callbacks only.
        sample_weight : array-like of shape (n_samples,), default=None
            Relative weights of the rows, in the means over each batch. Rows of weight zero are
            left out.

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
        UserWarning
            If the user has interrupted it (KeyboardInterrupt). What has been learned is kept;
            `sklearn_rapid.callbacks.resume` takes the fit to its end.
        """
        with self._unchanged_on_error():
            goes_on = self.warm_start and hasattr(self, "_training_state")
            start = FromModel() if goes_on else FromScratch()
            X = self._validate(X, reset=start.is_fresh, missing=True)
            weights = checked_weights(sample_weight, X.shape[0])
            weights = weights_of_known(X, weights, every_column=True)
            if start.is_fresh:
                self._measure_columns(X, weights)
            _fit.fit(self, X, y, weights, start)
        return self

    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train on the rows of X once, in order, in batches of `batch_size`.

        Chunks that are the batches of a `fit` without shuffling, or several of them, lead to the
        same model (but for penalties). The learning rate falls if `n_updates` is set, and is that
        of a first epoch otherwise.

        A call counts as an epoch in `n_iter_`, and adds a row to `history_` ("seconds" are those of
        the call, the learning rate is that of its last update), which is printed with `verbose`.
        Where `history_` has 1000 rows or more, the oldest one makes room for it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights relative to the other rows of this call, as in `fit`.

        Returns
        -------
        self
        """
        validate_parameters(self)
        with self._unchanged_on_error():
            start = FromModel() if hasattr(self, "_training_state") else FromScratch()
            X = self._validate(X, reset=start.is_fresh, missing=True)
            weights = weights_of_known(X, checked_weights(sample_weight, X.shape[0]))
            if start.is_fresh:
                self._measure_columns(X, weights)
            _fit.partial_fit(self, X, weights, start)
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
            every call), in the range of `units`. Where X has NaN, v has means by mean field, given
            what is known of the row; or states of chains for a sample.
        """
        check_is_fitted(self)
        stream = self._own_stream()

        def features(machine: Any, encoder: SpinEncoder, v: Any, out: Any) -> Any:
            of_hidden = self._of_hidden(encoder)
            if self.hidden_features == "sample":
                v = ClampedChains().states(machine, v, stream) if encoder.gaps else v
                return of_hidden.decode(machine.sample_hidden(v, stream))
            v = fill_with_mean_field(machine, v) if encoder.gaps else v
            return machine.hidden_mean(v, out=out, to_unit=of_hidden.to_unit)

        return self._by_chunks(X, features, (self._n_features_out,), self._dtype, bits_will_do=True)

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Visible means given hidden features.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_components)
            Hidden features in the range of `units`; any numbers with ``hidden="gaussian"``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            E[v | h], the hidden features being taken for the spins' means; in the units of X. Of
            categories, the most likely code: codes have no mean.
        """
        check_is_fitted(self)
        given = H
        H = checked_array(H, "H", (None, self._n_features_out))
        H = H.toarray() if sparse.issparse(H) else H
        machine = self._machine(self._backend_at_hand(H))
        encoder = self._encoder(machine.backend)
        of_hidden = self._of_hidden(encoder)
        of_hidden.check(H, name="H")
        with machine.backend.running():
            h = self._hidden_side(of_hidden.means(H), machine.backend)
            means = encoder.unit_means(machine.for_rows(CHUNK), h)
            rows = self._returned(encoder.decode_means(means), machine.backend, like=H)
        return self._as_table(rows, given)

    # --- scikit-learn -------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        # Before it has a model, `fit` sets what is known of X.
        return hasattr(self, "intercept_hidden_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.units == "binary" and self.visible == "binary"
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = self.visible == "categorical"
        # Features have the model's `dtype`, whatever that of X.
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.intercept_hidden_)

    # --- inside -------------------------------------------------------------------------

    def _that_stand_for(self, X: Any) -> Any:
        """Rows in which is all that there is to see of the values of X: X itself."""
        return X

    def _run_of(self, X: Any) -> type[Run]:
        """What makes the updates of a fit on X."""
        return Run

    def _positive_phase(self, X: Any) -> PositivePhase:
        """What completes rows of X."""
        return ClampedChains() if lacks_entries(X) else NONE_MISSING

    @property
    def _known_sizes(self) -> dict[str, int]:
        """What is known of the axes of the fitted arrays, by their letters."""
        return {"V": self._n_visible}

    def _hidden_side(self, H: Any, backend: Any) -> Any:
        """Means of the units on the hidden side of the machine, of those of hidden features."""
        return H

    @property
    def _dtype(self) -> str:
        return np.dtype(self.dtype).name

    @property
    def _n_threads(self) -> int | None:
        return None if self.n_threads is None else int(self.n_threads)

    def _sizes_of(self, machine: Machine) -> dict[str, int]:
        """The parameters that say how large a machine is, as it has them."""
        sizes = {"n_components": machine.n_hidden}
        if machine.couplings.uses_patterns:
            sizes["n_patterns"] = machine.couplings.n_patterns
        return sizes

    def _machine(self, backend: Any) -> Machine:
        """The fitted machine, of attributes that belong together."""
        # All of them at once: another thread may be fitting this estimator.
        fitted = object.__new__(type(self))
        fitted.__dict__.update(self.__dict__)
        check_fitted(fitted)
        biases = (fitted.intercept_visible_, fitted.intercept_hidden_)
        b, c = (backend.asarray(bias, self._dtype) for bias in biases)
        couplings = fitted._fitted_couplings(backend)
        units = {"visible_units": fitted._visible_units, "hidden_units": fitted._hidden_units}
        return Machine(couplings, b, c, backend, **units)

    def _state_of(self, machine: Machine) -> TrainingState:
        """What training has left, as the state of the fitted machine."""
        rest = self._training_state
        check_training_state(rest, machine)
        return TrainingState.from_host(rest, machine)

    def _ready(self, X: Any) -> tuple[Machine, SpinEncoder]:
        """The fitted machine in the form for chunks of rows of X, and what reads them."""
        machine = self._machine(self._backend_at_hand(X))
        with machine.backend.running():
            return machine.for_rows(CHUNK), self._encoder(machine.backend, X)

    def _own_stream(self) -> RandomStream:
        return RandomStream(self._training_state["stream"].seed, FIRST_DRAW)

    def _fitted_parameters(self) -> list[np.ndarray]:
        """All parameters of the fitted machine, as they are kept."""
        couplings = self._fitted_couplings(get_backend("numpy"))
        return [*couplings.parameters.values(), self.intercept_visible_, self.intercept_hidden_]

    def _returned(self, values: Any, backend: Any, like: Any, dtype: Any = None) -> Any:
        """The backend's values as an array of the caller's kind: CuPy's if `like` is.

        It is of the model's dtype, if no other one is given.
        """
        dtype = self._dtype if dtype is None else dtype
        if is_cupy_array(like):
            return backend.xp.ascontiguousarray(values, dtype=dtype)
        return np.ascontiguousarray(backend.to_numpy(values), dtype=dtype)

    def _by_chunks(
        self,
        X: Any,
        function: Callable,
        width: tuple,
        dtype: str,
        *,
        bits_will_do: bool = False,
        missing: bool = True,
    ) -> np.ndarray:
        """Apply a function to the rows of X as spins, a chunk at a time.

        It is called with a machine, an encoder, the rows and an array to write to, which it may
        leave alone. Where bits will do, rows of a sparse X stay sparse. Results are where X is.
        Rows have NaN for what is missing, if `gaps` of the encoder says so.
        """
        X = self._validate(X, reset=False, missing=missing)
        machine, encoder = self._ready(X)
        backend, on_device = encoder.backend, is_cupy_array(X)
        where = backend.xp if on_device else np
        keeps_sparse = bits_will_do and encoder.keeps_sparse(X)
        read = encoder.bits if keeps_sparse else encoder.spins
        out = where.empty((X.shape[0], *width), dtype=dtype)
        with backend.running():
            machine = machine.on_bits() if keeps_sparse else machine
            for rows in chunks(X.shape[0]):
                n = rows.stop - rows.start
                v = read(X[rows], n_rows=n + -n % backend.row_multiple)
                target = out[rows] if v.shape[0] == n and where is backend.xp else None
                result = function(machine, encoder, v, target)
                if result is not target:
                    out[rows] = result[:n] if on_device else backend.to_numpy(result[:n])
        return out

    def _publish(self, state: TrainingState) -> dict[str, Any]:
        """Fitted attributes from a training state, which may go on changing in place."""
        machine = state.machine.copy()
        to_numpy = machine.backend.to_numpy
        scale = state.visible_scale
        return {
            **self._coupling_attributes(machine.couplings, to_numpy),
            "intercept_visible_": to_numpy(machine.visible_bias),
            "intercept_hidden_": to_numpy(machine.hidden_bias),
            "_training_state": state.to_host(),
            **({} if scale is None else {"scale_": to_numpy(scale)}),
        }

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Leave the estimator as it was if the body raises, unless what it has learned is kept."""
        before = dict(self.__dict__)
        try:
            yield
        except CutShort:
            raise
        except BaseException:
            # Callback bookkeeping belongs to scikit-learn, which ends it after us.
            ours = {name for name in {**self.__dict__, **before} if "callback" not in name}
            for name in ours - before.keys():
                del self.__dict__[name]
            self.__dict__.update({name: before[name] for name in ours & before.keys()})
            raise
