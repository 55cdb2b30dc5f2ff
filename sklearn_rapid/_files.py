"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress


def write_at_once(path: str | os.PathLike, content: bytes) -> None:
    """Write a file under a passing name, and give it its own once all of it is on the disk."""
    path = os.path.abspath(os.fspath(path))
    folder, name = os.path.split(path)
    passing = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        with open(passing, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(passing, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(passing)
        raise
    _keep_name(folder)


def _keep_name(folder: str) -> None:
    """Put a folder's names on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
