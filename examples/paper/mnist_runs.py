"""Models of handwritten digits that several figures of this folder share.

    python mnist_runs.py --data-home PATH [--patterns K] [--seed N] [--epochs N]

trains one model by the paper's recipe and keeps it at log-spaced epochs in a folder, whence
`figure_6ab.py`, `figure_6c.py`, `figure_7a.py`, `figure_7b.py` and `probe.py` take it; what is
not there yet they train themselves. An interrupted run goes on from its last saved epoch.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM
from sklearn_rapid.datasets import fetch_mnist
from sklearn_rapid.negative_phase import PatternInducedCorrelations
from sklearn_rapid.optimizers import SGD, ExponentialDecay

THRESHOLD = 0.3
FACTOR, FLOOR, CONSTANT_EPOCHS = 0.99, 1e-3, 101
SAVED_EPOCHS = (0, 1, 2, 4, 8, 16, 32, 64, 100, 128, 180, 256, 320, 384, 440, 500)


@dataclass(frozen=True)
class Settings:
    """Sizes of a training run; the defaults are the paper's for figure 6(a, b)."""

    n_components: int = 3000
    n_patterns: int = 190
    batch_size: int = 8000
    learning_rate: float = 0.015
    n_epochs: int = 500

    @property
    def name(self):
        """What the folder of such a run is called."""
        return "h{n_components}_k{n_patterns}_b{batch_size}_lr{learning_rate}".format(**vars(self))


# Small enough for a minute on one core, with as many updates an epoch.
QUICK = Settings(n_components=200, n_patterns=40, batch_size=250, n_epochs=32)


@dataclass(frozen=True)
class Digits:
    """Binary images with their labels, and where they come from."""

    name: str
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray


def load_images(data_home=None, quick=False):
    """MNIST with its published split, or, where it is absent, scikit-learn's small digits.

    Quick runs take 2000 rows to train on and 1000 to test with, and download nothing.
    """
    try:
        X, y = fetch_mnist(data_home, download_if_missing=not quick, return_X_y=True)
    except OSError:
        print("MNIST is not here: scikit-learn's 8 x 8 digits instead, at the quick settings")
        X, y = load_digits(return_X_y=True)
        X = (X / 16 > THRESHOLD).astype(np.uint8)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
        return Digits("digits", X, X_test, y, y_test)
    X = (X / 255 > THRESHOLD).astype(np.uint8)
    n, n_test = (2_000, 1_000) if quick else (60_000, 10_000)
    test = slice(60_000, 60_000 + n_test)
    return Digits("quick" if quick else "mnist", X[:n], X[test], y[:n], y[test])


def learning_rate(settings, epoch):
    """The paper's schedule from a given epoch on: constant for 100 epochs, then falling."""
    full = ExponentialDecay(settings.learning_rate, FACTOR, FLOOR, CONSTANT_EPOCHS)
    now = full.at(epoch, settings.n_epochs)
    return ExponentialDecay(now, FACTOR, FLOOR, max(0, CONSTANT_EPOCHS - epoch))


def untrained(settings, X, seed):
    """The model before training: one update so small that no pattern changes."""
    model = RARBM(
        settings.n_components,
        settings.n_patterns,
        negative_phase=PatternInducedCorrelations(10, persistent=False),
        optimizer=SGD(scaled=False),
        learning_rate=1e-12,
        batch_size=settings.batch_size,
        init_scale=1.0,
        fit_intercept=False,
        warm_start=True,
        n_threads=1,
        random_state=seed,
    )
    return model.partial_fit(X[: settings.batch_size])


def model_at(settings, digits, seed, epoch=None, folder=None):
    """The model after so many epochs (by default all), from the folder or trained and saved."""
    *_, (_, model) = models_until(settings, digits, seed, epoch, folder)
    return model


def models_until(settings, digits, seed, epoch=None, folder=None):
    """Yield (epoch, model) at each saved epoch up to one (by default the last)."""
    last = settings.n_epochs if epoch is None else epoch
    run = default_folder(folder) / f"{digits.name}_{settings.name}_seed{seed}"
    run.mkdir(parents=True, exist_ok=True)
    epochs = sorted({e for e in SAVED_EPOCHS if e < last} | {last})
    model = load_or(run / "00000.pickle", lambda: untrained(settings, digits.X, seed))
    yield 0, model
    for start, stop in pairwise(epochs):
        leg = partial(train_on, model, settings, digits.X, start, stop)
        model = load_or(run / f"{stop:05d}.pickle", leg)
        yield stop, model


def train_on(model, settings, X, start, stop):
    """A copy of a model, trained from one epoch to another."""
    model = deepcopy(model)
    model.set_params(max_iter=stop - start, learning_rate=learning_rate(settings, start))
    clock = time.perf_counter()
    model.fit(X)
    print(f"epochs {start} to {stop}: {time.perf_counter() - clock:.0f} s", flush=True)
    return model


def default_folder(folder=None):
    """Where models are kept: the folder given, or one for temporary files."""
    return Path(folder or Path(tempfile.gettempdir()) / "sklearn_rapid_paper")


def load_or(path, make):
    """Unpickle a file, or make its content and write it."""
    if path.exists():
        return pickle.loads(path.read_bytes())
    content = make()
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(content))
    part.replace(path)
    return content


def main():
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", metavar="PATH", help="folder that holds mnist/")
    parser.add_argument("--models", metavar="FOLDER", help="where models are kept")
    parser.add_argument("--patterns", type=int, default=190)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=500, help="stop there; go on later")
    chosen = parser.parse_args()
    settings = Settings(n_patterns=chosen.patterns)
    digits = load_images(chosen.data_home)
    model_at(settings, digits, chosen.seed, chosen.epochs, chosen.models)


if __name__ == "__main__":
    main()
