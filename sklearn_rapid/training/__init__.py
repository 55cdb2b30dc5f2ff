"""How a machine learns.

Read `trainer` first: one update. It takes states of the data from `positive_phase` and of the model
from `negative_phase`, subtracts their `statistics`, centred as in `centering`, lets one of
`optimizers` make a direction of the gradient, and goes along it by the rules in `steps`. `state` is
all that changes on the way, with the `chains` of the negative phase; `fused` makes several updates
in one call of a backend. `fit` goes through epochs.
"""
