"""The density of binary rows
==========================

A search over kinds of models, sizes and penalties, by the likelihood of rows set aside; then the
log-likelihood of test rows, with the error of log Z.

The sets are those on which density estimators of binary rows are compared
(`sklearn_rapid.datasets.fetch_density_benchmark`); where they are not to be had, scikit-learn's
digits take their place. The rules: fit on the training rows, choose on the validation rows, report
the mean log-likelihood of the test rows in nats.

`HalvingGridSearchCV` compares nine models after 800 updates, the best third of them after three
times as many, and so on. The best that it has seen is trained once more, on the training rows
alone; if it was among the longest fits, for three times as long, where that gains on the
validation rows. Nothing is set for one data set.

    python examples/density_estimation.py [NAME ...] [--all] [--save FILE]
"""

# sphinx_gallery_thumbnail_path = "images/density_estimation.png"
from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from binary_rows import rows_of
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, PredefinedSplit
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline

from sklearn_rapid import RARBM, RBM

# Best published test log-likelihoods, in nats (Proceedings of Machine Learning Research).
PUBLISHED = {
    "nltcs": (-5.99, "HCLT, Selvam et al. 2023 (v206)"),
    "plants": (-11.99, "40 XCNets, Di Mauro et al. 2021 (v161)"),
    "jester": (-51.29, "LearnPSDD ensemble, Dang et al. 2020 (v138)"),
    "accidents": (-26.32, "WinMine, Rooshenas and Lowd 2014 (v32)"),
    "mushrooms": (-9.40, "BiHM, an estimate, Bornschein et al. 2016 (v48)"),
    "dna": (-79.05, "HCLT, Selvam et al. 2023 (v206)"),
    "nips": (-271.11, "RWS-NADE, an estimate, Bornschein et al. 2016 (v48)"),
    "bbc": (-237.42, "40 CNets, Di Mauro et al. 2021 (v161)"),
}
FIRST_UPDATES, FACTOR, N_ROUNDS = 800, 3, 3
MODELS = [
    {"model": [RBM(n_components=512)], "model__l1_penalty": [3.0, 10.0, 30.0]},
    {"model": [RBM(n_components=128)], "model__l1_penalty": [3.0, 10.0, 30.0]},
    {"model": [RARBM(n_components=256)], "model__n_patterns": [32, 64, 128]},
]


