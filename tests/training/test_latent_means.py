"""Latent units by their means: the same gradient on average, and less noise where all is noise."""

import numpy as np
import pytest
from tools.layers import make_machine_of_units, weights_from

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.training.latent_means import use_latent_means
from sklearn_rapid.training.negative_phase import NegativeStates
from sklearn_rapid.training.statistics import RowCounts, row_sums

N_LATENT, N_STATES = 2, 40_000
NO_DATA = np.zeros((1, 4))


def sums_of(machine, states, offset, seed=None):
    """Sums of these states; with latent units by their means if there is a seed."""
    negative, sampler = NegativeStates(states), machine.for_rows(len(states))
    counts = RowCounts(1, len(states))
    sums = row_sums(machine, sampler, NO_DATA, negative, offset, counts, None, True)
    if seed is None:
        return sums
    return use_latent_means(sums, sampler, negative, N_LATENT, offset, RandomStream(seed))


@pytest.mark.parametrize("couplings", ["dense", "patterns"])
@pytest.mark.parametrize("centred", [False, True])
def test_the_gradient_is_the_same_on_average(couplings, centred):
    """Of states from the exact distribution: within five standard errors, or one in a million."""
    machine, exact = make_machine_of_units(
        "spins, spins", get_backend("numba"), couplings=couplings
    )
    offset = np.array([0.3, -0.2, 0.1, 0.4]) if centred else None
    gradients, visible = [], []
    for seed in range(40):
        states = exact.sample_visible(N_STATES // 40, np.random.default_rng(seed))
        drawn = sums_of(machine, states, offset)
        drawn = {k: g.copy() for k, g in drawn.gradient.items()}, drawn.model_visible.copy()
        means = sums_of(machine, states, offset, seed)
        gradients.append({k: means.gradient[k] - drawn[0][k] for k in drawn[0]})
        visible.append((means.model_visible - drawn[1]) / len(states))
        np.testing.assert_array_equal(visible[-1][:-N_LATENT], 0.0)
    for name in gradients[0]:
        check_zero(np.array([g[name] for g in gradients]))
    check_zero(np.array(visible)[:, -N_LATENT:])


def check_zero(values):
    mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(np.abs(mean) <= 5.0 * error + 1e-12)
    assert np.any(error > 0.0)


def test_weak_couplings_have_less_noise():
    """Without couplings latent units say nothing, and by their means they do so to the digit."""
    machine, exact = make_machine_of_units(
        "spins, spins", get_backend("numba"), scale=0.0, biases=False
    )
    states = exact.sample_visible(100, np.random.default_rng(0))
    assert np.all(weights_from({"weights": machine.couplings.weights}) == 0.0)
    drawn = sums_of(machine, states, None).gradient["weights"].copy()
    means = sums_of(machine, states, None, 0)
    np.testing.assert_array_equal(means.gradient["weights"][:-N_LATENT], drawn[:-N_LATENT])
    np.testing.assert_array_equal(means.gradient["weights"][-N_LATENT:], 0.0)
    np.testing.assert_array_equal(means.model_visible[-N_LATENT:], 0.0)
