"""What a user hands over: validated, and read as states of the units that its columns stand for."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_rapid.backends import (
    SPINS,
    Categories,
    Gaussians,
    Mixed,
    Units,
    get_backend,
    is_cupy_array,
)
from sklearn_rapid.checks.arrays import (
    as_numbers,
    check_finite,
    compute_if_dask,
    explain_error,
    resolve_container,
)
from sklearn_rapid.checks.compat import wrap_output
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.categories import CategoryEncoder, categories_of
from sklearn_rapid.tables.gaps import lacks_entries
from sklearn_rapid.tables.kinds import (
    MOMENTS,
    MixedEncoder,
    Part,
    RealFeatures,
    among,
    check_kinds,
    columns_of,
    parts_of,
)
from sklearn_rapid.tables.reals import RealEncoder, moments_of_columns, smallest_scales
from sklearn_rapid.tables.spins import FALLBACK_THRESHOLD, SpinEncoder, meaning_of, warn_of_values


class InputMixin:
    """How an estimator reads its rows: backend, encoder, kinds of units."""

    # Of those whose hidden units are of one kind.
    hidden = "binary"

    # --- kinds of columns and of units --------------------------------------------------

    @property
    def column_of_unit_(self) -> np.ndarray:
        """The column of X that each visible unit is of."""
        check_is_fitted(self)
        return self._column_of_unit

    @property
    def _column_of_unit(self) -> np.ndarray:
        pairs = zip(self._parts, self._sizes, strict=True)
        return np.concatenate([np.repeat(columns, sizes) for (_, columns), sizes in pairs])

    def _name_of_unit(self, unit: int) -> str:
        """The column of X that a visible unit is of, in words."""
        if unit >= len(self._column_of_unit):
            return f"latent unit {unit - len(self._column_of_unit)}"
        column = int(self._column_of_unit[unit])
        names = vars(self).get("feature_names_in_")
        return f"column {column}" if names is None else f"column {column} ({names[column]!r})"

    @property
    def _parts(self) -> list[Part]:
        """Kinds, and the columns that are of them, in the order of their units."""
        known = vars(self).get("visible_")
        return parts_of(self.visible, self.n_features_in_) if known is None else known

    @property
    def _sizes(self) -> list[np.ndarray]:
        """How many units each column of each kind has."""
        return [
            np.array([len(self.categories_[j]) for j in columns])
            if kind == "categorical"
            else np.ones(len(columns), dtype=np.int64)
            for kind, columns in self._parts
        ]

    @property
    def _n_visible(self) -> int:
        """How many units are on the visible side of the machine."""
        return int(sum(sizes.sum() for sizes in self._sizes))

    @property
    def _has_densities(self) -> bool:
        """Whether any columns are real."""
        return any(kind == "gaussian" for kind, _ in self._parts)

    @property
    def _visible_units(self) -> Units:
        units, sizes = [], self._sizes
        for (kind, _), of_kind in zip(self._parts, sizes, strict=True):
            categories = Categories(tuple(of_kind.tolist()))
            units.append({"binary": SPINS, "gaussian": Gaussians()}.get(kind, categories))
        if isinstance(self.visible, str):
            return units[0]
        return Mixed(tuple(units), tuple(int(of_kind.sum()) for of_kind in sizes))

    @property
    def _hidden_units(self) -> Units:
        return Gaussians() if self.hidden == "gaussian" else SPINS

    def _of_hidden(self, encoder: Any) -> Any:
        """What reads and writes hidden features."""
        if self.hidden == "gaussian":
            return RealFeatures(encoder.backend, self._dtype)
        return encoder.of_hidden

    def _visible_scale(self, backend: Any) -> Any:
        """Of real columns: the scale that training starts at."""
        return backend.asarray(self.scale_) if self._has_densities else None

    def _smallest_scale(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """Of real columns: the least that their scales may become in training on these rows."""
        if not self._has_densities:
            return None
        real, smallest = self._visible_units.real(self._n_visible), np.array(self.scale_)
        columns = dict(self._parts)["gaussian"]
        X = X if isinstance(self.visible, str) else self._some(X, columns)
        moments = self.mean_[real], self.scale_[real]
        smallest[real] = smallest_scales(X, weights, *moments, self._backend(X))
        return backend.asarray(smallest)

    # --- what reads rows ----------------------------------------------------------------

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

    def _encoder(self, backend: Any, X: Any = None) -> Any:
        """What reads X; without an X, what reads and writes such values as have been fitted."""
        # Only what has a backend is going to read.
        gaps = backend is not None and lacks_entries(X)
        if isinstance(self.visible, str):
            return self._encoder_of(self.visible, slice(None), slice(None), backend, X, gaps)
        widths = tuple(int(sizes.sum()) for sizes in self._sizes)
        ends = pairwise(accumulate(widths, initial=0))
        encoders = tuple(
            self._encoder_of(kind, columns, slice(*units), backend, X, gaps)
            for (kind, columns), units in zip(self._parts, ends, strict=True)
        )
        return MixedEncoder(self._parts, encoders, widths)

    def _encoder_of(
        self, kind: str, columns: Any, units: slice, backend: Any, X: Any, gaps: bool
    ) -> Any:
        """What reads some columns of X, or those that have been fitted, of one kind."""
        if kind == "gaussian":
            moments = (getattr(self, name, None) for name in MOMENTS)
            moments = (None if moment is None else moment[units] for moment in moments)
            return RealEncoder(*moments, self.units, backend, self._dtype, gaps)
        if kind == "categorical":
            columns = range(self.n_features_in_) if isinstance(columns, slice) else columns
            known = [self.categories_[j] for j in columns]
            return CategoryEncoder(known, self.units, backend, self._dtype, gaps)
        binarize = self.binarize
        if binarize == "auto":
            binarize = getattr(self, "binarize_", "sample")
            if X is not None and binarize == "sample":
                found = meaning_of(self._some(self._that_stand_for(X), columns), self.units)
                binarize = binarize if found is None else found
        return SpinEncoder(self.units, binarize, backend, self._dtype, gaps)

    def _read_by_threshold(self, encoder: Any) -> np.ndarray:
        """Which columns stand for spins by a threshold, and not for themselves."""
        is_read_so = np.zeros(self.n_features_in_, dtype=bool)
        encoders = getattr(encoder, "encoders", (encoder,))
        for (_, columns), of_kind in zip(self._parts, encoders, strict=True):
            is_read_so[columns] = of_kind.has_threshold
        return is_read_so

    def _some(self, X: Any, columns: Any) -> Any:
        """X, or some columns of it."""
        return X if isinstance(columns, slice) else columns_of(X, columns, self._backend(X))

    def _as_table(self, values: Any, like: Any = None) -> Any:
        """Rows as the frame that `set_output` asks for, if X was one."""
        names = vars(self).get("feature_names_in_")
        return values if names is None else wrap_output(self, values, names, like)

    # --- what a first X says ------------------------------------------------------------

    def _resolve_kinds(self, X: Any) -> None:
        """Set what is known of kinds by the first X that is seen; nothing else is left of it."""
        for name in ("visible_", "categories_", "hidden_", *MOMENTS):
            self.__dict__.pop(name, None)
        names = getattr(self, "feature_names_in_", None)
        parts = parts_of(self.visible, X.shape[1], names)
        if not isinstance(self.visible, str):
            self.visible_ = parts
        of_kind = dict(parts)
        if self.hidden == "gaussian" and "gaussian" in of_kind:
            raise ValueError(
                "hidden='gaussian' needs visible units that are binary or categorical, got real "
                "columns: the sum over states of real units on both sides may be infinite. Use "
                "hidden='binary'."
            )
        if self.hidden != "binary":
            self.hidden_ = self.hidden
        if "categorical" in of_kind:
            self.categories_ = [None] * X.shape[1]
            columns = of_kind["categorical"]
            codes = categories_of(X, columns, self._dtype)
            for j, of_column in zip(columns, codes, strict=True):
                self.categories_[j] = of_column

    def _resolve_binarize(self, X: Any) -> None:
        """Set `binarize_` by the first X that is seen."""
        self.binarize_ = self.binarize
        columns = dict(self._parts).get("binary")
        if columns is None:
            if self.binarize != "auto":
                raise ValueError(
                    "binarize says what values mean that stand for spins; with "
                    f"visible={self.visible!r} they are what they are: leave it at 'auto', got "
                    f"{self.binarize!r}"
                )
            self.binarize_ = None
        elif self.binarize == "auto":
            self.binarize_ = "sample"
            X = X if isinstance(self.visible, str) else self._some(X, columns)
            if meaning_of(X, self.units) is None:
                self.binarize_ = FALLBACK_THRESHOLD
                warn_of_values(X)

    def _measure_columns(self, X: Any, weights: np.ndarray | None) -> None:
        """Set `mean_` and `scale_` by the first rows, if columns are real.

        Of units that are not real they are zero and one.
        """
        if self.visible == "gaussian":
            self.mean_, self.scale_ = moments_of_columns(X, weights, self._backend(X))
        elif self._has_densities:
            columns, real = dict(self._parts)["gaussian"], self._visible_units.real(self._n_visible)
            with among("gaussian", columns):
                moments = moments_of_columns(self._some(X, columns), weights, self._backend(X))
            self.mean_, self.scale_ = np.zeros(len(real)), np.ones(len(real))
            self.mean_[real], self.scale_[real] = moments

    # --- validation ---------------------------------------------------------------------

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
        """X, if its values are such as `units` and `binarize` allow for."""
        if reset:
            self._resolve_kinds(X)
            self._resolve_binarize(X)
        else:
            check_kinds(self)
        self._encoder(self._backend(X) if is_cupy_array(X) else None, X).check(X)
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
