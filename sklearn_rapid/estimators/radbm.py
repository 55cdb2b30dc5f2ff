"""The estimator RADBM: a deep Boltzmann machine with couplings made of patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.deep import DEEP_CONSTRAINTS, DeepMixin
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rarbm import PATTERN_CONSTRAINTS, PatternMixin


@with_shared_parameters
class RADBM(DeepMixin, PatternMixin, BaseRBM):
    """Deep Boltzmann machine with regularized axons: couplings made of patterns.

    Each of K patterns ξ is a state of all layers. Couplings between neighbouring layers are
    ξ_lᵀ ξ_l+1 / √K, and there are no others (Pozas-Kerstjens et al. 2021, eq. 5 and section 3.2).
    With one hidden layer it is `RARBM`, bit for bit.

    The likelihood of a row is a sum over hidden states that has no closed form: `lower_bound`
    bounds it, `score_samples` estimates it.

    The model does not suit features of the last layer alone, which hardly depend on the row, nor a
    few patterns far from each other; figures are in docs/guide/deep.md.

    Parameters
    ----------
    {hidden_layer_sizes}
    {n_patterns}
    {pattern_negative_phase}
    {positive_phase}
    {optimizer}
    {learning_rate}
    {batch_size}
    {max_iter}
    {n_updates}
    {shuffle}
    {deep_units}
    {deep_binarize}
    {deep_fit_intercept}
    {deep_center}
    {pattern_l1_penalty}
    {init_scale}
    {projection}
    {projection_period}
    {pattern_bound}
    {deep_early_stopping}
    {validation_fraction}
    {n_iter_no_change}
    {tol}
    {deep_hidden_features}
    {output_layers}
    {warm_start}
    {dtype}
    {backend}
    {n_threads}
    {random_state}
    {verbose}

    Attributes
    ----------
    patterns_ : list of ndarray of shape (n_patterns, n_l)
        The patterns by layer, from the visible one up.
    {coefs_}
    {intercepts_}
    visible_patterns_ : ndarray of shape (n_patterns, n_even)
        Parts of the patterns in the visible layer and the even hidden ones, side by side.
    hidden_patterns_ : ndarray of shape (n_patterns, n_odd)
        Parts of the patterns in the odd hidden layers.
    components_ : ndarray of shape (n_odd, n_even)
        The couplings as one matrix, between the units of odd layers and those of even ones (the
        visible layer is even), formed from the patterns at each access.
    {deep_intercept_visible_}
    {deep_intercept_hidden_}
    {layer_sizes_}
    {log_partition_}
    {deep_history_}
    {n_iter_}
    {binarize_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    DBM : the same with dense couplings.
    RARBM : with one hidden layer.

    References
    ----------
    {paper}

    {deep_machines}

    Examples
    --------
    >>> from sklearn_rapid import RADBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> X = make_bars(4)
    >>> model = RADBM(hidden_layer_sizes=(32, 8), n_patterns=8, max_iter=500, random_state=0).fit(X)
    >>> bool(model.lower_bound(X).mean() > -7.0)  # nats; fair coins have -11.1, the best is -2.6
    True
    >>> [xi.shape for xi in model.patterns_]
    [(8, 16), (8, 32), (8, 8)]
    """

    _parameter_constraints: ClassVar[dict] = {**DEEP_CONSTRAINTS, **PATTERN_CONSTRAINTS}

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (256, 64),
        n_patterns: int = 64,
        *,
        negative_phase: Any = "auto",
        positive_phase: Any = "mean_field",
        optimizer: Any = "sgd",
        learning_rate: Any = "auto",
        batch_size: int = 100,
        max_iter: int = 20,
        n_updates: int | None = None,
        shuffle: bool = True,
        units: str = "binary",
        binarize: Any = "auto",
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
        output_layers: str = "all",
        warm_start: bool = False,
        dtype: Any = "float32",
        backend: str = "auto",
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_patterns = n_patterns
        self.negative_phase = negative_phase
        self.positive_phase = positive_phase
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_updates = n_updates
        self.shuffle = shuffle
        self.units = units
        self.binarize = binarize
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
        self.output_layers = output_layers
        self.warm_start = warm_start
        self.dtype = dtype
        self.backend = backend
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    @property
    def patterns_(self) -> list[np.ndarray]:
        """The patterns by layer, from the visible one up, each of shape (n_patterns, n_l)."""
        check_is_fitted(self)
        return self._layers.by_layer(self.visible_patterns_, self.hidden_patterns_)
