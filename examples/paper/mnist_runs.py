"""Models of handwritten digits that several figures of this folder share.

    python mnist_runs.py --data-home PATH [--readings code] [--patterns K] [--seed N]

trains one model by the paper's recipe and keeps it at log-spaced epochs in a folder, whence
`figure_6ab.py`, `figure_6c.py`, `figure_7a.py`, `figure_7b.py` and `probe.py` take it; what is
not there yet they train themselves. An interrupted run goes on from its last saved epoch.

The recipe can be read in several ways. The "text": 60,000 images, 190 patterns, ten Gibbs steps
from their signs, and gradients that are means over a batch. The "code": the same patterns and
steps, but trained as by the authors' code, on 57,000 images, from the patterns' values, with
sums over a batch divided by the size of the epoch's first one (`published.py`). The "notebook"
that they published: the same code with 200 patterns and one Gibbs step. And, for comparison,
"means": the code with the one difference that gradients are means over each batch.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from published import PublishedPhase, PublishedSGD
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import fetch_mnist
from sklearn_rapid.training.negative_phase import PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay

THRESHOLD = 0.3
FULL_EPOCHS = 500
FACTOR, FLOOR, CONSTANT_EPOCHS = 0.99, 1e-3, 101
SAVED_EPOCHS = (0, 1, 2, 4, 8, 16, 32, 64, 100, 128, 180, 256, 320, 384, 440, 500)


@dataclass(frozen=True)
class Settings:
    """Settings of a training run; the defaults are the text's for figure 6(a, b)."""

    reading: str = "text"
    n_components: int = 3000
    n_patterns: int = 190
    n_gibbs_steps: int = 10
    batch_size: int = 8000
    learning_rate: float = 0.015
    n_epochs: int = FULL_EPOCHS

    @property
    def name(self):
        """What the folder of such a run is called."""
        reading = "" if self.reading == "text" else f"{self.reading}_"
        course = "" if self.n_epochs == FULL_EPOCHS else f"_e{self.n_epochs}"
        return (
            f"{reading}h{self.n_components}_k{self.n_patterns}_b{self.batch_size}"
            f"_lr{self.learning_rate}{course}"
        )

    def images(self, X):
        """The images that are trained on: the authors' code keeps a twentieth for validation."""
        return X if self.reading == "text" else X[: len(X) * 19 // 20]

    def phase_and_optimizer(self, n_rows):
        """The negative phase and the optimizer of this reading."""
        if self.reading == "text":
            phase = PatternInducedCorrelations(self.n_gibbs_steps, persistent=False)
            return phase, SGD(scaled=False)
        whole = self.batch_size if self.reading != "means" else None
        return PublishedPhase(self.n_gibbs_steps, whole), PublishedSGD(n_rows, whole)


READINGS = {
    "text": Settings("text"),
    "code": Settings("code"),
    "notebook": Settings("notebook", n_patterns=200, n_gibbs_steps=1),
    "means": Settings("means"),
}
DEFAULT_READINGS = ("code", "text", "notebook")


def scaled_down(settings, n_rows, n_epochs):
    """A third of the hidden units, on fewer images, with as many updates an epoch as in full."""
    return replace(settings, n_components=1000, batch_size=n_rows * 2 // 15, n_epochs=n_epochs)


def quick(settings, n_rows):
    """Small enough for a minute on one core."""
    return replace(scaled_down(settings, n_rows, 64), n_patterns=100)


@dataclass(frozen=True)
class Digits:
    """Binary images with their labels, and where they come from."""

    name: str
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray


def load_images(data_home=None, quick=False, n_images=60_000):
    """MNIST with its published split, or, where it is absent, scikit-learn's small digits.

    Not all images are trained on where fewer are wanted. Quick runs take 2000 of them and 1000 to
    test with, and download nothing.
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
    n, n_test = (2_000, 1_000) if quick else (n_images, 10_000)
    test = slice(60_000, 60_000 + n_test)
    return Digits("mnist" if n == 60_000 else "part", X[:n], X[test], y[:n], y[test])


def learning_rate(settings, epoch):
    """The paper's schedule from a given epoch on: constant at first, then falling to a floor.

    Runs of other than 500 epochs go through the same course at another pace.
    """
    pace = FULL_EPOCHS / settings.n_epochs
    factor, constant = FACTOR**pace, round(CONSTANT_EPOCHS / pace)
    full = ExponentialDecay(settings.learning_rate, factor, FLOOR, constant)
    now = full.at(epoch, settings.n_epochs)
    return ExponentialDecay(now, factor, FLOOR, max(0, constant - epoch))


def untrained(settings, X, seed):
    """The model before training: one update so small that no pattern changes."""
    X = settings.images(X)
    model = RARBM(
        settings.n_components,
        settings.n_patterns,
        negative_phase=PatternInducedCorrelations(settings.n_gibbs_steps, persistent=False),
        optimizer=SGD(scaled=False),
        learning_rate=1e-12,
        batch_size=settings.batch_size,
        init_scale=1.0,
        fit_intercept=False,
        warm_start=True,
        n_threads=1,
        random_state=seed,
    )
    model.partial_fit(X[: settings.batch_size])
    phase, optimizer = settings.phase_and_optimizer(len(X))
    return model.set_params(negative_phase=phase, optimizer=optimizer)


@dataclass(frozen=True)
class Run:
    """The training of one model, of which a folder keeps what has been computed."""

    settings: Settings
    digits: Digits
    seed: int
    folder: Path | None = None
    train: bool = True

    def models(self, last=None):
        """Yield (epoch, model) at each saved epoch up to one (by default the settings' last).

        Without training, the last is the last one that the folder has.
        """
        last = self.settings.n_epochs if last is None else last
        first = partial(untrained, self.settings, self.digits.X, self.seed)
        model = self.kept("00000.pickle", first)
        yield 0, model
        for start, stop in pairwise(sorted({e for e in SAVED_EPOCHS if e < last} | {last})):
            name = f"{stop:05d}.pickle"
            if not (self.train or (self.path / name).exists()):
                return
            leg = partial(train_on, model, self.settings, self.digits.X, start, stop)
            model = self.kept(name, leg)
            yield stop, model

    def trained(self, last=None):
        """The last (epoch, model) of those."""
        *_, at_last = self.models(last)
        return at_last

    @property
    def path(self):
        """The folder of this run."""
        name = f"{self.digits.name}_{self.settings.name}_seed{self.seed}"
        return self.folder / name

    def defaults_model(self):
        """An RARBM trained on the same images by this package's defaults, kept for all runs."""
        name = f"../{self.digits.name}_defaults_seed{self.seed}.pickle"
        return self.kept(name, partial(defaults_model, self.digits, self.seed))

    def standard_model(self):
        """An RBM trained on the same images by this package's defaults, kept for all runs."""
        name = f"../{self.digits.name}_standard_seed{self.seed}.pickle"
        return self.kept(name, partial(standard_model, self.digits, self.seed))

    def kept(self, name, make):
        """Unpickle a file of the run's, or make its content and write it."""
        if self.folder is None:
            return make()
        path = (self.path / name).resolve()
        if path.exists():
            return pickle.loads(path.read_bytes())
        content = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(content))
        part.replace(path)
        return content


def train_on(model, settings, X, start, stop):
    """A copy of a model, trained from one epoch to another."""
    model = deepcopy(model)
    model.set_params(max_iter=stop - start, learning_rate=learning_rate(settings, start))
    clock = time.perf_counter()
    model.fit(settings.images(X))
    print(f"epochs {start} to {stop}: {time.perf_counter() - clock:.0f} s", flush=True)
    return model


def defaults_model(digits, seed, n_components=3000, n_patterns=190, max_iter=5):
    """An RARBM by this package's defaults: small initial patterns, biases, persistent chains."""
    if digits.name != "mnist":
        n_components, n_patterns, max_iter = 200, 40, 50
    model = RARBM(n_components, n_patterns, max_iter=max_iter, n_threads=1, random_state=seed)
    return model.fit(digits.X)


def standard_model(digits, seed):
    """A standard RBM by this package's defaults."""
    n_components, max_iter = (300, 30) if digits.name == "mnist" else (60, 50)
    model = RBM(n_components, max_iter=max_iter, n_threads=1, random_state=seed)
    return model.fit(digits.X)


def data_options():
    """The options of these scripts, for `paper.options` or by themselves."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data-home", metavar="PATH", help="folder that holds mnist/")
    parser.add_argument(
        "--models",
        metavar="FOLDER",
        type=Path,
        default=Path(tempfile.gettempdir()) / "sklearn_rapid_paper",
        help="where models are kept (quick ones are not)",
    )
    parser.add_argument("--epochs", type=int, help="stop there; a later run goes on")
    parser.add_argument(
        "--course",
        type=int,
        default=FULL_EPOCHS,
        metavar="N",
        help="let the learning rate fall as over 500 epochs, but within N",
    )
    parser.add_argument(
        "--readings", nargs="+", choices=READINGS, default=DEFAULT_READINGS, help="of the recipe"
    )
    parser.add_argument("--no-training", action="store_true", help="use what models there are")
    return parser


def runs(chosen, digits, reading, n_patterns=None, n_epochs=None):
    """A run for each seed of `paper.options`, small where it is to be quick.

    Without training, only those of which there are trained models.
    """
    n_epochs = chosen.course if n_epochs is None else n_epochs
    settings, folder = replace(READINGS[reading], n_epochs=n_epochs), chosen.models
    if n_patterns is not None:
        settings = replace(settings, n_patterns=n_patterns)
    train = not chosen.no_training
    if digits.name != "mnist":
        settings, folder, train = quick(settings, len(digits.X)), None, True
    found = [Run(settings, digits, seed, folder, train) for seed in chosen.seeds]
    return [run for run in found if train or (run.path / "00001.pickle").exists()]


def available(chosen, digits, wanted=None):
    """Lists of runs, one for each wanted: (reading, number of patterns, epochs) or a part of it.

    By default those of the readings chosen. Left out is what there are no models of.
    """
    wanted = wanted or [(reading,) for reading in chosen.readings]
    found = [some for arguments in wanted if (some := runs(chosen, digits, *arguments))]
    if not found:
        raise SystemExit(f"no trained models in {chosen.models}: leave out --no-training")
    return list({some[0].settings: some for some in found}.values())  # quick ones may be the same


def last_models(found, chosen):
    """The models of some runs at their last epochs, and the first of these."""
    epochs, models = zip(*(run.trained(chosen.epochs) for run in found), strict=True)
    return min(epochs), models


def main():
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], parents=[data_options()])
    parser.add_argument("--patterns", type=int)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    chosen.seeds = [chosen.seed]
    digits = load_images(chosen.data_home)
    for reading in chosen.readings:
        (run,) = runs(chosen, digits, reading, chosen.patterns)
        run.trained(chosen.epochs)


if __name__ == "__main__":
    main()
