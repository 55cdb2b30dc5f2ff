"""What a fitted estimator draws: samples, Gibbs steps, reconstructions."""

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
from sklearn_rapid.machine.completions import MOST_COMPLETIONS, exact_means, n_completions
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.samples import Source
from sklearn_rapid.machine.tempering import (
    Ladder,
    cold_states,
    counted_anew,
    of_states,
    sweep,
    travels,
)
from sklearn_rapid.tables.encoder import CHUNK, chunks
from sklearn_rapid.training.positive_phase import ClampedChains

# The ladder that samples are drawn from is run in until it would tell log Z so well; where known
# states have a share of the samples, until it tells that share.
TOL_OF_LADDER, SWEEPS_OF_LADDER = 0.2, 1000
TOL_OF_SHARES, SWEEPS_OF_SHARES = 0.02, 8000
SMALLEST_INDEPENDENT_SHARE = 0.1
# Draws that the mean of a completion is taken over, if there are as many steps.
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

        By default from parallel tempering: states that have come down from β = 0, where units
        are independent, to the model's own β = 1. Rows of the fit with much of the model's
        probability, which chains may never find, are drawn with that probability. With
        `n_gibbs_steps` or `init`, from plain chains of Gibbs steps.

        Parameters
        ----------
        n_samples : int, default=1
        n_gibbs_steps : int, default=None
            Steps of each plain chain (1000 if only `init` is given).
        init : array-like, "random", "patterns" or None, default=None
            Where plain chains start: at visible states, read as X is (completed where they have
            NaN, and repeated in turn if there are fewer than `n_samples`), at units in no field
            (fair coins), or at the signs of the patterns (RARBM). None is the chains of training
            where it kept some, else "random".
        return_travels : bool, default=False
            Whether to return how states travelled along the ladder, too.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Or a frame, where X was one and `set_output` asks for frames.
        Travels
            If asked for: how states travelled while samples were drawn. The effective number of
            samples is `n_round_trips`, so many states came from β = 0 meanwhile, and one more for
            each of `n_columns`, as long as that is smaller than `n_samples`.

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
                source = self._source(model)
                states, travelled, n_fresh = source.drawn(machine, n_samples, stream)
            else:
                n_steps = 1000 if n_gibbs_steps is None else n_gibbs_steps
                start = model.starting_states(init, n_samples, stream)
                states = machine.for_rows(2 * n_steps * n_samples).gibbs(start, n_steps, stream)
            samples = self._returned(model.encoder().decode(states), backend, like=init)
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

    def _source(self, model: Model) -> Source:
        """What samples are drawn from, the same whatever was called before.

        Kept in memory for the next call; counters start anew.
        """
        backend = model.backend
        digest = (self._parameter_digest(), backend.name)
        kept = self.__dict__.get("_kept_ladder")
        if kept is None or kept[0] != digest:
            how = {"tol": TOL_OF_LADDER, "max_sweeps": SWEEPS_OF_LADDER}
            estimate, ladder, basin = model.tempered(model.stream(), **how)
            if basin is not None:
                how = {"tol": TOL_OF_SHARES, "max_sweeps": SWEEPS_OF_SHARES}
                estimate, ladder, basin = model.tempered(model.stream(), **how)
            travelled, fresh = travels(ladder, backend), counted_anew(ladder, backend)
            share = 0.0 if basin is None else float(np.exp(basin.log_total - estimate.value))
            kept = digest, Source(fresh, travelled, basin, share, estimate.is_trusted)
            self._kept_ladder = kept
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """All but the ladder, which can be made again."""
        state = dict(super().__getstate__())
        state.pop("_kept_ladder", None)
        return state

    def gibbs(self, X: ArrayLike, n_steps: int = 1, random_state: Any = None) -> np.ndarray:
        """Visible states after Gibbs steps from X.

        Rows with NaN are completed first, and go on from there.

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
        n_steps = check_count("n_steps", n_steps, 0)
        stream = seed_stream(random_state)

        def walked(machine: Any, encoder: Any, v: Any, out: Any) -> Any:
            v = ClampedChains().states(machine, v, stream) if encoder.missing else v
            return encoder.decode(machine.gibbs(v, n_steps, stream))

        states = self._by_chunks(X, walked, (self.n_features_in_,), self._dtype)
        return self._as_frame(states, X)

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
            NaN where an entry is missing; or a masked array, whose masked entries are.
        mask : array-like of bool, shape (n_samples, n_features) or (n_features,), optional
            True where an entry is known. Entries that are NaN are missing in any case.
        n_gibbs_steps : int, default=100
            Steps with the known entries clamped; missing ones start undecided (mean spin 0, or
            the mean of a real column).
        tempered : bool, default=False
            Whether each row gets a ladder of temperatures, as `sample` has, with its known entries
            clamped: for models in which rows can be completed in several ways that are far from
            each other. It costs about ten times as much.
        output : {"sample", "mean"}, default="sample"
            One draw of the missing entries, or the mean of each of them. It is exact where a row
            can be completed in 1024 ways at most (ten binary entries, say): all of them are
            enumerated. Otherwise it is that of E[v | h] over the second half of the steps. For
            categories it is the code that is most likely.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Missing entries in the units of X. Known ones are those of X, exactly; but where
            `binarize` is a threshold, they are the spins that it makes of them, in `units`. It has
            the floating-point type that holds both X and what has the model's `dtype`: float64 for
            an X of float64.
        """
        check_is_fitted(self)
        n_gibbs_steps = check_count("n_gibbs_steps", n_gibbs_steps, 1)
        check_option("output", output, ("sample", "mean"))
        if sparse.issparse(X):
            raise TypeError(
                "Sparse data was passed for X, but dense data is required: zeros are left out "
                "there, and no entry is missing."
            )
        given = X
        X = self._validate(X, reset=False, missing=True)
        if mask is not None:
            X = self._hidden_by(mask, X)
        model = self._model(X)
        with model.backend.running():
            machine, encoder = model.machine.for_rows(CHUNK), model.encoder(X)
        where = machine.backend.xp if is_cupy_array(X) else np
        stream = seed_stream(random_state)
        out = where.empty(X.shape, dtype=np.result_type(X.dtype, self._dtype))
        returned = partial(self._returned, backend=machine.backend, like=X, dtype=out.dtype)
        by_threshold = encoder.are_thresholded(model.table.n_columns)
        with machine.backend.running():
            rungs = self._source(model).ladder if tempered else None
            for rows in chunks(X.shape[0]):
                x, v = X[rows], encoder.states(X[rows])
                if output == "mean":
                    filled = conditional_means(machine, encoder, v, rungs, n_gibbs_steps, stream)
                else:
                    states = Completion(machine, v, rungs).states(n_gibbs_steps, stream)
                    filled = encoder.decode(states)
                out[rows] = where.where(x != x, returned(filled), x)  # NaN differs from itself
                if by_threshold.any():
                    is_spin = where.asarray(by_threshold) & (x == x)
                    out[rows] = where.where(is_spin, returned(encoder.decode(v)), out[rows])
        return self._as_frame(out, given)

    def _hidden_by(self, mask: ArrayLike, X: Any) -> Any:
        """X, with NaN where the mask says that it is not known."""
        where = self._backend(X).xp if is_cupy_array(X) else np
        X = X if X.dtype.kind == "f" else where.astype(X, where.float64)
        known = where.asarray(known_entries(mask, X.shape))
        return where.where(known, X, where.full_like(X, float("nan")))


