"""Training: gradients against finite differences, and what one update does with them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tools.brute_force import Enumerated, all_spins, central_difference, weights_of_patterns
from tools.machines import KINDS, make_couplings, make_machine

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.chains import NO_CHAINS
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    Exact,
    NegativePhase,
    NegativeStates,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay, LinearDecay
from sklearn_rapid.training.steps.penalties import Penalty
from sklearn_rapid.training.steps.projections import Projection
from sklearn_rapid.training.trainer import Diverged, Trainer

# Central differences with a step of 1e-5: the terms left out are of order 1e-10, and so is the
# rounding of likelihoods of a few nats, divided by the step.
TOLERANCE = 2e-9


class Recording(SGD):
    """An SGD that remembers the gradients it was given."""

    def __init__(self, scaled=True):
        super().__init__(scaled=scaled)
        self.gradients = []

    def direction(self, gradient, state, xp):
        self.gradients.append(gradient)
        return super().direction(gradient, state, xp)


class Fixed(NegativePhase):
    """Always the same states."""

    def __init__(self, states):
        self.fixed = states

    def n_rows(self, couplings, batch_size, chains=NO_CHAINS):
        return 0

    def states(self, machine, data, chains, stream):
        return self.fixed, chains


def random_data(n_rows, n_visible, *, means, seed=0):
    """Spins, or means of spins."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1.0, 1.0, size=(n_rows, n_visible))
    return values if means else np.where(values < 0.2, 1.0, -1.0)


def start(machine, trainer, data, seed=0):
    """The state before the first update, from this very machine.

    Whether it is even is left for the trainer to say: without intercepts, give it no biases.
    """
    backend = machine.backend
    state = trainer.start(machine.couplings, data, RandomStream(seed), backend)
    state.machine = replace(machine, is_even=state.machine.is_even)
    return state


def host(backend, arrays):
    return {name: backend.to_numpy(array) for name, array in arrays.items()}


def weights_from(parameters):
    if "weights" in parameters:
        return parameters["weights"]
    return weights_of_patterns(parameters["visible_patterns"], parameters["hidden_patterns"])


def parameters_of(machine):
    """All parameters as they are now, on the host: updates change arrays in place."""
    biases = {"visible_bias": machine.visible_bias, "hidden_bias": machine.hidden_bias}
    now = host(machine.backend, {**machine.couplings.parameters, **biases})
    return {name: value.copy() for name, value in now.items()}


def enumerated(parameters):
    return Enumerated(
        weights_from(parameters), parameters["visible_bias"], parameters["hidden_bias"]
    )


