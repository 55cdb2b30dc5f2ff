"""Tempered chains in training: what they yield, how they adapt, what they are good for."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from tools.brute_force import Enumerated, p_value_of_states
from tools.ladders import BETAS, FALSE_ALARM_RATE, ladder_at_equilibrium, n_columns
from tools.machines import KINDS, make_machine

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.training import fused
from sklearn_rapid.training.chains import PlainChains, TemperedChains
from sklearn_rapid.training.negative_phase import (
    ParallelTempering,
    PersistentContrastiveDivergence,
    _tempered,
)
from sklearn_rapid.training.state import TrainingState


def numba_machine(kind="dense", shape=(30, 20), **how):
    backend = get_backend("numba", n_threads=2)
    return make_machine(kind, shape, backend, dtype="float32", **how)[0]


def chains_at(ladder, lag=0.0, share=1.0):
    xp = np
    return TemperedChains(ladder, xp.asarray(lag, dtype=float), 200, share)


@pytest.mark.parametrize("kind", KINDS)
def test_states_stay_in_the_distribution(backend, kind):
    machine, exact = make_machine(kind, (5, 4), backend, dtype="float32", scale=1.0)
    ladder = ladder_at_equilibrium(exact, backend, n_columns(backend))
    chains = TemperedChains(ladder, backend.xp.zeros((), dtype=backend.xp.float64), 1)
    negative, after = ParallelTempering(n_sweeps=2).states(machine, None, chains, RandomStream(1))
    v = backend.to_numpy(negative.visible)
    assert negative.weights is None and negative.hidden is None
    assert v.shape[0] == 2 * n_columns(backend)
    for rung in range(2):
        assert p_value_of_states(v[rung::2], exact.visible_probabilities()) > FALSE_ALARM_RATE
    assert after.ladder.n_sweeps == 2


def test_start():
    machine = numba_machine()
    chains = ParallelTempering().start(machine, 100, RandomStream(0))
    ladder = chains.ladder
    assert (ladder.n_columns, ladder.top) == (6, 2)
    assert ladder.n_columns * (ladder.n_rungs - ladder.top) >= 100
    assert chains.model_states(machine.backend).shape == (102, 30)
    few = ParallelTempering(n_chains=3).start(machine, 100, RandomStream(0)).ladder
    assert (few.n_columns, few.n_rungs) == (6, 3)
    given = ParallelTempering(n_chains=40, n_columns=10, n_rungs=5)
    ladder = given.start(machine, 100, RandomStream(0)).ladder
    assert (ladder.n_columns, ladder.top, ladder.n_rungs) == (10, 4, 8)


def test_patterns_have_a_chain_each():
    machine = numba_machine("patterns", n_patterns=50)
    chains = ParallelTempering().start(machine, 20, RandomStream(0))
    assert chains.model_states(machine.backend).shape[0] >= 50


def test_other_chains_are_taken_over_and_left_behind():
    """From "pcd" to "auto": columns start from its chains. Back: the states at β = 1 go on."""
    machine = numba_machine()
    old = np.sign(np.random.default_rng(0).normal(size=(8, 30))).astype(np.float32)
    chains = ParallelTempering().resume(PlainChains(old), machine, 100, RandomStream(0))
    states = chains.ladder.states.reshape(6, -1, 30)
    np.testing.assert_array_equal(states, np.repeat(old[:6, None], states.shape[1], axis=1))
    assert ParallelTempering().resume(chains, machine, 100, RandomStream(0)) is chains
    back = PersistentContrastiveDivergence().resume(chains, machine, 100, RandomStream(0))
    np.testing.assert_array_equal(back.states, chains.model_states(machine.backend)[:100])


def swept(phase, lag, share=1.0, n_arrivals=1):
    """Make one update from the end of a window with this lag."""
    machine = numba_machine(scale=0.01)
    chains = phase.start(machine, 100, RandomStream(0))
    arrivals = np.full(chains.ladder.n_columns, n_arrivals)
    ladder = replace(chains.ladder, n_sweeps=_tempered.WINDOW, arrivals=arrivals)
    sums = np.asarray(0.5 * lag * _tempered.WINDOW)
    chains = replace(chains, ladder=ladder, lag=sums, step_share=share)
    chains = phase.before_update(chains, machine.backend)
    _, chains = phase.states(machine, None, chains, RandomStream(1))
    assert chains.mean_lag == pytest.approx(lag, nan_ok=True)
    assert chains.ladder.n_sweeps == 1
    return chains


def test_chains_that_lag_get_columns_and_then_shorter_steps():
    phase = ParallelTempering()
    limit = 0.15 * 30**0.5
    assert swept(phase, limit - 0.1).ladder.n_columns == 6
    chains = swept(phase, limit + 0.1)
    assert (chains.ladder.n_columns, chains.step_share) == (12, 1.0)
    assert chains.model_states(get_backend("numpy")).shape[0] >= 200
    # More columns are no help where no state gets through.
    chains = swept(phase, limit + 0.1, n_arrivals=0)
    assert (chains.ladder.n_columns, chains.step_share) == (6, 0.9)
    fixed = ParallelTempering(n_columns=6)
    chains = swept(fixed, limit + 0.1)
    assert (chains.ladder.n_columns, chains.step_share) == (6, 0.9)
    assert swept(fixed, limit - 0.1, share=0.45).step_share == pytest.approx(0.5)
    assert swept(fixed, limit - 0.1, share=1.0).step_share == 1.0
    assert swept(fixed, np.nan).step_share == 1.0


def test_columns_grow_with_the_barrier(monkeypatch):
    """States arrive ever more rarely as it grows: columns are more than it is high."""
    monkeypatch.setattr(_tempered, "adapt_ladder", lambda ladder, backend, n_rungs: ladder)
    machine = numba_machine(scale=0.01)
    stream = RandomStream(0)

    def columns_after(phase, barrier, n_windows=6):
        chains = phase.start(machine, 100, stream)
        for _ in range(n_windows):
            ladder = chains.ladder
            # Each pair has been tried in half of the sweeps, in each column.
            n_tried = ladder.n_columns * _tempered.WINDOW // 2
            accepted = np.full(ladder.n_rungs - 1, n_tried * (1 - barrier / ladder.top))
            ladder = replace(ladder, n_sweeps=_tempered.WINDOW, accepted=accepted)
            chains = phase.before_update(replace(chains, ladder=ladder), machine.backend)
            negative, chains = phase.states(machine, None, chains, stream)
            assert chains.barrier == pytest.approx(barrier)
            assert chains.step_share == 1.0
            assert negative.visible.shape[0] < 200
        return chains.ladder.n_columns

    phase = ParallelTempering(n_rungs=41)
    assert columns_after(phase, 5.9) == 6
    assert columns_after(phase, 6.1) == 12
    assert columns_after(phase, 23.0) == 24
    assert columns_after(phase, 36.0) == 48
    # Few chains share a column then, whatever the barrier is.
    assert columns_after(ParallelTempering(n_rungs=41, n_chains=30), 36.0) == 12
    assert columns_after(ParallelTempering(n_rungs=41, n_columns=6), 36.0) == 6


def test_columns_end_where_few_chains_share_one():
    machine = numba_machine(scale=0.01)
    phase, stream = ParallelTempering(), RandomStream(0)
    chains = phase.start(machine, 100, stream)
    seen = []
    for _ in range(8):
        ladder = chains.ladder
        ladder = replace(ladder, n_sweeps=_tempered.WINDOW, arrivals=np.ones(ladder.n_columns))
        chains = replace(chains, ladder=ladder, lag=np.asarray(1e3))
        chains = phase.before_update(chains, machine.backend)
        _, chains = phase.states(machine, None, chains, stream)
        seen.append(chains.ladder.n_columns)
    assert seen == [12, 24, 48, 96, 96, 96, 96, 96]
    assert chains.step_share == pytest.approx(0.9**4)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_rungs_follow_the_barrier(cls):
    """A model of independent units needs hardly any; one of well separated modes some."""
    rng = np.random.default_rng(0)
    flat = rng.integers(2, size=(300, 12))
    modes = np.repeat(rng.integers(2, size=(6, 40)), 50, axis=0)
    modes = modes ^ (rng.random(modes.shape) < 0.02)
    how = {"n_components": 10, "max_iter": 150, "batch_size": 100, "random_state": 0}
    few, more = (cls(**how, learning_rate=0.05).fit(X).history_ for X in (flat, modes))
    assert few["n_rungs"][-1] < more["n_rungs"][-1]
    assert few["barrier"][-1] < 1.5 < more["barrier"][-1]
    assert more["n_rungs"][-1] >= 2 * more["barrier"][-1]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_short_step_share_shortens_steps(at_once, monkeypatch):
    X = np.random.default_rng(0).integers(2, size=(100, 12))
    if not at_once:
        monkeypatch.setattr(fused, "count_fused_updates", lambda trainer, state: 0)
    moved = []
    for share in (1.0, 0.1):
        monkeypatch.setattr(
            ParallelTempering,
            "before_update",
            lambda self, chains, backend, share=share: replace(chains, step_share=share),
        )
        after = RBM(5, max_iter=1, learning_rate=0.1, random_state=0).fit(X)
        zero = RBM(5, max_iter=1, learning_rate=1e-12, random_state=0).fit(X)
        moved.append(np.abs(after.components_ - zero.components_).max())
    assert moved[1] == pytest.approx(0.1 * moved[0], rel=1e-3)


# --- what it is for ---------------------------------------------------------------------------


def clusters():
    """400 rows of 14 columns around four rows that are far apart, unequally often."""
    rng = np.random.default_rng(1)
    centres = rng.integers(2, size=(4, 14))
    X = centres[rng.choice(4, size=400, p=[0.5, 0.3, 0.15, 0.05])]
    return X ^ (rng.random(X.shape) < 0.03)


def nats(model, X):
    exact = Enumerated(
        model.components_.T.astype(float),
        model.intercept_visible_.astype(float),
        model.intercept_hidden_.astype(float),
    )
    return exact.log_likelihood(2.0 * X - 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [RBM, RARBM])
def test_more_training_does_not_hurt(cls):
    """Clustered data, by enumeration: where single chains end several nats lower than before."""
    X = clusters()
    how = {"n_components": 8, "batch_size": 100, "random_state": 0}
    auto = [nats(cls(**how, max_iter=n).fit(X), X) for n in (50, 200, 800)]
    assert auto[1] > auto[0] - 0.3 and auto[2] > auto[1] - 0.3
    assert auto[2] > -6.0  # the four clusters themselves: about 1.1 + 14 * 0.13 = 3.0 nats


@pytest.mark.slow
def test_chains_that_lose_the_model_raise_a_warning():
    """Two chains on six rows: far worse than coins, after a thousand updates and more."""
    X = np.random.default_rng(0).integers(0, 2, (6, 8))
    phase = PersistentContrastiveDivergence(n_chains=2)
    model = RBM(16, negative_phase=phase, max_iter=15_000, batch_size=6, random_state=0)
    model.set_params(learning_rate=0.25)
    with pytest.warns(ConvergenceWarning, match="independent columns have.*lower learning_rate"):
        model.fit(X)
    assert nats(model, X) < -8.0
    # The default does not lose it, and does not warn.
    model = RBM(16, max_iter=3000, batch_size=6, random_state=0).fit(X)
    assert nats(model, X) > -5.5


# --- state ------------------------------------------------------------------------------------


def test_chains_go_to_the_host_and_back():
    machine = numba_machine()
    chains = ParallelTempering().start(machine, 10, RandomStream(0))
    _, chains = ParallelTempering().states(machine, None, chains, RandomStream(1))
    state = TrainingState(machine, RandomStream(2), chains=chains)
    back = TrainingState.from_host(pickle.loads(pickle.dumps(state.to_host())), machine).chains
    assert back.ladder.betas == chains.ladder.betas
    for name in ("base", "states", "origin", "arrivals", "accepted"):
        np.testing.assert_array_equal(getattr(back.ladder, name), getattr(chains.ladder, name))
    assert float(back.lag) == float(chains.lag)
    assert back.ladder.n_sweeps == 1


@pytest.mark.parametrize(
    "first, then", [("pcd", "auto"), ("auto", "pcd"), ("auto", "cd"), ("pid", "auto")]
)
def test_warm_start_from_one_phase_to_another(first, then):
    X = clusters()
    model = RARBM(8, 4, max_iter=3, warm_start=True, negative_phase=first, random_state=0).fit(X)
    model.set_params(negative_phase=then).fit(X)
    chains = model._training_state["chains"]
    assert chains.is_tempered == (then == "auto")
    assert np.isfinite(model.components_).all()


def test_wider_ladders_are_a_matter_of_parameters():
    X = clusters()
    phase = ParallelTempering(n_chains=50, n_sweeps=2, n_columns=10, n_rungs=4)
    model = RBM(8, max_iter=40, negative_phase=phase, random_state=0).fit(X)
    ladder = model._training_state["chains"].ladder
    assert (ladder.n_columns, ladder.top + 1, ladder.n_rungs) == (10, 4, 8)
    assert set(model.history_["n_rungs"]) == {4.0}
    assert BETAS[0] == ladder.betas[0] == 0.0
