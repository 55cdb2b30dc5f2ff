"""`DaskRBM` and `DaskRARBM`: estimators fitted on the workers of a cluster."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from sklearn_rapid.checks.compat import Count
from sklearn_rapid.dask._mixin import DASK_PARAMETERS, DaskMixin
from sklearn_rapid.estimators import RARBM, RBM
from sklearn_rapid.estimators.parameters import entries_of

DASK_CONSTRAINTS = {"blocks_at_once": [Count(), None], "client": "no_validation"}


class DaskRBM(DaskMixin, RBM):
    """`RBM`, fitted on the rows of a Dask collection by all workers of a cluster.

    Rows and chains stay on the workers. In each update, sums over rows go up a tree of workers and
    parameters come back; both are of the parameters' size. The model is that of `RBM` on the same
    rows, seed and settings, up to the order in which numbers are added.

    Parameters
    ----------
    n_components : int, default=256
        Number of hidden units H.
    **parameters : dict
        Those of `RBM`.
    blocks_at_once : int, default=None
        Number of blocks of X in memory together. With None it is all: they are read once, and rows
        are shuffled as in `RBM`. Otherwise each epoch takes that many blocks at a time, in a new
        random order, and shuffles their rows while the next ones are read. A batch has rows of
        blocks in memory only.
    client : distributed.Client, default=None
        None takes that of the context.

    Attributes
    ----------
    components_, intercept_visible_, intercept_hidden_, history_, ... : as in `RBM`

    See Also
    --------
    sklearn_rapid.RBM : without Dask.

    Notes
    -----
    `n_threads` counts the threads of each worker; with None it uses all of its own.

    Columns of X are learned on the client, from all rows up to 20,000. Of more rows it looks at
    about as many, and at one with each category: categories and their counts are those of all rows,
    means and quantiles of real columns those of some. Missing entries are refused.

    If a worker is lost, the fit goes back to the last state that the client fetched, at the end of
    the last epoch or some 20 seconds ago, and goes on with the remaining workers.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn_rapid.dask import DaskRBM
    >>> from sklearn_rapid.datasets import make_bars_and_stripes
    >>> X = da.from_array(make_bars_and_stripes(4), chunks=(10, -1))
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    ...     rbm = DaskRBM(8, max_iter=5, random_state=0).fit(X)
    >>> rbm.to_local().components_.shape
    (8, 16)
    """

    _local_class: ClassVar = RBM
    _parameter_constraints: ClassVar[dict] = {**RBM._parameter_constraints, **DASK_CONSTRAINTS}

    def __init__(
        self,
        n_components: int = 256,
        *,
        blocks_at_once: int | None = None,
        client: Any = None,
        **parameters: Any,
    ) -> None:
        super().__init__(n_components, **parameters)
        self.blocks_at_once = blocks_at_once
        self.client = client


class DaskRARBM(DaskMixin, RARBM):
    """`RARBM`, fitted on the rows of a Dask collection by all workers of a cluster.

    As `DaskRBM`, but messages have the patterns' size: K (V + H) numbers instead of V H.

    Parameters
    ----------
    n_components : int, default=256
        Number of hidden units H.
    n_patterns : int, default=64
        Number of patterns K.
    **parameters : dict
        Those of `RARBM`.
    blocks_at_once : int, default=None
        Number of blocks of X in memory together; see `DaskRBM`.
    client : distributed.Client, default=None
        None takes that of the context.

    Attributes
    ----------
    visible_patterns_, hidden_patterns_, intercept_visible_, ... : as in `RARBM`

    See Also
    --------
    sklearn_rapid.RARBM : without Dask.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn_rapid.dask import DaskRARBM
    >>> from sklearn_rapid.datasets import make_bars_and_stripes
    >>> X = da.from_array(make_bars_and_stripes(4), chunks=(10, -1))
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    ...     rarbm = DaskRARBM(8, 4, max_iter=5, random_state=0).fit(X)
    ...     H = rarbm.transform(X).compute()
    >>> H.shape
    (28, 8)
    """

    _local_class: ClassVar = RARBM
    _parameter_constraints: ClassVar[dict] = {**RARBM._parameter_constraints, **DASK_CONSTRAINTS}

    def __init__(
        self,
        n_components: int = 256,
        n_patterns: int = 64,
        *,
        blocks_at_once: int | None = None,
        client: Any = None,
        **parameters: Any,
    ) -> None:
        super().__init__(n_components, n_patterns, **parameters)
        self.blocks_at_once = blocks_at_once
        self.client = client


def _document_parameters(cls: type) -> None:
    """Write the local class's parameters into the signature and docstring."""
    local = inspect.signature(cls._local_class).parameters
    own = inspect.signature(cls).parameters
    named = [own[name] for name in DASK_PARAMETERS]
    cls.__signature__ = inspect.Signature([*local.values(), *named])
    if cls.__doc__ is None:  # python -OO
        return
    doc, of_local = (inspect.cleandoc(c.__doc__) for c in (cls, cls._local_class))
    entries, of_local = (entries_of(_parameters_in(text)) for text in (doc, of_local))
    others = [entry for name, entry in of_local.items() if name not in entries]
    (rest,) = (entry for entry in entries.values() if entry.startswith("**parameters"))
    cls.__doc__ = doc.replace(rest, "\n".join(others)) + "\n"


def _parameters_in(doc: str) -> str:
    return doc.split("Parameters\n----------\n")[1].split("\n\nAttributes")[0]


for _cls in (DaskRBM, DaskRARBM):
    _document_parameters(_cls)
