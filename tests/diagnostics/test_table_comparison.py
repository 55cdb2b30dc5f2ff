"""Comparisons of tables against small ones with known answers, loops over rows, and scikit-learn.

The statistical tests refuse a correct program with probability 1e-4 each, were the seeds not
fixed.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from scipy.stats import ks_2samp, norm
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from sklearn_rapid.diagnostics import compare_tables
from sklearn_rapid.diagnostics.comparison import _nearest
from sklearn_rapid.diagnostics.comparison._pairs import correlate
from sklearn_rapid.diagnostics.comparison._prediction import _compute_auc
from sklearn_rapid.displays import TableComparisonDisplay

plt.switch_backend("Agg")

SMALLEST_P = 1e-4
LARGEST_Z = norm.isf(SMALLEST_P / 2)
N = 300


def mixed_table(seed, n=N):
    """Rows of text, numbers, few numbers and booleans, with missing entries, and a constant."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40.0, 10.0, n).round(1)
    pay = age + rng.normal(0.0, 5.0 + seed, n)
    word = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]).astype(object)
    age[rng.random(n) < 0.1] = np.nan
    word[rng.random(n) < 0.1 + 0.05 * seed] = None
    return pd.DataFrame(
        {
            "age": age,
            "word": word,
            "level": rng.integers(3, size=n),
            "pay": pay,
            "flag": rng.random(n) < 0.3,
            "one": 7,
        }
    )


TRAIN, SYNTHETIC, HELD_OUT = (mixed_table(seed) for seed in range(3))
TABLES = TRAIN, SYNTHETIC, HELD_OUT
NUMBERS = ["age", "pay"]


@pytest.fixture(autouse=True)
def one_thread():
    """HistGradientBoosting is slow where more threads than cores wait for each other."""
    with threadpool_limits(1, user_api="openmp"):
        yield


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def comparison():
    return compare_tables(*TABLES, random_state=0)


# --- columns ------------------------------------------------------------------------------------


def test_shapes_of_categories():
    """Shares of a, b and missing: 1/2, 1/4, 1/4 and 1/4, 3/4, 0; their distance is 1/2."""
    train, synthetic = (pd.DataFrame({"x": x}) for x in (["a", "a", "b", None], list("abbb")))
    held_out = pd.DataFrame({"x": ["c", "c"]})
    comparison = compare_tables(train, synthetic, held_out)
    assert comparison.is_category.tolist() == [True]
    assert comparison.shapes.tolist() == [0.5] and comparison.shapes_held_out.tolist() == [0.0]
    assert (comparison.mean_shape, comparison.mean_shape_held_out) == (0.5, 0.0)
    assert np.isnan([comparison.mean_pair, comparison.mean_pair_held_out]).all()
    assert comparison.worst_pairs() == [] and "pairs" not in str(comparison)


def test_shapes_of_numbers():
    """Half of a column has moved; then entries are missing, which the median does not show."""
    x = np.arange(100.0)
    comparison = compare_tables(x[:, None], x[:, None] + 50.0, x[::2, None])
    assert comparison.is_category.tolist() == [False]
    np.testing.assert_allclose(comparison.shapes, 0.5)
    np.testing.assert_allclose(comparison.shapes_held_out, 0.99)
    some = np.where(np.arange(100) % 5 < 2, np.nan, x)
    np.testing.assert_allclose(compare_tables(x[:, None], some[:, None], x[:, None]).shapes, 0.6)
    none = np.full((3, 1), np.nan)
    np.testing.assert_allclose(compare_tables(some[:, None], none, some[:, None]).shapes, 0.4)


def test_shapes_against_scipy(comparison):
    for name in NUMBERS:
        parts = [X[name].dropna() for X in TABLES]
        j = comparison.columns.index(name)
        for found, other in ((comparison.shapes, 1), (comparison.shapes_held_out, 2)):
            gap = abs(TRAIN[name].isna().mean() - TABLES[other][name].isna().mean())
            expected = 1.0 - max(ks_2samp(parts[0], parts[other]).statistic, gap)
            assert found[j] == pytest.approx(expected, abs=1e-12)


