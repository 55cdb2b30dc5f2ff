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
from sklearn_rapid.checks.compat import wrap_output
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.features import RealFeatures, SpinFeatures
from sklearn_rapid.tables.kinds import attributes_of_columns
from sklearn_rapid.tables.table import Table


class InputMixin:
    """Validation, table and backend of an estimator's rows."""

    # For estimators without this parameter.
    hidden = "binary"
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
        how = {"units": self.units, "binarize": self.binarize, "dtype": self._dtype}
        return Table.restore(vars(self), self.visible, n_latent=self._n_latent, **how)

    def _learn_table(self, X: Any) -> None:
        """Set the fitted attributes of the columns of X; those of an earlier fit go."""
        how = {"units": self.units, "binarize": self.binarize, "dtype": self._dtype}
        names, backend = getattr(self, "feature_names_in_", None), self._backend_of_array(X)
        table = Table.learn(X, self.visible, names, **how, backend=backend)
        largest = table.visible_units.largest_means(table.n_units)
        if self.hidden == "gaussian" and not np.isfinite(largest).all():
            raise ValueError(
                "hidden='gaussian' needs visible units that are binary or categorical, got "
                "numbers without a bound: the sum over states may be infinite. Use hidden='binary'."
            )
        attributes = table.attributes()
        if self.hidden != "binary":
            attributes = {"hidden_": self.hidden, **attributes}
        for name in {"hidden_", *attributes_of_columns()} - attributes.keys():
            vars(self).pop(name, None)
        vars(self).update(attributes)

    @property
    def _hidden_units(self) -> Units:
        return Gaussians() if self.hidden == "gaussian" else SPINS

    def _features(self, backend: Any) -> SpinFeatures | RealFeatures:
        """Make the converter of hidden features."""
        if self.hidden == "gaussian":
            return RealFeatures(backend, self._dtype)
        return SpinFeatures(self.units, backend, self._dtype)

    def _as_frame(self, values: Any, like: Any = None) -> Any:
        """Wrap rows in the frame that `set_output` asks for, if X was a frame in fit."""
        names = vars(self).get("feature_names_in_")
        return values if names is None else wrap_output(self, values, names, like)

    # --- the backend --------------------------------------------------------------------

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

    def _representative_rows(self, X: Any) -> Any:
        """Get rows from which the meaning of values of X can be inferred."""
        return X

    def _validate(self, X: Any, *, reset: bool, missing: bool = False) -> Any:
        """Validate X and the values of its columns; `reset` learns these again."""
        return self._validate_values(self._validate_array(X, reset=reset, missing=missing), reset)

    def _validate_array(self, X: Any, *, reset: bool, missing: bool) -> Any:
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

    def _validate_values(self, X: Any, reset: bool) -> Any:
        """Return X; ValueError for values that its columns cannot hold."""
        if reset:
            self._learn_table(X)
        self._table.encoder(self._backend_of_array(X), X).check(X)
        return X

    def _validate_on_device(self, X: Any, *, reset: bool, missing: bool) -> Any:
        self._backend(X)
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"X must have shape (any, any) with rows and columns, got {X.shape}")
        if X.dtype.kind not in "biuf":
            raise ValueError(f"X must hold numbers, got dtype {X.dtype}")
        check_finite(X, "X", allow_nan=missing)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X
