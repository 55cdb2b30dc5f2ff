"""Figure 6(a, b): the likelihood of MNIST during training
=======================================================

The paper trains RARBMs of 3000 hidden units and 190 patterns on MNIST (grey above 0.3 is on),
the negative phase being ten Gibbs steps from the patterns, restarted at every update. It
reports that the negative log-likelihoods of training and test images fall together, to a value
four orders of magnitude under the first. The recipe is run as the text has it and as the
authors' code does it, which is another thing (`mnist_runs.py` tells of the readings).

Measured: both negative log-likelihoods in nats per image at log-spaced epochs, log Z by
annealed importance sampling (AIS). Its effective sample size is printed with each figure: at 1,
a single chain of all carries the estimate, whose standard error then says nothing. A bound that
needs no trust is printed beside it: Z is at least the sum of its terms over any distinct states,
here the patterns and where ten Gibbs steps from them lead, so that the negative log-likelihood
is at least what follows from that. A third figure to compare with: the negative log-likelihood
of test images where pixels are independent, each on as often as in the training images. And
those of an RARBM (5 epochs) and of a standard RBM (300 hidden units, 30 epochs) trained by this
package's defaults.

Full settings: batches of 8000, 500 epochs, learning rate 0.015, from epoch 101 times 0.99 an
epoch down to 0.001, three seeds (the paper: 25); about half an hour a seed on one core.
``--quick``: 1000 hidden units, 100 patterns, 2000 images, 64 epochs.

    python examples/paper/figure_6ab.py --data-home PATH [--quick] [--save FIGURE.png]
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from mnist_measures import N_CHAINS, estimate_log_z, independent_pixels, likelihoods
from mnist_runs import available, data_options, load_images
from paper import finish, options, report
from sklearn.exceptions import ConvergenceWarning

LATE = 320
SPLITS = ("train", "test")


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


def curve(run, last):
    """What `likelihoods` says at each saved epoch of a run, printed."""
    rows = {}
    for epoch, model in run.models(last):
        name = f"{epoch:05d}_likelihoods.pickle"
        row = rows[epoch] = run.kept(name, lambda model=model: likelihoods(model, run.digits))
        print(
            f"{run.settings.reading}, seed {run.seed}, epoch {epoch:3d}: "
            f"train {row['train']:.6g}, test {row['test']:.6g} ± {row['error']:.2g} "
            f"(AIS, {row['effective']:.1f} of {N_CHAINS} chains effective), "
            f"test at least {row['test at least']:.6g} nats",
            flush=True,
        )
    return rows


def report_all(reading, curves):
    """First, last and lowest values over the seeds, and how far the two sets are apart."""
    last = min(max(rows) for rows in curves)
    for epoch in (0, last):
        for split in ("train", "test", "test at least"):
            values = [rows[epoch][split] for rows in curves]
            report(f"{reading}, {split}, epoch {epoch}, nats", values, 4)
    lowest = [min(row["test"] for row in rows.values()) for rows in curves]
    report(f"{reading}, test, lowest of all epochs, nats", lowest, 4)
    highest = [max(row["test"] for row in rows.values()) for rows in curves]
    report(f"{reading}, test, highest of all epochs, nats", highest, 4)
    ratios = [rows[0]["test"] / rows[last]["test"] for rows in curves]
    report(f"{reading}, test, first over epoch {last}", ratios)
    gaps = [rows[last]["test"] / rows[last]["train"] - 1 for rows in curves]
    report(f"{reading}, test over train minus one, epoch {last}", gaps)


def draw(curves, without_couplings):
    """Means over seeds with a band of one deviation: all of training, and its late part."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for reading, of_reading in curves.items():
        epochs = sorted(set.intersection(*(set(rows) for rows in of_reading)))
        color = None
        for split, line in (("train", "-"), ("test", "--")):
            values = [[rows[e][split] for rows in of_reading] for e in epochs]
            mean, spread = (np.array([f(v) for v in values]) for f in (np.mean, np.std))
            for panel in panels:
                label = f"{reading}, {split}"
                style = dict(marker=".", linestyle=line, color=color, label=label)
                (drawn,) = panel.plot(epochs, mean, **style)
                color = drawn.get_color()
                panel.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.2)
    for panel in panels:
        panel.axhline(without_couplings, color="gray", linestyle=":", label="independent pixels")
        panel.set_xlabel("epoch")
    zoom(panels[1], curves)
    panels[0].set_yscale("log")
    panels[0].set_ylabel("NLL (nats)")
    panels[0].legend(fontsize="small")
    return figure


def zoom(panel, curves):
    """Show the late part only."""
    all_rows = [rows for of_reading in curves.values() for rows in of_reading]
    last = max(max(rows) for rows in all_rows)
    start = min(LATE, last // 2)
    values = [row[s] for rows in all_rows for e, row in rows.items() if e >= start for s in SPLITS]
    if values:
        panel.set_xlim(start, last)
        panel.set_ylim(0, 1.1 * max(values))


def main():
    """Train or load, evaluate, report, draw."""
    chosen = options(__doc__, seeds=3, parents=[data_options()])
    warnings.simplefilter("ignore", ConvergenceWarning)
    digits = load_images(chosen.data_home, chosen.quick)
    without_couplings = independent_pixels(digits)
    print(f"test, independent pixels: {without_couplings:.4g} nats")
    all_runs = available(chosen, digits)
    report_defaults(all_runs[0][0])
    curves = {}
    for found in all_runs:
        reading = found[0].settings.reading
        curves[reading] = [curve(run, chosen.epochs) for run in found]
        report_all(reading, curves[reading])
    finish(draw(curves, without_couplings), chosen)


if __name__ == "__main__":
    main()
