"""Groups of exclusive columns: which are found, and machines that see them as codes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp

from sklearn_rapid import RBM
from sklearn_rapid.tables.columns import Columns
from sklearn_rapid.tables.settings import ColumnSettings
from sklearn_rapid.tables.table import Table
from sklearn_rapid.tasks.mixture.groups import find_exclusive_groups
from sklearn_rapid.tasks.mixture.members import Member
from sklearn_rapid.tasks.mixture.views import GroupedView, View

SETTINGS = ColumnSettings(handle_unknown="infrequent", reads_values=True)


def one_hot(rng, n_rows, n_codes, p_none=0.0):
    """Bits of random codes; none is on with a probability."""
    bits = np.eye(n_codes)[rng.integers(n_codes, size=n_rows)]
    return bits * (rng.random((n_rows, 1)) >= p_none)


def found(X, columns=None):
    columns = np.arange(X.shape[1]) if columns is None else columns
    return [group.tolist() for group in find_exclusive_groups(X, columns)]


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_one_hot_columns_are_found(make):
    rng = np.random.default_rng(0)
    widths = [3, 2, 5, 4]
    X = np.concatenate([one_hot(rng, 1000, width) for width in widths], axis=1)
    ends = np.cumsum([0, *widths])
    wanted = [list(range(*pair)) for pair in itertools.pairwise(ends)]
    assert found(make(X)) == wanted


def test_columns_beside_groups_are_left_alone():
    rng = np.random.default_rng(1)
    coins = rng.integers(2, size=(1000, 3)).astype(float)
    X = np.concatenate([coins[:, :1], one_hot(rng, 1000, 3), coins[:, 1:]], axis=1)
    assert found(X) == [[1, 2, 3]]
    assert found(X, np.array([0, 4, 5])) == []


def test_groups_with_rows_of_none_are_found():
    rng = np.random.default_rng(2)
    X = np.concatenate([one_hot(rng, 2000, 3, p_none=0.3) for _ in range(3)], axis=1)
    assert found(X) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_rare_columns_are_no_group_by_chance():
    """Of 100 tables none: pairs of rare independent columns are on together in few rows anyway."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        p = rng.choice([0.005, 0.01, 0.02], size=12)
        assert found((rng.random((300, 12)) < p).astype(float)) == []


def test_no_group_without_columns():
    assert found(np.ones((5, 1))) == []
    assert found(np.zeros((5, 4))) == []


# --- views --------------------------------------------------------------------------------------


def grouped_view(X, groups):
    table = Table.learn(X, Columns.of_array(X, "auto", None, SETTINGS), SETTINGS)
    view = View.of_table(table.measure(X, None, None))
    return view, GroupedView.learn(X, None, view, groups, SETTINGS, None)


def make_rows(n=400):
    """A bit, a group of three columns of which one is never on, and a bit that hangs on it."""
    rng = np.random.default_rng(4)
    codes = rng.choice(3, size=n, p=[0.2, 0.5, 0.3])
    group = np.column_stack([codes == 0, codes == 1, np.zeros(n)])
    last = np.where(rng.random(n) < 0.2, codes == 0, codes != 0)
    return np.column_stack([rng.integers(2, size=n), group, last]).astype(float)


def fitted_member():
    X = make_rows()
    _, view = grouped_view(X, [np.array([1, 2, 3])])
    model = RBM(3, visible=view.table, max_iter=30, learning_rate=0.3, random_state=0)
    model.fit(view.encode(X))
    return Member._of_fitted(model, view, model.log_partition("exact"))


ALL_ROWS = np.array(list(itertools.product([0.0, 1.0], repeat=5)))


def test_rows_of_a_grouped_view():
    X = make_rows()
    _, view = grouped_view(X, [np.array([1, 2, 3])])
    rows = view.encode(X)
    assert rows.shape == (400, 3)
    assert set(rows[:, 2]) == {0.0, 1.0, 2.0}
    np.testing.assert_array_equal(view.decode(rows), X)
    np.testing.assert_array_equal(view.encode(sparse.csr_array(X)), rows)
    odd = np.array([[0, 1, 1, 0, 1], [0, np.nan, np.nan, np.nan, 1], [0, 1, np.nan, 0, 1]])
    np.testing.assert_array_equal(view.encode(odd)[:, 2], [-1.0, np.nan, np.nan])
    assert view.takes(odd).all()
    expanded = view.expand(odd)
    # Of the last row, the second column of the group may be on, too, or not.
    assert expanded.owner.tolist() == [0, 1, 2, 2]
    assert expanded.rows[2:, 2].tolist() == [1.0, -1.0]


def test_probabilities_of_all_rows_of_bits_add_up_to_one():
    """Rows with several columns of a group on, or a code that was not seen, included."""
    member = fitted_member()
    log_p = member.log_likelihoods(ALL_ROWS)
    assert logsumexp(log_p) == pytest.approx(0.0, abs=1e-5)
    several = ALL_ROWS[:, 1:4].sum(axis=1) > 1
    n_unseen = 2**3 - 3
    unseen = np.exp(log_p[several]).reshape(-1, 4).sum(axis=0)
    # One code of 400 rows at least recurs: one in 402 is left to rows not seen.
    assert unseen.sum() == pytest.approx(4 / n_unseen / 402, rel=1e-4)


@pytest.mark.parametrize("column", range(5))
def test_conditionals_of_bits_are_those_of_the_joint_distribution(column):
    member = fitted_member()
    log_p = member.log_likelihoods(ALL_ROWS)
    joint = np.exp(log_p).reshape((2,) * 5)
    expected = joint / joint.sum(axis=column, keepdims=True)
    found = member.conditional(ALL_ROWS, column)
    expected = np.moveaxis(expected, column, -1)
    expected = np.repeat(np.expand_dims(expected, column), 2, axis=column).reshape(-1, 2)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_means_of_bits_are_those_of_the_joint_distribution():
    member = fitted_member()
    plain, _ = grouped_view(make_rows(), [np.array([1, 2, 3])])
    p = np.exp(member.log_likelihoods(ALL_ROWS))
    X = np.array([[np.nan, np.nan, np.nan, np.nan, 1.0]])
    given = p * (ALL_ROWS[:, 4] == 1.0)
    # The machine leaves nothing to rows not seen.
    given *= np.isin(member.view.encode(ALL_ROWS)[:, 2], [0.0, 1.0, 2.0])
    expected = 2.0 * (given / given.sum()) @ ALL_ROWS - 1.0
    means = member.state_means(X, 100, 0, plain.table)
    np.testing.assert_allclose(means[0], expected, atol=1e-4)


def test_draws_keep_known_bits():
    member = fitted_member()
    X = np.tile([[1.0, np.nan, np.nan, np.nan, np.nan]], (50, 1))
    drawn = member.draw_given(X, 0)
    assert np.all(drawn[:, 0] == 1.0)
    assert np.all(drawn[:, 1:4].sum(axis=1) <= 1.0)
    assert not drawn[:, 3].any()
