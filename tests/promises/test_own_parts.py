"""Two stories of CONTRIBUTING acted out: a new kind of columns, a negative phase with own chains.

Counts with Poisson units, in the places that a kind of columns has; and a phase whose chains are
restarted from the data when they have grown old, with a class of chains of its own.
"""

import pickle
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import poisson
from sklearn.base import clone

from sklearn_rapid import RBM
from sklearn_rapid.backends import Units
from sklearn_rapid.backends.units import Choices
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.negative_phase import Chains, NegativePhase, NegativeStates
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.kinds import KINDS

# --- a kind of columns: counts ----------------------------------------------------------------


@dataclass(frozen=True)
class Poissons(Units):
    """Counts, base(v) = 1/v!: Γ(θ) = Σ exp θ, means exp θ. It would stand in backends/units.py."""

    are_even = False

    def log_partition(self, field, backend):
        return backend.xp.sum(backend.xp.exp(backend.xp.astype(field, backend.xp.float64)), axis=1)

    def log_partition_gain(self, field, to, start, backend):
        ends = (self.log_partition(beta[:, None] * field, backend) for beta in (to, start))
        return next(ends) - next(ends)

    def mean(self, field, backend):
        return backend.xp.exp(field)

    def field_of_mean(self, mean, backend):
        return backend.xp.log(mean)

    def sample(self, field, backend, stream, draw, first_row=0):
        u = backend.random_uniform(field.shape, stream, draw, first_row)
        counts = poisson.isf(*map(backend.to_numpy, (u, backend.xp.exp(field))))
        return backend.asarray(np.maximum(counts, 0.0), str(field.dtype))

    def log_weights(self, v, field, backend):
        base = gammaln(1.0 + backend.to_numpy(v).astype(np.float64)).sum(axis=1)
        return backend.row_dots(v, field) - backend.asarray(base)

    def entropy(self, field, counted, backend):
        theta = backend.xp.astype(field, backend.xp.float64)
        terms = (1.0 - theta) * backend.xp.exp(theta)
        return backend.xp.sum(backend.xp.where(counted, terms, 0.0 * terms), axis=1)

    def variances(self, mean, backend):
        return mean

    def largest_means(self, n_units):
        return np.full(n_units, np.inf)

    def are_states(self, v):
        return bool(((v >= 0) & (v == np.floor(v))).all())

    def neighbours(self, v):
        ones = np.eye(v.size, dtype=v.dtype)
        return np.concatenate([v + ones, v - ones[v > 0]])

    def choices(self, n_units):
        each = np.ones(n_units)
        return Choices(np.inf * each, -each.astype(np.int64), each.astype(bool))


@dataclass(frozen=True)
class CountEncoder(Encoder):
    """A Poisson unit for each column. It would stand in tables/counts.py."""

    visible_units = Poissons()

    def check(self, X, name="X"):
        if not self.visible_units.are_states(X[X == X]):
            raise ValueError(f"visible='count' needs whole numbers, zero or more, in {name}")

    def states(self, X, stream=None, draw=0, n_rows=0):
        states = np.zeros((max(n_rows, X.shape[0]), X.shape[1]), dtype=self.dtype)
        states[: X.shape[0]] = X
        return self.backend.asarray(states)

    def decode(self, v, stream=None):
        return v


@pytest.fixture
def counts(monkeypatch):
    """The kind, known for as long as the test takes, and 600 rows of two kinds of days."""
    monkeypatch.setitem(KINDS, "count", CountEncoder)
    rng = np.random.default_rng(0)
    rates = np.array([[1.0, 4.0, 2.0, 0.5], [3.0, 1.0, 2.0, 6.0]])
    return rng.poisson(rates[rng.integers(2, size=600)])


class Enumerated:
    """P(v) and sums over v of a small machine, by the states of its hidden spins."""

    def __init__(self, model):
        self.W, self.b, self.c = (
            np.asarray(a, dtype=float)
            for a in (model.components_.T, model.intercept_visible_, model.intercept_hidden_)
        )
        h = np.array(list(product([-1.0, 1.0], repeat=len(self.c))))
        self.log_weights, self.rates = h @ self.c, np.exp(self.b + h @ self.W.T)

    def log_likelihood(self, X, columns=slice(None)):
        """Of some columns of X, the others summed over."""
        rates, X = self.rates[:, columns], X[:, columns]
        log_z = logsumexp(self.log_weights + self.rates.sum(axis=1))
        lacking = self.rates.sum(axis=1) - rates.sum(axis=1)
        of_h = X @ np.log(rates).T + (self.log_weights + lacking)
        return logsumexp(of_h, axis=1) - gammaln(X + 1.0).sum(axis=1) - log_z


HOW = {"n_components": 4, "random_state": 0, "max_iter": 60, "batch_size": 50}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_kind_of_columns_is_units_an_encoder_and_an_entry(counts, backend):
    model = RBM(**HOW, visible=[("count", slice(None))], backend=backend).fit(counts)
    exact = Enumerated(model)
    np.testing.assert_allclose(
        model.score_samples(counts), exact.log_likelihood(counts), rtol=0, atol=1e-4
    )
    tempered = model.log_partition("tempering", random_state=0)
    assert abs(tempered.value - model.log_partition_) < 5 * tempered.error < 0.1
    # It has learned that there are two kinds of days.
    independent = poisson.logpmf(counts, counts.mean(axis=0)).sum(axis=1)
    assert model.score(counts) > independent.mean() + 1.0
    drawn = model.sample(4000, random_state=1)
    of_model = (exact.rates * softmax(exact)[:, None]).sum(axis=0)
    error = drawn.std(axis=0) / len(drawn) ** 0.5
    assert (np.abs(drawn.mean(axis=0) - of_model) < 5 * error).all()
    assert pickle.loads(pickle.dumps(model)).score(counts) == model.score(counts)


