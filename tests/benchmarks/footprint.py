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
start = time.perf_counter()
import numpy as np
from sklearn_rapid import RARBM
X = np.random.default_rng(0).random((200, 64)) > 0.5
imported = time.perf_counter()
model = RARBM(64, 16, max_iter=1).fit(X)
fitted = time.perf_counter()
RARBM(64, 16, max_iter=1).fit(X)
again = time.perf_counter() - fitted
first = fitted - imported
print(f"import {imported - start:.2f} s, first fit {first - again:.2f} s more than a second one")
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
    """Start with an empty and a full cache of compiled code; then memory (Linux only)."""
    with tempfile.TemporaryDirectory() as folder:
        for which in ("nothing compiled yet", "later processes", "later processes"):
            print(f"{which}: {run(START, NUMBA_CACHE_DIR=folder)}")
    for name, model in MODELS.items():
        print(f"{name}: {run(MEMORY.format(model=model))}")


if __name__ == "__main__":
    main()
