"""Let the estimators fit and apply models to Dask collections."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_rapid.checks.arguments import (
    check_count,
    check_option,
    check_positive,
    check_weights,
    draw_seed,
)
from sklearn_rapid.dask._actor import check_negative_phase
from sklearn_rapid.dask._cluster import check_client, wait_for_workers
from sklearn_rapid.dask._extremes import find_extreme_rows
from sklearn_rapid.dask._first_rows import (
    BlockReader,
    FirstRows,
    common_dtype,
    find_first_rows,
    limit_values,
)
from sklearn_rapid.dask._lazy import is_collection, map_blocks, sample_blocks
from sklearn_rapid.dask._log_partition import combine_estimates, estimate_on_workers
from sklearn_rapid.dask._rows import RemoteRows, as_remote_rows
from sklearn_rapid.dask._run import DaskRun
from sklearn_rapid.estimators.methods.likelihood import resolve_method, warn_distrusted
from sklearn_rapid.machine.partition import LogPartition
from sklearn_rapid.tables.kinds import wanted_kinds
from sklearn_rapid.training.fit.run import Run
from sklearn_rapid.training.fit.settings import negative_phase_from
from sklearn_rapid.training.fit.starts import FromScratch

DASK_PARAMETERS = ("blocks_at_once", "client")


class DaskMixin:
    """Methods of the estimators for Dask collections; other arrays take the local methods."""

    _local_class: ClassVar[type]

    # --- training -----------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on the rows of a Dask collection for `max_iter` epochs, on all workers.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
            In chunks of whole rows, without missing entries. Columns are of the kinds that the
            class without Dask takes.
        y : ignored
            Handed to callbacks only.
        sample_weight : array-like or Dask array of shape (n_samples,), default=None
            As in the class without Dask. They stay on the client.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters, data or a cluster that cannot be used. An earlier fit stays.
        RuntimeError
            If no workers are left and none comes back within a minute, or if lost rows cannot be
            read again. The model is then that of the last whole epoch, if there was one.

        Warns
        -----
        RuntimeWarning
            If the fit lost a worker and went on without it.
        """
        if not is_collection(X):
            raise TypeError(
                f"X must be a Dask array or data frame here, got {type(X).__name__}: make it one "
                f"(dask.array.from_array), or use {self._local_class.__name__}"
            )
        return super().fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on the rows of an array in this process, as the class without Dask does.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self
        """
        if is_collection(X):
            raise TypeError(
                "partial_fit takes the rows of an array. For a Dask collection call fit: with "
                "blocks_at_once it reads a few blocks at a time."
            )
        return super().partial_fit(X, y, sample_weight)

    def to_local(self) -> Any:
        """Return the same model without Dask: parameters and fitted attributes of the plain class.

        Returns
        -------
        RBM or RARBM
        """
        parameters = self.get_params(deep=False)
        own = {name: value for name, value in parameters.items() if name not in DASK_PARAMETERS}
        local = self._local_class(**own)
        fitted = {name: value for name, value in vars(self).items() if name not in parameters}
        vars(local).update(fitted)
        return local

    # --- on collections -----------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Compute hidden features of each row, lazily if X is a Dask collection.

        Parameters
        ----------
        X : Dask array, Dask data frame, array-like or sparse matrix

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples, n_components)
        """
        if not is_collection(X):
            return super().transform(X)
        return self._map_blocks("transform", X, (self._n_features_out,), self._dtype)

    def score_samples(self, X: Any) -> Any:
        """Compute the log-likelihood of each row in nats, lazily if X is a Dask collection.

        log Z is estimated at once, in the first call.

        Parameters
        ----------
        X : Dask array, Dask data frame, array-like or sparse matrix

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples,)
        """
        if not is_collection(X):
            return super().score_samples(X)
        check_is_fitted(self)
        # The model that blocks are scored by keeps it.
        _ = self.log_partition_
        return self._map_blocks("score_samples", X, (), "float64")

    def free_energy(self, X: Any) -> Any:
        """Compute the free energy F(v) of each row in nats, lazily if X is a Dask collection.

        Parameters
        ----------
        X : Dask array, Dask data frame, array-like or sparse matrix

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples,)
        """
        if not is_collection(X):
            return super().free_energy(X)
        return self._map_blocks("free_energy", X, (), "float64")

    def sample(
        self,
        n_samples: int = 1,
        *,
        chunk: int | None = None,
        random_state: Any = None,
        **settings: Any,
    ) -> Any:
        """Draw visible states from the model, lazily in blocks if `chunk` is given.

        Parameters
        ----------
        n_samples : int, default=1
        chunk : int, default=None
            Rows of a block. Each block is a task with a ladder of its own. None draws all rows at
            once, in this process.
        random_state : int, RandomState instance or None, default=None
        **settings : dict
            Other parameters of the class without Dask.

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples, n_features)
            Or a data frame, of Dask or in memory, if the model was fitted on one.
        """
        if chunk is None:
            return super().sample(n_samples, random_state=random_state, **settings)
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples, 1)
        chunk = check_count("chunk", chunk, 1)
        for name in ("conditions", "return_travels"):
            if settings.get(name) is not None and settings[name] is not False:
                raise ValueError(f"with chunk, leave {name} out: blocks are drawn independently")
        seed = draw_seed(random_state)
        like = self._as_frame(np.zeros((1, self.n_features_in_), dtype=self._dtype_of_rows))
        return sample_blocks(self._local_model(), n_samples, chunk, settings, seed, like)

    def log_partition(
        self, method: str = "auto", *, tol: float = 0.1, random_state: Any = None, **settings: Any
    ) -> LogPartition:
        """Estimate the logarithm of the partition function by chains spread over the workers.

        Every worker has ladders, or annealed chains, of its own; the mean of their estimates has
        an error of `tol`. An exact sum, or an estimate without a client, is computed locally.

        Parameters
        ----------
        method : {"auto", "exact", "tempering", "ais"}, default="auto"
        tol : float > 0, default=0.1
            In nats.
        random_state : int, RandomState instance or None, default=None
            None takes the model's own seed: the same estimate for the same number of workers.
        **settings : dict
            Other parameters of the class without Dask, for each worker.

        Returns
        -------
        LogPartition
            With the doubts of all workers.

        Warns
        -----
        RuntimeWarning
            If the estimate is not to be trusted.
        """
        check_is_fitted(self)
        check_option("method", method, ("auto", "exact", "tempering", "ais"))
        tol = check_positive("tol", tol)
        method = resolve_method(method, self._model().machine)
        client = self._find_client()
        if method == "exact" or client is None:
            return super().log_partition(method, tol=tol, random_state=random_state, **settings)
        seed = self._own_stream().seed
        if random_state is not None:
            seed = draw_seed(random_state)
        estimate = combine_estimates(
            estimate_on_workers(client, self.to_local(), method, tol, seed, settings)
        )
        if not estimate.is_trusted:
            warn_distrusted(estimate)
        return estimate

    # --- inside -------------------------------------------------------------------------

    def _find_client(self) -> Any:
        """Return the client that was given, or the one of the context, or None."""
        try:
            return check_client(self.client)
        except ValueError:
            if self.client is not None:
                raise
            return None

    def _local_model(self) -> Any:
        """Return the local model with one thread, that of its task."""
        return self.to_local().set_params(n_threads=1)

    def _map_blocks(self, method: str, X: Any, width: tuple[int, ...], dtype: str) -> Any:
        check_is_fitted(self)
        return map_blocks(self._local_model(), method, X, width, np.dtype(dtype))

    def _first_rows(self, X: Any, weights: np.ndarray | None) -> tuple[Any, np.ndarray | None]:
        if not isinstance(X, RemoteRows):
            return super()._first_rows(X, weights)
        return X.first.rows, X.first.weights_given(weights)

    def _run_class(self, X: Any) -> type[Run]:
        return DaskRun if isinstance(X, RemoteRows) else super()._run_class(X)

    def _validate(self, X: Any, **how: Any) -> Any:
        # They have been checked where they are.
        return X if isinstance(X, RemoteRows) else super()._validate(X, **how)

    def _validate_training_rows(
        self, X: Any, sample_weight: Any, start: FromScratch, every_column: bool = False
    ) -> tuple[Any, np.ndarray | None]:
        if is_collection(X):
            check_negative_phase(negative_phase_from(self.negative_phase))
            rows = as_remote_rows(check_client(self.client), X)
            sample_weight = check_weights(sample_weight, rows.shape[0])
            self._hold(rows)
            if start.is_fresh:
                X = self._learn_remote_rows(rows, X, sample_weight)
            else:
                X = self._check_remote_rows(rows, X)
        return super()._validate_training_rows(X, sample_weight, start, every_column)

    def _hold(self, rows: RemoteRows) -> None:
        """Start to load all blocks into memory, if they are to be there together."""
        if self.blocks_at_once is None:
            rows.hold(range(len(rows.blocks)), wait_for_workers(rows.client))

    def _learn_remote_rows(self, rows: RemoteRows, X: Any, weights: np.ndarray | None) -> Any:
        """Learn the table of a Dask collection from its first rows; return all as numbers."""
        names = list(X.columns) if rows.are_frames else None
        wanted = wanted_kinds(self.visible, rows.n_columns, names)
        if rows.are_frames or not {"auto", "binary"}.issuperset(wanted):
            names = list(range(rows.n_columns)) if names is None else names
            limits = limit_values(wanted, self._column_settings.categories_of(names))
            first = find_first_rows(rows, names, limits, weights)
        else:
            first = FirstRows(find_extreme_rows(rows))
        numbers = super()._validate(first.rows, reset=True, counts=first.counts)
        rows = self._read_remote_rows(rows, X)
        rows.first = replace(first, rows=numbers)
        return rows

    def _check_remote_rows(self, rows: RemoteRows, X: Any) -> RemoteRows:
        """Check a Dask collection by the fitted table; return it as numbers."""
        like = X._meta if rows.are_frames else np.empty((0, rows.n_columns))
        validate_data(self, like, reset=False, skip_check_array=True)
        rows = self._read_remote_rows(rows, X)
        rows.first = FirstRows(find_extreme_rows(rows, self._table.encoder(None)))
        return rows

    def _read_remote_rows(self, rows: RemoteRows, X: Any) -> RemoteRows:
        """Read a Dask collection as numbers, by the fitted table."""
        table = self._table
        if table.schema is None and not rows.are_frames:
            return rows
        dtype = common_dtype(X) if table.are_plain else np.dtype(np.float64)
        return rows.read_by(BlockReader(table, dtype), dtype)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags

    def __sklearn_clone__(self) -> Self:
        # A client is a connection, which cannot be copied.
        twin = copy.copy(self)
        twin.client = None
        fresh = super(DaskMixin, twin).__sklearn_clone__()
        fresh.client = self.client
        return fresh

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted([*cls._local_class._get_param_names(), *DASK_PARAMETERS])
