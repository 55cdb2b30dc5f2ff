"""The density of binary rows
==========================

A few models of several kinds and penalties, a mixture of them that rows set aside choose; then the
log-likelihood of test rows, with the error of log Z.

The sets are those on which density estimators of binary rows are compared
(`sklearn_rapid.datasets.fetch_density_benchmark`); where they are not to be had, scikit-learn's
digits take their place. The rules: fit on the training rows, choose on the validation rows, report
the mean log-likelihood of the test rows in nats.

Six models are trained for 800 updates, then for three times as many, and so on, each for as long
as the validation rows gain by it (and wide sets for less, since their updates take longer); the
best two are also trained at twice the learning rate. All of these are members of a mixture, with
the shares that make the validation rows most likely. Nothing is set for one data set.

    python examples/density_estimation.py [NAME ...] [--all] [--seeds 0 1 2] [--save FILE]
"""

# sphinx_gallery_thumbnail_path = "images/density_estimation.png"
from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from binary_rows import rows_of
from joblib import Parallel, delayed
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.neural_network import BernoulliRBM

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.optimizers import LinearDecay

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
MODELS = [
    *(RBM(n_components=256, l1_penalty=nats) for nats in (3.0, 10.0, 30.0)),
    *(RARBM(n_components=256, n_patterns=K) for K in (32, 64, 128)),
]
UPDATES = 800, 2400, 7200, 21600
LARGEST_WORK = 4_000_000  # updates times columns: a few minutes for a model


def log_z_of(model):
    """Log Z with its error, and whether that is trusted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what it would say is looked at
        return model.log_partition(tol=0.05, max_sweeps=8000)


class Member:
    """A fitted model, its log Z, and how likely it makes the validation rows."""

    def __init__(self, model, train, valid):
        self.model = model.fit(train)
        self.log_z = log_z_of(model)
        self.valid = self.log_likelihoods(valid)

    def log_likelihoods(self, X):
        """Nats of each row."""
        return -self.model.free_energy(X).astype(float) - self.log_z.value

    def __str__(self):
        same_for_all = {"n_threads": None, "random_state": None}  # not to be shown
        model = " ".join(str(clone(self.model).set_params(**same_for_all)).split())
        return f"valid {self.valid.mean():8.2f} ± {self.log_z.error:.2f}  {model}"


def trained(model, train, valid):
    """A model after few updates, and after more for as long as validation rows gain by it."""
    n_rows, n_columns = train.shape
    members, score = [], -np.inf
    for n_updates in UPDATES:
        if members and n_updates * n_columns > LARGEST_WORK:
            break
        n_epochs = -(-n_updates // -(-n_rows // model.batch_size))
        members.append(Member(clone(model).set_params(max_iter=n_epochs), train, valid))
        last, score = score, members[-1].valid.mean()
        if score < last:
            break
    return members


def members_of(train, valid, seed):
    """All models whose log Z is trusted, the most likely first."""
    parallel = Parallel(n_jobs=-1)
    models = [clone(model).set_params(random_state=seed, n_threads=1) for model in MODELS]
    members = parallel(delayed(trained)(model, train, valid) for model in models)
    members = ordered(member for of_model in members for member in of_model)
    faster = (
        clone(member.model).set_params(learning_rate=LinearDecay(0.5)) for member in members[:2]
    )
    members += parallel(delayed(Member)(model, train, valid) for model in faster)
    return ordered(members)


def ordered(members):
    """Those that are trusted, the most likely first."""
    trusted = (member for member in members if member.log_z.is_trusted)
    return sorted(trusted, key=lambda member: -member.valid.mean())


def shares_of(members, n_steps=100):
    """Shares in a mixture that make the validation rows most likely, by steps of EM."""
    log_p = np.array([member.valid for member in members])
    p = np.exp(log_p - log_p.max(axis=0))
    shares = np.full(len(members), 1 / len(members))
    for _ in range(n_steps):
        shares *= (p / (shares @ p)).mean(axis=1)
    return shares


def as_rbm(bernoulli, like):
    """scikit-learn's BernoulliRBM, whose units are 0 and 1, as one of spins."""
    W = bernoulli.components_ / 4
    model = RBM(W.shape[0], max_iter=1, random_state=0).fit(like[:100])
    model.components_ = W.astype(np.float32)
    visible, hidden = bernoulli.intercept_visible_ / 2, bernoulli.intercept_hidden_ / 2
    model.intercept_visible_ = (visible + W.sum(axis=0)).astype(np.float32)
    model.intercept_hidden_ = (hidden + W.sum(axis=1)).astype(np.float32)
    return model


