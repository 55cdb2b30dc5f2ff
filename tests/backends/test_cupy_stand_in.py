"""The stand-in for CuPy refuses what CuPy refuses, and sees what a kernel does wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tools.cupy_stand_in.compiler import RawModule, parameters_of
from tools.cupy_stand_in.module import FUNCTIONS, rounded

from sklearn_rapid.backends import get_backend
from sklearn_rapid.backends.gpu.backend import SOURCE


@pytest.fixture
def cupy(cupy_stand_in):
    return cupy_stand_in


def test_unknown_names_are_refused(cupy):
    with pytest.raises(AttributeError, match="stand-in for CuPy has no 'linspace'"):
        cupy.linspace(0, 1, 3)
    with pytest.raises(AttributeError):
        cupy.cuda.Stream()
    with pytest.raises(AttributeError):
        cupy.zeros(3).tolist()


def test_nothing_moves_to_the_host_by_itself(cupy):
    x = cupy.asarray(np.arange(3.0))
    for convert in (np.asarray, np.sum, lambda a: np.add(a, 1.0), lambda a: np.zeros(3) + a):
        with pytest.raises(TypeError):
            convert(x)
    with pytest.raises(TypeError):
        np.zeros(3)[...] = x
    assert "to_host" not in cupy.transfers


def test_host_and_device_do_not_mix(cupy):
    x, host = cupy.asarray(np.arange(3.0)), np.arange(3.0)
    for mix in (
        lambda: x + host,
        lambda: cupy.maximum(x, host),
        lambda: cupy.concat([x, host]),
        lambda: x.__setitem__(slice(None), host),
        lambda: x[np.arange(2)],
        lambda: x.__iadd__(host),
    ):
        with pytest.raises(TypeError, match="Unsupported type"):
            mix()
    assert (x + np.float64(1.0)).get().tolist() == [1.0, 2.0, 3.0]


def test_moves_are_counted(cupy):
    x = cupy.asarray(np.arange(3.0))
    assert cupy.transfers == {"to_device": 1}
    y = cupy.sum(x * 2.0 + x[0]) + cupy.full((), 1.0)
    assert isinstance(y, cupy.ndarray) and y.shape == ()
    assert cupy.transfers == {"to_device": 1}
    assert (float(y), bool(y > 0), int(y)) == (7.0, True, 7)
    cupy.asnumpy(x)
    assert cupy.transfers == {"to_device": 1, "to_host": 4}


def test_parts_are_views_and_new_memory_is_none_to_read(cupy):
    x = cupy.zeros((3, 4))
    x[1:, :2] += 1.0
    assert x.get().sum() == 4.0
    assert np.isnan(cupy.empty((2, 2), dtype="float32").get()).all()


KERNEL = """
extern "C" __global__ void shift(const float *x, float by, float *out, long long n)
{
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i + %s] = x[i] + by;
}
"""


def shift(cupy, *args, at=0, grid=(2,), block=(32,)):
    module = RawModule(code=KERNEL % at, options=("--fmad=false",))
    module.get_function("shift")((*grid, 1), (*block, 1), args)


def test_kernels_run(cupy):
    x, out = cupy.asarray(np.arange(100, dtype=np.float32)), cupy.empty(100, dtype="float32")
    shift(cupy, x, np.float32(2), out, 100)
    np.testing.assert_array_equal(out.get(), np.arange(100) + 2)


@pytest.mark.parametrize("at", [-1, 1])
def test_writing_outside_of_an_array_is_seen(cupy, at):
    x, out = cupy.zeros(10, dtype="float32"), cupy.zeros(10, dtype="float32")
    with pytest.raises(MemoryError, match="shift wrote outside"):
        shift(cupy, x, np.float32(2), out, 10, at=at)


@pytest.mark.parametrize(
    "change",
    [
        {0: np.zeros(10, dtype=np.float32)},
        {1: 2.0},
        {1: np.float64(2)},
        {2: "double"},
        {2: "strided"},
        {3: np.int32(10)},
        {3: 10.0},
    ],
)
def test_arguments_that_a_kernel_would_misread_are_refused(cupy, change):
    x, out = cupy.zeros(10, dtype="float32"), cupy.zeros(10, dtype="float32")
    args = [x, np.float32(2), out, 10]
    shift(cupy, *args)
    for i, value in change.items():
        named = {"double": cupy.zeros(10), "strided": cupy.zeros(20, dtype="float32")[::2]}
        args[i] = named[value] if isinstance(value, str) else value
    with pytest.raises(TypeError):
        shift(cupy, *args)


def test_grids_and_counts_of_arguments(cupy):
    x = cupy.zeros(10, dtype="float32")
    for how in ({"grid": (0,)}, {"block": (2048,)}):
        with pytest.raises(ValueError, match="invalid"):
            shift(cupy, x, np.float32(2), x, 10, **how)
    with pytest.raises(TypeError, match="takes 4 arguments, got 3"):
        shift(cupy, x, np.float32(2), x)
    with pytest.raises(ValueError, match="--fmad=false"):
        RawModule(code=KERNEL % 0)


def test_every_kernel_of_the_source_is_known():
    """And each of the words that the launch would have to know to hand over its arguments."""
    kernels = parameters_of(SOURCE)
    assert len(kernels) == len(re.findall("__global__", SOURCE)) >= 10
    assert all(parameters for parameters in kernels.values())


def narrow(x, n_bits):
    """Round to so many bits after the leading one, by Python's own rounding to even."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 2.0 ** (n_bits + 1)), exponent - n_bits - 1)


