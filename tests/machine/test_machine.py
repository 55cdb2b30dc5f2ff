"""Energies, means and samples of small machines against sums over all their states.

The statistical tests refuse a correct sampler with probability 1e-4 each, were the seeds not
fixed (about fifty of them: 0.5 % in all).
"""

from dataclasses import replace

import numpy as np
import pytest
from tools.brute_force import all_spins, p_value_of_states, state_numbers
from tools.machines import KINDS, make_couplings, make_machine

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import of_states, sweep
from sklearn_rapid.training.chains import NO_CHAINS, PlainChains
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.steps.projections import Projection

SMALLEST_P = 1e-4
SHAPE = (5, 4)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=["both", ""], ids=["biases", "no biases"])
def biases(request):
    return request.param


@pytest.fixture
def pair(kind, biases, backend, dtype):
    return make_machine(kind, SHAPE, backend, biases=biases, dtype=dtype)


def tolerance(dtype):
    """A few dozen operations on numbers of order one, each rounded to half an epsilon."""
    return 20 * np.finfo(dtype).eps


def assert_close(backend, got, expected, dtype):
    np.testing.assert_allclose(
        backend.to_numpy(got), expected, rtol=tolerance(dtype), atol=tolerance(dtype)
    )


# --- sums over all states -------------------------------------------------------------------


def test_energy(pair, backend, dtype):
    machine, exact = pair
    v, h = exact.visible[:16], exact.hidden
    got = machine.energy(backend.asarray(v, dtype), backend.asarray(h, dtype))
    assert backend.to_numpy(got).dtype == np.float64
    assert_close(backend, got, np.diag(exact.energies(v, h)), dtype)


def test_free_energy(pair, backend, dtype):
    machine, exact = pair
    got = machine.free_energy(backend.asarray(exact.visible, dtype))
    assert backend.to_numpy(got).dtype == np.float64
    assert_close(backend, got, exact.free_energy(exact.visible), dtype)


def test_hidden_mean(pair, backend, dtype):
    machine, exact = pair
    got = machine.hidden_mean(backend.asarray(exact.visible, dtype))
    assert_close(backend, got, exact.hidden_given_visible() @ exact.hidden, dtype)


def test_visible_mean(pair, backend, dtype):
    machine, exact = pair
    got = machine.visible_mean(backend.asarray(exact.hidden, dtype))
    assert_close(backend, got, exact.visible_given_hidden() @ exact.visible, dtype)


@pytest.mark.slow
def test_log_pseudo_likelihood(pair, backend, dtype):
    machine, exact = pair
    got = machine.log_pseudo_likelihood(backend.asarray(exact.visible, dtype))
    # Differences of free energies: each of the five sites brings the error of two.
    scale = 10 * tolerance(dtype)
    np.testing.assert_allclose(
        backend.to_numpy(got), exact.log_pseudo_likelihood(), rtol=0, atol=scale
    )


def test_log_pseudo_likelihood_of_strong_couplings_is_finite(backend):
    """Flipping a spin costs or gains hundreds of nats: exp of either must not overflow."""
    machine, _ = make_machine("dense", SHAPE, backend, scale=200.0, dtype="float32")
    v = all_spins(5)
    got = backend.to_numpy(machine.log_pseudo_likelihood(backend.asarray(v, "float32")))
    assert np.all(np.isfinite(got))
    assert got.min() < -300.0
    # Local minima of the energy lose nothing by any flip.
    assert got.max() <= 0.0


def test_more_rows_than_a_block(backend, kind):
    machine, exact = make_machine(kind, SHAPE, backend)
    numbers = np.random.default_rng(0).integers(0, 32, size=300)
    v = backend.asarray(exact.visible[numbers])
    expected = exact.free_energy(exact.visible)[numbers]
    np.testing.assert_allclose(backend.to_numpy(machine.free_energy(v)), expected, rtol=1e-12)
    expected = (exact.hidden_given_visible() @ exact.hidden)[numbers]
    np.testing.assert_allclose(backend.to_numpy(machine.hidden_mean(v)), expected, atol=1e-12)


