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
the shares that make the validation rows most likely. A second mixture also has copies of the
training rows, with some entries flipped: in some sets, rows recur more often than machines learn.
Nothing is set for one data set.

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
from copies_of_rows import Copies
from joblib import Parallel, delayed
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.neural_network import BernoulliRBM

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.training.optimizers import LinearDecay

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
FLIPPED = 0.0, 0.003, 0.01, 0.03, 0.1  # shares of the entries of copies
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


class Mixture:
    """Members with the shares that make the validation rows most likely."""

    def __init__(self, members):
        self.members, self.shares = members, shares_of(members)

    def log_likelihoods(self, X):
        """Nats of each row: the logarithm of the mean of its probabilities."""
        used = [(m, share) for m, share in zip(self.members, self.shares, strict=True) if share > 0]
        return logsumexp([m.log_likelihoods(X) + np.log(share) for m, share in used], axis=0)

    @property
    def error(self):
        """Of nats: to first order, errors of log Z are averaged as probabilities are."""
        return self.shares @ [member.log_z.error for member in self.members]


@dataclass(frozen=True)
class Found:
    """What a search has found: nats of the test rows, each with the error by those of log Z."""

    best: tuple[float, float]
    mixture: tuple[float, float]
    with_copies: tuple[float, float]
    n_members: int
    share_of_copies: float
    seconds: float


def found(name, rows, seed):
    """The best machine, the mixture, and the one with copies, by a search with this seed."""
    start = time.perf_counter()
    train, valid, test = rows
    n_rows, n_columns = train.shape
    print(f"{name}, seed {seed}: {n_rows} training rows of {n_columns} columns", flush=True)
    machines = members_of(train, valid, seed)
    if not machines:
        raise SystemExit(f"{name}: of no model is the log Z trusted, so nothing can be said.")
    mixture = Mixture(machines)
    with_copies = Mixture([*machines, *(Copies(share, train, valid) for share in FLIPPED)])
    print("  shares in a mixture of machines, and with copies")
    alone = [*mixture.shares, *np.zeros(len(FLIPPED))]
    for *shares, member in zip(alone, with_copies.shares, with_copies.members, strict=True):
        print("  {:6.1%} {:6.1%}  {}".format(*shares, member))
    of_search = Found(
        best=(machines[0].log_likelihoods(test).mean(), machines[0].log_z.error),
        mixture=(mixture.log_likelihoods(test).mean(), mixture.error),
        with_copies=(with_copies.log_likelihoods(test).mean(), with_copies.error),
        n_members=np.sum(mixture.shares > 0.01),
        share_of_copies=with_copies.shares[len(machines) :].sum(),
        seconds=time.perf_counter() - start,
    )
    print(
        f"{name}: test {with_error(of_search.best)} nats by the best machine, "
        f"{with_error(of_search.mixture)} by {of_search.n_members} machines, "
        f"{with_error(of_search.with_copies)} with {of_search.share_of_copies:.1%} of copies, "
        f"{of_search.seconds:.0f} s",
        flush=True,
    )
    return of_search


def with_error(estimate):
    """Nats and their error, as text."""
    return "{:.3f} ± {:.3f}".format(*estimate)


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
    """A line of the table: what the searches have found, and what to compare it with."""
    rows = rows_of(name, data_home)
    searches = [found(name, rows, seed) for seed in seeds]
    of_reference, is_trusted = reference(name, rows)
    value, source = PUBLISHED.get(name, (np.nan, "nothing"))
    print(f"{name}: best published {value:.2f} ({source})", flush=True)
    return {
        "set": name,
        "best machine": over_seeds([s.best for s in searches]),
        "mixture": over_seeds([s.mixture for s in searches]),
        "of": ", ".join(str(s.n_members) for s in searches),
        "with copies": over_seeds([s.with_copies for s in searches]),
        "share of copies": ", ".join(f"{s.share_of_copies:.1%}" for s in searches),
        "BernoulliRBM": f"{of_reference:.1f}{'' if is_trusted else ' (?)'}",
        "best published": f"{value:.2f}",
        "by": source,
        "seconds": ", ".join(f"{s.seconds:.0f}" for s in searches),
        "gap": np.mean([s.mixture[0] for s in searches]) - value,
        "gap with copies": np.mean([s.with_copies[0] for s in searches]) - value,
        "gap of BernoulliRBM": of_reference - value,
    }


def over_seeds(estimates):
    """Mean and standard deviation of several; of one seed, what it has and its error by log Z."""
    nats, errors = np.transpose(estimates)
    spread = nats.std(ddof=1) if len(nats) > 1 else errors[0]
    return f"{nats.mean():.2f} ± {spread:.2f}"


def write(rows, file):
    """The table as FILE.md and a figure of it as FILE.png."""
    columns = [column for column in rows[0] if not column.startswith("gap")]
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    print(table)
    if not file:
        return
    Path(f"{file}.md").write_text(table)
    names = [row["set"] for row in rows][::-1]
    figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    labels = {
        "gap": ("this package", "o"),
        "gap with copies": ("with copies of rows", "+"),
        "gap of BernoulliRBM": ("scikit-learn's BernoulliRBM", "x"),
    }
    for name, (label, marker) in labels.items():
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
