"""Validate X and learn what its columns are."""

from __future__ import annotations

from dataclasses import replace
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
from sklearn_rapid.tables.kinds import PER_COLUMN, PER_UNIT
from sklearn_rapid.tables.table import Table


class InputMixin:
    """How an estimator reads its rows: validation, backend, table."""

    # Of those whose hidden units are of one kind.
    hidden = "binary"
    # Units on the visible side beside those of the columns of X.
    _n_latent = 0

    @property
    def column_of_unit_(self) -> np.ndarray:
        """The column of X that each visible unit belongs to."""
        check_is_fitted(self)
        return self._table.column_of_unit

    # --- the columns of X ---------------------------------------------------------------

    @property
    def _table(self) -> Table:
        """The table that was fitted; ValueError if it is not that of the parameters."""
        fitted = vars(self).get("hidden_", "binary")
        if self.hidden != fitted:
            raise ValueError(
                f"hidden={self.hidden!r} is set, and hidden={fitted!r} was fitted: set it back, or "
                "fit again."
            )
        how = {"units": self.units, "binarize": self.binarize, "dtype": self._dtype}
        return replace(Table.fitted(vars(self), self.visible, **how), n_latent=self._n_latent)

    def _learn_table(self, X: Any) -> None:
        """Set what the first rows say of the columns; nothing is left of other rows."""
        for name in ("visible", "hidden", "binarize", *PER_UNIT, *PER_COLUMN):
            self.__dict__.pop(f"{name}_", None)
        how = {"units": self.units, "binarize": self.binarize, "dtype": self._dtype}
        names, backend = getattr(self, "feature_names_in_", None), self._backend_of_array(X)
        table = Table.learned(X, self.visible, names, **how, backend=backend)
        largest = table.visible_units.largest_means(table.n_units)
        if self.hidden == "gaussian" and not np.isfinite(largest).all():
            raise ValueError(
                "hidden='gaussian' needs visible units that are binary or categorical, got "
                "numbers without a bound: the sum over states may be infinite. Use hidden='binary'."
            )
        if self.hidden != "binary":
            self.hidden_ = self.hidden
        vars(self).update(table.attributes())

    @property
    def _hidden_units(self) -> Units:
        return Gaussians() if self.hidden == "gaussian" else SPINS

    def _features(self, backend: Any) -> SpinFeatures | RealFeatures:
        """What reads and writes hidden features."""
        if self.hidden == "gaussian":
            return RealFeatures(backend, self._dtype)
        return SpinFeatures(self.units, backend, self._dtype)

    def _as_frame(self, values: Any, like: Any = None) -> Any:
        """Rows as the frame that `set_output` asks for, if X was one."""
        names = vars(self).get("feature_names_in_")
        return values if names is None else wrap_output(self, values, names, like)

    # --- where it is computed -----------------------------------------------------------

    def _backend(self, X: Any = None) -> Any:
        """The backend that works on X; ValueError if it is not where X is."""
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

    def _backend_at_hand(self, X: Any = None) -> Any:
        """As `_backend`, but a fitted model serves NumPy arrays on a machine without a GPU too."""
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
        """The backend that holds X; None for the host."""
        return self._backend(X) if is_cupy_array(X) else None

    # --- validation ---------------------------------------------------------------------

    def _shown_values(self, X: Any) -> Any:
        """Rows that show all there is to see of the values of X: X itself."""
        return X

    def _validate(self, X: Any, *, reset: bool, missing: bool = False) -> Any:
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
        X = checked.tocsr() if getattr(checked, "format", None) == "csc" else checked
        return self._checked(X, reset)

    def _checked(self, X: Any, reset: bool) -> Any:
        """X, if its columns can hold its values."""
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
        return self._checked(X, reset)
