"""Restricted Boltzmann machines for scikit-learn, with a likelihood that can be believed."""

from sklearn_rapid._rabm import RABM
from sklearn_rapid._rarbm import RARBM
from sklearn_rapid._rbm import RBM
from sklearn_rapid._version import __version__
from sklearn_rapid.persistence import load, save

__all__ = ["RABM", "RARBM", "RBM", "__version__", "load", "save"]
