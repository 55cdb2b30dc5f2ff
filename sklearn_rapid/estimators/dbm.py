"""The estimator DBM: its parameters and what its couplings are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.deep import DEEP_CONSTRAINTS, DeepMixin
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rbm import NON_NEGATIVE
from sklearn_rapid.machine.couplings import Couplings, DenseCouplings


@with_shared_parameters
class DBM(DeepMixin, BaseRBM):
    """Deep Boltzmann machine: layers of spins, with dense couplings between neighbours.

    A model of binary data: visible spins v, layers of hidden spins h¹, h², ..., and
    P(v, h¹, h², ...) proportional to exp(vᵀW¹h¹ + h¹ᵀW²h² + ... + biases) (Salakhutdinov, Hinton
    2009). All layers are trained at once. With one hidden layer it is `RBM`, bit for bit.

    The likelihood of a row is a sum over hidden states that has no closed form: `lower_bound` is
    below it, `score_samples` estimates it.

    Not for features of the last layer alone, which hardly depend on the row, nor for a few patterns
    far from each other; figures are in docs/guide/deep.md.

    Parameters
    ----------
    {hidden_layer_sizes}
    {negative_phase}
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
    {l1_penalty}
    init_scale : float, default=0.01
        Standard deviation of the initial couplings.
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
    {coefs_}
    {intercepts_}
    components_ : ndarray of shape (n_odd, n_even)
        The same couplings as one matrix, between the units of odd layers and those of even ones
        (the visible layer is even); zero where layers are no neighbours.
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
    RADBM : the same with couplings made of patterns.
    RBM : with one hidden layer.

    References
    ----------
    {deep_machines}

    Montavon, Müller (2012), "Deep Boltzmann machines and the centering trick".

    Examples
    --------
    >>> from sklearn_rapid import DBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> X = make_bars(4)
    >>> dbm = DBM(hidden_layer_sizes=(12, 6), max_iter=500, random_state=0).fit(X)
    >>> bool(dbm.lower_bound(X).mean() > -6.0)  # nats; fair coins have -11.1, the best is -2.6
    True
    >>> [W.shape for W in dbm.coefs_]
    [(16, 12), (12, 6)]
    >>> dbm.transform(X).shape
    (14, 18)
    """

    _parameter_constraints: ClassVar[dict] = {
        **DEEP_CONSTRAINTS,
        "init_scale": [NON_NEGATIVE],
    }

    _fitted_shapes: ClassVar[dict] = {"components_": ("H", "V"), **BaseRBM._fitted_shapes}

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (256, 64),
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
        init_scale: float = 0.01,
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

    def _initial_couplings(self, n_visible: int, seed: int, backend: Any) -> Couplings:
        shape = (n_visible, self._layers.n_odd)
        weights = np.random.default_rng(seed).normal(0.0, self.init_scale, shape)
        if self._layers.are_masked:
            weights *= self._layers.mask()
        return self._couplings_of(weights, backend)

    def _fitted_couplings(self, backend: Any) -> Couplings:
        return self._couplings_of(self.components_.T, backend)

    def _couplings_of(self, weights: np.ndarray, backend: Any) -> Couplings:
        couplings = DenseCouplings(backend.asarray(weights, self._dtype))
        return self._masked(couplings, backend)

    def _coupling_attributes(self, couplings: Couplings, to_numpy: Callable) -> dict[str, Any]:
        return {"components_": to_numpy(couplings.parameters["weights"]).T}
