"""Draw samples, make Gibbs steps and fill in missing entries with a fitted estimator."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import RandomStream, is_cupy_array
from sklearn_rapid.checks.arguments import check_count, check_option, seed_stream
from sklearn_rapid.checks.arrays import as_array, compute_if_dask, resolve_container
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.estimators.model import Model
from sklearn_rapid.machine.clamped import zero_missing
from sklearn_rapid.machine.completions import (
    MOST_COMPLETIONS,
    count_completions,
    fill_with_exact_means,
)
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.samples import SampleSource
from sklearn_rapid.machine.tempering import (
    Ladder,
    cold_states,
    count_travels,
    ladder_of_states,
    reset_counters,
    sweep_ladder,
)
from sklearn_rapid.tables.encoder import Encoder, chunks
from sklearn_rapid.training.positive_phase import ClampedChains

# The ladder that samples are drawn from runs until log Z has this error (nats); if known states
# have a share of the samples, until this smaller error, which is that of the share.
TOL_OF_LADDER, SWEEPS_OF_LADDER = 0.2, 1000
TOL_OF_SHARES, SWEEPS_OF_SHARES = 0.02, 8000
SMALLEST_INDEPENDENT_SHARE = 0.1
# Draws that are averaged for the mean of a completion, if there are as many steps.
MEANS_OF_COMPLETION = 25


class SamplingMixin:
    """Sampling with a fitted estimator."""

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_gibbs_steps: int | None = None,
        init: Any = None,
        return_travels: bool = False,
        random_state: Any = None,
    ) -> Any:
        """Draw visible states from the model.

        By default samples come from parallel tempering: states that travelled from β = 0, where
        units are independent, to the model's own β = 1. Rows of fit with a large probability,
        which chains may never find, are drawn with that probability. With `n_gibbs_steps` or
        `init`, samples come from plain chains of Gibbs steps.

        Parameters
        ----------
        n_samples : int, default=1
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
            A frame if X was one and `set_output` asks for frames.
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

    def reconstruct(
        self,
        X: ArrayLike,
        mask: ArrayLike | None = None,
        *,
        n_gibbs_steps: int = 100,
        tempered: bool = False,
        output: str = "sample",
        random_state: Any = None,
    ) -> np.ndarray:
        """Fill in the missing entries of each row given the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where an entry is missing; or a masked array, whose masked entries are missing.
        mask : array-like of bool, shape (n_samples, n_features) or (n_features,), optional
            True where an entry is known. Entries that are NaN are missing in any case.
        n_gibbs_steps : int, default=100
            Steps with the known entries clamped; missing ones start at a mean spin of 0, or at the
            mean of a real column.
        tempered : bool, default=False
            Whether each row gets a ladder of temperatures, like that of `sample`, with its known
            entries clamped: for models with completions that are far from each other. It costs
            about ten times as much.
        output : {"sample", "mean"}, default="sample"
            One draw of the missing entries, or the mean of each of them. The mean is exact for a
            row with at most 1024 completions (ten binary entries, say), which are enumerated.
            Otherwise E[v | h] is averaged over the second half of the steps. Categories have the
            most likely code.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Missing entries in the units of X. Known entries are exactly those of X, or in `units`
            if `binarize` is a threshold. The floating-point type is the wider one of X and the
            model's `dtype`: float64 for an X of float64.
        """
        check_is_fitted(self)
        n_gibbs_steps = check_count("n_gibbs_steps", n_gibbs_steps, 1)
        check_option("output", output, ("sample", "mean"))
        if sparse.issparse(X):
            raise TypeError(
                "Sparse data was passed for X, but dense data is required: sparse data leaves out "
                "zeros, and no entry is missing."
            )
        given = X
        X = self._validate(X, reset=False, missing=True)
        if mask is not None:
            X = self._apply_mask(mask, X)
        model = self._model(X)
        with model.backend.running():
            machine, encoder = model.for_chunks(X)
        where = machine.backend.xp if is_cupy_array(X) else np
        stream = seed_stream(random_state)
        out = where.empty(X.shape, dtype=np.result_type(X.dtype, self._dtype))
        convert = partial(self._as_array_like, X, backend=machine.backend, dtype=out.dtype)
        by_threshold = encoder.are_thresholded(model.table.n_columns)
        with machine.backend.running():
            rungs = self._sample_source(model).ladder if tempered else None
            for rows in chunks(X.shape[0]):
                x, v = X[rows], encoder.states(X[rows])
                if output == "mean":
                    filled = compute_completion_means(
                        machine, encoder, v, rungs, n_gibbs_steps, stream
                    )
                else:
                    states = Completion(machine, v, rungs).states(n_gibbs_steps, stream)
                    filled = encoder.decode(states, stream)
                out[rows] = where.where(x != x, convert(filled), x)  # NaN differs from itself
                if by_threshold.any():
                    is_spin = where.asarray(by_threshold) & (x == x)
                    out[rows] = where.where(is_spin, convert(encoder.decode(v)), out[rows])
        return self._as_frame(out, given)

    def _apply_mask(self, mask: ArrayLike, X: Any) -> Any:
        """Copy X with NaN where the mask is False."""
        where = self._backend(X).xp if is_cupy_array(X) else np
        X = X if X.dtype.kind == "f" else where.astype(X, where.float64)
        known = where.asarray(validate_mask(mask, X.shape))
        return where.where(known, X, where.full_like(X, float("nan")))


