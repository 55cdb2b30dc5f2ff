"""How far a fit has come, and all it takes to go on with it later as if it had not been cut.

What a fit that was cut short leaves is a dict of plain Python and NumPy, `_unfinished` on the
estimator: the state after the last whole epoch, the best state so far, the number of epochs done
(which is the schedule's position), and a digest of the data.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_rapid.backends import to_host
from sklearn_rapid.tables.encoder import chunks
from sklearn_rapid.training.fit.plan import Plan
from sklearn_rapid.training.state import TrainingState


class CutShort(RuntimeError):
    """A fit was ended from outside. What has been learned is kept."""


@dataclass
class Progress:
    """What the epochs leave behind, the best state among it.

    Attributes
    ----------
    history : dict of lists
        A value an epoch each, those of former fits first.
    n_former : int
        How many epochs of the history are of former fits.
    best_state : TrainingState or None
    best_score : float
    n_epochs_without_gain : int
    n_epochs : int
        Epochs done. It rises last in an epoch: what the history has beyond it does not count.
    """

    history: dict[str, list] = field(default_factory=dict)
    n_former: int = 0
    best_state: TrainingState | None = None
    best_score: float = -np.inf
    n_epochs_without_gain: int = 0
    n_epochs: int = 0

    def has_stalled(self, patience: int) -> bool:
        """Whether the score has not risen for so many epochs."""
        return self.n_epochs_without_gain >= patience

    def record(self, **values: float) -> None:
        """Append one epoch to the history; lists stay equally long."""
        n_before = len(self.history.get("epoch", []))
        for name in [*self.history, *values]:
            column = self.history.setdefault(name, [np.nan] * n_before)
            if len(column) == n_before:
                column.append(values.get(name, np.nan))
        self.n_epochs += 1

    def columns(self) -> dict[str, list]:
        """A copy of the history of the epochs that are done."""
        n = self.n_former + self.n_epochs
        return {name: column[:n] for name, column in self.history.items()}

    def newest(self, n_rows: int) -> dict[str, list]:
        """The last rows of the history, so many at most."""
        return {name: column[-n_rows:] for name, column in self.history.items()}

    @property
    def n_recorded(self) -> int:
        """How many rows there have been, with those that are no longer there."""
        epochs = self.history.get("epoch", [])
        return epochs[-1] + 1 if epochs else 0

    @property
    def seconds(self) -> float:
        """How long this fit has taken."""
        return self.history["seconds"][self.n_former + self.n_epochs - 1] if self.n_epochs else 0.0


def new_fit_id() -> str:
    """A name for a fit, from its start to its end; it has nothing to do with the model's seed."""
    return uuid.uuid4().hex[:12]


def unfinished(
    plan: Plan, state: TrainingState, progress: Progress, fit_id: str, data: dict[str, Any]
) -> dict[str, Any]:
    """What a fit leaves that is cut short here.

    Parameters
    ----------
    plan : Plan
    state : TrainingState
        After the last whole epoch.
    progress : Progress
    fit_id : str
        Names the fit, from its start to its end.
    data : dict
        What `digest_of` says of them.
    """
    best = progress.best_state
    return {
        "fit_id": fit_id,
        "data": data,
        "state": plan.published(state),
        "best_state": None if best is None else plan.published(best),
        "best_score": progress.best_score,
        "n_epochs_without_gain": progress.n_epochs_without_gain,
        "n_epochs": progress.n_epochs,
    }


def progress_of(plan: Plan) -> Progress:
    """The progress of the fit that was cut short."""
    left, history = plan.unfinished, history_of(plan.estimator)
    best = left["best_state"]
    return Progress(
        history,
        n_former=len(history.get("epoch", [])) - left["n_epochs"],
        best_state=None if best is None else plan.state_of(best, plan.backend),
        best_score=left["best_score"],
        n_epochs_without_gain=left["n_epochs_without_gain"],
        n_epochs=left["n_epochs"],
    )


def n_epochs_left(plan: Plan, X: Any, weights: np.ndarray | None) -> int:
    """Number of epochs left; ValueError if the fit that was cut short cannot go on with these rows.

    Parameters
    ----------
    plan : Plan
    X : array of shape (n, n_columns)
    weights : array of shape (n,) or None
    """
    left, max_iter = plan.unfinished, plan.estimator.max_iter
    if max_iter < left["n_epochs"]:
        raise ValueError(f"{left['n_epochs']} epochs of this fit are done, got max_iter={max_iter}")
    _check_same_data(left["data"], digest_of(X, weights))
    return max_iter - left["n_epochs"]


def history_of(estimator: Any) -> dict[str, list]:
    """A copy of the estimator's history; empty if it has none."""
    return {name: list(column) for name, column in getattr(estimator, "history_", {}).items()}


def digest_of(X: Any, weights: np.ndarray | None) -> dict[str, Any]:
    """Shape, dtype and digests of rows and their weights, the same for sparse and dense rows."""
    of_weights = None
    if weights is not None:
        of_weights = hashlib.blake2b(np.ascontiguousarray(weights).data, digest_size=16)
    return {
        "shape": tuple(X.shape),
        "dtype": np.dtype(X.dtype).name,
        "rows": X.digest() if hasattr(X, "digest") else _digest_of_rows(X),
        "sample_weight": of_weights and of_weights.hexdigest(),
    }


def _digest_of_rows(X: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in chunks(X.shape[0]):
        values = X[part].toarray() if hasattr(X, "toarray") else to_host(X[part])
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _check_same_data(wanted: dict[str, Any], got: dict[str, Any]) -> None:
    """Raise ValueError unless these are the data that a fit was begun with."""
    for name in ("shape", "dtype"):
        if wanted[name] != got[name]:
            raise ValueError(
                f"the fit was begun with an X of {name} {wanted[name]}, got one of {name} "
                f"{got[name]}. It goes on with the same rows only; to train a fitted model on "
                "other ones, use partial_fit, or fit with warm_start=True."
            )
    if wanted["rows"] != got["rows"]:
        raise ValueError(
            f"the fit was begun with other values or another order of rows in X (digest "
            f"{wanted['rows']}, got {got['rows']}). It goes on with the same rows only; to train a "
            "fitted model on other ones, use partial_fit, or fit with warm_start=True."
        )
    if wanted["sample_weight"] != got["sample_weight"]:
        which = ["no sample_weight" if d["sample_weight"] is None else "one" for d in (wanted, got)]
        which = f"{which[0]}, got {which[1]}" if which[0] != which[1] else "another one"
        raise ValueError(f"the fit was begun with a different sample_weight: {which}")
