"""Ladders of small machines, and the exact distributions of their rungs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from sklearn_rapid.machine.tempering import ladder_of_states

# How often a right sampler fails each test of a distribution; seeds are fixed.
FALSE_ALARM_RATE = 1e-4
BETAS = (0.0, 0.25, 0.5, 1.0, 1.0)
BASE = np.array([0.3, -0.2, 0.0, 0.4, -0.1])


def log_f(exact, v, beta, base=BASE):
    """log f_β(v) = (1-β) a·v + β b·v + Σ_α log 2cosh(β θ_α), from the energies alone."""
    scaled = replace(
        exact, W=beta * exact.W, b=(1 - beta) * base + beta * exact.b, c=beta * exact.c
    )
    return -scaled.free_energy(v)


def probabilities(exact, beta, base=BASE):
    log_p = log_f(exact, exact.visible, beta, base)
    return np.exp(log_p - logsumexp(log_p))


def ladder_at_equilibrium(exact, backend, n_columns, seed=0, betas=BETAS, base=BASE):
    """Every rung drawn from its own distribution."""
    rng = np.random.default_rng(seed)
    numbers = [rng.choice(32, size=n_columns, p=probabilities(exact, b, base)) for b in betas]
    states = exact.visible[np.stack(numbers, axis=1).ravel()]
    return ladder_of_states(
        backend, betas, backend.asarray(base, "float32"), backend.asarray(states, "float32")
    )


def n_columns(backend):
    return 10_000 if backend.xp is np else 3_000


def exact_rejections(exact, betas, base=BASE):
    """1 - E min(1, exp Δ) of each pair, over all pairs of states."""
    rejections = []
    for low, high in itertools.pairwise(betas):
        gain = log_f(exact, exact.visible, high, base) - log_f(exact, exact.visible, low, base)
        accepted = np.exp(np.minimum(0.0, gain[:, None] - gain[None, :]))
        joint = np.outer(probabilities(exact, low, base), probabilities(exact, high, base))
        rejections.append(1.0 - (joint * accepted).sum())
    return np.array(rejections)
