"""Arrays of the stand-in: NumPy's inside, and as strict about host and device as CuPy's."""

from __future__ import annotations

import operator
from collections import Counter
from types import SimpleNamespace

import numpy as np

# How often something was moved: "to_device", "to_host".
transfers = Counter()

# Bytes before and after each allocation, which nobody is to write to; what new memory holds.
GUARD = 64
GUARD_BYTE, NEW_BYTE = 0xA5, 0xFF  # a float of 0xFF bytes is NaN

UNARY = ["neg", "pos", "abs", "invert"]
BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


def allocate(shape, dtype):
    """New memory between guards, filled with what makes its use show."""
    dtype = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.full(n_bytes + 2 * GUARD, GUARD_BYTE, dtype=np.uint8)
    memory[GUARD : GUARD + n_bytes] = NEW_BYTE
    return memory[GUARD : GUARD + n_bytes].view(dtype).reshape(shape)


def guards_of(host):
    """The bytes around the allocation that an array is a view of."""
    memory = host
    while memory.base is not None:
        memory = memory.base
    return memory[:GUARD], memory[-GUARD:]


def to_host(value):
    """What NumPy shall compute with: the inside of arrays, scalars as they are."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)(to_host(v) for v in value)
    if isinstance(value, slice):
        return slice(*(to_host(v) for v in (value.start, value.stop, value.step)))
    return value


def new(result):
    """A NumPy result, or scalar, as an array of the device, in memory with guards."""
    result = np.asarray(result)
    memory = allocate(result.shape, result.dtype)
    memory[...] = result
    return ndarray(memory)


class ndarray:
    """An array of the device."""

    __array_ufunc__ = None  # so that NumPy's arrays leave operators to us, who refuse
    __hash__ = None

    def __init__(self, host):
        self._host = host

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: ndarray(self._host.T))
    # The address, as `.data.ptr`.
    data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))

    def get(self):
        transfers["to_host"] += 1
        return self._host.copy(order="K")

    def __len__(self):
        return len(self._host)

    def __getitem__(self, key):
        # A view, unless rows are picked one by one.
        part = np.asarray(self._host[to_host(key)])
        is_view = part.base is not None and np.may_share_memory(part, self._host)
        return ndarray(part) if is_view else new(part)

    def __setitem__(self, key, value):
        self._host[to_host(key)] = to_host(value)

    def __repr__(self):
        return f"cupy stand-in {self._host!r}"

    def _scalar(self, kind):
        transfers["to_host"] += 1
        return kind(self._host.item())

    def __bool__(self):
        return self._scalar(bool)

    def __int__(self):
        return self._scalar(int)

    def __float__(self):
        return self._scalar(float)

    def _method(self, name, *args, **kwargs):
        return new(getattr(self._host, name)(*map(to_host, args), **kwargs))

    def all(self):
        return self._method("all")

    def any(self):
        return self._method("any")

    def argmax(self):
        return self._method("argmax")

    def max(self):
        return self._method("max")

    def mean(self):
        return self._method("mean")

    def ravel(self):
        return self._method("ravel")

    def sum(self):
        return self._method("sum")


ndarray.__module__ = "cupy"


def _is_operand(value):
    return isinstance(value, ndarray | bool | int | float | np.generic)


def _unary(name, function):
    setattr(ndarray, name, lambda self: new(function(self._host)))


def _operator(name, function, *, swapped=False):
    def method(self, other):
        if not _is_operand(other):
            raise TypeError(f"Unsupported type {type(other)}")
        pair = (to_host(other), self._host) if swapped else (self._host, to_host(other))
        return new(function(*pair))

    method.__name__ = name
    setattr(ndarray, name, method)


def _in_place(name, function):
    def method(self, other):
        if not _is_operand(other):
            raise TypeError(f"Unsupported type {type(other)}")
        self._host = function(self._host, to_host(other))
        return self

    method.__name__ = name
    setattr(ndarray, name, method)


for _name in UNARY:
    _unary(f"__{_name}__", getattr(operator, _name))
for _name in BINARY:
    _function = getattr(operator, _name if _name not in ("and", "or") else f"{_name}_")
    _operator(f"__{_name}__", _function)
    _operator(f"__r{_name}__", _function, swapped=True)
    if _name != "matmul":
        _in_place(f"__i{_name}__", getattr(operator, f"i{_name}"))
for _name in COMPARISONS:
    _operator(f"__{_name}__", getattr(operator, _name))
