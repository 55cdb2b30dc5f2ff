"""Latent units of the model's states: counted by their means, not by what was drawn.

Each update compares averages of v_i h_α over states. Where couplings to the latent units on the
visible side are weak, as all are before training, their states are as good as coins: in a hundred
states, products of coins have an average of a tenth, which is no signal. But

    E[u h] = E[ E[u | h] h ],

and with hidden states h that are drawn given the rest, the means E[u | h] of the latent units are
as small as the couplings. Columns that rows show keep their states, with hidden means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.negative_phase import NegativeStates
from sklearn_rapid.training.statistics import Sums


def can_be_means(machine: Machine, negative: NegativeStates) -> bool:
    """Whether latent units of the model's states may be counted by their means.

    Not with patterns, which share their noise between layers: with it gone from one of them, a fit
    has ended with a mode that chains did not find (docs/design_notes/deep.md). Nor where states
    have weights or hidden parts of their own, or hidden units are not spins.
    """
    are_plain = negative.weights is None and negative.hidden is None
    return are_plain and machine.hidden_units.are_spins and not machine.couplings.uses_patterns


def with_latent_means(
    sums: Sums,
    machine: Machine,
    negative: NegativeStates,
    n_latent: int,
    offset: Any,
    stream: RandomStream,
) -> Sums:
    """The sums, with the last `n_latent` visible units of the model's states counted by means.

    Parameters
    ----------
    sums : Sums
        Of these states, each with the weight -1/n; its gradient is changed in place.
    machine : Machine
    negative : NegativeStates
        Without weights or hidden parts of their own.
    n_latent : int
    offset : array of shape (V,) or None
        μ, that of the sums.
    stream : RandomStream
    """
    backend, xp, states = machine.backend, machine.backend.xp, negative.visible
    n, n_visible = states.shape
    h = machine.sample_hidden(states, stream)
    means = machine.visible_mean(h)
    is_latent = backend.asarray(np.arange(n_visible) >= n_visible - n_latent)[None, :]
    mu = xp.zeros((1, n_visible), dtype=states.dtype) if offset is None else offset[None, :]
    none = xp.zeros_like(states)
    # What was counted is taken back, and the other counted.
    drawn, expected = (xp.where(is_latent, v - mu, none) / n for v in (states, means))
    t = machine.hidden_mean(states)
    rows, hidden = xp.concat([drawn, -expected]), xp.concat([t, h])
    gradient = machine.couplings.gradient(rows, hidden, backend, add_to=sums.gradient)
    change = backend.column_sums(means, None) - backend.column_sums(states, None)
    change = xp.where(is_latent[0, :], change, xp.zeros_like(change))
    return replace(sums, gradient=gradient, model_visible=sums.model_visible + change)
