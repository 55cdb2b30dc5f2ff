"""Fused updates: the contract by which a backend makes many training updates in one call.

The training loop (`sklearn_rapid.training`) defines an update, by the backend's other methods. Here
the same update is arrays and numbers, for backends that need no interpreter between its parts; the
two agree up to rounding.

With data rows and model states v_n of weights w_n (1 / n each, negative for the model's), their
hidden means t_n, and offsets μ and λ, an update goes along the gradient of
Σ_n w_n (v_n - μ)ᵀ W (t_n - λ). The step length is such that energies change by a given amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# Where the Gibbs steps of the model states start.
FROM_DATA, FROM_CHAINS, FROM_PATTERNS = range(3)
# Projections of the patterns.
NO_PROJECTION, SIGN, CLIP = range(3)
# Added to a variance of energy changes, so that no change gives a step of length 0, not 0 / 0.
NO_CURVATURE = 1e-300


class Parameters(NamedTuple):
    """Trained arrays, or arrays of their shapes; those that a model does not have are empty.

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
    """The source of model states: the chains, which change in place, and how they move.

    Attributes
    ----------
    kind : {FROM_DATA, FROM_CHAINS, FROM_PATTERNS}
        Gibbs steps from the batch, from `states`, or from the signs of the visible patterns.
    n_steps : int
        Gibbs steps, or sweeps of a ladder, in an update.
    states : array of shape (n, V)
        The chains; of a ladder, the replicas column by column.
    betas : array of shape (n_rungs,)
        Inverse temperatures of the ladder; empty without one.
    n_cold : int
        Rungs at β = 1, whose replicas are model states; 0 without a ladder.
    base : array of shape (V,)
        Fields of the visible units at β = 0.
    parity : int
        Parity of the pairs in the ladder's next sweep.
    origin, arrivals : arrays
        See `Tempered`.
    log_ratios : array of shape (n_sweeps of all updates, n)
        See `Tempered`; written by the updates.
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
    """Running averages, updated in place.

    Attributes
    ----------
    visible_offset : array of shape (V,)
        The mean spin of all rows seen (float64).
    hidden_offset : array of shape (H,)
        A moving average of E[h] over the data.
    counts : array of shape (3,)
        Rows so far, updates so far, and 1 if there is a hidden offset already (int64).
    """

    visible_offset: Any
    hidden_offset: Any
    counts: Any


class Draws(NamedTuple):
    """Names of the random numbers: the draws of update k begin at ``first + k * spacing``."""

    key0: Any
    key1: Any
    first: Any
    spacing: Any


class Settings(NamedTuple):
    """Hyperparameters of the updates; see `sklearn_rapid.training`.

    Attributes
    ----------
    batch_size : int
        Rows of an update; the last one may have fewer.
    scale : float
        Scale of the product of patterns, 1/√K.
    maps_by_weights : bool
        Whether rows are mapped by W, formed from the patterns if necessary.
    gradient_by_weights : bool
        Whether the gradient in the patterns is computed from the gradient in W.
    changes_by_rows : bool
        Whether energy changes are computed before the gradient, from products of rows.
    has_biases, is_centered : bool
        Whether biases are trained, and layers centred.
    is_scaled : bool
        Whether `rate` is the length of a step in nats per square root of a visible unit.
    rate, step_share, momentum : float
    hidden_offset_rate, full_variance, full_step_rows : float
    largest_overshoot, smallest_curvature : float
    n_probed : int
        Data rows, and model states, in which the spread of energy changes is measured.
    l1, l2 : float
    penalized_rows : int
        Rows to which the penalties refer; 0 is the number seen so far.
    ramp_updates : int
    projection : {NO_PROJECTION, SIGN, CLIP}
    period : int
        Updates between two projections; 0 is none, except maybe after the last update.
    projects_last : bool
        Whether patterns are projected after the last update.
    bound : float
        Largest absolute value for CLIP.
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
class FusedUpdates:
    """Updates to make in one call, with all arrays that they change in place.

    Attributes
    ----------
    data : array of shape (n, V)
        Spins or mean spins, batch by batch.
    parameters : Parameters
    velocity : Parameters
        The running sum of gradients, with momentum; all empty without it.
    source : Source
    averages : Averages
    draws : Draws
    settings : Settings
    n_products : float
        About the number of multiply-adds in an update.
    """

    data: Any
    parameters: Parameters
    velocity: Parameters
    source: Source
    averages: Averages
    draws: Draws
    settings: Settings
    n_products: float
