"""Files of models: nothing is lost, nothing is run, and nothing damaged gets through."""

from __future__ import annotations

import json
import os
import pickle
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import sklearn_rapid
from sklearn_rapid import RABM, RARBM, RBM, load, save
from sklearn_rapid.persistence import models
from sklearn_rapid.training.negative_phase import (
    ContrastiveDivergence,
    ParallelTempering,
    PatternInducedCorrelations,
)
from sklearn_rapid.training.optimizers import SGD, Adam, ExponentialDecay
from sklearn_rapid.training.positive_phase import MeanField

safetensors = pytest.importorskip("safetensors")
OLD = Path(__file__).parent / "files" / "rarbm_0.1.0.safetensors"

rng = np.random.default_rng(0)
X = rng.integers(2, size=(60, 9)).astype(np.uint8)
FITTED = {"n_components": 5, "max_iter": 3, "batch_size": 20, "random_state": 0}
MODELS = {
    "auto": RBM(**FITTED),
    "patterns": RARBM(**FITTED, n_patterns=3, early_stopping=True),
    "adam": RBM(**FITTED, optimizer=Adam(beta1=0.8), negative_phase="pcd", learning_rate=0.1),
    "momentum": RARBM(
        **FITTED,
        n_patterns=3,
        optimizer=SGD(momentum=0.5),
        negative_phase=PatternInducedCorrelations(persistent=True),
        learning_rate=ExponentialDecay(0.3, 0.9),
        fit_intercept=False,
        units="spin",
    ),
    "float64": RBM(
        **FITTED, dtype=np.float64, binarize=None, negative_phase=ContrastiveDivergence(2)
    ),
    "exact": RBM(**FITTED, negative_phase="exact", binarize="sample", warm_start=True),
    "real": RBM(**FITTED, visible="gaussian"),
    "real chains": RARBM(**FITTED, n_patterns=3, visible="gaussian", negative_phase="pcd"),
    "full": RABM(n_patterns=3, max_iter=3, random_state=0, negative_phase="pid"),
    "hidden spins": RABM(2, 3, max_iter=3, random_state=0, positive_phase=MeanField(5)),
    "ladder": RBM(**FITTED, negative_phase=ParallelTempering(n_columns=4, n_rungs=3)),
}


def rows(model):
    return 2.0 * X - 1.0 if model.units == "spin" else X


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def model():
    return deepcopy(MODELS["patterns"]).fit(X)


def written(value):
    """A value as text and bytes, which are equal only where all of it is."""
    arrays = {}
    text = json.dumps(models.TREE.write(value, "", arrays))
    return text, {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


def assert_same(a, b):
    """All that a model does is the same to the bit."""
    data = rows(a)
    assert repr(a.get_params()) == repr(b.get_params())
    # Of a fit that has ended nothing is left to go on with.
    assert vars(a).keys() == {*vars(b), "_unfinished"} and a._unfinished is None
    np.testing.assert_array_equal(a.transform(data), b.transform(data))
    np.testing.assert_array_equal(a.score_samples(data), b.score_samples(data))
    draws = [m.sample(20, random_state=1) for m in (a, b)]
    np.testing.assert_array_equal(*draws)
    np.testing.assert_equal(a.history_, b.history_)
    further = [deepcopy(m).partial_fit(data) for m in (a, b)]
    np.testing.assert_array_equal(further[0].components_, further[1].components_)
    assert written(further[0]._training_state) == written(further[1]._training_state)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_lost(name, path):
    model = deepcopy(MODELS[name])
    model.fit(rows(model))
    log_z = model.log_partition_
    save(model, path)
    again = load(path)
    assert type(again) is type(model)
    assert again._kept_log_partition[1] == log_z
    assert_same(model, again)


def test_names_of_columns_and_a_path_as_text(path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=[f"c{i}" for i in range(9)])
    model = RBM(**FITTED).fit(table)
    save(model, str(path))
    again = load(str(path))
    np.testing.assert_array_equal(again.feature_names_in_, model.feature_names_in_)
    np.testing.assert_array_equal(again.transform(table), model.transform(table))


def test_a_file_of_an_earlier_version():
    """Written by 0.1.0; what it gave then it gives still, up to rounding."""
    model = load(OLD)
    assert (type(model), model.n_components, model.n_patterns) == (RARBM, 5, 3)
    assert isinstance(model.optimizer, Adam)
    assert model.history_["epoch"] == [0, 1, 2]
    expected = json.loads(OLD.with_suffix(".json").read_text())
    bits = np.array(expected["X"], dtype=np.uint8)
    np.testing.assert_allclose(model.score_samples(bits), expected["score_samples"], atol=1e-4)
    np.testing.assert_allclose(model.transform(bits), expected["transform"], atol=1e-5)
    model.partial_fit(bits)


@pytest.mark.parametrize(
    "value",
    [
        np.array(1.5),
        np.zeros((0, 3), dtype=np.float32),
        np.arange(6, dtype=np.int64).reshape(2, 3).T,
        np.arange(12, dtype=np.int8)[::2],
        np.array([True, False]),
    ],
)
def test_arrays_keep_shape_type_and_order(value, path):
    arrays = {}
    node = models.TREE.write(value, "a", arrays)
    safetensors.numpy.save_file(arrays, path)
    again = models.TREE.read(node, safetensors.numpy.load_file(path))
    np.testing.assert_array_equal(again, value, strict=True)
    assert again.flags.f_contiguous or not value.flags.f_contiguous


# --- what is not written ------------------------------------------------------------------


class OwnRBM(RBM):
    pass


class OwnPhase(ContrastiveDivergence):
    pass


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (RBM(2), NotFittedError, "not fitted"),
        (OwnRBM(2).fit(X), TypeError, r"RBM, RARBM, .*, got OwnRBM"),
        (RBM(2, negative_phase=OwnPhase()).fit(X), TypeError, "negative_phase is OwnPhase"),
        (
            RBM(2, random_state=np.random.RandomState(0)).fit(X),
            TypeError,
            "random_state is RandomState",
        ),
        ("model", TypeError, "got str"),
    ],
)
def test_what_cannot_be_written_is_named(model, error, message, path):
    with pytest.raises(error, match=message):
        save(model, path)
    assert not os.listdir(path.parent)