# --- gradients ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("means", [True, False])
@pytest.mark.parametrize(
    ("kind", "shape", "n_patterns"),
    # Enumerating either layer; few patterns are cheaper to go through than W, many are not.
    [
        ("dense", (3, 5), 0),
        ("dense", (5, 3), 0),
        ("patterns", (5, 6), 1),
        ("patterns", (6, 5), 1),
        ("patterns", (3, 4), 3),
        ("patterns", (4, 3), 3),
    ],
)
def test_gradient_of_the_log_likelihood(backend, kind, shape, n_patterns, means, center):
    """In the centred parametrisation, b' = b + Wλ and c' = c + Wᵀμ stay while W changes."""
    machine, _ = make_machine(kind, shape, backend, n_patterns=n_patterns)
    data = random_data(7, shape[0], means=means)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, batch_size=7, center=center)
    batch = backend.asarray(data)
    state = start(machine, trainer, batch)
    before = parameters_of(machine)
    trainer.update(state, batch, rate=0.01)
    got = host(backend, optimizer.gradients[0])

    mu, lam = np.zeros(shape[0]), np.zeros(shape[1])
    if center:
        mu, lam = data.mean(axis=0), np.tanh(data @ weights_from(before) + before["hidden_bias"])
        lam = lam.mean(axis=0)
        np.testing.assert_allclose(backend.to_numpy(state.visible_offset), mu, atol=1e-14)
        np.testing.assert_allclose(backend.to_numpy(state.hidden_offset), lam, atol=1e-14)
    centred_b = before["visible_bias"] + weights_from(before) @ lam
    centred_c = before["hidden_bias"] + weights_from(before).T @ mu
    assert set(got) == set(before)
    for name, value in before.items():

        def log_likelihood(x, name=name):
            changed = {**before, name: x}
            W = weights_from(changed)
            b, c = centred_b - W @ lam, centred_c - W.T @ mu
            if name == "visible_bias":
                b = b + x - before[name]
            if name == "hidden_bias":
                c = c + x - before[name]
            return Enumerated(W, b, c).log_likelihood(data)

        expected = central_difference(log_likelihood, value)
        np.testing.assert_allclose(got[name], expected, atol=TOLERANCE, rtol=0, err_msg=name)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3), (1, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_without_biases(backend, kind, shape):
    """Half of the states stand for all."""
    machine, _ = make_machine(kind, shape, backend, biases="")
    data = random_data(6, shape[0], means=False)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, fit_intercept=False)
    before = parameters_of(machine)
    state = start(machine, trainer, backend.asarray(data))
    negative, _ = Exact().states(state.machine, None, None, None)
    assert negative.visible.shape[0] == 2 ** (min(shape) - 1)
    trainer.update(state, backend.asarray(data), rate=0.01)
    got = host(backend, optimizer.gradients[0])
    couplings = machine.couplings.parameters
    assert set(got) == set(couplings)
    for name in couplings:

        def log_likelihood(x, name=name):
            return enumerated({**before, name: x}).log_likelihood(data)

        expected = central_difference(log_likelihood, before[name])
        np.testing.assert_allclose(got[name], expected, atol=TOLERANCE, rtol=0)
    after = parameters_of(state.machine)
    assert not after["visible_bias"].any() and not after["hidden_bias"].any()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_rows_are_repeated_rows(backend, kind, center):
    """In the gradient, the offsets, and where the biases start."""
    machine, _ = make_machine(kind, (4, 3), backend)
    data = random_data(6, 4, means=True)
    counts = np.array([1, 0, 3, 2, 1, 1])
    repeated = np.repeat(data, counts, axis=0)
    got = []
    for rows, weights in ((data, counts / counts.sum()), (repeated, None)):
        optimizer = Recording()
        trainer = Trainer(Exact(), optimizer, center=center)
        batch = backend.asarray(rows)
        copy = machine.copy()
        state = start(copy, trainer, batch)
        trainer.update(state, batch, 0.01, weights=weights)
        offsets = [backend.to_numpy(state.visible_offset), backend.to_numpy(state.hidden_offset)]
        started = trainer.start(copy.couplings, batch, RandomStream(0), backend, weights)
        bias = backend.to_numpy(started.machine.visible_bias)
        mean = np.average(rows, axis=0, weights=weights)
        np.testing.assert_allclose(np.tanh(bias), mean * len(rows) / (len(rows) + 1))
        got.append((host(backend, optimizer.gradients[0]), offsets))
    (weighted, offsets), (plain, plain_offsets) = got
    for name in plain:
        np.testing.assert_allclose(weighted[name], plain[name], atol=1e-12)
    np.testing.assert_allclose(offsets[0], plain_offsets[0], atol=1e-12)
    np.testing.assert_allclose(offsets[1], plain_offsets[1], atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_penalised_likelihood_is_at_its_maximum(kind, fit_intercept):
    """Where p is zero the likelihood pulls by no more than the penalty, elsewhere by as much.

    Of thirty rows, each bears a thirtieth of the penalties.
    """
    backend, shape = get_backend("numpy"), (5, 4)
    l1, l2 = 1.5 if kind == "dense" else 0.5, 0.6
    data = random_data(30, 5, means=False)
    machine, _ = make_machine(kind, shape, backend, biases="both" if fit_intercept else "")
    penalty, optimizer = Penalty(l1, l2, n_rows=30), Recording()
    trainer = Trainer(Exact(), optimizer, fit_intercept=fit_intercept, penalty=penalty)
    state = start(machine, trainer, data)
    for step in range(4000):
        trainer.update(state, data, rate=0.1 * (1.0 - step / 4000) ** 2)
    trainer.update(state, data, rate=1e-9)
    got = optimizer.gradients[-1]
    couplings = state.machine.couplings.parameters
    for name, p in couplings.items():
        assert np.any(p == 0.0)
        assert np.any(p != 0.0)
        pull = got[name] - l2 / 30 * p
        assert np.all(np.abs(pull[p == 0.0]) <= l1 / 30 + 1e-3)
        np.testing.assert_allclose(pull[p != 0.0], l1 / 30 * np.sign(p[p != 0.0]), atol=1e-3)
    for name in set(got) - set(couplings):
        np.testing.assert_allclose(got[name], 0.0, atol=1e-3)  # biases bear no penalty


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
@pytest.mark.parametrize("kind", KINDS)
def test_biases_that_are_zero_by_chance_have_their_gradient(backend, kind, shape):
    """v and -v are equally likely, but it is the mean of all states that moves the biases."""
    machine, _ = make_machine(kind, shape, backend, biases="")
    data = random_data(6, shape[0], means=False)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, center=False)
    before = parameters_of(machine)
    state = start(machine, trainer, backend.asarray(data))
    trainer.update(state, backend.asarray(data), rate=0.01)
    got = host(backend, optimizer.gradients[0])
    assert set(got) == set(before)
    for name, value in before.items():

        def log_likelihood(x, name=name):
            return enumerated({**before, name: x}).log_likelihood(data)

        expected = central_difference(log_likelihood, value)
        np.testing.assert_allclose(got[name], expected, atol=TOLERANCE, rtol=0, err_msg=name)


