"""A log Z that is trusted is right: of machines that are hard to sample, beside exact sums.

Errors are taken over 24 columns, so that deviations in stated errors follow Student's t of 23
degrees: one of twenty thousand right estimates is beyond five. Seeds are fixed.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from tools.arena import (
    KINDS,
    PROMISED,
    a_subcube,
    agreeing_codes,
    astray,
    codes_of_a_tenth,
    copies_with_flips,
    coverage,
    deep_machine,
    full_machine,
    gaussian_columns,
    gaussian_hidden,
    kind_easy,
    later_without,
    outcome,
    rare,
    recurring,
    share_deviation,
    some_patterns,
    weights_of,
    zeros_of_a_tenth,
)

from sklearn_rapid import RARBM, RBM

# In the quick suite: one of each kind that is made by hand, of which the slow suite has all.
BY_HAND = "trivial", "modes", "holes", "near", "transitions", "patterns", "others"
QUICK = {f"{kind} 1": KINDS[kind]()[1] for kind in BY_HAND}
# Fits of a second or so.
CD = {"negative_phase": "cd", "max_iter": 200}
FITTED = {
    **{
        f"recurring {d}": partial(recurring, RARBM(16, n_patterns=8, max_iter=100), d)
        for d in range(3)
    },
    "recurring .05": partial(recurring, RBM(16, max_iter=200), 0, share=0.05),
    "RBM": partial(astray, zeros_of_a_tenth, RBM(16, **CD), 0),
    "RBM of 100 columns": partial(astray, zeros_of_a_tenth, RBM(16, **CD), 0, n_columns=100),
    "RARBM": partial(astray, zeros_of_a_tenth, RARBM(16, 16, **CD), 1),
    "flips": partial(astray, copies_with_flips, RARBM(16, 4, **CD), 0, n_flips=2),
    "subcube": partial(astray, a_subcube, RBM(16, **CD), 1),
    "codes": partial(astray, codes_of_a_tenth, RBM(10, max_iter=100, visible="categorical"), 1),
    "later without": partial(later_without, RARBM(16, 4, **CD), 2),
}
# Kinds that train for long.
LONG = ("rows", "recurring", "recurring-others")


def wrong(case, seeds):
    """What is trusted and more than five errors off."""
    return [o for o in (outcome(case, seed) for seed in seeds) if o.is_wrong]


# --- the arena itself ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: KINDS["modes"]()[0](),
        lambda: KINDS["holes"]()[0](),
        lambda: agreeing_codes(0.5, 3),
        lambda: some_patterns(2, 0.6, 0.3),
        lambda: deep_machine(2.0),
        lambda: full_machine(1.0, 3),
        lambda: gaussian_hidden(1.0),
        lambda: gaussian_columns(1.0, 10),
        lambda: rare("one-hot groups", RBM(8)),
    ],
)
def test_exact_sums_are_those_of_an_enumeration_in_numpy(make):
    """log_partition("exact") is what larger cases are compared with."""
    case = make()
    exact = case.model.log_partition("exact")
    assert case.log_z == weights_of(case.model).log_z()
    # The package's error holds its rounding; that of NumPy is of the sum's own size.
    assert abs(exact.value - case.log_z) <= exact.error + 1e-12 * abs(case.log_z)


def test_rows_have_the_probability_that_they_are_made_for():
    for index, share in ((0, 0.05), (8, 0.3), (15, 0.95)):
        assert KINDS["holes"]()[index]().p_of_row == pytest.approx(share, rel=0.01)


def test_coverage_knows_right_errors_from_wrong_ones():
    z = np.random.default_rng(0).standard_t(23, size=300)
    for _, n, low, high in coverage(z):
        assert low <= n <= high
    assert not all(low <= n <= high for _, n, low, high in coverage(1.3 * z))


# --- promises -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        *(pytest.param(make, id=name) for name, make in QUICK.items()),
        *(pytest.param(make, id=name, marks=pytest.mark.slow) for name, make in FITTED.items()),
    ],
)
def test_trusted_is_right(make):
    assert not wrong(make(), range(3))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["easy", "patterns", "others"])
def test_what_is_easy_is_trusted(kind):
    """Distrust is no way out."""
    assert all(outcome(make(), 0).is_trusted for make in KINDS[kind]()[::4])


@pytest.mark.slow
@pytest.mark.parametrize("draw", range(2))
def test_samples_have_the_recurring_row_as_often_as_the_model(draw):
    """Beyond three binomial standard errors in .003 of all cases, of right samples."""
    case = recurring(RARBM(16, n_patterns=8, max_iter=100), draw)
    assert abs(share_deviation(case, 0)) < 3.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in PROMISED if kind not in LONG])
def test_trusted_is_right_everywhere(kind):
    assert not [o for make in KINDS[kind]() for o in wrong(make(), range(3))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG)
def test_trusted_is_right_after_training(kind):
    assert not [o for make in KINDS[kind]() for o in wrong(make(), range(3))]


@pytest.mark.slow
def test_samples_have_recurring_rows_as_often_as_the_models():
    """Fourteen models: three binomial standard errors, beyond which are .04 of all such runs."""
    z = [share_deviation(make(), 0) for make in KINDS["recurring"]()]
    assert np.max(np.abs(z)) < 3.0


@pytest.mark.slow
def test_stated_errors_of_easy_machines_cover_as_often_as_they_say():
    """300 seeds: each range of three is left once in a hundred; the bias is within four errors."""
    for make in kind_easy():
        case = make()
        z = np.array([outcome(case, seed).z for seed in range(300)])
        assert all(low <= n <= high for _, n, low, high in coverage(z))
        assert abs(z.mean()) < 4.0 * z.std(ddof=1) / np.sqrt(len(z))
