"""The sets of the density benchmark: their files, and models of them that can be enumerated."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.datasets import _density, fetch_density_benchmark

PARTS = ("train", "valid", "test")
SHAPES = {"train": (7, 5), "valid": (3, 5), "test": (4, 5)}


def real_density_home():
    """A data home that holds the published files, or None."""
    folders = [Path(__file__).parents[3] / "shared" / "data", os.environ.get("SCIKIT_LEARN_DATA")]
    for folder in folders:
        if folder and Path(folder, "density").is_dir():
            return folder
    return None


needs_files = pytest.mark.skipif(
    real_density_home() is None, reason="the benchmark's files are not here"
)


def text_of(X):
    return "".join(",".join(map(str, row)) + "\n" for row in X.tolist()).encode()


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return {part: rng.integers(2, size=shape, dtype=np.uint8) for part, shape in SHAPES.items()}


@pytest.fixture
def data_home(tmp_path, sets, monkeypatch):
    """A data home with a set "mine", from which nothing is ever downloaded."""

    def no_download(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(_density, "fetch_file", no_download)
    (tmp_path / "density" / "mine").mkdir(parents=True)
    for part, X in sets.items():
        (tmp_path / "density" / "mine" / f"mine.{part}.data").write_bytes(text_of(X))
    return tmp_path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_reads_what_is_there(data_home, sets, zipped, newline):
    for part, X in sets.items():
        path = data_home / "density" / "mine" / f"mine.{part}.data"
        content = text_of(X).replace(b"\n", newline)
        path.unlink()
        path = path.with_name(path.name + ".gz") if zipped else path
        path.write_bytes(gzip.compress(content) if zipped else content)
    got = fetch_density_benchmark("mine", data_home)
    for part, X in sets.items():
        np.testing.assert_array_equal(got[part], X)
        assert got[part].dtype == np.uint8
        assert got[part].flags.writeable
    assert got.name == "mine"
    assert "Lowd" in got.source


def test_downloads_what_is_missing(data_home, sets, monkeypatch):
    """Only that, and to where it is found the next time."""
    urls = []

    def fake_fetch_file(url, folder, local_filename):
        urls.append(url)
        path = Path(folder) / local_filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text_of(sets["test"]))
        return path

    monkeypatch.setattr(_density, "fetch_file", fake_fetch_file)
    folder = data_home / "density" / "adult"
    folder.mkdir()
    for part in ("train", "valid"):
        (folder / f"adult.{part}.data").write_bytes(text_of(sets[part]))
    for _ in range(2):
        got = fetch_density_benchmark("adult", data_home)
        np.testing.assert_array_equal(got.test, sets["test"])
    (url,) = urls
    assert url.endswith("/master/datasets/adult/adult.test.data")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mine", "nltcs"])
def test_reads_no_more_than_there_can_be(data_home, monkeypatch, name):
    """A file of 0.1 MB that would be decompressed to 100 MB."""
    monkeypatch.setattr(_density, "_LARGEST_FILE", 10**6)
    folder = data_home / "density" / name
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        (folder / f"{name}.{part}.data").unlink(missing_ok=True)
        with gzip.open(folder / f"{name}.{part}.data.gz", "wb") as file:
            for _ in range(100):
                file.write(b"0,1\n" * 250_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"train\.data\.gz: got more than \d+ bytes"):
        fetch_density_benchmark(name, data_home)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def test_says_what_is_missing(data_home):
    with pytest.raises(ValueError, match=r"name must be one of .*'nltcs'.* got 'nope'"):
        fetch_density_benchmark("nope", data_home)
    with pytest.raises(OSError, match=r"wanted \['nltcs.train.data\[.gz\]', .*in .*nltcs"):
        fetch_density_benchmark("nltcs", data_home, download_if_missing=False)
    with pytest.raises(OSError, match=r"nltcs.train.data cannot be downloaded .*no network.*gz in"):
        fetch_density_benchmark("nltcs", data_home)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no rows"),
        (b"\n \n", "got no rows"),
        (b"0,1,0,1,0\n0,1,0\n", "got 3 values in row 1, wanted 5"),
        (b"0,1,0,1,\n0,1,0,1,\n", "got 4 values in row 0"),
        (b"0,1,2,1,0\n", "got b'0,1,2,1,0'"),
        (b"0,1,?,1,0\n", r"got b'0,1,\?,1,0'"),
        (b"0;1;0;1;0\n", "got b'0;1;0;1;0'"),
        (b"0,1,0\n1,0,0\n", "got 3 columns, wanted 5"),
    ],
)
def test_refuses_damaged_files(data_home, content, message):
    (data_home / "density" / "mine" / "mine.valid.data").write_bytes(content)
    with pytest.raises(ValueError, match=rf"mine\.valid\.data: {message}"):
        fetch_density_benchmark("mine", data_home)


def test_refuses_damaged_gzip(data_home):
    path = data_home / "density" / "mine" / "mine.test.data"
    content = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_name(path.name + ".gz").write_bytes(content[:-4])
    with pytest.raises(ValueError, match=r"mine\.test\.data\.gz: got .*wanted a whole gzip file"):
        fetch_density_benchmark("mine", data_home)


def test_refuses_a_known_set_with_rows_lost(data_home):
    folder = data_home / "density" / "nltcs"
    folder.mkdir()
    X = np.zeros((16181, 16), dtype=int)
    for part, n_rows in zip(PARTS, (16181, 2157, 3235), strict=True):
        (folder / f"nltcs.{part}.data").write_bytes(text_of(X[:n_rows]))
    with pytest.raises(ValueError, match=r"nltcs\.test\.data: got 3235 rows, wanted 3236"):
        fetch_density_benchmark("nltcs", data_home)


@needs_files
@pytest.mark.parametrize("name", sorted(_density._SHAPES))
def test_as_published(name):
    """Shapes are checked by the loader. Density of ones: arranger1044/DEBD's table."""
    benchmark = fetch_density_benchmark(name, real_density_home(), download_if_missing=False)
    density = {"accidents": 0.291, "bbc": 0.078, "dna": 0.253, "jester": 0.608}
    density |= {"mushrooms": 0.187, "nips": 0.367, "nltcs": 0.332, "plants": 0.180}
    rows = np.concatenate([benchmark[part] for part in PARTS])
    assert abs(rows.mean() - density[name]) < 0.001


# --- log Z of models that can be enumerated -------------------------------------------------


@pytest.mark.slow
@needs_files
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["biases", "no biases"])
@pytest.mark.parametrize("kind", ["dense", "patterns"])
@pytest.mark.parametrize("name", ["mushrooms", "plants"])
def test_tempering_is_within_its_error_of_exact(name, kind, fit_intercept):
    """Trained models with 20 hidden units. P(false alarm) 1e-3: Student's t of 23 degrees."""
    X = fetch_density_benchmark(name, real_density_home()).train[:2000]
    how = {"max_iter": 100, "fit_intercept": fit_intercept, "random_state": 0}
    model = RBM(20, **how) if kind == "dense" else RARBM(20, 16, **how)
    model.fit(X)
    exact = model.log_partition("exact").value
    z = model.log_partition("tempering", max_sweeps=4000, random_state=1)
    assert z.is_trusted
    assert abs(z.value - exact) < 3.8 * z.error
    assert z.lower - 3.8 * z.error < exact < z.upper + 3.8 * z.error
