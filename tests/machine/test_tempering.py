"""Ladders of temperatures: stationary at every rung, placed well, and bridges along them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logsumexp
from tools.brute_force import all_spins, p_value, p_value_of_states, state_numbers
from tools.ladders import (
    BASE,
    BETAS,
    FALSE_ALARM_RATE,
    exact_rejections,
    ladder_at_equilibrium,
    n_columns,
    probabilities,
)
from tools.machines import KINDS, make_machine

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine.bridges import bridge, ladder_sum
from sklearn_rapid.machine.tempering import (
    Travels,
    adapt_ladder,
    base_log_partition,
    build_ladder,
    change_betas,
    cold_states,
    count_travels,
    ladder_of_states,
    measure_lags,
    n_rungs_for,
    place_betas,
    regroup_ladder,
    reset_counters,
    sweep_ladder,
)


def float32_machine(kind, backend, **how):
    return make_machine(kind, (5, 4), backend, dtype="float32", scale=1.0, **how)


# --- the sampler ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n_sweeps", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_rung_stays_in_its_distribution(backend, kind, n_sweeps):
    machine, exact = float32_machine(kind, backend)
    ladder = ladder_at_equilibrium(exact, backend, n_columns(backend), seed=n_sweeps)
    ladder, _ = sweep_ladder(ladder, machine, n_sweeps, RandomStream(n_sweeps))
    states = backend.to_numpy(ladder.states)
    for rung, beta in enumerate(BETAS):
        p = p_value_of_states(states[rung :: len(BETAS)], probabilities(exact, beta))
        assert p > FALSE_ALARM_RATE


def test_pairs_of_rungs_stay_independent(backend):
    """Exchanges and steps leave the *product* of all rungs' distributions as it is."""
    machine, exact = float32_machine("dense", backend)
    ladder = ladder_at_equilibrium(exact, backend, n_columns(backend), seed=4)
    ladder, _ = sweep_ladder(ladder, machine, 2, RandomStream(4))
    numbers = state_numbers(backend.to_numpy(ladder.states)).reshape(-1, len(BETAS))
    for rung in range(len(BETAS) - 1):
        joint = np.outer(*(probabilities(exact, BETAS[r]) for r in (rung, rung + 1))).ravel()
        counts = np.bincount(32 * numbers[:, rung] + numbers[:, rung + 1], minlength=1024)
        assert p_value(counts, joint) > FALSE_ALARM_RATE


@pytest.mark.parametrize(
    "wrong",
    [
        lambda ladder: replace(ladder, betas=(0.0, 0.3, 0.5, 1.0, 1.0)),
        lambda ladder: replace(ladder, base=ladder.base + np.float32(0.05)),
    ],
    ids=["a rung at another β", "another base"],
)
def test_wrong_ladders_are_caught(wrong):
    """The test of stationarity has the power to see what is wrong by little."""
    backend = get_backend("numba", n_threads=1)
    machine, exact = float32_machine("dense", backend)
    ladder = ladder_at_equilibrium(exact, backend, 10_000, seed=1)
    ladder, _ = sweep_ladder(wrong(ladder), machine, 2, RandomStream(1))
    p = [
        p_value_of_states(ladder.states[rung :: len(BETAS)], probabilities(exact, beta))
        for rung, beta in enumerate(BETAS)
    ]
    assert min(p) < 1e-8


def test_the_base_is_drawn_anew_in_each_sweep(backend):
    """From a ladder of equal states: what is at β = 0 has forgotten them after one sweep."""
    machine, exact = float32_machine("dense", backend)
    states = np.ones((n_columns(backend) * 3, 5))
    ladder = ladder_of_states(
        backend,
        (0.0, 0.5, 1.0),
        backend.asarray(BASE, "float32"),
        backend.asarray(states, "float32"),
    )
    ladder, _ = sweep_ladder(ladder, machine, 1, RandomStream(2))
    bottom = backend.to_numpy(ladder.states)[::3]
    assert p_value_of_states(bottom, probabilities(exact, 0.0)) > FALSE_ALARM_RATE


def test_states_reach_the_model_from_nowhere():
    """A ladder finds both modes of a model that single chains cannot leave."""
    backend = get_backend("numba", n_threads=2)
    machine, _ = make_machine("dense", (12, 6), backend, dtype="float32", biases="")
    weights = np.full((12, 6), 0.9, dtype=np.float32)
    machine = replace(machine, couplings=machine.couplings.with_parameters({"weights": weights}))
    start = np.ones((200, 12), dtype=np.float32)
    with backend.running():
        stuck = machine.gibbs(start, 200, RandomStream(0))
        ladder = build_ladder(machine, np.linspace(0, 1, 12), 200, RandomStream(0), start)
        ladder, _ = sweep_ladder(ladder, machine, 200, RandomStream(1))
    assert stuck.mean() > 0.99
    share = (cold_states(ladder, backend).sum(axis=1) > 0).mean()
    # Half of 200 columns, which do not depend on one another: five standard deviations are .18.
    assert abs(share - 0.5) < 0.18