class Completion:
    """Chains that complete rows: a plain chain or a column of a ladder each.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n, V)
        NaN where a unit is missing or latent.
    rungs : Ladder or None
        The β and the base of each row's column; None for plain chains.
    """

    def __init__(self, machine: Machine, v: Any, rungs: Ladder | None) -> None:
        backend, xp = machine.backend, machine.backend.xp
        self.machine = machine
        self.free, self.ladder = v != v, None
        self.v = zero_missing(v, xp)
        if rungs is not None:
            rows = backend.asarray(np.repeat(np.arange(v.shape[0]), rungs.n_rungs), "int64")
            self.free = xp.take(self.free, rows, axis=0)
            v = xp.take(self.v, rows, axis=0)
            self.ladder = ladder_of_states(backend, rungs.betas, rungs.base, v)

    def states(self, n_steps: int, stream: RandomStream) -> Any:
        """Make Gibbs steps, and return the rows."""
        if self.ladder is None:
            self.v = self.machine.gibbs(self.v, n_steps, stream, free=self.free)
        elif n_steps > 0:
            self.ladder, _ = sweep_ladder(
                self.ladder, self.machine, n_steps, stream, free=self.free
            )
            self.v = cold_states(self.ladder, self.machine.backend)
        return self.v

    def means(self, encoder: Encoder, n_steps: int, stream: RandomStream) -> Any:
        """Average E[v | h] over the second half of `n_steps` steps, in the user's units.

        Known columns have such means, too.
        """
        machine, xp = self.machine, self.machine.backend.xp
        n_draws = min(MEANS_OF_COMPLETION, n_steps)
        apart = max(1, n_steps // (2 * n_draws))
        v = self.states(max(0, n_steps - n_draws * apart), stream)
        total = 0.0
        for _ in range(n_draws):
            v = self.states(apart, stream)
            h = machine.sample_hidden(v, stream)
            total += xp.astype(encoder.unit_means(machine, h), v.dtype)
        return encoder.decode_means(total / n_draws)


def compute_completion_means(
    machine: Machine,
    encoder: Encoder,
    v: Any,
    rungs: Ladder | None,
    n_steps: int,
    stream: RandomStream,
) -> Any:
    """Compute means of missing entries, in the user's units.

    They are exact for rows with few completions, and from chains of `n_steps` steps for others
    (see `Completion`).
    """
    backend, xp = machine.backend, machine.backend.xp
    are_few = count_completions(machine, v) <= MOST_COMPLETIONS
    few, many = (np.flatnonzero(which) for which in (are_few, ~are_few))
    parts = []
    if few.size:
        rows = xp.take(v, backend.asarray(few, "int64"), axis=0)
        parts.append(encoder.decode(fill_with_exact_means(machine, rows)))
    if many.size:
        rows = xp.take(v, backend.asarray(many, "int64"), axis=0)
        means = Completion(machine, rows, rungs).means(encoder, n_steps, stream)
        parts.append(xp.astype(means, xp.float64))
    place = np.argsort(np.concatenate([few, many]))
    return xp.take(xp.concat(parts, axis=0), backend.asarray(place, "int64"), axis=0)


def validate_mask(mask: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Validate a mask, True where X is known, and broadcast it to all rows of X."""
    if is_cupy_array(mask):
        mask = mask.get()
    else:
        mask = as_array(resolve_container(compute_if_dask(mask, "mask"), "mask"), "mask")
    if mask.dtype != bool:
        raise ValueError(f"mask must hold booleans, True where X is known; got {mask.dtype}")
    if mask.shape not in (shape, shape[1:]):
        raise ValueError(f"mask must have shape {shape} or {shape[1:]}, got {mask.shape}")
    return np.broadcast_to(mask, shape)
