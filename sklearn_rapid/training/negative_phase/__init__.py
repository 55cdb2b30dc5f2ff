"""Negative phases: draw the model's own states for the gradient of the likelihood.

Each yields visible states, with weights where they are not equally likely, and its next chains.
The training loop never asks which one it runs. The objects hold hyperparameters; chains are passed
in and returned, so that clones are safe and resuming is exact.
"""

from sklearn_rapid.training.negative_phase._base import NegativePhase, NegativeStates
from sklearn_rapid.training.negative_phase._chains import (
    ContrastiveDivergence,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.negative_phase._exact import Exact
from sklearn_rapid.training.negative_phase._tempered import ParallelTempering

__all__ = [
    "ContrastiveDivergence",
    "Exact",
    "NegativePhase",
    "NegativeStates",
    "ParallelTempering",
    "PatternInducedCorrelations",
    "PersistentContrastiveDivergence",
]

BY_NAME = {
    "auto": ParallelTempering,
    "cd": ContrastiveDivergence,
    "exact": Exact,
    "pcd": PersistentContrastiveDivergence,
    "pid": PatternInducedCorrelations,
    "pt": ParallelTempering,
}
