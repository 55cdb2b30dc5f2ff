"""Draws of rows, and of what is missing in rows, against exact distributions.

Statistical tests refuse what is right with probability 1e-4 each, were the seeds not fixed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from tools.brute_force import p_value
from tools.customers import NAMES, fitted_customers, make_customers
from tools.fitted import N_NODES, Fitted, strengthen

from sklearn_rapid import DBM, RARBM, RBM
from sklearn_rapid.datasets import make_bars

SMALLEST_P = 1e-4
BOTH = ["RBM", "RARBM"]
CUSTOMERS = make_customers()


def exact_masses(exact, columns, given):
    """Values of discrete columns, and the probabilities of their draws given the other columns.

    What codes not seen have falls to the infrequent ones, by their shares.
    """
    X, _ = exact.grid(columns, given=given)
    log_p = exact.model.score_samples(X)
    p = np.exp(log_p - logsumexp(log_p))
    names = [NAMES[j] for j in columns]
    masses = dict(zip(X[names].itertuples(index=False, name=None), p, strict=True))
    for place, j in enumerate(columns):
        rare = exact.attribute("infrequent_categories_", j)
        if rare is None:
            continue
        shares = exact.model.infrequent_shares_[j]
        seen, changed = set(exact.model.categories_[j]), {}
        for row, mass in masses.items():
            if row[place] in seen:
                changed[row] = changed.get(row, 0.0) + mass
                continue
            for code, share in zip(rare, shares / shares.sum(), strict=True):
                other = (*row[:place], code, *row[place + 1 :])
                changed[other] = changed.get(other, 0.0) + mass * share
        masses = changed
    return masses


def p_value_of_rows(drawn, columns, masses):
    names = [NAMES[j] for j in columns]
    found = drawn[names].value_counts().to_dict()
    assert set(found) <= set(masses)
    counts = np.array([found.get(row, 0) for row in masses])
    return p_value(counts, np.array(list(masses.values())))


# --- few completions: exact draws -----------------------------------------------------------


@pytest.mark.parametrize(
    "missing", [["member"], ["town"], ["plan", "member"], ["member", "town", "plan"]]
)
@pytest.mark.parametrize("cls", BOTH)
def test_draws_follow_the_conditional_distribution(cls, missing):
    model, exact = fitted_customers(cls)
    columns, row = [NAMES.index(name) for name in missing], CUSTOMERS.iloc[[7]]
    masses = exact_masses(exact, columns, row.to_numpy(object)[0])
    assert sum(masses.values()) == pytest.approx(1.0, abs=1e-9)
    drawn = model.sample(4000, conditions=row.drop(columns=missing), random_state=0)
    assert p_value_of_rows(drawn, columns, masses) > SMALLEST_P
    chains = model.sample(
        2000, conditions=row.drop(columns=missing), n_gibbs_steps=30, random_state=1
    )
    assert p_value_of_rows(chains, columns, masses) > SMALLEST_P
    for name in CUSTOMERS.columns.difference(missing):
        assert (drawn[name] == row[name].iloc[0]).all()
        assert (chains[name] == row[name].iloc[0]).all()


def test_every_row_has_draws_of_its_own():
    """Rows with different entries missing, and several draws of each, one after the other."""
    model, exact = fitted_customers()
    rows = CUSTOMERS.head(3).astype({"plan": float, "member": object})
    rows.iloc[0, 0] = None
    rows.iloc[1, 1] = None
    rows.iloc[2, [0, 2]] = None
    drawn = model.sample(1500, conditions=rows, random_state=2)
    assert len(drawn) == 4500
    for i, columns in enumerate(([0], [1], [0, 2])):
        part = drawn.iloc[1500 * i : 1500 * (i + 1)]
        known = [name for j, name in enumerate(NAMES) if j not in columns]
        assert (part[known] == rows[known].iloc[i]).all(axis=None)
        masses = exact_masses(exact, columns, CUSTOMERS.to_numpy(object)[i])
        assert p_value_of_rows(part, columns, masses) > SMALLEST_P


def test_real_hidden_units_have_exact_draws():
    model, exact = fitted_customers(hidden="gaussian", scale=0.3)
    row = CUSTOMERS[NAMES[:3]].iloc[[5]]
    masses = exact_masses(exact, [0, 1], row.to_numpy(object)[0])
    drawn = model.sample(4000, conditions=row[["plan"]], random_state=0)
    assert p_value_of_rows(drawn, [0, 1], masses) > SMALLEST_P


# --- what is given --------------------------------------------------------------------------


def test_given_entries_stay_and_missing_ones_are_drawn():
    model, _ = fitted_customers()
    rng = np.random.default_rng(3)
    rows = CUSTOMERS.head(60).astype({"member": object, "plan": float})
    is_missing = rng.random(rows.shape) < 0.4
    is_missing[:5] = np.array([[False], [True], [False], [True], [False]])
    gaps = rows.mask(is_missing)
    gaps.index = np.arange(60) * 3
    drawn = model.sample(conditions=gaps, random_state=0)
    assert list(drawn.columns) == NAMES
    pd.testing.assert_index_equal(drawn.index, gaps.index)
    assert dict(drawn.dtypes) == dict(CUSTOMERS.dtypes)
    assert not drawn.isna().any(axis=None)
    same = drawn.to_numpy(object) == rows.to_numpy(object)
    assert np.all(same[~is_missing])
    assert 0.1 < np.mean(same[is_missing]) < 0.9
    for name in ("town", "plan"):
        assert set(drawn[name]) <= set(CUSTOMERS[name])
    again = model.sample(conditions=gaps, random_state=0)
    pd.testing.assert_frame_equal(drawn, again)
    assert not drawn.equals(model.sample(conditions=gaps, random_state=1))


def test_columns_may_be_left_out_in_any_order():
    model, _ = fitted_customers()
    gaps = CUSTOMERS.head(8).assign(town=None, spent=np.nan)
    expected = model.sample(2, conditions=gaps, random_state=0)
    for some in (gaps[["member", "plan", "age"]], gaps[["age", "plan", "member"]]):
        pd.testing.assert_frame_equal(model.sample(2, conditions=some, random_state=0), expected)


def test_rows_without_missing_entries_are_returned():
    model, _ = fitted_customers()
    for how in ({}, {"n_gibbs_steps": 3}):
        drawn = model.sample(2, conditions=CUSTOMERS.head(9), random_state=0, **how)
        expected = CUSTOMERS.head(9).loc[np.repeat(np.arange(9), 2)].reset_index(drop=True)
        pd.testing.assert_frame_equal(drawn, expected)


def test_wrong_conditions_are_refused():
    model, _ = fitted_customers()
    with pytest.raises(ValueError, match="column 'height', which it had not in fit"):
        model.sample(conditions=pd.DataFrame({"height": [1.8]}))
    with pytest.raises(ValueError, match="column 'age' of X"):
        model.sample(conditions=pd.DataFrame({"age": ["old"]}))
    for how in ({"init": CUSTOMERS}, {"return_travels": True}):
        with pytest.raises(ValueError, match="with conditions, leave init and return_travels out"):
            model.sample(conditions=CUSTOMERS.head(2), **how)
    binary = RBM(2, max_iter=1, random_state=0).fit(make_bars(2))
    for wrong in (np.zeros((2, 3)), np.zeros(4), [["a", "b", "c", "d"]]):
        with pytest.raises(ValueError):
            binary.sample(conditions=wrong)


def test_arrays_and_deep_machines():
    """NaN is drawn; of a deep machine, too, within what its chains have mixed."""
    X = make_bars(2)
    row = np.array([[1.0, np.nan, np.nan, 0.0]])
    for model in (RBM(3), RARBM(3, 2), DBM((3, 2))):
        model.set_params(max_iter=20, random_state=0, dtype="float64").fit(X)
        drawn = model.sample(3000, conditions=row, random_state=0)
        assert drawn.shape == (3000, 4) and set(np.unique(drawn)) == {0.0, 1.0}
        assert np.all(drawn[:, [0, 3]] == [1.0, 0.0])
        rows = np.array([[1.0, a, b, 0.0] for a in (0.0, 1.0) for b in (0.0, 1.0)])
        log_p = model.score_samples(rows)
        counts = np.bincount((2 * drawn[:, 1] + drawn[:, 2]).astype(int), minlength=4)
        p = np.exp(log_p - logsumexp(log_p))
        if isinstance(model, DBM):
            np.testing.assert_allclose(counts / 3000, p, atol=0.06)
        else:
            assert p_value(counts, p) > SMALLEST_P


# --- real columns ---------------------------------------------------------------------------


def counts_and_masses(exact, j, drawn, log_density, n_bins=12):
    """Counts of spikes and of bins of a real column, and their probabilities by quadrature.

    Parameters
    ----------
    exact : Fitted
    j : int
    drawn : array of shape (n,)
    log_density : function
        Of values of the column.
    """
    spikes = exact.attribute("spikes_", j)
    spikes = np.zeros(0) if spikes is None else spikes
    values, weights = exact.rule(j, 0.3, True)
    masses = weights * np.exp(log_density(values))
    of_pieces = masses[len(spikes) :].reshape(-1, N_NODES).sum(axis=1)
    below, edges = np.cumsum(of_pieces)[:-1], exact.edges(j, 0.3, True)[1:-1]
    # What lies beyond the rows of fit is drawn as their least or largest number.
    low, high = exact.as_drawn(j, np.array([-np.inf, np.inf]))
    kept = (edges > low) & (edges < high)
    if exact.attribute("decimals_", j) is not None:
        kept &= np.abs(edges[:, None] - exact.edges_of_rounded(j)).min(axis=1) < 1e-9
    edges, below = edges[kept], below[kept]
    chosen = np.unique(np.searchsorted(below, np.linspace(*below[[0, -1]], n_bins + 1)[1:-1]))
    is_spike = np.isin(drawn, spikes)
    bins = np.concatenate([[-np.inf], edges[chosen], [np.inf]])
    counts = [np.sum(drawn == spike) for spike in spikes]
    counts += list(np.histogram(drawn[~is_spike], bins)[0])
    p = [*masses[: len(spikes)], *np.diff([0.0, *below[chosen], of_pieces.sum()])]
    return np.array(counts), np.array(p) / masses.sum()


@pytest.mark.parametrize("missing", ["age", pytest.param("spent", marks=pytest.mark.slow)])
@pytest.mark.parametrize("cls", ["RBM", pytest.param("RARBM", marks=pytest.mark.slow)])
def test_real_columns_are_drawn_by_a_ladder(cls, missing):
    """A rounded column, and one with spikes, given all others."""
    model, exact = fitted_customers(cls)
    j, row = NAMES.index(missing), CUSTOMERS.iloc[[7]]
    drawn = model.sample(2000, conditions=row.drop(columns=missing), random_state=0)

    def log_density(values):
        rows = row.loc[np.repeat(row.index, len(values))].assign(**{missing: values})
        return model.score_samples(rows)

    counts, p = counts_and_masses(exact, j, drawn[missing].to_numpy(), log_density)
    assert len(counts) >= 8 and counts.sum() == 2000
    assert p_value(counts, p) > SMALLEST_P
    assert (drawn.drop(columns=missing) == row.drop(columns=missing).iloc[0]).all(axis=None)
    low, high = CUSTOMERS[missing].min(), CUSTOMERS[missing].max()
    assert drawn[missing].between(low, high).all()
    if missing == "age":
        np.testing.assert_array_equal(drawn["age"], drawn["age"].round(1))


@pytest.mark.slow
def test_codes_and_a_real_column_together():
    """What is missing hangs together: the real column given each code that is drawn."""
    model, exact = fitted_customers()
    row = CUSTOMERS.iloc[[7]].drop(columns=["age", "member"])
    drawn = model.sample(3000, conditions=row, random_state=0)
    given = list(CUSTOMERS.iloc[7])
    X, weights = exact.grid([0, 4], given=given, longest=0.3, rounded=True)
    masses = (weights * np.exp(model.score_samples(X))).reshape(2, -1).sum(axis=1)
    counts = np.array([np.sum(drawn["member"] == value) for value in (False, True)])
    assert p_value(counts, masses / masses.sum()) > SMALLEST_P
    for value in (False, True):

        def log_density(values, value=value):
            rows = CUSTOMERS.iloc[np.repeat(7, len(values))]
            return model.score_samples(rows.assign(age=values, member=value))

        ages = drawn.loc[drawn["member"] == value, "age"].to_numpy()
        counts, p = counts_and_masses(exact, 4, ages, log_density)
        assert p_value(counts, p) > SMALLEST_P


# --- whole rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ["RBM", pytest.param("RARBM", marks=pytest.mark.slow)])
def test_samples_have_the_distributions_of_the_model(cls):
    """Discrete columns together, and every column alone.

    A ladder's samples are not quite independent: every fourth is counted.
    """
    model, exact = fitted_customers(cls)
    drawn = model.sample(8000, random_state=0)[::4]
    assert dict(drawn.dtypes) == dict(CUSTOMERS.dtypes)
    of_hidden = exact.exact.hidden_probabilities()
    (members, p0), (towns, p1), (plans, p2) = map(exact.draws_given_hidden, range(3))
    p = np.einsum("h,hi,hj,hk->ijk", of_hidden, p0, p1, p2)
    assert p.sum() == pytest.approx(1.0, abs=1e-9)
    rows = [(i, j, k) for i in members for j in towns for k in plans]
    masses = dict(zip(rows, p.ravel(), strict=True))
    assert p_value_of_rows(drawn, [0, 1, 2], masses) > SMALLEST_P
    for j in (3, 4):
        found = drawn[NAMES[j]].to_numpy()
        counts, masses = counts_and_masses(exact, j, found, lambda x, j=j: exact.log_marginal(j, x))
        assert p_value(counts, masses) > SMALLEST_P
        assert found.min() >= CUSTOMERS[NAMES[j]].min()
        assert found.max() <= CUSTOMERS[NAMES[j]].max()


@pytest.mark.parametrize("how", [{"n_gibbs_steps": 60}, {"n_gibbs_steps": 60, "init": CUSTOMERS}])
def test_plain_chains_have_the_same_distributions(how):
    """The amounts are zero with their probability, together with who pays them."""
    model, exact = fitted_customers()
    drawn = model.sample(2000, random_state=0, **how)
    _, of_member = exact.draws_given_hidden(0)
    of_zero = np.exp(exact.log_p_given_hidden(3, [0.0])[:, 0])
    of_zero = np.stack([of_zero, 1.0 - of_zero], axis=1)
    p = np.einsum("h,hi,hj->ij", exact.exact.hidden_probabilities(), of_member, of_zero)
    counts = pd.crosstab(drawn["member"], drawn["spent"] != 0.0).to_numpy()
    assert p_value(counts.ravel(), p.ravel()) > SMALLEST_P


def test_samples_of_spikes_and_wide_steps():
    """Numbers beside a spike that round to it are drawn as it."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=500)
    x = np.where(rng.random(500) < 0.3, 0.0, np.round(1.5 * z))
    X = np.column_stack([x, z + rng.normal(size=500)])
    how = {"max_iter": 1, "random_state": 0, "dtype": "float64"}
    model = strengthen(RBM(3, **how, visible={0: "spiked", 1: "gaussian"}).fit(X))
    exact = Fitted(model)
    drawn = model.sample(8000, random_state=0)[::4]
    values, weights = exact.rule(0, 0.3, rounded=True)
    masses = weights * np.exp(exact.log_marginal(0, values))
    shown = np.append(0.0, exact.as_drawn(0, np.array(values[1:])))
    found = np.unique(shown)
    p = np.array([masses[shown == value].sum() for value in found])
    assert p.sum() == pytest.approx(1.0, abs=1e-8)
    counts = np.array([np.sum(drawn[:, 0] == value) for value in found])
    assert counts.sum() == 2000 and p_value(counts, p) > SMALLEST_P
    counts, p = counts_and_masses(exact, 1, drawn[:, 1], lambda x: exact.log_marginal(1, x))
    assert p_value(counts, p) > SMALLEST_P
