"""Fill in missing entries of rows with a fitted estimator, by draws or by means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import RandomStream, is_cupy_array
from sklearn_rapid.checks.arguments import check_count, check_option, seed_stream
from sklearn_rapid.checks.arrays import as_array, compute_if_dask, resolve_container
from sklearn_rapid.machine.clamped import zero_missing
from sklearn_rapid.machine.completions import (
    MOST_COMPLETIONS,
    count_completions,
    fill_with_exact_draws,
    fill_with_exact_means,
)
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.tempering import (
    Ladder,
    cold_states,
    ladder_of_states,
    sweep_ladder,
)
from sklearn_rapid.tables.columns import find_places
from sklearn_rapid.tables.encoder import Encoder, chunks
from sklearn_rapid.tables.frames import is_frame

# Steps of the ladders that draw rows given some of their entries.
SWEEPS_OF_CONDITIONS = 100
# Draws that are averaged for the mean of a completion, if there are as many steps.
MEANS_OF_COMPLETION = 25


class CompletionMixin:
    """Completion of rows with missing entries."""

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
        X = X.toarray() if sparse.issparse(X) else X  # of a frame of sparse columns
        if mask is not None:
            X = self._apply_mask(mask, X)
        stream = seed_stream(random_state)
        how = "mean" if output == "mean" else "chains"
        return self._as_frame(self._complete(X, how, n_gibbs_steps, stream, tempered), given)

    def _draw_given(
        self, conditions: Any, n_samples: int, n_gibbs_steps: int | None, stream: RandomStream
    ) -> Any:
        """Draw the missing entries of rows, `n_samples` times for each."""
        X = self._validate_conditions(conditions)
        where = self._backend(X).xp if is_cupy_array(X) else np
        rows = where.asarray(np.repeat(np.arange(X.shape[0]), n_samples))
        X, is_tempered = where.take(X, rows, axis=0), n_gibbs_steps is None
        n_steps = SWEEPS_OF_CONDITIONS if is_tempered else n_gibbs_steps
        how = "exact" if is_tempered else "chains"
        drawn = self._complete(X, how, n_steps, stream, is_tempered)
        is_of_fit = is_frame(conditions) and "frame_" in vars(self)
        places = find_places(conditions, self.frame_) if is_of_fit else None
        return self._as_frame(drawn, conditions, places, n_samples)

    def _complete(
        self, X: Any, how: str, n_steps: int, stream: RandomStream, is_tempered: bool
    ) -> Any:
        """Fill in the missing entries of an array of rows.

        Parameters
        ----------
        X : array of shape (n, n_columns)
        how : {"chains", "exact", "mean"}
            Draws by chains; exact draws for rows with few completions and by chains for others; or
            means, which are exact for rows with few completions, too.
        n_steps : int
        stream : RandomStream
        is_tempered : bool
            Whether chains are ladders.
        """
        model = self._model(X)
        with model.backend.running():
            machine, encoder = model.for_chunks(X)
        where = machine.backend.xp if is_cupy_array(X) else np
        out = where.empty(X.shape, dtype=np.result_type(X.dtype, self._dtype))
        convert = partial(self._as_array_like, X, backend=machine.backend, dtype=out.dtype)
        by_threshold = encoder.are_thresholded(model.table.n_columns)
        with machine.backend.running():
            rungs = self._sample_source(model).ladder if is_tempered else None
            filler = Filler(machine, encoder, rungs, n_steps, stream)
            fill = {"chains": filler.draw_by_chains, "exact": filler.draw, "mean": filler.means}[
                how
            ]
            for rows in chunks(X.shape[0]):
                x, v = X[rows], encoder.states(X[rows])
                filled = fill(v)
                out[rows] = where.where(x != x, convert(filled), x)  # NaN differs from itself
                if by_threshold.any():
                    is_spin = where.asarray(by_threshold) & (x == x)
                    out[rows] = where.where(is_spin, convert(encoder.decode(v)), out[rows])
        return out

    def _apply_mask(self, mask: ArrayLike, X: Any) -> Any:
        """Copy X with NaN where the mask is False."""
        where = self._backend(X).xp if is_cupy_array(X) else np
        X = X if X.dtype.kind == "f" else where.astype(X, where.float64)
        known = where.asarray(validate_mask(mask, X.shape))
        return where.where(known, X, where.full_like(X, float("nan")))


def compute_state_means(
    estimator: CompletionMixin, X: np.ndarray, n_steps: int, stream: RandomStream
) -> np.ndarray:
    """Compute means of the states of visible units given the known entries of rows.

    They are exact for rows with few completions. Units of known entries have their states.

    Parameters
    ----------
    estimator : RBM or RARBM
        Fitted to an array.
    X : array of shape (n, n_columns)
    n_steps : int
        Gibbs steps of plain chains.
    stream : RandomStream

    Returns
    -------
    array of shape (n, n_units)
        Float64.
    """
    model = estimator._model(X)
    with model.backend.running():
        machine, encoder = model.for_chunks(X)
        filler = Filler(machine, encoder, None, n_steps, stream)
        found = []
        for rows in chunks(X.shape[0]):
            v = encoder.states(X[rows])
            means = filler.state_means(v)
            found.append(model.backend.to_numpy(model.backend.xp.where(v == v, v, means)))
    return np.concatenate(found)


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

        def unit_means(h: Any) -> Any:
            return encoder.unit_means(self.machine, h)

        return encoder.decode_means(self.average(unit_means, n_steps, stream))

    def average(self, function: Callable, n_steps: int, stream: RandomStream) -> Any:
        """Average a function of hidden states over the second half of `n_steps` steps."""
        machine, xp = self.machine, self.machine.backend.xp
        n_draws = min(MEANS_OF_COMPLETION, n_steps)
        apart = max(1, n_steps // (2 * n_draws))
        v = self.states(max(0, n_steps - n_draws * apart), stream)
        total = 0.0
        for _ in range(n_draws):
            v = self.states(apart, stream)
            h = machine.sample_hidden(v, stream)
            total += xp.astype(function(h), v.dtype)
        return total / n_draws


@dataclass(frozen=True)
class Filler:
    """Fills in missing entries of rows of states, in the user's units.

    Parameters
    ----------
    machine : Machine
    encoder : Encoder
    rungs : Ladder or None
        Chains are ladders like this one (see `Completion`).
    n_steps : int
        Steps of chains.
    stream : RandomStream
    """

    machine: Machine
    encoder: Encoder
    rungs: Ladder | None
    n_steps: int
    stream: RandomStream

    def draw_by_chains(self, v: Any) -> Any:
        """Draw missing entries by chains."""
        states = Completion(self.machine, v, self.rungs).states(self.n_steps, self.stream)
        return self.encoder.decode(states, self.stream)

    def draw(self, v: Any) -> Any:
        """Draw missing entries, exactly for rows with few completions; float64."""

        def draw_exactly(v: Any) -> Any:
            states = fill_with_exact_draws(self.machine, v, self.stream)
            return self.encoder.decode(states, self.stream)

        return self._by_number_of_completions(v, draw_exactly, self.draw_by_chains)

    def means(self, v: Any) -> Any:
        """Compute means of missing entries, exactly for rows with few completions; float64."""

        def compute_exactly(v: Any) -> Any:
            return self.encoder.decode(fill_with_exact_means(self.machine, v))

        def compute(v: Any) -> Any:
            chains = Completion(self.machine, v, self.rungs)
            return chains.means(self.encoder, self.n_steps, self.stream)

        return self._by_number_of_completions(v, compute_exactly, compute)

    def state_means(self, v: Any) -> Any:
        """Compute means of the states of missing units, exactly for rows with few completions.

        Unlike `means` they are not decoded: an average over models is a mean, too.
        """

        def compute(v: Any) -> Any:
            chains = Completion(self.machine, v, self.rungs)
            return chains.average(self.machine.visible_mean, self.n_steps, self.stream)

        return self._by_number_of_completions(
            v, partial(fill_with_exact_means, self.machine), compute
        )

    def _by_number_of_completions(self, v: Any, of_few: Callable, of_many: Callable) -> Any:
        """Apply one function to rows with few completions and another to the others."""
        backend, xp = self.machine.backend, self.machine.backend.xp
        are_few = count_completions(self.machine, v) <= MOST_COMPLETIONS
        few, many = (np.flatnonzero(which) for which in (are_few, ~are_few))
        parts = []
        for numbers, function in ((few, of_few), (many, of_many)):
            if numbers.size:
                rows = xp.take(v, backend.asarray(numbers, "int64"), axis=0)
                parts.append(xp.astype(function(rows), xp.float64))
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
