"""Basins of known states, beside sums over all states and powers of the exact Gibbs step.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from tools.arena import a_transition, outcome
from tools.brute_force import Enumerated, all_spins, p_value, state_numbers
from tools.machines import machine_of

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.machine.basins import MOST_STEPS, N_CHAINS, Basin, measure_basin
from sklearn_rapid.machine.known_states import weigh_states
from sklearn_rapid.machine.tempered_partition import tempered_log_partition

SMALLEST_P = 1e-4
LARGEST_Z = stats.norm.isf(SMALLEST_P / 2.0)
N_VISIBLE = 8


@pytest.fixture(scope="module", params=[0.4, 1.2], ids=["loose", "tight"])
def exact(request):
    """A machine whose chains come and go, and one whose chains stay where they are."""
    rng = np.random.default_rng(3)
    W = request.param * rng.normal(size=(N_VISIBLE, 4))
    return Enumerated(W, 0.2 * rng.normal(size=N_VISIBLE), np.zeros(4))


@pytest.fixture(scope="module")
def is_known(exact):
    """Five states: the most probable one, and what else has some probability."""
    order = np.argsort(-exact.visible_probabilities())
    found = np.zeros(2**N_VISIBLE, dtype=bool)
    found[order[[0, 1, 3, 8, 20]]] = True
    return found


@pytest.fixture(scope="module")
def known(exact, is_known):
    return weigh_states(machine_of(exact), all_spins(N_VISIBLE)[is_known].astype(np.int8))


def gibbs_step(exact):
    """P(v' | v), rows v."""
    return exact.hidden_given_visible() @ exact.visible_given_hidden()


def leading(exact, is_known, n_steps):
    """The probability that one of so many steps from each state ends in a known one."""
    P, never = gibbs_step(exact), (~is_known).astype(float)
    for _ in range(n_steps):
        never = np.where(is_known, 0.0, P @ never)
    return 1.0 - never


def staying_outside(exact, is_known, n_steps):
    """The probabilities that the first 1, 2, ... steps from known states all end outside."""
    P, p = gibbs_step(exact), exact.visible_probabilities()
    p, found = np.where(is_known, p, 0.0) / p[is_known].sum(), []
    for _ in range(n_steps):
        p = np.where(is_known, 0.0, p @ P)
        found.append(p.sum())
    return np.array(found)


def found_basin(exact, known, seed=0, tol=1.0):
    return measure_basin(known, machine_of(exact), exact.log_z(), RandomStream(seed), tol=tol)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 32])
def test_weights_by_chains_and_by_what_leads_back_are_the_same(exact, is_known, n_steps):
    """The identity that basins stand on, without the package."""
    p, q = exact.visible_probabilities(), leading(exact, is_known, n_steps)
    by_chains = p[is_known].sum() * (1.0 + staying_outside(exact, is_known, n_steps).sum())
    assert p @ q == pytest.approx(by_chains, rel=1e-12)


def test_odds_are_those_of_the_exact_step(exact, is_known, known):
    for seed in range(5):
        basin = found_basin(exact, known, seed)
        expected = staying_outside(exact, is_known, basin.n_steps)
        assert basin.n_steps == MOST_STEPS or basin.n_outside[-1] == 0
        assert abs(basin.odds - expected.sum()) < LARGEST_Z * basin.error
        for n, p in zip(basin.n_outside, expected, strict=True):
            low, high = stats.binom.ppf([SMALLEST_P / 64, 1 - SMALLEST_P / 64], N_CHAINS, p)
            assert low <= n <= high
        assert len(basin.outside) == basin.n_outside[-1]
        log_known = np.log(exact.visible_probabilities()[is_known].sum()) + exact.log_z()
        assert basin.log_total == pytest.approx(log_known + np.log1p(basin.odds), abs=1e-4)


@pytest.mark.slow
def test_errors_are_as_large_as_deviations(exact, is_known, known):
    """Of 200 seeds; deviations in stated errors are standard normal, and their χ² says so."""
    found = [found_basin(exact, known, seed, tol=0.02) for seed in range(200)]
    z = [(b.odds - staying_outside(exact, is_known, b.n_steps).sum()) / b.error for b in found]
    assert SMALLEST_P < stats.chi2.sf(np.sum(np.square(z)), 200) < 1.0 - SMALLEST_P


