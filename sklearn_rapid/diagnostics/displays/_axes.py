"""Get the axes that displays draw into; the only module that imports matplotlib, when needed."""

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


def get_figure_and_axes(ax: Any) -> tuple[Any, Any]:
    """Return the figure of given axes and the axes, or new ones."""
    plt = _pyplot()
    ax = plt.subplots()[1] if ax is None else ax
    return ax.figure, ax


def get_figure_and_panels(ax: Any, n_panels: int) -> tuple[Any, np.ndarray]:
    """Return a figure and an array of one axes for each panel, given or new."""
    plt = _pyplot()
    if n_panels == 0:
        raise ValueError("there is nothing to draw: y is empty")
    if ax is None:
        ax = plt.subplots(n_panels, sharex=True, squeeze=False, layout="constrained")[1]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if axes.size != n_panels:
        raise ValueError(f"{n_panels} panels need as many axes, got {axes.size}")
    return axes[0].figure, axes


def get_figure_and_table(ax: Any, n_panels: int) -> tuple[Any, np.ndarray]:
    """Return a figure and an array of axes, given or new: three in a row, or two by two."""
    if ax is None:
        shape, size = ((2, 2), (12.0, 9.5)) if n_panels == 4 else ((1, 3), (17.0, 5.0))
        ax = _pyplot().subplots(*shape, figsize=size, layout="constrained")[1]
    return get_figure_and_panels(ax, n_panels)


def draw_band(ax: Any, x: Any, middle: np.ndarray, error: np.ndarray, line: Any) -> Any:
    """Shade one error above and below a curve, in the colour of its line."""
    color = line.get_color()
    return ax.fill_between(x, middle - error, middle + error, color=color, alpha=0.2)


def add_legend(ax: Any, label: str | None) -> None:
    """Add a legend if there is a label."""
    if label is not None:
        ax.legend()
