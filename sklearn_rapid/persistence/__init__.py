"""Models in files.

`models` saves and loads, in files that run no code; `tree` says what is in them, `files` writes
files that are whole or not there; `checkpoint` keeps a fit under way; `onnx` converts `transform`.
"""

from sklearn_rapid.persistence.models import load, save

__all__ = ["load", "save"]
