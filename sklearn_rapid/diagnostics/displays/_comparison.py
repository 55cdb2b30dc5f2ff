"""Display a synthetic table beside real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from sklearn_rapid.checks.arguments import check_count
from sklearn_rapid.diagnostics import TableComparison, compare_tables
from sklearn_rapid.diagnostics.displays._axes import get_figure_and_table

# Characters of a column's name.
MOST_CHARACTERS = 20
SYNTHETIC = {"color": "C0", "marker": "o"}
REAL = {"color": "0.45", "marker": "o", "markerfacecolor": "none"}


class TableComparisonDisplay:
    """A synthetic table beside the real rows that it was learned from, and held-out rows.

    The panels have the similarity of single columns to training rows; that of pairs of columns,
    of synthetic rows below the diagonal and of held-out rows above it; the distribution of
    distances to the nearest training row; and, with a target, scores of its prediction.

    Parameters
    ----------
    comparison : TableComparison
        The result of `sklearn_rapid.diagnostics.compare_tables`.

    Attributes
    ----------
    axes_ : ndarray of three or four matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to list of two matplotlib Line2D
        Those of synthetic and of real rows in the panels "columns", "nearest" and "prediction".
    image_ : matplotlib AxesImage
        The similarity of pairs.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_rapid.displays import TableComparisonDisplay
    >>> train, synthetic, held_out = np.random.default_rng(0).normal(size=(3, 100, 4))
    >>> display = TableComparisonDisplay.from_tables(train, synthetic, held_out, random_state=0)
    >>> len(display.axes_)
    3
    >>> plt.close(display.figure_)
    """

    def __init__(self, comparison: TableComparison) -> None:
        self.comparison = comparison

    @classmethod
    def from_tables(
        cls,
        train: Any,
        synthetic: Any,
        held_out: Any,
        *,
        target: Any = None,
        estimators: Mapping[str, Any] | None = None,
        random_state: Any = None,
        ax: Any = None,
        **plot_params: Any,
    ) -> Self:
        """Compare tables, and draw them.

        Parameters
        ----------
        train, synthetic, held_out, target, estimators, random_state :
            As for `sklearn_rapid.diagnostics.compare_tables`.
        ax : array of three matplotlib Axes, or four with a target, optional
        **plot_params
            For `plot`.

        Returns
        -------
        display : TableComparisonDisplay
        """
        how = {"target": target, "estimators": estimators, "random_state": random_state}
        comparison = compare_tables(train, synthetic, held_out, **how)
        return cls.from_comparison(comparison, ax=ax, **plot_params)

    @classmethod
    def from_comparison(
        cls, comparison: TableComparison, *, ax: Any = None, **plot_params: Any
    ) -> Self:
        """Draw a comparison that has been made.

        Parameters
        ----------
        comparison : TableComparison
        ax : array of three matplotlib Axes, or four with a target, optional
        **plot_params
            For `plot`.

        Returns
        -------
        display : TableComparisonDisplay
        """
        return cls(comparison).plot(ax, **plot_params)

    def plot(self, ax: Any = None, *, n_columns: int = 25, **image_params: Any) -> Self:
        """Draw the comparison.

        Parameters
        ----------
        ax : array of three matplotlib Axes, or four with a target, optional
            By default a new figure.
        n_columns : int, default=25
            How many columns are named at most. Of more columns, the first panel has those whose
            similarity is furthest below that of held-out rows, and the second one no names.
        **image_params
            For matplotlib's `imshow`, which draws pairs.

        Returns
        -------
        self
        """
        n_columns = check_count("n_columns", n_columns, 1)
        n_panels = 4 if self.comparison.prediction else 3
        self.figure_, self.axes_ = get_figure_and_table(ax, n_panels)
        self.lines_ = {"columns": self._draw_columns(self.axes_[0], n_columns)}
        self.image_ = self._draw_pairs(self.axes_[1], n_columns, image_params)
        self.lines_["nearest"] = self._draw_nearest(self.axes_[2])
        if n_panels == 4:
            self.lines_["prediction"] = self._draw_prediction(self.axes_[3])
        return self

    def _draw_columns(self, ax: Any, n_columns: int) -> list:
        synthetic, held_out = self.comparison.shapes, self.comparison.shapes_held_out
        worst = np.argsort(synthetic - held_out, kind="stable")[:n_columns]
        chosen = np.sort(worst)
        names = [_shorten(self.comparison.columns[j]) for j in chosen]
        labels = "synthetic rows", "held-out rows"
        lines = _draw_dots(ax, names, (synthetic[chosen], held_out[chosen]), labels)
        of_all = len(synthetic)
        which = "Columns" if n_columns >= of_all else f"The worst {n_columns} of {of_all} columns"
        ax.set(
            title=f"{which}: mean similarity {self.comparison.mean_shape:.3f}\n"
            f"(held-out rows {self.comparison.mean_shape_held_out:.3f})",
            xlabel="similarity of the distribution to training rows",
        )
        return lines

    def _draw_pairs(self, ax: Any, n_columns: int, image_params: dict[str, Any]) -> Any:
        """Draw a matrix with synthetic rows below the diagonal and held-out rows above it."""
        comparison = self.comparison
        is_below = np.tri(len(comparison.columns), dtype=bool)
        similarity = np.where(is_below, comparison.pairs, comparison.pairs_held_out)
        known = similarity[~np.isnan(similarity)]
        low = min(known.min(initial=1.0), 0.9)
        image = ax.imshow(similarity, **{"vmin": low, "vmax": 1.0, **image_params})
        ax.figure.colorbar(image, ax=ax, label="similarity of the dependence to training rows")
        ax.set(
            title=f"Pairs: mean similarity {comparison.mean_pair:.3f} below the diagonal\n"
            f"(held-out rows above it, {comparison.mean_pair_held_out:.3f})"
        )
        if len(comparison.columns) > n_columns:
            ax.set(xlabel="column", ylabel="column")
            return image
        names, places = [_shorten(name) for name in comparison.columns], range(len(similarity))
        ax.set_xticks(places, names, rotation=90)
        ax.set_yticks(places, names)
        return image

    def _draw_nearest(self, ax: Any) -> list:
        nearest = self.comparison.nearest
        parts = (
            (nearest.synthetic, "synthetic rows", nearest.synthetic_copies, SYNTHETIC),
            (nearest.held_out, "held-out rows", nearest.held_out_copies, REAL),
        )
        lines = []
        for distances, name, copies, style in parts:
            distances = np.sort(distances)
            shares = np.arange(1, len(distances) + 1) / len(distances)
            label = f"{name}, {copies:.1%} copies"
            # From zero on the axis, so that copies are a step there.
            lines += ax.step(
                np.concatenate([[0.0], distances]),
                np.concatenate([[0.0], shares]),
                where="post",
                color=style["color"],
                label=label,
            )
        ax.legend(loc="lower right")
        ax.set(
            title=f"Nearest rows: {nearest.nearer_share:.1%} of synthetic rows are nearer\n"
            "to training than to held-out rows (50% without memorizing)",
            xlabel="Gower's distance to the nearest training row, from 0 to 1",
            ylabel="share of rows within the distance",
            ylim=(0.0, 1.02),
        )
        ax.set_xlim(left=0.0)
        return lines

    def _draw_prediction(self, ax: Any) -> list:
        scores = self.comparison.prediction
        names = [f"{_shorten(score.estimator)}\n{score.metric}" for score in scores]
        values = [score.synthetic for score in scores], [score.train for score in scores]
        labels = "trained on synthetic rows", "trained on training rows"
        lines = _draw_dots(ax, names, values, labels)
        ax.set(
            title=f"Prediction of {_shorten(self.comparison.target)} in held-out rows",
            xlabel="score",
        )
        return lines


def _draw_dots(ax: Any, names: Sequence[str], values: Sequence[Any], labels: Sequence[str]) -> list:
    """Draw two values for each name, from top to bottom, joined by a bar."""
    places = np.arange(len(names))
    ax.hlines(places, *values, color="0.8", zorder=1)
    lines = []
    for x, label, style in zip(values, labels, (SYNTHETIC, REAL), strict=True):
        lines += ax.plot(x, places, linestyle="none", label=label, **style)
    ax.set_yticks(places, names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    ax.locator_params(axis="x", nbins=6)
    # Dots may be anywhere in the axes.
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    return lines


def _shorten(name: Any) -> str:
    text = str(name)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
