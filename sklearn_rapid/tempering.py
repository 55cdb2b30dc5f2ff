"""Parallel tempering: how states travelled along a ladder of inverse temperatures.

`sample` and `log_partition` draw from chains at many inverse temperatures β, from 0, where units
are independent, to 1, the model itself. Neighbours exchange their states, and a state that climbs
from 0 to 1 is an independent sample. The shares of rejected exchanges add up to the barrier Λ,
which measures how hard the model is to sample (Syed, Bouchard-Côté, Deligiannidis, Doucet 2022,
"Non-reversible parallel tempering", JRSS B 84).

The code is in ``sklearn_rapid.machine.tempering``.
"""

from sklearn_rapid.machine.tempering import Travels

__all__ = ["Travels"]