def test_kinds_are_chosen_as_by_estimators(comparison):
    assert comparison.columns == tuple(TRAIN.columns)
    are_numbers = np.isin(TRAIN.columns, NUMBERS)
    np.testing.assert_array_equal(comparison.is_category, ~are_numbers)


# --- pairs --------------------------------------------------------------------------------------


def codes_of(X, name):
    """A column's values, or bins of the range of training rows, as SDMetrics cuts them."""
    if name not in NUMBERS:
        return [None if pd.isna(value) else value for value in X[name]]
    edges = np.histogram_bin_edges(TRAIN[name].dropna(), bins=10)
    edges[[0, -1]] = -np.inf, np.inf
    return np.digitize(X[name], edges).tolist()


def similarity_of_pair(X, a, b):
    if a in NUMBERS and b in NUMBERS:
        of_each = (Y[[a, b]].dropna().corr().to_numpy()[0, 1] for Y in (TRAIN, X))
        return 1.0 - abs(next(of_each) - next(of_each)) / 2.0
    p, q = (Counter(zip(codes_of(Y, a), codes_of(Y, b), strict=True)) for Y in (TRAIN, X))
    return 1.0 - sum(abs(p[key] / len(TRAIN) - q[key] / len(X)) for key in p | q) / 2.0


def test_pairs(comparison):
    """Against counts of pairs in dicts, and pandas' correlations of complete rows."""
    worst = []
    for i, j in combinations(range(6), 2):
        names = TRAIN.columns[i], TRAIN.columns[j]
        expected = [similarity_of_pair(X, *names) for X in (SYNTHETIC, HELD_OUT)]
        found = comparison.pairs[i, j], comparison.pairs_held_out[i, j]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert comparison.pairs[j, i] == found[0] and comparison.pairs_held_out[j, i] == found[1]
        worst.append((expected[0] - expected[1], names))
    assert np.isnan(np.diagonal(comparison.pairs)).all()
    mean = np.nanmean(comparison.pairs)
    assert comparison.mean_pair == pytest.approx(mean) and comparison.mean_pair < 1.0
    found = comparison.worst_pairs(3)
    assert [pair[:2] for pair in found] == [names for _, names in sorted(worst)[:3]]
    assert len(comparison.worst_pairs(100)) == 15


def test_lost_dependence():
    """Two equal bits; the same bits, independent of one another; a number that turns round."""
    bits = np.tile([0.0, 1.0], 200)
    x = np.arange(-199.5, 200.0)
    real = np.column_stack([bits, bits, x, x])
    lost = np.column_stack([bits, np.repeat([0.0, 1.0], 200), x, -x])
    comparison = compare_tables(real, lost, real)
    np.testing.assert_allclose(comparison.shapes, 1.0)
    np.testing.assert_allclose(comparison.pairs[[0, 2], [1, 3]], [0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(comparison.pairs_held_out[[0, 2], [1, 3]], 1.0)
    assert comparison.worst_pairs(1)[0][:2] == (2, 3)


def test_correlations_of_constants_and_large_numbers():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=50), np.full(50, 0.1), np.full(50, np.nan)])
    np.testing.assert_allclose(correlate(X), np.diag([1.0, 0.0, 0.0]))
    Y = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3))
    expected = np.corrcoef(Y, rowvar=False)
    np.testing.assert_allclose(correlate(Y), expected, atol=1e-12)
    np.testing.assert_allclose(correlate(1e6 + Y), expected, atol=1e-8)
    np.testing.assert_allclose(correlate(1e200 * Y), expected, atol=1e-12)
    # Where the other is known, the first one is constant.
    Z = np.array([[1.0, 1.0], [1.0, 2.0], [5.0, np.nan]])
    assert correlate(Z)[0, 1] == 0.0


