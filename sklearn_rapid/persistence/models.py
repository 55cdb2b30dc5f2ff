"""Save fitted models to safetensors files and load them without running code.

The header of a file holds the parameters and attributes as JSON. Unknown content, or parts that
do not fit together, are refused before anything is computed.
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

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.checks.arrays import MOST_SHOWN, describe
from sklearn_rapid.checks.compat import ValidatedParameters, validate_parameters
from sklearn_rapid.checks.version import __version__
from sklearn_rapid.estimators import DBM, RABM, RADBM, RARBM, RBM
from sklearn_rapid.estimators.base import BaseRBM
from sklearn_rapid.estimators.fitted import check_shapes
from sklearn_rapid.estimators.methods.likelihood import LowerBoundMixin
from sklearn_rapid.machine.tempering import Ladder
from sklearn_rapid.persistence.attributes import ATTRIBUTES, check_model
from sklearn_rapid.persistence.columns import plain_frame
from sklearn_rapid.persistence.files import write_whole
from sklearn_rapid.persistence.tree import DTYPES, Tree
from sklearn_rapid.tables.frames import FrameSchema
from sklearn_rapid.tables.kinds import with_column_numbers
from sklearn_rapid.tables.settings import with_lists
from sklearn_rapid.training import negative_phase, optimizers, positive_phase
from sklearn_rapid.training.chains import Chains, PlainChains, TemperedChains
from sklearn_rapid.training.state import TrainingState

__all__ = ["load", "save"]

# Entries of a file's metadata, and the format of the first: another format cannot be read.
HEADER, DIGEST, FORMAT = "sklearn_rapid", "digest", 1
HEADER_TYPES = {"format": int, "version": str, "class": str, "parameters": dict, "attributes": dict}
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
# Errors of reading values of a wrong type.
READING_ERRORS = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
# Of an error message: characters, and names in it.
LONGEST_MESSAGE, MOST_NAMES = 400, 3


def save(model: BaseRBM, path: str | os.PathLike) -> None:
    """Write a fitted model to a file from which `load` makes an equal one, without running code.

    The file holds parameters, fitted attributes, and the chains and moments of training: results
    are the same to the bit, and training goes on as it would have. It holds no callbacks, and no
    state for `sklearn_rapid.callbacks.resume`. It is written whole or not at all.

    Parameters
    ----------
    model : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    path : str or path
        ``.safetensors`` is usual. A file that is there is replaced; a symbolic link is followed.

    Raises
    ------
    OSError
        If the file cannot be written. What was there before stays.
    NotFittedError
        If the model is not fitted.
    TypeError
        For a model of a class, or with a parameter, that is not this package's own (such as a
        RandomState, or a subclass of a strategy). Pickles hold such models.
    ValueError
        For a column of a frame with values that are no strings or numbers, such as intervals.
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
    safetensors = _import_safetensors()
    if type(model) not in MODELS.values():
        raise TypeError(f"save writes models of {', '.join(MODELS)}, got {type(model).__name__}")
    check_is_fitted(model)
    frame = {"frame_": plain_frame(model)} if "frame_" in vars(model) else {}
    check_model(model)
    arrays: dict[str, np.ndarray] = {}
    fitted = {name: getattr(model, name) for name in model._fitted_shapes}
    fitted |= {name: vars(model)[name] for name in ATTRIBUTES if name in vars(model)} | frame
    parameters = {**model.get_params(deep=False), **_plain_parameters(model)}
    header = {
        "format": FORMAT,
        "version": __version__,
        "class": type(model).__name__,
        "parameters": {k: TREE.write(v, k, {}) for k, v in parameters.items()},
        "attributes": {k: TREE.write(v, k, arrays) for k, v in fitted.items()},
    }
    text = json.dumps(header, allow_nan=False)
    content = safetensors.numpy.save(arrays, {HEADER: text, DIGEST: _digest(text, arrays)})
    write_whole(Path(path), [content])


def load(path: str | os.PathLike) -> BaseRBM:
    """Read a model from a file that `save` has written.

    Nothing in the file is run, so that files of strangers are safe to read. Files of other versions
    of the package are read if their first number is the same; parameters missing there get their
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
        If the file is damaged, is not one of `save`, or has unknown content. The message names
        the file and the content.
    FileNotFoundError
        If there is no file.
    ImportError
        Without safetensors (``pip install "sklearn_rapid[files]"``).

    Examples
    --------
    See `save`.
    """
    safetensors = _import_safetensors()
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {os.fspath(path)!r}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            header = _read_header(metadata)
            arrays = _read_arrays(file, header)
        if metadata.get(DIGEST) != _digest(metadata[HEADER], arrays):
            raise ValueError("it is damaged: its digest is not that of what it holds")
        return _build_model(header, arrays)
    except (safetensors.SafetensorError, *READING_ERRORS) as error:
        # An error may quote a long text of the file.
        text = str(error)
        text = text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."
        raise ValueError(f"{os.fspath(path)!r} cannot be read as a model: {text}") from error


