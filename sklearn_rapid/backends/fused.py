"""A stretch: updates of a machine, one a batch, that a backend may make in a single call.

What an update is, the training loop says (`sklearn_rapid.training`), by the backend's other
methods. Here it is told in arrays and numbers, for backends that need no interpreter between its
parts; the two agree to rounding.

With data rows and model states v_n of weights w_n (1 / n each, negative for the model's), their
hidden means t_n, and offsets μ and λ, an update goes along the gradient of
Σ_n w_n (v_n - μ)ᵀ W (t_n - λ), as far as makes energies change by a given amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# Where the states of the model come from.
FROM_DATA, FROM_CHAINS, FROM_PATTERNS = range(3)
# What is done to patterns.
NO_PROJECTION, SIGN, CLIP = range(3)
# Where no energy changes at all, this keeps 0 / 0 out: a step of no length.
NO_CURVATURE = 1e-300


class Parameters(NamedTuple):
    """What is trained, or anything of its shape; arrays that a model does not have are empty.

    Attributes
    ----------
    weights : array of shape (V, H)
    visible_patterns, hidden_patterns : array of shape (K, V), (K, H)
    visible_bias, hidden_bias : array of shape (V,), (H,)
    """

    weights: Any
    visible_patterns: Any
    hidden_patterns: Any
    visible_bias: Any
    hidden_bias: Any


class Source(NamedTuple):
    """Where the model's states come from, and the chains themselves, which change in place.

    Attributes
    ----------
    kind : {FROM_DATA, FROM_CHAINS, FROM_PATTERNS}
        Gibbs steps from the batch, from `states`, or from the signs of the visible patterns.
    n_steps : int
        Gibbs steps an update, or sweeps of a ladder.
    states : array of shape (n, V)
        The chains, or the rungs of a ladder column by column.
    betas : array of shape (n_rungs,)
        Of a ladder; empty without one.
    n_cold : int
        Rungs at β = 1, whose states are the model's; 0 without a ladder.
    base : array of shape (V,)
    parity : int
        That of the ladder's next sweep.
    origin, arrivals : arrays
        See `Tempered`.
    log_ratios : array of shape (n_sweeps of all updates, n)
        See `Tempered`; filled in.
    """

    kind: int
    n_steps: int
    states: Any = np.empty((0, 0), dtype=np.float32)
    betas: Any = np.empty(0, dtype=np.float32)
    n_cold: int = 0
    base: Any = np.empty(0, dtype=np.float32)
    parity: int = 0
    origin: Any = np.empty(0, dtype=np.int8)
    arrivals: Any = np.empty(0, dtype=np.int64)
    log_ratios: Any = np.empty((0, 0))


class Averages(NamedTuple):
    """What follows the rows as they pass, in place.

    Attributes
    ----------
    visible_offset : array of shape (V,)
        The mean spin of all rows seen (float64).
    hidden_offset : array of shape (H,)
        A moving average of E[h] over the data.
    counts : array of shape (3,)
        Rows and updates so far, and whether there is a hidden offset yet (int64).
    """

    visible_offset: Any
    hidden_offset: Any
    counts: Any


class Draws(NamedTuple):
    """Names of the random numbers: those of update k begin at draw ``first + k * spacing``."""

    key0: Any
    key1: Any
    first: Any
    spacing: Any


class Settings(NamedTuple):
    """How the updates are made; see `sklearn_rapid.training`.

    Attributes
    ----------
    batch_size : int
        Rows of an update; the last one may have fewer.
    scale : float
        Of the product of patterns, 1/√K.
    maps_by_weights : bool
        Whether rows are mapped by W, which is formed from the patterns if need be.
    gradient_by_weights : bool
        Whether the gradient in the patterns goes by way of the one in W.
    changes_by_rows : bool
        Whether energy changes are found before the gradient, from products of rows.
    has_biases, is_centered : bool
        Whether biases are trained, and layers centred.
    is_scaled : bool
        Whether `rate` is the length of a step in nats per square root of a visible unit.
    rate, step_share, momentum : float
    hidden_offset_rate, full_variance, full_step_rows : float
    largest_overshoot, smallest_curvature : float
    n_probed : int
        Of data rows and of model states, for the spread of energy changes.
    l1, l2 : float
    penalized_rows : int
        0 is as many as have been seen.
    ramp_updates : int
    projection : {NO_PROJECTION, SIGN, CLIP}
    period : int
        Updates between two projections; 0 is none but the last one.
    projects_last : bool
    bound : float
    """

    batch_size: int
    scale: Any
    maps_by_weights: bool
    gradient_by_weights: bool
    changes_by_rows: bool
    has_biases: bool
    is_centered: bool
    is_scaled: bool
    rate: float
    step_share: float
    momentum: Any
    hidden_offset_rate: float
    full_variance: float
    full_step_rows: float
    largest_overshoot: float
    smallest_curvature: float
    n_probed: int
    l1: float
    l2: float
    penalized_rows: int
    ramp_updates: int
    projection: int
    period: int
    projects_last: bool
    bound: Any


@dataclass(frozen=True)
class Stretch:
    """Updates to be made, and all that they change, in place.

    Attributes
    ----------
    data : array of shape (n, V)
        Spins or mean spins, batch after batch.
    parameters : Parameters
    velocity : Parameters
        The running sum of gradients, with momentum; all empty without it.
    source : Source
    averages : Averages
    draws : Draws
    settings : Settings
    n_products : float
        Multiply-adds of an update, about.
    """

    data: Any
    parameters: Parameters
    velocity: Parameters
    source: Source
    averages: Averages
    draws: Draws
    settings: Settings
    n_products: float
