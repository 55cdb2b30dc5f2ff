"""Units of columns with spikes against sums over codes and integrals over real units.

Statistical tests refuse a correct sampler with probability 1e-4 each, were the seeds not fixed.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from tools.brute_force import p_value
from tools.summed import Spikes, log_base, states_of

from sklearn_rapid.backends import (
    SPINS,
    Categories,
    Gaussians,
    Mixed,
    RandomStream,
    Spiked,
    get_backend,
)
from sklearn_rapid.backends.spiked import KEY_OF_REALS, LOG_SQRT_2_PI
from sklearn_rapid.machine.clamped import MaskedUnits

SMALLEST_P = 1e-4
SIZES = {"one spike": (2,), "several": (3, 2), "unequal": (2, 5, 2)}
NAME = {"stream": RandomStream(0x0123456789ABCDEF), "draw": 2**40 + 3, "first_row": 1000}


@pytest.fixture(params=SIZES)
def sizes(request):
    return SIZES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def fields_of(sizes, n_rows=20, dtype="float64"):
    """Random fields; those of real units are within what the nodes integrate to rounding."""
    rng = np.random.default_rng(len(sizes))
    return rng.uniform(-2.5, 2.5, size=(n_rows, sum(sizes) + len(sizes))).astype(dtype)


def each_column(sizes, field):
    """The fields of each column, its codes and its real unit, and where these are."""
    starts, n_codes = np.cumsum((0, *sizes)), sum(sizes)
    for j, size in enumerate(sizes):
        at = [*range(starts[j], starts[j] + size), n_codes + j]
        yield size, np.array(at), field[:, at].astype(float)


def weigh(size, field):
    """States of a column, and the logarithms of their weights in these fields."""
    states, log_weights = states_of(Spikes((size,)), size + 1)
    return states, field @ states.T + log_weights


def summed(sizes, field):
    """Γ, means and entropies of each column, by sums over codes and nodes."""
    gamma, mean = np.zeros((len(field), len(sizes))), np.zeros(field.shape)
    entropy = np.zeros_like(gamma)
    for j, (size, at, own) in enumerate(each_column(sizes, field)):
        states, log_w = weigh(size, own)
        gamma[:, j] = logsumexp(log_w, axis=1)
        p = np.exp(log_w - gamma[:, j : j + 1])
        mean[:, at] = p @ states
        # Of the density p / weight of a node, over the base measure.
        log_density = own @ states.T - gamma[:, j : j + 1]
        entropy[:, j] = -np.sum(p * log_density, axis=1)
    return gamma, mean, entropy


# --- Γ and what follows from it -------------------------------------------------------------------


def test_sums_and_means(backend, sizes, dtype):
    field = fields_of(sizes, dtype=dtype)
    gamma, mean, _ = summed(sizes, field)
    units, on_backend = Spiked(sizes), backend.asarray(field.copy())
    tolerance = 100 * np.finfo(dtype).eps
    got = units.log_partition(on_backend, backend)
    assert got.dtype == backend.xp.float64
    np.testing.assert_allclose(backend.to_numpy(got), gamma.sum(axis=1), rtol=tolerance)
    got = units.mean(on_backend, backend)
    assert got.dtype == on_backend.dtype
    np.testing.assert_allclose(backend.to_numpy(got), mean, rtol=tolerance, atol=tolerance)
    # Neither has changed the fields.
    np.testing.assert_array_equal(backend.to_numpy(on_backend), field)


def test_gains(backend, sizes, dtype):
    field = fields_of(sizes, dtype=dtype)
    to, start = np.linspace(0.0, 1.0, 20), np.linspace(1.0, 0.5, 20)
    betas = [backend.asarray(beta) for beta in (to, start)]
    got = Spiked(sizes).log_partition_gain(backend.asarray(field), *betas, backend)
    assert got.dtype == backend.xp.float64
    ends = [
        summed(sizes, beta.astype(dtype)[:, None] * field)[0].sum(axis=1) for beta in (to, start)
    ]
    tolerance = 300 * np.finfo(dtype).eps
    np.testing.assert_allclose(backend.to_numpy(got), ends[0] - ends[1], atol=tolerance)


@pytest.mark.parametrize("phi", [-40.0, 40.0])
def test_fields_of_any_size(backend, dtype, phi):
    """Where exp(φ²/2) overflows: of the rest or not, whatever is larger."""
    c = LOG_SQRT_2_PI
    field = np.array([[0.0, 0.0, phi], [900.0, 0.0, phi], [0.0, -2000.0, phi]])
    expected = np.array([800.0 + c, np.logaddexp(900.0, 800.0 + c), 0.0])
    mean = np.array([[0.0, 1.0, phi], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    units, on_backend = Spiked((2,)), backend.asarray(field, dtype)
    eps = np.finfo(dtype).eps
    got = backend.to_numpy(units.log_partition(on_backend, backend))
    np.testing.assert_allclose(got, expected, rtol=2 * eps)
    got = backend.to_numpy(units.mean(on_backend, backend))
    np.testing.assert_allclose(got, mean, rtol=2 * eps, atol=1e-30)
    drawn = backend.to_numpy(units.sample(on_backend, backend, **NAME))
    np.testing.assert_array_equal(drawn[:, :2], mean[:, :2])
    assert abs(drawn[0, 2] - phi) < 8.0 and not drawn[1:, 2].any()


def test_means_and_fields_are_inverse(backend, sizes):
    """In both directions, for rows and for the means of a layer, a single axis."""
    units, xp = Spiked(sizes), backend.xp
    field = backend.asarray(fields_of(sizes))
    mean = units.mean(1.0 * field, backend)
    found = units.field_of_mean(mean, backend)
    again = units.mean(1.0 * found, backend)
    np.testing.assert_allclose(*map(backend.to_numpy, (again, mean)), rtol=1e-12)
    # Fields are those before, but for a constant of each group of codes: Γ is zero.
    gamma, _, _ = summed(sizes, backend.to_numpy(field))
    shifts = np.hstack([np.repeat(gamma, sizes, axis=1), np.zeros_like(gamma)])
    expected = backend.to_numpy(field) - shifts
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-11, atol=1e-11)
    of_one = units.field_of_mean(xp.asarray(mean[3, :], copy=True), backend)
    np.testing.assert_array_equal(backend.to_numpy(of_one), backend.to_numpy(found)[3])


def test_entropies(backend, sizes, dtype):
    """Of the columns that are counted, codes and real unit."""
    field = fields_of(sizes, dtype=dtype)
    _, _, entropy = summed(sizes, field)
    some = np.random.default_rng(0).random(entropy.shape) < 0.5
    assert some.any() and not some.all()
    counted = np.hstack([np.repeat(some, sizes, axis=1), some])
    got = Spiked(sizes).entropy(backend.asarray(field), backend.asarray(counted), backend)
    assert got.dtype == backend.xp.float64
    expected = np.where(some, entropy, 0.0).sum(axis=1)
    # Fields are exact in float64.
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-11, atol=1e-11)


def test_log_weights(backend, sizes):
    field, v = fields_of(sizes), fields_of(sizes)[::-1].copy()
    base = log_base(Spikes(sizes), v)
    got = Spiked(sizes).log_weights(*map(backend.asarray, (v, field)), backend)
    expected = np.sum(v * field, axis=1) + base
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-12)
    got = Spiked(sizes).log_weights(*map(backend.asarray, (v, field[:1])), backend)
    np.testing.assert_allclose(backend.to_numpy(got), v @ field[0] + base, rtol=1e-12)


def test_inner_means_are_means_of_some_fields(sizes):
    """Also those of columns without any row at the rest, or at a spike."""
    backend, units = get_backend("numpy"), Spiked(sizes)
    in_no_field = summed(sizes, np.zeros((1, sum(sizes) + len(sizes))))[1][0]
    for state in states_of(Spikes(sizes), sum(sizes) + len(sizes))[0][::199]:
        mean = units.inner_mean(state)
        np.testing.assert_allclose(mean, 0.98 * state + 0.02 * in_no_field, atol=1e-12)
        field = units.field_of_mean(mean, backend)
        assert np.isfinite(field).all()
        np.testing.assert_allclose(units.mean(field[None], backend)[0], mean, atol=1e-12)


# --- samples --------------------------------------------------------------------------------------


def test_samples_have_their_distribution(backend, sizes):
    """Codes of all columns together, and real units where there are some; also their pairs."""
    n_codes, n = sum(sizes), 20_000 if backend.xp is np else 4_000
    field = fields_of(sizes, n_rows=1, dtype="float32")
    rows = backend.asarray(np.tile(field, (n, 1)))
    got = backend.to_numpy(Spiked(sizes).sample(rows, backend, RandomStream(3), 0)).astype(float)
    assert Spiked(sizes).are_states(got)
    codes, z = got[:, :n_codes], got[:, n_codes:]
    states, _ = states_of(sizes, n_codes)
    log_p = field.astype(float)[0, :n_codes]
    for j, (size, _, own) in enumerate(each_column(sizes, field)):
        _, log_w = weigh(size, own)
        # Spikes come first.
        log_p[sum(sizes[:j]) + size - 1] = logsumexp(log_w[0, size - 1 :])
    log_p = states @ log_p
    counts = np.sum(np.all(codes[:, None, :] == states, axis=2), axis=0)
    assert p_value(counts, np.exp(log_p - logsumexp(log_p))) > SMALLEST_P
    noise = z - field[0, n_codes:].astype(float)
    at_rest = [noise[x != 0.0, j] for j, x in enumerate(z.T)]
    p = [stats.kstest(x, "norm").pvalue for x in at_rest]
    both = (z[:, :2] != 0.0).all(axis=1)
    p.append(stats.kstest(noise[both, :2].mean(axis=1) * min(2, len(sizes)) ** 0.5, "norm").pvalue)
    assert min(p) * len(p) > SMALLEST_P


def test_the_same_states_by_all_backends(backend, sizes, dtype):
    """Codes are drawn as categories, to the bit, and numbers as real units with another seed."""
    field, units, n_codes = fields_of(sizes, 300, dtype), Spiked(sizes), sum(sizes)
    got = units.sample(backend.asarray(field.copy()), backend, **NAME)
    assert got.dtype == getattr(backend.xp, dtype)
    got, reference = backend.to_numpy(got), get_backend("numpy")
    theta, phi = field[:, :n_codes].copy(), field[:, n_codes:]
    ends = np.cumsum(sizes) - 1
    theta[:, ends] += (0.5 * phi * phi + LOG_SQRT_2_PI).astype(dtype)
    codes = Categories(sizes).sample(theta, reference, **NAME)
    np.testing.assert_array_equal(got[:, :n_codes], codes)
    own = replace(NAME["stream"], seed=NAME["stream"].seed ^ KEY_OF_REALS)
    z = Gaussians().sample(phi.copy(), reference, **{**NAME, "stream": own})
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got[:, n_codes:], codes[:, ends] * z, rtol=eps, atol=4 * 6.8 * eps)
    part = units.sample(backend.asarray(field[40:].copy()), backend, **{**NAME, "first_row": 1040})
    np.testing.assert_array_equal(backend.to_numpy(part), got[40:])


# --- states ---------------------------------------------------------------------------------------


def test_states():
    units = Spiked((3, 2))
    states = np.array([[1, 0, 0, 0, 1, 0, -3.5], [0, 0, 1, 1, 0, 1e20, 0], [0, 0, 1, 0, 1, 0, 0]])
    assert units.are_states(states) and units.are_states(states[:0])
    for wrong in (
        [1, 0, 0, 0, 1, 0.1, 2],  # a number at a spike
        [0, 0, 1, 0, 1, np.inf, 2],
        [0, 0, 1, 0, 1, np.nan, 2],
        [0, 1, 1, 0, 1, 1, 2],  # two codes
        [0, 0, 0, 0, 1, 0, 2],  # none
        [0.5, 0.5, 0, 0, 1, 0, 2],
        [np.nan, np.nan, np.nan, 0, 1, np.nan, 2],
    ):
        assert not units.are_states(np.array([states[0], wrong]))
    assert units.neighbours(states[0]).shape == (0, 7)
    is_real = np.array([False] * 5 + [True] * 2)
    np.testing.assert_array_equal(units.real(7), is_real)
    np.testing.assert_array_equal(units.largest_means(7), np.where(is_real, np.inf, 1.0))
    n_states, rank, ends = units.choices(7)
    np.testing.assert_array_equal(n_states, np.inf)
    np.testing.assert_array_equal(rank, [0, 1, 2, 0, 1, -1, -1])
    np.testing.assert_array_equal(ends, is_real)
    assert not (units.are_even or units.are_spins or units.couple_pairs)


def test_layers_of_some_columns():
    """Whole ones, whose units are in the same order."""
    units, sizes = Spiked((3, 2, 4)), (3, 2, 4)
    for kept in ([0], [1], [0, 2], [1, 2], [0, 1, 2]):
        at = np.sort(np.concatenate([a for j, (_, a, _) in enumerate(columns(sizes)) if j in kept]))
        assert units.of(at) == Spiked(tuple(sizes[j] for j in kept))
        mixed = Mixed((SPINS, units), (2, 12)).of(np.concatenate([[1], at + 2]))
        assert mixed == Mixed((SPINS, units.of(at)), (1, at.size))
    for some in ([0, 1, 2], [9], [0, 1, 9], [0, 1, 2, 9, 10], [0, 1, 2, 3, 4, 9]):
        with pytest.raises(ValueError, match="whole columns"):
            units.of(np.array(some))


def columns(sizes):
    return each_column(sizes, np.zeros((1, sum(sizes) + len(sizes))))


def test_presence(backend):
    """Of the real units of rows at the rest; linear, so that means have the mean presence."""
    nan = np.nan
    spiked = np.array([[1, 0, 0, 0], [0, 1, -2.0, 1], [0.25, 0.75, 3.0, 0.75], [nan] * 4])
    v, expected = spiked.copy(), np.ones((4, 4))
    v[:, 3], expected[:, 2], expected[3] = [1.0, -1.0, 0.2, nan], spiked[:, 1], nan
    got = Spiked((2,)).presence(backend.asarray(v[:, :3]), backend)
    np.testing.assert_array_equal(backend.to_numpy(got), expected[:, :3])
    mixed = Mixed((Spiked((2,)), SPINS), (3, 1))
    got = mixed.presence(backend.asarray(v), backend)
    np.testing.assert_array_equal(backend.to_numpy(got), expected)
    mean = mixed.presence(backend.asarray(v[2]), backend)
    np.testing.assert_array_equal(backend.to_numpy(mean), expected[2])
    mask = np.array([[True] * 4, [False, False, False, True], [True] * 4, [False] * 4])
    got = MaskedUnits(mixed, backend.asarray(mask)).presence(backend.asarray(v), backend)
    np.testing.assert_array_equal(backend.to_numpy(got), np.where(mask, expected, 0.0))
    for units in (SPINS, Gaussians(), Categories((3, 1))):
        ones = backend.to_numpy(units.presence(backend.asarray(v), backend))
        np.testing.assert_array_equal(ones, np.where(np.isnan(v), nan, 1.0))
