"""Likelihood of test rows: the binary sets of the density benchmark, in nats a row.

    python tests/benchmarks/tasks/densities.py nltcs mushrooms dna --save densities.md
    python tests/benchmarks/tasks/densities.py --methods Chow

The rule of the benchmark: fit on train, choose on valid, report the mean log-likelihood of test.
`BoltzmannDensity` chooses within the rows that it is given, so it is fitted by defaults in two
ways: on train alone, where valid is left unused, and on train and valid together, as a user
would, which is *another* rule: published models are fitted to train. The rivals here are fitted on
train and have nothing to choose: half a count smooths them.

± is the standard error of the mean over test rows with one seed, which is common to all models
of a set, and the standard deviation over seeds with more; errors of log Z stand apart. Sets are all
folders of `density/` below `--data-home`. Best published figures: HCLT (Selvam et al. 2023), XCNet
and CNet (Di Mauro et al. 2021), LearnPSDD (Dang et al. 2020), WinMine (Rooshenas and Lowd 2014),
BiHM and RWS-NADE (Bornschein et al. 2016). The baby registries (amzn_*) are Gillenwater et al.'s
(2014) in the splits of Zhang, Juba and Van den Broeck (2021).
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from report import Report, attempt, chosen, spread
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from sklearn_rapid.datasets import fetch_density_benchmark

PUBLISHED = {
    "nltcs": (-5.99, "HCLT"), "plants": (-11.99, "XCNet × 40"),
    "jester": (-51.29, "LearnPSDD ensemble"), "accidents": (-26.32, "WinMine"),
    "mushrooms": (-9.40, "BiHM, estimated"), "dna": (-79.05, "HCLT"),
    "nips": (-271.11, "RWS-NADE, estimated"), "bbc": (-237.42, "CNet × 40"),
}  # fmt: skip
COUNT = 0.5


def ours(parts, benchmark, seed):
    """Log-likelihoods of test rows by BoltzmannDensity, fitted on some parts; error of log Z."""
    from sklearn_rapid import BoltzmannDensity

    X = np.concatenate([benchmark[part] for part in parts])
    model = BoltzmannDensity(random_state=seed).fit(X)
    return model.score_samples(benchmark.test), model.error_


def independent(benchmark, seed):
    """Log-likelihoods of test rows by independent columns."""
    p = (benchmark.train.sum(axis=0) + COUNT) / (len(benchmark.train) + 2 * COUNT)
    return np.log(np.where(benchmark.test, p, 1 - p)).sum(axis=1), 0.0


def chow_liu(benchmark, seed):
    """Log-likelihoods of test rows by the tree of largest mutual information."""
    X, test = benchmark.train.astype(float), benchmark.test
    n, width = X.shape
    both = X.T @ X
    ones = np.diag(both)
    joint = np.empty((2, 2, width, width))
    joint[1, 1], joint[1, 0], joint[0, 1] = both, ones[:, None] - both, ones - both
    joint[0, 0] = n - both - joint[1, 0] - joint[0, 1]
    joint = (joint + COUNT / 2) / (n + 2 * COUNT)
    single = joint.sum(axis=1)[:, :, :1]
    of_columns = joint.sum(axis=1)
    information = (joint * np.log(joint / (of_columns[:, None] * joint.sum(axis=0)[None]))).sum(
        (0, 1)
    )
    np.fill_diagonal(information, 0.0)
    tree = minimum_spanning_tree(-information - 1e-12)
    order, parents = breadth_first_order(tree, 0, directed=False)
    log_p = np.log(single[test[:, 0].astype(int), 0, 0])
    for j in order[1:]:
        i = parents[j]
        values = test[:, i].astype(int), test[:, j].astype(int)
        log_p += np.log(joint[*values, i, j] / of_columns[values[0], i, j])
    return log_p, 0.0


MODELS = {
    "BoltzmannDensity, train": partial(ours, ["train"]),
    "BoltzmannDensity, train and valid": partial(ours, ["train", "valid"]),
    "independent columns": independent,
    "Chow-Liu tree": chow_liu,
}


def moments(model, benchmark, seed):
    """Mean over test rows, its standard error by rows, and that by log Z."""
    log_p, error = model(benchmark, seed)
    log_p = np.asarray(log_p, dtype=float)
    return [log_p.mean(), log_p.std(ddof=1) / np.sqrt(len(log_p)), error]


def line(model, runs):
    """Nats of a model with their errors, and seconds."""
    results = [result for result, _ in runs]
    nats = spread([r and r[0] for r in results])
    if len(results) == 1 and results[0]:
        nats = f"{results[0][0]:.2f} ± {results[0][1]:.2f}"
    error = "failed" if None in results else f"{np.mean([r[2] for r in results]):.3f}"
    return [model, nats, error, f"{np.mean([seconds for _, seconds in runs]):.1f}"]


def main():
    """A table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="sets, by default all of the folder")
    parser.add_argument("--methods", nargs="*", help=f"parts of {list(MODELS)}")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data-home", default="../shared/data")
    parser.add_argument("--save", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    models, report = chosen(args.methods, MODELS), Report(args.save)
    folder = Path(args.data_home) / "density"
    for name in args.names or sorted(path.name for path in folder.iterdir()):
        benchmark = fetch_density_benchmark(name, args.data_home, download_if_missing=False)
        rows = []
        for model in models:
            runs = [
                attempt(f"{name}, {model}, seed {s}", partial(moments, MODELS[model], benchmark, s))
                for s in range(args.seeds)
            ]
            rows.append(line(model, runs))
        if name in PUBLISHED:
            nats, best = PUBLISHED[name]
            rows.append([f"best published, {best}", f"{nats:.2f}", "", ""])
        sizes = " / ".join(str(len(benchmark[part])) for part in ("train", "valid", "test"))
        width = benchmark.train.shape[1]
        title = f"{name}: {width} columns, {sizes} rows, nats a test row, {args.seeds} seeds"
        report.table(title, ["", "nats", "error of log Z", "seconds"], rows)


if __name__ == "__main__":
    main()
