"""Project patterns after continuous updates (Pozas-Kerstjens et al. 2021, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine


@dataclass(frozen=True)
class Projection:
    """A projection of patterns, and how often it is made.

    Parameters
    ----------
    kind : {"sign", "clip", "gibbs"} or None
    period : "update", "epoch" or int
        An int is a number of updates.
    bound : float
        The x of [-x, x] for "clip".
    unit : float
        The absolute value of patterns after "sign".

    Examples
    --------
    >>> Projection("sign", "epoch").is_due(n_updates=10, end_of_epoch=False)
    False
    """

    kind: str | None = None
    period: str | int = "update"
    bound: float = 1.0
    unit: float = 1.0

    def is_due(self, n_updates: int, end_of_epoch: bool) -> bool:
        """Whether to project after update number `n_updates` (counted from one)."""
        if self.kind is None:
            return False
        if self.period == "epoch":
            return end_of_epoch
        return self.period == "update" or n_updates % self.period == 0

    def check(self, machine: Machine) -> None:
        """Raise ValueError if patterns are to be drawn as states, and units are not spins."""
        if self.kind == "gibbs" and not machine.has_spins_only:
            raise ValueError(
                "projection='gibbs' draws patterns as states of the units, which are no patterns "
                "unless they are spins, in both layers. Use 'clip', 'sign' or None."
            )

    def __call__(self, machine: Machine, stream: RandomStream) -> None:
        """Project the machine's patterns, in place."""
        backend, patterns = machine.backend, machine.couplings.parameters
        if self.kind == "gibbs":
            _draw_patterns(machine, stream)
        for p in patterns.values():
            if self.kind == "sign":
                p[...] = self.unit * backend.sign(p)
            elif self.kind == "clip":
                backend.clip(p, self.bound)


def _draw_patterns(machine: Machine, stream: RandomStream) -> None:
    """Draw ξ_v ~ P(v | ξ_h), then ξ_h ~ P(h | ξ_v) (eq. B2)."""
    couplings = machine.couplings
    visible = machine.transposed().sample_hidden(couplings.hidden_patterns, stream)
    # Both layers are drawn with the couplings of the old patterns.
    hidden = machine.sample_hidden(visible, stream)
    couplings.visible_patterns[...] = visible
    couplings.hidden_patterns[...] = hidden
