"""Read files, plain or compressed by gzip."""

import gzip
import zlib
from pathlib import Path


def read_bytes(path: Path, largest: int) -> bytes:
    """Return the bytes of a file, decompressed if its name ends with ``.gz``.

    At most `largest` + 1 bytes are read: small files can be decompressed to any size.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(largest + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: got {error}; wanted a whole gzip file") from error
