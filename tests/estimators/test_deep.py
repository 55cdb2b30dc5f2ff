"""Deep machines against sums over the states of all layers, and as estimators."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from tools.brute_force import all_spins, central_difference, p_value_of_states, state_numbers
from tools.callbacks import Silent
from tools.equality import assert_same

from sklearn_rapid import DBM, RADBM, RARBM, RBM, load, save
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.callbacks import Checkpoint, resume
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.diagnostics import singular_values
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.machine.couplings import DenseCouplings, MaskedCouplings, PatternCouplings
from sklearn_rapid.machine.layers import Layers
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.negative_phase import Exact, PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.positive_phase import ClampedChains, MeanField
from sklearn_rapid.training.trainer import Trainer

SIZES = {"two layers": (4, 3, 3), "three layers": (4, 2, 3, 2), "four layers": (3, 2, 2, 2, 3)}
SMALLEST_P = 1e-4
X = make_bars(3)
TINY = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "batch_size": 5, "random_state": 0}
MODELS = {
    "dense": DBM(**TINY),
    "three layers": DBM(**{**TINY, "hidden_layer_sizes": (4, 3, 2)}, optimizer="adam"),
    "clamped": DBM(**TINY, positive_phase="clamped", negative_phase="pcd", units="spin"),
    "validated": DBM(**TINY, early_stopping=True, validation_fraction=0.5),
    "patterns": RADBM(**TINY, n_patterns=3, negative_phase="pid"),
    "three layers of patterns": RADBM(
        **{**TINY, "hidden_layer_sizes": (4, 3, 2)},
        n_patterns=3,
        optimizer=SGD(momentum=0.5),
        positive_phase=MeanField(n_steps=3),
    ),
}
FITTED = ("components_", "intercept_visible_", "intercept_hidden_")


def rows_for(model):
    return 2.0 * X - 1.0 if model.units == "spin" else X


def assert_same_model(a, b):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


class Layered:
    """A machine of layers whose every state has been visited, from couplings and biases by layer.

    Parameters
    ----------
    coefs : list of arrays of shape (n_l, n_l+1)
    intercepts : list of arrays of shape (n_l,)
    """

    def __init__(self, coefs, intercepts):
        coefs, intercepts = (
            [np.asarray(a, float) for a in arrays] for arrays in (coefs, intercepts)
        )
        ends = np.cumsum([0, *map(len, intercepts)])
        self.states = all_spins(ends[-1])
        self.layers = [self.states[:, i:j] for i, j in itertools.pairwise(ends)]
        self.log_weights = sum(s @ b for s, b in zip(self.layers, intercepts, strict=True))
        for (below, above), W in zip(itertools.pairwise(self.layers), coefs, strict=True):
            self.log_weights = self.log_weights + np.sum((below @ W) * above, axis=1)
        self.n_visible = len(intercepts[0])

    def log_z(self):
        return logsumexp(self.log_weights)

    def log_f(self):
        """log Σ_h exp(-E(v, h)) of each visible state, in the order of `all_spins`."""
        # Visible spins are the first, and so the fastest in the rows' numbers.
        return logsumexp(self.log_weights.reshape(-1, 2**self.n_visible), axis=0)

    def log_p(self, v):
        return (self.log_f() - self.log_z())[state_numbers(v)]

    def probabilities(self):
        return np.exp(self.log_f() - self.log_z())

    def hidden_means(self, row):
        """E[h | v] of each hidden layer."""
        is_row = np.all(self.layers[0] == row, axis=1)
        p = np.exp(self.log_weights[is_row] - logsumexp(self.log_weights[is_row]))
        return [p @ layer[is_row] for layer in self.layers[1:]]


def made(cls, sizes, scale=0.5, **how):
    """A model with random parameters, and the same from its published layers."""
    rng = np.random.default_rng([3, *sizes])
    v = rng.integers(2, size=(20, sizes[0]))
    if cls is RADBM:
        how = {"n_patterns": 3, **how}
    model = cls(sizes[1:], max_iter=1, random_state=0, dtype="float64", **how).fit(v)
    for name in model._fitted_shapes:
        array = getattr(model, name)
        power = 0.5 if "patterns" in name else 1.0
        setattr(model, name, rng.normal(scale=scale**power, size=array.shape))
    return model, Layered(model.coefs_, model.intercepts_)


@pytest.fixture(params=SIZES)
def sizes(request):
    return SIZES[request.param]


@pytest.fixture(params=[DBM, RADBM])
def cls(request):
    return request.param


# --- one hidden layer -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"negative_phase": "pcd", "units": "spin"}])
@pytest.mark.parametrize(("deep", "flat"), [(DBM, RBM), (RADBM, RARBM)])
def test_with_one_hidden_layer_it_is_the_restricted_machine(deep, flat, how):
    rows = 2.0 * X - 1.0 if "units" in how else X
    a = deep((5,), max_iter=20, random_state=0, **how).fit(rows)
    b = flat(5, max_iter=20, random_state=0, **how).fit(rows)
    for name in a._fitted_shapes:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.history_.keys() == b.history_.keys()
    for method in ("transform", "free_energy", "score_samples", "pseudo_likelihood", "gibbs"):
        how = {"random_state": 1} if method == "gibbs" else {}
        got, expected = (getattr(model, method)(rows, **how) for model in (a, b))
        np.testing.assert_array_equal(got, expected, err_msg=method)
    np.testing.assert_array_equal(a.lower_bound(rows), b.score_samples(rows))
    np.testing.assert_array_equal(a.sample(7, random_state=2), b.sample(7, random_state=2))
    H = b.transform(rows)
    np.testing.assert_array_equal(a.inverse_transform(H), b.inverse_transform(H))


# --- layers -----------------------------------------------------------------------------


def test_layers_are_the_sides_of_a_restricted_machine(sizes):
    rng = np.random.default_rng(0)
    layers = Layers(sizes)
    states = [rng.normal(size=n) for n in sizes]
    even, odd = np.concatenate(states[0::2]), np.concatenate(states[1::2])
    W = rng.normal(size=(layers.n_even, layers.n_odd)) * layers.mask()
    pairs = zip(itertools.pairwise(states), layers.blocks(W), strict=True)
    of_layers = sum(below @ block @ above for (below, above), block in pairs)
    np.testing.assert_allclose(even @ W @ odd, of_layers, rtol=1e-12)
    assert np.count_nonzero(layers.mask()) == sum(n * m for n, m in itertools.pairwise(sizes))
    for got, expected in zip(layers.by_layer(even[None], odd[None]), states, strict=True):
        np.testing.assert_array_equal(got[0], expected)


@pytest.mark.parametrize("sizes", [(4,), (4, 0), (4, 2.5)])
def test_sizes_that_are_none(sizes):
    with pytest.raises(ValueError, match="layers have sizes above zero"):
        Layers(sizes)


# --- couplings --------------------------------------------------------------------------

MASKED = (3, 2, 2, 2)


def masked_machine(kind, backend):
    """A machine with three hidden layers, and its parameters."""
    layers, rng = Layers(MASKED), np.random.default_rng(5)
    shape = (layers.n_even, layers.n_odd)
    parameters = {
        "visible_bias": rng.normal(scale=0.3, size=shape[0]),
        "hidden_bias": rng.normal(scale=0.3, size=shape[1]),
    }
    if kind == "dense":
        parameters["weights"] = rng.normal(scale=0.5, size=shape) * layers.mask()
        inner = DenseCouplings(backend.asarray(parameters["weights"]))
    else:
        for name, n in zip(("visible_patterns", "hidden_patterns"), shape, strict=True):
            parameters[name] = rng.normal(scale=0.8, size=(3, n))
        inner = PatternCouplings(
            *(backend.asarray(parameters[f"{side}_patterns"]) for side in ("visible", "hidden"))
        )
    couplings = MaskedCouplings(inner, backend.asarray(layers.mask()))
    biases = (backend.asarray(parameters[f"{side}_bias"]) for side in ("visible", "hidden"))
    return Machine(couplings, *biases, backend), parameters


def layered(parameters):
    layers = Layers(MASKED)
    W = parameters.get("weights")
    if W is None:
        W = parameters["visible_patterns"].T @ parameters["hidden_patterns"] / np.sqrt(3)
    biases = layers.by_layer(parameters["visible_bias"], parameters["hidden_bias"])
    return Layered(layers.blocks(W), biases)


class Recording(SGD):
    def direction(self, gradient, state, xp):
        self.gradient = gradient
        return super().direction(gradient, state, xp)


@pytest.mark.parametrize("kind", ["dense", "patterns"])
def test_gradient_of_the_log_likelihood(backend, kind):
    """Rows come with all states of the upper layers, weighted as they are given the row."""
    machine, parameters = masked_machine(kind, backend)
    machine = machine.copy()
    exact = layered(parameters)
    rows = all_spins(3)[[1, 2, 6]]
    latent = all_spins(2)
    data = np.concatenate([np.hstack([np.tile(row, (4, 1)), latent]) for row in rows])
    joint = logsumexp(
        np.where(
            np.all(np.hstack([exact.layers[0], exact.layers[2]])[None] == data[:, None], axis=2),
            exact.log_weights,
            -np.inf,
        ),
        axis=1,
    ).reshape(3, 4)
    weights = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)).ravel() / 3

    optimizer = Recording()
    trainer = Trainer(Exact(), optimizer, batch_size=12, center=False)
    batch = backend.asarray(data)
    state = trainer.start(machine.couplings, batch, RandomStream(0), backend)
    state.machine = machine
    trainer.update(state, batch, 0.01, weights=weights)
    for name, value in parameters.items():

        def log_likelihood(x, name=name):
            return float(np.mean(layered({**parameters, name: x}).log_p(rows)))

        expected = central_difference(log_likelihood, value)
        if name == "weights":
            expected = expected * Layers(MASKED).mask()
        got = backend.to_numpy(optimizer.gradient[name])
        np.testing.assert_allclose(got, expected, atol=2e-9, rtol=0, err_msg=name)


@pytest.mark.parametrize("kind", ["dense", "patterns"])
def test_masked_couplings_are_those_of_what_they_form(backend, kind):
    machine, parameters = masked_machine(kind, backend)
    couplings, rng = machine.couplings, np.random.default_rng(0)
    W = backend.to_numpy(couplings.to_dense().weights)
    assert np.all(W[Layers(MASKED).mask() == 0.0] == 0.0)
    v, h = rng.normal(size=(5, 5)), rng.normal(size=(5, 4))
    formed = machine.for_rows(5)
    assert formed.couplings.weights is not None
    for each in (machine, formed):
        theta = backend.to_numpy(each.hidden_field(backend.asarray(v)))
        np.testing.assert_allclose(theta, v @ W + parameters["hidden_bias"], rtol=1e-12)
        phi = backend.to_numpy(each.transposed().hidden_field(backend.asarray(h)))
        np.testing.assert_allclose(phi, h @ W.T + parameters["visible_bias"], rtol=1e-12)
    columns = np.array([4, 1])
    part = couplings.select_visible(backend.asarray(columns), backend.xp)
    np.testing.assert_array_equal(backend.to_numpy(part.to_dense().weights), W[columns])

    steps = {name: rng.normal(size=parameters[name].shape) for name in couplings.parameters}
    on_device = {name: backend.asarray(step) for name, step in steps.items()}
    got = backend.to_numpy(
        couplings.change(backend.asarray(v), backend.asarray(h), on_device, backend)
    )

    def energies(t):
        moved = {name: backend.asarray(parameters[name] + t * step) for name, step in steps.items()}
        moved = backend.to_numpy(couplings.with_parameters(moved).to_dense().weights)
        return np.sum((v @ moved) * h, axis=1)

    expected = (energies(1e-5) - energies(-1e-5)) / 2e-5
    np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.5), "adam"])
def test_layers_that_are_no_neighbours_stay_apart(optimizer):
    """And patterns make couplings of neighbours alone."""
    how = {"hidden_layer_sizes": (4, 3, 2), "max_iter": 20, "random_state": 0}
    model = DBM(**how, optimizer=optimizer, l1_penalty=1e-3, dtype="float64").fit(X)
    W = model.components_.T
    mask = Layers(model.layer_sizes_).mask()
    assert np.all(W[mask == 0.0] == 0.0)
    assert np.all(W[mask == 1.0] != 0.0)
    assert [block.shape for block in model.coefs_] == [(9, 4), (4, 3), (3, 2)]
    model = RADBM(**how, n_patterns=3, projection="gibbs", optimizer=optimizer).fit(X)
    for block, (below, above) in zip(
        model.coefs_, itertools.pairwise(model.patterns_), strict=True
    ):
        np.testing.assert_allclose(block, below.T @ above / np.sqrt(3), rtol=1e-5, atol=1e-6)
    assert np.all(model.components_.T[mask == 0.0] == 0.0)
    spectrum = np.linalg.svd(model.components_.astype(float), compute_uv=False)
    np.testing.assert_allclose(singular_values(model), spectrum, rtol=1e-5, atol=1e-5)


def test_maps_follow_the_parameters():
    """What the fit says of its last epoch is what the fitted model says."""
    how = {"early_stopping": True, "validation_fraction": 0.5, "dtype": "float64"}
    model = RADBM((4, 3, 2), n_patterns=3, max_iter=1, batch_size=2, random_state=0, **how).fit(X)
    order = np.random.default_rng(model._training_state["stream"].seed).permutation(len(X))
    n_held = round(len(X) * 0.5)
    held, rest = (X[np.sort(part)] for part in (order[:n_held], order[n_held:]))
    gap = model.free_energy(held).mean() - model.free_energy(rest).mean()
    np.testing.assert_allclose(model.history_["free_energy_gap"], [gap], rtol=1e-9)


# --- likelihoods ------------------------------------------------------------------------


def test_log_partition(cls, sizes):
    model, exact = made(cls, sizes)
    np.testing.assert_allclose(model.log_partition_, exact.log_z(), rtol=1e-10)
    tempered = model.log_partition("tempering", tol=0.02, max_sweeps=4000)
    assert abs(tempered.value - exact.log_z()) < 5.0 * tempered.error + 1e-3


@pytest.mark.slow
def test_likelihoods_of_rows(cls, sizes):
    """The bound is below; estimates are within five of their errors: once in a million."""
    model, exact = made(cls, sizes)
    v = all_spins(sizes[0])
    expected = exact.log_p(v)
    bound = model.lower_bound(v > 0)
    assert np.all(bound <= expected + 1e-9)
    # What it lacks is of second order in the couplings of hidden layers.
    assert np.all(expected - bound < sum(np.sum(W * W) for W in model.coefs_[1:]))
    log_p, error = model.score_samples(v > 0, n_chains=1000, n_temperatures=20, return_error=True)
    assert np.all(error < 0.1)
    assert np.all(np.abs(log_p - expected) < 5.0 * error + 1e-3)
    np.testing.assert_allclose(
        model.score(v > 0, sample_weight=np.ones(len(v))), model.score_samples(v > 0).mean()
    )


def test_the_bound_is_tight_without_couplings_of_hidden_layers(cls):
    model, _ = made(cls, (4, 3, 3), scale=0.0)
    model.intercept_visible_ += 0.3
    v = all_spins(4)
    np.testing.assert_allclose(
        model.lower_bound(v > 0), v @ model.intercept_visible_[:4] - 4 * np.log(2 * np.cosh(0.3))
    )


# --- features ---------------------------------------------------------------------------


def test_features_are_a_fixed_point_of_mean_field(cls):
    model, _ = made(cls, (4, 3, 3, 2), scale=0.3, units="spin", output_layers="all")
    v = all_spins(4)
    W, b = model.coefs_, model.intercepts_
    h1, h2, h3 = np.split(model.transform(v), [3, 6], axis=1)
    np.testing.assert_allclose(h1, np.tanh(v @ W[0] + h2 @ W[1].T + b[1]), atol=1e-5)
    np.testing.assert_allclose(h2, np.tanh(h1 @ W[1] + h3 @ W[2].T + b[2]), atol=1e-5)
    np.testing.assert_allclose(h3, np.tanh(h2 @ W[2] + b[3]), atol=1e-5)


@pytest.mark.parametrize(("shown", "layers"), [("first", [0]), ("last", [2]), ("all", [0, 1, 2])])
def test_features_of_layers(cls, shown, layers):
    """The mean of sampled features is within five errors of the exact one: once in 10⁵ here."""
    model, exact = made(cls, (4, 3, 3, 2), scale=0.3)
    model.set_params(output_layers=shown, hidden_features="sample")
    row = np.array([1, -1, -1, 1])
    expected = 0.5 * (1.0 + np.concatenate([exact.hidden_means(row)[i] for i in layers]))
    H = model.transform(np.tile(row > 0, (4000, 1)))
    assert H.shape == (4000, len(expected))
    assert len(model.get_feature_names_out()) == len(expected)
    assert set(np.unique(H)) == {0.0, 1.0}
    error = np.sqrt(expected * (1.0 - expected) / 4000)
    assert np.all(np.abs(H.mean(axis=0) - expected) < 5.0 * error)


@pytest.mark.parametrize("shown", ["first", "all"])
def test_inverse_transform(cls, shown):
    model, _ = made(cls, (4, 3, 3, 2), units="spin", output_layers=shown)
    h1 = all_spins(3)
    H = h1 if shown == "first" else np.hstack([h1, np.ones((8, 5))])
    expected = np.tanh(h1 @ model.coefs_[0].T + model.intercepts_[0])
    np.testing.assert_allclose(model.inverse_transform(H), expected, rtol=1e-10)


def test_what_is_said_of_a_row_does_not_depend_on_the_others(cls):
    model, _ = made(cls, (4, 3, 3, 2))
    v = all_spins(4) > 0
    for method in ("transform", "lower_bound", "free_energy"):
        whole = getattr(model, method)(v)
        np.testing.assert_allclose(getattr(model, method)(v[5:9]), whole[5:9], rtol=1e-12)
        np.testing.assert_allclose(getattr(model, method)(v[::-1]), whole[::-1], rtol=1e-12)


# --- samples ----------------------------------------------------------------------------


def test_gibbs_steps_leave_the_distribution(cls, sizes):
    model, exact = made(cls, sizes)
    p = exact.probabilities()
    rng = np.random.default_rng(0)
    v = all_spins(sizes[0])[rng.choice(len(p), size=4000, p=p / p.sum())]
    after = model.gibbs(v > 0, 3, random_state=0)
    assert after.shape == v.shape
    assert p_value_of_states(2 * after - 1, p) > SMALLEST_P


@pytest.mark.slow
def test_samples(cls, sizes):
    """Chains from rows, from coins, and those of training end in the model's distribution."""
    model, exact = made(cls, sizes, scale=0.3)
    p = exact.probabilities()
    for init in (np.ones((2, sizes[0])), "random"):
        v = model.sample(4000, init=init, n_gibbs_steps=100, random_state=0)
        assert v.shape == (4000, sizes[0])
        assert p_value_of_states(2 * v - 1, p) > SMALLEST_P
    start = np.eye(sizes[0])
    np.testing.assert_array_equal(model.sample(sizes[0], init=start, n_gibbs_steps=0), start)
    assert model.sample(3, n_gibbs_steps=1).shape == (3, sizes[0])
    assert model.sample(3).shape == (3, sizes[0])
    if cls is RADBM:
        signs = model.sample(3, init="patterns", n_gibbs_steps=0)
        np.testing.assert_array_equal(signs, model.patterns_[0] > 0)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["two layers", "four layers"], indirect=True)
