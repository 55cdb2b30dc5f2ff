"""The estimator RABM: fully connected spins, coupled by real units.

With J = ΞᵀΞ/√K over all N spins (Pozas-Kerstjens et al. 2021, eq. 5), the Gaussian integral

    exp(½ σᵀJσ) = ∫ dz exp(-½ |z|² + K^-¼ zᵀΞσ) / (2π)^(K/2)

makes it a restricted machine: N spins on its visible side, K real units on the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import Gaussians, Units
from sklearn_rapid.checks.arrays import check_array
from sklearn_rapid.checks.compat import Count, StrOptions
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.likelihood import LowerBoundMixin
from sklearn_rapid.estimators.parameters import with_shared_parameters
from sklearn_rapid.estimators.rbm import CONSTRAINTS, COUNT, POSITIVE
from sklearn_rapid.machine.clamped import filled_with_means
from sklearn_rapid.machine.couplings import DenseCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.encoder import CHUNK
from sklearn_rapid.training.positive_phase import PositivePhase
from sklearn_rapid.training.steps.projections import Projection

# Parameters of `RBM` that there is no use for.
OF_LAYERS = {"n_components", "visible", "hidden_features"}
# At first: the largest eigenvalue of J without its diagonal, and the largest singular value of W.
LARGEST_COUPLING_AT_FIRST, LARGEST_VALUE_AT_FIRST = 0.25, 1.0


@with_shared_parameters
class RABM(LowerBoundMixin, BaseRBM):
    """Fully connected Boltzmann machine with regularized axons: every pair of spins is coupled.

    With n spins σ, those of the columns of X and `n_hidden` that no row shows,

        E(σ) = -Σ_{i<j} J_ij σ_i σ_j - b·σ,    P(σ) = exp(-E(σ)) / Z,    J = ΞᵀΞ / √K,

    where the K patterns Ξ are trained (Pozas-Kerstjens et al. 2021, eq. 5). Without hidden spins
    it is the maximum-entropy model of pairs, of rank K (Cocco, Monasson, Weigt 2013; Shimagaki,
    Weigt 2019), and all it needs of the data is known; with them it is the Boltzmann machine of
    Ackley, Hinton and Sejnowski (1985).

    Parameters
    ----------
    n_hidden : int, default=0
        Number of hidden spins.
    n_patterns : int, default=64
        Number of patterns K. With as many as there are spins, J can be any matrix: its diagonal
        is free, as it changes no probability.
    negative_phase : {"auto", "pt", "pid", "pcd", "cd", "exact"} or NegativePhase, default="auto"
        Where the states come from that the model is compared with; see
        `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model, as
        for `RBM`; "pid" starts chains from the signs of the patterns; "exact" takes all states of
        at most 20 spins.
    positive_phase : {"clamped", "mean_field"} or PositivePhase, default="clamped"
        Where the states of hidden spins come from in rows: "clamped" chains, with the row held
        fast, or "mean_field". Without hidden spins, rows are taken as they are.
    {optimizer}
    learning_rate : "auto", float or schedule, default="auto"
        How far each update moves the energies of the model's states: the standard deviation
        of their change in nats, per square root of a spin (less by √(n/100) where a
        batch and the chains have n < 100 rows). A float is a constant rate; "auto" is
        ``LinearDecay(0.1)``, which falls from 0.1 to zero over `max_iter`.
    {batch_size}
    {max_iter}
    {n_updates}
    {shuffle}
    units : {"binary", "spin"}, default="binary"
        X, samples and means of spins are in {0, 1}, or in {-1, +1}; means are in between. J and b
        are those of spins in {-1, +1} in any case.
    binarize : "auto", float, "sample" or None, default="auto"
        What values mean, as for `RBM`. Couplings of means, which None takes values as, count a
        column's own J_ii too.
    fit_intercept : bool, default=True
        Whether there are fields b.
    center : bool, default=True
        Whether gradients are centred (Melchior, Fischer, Wiskott 2016). Without fields it has
        no effect.
    l1_penalty, l2_penalty : float >= 0, default=0.0
        What is taken from the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|w| and
        ``l2_penalty`` · Σw²/2 over the elements of `components_`.
        For `partial_fit`, all rows are those seen so far, counted each time they come.
    init_scale : "auto" or float, default="auto"
        The initial patterns are random and orthogonal, and this is the singular value of
        `components_`. "auto" is one at which J couples spins weakly, and 1 from as many patterns
        as there are spins: J is then a multiple of the identity, and couples none.
    projection : {"clip", "sign"} or None, default=None
        What is done to the patterns after updates: nothing, "clip" to `pattern_bound`, or "sign"
        for patterns of spins.
    {projection_period}
    {pattern_bound}
    early_stopping : bool, default=False
        Whether to set rows aside, stop when their log-likelihood no longer rises, and keep the
        best epoch. Negative phases without a ladder go by their pseudo-likelihood, or by a lower
        bound of the likelihood where there are hidden spins.
    {validation_fraction}
    {n_iter_no_change}
    {tol}
    {warm_start}
    {dtype}
    backend : {"auto", "numpy", "numba", "cupy", "cupy-tf32", "cupy-bf16"}, default="auto"
        As for `RBM`.
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
        K^-¼ Ξ, the couplings between real units z and spins; what is trained.
    intercept_visible_ : ndarray of shape (n,)
        The fields of spins where z is held at zero.
    intercept_hidden_ : ndarray of shape (n_patterns,)
        The fields c of z. They add ``components_.T @ c`` to b.
    log_partition_ : float
        log Z in nats, estimated when first asked for; see `log_partition` and Notes.
    history_ : dict of lists
        A value an epoch each, as of `RBM`; with hidden spins, "lower_bound" and its error take the
        place of "log_likelihood".
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
    them. `log_partition` and `free_energy` are that machine's, with a constant that is not in E:
    log Z is larger, and F smaller, by ½ Σ_i J_ii + ½ c·c + ½ K log 2π. Probabilities know nothing
    of it.

    J has no negative eigenvalue, and for spins that is no restriction: J plus any diagonal is the
    same model. But the larger J_ii has to be for that, the longer chains remember σ_i.

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
        **{name: CONSTRAINTS[name] for name in CONSTRAINTS.keys() - OF_LAYERS},
        "n_hidden": [Count(0)],
        "n_patterns": [COUNT],
        "positive_phase": [StrOptions({"clamped", "mean_field"}), PositivePhase],
        "init_scale": [StrOptions({"auto"}), POSITIVE],
        "projection": [StrOptions({"sign", "clip"}), None],
        "projection_period": [StrOptions({"update", "epoch"}), COUNT],
        "pattern_bound": [POSITIVE],
    }

    # V are all spins, hidden ones among them.
    _fitted_shapes: ClassVar[dict] = {
        "components_": ("K", "V"),
        "intercept_visible_": ("V",),
        "intercept_hidden_": ("K",),
    }

    # Noise in steps along patterns takes patterns away: less of it than machines of two layers have
    # is better for likelihoods (docs/design_notes/full.md).
    _first_rate: ClassVar[float] = 0.1

    # Spins all of them: what `RBM` has as a parameter.
    visible: ClassVar[str] = "binary"

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

    # --- what is fitted -----------------------------------------------------------------

    @property
    def couplings_(self) -> np.ndarray:
        """J of shape (n, n), zero on its diagonal."""
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
        """Features of each row: overlaps with the patterns, or means of hidden spins.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_patterns) or (n_samples, n_hidden)
            Without hidden spins E[z | x] = K^-¼ Ξσ + c, of the real units that couple spins. With
            them, their means by mean field, in the range of `units`. Where X has NaN, σ has means
            by mean field, given what is known of the row.
        """
        check_is_fitted(self)

        def features(machine: Any, encoder: Any, v: Any, out: Any) -> Any:
            v = filled_with_means(machine, v) if encoder.missing else v
            if self.n_hidden == 0:
                return machine.hidden_mean(v, out=out)
            return self._features(encoder.backend).decode(v[:, self.n_features_in_ :])

        return self._by_chunks(X, features, (self._n_features_out,), self._dtype, bits_will_do=True)

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Means of the columns given features.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_patterns) or (n_samples, n_hidden)
            As `transform` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Without hidden spins E[σ | z]. With them, means by mean field, the features being taken
            for the hidden spins' means.
        """
        check_is_fitted(self)
        H = check_array(H, "H", (None, self._n_features_out))
        model = self._model(H)
        backend, encoder, features = model.backend, model.encoder(), self._features(model.backend)
        with backend.running():
            machine = model.machine.for_rows(CHUNK)
            if self.n_hidden == 0:
                z = backend.asarray(H, self._dtype)
                means = encoder.decode_means(encoder.unit_means(machine, z))
                return self._returned(means, backend, like=H)
            features.check(H)
            latent, xp = features.means(H), backend.xp
            unknown = xp.full((H.shape[0], self.n_features_in_), float("nan"), dtype=latent.dtype)
            means = filled_with_means(machine, xp.concat([unknown, latent], axis=1))
            return self._returned(encoder.decode(means), backend, like=H)

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Log pseudo-likelihood Σ_i log P(σ_i | σ_{-i}) of each row, in nats.

        log P(σ_i | σ_{-i}) = -log(1 + exp(-2 σ_i (b_i + Σ_j J_ij σ_j))) is exact, and costs no more
        than a step of a chain. With hidden spins there is none: a ValueError.

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

    def _projection(self) -> Projection:
        period = self.projection_period
        period = period if isinstance(period, str) else int(period)
        unit = int(self.n_patterns) ** -0.25
        return Projection(self.projection, period, self.pattern_bound * unit, unit)

    def _initial_couplings(self, n_visible: int, seed: int, backend: Any) -> DenseCouplings:
        k, scale = int(self.n_patterns), self.init_scale
        if scale == "auto":
            scale = singular_value_at_first(n_visible, k)
        noise = np.random.default_rng(seed).normal(size=(n_visible, k))
        u, _, v = np.linalg.svd(noise, full_matrices=False)
        return DenseCouplings(backend.asarray(scale * (u @ v), self._dtype))

    def _fitted_couplings(self, backend: Any) -> DenseCouplings:
        return DenseCouplings(backend.asarray(self.components_.T, self._dtype))

    def _coupling_attributes(self, couplings: DenseCouplings, to_numpy: Callable) -> dict[str, Any]:
        return {"components_": to_numpy(couplings.weights).T}


def singular_value_at_first(n_spins: int, n_patterns: int) -> float:
    """The singular value s of orthogonal patterns at which spins are coupled weakly.

    J is s² times a projection on K of N directions. Without its diagonal, s²K/N, its largest
    eigenvalue is s² (1 - K/N); at 1, spins in no field would order.

    Examples
    --------
    >>> singular_value_at_first(100, 1) < singular_value_at_first(100, 50)
    True
    """
    share_of_pairs = 1.0 - min(1.0, n_patterns / n_spins)
    return min(
        LARGEST_VALUE_AT_FIRST, (LARGEST_COUPLING_AT_FIRST / max(share_of_pairs, 1e-9)) ** 0.5
    )
