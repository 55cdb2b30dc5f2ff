"""Weights of a mixture, against a general optimizer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from sklearn_rapid.tasks.mixture.weights import find_weights, keep_largest


@pytest.mark.parametrize("weighted", [False, True])
def test_weights_make_rows_most_likely(weighted):
    rng = np.random.default_rng(0)
    log_p = rng.normal(-5.0, 1.0, size=(4, 200))
    of_rows = rng.random(200) if weighted else None

    def cost(logits):
        return -np.average(logsumexp(log_p + np.log(softmax(logits))[:, None], 0), weights=of_rows)

    best = minimize(cost, np.zeros(4), tol=1e-10)
    found = find_weights(log_p, of_rows)
    np.testing.assert_allclose(found, softmax(best.x), atol=0.01)
    assert cost(np.log(np.maximum(found, 1e-300))) <= best.fun + 1e-4


def test_a_member_without_a_chance_has_no_weight():
    log_p = np.array([[-1.0, -1.0, -2.0], [-np.inf, -9.0, -9.0]])
    assert find_weights(log_p)[1] < 1e-3


def test_small_weights_go():
    kept = keep_largest(np.array([0.004, 0.5, 0.3, 0.006, 0.19]), 0.01, 2, always=0, share=0.01)
    np.testing.assert_allclose(kept, [0.01, 0.99 * 5 / 8, 0.99 * 3 / 8, 0.0, 0.0])
    alone = keep_largest(np.array([0.001, 0.999]), 0.01, 0, always=0, share=0.01)
    assert alone.tolist() == [1.0, 0.0]
