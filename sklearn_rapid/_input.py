"""What a user hands over: validated, and read as states of the units that its columns stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import validate_data

from sklearn_rapid._columns import RealEncoder, moments_of_columns
from sklearn_rapid._data import FALLBACK_THRESHOLD, SpinEncoder, meaning_of, warn_of_values
from sklearn_rapid._fitted import MOMENTS
from sklearn_rapid._reading import check_finite, explained, readable
from sklearn_rapid._warnings import warn
from sklearn_rapid.backends import SPINS, Gaussians, Units, get_backend, is_cupy_array


class InputMixin:
    """How an estimator reads its rows: backend, encoder, kinds of units."""

    @property
    def _n_visible(self) -> int:
        """How many units are on the visible side of the machine."""
        return self.n_features_in_

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

    @property
    def _visible_units(self) -> Units:
        return Gaussians() if self.visible == "gaussian" else SPINS

    def _visible_scale(self, backend: Any) -> Any:
        """Of real columns: the scale that training starts at."""
        return backend.asarray(self.scale_) if self.visible == "gaussian" else None

    def _encoder(self, backend: Any, X: Any = None) -> Any:
        """What reads X; without an X, what reads and writes such values as have been fitted."""
        if self.visible == "gaussian":
            moments = (getattr(self, name, None) for name in MOMENTS)
            return RealEncoder(*moments, self.units, backend, self._dtype)
        binarize = self.binarize
        if binarize == "auto":
            binarize = getattr(self, "binarize_", "sample")
            if X is not None and binarize == "sample":
                found = meaning_of(self._that_stand_for(X), self.units)
                binarize = binarize if found is None else found
        return SpinEncoder(self.units, binarize, backend, self._dtype)

    def _resolve_binarize(self, X: Any) -> None:
        """Set `binarize_` by the first X that is seen."""
        self.binarize_ = self.binarize
        if self.visible == "gaussian":
            if self.binarize != "auto":
                raise ValueError(
                    "binarize says what values mean that stand for spins; with visible='gaussian' "
                    f"they are what they are: leave it at 'auto', got {self.binarize!r}"
                )
            self.binarize_ = None
        elif self.binarize == "auto":
            self.binarize_ = "sample"
            if meaning_of(X, self.units) is None:
                self.binarize_ = FALLBACK_THRESHOLD
                warn_of_values(X)

    def _measure_columns(self, X: Any, weights: np.ndarray | None) -> None:
        """Set `mean_` and `scale_` by the first rows, if columns are real; none are left if not."""
        for name in MOMENTS:
            self.__dict__.pop(name, None)
        if self.visible == "gaussian":
            self.mean_, self.scale_ = moments_of_columns(X, weights, self._backend(X))

    def _validate(self, X: Any, *, reset: bool, missing: bool = False) -> Any:
        if is_cupy_array(X):
            return self._validate_on_device(X, reset=reset, missing=missing)
        how = {
            "accept_sparse": False if missing else ("csr", "csc"),
            "ensure_all_finite": "allow-nan" if missing else True,
        }
        X = readable(X, "X", missing=missing)
        try:
            checked = validate_data(self, X, reset=reset, **how)
            if checked.dtype.kind not in "biuf":
                raise ValueError(f"X must hold numbers, got dtype {checked.dtype}")
        except (TypeError, ValueError) as error:
            raise explained(error, X) from error
        X = checked.tocsr() if getattr(checked, "format", None) == "csc" else checked
        return self._checked(X, reset)

    def _checked(self, X: Any, reset: bool) -> Any:
        """X, if its values are such as `units` and `binarize` allow for."""
        if reset:
            self._resolve_binarize(X)
        self._encoder(None, X).check(X)
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
