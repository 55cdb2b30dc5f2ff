"""Fit a mixture: make views, try candidates, weigh them, and fit the best to all rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import logsumexp

from sklearn_rapid.checks.warnings import warn
from sklearn_rapid.tables.missing import has_missing
from sklearn_rapid.tables.settings import ColumnSettings
from sklearn_rapid.tables.table import Table
from sklearn_rapid.tasks.mixture.candidates import FEW_ROWS, Candidate, default_candidates
from sklearn_rapid.tasks.mixture.groups import find_exclusive_groups
from sklearn_rapid.tasks.mixture.members import Member
from sklearn_rapid.tasks.mixture.mixture import Mixture
from sklearn_rapid.tasks.mixture.search import Budget, Rows, Search, Trial
from sklearn_rapid.tasks.mixture.views import GroupedView, View
from sklearn_rapid.tasks.mixture.weights import find_weights, keep_largest

# Nominal seconds of a search by default, of many rows and of few; the share of a time limit that it
# may take.
BUDGET, BUDGET_OF_FEW, SHARE_OF_SEARCH = 60.0, 25.0, 0.6
# Members are fitted again, to all rows, if there are fewer of these: in nominal seconds at most.
ROWS_TO_FIT_AGAIN, BUDGET_OF_FITS = 20_000, 30.0
# Members have at least this weight, and there are at most so many; independent columns have at
# least the last one: no row is less likely by more than its logarithm than they make it.
SMALLEST_WEIGHT, MOST_MEMBERS, SHARE_OF_INDEPENDENT = 0.02, 4, 0.01


@dataclass(frozen=True)
class Limits:
    """How long a fit may take, and on what.

    Parameters
    ----------
    time_limit : float or None
        Seconds; None means a fixed amount of work.
    n_jobs, n_threads : int or None
    began : float
        When the fit did (`time.perf_counter`).
    """

    time_limit: float | None
    n_jobs: int | None
    n_threads: int | None
    began: float

    def seconds_left(self, share: float = 1.0) -> float | None:
        """Seconds left of a share of the limit; None without a limit."""
        if self.time_limit is None:
            return None
        return share * self.time_limit - (time.perf_counter() - self.began)


def make_views(
    table: Table,
    X: Any,
    sample_weight: np.ndarray | None,
    settings: ColumnSettings,
    backend: Any,
    *,
    with_groups: bool,
) -> tuple[dict[bool, View], list[np.ndarray]]:
    """Make the view of each column by itself, and one with groups if there are any."""
    view, columns = View.of_table(table), np.zeros(0, dtype=np.int64)
    if with_groups and not has_missing(X) and settings.min_frequency is None:
        columns = dict(view.table.kinds).get("binary", columns)
    groups = find_exclusive_groups(X, columns)
    if not groups:
        return {False: view}, []
    grouped = GroupedView.learn(X, sample_weight, view, groups, settings, backend)
    return {False: view, True: grouped}, groups


def search_candidates(
    rows: Rows, views: dict[bool, View], models: list | None, limits: Limits, report: Callable
) -> Search:
    """Try candidates on rows set aside, within the limits; independent columns first.

    Parameters
    ----------
    rows : Rows
    views : dict of bool to View
        By whether groups are codes.
    models : list of RBM or RARBM, or None
        None means those by default.
    limits : Limits
    report : callable
        Called with each trial.

    Warns
    -----
    RuntimeWarning
        If there is no time to try any machine.
    """
    n_rows = rows.X.shape[0]
    candidates = default_candidates(n_rows, True in views)
    if models is not None:
        candidates = [Candidate(model, is_grouped) for model in models for is_grouped in views]
    n_jobs = 1 if limits.n_jobs is None else limits.n_jobs
    n_threads = limits.n_threads if n_jobs == 1 or limits.n_threads is not None else 1
    search = Search(rows, views, n_jobs, n_threads, report)
    search.try_independent_columns()
    budget = BUDGET_OF_FEW
    if n_rows >= FEW_ROWS:
        budget = BUDGET + (BUDGET_OF_FITS if n_rows >= ROWS_TO_FIT_AGAIN else 0.0)
    search.run(candidates, Budget(budget, limits.seconds_left(SHARE_OF_SEARCH)))
    if candidates and len(search.trials) == 1:
        what = "the default amount of work" if limits.time_limit is None else "time_limit"
        warn(
            f"{what} left no time to try a machine: columns are independent in this density. Set a "
            "larger time_limit, or give candidates with fewer units.",
            RuntimeWarning,
        )
    return search


def fit_mixture(search: Search, limits: Limits) -> tuple[Mixture, float]:
    """Weigh trials, and fit those with a weight to all rows.

    Parameters
    ----------
    search : Search
    limits : Limits

    Returns
    -------
    Mixture
    float
        Mean log-likelihood of the rows set aside.

    Warns
    -----
    RuntimeWarning
        If of no machine log Z is trusted.
    """
    independent, *others = search.trials
    trials = [independent, *(trial for trial in others if trial.is_trusted)]
    if len(trials) == 1 < len(search.trials):
        warn(
            "of no machine is log Z trusted: columns are independent in this density. Allow more "
            "time, or give candidates with fewer units or larger penalties.",
            RuntimeWarning,
        )
    log_p = np.array([trial.log_p for trial in trials])
    weights_of_rows = search.rows.weights_of(search.set_aside)
    how = {"always": 0, "share": SHARE_OF_INDEPENDENT}
    weights = find_weights(log_p, weights_of_rows)
    weights = keep_largest(weights, SMALLEST_WEIGHT, MOST_MEMBERS, **how)
    chosen = np.flatnonzero(weights)
    members = _fit_members([trials[k] for k in chosen], weights[chosen], search, limits)
    is_good = np.array([m is not None and (k == 0 or m.log_z.is_trusted)
                        for k, m in zip(chosen, members, strict=True)])  # fmt: skip
    weights = weights[chosen][is_good] / weights[chosen][is_good].sum()
    good = [member for member, is_kept in zip(members, is_good, strict=True) if is_kept]
    mixed = logsumexp(log_p[chosen[is_good]].T + np.log(weights), axis=1)
    return Mixture(good, weights), float(np.average(mixed, weights=weights_of_rows))


def _fit_members(
    trials: list[Trial], weights: np.ndarray, search: Search, limits: Limits
) -> list[Member | None]:
    """Fit trials to all rows, those with the largest weights first, as far as limits allow.

    Others have the member that was fitted to a part of the rows, or None.
    """
    rows, seed = search.rows, search.rows.seed + 1
    found = [trial.member for trial in trials]
    if rows.X.shape[0] >= ROWS_TO_FIT_AGAIN:
        return found
    first = Member.fit_independent(search.views[False], rows.X, rows.sample_weight, seed)
    seconds_left, again = limits.seconds_left(), []
    left = BUDGET_OF_FITS if seconds_left is None else seconds_left
    for k in np.argsort(-weights, kind="stable"):
        cost = _cost_of_fit(trials[k], search, is_real=seconds_left is not None)
        if trials[k].candidate is not None and cost <= left:
            again.append(int(k))
            left -= cost
    fits = Parallel(n_jobs=search.n_jobs)(
        delayed(Member.fit)(
            trials[k].candidate,
            search.views[trials[k].candidate.is_grouped],
            rows.X,
            rows.sample_weight,
            trials[k].n_updates,
            seed,
            search.n_threads,
        )
        for k in again
    )
    found[0] = first
    for k, member in zip(again, fits, strict=True):
        found[k] = member
    return found


def _cost_of_fit(trial: Trial, search: Search, is_real: bool) -> float:
    """Estimate seconds of a fit to all rows, real or nominal ones."""
    if trial.candidate is None:
        return 0.0
    of_folds = trial.seconds if is_real else search.cost(trial.candidate, trial.n_updates)
    return of_folds / len(search.folds)
