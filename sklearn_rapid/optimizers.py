"""Optimizers turn a gradient into a direction; schedules give the length of each step.

The code is in ``sklearn_rapid.training.optimizers``.
"""

from sklearn_rapid.training.optimizers import (
    SGD,
    Adam,
    ExponentialDecay,
    LinearDecay,
    Optimizer,
    Schedule,
)

__all__ = ["SGD", "Adam", "ExponentialDecay", "LinearDecay", "Optimizer", "Schedule"]