def _plain_parameters(model: BaseRBM) -> dict[str, Any]:
    """Return parameters of columns without slices, masks and arrays."""
    found, names = {}, vars(model).get("feature_names_in_")
    if "visible" in model.get_params(deep=False):
        found["visible"] = with_column_numbers(model.visible, model.n_features_in_, names)
    if "categories" in model.get_params(deep=False):
        found["categories"] = with_lists(model.categories)
    return found


def _import_safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            'save and load need safetensors: pip install "sklearn_rapid[files]"'
        ) from error
    return safetensors


def _read_header(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Parse the header; ValueError unless it is a model's, of this format and a known version."""
    if HEADER not in metadata:
        raise ValueError(f"it has no metadata {HEADER!r}: `sklearn_rapid.save` has not written it")
    header = json.loads(metadata[HEADER])
    if not isinstance(header, dict):
        raise ValueError("its header is not one of `sklearn_rapid.save`")
    version, number = header.get("version"), header.get("format")
    if number != FORMAT or str(version).split(".")[0] != __version__.split(".")[0]:
        raise ValueError(
            f"it is of version {describe(version)} (format {describe(number)}), and this is "
            f"sklearn_rapid {__version__} (format {FORMAT})"
        )
    for name, kind in HEADER_TYPES.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"its header has no {name!r} of type {kind.__name__}")
    if header.keys() != HEADER_TYPES.keys() or header["class"] not in MODELS:
        unknown = [*(header.keys() - HEADER_TYPES.keys()), header["class"]]
        raise ValueError(f"it holds what is not known here: {_list_names(unknown)}")
    return header


def _read_arrays(file: Any, header: dict[str, Any]) -> dict[str, np.ndarray]:
    """Read the arrays, once their types and shapes have been checked."""
    shapes = {}
    for name in file.keys():
        part = file.get_slice(name)
        if part.get_dtype() not in DTYPES.values():
            raise ValueError(f"it holds an array {describe(name)} of type {part.get_dtype()!r}")
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
        raise ValueError(f"n_features_in_ must be a whole number, got {describe(n_features)}")
    # `check_fitted` knows how many visible units encode categories or are latent.
    has_other_units = {"categories_", "spikes_"} & attributes.keys()
    has_other_units = has_other_units or issubclass(cls, LowerBoundMixin)
    known = {} if has_other_units else {"V": n_features}
    check_shapes(cls._fitted_shapes, found, known)
    return {name: file.get_tensor(name) for name in shapes}


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    """Hash a text and arrays with their names, types and shapes (SHA-256)."""
    digest = sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return f"sha256:{digest.hexdigest()}"


def _build_model(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> BaseRBM:
    """Build the model; ValueError if a part is unknown or does not fit the others."""
    cls = MODELS[header["class"]]
    parameters = {k: TREE.read(node, {}) for k, node in header["parameters"].items()}
    unknown = parameters.keys() - cls().get_params(deep=False).keys()
    unknown |= header["attributes"].keys() - {*cls._fitted_shapes, *ATTRIBUTES}
    if unknown:
        raise ValueError(f"it holds what is not known here: {_list_names(unknown)}")
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
    if "frame_" in attributes:
        attributes["frame_"] = FrameSchema.from_plain(attributes["frame_"])
    attributes["_training_state"] = _complete_state(attributes.get("_training_state"))
    model.__dict__.update(attributes)
    check_model(model)
    return model


def _complete_state(rest: Any) -> dict[str, Any]:
    """Complete a training state with defaults for fields that an older version did not have."""
    known = {f.name: f.default for f in fields(TrainingState) if f.name != "machine"}
    if not isinstance(rest, dict) or rest.keys() - known.keys():
        raise ValueError("it holds a state of training that is not one of this version")
    return {**known, "stream": None, **rest}


def _list_names(names: Iterable[str]) -> str:
    """List the first few names for an error message."""
    names = sorted(names)
    more = ["..."] if len(names) > MOST_NAMES else []
    return ", ".join([*map(describe, names[:MOST_NAMES]), *more])
