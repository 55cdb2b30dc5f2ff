"""
What a negative phase costs (appendix D)
========================================

The paper counts multiplications. PID has to form W from the patterns after each update, O(KVH);
the averages over patterns are taken as free. CD-k goes k times up and down with a batch of f
rows, O(2kfHV). PID should then be cheaper by 2kf/K.

Two things are missing there. The K patterns are K rows that need a hidden mean each, which costs
KVH again through W. And W need not be formed: through its factors, the K rows and their gradient
cost about 3 K² (V + H), less than KVH alone where K < VH / (3 (V + H)), here 146.

Measured here is the processor time of one negative phase with its gradient, for V = 784, f = 100:

- "form W" alone, which is what O(KVH) counts;
- "PID through W": W, E[h | ξ_v] through it, and the gradient in the patterns;
- "PID factored": the same without W;
- "CD-k" with dense couplings: k steps, E[h | v], and the gradient in W.

Each is swept in K, k or H with the others fixed, an exponent is fitted, and the ratio of CD-k
to PID is compared with 2kf/K. At the end, whole updates of the estimators (both phases, step and
projection included): what a user gains.

Times are the least of several, single-threaded, float32. Full: 5 sweeps, a minute on one
core. Quick: one sweep of fewer sizes, seconds.

    python examples/paper/appendix_d.py [--quick] [--seeds N] [--save FIGURE.png]
"""

import time
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import paper

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.machine.couplings import DenseCouplings, PatternCouplings
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.training.negative_phase import ContrastiveDivergence, PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD

BACKEND = get_backend("numba", 1)
PID = PatternInducedCorrelations(n_gibbs_steps=0, persistent=False)
N_VISIBLE, N_ROWS = 784, 100
FIXED = {"K": 100, "k": 1, "H": 1000}
SWEEPS = {"K": (25, 50, 100, 200, 400), "k": (1, 2, 5, 10, 20), "H": (250, 500, 1000, 2000, 4000)}
USED = {"form W": "KH", "PID through W": "KH", "PID factored": "KH", "CD-k": "kH"}
# What the counts of multiplications say, by K or k, and by H where H >> V or K.
EXPECTED = {
    "form W": {"K": "1", "H": "1"},
    "PID through W": {"K": "1 to 2", "H": "1"},
    "PID factored": {"K": "2", "H": "below 1"},
    "CD-k": {"k": "0.78 for 2k + 2 products,", "H": "1"},
}


def spins(rng, *shape):
    """Random spins."""
    return rng.choice(np.array([-1, 1], dtype=np.float32), shape)


def negative_phase(sampler, phase, data, stream):
    """States for one update, their hidden means, and their gradient."""
    states = phase.states(sampler, data, None, stream)[0].visible
    sampler.couplings.gradient(states, sampler.hidden_mean(states), BACKEND)


def through_weights(machine):
    """The machine with W formed."""
    couplings = machine.couplings
    return replace(machine, couplings=replace(couplings, weights=couplings.to_dense().weights))


def tasks(sizes, rng):
    """What is timed, by name, for one set of K, k and H."""
    biases = (np.zeros(n, dtype=np.float32) for n in (N_VISIBLE, sizes["H"]))
    patterns = (0.1 * spins(rng, sizes["K"], n) for n in (N_VISIBLE, sizes["H"]))
    factored = Machine(PatternCouplings(*patterns), *biases, BACKEND)
    weights = np.ascontiguousarray(factored.couplings.to_dense().weights)
    dense = replace(factored, couplings=DenseCouplings(weights))
    data, stream = spins(rng, N_ROWS, N_VISIBLE), RandomStream(0)
    cd = ContrastiveDivergence(sizes["k"])
    return {
        "form W": factored.couplings.to_dense,
        "PID through W": lambda: negative_phase(through_weights(factored), PID, data, stream),
        "PID factored": partial(negative_phase, factored, PID, data, stream),
        "CD-k": partial(negative_phase, dense, cd, data, stream),
    }


def least_time(task, n_repeats):
    """Processor milliseconds."""
    times = []
    for _ in range(n_repeats + 1):  # the first one compiles, or fills caches
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return 1e3 * min(times[1:])


def sweep(seed, quick):
    """Times by name of the swept size and of what is timed: one array each."""
    rng, found = np.random.default_rng(seed), {}
    for swept, sizes in SWEEPS.items():
        for size in sizes[:3] if quick else sizes:
            with BACKEND.running():
                for name, task in tasks({**FIXED, swept: size}, rng).items():
                    if swept in USED[name]:
                        elapsed = least_time(task, 3 if quick else 7)
                        found.setdefault((swept, name), []).append(elapsed)
    return {key: np.array(times) for key, times in found.items()}


def report_sweeps(runs):
    """Print times, exponents and ratios."""
    print(f"a negative phase with V = {N_VISIBLE}, f = {N_ROWS}, ms of processor time:")
    for swept, name in runs[0]:
        times = np.array([run[swept, name] for run in runs])
        sizes = SWEEPS[swept][: times.shape[1]]
        fixed = "".join(f", {n} = {v}" for n, v in FIXED.items() if n in USED[name] and n != swept)
        for i in (0, -1):
            paper.report(f"  {name}, {swept} = {sizes[i]}{fixed}", times[:, i])
        slopes = np.polyfit(np.log(sizes), np.log(times).T, 1)[0]
        paper.report(f"    exponent in {swept} ({EXPECTED[name][swept]} expected)", slopes)
    report_ratios(runs)


