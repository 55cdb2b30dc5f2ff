"""Fetch the binary data sets on which density estimators are compared."""

import os
from pathlib import Path
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_file, get_data_home
from sklearn.utils import Bunch

from sklearn_rapid.datasets._files import read_bytes

_PARTS = ("train", "valid", "test")
_URL = (
    "https://raw.githubusercontent.com/UCLA-StarAI/Density-Estimation-Datasets/master/datasets/"
    "{name}/{name}.{part}.data"
)
# Columns, and rows of each part, of sets whose shapes are known.
_SHAPES = {
    "accidents": (111, (12758, 1700, 2551)),
    "bbc": (1058, (1670, 225, 330)),
    "dna": (180, (1600, 400, 1186)),
    "jester": (100, (9000, 1000, 4116)),
    "mushrooms": (112, (2000, 500, 5624)),
    "nips": (500, (400, 100, 1240)),
    "nltcs": (16, (16181, 2157, 3236)),
    "plants": (69, (17412, 2321, 3482)),
}
# Most bytes of a file of unknown shape: ten times those of the sets above.
_LARGEST_FILE = 2**28
_OTHER_NAMES = (
    *("ad", "adult", "baudio", "bnetflix", "book", "c20ng", "connect4", "cr52", "cwebkb", "kdd"),
    *("kosarek", "moviereview", "msnbc", "msweb", "ocr_letters", "pumsb_star", "rcv1", "tmovie"),
    *("tretail", "voting"),
)
_SOURCE = """\
github.com/UCLA-StarAI/Density-Estimation-Datasets; splits of Lowd and Davis (ICDM 2010), Van Haaren
and Davis (AAAI 2012), Larochelle and Murray (AISTATS 2011) or Bekker et al. (NIPS 2015)"""


def fetch_density_benchmark(
    name: str, data_home: str | os.PathLike | None = None, *, download_if_missing: bool = True
) -> Bunch:
    """Load a set of the benchmark of binary density estimation, in its published splits.

    Fit on `train`, choose on `valid`, and report the mean log-likelihood of `test` in nats. The
    three files are read from ``data_home/density/NAME/NAME.PART.data``, plain or with ``.gz``: rows
    of zeros and ones separated by commas. Missing files are downloaded and kept.

    Parameters
    ----------
    name : str
        The set: "accidents", "ad", "adult", "baudio" (audio), "bbc", "bnetflix" (Netflix),
        "book", "c20ng", "connect4", "cr52", "cwebkb", "dna", "jester", "kdd", "kosarek",
        "moviereview", "msnbc", "msweb", "mushrooms", "nips", "nltcs", "ocr_letters", "plants",
        "pumsb_star", "rcv1", "tmovie" (EachMovie), "tretail", "voting"; or a set of your own with
        its files there.
    data_home : str, path-like or None, default=None
        Folder for data sets. None is scikit-learn's: the environment variable
        ``SCIKIT_LEARN_DATA``, else ``~/scikit_learn_data``.
    download_if_missing : bool, default=True
        If False, raise an OSError where a file is missing.

    Returns
    -------
    benchmark : :class:`~sklearn.utils.Bunch`
        ``train``, ``valid``, ``test``, uint8 arrays of shape (n_rows, n_columns) in {0, 1};
        ``name``, str; ``source``, str: the origin of the set.

    Raises
    ------
    OSError
        If a file is missing and may not or cannot be downloaded.
    ValueError
        If the name is unknown, or a file is damaged: the error names the file and the damage.

    References
    ----------
    Lowd and Davis (2010), "Learning Markov network structure with decision trees", ICDM.

    Van Haaren and Davis (2012), "Markov network structure learning: a randomized feature
    generation approach", AAAI.

    Larochelle and Murray (2011), "The neural autoregressive distribution estimator", AISTATS.

    Examples
    --------
    >>> from sklearn_rapid.datasets import fetch_density_benchmark
    >>> nltcs = fetch_density_benchmark("nltcs")  # doctest: +SKIP
    >>> nltcs.train.shape, nltcs.valid.shape, nltcs.test.shape  # doctest: +SKIP
    ((16181, 16), (2157, 16), (3236, 16))
    """
    folder = Path(get_data_home(data_home)) / "density" / str(name)
    paths = {part: _find(folder, name, part) for part in _PARTS}
    missing = [part for part, path in paths.items() if path is None]
    if missing and name not in (*_SHAPES, *_OTHER_NAMES):
        raise ValueError(
            f"name must be one of {sorted((*_SHAPES, *_OTHER_NAMES))}, or that of a set with its "
            f"files {[f'{name}.{part}.data' for part in missing]} in {folder}; got {name!r}"
        )
    if missing and not download_if_missing:
        raise OSError(
            f"Data not found and `download_if_missing` is False: wanted "
            f"{[f'{name}.{part}.data[.gz]' for part in missing]} in {folder}"
        )
    for part in missing:
        paths[part] = _download(folder, name, part)
    limits = _largest_files(name)
    parts = {part: _read_rows(path, limits[part]) for part, path in paths.items()}
    _check_shapes(name, parts, paths)
    return Bunch(**parts, name=name, source=_SOURCE)


