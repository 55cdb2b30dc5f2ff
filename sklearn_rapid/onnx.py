"""`transform` as ONNX, for those who compute features where there is no Python.

skl2onnx converts pipelines step by step; `register` tells it what the steps of this package are.
The code is in ``sklearn_rapid.persistence.onnx``.
"""

from sklearn_rapid.persistence.onnx import register

__all__ = ["register"]
