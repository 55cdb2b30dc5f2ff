"""What a fit over many workers costs: on this machine, and carried to more of them.

    python tests/benchmarks/dask_costs.py             # updates on 1, 2 and 4 processes, messages
    python tests/benchmarks/dask_costs.py batches     # what larger batches buy in likelihood
    python tests/benchmarks/dask_costs.py memory      # peaks of a fit of 4 GB of rows on disk

An update of n rows on P workers takes

    t = c n / P + 2 L (k s / w + l)

c seconds a row, s bytes of parameters, w bytes a second and l seconds of latency of a message
between two workers, L = floor(log2 P) levels of the tree, and k = 2 neighbours below a worker (one
where there are two workers). c is measured here; the network of the plot is one of 10 Gbit/s.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from distributed import Client, LocalCluster, get_worker

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.dask import DaskRARBM, DaskRBM
from sklearn_rapid.datasets import fetch_mnist

N_VISIBLE, N_HIDDEN, N_PATTERNS, BATCH, N_UPDATES = 784, 3000, 190, 8000, 8
HOW = {"negative_phase": "pcd", "batch_size": BATCH, "max_iter": 3, "random_state": 0}
MODELS = {
    "RARBM, K=190": (RARBM, DaskRARBM, (N_HIDDEN, N_PATTERNS)),
    "RBM": (RBM, DaskRBM, (N_HIDDEN,)),
}


def cluster(n, folder):
    """So many processes of one thread."""
    return LocalCluster(
        n_workers=n, threads_per_worker=1, dashboard_address=":0", local_directory=folder
    )


def per_update(model):
    """Seconds of an update, in the fastest epoch but the first."""
    return float(np.diff(model.history_["seconds"]).min()) / N_UPDATES


# --- updates ----------------------------------------------------------------------------------


def updates():
    """Seconds of an update here and on 1, 2 and 4 workers, and of a message."""
    X = (np.random.default_rng(0).random((N_UPDATES * BATCH, N_VISIBLE)) < 0.2).astype(np.uint8)
    rows = da.from_array(X, chunks=(BATCH // 4, -1))
    print("| model | here, 1 thread | here, 2 | 1 worker | 2 | 4 | 2 workers to 2 threads |")
    print("|---|---|---|---|---|---|---|")
    measured = {}
    for name, (local, remote, sizes) in MODELS.items():
        here = [per_update(local(*sizes, **HOW, n_threads=n).fit(X)) for n in (1, 2)]
        there = []
        for n in (1, 2, 4):
            with tempfile.TemporaryDirectory() as folder, cluster(n, folder) as c, Client(c):
                there.append(per_update(remote(*sizes, **HOW).fit(rows)))
        measured[name] = here, there
        times = " | ".join(f"{1e3 * t:.0f} ms" for t in [*here, *there])
        print(f"| {name} | {times} | {there[1] / here[1]:.2f} |", flush=True)
    n_parameters = {
        "RARBM, K=190": N_PATTERNS * (N_VISIBLE + N_HIDDEN) + N_VISIBLE + N_HIDDEN,
        "RBM": N_VISIBLE * N_HIDDEN + N_VISIBLE + N_HIDDEN,
    }
    latency, bandwidth = messages()
    for name, (here, there) in measured.items():
        how = there[0] / BATCH, 4 * n_parameters[name], bandwidth, latency
        expected = seconds_of_update(BATCH, 2, *how)
        # Two threads of one machine get in each other's way, wherever they are.
        beside = expected + here[1] - here[0] / 2
        print(
            f"{name}, two workers: {1e3 * expected:.0f} ms by the sum of its parts, "
            f"{1e3 * beside:.0f} ms on one machine, {1e3 * there[1]:.0f} ms measured"
        )
    plot({name: there[0] / BATCH for name, (_, there) in measured.items()}, n_parameters)


class Echo:
    """Sends back what it is sent."""

    def __init__(self):
        self.worker = get_worker()

    async def back(self, values):
        return values

    async def times(self, other, size, n):
        """Seconds of a message there and back, each time."""
        values, seconds = np.zeros(size // 4, dtype=np.float32), []
        for _ in range(n):
            start = time.perf_counter()
            await other.back(values)
            seconds.append(time.perf_counter() - start)
        return seconds


def messages():
    """Latency and bandwidth between two workers, as in the tree."""
    with tempfile.TemporaryDirectory() as folder, cluster(2, folder) as c, Client(c) as client:
        a, b = (
            client.submit(Echo, actor=True, pure=False, workers=[w]).result()
            for w in client.nthreads()
        )
        seconds = {}
        for size in (40, 2_900_000, 9_400_000):
            seconds[size] = np.median(a.times(b, size, 30).result()) / 2
            print(f"a message of {size:,} bytes: {1e3 * seconds[size]:.2f} ms each way")
    return seconds[40], 9_400_000 / (seconds[9_400_000] - seconds[40])


def seconds_of_update(n_rows, n_workers, row, n_bytes, bandwidth, latency):
    """The model of the first lines."""
    levels, below = np.floor(np.log2(n_workers)), min(2, n_workers - 1)
    return row * n_rows / n_workers + 2 * levels * (below * n_bytes / bandwidth + latency)


def plot(seconds_a_row, n_parameters):
    """Speed-up over one worker by the number of workers, on a network of 10 Gbit/s."""
    bandwidth, latency = 1.25e9, 1e-3
    workers = 2 ** np.arange(11)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained", sharey=True)
    print("| model | rows | " + " | ".join(f"{p} workers" for p in workers[::2]) + " |")
    for name, row in seconds_a_row.items():
        for ax, (title, rows) in zip(
            axes,
            {
                "8,000 rows an update": np.full(workers.size, BATCH),
                "8,000 rows a worker and update": BATCH * workers,
            }.items(),
            strict=True,
        ):
            how = row, 4 * n_parameters[name], bandwidth, latency
            seconds = np.array(
                [seconds_of_update(n, p, *how) for n, p in zip(rows, workers, strict=True)]
            )
            gain = row * rows / seconds
            ax.plot(workers, gain, label=name)
            ax.set(title=title, xlabel="workers", xscale="log", yscale="log")
            print(f"| {name} | {title} | " + " | ".join(f"{g:.1f}" for g in gain[::2]) + " |")
    for ax in axes:
        ax.plot(workers, workers, ":", color="gray", label="as many times as workers")
    axes[0].set_ylabel("rows a second, against one worker")
    axes[0].legend()
    figure.savefig("dask_costs.png", dpi=120)
    print("wrote dask_costs.png")


# --- batches ----------------------------------------------------------------------------------


def batches(data_home=None):
    """Test nats of MNIST after equal epochs and after equal seconds, by the batch size."""
    X = fetch_mnist(data_home).data
    train, test = X[:60_000], X[60_000:]
    print("| rows a batch | epochs | updates | seconds | test nats | error |")
    print("|---|---|---|---|---|---|")
    for batch_size, epochs in ((100, 5), (400, 5), (400, 10), (1600, 10), (1600, 20), (6400, 20)):
        model = RARBM(
            500, 190, batch_size=batch_size, max_iter=epochs, random_state=0, binarize=0.5
        ).fit(train)
        log_z = model.log_partition(tol=0.3, max_sweeps=4000)
        nats = -model.free_energy(test).mean() - log_z.value
        print(
            f"| {batch_size} | {epochs} | {model.history_['n_updates'][-1]} | "
            f"{model.history_['seconds'][-1]:.0f} | {nats:.1f} | {log_z.error:.1f}"
            f"{'' if log_z.is_trusted else ', not trusted'} |",
            flush=True,
        )


# --- memory -----------------------------------------------------------------------------------


def peak():
    """The largest resident memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def block(start, stop):
    """Rows as a test makes them."""
    rng = np.random.default_rng(start)
    return (rng.random((stop - start, N_VISIBLE)) < 0.2).astype(np.uint8)