# --- nearest rows -------------------------------------------------------------------------------


def gower(a, b, is_category, ranges):
    """The distance of two rows, column by column."""
    total = 0.0
    for x, y, category, width in zip(a, b, is_category, ranges, strict=True):
        if pd.isna(x) or pd.isna(y):
            total += float(pd.isna(x) != pd.isna(y))
        else:
            total += float(x != y) if category else abs(x - y) / width
    return total / len(a)


def test_distances(monkeypatch):
    """Against loops over rows and columns."""
    monkeypatch.setattr(_nearest, "ROWS_OF_BLOCK", 7)
    train, synthetic, held_out = (mixed_table(seed, n) for seed, n in enumerate((30, 25, 30)))
    for X in (train, synthetic, held_out):
        X["level"] = X["level"] > 0  # a category, however few rows there are
    comparison = compare_tables(train, synthetic, held_out)
    real = pd.concat([train, held_out])
    ranges = [np.ptp(real[c].dropna()) if c in NUMBERS else 1.0 for c in real]
    rows = [list(X.itertuples(index=False)) for X in (train, synthetic, held_out)]
    expected = [
        np.array([min(gower(a, b, comparison.is_category, ranges) for b in others) for a in own])
        for own, others in ((rows[1], rows[0]), (rows[2], rows[0]), (rows[1], rows[2]))
    ]
    nearest = comparison.nearest
    np.testing.assert_allclose(nearest.synthetic, expected[0], atol=1e-12)
    np.testing.assert_allclose(nearest.held_out, expected[1], atol=1e-12)
    gap = expected[2] - expected[0]
    is_tie = np.abs(gap) < 1e-12
    assert not is_tie.any()
    assert nearest.nearer_share == pytest.approx(np.mean(gap > 0.0))
    assert nearest.n_rows == 30 and nearest.synthetic_copies == 0.0
    assert nearest.synthetic_median == pytest.approx(np.median(expected[0]))
    assert nearest.held_out_median == pytest.approx(np.median(expected[1]))


def test_copies():
    """A table compared with itself; and a third of copies, with missing entries as well."""
    same = compare_tables(TRAIN, TRAIN, HELD_OUT)
    assert same.mean_shape == same.mean_pair == same.nearest.synthetic_copies == 1.0
    assert same.nearest.nearer_share == 1.0 and not same.nearest.synthetic.any()
    assert same.nearest.held_out_copies == 0.0 and same.nearest.held_out_median > 0.0
    part = pd.concat([TRAIN[:50], SYNTHETIC[:100]])
    nearest = compare_tables(TRAIN, part, HELD_OUT).nearest
    assert nearest.synthetic_copies == pytest.approx(1 / 3)
    assert np.count_nonzero(nearest.synthetic == 0.0) == 50


def test_zeros_of_either_sign_are_copies():
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 0] = np.where(X[:, 0] > 0.0, 0.0, X[:, 0])
    nearest = compare_tables(X, np.where(X == 0.0, -0.0, X), X[:5] + 1.0).nearest
    assert nearest.synthetic_copies == 1.0


def test_new_rows_of_the_same_kind_are_as_near_to_either(monkeypatch):
    """The share has at least the variance 1/(4 n), and not twice as much, as rows share rows."""
    monkeypatch.setattr(_nearest, "MOST_ROWS", 400)
    X = np.random.default_rng(5).normal(size=(3, 2000, 4))
    nearest = compare_tables(*X, random_state=0).nearest
    assert len(nearest.synthetic) == len(nearest.held_out) == nearest.n_rows == 400
    assert abs(nearest.nearer_share - 0.5) < LARGEST_Z * np.sqrt(2 * 0.25 / 400)
    # Copies are found among all rows.
    nearest = compare_tables(X[0], np.concatenate([X[1], X[0, :1]]), X[2]).nearest
    assert nearest.synthetic_copies == 1 / 2001


