"""What data and model states say together: the gradient of the mean log-likelihood.

Both phases are one set of rows whose weights sum to one over the data and to minus one over the
model's states. The rows are taken in parts small enough for their hidden means to stay in the
processor's cache: nothing as large as a long batch's hidden layer is ever written out. Each
part has its hidden means computed once, and what the couplings know of it on the way (the
overlaps with the patterns) serves the gradient too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sklearn_rapid.couplings import Arrays
from sklearn_rapid.machine import Machine
from sklearn_rapid.negative_phase import NegativeStates

# Visible states and hidden means of a part, in bytes of float32.
PART_BYTES = 32_000_000
# Melchior, Fischer, Wiskott (2016) move the hidden offset by a hundredth a batch.
HIDDEN_OFFSET_RATE = 0.01
# The spread of energy changes needs no more states of each kind than this.
PROBED_STATES = 64


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
        The hidden part of the model's states, where it is given.
    probed : slice
        The rows at which energy changes are taken.
    is_last : bool
    """

    visible: Any
    weights: Any
    n_data: int
    hidden: Any
    probed: slice
    is_last: bool


@dataclass(frozen=True)
class Statistics:
    """The gradient of the couplings and the biases, and states to probe a step with.

    Attributes
    ----------
    gradient : dict of arrays
        In the centred parametrisation, where offsets were given.
    visible, hidden, weights : array of shape (n, V), (n, H), (n,), or None
        Probed states less their offsets, and their absolute weights. `hidden` may be scratch
        space of the backend.
    """

    gradient: Arrays
    visible: Any = None
    hidden: Any = None
    weights: Any = None


def phase_statistics(
    machine: Machine,
    sampler: Machine,
    data: Any,
    negative: NegativeStates,
    gap: Any,
    offset: Any,
    observe: Callable[[Any], Any],
    probe: bool = True,
    data_weights: Any = None,
) -> Statistics:
    """The gradient that two sets of states make, centred if there are offsets.

    With weights w_n, the gradient of Σ_n w_n (v_n - μ)ᵀ W (t_n - λ). The rows' part in λ is that
    of one more row, (-Σ_n w_n (v_n - μ), λ): λ moves with the data's hidden means, which are
    known only once all of the data has passed.

    Parameters
    ----------
    machine : Machine
        Its couplings say what the gradient is taken in.
    sampler : Machine
        The same one, with couplings in the form that is cheapest to map rows with.
    data : array of shape (n, V)
    negative : NegativeStates
    gap : array of shape (V,) or None
        Visible means of the data less those of the model's states, in float64: the gradient of
        the visible biases. None if there are no biases to train.
    offset : array of shape (V,) or None
        μ; None leaves both layers where they are.
    observe : callable
        Takes the data's hidden means, where there are biases, and returns λ.
    probe : bool, default=True
        Whether probed states are wanted.
    data_weights : array of shape (n,), optional
        Of the rows of the data, with a sum of one; None are equal ones.

    Returns
    -------
    Statistics
    """
    backend, xp, dtype = machine.backend, machine.backend.xp, data.dtype
    mu = xp.zeros(machine.n_visible, dtype=dtype) if offset is None else offset
    data_mean, model_mean, gradient, lam, probed = 0.0, 0.0, None, None, []
    if data_weights is None:
        data_weights = backend.equal_weights(data.shape[0], dtype)
    for part in _parts(data, data_weights, negative, machine.n_hidden, backend):
        n, n_data = part.visible.shape[0], part.n_data
        n_rows = n if offset is None or not part.is_last else n + 1
        t, overlaps = _hidden_means(sampler, part, n_rows)
        v = backend.scratch("visible", (n_rows, machine.n_visible), dtype)
        backend.weighted_rows(part.visible, mu, part.weights, v[:n, :])
        if gap is not None:
            data_mean = data_mean + backend.column_sums(t[:n_data, :], part.weights[:n_data])
            model_mean = model_mean + backend.column_sums(t[n_data:n, :], part.weights[n_data:])
            lam = observe(xp.astype(data_mean, dtype)) if part.is_last else None
        if n_rows > n:
            v[n, :], t[n, :] = xp.astype(-gap, dtype), lam
        if overlaps is not None:
            _center_overlaps(overlaps, v, mu, part.weights, machine)
        gradient = machine.couplings.gradient(v, t, backend, overlaps, gradient)
        if probe:
            probed.append(_probed_rows(part, t, mu))
    if gap is not None:
        gradient["visible_bias"] = xp.astype(gap, dtype)
        gradient["hidden_bias"] = xp.astype(data_mean + model_mean, dtype)
    if not probe:
        return Statistics(gradient)
    visible, hidden, weights = (_joined(rows, xp) for rows in zip(*probed, strict=True))
    if offset is not None:
        hidden -= lam
    return Statistics(gradient, visible, hidden, xp.abs(weights))


