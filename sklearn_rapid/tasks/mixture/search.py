"""Try candidates on rows set aside, those that promise most first, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from sklearn_rapid.checks.cached import cached_property
from sklearn_rapid.tables.missing import has_missing
from sklearn_rapid.tasks.mixture.candidates import (
    FEW_ROWS,
    SECONDS_OF_FIT,
    Candidate,
    nominal_seconds,
)
from sklearn_rapid.tasks.mixture.members import Member
from sklearn_rapid.tasks.mixture.views import View

# Updates of the first tries, which may cost this share of the budget; of following ones there are
# that many times as many, up to a largest number.
FIRST_UPDATES, SHARE_OF_FIRST, FACTOR, MOST_UPDATES = (100, 800), 0.4, 3, 40_000
# A candidate is trained for longer if that has gained so much before, in nats a row.
SMALLEST_GAIN = 0.005
# Tries that are decided on together, so that their choice does not depend on the number of jobs.
TRIES_AT_ONCE = 2
# Few rows are divided into folds, so that each is set aside once; of others this share is set
# aside, and at most so many.
N_FOLDS, SHARE_SET_ASIDE, MOST_SET_ASIDE = 5, 0.1, 5000
# With missing entries likelihoods take time: then fewer are set aside. Updates take longer, too.
MOST_SET_ASIDE_WITH_GAPS, COST_WITH_GAPS = 500, 2.0


@dataclass(frozen=True)
class Trial:
    """A candidate that was trained for so many updates.

    Parameters
    ----------
    candidate : Candidate or None
        None means independent columns.
    n_updates : int
    log_p : array of shape (n_set_aside,)
        Log-likelihoods of the rows that were set aside.
    score : float
        Their weighted mean.
    is_trusted : bool
        Whether log Z is.
    seconds : float
    member : Member or None
        The machine, if there was one fold.
    """

    candidate: Candidate | None
    n_updates: int
    log_p: np.ndarray = field(repr=False)
    score: float
    is_trusted: bool
    seconds: float
    member: Member | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What was tried, as text."""
        return "independent columns" if self.candidate is None else str(self.candidate)


