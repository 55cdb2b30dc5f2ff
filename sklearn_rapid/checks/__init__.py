"""Checks of what users hand over, and what depends on the versions of other packages.

`arrays` reads arrays, frames and lists and names what cannot be used in them; `warnings` points at
the user's own line; `compat` is the only module that touches private names of scikit-learn;
`cached` is a property that is safe to fork; `version` is what files and clusters are checked for.
"""
