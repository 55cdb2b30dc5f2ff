"""Modes that rows show and no chain finds: neighbours, weights, searches, sums.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from tools.brute_force import Enumerated, all_spins, p_value
from tools.machines import machine_of, make_machine
from tools.summed import Summed, groups_of, states_of
from tools.weights import hole, signs

from sklearn_rapid.backends import (
    SPINS,
    Categories,
    Gaussians,
    Mixed,
    RandomStream,
    Spiked,
    get_backend,
)
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.known_states import (
    find_likely_states,
    has_discrete_states,
    log_weights_of,
    search_neighbours,
    weigh_states,
)
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempered_partition import followed_log_partition, tempered_log_partition
from sklearn_rapid.machine.tempering import build_ladder

SMALLEST_P = 1e-4
# Units of a layer, and the same for sums over states.
LAYERS = {
    "spins": (SPINS, "spins", 5),
    "categories": (Categories((3, 1, 4)), (3, 1, 4), 8),
    "mixed": (
        Mixed((SPINS, Categories((2, 3)), SPINS), (2, 5, 1)),
        [("spins", 2), ((2, 3), 5), ("spins", 1)],
        8,
    ),
}


@pytest.fixture(params=LAYERS.values(), ids=LAYERS)
def layer(request):
    return request.param


# --- neighbours -----------------------------------------------------------------------------


def units_or_groups(kind, start=0):
    """The columns of each spin and of each group of categories, of a kind of `summed`."""
    if isinstance(kind, list):
        found = []
        for part, n in kind:
            found += units_or_groups((part, n) if part == "spins" else part, start)
            start += n
        return found
    if kind[0] == "spins":
        return [slice(i, i + 1) for i in range(start, start + kind[1])]
    return [slice(start + g.start, start + g.stop) for g in groups_of(kind)]


def test_neighbours_are_all_that_differ_in_one_unit_or_group(layer):
    units, kind, n = layer
    states, _ = states_of(kind, n)
    states = states.astype(np.int8)
    parts = units_or_groups(("spins", n) if kind == "spins" else kind)
    for v in states:
        found = units.neighbours(v)
        assert found.dtype == v.dtype
        n_changed = sum(np.any(states[:, part] != v[part], axis=1) for part in parts)
        expected = {row.tobytes() for row in states[n_changed == 1]}
        assert {row.tobytes() for row in found} == expected
        assert len(found) == len(expected)


def test_real_units_have_no_neighbours():
    assert Gaussians().neighbours(np.zeros(3, dtype=np.int8)).shape == (0, 3)
    mixed = Mixed((Gaussians(), SPINS), (2, 2))
    found = mixed.neighbours(np.array([5, 6, 1, -1], dtype=np.int8))
    np.testing.assert_array_equal(found, [[5, 6, -1, -1], [5, 6, 1, 1]])


# --- weights --------------------------------------------------------------------------------


def test_weights_are_free_energies_of_different_states(backend, layer):
    """By sums over hidden states; once each, in the order in which they come."""
    units, kind, n = layer
    rng = np.random.default_rng(0)
    W, b, c = rng.normal(size=(n, 3)), rng.normal(size=n), rng.normal(size=3)
    W, b, c = (a.astype(np.float32).astype(float) for a in (W, b, c))
    arrays = (backend.asarray(a, "float32") for a in (W, b, c))
    weights, *biases = arrays
    machine = Machine(DenseCouplings(weights), *biases, backend, visible_units=units)
    states, _ = states_of(kind, n)
    twice = np.concatenate([states[7:], states[:10], states[3:5]]).astype(np.int8)
    known = weigh_states(machine, twice)
    np.testing.assert_array_equal(known.states, np.concatenate([states[7:], states[:7]]))
    exact = Summed(W, b, c, kind)
    expected = exact.log_f(known.states.astype(float))
    np.testing.assert_allclose(known.log_weights, expected, rtol=1e-5)
    of_machine = -backend.to_numpy(machine.free_energy(backend.asarray(known.states, "float32")))
    np.testing.assert_allclose(known.log_weights, of_machine, rtol=1e-12, atol=1e-12)
    # All states are known: their weights are Z.
    assert known.log_total == pytest.approx(exact.log_z(), abs=1e-5)
    assert known.contain(states).all()
    heaviest = known.heaviest(4)
    order = np.argsort(-exact.log_f(states))
    np.testing.assert_array_equal(heaviest, states[order[:4]])
    some = weigh_states(machine, states[::3])
    np.testing.assert_array_equal(some.contain(states), np.arange(len(states)) % 3 == 0)


def test_no_states_weigh_nothing():
    machine, _ = make_machine("dense", (4, 3), get_backend("numpy"))
    none = weigh_states(machine, np.empty((0, 4)))
    assert none.log_total == -np.inf
    assert none.heaviest(3).shape == (0, 4)
    np.testing.assert_array_equal(none.contain(np.ones((2, 4))), [False, False])


def test_more_states_than_are_weighed_at_once():
    machine, exact = make_machine("dense", (13, 3), get_backend("numba"))
    states = all_spins(13).astype(np.int8)
    np.testing.assert_allclose(log_weights_of(machine, states), -exact.free_energy(states))


def test_states_are_drawn_by_their_weights():
    machine, exact = make_machine("dense", (5, 3), get_backend("numpy"))
    known = weigh_states(machine, all_spins(5)[5:].astype(np.int8))
    drawn = known.draw(20_000, np.random.default_rng(1))
    numbers = (drawn > 0) @ 2 ** np.arange(5)
    p = exact.visible_probabilities()[5:]
    assert numbers.min() >= 5
    assert p_value(np.bincount(numbers, minlength=32)[5:], p / p.sum()) > SMALLEST_P


def test_states_of_real_units_are_not_known():
    assert has_discrete_states(make_machine("dense", (4, 3), get_backend("numpy"))[0])
    for units in (Mixed((Gaussians(), SPINS), (1, 3)), Mixed((SPINS, Spiked((2,))), (1, 3))):
        machine = Machine(DenseCouplings(np.zeros((4, 3))), np.zeros(4), np.zeros(3),
                          get_backend("numpy"), visible_units=units)  # fmt: skip
        assert not has_discrete_states(machine)


# --- searches -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def a_hole():
    """Thirty spins: weak couplings, and a row that has half of the probability by itself."""
    row = signs(np.random.default_rng(5), 30)
    return hole(row, 0.5, n_units=2), row.astype(np.int8)


def flipped(row, *spins):
    row = row.copy()
    row[list(spins)] *= -1
    return row


def test_the_hole_is_one(a_hole):
    weights, row = a_hole
    assert weights.p(row.astype(float)) == pytest.approx(0.5, rel=1e-3)
    near = weights.log_f(np.array([flipped(row, i) for i in range(30)]).astype(float))
    assert weights.log_f(row[None].astype(float))[0] - near.max() > 5.0


def test_search_finds_a_mode_two_flips_away(a_hole):
    weights, row = a_hole
    machine = machine_of(weights)
    for pair in ((0, 1), (3, 17), (28, 29)):
        start = weigh_states(machine, flipped(row, *pair)[None])
        assert not start.contain(row[None])[0]
        found = search_neighbours(machine, start)
        assert found.contain(row[None])[0]
        np.testing.assert_array_equal(found.heaviest(1)[0], row)
        # Each state once, numbered by its place, and with its own weight.
        assert len({v.tobytes() for v in found.states}) == len(found.states)
        assert all(found.numbers[v.tobytes()] == i for i, v in enumerate(found.states))
        expected = weights.log_f(found.states.astype(float))
        np.testing.assert_allclose(found.log_weights, expected, atol=2e-3)


def test_search_ends(a_hole):
    weights, row = a_hole
    machine = machine_of(weights)
    start = weigh_states(machine, flipped(row, 0, 1)[None])
    assert len(search_neighbours(machine, start, n_states=31).states) == 31
    assert len(search_neighbours(machine, start, n_states=1).states) == 1
    # A state with no neighbours that count: nothing else is looked at after its own.
    lonely = Enumerated(np.zeros((30, 1)), np.full(30, 20.0), np.zeros(1))
    found = search_neighbours(
        machine_of(lonely), weigh_states(machine_of(lonely), np.ones((1, 30)))
    )
    assert len(found.states) == 31


def test_likely_states_are_signs_of_patterns_too():
    """A mode that no row shows: the machine's own couplings do, rows being far away."""
    rng = np.random.default_rng(1)
    direction = signs(rng, 20)
    strong = Enumerated(2.0 * np.outer(direction, [1.0, 1.0]), np.zeros(20), np.zeros(2))
    known = find_likely_states(machine_of(strong), np.ones((1, 20), dtype=np.int8))
    modes = np.array([direction, -direction])
    assert known.contain(modes).all()