def test_transposed(pair, backend, dtype):
    machine, exact = pair
    swapped = machine.transposed()
    assert (swapped.n_visible, swapped.n_hidden) == (machine.n_hidden, machine.n_visible)
    h, v = backend.asarray(exact.hidden, dtype), backend.asarray(exact.visible[:16], dtype)
    expected = np.diag(exact.energies(exact.visible[:16], exact.hidden))
    assert_close(backend, swapped.energy(h, v), expected, dtype)
    expected = -np.log(exact.joint().sum(axis=0)) - exact.log_z()
    assert_close(backend, swapped.free_energy(h), expected, dtype)


@pytest.mark.parametrize(("biases", "expected"), [("both", 1), ("visible", 1), ("hidden", 1)])
def test_has_biases(kind, backend, biases, expected):
    assert make_machine(kind, SHAPE, backend, biases=biases)[0].has_biases


def test_has_no_biases(kind, backend):
    assert not make_machine(kind, SHAPE, backend, biases="")[0].has_biases


@pytest.mark.parametrize("shape", [(30, 40), (5, 1000)])
@pytest.mark.parametrize("n_patterns", [2, 10, 100])
@pytest.mark.parametrize("n_rows", [0, 1, 50, 10_000])
def test_for_rows_picks_the_cheaper_form(shape, n_patterns, n_rows, backend):
    couplings, _ = make_couplings("patterns", shape, backend, n_patterns=n_patterns)
    (n_visible, n_hidden), n_weights = shape, shape[0] * shape[1]
    products_through_patterns = n_rows * n_patterns * (n_visible + n_hidden)
    products_through_weights = n_patterns * n_weights + n_rows * n_weights
    chosen = couplings.for_rows(n_rows, backend)
    assert chosen.uses_patterns
    forms_weights = chosen.weights is not None
    assert forms_weights == (products_through_weights < products_through_patterns)


def test_for_rows_maps_alike(backend):
    machine, exact = make_machine("patterns", SHAPE, backend)
    formed = machine.for_rows(10_000)
    assert machine.couplings.weights is None
    np.testing.assert_allclose(backend.to_numpy(formed.couplings.weights), exact.W, atol=1e-14)
    dense = replace(machine, couplings=machine.couplings.to_dense())
    v, h = backend.asarray(exact.visible), backend.asarray(exact.hidden)
    hidden_field, visible_field = (
        exact.visible @ exact.W + exact.c,
        exact.hidden @ exact.W.T + exact.b,
    )
    for form in (machine, formed, dense, formed.transposed().transposed()):
        got = backend.to_numpy(form.hidden_field(v))
        np.testing.assert_allclose(got, hidden_field, atol=1e-13)
        got = backend.to_numpy(form.visible_field(h))
        np.testing.assert_allclose(got, visible_field, atol=1e-13)
        got = backend.to_numpy(form.transposed().hidden_field(h))
        np.testing.assert_allclose(got, visible_field, atol=1e-13)


def test_new_patterns_do_not_keep_the_old_weights(backend):
    machine, exact = make_machine("patterns", SHAPE, backend)
    formed = machine.for_rows(10_000).couplings
    doubled = formed.with_parameters({n: 2.0 * p for n, p in formed.parameters.items()})
    doubled = replace(machine, couplings=doubled)
    got = backend.to_numpy(doubled.hidden_field(backend.asarray(exact.visible)))
    np.testing.assert_allclose(got, 4.0 * exact.visible @ exact.W + exact.c, atol=1e-13)


def test_maps_are_kept_with_the_machine_they_are_of(backend):
    machine, exact = make_machine("dense", SHAPE, backend)
    assert machine.up is machine.up and machine.down is machine.down
    other = replace(machine, hidden_bias=machine.hidden_bias + 1.0)
    got = backend.to_numpy(other.hidden_field(backend.asarray(exact.visible)))
    np.testing.assert_allclose(got, exact.visible @ exact.W + exact.c + 1.0, atol=1e-13)


