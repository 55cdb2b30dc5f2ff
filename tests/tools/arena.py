"""Fitted models that are hard to sample and whose log Z is known: tests of `log_partition`.

An estimate may say that it is not to be trusted. One that does not say so must be within five of
its errors of the sum over all states.

Machines made by hand are set on an estimator that was fitted for one epoch, to rows drawn from the
machine itself unless it says otherwise: the rows show what training would have seen. Others are
what a fit makes of rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone

from sklearn_rapid import DBM, RABM, RARBM, RBM
from tools.brute_force import weights_of_patterns
from tools.weights import (
    Weights,
    blocks,
    clusters,
    deep,
    hole,
    of_patterns,
    ordered,
    potts,
    random_machine,
    signs,
    two_modes,
)

# Larger sums are left to the package, which `test_arena` compares with those of `Weights`.
MOST_SPINS_HERE = 16
# An estimate that is further from the truth, in its errors, is wrong.
MOST_ERRORS = 5.0


@dataclass(frozen=True)
class Case:
    """A fitted model, the exact log Z of its machine, and the rows that it was fitted to.

    `row` is one whose share in samples is worth a look at: a hole, or a row that recurs in X.
    """

    name: str
    model: Any
    log_z: float
    X: np.ndarray
    row: np.ndarray | None = None

    @property
    def has_exact_row(self):
        """Whether there is such a row, and its free energy is no bound."""
        return self.row is not None and not isinstance(self.model, DBM)

    @property
    def p_of_row(self):
        """The exact probability of `row`."""
        return float(np.exp(-self.model.free_energy(self.row[None, :])[0] - self.log_z))


@dataclass(frozen=True)
class Outcome:
    """The result of `log_partition("tempering")` for a case."""

    name: str
    seed: int
    deviation: float
    error: float
    is_trusted: bool

    @property
    def z(self):
        """The deviation in stated errors."""
        if self.error > 0.0:
            return self.deviation / self.error
        return 0.0 if self.deviation == 0.0 else np.copysign(np.inf, self.deviation)

    @property
    def is_wrong(self):
        """Trusted, and further off than it says."""
        return self.is_trusted and not abs(self.z) <= MOST_ERRORS


def outcome(case, seed, **how):
    """Compare `log_partition("tempering")` with the exact log Z."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = case.model.log_partition("tempering", random_state=seed, **how)
    return Outcome(case.name, seed, found.value - case.log_z, found.error, found.is_trusted)


def share_deviation(case, seed, n_samples=2000):
    """The share of `row` in samples less its probability, in binomial standard errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        samples = case.model.sample(n_samples, random_state=seed)
    p = case.p_of_row
    n_found = np.sum(np.all(samples == case.row, axis=1))
    return float((n_found - n_samples * p) / np.sqrt(n_samples * p * (1.0 - p)))


def coverage(z):
    """For widths of 1, 2 and 3 errors: how many |z| are below, and the range of right errors.

    Errors of 24 columns are uncertain themselves, so that z follows Student's t of 23 degrees.
    Each range is left once in a hundred times, if seeds are independent.
    """
    found = []
    for width in (1.0, 2.0, 3.0):
        p = 1.0 - 2.0 * stats.t.sf(width, 23)
        low, high = stats.binom.ppf([0.005, 0.995], len(z), p)
        found.append((width, int(np.sum(np.abs(z) < width)), int(low), int(high)))
    return found


# --- cases --------------------------------------------------------------------------------------


def weights_of(model):
    """The arrays of a fitted model, in float64."""
    b, c = (np.float64(x) for x in (model.intercept_visible_, model.intercept_hidden_))
    if isinstance(model, RARBM):
        W = weights_of_patterns(*map(np.float64, (model.visible_patterns_, model.hidden_patterns_)))
    else:
        W = np.float64(model.components_.T)
    visible = "binary" if model.visible == "auto" else model.visible
    if visible == "categorical":
        (visible,) = {len(codes) for codes in model.categories_}
    hidden = "gaussian" if isinstance(model, RABM) else getattr(model, "hidden", "binary")
    return Weights(W, b, c, visible, hidden)


def exact_log_z(model):
    """Exact log Z: by a sum that does not need the package, where that is quick."""
    if isinstance(model.visible, list):
        return model.log_partition("exact").value
    weights = weights_of(model)
    if weights.n_enumerated <= MOST_SPINS_HERE:
        return weights.log_z()
    return model.log_partition("exact").value


def as_rows(v):
    """Spins as a user's 0 and 1."""
    return (v > 0).astype(np.int8)


