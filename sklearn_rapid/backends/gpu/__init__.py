"""The backend on NVIDIA GPUs: products by cuBLAS, CUDA kernels (`spins.cu`, `units.cu`)."""
