"""Restricted Boltzmann machines for scikit-learn, with a likelihood that can be believed."""

from sklearn_rapid.checks.version import __version__
from sklearn_rapid.estimators.dbm import DBM
from sklearn_rapid.estimators.rabm import RABM
from sklearn_rapid.estimators.radbm import RADBM
from sklearn_rapid.estimators.rarbm import RARBM
from sklearn_rapid.estimators.rbm import RBM
from sklearn_rapid.persistence.models import load, save

__all__ = ["DBM", "RABM", "RADBM", "RARBM", "RBM", "__version__", "load", "save"]
