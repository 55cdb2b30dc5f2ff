"""What an update costs as the batch, K, H, V and the number of threads grow: a plot.

python tests/benchmarks/scaling.py --save docs/images/scaling.png
"""

from __future__ import annotations

import argparse
from functools import cache

import matplotlib.pyplot as plt
import measure
import numpy as np
from workloads import couplings, update

from sklearn_rapid.backends import available_threads
from sklearn_rapid.training.negative_phase import PersistentContrastiveDivergence

BASE = {"batch": 100, "K": 64, "H": 500, "V": 784, "threads": available_threads()}
SWEEPS = {
    "batch": [3, 10, 30, 100, 300, 1000, 3000],
    "K": [8, 16, 32, 64, 128, 256],
    "H": [64, 128, 250, 500, 1000, 3000],
    "V": [16, 64, 256, 784, 2000],
    "threads": range(1, available_threads() + 1),
}


sgemm_rate = cache(measure.sgemm_rate)


def milliseconds(dense, **changed):
    """Median time of a PCD-1 update, and that of its products at the machine's sgemm rate."""
    size = {**BASE, **changed}
    n, k, h, v = (size[name] for name in ("batch", "K", "H", "V"))
    made = couplings(v, h, None if dense else k)
    repeats = max(3, 3000 // n)
    run = update(
        made, PersistentContrastiveDivergence(1, n_chains=n), n,
        repeats=repeats, n_threads=size["threads"],
    )()  # fmt: skip
    products = 6 * n * v * h if dense else min(
        2 * n * k * (v + h) + 2 * n * k * (2 * v + 3 * h),
        (6 * n + 3 * k) * v * h,
    )  # fmt: skip
    ideal = 2.0 * products / sgemm_rate(size["threads"])
    return 1e3 * measure.median_seconds(run, repeats=3) / repeats, 1e3 * ideal


def main():
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", default="scaling.png")
    args = parser.parse_args()
    figure, axes = plt.subplots(
        1, len(SWEEPS), figsize=(16, 3.4), sharey=True, layout="constrained"
    )
    for ax, (name, values) in zip(axes, SWEEPS.items(), strict=True):
        for dense, label, color in ((True, "RBM", "C0"), (False, "RARBM", "C1")):
            if dense and name == "K":
                continue
            costs = np.array([milliseconds(dense, **{name: value}) for value in values])
            ax.plot(list(values), costs[:, 0], "o-", color=color, label=label)
            ax.plot(list(values), costs[:, 1], ":", color=color)
            print(
                name, label, *(f"{x}: {c:.3g} ms" for x, c in zip(values, costs[:, 0], strict=True))
            )
        ax.set_xlabel(name)
        ax.set_yscale("log")
        if name == "threads":
            ax.set_xticks(list(values))
        else:
            ax.set_xscale("log")
    axes[0].set_ylabel("ms an update")
    axes[0].legend()
    others = ", ".join(f"{name} {value}" for name, value in BASE.items())
    figure.suptitle(
        f"PCD-1, plain steps; {others} unless varied. Dotted: products at the sgemm rate"
    )
    figure.savefig(args.save, dpi=80)


if __name__ == "__main__":
    main()