class CountingBackend:
    """Remembers the shapes of the products it was asked for."""

    def __init__(self, backend):
        self.backend = backend
        self.shapes = []

    def matmul(self, a, b, add_to=None):
        product = self.backend.matmul(a, b, add_to)
        self.shapes.append(tuple(product.shape))
        return product


@pytest.mark.parametrize(("n_rows", "forms_weights"), [(2, False), (60, True)])
def test_gradient_of_patterns_on_both_paths(backend, n_rows, forms_weights):
    """The derivative of Σ_n v_nᵀ W t_n, through the patterns' overlaps and through W."""
    couplings, _ = make_couplings("patterns", (6, 7), backend, n_patterns=4)
    rng = np.random.default_rng(0)
    v, t = rng.normal(size=(n_rows, 6)), rng.normal(size=(n_rows, 7))
    counting = CountingBackend(backend)
    got = couplings.gradient(backend.asarray(v), backend.asarray(t), counting)
    assert ((6, 7) in counting.shapes) == forms_weights
    parameters = host(backend, couplings.parameters)
    for name in parameters:

        def total(x, name=name):
            return np.sum((v @ weights_from({**parameters, name: x})) * t)

        # The function is linear in each: only rounding of some thousand over 1e-5 remains.
        expected = central_difference(total, parameters[name], step=1e-2)
        np.testing.assert_allclose(backend.to_numpy(got[name]), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_change_is_the_derivative_along_the_steps(backend, kind):
    couplings, _ = make_couplings(kind, (4, 5), backend)
    rng = np.random.default_rng(1)
    v, t = rng.normal(size=(9, 4)), rng.normal(size=(9, 5))
    parameters = host(backend, couplings.parameters)
    steps = {name: rng.normal(size=p.shape) for name, p in parameters.items()}

    def at(length):
        moved = {name: p + length * steps[name] for name, p in parameters.items()}
        return np.sum((v @ weights_from(moved)) * t, axis=1)

    on_backend = {name: backend.asarray(step) for name, step in steps.items()}
    got = couplings.change(backend.asarray(v), backend.asarray(t), on_backend, backend)
    # W is of second order at most, so that central differences are exact but for rounding.
    expected = (at(1e-3) - at(-1e-3)) / 2e-3
    np.testing.assert_allclose(backend.to_numpy(got), expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("biases", ["both", ""])
def test_exact_phase_has_the_model_expectations(backend, shape, kind, biases):
    machine, exact = make_machine(kind, shape, backend, biases=biases)
    negative, chains = Exact().states(machine, None, NO_CHAINS, RandomStream(0))
    assert chains is NO_CHAINS
    v, p = backend.to_numpy(negative.visible), backend.to_numpy(negative.weights)
    h = machine.hidden_mean(negative.visible) if negative.hidden is None else negative.hidden
    h = backend.to_numpy(h)
    assert p.sum() == pytest.approx(1.0, rel=1e-13)
    joint = exact.joint()
    products = np.einsum("nm,ni,mj->ij", joint, exact.visible, exact.hidden)
    np.testing.assert_allclose((v * p[:, None]).T @ h, products, atol=1e-13)
    np.testing.assert_allclose(p @ v, joint.sum(axis=1) @ exact.visible, atol=1e-13)
    np.testing.assert_allclose(p @ h, joint.sum(axis=0) @ exact.hidden, atol=1e-13)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_phase_of_an_even_model_has_its_correlations(backend, shape, kind):
    """From half of the states, in whichever form the couplings are."""
    machine, exact = make_machine(kind, shape, backend, biases="")
    products = np.einsum("nm,ni,mj->ij", exact.joint(), exact.visible, exact.hidden)
    even = replace(machine, is_even=True)
    for same in (even, even.copy(), even.transposed().transposed(), even.for_rows(64)):
        negative, _ = Exact().states(same, None, None, None)
        v, p = backend.to_numpy(negative.visible), backend.to_numpy(negative.weights)
        h = machine.hidden_mean(negative.visible) if negative.hidden is None else negative.hidden
        assert len(p) == 8 and p.sum() == pytest.approx(1.0, rel=1e-13)
        np.testing.assert_allclose((v * p[:, None]).T @ backend.to_numpy(h), products, atol=1e-13)


def test_who_trains_says_whether_the_model_is_even(backend):
    """Whatever an earlier trainer said, and not where biases were left behind."""
    data = backend.asarray(random_data(6, 4, means=False))
    for biases in ("", "visible", "hidden"):
        machine, _ = make_machine("dense", (4, 3), backend, biases=biases)
        for fit_intercept in (True, False, True):
            trainer = Trainer(Exact(), SGD(), fit_intercept=fit_intercept)
            fresh = trainer.start(machine.couplings, data, RandomStream(0), backend)
            assert fresh.machine.is_even == (not fit_intercept)
            resumed = trainer.resume(replace(fresh, machine=machine))
            assert resumed.machine.is_even == (not fit_intercept and not biases)
            machine = resumed.machine


# --- steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.5), Adam()], ids=repr)
def test_small_steps_raise_the_likelihood(backend, kind, fit_intercept, center, optimizer):
    biases = "both" if fit_intercept else ""
    machine, exact = make_machine(kind, (4, 3), backend, biases=biases)
    data = random_data(8, 4, means=False)
    trainer = Trainer(Exact(), optimizer, fit_intercept=fit_intercept, center=center)
    state = start(machine, trainer, backend.asarray(data))
    before = exact.log_likelihood(data)
    for _ in range(5):
        trainer.update(state, backend.asarray(data), rate=0.02)
        after = enumerated(parameters_of(state.machine)).log_likelihood(data)
        assert after > before
        before = after


def log_f(parameters, v):
    return -enumerated(parameters).free_energy(v)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("center", [True, False])
def test_a_step_moves_the_energies_by_the_rate(backend, kind, center):
    """By `rate` nats per root of a visible unit: the spread over data and model states."""
    shape, rate = (9, 5), 1e-4
    machine, _ = make_machine(kind, shape, backend)
    # A full step takes a hundred rows of each, of which the first 64 are probed: all alike.
    data, model = (np.tile(random_data(64, 9, means=False, seed=seed), (2, 1)) for seed in (1, 2))
    phase = Fixed(NegativeStates(backend.asarray(model)))
    trainer = Trainer(phase, SGD(), center=center)
    state = start(machine, trainer, backend.asarray(data))
    before = parameters_of(machine)
    trainer.update(state, backend.asarray(data), rate=rate)
    after = parameters_of(state.machine)
    states = np.concatenate([data, model])
    moved = np.std(log_f(after, states) - log_f(before, states))
    # A thousandth of the squared step counts as curvature: it makes steps a little shorter. The
    # next order is smaller by the change itself, which is of order rate √V.
    assert 0.99 < moved / (rate * math.sqrt(9)) < 1.0 + 10 * rate


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (7, 8), (8, 7)])
def test_a_step_counts_all_weighted_states(backend, shape):
    """The weights of the exact phase speak of all its states, 32 or 128, not of the first few."""
    machine, _ = make_machine("dense", shape, backend, scale=0.2)
    data = random_data(64, shape[0], means=False, seed=3)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, center=False)
    state = start(machine, trainer, backend.asarray(data))
    before = parameters_of(machine)
    rate = 1e-4
    trainer.update(state, backend.asarray(data), rate=rate)
    after = parameters_of(state.machine)
    # To first order, over states as the exact phase has them: (v, E[h|v]) or (E[v|h], h).
    steps = {name: after[name] - before[name] for name in after}
    negative, _ = Exact().states(machine, None, None, None)
    v = np.concatenate([data, backend.to_numpy(negative.visible)])
    t = np.tanh(v @ before["weights"] + before["hidden_bias"])
    if negative.hidden is not None:
        t[64:] = backend.to_numpy(negative.hidden)
    change = np.sum((v @ steps["weights"]) * t, axis=1)
    change += v @ steps["visible_bias"] + t @ steps["hidden_bias"]
    p = np.concatenate([np.full(64, 0.5 / 64), 0.5 * backend.to_numpy(negative.weights)])
    spread = np.sqrt(p @ (change - p @ change) ** 2)
    # The harmonic mean of 64 rows and 1/Σp² weighted ones, out of a hundred for a full step.
    n_rows = 2.0 / (1.0 / 64 + np.sum(backend.to_numpy(negative.weights) ** 2))
    length = rate * math.sqrt(shape[0] * min(1.0, n_rows / 100.0))
    # Shorter by what the smallest curvature adds to the variance.
    assert 0.99 < spread / length < 1.0 + 1e-9


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_states_make_the_same_step(backend, shape, kind):
    """Their number counts in how long a step is: each of the half counts as two."""
    machine, _ = make_machine(kind, shape, backend, biases="")
    data = backend.asarray(random_data(64, shape[0], means=False))
    trainer = Trainer(Exact(), SGD(), fit_intercept=False)
    stepped = []
    for is_even in (True, False):
        state = start(machine.copy(), trainer, data)
        state.machine = replace(state.machine, is_even=is_even)
        trainer.update(state, data, rate=0.1)
        stepped.append(parameters_of(state.machine))
    before = parameters_of(machine)
    for name in machine.couplings.parameters:
        steps = [after[name] - before[name] for after in stepped]
        assert np.abs(steps[1]).max() > 1e-3
        np.testing.assert_allclose(steps[0], steps[1], atol=1e-13)


