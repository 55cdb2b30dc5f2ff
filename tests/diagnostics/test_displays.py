"""Displays: what is drawn is what it should be, where it should be."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.diagnostics import displays, gibbs_accessibility, ladder_travels
from sklearn_rapid.diagnostics.displays import (
    AccessibilityDisplay,
    LadderDisplay,
    PatternsDisplay,
    ReconstructionDisplay,
    SamplesDisplay,
    SpectrumDisplay,
    TrainingHistoryDisplay,
)

plt.switch_backend("Agg")

X = make_bars(3)
FIRST_ROW = np.arange(9) < 3
ARGUMENTS = {ReconstructionDisplay: (X[:4], FIRST_ROW)}
# TableComparisonDisplay is one of tables: see test_table_comparison.py.
OF_TABLES = {"TableComparisonDisplay"}
DISPLAYS = [getattr(displays, name) for name in displays.__all__ if name not in OF_TABLES]


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    return RARBM(6, 4, max_iter=5, early_stopping=True, random_state=0).fit(np.tile(X, (10, 1)))


def tile(display, row, column, shape=(3, 3)):
    """An image out of the grid that is drawn, and that the grid is NaN right of and below it."""
    drawn = np.ma.filled(display.image_.get_array(), np.nan)
    top, left = (n * (size + 1) for n, size in zip((row, column), shape, strict=True))
    bottom, right = top + shape[0], left + shape[1]
    assert np.isnan(drawn[bottom : bottom + 1, left:right]).all()
    assert np.isnan(drawn[top:bottom, right : right + 1]).all()
    return drawn[top:bottom, left:right]


# --- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", DISPLAYS)
def test_draws_where_it_is_told(cls, model):
    arguments = ARGUMENTS.get(cls, ())
    n_panels = {TrainingHistoryDisplay: 3, LadderDisplay: 2}.get(cls, 1)
    figure, ax = plt.subplots(n_panels)
    display = cls.from_estimator(model, *arguments, ax=ax)
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    if n_panels > 1:
        assert list(display.axes_) == list(ax)
    else:
        assert display.ax_ is ax
    assert display.plot() is display
    assert display.figure_ is not figure
    display.figure_.canvas.draw()


@pytest.mark.parametrize("cls", DISPLAYS)
def test_needs_a_fitted_estimator(cls):
    with pytest.raises(NotFittedError):
        cls.from_estimator(RARBM(), *ARGUMENTS.get(cls, ()))
    assert plt.get_fignums() == []


@pytest.mark.slow
def test_matplotlib_is_imported_when_it_is_needed_and_missed_clearly():
    code = """
import sys
import numpy as np
from sklearn_rapid.displays import SpectrumDisplay
assert not any(name.split(".")[0] == "matplotlib" for name in sys.modules)
display = SpectrumDisplay(np.ones(3))
sys.modules["matplotlib"] = None
try:
    display.plot()
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == (
        'displays need matplotlib: python -m pip install "sklearn_rapid[plot]"'
    )


# --- images ---------------------------------------------------------------------------------


