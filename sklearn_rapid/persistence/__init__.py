"""Models and unfinished fits in files.

`models` saves and loads models without running code; `tree` encodes their values as JSON; `files`
writes atomically and detects damage; `checkpoint` keeps a fit under way; `onnx` converts
`transform`.
"""

from sklearn_rapid.persistence.models import load, save

__all__ = ["load", "save"]
