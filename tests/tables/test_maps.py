"""Maps of real columns: they rise, have an inverse, and give densities that integrate to one.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tools.brute_force import all_spins, p_value
from tools.fitted import Fitted, strengthen

from sklearn_rapid import RARBM, RBM
from sklearn_rapid.backends import RandomStream, get_backend
from sklearn_rapid.tables.mixed import MixedEncoder, Part
from sklearn_rapid.tables.reals.mapped import MappedEncoder, QuantileEncoder
from sklearn_rapid.tables.reals.maps import RealMap, count_decimals, learn_map
from sklearn_rapid.tables.reals.spiked import SpikedEncoder

SMALLEST_P = 1e-4
HOW = {"n_components": 3, "max_iter": 2, "random_state": 0, "dtype": "float64"}


def rows(n=600):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=n)
    return {
        "normal": normal,
        "uniform": rng.random(n),
        "exponential": rng.exponential(size=n),
        "Cauchy": rng.standard_cauchy(n),
        "cubes": rng.standard_cauchy(n) ** 3,
        "log-normal": np.exp(2.0 * normal),
        "values of all sizes": np.exp(8.0 * normal),
        "both signs of all sizes": np.exp(6.0 * normal) * rng.choice([-1.0, 1.0], n),
        "probabilities near 0 and 1": 1.0 / (1.0 + np.exp(-9.0 * normal)),
        "large": 1e25 * normal,
        "tiny": 1e-25 * normal,
        "far from zero": 1e9 + normal,
        "an outlier": np.append(normal, 1e15),
        "whole numbers": rng.poisson(4.0, n).astype(float),
        "times": 1.6e9 + rng.integers(0, 86_400 * 300, n),
        "up to 2**52": rng.integers(-(2**52), 2**52, n).astype(float),
        "near 2**52": 2.0**52 - rng.integers(1, 100, n),
        "negative decimals": -np.round(rng.exponential(size=n), 2),
        "float32 of decimals": np.float32(np.round(100.0 * normal, 1)).astype(float),
        "two values": np.repeat([1.0, 2.0], [n - 100, 100]),
        "two values far apart": np.repeat([0.0, 1e12], [n - 1, 1]),
        "two rows": np.array([0.25, 1.0 / 3.0]),
        "three rows": np.array([0.3, 1.0, 2.0]),
        "one value but for a row": np.append(np.full(n, 3.25), 4.5),
        "duplicates": rng.choice(rng.normal(size=7), n),
        "a point and a tail": np.where(rng.random(n) < 0.6, 0.0, np.exp(5.0 * normal)),
    }


COLUMNS = rows()


# --- maps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_line", [None, True, False])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_map_rises_and_is_inverse_to_itself(name, is_line):
    x = COLUMNS[name]
    found = learn_map(x, is_line=is_line)
    assert len(found.values) == len(found.scores) >= 2
    assert np.all(np.diff(found.values) > 0.0) and np.all(np.diff(found.scores) > 0.0)
    scores = found.to_scores(x)
    assert np.all(np.isfinite(scores)) and np.all(np.isfinite(found.log_slope(x)))
    order = np.argsort(x)
    assert np.all(np.diff(scores[order]) >= 0.0)
    expected = x if found.decimals is None else np.round(x, found.decimals)
    back, extent = found.to_values(scores), np.ptp(x)
    # To the rounding of the largest number of a piece; the whole range is that of a line.
    largest = np.abs(x).max() if len(found.values) == 2 else np.abs(x)
    allowed = np.minimum(1e-8 * largest, 1e-12 * extent) + 1e-15 * largest
    assert np.all(np.abs(back - expected) <= allowed)
    low, high = found.bounds
    assert (low, high) == pytest.approx((expected.min(), expected.max()), rel=1e-15)
    for beyond in (0.1, 9.0):
        assert found.to_values(scores.min() - beyond) == low
        assert found.to_values(scores.max() + beyond) == high


def test_missing_entries_stay_missing():
    found = learn_map(COLUMNS["log-normal"])
    assert len(found.values) > 2
    x = np.array([np.nan, 1.0, np.nan])
    for y in (found.to_scores(x), found.to_values(x)):
        np.testing.assert_array_equal(np.isnan(y), [True, False, True])


@pytest.mark.parametrize("name", ["normal", "Cauchy", "log-normal", "values of all sizes"])
def test_knots_are_quantiles(name):
    """At the scores of their levels; the ends are the least and the largest row."""
    x = COLUMNS[name]
    found = learn_map(x, is_line=False)
    assert len(found.values) > 2
    levels = stats.norm.cdf(found.scores)
    quantiles = np.quantile(x, levels[1:-1], method="hazen")
    np.testing.assert_allclose(found.values[1:-1], quantiles, rtol=1e-9)
    assert found.values[0] == x.min() and found.values[-1] == x.max()
    np.testing.assert_allclose(levels[[0, -1]], [0.5 / len(x), 1.0 - 0.5 / len(x)], rtol=1e-9)


def test_knots_of_rounded_values_are_quantiles_of_what_rounds_to_them():
    x = COLUMNS["whole numbers"]
    found = learn_map(x, is_line=False)
    spread = (x[:, None] + np.linspace(-0.5, 0.5, 2001)[1::2]).ravel()
    below = np.mean(spread[:, None] < found.values[1:-1], axis=0)
    np.testing.assert_allclose(stats.norm.cdf(found.scores[1:-1]), below, atol=1e-3)
    assert (found.values[0], found.values[-1]) == (x.min() - 0.5, x.max() + 0.5)


def test_a_line_standardises():
    x, weights = COLUMNS["exponential"], np.random.default_rng(1).integers(4, size=600)
    found = learn_map(x, weights, is_line=True)
    z = np.repeat(found.to_scores(x), weights)
    assert (z.mean(), z.std()) == pytest.approx((0.0, 1.0), abs=1e-12)


def test_the_likelihood_chooses():
    """A line for normal columns; for others quantiles, which describe other rows better."""
    rng = np.random.default_rng(2)
    for seed in range(5):
        assert len(learn_map(np.random.default_rng(seed).normal(size=2000)).values) == 2
    train, test = np.exp(rng.normal(size=(2, 2000)))
    log_p = {}
    for is_line in (None, True):
        found = learn_map(train, is_line=is_line)
        z = found.to_scores(train)
        log_p[is_line] = np.mean(
            stats.norm.logpdf(found.to_scores(test), z.mean(), z.std()) + found.log_slope(test)
        )
    truth = stats.lognorm(1.0).logpdf(test).mean()
    assert truth - 0.05 < log_p[None] < truth + 0.02
    assert log_p[True] < truth - 0.3


def test_rows_without_weight_say_nothing():
    x, rng = COLUMNS["log-normal"], np.random.default_rng(3)
    weights = rng.integers(3, size=len(x)).astype(float)
    weights[[x.argmin(), x.argmax()]] = 0.0
    gaps = np.where(weights > 0.0, x, np.nan)
    kept = weights > 0.0
    expected = learn_map(x[kept], weights[kept])
    for column in (x, gaps):
        learned = MappedEncoder().measure(column[:, None], weights, get_backend("numpy"))
        np.testing.assert_array_equal(learned.maps[0], [expected.values, expected.scores])
    assert learned.maps[0][0, 0] > x.min() and learned.maps[0][0, -1] < x.max()


@pytest.mark.parametrize(
    ("x", "decimals"),
    [
        ([1.5, 2.25], 2),
        ([3.0, -7.0], 0),
        ([-0.25, 0.125], 3),
        ([-1200.0, 300.0], 0),
        ([1e6 + 0.5], 1),
        ([1e-6], 6),
        ([1e-7], None),
        ([np.pi], None),
        ([0.1, np.pi], None),
        ([2.0**52 + 1.0], 0),
        ([1e200], 0),
        (np.float32([0.1, 12.7, -300.3]).astype(float), 1),
        (np.float32([700.1]).astype(float), 1),
        ([1.0 / 3.0], None),
        ([0.333333], 6),
        ([0.0], 0),
    ],
)
def test_decimals_are_counted(x, decimals):
    assert count_decimals(np.array(x)) == decimals


def test_results_are_rounded_as_rows_are():
    found = RealMap(np.array([-0.35, 1.25]), np.array([-1.0, 1.0]), 1)
    assert found.bounds == (-0.3, 1.2)
    z = np.linspace(-3.0, 3.0, 500)
    x = found.to_values(z)
    np.testing.assert_array_equal(np.unique(x), np.arange(-3, 13) / 10.0)
    np.testing.assert_allclose(x, np.clip(np.round(0.45 + 0.8 * z, 1), -0.3, 1.2), atol=1e-15)


# --- what is refused ------------------------------------------------------------------------

NORMAL = np.random.default_rng(4).normal(size=60)
CONSTANT = r"column 1 has the value \S+ alone: a constant has no density. Leave it out"
UNIT = "column 1 has values from .* Take another unit"
REFUSED = {
    "constant": (np.full(60, 3.3), None, CONSTANT),
    "zero": (np.zeros(60), None, CONSTANT),
    "constant but for rounding": (1.0 + 1e-16 * NORMAL, None, CONSTANT),
    "one entry": (np.where(np.arange(60) == 5, 1.0, np.nan), None, CONSTANT),
    "one value with weight": (np.repeat([1.5, 2.5], 30), np.repeat([0.0, 1.0], 30), CONSTANT),
    "nothing": (np.full(60, np.nan), None, "only NaN in column 1: leave such columns out"),
    "1e200": (1e200 * NORMAL, None, UNIT),
    "1e-200": (1e-200 * NORMAL, None, UNIT),
    "denormal": (1e-320 * NORMAL, None, UNIT),
    "1e40": (1e40 * NORMAL, None, UNIT),
}


@pytest.mark.parametrize("kind", ["real", "quantile"])
@pytest.mark.parametrize("name", REFUSED)
def test_columns_without_a_density_are_refused(name, kind):
    x, weights, message = REFUSED[name]
    model = RBM(2, max_iter=1, visible=kind)
    X = np.column_stack([NORMAL, x, NORMAL])
    if name == "constant but for rounding" and kind == "real":
        model.set_params(visible=[("quantile", [0, 1, 2])])  # "real" makes it a spike
    with pytest.raises(ValueError, match=message):
        model.fit(X, sample_weight=weights)
    assert not hasattr(model, "components_")


def test_errors_name_columns_among_those_of_a_kind():
    X = np.column_stack([NORMAL > 0, NORMAL, np.ones(60)])
    visible = [("binary", [0]), ("quantile", [1, 2])]
    with pytest.raises(ValueError, match=r"among the quantile columns 1, 2, .* column 1 has the v"):
        RBM(2, visible=visible).fit(X)


@pytest.mark.parametrize("x", [np.ones(60), np.repeat([0.0, 1.0], 30), np.full(60, np.nan)])
def test_columns_of_spikes_alone_are_refused(x):
    with pytest.raises(ValueError, match=r"column 1 has (fewer than two values besides|no known)"):
        RBM(2, visible="spiked").fit(np.column_stack([NORMAL, x]))


def test_later_rows_may_not_be_too_far_away():
    model = RBM(2, max_iter=1, visible="quantile").fit(1e-9 * NORMAL[:, None])
    for far in (1e9, 1.7e308):
        with pytest.raises(ValueError, match=r"within 1e\+15 standard deviations"):
            model.score_samples([[far]])
    assert np.isfinite(model.score_samples([[1.0]])).all()


# --- densities ------------------------------------------------------------------------------


def table(n=400):
    """Columns of every sort, which hang together."""
    rng = np.random.default_rng(5)
    z = rng.normal(size=n)
    return {
        "line": z + 0.5 * rng.normal(size=n),
        "quantiles": np.exp(1.5 * z + rng.normal(size=n)),
        "rounded": np.round(10.0 * z + rng.normal(size=n), 0),
        "decimals": np.round(np.exp(z), 1),
        "many zeros": np.where(rng.random(n) < 0.4, 0.0, np.exp(z)),
        "rounded, many zeros": np.where(rng.random(n) < 0.4, 0.0, np.round(20.0 * np.exp(z), 0)),
        "zeros and ninety-nines": np.where(
            rng.random(n) < 0.3, 0.0, np.where(rng.random(n) < 0.2, 99.0, 50.0 + 9.0 * z)
        ),
    }


TABLE = table()
ONE_COLUMN = [
    *((kind, name) for kind in ("gaussian", "real", "quantile") for name in list(TABLE)[:4]),
    *(("spiked", name) for name in TABLE),
]


def fitted(kinds, names, cls=RBM):
    """A model of some columns of the table, with strong couplings."""
    X = np.column_stack([TABLE[name] for name in names])
    model = cls(**HOW, visible=dict(enumerate(kinds))).fit(X)
    return strengthen(model, seed=len(names))


@pytest.mark.parametrize(("kind", "name"), ONE_COLUMN)
def test_a_density_integrates_to_one(kind, name):
    """Over the numbers of a column, spikes being masses."""
    model = fitted([kind], [name])
    exact = Fitted(model)
    X, weights = exact.grid()
    log_p = model.score_samples(X)
    assert weights @ np.exp(log_p) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(log_p, exact.log_density(X), atol=1e-9)


@pytest.mark.parametrize("name", ["decimals", "many zeros", "rounded, many zeros"])
def test_a_density_is_that_of_a_mixture(name):
    """Of normal distributions of scores, one for each state of the hidden units."""
    kind = "spiked" if "zeros" in name else "quantile"
    model = fitted([kind], [name])
    knots, at = model.maps_[0], len(model.mean_) - 1
    h, c = all_spins(3), model.intercept_hidden_
    field = h @ model.components_ + model.intercept_visible_
    of_rest = np.exp(h @ c + 0.5 * field[:, at] ** 2) * np.sqrt(2.0 * np.pi)
    of_spike, width = 0.0, 1.0 if model.decimals_[0] is None else 10.0 ** -model.decimals_[0]
    if kind == "spiked":
        of_rest, of_spike = of_rest * np.exp(field[:, 1]), np.exp(h @ c + field[:, 0]).sum()
    total = of_rest.sum() + of_spike
    x = np.array([0.35, 1.6, 7.0, 200.0])
    right = np.clip(np.searchsorted(knots[0], x), 1, len(knots[0]) - 1)
    rise, run = np.diff(knots[1])[right - 1], np.diff(knots[0])[right - 1]
    z, slope = knots[1, right] + (x - knots[0, right]) * rise / run, rise / run
    scale = model.scale_[at]
    normal = stats.norm.pdf(z[:, None], model.mean_[at] + scale * field[:, at], scale)
    expected = normal @ of_rest / total * slope
    np.testing.assert_allclose(np.exp(model.score_samples(x[:, None])), expected, rtol=1e-9)
    if kind == "spiked":
        np.testing.assert_allclose(
            np.exp(model.score_samples([[0.0]])), of_spike / total / width, rtol=1e-9
        )


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (["real", "real"], ["line", "rounded"]),
        (["quantile", "gaussian"], ["quantiles", "line"]),
        (["gaussian", "spiked", "gaussian"], ["line", "many zeros", "rounded"]),
        (["spiked", "spiked"], ["zeros and ninety-nines", "rounded, many zeros"]),
        pytest.param(
            ["gaussian", "spiked", "quantile"],
            ["rounded", "many zeros", "decimals"],
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.parametrize("cls", [RBM, pytest.param(RARBM, marks=pytest.mark.slow)])
def test_joint_densities_integrate_to_one(kinds, names, cls):
    model = fitted(kinds, names, cls)
    exact = Fitted(model)
    X, weights = exact.grid(longest=3.0)
    log_p = model.score_samples(X)
    assert weights @ np.exp(log_p) == pytest.approx(1.0, abs=1e-6)
    some = np.random.default_rng(0).integers(len(X), size=200)
    np.testing.assert_allclose(log_p[some], exact.log_density(X[some]), atol=1e-9)


# --- rounded values -------------------------------------------------------------------------


def encoder_of(kind, X):
    cls = {"real": MappedEncoder, "quantile": QuantileEncoder, "spiked": SpikedEncoder}[kind]
    backend = get_backend("numpy")
    if kind == "spiked":
        encoder = cls(spikes=[np.zeros(1)] * X.shape[1], dtype="float64")
    else:
        encoder = cls(dtype="float64")
    return replace(encoder.measure(X, None, backend), backend=backend)


def offsets(encoder, X, states, columns):
    """How far the numbers that were encoded are from the rounded ones, in steps."""
    found = []
    for j in columns:
        unit = states.shape[1] - X.shape[1] + j
        z = states[:, unit] * encoder.scale[unit] + encoder.mean[unit]
        scores, values = encoder.maps[j][::-1]
        x = RealMap(scores, values).to_scores(z)
        found.append((x - X[:, j]) * 10.0 ** encoder.decimals[j])
    return np.array(found)


@pytest.mark.parametrize("kind", ["real", "quantile", "spiked"])
def test_training_draws_what_rounds_to_a_value(kind):
    """Uniformly, anew each time, and for each column apart."""
    rng = np.random.default_rng(6)
    X = np.column_stack([
        -np.round(10.0 * rng.exponential(size=2000)) - 1.0, np.round(rng.normal(size=2000), 2),
    ])  # fmt: skip
    encoder, stream = encoder_of(kind, X), RandomStream(7)
    assert encoder.is_drawn and encoder.decimals == [0, 2]
    found = []
    for draw in (3, 4):
        drawn = encoder.states(X, stream, draw)
        np.testing.assert_array_equal(drawn, encoder.states(X, stream, draw))
        of_columns = offsets(encoder, X, drawn, [0, 1])
        if kind == "spiked":
            of_columns[1, X[:, 1] == 0.0] = np.nan
        found += list(of_columns)
    for u in found:
        u = u[~np.isnan(u)] + 0.5
        assert stats.kstest(u, "uniform").pvalue > SMALLEST_P
        assert u.min() >= -1e-9 and u.max() <= 1.0 + 1e-9
    for i in range(4):
        for j in range(i):
            known = ~np.isnan(found[i] + found[j])
            assert stats.pearsonr(found[i][known], found[j][known]).pvalue > SMALLEST_P
    assert stream == RandomStream(7)
    middle = offsets(encoder, X, encoder.states(X), [0, 1])
    np.testing.assert_allclose(middle[:, X[:, 1] != 0.0], 0.0, atol=1e-9)


def test_columns_of_different_kinds_draw_apart():
    """A table draws for all of its kinds at once."""
    rng = np.random.default_rng(8)
    X = np.round(100.0 * rng.random((2000, 3))) + 1.0
    parts = tuple(
        Part(kind, np.array([j]), encoder_of(kind, X[:, j : j + 1]))
        for j, kind in enumerate(["real", "quantile", "spiked"])
    )
    backend = get_backend("numpy")
    table = MixedEncoder(parts, backend=backend, dtype="float64")
    states = table.states(X, RandomStream(7), 3)
    u = [
        offsets(part.encoder, X[:, [j]], states[:, where], [0])[0]
        for (j, part), where in zip(
            enumerate(parts), (slice(0, 1), slice(1, 2), slice(2, 5)), strict=True
        )
    ]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        cells = np.floor(4.0 * (np.array([u[i], u[j]]) + 0.5)).clip(0, 3).astype(int)
        counts = np.bincount(np.ravel_multi_index(cells, (4, 4)), minlength=16)
        assert p_value(counts, np.full(16, 1.0 / 16.0)) > SMALLEST_P


def test_values_that_are_not_rounded_are_not_drawn():
    X = np.column_stack([TABLE["line"], TABLE["rounded"]])
    encoder = encoder_of("real", X)
    drawn, plain = encoder.states(X, RandomStream(0), 0), encoder.states(X)
    np.testing.assert_array_equal(drawn[:, 0], plain[:, 0])
    assert np.all(drawn[:, 1] != plain[:, 1])
    assert not encoder_of("real", X[:, :1]).is_drawn
    gaps = np.where(np.arange(len(X))[:, None] % 3 == [0, 1], np.nan, X)
    drawn = encoder.states(gaps, RandomStream(0), 0)
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(gaps))


def test_a_fit_sees_other_numbers_in_each_epoch(monkeypatch):
    seen = []
    states = MappedEncoder.states

    def recorded(self, X, stream=None, draw=0, n_rows=0):
        found = states(self, X, stream, draw, n_rows)
        if stream is not None:
            seen.append((X.copy(), offsets(self, X, found, [0])[0]))
        return found

    monkeypatch.setattr(MappedEncoder, "states", recorded)
    X = TABLE["rounded"][:, None]
    RBM(2, max_iter=3, batch_size=100, random_state=0, dtype="float64", visible="real").fit(X)
    assert len(seen) == 12
    u = np.concatenate([u for _, u in seen]) + 0.5
    np.testing.assert_array_equal(np.sort(np.concatenate([x for x, _ in seen[:4]]), axis=0),
                                  np.sort(X, axis=0))  # fmt: skip
    assert len(np.unique(u)) == 1200
    assert stats.kstest(u, "uniform").pvalue > SMALLEST_P
