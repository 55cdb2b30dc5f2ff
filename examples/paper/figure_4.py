"""
Figure 4: singular values of trained couplings
==============================================

The paper's claim: whatever the way of training, four singular values of W stand out after
training on 4 x 4 bars; so four patterns would do, and training drives a standard RBM to what
regularized axons start from.

Measured here: the singular values of W after the last epoch, and the ratio of the fourth to the
fifth. Bars are determined by their four columns, so W needs no more than four of them; with
patterns W has at most K = 8 in any case. At zero (below 1e-3 of the largest one) they are not
drawn.

Printed beside it: how many of RAPID's pattern spins training changes. A step moves a hidden one
by at most 2 lr V / sqrt(K) = 0.23, the four steps of an epoch by less than 1, and at the end of
the epoch the sign is taken: the hidden patterns stay what they were drawn as, and all that is
trained are the K V = 128 visible spins.

Settings as for figure 2a, whose runs these are.

    python examples/paper/figure_4.py [--quick] [--seeds N] [--save FILE]
"""

import matplotlib.pyplot as plt
import numpy as np
from bars import COLORS, METHODS, runs, split
from paper import finish, options, report
from sklearn.base import clone

from sklearn_rapid.diagnostics.displays import SpectrumDisplay


def report_spectrum(method, spectra):
    """Print the first values, and where they fall off."""
    for rank in range(8):
        report(f"{method}, singular value {rank + 1}", spectra[:, rank])
    shares = (spectra[:, :4] ** 2).sum(axis=1) / (spectra**2).sum(axis=1)
    report(f"{method}, share of the first four in the sum of squares", shares)
    ranks = (spectra > 1e-3 * spectra[:, :1]).sum(axis=1)
    report(f"{method}, number of singular values that are not zero", ranks)
    full = ranks > 4
    if full.any():
        ratios = spectra[full, 3] / spectra[full, 4]
        report(f"{method}, fourth over fifth, in runs that have a fifth", ratios)


def report_changes(chosen):
    """Print the share of RAPID's pattern spins that differ before and after training."""
    n_epochs = 15 if chosen.quick else 300
    before, after = [], []
    for seed in chosen.seeds:
        model = clone(METHODS["RAPID"]).set_params(n_components=1000, random_state=seed)
        X_train = split(seed)[0]
        before.append(clone(model).set_params(learning_rate=1e-12, max_iter=1).fit(X_train))
        after.append(model.set_params(max_iter=n_epochs).fit(X_train))
    for layer in ("visible", "hidden"):
        pairs = zip(before, after, strict=True)
        name = f"{layer}_patterns_"
        changed = [np.mean(getattr(a, name) != getattr(b, name)) for a, b in pairs]
        report(f"RAPID, share of {layer} pattern spins changed by training", changed)


def main():
    """Print and draw the spectra of all methods."""
    chosen = options(__doc__, seeds=20)
    figure, axes = plt.subplots(
        1, len(COLORS), figsize=(11, 3.4), sharex=True, sharey=True, layout="constrained"
    )
    for ax, (method, color) in zip(axes, COLORS.items(), strict=True):
        spectra = runs(method, chosen)["singular_values"]
        report_spectrum(method, spectra)
        for spectrum in spectra:
            drawn = np.where(spectrum > 1e-3 * spectrum[0], spectrum, np.nan)
            SpectrumDisplay(drawn).plot(ax, color=color, alpha=0.4, linewidth=0.8)
        ax.axvline(4.5, color="grey", linestyle=":", linewidth=1)
        ax.set(
            title=f"{method} (n = {len(spectra)})",
            yscale="log",
            ylabel="",
            xticks=(1, 4, 8, 12, 16),
        )
    axes[0].set_ylabel("singular value of W")
    report_changes(chosen)
    finish(figure, chosen)


if __name__ == "__main__":
    main()
