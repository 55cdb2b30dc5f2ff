"""Odd rows: sets of ADBench by the protocols of Livernoche et al. 2024, AUROC in percent.

    python tests/benchmarks/tasks/outliers.py --save outliers.md
    python tests/benchmarks/tasks/outliers.py breastw --methods Isolation HBOS --rows published

*semi-supervised*: train on a half of the normal rows, test on the others and on all odd rows;
*unsupervised*: train on a bootstrap of all rows, test on all rows. Means ± standard deviations over
seeds, all detectors by defaults and with the same rows. Published figures stand below.

The published code (vicliv/DTE, `data_generator.py`) differs in its rows: sets of fewer than 1000
are drawn to 1000 with replacement *before* they are split, so that most test rows of a small set
are training rows as well; and the half to train on is the first half. `--rows published` does so;
by default rows are the file's, and the half is random. Sets are all .npz files of `adbench/` below
`--data-home`; those of more than 50,000 rows are cut to as many.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial

import numpy as np
from detectors import DETECTORS
from report import Report, attempt, chosen, spread
from sklearn.metrics import roc_auc_score
from table_sets import adbench_paths, published_auroc, read_adbench

FEWEST_PUBLISHED, MOST_ROWS = 1000, 50_000
PROTOCOLS = ("semi-supervised", "unsupervised")
PUBLISHED = ("IForest", "HBOS", "KNN", "COPOD", "ECOD", "LOF")


def rows_of(X, y, seed, as_published):
    """Rows of a set: the file's, or drawn as the published code does."""
    rng = np.random.default_rng([seed, 1])
    if as_published and len(y) < FEWEST_PUBLISHED:
        rows = rng.integers(len(y), size=FEWEST_PUBLISHED)
        return X[rows], y[rows]
    if len(y) > MOST_ROWS:
        rows = rng.choice(len(y), MOST_ROWS, replace=False)
        return X[rows], y[rows]
    return X, y


def split(y, protocol, seed, as_published):
    """Indices of training and of test rows."""
    rng = np.random.default_rng(seed)
    if protocol == "unsupervised":
        return rng.integers(len(y), size=len(y)), np.arange(len(y))
    normal = np.flatnonzero(y == 0)
    if not as_published:
        normal = rng.permutation(normal)
    train, rest = np.split(normal, [round(len(normal) / 2)])
    return train, np.concatenate([rest, np.flatnonzero(y == 1)])


def auroc(detector, X, y, protocol, seed, as_published):
    """AUROC in percent of one detector on one split."""
    X, y = rows_of(X, y, seed, as_published)
    train, test = split(y, protocol, seed, as_published)
    odd = detector(X[train], X[test], seed)
    return 100 * roc_auc_score(y[test], np.nan_to_num(odd, nan=np.nan))


def run(name, X, y, protocol, method, args):
    """AUROC and seconds of one detector, for each seed."""
    return [
        attempt(
            f"{name}, {protocol}, {method}, seed {seed}",
            partial(auroc, DETECTORS[method], X, y, protocol, seed, args.rows == "published"),
        )
        for seed in range(args.seeds)
    ]


def measured(method, found, names, protocol):
    """A row of a table: a method that was run here."""
    runs = [found[name, protocol, method] for name in names]
    scores = [[score for score, _ in of_set] for of_set in runs]
    means = [None if None in s else np.mean(s) for s in scores]
    mean = "" if None in means else f"{np.mean(means):.2f}"
    seconds = np.mean([seconds for of_set in runs for _, seconds in of_set])
    return [method, *map(spread, scores), mean, f"{seconds:.2f}"]


def published_rows(published, names, protocol):
    """Rows of a table: the best of each set, the best in the mean, and some by name."""
    figures = published[published["protocol"] == protocol]
    figures = figures.pivot(index="method", columns="set", values="auroc").reindex(columns=names)
    if figures.dropna(axis=1, how="all").empty:
        return
    means = figures.mean(axis=1, skipna=False)
    best = figures.max()
    yield ["best of 26, published", *map(cell, best), cell(best.mean(skipna=False)), ""]
    best_in_mean = means.idxmax() if means.notna().any() else None
    for method in dict.fromkeys([best_in_mean or PUBLISHED[0], *PUBLISHED]):
        label = f"{method}, published{', best in the mean' * (method == best_in_mean)}"
        yield [label, *map(cell, figures.loc[method]), cell(means[method]), ""]


def cell(value):
    """A published figure, or nothing."""
    return "" if np.isnan(value) else f"{value:.2f}"


def main():
    """A table for each protocol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="sets, by default all of the folder")
    parser.add_argument("--methods", nargs="*", help=f"parts of {list(DETECTORS)}")
    parser.add_argument("--protocols", nargs="*", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--rows", choices=("distinct", "published"), default="distinct")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data-home", default="../shared/data")
    parser.add_argument("--save", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    methods, report = chosen(args.methods, DETECTORS), Report(args.save)
    paths = adbench_paths(args.data_home, args.names)
    found, sizes = {}, []
    for name, path in paths.items():
        X, y = read_adbench(path)
        sizes.append(f"{name} ({len(y)} × {X.shape[1]})")
        for protocol in args.protocols:
            for method in methods:
                found[name, protocol, method] = run(name, X, y, protocol, method, args)
    published = published_auroc(args.data_home)
    for protocol in args.protocols:
        rows = [measured(method, found, list(paths), protocol) for method in methods]
        rows += published_rows(published, list(paths), protocol)
        title = f"AUROC in percent, {protocol}, {args.rows} rows, {args.seeds} seeds"
        report.table(title, ["", *sizes, "mean", "seconds"], rows)


if __name__ == "__main__":
    main()
