"""The estimator RADBM: its parameters and what its couplings are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.deep import DEEP_CONSTRAINTS, DeepMixin
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rarbm import PATTERN_CONSTRAINTS, initial_patterns, projection_of
from sklearn_rapid.machine.couplings import Couplings, PatternCouplings
from sklearn_rapid.training.steps.projections import Projection


@with_shared_parameters
class RADBM(DeepMixin, BaseRBM):
    """Deep Boltzmann machine with regularized axons: couplings made of patterns.

    Each of K patterns ξ is a state of all layers. Couplings between neighbouring layers are
    ξ_lᵀ ξ_l+1 / √K, and there are no others (Pozas-Kerstjens et al. 2021, eq. 5 and section 3.2).
    With one hidden layer it is `RARBM`, bit for bit.

    The likelihood of a row is a sum over hidden states that has no closed form: `lower_bound` is
    below it, `score_samples` estimates it.

    Not for features of the last layer alone, which hardly depend on the row, nor for a few patterns
    far from each other; figures are in docs/guide/deep.md.

    Parameters
    ----------
    {hidden_layer_sizes}
    {n_patterns}
    negative_phase : {"auto", "pt", "pid", "pcd", "cd", "exact"} or NegativePhase, default="auto"
        Where the states come from that the model is compared with; see
        `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model, as
        for `RBM`; "pid" starts chains from the patterns, as the paper has it.
    {positive_phase}
    {optimizer}
    {learning_rate}
    {batch_size}
    {max_iter}
    {n_updates}
    {shuffle}
    units : {"binary", "spin"}, default="binary"
        X, samples and hidden features are in {0, 1}, or in {-1, +1}; means are in between.
    binarize : "auto", float, "sample" or None, default="auto"
        What values mean. A number is the threshold above which a value is on. "sample": a value is
        a mean (in binary units, the probability of being on), of which a fresh sample is drawn
        each time a row is used in training. None: values are used as means. "auto" takes two
        values, the ends of the range of `units`, as they are, and values in between as "sample"
        does; others are on above 0.5, with a warning.
    fit_intercept : bool, default=True
        Whether units have biases.
    center : bool, default=True
        Whether gradients are centred (Melchior, Fischer, Wiskott 2016), which is what makes layers
        learn together (Montavon, Müller 2012). Without biases it has no effect.
    l1_penalty, l2_penalty : float >= 0, default=0.0
        What is taken from the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|ξ| and
        ``l2_penalty`` · Σξ²/2 over the elements of the patterns, the negative logarithms of a
        Laplace prior of scale 1 / `l1_penalty` and of a Gaussian one of variance 1 / `l2_penalty`.
        For `partial_fit`, all rows are those seen so far, counted each time they come.
    {init_scale}
    {projection}
    {projection_period}
    {pattern_bound}
    early_stopping : bool, default=False
        Whether to set rows aside, stop when the lower bound of their log-likelihood no longer
        rises, and keep the best epoch.
    {validation_fraction}
    {n_iter_no_change}
    {tol}
    hidden_features : {"mean", "sample"}, default="mean"
        What `transform` returns: means of hidden units given a row, by mean field; or a sample.
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
        The patterns, by layer; the visible part first.
    {coefs_}
    {intercepts_}
    visible_patterns_ : ndarray of shape (n_patterns, n_even)
        Their parts in the visible layer and in the even hidden ones, side by side.
    hidden_patterns_ : ndarray of shape (n_patterns, n_odd)
        Their parts in the odd hidden layers.
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

    _fitted_shapes: ClassVar[dict] = {
        "visible_patterns_": ("K", "V"),
        "hidden_patterns_": ("K", "H"),
        **BaseRBM._fitted_shapes,
    }

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
        """The patterns, by layer, each part of shape (n_patterns, n_l)."""
        check_is_fitted(self)
        return self._layers.by_layer(self.visible_patterns_, self.hidden_patterns_)

    @property
    def components_(self) -> np.ndarray:
        """Couplings between odd layers and even ones, formed from the patterns."""
        check_is_fitted(self)
        k = self.visible_patterns_.shape[0]
        products = (self.hidden_patterns_.T @ self.visible_patterns_) / np.sqrt(
            k, dtype=self._dtype
        )
        if not self._layers.are_masked:
            return products
        return products * self._layers.mask().T.astype(self._dtype)

    def _projection(self) -> Projection:
        return projection_of(self)

    def _initial_couplings(self, n_visible: int, seed: int, backend: Any) -> Couplings:
        return self._couplings_of(
            initial_patterns(self, n_visible, self._layers.n_odd, seed), backend
        )

    def _fitted_couplings(self, backend: Any) -> Couplings:
        return self._couplings_of((self.visible_patterns_, self.hidden_patterns_), backend)

    def _couplings_of(self, patterns: Sequence[np.ndarray], backend: Any) -> Couplings:
        couplings = PatternCouplings(*(backend.asarray(xi, self._dtype) for xi in patterns))
        return self._masked(couplings, backend)

    def _coupling_attributes(self, couplings: Couplings, to_numpy: Callable) -> dict[str, Any]:
        return {
            "visible_patterns_": to_numpy(couplings.visible_patterns),
            "hidden_patterns_": to_numpy(couplings.hidden_patterns),
        }