def test_an_unscaled_step_is_the_rate_times_the_gradient(backend):
    """The gradient is that of the exact likelihood: see the finite differences above."""
    machine, _ = make_machine("patterns", (5, 4), backend)
    data = backend.asarray(random_data(8, 5, means=False))
    optimizer = Recording(scaled=False)
    trainer = Trainer(Exact(), optimizer, center=False)
    state = start(machine, trainer, data)
    before = parameters_of(machine)
    trainer.update(state, data, rate=0.5)
    for name, value in parameters_of(state.machine).items():
        step = 0.5 * backend.to_numpy(optimizer.gradients[0][name])
        np.testing.assert_allclose(value - before[name], step, atol=1e-14)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_biases_follow_the_couplings_in_the_centred_parametrisation(backend, kind, center):
    """Clipping moves W; b' = b + Wλ and c' = c + Wᵀμ move by their own steps only."""
    machine, _ = make_machine(kind, (4, 3), backend, scale=1.0)
    data = random_data(8, 4, means=False)
    trainer = Trainer(Exact(), SGD(), center=center, projection=Projection("clip", bound=0.3))
    state = start(machine, trainer, backend.asarray(data))
    before = parameters_of(machine)
    # A rate so small that nothing but the projection is seen.
    trainer.update(state, backend.asarray(data), rate=1e-13)
    after = parameters_of(state.machine)
    assert np.abs(weights_from(after) - weights_from(before)).max() > 0.1
    mu = backend.to_numpy(state.visible_offset) if center else np.zeros(4)
    lam = backend.to_numpy(state.hidden_offset) if center else np.zeros(3)
    for name, offset, transpose in (("visible_bias", lam, False), ("hidden_bias", mu, True)):
        old, new = (weights_from(p).T if transpose else weights_from(p) for p in (before, after))
        expected = before[name] + old @ offset
        np.testing.assert_allclose(after[name] + new @ offset, expected, atol=1e-11)


