"""Data flows one way: which module may import which, read from the source."""

import ast
from pathlib import Path

import pytest

import sklearn_rapid

PACKAGE = Path(sklearn_rapid.__file__).parent

# A module imports only from lines above its own. A new module needs a place here.
ORDER = [
    ["_cached", "_files", "_version", "_warnings"],
    ["backends._random", "backends._threads", "backends._compile"],
    ["backends._other_units", "backends._parties", "backends._units", "backends.stretch"],
    ["backends._affine", "backends._mixed"],
    ["backends._chains", "backends._arguments"],
    ["backends._numpy", "backends._cupy_chains"],
    ["backends._kernels"],
    ["backends._linear", "backends._pipelines", "backends._unit_kernels"],
    ["backends._stretch_rows"],
    ["backends._stretch_steps"],
    ["backends._stretch_buffers"],
    ["backends._stretch_run"],
    ["backends._numba_arrays"],
    ["backends._numba", "backends._cupy"],
    ["backends"],
    ["_compat", "_documentation", "_gaps", "_reading"],
    ["couplings"],
    ["machine"],
    ["bridges", "clamped", "known_states", "tempering"],
    ["basins"],
    ["partition"],
    ["annealing"],
    ["negative_phase._base"],
    ["negative_phase._chains", "negative_phase._exact", "negative_phase._known"],
    ["negative_phase._tempered"],
    ["negative_phase"],
    ["penalties", "positive_phase", "projections"],
    ["optimizers"],
    ["statistics"],
    ["latent_means", "step_length", "visible_scale"],
    ["stretches", "training_state"],
    ["training"],
    ["_data", "_parameters", "_rows"],
    ["_categories", "_columns", "_kinds", "_latent", "_layers"],
    ["_fitted"],
    ["_input", "_likelihood", "_sampling", "_validation"],
    ["_independent", "_progress", "_stream"],
    ["_run"],
    ["_fit"],
    ["_base"],
    ["_rbm"],
    ["_deep"],
    ["_rabm", "_rarbm"],
    ["_dbm"],
    ["_radbm"],
    ["_tree"],
    ["onnx", "persistence"],
    ["callbacks._checkpoint"],
    ["callbacks"],
    ["diagnostics._common"],
    [
        "diagnostics._chains",
        "diagnostics._ladder",
        "diagnostics._landscape",
        "diagnostics._patterns",
        "diagnostics._samples",
    ],
    ["diagnostics"],
    ["displays._axes"],
    ["displays._curves", "displays._images", "displays._ladder"],
    ["displays"],
    [""],
    # After the package itself: what needs Dask is imported by those who name it.
    ["dask._cluster", "dask._lazy", "dask._memory", "dask._shares"],
    ["dask._partition", "dask._shard"],
    ["dask._rows"],
    ["dask._checked", "dask._crew"],
    ["dask._run"],
    ["dask._mixin"],
    ["dask._estimators"],
    ["dask"],
]
# Imports nothing of the rest, and nothing of the rest imports it.
ALONE = [
    ["datasets._files"],
    ["datasets._bars", "datasets._density", "datasets._mnist"],
    ["datasets"],
]
RANK, RANK_ALONE = (
    {name: rank for rank, names in enumerate(order) for name in names} for order in (ORDER, ALONE)
)
ONLY_IMPORTERS = {
    "numba": ["backends._compile", "backends._parties"],
    "cupy": ["backends._cupy"],
    "dask": ["dask._lazy", "dask._rows"],
    "distributed": [
        f"dask.{name}" for name in ("_cluster", "_crew", "_partition", "_rows", "_shard")
    ],
    "matplotlib": ["displays._axes"],
    "safetensors": ["persistence"],
    "skl2onnx": ["onnx"],
}


