"""The gradient of both phases' rows, whole or in parts, against the formula."""

from __future__ import annotations

import numpy as np
import pytest
from tools.machines import KINDS, make_machine

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.training import statistics
from sklearn_rapid.training.negative_phase import ContrastiveDivergence, NegativeStates
from sklearn_rapid.training.optimizers import SGD
from sklearn_rapid.training.state import TrainingState
from sklearn_rapid.training.statistics import RowCounts, row_sums
from sklearn_rapid.training.steps.step_length import join_probes
from sklearn_rapid.training.trainer import Trainer

V, H = 6, 7


def rows(n, seed):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(n, V))


def sums_of(machine, data, negative, offset, sampler=None):
    backend = machine.backend
    counts = RowCounts(len(data), negative.visible.shape[0])
    offset = None if offset is None else backend.asarray(offset)
    return row_sums(machine, sampler or machine, backend.asarray(data), negative, offset, counts)


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
        sums = sums_of(machine, data, negative, offset, sampler)
        state = TrainingState(machine, RandomStream(0), hidden_offset=backend.asarray(lam))
        state.visible_offset, state.n_rows = backend.asarray(0.0 if offset is None else offset), 0
        trainer = Trainer(ContrastiveDivergence(), SGD(), center=centred)
        gradient = trainer._gradient(state, sums)
        # The offsets have moved: μ to the data's mean, λ to their hidden means, as the first do.
        t_data = np.tanh(data @ exact.W + exact.c)
        lam, mu = t_data.mean(axis=0), data.mean(axis=0) if centred else None
        np.testing.assert_allclose(backend.to_numpy(state.hidden_offset), lam)
        expected = expected_gradient(exact, machine, data, model, t_model, mu, lam)
        assert set(gradient) == set(expected)
        for name, value in expected.items():
            got = backend.to_numpy(gradient[name])
            np.testing.assert_allclose(got, value, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_some_rows_add_up_to_those_of_all(backend, kind):
    """Rows of data and states in three places, one of which has no data, and one no states."""
    machine, _ = make_machine(kind, (V, H), backend)
    data, model, offset = rows(100, 1), rows(70, 2), np.full(V, 0.1)
    weights = np.random.default_rng(3).random(100)
    weights /= weights.sum()
    for w in (None, weights):
        parts = []
        for of_data, of_model in (((0, 60), (0, 50)), ((60, 60), (50, 70)), ((60, 100), (70, 70))):
            in_data, in_model = slice(*of_data), slice(*of_model)
            part = row_sums(
                machine, machine, backend.asarray(data[in_data]),
                NegativeStates(backend.asarray(model[in_model])), backend.asarray(offset),
                RowCounts(100, 70), None if w is None else backend.asarray(w[in_data]),
            )  # fmt: skip
            parts.append(part)
        total = parts[0].plus(parts[1], backend.xp).plus(parts[2], backend.xp)
        whole = row_sums(
            machine, machine, backend.asarray(data), NegativeStates(backend.asarray(model)),
            backend.asarray(offset), RowCounts(100, 70), None if w is None else backend.asarray(w),
        )  # fmt: skip
        for name, g in whole.gradient.items():
            got = backend.to_numpy(total.gradient[name])
            np.testing.assert_allclose(got, backend.to_numpy(g), atol=1e-14)
        for name in ("data_visible", "model_visible", "data_weight", "model_weight",
                     "data_hidden", "model_hidden", "data_square", "model_square"):  # fmt: skip
            got, wanted = (backend.to_numpy(getattr(s, name)) for s in (total, whole))
            np.testing.assert_allclose(got, wanted, atol=1e-14, err_msg=name)
        assert total.n_rows == 100


@pytest.mark.parametrize("rows_in_part", [90, 1000])
def test_probed_states(backend, monkeypatch, rows_in_part):
    """128 of each, less their offsets, with weights that are not signed."""
    monkeypatch.setattr(statistics, "PART_BYTES", 4 * (V + H) * rows_in_part)
    machine, exact = make_machine("patterns", (V, H), backend)
    data, model = rows(200, 1), rows(150, 2)
    offset, lam = (np.random.default_rng(3).normal(size=n) for n in (V, H))
    sums = sums_of(machine, data, NegativeStates(backend.asarray(model)), offset)
    state = TrainingState(machine, RandomStream(0), visible_offset=backend.asarray(offset))
    state.hidden_offset = backend.asarray(lam)
    result = join_probes(sums.probes, state, is_centered=True)
    v, t, weights = (backend.to_numpy(x) for x in (result.visible, result.hidden, result.weights))
    v_data, v_model = v[weights == 1 / 200] + offset, v[weights == 1 / 150] + offset
    assert len(v_data) <= 128 and len(v_model) <= 128 and len(v) == len(v_data) + len(v_model)
    assert len(v_data) >= 60 and len(v_model) >= 70
    np.testing.assert_allclose(t, np.tanh((v + offset) @ exact.W + exact.c) - lam, atol=1e-13)
    np.testing.assert_allclose(v_data, data[len(data) - len(v_data) :], atol=1e-13)
    np.testing.assert_allclose(v_model, model[: len(v_model)], atol=1e-13)


def test_where_all_states_agree_the_gradient_is_exactly_zero(backend):
    """Not rounding: Adam would blow it up to full steps. Counts that no power of two divides."""
    machine, _ = make_machine("dense", (V, H), backend, dtype="float32")
    data, model = rows(100, 1), rows(70, 2)
    data[:, 2] = model[:, 2] = -1.0
    data, model = (backend.asarray(x, "float32") for x in (data, model))
    trainer = Trainer(ContrastiveDivergence(), SGD())
    state = trainer.start(machine.couplings, data, RandomStream(0), backend)
    for _ in range(2):
        counts = RowCounts(100, 70)
        sums = trainer.sums_of(state, state.machine, data, NegativeStates(model), counts)
        gradient = trainer._gradient(state, sums)
        gradient = {name: backend.to_numpy(g) for name, g in gradient.items()}
        assert not gradient["weights"][2].any()
        assert gradient["visible_bias"][2] == 0.0
        assert gradient["weights"].any(axis=1).sum() == V - 1
