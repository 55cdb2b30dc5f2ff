"""Scales of columns with spikes: what rows at the rest say of them, and what likelihoods count.

Columns of real units without spikes are in tests/tables/test_real_columns.py. Statistical tests
have fixed seeds; each says how often it would refuse what is right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp
from tools.brute_force import central_difference
from tools.summed import Spikes, Summed

from sklearn_rapid.backends import SPINS, Mixed, RandomStream, Spiked, get_backend
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.fit.independent import compare_with_independent, independent_columns
from sklearn_rapid.training.fit.verdict import mean_log_volume, validate
from sklearn_rapid.training.negative_phase import Exact
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.positive_phase import ClampedChains
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.steps.visible_scale import FEWEST_PRESENT, next_scale, scale_sums
from sklearn_rapid.training.trainer import Trainer

# Two columns, of one spike and of two, beside a spin.
SIZES = (2, 3)
UNITS, KIND = Mixed((Spiked(SIZES), SPINS), (7, 1)), [(Spikes(SIZES), 7), ("spins", 1)]
RESTS, REALS = [1, 4], [5, 6]


def machine_of(backend, rng, scale=0.6):
    """A random machine of these units and three hidden spins, and its sums."""
    W, b, c = rng.normal(size=(8, 3)) * scale, rng.normal(size=8) * 0.3, rng.normal(size=3)
    arrays = [backend.asarray(a) for a in (W, b, c)]
    machine = Machine(DenseCouplings(arrays[0]), *arrays[1:], backend, visible_units=UNITS)
    return machine, Summed(W, b, c, KIND, "spins")


def rows_at(x, sigma):
    """States of rows whose real columns have these scales."""
    v = x.copy()
    v[:, REALS] /= sigma
    return v


def scales_of(sigma):
    """Scales of all units from those of the real ones."""
    scale = np.ones(8)
    scale[REALS] = sigma
    return scale


def drawn_rows(rng, n, shares, sigma):
    """Rows at the rest with these probabilities, around zero with standard deviation σ there."""
    v = np.zeros((n, 8))
    v[:, 7] = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    for j, (start, size) in enumerate(((0, 2), (2, 3))):
        is_rest = rng.random(n) < shares[j]
        code = np.where(is_rest, size - 1, rng.integers(size - 1, size=n))
        v[np.arange(n), start + code] = 1.0
        v[:, REALS[j]] = np.where(is_rest, rng.normal(size=n) * sigma[j], 0.0)
    return v


# --- steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [True, False])
def test_steps_follow_the_likelihood(backend, weighted):
    """The slope in log σ, by finite differences, over the curvature of the rows to be expected."""
    rng = np.random.default_rng(0)
    machine, exact = machine_of(backend, rng)
    x = drawn_rows(rng, 60, (0.4, 0.7), (1.5, 0.6))
    weights = rng.random(60) if weighted else np.ones(60)
    weights /= weights.sum()
    sigma, spread, rate = np.array([1.2, 0.8]), np.array([1.9, 0.9]), 0.3
    present = x[:, RESTS] == 1.0

    def log_likelihood(log_sigma):
        log_p = exact.log_f(rows_at(x, np.exp(log_sigma))) - present @ log_sigma
        return float(weights @ log_p)

    slope = central_difference(log_likelihood, np.log(sigma))
    # Means over earlier rows, of which more were at the rest.
    mean = np.full(8, 0.3)
    mean[RESTS] = 0.5, 0.9
    arrays = map(backend.asarray, map(scales_of, (sigma, spread, 0.01 * spread)))
    of_rows = backend.asarray(weights) if weighted else None
    sums = scale_sums(machine, backend.asarray(rows_at(x, sigma)), of_rows)
    got = next_scale(*arrays, machine, sums, rate, backend.asarray(mean))
    curvature = mean[RESTS] * (1.0 + (spread / sigma) ** 2)
    expected = scales_of(np.sqrt(sigma**2 * (1.0 + 2.0 * rate * slope / curvature)))
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-8)


@pytest.mark.parametrize("scale", [0.0, 0.6])
def test_scales_come_to_rest_at_the_remaining_spread(scale):
    """Where the likelihood has no slope, found apart; without couplings, at the mean square."""
    rng, backend = np.random.default_rng(1), get_backend("numpy")
    machine, exact = machine_of(backend, rng, scale)
    if scale == 0.0:
        no_bias = np.where(np.isin(np.arange(8), REALS), 0.0, exact.b)
        machine, exact = replace(machine, visible_bias=no_bias), replace(exact, b=no_bias)
    x = drawn_rows(rng, 200, (0.1, 0.6), (3.0, 0.02))
    present = x[:, RESTS] == 1.0
    spread = np.sqrt(np.sum(x[:, REALS] ** 2, axis=0) / present.sum(axis=0))
    limits, sigma = [scales_of(spread), scales_of(0.01 * spread)], scales_of(0.7 * spread)
    mean = x.mean(axis=0)
    for _ in range(400):
        sums = scale_sums(machine, rows_at(x, sigma[REALS]))
        sigma = next_scale(sigma, *limits, machine, sums, 0.5, mean)
    np.testing.assert_array_equal(np.delete(sigma, REALS), 1.0)
    if scale == 0.0:
        np.testing.assert_allclose(sigma[REALS], spread, rtol=1e-9)
    for j, found in enumerate(sigma[REALS]):

        def slope(log_s, j=j):
            log_sigma = np.log(sigma[REALS])

            def log_likelihood(log_s):
                log_sigma[j] = log_s[0]
                log_p = exact.log_f(rows_at(x, np.exp(log_sigma))) - present @ log_sigma
                return float(log_p.mean())

            return central_difference(log_likelihood, np.array([log_s]))[0]

        assert found == pytest.approx(np.exp(brentq(slope, np.log(found) - 1, np.log(found) + 1)))


def test_a_batch_moves_a_scale_by_what_it_says():
    """Not at all without rows at the rest, little by one of them, and at most to its own spread."""
    backend, rng = get_backend("numpy"), np.random.default_rng(2)
    machine, _ = machine_of(backend, rng, 0.0)
    machine = replace(machine, visible_bias=np.zeros(8))
    spread = scales_of(np.array([2.0, 1.0]))
    n, rate = 100, 0.2

    def moved(x, shares):
        mean = np.zeros(8)
        mean[RESTS] = shares
        sums = scale_sums(machine, rows_at(x, spread[REALS]))
        sigma = next_scale(spread, spread, 0.01 * spread, machine, sums, rate, mean)
        return (sigma / spread)[REALS] ** 2

    x = drawn_rows(rng, n, (0.0, 0.0), (1.0, 1.0))
    np.testing.assert_array_equal(moved(x, (0.0, 0.5)), 1.0)
    # One row at three standard deviations, whatever the share was before.
    x[0, :5], x[0, REALS] = [0, 1, 0, 0, 1], [6.0, 3.0]
    for share in (0.0, 0.001, FEWEST_PRESENT / n):
        expected = 1.0 + rate * (3.0**2 - 1.0) / FEWEST_PRESENT
        np.testing.assert_allclose(moved(x, (share, share)), expected, rtol=1e-12)
    np.testing.assert_allclose(moved(x, (0.4, 0.4)), 1.0 + rate * 8.0 / 40.0, rtol=1e-12)
    # All rows at the rest where a tenth was expected: their own mean square, not beyond.
    x = drawn_rows(rng, n, (1.0, 1.0), (0.2, 0.1))
    expected = np.mean(x[:, REALS] ** 2, axis=0) / spread[REALS] ** 2
    np.testing.assert_allclose(moved(x, (0.1, 0.1)), expected, rtol=1e-9)


@pytest.mark.slow
def test_a_scale_is_a_mean_over_the_rows_that_have_it():
    """A column at the rest in one row of a hundred, of which most batches have none.

    σ² wanders about the mean square of these rows. Its mean is within five standard errors of that
    of all of them: refused once in a million.
    """
    backend, rng = get_backend("numpy"), np.random.default_rng(3)
    units = Spiked((2,))
    no_couplings = DenseCouplings(np.zeros((3, 1)))
    machine = Machine(no_couplings, np.zeros(3), np.zeros(1), backend, visible_units=units)
    n_batches, n, share, std = 30_000, 20, 0.01, 3.0
    is_rest = rng.random((n_batches, n)) < share
    x = np.where(is_rest, std * rng.normal(size=is_rest.shape), 0.0)
    assert np.mean(is_rest.any(axis=1)) < 0.2
    spread = np.array([1.0, 1.0, std])
    sigma, mean, squares = spread, np.array([1.0 - share, share, 0.0]), np.empty(n_batches)
    for i in range(n_batches):
        v = np.stack([~is_rest[i], is_rest[i], x[i] / sigma[2]], axis=1)
        sums = scale_sums(machine, v)
        sigma = next_scale(sigma, spread, 1e-3 * spread, machine, sums, 0.05, mean)
        squares[i] = sigma[2] ** 2
    of_rest = x[is_rest] ** 2
    error = of_rest.std() / np.sqrt(of_rest.size)
    assert abs(squares.mean() - std**2) < 5.0 * error < 0.2 * std**2
    assert squares.min() > 0.3 * std**2


# --- likelihoods ------------------------------------------------------------------------------


def state_of(machine, sigma, spread=None):
    """A state of training with these scales of real columns."""
    spread = sigma if spread is None else spread
    return TrainingState(
        machine,
        RandomStream(0),
        n_rows=1000,
        visible_scale=machine.backend.asarray(scales_of(sigma)),
        visible_spread=machine.backend.asarray(scales_of(spread)),
    )


def gaps(rng, x):
    """Rows that lack whole columns: codes and real unit, or the spin."""
    x = x.copy()
    for units in ([0, 1, 5], [2, 3, 4, 6], [7]):
        lacks = np.flatnonzero(rng.random(len(x)) < 0.2)
        x[np.ix_(lacks, units)] = np.nan
    return x


def test_volumes_are_of_the_units_that_rows_have(backend):
    rng = np.random.default_rng(4)
    machine, _ = machine_of(backend, rng)
    sigma, weights = np.array([4.0, 0.1]), rng.random(50)
    v = gaps(rng, drawn_rows(rng, 50, (0.3, 0.8), (1.0, 1.0)))
    state = state_of(machine, sigma)
    of_rows = [
        sum(np.log(s) for s, on in zip(sigma, row[RESTS], strict=True) if on == 1) for row in v
    ]
    for w in (None, weights):
        got = mean_log_volume(state, backend.asarray(v), w)
        assert got == pytest.approx(np.average(of_rows, weights=w), abs=1e-12)
    assert mean_log_volume(replace(state, visible_scale=None), backend.asarray(v), None) == 0.0


def test_validation_is_in_the_units_of_the_columns(backend):
    """Against the sum over all states, per unit of each number that there is."""
    rng = np.random.default_rng(5)
    machine, exact = machine_of(backend, rng)
    sigma = np.array([4.0, 0.1])
    v = exact.sample_visible(40, rng)
    parts = [backend.asarray(v[:20]), backend.asarray(v[20:])]
    found = validate(state_of(machine, sigma), parts, [None, None])
    expected = exact.log_f(v[:20]) - exact.log_z() - v[:20, RESTS] @ np.log(sigma)
    assert found.score == pytest.approx(expected.mean(), abs=1e-9)
    assert found.figures["log_likelihood"] == found.score


def log_likelihoods_of_columns(x, weights):
    """Each known entry by the shares of its column's codes, and one normal density at the rest."""
    total = np.zeros(len(x))
    for codes, real in (([0, 1], 5), ([2, 3, 4], 6), ([7], None)):
        known = ~np.isnan(x[:, codes[0]])
        w = weights[known] / weights[known].sum()
        on = x[known][:, codes] == 1.0
        on = np.hstack([on, ~on]) if real is None else on
        share = w @ on
        total[known] += on @ np.log(np.maximum(share, 1e-300))
        if real is not None:
            has = on[:, -1]
            z, w = x[known][has, real], w[has] / w[has].sum()
            center = w @ z
            density = stats.norm.logpdf(z, center, np.sqrt(w @ (z - center) ** 2))
            total[np.flatnonzero(known)[has]] += density
    return float(np.average(total, weights=weights))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_gaps", [False, True])
