"""What backends do with whole phases: maps of rows, chains, sums, updates in place."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit

from sklearn_rapid.backends import Affine, RandomStream, get_backend
from sklearn_rapid.backends.compiled import backend as _numba
from sklearn_rapid.backends.compiled import pipelines
from sklearn_rapid.backends.compiled import spins as _kernels
from sklearn_rapid.backends.reference.arrays import NumpyBackend
from sklearn_rapid.machine.annealing import AnnealingPath

# Rows for every way that a block may be cut or multiplied.
N_ROWS = [
    *(1, 3, 4, 33, 130),
    *(pytest.param(n_rows, marks=pytest.mark.slow) for n_rows in (31, 65, 700)),
]
HALF_ULP = 2.0**-24


def log_2cosh(x):
    return np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x)))


def make_map(backend, sizes, *, transposed=False, scale=0.25, exact=False, dtype="float32"):
    """A map between layers of these sizes, as the backend's and as one float64 matrix.

    Exact ones have small integers over powers of two: all products and sums are without rounding,
    so that spins have to agree to the bit.
    """
    rng = np.random.default_rng(len(sizes))

    def draw(*shape):
        return rng.integers(-3, 4, size=shape) / 8 if exact else rng.normal(0.0, 0.3, shape)

    matrices = [draw(a, b).astype(dtype) for a, b in pairwise(sizes)]
    bias = draw(sizes[-1]).astype(dtype)
    product = np.linalg.multi_dot([*matrices, np.eye(sizes[-1])]).astype(np.float64) * scale
    if transposed:
        matrices = [np.asfortranarray(m) for m in matrices]
    first, second = [backend.asarray(m) for m in [*matrices, matrices[0]][:2]]
    second = second if len(matrices) == 2 else None
    return Affine(first, second, backend.asarray(bias), scale), product, bias.astype(np.float64)


def spin_rows(n_rows, width, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(n_rows, width))


SIZES = [(20, 30), (20, 6, 30), (400, 700), (400, 5, 700)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("n_rows", N_ROWS)
def test_means(backend, n_rows, sizes, transposed):
    affine, product, bias = make_map(backend, sizes, transposed=transposed)
    x = spin_rows(n_rows, sizes[0])
    got = backend.to_numpy(backend.means(backend.asarray(x, "float32"), affine))
    # A sum of as many terms of order one as the layer has units, each rounded.
    tolerance = 4 * sizes[0] * HALF_ULP
    np.testing.assert_allclose(got, np.tanh(x @ product + bias), atol=tolerance, rtol=0)


@pytest.mark.parametrize("n_rows", [5, 300])
def test_means_where_they_are_wanted(backend, n_rows):
    affine, product, bias = make_map(backend, (20, 6, 30))
    x = spin_rows(n_rows, 20)
    out = backend.asarray(np.zeros((n_rows, 30)), "float32")
    overlaps = backend.asarray(np.zeros((n_rows, 6)), "float32")
    rows = backend.asarray(x, "float32")
    assert backend.means(rows, affine, out=out, overlaps=overlaps, to_unit=True) is out
    expected = 0.5 + 0.5 * np.tanh(x @ product + bias)
    np.testing.assert_allclose(backend.to_numpy(out), expected, atol=1e-5)
    expected = x @ backend.to_numpy(affine.first)
    np.testing.assert_allclose(backend.to_numpy(overlaps), expected, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("n_rows", N_ROWS)
def test_samples_agree_to_the_bit(backend, n_rows, sizes, transposed):
    affine, product, bias = make_map(backend, sizes, transposed=transposed, exact=True)
    x = spin_rows(n_rows, sizes[0])
    field = (x @ product + bias).astype(np.float32)
    np.testing.assert_array_equal(field, x @ product + bias)  # nothing was rounded
    expected = NumpyBackend().sample_spins(field, RandomStream(3), 7)
    got = backend.sample(backend.asarray(x, "float32"), affine, RandomStream(3), 7)
    np.testing.assert_array_equal(backend.to_numpy(got), expected)


@pytest.mark.parametrize("clamped", [False, True])
@pytest.mark.parametrize("inner", [(), (6,)])
@pytest.mark.parametrize("n_rows", [3, 20, 300])
def test_chains_agree_to_the_bit(backend, n_rows, inner, clamped):
    """With draws of more than 32 bits, and some entries held."""
    (up, upward, c), (down, downward, b) = (
        make_map(backend, sizes, exact=True) for sizes in ((20, *inner, 30), (30, *inner, 20))
    )
    start = spin_rows(n_rows, 20)
    free = np.random.default_rng(1).random((n_rows, 20)) < 0.7
    first = 2**32 - 2
    v, stream = start, RandomStream(4)
    for draw in (first, first + 2, first + 4):
        h = NumpyBackend().sample_spins((v @ upward + c).astype(np.float32), stream, draw)
        new = NumpyBackend().sample_spins((h @ downward + b).astype(np.float32), stream, draw + 1)
        v = np.where(free, new, v) if clamped else new
    mask = backend.asarray(free) if clamped else None
    rows = backend.asarray(start, "float32")
    got = backend.gibbs(rows, up, down, 3, stream, first, mask)
    np.testing.assert_array_equal(backend.to_numpy(got), v)
    np.testing.assert_array_equal(backend.to_numpy(rows), start)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [(), (6,)])
@pytest.mark.parametrize("n_hidden", [30, 150])
def test_annealed_chains(backend, n_hidden, inner, dtype):
    """Step by step in float64. Temperatures are such that no field is rounded."""
    (up, upward, c), (down, downward, b) = (
        make_map(backend, sizes, exact=True, dtype=dtype)
        for sizes in ((20, *inner, n_hidden), (n_hidden, *inner, 20))
    )
    base = np.random.default_rng(2).integers(-3, 4, size=20) / 8
    betas, stream, draw = np.linspace(0.0, 1.0, 5), RandomStream(5), 2**32 - 3
    spins = NumpyBackend().sample_spins
    log_weights = np.zeros(70)
    v = spins(np.tile(base, (70, 1)).astype(np.float32), stream, draw)
    for k, (previous, beta) in enumerate(pairwise(betas)):
        theta = v @ upward + c
        log_weights += (beta - previous) * v @ (b - base)
        log_weights += (log_2cosh(beta * theta) - log_2cosh(previous * theta)).sum(axis=1)
        h = spins((beta * theta).astype(np.float32), stream, draw + 1 + 2 * k)
        field = beta * (h @ downward + b) + (1.0 - beta) * base
        v = spins(field.astype(np.float32), stream, draw + 2 + 2 * k)
    log_weights += log_2cosh(base).sum() + n_hidden * np.log(2.0)
    bases = (
        backend.asarray(np.tile(base, (70, 1)), dtype),
        backend.asarray(np.zeros(n_hidden), dtype),
    )
    path = AnnealingPath(up, down, *bases, backend)
    got = path.log_weights(RandomStream(5, draw), len(betas))
    # Four steps, in each as many terms of order one as there are hidden units, rounded to float32.
    atol = 1e-12 if dtype == "float64" else 4 * n_hidden * 4 * HALF_ULP
    np.testing.assert_allclose(backend.to_numpy(got), log_weights, rtol=0, atol=atol)


@pytest.mark.parametrize("clamped", [False, True])
@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("inner", [(), (6,)])
@pytest.mark.parametrize("n_hidden", [30, 150])
def test_tempered_chains_agree_to_the_bit(backend, n_hidden, inner, parity, clamped):
    """Step by step in float64, row by row, with draws of more than 32 bits.

    Temperatures are such that no field is rounded; two rungs share the last one.
    """
    (up, upward, c), (down, downward, b) = (
        make_map(backend, sizes, exact=True)
        for sizes in ((20, *inner, n_hidden), (n_hidden, *inner, 20))
    )
    rng = np.random.default_rng(6)
    base = rng.integers(-3, 4, size=20) / 8
    betas = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    n_rungs, n_groups, n_sweeps, top = 6, 13, 7, 4
    n_rows, first, stream = n_rungs * n_groups, 2**32 - 4, RandomStream(5)
    start = spin_rows(n_rows, 20)
    free = np.repeat(rng.random((n_groups, 20)) < 0.7, n_rungs, axis=0)
    if clamped:  # what is held is the same in all rows of a group
        start = np.where(free, start, np.repeat(start[::n_rungs], n_rungs, axis=0))
    start_origin = rng.integers(-1, 2, size=n_rows).astype(np.int8)

    def log_f(v, beta):
        theta = v @ upward + c
        of_hidden = log_2cosh(beta[:, None] * theta).sum(axis=1)
        return (1 - beta) * (v @ base) + beta * (v @ b) + of_hidden

    reference, beta = NumpyBackend(), np.tile(betas, n_groups)
    v, origin, arrivals = start.copy(), start_origin.copy(), np.zeros(n_groups, dtype=int)
    log_ratios = np.zeros((n_sweeps, n_rows))
    for k in range(n_sweeps):
        u = reference.random_uniform((n_rows, 1), stream, first + 3 * k)[:, 0]
        lower = np.arange(n_rows).reshape(n_groups, n_rungs)[:, (parity + k) % 2 :]
        lower = lower[:, : lower.shape[1] // 2 * 2 : 2].ravel()
        upper = lower + 1
        log_ratios[k, lower] = log_f(v[lower], beta[upper]) - log_f(v[lower], beta[lower])
        log_ratios[k, upper] = log_f(v[upper], beta[lower]) - log_f(v[upper], beta[upper])
        changes = np.log(u[lower]) <= log_ratios[k, lower] + log_ratios[k, upper]
        lower, upper = lower[changes], upper[changes]
        v[lower], v[upper] = v[upper], v[lower]
        origin[lower], origin[upper] = origin[upper], origin[lower]
        origin[::n_rungs] = 1
        arrivals += origin[top::n_rungs] == 1
        origin[top::n_rungs] = -1
        theta = beta[:, None] * (v @ upward + c)
        h = reference.sample_spins(theta.astype(np.float32), stream, first + 3 * k + 1)
        field = (1 - beta[:, None]) * base + beta[:, None] * (h @ downward + b)
        drawn = reference.sample_spins(field.astype(np.float32), stream, first + 3 * k + 2)
        v = np.where(free, drawn, v) if clamped else drawn

    rows, given = backend.asarray(start, "float32"), backend.asarray(start_origin)
    got = backend.temper(
        rows,
        up,
        down,
        backend.asarray(base, "float32"),
        betas,
        n_sweeps,
        stream,
        first,
        parity=parity,
        origin=given,
        arrivals=backend.asarray(np.zeros(n_groups, dtype=np.int64)),
        free=backend.asarray(free) if clamped else None,
    )
    to_numpy = backend.to_numpy
    np.testing.assert_array_equal(to_numpy(got.states), v)
    np.testing.assert_array_equal(to_numpy(got.origin), origin)
    np.testing.assert_array_equal(to_numpy(got.arrivals), arrivals)
    assert arrivals.sum() > 0  # or nothing was seen of it
    # As many terms of order one as there are hidden units, rounded to float32.
    atol = 4 * n_hidden * HALF_ULP
    np.testing.assert_allclose(to_numpy(got.log_ratios), log_ratios, rtol=0, atol=atol)
    np.testing.assert_array_equal(to_numpy(rows), start)  # what was given stays as it is
    np.testing.assert_array_equal(to_numpy(given), start_origin)


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 40.0), ("float64", 350.0)])
def test_probabilities_keep_their_digits(backend, dtype, largest):
    """Where means are -1 to all digits, probabilities are not yet zero."""
    fields = np.linspace(-largest, largest, 1001).astype(dtype)[None, :]
    affine = Affine(backend.asarray(fields), None, backend.asarray(np.zeros_like(fields[0])))
    x = backend.asarray(np.ones((3, 1), dtype=dtype))
    got = backend.to_numpy(backend.means(x, affine, to_unit=True))
    # Of the exponential, of 1 + e and of the quotient.
    rtol = 8 * HALF_ULP if dtype == "float32" else 1e-14
    expected = np.tile(expit(2.0 * fields.astype(np.float64)), (3, 1))
    np.testing.assert_allclose(got, expected, rtol=rtol)
    beyond = backend.asarray(np.full((1, 1), -1e4, dtype=dtype))
    affine = Affine(beyond, None, backend.asarray(np.zeros(1, dtype=dtype)))
    assert backend.to_numpy(backend.means(x, affine, to_unit=True)).max() < 2e-35


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(20, 30), (20, 6, 1100)])
def test_sums_of_log_2cosh(backend, sizes, dtype):
    """More columns than one logarithm serves among them."""
    affine, product, bias = make_map(backend, sizes, dtype=dtype)
    x = spin_rows(70, 20)
    got = backend.log_partition_of(backend.asarray(x, dtype), affine)
    expected = log_2cosh(x @ product + bias).sum(axis=1)
    rtol = 1e-13 if dtype == "float64" else 30 * HALF_ULP
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(20, 30), (20, 6, 300)])
@pytest.mark.parametrize("n_rows", [3, 700])
def test_means_and_sums(backend, n_rows, sizes, dtype):
    affine, product, bias = make_map(backend, sizes, dtype=dtype)
    x = spin_rows(n_rows, 20)
    means, sums = backend.means_and_sums(backend.asarray(x, dtype), affine)
    field = x @ product + bias
    rtol = 1e-13 if dtype == "float64" else 30 * HALF_ULP
    np.testing.assert_allclose(backend.to_numpy(means), np.tanh(field), rtol=0.0, atol=rtol)
    np.testing.assert_allclose(backend.to_numpy(sums), log_2cosh(field).sum(axis=1), rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [0.3, 20.0, 3000.0])
def test_sums_of_log_2cosh_of_sums(backend, scale, dtype):
    """Fields are added in float64, however large; only logarithms may be in float32."""
    rng = np.random.default_rng(0)
    rows, columns = (rng.normal(0, scale, (n, 1000)) for n in (140, 9))
    got = backend.sum_log_2cosh_of_sums(backend.asarray(rows), backend.asarray(columns), dtype)
    expected = log_2cosh(rows[:, None, :] + columns).sum(axis=2)
    atol = 0.0 if dtype == "float64" else 1000 * 4 * HALF_ULP
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-13, atol=atol)


# One to be summed beside other rows, and one too wide for that; some rows, and some more.
WIDTHS = [1, 16, _kernels.LARGEST_NARROW, _kernels.LARGEST_NARROW + 1, 1000]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n_rows", [1, 64, 65, 200])
def test_compiled_sums_of_narrow_and_wide_rows(n_rows, width):
    """Each term has some roundings of numbers of the order of its own, as in `test_means`."""
    rng = np.random.default_rng(width)
    product = rng.normal(0.0, 2.0, (n_rows, width)).astype(np.float32)
    bias = rng.normal(0.0, 1.0, width).astype(np.float32)
    betas = rng.uniform(0.0, 1.0, (2, n_rows)).astype(np.float32)
    betas[1, ::3] = betas[0, ::3]
    sums, ratios = np.empty(n_rows), np.empty(n_rows)
    _kernels.sum_log_2cosh(product, np.float32(0.5), bias, sums)
    _kernels.sum_log_cosh_ratio(product, np.float32(0.5), bias, *betas, ratios)
    field = 0.5 * product.astype(np.float64) + bias
    size = 4.0 * HALF_ULP * (1.0 + np.abs(field)).sum(axis=1)
    assert np.all(np.abs(sums - log_2cosh(field).sum(axis=1)) <= size)
    to, start = (log_2cosh(beta[:, None] * field).sum(axis=1) for beta in np.float64(betas))
    assert np.all(np.abs(ratios - (to - start)) <= 2.0 * size)
    assert not ratios[::3].any()


@pytest.mark.parametrize("width", WIDTHS)
def test_compiled_sums_of_many_sums(width):
    """More columns than are summed at a time."""
    rng = np.random.default_rng(width)
    rows, columns = rng.normal(0.0, 2.0, (3, width)), rng.normal(0.0, 2.0, (600, width))
    got = get_backend("numba").sum_log_2cosh_of_sums(rows, columns, "float32")
    expected = log_2cosh(rows[:, None, :] + columns).sum(axis=2)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=width * 4 * HALF_ULP)


@pytest.mark.parametrize("width", [*WIDTHS, 3000])
def test_sums_of_huge_and_of_zero_fields_are_finite(width):
    """The factor of a field of zero is 2, the largest."""
    backend = get_backend("numba")
    field = np.full((1, width), 1e30, dtype=np.float32)
    np.testing.assert_allclose(backend.sum_log_2cosh(field), width * 1e30, rtol=1e-6)
    zero = np.zeros((1, width))
    log_2s = [backend.sum_log_2cosh(zero.astype(np.float32))[0]]
    log_2s.append(backend.sum_log_2cosh_of_sums(zero, zero, "float32")[0, 0])
    np.testing.assert_allclose(log_2s, width * np.log(2), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_with_a_spin_flipped(backend, dtype):
    affine, product, bias = make_map(backend, (7, 30), dtype=dtype)
    x = spin_rows(60, 7)
    got = backend.to_numpy(backend.flipped_log_2cosh(backend.asarray(x, dtype), affine))
    for i in range(7):
        flipped = x.copy()
        flipped[:, i] *= -1
        expected = log_2cosh(flipped @ product + bias).sum(axis=1)
        rtol = 1e-13 if dtype == "float64" else 30 * HALF_ULP
        np.testing.assert_allclose(got[:, i], expected, rtol=rtol)


# --- products -------------------------------------------------------------------------------


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (4, 4), (5, 17), (300, 301), (64, 4000), (1200, 900)])
@pytest.mark.parametrize("n_rows", N_ROWS)
def test_products_of_integers_are_exact(n_rows, shape, transposed):
    """By tiles, in groups of rows, at once: whatever the shape leads to."""
    rng = np.random.default_rng(2)
    x = rng.integers(-4, 5, size=(n_rows, shape[0])).astype(np.float32)
    matrix = rng.integers(-4, 5, size=shape).astype(np.float32)
    out = np.full((n_rows, shape[1]), np.nan, dtype=np.float32)
    given = np.ascontiguousarray(matrix.T) if transposed else matrix
    pipelines.matrix_product(x, given, transposed, out)
    np.testing.assert_array_equal(out, x @ matrix)


@pytest.mark.parametrize("shape", [(5, 4, 3), (20, 784, 256), (784, 20, 256), (100, 700, 1500)])
def test_matmul_adds_in_place(backend, shape):
    rng = np.random.default_rng(3)
    m, k, n = shape
    a, b, total = (
        rng.integers(-4, 5, size=size).astype(np.float32) for size in ((k, m), (k, n), (m, n))
    )
    expected = total + a.T @ b
    total = backend.asarray(total)
    left = backend.asarray(a).T
    assert backend.matmul(left, backend.asarray(b), total) is total
    np.testing.assert_array_equal(backend.to_numpy(total), expected)
    np.testing.assert_array_equal(
        backend.to_numpy(backend.matmul(left, backend.asarray(b))), a.T @ b
    )


def test_sparse_rows_are_multiplied_alike():
    backend = get_backend("numba", n_threads=2)
    x = sparse.random_array((300, 50), density=0.05, format="csr", dtype=np.float32, rng=0)
    x.data[:] = 1.0
    for sizes in ((50, 30), (50, 6, 30)):
        affine, product, bias = make_map(backend, sizes)
        with backend.running():
            got = backend.means(x, affine)
        np.testing.assert_allclose(got, np.tanh(x.toarray() @ product + bias), atol=1e-5)


# --- sums and updates -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_spins_of_numbers(backend, dtype):
    """Bits as Python writes them, the first one last."""
    got = backend.to_numpy(backend.spins_of_numbers(2**19 - 3, 2**19 + 4, 20, dtype))
    expected = [
        [2.0 * int(bit) - 1.0 for bit in f"{number:020b}"[::-1]]
        for number in range(2**19 - 3, 2**19 + 4)
    ]
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("n_rows", [1, 40, 1000])
def test_column_sums_add_in_float64(backend, n_rows):
    x = np.full((n_rows, 5), 0.1, dtype=np.float32)
    x[0] = 1e8
    weights = np.linspace(-1, 2, n_rows).astype(np.float32)
    exact = x.astype(np.float64)
    rows = backend.asarray(x)
    got = backend.to_numpy(backend.column_sums(rows))
    # A thousand additions in some order, of which float32 would lose all but the first.
    np.testing.assert_allclose(got, exact.sum(axis=0), rtol=1000 * 2.0**-53)
    got = backend.to_numpy(backend.column_sums(rows, backend.asarray(weights)))
    # The reference rounds each weighted element to float32.
    expected = (weights.astype(np.float64)[:, None] * exact).sum(axis=0)
    np.testing.assert_allclose(got, expected, rtol=HALF_ULP)
    # Nothing is rounded here: the ones are to be found beside 2^25, to the last.
    x = np.ones((n_rows, 5), dtype=np.float32)
    x[0] = 2.0**25
    ones = np.ones(n_rows, dtype=np.float32)
    got = backend.to_numpy(backend.column_sums(backend.asarray(x), backend.asarray(ones)))
    np.testing.assert_array_equal(got, 2.0**25 + n_rows - 1)


def test_dots_add_in_float64(backend):
    a = np.full((3, 1000), 0.1, dtype=np.float32)
    a[:, 0] = 1e4
    exact = a.astype(np.float64) ** 2
    x = backend.asarray(a)
    assert float(backend.dot(x, x)) == pytest.approx(exact.sum(), rel=HALF_ULP)
    got = backend.to_numpy(backend.row_dots(x, x[:1, :]))
    np.testing.assert_allclose(got, exact.sum(axis=1), rtol=HALF_ULP)


@pytest.mark.parametrize("n_rows", [1, 300])
def test_weighted_rows(backend, n_rows):
    rng = np.random.default_rng(5)
    x, weights, offset = rng.normal(size=(n_rows, 9)), rng.normal(size=n_rows), rng.normal(size=9)
    given = (backend.asarray(a, "float32") for a in (x, offset, weights))
    out = backend.asarray(np.zeros((n_rows, 9)), "float32")
    backend.weighted_rows(*given, out)
    expected = weights[:, None] * (x - offset)
    np.testing.assert_allclose(backend.to_numpy(out), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2000, 300)])
def test_add_scaled(backend, shape):
    rng = np.random.default_rng(6)
    p, step = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    target = backend.asarray(p.copy())
    backend.add_scaled(target, backend.asarray(step), -0.5)
    np.testing.assert_allclose(backend.to_numpy(target), p - 0.5 * step, atol=1e-6)
    # By a number that the backend has computed.
    scale = backend.dot(backend.asarray(step), backend.asarray(step))
    backend.add_scaled(target, backend.asarray(step), scale)
    expected = p + (float((step.astype(np.float64) ** 2).sum()) - 0.5) * step
    np.testing.assert_allclose(backend.to_numpy(target), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2000, 300)])
def test_shrink(backend, shape, dtype):
    """Beside the least value of (x - p)² / 2s + l1 |x| + l2 x² / 2, found on a grid."""
    rng = np.random.default_rng(6)
    p = rng.normal(size=shape).astype(dtype)
    target = backend.asarray(p.copy())
    backend.shrink(target, 0.5, 0.8, 0.6)
    got = backend.to_numpy(target).copy()
    grid = np.linspace(-4, 4, 4001)
    first = p.ravel()[:7].astype(np.float64)[:, None]
    cost = (grid - first) ** 2 + 0.8 * np.abs(grid) + 0.3 * grid**2
    np.testing.assert_allclose(got.ravel()[:7], grid[cost.argmin(axis=1)], atol=2e-3)
    np.testing.assert_array_equal(got == 0.0, np.abs(p) <= p.dtype.type(0.4))
    size = (np.abs(p.astype(np.float64)) - 0.4) / 1.3
    expected = np.sign(p) * np.maximum(size, 0.0)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    # By a number that the backend has computed.
    step = backend.asarray(np.ones(3, dtype=np.float32))
    backend.shrink(target, backend.dot(step, step), 0.1, 0.0)
    expected = np.sign(got) * np.maximum(np.abs(got) - 0.3, 0.0)
    np.testing.assert_allclose(backend.to_numpy(target), expected, atol=1e-6)


def test_spins_of(backend):
    is_on = np.array([[True, False, True]])
    for dtype in ("float32", "float64"):
        got = backend.to_numpy(backend.spins_of(backend.asarray(is_on), dtype))
        np.testing.assert_array_equal(got, [[1.0, -1.0, 1.0]])
        assert got.dtype == dtype


def test_read_only_arrays_will_do():
    """Such as joblib maps into workers: compiled code would refuse them."""
    backend = get_backend("numba", n_threads=1)
    affine, product, bias = make_map(backend, (20, 6, 30))
    x = spin_rows(5, 20).astype(np.float32)
    for a in (affine.first, affine.second, affine.bias, x):
        a.flags.writeable = False
    with backend.running():
        got = backend.means(x, affine)
        assert set(np.unique(backend.sample(x, affine, RandomStream(0), 0))) <= {-1.0, 1.0}
    np.testing.assert_allclose(got, np.tanh(x @ product + bias), atol=1e-5)


# --- scratch space --------------------------------------------------------------------------


def test_scratch_space_is_reused_by_its_thread_alone():
    backend = get_backend("numba", n_threads=2)
    with backend.running():
        first = backend.scratch("a", (4, 5), np.float32)
        assert np.shares_memory(first, backend.scratch("a", (2, 5), np.float32))
        assert not np.shares_memory(first, backend.scratch("b", (4, 5), np.float32))
        assert not np.shares_memory(first, backend.scratch("a", (4, 5), np.float64))
        others = []
        thread = threading.Thread(
            target=lambda: others.append(backend.scratch("a", (4, 5), np.float64))
        )
        thread.start()
        thread.join()
        assert not np.shares_memory(backend.scratch("a", (4, 5), np.float64), others[0])
    assert not np.shares_memory(first, backend.scratch("a", (4, 5), np.float32))


# --- chains in several calls -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_clamped", [False, True])
def test_chains_do_not_depend_on_how_steps_are_split(monkeypatch, dtype, is_clamped):
    backend = get_backend("numba", n_threads=2)
    (up, *_), (down, *_) = (
        make_map(backend, (20, 30), dtype=dtype),
        make_map(backend, (30, 20), dtype=dtype),
    )
    v = backend.asarray(spin_rows(150, 20), dtype)
    free = np.random.default_rng(1).random((5, 20)) > 0.3
    free = np.tile(free, (30, 1)) if is_clamped else None
    betas, stream = np.linspace(0.0, 1.0, 5), RandomStream(4)
    origin, arrivals = np.zeros(150, dtype=np.int8), np.zeros(30, dtype=np.int64)
    base = np.linspace(-0.3, 0.3, 20).astype(dtype)

    def chains():
        yield backend.gibbs(v, up, down, 7, stream, 2, free)
        yield from backend.temper(
            v, up, down, base, betas, 7, stream, 2,
            parity=1, origin=origin, arrivals=arrivals, free=free,
        )  # fmt: skip

    with backend.running():
        whole = list(chains())
        assert len(backend.split_steps(7, slice(0, 150), up, down)) == 1
        for n_steps, n_calls in ((1, 7), (2, 4), (3, 3)):
            monkeypatch.setattr(
                _numba.NumbaBackend,
                "split_steps",
                lambda self, n, *_, k=n_steps: [slice(i, min(i + k, n)) for i in range(0, n, k)],
            )
            assert len(backend.split_steps(7)) == n_calls
            for got, expected in zip(chains(), whole, strict=True):
                np.testing.assert_array_equal(got, expected)


def test_calls_have_few_steps_where_steps_are_long():
    """A tenth of a second or so: ten billion multiply-adds a second are not much."""
    backend = get_backend("numba")
    up, _, _ = make_map(backend, (1000, 2000))
    down, _, _ = make_map(backend, (2000, 1000))
    calls = backend.split_steps(1000, slice(0, 500), up, down)
    assert [s.start for s in calls] == [0, *(s.stop for s in calls[:-1])]
    assert calls[-1].stop == 1000
    assert max(s.stop - s.start for s in calls) * 500 * 4e6 < 3e9
