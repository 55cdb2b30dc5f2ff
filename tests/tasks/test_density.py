"""BoltzmannDensity: a normalised density, never far below independent columns, on any table."""

from __future__ import annotations

import itertools
import pickle
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_rapid import RARBM, RBM, BoltzmannDensity
from sklearn_rapid.tasks.mixture import fitting as module

SMALL = [RBM(4, l1_penalty=1.0), RARBM(8, n_patterns=2)]


@pytest.fixture(autouse=True)
def short_search(monkeypatch):
    """A search of a second or two."""
    monkeypatch.setattr(module, "BUDGET", 2.0)
    monkeypatch.setattr(module, "BUDGET_OF_FEW", 3.0)


def make_density(**how):
    return BoltzmannDensity(**{"candidates": SMALL, "random_state": 0, **how})


def make_bits(n=1200, seed=0):
    """One-hot bits of a code, a bit that hangs on it, and a coin."""
    rng = np.random.default_rng(seed)
    code = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    hangs = np.where(rng.random(n) < 0.1, code != 0, code == 0)
    return np.column_stack([np.eye(3)[code], hangs, rng.random(n) < 0.5]).astype(float)


def make_frame(n=400, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.choice(["red", "green", "blue"], size=n, p=[0.6, 0.3, 0.1])
    return pd.DataFrame(
        {
            "kind": kind,
            "is_hot": np.where(rng.random(n) < 0.1, kind != "red", kind == "red"),
            "size": np.round(rng.normal(np.where(kind == "red", 3.0, 5.0), 1.0, n), 2),
            "count": rng.integers(1, 4, size=n),
        },
        index=np.arange(n) + 7,
    )


ALL_BITS = np.array(list(itertools.product([0.0, 1.0], repeat=5)))


@pytest.fixture(scope="module")
def of_bits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BUDGET", 2.0)
        return make_density().fit(make_bits())


@pytest.fixture(scope="module")
def of_frame():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BUDGET_OF_FEW", 3.0)
        return make_density().fit(make_frame())


# --- a density ----------------------------------------------------------------------------------


def test_probabilities_of_all_rows_add_up_to_one(of_bits):
    assert [group.tolist() for group in of_bits.groups_] == [[0, 1, 2]]
    assert len(of_bits.members_) > 1
    assert of_bits.weights_.sum() == pytest.approx(1.0)
    assert logsumexp(of_bits.score_samples(ALL_BITS)) == pytest.approx(0.0, abs=1e-5)


def test_likelihood_is_near_the_entropy(of_bits):
    """Of 10,000 new rows; their mean varies by 0.01."""
    p = np.array([0.5, 0.3, 0.2])
    entropy = -(p @ np.log(p)) - 0.9 * np.log(0.9) - 0.1 * np.log(0.1) + np.log(2.0)
    score = of_bits.score(make_bits(10_000, seed=1))
    assert -entropy - 0.06 < score < -entropy + 0.03


def test_density_of_a_real_column_integrates_to_one(of_frame):
    grid = np.arange(-10.0, 20.0, 0.01).round(2)
    row = make_frame(1).drop(columns="size")
    frame = pd.concat([row] * len(grid)).assign(size=grid)[list(make_frame(1))]
    joint = np.exp(of_frame.score_samples(frame)).sum() * 0.01
    alone = np.exp(of_frame.score_samples(frame[:1].assign(size=np.nan)))
    # The integral over what is missing is estimated: its error is some hundredths.
    assert joint == pytest.approx(alone[0], rel=0.1)


@pytest.mark.parametrize("missing", [[0], [1], [3], [0, 4], [0, 2], [0, 1, 2]])
def test_rows_with_gaps_have_marginal_probabilities(of_bits, missing):
    row, known = ALL_BITS[13].copy(), np.setdiff1d(np.arange(5), missing)
    fits = (ALL_BITS[:, known] == row[known]).all(axis=1)
    expected = logsumexp(of_bits.score_samples(ALL_BITS[fits]))
    row[missing] = np.nan
    assert of_bits.score_samples([row])[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("column", range(5))
def test_conditionals_are_those_of_the_joint_density(of_bits, column):
    joint = np.exp(of_bits.score_samples(ALL_BITS)).reshape((2,) * 5)
    expected = np.moveaxis(joint / joint.sum(axis=column, keepdims=True), column, -1)
    expected = np.repeat(np.expand_dims(expected, column), 2, axis=column).reshape(-1, 2)
    np.testing.assert_allclose(of_bits.conditional(ALL_BITS, column), expected, atol=1e-4)


def test_conditional_of_a_category_and_of_a_real_column(of_frame):
    frame = make_frame(20, seed=2)
    found = of_frame.conditional(frame, "kind")
    values = [*of_frame.categories_[0]]
    log_p = np.stack([of_frame.score_samples(frame.assign(kind=v)) for v in values], axis=1)
    expected = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    known = found[:, : len(values)]
    np.testing.assert_allclose(known / known.sum(axis=1, keepdims=True), expected, atol=1e-4)
    moments = of_frame.conditional(frame.drop(columns="size"), "size")
    assert moments.shape == (20, 2)
    is_red = (frame["kind"] == "red").to_numpy()
    assert moments[is_red, 0].max() < moments[~is_red, 0].min()


def test_samples_have_the_probabilities_of_the_density(of_bits):
    """A chi-squared test of 20,000 draws that would fail by chance once in 10,000 times."""
    n = 20_000
    drawn = of_bits.sample(n, random_state=3)
    counts = np.bincount((drawn @ [16, 8, 4, 2, 1]).astype(int), minlength=32)
    expected = n * np.exp(of_bits.score_samples(ALL_BITS))
    large = expected > 5.0
    statistic = np.sum((counts - expected)[large] ** 2 / expected[large])
    df = large.sum()
    # The cube root of chi-squared is nearly normal (Wilson and Hilferty 1931).
    z = ((statistic / df) ** (1 / 3) - (1 - 2 / (9 * df))) / np.sqrt(2 / (9 * df))
    assert norm.sf(z) > 1e-4


def test_conditions_are_kept_and_the_rest_drawn(of_frame):
    given = pd.DataFrame({"kind": ["red", "blue"], "is_hot": [None, False]}, index=["a", "b"])
    given["is_hot"] = given["is_hot"].astype("boolean")
    drawn = of_frame.sample(200, conditions=given, random_state=0)
    assert list(drawn) == ["kind", "is_hot", "size", "count"]
    assert drawn["kind"].tolist() == ["red"] * 200 + ["blue"] * 200
    assert not drawn["is_hot"][200:].any()
    # Within four standard deviations: by chance once in 15,000 times.
    p = of_frame.conditional(given[["kind"]], "is_hot")[0, 1]
    assert abs(drawn["is_hot"][:200].mean() - p) < 4.0 * np.sqrt(p * (1.0 - p) / 200)
    assert drawn.notna().all(axis=None)


def test_gaps_are_filled(of_frame):
    frame = make_frame(60, seed=4)
    gaps = frame.copy()
    gaps.loc[gaps.index[::2], "kind"] = None
    gaps.loc[gaps.index[1::3], "size"] = np.nan
    for output in ("mean", "sample"):
        filled = of_frame.reconstruct(gaps, output=output, random_state=0)
        pd.testing.assert_index_equal(filled.index, frame.index)
        assert filled.dtypes.equals(frame.dtypes)
        known = gaps.notna()
        assert (filled == frame)[known].sum(axis=None) == known.sum(axis=None)
        assert filled.notna().all(axis=None)
    likely = of_frame.reconstruct(gaps, output="mean", random_state=0)
    # The most likely kind is that of the largest conditional probability.
    p = of_frame.conditional(gaps, "kind")[:, :3]
    best = np.array(of_frame.categories_[0])[p.argmax(axis=1)]
    rows = gaps["kind"].isna() & gaps["size"].notna()
    assert np.mean(likely["kind"][rows] == best[rows]) > 0.9


def test_means_of_bits_are_those_of_the_joint_density(of_bits):
    row = np.full((1, 5), np.nan)
    row[0, 3] = 1.0
    p = np.exp(of_bits.score_samples(ALL_BITS)) * (ALL_BITS[:, 3] == 1.0)
    found = of_bits.reconstruct(row, output="mean", random_state=0)
    np.testing.assert_allclose(found[0], p @ ALL_BITS / p.sum(), atol=5e-3)


# --- never far below independent columns --------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        np.random.default_rng(0).integers(2, size=(40, 10)),
        np.random.default_rng(0).normal(size=(30, 4)),
        pytest.param(np.ones((20, 3)), marks=pytest.mark.slow),
        pytest.param(np.repeat(np.eye(4), [1, 1, 1, 37], axis=0), marks=pytest.mark.slow),
        np.random.default_rng(0).exponential(size=(50, 3)) ** 4,
    ],
    ids=["coins", "normal", "constant", "rare", "skewed"],
)
def test_never_far_below_independent_columns(X):
    """In any row by 4.6 nats at most: independent columns have a weight of a hundredth."""
    density = make_density().fit(X)
    independent = make_density(candidates=[]).fit(X)
    rows = np.concatenate([X, X[::-1] + 0.0])
    assert density.score(rows) > independent.score(rows) - 0.5
    least = independent.score_samples(rows) + np.log(module.SHARE_OF_INDEPENDENT)
    assert np.all(density.score_samples(rows) >= least - 1e-5)


