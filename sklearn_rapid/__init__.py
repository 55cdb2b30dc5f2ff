"""Restricted Boltzmann machines for scikit-learn, with a likelihood that can be believed."""

from sklearn_rapid._rbm import RARBM, RBM

__version__ = "0.1.0"

__all__ = ["RARBM", "RBM", "__version__"]
