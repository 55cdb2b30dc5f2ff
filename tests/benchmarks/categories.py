"""Columns of codes as categories, beside the same rows one-hot as bits.

    python tests/benchmarks/categories.py mushrooms dna --max-iter 20 100 --seeds 2

The sets are those of the density benchmark (`--data-home`, see tempering.py). Their bits were made
of codes: runs of columns of which one is on in each row, or none (which is a code too). A run ends
where a row has one on already and the next column is on in it as well, or where each row has one.
Likelihoods are in nats a row of the test set, log Z by tempering with its error. They are of the
same rows: a model of bits has probability left for rows that are no codes. How much, the same
parameters say as a model of codes, whose log Z is a sum over rows of codes only.
"""

from __future__ import annotations

import argparse
import time
import warnings
from itertools import pairwise

import numpy as np

from sklearn_rapid import RBM
from sklearn_rapid.datasets import fetch_density_benchmark


def runs_of(X):
    """The first column of each run, and the number of columns."""
    ends, n_on = [0], np.zeros(len(X), dtype=int)
    for j in range(X.shape[1]):
        if n_on.min() == 1 or (n_on + X[:, j]).max() > 1:
            ends.append(j)
            n_on[:] = 0
        n_on += X[:, j]
    return [*ends, X.shape[1]]


def codes_of(X, ends):
    """The number of the column that is on in each run, counted from one; 0 if none is."""
    columns = []
    for start, stop in pairwise(ends):
        run = X[:, start:stop]
        if run.sum(axis=1).max() > 1:
            raise ValueError(f"two of the columns {start} to {stop} are on in a row")
        columns.append(run @ np.arange(1, stop - start + 1))
    return np.column_stack(columns)


def log_share_of_codes(model, codes, ends, log_z):
    """The log-probability that a row of a model of bits is one of codes."""
    as_codes = RBM(model.n_components, visible="categorical", max_iter=1, random_state=0).fit(codes)
    # The bit that is on for each unit; none for code 0. Spins are -1 and +1, units 0 and 1.
    bits = [
        ends[j] + int(code) - 1 if code > 0 else -1
        for j, known in enumerate(as_codes.categories_)
        for code in known
    ]
    W, b = model.components_, model.intercept_visible_
    as_codes.components_ = 2.0 * np.where(np.array(bits) < 0, 0.0, W[:, bits]).astype(W.dtype)
    as_codes.intercept_visible_ = 2.0 * np.where(np.array(bits) < 0, 0.0, b[bits]).astype(b.dtype)
    as_codes.intercept_hidden_ = model.intercept_hidden_ - W.sum(axis=1)
    return log_partition_of(as_codes).value - b.sum(dtype=np.float64) - log_z


def log_partition_of(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.log_partition("tempering", tol=0.1, max_sweeps=2000, random_state=1)


def line(name, kind, model, train, test):
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train)
        seconds = time.perf_counter() - start
    z = log_partition_of(model)
    nats = [-model.free_energy(rows).mean() - z.value for rows in (train, test)]
    print(
        f"{name}, {kind}, {model.max_iter} epochs, l1_penalty {model.l1_penalty:g}, seed "
        f"{model.random_state}: train {nats[0]:.2f}, test {nats[1]:.2f} ± {z.error:.2f}, barrier "
        f"{model.history_['barrier'][-1]:.1f} (log Z: {z.barrier:.1f}), {seconds:.1f} s"
        f"{'' if z.is_trusted else ', not trusted'}",
        flush=True,
    )
    return z.value


def main():
    """A line for each fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["mushrooms"])
    parser.add_argument("--data-home", default="../shared/data")
    parser.add_argument("--max-iter", type=int, nargs="+", default=[20])
    parser.add_argument("--penalties", type=float, nargs="+", default=[0.0])
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    for name in args.names:
        sets = fetch_density_benchmark(name, args.data_home)
        train, test = (rows.astype(np.int64) for rows in (sets.train, sets.test))
        ends = runs_of(train)
        codes = [codes_of(rows, ends) for rows in (train, test)]
        sizes = [len(np.unique(column)) for column in codes[0].T]
        is_known = np.all(
            [np.isin(a, b) for a, b in zip(codes[1].T, codes[0].T, strict=True)], axis=0
        )
        print(
            f"{name}: {train.shape[1]} bits are {len(sizes)} columns of {min(sizes)} to "
            f"{max(sizes)} codes; {np.sum(~is_known)} of {len(test)} test rows have new codes",
            flush=True,
        )
        kinds = {"bits": ("binary", train, test), "categories": ("categorical", *codes)}
        for max_iter in args.max_iter:
            for penalty in args.penalties:
                for seed in range(args.seeds):
                    for kind, (visible, of_train, of_test) in kinds.items():
                        how = {"max_iter": max_iter, "l1_penalty": penalty, "random_state": seed}
                        model = RBM(visible=visible, **how)
                        log_z = line(name, kind, model, of_train, of_test[is_known])
                        if kind == "bits":
                            log_share = log_share_of_codes(model, codes[0], ends, log_z)
                            print(f"  probability of rows of codes: exp({log_share:.2f})")


if __name__ == "__main__":
    main()
