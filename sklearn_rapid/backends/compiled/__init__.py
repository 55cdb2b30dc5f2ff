"""The fast backend on CPUs: BLAS, and kernels compiled by Numba.

`backend` is its class. `spins` and `units` hold kernels of a block of rows, which use `random` and
`elementary`; `linear` kernels of whole arrays; `pipelines` products and kernels in turn; `fused`
many updates in one call. `compiler` and `arguments` adapt all of these to Numba.
"""