def test_a_disk_that_fills_up_leaves_the_old_file(model, path, monkeypatch):
    save(model, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(model.partial_fit(X), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need rights elsewhere")
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_leads_to_the_file_that_is_written(model, tmp_path, is_there):
    """As open() follows it, and one link after the other."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target, link, second = folder / "target", tmp_path / "link", tmp_path / "second"
    if is_there:
        target.write_bytes(b"before")
    link.symlink_to("elsewhere/target")
    second.symlink_to(link)
    save(model, second)
    assert link.is_symlink() and second.is_symlink() and not target.is_symlink()
    assert os.listdir(folder) == ["target"]
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link", "second"]
    np.testing.assert_array_equal(load(target).components_, model.components_)


@pytest.mark.skipif(os.name != "posix", reason="errors are named otherwise elsewhere")
def test_what_cannot_be_written_to_is_named_as_open_names_it(model, tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "folder").mkdir()
    for name in ("missing/model", "circle", "folder", "x" * 300):
        path = tmp_path / name
        with pytest.raises(OSError) as wanted:
            open(path, "wb")
        with pytest.raises(OSError) as error:
            save(model, path)
        assert type(error.value) is type(wanted.value)
        assert str(error.value) == str(wanted.value)
    assert sorted(os.listdir(tmp_path)) == ["circle", "folder"]


def test_without_safetensors(model, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: save(model, path), lambda: load(path)):
        with pytest.raises(ImportError, match=r"sklearn_rapid\[files\]"):
            call()


# --- damage -------------------------------------------------------------------------------


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load(path)


def test_every_cut_is_noticed(model, path):
    save(model, path)
    content = path.read_bytes()
    for n in np.linspace(0, len(content) - 1, 100).astype(int):
        path.write_bytes(content[:n])
        with pytest.raises(ValueError, match="cannot be read as a model"):
            load(path)


@pytest.mark.parametrize("n_bits", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_noticed(model, path, n_bits):
    save(model, path)
    content = path.read_bytes()
    bits = np.random.default_rng(0).choice(8 * len(content), size=n_bits, replace=False)
    for bit in bits:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read as a model"):
            load(path)


def test_other_files_are_refused(path):
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="has not written it"):
        load(path)
    path.write_bytes(pickle.dumps(RBM(2).fit(X)))
    with pytest.raises(ValueError, match="cannot be read as a model"):
        load(path)


# --- files of somebody who can sign them anew -------------------------------------------------


def forge(path, change):
    """Change header and arrays of a file, and give it the digest that belongs to them."""
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["sklearn_rapid"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    change(header, arrays)
    text = json.dumps(header)
    metadata = {"sklearn_rapid": text, "digest": models._digest(text, arrays)}
    safetensors.numpy.save_file(arrays, path, metadata)


def state(header):
    return header["attributes"]["_training_state"]["dict"]


def ladder(header):
    return state(header)["chains"]["values"]["ladder"]["values"]


def put(name, values):
    """Another array in place of one."""

    def change(header, arrays):
        assert name in arrays
        arrays[name] = np.asarray(values, dtype=arrays[name].dtype)

    return change


LADDER = "_training_state/chains/ladder"
FORGERIES = {
    "a class from elsewhere": (lambda h, a: h.update({"class": "os.system"}), "os.system"),
    "another format": (lambda h, a: h.update(format=2), "format 2"),
    "another major version": (lambda h, a: h.update(version="7.0.0"), "version '7.0.0'"),
    "no parameters": (lambda h, a: h.pop("parameters"), "no 'parameters'"),
    "more in the header": (lambda h, a: h.update(code="import os"), "'code'"),
    "an unknown parameter": (lambda h, a: h["parameters"].update(n_layers=2), "n_layers"),
    "a bad parameter": (lambda h, a: h["parameters"].update(batch_size=-1), "batch_size"),
    "a bad strategy": (
        lambda h, a: h["parameters"].update(optimizer={"class": "SGD", "values": {"momentum": 7}}),
        "momentum",
    ),
    "a strategy from elsewhere": (
        lambda h, a: h["parameters"].update(optimizer={"class": "Popen", "values": {}}),
        "'Popen', which is not known",
    ),
    "a method's name": (lambda h, a: h["attributes"].update(fit=3), "'fit'"),
    "an unknown value": (lambda h, a: state(h).update(n_updates={"eval": "1"}), "eval"),
    "an unknown state": (lambda h, a: state(h).update(further=1), "not one of this version"),
    "no random numbers": (lambda h, a: state(h).pop("stream"), "stream must be .* got None"),
    "a seed that is text": (
        lambda h, a: state(h)["stream"]["values"].update(seed="7"),
        "RandomStream with seed = '7'",
    ),
    "a position without end": (
        lambda h, a: state(h)["stream"]["values"].update(position=2**64),
        "stream must be random numbers: a seed of 64 bits, a position of 62",
    ),
    "a tree without end": (
        lambda h, a: h["attributes"].update(n_iter_=json.loads("[" * 900 + "]" * 900)),
        "n_iter_|recursion",
    ),
    "short biases": (put("intercept_visible_", np.zeros(4)), r"\(4,\) where \(V\)"),
    "no hidden units": (put("intercept_hidden_", np.zeros(0)), r"\(0,\) where \(H\)"),
    "patterns of another width": (put("visible_patterns_", np.zeros((3, 4000))), "V = 9"),
    "other numbers of patterns": (put("hidden_patterns_", np.zeros((2, 5))), "K = 3"),
    "more columns": (lambda h, a: h["attributes"].update(n_features_in_=4000), "V = 4000"),
    "columns that are text": (lambda h, a: h["attributes"].update(n_features_in_="9"), "'9'"),
    "not a number": (put("intercept_hidden_", np.full(5, np.nan)), "NaN or infinity"),
    "infinite patterns": (put("visible_patterns_", np.full((3, 9), np.inf)), "NaN or infinity"),
    "chains of another width": (put(f"{LADDER}/states", np.ones((60, 4))), "states must be"),
    "states that are no spins": (
        lambda h, a: a[f"{LADDER}/states"].fill(3),
        "chains.ladder.states must be a state of the visible units",
    ),
    "short counts": (put(f"{LADDER}/arrivals", np.zeros(1)), "states must be a state"),
    "short origins": (put(f"{LADDER}/origin", np.zeros(2)), "origin must be an int8"),
    "short acceptances": (put(f"{LADDER}/accepted", np.zeros(1)), "accepted must be a float64"),
    "a short base": (put(f"{LADDER}/base", np.zeros(2)), "base must be a field"),
    "falling temperatures": (
        lambda h, a: ladder(h)["betas"]["tuple"].__setitem__(1, -1.0),
        "betas must be numbers that rise from 0 to 1",
    ),
    "a ladder that is none": (
        lambda h, a: state(h)["chains"]["values"].update(ladder=3),
        "chains.ladder must be a ladder of states, got 3",
    ),
    "a lag of many": (put("_training_state/chains/lag", np.zeros(3)), "lag must be one float64"),
    "short offsets": (put("_training_state/visible_offset", np.zeros(2)), "visible_offset must be"),
    "no array": (lambda h, a: a.pop("visible_patterns_"), "no array 'visible_patterns_'"),
    "an array in place of another": (
        lambda h, a: h["attributes"].update(visible_patterns_={"array": "hidden_patterns_"}),
        "no array 'visible_patterns_'",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_are_refused(name, model, path):
    change, message = FORGERIES[name]
    save(model, path)
    forge(path, lambda header, arrays: None)
    load(path)
    forge(path, change)
    with pytest.raises(ValueError, match=f"cannot be read as a model: .*({message})") as error:
        load(path)
    assert len(str(error.value)) < 600


def test_arrays_are_not_read_before_their_size_is_known(model, path, monkeypatch):
    """A header that asks for 4 TB: neither the file's length nor the other arrays allow for it."""
    save(model, path)
    content = path.read_bytes()
    n = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n])
    header["visible_patterns_"]["shape"] = [1 << 20, 1 << 20]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + n :])
    with pytest.raises(ValueError, match="cannot be read as a model"):
        load(path)


