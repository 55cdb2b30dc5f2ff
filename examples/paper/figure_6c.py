"""Figure 6(c): samples of a model of MNIST
==========================================

The paper shows digits sampled from an RARBM of 3000 hidden units and 290 patterns, and says
that more patterns make better samples though worse likelihoods.

Drawn: Gibbs chains of 200 steps from fair coins, of models trained by the paper's recipe (as the
authors' code does it, with 290 and with 190 patterns; as in their notebook; as the text has it:
`mnist_runs.py` tells of these readings) and, beside them, of one trained by this package's
defaults (190 patterns, 5 epochs). Measured of each: in how many pixels a sample differs from the
nearest training image (test images do by as many as are printed first), and how many different
images and digit classes there are among 100 samples; a class is that of the nearest training
image. To a model without biases an image and its negative are equally likely: the one with the
darker background is taken. Negative log-likelihoods as in figure 6(a, b).

Full settings: as figure 6(a, b), K = 290 in half as many epochs, through the same course of the
learning rate. ``--quick``: 1000 hidden units, 100 patterns, 2000 images, 64 epochs.

    python examples/paper/figure_6c.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from mnist_measures import Judge, likelihoods, on_dark
from mnist_runs import available, data_options, last_models, load_images
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.diagnostics.displays import SamplesDisplay

N_SAMPLES, N_DRAWN, N_GIBBS_STEPS = 100, 25, 200
# Readings of the recipe, numbers of patterns and epochs where they are not the reading's.
MODELS = (("code", 290, 250), ("code", None, None), ("notebook", None, None), ("text", None, None))


def measure(name, models, judge, digits):
    """Sample from each model and report; the samples of the first are returned."""
    settings = dict(n_gibbs_steps=N_GIBBS_STEPS, init="random", random_state=0)
    draws = [on_dark(model, model.sample(N_SAMPLES, **settings)) for model in models]
    judged = [judge(draw) for draw in draws]
    report(f"{name}, pixels off the nearest image", [np.median(p) for _, p in judged])
    report(f"{name}, different images of {N_SAMPLES}", [len(np.unique(d, axis=0)) for d in draws])
    report(f"{name}, digit classes among them", [len(np.unique(c)) for c, _ in judged])
    values = [likelihoods(model, digits) for model in models]
    for what in ("train", "test", "effective"):
        report(f"{name}, NLL (nats) by AIS, {what}", [value[what] for value in values], 4)
    return draws[0]


def draw(samples):
    """A panel of samples for each kind of model."""
    size = (2.6 * len(samples), 3.0)
    figure, panels = plt.subplots(1, len(samples), figsize=size, layout="constrained")
    for panel, (name, images) in zip(panels, samples.items(), strict=True):
        SamplesDisplay(images[:N_DRAWN]).plot(panel)
        panel.set_title(name.replace(", ", "\n"), fontsize=9)
    return figure


def main():
    """Train or load, sample, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_images(chosen.data_home, chosen.quick)
    judge = Judge(digits)
    samples = {}
    for found in available(chosen, digits, MODELS):
        epoch, models = last_models(found, chosen)
        settings = found[0].settings
        name = f"{settings.reading}, K={settings.n_patterns}, epoch {epoch}"
        samples[name] = measure(name, models, judge, digits)
        ours = [run.defaults_model() for run in found]
    samples["package's defaults"] = measure("package's defaults", ours, judge, digits)
    finish(draw(samples), chosen)


if __name__ == "__main__":
    main()
