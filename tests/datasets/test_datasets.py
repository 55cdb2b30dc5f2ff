import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_rapid.datasets import (
    _mnist,
    fetch_mnist,
    make_bars,
    make_bars_and_stripes,
    train_test_split_by_negation,
)

NAMES = {
    ("train", 3): "train-images-idx3-ubyte",
    ("train", 1): "train-labels-idx1-ubyte",
    ("t10k", 3): "t10k-images-idx3-ubyte",
    ("t10k", 1): "t10k-labels-idx1-ubyte",
}


def rows(X):
    return {tuple(row) for row in X.tolist()}


def idx(values, type_code=8):
    """Write an array of bytes in the IDX format."""
    lengths = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return bytes([0, 0, type_code, values.ndim]) + lengths + values.astype(np.uint8).tobytes()


@pytest.fixture
def digits():
    """Five train and three test images with their labels."""
    rng = np.random.default_rng(0)
    return {
        (split, n_dim): rng.integers(0, high, (n, 28, 28)[:n_dim], dtype=np.uint8)
        for split, n in (("train", 5), ("t10k", 3))
        for n_dim, high in ((3, 256), (1, 10))
    }


@pytest.fixture
def data_home(tmp_path, digits, monkeypatch):
    """A data_home with plain IDX files, from which nothing is ever downloaded."""

    def no_download(*args, **kwargs):
        raise AssertionError("fetch_openml was called")

    monkeypatch.setattr(_mnist, "fetch_openml", no_download)
    monkeypatch.setattr(_mnist, "_N_IMAGES", {"train": 5, "t10k": 3})
    (tmp_path / "mnist").mkdir()
    for key, name in NAMES.items():
        (tmp_path / "mnist" / name).write_bytes(idx(digits[key]))
    return tmp_path


@pytest.mark.parametrize("side", [2, 3, 4])
def test_bars_are_all_vertical_bars_but_the_uniform_images(side):
    X = make_bars(side)
    images = X.reshape(-1, side, side)
    assert X.dtype == np.uint8
    assert len(X) == len(rows(X)) == 2**side - 2
    assert np.all(images == images[:, :1, :])
    assert rows(X) & {(0,) * side**2, (1,) * side**2} == set()
    np.testing.assert_array_equal(X[::-1], 1 - X)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_bars_and_stripes_hold_each_image_once(side):
    X = make_bars_and_stripes(side)
    bars = make_bars(side)
    stripes = bars.reshape(-1, side, side).transpose(0, 2, 1).reshape(-1, side**2)
    assert len(X) == 2 * (2**side - 2)
    assert len(rows(X)) == len(X)
    assert rows(X) == rows(bars) | rows(stripes)


def test_bars_and_stripes_count_of_the_paper():
    assert make_bars_and_stripes(12).shape == (8188, 144)


@pytest.mark.parametrize("make", [make_bars, make_bars_and_stripes])
def test_spin_units(make):
    spins = make(3, units="spin")
    assert spins.dtype == np.int8
    np.testing.assert_array_equal(spins, 2 * make(3).astype(int) - 1)


@pytest.mark.parametrize("make", [make_bars, make_bars_and_stripes])
@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"side": 1}, ValueError, "from 2 to 20, got 1"),
        ({"side": 21}, ValueError, "from 2 to 20, got 21"),
        ({"side": 4.0}, TypeError, "an integer, got 4.0"),
        ({"side": True}, TypeError, "an integer, got True"),
        ({"units": "ising"}, ValueError, "got 'ising'"),
    ],
)
def test_bars_refuse_bad_parameters(make, parameters, error, message):
    with pytest.raises(error, match=message):
        make(**parameters)


@pytest.mark.parametrize("units", ["binary", "spin"])
@pytest.mark.parametrize("seed", range(5))
def test_split_keeps_negatives_and_duplicates_together(units, seed):
    X = make_bars(4, units=units)
    X = np.concatenate([X, X[:3]])
    X_train, X_test = train_test_split_by_negation(X, test_size=6, random_state=seed)
    negated = 1 - X_test if units == "binary" else -X_test
    assert not rows(X_train) & (rows(X_test) | rows(negated))
    assert len(X_test) in (5, 6)
    assert X_train.dtype == X_test.dtype == X.dtype
    both = np.concatenate([X_train, X_test])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(X, axis=0))
    assert sorted(both.tolist()) == sorted(X.tolist())


@pytest.mark.parametrize(
    ("test_size", "n_test"), [(0.25, 4), (0.5, 7 - 1), (2, 2), (3, 2), (12, 12)]
)
def test_split_sizes(test_size, n_test):
    # The 14 bars are 7 pairs, so that an odd number is rounded down.
    X_train, X_test = train_test_split_by_negation(
        make_bars(4), test_size=test_size, random_state=0
    )
    assert (len(X_train), len(X_test)) == (14 - n_test, n_test)