def search(train, valid, seed):
    """The model with the best validation likelihood of all, that, and whether it may yet rise."""
    first = -(-FIRST_UPDATES // -(-len(train) // 100))
    longest = first * FACTOR ** (N_ROUNDS - 1)
    fold = np.r_[np.full(len(train), -1), np.zeros(len(valid), dtype=int)]
    grid = [
        {**part, "model": [clone(part["model"][0]).set_params(random_state=seed, n_threads=1)]}
        for part in MODELS
    ]
    halving = HalvingGridSearchCV(
        Pipeline([("model", RBM())]),
        grid,
        cv=PredefinedSplit(fold),
        resource="model__max_iter",
        min_resources=first,
        max_resources=longest,
        factor=FACTOR,
        refit=False,
        n_jobs=-1,
        random_state=seed,
    ).fit(np.concatenate([train, valid]))
    found = halving.cv_results_
    order = np.argsort(-found["mean_test_score"])
    for i in order:
        print(f"  valid {found['mean_test_score'][i]:9.2f}  {described(found['params'][i])}")
    params = found["params"][order[0]]
    model = Pipeline([("model", RBM())]).set_params(**params)["model"].set_params(n_threads=None)
    return model, found["mean_test_score"][order[0]], model.max_iter == longest


def trained(train, valid, seed):
    """The model that the search finds, trained for longer if that makes it better."""
    model, score, may_rise = search(train, valid, seed)
    if may_rise:
        longer = clone(model).set_params(max_iter=FACTOR * model.max_iter).fit(train)
        longer_score, _ = likelihood(longer, valid)
        print(f"  valid {longer_score:9.2f}  the first of these, {longer.max_iter} epochs")
        if longer_score > score:
            return longer
    return model.fit(train)


def described(params):
    """A model of the grid in a few words."""
    own = {name.removeprefix("model__"): value for name, value in params.items()}
    model = own.pop("model")
    return f"{type(model).__name__} H={model.n_components} {own}"


def likelihood(model, X):
    """Mean log-likelihood in nats, the error of log Z, and whether that is trusted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what it would say is printed
        log_z = model.log_partition(tol=0.05, max_sweeps=8000)
    return -model.free_energy(X).mean() - log_z.value, log_z


def as_rbm(bernoulli, like):
    """scikit-learn's BernoulliRBM, whose units are 0 and 1, as one of spins."""
    W = bernoulli.components_ / 4
    model = RBM(W.shape[0], max_iter=1, random_state=0).fit(like[:100])
    model.components_ = W.astype(np.float32)
    visible, hidden = bernoulli.intercept_visible_ / 2, bernoulli.intercept_hidden_ / 2
    model.intercept_visible_ = (visible + W.sum(axis=0)).astype(np.float32)
    model.intercept_hidden_ = (hidden + W.sum(axis=1)).astype(np.float32)
    return model


def estimate(name, data_home, seed):
    """A line of the table: what was chosen, its likelihood, and those to compare with."""
    start = time.perf_counter()
    train, valid, test = rows_of(name, data_home)
    print(f"{name}: {len(train)} training rows of {train.shape[1]} columns", flush=True)
    model = trained(train, valid, seed)
    score, log_z = likelihood(model, test)
    seconds = time.perf_counter() - start
    trust = "trusted" if log_z.is_trusted else f"not trusted: {'; '.join(log_z.doubts)}"
    print(
        f"{name}: test {score:.2f} ± {log_z.error:.2f} nats (log Z by {log_z.method}, {trust}), "
        f"{seconds:.0f} s"
    )
    reference, _ = likelihood(
        as_rbm(BernoulliRBM(256, n_iter=20, random_state=0).fit(train), train), test
    )
    value, source = PUBLISHED.get(name, (np.nan, "nothing"))
    print(
        f"{name}: BernoulliRBM {reference:.2f}, best published {value:.2f} ({source})", flush=True
    )
    return {
        "set": name,
        "test, nats": f"{score:.2f} ± {log_z.error:.2f}",
        "BernoulliRBM": f"{reference:.1f}",
        "best published": f"{value:.2f}",
        "by": source,
        "seconds": f"{seconds:.0f}",
        "gap": score - value,
        "gap of BernoulliRBM": reference - value,
    }


def write(rows, file):
    """The table as FILE.md and a figure of it as FILE.png."""
    columns = list(rows[0])[:-2]
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    print(table)
    if not file:
        return
    Path(f"{file}.md").write_text(table)
    names = [row["set"] for row in rows][::-1]
    figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, marker in (("gap", "o"), ("gap of BernoulliRBM", "x")):
        label = "this package" if name == "gap" else "scikit-learn's BernoulliRBM"
        ax.plot([row[name] for row in rows][::-1], names, marker, label=label)
    ax.axvline(0.0, color="gray", linestyle=":", label="best published")
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlabel("test log-likelihood less the best published, nats a row")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    figure.savefig(f"{file}.png", dpi=120)
    print(f"wrote {file}.md and {file}.png")


def main():
    """Estimate the density of one set or of several."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="sets; default: digits")
    parser.add_argument("--all", action="store_true", help="the eight sets of the table")
    parser.add_argument("--data-home", metavar="PATH", help="folder that holds density/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="write FILE.md and FILE.png")
    chosen = parser.parse_args()
    names = [*PUBLISHED] if chosen.all else chosen.names or ["digits"]
    write([estimate(name, chosen.data_home, chosen.seed) for name in names], chosen.save)


if __name__ == "__main__":
    main()
