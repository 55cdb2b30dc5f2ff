"""Measure the couplings' spectrum, and the patterns as memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_rapid.checks.arguments import check_count
from sklearn_rapid.diagnostics._machine import get_model, read_spins
from sklearn_rapid.machine.couplings import Couplings, PatternCouplings


@dataclass(frozen=True)
class PatternOverlaps:
    """Overlaps among the signs of K patterns, between -1 and 1.

    Attributes
    ----------
    visible : ndarray of shape (K, K)
        ξ_v^(k)·ξ_v^(l) / V.
    hidden : ndarray of shape (K, K)
        ξ_h^(k)·ξ_h^(l) / H.

    Examples
    --------
    >>> PatternOverlaps(np.eye(2), np.eye(2)).visible.shape
    (2, 2)
    """

    visible: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True)
class PatternLoad:
    """The number of patterns K over numbers of units.

    Attributes
    ----------
    total : float
        K / (V + H).
    visible : float
        K / V.
    hidden : float
        K / H.

    Examples
    --------
    >>> PatternLoad(total=0.1, visible=0.5, hidden=0.125).total
    0.1
    """

    total: float
    visible: float
    hidden: float


@dataclass(frozen=True)
class PatternRetrieval:
    """The end of zero-temperature dynamics from each pattern.

    Attributes
    ----------
    is_fixed_point : ndarray of bool, shape (K,)
        Whether neither layer moves.
    n_steps : ndarray of int, shape (K,)
        Number of steps in which a spin moved; zero at a fixed point.
    visible_overlap, hidden_overlap : ndarray of shape (K,)
        Final overlap of each layer with the pattern's signs, between -1 and 1.

    Examples
    --------
    >>> one = np.ones(1)
    >>> PatternRetrieval(one > 0, np.zeros(1, dtype=int), one, one).is_fixed_point
    array([ True])
    """

    is_fixed_point: np.ndarray
    n_steps: np.ndarray
    visible_overlap: np.ndarray
    hidden_overlap: np.ndarray


def singular_values(estimator: Any) -> np.ndarray:
    """Compute the singular values of W, in double precision.

    With patterns, W = ξ_vᵀ ξ_h / √K is not formed: with ξ_vᵀ = Q_v R_v and ξ_hᵀ = Q_h R_h, its
    singular values are those of R_v R_hᵀ / √K, a matrix of at most K rows and columns. (Gram
    matrices would lose half of the digits of small values.)

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.

    Returns
    -------
    ndarray of shape (min(V, H),)
        From large to small; zero beyond the K-th.

    References
    ----------
    Pozas-Kerstjens et al. (2021), section 5.1.4, figure 4.

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import singular_values
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10, random_state=0)
    >>> spectrum = singular_values(model.fit(make_bars(4)))
    >>> spectrum.shape, int((spectrum > 0).sum())
    ((16,), 8)
    """
    machine = get_model(estimator, of_spins=False).machine
    with machine.backend.running():
        return _compute_singular_values(machine.couplings, machine.backend.to_numpy)


def _compute_singular_values(couplings: Couplings, to_numpy: Any) -> np.ndarray:
    if not isinstance(couplings, PatternCouplings):
        weights = np.asarray(to_numpy(couplings.to_dense().weights), dtype=np.float64)
        return np.linalg.svd(weights, compute_uv=False)
    patterns = (couplings.visible_patterns, couplings.hidden_patterns)
    r_visible, r_hidden = (
        np.linalg.qr(np.asarray(to_numpy(xi), dtype=np.float64).T, mode="r") for xi in patterns
    )
    product = r_visible @ r_hidden.T / np.sqrt(couplings.n_patterns)
    values = np.linalg.svd(product, compute_uv=False)
    return np.pad(values, (0, min(couplings.shape) - values.size))


def pattern_overlaps(estimator: Any) -> PatternOverlaps:
    """Compute overlaps q_kl = ξ^(k)·ξ^(l) / N among the signs of the patterns, in each layer.

    Random patterns of N spins overlap by about 1/√N.

    Parameters
    ----------
    estimator : RARBM
        Fitted.

    Returns
    -------
    PatternOverlaps

    Raises
    ------
    ValueError
        For an estimator without patterns.

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import pattern_overlaps
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10, random_state=0)
    >>> pattern_overlaps(model.fit(make_bars(4))).visible.diagonal()
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    machine = get_model(estimator, with_patterns=True).machine
    couplings, backend = machine.couplings, machine.backend
    with backend.running():
        signs = map(backend.sign, (couplings.visible_patterns, couplings.hidden_patterns))
        return PatternOverlaps(*(_compute_overlaps(xi, xi, backend) for xi in signs))


