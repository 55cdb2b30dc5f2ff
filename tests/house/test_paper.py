"""What the scripts of examples/paper change in the training loop, against plain formulas."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sklearn_rapid import RARBM
from sklearn_rapid.training.optimizers import SGD

PUBLISHED = Path(__file__).parents[2] / "examples" / "paper" / "published.py"
RATE, BATCH_SIZE = 0.05, 8


def published():
    spec = importlib.util.spec_from_file_location("published", PUBLISHED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain_updates(xi_v, xi_h, phases, whole):
    """The authors' updates: the sum over images by the rows of a whole batch, then a bound."""
    n_patterns = len(xi_v)
    for data, states in phases:
        gradient_v, gradient_h = 0.0, 0.0
        for v, weight in ((data, 1 / (whole or len(data))), (states, -1 / n_patterns)):
            t = np.tanh(v @ xi_v.T @ xi_h / np.sqrt(n_patterns))
            gradient_v = gradient_v + weight * xi_h @ t.T @ v / np.sqrt(n_patterns)
            gradient_h = gradient_h + weight * xi_v @ v.T @ t / np.sqrt(n_patterns)
        xi_v = np.clip(xi_v + RATE * gradient_v, -1, 1)
        xi_h = np.clip(xi_h + RATE * gradient_h, -1, 1)
    return xi_v, xi_h


@pytest.mark.parametrize("whole", [BATCH_SIZE, None])
def test_published_updates(whole):
    """Two epochs of batches of 8, 8 and 3 rows, the last in proportion or like the others."""
    module, phases = published(), []

    class Recorded(module.PublishedPhase):
        def states(self, machine, data, chains, stream):
            negative, chains = super().states(machine, data, chains, stream)
            phases.append([np.array(x, dtype=float) for x in (data, negative.visible)])
            return negative, chains

    X = np.random.default_rng(0).integers(0, 2, (19, 16))
    model = RARBM(
        n_components=12,
        n_patterns=5,
        batch_size=BATCH_SIZE,
        init_scale=1.0,
        fit_intercept=False,
        optimizer=SGD(scaled=False),
        learning_rate=1e-12,  # the first update changes nothing
        warm_start=True,
        dtype="float64",
        random_state=0,
    ).partial_fit(X)
    before = model.visible_patterns_.copy(), model.hidden_patterns_.copy()
    phase, optimizer = Recorded(1, whole), module.PublishedSGD(len(X), whole)
    model.set_params(negative_phase=phase, optimizer=optimizer, learning_rate=RATE, max_iter=2)
    model.fit(X)

    assert [len(data) for data, _ in phases] == [8, 8, 3, 8, 8, 3]
    expected = plain_updates(*before, phases, whole)
    assert np.abs(expected[0] - before[0]).max() > RATE
    np.testing.assert_allclose(model.visible_patterns_, expected[0], atol=1e-12)
    np.testing.assert_allclose(model.hidden_patterns_, expected[1], atol=1e-12)