def test_independent_columns(weighted, with_gaps):
    """Their likelihood, and that of a model of them, but for a row in no field."""
    backend, rng = get_backend("numpy"), np.random.default_rng(6)
    machine, exact = machine_of(backend, rng)
    x = drawn_rows(rng, 1500, (0.2, 0.7), (3.0, 0.02))
    x = gaps(rng, x) if with_gaps else x
    weights = rng.integers(1, 4, size=1500).astype(float) if weighted else np.ones(1500)
    w = weights[:, None] * (x[:, RESTS] == 1.0)
    center = np.nansum(w * x[:, REALS], axis=0) / w.sum(axis=0)
    # As encoders do: numbers at the rest have a mean of zero.
    x[:, REALS] -= np.where(x[:, RESTS] == 1.0, center, 0.0)
    spread = np.sqrt(np.nansum(w * x[:, REALS] ** 2, axis=0) / w.sum(axis=0))
    sigma = 0.6 * spread
    state = state_of(machine, sigma, spread)
    expected = log_likelihoods_of_columns(x, weights)
    given = weights if weighted else None
    found = compare_with_independent(state, backend.asarray(rows_at(x, sigma)), given)
    assert found.independent == pytest.approx(expected, abs=0.003)
    if not with_gaps:
        v = rows_at(x, sigma)
        log_p = exact.log_f(v) - exact.log_z() - v[:, RESTS] @ np.log(sigma)
        assert found.score == pytest.approx(np.average(log_p, weights=given), abs=1e-9)
    known = ~np.isnan(x)
    mean = np.sum(weights[:, None] * np.nan_to_num(rows_at(x, sigma)), axis=0) / (weights @ known)
    alone = independent_columns(state, mean, machine.couplings)
    found = compare_with_independent(alone, backend.asarray(rows_at(x, spread)), given)
    assert found.score == pytest.approx(expected, abs=0.03)
    assert not found.is_worse


