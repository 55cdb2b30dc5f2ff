"""The same work on the CPU, on a GPU, and by PyTorch on that GPU.

python tests/benchmarks/gpu.py [--devices numba cupy cupy-tf32 cupy-bf16] [--torch cuda] [--quick]

Needs the extra for the driver's CUDA version, and PyTorch for its column. Times are medians of
calls in turn; a call ends when the GPU has.
"""

from __future__ import annotations

import argparse

import measure
import rivals
import workloads
from compare import duration

from sklearn_rapid import RBM
from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.annealing import ais_log_partition
from sklearn_rapid.training.negative_phase import (
    PatternInducedCorrelations,
    PersistentContrastiveDivergence,
)
from sklearn_rapid.training.steps.projections import Projection


def rows(quick):
    """(name, maker of the work by a backend's name, maker of PyTorch's by a device or None)."""
    v, size = 784, 10 if quick else 1
    h, k, n, repeats = 3000 // size, 190 // size, 8000 // size, 20 // size
    made = workloads.couplings(v, h, k)
    for batch, steps in ((n, 1), (n // 8, 10)):
        phase = PatternInducedCorrelations(steps, persistent=False)
        how = {"fit_intercept": False, "projection": Projection("clip"), "repeats": repeats}
        yield (
            f"RARBM update, H={h} K={k}, batch {batch}, {steps} steps from patterns, {repeats} x",
            lambda name, b=batch, p=phase, how=how: workloads.update(made, p, b, name=name, **how),
            lambda device, b=batch, s=steps: rivals.torch_update(
                workloads.spins(b), h, k, s, as_printed=False, device=device, repeats=repeats
            ),
        )
    h, n = 1000 // size, 2000 // size
    dense = workloads.couplings(v, h)
    for chains, steps in ((n, 10), (100, 1)):
        phase = PersistentContrastiveDivergence(steps)
        yield (
            f"RBM update, PCD-{steps}, H={h}, batch = chains = {chains}, {repeats} x",
            lambda name, c=chains, p=phase: workloads.update(
                dense, p, c, name=name, repeats=repeats
            ),
            None,
        )
    temperatures = 2000 // size

    def annealed(ours):
        ais_log_partition(ours, RandomStream(0), n_chains=200, n_temperatures=temperatures)

    weak = workloads.couplings(v, h, scale=0.01)
    yield (
        f"AIS, 200 chains, {temperatures} temperatures, H={h}",
        lambda name: workloads.log_z(annealed, weak, name=name),
        None,
    )
    rows_of_host = 60_000 // size
    yield (
        f"transform of {rows_of_host} rows of the host, H={h}",
        lambda name: workloads.transform(RBM(h, max_iter=1, backend=name), rows_of_host),
        None,
    )


def table(devices, torch_device=None, quick=False):
    """Lines of the table, one after the other."""
    yield f"| work | {' | '.join(devices)} | PyTorch |"
    yield "|" + "---|" * (len(devices) + 2)
    for name, make, make_torch in rows(quick):
        functions = {device: make(device)() for device in devices}
        if make_torch is not None and torch_device is not None:
            functions["torch"] = make_torch(torch_device)
        times = measure.in_turn(functions)
        cells = [duration(times[key]) if key in times else "" for key in (*devices, "torch")]
        yield f"| {name} | {' | '.join(cells)} |"


def main():
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", nargs="+", default=["numba", "cupy", "cupy-tf32", "cupy-bf16"])
    parser.add_argument("--torch", metavar="DEVICE", help="PyTorch's device, cuda for one")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    args = parser.parse_args()
    print(measure.machine_name())
    for line in table(args.devices, args.torch, args.quick):
        print(line, flush=True)


if __name__ == "__main__":
    main()