@pytest.mark.slow
def test_known_entries_stay_and_the_others_follow_their_conditional(backend):
    machine, exact = float32_machine("dense", backend)
    n, known = n_columns(backend), np.array([1, 3])
    v = np.zeros((n, 5))
    v[:, known] = [1.0, -1.0]
    states = np.repeat(v, 4, axis=0)
    free = states == 0.0
    betas = (0.0, 0.3, 0.6, 1.0)
    ladder = ladder_of_states(
        backend, betas, backend.asarray(BASE, "float32"), backend.asarray(states, "float32")
    )
    ladder, _ = sweep_ladder(ladder, machine, 30, RandomStream(3), free=backend.asarray(free))
    got = backend.to_numpy(ladder.states)
    np.testing.assert_array_equal(got[~free], states[~free])
    agree = (exact.visible[:, known] == [1.0, -1.0]).all(axis=1)
    for rung, beta in enumerate(betas):
        p = probabilities(exact, beta) * agree
        assert p_value_of_states(got[rung::4], p / p.sum()) > FALSE_ALARM_RATE


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_ladders_do_not_depend_on_the_number_of_threads(kind, n_threads):
    results = []
    for n in (1, n_threads):
        backend = get_backend("numba", n_threads=n)
        machine, exact = float32_machine(kind, backend)
        with backend.running():
            ladder = ladder_at_equilibrium(exact, backend, 301)
            results.append(sweep_ladder(ladder, machine, 5, RandomStream(10)))
    (one, ratios), (several, other_ratios) = results
    np.testing.assert_array_equal(one.states, several.states)
    np.testing.assert_array_equal(one.origin, several.origin)
    np.testing.assert_array_equal(one.arrivals, several.arrivals)
    np.testing.assert_array_equal(ratios, other_ratios)


def test_sweeps_at_once_one_by_one_and_after_a_pickle_are_the_same(backend):
    machine, exact = float32_machine("dense", backend)
    start = ladder_at_equilibrium(exact, backend, 50)
    before = backend.to_numpy(start.states).copy()
    at_once, _ = sweep_ladder(start, machine, 7, RandomStream(5))
    stream, ladder = RandomStream(5), start
    for n in (1, 2, 1, 3):
        ladder, _ = sweep_ladder(ladder, machine, n, stream)
        if backend.name in ("numpy", "numba") and backend.xp is np:
            ladder = pickle.loads(pickle.dumps(ladder))
    for name in ("states", "origin", "arrivals"):
        got, expected = (backend.to_numpy(getattr(x, name)) for x in (ladder, at_once))
        np.testing.assert_array_equal(got, expected)
    sums = [backend.to_numpy(x.accepted) for x in (ladder, at_once)]
    np.testing.assert_allclose(*sums, rtol=1e-12)
    assert ladder.n_sweeps == at_once.n_sweeps == 7
    np.testing.assert_array_equal(backend.to_numpy(start.states), before)


# --- what ladders count -----------------------------------------------------------------------


@pytest.mark.slow
def test_rejections(backend):
    """Means of 10,000 columns, of numbers in [0, 1]: five standard errors are below .025."""
    machine, exact = float32_machine("dense", backend)
    ladder = ladder_at_equilibrium(exact, backend, n_columns(backend))
    ladder, _ = sweep_ladder(ladder, machine, 3, RandomStream(6))
    travelled = count_travels(ladder, backend)
    expected = exact_rejections(exact, BETAS[:4])
    np.testing.assert_allclose(
        travelled.rejections, expected, atol=0.025 * 100 / n_columns(backend) ** 0.5
    )
    assert travelled.barrier == pytest.approx(travelled.rejections.sum())
    np.testing.assert_array_equal(travelled.betas, BETAS[:4])


def test_round_trips_are_counted(backend):
    """Two rungs that exchange at every other sweep: a state is up one sweep after it was drawn."""
    machine, _ = make_machine("dense", (3, 2), backend, dtype="float32")
    ladder = ladder_of_states(
        backend, (0.0, 1.0), machine.visible_bias, backend.asarray(np.ones((20, 3)), "float32")
    )
    flat = replace(
        machine,
        couplings=machine.couplings.with_parameters({"weights": 0 * machine.couplings.weights}),
        hidden_bias=0 * machine.hidden_bias,
    )
    # Without couplings both ends are one distribution, and every exchange is accepted.
    ladder, log_ratios = sweep_ladder(ladder, flat, 9, RandomStream(7))
    travelled = count_travels(ladder, backend)
    assert np.all(backend.to_numpy(log_ratios) == 0.0)
    assert travelled.barrier == pytest.approx(0.0, abs=1e-12)
    # Pairs meet in sweeps 0, 2, 4, 6, 8. In sweep 0 the state at the bottom was given, not drawn.
    assert travelled.n_round_trips == 10 * 4


