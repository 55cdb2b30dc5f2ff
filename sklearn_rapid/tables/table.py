"""The columns of X: their kinds, what has been learned of their values, their encoder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import Units
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.kinds import KINDS, are_mixed, attributes_of_columns, columns_by_kind
from sklearn_rapid.tables.latent import LatentEncoder
from sklearn_rapid.tables.mixed import MixedEncoder, Part, errors_name_columns, select_columns


@dataclass(frozen=True)
class Table:
    """The columns of X, and latent units that no column shows.

    Parameters
    ----------
    parts : tuple of Part
        The columns of each kind. Units stand in the order of the kinds.
    is_mixed : bool
        Whether `visible` is a list of kinds.
    n_columns : int
    names : array of str or None
        Names of the columns.
    n_latent : int, default=0
        Number of latent units, which stand after those of the columns.

    Examples
    --------
    >>> X = np.array([[0.5, 1.0], [1.5, 0.0], [2.5, 1.0]])
    >>> how = {"units": "binary", "binarize": "auto", "dtype": "float32"}
    >>> table = Table.learn(X, [("binary", [1]), ("gaussian", [0])], None, **how)
    >>> table.column_of_unit
    array([1, 0])
    >>> table.measure(X, None, None).attributes()["mean_"]
    array([0. , 1.5])
    """

    parts: tuple[Part, ...]
    is_mixed: bool
    n_columns: int
    names: Any = None
    n_latent: int = 0

    @classmethod
    def learn(
        cls, X: Any, visible: Any, names: Any, *, binarize: Any, backend: Any = None, **how: Any
    ) -> Table:
        """Make the table from its first rows.

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
        kinds, is_mixed = columns_by_kind(visible, X.shape[1], names), are_mixed(visible)
        if binarize != "auto" and "binary" not in dict(kinds):
            raise ValueError(
                "binarize says what values of binary columns mean, and there are none with "
                f"visible={visible!r}: leave it at 'auto', got {binarize!r}"
            )
        parts = []
        for kind, columns in kinds:
            own = select_columns(X, columns, backend) if is_mixed else X
            with errors_name_columns(kind, columns) if is_mixed else nullcontext():
                encoder = KINDS[kind].learn(own, binarize=binarize, **how)
            parts.append(Part(kind, columns, encoder))
        return cls(tuple(parts), is_mixed, X.shape[1], names)

    @classmethod
    def restore(
        cls, attributes: Mapping[str, Any], visible: Any, *, n_latent: int = 0, **how: Any
    ) -> Table:
        """Make the table that a fitted estimator's attributes describe.

        Parameters
        ----------
        attributes : mapping
        visible, **how
            Parameters of the estimator: `units`, `binarize` and `dtype`.
        n_latent : int, default=0

        Raises
        ------
        ValueError
            If attributes do not fit each other, or `visible`.
        """
        n_columns, names = attributes["n_features_in_"], attributes.get("feature_names_in_")
        kinds = _fitted_kinds(attributes, n_columns)
        if not _are_same(kinds, visible, n_columns, names):
            fitted = kinds[0][0] if len(kinds) == 1 else [(k, c.tolist()) for k, c in kinds]
            raise ValueError(
                f"visible={describe(visible)} is set, and visible={describe(fitted)} was fitted: "
                "set it back, or fit again."
            )
        for name in sorted(attributes_of_columns() - attributes_of_columns(dict(kinds))):
            if name in attributes:
                raise ValueError(f"{name} belongs to models of other columns. Fit again.")
        parts, start = [], 0
        for kind, columns in kinds:
            own = dict(attributes)
            for name in KINDS[kind].per_column:
                values = own.get(f"{name}_")
                is_list = isinstance(values, list) and len(values) == n_columns
                own[f"{name}_"] = [values[j] for j in columns] if is_list else None
            part = Part(kind, columns, KINDS[kind].restore(own, **how))
            units = slice(start, start + part.n_units)
            values = {name: own.get(f"{name}_") for name in part.encoder.per_unit}
            values = {name: a[units] for name, a in values.items() if a is not None}
            parts.append(part._replace(encoder=replace(part.encoder, **values)))
            start = units.stop
        return cls(tuple(parts), are_mixed(visible), n_columns, names, n_latent)

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> Table:
        """Set the moments of the columns to those of weighted rows."""
        encoder = self._encoder.measure(X, weights, backend)
        if self.is_mixed:
            return replace(self, parts=encoder.parts)
        return replace(self, parts=(self.parts[0]._replace(encoder=encoder),))

    def attributes(self) -> dict[str, Any]:
        """Collect fitted attributes: `visible_`, `binarize_`, and those of the kinds."""
        found: dict[str, Any] = {
            "visible_": [(part.kind, part.columns) for part in self.parts],
            "binarize_": None,
        }
        start = 0
        for part in self.parts:
            encoder, units = part.encoder, slice(start, start + part.n_units)
            found |= {f"{name}_": getattr(encoder, name) for name in encoder.per_table}
            for name in encoder.per_column:
                values = found.setdefault(f"{name}_", [None] * self.n_columns)
                for j, value in zip(part.columns, getattr(encoder, name), strict=True):
                    values[j] = value
            for name, fill in encoder.per_unit.items():
                if getattr(encoder, name) is not None:
                    values = found.setdefault(f"{name}_", np.full(len(self.column_of_unit), fill))
                    values[units] = getattr(encoder, name)
            start = units.stop
        return found

    def encoder(self, backend: Any, X: Any = None) -> Encoder:
        """Make the encoder of X, or by default of rows like those of fit.

        Without a backend it only checks rows.
        """
        encoder = self._encoder.for_rows(X, backend)
        if self.n_latent == 0 or backend is None:
            return encoder
        how = {"backend": backend, "dtype": encoder.dtype, "missing": True}
        return LatentEncoder(encoder, self.n_latent, **how)

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = self.parts[0].encoder
        return MixedEncoder(self.parts, dtype=encoder.dtype) if self.is_mixed else encoder

    @property
    def visible_units(self) -> Units:
        """The units on the visible side of the machine."""
        return self._encoder.visible_units

    @property
    def has_densities(self) -> bool:
        """Whether the likelihood of any column is a density."""
        return self._encoder.has_density

    @cached_property
    def column_of_unit(self) -> np.ndarray:
        """The column of X that each unit encodes, without latent units."""
        return np.concatenate([np.repeat(c, e.count_units(len(c))) for _, c, e in self.parts])

    @property
    def n_units(self) -> int:
        """Number of units on the visible side of the machine."""
        return len(self.column_of_unit) + self.n_latent

    def name_of_unit(self, unit: int) -> str:
        """Name the column of X that a unit encodes."""
        if unit >= len(self.column_of_unit):
            return f"latent unit {unit - len(self.column_of_unit)}"
        column = int(self.column_of_unit[unit])
        return f"column {column}" + ("" if self.names is None else f" ({self.names[column]!r})")

    def scales(self, backend: Any) -> Any:
        """Get the scale of each unit before training; None if no columns are real."""
        return backend.asarray(self.attributes()["scale_"]) if self.has_densities else None

    def smallest_scales(self, X: Any, weights: np.ndarray | None, backend: Any) -> Any:
        """Find the smallest scale that units may reach in training; None if no columns are real."""
        found = self._encoder.smallest_scales(X, weights, backend)
        return None if found is None else backend.asarray(found)


def _fitted_kinds(attributes: Mapping[str, Any], n_columns: int) -> list:
    """Find the fitted kinds; models of earlier versions have no `visible_`."""
    if "visible_" in attributes:
        return columns_by_kind(attributes["visible_"], n_columns)
    kind = "gaussian" if "mean_" in attributes else "binary"
    return columns_by_kind("categorical" if "categories_" in attributes else kind, n_columns)


def _are_same(kinds: list, visible: Any, n_columns: int, names: Any) -> bool:
    """Whether fitted kinds and columns are those of the parameter `visible`."""
    if not are_mixed(visible):
        return [kind for kind, _ in kinds] == [visible]
    others = columns_by_kind(visible, n_columns, names)
    return len(kinds) == len(others) and all(
        kind == other and np.array_equal(columns, of_other)
        for (kind, columns), (other, of_other) in zip(kinds, others, strict=True)
    )
