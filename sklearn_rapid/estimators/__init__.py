"""The five estimators: `RBM`, `RARBM`, `DBM`, `RADBM`, `RABM`.

Each has a module with its parameters and its documentation. They share `base` (fit, partial_fit,
transform), `likelihood`, `sampling`, `input` (validating X), `deep` (layers), `model` (a fitted
model), `fitted` (checks of fitted attributes) and `parameters` (shared docstrings).
"""

from sklearn_rapid.estimators.dbm import DBM
from sklearn_rapid.estimators.rabm import RABM
from sklearn_rapid.estimators.radbm import RADBM
from sklearn_rapid.estimators.rarbm import RARBM
from sklearn_rapid.estimators.rbm import RBM

__all__ = ["DBM", "RABM", "RADBM", "RARBM", "RBM"]
