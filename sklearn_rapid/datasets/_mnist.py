"""Fetch MNIST's handwritten digits, from local files or OpenML."""

import math
import os
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, get_data_home
from sklearn.utils import Bunch

from sklearn_rapid.datasets._files import read_bytes

# Images of each published set.
_N_IMAGES = {"train": 60000, "t10k": 10000}
_SIDE = 28

_MNIST_DESCR = """\
MNIST: handwritten digits

70000 grey images of 28 x 28 pixels, each a row of 784 values in 0..255 (0 is the background), and
the digit 0..9 that each shows. The first 60000 rows are the published training set, the last 10000
the published test set, in the published order.

LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86(11), 2278-2324 (1998).
"""


def fetch_mnist(
    data_home: str | os.PathLike | None = None,
    *,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[NDArray, NDArray]:
    """Load the MNIST handwritten digits from local IDX files, or from OpenML.

    The four published files (``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``) are read from ``data_home/mnist`` if
    they are all there, plain or with ``.gz``, and also under names with a dot as in
    ``train-images.idx3-ubyte``. If not, `sklearn.datasets.fetch_openml` downloads ``mnist_784``
    once and keeps it under `data_home`.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder for data sets. None is scikit-learn's: the environment variable
        ``SCIKIT_LEARN_DATA``, else ``~/scikit_learn_data``.
    download_if_missing : bool, default=True
        If False, raise an OSError where a file is missing instead of turning to OpenML.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    mnist : :class:`~sklearn.utils.Bunch`, or tuple (data, target) if `return_X_y`
        ``data``, uint8 of shape (70000, 784): grey values 0 to 255, pixels in row-major order; the
        first 60000 rows are the published training set, the last 10000 the published test set.
        ``target``, int64 of shape (70000,): digits 0 to 9. ``feature_names``, list of str:
        "pixel1" to "pixel784". ``DESCR``, str: a description.

    Raises
    ------
    OSError
        If a file is missing and `download_if_missing` is False, or if the download fails.
    ValueError
        If a file is corrupt or is not MNIST's: the error names the file and the damage.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86(11), 2278-2324 (1998).

    Examples
    --------
    >>> from sklearn_rapid.datasets import fetch_mnist
    >>> mnist = fetch_mnist()  # doctest: +SKIP
    >>> X_train, X_test = mnist.data[:60000], mnist.data[60000:]  # doctest: +SKIP
    """
    data_home = get_data_home(data_home)
    folder = Path(data_home) / "mnist"
    paths = {
        (split, n_dim): _find_idx(folder, f"{split}-{kind}", n_dim)
        for split in _N_IMAGES
        for kind, n_dim in (("images", 3), ("labels", 1))
    }
    if None not in paths.values():
        splits = [
            _read_split(paths[split, 3], paths[split, 1], n) for split, n in _N_IMAGES.items()
        ]
        data, target = (np.concatenate(parts) for parts in zip(*splits, strict=True))
    elif download_if_missing:
        data, target = fetch_openml(
            "mnist_784",
            version=1,
            data_home=data_home,
            as_frame=False,
            return_X_y=True,
            # The default parser needs pandas, which is no dependency of this package.
            parser="pandas" if find_spec("pandas") else "liac-arff",
        )
        wanted = (sum(_N_IMAGES.values()), _SIDE**2)
        if data.shape != wanted or target.shape != wanted[:1]:
            raise ValueError(
                f"mnist_784 of OpenML: got data and target of {data.shape} and {target.shape}, "
                f"wanted {wanted} and {wanted[:1]}"
            )
    else:
        raise OSError(
            f"Data not found and `download_if_missing` is False: wanted the four IDX files in "
            f"{folder}, got {[path.name for path in paths.values() if path]}"
        )

    data, target = data.astype(np.uint8, copy=False), target.astype(np.int64)
    if return_X_y:
        return data, target
    feature_names = [f"pixel{i}" for i in range(1, data.shape[1] + 1)]
    return Bunch(data=data, target=target, feature_names=feature_names, DESCR=_MNIST_DESCR)


def _find_idx(folder: Path, stem: str, n_dim: int) -> Path | None:
    """Return the path of an IDX file under one of its usual names, or None."""
    names = (f"{stem}{dot}idx{n_dim}-ubyte{gz}" for dot in "-." for gz in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_split(images_path: Path, labels_path: Path, n_images: int) -> tuple[NDArray, NDArray]:
    """Return images (n, 784) and labels (n,), both uint8."""
    images = _read_idx(images_path, (n_images, _SIDE, _SIDE))
    labels = _read_idx(labels_path, (n_images,))
    if labels.max(initial=0) > 9:
        raise ValueError(f"{labels_path}: got the label {labels.max()}, wanted labels in 0..9")
    return images.reshape(n_images, _SIDE**2), labels


def _read_idx(path: Path, shape: tuple[int, ...]) -> NDArray:
    """Return the array of unsigned bytes in an IDX file, which must be of that shape."""
    n_dim, n_values = len(shape), math.prod(shape)
    n_header = 4 + 4 * n_dim
    largest = n_header + n_values
    content = read_bytes(path, largest)

    # An IDX file: two zero bytes, the type (8: unsigned byte), the number of dimensions, the length
    # of each as a big-endian 32-bit integer, then the values with the last index running fastest.
    magic, wanted = content[:4], bytes([0, 0, 8, n_dim])
    if magic != wanted:
        got = f"got the magic number '{magic.hex(' ')}', wanted '{wanted.hex(' ')}'"
        raise ValueError(f"{path}: {got} (IDX, unsigned bytes, {n_dim} dimensions)")
    if len(content) < n_header:
        raise ValueError(f"{path}: got {len(content)} bytes, wanted a header of {n_header}")
    found = struct.unpack(f">{n_dim}I", content[4:n_header])
    if found != shape:
        raise ValueError(f"{path}: got a header that says {found}, wanted {shape} as of MNIST")
    if len(content) - n_header != n_values:
        got = f"{len(content) - n_header} bytes of values" + " or more" * (len(content) > largest)
        raise ValueError(f"{path}: got {got}, wanted {n_values} for the shape {shape}")
    return np.frombuffer(content[n_header:], dtype=np.uint8).reshape(shape)
