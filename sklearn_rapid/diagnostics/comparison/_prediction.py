"""Train classifiers or regressors on synthetic rows, and test them on held-out real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from sklearn_rapid.checks.arrays import describe
from sklearn_rapid.diagnostics.comparison._tables import TABLES, ComparedTables

# Categories of a column beyond these are joined: HistGradientBoosting takes no more.
MOST_CATEGORIES, MOST_ONE_HOT = 255, 100
DEFAULT_NAME = "HistGradientBoosting"


@dataclass(frozen=True)
class PredictionScore:
    """A score on held-out rows, of an estimator trained on synthetic rows and on training rows.

    Attributes
    ----------
    estimator : str
    metric : {"accuracy", "ROC AUC", "R²"}
    synthetic : float
        Trained on synthetic rows.
    train : float
        Trained on the real training rows.

    Examples
    --------
    >>> PredictionScore("tree", "accuracy", synthetic=0.81, train=0.84).synthetic
    0.81
    """

    estimator: str
    metric: str
    synthetic: float
    train: float


def check_estimators(estimators: Any) -> Mapping[str, Any] | None:
    """Return a mapping of names to estimators, or None; TypeError or ValueError for another."""
    if estimators is None:
        return None
    if not isinstance(estimators, Mapping):
        raise TypeError(
            f"estimators must be a dict of names and estimators, got {describe(estimators)}"
        )
    if not estimators:
        raise ValueError("estimators must hold at least one estimator, got none")
    return estimators


def score_predictions(
    tables: ComparedTables, target: int, estimators: Mapping[str, Any] | None, seed: int
) -> tuple[PredictionScore, ...]:
    """Score the prediction of a column by estimators trained on synthetic and on real rows.

    Rows without the target are left out. The default estimator is HistGradientBoosting.
    """
    if len(tables.names) < 2:
        raise ValueError("target is the only column: there is nothing to predict it from")
    is_category = np.delete(tables.is_category, target)
    is_classes = bool(tables.is_category[target])
    if estimators is None:
        chosen = {DEFAULT_NAME: _make_default(is_category, is_classes, seed)}
    else:
        _check_kinds(estimators, is_classes, tables.names[target])
        chosen = {name: _encode_for(e, is_category) for name, e in estimators.items()}
    known = {name: _split(getattr(tables, name), target) for name in TABLES}
    for name, (_, y) in known.items():
        if len(y) == 0:
            column = describe(tables.names[target])
            raise ValueError(f"target: column {column} is missing in all rows of {name}")
    score = _score_classes if is_classes else _score_numbers
    found = []
    for name, estimator in chosen.items():
        of = {by: score(clone(estimator), *known[by], *known["held_out"]) for by in TABLES[:2]}
        found += [
            PredictionScore(str(name), metric, of["synthetic"][metric], of["train"][metric])
            for metric in of["train"]
        ]
    return tuple(found)


def _split(X: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    X = X[~np.isnan(X[:, target])]
    return np.delete(X, target, axis=1), X[:, target]


def _make_default(is_category: np.ndarray, is_classes: bool, seed: int) -> Any:
    """Make a pipeline of codes and HistGradientBoosting, which takes NaN and unknown codes."""
    kind = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        max_categories=MOST_CATEGORIES,
    )
    encoder = ColumnTransformer(
        [("categories", codes, np.flatnonzero(is_category))], remainder="passthrough"
    )
    # The encoder puts categories first.
    are_codes = np.arange(len(is_category)) < is_category.sum()
    return make_pipeline(encoder, kind(categorical_features=are_codes, random_state=seed))


def _encode_for(estimator: Any, is_category: np.ndarray) -> Any:
    """Make a pipeline that an estimator of any kind takes: one-hot, imputed, standardized."""
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MOST_ONE_HOT, sparse_output=False
    )
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    encoder = ColumnTransformer(
        [
            ("categories", one_hot, np.flatnonzero(is_category)),
            ("numbers", make_pipeline(imputer, StandardScaler()), np.flatnonzero(~is_category)),
        ]
    )
    return make_pipeline(encoder, estimator)


def _check_kinds(estimators: Mapping[str, Any], is_classes: bool, column: Any) -> None:
    check, kind = (is_classifier, "classifier") if is_classes else (is_regressor, "regressor")
    held = "categories" if is_classes else "numbers"
    for name, estimator in estimators.items():
        is_object = hasattr(estimator, "fit") and not isinstance(estimator, type)
        if not (is_object and check(estimator)):
            raise ValueError(
                f"target: column {describe(column)} holds {held}, and estimators[{name!r}] is no "
                f"{kind}: {describe(estimator)}"
            )


def _score_classes(
    estimator: Any, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray
) -> dict[str, float]:
    if len(np.unique(y)) == 1:  # which many classifiers refuse
        estimator = DummyClassifier(strategy="most_frequent")
    estimator.fit(X, y)
    accuracy = float(np.mean(estimator.predict(X_test) == y_test))
    return {"accuracy": accuracy, "ROC AUC": _compute_auc(estimator, X_test, y_test)}


def _compute_auc(estimator: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Compute the mean over classes of the area under the curve of one class against the rest.

    Classes that the estimator has not seen have score zero in all rows; classes that no row, or
    each row, is of do not count. NaN without scores, or without classes that count.
    """
    if hasattr(estimator, "predict_proba"):
        scores = estimator.predict_proba(X)
    elif hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(X)
        scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    else:
        return float("nan")
    of_class = dict(zip(estimator.classes_, scores.T, strict=True))
    classes, counts = np.unique(y, return_counts=True)
    areas = [
        roc_auc_score(y == c, of_class.get(c, np.zeros(len(y)))) for c in classes[counts < len(y)]
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _score_numbers(
    estimator: Any, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray
) -> dict[str, float]:
    predicted = estimator.fit(X, y).predict(X_test)
    return {"R²": float(r2_score(y_test, predicted)) if len(y_test) > 1 else float("nan")}
