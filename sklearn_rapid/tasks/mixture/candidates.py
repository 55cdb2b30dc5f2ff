"""Which machines are tried for a table, for how many updates, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn_rapid.estimators import RARBM, RBM
from sklearn_rapid.tables.table import Table

# Seconds of an update of 100 rows on two cores: in any case, and for each coupling (of patterns,
# each element of these); of binary columns, of categories, and of others
# (docs/design_notes/tasks.md).
SECONDS = {"binary": (3e-4, 8e-8), "categorical": (1e-3, 5e-8)}
SECONDS_OF_OTHERS = (2e-3, 1e-7)
FEW_ROWS = 1000
# Of a fit and its log Z, in seconds of its updates.
WITH_LOG_Z = 1.3
# Seconds of a fit and its log Z besides.
SECONDS_OF_FIT = 0.1


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
    a thousand rows. Where groups of columns exclude each other, machines see them as codes, and one
    machine sees bits, too.
    """
    H = 256 if n_rows >= FEW_ROWS else 64
    models = [RBM(n_components=n, l1_penalty=3.0) for n in sorted({16, 64, H})]
    models += [RBM(n_components=H, l1_penalty=nats) for nats in (10.0, 30.0)]
    models += [RARBM(n_components=H, n_patterns=K) for K in (H // 8, H // 2)]
    found = [Candidate(model, has_groups) for model in models]
    if has_groups:
        found.append(Candidate(RBM(n_components=H, l1_penalty=10.0)))
    return found


def nominal_seconds(candidate: Candidate, table: Table) -> float:
    """Estimate the seconds of an update, with a part of those of log Z; the same everywhere."""
    model, kinds, n_units = candidate.model, [kind for kind, _ in table.kinds], table.n_units
    of_kind = SECONDS.get(kinds[0], SECONDS_OF_OTHERS)
    at_least, of_coupling = of_kind if len(kinds) == 1 else SECONDS_OF_OTHERS
    n_numbers = n_units * model.n_components
    if isinstance(model, RARBM):
        n_numbers = min(n_numbers, 2 * model.n_patterns * (n_units + model.n_components))
    return WITH_LOG_Z * (at_least + of_coupling * n_numbers)