def test_equal_rejections():
    """λ(β) = 2Λβ: equal shares of Λ lie at the roots of equal distances."""
    betas = np.linspace(0.0, 1.0, 31)
    travelled = Travels(betas, 3.0 * np.diff(betas**2), 0, 1, 1)
    got = place_betas(travelled, 5)
    np.testing.assert_allclose(got, np.sqrt(np.linspace(0, 1, 5)), atol=0.02)
    assert travelled.barrier == pytest.approx(3.0)
    assert np.all(np.diff(place_betas(Travels(betas, np.zeros(30), 0, 1, 1), 9)) > 0.0)


@pytest.mark.parametrize("n_rungs", [4, 9, None])
def test_rungs_move_to_equal_rejections(n_rungs):
    """Round after round, from rungs at equal distances; then every pair rejects the same share."""
    backend = get_backend("numba", n_threads=2)
    machine, exact = make_machine("dense", (6, 5), backend, dtype="float32", scale=2.0)
    base = np.zeros(6)
    with backend.running():
        ladder = build_ladder(machine, np.linspace(0, 1, 6), 500, RandomStream(8))
        stream = RandomStream(9)
        for n_sweeps in (20, 40, 80, 160):
            ladder, _ = sweep_ladder(ladder, machine, n_sweeps, stream)
            ladder = adapt_ladder(ladder, backend, n_rungs)
    rejections = exact_rejections(exact, ladder.betas, base)
    assert np.ptp(rejections) < 0.05
    assert ladder.n_rungs == (n_rungs_for(rejections.sum()) if n_rungs is None else n_rungs)
    assert ladder.betas[0] == 0.0 and ladder.betas[-1] == 1.0


def test_other_rungs_go_on_with_the_nearest_states(backend):
    _machine, exact = float32_machine("dense", backend)
    ladder = ladder_at_equilibrium(exact, backend, 3)
    old = backend.to_numpy(ladder.states).reshape(3, 5, 5)
    moved = change_betas(ladder, np.array([0.0, 0.2, 0.3, 0.9, 1.0, 1.0, 1.0]), backend)
    new = backend.to_numpy(moved.states).reshape(3, 7, 5)
    np.testing.assert_array_equal(new, old[:, [0, 1, 1, 3, 3, 4, 3]])
    assert moved.n_sweeps == 0


@pytest.mark.parametrize(("columns", "cold_rungs"), [(6, 1), (6, 2), (3, 1), (4, 5)])
def test_regrouped_columns_keep_the_cold_states(backend, columns, cold_rungs):
    _machine, exact = float32_machine("dense", backend)
    ladder = ladder_at_equilibrium(exact, backend, 3)
    got = regroup_ladder(ladder, backend, columns, cold_rungs)
    old = backend.to_numpy(cold_states(ladder, backend))
    new = backend.to_numpy(cold_states(got, backend))
    n = columns * cold_rungs
    np.testing.assert_array_equal(new, old[np.arange(n) % 6])
    assert (got.n_columns, got.top, got.n_rungs) == (columns, 3, 3 + cold_rungs)
    warm = backend.to_numpy(got.states).reshape(columns, -1, 5)[:, :3]
    expected = backend.to_numpy(ladder.states).reshape(3, 5, 5)[np.arange(columns) % 3, :3]
    np.testing.assert_array_equal(warm, expected)


@pytest.mark.slow
def test_ladders_that_fall_behind_are_seen(backend):
    """Two modes of which the top knows one: bounds cross. At equilibrium they do not."""
    machine, exact = float32_machine("dense", backend, biases="")
    strong = {"weights": 1.2 + 0.0 * machine.couplings.weights}
    machine = replace(machine, couplings=machine.couplings.with_parameters(strong))
    exact = replace(exact, W=np.full((5, 4), 1.2))
    zero, betas = np.zeros(5), (0.0, 0.2, 0.4, 0.7, 1.0)
    n = n_columns(backend)
    good = ladder_at_equilibrium(exact, backend, n, betas=betas, base=zero)
    bad = backend.to_numpy(good.states).copy()
    # As after a step: the upper rungs have not heard of what the lower ones find.
    bad.reshape(n, 5, 5)[:, 2:] = exact.visible[7]
    bad = replace(good, states=backend.asarray(bad, "float32"))
    found = []
    for ladder in (good, bad):
        _, log_ratios = sweep_ladder(ladder, machine, 2, RandomStream(11))
        found.append(backend.to_numpy(measure_lags(ladder, log_ratios, 0, backend)).sum())
    assert abs(found[0]) < 0.1  # thousands of columns, gains of order one
    assert found[1] > 1.0


