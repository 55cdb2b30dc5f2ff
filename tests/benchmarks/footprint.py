"""What a fit costs beside arithmetic: compilation, start-up and memory, each in a new process.

python tests/benchmarks/footprint.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

START = """
import time
start = time.process_time()
import numpy as np
from sklearn_rapid import DBM, RARBM, RBM
X = np.random.default_rng(0).random((200, 64)) > 0.5
R = np.random.default_rng(0).normal(size=(200, 8))
print(f"import {time.process_time() - start:.2f} s, more than a second one takes:")
uses = {
    "RBM": lambda: RBM(64, max_iter=1).fit(X),
    "then its score": lambda: RBM(64, max_iter=1).fit(X).score(X),
    "then RARBM": lambda: RARBM(64, 16, max_iter=1).fit(X),
    "then real columns": lambda: RBM(16, visible="gaussian", max_iter=1).fit(R),
    "then DBM": lambda: DBM((64, 16), max_iter=1).fit(X),
}
for name, use in uses.items():
    seconds = []
    for _ in range(2):
        before = time.process_time()
        use()
        seconds.append(time.process_time() - before)
    print(f"    {name}: {seconds[0] - seconds[1]:.1f} s")
"""

MEMORY = """
import resource
import numpy as np
from sklearn_rapid import RARBM, RBM
from sklearn_rapid.negative_phase import PatternInducedCorrelations
X = np.random.default_rng(0).integers(0, 2, (60_000, 784), dtype=np.uint8)
now = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
before = now()
model = {model}.fit(X)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{{peak - before:.0f}} MB over the {{X.nbytes / 2**20:.0f}} MB of data and what is imported")
"""

MODELS = {
    "RARBM, defaults": "RARBM(max_iter=1, random_state=0)",
    "RBM, H=500": "RBM(500, max_iter=1, random_state=0)",
    "RARBM, H=3000 K=190, batch 8000, from patterns": (
        "RARBM(3000, 190, batch_size=8000, max_iter=1, random_state=0, "
        "negative_phase=PatternInducedCorrelations(1, persistent=False))"
    ),
}


def run(program, **environment):
    """What a program prints in a process of its own."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main():
    """Start with an empty and a full cache of compiled code; then memory (Linux only).

    Seconds are those of the processor.
    """
    with tempfile.TemporaryDirectory() as folder:
        for which in ("nothing compiled yet", "later processes", "later processes"):
            print(f"{which}: {run(START, NUMBA_CACHE_DIR=folder)}")
    for name, model in MODELS.items():
        print(f"{name}: {run(MEMORY.format(model=model))}")


if __name__ == "__main__":
    main()
