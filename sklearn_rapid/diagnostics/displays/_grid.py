"""Arrange images in a grid, and draw it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sklearn_rapid.checks.arguments import check_count
from sklearn_rapid.diagnostics.displays._axes import get_figure_and_axes

SIGNED_COLORS = "RdBu"
# Between images: neither a grey nor one of the signed colours.
GAP_COLOR = "tan"


def arrange(
    images: np.ndarray, image_shape: tuple[int, int] | None, n_columns: int | None
) -> np.ndarray:
    """Arrange images in a grid with a pixel between them; gaps are NaN, which is not drawn.

    Examples
    --------
    >>> arrange(np.array([[1, 2], [3, 4]]), (1, 2), 2)
    array([[ 1.,  2., nan,  3.,  4.]])
    """
    if images.ndim != 2 or images.shape[0] == 0:
        raise ValueError(f"images must have shape (n_images, n_pixels), got {images.shape}")
    n_images, n_pixels = images.shape
    height, width = _resolve_shape(image_shape, n_pixels)
    if n_columns is None:
        n_columns = math.ceil(math.sqrt(n_images))
    n_columns = check_count("n_columns", n_columns, 1)
    n_columns = min(n_columns, n_images)
    n_rows = -(-n_images // n_columns)
    tiles = np.full((n_rows * n_columns, height + 1, width + 1), np.nan)
    tiles[:n_images, :height, :width] = images.reshape(n_images, height, width)
    tiles = tiles.reshape(n_rows, n_columns, height + 1, width + 1)
    mosaic = tiles.swapaxes(1, 2).reshape(n_rows * (height + 1), n_columns * (width + 1))
    return mosaic[:-1, :-1]


def _resolve_shape(image_shape: tuple[int, int] | None, n_pixels: int) -> tuple[int, int]:
    if image_shape is None:
        side = math.isqrt(n_pixels)
        if side * side != n_pixels:
            raise ValueError(
                f"{n_pixels} pixels are no square: image_shape=(height, width) is needed"
            )
        return side, side
    if len(image_shape) != 2 or math.prod(image_shape) != n_pixels or min(image_shape) < 1:
        raise ValueError(
            f"image_shape must be a (height, width) of {n_pixels} pixels, got {image_shape!r}"
        )
    return tuple(image_shape)


def draw_grid(mosaic: np.ndarray, ax: Any, params: dict[str, Any]) -> Any:
    """Draw a grid without ticks; signed colours are centred on zero."""
    _, ax = get_figure_and_axes(ax)
    low, high = float(np.nanmin(mosaic)), float(np.nanmax(mosaic))
    if params["cmap"] == SIGNED_COLORS:
        high = max(-low, high)
        low = -high
    image = ax.imshow(mosaic, **{"vmin": low, "vmax": high, **params})
    ax.set_facecolor(GAP_COLOR)
    ax.set_xticks([])
    ax.set_yticks([])
    return image
