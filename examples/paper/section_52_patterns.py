"""Section 5.2: more patterns, better samples?
===========================================

The paper says of MNIST that models with fewer patterns reach better likelihoods, but those with
more patterns make better samples.

Measured: the negative log-likelihood of test images by annealed importance sampling (with its
effective sample size, and a bound that needs no trust; see figure 6(a, b)), and in how many
pixels a sample differs from the nearest training image, for numbers of patterns from 50 to 400;
also how many hidden units have the same mean for all images (to a hundredth).
The recipe is the paper's, as the authors' code does it (`published.py`), scaled down.

Full settings: 1000 hidden units, 6000 images, the course of the learning rate in 125 epochs,
three seeds; 100 chains of 200 Gibbs steps from fair coins. ``--quick``: 2000 images, 64 epochs.

    python examples/paper/section_52_patterns.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from mnist_measures import Judge, likelihoods, on_dark, stuck_share
from mnist_runs import READINGS, Run, data_options, load_images, scaled_down
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning

N_PATTERNS, QUICK_N_PATTERNS = (50, 100, 200, 400), (50, 200)
N_IMAGES, N_EPOCHS, QUICK_EPOCHS = 6_000, 125, 64
N_SAMPLES, N_GIBBS_STEPS = 100, 200


def measure(run, judge):
    """Likelihoods of a trained model, and how far its samples are from images."""
    _, model = run.trained()
    start = dict(init="random", n_gibbs_steps=N_GIBBS_STEPS, random_state=run.seed)
    classes, pixels = judge(on_dark(model, model.sample(N_SAMPLES, **start)))
    return {
        **likelihoods(model, run.digits),
        "pixels off": np.median(pixels),
        "digit classes": len(np.unique(classes)),
        "share of stuck hidden units": stuck_share(model, run.digits.X_test[:1000]),
    }


def measure_seeds(name, settings, digits, judge, seeds):
    """Train and measure a model of each seed, and report."""
    rows = [measure(Run(settings, digits, seed), judge) for seed in seeds]
    for value in rows[0]:
        report(f"{name}, {value}", [row[value] for row in rows], 4)
    return rows


def draw(measured):
    """Likelihood and distance of samples against the number of patterns."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    labels = {"test": "NLL of test images (nats)", "pixels off": "pixels off the nearest image"}
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        rows = np.array([[row[name] for row in rows] for rows in measured.values()])
        spread = rows.std(axis=1, ddof=1) if rows.shape[1] > 1 else None
        panel.errorbar(list(measured), rows.mean(axis=1), spread, marker="o", capsize=3)
        panel.set(xscale="log", xlabel="K")
        panel.set_xticks(list(measured), list(measured))
        panel.minorticks_off()
        panel.set_ylabel(label)
    return figure


def main():
    """Train, measure, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_images(chosen.data_home, chosen.quick, N_IMAGES)
    judge = Judge(digits)
    n_epochs = QUICK_EPOCHS if chosen.quick else N_EPOCHS
    settings = scaled_down(READINGS["code"], len(digits.X), n_epochs)
    measured = {}
    for n_patterns in QUICK_N_PATTERNS if chosen.quick else N_PATTERNS:
        of_size = replace(settings, n_patterns=n_patterns)
        name = f"K={n_patterns}"
        measured[n_patterns] = measure_seeds(name, of_size, digits, judge, chosen.seeds)
    finish(draw(measured), chosen)


if __name__ == "__main__":
    main()