def memory(gigabytes=4.0, n_workers=2):
    """Peaks above start-up of the client and of workers that fit rows from disk."""
    import zarr

    n_rows, in_block = int(gigabytes * 1e9 / N_VISIBLE), 32_000
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        path = str(Path(folder) / "rows.zarr")
        stored = zarr.create_array(
            path, shape=(n_rows, N_VISIBLE), chunks=(in_block, N_VISIBLE), dtype="u1",
            compressors=None,
        )  # fmt: skip
        for start in range(0, n_rows, in_block):
            stop = min(start + in_block, n_rows)
            stored[start:stop] = block(start, stop)
        with cluster(n_workers, folder) as c, Client(c) as client:
            model = DaskRARBM(
                256, 64, blocks_at_once=2 * n_workers, max_iter=1, batch_size=8000,
                random_state=0, negative_phase="pcd",
            )  # fmt: skip
            # Compiled, imported, and run once.
            model.fit(da.from_array(block(0, 16_000), chunks=(4000, -1)))
            before = {"client": peak(), **client.run(peak)}
            start = time.perf_counter()
            model.fit(da.from_zarr(path))
            seconds = time.perf_counter() - start
            after = {"client": peak(), **client.run(peak)}
    print(f"{n_rows:,} rows, {gigabytes:g} GB, an epoch in {seconds:.0f} s")
    for name, value in after.items():
        print(f"{name}: {before[name]:.0f} MB at start-up, {value - before[name]:+.0f} MB at most")


def main():
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"updates": updates, "memory": memory}
    parser.add_argument("part", nargs="?", default="updates", choices=[*parts, "batches"])
    parser.add_argument("--data-home", metavar="PATH", help="folder that holds mnist/")
    chosen = parser.parse_args()
    if chosen.part == "batches":
        batches(chosen.data_home)
    else:
        parts[chosen.part]()


if __name__ == "__main__":
    main()
