"""`transform` as ONNX, run by another library."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.persistence.onnx import register

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

rng = np.random.default_rng(0)
BITS = rng.integers(2, size=(200, 12))
MEANS = rng.random(size=(200, 12))
HOW = {"n_components": 7, "max_iter": 2, "random_state": 0}


def run(model, X):
    register()
    content = skl2onnx.to_onnx(model, X[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})


@pytest.mark.parametrize(
    ("model", "X"),
    [
        (RBM(**HOW), BITS.astype(np.float32)),
        (RBM(**HOW), BITS.astype(np.int64)),
        (RARBM(**HOW, n_patterns=3, init_scale=0.5), MEANS.astype(np.float32)),
        (RBM(**HOW, binarize=0.3, init_scale=0.3), MEANS.astype(np.float64)),
        (RBM(**HOW, dtype="float64", init_scale=0.3), MEANS),
        (RBM(**HOW, units="spin", init_scale=0.3), (2 * BITS - 1).astype(np.float32)),
        (RBM(**HOW, units="spin", binarize=None), (2 * MEANS - 1).astype(np.float32)),
        (RBM(**HOW, units="spin", binarize=0.2, init_scale=0.3), MEANS.astype(np.float32)),
        (RBM(**HOW, visible="gaussian", init_scale=0.3), (1.0 + MEANS).astype(np.float32)),
        (
            RARBM(**HOW, n_patterns=3, visible="gaussian", units="spin", dtype="float64"),
            9.0 * MEANS,
        ),
        (RBM(**HOW, hidden="gaussian", init_scale=0.3), BITS.astype(np.float32)),
    ],
)
def test_features_are_the_same(model, X):
    (features,) = run(model.fit(X), X)
    expected = model.transform(X)
    assert features.dtype == expected.dtype and features.std() > 0.01
    np.testing.assert_allclose(features, expected, atol=2e-6)


def test_in_a_pipeline():
    X, y = BITS.astype(np.float32), BITS[:, 0]
    pipeline = make_pipeline(RBM(**HOW), LogisticRegression()).fit(X, y)
    labels, _ = run(pipeline, X)
    np.testing.assert_array_equal(labels, pipeline.predict(X))


def test_samples_are_refused():
    X = BITS.astype(np.float32)
    model = RBM(**HOW, hidden_features="sample").fit(X)
    with pytest.raises(ValueError, match="hidden_features='mean', got 'sample'"):
        run(model, X)


@pytest.mark.parametrize(
    "visible", ["categorical", [("binary", slice(6)), ("gaussian", slice(6, 12))]]
)
def test_categories_and_tables_are_refused(visible):
    X = (BITS if visible == "categorical" else BITS + MEANS * (np.arange(12) > 5)).astype(
        np.float32
    )
    model = RBM(**HOW, visible=visible).fit(X)
    with pytest.raises(ValueError, match=r"one kind of columns, visible=.binary. or .gaussian."):
        run(model, X)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": ["x", "y"] * 50}, "zeros and ones if they are binary, got 'x', 'y' in column 't"),
        (
            {"size": [2.0, 7.0] * 50},
            r"zeros and ones if they are binary, got .*2.0.* .size.",
        ),
        ({"word": ["x", "y", "z", "x"] * 25}, "visible='binary' or 'gaussian', got categorical"),
        ({"bit": [0, 1] * 50, "real": np.arange(100) ** 2}, "got binary and real ones"),
        ({"real": np.arange(100) ** 2}, "got real ones"),
    ],
)
def test_other_frames_are_refused(values, message):
    pandas = pytest.importorskip("pandas")
    model = RBM(**HOW).fit(pandas.DataFrame(values))
    with pytest.raises(ValueError, match=message):
        register()
        skl2onnx.to_onnx(model, np.zeros((1, len(values)), dtype=np.float32))


@pytest.mark.parametrize("visible", ["auto", "gaussian"])
def test_frames_of_numbers(visible):
    pandas = pytest.importorskip("pandas")
    X = BITS.astype(np.float32)
    table = pandas.DataFrame(X, columns=[f"c{j}" for j in range(12)])
    model = RBM(**HOW, init_scale=0.3, visible=visible).fit(table)
    (features,) = run(model, X)
    np.testing.assert_allclose(features, model.transform(table), atol=2e-6)
