"""A stand-in for CuPy on machines without a GPU, for tests.

`make_cupy()` makes a module with CuPy's names, as many of them as the package uses: any other name
raises AttributeError. Arrays are NumPy's inside. What CuPy refuses is refused: to mix arrays of
the host and of the device, and to move one implicitly to the host. Kernels are compiled from
their CUDA source by the host's C++ compiler (`compiler.py`) and run.

Moves between host and device are counted in `transfers`, by their direction.
"""

from tools.cupy_stand_in.module import make_cupy

__all__ = ["make_cupy"]
