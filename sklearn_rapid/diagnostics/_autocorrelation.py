"""Integrated autocorrelation times: how long Gibbs chains remember."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft, next_fast_len, rfft

from sklearn_rapid.checks.arguments import check_count, check_option, is_number, seed_stream
from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.diagnostics._machine import get_model
from sklearn_rapid.machine.machine import Machine

# In autocorrelation times: shorter chains underestimate them.
SMALLEST_LENGTH = 50


@dataclass(frozen=True)
class AutocorrelationTime:
    """An integrated autocorrelation time, and how far to trust it.

    Attributes
    ----------
    value : float
        τ = 1 + 2 Σ_t ρ(t), the number of steps that are worth one independent sample. NaN if the
        series never changed.
    error : float
        Standard error of `value` (Madras and Sokal 1988): of the sum up to the window, along
        these chains. Modes that no chain found are not in it.
    window : int
        The lag at which the sum was cut off.
    n_steps, n_chains : int
        Length and number of the chains.
    is_reliable : bool
        Whether the window closed and each chain is at least 50 τ long. If not, τ is likely to be
        too small.

    Examples
    --------
    >>> AutocorrelationTime(10.0, 0.5, 50, 1000, 100, True).value
    10.0
    """

    value: float
    error: float
    window: int
    n_steps: int
    n_chains: int
    is_reliable: bool


def integrated_autocorrelation_time(
    series: ArrayLike, *, window_factor: float = 5.0
) -> AutocorrelationTime:
    """Compute the integrated autocorrelation time of series, by Sokal's automatic windowing.

    The sum τ(M) = 1 + 2 Σ_{t≤M} ρ(t) is cut off at the first M >= c max(τ(M), 1): further terms
    would add only noise. This assumes ρ >= 0, which holds along Gibbs chains of a machine.
    Deviations are from the mean of all chains, so that chains stuck at different values do not
    seem mixed.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_chains, n_steps)
        An observable along one or more stationary chains.
    window_factor : float, default=5.0
        c, at least 1.

    Returns
    -------
    AutocorrelationTime

    Raises
    ------
    ValueError
        If the series has another shape, fewer than two steps, or is not finite.

    References
    ----------
    Madras, Sokal (1988), "The pivot algorithm", appendix C; their τ_int is half of this one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rapid.diagnostics import integrated_autocorrelation_time
    >>> noise = np.random.default_rng(0).normal(size=(10, 1000))
    >>> print(f"{integrated_autocorrelation_time(noise).value:.1f}")
    1.0
    """
    series = _check_series(series)
    if not (is_number(window_factor) and 1.0 <= window_factor < np.inf):
        raise ValueError(f"window_factor must be a number of at least 1, got {window_factor!r}")
    n_chains, n_steps = series.shape
    if np.ptp(series) == 0.0:
        return AutocorrelationTime(np.nan, np.nan, 0, n_steps, n_chains, False)
    taus = 2.0 * np.cumsum(_autocorrelations(series)) - 1.0
    closed = np.flatnonzero(np.arange(n_steps) >= window_factor * np.maximum(taus, 1.0))
    window = int(closed[0]) if closed.size else n_steps - 1
    tau = float(taus[window])
    return AutocorrelationTime(
        value=tau,
        error=abs(tau) * float(np.sqrt(2.0 * (2 * window + 1) / series.size)),
        window=window,
        n_steps=n_steps,
        n_chains=n_chains,
        is_reliable=bool(closed.size) and n_steps >= SMALLEST_LENGTH * tau,
    )


def autocorrelation_time(
    estimator: Any,
    n_steps: int = 1000,
    *,
    n_chains: int = 100,
    observable: str = "free_energy",
    n_burn_in: int = 1000,
    init: Any = None,
    window_factor: float = 5.0,
    random_state: Any = None,
) -> AutocorrelationTime:
    """Compute the integrated autocorrelation time of Gibbs chains in the model, in steps.

    Parameters
    ----------
    estimator : RBM, RARBM, DBM, RADBM or RABM
        Fitted.
    n_steps : int, default=1000
        Length of the chains; the observable is taken once a step.
    n_chains : int, default=100
    observable : {"free_energy", "magnetization"}, default="free_energy"
        F(v) in nats, or the mean spin of v.
    n_burn_in : int, default=1000
        Discarded steps at the start.
    init : array-like, "random", "patterns" or None, default=None
        Where chains start, as in `sample`.
    window_factor : float, default=5.0
        As in `integrated_autocorrelation_time`. The window misses a slow mode that the observable
        hardly shows (rare moves between valleys of equal free energy): compare observables, or
        raise the factor.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    AutocorrelationTime

    Warns
    -----
    RuntimeWarning
        If the chains are too short for a reliable value.

    References
    ----------
    Madras, Sokal (1988), "The pivot algorithm", appendix C.

    Examples
    --------
    >>> from sklearn_rapid import RBM
    >>> from sklearn_rapid.datasets import make_bars
    >>> from sklearn_rapid.diagnostics import autocorrelation_time
    >>> rbm = RBM(n_components=8, max_iter=20, random_state=0).fit(make_bars(4))
    >>> tau = autocorrelation_time(rbm, 2000, random_state=0)
    >>> tau.is_reliable, bool(tau.value > 1.0)
    (True, True)
    """
    model = get_model(estimator, of_spins=False)
    n_steps = check_count("n_steps", n_steps, 2)
    n_chains = check_count("n_chains", n_chains, 1)
    n_burn_in = check_count("n_burn_in", n_burn_in, 0)
    check_option("observable", observable, tuple(OBSERVABLES))
    backend, stream = model.backend, seed_stream(random_state)
    with backend.running():
        v = model.starting_states(init, n_chains, stream)
        machine = model.machine.for_rows(2 * n_chains * (n_steps + n_burn_in))
        series = _record(machine, v, OBSERVABLES[observable], n_steps, n_burn_in, stream)
    tau = integrated_autocorrelation_time(series, window_factor=window_factor)
    if not tau.is_reliable:
        warn(
            f"chains of {n_steps} steps are too short to measure their autocorrelation time "
            f"(got {tau.value:.3g}, and want at least {SMALLEST_LENGTH} times as many steps): it "
            "may be much longer. Raise n_steps.",
            RuntimeWarning,
        )
    return tau


def _magnetization(machine: Machine, v: Any) -> Any:
    """Compute the mean spin of each row."""
    ones = machine.backend.xp.ones((1, machine.n_visible), dtype=v.dtype)
    return machine.backend.row_dots(v, ones) / machine.n_visible


OBSERVABLES: dict[str, Callable[[Machine, Any], Any]] = {
    "free_energy": lambda machine, v: machine.free_energy(v),
    "magnetization": _magnetization,
}


def _record(
    machine: Machine, v: Any, observable: Callable, n_steps: int, n_burn_in: int, stream: Any
) -> np.ndarray:
    """Record an observable along chains, float64 of shape (n_chains, n_steps)."""
    v = machine.gibbs(v, n_burn_in, stream)
    series = np.empty((n_steps, v.shape[0]))
    for step in range(n_steps):
        v = machine.gibbs(v, 1, stream)
        series[step] = machine.backend.to_numpy(observable(machine, v))
    return series.T


def _autocorrelations(series: np.ndarray) -> np.ndarray:
    """Compute ρ(t) of all chains together at lags 0 to n_steps - 1, about their common mean."""
    n_steps = series.shape[1]
    centred = series - series.mean()
    # Zeros keep the end of a chain from meeting its start.
    length = next_fast_len(2 * n_steps, real=True)
    power = np.abs(rfft(centred, length, axis=1)) ** 2
    sums = irfft(power.mean(axis=0), length)[:n_steps]
    covariances = sums / np.arange(n_steps, 0, -1)
    return covariances / covariances[0]


def _check_series(series: ArrayLike) -> np.ndarray:
    series = np.atleast_1d(np.asarray(series, dtype=np.float64))
    if series.ndim > 2 or series.shape[-1] < 2 or series.size == 0:
        raise ValueError(
            "series must have shape (n_steps,) or (n_chains, n_steps) with at least two steps, "
            f"got {series.shape}"
        )
    if not np.isfinite(series).all():
        raise ValueError("series must be finite, got NaN or infinity")
    return np.atleast_2d(series)