def test_independent_columns_alone():
    """With half a count more for each value of a bit."""
    X = make_bits(600)[:, 3:]
    density = make_density(candidates=[]).fit(X)
    assert len(density.members_) == 1
    p = (X.sum(axis=0) + 0.5) / 601.0
    expected = np.where(X == 1, np.log(p), np.log1p(-p)).sum(axis=1)
    np.testing.assert_allclose(density.score_samples(X), expected, atol=1e-5)


def test_values_that_fit_has_not_seen():
    frame = make_frame()
    density = make_density(candidates=[]).fit(frame)
    row = frame[:1]
    usual = density.score_samples(row)[0]
    assert density.score_samples(row.assign(kind="grey"))[0] < usual - 3.0
    assert density.score_samples(row.assign(count=17))[0] < usual - 3.0
    assert density.score_samples(row.assign(size=1e6))[0] < usual - 100.0
    X = make_bits(300)
    density = make_density(candidates=[]).fit(X)
    odd, other = X[:1].copy(), X[:1].copy()
    odd[0, 4], other[0, 4] = 2.0, np.nan
    gap = density.score_samples(odd) - density.score_samples(other)
    assert gap[0] == pytest.approx(-np.log(302.0), abs=1e-9)
    filled = density.reconstruct(odd, random_state=0)
    assert filled[0, 4] == 2.0
    density.set_params(handle_unknown="error")
    with pytest.raises(ValueError, match="value 2 in column 4, where the fit has seen 0 and 1"):
        density.score_samples(odd)