def test_ties_count_a_half():
    X = np.tile([0.0, 1.0], 20)[:, None]
    nearest = compare_tables(X, X, X).nearest
    assert nearest.nearer_share == 0.5 and nearest.held_out_copies == 1.0


# --- prediction ---------------------------------------------------------------------------------


def labelled(seed, flipped=False, n=N):
    """A class that follows from a word, or from the other word."""
    rng = np.random.default_rng(seed)
    word = rng.choice(["a", "b"], n)
    is_yes = (word == "a") != flipped
    noise = rng.normal(size=n)
    return pd.DataFrame({"word": word, "noise": noise, "y": np.where(is_yes, "yes", "no")})


@pytest.mark.parametrize("estimators", [None, {"tree": DecisionTreeClassifier(random_state=0)}])
def test_classes(estimators):
    """Trained on rows with the opposite classes, a classifier is always wrong."""
    comparison = compare_tables(
        labelled(0), labelled(1, flipped=True), labelled(2), target="y", estimators=estimators
    )
    name = "HistGradientBoosting" if estimators is None else "tree"
    found = [(s.estimator, s.metric, s.synthetic, s.train) for s in comparison.prediction]
    assert found == [(name, "accuracy", 0.0, 1.0), (name, "ROC AUC", 0.0, 1.0)]
    assert comparison.target == "y"


def test_scores_of_linear_models():
    """Against scikit-learn by hand, on standardized numbers; a target by its number."""
    rng = np.random.default_rng(0)
    tables = []
    for slope in (2.0, 1.0, 2.0):
        X = rng.normal(size=(200, 2))
        tables.append(np.column_stack([X, slope * X[:, 0] + rng.normal(size=200)]))
    how = {"estimators": {"ols": LinearRegression()}, "random_state": 0}
    (score,) = compare_tables(*tables, target=-1, **how).prediction
    assert score.metric == "R²"
    X, y = tables[2][:, :2], tables[2][:, 2]
    for found, rows in ((score.train, tables[0]), (score.synthetic, tables[1])):
        assert found == pytest.approx(LinearRegression().fit(rows[:, :2], rows[:, 2]).score(X, y))
    assert score.train > score.synthetic + 0.1
    (boosted,) = compare_tables(*tables, target=2, random_state=0).prediction
    assert 0.5 < boosted.train < 0.9


def test_area_under_the_curve():
    """Against scikit-learn's, of two and three classes."""
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    for y in (X[:, 0] > 0.3, np.digitize(X[:, 0], [-0.5, 0.4]) * 2.0):
        model = LogisticRegression().fit(X + noise, y)
        p = model.predict_proba(X - noise)
        p = p[:, 1] if p.shape[1] == 2 else p
        expected = roc_auc_score(y, p, multi_class="ovr")
        assert 0.6 < expected < 0.95
        assert _compute_auc(model, X - noise, y) == pytest.approx(expected)
    # Without a class that it could have found, and of a class alone.
    seen = LogisticRegression().fit(X[y < 4.0], y[y < 4.0])
    p = seen.predict_proba(X)
    parts = [roc_auc_score(y == c, p[:, i]) for i, c in enumerate((0.0, 2.0))]
    assert _compute_auc(seen, X, y) == pytest.approx(np.mean([*parts, 0.5]))
    assert np.isnan(_compute_auc(seen, X[y == 0.0], y[y == 0.0]))


