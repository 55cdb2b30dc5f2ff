"""What DBM and RADBM share: layers, and what is known of the hidden ones given a row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.compat import Counts, StrOptions
from sklearn_rapid.estimators.likelihood import LowerBoundMixin
from sklearn_rapid.estimators.rbm import CONSTRAINTS
from sklearn_rapid.machine.clamped import filled_with_means
from sklearn_rapid.machine.couplings import (
    Couplings,
    DenseCouplings,
    MaskedCouplings,
    PatternCouplings,
)
from sklearn_rapid.machine.layers import Layers
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.positive_phase import ClampedChains, PositivePhase

DEEP_CONSTRAINTS: dict[str, list] = {
    **{
        name: known
        for name, known in CONSTRAINTS.items()
        if name not in ("n_components", "visible")
    },
    "hidden_layer_sizes": [Counts()],
    "positive_phase": [StrOptions({"mean_field", "clamped"}), PositivePhase],
    "output_layers": [StrOptions({"first", "last", "all"})],
}
# Steps of the chains that sampled features are from.
STEPS_OF_FEATURES = 20


class DeepMixin(LowerBoundMixin):
    """A machine of layers, of which only neighbours are coupled; to stand before `BaseRBM`."""

    # Columns of X are spins.
    visible: ClassVar[str] = "binary"

    # --- layers -------------------------------------------------------------------------

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Couplings between neighbouring layers, from below, each of shape (n_l, n_l+1)."""
        check_is_fitted(self)
        return self._layers.blocks(self.components_.T)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of each layer, those of the visible one first."""
        check_is_fitted(self)
        return self._layers.by_layer(self.intercept_visible_, self.intercept_hidden_)

    @property
    def _layers(self) -> Layers:
        if self.layer_sizes_[0] != self.n_features_in_:
            raise ValueError(
                f"layer_sizes_ starts with the number of columns, {self.n_features_in_}; got "
                f"{self.layer_sizes_}. Fit again."
            )
        return Layers(self.layer_sizes_)

    @property
    def _n_latent(self) -> int:
        return self._layers.n_even - self.n_features_in_

    @property
    def _known_sizes(self) -> dict[str, int]:
        return {**super()._known_sizes, "H": self._layers.n_odd}

    def _checked(self, X: Any, reset: bool) -> Any:
        if reset:
            self.layer_sizes_ = (self.n_features_in_, *map(int, self.hidden_layer_sizes))
        return super()._checked(X, reset)

    def _sizes_of(self, machine: Machine) -> dict[str, Any]:
        sizes = super()._sizes_of(machine)
        del sizes["n_components"]
        fitted = self.layer_sizes_[1:]
        if tuple(self.hidden_layer_sizes) != fitted:
            sizes["hidden_layer_sizes"] = fitted
        return sizes

    def _masked(self, couplings: DenseCouplings | PatternCouplings, backend: Any) -> Couplings:
        """The couplings, without those of layers that are no neighbours if there are any."""
        if not self._layers.are_masked:
            return couplings
        return MaskedCouplings(couplings, backend.asarray(self._layers.mask(), self._dtype))

    # --- features -----------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Hidden features of each row, of the layers that `output_layers` says.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The mean of each hidden unit given the row, by mean field; or, with
            ``hidden_features="sample"``, states from chains with the row held fast (the same ones
            at every call). In the range of `units`. The lowest layer comes first.
        """
        check_is_fitted(self)
        if self._n_latent == 0:
            return super().transform(X)
        stream = self._own_stream()

        def features(machine: Any, encoder: Any, v: Any, out: Any) -> Any:
            if self.hidden_features == "sample":
                v = ClampedChains(STEPS_OF_FEATURES).states(machine, v, stream)
                h = machine.sample_hidden(v, stream)
            else:
                v = filled_with_means(machine, v)
                h = machine.hidden_mean(v)
            by_layer = self._layers.by_layer(v, h)
            xp = encoder.backend.xp
            return self._features(encoder.backend).decode(xp.concat(by_layer[self._shown], axis=1))

        return self._by_chunks(X, features, (self._n_features_out,), self._dtype)

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Visible means given features of the first hidden layer.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_features_out)
            Hidden features in the range of `units`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            E[v | h], the features of the first hidden layer being taken for the spins' means; in
            the units of X.

        Raises
        ------
        ValueError
            With ``output_layers="last"`` and several hidden layers: features have to hold the
            first one.
        """
        check_is_fitted(self)
        if self.output_layers == "last" and self._n_latent:
            raise ValueError(
                "inverse_transform needs the features of the first hidden layer, got those of "
                "output_layers='last': set it to 'all' or 'first'."
            )
        return super().inverse_transform(H)

    def _hidden_side(self, H: Any, backend: Any) -> Any:
        """Means of the odd layers: those above the first one say nothing of visible units."""
        n_first, n_odd = self.layer_sizes_[1], self._layers.n_odd
        rest = backend.xp.zeros((H.shape[0], n_odd - n_first), dtype=H.dtype)
        return backend.xp.concat([H[:, :n_first], rest], axis=1)

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Log pseudo-likelihood of each row, in nats, of a machine with one hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            With several hidden layers: each of its terms is a sum over all of them.
        """
        check_is_fitted(self)
        if self._n_latent:
            raise ValueError(
                "with several hidden layers the pseudo-likelihood has no closed form: use "
                "lower_bound or score_samples"
            )
        return super().pseudo_likelihood(X)

    @property
    def _shown(self) -> slice:
        """The layers that are features."""
        return {"first": slice(1, 2), "last": slice(-1, None), "all": slice(1, None)}[
            self.output_layers
        ]

    @property
    def _n_features_out(self) -> int:
        return sum(self.layer_sizes_[self._shown])
