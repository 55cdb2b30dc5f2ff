"""The one compiler of the backends, with a cache on disk that can do without the disk.

Numba keeps what it has compiled beside the source or in the user's home. Where neither can be
written to, where a file is damaged or the disk is full, it raises; here such functions are
compiled for this process alone, and a warning says what was wrong.

That something is compiled is said once a process, for it takes a while. By a logger: at this level
it is seen without any set-up, on terminals and in notebooks; it is no warning, that some make
errors of; and `logging.getLogger("sklearn_rapid").setLevel("ERROR")` turns it off.
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
    "Functions are compiled anew in each process, which takes some seconds. Set the environment "
    "variable NUMBA_CACHE_DIR to a folder that can be written to, and they are kept."
)
NOTICE = (
    "sklearn_rapid: compiling functions for this processor, once after installation. "
    "It may take up to a minute."
)
LOGGER = logging.getLogger("sklearn_rapid")
_said: set[str] = set()
# False with NUMBA_DISABLE_JIT, where functions are the interpreter's.
IS_COMPILED = not config.DISABLE_JIT

# Part of what calls it: nothing to keep.
inlined = njit(inline="always", error_model="numpy")


def compiler(**options: Any) -> Callable:
    """A decorator that compiles at the first call, or takes what an earlier process compiled.

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
    """The same for what compiled functions alone call: it takes less time.

    What the interpreter calls by is left out. If it calls such a function, the process crashes.
    """
    return compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)


class ForgivingCache(FunctionCache):
    """Numba's cache of a function, of which no failure is one of the function."""

    def load_overload(self, *args: Any) -> Any:
        """What was compiled before, or None: it is to be compiled now."""
        kept = self._load(*args)
        if kept is None and NOTICE not in _said:
            _said.add(NOTICE)
            LOGGER.warning(NOTICE)
        return kept

    def save_overload(self, *args: Any) -> None:
        """Keep what was compiled, if that can be."""
        try:
            super().save_overload(*args)
        except Exception as error:
            _warn_once(f"compiled functions cannot be kept in {self.cache_path}", error, ADVICE)

    def _load(self, *args: Any) -> Any:
        """What is kept; None if there is nothing, or if it is damaged."""
        try:
            return super().load_overload(*args)
        except Exception as error:
            files = os.path.join(self.cache_path, self._impl.filename_base)
            _warn_once(
                f"what was compiled before cannot be read from {files}.*",
                error,
                "It is compiled anew. Delete these files if this comes back.",
            )
            self._forget()
        return None

    def _forget(self) -> None:
        """Put an empty index in place of one that may be damaged."""
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
# Products and sums may be fused where backends need to agree to rounding only; never where spins
# are drawn, which are the same on all of them.
contracted = compiler(fastmath={"contract"})
# Sums in an order of the compiler's choice, the same each time: many terms at once.
reordered = compiler(fastmath={"contract", "reassoc"})
internal = internal_compiler()
