"""The estimator RABM: fully connected spins, as a restricted machine with real hidden units."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import Gaussians, Units
from sklearn_rapid.checks.compat import Count, StrOptions
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.methods.likelihood import LowerBoundMixin
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rarbm import PATTERN_CONSTRAINTS, make_projection
from sklearn_rapid.estimators.rbm import CATEGORY_PARAMETERS, CONSTRAINTS, DenseMixin
from sklearn_rapid.machine.clamped import fill_with_mean_field
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.tables.features import RealFeatures, SpinFeatures
from sklearn_rapid.training.positive_phase import PositivePhase
from sklearn_rapid.training.steps.projections import Projection

# Parameters of `RBM` that this class lacks.
LACKING = {"n_components", "visible", "hidden_features", *CATEGORY_PARAMETERS}
# Before training: the largest eigenvalue of J without its diagonal, and singular value of W.
LARGEST_INITIAL_COUPLING, LARGEST_INITIAL_VALUE = 0.25, 1.0


@with_shared_parameters
class RABM(LowerBoundMixin, DenseMixin, BaseRBM):
    """Fully connected Boltzmann machine with regularized axons: every pair of spins is coupled.

    With n spins σ, those of the columns of X and `n_hidden` latent ones,

        E(σ) = -Σ_{i<j} J_ij σ_i σ_j - b·σ,    P(σ) = exp(-E(σ)) / Z,    J = ΞᵀΞ / √K,

    where the K patterns Ξ are trained (Pozas-Kerstjens et al. 2021, eq. 5). Without hidden spins
    it is the maximum-entropy model of pairs, of rank K (Cocco, Monasson, Weigt 2013; Shimagaki,
    Weigt 2019), and no spin is latent; with them it is the Boltzmann machine of Ackley, Hinton
    and Sejnowski (1985).

    Parameters
    ----------
    n_hidden : int, default=0
        Number of hidden spins.
    n_patterns : int, default=64
        Number of patterns K. With K = n, J can be any matrix: its diagonal is free, as it changes
        no probability.
    negative_phase : {"auto", "pt", "pid", "pcd", "cd", "exact"} or NegativePhase, default="auto"
        How states of the model are drawn, with which the data are compared; see
        `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model, as
        for `RBM`; "pid" starts chains from the signs of the patterns; "exact" enumerates the
        states of at most 20 spins.
    positive_phase : {"clamped", "mean_field"} or PositivePhase, default="clamped"
        How hidden spins are completed given a row: by "clamped" chains, or by "mean_field". It
        has no effect without hidden spins.
    {optimizer}
    learning_rate : "auto", float or schedule, default="auto"
        How far each update changes the energies of the model's states: the standard deviation
        of their change in nats, per square root of a spin (less by √(n/100) if the
        batch and the chains have n < 100 rows). A float is a constant rate; "auto" is
        ``LinearDecay(0.1)``, which falls from 0.1 to zero over `max_iter`.
    {batch_size}
    {max_iter}
    {n_updates}
    {shuffle}
    units : {"binary", "spin"}, default="binary"
        Whether X, samples and means of spins are in {0, 1} or in {-1, +1}; means are in between. J
        and b are always those of spins in {-1, +1}.
    binarize : "auto", float, "sample" or None, default="auto"
        What values mean, as for `RBM`. With None, means also couple to their own column by J_ii.
    fit_intercept : bool, default=True
        Whether there are fields b.
    center : bool, default=True
        Whether gradients are centred (Melchior, Fischer, Wiskott 2016). Without fields it has
        no effect.
    l1_penalty, l2_penalty : float >= 0, default=0.0
        Penalties on the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|w| and
        ``l2_penalty`` · Σw²/2 over the elements of `components_`.
        For `partial_fit`, all rows are those seen so far, counted each time they are seen.
    init_scale : "auto" or float, default="auto"
        Singular value of the initial `components_`, whose patterns are random and orthogonal.
        "auto" is a value at which J couples spins weakly, and 1 for K >= n: J is then a multiple
        of the identity, and couples none.
    projection : {"clip", "sign"} or None, default=None
        How patterns are projected after updates: not at all, "clip" to `pattern_bound`, or "sign"
        for patterns of spins.
    {projection_period}
    {pattern_bound}
    early_stopping : bool, default=False
        Whether to set rows aside, stop when their log-likelihood no longer rises, and keep the
        best epoch. Negative phases without a ladder use their pseudo-likelihood instead, or with
        hidden spins a lower bound of the likelihood.
    {validation_fraction}
    {n_iter_no_change}
    {tol}
    {warm_start}
    {dtype}
    {backend}
    {n_threads}
    {random_state}
    {verbose}

    Attributes
    ----------
    couplings_ : ndarray of shape (n, n)
        J with zeros on its diagonal, columns of X first; formed at each access.
    intercept_ : ndarray of shape (n,)
        b, formed at each access.
    patterns_ : ndarray of shape (n_patterns, n)
        Ξ, formed at each access.
    components_ : ndarray of shape (n_patterns, n)
        K^-¼ Ξ, the couplings between real units z and spins, which are trained.
    intercept_visible_ : ndarray of shape (n,)
        The fields of spins at z = 0.
    intercept_hidden_ : ndarray of shape (n_patterns,)
        The fields c of z. They add ``components_.T @ c`` to b.
    log_partition_ : float
        log Z in nats, estimated at the first access; see `log_partition` and Notes.
    history_ : dict of lists
        As of `RBM`; with hidden spins, "lower_bound" and "lower_bound_error" take the place of
        "log_likelihood" and its error.
    {n_iter_}
    {binarize_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    RARBM : regularized axons between two layers.

    Notes
    -----
    By the Gaussian integral exp(½ σᵀJσ) = ∫ dz exp(-½ z·z + K^-¼ zᵀΞσ) / (2π)^(K/2) the model is a
    restricted machine of n spins and K real units: all spins are drawn at once given z, and z given
    all spins. `log_partition` and `free_energy` are those of that machine, with a constant that is
    not in E: log Z is larger, and F smaller, by ½ Σ_i J_ii + ½ c·c + ½ K log 2π. Probabilities do
    not depend on it.

    J has no negative eigenvalue. For spins that is no restriction, as J plus any diagonal is the
    same model, but chains remember σ_i the longer, the larger J_ii is.

    References
    ----------
    Ackley, Hinton, Sejnowski (1985), "A learning algorithm for Boltzmann machines".

    Cocco, Monasson, Weigt (2013), "From principal component to direct coupling analysis of
    coevolution in proteins: low-eigenvalue modes are needed for structure prediction".

    {paper}

    Shimagaki, Weigt (2019), "Selection of sequence motifs and generative Hopfield-Potts models for
    protein families".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid import RABM
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(2, size=(1000, 5))
    >>> X[:, 1] = np.where(rng.random(1000) < 0.8, X[:, 0], 1 - X[:, 0])
    >>> model = RABM(n_patterns=5, random_state=0).fit(X)
    >>> print(f"{model.couplings_[0, 1]:.1f}; alike with probability 0.8: {np.log(4) / 2:.1f}")
    0.7; alike with probability 0.8: 0.7
    """

    _parameter_constraints: ClassVar[dict] = {
        **{name: CONSTRAINTS[name] for name in CONSTRAINTS.keys() - LACKING},
        "n_hidden": [Count(0)],
        **PATTERN_CONSTRAINTS,
        "positive_phase": [StrOptions({"clamped", "mean_field"}), PositivePhase],
        "projection": [StrOptions({"sign", "clip"}), None],
    }

    # V counts all spins, also hidden ones.
    _fitted_shapes: ClassVar[dict] = {
        "components_": ("K", "V"),
        "intercept_visible_": ("V",),
        "intercept_hidden_": ("K",),
    }

    # Noise in steps along patterns removes patterns: likelihoods are better with less of it than in
    # machines of two layers (docs/design_notes/full.md).
    _first_rate: ClassVar[float] = 0.1

    # A parameter of `RBM`.
    visible: ClassVar[str] = "auto"
    _takes_binary_only: ClassVar[bool] = True

    def __init__(
        self,
        n_hidden: int = 0,
        n_patterns: int = 64,
        *,
        negative_phase: Any = "auto",
        positive_phase: Any = "clamped",
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
        projection: str | None = None,
        projection_period: Any = "update",
        pattern_bound: float = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-3,
        warm_start: bool = False,
        dtype: Any = "float32",
        backend: str = "auto",
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_hidden = n_hidden
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
        self.warm_start = warm_start
        self.dtype = dtype
        self.backend = backend
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    # --- fitted parameters --------------------------------------------------------------

    @property
    def couplings_(self) -> np.ndarray:
        """J of shape (n, n), with zeros on its diagonal."""
        check_is_fitted(self)
        J = self.components_.T @ self.components_
        np.fill_diagonal(J, 0.0)
        return J

    @property
    def intercept_(self) -> np.ndarray:
        """The fields b of the spins, shape (n,)."""
        check_is_fitted(self)
        return self.intercept_visible_ + self.components_.T @ self.intercept_hidden_

    @property
    def patterns_(self) -> np.ndarray:
        """Ξ of shape (n_patterns, n)."""
        check_is_fitted(self)
        return self.components_ * self.components_.dtype.type(len(self.components_) ** 0.25)

    # --- methods ------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute features of each row: overlaps with the patterns, or means of hidden spins.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_patterns) or (n_samples, n_hidden)
            Without hidden spins E[z | x] = K^-¼ Ξσ + c, of the real units that couple spins. With
            them, their means by mean field, in the range of `units`. Missing entries of X are
            completed by mean field.
        """
        check_is_fitted(self)

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            v = fill_with_mean_field(machine, v) if encoder.missing else v
            if self.n_hidden == 0:
                return machine.hidden_mean(v, out=out)
            return self._features(encoder.backend).decode(v[:, self.n_features_in_ :])

        return self._map_rows(X, compute, (self._n_features_out,), takes_sparse=True)

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Compute means of the columns given features.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_patterns) or (n_samples, n_hidden)
            As `transform` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Without hidden spins E[σ | z]. With them, means by mean field for features that are
            means of the hidden spins.
        """
        return super().inverse_transform(H)

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Compute the log pseudo-likelihood Σ_i log P(σ_i | σ_{-i}) of each row, in nats.

        log P(σ_i | σ_{-i}) = -log(1 + exp(-2 σ_i (b_i + Σ_j J_ij σ_j))) is exact, and costs no more
        than a step of a chain. ValueError with hidden spins.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        if self.n_hidden > 0:
            raise ValueError(
                f"the pseudo-likelihood needs all spins, and {self.n_hidden} are hidden "
                "(n_hidden): use lower_bound or score_samples."
            )
        return super().pseudo_likelihood(X)

    # --- inside -------------------------------------------------------------------------

    @property
    def _n_latent(self) -> int:
        return int(self.n_hidden)

    @property
    def _n_features_out(self) -> int:
        return self._n_latent or len(self.components_)

    @property
    def _hidden_units(self) -> Units:
        return Gaussians()

    def _sizes_of(self, machine: Machine) -> dict[str, int]:
        n_hidden = machine.n_visible - self.n_features_in_
        return {"n_patterns": machine.n_hidden, "n_hidden": n_hidden}

    def _features(self, backend: Any) -> SpinFeatures | RealFeatures:
        return super()._features(backend) if self.n_hidden else RealFeatures(backend, self._dtype)

    def _means_given_features(self, machine: Machine, encoder: Encoder, h: Any) -> Any:
        if self.n_hidden == 0:
            return super()._means_given_features(machine, encoder, h)
        xp = machine.backend.xp
        missing = xp.full((h.shape[0], self.n_features_in_), float("nan"), dtype=h.dtype)
        return encoder.decode(fill_with_mean_field(machine, xp.concat([missing, h], axis=1)))

    def _projection(self) -> Projection:
        return make_projection(self, unit=int(self.n_patterns) ** -0.25)

    def _initial_parameters(self, n_visible: int, seed: int) -> tuple[np.ndarray]:
        k, scale = int(self.n_patterns), self.init_scale
        if scale == "auto":
            scale = initial_singular_value(n_visible, k)
        noise = np.random.default_rng(seed).normal(size=(n_visible, k))
        u, _, v = np.linalg.svd(noise, full_matrices=False)
        return (scale * (u @ v),)


def initial_singular_value(n_spins: int, n_patterns: int) -> float:
    """Compute the singular value s of orthogonal patterns that couples spins weakly.

    J is s² times a projection on K of N directions. Without its diagonal, s²K/N, its largest
    eigenvalue is s² (1 - K/N); at 1, spins in no field would order.

    Examples
    --------
    >>> initial_singular_value(100, 1) < initial_singular_value(100, 50)
    True
    """
    share_of_pairs = 1.0 - min(1.0, n_patterns / n_spins)
    return min(LARGEST_INITIAL_VALUE, (LARGEST_INITIAL_COUPLING / max(share_of_pairs, 1e-9)) ** 0.5)
