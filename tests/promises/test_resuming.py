"""Training that goes on with other parameters than it was begun with."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.chains import PlainChains, TemperedChains
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    Exact,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay
from sklearn_rapid.training.trainer import Trainer

X = make_bars(3)
N_TRANSITIONS = 150


def fitted_parameters(model):
    names = ["components_", "intercept_visible_", "intercept_hidden_"]
    return {name: getattr(model, name) for name in names}


# --- transitions of all kinds -----------------------------------------------------------

CHOICES = {
    "negative_phase": [
        "auto",
        "pcd",
        "cd",
        "exact",
        ContrastiveDivergence(2),
        ParallelTempering(n_chains=5),
        ParallelTempering(n_chains=30, n_columns=3),
        ParallelTempering(n_columns=2, n_rungs=5, n_sweeps=2),
        PersistentContrastiveDivergence(n_chains=3),
        PersistentContrastiveDivergence(n_chains=40),
        "pid",
        PatternInducedCorrelations(persistent=False),
        PatternInducedCorrelations(n_gibbs_steps=0),
    ],
    "optimizer": ["sgd", "adam", SGD(momentum=0.5), SGD(0.3, scaled=False), Adam(beta1=0.5)],
    "learning_rate": ["auto", 0.1, ExponentialDecay(0.2)],
    "fit_intercept": [True, False],
    "center": [True, False],
    "batch_size": [1, 7, 100],
    "dtype": ["float32", "float64"],
    "backend": ["numba", "numpy"],
    "l1_penalty": [0.0, 0.1],
    "l2_penalty": [0.0, 0.1],
    "binarize": ["auto", "sample", None],
    "shuffle": [True, False],
    "early_stopping": [True, False],
    "n_components": [3, 3, 3, 3, 4],
    "max_iter": [1, 2],
}
OF_PATTERNS = {
    "n_patterns": [2, 2, 2, 2, 3],
    "projection": ["clip", "sign", "gibbs", None],
    "projection_period": ["update", "epoch", 2],
}


def drawn(choices, rng):
    """One of the choices for each parameter."""
    return {name: values[rng.integers(len(values))] for name, values in choices.items()}


def wrong_from_the_start(model):
    """Whether not even a first fit takes these parameters."""
    phase = model.negative_phase
    return isinstance(model, RBM) and (phase == "pid" or getattr(phase, "needs_patterns", False))


def what_is_refused(before, model):
    """The parameter whose change has to be refused, or None."""
    for name in ("n_components", "n_patterns"):
        if getattr(model, name, None) != getattr(before, name, None):
            return name
    has_biases = before.intercept_visible_.any() or before.intercept_hidden_.any()
    if not model.fit_intercept and has_biases:
        return "fit_intercept"
    return "PatternInducedCorrelations" if wrong_from_the_start(model) else None


@pytest.mark.slow
@pytest.mark.parametrize("cls", [RBM, RARBM])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_random_transitions_work_or_are_refused(cls, method):
    """Every parameter may change; what cannot go on says so, and leaves the model as it was."""
    rng = np.random.default_rng([cls is RBM, method == "fit"])
    choices = CHOICES if cls is RBM else {**CHOICES, **OF_PATTERNS}
    n_refused, n_done = 0, 0
    model = None
    warnings.simplefilter("ignore")
    for _ in range(N_TRANSITIONS):
        if model is None:
            model = cls(warm_start=True, random_state=0).set_params(**drawn(choices, rng))
            if wrong_from_the_start(model):
                model = None
                continue
            model = clone(model).fit(X)
        before = pickle.loads(pickle.dumps(model))
        changed = drawn(choices, rng)
        names = rng.choice(list(choices), rng.integers(1, 5), replace=False)
        model.set_params(**{name: changed[name] for name in names})
        if refused := what_is_refused(before, model):
            with pytest.raises(ValueError, match=refused):
                getattr(model, method)(X)
            assert pickle.dumps(vars(before)["_training_state"]) == pickle.dumps(
                vars(model)["_training_state"]
            )
            n_refused += 1
            model = before
            continue
        getattr(model, method)(X)
        n_done += 1
        for name, value in fitted_parameters(model).items():
            assert np.isfinite(value).all(), name
            assert value.dtype == model.dtype, name
        assert model.components_.shape == (model.n_components, 9)
        assert model.fit_intercept or not model.intercept_visible_.any()
        assert model.transform(X).dtype == model.dtype
        if rng.random() < 0.1:
            model = None
    assert n_refused > N_TRANSITIONS / 20 and n_done > N_TRANSITIONS / 2


@pytest.mark.parametrize("optimizer", ["adam", SGD(momentum=0.5)])
def test_biases_may_be_added_to_a_model_without(optimizer):
    """The optimizer knows nothing of the biases; it starts anew, as one that is new does."""
    model = RBM(3, fit_intercept=False, optimizer=optimizer, warm_start=True, random_state=0)
    model.fit(X).set_params(fit_intercept=True)
    plain = pickle.loads(pickle.dumps(model))
    plain._training_state["optimizer_state"] = None
    plain.fit(X)
    for name, value in fitted_parameters(model.fit(X)).items():
        np.testing.assert_array_equal(value, getattr(plain, name))
    assert model.intercept_visible_.any()


# --- the optimizer's state --------------------------------------------------------------


def resumed_state(trainer_before, trainer_after):
    """The optimizer's state after some updates, and what another trainer makes of it."""
    backend = get_backend("numpy")
    couplings = DenseCouplings(np.random.default_rng(0).normal(size=(9, 3)))
    data = 2.0 * X - 1.0
    state = trainer_before.start(couplings, data, RandomStream(0), backend)
    for _ in range(3):
        trainer_before.update(state, data, 0.1)
    before = state.optimizer_state
    return before, trainer_after.resume(state).optimizer_state


