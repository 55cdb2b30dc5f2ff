"""Who competes in quality.py: fits from scratch, of a number of epochs, on rows of 0 and 1.

Rivals hand back their weights, which `read` makes a model of ours of, so that all likelihoods are
measured by one log Z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from sklearn.neural_network import BernoulliRBM

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.training.optimizers import SGD


class BinaryWeights(NamedTuple):
    """Parameters of units 0 and 1: W of shape (V, H), biases of V and of H units."""

    weights: np.ndarray
    visible_bias: np.ndarray
    hidden_bias: np.ndarray


@dataclass
class Contestant:
    """A way to fit a model.

    Attributes
    ----------
    fit : callable
        Of X, the data set's settings, a number of epochs and a choice: a model of ours, or
        `BinaryWeights`.
    choices : tuple of dict
        Parameters to choose from.
    dtype : str
        In which it takes rows as they are.
    package : str
        What it is of.
    """

    fit: Callable
    choices: tuple = ({},)
    dtype: str = "uint8"
    package: str = "sklearn_rapid"


def rbm(X, settings, n_epochs, **choice):
    """RBM with its defaults, and what is chosen."""
    return RBM(settings.n_components, max_iter=n_epochs, random_state=0, **choice).fit(X)


def rarbm(X, settings, n_epochs):
    """RARBM with its defaults."""
    sizes = settings.n_components, settings.n_patterns
    return RARBM(*sizes, max_iter=n_epochs, random_state=0).fit(X)


def plain_steps(X, settings, n_epochs, **choice):
    """RBM with a fixed rate on the gradient, and plain persistent chains."""
    plain = {"optimizer": SGD(scaled=False), "negative_phase": "pcd"}
    return rbm(X, settings, n_epochs, **plain, **choice)


def bernoulli(X, settings, n_epochs, **choice):
    """scikit-learn's, defaults but for what is chosen."""
    model = BernoulliRBM(settings.n_components, n_iter=n_epochs, random_state=0, **choice).fit(X)
    return BinaryWeights(model.components_.T, model.intercept_visible_, model.intercept_hidden_)


def rbms(n_rows, n_gibbs_steps):
    """The training loop of rbms (`rbms.training.pcd.train`) without its files.

    Batches and chains are of so many rows, and each update takes so many Gibbs steps.
    """

    def fit(X, settings, n_epochs, learning_rate):
        import torch
        from rbms.bernoulli_bernoulli.classes import BBRBM
        from rbms.training.pcd import fit_batch_pcd

        torch.manual_seed(0)
        data = torch.from_numpy(X)
        n = min(n_rows, len(data))
        like = SimpleNamespace(data=data)
        with torch.no_grad():
            model = BBRBM.init_parameters(settings.n_components, like, "cpu", data.dtype)
            model.init_grad()
            optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, maximize=True)
            chains = model.sample_state(model.init_chains(n), n_gibbs_steps)
            for _ in range(n_epochs * math.ceil(len(data) / n)):
                batch = data[torch.randperm(len(data))[:n]], torch.ones(n)
                chains, _ = fit_batch_pcd(batch, chains, model, n_gibbs_steps, 1.0)
                optimizer.step()
        return BinaryWeights(*(p.numpy() for p in model.parameters()))

    return fit


def read(fitted: Any, X: np.ndarray) -> RBM | RARBM:
    """A fitted model, or the one of spins that `BinaryWeights` amount to: v = (1 + s) / 2."""
    if not isinstance(fitted, BinaryWeights):
        return fitted
    weights, visible_bias, hidden_bias = (p.astype(np.float64) for p in fitted)
    weights = weights / 4
    model = RBM(len(hidden_bias), max_iter=1, random_state=0).fit(X[:100])
    model.components_ = weights.T.astype(np.float32)
    model.intercept_visible_ = (visible_bias / 2 + weights.sum(axis=1)).astype(np.float32)
    model.intercept_hidden_ = (hidden_bias / 2 + weights.sum(axis=0)).astype(np.float32)
    return model


RATES = tuple({"learning_rate": rate} for rate in (0.1, 0.03, 0.01))
BATCHES = tuple({"batch_size": n, **rate} for n in (10, 100) for rate in RATES)
# rbms divides the gradient by its norm: its rates are lengths of steps.
LENGTHS = tuple({"learning_rate": length} for length in (1.0, 0.1))
CONTESTANTS = {
    "RBM, defaults": Contestant(rbm),
    "RARBM, defaults": Contestant(rarbm),
    "RBM, plain steps": Contestant(plain_steps, RATES),
    "BernoulliRBM": Contestant(bernoulli, BATCHES, "float32", "sklearn"),
    "rbms, defaults": Contestant(rbms(2000, 100), ({"learning_rate": 0.01},), "float32", "rbms"),
    "rbms, 1 step, 100 rows": Contestant(rbms(100, 1), LENGTHS, "float32", "rbms"),
}
