"""The backend on NVIDIA GPUs: products by cuBLAS, kernels in CUDA (`spins.cu`, `units.cu`)."""
