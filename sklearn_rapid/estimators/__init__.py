"""What a user sees: `RBM`, `RARBM`, `DBM`, `RADBM`, `RABM`.

A module for each class has its parameters and its documentation. What they share is in `base` (fit,
partial_fit, transform), `likelihood`, `sampling`, `input` (validating X), `latent` and `deep`
(units beside the columns of X), `fitted` (what a fitted model is made of, checked) and `parameters`
(parameters documented once).
"""

from sklearn_rapid.estimators.dbm import DBM
from sklearn_rapid.estimators.rabm import RABM
from sklearn_rapid.estimators.radbm import RADBM
from sklearn_rapid.estimators.rarbm import RARBM
from sklearn_rapid.estimators.rbm import RBM

__all__ = ["DBM", "RABM", "RADBM", "RARBM", "RBM"]