def test_no_step_without_a_gradient(backend):
    """Data and model alike leave nothing to learn, and nothing to divide by."""
    machine, _ = make_machine("dense", (4, 3), backend)
    data = backend.asarray(random_data(8, 4, means=False))
    trainer = Trainer(Fixed(NegativeStates(data)), SGD())
    state = start(machine, trainer, data)
    before = parameters_of(machine)
    trainer.update(state, data, rate=0.5)
    for name, value in parameters_of(state.machine).items():
        np.testing.assert_allclose(value, before[name], atol=1e-12)


def test_offsets_are_means_over_all_rows_seen(backend):
    machine, _ = make_machine("dense", (4, 3), backend)
    trainer = Trainer(Exact(), SGD())
    all_data = [random_data(n, 4, means=False, seed=n) for n in (5, 8, 3)]
    state = start(machine, trainer, backend.asarray(all_data[0]))
    expected = None
    for n_updates, data in enumerate(all_data):
        p = parameters_of(state.machine)
        hidden = np.tanh(data @ p["weights"] + p["hidden_bias"]).mean(axis=0)
        # The first updates average all batches; a hundredth is the least share.
        share = 1.0 / (n_updates + 1)
        expected = hidden if expected is None else (1 - share) * expected + share * hidden
        trainer.update(state, backend.asarray(data), rate=0.1)
        np.testing.assert_allclose(backend.to_numpy(state.hidden_offset), expected, atol=1e-12)
    mean = np.concatenate(all_data).mean(axis=0)
    np.testing.assert_allclose(backend.to_numpy(state.visible_offset), mean, atol=1e-14)
    assert (state.n_rows, state.n_updates) == (16, 3)


# --- optimizers -----------------------------------------------------------------------------


def follow(optimizer, gradients, xp=np):
    """The direction after each of a series of scalar gradients."""
    state = optimizer.init({"x": np.zeros(1)}, xp)
    directions = []
    for g in gradients:
        direction, state = optimizer.direction({"x": np.array([g])}, state, xp)
        directions.append(float(direction["x"][0]))
    return directions


