"""Figure 6(a, b): the likelihood of MNIST during training
=======================================================

The paper trains RARBMs of 3000 hidden units and 190 patterns on MNIST (grey above 0.3 is on),
the negative phase being ten Gibbs steps from the patterns, restarted at every update. It
reports that the negative log-likelihoods of training and test images fall together, to a value
four orders of magnitude under the first.

Measured: both negative log-likelihoods in nats per image at log-spaced epochs, log Z by
annealed importance sampling (AIS). Its effective sample size is printed with each figure: at 1,
a single chain of all carries the estimate, whose standard error then says nothing. A bound that
needs no trust is printed beside it: Z is at least the sum of its terms over any distinct states,
here the patterns and where ten Gibbs steps from them lead, so that the negative log-likelihood
is at least what follows from that. A third figure to compare with: the negative log-likelihood
of test images where pixels are independent, each on as often as in the training images. And
those of an RARBM (5 epochs) and of a standard RBM (300 hidden units, 10 epochs) trained by this
package's defaults.

Full settings: batches of 8000, 500 epochs, learning rate 0.015, from epoch 101 times 0.99 an
epoch down to 0.001, three seeds (the paper: 25); about half an hour a seed on one core.
``--quick``: 200 hidden units, 40 patterns, 2000 images, 32 epochs.

    python examples/paper/figure_6ab.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from mnist_runs import data_options, runs
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning

from sklearn_rapid.displays import TrainingHistoryDisplay

N_CHAINS, N_TEMPERATURES, QUICK_TEMPERATURES = 100, 1000, 500
N_ROWS = 10_000
LATE = 320


def bound_on_log_z(model):
    """log of Z's terms, summed over the patterns and where ten Gibbs steps from them lead."""
    seeds = (model.visible_patterns_ >= 0).astype(np.uint8)
    states = np.unique(np.concatenate([seeds, model.gibbs(seeds, 10, random_state=0)]), axis=0)
    return np.logaddexp.reduce(-model.free_energy(states))


def estimate_log_z(model, digits):
    """log Z by annealed importance sampling, with its error and effective sample size."""
    n_temperatures = N_TEMPERATURES if digits.name == "mnist" else QUICK_TEMPERATURES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the effective sample size is printed
        return model.log_partition("ais", n_chains=N_CHAINS, n_temperatures=n_temperatures)


def likelihoods(model, digits):
    """Negative log-likelihoods of training and test images, and how far to believe them."""
    log_z = estimate_log_z(model, digits)
    energies = {
        "train": model.free_energy(digits.X[:N_ROWS]).mean(),
        "test": model.free_energy(digits.X_test).mean(),
    }
    return {
        **{split: energy + log_z.value for split, energy in energies.items()},
        "test at least": energies["test"] + bound_on_log_z(model),
        "error": log_z.error,
        "effective": log_z.effective_sample_size,
    }


def report_defaults(run):
    """Likelihoods of an RARBM and of a standard RBM trained by this package's defaults."""
    models = {"RARBM by defaults": run.defaults_model(), "RBM by defaults": run.standard_model()}
    for name, model in models.items():
        log_z = estimate_log_z(model, run.digits)
        test = model.free_energy(run.digits.X_test).mean() + log_z.value
        print(
            f"{name} (H={model.n_components}, {model.max_iter} epochs): test {test:.4g} ± "
            f"{log_z.error:.2g} nats (AIS, {log_z.effective_sample_size:.1f} effective)"
        )


def independent_pixels(digits):
    """Negative log-likelihood of test images by the training images' means of the pixels."""
    on = (digits.X.sum(axis=0) + 1.0) / (len(digits.X) + 2.0)
    log_p = digits.X_test * np.log(on) + (1.0 - digits.X_test) * np.log1p(-on)
    return -log_p.sum(axis=1).mean()


def curve(run, last):
    """What `likelihoods` says at each saved epoch of a run, printed."""
    rows = {}
    for epoch, model in run.models(last):
        name = f"{epoch:05d}_likelihoods.pickle"
        row = rows[epoch] = run.kept(name, lambda model=model: likelihoods(model, run.digits))
        print(
            f"seed {run.seed}, epoch {epoch:3d}: train {row['train']:.6g}, test {row['test']:.6g} "
            f"± {row['error']:.2g} (AIS, {row['effective']:.1f} of {N_CHAINS} chains effective), "
            f"test at least {row['test at least']:.6g} nats",
            flush=True,
        )
    return rows


def report_all(curves):
    """First, last and lowest values over the seeds, and how far the two sets are apart."""
    last = min(max(rows) for rows in curves)
    for epoch in (0, last):
        for split in ("train", "test", "test at least"):
            report(f"{split}, epoch {epoch}, nats", [rows[epoch][split] for rows in curves], 4)
    lowest = [min(row["test"] for row in rows.values()) for rows in curves]
    report("test, lowest of all epochs, nats", lowest, 4)
    ratios = [rows[0]["test"] / rows[max(rows)]["test"] for rows in curves]
    report("test, first over last", ratios)
    gaps = [rows[last]["test"] / rows[last]["train"] - 1 for rows in curves]
    report(f"test over train minus one, epoch {last}", gaps)


def draw(curves, without_couplings):
    """Means over seeds with a band of one deviation: all of training, and its late part."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    epochs = sorted(set.union(*(set(rows) for rows in curves)))
    for split, line in (("train", "-"), ("test", "--")):
        values = [[rows[e][split] for rows in curves if e in rows] for e in epochs]
        mean, spread = (np.array([f(v) for v in values]) for f in (np.mean, np.std))
        history = {"epoch": epochs, "NLL (nats)": mean}
        for panel in panels:
            display = TrainingHistoryDisplay(history, split).plot(panel, marker=".", linestyle=line)
            color = display.lines_[0].get_color()
            panel.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.2)
    zoom(panels[1], epochs, curves)
    panels[0].set_yscale("log")
    panels[0].axhline(without_couplings, color="gray", linestyle=":", label="independent pixels")
    panels[0].legend()
    return figure


def zoom(panel, epochs, curves):
    """Show the late part only."""
    late = [e for e in epochs if e >= min(LATE, max(epochs) / 2)]
    values = [rows[e][s] for rows in curves for e in late if e in rows for s in ("train", "test")]
    margin = 0.1 * (max(values) - min(values))
    panel.set_xlim(late[0], late[-1])
    panel.set_ylim(min(values) - margin, max(values) + margin)


def main():
    """Train or load, evaluate, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    all_runs = runs(chosen)
    without_couplings = independent_pixels(all_runs[0].digits)
    print(f"test, independent pixels: {without_couplings:.4g} nats")
    report_defaults(all_runs[0])
    curves = [curve(run, chosen.epochs) for run in all_runs]
    report_all(curves)
    finish(draw(curves, without_couplings), chosen)


if __name__ == "__main__":
    main()
