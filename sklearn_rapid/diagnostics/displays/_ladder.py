"""Display a ladder of temperatures: where a model is hard to sample."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from sklearn_rapid.diagnostics import Travels, ladder_travels
from sklearn_rapid.diagnostics.displays._axes import get_figure_and_panels


class LadderDisplay:
    """Where along β a model is hard to sample, and how often neighbouring rungs exchange states.

    The upper panel has the local barrier λ(β), constant between rungs, and a mark at each rung;
    the area below it is the barrier Λ. The lower one has the acceptance of each pair's exchanges.

    Parameters
    ----------
    travels : Travels
        The result of `sklearn_rapid.diagnostics.ladder_travels` or of `sample`.
    name : str, optional
        The model's, for the legend.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of two matplotlib StepPatch
        λ(β), and the acceptance.
    rungs_ : matplotlib Line2D
        The marks.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.displays import LadderDisplay
    >>> rbm = RBM(n_components=8, max_iter=200, random_state=0).fit(make_bars(4))
    >>> display = LadderDisplay.from_estimator(rbm, random_state=0)
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['local barrier λ(β)', 'acceptance']
    >>> plt.close(display.figure_)
    """

    def __init__(self, travels: Travels, name: str | None = None) -> None:
        self.travels = travels
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_sweeps: int = 200,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
        **step_params: Any,
    ) -> Self:
        """Draw the ladder of a fitted model.

        Parameters
        ----------
        estimator : RBM, RARBM, DBM, RADBM or RABM
            Fitted.
        n_sweeps, random_state :
            As for `sklearn_rapid.diagnostics.ladder_travels`.
        name : str, optional
            For the legend.
        ax : array of two matplotlib Axes, optional
            Draw several models into the same ones to compare them.
        **step_params
            For matplotlib's `stairs`.

        Returns
        -------
        display : LadderDisplay
        """
        travels = ladder_travels(estimator, n_sweeps=n_sweeps, random_state=random_state)
        return cls(travels, name).plot(ax, **step_params)

    def plot(self, ax: Any = None, **step_params: Any) -> Self:
        """Draw the ladder.

        Parameters
        ----------
        ax : array of two matplotlib Axes, optional
            Where to draw; by default a new figure.
        **step_params
            For matplotlib's `stairs`.

        Returns
        -------
        self
        """
        travels = self.travels
        self.figure_, self.axes_ = get_figure_and_panels(ax, 2)
        upper, lower = self.axes_
        upper.autoscale(axis="y")  # a ladder drawn before has set a limit
        # Stairs, unlike lines, do not choose the next colour themselves.
        style = {"color": upper._get_lines.get_next_color(), "baseline": None, **step_params}
        figures = f"Λ = {travels.barrier:.1f}, {travels.n_round_trips} round trips"
        label = figures if self.name is None else f"{self.name}: {figures}"
        barrier = upper.stairs(travels.local_barrier, travels.betas, **{"label": label, **style})
        acceptance = lower.stairs(1.0 - travels.rejections, travels.betas, **style)
        self.lines_ = [barrier, acceptance]
        (self.rungs_,) = upper.plot(
            travels.betas,
            np.zeros_like(travels.betas),
            "|",
            color=barrier.get_edgecolor(),
            transform=upper.get_xaxis_transform(),
        )
        upper.set_ylim(bottom=0.0)
        lower.set_ylim(0.0, 1.0)
        upper.set_ylabel("local barrier λ(β)")
        lower.set_ylabel("acceptance")
        lower.set_xlabel("inverse temperature β")
        upper.legend()
        return self
