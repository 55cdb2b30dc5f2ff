"""
Which rows are odd?
===================

A row with a low probability is an odd one. A tenth of the test rows are spoilt: a quarter of a
row's entries are taken from another row, so that each value by itself is as common as before, and
only what goes together no longer does. Of as many rows as were spoilt, the ones with the lowest
log-likelihoods, how many are spoilt ones?

Beside the model: scikit-learn's IsolationForest, and independent columns, which see no more than
single values.

    python examples/anomalies.py [NAME] [--data-home PATH] [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/anomalies.png"
import matplotlib.pyplot as plt
import numpy as np
from binary_rows import finish, options, rows_of
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, precision_recall_curve

from sklearn_rapid import RBM

SHARE_SPOILT, SHARE_OF_ENTRIES = 0.1, 0.25


def spoil(X, seed=0):
    """X with some rows spoilt, and which."""
    rng = np.random.default_rng(seed)
    is_spoilt = rng.permutation(len(X)) < SHARE_SPOILT * len(X)
    others = X[rng.permutation(len(X))]
    taken = is_spoilt[:, None] & (rng.random(X.shape) < SHARE_OF_ENTRIES)
    return np.where(taken, others, X), is_spoilt


def independent(train, X):
    """Log-likelihoods where columns are independent."""
    p = (train.sum(axis=0) + 1.0) / (len(train) + 2.0)
    return (X * np.log(p) + (1 - X) * np.log1p(-p)).sum(axis=1)


def scores(train, X):
    """How usual each row is, by three methods."""
    model = RBM(n_components=256, l1_penalty=10.0, max_iter=100, random_state=0).fit(train)
    forest = IsolationForest(n_estimators=500, random_state=0).fit(train)
    return {
        "RBM": -model.free_energy(X),  # the log-likelihood but for log Z, the same for all rows
        "IsolationForest": forest.score_samples(X),
        "independent columns": independent(train, X),
    }


def main():
    """Spoil rows, find them, draw."""
    chosen = options(__doc__)
    train, _, test = rows_of(chosen.name, chosen.data_home)
    X, is_spoilt = spoil(test)
    k = is_spoilt.sum()
    print(f"{chosen.name}: {k} of {len(X)} rows are spoilt")
    figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
    for name, score in scores(train, X).items():
        precision_at_k = is_spoilt[np.argsort(score)[:k]].mean()
        average = average_precision_score(is_spoilt, -score)
        print(f"{name:20s} precision at {k}: {precision_at_k:.3f}, average {average:.3f}")
        precision, recall, _ = precision_recall_curve(is_spoilt, -score)
        ax.plot(recall, precision, label=f"{name} ({precision_at_k:.2f} at {k})")
    ax.axhline(is_spoilt.mean(), color="gray", linestyle=":", label="chance")
    ax.set(xlabel="share of spoilt rows found", ylabel="precision", title=chosen.name)
    ax.legend(fontsize="small")
    finish(figure, chosen)


if __name__ == "__main__":
    main()
