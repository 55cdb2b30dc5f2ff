"""Figure 7(b): one pattern seeds several digits
==============================================

The paper starts Gibbs chains from the visible part of one pattern and gets images of different
digits: a pattern is no stored image.

Drawn: 24 chains of 200 steps from one pattern (its signs are the first image), for models trained
by each reading of the paper's recipe (`mnist_runs.py`) and for one trained by this package's
defaults. Measured: how many digit classes 24 chains from one pattern end in, averaged over 20
patterns, and how many different images; a class is that of the nearest training image, which
test images share with theirs as often as is printed first. A nearest image says nothing of
samples that look like no digit: the number of pixels in which they differ from it is printed
too. To a model without biases an image and its negative are equally likely: the darker one is
taken.

Full settings: as figure 6(a, b). ``--quick``: 1000 hidden units, 100 patterns, 2000 images, 64
epochs.

    python examples/paper/figure_7b.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from mnist_measures import Judge, on_dark
from mnist_runs import available, data_options, last_models, load_images
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.diagnostics.displays import SamplesDisplay

N_SEEDING, N_CHAINS, N_GIBBS_STEPS = 20, 24, 200


def chains_from_patterns(model):
    """Seeds and where chains from them end, of shapes (20, V) and (20, 24, V)."""
    rows = np.random.default_rng(0).choice(model.n_patterns, N_SEEDING, replace=False)
    seeds = (model.visible_patterns_[rows] >= 0).astype(np.uint8)
    starts = np.repeat(seeds, N_CHAINS, axis=0)
    ends = model.gibbs(starts, N_GIBBS_STEPS, random_state=0)
    return seeds, on_dark(model, ends).reshape(N_SEEDING, N_CHAINS, -1)


def measure(name, models, judge):
    """Report of each model's chains; seed and chains of the most varied pattern are returned."""
    of_models = [chains_from_patterns(model) for model in models]
    classes, images, pixels = [], [], []
    for _, ends in of_models:
        judged = [judge(from_one) for from_one in ends]
        classes.append([len(np.unique(c)) for c, _ in judged])
        images.append(np.mean([len(np.unique(e, axis=0)) for e in ends]))
        pixels.append(np.median([p for _, p in judged]))
    means = [np.mean(c) for c in classes]
    report(f"{name}, digit classes from one pattern (mean of {N_SEEDING})", means)
    report(f"{name}, the same, most", [max(c) for c in classes])
    report(f"{name}, different images of {N_CHAINS}", images)
    report(f"{name}, pixels off the nearest image", pixels)
    (seeds, ends), best = of_models[0], int(np.argmax(classes[0]))
    return np.concatenate([seeds[best][None], ends[best]])


def draw(images):
    """A panel for each model: the seed first."""
    size = (2.6 * len(images), 3.0)
    figure, panels = plt.subplots(1, len(images), figsize=size, layout="constrained")
    for panel, (name, of_model) in zip(panels, images.items(), strict=True):
        SamplesDisplay(of_model).plot(panel)
        side = int(np.sqrt(of_model.shape[1]))
        frame = plt.Rectangle((-0.5, -0.5), side, side, fill=False, edgecolor="red", linewidth=3)
        panel.add_patch(frame)
        panel.set_title(name.replace(", ", "\n"), fontsize=9)
    return figure


def main():
    """Train or load, run chains, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_images(chosen.data_home, chosen.quick)
    judge = Judge(digits)
    images = {}
    for found in available(chosen, digits):
        epoch, models = last_models(found, chosen)
        name = f"{found[0].settings.reading}, epoch {epoch}"
        images[name] = measure(name, models, judge)
        ours = found[0].defaults_model()
    images["package's defaults"] = measure("package's defaults", [ours], judge)
    finish(draw(images), chosen)


if __name__ == "__main__":
    main()
