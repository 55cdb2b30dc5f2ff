"""What all estimators share: the scikit-learn surface around a machine and its training.

No arithmetic here: methods validate, convert units at the border and delegate.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
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

from sklearn_rapid.backends import is_cupy_array
from sklearn_rapid.checks.arguments import check_weights
from sklearn_rapid.checks.arrays import check_array
from sklearn_rapid.checks.compat import (
    callback_context,
    restored_on_error,
    validate_parameters,
    with_validated_parameters,
)
from sklearn_rapid.estimators.fitted import VersionedPickle
from sklearn_rapid.estimators.input import InputMixin
from sklearn_rapid.estimators.likelihood import LikelihoodMixin
from sklearn_rapid.estimators.model import ModelMixin
from sklearn_rapid.estimators.sampling import SamplingMixin
from sklearn_rapid.machine.clamped import filled_with_means
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.encoder import CHUNK, Encoder, chunks
from sklearn_rapid.tables.missing import has_missing, weights_of_known
from sklearn_rapid.training.fit.fit import train, train_on_stream
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import CutShort
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.settings import positive_phase_from
from sklearn_rapid.training.fit.starts import FromModel, FromScratch, FromUnfinished
from sklearn_rapid.training.positive_phase import AS_THEY_ARE, ClampedChains, PositivePhase
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.steps.projections import Projection


class BaseRBM(
    VersionedPickle,
    ModelMixin,
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
    @with_validated_parameters
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
        goes_on = self.warm_start and hasattr(self, "_training_state")
        start = FromModel() if goes_on else FromScratch()
        return self._fitted(X, y, sample_weight, start, every_column=True)

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
        with restored_on_error(self, unless=CutShort):
            start = FromModel() if hasattr(self, "_training_state") else FromScratch()
            X, weights = self._checked_rows(X, sample_weight, start)
            train_on_stream(self._plan(X), X, weights, start)
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

        def hidden(machine: Machine, encoder: Encoder, v: Any, out: Any) -> Any:
            features = self._features(machine.backend)
            if self.hidden_features == "sample":
                v = ClampedChains().states(machine, v, stream) if encoder.missing else v
                return features.decode(machine.sample_hidden(v, stream))
            v = filled_with_means(machine, v) if encoder.missing else v
            return machine.hidden_mean(v, out=out, to_unit=features.to_unit)

        return self._by_chunks(X, hidden, (self._n_features_out,), self._dtype, bits_will_do=True)

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
        H = check_array(H, "H", (None, self._n_features_out))
        H = H.toarray() if sparse.issparse(H) else H
        model = self._model(H)
        backend, encoder, features = model.backend, model.encoder(), self._features(model.backend)
        features.check(H)
        with backend.running():
            h = self._hidden_side(features.means(H), backend)
            means = encoder.unit_means(model.machine.for_rows(CHUNK), h)
            rows = self._returned(encoder.decode_means(means), backend, like=H)
        return self._as_frame(rows, given)

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

    # --- training, inside ---------------------------------------------------------------

    def _fitted(
        self, X: Any, y: Any, sample_weight: Any, start: FromScratch, *, every_column: bool = False
    ) -> Self:
        """The estimator after a fit from this start, with callbacks."""
        with restored_on_error(self, unless=CutShort):
            X, weights = self._checked_rows(X, sample_weight, start, every_column=every_column)
            plan = self._plan(X)
            n_epochs = start.epochs_left(plan, X, weights)
            train(plan, X, y, weights, start, callback_context(self, n_epochs))
        return self

    def _checked_rows(
        self, X: Any, sample_weight: Any, start: FromScratch, *, every_column: bool = False
    ) -> tuple[Any, np.ndarray | None]:
        """Rows to train on and their weights; columns are measured at a first start."""
        X = self._validate(X, reset=start.is_fresh, missing=True)
        weights = check_weights(sample_weight, X.shape[0])
        weights = weights_of_known(X, weights, every_column=every_column)
        if start.is_fresh:
            table = self._table.measured(X, weights, self._backend(X))
            vars(self).update(table.attributes())
        return X, weights

    def _plan(self, X: Any) -> Plan:
        """What a fit to these rows is given."""
        return Plan(
            estimator=self,
            table=self._table,
            backend=self._backend(X),
            dtype=self._dtype,
            hidden_units=self._hidden_units,
            positive_phase=self._positive_phase(X),
            projection=self._projection(),
            first_rate=self._first_rate,
            shown_values=self._shown_values(X),
            run_class=self._run_class(X),
            unfinished=vars(self).get("_unfinished"),
            initial_couplings=self._initial_couplings,
            published=self._published,
            state_of=self._state_of,
            sizes_of=self._sizes_of,
        )

    def _run_class(self, X: Any) -> type[Run]:
        """What makes the updates of a fit to X."""
        return Run

    def _positive_phase(self, X: Any) -> PositivePhase:
        """What completes rows of X."""
        if self._n_latent:
            return positive_phase_from(self.positive_phase)
        return ClampedChains() if has_missing(X) else AS_THEY_ARE

    def _projection(self) -> Projection:
        """What is done to patterns after updates."""
        return Projection(None)

    # --- inside -------------------------------------------------------------------------

    @property
    def _known_sizes(self) -> dict[str, int]:
        """Lengths of axes of the fitted arrays that are known, by their letters."""
        return {"V": self._table.n_units}

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
        """Apply a function to the states of the rows of X, a chunk at a time.

        It is called with a machine, an encoder, the rows and an array to write to, which it may
        leave alone. Where bits will do, rows of a sparse X stay sparse. Results are where X is.
        Rows have NaN for what is missing, if `missing` of the encoder says so.
        """
        X = self._validate(X, reset=False, missing=missing)
        model = self._model(X)
        backend, on_device = model.backend, is_cupy_array(X)
        with backend.running():
            machine, encoder = model.machine.for_rows(CHUNK), model.encoder(self._shown_values(X))
        where = backend.xp if on_device else np
        keeps_sparse = bits_will_do and encoder.keeps_sparse(X)
        read = encoder.bits if keeps_sparse else encoder.states
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

    def _published(self, state: TrainingState) -> dict[str, Any]:
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


@with_callbacks
@with_validated_parameters
def continue_fit(estimator: BaseRBM, X: Any, y: Any, sample_weight: Any) -> BaseRBM:
    """Go on with a fit that was cut short, to end as if it had not been."""
    return estimator._fitted(X, y, sample_weight, FromUnfinished())
