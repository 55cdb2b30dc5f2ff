"""Fused updates: the same as update by update, on any number of threads."""

import copy
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from tools.machines import make_couplings

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.backends import threads as _threads
from sklearn_rapid.backends.compiled.fused import barrier, run
from sklearn_rapid.training import fused
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    Exact,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, Adam
from sklearn_rapid.training.steps.penalties import Penalty
from sklearn_rapid.training.steps.projections import Projection
from sklearn_rapid.training.trainer import Trainer

N_VISIBLE, N_HIDDEN = 20, 16
# Few patterns are mapped through and differentiated by overlaps; of many, W is formed.
N_PATTERNS = {"dense": None, "few patterns": 3, "many patterns": 60}
BATCH_SIZE = 13

PHASES = {
    "cd": ContrastiveDivergence(3),
    "pcd": PersistentContrastiveDivergence(2),
    "more chains": PersistentContrastiveDivergence(1, n_chains=150),
    "tempered": ParallelTempering(),
    "two sweeps": ParallelTempering(n_sweeps=2, n_columns=8, n_rungs=5),
}
PATTERN_PHASES = {
    "pid": PatternInducedCorrelations(2),
    "pid restarted": PatternInducedCorrelations(1, persistent=False),
    "pure pid": PatternInducedCorrelations(0, persistent=False),
}
SETTINGS = {
    "defaults": {},
    "not centred": {"center": False},
    "no biases": {"fit_intercept": False},
    "momentum": {"optimizer": SGD(momentum=0.5)},
    "plain steps": {"optimizer": SGD(scaled=False)},
    "penalties": {"penalty": Penalty(l1=3.0, l2=1.0, n_rows=60)},
    "penalties on unknown rows": {"penalty": Penalty(l1=0.5)},
}
PATTERN_SETTINGS = {
    "clip": {"projection": Projection("clip", bound=0.3)},
    "signs every epoch": {"projection": Projection("sign", "epoch")},
    "signs every other update": {"projection": Projection("sign", 2)},
}


def cases():
    for kind in N_PATTERNS:
        with_patterns = kind != "dense"
        phases = PHASES | PATTERN_PHASES if with_patterns else PHASES
        settings = SETTINGS | PATTERN_SETTINGS if with_patterns else SETTINGS
        for phase in phases:
            for setting in settings:
                yield kind, phase, setting


def spins(n_rows, n_visible=N_VISIBLE, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n_rows, n_visible)) < 0.3, 1.0, -1.0).astype("float32")


def couplings(kind, backend, n_visible=N_VISIBLE, n_hidden=N_HIDDEN):
    n_patterns = N_PATTERNS[kind]
    made, _ = make_couplings(
        "dense" if n_patterns is None else "patterns",
        (n_visible, n_hidden),
        backend,
        n_patterns=n_patterns,
        scale=0.1,
        dtype="float32",
    )
    return made


def trainer(phase, setting, batch_size=BATCH_SIZE):
    how = {**SETTINGS, **PATTERN_SETTINGS}[setting]
    how = {"optimizer": SGD(), **how}
    return Trainer({**PHASES, **PATTERN_PHASES}[phase], batch_size=batch_size, **how)


def arrays_of(state):
    """All numbers of a state by name."""
    rest = state.to_host()
    chains = rest.pop("chains")
    if chains.is_tempered:
        ladder = chains.ladder
        rest |= {name: getattr(ladder, name) for name in ("accepted", "origin", "arrivals")}
        rest |= {"lag": chains.lag, "chains": ladder.states}
    elif chains.n_rows:
        rest["chains"] = chains.states
    rest["stream"] = rest["stream"].position
    velocity = (rest.pop("optimizer_state") or {}).get("velocity", {})
    rest |= {f"velocity of {name}": v for name, v in velocity.items()}
    machine = state.machine
    rest |= {"b": machine.visible_bias, "c": machine.hidden_bias}
    rest |= machine.couplings.parameters
    return {name: np.asarray(a, dtype=float) for name, a in rest.items() if a is not None}


def assert_close(state, other):
    """Equal to rounding: float32 has 7 digits, parameters are of order one."""
    one, two = arrays_of(state), arrays_of(other)
    assert list(one) == list(two)
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("kind", "phase", "setting"), list(cases()))
def test_fused_updates_are_what_single_updates_are(kind, phase, setting):
    """Updates by the compiled call against those put together of the backend's methods.

    Each starts from one state, so that no spin that rounding has flipped is handed on.
    """
    backend, by = get_backend("numba", n_threads=1), trainer(phase, setting)
    data = spins(3 * BATCH_SIZE + 5)
    with backend.running():
        start = by.start(couplings(kind, backend), data[:BATCH_SIZE], RandomStream(3), backend)
        # The first update of a window looks for known states.
        by.update(start, data[:BATCH_SIZE], 0.05)
        if start.chains.is_tempered:
            start.chains = replace(start.chains, known=None)
        assert fused.count_fused_updates(by, start) > 1
        for first in range(0, len(data), BATCH_SIZE):
            batch = data[first : first + BATCH_SIZE]
            is_last = first + BATCH_SIZE >= len(data)
            at_once, one_by_one = start.copy(), start.copy()
            by.updates(at_once, batch, 0.05, is_last)
            by.update(one_by_one, batch, 0.05, is_last)
            assert_close(at_once, one_by_one)
            start = one_by_one