@pytest.mark.parametrize("optimizer", [Adam(), SGD(momentum=0.5)])
def test_optimizer_goes_on_with_the_same_parameters_only(optimizer):
    with_biases = Trainer(Exact(), optimizer)
    without = Trainer(Exact(), optimizer, fit_intercept=False)
    for trainer in (with_biases, without):
        before, after = resumed_state(trainer, trainer)
        assert after is before
    before, after = resumed_state(without, with_biases)
    key = "velocity" if isinstance(optimizer, SGD) else "moments"
    assert set(before[key]) < set(after[key])
    assert after.get("n_updates", 0) == 0
    for moments in after[key].values():
        assert not np.any(moments)


def test_optimizer_that_is_replaced_starts_anew():
    before, after = resumed_state(Trainer(Exact(), SGD(momentum=0.5)), Trainer(Exact(), Adam()))
    assert set(before) == {"velocity"} and set(after) == {"n_updates", "moments"}
    _, after = resumed_state(Trainer(Exact(), Adam()), Trainer(Exact(), SGD()))
    assert after is None


# --- numbers of chains ------------------------------------------------------------------


def machine_of(kind="dense"):
    rng, backend = np.random.default_rng(0), get_backend("numba")
    shapes = [(9, 4)] if kind == "dense" else [(3, 9), (3, 4)]
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    couplings = (DenseCouplings if kind == "dense" else PatternCouplings)(*arrays)
    return Machine(couplings, np.zeros(9, np.float32), np.zeros(4, np.float32), backend)


def distinct_states(n):
    """As many different states of nine spins."""
    return (2.0 * ((np.arange(n)[:, None] >> np.arange(9)) & 1) - 1.0).astype(np.float32)