def test_a_parameter_that_an_older_version_lacks_gets_its_default(model, path):
    save(model, path)
    forge(path, lambda header, arrays: header["parameters"].pop("l1_penalty"))
    assert load(path).l1_penalty == 0.0


# --- fitted attributes that do not belong together --------------------------------------------


CALLS = {
    "transform": lambda m: m.transform(X),
    "inverse_transform": lambda m: m.inverse_transform(np.zeros((1, 5))),
    "free_energy": lambda m: m.free_energy(X),
    "score_samples": lambda m: m.score_samples(X),
    "sample": lambda m: m.sample(2),
    "gibbs": lambda m: m.gibbs(X),
    "reconstruct": lambda m: m.reconstruct(X.astype(float)),
    "log_partition": lambda m: m.log_partition(),
    "partial_fit": lambda m: m.partial_fit(X),
    "save": lambda m: save(m, "never-written"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("intercept_visible_", np.zeros(4), "do not belong together"),
        ("visible_patterns_", np.zeros((3, 9, 1)), "do not belong together"),
        ("hidden_patterns_", np.full((3, 5), np.nan), "NaN or infinity"),
        ("intercept_hidden_", [0.0] * 5, "NumPy array of real numbers, got list"),
        ("visible_patterns_", np.full((3, 9), "x"), "NumPy array of real numbers, got <U1"),
    ],
)
def test_attributes_are_checked_before_anything_is_computed(call, attribute, value, message, model):
    setattr(model, attribute, value)
    with pytest.raises(ValueError, match=message):
        CALLS[call](model)