def test_for_rows_leaves_dense_machines_alone(backend):
    machine, _ = make_machine("dense", SHAPE, backend)
    assert machine.for_rows(10_000) is machine


# --- samplers -------------------------------------------------------------------------------


def n_chains(backend):
    """Enough to see fields that are 10 % off (see below); fewer for slow strict arrays."""
    return 20_000 if backend.xp is np else 4_000


def float32_machine(kind, biases, backend):
    return make_machine(kind, SHAPE, backend, biases=biases, dtype="float32")


def chains_from(exact, backend, seed=0):
    """Independent chains that start from P(v) itself."""
    v = exact.sample_visible(n_chains(backend), np.random.default_rng(seed))
    return backend.asarray(v, "float32")


def test_gibbs_stays_in_the_distribution(kind, biases, backend):
    machine, exact = float32_machine(kind, biases, backend)
    v = machine.gibbs(chains_from(exact, backend), 2, RandomStream(1))
    assert p_value_of_states(backend.to_numpy(v), exact.visible_probabilities()) > SMALLEST_P


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: replace(m, couplings=DenseCouplings(2.0 * m.couplings.weights)),
        lambda m: replace(m, couplings=DenseCouplings(1.1 * m.couplings.weights)),
        lambda m: replace(m, visible_bias=m.visible_bias + 0.05),
        lambda m: replace(m, hidden_bias=-m.hidden_bias),
    ],
    ids=["doubled fields", "fields 10 % too strong", "bias off by 0.05", "wrong sign"],
)
def test_wrong_kernels_are_caught(wrong):
    """The same test as above has the power to see what is wrong by little."""
    backend = get_backend("numba", n_threads=1)
    machine, exact = float32_machine("dense", "both", backend)
    v = wrong(machine).gibbs(chains_from(exact, backend), 2, RandomStream(1))
    assert p_value_of_states(v, exact.visible_probabilities()) < 1e-8


def test_one_gibbs_step_has_the_exact_transition_probabilities(kind, biases, backend):
    machine, exact = float32_machine(kind, biases, backend)
    kernel = exact.gibbs_kernel()
    for number in (0, 13):
        start = np.tile(exact.visible[number], (n_chains(backend), 1))
        v = machine.gibbs(backend.asarray(start, "float32"), 1, RandomStream(number))
        assert p_value_of_states(backend.to_numpy(v), kernel[number]) > SMALLEST_P


def test_gibbs_reaches_the_distribution_and_leaves_its_start_alone(kind, biases):
    backend = get_backend("numba", n_threads=2)
    machine, exact = float32_machine(kind, biases, backend)
    start = np.ones((10_000, 5), dtype=np.float32)
    # What the slowest mode keeps of the start is far below the noise of a hundredth.
    slowest = np.sort(np.abs(np.linalg.eigvals(exact.gibbs_kernel())))[-2]
    assert slowest**100 < 1e-3
    with backend.running():
        v = machine.gibbs(start, 100, RandomStream(2))
    assert p_value_of_states(v, exact.visible_probabilities()) > SMALLEST_P
    assert np.all(start == 1.0)


def test_steps_at_once_and_one_by_one_are_the_same(kind, backend):
    machine, exact = float32_machine(kind, "both", backend)
    start = backend.asarray(exact.visible, "float32")
    at_once, stream = RandomStream(3), RandomStream(3)
    v = start
    for _ in range(4):
        v = machine.gibbs(v, 1, stream)
    expected = backend.to_numpy(machine.gibbs(start, 4, at_once))
    np.testing.assert_array_equal(backend.to_numpy(v), expected)
    assert stream.position == at_once.position


def test_sample_hidden(kind, biases, backend):
    machine, exact = float32_machine(kind, biases, backend)
    for number in (3, 30):
        v = backend.asarray(np.tile(exact.visible[number], (n_chains(backend), 1)), "float32")
        h = backend.to_numpy(machine.sample_hidden(v, RandomStream(number)))
        assert p_value_of_states(h, exact.hidden_given_visible()[number]) > SMALLEST_P


