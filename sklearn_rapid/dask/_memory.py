"""Memory that is freed and taken again in every update.

Dask lets the C library of its workers give freed memory back at once (MALLOC_TRIM_THRESHOLD_). Then
every update asks the system for the same buffers anew, which takes an eighth of its time
(docs/design_notes/dask.md). During a fit the process keeps some of what it frees.
"""

from __future__ import annotations

import ctypes
import os

# Options of glibc's mallopt, and its own defaults.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
DEFAULT = 128 * 1024
# Kept at most by each thread's heap, and the largest piece that comes from it: glibc's limit.
KEPT_BYTES, LARGEST_PIECE = 1 << 28, 1 << 25


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees; whether its C library can be told."""
    mallopt = _mallopt()
    if mallopt is None:
        return False
    is_set = mallopt(M_MMAP_THRESHOLD, LARGEST_PIECE) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(is_set)


def give_freed_memory_back() -> None:
    """Let it be as Dask has set it, and give back what has been kept."""
    mallopt = _mallopt()
    if mallopt is None:
        return
    try:
        threshold = int(os.environ.get("MALLOC_TRIM_THRESHOLD_", DEFAULT))
    except ValueError:
        threshold = DEFAULT
    mallopt(M_MMAP_THRESHOLD, DEFAULT)
    mallopt(M_TRIM_THRESHOLD, threshold)
    ctypes.CDLL(None).malloc_trim(0)


def _mallopt() -> object | None:
    """Glibc's function, or None where there is another C library."""
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return None
