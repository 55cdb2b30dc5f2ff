"""Write files atomically, and detect damage to pickles by a digest."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

# The first line of a seal file: this, then the version of its content.
MAGIC, VERSION = b"sklearn_rapid checkpoint ", 1


class DamagedFile(ValueError):
    """A file whose content differs from what was written."""


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file atomically: after any failure the old content, if any, is intact.

    The parts go to a temporary file, which is forced to the disk and then renamed. A symbolic link
    is followed.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        if target.is_symlink():  # a circle of links
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        with open(temporary, "xb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            # Name the file that was asked for, not the temporary one.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def seal(value: Any) -> tuple[bytes, bytes]:
    """Return a header (a line with the version, one with a digest) and the value's pickle."""
    content = pickle.dumps(value, protocol=5)
    digest = hashlib.sha256(content).hexdigest().encode()
    return b"%s%d\n%s\n" % (MAGIC, VERSION, digest), content


def unseal(path: Path) -> Any:
    """Read the value of a file that `seal` made; DamagedFile if its content has changed.

    A damaged file is not unpickled.
    """
    with open(path, "rb") as file:
        first, digest = file.readline(200).rstrip(b"\n"), file.readline(200).rstrip(b"\n")
        content = file.read()
    if not first.startswith(MAGIC):
        raise DamagedFile(f"{path} is no checkpoint, or is damaged: it begins with {first[:16]!r}")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise DamagedFile(
            f"{path} is damaged: its {len(content)} bytes of content are not what was written"
        )
    version = first.removeprefix(MAGIC).decode(errors="replace")
    if version != str(VERSION):
        raise DamagedFile(f"{path} is a checkpoint of version {version}; wanted version {VERSION}")
    return pickle.loads(content)
