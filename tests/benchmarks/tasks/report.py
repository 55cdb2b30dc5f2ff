"""Tables in Markdown, printed and kept for a file; and runs whose failure is a cell of a table."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np


class Report:
    """Lines that are printed, and written to a file if one is named.

    Parameters
    ----------
    path : str or None
    """

    def __init__(self, path: str | None) -> None:
        self.path, self.lines = path, []

    def add(self, text: str = "") -> None:
        """Print a line; the file always holds all lines so far."""
        print(text, flush=True)
        self.lines.append(text)
        if self.path:
            Path(self.path).write_text("\n".join(self.lines) + "\n")

    def table(self, title: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        """Add a title and a table below it."""
        self.add(f"{title}\n")
        self.add(f"| {' | '.join(head)} |")
        self.add("|---" * len(list(head)) + "|")
        for row in rows:
            self.add(f"| {' | '.join(row)} |")
        self.add()


def attempt(what: str, run: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a run returns and its seconds; None where it fails, and say so on stderr."""
    start = time.perf_counter()
    try:
        result = run()
    except Exception:  # one set that fails must not end a benchmark of hours
        traceback.print_exc()
        result = None
    seconds = time.perf_counter() - start
    says = (
        "failed"
        if result is None
        else np.array2string(np.asarray(result), precision=4, max_line_width=200)
    )
    print(f"{what}: {says}, {seconds:.1f} s", file=sys.stderr, flush=True)
    return result, seconds


def spread(values: Iterable[float | None], decimals: int = 2) -> str:
    """Return the mean ± the standard deviation of several runs.

    "failed" if one has failed, and nothing of figures that are not there (NaN).
    """
    values = list(values)
    if any(v is None for v in values):
        return "failed"
    if not values or np.isnan(values).any():
        return ""
    if len(values) == 1:
        return f"{values[0]:.{decimals}f}"
    return f"{np.mean(values):.{decimals}f} ± {np.std(values, ddof=1):.{decimals}f}"


def chosen(names: list[str] | None, known: Iterable[str]) -> list[str]:
    """Return the names asked for, all by default; a part of a name will do."""
    known = list(known)
    if not names:
        return known
    found = [k for k in known if any(name.lower() in k.lower() for name in names)]
    if not found:
        raise SystemExit(f"--methods: wanted some of {known}, got {names}")
    return found
