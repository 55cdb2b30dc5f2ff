"""Files as they are found: plain, or compressed by gzip."""

import gzip
import zlib
from pathlib import Path


def read_bytes(path: Path) -> bytes:
    """Return what is in a file, decompressed if its name ends with ``.gz``."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: got {error}; wanted a whole gzip file") from error
    return content
