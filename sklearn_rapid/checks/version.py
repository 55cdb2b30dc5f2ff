"""The version of the package, for those modules that stamp files with it."""

__version__ = "0.1.0"
