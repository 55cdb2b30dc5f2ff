"""Detectors of odd rows: ours and its rivals, each a function of training rows, test rows, seed.

They return how odd each test row is, larger for odder ones, or raise ImportError.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from table_sets import as_frame

MOST_CODES = 20


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in standard deviations of the training rows, as published: all rivals get these."""
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def by_sklearn(make: Callable) -> Callable:
    """A detector of scikit-learn, made of a seed."""

    def oddness(train, test, seed):
        train, test = standardised(train, test)
        return -make(seed).fit(train).score_samples(test)

    return oddness


def by_pyod(module: str, name: str) -> Callable:
    """A detector of PyOD by its defaults.

    Its ECOD and COPOD rank test rows among themselves and the training rows together.
    """

    def oddness(train, test, seed):
        model = getattr(import_module(f"pyod.models.{module}"), name)()
        train, test = standardised(train, test)
        return model.fit(train).decision_function(test)

    return oddness


def ours(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Our detector by its defaults, of frames of numbers."""
    from sklearn_rapid import BoltzmannOutlierDetector

    both = as_frame(np.concatenate([train, test]))
    model = BoltzmannOutlierDetector(random_state=seed).fit(both[: len(train)])
    return -model.score_samples(both[len(train) :])


def ours_with_codes(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Our detector of frames whose columns of at most 20 values are declared as categories."""
    from sklearn_rapid import BoltzmannOutlierDetector

    both = as_frame(np.concatenate([train, test]))
    few = [c for c in both.columns if both[c].nunique() <= MOST_CODES]
    both = both.astype({c: pd.CategoricalDtype(sorted(both[c].unique())) for c in few})
    model = BoltzmannOutlierDetector(random_state=seed).fit(both[: len(train)])
    return -model.score_samples(both[len(train) :])


DETECTORS = {
    "BoltzmannOutlierDetector": ours,
    "BoltzmannOutlierDetector, codes": ours_with_codes,
    "IsolationForest": by_sklearn(lambda seed: IsolationForest(random_state=seed)),
    "LocalOutlierFactor": by_sklearn(lambda seed: LocalOutlierFactor(novelty=True)),
    "HBOS (PyOD)": by_pyod("hbos", "HBOS"),
    "KNN (PyOD)": by_pyod("knn", "KNN"),
    "ECOD (PyOD)": by_pyod("ecod", "ECOD"),
    "COPOD (PyOD)": by_pyod("copod", "COPOD"),
}
