"""RBM and RARBM on a GPU, by a stand-in for CuPy (`cupy_stand_in`): what goes in and comes out.

What the backend itself computes is tested with the other backends, by tests that take one.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from tools.cupy_stand_in import make_cupy

from sklearn_rapid import RARBM, RBM, diagnostics, load, save
from sklearn_rapid.training.fit import run
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD

X = (load_digits().data > 7)[:500]
ESTIMATORS = [RBM(12, max_iter=2, random_state=0), RARBM(12, 6, max_iter=2, random_state=0)]
# Methods that take rows and return an array with a row for each.
ROW_METHODS = {
    "transform": lambda model, rows: model.transform(rows),
    "score_samples": lambda model, rows: model.score_samples(rows),
    "free_energy": lambda model, rows: model.free_energy(rows),
    "pseudo_likelihood": lambda model, rows: model.pseudo_likelihood(rows),
    "gibbs": lambda model, rows: model.gibbs(rows, n_steps=3, random_state=1),
    "reconstruct": lambda model, rows: model.reconstruct(
        rows, mask=np.arange(64) < 30, n_gibbs_steps=3, random_state=1
    ),
    "sample": lambda model, rows: model.sample(
        rows.shape[0], n_gibbs_steps=2, init=rows, random_state=1
    ),
}


def by_name(estimator):
    return type(estimator).__name__


def parameters_of(model):
    return {name: a for name, a in vars(model).items() if isinstance(a, np.ndarray)}


@pytest.fixture(params=ESTIMATORS, ids=by_name)
def on_cpu(request):
    """A model fitted on the CPU."""
    return clone(request.param).fit(X)


# --- what goes in comes out -----------------------------------------------------------------


@pytest.mark.parametrize("method", ROW_METHODS)
def test_numpy_in_numpy_out(on_cpu, cupy_stand_in, method):
    expected = ROW_METHODS[method](on_cpu, X)
    got = ROW_METHODS[method](on_cpu.set_params(backend="cupy"), X)
    assert type(got) is np.ndarray
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    assert cupy_stand_in.transfers["to_device"] > 0


@pytest.mark.parametrize("dtype", [bool, "uint8", "float32", "float64"])
@pytest.mark.parametrize("method", ROW_METHODS)
def test_cupy_in_cupy_out(on_cpu, cupy_stand_in, method, dtype):
    expected = ROW_METHODS[method](on_cpu, X.astype(dtype))
    on_device = cupy_stand_in.asarray(X.astype(dtype))
    got = ROW_METHODS[method](on_cpu.set_params(backend="cupy"), on_device)
    assert isinstance(got, cupy_stand_in.ndarray)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got.get(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("units", ["binary", "spin"])
@pytest.mark.parametrize("binarize", [None, "sample", 0.5])
def test_means_and_spins_on_the_device(cupy_stand_in, units, binarize):
    grey = load_digits().data[:200] / 16
    grey = 2 * grey - 1 if units == "spin" else grey
    how = {"units": units, "binarize": binarize, "max_iter": 2, "random_state": 0}
    expected = RBM(8, **how).fit(grey)
    got = RBM(8, **how, backend="cupy").fit(cupy_stand_in.asarray(grey))
    for name, a in parameters_of(expected).items():
        np.testing.assert_allclose(getattr(got, name), a, atol=1e-5, err_msg=name)
    features = got.transform(cupy_stand_in.asarray(grey))
    np.testing.assert_allclose(features.get(), expected.transform(grey), atol=1e-5)


@pytest.mark.slow
def test_other_ways_in(on_cpu, cupy_stand_in):
    features = on_cpu.transform(X)
    means, score = on_cpu.inverse_transform(features), on_cpu.score(X)
    samples = on_cpu.sample(5, n_gibbs_steps=50, random_state=2)
    missing = np.where(np.arange(64) < 30, X, np.nan)
    completed = on_cpu.reconstruct(missing, random_state=3)
    on_gpu = on_cpu.set_params(backend="cupy")
    got = on_gpu.inverse_transform(cupy_stand_in.asarray(features))
    np.testing.assert_allclose(got.get(), means, atol=1e-5)
    np.testing.assert_allclose(on_gpu.inverse_transform(features), means, atol=1e-5)
    assert on_gpu.score(cupy_stand_in.asarray(X)) == pytest.approx(score, rel=1e-6)
    again = on_gpu.sample(5, n_gibbs_steps=50, random_state=2)
    np.testing.assert_array_equal(again, samples)
    # Thousands of sweeps: somewhere rounding tips the balance, and chains part.
    assert set(np.unique(on_gpu.sample(5, random_state=2))) == {0.0, 1.0}
    got = on_gpu.reconstruct(cupy_stand_in.asarray(missing), random_state=3)
    np.testing.assert_array_equal(got.get(), completed)
    on_gpu.set_params(hidden_features="sample")
    features = on_gpu.transform(cupy_stand_in.asarray(X))
    np.testing.assert_array_equal(features.get(), on_gpu.set_params(backend="numba").transform(X))


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows_of_the_host(on_cpu, cupy_stand_in, container):
    expected = on_cpu.transform(X)
    got = on_cpu.set_params(backend="cupy").transform(container(X.astype(float)))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_row_has_one_result_whatever_its_company(on_cpu, cupy_stand_in):
    rows = cupy_stand_in.asarray(np.tile(X, (3, 1)))  # more than a chunk
    model = on_cpu.set_params(backend="cupy")
    whole = model.transform(rows).get()
    np.testing.assert_array_equal(model.transform(rows[7:8]).get(), whole[7:8])
    np.testing.assert_array_equal(model.transform(rows[1490:]).get(), whole[1490:])


# --- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["host", "device"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=by_name)
def test_the_first_epoch_draws_the_same_spins_as_on_numba(cupy_stand_in, estimator, where):
    estimator = clone(estimator).set_params(max_iter=1)
    expected = clone(estimator).fit(X)
    rows = X if where == "host" else cupy_stand_in.asarray(X)
    got = clone(estimator).set_params(backend="cupy").fit(rows)
    chains = (model._training_state["chains"].ladder for model in (got, expected))
    np.testing.assert_array_equal(*(ladder.states for ladder in chains))
    for name, a in parameters_of(expected).items():
        np.testing.assert_allclose(getattr(got, name), a, rtol=0, atol=1e-5, err_msg=name)


# Fields in float32 that are summed in another order differ by 1e-7, and of the ten million spins
# of twenty epochs a few then fall the other way. Even without spins, learning makes much of small
# differences: those between NumPy, Numba and float64 grow to a tenth as well, after ten epochs (W)
# or two (patterns). So float32 is compared before that.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "n_epochs"),
    [
        (RBM(dtype="float64"), 20),
        (RARBM(dtype="float64"), 20),
        (RBM(10, negative_phase="exact"), 5),
        (RARBM(10, 6, negative_phase="exact", batch_size=400), 1),
    ],
    ids=["RBM, float64", "RARBM, float64", "RBM, exact", "RARBM, exact"],
)
def test_many_epochs_agree_with_those_of_numba(cupy_stand_in, estimator, n_epochs):
    digits = load_digits().data > 7
    estimator.set_params(max_iter=n_epochs, random_state=0)
    expected = clone(estimator).set_params(backend="numba").fit(digits)
    got = clone(estimator).set_params(backend="cupy").fit(digits)
    for name, a in parameters_of(expected).items():
        np.testing.assert_allclose(getattr(got, name), a, rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cupy-tf32", "cupy-bf16"])
def test_rounded_products_train_to_about_the_same_likelihood(cupy_stand_in, backend):
    how = {"n_components": 12, "max_iter": 30, "random_state": 0}
    expected = RBM(**how, backend="cupy").fit(X)
    got = RBM(**how, backend=backend).fit(X)
    assert not np.array_equal(got.components_, expected.components_)
    # Both as the CPU sees them. Another seed changes the likelihood by a tenth of a nat or two.
    likelihoods = [model.set_params(backend="numba").score(X) for model in (got, expected)]
    assert abs(likelihoods[0] - likelihoods[1]) < 0.5


def settings():
    """Every kind of step and phase that training knows."""
    yield "pcd", RBM(8)
    yield "cd", RBM(8, negative_phase="cd")
    yield "exact", RBM(4, negative_phase="exact")
    yield "exact, visible", RBM(20, negative_phase="exact")
    yield "exact, no biases", RBM(4, negative_phase="exact", fit_intercept=False)
    yield "adam", RBM(8, optimizer="adam")
    yield "momentum, decay", RBM(8, optimizer=SGD(momentum=0.5), l1_penalty=0.1, l2_penalty=0.1)
    yield "plain", RBM(8, optimizer=SGD(scaled=False), learning_rate=1e-3)
    yield "no biases", RBM(8, fit_intercept=False)
    yield "not centred", RBM(8, center=False)
    yield "sample", RBM(8, binarize="sample")
    yield "means", RBM(8, binarize=None)
    yield "float64", RBM(8, dtype="float64")
    yield "pid", RARBM(8, 4)
    pure = PatternInducedCorrelations(0, persistent=False, hidden="pattern")
    yield "pure pid", RARBM(8, 4, negative_phase=pure, projection="sign")
    yield "gibbs", RARBM(8, 4, projection="gibbs")
    yield "many patterns", RARBM(8, 70, projection_period=2)


SETTINGS = dict(settings())


def transfers_of(cupy, estimator, data, batch_size):
    estimator = clone(estimator).set_params(
        backend="cupy", max_iter=2, batch_size=batch_size, random_state=0
    )
    cupy.transfers.clear()
    estimator.fit(data)
    return dict(cupy.transfers)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_training_moves_a_batch_to_the_device_and_nothing_else(cupy_stand_in, setting, monkeypatch):
    """10 more batches an epoch, two epochs: 20 moves more, where X is on the host."""
    monkeypatch.setattr(run, "BYTES_AT_ONCE", 0)
    data = (X[:200, :8] if "exact, visible" in setting else X[:200]).astype("float32")
    few, many = (transfers_of(cupy_stand_in, SETTINGS[setting], data, n) for n in (20, 10))
    assert many["to_device"] == few["to_device"] + 20
    assert many["to_host"] == few["to_host"]
    on_device = cupy_stand_in.asarray(data)
    few, many = (transfers_of(cupy_stand_in, SETTINGS[setting], on_device, n) for n in (20, 10))
    assert many == few


def test_small_batches_move_to_the_device_together(cupy_stand_in):
    few, many = (transfers_of(cupy_stand_in, SETTINGS["pcd"], X[:200], n) for n in (20, 10))
    assert many == few


@pytest.mark.slow
def test_early_stopping_on_the_device(cupy_stand_in):
    how = {"n_components": 8, "early_stopping": True, "max_iter": 3, "random_state": 0}
    expected = RBM(**how).fit(X)
    got = RBM(**how, backend="cupy").fit(cupy_stand_in.asarray(X))
    for name in ("log_likelihood", "log_likelihood_error", "free_energy_gap"):
        np.testing.assert_allclose(got.history_[name], expected.history_[name], rtol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=by_name)
def test_partial_fit_goes_on_anywhere(cupy_stand_in, estimator):
    expected = clone(estimator).partial_fit(X[:200]).partial_fit(X[200:400])
    got = clone(estimator).set_params(backend="cupy")
    got.partial_fit(cupy_stand_in.asarray(X[:200])).set_params(backend="numba")
    got.partial_fit(X[200:400])
    for name, a in parameters_of(expected).items():
        np.testing.assert_allclose(getattr(got, name), a, atol=1e-5, err_msg=name)


# --- from machine to machine ----------------------------------------------------------------


@pytest.mark.slow
def test_a_model_of_the_device_pickles_to_plain_numpy(cupy_stand_in):
    model = RARBM(8, 4, backend="cupy", optimizer="adam", random_state=0)
    model.fit(cupy_stand_in.asarray(X)).score(X)
    names = [arg for _, arg, _ in pickletools.genops(pickle.dumps(model)) if isinstance(arg, str)]
    # The one mention is the backend's name.
    assert [name for name in names if "cupy" in name] == ["cupy"]


@pytest.mark.slow
def test_a_model_of_the_device_is_saved_for_any_machine(cupy_stand_in, tmp_path):
    pytest.importorskip("safetensors")
    model = RARBM(8, 4, backend="cupy", optimizer="adam", random_state=0)
    model.fit(cupy_stand_in.asarray(X))
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").set_params(backend="numba")
    assert {type(a) for a in vars(again).values() if hasattr(a, "dtype")} == {np.ndarray}
    np.testing.assert_allclose(again.transform(X), model.transform(X), atol=1e-6)
    again.partial_fit(X)


def in_new_process(code, **environment):
    """Run code in a process that has the tests' modules at hand, and no stand-in in place."""
    code = textwrap.dedent(code)
    path = str(Path(__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_a_model_of_the_device_works_where_there_is_none(cupy_stand_in, tmp_path):
    model = RARBM(8, 4, backend="cupy", random_state=0).fit(cupy_stand_in.asarray(X))
    expected = model.transform(X[:5])
    np.save(tmp_path / "expected.npy", expected)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    in_new_process(f"""
        import pickle, sys, warnings
        import numpy as np
        from sklearn.datasets import load_digits

        sys.modules["cupy"] = None  # as where it is not installed
        X = (load_digits().data > 7)[:500]
        with open({str(tmp_path / "model.pickle")!r}, "rb") as file:
            model = pickle.load(file)
        expected = np.load({str(tmp_path / "expected.npy")!r})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            np.testing.assert_allclose(model.transform(X[:5]), expected, atol=1e-5)
            assert np.isfinite(model.score(X)) and model.sample(2).shape == (2, 64)
        assert caught and all("computes with backend='auto'" in str(w.message) for w in caught)
        try:
            model.fit(X)
        except RuntimeError as error:
            assert "sklearn_rapid[cuda12]" in str(error)
        else:
            raise AssertionError("fit did without a GPU")
        model.set_params(backend="auto").fit(X)
    """)


@pytest.mark.slow
def test_array_api_dispatch_chooses_the_device():
    """scikit-learn takes this setting only where SciPy was told of it before its import."""
    in_new_process(
        """
        import sys
        from tools.cupy_stand_in import make_cupy
        cupy = sys.modules["cupy"] = make_cupy()
        import numpy as np
        from sklearn import config_context
        from sklearn_rapid import RBM

        X = np.random.default_rng(0).random((50, 9)) > 0.5
        with config_context(array_api_dispatch=True):
            model = RBM(4, max_iter=2, random_state=0).fit(cupy.asarray(X))
            features = model.transform(cupy.asarray(X))
            assert isinstance(features, cupy.ndarray)
            assert isinstance(model.components_, np.ndarray)
            n_moves = cupy.transfers.copy()
            # Asked of nobody, a GPU is left alone.
            on_host = model.transform(X)
            assert isinstance(on_host, np.ndarray) and cupy.transfers == n_moves
        np.testing.assert_allclose(features.get(), on_host, atol=1e-6)
        """,
        SCIPY_ARRAY_API="1",
    )


# --- what cannot be done --------------------------------------------------------------------


def broken_runtime():
    raise RuntimeError("cudaErrorInsufficientDriver: driver version is insufficient")


@pytest.mark.parametrize("lack", ["cupy", "device", "driver"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_is_missing_is_named(monkeypatch, lack, method):
    cupy = None if lack == "cupy" else make_cupy(n_devices=0)
    if lack == "driver":
        cupy.cuda.runtime.getDeviceCount = broken_runtime
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    model = RBM(4, backend="cupy")
    with pytest.raises(RuntimeError, match=r"sklearn_rapid\[cuda12\].*sklearn_rapid\[cuda13\]"):
        getattr(model, method)(X)
    assert not hasattr(model, "components_")


def test_rounded_products_need_tensor_cores(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(compute_capability="75"))
    with pytest.raises(RuntimeError, match=r"8\.0 or more, got 7\.5"):
        RBM(4, backend="cupy-tf32").fit(X)
    RBM(4, max_iter=1, backend="cupy").fit(X)


@pytest.mark.parametrize("backend", ["auto", "numba", "numpy"])
def test_a_cupy_array_needs_the_backend(cupy_stand_in, backend):
    model = RBM(4, max_iter=1, backend=backend)
    with pytest.raises(ValueError, match="got a CuPy array with backend="):
        model.fit(cupy_stand_in.asarray(X))
    model.fit(X)
    with pytest.raises(ValueError, match="got a CuPy array with backend="):
        model.transform(cupy_stand_in.asarray(X))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: rows[0], r"shape \(any, any\).*got \(64,\)"),
        (lambda rows: rows[:0], r"got \(0, 64\)"),
        (
            lambda rows: np.where(rows > 2, rows, np.nan),
            "X must have an entry that is known, got only NaN",
        ),
        (lambda rows: np.where(rows > 2, rows, np.inf), "finite, got infinity"),
        (lambda rows: rows.astype(complex), "numbers, got dtype complex128"),
        (lambda rows: rows + 2.5 * (np.arange(64) == 3), "got 2.5 in column 3"),
    ],
)
def test_bad_rows_on_the_device(cupy_stand_in, change, match):
    bad = cupy_stand_in.asarray(change(np.zeros((20, 64))))
    model = RBM(4, binarize=None, backend="cupy")
    with pytest.raises(ValueError, match=match):
        model.fit(bad)
    assert not hasattr(model, "components_")


def test_other_bad_arrays_on_the_device(cupy_stand_in):
    model = RBM(4, max_iter=1, backend="cupy").fit(X)
    rows = cupy_stand_in.asarray(np.zeros((3, 7)))
    with pytest.raises(ValueError, match="7 features, but RBM is expecting 64"):
        model.transform(rows)
    with pytest.raises(ValueError, match=r"H must have shape \(any, 4\), got \(3, 7\)"):
        model.inverse_transform(rows)
    with pytest.raises(ValueError, match="init must be finite, got infinity"):
        model.sample(2, init=cupy_stand_in.asarray(np.full((2, 64), np.inf)))
    with pytest.raises(ValueError, match="X must be finite, got infinity"):
        model.reconstruct(cupy_stand_in.asarray(np.full((2, 64), np.inf)))


# --- diagnostics ----------------------------------------------------------------------------

DIAGNOSTICS = {
    "ground_state_energy": diagnostics.ground_state_energy,
    "gibbs_accessibility": lambda model: diagnostics.gibbs_accessibility(
        model, 3, n_chains=20, random_state=0
    ),
    "method_accessibility": lambda model: diagnostics.method_accessibility(
        model, X[:20], random_state=0
    ),
    "singular_values": diagnostics.singular_values,
    "reconstruction_distance": lambda model: diagnostics.reconstruction_distance(
        model, X[:50], np.arange(64) < 30, n_gibbs_steps=3, random_state=0
    ),
    "autocorrelation_time": lambda model: (
        diagnostics.autocorrelation_time(model, 60, n_chains=20, n_burn_in=5, random_state=0).value
    ),
    "overlap_distribution": lambda model: (
        diagnostics.overlap_distribution(
            model, n_samples=30, n_gibbs_steps=5, random_state=0
        ).probabilities
    ),
    "ultrametricity": lambda model: diagnostics.ultrametricity(model, X[:30], random_state=0).sides,
}
OF_PATTERNS = {
    "mattis_magnetization": lambda model: diagnostics.mattis_magnetization(model, X[:30]),
    "pattern_overlaps": lambda model: diagnostics.pattern_overlaps(model).visible,
    "pattern_retrieval": lambda model: diagnostics.pattern_retrieval(model).visible_overlap,
}


@pytest.mark.filterwarnings("ignore:chains of 60 steps")  # the same ones, whatever they say
@pytest.mark.parametrize("name", [*DIAGNOSTICS, *OF_PATTERNS])
def test_diagnostics_agree(on_cpu, cupy_stand_in, name):
    if name in OF_PATTERNS and not hasattr(on_cpu, "visible_patterns_"):
        pytest.skip("a model without patterns")
    diagnose = {**DIAGNOSTICS, **OF_PATTERNS}[name]
    expected = diagnose(on_cpu)
    got = diagnose(on_cpu.set_params(backend="cupy"))
    assert isinstance(got, float | np.ndarray)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