def test_rows_with_gaps(cls, sizes):
    """What is filled in has its distribution given the rest, and bounds are below sums over it."""
    model, exact = made(cls, sizes, scale=0.3)
    p = exact.probabilities()
    states = all_spins(sizes[0])
    row = states[3].copy()
    row[1:] = np.nan
    is_like = states[:, 0] == row[0]
    given = np.where(is_like, p, 0.0) / p[is_like].sum()
    gappy = np.where(np.isnan(row), np.nan, row > 0)
    filled = model.reconstruct(np.tile(gappy, (4000, 1)), random_state=0)
    assert np.all(filled[:, 0] == gappy[0])
    assert np.all(np.bincount(state_numbers(2 * filled - 1), minlength=len(p))[~is_like] == 0)
    assert p_value_of_states(2 * filled[:, 1:] - 1, given[is_like]) > SMALLEST_P
    bound = model.lower_bound(gappy[None])[0]
    assert bound <= np.log(p[is_like].sum()) + 1e-9
    log_p, error = model.score_samples(gappy[None], n_chains=2000, return_error=True)
    assert abs(log_p[0] - np.log(p[is_like].sum())) < 5.0 * error[0] + 1e-3
    H = model.transform(gappy[None])
    assert np.all(np.isfinite(H))


# --- training ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("positive_phase", ["mean_field", "clamped", ClampedChains(2)])
@pytest.mark.parametrize("hidden", [(5, 3), (4, 2, 2)])
def test_training_finds_the_bars(cls, hidden, positive_phase):
    """Fair coins have -6.2 nats, and no model more than -1.8."""
    how = {"n_patterns": 6} if cls is RADBM else {}
    how |= {"positive_phase": positive_phase, "n_threads": 1}
    model = cls(hidden, max_iter=300, random_state=0, **how).fit(X)
    exact = Layered(model.coefs_, model.intercepts_)
    assert exact.log_p(2.0 * X - 1.0).mean() > -3.2