def _probed_rows(part: Part, t: Any, mu: Any) -> tuple[Any, Any, Any]:
    """The probed rows, as copies where the next part may be written over this one."""
    rows = part.probed
    hidden = t[rows, :] if part.is_last else 1.0 * t[rows, :]
    return part.visible[rows, :] - mu, hidden, part.weights[rows]


def _joined(arrays: tuple, xp: Any) -> Any:
    return arrays[0] if len(arrays) == 1 else xp.concat(list(arrays), axis=0)


def _hidden_means(sampler: Machine, part: Part, n_rows: int) -> tuple[Any, Any]:
    """Hidden means of a part, and overlaps with the patterns where the gradient needs them.

    There may be a last row more, which is left to be filled.
    """
    scratch, v = sampler.backend.scratch, part.visible
    n = v.shape[0]
    t = scratch("hidden", (n_rows, sampler.n_hidden), v.dtype)
    if part.hidden is not None:
        t[part.n_data : n, :] = part.hidden
        sampler.hidden_mean(v[: part.n_data, :], out=t[: part.n_data, :])
        return t, None
    n_overlaps = sampler.couplings.n_shared_overlaps(n_rows)
    if n_overlaps == 0:
        sampler.hidden_mean(v, out=t[:n, :])
        return t, None
    overlaps = scratch("overlaps", (n_rows, n_overlaps), v.dtype)
    sampler.hidden_mean(v, out=t[:n, :], overlaps=overlaps[:n, :])
    return t, overlaps


def _center_overlaps(overlaps: Any, v: Any, mu: Any, weights: Any, machine: Machine) -> None:
    """From v ξ_vᵀ of the states to that of the weighted rows less their offsets, in place."""
    backend, patterns, n = machine.backend, machine.couplings.visible_patterns, weights.shape[0]
    backend.weighted_rows(overlaps[:n, :], patterns @ mu, weights, overlaps[:n, :])
    if v.shape[0] > n:
        overlaps[n, :] = patterns @ v[n, :]


def _parts(
    data: Any, data_weights: Any, negative: NegativeStates, n_hidden: int, backend: Any
) -> Iterator[Part]:
    """Both phases in one part if it is small enough, else data and model states in several.

    Weighted states count as a whole in a probe, or their weights would not: they stay in one.
    """
    model, n_data, n_model = negative.visible, data.shape[0], negative.visible.shape[0]
    xp, model_weights = backend.xp, negative.weights
    if model_weights is None:
        model_weights = backend.equal_weights(n_model, data.dtype)
    largest = max(1, PART_BYTES // (4 * (data.shape[1] + n_hidden)))
    if negative.weights is not None or n_data + n_model <= largest:
        n_probed = n_model if negative.weights is not None else min(n_model, PROBED_STATES)
        probed = slice(n_data - min(n_data, PROBED_STATES), n_data + n_probed)
        v = xp.concat([data, model], axis=0)
        weights = xp.concat([data_weights, -model_weights])
        yield Part(v, weights, n_data, negative.hidden, probed, is_last=True)
        return
    for rows in _even_slices(n_data, largest):
        n = rows.stop - rows.start
        probed = slice(max(0, n - PROBED_STATES), n) if rows.stop == n_data else slice(0, 0)
        yield Part(data[rows, :], data_weights[rows], n, None, probed, is_last=False)
    for rows in _even_slices(n_model, largest):
        hidden = None if negative.hidden is None else negative.hidden[rows, :]
        n = rows.stop - rows.start
        probed = slice(0, min(n, PROBED_STATES) if rows.start == 0 else 0)
        is_last = rows.stop == n_model
        yield Part(model[rows, :], -model_weights[rows], 0, hidden, probed, is_last)


def _even_slices(n_rows: int, largest: int) -> Iterator[slice]:
    n_slices = -(-n_rows // largest)
    size = -(-n_rows // n_slices)
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
