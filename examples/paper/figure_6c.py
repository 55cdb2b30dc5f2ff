"""Figure 6(c): samples of a model of MNIST
==========================================

The paper shows digits sampled from an RARBM of 3000 hidden units and 290 patterns, and says
that more patterns make better samples though worse likelihoods.

Drawn: Gibbs chains of 200 steps from fair coins, of a model trained by the paper's recipe and,
beside it, of one trained by this package's defaults (190 patterns, 5 epochs). Measured of each:
in how many pixels a sample differs from the nearest training image (test images do by as many
as are printed first), and how many different images and digit classes there are among 100
samples; a class is that of the nearest training image. To a model without biases an image and
its negative are equally likely: the one with the darker background is taken.

Full settings: as figure 6(a, b) with 290 patterns. ``--quick``: 200 hidden units, 40 patterns,
2000 images, 128 epochs.

    python examples/paper/figure_6c.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import argparse
import warnings

import matplotlib.pyplot as plt
import numpy as np
from mnist_runs import Judge, data_options, on_dark, runs
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.displays import SamplesDisplay

N_SAMPLES, N_DRAWN, N_GIBBS_STEPS = 100, 25, 200


def measure(name, models, judge):
    """Sample from each model and report; the samples of the first are returned."""
    settings = dict(n_gibbs_steps=N_GIBBS_STEPS, init="random", random_state=0)
    draws = [on_dark(model, model.sample(N_SAMPLES, **settings)) for model in models]
    judged = [judge(draw) for draw in draws]
    report(f"{name}, pixels off the nearest image", [np.median(p) for _, p in judged])
    report(f"{name}, different images of {N_SAMPLES}", [len(np.unique(d, axis=0)) for d in draws])
    report(f"{name}, digit classes among them", [len(np.unique(c)) for c, _ in judged])
    return draws[0]


def draw(samples):
    """A panel of samples for each model."""
    figure, panels = plt.subplots(1, len(samples), figsize=(8, 4.2), layout="constrained")
    for panel, (name, images) in zip(panels, samples.items(), strict=True):
        SamplesDisplay(images[:N_DRAWN]).plot(panel)
        panel.set_title(name, fontsize=10)
    return figure


def main():
    """Train or load, sample, report, draw."""
    parser = argparse.ArgumentParser(add_help=False, parents=[data_options()])
    parser.add_argument("--patterns", type=int, default=290, help="of the recipe's model")
    chosen = options(__doc__, seeds=1, parents=[parser])
    warnings.simplefilter("ignore", ConvergenceWarning)
    all_runs = runs(chosen, chosen.patterns)
    judge = Judge(all_runs[0].digits)
    epochs, models = zip(*(run.trained(chosen.epochs) for run in all_runs), strict=True)
    settings = all_runs[0].settings
    recipe = f"paper's recipe, K={settings.n_patterns}, epoch {min(epochs)} of {settings.n_epochs}"
    ours = [run.defaults_model() for run in all_runs]
    samples = {
        name: measure(name, found, judge)
        for name, found in ((recipe, models), ("package's defaults", ours))
    }
    finish(draw(samples), chosen)


if __name__ == "__main__":
    main()