PID_OF_TWO_STEPS = PatternInducedCorrelations(n_gibbs_steps=2)


@pytest.mark.parametrize(
    ("hidden", "phase"),
    [
        ((5, 3), "pid"),
        ((4, 2, 2), PID_OF_TWO_STEPS),
        pytest.param((5, 3), PID_OF_TWO_STEPS, marks=pytest.mark.slow),
        pytest.param((4, 2, 2), "pid", marks=pytest.mark.slow),
    ],
)
def test_training_from_patterns(hidden, phase):
    how = {"n_patterns": 6, "negative_phase": phase, "n_threads": 1}
    model = RADBM(hidden, max_iter=300, random_state=0, **how).fit(X)
    exact = Layered(model.coefs_, model.intercepts_)
    assert exact.log_p(2.0 * X - 1.0).mean() > -4.5


def test_seeds_of_pid_are_states_of_all_layers():
    phase = PatternInducedCorrelations(n_gibbs_steps=0, hidden="pattern")
    model = RADBM((4, 3), n_patterns=3, negative_phase=phase, projection="sign", random_state=0)
    model.fit(X)
    machine = get_fitted_model(model).machine
    states, _ = phase.states(machine, None, None, RandomStream(0))
    by_layer = Layers(model.layer_sizes_).by_layer(states.visible, states.hidden)
    for got, xi in zip(by_layer, model.patterns_, strict=True):
        np.testing.assert_array_equal(got, np.sign(xi))


