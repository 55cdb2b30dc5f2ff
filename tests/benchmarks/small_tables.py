"""What keeps small tables from being learned by heart, and what it buys.

    python tests/benchmarks/small_tables.py dna nips jester plants --data-home PATH

Sets of the density benchmark, RBM(256), as many updates for each remedy (fewer where training is
stopped early). Nats of training and validation rows; log Z by tempering, with its error. Nothing is
chosen, so that test rows are not looked at.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from sklearn_rapid import RBM
from sklearn_rapid.datasets import fetch_density_benchmark
from sklearn_rapid.training.optimizers import LinearDecay

PARAMETERS = "components_", "intercept_visible_", "intercept_hidden_"
CONSTANT = {"learning_rate": 0.25}
BATCHES = 400
EXAMPLES = Path(__file__).parents[2] / "examples"


def trained(train, n_epochs, **settings):
    """As users would."""
    return RBM(256, n_threads=1, random_state=0, max_iter=n_epochs, **settings).fit(train)


def noisy(train, n_epochs, share):
    """A share of the entries, others at each epoch, is taken from other rows."""
    rng = np.random.default_rng(0)
    n_updates = n_epochs * -(-len(train) // 100)
    model = RBM(256, n_threads=1, random_state=0, n_updates=n_updates)
    for _ in range(n_epochs):
        rows = train[rng.permutation(len(train))]
        others = rng.permuted(rows, axis=0)
        model.partial_fit(np.where(rng.random(rows.shape) < share, others, rows))
    return model


def averaged(train, n_epochs):
    """At a constant rate; parameters are their means over the ends of the later half of epochs."""
    rng = np.random.default_rng(0)
    model = RBM(256, n_threads=1, random_state=0, **CONSTANT)
    sums, n_summed = dict.fromkeys(PARAMETERS, 0.0), 0
    for epoch in range(n_epochs):
        model.partial_fit(train[rng.permutation(len(train))])
        if 2 * epoch >= n_epochs:
            sums = {name: sums[name] + getattr(model, name).astype(float) for name in sums}
            n_summed += 1
    for name in PARAMETERS:
        setattr(model, name, (sums[name] / n_summed).astype(np.float32))
    return model


def remedies(n_rows, n_updates):
    """Their names, and how each is trained."""
    per_epoch = -(-n_rows // 100)
    n_epochs = -(-n_updates // per_epoch)
    n_of_large = -(-n_updates // -(-n_rows // BATCHES))
    return {
        "none": (trained, n_epochs, {}),
        "a quarter of the epochs": (trained, -(-n_epochs // 4), {}),
        "a sixteenth": (trained, -(-n_epochs // 16), {}),
        "a sixty-fourth": (trained, -(-n_epochs // 64), {}),
        "L1, 10": (trained, n_epochs, {"l1_penalty": 10.0}),
        "L2, 100": (trained, n_epochs, {"l2_penalty": 100.0}),
        "noise, 1 %": (noisy, n_epochs, {"share": 0.01}),
        "noise, 5 %": (noisy, n_epochs, {"share": 0.05}),
        "constant rate": (trained, n_epochs, CONSTANT),
        "constant rate, averages": (averaged, n_epochs, {}),
        "half the rate": (trained, n_epochs, {"learning_rate": LinearDecay(0.125)}),
        "twice the rate": (trained, n_epochs, {"learning_rate": LinearDecay(0.5)}),
        f"batches of {BATCHES}": (trained, n_of_large, {"batch_size": BATCHES}),
        f"batches of {BATCHES}, L1, 10": (
            trained,
            n_of_large,
            {"batch_size": BATCHES, "l1_penalty": 10.0},
        ),
    }


def line(name, train, valid, remedy):
    """A line of the table."""
    sys.path.insert(0, str(EXAMPLES))
    from density_estimation import log_z_of

    train_by, n_epochs, settings = remedy
    start = time.perf_counter()
    model = train_by(train, n_epochs, **settings)
    seconds = time.perf_counter() - start
    log_z = log_z_of(model)
    nats = (-model.free_energy(X).astype(float).mean() - log_z.value for X in (train, valid))
    trust = "" if log_z.is_trusted else ", not trusted"
    print(
        "  {:27s} {:8.2f} / {:8.2f} ± {:.2f}{}, {:.0f} s".format(
            name, *nats, log_z.error, trust, seconds
        ),
        flush=True,
    )


def main():
    """A line for each remedy on each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--updates", type=int, default=4800)
    parser.add_argument("--data-home", metavar="PATH")
    args = parser.parse_args()
    for name in args.names:
        rows = fetch_density_benchmark(name, args.data_home)
        print(f"{name}: {len(rows.train)} rows, {args.updates} updates; training / validation")
        Parallel(n_jobs=-1)(
            delayed(line)(remedy, rows.train, rows.valid, how)
            for remedy, how in remedies(len(rows.train), args.updates).items()
        )


if __name__ == "__main__":
    main()
