"""Display rows as images: patterns, samples, reconstructions."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import check_count, check_option
from sklearn_rapid.diagnostics.displays._axes import get_figure_and_axes

SIGNED_COLORS = "RdBu"
# Between images: neither a grey nor one of the signed colours.
GAP_COLOR = "tan"


class _ImagesDisplay:
    """Rows of values as images in one grid.

    Parameters
    ----------
    images : array-like of shape (n_images, n_pixels)
    image_shape : tuple of two ints, optional
        Height and width; by default a square.
    """

    _colors = "gray"

    def __init__(self, images: ArrayLike, image_shape: tuple[int, int] | None = None) -> None:
        self.images = np.asarray(images)
        self.image_shape = image_shape

    def plot(self, ax: Any = None, *, n_columns: int | None = None, **imshow_params: Any) -> Self:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.
        n_columns : int, optional
            Images side by side; by default a grid that is about square.
        **imshow_params
            For matplotlib's `imshow`.

        Returns
        -------
        self
        """
        mosaic = _arrange(self.images, self.image_shape, n_columns)
        self.image_ = _draw_grid(mosaic, ax, {"cmap": self._colors, **imshow_params})
        self.ax_, self.figure_ = self.image_.axes, self.image_.figure
        return self


class PatternsDisplay(_ImagesDisplay):
    """The patterns ξ_v of a model as images, or the couplings of its hidden units.

    Parameters
    ----------
    images : array-like of shape (n_images, n_pixels)
    image_shape : tuple of two ints, optional
        Height and width; by default a square.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import PatternsDisplay
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10).fit(make_bars(4))
    >>> display = PatternsDisplay.from_estimator(model)
    >>> display.images.shape
    (8, 16)
    >>> plt.close(display.figure_)
    """

    _colors = SIGNED_COLORS

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        which: str = "patterns",
        n_images: int = 100,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
        **plot_params: Any,
    ) -> Self:
        """Draw the first patterns or hidden units of a fitted model.

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted.
        which : {"patterns", "hidden_units"}, default="patterns"
            Rows of `visible_patterns_` (RARBM), or of `components_`.
        n_images : int, default=100
            At most this many.
        image_shape : tuple of two ints, optional
            Height and width; by default a square.
        ax : matplotlib Axes, optional
        **plot_params
            For `plot`.

        Returns
        -------
        display : PatternsDisplay

        Raises
        ------
        ValueError
            For ``which="patterns"`` if the model has none.
        """
        check_is_fitted(estimator)
        check_option("which", which, ("patterns", "hidden_units"))
        n_images = check_count("n_images", n_images, 1)
        if which == "patterns" and not hasattr(estimator, "visible_patterns_"):
            raise ValueError(
                f"{type(estimator).__name__} has no patterns to show: use RARBM, or "
                "which='hidden_units'"
            )
        name = "visible_patterns_" if which == "patterns" else "components_"
        return cls(getattr(estimator, name)[:n_images], image_shape).plot(ax, **plot_params)


class SamplesDisplay(_ImagesDisplay):
    """Samples of a model as images.

    Parameters
    ----------
    images : array-like of shape (n_images, n_pixels)
    image_shape : tuple of two ints, optional
        Height and width; by default a square.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import SamplesDisplay
    >>> rbm = RBM(n_components=8, max_iter=10).fit(make_bars(4))
    >>> display = SamplesDisplay.from_estimator(rbm, n_samples=12, random_state=0)
    >>> display.images.shape
    (12, 16)
    >>> plt.close(display.figure_)
    """

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_samples: int = 25,
        n_gibbs_steps: int | None = None,
        init: Any = None,
        random_state: Any = None,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
        **plot_params: Any,
    ) -> Self:
        """Draw samples of a fitted model.

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted.
        n_samples, n_gibbs_steps, init, random_state :
            As for the estimator's `sample`.
        image_shape : tuple of two ints, optional
            Height and width; by default a square.
        ax : matplotlib Axes, optional
        **plot_params
            For `plot`.

        Returns
        -------
        display : SamplesDisplay
        """
        check_is_fitted(estimator)
        images = estimator.sample(
            n_samples, n_gibbs_steps=n_gibbs_steps, init=init, random_state=random_state
        )
        return cls(np.asarray(images), image_shape).plot(ax, **plot_params)


class ReconstructionDisplay:
    """Corrupted images, their completions by a model, and the true ones; an image is a column.

    Parameters
    ----------
    corrupted, completed, true : array-like of shape (n_images, n_pixels)
    image_shape : tuple of two ints, optional
        Height and width; by default a square.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import ReconstructionDisplay
    >>> X = make_bars(4)
    >>> rbm = RBM(n_components=8, max_iter=10).fit(X)
    >>> first_row = np.arange(16) < 4
    >>> display = ReconstructionDisplay.from_estimator(rbm, X, first_row, random_state=0)
    >>> display.completed.shape
    (14, 16)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        corrupted: ArrayLike,
        completed: ArrayLike,
        true: ArrayLike,
        image_shape: tuple[int, int] | None = None,
    ) -> None:
        self.corrupted = np.asarray(corrupted)
        self.completed = np.asarray(completed)
        self.true = np.asarray(true)
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        mask: ArrayLike,
        *,
        n_gibbs_steps: int = 100,
        random_state: Any = None,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
        **plot_params: Any,
    ) -> Self:
        """Draw images completed by a fitted model.

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted.
        X : array-like of shape (n_samples, n_features)
            True images: a handful.
        mask : array-like of bool, shape (n_features,) or (n_samples, n_features)
            True where a pixel is known.
        n_gibbs_steps, random_state :
            As for the estimator's `reconstruct`.
        image_shape : tuple of two ints, optional
            Height and width; by default a square.
        ax : matplotlib Axes, optional
        **plot_params
            For `plot`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_is_fitted(estimator)
        # Zero steps return the rows unchanged, in the units of samples.
        true = np.asarray(estimator.gibbs(X, n_steps=0))
        completed = np.asarray(
            estimator.reconstruct(X, mask, n_gibbs_steps=n_gibbs_steps, random_state=random_state)
        )
        undecided = 0.5 if estimator.units == "binary" else 0.0
        corrupted = np.where(np.asarray(mask), true, undecided)
        return cls(corrupted, completed, true, image_shape).plot(ax, **plot_params)

    def plot(self, ax: Any = None, **imshow_params: Any) -> Self:
        """Draw the images in three rows.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.
        **imshow_params
            For matplotlib's `imshow`.

        Returns
        -------
        self
        """
        rows = {"corrupted": self.corrupted, "completed": self.completed, "true": self.true}
        images = np.concatenate(list(rows.values()))
        mosaic = _arrange(images, self.image_shape, len(self.true))
        self.image_ = _draw_grid(mosaic, ax, {"cmap": "gray", **imshow_params})
        self.ax_, self.figure_ = self.image_.axes, self.image_.figure
        height = (mosaic.shape[0] + 1) // 3
        self.ax_.set_yticks([height * row + height / 2 - 1 for row in range(3)], list(rows))
        self.ax_.tick_params(length=0)
        return self


def _arrange(
    images: np.ndarray, image_shape: tuple[int, int] | None, n_columns: int | None
) -> np.ndarray:
    """Arrange images in a grid with a pixel between them; gaps are NaN, which is not drawn.

    Examples
    --------
    >>> _arrange(np.array([[1, 2], [3, 4]]), (1, 2), 2)
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


def _draw_grid(mosaic: np.ndarray, ax: Any, params: dict[str, Any]) -> Any:
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
