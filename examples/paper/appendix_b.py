"""
From continuous updates back to spins (appendix B)
==================================================

Updates take patterns away from ±1. The paper brings them back in three ways: by their sign, by a
bound x on their size, or by Gibbs steps that draw each part of a pattern given the other. It says
that signs too often erase what was learned, since no update is large enough to change one; that
signs too rarely do as well, since elements drift too far; that a larger learning rate is another
way out; that the value of x matters little; and that Gibbs steps are for small learning rates.

Measured here: the distance of completed images (appendix C, first row kept, 10 steps, coins
0.375) of the 10 train and 4 test images of 4x4 bars, the share of pattern elements whose sign is
not that from which they started, and the mean size of their visible parts. All is as in
`appendix_c.py`, with 4 updates an epoch, but for what is named. A bound is tried with pure PID
and, as the paper uses it on MNIST, with 10 Gibbs steps from the patterns.

Full: 20 machines each, six minutes on one core. Quick: 2 of 100 epochs, under a minute.

    python examples/paper/appendix_b.py [--quick] [--seeds N] [--save FIGURE.png]
"""

import matplotlib.pyplot as plt
import numpy as np
import paper
from appendix_c import WAYS, distance, paper_split, rapid

from sklearn_rapid.training.optimizers import ExponentialDecay

FIGURES = ("train", "test", "share of changed signs", "mean |ξ_v|")
TEXT = next(iter(WAYS.values()))
KINDS = {
    "sign every update": {"projection_period": "update"},
    "sign every 2 updates": {"projection_period": 2},
    "sign every epoch (paper)": {},
    "sign every 4 epochs": {"projection_period": 16},
    "sign every 16 epochs": {"projection_period": 64},
    "no projection": {"projection": None},
    "sign every update, rate × 10": {"projection_period": "update", "rate": 0.2},
    "sign every update, rate × 50": {"projection_period": "update", "rate": 1.0},
    "|ξ| ≤ 1, PID": {"projection": "clip"},
    "|ξ| ≤ 0.5, PID + 10": {"projection": "clip", "pattern_bound": 0.5, "n_gibbs_steps": 10},
    "|ξ| ≤ 1, PID + 10": {"projection": "clip", "pattern_bound": 1.0, "n_gibbs_steps": 10},
    "|ξ| ≤ 2, PID + 10": {"projection": "clip", "pattern_bound": 2.0, "n_gibbs_steps": 10},
    "Gibbs every update": {"projection": "gibbs"},
    "Gibbs every update, rate / 10": {"projection": "gibbs", "rate": 0.002},
    "Gibbs every epoch": {"projection": "gibbs", "projection_period": "epoch"},
}


def machine(seed, quick, *, rate=0.02, n_gibbs_steps=0, **how):
    """The paper's machine with another way back to spins."""
    if how.get("projection") in ("clip", "gibbs"):
        how = {"projection_period": "update", **how}
    return rapid(seed, quick).set_params(
        learning_rate=ExponentialDecay(rate, 0.96, floor=1e-5),
        negative_phase__n_gibbs_steps=n_gibbs_steps,
        **how,
    )


def elements(model):
    """All pattern elements."""
    return np.hstack([model.visible_patterns_, model.hidden_patterns_])


def run(seed, quick, how):
    """Distances on train and test images, the share of changed signs, and the size of patterns."""
    train, test = paper_split()
    untrained = rapid(seed, quick).set_params(learning_rate=1e-12, max_iter=1).fit(train)
    model = machine(seed, quick, **how).fit(train)
    changed = np.mean(elements(model) * elements(untrained) < 0)
    size = np.mean(np.abs(model.visible_patterns_))
    return [*(distance(model, X, TEXT, seed) for X in (train, test)), changed, size]


def draw(found):
    """Train and test distances of each way, each machine a dot."""
    figure, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
    rows = np.arange(len(found))
    for i, (name, color) in enumerate((("train", "tab:blue"), ("test", "tab:orange"))):
        for row, runs in zip(rows, found.values(), strict=True):
            label = name if row == 0 else None
            y = row + 0.3 * i - 0.15
            ax.plot(runs[:, i], np.full(len(runs), y), ".", color=color, alpha=0.3)
            ax.plot(runs[:, i].mean(), y, "d", color=color, label=label)
    ax.axvline(0.375, color="tab:gray", linestyle=":", label="coins")
    ax.set_yticks(rows, list(found))
    ax.invert_yaxis()
    ax.set_xlabel("Hamming distance of completed images (diamonds: means)")
    ax.legend(loc="lower right", fontsize=8)
    return figure


def main():
    """Train, print and draw."""
    chosen = paper.options(__doc__, seeds=20, quick_seeds=2)
    found = {}
    for name, how in KINDS.items():
        found[name] = np.array([run(seed, chosen.quick, how) for seed in chosen.seeds])
        print(f"{name}:", flush=True)
        for what, values in zip(FIGURES, found[name].T, strict=True):
            paper.report(f"  {what}", values)
    paper.finish(draw(found), chosen)


if __name__ == "__main__":
    main()
