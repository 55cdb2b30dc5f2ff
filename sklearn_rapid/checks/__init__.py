"""Checks of users' input, and of versions.

`arguments` checks numbers, options and weights; `arrays` reads arrays, frames and lists and names
unusable values in them; `requirements` checks attributes of unknown origin; `warnings` points at
the user's own line; `compat` is the only module that touches private names of scikit-learn;
`cached` is a property that is safe to fork; `version` is the version that files and clusters are
checked for.
"""
