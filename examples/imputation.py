"""
Missing pixels of handwritten digits
====================================

An RARBM fills in what is missing in a row, given the rest of it: `reconstruct` keeps the known
pixels and draws the missing ones by Gibbs sampling. The mean of several draws is an estimate;
single draws are what such a digit may look like.

A third of scikit-learn's digits are held out. Of those, pixels are missing at random, or the
lower half of the image is. The root mean square error on the missing pixels (grey values from 0
to 1) is compared with scikit-learn's imputers that replace by the mean, by the mean of the
nearest digits, and by Bayesian ridge regression from 20 other pixels. The nearest digits are
somewhat better: there are few ways to write a digit in 8x8 pixels, and most are in the train set.
The RARBM keeps no train set, and says how sure a pixel is: its draws differ where it is not.

    python examples/imputation.py [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/imputation.png"
import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split

from sklearn_rapid import RARBM

N_DRAWS = 100


def fill(model, X, n_draws):
    """Mean of several draws of what is missing, known grey values kept."""
    draws = [model.reconstruct(X, n_gibbs_steps=50, random_state=i) for i in range(n_draws)]
    return np.where(np.isnan(X), np.mean(draws, axis=0), X)


def imputers():
    """scikit-learn's, by name."""
    return {
        "mean of the pixel": SimpleImputer(),
        "5 nearest digits": KNNImputer(),
        "Bayesian ridge": IterativeImputer(max_iter=3, n_nearest_features=20, random_state=0),
    }


def error(filled, X, missing):
    """Root mean square error on missing pixels."""
    return np.sqrt(np.mean((filled - X)[missing] ** 2))


def compare(model, train, test, missing):
    """Print the errors; return the test digits with pixels missing, and as the model fills them."""
    holes = np.where(missing, np.nan, test)
    start = time.perf_counter()
    filled = fill(model, holes, N_DRAWS)
    seconds = time.perf_counter() - start
    print(
        f"  RARBM, mean of {N_DRAWS} draws: {error(filled, test, missing):.4f} in {seconds:.1f} s"
    )
    for name, imputer in imputers().items():
        start = time.perf_counter()
        theirs = imputer.fit(train).transform(holes)
        seconds = time.perf_counter() - start
        print(f"  {name}: {error(theirs, test, missing):.4f} in {seconds:.1f} s")
    return holes, filled


def draw(model, test, halves, n=12):
    """Test digits, what is known of them, the estimate, and three single draws."""
    holes, filled = (rows[:n] for rows in halves)
    draws = [model.reconstruct(holes, n_gibbs_steps=50, random_state=i) for i in range(3)]
    rows = {"true": test[:n], "known": holes, f"mean of {N_DRAWS} draws": filled}
    rows |= {f"draw {i + 1}": images for i, images in enumerate(draws)}
    figure, axes = plt.subplots(len(rows), 1, figsize=(7, 4), layout="constrained")
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        strip = np.pad(images.reshape(n, 8, 8), ((0, 0), (0, 0), (0, 1)), constant_values=np.nan)
        ax.imshow(strip.transpose(1, 0, 2).reshape(8, 9 * n), cmap="gray", vmin=0, vmax=1)
        ax.set_facecolor("tan")
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def main():
    """Train, compare and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--save", metavar="FIGURE.png", help="write the figure to a file")
    args = parser.parse_args()
    X = load_digits().data / 16.0
    train, test = train_test_split(X, test_size=1 / 3, random_state=0)
    model = RARBM(128, max_iter=1000, random_state=0).fit(train)

    at_random = np.random.default_rng(0).random(test.shape) < 0.3
    print("30 % of the pixels missing, root mean square error on them:")
    compare(model, train, test, at_random)
    lower_half = np.broadcast_to(np.arange(64) >= 32, test.shape)
    print("lower half missing:")
    halves = compare(model, train, test, lower_half)

    figure = draw(model, test, halves)
    if args.save:
        figure.savefig(args.save, dpi=120)
        print(f"wrote {args.save}")
    else:
        plt.show()


if __name__ == "__main__":
    main()
