"""Checkpoints of a fit, written by a callback of scikit-learn's, and how to resume from them.

`resume` continues a fit that was cut short, and ends with the same model, bit for bit, as a fit
that was not. `Checkpoint` writes the fit to disk while it runs, for a process that may be killed.
The code is in ``sklearn_rapid.persistence.checkpoint``.
"""

from sklearn_rapid.persistence.checkpoint import Checkpoint, resume

__all__ = ["Checkpoint", "resume"]