def test_split_is_reproducible_and_varies_with_the_seed():
    X = make_bars(6)
    first, again, other = (
        train_test_split_by_negation(X, random_state=seed)[1] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert rows(first) != rows(other)


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_split_takes_other_dtypes(dtype):
    X_train, X_test = train_test_split_by_negation(make_bars(4).astype(dtype), random_state=0)
    assert X_train.dtype == X_test.dtype == dtype


@pytest.mark.parametrize(
    ("test_size", "error", "message"),
    [
        (0.0, ValueError, r"\(0, 1\), got 0.0"),
        (1.0, ValueError, r"\(0, 1\), got 1.0"),
        (float("nan"), ValueError, r"\(0, 1\), got nan"),
        (0.99, ValueError, "wanted 1 to 13"),
        (0, ValueError, "wanted 1 to 13"),
        (14, ValueError, "wanted 1 to 13"),
        (1, ValueError, "test_size=1 is 1 of 14 rows, wanted at least 2"),
        (True, TypeError, "got True"),
        ("half", TypeError, "got 'half'"),
        (None, TypeError, "got None"),
    ],
)
def test_split_refuses_bad_sizes(test_size, error, message):
    with pytest.raises(error, match=message):
        train_test_split_by_negation(make_bars(4), test_size=test_size)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[0, 1], [0.5, 1]], "got 0.5 in row 1, column 0"),
        ([[0, 1], [-1, 1]], "got 0 in row 0, column 0"),
        ([[0, 255], [0, 0]], "got 255 in row 0, column 1"),
        ([[0, np.nan], [0, 1]], "NaN"),
        ([0, 1], "2D"),
        ([[0, 1]], "minimum of 2"),
    ],
)
def test_split_refuses_other_values(X, message):
    with pytest.raises(ValueError, match=message):
        train_test_split_by_negation(X)


def test_split_refuses_sparse():
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        train_test_split_by_negation(csr_array(make_bars(4)))


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_from_idx_files(data_home, digits, dot, zipped):
    for name in NAMES.values():
        path = data_home / "mnist" / name
        content = path.read_bytes()
        path.unlink()
        path = path.with_name(name.replace("-idx", f"{dot}idx") + (".gz" if zipped else ""))
        path.write_bytes(gzip.compress(content) if zipped else content)

    mnist = fetch_mnist(data_home, download_if_missing=False)
    images = np.concatenate([digits["train", 3], digits["t10k", 3]])
    np.testing.assert_array_equal(mnist.data, images.reshape(8, 784))
    np.testing.assert_array_equal(mnist.target, [*digits["train", 1], *digits["t10k", 1]])
    assert mnist.data.dtype == np.uint8
    assert mnist.data.flags.writeable
    assert mnist.target.dtype == np.int64
    assert len(mnist.feature_names) == 784
    assert "MNIST" in mnist.DESCR

    data, target = fetch_mnist(str(data_home), return_X_y=True)
    np.testing.assert_array_equal(data, mnist.data)
    np.testing.assert_array_equal(target, mnist.target)


def test_mnist_data_home_from_the_environment(data_home, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(data_home))
    assert fetch_mnist().data.shape == (8, 784)


def idx_header(type_code, *lengths):
    return bytes([0, 0, type_code, len(lengths)]) + b"".join(n.to_bytes(4, "big") for n in lengths)


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        (("train", 3), b"", "got the magic number '', wanted '00 00 08 03'"),
        (("train", 3), b"\x1f\x8b\x08\x00", "got the magic number '1f 8b 08 00'"),
        (("train", 3), idx(np.zeros((5, 28, 28)), 13), "got the magic number '00 00 0d 03'"),
        (("t10k", 1), idx(np.zeros((3, 1))), "'00 00 08 02', wanted '00 00 08 01'"),
        (("train", 3), idx_header(8, 5, 28, 28)[:9], "got 9 bytes, wanted a header of 16"),
        (("train", 3), idx(np.zeros((5, 28, 28)))[:-1], "got 3919 bytes of values, wanted 3920"),
        (("train", 1), idx(np.zeros(5)) + b"\0", "got 6 bytes of values or more, wanted 5"),
        (
            ("t10k", 3),
            idx_header(8, *3 * [2**32 - 1]),
            r"says \(4294967295, .*wanted \(3, 28, 28\)",
        ),
        (("t10k", 3), idx(np.zeros((3, 28, 27))), r"says \(3, 28, 27\), wanted \(3, 28, 28\)"),
        (("t10k", 3), idx(np.zeros((2, 28, 28))), r"says \(2, 28, 28\), wanted \(3, 28, 28\)"),
        (("t10k", 1), idx(np.zeros(2)), r"got a header that says \(2,\), wanted \(3,\)"),
        (("t10k", 1), idx(np.array([0, 10, 9])), r"got the label 10, wanted labels in 0\.\.9"),
    ],
)
def test_mnist_refuses_corrupt_files(data_home, key, content, message):
    (data_home / "mnist" / NAMES[key]).write_bytes(content)
    with pytest.raises(ValueError, match=f"{NAMES[key]}: .*{message}"):
        fetch_mnist(data_home)


