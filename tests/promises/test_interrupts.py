"""Interrupts (Ctrl-C) and forks, at any moment: what they leave behind."""

import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from sklearn_rapid import RBM
from sklearn_rapid.backends import get_backend
from sklearn_rapid.backends.compiled import backend as _numba
from sklearn_rapid.backends.compiled import pipelines

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX's signals and forks")

# What all processes here begin with. BLAS has two threads, whatever the machine has; they are set
# in a thread that ends, or the main thread would have the sole right to set them.
BEGIN = """
import os, signal, threading, time
import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits
from sklearn_rapid import RBM
from sklearn_rapid.backends import available_threads, blas, get_backend, threads

pools = ThreadpoolController().select(user_api="blas").lib_controllers

def blas_threads():
    return {pool.num_threads for pool in pools}

def interrupt(*args):
    raise KeyboardInterrupt

limiter = threading.Thread(target=lambda: threadpool_limits(2, user_api="blas"))
limiter.start()
limiter.join()
assert blas_threads() == {2}
before = available_threads()
"""


def run(code):
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# --- interrupts -----------------------------------------------------------------------------


@pytest.mark.slow
def test_interrupts_leave_blas_its_threads():
    """Thousands of them, at random moments of small calls."""
    code = """
rng = np.random.default_rng(0)
X = rng.random((4, 5)) > 0.5
model = RBM(3, max_iter=1, random_state=0, backend="numpy").fit(X)
signal.signal(signal.SIGALRM, interrupt)
start = time.perf_counter()
model.transform(X)
longest = 1.5 * (time.perf_counter() - start)
for seconds in rng.uniform(1e-6, longest, size=2000):
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        model.transform(X)
        time.sleep(seconds)  # so that it comes here if not before
    except KeyboardInterrupt:
        pass
    if blas_threads() != {2} or available_threads() != before:
        print("lost")
"""
    assert run(code) == []


@pytest.mark.parametrize("fails_in", ["worker", "caller"])
def test_other_threads_stop_where_their_work_yields(fails_in):
    caller = threading.get_ident()
    started = threading.Event()
    pieces = []

    def work(rows):
        if (threading.get_ident() == caller) == (fails_in == "caller"):
            assert started.wait(timeout=30)
            raise KeyboardInterrupt
        for piece in range(1000):
            pieces.append(piece)
            started.set()
            time.sleep(0.01)
            yield

    backend = get_backend("numba", n_threads=2)
    with backend.running():
        with pytest.raises(KeyboardInterrupt):
            backend.for_row_blocks(work, 1000, 1.0)
    assert 0 < len(pieces) < 100


@pytest.mark.slow
def test_a_long_call_is_interrupted_within_a_second_or_two():
    """It would take half a minute: 1000 steps of some 10^9 multiply-adds."""
    code = """
X = np.random.default_rng(0).random((50, 700)) > 0.5
model = RBM(500, max_iter=1, random_state=0, n_threads=2).fit(X)
model.sample(4000, n_gibbs_steps=1)
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 1.0)
start = time.perf_counter()
try:
    model.sample(4000, n_gibbs_steps=1000)
except KeyboardInterrupt:
    print(time.perf_counter() - start)
"""
    (seconds,) = run(code)
    assert 0.9 < float(seconds) < 6.0


@pytest.mark.parametrize("method", ["temper", "gibbs"])
def test_compiled_calls_are_short(method, monkeypatch):
    """Interrupts are heard between them: few multiply-adds in each, and the same bits as in one."""
    X = np.random.default_rng(0).random((50, 784)) > 0.5
    model = RBM(500, max_iter=1, random_state=0, n_threads=2).fit(X)
    calls = {
        "temper": lambda: model.log_partition("tempering", max_sweeps=40, tol=1e-9).value,
        "gibbs": lambda: model.sample(200, n_gibbs_steps=40, random_state=0),
    }
    compiled, work = getattr(pipelines, method), []
    steps_of = {
        "temper": lambda args: args[10].shape[0],
        "gibbs": lambda args: args[2],
    }

    def counted(*args):
        work.append(steps_of[method](args) * 2 * args[0].shape[0] * 784 * 500)
        compiled(*args)

    monkeypatch.setattr(pipelines, method, counted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of an estimate by so few sweeps
        found = calls[method]()
    assert 0 < max(work) < 5e8
    n_short = len(work)
    monkeypatch.setattr(_numba, "LARGEST_CALL", 1e15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.testing.assert_array_equal(calls[method](), found)
    assert len(work) - n_short < n_short


# --- forks ----------------------------------------------------------------------------------

IN_CHILD = """
def status_of(child):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)  # ends what hangs
        try:
            ok = child()
        finally:
            os._exit(0 if ok else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@pytest.mark.slow
def test_a_child_has_blas_as_it_was_before_other_threads_used_it():
    code = """
entered, may_leave = threading.Event(), threading.Event()

def stay():
    with blas.single_threaded_blas():
        entered.set()
        may_leave.wait()

def child():
    if blas_threads() != {2} or available_threads() != before:
        return False
    with get_backend("numba").running():
        return blas_threads() == {1}

user = threading.Thread(target=stay)
user.start()
entered.wait()
status = status_of(child)
assert blas_threads() == {1}
may_leave.set()
user.join()
assert blas_threads() == {2}
print(status)
"""
    assert run(IN_CHILD + code) == ["0"]


@pytest.mark.slow
def test_a_child_does_not_wait_for_threads_that_it_has_not():
    """Another thread is about to set BLAS to one thread, which takes a while."""
    code = """
setting = threading.Event()
set_others = blas._let_other_threads_set_limits

def slowly():
    setting.set()
    time.sleep(0.5)
    set_others()

def use():
    with get_backend("numba").running():
        return blas_threads() == {1}

blas._let_other_threads_set_limits = slowly
user = threading.Thread(target=use)
user.start()
setting.wait()
print(status_of(use))
user.join()
assert blas_threads() == {2}
"""
    assert run(IN_CHILD + code) == ["0"]


@pytest.mark.slow
def test_a_backend_at_work_goes_on_in_a_child():
    """A fork in a callback, say: the child has the pool of threads, but not its threads."""
    code = """
threads.SMALLEST_SHARED_WORK = 0.0
backend = get_backend("numba", n_threads=2)

def visited():
    visits = np.zeros(1000, dtype=int)

    def work(rows):
        visits[rows] += 1

    backend.for_row_blocks(work, 1000, 1.0)
    return visits.tolist() == [1] * 1000

def child():
    return visited() and blas_threads() == {1}

with backend.running():
    assert visited()
    print(status_of(child))
    assert visited()
"""
    assert run(IN_CHILD + code) == ["0"]


@pytest.mark.slow
def test_a_child_does_not_wait_for_a_property_that_another_thread_computes():
    """Before Python 3.12, `functools.cached_property` has one lock for all instances."""
    code = """
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine

entered, may_leave = threading.Event(), threading.Event()

class Slow(DenseCouplings):
    def to_hidden(self, bias):
        entered.set()
        may_leave.wait()
        return super().to_hidden(bias)

def machine(kind):
    return Machine(kind(np.eye(2)), np.zeros(2), np.zeros(2), get_backend("numpy"))

slow = machine(Slow)
user = threading.Thread(target=lambda: slow.up)
user.start()
entered.wait()
print(status_of(lambda: machine(DenseCouplings).up is not None))
may_leave.set()
user.join()
"""
    assert run(IN_CHILD + code) == ["0"]