# --- training ---------------------------------------------------------------------------------

# A hidden sign says where a column's numbers are, and how often there are any.
TRUE_SHARES, TRUE_CENTERS, TRUE_SIGMA = np.array([0.2, 0.5]), np.array([-1.0, 1.0]), 0.5


def two_clusters(rng, n):
    """One column with a spike and one spin, of two clusters of rows; log densities of the rows."""
    which = (rng.random(n) < 0.5).astype(int)
    is_rest = rng.random(n) < TRUE_SHARES[which]
    x = np.where(is_rest, TRUE_CENTERS[which] + TRUE_SIGMA * rng.normal(size=n), 0.0)
    s = np.where(rng.random(n) < 0.1, -1.0, 1.0) * (2 * which - 1)
    log_p = np.zeros((n, 2))
    for k in range(2):
        of_rest = np.log(TRUE_SHARES[k]) + stats.norm.logpdf(x, TRUE_CENTERS[k], TRUE_SIGMA)
        log_p[:, k] = np.where(is_rest, of_rest, np.log1p(-TRUE_SHARES[k]))
        log_p[:, k] += np.log(np.where(s == 2 * k - 1, 0.9, 0.1)) + np.log(0.5)
    return np.stack([~is_rest, is_rest, x, s], axis=1), logsumexp(log_p, axis=1)


