"""Files as they are found: plain, or compressed by gzip."""

import gzip
import zlib
from pathlib import Path


def read_bytes(path: Path, largest: int) -> bytes:
    """Return what is in a file, decompressed if its name ends with ``.gz``.

    Of a file that has more than `largest` bytes, one more: small ones can be decompressed to any
    size.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(largest + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: got {error}; wanted a whole gzip file") from error