@pytest.mark.parametrize("phase", ["cd", "pcd", "more chains", "tempered"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("batch_size", [3, 10, 64, 100])
def test_long_rows_and_few_of_them(phase, setting, batch_size):
    """Where energy changes come of products of rows."""
    backend, by = get_backend("numba", n_threads=1), trainer(phase, setting, batch_size)
    data = spins(batch_size, n_visible=300)
    with backend.running():
        made = couplings("dense", backend, n_visible=300, n_hidden=270)
        at_once = by.start(made, data, RandomStream(3), backend)
        by.update(at_once, data, 0.02)
        one_by_one = at_once.copy()
        assert fused.count_fused_updates(by, at_once) > 0
        by.updates(at_once, data, 0.02)
        by.update(one_by_one, data, 0.02)
    assert_close(at_once, one_by_one)


@pytest.mark.parametrize("n_chains", range(5, 25))
def test_no_step_where_data_and_model_agree(n_chains):
    """All states are one and the same, in seven rows and so many chains."""
    phase = PersistentContrastiveDivergence(n_chains=n_chains)
    backend, by = get_backend("numba", n_threads=1), Trainer(phase, SGD(), 7, center=False)
    data = np.ones((70, 300), dtype="float32")
    with backend.running():
        made = couplings("dense", backend, n_visible=300, n_hidden=270)
        state = by.start(made, data[:7], RandomStream(3), backend)
        # Such rows are trained on update by update, but those of another start may become such.
        state.unusual_rows = None
        state.machine.visible_bias[:] = 60.0
        assert fused.count_fused_updates(by, state) > 1
        before = state.copy()
        by.updates(state, data, 0.25)
    np.testing.assert_array_equal(state.chains.states, 1.0)
    weights = state.machine.couplings.weights
    np.testing.assert_allclose(weights, before.machine.couplings.weights, atol=1e-2)


@pytest.mark.parametrize("kind", N_PATTERNS)
@pytest.mark.parametrize("phase", PHASES)
def test_one_call_of_many_is_many_of_one(kind, phase):
    """To the bit: a call of several batches, over a ladder's windows, and calls of one each."""
    backend, by = get_backend("numba", n_threads=1), trainer(phase, "momentum")
    data = spins(70 * BATCH_SIZE + 5)
    with backend.running():
        one = by.start(couplings(kind, backend), data[:BATCH_SIZE], RandomStream(3), backend)
        other = one.copy()
        by.updates(one, data, 0.02, end_of_epoch=True, n_data_draws=1)
        for first in range(0, len(data), BATCH_SIZE):
            batch = data[first : first + BATCH_SIZE]
            by.updates(other, batch, 0.02, first + BATCH_SIZE >= len(data), n_data_draws=1)
    one, other = arrays_of(one), arrays_of(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("kind", N_PATTERNS)
@pytest.mark.parametrize("phase", PHASES)
def test_threads_leave_every_bit_as_it_is(kind, phase, monkeypatch):
    monkeypatch.setattr(run, "SMALLEST_SHARED_UPDATE", 0.0)
    monkeypatch.setattr(_threads, "SMALLEST_SHARED_WORK", 0.0)
    monkeypatch.setattr(_threads, "SMALLEST_SHARE_OF_TIME", 0.0)
    data = spins(1030, n_visible=150)
    results = []
    for n_threads in (1, 2, 3):
        backend, by = get_backend("numba", n_threads), trainer(phase, "defaults", batch_size=120)
        with backend.running():
            made = couplings(kind, backend, n_visible=150, n_hidden=40)
            state = by.start(made, data[:120], RandomStream(3), backend)
            by.updates(state, data, 0.05)
        results.append(arrays_of(state))
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize("binarize", ["sample", 0.5, None])
@pytest.mark.parametrize("phase", ["auto", "cd"])
def test_a_fit_is_the_same_update_by_update(binarize, phase, monkeypatch):
    """Draws have the same names; 1e-4 is what rounding makes of 14 updates."""
    X = np.random.default_rng(0).random((130, 12)).astype("float32")
    how = {"max_iter": 2, "batch_size": 20, "random_state": 0, "learning_rate": 0.01}
    model = RARBM(8, 3, negative_phase=phase, binarize=binarize, **how)
    at_once = copy.deepcopy(model).fit(X)
    monkeypatch.setattr(run.FusedUpdatesMixin, "fuses_updates", lambda self, dtype: False)
    one_by_one = copy.deepcopy(model).fit(X)
    for name in ("visible_patterns_", "hidden_patterns_", "intercept_visible_"):
        a, b = getattr(at_once, name), getattr(one_by_one, name)
        np.testing.assert_allclose(a, b, rtol=0.0, atol=1e-4, err_msg=name)


# --- what is left to single updates -----------------------------------------------------------


class OwnPhase(PersistentContrastiveDivergence):
    def states(self, machine, data, chains, stream):
        self.asked = True
        return super().states(machine, data, chains, stream)


class OwnOptimizer(SGD):
    pass


@pytest.mark.parametrize(
    "by",
    [
        Trainer(Exact(), SGD()),
        Trainer(PATTERN_PHASES["pid"], SGD(), projection=Projection("gibbs")),
        Trainer(PersistentContrastiveDivergence(), Adam()),
        Trainer(PersistentContrastiveDivergence(), OwnOptimizer()),
        Trainer(OwnPhase(), SGD()),
        Trainer(PatternInducedCorrelations(0, hidden="pattern"), SGD()),
        Trainer(PersistentContrastiveDivergence(n_chains=300_000), SGD()),
    ],
)
def test_what_cannot_be_told_goes_update_by_update(by):
    backend = get_backend("numba", n_threads=1)
    with backend.running():
        made = couplings("few patterns", backend)
        state = by.start(made, spins(10), RandomStream(0), backend)
        assert fused.count_fused_updates(by, state) == 0
        if not isinstance(by.negative_phase, PersistentContrastiveDivergence):
            by.updates(state, spins(10), 0.1)
            assert state.n_updates == 1


def test_a_phase_of_ones_own_is_asked():
    phase = OwnPhase()
    RBM(4, negative_phase=phase, max_iter=1, random_state=0).fit(spins(20) > 0)
    assert phase.asked


def test_float64_goes_update_by_update():
    backend = get_backend("numba", n_threads=1)
    by = trainer("pcd", "defaults")
    made, _ = make_couplings("dense", (5, 4), backend)
    data = spins(10, 5).astype("float64")
    with backend.running():
        state = by.start(made, data, RandomStream(0), backend)
        assert fused.count_fused_updates(by, state) == 0


# --- the barrier --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_the_barrier_opens_when_all_are_there(n_workers):
    """Workers count rounds between two barriers, and read one another's counts there."""
    cells, counts = barrier.new_barrier(), np.zeros(n_workers, dtype=int)
    errors = []

    def take_part(worker):
        for n in range(1, 300):
            counts[worker] = n
            if not (barrier.wait(cells, n_workers) and np.all(counts == n)):
                errors.append((worker, n))
            barrier.wait(cells, n_workers)

    threads = [threading.Thread(target=take_part, args=(worker,)) for worker in range(n_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert np.all(counts == 299)


@pytest.mark.parametrize("fails", [0, 1])
def test_nobody_waits_for_a_worker_that_has_failed(fails):
    backend, cells = get_backend("numba", n_threads=2), barrier.new_barrier()
    left = []

    def take_part(worker, n_workers):
        assert n_workers == 2
        if worker == fails:
            raise MemoryError
        left.append(barrier.wait(cells, 2))

    with backend.running(), pytest.raises(MemoryError):
        backend.run_together(take_part, 2, lambda: barrier.abort(cells))
    assert left in ([False], [])


def test_workers_that_have_to_wait_for_processors_go_alone_for_a_while():
    backend, seen = get_backend("numba", n_threads=2), []

    def take_part(worker, n_workers):
        if worker == 0:
            seen.append(n_workers)
        time.sleep(0.01)  # as a thread does that does not run

    with backend.running():
        for _ in range(9):
            backend.run_together(take_part, 2, lambda: None)
    assert seen == [2, 1, 2, 1, 1, 2, 1, 1, 1]


def test_a_call_that_fails_leaves_no_whole_state(monkeypatch):
    """So that a fit goes back to its last whole epoch."""
    backend, by = get_backend("numba", n_threads=1), trainer("pcd", "defaults")
    with backend.running():
        state = by.start(couplings("dense", backend), spins(13), RandomStream(0), backend)

        def fail(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "run_updates", fail)
        with pytest.raises(KeyboardInterrupt):
            by.updates(state, spins(13), 0.1)
    assert not state.is_whole