@pytest.mark.parametrize("name", MODELS)
def test_any_number_of_threads_gives_the_same_model(name):
    one, two = (
        clone(MODELS[name]).set_params(n_threads=n).fit(rows_for(MODELS[name])) for n in (1, 2)
    )
    assert_same_model(one, two)


def test_early_stopping_goes_by_the_bound():
    model = clone(MODELS["validated"]).fit(X)
    assert {"lower_bound", "lower_bound_error", "free_energy_gap"} <= model.history_.keys()
    assert "log_likelihood" not in model.history_


# --- what is kept -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("three layers", "validated", "patterns"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("dense", "clamped", "three layers of patterns")
        ),
    ],
)
def test_files_and_pickles(name, tmp_path):
    model, rows = clone(MODELS[name]), rows_for(MODELS[name])
    model.fit(rows)
    assert np.isfinite(model.log_partition_)
    save(model, tmp_path / "model.safetensors")
    for again in (load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
        assert type(again) is type(model)
        assert again.layer_sizes_ == model.layer_sizes_
        assert_same(again._training_state, model._training_state)
        for method in ("transform", "lower_bound", "score_samples"):
            got, expected = (getattr(m, method)(rows) for m in (again, model))
            np.testing.assert_array_equal(got, expected)
        kept = clone(model)
        vars(kept).update(pickle.loads(pickle.dumps(vars(model))))
        assert_same_model(again.partial_fit(rows), kept.partial_fit(rows))


@pytest.mark.parametrize("sizes", [(9, 4, 4), (8, 4, 4), (9, 5, 3), (9, 4), (9, 4, 0), "943"])
def test_sizes_that_are_not_those_of_the_arrays(sizes, tmp_path):
    model = clone(MODELS["dense"]).fit(X)
    model.layer_sizes_ = sizes
    with pytest.raises(ValueError, match=r"layer|belong"):
        model.transform(X)
    with pytest.raises(ValueError, match=r"layer|belong"):
        save(model, tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_that_is_cut_short_goes_on(name, tmp_path):
    class Stop(Silent):
        def on_fit_task_end(self, estimator, context, **kwargs):
            if context.task_name == "epoch" and context.task_id == 1:
                raise MemoryError
            return False

    model, rows = clone(MODELS[name]), rows_for(MODELS[name])
    whole = clone(model).fit(rows)
    with pytest.raises(MemoryError):
        clone(model).set_callbacks(Checkpoint(tmp_path), Stop()).fit(rows)
    again = resume(Checkpoint.load(tmp_path), rows)
    assert again.n_iter_ == whole.n_iter_
    assert_same_model(again, whole)


@pytest.mark.slow
def test_features_say_what_a_row_is(cls):
    """By defaults; the last layer alone has a tenth to a half right, and pixels 0.93 or so."""
    digits, y = load_digits(return_X_y=True)
    features = cls(random_state=0).fit_transform(digits > 8)
    classifier = LogisticRegression(max_iter=500).fit(features[:1200], y[:1200])
    assert classifier.score(features[1200:], y[1200:]) > 0.8


@pytest.mark.parametrize("name", ["dense", "three layers of patterns"])
def test_warm_start(name):
    model = clone(MODELS[name]).set_params(warm_start=True, learning_rate=0.1).fit(X)
    first = model.components_.copy()
    model.fit(X)
    assert len(model.history_["epoch"]) == 6
    assert not np.array_equal(first, model.components_)
    sizes = model.hidden_layer_sizes
    model.set_params(hidden_layer_sizes=(7, 3)).transform(X)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(7, 3\).*fitted model has"):
        model.fit(X)
    model.set_params(hidden_layer_sizes=list(sizes)).fit(X)
    model.set_params(hidden_layer_sizes=(7, 3), warm_start=False).fit(X)
    assert model.layer_sizes_ == (9, 7, 3)


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(), (4, 0), (4, 2.5), "44", 4, (True,), None, np.array([4])])
def test_hidden_layer_sizes_that_are_none(cls, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes.*a tuple of ints above 0"):
        cls(sizes).fit(X)


def test_what_a_deep_machine_does_not_do():
    model = clone(MODELS["dense"]).fit(X)
    with pytest.raises(ValueError, match="several hidden layers"):
        model.pseudo_likelihood(X)
    model.set_params(output_layers="last")
    with pytest.raises(ValueError, match="output_layers='last'"):
        model.inverse_transform(model.transform(X))
    with pytest.raises(ValueError, match=r"init must have shape \(any, 9\)"):
        model.sample(2, init=np.ones((2, 12)))
    with pytest.raises(ValueError, match="made of patterns"):
        model.sample(2, init="patterns")
    with pytest.raises(ValueError, match="model has none"):
        DBM((3, 2), negative_phase="pid").fit(X)
