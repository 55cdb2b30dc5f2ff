"""The plan of the package: rooms, floors and doors, read from the source.

A folder at the top is a room, and holds code. A file at the top is a door: a documented import
path whose code lives in a room. Data flows one way: a room imports from rooms on floors below it.
A new file needs no entry here; a new room does.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

import sklearn_rapid

PACKAGE = Path(sklearn_rapid.__file__).parent

# Rooms, floor by floor, from the ground up.
FLOORS = [
    ["backends"],
    ["checks"],
    ["machine", "tables"],
    ["training"],
    ["estimators"],
    ["tasks"],
    ["dask", "diagnostics", "persistence"],
    [""],
]
# Imports nothing of the rest, and nothing of the rest imports it.
APART = "datasets"
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
DOORS = {
    "callbacks", "displays", "negative_phase", "onnx", "optimizers", "partition", "positive_phase",
    "tempering",
}  # fmt: skip
MOST_ARROWS, MOST_FILES, MOST_LINES = 50, 14, 400
ONLY_IMPORTERS = {
    "numba": {"backends.compiled.compiler", "backends.compiled.fused.barrier"},
    "cupy": {"backends.gpu.backend"},
    "dask": {"dask._lazy", "dask._rows"},
    "distributed": {f"dask.{name}" for name in ("_actor", "_cluster", "_log_partition", "_rows")},
    "matplotlib": {"diagnostics.displays._axes"},
    "modin": {"tables.frames.schema"},
    "narwhals": {
        f"tables.frames.{name}"
        for name in ("arrow_frames", "library", "narwhals_column", "polars_frames", "schema")
    },
    "pandas": {"tables.frames.pandas_dtypes", "tables.frames.pandas_frames"},
    "polars": {"tables.frames.polars_frames"},
    "pyarrow": {"tables.frames.arrow_frames"},
    "safetensors": {"persistence.models"},
    "skl2onnx": {"persistence.onnx"},
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
    for n_parts in range(len(parts), 0, -1):
        if ".".join(parts[1:n_parts]) in MODULES:
            return ".".join(parts[1:n_parts])
    return None


def room_of(module):
    return module.split(".")[0]


def is_private_of_sklearn(name):
    parts = name.split(".")
    dunder = parts[-1].startswith("__") and parts[-1].endswith("__")
    return parts[0] == "sklearn" and not dunder and any(p.startswith("_") for p in parts)


def violations(source, module, is_package=False):
    """What in a module's imports the plan forbids."""
    found = []
    room = room_of(module)
    for name in imported_names(source, module, is_package):
        imported = own_module(name)
        if imported is not None and room_of(imported) != room and room not in DOORS:
            target = room_of(imported)
            if target in DOORS:
                found.append(f"{module} imports {name}, which is a door")
            elif target == APART or not FLOOR_OF[target] < FLOOR_OF.get(room, -1):
                found.append(f"{module} imports {name}, which is not on a floor below it")
        if module != "checks.compat" and is_private_of_sklearn(name):
            found.append(f"{module} imports {name}, private to scikit-learn")
        if name == "functools.cached_property":
            found.append(f"{module} imports {name}, locked below Python 3.12: see checks.cached")
        if module not in ONLY_IMPORTERS.get(name.split(".")[0], {module}):
            found.append(f"{module} imports {name}, left to others")
    return found


@cache
def imports():
    """Which modules each module imports, itself left out."""
    found = {}
    for module, path in MODULES.items():
        names = imported_names(path.read_text(), module, path.name == "__init__.py")
        found[module] = {own_module(name) for name in names} - {None, module}
    return found


def circle(arrows):
    """Modules that import one another in a circle; none if there is none."""
    done, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        path.append(module)
        for other in sorted(arrows.get(module, ())):
            if found := visit(other):
                return found
        path.pop()
        done.add(module)
        return []

    for module in sorted(arrows):
        if found := visit(module):
            return found
    return []


# --- rooms and doors ----------------------------------------------------------------------------


