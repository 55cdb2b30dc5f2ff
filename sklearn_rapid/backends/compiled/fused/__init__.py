"""Many updates in one compiled call: `run` goes through `rows` and `steps`.

`buffers` are what threads share, `parties` how they wait for one another.
"""