# --- sums -----------------------------------------------------------------------------------


def temper(machine, seed, **how):
    with machine.backend.running():
        return tempered_log_partition(machine, RandomStream(seed), **how)


def test_a_hole_is_lost_without_states_and_not_with_them(a_hole):
    """Off by log .5, and by nothing that stands out of the stated errors (5: 5e-5 of all runs)."""
    weights, row = a_hole
    machine, exact = machine_of(weights), weights.log_z()
    rows = np.concatenate([np.sign(weights.draws(50, np.random.default_rng(0))), row[None]])
    for seed in range(4):
        without, _, none = temper(machine, seed)
        assert none is None
        assert without.value - exact == pytest.approx(np.log(0.5), abs=5.0 * without.error)
        assert without.value - exact < -5.0 * without.error
        for states in (rows, flipped(row, 4, 9)[None]):
            found, _, basin = temper(machine, seed, states=states.astype(np.int8))
            assert found.is_trusted and basin.known.contain(row[None])[0]
            assert abs(found.value - exact) < 5.0 * found.error < 0.5


@pytest.mark.slow
def test_known_states_are_not_counted_twice():
    """Chains find most of them as well: 40 seeds beside the exact sum.

    Deviations in stated errors follow Student's t of 23 degrees: one of them is beyond 5 with
    probability 2e-3, and their mean is within four standard errors but once in 4000 times.
    """
    how = {"scale": 0.5, "dtype": "float32"}
    machine, exact = make_machine("dense", (13, 3), get_backend("numba"), **how)
    exact, deviations = exact.log_z(), []
    for seed in range(40):
        states = all_spins(13)[seed::2000].astype(np.int8)
        found, _, basin = temper(machine, seed, states=states, tol=0.1, max_sweeps=200)
        # Some half of the states, and of the weight.
        assert 4096 <= len(basin.known.states) < 4200
        deviations.append((found.value - exact) / found.error)
    assert np.max(np.abs(deviations)) < 5.0
    assert abs(np.mean(deviations)) < 4.0 * np.std(deviations) / np.sqrt(40)


