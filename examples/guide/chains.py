"""
Chains that move and chains that do not
=======================================

How fast a model's Gibbs chains forget, how that depends on the size of its initial patterns, and
what it does to everything that rests on sampling: gradients, samples, likelihoods. How to read the
figures: :doc:`/guide/diagnostics`.
"""

# %%
# Five models of the digits
# -------------------------
# They differ in the amplitude of their initial patterns (`init_scale`) alone. "auto" is 0.20
# for this size; the paper's is 1. For each: the integrated autocorrelation time of plain chains,
# its largest singular value, the test likelihood, whether that is to be trusted, and the barrier
# between the model and independent units.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM
from sklearn_rapid.diagnostics import autocorrelation_time, overlap_distribution, singular_values
from sklearn_rapid.diagnostics.displays import (
    LadderDisplay,
    SamplesDisplay,
    SpectrumDisplay,
    TrainingHistoryDisplay,
)

X, X_test = train_test_split(load_digits().data > 8, random_state=0)


def describe(model):
    """A line of figures; what warns here is what the line shows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        tau = autocorrelation_time(model, random_state=0)
        log_z = model.log_partition()
    trust = "" if log_z.is_trusted else "not trusted"
    nats = -model.free_energy(X_test).mean() - log_z.value
    return (
        f"{'' if tau.is_reliable else '> '}{tau.value:.0f}",
        f"{singular_values(model)[0]:.1f}",
        f"{nats:.1f} ± {log_z.error:.1f}",
        trust,
        f"{log_z.barrier:.1f}",
    )


models = {}
heads = ("init_scale", "τ", "largest s.v.", "test nats", "", "Λ")
print("{:>10s} {:>7s} {:>13s} {:>16s} {:>12s} {:>5s}".format(*heads))
for scale in (0.1, "auto", 0.35, 0.6, 1.0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of models that are worse than independent units
        models[scale] = RARBM(256, 64, init_scale=scale, max_iter=50, random_state=0).fit(X)
    line = (str(scale), *describe(models[scale]))
    print("{:>10s} {:>7s} {:>13s} {:>16s} {:>12s} {:>5s}".format(*line))

# %%
# Up to 0.35 chains forget within tens of steps. From 0.6 on they are frozen: 1000 steps are too
# few even to know τ (hence ``>``), the negative phase never sees where else the model has its
# probability, and the likelihood is lost.

# %%
# Frozen chains in pictures
# -------------------------
# Chains from random states, 1000 steps. A frozen model ends in states of its own, not in digits.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for ax, scale in zip(axes, ["auto", 0.6, 1.0], strict=True):
    states = models[scale].sample(64, init="random", random_state=0)  # plain chains
    SamplesDisplay(states).plot(ax)
    ax.set_title(f"init_scale = {scale}")

# %%
# The spectrum of the couplings shows it without any sampling: a singular value of 20 aligns a
# hundred hidden units at once.

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for scale, model in models.items():
    SpectrumDisplay.from_estimator(model, name=f"init_scale = {scale}", ax=ax)
ax.set_yscale("log")

# %%
# So does the distribution of overlaps of two states of plain chains, beside that of the data. The
# frozen model's states are strangers to one another, with overlaps around zero.

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
distributions = {"data": overlap_distribution(models["auto"], X)}
for scale in ("auto", 1.0):
    plain = {"n_gibbs_steps": 1000, "random_state": 0}
    distributions[f"init_scale = {scale}"] = overlap_distribution(models[scale], **plain)
for name, distribution in distributions.items():
    ax.plot(distribution.overlaps, distribution.probabilities, label=name)
    print(f"{name:18s} mean overlap {distribution.mean:.2f}")
ax.set(xlabel="overlap of two states", ylabel="probability")
_ = ax.legend()

# %%
# A ladder of temperatures
# ------------------------
# The local barrier λ(β) says where on the way from fair coins (β = 0) to the model (β = 1) states
# find it hard to exchange; the area below it is Λ. Marks are rungs, which stand closer where it is
# harder.

display = LadderDisplay.from_estimator(models["auto"], random_state=0, name="auto")
display = LadderDisplay.from_estimator(models[0.6], random_state=0, name="0.6", ax=display.axes_)
display.figure_.set_size_inches(6, 4.5)

# %%
# What a history says
# -------------------
# With early stopping some rows are set aside. Their log-likelihood should rise; the gap
# between their free energy and that of the training rows grows with overfitting.

stopped = RARBM(256, 64, max_iter=100, early_stopping=True, random_state=0).fit(X)
display = TrainingHistoryDisplay.from_estimator(stopped)
display.figure_.set_size_inches(6, 5)
scores, errors = (
    np.array(stopped.history_[name]) for name in ("log_likelihood", "log_likelihood_error")
)
best = int(np.argmax(scores - errors))
print(f"{stopped.n_iter_} epochs; the best, which is kept, was number {best + 1}")
