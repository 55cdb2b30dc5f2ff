"""Displays of fitted models, used as scikit-learn's are: ``SomeDisplay.from_estimator(...)``.

They need matplotlib (``pip install "sklearn_rapid[plot]"``), which is imported at the first plot.
The code is in ``sklearn_rapid.diagnostics.displays``.
"""

from sklearn_rapid.diagnostics.displays import (
    AccessibilityDisplay,
    LadderDisplay,
    PatternsDisplay,
    ReconstructionDisplay,
    SamplesDisplay,
    SpectrumDisplay,
    TableComparisonDisplay,
    TrainingHistoryDisplay,
)

__all__ = [
    "AccessibilityDisplay",
    "LadderDisplay",
    "PatternsDisplay",
    "ReconstructionDisplay",
    "SamplesDisplay",
    "SpectrumDisplay",
    "TableComparisonDisplay",
    "TrainingHistoryDisplay",
]
