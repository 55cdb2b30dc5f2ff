"""Replace states of latent visible units by means in the model's averages.

Each update compares averages of v_i h_α over states. Couplings to the latent units of the visible
layer are weak before training, and averages over a hundred states of nearly independent spins have
a noise of a tenth, which hides any signal. But

    E[u h] = E[ E[u | h] h ],

and with hidden states h drawn given the rest, the means E[u | h] of the latent units are as small
as the couplings. Columns of X keep their states, with hidden means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.negative_phase import NegativeStates
from sklearn_rapid.training.statistics import Sums


def allows_latent_means(machine: Machine, negative: NegativeStates) -> bool:
    """Whether latent units of the model's states may be replaced by their means.

    Not with patterns, whose noise both layers share: without it in one of them, a fit has ended
    with a mode that chains did not find (docs/design_notes/deep.md). Nor where states have weights
    or their own hidden states, or hidden units are not spins.
    """
    are_plain = negative.weights is None and negative.hidden is None
    return are_plain and machine.hidden_units.are_spins and not machine.couplings.uses_patterns


def use_latent_means(
    sums: Sums,
    machine: Machine,
    negative: NegativeStates,
    n_latent: int,
    offset: Any,
    stream: RandomStream,
) -> Sums:
    """Replace states by means in the sums for the last `n_latent` visible units of the model.

    Parameters
    ----------
    sums : Sums
        Over these states, each with the weight -1/n; its gradient is changed in place.
    machine : Machine
    negative : NegativeStates
        Without weights or their own hidden states.
    n_latent : int
    offset : array of shape (V,) or None
        μ of the sums.
    stream : RandomStream
    """
    backend, xp, states = machine.backend, machine.backend.xp, negative.visible
    n, n_visible = states.shape
    h = machine.sample_hidden(states, stream)
    means = machine.visible_mean(h)
    is_latent = backend.asarray(np.arange(n_visible) >= n_visible - n_latent)[None, :]
    mu = xp.zeros((1, n_visible), dtype=states.dtype) if offset is None else offset[None, :]
    none = xp.zeros_like(states)
    # Subtract the states that the sums have, and add the means.
    drawn, expected = (xp.where(is_latent, v - mu, none) / n for v in (states, means))
    t = machine.hidden_mean(states)
    rows, hidden = xp.concat([drawn, -expected]), xp.concat([t, h])
    gradient = machine.couplings.gradient(rows, hidden, backend, add_to=sums.gradient)
    change = backend.column_sums(means, None) - backend.column_sums(states, None)
    change = xp.where(is_latent[0, :], change, xp.zeros_like(change))
    return replace(sums, gradient=gradient, model_visible=sums.model_visible + change)
