"""Fitted models in files that run no code: arrays, and JSON that says what they are.

The files are those of safetensors. What a model is made of is a tree of plain values in their
header; whatever else is there, or does not fit together, is refused before anything is computed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.checks.arrays import MOST_SHOWN, shown
from sklearn_rapid.checks.compat import ValidatedParameters, validate_parameters
from sklearn_rapid.checks.version import __version__
from sklearn_rapid.estimators import DBM, RABM, RADBM, RARBM, RBM
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.fitted import (
    COUNT,
    FLOATS,
    LARGEST,
    LARGEST_SCALE,
    Wanted,
    are_floats,
    are_scales,
    check_fitted,
    check_training_state,
    check_wanted,
    checked_sizes,
    is_count,
    is_finite,
    is_number,
)
from sklearn_rapid.estimators.latent import LatentMixin
from sklearn_rapid.machine.tempering import Ladder
from sklearn_rapid.persistence.files import write_whole
from sklearn_rapid.persistence.tree import Tree
from sklearn_rapid.tables.kinds import KINDS
from sklearn_rapid.training import negative_phase, optimizers, positive_phase
from sklearn_rapid.training.chains import Chains, PlainChains, TemperedChains, as_chains
from sklearn_rapid.training.optimizers import is_own_state
from sklearn_rapid.training.state import TrainingState

__all__ = ["load", "save"]

# Entries of the metadata, and the number of the form of the first: another one cannot be read.
KEY, DIGEST, FORMAT = "sklearn_rapid", "digest", 1
MODELS = {cls.__name__: cls for cls in (RBM, RARBM, DBM, RADBM, RABM)}
TREE = Tree(
    [
        *negative_phase.BY_NAME.values(),
        *optimizers.BY_NAME.values(),
        *positive_phase.BY_NAME.values(),
        *(optimizers.Constant, optimizers.ExponentialDecay, optimizers.LinearDecay),
        *(RandomStream, Chains, PlainChains, TemperedChains, Ladder),
    ]
)
# What reading stumbles over where something is of another type than it should be.
OF_WRONG_CONTENT = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
# Characters of a message, and names in it.
LONGEST_MESSAGE, FEW = 400, 3
ARRAYS = {"BOOL", "I8", "U8", "I32", "I64", "F32", "F64"}


def _is_history(value: Any) -> bool:
    """Whether it is columns of numbers, equally long, with that of the epochs among them."""
    if not isinstance(value, dict) or not all(isinstance(c, list) for c in value.values()):
        return False
    n_rows = len(value.get("epoch", []))
    columns = value.values()
    return all(len(column) == n_rows and all(map(is_number, column)) for column in columns)


def _is_kept_log_partition(value: Any) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and isinstance(value[0], bytes) and is_finite(value[1])


def _are_names(value: Any, n_names: int) -> bool:
    is_list = isinstance(value, np.ndarray) and value.dtype == object
    return is_list and value.shape == (n_names,) and all(isinstance(n, str) for n in value)


def _are_codes(value: Any) -> bool:
    """Whether it is the codes of a column, or None for one that has none."""
    is_list = isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim == 1
    return value is None or (is_list and bool(np.isfinite(value).all()))


def _are_parts(value: Any) -> bool:
    """Whether it is kinds with the numbers of their columns."""
    return isinstance(value, list) and all(
        isinstance(part, tuple)
        and len(part) == 2
        and part[0] in KINDS
        and isinstance(part[1], np.ndarray)
        and part[1].dtype == np.int64
        and part[1].ndim == 1
        for part in value
    )


# What a fit leaves beside the arrays of `_fitted_shapes`; of a model. `check_fitted` knows more of
# it, and `check_training_state` of the state.
ATTRIBUTES = {
    "n_features_in_": Wanted("a whole number above zero", lambda value, _: is_count(value, 1)),
    "_training_state": Wanted("a dict", lambda value, _: isinstance(value, dict)),
    "_kept_log_partition": Wanted(
        "a digest and a number", lambda value, _: _is_kept_log_partition(value)
    ),
    "binarize_": Wanted(
        "a finite number, 'sample' or None",
        lambda value, _: value is None or is_finite(value) or value == "sample",
    ),
    "categories_": Wanted(
        "a list with the codes of each column, float64, or None",
        lambda value, model: (
            isinstance(value, list)
            and len(value) == model.n_features_in_
            and all(map(_are_codes, value))
        ),
    ),
    "feature_names_in_": Wanted(
        "a name for each column", lambda value, model: _are_names(value, model.n_features_in_)
    ),
    "hidden_": Wanted("a kind of units", lambda value, _: isinstance(value, str)),
    "history_": Wanted(
        "columns of numbers, all as long as 'epoch'", lambda value, _: _is_history(value)
    ),
    "layer_sizes_": Wanted(
        "a tuple of whole numbers above zero",
        lambda value, _: (
            isinstance(value, tuple) and len(value) > 1 and all(is_count(size, 1) for size in value)
        ),
    ),
    "mean_": Wanted(
        "numbers within ±1e36",
        lambda value, _: are_floats(value, np.shape(value), LARGEST_SCALE),
    ),
    "n_iter_": COUNT,
    "scale_": Wanted(
        "numbers from 1e-36 to 1e36", lambda value, _: are_scales(value, np.shape(value), FLOATS)
    ),
    "visible_": Wanted("pairs of a kind and int64 columns", lambda value, _: _are_parts(value)),
}
# Of the state of training, where it is to be without anybody's own optimizers and phases.
OWN_STATE = {
    "optimizer_state": Wanted(
        "what an optimizer of this package leaves", lambda value, _: is_own_state(value)
    ),
    "chains": Wanted(
        "chains of this package",
        lambda value, _: type(as_chains(value)) in (Chains, PlainChains, TemperedChains),
    ),
}


def save(model: BaseRBM, path: str | os.PathLike) -> None:
    """Write a fitted model to a file from which `load` makes an equal one, without any code.

    All is kept that makes the model what it is, chains and moments of training too: results are
    the same to the bit, and training goes on as it would have. Callbacks are not kept, nor what
    `sklearn_rapid.callbacks.resume` needs of a fit that was cut short. The file is written whole
    or not at all.

    Parameters
    ----------
    model : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    path : str or path
        ``.safetensors`` is usual. What is there is replaced; of a symbolic link, the file that it
        leads to.

    Raises
    ------
    OSError
        If the file cannot be written. What was there before stays.
    NotFittedError
        If there is nothing to write.
    TypeError
        For a model of a class, or with a parameter, that is not this package's own (such as a
        RandomState, or a subclass of a strategy). Pickles hold such models.
    ImportError
        Without safetensors (``pip install "sklearn_rapid[files]"``).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_rapid import RBM, load, save
    >>> from sklearn_rapid.datasets import make_bars
    >>> X = make_bars(3)
    >>> model = RBM(4, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, f"{folder}/model.safetensors")
    ...     again = load(f"{folder}/model.safetensors")
    >>> bool(np.all(again.transform(X) == model.transform(X)))
    True
    """
    numpy_files = _safetensors().numpy
    if type(model) not in MODELS.values():
        raise TypeError(f"save writes models of {', '.join(MODELS)}, got {type(model).__name__}")
    check_is_fitted(model)
    _check_model(model)
    arrays: dict[str, np.ndarray] = {}
    fitted = {name: getattr(model, name) for name in model._fitted_shapes}
    fitted |= {name: vars(model)[name] for name in ATTRIBUTES if name in vars(model)}
    parameters = model.get_params(deep=False)
    if not isinstance(model.visible, str):
        # By plain numbers: names, masks and slices have been resolved.
        parameters["visible"] = [(kind, columns.tolist()) for kind, columns in model.visible_]
    header = {
        "format": FORMAT,
        "version": __version__,
        "class": type(model).__name__,
        "parameters": {k: TREE.written(v, k, {}) for k, v in parameters.items()},
        "attributes": {k: TREE.written(v, k, arrays) for k, v in fitted.items()},
    }
    text = json.dumps(header, allow_nan=False)
    content = numpy_files.save(arrays, {KEY: text, DIGEST: _digest(text, arrays)})
    write_whole(Path(path), [content])


def load(path: str | os.PathLike) -> BaseRBM:
    """Make a model from a file that `save` has written.

    Nothing in the file is run: it may be anybody's. Files of other versions of the package are
    read if their first number is the same; parameters that they do not have yet get their
    defaults. A model that was trained on a GPU loads anywhere (see the parameter `backend`).

    Parameters
    ----------
    path : str or path

    Returns
    -------
    RBM, RARBM, DBM, RADBM or RABM

    Raises
    ------
    ValueError
        If the file is damaged, is not one of `save`, or holds what is not known here. It is
        named, and so is what was found.
    FileNotFoundError
        If there is no file.
    ImportError
        Without safetensors (``pip install "sklearn_rapid[files]"``).

    Examples
    --------
    See `save`.
    """
    safetensors = _safetensors()
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {os.fspath(path)!r}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            header = _checked_header(metadata)
            arrays = _checked_arrays(file, header)
        if metadata.get(DIGEST) != _digest(metadata[KEY], arrays):
            raise ValueError("it is damaged: its digest is not that of what it holds")
        return _model_of(header, arrays)
    except (safetensors.SafetensorError, *OF_WRONG_CONTENT) as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be read as a model: {_cut(error)}") from error


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            'save and load need safetensors: pip install "sklearn_rapid[files]"'
        ) from error
    return safetensors


def _checked_header(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The header of a file of this format, of a version that is known, with a model in it."""
    if KEY not in metadata:
        raise ValueError(f"it has no metadata {KEY!r}: `sklearn_rapid.save` has not written it")
    header = json.loads(metadata[KEY])
    if not isinstance(header, dict):
        raise ValueError("its header is not one of `sklearn_rapid.save`")
    wanted = {"format": int, "version": str, "class": str}
    wanted |= {"parameters": dict, "attributes": dict}
    version = header.get("version")
    if header.get("format") != FORMAT or str(version).split(".")[0] != __version__.split(".")[0]:
        raise ValueError(
            f"it is of version {shown(version)} (format {shown(header.get('format'))}), and this "
            f"is sklearn_rapid {__version__} (format {FORMAT})"
        )
    for name, kind in wanted.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"its header has no {name!r} of type {kind.__name__}")
    if header.keys() != wanted.keys() or header["class"] not in MODELS:
        unknown = [*(header.keys() - wanted.keys()), header["class"]]
        raise ValueError(f"it holds what is not known here: {_listed(unknown)}")
    return header


