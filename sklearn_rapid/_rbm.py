"""The estimator RBM: its parameters and what its couplings are."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from sklearn_rapid._base import BaseRBM
from sklearn_rapid._compat import Count, Interval, Options, StrOptions
from sklearn_rapid.backends import BACKENDS
from sklearn_rapid.couplings import DenseCouplings
from sklearn_rapid.negative_phase import NegativePhase
from sklearn_rapid.optimizers import Optimizer, Schedule
from sklearn_rapid.projections import Projection

COUNT = Count()
POSITIVE = Interval(Real, 0, None, closed="neither")
NON_NEGATIVE = Interval(Real, 0, None, closed="left")

CONSTRAINTS: dict[str, list] = {
    "n_components": [COUNT],
    "negative_phase": [StrOptions({"auto", "exact", "cd", "pcd", "pid", "pt"}), NegativePhase],
    "optimizer": [StrOptions({"sgd", "adam"}), Optimizer],
    "learning_rate": [StrOptions({"auto"}), POSITIVE, Schedule],
    "batch_size": [COUNT],
    "max_iter": [COUNT],
    "n_updates": [COUNT, None],
    "shuffle": ["boolean"],
    "visible": [StrOptions({"binary", "gaussian", "categorical"}), list, tuple],
    "hidden": [StrOptions({"binary", "gaussian"})],
    "units": [StrOptions({"binary", "spin"})],
    "binarize": [
        Interval(Real, None, None, closed="neither"),
        StrOptions({"auto", "sample"}),
        None,
    ],
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


class RBM(BaseRBM):
    """Restricted Boltzmann machine with dense couplings.

    A model of binary data: visible spins v, hidden spins h, and P(v, h) proportional to
    exp(vᵀWh + b·v + c·h). The parameters are always those of spins in {-1, +1}; `units` says
    what X and the results are measured in. Or one of real columns, with a factor exp(-v·v/2), of
    categories, or of all of them (see `visible`).

    Parameters
    ----------
    n_components : int, default=256
        Number of hidden units H.
    negative_phase : {"auto", "pt", "pcd", "cd", "exact"} or NegativePhase, default="auto"
        Where the states come from that the model is compared with; see
        `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model:
        hardly more than "pcd" where chains find their way, and as much more as they need where
        they do not. "pt" is another name for it.
    optimizer : {"sgd", "adam"} or optimizer, default="sgd"
        See `sklearn_rapid.optimizers`; ``SGD(scaled=False)`` takes plain gradient steps.
    learning_rate : "auto", float or schedule, default="auto"
        How far each update moves the energies of the model's states: the standard deviation
        of their change in nats, per square root of a visible unit (less by √(n/100) where a
        batch and the chains have n < 100 rows). Being measured in what a step does, one rate
        serves every number of units, patterns and rows. A float is a constant rate; "auto" is
        ``LinearDecay(0.25)``, which falls from 0.25 to zero over `max_iter`.
    batch_size : int, default=100
        Rows of an update, and chains of most negative phases. More than there are rows are of no
        use: beyond 100 they are taken for as many, with a warning.
    max_iter : int, default=20
        Epochs.
    n_updates : int, default=None
        For `partial_fit`: how many updates there will be in all calls together, counted from the
        model's first one. They are taken for `max_iter` epochs of equal length, so that the
        learning rate falls as in `fit`; what goes beyond stays at the last rate, with a warning.
        None is not known: the rate stays that of a first epoch.
    shuffle : bool, default=True
        Whether rows are shuffled before each epoch.
    visible : {"binary", "gaussian", "categorical"} or list of (kind, columns), default="binary"
        What the columns of X are. "gaussian": real numbers. Each is v = (x - `mean_`) / `scale_`
        inside, and v is normal around b + Wh with variance one. The mean is that of the rows of
        `fit`, or of the first `partial_fit`; the scale starts at their standard deviation, and is
        trained. All that is returned is in the units of X, and likelihoods are those of densities.
        "categorical": whole numbers that are codes, such as `OrdinalEncoder` makes. A column has a
        unit for each code that it has in `fit`, or in the first `partial_fit`, rows of weight zero
        among them; one of them is on. Other codes are refused afterwards. A list says which columns
        are of which of these kinds, by numbers, names, masks or slices as in `ColumnTransformer`:
        each column once.
    hidden : {"binary", "gaussian"}, default="binary"
        What hidden units are. "gaussian": real numbers, normal around c + Wᵀv with variance one.
        With binary columns that is the Hopfield model whose memories are the rows of `components_`.
        Real columns take binary hidden units only.
    units : {"binary", "spin"}, default="binary"
        X, samples and hidden features are in {0, 1}, or in {-1, +1}; means are in between. With
        real columns and categories, hidden features alone.
    binarize : "auto", float, "sample" or None, default="auto"
        What values mean. A number is the threshold above which a value is on. "sample": a value is
        a mean (in binary units, the probability of being on), of which a fresh sample is drawn
        each time a row is used in training. None: values are used as means. "auto" takes two
        values, the ends of the range of `units`, as they are, and values in between as "sample"
        does; others are on above 0.5, with a warning. Without binary columns, leave it at "auto".
    fit_intercept : bool, default=True
        Whether there are biases b and c.
    center : bool, default=True
        Whether gradients are centred (Melchior, Fischer, Wiskott 2016). Without biases it has
        no effect.
    l1_penalty, l2_penalty : float >= 0, default=0.0
        What is taken from the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|W| and
        ``l2_penalty`` · ΣW²/2, the negative logarithms of a Laplace prior of scale 1 / `l1_penalty`
        and of a Gaussian one of variance 1 / `l2_penalty`. One value serves any number of rows; an
        `l1_penalty` of 10 suits tables of some hundred columns and up to some thousand rows
        (docs/design_notes/penalties.md). For `partial_fit`, all rows are those seen so far, counted
        each time they come.
    init_scale : float, default=0.01
        Standard deviation of the initial W.
    early_stopping : bool, default=False
        Whether to set rows aside, stop when their log-likelihood no longer rises, and keep the
        best epoch. Negative phases without a ladder go by their pseudo-likelihood, where columns
        are binary.
    validation_fraction : float in (0, 1), default=0.1
        Share of rows set aside by early stopping.
    n_iter_no_change : int, default=5
        Epochs without a gain of `tol` after which early stopping stops.
    tol : float >= 0, default=1e-3
        In nats.
    hidden_features : {"mean", "sample"}, default="mean"
        What `transform` returns of h given v.
    warm_start : bool, default=False
        Whether `fit` starts from the model that the last one has left, which it then trains for
        `max_iter` more epochs; the schedule of the learning rate starts anew. A fit that was cut
        short, `sklearn_rapid.callbacks.resume` takes to its end, on the schedule that it was on.
    dtype : {"float32", "float64"}, default="float32"
        Of parameters, fields and results; likelihoods are summed in float64 in any case.
    backend : {"auto", "numpy", "numba", "cupy", "cupy-tf32", "cupy-bf16"}, default="auto"
        "numba" runs on the CPU, "cupy" on an NVIDIA GPU, whatever kind of array X is; "numpy"
        is the slow reference. "auto" is "cupy" for CuPy arrays within
        ``sklearn.config_context(array_api_dispatch=True)``, and "numba" otherwise. The last two
        round the factors of products on their way into tensor cores. Results are arrays of the
        kind that X is, fitted attributes always NumPy's.
    n_threads : int, default=None
        None is as many as the process may use. Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        If not zero, a line is printed each epoch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_units)
        Wᵀ.
    intercept_visible_ : ndarray of shape (n_units,)
        b. A column is one unit, and a categorical one as many as it has codes.
    intercept_hidden_ : ndarray of shape (n_components,)
        c.
    log_partition_ : float
        log Z in nats, estimated when first asked for; see `log_partition`.
    history_ : dict of lists
        A value an epoch each: "epoch", "seconds", "learning_rate", "n_updates". With tempered
        chains "barrier" (Λ), "lag" (how far chains are behind the model, nats; positive only
        if they are), "n_rungs", "n_columns" and "step_share". With early stopping
        "log_likelihood" of the rows set aside with "log_likelihood_error", or
        "pseudo_likelihood" where there is no ladder (nats), and "free_energy_gap" (of the rows
        set aside over those trained on, nats: it grows with overfitting).
    n_iter_ : int
        Epochs of the last `fit`.
    binarize_ : float, "sample" or None
        What `binarize` has come to for the rows that were fitted; None without binary columns.
    mean_, scale_ : ndarray of shape (n_units,)
        Of real columns: their means, and their standard deviations given the hidden units. Of
        other units beside them, zero and one.
    categories_ : list of ndarray
        The codes of each column, sorted, as its units stand; None for a column of another kind.
    visible_ : list of (kind, ndarray of int)
        What a list for `visible` has come to: the columns of each kind, by number. Units stand in
        this order.
    hidden_ : str
        What hidden units are, where they are not binary.
    column_of_unit_ : ndarray of shape (n_units,)
        The column of X that each visible unit is of.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has column names.

    See Also
    --------
    RARBM : the same with couplings made of patterns.
    sklearn.neural_network.BernoulliRBM : scikit-learn's, without likelihood or samples.

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

    _fitted_shapes: ClassVar[dict] = {"components_": ("H", "V"), **BaseRBM._fitted_shapes}

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
        visible: Any = "binary",
        hidden: str = "binary",
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

    def _projection(self) -> Projection:
        return Projection(None)

    def _initial_couplings(self, n_visible: int, seed: int, backend: Any) -> DenseCouplings:
        shape = (n_visible, int(self.n_components))
        weights = np.random.default_rng(seed).normal(0.0, self.init_scale, shape)
        return DenseCouplings(backend.asarray(weights, self._dtype))

    def _fitted_couplings(self, backend: Any) -> DenseCouplings:
        return DenseCouplings(backend.asarray(self.components_.T, self._dtype))

    def _coupling_attributes(self, couplings: DenseCouplings, to_numpy: Callable) -> dict[str, Any]:
        return {"components_": to_numpy(couplings.weights).T}