def report_ratios(runs):
    """Print what CD costs in units of PID."""
    for k, i in zip(SWEEPS["k"], range(len(runs[0]["k", "CD-k"])), strict=False):
        counted = 2 * k * N_ROWS / FIXED["K"]
        print(f"  CD-{k} over PID for K = {FIXED['K']}, H = {FIXED['H']} (2kf/K = {counted:g}):")
        for name in ("form W", "PID through W", "PID factored"):
            at = SWEEPS["K"].index(FIXED["K"])
            paper.report(f"    {name}", [r["k", "CD-k"][i] / r["K", name][at] for r in runs])


def report_products(chosen):
    """Print how much of CD's and of PID's time is matrix products."""
    shares = {"CD-k": [], "PID factored": []}
    h, k = FIXED["H"], FIXED["K"]
    for seed in chosen.seeds:
        rng = np.random.default_rng(seed)
        up, down, wide = spins(rng, N_ROWS, N_VISIBLE), spins(rng, N_ROWS, h), spins(rng, k, h)
        w, narrow, square = spins(rng, N_VISIBLE, h), spins(rng, k, N_VISIBLE), spins(rng, k, k)
        with BACKEND.running():
            products = {
                "CD-k": [(up, w), (down, w.T), (up, w), (up.T, down)],
                "PID factored": [
                    *[(narrow, narrow.T), (square, wide)],
                    *[(wide, wide.T), (square, narrow), (square, wide)],
                ],
            }
            for name, task in tasks(FIXED, rng).items():
                if name in shares:
                    alone = sum(least_time(partial(np.matmul, *p), 7) for p in products[name])
                    shares[name].append(alone / least_time(task, 7))
    for name, values in shares.items():
        paper.report(f"  share of matrix products in {name.replace('-k', '-1')}", values)


def report_updates(chosen):
    """Print the time of whole updates of estimators."""
    print(f"a whole update of an estimator, H = {FIXED['H']}, batches of {N_ROWS}, ms:")
    common = {"batch_size": N_ROWS, "fit_intercept": False, "max_iter": 1, "n_threads": 1}
    common |= {"n_components": FIXED["H"], "optimizer": SGD(scaled=False), "learning_rate": 1e-3}
    ways = {f"RBM, CD-{k}": RBM(negative_phase=ContrastiveDivergence(k)) for k in (1, 10)}
    for n in (100, 400):
        ways[f"RARBM, PID, K = {n}"] = RARBM(n_patterns=n, negative_phase=PID)
        cd = ContrastiveDivergence(1)
        ways[f"RARBM, CD-1, K = {n}"] = RARBM(n_patterns=n, negative_phase=cd)
    n_updates = 20
    for name, model in ways.items():
        times = []
        for seed in chosen.seeds:
            X = np.random.default_rng(seed).random((n_updates * N_ROWS, N_VISIBLE)) > 0.5
            model.set_params(**common, random_state=seed)
            times.append(least_time(partial(model.fit, X), 3) / n_updates)
        paper.report(f"  {name}", times)


def draw(runs):
    """Time against each size."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained", sharey=True)
    colors = dict(zip(USED, ("tab:gray", "tab:orange", "tab:blue", "tab:green"), strict=True))
    for ax, swept in zip(axes, SWEEPS, strict=True):
        for name in USED:
            if (swept, name) in runs[0]:
                times = np.array([run[swept, name] for run in runs])
                sizes = SWEEPS[swept][: times.shape[1]]
                mean, spread = times.mean(axis=0), times.std(axis=0)
                ax.errorbar(sizes, mean, spread, marker="o", color=colors[name], label=name)
            elif swept == "K" or name == "PID factored":
                other = "CD-1" if swept == "K" else name
                at = ("k", "CD-k") if swept == "K" else ("K", name)
                index = 0 if swept == "K" else SWEEPS["K"].index(FIXED["K"])
                level = np.mean([run[at][index] for run in runs])
                ax.axhline(level, color=colors[name], linestyle=":", label=other)
        fixed = ", ".join(f"{n} = {v}" for n, v in FIXED.items() if n != swept)
        ax.set(xscale="log", yscale="log", xlabel=f"{swept}  ({fixed})")
        ax.set_xticks(SWEEPS[swept], SWEEPS[swept])
        ax.minorticks_off()
        ax.legend(fontsize=8)
    axes[0].set_ylabel("processor time of a negative phase, ms")
    return figure


def main():
    """Time, print and draw."""
    chosen = paper.options(__doc__, seeds=5)
    runs = [sweep(seed, chosen.quick) for seed in chosen.seeds]
    report_sweeps(runs)
    report_products(chosen)
    report_updates(chosen)
    paper.finish(draw(runs), chosen)


if __name__ == "__main__":
    main()
