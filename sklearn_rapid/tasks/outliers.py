"""The estimator BoltzmannOutlierDetector: rows that a density makes unlikely."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arrays import compute_if_dask
from sklearn_rapid.checks.compat import Count, Interval, StrOptions, with_validated_parameters
from sklearn_rapid.estimators.fitted import VersionedPickle
from sklearn_rapid.estimators.input import InputMixin
from sklearn_rapid.tables.frames import FrameSchema, is_frame
from sklearn_rapid.tasks.rows import DENSITY_CONSTRAINTS, make_density
from sklearn_rapid.tasks.surprisals import compute_surprisals

# With contamination="auto", odd rows are below the median by so many times the distance from it to
# the upper quartile, and by at least so many nats.
SPREADS, FEWEST_NATS = 6.0, 10.0


class BoltzmannOutlierDetector(VersionedPickle, OutlierMixin, BaseEstimator):
    """Detector of odd rows of a table: those that a density makes unlikely.

    Parameters
    ----------
    estimator : BoltzmannDensity, RBM or other density of this package, default=None
        None means ``BoltzmannDensity(random_state=random_state)``, to which codes not seen in `fit`
        are unlikely, but no error.
    contamination : "auto" or float in (0, 0.5], default="auto"
        The share of the rows of `fit` that are odd. "auto": those whose log-likelihood is below the
        median by more than six times the distance from the median to the upper quartile, and by
        more than 10 nats. Odd rows hardly change these numbers while they are few.
    n_refits : int, default=0
        The number of times that the density is fitted again, each time without the rows that were
        odd to the last one, so that it does not learn from them. As the steps of Rousseeuw and Van
        Driessen (1999).
    random_state : int, RandomState instance or None, default=None
        Of the default density; another `estimator` has its own.
    verbose : int, default=0
        Whether the default density prints its trials.
    time_limit : float, default=None
        Seconds that the default density may take for each fit.
    n_jobs : int, default=None
        Of the default density.

    Attributes
    ----------
    estimator_ : estimator
        The fitted density.
    offset_ : float
        Rows with a log-likelihood below it are odd.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    See Also
    --------
    BoltzmannDensity : the density.
    sklearn.ensemble.IsolationForest : rows that random cuts isolate, with the same methods.

    Notes
    -----
    A row with missing entries has the likelihood of its known ones, which is higher than that of a
    whole row.

    A density may give each of the n rows that it is fitted to about one part in n, and 10 nats are
    more than log n up to 22,000 rows: where a small table has odd rows, say how many.

    References
    ----------
    Rousseeuw and Van Driessen (1999), "A fast algorithm for the minimum covariance determinant
    estimator".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import RBM, BoltzmannOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat([[0] * 6, [1] * 6], 100, axis=0) ^ (rng.random((200, 6)) < 0.03)
    >>> detector = BoltzmannOutlierDetector(RBM(2, random_state=0), contamination=0.05).fit(X)
    >>> rows = [[1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 0, 1]]
    >>> detector.predict(rows)
    array([ 1, -1])
    >>> detector.explain([[1, 0, 1, 1, 1, 1]]).argmax(axis=1)  # the second column
    array([1])
    """

    _parameter_constraints: ClassVar[dict] = {
        **DENSITY_CONSTRAINTS,
        "estimator": [InputMixin, None],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "n_refits": [Count(0)],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        contamination: str | float = "auto",
        n_refits: int = 0,
        random_state: Any = None,
        verbose: int = 0,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.n_refits = n_refits
        self.random_state = random_state
        self.verbose = verbose
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    @with_validated_parameters
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the density, and find the log-likelihood below which rows are odd.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            NaN, or a missing value of a frame, is a missing entry.
        y : ignored

        Returns
        -------
        self
        """
        weights = None
        for _ in range(self.n_refits + 1):
            fitted = make_density(self, self.random_state).fit(X, sample_weight=weights)
            scores = fitted.score_samples(X)
            offset = self._find_offset(scores)
            weights = (scores >= offset).astype(np.float64)
        self.estimator_, self.offset_ = fitted, offset
        vars(self).pop("feature_names_in_", None)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    def _find_offset(self, scores: np.ndarray) -> float:
        if self.contamination != "auto":
            return float(np.quantile(scores, self.contamination))
        median, upper = np.quantile(scores, [0.5, 0.75])
        return float(median - max(SPREADS * (upper - median), FEWEST_NATS))

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-likelihood of each row, in nats: the lower, the odder.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.estimator_.score_samples(X)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-likelihood of each row less `offset_`: below zero, a row is odd.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Tell odd rows (-1) from others (1).

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)

        Returns
        -------
        int ndarray of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0.0, -1, 1)

    def explain(self, X: ArrayLike) -> Any:
        """Compute how surprising each entry is given the others of its row, in nats.

        That is -log P(entry | other entries of the row), also of codes not seen in `fit`. A real
        entry has a density, which is no probability and depends on the unit: here P is the
        two-sided probability of the tail, of values at least as far out on the same side of the
        conditional median, doubled. Under the density, the mean of that is one nat (less with
        spikes), and that of other columns is their conditional entropy. Tails below exp(-35)
        count as that.

        Surprisals of a row do not add up to its score. Where two columns contradict each other,
        both are surprising; and where one is far out, others may be, too, given that one.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray or frame of shape (n_samples, n_features)
            Of a frame, one of floats with the same columns and index. Missing entries have NaN. A
            column of an exclusive group (`groups_` of the density), such as one-hot columns, says
            nothing new given the rest of the group: the surprisal of the group given other columns
            is that of the column that is on, or of all that are known in equal parts.
        """
        check_is_fitted(self)
        X = compute_if_dask(X, "X")
        found = compute_surprisals(self.estimator_, X)
        if not is_frame(X):
            return found
        return FrameSchema.read(X).with_floats().build(found.T, index_of=X)

    def __sklearn_tags__(self) -> Tags:
        tags, own = super().__sklearn_tags__(), get_tags(make_density(self, None)).input_tags
        tags.input_tags.sparse, tags.input_tags.allow_nan = own.sparse, own.allow_nan
        return tags
