"""Independent columns have the means of all rows, whatever rows a fit looks at first."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_rapid import RBM, BoltzmannDensity
from sklearn_rapid.estimators.base import fit_independent_columns


@pytest.mark.parametrize("weights", [None, np.ones(180)], ids=["alike", "ones"])
def test_biases_are_those_of_counts_and_a_row_in_no_field(weights):
    X = (np.random.default_rng(0).random((180, 3)) < 0.2).astype(int)
    p = (X.sum(axis=0) + 0.5) / 181.0
    expected = 0.5 * np.log(p / (1.0 - p))
    model = RBM(1, init_scale=0.0, max_iter=1, random_state=0)
    fit_independent_columns(model, X, weights)
    np.testing.assert_allclose(model.intercept_visible_, expected, rtol=1e-5)
    for seed in (0, 1):
        density = BoltzmannDensity(visible="binary", candidates=[], random_state=seed)
        log_p = density.fit(X, sample_weight=weights).score_samples(X)
        by_hand = np.where(X == 1, np.log(p), np.log(1.0 - p)).sum(axis=1)
        np.testing.assert_allclose(log_p, by_hand, rtol=1e-5)
