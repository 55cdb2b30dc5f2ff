"""Convert `transform` to ONNX, to compute features where there is no Python.

skl2onnx converts pipelines step by step; `register` adds the steps of this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.estimators import RARBM, RBM

__all__ = ["register"]


def register() -> None:
    """Let skl2onnx convert `RBM` and `RARBM`, alone and in pipelines.

    The ONNX model computes `transform` with ``hidden_features="mean"``.

    Raises
    ------
    ImportError
        Without skl2onnx (``pip install skl2onnx``).

    Examples
    --------
    >>> import pytest
    >>> skl2onnx = pytest.importorskip("skl2onnx")
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rapid.datasets import make_bars
    >>> X = make_bars(3).astype(np.float32)
    >>> pipeline = make_pipeline(RBM(4, random_state=0), LogisticRegression()).fit(X, X[:, 0])
    >>> register()
    >>> onnx = skl2onnx.to_onnx(pipeline, X[:1])
    >>> [node.op_type for node in onnx.graph.node][:4]
    ['Cast', 'MatMul', 'Add', 'Sigmoid']
    """
    from skl2onnx import update_registered_converter

    for cls in (RBM, RARBM):
        update_registered_converter(
            cls, f"SklearnRapid{cls.__name__}", _declare_output, _add_operators
        )


def _declare_output(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    model = operator.raw_operator
    kind = DoubleTensorType if np.dtype(model.dtype) == np.float64 else FloatTensorType
    operator.outputs[0].type = kind([None, len(model.intercept_hidden_)])


def _add_operators(scope: Any, operator: Any, container: Any) -> None:
    """Compute E[h | x] from x itself: spins of x in {0, 1} are 2x - 1."""
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import guess_numpy_type

    model = operator.raw_operator
    check_is_fitted(model)
    if model.hidden_features != "mean":
        raise ValueError(
            f"ONNX takes hidden_features='mean', got {model.hidden_features!r}: it has no random "
            "numbers like ours"
        )
    if model.visible not in ("binary", "gaussian"):
        raise ValueError(
            "ONNX takes models of one kind of columns, binary or real ones; got "
            f"visible={model.visible!r}"
        )
    options = {"op_version": container.target_opset}
    dtype = np.dtype(model.dtype)
    number = {"float32": 1, "float64": 11}[dtype.name]  # TensorProto's names of types
    weights = model.components_.T.astype(np.float64)
    bias = model.intercept_hidden_.astype(np.float64)
    x = operator.inputs[0]
    has_threshold = model.binarize_ not in (None, "sample")
    if has_threshold:
        # Values are compared in the type of the input.
        threshold = np.array([model.binarize_], dtype=guess_numpy_type(x.type))
        x = ops.OnnxGreater(x, threshold, **options)
    if model.visible == "gaussian":
        weights = weights / model.scale_[:, None]
        bias = bias - model.mean_ @ weights
    elif has_threshold or model.units == "binary":
        weights, bias = 2.0 * weights, bias - weights.sum(axis=0)
    function = ops.OnnxIdentity if model.hidden == "gaussian" else ops.OnnxTanh
    if model.units == "binary" and model.hidden == "binary":  # (1 + tanh θ) / 2
        weights, bias, function = 2.0 * weights, 2.0 * bias, ops.OnnxSigmoid
    x = ops.OnnxCast(x, to=number, **options)
    product = ops.OnnxMatMul(x, weights.astype(dtype), **options)
    field = ops.OnnxAdd(product, bias.astype(dtype), **options)
    function(field, output_names=operator.outputs[:1], **options).add_to(scope, container)