def by_hand(name, weights, *, estimator=None, X=None, row=None, n_rows=200):
    """A case of an RBM with these arrays, or of another estimator whose machine has their shapes.

    Without X, rows are drawn from the machine; `row`, of spins, is one of them.
    """
    units = {"gaussian": "gaussian", "binary": "binary"}.get(weights.visible, "categorical")
    if estimator is None:
        estimator = RBM(weights.W.shape[1], visible=units, hidden=weights.hidden)
    if X is None:
        X = weights.draws(n_rows, np.random.default_rng(0))
        X = as_rows(X) if units == "binary" else X
        if row is not None:
            X[0] = as_rows(row)
        if units == "categorical":
            # Each code has to be seen once.
            X[: weights.visible] = np.arange(weights.visible)[:, None]
    model = clone(estimator).set_params(max_iter=1, random_state=0).fit(X)
    set_arrays(model, weights)
    return Case(name, model, exact_log_z(model), X, None if row is None else as_rows(row))


def set_arrays(model, weights):
    """Put arrays made by hand on a fitted model."""
    if isinstance(model, RARBM):
        visible, hidden = patterns_of(weights.W, int(model.n_patterns))
        model.visible_patterns_, model.hidden_patterns_ = np.float32(visible), np.float32(hidden)
    else:
        model.components_ = np.ascontiguousarray(weights.W.T, dtype=np.float32)
    model.intercept_visible_ = np.float32(weights.b)
    model.intercept_hidden_ = np.float32(weights.c)


def patterns_of(W, n_patterns):
    """Patterns ξ_v, ξ_h with W = ξ_vᵀ ξ_h / √K, of a W with at most K singular values."""
    u, s, vt = np.linalg.svd(W, full_matrices=False)
    if np.any(s[n_patterns:] > 1e-6 * s[0]):
        raise ValueError(f"W has more than {n_patterns} singular values")
    scale = np.sqrt(s[:n_patterns] * np.sqrt(n_patterns))[:, None]
    return scale * u.T[:n_patterns], scale * vt[:n_patterns]