GRADIENTS = [1.0, -0.5, 3.0, 0.0, 1e-3, -20.0]


@pytest.mark.parametrize(("beta1", "beta2", "eps"), [(0.9, 0.999, 1e-8), (0.0, 0.5, 0.1)])
def test_adam(beta1, beta2, eps):
    m = s = 0.0
    expected = []
    for t, g in enumerate(GRADIENTS, start=1):
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * g**2
        expected.append(m / (1 - beta1**t) / (math.sqrt(s / (1 - beta2**t)) + eps))
    assert follow(Adam(beta1, beta2, eps), GRADIENTS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(momentum):
    # Σ_s momentum^(t-s) g_s, written out.
    expected = [
        sum(momentum ** (t - s) * GRADIENTS[s] for s in range(t + 1)) for t in range(len(GRADIENTS))
    ]
    assert follow(SGD(momentum), GRADIENTS) == pytest.approx(expected, rel=1e-12)


def test_exponential_decay():
    schedule = ExponentialDecay(0.02, 0.5, floor=0.004, start=2)
    rates = [schedule.at(epoch, max_iter=10) for epoch in range(6)]
    assert rates == pytest.approx([0.02, 0.02, 0.02, 0.01, 0.005, 0.004])


def test_linear_decay():
    rates = [LinearDecay(0.8).at(epoch, max_iter=4) for epoch in range(5)]
    assert rates == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])


# --- projections ----------------------------------------------------------------------------


def pattern_machine(backend, visible, hidden):
    visible, hidden = (backend.asarray(np.array(x, dtype=float)) for x in (visible, hidden))
    biases = (backend.asarray(np.zeros(x.shape[1])) for x in (visible, hidden))
    return Machine(PatternCouplings(visible, hidden), *biases, backend)


@pytest.mark.parametrize(
    ("projection", "visible", "hidden"),
    [
        (Projection("sign"), [[1, -1, 1, 1]], [[-1, 1]]),
        (Projection("clip"), [[0.3, -1, 0, -0.0]], [[-0.1, 1]]),
        (Projection("clip", bound=0.25), [[0.25, -0.25, 0, -0.0]], [[-0.1, 0.25]]),
    ],
    ids=["sign", "clip", "clip to a quarter"],
)
def test_projection(backend, projection, visible, hidden):
    machine = pattern_machine(backend, [[0.3, -2.0, 0.0, -0.0]], [[-0.1, 5.0]])
    projection(machine, RandomStream(0))
    patterns = machine.couplings
    np.testing.assert_array_equal(backend.to_numpy(patterns.visible_patterns), visible)
    np.testing.assert_array_equal(backend.to_numpy(patterns.hidden_patterns), hidden)


def test_sign_of_zero_is_plus_one(backend):
    values = backend.asarray(np.array([0.0, -0.0, 1e-300, -1e-300]))
    got = backend.to_numpy(backend.sign(values))
    np.testing.assert_array_equal(got, [1.0, 1.0, 1.0, -1.0])


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        (Projection(None), ""),
        (Projection("sign", "update"), "123456"),
        (Projection("sign", 1), "123456"),
        (Projection("sign", 2), "246"),
        (Projection("sign", 4), "4"),
        (Projection("sign", "epoch"), "36"),
    ],
)
def test_projection_period(projection, expected):
    """Six updates in two epochs."""
    due = [n for n in range(1, 7) if projection.is_due(n, end_of_epoch=n % 3 == 0)]
    assert "".join(map(str, due)) == expected


@pytest.mark.parametrize(("period", "expected"), [("update", "1234"), (2, "24"), ("epoch", "3")])
def test_updates_project_when_it_is_due(backend, period, expected):
    machine, _ = make_machine("patterns", (4, 3), backend)
    data = backend.asarray(random_data(8, 4, means=False))
    trainer = Trainer(Exact(), SGD(), projection=Projection("sign", period))
    state = start(machine, trainer, data)
    projected = ""
    for n in range(1, 5):
        trainer.update(state, data, rate=0.01, end_of_epoch=n == 3)
        parameters = host(backend, state.machine.couplings.parameters)
        if all(np.all(np.abs(p) == 1.0) for p in parameters.values()):
            projected += str(n)
    assert projected == expected


# --- negative phases in training ------------------------------------------------------------


