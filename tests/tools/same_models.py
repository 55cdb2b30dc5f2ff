"""Check that two versions of the code fit the same models, bit for bit.

    python tests/tools/same_models.py save FOLDER       # with the old code
    python tests/tools/same_models.py compare FOLDER    # with the new code

On one machine, with the same NumPy, SciPy and Numba. Models of every estimator, negative phase,
optimizer and kind of column, with gaps, row weights and sparse rows, on one thread and on two, in
float32 and float64: their parameters, and what methods return, as digests. Files written by `save`
must load too, and give models of the same digests.
"""

from __future__ import annotations

import json
import sys
import warnings
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy import sparse

from sklearn_rapid import DBM, RABM, RADBM, RARBM, RBM, load, save
from sklearn_rapid.training.negative_phase import ParallelTempering, PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD, ExponentialDecay

RNG = np.random.default_rng(0)
BITS = (RNG.random((150, 12)) < np.linspace(0.1, 0.6, 12)).astype(np.int8)
REALS = RNG.normal(size=(150, 5)) * [1, 2, 3, 4, 5] + 7.0
CODES = RNG.integers(3, size=(150, 6))
MIXED = np.hstack([REALS[:, :2], CODES[:, :2], BITS[:, :3]])
GAPS = np.where(RNG.random(BITS.shape) < 0.1, np.nan, BITS)
RECURRING = np.vstack([np.zeros((40, 12), dtype=np.int8), BITS])
TABLES = {
    "bits": (BITS, {}),
    "probabilities": (RNG.random((150, 12)), {}),
    "sparse": (sparse.csr_array(BITS), {}),
    "reals": (REALS, {"visible": "gaussian"}),
    "codes": (CODES, {"visible": "categorical"}),
    "mixed": (
        MIXED,
        {"visible": [("gaussian", [0, 1]), ("categorical", [2, 3]), ("binary", [4, 5, 6])]},
    ),
    "gaps": (GAPS, {}),
    "recurring": (RECURRING, {}),
}
HOW = {"random_state": 0, "max_iter": 6, "batch_size": 20}
RESTRICTED = {"RBM": RBM(6, **HOW), "RARBM": RARBM(6, n_patterns=4, **HOW)}
OTHERS = {
    "DBM": DBM((5, 3), **HOW), "RADBM": RADBM((5, 3), n_patterns=3, **HOW),
    "RABM": RABM(2, n_patterns=4, **HOW),
}  # fmt: skip
SETTINGS = {
    "defaults": {},
    "float64": {"dtype": "float64"},
    "one thread": {"n_threads": 1},
    "two threads": {"n_threads": 2},
    "numpy": {"backend": "numpy"},
    "long": {"max_iter": 40},
    "cd": {"negative_phase": "cd"},
    "pcd": {"negative_phase": "pcd"},
    "exact": {"negative_phase": "exact"},
    "pt": {"negative_phase": ParallelTempering(n_sweeps=2)},
    "adam": {"optimizer": "adam"},
    "momentum": {"optimizer": SGD(0.5), "learning_rate": ExponentialDecay(0.2, 0.7)},
    "penalties": {"l1_penalty": 0.5, "l2_penalty": 0.5},
    "no intercept": {"fit_intercept": False},
    "not centred": {"center": False},
    "early stopping": {"early_stopping": True, "max_iter": 20},
}
OF_PATTERNS = {
    "pid": {"negative_phase": "pid"},
    "pid pure": {"negative_phase": PatternInducedCorrelations(0)},
}


def cases():
    """Names, estimators, tables and weights of rows."""
    weights = np.random.default_rng(1).random(150)
    for name, model in RESTRICTED.items():
        settings = SETTINGS | (OF_PATTERNS if name == "RARBM" else {})
        for setting, how in settings.items():
            yield f"{name}, bits, {setting}", _copy(model, how), BITS, None
        for table, (X, how) in TABLES.items():
            yield f"{name}, {table}", _copy(model, how), X, None
        yield f"{name}, weights", _copy(model, {}), BITS, weights
        yield f"{name}, Gaussian hidden", _copy(model, {"hidden": "gaussian"}), BITS, None
    for name, model in OTHERS.items():
        for setting in ("defaults", "float64", "one thread", "pcd"):
            yield f"{name}, bits, {setting}", _copy(model, SETTINGS[setting]), BITS, None
        yield f"{name}, gaps", _copy(model, {}), GAPS, None


def _copy(model, how):
    return type(model)(**(model.get_params(deep=False) | how))


def arrays_of(model, X):
    """The arrays of a fitted model, and the results of its methods; some refuse some models."""
    found = {k: v for k, v in vars(model).items() if k.endswith("_") and isinstance(v, np.ndarray)}
    calls = {
        "transform": lambda: model.transform(X),
        "score_samples": lambda: model.score_samples(X[:20]),
        "free_energy": lambda: model.free_energy(X[:20]),
        "pseudo_likelihood": lambda: model.pseudo_likelihood(X[:20]),
        "sample": lambda: model.sample(30, random_state=1),
        "reconstruct": lambda: model.reconstruct(X[:20], random_state=1),
        "gibbs": lambda: model.gibbs(X[:20], 3, random_state=1),
        "log_partition": lambda: _numbers(model.log_partition("tempering", random_state=1)),
    }
    for name, call in calls.items():
        try:
            found[name] = np.asarray(call())
        except (ValueError, NotImplementedError, AttributeError, TypeError) as error:
            found[name] = np.array(type(error).__name__)
    return found


def _numbers(estimate):
    return [estimate.value, estimate.error, estimate.n_sweeps, estimate.n_round_trips]


def digests(model, X):
    """A digest for each array."""
    return {name: _digest(a) for name, a in sorted(arrays_of(model, X).items())}


def _digest(a):
    bits = np.ascontiguousarray(a).tobytes()
    return sha256(str((a.dtype, a.shape)).encode() + bits).hexdigest()


def fitted(model, X, weights):
    """The model, with row weights if there are any."""
    return model.fit(X) if weights is None else model.fit(X, sample_weight=weights)


def save_all(folder):
    """Fit, save and note digests."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for i, (name, model, X, weights) in enumerate(cases()):
        found[name] = digests(fitted(model, X, weights), X)
        save(model, folder / f"{i}.safetensors")
    (folder / "digests.json").write_text(json.dumps(found, indent=1))
    print(f"{len(found)} models")


def compare_all(folder):
    """Fit again, load, and name what differs; the exit status is how many models do."""
    before = json.loads((folder / "digests.json").read_text())
    n_different = 0
    for i, (name, model, X, weights) in enumerate(cases()):
        again = digests(fitted(model, X, weights), X)
        loaded = digests(load(folder / f"{i}.safetensors"), X)
        for what, found in (("fit again", again), ("loaded", loaded)):
            keys = before[name].keys() | found.keys()
            different = sorted(k for k in keys if before[name].get(k) != found.get(k))
            if different:
                n_different += 1
                print(f"{name}, {what}: {', '.join(different)}")
    print(f"{len(before)} models, {n_different} differences")
    return n_different


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    command, path = sys.argv[1], Path(sys.argv[2])
    if command == "save":
        save_all(path)
    else:
        sys.exit(min(compare_all(path), 1))