def test_patterns(model):
    display = PatternsDisplay.from_estimator(model, n_images=3)
    np.testing.assert_array_equal(display.images, model.visible_patterns_[:3])
    for number in range(3):
        expected = model.visible_patterns_[number].reshape(3, 3)
        np.testing.assert_allclose(tile(display, number // 2, number % 2), expected)
    # The middle of the colours is zero.
    low, high = display.image_.get_clim()
    assert low == -high and high == pytest.approx(np.abs(display.images).max())


def test_hidden_units(model):
    display = PatternsDisplay.from_estimator(model, which="hidden_units", n_columns=6)
    np.testing.assert_array_equal(display.images, model.components_)
    np.testing.assert_allclose(tile(display, 0, 5), model.components_[5].reshape(3, 3))


def test_patterns_of_a_model_without_any():
    rbm = RBM(4, max_iter=1).fit(X)
    with pytest.raises(ValueError, match="RBM has no patterns to show: use RARBM"):
        PatternsDisplay.from_estimator(rbm)
    assert PatternsDisplay.from_estimator(rbm, which="hidden_units").images.shape == (4, 9)
    with pytest.raises(ValueError, match="which must be one of 'patterns', 'hidden_units'"):
        PatternsDisplay.from_estimator(rbm, which="units")


def test_samples(model):
    display = SamplesDisplay.from_estimator(
        model, n_samples=7, n_gibbs_steps=5, random_state=1, image_shape=(1, 9), n_columns=2
    )
    samples = model.sample(7, n_gibbs_steps=5, random_state=1)
    np.testing.assert_array_equal(display.images, samples)
    np.testing.assert_array_equal(tile(display, 2, 1, (1, 9)), samples[5:6])
    np.testing.assert_array_equal(tile(display, 3, 0, (1, 9)), samples[6:7])
    assert display.image_.get_clim() == (0.0, 1.0)
    # There is no eighth one.
    assert np.isnan(tile(display, 3, 1, (1, 9))).all()


@pytest.mark.parametrize("units", ["binary", "spin"])
def test_reconstruction(units):
    data = X if units == "binary" else 2.0 * X - 1.0
    model = RBM(4, units=units, max_iter=3, random_state=0).fit(data)
    display = ReconstructionDisplay.from_estimator(
        model, data[:4], FIRST_ROW, n_gibbs_steps=3, random_state=2
    )
    completed = model.reconstruct(data[:4], FIRST_ROW, n_gibbs_steps=3, random_state=2)
    for number in range(4):
        true = data[number].reshape(3, 3).astype(float)
        corrupted = true.copy()
        corrupted[1:] = 0.5 if units == "binary" else 0.0
        np.testing.assert_array_equal(tile(display, 0, number), corrupted)
        np.testing.assert_array_equal(tile(display, 1, number), completed[number].reshape(3, 3))
        np.testing.assert_array_equal(tile(display, 2, number), true)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [
        "corrupted",
        "completed",
        "true",
    ]
    # Each label is at the middle of its row of images: pixels 0-2, 4-6, 8-10.
    np.testing.assert_array_equal(display.ax_.get_yticks(), [1.0, 5.0, 9.0])


def test_images_of_unknown_shape():
    with pytest.raises(ValueError, match=r"8 pixels are no square: image_shape=\(height, width\)"):
        SamplesDisplay(np.ones((2, 8))).plot()
    for shape in ((3, 3), (2, 2, 2), (-2, -4)):
        with pytest.raises(ValueError, match=r"image_shape must be .* of 8 pixels, got"):
            SamplesDisplay(np.ones((2, 8)), shape).plot()
    with pytest.raises(ValueError, match=r"images must have shape .* got \(0, 9\)"):
        SamplesDisplay(np.ones((0, 9))).plot()
    with pytest.raises(ValueError, match="n_columns must be at least 1, got 0"):
        SamplesDisplay(np.ones((2, 9))).plot(n_columns=0)
    assert plt.get_fignums() == []


# --- curves ---------------------------------------------------------------------------------


def test_history(model):
    display = TrainingHistoryDisplay.from_estimator(model, name="a", x="seconds")
    assert [ax.get_ylabel() for ax in display.axes_] == [
        "learning rate",
        "log likelihood",
        "free energy gap",
    ]
    assert display.axes_[-1].get_xlabel() == "seconds"
    for line, name in zip(
        display.lines_, ["learning_rate", "log_likelihood", "free_energy_gap"], strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), model.history_["seconds"])
        np.testing.assert_array_equal(line.get_ydata(), model.history_[name])
        assert line.get_label() == "a"


def test_history_of_what_is_chosen(model):
    figure, ax = plt.subplots()
    display = TrainingHistoryDisplay.from_estimator(model, y=["seconds"], ax=ax)
    assert list(display.axes_) == [ax] and display.figure_ is figure
    with pytest.raises(ValueError, match=r"each of x and y must be one of 'epoch', .* got 'loss'"):
        display.plot(y=["loss"])
    with pytest.raises(ValueError, match="3 panels need as many axes, got 1"):
        display.plot(ax)
    with pytest.raises(ValueError, match="y is empty"):
        display.plot(y=[])


@pytest.mark.slow
def test_history_of_tempered_chains():
    """Barrier and lag are drawn once there are some; errors are a band about the likelihood."""
    long = RBM(6, max_iter=200, batch_size=4, early_stopping=True, n_iter_no_change=200)
    model = long.set_params(random_state=0).fit(np.tile(X, (2, 1)))
    display = TrainingHistoryDisplay.from_estimator(model)
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["learning rate", "barrier", "lag", "log likelihood", "free energy gap"]
    scores, errors = (
        np.array(model.history_[name]) for name in ("log_likelihood", "log_likelihood_error")
    )
    heights = display.bands_["log_likelihood"].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx((scores + errors).max())
    assert heights.min() == pytest.approx((scores - errors).min())


def test_ladder(model):
    travelled = ladder_travels(model, n_sweeps=50, random_state=0)
    display = LadderDisplay.from_estimator(model, n_sweeps=50, random_state=0, name="a")
    steps = travelled.rejections / (travelled.betas[1:] - travelled.betas[:-1])
    for line, expected in zip(display.lines_, (steps, 1 - travelled.rejections), strict=True):
        values, edges, _ = line.get_data()
        np.testing.assert_allclose(values, expected)
        np.testing.assert_array_equal(edges, travelled.betas)
    np.testing.assert_array_equal(display.rungs_.get_xdata(), travelled.betas)
    # λ(β) is the density of the barrier.
    label = display.axes_[0].get_legend().get_texts()[0].get_text()
    area = np.sum(steps * np.diff(travelled.betas))
    assert label == f"a: Λ = {area:.1f}, {travelled.n_round_trips} round trips"


def test_ladders_side_by_side(model):
    """The limits are those of the higher one, whichever comes first."""
    travelled = ladder_travels(model, n_sweeps=50, random_state=0)
    steeper = replace(travelled, rejections=np.minimum(1.0, 3.0 * travelled.rejections))
    first = LadderDisplay(travelled).plot()
    second = LadderDisplay(steeper).plot(first.axes_)
    assert second.lines_[0].get_edgecolor() != first.lines_[0].get_edgecolor()
    low, high = first.axes_[0].get_ylim()
    assert low == 0.0
    assert high >= np.max(steeper.local_barrier)


def test_calls_of_partial_fit_are_drawn_as_epochs_are():
    model = RBM(4, random_state=0).partial_fit(X).partial_fit(X)
    display = TrainingHistoryDisplay.from_estimator(model, x="n_updates", y=["n_rungs"])
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), model.history_["n_updates"])
    with pytest.raises(NotFittedError):
        TrainingHistoryDisplay.from_estimator(RBM(4))


