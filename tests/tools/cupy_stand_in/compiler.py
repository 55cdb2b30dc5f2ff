"""CUDA source compiled by the host's C++ compiler, each thread of a grid run in turn."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tools.cupy_stand_in.arrays import GUARD_BYTE, guards_of, ndarray

COMPILER = os.environ.get("CXX", "c++")
# As the GPU's compiler is told: no fused multiply-adds.
OPTIONS = ["-O2", "-ffp-contract=off", "-std=c++14", "-shared", "-fPIC", "-Wall", "-Werror"]
LARGEST_GRID, LARGEST_BLOCK = (2**31 - 1, 65_535, 65_535), 1024

PRELUDE = """
#include <cmath>
#include <cstring>
#define __global__
#define __device__
#define __forceinline__ inline
struct Index { unsigned x, y, z; };
static thread_local Index threadIdx, blockIdx, blockDim, gridDim;
static inline unsigned __umulhi(unsigned a, unsigned b)
{ return (unsigned)(((unsigned long long)a * b) >> 32); }
static inline float __int_as_float(int i) { float f; memcpy(&f, &i, 4); return f; }
static inline void sincospif(float x, float *sine, float *cosine)
{ const double a = 3.141592653589793 * x; *sine = (float)sin(a); *cosine = (float)cos(a); }
"""
# Threads run from last to first: a kernel that relied on the order would show.
LAUNCH = """
extern "C" void launch_%(name)s(const unsigned *shape, void **args)
{
    gridDim = {shape[0], shape[1], 1}; blockDim = {shape[2], shape[3], 1};
    for (unsigned by = gridDim.y; by--;) for (unsigned bx = gridDim.x; bx--;)
        for (unsigned ty = blockDim.y; ty--;) for (unsigned tx = blockDim.x; tx--;) {
            blockIdx = {bx, by, 0}; threadIdx = {tx, ty, 0};
            %(name)s(%(args)s);
        }
}
"""
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
# What CuPy hands over for a Python or NumPy scalar, by the C type that expects it.
SCALARS = {
    "size": np.int64,
    "long long": np.int64,
    "word": np.uint32,
    "float": np.float32,
    "double": np.float64,
    "signed char": np.int8,
}


def parameters_of(source):
    """Each kernel's parameters: (type without const, whether a pointer, whether const)."""
    return {name: [_parameter(p) for p in text.split(",")] for name, text in KERNEL.findall(source)}


def _parameter(text):
    words = text.replace("*", " * ").split()
    kind = " ".join(w for w in words[:-1] if w not in ("const", "*"))
    return kind, "*" in words, "const" in words


class RawModule:
    """Kernels of one source; CuPy's class of this name."""

    def __init__(self, *, code, options=()):
        if "--fmad=false" not in options:
            raise ValueError("the host compiler fuses no multiply-adds: say --fmad=false")
        self.kernels = parameters_of(code)
        self._library = compiled(code)

    def get_function(self, name):
        return RawKernel(name, self._library, self.kernels[name])


class RawKernel:
    """A kernel that runs at once when it is called; CuPy's class of this name."""

    def __init__(self, name, library, parameters):
        self.name, self.parameters = name, parameters
        self._launch = getattr(library, f"launch_{name}")
        self._launch.restype = None

    def __call__(self, grid, block, args):
        if not all(0 < n <= limit for n, limit in zip(grid, LARGEST_GRID, strict=False)):
            raise ValueError(f"invalid grid {grid}")
        if not 0 < np.prod(block) <= LARGEST_BLOCK:
            raise ValueError(f"invalid block {block}")
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, got {len(args)}")
        values = [_argument(a, *p) for a, p in zip(args, self.parameters, strict=True)]
        addresses = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        self._launch((ctypes.c_uint * 4)(*grid, *block), addresses)
        for a in args:
            if isinstance(a, ndarray) and any((g != GUARD_BYTE).any() for g in guards_of(a._host)):
                raise MemoryError(f"{self.name} wrote outside of an array")


def _argument(value, kind, is_pointer, is_const):
    """The bytes of an argument as CuPy would hand them over, if they are what is expected."""
    if is_pointer:
        if not isinstance(value, ndarray) or value.dtype != SCALARS[kind]:
            raise TypeError(f"expected an array of {kind}, got {value!r}")
        if not value.flags.c_contiguous:
            raise TypeError("kernels take arrays in row-major order")
        return np.array(value.data.ptr, dtype=np.uint64)
    value = np.int64(value) if type(value) is int else value
    value = np.float64(value) if type(value) is float else value
    if type(value) is not SCALARS[kind]:
        raise TypeError(f"expected a {kind}, got {value!r} of {type(value)}")
    return np.array(value)


@cache
def compiled(source):
    """The source as a library of the host, kept from one process to the next."""
    launches = [
        LAUNCH % {"name": name, "args": ", ".join(_read(i, *p) for i, p in enumerate(parameters))}
        for name, parameters in parameters_of(source).items()
    ]
    # Options come with the name: another compiler or option makes another library.
    text = "\n".join([PRELUDE, source, *launches])
    key = hashlib.sha256(repr((COMPILER, OPTIONS, text)).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"sklearn_rapid_stand_in_{os.getuid()}_{key}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            cpp, so = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            cpp.write_text(text, encoding="utf-8")
            made = subprocess.run(
                [COMPILER, *OPTIONS, str(cpp), "-o", str(so)], capture_output=True, text=True
            )
            if made.returncode:
                raise RuntimeError(f"the host compiler refuses the kernels:\n{made.stderr}")
            shutil.move(so, path)
    return ctypes.CDLL(str(path))


def _read(i, kind, is_pointer, is_const):
    kind = f"const {kind}" if is_const else kind
    kind = f"{kind} *" if is_pointer else kind
    return f"*({kind}*)args[{i}]"
