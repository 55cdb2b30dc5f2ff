"""Files that are whole or not there, and that know whether they still are what was written."""

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

# The first line of a file, up to the version of what is in it.
MAGIC, VERSION = b"sklearn_rapid checkpoint ", 1


class DamagedFile(ValueError):
    """A file that is not what was once written."""


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file so that, whatever happens, there is either all of it or what was there before.

    It is written under another name, forced to the disk, and only then given its own. Where that is
    a symbolic link, it is the file that the link leads to that is written.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        if target.is_symlink():  # links that lead in a circle
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
            # The name of the file that was asked for; nobody knows the other one.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system has a way to do so."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sealed(value: Any) -> tuple[bytes, bytes]:
    """A line with the version and one with a digest; then the value's pickle."""
    content = pickle.dumps(value, protocol=5)
    digest = hashlib.sha256(content).hexdigest().encode()
    return b"%s%d\n%s\n" % (MAGIC, VERSION, digest), content


def unsealed(path: Path) -> Any:
    """The value of a file that `sealed` made; DamagedFile if it is not as it was written.

    Nothing of a damaged file is unpickled.
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