def test_where_all_states_are_known_log_z_is_their_sum():
    """Nothing is left of which only chains could say something."""
    machine, exact = make_machine("dense", (9, 4), get_backend("numba"), dtype="float32")
    states = all_spins(9)[:1].astype(np.int8)
    found, _, basin = temper(machine, 0, states=states)
    assert len(basin.known.states) == 2**9
    assert abs(found.value - exact.log_z()) < 5.0 * found.error < 0.01


def test_what_no_look_has_seen_is_in_the_error():
    """One state has all but e^-36 of the probability."""
    lonely = Enumerated(np.zeros((12, 1)), np.full(12, 20.0), np.zeros(1))
    found, _, basin = temper(machine_of(lonely), 0, states=np.ones((1, 12), dtype=np.int8))
    assert basin is not None
    assert abs(found.value - (240.0 + np.log(2.0))) < 5.0 * found.error < 0.01


def test_followed_ladders_know_states_too(a_hole):
    """Within five errors, and off by log .5 without."""
    weights, row = a_hole
    machine, exact = machine_of(weights), weights.log_z()
    with machine.backend.running():
        ladder = build_ladder(machine, np.linspace(0.0, 1.0, 6), 24, RandomStream(0))
        value, error = followed_log_partition(ladder, machine, RandomStream(1), row[None])
        without, _ = followed_log_partition(ladder, machine, RandomStream(1))
    assert abs(value - exact) < 5.0 * error < 0.8
    assert without - exact < -0.4


def test_categories_are_known_too():
    """A row of codes with half of the probability; log Z by a sum over the hidden layer."""
    rng = np.random.default_rng(2)
    sizes, n = (4,) * 14, 56
    row = np.concatenate([np.eye(4)[rng.integers(4)] for _ in sizes])
    W, b = 0.05 * rng.normal(size=(n, 4)), 0.2 * rng.normal(size=n)
    hidden = all_spins(5)

    def at(depth):
        columns = np.hstack([W, depth * row[:, None]])
        c = np.array([0.1, -0.1, 0.2, 0.0, -depth * 13.0])
        bias = b + depth * row
        field = hidden @ columns.T + bias
        log_of_hidden = hidden @ c + logsumexp(field.reshape(32, 14, 4), axis=2).sum(axis=1)
        exact = logsumexp(log_of_hidden)
        theta = row @ columns + c
        return (columns, bias, c), exact, bias @ row + np.logaddexp(theta, -theta).sum() - exact

    # The last field at which the row has at most half of the probability.
    low, high = 0.0, 20.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if at(middle)[2] > np.log(0.5) else (middle, high)
    (W, b, c), exact, log_p = at(low)
    assert log_p == pytest.approx(np.log(0.5), abs=1e-3)
    backend = get_backend("numba")
    arrays = (backend.asarray(a, "float32") for a in (W, b, c))
    weights, *biases = arrays
    machine = Machine(DenseCouplings(weights), *biases, backend, visible_units=Categories(sizes))
    start = row.copy()
    start[:4] = np.roll(start[:4], 1)
    found, _, basin = temper(machine, 0, states=start[None].astype(np.int8))
    assert basin.known.contain(row[None])[0]
    assert abs(found.value - exact) < 5.0 * found.error < 0.5