def test_a_smaller_tolerance_takes_fewer_steps(exact, known):
    share = np.exp(known.log_total - exact.log_z())
    basins = [found_basin(exact, known, tol=tol) for tol in (0.001, 0.01, 0.1)]
    n_steps = [basin.n_steps for basin in basins]
    assert 1 == n_steps[0] <= n_steps[1] < n_steps[2]
    assert basins[1].n_steps == 1 or share * basins[1].error <= 0.01


@pytest.mark.parametrize("n_steps", [0, 1, 6])
def test_states_are_of_the_basin_as_often_as_they_lead_there(exact, is_known, known, n_steps):
    """Each state a thousand times."""
    states = np.repeat(all_spins(N_VISIBLE), 1000, axis=0).astype(np.int8)
    found = Basin(known, np.zeros(n_steps)).contain(machine_of(exact), states, RandomStream(1))
    n_found = found.reshape(-1, 1000).sum(axis=1)
    p, n = leading(exact, is_known, n_steps), len(is_known)
    low, high = stats.binom.ppf([SMALLEST_P / n / 2, 1 - SMALLEST_P / n / 2], 1000, p[:, None]).T
    assert np.all((low <= n_found) & (n_found <= high))
    assert np.all(n_found[is_known] == 1000)


@pytest.mark.parametrize("n", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 7)), 5000])
def test_draws_of_a_basin_have_its_distribution(exact, is_known, known, n):
    """One at a time, a few, or thousands.

    Draws of one call are not independent: for the numbers of thousands this is a test of the mean
    of ten blocks.
    """
    machine, rng = machine_of(exact), np.random.default_rng(0)
    basin = found_basin(exact, known, tol=0.05)
    # The shares of steps are estimated by the chains of the basin; here they are exact.
    expected = staying_outside(exact, is_known, basin.n_steps)
    exactly = Basin(known, N_CHAINS * expected)
    p = exact.visible_probabilities() * leading(exact, is_known, basin.n_steps)
    p /= p.sum()
    n_calls = {1: 2000, 7: 300, 5000: 1}[n]
    drawn = [exactly.draw(machine, n, rng, RandomStream(i)) for i in range(n_calls)]
    assert all(v.shape == (n, N_VISIBLE) and v.dtype == np.int8 for v in drawn)
    numbers = state_numbers(np.concatenate([v[:1] if n == 7 else v for v in drawn]))
    counts = np.bincount(numbers, minlength=2**N_VISIBLE)
    assert p_value(counts, p * counts.sum()) > SMALLEST_P


def test_no_draws():
    exact = Enumerated(np.zeros((4, 2)), np.zeros(4), np.zeros(2))
    basin = Basin(weigh_states(machine_of(exact), np.ones((1, 4))))
    drawn = basin.draw(machine_of(exact), 0, np.random.default_rng(0), RandomStream(0))
    assert drawn.shape == (0, 4)


def test_few_rows_are_few_steps(exact, known):
    machine, log_z = machine_of(exact), exact.log_z()
    none = measure_basin(known, machine, log_z, RandomStream(0), max_rows=N_CHAINS - 1)
    assert (none.n_steps, none.odds) == (0, 0.0)
    assert none.outside.shape == (0, N_VISIBLE)
    one = measure_basin(known, machine, log_z, RandomStream(0), max_rows=N_CHAINS, tol=1.0)
    assert one.n_steps == 1


# --- what lies beyond -----------------------------------------------------------------------


def a_mode_of_many_states(n_free):
    """Twenty spins that agree, and free ones beside them: 2^n_free equally heavy states."""
    W = np.zeros((20 + n_free, 2))
    W[:20] = 0.6
    return Enumerated(W, np.zeros(20 + n_free), np.zeros(2))


