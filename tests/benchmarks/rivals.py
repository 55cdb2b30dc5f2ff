"""What a user would run instead: the paper's update in PyTorch, rbms, scikit-learn, NumPy.

Each maker returns a function that does the work once, or raises ImportError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


class TorchRARBM:
    """The paper's update (Pozas-Kerstjens et al. 2021, eqs. 5, A7a and A7b) in plain PyTorch.

    Parameters
    ----------
    n_visible, n_hidden, n_patterns : int
    as_printed : bool
        True evaluates the equations one by one: W as a sum over patterns of outer products, the
        hidden means of each set of states once in each gradient (as the authors' published
        script of 2020 does). False forms W by a matrix product and shares the means.
    device : str, default="cpu"
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        n_patterns: int,
        as_printed: bool,
        device: str = "cpu",
    ) -> None:
        import torch

        torch.set_grad_enabled(False)
        self.torch, self.as_printed, self.scale = torch, as_printed, n_patterns**-0.5
        signs = torch.randint(0, 2, (n_patterns, n_visible + n_hidden), device=device) * 2.0 - 1.0
        self.visible, self.hidden = signs[:, :n_visible].clone(), signs[:, n_visible:].clone()
        self.form_weights()

    def form_weights(self) -> None:
        """Equation 5."""
        if self.as_printed:
            outer = self.visible.unsqueeze(2) * self.hidden.unsqueeze(1)
            self.weights = outer.sum(0) * self.scale
        else:
            self.weights = (self.visible.T * self.scale) @ self.hidden

    def from_patterns(self, n_gibbs_steps: int) -> Any:
        """Visible states after Gibbs steps from the patterns."""
        torch = self.torch
        v = torch.where(self.visible >= 0, 1.0, -1.0)
        for _ in range(n_gibbs_steps):
            h = 2.0 * torch.bernoulli(torch.sigmoid(2.0 * (v @ self.weights))) - 1.0
            v = 2.0 * torch.bernoulli(torch.sigmoid(2.0 * (h @ self.weights.T))) - 1.0
        return v

    def gradients(self, v: Any) -> tuple[Any, Any]:
        """Means over states of the right-hand sides of A7a and A7b."""
        means = self.torch.tanh(v @ self.weights)
        visible = (means @ self.hidden.T).T @ v
        if self.as_printed:
            means = self.torch.tanh(v @ self.weights)
        hidden = (v @ self.visible.T).T @ means
        return visible * (self.scale / len(v)), hidden * (self.scale / len(v))

    def update(self, data: Any, n_gibbs_steps: int, rate: float, clip: bool) -> None:
        """One update, the patterns clipped to [-1, 1] if wanted."""
        of_model = self.gradients(self.from_patterns(n_gibbs_steps))
        for p, plus, minus in zip(
            (self.visible, self.hidden), self.gradients(data), of_model, strict=True
        ):
            p += rate * (plus - minus)
            if clip:
                p.clamp_(-1.0, 1.0)
        self.form_weights()


def torch_update(
    data: np.ndarray,
    n_hidden: int,
    n_patterns: int,
    n_gibbs_steps: int,
    as_printed: bool,
    device: str = "cpu",
    repeats: int = 1,
) -> Callable:
    """Updates by `TorchRARBM`; what it returns waits for the device."""
    model = TorchRARBM(data.shape[1], n_hidden, n_patterns, as_printed, device)
    batch = model.torch.from_numpy(data).to(device)

    def run() -> None:
        for _ in range(repeats):
            model.update(batch, n_gibbs_steps, 1e-4, clip=True)
        model.visible[0, 0].item()

    return run


def torch_bars(data: np.ndarray, max_iter: int, as_printed: bool) -> Callable:
    """All of the paper's training on 4 x 4 bars: pure PID, batches of 3, signs every epoch."""
    model = TorchRARBM(data.shape[1], 1000, 8, as_printed)
    rows, torch = model.torch.from_numpy(data), model.torch

    def train() -> None:
        rate = 0.02
        for _ in range(max_iter):
            for batch in torch.randperm(len(rows)).split(3):
                model.update(rows[batch], 0, rate, clip=False)
            for p in (model.visible, model.hidden):
                p.copy_(torch.where(p >= 0, 1.0, -1.0))
            model.form_weights()
            rate = max(rate * 0.96, 1e-5)

    return train


def _rbms_model(n_visible: int, n_hidden: int) -> Any:
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM

    torch.set_grad_enabled(False)
    weights = 0.01 * torch.randn(n_visible, n_hidden)
    return BBRBM(weights, torch.zeros(n_visible), torch.zeros(n_hidden))


def rbms_update(bits: np.ndarray, n_hidden: int, n_gibbs_steps: int) -> Callable:
    """One PCD update with as many chains as rows, centred gradient, plain SGD."""
    model = _rbms_model(bits.shape[1], n_hidden)
    import torch
    from rbms.training.pcd import fit_batch_pcd

    model.init_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    state = {"chains": model.init_chains(num_samples=len(bits))}
    batch = torch.from_numpy(bits), torch.ones(len(bits))

    def update() -> None:
        state["chains"], _ = fit_batch_pcd(batch, state["chains"], model, n_gibbs_steps, 1.0)
        optimizer.step()

    return update


def rbms_ais(n_visible: int, n_hidden: int, n_chains: int, n_temperatures: int) -> Callable:
    """log Z of a dense model by annealed importance sampling."""
    from rbms.partition_function.ais import compute_partition_function_ais

    model = _rbms_model(n_visible, n_hidden)
    return lambda: compute_partition_function_ais(n_chains, n_temperatures, model)


def bernoulli_epoch(bits: np.ndarray, n_hidden: int, batch_size: int) -> Callable:
    """An epoch of scikit-learn's BernoulliRBM: stochastic maximum likelihood, one step."""
    from sklearn.neural_network import BernoulliRBM

    return lambda: BernoulliRBM(
        n_hidden, batch_size=batch_size, n_iter=1, learning_rate=0.01, random_state=0
    ).fit(bits)


def numpy_log_z(weights: np.ndarray, visible_bias: np.ndarray, block: int = 4096) -> Callable:
    """log Z as a blocked product over all states of the visible layer."""
    n_visible = weights.shape[0]

    def compute() -> float:
        parts = []
        for start in range(0, 2**n_visible, block):
            numbers = np.arange(start, start + block)[:, None]
            v = (2 * (numbers >> np.arange(n_visible) & 1) - 1).astype(np.float32)
            size = np.abs(v @ weights)
            log_cosh = np.sum(size + np.log1p(np.exp(-2.0 * size)), axis=1, dtype=np.float64)
            parts.append(log_cosh + v @ visible_bias)
        log_p = np.concatenate(parts)
        return math.log(np.sum(np.exp(log_p - log_p.max()))) + log_p.max()

    return compute
