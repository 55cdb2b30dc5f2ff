"""Write checkpoints of a fit while it runs, and resume the fit from them."""

from __future__ import annotations

import copy
import os
import pickle
import re
import uuid
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.checks.arguments import check_count
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.estimators.base import BaseRBM, continue_fit
from sklearn_rapid.persistence.files import DamagedFile, seal, unseal, write_whole
from sklearn_rapid.training.fit.progress import new_fit_id

SUFFIX = ".checkpoint"
NAME = re.compile(rf"(?P<fit_name>\w+-[0-9a-f]+)-(?P<epoch>\d+){re.escape(SUFFIX)}")


class Checkpoint:
    """A callback that writes a fit to disk after epochs, so that it survives the process.

    A file holds the whole state of the fit after an epoch: the model, chains, the optimizer's
    state, random numbers, the schedule's position, the history, and the state of early stopping.
    `resume` continues from it, and ends with the model, bit for bit, of a fit that was never cut
    short.

    Files are written whole or not at all, whenever a process is killed. File names differ from fit
    to fit, ``<class>-<fit>-<epochs done>.checkpoint``: fits (of a grid search, say) never overwrite
    one another's files, nor does a repeated fit those of the first. Files that are no longer needed
    are yours to delete.

    Parameters
    ----------
    path : str or path
        A folder; it is created if missing.
    every : int, default=1
        Epochs from one file to the next. The last one of `max_iter` gets a file in any case.
    n_kept : int, default=2
        How many of the newest files of a fit are kept. With two, one is left if the disk damages
        the other.

    Raises
    ------
    OSError
        At the start of a fit, if nothing can be written to the folder. If that happens later, a
        RuntimeWarning says so, and the fit goes on.
    TypeError
        At the start of a fit, if the estimator is not one of this package, or has parameters that
        cannot be pickled.

    See Also
    --------
    resume : Continue a fit.

    Notes
    -----
    A checkpoint is a pickle: reading one runs what its author put into it. Read only those that
    you trust. Other callbacks are not part of it. It is meant for the version of the package that
    has written it; for longer, `sklearn_rapid.save` keeps finished models.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.callbacks import Checkpoint, resume
    >>> from sklearn_rapid.datasets import make_bars
    >>> X, folder = make_bars(3), tempfile.TemporaryDirectory()
    >>> rbm = RBM(4, max_iter=30, random_state=0).set_callbacks(Checkpoint(folder.name, every=20))
    >>> rbm = rbm.fit(X)  # may be killed at any time
    >>> model = Checkpoint.load(folder.name)  # the model of the last file
    >>> model.n_iter_
    30
    >>> model = resume(folder.name, X)  # the model of the whole fit
    >>> bool((model.components_ == rbm.components_).all())
    True
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike, every: int = 1, n_kept: int = 2) -> None:
        check_count("every", every, 1)
        check_count("n_kept", n_kept, 1)
        self.path = Path(path).absolute()
        self.every = every
        self.n_kept = n_kept

    def setup(self, estimator: Any, context: Any) -> None:
        """Check at the start of a fit that checkpoints can be written.

        Parameters
        ----------
        estimator : estimator
        context : CallbackContext
        """
        if not isinstance(estimator, BaseRBM):
            raise TypeError(
                "Checkpoint keeps fits of RBM, RARBM, DBM, RADBM and RABM; set it on one of them "
                f"(within a pipeline or search as well), got {type(estimator).__name__}"
            )
        try:
            content = seal(self._make_payload(estimator))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"a checkpoint is a pickle, which {estimator!r} does not fit into: {error}"
            ) from error
        probe = self.path / f".probe-{uuid.uuid4().hex}"
        try:
            probe.parent.mkdir(parents=True, exist_ok=True)
            write_whole(probe, content)
            probe.unlink()
        except OSError as error:
            message = f"no checkpoints can be written to the folder {self.path}: {error.strerror}"
            raise OSError(error.errno, message) from error

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : estimator
        context : CallbackContext
        """

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Write a checkpoint after an epoch, if it is time for one.

        Parameters
        ----------
        estimator : estimator
        context : CallbackContext
        fitted_estimator : estimator, optional
            The model of the epoch, with all it takes to go on.
        """
        if fitted_estimator is None:
            return
        n_epochs = fitted_estimator.n_iter_
        if n_epochs % self.every != 0 and n_epochs < estimator.max_iter:
            return
        fit_name = f"{type(estimator).__name__}-{fitted_estimator._unfinished['fit_id']}"
        file = self.path / f"{fit_name}-{n_epochs:06d}{SUFFIX}"
        try:
            write_whole(file, seal(self._make_payload(fitted_estimator)))
            files = _list_newest_first(self.path, fit_name)
            written = [old for old in files if _n_epochs(old) <= n_epochs]
            for old in [*written[self.n_kept :], *self.path.glob(f".{fit_name}-*.tmp")]:
                old.unlink(missing_ok=True)
        except (OSError, MemoryError) as error:
            warn(
                f"no checkpoint could be written after {n_epochs} epochs: {error!r}. The fit goes "
                "on; the last checkpoint before, if there is one, is still there.",
                RuntimeWarning,
            )

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : estimator
        context : CallbackContext
        """

    @staticmethod
    def load(path: str | os.PathLike) -> BaseRBM:
        """Read the model of a checkpoint, with all it takes to `resume` its fit.

        Parameters
        ----------
        path : str or path
            A file, or a folder with files of one fit: then the newest one that is not damaged.
            Trusted files only: reading one runs what its author put into it. A fit that is resumed
            from an older file than its newest writes files under a new name, as another fit does.

        Returns
        -------
        RBM, RARBM, DBM, RADBM or RABM
            Its callback is a `Checkpoint` like the one that wrote the file.

        Raises
        ------
        FileNotFoundError
            If there is no checkpoint.
        ValueError
            If a file is damaged, or a folder has checkpoints of several fits.

        Warns
        -----
        RuntimeWarning
            If a file of a folder is damaged, so that an older one is read.
        """
        path = Path(path)
        file, payload = _read_newest(path) if path.is_dir() else (path, _read(path))
        estimator = payload["estimator"]
        others = [] if path.is_dir() else _list_newest_first(file.parent, _fit_name(file))
        if any(_n_epochs(other) > _n_epochs(file) for other in others):
            # A new name keeps the newer files.
            estimator._unfinished["fit_id"] = new_fit_id()
        return estimator.set_callbacks(Checkpoint(file.parent, **payload["checkpoint"]))

    def _make_payload(self, estimator: Any) -> dict[str, Any]:
        kept = copy.copy(estimator)
        # Callbacks have threads and sockets; whoever resumes may set others.
        for name in [name for name in vars(kept) if "callback" in name]:
            delattr(kept, name)
        return {"estimator": kept, "checkpoint": {"every": self.every, "n_kept": self.n_kept}}


