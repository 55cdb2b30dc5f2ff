"""Displays of fitted models, used as scikit-learn's are: ``SomeDisplay.from_estimator(...)``.

They need matplotlib (``pip install "sklearn_rapid[plot]"``), which is imported at the first plot.
"""

from sklearn_rapid.diagnostics.displays._comparison import TableComparisonDisplay
from sklearn_rapid.diagnostics.displays._curves import (
    AccessibilityDisplay,
    SpectrumDisplay,
    TrainingHistoryDisplay,
)
from sklearn_rapid.diagnostics.displays._images import (
    PatternsDisplay,
    ReconstructionDisplay,
    SamplesDisplay,
)
from sklearn_rapid.diagnostics.displays._ladder import LadderDisplay

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