@dataclass(frozen=True)
class Rows:
    """The rows of a fit, and how they are set aside.

    Parameters
    ----------
    X : array of shape (n_samples, n_columns)
    sample_weight : array of shape (n_samples,) or None
    seed : int
    """

    X: Any
    sample_weight: np.ndarray | None
    seed: int

    @cached_property
    def have_gaps(self) -> bool:
        """Whether entries are missing."""
        return has_missing(self.X)

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """List pairs of rows to train on and rows set aside."""
        n = self.X.shape[0]
        order = np.random.default_rng(self.seed).permutation(n)
        if n < FEW_ROWS:
            parts = np.array_split(order, min(N_FOLDS, n))
        else:
            most = MOST_SET_ASIDE_WITH_GAPS if self.have_gaps else MOST_SET_ASIDE
            n_aside = min(most, round(SHARE_SET_ASIDE * n))
            parts = [order[:n_aside]]
        return [(np.setdiff1d(order, part), np.sort(part)) for part in parts]

    def weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Select the weights of some rows."""
        return None if self.sample_weight is None else self.sample_weight[rows]


class Search:
    """Tries of candidates on rows set aside.

    Parameters
    ----------
    rows : Rows
    views : dict of bool to View
        By whether groups are codes.
    n_jobs : int or None
    n_threads : int or None
    report : callable
        Called with each trial.
    """

    def __init__(
        self,
        rows: Rows,
        views: dict[bool, View],
        n_jobs: int | None,
        n_threads: int | None,
        report: Callable,
    ) -> None:
        self.rows, self.views, self.report = rows, views, report
        self.n_jobs, self.n_threads = n_jobs, n_threads
        self.folds = rows.folds()
        self.trials: list[Trial] = []

    @property
    def set_aside(self) -> np.ndarray:
        """The numbers of the rows that are set aside, in the order of `Trial.log_p`."""
        return np.concatenate([aside for _, aside in self.folds])

    def try_independent_columns(self) -> None:
        """Try independent columns."""
        began, log_p = time.perf_counter(), []
        for train, aside in self.folds:
            X, weights = self.rows.X[train], self.rows.weights_of(train)
            member = Member.fit_independent(self.views[False], X, weights, self.rows.seed)
            log_p.append(member.log_likelihoods(self.rows.X[aside]))
        own = member if len(self.folds) == 1 else None
        self._add(None, 0, np.concatenate(log_p), True, time.perf_counter() - began, own)

    def run(self, candidates: list[Candidate], budget: Budget) -> None:
        """Try candidates for few updates, then the best for more, as long as they gain."""
        if not candidates:
            return
        at_least, of_update = (sum(self.cost(c, n) for c in candidates) for n in (0, 1))
        n_first = (SHARE_OF_FIRST * budget.nominal - at_least) / (of_update - at_least)
        n_first = int(np.clip(n_first, *FIRST_UPDATES))
        waiting = [(np.inf, -k, n_first) for k in range(len(candidates))]
        while chosen := self._choose(waiting, candidates, budget):
            for entry in chosen:
                waiting.remove(entry)
            tries = [(candidates[-k], n_updates) for _, k, n_updates in chosen]
            for entry, trial in zip(chosen, self._try_all(tries), strict=True):
                self._add(*trial)
                before, k, n_updates = entry
                budget.spend(self.cost(candidates[-k], n_updates), self.trials[-1].seconds)
                score, n_more = self.trials[-1].score, FACTOR * n_updates
                gains = n_updates == n_first or score > before + SMALLEST_GAIN
                if n_more <= MOST_UPDATES and gains and np.isfinite(score):
                    waiting.append((score, k, n_more))

    def cost(self, candidate: Candidate, n_updates: int) -> float:
        """Estimate nominal seconds of a try."""
        of_update = nominal_seconds(candidate, self.views[candidate.is_grouped].table)
        of_update *= COST_WITH_GAPS if self.rows.have_gaps else 1.0
        return len(self.folds) * (SECONDS_OF_FIT + n_updates * of_update)

    def _choose(self, waiting: list, candidates: list[Candidate], budget: Budget) -> list:
        """Choose the next tries: those with the best scores that the budget allows."""
        chosen, cost = [], 0.0
        for entry in sorted(waiting, reverse=True):
            _, k, n_updates = entry
            more = self.cost(candidates[-k], n_updates)
            if budget.allows(cost + more):
                chosen.append(entry)
                cost += more
            if len(chosen) == TRIES_AT_ONCE:
                break
        return chosen

    def _try_all(self, tries: list[tuple[Candidate, int]]) -> Iterator[tuple]:
        jobs = [(c, n, *fold) for c, n in tries for fold in self.folds]
        found = Parallel(n_jobs=self.n_jobs)(
            delayed(_try)(self.rows, self.views[c.is_grouped], c, n, *fold, self.n_threads)
            for c, n, *fold in jobs
        )
        for i, (candidate, n_updates) in enumerate(tries):
            own = found[i * len(self.folds) : (i + 1) * len(self.folds)]
            log_p = np.concatenate([log_p for log_p, _, _ in own])
            is_good = np.isfinite(log_p).all() and all(m.log_z.is_trusted for _, m, _ in own)
            member = own[0][1] if len(own) == 1 else None
            yield candidate, n_updates, log_p, bool(is_good), sum(s for _, _, s in own), member

    def _add(self, candidate: Candidate | None, n_updates: int, log_p: Any, *rest: Any) -> None:
        score = float(np.average(log_p, weights=self.rows.weights_of(self.set_aside)))
        self.trials.append(Trial(candidate, n_updates, log_p, score, *rest))
        self.report(self.trials[-1])


def _try(
    rows: Rows,
    view: View,
    candidate: Candidate,
    n_updates: int,
    train: np.ndarray,
    aside: np.ndarray,
    n_threads: int | None,
) -> tuple[np.ndarray, Member, float]:
    """Fit a candidate to some rows; return log-likelihoods of others, the member, and seconds."""
    began, weights = time.perf_counter(), rows.weights_of(train)
    member = Member.fit(candidate, view, rows.X[train], weights, n_updates, rows.seed, n_threads)
    log_p = member.log_likelihoods(rows.X[aside])
    return log_p, member, time.perf_counter() - began


class Budget:
    """Nominal seconds that tries may cost; or real ones, by the speed of those so far.

    Parameters
    ----------
    nominal : float
    time_limit : float or None
        Real seconds from now on, of which a share is left for the last fits.
    """

    def __init__(self, nominal: float, time_limit: float | None) -> None:
        self.nominal = nominal if time_limit is None else time_limit
        self.left = nominal
        self.time_limit = time_limit
        self.began, self.speed = time.perf_counter(), 1.0
        self.spent, self.seconds = 0.0, 0.0

    def allows(self, cost: float) -> bool:
        """Whether tries of this nominal cost fit in."""
        if self.time_limit is None:
            return cost <= self.left
        return time.perf_counter() - self.began + cost * self.speed <= self.time_limit

    def spend(self, cost: float, seconds: float) -> None:
        """Count a try of this nominal cost, and the seconds that it took."""
        self.left -= cost
        self.spent += cost
        self.seconds += seconds
        self.speed = self.seconds / self.spent
