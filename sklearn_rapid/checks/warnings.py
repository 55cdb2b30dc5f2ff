"""Warn at the user's own line, however deep in the package a warning arises."""

from __future__ import annotations

import sys
import warnings

# Frames of this package, and of scikit-learn's decorators and pipelines around it.
OURS = ("sklearn_rapid", "sklearn")


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the first line up the stack that is neither this package's nor scikit-learn's."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _package(frame) in OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(frame: object) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
