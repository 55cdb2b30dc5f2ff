"""Columns of every kind: categories, tables of several kinds, real hidden units.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse, stats
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from tools.brute_force import central_difference, p_value
from tools.callbacks import Silent
from tools.summed import Summed, drawn

from sklearn_rapid import RARBM, RBM, diagnostics, load, save
from sklearn_rapid.backends import SPINS, Categories, Gaussians, Mixed, RandomStream, get_backend
from sklearn_rapid.callbacks import resume
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.machine.annealing import ais_log_partition
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import exact_log_partition
from sklearn_rapid.machine.tempered_partition import tempered_log_partition
from sklearn_rapid.machine.tempering import ladder_of_states, sweep_ladder
from sklearn_rapid.tables.kinds import columns_by_kind
from sklearn_rapid.training.fit.independent import COST_IN_COMPARISON, compare_with_independent
from sklearn_rapid.training.negative_phase import Exact
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.steps.visible_scale import next_scale, scale_sums
from sklearn_rapid.training.trainer import Trainer

SMALLEST_P = 1e-4
HOW = {"n_components": 5, "max_iter": 40, "batch_size": 50, "random_state": 0}

# --- machines with several kinds of units in a layer ----------------------------------------

KINDS = [("gaussians", 1), ((3, 2), 5), ("spins", 1)]
UNITS = Mixed((Gaussians(), Categories((3, 2)), SPINS), (1, 5, 1))


def make(backend, dtype="float64", scale=0.6):
    """A random machine, and the same for sums over states."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) * scale for shape in ((7, 2), 7, 2)]
    W, b, c = (backend.asarray(a, dtype) for a in arrays)
    machine = Machine(DenseCouplings(W), b, c, backend, visible_units=UNITS)
    return machine, Summed(*(a.astype(float) for a in arrays), KINDS)


def discrete(rows):
    """A number for each state of the units that are not real."""
    codes = [np.argmax(rows[:, 1:4], axis=1), np.argmax(rows[:, 4:6], axis=1), rows[:, 6] > 0]
    return np.ravel_multi_index([np.int64(c) for c in codes], (3, 2, 2))


def check_distribution(rows, exact):
    """Codes and spins together by chi-square, the real unit along its distribution function."""
    log_p, numbers = exact.log_joint(), discrete(exact.v)
    p = np.exp(log_p - logsumexp(log_p))
    counts = np.bincount(discrete(rows), minlength=12)
    expected = np.bincount(numbers, weights=p.sum(axis=1), minlength=12)
    assert p_value(counts, expected) > SMALLEST_P
    centres = exact.h @ exact.W[0] + exact.b[0]

    def cdf(x):
        return stats.norm.cdf(x[:, None] - centres) @ p.sum(axis=0)

    assert stats.kstest(rows[:, 0], cdf).pvalue > SMALLEST_P


def test_energies_and_means(backend):
    machine, exact = make(backend)
    v = exact.sample_visible(9, np.random.default_rng(1))
    rows = backend.asarray(v)
    np.testing.assert_allclose(-backend.to_numpy(machine.free_energy(rows)), exact.log_f(v))
    h = exact.transposed().sample_visible(9, np.random.default_rng(2))
    expected = exact.transposed().hidden_mean(h)
    means = backend.to_numpy(machine.visible_mean(backend.asarray(h)))
    np.testing.assert_allclose(means, expected, atol=1e-12)
    assert exact_log_partition(machine).value == pytest.approx(exact.log_z(), rel=1e-11)


def test_fields_of_means(backend):
    """Means in the fields that they are the means in."""
    machine, _ = make(backend)
    field = backend.asarray(np.linspace(-1.0, 1.0, 7)[None, :])
    mean = UNITS.mean(1.0 * field, backend)
    again = UNITS.mean(UNITS.field_of_mean(mean, backend), backend)
    np.testing.assert_allclose(backend.to_numpy(again), backend.to_numpy(mean), atol=1e-12)
    of_one = UNITS.field_of_mean(mean[0, :], backend)
    assert of_one.shape == (7,)
    assert UNITS.are_states(backend.to_numpy(machine.visible_units.sample(
        field, backend, RandomStream(0), 0)))  # fmt: skip


def test_some_columns(backend):
    """Columns of a layer make a layer, whose entropy is that of its units."""
    part = UNITS.of(np.array([0, 4, 5]))
    assert part == Mixed((Gaussians(), Categories((2,))), (1, 2))
    field = np.array([[0.3, -0.5, 1.0], [0.1, 0.2, 0.3]])
    p = np.exp(field[:, 1:] - logsumexp(field[:, 1:], axis=1, keepdims=True))
    expected = 0.5 * np.log(2 * np.pi) - 0.5 * field[:, 0] ** 2 - np.sum(p * np.log(p), axis=1)
    counted = backend.asarray(np.ones((2, 3), dtype=bool))
    got = part.entropy(backend.asarray(field), counted, backend)
    np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-12)
    np.testing.assert_array_equal(UNITS.real(7), [True, *6 * [False]])


def n_chains(backend):
    return 20_000 if backend.xp is np else 4_000