@pytest.mark.parametrize(("dropped", "kept"), [(16, 7), (13, 10)])
def test_rounding_to_narrow_formats(dropped, kept):
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    x[:4] = 1.0, -1.0, 1.0 + 2.0**-8, 1.0 + 2.0**-11  # the last two are ties of one or the other
    np.testing.assert_array_equal(rounded(x, dropped), narrow(x, kept))


@pytest.mark.parametrize("products", ["tf32", "bf16"])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_products_of_rounded_factors(cupy_stand_in, products, transposed):
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 7), (7, 4)))
    kept = {"tf32": 10, "bf16": 7}[products]
    expected = narrow(a, kept) @ narrow(b, kept)
    backend = get_backend(f"cupy-{products}")
    given = [
        backend.asarray(np.ascontiguousarray(x.T)).T if is_transposed else backend.asarray(x)
        for x, is_transposed in zip((a, b), transposed, strict=True)
    ]
    np.testing.assert_allclose(backend.matmul(*given).get(), expected, rtol=1e-5, atol=1e-6)
    total = backend.asarray(np.ones((5, 4), dtype=np.float32))
    assert backend.matmul(*given, total) is total
    np.testing.assert_allclose(total.get(), expected + 1.0, rtol=1e-5, atol=1e-6)


def test_every_name_of_the_stand_in_is_one_of_cupy(stand_in_module):
    """Where CuPy is installed; it takes no GPU to look."""
    cupy = pytest.importorskip("cupy")
    names = [name for name in vars(stand_in_module) if not name.startswith("__")]
    assert set(FUNCTIONS) < set(names)
    assert [name for name in names if not hasattr(cupy, name)] == ["transfers"]
    of_arrays = [name for name in vars(stand_in_module.ndarray) if hasattr(np.ndarray, name)]
    assert "__iadd__" in of_arrays and "ravel" in of_arrays
    assert [name for name in of_arrays if not hasattr(cupy.ndarray, name)] == []
    constants = vars(stand_in_module.cuda.runtime)
    assert all(hasattr(cupy.cuda.runtime, name) for name in constants)
    assert cupy.cuda.runtime.CUDA_R_32F == stand_in_module.cuda.runtime.CUDA_R_32F
    try:
        cublas = cupy.cuda.cublas
    except ImportError:
        return  # cuBLAS itself comes with the extra `cuda12` or the CUDA toolkit
    for name, value in vars(stand_in_module.cuda.cublas).items():
        assert callable(value) or getattr(cublas, name) == value
        assert hasattr(cublas, name)
