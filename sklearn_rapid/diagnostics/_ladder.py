"""Measure how states travel along a model's ladder of temperatures."""

from __future__ import annotations

from typing import Any

from sklearn_rapid.checks.arguments import check_count, seed_stream
from sklearn_rapid.diagnostics._machine import get_model
from sklearn_rapid.estimators.model import get_sample_source
from sklearn_rapid.machine.tempering import Travels, count_travels, sweep_ladder

# Records of each state in each sweep are dropped after this many sweeps, to bound memory.
SWEEPS_AT_ONCE = 64


def ladder_travels(estimator: Any, *, n_sweeps: int = 200, random_state: Any = None) -> Travels:
    """Measure how states travel between β = 0, where units are independent, and the model at β = 1.

    The sweeps continue the ladder that `sample` draws from, whose rungs are placed so that all
    pairs of neighbours reject about equal shares of exchanges. Counts of exchanges and arrivals
    start at zero.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    n_sweeps : int, default=200
        At least two: exchanges of even and of odd pairs take turns. A sweep is a Gibbs step at
        each rung, then exchanges.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    Travels
        With β of the rungs, share of rejected exchanges of each pair, `n_round_trips` from β = 0 to
        β = 1 in all columns, the barrier Λ and the local barrier λ(β). All are pure numbers: β
        multiplies energies in nats, and Λ counts rejections.

    Notes
    -----
    λ(β) = ½ E|s(v) - s(v')| for two independent states at β, with s = ∂ log f_β(v) / ∂β. Its
    integral Λ hardly depends on the number of rungs and their places. If states forgot
    where they were between two exchanges, each column would make a round trip in
    2 + 2 Σ r / (1 - r) sweeps, r being the rejections: about 2 + 4Λ for ladders of this package,
    which have two rungs for each unit of Λ. Much longer trips mean that Gibbs steps at fixed β move
    states too slowly.

    References
    ----------
    Syed, Bouchard-Côté, Deligiannidis, Doucet (2022), "Non-reversible parallel tempering: a
    scalable highly parallel MCMC scheme", JRSS B 84.

    Examples
    --------
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import ladder_travels
    >>> rbm = RBM(n_components=8, max_iter=200, random_state=0).fit(make_bars(4))
    >>> travelled = ladder_travels(rbm, random_state=0)
    >>> travelled.n_sweeps, bool(0.0 < travelled.barrier < 5.0), travelled.n_round_trips > 100
    (200, True, True)
    """
    model = get_model(estimator, of_spins=False)
    machine = model.machine
    n_sweeps = check_count("n_sweeps", n_sweeps, 2)
    stream = seed_stream(random_state)
    with machine.backend.running():
        ladder = get_sample_source(estimator, model).ladder
        sampler = machine.for_rows(2 * n_sweeps * ladder.states.shape[0])
        for start in range(0, n_sweeps, SWEEPS_AT_ONCE):
            n = min(SWEEPS_AT_ONCE, n_sweeps - start)
            ladder, _ = sweep_ladder(ladder, sampler, n, stream)
        return count_travels(ladder, machine.backend)
