"""Section 5.2: pure PID on MNIST, and why its chains take Gibbs steps
====================================================================

The paper says that on MNIST pure PID, whose negative phase is the patterns alone, leads to
strong overfitting, and that Gibbs steps from the patterns avoid it.

Measured: negative log-likelihoods of training and test images by annealed importance sampling
(with its effective sample size, and a bound that needs no trust; see figure 6(a, b)), and in how
many pixels a sample differs from the nearest training image, without Gibbs steps, with one and
with ten. The recipe is the paper's as the authors' code does it, and with the one difference that
gradients are means over each batch: in the code the last, smaller batch of an epoch is divided
by the size of the first, and makes the model unlearn (`published.py`). Both are scaled down.

Full settings: 1000 hidden units, 100 patterns, 6000 images, the course of the learning rate in
125 epochs, three seeds. ``--quick``: 2000 images, 64 epochs, no steps and ten, the code only.

    python examples/paper/section_52_gibbs_steps.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from mnist_measures import Judge, independent_pixels
from mnist_runs import READINGS, data_options, load_images, scaled_down
from paper import finish, options, report
from section_52_patterns import N_EPOCHS, N_IMAGES, QUICK_EPOCHS, measure_seeds
from sklearn.exceptions import ConvergenceWarning

N_PATTERNS = 100


def draw(measured, without_couplings):
    """Negative log-likelihoods of both sets of images, by reading and number of steps."""
    figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
    names = list(measured)
    for split, marker in (("train", "o"), ("test", "x")):
        rows = np.array([[row[split] for row in rows] for rows in measured.values()])
        ax.errorbar(names, rows.mean(axis=1), rows.std(axis=1), fmt=marker, label=split)
    ax.axhline(without_couplings, color="gray", linestyle=":", label="independent pixels")
    ax.set_yscale("log")
    ax.set_ylabel("NLL (nats)")
    ax.tick_params(axis="x", labelsize="small")
    ax.legend()
    return figure


def main():
    """Train, measure, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_images(chosen.data_home, chosen.quick, N_IMAGES)
    judge = Judge(digits)
    without_couplings = independent_pixels(digits)
    print(f"test, independent pixels: {without_couplings:.4g} nats")
    n_epochs = QUICK_EPOCHS if chosen.quick else N_EPOCHS
    measured = {}
    for reading in ("code",) if chosen.quick else ("code", "means"):
        for n_steps in (0, 10) if chosen.quick else (0, 1, 10):
            settings = scaled_down(READINGS[reading], len(digits.X), n_epochs)
            settings = replace(settings, n_patterns=N_PATTERNS, n_gibbs_steps=n_steps)
            name = f"{reading}, {n_steps} steps"
            rows = measure_seeds(name, settings, digits, judge, chosen.seeds)
            report(f"{name}, test over train minus one", [r["test"] / r["train"] - 1 for r in rows])
            measured[name.replace(", ", "\n")] = rows
    finish(draw(measured, without_couplings), chosen)


if __name__ == "__main__":
    main()
