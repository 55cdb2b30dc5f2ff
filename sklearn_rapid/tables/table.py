"""The columns of X: their kinds, what has been learned of their values, their encoder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import Units
from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.columns import (
    Columns,
    codes_of_numbers,
    converts_as_a_whole,
    names_of,
    read_frame,
)
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.frames import FrameSchema, read_column
from sklearn_rapid.tables.frames.values import (
    numbers_in_attributes,
    restore_unseen,
    values_in_attributes,
    values_of_numbers,
)
from sklearn_rapid.tables.kinds import (
    CHOICES_OF_REAL,
    KINDS,
    are_mixed,
    attributes_of_columns,
    columns_by_kind,
    wanted_kinds,
)
from sklearn_rapid.tables.latent import LatentEncoder
from sklearn_rapid.tables.mixed import MixedEncoder, Part, errors_name_columns, select_columns
from sklearn_rapid.tables.settings import ColumnSettings

# How many columns of a kind are listed by name.
MOST_SHOWN = 50


@dataclass(frozen=True)
class Table:
    """The columns of X, and latent units that no column shows.

    Parameters
    ----------
    parts : tuple of Part
        The columns of each kind. Units stand in the order of the kinds.
    is_mixed : bool
        Whether units of several kinds stand side by side.
    n_columns : int
    names : array of str or None
        Names of the columns.
    n_latent : int, default=0
        Number of latent units, which stand after those of the columns.
    values : tuple of (array or None), optional
        The values that the numbers 0, 1, ... of a column stand for; None where numbers stand for
        themselves, as in arrays.
    schema : FrameSchema, optional
        Of the frame that the first rows were.

    Examples
    --------
    >>> X = np.array([[0.5, 1.0], [1.5, 0.0], [2.5, 1.0]])
    >>> visible, settings = [("binary", [1]), ("gaussian", [0])], ColumnSettings()
    >>> table = Table.learn(X, Columns.of_array(X, visible, None, settings), settings)
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
    values: tuple[np.ndarray | None, ...] | None = None
    schema: FrameSchema | None = None

    @classmethod
    def learn(
        cls, X: Any, columns: Columns, settings: ColumnSettings, backend: Any = None
    ) -> Table:
        """Make the table from its first rows.

        Parameters
        ----------
        X : array of shape (n_samples, n_columns)
        columns : Columns
        settings : ColumnSettings
        backend : backend, optional
            Where X is, if that is not the host.
        """
        if settings.binarize != "auto" and "binary" not in dict(columns.kinds):
            raise ValueError(
                "binarize says what values of binary columns mean, and there are none: leave it at "
                f"'auto', got {settings.binarize!r}"
            )
        parts = []
        for kind, numbers in columns.kinds:
            own = select_columns(X, numbers, backend) if columns.is_mixed else X
            names = names_of(columns.schema, numbers)
            known = [columns.categories[j] for j in numbers]
            of_kind = replace(settings, categories=known, names=names)
            weights = None if columns.weights is None else columns.weights[:, numbers]
            with errors_name_columns(kind, numbers, names) if columns.is_mixed else nullcontext():
                encoder = KINDS[kind].learn(own, of_kind, weights)
            parts.append(Part(kind, numbers, encoder))
        values, shape = tuple(columns.values), (columns.is_mixed, X.shape[1], columns.names)
        return cls(tuple(parts), *shape, values=values, schema=columns.schema)

    @classmethod
    def restore(
        cls,
        attributes: Mapping[str, Any],
        visible: Any,
        settings: ColumnSettings,
        n_latent: int = 0,
    ) -> Table:
        """Make the table that a fitted estimator's attributes describe.

        Parameters
        ----------
        attributes : mapping
        visible : str, list of (str, columns) or dict of columns
            The parameter of the estimator.
        settings : ColumnSettings
        n_latent : int, default=0

        Raises
        ------
        ValueError
            If attributes do not fit each other, or `visible`.
        """
        n_columns, names = attributes["n_features_in_"], attributes.get("feature_names_in_")
        kinds, schema = _fitted_kinds(attributes, n_columns), attributes.get("frame_")
        labels = names if schema is None else names_of(schema, range(n_columns))
        if not _are_those_wanted(kinds, visible, n_columns, labels):
            fitted = kinds[0][0] if len(kinds) == 1 else [(k, c.tolist()) for k, c in kinds]
            raise ValueError(
                f"visible={describe(visible)} is set, and visible={describe(fitted)} was fitted: "
                "set it back, or fit again."
            )
        # Binary columns of a frame may have two values of any kind, which are categories.
        expected = attributes_of_columns(dict(kinds))
        expected |= {"categories_"} if "binary" in dict(kinds) else frozenset()
        stale = (attributes_of_columns() - expected).intersection(attributes)
        if stale:
            raise ValueError(f"{min(stale)} belongs to models of other columns. Fit again.")
        attributes, values = numbers_in_attributes(attributes, kinds, schema)
        parts, start = [], 0
        for kind, columns in kinds:
            own: dict[str, Any] = dict(attributes)
            for name in KINDS[kind].per_column:
                found = own.get(f"{name}_")
                is_list = isinstance(found, list) and len(found) == n_columns
                own[f"{name}_"] = [found[j] for j in columns] if is_list else None
            if schema is not None:
                settings = replace(settings, names=names_of(schema, columns))
            part = Part(kind, columns, KINDS[kind].restore(own, settings))
            units = slice(start, start + part.n_units)
            of_units = {name: own.get(f"{name}_") for name in part.encoder.per_unit}
            of_units = {name: a[units] for name, a in of_units.items() if a is not None}
            if of_units:
                part = part._replace(encoder=replace(part.encoder, **of_units))
            parts.append(part)
            start = units.stop
        is_mixed = are_mixed(visible) or len(parts) > 1
        return cls(tuple(parts), is_mixed, n_columns, names, n_latent, values, schema)

    def measure(self, X: Any, weights: np.ndarray | None, backend: Any) -> Table:
        """Set the moments of the columns to those of weighted rows."""
        encoder = self._encoder.measure(X, weights, backend)
        if self.is_mixed:
            return replace(self, parts=encoder.parts)
        return replace(self, parts=(self.parts[0]._replace(encoder=encoder),))

    def attributes(self) -> dict[str, Any]:
        """Collect fitted attributes: `visible_`, `binarize_`, `frame_`, and those of the kinds."""
        found: dict[str, Any] = {
            "visible_": self.kinds,
            "binarize_": None,
        }
        if self.schema is not None:
            found["frame_"] = self.schema
        start = 0
        for part in self.parts:
            encoder, units = part.encoder, slice(start, start + part.n_units)
            found |= {f"{name}_": getattr(encoder, name) for name in encoder.per_table}
            for name in encoder.per_column:
                own = getattr(encoder, name)
                if own is not None:
                    of_columns = found.setdefault(f"{name}_", [None] * self.n_columns)
                    for j, value in zip(part.columns, own, strict=True):
                        of_columns[j] = value
            for name, fill in encoder.per_unit.items():
                if getattr(encoder, name) is not None:
                    values = found.setdefault(f"{name}_", np.full(len(self.column_of_unit), fill))
                    values[units] = getattr(encoder, name)
            start = units.stop
        return found | values_in_attributes(found, self._values)

    def encoder(self, backend: Any, X: Any = None) -> Encoder:
        """Make the encoder of X, or by default of rows like those of fit.

        Without a backend it only checks rows.
        """
        encoder = self._encoder.for_rows(X, backend)
        if self.n_latent == 0 or backend is None:
            return encoder
        how = {"backend": backend, "dtype": encoder.dtype, "missing": True}
        return LatentEncoder(encoder, self.n_latent, **how)

    @property
    def kinds(self) -> list[tuple[str, np.ndarray]]:
        """The columns of each kind, by number."""
        return [(part.kind, part.columns) for part in self.parts]

    @property
    def visible(self) -> str | list[tuple[str, np.ndarray]]:
        """The kinds of the columns, as the parameter `visible` of an estimator."""
        return self.kinds if self.is_mixed else self.parts[0].kind

    # --- frames -------------------------------------------------------------------------

    @property
    def are_plain(self) -> bool:
        """Whether all columns are binary, and numbers in X stand for themselves."""
        are_binary = [part.kind for part in self.parts] == ["binary"]
        are_coded = any(known is not None for known in self.values or ())
        return are_binary and not are_coded and converts_as_a_whole(self.schema)

    def read(self, X: Any, allow_fewer: bool = False, unread: int | None = None) -> np.ndarray:
        """Read rows of a frame like those of fit as numbers, float64.

        With `allow_fewer` it may lack columns, which are missing; so is the column `unread`.
        """
        are_open = np.zeros(self.n_columns, dtype=bool)
        for part in self.parts:
            are_open[part.columns] = part.encoder.takes_unknown(len(part.columns))
        how = (self.kinds, self._values, self._units, are_open)
        return read_frame(X, self.schema, *how, allow_fewer, unread)

    def numbers_of(self, X: Any) -> Any:
        """Convert an array of the values of a frame to numbers; ValueError for columns of text.

        A sparse X stays so. It leaves out zeros: ValueError if a column has two other values.
        """
        out = X.astype(np.float64)
        for j, known in enumerate(self._values):
            if known is None:
                continue
            if known.dtype.kind not in "biuf":
                raise ValueError(
                    f"X is an array, and column {j} held values such as {describe(known[0])} in "
                    "fit: pass a frame"
                )
            if sparse.issparse(X):
                raise ValueError(
                    f"column {j} held {known[0]:g} and {known[1]:g} in fit: values other than 0 "
                    "and 1 need a dense X, got a sparse one"
                )
            out[:, j] = codes_of_numbers(out[:, j], known, self._units, j)
        return out

    def to_columns(
        self, numbers: np.ndarray, like: Any = None, places: Any = None, n_each: int = 1
    ) -> tuple[list[np.ndarray], FrameSchema]:
        """Convert numbers to the values of each column of a frame, and its schema.

        Parameters
        ----------
        numbers : array of shape (n, n_columns)
        like : data frame, optional
            Rows that the numbers complete, each `n_each` times. Values of it that fit has not seen,
            whose numbers are below zero, return; declared categories are extended by them.
        places : sequence of (int or None), optional
            The place of each column in `like`.
        n_each : int, default=1
        """
        found, described = [], list(self.schema.columns)
        for j, (x, known) in enumerate(zip(numbers.T, self._values, strict=True)):
            column, kind = described[j], self._kind_of[j]
            values = values_of_numbers(x, known, column, kind, self._units)
            is_unseen = (x < 0.0) & (kind == "categorical" and known is not None)
            if like is not None and is_unseen.any():
                given = np.repeat(read_column(like, places[j], column), n_each)
                values, described[j] = restore_unseen(values, is_unseen, given, column)
            found.append(values)
        return found, replace(self.schema, columns=tuple(described))

    @property
    def _values(self) -> tuple:
        return self.values or (None,) * self.n_columns

    @cached_property
    def _kind_of(self) -> dict[int, str]:
        return {int(j): part.kind for part in self.parts for j in part.columns}

    @property
    def _units(self) -> str:
        encoders = [part.encoder for part in self.parts if part.kind == "binary"]
        return encoders[0].units if encoders else "binary"

    # --- units --------------------------------------------------------------------------

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = self.parts[0].encoder
        return MixedEncoder(self.parts, dtype=encoder.dtype) if self.is_mixed else encoder

    def part_of(self, column: int) -> tuple[Part, int]:
        """Find the part that a column is in, and its place there."""
        for part in self.parts:
            place = np.flatnonzero(part.columns == column)
            if place.size:
                return part, int(place[0])
        raise ValueError(f"X has columns 0 to {self.n_columns - 1}, got {column}")

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
        return np.concatenate([c[e.column_of_unit(len(c))] for _, c, e in self.parts])

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

    def describe(self) -> list[str]:
        """List the columns of each kind, a line each, with what was learned of them."""
        lines = []
        for kind, columns, encoder in self.parts:
            names = names_of(self.schema, columns)
            if names is None:
                names = columns if self.names is None else self.names[columns]
            shown = [f"{names[j]}{encoder.remark(j)}" for j in range(min(len(names), MOST_SHOWN))]
            more = f", ... ({len(names)} columns)" if len(names) > MOST_SHOWN else ""
            lines.append(f"{kind}: {', '.join(shown)}{more}")
        return lines

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


def _are_those_wanted(kinds: list, visible: Any, n_columns: int, names: Any) -> bool:
    """Whether fitted kinds and columns are those that the parameter `visible` asks for."""
    if isinstance(visible, str):
        wanted = {"auto": tuple(KINDS), "real": CHOICES_OF_REAL}.get(visible, (visible,))
        return all(kind in wanted for kind, _ in kinds)
    fitted = [""] * n_columns
    for kind, columns in kinds:
        for j in columns:
            fitted[j] = kind
    if are_mixed(visible):
        order = [kind for kind, _ in columns_by_kind(visible, n_columns, names)]
        if "real" not in order and order != [kind for kind, _ in kinds]:
            return False
    return all(
        want in ("auto", kind) or (want == "real" and kind in CHOICES_OF_REAL)
        for want, kind in zip(wanted_kinds(visible, n_columns, names), fitted, strict=True)
    )
