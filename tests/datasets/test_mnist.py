"""The main job on MNIST: likelihood, hidden features, stability. Skipped where MNIST is absent."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_datasets import real_data_home

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import fetch_mnist

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(real_data_home() is None, reason="MNIST's files are not here"),
]


@pytest.fixture(scope="module")
def mnist():
    X, y = fetch_mnist(real_data_home(), download_if_missing=False, return_X_y=True)
    X = (X > 127).astype(np.uint8)
    return X[:60000], X[60000:], y[:60000], y[60000:]


@pytest.fixture(scope="module")
def model(mnist):
    """Defaults but for H, K and the number of epochs."""
    return RARBM(500, 190, max_iter=15, random_state=0).fit(mnist[0])


def test_likelihood(model, mnist):
    """Better than ninety nats, by four errors of log Z."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        log_z = model.log_partition(tol=0.2, max_sweeps=2000)
    nats = -model.free_energy(mnist[1]).mean() - log_z.value
    assert log_z.error < 0.5
    assert nats - 4.0 * log_z.error > -90.0


def test_features(model, mnist):
    """A linear classifier on hidden means gets 95 % right; on pixels it gets 92 %."""
    X, X_test, y, y_test = mnist
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(model.transform(X), y)
    assert probe.score(model.transform(X_test), y_test) > 0.95


def test_patterns_do_not_run_into_their_bound(model):
    """Which is how training with too large a rate ends: the chains freeze, unseen."""
    assert np.mean(np.abs(model.visible_patterns_) >= 1.0) < 0.01
    assert np.mean(np.abs(model.hidden_patterns_) >= 1.0) < 0.01