@pytest.mark.parametrize("damage", ["not gzip", "truncated", "flipped", "checksum"])
def test_mnist_refuses_corrupt_gzip(data_home, damage):
    path = data_home / "mnist" / NAMES["train", 3]
    content = path.read_bytes()
    path.unlink()
    zipped = gzip.compress(content)
    damaged = {
        "not gzip": content,
        "truncated": zipped[:-100],
        "flipped": zipped[:10] + b"\xff\xff\xff" + zipped[13:],
        "checksum": zipped[:-8] + bytes(4) + zipped[-4:],
    }[damage]
    path.with_name(path.name + ".gz").write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"{path.name}\.gz: got .*wanted a whole gzip file"):
        fetch_mnist(data_home)


def peak_of_refusal(action, message):
    """Bytes that an action takes before it raises a ValueError."""
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        action()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_mnist_reads_no_more_than_it_has(data_home):
    """A file of 0.1 MB that would be decompressed to 100 MB."""
    path = data_home / "mnist" / NAMES["train", 3]
    bomb = path.with_name(path.name + ".gz")
    with gzip.open(bomb, "wb") as file:
        file.write(path.read_bytes())
        for _ in range(100):
            file.write(bytes(10**6))
    path.unlink()
    assert bomb.stat().st_size < 200_000
    message = f"{bomb.name}: got {5 * 784 + 1} bytes of values or more, wanted {5 * 784}"
    assert peak_of_refusal(lambda: fetch_mnist(data_home), message) < 1e6


def test_mnist_of_fewer_images_is_refused(data_home, monkeypatch):
    """Seven consistent images and labels are not MNIST."""
    monkeypatch.undo()
    message = r"train-images.*says \(5, 28, 28\), wanted \(60000, 28, 28\) as of MNIST"
    with pytest.raises(ValueError, match=message):
        fetch_mnist(data_home, download_if_missing=False)


@pytest.mark.parametrize("shapes", [((2, 784), (2,)), ((8, 783), (8,)), ((8, 784), (7,))])
def test_mnist_of_another_shape_from_openml_is_refused(tmp_path, monkeypatch, shapes):
    monkeypatch.setattr(_mnist, "_N_IMAGES", {"train": 5, "t10k": 3})
    monkeypatch.setattr(_mnist, "fetch_openml", lambda *a, **k: tuple(map(np.zeros, shapes)))
    with pytest.raises(ValueError, match=r"OpenML: got .*wanted \(8, 784\) and \(8,\)"):
        fetch_mnist(tmp_path)


def test_mnist_missing_file_without_download(data_home):
    (data_home / "mnist" / NAMES["t10k", 1]).unlink()
    with pytest.raises(OSError, match=f"Data not found .*got .*{NAMES['t10k', 3]}"):
        fetch_mnist(data_home, download_if_missing=False)


@pytest.mark.parametrize("has_pandas", [False, True])
def test_mnist_from_openml(tmp_path, monkeypatch, has_pandas):
    calls = []

    def fake_fetch_openml(name, **parameters):
        calls.append({"name": name, **parameters})
        return np.full((2, 784), 255.0), np.array(["5", "0"], dtype=object)

    monkeypatch.setattr(_mnist, "fetch_openml", fake_fetch_openml)
    monkeypatch.setattr(_mnist, "find_spec", lambda name: name if has_pandas else None)
    monkeypatch.setattr(_mnist, "_N_IMAGES", {"train": 1, "t10k": 1})
    mnist = fetch_mnist(tmp_path)

    (call,) = calls
    assert call == {
        "name": "mnist_784",
        "version": 1,
        "data_home": str(tmp_path),
        "as_frame": False,
        "return_X_y": True,
        "parser": "pandas" if has_pandas else "liac-arff",
    }
    assert mnist.data.dtype == np.uint8
    assert np.all(mnist.data == 255)
    assert mnist.target.dtype == np.int64
    assert mnist.target.tolist() == [5, 0]


def real_data_home():
    """Return a data_home that holds MNIST's files, or None."""
    folders = [
        os.environ.get("SKLEARN_RAPID_MNIST"),
        Path(__file__).parents[3] / "shared" / "data",
        os.environ.get("SCIKIT_LEARN_DATA"),
        Path("~/scikit_learn_data").expanduser(),
    ]
    for folder in folders:
        if folder and all(any(Path(folder, "mnist").glob(f"{s}-images*")) for s, _ in NAMES):
            return folder
    return None


@pytest.mark.slow
@pytest.mark.skipif(real_data_home() is None, reason="MNIST's files are not here")
def test_mnist_as_published():
    mnist = fetch_mnist(real_data_home(), download_if_missing=False)
    assert mnist.data.shape == (70000, 784)
    # The mean and standard deviation of the train set that everybody normalises with.
    assert round(mnist.data[:60000].mean() / 255, 4) == 0.1307
    assert round(mnist.data[:60000].std() / 255, 4) == 0.3081
    assert mnist.target[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.target[60000:60010].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(mnist.target[60000:]).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
