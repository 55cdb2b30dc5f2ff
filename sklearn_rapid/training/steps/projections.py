"""From continuous pattern updates back to patterns (Pozas-Kerstjens et al. 2021, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass

from sklearn_rapid.backends import RandomStream
from sklearn_rapid.machine.machine import Machine


@dataclass(frozen=True)
class Projection:
    """What is done to the patterns, and how often.

    Parameters
    ----------
    kind : {"sign", "clip", "gibbs"} or None
    period : "update", "epoch" or int
        An int is a number of updates.
    bound : float
        The x of [-x, x] for "clip".
    unit : float
        What "sign" makes of patterns: plus or minus this.

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
        """Raise ValueError if patterns would have to be states, and units are no spins."""
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
    """ξ_v ~ P(v | ξ_h), then ξ_h ~ P(h | ξ_v) (eq. B2)."""
    couplings = machine.couplings
    visible = machine.transposed().sample_hidden(couplings.hidden_patterns, stream)
    # Both layers are drawn with the couplings that the patterns have made so far.
    hidden = machine.sample_hidden(visible, stream)
    couplings.visible_patterns[...] = visible
    couplings.hidden_patterns[...] = hidden
