"""Draw samples, make Gibbs steps and fill in missing entries with a fitted estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import check_count, seed_stream
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.estimators.methods.completion import CompletionMixin
from sklearn_rapid.estimators.model import Model
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.samples import SampleSource
from sklearn_rapid.machine.tempering import (
    count_travels,
    reset_counters,
)
from sklearn_rapid.tables.encoder import Encoder
from sklearn_rapid.training.positive_phase import ClampedChains

# The ladder that samples are drawn from runs until log Z has this error (nats); if known states
# have a share of the samples, until this smaller error, which is that of the share.
TOL_OF_LADDER, SWEEPS_OF_LADDER = 0.2, 1000
TOL_OF_SHARES, SWEEPS_OF_SHARES = 0.02, 8000
SMALLEST_INDEPENDENT_SHARE = 0.1


class SamplingMixin(CompletionMixin):
    """Sampling with a fitted estimator."""

    def sample(
        self,
        n_samples: int = 1,
        *,
        conditions: Any = None,
        n_gibbs_steps: int | None = None,
        init: Any = None,
        return_travels: bool = False,
        random_state: Any = None,
    ) -> Any:
        """Draw rows from the model.

        By default samples come from parallel tempering: states that travelled from β = 0, where
        units are independent, to the model's own β = 1. Rows of fit with a large probability,
        which chains may never find, are drawn with that probability. With `n_gibbs_steps` or
        `init`, samples come from plain chains of Gibbs steps.

        Parameters
        ----------
        n_samples : int, default=1
            Rows, or rows for each row of `conditions`.
        conditions : frame or array-like, default=None
            Rows to complete: their known entries are kept, and others are drawn given these. A
            frame may leave columns out, of a model that was fitted to one; NaN is drawn, too. Draws
            are exact for rows with at most 1024 completions (ten binary entries, say); others come
            from 100 sweeps of a ladder of temperatures, or `n_gibbs_steps` of a plain chain.
        n_gibbs_steps : int, default=None
            Steps of each plain chain (1000 if only `init` is given).
        init : array-like, "random", "patterns" or None, default=None
            Where plain chains start: at visible states, encoded like X (NaN is completed, and
            rows repeat in turn if there are fewer than `n_samples`), at units in no field (fair
            coins), or at the signs of the patterns (RARBM). None means the chains of training if
            there are some, else "random".
        return_travels : bool, default=False
            Whether to return how states travelled along the ladder, too.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            A frame like X, if that was one and `set_output` does not ask for something else.
        Travels
            With `return_travels`: how states travelled while samples were drawn. The effective
            number of samples is `n_round_trips` (states that came from β = 0 meanwhile) plus
            `n_columns`, and at most `n_samples`.

        Warns
        -----
        RuntimeWarning
            If fewer than a tenth of the samples of a ladder are independent.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples, 1)
        if n_gibbs_steps is not None:
            n_gibbs_steps = check_count("n_gibbs_steps", n_gibbs_steps, 0)
        is_tempered = n_gibbs_steps is None and init is None
        if return_travels and not is_tempered:
            raise ValueError(
                "return_travels=True is for samples of a ladder: leave n_gibbs_steps and init out"
            )
        if conditions is not None:
            if init is not None or return_travels:
                raise ValueError("with conditions, leave init and return_travels out")
            return self._draw_given(conditions, n_samples, n_gibbs_steps, seed_stream(random_state))
        if "frame_" in vars(self) and not (init is None or isinstance(init, str)):
            init = self._validate_array(init, missing=True)
        model = self._model(init)
        machine, backend = model.machine, model.backend
        stream = seed_stream(random_state)
        with backend.running():
            if is_tempered:
                source = self._sample_source(model)
                states, travelled, n_fresh = source.draw(machine, n_samples, stream)
            else:
                n_steps = 1000 if n_gibbs_steps is None else n_gibbs_steps
                start = model.starting_states(init, n_samples, stream)
                states = machine.for_rows(2 * n_steps * n_samples).gibbs(start, n_steps, stream)
            decoded = model.encoder().decode(states, stream)
            samples = self._as_array_like(init, decoded, backend, self._dtype_of_rows)
        samples = self._as_frame(samples)
        if not is_tempered:
            return samples
        if n_fresh < SMALLEST_INDEPENDENT_SHARE * n_samples:
            warn(
                f"of {n_samples} samples about {n_fresh} are independent: states "
                "find their way through this model too slowly. Draw fewer, or train with "
                "negative_phase='auto' or a lower learning_rate.",
                RuntimeWarning,
            )
        return (samples, travelled) if return_travels else samples

    def _sample_source(self, model: Model) -> SampleSource:
        """Make the source that samples are drawn from, independent of earlier calls.

        It is kept in memory for the next call, with its counters at zero.
        """
        backend = model.backend
        digest = (self._parameter_digest(), backend.name)
        kept = self.__dict__.get("_kept_ladder")
        if kept is None or kept[0] != digest:
            how = {"tol": TOL_OF_LADDER, "max_sweeps": SWEEPS_OF_LADDER}
            estimate, ladder, basin = model.temper(model.stream(), **how)
            if basin is not None:
                how = {"tol": TOL_OF_SHARES, "max_sweeps": SWEEPS_OF_SHARES}
                estimate, ladder, basin = model.temper(model.stream(), **how)
            travelled, fresh = count_travels(ladder, backend), reset_counters(ladder, backend)
            share = 0.0 if basin is None else float(np.exp(basin.log_total - estimate.value))
            kept = digest, SampleSource(fresh, travelled, basin, share, estimate.is_trusted)
            self._kept_ladder = kept
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the ladder, which can be rebuilt."""
        state = dict(super().__getstate__())
        state.pop("_kept_ladder", None)
        return state

    def gibbs(self, X: ArrayLike, n_steps: int = 1, random_state: Any = None) -> np.ndarray:
        """Make Gibbs steps from the rows of X.

        Rows with NaN are completed first, and go on from there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_steps : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Visible states.
        """
        check_is_fitted(self)
        n_steps = check_count("n_steps", n_steps, 0)
        stream = seed_stream(random_state)

        def compute(machine: Machine, encoder: Encoder, x: Any, v: Any, out: Any) -> Any:
            v = ClampedChains().states(machine, v, stream) if encoder.missing else v
            return encoder.decode(machine.gibbs(v, n_steps, stream), stream)

        width, dtype = (self.n_features_in_,), self._dtype_of_rows
        return self._as_frame(self._map_rows(X, compute, width, dtype), X)