def test_folders_are_rooms_and_files_are_doors():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert folders == {*FLOOR_OF, APART} - {""}
    assert files == DOORS


@pytest.mark.parametrize("door", [*sorted(DOORS), ""])
def test_doors_hold_no_code(door):
    """A docstring, imports of the package, and what they are."""
    body = ast.parse(MODULES[door].read_text()).body
    assert isinstance(body[0].value, ast.Constant)
    assert isinstance(body[-1], ast.Assign) and body[-1].targets[0].id == "__all__"
    for node in body[1:-1]:
        assert isinstance(node, ast.ImportFrom)
        assert node.module.startswith("sklearn_rapid.")
    exported = {alias.name for node in body[1:-1] for alias in node.names}
    assert exported == set(ast.literal_eval(body[-1].value))


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_what_is_below(module):
    path = MODULES[module]
    assert violations(path.read_text(), module, path.name == "__init__.py") == []


def test_no_module_imports_itself_by_way_of_others():
    """A package's `__init__` gathers its modules, and none of these imports it."""
    assert circle(imports()) == []


def test_few_arrows():
    arrows = {
        (room_of(module), room_of(other))
        for module, others in imports().items()
        for other in others
        if room_of(module) != room_of(other)
    }
    assert len(arrows) <= MOST_ARROWS


def test_folders_are_small():
    folders = {path.parent for path in MODULES.values()}
    assert [d for d in folders if len([*d.glob("*.py")]) > MOST_FILES] == []


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module):
    n_lines = len(MODULES[module].read_text().splitlines())
    assert n_lines <= MOST_LINES


def test_rooms_say_what_is_inside():
    for module, path in MODULES.items():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), module


# --- the tests themselves -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("machine.couplings", "from sklearn_rapid.training.trainer import Trainer"),
        ("machine.couplings", "import sklearn_rapid.training.trainer"),
        ("machine.couplings", "from sklearn_rapid.training import trainer"),
        ("machine.couplings", "from ..training import trainer"),
        ("machine.couplings", "from ..training.trainer import Trainer"),
        ("machine.couplings", "def f():\n    from sklearn_rapid.training.trainer import Trainer"),
        ("machine.couplings", "if TYPE_CHECKING:\n    import sklearn_rapid.training as t"),
        ("machine.couplings", "from sklearn_rapid import RBM"),
        ("machine.couplings", "from sklearn_rapid.tables.spins import SpinEncoder"),
        ("training.trainer", "from sklearn_rapid.negative_phase import Exact"),
        ("training.trainer", "from sklearn_rapid.partition import LogPartition"),
        ("backends.reference.arrays", "from ...machine.couplings import Couplings"),
        ("estimators.rbm", "from sklearn_rapid.datasets import make_bars"),
        ("datasets._bars", "from sklearn_rapid.backends import get_backend"),
        ("training.trainer", "from sklearn.utils._param_validation import Interval"),
        ("training.trainer", "from sklearn.base import _fit_context"),
        ("training.trainer", "import sklearn.linear_model._logistic"),
        ("machine.machine", "from functools import cached_property"),
        ("machine.machine", "import cupy as cp"),
        ("backends.compiled.backend", "from cupy import ndarray"),
        ("backends.reference.arrays", "from numba import njit"),
        ("diagnostics._autocorrelation", "import matplotlib.pyplot as plt"),
    ],
)
def test_violations_are_caught(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("machine.machine", "from sklearn_rapid.machine.couplings import Couplings"),
        ("machine.machine", "from .couplings import Couplings"),
        ("negative_phase", "from sklearn_rapid.training.negative_phase import Exact"),
        ("backends.compiled.compiler", "from numba import njit"),
        ("backends.gpu.backend", "import cupy"),
        ("checks.compat", "from sklearn.utils._param_validation import Interval"),
        ("training.fit.fit", "from sklearn.utils import check_random_state"),
        ("datasets", "from sklearn import __version__"),
    ],
)
def test_what_is_allowed_passes(module, source):
    assert violations(source, module) == []


def test_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}
