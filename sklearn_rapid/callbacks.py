"""Checkpoints of a fit, for scikit-learn's callbacks, and how to go on with one.

A fit that was cut short goes on where it was, and its model is bit for bit the one that it would
have been otherwise: `resume`. A `Checkpoint` is kept while a fit runs, for the end that comes
without warning. The code is in ``sklearn_rapid.persistence.checkpoint``.
"""

from sklearn_rapid.persistence.checkpoint import Checkpoint, resume

__all__ = ["Checkpoint", "resume"]