def test_chains_that_stay_near_by_are_noticed():
    """Ten of a thousand states are known: the rest of their mode is estimated within a half."""
    exact = a_mode_of_many_states(10)
    states = np.ones((10, 30), dtype=np.int8)
    states[:, 20:] = np.random.default_rng(0).choice([-1, 1], size=(10, 10))
    machine = machine_of(exact)
    known = weigh_states(machine, states)
    # Twenty spins that agree or not, by the sum over hidden states; there are two modes.
    of_mode = logsumexp(20 * np.log(2.0 * np.cosh([1.2, 1.2, 0.0, 0.0]))) - np.log(2.0)
    log_mode = of_mode + 10.0 * np.log(2.0)
    basin = measure_basin(known, machine, log_mode + np.log(2.0), RandomStream(0))
    expected = np.exp(log_mode - known.log_total) - 1.0
    assert basin.odds < 0.1 * expected
    elsewhere = np.zeros(30)
    assert 0.5 < (basin.odds + basin.odds_beyond(elsewhere)) / expected < 1.5
    # Where chains elsewhere are just the same, none of them is near by.
    assert basin.odds_beyond(basin.outside.mean(axis=0)) == 0.0


def test_chains_that_leave_for_good_are_not_missed():
    """One state of coins: chains are away at once, and never come back."""
    exact = Enumerated(np.zeros((30, 2)), np.zeros(30), np.zeros(2))
    machine = machine_of(exact)
    known = weigh_states(machine, np.ones((1, 30), dtype=np.int8))
    basin = measure_basin(known, machine, 30.0 * np.log(2.0), RandomStream(0))
    assert basin.n_outside[-1] == N_CHAINS
    assert basin.odds_beyond(np.zeros(30)) < 0.01 * N_CHAINS


@pytest.mark.slow
def test_a_mode_that_rows_show_in_part_is_not_trusted_unless_it_is_found():
    """A phase of half of all probability, of a million states, of which two hundred are known."""
    case = a_transition(0.5, 0.9, 44, 20)
    for seed in range(3):
        found = outcome(case, seed)
        assert not found.is_trusted
        assert found.deviation < -0.4


def test_a_ladder_of_few_rows_goes_on_without_chains_from_known_states():
    """The basin is the known states themselves; columns start from others."""
    case = a_transition(0.5, 0.9)
    machine = get_fitted_model(case.model).machine
    states = (2 * case.X - 1).astype(np.int8)
    with machine.backend.running():
        found, _, basin = tempered_log_partition(
            machine,
            RandomStream(0),
            start=machine.backend.asarray(np.float32(states[:12])),
            states=states,
            max_rows=10_000.0,
        )
    assert basin.n_steps == 0
    assert abs(found.value - case.log_z) < 5.0 * found.error < 0.5


@pytest.mark.parametrize("onset", [0.6, 0.9])
def test_columns_that_stay_in_a_mode_do_not_count(onset):
    """All columns start in a mode of half of the probability, or none does: the same log Z.

    Within five stated errors each.
    """
    case = a_transition(0.5, onset)
    machine = get_fitted_model(case.model).machine
    states = (2 * case.X - 1).astype(np.int8)
    log_p = -case.model.free_energy(case.X)
    heaviest = np.float32(states[np.argsort(-log_p)[:12]])
    with machine.backend.running():
        for start in (None, machine.backend.asarray(heaviest)):
            found, *_ = tempered_log_partition(
                machine, RandomStream(0), start=start, states=states, max_sweeps=1000
            )
            assert abs(found.value - case.log_z) < 5.0 * found.error < 0.5


def test_what_lies_beyond_one_step_is_of_the_size_of_what_lies_within_it():
    """A quarter of all chains come back at each step: three steps outside in the mean."""
    exact = Enumerated(np.zeros((6, 2)), np.full(6, 0.5), np.zeros(2))
    known = weigh_states(machine_of(exact), np.ones((1, 6), dtype=np.int8))
    n_left = np.array([int(0.75 * N_CHAINS)])
    left = np.ones((n_left[0], 6), dtype=np.int8)
    basin = Basin(known, n_left, left)
    # 0.75² + 0.75³ + ... = 2.25 lie beyond.
    assert basin.odds_beyond(np.zeros(6)) == pytest.approx(2.25, rel=0.01)