def test_clamped_gibbs_stays_in_the_distribution(kind, biases, backend):
    """Which spins are clamped varies from chain to chain, at random."""
    machine, exact = float32_machine(kind, biases, backend)
    start = chains_from(exact, backend)
    free = np.random.default_rng(4).random((n_chains(backend), 5)) < 0.5
    v = machine.gibbs(start, 3, RandomStream(4), free=backend.asarray(free))
    got, start = backend.to_numpy(v), backend.to_numpy(start)
    np.testing.assert_array_equal(got[~free], start[~free])
    assert p_value_of_states(got, exact.visible_probabilities()) > SMALLEST_P


def test_one_clamped_step_has_the_exact_transition_probabilities(kind, biases, backend):
    """Given h, the free spins move as they would without the clamp."""
    machine, exact = float32_machine(kind, biases, backend)
    free = np.array([False, True, True, False, True])
    number = 9
    start = backend.asarray(np.tile(exact.visible[number], (n_chains(backend), 1)), "float32")
    mask = backend.asarray(np.tile(free, (n_chains(backend), 1)))
    v = backend.to_numpy(machine.gibbs(start, 1, RandomStream(5), free=mask))
    assert np.all(v[:, ~free] == exact.visible[number, ~free])
    p = np.bincount(state_numbers(exact.visible[:, free]), exact.gibbs_kernel()[number])
    assert p_value_of_states(v[:, free], p) > SMALLEST_P


@pytest.mark.parametrize(
    "phase",
    [
        ContrastiveDivergence(2),
        PersistentContrastiveDivergence(2),
        PatternInducedCorrelations(2, persistent=True),
    ],
    ids=lambda phase: type(phase).__name__,
)
def test_negative_phases_stay_in_the_distribution(phase, backend):
    machine, exact = float32_machine("patterns", "both", backend)
    start = chains_from(exact, backend)
    follows_data = isinstance(phase, ContrastiveDivergence)
    # What the phase should not look at is one state, that would show in its own.
    other = backend.asarray(np.ones((n_chains(backend), 5)), "float32")
    data, chains = (start, NO_CHAINS) if follows_data else (other, PlainChains(start))
    negative, chains = phase.states(machine, data, chains, RandomStream(6))
    assert negative.weights is None and negative.hidden is None
    states = backend.to_numpy(negative.visible)
    assert np.any(states != backend.to_numpy(start))
    assert p_value_of_states(states, exact.visible_probabilities()) > SMALLEST_P


@pytest.mark.slow
@pytest.mark.parametrize("left_over", [False, True])
def test_restarted_pattern_chains_take_the_exact_transitions(backend, left_over):
    """A thousand copies of four patterns: their states after one step, pattern by pattern.

    Also where there are chains, left over by another phase.
    """
    rng = np.random.default_rng(7)
    n_copies = 1000
    patterns = np.tile(rng.normal(size=(4, 3)), (n_copies, 1))
    # W is a sum over all K patterns divided by √K: keep it of order one.
    hidden = rng.normal(size=(4 * n_copies, 4))
    W = patterns.T @ hidden / np.sqrt(4 * n_copies)
    couplings = PatternCouplings(*(backend.asarray(x) for x in (patterns, hidden)))
    machine = Machine(
        couplings, backend.asarray(np.zeros(3)), backend.asarray(np.zeros(4)), backend
    )
    phase = PatternInducedCorrelations(1, persistent=False)
    left = PlainChains(backend.asarray(np.ones((4 * n_copies, 3))))
    chains = left if left_over else NO_CHAINS
    negative, chains = phase.states(machine, None, chains, RandomStream(7))
    assert chains is NO_CHAINS
    v = backend.to_numpy(negative.visible)
    states = all_spins(3)
    h = all_spins(4)
    given_v, given_h = (softmax_rows(a @ b.T) for a, b in ((states @ W, h), (h @ W.T, states)))
    for k in range(4):
        start = state_numbers(np.where(patterns[k : k + 1] >= 0, 1.0, -1.0))[0]
        assert p_value_of_states(v[k::4], (given_v @ given_h)[start]) > SMALLEST_P


