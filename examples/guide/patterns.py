"""
Regularized axons in pictures
=============================

What the patterns of an `RARBM` are, why they lie low in energy, and how pattern-induced
correlations use them in training (Pozas-Kerstjens et al. 2021). The equations are in
:doc:`/guide/patterns`.
"""

# %%
# Couplings made of patterns
# --------------------------
# Eight patterns, trained on the fourteen images of 4 × 4 bars. A pattern has a visible part,
# shown here as an image, and a hidden part. The couplings of a hidden unit are a sum of the
# visible parts, each with the sign and size of the unit's own entry in the hidden part.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import make_bars
from sklearn_rapid.diagnostics import mattis_magnetization, singular_values
from sklearn_rapid.diagnostics.displays import PatternsDisplay, SamplesDisplay
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations

bars = make_bars(4)
model = RARBM(n_components=32, n_patterns=8, batch_size=7, max_iter=1000, random_state=0)
model.fit(bars)
print(f"{model.score(bars):.1f} nats; the best possible: {-np.log(14):.1f}")

figure, axes = plt.subplots(1, 3, figsize=(9, 2.4), layout="constrained", width_ratios=[14, 8, 8])
SamplesDisplay(bars).plot(axes[0], n_columns=7)
PatternsDisplay.from_estimator(model, ax=axes[1], n_columns=4)
PatternsDisplay.from_estimator(model, which="hidden_units", n_images=8, ax=axes[2], n_columns=4)
for ax, title in zip(axes, ["data", "visible parts", "couplings of 8 hidden units"], strict=True):
    ax.set_title(title)

# %%
# W has rank K at most. Bars are four columns that are each on or off, and four directions carry
# most of W.

print(np.round(singular_values(model), 2))

# %%
# Random patterns lie low
# -----------------------
# With 16 pixels there are 65,536 images, and each one's free energy can be computed. Before any
# training, with K random patterns: how many images lie lower than a pattern does? Almost none as
# long as K is small beside the numbers of units. As in a Hopfield network, the patterns
# are memories until there are too many of them.

images = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
spins = 2.0 * images - 1.0


def share_below(free_energies, levels):
    """Which share of the free energies lies below each level."""
    return (free_energies[:, None] < levels - 1e-6).mean(axis=0)


rng = np.random.default_rng(0)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for n_hidden, shift in ((32, 0.96), (1000, 1.04)):
    ks, shares = [], []
    for k in (2, 4, 8, 16):
        visible, hidden = rng.choice([-1.0, 1.0], (k, 16)), rng.choice([-1.0, 1.0], (k, n_hidden))
        w = visible.T @ hidden / np.sqrt(k)
        f_all, f_patterns = (-np.logaddexp(v @ w, -v @ w).sum(axis=1) for v in (spins, visible))
        ks += k * [k * shift]
        shares += list(share_below(f_all, f_patterns))
    ax.plot(ks, np.maximum(shares, 1e-5), "o", alpha=0.6, label=f"{n_hidden} hidden units")
ax.set(xlabel="patterns K", ylabel="share of images below", xscale="log", yscale="log")
ax.set_xticks([2, 4, 8, 16], [2, 4, 8, 16])
ax.set_xticks([], minor=True)
_ = ax.legend()

# %%
# (A point is a pattern; those with no image below are drawn at 1e-5.)
#
# Trained patterns do less so
# ---------------------------
# Training moves the low energies to the data. The same for the model of bars: for each pattern's
# signs, the share of images that lie lower, sorted; and the largest such share for the data.

f_all, f_bars, f_patterns = (
    model.free_energy(rows) for rows in (images, bars, model.visible_patterns_ > 0)
)
print("patterns:", " ".join(f"{share:.2%}" for share in np.sort(share_below(f_all, f_patterns))))
print(f"data: {share_below(f_all, f_bars).max():.2%}")

figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
ax.hist(f_all, bins=100, color="lightgrey", label="all images")
ax.set_yscale("log")
ax.plot(f_bars, np.full(f_bars.size, 3.0), "|", ms=14, label="data")
ax.plot(f_patterns, np.full(f_patterns.size, 30.0), "|", ms=14, label="signs of the patterns")
ax.set(xlabel="free energy (nats)", ylabel="images")
_ = ax.legend()

# %%
# From patterns to samples
# ------------------------
# Patterns are places to start chains from. Gibbs steps from the signs of the 64 patterns of a
# model of digits, and the mean log-likelihood of where they get to:

digits = load_digits().data > 8
model = RARBM(n_components=256, n_patterns=64, max_iter=50, random_state=0).fit(digits)
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for ax, n in zip(axes, [0, 1, 10, 1000], strict=True):
    states = model.sample(64, n_gibbs_steps=n, init="patterns", random_state=0)
    SamplesDisplay(states).plot(ax)
    ax.set_title(f"{n} steps: {model.score(states):.1f} nats")

# %%
# The digits themselves have

print(f"{model.score(digits):.1f} nats")

# %%
# A digit overlaps a little with many patterns and is none of them: patterns are features.

overlaps = np.abs(mattis_magnetization(model, digits))
print(f"largest overlap of a digit with a pattern: {overlaps.max(axis=1).mean():.2f} of 1")
print(f"patterns of 64 with an overlap beyond 0.2: {(overlaps > 0.2).sum(axis=1).mean():.1f}")

# %%
# Three ways to use them
# ----------------------
# *Pure* pattern-induced correlations compare the data with the patterns alone. Or Gibbs steps
# start from the patterns at every update. Or, the default, chains start from the patterns once
# and then live on. Log-likelihoods of the digits, 50 epochs each, one seed:

phases = {
    "pure": PatternInducedCorrelations(n_gibbs_steps=0, persistent=False),
    "10 steps, restarted": PatternInducedCorrelations(n_gibbs_steps=10, persistent=False),
    "1 step, persistent (default)": "pid",
    "no patterns: persistent contrastive divergence": "pcd",
}
for name, phase in phases.items():
    other = RARBM(256, 64, negative_phase=phase, max_iter=50, random_state=0).fit(digits)
    print(f"{name:48s} {other.score(digits):7.1f} nats")

# %%
# Pure pattern-induced correlations cost next to nothing and do not give a likelihood; a few
# steps do. Which to take: :doc:`/guide/negative_phases`.
