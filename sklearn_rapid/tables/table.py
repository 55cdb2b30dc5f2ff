"""The columns of X: their kinds, what has been learned of their values, and their encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.kinds import KINDS, PER_COLUMN, PER_UNIT, columns_by_kind
from sklearn_rapid.tables.latent import LatentEncoder
from sklearn_rapid.tables.mixed import MixedEncoder, Part, columns_of, errors_among


@dataclass(frozen=True)
class Table:
    """The columns of X.

    Parameters
    ----------
    parts : tuple of Part
        The columns of each kind. Units stand in the order of the kinds.
    is_mixed : bool
        Whether `visible` is a list of kinds.
    n_columns : int
    names : array of str or None
        Of the columns.
    n_latent : int, default=0
        Visible units that no row shows, after those of the columns.

    Examples
    --------
    >>> X = np.array([[0.5, 1.0], [1.5, 0.0], [2.5, 1.0]])
    >>> how = {"units": "binary", "binarize": "auto", "dtype": "float32"}
    >>> table = Table.learned(X, [("binary", [1]), ("gaussian", [0])], None, **how)
    >>> table.column_of_unit
    array([1, 0])
    >>> table.measured(X, None, None).attributes()["mean_"]
    array([0. , 1.5])
    """

    parts: tuple[Part, ...]
    is_mixed: bool
    n_columns: int
    names: Any = None
    n_latent: int = 0

    @classmethod
    def learned(
        cls, X: Any, visible: Any, names: Any, *, binarize: Any, backend: Any = None, **how: Any
    ) -> Table:
        """The table of which these are the first rows.

        Parameters
        ----------
        X : array of shape (n_samples, n_columns)
        visible : str or list of (str, columns)
        names : array of str or None
        binarize, **how
            Parameters of an estimator: `units` and `dtype`.
        backend : backend, optional
            Where X is, if that is not the host.
        """
        kinds = columns_by_kind(visible, X.shape[1], names)
        is_mixed = not isinstance(visible, str)
        if binarize != "auto" and "binary" not in dict(kinds):
            raise ValueError(
                "binarize says what values mean that stand for spins; with "
                f"visible={visible!r} they are what they are: leave it at 'auto', got {binarize!r}"
            )
        parts = []
        for kind, columns in kinds:
            if is_mixed:
                with errors_among(kind, columns):
                    some = columns_of(X, columns, backend)
                    encoder = KINDS[kind].learned(some, binarize=binarize, **how)
            else:
                encoder = KINDS[kind].learned(X, binarize=binarize, **how)
            parts.append(Part(kind, columns, encoder))
        return cls(tuple(parts), is_mixed, X.shape[1], names)

    @classmethod
    def fitted(
        cls, attributes: Mapping[str, Any], visible: Any, *, units: str, binarize: Any, dtype: str
    ) -> Table:
        """The table that a fitted estimator's attributes describe.

        ValueError if they do not belong together, or not to the parameter `visible`.
        """
        n_columns, names = attributes["n_features_in_"], attributes.get("feature_names_in_")
        kinds = _fitted_kinds(attributes, n_columns)
        is_mixed = not isinstance(visible, str)
        if not _are_same(kinds, columns_by_kind(visible, n_columns, names)):
            fitted = kinds[0][0] if len(kinds) == 1 else [(k, c.tolist()) for k, c in kinds]
            raise ValueError(
                f"visible={describe(visible)} is set, and visible={describe(fitted)} was fitted: "
                "set it back, or fit again."
            )
        _check_attributes(attributes, kinds)
        parts, start = [], 0
        for kind, columns in kinds:
            of_kind = KINDS[kind]
            fields = of_kind.fields_of(attributes, units=units, binarize=binarize)
            for name in of_kind.per_column:
                values = attributes.get(f"{name}_")
                is_list = isinstance(values, list) and len(values) == n_columns
                fields[name] = [values[j] for j in columns] if is_list else None
            encoder = of_kind(**fields, dtype=dtype)
            encoder.check_learned()
            stop = start + int(encoder.units_of_columns(len(columns)).sum())
            found = {name: attributes.get(f"{name}_") for name in of_kind.per_unit}
            found = {name: a[start:stop] for name, a in found.items() if a is not None}
            parts.append(Part(kind, columns, replace(encoder, **found)))
            start = stop
        return cls(tuple(parts), is_mixed, n_columns, names)

    def measured(self, X: Any, weights: np.ndarray | None, backend: Any) -> Table:
        """The table with what weighted rows say of the columns."""
        encoder = self._columns.measured(X, weights, backend)
        if self.is_mixed:
            return replace(self, parts=encoder.parts)
        return replace(self, parts=(self.parts[0]._replace(encoder=encoder),))

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes: `visible_`, `binarize_`, and those that the kinds have."""
        found: dict[str, Any] = {
            "visible_": [(part.kind, part.columns) for part in self.parts],
            "binarize_": None,
        }
        start = 0
        for _, columns, encoder in self.parts:
            found |= encoder.attributes()
            for name in encoder.per_column:
                values = found.setdefault(f"{name}_", [None] * self.n_columns)
                for j, value in zip(columns, getattr(encoder, name), strict=True):
                    values[j] = value
            stop = start + int(encoder.units_of_columns(len(columns)).sum())
            for name, fill in encoder.per_unit.items():
                value = getattr(encoder, name)
                if value is not None:
                    of_units = np.full(len(self.column_of_unit), fill)
                    found.setdefault(f"{name}_", of_units)[start:stop] = value
            start = stop
        return found

    def encoder(self, backend: Any, X: Any = None) -> Encoder:
        """What encodes X; without an X, such rows as have been fitted.

        With a backend of None it only checks rows.
        """
        encoder = self._columns.reading(X, backend)
        if self.n_latent == 0 or backend is None:
            return encoder
        how = {"backend": backend, "dtype": encoder.dtype, "missing": True}
        return LatentEncoder(encoder, self.n_latent, **how)

    @cached_property
    def _columns(self) -> Encoder:
        encoder = self.parts[0].encoder
        return MixedEncoder(self.parts, dtype=encoder.dtype) if self.is_mixed else encoder

    @property
    def visible_units(self) -> Units:
        """The units on the visible side of the machine."""
        return self._columns.visible_units

    @property
    def has_densities(self) -> bool:
        """Whether the likelihood of any column is a density."""
        return self._columns.has_density

    @cached_property
    def column_of_unit(self) -> np.ndarray:
        """The column of X that each unit belongs to; latent units are left out."""
        return np.concatenate(
            [
                np.repeat(columns, encoder.units_of_columns(len(columns)))
                for _, columns, encoder in self.parts
            ]
        )

    @property
    def n_units(self) -> int:
        """Number of units on the visible side of the machine."""
        return len(self.column_of_unit) + self.n_latent

    def name_of_unit(self, unit: int) -> str:
        """The column of X that a unit belongs to, in words."""
        if unit >= len(self.column_of_unit):
            return f"latent unit {unit - len(self.column_of_unit)}"
        column = int(self.column_of_unit[unit])
        return f"column {column}" + ("" if self.names is None else f" ({self.names[column]!r})")

    def scales(self, backend: Any) -> Any:
        """The scale of each unit that training starts at; None if no columns are real."""
        return backend.asarray(self.attributes()["scale_"]) if self.has_densities else None

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """The smallest scale that each unit may reach in training; None if no columns are real."""
        found = self._columns.smallest_scales(X, weights, backend)
        return None if found is None else backend.asarray(found)


def _fitted_kinds(attributes: Mapping[str, Any], n_columns: int) -> list:
    """The kinds that were fitted; models of earlier versions say so by the attributes they have."""
    if "visible_" in attributes:
        return columns_by_kind(attributes["visible_"], n_columns)
    kind = "gaussian" if "mean_" in attributes else "binary"
    return columns_by_kind("categorical" if "categories_" in attributes else kind, n_columns)


def _check_attributes(attributes: Mapping[str, Any], kinds: list) -> None:
    """Raise ValueError for attributes that no fitted kind has."""
    encoders = [KINDS[kind] for kind, _ in kinds]
    known = {name for encoder in encoders for name in (*encoder.per_unit, *encoder.per_column)}
    for name in (*PER_UNIT, *PER_COLUMN):
        if f"{name}_" in attributes and name not in known:
            raise ValueError(f"{name}_ belongs to models of other columns. Fit again.")


def _are_same(kinds: list, others: list) -> bool:
    return len(kinds) == len(others) and all(
        kind == other and np.array_equal(columns, of_other)
        for (kind, columns), (other, of_other) in zip(kinds, others, strict=True)
    )
