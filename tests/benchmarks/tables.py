"""Ordinary tables by defaults: likelihoods of maps, and of mixtures of normal distributions.

    python tests/benchmarks/tables.py wine diabetes breast_cancer adult --max-iter 20 100

A third of the rows is tested, in three splits; means in nats per row, per unit of the user's
columns. "whole" is the frame as `RBM` takes it by default, and with real columns standardised
(`visible="gaussian"` for them). "numbers" are its real columns alone, for which mixtures of normal
distributions have their number of components chosen by a fifth of the training rows. Mixtures get
rounded values with uniform noise within what rounds to them, in training and in test: their
densities of exact numbers have no bound.

Adult is read from `tables/adult.csv.gz` below `--data-home` (by default `../shared/data`).
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from sklearn_rapid import RBM
from sklearn_rapid.tables.reals.maps import count_decimals

COMPONENTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]


def load(name, data_home):
    """Load a table as a frame, with its target."""
    if name == "adult":
        return pd.read_csv(Path(data_home) / "tables" / "adult.csv.gz")
    how = {"scaled": False} if name == "diabetes" else {}
    return getattr(datasets, f"load_{name}")(as_frame=True, **how).frame


def with_noise(X, seed):
    """Add uniform noise within the numbers that round to each value."""
    rng, out = np.random.default_rng(seed), X.to_numpy(float, copy=True)
    for j, x in enumerate(out.T):
        decimals = count_decimals(x)
        if decimals is not None:
            out[:, j] += 10.0**-decimals * (rng.random(len(x)) - 0.5)
    return out


def score_of_mixture(train, test):
    """Fit mixtures, choose one by rows set aside, and score test rows in the units of X."""
    train, test = with_noise(train, 0), with_noise(test, 1)
    scaler = StandardScaler().fit(train)
    rows = np.random.default_rng(0).permutation(scaler.transform(train))
    n = len(rows) // 5
    how = {"random_state": 0, "reg_covar": 1e-4}
    fitted = [GaussianMixture(k, **how).fit(rows[n:]) for k in COMPONENTS]
    best = max(fitted, key=lambda mixture: mixture.score(rows[:n]))
    best = GaussianMixture(best.n_components, **how).fit(rows)
    return best.score(scaler.transform(test)) - np.log(scaler.scale_).sum()


def main():
    """A line for each method and split of each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["wine"])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--max-iter", type=int, nargs="*", default=[20])
    parser.add_argument("--data-home", default="../shared/data")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in args.names:
        frame = load(name, args.data_home)
        kinds = dict(RBM(1, max_iter=1).fit(frame).visible_)
        reals = [frame.columns[j] for kind in ("real", "spiked") for j in kinds.get(kind, [])]
        print(f"{name}: {frame.shape}, { ({kind: len(c) for kind, c in kinds.items()}) }")
        scores = {}
        for seed in range(args.splits):
            order = np.random.default_rng(seed).permutation(len(frame))
            test, train = np.split(order, [len(order) // 3])
            train, test = frame.iloc[train], frame.iloc[test]
            for max_iter in args.max_iter:
                for part, columns in (("whole", list(frame.columns)), ("numbers", reals)):
                    for kind in ("auto", "gaussian"):
                        visible = "auto" if kind == "auto" else dict.fromkeys(reals, "gaussian")
                        model = RBM(
                            visible=visible, max_iter=max_iter, random_state=seed,
                            handle_unknown="infrequent",
                        )  # fmt: skip
                        began = time.perf_counter()
                        model.fit(train[columns])
                        seconds = time.perf_counter() - began
                        score = model.score(test[columns])
                        method = f"{part}, {kind}, {max_iter} epochs"
                        scores.setdefault(method, []).append((score, seconds))
            began = time.perf_counter()
            score = score_of_mixture(train[reals], test[reals])
            method = "numbers, mixture"
            scores.setdefault(method, []).append((score, time.perf_counter() - began))
        for method, found in scores.items():
            mean, seconds = np.mean(found, axis=0)
            spread = np.std([score for score, _ in found])
            print(f"  {method:30s} {mean:9.3f} ± {spread:.3f}   {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