def test_gibbs_stays_in_the_distribution(backend):
    machine, exact = make(backend, "float32")
    start = exact.sample_visible(n_chains(backend), np.random.default_rng(0))
    v = machine.gibbs(backend.asarray(start, "float32"), 2, RandomStream(1))
    check_distribution(backend.to_numpy(v).astype(float), exact)


def test_every_rung_stays_in_its_distribution(backend):
    machine, exact = make(backend, "float32")
    base, betas = np.linspace(-0.4, 0.4, 7), (0.0, 0.5, 1.0)
    rungs, rng = [exact.at(beta, base) for beta in betas], np.random.default_rng(1)
    n = n_chains(backend) // 2
    states = np.stack([rung.sample_visible(n, rng) for rung in rungs], axis=1).reshape(-1, 7)
    ladder = ladder_of_states(
        backend, betas, backend.asarray(base, "float32"), backend.asarray(states, "float32")
    )
    ladder, log_ratios = sweep_ladder(ladder, machine, 3, RandomStream(6))
    for r, rung in enumerate(rungs):
        check_distribution(backend.to_numpy(ladder.states)[r::3].astype(float), rung)
    gain = rungs[1].log_f(states[::3]) - rungs[0].log_f(states[::3])
    np.testing.assert_allclose(backend.to_numpy(log_ratios)[0][::3], gain, atol=2e-5)


def test_kinds_have_random_numbers_of_their_own():
    """At fields that are given, what one kind draws says nothing of what others do."""
    backend, stream = get_backend("numba"), RandomStream(3)
    units = Mixed((Gaussians(), Categories((2,)), SPINS), (1, 2, 1))
    v = units.sample(np.zeros((40_000, 4), dtype=np.float32), backend, stream, 0)
    bits = [v[:, 0] > 0.0, v[:, 1] > 0.0, v[:, 3] > 0.0]
    counts = np.bincount(np.ravel_multi_index([np.int64(b) for b in bits], (2, 2, 2)), minlength=8)
    assert p_value(counts, np.full(8, 1.0 / 8.0)) > SMALLEST_P
    np.testing.assert_array_equal(v[1000:], units.sample(
        np.zeros((39_000, 4), dtype=np.float32), backend, stream, 0, first_row=1000))  # fmt: skip


def test_log_z_is_estimated():
    """Within five of their errors (6e-7 for normal ones)."""
    backend = get_backend("numba")
    machine, exact = make(backend, "float32")
    with backend.running():
        result, *_ = tempered_log_partition(machine, RandomStream(2), tol=0.02, max_sweeps=2000)
        assert abs(result.value - exact.log_z()) < 5 * result.error < 0.2
        mean = exact.transposed().hidden_mean(exact.h).mean(axis=0)
        mean[1:4] = [0.5, 0.5, 0.0]  # a code that no row has had
        result = ais_log_partition(
            machine, RandomStream(3), base_mean=mean, n_chains=200, n_temperatures=50
        )
    assert abs(result.value - exact.log_z()) < 5 * result.error < 0.5


class Recording(SGD):
    """An SGD that remembers the gradients it was given."""

    def direction(self, gradient, state, xp):
        self.gradient = gradient
        return super().direction(gradient, state, xp)


def test_gradient_of_the_log_likelihood(backend):
    """By finite differences."""
    machine, exact = make(backend)
    data = exact.sample_visible(7, np.random.default_rng(3))
    optimizer, batch = Recording(), backend.asarray(data)
    trainer = Trainer(Exact(), optimizer, batch_size=7, center=False)
    state = trainer.start(machine.couplings, batch, RandomStream(0), backend, visible_units=UNITS)
    state.machine = machine
    before = {k: backend.to_numpy(p).copy() for k, p in machine.parameters.items()}
    trainer.update(state, batch, rate=0.01)
    fields = {"weights": "W", "visible_bias": "b", "hidden_bias": "c"}
    for name, value in before.items():

        def log_likelihood(x, name=name):
            return replace(exact, **{fields[name]: x}).log_likelihood(data)

        got = backend.to_numpy(optimizer.gradient[name])
        np.testing.assert_allclose(got, central_difference(log_likelihood, value), atol=2e-9)


def test_scales_of_other_units_stay(backend):
    machine, exact = make(backend)
    rows = backend.asarray(exact.sample_visible(20, np.random.default_rng(4)))
    ones = backend.asarray(np.ones(7))
    sums = scale_sums(machine, rows)
    got = next_scale(ones, 2.0 * ones, 0.1 * ones, machine, sums, 1.0, 0.0 * ones)
    got = backend.to_numpy(got)
    assert got[0] != 1.0
    np.testing.assert_array_equal(got[1:], 1.0)


# --- categories -----------------------------------------------------------------------------

SIZES = (3, 3, 2)


def codes(n_rows=400, seed=0):
    """Three columns of codes that hang together; those of the first are 1, 3 and 5."""
    rng = np.random.default_rng(seed)
    first, last = rng.integers(3, size=n_rows), rng.integers(2, size=n_rows)
    second = np.where(rng.random(n_rows) < 0.2, rng.integers(3, size=n_rows), first)
    return np.column_stack([2 * first + 1, second, np.where(first > 1, 1, last)])


