"""Convert `transform` to ONNX, to compute features where there is no Python.

skl2onnx converts pipelines step by step; `register` adds the steps of this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.estimators import RARBM, RBM
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.tables.columns import names_of
from sklearn_rapid.tables.settings import label_columns

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
    kind = _find_kind(model)
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
    if kind == "gaussian":
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


def _find_kind(model: Any) -> str:
    """Find the kind of a model's columns; ValueError unless their numbers stand for themselves."""
    table = get_fitted_model(model).table
    kinds = [part.kind for part in table.parts]
    if kinds not in (["binary"], ["gaussian"]):
        raise ValueError(
            "ONNX takes models of one kind of columns, visible='binary' or 'gaussian', got "
            f"{' and '.join(kinds)} ones: leave out the others, or encode them in the pipeline "
            "before, such as by OneHotEncoder"
        )
    coded = [j for j, known in enumerate(table.values or ()) if known is not None]
    if coded:
        known = ", ".join(map(describe, table.values[coded[0]]))
        raise ValueError(
            f"ONNX takes columns of numbers, zeros and ones if they are binary, got {known} in "
            f"{label_columns(coded[:1], names_of(table.schema, range(table.n_columns)))}: encode "
            "such columns in the pipeline before, such as by OrdinalEncoder"
        )
    return kinds[0]
