"""The estimator DBM: a deep Boltzmann machine with dense couplings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.deep import DEEP_CONSTRAINTS, DeepMixin
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rbm import NON_NEGATIVE, DenseMixin


@with_shared_parameters
class DBM(DeepMixin, DenseMixin, BaseRBM):
    """Deep Boltzmann machine: layers of spins, with dense couplings between neighbours.

    A model of binary data: visible spins v, layers of hidden spins h¹, h², ..., and
    P(v, h¹, h², ...) proportional to exp(vᵀW¹h¹ + h¹ᵀW²h² + ... + biases) (Salakhutdinov, Hinton
    2009). All layers are trained at once. With one hidden layer it is `RBM`, bit for bit.

    The likelihood of a row is a sum over hidden states that has no closed form: `lower_bound`
    bounds it, `score_samples` estimates it.

    The model does not suit features of the last layer alone, which hardly depend on the row, nor a
    few patterns far from each other; figures are in docs/guide/deep.md.

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
    {deep_units}
    {deep_binarize}
    {deep_fit_intercept}
    {deep_center}
    {l1_penalty}
    init_scale : float, default=0.01
        Standard deviation of the initial couplings.
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
