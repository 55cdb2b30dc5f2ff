"""How a machine learns.

Read `trainer` first: one update. It takes states of the data from `positive_phase` and of the
model from `negative_phase`, subtracts their `statistics`, lets one of `optimizers` make a direction
of that, and goes along it as far as `steps` say. `state` is all that changes on the way; `fused`
says which updates a backend can make in one call. `fit` goes through epochs.
"""