@pytest.mark.parametrize("call", ["sample", "partial_fit"])
def test_chains_of_another_model_are_refused(call, model):
    model._training_state = RBM(**FITTED).fit(X[:, :4])._training_state
    with pytest.raises(ValueError, match="does not belong to this model"):
        CALLS[call](model)


# --- pickles --------------------------------------------------------------------------------


def test_pickles_say_their_version(model, monkeypatch):
    content = pickle.dumps(model)
    assert b"_sklearn_rapid_version" in content
    again = pickle.loads(content)
    assert vars(again).keys() == vars(model).keys()
    monkeypatch.setattr(sklearn_rapid.estimators.fitted, "__version__", "0.2.0")
    with pytest.warns(UserWarning, match=r"pickled by sklearn_rapid 0\.1\.0, and this is 0\.2\.0"):
        pickle.loads(content)
    deepcopy(model)


@pytest.mark.slow
def test_skops_files(model, tmp_path):
    """The types that are to be trusted are those that the guide names."""
    io = pytest.importorskip("skops.io")
    io.dump(model, tmp_path / "model.skops")
    types = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert {name.split(".")[0] for name in types} == {"sklearn_rapid"}
    again = io.load(tmp_path / "model.skops", trusted=types)
    assert_same(model, again)


def test_a_state_of_training_from_before_there_were_real_columns():
    """What earlier versions have pickled lacks the scale of such columns."""
    X = np.random.default_rng(0).integers(2, size=(50, 6))
    model = RBM(3, max_iter=1, random_state=0).fit(X)
    wanted = pickle.loads(pickle.dumps(model)).partial_fit(X)
    del model._training_state["visible_scale"]
    del vars(model)["visible"]
    back = pickle.loads(pickle.dumps(model)).partial_fit(X)
    np.testing.assert_array_equal(back.components_, wanted.components_)
