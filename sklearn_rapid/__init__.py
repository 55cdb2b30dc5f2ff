"""Restricted Boltzmann machines for scikit-learn, with a likelihood that can be believed."""

from sklearn_rapid._dbm import DBM
from sklearn_rapid._rabm import RABM
from sklearn_rapid._radbm import RADBM
from sklearn_rapid._rarbm import RARBM
from sklearn_rapid._rbm import RBM
from sklearn_rapid._version import __version__
from sklearn_rapid.persistence import load, save

__all__ = ["DBM", "RABM", "RADBM", "RARBM", "RBM", "__version__", "load", "save"]