@pytest.mark.parametrize("estimators", [None, {"logistic": LogisticRegression()}])
def test_hard_tables_are_predicted(estimators):
    """Words that are not seen in training, more than 255 words, gaps, a class alone."""
    train, synthetic, held_out = (labelled(seed, n=1500) for seed in range(3))
    for seed, X in enumerate((train, synthetic, held_out)):
        X["many"] = [f"{seed % 2}-{i % 300}" for i in range(1500)]
        X["gone"] = None
        X["flat"] = 1.5
        X.loc[::7, "noise"] = np.nan
        X.loc[::5, "y"] = None
    synthetic["y"] = "no"
    held_out.loc[0, "word"] = "new"
    comparison = compare_tables(
        train, synthetic, held_out, target="y", estimators=estimators, random_state=0
    )
    accuracy, area = comparison.prediction
    known = held_out["y"].dropna()
    assert accuracy.synthetic == pytest.approx(np.mean(known == "no"))
    assert area.synthetic == 0.5 and min(accuracy.train, area.train) > 0.99


def test_estimators_without_probabilities():
    class Plain(DecisionTreeClassifier):
        predict_proba = property()  # hasattr says no

    estimators = {"plain": Plain(), "dummy": DummyClassifier(strategy="most_frequent")}
    found = compare_tables(
        labelled(0), labelled(1), labelled(2), target="y", estimators=estimators
    ).prediction
    assert [score.estimator for score in found] == ["plain", "plain", "dummy", "dummy"]
    assert found[0].train == 1.0 and np.isnan(found[1].train) and found[3].train == 0.5


def test_targets_that_cannot_be_predicted():
    tables = labelled(0), labelled(1), labelled(2)
    with pytest.raises(ValueError, match="target names a column 'z', which X does not have"):
        compare_tables(*tables, target="z")
    with pytest.raises(ValueError, match="estimators want a target"):
        compare_tables(*tables, estimators={"a": LogisticRegression()})
    with pytest.raises(TypeError, match="estimators must be a dict of names and estimators, got"):
        compare_tables(*tables, target="y", estimators=[LogisticRegression()])
    with pytest.raises(ValueError, match="estimators must hold at least one"):
        compare_tables(*tables, target="y", estimators={})
    for target, kind, wrong in (
        ("y", "categories, and .* classifier", LinearRegression()),
        ("noise", "numbers, and .* regressor", LogisticRegression()),
        ("y", "categories, and .* classifier", LogisticRegression),
        ("y", "categories, and .* classifier", "logistic"),
    ):
        with pytest.raises(ValueError, match=f"column '{target}' holds {kind}"):
            compare_tables(*tables, target=target, estimators={"a": wrong})
    with pytest.raises(ValueError, match="target is the only column"):
        compare_tables(*(X[["y"]] for X in tables), target="y")
    gone = tables[1].assign(y=None)
    with pytest.raises(ValueError, match="column 'y' is missing in all rows of synthetic"):
        compare_tables(tables[0], gone, tables[2], target="y")


# --- tables -------------------------------------------------------------------------------------


