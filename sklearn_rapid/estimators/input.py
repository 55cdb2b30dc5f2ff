"""Validate X, learn its columns, and choose the backend that works on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_rapid.backends import SPINS, Gaussians, Units, get_backend, is_cupy_array
from sklearn_rapid.checks.arrays import (
    as_numbers,
    check_finite,
    compute_if_dask,
    explain_error,
    resolve_container,
)
from sklearn_rapid.checks.compat import wanted_output, wrap_output
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.columns import Columns, learn_frame
from sklearn_rapid.tables.features import RealFeatures, SpinFeatures
from sklearn_rapid.tables.frames import convert_schema, is_frame, unwrap_frame
from sklearn_rapid.tables.kinds import attributes_of_columns
from sklearn_rapid.tables.settings import ColumnSettings
from sklearn_rapid.tables.table import Table


class InputMixin:
    """Validation, table and backend of an estimator's rows."""

    # For estimators without these parameters.
    hidden = "binary"
    categories, min_frequency, handle_unknown = "auto", None, "error"
    _takes_binary_only = False
    # Whether arrays are read as frames are, by what their values say (`ColumnSettings`).
    _reads_values = False
    # Number of latent units on the visible side, which no column of X shows.
    _n_latent = 0

    @property
    def column_of_unit_(self) -> np.ndarray:
        """The column of X that each visible unit encodes."""
        check_is_fitted(self)
        return self._table.column_of_unit

    # --- the columns of X ---------------------------------------------------------------

    @property
    def _table(self) -> Table:
        """The fitted table; ValueError if parameters were set to another one."""
        fitted = vars(self).get("hidden_", "binary")
        if self.hidden != fitted:
            raise ValueError(
                f"hidden={self.hidden!r} is set, and hidden={fitted!r} was fitted: set it back, or "
                "fit again."
            )
        visible = self.visible
        if isinstance(visible, Table):
            visible = visible.visible
        return Table.restore(vars(self), visible, self._column_settings, self._n_latent)

    @property
    def _column_settings(self) -> ColumnSettings:
        """The parameters that say what values of X mean."""
        return ColumnSettings(
            self.units,
            self.binarize,
            self._dtype,
            self.categories,
            self.min_frequency,
            self.handle_unknown,
            takes_numbers=not self._takes_binary_only,
            reads_values=self._reads_values,
        )

    def _learn_table(self, X: Any, columns: Columns | Table) -> None:
        """Set the fitted attributes of the columns of X; those of an earlier fit go."""
        table = columns
        if not isinstance(table, Table):
            table = Table.learn(X, columns, self._column_settings, self._backend_of_array(X))
        self._check_kinds(table)
        attributes = table.attributes()
        if self.hidden != "binary":
            attributes = {"hidden_": self.hidden, **attributes}
        for name in {"hidden_", "frame_", *attributes_of_columns()} - attributes.keys():
            vars(self).pop(name, None)
        vars(self).update(attributes)

    def _as_frame(self, numbers: Any, like: Any = None, places: Any = None, n_each: int = 1) -> Any:
        """Convert rows of numbers to a frame like that of fit, if `set_output` does not decide.

        Parameters
        ----------
        numbers : array of shape (n, n_columns)
        like : frame, optional
            Rows that the numbers complete, each `n_each` times; the result gets their index if that
            is one.
        places : sequence of (int or None), optional
            The place of each column in `like`; by default they are in order.
        n_each : int, default=1
        """
        table = self._table
        if table.schema is None:
            names = vars(self).get("feature_names_in_")
            return numbers if names is None else wrap_output(self, numbers, names, like)
        like, wanted = like if is_frame(like) else None, wanted_output(self)
        places = range(table.n_columns) if places is None else places
        columns, schema = table.to_columns(numbers, like, places, n_each)
        if wanted == "default":
            return np.column_stack(columns)
        if wanted is not None:
            schema = convert_schema(schema, wanted, columns)
        return schema.build(columns, index_of=like if n_each == 1 else None)

    def _check_kinds(self, table: Table) -> None:
        """Raise ValueError for kinds of columns that the estimator cannot take."""
        for part in table.parts:
            if self._takes_binary_only and part.kind != "binary":
                j = int(part.columns[0])
                name = j if table.schema is None else table.schema.columns[j].name
                raise ValueError(
                    f"{type(self).__name__} takes binary columns, and column {name!r} is "
                    f"{part.kind}: use RBM or RARBM, or leave the column out"
                )
        largest = table.visible_units.largest_means(table.n_units)
        if self.hidden == "gaussian" and not np.isfinite(largest).all():
            raise ValueError(
                "hidden='gaussian' needs visible units that are binary or categorical, got "
                "numbers without a bound: the sum over states may be infinite. Use hidden='binary'."
            )

    @property
    def _hidden_units(self) -> Units:
        return Gaussians() if self.hidden == "gaussian" else SPINS

    def _features(self, backend: Any) -> SpinFeatures | RealFeatures:
        """Make the converter of hidden features."""
        if self.hidden == "gaussian":
            return RealFeatures(backend, self._dtype)
        return SpinFeatures(self.units, backend, self._dtype)

    # --- types, threads and the backend -------------------------------------------------

    @property
    def _dtype(self) -> str:
        return np.dtype(self.dtype).name

    @property
    def _dtype_of_rows(self) -> str:
        """The type of rows that are results: those of frames have all digits."""
        keeps_digits = "frame_" in vars(self) or vars(self).get("_keeps_digits", False)
        return "float64" if keeps_digits else self._dtype

    @property
    def _n_threads(self) -> int | None:
        return None if self.n_threads is None else int(self.n_threads)

    def _backend(self, X: Any = None) -> Any:
        """Get the backend that works on X; ValueError if X is on a device that it does not use."""
        name = self.backend
        if is_cupy_array(X):
            if name == "auto" and get_config()["array_api_dispatch"]:
                name = "cupy"
            if not name.startswith("cupy"):
                raise ValueError(
                    f"got a CuPy array with backend={self.backend!r}. Set backend='cupy', or keep "
                    "'auto' and use sklearn.config_context(array_api_dispatch=True); or move the "
                    "array to the host with its method get()."
                )
        return get_backend(name, self._n_threads)

    def _available_backend(self, X: Any = None) -> Any:
        """Get the backend of a fitted model, which needs no GPU for NumPy arrays."""
        try:
            return self._backend(X)
        except RuntimeError as error:
            if is_cupy_array(X):
                raise
            warn(
                f"the fitted {type(self).__name__} computes with backend='auto' here: {error}",
                RuntimeWarning,
            )
            return get_backend("auto", self._n_threads)

    def _backend_of_array(self, X: Any) -> Any:
        """Get the backend that holds X; None for the host."""
        return self._backend(X) if is_cupy_array(X) else None

    # --- validation ---------------------------------------------------------------------

    def _first_rows(self, X: Any, weights: np.ndarray | None) -> tuple[Any, np.ndarray | None]:
        """Get the rows that columns of X are learned from and their weights, given those of all."""
        return X, weights

    def _validate(
        self, X: Any, *, reset: bool, missing: bool = False, counts: np.ndarray | None = None
    ) -> Any:
        """Validate X and the values of its columns; `reset` learns these again.

        Then `counts`, of the shape of X, may say how many rows each entry stands for.
        """
        if reset:
            X, columns = self._read_first(X, missing, counts)
            self._learn_table(X, columns)
        else:
            X = self._validate_array(X, missing=missing)
        self._table.encoder(self._backend_of_array(X), X).check(X)
        return X

    def _read_first(
        self, X: Any, missing: bool, counts: np.ndarray | None
    ) -> tuple[Any, Columns | Table]:
        """Read the first rows: an array or a CSR matrix of numbers, and its columns.

        A table in place of `visible` has learned them elsewhere.
        """
        X = unwrap_frame(compute_if_dask(X, "X"))
        visible, settings = self.visible, self._column_settings
        if isinstance(visible, Table):
            return self._as_array(X, reset=True, missing=missing), visible
        if is_frame(X):
            validate_data(self, X, skip_check_array=True)
            names = vars(self).get("feature_names_in_")
            numbers, columns = learn_frame(X, visible, names, settings, counts)
            if not columns.are_plain:
                return numbers, columns
            return self._as_array(X, reset=False, missing=missing), columns
        X = self._as_array(X, reset=True, missing=missing)
        names = vars(self).get("feature_names_in_")
        return X, Columns.of_array(X, visible, names, settings, counts)

    def _validate_array(self, X: Any, *, missing: bool) -> Any:
        """Validate later rows, as an array or a CSR matrix of numbers."""
        X = unwrap_frame(compute_if_dask(X, "X"))
        if "frame_" not in vars(self) or (self._table.are_plain and is_frame(X)):
            return self._as_array(X, reset=False, missing=missing)
        if not is_frame(X):
            return self._table.numbers_of(self._as_array(X, reset=False, missing=missing))
        validate_data(self, X, reset=False, skip_check_array=True)
        numbers = self._table.read(X)
        if not missing and not np.isfinite(numbers).all():
            raise explain_error(ValueError("NaN"), numbers)
        return numbers

    def _validate_conditions(self, X: Any, unread: int | None = None) -> Any:
        """Validate rows with missing entries; a frame may leave columns out, which are missing.

        Entries of the column `unread` are missing, too, whatever they are.
        """
        X = unwrap_frame(compute_if_dask(X, "X"))
        if "frame_" not in vars(self) or not is_frame(X):
            X = self._validate_array(X, missing=True)
            X = X if unread is None or sparse.issparse(X) else _without_column(X, unread)
        else:
            X = self._table.read(X, allow_fewer=True, unread=unread)
        self._table.encoder(self._backend_of_array(X), X).check(X)
        return X

    def _as_array(self, X: Any, *, reset: bool, missing: bool) -> Any:
        """Validate X as an array or a CSR matrix of numbers."""
        X = compute_if_dask(X, "X")
        if is_cupy_array(X):
            return self._validate_on_device(X, reset=reset, missing=missing)
        missing = missing and not sparse.issparse(X)
        how = {
            "accept_sparse": ("csr", "csc"),
            "ensure_all_finite": "allow-nan" if missing else True,
        }
        X = resolve_container(X, "X", missing=missing)
        try:
            checked = as_numbers(validate_data(self, X, reset=reset, **how))
            if checked.dtype.kind not in "biuf":
                raise ValueError(f"X must hold numbers, got dtype {checked.dtype}")
        except (TypeError, ValueError) as error:
            clearer = explain_error(error, X)
            if clearer is None:
                raise
            raise clearer from error
        return checked.tocsr() if getattr(checked, "format", None) == "csc" else checked

    def _validate_on_device(self, X: Any, *, reset: bool, missing: bool) -> Any:
        self._backend(X)
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"X must have shape (any, any) with rows and columns, got {X.shape}")
        if X.dtype.kind not in "biuf":
            raise ValueError(f"X must hold numbers, got dtype {X.dtype}")
        check_finite(X, "X", allow_nan=missing)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X


def _without_column(X: Any, column: int) -> Any:
    """Copy an array of rows as floats, with NaN in a column."""
    X = X.copy() if X.dtype.kind == "f" else X.astype(np.float64)
    X[:, column] = np.nan
    return X