class Completion:
    """Rows on their way to being completed: plain chains, or the columns of a ladder.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n, V)
        NaN where a unit is free: what is missing, and what rows never show.
    rungs : Ladder or None
        Whose β and base each row gets.
    """

    def __init__(self, machine: Machine, v: Any, rungs: Ladder | None) -> None:
        backend, xp = machine.backend, machine.backend.xp
        self.machine = machine
        self.free, self.ladder = v != v, None
        self.v = xp.where(self.free, xp.zeros_like(v), v)
        if rungs is not None:
            rows = backend.asarray(np.repeat(np.arange(v.shape[0]), rungs.n_rungs), "int64")
            self.free = xp.take(self.free, rows, axis=0)
            v = xp.take(self.v, rows, axis=0)
            self.ladder = of_states(backend, rungs.betas, rungs.base, v)

    def states(self, n_steps: int, stream: RandomStream) -> Any:
        """The rows after so many steps."""
        if self.ladder is None:
            self.v = self.machine.gibbs(self.v, n_steps, stream, free=self.free)
        elif n_steps > 0:
            self.ladder, _ = sweep(self.ladder, self.machine, n_steps, stream, free=self.free)
            self.v = cold_states(self.ladder, self.machine.backend)
        return self.v

    def means(self, encoder: Any, n_steps: int, stream: RandomStream) -> Any:
        """Means over the second half of so many steps, in the user's units.

        They are of all columns, as if none were known.
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


def conditional_means(
    machine: Machine,
    encoder: Any,
    v: Any,
    rungs: Ladder | None,
    n_steps: int,
    stream: RandomStream,
) -> Any:
    """Means of what rows do not know, in the user's units: exact ones where few completions are.

    By chains of so many steps otherwise (see `Completion`).
    """
    backend, xp = machine.backend, machine.backend.xp
    are_few = n_completions(machine, v) <= MOST_COMPLETIONS
    few, many = (np.flatnonzero(which) for which in (are_few, ~are_few))
    parts = []
    if few.size:
        rows = xp.take(v, backend.asarray(few, "int64"), axis=0)
        parts.append(encoder.decode(exact_means(machine, rows)))
    if many.size:
        rows = xp.take(v, backend.asarray(many, "int64"), axis=0)
        means = Completion(machine, rows, rungs).means(encoder, n_steps, stream)
        parts.append(xp.astype(means, xp.float64))
    place = np.argsort(np.concatenate([few, many]))
    return xp.take(xp.concat(parts, axis=0), backend.asarray(place, "int64"), axis=0)


def known_entries(mask: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """A mask of known entries, True where X is known, for each row of X."""
    if is_cupy_array(mask):
        mask = mask.get()
    else:
        mask = as_array(resolve_container(compute_if_dask(mask, "mask"), "mask"), "mask")
    if mask.dtype != bool:
        raise ValueError(f"mask must hold booleans, True where X is known; got {mask.dtype}")
    if mask.shape not in (shape, shape[1:]):
        raise ValueError(f"mask must have shape {shape} or {shape[1:]}, got {mask.shape}")
    return np.broadcast_to(mask, shape)
