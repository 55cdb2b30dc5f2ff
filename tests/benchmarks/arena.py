"""log Z by tempering beside exact sums, of machines that are hard to sample.

    python tests/benchmarks/arena.py                             # all kinds, 3 seeds a model
    python tests/benchmarks/arena.py --seeds 300 easy patterns   # are stated errors right?
    python tests/benchmarks/arena.py --each holes                # a line a model, too

For each kind: models, estimates, how many are trusted, how many are trusted and more than five
stated errors off, the worst deviation among the trusted in errors, mean and standard deviation of
deviations in errors (of the trusted, those beyond ±10 taken as ±10), and how many of these are
within 1, 2 and 3 errors, with the range that right errors leave once in a hundred times (for
independent estimates) in brackets.
Where rows recur, also how far their share in samples is from its exact probability, in standard
errors of a binomial: how many of how many are within three, and the worst.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.arena import KINDS, coverage, outcome, share_deviation

HEAD = (
    f"{'kind':17}{'models':>7}{'runs':>6}{'trusted':>8}{'wrong':>6}{'worst z':>9}"
    f"{'mean z':>8}{'sd z':>7}  within 1, 2, 3 errors"
)


def measured(kind, n_seeds, each):
    """Outcomes of all models of a kind, and deviations of the shares of rows that recur."""
    outcomes, shares = [], []
    for make in KINDS[kind]():
        case = make()
        of_case = [outcome(case, seed) for seed in range(n_seeds)]
        of_row = []
        if kind.startswith("recurring") and case.has_exact_row:
            of_row = [share_deviation(case, seed) for seed in range(min(n_seeds, 3))]
        if each:
            print_case(case, of_case, of_row)
        outcomes.append(of_case)
        shares += of_row
    return outcomes, shares


def print_case(case, outcomes, shares):
    """A line of one model."""
    deviations = " ".join(
        f"{o.deviation:+.3f}±{o.error:.3f}{'' if o.is_trusted else '?'}{'!' if o.is_wrong else ''}"
        for o in outcomes[:5]
    )
    row = f"; row p {case.p_of_row:.3f}, z {np.round(shares, 1).tolist()}" if shares else ""
    print(f"  {case.name}: log Z {case.log_z:.2f}, {deviations}{row}", flush=True)


def print_kind(kind, outcomes, shares):
    """A line of a kind."""
    flat = [o for of_case in outcomes for o in of_case]
    z = np.array([o.z for o in flat if o.is_trusted])
    n_wrong = sum(o.is_wrong for o in flat)
    line = f"{kind:17}{len(outcomes):7}{len(flat):6}{len(z):8}{n_wrong:6}"
    if len(z):
        worst = z[np.argmax(np.abs(z))]
        within = ", ".join(f"{n} [{low}-{high}]" for _, n, low, high in coverage(z))
        limited = np.clip(z, -10.0, 10.0)
        line += f"{worst:9.3g}{limited.mean():8.2f}{limited.std():7.2f}  {within}"
    if shares:
        is_near = np.abs(shares) < 3.0
        line += f"; shares {is_near.sum()} of {len(shares)}, worst {np.abs(shares).max():.1f}"
    print(line, flush=True)


def main():
    """Measure the kinds that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="kind", help=", ".join(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--each", action="store_true", help="a line a model, too")
    how = parser.parse_args()
    if unknown := set(how.kinds) - set(KINDS):
        parser.error(f"kinds are {', '.join(KINDS)}; got {', '.join(sorted(unknown))}")
    print(HEAD)
    for kind in how.kinds or KINDS:
        start = time.perf_counter()
        print_kind(kind, *measured(kind, how.seeds, how.each))
        if how.each:
            print(f"  {time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