def _checked_arrays(file: Any, header: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays, looked at before they are read."""
    shapes = {}
    for name in file.keys():
        part = file.get_slice(name)
        if part.get_dtype() not in ARRAYS:
            raise ValueError(f"it holds an array {shown(name)} of type {part.get_dtype()!r}")
        shapes[name] = tuple(part.get_shape())
    cls, attributes = MODELS[header["class"]], header["attributes"]
    found = {}
    for name in cls._fitted_shapes:
        node = attributes.get(name)
        is_array = isinstance(node, dict) and list(node.values()) == [name] and name in shapes
        if not is_array:
            raise ValueError(f"it holds no array {name!r}")
        found[name] = shapes[name][::-1] if "transposed" in node else shapes[name]
    n_features = attributes.get("n_features_in_")
    if not isinstance(n_features, int):
        raise ValueError(f"n_features_in_ must be a whole number, got {shown(n_features)}")
    # How many units stand for categories, and how many rows do not show, `check_fitted` knows.
    has_other_units = "categories_" in attributes or issubclass(cls, LatentMixin)
    known = {} if has_other_units else {"V": n_features}
    checked_sizes(cls._fitted_shapes, found, known)
    return {name: file.get_tensor(name) for name in shapes}


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of a text and of arrays, with their names, types and shapes."""
    digest = sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return f"sha256:{digest.hexdigest()}"


def _model_of(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> BaseRBM:
    """The model, if all that it is made of is known and fits together."""
    cls = MODELS[header["class"]]
    parameters = {k: TREE.read(node, {}) for k, node in header["parameters"].items()}
    unknown = parameters.keys() - cls().get_params(deep=False).keys()
    unknown |= header["attributes"].keys() - {*cls._fitted_shapes, *ATTRIBUTES}
    if unknown:
        raise ValueError(f"it holds what is not known here: {_listed(unknown)}")
    model = cls(**parameters)
    try:
        validate_parameters(model)
        for value in parameters.values():
            if isinstance(value, ValidatedParameters):
                value.validate()
    except ValueError as error:
        wanted, got, value = str(error).partition(" Got ")
        raise ValueError(f"{wanted}{got}{value[:MOST_SHOWN]}") from None
    attributes = {k: TREE.read(node, arrays) for k, node in header["attributes"].items()}
    attributes["_training_state"] = _whole_state(attributes.get("_training_state"))
    model.__dict__.update(attributes)
    _check_model(model)
    return model


def _whole_state(rest: Any) -> dict[str, Any]:
    """What training has left, with defaults for what an older version did not have."""
    known = {f.name: f.default for f in fields(TrainingState) if f.name != "machine"}
    if not isinstance(rest, dict) or rest.keys() - known.keys():
        raise ValueError("it holds a state of training that is not one of this version")
    return {**known, "stream": None, **rest}


def _check_model(model: BaseRBM) -> None:
    """Raise ValueError unless all that a model is made of is what it has to be."""
    check_wanted(vars(model), ATTRIBUTES, model)
    check_fitted(model)
    for name in model._fitted_shapes:
        largest = np.abs(getattr(model, name)).max()
        if largest > LARGEST:
            raise ValueError(f"{name} must be within ±{LARGEST:g}, got {largest:g}")
    check_wanted(model._training_state, OWN_STATE, model)
    check_training_state(model._training_state, model._machine(get_backend("numpy")))


def _listed(names: Iterable[str]) -> str:
    """The first few of some names."""
    names = sorted(names)
    return ", ".join(map(shown, names[:FEW])) + (", ..." if len(names) > FEW else "")


def _cut(error: Exception) -> str:
    """What an error says, without the whole of a long text that it may quote from the file."""
    text = str(error)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."
