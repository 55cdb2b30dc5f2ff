"""The estimator BoltzmannClassifier: labels by a joint density of rows and labels."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.compat import restored_on_error, with_validated_parameters
from sklearn_rapid.estimators.fitted import VersionedPickle
from sklearn_rapid.tables.frames import is_frame, read_all_columns
from sklearn_rapid.tables.kinds import wanted_kinds
from sklearn_rapid.tasks.rows import DENSITY_CONSTRAINTS, make_density, validate_rows


class BoltzmannClassifier(VersionedPickle, ClassifierMixin, BaseEstimator):
    """Classify rows of a table by a joint density of rows and labels.

    The label is one more categorical column of the density, and its probabilities are those given
    the known entries of a row. Any entries may be missing, in `fit` and later.

    Parameters
    ----------
    estimator : BoltzmannDensity, RBM or RARBM, default=None
        The density; it is cloned. None means a `BoltzmannDensity`. Its `visible` and `categories`
        are about the columns of X: those of an array are binary to an `RBM` by default.
    random_state : int, RandomState instance or None, default=None
        Of the default density; another `estimator` has its own.
    verbose : int, default=0
        Whether the default density prints its trials.
    time_limit : float, default=None
        Seconds that the default density may take for `fit`.
    n_jobs : int, default=None
        Of the default density.

    Attributes
    ----------
    estimator_ : BoltzmannDensity, RBM or RARBM
        The fitted density of the columns of X, and last the number of the class.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    label_ : int or str
        The name of the label's column in `estimator_`, or its number if X was an array.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    See Also
    --------
    BoltzmannDensity.conditional : distributions of any column of a table.

    Notes
    -----
    Probabilities are exact up to rounding for rows whose entries are known. Missing entries are
    summed over: exactly where they are few, and by annealing otherwise. The density is of all
    columns, not of the label alone: classifiers that model only the label given a row are often
    more accurate where rows are many and whole.

    References
    ----------
    Larochelle and Bengio (2008), "Classification using discriminative restricted Boltzmann
    machines", where this is the generative one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import RBM, BoltzmannClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = rng.choice(["no", "yes"], size=200)
    >>> X = (rng.random((200, 4)) < np.where(y == "yes", 0.9, 0.1)[:, None]).astype(float)
    >>> classifier = BoltzmannClassifier(RBM(2, max_iter=40, random_state=0)).fit(X, y)
    >>> classifier.predict([[1, 1, np.nan, 1], [0, np.nan, np.nan, 0]])
    array(['yes', 'no'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict] = DENSITY_CONSTRAINTS

    def __init__(
        self,
        estimator: Any = None,
        *,
        random_state: Any = None,
        verbose: int = 0,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.random_state = random_state
        self.verbose = verbose
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    @with_validated_parameters
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the density to rows and their labels.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            NaN, or a missing value of a frame, is a missing entry.
        y : array-like of shape (n_samples,)
            Labels of two classes at least, none of them missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Relative weights of the rows.

        Returns
        -------
        self
        """
        with restored_on_error(self, unless=()):
            X = validate_rows(self, X, reset=True, y=y)
            y = _validate_labels(y)
            check_consistent_length(X, y, sample_weight)
            self.classes_, codes = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                found = describe(self.classes_[0])
                raise ValueError(f"y must hold 2 classes at least, got 1 class: {found}")
            density = make_density(self, self.random_state)
            X, names = self._add_label(X, codes)
            density.set_params(**_parameters_with_label(density, names))
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            self.estimator_ = density.fit(X, **weights)
        return self

    def _add_label(self, X: Any, codes: np.ndarray) -> tuple[Any, list]:
        """Add the column of the label; return names or numbers of the columns, too."""
        if not is_frame(X):
            self.label_ = X.shape[1]
            return np.column_stack([X, codes]), list(range(X.shape[1] + 1))
        schema, columns = read_all_columns(X)
        names = [column.name for column in schema.columns]
        label = "label"
        if all(isinstance(name, str) for name in names):
            while label in names:
                label += "_"
        elif len(schema.level_names) == 1:  # scikit-learn refuses strings beside other names
            label = next(number for number in count(len(names)) if number not in names)
        schema = schema.with_columns([label], "integers")
        self.label_ = schema.columns[-1].name
        return schema.build([*columns, codes], index_of=X), [*names, self.label_]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the probability of each class given the known entries of each row.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        X = validate_rows(self, X, reset=False)
        if not is_frame(X):
            X = np.column_stack([X, np.full(len(X), np.nan)])
        # A last column may have the probability of codes that fit has not seen.
        p = self.estimator_.conditional(X, self.label_)[:, : len(self.classes_)]
        return p / p.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the most likely class of each row.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        p = self.predict_proba(X)
        return self.classes_[np.argmax(p, axis=1)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _validate_labels(y: Any) -> np.ndarray:
    """Validate labels, as scikit-learn does; ValueError for missing ones."""
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    if y.dtype == object and any(label is None for label in y):
        raise ValueError("y has missing labels: leave such rows out")
    check_classification_targets(y)
    return y


def _parameters_with_label(density: Any, names: list) -> dict[str, Any]:
    """Make `visible` and `categories` of a table with the label, the last of these columns."""
    *own, label = names
    kinds = wanted_kinds(density.visible, len(own), own)
    found = {"visible": {**dict(zip(own, kinds, strict=True)), label: "categorical"}}
    if isinstance(density.categories, list | tuple):
        found["categories"] = [*density.categories, None]
    return found
