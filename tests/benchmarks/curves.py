"""Curves of quality against seconds of training, as quality.py shows them: tables, a figure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt

NOT_REACHED = "—"
# Panels in a row; likelihoods are shown down to this share of the best one below it.
COLUMNS, SPAN = 3, 0.4


@dataclass
class Fit:
    """A point of a curve.

    Attributes
    ----------
    n_epochs : int
    seconds : float
        Of training.
    fitted : object
        What the contestant hands back.
    nats, error : float
        Mean log-likelihood of the test rows, and the error of log Z.
    is_trusted : bool
        Whether nothing speaks against log Z.
    accuracy : float
        Of a probe; NaN where there are no labels.
    """

    n_epochs: int
    seconds: float
    fitted: Any = field(default=None, repr=False)
    nats: float = math.nan
    error: float = math.nan
    is_trusted: bool = False
    accuracy: float = math.nan

    def likelihood(self) -> str:
        """Nats with their error, or with what is wrong with them."""
        doubt = "" if self.is_trusted else ", log Z not trusted"
        return f"{self.nats:.2f} ± {self.error:.2f}{doubt}"


@dataclass
class Curve:
    """The fits of a contestant, shortest first.

    Attributes
    ----------
    name, title : str
        Of the contestant, and with what was chosen.
    fits : list of Fit
    memory : float
        What training takes at most, in MB.
    """

    name: str
    title: str
    fits: list[Fit]
    memory: float

    @property
    def best(self) -> float:
        """The best trusted likelihood; NaN if there is none."""
        return max((fit.nats for fit in self.fits if fit.is_trusted), default=math.nan)

    def until_nats(self, nats: float) -> str:
        """Seconds of the shortest fit whose trusted likelihood is at least this."""
        return _seconds_of_first(fit for fit in self.fits if fit.is_trusted and fit.nats >= nats)

    def until_accuracy(self, accuracy: float) -> str:
        """Seconds of the shortest fit whose accuracy is at least this."""
        return _seconds_of_first(fit for fit in self.fits if fit.accuracy >= accuracy)


def _seconds_of_first(fits: Any) -> str:
    return next((f"{fit.seconds:.3g}" for fit in fits), NOT_REACHED)


def table(curves: list[Curve], nats: dict[str, float], accuracies: tuple) -> list[str]:
    """Lines of a data set's table: seconds until named likelihoods, and until accuracies."""
    titles = [
        "seconds until",
        *nats,
        *(f"accuracy {value:g}" for value in accuracies),
        "longest fit",
        "its nats",
        *(["its accuracy"] if accuracies else []),
        "peak memory",
    ]
    lines = [titles, ["---"] * len(titles)]
    for curve in curves:
        last = curve.fits[-1]
        epochs = "1 epoch" if last.n_epochs == 1 else f"{last.n_epochs} epochs"
        lines.append([
            curve.title,
            *map(curve.until_nats, nats.values()),
            *map(curve.until_accuracy, accuracies),
            f"{epochs}, {last.seconds:.3g} s",
            last.likelihood(),
            *([f"{last.accuracy:.4f}"] if accuracies else []),
            f"{curve.memory:.0f} MB",
        ])  # fmt: skip
    return [f"| {' | '.join(line)} |" for line in lines]


def draw(curves_of: dict[str, list[Curve]], file: str) -> None:
    """A panel for the likelihoods of each data set, and one for accuracies where there are some."""
    panels = [(name, "nats") for name in curves_of]
    panels += [
        (name, "accuracy")
        for name, curves in curves_of.items()
        if not math.isnan(curves[0].fits[0].accuracy)
    ]
    n_columns = min(COLUMNS, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    size = (4.4 * n_columns, 3.2 * n_rows + 0.5)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for ax, (name, what) in zip(axes.flat, panels, strict=False):
        _panel(ax, curves_of[name], what)
        ax.set_title(f"{name}: {'test nats a row' if what == 'nats' else 'accuracy of the probe'}")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=n_columns, fontsize="small")
    figure.savefig(file, dpi=100)


def _panel(ax: Any, curves: list[Curve], what: str) -> None:
    """Curves of one data set; hollow where log Z is not trusted."""
    for number, curve in enumerate(curves):
        seconds = [fit.seconds for fit in curve.fits]
        values = [getattr(fit, what) for fit in curve.fits]
        style = {"color": f"C{number}", "linewidth": 0.8, "markersize": 4}
        if what == "accuracy":
            ax.plot(seconds, values, "o-", label=curve.name, **style)
            continue
        errors = [fit.error if math.isfinite(fit.error) else 0.0 for fit in curve.fits]
        ax.errorbar(seconds, values, errors, fmt="-", capsize=2, label=curve.name, **style)
        for fit in curve.fits:
            fill = style["color"] if fit.is_trusted else "white"
            ax.plot(fit.seconds, fit.nats, "o", markerfacecolor=fill, **style)
    trusted = [curve.best for curve in curves if not math.isnan(curve.best)]
    if what == "nats" and trusted:
        best = max(trusted)
        ax.set_ylim((1 + SPAN) * best, (1 - SPAN / 10) * best)
    ax.set_xscale("log")
    ax.set_xlabel("seconds of training")
