"""
What was the answer?
====================

A third of the entries of test rows is hidden, as if people had left out answers in a survey. A
model of whole rows fills them in: `reconstruct` draws what is missing given what is there, and
``output="mean"`` gives the probability that an entry is one. Printed: the share of hidden entries
that are filled in right, and their mean log-probability where a method has one.

Beside the model: scikit-learn's imputers by regression and by nearest rows, and the more common
value of each column.

    python examples/missing_entries.py [NAME] [--data-home PATH] [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/missing_entries.png"
import time

import matplotlib.pyplot as plt
import numpy as np
from binary_rows import finish, options, rows_of
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from sklearn_rapid import RBM

SHARE_HIDDEN, N_ROWS = 1 / 3, 500


def hide(X, seed=0):
    """X as floats with NaN for what is hidden."""
    hidden = np.random.default_rng(seed).random(X.shape) < SHARE_HIDDEN
    return np.where(hidden, np.nan, X), hidden


def by_model(train, X):
    """Probabilities of ones by an RBM."""
    model = RBM(n_components=256, l1_penalty=10.0, max_iter=100, random_state=0).fit(train)
    return model.reconstruct(X, n_gibbs_steps=200, output="mean", random_state=0)


def imputers():
    """scikit-learn's, by name."""
    regression = IterativeImputer(
        max_iter=5, n_nearest_features=30, min_value=0, max_value=1, random_state=0
    )
    return {
        "regression": regression,
        "10 nearest rows": KNNImputer(n_neighbors=10),
        "mean of the column": SimpleImputer(),
    }


def filled(train, X):
    """Name, probabilities of ones and seconds of each method."""
    start = time.perf_counter()
    yield "RBM", by_model(train, X), time.perf_counter() - start
    for name, imputer in imputers().items():
        start = time.perf_counter()
        yield name, imputer.fit(train.astype(float)).transform(X), time.perf_counter() - start


def main():
    """Hide, fill in, compare."""
    chosen = options(__doc__)
    train, _, test = rows_of(chosen.name, chosen.data_home)
    test = test[:N_ROWS]
    X, hidden = hide(test)
    print(f"{chosen.name}: {hidden.sum()} entries of {len(test)} rows are hidden")
    accuracies = {}
    for name, p, seconds in filled(train, X):
        # A probability of nought or one that is wrong would cost an infinity of nats.
        q = np.clip(p[hidden], 0.005, 0.995)
        truth = test[hidden] == 1
        accuracies[name] = np.mean((q > 0.5) == truth)
        log_p = np.log(np.where(truth, q, 1 - q)).mean()
        print(
            f"{name:20s} right: {accuracies[name]:.3f}, log-probability {log_p:.3f} nats an entry, "
            f"{seconds:.0f} s"
        )
    figure, ax = plt.subplots(figsize=(5, 2.5), layout="constrained")
    names = list(accuracies)[::-1]
    bars = ax.barh(names, [accuracies[name] for name in names])
    ax.bar_label(bars, fmt="%.3f", padding=3)
    low = min(accuracies.values())
    ax.set(xlim=(low - 0.05, 1.0), xlabel="hidden entries filled in right", title=chosen.name)
    finish(figure, chosen)


if __name__ == "__main__":
    main()
