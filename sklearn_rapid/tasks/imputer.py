"""The estimator BoltzmannImputer: fill in gaps of tables by a density of their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import draw_seed
from sklearn_rapid.checks.compat import (
    restored_on_error,
    wanted_output,
    with_validated_parameters,
)
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.estimators.fitted import VersionedPickle
from sklearn_rapid.tables.features import UNIT_RANGES
from sklearn_rapid.tables.frames import (
    FrameSchema,
    convert_schema,
    is_frame,
    read_all_columns,
    read_column,
)
from sklearn_rapid.tables.settings import label_columns
from sklearn_rapid.tasks.rows import DENSITY_CONSTRAINTS, make_density, validate_rows


class BoltzmannImputer(VersionedPickle, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill in missing entries of a table by a density of its rows.

    Each row is completed given all its known entries at once, whichever these are. Frames keep
    their columns, dtypes, categories and index.

    Parameters
    ----------
    estimator : BoltzmannDensity, RBM or RARBM, default=None
        The density; it is cloned. None means a `BoltzmannDensity`. Its `visible` says of what kinds
        the columns are: an `RBM` takes columns of an array for binary ones by default.
    sample_posterior : bool, default=False
        Whether to draw missing entries given the known ones, all of a row together, instead of the
        most likely value of each. Each call of `transform` makes new draws, for several imputations
        of the same rows.
    add_indicator : bool, default=False
        Whether to add a column of booleans for each column that had missing entries in `fit`, by
        scikit-learn's `MissingIndicator`.
    keep_empty_features : bool, default=False
        Whether to keep columns without a known value in `fit`, and fill them with zeros, as
        scikit-learn's imputers do. Text and categories, which have no zero, stay missing there.
    random_state : int, RandomState instance or None, default=None
        Of draws, and of the default density; another `estimator` has its own. As in
        `IterativeImputer`, `fit` makes a generator of it that moves on with each `transform`: after
        the same int the first draws are the same, and the second ones, which differ from these.
    verbose : int, default=0
        Whether the default density prints its trials.
    time_limit : float, default=None
        Seconds that the default density may take for `fit`.
    n_jobs : int, default=None
        Of the default density.

    Attributes
    ----------
    estimator_ : BoltzmannDensity, RBM or RARBM
        The fitted density of the columns that have known values.
    indicator_ : MissingIndicator or None
    random_state_ : RandomState
        The generator of draws.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    See Also
    --------
    BoltzmannDensity.sample : draws of missing entries, several for each row.

    Notes
    -----
    The most likely value is that of one entry given the known ones of its row, not of all missing
    entries together. Real columns have the value at the mean of what their unit carries, rounded
    like those of `fit`. It is exact for rows with few completions, and by chains for others.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import RBM, BoltzmannImputer
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(rng.integers(2, size=(100, 1)), 4, axis=1).astype(float)
    >>> imputer = BoltzmannImputer(RBM(4, max_iter=50, random_state=0)).fit(X)
    >>> imputer.transform([[1, np.nan, 1, np.nan], [np.nan, 0, 0, 0]])
    array([[1., 1., 1., 1.],
           [0., 0., 0., 0.]])
    """

    _parameter_constraints: ClassVar[dict] = {
        **DENSITY_CONSTRAINTS,
        "sample_posterior": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        sample_posterior: bool = False,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.sample_posterior = sample_posterior
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    @with_validated_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the density to rows with gaps.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            NaN, or a missing value of a frame, is a missing entry.
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If columns without known values are left out.
        """
        with restored_on_error(self, unless=()):
            X = validate_rows(self, X, reset=True)
            self._schema, columns = _read_columns(X)
            missing = _find_missing(columns)
            self._is_known = self._find_known_columns(missing)
            self.random_state_ = check_random_state(self.random_state)
            self._seed_of_means = draw_seed(self.random_state_) % 2**32
            X = self._without_empty(X, self._schema, columns)
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            self.estimator_ = make_density(self, self._seed_of_means).fit(X, **weights)
            self.indicator_ = None
            if self.add_indicator:
                self.indicator_ = MissingIndicator(error_on_new=False)
                self.indicator_.fit(np.where(missing, np.nan, 0.0))
        return self

    def transform(self, X: ArrayLike) -> Any:
        """Fill in the missing entries of rows.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray or frame of shape (n_samples, n_features_out)
            A frame like that of `fit`, if that was one; otherwise an array of float64. With
            `set_output`, another one. Known entries are those of X.
        """
        check_is_fitted(self)
        X = validate_rows(self, X, reset=False)
        schema, columns = _read_columns(X)
        missing = _find_missing(columns)
        filled = self._complete(self._without_empty(X, schema, columns))
        schema, columns = _read_columns(filled)
        if not self.sample_posterior:
            columns = self._round_probabilities(columns, schema, missing[:, self._is_known])
        if self.keep_empty_features:
            schema, columns = self._with_empty(schema, columns, X)
        if self.indicator_ is not None:
            columns += list(self.indicator_.transform(np.where(missing, np.nan, 0.0)).T)
        return self._as_output(columns, schema, X)

    def _find_known_columns(self, missing: np.ndarray) -> np.ndarray:
        """Mark columns with known values; with a warning, or an error if there are none."""
        is_known = ~missing.all(axis=0)
        if not is_known.any():
            raise ValueError("X must have an entry that is known, got only missing ones")
        if not is_known.all() and not self.keep_empty_features:
            schema = self._schema
            names = None if schema is None else tuple(column.name for column in schema.columns)
            warn(
                f"no value is known in {label_columns(np.flatnonzero(~is_known), names)} of X: "
                "left out of what transform returns. keep_empty_features=True keeps columns.",
                UserWarning,
            )
        return is_known

    def _without_empty(self, X: Any, schema: FrameSchema | None, columns: list) -> Any:
        """Select the columns of X that had known values in fit."""
        if self._is_known.all():
            return X
        if schema is None:
            return X[:, self._is_known]
        kept = np.flatnonzero(self._is_known)
        schema = replace(schema, columns=tuple(schema.columns[j] for j in kept))
        return schema.build([columns[j] for j in kept], index_of=X)

    def _with_empty(
        self, schema: FrameSchema | None, columns: list[np.ndarray], X: Any
    ) -> tuple[FrameSchema | None, list[np.ndarray]]:
        """Put the columns of X that had no known value in fit back, with zeros."""
        columns, described = list(columns), [] if schema is None else list(schema.columns)
        for j in np.flatnonzero(~self._is_known):
            own = None if schema is None else self._schema.columns[j]
            values = read_column(X, j, own) if is_frame(X) else X[:, j]
            if values.dtype != object:
                values = np.where(values == values, values, 0.0)
            columns.insert(j, values)
            described.insert(j, own)
        return schema and replace(schema, columns=tuple(described)), columns

    def _complete(self, X: Any) -> Any:
        with config_context(transform_output="default"):  # which is a frame like that of fit
            if self.sample_posterior:
                return self.estimator_.sample(conditions=X, random_state=self.random_state_)
            how = {"output": "mean", "random_state": self._seed_of_means}
            return self.estimator_.reconstruct(X, **how)

    def _round_probabilities(
        self, columns: list[np.ndarray], schema: FrameSchema | None, missing: np.ndarray
    ) -> list[np.ndarray]:
        """Round means of binary columns that are floats; other ones have values by now."""
        known, out = getattr(self.estimator_, "categories_", None), list(columns)
        low, high = UNIT_RANGES[self.estimator_.units]
        for j in dict(self.estimator_.visible_).get("binary", ()):
            is_coded = known is not None and known[j] is not None
            if not is_coded and (schema is None or schema.columns[j].holds == "numbers"):
                nearest = np.where(out[j] > 0.5 * (low + high), high, low)
                out[j] = np.where(missing[:, j], nearest, out[j])
        return out

    def _as_output(self, columns: list[np.ndarray], schema: FrameSchema | None, X: Any) -> Any:
        """Put columns into a frame like that of fit, or the container that is wanted."""
        wanted = wanted_output(self)
        if schema is None or wanted == "default":
            return np.column_stack(columns)
        if self.indicator_ is not None:
            names, n = self.get_feature_names_out().tolist(), len(schema.columns)
            if not hasattr(self, "feature_names_in_"):  # names that are no strings
                own = (replace(c, name=s) for c, s in zip(schema.columns, names[:n], strict=True))
                schema = replace(schema, columns=tuple(own), level_names=(None,))
            schema = schema.with_columns(names[n:], "booleans")
        if wanted is not None:
            schema = convert_schema(schema, wanted, columns)
        return schema.build(columns, index_of=X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Get the names of columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X, by default those of `fit`, or x0, x1, ...

        Returns
        -------
        ndarray of str
        """
        names = super().get_feature_names_out(input_features)
        kept = names if self.keep_empty_features else names[self._is_known]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _read_columns(X: Any) -> tuple[FrameSchema | None, list[np.ndarray]]:
    """Read the schema and the columns of a frame, or the columns of an array."""
    return read_all_columns(X) if is_frame(X) else (None, list(X.T))


def _find_missing(columns: list[np.ndarray]) -> np.ndarray:
    """Mark entries that are None or NaN."""
    are_missing = [x == None if x.dtype == object else x != x for x in columns]  # noqa: E711
    return np.column_stack(are_missing)