@pytest.mark.parametrize("hidden", ["marginal", "pattern"])
def test_pure_pattern_induced_correlations(backend, hidden):
    machine = pattern_machine(
        backend, [[0.5, -0.2, 0.0], [-3.0, 0.1, 0.7]], [[0.0, -1.0], [2.0, 0.3]]
    )
    visible_signs = np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    hidden_signs = np.array([[1.0, -1.0], [1.0, 1.0]])
    phase = PatternInducedCorrelations(0, hidden=hidden)
    negative, chains = phase.states(machine, None, NO_CHAINS, RandomStream(0))
    assert chains is NO_CHAINS and negative.weights is None
    np.testing.assert_array_equal(backend.to_numpy(negative.visible), visible_signs)
    if hidden == "pattern":
        np.testing.assert_array_equal(backend.to_numpy(negative.hidden), hidden_signs)
    else:
        assert negative.hidden is None

    # What an update makes of it: eq. 6, each phase averaged by its own number of states.
    data = random_data(5, 3, means=False)
    optimizer = Recording()
    trainer = Trainer(phase, optimizer, fit_intercept=False)
    before = parameters_of(machine)
    W = weights_from(before)
    trainer.update(start(machine, trainer, backend.asarray(data)), backend.asarray(data), 0.01)
    t = hidden_signs if hidden == "pattern" else np.tanh(visible_signs @ W)
    weights_gradient = data.T @ np.tanh(data @ W) / 5 - visible_signs.T @ t / 2
    expected = before["hidden_patterns"] @ weights_gradient.T / np.sqrt(2)
    got = backend.to_numpy(optimizer.gradients[0]["visible_patterns"])
    np.testing.assert_allclose(got, expected, atol=1e-14)


@pytest.mark.parametrize(("batch_size", "n_chains"), [(3, 4), (10, 10)])
def test_persistent_pattern_chains_are_as_many_as_rows_or_patterns(backend, batch_size, n_chains):
    machine, _ = make_machine("patterns", (5, 6), backend, n_patterns=4)
    chains = PatternInducedCorrelations(1).start(machine, batch_size, RandomStream(0))
    patterns = backend.to_numpy(machine.couplings.visible_patterns)
    expected = np.where(patterns >= 0, 1.0, -1.0)[np.arange(n_chains) % 4]
    np.testing.assert_array_equal(backend.to_numpy(chains.states), expected)


def test_phases_without_chains_start_without(backend):
    machine, _ = make_machine("patterns", (5, 6), backend)
    phases = [
        Exact(),
        ContrastiveDivergence(),
        PatternInducedCorrelations(0),
        PatternInducedCorrelations(1, persistent=False),
    ]
    assert [phase.start(machine, 10, RandomStream(0)) for phase in phases] == [NO_CHAINS] * 4


@pytest.mark.parametrize(("n_chains", "expected"), [(None, 10), (3, 3)])
def test_persistent_chains_are_as_many_as_asked(backend, n_chains, expected):
    machine, _ = make_machine("dense", (5, 6), backend)
    phase = PersistentContrastiveDivergence(n_chains=n_chains)
    assert phase.start(machine, 10, RandomStream(0)).states.shape == (expected, 5)


@pytest.mark.parametrize(
    "phase",
    [PersistentContrastiveDivergence(2, n_chains=9), PatternInducedCorrelations(2)],
    ids=lambda phase: type(phase).__name__,
)
def test_persistent_chains_go_on_from_where_they_were(backend, phase):
    machine, _ = make_machine("patterns", (5, 6), backend)
    data = backend.asarray(random_data(9, 5, means=False))
    trainer = Trainer(phase, SGD(), batch_size=9)
    state = start(machine, trainer, data)
    for _ in range(3):
        expected = backend.to_numpy(
            state.machine.gibbs(state.chains.states, 2, replace(state.stream))
        )
        trainer.update(state, data, rate=0.1)
        np.testing.assert_array_equal(backend.to_numpy(state.chains.states), expected)


@pytest.mark.parametrize("n_gibbs_steps", [1, 10])
@pytest.mark.parametrize("persistent", [True, False])
def test_pattern_chains_train_whatever_the_cheapest_form(backend, n_gibbs_steps, persistent):
    """With as many patterns as units, many steps are cheaper with W formed."""
    machine, _ = make_machine("patterns", (6, 6), backend, n_patterns=8)
    data = backend.asarray(random_data(9, 6, means=False))
    phase = PatternInducedCorrelations(n_gibbs_steps, persistent=persistent)
    trainer = Trainer(phase, SGD(), batch_size=9)
    state = start(machine, trainer, data)
    before = parameters_of(machine)
    trainer.update(state, data, rate=0.1)
    after = parameters_of(state.machine)
    assert after.keys() == before.keys()
    assert all(np.any(after[name] != before[name]) for name in before)


def without_biases(couplings):
    n_visible, n_hidden = couplings.shape
    return Machine(couplings, np.zeros(n_visible), np.zeros(n_hidden), get_backend("numpy"))