@pytest.mark.parametrize("with_gaps", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_fit_finds_the_scale_of_the_rest(with_gaps):
    """Given the hidden units, a quarter of the column's variance; the likelihood is the rows' own.

    Some 700 numbers tell σ to 3 %; what a fit of a dozen parameters to the rows gains, and what
    learning has not reached, is less than the bounds.
    """
    rng, backend = np.random.default_rng(7), get_backend("numba")
    x, log_p = two_clusters(rng, 2000)
    rest = x[:, 1] == 1.0
    center, spread = x[rest, 2].mean(), x[rest, 2].std()
    x[rest, 2] -= center
    data = x.copy()
    if with_gaps:
        data[rng.random(2000) < 0.3, :3] = np.nan
        data[rng.random(2000) < 0.1, 3] = np.nan
        data = data[~np.isnan(data).all(axis=1)]
    units = Mixed((Spiked((2,)), SPINS), (3, 1))
    phase = {"positive_phase": ClampedChains()} if with_gaps else {}
    trainer = Trainer(Exact(), SGD(), batch_size=100, **phase)
    scale = np.array([1.0, 1.0, spread, 1.0])
    state = trainer.start(
        DenseCouplings(0.01 * rng.normal(size=(4, 2))),
        data[:100],
        RandomStream(1),
        backend,
        visible_units=units,
        visible_scale=scale,
        smallest_scale=0.05 * scale,
    )
    with backend.running():
        for rate in np.geomspace(0.2, 0.01, 30):
            order = rng.permutation(len(data))
            for start in range(0, len(data), 100):
                trainer.update(state, data[order[start : start + 100]], rate)
    sigma = state.visible_scale
    np.testing.assert_array_equal(np.delete(sigma, 2), 1.0)
    assert sigma[2] == pytest.approx(TRUE_SIGMA, rel=0.1) and spread > 1.8 * TRUE_SIGMA
    machine = state.machine
    kind = [(Spikes((2,)), 3), ("spins", 1)]
    exact = Summed(machine.couplings.weights, machine.visible_bias, machine.hidden_bias, kind)
    v = x / sigma
    found = exact.log_f(v) - exact.log_z() - rest * np.log(sigma[2])
    assert abs(found.mean() - log_p.mean()) < 0.02
    assert not compare_with_independent(state, data / sigma, None).is_worse
