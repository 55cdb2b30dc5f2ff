"""Data sets for Boltzmann machines: bars and stripes, MNIST, the density benchmark."""

from sklearn_rapid.datasets._bars import (
    make_bars,
    make_bars_and_stripes,
    train_test_split_by_negation,
)
from sklearn_rapid.datasets._density import fetch_density_benchmark
from sklearn_rapid.datasets._mnist import fetch_mnist

__all__ = [
    "fetch_density_benchmark",
    "fetch_mnist",
    "make_bars",
    "make_bars_and_stripes",
    "train_test_split_by_negation",
]
