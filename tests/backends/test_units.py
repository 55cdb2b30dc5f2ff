"""Machines of units of every kind against sums and integrals over all their states.

Statistical tests refuse a correct sampler with probability 1e-4 each, were the seeds not fixed
(about a hundred of them: 1 % in all).
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp, softmax
from tools.brute_force import central_difference, p_value
from tools.layers import LAYERS, make_machine_of_units, rows_of, weights_from
from tools.summed import Spikes, Summed, log_base, parts_of, reals_of, states_of

from sklearn_rapid.backends import SPINS, Affine, Categories, Gaussians, RandomStream, get_backend
from sklearn_rapid.backends.compiled import units as _unit_kernels
from sklearn_rapid.machine.annealing import ais_log_partition
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import exact_log_partition
from sklearn_rapid.machine.tempered_partition import tempered_log_partition
from sklearn_rapid.machine.tempering import base_log_partition, ladder_of_states, sweep_ladder
from sklearn_rapid.training.negative_phase import (
    Exact,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.trainer import Trainer

SMALLEST_P = 1e-4
# Central differences with a step of 1e-5, see test_gradients.py.
TOLERANCE = 2e-9
WITH_SPINS = [name for name in LAYERS if "spins" in name]


@pytest.fixture(params=LAYERS)
def layers(request):
    return request.param


@pytest.fixture(params=["dense", "patterns"])
def couplings(request):
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


# --- sums over all states -------------------------------------------------------------------


def test_energies_and_means(backend, layers, couplings, dtype):
    machine, exact = make_machine_of_units(layers, backend, couplings=couplings, dtype=dtype)
    v, h = rows_of(exact), rows_of(exact.transposed())
    rows, hidden = (backend.asarray(x, dtype) for x in (v, h))
    swapped = exact.transposed()
    expected = [exact.log_f(v), swapped.log_f(h), exact.hidden_mean(v), swapped.hidden_mean(h)]
    energies, means = machine.free_energy_and_hidden_mean(rows)
    got = [
        -machine.free_energy(rows),
        -machine.transposed().free_energy(hidden),
        machine.hidden_mean(rows),
        machine.visible_mean(hidden),
    ]
    # Some dozens of operations on numbers of order one.
    tolerance = 60 * np.finfo(dtype).eps
    for g, e in [*zip(got, expected, strict=True), (-energies, expected[0]), (means, expected[2])]:
        np.testing.assert_allclose(backend.to_numpy(g), e, rtol=tolerance, atol=tolerance)


def test_energy_is_that_of_both_layers(backend, layers):
    """exp(-E(v, h)) summed over h is exp(-F(v)); the energy adds up term by term."""
    machine, exact = make_machine_of_units(layers, backend)
    v, h = rows_of(exact), rows_of(exact.transposed())
    expected = np.einsum("ni,ij,nj->n", v, exact.W, h) + v @ exact.b + h @ exact.c
    expected = expected + log_base(exact.visible, v) + log_base(exact.hidden, h)
    got = machine.energy(backend.asarray(v), backend.asarray(h))
    np.testing.assert_allclose(backend.to_numpy(got), -expected, rtol=1e-12, atol=1e-12)


def test_densities_sum_up_to_one(backend, layers):
    """Over a grid of real rows (the trapezoidal rule), or all states: nothing of Γ is used."""
    machine, exact = make_machine_of_units(layers, backend)
    cells = np.linspace(-12.0, 12.0, 241), np.full(241, np.log(0.1))
    v, log_cells = states_of(exact.visible, len(exact.b), cells)
    log_p = -backend.to_numpy(machine.free_energy(backend.asarray(v))) - exact.log_z()
    assert logsumexp(log_p + log_cells) == pytest.approx(0.0, abs=1e-10)


def test_hopfield_identity(backend):
    """Real units hidden below spins: P(v) ∝ exp(½ vᵀWWᵀv + (b + Wc)·v)."""
    machine, exact = make_machine_of_units("spins, gaussians", backend)
    v = exact.v
    J = exact.W @ exact.W.T
    expected = 0.5 * np.einsum("ni,ij,nj->n", v, J, v) + v @ (exact.b + exact.W @ exact.c)
    got = -backend.to_numpy(machine.free_energy(backend.asarray(v)))
    expected, got = (x - x.mean() for x in (expected, got))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_mixture_of_normals(backend):
    """Real units above spins: a mixture of 2^H normal distributions around b + Wh."""
    machine, exact = make_machine_of_units("gaussians, spins", backend)
    v = rows_of(exact)
    centres = exact.h @ exact.W.T + exact.b
    log_p = np.log(exact.hidden_probabilities())
    log_p = log_p + stats.norm.logpdf(v[:, None, :], centres).sum(axis=2)
    got = -backend.to_numpy(machine.free_energy(backend.asarray(v)))
    got -= exact_log_partition(machine).value
    np.testing.assert_allclose(got, logsumexp(log_p, axis=1), rtol=1e-11)


def test_pseudo_likelihood_is_of_spins(backend, layers):
    machine, exact = make_machine_of_units(layers, backend)
    rows = backend.asarray(rows_of(exact))
    if layers == "spins, spins":
        machine.log_pseudo_likelihood(rows)
        return
    if layers == "spins, gaussians":
        p, numbers = exact.probabilities(), exact.v @ [8, 4, 2, 1]
        at = [
            np.searchsorted(numbers, numbers - 2 * exact.v[:, i] * 2 ** (3 - i)) for i in range(4)
        ]
        expected = sum(np.log(p / (p + p[flipped])) for flipped in at)
        got = backend.to_numpy(machine.log_pseudo_likelihood(backend.asarray(exact.v)))
        np.testing.assert_allclose(got, expected, rtol=1e-10)
        return
    with pytest.raises(ValueError, match="flipping spins"):
        machine.log_pseudo_likelihood(rows)


# --- samplers -------------------------------------------------------------------------------


def p_values(rows, exact):
    """Of rows being drawn from P(v): chi-square of states, and tests along directions of reals.

    Columns with spikes are tested in the rows that have their real units. As many tests as there
    are directions, and one; the smallest p, times their number.
    """
    reals = reals_of(exact.visible, len(exact.b))
    others = np.setdiff1d(np.arange(len(exact.b)), reals)
    joint, found = np.exp(exact.log_joint() - exact.log_z()), []
    if others.size:
        # Nodes of real units differ from zero, which they are where they are missing.
        alike = [np.hstack([v[:, others], v[:, reals] != 0.0]) for v in (exact.v, rows)]
        states, numbers = np.unique(alike[0], axis=0, return_inverse=True)
        is_state = np.all(alike[1][:, None, :] == states, axis=2)
        np.testing.assert_array_equal(is_state.sum(axis=1), 1)
        p = np.bincount(numbers.ravel(), joint.sum(axis=1))
        found.append(p_value(is_state.sum(axis=0), p))
    directions = [*np.eye(len(reals)), np.ones(len(reals)) / len(reals) ** 0.5] if reals else []
    for u in directions:
        has_all, of_state = (
            np.all(v[:, reals][:, u != 0.0] != 0.0, axis=1) for v in (rows, exact.v)
        )
        p = joint[of_state].sum(axis=0) / joint[of_state].sum()
        keep = p > 1e-12
        centres = (exact.h[keep] @ exact.W.T + exact.b)[:, reals] @ u

        def cdf(x, centres=centres, p=p[keep]):
            return stats.norm.cdf(x[:, None] - centres) @ p

        found.append(stats.kstest(rows[has_all][:, reals] @ u, cdf).pvalue)
    return min(1.0, min(found) * len(found))


def n_chains(backend):
    return 20_000 if backend.xp is np else 4_000


@pytest.mark.slow
def test_gibbs_stays_in_the_distribution(backend, layers, couplings):
    machine, exact = make_machine_of_units(layers, backend, couplings=couplings, dtype="float32")
    start = exact.sample_visible(n_chains(backend), np.random.default_rng(0))
    v = machine.gibbs(backend.asarray(start, "float32"), 2, RandomStream(1))
    v = backend.to_numpy(v).astype(float)
    assert np.all(np.any(v != start, axis=0))
    assert p_values(v, exact) > SMALLEST_P


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: replace(m, couplings=DenseCouplings(1.15 * m.couplings.weights)),
        lambda m: replace(m, visible_bias=m.visible_bias + 0.07),
        lambda m: replace(m, hidden_bias=-m.hidden_bias),
        lambda m: replace(m, hidden_units=SPINS, visible_units=SPINS),
    ],
    ids=["fields 15 % too strong", "bias off by 0.07", "wrong sign", "spins"],
)
@pytest.mark.parametrize("name", ["gaussians, spins", "spins, gaussians"])
def test_wrong_kernels_are_caught(name, wrong):
    """The same test as above has the power to see what is wrong by little."""
    machine, exact = make_machine_of_units(name, get_backend("numpy"))
    start = exact.sample_visible(40_000, np.random.default_rng(0))
    v = wrong(machine).gibbs(start, 4, RandomStream(1))
    assert p_values(v, exact) < 1e-6


def test_one_layer_given_the_other(backend, layers):
    """Draws of h at one v: the exact conditional distribution."""
    machine, exact = make_machine_of_units(layers, backend, dtype="float32")
    v = np.tile(rows_of(exact, 1), (n_chains(backend), 1))
    h = machine.sample_hidden(backend.asarray(v, "float32"), RandomStream(5))
    # With h as the visible layer of a machine without couplings, in the field θ(v).
    theta = v[0] @ exact.W + exact.c
    alone = Summed(np.zeros((len(theta), 1)), theta, np.zeros(1), exact.hidden, "spins")
    assert p_values(backend.to_numpy(h).astype(float), alone) > SMALLEST_P


def test_clamped_units_stay_and_the_others_follow(backend, layers):
    machine, exact = make_machine_of_units(layers, backend, dtype="float32")
    start = backend.asarray(rows_of(exact, 300), "float32")
    free = np.zeros((300, len(exact.b)), dtype=bool)
    free[100:] = True
    v = machine.gibbs(start, 2, RandomStream(4), free=backend.asarray(free))
    got, start = backend.to_numpy(v), backend.to_numpy(start)
    np.testing.assert_array_equal(got[:100], start[:100])
    assert np.any(got[100:] != start[100:])


BETAS = (0.0, 0.4, 1.0, 1.0)


@pytest.mark.slow
def test_every_rung_stays_in_its_distribution(backend, layers):
    machine, exact = make_machine_of_units(layers, backend, dtype="float32", scale=0.8)
    base = np.linspace(-0.4, 0.4, len(exact.b))
    rungs = [exact.at(beta, base) for beta in BETAS]
    rng = np.random.default_rng(1)
    n = n_chains(backend) // 2
    states = np.stack([rung.sample_visible(n, rng) for rung in rungs], axis=1)
    states = states.reshape(-1, len(exact.b))
    ladder = ladder_of_states(
        backend, BETAS, backend.asarray(base, "float32"), backend.asarray(states, "float32")
    )
    ladder, log_ratios = sweep_ladder(ladder, machine, 3, RandomStream(6))
    for r, rung in enumerate(rungs):
        rows = backend.to_numpy(ladder.states)[r :: len(BETAS)].astype(float)
        assert p_values(rows, rung) > SMALLEST_P
    # What the states of the first sweep would gain, from the sums over states.
    gains = [
        rungs[s].log_f(states[r :: len(BETAS)]) - rungs[r].log_f(states[r :: len(BETAS)])
        for r, s in enumerate([1, 0, 3, 2])
    ]
    got = backend.to_numpy(log_ratios)[0].reshape(-1, len(BETAS)).T
    np.testing.assert_allclose(got, np.array(gains), atol=2e-5)


@pytest.mark.parametrize("n_rows", [50, 700])
def test_chains_do_not_depend_on_threads_or_neighbours(layers, n_rows):
    """The same to the bit by one thread and two; rows cut off have the names that they had."""
    found = []
    for n_threads in (1, 2):
        backend = get_backend("numba", n_threads=n_threads)
        machine, exact = make_machine_of_units(layers, backend, dtype="float32")
        start = rows_of(exact, n_rows).astype(np.float32)
        with backend.running():
            found.append(machine.gibbs(start, 3, RandomStream(8)))
            part = machine.gibbs(start[40:], 3, RandomStream(8, first_row=40))
            h = machine.sample_hidden(start, RandomStream(9))
            part_of_h = machine.sample_hidden(start[40:], RandomStream(9, first_row=40))
    np.testing.assert_array_equal(*found)
    # Products of other numbers of rows may round otherwise.
    np.testing.assert_allclose(part, found[1][40:], atol=1e-5)
    np.testing.assert_allclose(part_of_h, h[40:], atol=1e-5)


# --- log Z ----------------------------------------------------------------------------------


@pytest.mark.parametrize("biases", [True, False])
def test_exact(backend, layers, couplings, biases):
    machine, exact = make_machine_of_units(
        layers, backend, couplings=couplings, biases=biases, scale=0.7
    )
    if layers not in WITH_SPINS:
        with pytest.raises(ValueError, match="made of spins"):
            exact_log_partition(machine)
        return
    result = exact_log_partition(machine)
    assert result.value == pytest.approx(exact.log_z(), rel=1e-11)
    assert result.error < 1e-12


def test_base(backend, layers):
    machine, exact = make_machine_of_units(layers, backend)
    base = np.linspace(-0.5, 0.8, len(exact.b))
    expected = exact.at(0.0, base).log_z()
    got = base_log_partition(backend.asarray(base), machine)
    assert got == pytest.approx(expected, rel=1e-12)


def test_tempered(layers):
    """Within five of its errors (6e-7 for normal ones)."""
    backend = get_backend("numba", n_threads=2)
    machine, exact = make_machine_of_units(layers, backend, dtype="float32")
    with backend.running():
        result, *_ = tempered_log_partition(machine, RandomStream(2), tol=0.02, max_sweeps=2000)
    assert result.is_trusted
    assert abs(result.value - exact.log_z()) < 5 * result.error < 0.2


@pytest.mark.parametrize("has_base", [True, False])
def test_annealed(backend, layers, has_base):
    machine, exact = make_machine_of_units(layers, backend, dtype="float32")
    base_mean = exact.probabilities() @ exact.v if has_base else None
    result = ais_log_partition(
        machine, RandomStream(3), base_mean=base_mean, n_chains=100, n_temperatures=30
    )
    assert abs(result.value - exact.log_z()) < 5 * result.error < 0.5


# --- training -------------------------------------------------------------------------------


class Recording(SGD):
    """An SGD that remembers the gradients it was given."""

    def __init__(self):
        super().__init__()
        self.gradients = []

    def direction(self, gradient, state, xp):
        self.gradients.append(gradient)
        return super().direction(gradient, state, xp)


# Of each of the layers, half of the cases run in the quick suite.
SOME_QUICK = [
    pytest.param(layers, is_centered, marks=() if (i + is_centered) % 2 else pytest.mark.slow)
    for i, layers in enumerate(WITH_SPINS)
    for is_centered in (True, False)
]


@pytest.mark.parametrize(("layers", "center"), SOME_QUICK)
def test_gradient_of_the_log_likelihood(backend, layers, couplings, center):
    """By finite differences. Centred, b' = b + Wλ and c' = c + Wᵀμ stay while W changes."""
    machine, exact = make_machine_of_units(layers, backend, couplings=couplings)
    data = rows_of(exact, 7)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, batch_size=7, center=center)
    batch = backend.asarray(data)
    state = trainer.start(
        machine.couplings,
        batch,
        RandomStream(0),
        backend,
        visible_units=machine.visible_units,
        hidden_units=machine.hidden_units,
    )
    state.machine = machine
    before = {k: backend.to_numpy(p).copy() for k, p in machine.parameters.items()}
    trainer.update(state, batch, rate=0.01)
    got = {k: backend.to_numpy(g) for k, g in optimizer.gradients[0].items()}
    assert got.keys() == before.keys()
    names = machine.couplings.parameters.keys()
    mu, lam = np.zeros(len(exact.b)), np.zeros(len(exact.c))
    if center:
        mu, lam = data.mean(axis=0), exact.hidden_mean(data).mean(axis=0)
    for name, value in before.items():

        def log_likelihood(x, name=name):
            changed = {**before, name: x}
            W = weights_from({k: changed[k] for k in names})
            b = changed["visible_bias"] + (exact.W - W) @ lam
            c = changed["hidden_bias"] + (exact.W - W).T @ mu
            return replace(exact, W=W, b=b, c=c).log_likelihood(data)

        expected = central_difference(log_likelihood, value)
        np.testing.assert_allclose(got[name], expected, atol=TOLERANCE, rtol=0, err_msg=name)


@pytest.mark.parametrize("layers", ["gaussians, spins", "spins, gaussians", "categories, spins"])
def test_gradient_without_biases(backend, layers):
    """Half of the states stand for all where the model is even, and only there."""
    machine, exact = make_machine_of_units(layers, backend, biases=False)
    data = rows_of(exact, 6)
    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, fit_intercept=False)
    batch = backend.asarray(data)
    units = {"visible_units": machine.visible_units, "hidden_units": machine.hidden_units}
    state = trainer.start(machine.couplings, batch, RandomStream(0), backend, **units)
    assert state.machine.is_even == ("categories" not in layers)
    trainer.update(state, batch, rate=0.01)

    def log_likelihood(W):
        return replace(exact, W=W).log_likelihood(data)

    expected = central_difference(log_likelihood, exact.W)
    got = backend.to_numpy(optimizer.gradients[0]["weights"])
    np.testing.assert_allclose(got, expected, atol=TOLERANCE, rtol=0)


def assert_one_each(codes, sizes):
    """One code of each group is 1, and the others are 0."""
    assert set(np.unique(codes)) == {0.0, 1.0}
    for group in np.split(codes, np.cumsum(sizes)[:-1], axis=1):
        np.testing.assert_array_equal(group.sum(axis=1), 1.0)


@pytest.mark.parametrize("phase", [PersistentContrastiveDivergence(2), ParallelTempering()])
def test_chains_start_as_units_of_their_kind(backend, layers, phase):
    machine, exact = make_machine_of_units(layers, backend, dtype="float32")
    chains = phase.start(machine, 50, RandomStream(1))
    chains = chains.ladder if isinstance(phase, ParallelTempering) else chains
    states = backend.to_numpy(chains.states)
    of_layer = exact.visible if isinstance(exact.visible, list) else [(exact.visible, len(exact.b))]
    for kind, where in parts_of(of_layer):
        part = states[:, where]
        if kind == "gaussians":
            assert len(np.unique(part)) == part.size
        elif kind == "spins":
            assert set(np.unique(part)) == {-1.0, 1.0}
        elif isinstance(kind, Spikes):
            codes, z = np.split(part, [sum(kind.sizes)], axis=1)
            is_rest = codes[:, np.cumsum(kind.sizes) - 1] == 1.0
            np.testing.assert_array_equal(z != 0.0, is_rest)
            assert len(np.unique(z)) == is_rest.sum() + 1
            assert_one_each(codes, kind.sizes)
        else:
            assert_one_each(part, kind)


@pytest.mark.parametrize("weighted", [True, False])
def test_biases_start_at_the_data(backend, layers, weighted):
    """Independent units in the fields b have the mean of the rows, and of one more in no field."""
    machine, exact = make_machine_of_units(layers, backend)
    data = rows_of(exact, 20)
    weights = np.arange(20.0) / 190.0 if weighted else None
    state = Trainer(PersistentContrastiveDivergence(), SGD()).start(
        machine.couplings,
        backend.asarray(data),
        RandomStream(0),
        backend,
        weights,
        machine.visible_units,
        machine.hidden_units,
    )
    b = backend.to_numpy(state.machine.visible_bias)
    alone = replace(exact.transposed(), W=np.zeros_like(exact.W.T))
    no_row = np.zeros((1, len(exact.c)))
    in_no_field = replace(alone, c=np.zeros_like(b)).hidden_mean(no_row)[0]
    expected = (20 * np.average(data, axis=0, weights=weights) + in_no_field) / 21
    np.testing.assert_allclose(replace(alone, c=b).hidden_mean(no_row)[0], expected, atol=1e-12)


def test_pattern_induced_correlations_are_of_spins(backend):
    machine, _ = make_machine_of_units("gaussians, spins", backend, couplings="patterns")
    with pytest.raises(ValueError, match="signs of the patterns"):
        PatternInducedCorrelations().check(machine)


def test_what_is_enumerated_are_spins(backend):
    """Two real units would be the smaller layer."""
    units = {"visible_units": Gaussians()}
    couplings = DenseCouplings(backend.asarray(np.zeros((2, 21))))
    biases = (backend.asarray(np.zeros(n)) for n in (2, 21))
    with pytest.raises(ValueError, match=r"smaller layer of spins, .* at most 20 units"):
        Exact().check(Machine(couplings, *biases, backend, **units))


# --- normal random numbers ------------------------------------------------------------------


def test_normal_numbers_are_made_of_the_uniform_ones_of_their_names(backend):
    """Also far along a draw, and with the last column without a partner."""
    stream, draw, first_row = RandomStream(0x0123456789ABCDEF), 2**40 + 3, 1000
    u = get_backend("numpy").random_uniform((5, 72), stream, draw, first_row).astype(float)
    z = np.sqrt(-2.0 * np.log(u[:, ::2])) * np.exp(2j * np.pi * u[:, 1::2])
    expected = np.stack([z.real, z.imag], axis=2).reshape(5, 72)
    got = backend.to_numpy(backend.random_normal((5, 71), stream, draw, first_row))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected[:, :71], rtol=1e-12, atol=1e-14)
    part = backend.to_numpy(backend.random_normal((3, 71), stream, draw, first_row + 2))
    np.testing.assert_array_equal(part, got[2:])


def test_normal_numbers_are_normal():
    z = get_backend("numba").random_normal((20_000, 6), RandomStream(3), 0)
    assert stats.kstest(z.ravel(), "norm").pvalue > SMALLEST_P
    # Tails: beyond four standard deviations are 7.6 of 120,000 on average.
    assert stats.binomtest(int(np.sum(np.abs(z) > 4.0)), z.size, 2 * stats.norm.sf(4)).pvalue > 1e-4
    # Correlations of columns, and of their squares, within five standard errors.
    for x in (z, z**2):
        r = np.corrcoef(x, rowvar=False) - np.eye(6)
        assert np.max(np.abs(r)) < 5.0 / 20_000**0.5


# --- maps -----------------------------------------------------------------------------------


def test_maps_in_blocks_and_where_they_are_wanted(backend):
    """Real units and categories through the methods of a backend that take rows in blocks."""
    rng = np.random.default_rng(0)
    first, second, bias = rng.normal(size=(6, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)
    x = rng.normal(size=(300, 6))
    field = 0.5 * x @ first @ second + bias
    matrices = [backend.asarray(m, "float32") for m in (first, second, bias)]
    rows = backend.asarray(x, "float32")
    for units, expected in (
        (Gaussians(), field),
        (Categories((5,)), np.exp(field - logsumexp(field, axis=1, keepdims=True))),
    ):
        affine = Affine(*matrices, 0.5, units)
        out = backend.asarray(np.zeros((300, 5)), "float32")
        overlaps = backend.asarray(np.zeros((300, 3)), "float32")
        assert backend.means(rows, affine, out=out, overlaps=overlaps) is out
        np.testing.assert_allclose(backend.to_numpy(out), expected, atol=1e-5)
        np.testing.assert_allclose(backend.to_numpy(overlaps), x @ first, atol=1e-5)


def test_categories_are_drawn_at_any_field(backend):
    """Fields of thousands make no NaN; what has no probability is not drawn."""
    field = np.zeros((2000, 4))
    field[:, 1], field[:, 3] = 5000.0, -5000.0
    units = Categories((2, 2))
    got = backend.to_numpy(
        units.sample(backend.asarray(field, "float32"), backend, RandomStream(1), 0)
    )
    np.testing.assert_array_equal(got, np.tile([0.0, 1.0, 1.0, 0.0], (2000, 1)))
    np.testing.assert_allclose(
        backend.to_numpy(units.log_partition(backend.asarray(field), backend)), 5000.0
    )


# --- kernels --------------------------------------------------------------------------------

SIZES = {
    "one column": (1,),
    "equal": (4,) * 7,
    "many": (3, 1, 2) * 45,
    "unequal": (2, 12, 5, 1, 7),
    "large": (300, 2),
}
NAME = {"stream": RandomStream(0x0123456789ABCDEF), "draw": 2**40 + 3, "first_row": 1000}


@pytest.fixture(params=SIZES)
def sizes(request):
    return SIZES[request.param]


def fields_of(width, dtype, n_rows=150):
    """Fields as the precision has them, of a few units and now and then of many."""
    rng = np.random.default_rng(width)
    return (rng.normal(size=(n_rows, width)) * rng.choice([1.0, 20.0], (n_rows, 1))).astype(dtype)


def in_groups(field, sizes):
    return np.split(field.astype(float), np.cumsum(sizes)[:-1], axis=1)


def log_sum_exp(field, sizes):
    return sum(logsumexp(group, axis=1) for group in in_groups(field, sizes))


def test_means_and_sums_of_groups(backend, sizes, dtype):
    field, units = fields_of(sum(sizes), dtype), Categories(sizes)
    to, start = np.linspace(0.0, 1.0, len(field)), np.linspace(1.0, 0.5, len(field))
    betas = [backend.asarray(beta) for beta in (to, start)]
    on_backend = backend.asarray(field.copy())
    sums = units.log_partition(on_backend, backend)
    gains = units.log_partition_gain(on_backend, *betas, backend)
    means = units.mean(on_backend, backend)
    # Rounding in a sum of so many, and of fields of up to a hundred in the exponent.
    tolerance = (200 + max(sizes)) * np.finfo(dtype).eps
    expected = np.concatenate([softmax(group, axis=1) for group in in_groups(field, sizes)], axis=1)
    np.testing.assert_allclose(backend.to_numpy(means), expected, rtol=tolerance, atol=1e-30)
    expected = log_sum_exp(field, sizes)
    np.testing.assert_allclose(backend.to_numpy(sums), expected, atol=tolerance * len(sizes))
    to, start = (beta.astype(dtype).astype(float)[:, None] for beta in (to, start))
    expected = log_sum_exp(to * field, sizes) - log_sum_exp(start * field, sizes)
    np.testing.assert_allclose(backend.to_numpy(gains), expected, atol=tolerance * len(sizes))


def test_categories_are_drawn_by_uniform_numbers(backend, sizes, dtype):
    """One of each group, that which u falls on; the same one by all backends, to the bit."""
    field, units, reference = fields_of(sum(sizes), dtype), Categories(sizes), get_backend("numpy")
    got = units.sample(backend.asarray(field.copy()), backend, **NAME)
    assert got.dtype == getattr(backend.xp, dtype)
    got = backend.to_numpy(got)
    np.testing.assert_array_equal(got, units.sample(field.copy(), reference, **NAME))
    u = reference.random_uniform((len(field), len(sizes)), **NAME).astype(float)
    n_near = 0
    for k, (group, drawn) in enumerate(
        zip(in_groups(field, sizes), in_groups(got, sizes), strict=True)
    ):
        summed = np.cumsum(softmax(group, axis=1), axis=1)[:, :-1]
        expected = np.sum(summed < u[:, k : k + 1], axis=1)
        # Weights are in float32.
        is_near = np.any(np.abs(summed / u[:, k : k + 1] - 1.0) < 2e-5, axis=1)
        expected = np.eye(group.shape[1])[expected]
        np.testing.assert_array_equal(drawn[~is_near], expected[~is_near])
        n_near += np.sum(is_near)
    assert n_near < 0.01 * u.size


@pytest.mark.parametrize("width", [1, 2, 71, 300])
def test_gaussians_are_drawn_by_uniform_numbers(backend, width, dtype):
    field = fields_of(width, dtype)
    shape = (len(field), width + width % 2)
    u = get_backend("numpy").random_uniform(shape, **NAME).astype(float)
    z = np.sqrt(-2.0 * np.log(u[:, ::2])) * np.exp(2j * np.pi * u[:, 1::2])
    expected = field + np.stack([z.real, z.imag], axis=2).reshape(shape)[:, :width]
    got = Gaussians().sample(backend.asarray(field.copy()), backend, **NAME)
    assert got.dtype == getattr(backend.xp, dtype)
    eps = np.finfo(dtype).eps
    # A normal number is at most 6.8, and off by some units in the last place.
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=eps, atol=4 * 6.8 * eps)


@pytest.mark.parametrize("units", [Gaussians(), Categories(SIZES["many"])], ids=["real", "groups"])
def test_units_do_not_depend_on_threads_or_how_rows_are_cut(units):
    rng = np.random.default_rng(0)
    x, first = rng.normal(size=(2, 270, 270)).astype("float32")
    affine = Affine(first, None, np.zeros(270, "float32"), 0.1, units)
    field = x @ first
    found = []
    for n_threads in (1, 2, 3):
        backend = get_backend("numba", n_threads=n_threads)
        with backend.running():
            drawn = backend.sample(x, affine, RandomStream(1), 5)
            found.append((drawn, *backend.means_and_sums(x, affine)))
        whole = units.sample(field.copy(), backend, RandomStream(1), 5)
        cut = units.sample(field[40:].copy(), backend, RandomStream(1), 5, 40)
        np.testing.assert_array_equal(cut, whole[40:])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("units", [Gaussians(), Categories((2, 3))], ids=["real", "groups"])
def test_fields_that_cannot_be_written_to(units):
    """A row that serves all, or one of a file."""
    backend, row = get_backend("numba"), np.linspace(-1.0, 1.0, 5, dtype="float32")[None, :]
    fixed = np.broadcast_to(row, (1, 5))
    assert not fixed.flags.writeable
    for method in (units.mean, units.log_partition, lambda *args: units.sample(*args, **NAME)):
        np.testing.assert_array_equal(method(fixed, backend), method(row.copy(), backend))


def test_chains_of_a_gpu_stay_there(cupy_stand_in, layers):
    """Once a layer's groups are known on the device, nothing moves."""
    backend = get_backend("cupy")
    machine, exact = make_machine_of_units(layers, backend, dtype="float32")
    v = machine.gibbs(backend.asarray(rows_of(exact, 50), "float32"), 1, RandomStream(1))
    cupy_stand_in.transfers.clear()
    machine.gibbs(v, 3, RandomStream(2))
    machine.free_energy_and_hidden_mean(v)
    assert not cupy_stand_in.transfers


def test_cosines_and_sines_of_turns():
    """At what uniform numbers can be: also at one, and at the ends of each quarter."""
    turns = np.concatenate([np.linspace(0.0, 1.0, 4097), [2.0**-33], np.geomspace(1e-9, 1.0, 999)])
    got = np.array([_unit_kernels._cos_and_sin(t) for t in turns])
    angles = 2.0 * np.pi * turns
    np.testing.assert_allclose(got, np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-11)
