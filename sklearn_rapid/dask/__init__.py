"""Fit `DaskRBM` and `DaskRARBM` on the workers of a cluster.

It needs the extra `dask`: ``pip install "sklearn_rapid[dask]"``.

`_estimators` has the classes, whose methods are in `_mixin`. On the client, `_run` runs a fit,
`_rows` keeps track of the rows, `_first_rows` chooses those that columns are learned from by
`_summaries` of blocks, `_extremes` checks values, `_actor_group` drives the workers, and `_cluster`
notices lost ones. `_actor` is one worker's part. `_lazy` applies fitted models to collections, and
`_log_partition` estimates log Z on all workers.
"""

from importlib.util import find_spec

if find_spec("dask") is None or find_spec("distributed") is None:
    raise ImportError(
        'sklearn_rapid.dask needs Dask and its scheduler: pip install "sklearn_rapid[dask]"'
    )

from sklearn_rapid.dask._estimators import DaskRARBM, DaskRBM

__all__ = ["DaskRARBM", "DaskRBM"]