def _find(folder: Path, name: str, part: str) -> Path | None:
    paths = (folder / f"{name}.{part}.data{gz}" for gz in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _download(folder: Path, name: str, part: str) -> Path:
    url = _URL.format(name=name, part=part)
    try:
        return fetch_file(url, folder=folder, local_filename=f"{name}.{part}.data")
    except URLError as error:
        raise OSError(
            f"{url} cannot be downloaded ({error}). Wanted: a connection, or the file as "
            f"{name}.{part}.data or {name}.{part}.data.gz in {folder}"
        ) from error


def _largest_files(name: str) -> dict[str, int]:
    """Return the most bytes of each part: a digit and a comma a value, and two to end each line."""
    if name not in _SHAPES:
        return dict.fromkeys(_PARTS, _LARGEST_FILE)
    width, n_rows = _SHAPES[name]
    return {part: (2 * width + 2) * n for part, n in zip(_PARTS, n_rows, strict=True)}


def _read_rows(path: Path, largest: int) -> NDArray:
    """Return the rows of a file in which digits and commas alternate."""
    content = read_bytes(path, largest)
    if len(content) > largest:
        raise ValueError(f"{path}: got more than {largest} bytes, wanted no more")
    lines = content.split()
    if not lines:
        raise ValueError(f"{path}: got no rows, wanted rows of 0 and 1 with commas in between")
    length = len(lines[0])
    for number, line in enumerate(lines):
        if len(line) != length or length % 2 == 0:
            raise ValueError(
                f"{path}: got {(len(line) + 1) // 2} values in row {number}, wanted "
                f"{(length + 1) // 2} as in the first, each 0 or 1, with commas in between"
            )
    characters = np.frombuffer(b"".join(lines), dtype=np.uint8).reshape(len(lines), length)
    values = characters[:, ::2] - ord("0")
    wrong = np.argwhere(values > 1)
    if len(wrong) or (characters[:, 1::2] != ord(",")).any():
        row = int(wrong[0, 0]) if len(wrong) else 0
        raise ValueError(f"{path}: got {lines[row][:40]!r}..., wanted 0 and 1 with commas between")
    return values


def _check_shapes(name: str, parts: dict[str, NDArray], paths: dict[str, Path]) -> None:
    """Raise ValueError for a part that lacks rows or is from another set."""
    width, n_rows = _SHAPES.get(name, (parts["train"].shape[1], (None, None, None)))
    for (part, rows), wanted in zip(parts.items(), n_rows, strict=True):
        if rows.shape[1] != width:
            raise ValueError(f"{paths[part]}: got {rows.shape[1]} columns, wanted {width}")
        if wanted is not None and len(rows) != wanted:
            raise ValueError(f"{paths[part]}: got {len(rows)} rows, wanted {wanted}")
