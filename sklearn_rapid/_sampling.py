"""What a fitted estimator draws: samples, Gibbs steps, reconstructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid._data import SpinEncoder, checked_array, chunks
from sklearn_rapid._parameters import check_count, check_option, new_seed
from sklearn_rapid.backends import RandomStream, is_cupy_array
from sklearn_rapid.machine import Machine


class SamplingMixin:
    """Sampling with a fitted estimator."""

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_gibbs_steps: int = 1000,
        init: Any = None,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw visible states from the model by Gibbs sampling.

        Parameters
        ----------
        n_samples : int, default=1
        n_gibbs_steps : int, default=1000
            Steps of each chain: the more, the closer to the model's distribution.
        init : array-like, "random", "patterns" or None, default=None
            Where chains start: at visible states, read as X is (repeated in turn if there are
            fewer than `n_samples`), at fair coins, or at the signs of the patterns (RARBM).
            None is the chains of training where it kept some, else "random".
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples, 1)
        check_count("n_gibbs_steps", n_gibbs_steps, 0)
        machine = self._machine(self._backend_at_hand(init))
        encoder = self._encoder(machine.backend)
        stream = RandomStream(new_seed(check_random_state(random_state)))
        with machine.backend.running():
            start = self._starting_states(init, n_samples, machine, encoder, stream)
            states = machine.for_rows(2 * n_gibbs_steps * n_samples).gibbs(
                start, n_gibbs_steps, stream
            )
            return self._returned(encoder.decode(states), machine.backend, like=init)

    def gibbs(self, X: ArrayLike, n_steps: int = 1, random_state: Any = None) -> np.ndarray:
        """Visible states after Gibbs steps from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_steps : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        check_count("n_steps", n_steps, 0)
        stream = RandomStream(new_seed(check_random_state(random_state)))
        return self._by_chunks(
            X,
            lambda machine, encoder, v, out: encoder.decode(machine.gibbs(v, n_steps, stream)),
            (self.n_features_in_,),
            self._dtype,
        )

    def reconstruct(
        self,
        X: ArrayLike,
        mask: ArrayLike | None = None,
        *,
        n_gibbs_steps: int = 100,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw the missing entries of each row given the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where an entry is missing.
        mask : array-like of bool, shape (n_samples, n_features) or (n_features,), optional
            True where an entry is known. Entries that are NaN are missing in any case.
        n_gibbs_steps : int, default=100
            Steps with the known entries clamped; missing ones start undecided (mean spin 0).
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The missing entries drawn in `units`; the known ones as spins, or as the means that
            they are where `binarize` is "sample" or None.
        """
        check_is_fitted(self)
        check_count("n_gibbs_steps", n_gibbs_steps, 1)
        X = self._validate(X, reset=False, missing=True)
        machine, encoder = self._ready(X)
        where = machine.backend.xp if is_cupy_array(X) else np
        missing = X != X  # NaN differs from itself
        if mask is not None:
            missing = missing | ~where.asarray(known_entries(mask, X.shape))
        stream = RandomStream(new_seed(check_random_state(random_state)))
        out = where.empty(X.shape, dtype=self._dtype)
        with machine.backend.running():
            for rows in chunks(X.shape[0]):
                free = missing[rows]
                v = encoder.spins(where.where(free, where.zeros_like(X[rows]), X[rows]))
                free = machine.backend.asarray(free)
                v = machine.backend.xp.where(free, machine.backend.xp.zeros_like(v), v)
                drawn = encoder.decode(machine.gibbs(v, n_gibbs_steps, stream, free=free))
                out[rows] = self._returned(drawn, machine.backend, like=X)
        return out

    def _starting_states(
        self, init: Any, n: int, machine: Machine, encoder: SpinEncoder, stream: RandomStream
    ) -> Any:
        backend, xp = machine.backend, machine.backend.xp
        chains = self._training_state["chains"]
        if init is None and chains is not None:
            states = backend.asarray(chains, self._dtype)
        elif init is None or isinstance(init, str):
            init = "random" if init is None else init
            check_option("init", init, ("random", "patterns"))
            if init == "random":
                fields = xp.zeros((n, machine.n_visible), dtype=machine.visible_bias.dtype)
                spins = backend.sample_spins(fields, stream, stream.reserve())
                return xp.astype(spins, machine.visible_bias.dtype)
            if not machine.couplings.uses_patterns:
                raise ValueError(
                    f"init='patterns' needs a model made of patterns (RARBM), got "
                    f"{type(self).__name__}: use init='random' or visible states."
                )
            states = backend.sign(machine.couplings.visible_patterns)
        else:
            init = checked_array(init, "init", (None, machine.n_visible))
            encoder.check(init, name="init")
            states = encoder.spins(init)
        return xp.take(states, xp.arange(n) % states.shape[0], axis=0)


def known_entries(mask: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """A mask of known entries, True where X is known, for each row of X."""
    mask = mask.get() if is_cupy_array(mask) else np.asarray(mask)
    if mask.dtype != bool:
        raise ValueError(f"mask must hold booleans, True where X is known; got {mask.dtype}")
    if mask.shape not in (shape, shape[1:]):
        raise ValueError(f"mask must have shape {shape} or {shape[1:]}, got {mask.shape}")
    return np.broadcast_to(mask, shape)
