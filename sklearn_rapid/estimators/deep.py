"""The base class of DBM and RADBM: machines with several layers of hidden units."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.compat import Counts, StrOptions
from sklearn_rapid.estimators.methods.likelihood import LowerBoundMixin
from sklearn_rapid.estimators.rbm import CATEGORY_PARAMETERS, CONSTRAINTS
from sklearn_rapid.machine.clamped import fill_with_mean_field
from sklearn_rapid.machine.layers import Layers
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.tables.columns import Columns
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.training.positive_phase import ClampedChains, PositivePhase

DEEP_CONSTRAINTS: dict[str, list] = {
    **{
        name: known
        for name, known in CONSTRAINTS.items()
        if name not in ("n_components", "visible", *CATEGORY_PARAMETERS)
    },
    "hidden_layer_sizes": [Counts()],
    "positive_phase": [StrOptions({"mean_field", "clamped"}), PositivePhase],
    "output_layers": [StrOptions({"first", "last", "all"})],
}
# Gibbs steps of the chains that sampled features come from.
STEPS_OF_FEATURES = 20


class DeepMixin(LowerBoundMixin):
    """Layers of units, of which only neighbours are coupled; goes before `BaseRBM`."""

    # Columns of X are spins.
    visible: ClassVar[str] = "auto"
    _takes_binary_only: ClassVar[bool] = True

    # --- layers -------------------------------------------------------------------------

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Couplings between neighbouring layers, from below, each of shape (n_l, n_l+1)."""
        check_is_fitted(self)
        return self._layers.blocks(self.components_.T)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of each layer, from the visible one up."""
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
        return {"H": self._layers.n_odd}

    @property
    def _n_hidden_side(self) -> int:
        return self._layers.n_odd

    @property
    def _mask(self) -> np.ndarray | None:
        return self._layers.mask() if self._layers.are_masked else None

    def _learn_table(self, X: Any, columns: Columns) -> None:
        self.layer_sizes_ = (self.n_features_in_, *map(int, self.hidden_layer_sizes))
        super()._learn_table(X, columns)

    def _sizes_of(self, machine: Machine) -> dict[str, Any]:
        sizes = super()._sizes_of(machine)
        del sizes["n_components"]
        fitted = self.layer_sizes_[1:]
        if tuple(self.hidden_layer_sizes) != fitted:
            sizes["hidden_layer_sizes"] = fitted
        return sizes

    # --- features -----------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute hidden features of each row, of the layers that `output_layers` names.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The mean of each hidden unit given the row, by mean field; or, with
            ``hidden_features="sample"``, states from chains with the row clamped (the same at
            every call). In the range of `units`. The lowest layer comes first.
        """
        check_is_fitted(self)
        if self._n_latent == 0:
            return super().transform(X)
        stream = self._own_stream()

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            if self.hidden_features == "sample":
                v = ClampedChains(STEPS_OF_FEATURES).states(machine, v, stream)
                h = machine.sample_hidden(v, stream)
            else:
                v = fill_with_mean_field(machine, v)
                h = machine.hidden_mean(v)
            by_layer = self._layers.by_layer(v, h)
            hidden = machine.backend.xp.concat(by_layer[self._output_slice], axis=1)
            return self._features(encoder.backend).decode(hidden)

        return self._map_rows(X, compute, (self._n_features_out,))

    def inverse_transform(self, H: ArrayLike) -> np.ndarray:
        """Compute visible means given features of the first hidden layer.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_features_out)
            Hidden features in the range of `units`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            E[v | h] for features h of the first hidden layer, which are means of its spins; in the
            units of X.

        Raises
        ------
        ValueError
            With ``output_layers="last"`` and several hidden layers: features of the first one are
            needed.
        """
        check_is_fitted(self)
        if self.output_layers == "last" and self._n_latent:
            raise ValueError(
                "inverse_transform needs the features of the first hidden layer, got those of "
                "output_layers='last': set it to 'all' or 'first'."
            )
        return super().inverse_transform(H)

    def _means_given_features(self, machine: Machine, encoder: Encoder, h: Any) -> Any:
        # Visible units are coupled to the first hidden layer alone.
        n_first, xp = self.layer_sizes_[1], machine.backend.xp
        rest = xp.zeros((h.shape[0], self._layers.n_odd - n_first), dtype=h.dtype)
        h = xp.concat([h[:, :n_first], rest], axis=1)
        return super()._means_given_features(machine, encoder, h)

    def pseudo_likelihood(self, X: ArrayLike) -> np.ndarray:
        """Compute the log pseudo-likelihood of each row, in nats; for one hidden layer only.

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
    def _output_slice(self) -> slice:
        """The layers whose features `transform` returns."""
        return {"first": slice(1, 2), "last": slice(-1, None), "all": slice(1, None)}[
            self.output_layers
        ]

    @property
    def _n_features_out(self) -> int:
        return sum(self.layer_sizes_[self._output_slice])
