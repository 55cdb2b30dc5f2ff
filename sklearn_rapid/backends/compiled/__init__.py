"""The fast backend on CPUs: BLAS, and kernels that Numba compiles.

`backend` puts it together. `spins` and `units` are kernels of a block of rows, made of `random` and
`elementary`; `linear` of whole arrays, `pipelines` products and kernels in turn; `fused` makes many
updates in one call; `compiler` and `arguments` stand between Numba and all of these.
"""
