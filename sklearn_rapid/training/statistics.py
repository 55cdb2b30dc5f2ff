"""Sum over rows of the data and states of the model: the gradient, means and probed states.

The gradient is that of the mean log-likelihood. Both phases are one set of rows whose weights sum
to one over the data and to minus one over the model's states. An update needs their sums only, so
that rows may be in several places: the `Sums` of each are added up.

Rows are taken in parts small enough for their hidden means to stay in the processor's cache: the
hidden layer of a long batch is never written out. Hidden means of a part are computed once, and
their overlaps with the patterns are used for the gradient too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sklearn_rapid.machine.couplings import Arrays
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.negative_phase import NegativeStates
from sklearn_rapid.training.steps.visible_scale import ScaleSums

# Visible states and hidden means of a part, in bytes of float32.
PART_BYTES = 32_000_000
# States of each phase at which energy changes are measured: all those of a usual batch, as a rare
# state that makes the gradient has to be among them.
PROBED_STATES = 128


@dataclass(frozen=True)
class RowCounts:
    """Numbers of rows in an update, of which some may be elsewhere.

    Attributes
    ----------
    n_data : int
        Rows of the batch.
    n_model : int
        States of the model.
    n_probed : int
        How many of the rows here, the last ones, are probed for energy changes.
    n_probed_states : int
        How many of the model's states here, the first ones, are probed.
    """

    n_data: int
    n_model: int
    n_probed: int = PROBED_STATES
    n_probed_states: int = PROBED_STATES


@dataclass(frozen=True)
class Part:
    """Some rows of both phases, those of the data first.

    Attributes
    ----------
    visible : array of shape (n, V)
    weights : array of shape (n,)
        Signed: positive for data, negative for the model's states.
    n_data : int
    hidden : array of shape (n - n_data, H) or None
        The hidden part of the model's states, where they have their own.
    probed : slice
        The rows probed for energy changes.
    is_last : bool
    """

    visible: Any
    weights: Any
    n_data: int
    hidden: Any
    probed: slice
    is_last: bool


@dataclass(frozen=True)
class Probe:
    """States at which energy changes are measured.

    Attributes
    ----------
    visible : array of shape (n, V)
    weights : array of shape (n,)
        Absolute values.
    hidden : array of shape (n, H) or None
        None is E[h | v]. It may be scratch space of the backend.
    """

    visible: Any
    weights: Any
    hidden: Any = None


@dataclass(frozen=True)
class Sums:
    """Sums over some rows of the data and some states of the model.

    Attributes
    ----------
    gradient : dict of arrays
        That of Σ_n w_n (v_n - μ)ᵀ W t_n in the couplings, with the visible offset μ from before
        the update.
    n_rows : int
        Rows of the data.
    data_visible, model_visible : array of shape (V,)
        Sums of the visible states of either phase, float64.
    data_weight, model_weight : float
        The divisors of these sums, once they are over all rows.
    data_hidden, model_hidden : array of shape (H,)
        Σ_n w_n t_n over either phase, float64.
    data_square, model_square : number
        Σ_n w_n², one over the effective number of rows.
    probes : tuple of Probe
    log_ratios : array of shape (n_sweeps, n_columns * n_rungs) or None
        Log ratios of neighbouring rungs in the exchanges of tempered chains.
    of_scales : ScaleSums or None
        Of real columns.
    """

    gradient: Arrays
    n_rows: int
    data_visible: Any
    model_visible: Any
    data_weight: float
    model_weight: float
    data_hidden: Any
    model_hidden: Any
    data_square: Any
    model_square: Any
    probes: tuple[Probe, ...] = ()
    log_ratios: Any = None
    of_scales: ScaleSums | None = None

    def plus(self, other: Sums, xp: Any) -> Sums:
        """Add the sums over other rows; concatenate columns of tempered chains."""
        log_ratios = [s.log_ratios for s in (self, other) if s.log_ratios is not None]
        return Sums(
            {name: g + other.gradient[name] for name, g in self.gradient.items()},
            *(
                getattr(self, name) + getattr(other, name)
                for name in (
                    "n_rows", "data_visible", "model_visible", "data_weight", "model_weight",
                    "data_hidden", "model_hidden", "data_square", "model_square",
                )
            ),
            probes=self.probes + other.probes,
            log_ratios=xp.concat(log_ratios, axis=1) if log_ratios else None,
            of_scales=None if self.of_scales is None else self.of_scales.plus(other.of_scales),
        )  # fmt: skip


def row_sums(
    machine: Machine,
    sampler: Machine,
    data: Any,
    negative: NegativeStates,
    offset: Any,
    counts: RowCounts,
    data_weights: Any = None,
    probe: bool = True,
) -> Sums:
    """Sum over a batch and the states of a negative phase, or over some of these.

    Parameters
    ----------
    machine : Machine
        The gradient is in its couplings' parameters.
    sampler : Machine
        The same machine, with couplings in the form that maps rows most cheaply.
    data : array of shape (n, V)
    negative : NegativeStates
    offset : array of shape (V,) or None
        μ; None is zero.
    counts : RowCounts
    data_weights : array of shape (n,), optional
        Of the rows of the data, with a sum of one over the whole batch; None are equal ones.
    probe : bool, default=True
        Whether to return probed states.
    """
    backend, xp, dtype = machine.backend, machine.backend.xp, data.dtype
    mu = xp.zeros(machine.n_visible, dtype=dtype) if offset is None else offset
    of_data = weights_or_equal(data_weights, data, counts.n_data, backend)
    of_model = weights_or_equal(negative.weights, negative.visible, counts.n_model, backend)
    data_hidden = model_hidden = xp.zeros(machine.n_hidden, dtype=xp.float64)
    gradient, probes = None, []
    for part in _parts(data, negative, (of_data, of_model), counts, machine.n_hidden, backend):
        n, n_data = part.visible.shape[0], part.n_data
        t, overlaps = _hidden_means(sampler, part)
        v = backend.scratch("visible", (n, machine.n_visible), dtype)
        backend.weighted_rows(part.visible, mu, part.weights, v)
        data_hidden = data_hidden + backend.column_sums(t[:n_data, :], part.weights[:n_data])
        model_hidden = model_hidden + backend.column_sums(t[n_data:, :], part.weights[n_data:])
        if overlaps is not None:
            # From v ξ_vᵀ of the states to that of the weighted rows less their offset.
            of_mu = machine.couplings.visible_patterns @ mu
            backend.weighted_rows(overlaps, of_mu, part.weights, overlaps)
        gradient = machine.couplings.gradient(v, t, backend, overlaps, gradient)
        if probe:
            probes.append(_probed_rows(part, t, xp))
    if gradient is None:
        gradient = {name: xp.zeros_like(p) for name, p in machine.couplings.parameters.items()}
    return Sums(
        gradient,
        data.shape[0],
        *_visible_sums(data, data_weights, negative, backend),
        data_hidden,
        model_hidden,
        *_squares(data, data_weights, negative, counts, backend),
        tuple(probes),
        negative.log_ratios,
    )


def weights_or_equal(weights: Any, rows: Any, n: int, backend: Any) -> Any:
    """Return the weights of rows, 1 / n for each if they are None."""
    if weights is not None:
        return weights
    if rows.shape[0] == n:
        return backend.equal_weights(n, rows.dtype)
    return backend.xp.full(rows.shape[0], 1.0 / n, dtype=rows.dtype)


def _visible_sums(
    data: Any, data_weights: Any, negative: NegativeStates, backend: Any
) -> tuple[Any, Any, Any, Any]:
    """Sum the visible states of both phases; return the divisors of the sums too.

    Plain sums, without weights: where all states agree, so do their means, without rounding.
    """
    data_weight, model_weight = float(data.shape[0]), float(negative.visible.shape[0])
    if data_weights is not None:
        data_weight = backend.xp.sum(data_weights, dtype=backend.xp.float64)
    if negative.weights is not None:
        model_weight = 1.0
    data_visible = backend.column_sums(data, data_weights)
    model_visible = backend.column_sums(negative.visible, negative.weights)
    return data_visible, model_visible, data_weight, model_weight


def _squares(
    data: Any, data_weights: Any, negative: NegativeStates, counts: RowCounts, backend: Any
) -> tuple[Any, Any]:
    """Return Σ_n w_n² of both phases."""
    if data_weights is None:
        of_data = data.shape[0] / counts.n_data / counts.n_data
    else:
        of_data = backend.dot(data_weights, data_weights)
    if negative.weights is None:
        return of_data, negative.visible.shape[0] / counts.n_model / counts.n_model
    # States with computed weights add no noise.
    drawn = negative.weights[: negative.visible.shape[0] - negative.n_known]
    of_model = backend.dot(drawn, drawn)
    # Two states of weight w / 2 for each of weight w.
    return of_data, of_model / 2 if negative.stand_for_two else of_model


def _probed_rows(part: Part, t: Any, xp: Any) -> Probe:
    """Select the probed rows, as copies where the next part may overwrite this one."""
    rows = part.probed
    hidden = t[rows, :] if part.is_last else 1.0 * t[rows, :]
    return Probe(part.visible[rows, :], xp.abs(part.weights[rows]), hidden)


def _hidden_means(sampler: Machine, part: Part) -> tuple[Any, Any]:
    """Compute hidden means of a part, and overlaps with the patterns if the gradient needs them."""
    scratch, v = sampler.backend.scratch, part.visible
    n = v.shape[0]
    t = scratch("hidden", (n, sampler.n_hidden), v.dtype)
    if part.hidden is not None:
        t[part.n_data : n, :] = part.hidden
        sampler.hidden_mean(v[: part.n_data, :], out=t[: part.n_data, :])
        return t, None
    n_overlaps = sampler.couplings.n_shared_overlaps(n)
    if n_overlaps == 0:
        sampler.hidden_mean(v, out=t)
        return t, None
    overlaps = scratch("overlaps", (n, n_overlaps), v.dtype)
    sampler.hidden_mean(v, out=t, overlaps=overlaps)
    return t, overlaps


def _parts(
    data: Any,
    negative: NegativeStates,
    weights: tuple[Any, Any],
    counts: RowCounts,
    n_hidden: int,
    backend: Any,
) -> Iterator[Part]:
    """Yield both phases in one part if it is small enough, else data and model states in several.

    Weighted states stay in one part and are all probed: some of them would not be a sample.
    """
    model, n_data, n_model = negative.visible, data.shape[0], negative.visible.shape[0]
    xp, (data_weights, model_weights) = backend.xp, weights
    largest = max(1, PART_BYTES // (4 * (data.shape[1] + n_hidden)))
    if negative.weights is not None or n_data + n_model <= largest:
        n_states = n_model if negative.weights is not None else min(n_model, counts.n_probed_states)
        probed = slice(n_data - min(n_data, counts.n_probed), n_data + n_states)
        v = xp.concat([data, model], axis=0)
        both = xp.concat([data_weights, -model_weights])
        if v.shape[0] > 0:
            yield Part(v, both, n_data, negative.hidden, probed, is_last=True)
        return
    for rows in _even_slices(n_data, largest):
        n = rows.stop - rows.start
        n_probed = min(n, counts.n_probed) if rows.stop == n_data else 0
        is_last = n_model == 0 and rows.stop == n_data
        yield Part(data[rows, :], data_weights[rows], n, None, slice(n - n_probed, n), is_last)
    for rows in _even_slices(n_model, largest):
        hidden = None if negative.hidden is None else negative.hidden[rows, :]
        n = rows.stop - rows.start
        probed = slice(0, min(n, counts.n_probed_states) if rows.start == 0 else 0)
        is_last = rows.stop == n_model
        yield Part(model[rows, :], -model_weights[rows], 0, hidden, probed, is_last)


def _even_slices(n_rows: int, largest: int) -> Iterator[slice]:
    n_slices = -(-n_rows // largest)
    size = -(-n_rows // max(1, n_slices))
    for start in range(0, n_rows, max(1, size)):
        yield slice(start, min(start + size, n_rows))