def module_name(path):
    """The name inside of the package, "" being the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_names(source, module, is_package=False):
    """Full names of what a module imports, wherever in it: `a.b` of `from a import b`."""
    package = ["sklearn_rapid", *module.split(".")] if module else ["sklearn_rapid"]
    if not is_package:
        package = package[:-1]
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
            names += [".".join([*base, alias.name]) for alias in node.names]
    return names


def own_module(name):
    """The module of the package that an imported name is, or is from; None if none is."""
    parts = name.split(".")
    if parts[0] != "sklearn_rapid":
        return None
    known = {*RANK, *RANK_ALONE}
    for n_parts in range(len(parts), 0, -1):
        if ".".join(parts[1:n_parts]) in known:
            return ".".join(parts[1:n_parts])
    return None


def is_private_of_sklearn(name):
    parts = name.split(".")
    dunder = parts[-1].startswith("__") and parts[-1].endswith("__")
    return parts[0] == "sklearn" and not dunder and any(p.startswith("_") for p in parts)


def violations(source, module, is_package=False):
    """What in a module's imports the architecture forbids."""
    found = []
    for name in imported_names(source, module, is_package):
        imported = own_module(name)
        if imported is not None:
            ranks = RANK if module in RANK else RANK_ALONE
            allowed = imported in ranks and ranks[imported] < ranks[module]
            if not allowed:
                found.append(f"{module} imports {name}, which is not above it")
        if module != "_compat" and is_private_of_sklearn(name):
            found.append(f"{module} imports {name}, private to scikit-learn")
        if name == "functools.cached_property":
            found.append(f"{module} imports {name}, locked below Python 3.12: see _cached")
        only_importers = ONLY_IMPORTERS.get(name.split(".")[0], [module])
        if module not in only_importers:
            found.append(f"{module} imports {name}, left to {only_importers}")
    return found


def test_every_module_has_its_place():
    assert set(MODULES) == {*RANK, *RANK_ALONE}


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_what_is_above(module):
    path = MODULES[module]
    assert violations(path.read_text(), module, path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("couplings", "from sklearn_rapid.machine import Machine"),
        ("couplings", "import sklearn_rapid.machine"),
        ("couplings", "from sklearn_rapid import machine"),
        ("couplings", "from . import machine"),
        ("couplings", "from .machine import Machine"),
        ("couplings", "def f():\n    from sklearn_rapid.machine import Machine"),
        ("couplings", "if TYPE_CHECKING:\n    import sklearn_rapid.training as t"),
        ("couplings", "from sklearn_rapid import RBM"),
        ("_likelihood", "from sklearn_rapid._sampling import SamplingMixin"),
        ("backends._numpy", "from ..couplings import Couplings"),
        ("backends._numpy", "from sklearn_rapid.backends import get_backend"),
        ("_rbm", "from sklearn_rapid.datasets import make_bars"),
        ("datasets", "from sklearn_rapid.partition import enumerate_spins"),
        ("training", "from sklearn.utils._param_validation import Interval"),
        ("training", "from sklearn.base import _fit_context"),
        ("training", "import sklearn.linear_model._logistic"),
        ("machine", "from functools import cached_property"),
        ("machine", "import cupy as cp"),
        ("backends._numba", "from cupy import ndarray"),
        ("backends._numpy", "from numba import njit"),
        ("diagnostics._chains", "from sklearn_rapid.diagnostics import singular_values"),
        ("diagnostics._chains", "import matplotlib.pyplot as plt"),
    ],
)
def test_violations_are_caught(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("machine", "from sklearn_rapid.couplings import Couplings"),
        ("machine", "from .couplings import Couplings"),
        ("backends._compile", "from numba import njit"),
        ("backends._kernels", "from ._compile import compiler\nfrom ._random import LANES"),
        ("backends._cupy", "import cupy"),
        ("_compat", "from sklearn.utils._param_validation import Interval"),
        ("_fit", "from sklearn.utils import check_random_state"),
        ("datasets", "from sklearn import __version__"),
    ],
)
def test_what_is_allowed_passes(module, source):
    assert violations(source, module) == []
