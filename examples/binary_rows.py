"""Binary rows that several examples share: a set of the density benchmark, or the digits."""

import argparse

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_rapid.datasets import fetch_density_benchmark


def rows_of(name, data_home=None):
    """Training, validation and test rows."""
    if name != "digits":
        benchmark = fetch_density_benchmark(name, data_home)
        return benchmark.train, benchmark.valid, benchmark.test
    X = (load_digits().data > 8).astype(np.uint8)
    X = X[np.random.default_rng(0).permutation(len(X))]
    return X[:1100], X[1100:1400], X[1400:]


def options(description):
    """What these examples are called with."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument("name", nargs="?", default="digits", help="a set of the benchmark")
    parser.add_argument("--data-home", metavar="PATH", help="folder that holds density/")
    parser.add_argument("--save", metavar="FIGURE.png", help="write the figure to a file")
    return parser.parse_args()


def finish(figure, chosen):
    """Save the figure, or show it."""
    if chosen.save:
        figure.savefig(chosen.save, dpi=120)
        print(f"wrote {chosen.save}")
    else:
        plt.show()
