"""Fused updates: many updates in one compiled call, made of `rows` and `steps` by `run`.

`buffers` is the memory that workers share, `barrier` where they wait for one another.
"""
