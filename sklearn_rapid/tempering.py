"""Parallel tempering: chains at many inverse temperatures that exchange their states.

    log f_β(v) = (1-β) a·v + β b·v + log base(v) + Γ(β θ),    0 = β_0 < β_1 < ... < β_R = 1

with Γ(β θ) = Σ_α log 2cosh(β θ_α) and no base measure where units are spins. A ladder has a chain
at every β. At β = 0 units are independent and each sweep draws a new state (in no field, a = 0:
fields of the data's means would make short ladders that are blind to rare modes,
docs/design_notes/tempering.md); a state that climbs from there to β = 1 is an independent sample of
the machine. Even and odd pairs of neighbours take turns in exchanging states, so that states do not
diffuse but travel (Okabe et al. 2001; Syed, Bouchard-Côté, Deligiannidis, Doucet 2022,
"Non-reversible parallel tempering", JRSS B 84).

The shares r of rejected exchanges between neighbours add up to the barrier Λ = Σ r, which hardly
depends on the number of rungs: it measures how hard the machine is to sample. β are placed so
that every pair rejects the same share, in rounds of doubling length.

A ladder is a value: `sweep` takes one and returns the next.

The code is in ``sklearn_rapid.machine.tempering``.
"""

from sklearn_rapid.machine.tempering import Travels

__all__ = ["Travels"]
