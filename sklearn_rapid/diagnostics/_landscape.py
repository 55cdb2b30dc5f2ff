"""Find the ground state energy, and how close to it sampling and training come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_rapid.checks.arguments import check_count, is_number, seed_stream
from sklearn_rapid.diagnostics._machine import get_model
from sklearn_rapid.estimators.model import validate_rows
from sklearn_rapid.machine.machine import Machine
from sklearn_rapid.machine.partition import LARGEST_EXACT, enumerate_spins, smaller_layer_first
from sklearn_rapid.training.fit.settings import negative_phase_from

# A few megabytes of states.
STATES_PER_CHUNK = 1 << 14
# Hidden fields computed at a time: few enough to stay in cache, three times as fast.
FIELDS_AT_ONCE = 1 << 13


def ground_state_energy(estimator: Any) -> float:
    """Find the lowest energy min E(v, h) over all states of both layers, exactly.

    All states of the smaller layer are enumerated; each spin of the other one then follows its
    field, which gives ``min_v [-b·v - Σ_α |θ_α(v)|]``. The arithmetic is in double precision.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted, with at most 25 units in the smaller layer.

    Returns
    -------
    float
        In nats; negative, or zero if all parameters are.

    Raises
    ------
    ValueError
        If the smaller layer has more than 25 units.

    References
    ----------
    Pozas-Kerstjens et al. (2021), section 5.1.1.

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import ground_state_energy
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=10, random_state=0)
    >>> ground_state_energy(model.fit(make_bars(4))) < 0
    True
    """
    machine = get_model(estimator).machine
    if min(machine.n_visible, machine.n_hidden) > LARGEST_EXACT:
        raise ValueError(
            "the ground state is found by enumerating the smaller layer, which may have at most "
            f"{LARGEST_EXACT} units; got {machine.n_visible} visible and {machine.n_hidden} "
            "hidden ones"
        )
    with machine.backend.running():
        return _minimize_energy(smaller_layer_first(machine.in_float64()))


def gibbs_accessibility(
    estimator: Any,
    n_gibbs_steps: int = 10,
    *,
    n_chains: int = 100,
    random_state: Any = None,
    ground_energy: float | None = None,
) -> np.ndarray:
    """Measure the share of the ground state's energy that Gibbs sampling reaches.

    Chains start at fair coins and take k steps of h ~ P(h | v), v ~ P(v | h). The energy
    E(v, h) of the last h and the v drawn from it is divided by that of the ground state.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    n_gibbs_steps : int, default=10
        At least one.
    n_chains : int, default=100
    random_state : int, RandomState instance or None, default=None
    ground_energy : float, optional
        The ground state's energy in nats, if known; by default `ground_state_energy`.

    Returns
    -------
    ndarray of shape (n_chains,)
        At most 1 (up to rounding), the ground state. The published figure 2a shows the best of
        ten chains.

    Raises
    ------
    ValueError
        If the smaller layer has more than 25 units and no `ground_energy` is given, or if all
        energies are zero.

    References
    ----------
    Pozas-Kerstjens et al. (2021), section 5.1.1, figures 1 and 2a.

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import gibbs_accessibility
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=200, random_state=0)
    >>> reached = gibbs_accessibility(model.fit(make_bars(4)), n_chains=10, random_state=0)
    >>> bool(0.5 < reached.max() <= 1.0)
    True
    """
    model = get_model(estimator)
    machine = model.machine
    n_gibbs_steps = check_count("n_gibbs_steps", n_gibbs_steps, 1)
    n_chains = check_count("n_chains", n_chains, 1)
    ground_energy = _resolve_ground_energy(estimator, ground_energy)
    stream = seed_stream(random_state)
    with machine.backend.running():
        v = model.starting_states("random", n_chains, stream)
        sampler = machine.for_rows(2 * n_gibbs_steps * n_chains)
        # The h of the last step is needed too.
        v = sampler.gibbs(v, n_gibbs_steps - 1, stream)
        h = sampler.sample_hidden(v, stream)
        v = sampler.transposed().sample_hidden(h, stream)
        return _compute_energies(machine, v, h) / ground_energy


def method_accessibility(
    estimator: Any, X: ArrayLike, *, random_state: Any = None, ground_energy: float | None = None
) -> float:
    """Measure the share of the ground state's energy that the negative phase reaches.

    This is the lowest energy E(v, h) among the states that the estimator's negative phase would use
    in its next update, divided by that of the ground state. The hidden states are the phase's own
    where it has them (pure PID with ``hidden="pattern"``, equation 6), else drawn from P(h | v).
    Persistent chains continue as training left them; tempered chains contribute their states at
    β = 1.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The batch of data of the update: the chains of CD start there. Other negative phases use
        only its number of rows.
    random_state : int, RandomState instance or None, default=None
    ground_energy : float, optional
        The ground state's energy in nats, if known; by default `ground_state_energy`.

    Returns
    -------
    float
        At most 1 (up to rounding), the ground state.

    Raises
    ------
    ValueError
        For the exact negative phase, which uses every state; if the smaller layer has more
        than 25 units and no `ground_energy` is given; or if all energies are zero.

    References
    ----------
    Pozas-Kerstjens et al. (2021), section 5.1.2, figure 2b.

    Examples
    --------
    >>> from sklearn_rapid import RARBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import method_accessibility
    >>> X = make_bars(4)
    >>> model = RARBM(n_components=32, n_patterns=8, max_iter=200, random_state=0).fit(X)
    >>> 0.5 < method_accessibility(model, X, random_state=0) <= 1.0
    True
    """
    model = get_model(estimator)
    machine = model.machine
    X = validate_rows(estimator, X)
    phase = negative_phase_from(estimator.negative_phase)
    phase.check(machine)
    ground_energy = _resolve_ground_energy(estimator, ground_energy)
    backend, stream = machine.backend, seed_stream(random_state)
    with backend.running():
        data = model.encoder(X).states(X, stream, stream.reserve())
        chains = phase.resume(model.state.chains, machine, X.shape[0], stream)
        sampler = machine.for_rows(phase.n_rows(machine.couplings, X.shape[0], chains))
        negative, _ = phase.states(sampler, data, chains, stream)
        if negative.weights is not None:
            raise ValueError(
                f"method accessibility is that of sampled states, but {phase!r} weighs all "
                "states of a layer by their probabilities: its lowest one is trivial"
            )
        v, h = negative.visible, negative.hidden
        h = sampler.sample_hidden(v, stream) if h is None else h
        return float(np.min(_compute_energies(machine, v, h)) / ground_energy)


def _minimize_energy(machine: Machine) -> float:
    """Compute min E(v, h) of a machine whose visible layer can be enumerated."""
    backend = machine.backend
    n_states = 2**machine.n_visible
    if not machine.has_biases:
        # v and -v have the same energy: states with the last spin at -1 suffice.
        n_states //= 2
    machine = machine.for_rows(n_states)
    lowest = np.inf
    for start in range(0, n_states, STATES_PER_CHUNK):
        stop = min(start + STATES_PER_CHUNK, n_states)
        v = enumerate_spins(machine.n_visible, start, stop, backend, "float64")
        lowest = min(lowest, float(backend.xp.min(_minimize_over_hidden(machine, v))))
    return lowest


def _minimize_over_hidden(machine: Machine, v: Any) -> Any:
    """Compute min_h E(v, h) = -b·v - Σ_α |θ_α| of each row, float64 of shape (n,)."""
    backend, xp = machine.backend, machine.backend.xp
    energies = -backend.row_dots(v, machine.visible_bias[None, :])
    n_at_once = max(1, FIELDS_AT_ONCE // machine.n_hidden)

    def work(rows: slice) -> None:
        for start in range(rows.start, rows.stop, n_at_once):
            part = slice(start, min(start + n_at_once, rows.stop))
            energies[part] -= xp.sum(xp.abs(machine.hidden_field(v[part, :])), axis=1)

    backend.for_row_blocks(work, v.shape[0], machine.up.n_products)
    return energies


def _compute_energies(machine: Machine, v: Any, h: Any) -> np.ndarray:
    """Compute E(v, h) of each row in double precision, on the host."""
    xp = machine.backend.xp
    v, h = (xp.astype(s, xp.float64) for s in (v, h))
    return machine.backend.to_numpy(machine.in_float64().energy(v, h))


def _resolve_ground_energy(estimator: Any, ground_energy: float | None) -> float:
    """Return the ground state's energy, computed if None; ValueError unless negative."""
    if ground_energy is None:
        ground_energy = ground_state_energy(estimator)
        if ground_energy == 0.0:
            raise ValueError(
                "all parameters of the model are zero, and so are all its energies: there is no "
                "ground state to compare with"
            )
    if not (is_number(ground_energy) and -np.inf < ground_energy < 0.0):
        raise ValueError(
            f"ground_energy must be a negative, finite number of nats, got {ground_energy!r}"
        )
    return float(ground_energy)