# --- a search -----------------------------------------------------------------------------------


def test_what_was_tried(of_bits, capsys):
    names = [trial.name for trial in of_bits.trials_]
    assert names[0] == "independent columns"
    assert any("RARBM" in name for name in names)
    assert any("on groups" in name for name in names)
    assert all(trial.seconds > 0.0 for trial in of_bits.trials_)
    assert of_bits.score_aside_ >= max(t.score for t in of_bits.trials_ if t.is_trusted) - 0.05
    assert of_bits.error_ < 0.1
    make_density(verbose=1, candidates=SMALL[:1]).fit(make_bits(200))
    assert "independent columns, 0 updates" in capsys.readouterr().out


@pytest.mark.parametrize(
    "how", [{"n_threads": 1}, pytest.param({"n_jobs": 2}, marks=pytest.mark.slow)]
)
def test_same_seed_same_density(how):
    X = make_frame(150)
    how = [{}, how]
    densities = [make_density(candidates=SMALL[:1], **h).fit(X) for h in how]
    scores = [density.score_samples(X) for density in densities]
    for other in (*scores[1:], pickle.loads(pickle.dumps(densities[0])).score_samples(X)):
        np.testing.assert_array_equal(scores[0], other)
    another = make_density(candidates=SMALL[:1], random_state=1).fit(X)
    assert not np.array_equal(another.score_samples(X), scores[0])