def mattis_magnetization(estimator: Any, X: ArrayLike) -> np.ndarray:
    """Compute overlaps m_k = ξ_v^(k)·v / V of each row with the signs of each pattern.

    Parameters
    ----------
    estimator : RARBM
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Read as in `fit`; a mean counts as the likelier spin.

    Returns
    -------
    ndarray of shape (n_samples, n_patterns)
        Between -1 (the pattern's negative) and 1 (the pattern).

    Raises
    ------
    ValueError
        For an estimator without patterns.

    References
    ----------
    Amit, Gutfreund, Sompolinsky (1985), "Spin-glass models of neural networks".

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import mattis_magnetization
    >>> X = make_bars(4)
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10, random_state=0).fit(X)
    >>> mattis_magnetization(model, X).shape
    (14, 8)
    """
    model = get_model(estimator, with_patterns=True)
    patterns, backend = model.machine.couplings.visible_patterns, model.backend
    with backend.running():
        v = read_spins(estimator, model, X)
        return _compute_overlaps(v, backend.sign(patterns), backend)


def _compute_overlaps(a: Any, b: Any, backend: Any) -> np.ndarray:
    """Compute overlaps of rows of spins; sums of so few ±1 are exact in float32."""
    products = backend.to_numpy(backend.matmul(a, b.T))
    return np.asarray(products, dtype=np.float64) / a.shape[1]


def pattern_load(estimator: Any) -> PatternLoad:
    """Compute the load of the model as a memory: patterns over units, K/(V+H), K/V and K/H.

    In Hopfield's model, patterns cannot be retrieved from the spin glass beyond a threshold (about
    0.14 at zero temperature); the paper's rule is to choose H large enough for a low K/(V+H).

    Parameters
    ----------
    estimator : RARBM
        Fitted.

    Returns
    -------
    PatternLoad

    Raises
    ------
    ValueError
        For an estimator without patterns.

    References
    ----------
    Pozas-Kerstjens et al. (2021), section 4.3; Amit, Gutfreund, Sompolinsky (1985).

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import pattern_load
    >>> model = RARBM(n_components=64, n_patterns=8, max_iter=10, random_state=0)
    >>> pattern_load(model.fit(make_bars(4)))
    PatternLoad(total=0.1, visible=0.5, hidden=0.125)
    """
    machine = get_model(estimator, with_patterns=True).machine
    n_patterns = machine.couplings.n_patterns
    n_visible, n_hidden = machine.n_visible, machine.n_hidden
    return PatternLoad(
        total=n_patterns / (n_visible + n_hidden),
        visible=n_patterns / n_visible,
        hidden=n_patterns / n_hidden,
    )


def pattern_retrieval(estimator: Any, *, max_steps: int = 1000) -> PatternRetrieval:
    """Test whether patterns are retrieved, by zero-temperature dynamics from their signs.

    A step aligns all hidden spins with their fields, h = sign(Wᵀv + c), then all visible ones,
    v = sign(Wh + b); a spin in zero field stays. The energy never rises, so that each pattern ends
    in a minimum: itself, if it is a fixed point.

    Parameters
    ----------
    estimator : RARBM
        Fitted.
    max_steps : int, default=1000
        At most this many; a few are the rule.

    Returns
    -------
    PatternRetrieval

    Raises
    ------
    ValueError
        For an estimator without patterns.

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import pattern_retrieval
    >>> model = RARBM(n_components=32, n_patterns=1, fit_intercept=False, max_iter=10)
    >>> pattern_retrieval(model.fit(make_bars(4))).is_fixed_point  # Mattis: no frustration
    array([ True])
    """
    machine = get_model(estimator, with_patterns=True).machine
    max_steps = check_count("max_steps", max_steps, 1)
    machine, backend, xp = machine.in_float64(), machine.backend, machine.backend.xp
    with backend.running():
        visible_start = backend.sign(machine.couplings.visible_patterns)
        hidden_start = backend.sign(machine.couplings.hidden_patterns)
        v, h = visible_start, hidden_start
        n_steps = np.zeros(machine.couplings.n_patterns, dtype=int)
        for step in range(1, max_steps + 1):
            new_h = _align(machine.hidden_field(v), h, xp)
            new_v = _align(machine.visible_field(new_h), v, xp)
            moved = xp.any(new_v != v, axis=1) | xp.any(new_h != h, axis=1)
            n_steps[backend.to_numpy(moved)] = step
            v, h = new_v, new_h
            if not bool(xp.any(moved)):
                break
        overlaps = [
            backend.to_numpy(backend.row_dots(end, start)) / start.shape[1]
            for end, start in ((v, visible_start), (h, hidden_start))
        ]
    return PatternRetrieval(n_steps == 0, n_steps, *overlaps)


def _align(field: Any, spins: Any, xp: Any) -> Any:
    """Align spins with their fields, those in zero field excepted."""
    return xp.where(field == 0, spins, xp.sign(field))
