"""Negative phases: where the model's own states in the gradient of the likelihood come from.

Each yields visible states, with weights where they are not equally likely, and its next chains.
The objects hold hyperparameters; chains are passed in and returned, so that clones are safe and
resuming is exact. The code is in ``sklearn_rapid.training.negative_phase``.
"""

from sklearn_rapid.training.chains import Chains, PlainChains
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    Exact,
    NegativePhase,
    NegativeStates,
    ParallelTempering,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)

__all__ = [
    "Chains",
    "ContrastiveDivergence",
    "Exact",
    "NegativePhase",
    "NegativeStates",
    "ParallelTempering",
    "PatternInducedCorrelations",
    "PersistentContrastiveDivergence",
    "PlainChains",
]
