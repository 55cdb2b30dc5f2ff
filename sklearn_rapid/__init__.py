"""Boltzmann machines for scikit-learn, with likelihoods whose errors are known."""

from sklearn_rapid.checks.version import __version__
from sklearn_rapid.estimators import DBM, RABM, RADBM, RARBM, RBM
from sklearn_rapid.persistence import load, save
from sklearn_rapid.tasks import (
    BoltzmannClassifier,
    BoltzmannDensity,
    BoltzmannImputer,
    BoltzmannOutlierDetector,
)

__all__ = [
    "DBM",
    "RABM",
    "RADBM",
    "RARBM",
    "RBM",
    "BoltzmannClassifier",
    "BoltzmannDensity",
    "BoltzmannImputer",
    "BoltzmannOutlierDetector",
    "__version__",
    "load",
    "save",
]
