"""Ours, side by side with what a user would run instead, in one table.

python tests/benchmarks/compare.py [--save docs/benchmarks.md] [--only TEXT]

Each row has a process of its own, in which its functions run in turn with a large matrix
product among them; times are medians. The rivals need the `benchmarks` extra; those that are
not installed are left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re

import measure
import workloads

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADER = "| work | ours | share of sgemm | rival | its time | ratio |\n|---|---|---|---|---|---|"


def rows(number):
    """Lines of the table for one workload by its number: one a rival, at least one."""
    work = list(workloads.all_workloads())[number]
    functions = {"ours": work.make()}
    for name, make in work.rivals.items():
        try:
            functions[name] = make()
        except ImportError:
            continue
    multiply = measure.multiply_large()
    times = measure.in_turn({**functions, "sgemm": multiply})
    ours, rate = times["ours"] / work.repeats, multiply.operations / times["sgemm"]
    operations = 2.0 * work.products
    share = f"{100 * operations / ours / rate:.0f} %" if operations else ""
    start = f"| {work.name} | {duration(ours)} | {share} |"
    others = [name for name in functions if name != "ours"]
    if not others:
        return [f"{start} | | |"]
    lines = []
    for name in others:
        lines.append(f"{start} {name} | {duration(times[name])} | {times[name] / ours:.1f} |")
        start = "| | | |"
    return lines


def duration(seconds):
    """A time with three digits."""
    if seconds < 1.0:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s"


def save(path, text):
    """Put the table between the marks in a page."""
    with open(path) as page:
        old = page.read()
    new = re.sub(f"{BEGIN}.*{END}", f"{BEGIN}\n{text}\n{END}", old, flags=re.DOTALL)
    with open(path, "w") as page:
        page.write(new)


def main():
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", metavar="PAGE", help="a page with marks to put the table in")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    args = parser.parse_args()
    rate = measure.sgemm_rate(measure.available_threads())
    lines = [f"{measure.machine_name()}; sgemm at {rate / 1e9:.0f} GFLOP/s.", "", HEADER]
    print("\n".join(lines))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for number, work in enumerate(workloads.all_workloads()):
            if args.only in work.name:
                new = pool.apply(rows, (number,))
                print("\n".join(new), flush=True)
                lines += new
    if args.save:
        save(args.save, "\n".join(lines))


if __name__ == "__main__":
    main()