def test_patterns_are_needed_for_pattern_induced_correlations():
    dense = without_biases(DenseCouplings(np.zeros((3, 2))))
    with pytest.raises(ValueError, match=r"PatternInducedCorrelations .*RBM has dense.*RARBM"):
        PatternInducedCorrelations().check(dense)
    of_patterns = without_biases(PatternCouplings(np.zeros((1, 3)), np.zeros((1, 2))))
    PatternInducedCorrelations().check(of_patterns)


def test_hidden_patterns_belong_to_no_state_after_a_gibbs_step():
    machine = without_biases(PatternCouplings(np.zeros((1, 3)), np.zeros((1, 2))))
    with pytest.raises(ValueError, match=r"hidden='pattern'.*n_gibbs_steps=0.*n_gibbs_steps=2"):
        PatternInducedCorrelations(2, hidden="pattern").check(machine)
    PatternInducedCorrelations(0, hidden="pattern").check(machine)


def test_exact_phase_needs_a_small_layer():
    with pytest.raises(ValueError, match=r"at most 20 .*got 21 visible and 22 hidden.*'pcd'"):
        Exact().check(without_biases(DenseCouplings(np.zeros((21, 22)))))
    Exact().check(without_biases(DenseCouplings(np.zeros((20, 22)))))
    Exact().check(without_biases(DenseCouplings(np.zeros((22, 20)))))


def test_training_checks_the_phase_before_it_starts(backend):
    couplings, _ = make_couplings("dense", (4, 3), backend)
    trainer = Trainer(PatternInducedCorrelations(), SGD())
    with pytest.raises(ValueError, match="RARBM"):
        trainer.start(couplings, backend.asarray(np.ones((2, 4))), RandomStream(0), backend)


# --- divergence -----------------------------------------------------------------------------


@pytest.mark.parametrize("absurd", [1e5, 1e200, np.inf, np.nan])
@pytest.mark.parametrize("where", ["weights", "visible_bias", "hidden_bias"])
def test_divergence_is_noticed_and_a_copy_is_left_as_it_was(backend, where, absurd):
    machine, _ = make_machine("dense", (4, 3), backend)
    parameters = {name: value.copy() for name, value in parameters_of(machine).items()}
    parameters[where].flat[0] = absurd
    weights, b, c = (backend.asarray(p) for p in parameters.values())
    machine = Machine(DenseCouplings(weights), b, c, backend)
    data = backend.asarray(random_data(8, 4, means=False))
    trainer = Trainer(PersistentContrastiveDivergence(), Adam(), batch_size=8)
    with np.errstate(all="ignore"):
        state = start(machine, trainer, data)
        kept, before = state.copy(), parameters_of(state.machine)
        trainer.update(state, data, rate=0.1)
        with pytest.raises(Diverged, match="grown to"):
            trainer.check(state)
    for name, value in parameters_of(kept.machine).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_sane_update_changes_the_state_but_no_copy_of_it(backend):
    machine, _ = make_machine("dense", (4, 3), backend)
    data = backend.asarray(random_data(8, 4, means=False))
    trainer = Trainer(PersistentContrastiveDivergence(), Adam(), batch_size=8)
    state = start(machine, trainer, data)
    kept, before = state.copy(), parameters_of(state.machine)
    chains = backend.to_numpy(state.chains.states).copy()
    trainer.update(state, data, rate=0.1)
    assert state.n_updates == 1
    for name, value in parameters_of(state.machine).items():
        assert not np.array_equal(value, before[name])
        np.testing.assert_array_equal(parameters_of(kept.machine)[name], before[name])
    np.testing.assert_array_equal(backend.to_numpy(kept.chains.states), chains)
    assert (kept.n_updates, kept.optimizer_state["n_updates"]) == (0, 0)


def test_enumeration_in_tests_is_in_order():
    """The bits that name a state, for every test that counts states."""
    assert all_spins(2).tolist() == [[-1, -1], [1, -1], [-1, 1], [1, 1]]


def test_a_model_of_its_own_samples_has_no_gradient():
    """All states, as often as they should be: the exact gradient vanishes."""
    backend = get_backend("numba", n_threads=1)
    machine, exact = make_machine("dense", (4, 3), backend)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, center=False)
    n_rows = 2**20
    counts = np.rint(exact.visible_probabilities() * n_rows).astype(int)
    data = np.repeat(exact.visible, counts, axis=0)
    trainer.update(start(machine, trainer, data), data, rate=0.01)
    # Sixteen counts are rounded by half a row each.
    for name, gradient in optimizer.gradients[0].items():
        assert np.abs(gradient).max() < 16 * 0.5 / n_rows * 2, name
