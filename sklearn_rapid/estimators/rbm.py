"""The estimator RBM: a restricted Boltzmann machine with dense couplings."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid.backends import BACKENDS
from sklearn_rapid.checks.compat import Count, Interval, Options, StrOptions
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.machine.couplings import Couplings, DenseCouplings
from sklearn_rapid.tables.kinds import KINDS
from sklearn_rapid.tables.table import Table
from sklearn_rapid.training import negative_phase, optimizers
from sklearn_rapid.training.negative_phase import NegativePhase
from sklearn_rapid.training.optimizers import Optimizer, Schedule

COUNT = Count()
POSITIVE = Interval(Real, 0, None, closed="neither")
NON_NEGATIVE = Interval(Real, 0, None, closed="left")

# Parameters of columns of categories.
CATEGORY_PARAMETERS = ("categories", "min_frequency", "handle_unknown")
CONSTRAINTS: dict[str, list] = {
    "n_components": [COUNT],
    "negative_phase": [StrOptions(set(negative_phase.BY_NAME)), NegativePhase],
    "optimizer": [StrOptions(set(optimizers.BY_NAME)), Optimizer],
    "learning_rate": [StrOptions({"auto"}), POSITIVE, Schedule],
    "batch_size": [COUNT],
    "max_iter": [COUNT],
    "n_updates": [COUNT, None],
    "shuffle": ["boolean"],
    "visible": [StrOptions({"auto", *KINDS}), list, tuple, dict, Table],
    "hidden": [StrOptions({"binary", "gaussian"})],
    "units": [StrOptions({"binary", "spin"})],
    "binarize": [
        Interval(Real, None, None, closed="neither"),
        StrOptions({"auto", "sample"}),
        None,
    ],
    "categories": [StrOptions({"auto"}), list, tuple, dict],
    "min_frequency": [COUNT, Interval(Real, 0, 1, closed="neither"), None],
    "handle_unknown": [StrOptions({"error", "infrequent"})],
    "fit_intercept": ["boolean"],
    "center": ["boolean"],
    "l1_penalty": [NON_NEGATIVE],
    "l2_penalty": [NON_NEGATIVE],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [COUNT],
    "tol": [NON_NEGATIVE],
    "hidden_features": [StrOptions({"mean", "sample"})],
    "warm_start": ["boolean"],
    "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64})],
    "backend": [StrOptions({"auto", *BACKENDS})],
    "n_threads": [COUNT, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class DenseMixin:
    """Dense couplings W, of shape (V, H); goes before `BaseRBM`."""

    _fitted_shapes: ClassVar[dict] = {"components_": ("H", "V"), **BaseRBM._fitted_shapes}
    _couplings_class = DenseCouplings

    def _initial_parameters(self, n_visible: int, seed: int) -> tuple[np.ndarray]:
        shape, mask = (n_visible, self._n_hidden_side), self._mask
        weights = np.random.default_rng(seed).normal(0.0, self.init_scale, shape)
        return (weights if mask is None else weights * mask,)

    @property
    def _fitted_parameters(self) -> tuple[np.ndarray]:
        return (self.components_.T,)

    def _coupling_attributes(self, couplings: Couplings, to_numpy: Callable) -> dict[str, Any]:
        return {"components_": to_numpy(couplings.parameters["weights"]).T}


@with_shared_parameters
class RBM(DenseMixin, BaseRBM):
    """Restricted Boltzmann machine with dense couplings.

    A model of binary data: visible spins v, hidden spins h, and P(v, h) proportional to
    exp(vᵀWh + b·v + c·h). The parameters are always those of spins in {-1, +1}; `units` are those
    of X and of results. Columns may also be real, with a factor exp(-v·v/2), or categories, or of
    several kinds (see `visible`).

    Parameters
    ----------
    {n_components}
    {negative_phase}
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
    {l1_penalty}
    init_scale : float, default=0.01
        Standard deviation of the initial W.
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
    components_ : ndarray of shape (n_components, n_units)
        Wᵀ.
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
    RARBM : the same with couplings made of patterns.
    sklearn.neural_network.BernoulliRBM : scikit-learn's machine, without likelihood or samples.

    References
    ----------
    Tieleman (2008), "Training restricted Boltzmann machines using approximations to the
    likelihood gradient".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars_and_stripes
    >>> X = make_bars_and_stripes(3)
    >>> rbm = RBM(n_components=8, negative_phase="exact", max_iter=500, random_state=0).fit(X)
    >>> print(f"{rbm.score(X):.1f} nats; the best possible: {-np.log(12):.1f}")
    -2.5 nats; the best possible: -2.5
    >>> rbm.transform(X).shape
    (12, 8)
    """

    _parameter_constraints: ClassVar[dict] = {
        **CONSTRAINTS,
        "init_scale": [NON_NEGATIVE],
    }

    def __init__(
        self,
        n_components: int = 256,
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
        init_scale: float = 0.01,
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
