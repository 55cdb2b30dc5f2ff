"""What the examples measure, against what it must be."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neural_network import BernoulliRBM

from sklearn_rapid import RBM

EXAMPLES = Path(__file__).parents[2] / "examples"


MODULES = "anomalies", "binary_rows", "copies_of_rows", "density_estimation", "synthetic_rows"


@pytest.fixture(autouse=True)
def _examples_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def rows(n, seed, p=0.5):
    return (np.random.default_rng(seed).random((n, 40)) < p).astype(np.uint8)


@pytest.mark.slow
def test_the_tour_prints_numbers(capsys):
    """No figure that the method at hand does not have."""
    import matplotlib

    matplotlib.use("Agg")
    runpy.run_path(str(EXAMPLES / "tour.py"))
    matplotlib.pyplot.close("all")
    printed = capsys.readouterr().out
    assert "nan" not in printed and "trusted: True" in printed


def test_adversarial_accuracy():
    """Copies 0, rows of the same kind a half, rows of another kind 1."""
    from synthetic_rows import adversarial_accuracy

    real = rows(400, 0)
    assert adversarial_accuracy(real, real) == 0.0
    assert abs(adversarial_accuracy(real, rows(400, 1)) - 0.5) < 0.06
    assert adversarial_accuracy(real, rows(400, 2, p=0.05)) > 0.95


def test_spoilt_rows_have_the_same_single_values():
    """In the mean: P(false alarm) 1e-3, of forty columns."""
    from anomalies import SHARE_SPOILT, spoil

    X = rows(3000, 3, p=np.linspace(0.1, 0.9, 40))
    spoilt, which = spoil(X)
    assert which.sum() == SHARE_SPOILT * len(X)
    np.testing.assert_array_equal(spoilt[~which], X[~which])
    changed = (spoilt != X)[which]
    expected = 0.25 * 2 * X.mean(axis=0) * (1 - X.mean(axis=0))
    assert np.all(np.abs(changed.mean(axis=0) - expected) < 4.1 * np.sqrt(expected / which.sum()))
    assert np.all(np.abs(spoilt[which].mean(axis=0) - X.mean(axis=0)) < 4.1 * np.sqrt(0.25 / 300))


def test_bernoulli_rbm_as_one_of_spins():
    """Free energies differ by a constant, and probabilities add up to one."""
    from density_estimation import as_rbm

    X = rows(300, 4)[:, :8]
    theirs = BernoulliRBM(5, n_iter=5, random_state=0).fit(X)
    ours = as_rbm(theirs, X)
    difference = theirs._free_energy(X) - ours.free_energy(X)
    np.testing.assert_allclose(difference, difference[0], atol=1e-4)
    states = (np.arange(256)[:, None] >> np.arange(8)) & 1
    assert abs(np.exp(ours.score_samples(states)).sum() - 1.0) < 1e-5


def test_shares_of_a_mixture_are_the_most_likely():
    """No member's probabilities are larger than the mixture's, in the mean of their ratio."""
    from density_estimation import shares_of

    log_p = np.random.default_rng(5).normal(size=(4, 500)) - [[0.0], [0.1], [0.5], [3.0]]
    shares = shares_of([SimpleNamespace(valid=row) for row in log_p], n_steps=2000)
    assert abs(shares.sum() - 1.0) < 1e-12
    ratios = (np.exp(log_p) / (shares @ np.exp(log_p))).mean(axis=1)
    np.testing.assert_allclose(ratios[:2], 1.0, atol=1e-6)
    assert np.all(ratios < 1.0 + 1e-6)


def test_mixtures_are_densities():
    """Their probabilities add up to one, with log Z of their members by enumeration."""
    from copies_of_rows import Copies
    from density_estimation import Member, Mixture

    X = rows(200, 6)[:, :8]
    machines = [Member(RBM(H, max_iter=5, random_state=0), X, X[:50]) for H in (3, 6)]
    copies = [Copies(flipped, X, X[:50]) for flipped in (0.0, 0.1)]
    states = (np.arange(256)[:, None] >> np.arange(8)) & 1
    for members in (machines, copies, machines + copies):
        mixture = Mixture(members)
        assert abs(np.exp(mixture.log_likelihoods(states)).sum() - 1.0) < 1e-5
    assert np.all(mixture.shares > 0.0)


def test_copies_are_training_rows_with_entries_flipped(monkeypatch):
    """Against the sum over training rows of the probability of each flip, one by one."""
    import copies_of_rows

    monkeypatch.setattr(copies_of_rows, "AT_ONCE", 100)
    X, others = rows(30, 8)[:, :6], rows(20, 9)[:, :6]
    for flipped in (0.003, 0.3):
        p = np.where(others[:, None] == X, 1 - flipped, flipped).prod(axis=2).mean(axis=1)
        found = copies_of_rows.Copies(flipped, X, others).valid
        np.testing.assert_allclose(found, np.log(p), rtol=1e-6)
    shares = [np.mean(np.all(X == row, axis=1)) for row in others]
    assert 0.0 in shares
    found = np.exp(copies_of_rows.Copies(0.0, X, others).valid)
    np.testing.assert_allclose(found, shares, rtol=1e-6)


def test_nothing_is_said_without_a_trusted_log_z(monkeypatch):
    import density_estimation

    monkeypatch.setattr(density_estimation, "members_of", lambda *_: [])
    with pytest.raises(SystemExit, match="digits: of no model is the log Z trusted"):
        density_estimation.found("digits", [rows(20, 7)] * 3, 0)


def test_several_seeds_have_a_spread_and_one_has_an_error():
    from density_estimation import over_seeds

    assert over_seeds([(-1.0, 0.3), (-2.0, 0.3), (-3.0, 0.3)]) == "-2.00 ± 1.00"
    assert over_seeds([(-1.5, 0.3)]) == "-1.50 ± 0.30"


def test_digits_take_the_place_of_the_benchmark():
    from binary_rows import rows_of

    train, valid, test = rows_of("digits")
    assert [len(part) for part in (train, valid, test)] == [1100, 300, 397]
    assert set(np.unique(train)) == {0, 1}