X = codes()
ALL_CODES = np.array(list(product([1, 3, 5], [0, 1, 2], [0, 1])))
MODELS = {
    "RBM": RBM(**HOW, visible="categorical"),
    "RARBM": RARBM(**HOW, n_patterns=6, visible="categorical"),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return clone(request.param)


def one_hot(rows):
    return OneHotEncoder(sparse_output=False).fit(ALL_CODES).transform(rows)


def summed(model, hidden="spins"):
    """The fitted machine for sums over states."""
    b, c = (a.astype(float) for a in (model.intercept_visible_, model.intercept_hidden_))
    return Summed(model.components_.T.astype(float), b, c, SIZES, hidden)


def test_probabilities(model):
    """Of all codes they sum to one, and they are those of the sum over states."""
    model.fit(X)
    assert model.components_.shape == (5, 8)
    np.testing.assert_array_equal(model.column_of_unit_, [0, 0, 0, 1, 1, 1, 2, 2])
    for found, wanted in zip(model.categories_, ([1, 3, 5], [0, 1, 2], [0, 1]), strict=True):
        np.testing.assert_array_equal(found, wanted)
    log_p = model.score_samples(ALL_CODES)
    assert logsumexp(log_p) == pytest.approx(0.0, abs=1e-5)
    exact = summed(model)
    expected = exact.log_f(one_hot(ALL_CODES)) - exact.log_z()
    np.testing.assert_allclose(log_p, expected, atol=1e-5)
    np.testing.assert_allclose(
        model.free_energy(ALL_CODES), -exact.log_f(one_hot(ALL_CODES)), rtol=1e-5
    )


@pytest.mark.slow
def test_it_learns(model):
    """Nearly the entropy of the rows, and more than independent columns."""
    model.set_params(max_iter=150).fit(X)
    counts = np.unique(X, axis=0, return_counts=True)[1]
    best = np.sum(counts / 400 * np.log(counts / 400))
    assert best - 0.05 < model.score(X) < best + 1e-4
    for phase in ("exact", "cd", "pcd"):
        other = clone(model).set_params(negative_phase=phase, early_stopping=True).fit(X)
        assert other.score(X) > best - 0.2


@pytest.mark.slow
def test_samples_are_from_the_model(model):
    model.fit(X)
    drawn_codes = model.sample(4000, random_state=1)
    assert drawn_codes.dtype == np.float32
    numbers = (ALL_CODES[:, None, :] == drawn_codes).all(axis=2).argmax(axis=0)
    np.testing.assert_array_equal(ALL_CODES[numbers], drawn_codes)
    # A ladder's samples are not quite independent: as few as are counted for sure.
    counts = np.bincount(numbers[::4], minlength=len(ALL_CODES))
    assert p_value(counts, np.exp(model.score_samples(ALL_CODES))) > SMALLEST_P
    for how in ({"init": "random"}, {"init": X}, {"n_gibbs_steps": 30}):
        some = model.sample(50, **{"n_gibbs_steps": 5, **how}, random_state=0)
        assert set(np.unique(some[:, 0])) <= {1.0, 3.0, 5.0}
    np.testing.assert_array_equal(model.gibbs(X, 0), X)


@pytest.mark.slow
@pytest.mark.parametrize("tempered", [True, False])
def test_reconstruct(model, tempered):
    """The missing code given the others, by its conditional distribution."""
    model.fit(X)
    row = np.array([[3.0, np.nan, 1.0]])
    how = {"tempered": tempered, "n_gibbs_steps": 30, "random_state": 0}
    filled = model.reconstruct(np.tile(row, (2000, 1)), **how)
    np.testing.assert_array_equal(filled[:, [0, 2]], 2000 * [[3.0, 1.0]])
    rows = np.array([[3, code, 1] for code in range(3)])
    log_p = model.score_samples(rows)
    p = np.exp(log_p - logsumexp(log_p))
    assert p_value(np.bincount(filled[:, 1].astype(int), minlength=3), p) > SMALLEST_P
    likely = model.reconstruct(row, output="mean", **how)
    np.testing.assert_array_equal(likely, rows[[p.argmax()]])
    masked = model.reconstruct(X[:5], np.array([True, False, True]), random_state=0)
    np.testing.assert_array_equal(masked[:, [0, 2]], X[:5, [0, 2]])


def test_features_and_back(model):
    model.set_params(dtype="float64").fit(X)
    theta = one_hot(X) @ model.components_.T + model.intercept_hidden_
    np.testing.assert_allclose(model.transform(X), 0.5 * (1 + np.tanh(theta)), atol=1e-12)
    field = np.tanh(theta) @ model.components_ + model.intercept_visible_
    likely = [model.categories_[j][field[:, g].argmax(axis=1)] for j, g in enumerate(
        (slice(0, 3), slice(3, 6), slice(6, 8)))]  # fmt: skip
    np.testing.assert_array_equal(
        model.inverse_transform(model.transform(X)), np.column_stack(likely)
    )


def test_a_one_hot_machine_is_the_same_on_one_hot_rows():
    """Parameters for spins s = 2x - 1: the log-likelihoods differ by a constant."""
    model = RBM(**HOW, visible="categorical", dtype="float64").fit(X)
    bits = one_hot(ALL_CODES)
    plain = RBM(5, max_iter=1, random_state=0, dtype="float64").fit(bits)
    W = model.components_
    plain.components_ = 0.5 * W
    plain.intercept_visible_ = 0.5 * model.intercept_visible_
    plain.intercept_hidden_ = model.intercept_hidden_ + 0.5 * W.sum(axis=1)
    difference = model.score_samples(ALL_CODES) - plain.score_samples(bits)
    assert difference[0] > 0.0
    np.testing.assert_allclose(difference, difference[0], atol=1e-10)


@pytest.mark.slow
def test_codes_in_other_words():
    """What codes are called, and what type they have, does not matter."""
    model = RBM(**HOW, visible="categorical")
    expected = clone(model).fit(X).score_samples(X)
    for rows in (X.astype(np.uint8), X.astype(float), X.tolist(), -7.0 + 3.0 * X):
        np.testing.assert_array_equal(clone(model).fit(rows).score_samples(rows), expected)
    text = pd.DataFrame({"a": list("xyz"), "b": list("ppq")})
    with pytest.raises(ValueError, match=r"'x' in column 0.*OrdinalEncoder"):
        model.fit(text.to_numpy())
    coded = OrdinalEncoder().fit_transform(text)
    model.set_params(max_iter=1).fit(coded)
    assert model.n_features_in_ == 2 and model.components_.shape == (5, 5)


def test_codes_of_rows_of_weight_zero_are_known():
    """Such rows have no say in anything else."""
    rows, weights = np.vstack([X, [[1, 4, 0]]]), np.append(np.ones(len(X)), 0.0)
    model = RBM(**HOW, visible="categorical").fit(rows, sample_weight=weights)
    np.testing.assert_array_equal(model.categories_[1], [0, 1, 2, 4])
    with_new = ALL_CODES[::3].copy()
    with_new[:, 1] = 4
    of_new = np.exp(model.score_samples(with_new))
    assert of_new.sum() < 0.01


def test_constant_columns_say_nothing():
    """A group of one unit, which is always on: nothing of it is learned."""
    model = RBM(**HOW, visible="categorical", negative_phase="exact", init_scale=0.0)
    rows = np.column_stack([X, np.full(len(X), 9)])
    model.fit(rows)
    assert model.components_.shape == (5, 9)
    np.testing.assert_allclose(model.components_[:, 8], 0.0, atol=1e-4)
    everything = np.column_stack([ALL_CODES, np.full(len(ALL_CODES), 9)])
    assert logsumexp(model.score_samples(everything)) == pytest.approx(0.0, abs=1e-5)


def test_a_fit_is_compared_with_independent_columns(model):
    """Log-likelihoods of independent codes, at their frequencies but for a row in no field."""
    model.fit(X)
    backend = get_backend("numpy")
    state = get_fitted_model(model, backend=backend).state
    weight = 2.0 * COST_IN_COMPARISON * 400 / sum(SIZES)
    in_no_field = np.repeat(1.0 / np.array(SIZES), SIZES)
    p = (one_hot(X).sum(axis=0) + weight * in_no_field) / (400 + weight)
    found = compare_with_independent(state, one_hot(X), None)
    assert found.independent == pytest.approx(np.mean(one_hot(X) @ np.log(p)), rel=1e-12)
    assert found.score == pytest.approx(model.score(X), abs=1e-4)
    assert not found.is_worse
    assert replace(found, score=found.independent - found.error - 0.06).is_worse
    rare = X[X[:, 0] > 1]
    assert np.isfinite(compare_with_independent(state, one_hot(rare), None).independent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x + 0.5, r"whole numbers, got 0.5 in column 1.*OrdinalEncoder"),
        (lambda x: np.where(x == 5, 2**25, x), r"up to 16777216 .* 3.35544e\+07 in column 0"),
        (sparse.csr_array, "dense X|dense data|Sparse"),
    ],
)
def test_bad_codes_are_named(model, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(change(X) if "0.5" not in message else np.where(X == 2, 0.5, X))
    assert not hasattr(model, "categories_")


def test_unknown_codes_are_refused(model):
    model.fit(X)
    wrong = X[:3].copy()
    wrong[1, 1] = 7
    message = r"X has the code 7 in column 1, where the fit has seen 0, 1, 2 only"
    for method in ("transform", "score_samples", "gibbs", "reconstruct", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(wrong)
    with pytest.raises(ValueError, match="init has the code 7"):
        model.sample(2, init=wrong)


def test_what_is_of_spins_says_so(model):
    with pytest.raises(ValueError, match=r"leave it at 'auto', got 0.5"):
        clone(model).set_params(binarize=0.5).fit(X)
    model.fit(X)
    with pytest.raises(ValueError, match="flipping spins"):
        model.pseudo_likelihood(X)
    with pytest.raises(ValueError, match=r"about spins, got .* with categorical columns"):
        diagnostics.ground_state_energy(model)
    if isinstance(model, RARBM):
        with pytest.raises(ValueError, match="no states of real columns or categories"):
            model.sample(3, init="patterns")
        for wrong in ({"negative_phase": "pid"}, {"projection": "gibbs"}):
            with pytest.raises(ValueError, match="patterns"):
                clone(model).set_params(**wrong).fit(X)


# --- tables of several kinds ----------------------------------------------------------------


def table(n_rows=300, seed=0):
    """A frame with two real columns, one of codes and one of bits, which hang together."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n_rows)
    return pd.DataFrame({
        "height": 170.0 + 5.0 * group + rng.normal(size=n_rows),
        "group": 10 * group,
        "bit": np.where(rng.random(n_rows) < 0.8, group > 1, group < 1).astype(int),
        "noise": rng.normal(size=n_rows) * 1e-3,
    })  # fmt: skip


T = table()
NAMED = [("gaussian", ["height", "noise"]), ("categorical", ["group"]), ("binary", "bit")]


@pytest.fixture(params=[RBM, RARBM])
def mixed(request):
    patterns = {"n_patterns": 6} if request.param is RARBM else {}
    return request.param(**HOW, **patterns, visible=NAMED)


def of_mixed(model):
    """The fitted machine for sums over states, and rows of X as its states."""
    b, c = (a.astype(float) for a in (model.intercept_visible_, model.intercept_hidden_))
    kinds = [("gaussians", 2), ((3,), 3), ("spins", 1)]
    exact = Summed(model.components_.T.astype(float), b, c, kinds)

    def states(X):
        X = np.asarray(X, dtype=float)
        v = (X[:, [0, 3]] - model.mean_[:2]) / model.scale_[:2]
        return np.column_stack([v, X[:, [1]] == [0, 10, 20], 2 * X[:, 2] - 1])

    return exact, states


def test_densities_of_tables(mixed):
    mixed.fit(T)
    np.testing.assert_array_equal(mixed.column_of_unit_, [0, 3, 1, 1, 1, 2])
    np.testing.assert_array_equal(mixed.scale_[2:], 1.0)
    exact, states = of_mixed(mixed)
    expected = exact.log_f(states(T)) - exact.log_z() - np.sum(np.log(mixed.scale_[:2]))
    np.testing.assert_allclose(mixed.score_samples(T), expected, atol=1e-4)
    assert mixed.log_partition("tempering").value == pytest.approx(exact.log_z(), abs=0.3)


def test_densities_integrate_to_one(mixed):
    """Over a grid of the real columns (the trapezoidal rule), all codes and bits."""
    mixed.fit(T)
    heights = np.linspace(150.0, 210.0, 241)
    noise = np.linspace(-8e-3, 8e-3, 121)
    total = 0.0
    for group, bit in product([0, 10, 20], [0, 1]):
        grid = np.array(list(product(heights, [group], [bit], noise)))
        total += np.exp(mixed.score_samples(pd.DataFrame(grid, columns=T.columns))).sum()
    assert total * 0.25 * (noise[1] - noise[0]) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_without_couplings_columns_are_independent(mixed):
    """The product of normal densities and of the frequencies of codes and bits."""
    mixed.fit(T)
    for name in mixed._fitted_shapes:
        if "patterns" in name or name == "components_":
            setattr(mixed, name, np.zeros_like(getattr(mixed, name)))
    p = np.array([0.2, 0.5, 0.3])
    mixed.intercept_visible_ = np.float32([0.0, 0.0, *np.log(p), 0.7])
    expected = stats.norm.logpdf(T[["height", "noise"]], mixed.mean_[:2], mixed.scale_[:2]).sum(1)
    expected += np.log(p)[T["group"] // 10] - np.log1p(np.exp(-1.4 * (2 * T["bit"] - 1)))
    np.testing.assert_allclose(mixed.score_samples(T), expected, rtol=1e-5)


@pytest.mark.slow
def test_it_learns_what_columns_say_of_one_another(mixed):
    mixed.set_params(max_iter=150).fit(T)
    alone = clone(mixed).set_params(l1_penalty=0.0, learning_rate=1e-9, max_iter=1).fit(T)
    assert mixed.score(T) > alone.score(T) + 1.0
    gaps = T.astype(float)
    gaps["group"] = np.nan
    filled = mixed.reconstruct(gaps, output="mean", random_state=0)
    assert np.mean(filled["group"] == T["group"]) > 0.9
    others = ["height", "bit", "noise"]
    np.testing.assert_array_equal(filled[others], T[others])


@pytest.mark.slow
def test_samples_of_tables(mixed):
    mixed.fit(T)
    exact, states = of_mixed(mixed)
    rows = mixed.sample(3000, random_state=2).to_numpy()
    assert rows.shape == (3000, 4)
    # A ladder's samples are not quite independent: as few as are counted for sure.
    rows = rows[::4]
    expected = drawn_rows(exact, 20_000)
    v = states(rows)
    for j in range(6):
        assert stats.ks_2samp(v[:, j], expected[:, j]).pvalue > SMALLEST_P
    back = mixed.inverse_transform(mixed.transform(T))
    assert set(back["group"]) <= {0, 10, 20} and set(back["bit"]) <= {0, 1}


def drawn_rows(exact, n_rows):
    rng = np.random.default_rng(0)
    h = exact.h[rng.choice(len(exact.h), size=n_rows, p=exact.hidden_probabilities())]
    field = h @ exact.W.T + exact.b
    parts = (("gaussians", slice(0, 2)), ((3,), slice(2, 5)), ("spins", slice(5, 6)))
    return np.hstack([drawn(kind, field[:, where], rng) for kind, where in parts])


@pytest.mark.slow
@pytest.mark.parametrize(
    "visible",
    [
        [("gaussian", [0, -1]), ("categorical", 1), ("binary", np.array([2]))],
        (("gaussian", np.array([True, False, False, True])), ("categorical", [1]), ("binary", [2])),
        [("gaussian", slice(None, None, 3)), ("categorical", slice(1, 2)), ("binary", slice(2, 3))],
    ],
)
def test_columns_by_number_mask_or_slice(visible):
    expected = RBM(**HOW, visible=NAMED).fit(T)
    model = RBM(**HOW, visible=visible).fit(T.to_numpy())
    np.testing.assert_array_equal(model.score_samples(T.to_numpy()), expected.score_samples(T))


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        ([("gaussian", [0, 3])], "each of the 4 columns of X once, got column 'group' 0 times"),
        ([("gaussian", [0, 3]), ("binary", [1, 2, 3])], "column 'noise' 2 times"),
        ([("gaussian", [0, 4]), ("binary", [1, 2])], r"of 4 columns; got \[0, 4\]"),
        ([("gaussian", "weight"), ("binary", [1, 2])], "a column 'weight', which X does not"),
        ([("reals", [0, 1, 2, 3])], r"one of 'binary', .* got \('reals'"),
        (["gaussian"], "got 'gaussian' in the list"),
        ([("binary", [1]), ("binary", [2])], "each kind once, got 'binary' twice"),
        ([("gaussian", lambda X: X)], "columns in visible must be numbers"),
        ([("gaussian", 0.5)], "columns in visible must be numbers"),
        ([], "each of the 4 columns of X once"),
    ],
)
def test_bad_tables_are_explained(visible, message):
    with pytest.raises(ValueError, match=message):
        RBM(**HOW, visible=visible).fit(T)


def test_errors_say_which_columns_they_count(mixed):
    for column, value, message in (
        ("noise", 1.0, "among the gaussian columns 0, 3, counted from 0: .* column 1"),
        ("group", 0.5, "among the categorical columns 1, counted from 0: .* got 0.5 in column 0"),
    ):
        kinds = [("gaussian", [0, 3]), ("categorical", [1]), ("binary", [2])]
        with pytest.raises(ValueError, match=message):
            clone(mixed).set_params(visible=kinds).fit(T.assign(**{column: value}).to_numpy())
    with pytest.raises(ValueError, match="column 'noise' has the value 1 alone"):
        clone(mixed).fit(T.assign(noise=1.0))
    mixed.fit(T)
    with pytest.raises(ValueError, match=r"the code 5 in column"):
        mixed.transform(T.assign(group=5))
    with pytest.raises(ValueError, match=r"names columns, 'height' for one"):
        clone(mixed).fit(T.to_numpy())


@pytest.mark.slow
def test_bits_of_tables_are_thresholded():
    rows = T.assign(bit=np.where(T["bit"] > 0, 7.0, 2.0))
    expected = RBM(**HOW, visible=NAMED).fit(T)
    model = RBM(**HOW, visible=NAMED, binarize=5.0).fit(rows)
    np.testing.assert_array_equal(model.score_samples(rows), expected.score_samples(T))
    drawn_each_time = RBM(**HOW, visible=NAMED).fit(T.assign(bit=0.5 * T["bit"]))
    assert drawn_each_time.binarize_ == "sample"
    with pytest.raises(ValueError, match=r"holds means in .* in column 'bit'"):
        RBM(**HOW, visible=NAMED, binarize=None).fit(rows)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_frames(kind, frame):
    """Rows are frames with the columns and index of X, of the library that is asked for."""
    model = RBM(**HOW, visible=NAMED).fit(T)
    other = clone_fitted(model).set_output(transform=kind)
    rows = T[10:20]
    for method, args in (
        ("inverse_transform", (model.transform(rows),)),
        ("reconstruct", (rows, np.zeros(4, dtype=bool))),
        ("gibbs", (rows, 2)),
        ("sample", (10,)),
    ):
        how = {} if method == "inverse_transform" else {"random_state": 0}
        expected, table = (getattr(m, method)(*args, **how) for m in (model, other))
        assert isinstance(expected, pd.DataFrame) and isinstance(table, frame)
        assert list(table.columns) == list(T.columns)
        np.testing.assert_array_equal(table.to_numpy(), expected)
    if kind == "pandas":
        assert list(other.reconstruct(rows).index) == list(rows.index)
    bare = RBM(**HOW, visible="categorical").fit(X).set_output(transform=kind)
    assert isinstance(bare.sample(3, random_state=0), np.ndarray)


# --- real hidden units ----------------------------------------------------------------------

BITS = np.random.default_rng(5).integers(2, size=(300, 1)) ^ (
    np.random.default_rng(6).random((300, 6)) < 0.15
).astype(np.int64)


@pytest.fixture(params=[RBM(3, hidden="gaussian"), RARBM(3, 4, hidden="gaussian")])
def hopfield(request):
    return clone(request.param).set_params(max_iter=60, random_state=0)


def test_the_hopfield_model(hopfield):
    """P(v) ∝ exp(½ vᵀWWᵀv + (b + Wc)·v), summed over all states."""
    hopfield.fit(BITS)
    W = hopfield.components_.T.astype(float)
    field = hopfield.intercept_visible_ + W @ hopfield.intercept_hidden_
    states = np.array(list(product([0, 1], repeat=6)))

    def log_f(bits):
        v = 2.0 * bits - 1.0
        return 0.5 * np.einsum("ni,ij,nj->n", v, W @ W.T, v) + v @ field

    expected = log_f(BITS) - logsumexp(log_f(states))
    np.testing.assert_allclose(hopfield.score_samples(BITS), expected, atol=1e-4)
    tempered = hopfield.log_partition("tempering")
    exact = hopfield.log_partition("exact")
    assert abs(tempered.value - exact.value) < 5 * tempered.error < 1.0
    independent = clone(hopfield).set_params(learning_rate=1e-9, max_iter=1).fit(BITS)
    assert hopfield.score(BITS) > independent.score(BITS) + 0.5


@pytest.mark.parametrize("units", ["binary", "spin"])
def test_features_are_real(hopfield, units):
    v = 2.0 * BITS - 1.0
    hopfield.set_params(units=units, dtype="float64")
    hopfield.fit(BITS if units == "binary" else v)
    rows = BITS if units == "binary" else v
    features = hopfield.transform(rows)
    expected = v @ hopfield.components_.T + hopfield.intercept_hidden_
    np.testing.assert_allclose(features, expected, atol=1e-12)
    back = np.tanh(features @ hopfield.components_ + hopfield.intercept_visible_)
    back = 0.5 * (1.0 + back) if units == "binary" else back
    np.testing.assert_allclose(hopfield.inverse_transform(features), back, atol=1e-12)
    hopfield.set_params(hidden_features="sample")
    noise = hopfield.transform(rows) - expected
    assert stats.kstest(noise.ravel(), "norm").pvalue > SMALLEST_P


@pytest.mark.slow
def test_real_hidden_units_below_categories(model):
    model.set_params(hidden="gaussian", n_components=3).fit(X)
    states = one_hot(ALL_CODES)
    theta = states @ model.components_.T.astype(float) + model.intercept_hidden_
    log_f = 0.5 * np.sum(theta**2, axis=1) + states @ model.intercept_visible_
    log_p = log_f - logsumexp(log_f)
    estimate = model.log_partition()
    assert estimate.method == "tempering"
    np.testing.assert_allclose(model.score_samples(ALL_CODES), log_p, atol=5 * estimate.error)
    with pytest.raises(ValueError, match="made of spins"):
        model.log_partition("exact")
    with pytest.raises(ValueError, match="made of spins"):
        model.set_params(negative_phase="exact").fit(X)


def test_real_units_on_both_sides_are_refused():
    for visible in ("gaussian", NAMED):
        with pytest.raises(ValueError, match="hidden='gaussian' needs visible units that are"):
            RBM(**HOW, visible=visible, hidden="gaussian").fit(T)
    with pytest.raises(ValueError, match="hidden"):
        RBM(hidden="real").fit(BITS)


def test_patterns_of_real_units(hopfield):
    """Their visible part has signs to start chains from; real ones cannot be drawn as spins are."""
    if isinstance(hopfield, RBM):
        pytest.skip("no patterns")
    fitted = clone(hopfield).set_params(negative_phase="pid").fit(BITS)
    assert np.isfinite(fitted.components_).all()
    with pytest.raises(ValueError, match="patterns"):
        clone(hopfield).set_params(projection="gibbs").fit(BITS)


# --- all of them, as estimators -------------------------------------------------------------

WITH_ROWS = {
    "categories": (RBM(**HOW, visible="categorical"), X),
    "patterns": (RARBM(**HOW, n_patterns=6, visible="categorical"), X),
    "table": (RBM(**HOW, visible=NAMED), T),
    "table of patterns": (RARBM(**HOW, n_patterns=6, visible=NAMED), T),
    "hopfield": (RBM(**HOW, hidden="gaussian"), BITS),
}


@pytest.fixture(params=WITH_ROWS.values(), ids=WITH_ROWS)
def estimator_and_rows(request):
    estimator, rows = request.param
    return clone(estimator), rows


def assert_same(one, two, rows):
    np.testing.assert_array_equal(one.score_samples(rows), two.score_samples(rows))
    np.testing.assert_array_equal(one.sample(5, random_state=0), two.sample(5, random_state=0))


@pytest.mark.slow
def test_threads_do_not_matter(estimator_and_rows):
    estimator, rows = estimator_and_rows
    one, two = (clone(estimator).set_params(n_threads=n).fit(rows) for n in (1, 2))
    assert_same(one, two, rows)


@pytest.mark.slow
def test_one_epoch_is_one_partial_fit(estimator_and_rows):
    estimator, rows = estimator_and_rows
    estimator.set_params(shuffle=False, max_iter=1)
    assert_same(clone(estimator).fit(rows), clone(estimator).partial_fit(rows), rows)


@pytest.mark.slow
def test_pickles_and_files(estimator_and_rows, tmp_path):
    pytest.importorskip("safetensors")
    estimator, rows = estimator_and_rows
    estimator.fit(rows)
    save(estimator, tmp_path / "model")
    for again in (pickle.loads(pickle.dumps(estimator)), load(tmp_path / "model")):
        assert_same(again, estimator, rows)
        assert_same(again.partial_fit(rows), clone_fitted(estimator).partial_fit(rows), rows)


def clone_fitted(estimator):
    return pickle.loads(pickle.dumps(estimator))


class InterruptedAfter(Silent):
    """Stands for a user who stops a fit after so many epochs."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def on_fit_task_end(self, estimator, context):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_fit_that_was_cut_short_goes_on(estimator_and_rows):
    estimator, rows = estimator_and_rows
    whole = clone(estimator).fit(rows)
    stopped = clone(estimator).set_callbacks(InterruptedAfter(10))
    with pytest.warns(UserWarning, match="interrupted"):
        stopped.fit(rows)
    assert stopped.n_iter_ == 10
    assert_same(resume(stopped.set_callbacks(), rows), whole, rows)


@pytest.mark.slow
def test_warm_start_and_early_stopping(estimator_and_rows):
    estimator, rows = estimator_and_rows
    estimator.set_params(warm_start=True, early_stopping=True, max_iter=5).fit(rows)
    first = estimator.score(rows)
    estimator.set_params(max_iter=30).fit(rows)
    assert estimator.score(rows) > first - 0.2
    assert np.all(np.isfinite(estimator.history_["log_likelihood"]))


@pytest.mark.slow
def test_rows_of_weight_zero_have_no_say(estimator_and_rows):
    estimator, rows = estimator_and_rows
    weights = np.arange(len(rows)) % 2
    estimator.set_params(batch_size=20, shuffle=False, max_iter=2)
    expected = clone(estimator).fit(rows, sample_weight=weights)
    other = rows.copy()
    other[::2] = other[1::2].to_numpy() if isinstance(rows, pd.DataFrame) else other[1::2]
    assert_same(clone(estimator).fit(other, sample_weight=weights), expected, rows)


@pytest.mark.slow
def test_on_a_gpu(cupy_stand_in, estimator_and_rows):
    """The same but for rounding, from NumPy's rows and from CuPy's; results are where rows are."""
    estimator, rows = estimator_and_rows
    estimator.set_params(max_iter=5)
    here = clone(estimator).fit(rows)
    there = clone(estimator).set_params(backend="cupy").fit(rows)
    assert there.score(rows) == pytest.approx(here.score(rows), abs=0.02)
    if isinstance(rows, pd.DataFrame):
        return
    on_device = cupy_stand_in.asarray(rows)
    fitted = clone(there).fit(on_device)
    features = fitted.transform(on_device)
    np.testing.assert_allclose(features.get(), there.transform(rows), atol=1e-4)
    filled = fitted.reconstruct(on_device, np.arange(rows.shape[1]) > 0, random_state=0)
    expected = there.reconstruct(rows, np.arange(rows.shape[1]) > 0, random_state=0)
    np.testing.assert_array_equal(filled.get(), expected)


def test_kinds_belong_to_the_fit(estimator_and_rows):
    estimator, rows = estimator_and_rows
    estimator.set_params(max_iter=1).fit(rows)
    parts = [("binary", slice(1)), ("gaussian", slice(1, None))]
    for wrong in ({"visible": "gaussian"}, {"visible": parts}):
        with pytest.raises(ValueError, match=r"is set, and visible=.* was fitted"):
            clone_fitted(estimator).set_params(**wrong).transform(rows)
    other = {"binary": "gaussian", "gaussian": "binary"}[estimator.hidden]
    with pytest.raises(ValueError, match=r"is set, and hidden=.* was fitted"):
        clone_fitted(estimator).set_params(hidden=other).transform(rows)


def test_what_was_fitted_before_leaves_nothing(estimator_and_rows):
    estimator, rows = estimator_and_rows
    estimator.set_params(max_iter=1).fit(rows)
    estimator.set_params(visible="binary", hidden="binary").fit(BITS)
    assert not {"mean_", "scale_", "categories_", "hidden_"} & vars(estimator).keys()
    assert [(kind, list(columns)) for kind, columns in estimator.visible_] == [
        ("binary", list(range(6)))
    ]
    np.testing.assert_array_equal(estimator.column_of_unit_, np.arange(6))


def test_damaged_categories_are_noticed():
    model = RBM(**HOW, visible="categorical").fit(X)
    for damage in ([], model.categories_[:2], [*model.categories_[:2], np.array([1.0, 1.0])]):
        broken = clone_fitted(model)
        broken.categories_ = damage
        with pytest.raises(ValueError, match="categories_ must hold the codes"):
            broken.transform(X)
    broken = clone_fitted(model)
    broken.categories_ = [*model.categories_[:2], np.arange(3.0)]
    with pytest.raises(ValueError, match="do not belong together"):
        broken.score(np.array([[1, 0, 0]]))


def test_names_of_kinds():
    named = columns_by_kind(
        [("binary", ["b", "a"]), ("gaussian", "c")], 3, np.array(["a", "b", "c"])
    )
    assert [(kind, list(columns)) for kind, columns in named] == [
        ("binary", [1, 0]), ("gaussian", [2])]  # fmt: skip
