"""What the scripts of this folder share: their options, and how they report what they find.

The scripts reproduce Pozas-Kerstjens et al. (2021), "Efficient training of energy-based models
via spin-glass control", Mach. Learn.: Sci. Technol. 2 025026, figure by figure.
"""

from __future__ import annotations

import argparse

import numpy as np


def options(description, seeds, quick_seeds=1, parents=()):
    """Command-line options: --quick (under a minute), --seeds N, --save FILE, those of parents.

    Returns a namespace with `quick`, `seeds` (a range) and `save`.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=parents,
    )
    parser.add_argument("--quick", action="store_true", help="small settings, under a minute")
    parser.add_argument("--seeds", type=int, metavar="N", help="independent runs")
    parser.add_argument("--save", metavar="FILE", help="write the figure there, do not show it")
    chosen = parser.parse_args()
    n_seeds = chosen.seeds or (quick_seeds if chosen.quick else seeds)
    chosen.seeds = range(n_seeds)
    return chosen


def report(what, values, digits=3):
    """Print mean, standard deviation over independent runs, and their number."""
    values = np.asarray(values, dtype=float).ravel()
    spread = ""
    if values.size > 1:
        spread = f" ± {np.std(values, ddof=1):.{max(1, digits - 1)}g}"
    print(f"{what}: {np.mean(values):.{digits}g}{spread} (n={values.size})")


def finish(figure, chosen):
    """Save the figure or show it."""
    import matplotlib.pyplot as plt

    if chosen.save:
        figure.savefig(chosen.save, dpi=150, bbox_inches="tight")
    else:
        plt.show()
