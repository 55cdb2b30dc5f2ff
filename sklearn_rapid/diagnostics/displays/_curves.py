"""Displays of curves: training history, spectrum, accessibility."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import check_option
from sklearn_rapid.diagnostics import gibbs_accessibility, ground_state_energy, singular_values
from sklearn_rapid.diagnostics.displays._axes import (
    add_legend,
    draw_band,
    get_figure_and_axes,
    get_figure_and_panels,
)

# Columns of a history that measure time, and others that are drawn only on request.
CLOCKS = ("epoch", "seconds", "n_updates")
DETAILS = ("n_rungs", "n_columns", "step_share", "log_likelihood_error", "lower_bound_error")
# Columns drawn as a band about another one.
ERRORS = {name: f"{name}_error" for name in ("log_likelihood", "lower_bound")}


class TrainingHistoryDisplay:
    """The history of a fit, a panel for each column.

    Parameters
    ----------
    history : dict of lists
        A fitted estimator's `history_`.
    name : str, optional
        The model's, for a legend.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_panels,)
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
    bands_ : dict of str to matplotlib collection
        Error bands by the name of their column.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import TrainingHistoryDisplay
    >>> rbm = RBM(n_components=8, max_iter=10).fit(make_bars(4))
    >>> display = TrainingHistoryDisplay.from_estimator(rbm)
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['learning rate']
    >>> plt.close(display.figure_)
    """

    def __init__(self, history: dict[str, list], name: str | None = None) -> None:
        self.history = history
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **plot_params: Any
    ) -> Self:
        """Draw the history of a fitted model.

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted; a call of `partial_fit` counts as an epoch.
        name : str, optional
            For a legend.
        ax : matplotlib Axes or array of them, optional
        **plot_params
            For `plot`.

        Returns
        -------
        display : TrainingHistoryDisplay
        """
        check_is_fitted(estimator, "history_")
        return cls(estimator.history_, name).plot(ax, **plot_params)

    def plot(
        self,
        ax: Any = None,
        *,
        x: str = "epoch",
        y: Sequence[str] | None = None,
        **line_params: Any,
    ) -> Self:
        """Draw the history.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, optional
            One for each panel; by default a new figure.
        x : str, default="epoch"
            The column on the horizontal axis: "epoch", "seconds", "n_updates", ...
        y : sequence of str, optional
            Columns to draw; by default all that were measured, except the clocks "epoch",
            "seconds" and "n_updates", and "n_rungs", "n_columns", "step_share". Errors of
            "log_likelihood" and "lower_bound" are drawn as bands.
        **line_params
            For matplotlib's `plot`.

        Returns
        -------
        self
        """
        if not self.history:
            raise ValueError(
                "the history has no epochs to draw: training diverged or was interrupted in its "
                "first one"
            )
        y = self._measured() if y is None else list(y)
        for column in (x, *y):
            check_option("each of x and y", column, tuple(self.history))
        self.figure_, self.axes_ = get_figure_and_panels(ax, len(y))
        style = {"label": self.name, **line_params}
        self.lines_, self.bands_ = [], {}
        for panel, column in zip(self.axes_, y, strict=True):
            self.lines_ += panel.plot(self.history[x], self.history[column], **style)
            if ERRORS.get(column) in self.history:
                value, error = (np.asarray(self.history[k]) for k in (column, ERRORS[column]))
                line = self.lines_[-1]
                self.bands_[column] = draw_band(panel, self.history[x], value, error, line)
            panel.set_ylabel(column.replace("_", " "))
            add_legend(panel, style["label"])
        self.axes_[-1].set_xlabel(x.replace("_", " "))
        return self

    def _measured(self) -> list[str]:
        """List the columns to draw by default: those with a number in any epoch."""
        columns = (name for name in self.history if name not in CLOCKS + DETAILS)
        return [name for name in columns if not np.isnan(self.history[name]).all()]


class SpectrumDisplay:
    """The singular values of a model's couplings, in order.

    Parameters
    ----------
    singular_values : array-like of shape (n_values,)
        From large to small.
    name : str, optional
        The model's, for a legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import SpectrumDisplay
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10).fit(make_bars(4))
    >>> display = SpectrumDisplay.from_estimator(model, name="K = 8")
    >>> display.ax_.get_ylabel()
    'singular value'
    >>> plt.close(display.figure_)
    """

    def __init__(self, singular_values: ArrayLike, name: str | None = None) -> None:
        self.singular_values = np.asarray(singular_values)
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **line_params: Any
    ) -> Self:
        """Draw the singular values of a fitted model (Pozas-Kerstjens et al. 2021, figure 4).

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted.
        name : str, optional
            For a legend.
        ax : matplotlib Axes, optional
            Draw several models into the same axes to compare them.
        **line_params
            For matplotlib's `plot`.

        Returns
        -------
        display : SpectrumDisplay
        """
        return cls(singular_values(estimator), name).plot(ax, **line_params)

    def plot(self, ax: Any = None, **line_params: Any) -> Self:
        """Draw the singular values.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.
        **line_params
            For matplotlib's `plot`.

        Returns
        -------
        self
        """
        self.figure_, self.ax_ = get_figure_and_axes(ax)
        style = {"marker": ".", "label": self.name, **line_params}
        ranks = np.arange(1, self.singular_values.size + 1)
        (self.line_,) = self.ax_.plot(ranks, self.singular_values, **style)
        self.ax_.set_xlabel("rank")
        self.ax_.set_ylabel("singular value")
        add_legend(self.ax_, style["label"])
        return self


class AccessibilityDisplay:
    """How close to the ground state sampling comes: a curve of means, a band of one deviation.

    Parameters
    ----------
    x : array-like of shape (n_points,)
        The varied quantity: Gibbs steps, epochs, the standard deviation of W, ...
    accessibilities : array-like of shape (n_points,) or (n_points, n_runs)
        Energies over that of the ground state, of one or several runs.
    x_name : str, default="Gibbs steps"
    name : str, optional
        The model's, for a legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
    band_ : matplotlib collection or None
        None for a single run.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import AccessibilityDisplay
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10).fit(make_bars(4))
    >>> display = AccessibilityDisplay.from_estimator(model, random_state=0)
    >>> display.accessibilities.shape
    (5, 100)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        x: ArrayLike,
        accessibilities: ArrayLike,
        x_name: str = "Gibbs steps",
        name: str | None = None,
    ) -> None:
        self.x = np.asarray(x)
        self.accessibilities = np.asarray(accessibilities)
        self.x_name = x_name
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_gibbs_steps: Sequence[int] = (1, 3, 10, 30, 100),
        n_chains: int = 100,
        random_state: Any = None,
        ground_energy: float | None = None,
        name: str | None = None,
        ax: Any = None,
        **line_params: Any,
    ) -> Self:
        """Draw the Gibbs accessibility of a fitted model against the number of steps.

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted.
        n_gibbs_steps : sequence of int, default=(1, 3, 10, 30, 100)
        n_chains, random_state, ground_energy :
            As for `sklearn_rapid.diagnostics.gibbs_accessibility`.
        name : str, optional
            For a legend.
        ax : matplotlib Axes, optional
        **line_params
            For matplotlib's `plot`.

        Returns
        -------
        display : AccessibilityDisplay
        """
        if ground_energy is None:
            # `gibbs_accessibility` explains a ground energy of zero, where it is given None.
            ground_energy = ground_state_energy(estimator) or None
        accessibilities = [
            gibbs_accessibility(
                estimator,
                n,
                n_chains=n_chains,
                random_state=random_state,
                ground_energy=ground_energy,
            )
            for n in n_gibbs_steps
        ]
        return cls(n_gibbs_steps, accessibilities, name=name).plot(ax, **line_params)

    def plot(self, ax: Any = None, **line_params: Any) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.
        **line_params
            For matplotlib's `plot`.

        Returns
        -------
        self
        """
        self.figure_, self.ax_ = get_figure_and_axes(ax)
        runs = self.accessibilities.reshape(self.x.size, -1)
        mean, spread = runs.mean(axis=1), runs.std(axis=1)
        style = {"label": self.name, **line_params}
        (self.line_,) = self.ax_.plot(self.x, mean, **style)
        self.band_ = None
        if runs.shape[1] > 1:
            self.band_ = draw_band(self.ax_, self.x, mean, spread, self.line_)
        if np.all(self.x > 0):
            self.ax_.set_xscale("log")
        self.ax_.set_xlabel(self.x_name)
        self.ax_.set_ylabel("energy / ground state energy")
        add_legend(self.ax_, style["label"])
        return self
