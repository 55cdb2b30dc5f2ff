"""Encode trees of plain values, arrays and listed classes as JSON and named arrays.

A value that JSON lacks becomes a dict with one key, its type. Names in a file find only the classes
that the caller has listed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_rapid.checks.arrays import MOST_SHOWN, describe
from sklearn_rapid.tables.frames import array_of_objects

# Types of arrays, and their names in safetensors files.
DTYPES = {
    np.dtype("bool"): "BOOL",
    np.dtype("int8"): "I8",
    np.dtype("uint8"): "U8",
    np.dtype("int32"): "I32",
    np.dtype("int64"): "I64",
    np.dtype("float32"): "F32",
    np.dtype("float64"): "F64",
}
# Types of keys of a dict.
KEYS = (str, Real, tuple)
# Annotations of dataclass fields whose values are checked.
CHECKED_TYPES = {"int": Integral, "float": Real, "bool": bool}


class Tree:
    """Writes and reads trees of plain values, arrays and instances of listed classes.

    Parameters
    ----------
    classes : iterable of type
        Dataclasses, and estimators that are fully described by their parameters.

    Examples
    --------
    >>> tree, arrays = Tree([]), {}
    >>> node = tree.write({"a": (1, float("nan")), "b": np.zeros(2)}, "x", arrays)
    >>> node
    {'dict': {'a': {'tuple': [1, {'number': 'nan'}]}, 'b': {'array': 'x/b'}}}
    >>> tree.read(node, arrays)
    {'a': (1, nan), 'b': array([0., 0.])}
    """

    def __init__(self, classes: Iterable[type]) -> None:
        self.classes = {cls.__name__: cls for cls in classes}

    def write(self, value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
        """Encode a value as JSON; add its arrays to `arrays`, under names starting with `name`."""
        if value is None or isinstance(value, str | bool):
            return value
        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, Real):
            return float(value) if math.isfinite(value) else {"number": repr(float(value))}
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, type) and value in (np.float32, np.float64):
            return {"dtype": np.dtype(value).name}
        if isinstance(value, np.ndarray):
            return self._write_array(value, name, arrays)
        if isinstance(value, list | tuple):
            items = [self.write(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]
            return items if isinstance(value, list) else {"tuple": items}
        if isinstance(value, dict) and _are_strings(value):
            return {"dict": self._write_items(value, name, arrays)}
        if isinstance(value, dict) and all(isinstance(k, KEYS) for k in value):
            pairs = [(self.write(k, name, {}), v) for k, v in value.items()]
            return {"items": [[k, self.write(v, f"{name}/{k}", arrays)] for k, v in pairs]}
        if self.classes.get(type(value).__name__) is type(value):
            items = _constructor_arguments(value)
            kind = type(value).__name__
            return {"class": kind, "values": self._write_items(items, name, arrays)}
        raise TypeError(
            f"{name} is {value!r} of type {type(value).__name__}, which a file that runs no code "
            "cannot hold"
        )

    def read(self, node: Any, arrays: dict[str, np.ndarray]) -> Any:
        """Decode a value; ValueError for a node that `write` never makes."""
        if node is None or isinstance(node, str | bool | int | float):
            return node
        if isinstance(node, list):
            return [self.read(item, arrays) for item in node]
        match node:
            case {"number": "nan" | "inf" | "-inf" as number, **rest} if not rest:
                return float(number)
            case {"bytes": str(text), **rest} if not rest:
                return bytes.fromhex(text)
            case {"dtype": "float32" | "float64" as dtype, **rest} if not rest:
                return getattr(np, dtype)
            case {"array": str(name), **rest} if name in arrays and not rest:
                return arrays[name]
            case {"transposed": str(name), **rest} if name in arrays and not rest:
                return arrays[name].T
            case {"strings": list(strings), **rest} if not rest and _are_strings(strings):
                return np.array(strings, dtype=object)
            case {"tuple": list(items), **rest} if not rest:
                return tuple(self.read(item, arrays) for item in items)
            case {"dict": dict(items), **rest} if not rest:
                return {key: self.read(item, arrays) for key, item in items.items()}
            case {"items": list(pairs), **rest} if not rest and all(map(_is_pair, pairs)):
                return {self.read(k, {}): self.read(item, arrays) for k, item in pairs}
            case {"objects": list(items), **rest} if not rest:
                return array_of_objects([self.read(item, {}) for item in items])
            case {"class": str(kind), "values": dict(items), **rest} if not rest:
                values = {key: self.read(item, arrays) for key, item in items.items()}
                return self._construct(kind, values)
        raise ValueError(f"it holds a value that is not known here: {describe(node)}")

    def _write_items(self, items: dict[str, Any], name: str, arrays: dict) -> dict[str, Any]:
        return {key: self.write(v, f"{name}/{key}", arrays) for key, v in items.items()}

    def _write_array(self, value: np.ndarray, name: str, arrays: dict) -> dict[str, Any]:
        if value.dtype.kind in "OU" and value.ndim == 1 and _are_strings(value):
            return {"strings": [str(s) for s in value]}
        if value.dtype == object and value.ndim == 1:
            return {"objects": [self.write(v, name, {}) for v in value]}
        if value.dtype not in DTYPES:
            raise TypeError(f"{name} is an array of dtype {value.dtype}, which files do not hold")
        # Memory order is kept, so that products round as they did before.
        is_transposed = (
            value.ndim == 2 and value.flags.f_contiguous and not value.flags.c_contiguous
        )
        arrays[name] = np.asarray(value.T if is_transposed else value, order="C")
        return {"transposed" if is_transposed else "array": name}

    def _construct(self, kind: str, values: dict[str, Any]) -> Any:
        if kind not in self.classes:
            raise ValueError(f"it holds a {describe(kind)}, which is not known here")
        cls = self.classes[kind]
        annotations = {f.name: f.type for f in fields(cls)} if is_dataclass(cls) else {}
        for name, value in values.items():
            wanted = CHECKED_TYPES.get(annotations.get(name), object)
            if not isinstance(value, wanted) or (wanted is Integral and isinstance(value, bool)):
                got = f"{describe(name)[1:-1]} = {describe(value)}"
                raise ValueError(f"it holds a {kind} with {got}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(
                f"it holds a {kind} that is not one of this version: {str(error)[:MOST_SHOWN]}"
            ) from None


def _constructor_arguments(value: Any) -> dict[str, Any]:
    """Return the arguments that make an equal instance of a listed class."""
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return value.get_params(deep=False)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _are_strings(values: Iterable) -> bool:
    return all(isinstance(value, str) for value in values)
