"""The centred parametrisation: offsets of both layers, and biases that follow the couplings.

    E(v, h) = -(v - μ)ᵀ W (h - λ) - b'·v - c'·h,    b' = b + Wλ,    c' = c + Wᵀμ

(Melchior, Fischer, Wiskott 2016). μ is the mean of all rows seen, λ a moving average of E[h] over
the data. Steps are those of W, b' and c': when W moves, b and c follow it.
"""

from __future__ import annotations

from typing import Any

from sklearn_rapid.machine.couplings import Arrays
from sklearn_rapid.training.state import TrainingState

# Melchior, Fischer, Wiskott (2016) move the hidden offset by a hundredth a batch.
HIDDEN_OFFSET_RATE = 0.01


def visible_offset(state: TrainingState) -> Any:
    """Return μ in the dtype of the parameters."""
    machine = state.machine
    return machine.backend.xp.astype(state.visible_offset, machine.visible_bias.dtype)


def move_visible_offset(state: TrainingState, mean: Any, n_rows: int) -> None:
    """Move μ to the mean of all rows seen, given the mean of `n_rows` new ones."""
    state.n_rows += n_rows
    share = n_rows / state.n_rows
    state.visible_offset = (1.0 - share) * state.visible_offset + share * mean


def move_hidden_offset(state: TrainingState, mean: Any) -> None:
    """Move λ towards the hidden means of a batch."""
    if state.hidden_offset is None:
        state.hidden_offset = mean
    r = max(HIDDEN_OFFSET_RATE, 1.0 / (state.n_updates + 1))
    state.hidden_offset = (1.0 - r) * state.hidden_offset + r * mean


def center_gradient(
    state: TrainingState, gradient: Arrays, before: Any, visible_gap: Any, hidden_gap: Any
) -> Arrays:
    """Turn a gradient in the couplings, centred at an earlier μ alone, into that at μ and λ.

    Σ_n w_n (v_n - μ)ᵀ W (t_n - λ) has two rows more. The gradient is changed in place.

    Parameters
    ----------
    state : TrainingState
    gradient : dict of arrays
    before : array of shape (V,)
        The μ of the gradient.
    visible_gap, hidden_gap : array of shape (V,), (H,)
        Means over the data less those over the model's states.
    """
    machine, xp = state.machine, state.machine.backend.xp
    moved = before - visible_offset(state)
    v = xp.concat([-visible_gap[None, :], moved[None, :]])
    t = xp.concat([state.hidden_offset[None, :], hidden_gap[None, :]])
    return machine.couplings.gradient(v, t, machine.backend, add_to=gradient)


def mean_fields(state: TrainingState) -> tuple[Any, Any]:
    """Compute Wλ and Wᵀμ."""
    machine, backend = state.machine, state.machine.backend
    no_b, no_c = map(backend.xp.zeros_like, (machine.visible_bias, machine.hidden_bias))
    down, up = machine.couplings.to_visible(no_b), machine.couplings.to_hidden(no_c)
    of_hidden = backend.field(state.hidden_offset[None, :], down)[0, :]
    return of_hidden, backend.field(visible_offset(state)[None, :], up)[0, :]
