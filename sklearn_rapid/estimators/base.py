"""The base class of all estimators: fit, partial_fit, transform, inverse_transform.

No arithmetic here: methods validate, convert units and delegate.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from functools import partial
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
from sklearn_rapid.estimators.methods.conditional import ConditionalMixin
from sklearn_rapid.estimators.methods.likelihood import LikelihoodMixin
from sklearn_rapid.estimators.methods.rows import RowsMixin
from sklearn_rapid.estimators.methods.sampling import SamplingMixin
from sklearn_rapid.estimators.model import ModelMixin
from sklearn_rapid.machine.clamped import fill_with_mean_field
from sklearn_rapid.machine.couplings import Couplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.columns import names_of
from sklearn_rapid.tables.encoder import CHUNK, Encoder
from sklearn_rapid.tables.missing import exclude_empty_rows
from sklearn_rapid.tables.table import Table
from sklearn_rapid.training.fit.fit import train, train_independent_columns, train_on_stream
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.fit.progress import CutShort
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.settings import positive_phase_from
from sklearn_rapid.training.fit.starts import FromModel, FromScratch, FromUnfinished
from sklearn_rapid.training.positive_phase import NONE_MISSING, ClampedChains, PositivePhase
from sklearn_rapid.training.steps.projections import Projection


class BaseRBM(
    VersionedPickle,
    ModelMixin,
    InputMixin,
    LikelihoodMixin,
    RowsMixin,
    SamplingMixin,
    ConditionalMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of the estimators; a subclass defines its couplings."""

    # --- what a subclass defines --------------------------------------------------------

    # Letters of the axes of the fitted arrays: visible and hidden units, patterns.
    _fitted_shapes: ClassVar[dict[str, tuple[str, ...]]] = {
        "intercept_visible_": ("V",),
        "intercept_hidden_": ("H",),
    }

    # The learning rate that "auto" starts at.
    _first_rate: ClassVar[float] = 0.25

    _couplings_class: ClassVar[type]

    @abstractmethod
    def _initial_parameters(self, n_visible: int, seed: int) -> tuple[np.ndarray, ...]:
        """Draw the parameters of the couplings before training."""

    @property
    @abstractmethod
    def _fitted_parameters(self) -> tuple[np.ndarray, ...]:
        """The parameters of the couplings, from fitted attributes."""

    @abstractmethod
    def _coupling_attributes(self, couplings: Couplings, to_numpy: Callable) -> dict[str, Any]:
        """Convert couplings to fitted attributes."""

    @property
    def _n_hidden_side(self) -> int:
        """Number of units on the hidden side of the machine."""
        return int(self.n_components)

    # One where units are coupled, shape (V, H); None if all are.
    _mask: Any = None
    # Lengths of axes of the fitted arrays, by their letters, besides V, if known.
    _known_sizes: ClassVar[dict[str, int]] = {}

    # --- training -----------------------------------------------------------------------

    @with_callbacks
    @with_validated_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on X for `max_iter` epochs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Binary data, see `units` and `binarize` for what its values mean; or real columns or
            categories, see `visible`. NaN, in dense X, marks missing entries: the model is fitted
            to the known entries of each row.
        y : ignored
            Only passed to callbacks.
        sample_weight : array-like of shape (n_samples,), default=None
            Relative weights of the rows, in the means over each batch. Rows of weight zero are
            left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters or data that cannot be used. The earlier fit is kept.

        Warns
        -----
        ConvergenceWarning
            If training diverged. The parameters are then those of the last good epoch.
        UserWarning
            If the user interrupted it (KeyboardInterrupt). The model so far is kept;
            `sklearn_rapid.callbacks.resume` finishes the fit.
        """
        is_warm = self.warm_start and hasattr(self, "_training_state")
        start = FromModel() if is_warm else FromScratch()
        return self._fit_from(start, X, y, sample_weight, every_column=True)

    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train on the rows of X once, in order, in batches of `batch_size`.

        Chunks of whole batches lead to the same model as a `fit` without shuffling, except for
        penalties. The learning rate falls if `n_updates` is set, and stays that of a first epoch
        otherwise.

        A call counts as an epoch in `n_iter_`, and adds a row to `history_` ("seconds" are those of
        the call, the learning rate is that of its last update), which is printed with `verbose`.
        From 1000 rows on, `history_` drops its oldest row.

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
            X, weights = self._validate_training_rows(X, sample_weight, start)
            train_on_stream(self._plan(X), X, weights, start)
        return self

    # --- features -----------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute hidden features of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            E[h | v], or a sample of h with ``hidden_features="sample"`` (the same at every call),
            in the range of `units`. Missing entries of X are completed by mean field, or by states
            of chains for a sample.
        """
        check_is_fitted(self)
        stream = self._own_stream()

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            features = self._features(machine.backend)
            if self.hidden_features == "sample":
                v = ClampedChains().states(machine, v, stream) if encoder.missing else v
                return features.decode(machine.sample_hidden(v, stream))
            v = fill_with_mean_field(machine, v) if encoder.missing else v
            return machine.hidden_mean(v, out=out, to_unit=features.to_unit)

        return self._map_rows(X, compute, (self._n_features_out,), takes_sparse=True)

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Compute visible means given hidden features.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_components)
            Hidden features in the range of `units`; any numbers with ``hidden="gaussian"``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            E[v | h] for features h that are means of hidden units; in the units of X. Categories
            have their most likely code: codes have no mean.
        """
        check_is_fitted(self)
        given = H
        H = check_array(H, "H", (None, self._n_features_out))
        H = H.toarray() if sparse.issparse(H) else H
        model = self._model(H)
        backend, encoder, features = model.backend, model.encoder(), self._features(model.backend)
        features.check(H)
        with backend.running():
            machine = model.machine.for_rows(CHUNK)
            means = self._means_given_features(machine, encoder, features.means(H))
            rows = self._as_array_like(H, means, backend, self._dtype_of_rows)
        return self._as_frame(rows, given)

    # --- scikit-learn -------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        # Before there is a model, `fit` sets attributes of the columns.
        return hasattr(self, "intercept_hidden_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.units == "binary" and self.visible in ("auto", "binary")
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = self.visible == "categorical"
        # Features have the model's `dtype`, not that of X.
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.intercept_hidden_)

    # --- training, inside ---------------------------------------------------------------

    def _fit_from(
        self, start: FromScratch, X: Any, y: Any, sample_weight: Any, *, every_column: bool = False
    ) -> Self:
        """Fit from this start, with callbacks."""
        with restored_on_error(self, unless=CutShort):
            X, weights = self._validate_training_rows(X, sample_weight, start, every_column)
            plan = self._plan(X)
            n_epochs = start.epochs_left(plan, X, weights)
            train(plan, X, y, weights, start, callback_context(self, n_epochs))
        return self

    def _validate_training_rows(
        self, X: Any, sample_weight: Any, start: FromScratch, every_column: bool = False
    ) -> tuple[Any, np.ndarray | None]:
        """Validate rows to train on and their weights; a fresh start measures the columns."""
        X = self._validate(X, reset=start.is_fresh, missing=True)
        weights = check_weights(sample_weight, X.shape[0])
        names = names_of(vars(self).get("frame_"), range(self.n_features_in_))
        weights = exclude_empty_rows(X, weights, every_column=every_column, names=names)
        if start.is_fresh and not isinstance(self.visible, Table):
            table = self._table.measure(*self._first_rows(X, weights), self._backend(X))
            vars(self).update(table.attributes())
        return X, weights

    def _plan(self, X: Any) -> Plan:
        """Collect what a fit to these rows needs of the estimator."""
        return Plan(
            estimator=self,
            table=self._table,
            backend=self._backend(X),
            dtype=self._dtype,
            hidden_units=self._hidden_units,
            positive_phase=self._positive_phase(X),
            projection=self._projection(),
            first_rate=self._first_rate,
            first_rows=partial(self._first_rows, X),
            run_class=self._run_class(X),
            unfinished=vars(self).get("_unfinished"),
            initial_couplings=self._initial_couplings,
            published=self._published,
            state_of=self._state_of,
            sizes_of=self._sizes_of,
        )

    def _run_class(self, X: Any) -> type[Run]:
        """Get the class that makes the updates of a fit to X."""
        return Run

    def _positive_phase(self, X: Any) -> PositivePhase:
        """Make the positive phase, which completes rows of X."""
        if self._n_latent:
            return positive_phase_from(self.positive_phase)
        # Codes not seen in fit may be missing, too.
        is_array = isinstance(X, np.ndarray) or is_cupy_array(X)
        missing = is_array and self._table.encoder(self._backend(X), X).missing
        return ClampedChains() if missing else NONE_MISSING

    def _projection(self) -> Projection:
        """Make the projection of patterns after updates."""
        return Projection(None)

    # --- inside -------------------------------------------------------------------------

    def _means_given_features(self, machine: Machine, encoder: Encoder, h: Any) -> Any:
        """Compute E[v | h] in the units of X from means of hidden units that are features."""
        return encoder.decode_means(encoder.unit_means(machine, h))

    def _sizes_of(self, machine: Machine) -> dict[str, int]:
        """Get the values that parameters need for a machine of this size."""
        sizes = {"n_components": machine.n_hidden}
        if machine.couplings.uses_patterns:
            sizes["n_patterns"] = machine.couplings.n_patterns
        return sizes


def fit_independent_columns(
    estimator: BaseRBM, X: Any, sample_weight: Any = None, n_added: float = 1.0
) -> BaseRBM:
    """Fit biases alone, without training: columns are independent if `init_scale` is zero.

    Parameters
    ----------
    estimator : RBM
    X : array of shape (n_samples, n_columns)
    sample_weight : array of shape (n_samples,), optional
    n_added : float, default=1.0
        Number of rows added in which all states are equally likely. One is half a count for each
        value of a binary column (Krichevsky and Trofimov 1981).
    """
    with restored_on_error(estimator, unless=CutShort):
        start = FromScratch()
        X, weights = estimator._validate_training_rows(X, sample_weight, start, True)
        train_independent_columns(estimator._plan(X), X, weights, n_added)
    return estimator


@with_callbacks
@with_validated_parameters
def continue_fit(estimator: BaseRBM, X: Any, y: Any, sample_weight: Any) -> BaseRBM:
    """Continue a fit that was cut short, with the result of an uninterrupted one."""
    return estimator._fit_from(FromUnfinished(), X, y, sample_weight)
