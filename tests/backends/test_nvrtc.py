"""NVIDIA's own compiler takes the CUDA source, for every GPU that it knows; it needs none to."""

from __future__ import annotations

import ctypes
import re
import sys
from importlib.metadata import PackageNotFoundError, files

import pytest

from sklearn_rapid.backends.gpu.backend import COMPILER_OPTIONS, SOURCE

WHEELS = ["nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc-cu13", "nvidia-cuda-nvrtc"]
LIBRARY = re.compile(r"(libnvrtc\.so\.\d+|nvrtc64_\d+_0\.dll)$")
# Compute capabilities from 7.0 (Volta) to 9.0 (Hopper).
CAPABILITIES = [70, 72, 75, 80, 86, 87, 89, 90]
# CuPy's own choice where none is given.
STANDARD = "-std=c++14"


def libraries():
    """NVRTC of each wheel that is installed, by its path."""
    for wheel in WHEELS:
        try:
            found = [f for f in files(wheel) or [] if LIBRARY.search(f.name)]
        except PackageNotFoundError:
            continue
        yield from (str(f.locate()) for f in found)


@pytest.fixture(scope="module")
def nvrtc():
    paths = list(libraries())
    if not paths:
        assert sys.platform == "darwin", f"the extra [test] installs {WHEELS[0]}"
        pytest.skip("NVIDIA makes no compiler for macOS")
    return ctypes.CDLL(paths[0])


def compiled(nvrtc, source, architecture, *more_options):
    """(whether NVRTC takes the source, its log, machine code for sm_, else assembly)."""
    program = ctypes.c_void_p()
    create = nvrtc.nvrtcCreateProgram
    assert create(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    options = (f"--gpu-architecture={architecture}", STANDARD, *more_options)
    encoded = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    log = _text(nvrtc, "ProgramLog", program).decode().strip("\0")
    if status != 0:
        return False, log, b""
    return True, log, _text(nvrtc, "CUBIN" if architecture.startswith("sm") else "PTX", program)


def _text(nvrtc, name, program):
    size = ctypes.c_size_t()
    assert getattr(nvrtc, f"nvrtcGet{name}Size")(program, ctypes.byref(size)) == 0
    buffer = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{name}")(program, buffer) == 0
    return buffer.raw


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_kernel_compiles(nvrtc, capability):
    is_taken, log, machine_code = compiled(nvrtc, SOURCE, f"sm_{capability}", *COMPILER_OPTIONS)
    log = [line for line in log.splitlines() if "deprecated" not in line]  # old architectures
    assert (is_taken, log) == (True, [])
    for name in re.findall(r"__global__ void (\w+)", SOURCE):
        assert f".text.{name}\0".encode() in machine_code


def test_what_is_wrong_is_refused(nvrtc):
    wrong = SOURCE.replace("__umulhi", "umulhi")
    is_taken, log, _ = compiled(nvrtc, wrong, "sm_80", *COMPILER_OPTIONS)
    assert not is_taken
    assert 'identifier "umulhi" is undefined' in log


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["sample_spins", "sample_categories", "add_scaled"])
def test_no_multiply_adds_are_fused(nvrtc, kernel):
    """Or spins would not be those of other backends. (log1p and division have some inside.)"""

    def count(*options):
        assembly = compiled(nvrtc, SOURCE, "compute_80", *options)[2].decode()
        (body,) = re.findall(rf"\.entry {kernel}\((.*?)\n}}", assembly, flags=re.DOTALL)
        assert "mul" in body
        return body.count("fma.rn.f32")

    assert count() > 0
    assert count(*COMPILER_OPTIONS) == 0