@pytest.mark.parametrize(
    ("phase", "batch_size", "n_wanted"),
    [
        (PersistentContrastiveDivergence(), 8, 8),
        (PersistentContrastiveDivergence(), 20, 20),
        (PersistentContrastiveDivergence(n_chains=3), 8, 3),
        (PersistentContrastiveDivergence(n_chains=19), 8, 19),
        (PatternInducedCorrelations(), 2, 3),
        (PatternInducedCorrelations(), 17, 17),
    ],
)
def test_chains_go_on_in_turn(phase, batch_size, n_wanted):
    machine, old = machine_of("patterns"), distinct_states(8)
    chains = phase.resume(PlainChains(old), machine, batch_size, RandomStream(0))
    np.testing.assert_array_equal(chains.states, np.resize(old, (n_wanted, 9)))
    again = phase.resume(chains, machine, batch_size, RandomStream(0))
    np.testing.assert_array_equal(again.states, chains.states)


@pytest.mark.parametrize(
    ("before", "after", "n_columns", "n_cold"),
    [
        ({}, {"n_chains": 12}, 6, 12),
        ({}, {"n_chains": 60}, 6, 60),
        ({"n_chains": 30}, {"n_chains": 30, "n_columns": 3}, 3, 30),
        ({"n_chains": 30}, {"n_chains": 30, "n_columns": 15}, 15, 30),
        ({"n_columns": 2}, {}, 6, 24),
        ({"n_columns": 9}, {}, 9, 27),
    ],
)
def test_ladders_go_on_in_turn(before, after, n_columns, n_cold):
    """A batch of 20; chains at β = 1 are as many as wanted, or up to a multiple of the columns."""
    machine, stream = machine_of(), RandomStream(0)
    old = ParallelTempering(**before).start(machine, 20, stream)
    _, old = ParallelTempering(**before).states(machine, None, old, stream)
    phase = ParallelTempering(**after)
    chains = phase.resume(old, machine, 20, stream)
    assert chains.ladder.n_columns == n_columns
    cold_before, cold = (c.model_states(machine.backend) for c in (old, chains))
    assert cold.shape == (n_cold, 9)
    np.testing.assert_array_equal(cold, np.resize(cold_before, (n_cold, 9)))
    assert chains.ladder.betas[: chains.ladder.top + 1] == old.ladder.betas[: old.ladder.top + 1]
    assert phase.resume(chains, machine, 20, stream) is chains
    negative, _ = phase.states(machine, None, chains, stream)
    assert negative.visible.shape == (n_cold, 9)


def test_a_ladder_that_has_grown_goes_on():
    """Columns that were added in trouble are no reason to build another one."""
    machine, stream, phase = machine_of(), RandomStream(0), ParallelTempering()
    chains = phase.start(machine, 20, stream)
    ladder = ParallelTempering(n_columns=24).start(machine, 20, stream).ladder
    grown = TemperedChains(ladder, chains.lag, chains.n_wanted, step_share=0.5)
    assert phase.resume(grown, machine, 20, stream) is grown
    more = ParallelTempering(n_chains=100).resume(grown, machine, 20, stream)
    assert more.ladder.n_columns == 24 and more.step_share == 0.5


@pytest.mark.parametrize("phase", [PersistentContrastiveDivergence, ParallelTempering])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_number_of_chains_is_not_ignored(phase, method):
    model = RBM(4, negative_phase=phase(n_chains=12), warm_start=True, random_state=0).fit(X)
    for n_chains in (6, 30):
        model.set_params(negative_phase=phase(n_chains=n_chains))
        getattr(model, method)(X)
        chains = model._training_state["chains"].model_states(get_backend("numpy"))
        assert chains.shape == (n_chains, 9)


@pytest.mark.parametrize("phase", ["pcd", "auto", "pid"])
def test_chains_have_the_dtype_of_the_model(phase):
    model = RARBM(4, 3, negative_phase=phase, warm_start=True, max_iter=2, random_state=0).fit(X)
    for dtype in ("float64", "float32"):
        model.set_params(dtype=dtype).fit(X)
        chains = model._training_state["chains"].model_states(get_backend("numpy"))
        assert chains.dtype == dtype == model._training_state["hidden_offset"].dtype
