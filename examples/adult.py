"""
A table with everything in it: the census of adults
===================================================

Text, whole numbers, amounts that are mostly zero: the census of 1994 (Becker and Kohavi 1996) as it
is, in three lines. A machine with default parameters fits two thirds of the rows of the frame.
Then it draws new rows, tells income from the rest of a row, and fills in missing entries.

*New rows* have columns, dtypes and values of the frame. The figure has four columns of as many
drawn rows as were trained on, beside the test rows.

*Income*, one of the columns, is predicted from the others by `conditional`, also where a third of
their entries is missing. Beside it are scikit-learn's gradient boosting, trained to predict income
and nothing else, and the more common answer.

*Missing entries* of columns of text are a third of the test rows' entries. `reconstruct` fills in
the most likely values of all columns at once.

The table is read from a file, or fetched from OpenML (1.8 MB).

    python examples/adult.py [--file adult.csv] [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/adult.png"
import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import fetch_openml
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sklearn_rapid import RBM

# Test rows that are predicted and filled in.
N_TESTED = 3000
SHOWN = ["age", "hours-per-week", "education", "capital-gain"]


def load_adult(file):
    """Read the table; its last column is income."""
    if file is not None:
        return pd.read_csv(file)
    return fetch_openml("adult", version=2, as_frame=True).frame


def with_missing(frame, columns, share, seed=0):
    """Copy a frame with entries of some columns missing at random; and which are."""
    is_missing = np.random.default_rng(seed).random((len(frame), len(columns))) < share
    holes = frame.copy()
    holes[columns] = frame[columns].mask(is_missing)
    return holes, is_missing


def predict_income(model, train, test):
    """Print the share of test rows whose income is predicted right."""
    target, others = train.columns[-1], list(train.columns[:-1])
    texts = list(train[others].select_dtypes(exclude="number").columns)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    boosting = make_pipeline(
        make_column_transformer((codes, texts), remainder="passthrough"),
        HistGradientBoostingClassifier(random_state=0),
    ).fit(train[others], train[target])
    values = model.categories_[model.n_features_in_ - 1]
    holes, _ = with_missing(test, others, 1 / 3)
    print("income right in test rows:")
    for name, rows in (("whole rows", test), ("a third of the entries missing", holes)):
        own = values[model.conditional(rows[others], target).argmax(axis=1)]
        theirs = boosting.predict(rows[others])
        own, theirs = ((guess == test[target]).mean() for guess in (own, theirs))
        print(f"  {name}: RBM {own:.3f}, gradient boosting {theirs:.3f}")
    common = train[target].mode()[0]
    print(f"  the more common answer: {(test[target] == common).mean():.3f}")


def fill_in(model, train, test):
    """Print the share of missing entries of text columns that are filled in right."""
    columns = list(train.select_dtypes(exclude="number").columns)
    rows, is_missing = with_missing(test, columns, 1 / 3)
    filled = model.reconstruct(rows, output="mean", random_state=0)
    right = (filled[columns] == test[columns]).to_numpy()[is_missing].mean()
    common = train[columns].mode().iloc[0]
    usual = (test[columns] == common).to_numpy()[is_missing].mean()
    print(f"missing text right: {right:.3f}; the most frequent value of each column: {usual:.3f}")


def draw(test, rows):
    """Draw the distributions of some columns of test rows and of drawn rows."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for ax, name in zip(axes.ravel(), SHOWN, strict=True):
        both = {"test rows": test[name], "drawn rows": rows[name]}
        if test[name].dtype.kind in "if":
            low, high = test[name].min(), test[name].max()
            width = np.ceil((high - low) / 40)
            bins = np.arange(low - 0.5, high + width, width)
            ax.hist(list(both.values()), bins, density=True, label=list(both))
            ax.set(xlabel=name, ylabel="density", yscale="log" if name == SHOWN[-1] else "linear")
        else:
            shares = pd.DataFrame({k: v.value_counts(normalize=True) for k, v in both.items()})
            shares.sort_values("test rows").plot.barh(ax=ax, legend=False, width=0.8)
            ax.set(xlabel="share of the rows", ylabel="")
            ax.tick_params(axis="y", labelsize=7)
            ax.set_title(name, fontsize="medium")
    axes[0, 0].legend()
    return figure


def main():
    """Fit, draw, predict and fill in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--file", help="a CSV file of the table; without it, it is fetched")
    parser.add_argument("--save", metavar="FIGURE.png", help="write the figure to a file")
    args = parser.parse_args()
    frame = load_adult(args.file)
    train, test = train_test_split(frame, test_size=1 / 3, random_state=0)

    start = time.perf_counter()
    model = RBM(handle_unknown="infrequent", random_state=0).fit(train)
    print(f"fitted {train.shape} in {time.perf_counter() - start:.0f} s")
    for kind, columns in model.visible_:
        print(f"  {kind}: {', '.join(frame.columns[columns])}")
    score = model.score(test.dropna())
    print(f"log-likelihood of test rows: {score:.2f} nats a row, {model.log_partition()}")

    start = time.perf_counter()
    rows = model.sample(len(train), random_state=0)
    print(f"drew {len(rows)} rows in {time.perf_counter() - start:.0f} s:")
    print(rows.head(3).T)
    predict_income(model, train, test[:N_TESTED])
    fill_in(model, train, test[:N_TESTED])
    figure = draw(test, rows)
    if args.save:
        figure.savefig(args.save, dpi=120)
        print(f"wrote {args.save}")
    else:
        plt.show()


if __name__ == "__main__":
    main()
