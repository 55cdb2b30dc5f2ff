"""Compare a synthetic table with real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sklearn_rapid.checks.arguments import check_count
from sklearn_rapid.diagnostics.comparison._nearest import NearestRows, measure_nearest
from sklearn_rapid.diagnostics.comparison._pairs import compare_pairs
from sklearn_rapid.diagnostics.comparison._prediction import (
    PredictionScore,
    check_estimators,
    score_predictions,
)
from sklearn_rapid.diagnostics.comparison._shapes import compare_shapes
from sklearn_rapid.diagnostics.comparison._tables import read_tables
from sklearn_rapid.tables.settings import find_column

# Pairs that the text lists, and characters of a column's name there.
N_LISTED, WIDTH = 3, 44


@dataclass(frozen=True)
class TableComparison:
    """A synthetic table beside the real rows that it was learned from.

    Each figure of synthetic rows stands beside the same one of held-out real rows, which sampling
    noise alone gives.

    Attributes
    ----------
    columns : tuple
        Names of the columns; their numbers for arrays.
    is_category : ndarray of bool, shape (n_columns,)
        Which columns are compared as categories: values that are no numbers, and numbers of few
        values.
    shapes : ndarray of shape (n_columns,)
        The similarity of each column's distribution in synthetic and training rows, from 0 to 1.
    shapes_held_out : ndarray of shape (n_columns,)
        The same of held-out and training rows.
    pairs : ndarray of shape (n_columns, n_columns)
        The similarity of the dependence of each pair of columns in synthetic and training rows,
        from 0 to 1; NaN on the diagonal.
    pairs_held_out : ndarray of shape (n_columns, n_columns)
        The same of held-out and training rows.
    prediction : tuple of PredictionScore
        Scores on held-out rows, of estimators trained on synthetic and on training rows; none
        without a target.
    nearest : NearestRows
        Distances to the nearest training row, and exact copies.
    target : hashable or None
        The name of the column that is predicted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.diagnostics import compare_tables
    >>> train, held_out = np.random.default_rng(0).normal(size=(2, 100, 3))
    >>> comparison = compare_tables(train, train, held_out, random_state=0)
    >>> comparison.mean_shape, comparison.mean_pair, comparison.nearest.synthetic_copies
    (1.0, 1.0, 1.0)
    """

    columns: tuple
    is_category: np.ndarray
    shapes: np.ndarray
    shapes_held_out: np.ndarray
    pairs: np.ndarray
    pairs_held_out: np.ndarray
    prediction: tuple[PredictionScore, ...]
    nearest: NearestRows
    target: Any = None

    @property
    def mean_shape(self) -> float:
        """The mean similarity of columns of synthetic rows."""
        return float(self.shapes.mean())

    @property
    def mean_shape_held_out(self) -> float:
        """The mean similarity of columns of held-out rows."""
        return float(self.shapes_held_out.mean())

    @property
    def mean_pair(self) -> float:
        """The mean similarity of pairs of columns of synthetic rows; NaN of a single column."""
        return _mean_of_pairs(self.pairs)

    @property
    def mean_pair_held_out(self) -> float:
        """The mean similarity of pairs of columns of held-out rows; NaN of a single column."""
        return _mean_of_pairs(self.pairs_held_out)

    def worst_pairs(self, n: int = 10) -> list[tuple[Any, Any, float, float]]:
        """List the pairs of columns whose similarity is furthest below that of held-out rows.

        Parameters
        ----------
        n : int, default=10

        Returns
        -------
        list of (name, name, float, float)
            Two columns, their similarity in synthetic rows and in held-out rows; the worst first.
        """
        n = check_count("n", n, 1)
        first, second = np.triu_indices(len(self.columns), 1)
        gaps = (self.pairs_held_out - self.pairs)[first, second]
        chosen = np.argsort(-gaps, kind="stable")[:n]
        return [
            (
                self.columns[i],
                self.columns[j],
                float(self.pairs[i, j]),
                float(self.pairs_held_out[i, j]),
            )
            for i, j in zip(first[chosen], second[chosen], strict=True)
        ]

    def __str__(self) -> str:
        nearest = self.nearest
        lines = [
            _format_line("", "synthetic", "held-out"),
            _format_line("similarity to training rows, from 0 to 1"),
            _format_line("  columns, mean", self.mean_shape, self.mean_shape_held_out),
        ]
        for j in np.argsort(self.shapes - self.shapes_held_out, kind="stable")[:N_LISTED]:
            name = f"    {self.columns[j]}"
            lines.append(_format_line(name, self.shapes[j], self.shapes_held_out[j]))
        if len(self.columns) > 1:
            lines.append(_format_line("  pairs, mean", self.mean_pair, self.mean_pair_held_out))
        for a, b, synthetic, held_out in self.worst_pairs(N_LISTED):
            lines.append(_format_line(f"    {a} × {b}", synthetic, held_out))
        lines += [
            _format_line("nearest training row"),
            _format_line("  median distance", nearest.synthetic_median, nearest.held_out_median),
            _format_line("  exact copies", nearest.synthetic_copies, nearest.held_out_copies),
            _format_line("  nearer to one than to any held-out row", nearest.nearer_share),
        ]
        if self.prediction:
            label = f"prediction of {self.target}, trained on"
            lines.append(_format_line(label, "synthetic", "train"))
        for score in self.prediction:
            label = f"  {score.metric}, {score.estimator}"
            lines.append(_format_line(label, score.synthetic, score.train))
        return "\n".join(lines)


def compare_tables(
    train: Any,
    synthetic: Any,
    held_out: Any,
    *,
    target: Any = None,
    estimators: Mapping[str, Any] | None = None,
    random_state: Any = None,
) -> TableComparison:
    """Compare a synthetic table with the rows it was learned from, and with held-out rows.

    Are single columns distributed as in real rows, do pairs of columns depend on one another
    likewise, does a classifier learn as much from synthetic rows as from real ones, and are rows
    new, or learned by heart? Each answer stands beside that of held-out real rows: no model does
    better than these, except by copying.

    Parameters
    ----------
    train : data frame or array-like of shape (n_train, n_columns)
        The rows that the model was fitted to: a frame of pandas, polars, modin or PyArrow, or an
        array of numbers. Numbers of few values are categories, as
        ``visible="auto"`` chooses them.
    synthetic : data frame or array-like of shape (n_synthetic, n_columns)
        Rows of the model. Columns of frames are matched by name, those of arrays by position.
    held_out : data frame or array-like of shape (n_held_out, n_columns)
        Real rows that the model has not seen. Noise depends on the number of rows: figures of
        held-out and synthetic rows are comparable if they are about as many.
    target : hashable, optional
        A column, by name or number, to predict from the others: by a classifier if it holds
        categories, by a regressor otherwise. Rows in which it is missing are left out.
    estimators : dict of str to estimator, optional
        Classifiers or regressors for `target`, by names of your choice. They see one-hot
        categories and standardized numbers, with medians for missing ones. By default
        scikit-learn's HistGradientBoosting, which sees categories and missing entries as such.
    random_state : int, RandomState instance or None, default=None
        Chooses rows to measure distances between, at most 5000 of each table, and is the default
        estimator's.

    Returns
    -------
    TableComparison
        Its text (``print``) is a short table, and
        `sklearn_rapid.displays.TableComparisonDisplay` draws it.

    Raises
    ------
    ValueError
        If columns of the tables do not match or cannot be read, with the column's name.

    Notes
    -----
    Similarities are SDMetrics' TVComplement, KSComplement, ContingencySimilarity and
    CorrelationSimilarity. Of a column of categories, it is 1 - the total variation distance; of
    numbers, 1 - the Kolmogorov-Smirnov statistic. Of a pair of numbers, it is 1 - half the
    difference of Pearson's correlations; of other pairs, 1 - the total variation distance of
    contingency tables, with numbers cut into 10 bins of equal width over the range of training
    rows. Means are over all columns and all pairs; SDMetrics' quality report leaves out pairs that
    depend little on one another in real rows, and cuts each table into bins of its own.

    They differ from SDMetrics' where entries are missing or columns constant. A missing entry is a
    category of its own. Of numbers, the larger of two distances counts: the Kolmogorov-Smirnov
    statistic of known entries, and the difference in the shares of missing ones. Correlations are
    over rows in which both numbers are known; one with a constant is 0.

    References
    ----------
    DataCebo, "SDMetrics", https://docs.sdv.dev/sdmetrics; Gower (1971), "A general coefficient of
    similarity and some of its properties", Biometrics 27.

    Examples
    --------
    Rows in which columns have lost their dependence have the same shapes, and other pairs:

    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_rapid.diagnostics import compare_tables
    >>> rng = np.random.default_rng(0)
    >>> bits = rng.integers(2, size=2000)
    >>> real = np.column_stack([bits, bits ^ (rng.random(2000) < 0.1)])
    >>> shuffled = np.column_stack([rng.permutation(column) for column in real[:1000].T])
    >>> how = {"estimators": {"logistic": LogisticRegression()}, "random_state": 0}
    >>> comparison = compare_tables(real[:1000], shuffled, real[1000:], target=1, **how)
    >>> bool(comparison.mean_shape > 0.99 and comparison.mean_pair < 0.7)
    True
    >>> accuracy = comparison.prediction[0]
    >>> bool(accuracy.train > 0.85 > accuracy.synthetic)
    True
    """
    tables = read_tables(train, synthetic, held_out)
    estimators = check_estimators(estimators)
    if target is None and estimators is not None:
        raise ValueError("estimators want a target: name the column that they are to predict")
    random_state = check_random_state(random_state)
    seed = int(random_state.randint(2**31))
    prediction: tuple[PredictionScore, ...] = ()
    if target is not None:
        place = find_column(target, len(tables.names), tables.names, "target")
        prediction = score_predictions(tables, place, estimators, seed)
        target = tables.names[place]
    real, of_kinds = tables.train, tables.n_values
    return TableComparison(
        columns=tables.names,
        is_category=tables.is_category,
        shapes=compare_shapes(tables.synthetic, real, of_kinds),
        shapes_held_out=compare_shapes(tables.held_out, real, of_kinds),
        pairs=compare_pairs(tables.synthetic, real, of_kinds, real),
        pairs_held_out=compare_pairs(tables.held_out, real, of_kinds, real),
        prediction=prediction,
        nearest=measure_nearest(tables, random_state),
        target=target,
    )


def _mean_of_pairs(similarity: np.ndarray) -> float:
    values = similarity[np.triu_indices(len(similarity), 1)]
    return float(values.mean()) if values.size else float("nan")


def _format_line(label: str, *figures: float | str) -> str:
    label = label if len(label) <= WIDTH else f"{label[: WIDTH - 3]}..."
    texts = [f if isinstance(f, str) else f"{f:.3f}" for f in figures]
    return f"{label:{WIDTH}}{''.join(f'{text:>11}' for text in texts)}".rstrip()
