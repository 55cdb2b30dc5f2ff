"""Time to quality: seconds of training until a model is so good. Tables and curves.

    python tests/benchmarks/quality.py --quick
    python tests/benchmarks/quality.py [NAME ...] --data-home PATH
        --save docs/images/quality.png --save-table docs/benchmarks.md

A point of a curve is a fit from scratch in a number of epochs. Its seconds are those of the fit
alone; what it has come to is measured afterwards. Each contestant trains in a process of its own,
which nothing else runs beside, after a short fit that compiles. Learning rates and the like, where
there are some to choose from, are those of the best validation likelihood; choosing takes no time
either. Rivals need the `benchmarks` extra; those that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import re
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from importlib.util import find_spec

import measure
import numpy as np
from contestants import CONTESTANTS, read
from curves import Curve, Fit, draw, table
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rapid.datasets import fetch_density_benchmark, fetch_mnist

BEGIN, END = "<!-- quality: begin -->", "<!-- quality: end -->"
LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200)
REFERENCE = "BernoulliRBM"
# Rows and epochs of the fit that compiles: enough updates for everything to be called.
FIRST_ROWS, FIRST_EPOCHS = 2000, 3
# Sweeps for log Z; choosing has to make do with fewer.
MAX_SWEEPS = {"valid": 1000, "test": 4000}
# log Z is proved too low by different rows whose probabilities add up to more than one.
LARGEST_LOG_TOTAL = 0.05


@dataclass
class Settings:
    """What is asked of models of a data set.

    Attributes
    ----------
    nats, accuracies : tuple of float
        To be reached: test likelihoods, accuracies of the probe.
    limit : float
        Seconds; no fit is begun that will take longer.
    choice : int
        Epochs after which choices are compared.
    n_components, n_patterns : int
    tol : float
        The error of log Z in nats that will do.
    """

    nats: tuple
    accuracies: tuple = ()
    limit: float = 10.0
    choice: int = 10
    n_components: int = 256
    n_patterns: int = 64
    tol: float = 0.05


SETS = {
    "mnist": Settings((-100.0, -90.0), (0.95, 0.96, 0.97), 90.0, 3, 500, 190, tol=0.3),
    "jester": Settings((-53.0, -52.0), limit=6.0),
    "plants": Settings((-16.0, -14.0), limit=15.0),
    "nltcs": Settings((-6.1, -6.05), limit=6.0),
}
QUICK = {"digits": Settings((-22.0, -20.0), (0.85, 0.87), 0.1, 5, 64, 32, tol=0.3)}


@dataclass
class Rows:
    """Rows to train on, to choose by and to test on; labels of the first and of the last."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    labels: tuple | None = None


def rows_of(name, data_home):
    """A set of the density benchmark; MNIST and digits thresholded at half of their range."""
    if name not in ("mnist", "digits"):
        benchmark = fetch_density_benchmark(name, data_home)
        return Rows(benchmark.train, benchmark.valid, benchmark.test)
    if name == "mnist":
        X, y = fetch_mnist(data_home, return_X_y=True)
        X, first_valid, first_test = X > 127, 50_000, 60_000
    else:
        X, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(X))
        X, y, first_valid, first_test = X[order] > 8, y[order], 1100, 1400
    parts = np.split(X.astype(np.uint8), [first_valid, first_test])
    return Rows(*parts, labels=(y[:first_valid], y[first_test:]))


def train(name, file, settings, choice, lengths):
    """Fits of several lengths, and the memory that they take; runs in a process of its own."""
    warnings.simplefilter("ignore")
    contestant = CONTESTANTS[name]
    importlib.import_module(contestant.package)
    X = np.load(file)
    before = peak_memory()
    contestant.fit(X[:FIRST_ROWS], settings, FIRST_EPOCHS, **choice)
    fits = []
    for n_epochs in lengths:
        if fits and fits[-1].seconds * n_epochs / fits[-1].n_epochs > settings.limit:
            break
        time.sleep(measure.PAUSE)
        start = time.perf_counter()
        fitted = contestant.fit(X, settings, n_epochs, **choice)
        fits.append(Fit(n_epochs, time.perf_counter() - start, fitted))
    return fits, peak_memory() - before


def peak_memory():
    """The most memory that this process has had, in MB (Linux only).

    What getrusage knows includes the process that this one was started by.
    """
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def likelihood(model, X, tol, max_sweeps):
    """Mean log-likelihood in nats, the error of log Z, and whether nothing speaks against it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what it would say is shown
        log_z = model.log_partition(tol=tol, max_sweeps=max_sweeps, random_state=1)
    log_p = -model.free_energy(X) - log_z.value
    _, different = np.unique(X, axis=0, return_index=True)
    is_possible = logsumexp(log_p[different]) <= LARGEST_LOG_TOTAL
    return float(log_p.mean()), log_z.error, log_z.is_trusted and bool(is_possible)


def accuracy(model, rows):
    """Test accuracy of a logistic regression on hidden features."""
    labels, test_labels = rows.labels
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hundred iterations need not converge
        probe.fit(model.transform(rows.train), labels)
    return probe.score(model.transform(rows.test), test_labels)


def titled(name, choice):
    """A contestant with what was chosen."""
    chosen = (
        f"{key.removeprefix('learning_').replace('_', ' ')} {choice[key]:g}" for key in choice
    )
    return ", ".join([name, *chosen])


class Race:
    """All contestants on one data set."""

    def __init__(self, name, settings, data_home, pool):
        self.name, self.settings, self.pool = name, settings, pool
        self.rows = rows_of(name, data_home)

    def run(self):
        """A curve for each contestant that is installed."""
        installed = [name for name, who in CONTESTANTS.items() if find_spec(who.package)]
        with tempfile.TemporaryDirectory() as self.folder:
            for dtype in ("uint8", "float32"):
                np.save(self.file(dtype), self.rows.train.astype(dtype))
            return [self.curve(name) for name in installed]

    def file(self, dtype):
        """Where the training rows are."""
        return os.path.join(self.folder, f"{dtype}.npy")

    def train(self, name, choice, lengths):
        """Fits and their memory, by another process."""
        file = self.file(CONTESTANTS[name].dtype)
        return self.pool.apply(train, (name, file, self.settings, choice, lengths))

    def curve(self, name):
        """The fits of a contestant, each printed once it is measured."""
        choices = CONTESTANTS[name].choices
        choice = choices[0] if len(choices) == 1 else self.best(name, choices)
        title = name if len(choices) == 1 else titled(name, choice)
        fits, memory = self.train(name, choice, LENGTHS)
        for fit in fits:
            self.judge(title, fit, "test")
        return Curve(name, title, fits, memory)

    def best(self, name, choices):
        """The choice with the best validation likelihood less its error, trusted ones first."""
        fits = []
        for choice in choices:
            (fit,), _ = self.train(name, choice, (self.settings.choice,))
            self.judge(titled(name, choice), fit, "valid")
            fits.append(fit)
        scores = [(fit.is_trusted, fit.nats - fit.error) for fit in fits]
        return choices[scores.index(max(scores))]

    def judge(self, title, fit, part):
        """Measure a fit on a part of the rows, and print a line."""
        model, X = read(fit.fitted, self.rows.train), getattr(self.rows, part)
        how = self.settings.tol, MAX_SWEEPS[part]
        fit.nats, fit.error, fit.is_trusted = likelihood(model, X, *how)
        line = f"{self.name}: {title}, {fit.n_epochs} epochs, {fit.seconds:.3g} s: "
        line += f"{part} {fit.likelihood()}"
        if part == "test" and self.rows.labels:
            fit.accuracy = accuracy(model, self.rows)
            line += f", accuracy {fit.accuracy:.4f}"
        print(line, flush=True)

    def table(self, curves):
        """A line on the data set, and its table."""
        n_rows, n_columns = self.rows.train.shape
        s = self.settings
        best = {c.name: c.best for c in curves}.get(REFERENCE, np.nan)
        nats = {} if np.isnan(best) else {f"{REFERENCE}'s best, {best:.2f}": best}
        nats.update((f"{value:g} nats", value) for value in s.nats)
        about = (
            f"{self.name}: {n_rows} training rows of {n_columns} columns; H={s.n_components}, "
            f"K={s.n_patterns}; fits of up to {s.limit:g} s."
        )
        return [about, "", *table(curves, nats, s.accuracies), ""]


def save(page, lines, figure):
    """Put the tables, and a link to the figure, between the marks in a page."""
    if figure:
        file = os.path.relpath(figure, os.path.dirname(page) or ".")
        lines = [*lines, f"![Quality against seconds of training]({file})", ""]
    with open(page) as file:
        old = file.read()
    new = "\n".join([BEGIN, *lines[:-1], END])
    with open(page, "w") as file:
        file.write(re.sub(f"{BEGIN}.*{END}", lambda _: new, old, flags=re.DOTALL))


def main():
    """Race on each data set; print points as they are measured, and tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SETS)}; all")
    parser.add_argument("--data-home", metavar="PATH", help="folder that holds mnist/ and density/")
    parser.add_argument("--limit", type=float, help="seconds of a fit, instead of each set's own")
    parser.add_argument("--quick", action="store_true", help="a check on digits, in a minute")
    parser.add_argument("--save", metavar="PNG", help="write the curves to a file")
    parser.add_argument("--save-table", metavar="PAGE", help="a page with marks for the tables")
    args = parser.parse_args()
    settings = QUICK if args.quick else {name: SETS[name] for name in args.names or SETS}
    lines, curves = [f"{measure.machine_name()}.", ""], {}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name, asked in settings.items():
            if args.limit:
                asked = replace(asked, limit=args.limit)
            race = Race(name, asked, args.data_home, pool)
            curves[name] = race.run()
            new = race.table(curves[name])
            print("\n".join(new), flush=True)
            lines += new
    if args.save:
        draw(curves, args.save)
    if args.save_table:
        save(args.save_table, lines, args.save)


if __name__ == "__main__":
    main()
