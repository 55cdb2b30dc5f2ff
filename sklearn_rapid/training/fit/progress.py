"""Progress of a fit: history, best state, and how to resume it after it was cut short.

The attribute `_unfinished` of an estimator is a dict of plain Python and NumPy: the state after the
last whole epoch, the best state so far, the number of epochs done (the schedule's position), and a
digest of the data.
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

# Numbers of a `Progress` that are kept as they are.
COUNTS = ("best_score", "n_epochs_without_gain", "n_epochs")


class CutShort(RuntimeError):
    """A fit was ended from outside; the model of its last whole epoch is kept."""


@dataclass
class Progress:
    """History and best state of a fit.

    Attributes
    ----------
    history : dict of lists
        Each has a value an epoch, those of former fits first.
    n_former : int
        Epochs of former fits in the history.
    best_state : TrainingState or None
    best_score : float
    n_epochs_without_gain : int
    n_epochs : int
        Epochs done. It rises last in an epoch: values of the history beyond it do not count.
    """

    history: dict[str, list] = field(default_factory=dict)
    n_former: int = 0
    best_state: TrainingState | None = None
    best_score: float = -np.inf
    n_epochs_without_gain: int = 0
    n_epochs: int = 0

    def record(self, **values: float) -> None:
        """Append one epoch to the history; lists stay equally long."""
        n_before = len(self.history.get("epoch", []))
        for name in [*self.history, *values]:
            column = self.history.setdefault(name, [np.nan] * n_before)
            if len(column) == n_before:
                column.append(values.get(name, np.nan))
        self.n_epochs += 1

    def columns(self) -> dict[str, list]:
        """Copy the history of the epochs that are done."""
        n = self.n_former + self.n_epochs
        return {name: column[:n] for name, column in self.history.items()}

    @property
    def n_recorded(self) -> int:
        """The number of rows of the history so far, those dropped since among them."""
        epochs = self.history.get("epoch", [])
        return epochs[-1] + 1 if epochs else 0

    @property
    def seconds(self) -> float:
        """The time that this fit has taken."""
        return self.history["seconds"][self.n_former + self.n_epochs - 1] if self.n_epochs else 0.0


def new_fit_id() -> str:
    """Draw a name for a fit, from its start to its end, whatever the model's seed."""
    return uuid.uuid4().hex[:12]


def describe_unfinished(
    plan: Plan, state: TrainingState, progress: Progress, fit_id: str, data: dict[str, Any]
) -> dict[str, Any]:
    """Return `_unfinished` of a fit that is cut short, from the end of its last whole epoch."""
    best = progress.best_state
    return {
        "fit_id": fit_id,
        "data": data,
        "state": plan.published(state),
        "best_state": None if best is None else plan.published(best),
        **{name: getattr(progress, name) for name in COUNTS},
    }


def restore_progress(plan: Plan) -> Progress:
    """Restore the progress of the fit that was cut short."""
    left, history = plan.unfinished, copy_history(plan.estimator)
    best = left["best_state"]
    return Progress(
        history,
        n_former=len(history.get("epoch", [])) - left["n_epochs"],
        best_state=None if best is None else plan.state_of(best, plan.backend),
        **{name: left[name] for name in COUNTS},
    )


def copy_history(estimator: Any) -> dict[str, list]:
    """Copy the estimator's history; empty if it has none."""
    return {name: list(column) for name, column in getattr(estimator, "history_", {}).items()}


def digest(X: Any, weights: np.ndarray | None) -> dict[str, Any]:
    """Return shape, dtype and digests of rows and their weights, the same for sparse and dense."""
    of_weights = None
    if weights is not None:
        weights = np.ascontiguousarray(weights).data
        of_weights = hashlib.blake2b(weights, digest_size=16).hexdigest()
    return {
        "shape": tuple(X.shape),
        "dtype": np.dtype(X.dtype).name,
        "rows": X.digest() if hasattr(X, "digest") else _digest_of_rows(X),
        "sample_weight": of_weights,
    }


def check_same_data(wanted: dict[str, Any], X: Any, weights: np.ndarray | None) -> None:
    """Raise ValueError unless the digest is that of these rows and weights."""
    got = digest(X, weights)
    advice = (
        "It goes on with the same rows only; to train a fitted model on other ones, use "
        "partial_fit, or fit with warm_start=True."
    )
    for name in ("shape", "dtype"):
        if wanted[name] != got[name]:
            raise ValueError(
                f"the fit was begun with an X of {name} {wanted[name]}, got one of {name} "
                f"{got[name]}. {advice}"
            )
    if wanted["rows"] != got["rows"]:
        raise ValueError(
            "the fit was begun with other values or another order of rows in X (digest "
            f"{wanted['rows']}, got {got['rows']}). {advice}"
        )
    if wanted["sample_weight"] != got["sample_weight"]:
        which = ["no sample_weight" if d["sample_weight"] is None else "one" for d in (wanted, got)]
        which = f"{which[0]}, got {which[1]}" if which[0] != which[1] else "another one"
        raise ValueError(f"the fit was begun with a different sample_weight: {which}")


def _digest_of_rows(X: Any) -> str:
    found = hashlib.blake2b(digest_size=16)
    for part in chunks(X.shape[0]):
        values = X[part].toarray() if hasattr(X, "toarray") else to_host(X[part])
        found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()
