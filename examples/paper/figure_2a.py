"""
Figure 2a: Gibbs accessibility during training
==============================================

The paper's claim: standard RBMs start where Gibbs sampling does not reach low energies and learn
their way out of it, the sooner the better their negative phase; RAPID is where it does from the
first epoch to the last.

Measured here, in training on 4 x 4 bars: the energy of the states that ten Gibbs steps reach from
random visible ones, over that of the ground state. The published figure shows the best of ten
chains; the mean of 100 chains is shown beside it.

Full setting: H = 1000, 300 epochs, 20 runs of RAPID (K = 8) and CD-10, 10 of PCD-10 (2048
chains) and of the exact gradient (hours on one core, mostly for the last two). Quick: H = 100,
15 epochs, a run each. Figures 2 to 4 share their runs.

    python examples/paper/figure_2a.py [--quick] [--seeds N] [--save FILE]
"""

import matplotlib.pyplot as plt
from bars import COLORS, epochs_and, legend_below, report_at, runs
from paper import finish, options

from sklearn_rapid.diagnostics.displays import AccessibilityDisplay

MEASURES = {"gibbs_best_of_ten": "best of ten chains", "gibbs": "mean of chains"}


def main():
    """Print and draw both measures for all methods."""
    chosen = options(__doc__, seeds=20)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for method, color in COLORS.items():
        values = runs(method, chosen)
        for ax, (measure, words) in zip(axes, MEASURES.items(), strict=True):
            report_at(f"{method}, {words}", measure, values)
            name = f"{method} (n = {len(values['epoch'])})"
            curve = AccessibilityDisplay(*epochs_and(measure, values), "epoch", name)
            curve.plot(ax, color=color)
            ax.set(title=f"10 Gibbs steps, {words}", ylim=(0, 1.02))
    axes[1].set_ylabel("")
    legend_below(figure, axes[0])
    finish(figure, chosen)


if __name__ == "__main__":
    main()
