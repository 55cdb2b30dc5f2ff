"""Positive phases: how missing entries and latent units get their states in training.

The code is in ``sklearn_rapid.training.positive_phase``.
"""

from sklearn_rapid.training.positive_phase import ClampedChains, MeanField, PositivePhase

__all__ = ["ClampedChains", "MeanField", "PositivePhase"]