def test_spectra_side_by_side(model):
    rbm = RBM(5, max_iter=1).fit(X)
    first = SpectrumDisplay.from_estimator(model, name="patterns")
    second = SpectrumDisplay.from_estimator(rbm, name="dense", ax=first.ax_, marker="x")
    np.testing.assert_array_equal(second.line_.get_xdata(), np.arange(1, 6))
    expected = np.linalg.svd(rbm.components_, compute_uv=False)
    np.testing.assert_allclose(second.line_.get_ydata(), expected, rtol=1e-5)
    assert second.line_.get_marker() == "x"
    legend = first.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["patterns", "dense"]


def test_accessibility(model):
    display = AccessibilityDisplay.from_estimator(
        model, n_gibbs_steps=[1, 5], n_chains=30, random_state=0
    )
    expected = [gibbs_accessibility(model, n, n_chains=30, random_state=0) for n in (1, 5)]
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 5])
    np.testing.assert_allclose(display.line_.get_ydata(), np.mean(expected, axis=1))
    edges = display.band_.get_paths()[0].vertices[:, 1]
    mean, spread = np.mean(expected, axis=1), np.std(expected, axis=1)
    assert edges.min() == pytest.approx((mean - spread).min())
    assert edges.max() == pytest.approx((mean + spread).max())
    assert display.ax_.get_legend() is None


def test_accessibility_of_one_run_over_epochs():
    display = AccessibilityDisplay(np.arange(4), [0.2, 0.4, 0.8, 0.9], "epoch", "RARBM").plot()
    assert display.band_ is None
    # Epoch zero has no place on a logarithmic axis.
    assert display.ax_.get_xscale() == "linear"
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_legend() is not None


def test_accessibility_of_nothing():
    rbm = RBM(4, fit_intercept=False, max_iter=1).fit(X)
    rbm.components_ = np.zeros_like(rbm.components_)
    with pytest.raises(ValueError, match="all parameters of the model are zero"):
        AccessibilityDisplay.from_estimator(rbm)
