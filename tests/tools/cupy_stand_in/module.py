"""The stand-in's module: CuPy's functions by name, each NumPy's on what is inside."""

from __future__ import annotations

import ctypes
from types import ModuleType, SimpleNamespace

import numpy as np

from tools.cupy_stand_in.arrays import allocate, ndarray, new, to_host, transfers
from tools.cupy_stand_in.compiler import RawModule

# Functions that are NumPy's of the same name, and whose results are new memory of the device.
FUNCTIONS = """
    abs all any arange argmax astype atanh clip concat cos exp floor full full_like greater isnan
    log log1p max maximum mean min minimum nan_to_num ones ones_like reshape round sign sin sqrt
    stack sum take tanh where zeros zeros_like
""".split()
DTYPES = "bool float32 float64 int8 int32 int64 uint8 uint32 uint64".split()

# What cuBLAS and the CUDA runtime call things, by their documentation.
COMPUTE_32F_FAST_16BF, COMPUTE_32F_FAST_TF32, CUDA_R_32F = 75, 77, 0
# Bits of a float32 that its two narrow formats drop.
DROPPED_BITS = {COMPUTE_32F_FAST_16BF: 16, COMPUTE_32F_FAST_TF32: 13}


class Cupy(ModuleType):
    """A module that says what it lacks."""

    def __getattr__(self, name):
        raise AttributeError(f"the stand-in for CuPy has no {name!r}")


def make_cupy(n_devices=1, compute_capability="90"):
    """A module with CuPy's names, on a machine with so many GPUs."""
    cupy = Cupy("cupy")
    cupy.ndarray = ndarray
    cupy.transfers = transfers
    for name in DTYPES:
        setattr(cupy, name, getattr(np, name))
    for name in FUNCTIONS:
        setattr(cupy, name, _wrapped(getattr(np, name)))
    for function in (asarray, ascontiguousarray, asnumpy, empty, empty_like, matmul):
        setattr(cupy, function.__name__, function)
    cupy.clip = clip
    cupy.RawModule = RawModule
    device = SimpleNamespace(compute_capability=compute_capability)
    cupy.cuda = SimpleNamespace(
        Device=lambda: device,
        device=SimpleNamespace(get_cublas_handle=lambda: 0),
        runtime=SimpleNamespace(getDeviceCount=lambda: n_devices, CUDA_R_32F=CUDA_R_32F),
        cublas=SimpleNamespace(
            CUBLAS_COMPUTE_32F_FAST_16BF=COMPUTE_32F_FAST_16BF,
            CUBLAS_COMPUTE_32F_FAST_TF32=COMPUTE_32F_FAST_TF32,
            CUBLAS_GEMM_DEFAULT=-1,
            gemmEx=gemm_ex,
        ),
    )
    return cupy


def _wrapped(function):
    def wrapper(*args, **kwargs):
        result = function(
            *(to_host(a) for a in args), **{name: to_host(a) for name, a in kwargs.items()}
        )
        return kwargs["out"] if kwargs.get("out") is not None else new(result)

    wrapper.__name__ = function.__name__
    return wrapper


def asarray(a, dtype=None, *, copy=None):
    if isinstance(a, ndarray):
        same = dtype is None or a.dtype == dtype
        return a if same and not copy else new(np.array(a._host, dtype=dtype))
    transfers["to_device"] += 1
    return new(np.asarray(a, dtype=dtype))


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def ascontiguousarray(a, dtype=None):
    host = to_host(a)
    same = host.flags.c_contiguous and (dtype is None or host.dtype == dtype)
    return a if same else new(np.ascontiguousarray(host, dtype=dtype))


def empty(shape, dtype=float):
    return ndarray(allocate(shape, dtype))


def empty_like(a):
    return empty(a.shape, a.dtype)


def clip(a, a_min, a_max, out=None):
    result = np.clip(to_host(a), a_min, a_max, out=None if out is None else to_host(out))
    return out if out is not None else new(result)


def matmul(a, b, out=None):
    if out is None:
        return new(np.matmul(to_host(a), to_host(b)))
    np.matmul(to_host(a), to_host(b), out=to_host(out))
    return out


def rounded(x, n_bits):
    """Float32 numbers rounded to the nearest that has its last bits zero, ties to even."""
    bits = x.view(np.uint32)
    odd = (bits >> np.uint32(n_bits)) & np.uint32(1)
    bits = bits + np.uint32((1 << (n_bits - 1)) - 1) + odd
    return (bits & np.uint32(0xFFFFFFFF << n_bits & 0xFFFFFFFF)).view(np.float32)


def _matrix(address, n_rows, n_columns, stride):
    """A column-major float32 matrix in memory."""
    buffer = (ctypes.c_float * (stride * n_columns)).from_address(address)
    return np.frombuffer(buffer, dtype=np.float32).reshape(n_columns, stride).T[:n_rows]


def gemm_ex(
    handle, transa, transb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc,
    compute_type, algorithm,
):  # fmt: skip
    """C = alpha op(A) op(B) + beta C by addresses, as cuBLAS defines it, for float32."""
    assert {a_type, b_type, c_type} == {CUDA_R_32F}
    A = _matrix(a, k, m, lda).T if transa else _matrix(a, m, k, lda)
    B = _matrix(b, n, k, ldb).T if transb else _matrix(b, k, n, ldb)
    C = _matrix(c, m, n, ldc)
    alpha, beta = (ctypes.c_float.from_address(p).value for p in (alpha, beta))
    A, B = (rounded(np.ascontiguousarray(x), DROPPED_BITS[compute_type]) for x in (A, B))
    C[...] = alpha * (A @ B) + (beta * C if beta else 0.0)
