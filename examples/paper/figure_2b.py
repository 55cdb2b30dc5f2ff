"""
Figure 2b: method accessibility during training
===============================================

The paper's claim: the states of CD's negative phase are a little lower in energy than those of
Gibbs chains from random ones, those of PCD lower still; the patterns of RAPID are far lower in the
first epochs, do not become better with training, and are overtaken at its end.

Measured here, in training on 4 x 4 bars: the lowest energy among the states of one negative phase,
over that of the ground state. For CD it starts from all training images (the best of ten such
batches, as published, and their mean), for PCD it is that of its chains. For RAPID it is the
energy of the patterns, with their own hidden part (equation 6) or with hidden spins drawn from
the model given the visible part, which is what its gradient averages over.

Settings as for figure 2a, whose runs these are.

    python examples/paper/figure_2b.py [--quick] [--seeds N] [--save FILE]
"""

import matplotlib.pyplot as plt
from bars import COLORS, epochs_and, legend_below, report_at, runs
from paper import finish, options

from sklearn_rapid.diagnostics.displays import AccessibilityDisplay

# What is measured, in words, and drawn how.
MEASURES = {
    "RAPID": {"method": ("patterns", "-"), "method_drawn_hidden": ("hidden part drawn", ":")},
    "PCD-10": {"method": ("chains", "-")},
    "CD-10": {"method_best_of_ten": ("best of ten batches", "-"), "method": ("one batch", ":")},
}


def main():
    """Print and draw what the states of each method reach."""
    chosen = options(__doc__, seeds=20)
    figure, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
    for method, measures in MEASURES.items():
        values = runs(method, chosen)
        for measure, (words, line) in measures.items():
            report_at(f"{method}, {words}", measure, values)
            name = f"{method}, {words} (n = {len(values['epoch'])})"
            curve = AccessibilityDisplay(*epochs_and(measure, values), "epoch", name)
            curve.plot(ax, color=COLORS[method], linestyle=line)
    ax.set(title="Lowest energy in the negative phase, 4 x 4 bars", ylim=(0, 1.02))
    legend_below(figure, ax, n_columns=2)
    finish(figure, chosen)


if __name__ == "__main__":
    main()