def log_likelihood(members, shares, X):
    """Of each row under a mixture: the logarithm of the mean of its probabilities."""
    log_p = np.array([member.log_likelihoods(X) for member in members])
    return logsumexp(log_p, b=shares[:, None], axis=0)


@dataclass(frozen=True)
class Found:
    """What a search has found: nats of the test rows and their errors, by those of log Z."""

    mixture: float
    error: float
    best: float
    error_of_best: float
    n_members: int
    seconds: float


def found(name, rows, seed):
    """The mixture and its best member, by a search with this seed."""
    start = time.perf_counter()
    train, valid, test = rows
    n_rows, n_columns = train.shape
    print(f"{name}, seed {seed}: {n_rows} training rows of {n_columns} columns", flush=True)
    members = members_of(train, valid, seed)
    if not members:
        raise SystemExit(f"{name}: of no model is the log Z trusted, so nothing can be said.")
    shares = shares_of(members)
    for share, member in zip(shares, members, strict=True):
        print(f"  {share:6.1%}  {member}")
    of_search = Found(
        mixture=log_likelihood(members, shares, test).mean(),
        # To first order, errors of log Z are averaged over rows and members as probabilities are.
        error=shares @ [member.log_z.error for member in members],
        best=members[0].log_likelihoods(test).mean(),
        error_of_best=members[0].log_z.error,
        n_members=np.sum(shares > 0.01),
        seconds=time.perf_counter() - start,
    )
    print(
        f"{name}: test {of_search.mixture:.3f} ± {of_search.error:.3f} nats by "
        f"{of_search.n_members} models, {of_search.best:.3f} ± {of_search.error_of_best:.3f} by "
        f"the best of them, {of_search.seconds:.0f} s",
        flush=True,
    )
    return of_search


def reference(name, rows):
    """Nats of the test rows by scikit-learn's BernoulliRBM, and whether its log Z is trusted."""
    train, _, test = rows
    bernoulli = as_rbm(BernoulliRBM(256, n_iter=20, random_state=0).fit(train), train)
    log_z = log_z_of(bernoulli)
    nats = -bernoulli.free_energy(test).astype(float).mean() - log_z.value
    trust = "trusted" if log_z.is_trusted else "not trusted"
    print(f"{name}: BernoulliRBM {nats:.2f} ± {log_z.error:.2f}, log Z by {log_z.method}, {trust}")
    return nats, log_z.is_trusted


def estimate(name, data_home, seeds):
    """A line of the table: the mixture, its best member, and those to compare with."""
    rows = rows_of(name, data_home)
    searches = [found(name, rows, seed) for seed in seeds]
    nats, is_trusted = reference(name, rows)
    value, source = PUBLISHED.get(name, (np.nan, "nothing"))
    print(f"{name}: best published {value:.2f} ({source})", flush=True)
    return {
        "set": name,
        "mixture": over_seeds([(s.mixture, s.error) for s in searches]),
        "of": ", ".join(str(s.n_members) for s in searches),
        "its best": over_seeds([(s.best, s.error_of_best) for s in searches]),
        "BernoulliRBM": f"{nats:.1f}{'' if is_trusted else ' (?)'}",
        "best published": f"{value:.2f}",
        "by": source,
        "seconds": ", ".join(f"{s.seconds:.0f}" for s in searches),
        "gap": np.mean([s.mixture for s in searches]) - value,
        "gap of BernoulliRBM": nats - value,
    }


def over_seeds(estimates):
    """Mean and standard deviation of several; of one seed, what it has and its error by log Z."""
    nats, errors = np.transpose(estimates)
    spread = nats.std(ddof=1) if len(nats) > 1 else errors[0]
    return f"{nats.mean():.2f} ± {spread:.2f}"


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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED")
    parser.add_argument("--save", metavar="FILE", help="write FILE.md and FILE.png")
    chosen = parser.parse_args()
    names = [*PUBLISHED] if chosen.all else chosen.names or ["digits"]
    write([estimate(name, chosen.data_home, chosen.seeds) for name in names], chosen.save)


if __name__ == "__main__":
    main()
