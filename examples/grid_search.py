"""How many units, how many patterns?
==================================

A grid search with the likelihood as the score.

GridSearchCV needs no scorer: ``RARBM.score`` is the mean log-likelihood of held-out rows. The
learning rate is the default for all models of the grid.

    python examples/grid_search.py [--save FIGURE.png]
"""

# sphinx_gallery_thumbnail_path = "images/grid_search.png"
import argparse

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_rapid import RARBM

N_PATTERNS = [8, 16, 32, 64, 128]
N_COMPONENTS = [16, 64, 256, 512]


def search(X):
    """Held-out log-likelihoods over the grid, printed."""
    grid = {"n_patterns": N_PATTERNS, "n_components": N_COMPONENTS}
    cv = KFold(3, shuffle=True, random_state=0)
    result = GridSearchCV(RARBM(random_state=0), grid, cv=cv, n_jobs=-1).fit(X)
    shape = (len(N_COMPONENTS), len(N_PATTERNS))
    means = result.cv_results_["mean_test_score"].reshape(shape)
    stds = result.cv_results_["std_test_score"].reshape(shape)
    print("held-out log-likelihood in nats, mean ± standard deviation over folds")
    print("   H \\ K" + "".join(f"{k:>15d}" for k in N_PATTERNS))
    for h, mean, std in zip(N_COMPONENTS, means, stds, strict=True):
        cells = (f"{m:8.2f} ± {s:4.2f}" for m, s in zip(mean, std, strict=True))
        print(f"{h:8d}" + "".join(cells))
    print(f"best: {result.best_params_}")
    return means


def draw(means, file):
    """The grid as a heat map."""
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    image = ax.imshow(means, cmap="viridis")
    ax.set_xticks(range(len(N_PATTERNS)), N_PATTERNS)
    ax.set_yticks(range(len(N_COMPONENTS)), N_COMPONENTS)
    ax.set(xlabel="patterns K", ylabel="hidden units H", title="digits, held out")
    for (i, j), value in np.ndenumerate(means):
        ax.text(j, i, f"{value:.1f}", ha="center", va="center", color="white")
    figure.colorbar(image, label="mean log-likelihood (nats)")
    if file:
        figure.savefig(file, dpi=120)
        print(f"wrote {file}")
    else:
        plt.show()


def main():
    """Search, then draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", metavar="FIGURE.png", help="write the figure to a file")
    args = parser.parse_args()
    X = (load_digits().data > 8).astype(np.uint8)
    draw(search(X), args.save)


if __name__ == "__main__":
    main()
