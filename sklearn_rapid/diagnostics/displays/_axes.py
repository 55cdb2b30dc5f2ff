"""Where displays draw. The only place that imports matplotlib, when it is first needed."""

from __future__ import annotations

from typing import Any

import numpy as np


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'displays need matplotlib: python -m pip install "sklearn_rapid[plot]"'
        ) from error
    return plt


def figure_and_axes(ax: Any) -> tuple[Any, Any]:
    """The axes given and their figure, or new ones."""
    plt = _pyplot()
    ax = plt.subplots()[1] if ax is None else ax
    return ax.figure, ax


def figure_and_panels(ax: Any, n_panels: int) -> tuple[Any, np.ndarray]:
    """Axes for so many panels, in an array of one dimension."""
    plt = _pyplot()
    if n_panels == 0:
        raise ValueError("there is nothing to draw: y is empty")
    if ax is None:
        ax = plt.subplots(n_panels, sharex=True, squeeze=False, layout="constrained")[1]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if axes.size != n_panels:
        raise ValueError(f"{n_panels} panels need as many axes, got {axes.size}")
    return axes[0].figure, axes


def add_legend(ax: Any, label: str | None) -> None:
    if label is not None:
        ax.legend()
