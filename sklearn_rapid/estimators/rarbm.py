"""The estimator RARBM: a restricted Boltzmann machine with couplings made of patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.compat import StrOptions
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rbm import CONSTRAINTS, COUNT, POSITIVE
from sklearn_rapid.machine.couplings import Couplings, PatternCouplings
from sklearn_rapid.training.steps.projections import Projection

PATTERN_CONSTRAINTS: dict[str, list] = {
    "n_patterns": [COUNT],
    "init_scale": [StrOptions({"auto"}), POSITIVE],
    "projection": [StrOptions({"sign", "clip", "gibbs"}), None],
    "projection_period": [StrOptions({"update", "epoch"}), COUNT],
    "pattern_bound": [POSITIVE],
}


class PatternMixin:
    """Couplings W made of patterns, W = ξ_vᵀ ξ_h / √K; goes before `BaseRBM`."""

    _fitted_shapes: ClassVar[dict] = {
        "visible_patterns_": ("K", "V"),
        "hidden_patterns_": ("K", "H"),
        **BaseRBM._fitted_shapes,
    }
    _couplings_class = PatternCouplings

    @property
    def components_(self) -> np.ndarray:
        """Wᵀ, formed from the patterns at each access."""
        check_is_fitted(self)
        root_k = np.sqrt(self.visible_patterns_.shape[0], dtype=self._dtype)
        products, mask = (self.hidden_patterns_.T @ self.visible_patterns_) / root_k, self._mask
        return products if mask is None else products * mask.T.astype(self._dtype)

    def _projection(self) -> Projection:
        return make_projection(self)

    def _initial_parameters(self, n_visible: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        k, n_hidden, scale = int(self.n_patterns), self._n_hidden_side, self.init_scale
        if scale == "auto":
            scale = amplitude_for_singular_values_below(2.0, n_visible, n_hidden, k)
        spins = 2.0 * np.random.default_rng(seed).integers(2, size=(k, n_visible + n_hidden)) - 1.0
        return scale * spins[:, :n_visible], scale * spins[:, n_visible:]

    @property
    def _fitted_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        return self.visible_patterns_, self.hidden_patterns_

    def _coupling_attributes(self, couplings: Couplings, to_numpy: Callable) -> dict[str, Any]:
        return {f"{name}_": to_numpy(xi) for name, xi in couplings.parameters.items()}


@with_shared_parameters
class RARBM(PatternMixin, BaseRBM):
    """Restricted Boltzmann machine with regularized axons: couplings made of patterns.

    W = ξ_vᵀ ξ_h / √K with K trainable patterns (ξ_v, ξ_h), which are low-energy states of the
    model and can serve as its negative phase (Pozas-Kerstjens et al. 2021). W is formed only
    if that is cheaper than mapping through the patterns.

    Parameters
    ----------
    {n_components}
    {n_patterns}
    {pattern_negative_phase}
    {optimizer}
    {learning_rate}
    {batch_size}
    {max_iter}
    {n_updates}
    {shuffle}
    {visible}
    {hidden}
    {units}
    {binarize}
    {categories}
    {min_frequency}
    {handle_unknown}
    {fit_intercept}
    {center}
    {pattern_l1_penalty}
    {init_scale}
    {projection}
    {projection_period}
    {pattern_bound}
    {early_stopping}
    {validation_fraction}
    {n_iter_no_change}
    {tol}
    {hidden_features}
    {warm_start}
    {dtype}
    {backend}
    {n_threads}
    {random_state}
    {verbose}

    Attributes
    ----------
    visible_patterns_ : ndarray of shape (n_patterns, n_units)
        ξ_v.
    hidden_patterns_ : ndarray of shape (n_patterns, n_components)
        ξ_h.
    components_ : ndarray of shape (n_components, n_units)
        Wᵀ, formed from the patterns at each access.
    {intercept_visible_}
    {intercept_hidden_}
    {log_partition_}
    {history_}
    {n_iter_}
    {binarize_}
    {mean_}
    {categories_}
    {infrequent_categories_}
    {maps_}
    {spikes_}
    {visible_}
    {hidden_}
    {column_of_unit_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    RBM : the same with dense couplings.

    References
    ----------
    {paper}

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> X = make_bars(4)
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=500, random_state=0).fit(X)
    >>> bool(model.score(X) > -6.0)  # nats; fair coins have -11.1, the best possible is -2.6
    True
    >>> model.sample(2, random_state=0).shape
    (2, 16)
    """

    _parameter_constraints: ClassVar[dict] = {**CONSTRAINTS, **PATTERN_CONSTRAINTS}

    def __init__(
        self,
        n_components: int = 256,
        n_patterns: int = 64,
        *,
        negative_phase: Any = "auto",
        optimizer: Any = "sgd",
        learning_rate: Any = "auto",
        batch_size: int = 100,
        max_iter: int = 20,
        n_updates: int | None = None,
        shuffle: bool = True,
        visible: Any = "auto",
        hidden: str = "binary",
        units: str = "binary",
        binarize: Any = "auto",
        categories: Any = "auto",
        min_frequency: Any = None,
        handle_unknown: str = "error",
        fit_intercept: bool = True,
        center: bool = True,
        l1_penalty: float = 0.0,
        l2_penalty: float = 0.0,
        init_scale: Any = "auto",
        projection: str | None = "clip",
        projection_period: Any = "update",
        pattern_bound: float = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-3,
        hidden_features: str = "mean",
        warm_start: bool = False,
        dtype: Any = "float32",
        backend: str = "auto",
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_patterns = n_patterns
        self.negative_phase = negative_phase
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_updates = n_updates
        self.shuffle = shuffle
        self.visible = visible
        self.hidden = hidden
        self.units = units
        self.binarize = binarize
        self.categories = categories
        self.min_frequency = min_frequency
        self.handle_unknown = handle_unknown
        self.fit_intercept = fit_intercept
        self.center = center
        self.l1_penalty = l1_penalty
        self.l2_penalty = l2_penalty
        self.init_scale = init_scale
        self.projection = projection
        self.projection_period = projection_period
        self.pattern_bound = pattern_bound
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.hidden_features = hidden_features
        self.warm_start = warm_start
        self.dtype = dtype
        self.backend = backend
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose


def make_projection(estimator: Any, unit: float = 1.0) -> Projection:
    """Make the projection of patterns that are kept in this unit."""
    period = estimator.projection_period
    period = period if isinstance(period, str) else int(period)
    return Projection(estimator.projection, period, estimator.pattern_bound * unit, unit)


def amplitude_for_singular_values_below(
    value: float, n_visible: int, n_hidden: int, n_patterns: int
) -> float:
    """Compute the amplitude s of random patterns for which W has no larger singular value.

    A large (K, N) matrix of random signs has the largest singular value √K + √N (Marchenko and
    Pastur 1967). W is a product of two of them, times s²/√K; the product of their norms bounds it.

    Examples
    --------
    >>> print(f"{amplitude_for_singular_values_below(2.0, 784, 500, 190):.3f}")
    0.135
    """
    root_k = np.sqrt(n_patterns)
    norms = (root_k + np.sqrt(n_visible)) * (root_k + np.sqrt(n_hidden))
    return float(np.sqrt(value * root_k / norms))
