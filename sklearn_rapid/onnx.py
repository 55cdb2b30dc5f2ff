"""Convert `transform` to ONNX, to compute features where there is no Python.

skl2onnx converts pipelines step by step; `register` adds the steps of this package.
The code is in ``sklearn_rapid.persistence.onnx``.
"""

from sklearn_rapid.persistence.onnx import register

__all__ = ["register"]
