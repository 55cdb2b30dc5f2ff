"""Fits over many workers, on Dask: `DaskRBM` and `DaskRARBM`.

It takes the extra `dask`: ``pip install "sklearn_rapid[dask]"``.
"""

from importlib.util import find_spec

if find_spec("dask") is None or find_spec("distributed") is None:
    raise ImportError(
        'sklearn_rapid.dask needs Dask and its scheduler: pip install "sklearn_rapid[dask]"'
    )

from sklearn_rapid.dask._estimators import DaskRARBM, DaskRBM

__all__ = ["DaskRARBM", "DaskRBM"]
