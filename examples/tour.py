"""
A tour in ten minutes
=====================

Train a model of handwritten digits, ask how likely it finds new ones, look at it, let it complete
half-hidden images, use it in front of a classifier, and choose its size. What is printed on this
page was printed when the page was built.
"""

# %%
# Data
# ----
# A restricted Boltzmann machine is a model of *binary* rows. The digits that come with
# scikit-learn are 8 × 8 pixels from 0 to 16: here a pixel is on if it is above 8.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_rapid import RARBM
from sklearn_rapid.diagnostics import autocorrelation_time
from sklearn_rapid.diagnostics.displays import (
    PatternsDisplay,
    ReconstructionDisplay,
    SamplesDisplay,
)

grey, y = load_digits(return_X_y=True)
X, X_test = train_test_split(grey > 8, random_state=0)
print(X.shape, X_test.shape)

# %%
# Fit
# ---
# `RARBM` has H hidden units (`n_components`) and builds its couplings from K trainable patterns
# (`n_patterns`). There is no learning rate to choose: the default suits every size.

model = RARBM(n_components=256, n_patterns=64, max_iter=50, random_state=0).fit(X)

# %%
# How good is it?
# ---------------
# `score` is the mean log-likelihood of the rows in nats (natural logarithms). It is a likelihood
# in earnest, with the partition function estimated. Beside it, the simplest model there is:
# every pixel on its own, on as often as in training.

p = (X.sum(axis=0) + 0.5) / (X.shape[0] + 1.0)
independent = np.where(X_test, np.log(p), np.log1p(-p)).sum(axis=1).mean()

print(f"independent pixels {independent:.1f} nats")
print(f"RARBM, test rows   {model.score(X_test):.1f} nats")
print(f"RARBM, train rows  {model.score(X):.1f} nats")

# %%
# The partition function is estimated by chains at a ladder of temperatures. It comes with its
# error, with estimates from below and from above (bounds in expectation, which may cross within
# that error), and with the number of states that made their way from no couplings at all to the
# model; :doc:`/guide/likelihood` says how to read them.

log_z = model.log_partition()
print(f"log Z = {log_z.value:.2f} ± {log_z.error:.2f}, trusted: {log_z.is_trusted}")
print(f"from below {log_z.lower:.2f}, from above {log_z.upper:.2f}")
print(f"round trips: {log_z.n_round_trips} in {log_z.n_chains} ladders, Λ = {log_z.barrier:.1f}")

# %%
# What does it look like?
# -----------------------
# Samples are drawn by such a ladder too; patterns are parameters, features that many digits share
# rather than digits.

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
SamplesDisplay.from_estimator(model, n_samples=64, random_state=0, ax=axes[0])
PatternsDisplay.from_estimator(model, ax=axes[1])
axes[0].set_title("samples")
_ = axes[1].set_title("patterns (blue +, red −)")

# %%
# Missing pixels
# --------------
# `reconstruct` draws what is missing given what is known. Here only the upper half is known. (In
# your own data, mark missing entries by NaN.)

upper_half = np.arange(64) < 32
display = ReconstructionDisplay.from_estimator(model, X_test[:12], upper_half, random_state=0)
display.figure_.set_size_inches(8, 2.5)

# %%
# Features for a classifier
# -------------------------
# `transform` returns the means of the hidden units. For this, keep the grey values: between 0
# and 1, a pixel's value is the probability that it is on.

features = RARBM(n_components=256, max_iter=100, random_state=0)
classifier = LogisticRegression(max_iter=500)
rows = train_test_split(grey / 16, y, random_state=0)
for name, what in {"features": make_pipeline(features, classifier), "pixels": classifier}.items():
    accuracy = what.fit(rows[0], rows[2]).score(rows[1], rows[3])
    print(f"accuracy on {name}: {accuracy:.3f}")

# %%
# One split says little, and the two are close: :doc:`/guide/features` compares them over folds.
#
# How large should it be?
# -----------------------
# As `score` is the held-out likelihood, `GridSearchCV` needs no scorer, and as the learning rate
# means the same for every size, it compares models rather than divergences.

search = GridSearchCV(RARBM(n_components=64, random_state=0), {"n_patterns": [4, 16, 64]}, cv=3)
search.fit(X)
for k, score in zip([4, 16, 64], search.cv_results_["mean_test_score"], strict=True):
    print(f"K = {k:2d}: {score:.2f} nats")

# %%
# Does it still move?
# -------------------
# Samples and gradients are only as good as the chains they come from. The integrated
# autocorrelation time says how many Gibbs steps are worth one independent sample.

tau = autocorrelation_time(model, random_state=0)
print(f"τ = {tau.value:.1f} ± {tau.error:.1f} steps, reliable: {tau.is_reliable}")

# %%
# Next: :doc:`/guide/index`.
