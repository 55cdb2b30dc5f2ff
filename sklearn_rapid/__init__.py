"""Restricted Boltzmann machines for scikit-learn, with a likelihood that can be believed."""

from sklearn_rapid._rarbm import RARBM
from sklearn_rapid._rbm import RBM

__version__ = "0.1.0"

__all__ = ["RARBM", "RBM", "__version__"]
