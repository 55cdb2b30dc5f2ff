"""
Samples and missing pixels
==========================

Drawing new rows, and drawing what is missing of given ones. The text that goes with it:
:doc:`/guide/sampling`.
"""

# %%
# Samples from different starts
# -----------------------------
# `sample` draws from a ladder of temperatures; with `n_gibbs_steps` it takes plain chains. After
# enough steps, where these started no longer shows. From random states, from data, and (without
# `init`) from where training left its chains, after 3 and after 1000 steps:

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM
from sklearn_rapid.diagnostics.displays import ReconstructionDisplay, SamplesDisplay

X, X_test = train_test_split(load_digits().data > 8, random_state=0)
model = RARBM(n_components=256, n_patterns=64, max_iter=100, random_state=0).fit(X)

starts = {"random": "random", "data": X_test[:36], "training's chains": None}
figure, axes = plt.subplots(2, 3, figsize=(7.5, 5.2), layout="constrained")
for column, (name, init) in zip(axes.T, starts.items(), strict=True):
    for ax, n in zip(column, [3, 1000], strict=True):
        states = model.sample(36, n_gibbs_steps=n, init=init, random_state=0)
        SamplesDisplay(states).plot(ax)
        ax.set_title(f"{name}, {n} steps", fontsize=9)

# %%
# Half an image
# -------------
# Known pixels are clamped, the others drawn by Gibbs steps from "undecided". One draw is a guess
# among several that fit; where you want probabilities, average over many.

upper_half = np.arange(64) < 32
display = ReconstructionDisplay.from_estimator(model, X_test[:12], upper_half, random_state=0)
display.figure_.set_size_inches(8, 2.5)

# %%
draws = [model.reconstruct(X_test[:12], upper_half, random_state=seed) for seed in range(50)]
means = np.mean(draws, axis=0)
display = SamplesDisplay(means).plot(n_columns=12)
display.figure_.set_size_inches(8, 1)

# %%
# How often is a pixel right? Single draws and the likelier value by fifty draws, against each
# pixel's more frequent value in the training rows:

true = X_test[:200]
draws = np.array([model.reconstruct(true, upper_half, random_state=seed) for seed in range(50)])
lower = ~upper_half
guesses = {
    "the more frequent value": np.broadcast_to(X.mean(axis=0) > 0.5, true.shape),
    "one draw": draws[0] > 0.5,
    "the likelier by 50 draws": draws.mean(axis=0) > 0.5,
}
for name, guess in guesses.items():
    print(f"{name:26s} {(guess == true)[:, lower].mean():.3f} of the lower half right")

# %%
# Missing entries here and there
# ------------------------------
# In data that are not images, NaN marks what is missing; `mask` is not needed.

rng = np.random.default_rng(0)
holes = np.where(rng.random(true.shape) < 0.2, np.nan, true)
filled = model.reconstruct(holes, random_state=0)
missing = np.isnan(holes)
frequent = np.broadcast_to(X.mean(axis=0) > 0.5, true.shape)
print(f"missing entries right: {(filled == true)[missing].mean():.3f}")
print(f"by the more frequent value: {(frequent == true)[missing].mean():.3f}")