def trained(estimator, X, row=None, note=""):
    """A case of a model fitted to rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = estimator.fit(X)
    name = " ".join(f"{estimator}{note}".split())
    return Case(name, model, exact_log_z(model), X, row)


# --- a: modes far apart -------------------------------------------------------------------------


def modes(share, strength, field=0.0):
    name = f"modes of {1 - share:.2f} and {share:.2f}, strength {strength}, field {field}"
    return by_hand(name, two_modes(share, strength=strength, field=field))


def modes_of_which_rows_show_one():
    weights = two_modes(0.5, strength=0.4)
    v = weights.draws(400, np.random.default_rng(1))
    one = as_rows(v[(v @ weights.W @ np.sign(weights.W[0])) > 0])
    return by_hand("modes of which rows show one", weights, X=one)


def some_clusters(n, strength):
    return by_hand(f"{n} clusters, strength {strength}", clusters(n, strength=strength))


def kind_modes():
    """Two modes far apart, of unequal weight; a field against one of them; clusters."""
    return [
        *(partial(modes, s, w) for s in (0.5, 0.1, 0.02) for w in (0.15, 0.4, 0.8)),
        *(partial(modes, 0.5, 0.4, f) for f in (0.3, 1.0, 2.0)),
        modes_of_which_rows_show_one,
        *(partial(some_clusters, n, w) for n in (4, 8) for w in (0.3, 0.6)),
    ]


# --- b: golf holes ------------------------------------------------------------------------------


def a_hole(share, n_visible, *, n_holes=1, estimator=None, n_rows=200, **how):
    rows = signs(np.random.default_rng([n_visible, n_holes]), n_holes, n_visible)
    weights = hole(rows, share, **how)
    kind = "RBM" if estimator is None else type(estimator).__name__
    name = f"{kind}, {n_holes} holes, the first of {share}, {n_visible} columns, {how}"
    return by_hand(name, weights, row=rows[0], n_rows=n_rows, estimator=estimator)


def deep_hole(share):
    """24 columns, 5 units above them, one of which makes a hole, and 3 above these."""
    row = signs(np.random.default_rng(7), 1, 24)
    weights = deep(hole(row, share), 3, 0.3)
    X = as_rows(weights.draws(200, np.random.default_rng(8))[:, :24])
    X[0] = as_rows(row)
    return by_hand(f"DBM, a hole of {share}", weights, X=X, estimator=DBM((5, 3)))


def kind_holes():
    """A deep narrow hole at a row of X, which no ladder finds."""
    shapes = [
        (24, {}), (40, {"n_units": 3}), (60, {"radius": 2}), (30, {"n_units": 2, "radius": 3}),
        (30, {"bias": -0.8}), (30, {"n_holes": 3}), (30, {"n_rows": 2000}),
    ]  # fmt: skip
    return [
        *(partial(a_hole, s, n, **how) for s in (0.05, 0.3, 0.95) for n, how in shapes
          if s * how.get("n_holes", 1) < 1.0),
        *(partial(a_hole, s, 36, n_units=2, estimator=RARBM(6, 5)) for s in (0.3, 0.9)),
        *(partial(deep_hole, s) for s in (0.3, 0.9)),
    ]  # fmt: skip


# --- near, opposite, of the hidden units: holes where no row is --------------------------------


def a_hole_elsewhere(where, share=0.5, n_visible=30, radius=1):
    rng = np.random.default_rng(11)
    row = signs(rng, n_visible)
    flipped = np.arange(n_visible) < (where if isinstance(where, int) else 0)
    known = -row if where == "opposite" else np.where(flipped, -row, row)
    weights = hole(row, share, radius=radius)
    X = as_rows(signs(rng, 200, n_visible))
    if where != "unseen":
        # As often as the hole is due, so that training would notice.
        X[: int(200 * share)] = as_rows(known)
    name = f"a hole of {share}, radius {radius}, rows: {where}"
    case = by_hand(name, weights, X=X)
    return Case(name, case.model, case.log_z, X, as_rows(row))


def kind_near():
    """A hole one, two or three flips from a row, or at its opposite."""
    return [
        partial(a_hole_elsewhere, where, share, radius=radius)
        for where in (1, 2, 3, "opposite")
        for share in (0.3, 0.9)
        for radius in (1, 2)
    ]


def kind_unseen():
    """A hole where no row is, nor near, or a hole in each of several blocks of columns.

    Nothing is promised of these: no row shows the state of all blocks, and none is heavy. Nor of a
    row that recurs in a table with real columns, by chains that restart: states have densities.
    """
    kinds = [("binary", slice(0, 40)), ("gaussian", slice(40, 45))]
    mixed = RBM(16, max_iter=200, negative_phase="cd", visible=kinds)
    return [
        *(partial(a_hole_elsewhere, "unseen", s, radius=r) for s in (0.3, 0.9) for r in (1, 3)),
        *(partial(holes_in_blocks, s, n) for s in (0.1, 0.5) for n in (2, 5)),
        *(partial(astray, beside_real_columns, mixed, d) for d in (1, 2)),
    ]


# --- c: transitions of first order --------------------------------------------------------------


def a_transition(share, onset, n_visible=40, n_free=0, n_rows=200):
    weights = ordered(share, onset=onset, n_visible=n_visible, n_free=n_free)
    name = f"a phase of {share}, onset {onset}, {n_visible} columns, {n_free} free, {n_rows} rows"
    return by_hand(name, weights, n_rows=n_rows)


def holes_in_blocks(share, n_blocks):
    """Each block of 20 columns has its hole: rows show them, and not all of them together."""
    weights = blocks(ordered(share, n_visible=20, onset=0.9), n_blocks)
    return by_hand(f"{n_blocks} blocks with a hole of {share} each", weights)


def agreeing_codes(share, n_codes):
    return by_hand(f"{n_codes} codes that agree, {share}", potts(share, n_codes=n_codes))


def strong_glass(scale, seed):
    weights = random_machine((14, 60), scale, seed=seed)
    return by_hand(f"random couplings of scale {scale}, {seed}", weights)


def kind_transitions():
    """Modes that have next to no weight at β < 1 and most of it at 1; many strong couplings."""
    return [
        *(partial(a_transition, s, o) for s in (0.1, 0.5, 0.9) for o in (0.4, 0.6, 0.8)),
        partial(a_transition, 0.5, 0.5, 80),
        *(partial(a_transition, s, 0.9, 44, 20) for s in (0.1, 0.5, 0.9)),
        # So many rows show nearly all of a thousand states, each as likely as the others.
        *(partial(a_transition, s, 0.9, 44, n, 2000) for s in (0.1, 0.5) for n in (2, 10)),
        *(partial(agreeing_codes, s, q) for s in (0.1, 0.5, 0.9) for q in (3, 5)),
        *(partial(strong_glass, scale, seed) for scale in (1.0, 3.0, 10.0) for seed in (0, 1)),
    ]


# --- d: patterns --------------------------------------------------------------------------------


def some_patterns(n_patterns, strength, bias):
    weights = of_patterns(n_patterns, strength, bias=bias)
    name = f"{n_patterns} patterns, strength {strength}, biases {bias}"
    return by_hand(name, weights, estimator=RARBM(12, n_patterns))


def kind_patterns():
    """One to three patterns of various strengths."""
    return [
        partial(some_patterns, k, strength, bias)
        for k in (1, 2, 3)
        for strength in (0.1, 0.3, 0.6, 1.5)
        for bias in (0.0, 0.3)
    ]


# --- e: other machines --------------------------------------------------------------------------


def deep_machine(strength):
    weights = deep(random_machine((24, 10), strength), 6, strength / 3)
    X = as_rows(weights.draws(200, np.random.default_rng(0))[:, :24])
    return by_hand(f"DBM, strength {strength}", weights, X=X, estimator=DBM((10, 6)))


def full_machine(strength, n_latent):
    weights = random_machine((14, 5), strength, hidden="gaussian")
    X = as_rows(weights.draws(200, np.random.default_rng(0))[:, : 14 - n_latent])
    name = f"RABM, {n_latent} hidden, strength {strength}"
    return by_hand(name, weights, X=X, estimator=RABM(n_latent, 5))


def gaussian_hidden(strength):
    weights = random_machine((14, 8), strength, hidden="gaussian")
    return by_hand(f"Gaussian hidden units, strength {strength}", weights)


def gaussian_columns(strength, n_hidden):
    weights = clusters(n_hidden, strength=strength, n_visible=8, visible="gaussian")
    return by_hand(f"Gaussian columns, {n_hidden} units, strength {strength}", weights)


def kind_others():
    """Deep and full machines; real units, visible and hidden ones."""
    return [
        *(partial(deep_machine, s) for s in (1.0, 2.0, 5.0)),
        *(partial(full_machine, s, n) for s in (0.5, 1.0, 2.0) for n in (0, 3)),
        *(partial(gaussian_hidden, s) for s in (0.5, 1.0, 2.0)),
        *(partial(gaussian_columns, s, n) for s in (0.5, 1.0, 2.0) for n in (4, 10)),
    ]


# --- f: rows that recur -------------------------------------------------------------------------


def rows_that_recur(draw, share=0.1, rows="zeros", n_rows=2000, n_columns=50):
    """Fair coins, but for a share of the rows: one that recurs, or several."""
    rng = np.random.default_rng(draw)
    X = rng.integers(2, size=(n_rows, n_columns))
    special = np.zeros((1, n_columns), dtype=int)
    if rows != "zeros":
        special = rng.integers(2, size=(rows, n_columns))
    n = int(share * n_rows)
    X[:n] = special[np.arange(n) % len(special)]
    return X, special[0]


def recurring(estimator, draw, **how):
    X, row = rows_that_recur(draw, **how)
    return trained(clone(estimator).set_params(random_state=0), X, row, f", draw {draw}, {how}")


def kind_recurring():
    """Fair coins, and a row that recurs in a tenth of them: fourteen draws, as a fit makes them."""
    return [partial(recurring, RARBM(22, n_patterns=16, max_iter=200), d) for d in range(14)]


def kind_recurring_others():
    """The same by other estimators, with other shares, several such rows, fewer epochs."""
    deep, full = DBM((14, 6), max_iter=200), RABM(n_patterns=16, max_iter=200)
    return [
        *(partial(recurring, RBM(20, max_iter=200), d) for d in range(3)),
        *(partial(recurring, RBM(16, max_iter=200), d, share=s)
          for d in range(2) for s in (0.02, 0.05)),
        *(partial(recurring, RARBM(20, n_patterns=16, max_iter=200), d, share=s)
          for d in range(2) for s in (0.02, 0.05)),
        *(partial(recurring, RBM(16, max_iter=200), 0, rows=n) for n in (1, 3, 10)),
        *(partial(recurring, RBM(16), d) for d in range(2)),
        *(partial(recurring, RARBM(16, n_patterns=8, max_iter=100), d) for d in range(2)),
        partial(recurring, deep, 0), partial(recurring, full, 0, n_columns=18),
    ]  # fmt: skip


# --- rows that lead a fit astray ----------------------------------------------------------------


def coins(draw, n_rows=2000, n_columns=50):
    return np.random.default_rng(draw).integers(2, size=(n_rows, n_columns))


def zeros_of_a_tenth(draw, n_columns=50):
    """One row that recurs, as above."""
    return rows_that_recur(draw, n_columns=n_columns)[0]


def copies_with_flips(draw, n_flips, n_columns=50):
    """Copies of zeros, each with some flips: the mode is where no row is."""
    X = zeros_of_a_tenth(draw, n_columns)
    rng = np.random.default_rng(draw)
    for i in range(200):
        X[i, rng.choice(n_columns, n_flips, replace=False)] = 1
    return X


def noisy_copies(draw):
    """Copies of a row whose columns are flipped one time in twenty."""
    X, row = coins(draw), coins(draw + 100, 1)
    X[:200] = row ^ (np.random.default_rng(draw).random((200, 50)) < 0.05)
    return X


def copies_with_gaps(draw):
    """Copies of zeros, of each of which five columns are missing: no row is ever seen whole."""
    X = zeros_of_a_tenth(draw).astype(float)
    for i in range(200):
        X[i, np.random.default_rng(i).choice(50, 5, replace=False)] = np.nan
    return X


def probabilities_of_zeros(draw):
    """Rows of small probabilities, from which bits are drawn in each epoch."""
    X = zeros_of_a_tenth(draw).astype(float)
    X[:200] = 0.02
    return X


def a_subcube(draw, n_fixed=30):
    """A tenth of the rows have zeros in the first columns, and coins in the others."""
    X = coins(draw)
    X[:200, :n_fixed] = 0
    return X


def halves(draw):
    """Zeros in the first half of the columns, or in the second one, and never in both."""
    X = coins(draw)
    X[:400, :25], X[400:800, 25:] = 0, 0
    return X


def three_rows(draw):
    """Three rows that recur."""
    X = coins(draw)
    X[:300] = coins(7, 3)[np.arange(300) % 3]
    return X


def three_of_four(draw):
    """Two halves, each a pattern or its opposite, of which one combination is never seen."""
    X, k = coins(draw), np.arange(300) % 3
    left, right = (np.array([p, 1 - p]) for p in coins(draw + 100, 2, 25))
    X[:300] = np.hstack([left[k // 2], right[k % 2]])
    return X


def codes_of_a_tenth(draw):
    """Columns of four codes: one row that recurs."""
    X = np.random.default_rng(draw).integers(4, size=(2000, 20))
    X[:200] = 0
    return X


def beside_real_columns(draw):
    """Forty columns with a row that recurs, and five real ones."""
    noise = np.random.default_rng(draw).normal(size=(2000, 5))
    return np.hstack([zeros_of_a_tenth(draw, 40), noise])


def astray(rows, estimator, draw, **how):
    X = rows(draw, **how)
    note = f", {rows.__name__}, draw {draw}, {how}"
    return trained(clone(estimator).set_params(random_state=0), X, note=note)


def later_without(estimator, draw):
    """A row that recurs in a fit, and is not there when it goes on."""
    X = zeros_of_a_tenth(draw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = clone(estimator).set_params(random_state=0, max_iter=195).fit(X)
    estimator.set_params(warm_start=True, max_iter=5)
    return trained(estimator, X[200:], note=f", then without the row, draw {draw}")


def kind_rows():
    """Fits that give much of their probability to what rows show only by halves."""
    rbm, rarbm = partial(RBM, 16, max_iter=200), partial(RARBM, 16, max_iter=200)
    cd = {"negative_phase": "cd"}
    rows = zeros_of_a_tenth
    return [
        *(partial(astray, rows, rbm(**cd), d) for d in range(3)),
        *(partial(astray, rows, rarbm(16, **cd), d) for d in (1, 2)),
        *(partial(astray, rows, rbm(), d, n_columns=100) for d in range(2)),
        *(partial(astray, rows, rbm(**cd), d, n_columns=100) for d in range(2)),
        partial(astray, rows, rarbm(4, negative_phase="pid"), 2),
        *(partial(astray, rows, DBM((12, 4), max_iter=n), d) for n, d in ((200, 0), (60, 1))),
        *(partial(astray, copies_with_flips, rbm(), d, n_flips=f, n_columns=n)
          for d, f, n in ((0, 2, 50), (1, 3, 100))),
        *(partial(astray, copies_with_flips, rarbm(k, **cd), d, n_flips=2)
          for k in (4, 16) for d in range(3)),
        partial(astray, noisy_copies, rarbm(16), 1),
        partial(astray, copies_with_gaps, rbm(), 0),
        partial(astray, probabilities_of_zeros, rbm(binarize="sample"), 0),
        partial(astray, a_subcube, rarbm(16), 0),
        *(partial(astray, a_subcube, rbm(**cd), d) for d in (1, 2)),
        *(partial(astray, a_subcube, rarbm(16, **cd), d, n_fixed=35) for d in (0, 1)),
        partial(astray, halves, rbm(), 1),
        partial(astray, halves, rarbm(16), 0),
        partial(astray, three_rows, rbm(), 1),
        partial(astray, three_rows, rarbm(16), 0),
        *(partial(astray, three_of_four, rarbm(k), d) for k in (4, 16) for d in range(2)),
        *(partial(astray, codes_of_a_tenth, RBM(10, max_iter=100, visible="categorical"), d)
          for d in (1, 2)),
        *(partial(later_without, rarbm(k, **cd), 2) for k in (4, 16)),
    ]  # fmt: skip


# --- g: rare events -----------------------------------------------------------------------------


def rare(kind, estimator, seed=0):
    rng = np.random.default_rng(seed)
    X = {
        "sparse columns": lambda: rng.random((2000, 40)) < 0.01,
        "some always off": lambda: (rng.random((2000, 40)) < 0.3) & (np.arange(40) < 30),
        "one-hot groups": lambda: np.eye(8)[rng.integers(8, size=(1000, 4))].reshape(1000, 32),
        "duplicates": lambda: np.repeat(rng.integers(2, size=(20, 40)), 50, axis=0),
        "one row": lambda: np.repeat(rng.integers(2, size=(1, 40)), 200, axis=0),
        "bursts": lambda: np.where(rng.random((2000, 1)) < 0.02, 1, rng.random((2000, 40)) < 0.05),
    }[kind]()
    return trained(clone(estimator).set_params(random_state=0), X.astype(np.int8), note=f", {kind}")


RARE = ["sparse columns", "some always off", "one-hot groups", "duplicates", "one row", "bursts"]


def kind_rare():
    """Sparse columns, one-hot groups, duplicates: default fits, and longer ones."""
    estimators = [
        RBM(16), RBM(16, max_iter=100), RARBM(16, n_patterns=8), DBM((12, 6)),
    ]  # fmt: skip
    return [partial(rare, kind, estimator) for kind in RARE for estimator in estimators]


# --- where there is next to nothing to estimate -------------------------------------------------


def independent(size, bias, n_visible):
    """Next to no couplings, and fields on the columns alone."""
    weights = random_machine((n_visible, 8), size, seed=1)
    b = bias * signs(np.random.default_rng(2), n_visible)
    name = f"{n_visible} independent columns, couplings of {size}, fields of {bias}"
    return by_hand(name, Weights(weights.W, b, 0.0 * weights.c))


def few_columns(n_columns, max_iter):
    """So few that rows show every state, or half of them."""
    X = np.random.default_rng(0).random((2000, n_columns)) < np.linspace(0.1, 0.5, n_columns)
    estimator = RBM(16, max_iter=max_iter, random_state=0)
    return trained(estimator, X.astype(np.int8), note=f", {n_columns} columns")


def kind_trivial():
    """Machines whose log Z is known nearly without chains: errors of nothing are wrong, too."""
    return [
        *(partial(independent, s, b, n) for s in (0.0, 0.01) for b in (0.0, 1.0, 50.0)
          for n in (20, 200)),
        *(partial(few_columns, n, k) for n in (1, 4, 12) for k in (20, 200)),
    ]  # fmt: skip


# --- easy ones ----------------------------------------------------------------------------------


def easy_machine(scale, seed):
    weights = random_machine((20, 10), scale, seed=seed)
    return by_hand(f"easy, scale {scale}, {seed}", weights)


def kind_easy():
    """Weak random couplings, where nothing goes wrong: are stated errors right?"""
    return [partial(easy_machine, scale, 0) for scale in (0.5, 1.0)]


KINDS = {
    "easy": kind_easy,
    "trivial": kind_trivial,
    "modes": kind_modes,
    "holes": kind_holes,
    "near": kind_near,
    "transitions": kind_transitions,
    "patterns": kind_patterns,
    "others": kind_others,
    "rare": kind_rare,
    "rows": kind_rows,
    "recurring": kind_recurring,
    "recurring-others": kind_recurring_others,
    "unseen": kind_unseen,
}
# Of the last kind there is nothing to promise.
PROMISED = [kind for kind in KINDS if kind != "unseen"]
