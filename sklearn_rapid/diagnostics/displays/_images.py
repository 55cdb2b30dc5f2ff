"""Display rows as images: patterns, samples, reconstructions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import check_count, check_option
from sklearn_rapid.diagnostics.displays._grid import SIGNED_COLORS, arrange, draw_grid
from sklearn_rapid.diagnostics.displays._table import as_pixels, draw_table
from sklearn_rapid.estimators.model import get_fitted_model
from sklearn_rapid.tables.frames import is_frame


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
        mosaic = arrange(self.images, self.image_shape, n_columns)
        self.image_ = draw_grid(mosaic, ax, {"cmap": self._colors, **imshow_params})
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
    """Samples of a model as images; or as a table, if they are rows of a data frame.

    Parameters
    ----------
    images : array-like of shape (n_images, n_pixels), or data frame
        A frame is shown as a table, unless there is an `image_shape`.
    image_shape : tuple of two ints, optional
        Height and width; by default a square.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        Of images.
    table_ : matplotlib Table
        Of rows of a frame.

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

    def __init__(self, images: Any, image_shape: tuple[int, int] | None = None) -> None:
        if is_frame(images) and image_shape is None:
            self.images, self.image_shape = images, None
        else:
            super().__init__(as_pixels(images), image_shape)

    def plot(self, ax: Any = None, *, n_columns: int | None = None, **params: Any) -> Self:
        """Draw the samples.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.
        n_columns : int, optional
            Images side by side; by default a grid that is about square.
        **params
            For matplotlib's `imshow`, or for its `table` if rows of a frame are shown.

        Returns
        -------
        self
        """
        if not is_frame(self.images):
            return super().plot(ax, n_columns=n_columns, **params)
        self.table_ = draw_table(self.images, ax, params)
        self.ax_, self.figure_ = self.table_.axes, self.table_.figure
        return self

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
            Height and width; by default a square. Without it, rows of a frame are shown as a table,
            unless all of its columns are zeros and ones, or of the kind "gaussian".
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
        table = get_fitted_model(estimator).table
        are_pixels = table.are_plain or [part.kind for part in table.parts] == ["gaussian"]
        images = as_pixels(images) if are_pixels else images
        return cls(images, image_shape).plot(ax, **plot_params)


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
        true = as_pixels(estimator.gibbs(X, n_steps=0))
        completed = as_pixels(
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
        mosaic = arrange(images, self.image_shape, len(self.true))
        self.image_ = draw_grid(mosaic, ax, {"cmap": "gray", **imshow_params})
        self.ax_, self.figure_ = self.image_.axes, self.image_.figure
        height = (mosaic.shape[0] + 1) // 3
        self.ax_.set_yticks([height * row + height / 2 - 1 for row in range(3)], list(rows))
        self.ax_.tick_params(length=0)
        return self