def test_base_log_partition(backend):
    """By enumeration of 5 visible and 4 hidden independent units."""
    expected = logsumexp(all_spins(5) @ BASE) + 4 * np.log(2.0)
    machine, _ = make_machine("dense", (5, 4), backend)
    assert base_log_partition(backend.asarray(BASE), machine) == pytest.approx(expected, rel=1e-13)


def test_counters_start_anew(backend):
    machine, exact = float32_machine("dense", backend)
    ladder, _ = sweep_ladder(ladder_at_equilibrium(exact, backend, 9), machine, 8, RandomStream(1))
    fresh = reset_counters(ladder, backend)
    assert fresh.n_sweeps == 0 and not backend.to_numpy(fresh.accepted).any()
    np.testing.assert_array_equal(backend.to_numpy(fresh.states), backend.to_numpy(ladder.states))


# --- bridges --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [((20, 50), (20, 50)), ((10, 30), (10, 90))])
def test_a_bridge_between_normal_distributions(shape):
    """Gaussian work obeys Crooks: gains ~ N(g - s²/2, s²) below, losses ~ N(-g - s²/2, s²) above.

    g within five of its errors (6e-7), for equal and unequal numbers of states.
    """
    rng = np.random.default_rng(0)
    g, s = 3.0, 1.5
    gains = rng.normal(g - s**2 / 2, s, shape[0])
    losses = rng.normal(-g - s**2 / 2, s, shape[1])
    got, shares = bridge(gains, losses)
    error = np.sqrt(np.sum(shares**2) * len(shares) / (len(shares) - 1))
    assert abs(got - g) < 5.0 * error < 0.5
    # The equation as Bennett (1976) has it, with M = ln(n_F / n_R), solved by itself.
    m = np.log(gains.size / losses.size)
    forward, reverse = -gains, -losses

    def bennett(delta_f):
        left = expit(delta_f - m - forward).sum()
        return left - expit(-(delta_f - m) - reverse).sum()

    assert got == pytest.approx(-brentq(bennett, -50.0, 50.0), abs=1e-7)


def test_a_bridge_over_no_gap():
    got, shares = bridge(np.zeros((4, 10)), np.zeros((4, 10)))
    assert got == pytest.approx(0.0, abs=1e-8)
    np.testing.assert_allclose(shares, 0.0, atol=1e-12)


def test_work_of_thousands_of_nats_is_finite():
    got, _ = bridge(np.full((3, 5), 5000.0), np.full((3, 5), -5000.0))
    assert got == pytest.approx(5000.0)


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("biases", ["both", ""])
def test_the_sum_along_a_ladder(kind, biases, parity):
    """log Z within five errors of enumeration (6e-7), and bounds on their sides as well."""
    backend = get_backend("numba", n_threads=2)
    machine, exact = make_machine(kind, (6, 5), backend, dtype="float32", scale=1.5, biases=biases)
    base = np.zeros(6) if not biases else np.linspace(-0.5, 0.5, 6)
    betas = (0.0, 0.2, 0.4, 0.7, 1.0)
    ladder = build_ladder(machine, np.array(betas), 100, RandomStream(1), base=base)
    with backend.running():
        ladder, _ = sweep_ladder(ladder, machine, 50 + parity, RandomStream(2))
        _, log_ratios = sweep_ladder(ladder, machine, 100, RandomStream(3))
    total = ladder_sum(log_ratios.reshape(100, 100, 5), parity)
    truth = exact.log_z() - logsumexp(all_spins(6) @ base) - 5 * np.log(2.0)
    assert abs(total.value - truth) < 5.0 * total.error < 0.5
    assert total.lower < truth + 5.0 * total.lower_error
    assert total.upper > truth - 5.0 * total.upper_error
    assert total.is_consistent


@pytest.mark.slow
def test_errors_are_those_of_leaving_out_columns():
    """The shares are the jackknife's, to first order: five per cent of two hundred columns."""
    rng = np.random.default_rng(3)
    n, s = 200, 1.0
    common = rng.normal(0.0, 0.5, (1, n, 1))  # a column's states are correlated in time
    log_ratios = rng.normal(-(s**2) / 2, s, (40, n, 3)) + common
    total = ladder_sum(log_ratios)
    values = np.array([ladder_sum(np.delete(log_ratios, c, axis=1)).value for c in range(n)])
    jackknife = np.sqrt((n - 1) / n * np.sum((values - values.mean()) ** 2))
    assert total.error == pytest.approx(jackknife, rel=0.05)


def test_one_column_has_no_error_to_speak_of():
    assert ladder_sum(np.zeros((4, 1, 3))).error == np.inf