def resume(
    source: str | os.PathLike | BaseRBM,
    X: ArrayLike,
    y: Any = None,
    sample_weight: ArrayLike | None = None,
) -> BaseRBM:
    """Continue a fit that was cut short, as if it had not been.

    The model is bit for bit that of an uninterrupted fit: the remaining epochs follow with their
    learning rates, the same random numbers, and the state of early stopping. (Given the same X,
    package, backend and machine: another processor may round otherwise.) This differs from
    ``warm_start=True``, where `fit` starts a new fit, of `max_iter` epochs and a whole schedule,
    from the model that it finds.

    Parameters
    ----------
    source : str, path or estimator
        A file of `Checkpoint`, or a folder with files of one fit (trusted ones only). Or an
        estimator: one that `Checkpoint.load` has returned; one whose `fit` has been interrupted
        (KeyboardInterrupt) or stopped by a callback; the `fitted_estimator` that a callback is
        given. Its callbacks are called, and parameters may be changed before.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows that the fit was begun with.
    y : ignored
        Handed to callbacks only.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights that the fit was begun with.

    Returns
    -------
    RBM, RARBM, DBM, RADBM or RABM
        The given estimator, or that of the file, fitted.

    Raises
    ------
    ValueError
        If X or the weights are not those that the fit was begun with, if nothing was cut short, or
        if a file is damaged.
    FileNotFoundError
        If there is no checkpoint.

    See Also
    --------
    Checkpoint : Write a fit to disk while it runs.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.callbacks import Checkpoint, resume
    >>> from sklearn_rapid.datasets import make_bars
    >>> X, folder = make_bars(3), tempfile.TemporaryDirectory()
    >>> def train():  # the same after each restart of the process
    ...     try:
    ...         return resume(folder.name, X)
    ...     except FileNotFoundError:
    ...         return RBM(4, random_state=0).set_callbacks(Checkpoint(folder.name)).fit(X)
    >>> bool((train().components_ == train().components_).all())
    True
    >>> folder.cleanup()
    """
    if isinstance(source, BaseRBM):
        check_is_fitted(source)
        if getattr(source, "_unfinished", None) is None:
            raise ValueError(
                f"the fit of this {type(source).__name__} was not cut short: nothing is left of "
                "it. For more epochs set warm_start=True and call fit, or call partial_fit."
            )
        return continue_fit(source, X, y, sample_weight)
    return continue_fit(Checkpoint.load(source), X, y, sample_weight)


def _read(file: Path) -> dict[str, Any]:
    """Read a file; the error of a damaged one names the next older one."""
    try:
        return unseal(file)
    except DamagedFile as error:
        others = _list_newest_first(file.parent, _fit_name(file))
        older = [other for other in others if _n_epochs(other) < _n_epochs(file)]
        if not older:
            raise
        raise DamagedFile(f"{error}. The next older one of its fit is {older[0]}") from error


def _read_newest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Find the newest undamaged file of the only fit in a folder, and read it."""
    files = _list_newest_first(folder)
    fit_names = sorted({_fit_name(file) for file in files})
    if not files:
        raise FileNotFoundError(f"there is no checkpoint (*{SUFFIX}) in {folder}")
    if len(fit_names) > 1:
        newest = ", ".join(str(_list_newest_first(folder, name)[0]) for name in fit_names)
        raise ValueError(
            f"{folder} has checkpoints of {len(fit_names)} fits. Say which one is meant by the "
            f"path of its file, or delete the others: {newest}"
        )
    errors = []
    for file in files:
        try:
            payload = unseal(file)
        except DamagedFile as error:
            errors.append(str(error))
            continue
        if errors:
            message = f"{'; '.join(errors)}. {file} is taken instead."
            warn(message, RuntimeWarning)
        return file, payload
    raise DamagedFile(f"no checkpoint in {folder} can be read: {'; '.join(errors)}")


def _list_newest_first(folder: Path, fit_name: str | None = None) -> list[Path]:
    """List the checkpoints in a folder, of one fit or of all."""
    files = [file for file in folder.iterdir() if NAME.fullmatch(file.name)]
    files = [file for file in files if fit_name in (None, _fit_name(file))]
    return sorted(files, key=_n_epochs, reverse=True)


def _fit_name(file: Path) -> str:
    """Return the part of a file's name that all files of its fit share."""
    match = NAME.fullmatch(file.name)
    return match["fit_name"] if match else file.name


def _n_epochs(file: Path) -> int:
    """Read the number of epochs done from a file's name; 0 for a file that was renamed."""
    match = NAME.fullmatch(file.name)
    return int(match["epoch"]) if match else 0