def softmax_rows(log_weights):
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_persistent_chains_start_from_independent_units(backend):
    machine, exact = float32_machine("dense", "both", backend)
    phase = PersistentContrastiveDivergence(n_chains=n_chains(backend))
    v = backend.to_numpy(phase.start(machine, 10, RandomStream(8)).states)
    independent = softmax_rows((exact.visible @ exact.b)[None, :])[0]
    assert p_value_of_states(v, independent) > SMALLEST_P


@pytest.mark.slow
def test_pattern_projection_draws_from_the_conditionals(backend):
    """ξ_v ~ P(v | ξ_h), then ξ_h ~ P(h | ξ_v), both with the couplings of before (eq. B2)."""
    rng = np.random.default_rng(9)
    n_patterns, shape = n_chains(backend), (3, 2)
    # Random signs make W of order one: a sum of K terms over √K.
    visible, hidden = (rng.choice([-1.0, 1.0], size=(n_patterns, n)) for n in shape)
    W = visible.T @ hidden / np.sqrt(n_patterns)
    b, c = np.array([0.3, -0.2, 0.1]), np.array([-0.4, 0.2])
    couplings = PatternCouplings(*(backend.asarray(x, "float32") for x in (visible, hidden)))
    machine = Machine(couplings, *(backend.asarray(x, "float32") for x in (b, c)), backend)
    Projection("gibbs")(machine, RandomStream(9))
    new_visible = backend.to_numpy(couplings.visible_patterns)
    new_hidden = backend.to_numpy(couplings.hidden_patterns)
    v, h = all_spins(3), all_spins(2)
    for number, p in enumerate(softmax_rows((h @ W.T + b) @ v.T)):
        assert p_value_of_states(new_visible[state_numbers(hidden) == number], p) > SMALLEST_P
    for number, p in enumerate(softmax_rows((v @ W + c) @ h.T)):
        assert p_value_of_states(new_hidden[state_numbers(new_visible) == number], p) > SMALLEST_P


@pytest.mark.parametrize("n_threads", [2, 3])
def test_gibbs_does_not_depend_on_the_number_of_threads(kind, n_threads):
    results = []
    for n in (1, n_threads):
        backend = get_backend("numba", n_threads=n)
        machine, exact = float32_machine(kind, "both", backend)
        with backend.running():
            results.append(machine.gibbs(chains_from(exact, backend)[:1000], 3, RandomStream(10)))
    np.testing.assert_array_equal(*results)


# --- some rows of a draw ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_drawn_in_several_places_are_those_drawn_in_one(backend, dtype):
    """Whoever draws for rows from `first_row` on draws what would be drawn for them among all."""
    machine, _ = make_machine("dense", (5, 7), backend, dtype=dtype)
    v = np.random.default_rng(0).choice([-1.0, 1.0], size=(60, 5))
    betas = np.array([0.0, 0.5, 1.0])

    def drawn(first, stop):
        rows = backend.asarray(v[first:stop], dtype)
        name = {"first_row": first}
        ladder = of_states(backend, betas, backend.xp.zeros_like(machine.visible_bias), rows)
        swept, log_ratios = sweep(ladder, machine, 4, RandomStream(1, **name))
        means = backend.asarray(0.5 * v[first:stop], dtype)
        made = [
            machine.gibbs(rows, 3, RandomStream(1, **name)),
            machine.sample_hidden(rows, RandomStream(1, **name)),
            swept.states,
            backend.xp.asarray(log_ratios.T),
            backend.spins_of_means(means, RandomStream(1, **name), 5),
        ]
        return [backend.to_numpy(values) for values in made]

    parts = zip(drawn(0, 12), drawn(12, 45), drawn(45, 60), strict=True)
    for whole, of_parts in zip(drawn(0, 60), parts, strict=True):
        np.testing.assert_allclose(np.concatenate(of_parts), whole, rtol=1e-5, atol=1e-12)
