"""Map the values of a real column to normal scores and back, with the density of the values.

A map z(x) is piecewise linear, rises everywhere, and goes on linearly beyond its last knots. A
density p(z) of scores is then the density p(z(x)) z'(x) of values: it integrates to one, whatever
the knots.

Knots are quantiles of the rows, at the scores of their levels. How many there are is chosen by the
likelihood of rows left out. Two knots are a straight line, which standardises.

Values with a fixed number of decimals, whole numbers for one, are intervals: a value stands for all
numbers that round to it. Training draws one of them each time (uniform dequantisation: Theis, van
den Oord, Bethge 2016), and scores are those of the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from sklearn_rapid.checks.cached import cached_property

# Numbers of knots that are tried; a knot takes this many rows at least.
NUMBERS_OF_KNOTS, ROWS_OF_A_KNOT = (2, 3, 5, 9, 17, 33, 65, 129, 257), 10
# Rows from which the number of knots is chosen, in how many parts, and the gain in nats a row that
# more knots must have.
ROWS_TRIED, N_FOLDS, LEAST_GAIN = 20_000, 5, 0.005
# Values with more decimals are not rounded.
MOST_DECIMALS = 6
# Knots nearer to one another than this part of their range, or of their size if that is smaller,
# are one knot. Columns of values of all sizes have most of them near zero, where sizes count down
# to this part of the range.
LEAST_DISTANCE, LEAST_SIZE = 1e-9, 1e-20


@dataclass(frozen=True)
class RealMap:
    """A piecewise linear map from values of a real column to normal scores.

    Parameters
    ----------
    values, scores : array of shape (n_knots,)
        Rising.
    decimals : int or None
        Of the column's values; None if they are not rounded.

    Examples
    --------
    >>> line = RealMap(np.array([0.0, 10.0]), np.array([-1.0, 1.0]), None)
    >>> line.to_scores(np.array([5.0, 20.0])), line.to_values(np.array([0.0, 3.0]))
    (array([0., 3.]), array([ 5., 10.]))
    """

    values: np.ndarray
    scores: np.ndarray
    decimals: int | None = None

    @property
    def step(self) -> float:
        """Distance of neighbouring values; zero if they are not rounded."""
        return 0.0 if self.decimals is None else 10.0**-self.decimals

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value of the rows."""
        half = 0.5 * self.step
        ends = float(self.values[0]) + half, float(self.values[-1]) - half
        return ends if self.decimals is None else tuple(round(x, self.decimals) for x in ends)

    def to_scores(self, x: Any, xp: Any = np) -> Any:
        """Map values to scores."""
        return _piecewise_linear(x, self.values, self.scores, self._slopes, xp)[0]

    def log_slope(self, x: Any, xp: Any = np) -> Any:
        """Compute log z'(x), in nats."""
        return xp.log(_piecewise_linear(x, self.values, self.scores, self._slopes, xp)[1])

    def to_values(self, z: Any, xp: Any = np, narrow: float = 0.0) -> Any:
        """Map scores to values, rounded as those of the rows are, and within their range.

        Values that are not as far from each other as `narrow`, in scores, are not rounded.
        """
        x, slope = _piecewise_linear(z, self.scores, self.values, self._steepness, xp)
        if self.decimals is not None:
            rounded = xp.round(x * 10.0**self.decimals) / 10.0**self.decimals
            x = xp.where(narrow * slope > self.step, x, rounded)
        return xp.clip(x, *self.bounds)

    def bends(self, narrow: float) -> np.ndarray:
        """Find the scores between which `to_values` is linear: of knots, and where it jumps."""
        found = [self.scores]
        for piece in np.flatnonzero(narrow * self._steepness <= self.step) if self.step else ():
            ends = self.values[piece : piece + 2] / self.step - 0.5
            edges = (np.arange(np.ceil(ends[0]), ends[1]) + 0.5) * self.step
            found.append(self.to_scores(edges))
        return np.unique(np.concatenate(found))

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Scores per value between neighbouring knots."""
        return np.diff(self.scores) / np.diff(self.values)

    @cached_property
    def _steepness(self) -> np.ndarray:
        """Values per score between neighbouring knots."""
        return np.diff(self.values) / np.diff(self.scores)


def learn_map(x: np.ndarray, weights: np.ndarray | None = None, *, is_line: Any = None) -> RealMap:
    """Make the map of a column from its first rows.

    Parameters
    ----------
    x : array of shape (n,)
        At least two different values, without NaN.
    weights : array of shape (n,), optional
        Of the rows.
    is_line : bool, optional
        Whether the map is a straight line; by default a line is one of the maps tried.

    Examples
    --------
    >>> rows = np.random.default_rng(0).exponential(size=1000)
    >>> skewed = learn_map(rows)
    >>> bool(abs(skewed.to_scores(np.median(rows))) < 0.1), len(skewed.values) > 2
    (True, True)
    """
    x, weights = np.asarray(x, dtype=np.float64), _weights_of(x, weights)
    decimals = count_decimals(x)
    step = 0.0 if decimals is None else 10.0**-decimals
    if decimals is not None:
        # Without the rounding of float32.
        x = np.round(x, decimals)
    if is_line:
        n_knots = 2
    else:
        n_knots = _choose_number_of_knots(x, weights, step, fewest=2 if is_line is None else 3)
    return RealMap(*_knots(x, weights, step, n_knots), decimals)


def count_decimals(x: np.ndarray) -> int | None:
    """Count the decimals of numbers, up to the precision of float32; None if they are not rounded.

    Examples
    --------
    >>> count_decimals(np.array([1.5, 2.25])), count_decimals(np.array([3.0])), count_decimals(
    ...     np.array([np.pi]))
    (2, 0, None)
    """
    for decimals in range(MOST_DECIMALS + 1):
        if _are_rounded(x, decimals).all():
            return decimals
    return None


def find_most_decimals(x: np.ndarray) -> int:
    """Find the place of a number with the most decimals.

    Examples
    --------
    >>> find_most_decimals(np.array([1.5, 2.25, 3.0]))
    1
    """
    places = np.arange(len(x))
    for decimals in range(MOST_DECIMALS + 1):
        left = places[~_are_rounded(x[places], decimals)]
        if not left.size:
            break
        places = left
    return int(places[0])


def _are_rounded(x: np.ndarray, decimals: int) -> np.ndarray:
    rounding = np.finfo(np.float32).eps * np.abs(x)
    off = np.abs(x - np.round(x, decimals))
    return off <= np.minimum(rounding, 1e-3 * 10.0**-decimals)


def _weights_of(x: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)


def _choose_number_of_knots(x: np.ndarray, weights: np.ndarray, step: float, fewest: int) -> int:
    """Choose the number of knots by the likelihood of rows left out.

    More knots have to be better by more than chance, that is by a standard error of the gain.
    """
    rng = np.random.default_rng(0)
    order = rng.permutation(np.flatnonzero(weights > 0.0))[:ROWS_TRIED]
    x, weights = x[order], weights[order]
    fold = np.arange(len(x)) % N_FOLDS
    tried = [n for n in NUMBERS_OF_KNOTS if n >= fewest and (n - 1) * ROWS_OF_A_KNOT <= len(x)]
    tried = tried or [fewest]
    best, best_log_p = tried[0], None
    for n_knots in tried:
        log_p = np.empty(len(x))
        for k in range(N_FOLDS):
            train, test = fold != k, fold == k
            if len(np.unique(x[train])) < 2 or not test.any():
                return fewest
            log_p[test] = _log_density(x[test], x[train], weights[train], step, n_knots)
        if best_log_p is None:
            best_log_p = log_p
            continue
        gains = log_p - best_log_p
        mean = np.average(gains, weights=weights)
        error = np.sqrt(np.average((gains - mean) ** 2, weights=weights) / len(x))
        if mean > LEAST_GAIN + error:
            best, best_log_p = n_knots, log_p
    return best


def _log_density(
    x: np.ndarray, rows: np.ndarray, weights: np.ndarray, step: float, n_knots: int
) -> np.ndarray:
    """Compute log densities of x where scores of other rows are normal."""
    line = RealMap(*_knots(rows, weights, step, n_knots))
    scores = line.to_scores(rows)
    mean = np.average(scores, weights=weights)
    variance = np.average((scores - mean) ** 2, weights=weights)
    z = line.to_scores(x) - mean
    return -0.5 * (z * z / variance + np.log(2.0 * np.pi * variance)) + line.log_slope(x)


def _knots(
    x: np.ndarray, weights: np.ndarray, step: float, n_knots: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find values and scores of knots: quantiles at equal distances of levels, and both ends."""
    edges, levels = _distribution(x, weights, step)
    if n_knots == 2:
        mean = np.average(x, weights=weights)
        spread = np.sqrt(np.average((x - mean) ** 2, weights=weights))
        ends = edges[[0, -1]]
        return ends, (ends - mean) / spread
    # The ends have the levels of half a row.
    end = 0.5 / len(x)
    wanted = np.linspace(0.0, 1.0, n_knots)
    wanted[[0, -1]] = min(end, 0.5 * wanted[1]), 1.0 - min(end, 0.5 * wanted[1])
    values = np.interp(wanted, levels, edges)
    values[[0, -1]] = edges[[0, -1]]
    scores = ndtri(wanted)
    extent = values[-1] - values[0]
    size = np.clip(np.abs(values), LEAST_SIZE * extent, extent)
    kept = np.flatnonzero(np.diff(values, append=np.inf) > LEAST_DISTANCE * size)
    # A value with several levels has the middle one.
    starts = np.concatenate([[0], kept[:-1] + 1])
    middle = np.array([scores[a : b + 1].mean() for a, b in zip(starts, kept, strict=True)])
    return np.append(edges[0], values[kept[1:]]), middle


def _distribution(x: np.ndarray, weights: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Find points of the distribution function of rows: numbers, and their levels in [0, 1].

    A rounded value is spread over the numbers that round to it; others have half of their weight on
    either side.
    """
    values, place = np.unique(x, return_inverse=True)
    share = np.bincount(place, weights, minlength=len(values))
    share = share / share.sum()
    above = np.cumsum(share)
    if step == 0.0:
        return values, above - 0.5 * share
    edges = np.column_stack([values - 0.5 * step, values + 0.5 * step]).ravel()
    return edges, np.column_stack([above - share, above]).ravel()


def _piecewise_linear(
    x: Any, at: np.ndarray, to: np.ndarray, slopes: np.ndarray, xp: Any
) -> tuple[Any, Any]:
    """Compute a piecewise linear function, and its slope; NaN stays NaN."""
    at, to, slopes = (xp.asarray(a) for a in (at, to, slopes))
    piece = xp.clip(xp.searchsorted(at, x, side="right") - 1, 0, len(slopes) - 1)
    slope = xp.take(slopes, piece)
    return xp.take(to, piece) + (x - xp.take(at, piece)) * slope, slope
