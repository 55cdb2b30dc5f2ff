"""What figures 3a and 3b share: reconstructions of bars from their first row."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from bars import COLORS, cold_runs, epochs_and, first_epoch, legend_below, report_at, runs
from paper import finish, report

from sklearn_rapid.diagnostics.displays import AccessibilityDisplay

WAYS = {"distance": "first row kept, 10 Gibbs steps", "distance_one_step": "one step, all free"}
# Methods beside those drawn: what is run, and whether on the published split.
OTHERS = {
    "RAPID with equation 6's hidden part": ("RAPID, hidden patterns", False),
    "RAPID, published batches": ("RAPID, published batches", False),
    "RAPID, published batches and split": ("RAPID, published batches", True),
    "RAPID, published split": ("RAPID", True),
    "CD-10, published split": ("CD-10", True),
    "CD-10, published Adam": ("CD-10, published Adam", False),
    "CD-10, published Adam and split": ("CD-10, published Adam", True),
}
# Coins get half of the pixels wrong that are not known.
HALF_OF_CHANCE = {"distance": 0.375 / 2, "distance_one_step": 0.25}


def report_distances(name, values, part):
    """Print the distances and likelihoods of some runs."""
    for way, words in WAYS.items():
        measure = f"{way}_{part}"
        report_at(f"{name}, {part} images, {words}", measure, values)
        epochs = first_epoch(values, measure, HALF_OF_CHANCE[way])
        n_reached = int(np.isfinite(epochs).sum())
        print(
            f"{name}, {part} images, {words}: {n_reached} of {epochs.size} runs reach half of "
            f"chance, the median one by epoch {np.median(epochs):g}"
        )
    measure = f"log_likelihood_{part}"
    if measure in values:
        report_at(f"{name}, {part} images, log-likelihood in nats", measure, values)
    if part == "test":
        gaps = values["distance_test"][:, -1] - values["distance_train"][:, -1]
        report(f"{name}, last epoch, test - train, {WAYS['distance']}", gaps)


def draw(chosen, part):
    """Distances of both ways against the epoch, all methods, printed and drawn."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    curves = {method: (runs(method, chosen), color, "-") for method, color in COLORS.items()}
    curves["CD-10 at a tenth of its temperature"] = (cold_runs(chosen), COLORS["CD-10"], ":")
    for method, (values, color, line) in curves.items():
        report_distances(method, values, part)
        name = f"{method} (n = {len(values['epoch'])})"
        for ax, way in zip(axes, WAYS, strict=True):
            curve = AccessibilityDisplay(*epochs_and(f"{way}_{part}", values), "epoch", name)
            curve.plot(ax, color=color, linestyle=line)
    for ax, words in zip(axes, WAYS.values(), strict=True):
        ax.set(title=f"{part} images: {words}", ylim=(0, 0.52), ylabel="")
    axes[0].set_ylabel("Hamming distance (share of pixels)")
    legend_below(figure, axes[0], n_columns=5)
    for name, (method, published_split) in OTHERS.items():
        report_distances(name, runs(method, chosen, published_split), part)
    finish(figure, chosen)
