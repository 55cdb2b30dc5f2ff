"""Which machines are tried for a table, for how many updates, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn_rapid.estimators import RARBM, RBM

# Seconds of an update of 100 rows on two cores: in any case, and for each coupling (of patterns,
# each element of these); of binary columns alone, and of others (docs/design_notes/tasks.md).
SECONDS = {True: (3e-4, 8e-8), False: (2e-3, 1.5e-7)}
FEW_ROWS = 1000
# Of a fit and its log Z, in seconds of its updates.
WITH_LOG_Z = 1.3
# Seconds of a fit and its log Z besides.
SECONDS_OF_FIT = 0.2


@dataclass(frozen=True)
class Candidate:
    """A machine that may be tried.

    Parameters
    ----------
    model : RBM or RARBM
        Not fitted.
    is_grouped : bool, default=False
        Whether groups of exclusive columns are codes.
    """

    model: Any
    is_grouped: bool = False

    def __str__(self) -> str:
        parameters = {"n_components": self.model.n_components}
        if isinstance(self.model, RARBM):
            parameters["n_patterns"] = self.model.n_patterns
        if self.model.l1_penalty:
            parameters["l1_penalty"] = self.model.l1_penalty
        given = ", ".join(f"{name}={value:g}" for name, value in parameters.items())
        grouped = " on groups" if self.is_grouped else ""
        return f"{type(self.model).__name__}({given}){grouped}"


def default_candidates(n_rows: int, has_groups: bool) -> list[Candidate]:
    """List the machines that are tried by default.

    Few and many hidden units, weak and strong penalties, and patterns; smaller ones for fewer than
    a thousand rows. Where groups of columns exclude each other, each machine sees them as codes,
    and those with dense couplings as bits, too.
    """
    H = 256 if n_rows >= FEW_ROWS else 64
    dense = [RBM(n_components=16, l1_penalty=3.0)]
    dense += [RBM(n_components=H, l1_penalty=nats) for nats in (3.0, 10.0, 30.0)]
    patterns = [RARBM(n_components=H, n_patterns=K) for K in (H // 8, H // 2)]
    found = [Candidate(model, has_groups) for model in (*dense, *patterns)]
    if has_groups:
        found += [Candidate(model) for model in dense[1:]]
    return found


def nominal_seconds(candidate: Candidate, n_units: int, is_binary: bool) -> float:
    """Estimate the seconds of an update, with a part of those of log Z; the same everywhere.

    Examples
    --------
    >>> candidate = Candidate(RBM(256))
    >>> f"{nominal_seconds(candidate, 100, True):.4f} {nominal_seconds(candidate, 100, False):.4f}"
    '0.0031 0.0076'
    """
    model, (at_least, of_coupling) = candidate.model, SECONDS[is_binary]
    n_numbers = n_units * model.n_components
    if isinstance(model, RARBM):
        n_numbers = min(n_numbers, 2 * model.n_patterns * (n_units + model.n_components))
    return WITH_LOG_Z * (at_least + of_coupling * n_numbers)
