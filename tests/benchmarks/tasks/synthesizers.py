"""Synthetic tables: ours and its rivals, each a function of training rows and a seed.

They return a table of as many rows, seconds of the fit and seconds of sampling.
"""

from __future__ import annotations

import contextlib
import time
from importlib import import_module

import numpy as np
from table_sets import text_columns


def timed(fit, sample):
    """Fit a model, sample from it, and time both."""
    start = time.perf_counter()
    model = fit()
    fitted = time.perf_counter()
    table = sample(model)
    return table, fitted - start, time.perf_counter() - fitted


def real_rows(train, seed):
    """The training rows themselves: what no synthetic table can be expected to beat."""
    return train.copy(), 0.0, 0.0


def independent_columns(train, seed):
    """Each column shuffled by itself: what any model should beat."""
    rng = np.random.default_rng(seed)
    shuffled = {c: rng.permutation(train[c].to_numpy()) for c in train.columns}
    return timed(lambda: None, lambda model: train.assign(**shuffled))


def bootstrap(train, seed):
    """Training rows drawn with replacement: copies, which measures of distance should see."""
    rows = np.random.default_rng(seed).integers(len(train), size=len(train))
    return timed(lambda: None, lambda model: train.iloc[rows].reset_index(drop=True))


def forest(train, seed):
    """Adversarial random forest of arfpy, with 10 trees as published and its defaults."""
    arf = import_module("arfpy.arf").arf
    np.random.seed(seed)  # noqa: NPY002 (arfpy draws from NumPy's global generator)
    # arfpy 0.1.1 takes a name that NumPy 2.4 has removed, and looks columns up by number.
    vars(np).setdefault("in1d", np.isin)
    coded = train.astype(dict.fromkeys(text_columns(train), "category"))
    coded = coded.reset_index(drop=True).set_axis(range(train.shape[1]), axis=1)

    def fit():
        model = arf(coded, num_trees=10, verbose=False, random_state=seed)
        model.forde()
        return model

    with contextlib.redirect_stdout(None):
        drawn, *seconds = timed(fit, lambda model: model.forge(n=len(train)))
    drawn = drawn.set_axis(train.columns, axis=1)
    whole = train.select_dtypes("integer").columns
    drawn[whole] = drawn[whole].astype(float).round()
    return drawn.astype(train.dtypes), *seconds


def ours(train, seed):
    """BoltzmannDensity by its defaults."""
    from sklearn_rapid import BoltzmannDensity

    model = BoltzmannDensity(random_state=seed)
    n = len(train)
    return timed(lambda: model.fit(train), lambda fitted: fitted.sample(n, random_state=seed))


SYNTHESIZERS = {
    "BoltzmannDensity": ours,
    "real rows": real_rows,
    "independent columns": independent_columns,
    "bootstrap of the rows": bootstrap,
    "ARF (arfpy)": forest,
}
