"""The gradient of both phases' rows, whole or in parts, against the formula."""

from __future__ import annotations

import numpy as np
import pytest
from machines import KINDS, make_machine

from sklearn_rapid import statistics
from sklearn_rapid.negative_phase import NegativeStates
from sklearn_rapid.statistics import phase_statistics

V, H = 6, 7


def rows(n, seed):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(n, V))


def statistics_of(machine, data, negative, offset, lam, sampler=None):
    """Ours, and what it said of the data's hidden means."""
    backend, seen = machine.backend, []

    def observe(mean):
        seen.append(backend.to_numpy(mean))
        return backend.asarray(lam)

    model = backend.to_numpy(negative.visible)
    gap = backend.asarray(data.mean(axis=0) - model.mean(axis=0))
    result = phase_statistics(
        machine, sampler or machine, backend.asarray(data), negative, gap,
        None if offset is None else backend.asarray(offset), observe,
    )  # fmt: skip
    return result, seen


def expected_gradient(exact, machine, data, model, t_model, offset, lam):
    """Σ_n w_n (v_n - μ)(t_n - λ)ᵀ, pulled back to the patterns where there are some."""
    offset, lam = (0.0, 0.0) if offset is None else (offset, lam)
    t_data = np.tanh(data @ exact.W + exact.c)
    g = (data - offset).T @ (t_data - lam) / len(data)
    g = g - (model - offset).T @ (t_model - lam) / len(model)
    biases = {
        "visible_bias": data.mean(axis=0) - model.mean(axis=0),
        "hidden_bias": t_data.mean(axis=0) - t_model.mean(axis=0),
    }
    if not machine.couplings.uses_patterns:
        return {"weights": g, **biases}
    to_numpy, k = machine.backend.to_numpy, machine.couplings.n_patterns
    xi_v, xi_h = (to_numpy(p) for p in machine.couplings.parameters.values())
    return {
        "visible_patterns": xi_h @ g.T / np.sqrt(k),
        "hidden_patterns": xi_v @ g / np.sqrt(k),
        **biases,
    }


@pytest.mark.parametrize("rows_in_part", [3, 40, 1000])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("n_patterns", [1, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient(backend, monkeypatch, kind, n_patterns, given, centred, rows_in_part):
    """Of 100 rows of data and 70 states, some or all in a part; few and many patterns."""
    monkeypatch.setattr(statistics, "PART_BYTES", 4 * (V + H) * rows_in_part)
    machine, exact = make_machine(kind, (V, H), backend, n_patterns=n_patterns)
    data, model = rows(100, 1), rows(70, 2)
    offset = np.random.default_rng(3).normal(size=V) if centred else None
    lam = np.random.default_rng(4).normal(size=H)
    t_model = np.tanh(model @ exact.W + exact.c)
    if given:
        t_model = np.random.default_rng(5).choice([-1.0, 1.0], size=(70, H))
    negative = NegativeStates(
        backend.asarray(model), hidden=backend.asarray(t_model) if given else None
    )
    for sampler in (machine, machine.for_rows(10_000)):
        result, seen = statistics_of(machine, data, negative, offset, lam, sampler)
        expected = expected_gradient(exact, machine, data, model, t_model, offset, lam)
        assert set(result.gradient) == set(expected)
        for name, value in expected.items():
            got = backend.to_numpy(result.gradient[name])
            np.testing.assert_allclose(got, value, atol=1e-13, err_msg=name)
        np.testing.assert_allclose(seen, [np.tanh(data @ exact.W + exact.c).mean(axis=0)])


@pytest.mark.parametrize("rows_in_part", [90, 1000])
def test_probed_states(backend, monkeypatch, rows_in_part):
    """64 of each, less their offsets, with weights that are not signed."""
    monkeypatch.setattr(statistics, "PART_BYTES", 4 * (V + H) * rows_in_part)
    machine, exact = make_machine("patterns", (V, H), backend)
    data, model = rows(100, 1), rows(70, 2)
    offset, lam = (np.random.default_rng(3).normal(size=n) for n in (V, H))
    result, _ = statistics_of(machine, data, NegativeStates(backend.asarray(model)), offset, lam)
    v, t, weights = (backend.to_numpy(x) for x in (result.visible, result.hidden, result.weights))
    v_data, v_model = v[weights == 1 / 100] + offset, v[weights == 1 / 70] + offset
    assert len(v_data) <= 64 and len(v_model) <= 64 and len(v) == len(v_data) + len(v_model)
    assert len(v_data) >= 50 - 14 and len(v_model) >= 35
    np.testing.assert_allclose(t, np.tanh((v + offset) @ exact.W + exact.c) - lam, atol=1e-13)
    np.testing.assert_allclose(v_data, data[len(data) - len(v_data) :], atol=1e-13)
    np.testing.assert_allclose(v_model, model[: len(v_model)], atol=1e-13)


def test_where_all_states_agree_the_gradient_is_exactly_zero(backend):
    """Not rounding: Adam would blow it up to full steps. Counts that no power of two divides."""
    machine, _ = make_machine("dense", (V, H), backend, dtype="float32")
    data, model = rows(100, 1), rows(70, 2)
    data[:, 2] = model[:, 2] = -1.0
    mu = data.mean(axis=0).astype(np.float32)
    negative = NegativeStates(backend.asarray(model, "float32"))
    gap = [backend.column_sums(backend.asarray(x, "float32")) / len(x) for x in (data, model)]
    lam = backend.asarray(np.full(H, 0.3), "float32")
    result = phase_statistics(
        machine, machine, backend.asarray(data, "float32"), negative, gap[0] - gap[1],
        backend.asarray(mu), lambda mean: lam,
    )  # fmt: skip
    gradient = {name: backend.to_numpy(g) for name, g in result.gradient.items()}
    assert not gradient["weights"][2].any()
    assert gradient["visible_bias"][2] == 0.0
    assert gradient["weights"].any(axis=1).sum() == V - 1