def assert_same(a, b):
    for name in ("columns", "is_category", "shapes", "shapes_held_out", "pairs", "pairs_held_out"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_equal(vars(a.nearest), vars(b.nearest))
    assert a.prediction == b.prediction


@pytest.mark.parametrize("library", ["polars", "pyarrow", "several"])
def test_frames_of_any_library_in_any_order(library, comparison):
    names = list(TRAIN.columns)
    tables = [X[names] for X in (TRAIN, SYNTHETIC[names[::-1]], HELD_OUT[names[3:] + names[:3]])]
    tables = [pa.Table.from_pandas(X, preserve_index=False) for X in tables]
    if library != "pyarrow":
        tables = [pl.from_arrow(X) for X in tables]
    if library == "several":
        tables[1:] = SYNTHETIC, HELD_OUT
    assert_same(compare_tables(*tables, random_state=0), comparison)


def test_arrays_are_compared_like_frames():
    columns = ["age", "level", "pay", "flag", "one"]
    arrays = [X[columns].to_numpy(dtype=float) for X in TABLES]
    how = {"target": 3, "random_state": 0}
    of_arrays = compare_tables(*arrays, **how)
    assert of_arrays.columns == (0, 1, 2, 3, 4)
    of_frames = compare_tables(*(pd.DataFrame(X) for X in arrays), **how)
    assert_same(of_arrays, of_frames)
    lists = [np.where(np.isnan(X), None, X).tolist() for X in arrays]
    assert_same(compare_tables(*lists, **how), of_frames)
    bits = (np.random.default_rng(0).random((3, 50, 4)) < 0.3).astype(float)
    assert_same(compare_tables(*map(sparse.csr_array, bits)), compare_tables(*bits))


def test_single_precision_rounds_both():
    """0.1 of an array of float32 is 0.1 of one of float64."""
    X = np.random.default_rng(0).normal(size=(100, 3))
    X[:, 0] = np.where(X[:, 0] > 0.0, 0.1, 0.7)
    comparison = compare_tables(X, X.astype(np.float32), X)
    assert comparison.mean_shape == comparison.nearest.synthetic_copies == 1.0


def test_fractions_among_whole_numbers_are_compared():
    whole = pd.DataFrame({"n": np.arange(100)})
    comparison = compare_tables(whole, whole + 0.5, whole)
    np.testing.assert_allclose(comparison.shapes, 0.99)


def test_columns_that_do_not_match():
    for synthetic, message in (
        (SYNTHETIC.drop(columns="pay"), "synthetic lacks column 'pay', which train has"),
        (SYNTHETIC.assign(more=1), "synthetic has column 'more', which train lacks"),
        (SYNTHETIC.assign(pay="much"), "column 'pay' of X holds strings .*X is synthetic here"),
        (SYNTHETIC.assign(word=1.5), "column 'word' of X holds numbers .* and fit is train"),
        (SYNTHETIC.assign(pay=np.inf), "column 'pay' of X must be finite.*X is synthetic here"),
        (SYNTHETIC[:0], "must have rows, got a table with none \\(X is synthetic here"),
        (np.zeros((3, 6)), "synthetic must be a data frame as train is, got ndarray"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_tables(TRAIN, synthetic, HELD_OUT)
        with pytest.raises(ValueError, match=message.replace("synthetic", "held_out")):
            compare_tables(TRAIN, SYNTHETIC, synthetic)
    with pytest.raises(ValueError, match=r"column 'day' of X holds dates .* \(X is train here\)"):
        compare_tables(TRAIN.assign(day=pd.Timestamp("2020-01-01")), SYNTHETIC, HELD_OUT)
    with pytest.raises(TypeError, match="lazy frame of polars"):
        compare_tables(pl.LazyFrame({"a": [1]}), SYNTHETIC, HELD_OUT)
    X = np.zeros((3, 2))
    for tables, message in (
        ((X, X[:, :1], X), r"synthetic must have shape \(any, 2\), got \(3, 1\)"),
        ((X, X, X[:0]), r"held_out must have shape \(any, 2\), got \(0, 2\)"),
        ((X + np.inf, X, X), "train must be finite, got infinity"),
        ((X, X.astype(str), X), "synthetic must hold numbers, got dtype <U"),
        ((X[:, :0], X, X), "train must have columns"),
        ((X[0], X, X), "train must have shape"),
        ((X, TRAIN, X), "synthetic must be an array as train is, got DataFrame"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_tables(*tables)


@pytest.mark.parametrize("n", [1, 2])
def test_few_rows_and_columns_without_entries(n):
    tables = [X[:n].assign(gone=None, nan=np.nan) for X in TABLES]
    comparison = compare_tables(*tables, target="flag")
    assert comparison.shapes[-2:].tolist() == [1.0, 1.0]
    for values in (comparison.shapes, comparison.pairs[0, 1:], comparison.nearest.synthetic):
        assert ((values >= 0.0) & (values <= 1.0 + 1e-12)).all()
    assert str(comparison)


def test_random_states(monkeypatch):
    monkeypatch.setattr(_nearest, "MOST_ROWS", 50)
    first, again, other = (compare_tables(*TABLES, random_state=seed) for seed in (0, 0, 1))
    assert_same(first, again)
    assert not np.array_equal(first.nearest.synthetic, other.nearest.synthetic)
    assert len(first.nearest.synthetic) == 50
    np.testing.assert_array_equal(first.pairs, other.pairs)


# --- text and picture ---------------------------------------------------------------------------


def test_text():
    tables = [X.rename(columns={"pay": "pay" * 30}) for X in TABLES]
    comparison = compare_tables(*tables, target="flag", random_state=0)
    lines = str(comparison).splitlines()
    assert max(map(len, lines)) <= 66
    figures = {line[:44].strip(): line[44:].split() for line in lines}
    shape = f"{comparison.mean_shape:.3f}", f"{comparison.mean_shape_held_out:.3f}"
    assert tuple(figures["columns, mean"]) == shape
    a, b, *worst = comparison.worst_pairs(1)[0]
    label = f"{a} × {b}"
    assert figures[label if len(label) <= 40 else f"{label[:37]}..."] == [f"{v:.3f}" for v in worst]
    score = comparison.prediction[0]
    expected = [f"{score.synthetic:.3f}", f"{score.train:.3f}"]
    assert figures["accuracy, HistGradientBoosting"] == expected
    assert figures["nearer to one than to any held-out row"] == [
        f"{comparison.nearest.nearer_share:.3f}"
    ]


def test_picture():
    comparison = compare_tables(*TABLES, target="flag", random_state=0)
    display = TableComparisonDisplay.from_tables(*TABLES, target="flag", random_state=0)
    assert display.axes_.shape == (4,) and plt.get_fignums() == [display.figure_.number]
    display.figure_.canvas.draw()
    synthetic, held_out = display.lines_["columns"]
    np.testing.assert_array_equal(synthetic.get_xdata(), comparison.shapes)
    np.testing.assert_array_equal(held_out.get_xdata(), comparison.shapes_held_out)
    labels = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert labels == list(TRAIN.columns)
    drawn = np.ma.filled(display.image_.get_array(), np.nan)
    below = np.tril_indices(6, -1)
    np.testing.assert_array_equal(drawn[below], comparison.pairs[below])
    np.testing.assert_array_equal(drawn.T[below], comparison.pairs_held_out.T[below])
    for line, distances in zip(
        display.lines_["nearest"],
        (comparison.nearest.synthetic, comparison.nearest.held_out),
        strict=True,
    ):
        x, y = line.get_data()
        at = np.quantile(distances, 0.3)
        assert y[np.searchsorted(x, at, side="right") - 1] == np.mean(distances <= at)
    scores = [line.get_xdata().tolist() for line in display.lines_["prediction"]]
    assert scores[0] == [score.synthetic for score in comparison.prediction]
    assert scores[1] == [score.train for score in comparison.prediction]


def test_picture_of_many_columns_in_given_axes():
    X = np.random.default_rng(0).normal(size=(3, 60, 30))
    X[1, :, 7] += 1.0
    comparison = compare_tables(*X)
    figure, axes = plt.subplots(3)
    display = TableComparisonDisplay.from_comparison(comparison, ax=axes, n_columns=4)
    assert display.figure_ is figure and list(display.axes_) == list(axes)
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert len(labels) == 4 and "7" in labels and labels == sorted(labels, key=int)
    assert axes[1].get_xlabel() == "column"
    figure.canvas.draw()
    assert display.plot(cmap="magma") is display and display.figure_ is not figure
    assert display.image_.get_cmap().name == "magma"
    with pytest.raises(ValueError, match="3 panels need as many axes, got 2"):
        display.plot(axes[:2])
    one = TableComparisonDisplay.from_tables(X[0, :, :1], X[1, :, :1], X[2, :, :1])
    one.figure_.canvas.draw()
