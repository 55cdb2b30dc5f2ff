"""Deep and full machines, diagnostics and displays of data frames, against the same as arrays."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from sklearn_rapid import DBM, RABM, RADBM, RARBM, RBM, diagnostics
from sklearn_rapid.displays import PatternsDisplay, ReconstructionDisplay, SamplesDisplay

plt.switch_backend("Agg")

N = 60
HOW = {"max_iter": 2, "random_state": 0}
rng = np.random.default_rng(0)
BITS = rng.integers(2, size=(N, 4))
# The same bits in other words.
PAIRS = pd.DataFrame(
    {
        "sex": np.array(["f", "m"])[BITS[:, 0]],
        "flag": BITS[:, 1] > 0,
        "size": np.array([2, 7])[BITS[:, 2]],
        "bit": BITS[:, 3],
    }
)
MIXED = PAIRS.assign(word=rng.choice(["a", "b", "c"], N), age=rng.normal(50.0, 9.0, N))
FRAMES = {"pandas": PAIRS, "polars": pl.DataFrame(PAIRS.to_dict("list"))}
MODELS = {
    "RBM": RBM(3, **HOW),
    "RARBM": RARBM(3, 2, **HOW),
    "DBM": DBM((3, 2), **HOW),
    "RADBM": RADBM((3, 2), n_patterns=2, **HOW),
    "RABM": RABM(2, **HOW),
    "RABM, hidden": RABM(2, 2, **HOW),
}


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


def as_bits(frame):
    """Rows of a frame like `PAIRS` as zeros and ones."""
    columns = [np.asarray(frame[name]) for name in PAIRS.columns]
    highs = ("m", True, 7, 1)
    return np.column_stack([column == high for column, high in zip(columns, highs, strict=True)])


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize(
    "name",
    ["RBM", "DBM", *(pytest.param(n, marks=pytest.mark.slow) for n in [*MODELS][3:]), "RARBM"],
)
def test_machines_of_two_valued_columns(name, library):
    """All of them see the bits that the values are."""
    X, of_bits = FRAMES[library], clone(MODELS[name]).fit(BITS)
    model = clone(MODELS[name]).fit(X)
    np.testing.assert_array_equal(model.transform(X), of_bits.transform(BITS))
    np.testing.assert_array_equal(model.score_samples(X), of_bits.score_samples(BITS))
    for method, args, of_array in (
        ("sample", (9,), (9,)),
        ("gibbs", (X, 2), (BITS, 2)),
        ("reconstruct", (X, [True, True, False, False]), (BITS, [True, True, False, False])),
    ):
        result = getattr(model, method)(*args, random_state=1)
        expected = getattr(of_bits, method)(*of_array, random_state=1)
        assert type(result) is type(X) and list(result.columns) == list(PAIRS.columns)
        np.testing.assert_array_equal(as_bits(result), expected)
    back = model.inverse_transform(model.transform(X))
    np.testing.assert_array_equal(
        as_bits(back), of_bits.inverse_transform(of_bits.transform(BITS)) > 0.5
    )
    np.testing.assert_array_equal(model.conditional(X, "sex"), of_bits.conditional(BITS, 0))
    assert model.partial_fit(X).n_iter_ == 3


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("RBM", "RARBM")])
def test_other_columns_are_refused_by_name(name):
    """Numbers are thresholded, with a warning, as those of arrays are."""
    kind = type(MODELS[name]).__name__
    with pytest.raises(ValueError, match=f"{kind} takes binary columns, and column 'word' is"):
        clone(MODELS[name]).fit(MIXED[["sex", "word"]])
    model = clone(MODELS[name]).fit(PAIRS)
    with pytest.raises(ValueError, match="in column 'sex', where the fit has seen 'f', 'm' only"):
        model.transform(PAIRS.replace("m", "x"))


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("name", ["RBM", "RARBM"])
def test_diagnostics(name, library):
    X, of_bits = FRAMES[library], clone(MODELS[name]).fit(BITS)
    model = clone(MODELS[name]).fit(X)
    mask, how = [True, True, False, False], {"n_samples": 30, "random_state": 0}
    for function, args, keywords in (
        ("reconstruction_distance", (X, mask), {"random_state": 0}),
        ("overlap_distribution", (X,), {}),
        ("overlap_distribution", (), {**how, "n_gibbs_steps": 3}),
        ("ultrametricity", (X,), {"random_state": 0}),
        ("ultrametricity", (), {**how, "n_gibbs_steps": 3}),
        ("method_accessibility", (X,), {"random_state": 0}),
        ("autocorrelation_time", (), {"random_state": 0}),
        *([("mattis_magnetization", (X,), {})] if name == "RARBM" else []),
    ):
        call = getattr(diagnostics, function)
        of_array = (BITS, *args[1:]) if args else ()
        expected = call(of_bits, *of_array, **keywords)
        np.testing.assert_equal(_numbers(call(model, *args, **keywords)), _numbers(expected))
    # Whatever container results are wanted in.
    expected = diagnostics.overlap_distribution(of_bits, **how, n_gibbs_steps=3)
    for kind in ("default", "pandas", "polars"):
        model.set_output(transform=kind)
        found = diagnostics.overlap_distribution(model, **how, n_gibbs_steps=3)
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def _numbers(value):
    return vars(value) if hasattr(value, "__dict__") else value


def test_diagnostics_say_what_columns_they_lack():
    model = RBM(3, **HOW).fit(MIXED)
    with pytest.raises(ValueError, match="about spins, got RBM with binary and categorical and "):
        diagnostics.overlap_distribution(model)


@pytest.mark.parametrize("library", FRAMES)
def test_rows_of_a_frame_are_shown_as_a_table(library):
    X = MIXED if library == "pandas" else pl.DataFrame(MIXED.to_dict("list"))
    model = RBM(3, **HOW).fit(X)
    display = SamplesDisplay.from_estimator(model, n_samples=5, n_gibbs_steps=3, random_state=1)
    samples = model.sample(5, n_gibbs_steps=3, random_state=1)
    assert type(display.images) is type(X)
    cells = {
        place: cell.get_text().get_text() for place, cell in display.table_.get_celld().items()
    }
    assert [cells[0, j] for j in range(6)] == list(MIXED.columns)
    for i in range(5):
        row = [np.asarray(samples[name])[i] for name in MIXED.columns]
        assert [cells[i + 1, j] for j in range(5)] == [str(value) for value in row[:5]]
        assert cells[i + 1, 5] == f"{row[5]:.4g}"
    assert list(display.ax_.tables) == [display.table_]
    _, ax = plt.subplots()
    assert SamplesDisplay(samples).plot(ax, fontsize=6).ax_ is ax


def test_rows_of_numbers_are_images():
    pixels = pd.DataFrame(BITS, columns=list("abcd"))
    model = RBM(3, **HOW).fit(pixels)
    display = SamplesDisplay.from_estimator(model, n_samples=4, random_state=0)
    assert isinstance(display.images, np.ndarray) and display.images.shape == (4, 4)
    np.testing.assert_array_equal(display.images, model.sample(4, random_state=0))
    shown = ReconstructionDisplay.from_estimator(model, pixels[:3], [True] * 2 + [False] * 2)
    np.testing.assert_array_equal(shown.true, BITS[:3])
    grey = RBM(3, **HOW, visible="gaussian").fit(pixels + rng.normal(size=pixels.shape))
    assert SamplesDisplay.from_estimator(grey, n_samples=4).image_ is not None
    wide = RBM(3, **HOW).fit(MIXED[["flag", "age"]])
    shaped = SamplesDisplay.from_estimator(wide, n_samples=4, image_shape=(1, 2))
    assert shaped.images.shape == (4, 2)


def test_text_is_no_image():
    model = RBM(3, **HOW).fit(MIXED)
    what = "images are of numbers, and column 'sex' holds values such as"
    with pytest.raises(ValueError, match=what):
        SamplesDisplay.from_estimator(model, image_shape=(2, 3))
    with pytest.raises(ValueError, match=what):
        ReconstructionDisplay.from_estimator(model, MIXED[:3], [True] * 3 + [False] * 3)
    with pytest.raises(ValueError, match="pixels are no square"):
        PatternsDisplay.from_estimator(model, which="hidden_units")
