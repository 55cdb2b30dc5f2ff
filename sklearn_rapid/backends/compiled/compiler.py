"""The compiler options of the backends, and a cache on disk that survives failures of the disk.

Numba keeps compiled functions next to the source or in the user's home. If neither is writeable, a
file is damaged or the disk is full, it raises; here such functions are compiled for this process
alone, with a warning.

Compilation takes a while, and is announced once in each process, by a logger: at this level it is
seen without any set-up, on terminals and in notebooks; unlike a warning it is never turned into an
error; and `logging.getLogger("sklearn_rapid").setLevel("ERROR")` turns it off.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config, njit
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

f32 = np.float32
f64 = np.float64
u32 = np.uint32
u64 = np.uint64

ADVICE = (
    "Functions are compiled again in each process, which takes some seconds. Set the environment "
    "variable NUMBA_CACHE_DIR to a folder that can be written to, and they are kept."
)
NOTICE = (
    "sklearn_rapid: compiling functions for this processor, once after installation. "
    "It may take up to a minute."
)
LOGGER = logging.getLogger("sklearn_rapid")
_said: set[str] = set()
# False with NUMBA_DISABLE_JIT, where functions are plain Python.
IS_COMPILED = not config.DISABLE_JIT

# Compiled as a part of its callers: nothing to cache.
inlined = njit(inline="always", error_model="numpy")


def compiler(**options: Any) -> Callable:
    """Return a decorator that compiles at the first call, or loads an earlier compilation.

    Compiled functions run without the interpreter's lock, and divide as NumPy does.
    """

    def compiled(function: Callable) -> Callable:
        made = njit(nogil=True, error_model="numpy", **options)(function)
        if isinstance(made, Dispatcher):  # with NUMBA_DISABLE_JIT it is the function itself
            try:
                made._cache = ForgivingCache(function)
            except (OSError, RuntimeError) as error:
                _warn_once("compiled functions cannot be kept", error, ADVICE)
        return made

    return compiled


def internal_compiler(**options: Any) -> Callable:
    """Return a `compiler` for functions that only compiled code calls: it compiles faster.

    The interpreter must not call such a function: without a wrapper, the process crashes.
    """
    return compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)


class ForgivingCache(FunctionCache):
    """Numba's cache of a function, whose failures are warnings."""

    def load_overload(self, *args: Any) -> Any:
        """Return what was compiled before, or None if it has to be compiled now."""
        kept = self._load(*args)
        if kept is None and NOTICE not in _said:
            _said.add(NOTICE)
            LOGGER.warning(NOTICE)
        return kept

    def save_overload(self, *args: Any) -> None:
        """Keep what was compiled, if possible."""
        try:
            super().save_overload(*args)
        except Exception as error:
            _warn_once(f"compiled functions cannot be kept in {self.cache_path}", error, ADVICE)

    def _load(self, *args: Any) -> Any:
        """Return what is kept; None if there is nothing or it is damaged."""
        try:
            return super().load_overload(*args)
        except Exception as error:
            files = os.path.join(self.cache_path, self._impl.filename_base)
            _warn_once(
                f"what was compiled before cannot be read from {files}.*",
                error,
                "It is compiled again. Delete these files if this comes back.",
            )
            self._forget()
        return None

    def _forget(self) -> None:
        """Replace an index that may be damaged by an empty one."""
        try:
            self.flush()
        except OSError:
            pass  # `save_overload` will say so


def _warn_once(what: str, error: Exception, advice: str) -> None:
    if what not in _said:
        _said.add(what)
        warnings.warn(
            f"{what} ({type(error).__name__}: {error}). {advice}", RuntimeWarning, stacklevel=2
        )


compiled = compiler()
# Products and sums may be fused where backends agree up to rounding; never where spins are drawn,
# which are the same on all of them.
contracted = compiler(fastmath={"contract"})
# Sums in an order of the compiler's choice, the same each time: many terms at once.
reordered = compiler(fastmath={"contract", "reassoc"})
internal = internal_compiler()
