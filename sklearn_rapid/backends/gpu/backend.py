"""The backend on NVIDIA GPUs: CuPy arrays, cuBLAS products, CUDA kernels.

The kernels are in `spins.cu` and `units.cu`; the methods of the reference that they replace define
them. Arrays in float64, and chains of units other than spins, go through the reference's code, with
kernels where they exist. No code here waits for the GPU: sums stay there as 0-d arrays, and only
`to_numpy` fetches values.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.gpu.chains import LANES, CupyChains, calls, field_of
from sklearn_rapid.backends.random import RandomStream, check_rows, name_of
from sklearn_rapid.backends.reference.arrays import NumpyBackend
from sklearn_rapid.backends.reference.other_units import starts_of
from sklearn_rapid.backends.threads import Work, finish

f32, u32 = np.float32, np.uint32

SOURCE = "\n".join(
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("spins.cu", "units.cu")
)
# Fused multiply-adds would round fields unlike other backends, and draw other spins.
COMPILER_OPTIONS = ("--fmad=false",)

# Threads of a block, in rows and columns; for a single row, all in that row.
BLOCK, BLOCK_OF_ONE_ROW = (4, 32), (1, 128)
LARGEST_GRID_Y = 65_535
# Threads that sum a whole array.
LANES_OF_ARRAY = 8192
# Rows of a column that one thread sums, if there are enough to keep other threads busy.
ROWS_PER_SLICE = 64


class CupyBackend(CupyChains, NumpyBackend):
    """Arrays and kernels on the current CUDA device.

    Parameters
    ----------
    n_threads : int, default=1
        Accepted and ignored.
    products : {"float32", "tf32", "bf16"}, default="float32"
        Type to which the factors of float32 products are rounded; sums are always in float32.
        Other than "float32" needs compute capability 8.0.

    Raises
    ------
    RuntimeError
        If CuPy is not installed, or finds no suitable device.
    """

    name = "cupy"
    # cuBLAS chooses its algorithm by the shape.
    row_multiple = 1024

    def __init__(self, n_threads: int = 1, products: str = "float32") -> None:
        super().__init__(xp=_working_cupy())
        self.products = products
        if products != "float32":
            _check_tensor_cores(self.xp, products)

    # --- arrays -------------------------------------------------------------------------

    def running(self) -> AbstractContextManager[None]:
        """Return the context in which the backend's arithmetic runs: nothing to prepare."""
        return nullcontext()

    def to_numpy(self, values: Any) -> np.ndarray:
        """Move the backend's values to the host."""
        return self.xp.asnumpy(values)

    def for_row_blocks(
        self, work: Work, n_rows: int, products_per_row: float, group: int = 1
    ) -> None:
        """Do ``work(rows)`` once for all rows."""
        if n_rows > 0:
            finish(work(slice(0, n_rows)))

    # --- products and sums of a whole phase ---------------------------------------------

    def matmul(self, a: Any, b: Any, add_to: Any = None) -> Any:
        """Return the matrix product a b, added in place to `add_to` if given."""
        if self.products == "float32" or a.dtype != f32:
            return super().matmul(a, b, add_to)
        accumulate = add_to is not None
        out = add_to if accumulate else self._new((a.shape[0], b.shape[1]))
        return _rounded_product(self.xp, self.products, a, b, out, accumulate)

    def dot(self, a: Any, b: Any) -> Any:
        """Return Σ a_ij b_ij, accumulated in float64: a 0-d array."""
        if not (self._is_plain(a) and self._is_plain(b)):
            return super().dot(a, b)
        sums = self._new((1, LANES_OF_ARRAY), "float64")
        self._launch("row_dots", sums.shape, a, b, sums, 1, a.size, 0, LANES_OF_ARRAY)
        return self.xp.sum(sums)

    def row_dots(self, a: Any, b: Any) -> Any:
        """Return Σ_j a_ij b_ij, one float64 for each row; b may have a single row."""
        if not (self._is_plain(a) and self._is_plain(b)):
            return super().row_dots(a, b)
        n_rows, width = a.shape
        stride = width if b.shape[0] > 1 else 0
        sums = self._new((n_rows, LANES), "float64")
        self._launch("row_dots", sums.shape, a, b, sums, n_rows, width, stride, LANES)
        return self.xp.sum(sums, axis=1)

    def column_sums(self, x: Any, weights: Any = None) -> Any:
        """Return Σ_i weights_i x_ij, one float64 for each column; without weights, the sum."""
        if not self._is_plain(x) or weights is None:
            return super().column_sums(x, weights)
        n_rows, width = x.shape
        sums = self._new((-(-n_rows // ROWS_PER_SLICE), width), "float64")
        self._launch("column_sums", sums.shape, x, weights, sums, n_rows, width, sums.shape[0])
        return self.xp.sum(sums, axis=0)

    def weighted_rows(self, x: Any, offset: Any, weights: Any, out: Any) -> None:
        """Write weights_i * (x_ij - offset_j) to `out`."""
        if not (self._is_plain(x) and self._is_plain(out)):
            super().weighted_rows(x, offset, weights, out)
            return
        self._launch("weighted_rows", x.shape, x, offset, weights, out, *x.shape)

    # --- updates, in place --------------------------------------------------------------

    def add_scaled(self, p: Any, step: Any, scale: Any) -> None:
        """Add scale * step to p, in place."""
        if not (self._is_plain(p) and self._is_plain(step)):
            super().add_scaled(p, step, scale)
            return
        if isinstance(scale, float):
            scale = self.xp.full((), scale, dtype="float64")
        self._launch("add_scaled", (1, p.size), p, step, scale, p.size)

    # --- on one block -------------------------------------------------------------------

    def _means_block(self, x: Any, affine: Affine, out: Any, overlaps: Any, to_unit: bool) -> None:
        if not self._is_compiled(out, affine):
            super()._means_block(x, affine, out, overlaps, to_unit)
            return
        self._multiply(x, affine, out, overlaps)
        self._launch(
            "means", out.shape, out, *field_of(affine), int(to_unit), out, *out.shape
        )  # fmt: skip

    def _sample_block(
        self, x: Any, affine: Affine, stream: RandomStream, draw: int, first_row: int, out: Any
    ) -> None:
        if not self._is_compiled(out, affine):
            super()._sample_block(x, affine, stream, draw, first_row, out)
            return
        self._multiply(x, affine, out)
        self._draw(out, *field_of(affine), stream, draw, first_row)

    def _log_partition_block(self, x: Any, affine: Affine) -> Any:
        if x.dtype != f32 or not affine.units.are_spins or affine.is_by_row:
            return super()._log_partition_block(x, affine)
        product = self._multiply(x, affine, self._empty(x, affine))
        return self._sum_log_2cosh(product, *field_of(affine))

    def _means_and_sums_block(self, x: Any, affine: Affine, out: Any) -> Any:
        if not self._is_compiled(out, affine):
            return super()._means_and_sums_block(x, affine, out)
        self._multiply(x, affine, out)
        sums = self._sum_log_2cosh(out, *field_of(affine))
        self._launch("means", out.shape, out, *field_of(affine), 0, out, *out.shape)
        return sums

    def _flipped_block(self, v: Any, up: Affine, out: Any) -> None:
        if not self._is_plain(v):
            super()._flipped_block(v, up, out)
            return
        xp = self.xp
        field, columns = (xp.ascontiguousarray(a) for a in (self.field(v, up), up.first.T))
        self._launch(
            "flipped_log_2cosh", out.shape, field, columns, (-2.0 * up.scale) * v, out,
            *out.shape, field.shape[1],
        )  # fmt: skip

    def sum_log_2cosh_of_sums(self, rows: Any, columns: Any, dtype: str = "float64") -> Any:
        """Return Σ_j log 2cosh(rows_aj + columns_bj), float64 of shape (A, B)."""
        if dtype != "float32":
            return super().sum_log_2cosh_of_sums(rows, columns, dtype)
        out = self._new((rows.shape[0], columns.shape[0]), "float64")
        rows, columns = (self.xp.ascontiguousarray(a) for a in (rows, columns.T))
        self._launch(
            "sum_log_2cosh_of_sums", out.shape, rows, columns, out, *out.shape, rows.shape[1]
        )  # fmt: skip
        return out

    # --- elementwise --------------------------------------------------------------------

    def sample_spins(self, field: Any, stream: RandomStream, draw: int, first_row: int = 0) -> Any:
        """Draw spins with P(s = +1) = σ(2 field), in place of a field in float32."""
        check_rows(first_row + field.shape[0])
        field = self.xp.ascontiguousarray(field, dtype=f32)
        self._draw(field, f32(1.0), self._no_bias(field), stream, draw, first_row)
        return field

    def sum_log_cosh_ratio(self, field: Any, beta_to: Any, beta_from: Any) -> Any:
        """Return Σ_j log [cosh(beta_to_i field_ij) / cosh(beta_from_i field_ij)]: float64."""
        if not self._is_plain(field):
            return super().sum_log_cosh_ratio(field, beta_to, beta_from)
        return self._log_cosh_ratio(field, f32(1.0), self._no_bias(field), beta_to, beta_from)

    def sum_log_2cosh(self, field: Any) -> Any:
        """Return Σ_j log 2cosh(field_ij), one float64 for each row."""
        if not self._is_plain(field):
            return super().sum_log_2cosh(field)
        return self._sum_log_2cosh(field, f32(1.0), self._no_bias(field))

    def sample_gaussians(
        self, field: Any, stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw field + N(0, 1), in place of a field in float32."""
        if not self._is_plain(field):
            return super().sample_gaussians(field, stream, draw, first_row)
        check_rows(first_row + field.shape[0])
        name = name_of(stream, draw, first_row)
        self._launch("sample_gaussians", calls(field.shape), field, *field.shape, *name)
        return field

    def softmax(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """Return the softmax of each group, in place of a field in float32."""
        if not self._is_plain(field):
            return super().softmax(field, sizes)
        shape = field.shape[0], len(sizes)
        self._launch("softmax", shape, field, self._starts(sizes), *field.shape, len(sizes))
        return field

    def sum_log_sum_exp(self, field: Any, sizes: tuple[int, ...]) -> Any:
        """Return the sum of the groups' logsumexp, one float64 for each row."""
        if not self._is_plain(field):
            return super().sum_log_sum_exp(field, sizes)
        sums = self._new((field.shape[0], LANES), "float64")
        groups = self._starts(sizes)
        self._launch(
            "sum_log_sum_exp", sums.shape, field, groups, sums, *field.shape, len(sizes), LANES
        )  # fmt: skip
        return self.xp.sum(sums, axis=1)

    def sample_categories(
        self,
        field: Any,
        sizes: tuple[int, ...],
        stream: RandomStream,
        draw: int,
        first_row: int = 0,
    ) -> Any:
        """Draw 1 in one column of each group, 0 elsewhere, in place of a field in float32."""
        if not self._is_plain(field):
            return super().sample_categories(field, sizes, stream, draw, first_row)
        check_rows(first_row + field.shape[0])
        n_groups = len(sizes)
        self._launch(
            "sample_categories", calls((field.shape[0], n_groups)), field, self._starts(sizes),
            *field.shape, n_groups, *name_of(stream, draw, first_row),
        )  # fmt: skip
        return field

    def random_uniform(
        self, shape: tuple[int, int], stream: RandomStream, draw: int, first_row: int = 0
    ) -> Any:
        """Draw uniform float32 numbers in (0, 1]."""
        check_rows(first_row + shape[0])
        out = self._new(shape)
        self._launch("random_uniform", calls(shape), out, *shape, *name_of(stream, draw, first_row))
        return out

    # --- inside -------------------------------------------------------------------------

    def _new(self, shape: tuple[int, int], dtype: str = "float32") -> Any:
        return self.xp.empty(shape, dtype=dtype)

    def _starts(self, sizes: tuple[int, ...]) -> Any:
        """Return where groups of columns start and the last one ends, for kernels."""
        return self.constant(starts_of(sizes).astype(np.int64))

    def _no_bias(self, field: Any) -> Any:
        return self.xp.zeros(field.shape[1], dtype=f32)

    def _is_plain(self, a: Any) -> bool:
        """Return whether kernels take the array: row-major float32."""
        return a.dtype == f32 and a.flags.c_contiguous

    def _is_compiled(self, a: Any, *maps: Affine) -> bool:
        """Return whether kernels take an array and maps: float32, to spins, with one bias."""
        return self._is_plain(a) and all(m.units.are_spins and not m.is_by_row for m in maps)

    def _multiply(self, x: Any, affine: Affine, out: Any, middle: Any = None) -> Any:
        """Write X F to `out`, by way of `middle` if F is a product of two matrices."""
        if affine.second is None:
            return self._product(x, affine.first, out)
        if middle is None:
            middle = self._new((x.shape[0], affine.first.shape[1]))
        return self._product(self._product(x, affine.first, middle), affine.second, out)

    def _product(self, a: Any, b: Any, out: Any) -> Any:
        if self.products == "float32":
            return self.xp.matmul(a, b, out=out)
        return _rounded_product(self.xp, self.products, a, b, out)

    def _sum_log_2cosh(self, product: Any, scale: Any, bias: Any) -> Any:
        sums = self._new((product.shape[0], LANES), "float64")
        self._launch("sum_log_2cosh", sums.shape, product, scale, bias, sums, *product.shape, LANES)
        return self.xp.sum(sums, axis=1)

    def _launch(self, name: str, shape: tuple[int, int], *args: Any) -> None:
        """Run a kernel with one thread for each row and column, or for several."""
        n_rows, n_columns = shape
        if n_rows == 0 or n_columns == 0:
            return
        rows, columns = BLOCK_OF_ONE_ROW if n_rows == 1 else BLOCK
        grid = (-(-n_columns // columns), min(-(-n_rows // rows), LARGEST_GRID_Y))
        _kernel(self.xp, name)(grid, (columns, rows), args)


def _working_cupy() -> Any:
    """Return the module cupy; raise RuntimeError if it or a device is missing."""
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() > 0:
            return cupy
        missing = "CuPy finds no CUDA device"
    except ImportError as error:
        missing = f"CuPy cannot be imported ({error})"
    except RuntimeError as error:
        missing = f"CuPy finds no CUDA device ({error})"
    raise RuntimeError(
        f"backend='cupy' needs CuPy and an NVIDIA GPU, but {missing}. Install the extra for the "
        "driver's CUDA version, pip install 'sklearn_rapid[cuda12]' or 'sklearn_rapid[cuda13]', "
        "or use backend='numba'."
    )


@lru_cache(maxsize=64)
def _kernel(cupy: Any, name: str) -> Any:
    """Return a kernel by name; CuPy compiles the source once for each device, and keeps it."""
    return _module(cupy).get_function(name)


@lru_cache(maxsize=4)
def _module(cupy: Any) -> Any:
    return cupy.RawModule(code=SOURCE, options=COMPILER_OPTIONS)


def _check_tensor_cores(cupy: Any, products: str) -> None:
    capability = cupy.cuda.Device().compute_capability
    if int(capability) < 80:
        raise RuntimeError(
            f"products in {products} need a GPU of compute capability 8.0 or more, got "
            f"{capability[:-1]}.{capability[-1]}: use backend='cupy'."
        )


def _rounded_product(
    cupy: Any, products: str, a: Any, b: Any, out: Any, accumulate: bool = False
) -> Any:
    """Compute out = a b (+ out), with factors rounded on their way into tensor cores.

    cuBLAS takes matrices in column-major order, in which a row-major matrix is its transpose: it
    computes outᵀ = bᵀ aᵀ.
    """
    cublas = cupy.cuda.cublas
    compute = {
        "tf32": cublas.CUBLAS_COMPUTE_32F_FAST_TF32,
        "bf16": cublas.CUBLAS_COMPUTE_32F_FAST_16BF,
    }[products]
    (n, k), m = a.shape, b.shape[1]
    b, b_operation, b_stride = _as_columns(cupy, b)
    a, a_operation, a_stride = _as_columns(cupy, a)
    one, beta = np.ones(1, dtype=f32), np.full(1, accumulate, dtype=f32)
    real = cupy.cuda.runtime.CUDA_R_32F
    cublas.gemmEx(
        cupy.cuda.device.get_cublas_handle(), b_operation, a_operation, m, n, k,
        one.ctypes.data, b.data.ptr, real, b_stride, a.data.ptr, real, a_stride,
        beta.ctypes.data, out.data.ptr, real, m, compute, cublas.CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip
    return out


def _as_columns(cupy: Any, matrix: Any) -> tuple[Any, int, int]:
    """Return a matrix for cuBLAS, whether cuBLAS has to transpose it, and its stride."""
    if not matrix.flags.c_contiguous and matrix.flags.f_contiguous:
        return matrix, 1, matrix.shape[0]
    return cupy.ascontiguousarray(matrix), 0, matrix.shape[1]