def softmax(exact):
    log_p = exact.log_weights + exact.rates.sum(axis=1)
    return np.exp(log_p - logsumexp(log_p))


@pytest.mark.slow
def test_missing_counts(counts):
    missing = np.random.default_rng(1).random(counts.shape) < 0.1
    X = np.where(missing, np.nan, counts)
    model = RBM(**HOW, visible=[("count", slice(None))]).fit(X)
    rows = np.flatnonzero(missing[:, 0] & ~missing[:, 1:].any(axis=1))
    log_p, error = model.score_samples(X[rows], n_chains=200, return_error=True)
    expected = Enumerated(model).log_likelihood(counts[rows], slice(1, 4))
    assert (np.abs(log_p - expected) < 5 * error + 1e-3).all() and error.max() < 0.1
    filled = model.reconstruct(X, random_state=0)
    assert (filled == np.floor(filled)).all() and (filled[~missing] == counts[~missing]).all()


def test_counts_beside_other_columns(counts):
    X = np.column_stack([counts, np.random.default_rng(2).normal(size=len(counts))])
    how = {**HOW, "max_iter": 3}
    model = RBM(**how, visible=[("count", slice(4)), ("gaussian", [4])]).fit(X)
    assert [kind for kind, _ in model.visible_] == ["count", "gaussian"]
    drawn = model.sample(200, n_gibbs_steps=20, random_state=0)
    assert (drawn[:, :4] == np.floor(drawn[:, :4])).all() and drawn[:, 4].std() > 0.5
    with pytest.raises(ValueError, match=r"among the count columns 0, 1, 2, 3, .* whole numbers"):
        model.transform(X + 0.5)


def test_counts_and_real_hidden_units_are_refused(counts):
    """Σ_v exp(½ |Wᵀv|²) / Π v! diverges."""
    with pytest.raises(ValueError, match=r"sum over states may be infinite"):
        RBM(**HOW, visible=[("count", slice(None))], hidden="gaussian").fit(counts)


# --- a negative phase with chains of its own --------------------------------------------------


@dataclass(frozen=True)
class AgingChains(Chains):
    """Chains, and how many updates ago each was started."""

    states: Any
    ages: Any

    @property
    def n_rows(self):
        return self.states.shape[0]

    n_model_states = n_rows

    def model_states(self, backend):
        return self.states

    def figures(self):
        return {"mean_age": float(np.mean(self.ages))}


class Restarted(NegativePhase):
    """Chains that are started from the data, and again at a certain age."""

    def __init__(self, largest_age=20):
        self.largest_age = largest_age

    @property
    def is_persistent(self):
        return True

    def n_rows(self, couplings, batch_size, chains=None):
        return 2 * batch_size

    def start(self, machine, batch_size, stream):
        states = np.ones((batch_size, machine.n_visible), dtype=machine.visible_bias.dtype)
        # The oldest ones are restarted one after the other.
        return AgingChains(states, self.largest_age - np.arange(batch_size) % self.largest_age)

    def resume(self, chains, machine, batch_size, stream):
        start = self.start(machine, batch_size, stream)
        states = chains.model_states(machine.backend)
        if states is None:
            return start
        return replace(start, states=states[np.arange(batch_size) % len(states)])

    def states(self, machine, data, chains, stream):
        is_old = (chains.ages >= self.largest_age) & (np.arange(chains.n_rows) < len(data))
        states = chains.states.copy()
        states[is_old] = data[is_old[: len(data)].nonzero()[0]]
        states = machine.gibbs(states, 1, stream)
        return NegativeStates(states), AgingChains(states, np.where(is_old, 0, chains.ages) + 1)


BITS = np.random.default_rng(3).integers(2, size=(4, 12))[
    np.random.default_rng(4).integers(4, size=200)
]
OWN = {"n_components": 6, "max_iter": 10, "batch_size": 20, "random_state": 0, "backend": "numpy"}


def test_own_chains_train_and_are_kept():
    model = RBM(**OWN, negative_phase=Restarted()).fit(BITS)
    assert model.score(BITS) > RBM(**{**OWN, "max_iter": 1}).fit(BITS).score(BITS)
    assert 1.0 <= model.history_["mean_age"][-1] <= 20.0
    chains = get_fitted_model(model).state.chains
    assert type(chains) is AgingChains and chains.n_rows == 20
    for other in (clone(model).fit(BITS), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(get_fitted_model(other).state.chains.states, chains.states)
    # They are where plain chains of `sample` start, and where log Z by tempering does.
    drawn = model.sample(20, n_gibbs_steps=0, random_state=0)
    np.testing.assert_array_equal(2.0 * drawn - 1.0, chains.states)
    assert model.log_partition("tempering", random_state=0).is_trusted


@pytest.mark.parametrize("other", ["auto", "pcd", "cd"])
def test_own_chains_take_over_and_are_taken_over(other):
    model = RBM(**OWN, warm_start=True, negative_phase=Restarted()).fit(BITS)
    model.set_params(negative_phase=other).fit(BITS)
    assert type(get_fitted_model(model).state.chains) is not AgingChains
    model.set_params(negative_phase=Restarted()).fit(BITS)
    assert type(get_fitted_model(model).state.chains) is AgingChains


def test_own_chains_with_rows_set_aside():
    model = RBM(**OWN, negative_phase=Restarted(), early_stopping=True).fit(BITS)
    assert {"mean_age", "pseudo_likelihood"} <= model.history_.keys()
