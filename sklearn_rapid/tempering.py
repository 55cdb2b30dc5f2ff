"""Ladders for parallel tempering: chains at many inverse temperatures that exchange their states.

    log f_β(v) = (1-β) a·v + β b·v + log base(v) + Γ(β θ),    0 = β_0 < β_1 < ... < β_R = 1

with Γ(β θ) = Σ_α log 2cosh(β θ_α) and no base measure where units are spins. Each column of a
ladder has one chain, its replica, on every rung β. At β = 0 units are independent and each sweep
draws a new state (in no field, a = 0: fields of the data's means make short ladders blind to rare
modes, docs/design_notes/tempering.md). A state that climbs from there to β = 1 is an independent
sample. Even and odd pairs of neighbours exchange states in turn, so that states travel and do not
diffuse (Okabe et al. 2001; Syed, Bouchard-Côté, Deligiannidis, Doucet 2022, "Non-reversible
parallel tempering", JRSS B 84).

The shares r of rejected exchanges between neighbours add up to the barrier Λ = Σ r, a measure of
how hard the machine is to sample that hardly depends on the number of rungs. The β are placed so
that all pairs reject the same share.

The code is in ``sklearn_rapid.machine.tempering``.
"""

from sklearn_rapid.machine.tempering import Travels

__all__ = ["Travels"]
