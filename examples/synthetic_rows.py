"""
Rows that nobody has
====================

A model of rows can make new ones, to be shown or shared where the real ones must not be. Two
questions decide whether they are any good.

*Are they of use?* Each of some columns in turn is predicted from the others by logistic
regression, trained on synthetic rows and tested on real ones; beside that, trained on as many real
rows.

*Are they new?* If a synthetic row is nearer to some real one than real rows are to each other,
the model has learned rows by heart; if it is further away, it has not learned enough. The
nearest-neighbour adversarial accuracy (Yale et al. 2020, "Generation and evaluation of privacy
preserving synthetic health data", Neurocomputing 416) is how well such distances tell the two
apart: 0.5 is best, 0 are copies, 1 is nothing like it. It is taken against training rows and
against test rows: a model that is no nearer to the former has learned nothing by heart.

    python examples/synthetic_rows.py [NAME] [--data-home PATH] [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/synthetic_rows.png"
import warnings

import matplotlib.pyplot as plt
import numpy as np
from binary_rows import finish, options, rows_of
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from sklearn_rapid import RBM

N_COLUMNS = 10


def adversarial_accuracy(real, synthetic):
    """How well nearest neighbours tell rows from synthetic ones; ties count a half."""
    n = min(len(real), len(synthetic))
    sets = real[:n].astype(np.float32), synthetic[:n].astype(np.float32)
    shares = []
    for own, other in (sets, sets[::-1]):
        to_own = NearestNeighbors(n_neighbors=1).fit(own).kneighbors()[0]  # others of its kind
        to_other = NearestNeighbors(n_neighbors=1).fit(other).kneighbors(own)[0]
        gap = np.rint(to_other**2 - to_own**2)  # in columns that differ
        shares.append(np.mean((gap > 0) + 0.5 * (gap == 0)))
    return np.mean(shares)


def accuracies(rows, test, columns):
    """How well columns of test rows are predicted by regressions on some rows."""
    found = []
    for column in columns:
        X, X_test = (np.delete(part, column, axis=1) for part in (rows, test))
        y, y_test = rows[:, column], test[:, column]
        found.append(LogisticRegression(max_iter=1000).fit(X, y).score(X_test, y_test))
    return np.array(found)


def compare(train, test, synthetic):
    """Print both answers; return the accuracies by what was trained on."""
    balance = np.abs(train.mean(axis=0) - 0.5)
    columns = np.argsort(balance)[:N_COLUMNS]  # those that are hardest to guess
    chance = np.maximum(test.mean(axis=0), 1 - test.mean(axis=0))[columns]
    by = {
        "real rows": accuracies(train, test, columns),
        "synthetic rows": accuracies(synthetic, test, columns),
        "the more common value": chance,
    }
    for name, values in by.items():
        print(f"{name:22s} {values.mean():.3f} of {N_COLUMNS} columns of test rows")
    for name, rows in (("train", train), ("test", test)):
        print(f"adversarial accuracy against {name}: {adversarial_accuracy(rows, synthetic):.3f}")
    print(f"real test rows against train: {adversarial_accuracy(train, test):.3f}")
    return by


def main():
    """Train, draw rows, compare."""
    chosen = options(__doc__)
    train, _, test = rows_of(chosen.name, chosen.data_home)
    model = RBM(n_components=256, l1_penalty=10.0, max_iter=100, random_state=0).fit(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows need not be independent here
        synthetic = model.sample(len(train), random_state=0).astype(np.uint8)
    print(f"{chosen.name}: {len(synthetic)} synthetic rows")
    by = compare(train, test, synthetic)
    figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
    ax.plot([0.4, 1], [0.4, 1], color="gray", linestyle=":")
    ax.scatter(by["real rows"], by["synthetic rows"])
    ax.set(
        xlabel="trained on real rows",
        ylabel="trained on synthetic rows",
        title=f"{chosen.name}: columns predicted",
    )
    low = min(values.min() for values in by.values())
    ax.set(xlim=(low - 0.02, 1.01), ylim=(low - 0.02, 1.01))
    finish(figure, chosen)


if __name__ == "__main__":
    main()
