"""Measure reconstructions, and overlaps among two and three states of a model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklearn_rapid.checks.arguments import check_count, seed_stream
from sklearn_rapid.diagnostics._machine import get_model, read_samples, read_spins
from sklearn_rapid.estimators.methods.completion import validate_mask
from sklearn_rapid.estimators.model import Model
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.encoder import chunks
from sklearn_rapid.tables.features import SpinFeatures


@dataclass(frozen=True)
class OverlapDistribution:
    """The distribution P(q) of the overlap q_ab = v_a·v_b / V of two states.

    Attributes
    ----------
    overlaps : ndarray of shape (V + 1,)
        All possible values of q, from -1 to 1.
    probabilities : ndarray of shape (V + 1,)
        The share of pairs at each value.
    n_samples : int
        The number of states; every two are a pair.

    Examples
    --------
    >>> OverlapDistribution(np.array([-1.0, 1.0]), np.array([0.25, 0.75]), 10).mean
    0.5
    """

    overlaps: np.ndarray
    probabilities: np.ndarray
    n_samples: int

    @property
    def mean(self) -> float:
        """The mean of q."""
        return float(self.overlaps @ self.probabilities)


@dataclass(frozen=True)
class Ultrametricity:
    """Triangles of states, and their distance from ultrametric ones.

    Attributes
    ----------
    sides : ndarray of shape (n_triples, 3)
        Sides from short to long: shares of spins that differ.
    scaled_gap : float
        Mean of long - middle side, over the standard deviation of all sides. Zero is
        ultrametric; independent sides (of random states of many spins) have 0.85. NaN if all sides
        are equal.
    relative_gap : float
        Mean of (long - middle) / short side over triangles of three different states, between 0
        (ultrametric) and 1 (three states on a line). Also small, like 1/√V, for random states.
        NaN if there is no such triangle.

    Examples
    --------
    >>> Ultrametricity(np.array([[0.1, 0.3, 0.3]]), 0.0, 0.0).scaled_gap
    0.0
    """

    sides: np.ndarray
    scaled_gap: float
    relative_gap: float


def reconstruction_distance(
    estimator: Any,
    X: ArrayLike,
    mask: ArrayLike,
    *,
    n_gibbs_steps: int = 10,
    clamp: bool = True,
    random_state: Any = None,
) -> np.ndarray:
    """Compute the Hamming distance between images and their reconstructions from a part.

    Missing spins start at 0, neither -1 nor +1; Gibbs steps follow. The distance is the number of
    wrong pixels over that of all pixels, known ones included.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    X : array-like of shape (n_samples, n_features)
        The true images. A mean counts as the likelier spin.
    mask : array-like of bool, shape (n_features,) or (n_samples, n_features)
        True where a pixel is known: ``np.arange(height * width) < width`` is the first row of an
        image.
    n_gibbs_steps : int, default=10
    clamp : bool, default=True
        Whether known pixels are clamped, as in appendix C. False lets them move as well: with one
        step, this is the authors' script for figure 3.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ndarray of shape (n_samples,)
        Between 0 and 1 for each row. Coin flips reach half of the share of pixels that move.

    Raises
    ------
    ValueError
        If `mask` has another shape or does not hold booleans.

    References
    ----------
    Pozas-Kerstjens et al. (2021), appendix C, figures 3 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import reconstruction_distance
    >>> X = make_bars(4)
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=500, random_state=0).fit(X)
    >>> first_row = np.arange(16) < 4
    >>> distance = reconstruction_distance(model, X, first_row, random_state=0)
    >>> bool(distance.mean() < 0.2)  # coins: 0.375
    True
    """
    model = get_model(estimator)
    machine = model.machine
    n_gibbs_steps = check_count("n_gibbs_steps", n_gibbs_steps, 1)
    if not isinstance(clamp, bool | np.bool_):
        raise TypeError(f"clamp must be a bool, got {clamp!r}")
    backend, xp, stream = machine.backend, machine.backend.xp, seed_stream(random_state)
    with backend.running():
        truth = read_spins(estimator, model, X)
        known = validate_mask(mask, tuple(truth.shape))
        machine = machine.for_rows(2 * n_gibbs_steps * truth.shape[0])
        distances = []
        for rows in chunks(truth.shape[0]):
            true, free = truth[rows, :], backend.asarray(~known[rows])
            v = xp.where(free, xp.zeros_like(true), true)
            v = machine.gibbs(v, n_gibbs_steps, stream, free=free if clamp else None)
            distances.append(_compute_distances(v, true, machine))
    return np.concatenate(distances)


def overlap_distribution(
    estimator: Any,
    X: ArrayLike | None = None,
    *,
    n_samples: int = 1000,
    n_gibbs_steps: int | None = None,
    random_state: Any = None,
) -> OverlapDistribution:
    """Compute the distribution of overlaps q_ab = v_a·v_b / V, Parisi's order parameter.

    One peak (or one each at ±q, without biases) means that all samples come from one state of
    the model in the sense of statistical physics; many peaks, that there are several.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
        States, read as in `fit` (data to compare with, or samples drawn otherwise); by default,
        samples of the model.
    n_samples : int, default=1000
    n_gibbs_steps : int, default=None
        Steps of plain chains; None draws from a ladder of temperatures, as `sample` does.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    OverlapDistribution

    Raises
    ------
    ValueError
        If there are fewer than two states.

    References
    ----------
    Mézard, Parisi, Virasoro (1987), "Spin glass theory and beyond".

    Examples
    --------
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import overlap_distribution
    >>> X = make_bars(4)
    >>> rbm = RBM(n_components=8, max_iter=10, random_state=0).fit(X)
    >>> overlap_distribution(rbm, X).overlaps.shape
    (17,)
    """
    model = get_model(estimator)
    machine = model.machine
    v = _read_or_sample(estimator, model, X, n_samples, n_gibbs_steps, random_state, at_least=2)
    n, n_visible = v.shape
    counts = np.zeros(n_visible + 1, dtype=np.int64)
    with machine.backend.running():
        for rows in chunks(n):
            products = machine.backend.to_numpy(machine.backend.matmul(v[rows, :], v.T))
            # Products run from -V to V in steps of two.
            numbers = ((products + n_visible) / 2).astype(np.int64)
            is_pair = np.arange(n)[None, :] > np.arange(rows.start, rows.stop)[:, None]
            counts += np.bincount(numbers[is_pair], minlength=n_visible + 1)
    return OverlapDistribution(np.linspace(-1.0, 1.0, n_visible + 1), counts / counts.sum(), n)


def ultrametricity(
    estimator: Any,
    X: ArrayLike | None = None,
    *,
    n_triples: int = 10_000,
    up_to_sign: bool = False,
    n_samples: int = 1000,
    n_gibbs_steps: int | None = None,
    random_state: Any = None,
) -> Ultrametricity:
    """Measure how ultrametric states are: whether the two long sides of triangles are equal.

    The distance of two states is d = (1 - q) / 2, the share of spins that differ. In an
    ultrametric space, such as the pure states of the Sherrington-Kirkpatrick spin glass, the
    two longest sides of each triangle are equal. Compare a model's samples with the data that it
    was trained on.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
        States, read as in `fit`; by default, samples of the model.
    n_triples : int, default=10_000
        Random triples of different rows; all triples, if they are no more than that.
    up_to_sign : bool, default=False
        Whether v and -v count as one state, ``d = (1 - |q|) / 2``. Without biases both are equally
        likely, and their symmetry would hide other structure.
    n_samples : int, default=1000
    n_gibbs_steps : int, default=None
        Steps of plain chains; None draws from a ladder of temperatures, as `sample` does.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    Ultrametricity

    Raises
    ------
    ValueError
        If there are fewer than three states.

    References
    ----------
    Pozas-Kerstjens et al. (2021), section 4.2; Rammal, Toulouse, Virasoro (1986),
    "Ultrametricity for physicists"; Hed, Young, Domany (2004), "Lack of ultrametricity in the
    low-temperature phase of three-dimensional Ising spin glasses"; Katzgraber, Hartmann (2009),
    "Ultrametricity and clustering of states in spin glasses: a one-dimensional view".

    Examples
    --------
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import ultrametricity
    >>> X = make_bars(4)
    >>> rbm = RBM(n_components=8, max_iter=10, random_state=0).fit(X)
    >>> print(f"{ultrametricity(rbm, X).scaled_gap:.2f}")
    0.91
    """
    model = get_model(estimator)
    machine = model.machine
    n_triples = check_count("n_triples", n_triples, 1)
    random_state = check_random_state(random_state)
    v = _read_or_sample(estimator, model, X, n_samples, n_gibbs_steps, random_state, at_least=3)
    triples = _choose_triples(v.shape[0], n_triples, random_state)
    with machine.backend.running():
        sides = [_compute_sides(v, triples[rows], machine) for rows in chunks(len(triples))]
    sides = np.concatenate(sides)
    sides = np.sort(np.minimum(sides, 1.0 - sides) if up_to_sign else sides, axis=1)
    short, gap = sides[:, 0], sides[:, 2] - sides[:, 1]
    spread, differ = sides.std(), short > 0.0
    return Ultrametricity(
        sides,
        scaled_gap=float(gap.mean() / spread) if np.ptp(sides) > 0.0 else np.nan,
        relative_gap=float(np.mean(gap[differ] / short[differ])) if differ.any() else np.nan,
    )


def _read_or_sample(
    estimator: Any,
    model: Model,
    X: ArrayLike | None,
    n_samples: int,
    n_gibbs_steps: int | None,
    random_state: Any,
    at_least: int,
) -> Any:
    """Read the rows of X, or draw samples of the model, as spins on the backend."""
    with model.backend.running():
        if X is None:
            how = {"n_gibbs_steps": n_gibbs_steps, "random_state": random_state}
            # Samples are in the user's units: no threshold applies.
            features = SpinFeatures(estimator.units, model.backend, np.dtype(estimator.dtype).name)
            v = model.backend.sign(features.means(read_samples(estimator, n_samples, how)))
        else:
            v = read_spins(estimator, model, X)
    if v.shape[0] < at_least:
        raise ValueError(f"at least {at_least} states are needed, got {v.shape[0]}")
    return v


def _choose_triples(n: int, n_triples: int, random_state: np.random.RandomState) -> np.ndarray:
    """Draw triples of different row numbers, or list all if they are no more."""
    if comb(n, 3) <= n_triples:
        return np.array(list(combinations(range(n), 3)))
    first = random_state.randint(n, size=n_triples)
    # Two different steps ahead in the circle of rows.
    second = random_state.randint(1, n, size=n_triples)
    third = random_state.randint(1, n - 1, size=n_triples)
    third += third >= second
    return np.stack([first, (first + second) % n, (first + third) % n], axis=1)


def _compute_sides(v: Any, triples: np.ndarray, machine: Machine) -> np.ndarray:
    """Compute the three sides of each triangle of states."""
    xp, asarray = machine.backend.xp, machine.backend.asarray
    corners = [xp.take(v, asarray(triples[:, i]), axis=0) for i in range(3)]
    return np.stack(
        [_compute_distances(a, b, machine) for a, b in combinations(corners, 2)], axis=1
    )


def _compute_distances(a: Any, b: Any, machine: Machine) -> np.ndarray:
    """Compute the share of spins that differ, row by row."""
    products = machine.backend.to_numpy(machine.backend.row_dots(a, b))
    return (a.shape[1] - products) / (2 * a.shape[1])
