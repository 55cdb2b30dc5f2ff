"""The estimator BoltzmannDensity: a density of rows that needs no choosing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import check_count, check_option, check_weights, draw_seed
from sklearn_rapid.checks.compat import (
    Count,
    Interval,
    StrOptions,
    restored_on_error,
    with_validated_parameters,
)
from sklearn_rapid.estimators.fitted import VersionedPickle
from sklearn_rapid.estimators.input import InputMixin
from sklearn_rapid.tables.columns import find_places, names_of
from sklearn_rapid.tables.frames import is_frame
from sklearn_rapid.tables.kinds import KINDS
from sklearn_rapid.tables.missing import exclude_empty_rows
from sklearn_rapid.tables.settings import find_column
from sklearn_rapid.tasks.mixture.fitting import Limits, fit_mixture, make_views, search_candidates
from sklearn_rapid.tasks.mixture.search import Rows, Trial
from sklearn_rapid.tasks.mixture.views import remove_unseen_bits


class BoltzmannDensity(VersionedPickle, InputMixin, DensityMixin, BaseEstimator):
    """Density of the rows of a table: a mixture of Boltzmann machines.

    Machines of several kinds, sizes and penalties are trained on a part of the rows, for longer
    where that pays; independent columns are always among them. Their weights in the mixture make
    rows set aside most likely, and those with a weight are fitted again, to all rows. Each has a
    trusted log Z, so that likelihoods are those of a normalised density.

    Parameters
    ----------
    visible : str, list of (kind, columns) or dict, default="auto"
        The kinds of the columns of X, as for `RBM`. "auto": what the values of each column say, in
        frames and in arrays: two values are binary or categorical, a few numbers are categories,
        others are real. Numbers in [0, 1] are never read as probabilities.
    categories : "auto", list or dict, default="auto"
        The codes of categorical columns, as for `RBM`.
    min_frequency : int or float in (0, 1), default=None
        Codes of fewer rows share a unit, as for `RBM`.
    handle_unknown : {"error", "infrequent"}, default="infrequent"
        Whether codes not seen in `fit` are refused, or have a small probability, as for `RBM`.
    groups : "auto" or None, default="auto"
        Whether neighbouring binary columns of which at most one is on in each row of `fit`, such as
        one-hot columns, may be taken for one column of codes.
    candidates : "auto" or list of RBM or RARBM, default="auto"
        Machines to try besides independent columns.
    time_limit : float, default=None
        Seconds that `fit` may take. None means a fixed amount of work, a minute or two on two
        cores, and the same model for the same `random_state`; with a limit, a model depends on the
        machine's speed.
    n_jobs : int, default=None
        Machines trained at the same time, in processes. None means one, with all threads.
    n_threads : int, default=None
        Threads of each. None means all if `n_jobs` is one or None, and one otherwise.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        Whether to print each trial.

    Attributes
    ----------
    members_ : list of RBM or RARBM
        The fitted machines of the mixture, on rows of numbers; the first has independent columns.
    weights_ : ndarray of shape (n_members,)
        Their weights, which add up to one.
    log_partitions_ : list of LogPartition
        Their log Z, with errors.
    groups_ : list of ndarray
        Groups of exclusive columns that were found.
    trials_ : list of Trial
        What was tried: `name`, `n_updates`, `score` (mean log-likelihood of rows set aside, in
        nats), `is_trusted`, `seconds`.
    score_aside_ : float
        Mean log-likelihood of the rows set aside by the mixture before it was fitted to all rows.
        The weights were chosen by the same rows.
    error_ : float
        Standard error of the log-likelihoods by those of log Z.
    visible_ : list of (str, ndarray)
        The columns of each kind.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    See Also
    --------
    RBM : one machine, whose parameters are chosen by the user.

    References
    ----------
    Smyth and Wolpert (1999), "Linearly combining density estimators via stacking", for the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import BoltzmannDensity
    >>> rng = np.random.default_rng(0)
    >>> bits = rng.integers(2, size=(300, 1))
    >>> X = np.where(rng.random((300, 6)) < 0.1, 1 - bits, bits)
    >>> density = BoltzmannDensity(time_limit=4, random_state=0).fit(X[:200])
    >>> bool(density.score(X[200:]) > -3.5), f"{-6 * np.log(2):.1f} nats of six coins"
    (True, '-4.2 nats of six coins')
    """

    _parameter_constraints: ClassVar[dict] = {
        "visible": [StrOptions({"auto", *KINDS}), list, tuple, dict],
        "categories": [StrOptions({"auto"}), list, tuple, dict],
        "min_frequency": [Count(), Interval(Real, 0, 1, closed="neither"), None],
        "handle_unknown": [StrOptions({"error", "infrequent"})],
        "groups": [StrOptions({"auto"}), None],
        "candidates": [StrOptions({"auto"}), list],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [int, None],
        "n_threads": [Count(), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    units, binarize, dtype, backend = "binary", "auto", "float32", "auto"
    _reads_values = True

    def __init__(
        self,
        *,
        visible: Any = "auto",
        categories: Any = "auto",
        min_frequency: Any = None,
        handle_unknown: str = "infrequent",
        groups: str | None = "auto",
        candidates: Any = "auto",
        time_limit: float | None = None,
        n_jobs: int | None = None,
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.visible = visible
        self.categories = categories
        self.min_frequency = min_frequency
        self.handle_unknown = handle_unknown
        self.groups = groups
        self.candidates = candidates
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    # --- fit ----------------------------------------------------------------------------

    @with_validated_parameters
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Try machines on a part of the rows, and fit a mixture of the best to all of them.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            NaN, or a missing value of a frame, is a missing entry.
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Relative weights of the rows.

        Returns
        -------
        self

        Warns
        -----
        RuntimeWarning
            If no machine has a trusted log Z, or there is no time for any: then columns are
            independent.
        """
        began = time.perf_counter()
        with restored_on_error(self, unless=()):
            X, weights = self._read_training_rows(X, sample_weight)
            how = (self._column_settings, self._backend(X))
            views, self.groups_ = make_views(
                self._table, X, weights, *how, with_groups=self.groups == "auto"
            )
            rows = Rows(X, weights, draw_seed(self.random_state) % 2**32)
            limits = Limits(self.time_limit, self.n_jobs, self._n_threads, began)
            models = None if self.candidates == "auto" else self.candidates
            search = search_candidates(rows, views, models, limits, self._print_trial)
            self._mixture, self.score_aside_ = fit_mixture(search, limits)
            self.trials_ = [replace(trial, member=None) for trial in search.trials]
        return self

    def _read_training_rows(self, X: Any, sample_weight: Any) -> tuple[Any, np.ndarray | None]:
        X = self._validate(X, reset=True, missing=True)
        weights = check_weights(sample_weight, X.shape[0])
        names = names_of(vars(self).get("frame_"), range(self.n_features_in_))
        weights = exclude_empty_rows(X, weights, every_column=True, names=names)
        if weights is not None:
            X, weights = X[weights > 0.0], weights[weights > 0.0]
        if X.shape[0] < 2:
            raise ValueError(f"a density needs at least 2 rows, got n_samples = {X.shape[0]}")
        table = self._table.measure(X, weights, self._backend(X))
        vars(self).update(table.attributes())
        self._n_rows = X.shape[0]
        return X, weights

    def _print_trial(self, trial: Trial) -> None:
        if self.verbose:
            trust = "" if trial.is_trusted else ", log Z not trusted"
            print(
                f"[BoltzmannDensity] {trial.name}, {trial.n_updates} updates: "
                f"{trial.score:.3f} nats a row set aside{trust}, {trial.seconds:.1f} s"
            )

    # --- what was fitted ----------------------------------------------------------------

    @property
    def members_(self) -> list:
        """The fitted machines of the mixture."""
        check_is_fitted(self)
        return [member.model for member in self._mixture.members]

    @property
    def weights_(self) -> np.ndarray:
        """Weights of the members."""
        check_is_fitted(self)
        return self._mixture.weights

    @property
    def log_partitions_(self) -> list:
        """Log Z of each member."""
        check_is_fitted(self)
        return [member.log_z for member in self._mixture.members]

    @property
    def error_(self) -> float:
        """Standard error of log-likelihoods by those of log Z, averaged as probabilities are."""
        return float(self.weights_ @ [log_z.error for log_z in self.log_partitions_])

    # --- rows ---------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-likelihood of each row, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows with missing entries have the log-likelihood of their known entries.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of real columns it is the logarithm of a density per unit of X. In a column of zeros and
            ones, any other number has a probability of 1 / (n + 2), with n rows of `fit`.
        """
        check_is_fitted(self)
        X, n_unseen = self._without_unseen(self._validate_array(X, missing=True))
        return self._mixture.log_likelihoods(X) - n_unseen * np.log(self._n_rows + 2.0)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute the mean log-likelihood of the rows of X, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        log_p = self.score_samples(X)
        return float(np.average(log_p, weights=check_weights(sample_weight, len(log_p))))

    def conditional(self, X: ArrayLike, column: Any) -> np.ndarray:
        """Compute the distribution of a column given the other columns of each row.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Entries of the column itself are not read; a frame may leave it out.
        column : int or str
            Number or name of a column.

        Returns
        -------
        ndarray of shape (n_samples, n_values) or (n_samples, 2)
            As of `RBM.conditional`: probabilities of the values of a binary or categorical column,
            or mean and standard deviation of a real one.
        """
        check_is_fitted(self)
        table = self._table
        names = names_of(table.schema, range(table.n_columns)) or table.names
        column = find_column(column, table.n_columns, names, "column")
        X, _ = self._without_unseen(self._validate_conditions(X, unread=column))
        return self._mixture.conditional(np.asarray(X, dtype=np.float64), column)

    def sample(
        self, n_samples: int = 1, *, conditions: Any = None, random_state: Any = None
    ) -> Any:
        """Draw rows from the density.

        Parameters
        ----------
        n_samples : int, default=1
            Rows, or rows for each row of `conditions`.
        conditions : frame or array-like, default=None
            Rows to complete: their known entries are kept, and others are drawn given these.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray or frame of shape (n_samples, n_features)
            A frame like X, if that was one.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples, 1)
        seed = draw_seed(random_state) % 2**32
        if conditions is None:
            return self._as_frame(self._mixture.sample(n_samples, self.n_features_in_, seed))
        X = np.asarray(self._validate_conditions(conditions), dtype=np.float64)
        filled = self._fill(np.repeat(X, n_samples, axis=0), self._mixture.draw_given, seed)
        is_of_fit = is_frame(conditions) and "frame_" in vars(self)
        places = find_places(conditions, self.frame_) if is_of_fit else None
        return self._as_frame(filled, conditions, places, n_samples)

    def reconstruct(
        self,
        X: ArrayLike,
        *,
        n_gibbs_steps: int = 100,
        output: str = "sample",
        random_state: Any = None,
    ) -> Any:
        """Fill in the missing entries of each row given the others.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            NaN, or a missing value of a frame, where an entry is missing.
        n_gibbs_steps : int, default=100
            Of chains, for means of rows with many completions.
        output : {"sample", "mean"}, default="sample"
            One draw of the missing entries, or the mean of each of them. Of categories it is the
            most likely one, and of real columns the value at the mean of what a unit carries.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray or frame of shape (n_samples, n_features)
            Known entries are those of X.
        """
        check_is_fitted(self)
        n_gibbs_steps = check_count("n_gibbs_steps", n_gibbs_steps, 1)
        check_option("output", output, ("sample", "mean"))
        given, seed = X, draw_seed(random_state) % 2**32
        X = self._validate_array(X, missing=True)
        X = np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)
        if output == "sample":
            return self._as_frame(self._fill(X, self._mixture.draw_given, seed), given)
        fill = partial(self._mixture.fill_with_means, n_steps=n_gibbs_steps)
        return self._as_frame(self._fill(X, fill, seed), given)

    def _fill(self, X: np.ndarray, fill: Callable, seed: int) -> np.ndarray:
        """Fill in missing entries; entries that binary columns cannot hold stay as they are."""
        known, _ = self._without_unseen(X)
        return np.where(np.isnan(X), fill(known, seed=seed), X)

    def _without_unseen(self, X: Any) -> tuple[Any, np.ndarray]:
        columns = dict(self._table.kinds).get("binary", np.zeros(0, dtype=np.int64))
        return remove_unseen_bits(X, columns, are_refused=self.handle_unknown == "error")

    # --- scikit-learn -------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_mixture")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags
