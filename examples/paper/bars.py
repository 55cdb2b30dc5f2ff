"""Training runs on 4 x 4 bars that figures 2 to 4 share, kept on disk between scripts.

Each run is measured during training and its measurements are cached with joblib: the first
script that needs a run trains it, the others read it. The environment variable
SKLEARN_RAPID_PAPER_CACHE names the folder; by default it is one for temporary files.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import joblib
import numpy as np
from paper import report
from published import PublishedPhase, PublishedSGD
from sklearn.base import clone

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import make_bars, train_test_split_by_negation
from sklearn_rapid.diagnostics import (
    gibbs_accessibility,
    ground_state_energy,
    method_accessibility,
    reconstruction_distance,
    singular_values,
)
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay

DEFAULT_CACHE = Path(tempfile.gettempdir()) / "sklearn_rapid_paper"
memory = joblib.Memory(os.environ.get("SKLEARN_RAPID_PAPER_CACHE", DEFAULT_CACHE), verbose=0)

SIDE = 4
# Runs of the slow methods.
AT_MOST = {"PCD-10": 10, "exact": 10}
COLORS = {"RAPID": "tab:blue", "PCD-10": "tab:green", "CD-10": "tab:orange", "exact": "tab:red"}
FIRST_ROW = np.arange(SIDE * SIDE) < SIDE
# Columns 0101, 0110 and their negatives, in the order of `make_bars`.
PUBLISHED_TEST = (4, 5, 8, 9)
N_UPDATES_PER_EPOCH = 10

# One thread each: where there are more, independent runs make better use of them.
COMMON = {"units": "spin", "fit_intercept": False, "n_threads": 1}


class PublishedAdam(Adam):
    """Adam as in the published scripts: its bias corrections count epochs, not updates.

    So the first epoch's steps are up to twice as long as Adam's, and later ones up to three
    times shorter. The published exact gradients went through an ordinary Adam.
    """

    def direction(self, gradient, state, xp):
        """Adam's direction, with the corrections exchanged (eps aside)."""
        directions, state = super().direction(gradient, state, xp)
        t = state["n_updates"]
        epoch = (t - 1) // N_UPDATES_PER_EPOCH + 1
        first = (1 - self.beta1**t) / (1 - self.beta1**epoch)
        second = (1 - self.beta2**t) / (1 - self.beta2**epoch)
        factor = float(first / np.sqrt(second))
        return {name: factor * d for name, d in directions.items()}, state


def rapid(hidden="marginal"):
    """RAPID: patterns of spins, their negative phase without any Monte Carlo."""
    return RARBM(
        n_patterns=8,
        negative_phase=PatternInducedCorrelations(0, persistent=False, hidden=hidden),
        optimizer=SGD(scaled=False),
        learning_rate=ExponentialDecay(0.02, 0.96, floor=1e-5),
        batch_size=3,
        init_scale=1.0,
        projection="sign",
        projection_period="epoch",
        **COMMON,
    )


def standard(negative_phase, optimizer=None):
    """A standard RBM: small random weights, Adam, one image an update."""
    return RBM(
        negative_phase=negative_phase,
        optimizer=optimizer or Adam(scaled=False),
        learning_rate=1e-3,
        batch_size=1,
        init_scale=0.01,
        **COMMON,
    )


METHODS = {
    "RAPID": rapid(),
    "RAPID, published batches": rapid().set_params(
        negative_phase=PublishedPhase(0, batch_size=3, seeds="signs"),
        optimizer=PublishedSGD(n_rows=10, batch_size=3),
    ),
    "RAPID, hidden patterns": rapid(hidden="pattern"),
    "PCD-10": standard(PersistentContrastiveDivergence(10, n_chains=2048)),
    "CD-10": standard(ContrastiveDivergence(10)),
    "CD-10, published Adam": standard(ContrastiveDivergence(10), PublishedAdam()),
    "exact": standard("exact"),
}
METHODS["CD-10, published Adam"].set_params(optimizer__scaled=False)


def split(seed, published=False):
    """10 training and 4 test images, both closed under negation, as spins."""
    X = make_bars(SIDE, units="spin")
    if published:
        return np.delete(X, PUBLISHED_TEST, axis=0), X[list(PUBLISHED_TEST)]
    return train_test_split_by_negation(X, test_size=4, random_state=seed)


class Measurements:
    """A callback that measures the model after some epochs, about equally spaced in log."""

    def __init__(self, X_train, X_test, n_epochs, seed):
        self.data = {"train": X_train, "test": X_test}
        self.seed = seed
        self.epochs = set(np.geomspace(1, n_epochs, 17).round().astype(int))
        self.epoch = 0
        self.values = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epoch += 1
            if self.epoch in self.epochs:
                self.values.append({"epoch": self.epoch, **self.measure(fitted_estimator)})

    def measure(self, model):
        """All that the figures draw against the epoch."""
        ground = ground_state_energy(model)
        options = {"random_state": self.seed, "ground_energy": ground}
        energies = gibbs_accessibility(model, 10, n_chains=100, **options)
        values = {
            "gibbs": energies.mean(),
            "gibbs_best_of_ten": energies.reshape(10, 10).max(axis=1).mean(),
            **method_accessibilities(model, self.data["train"], ground),
        }
        for name, X in self.data.items():
            values[f"log_likelihood_{name}"] = model.score(X)
            values[f"distance_{name}"] = distance(model, X, self.seed, 10, clamp=True)
            values[f"distance_one_step_{name}"] = distance(model, X, self.seed, 1, clamp=False)
        return values


def distance(model, X, seed, n_gibbs_steps, clamp):
    """Mean Hamming distance of 100 reconstructions of each image from its first row."""
    X = np.repeat(X, 100, axis=0)
    options = {"n_gibbs_steps": n_gibbs_steps, "clamp": clamp, "random_state": seed}
    return reconstruction_distance(model, X, FIRST_ROW, **options).mean()


def method_accessibilities(model, X, ground):
    """Of one negative phase from all training images, and the best of ten of them.

    PID is judged by its patterns, visible and hidden part (equation 6), as published; also by
    what its visible parts are worth with hidden ones drawn from the model.
    """
    if model.negative_phase == "exact":
        return {}

    def reached(model, n):
        options = {"ground_energy": ground}
        return [method_accessibility(model, X, random_state=i, **options) for i in range(n)]

    if isinstance(model, RBM):
        values = reached(model, 10)
        return {"method": np.mean(values), "method_best_of_ten": np.max(values)}
    # New objects: the training that goes on holds the model's own one.
    model.set_params(negative_phase=PatternInducedCorrelations(0, persistent=False))
    drawn = np.mean(reached(model, 10))
    model.set_params(
        negative_phase=PatternInducedCorrelations(0, persistent=False, hidden="pattern")
    )
    return {"method": reached(model, 1)[0], "method_drawn_hidden": drawn}


@memory.cache
def run(method, seed, n_hidden, n_epochs, published_split):
    """Train one model; a dict of its measurements by epoch, and its final singular values."""
    X_train, X_test = split(seed, published_split)
    measurements = Measurements(X_train, X_test, n_epochs, seed)
    model = clone(METHODS[method]).set_params(
        n_components=n_hidden, max_iter=n_epochs, random_state=seed
    )
    model.set_callbacks(measurements).fit(X_train)
    rows = measurements.values
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    values["singular_values"] = singular_values(model)
    values["seconds_to_fit"] = model.history_["seconds"][-1]
    return values


class ColdMeasurements(Measurements):
    """Distances of the same model at a tenth of its temperature: W ten times as large."""

    def measure(self, model):
        """Nothing but distances; the training goes on with its own couplings."""
        model.components_ = 10.0 * model.components_
        values = {}
        for name, X in self.data.items():
            values[f"distance_{name}"] = distance(model, X, self.seed, 10, clamp=True)
            values[f"distance_one_step_{name}"] = distance(model, X, self.seed, 1, clamp=False)
        return values


@memory.cache
def cold_run(seed, n_hidden, n_epochs):
    """Train a model by CD-10 as in `run`; distances by epoch at a tenth of the temperature."""
    X_train, X_test = split(seed)
    measurements = ColdMeasurements(X_train, X_test, n_epochs, seed)
    model = clone(METHODS["CD-10"]).set_params(
        n_components=n_hidden, max_iter=n_epochs, random_state=seed
    )
    model.set_callbacks(measurements).fit(X_train)
    rows = measurements.values
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def runs(method, chosen, published_split=False):
    """Measurements of all runs of a method, stacked: one row each."""
    size = size_of(chosen)
    seeds = chosen.seeds[: AT_MOST.get(method)]
    return stacked([run(method, seed, *size, published_split) for seed in seeds])


def cold_runs(chosen):
    """Measurements of all of CD-10's runs at a tenth of the temperature."""
    return stacked([cold_run(seed, *size_of(chosen)) for seed in chosen.seeds])


def size_of(chosen):
    """Hidden units and epochs."""
    return (100, 15) if chosen.quick else (1000, 300)


def stacked(values):
    """One row for each run."""
    return {name: np.array([value[name] for value in values]) for name in values[0]}


def epochs_and(name, values):
    """The epochs of some runs, and what was measured then, shape (n_epochs, n_runs)."""
    return values["epoch"][0], values[name].T


def report_at(what, name, values, epochs=(1, 10, 100, 300)):
    """Print a measurement at the measured epochs nearest to some."""
    at, rows = epochs_and(name, values)
    for row in sorted({int(np.argmin(np.abs(np.log(at / epoch)))) for epoch in epochs}):
        report(f"{what}, epoch {at[row]}", rows[row])


def first_epoch(values, name, below):
    """The first measured epoch at which each run is below a value; infinity if none is."""
    at, rows = epochs_and(name, values)
    reached = rows < below
    return np.where(reached.any(axis=0), at[reached.argmax(axis=0)], np.inf)


def legend_below(figure, ax, n_columns=4):
    """One legend under all axes in place of their own."""
    for other in figure.axes:
        if other.get_legend():
            other.get_legend().remove()
    handles = ax.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=n_columns)