def test_a_time_limit_is_kept():
    """Generously: other work may share the processor."""
    began = time.perf_counter()
    density = BoltzmannDensity(time_limit=3.0, random_state=0).fit(make_bits(3000))
    assert time.perf_counter() - began < 10.0
    assert len(density.trials_) > 1


def test_no_time_is_warned_of():
    with pytest.warns(RuntimeWarning, match="time_limit left no time to try a machine"):
        density = BoltzmannDensity(time_limit=1e-3, random_state=0).fit(make_bits(50))
    assert len(density.members_) == 1


def test_weights_of_rows_are_copies_of_rows():
    """Independent columns of weighted rows are those of the rows repeated."""
    X, times = make_bits(50), np.random.default_rng(0).integers(0, 4, 50)
    weighted = make_density(candidates=[]).fit(X, sample_weight=times)
    # Weights are relative: the row added for a prior is one of the rows with a weight.
    n = np.count_nonzero(times)
    p = (times @ X / times.sum() * n + 0.5) / (n + 1.0)
    expected = np.where(X == 1, np.log(p), np.log1p(-p)).sum(axis=1)
    np.testing.assert_allclose(weighted.score_samples(X), expected, atol=1e-5)


# --- containers ---------------------------------------------------------------------------------


def test_frames_come_back_as_they_went_in(of_frame):
    frame = make_frame()
    drawn = of_frame.sample(30, random_state=0)
    assert drawn.dtypes.equals(frame.dtypes)
    assert set(drawn["kind"]) <= {"red", "green", "blue"}
    assert drawn["size"].between(frame["size"].min(), frame["size"].max()).all()
    assert (drawn["size"] == drawn["size"].round(2)).all()
    polars = pl.from_pandas(frame)
    density = make_density(candidates=[]).fit(polars)
    assert density.sample(3, random_state=0).schema == polars.schema


@pytest.mark.slow
def test_sparse_rows():
    X = make_bits(300)
    dense, thin = (make_density(candidates=SMALL[:1]).fit(x) for x in (X, sparse.csr_array(X)))
    np.testing.assert_allclose(thin.score_samples(X), dense.score_samples(X), atol=1e-4)
    np.testing.assert_array_equal(thin.score_samples(sparse.csr_array(X)), thin.score_samples(X))


def test_rows_with_gaps_can_be_fitted(monkeypatch):
    monkeypatch.setattr(module, "BUDGET_OF_FEW", 6.0)
    frame = make_frame(200)
    frame.loc[frame.index[::3], "kind"] = None
    frame.loc[frame.index[1::4], "size"] = np.nan
    density = make_density(candidates=SMALL[:1]).fit(frame)
    assert len(density.trials_) > 1
    assert np.isfinite(density.score_samples(frame)).all()


def test_bad_input():
    with pytest.raises(NotFittedError):
        BoltzmannDensity().score_samples([[0.0]])
    with pytest.raises(ValueError, match="at least 2 rows"):
        make_density().fit([[0.0, 1.0]])
    with pytest.raises(ValueError, match="no known values"):
        make_density().fit([[0.0, np.nan], [1.0, np.nan]])
    with pytest.raises(ValueError, match="time_limit"):
        make_density(time_limit=0).fit(make_bits(10))
    density = make_density(candidates=[]).fit(make_bits(30))
    before = density.score_samples(ALL_BITS)
    with pytest.raises(ValueError, match="sample_weight"):
        density.fit(make_bits(20), sample_weight=[1.0])
    np.testing.assert_array_equal(density.score_samples(ALL_BITS), before)
    with pytest.raises(ValueError, match="names a column 9"):
        density.conditional(ALL_BITS, 9)
    assert clone(density).get_params() == density.get_params()
