"""Compiled functions without a place to keep them, and with damaged or unwritable caches."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_rapid

PACKAGE = Path(sklearn_rapid.__file__).parent

# Small functions, so that little is compiled.
NAMES = ["sign", "spins_of", "add_scaled", "shrink"]
USE = f"""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from sklearn_rapid.backends import get_backend
    backend = get_backend("numba")
    signs = backend.sign(np.array([-2.0, 0.0, 3.0], dtype=np.float32))
    signs += backend.spins_of(np.array([True, True, False]), "float32")
    backend.add_scaled(signs, signs, 2.0)
    backend.shrink(signs, 1.0, 1.0, 0.0)
assert signs.tolist() == [0.0, 5.0, 0.0]
from sklearn_rapid.backends.compiled import linear
print(sum(sum(getattr(linear, name).stats.cache_hits.values()) for name in {NAMES}))
for w in caught:
    print(w.category.__name__, w.message)
"""
# Files can be made, but nothing can be written to them: as on a full disk. (SciPy 1.13 writes one
# as it is imported.)
FULL_DISK = "import resource, joblib, sklearn\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"


def new_process(code=USE, package=PACKAGE, options=(), **environment):
    """What a new process has printed."""
    path = os.pathsep.join([str(package.parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=package.parent,
    )
    assert done.returncode == 0, done.stderr
    return done


def run(*args, **kwargs):
    """How many functions came from the cache, and warnings, of a new process."""
    hits, *warned = new_process(*args, **kwargs).stdout.splitlines()
    return int(hits), warned


@pytest.mark.slow
def test_that_functions_are_compiled_is_said_once(tmp_path):
    """To whom has set up nothing, also where warnings are errors; not of what is kept."""
    where = {"NUMBA_CACHE_DIR": str(tmp_path)}
    strict = ["-W", "error::UserWarning", "-W", "error::RuntimeWarning"]
    first, second = (new_process(options=strict, **where) for _ in range(2))
    (line,) = first.stderr.splitlines()
    assert line.startswith("sklearn_rapid: compiling")
    assert second.stderr == ""
    quiet = "import logging; logging.getLogger('sklearn_rapid').setLevel('ERROR')\n"
    assert new_process(quiet + USE, NUMBA_CACHE_DIR=str(tmp_path / "other")).stderr == ""


@pytest.mark.slow
def test_where_nothing_can_be_kept_functions_are_compiled_all_the_same(tmp_path):
    """The package's folder, the home and the cache's folder are all of no use."""
    copy = tmp_path / "sklearn_rapid"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "backends" / "compiled" / "__pycache__").touch()
    no_folder = tmp_path / "file"
    no_folder.touch()
    where = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"), str(no_folder / "x"))
    hits, warned = run(package=copy, **where)
    assert hits == 0
    (warning,) = warned
    assert warning.startswith("RuntimeWarning") and "NUMBA_CACHE_DIR" in warning


@pytest.mark.slow
def test_a_damaged_cache_is_named_and_replaced(tmp_path):
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == (0, [])
    files = {name: {} for name in NAMES}
    for name in NAMES:
        for kind in ("nbi", "nbc"):  # Numba's index and data
            (files[name][kind],) = tmp_path.glob(f"*/linear.{name}-*.{kind}")
    files["sign"]["nbi"].write_bytes(b"")
    files["spins_of"]["nbc"].write_bytes(b"")
    for file in (files["add_scaled"]["nbi"], files["shrink"]["nbc"]):
        file.write_bytes(file.read_bytes()[:-20])
    hits, warned = run(NUMBA_CACHE_DIR=str(tmp_path))
    assert (hits, len(warned)) == (0, 4)
    for warning, name in zip(warned, NAMES, strict=True):
        assert warning.startswith("RuntimeWarning")
        assert str(files[name]["nbi"]).removesuffix(".nbi") in warning
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == (4, [])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_full_disk_is_a_warning(tmp_path):
    hits, warned = run(FULL_DISK + USE, NUMBA_CACHE_DIR=str(tmp_path))
    assert hits == 0
    (warning,) = warned
    assert warning.startswith("RuntimeWarning") and str(tmp_path) in warning
